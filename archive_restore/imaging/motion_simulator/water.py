"""Shallow water under wind: a height field over a bed, and how it shifts what is mirrored in it.

Linear shallow-water equations, ∂η/∂t = -∇·(h·u) and ∂u/∂t = -g·∇η - r·u + forcing, on a staggered grid (Arakawa C),
forward for the surface and then backward for the current: stable below a Courant number of 1/√2 and without energy of
its own. Waves run at √(g·h). A mirrored ray turns by twice the slope; seen under a low angle α it shifts up and down by
that and sideways by sin α of it, so that mirror images are drawn out upright (Minnaert, Light and Color in
the Outdoors, section 14).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from archive_restore.imaging.motion_simulator import drawing
from archive_restore.imaging.motion_simulator.recording import RATE, WARM_UP, Recording
from archive_restore.imaging.motion_simulator.wind import AIR, Wind
from archive_restore.imaging.motion_spectra import EDGE

Floats = NDArray[np.float32]

GRAVITY = 9.81
CELLS = 96
"""Rows and columns of the field."""
COURANT = 0.5
"""Share of a cell that the fastest wave passes in a step."""
_SEEN = EDGE // 2  # rows and columns of places that are followed
_DRAG = 2e-3  # of wind on waves, with gusts as large as a cell: pressure, share of the dynamic one


@dataclass(frozen=True, kw_only=True)
class Water:
    """A pool and how it is looked at."""

    extent: float
    """Edge of the field, m."""
    depth: Floats
    """(CELLS, CELLS) of water at rest, m; 0 is land. Row 0 is the far edge."""
    friction: float
    """At the bed, 1/s."""
    swell: float
    """Height of waves that come in over the left edge, m."""
    swell_period: float
    """s."""
    wind: Wind
    """Its plane is the surface: across the view, and away from the viewer."""
    angle: float
    """Under which the middle of the frame is seen, radians above the surface."""


class Surface:
    """State of a pool: `height` above rest at cells (CELLS, CELLS), and currents through their walls, m/s."""

    def __init__(self, depth: Floats, cell: float, friction: float = 0.0) -> None:
        """`cell`: its edge in metres. Waves are thrown back by land and by the edges."""
        self.cell, self.friction = cell, friction
        self.depth = np.asarray(depth, np.float32)
        rows, columns = self.depth.shape
        self.height = np.zeros((rows, columns), np.float32)
        self.across = np.zeros((rows, columns + 1), np.float32)
        self.down = np.zeros((rows + 1, columns), np.float32)
        # Water between two cells is as deep as the shallower one: none beside land.
        self._deep_across = np.zeros_like(self.across)
        self._deep_across[:, 1:-1] = np.minimum(self.depth[:, 1:], self.depth[:, :-1])
        self._deep_down = np.zeros_like(self.down)
        self._deep_down[1:-1] = np.minimum(self.depth[1:], self.depth[:-1])
        fastest = float(np.sqrt(GRAVITY * self.depth.max()))
        self.step = COURANT * cell / fastest

    def advance(self, push: tuple[Floats, Floats] | None = None) -> None:
        """One step; `push` accelerates what is between cells, m/s²: (rows, columns - 1) and (rows - 1, columns)."""
        flow = self._deep_across * self.across, self._deep_down * self.down
        self.height -= self.step / self.cell * (np.diff(flow[0], axis=1) + np.diff(flow[1], axis=0))
        fade = np.float32(1 / (1 + self.step * self.friction))
        slope = GRAVITY * self.step / self.cell
        self.across[:, 1:-1] -= slope * np.diff(self.height, axis=1)
        self.down[1:-1] -= slope * np.diff(self.height, axis=0)
        if push is not None:
            self.across[:, 1:-1] += self.step * push[0]
            self.down[1:-1] += self.step * push[1]
        self.across *= fade * (self._deep_across > 0)
        self.down *= fade * (self._deep_down > 0)

    def energy(self) -> float:
        """½∫(g·η² + h·u²), in units of water's density, m⁵/s²."""
        moving = (self._deep_across * self.across**2).sum() + (self._deep_down * self.down**2).sum()
        return float(0.5 * self.cell**2 * (GRAVITY * (self.height**2 * (self.depth > 0)).sum() + moving))


def simulate(water: Water, seconds: float, rng: np.random.Generator) -> Recording:
    """A recording of a pool."""
    cell = water.extent / CELLS
    surface = Surface(water.depth, cell, water.friction)
    each = max(1, round(1 / RATE / surface.step))
    each += int(1 / RATE / each > surface.step * 1.2)
    surface.step = 1 / RATE / each
    samples = round((seconds + WARM_UP) * RATE) + 1
    times = np.arange(samples) / RATE
    middle = (np.arange(CELLS) + 0.5) * cell
    # Gusts press on the surface; every fourth cell is enough for them.
    coarse = np.stack(np.meshgrid(middle[::4], middle[::-1][::4]), axis=-1).reshape(-1, 2).astype(np.float32)
    speed = water.wind.speeds(coarse, times, rng).reshape(samples, CELLS // 4, CELLS // 4)
    dynamic = (_DRAG * 0.5 * AIR * speed**2).astype(np.float32)  # Pa, over 1000 kg/m³ and a cell m/s²
    wet = (water.depth > 0).astype(np.float32)
    rows, columns, image = _view(water)
    kept = np.empty((samples - 1, _SEEN, _SEEN, 2), np.float32)
    phases = rng.uniform(0, 2 * np.pi, 3)
    periods = water.swell_period * np.array([1.0, 0.83, 1.27])
    shallow = _ripples(water, rng)
    for sample in range(samples - 1):
        pressed = cv2.resize(dynamic[sample], (CELLS, CELLS), interpolation=cv2.INTER_CUBIC)
        # A gust drags water along and ruffles it: pressure that follows the gusts, and noise as fine as the cells.
        ruffled = pressed * shallow(sample / RATE)
        push = -np.diff(ruffled, axis=1) / cell, -np.diff(ruffled, axis=0) / cell
        for part in range(each):
            now = (sample + part / each) / RATE
            surface.advance(push)
            wave = float(np.sin(2 * np.pi * now / periods + phases).mean()) * water.swell
            surface.height[:, 0] = wave * wet[:, 0]
        sideways = (np.roll(surface.height, -1, 1) - np.roll(surface.height, 1, 1)) / (2 * cell) * wet
        away = (np.roll(surface.height, -1, 0) - np.roll(surface.height, 1, 0)) / (2 * cell) * wet
        sideways[:, [0, -1]], away[[0, -1]] = 0, 0
        slope = np.dstack([sideways, away])
        kept[sample] = cv2.remap(cv2.GaussianBlur(slope, (0, 0), 0.7), columns, rows, cv2.INTER_LINEAR,
                                 borderMode=cv2.BORDER_REPLICATE)  # fmt: skip
    kept = kept[round(WARM_UP * RATE) :]
    # Mirrored things lie far off: the shift in the frame is the angle by which a ray turns, over the field of view.
    view = 0.6
    moves = np.stack([2 * kept[..., 0] * np.sin(water.angle), 2 * kept[..., 1]], axis=-1) / view
    wet_seen = cv2.remap(wet, image[1], image[0], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    still = _drawn(moves[0], wet_seen, rng)
    moves -= moves.mean(axis=0)
    share = (np.arange(_SEEN, dtype=np.float32) + 0.5) / _SEEN
    places = np.stack(np.meshgrid(share, share), axis=-1).reshape(-1, 2).astype(np.float32)
    seen = cv2.remap(wet, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return Recording(
        kind="water", still=still, mask=wet_seen, spread=0.03, places=places,
        weights=np.maximum(seen.reshape(-1), 1e-3).astype(np.float32),
        moves=moves.reshape(len(moves), -1, 2).astype(np.float32),
    )  # fmt: skip


def _ripples(water: Water, rng: np.random.Generator) -> Callable[[float], Floats]:
    """Fine structure of the gusts, that the wind carries along: around 1, (CELLS, CELLS), of a time in s.

    Two patterns that pass one another at different speeds, so that what is seen changes as it goes.
    """
    noise = rng.standard_normal((2, 3 * CELLS, 3 * CELLS)).astype(np.float32)
    noise[:] = np.tile(noise[:, :CELLS, :CELLS], (1, 3, 3))
    smooth = np.stack([cv2.GaussianBlur(plane, (0, 0), 1.5) for plane in noise])[:, CELLS:-CELLS, CELLS:-CELLS]
    smooth /= smooth.std()
    across, away = np.array(water.wind.heading) * water.wind.mean / (water.extent / CELLS)

    def at(now: float) -> Floats:
        total = np.ones((CELLS, CELLS), np.float32)
        for plane, pace in zip(smooth, (0.35, 0.6), strict=True):
            matrix = np.array([[1, 0, pace * across * now % CELLS], [0, 1, -pace * away * now % CELLS]])
            total += 0.4 * cv2.warpAffine(plane, matrix, (CELLS, CELLS), flags=cv2.INTER_LINEAR,
                                          borderMode=cv2.BORDER_WRAP)  # fmt: skip
        return total

    return at


def _view(water: Water) -> tuple[Floats, Floats, tuple[Floats, Floats]]:
    """Cells (row, column) that are seen at the places that are followed, and at the pixels of the still."""

    def looked(count: int) -> tuple[Floats, Floats]:
        share = (np.arange(count) + 0.5) / count
        # Rows of the frame look under a greater angle the lower they are; the far edge lies at the upper border.
        angle = np.maximum(water.angle + (share - 0.5) * water.angle, 0.03)
        away = 1 / np.tan(angle)
        far, near = away[0], away[-1]
        along = (far - away) / (far - near)
        wide = np.minimum(away / far, 1.0)
        rows = np.repeat((along * (CELLS - 1))[:, None], count, axis=1)
        columns = (0.5 + (share - 0.5)[None, :] * wide[:, None]) * (CELLS - 1)
        return rows.astype(np.float32), columns.astype(np.float32)

    rows, columns = looked(_SEEN)
    return rows, columns, looked(EDGE)


def _drawn(shift: Floats, wet: Floats, rng: np.random.Generator) -> Floats:
    """What the water mirrors, as its first moment shifts it: sky above, a dark bank, posts and trunks."""
    scene = drawing.backdrop(rng)
    bank = int(rng.uniform(0.1, 0.6) * drawing.FINE)
    scene[:bank] = scene[:bank] * 0.3 + float(rng.uniform(0.0, 0.2))
    for _ in range(int(rng.integers(0, 12))):
        x, tone = float(rng.uniform(0, 1)), float(rng.uniform(0, 0.9))
        end = float(rng.uniform(0.2, 1.0))
        line = np.array([[x, -0.1], [x + rng.normal(0, 0.02), end]])
        drawing.stroke(scene, line, tone, float(rng.uniform(0.004, 0.05)))
    large = cv2.resize(shift, (drawing.FINE, drawing.FINE), interpolation=cv2.INTER_CUBIC)
    rough = float(rng.uniform(0.02, 0.06)) / max(float(large.std()), 1e-6)
    y, x = np.mgrid[: drawing.FINE, : drawing.FINE].astype(np.float32)
    large = (large * (rough * drawing.FINE)).astype(np.float32)
    seen = cv2.remap(scene, x + large[..., 0], y + large[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    land = float(rng.uniform(0.1, 0.8)) + rng.normal(0, 0.06, (drawing.FINE, drawing.FINE)).astype(np.float32)
    covered = cv2.resize(wet, (drawing.FINE, drawing.FINE), interpolation=cv2.INTER_LINEAR)
    return drawing.photographed(np.asarray(seen * covered + land * (1 - covered), np.float32), rng)
