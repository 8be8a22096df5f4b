"""The detector: good enough on synthetic damage, quiet on the undamaged, symmetric, and the same at every depth."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from archive_restore.imaging import damage, linking, ridges
from archive_restore.imaging.damage_scores import FIRST_LOOK, SECOND_LOOK, THIRD_LOOK
from archive_restore.records.imagery import DamageClass
from tests.benchmarks.fit_damage_scores import DEVELOPMENT, HELD_OUT, photograph
from tests.benchmarks.restoration_quality import Tally, measure_detection
from tests.support.synthetic_damage import damage as make_damage
from tests.support.synthetic_damage import luma_of

CHOSEN = damage.DamageParameters(threshold=0.5)
"""The best balance of precision and recall; what ships by default is more cautious."""
SWAP = np.array([0, 2, 1, 4, 3], np.uint8)
"""Classes of the negative."""


@pytest.fixture(scope="module")
def luma() -> NDArray[np.float32]:
    return luma_of(make_damage(photograph("black-canyon")[250:600, 100:560], 1).picture)


def test_held_out_photographs() -> None:
    """Never seen by the fit. The floors stand a little below what docs/benchmarks.md reports."""
    photographs = ("black-canyon", "french-alpine-landscape")
    every = Tally().merge(measure_detection(name, [3], parameters=CHOSEN) for name in photographs)
    assert every.f1 > 0.68
    assert every.precision > 0.65
    assert every.recall > 0.60
    for hit, true in every.by_kind.values():
        assert hit / true > 0.35


@pytest.mark.parametrize("name", [*DEVELOPMENT, *HELD_OUT])
def test_false_alarms_on_undamaged_photographs(name: str) -> None:
    """Under 0.5 % of pixels, as shipped; even the airplane, which has scratches of its own."""
    plane = luma_of(photograph(name))
    alarms = damage.detect(plane, damage.DamageParameters(), damage.survey(plane)) != DamageClass.SOUND
    assert alarms.mean() < 0.005


def test_the_negative_swaps_the_classes(luma: NDArray[np.float32]) -> None:
    levels = np.round(luma * 255)  # exact complements
    positive, negative = (levels / 255).astype(np.float32), ((255 - levels) / 255).astype(np.float32)
    seen = damage.survey(positive)
    turned = damage.DamageSurvey(white=1 - seen.black, black=1 - seen.white, noise=seen.noise)
    codes = damage.detect(positive, CHOSEN, seen)
    assert len(np.unique(codes)) == 5
    assert np.array_equal(damage.detect(negative, CHOSEN, turned), SWAP[codes])


def test_eight_and_sixteen_bits_and_floats_agree(luma: NDArray[np.float32]) -> None:
    eight = np.round(luma * 255)
    planes = [(eight / 255).astype(np.float32), (eight * 257 / 65535).astype(np.float32), (eight / np.float32(255))]
    seen = damage.survey(planes[0])
    codes = [damage.detect(p.astype(np.float32), CHOSEN, seen) for p in planes]
    assert np.array_equal(codes[0], codes[1])
    assert np.array_equal(codes[0], codes[2])


def test_threads_do_not_matter(luma: NDArray[np.float32]) -> None:
    seen, threads = damage.survey(luma), cv2.getNumThreads()
    try:
        cv2.setNumThreads(1)
        one = damage.detect(luma, CHOSEN, seen)
        cv2.setNumThreads(2)
        assert np.array_equal(damage.detect(luma, CHOSEN, seen), one)
    finally:
        cv2.setNumThreads(threads)


@pytest.mark.parametrize(
    ("left_out", "gone"),
    [
        ({"bright": False}, {DamageClass.BRIGHT_LINE, DamageClass.BRIGHT_SPOT}),
        ({"dark": False}, {DamageClass.DARK_LINE, DamageClass.DARK_SPOT}),
        ({"lines": False}, {DamageClass.BRIGHT_LINE, DamageClass.DARK_LINE}),
        ({"spots": False}, {DamageClass.BRIGHT_SPOT, DamageClass.DARK_SPOT}),
    ],
)
def test_what_is_not_looked_for_is_not_found(luma, left_out: dict[str, bool], gone: set[DamageClass]) -> None:
    seen = damage.survey(luma)
    found = set(np.unique(damage.detect(luma, CHOSEN, seen)).tolist())
    less = set(np.unique(damage.detect(luma, damage.DamageParameters(**left_out), seen)).tolist())
    assert gone <= found
    assert not less & gone
    assert less - {0}


def test_a_lower_threshold_finds_more(luma: NDArray[np.float32]) -> None:
    seen = damage.survey(luma)
    shares = [
        float((damage.detect(luma, damage.DamageParameters(threshold=t), seen) > 0).mean()) for t in (0.2, 0.5, 0.8)
    ]
    assert shares[0] > shares[1] > shares[2] > 0


@pytest.mark.parametrize("bright", [True, False])
def test_a_plain_scratch_and_a_plain_speck_get_their_classes(bright: bool) -> None:
    rng = np.random.default_rng(7)
    plane = cv2.GaussianBlur(rng.normal(0, 1, (240, 320)).astype(np.float32), (0, 0), 1.0) * np.float32(
        0.03
    ) + np.float32(0.5)
    drawn = np.zeros((240, 320), np.float32)
    cv2.line(drawn, (20, 60), (300, 95), 1.0, 2, cv2.LINE_AA)
    cv2.circle(drawn, (160, 180), 2, 1.0, -1, cv2.LINE_AA)
    plane = np.clip(plane + cv2.GaussianBlur(drawn, (0, 0), 0.6) * np.float32(0.4 if bright else -0.4), 0, 1)
    codes = damage.detect(plane.astype(np.float32), CHOSEN, damage.DamageSurvey(white=0.95, black=0.05, noise=0.01))
    line, spot = (
        (DamageClass.BRIGHT_LINE, DamageClass.BRIGHT_SPOT) if bright else (DamageClass.DARK_LINE, DamageClass.DARK_SPOT)
    )
    ys, xs = np.arange(60, 95, 5), np.arange(20, 300, 40)
    assert np.median([codes[y - 2 : y + 3, x - 2 : x + 3].max() for x, y in zip(xs, ys, strict=True)]) == line
    assert codes[178:183, 158:163].max() == spot
    elsewhere = codes[110:160]
    assert (elsewhere > 0).mean() < 0.002


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.01, 0.3]))
def test_any_little_picture(height: int, width: int, seed: int, noise: float) -> None:
    plane = (0.5 + np.random.default_rng(seed).normal(0, noise, (height, width))).astype(np.float32)
    codes = damage.detect(plane, CHOSEN, damage.DamageSurvey(white=0.9, black=0.1, noise=noise))
    assert codes.shape == plane.shape
    assert codes.dtype == np.uint8
    assert not codes.any() or noise > 0


def test_values_that_are_no_luma_do_no_harm(luma: NDArray[np.float32]) -> None:
    broken = luma.copy()
    broken[10:20, 10:20] = np.nan
    broken[30:40, 10:20] = np.inf
    broken[50:60, 10:20] = -np.inf
    assert damage.detect(broken, CHOSEN, damage.survey(broken)).shape == luma.shape


def test_the_survey_knows_black_white_and_grain() -> None:
    rng = np.random.default_rng(0)
    ramp = np.tile(np.linspace(0.1, 0.9, 600, dtype=np.float32), (400, 1))
    grainy = ramp + rng.normal(0, 0.02, ramp.shape).astype(np.float32)
    seen = damage.survey(ramp, [grainy])
    assert seen.noise == pytest.approx(0.02, rel=0.05)
    assert seen.white == pytest.approx(0.896, abs=0.01)
    assert seen.black == pytest.approx(0.104, abs=0.01)


def test_the_score_cards_fit_the_measurements() -> None:
    widths = [len(ridges.EVIDENCE)]
    widths += [widths[0] + len(linking.CONTEXT) * k for k in (1, 2)]
    for cards, width in zip((FIRST_LOOK, SECOND_LOOK, THIRD_LOOK), widths, strict=True):
        assert len(cards) == len(damage.REACHES)
        for _, trees in cards:
            for features, thresholds, leaves in trees:
                assert len(features) == len(thresholds)
                assert len(leaves) == 2 ** len(features)
                assert max(features) < width


def test_a_card_adds_up() -> None:
    card = (5, (((0, 1), (0.5, 2.0), (1, 2, 4, 8)), ((1,), (0.0,), (100, 200))))
    measured = np.array([[0, 0], [1, 0], [0, 3], [1, -3]], np.float32)
    assert damage.apply_card(measured, card).tolist() == [5 + 1 + 200, 5 + 4 + 200, 5 + 2 + 200, 5 + 4 + 100]
