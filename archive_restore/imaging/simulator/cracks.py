"""Creases and cracks: what bending and drying do to gelatin on paper or glass.

Seen on photographs: white, of angular course, widened to knots where they turn or branch, tapering to hairlines that
run on as a faint fold; a thin companion line beside a wide one; a fold with one lit and one shaded flank; flakes lost
along it; old thick emulsions crack into a network.
"""

from __future__ import annotations

import cv2
import numpy as np

from archive_restore.imaging.simulator.job import Job
from archive_restore.imaging.simulator.noise import Path, wave
from archive_restore.imaging.simulator.paths import blobs, gaps, jagged, normals, resample, taper
from archive_restore.imaging.simulator.settings import SimulatedClass
from archive_restore.imaging.simulator.sheet import FAINTEST, WIDEST

CREASE, CRACK = SimulatedClass.CREASE, SimulatedClass.CRACK


def creases(job: Job, rng: np.random.Generator) -> None:
    """Folds: long, nearly straight; some crossed by a second one."""
    for start in job.starts(rng, CREASE, 1.0, 25 * job.mm):
        angle = float(rng.uniform(0, np.pi))
        _crease(job, rng, start, angle)
        if rng.random() < 0.2:  # folded in four
            _crease(job, rng, start, angle + np.pi / 2 + float(rng.normal(0, 0.05)))


def cracks(job: Job, rng: np.random.Generator) -> None:
    """Single branching cracks, and networks."""
    for start in job.starts(rng, CRACK, 0.93, 6 * job.mm):
        scale = float(np.exp(rng.normal(0, 0.7)))
        width = float(np.clip(0.16 * np.exp(rng.normal(0, 0.75)), 0.03, 3.0)) * job.mm
        length = float(np.clip(5.0 * scale, 0.8, 60.0)) * job.mm
        bright = rng.random() < 0.25 + 0.75 * job.settings.bright
        _branch(job, rng, start, float(rng.uniform(0, 2 * np.pi)), length, width, bright, 0)
    for start in job.starts(rng, CRACK, 0.07, 4 * job.mm):
        _network(job, rng, start)


def _crease(job: Job, rng: np.random.Generator, start: Path, angle: float) -> None:
    mm = job.mm
    length = min(float(6 + 114 * rng.random() ** 1.5) * mm, 2.5 * job.longest)
    half = np.array([np.cos(angle), np.sin(angle)]) * length / 2
    if job.misses(start - half, start + half, 0.1 * length):
        return
    step = max(2.0, length / 500)
    points = resample(jagged(rng, start - half, start + half, float(rng.uniform(0.004, 0.03)), 6 * mm), step)
    count = len(points)
    width = float(np.clip(0.2 * np.exp(rng.normal(0, 0.5)), 0.06, 1.5)) * mm
    side = normals(points) * width * float(rng.choice([-1, 1]))
    ends = np.sqrt(taper(count, float(rng.uniform(0.05, 0.4))))
    lit = float(rng.uniform(0.1, 0.65)) * ends * (0.35 + 0.65 * wave(rng, count, 5 * mm / step))
    shade = float(rng.uniform(0.05, 0.5)) * ends * (0.35 + 0.65 * wave(rng, count, 5 * mm / step))
    broad = width * (0.7 + 0.6 * wave(rng, count, 3 * mm / step))
    far = float(rng.uniform(0.4, 0.8))
    job.sheet(CREASE, bright=False, soft=True).path(points - side * far, broad * float(rng.uniform(0.8, 1.6)), shade)
    job.sheet(CREASE, bright=True, soft=bool(rng.random() < 0.5)).path(points + side * (far - 0.4), broad, lit)
    broken = float(rng.choice([0.9, 0.6, 0.45, 0.3, 0.15]))  # how much of the ridge kept its emulsion
    if broken < 0.9:
        touch = gaps(rng, count, float(rng.uniform(0.8, 4.0)) * mm / step, broken) * ends
        core = width * float(rng.uniform(0.25, 0.7)) * (0.3 + 1.0 * wave(rng, count, 0.7 * mm / step))
        wobble = normals(points) * (wave(rng, count, 0.8 * mm / step)[:, None] - 0.5) * width * 0.8
        job.sheet(CREASE, bright=True).path(points + wobble, core, touch * float(rng.uniform(0.7, 1.0)))
        _flakes(job, rng, CREASE, points, width * 0.7, touch, float(rng.uniform(0.1, 0.9)) / mm, bright=True)


def _flakes(
    job: Job,
    rng: np.random.Generator,
    kind: SimulatedClass,
    points: Path,
    size: float,
    where: Path,
    rate: float,
    *,
    bright: bool,
) -> None:
    """Angular chips of emulsion lost along a path; `rate` a px of length, likelier where `where` is high."""
    length = float(np.hypot(*np.diff(points, axis=0).T).sum())
    count = min(int(rng.poisson(length * rate)), 150)
    at = rng.integers(0, len(points), count)
    at = at[rng.random(count) <= where[at]]
    if not len(at):
        return
    radii = np.maximum(size * np.exp(rng.normal(-0.5, 0.5, len(at))), 0.5)
    chips = blobs(rng, radii, 0.35, rng.uniform(1.0, 2.2, len(at)), int(rng.integers(4, 9)))
    chips += (points[at] + rng.normal(0, size * 0.5, (len(at), 2)))[:, None, :]
    sheet = job.sheet(kind, bright)
    for chip, value in zip(chips, rng.uniform(0.6, 1.0, len(at)).tolist(), strict=True):
        sheet.polygon(chip, value)


def _branch(
    job: Job,
    rng: np.random.Generator,
    start: Path,
    angle: float,
    length: float,
    width: float,
    bright: bool,
    depth: int,
) -> None:
    mm = job.mm
    end = start + np.array([np.cos(angle), np.sin(angle)]) * length
    if width < 3 * FAINTEST or length < 1 or job.misses(start, end, length):
        return
    coarse = jagged(rng, start, end, float(rng.uniform(0.06, 0.22)), max(float(rng.uniform(0.7, 2.5)) * mm, 4.0))
    step = max(1.0, min(0.12 * mm, length / 40), length / 600)
    points = resample(coarse, step)
    count = len(points)
    if count < 6:
        return
    fine = normals(points) * (wave(rng, count, max(0.25 * mm / step, 1.5))[:, None] - 0.5) * min(width * 0.6, 0.2 * mm)
    points = points + fine
    # Wide at the root, knots where it turns, hairlines at the ends.
    at = np.linspace(0, 1, count)
    body = (1 - at) ** 0.6 if depth else taper(count, float(rng.uniform(0.15, 0.5))) ** 0.7
    shape = body * (0.25 + 1.1 * wave(rng, count, max(1.2 * mm / step, 3)) ** 1.5)
    turn = np.convolve(np.abs(np.diff(points, 2, axis=0)).sum(1) / step, np.ones(3) / 3, mode="same")
    shape[1:-1] += np.minimum(turn, 1.0) * 0.5 * body[1:-1]
    widths = np.minimum(width * shape + 0.02 * mm, WIDEST)
    opacity = float(rng.uniform(0.6, 1.0) ** 0.6) * np.clip(0.3 + 1.6 * shape, 0, 1)
    sheet = job.sheet(CRACK, bright)
    sheet.path(points, widths, opacity)
    if width > 2.0:  # ragged, angular rims of what flaked off
        _flakes(job, rng, CRACK, points, width * 0.35, np.clip(shape, 0, 1), 0.7 / width, bright=bright)
        if rng.random() < 0.6:  # the thickness of the emulsion throws a shadow into the crack, or beside it
            shift = rng.normal(0, 1, 2)
            shift *= width * 0.35 / max(float(np.hypot(*shift)), 1e-6)
            job.sheet(CRACK, not bright).path(
                points + shift + normals(points) * widths[:, None] * 0.3,
                np.maximum(widths * 0.3, 0.7),
                opacity * float(rng.uniform(0.2, 0.6)),
            )
    if rng.random() < 0.35:  # a companion hairline
        beside = normals(points) * (width * 0.5 + float(rng.uniform(0.08, 0.3)) * mm) * float(rng.choice([-1, 1]))
        part = gaps(rng, count, 2.5 * mm / step, 0.4) * taper(count, 0.3)
        sheet.path(points + beside, max(0.05 * mm, 0.5), part * opacity * float(rng.uniform(0.3, 0.9)))
    if depth < 2:
        for _ in range(int(rng.poisson(1.1 if depth == 0 else 0.5))):
            index = int(rng.integers(count // 6, max(count - 1, count // 6 + 1)))
            turned = angle + float(rng.choice([-1, 1])) * float(rng.uniform(0.5, 1.5))
            _branch(
                job,
                rng,
                points[index],
                turned,
                length * float(rng.uniform(0.2, 0.6)),
                float(widths[index]) * 0.8,
                bright,
                depth + 1,
            )


def _network(job: Job, rng: np.random.Generator, centre: Path) -> None:
    """Alligatoring: a patch of emulsion in islands. The edges of a Voronoi diagram, unevenly open."""
    mm = job.mm
    cell = float(np.exp(rng.uniform(np.log(0.8), np.log(5.0)))) * mm
    reach = cell * float(rng.uniform(1.5, 5.0))
    window = job.window(centre, reach, reach)
    if window is None or cell < 6:
        return
    many = int(min(np.pi * (reach / cell) ** 2 * 1.3 + 4, 120))
    sites = centre + rng.normal(0, reach * 0.5, (many, 2))
    low = np.floor(sites.min(0)) - 2
    high = np.ceil(sites.max(0)) + 2
    plane = cv2.Subdiv2D((int(low[0]), int(low[1]), int(high[0] - low[0]) + 1, int(high[1] - low[1]) + 1))
    plane.insert(sites.astype(np.float32).tolist())
    facets, _ = plane.getVoronoiFacetList([])
    bright = rng.random() < 0.2 + 0.8 * job.settings.bright
    sheet = job.sheet(CRACK, bright)
    width = float(np.clip(0.08 * np.exp(rng.normal(0, 0.5)), 0.03, 0.8)) * mm
    seen: set[tuple[int, int]] = set()
    for facet in facets:
        for k in range(len(facet)):
            a, b = np.asarray(facet[k - 1], np.float64), np.asarray(facet[k], np.float64)
            middle = (a + b) / 2
            key = (int(middle[0] * 4), int(middle[1] * 4))
            far = float(np.hypot(*(middle - centre))) / reach
            if key in seen or far > 1.2 or float(np.hypot(*(a - b))) > 3 * cell or rng.random() < 0.15 + 0.5 * far:
                continue
            seen.add(key)
            points = jagged(rng, a, b, 0.08, max(0.25 * cell, 3.0))
            count = len(points)
            open_ = (1 - 0.6 * far) * (0.55 + 0.6 * wave(rng, count, 4))
            sheet.path(points, width * open_, np.clip(0.4 + open_ * 0.6, 0, 1) * float(rng.uniform(0.6, 1.0)))
