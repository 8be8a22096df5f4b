"""Runs a network over part of a picture, so that tiles agree with the whole and memory does not grow with it.

A network halves its frame a few times: its first row and column must lie at a multiple of its cells in the picture,
and it must see a halo around what is used. At the lower and right edges of the picture the frame is mirrored up to
the next multiple, in a tile as in the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Predict = Callable[[Floats], Floats]
"""(1, c, h, w) float32 to (1, k, h, w), h and w multiples of the network's cells."""

GRID = 64
"""Pixels between the edges of what is run of a block."""
_WORTH = 0.9  # a cut must save at least a tenth
BLOCK = 704
"""Longest edge of what is used of one call, pixels: bounds the memory of a call."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where an array lies in a picture."""

    top: int
    left: int
    height: int
    """Of the picture, pixels."""
    width: int


@dataclass(frozen=True, kw_only=True)
class Cells:
    """What the network asks for."""

    multiple: int
    """First row and column, height and width are multiples of it."""
    halo: int
    """Pixels around what is used that it must see."""


def reach(cells: Cells) -> int:
    """Pixels that a tile must have around what is needed of it, so that `run` can cut at multiples."""
    return cells.halo + cells.multiple


def wider(part: tuple[slice, slice], margin: int, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Rows and columns with `margin` more on every side, as far as an array of `shape` reaches."""
    rows, columns = (
        slice(max(side.start - margin, 0), min(side.stop + margin, size))
        for side, size in zip(part, shape, strict=True)
    )
    return rows, columns


def inside(part: tuple[slice, slice], whole: tuple[slice, slice]) -> tuple[slice, slice]:
    """The same rows and columns, counted from the first ones of `whole`."""
    rows, columns = (
        slice(side.start - around.start, side.stop - around.start) for side, around in zip(part, whole, strict=True)
    )
    return rows, columns


def run(
    predict: Predict,
    planes: Floats,
    place: Place,
    needed: tuple[slice, slice],
    cells: Cells,
    *,
    block: int = BLOCK,
    only: NDArray[np.bool_] | None = None,
) -> Floats:
    """Give the network's planes for `needed` (rows and columns of `planes`), float32 (k, rows, columns).

    `planes`: float32 (c, h, w), which lie at `place` and reach `reach(cells)` pixels beyond `needed` or to the edge of
    the picture. `block`: see BLOCK; `only`: bool (h, w), what lies around it may be left 0. Raise ValueError where
    nothing is needed; else what `predict` raises.
    """
    rows, columns = needed
    if rows.stop <= rows.start or columns.stop <= columns.start:
        raise ValueError("nothing is needed")
    out: Floats | None = None
    for top, bottom in _parts(rows.start + place.top, rows.stop + place.top, block, cells.multiple):
        for left, right in _parts(columns.start + place.left, columns.stop + place.left, block, cells.multiple):
            y, x = top - place.top, left - place.left
            block_of = slice(y, y + bottom - top), slice(x, x + right - left)
            for part in (block_of,) if only is None else _wanted(only, block_of, reach(cells)):
                (y, to_y), (x, to_x) = ((side.start, side.stop) for side in part)
                here = (y + place.top, to_y + place.top, x + place.left, to_x + place.left)
                seen, shift = _seen(planes, place, here, cells)
                made = predict(np.ascontiguousarray(seen)[None])[0]
                if out is None:
                    out = np.zeros((len(made), rows.stop - rows.start, columns.stop - columns.start), np.float32)
                out[:, y - rows.start : to_y - rows.start, x - columns.start : to_x - columns.start] = made[
                    :, shift[0] : shift[0] + to_y - y, shift[1] : shift[1] + to_x - x
                ]
    if out is None:
        raise ValueError("nothing is needed")
    return out


def _wanted(only: NDArray[np.bool_], part: tuple[slice, slice], around: int) -> Iterator[tuple[slice, slice]]:
    """Rectangles inside of `part` that hold all that is wanted of it, cut in two wherever that is less work.

    Work is area, with `around` pixels on every side.
    """
    box = _box(only, part)
    if box is None:
        return
    longer = 0 if box[0].stop - box[0].start >= box[1].stop - box[1].start else 1
    middle = (box[longer].start + box[longer].stop) // 2 // GRID * GRID
    if not box[longer].start < middle < box[longer].stop:
        yield box
        return
    halves = []
    for side in (slice(box[longer].start, middle), slice(middle, box[longer].stop)):
        half = (side, box[1]) if longer == 0 else (box[0], side)
        found = _box(only, half)
        if found is not None:
            halves.append(found)
    if sum(_work(half, around) for half in halves) < _WORTH * _work(box, around):
        for half in halves:
            yield from _wanted(only, half, around)
    else:
        yield box


def _box(only: NDArray[np.bool_], part: tuple[slice, slice]) -> tuple[slice, slice] | None:
    """A rectangle that holds what is wanted of a part; None where nothing is.

    Its edges lie on a grid of GRID pixels, or are those of the part: networks keep what they prepared for every shape.
    """
    here = only[part]
    found = np.flatnonzero(here.any(axis=1)), np.flatnonzero(here.any(axis=0))
    if not len(found[0]):
        return None
    rows, columns = (
        slice(
            max(int(places[0] + side.start) // GRID * GRID, side.start),
            min(-(-int(places[-1] + side.start + 1) // GRID) * GRID, side.stop),
        )
        for places, side in zip(found, part, strict=True)
    )
    return rows, columns


def _work(part: tuple[slice, slice], around: int) -> int:
    rows, columns = part
    return int((rows.stop - rows.start + 2 * around) * (columns.stop - columns.start + 2 * around))


def _parts(first: int, last: int, block: int, multiple: int) -> Iterator[tuple[int, int]]:
    """Cut a range of the picture into equal parts of at most about `block`, at multiples."""
    count = max(1, -(-(last - first) // block))
    edges = [first + (last - first) * k // count // multiple * multiple for k in range(1, count)]
    cuts = [first, *(edge for edge in edges if first < edge < last), last]
    yield from pairwise(cuts)


def _seen(
    planes: Floats, place: Place, part: tuple[int, int, int, int], cells: Cells
) -> tuple[Floats, tuple[int, int]]:
    """What the network is given for a part, and where the part lies in it."""
    top, bottom, left, right = part
    height, width = planes.shape[1:]
    cuts, shift, pads = [], [], [(0, 0)]
    for start, stop, offset, here, frame in (
        (top, bottom, place.top, height, place.height),
        (left, right, place.left, width, place.width),
    ):
        first = max((start - cells.halo) // cells.multiple * cells.multiple, 0)
        last = -(-(stop + cells.halo) // cells.multiple) * cells.multiple
        # A tile may end a little earlier than the multiple wanted: then at the one before.
        if first < offset:
            first = -(-offset // cells.multiple) * cells.multiple
        beyond = max(last - frame, 0) if offset + here >= frame else 0
        if not beyond and last > offset + here:
            last = (offset + here) // cells.multiple * cells.multiple
        beyond = min(beyond, -frame % cells.multiple)
        end = min(last, frame) if beyond or last > frame else last
        cuts.append(slice(first - offset, end - offset))
        pads.append((0, beyond))
        shift.append(start - first)
    seen = planes[:, cuts[0], cuts[1]]
    if pads[1][1] or pads[2][1]:
        seen = np.pad(seen, pads, "symmetric")
    return seen, (shift[0], shift[1])
