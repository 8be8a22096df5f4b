"""Damped oscillators under a force that is straight between its samples, without an error of integration."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]


def respond(
    push: Doubles, angular: Doubles, damping: Doubles, step: float, *, start: tuple[Doubles, Doubles] | None = None
) -> tuple[Doubles, Doubles]:
    """Displacement and velocity of q'' + 2ζωq' + ω²q = push, both (steps, n).

    `push` (steps, n) at times `step` seconds apart and straight between; `angular` (n,) ω in rad/s; `damping` (n,) ζ in
    [0, 1); `start`: displacement and velocity (n,) at the first sample, else rest under the first push. The exact
    solution is taken from sample to sample.
    """
    ring = angular * np.sqrt(1 - damping**2)
    fade = np.exp(-damping * angular * step)
    cos, sin = np.cos(ring * step), np.sin(ring * step)
    place = np.empty_like(push)
    speed = np.empty_like(push)
    place[0], speed[0] = (push[0] / angular**2, np.zeros_like(angular)) if start is None else start
    # A force that grows evenly is followed by (push - 2ζ/ω · growth) / ω² at the speed growth / ω².
    growth = np.diff(push, axis=0) / step
    follows = growth / angular**2
    lag = 2 * damping / angular
    for k in range(len(push) - 1):
        off = place[k] - (push[k] / angular**2 - lag * follows[k])
        drift = speed[k] - follows[k]
        swing = (drift + damping * angular * off) / ring
        place[k + 1] = fade * (off * cos + swing * sin) + push[k + 1] / angular**2 - lag * follows[k]
        speed[k + 1] = fade * (drift * cos - (angular * off + damping * drift) * angular / ring * sin) + follows[k]
    return place, speed
