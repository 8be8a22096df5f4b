"""Hints and pictures from which the colour network learns."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

sys.path.insert(0, str(Path(__file__).parents[2] / "models" / "training"))

import hints


def rng(key: int = 1) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=key))


def picture(key: int = 1) -> np.ndarray:
    """Two areas, dark red on the left and light blue on the right, with grain; uint8 (64, 96, 3)."""
    out = np.empty((64, 96, 3))
    out[:, :48], out[:, 48:] = (120, 30, 30), (150, 190, 240)
    return np.clip(out + rng(key).normal(0, 3, out.shape), 0, 255).astype(np.uint8)


def test_lab_there_and_back() -> None:
    codes = picture().astype(np.float32) / 255
    lab = hints.lab_of(codes)
    assert np.allclose(hints.rgb_of(lab[0], lab[1:]), codes, atol=2e-3)
    gray = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    assert np.allclose(hints.lightness_of(gray), hints.lab_of(np.repeat(gray[..., None], 3, 2))[0], atol=4e-3)


def test_a_hint_holds_where_it_is_and_spreads_over_what_is_alike() -> None:
    lab = hints.lab_of(picture().astype(np.float32) / 255)
    told = hints.Hints(
        rows=np.array([32, 32]), columns=np.array([10, 85]), colours=np.array([[0.5, 0.3], [-0.1, -0.4]], np.float32)
    )
    made = hints.spread(lab[0], told, hints.Spreading(reach=0.5))
    assert made[:, 32, 10] == pytest.approx([0.5, 0.3, 1])
    assert made[:, 32, 85] == pytest.approx([-0.1, -0.4, 1])
    # The edge lies nearer to the left hint's side than distance alone would say.
    assert made[0, 10:54, 42:46].min() > 0.3
    assert made[0, 10:54, 51:55].max() < 0.1
    assert made[2, 0, 47] < made[2, 32, 12]
    assert not hints.spread(lab[0], hints.hints_from(rng(), lab[1:], 0), hints.Spreading()).any()


def test_a_hint_alone_is_trusted_less_where_it_is_dark_and_light() -> None:
    lab = hints.lab_of(picture().astype(np.float32) / 255)
    told = hints.Hints(rows=np.array([32]), columns=np.array([40]), colours=np.array([[0.5, 0.3]], np.float32))
    made = hints.spread(lab[0], told, hints.Spreading())
    assert made[2, 32, 36] > 0.8
    assert made[2, 32, 56] < 0.01
    least = hints.spread(lab[0], told, hints.Spreading(least=0.1))
    assert not least[:, made[2] < 0.1].any()


def test_examples_are_in_range_differ_and_come_again() -> None:
    example = np.ascontiguousarray(picture().transpose(2, 0, 1))
    made = [hints.learnt(rng(key), example, 48) for key in range(40)]
    for planes in made:
        assert planes.shape == (6, 48, 48)
        assert planes.dtype == np.float32
        assert np.isfinite(planes).all()
        assert planes[0].min() >= 0
        assert planes[0].max() <= 1
        assert np.abs(planes[1:3]).max() <= 1
        assert planes[3].min() >= 0
        assert planes[3].max() <= 1
    without = sum(not planes[3].any() for planes in made)
    assert 3 <= without <= 20
    assert all(not planes[1:3].any() for planes in made if not planes[3].any())
    assert np.array_equal(made[7], hints.learnt(rng(7), example, 48))
    assert not np.array_equal(made[7], made[8])


def test_hints_to_be_measured_with_are_true() -> None:
    made = hints.asked(rng(), picture(), 5)
    at = made[3] == 1
    assert at.any()
    assert hints.error(made[1:3], made[4:])[at].max() < 8
    assert hints.error(made[1:3], made[4:]).mean() < hints.error(0 * made[1:3], made[4:]).mean()
