"""Turbulent wind near the ground: gusts that travel with the mean wind.

Spectrum of the speed after Kaimal et al. (Quarterly Journal of the Royal Meteorological Society 98, 1972) as in IEC
61400-1; gusts are carried along unchanged (Taylor's hypothesis, 1938) and lose their likeness across the wind after
Davenport (1961).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

AIR = 1.2
"""Density of air, kg/m³."""
_FREQUENCIES = 40
_DIRECTIONS = 4  # plane waves a frequency: with one alone, all places would be alike across the wind
_SLOWEST, _FASTEST = 0.03, 6.0  # Hz
_DECAY = 10.0  # of likeness across the wind, Davenport's C
_LEAST = 0.02  # share of the mean speed that a lull leaves


@dataclass(frozen=True, kw_only=True)
class Wind:
    """A mean wind with gusts, over a plane."""

    mean: float
    """Speed, m/s."""
    intensity: float
    """Standard deviation of the speed, share of the mean; 0.1 to 0.4 near the ground."""
    length: float
    """Size of the gusts along the wind, m."""
    heading: tuple[float, float]
    """Direction in which it blows; a unit vector of the plane."""

    def speeds(self, places: Floats, times: NDArray[np.float64], rng: np.random.Generator) -> Floats:
        """Speed along the heading, m/s, float32 (times, n), of `places` (n, 2) in metres at `times` in seconds."""
        edges = np.geomspace(_SLOWEST, _FASTEST, _FREQUENCIES + 1)
        frequency = np.repeat(rng.uniform(edges[:-1], edges[1:]), _DIRECTIONS)
        width = np.repeat(np.diff(edges), _DIRECTIONS) / _DIRECTIONS
        amplitude = self.intensity * self.mean * np.sqrt(2 * kaimal(frequency, self.length / self.mean) * width)
        along = places @ np.array(self.heading)
        across = places @ np.array([-self.heading[1], self.heading[0]])
        # Coherence exp(-C f d / U) across the wind: wave numbers after Cauchy's distribution (its Fourier transform).
        tilt = np.tan(np.pi * (rng.random(len(frequency)) - 0.5) * 0.98) * _DECAY * frequency / self.mean / (2 * np.pi)
        phase = rng.uniform(0, 1, len(frequency))
        still = np.exp(
            -2j * np.pi * (np.outer(frequency / self.mean, along) + np.outer(tilt, across) + phase[:, None])
        ).astype(np.complex64)
        turning = (amplitude * np.exp(2j * np.pi * np.outer(times, frequency))).astype(np.complex64)
        speeds = self.mean + (turning @ still).real
        return np.asarray(np.maximum(speeds, _LEAST * self.mean), np.float32)


def kaimal(frequency: NDArray[np.float64], time: float) -> NDArray[np.float64]:
    """Share of the variance a hertz, 1/Hz; `time` = length of the gusts / mean speed, s. Its integral from 0 is 1."""
    return np.asarray(4 * time / (1 + 6 * frequency * time) ** (5 / 3), np.float64)
