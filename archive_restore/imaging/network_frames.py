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
    the picture. `block`: see BLOCK; `only`: bool (h, w), blocks without any of it are left 0. Raise ValueError where
    nothing is needed; else what `predict` raises.
    """
    rows, columns = needed
    if rows.stop <= rows.start or columns.stop <= columns.start:
        raise ValueError("nothing is needed")
    out: Floats | None = None
    for top, bottom in _parts(rows.start + place.top, rows.stop + place.top, block, cells.multiple):
        for left, right in _parts(columns.start + place.left, columns.stop + place.left, block, cells.multiple):
            y, x = top - place.top, left - place.left
            if only is not None and not only[y : y + bottom - top, x : x + right - left].any():
                continue
            seen, shift = _seen(planes, place, (top, bottom, left, right), cells)
            made = predict(np.ascontiguousarray(seen)[None])[0]
            if out is None:
                out = np.zeros((len(made), rows.stop - rows.start, columns.stop - columns.start), np.float32)
            y, x = y - rows.start, x - columns.start
            out[:, y : y + bottom - top, x : x + right - left] = made[
                :, shift[0] : shift[0] + bottom - top, shift[1] : shift[1] + right - left
            ]
    if out is None:
        raise ValueError("nothing is needed")
    return out


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
