"""Motion of a still's regions as a network has learnt it from simulations: models/motion-spectra.

Only the coefficients are the network's. That a clip loops, how much moves, and that nothing moves outside of its region
is seen to by SpectralMotion, as for noise. The network sees each region by itself, reduced; what it draws depends on
the seed alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from archive_restore.imaging.motion import COARSE, SMOOTHEST, Cells, Moving, SpectralMotion, Volume
from archive_restore.imaging.motion_spectra import EDGE, GRID, KINDS, PERIODS, SECONDS, Coefficients, spectrum_of

Floats = NDArray[np.float32]

MODEL = "motion-spectra"
"""Name of the model."""
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


class LearnedMotion(SpectralMotion):
    """Motion in Fourier coefficients that a network draws; kinds it has not learnt move as SpectralMotion says."""

    def __init__(
        self,
        samples: NDArray[np.uint8],
        predict: Callable[[Floats], Floats],
        regions: Sequence[Moving],
        *,
        frames: int,
        rate: float,
        seed: int,
        loops: bool = True,
    ) -> None:
        """`samples`: the still, (h, w, 3) sRGB; `predict`: MODEL's, (1, 7, EDGE, EDGE) to (1, 4·periods, GRID, GRID).

        Raise what `predict` raises.
        """
        self._samples, self._predict = samples, predict
        super().__init__(samples.shape[:2], regions, frames=frames, rate=rate, seed=seed, loops=loops)

    def _volume(self, cells: Cells) -> Volume:
        if cells.region.spectrum.name not in KINDS:
            return super()._volume(cells)
        # The network sees a square around the region.
        rows, columns = cells.mask.shape
        edge = max(rows, columns)
        top, left = cells.rows.start - (edge - rows) // 2, cells.columns.start - (edge - columns) // 2
        square = _Square(top=top * COARSE, left=left * COARSE, edge=edge * COARSE)
        luma = square.cut(self._samples, EDGE, cv2.BORDER_REPLICATE) @ _LUMA / np.float32(255)
        region = square.cut(cells.region.mask, EDGE, cv2.BORDER_CONSTANT) / np.float32(255)
        planes = given(cells.region.spectrum.name, luma, region, chance(cells.seed, cells.index))
        spectrum = spectrum_of(self._predict(planes[None])[0])
        inner = slice(cells.rows.start - top, cells.rows.start - top + rows)
        across = slice(cells.columns.start - left, cells.columns.start - left + columns)
        return volume(spectrum, edge, inner, across, cells.seconds)


def given(kind: str, luma: Floats, region: Floats, noise: Floats) -> Floats:
    """What the network takes (7, EDGE, EDGE): luma, region, one plane for each of KINDS, and noise, all in [0, 1]."""
    which = [np.full((EDGE, EDGE), name == kind, np.float32) for name in KINDS]
    return np.clip(np.stack([luma, region, *which, noise]), 0, 1).astype(np.float32)


def chance(seed: int, index: int) -> Floats:
    """Even noise (EDGE, EDGE) in [0, 1) for a region, the same wherever it is made: see core.model_contracts."""
    bits = np.random.Philox(key=np.array([seed & (2**64 - 1), 0x1EA2 + index], np.uint64))
    words = bits.random_raw(EDGE * EDGE // 2).astype("<u8").view("<u4")
    return ((words >> 8).astype(np.float32) * np.float32(2**-24)).reshape(EDGE, EDGE)


def volume(spectrum: Coefficients, edge: int, rows: slice, columns: slice, seconds: float) -> Volume:
    """The spectrum of a square of `edge` cells as a volume of a part of it, in a clip of `seconds`.

    Every period goes to the nearest whole number of turns, at least one; those that meet there add up. Where matter
    goes one way, a pixel shows what was on the other side: the flow is the displacement turned round.
    """
    count = len(PERIODS)
    numbers = np.concatenate([spectrum.real, spectrum.imag]).astype(np.float32)
    how = cv2.INTER_CUBIC if edge > GRID else cv2.INTER_AREA
    large = np.stack([
        cv2.GaussianBlur(cv2.resize(plane, (edge, edge), interpolation=how), (0, 0), SMOOTHEST,
                         borderType=cv2.BORDER_REPLICATE)[rows, columns]
        for plane in numbers
    ])  # fmt: skip
    turns = [max(1, round(period / SECONDS * seconds)) for period in PERIODS]
    harmonics = tuple(sorted(set(turns)))
    parts = np.zeros((2 * len(harmonics), *large.shape[1:]), np.float32)
    for k, turn in enumerate(turns):
        at = 2 * harmonics.index(turn)
        parts[at] -= large[k]
        parts[at + 1] += large[count + k]  # Re((a + bi)·exp(iωt)) = a·cos ωt - b·sin ωt
    return Volume(harmonics=harmonics, parts=parts)


class _Square:
    """A square of the still, which may reach beyond it."""

    def __init__(self, *, top: int, left: int, edge: int) -> None:
        self.top, self.left, self.edge = top, left, edge

    def cut(self, plane: NDArray[np.uint8], size: int, border: int) -> Floats:
        """`plane` (h, w, …) there, reduced or enlarged to (size, size, …)."""
        height, width = plane.shape[:2]
        top, left = max(self.top, 0), max(self.left, 0)
        bottom, right = min(self.top + self.edge, height), min(self.left + self.edge, width)
        part = cv2.copyMakeBorder(
            np.ascontiguousarray(plane[top:bottom, left:right]), top - self.top, self.top + self.edge - bottom,
            left - self.left, self.left + self.edge - right, border,
        )  # fmt: skip
        how = cv2.INTER_AREA if self.edge >= size else cv2.INTER_LINEAR
        return np.asarray(cv2.resize(part, (size, size), interpolation=how), np.float32)
