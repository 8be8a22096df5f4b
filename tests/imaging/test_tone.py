"""Tone correction: recorded, monotone, in the master's depth, nothing clipped, nothing asked = nothing done."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from archive_restore.imaging.tone import GRID, ToneParameters, ToneSurvey, apply_tone, survey_tone
from tests.benchmarks.fit_damage_scores import photograph
from tests.support.synthetic_damage import luma_of

ONES = tuple(tuple(1.0 for _ in range(GRID)) for _ in range(GRID))


@pytest.fixture(scope="module")
def faded() -> NDArray[np.uint16]:
    return np.round((0.35 + 0.3 * photograph("black-canyon")) * 65535).astype(np.uint16)


def test_a_faded_picture_gets_its_range_back_in_sixteen_bits(faded) -> None:
    before = luma_of((faded / 65535).astype(np.float32))
    seen = survey_tone(before, ToneParameters())
    after = apply_tone(faded, seen, origin=(0, 0), frame=faded.shape[:2])
    luma = luma_of((after / 65535).astype(np.float32))
    assert np.percentile(luma, 99.9) - np.percentile(luma, 0.1) > 0.9
    assert len(np.unique(after)) > 0.95 * len(np.unique(faded)), "tones must not merge"
    assert (after == 0).sum() == (faded == 0).sum()
    assert (after == 65535).sum() == (faded == 65535).sum()


def test_a_picture_of_full_range_is_left_alone() -> None:
    clean = np.round(photograph("allium-oreophilum") * 255).astype(np.uint8)
    full = clean.copy()
    full[:20], full[20:40] = 0, 255
    seen = survey_tone(luma_of((full / 255).astype(np.float32)), ToneParameters())
    assert seen.identity
    assert np.array_equal(apply_tone(full, seen, origin=(0, 0), frame=full.shape[:2]), full)


def test_uneven_light_is_evened_out() -> None:
    rng = np.random.default_rng(2)
    texture = np.clip(0.5 + rng.normal(0, 0.03, (300, 400)), 0, 1)
    rows, columns = np.mgrid[-1:1:300j, -1:1:400j]
    dimmed = (texture * (1 - 0.25 * (rows**2 + columns**2) / 2 - 0.1 * columns)).astype(np.float32)
    seen = survey_tone(dimmed, ToneParameters(fading=0, illumination=1))
    made = apply_tone(dimmed, seen, origin=(0, 0), frame=dimmed.shape)

    def spread(p: NDArray[np.float32]) -> float:
        places = (p[:60, :60], p[:60, -60:], p[-60:, :60], p[120:180, 170:230])
        return float(np.ptp([place.mean() for place in places]))

    assert spread(made) < 0.3 * spread(dimmed)


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.floats(0.01, 0.99).map(lambda v: round(v, 3)), min_size=2, max_size=6, unique=True),
    st.lists(st.floats(0.01, 0.99).map(lambda v: round(v, 3)), min_size=6, max_size=6, unique=True),
    st.floats(0.7, 1.6),
)
def test_the_order_of_tones_is_kept_and_the_ends_stay(xs: list[float], ys: list[float], gain: float) -> None:
    inner = tuple(zip(sorted(xs), sorted(ys)[: len(xs)], strict=True))
    gains = tuple(tuple(round(gain, 3) for _ in range(GRID)) for _ in range(GRID))
    seen = ToneSurvey(curve=((0.0, 0.0), *inner, (1.0, 1.0)), gains=gains)
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    made = apply_tone(ramp, seen, origin=(0, 0), frame=(256, 256)).ravel().astype(int)
    assert (np.diff(made) >= 0).all()
    assert (made[0], made[-1]) == (0, 65535)


def test_depths_agree(faded) -> None:
    eight = (faded // 257).astype(np.uint8)
    seen = survey_tone(luma_of((eight / 255).astype(np.float32)), ToneParameters(illumination=0.5))
    where = {"origin": (0, 0), "frame": eight.shape[:2]}
    a = apply_tone(eight, seen, **where)
    b = apply_tone(eight.astype(np.uint16) * 257, seen, **where)
    c = apply_tone((eight / np.float32(255)).astype(np.float32), seen, **where)
    assert np.abs(b / 257.0 - a).max() <= 0.51
    assert np.abs(c * 255.0 - a).max() <= 0.51


def test_nothing_asked_is_bit_identical(faded) -> None:
    seen = survey_tone(luma_of((faded / 65535).astype(np.float32)), ToneParameters(fading=0, illumination=0))
    assert seen.identity
    assert np.array_equal(apply_tone(faded, seen, origin=(3, 5), frame=(9999, 9999)), faded)
    odd = np.array([[np.nan, -0.5, 0.3, 1.7]], np.float32)
    changed = ToneSurvey(curve=((0.0, 0.0), (0.3, 0.6), (1.0, 1.0)), gains=ONES)
    made = apply_tone(odd, changed, origin=(0, 0), frame=(1, 4))
    assert np.isnan(made[0, 0])
    assert made[0, 1:].tolist() == pytest.approx([-0.5, 0.6, 1.7])
