"""Scratches and hairs: lines made by something that moved over the surface, or lay on it.

Seen on photographs: scratches skip, taper and come in faint parallel bundles; most are nicks of a millimetre; rubbed
places are full of short strokes of one direction; a ploughed scratch has a dark flank. Hairs curl, keep their width
and lie in or out of focus.
"""

from __future__ import annotations

import numpy as np

from archive_restore.imaging.simulator.job import Job
from archive_restore.imaging.simulator.noise import Path, wave
from archive_restore.imaging.simulator.paths import gaps, normals, taper, wander
from archive_restore.imaging.simulator.settings import SimulatedClass
from archive_restore.imaging.simulator.sheet import FAINTEST

SCRATCH, HAIR = SimulatedClass.SCRATCH, SimulatedClass.HAIR


def scratches(job: Job, rng: np.random.Generator) -> None:
    """Long scratches, tramlines, bundles, nicks and abrasion."""
    main = float(rng.uniform(0, np.pi))  # how this print was pulled about
    if rng.random() < 0.4:
        main = np.pi / 2 * float(rng.integers(0, 2))
    for start in job.starts(rng, SCRATCH, 0.13, 25 * job.mm):
        _scratch(job, rng, start, main)
    for start in job.starts(rng, SCRATCH, 0.04, 8 * job.mm):
        _bundle(job, rng, start, main)
    for start in job.starts(rng, SCRATCH, 0.03, 5 * job.mm):
        _abrasion(job, rng, start, main)
    _nicks(job, rng, job.starts(rng, SCRATCH, 0.80, 1 * job.mm), main)


def hairs(job: Job, rng: np.random.Generator) -> None:
    """Hairs and lint."""
    for start in job.starts(rng, HAIR, 1.0, 3 * job.mm):
        _hair(job, rng, start)


def _width(rng: np.random.Generator, median: float, spread: float, least: float, most: float) -> float:
    """A log-normal width in millimetres."""
    return float(np.clip(median * np.exp(rng.normal(0.0, spread)), least, most))


def _angle(rng: np.random.Generator, main: float) -> float:
    return main + float(rng.normal(0, 0.1)) if rng.random() < 0.5 else float(rng.uniform(0, 2 * np.pi))


def _touch(rng: np.random.Generator, points: Path, mm: float, missing: float) -> Path:
    """How strongly the tool touched along a path, in [0, 1]."""
    count = len(points)
    step = float(np.hypot(*(points[1] - points[0])))
    strength = 0.45 + 0.55 * wave(rng, count, 4 * mm / step)
    strength *= gaps(rng, count, float(rng.uniform(0.6, 3.0)) * mm / step, missing)
    return np.asarray(strength * np.sqrt(taper(count, float(rng.uniform(0.02, 0.35)))))


def _scratch(job: Job, rng: np.random.Generator, start: Path, main: float) -> None:
    mm = job.mm
    length = min(float(rng.uniform(0.05, 1.0) ** 2 * 110 * mm), 2.2 * job.longest)
    step = max(2.0, length / 400)
    angle = _angle(rng, main)
    bend = float(rng.normal(0, 0.004)) / mm
    if rng.random() < 0.12:  # a tramline: the full height, almost straight
        angle, length, bend = main, 2.2 * job.longest, 0.0
        start = start - np.array([np.cos(main), np.sin(main)]) * length / 2
    if job.misses(start, start + np.array([np.cos(angle), np.sin(angle)]) * length, 0.3 * length):
        return
    points = wander(rng, start, angle, length, bend, 0.0006 / mm, step)
    count = len(points)
    width = _width(rng, 0.075, 0.55, 0.02, 0.5) * mm
    strength = float(rng.beta(1.6, 1.3)) * 0.9 + 0.1
    if width * strength < FAINTEST:
        return
    widths = width * (0.7 + 0.6 * wave(rng, count, 1.5 * mm / step))
    opacity = strength * _touch(rng, points, mm, float(rng.choice([-0.2, 0.1, 0.3, 0.45])))
    bright = job.is_bright(rng)
    job.sheet(SCRATCH, bright).path(points, widths, opacity)
    if rng.random() < 0.25:  # the emulsion it ploughed aside
        flank = normals(points) * width * float(rng.choice([-1, 1])) * float(rng.uniform(0.6, 1.1))
        job.sheet(SCRATCH, not bright).path(points + flank, widths * 0.8, opacity * float(rng.uniform(0.2, 0.6)))


def _bundle(job: Job, rng: np.random.Generator, start: Path, main: float) -> None:
    """Parallel scratches of one grain of grit or one brush, each broken in its own way."""
    mm = job.mm
    length = float(rng.uniform(0.1, 1.0) ** 1.5 * 35 * mm)
    if job.misses(start, start, length + 5 * mm):
        return
    step = max(2.0, length / 300)
    guide = wander(rng, start, _angle(rng, main), length, float(rng.normal(0, 0.01)) / mm, 0.001 / mm, step)
    side, bright = normals(guide), job.is_bright(rng)
    spacing = _width(rng, 0.35, 0.6, 0.1, 1.5) * mm
    faint = float(rng.uniform(0.15, 0.7))
    for k in range(int(rng.integers(2, 9))):
        offset = spacing * (k + rng.normal(0, 0.35)) + wave(rng, len(guide), 8 * mm / step) * spacing * 0.5
        points = guide + side * np.asarray(offset)[:, None]
        first = int(rng.uniform(0, 0.4) * len(points))
        points = points[first : max(int(rng.uniform(0.55, 1.0) * len(points)), first + 3)]
        if len(points) < 3:
            continue
        opacity = faint * float(rng.uniform(0.4, 1.2)) * _touch(rng, points, mm, float(rng.uniform(0, 0.5)))
        job.sheet(SCRATCH, bright).path(points, _width(rng, 0.06, 0.4, 0.02, 0.2) * mm, np.minimum(opacity, 1))


def _strokes(rng: np.random.Generator, starts: Path, angles: Path, lengths: Path, bends: Path) -> Path:
    """Many short strokes at once: (m, 5, 2)."""
    at = np.linspace(0.0, 1.0, 5)[None, :]
    heading = angles[:, None] + bends[:, None] * at
    moves = np.stack([np.cos(heading), np.sin(heading)], 2) * (lengths[:, None, None] / 4)
    moves[:, 0] = 0
    return np.asarray(starts[:, None, :] + np.cumsum(moves, 1))


_PRESSED = np.array([0.45, 0.9, 1.0, 0.8, 0.4])  # a short stroke is strongest in its middle


def _nicks(job: Job, rng: np.random.Generator, starts: Path, main: float) -> None:
    many = len(starts)
    if not many:
        return
    mm = job.mm
    angles = np.where(rng.random(many) < 0.35, main + rng.normal(0, 0.2, many), rng.uniform(0, 2 * np.pi, many))
    lengths = np.clip(0.7 * np.exp(rng.normal(0, 0.75, many)), 0.12, 7.0) * mm
    widths = np.clip(0.075 * np.exp(rng.normal(0, 0.45, many)), 0.025, 0.4) * mm
    opacity = rng.beta(1.3, 1.5, many) * 0.9 + 0.08
    points = _strokes(rng, starts, angles, lengths, rng.normal(0, 0.4, many))
    bright = rng.random(many) < job.settings.bright
    seen = widths * opacity >= FAINTEST
    for polarity in (False, True):
        mine = (bright == polarity) & seen
        if mine.any():
            job.sheet(SCRATCH, polarity).paths(
                points[mine], widths[mine, None] * (0.6 + 0.5 * _PRESSED), opacity[mine, None] * _PRESSED
            )


def _abrasion(job: Job, rng: np.random.Generator, centre: Path, main: float) -> None:
    """A rubbed place: many faint strokes of about one direction."""
    mm = job.mm
    many = int(rng.integers(15, 110))
    reach = _width(rng, 4.0, 0.5, 1.0, 14.0) * mm
    angle, flat = _angle(rng, main), float(rng.uniform(0.25, 1.0))
    along, across = rng.normal(0, reach / 2, many), rng.normal(0, reach / 2 * flat, many)
    c, s = np.cos(angle), np.sin(angle)
    starts = centre + np.stack([along * c - across * s, along * s + across * c], 1)
    near = np.exp(-0.5 * ((along / reach) ** 2 + (across / (reach * flat)) ** 2))
    lengths = np.clip(0.8 * np.exp(rng.normal(0, 0.6, many)), 0.1, 5.0) * mm * float(rng.uniform(0.4, 1.6))
    widths = np.clip(0.05 * np.exp(rng.normal(0, 0.35, many)), 0.02, 0.2) * mm
    opacity = float(rng.uniform(0.2, 0.75)) * near * rng.uniform(0.3, 1.0, many)
    spread = float(rng.choice([0.05, 0.15, 0.6]))
    points = _strokes(rng, starts, angle + rng.normal(0, spread, many), lengths, rng.normal(0, 0.15, many))
    job.sheet(SCRATCH, job.is_bright(rng)).paths(points, widths[:, None] + 0 * _PRESSED, opacity[:, None] * _PRESSED)


def _hair(job: Job, rng: np.random.Generator, start: Path) -> None:
    mm = job.mm
    lint = rng.random() < 0.4
    length = float(rng.uniform(0.8, 5.0) if lint else rng.uniform(2.5, 28.0)) * mm
    if job.misses(start, start, length):
        return
    step = max(1.6, length / 250)
    curl = float(np.exp(rng.normal(-1.9 if not lint else -0.7, 0.8)))  # radians a millimetre
    curl = min(curl, 7.0 * mm / length)  # it does not roll up into a ball
    count = int(np.clip(length / step, 4, 400))
    bias, period = float(rng.normal(0, 0.5)), float(rng.uniform(1.0, 6.0)) * mm / step
    curvature = curl / mm * (bias + 3.0 * (wave(rng, count, period) - 0.5))
    heading = float(rng.uniform(0, 2 * np.pi)) + np.cumsum(curvature) * step
    points = start + np.cumsum(np.stack([np.cos(heading), np.sin(heading)], 1), 0) * step
    width = _width(rng, 0.10 if lint else 0.085, 0.35, 0.03, 0.25) * mm
    opacity = float(rng.uniform(0.3, 1.0)) * (0.75 + 0.25 * wave(rng, count, 2 * mm / step))
    if rng.random() < 0.3:  # lifts off the surface and leaves focus
        opacity = opacity * (0.25 + 0.75 * wave(rng, count, length / step / 2))
    widths = width * (0.85 + 0.3 * wave(rng, count, 1.5 * mm / step))
    bright, soft = job.is_bright(rng), bool(rng.random() < 0.3)
    job.sheet(HAIR, bright, soft).path(points, widths, opacity)
    if rng.random() < 0.2:  # its shadow, or the ring of a print made through it
        shift = np.array([1.0, 1.0]) * width * float(rng.uniform(0.5, 1.0)) * rng.choice([-1, 1], 2)
        job.sheet(HAIR, not bright, True).path(points + shift, widths, opacity * float(rng.uniform(0.25, 0.6)))
