"""What a motion spectrum is to the simulators, the network that learns from them, and whoever uses it.

A motion spectrum holds, for every cell of a grid, the Fourier coefficients of its path (Li et al., Generative Image
Dynamics, CVPR 2024, section 3). Frequencies are whole periods of a record of SECONDS, evenly spread in pitch; each
stands for the band around it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Coefficients = NDArray[np.complex64]
"""(periods, rows, columns, 2): x to the right and y down are Re(sum of coefficient · exp(2πi·f·t))."""

KINDS = ("fabric", "foliage", "grass", "water")
"""What is simulated and learnt: names of presets of archive_restore.imaging.motion."""
EDGE = 64
"""Rows and columns of a still."""
GRID = 32
"""Rows and columns of a spectrum."""
SECONDS = 16
"""Length of the record that a spectrum is taken of."""
PERIODS = (2, 3, 4, 5, 6, 8, 11, 15, 20, 27, 36, 48)
"""Whole periods in SECONDS: 0.125 to 3 Hz."""


def band_widths() -> NDArray[np.float64]:
    """Bins of 1/SECONDS in the band that each of PERIODS stands for: all that are nearer to it than to the next."""
    periods = np.array(PERIODS, np.float64)
    between = np.sqrt(periods[1:] * periods[:-1])
    edges = np.concatenate([[periods[0] ** 2 / between[0]], between, [periods[-1] ** 2 / between[-1]]])
    return np.maximum(np.diff(edges), 1.0)


def planes_of(spectrum: Coefficients) -> Floats:
    """(4·periods, rows, columns): real x, imaginary x, real y, imaginary y of every period."""
    x, y = spectrum[..., 0], spectrum[..., 1]
    parts = np.stack([x.real, x.imag, y.real, y.imag], axis=1)
    return np.ascontiguousarray(parts.reshape(-1, *spectrum.shape[1:3]), np.float32)


def spectrum_of(planes: Floats) -> Coefficients:
    """What `planes_of` was given."""
    parts = planes.reshape(-1, 2, 2, *planes.shape[1:])
    return np.asarray(np.moveaxis(parts[:, :, 0] + 1j * parts[:, :, 1], 1, -1), np.complex64)
