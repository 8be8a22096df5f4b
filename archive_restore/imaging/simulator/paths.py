"""Lines as nature draws them: wandering, jagged, tapered, interrupted. Points in px, (n, 2), x then y."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from archive_restore.imaging.simulator.noise import Path, wave


def wander(
    rng: np.random.Generator, start: Path, angle: float, length: float, bend: float, drift: float, step: float
) -> Path:
    """A smooth path of about `length` px in steps of `step` px; `bend` is its curvature and `drift` the random walk of
    the curvature, both in radians a pixel."""
    count = int(np.clip(length / step, 2, 2000))
    curvature = bend + np.cumsum(rng.normal(0.0, drift, count)) * np.sqrt(step)
    heading = angle + np.cumsum(curvature) * step
    moves = np.stack([np.cos(heading), np.sin(heading)], 1) * step
    return np.concatenate([start[None], start + np.cumsum(moves, 0)])


def jagged(rng: np.random.Generator, start: Path, end: Path, roughness: float, step: float) -> Path:
    """A crack between two points: midpoint displacement down to pieces of about `step` px."""
    points = np.stack([start, end])
    levels = int(np.clip(np.ceil(np.log2(max(float(np.hypot(*(end - start))) / max(step, 0.5), 1.0))), 1, 9))
    for _ in range(levels):
        gap = np.diff(points, axis=0)
        normal = np.stack([-gap[:, 1], gap[:, 0]], 1)
        # Not at the middle and not evenly: real cracks have long straight runs and sudden turns.
        where = rng.uniform(0.3, 0.7, (len(gap), 1))
        push = np.clip(rng.standard_t(3.0, (len(gap), 1)), -3, 3) * roughness
        middle = points[:-1] + gap * where + normal * push
        grown = np.empty((len(points) + len(middle), 2))
        grown[0::2], grown[1::2] = points, middle
        points = grown
    return points


def resample(points: Path, step: float) -> Path:
    """The same polyline with points at equal distances of about `step` px."""
    lengths = np.hypot(*np.diff(points, axis=0).T)
    along = np.concatenate([[0.0], np.cumsum(lengths)])
    at = np.linspace(0.0, along[-1], max(int(along[-1] / step), 1) + 1)
    return np.stack([np.interp(at, along, points[:, 0]), np.interp(at, along, points[:, 1])], 1)


def normals(points: Path) -> Path:
    """Unit normals (n, 2) of a path."""
    along = np.gradient(points, axis=0)
    along /= np.maximum(np.hypot(along[:, :1], along[:, 1:]), 1e-9)
    return np.stack([-along[:, 1], along[:, 0]], 1)


def taper(count: int, share: float) -> NDArray[np.float64]:
    """1 in the middle and falling to 0 over `share` of each end, (count,)."""
    at = np.linspace(0.0, 1.0, count)
    return np.clip(np.minimum(at, 1 - at) / max(share, 1e-6), 0.0, 1.0)


def gaps(rng: np.random.Generator, count: int, period: float, missing: float) -> NDArray[np.float64]:
    """0 where the tool skipped and 1 where it touched, soft between; `missing` is about the share of 0."""
    return np.clip((wave(rng, count, period) - missing) * 5.0 + 0.5, 0.0, 1.0)


def blob(rng: np.random.Generator, radius: float, roughness: float, stretch: float, points: int = 14) -> Path:
    """A closed irregular outline around (0, 0): angular when few points and rough, round when neither."""
    return np.asarray(blobs(rng, np.array([radius]), roughness, np.array([stretch]), points)[0])


def blobs(
    rng: np.random.Generator, radii: NDArray[np.float64], roughness: float, stretch: NDArray[np.float64], points: int
) -> NDArray[np.float64]:
    """Many outlines of equally many points: (m, points, 2) px for m radii and stretches."""
    many, sector = len(radii), 2 * np.pi / points
    turn = (rng.random((many, points)) * 0.8 + np.arange(points)) * sector
    noise = rng.standard_normal((many, points))
    if points >= 10:  # lobes and not spikes: neighbours keep together
        noise = (np.roll(noise, 1, 1) + 1.5 * noise + np.roll(noise, -1, 1)) / 2.06
        noise = (np.roll(noise, 1, 1) + noise) / 1.75
    reach = radii[:, None] * np.clip(1 + roughness * noise, 0.25, 2.2)
    x, y = reach * np.cos(turn) * stretch[:, None], reach * np.sin(turn) / np.sqrt(stretch)[:, None]
    tilt = rng.uniform(0, np.pi, (many, 1))
    c, s = np.cos(tilt), np.sin(tilt)
    return np.stack([x * c - y * s, x * s + y * c], 2)
