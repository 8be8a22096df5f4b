"""Hung cloth in gusts: masses and springs (Provot, Deformation constraints in a mass-spring model, Graphics Interface
1995): structural, shear and bending springs, and no structural spring longer than it may become.

Many pieces of cloth of one kind are reckoned side by side, since one alone would leave numpy idle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from archive_restore.imaging.motion_simulator import drawing
from archive_restore.imaging.motion_simulator.recording import RATE, WARM_UP, Recording
from archive_restore.imaging.motion_simulator.wind import AIR, Wind

Floats = NDArray[np.float32]

NODES = 20
"""Masses along an edge."""
STEP = 1 / 640
"""Seconds."""
STRETCH = 0.05
"""Share of its length by which a structural spring may become longer."""
GRAVITY = 9.81
_STABLE = 1.5  # greatest angular frequency of a mass on its springs, times STEP; from 2 on they would blow up
_PASSES = 2  # of Provot's correction a step
_WOVEN = 4  # places drawn between two masses, along either edge


class _Springs(NamedTuple):
    """All springs that join a mass with the one `down` rows and `across` columns further."""

    down: int
    across: int
    share: float
    """Of the stiffness of a structural spring."""


_KINDS = (
    _Springs(0, 1, 1.0), _Springs(1, 0, 1.0), _Springs(1, 1, 0.3), _Springs(1, -1, 0.3), _Springs(0, 2, 0.1),
    _Springs(2, 0, 0.1),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Cloth:
    """A piece of cloth, how it hangs, and how it is looked at."""

    width: float
    """m."""
    height: float
    """m."""
    pinned: str
    """`top`: a curtain; `corners`: washing on a line; `left`: a flag; `frame`: an awning held on all four corners."""
    wind: Wind
    """Its plane is level: along the cloth, and through it."""
    turn: float
    """From which side it is seen, radians; 0 from straight ahead."""
    slack: float = 0.0
    """Share by which pins stand nearer to each other than the cloth is wide: folds."""


@dataclass(frozen=True, kw_only=True)
class Matter:
    """What all pieces of one batch are made of."""

    weight: float = 0.15
    """kg/m²: 0.1 for muslin, 0.3 for canvas."""
    stiffness: float = 50.0
    """Of a structural spring, N/m; less where light cloth would shake itself apart in STEP."""
    damping: float = 0.4
    """Of the air on a mass that moves, 1/s."""
    inner: float = 2e-3
    """Of a spring whose length changes, N·s/m."""


def pins(kind: str) -> NDArray[np.bool_]:
    """Masses that are held, bool (NODES, NODES)."""
    held = np.zeros((NODES, NODES), np.bool_)
    if kind == "top":
        held[0] = True
    elif kind == "left":
        held[:, 0] = True
    elif kind == "corners":
        held[0, [0, NODES // 2, -1]] = True
    elif kind == "frame":
        held[0, [0, -1]] = held[-1, [0, -1]] = True
    else:
        raise ValueError(f"nobody hangs cloth by {kind!r}")
    return held


class Pieces:
    """State of some pieces of cloth: places and velocities, float32 (pieces, NODES, NODES, 3), in metres.

    x runs along the cloth, y up, z through it.
    """

    def __init__(self, cloths: list[Cloth], matter: Matter) -> None:
        self.matter, self.cloths = matter, cloths
        size = np.array([[cloth.width, cloth.height] for cloth in cloths], np.float32)
        self._gap = size / (NODES - 1)
        self.mass = (matter.weight * size.prod(axis=1) / NODES**2).astype(np.float32)
        # Along an axis a mass has two structural springs, two for bending, and four for shear that count by half:
        # one of each of _KINDS. No mode is faster than that of masses that swing against their neighbours.
        along = sum(kind.share for kind in _KINDS)
        stiffest = (_STABLE / STEP) ** 2 * self.mass / (2 * along)
        self.stiffness = np.minimum(matter.stiffness, stiffest).astype(np.float32)[:, None, None]
        share = np.linspace(0, 1, NODES, dtype=np.float32)
        near = 1 - np.array([cloth.slack for cloth in cloths], np.float32)
        self.place = np.zeros((len(cloths), NODES, NODES, 3), np.float32)
        self.place[..., 0] = (share - 0.5)[None, None, :] * (size[:, 0] * near)[:, None, None]
        self.place[..., 1] = -share[None, :, None] * size[:, 1][:, None, None]
        # Slack cloth lies in folds.
        depth = np.sqrt(np.maximum(1 - near**2, 0)) * size[:, 0] / (2 * np.pi) / 1.5
        self.place[..., 2] = depth[:, None, None] * np.sin(3 * 2 * np.pi * share)[None, None, :]
        self.speed = np.zeros_like(self.place)
        self.loose = np.stack([~pins(cloth.pinned) for cloth in cloths])[..., None].astype(np.float32)

    def energy(self) -> NDArray[np.float64]:
        """Of every piece, J: of motion, of height and of springs; (pieces,)."""
        moving = 0.5 * self.mass * (self.speed**2).sum(axis=(1, 2, 3))
        lifted = self.mass * GRAVITY * self.place[..., 1].sum(axis=(1, 2))
        strained = sum(
            0.5 * kind.share * (self.stiffness * (self._lengths(kind)[1] - self._rest(kind)) ** 2).sum(axis=(1, 2))
            for kind in _KINDS
        )
        return np.asarray(moving + lifted + strained, np.float64)

    def stretch(self) -> Floats:
        """Greatest length of a structural spring of every piece, share of its own; (pieces,)."""
        ratios = [(self._lengths(kind)[1] / self._rest(kind)).max(axis=(1, 2)) for kind in _KINDS[:2]]
        return np.asarray(np.maximum(*ratios), np.float32)

    def step(self, air: Floats) -> None:
        """One STEP on, in wind `air`, float32 (pieces, NODES, NODES, 3), m/s (semi-implicit Euler)."""
        force = self._pressure(air)
        for kind in _KINDS:
            along, length = self._lengths(kind)
            one, other = _ends(kind)
            pull = self.stiffness * kind.share * (1 - self._rest(kind) / np.maximum(length, 1e-6))
            drift = self.speed[:, other[0], other[1]] - self.speed[:, one[0], one[1]]
            tension = along * pull[..., None] + self.matter.inner * drift
            force[:, one[0], one[1]] += tension
            force[:, other[0], other[1]] -= tension
        self.speed += STEP * (force / self.mass[:, None, None, None] - self.matter.damping * self.speed)
        self.speed[..., 1] -= STEP * GRAVITY
        self.speed *= self.loose
        before = self.place.copy()
        self.place += STEP * self.speed
        for _ in range(_PASSES):
            for kind in _KINDS[:2]:
                self._shorten(kind)
        self.speed = (self.place - before) / np.float32(STEP)

    def _lengths(self, kind: _Springs) -> tuple[Floats, Floats]:
        one, other = _ends(kind)
        along = self.place[:, other[0], other[1]] - self.place[:, one[0], one[1]]
        return along, np.sqrt(np.einsum("...i,...i->...", along, along))

    def _rest(self, kind: _Springs) -> Floats:
        gaps = self._gap * np.array([abs(kind.across), kind.down], np.float32)
        return np.asarray(np.hypot(gaps[:, 0], gaps[:, 1])[:, None, None], np.float32)

    def _shorten(self, kind: _Springs) -> None:
        """Bring the ends of too long springs together: both alike, or the loose one alone (Provot 1995, section 4).

        Springs of even and odd places are taken in turn, so that no mass is moved twice at once.
        """
        for first in (0, 1):
            one, other = _ends(kind, first)
            along = self.place[:, other[0], other[1]] - self.place[:, one[0], one[1]]
            length = np.sqrt(np.einsum("...i,...i->...", along, along))
            over = np.maximum(1 - (1 + STRETCH) * self._rest(kind) / np.maximum(length, 1e-6), 0)
            if not over.any():
                continue
            free, held = self.loose[:, one[0], one[1]], self.loose[:, other[0], other[1]]
            shift = along * (over[..., None] / np.maximum(free + held, 1))
            self.place[:, one[0], one[1]] += shift * free
            self.place[:, other[0], other[1]] -= shift * held

    def _pressure(self, air: Floats) -> Floats:
        """Force of the air on every mass, N: what blows against the cloth, and a little along it."""
        place = self.place
        across = np.empty_like(place)
        across[:, :, 1:-1] = place[:, :, 2:] - place[:, :, :-2]
        across[:, :, 0], across[:, :, -1] = place[:, :, 1] - place[:, :, 0], place[:, :, -1] - place[:, :, -2]
        down = np.empty_like(place)
        down[:, 1:-1] = place[:, 2:] - place[:, :-2]
        down[:, 0], down[:, -1] = place[:, 1] - place[:, 0], place[:, -1] - place[:, -2]
        normal = np.stack([
            across[..., 1] * down[..., 2] - across[..., 2] * down[..., 1],
            across[..., 2] * down[..., 0] - across[..., 0] * down[..., 2],
            across[..., 0] * down[..., 1] - across[..., 1] * down[..., 0],
        ], axis=-1)  # fmt: skip
        normal /= np.maximum(np.sqrt(np.einsum("...i,...i->...", normal, normal)), 1e-9)[..., None]
        met = air - self.speed
        head = np.einsum("...i,...i->...", met, normal)
        area = self._gap.prod(axis=1)[:, None, None]
        strength = np.asarray(0.5 * AIR * area * 1.1 * head * np.abs(head), np.float32)
        return np.asarray(strength[..., None] * normal + (0.03 * AIR * area[..., None]) * met, np.float32)


def _ends(kind: _Springs, first: int | None = None) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Places of the one and the other mass of all springs of a kind, or of every second one from `first` on."""
    down, across = kind.down, kind.across
    rows, columns = slice(0, NODES - down), slice(max(-across, 0), NODES - max(across, 0))
    if first is not None:
        rows = slice(first, NODES - down, 2) if down else rows
        columns = slice(first, NODES - across, 2) if across else columns
    other = (
        slice((rows.start or 0) + down, rows.stop + down, rows.step),
        slice((columns.start or 0) + across, columns.stop + across, columns.step),
    )
    return (rows, columns), other


def simulate(cloths: list[Cloth], matter: Matter, seconds: float, rng: np.random.Generator) -> list[Recording]:
    """A recording of every piece."""
    pieces = Pieces(cloths, matter)
    each = round(1 / STEP / RATE)
    samples = round((seconds + WARM_UP) * RATE) + 1
    times = np.arange(samples) / RATE
    air = np.zeros((len(cloths), samples, NODES, NODES, 3), np.float32)
    for k, cloth in enumerate(cloths):
        level = pieces.place[k][..., [0, 1]].reshape(-1, 2)  # gusts are as large upwards as sideways
        speed = cloth.wind.speeds(level, times, rng).reshape(samples, NODES, NODES)
        air[k, ..., 0], air[k, ..., 2] = speed * cloth.wind.heading[0], speed * cloth.wind.heading[1]
    kept = np.empty((len(cloths), samples - 1, NODES, NODES, 3), np.float32)
    for sample in range(samples - 1):
        now, change = air[:, sample], (air[:, sample + 1] - air[:, sample]) / np.float32(each)
        for part in range(each):
            pieces.step(now + np.float32(part) * change)
        kept[:, sample] = pieces.place
    kept = kept[:, round(WARM_UP * RATE) :]
    return [_seen(cloth, places, rng) for cloth, places in zip(cloths, kept, strict=True)]


def _seen(cloth: Cloth, places: Floats, rng: np.random.Generator) -> Recording:
    cos, sin = np.cos(cloth.turn), np.sin(cloth.turn)
    flat = np.stack([places[..., 0] * cos + places[..., 2] * sin, -places[..., 1] + 0.12 * places[..., 2]], axis=-1)
    depth = (places[..., 2] * cos - places[..., 0] * sin).mean(axis=0)
    mean = flat.mean(axis=0)
    low, high = mean.min(axis=(0, 1)), mean.max(axis=(0, 1))
    edge = float((high - low).max()) * rng.uniform(0.75, 1.4)
    corner = (low + high - edge) / 2 + edge * rng.uniform(-0.1, 0.1, 2)
    where = (mean - corner) / edge
    moves = (flat - mean) / edge
    finer = (2 * NODES - 1, 2 * NODES - 1)
    fine = np.stack([cv2.resize(step, finer, interpolation=cv2.INTER_LINEAR) for step in moves])
    points = cv2.resize(where, finer, interpolation=cv2.INTER_LINEAR).reshape(-1, 2)
    still, mask = _drawn(where, depth, places.mean(axis=0), rng)
    return Recording(
        kind="fabric", still=still, mask=mask, spread=0.025, places=points.astype(np.float32),
        weights=np.ones(len(points), np.float32), moves=fine.reshape(len(moves), -1, 2).astype(np.float32),
    )  # fmt: skip


def _drawn(where: Floats, depth: Floats, mean: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Quads of woven cloth, those behind first: stripes or checks, shaded by how they stand to the light."""
    count = _WOVEN * (NODES - 1) + 1
    size = (count, count)
    fine = cv2.resize(where.astype(np.float32), size, interpolation=cv2.INTER_CUBIC)
    deep = cv2.resize(depth.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
    solid = cv2.resize(mean.astype(np.float32), size, interpolation=cv2.INTER_CUBIC)
    down, across = np.gradient(solid, axis=(0, 1))
    normal = np.cross(across, down)
    normal /= np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-9)
    light = np.array([rng.uniform(-0.8, 0.8), rng.uniform(0.2, 0.8), 0.7])
    shade = np.abs(normal @ (light / np.linalg.norm(light)))
    u, v = np.meshgrid(np.linspace(0, 1, count), np.linspace(0, 1, count))
    base, contrast = rng.uniform(0.4, 0.95), rng.uniform(0.0, 0.45)
    stripes = rng.integers(3, 14, 2)
    pattern = {
        0: np.zeros_like(u), 1: np.sin(2 * np.pi * stripes[0] * u) > 0, 2: np.sin(2 * np.pi * stripes[1] * v) > 0,
        3: (np.sin(2 * np.pi * stripes[0] * u) > 0) ^ (np.sin(2 * np.pi * stripes[1] * v) > 0),
    }[int(rng.integers(4))]  # fmt: skip
    tone = np.clip((base - contrast * pattern) * (0.35 + 0.65 * shade), 0, 1)
    plane, mask = drawing.backdrop(rng), np.zeros((drawing.FINE, drawing.FINE), np.float32)
    corners = np.stack([fine[:-1, :-1], fine[:-1, 1:], fine[1:, 1:], fine[1:, :-1]], axis=2)
    fixed = np.rint(np.clip(corners, -2, 3) * drawing.FINE * 16).astype(np.int32).reshape(-1, 4, 2)
    tones, order = tone[:-1, :-1].reshape(-1), np.argsort(deep[:-1, :-1].reshape(-1))
    for k in order:
        cv2.fillConvexPoly(plane, fixed[k], float(tones[k]), cv2.LINE_8, 4)
        cv2.fillConvexPoly(mask, fixed[k], 1.0, cv2.LINE_8, 4)
    return drawing.photographed(plane, rng), drawing.reduced(mask)
