"""Reduces pictures and maps in bounded memory: pictures by exact area averages, maps by OR so that no flag is lost.

Fed in bands of rows from the top; the same result for bands of any height.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[Any]
Reduced = npt.NDArray[np.float32]
MapArray = npt.NDArray[np.uint8]

OVERVIEW_LONGEST = 2048
"""Longest edge of ports.Overview.reduced, pixels."""


class _Axis:
    """Cells of `scale` pixels along one axis; the last one may be shorter. Computed exactly, in integers."""

    def __init__(self, length: int, scale: Fraction) -> None:
        parts, whole = scale.denominator, scale.numerator  # pixel edges lie at multiples of `parts`
        self.length = length
        self.cells = -(-length * parts // whole)
        edges = [min(cell * whole, length * parts) for cell in range(self.cells + 1)]
        self.firsts = [edge // parts for edge in edges[:-1]]
        """First pixel each cell touches."""
        self.stops = [-(-edge // parts) for edge in edges[1:]]
        """One past the last pixel each cell touches: neighbours may share a pixel."""
        self.before = [edge % parts / parts for edge in edges[:-1]]
        """Share of the first pixel that lies before the cell."""
        self.after = [-edge % parts / parts for edge in edges[1:]]
        """Share of the last pixel that lies after the cell."""
        self.extents = [(end - start) / parts for start, end in pairwise(edges)]
        """Pixels each cell measures."""

    def segments(self) -> npt.NDArray[np.intp]:
        """Indices for `ufunc.reduceat` over a row with one member more: first, stop, first, stop…

        Every second result is a cell. Starts alone would not do, since neighbours may share a pixel.
        """
        return np.array([edge for both in zip(self.firsts, self.stops, strict=True) for edge in both], np.intp)

    def taps(self) -> Iterator[tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]]:
        """For each offset from the first pixel: which pixel each cell takes and the share of it, both (cells,)."""
        firsts, lasts = np.array(self.firsts, np.intp), np.array(self.stops, np.intp) - 1
        for offset in range(int((lasts - firsts).max()) + 1):
            share = (firsts + offset <= lasts).astype(np.float64)
            if offset == 0:
                share -= self.before
            # A cell that ends earlier takes its own last pixel with share 0, so that a neighbour's NaN stays away.
            yield np.minimum(firsts + offset, lasts), share - np.where(firsts + offset == lasts, self.after, 0.0)


class _Bands:
    """Gathers bands of any height into whole rows of cells, so that every cell is computed in the same way."""

    def __init__(self, width: int, height: int, longest: int) -> None:
        if width < 1 or height < 1 or longest < 1:
            raise ValueError("width, height and longest must be at least 1")
        scale = max(Fraction(max(width, height), longest), Fraction(1))
        self.scale = scale
        self.columns = _Axis(width, scale)
        self.rows = _Axis(height, scale)
        self.cell = 0
        self._kept: list[Samples] = []
        self._top = 0
        self._fed = 0

    def feed(self, band: Samples) -> Iterator[tuple[int, Samples]]:
        """Take the next rows; yield (cell row, the pixel rows it touches) for every cell row now complete."""
        if self._fed + len(band) > self.rows.length:
            raise ValueError(f"more than {self.rows.length} rows were fed")
        self._fed += len(band)
        while self.cell < self.rows.cells and self.rows.stops[self.cell] <= self._fed:
            first, stop = self.rows.firsts[self.cell], self.rows.stops[self.cell]
            start = self._fed - len(band)  # row number of band[0]
            if first >= start:
                yield self.cell, band[first - start : stop - start]
            else:
                kept = [rows[max(first - at, 0) :] for at, rows in self._positions() if at + len(rows) > first]
                yield self.cell, np.concatenate([*kept, band[: stop - start]])
            self.cell += 1
        if self.cell < self.rows.cells:
            self._keep(band, self.rows.firsts[self.cell])

    def _positions(self) -> Iterator[tuple[int, Samples]]:
        at = self._top
        for rows in self._kept:
            yield at, rows
            at += len(rows)

    def _keep(self, band: Samples, needed: int) -> None:
        """Keep copies of the rows from `needed` on: the caller may reuse its band."""
        start = self._fed - len(band)
        kept = [rows[max(needed - at, 0) :] for at, rows in self._positions() if at + len(rows) > needed]
        fresh = band[max(needed - start, 0) :]
        self._kept = [*kept, fresh.copy()] if len(fresh) else kept
        self._top = self._fed - sum(len(rows) for rows in self._kept)

    def finished(self) -> None:
        """Raise ValueError unless every row came."""
        if self._fed != self.rows.length:
            raise ValueError(f"{self._fed} of {self.rows.length} rows were fed")


class PictureReducer:
    """Area average of a picture fed in bands of rows, top to bottom; memory holds one row of cells.

    A reduced pixel covers exactly `scale`×`scale` full-size pixels, edges weighted by the share covered; those of the
    last column and row may cover less. Sums of integer samples are exact, and the result is the same bits
    for any band heights. NaN and infinity spread over the cell they lie in.
    """

    def __init__(self, width: int, height: int, samples: int, longest: int = OVERVIEW_LONGEST) -> None:
        self._bands = _Bands(width, height, longest)
        self._samples = samples
        columns = self._bands.columns
        # Indices and weights run over samples, not pixels: numpy is slow where the innermost axis has three members.
        spread = np.arange(samples)[None, :]
        self._taps = [
            ((pixels[:, None] * samples + spread).ravel(), np.repeat(shares, samples))
            for pixels, shares in columns.taps()
        ]
        self._extents = np.repeat(np.array(columns.extents), samples)
        self._out: Reduced = np.zeros((self._bands.rows.cells, columns.cells, samples), np.float32)
        self._peak = 0.0

    @property
    def scale(self) -> float:
        """Full-size pixels per reduced pixel, at least 1."""
        return float(self._bands.scale)

    @property
    def peak(self) -> float:
        """Largest finite sample of float pictures so far; 0 for integer ones, whose white is known."""
        return self._peak

    def add(self, band: Samples) -> None:
        """Add rows: (rows, width, samples), or (rows, width) for one sample; any unsigned or float dtype."""
        band = band.reshape(*band.shape[:2], -1) if band.ndim < 4 else band
        if band.shape[1:] != (self._bands.columns.length, self._samples):
            raise ValueError(f"a band of shape {band.shape} does not fit")
        if band.dtype.kind == "f" and band.size:
            self._peak = max(self._peak, float(np.max(band, initial=0, where=np.isfinite(band))))
        for cell, rows in self._bands.feed(band):
            self._out[cell] = self._reduce(cell, rows)

    def result(self) -> Reduced:
        """The reduced picture: float32 (h, w, samples) in code values; raise ValueError when rows are missing."""
        self._bands.finished()
        return self._out

    def _reduce(self, cell: int, rows: Samples) -> npt.NDArray[np.float64]:
        axis = self._bands.rows
        exact = rows.dtype.kind == "u" and rows.dtype.itemsize <= 2 and len(rows) < 1 << 16
        with np.errstate(invalid="ignore", over="ignore"):  # infinity minus infinity is NaN, as promised
            flat = rows.reshape(len(rows), -1)
            total = np.add.reduce(flat, axis=0, dtype=np.uint32 if exact else np.float64).astype(np.float64)
            if axis.before[cell]:
                total -= axis.before[cell] * flat[0].astype(np.float64)
            if axis.after[cell]:
                total -= axis.after[cell] * flat[-1].astype(np.float64)
            if self._bands.scale > 1:
                total = self._across(total) / (self._extents * axis.extents[cell])
        return np.asarray(total.reshape(-1, self._samples))

    def _across(self, total: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        sums: npt.NDArray[np.float64] = np.zeros(len(self._extents))
        for pixels, shares in self._taps:
            sums += shares * total.take(pixels)
        return sums


class MapReducer:
    """Strongest flags of a synthesis map fed in bands of rows: each cell is the OR of every pixel it touches.

    The cells are those of a PictureReducer of the same size, so that the two lie over one another.
    """

    def __init__(self, width: int, height: int, longest: int = OVERVIEW_LONGEST) -> None:
        self._bands = _Bands(width, height, longest)
        self._segments = self._bands.columns.segments()
        self._out: MapArray = np.zeros((self._bands.rows.cells, self._bands.columns.cells), np.uint8)

    @property
    def scale(self) -> float:
        """Full-size pixels per reduced pixel, at least 1."""
        return float(self._bands.scale)

    def add(self, band: MapArray) -> None:
        """Add rows: uint8 (rows, width)."""
        if band.ndim != 2 or band.shape[1] != self._bands.columns.length or band.dtype != np.uint8:
            raise ValueError(f"a map band of shape {band.shape} and {band.dtype} does not fit")
        for cell, rows in self._bands.feed(band):
            strongest = np.append(np.bitwise_or.reduce(rows, axis=0), np.uint8(0))
            self._out[cell] = np.bitwise_or.reduceat(strongest, self._segments)[::2]

    def result(self) -> MapArray:
        """The reduced map: uint8 (h, w); raise ValueError when rows are missing."""
        self._bands.finished()
        return self._out


def reduce_picture(samples: Samples, longest: int) -> Reduced:
    """Reduce a whole picture (h, w, samples) so that its longest edge is at most `longest`."""
    reducer = PictureReducer(samples.shape[1], samples.shape[0], samples.shape[2], longest)
    reducer.add(samples)
    return reducer.result()


def reduce_map(flags: MapArray, longest: int) -> MapArray:
    """Reduce a whole map (h, w) so that its longest edge is at most `longest`, losing no flag."""
    reducer = MapReducer(flags.shape[1], flags.shape[0], longest)
    reducer.add(flags)
    return reducer.result()
