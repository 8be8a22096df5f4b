"""Running a network over part of a picture: the same whatever the tiles and blocks, always at its multiples."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from archive_restore.imaging.network_frames import Cells, Place, reach, run

Floats = NDArray[np.float32]
CELLS = Cells(multiple=8, halo=12)


def blurring(planes: Floats) -> Floats:
    """A stand-in that halves its frame three times, as networks do, and looks 8 to 12 pixels around itself."""
    assert planes.shape[2] % 8 == planes.shape[3] % 8 == 0
    coarse = planes[0, 0].reshape(planes.shape[2] // 8, 8, planes.shape[3] // 8, 8).mean((1, 3))
    grown = np.kron(coarse, np.ones((8, 8), np.float32))
    smooth = cv2.blur(planes[0, 0], (9, 9), borderType=cv2.BORDER_REFLECT)
    return np.stack([grown, smooth, planes[0, 0]])[None].astype(np.float32)


def whole(plane: Floats) -> Floats:
    height, width = plane.shape
    padded = np.pad(plane, ((0, -height % 8), (0, -width % 8)), "symmetric")
    return blurring(padded[None, None])[0, :, :height, :width]


@settings(deadline=None, max_examples=150)
@given(
    st.integers(8, 130), st.integers(8, 130), st.data(), st.sampled_from([16, 40, 1000])
)  # fmt: skip
def test_any_part_agrees_with_the_whole(height: int, width: int, data: st.DataObject, block: int) -> None:
    plane = np.random.default_rng(height * 131 + width).random((height, width), np.float32)
    top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    bottom, right = data.draw(st.integers(top + 1, height)), data.draw(st.integers(left + 1, width))
    far = reach(CELLS)
    first_row, first_column = max(top - far, 0), max(left - far, 0)
    tile = plane[first_row : min(bottom + far, height), first_column : min(right + far, width)]
    needed = (slice(top - first_row, bottom - first_row), slice(left - first_column, right - first_column))
    place = Place(top=first_row, left=first_column, height=height, width=width)
    made = run(blurring, tile[None], place, needed, CELLS, block=block)
    assert np.allclose(made, whole(plane)[:, top:bottom, left:right], atol=1e-6)


def test_no_call_is_larger_than_asked_for() -> None:
    sizes = []

    def watching(planes: Floats) -> Floats:
        sizes.append(planes.shape[2:])
        return blurring(planes)

    run(
        watching,
        np.zeros((1, 400, 400), np.float32),
        Place(top=0, left=0, height=400, width=400),
        (slice(0, 400), slice(0, 400)),
        CELLS,
        block=100,
    )
    assert len(sizes) == 16
    assert max(max(size) for size in sizes) <= 100 + 2 * (CELLS.halo + CELLS.multiple)


def test_blocks_without_anything_wanted_are_passed_over() -> None:
    calls = []

    def counting(planes: Floats) -> Floats:
        calls.append(planes.shape)
        return blurring(planes)

    plane = np.random.default_rng(2).random((160, 160), np.float32)
    only = np.zeros((160, 160), np.bool_)
    only[100, 30] = True
    place, all_of_it = Place(top=0, left=0, height=160, width=160), (slice(0, 160), slice(0, 160))
    made = run(counting, plane[None], place, all_of_it, CELLS, block=80, only=only)
    assert len(calls) == 1
    assert np.allclose(made[:, 100, 30], whole(plane)[:, 100, 30], atol=1e-6)
    assert not made[:, :80].any()
    with pytest.raises(ValueError, match="nothing"):
        run(counting, plane[None], place, all_of_it, CELLS, only=only & False)


def test_what_is_wanted_is_made_as_of_the_whole_and_with_less_work() -> None:
    seen: list[int] = []

    def counting(planes: Floats) -> Floats:
        seen.append(planes.shape[2] * planes.shape[3])
        return blurring(planes)

    rng = np.random.default_rng(4)
    plane, only = rng.random((600, 600), np.float32), np.zeros((600, 600), np.bool_)
    for y, x in rng.integers(10, 590, (9, 2)):
        only[y - 6 : y + 6, x - 3 : x + 3] = True
    place, all_of_it = Place(top=0, left=0, height=600, width=600), (slice(0, 600), slice(0, 600))
    made = run(counting, plane[None], place, all_of_it, CELLS, block=300, only=only)
    assert np.allclose(made[:, only], whole(plane)[:, only], atol=1e-6)
    few = sum(seen)
    seen.clear()
    run(counting, plane[None], place, all_of_it, CELLS, block=300)
    assert few < 0.5 * sum(seen)


def test_nothing_needed_is_an_error() -> None:
    with pytest.raises(ValueError, match="nothing"):
        run(
            blurring, np.zeros((1, 8, 8), np.float32), Place(top=0, left=0, height=8, width=8),
            (slice(3, 3), slice(0, 8)), CELLS,
        )  # fmt: skip
