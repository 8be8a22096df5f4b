"""A tile with its halo gives, bit for bit, what the whole picture gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from archive_restore.errors import UsageError
from archive_restore.imaging import damage, infrared, inpaint, losses, tone
from archive_restore.imaging.tiles import Tile, grid
from tests.benchmarks.fit_damage_scores import photograph
from tests.support.synthetic_damage import damage as make_damage
from tests.support.synthetic_damage import luma_of


def by_tiles(
    shape: tuple[int, int], edge: int, halo: int, work: Callable[[Tile], NDArray[Any]], like: NDArray[Any]
) -> NDArray[Any]:
    out = np.zeros_like(like)
    for band in grid(*shape, edge=edge, halo=halo):
        for tile in band:
            core = tile.core
            out[core.top : core.bottom, core.left : core.right] = work(tile)[tile.crop]
    return out


def cut(plane: NDArray[Any], tile: Tile) -> NDArray[Any]:
    return plane[tile.read.top : tile.read.bottom, tile.read.left : tile.read.right]


@settings(deadline=None)
@given(st.integers(1, 150), st.integers(1, 150), st.integers(3, 60), st.integers(0, 40))
def test_cores_cover_the_frame_once_and_reads_start_aligned(height: int, width: int, half: int, halo: int) -> None:
    seen = np.zeros((height, width), np.uint8)
    for band in grid(height, width, edge=2 * half, halo=halo):
        for tile in band:
            seen[tile.core.top : tile.core.bottom, tile.core.left : tile.core.right] += 1
            assert tile.read.top % 2 == 0
            assert tile.read.left % 2 == 0
            assert tile.read.top == 0 or tile.core.top - tile.read.top >= halo
            assert tile.read.right == width or tile.read.right - tile.core.right >= halo
            rows, columns = tile.crop
            assert (rows.stop - rows.start, columns.stop - columns.start) == (tile.core.height, tile.core.width)
    assert (seen == 1).all()


def test_a_grid_that_cannot_be_laid_is_refused() -> None:
    with pytest.raises(UsageError, match="multiple of 2"):
        list(grid(10, 10, edge=7, halo=2))


@pytest.fixture(scope="module")
def damaged() -> NDArray[np.float32]:
    return make_damage(photograph("nagasaki-boats")[200:721, 300:953], 3).picture


@pytest.mark.parametrize("edge", [256, 198])
def test_detection(damaged: NDArray[np.float32], edge: int) -> None:
    luma = luma_of(damaged)
    seen = damage.survey(luma)
    parameters = damage.DamageParameters(threshold=0.5)
    whole = damage.detect(luma, parameters, seen)
    assert len(np.unique(whole)) == 5
    tiled = by_tiles(luma.shape, edge, damage.HALO, lambda t: damage.detect(cut(luma, t), parameters, seen), whole)
    assert np.array_equal(tiled, whole)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_fill(damaged: NDArray[np.float32], dtype: str) -> None:
    full = np.iinfo(dtype).max if dtype.startswith("u") else 1.0
    samples = (np.round(damaged * full) if full != 1.0 else damaged).astype(dtype)
    luma = luma_of(damaged)
    mask = inpaint.with_rim(damage.detect(luma, damage.DamageParameters(), damage.survey(luma)) > 0)
    whole, done = inpaint.fill(samples, mask, seed=5)

    def work(t: Tile) -> NDArray[Any]:
        return inpaint.fill(cut(samples, t), cut(mask, t), seed=5, origin=(t.read.top, t.read.left))[0]

    assert done.sum() > 1000
    assert np.array_equal(by_tiles(luma.shape, 256, inpaint.HALO, work, whole), whole)


def test_split_by_width(damaged: NDArray[np.float32]) -> None:
    rng = np.random.default_rng(1)
    mask = np.zeros(damaged.shape[:2], np.bool_)
    for _ in range(60):
        y, x, h, w = rng.integers(0, 480), rng.integers(0, 600), *rng.integers(1, 60, 2)
        mask[y : y + h, x : x + w] = True
    thin, loss = inpaint.split_by_width(mask, 12)
    assert not (thin & loss).any()
    assert np.array_equal(thin | loss, mask)
    assert thin.any()
    assert loss.any()
    tiled = by_tiles(mask.shape, 128, inpaint.HALO, lambda t: inpaint.split_by_width(cut(mask, t), 12)[1], loss)
    assert np.array_equal(tiled, loss)


@pytest.mark.parametrize("kind", list(losses.Infill))
def test_infill(damaged: NDArray[np.float32], kind: losses.Infill) -> None:
    samples = np.round(damaged * 65535).astype(np.uint16)
    loss = np.zeros(samples.shape[:2], np.bool_)
    loss[100:300, 50:420] = True
    around = inpaint.with_rim(loss, 2)
    mean = losses.mean_tone(damaged)
    whole = losses.infill(samples, loss, around, kind, mean, seed=9)

    def work(t: Tile) -> NDArray[Any]:
        return losses.infill(
            cut(samples, t), cut(loss, t), cut(around, t), kind, mean, seed=9, origin=(t.read.top, t.read.left)
        )

    assert np.array_equal(by_tiles(loss.shape, 160, losses.HALO, work, whole), whole)


def test_infrared(damaged: NDArray[np.float32]) -> None:
    rng = np.random.default_rng(4)
    red = damaged[..., 0]
    ir = np.clip(0.8 + 0.05 * red + rng.normal(0, 0.01, red.shape), 0, 1).astype(np.float32)
    ir[100:103, 50:400] *= 0.5
    seen = infrared.survey_infrared(ir, red)
    parameters = infrared.InfraredParameters()
    whole = infrared.detect_infrared(ir, red, parameters, seen)
    assert whole.any()
    tiled = by_tiles(
        red.shape,
        130,
        infrared.HALO,
        lambda t: infrared.detect_infrared(cut(ir, t), cut(red, t), parameters, seen),
        whole,
    )
    assert np.array_equal(tiled, whole)


def test_tone(damaged: NDArray[np.float32]) -> None:
    samples = np.round((0.2 + 0.5 * damaged) * 65535).astype(np.uint16)
    seen = tone.survey_tone(luma_of(samples / np.float32(65535)), tone.ToneParameters(illumination=0.7))
    frame = samples.shape[:2]
    whole = tone.apply_tone(samples, seen, origin=(0, 0), frame=frame)
    tiled = by_tiles(
        frame,
        100,
        0,
        lambda t: tone.apply_tone(cut(samples, t), seen, origin=(t.read.top, t.read.left), frame=frame),
        whole,
    )
    assert (whole != samples).any()
    assert np.array_equal(tiled, whole)
