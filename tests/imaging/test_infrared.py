"""The infrared channel: dirt yes, picture no; silver film refused."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from archive_restore.imaging import infrared
from tests.benchmarks.fit_damage_scores import photograph

CHOSEN = infrared.InfraredParameters()


def scan(crosstalk: float, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    """An infrared and a red plane of a dusty colour negative, and where the dirt is."""
    red = photograph("nagasaki-boats")[..., 0]
    rng = np.random.default_rng(seed)
    light = 0.75 + 0.1 * np.linspace(-1, 1, red.shape[1], dtype=np.float32)  # the lamp is brighter to the right
    dirt = np.zeros(red.shape, np.float32)
    for _ in range(60):
        x, y = int(rng.integers(0, red.shape[1])), int(rng.integers(0, red.shape[0]))
        cv2.circle(dirt, (x, y), int(rng.integers(1, 4)), float(rng.uniform(0.2, 0.9)), -1, cv2.LINE_AA)
    cv2.line(dirt, (100, 50), (400, 700), 0.3, 2, cv2.LINE_AA)
    ir = (light + crosstalk * (red - red.mean())) * (1 - dirt) + rng.normal(0, 0.006, red.shape)
    return np.clip(ir, 0, 1).astype(np.float32), (red * (1 - dirt)).astype(np.float32), dirt > 0.1


@pytest.mark.parametrize("crosstalk", [0.0, 0.08])
def test_dirt_is_found_and_the_picture_is_not(crosstalk: float) -> None:
    ir, red, dirt = scan(crosstalk)
    seen = infrared.survey_infrared(ir, red)
    assert seen.usable
    assert seen.reason == ""
    assert seen.slope == pytest.approx(crosstalk, abs=0.03)
    found = infrared.detect_infrared(ir, red, CHOSEN, seen)
    near = cv2.dilate(dirt.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    assert (found & dirt).sum() / dirt.sum() > 0.85
    assert (found & near).sum() / found.sum() > 0.97


def test_without_removing_crosstalk_it_would_be_worse() -> None:
    ir, red, dirt = scan(0.08)
    seen = infrared.survey_infrared(ir, red)
    blind = infrared.InfraredSurvey(
        usable=True, reason="", slope=0.0, correlation=0.0, offset=seen.offset, noise=seen.noise
    )
    near = cv2.dilate(dirt.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    false = [(infrared.detect_infrared(ir, red, CHOSEN, s) & ~near).sum() for s in (seen, blind)]
    assert false[1] > 3 * false[0] + 50


@pytest.mark.parametrize("strength", [0.35, 0.9])
def test_silver_and_kodachrome_are_refused(strength: float) -> None:
    red = photograph("black-canyon")[..., 0]
    ir = (0.05 + strength * red).astype(np.float32)
    seen = infrared.survey_infrared(ir, red)
    assert not seen.usable
    assert "picture" in seen.reason
    assert not infrared.detect_infrared(ir, red, CHOSEN, seen).any()


@pytest.mark.parametrize("value", [0.0, 0.7])
def test_an_empty_channel_is_refused(value: float) -> None:
    plane = np.full((50, 60), value, np.float32)
    seen = infrared.survey_infrared(plane, plane)
    assert not seen.usable
    assert "constant" in seen.reason
