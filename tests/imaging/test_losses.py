"""Infill of large losses: seen from close up, quiet from afar, nothing else touched."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from archive_restore.imaging.losses import Infill, infill, mean_tone
from tests.benchmarks.fit_damage_scores import photograph


@pytest.fixture(scope="module")
def torn() -> tuple[NDArray[np.uint16], NDArray[np.bool_]]:
    samples = np.round(photograph("dust-bowl-home")[300:560, 500:800] * 65535).astype(np.uint16)
    loss = np.zeros(samples.shape[:2], np.bool_)
    loss[60:200, 80:220] = True
    samples[loss] = 65535
    return samples, loss


@pytest.mark.parametrize("kind", list(Infill))
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_only_the_loss_changes_in_every_depth(torn, kind: Infill, dtype) -> None:
    samples, loss = torn
    cast = (samples // 257).astype(dtype) if dtype == np.uint8 else samples.astype(dtype)
    if dtype == np.float32:
        cast = cast / np.float32(65535)
    made = infill(cast, loss, loss, kind, (0.5, 0.5, 0.5), seed=1)
    assert made.dtype == dtype
    assert np.array_equal(made[~loss], cast[~loss])
    assert (made[loss] != cast[loss]).any()
    assert np.array_equal(made, infill(cast, loss, loss, kind, (0.5, 0.5, 0.5), seed=1))


def test_neutral_is_flat_and_of_the_tone_around(torn) -> None:
    samples, loss = torn
    made = infill(samples, loss, loss, Infill.NEUTRAL, mean_tone(samples / np.float32(65535)))
    ring = cv2.dilate(loss.astype(np.uint8), np.ones((41, 41), np.uint8)).astype(bool) & ~loss
    assert np.abs(made[loss].mean(0) / 65535 - samples[ring].mean(0) / 65535).max() < 0.06
    assert np.abs(np.diff(made[100:160, 100:200].astype(int), axis=1)).max() < 65535 * 0.01


@pytest.mark.parametrize("grey", [False, True])
def test_tratteggio_shows_close_up_and_is_quiet_from_afar(torn, grey: bool) -> None:
    samples, loss = torn
    picture = np.ascontiguousarray(samples[..., 1]) if grey else samples
    flat = infill(picture, loss, loss, Infill.NEUTRAL, (0.5, 0.5, 0.5)).astype(np.float64) / 65535
    made = infill(picture, loss, loss, Infill.TRATTEGGIO, (0.5, 0.5, 0.5), pitch=2).astype(np.float64) / 65535
    inside = (slice(70, 190), slice(90, 210))
    assert np.abs(made - flat)[inside].mean() > 0.05
    afar = cv2.GaussianBlur(made - flat, (0, 0), 6)
    assert np.abs(afar)[80:180, 100:200].mean() < 0.015
    steps = np.abs(np.diff(made, axis=1))[inside].mean(), np.abs(np.diff(made, axis=0))[inside].mean()
    assert steps[0] > 5 * steps[1], "the hatching is vertical"


@pytest.mark.parametrize("level", [0, 65535])
def test_hatching_is_visible_in_black_and_in_white(level: int) -> None:
    samples = np.full((60, 60), level, np.uint16)
    loss = np.zeros(samples.shape, np.bool_)
    loss[20:40, 20:40] = True
    made = infill(samples, loss, loss, Infill.TRATTEGGIO, (level / 65535,))
    assert made[loss].std() / 65535 > 0.05


def test_far_inside_a_huge_loss_the_mean_of_the_picture_stands_in() -> None:
    samples = np.zeros((300, 300), np.uint8)
    made = infill(samples, np.ones((300, 300), np.bool_), np.ones((300, 300), np.bool_), Infill.NEUTRAL, (0.4,))
    assert np.abs(made.astype(int) - 102).max() <= 1


def test_no_loss_is_the_identity(torn) -> None:
    samples, loss = torn
    assert np.array_equal(infill(samples, np.zeros_like(loss), loss, Infill.TRATTEGGIO, (0.5,)), samples)
