"""What a simulator gives: a still and the paths of its points; and the motion spectrum of a part of them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from archive_restore.imaging.motion_spectra import GRID, PERIODS, SECONDS, Coefficients, Floats, band_widths

RATE = 16
"""Places a second in a recording."""
WARM_UP = 6.0
"""Seconds that a simulation runs before it is recorded, so that it has forgotten its beginning."""
_FAINT, _FAR = 1e-3, 4.0  # where no point is near, those that lie so many times as far speak with this weight


@dataclass(frozen=True, kw_only=True)
class Recording:
    """One simulated scene, seen in a square frame."""

    kind: str
    """Name of a preset of archive_restore.imaging.motion."""
    still: Floats
    """(EDGE, EDGE) luma in [0, 1], at rest in the mean wind."""
    mask: Floats
    """(EDGE, EDGE) share of each pixel that belongs to what moves, 0..1."""
    places: Floats
    """(n, 2) mean x and y of points of it, shares of the frame's edge."""
    weights: Floats
    """(n,) how much of the point is seen."""
    spread: float
    """How far around it a point speaks for what moves, share of the frame's edge."""
    moves: Floats
    """(steps, n, 2) displacement at RATE from those places, x to the right and y down, shares of the frame's edge."""

    @property
    def records(self) -> int:
        """Records of SECONDS that follow one another in it."""
        return len(self.moves) // (RATE * SECONDS)

    def fields(self, grid: int = GRID) -> Floats:
        """Displacement over time on a grid, (steps, grid, grid, 2), shares of the frame's edge."""
        flat = self.moves.reshape(len(self.moves), -1, 2)
        return np.stack([self._spread_out(step, grid) for step in flat])

    def spectrum(self, record: int = 0, grid: int = GRID) -> Coefficients:
        """Coefficients (periods, grid, grid, 2) so that the displacement is Re(sum of spectrum · exp(2πi·f·t)).

        A Hann window keeps motion slower than the record out of the other frequencies. A coefficient is scaled so that
        its square holds the energy of its band: all frequencies nearer to it than to its neighbours.
        """
        steps = RATE * SECONDS
        part = self.moves[record * steps : (record + 1) * steps].reshape(steps, -1)
        part = part - part.mean(axis=0)
        window = np.hanning(steps + 1)[:-1]
        turns = np.exp(-2j * np.pi * np.outer(PERIODS, np.arange(steps)) / steps)
        # The window spreads a line over 1.5 bins (its equivalent noise bandwidth; Harris 1978).
        widths = np.sqrt(band_widths() / 1.5)
        found = (turns * window * (2 / window.sum()) * widths[:, None]).astype(np.complex64) @ part
        planes = np.concatenate([found.real, found.imag]).reshape(2 * len(PERIODS), -1, 2)
        made = np.stack([self._spread_out(plane.astype(np.float32), grid) for plane in planes])
        return np.asarray(made[: len(PERIODS)] + 1j * made[len(PERIODS) :], np.complex64)

    def _spread_out(self, values: Floats, grid: int) -> Floats:
        """Values (n, 2) of the points as a field (grid, grid, 2), zero where nothing moves."""
        cell = np.clip((self.places * grid).astype(np.int64), 0, grid - 1)
        inside = ((self.places >= 0) & (self.places < 1)).all(axis=1)
        index, weights = (cell[:, 1] * grid + cell[:, 0])[inside], self.weights[inside]
        planes = [weights, *(weights * values[inside, axis] for axis in (0, 1))]
        sums = np.stack([np.bincount(index, plane, grid * grid) for plane in planes], axis=-1)
        plane = sums.reshape(grid, grid, 3).astype(np.float32)
        smooth = _blurred(plane, self.spread * grid) + _FAINT * _blurred(plane, _FAR * self.spread * grid)
        total = smooth[..., :1]
        share = cv2.resize(self.mask, (grid, grid), interpolation=cv2.INTER_AREA)[..., None]
        known = (total > _FAINT**2 * float(total.mean())) & (share > 0)
        return np.asarray(np.where(known, smooth[..., 1:] / np.maximum(total, 1e-20), 0), np.float32)


def _blurred(plane: Floats, sigma: float) -> Floats:
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), max(sigma, 0.3), borderType=cv2.BORDER_REPLICATE), np.float32)
