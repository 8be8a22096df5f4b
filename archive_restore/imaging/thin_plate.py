"""A smooth map of the plane through pairs of points: the thin-plate spline (F. L. Bookstein, 1989)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]


class ThinPlate:
    """Maps points (n, 2) near `at` to points near `to`, both (k, 2); `smoothing` lets it miss them a little.

    The unit of the points should be of the size of what is mapped.
    """

    def __init__(self, at: Points, to: Points, smoothing: float = 0.0) -> None:
        count = len(at)
        self._at = at
        system = np.zeros((count + 3, count + 3))
        system[:count, :count] = self._bending(at) + smoothing * np.eye(count)
        system[:count, count] = system[count, :count] = 1
        system[:count, count + 1 :] = at
        system[count + 1 :, :count] = at.T
        self._weights = np.linalg.solve(system, np.concatenate([to, np.zeros((3, 2))]))

    def __call__(self, points: Points) -> Points:
        """Where points (n, 2) go."""
        out = np.empty_like(points)
        for start in range(0, len(points), 4096):
            part = points[start : start + 4096]
            basis = np.concatenate([self._bending(part), np.ones((len(part), 1)), part], axis=1)
            out[start : start + 4096] = basis @ self._weights
        return out

    def _bending(self, points: Points) -> Points:
        squared = ((points[:, None] - self._at[None]) ** 2).sum(axis=2)
        return np.asarray(0.5 * squared * np.log(squared + 1e-12))
