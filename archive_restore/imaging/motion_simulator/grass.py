"""A field of blades, each a cantilever, under gusts that travel over it.

A blade bends in its first two modes (Euler-Bernoulli beam: Blevins, Formulas for Natural Frequency and Mode Shape,
1979, table 8-1). Drag of the wind pushes it; its own speed is counted as damping. Waves of a field in wind ("honami")
are those of the gusts: Py, de Langre and Moulia, Journal of Fluid Mechanics 568, 2006.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from archive_restore.imaging.motion_simulator import drawing
from archive_restore.imaging.motion_simulator.oscillators import respond
from archive_restore.imaging.motion_simulator.recording import RATE, WARM_UP, Recording
from archive_restore.imaging.motion_simulator.wind import AIR, Wind

Doubles = NDArray[np.float64]

BETA = (1.8751041, 4.6940911)
"""Roots of cos β cosh β = -1: the first two modes of a cantilever."""
_VARIED = 0.125  # share by which lengths differ
_POINTS = 6  # of a blade that are followed
_OVERSAMPLED = 2  # steps a sample of the recording
_STRONGEST = 0.35  # share of its length by which the tip of a blade leans at most, where beams stay nearly straight


@dataclass(frozen=True, kw_only=True)
class Grass:
    """A field and how it is looked at."""

    blades: int
    length: float
    """Of a blade, m; single ones differ by an eighth."""
    radius: float
    """Of a stalk, m."""
    stiffness: float
    """Young's modulus, Pa: 0.5e9 to 6e9 for green stalks."""
    density: float
    """kg/m³."""
    width: float
    """Of what catches the wind, m: leaves and ears too."""
    damping: float
    """Share of critical damping in wind, 0.05 to 0.3."""
    wind: Wind
    """Its plane is the ground: across the view, and away from the viewer."""
    eye: float
    """Height of the camera above the ground, m."""
    near: float
    """Distance of the ground at the lower edge of the frame, m."""
    far: float
    """Distance of the last blades, m."""

    def frequency(self, mode: int = 0) -> float:
        """Of a mode of a blade of mean length, Hz: β²/2π · √(EI/μL⁴)."""
        return float(_angular(self, np.array([self.length]))[mode, 0] / (2 * np.pi))


def shape(mode: int, share: Doubles) -> Doubles:
    """Displacement of a cantilever along it, 0 at the root (0) and 1 at the tip (1)."""
    beta = BETA[mode]
    ratio = (np.cosh(beta) + np.cos(beta)) / (np.sinh(beta) + np.sin(beta))

    def bent(z: Doubles) -> Doubles:
        return np.asarray(np.cosh(beta * z) - np.cos(beta * z) - ratio * (np.sinh(beta * z) - np.sin(beta * z)))

    return np.asarray(bent(share) / bent(np.ones(1)), np.float64)


def _angular(grass: Grass, lengths: Doubles) -> Doubles:
    """ω of both modes, rad/s, (2, n)."""
    bending = grass.stiffness * np.pi * grass.radius**4 / 4
    mass = grass.density * np.pi * grass.radius**2
    return np.array(BETA)[:, None] ** 2 * np.sqrt(bending / mass / lengths**4)


def simulate(grass: Grass, seconds: float, rng: np.random.Generator) -> Recording:
    """A recording of a field."""
    # The ground is seen from its near edge, at the lower border of the frame, to its far one; 1/distance is even down
    # the frame (a level camera).
    horizon = float(rng.uniform(-0.3, 0.2))
    focal = (1.0 - horizon) * grass.near / grass.eye
    away = 1 / rng.uniform(1 / grass.far, 1.35 / grass.near, grass.blades)
    order = np.argsort(-away)
    away = away[order]
    sideways = rng.uniform(-0.1, 1.1, grass.blades)
    ground = np.stack([(sideways - 0.5) * away / focal, away], axis=1)
    lengths = grass.length * rng.uniform(1 - _VARIED, 1 + _VARIED, grass.blades)
    times = np.arange(round((seconds + WARM_UP) * RATE * _OVERSAMPLED)) / (RATE * _OVERSAMPLED)
    speed = grass.wind.speeds(ground.astype(np.float32), times, rng).astype(np.float64)
    mass = grass.density * np.pi * grass.radius**2
    pressure = 0.5 * AIR * grass.width * speed**2 / mass  # m/s², even along the blade
    heights = (np.arange(64) + 0.5) / 64
    angular = _angular(grass, lengths)
    leans = []
    for mode in range(len(BETA)):
        form = shape(mode, heights)
        share = form.mean() / (form**2).mean()
        lean, _ = respond(
            share * pressure, angular[mode], np.full(grass.blades, grass.damping), 1 / (RATE * _OVERSAMPLED)
        )
        leans.append(lean[round(WARM_UP * RATE) * _OVERSAMPLED :: _OVERSAMPLED])
    # A drag that would bend the blade double is given off by folding up (reconfiguration; Vogel 1984).
    limit = _STRONGEST * lengths
    first = limit * np.tanh(leans[0] / limit)
    points = (np.arange(_POINTS) + 1.0) / _POINTS
    bend = first[:, :, None] * shape(0, points) + leans[1][:, :, None] * shape(1, points)
    heading = np.array(grass.wind.heading)
    scale = focal / away
    height = lengths[:, None] * points
    # Towards the viewer or away from him a point goes down or up in the frame, and its own size hardly changes.
    across = bend * heading[0] * scale[:, None]
    down = -bend * heading[1] * ((grass.eye - height) / away[:, None]) * scale[:, None]
    rest = np.stack([
        np.broadcast_to(sideways[:, None], height.shape),
        horizon + (grass.eye - height) * scale[:, None],
    ], axis=-1)  # fmt: skip
    moves = np.stack([across, down], axis=-1)
    mean = moves.mean(axis=0)
    still, mask, seen = _drawn(grass, rest + mean, sideways, horizon + grass.eye * scale, scale, rng)
    return Recording(
        kind="grass", still=still, mask=mask, spread=0.035,
        places=(rest + mean).reshape(-1, 2).astype(np.float32), weights=seen.reshape(-1).astype(np.float32),
        moves=(moves - mean).reshape(len(moves), -1, 2).astype(np.float32),
    )  # fmt: skip


def _drawn(
    grass: Grass, points: Doubles, sideways: Doubles, bottom: Doubles, scale: Doubles, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32], Doubles]:
    """Still, mask, and how much each point is seen: blades in front cover those behind."""
    plane, mask = drawing.backdrop(rng), np.zeros((drawing.FINE, drawing.FINE), np.float32)
    ground = float(rng.uniform(0.1, 0.5))
    plane[max(0, int(bottom.min() * drawing.FINE)) :] = ground
    tone = float(rng.uniform(0.3, 0.7))
    owner = np.full((drawing.FINE, drawing.FINE), -1, np.float32)
    thick = np.clip(0.5 * grass.width * scale, 1.2 / drawing.FINE, 0.02)
    for blade, way in enumerate(points):
        line = np.concatenate([[[sideways[blade], bottom[blade]]], way])
        drawing.stroke(plane, line, float(np.clip(tone + rng.normal(0, 0.15), 0, 1)), thick[blade])
        drawing.stroke(mask, line, 1.0, 2 * thick[blade])
        fixed = np.rint(np.clip(line, -2, 3) * drawing.FINE).astype(np.int32)
        cv2.polylines(owner, [fixed], False, float(blade), max(1, round(thick[blade] * drawing.FINE)))
    cell = np.rint(points * drawing.FINE).astype(np.int64)
    inside = ((cell >= 0) & (cell < drawing.FINE)).all(axis=-1)
    x, y = (np.clip(cell[..., axis], 0, drawing.FINE - 1) for axis in (0, 1))
    seen = np.where(inside & (owner[y, x] == np.arange(len(points))[:, None]), 1.0, 0.05)
    closed = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
    return drawing.photographed(plane, rng), drawing.reduced(closed), seen
