"""A tree, or a branch of one, of rigid rods on sprung hinges, with leaves at their ends.

Small turns about the rest position obey M·θ'' + C·θ' + K·θ = Q exactly as Lagrange's equations give them: M from every
rod's mass and place, K from the bending stiffness of round wood, Q from drag on leaves and wood. The modes are found
once (Rayleigh damping leaves them apart). Thickness follows Leonardo's rule: cross sections add up (Eloy 2011).
Stiffness and damping of green wood: Niklas, Plant Biomechanics, 1992; sway of trees of 0.1 to 1 Hz: Moore and Maguire,
Trees 18, 2004.
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

_MODES = 60
_FASTEST = 8.0  # Hz: faster modes follow the wind at once and are left out
_OVERSAMPLED = 2
_STREAMLINED = 1.5  # leaves give way: drag grows with the speed to this power, not to the second (Vogel 1984)
_LEAVES_SEEN = 8  # points that are followed of a clump


@dataclass(frozen=True, kw_only=True)
class Tree:
    """Rods of a tree at rest; x to the right, y up, in metres."""

    start: Doubles
    """(n, 2) hinge of each rod."""
    end: Doubles
    """(n, 2) its other end, where its children begin."""
    parent: NDArray[np.int64]
    """(n,) index of the rod it hangs on, smaller than its own; -1 for the ground."""
    radius: Doubles
    """(n,) m."""
    leaves: Doubles
    """(n,) area of leaves at its end, m²; 0 for none."""
    clump: Doubles
    """(n,) radius of those leaves, m."""
    stiffness: float
    """Young's modulus, Pa: 3e9 to 10e9 for green wood."""
    density: float
    """Of wood, kg/m³."""
    leaf_mass: float
    """kg a m² of leaves."""

    @property
    def ancestors(self) -> NDArray[np.bool_]:
        """(n, n): whether rod i turns rod j, itself included."""
        n = len(self.parent)
        turned = np.eye(n, dtype=np.bool_)
        for j in range(n):
            if self.parent[j] >= 0:
                turned[:, j] |= turned[:, self.parent[j]]
        return turned

    def arms(self, places: Doubles, rods: NDArray[np.int64]) -> Doubles:
        """(m, 2, n): how a point fixed to a rod goes when each hinge turns by a small angle; x right, y up."""
        offset = places[:, None, :] - self.start[None, :, :]
        turned = self.ancestors[:, rods].T
        return np.asarray(np.stack([-offset[..., 1], offset[..., 0]], axis=1) * turned[:, None, :])

    def masses(self) -> tuple[Doubles, Doubles, Doubles]:
        """Mass of wood and of leaves, kg, and length of every rod, m; (n,) each."""
        lengths = np.linalg.norm(self.end - self.start, axis=1)
        return self.density * np.pi * self.radius**2 * lengths, self.leaf_mass * self.leaves, lengths

    def inertia(self) -> Doubles:
        """M (n, n), kg·m²."""
        wood, leaves, lengths = self.masses()
        every = np.arange(len(wood))
        middle, tips = self.arms((self.start + self.end) / 2, every), self.arms(self.end, every)
        turned = self.ancestors.astype(np.float64)
        return np.asarray(
            np.einsum("m,mak,mal->kl", wood, middle, middle, optimize=True)
            + np.einsum("m,mak,mal->kl", leaves, tips, tips, optimize=True)
            + (turned * (wood * lengths**2 / 12)) @ turned.T
        )

    def springs(self) -> Doubles:
        """Stiffness of every hinge, N·m/rad: a beam's EI/L (its end turns by ML/EI under a moment M)."""
        return np.asarray(self.stiffness * np.pi * self.radius**4 / 4 / self.masses()[2])

    def modes(self) -> tuple[Doubles, Doubles]:
        """ω (m,) in rad/s, slowest first, and turns of the hinges (n, m), of unit inertia."""
        soft = 1 / np.sqrt(self.springs())
        values, vectors = np.linalg.eigh(soft[:, None] * self.inertia() * soft)
        values, vectors = values[::-1], vectors[:, ::-1]
        kept = values > values[0] * 1e-12
        angular = 1 / np.sqrt(values[kept])
        return angular, soft[:, None] * vectors[:, kept] * angular


def grow(
    rng: np.random.Generator, *, length: float, radius: float, levels: int, upright: float, leaf: float,
    stiffness: float,
) -> Tree:  # fmt: skip
    """A tree whose stem is `length` m long and `radius` m thick, with `levels` of branching.

    `upright`: direction of the stem, radians from the x axis; `leaf`: m² of leaves on a last twig.
    """
    start, end, parent, thick, leaves, clump = [], [], [], [], [], []
    growing = [(np.zeros(2), upright, length, radius, 0, -1)]
    while growing:
        root, angle, long, wide, level, on = growing.pop(0)
        pieces = 2 if level < levels else 1  # long rods bend
        for piece in range(pieces):
            tip = root + long / pieces * np.array([np.cos(angle), np.sin(angle)])
            last = level >= levels
            start.append(root)
            end.append(tip)
            parent.append(on)
            thick.append(wide)
            leaves.append(leaf * rng.uniform(0.5, 1.5) if last else 0.0)
            clump.append(length * 0.11 * rng.uniform(0.6, 1.3) if last else 0.0)
            on, root = len(parent) - 1, tip
            angle += float(rng.normal(0, 0.1))
            if level and not last and piece == 0 and rng.random() < 0.4:  # a twig half way
                side = angle + float(rng.choice([-1, 1]) * rng.uniform(0.5, 1.1))
                growing.append((tip, side, long * 0.4, wide * 0.4, levels, on))
        if level < levels:
            count = int(rng.integers(2, 4))
            spread = np.linspace(-1, 1, count) * rng.uniform(0.4, 0.8)
            growing += [
                (
                    root, angle + turn, long * rng.uniform(0.6, 0.8), wide * count**-0.5 * rng.uniform(0.8, 1.0),
                    level + 1, on,
                )
                for turn in spread + rng.normal(0, 0.15, count)
            ]  # fmt: skip
    return Tree(
        start=np.array(start), end=np.array(end), parent=np.array(parent), radius=np.array(thick),
        leaves=np.array(leaves), clump=np.array(clump), stiffness=stiffness, density=900.0, leaf_mass=0.25,
    )  # fmt: skip


def simulate(tree: Tree, wind: Wind, damping: float, seconds: float, rng: np.random.Generator) -> Recording:
    """A recording of a tree in the wind, whose plane is that of the tree.

    `damping`: share of critical damping of the slowest mode; that of faster ones grows as Rayleigh's stiffness part.
    """
    angular, turns = tree.modes()
    kept = min(_MODES, int(np.searchsorted(angular, 2 * np.pi * _FASTEST)), len(angular))
    angular, turns = angular[: max(kept, 3)], turns[:, : max(kept, 3)]
    zeta = np.minimum(damping * (0.6 + 0.4 * angular / angular[0]), 0.5)
    times = np.arange(round((seconds + WARM_UP) * RATE * _OVERSAMPLED)) / (RATE * _OVERSAMPLED)
    every = np.arange(len(tree.parent))
    speed = wind.speeds(tree.end.astype(np.float32), times, rng).astype(np.float64)
    area = 0.4 * tree.leaves + 1.0 * 2 * tree.radius * tree.masses()[2]
    drag = 0.5 * AIR * area * speed**_STREAMLINED  # N, (times, n)
    heading = np.array(wind.heading)
    pull = np.einsum("nak,a->nk", tree.arms(tree.end, every), heading) @ turns  # (n, modes)
    sway, _ = respond(drag @ pull, angular, zeta, 1 / (RATE * _OVERSAMPLED))
    sway = sway[round(WARM_UP * RATE) * _OVERSAMPLED :: _OVERSAMPLED]
    sway -= sway.mean(axis=0)

    leafy = np.flatnonzero(tree.leaves > 0)
    around = rng.normal(0, 0.5, (len(leafy), _LEAVES_SEEN, 2)) * tree.clump[leafy][:, None, None]
    spots = np.concatenate([(tree.end[leafy][:, None] + around).reshape(-1, 2), (tree.start + tree.end) / 2, tree.end])
    rods = np.concatenate([np.repeat(leafy, _LEAVES_SEEN), every, every])
    moves = np.einsum("tm,mp->tp", sway, (tree.arms(spots, rods) @ turns).reshape(-1, sway.shape[1]).T)
    left, bottom, edge = _frame(tree, rng)
    scale = np.array([1, -1]) / edge
    places = np.stack([(spots[:, 0] - left) / edge, 1 - (spots[:, 1] - bottom) / edge], axis=1)
    still, mask = _drawn(tree, left, bottom, edge, rng)
    seen = np.concatenate([np.full(len(leafy) * _LEAVES_SEEN, 1.0), np.full(2 * len(every), 0.3)])
    return Recording(
        kind="foliage", still=still, mask=mask, spread=0.03, places=places.astype(np.float32),
        weights=seen.astype(np.float32), moves=(moves.reshape(len(sway), -1, 2) * scale).astype(np.float32),
    )  # fmt: skip


def _frame(tree: Tree, rng: np.random.Generator) -> tuple[float, float, float]:
    """Left, bottom and edge, m, of a square around the crown or a part of it."""
    leafy = tree.leaves > 0
    low, high = tree.end[leafy].min(axis=0), tree.end[leafy].max(axis=0)
    edge = float((high - low).max()) * rng.uniform(0.7, 1.35)
    left, bottom = (low + high - edge) / 2 + edge * rng.uniform(-0.12, 0.12, 2)
    return float(left), float(bottom), edge


def _drawn(
    tree: Tree, left: float, bottom: float, edge: float, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    plane, mask = drawing.backdrop(rng), np.zeros((drawing.FINE, drawing.FINE), np.float32)
    bark, tone, light = rng.uniform(0.05, 0.3), rng.uniform(0.2, 0.6), rng.uniform(0.05, 0.3)

    def seen(places: Doubles) -> Doubles:
        return np.stack([(places[:, 0] - left) / edge, 1 - (places[:, 1] - bottom) / edge], axis=1)

    starts, ends = seen(tree.start), seen(tree.end)
    for k in np.argsort(-tree.radius):
        drawing.stroke(plane, np.stack([starts[k], ends[k]]), float(bark), 2 * tree.radius[k] / edge)
        drawing.stroke(mask, np.stack([starts[k], ends[k]]), 1.0, 2 * tree.radius[k] / edge)
    leaf = float(rng.uniform(0.006, 0.02))
    for k in rng.permutation(np.flatnonzero(tree.leaves > 0)):
        clump = tree.clump[k] / edge
        drawing.blob(mask, ends[k].tolist(), (clump, clump), 0, 1.0)
        for x, y in rng.normal(0, 0.5, (int(rng.integers(25, 50)), 2)) * clump:
            shade = tone + light * (-y - 0.5 * x) / clump + rng.normal(0, 0.12)
            drawing.blob(plane, [ends[k][0] + x, ends[k][1] + y], (leaf, leaf * 0.55), rng.uniform(0, 180),
                         float(np.clip(shade, 0, 1)))  # fmt: skip
    # Who draws a region draws around a crown, gaps and all.
    wide = 2 * int(rng.integers(8, 36)) + 1
    padded = cv2.copyMakeBorder(mask, wide, wide, wide, wide, cv2.BORDER_CONSTANT, value=0)
    closed = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (wide, wide)))
    closed = np.ascontiguousarray(closed[wide:-wide, wide:-wide])
    return drawing.photographed(plane, rng), drawing.reduced(closed)
