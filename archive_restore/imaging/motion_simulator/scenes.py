"""Scenes of any number: settings drawn from a seed within the limits that each simulator states.

The same number gives the same recording, whatever was made before it (Philox keyed by seed and number).
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from archive_restore.imaging.motion_simulator import branches, cloth, grass, water
from archive_restore.imaging.motion_simulator.recording import Recording
from archive_restore.imaging.motion_simulator.wind import Wind

BATCH = 24
"""Pieces of cloth that are reckoned at once; other scenes come one by one."""


def recordings(kind: str, first: int, count: int, seed: int, seconds: float) -> Iterator[Recording]:
    """Recordings `first` to `first + count` of one of motion_spectra.KINDS, each of `seconds` after its warm-up."""
    numbers = range(first, first + count)
    if kind == "fabric":
        for number in numbers[::BATCH]:
            some = [_cloth(_stream(seed, kind, n)) for n in numbers[number - first : number - first + BATCH]]
            matter = _matter(_stream(seed, "matter", number))
            yield from cloth.simulate(some, matter, seconds, _stream(seed, "gusts", number))
        return
    for number in numbers:
        yield _ALONE[kind](_stream(seed, kind, number), seconds)


def _stream(seed: int, word: str, number: int) -> np.random.Generator:
    key = int.from_bytes(word.encode()[:7], "little") << 8
    return np.random.Generator(np.random.Philox(key=np.array([seed, key ^ (number << 20)], np.uint64)))


def _wind(rng: np.random.Generator, slowest: float, fastest: float) -> Wind:
    turn = rng.uniform(0, 2 * np.pi)
    return Wind(
        mean=float(rng.uniform(slowest, fastest)), intensity=float(rng.uniform(0.15, 0.45)),
        length=float(np.exp(rng.uniform(np.log(3), np.log(30)))), heading=(float(np.cos(turn)), float(np.sin(turn))),
    )  # fmt: skip


def _grass(rng: np.random.Generator, seconds: float) -> Recording:
    length = float(rng.uniform(0.25, 1.1))
    near = float(rng.uniform(1.5, 6.0))
    field = grass.Grass(
        blades=int(rng.integers(500, 1400)), length=length, radius=float(length * rng.uniform(1.5e-3, 3e-3)),
        stiffness=float(rng.uniform(0.5e9, 4e9)), density=900.0, width=float(rng.uniform(0.004, 0.015)),
        damping=float(rng.uniform(0.06, 0.25)), wind=_wind(rng, 1.0, 4.0), eye=float(length * rng.uniform(1.2, 3.0)),
        near=near, far=near * float(rng.uniform(2.0, 6.0)),
    )  # fmt: skip
    return grass.simulate(field, seconds, rng)


def _tree(rng: np.random.Generator, seconds: float) -> Recording:
    length = float(np.exp(rng.uniform(np.log(0.4), np.log(4.0))))  # a twig near by, a branch, a small tree
    upright = np.pi / 2 + float(rng.normal(0, 0.2)) if rng.random() < 0.6 else float(rng.uniform(0, 2 * np.pi))
    tree = branches.grow(
        rng, length=length, radius=float(length * rng.uniform(0.010, 0.025)), levels=int(rng.integers(3, 5)),
        upright=upright, leaf=float(0.05 * length**2 * rng.uniform(0.4, 1.5)), stiffness=float(rng.uniform(3e9, 9e9)),
    )  # fmt: skip
    return branches.simulate(tree, _wind(rng, 1.5, 6.0), float(rng.uniform(0.04, 0.15)), seconds, rng)


def _cloth(rng: np.random.Generator) -> cloth.Cloth:
    pinned = str(rng.choice(["top", "corners", "left", "frame"], p=[0.35, 0.35, 0.2, 0.1]))
    width = float(rng.uniform(0.8, 2.0))
    wind = _wind(rng, 3.0, 7.0) if pinned == "left" else _wind(rng, 0.8, 4.0)
    return cloth.Cloth(
        width=width, height=float(width * rng.uniform(0.6, 1.4)), pinned=pinned, wind=wind,
        turn=float(rng.uniform(-1.0, 1.0)), slack=float(rng.choice([0.0, rng.uniform(0.02, 0.25)])),
    )  # fmt: skip


def _matter(rng: np.random.Generator) -> cloth.Matter:
    return cloth.Matter(weight=float(rng.uniform(0.12, 0.3)), damping=float(rng.uniform(0.2, 0.8)))


def _water(rng: np.random.Generator, seconds: float) -> Recording:
    size = water.CELLS
    extent = float(np.exp(rng.uniform(np.log(5), np.log(40))))
    y, x = np.mgrid[:size, :size] / (size - 1.0)
    bed = cv2.resize(rng.normal(0, 1, (5, 5)).astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC)
    depth = rng.uniform(0.1, 0.6) * (1 + 0.3 * bed)
    if rng.random() < 0.6:  # a shore, on the far side or to the right
        shore = rng.uniform(0.0, 0.5) + 0.12 * bed
        depth = np.minimum(depth, 2 * np.maximum((y - shore) if rng.random() < 0.6 else (1 - x - shore), 0))
    pool = water.Water(
        extent=extent, depth=np.where(depth > 0.02, depth, 0).astype(np.float32),
        friction=float(rng.uniform(0.05, 0.3)), swell=float(rng.choice([0.0, rng.uniform(0.002, 0.03)])),
        swell_period=float(rng.uniform(1.2, 4.0)), wind=_wind(rng, 1.0, 6.0), angle=float(rng.uniform(0.12, 0.6)),
    )  # fmt: skip
    return water.simulate(pool, seconds, rng)


_ALONE = {"foliage": _tree, "grass": _grass, "water": _water}
