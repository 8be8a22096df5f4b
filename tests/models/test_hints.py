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


def test_examples_are_in_range_differ_and_come_again() -> None:
    example = np.ascontiguousarray(picture().transpose(2, 0, 1))
    made = [hints.learnt(rng(key), example, 48) for key in range(40)]
    for one in made:
        assert one.planes.shape == (4, 48, 48)
        assert one.planes.dtype == one.ab.dtype == np.float32
        assert one.ab.shape == (2, 48, 48)
        assert np.isfinite(one.ab).all()
        assert one.planes.min() >= 0
        assert one.planes.max() <= 1
        assert len(one.given.rows) <= hints.MOST
        assert np.abs(one.given.colours).max(initial=0) <= 1
    assert any(one.turned for one in made)
    assert not any(one.turned and one.guessed for one in made), "no guess can know colours that were turned"
    assert 5 < sum(one.guessed for one in made) < 35
    assert np.array_equal(made[7].planes, hints.learnt(rng(7), example, 48).planes)
    assert not np.array_equal(made[7].planes, made[8].planes)


def test_hints_to_be_measured_with_are_true() -> None:
    made = hints.asked(rng(), picture(), 5)
    told = made.ab[:, made.given.rows, made.given.columns].T
    assert np.hypot(*(110 * (told - made.given.colours)).T).max() < 8
    spread = hints.carried(made.planes[0], made.given)
    away = 110 * made.ab.transpose(1, 2, 0) - spread.ab * spread.trust[:, :, None]
    assert np.square(away).mean() < np.square(110 * made.ab).mean()
