"""Dust and mould: small things that fell on the picture, or grew there.

Seen on photographs: most flecks are 0.05 to 0.3 mm, angular or like a comma, a tick or a comet, in clusters and
streaks; white where emulsion went or dust lay on the negative. Mould grows in colonies: threads that branch outward
from a centre, and speckles round it.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from archive_restore.imaging.simulator.job import Job, Veil
from archive_restore.imaging.simulator.noise import Path, field, smoothstep
from archive_restore.imaging.simulator.paths import blobs
from archive_restore.imaging.simulator.settings import SimulatedClass
from archive_restore.imaging.simulator.sheet import FAINTEST

DUST, MOULD = SimulatedClass.DUST, SimulatedClass.MOULD


def dust(job: Job, rng: np.random.Generator) -> None:
    """Specks, flecks and clusters."""
    mm = job.mm
    alone = job.starts(rng, DUST, 0.65, 0.5 * mm)
    parts = [alone]
    for centre in job.starts(rng, DUST, 0.35 / 12, 4 * mm):  # clusters of about twelve
        reach = float(np.exp(rng.normal(0.7, 0.7))) * mm
        flat, tilt = float(rng.uniform(0.15, 1.0)), float(rng.uniform(0, np.pi))
        many = int(rng.integers(4, 22))
        along, across = rng.normal(0, reach, many), rng.normal(0, reach * flat, many)
        c, s = np.cos(tilt), np.sin(tilt)
        parts.append(centre + np.stack([along * c - across * s, along * s + across * c], 1))
    places = np.concatenate(parts)
    inside = ((places > -3) & (places < [job.width + 3, job.height + 3])).all(1)
    places = places[inside]
    if not len(places):
        return
    many = len(places)
    size = np.clip(0.075 * np.exp(rng.normal(0, 0.55, many)), 0.025, 0.9) * mm  # radius
    bright = rng.random(many) < job.settings.bright
    soft = rng.random(many) < 0.15
    opacity = np.clip(rng.beta(2.2, 1.2, many), 0.1, 1.0)
    form = rng.random(many)
    seen = size**2 * opacity >= FAINTEST
    form[~seen] = -1.0
    tick = (form >= 0) & (form < 0.35)
    _ticks(job, rng, places[tick], size[tick], opacity[tick], bright[tick])
    tiny = size < 1.2
    for group, points, rough, longest in (
        ((form >= 0.35) & tiny, 5, 0.35, 2.4),
        ((form >= 0.35) & (form < 0.7) & ~tiny, 7, 0.4, 2.6),
        ((form >= 0.7) & ~tiny, 12, 0.18, 1.4),
    ):
        mine = np.nonzero(group)[0]
        shapes = blobs(rng, np.maximum(size[mine], 0.35), rough, rng.uniform(1.0, longest, len(mine)), points)
        shapes += places[mine, None, :]
        faint = opacity[mine] * np.minimum(1.0, (size[mine] / 0.35) ** 2)
        for k, shape, value in zip(mine.tolist(), shapes, faint.tolist(), strict=True):
            job.sheet(DUST, bool(bright[k]), bool(soft[k])).polygon(shape, value)


def _ticks(
    job: Job, rng: np.random.Generator, places: Path, size: Path, opacity: Path, bright: NDArray[np.bool_]
) -> None:
    """Flecks like ticks, commas and comets: three points, thick at one end."""
    many = len(places)
    if not many:
        return
    heading = rng.uniform(0, 2 * np.pi, many)
    turn = heading + rng.normal(0, 0.9, many)
    first, second = size * rng.uniform(0.8, 3.0, many), size * rng.uniform(0.5, 4.0, many)
    a = places + np.stack([np.cos(heading), np.sin(heading)], 1) * first[:, None]
    b = places - np.stack([np.cos(turn), np.sin(turn)], 1) * second[:, None]
    points = np.stack([a, places, b, b], 1)
    thick = np.stack([rng.uniform(0.4, 1.4, many), rng.uniform(0.5, 1.6, many), np.ones(many), np.ones(many)], 1)
    fade = np.stack([np.ones(many), rng.uniform(0.4, 1.0, many), np.ones(many), np.ones(many)], 1)
    for polarity in (False, True):
        mine = bright == polarity
        if mine.any():
            sheet = job.sheet(DUST, polarity)
            sheet.paths(points[mine, :3], (size[:, None] * thick)[mine, :3], (opacity[:, None] * fade)[mine, :3])


def mould(job: Job, rng: np.random.Generator) -> None:
    """Colonies: dendrites, speckle, a haze."""
    bright = bool(rng.random() < 0.45)
    colour = (0.93, 0.93, 0.88) if bright else (0.25, 0.26, 0.2) if rng.random() < 0.6 else (0.45, 0.32, 0.3)
    for centre in job.starts(rng, MOULD, 1.0, 4 * job.mm):
        reach = float(np.clip(3.0 * np.exp(rng.normal(0, 0.6)), 0.6, 14.0)) * job.mm
        if job.window(centre, reach, reach) is None:
            continue
        form = rng.random()
        if form < 0.65:
            _dendrite(job, rng, centre, reach, bright)
        if form > 0.4:
            _speckle(job, rng, centre, reach, bright)
        if rng.random() < 0.6:
            _haze(job, rng, centre, reach, colour, bright)


def _dendrite(job: Job, rng: np.random.Generator, centre: Path, reach: float, bright: bool) -> None:
    """Threads that grow outward and fork; all of one generation at once."""
    many = int(rng.integers(5, 16))
    tips = np.repeat(centre[None], many, 0)
    heading = np.linspace(0, 2 * np.pi, many, endpoint=False) + rng.normal(0, 0.35, many)
    step, width = max(reach / 14, 1.5), float(np.clip(0.05 * np.exp(rng.normal(0, 0.4)), 0.02, 0.2)) * job.mm
    strength = float(rng.uniform(0.35, 0.95))
    if width * strength < FAINTEST:
        return
    sheet = job.sheet(MOULD, bright)
    for generation in range(16):
        fork = rng.random(len(tips)) < 0.28
        tips, heading = (
            np.concatenate([tips, tips[fork]]),
            np.concatenate([heading, heading[fork] + rng.choice([-0.7, 0.7], int(fork.sum()))]),
        )
        alive = rng.random(len(tips)) > 0.05 + 0.012 * generation
        tips, heading = tips[alive][:160], heading[alive][:160]
        if not len(tips):
            return
        heading = heading + rng.normal(0, 0.3, len(heading))
        grown = tips + np.stack([np.cos(heading), np.sin(heading)], 1) * step * rng.uniform(0.6, 1.2, (len(tips), 1))
        fade = strength * (1 - generation / 20)
        sheet.paths(
            np.stack([tips, grown], 1),
            np.full((len(tips), 1), width * (1.2 - generation / 24)),
            fade * rng.uniform(0.6, 1.0, (len(tips), 1)),
        )
        tips = grown


def _speckle(job: Job, rng: np.random.Generator, centre: Path, reach: float, bright: bool) -> None:
    many = int(rng.integers(10, 70))
    places = centre + rng.standard_normal((many, 2)) * reach * 0.5
    size = np.clip(0.07 * np.exp(rng.normal(0, 0.5, many)), 0.02, 0.5) * job.mm
    places, size = places[size > 0.25], size[size > 0.25]
    many = len(size)
    sheet = job.sheet(MOULD, bright, bool(rng.random() < 0.5))
    shapes = places[:, None, :] + blobs(rng, np.maximum(size, 0.4), 0.2, np.full(many, 1.2), 7)
    for shape, value in zip(shapes, rng.uniform(0.3, 0.95, many).tolist(), strict=True):
        sheet.polygon(shape, value)


def _haze(
    job: Job, rng: np.random.Generator, centre: Path, reach: float, colour: tuple[float, float, float], bright: bool
) -> None:
    window = job.window(centre, reach * 1.55, reach * 1.55)
    if window is None:
        return
    rows, columns = (np.arange(s.start, s.stop, dtype=np.float32) for s in window)
    far = np.hypot(columns[None, :] - np.float32(centre[0]), rows[:, None] - np.float32(centre[1])) / np.float32(reach)
    far += 0.25 * np.clip(field(rng, (len(rows), len(columns)), reach / 3, 3), -1.7, 1.7)
    opacity = smoothstep(1.1, 0.3, far) * np.float32(rng.uniform(0.08, 0.35))
    opacity *= np.clip(0.7 + 0.5 * field(rng, (len(rows), len(columns)), max(reach / 12, 1.5), 2), 0, 1)
    opacity = cv2.GaussianBlur(opacity, (0, 0), 0.7)
    job.veils.append(Veil(kind=MOULD, opacity=opacity, window=window, colour=colour, multiplies=not bright))
