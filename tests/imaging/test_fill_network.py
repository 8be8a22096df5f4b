"""Fill by a network: nothing outside the mask, the master's own depth, grain like that around it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from archive_restore.imaging import fill_network
from archive_restore.imaging.fill_network import Grain, complete, survey_grain
from archive_restore.imaging.network_frames import Cells, Place, reach

Floats = NDArray[np.float32]
CELLS = Cells(multiple=16, halo=48)
FULL = Place(top=0, left=0, height=200, width=260)


def smooth(given: Floats) -> Floats:
    """A stand-in: the mean of what is sound around, and 0.1 for an error."""
    planes, mask = given[0, :3], given[0, 3]
    sound = 1 - mask
    above = np.stack([cv2.blur(plane * sound, (33, 33)) for plane in planes])
    made = above / np.maximum(cv2.blur(sound, (33, 33)), 1e-6)
    filled = np.where(mask > 0, made, planes)
    return np.concatenate([filled, 0.1 * mask[None]])[None].astype(np.float32)


def grainy(blur: float, deviation: float, shape: tuple[int, int] = (200, 260), seed: int = 1) -> Floats:
    white = np.random.Generator(np.random.Philox(key=seed)).standard_normal(shape, np.float32)
    noise = cv2.GaussianBlur(white, (0, 0), blur) if blur else white
    return np.asarray(0.5 + noise * (deviation / noise.std()), np.float32)


@pytest.fixture(scope="module")
def mask() -> NDArray[np.bool_]:
    made = np.zeros((200, 260), np.bool_)
    made[60:90, 40:220] = True
    return made


@pytest.mark.parametrize("blur", [0.0, 0.4, 0.7, 1.0, 1.4])
def test_coarseness_is_measured(blur: float) -> None:
    found = survey_grain([grainy(blur, 0.03, (512, 512), seed) for seed in range(3)])
    assert found.blur == pytest.approx(blur, abs=0.12 if blur else 0.3)


def test_without_anything_to_measure_some_coarseness_is_taken() -> None:
    assert survey_grain([]) == Grain(blur=0.5)
    assert survey_grain([np.zeros((100, 100), np.float32)]) == Grain(blur=0.5)


@pytest.mark.parametrize("deviation", [0.01, 0.04])
@pytest.mark.parametrize("blur", [0.0, 0.8])
def test_the_fill_has_the_grain_of_its_surroundings(mask: NDArray[np.bool_], blur: float, deviation: float) -> None:
    plane = grainy(blur, deviation)
    made = complete(
        plane[..., None], mask, smooth, CELLS, FULL, grain=survey_grain([grainy(blur, deviation, (512, 512), 9)])
    ).samples[..., 0]

    def texture(part: Floats) -> tuple[float, float]:
        high = fill_network._high_pass(part)
        return float(high.std()), float((high[:, :-1] * high[:, 1:]).mean() / np.square(high).mean())

    inside, around = texture(made[65:85, 50:210]), texture(plane[120:190, 50:210])
    assert inside[0] == pytest.approx(around[0], rel=0.25)
    assert inside[1] == pytest.approx(around[1], abs=0.12)
    flat = complete(plane[..., None], mask, smooth, CELLS, FULL, grain=Grain(blur=blur), strength=0).samples[..., 0]
    assert texture(flat[65:85, 50:210])[0] < 0.2 * around[0]


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("channels", [1, 3])
def test_only_the_mask_changes_in_the_masters_depth(mask: NDArray[np.bool_], dtype: str, channels: int) -> None:
    full = np.iinfo(dtype).max if dtype.startswith("u") else 1.0
    picture = np.stack([grainy(0.5, 0.05, seed=seed) for seed in range(channels)], 2)
    samples = (np.round(picture * full) if full != 1.0 else picture).astype(dtype)
    hurt = samples.copy()
    hurt[mask] = full
    made = complete(hurt, mask, smooth, CELLS, FULL, grain=Grain(blur=0.5), seed=3)
    assert made.samples.dtype == samples.dtype
    assert np.array_equal(made.samples[~mask], hurt[~mask])
    assert np.array_equal(made.done, mask)
    assert abs(float(made.samples[mask].mean()) / full - 0.5) < 0.02
    assert made.error[mask] == pytest.approx(0.1)
    assert not made.error[~mask].any()
    again = complete(hurt, mask, smooth, CELLS, FULL, grain=Grain(blur=0.5), seed=3)
    assert np.array_equal(made.samples, again.samples)
    other = complete(hurt, mask, smooth, CELLS, FULL, grain=Grain(blur=0.5), seed=4)
    assert not np.array_equal(made.samples, other.samples)


def test_where_zero_is_white_the_same_comes_out_inverted(mask: NDArray[np.bool_]) -> None:
    plane = np.round((grainy(0.5, 0.05) - 0.2) * 255).astype(np.uint8)[..., None]
    made = complete(plane, mask, smooth, CELLS, FULL, grain=Grain(blur=0.5)).samples
    inverted = complete(255 - plane, mask, smooth, CELLS, FULL, grain=Grain(blur=0.5), inverted=True).samples
    assert np.abs(made.astype(int) - (255 - inverted.astype(int))).max() <= 1


def test_tiles_agree_with_the_whole(mask: NDArray[np.bool_]) -> None:
    mask = mask.copy()
    mask[10:190, 128:134] = True
    plane = np.round(grainy(0.6, 0.05) * 65535).astype(np.uint16)[..., None]
    whole = complete(plane, mask, smooth, CELLS, FULL, grain=Grain(blur=0.6), seed=5).samples
    far = max(reach(CELLS), fill_network.WIDEST + 1)
    for top in (0, 96):
        for left in (0, 130):
            bottom, right = min(top + 104, 200), min(left + 130, 260)
            first, start = max(top - far, 0), max(left - far, 0)
            part = np.s_[first : min(bottom + far, 200), start : min(right + far, 260)]
            needed = (slice(top - first, bottom - first), slice(left - start, right - start))
            made = complete(
                plane[part], mask[part], smooth, CELLS, Place(top=first, left=start, height=200, width=260),
                grain=Grain(blur=0.6), needed=needed, seed=5,
            )  # fmt: skip
            off = np.abs(made.samples[needed].astype(int) - whole[top:bottom, left:right].astype(int))
            assert off.max() <= 257  # 1/255
            outside = np.ones_like(made.done)
            outside[needed] = False
            assert not made.done[outside].any()


def test_what_lies_too_far_from_anything_sound_stays() -> None:
    mask = np.zeros((200, 260), np.bool_)
    mask[20:180, 20:240] = True
    made = complete(grainy(0.5, 0.02)[..., None], mask, smooth, CELLS, FULL, grain=Grain(blur=0.5))
    assert not made.done[90:110, 90:150].any()
    assert made.done[22, 100]


def test_hidden_and_infinite_pixels_are_not_learnt_from(mask: NDArray[np.bool_]) -> None:
    plane = grainy(0.5, 0.0001)[..., None]
    plane[91:130] = 1.0
    plane[92, 50] = np.nan
    unsound = np.zeros_like(mask)
    unsound[91:130] = True
    made = complete(plane, mask, smooth, CELLS, FULL, grain=Grain(blur=0.5), unsound=unsound)
    assert np.abs(made.samples[made.done] - 0.5).max() < 0.01
