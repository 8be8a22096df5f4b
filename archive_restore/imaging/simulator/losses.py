"""Missing emulsion and missing paper: chips, grazed areas, worn edges, torn corners, tears from the edge.

Seen on photographs: losses down to the white of the paper with ragged, partly scalloped rims; a torn print shows a
band of white fibres along the tear and the dark or white of the scanner's lid behind it.
"""

from __future__ import annotations

import numpy as np

from archive_restore.imaging.simulator.job import Job, Veil
from archive_restore.imaging.simulator.noise import Path, Plane, field, wave
from archive_restore.imaging.simulator.paths import blob, jagged, normals, resample
from archive_restore.imaging.simulator.settings import SimulatedClass
from archive_restore.imaging.simulator.sheet import WIDEST

TEAR = SimulatedClass.TEAR


def losses(job: Job, rng: np.random.Generator) -> None:
    """Everything of class TEAR."""
    if job.settings.rates.get(TEAR, 0.0) <= 0:
        return
    mm = job.mm
    for centre in job.starts(rng, TEAR, 0.7, 3 * mm):
        _chip(job, rng, centre)
    for centre in job.starts(rng, TEAR, 0.3, 6 * mm):
        _grazed(job, rng, centre)
    sides = rng.random(4) < job.settings.edges  # top, right, bottom, left
    lid = float(rng.choice([job.black, 0.04, 0.97, job.white]))
    for side in np.nonzero(sides)[0]:
        _worn_edge(job, rng, int(side))
        if rng.random() < 0.5:
            _tear(job, rng, int(side), lid)
        if rng.random() < 0.5:
            _corner(job, rng, int(side), lid)


def _chip(job: Job, rng: np.random.Generator, centre: Path) -> None:
    """A flake gone: angular when brittle, lobed when soft; a few join."""
    radius = float(np.clip(0.45 * np.exp(rng.normal(0, 0.7)), 0.1, 5.0)) * job.mm
    sheet = job.sheet(TEAR, job.is_bright(rng) or rng.random() < 0.6)
    opacity = float(rng.uniform(0.75, 1.0))
    for _ in range(int(rng.integers(1, 5))):
        points = int(np.clip(radius * 1.5, 5, 24)) if rng.random() < 0.6 else int(rng.integers(4, 8))
        shape = blob(rng, radius * float(rng.uniform(0.5, 1.0)), 0.3, float(rng.uniform(1.0, 2.0)), points)
        sheet.polygon(centre + rng.normal(0, radius * 0.6, 2) + shape, opacity)


def _ragged(job: Job, rng: np.random.Generator, shape: tuple[int, ...]) -> Plane:
    """Displacement of a torn rim in px: coarse and fine."""
    mm = job.mm
    coarse = field(rng, shape, max(3.0 * mm, 3.0), 3) * np.float32(0.5 * mm)
    return np.asarray(coarse + field(rng, shape, max(0.3 * mm, 1.2), 2) * np.float32(0.12 * mm))


def _grazed(job: Job, rng: np.random.Generator, centre: Path) -> None:
    """The surface eaten or rubbed off in islands, partly through."""
    reach = float(np.clip(3.0 * np.exp(rng.normal(0, 0.6)), 0.6, 15.0)) * job.mm
    window = job.window(centre, reach * 1.5, reach * 1.5)
    if window is None:
        return
    rows, columns = (np.arange(s.start, s.stop, dtype=np.float32) for s in window)
    far = np.hypot(columns[None, :] - np.float32(centre[0]), rows[:, None] - np.float32(centre[1])) / np.float32(reach)
    pattern = field(rng, (len(rows), len(columns)), max(reach * float(rng.uniform(0.15, 0.6)), 3.0), 4)
    inside = (pattern + np.float32(rng.uniform(-0.2, 0.9)) - 1.6 * far**2) * np.float32(reach * 0.25)
    opacity = np.clip(inside / np.float32(max(0.08 * job.mm, 1.0)) + 0.5, 0, 1) * np.float32(rng.uniform(0.45, 1.0))
    shallow = np.clip(0.95 + 0.15 * field(rng, (len(rows), len(columns)), max(1.2 * job.mm, 2.0), 2), 0, 1)
    job.veils.append(
        Veil(kind=TEAR, opacity=opacity * shallow, window=window, colour=_paper(job, rng), multiplies=False)
    )


def _paper(job: Job, rng: np.random.Generator) -> tuple[float, float, float]:
    """Bare paper, a little different from place to place."""
    colour = np.clip(job.paper * rng.normal(1.0, 0.03), 0, 1)
    return tuple(np.broadcast_to(colour, 3).tolist())


def _frame(job: Job, side: int) -> tuple[Path, Path, Path, float]:
    """Start of a side, its direction, the direction inwards, its length in px."""
    w, h = float(job.width), float(job.height)
    starts = ((0.0, 0.0), (w, 0.0), (w, h), (0.0, h))
    along = ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))
    inward = ((0.0, 1.0), (-1.0, 0.0), (0.0, -1.0), (1.0, 0.0))
    return np.array(starts[side]), np.array(along[side]), np.array(inward[side]), w if side % 2 == 0 else h


def _worn_edge(job: Job, rng: np.random.Generator, side: int) -> None:
    """White nibbles along an edge."""
    mm = job.mm
    start, along, inward, length = _frame(job, side)
    step = max(0.2 * mm, 1.5)
    count = int(np.clip(length / step, 4, 3000))
    at = np.linspace(0, length, count)
    deep = float(np.clip(0.35 * np.exp(rng.normal(0, 0.7)), 0.05, 2.5)) * mm
    depth = deep * np.clip(
        wave(rng, count, 4 * mm / step) + 0.7 * wave(rng, count, 0.7 * mm / step) - float(rng.uniform(0.2, 1.0)), 0, 2
    )
    rim = start + along * at[:, None] + inward * depth[:, None]
    outside = np.stack([start + along * length - inward * 3, start - inward * 3])
    outline = np.concatenate([rim, outside])
    job.sheet(TEAR, bright=True).polygon(outline, float(rng.uniform(0.85, 1.0)))


def _corner(job: Job, rng: np.random.Generator, side: int, lid: float) -> None:
    """A corner torn or broken off: what lies behind, and a rim of fibres."""
    mm = job.mm
    start, along, inward, length = _frame(job, side)
    a = min(float(rng.uniform(2, 25)) * mm, 0.45 * length)
    b = min(float(rng.uniform(2, 25)) * mm, 0.45 * length)
    normal = along / a + inward / b
    unit = float(np.hypot(*normal))
    span = max(a, b) + 3 * mm
    window = job.window(start, span, span)
    if window is None:
        return
    rows, columns = (np.arange(s.start, s.stop, dtype=np.float32) for s in window)
    x, y = columns[None, :] - np.float32(start[0]), rows[:, None] - np.float32(start[1])
    kept = (x * np.float32(normal[0]) + y * np.float32(normal[1]) - 1) / np.float32(unit)  # px inside of the print
    depth = np.asarray(_ragged(job, rng, kept.shape) - kept, np.float32)
    _two_tone(job, rng, depth, window, lid)


def _two_tone(job: Job, rng: np.random.Generator, depth: Plane, window: tuple[slice, slice], lid: float) -> None:
    """What is missing (depth > 0): a rim of white fibres, then the lid of the scanner."""
    rim = float(np.clip(0.35 * np.exp(rng.normal(0, 0.7)), 0.05, 2.0)) * job.mm
    second = _ragged(job, rng, depth.shape) * np.float32(0.6)
    gone = np.clip(depth / np.float32(1.2) + 0.5, 0, 1)
    job.veils.append(Veil(kind=TEAR, opacity=gone, window=window, colour=_paper(job, rng), multiplies=False))
    behind = np.clip((depth - np.float32(rim) + second) / np.float32(1.2) + 0.5, 0, 1)
    lid_colour = (lid, lid, lid)
    job.veils.append(
        Veil(kind=TEAR, opacity=behind * gone, window=window, colour=lid_colour, multiplies=False, last=True)
    )


def _tear(job: Job, rng: np.random.Generator, side: int, lid: float) -> None:
    """A tear that runs in from an edge, open at its mouth."""
    mm = job.mm
    start, along, inward, length = _frame(job, side)
    mouth = start + along * float(rng.uniform(0.1, 0.9)) * length
    reach = min(float(rng.uniform(3, 35)) * mm, 0.8 * length)
    lean = float(rng.normal(0, 0.5))
    end = mouth + (inward * np.cos(lean) + along * np.sin(lean)) * reach
    points = resample(jagged(rng, mouth, end, 0.07, 1.0 * mm), max(0.25 * mm, 1.5))
    count = len(points)
    at = np.linspace(1, 0, count)
    width = float(np.clip(0.5 * np.exp(rng.normal(0, 0.6)), 0.1, 3.0)) * mm
    widths = np.minimum(width * at * (0.4 + 0.9 * wave(rng, count, 5)) + 0.06 * mm, WIDEST)
    job.sheet(TEAR, bright=True).path(points, widths, 1.0)
    if rng.random() < 0.5:
        gap = points + normals(points) * widths[:, None] * float(rng.normal(0, 0.15))
        job.sheet(TEAR, bright=lid > 0.5, soft=False).path(gap, widths * float(rng.uniform(0.2, 0.6)) * at, 1.0)
