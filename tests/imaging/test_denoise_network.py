"""Noise taken away by a network: as much as was asked for, in the master's own depth, and nowhere else."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from archive_restore.imaging.denoise_network import clean
from archive_restore.imaging.network_frames import Cells, Place

Floats = NDArray[np.float32]
CELLS = Cells(multiple=8, halo=16)
PLACE = Place(top=0, left=0, height=120, width=150)
WHOLE = np.s_[0:120, 0:150]


def blurred(given: Floats) -> Floats:
    """A stand-in: what a blur takes away is noise; given three planes and the share that goes."""
    planes, share = given[0, :3], given[0, 3]
    smooth = np.stack([cv2.GaussianBlur(plane, (0, 0), 1.5) for plane in planes])
    return (planes - share * (planes - smooth))[None].astype(np.float32)


def noisy(channels: int) -> Floats:
    rng = np.random.Generator(np.random.Philox(key=3))
    return np.clip(0.5 + 0.1 * rng.standard_normal((120, 150, channels), np.float32), 0, 1).astype(np.float32)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_as_much_goes_as_is_asked_for(dtype: str, channels: int) -> None:
    full = float(np.iinfo(dtype).max) if dtype.startswith("u") else 1.0
    samples = (noisy(channels) * full).astype(dtype)
    left = [
        clean(samples, blurred, CELLS, PLACE, WHOLE, strength=share).astype(np.float64).std() / full
        for share in (0.0, 0.5, 1.0)
    ]
    assert left[0] == pytest.approx(samples.astype(np.float64).std() / full, rel=1e-5)
    assert left[2] < 0.3 * left[0]
    assert left[1] == pytest.approx((left[0] + left[2]) / 2, rel=0.1)
    assert clean(samples, blurred, CELLS, PLACE, WHOLE, strength=1.0).dtype == samples.dtype


def test_where_zero_is_white_the_same_noise_goes() -> None:
    samples = np.round(noisy(1) * 65535).astype(np.uint16)
    plain = clean(samples, blurred, CELLS, PLACE, WHOLE, strength=1.0)
    turned = clean(65535 - samples, blurred, CELLS, PLACE, WHOLE, strength=1.0, inverted=True)
    assert np.abs(plain.astype(np.int64) - (65535 - turned.astype(np.int64))).max() <= 1


def test_what_is_kept_or_not_needed_stays_bit_for_bit() -> None:
    samples = np.round(noisy(3) * 255).astype(np.uint8)
    keep = np.zeros((120, 150), np.bool_)
    keep[40:60, 50:90] = True
    made = clean(samples, blurred, CELLS, PLACE, np.s_[16:100, 8:140], strength=1.0, keep=keep)
    assert np.array_equal(made[keep], samples[keep])
    assert np.array_equal(made[:16], samples[:16])
    assert np.array_equal(made[:, 140:], samples[:, 140:])
    assert (made[16:40, 8:140] != samples[16:40, 8:140]).mean() > 0.8


def test_values_beyond_white_and_no_numbers_keep_what_they_are() -> None:
    samples = noisy(1) + np.float32(0.8)  # some of it is brighter than white
    samples[10, 10] = np.nan
    made = clean(samples, blurred, CELLS, PLACE, WHOLE, strength=1.0)
    assert np.isnan(made[10, 10, 0])
    assert np.isnan(made).sum() == 1
    far = np.s_[60:, 60:]
    assert made[far].max() > 1.0
    assert np.abs(made[far] - samples[far]).max() < 0.3
