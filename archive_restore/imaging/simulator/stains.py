"""Stains and silver mirroring: soft areas through which the picture is still seen.

Seen on photographs and described by conservators: brown blobs with a darker tide line where a liquid dried, foxing in
groups of small rusty spots, pale water marks with a rim, yellow stripes of adhesive tape, fingerprints of ridges half a
millimetre apart, and a bluish metallic sheen that oxidized silver leaves in the dark parts, strongest at the edges.
"""

from __future__ import annotations

import cv2
import numpy as np

from archive_restore.imaging.simulator.job import Job, Veil
from archive_restore.imaging.simulator.noise import Path, Plane, field, smoothstep
from archive_restore.imaging.simulator.settings import SimulatedClass

STAIN, SILVERING = SimulatedClass.STAIN, SimulatedClass.SILVERING
Colour = tuple[float, float, float]


def stains(job: Job, rng: np.random.Generator) -> None:
    """Blobs, foxing, water marks, tape and fingerprints."""
    mm = job.mm
    for centre in job.starts(rng, STAIN, 0.55, 8 * mm):
        _blob(job, rng, centre, float(np.clip(5.0 * np.exp(rng.normal(0, 0.8)), 0.5, 35.0)) * mm, _brown(rng), 0.75)
    for centre in job.starts(rng, STAIN, 0.2, 5 * mm):
        tint, reach = (0.72, 0.5, 0.3), float(np.exp(rng.normal(1.2, 0.5))) * mm
        for place in centre + rng.standard_normal((int(rng.integers(3, 16)), 2)) * reach:
            _fox(job, rng, place, float(np.clip(0.35 * np.exp(rng.normal(0, 0.6)), 0.1, 2.5)) * mm, tint)
    for centre in job.starts(rng, STAIN, 0.12, 15 * mm):
        _water(job, rng, centre, float(np.clip(10.0 * np.exp(rng.normal(0, 0.6)), 2.0, 50.0)) * mm)
    for centre in job.starts(rng, STAIN, 0.08, 15 * mm):
        _tape(job, rng, centre)
    for centre in job.starts(rng, STAIN, 0.05, 6 * mm):
        _fingerprint(job, rng, centre)


def silvering(job: Job, rng: np.random.Generator) -> None:
    """Silver mirroring over the dark parts of one area."""
    for centre in job.starts(rng, SILVERING, 1.0, 30 * job.mm):
        reach = float(rng.uniform(8, 60)) * job.mm
        spot = _spot(job, rng, centre, reach, 0.35)
        if spot is None:
            continue
        window, far = spot
        luma = job.luma[window]
        span = max(job.white - job.black, 0.1)
        dark = smoothstep(job.black + 0.55 * span, job.black + 0.05 * span, cv2.GaussianBlur(luma, (0, 0), 1.5))
        patchy = np.clip(0.8 + 0.25 * field(rng, luma.shape, max(4.0 * job.mm, 3.0), 4), 0, 1)
        opacity = smoothstep(1.0, 0.4, far) * dark * patchy * np.float32(rng.uniform(0.08, 0.5))
        level = float(rng.uniform(0.55, 0.8))
        colour = (level * 0.93, level * 0.98, level * 1.08)
        job.veils.append(Veil(kind=SILVERING, opacity=opacity, window=window, colour=colour, multiplies=False))


def _brown(rng: np.random.Generator) -> Colour:
    kind = rng.random()
    if kind < 0.65:
        colour = np.array([0.75, 0.55, 0.32])
    elif kind < 0.92:
        colour = np.array([0.9, 0.75, 0.35])
    else:  # ink, oil, tar
        colour = np.array([0.3, 0.3, 0.4])
    return tuple(np.clip(colour * rng.uniform(0.75, 1.15, 3), 0.05, 1.0).tolist())


_REACH = 1.5  # how many of its standard deviations a field may push an outline


def _spot(
    job: Job, rng: np.random.Generator, centre: Path, reach: float, rough: float, most: float = 1.0
) -> tuple[tuple[slice, slice], Plane] | None:
    """A window and the distance from a centre in units of `reach`, made irregular: at least `most` at its border."""
    side = reach * (most + _REACH * rough) + 2
    window = job.window(centre, side, side)
    if window is None:
        return None
    rows, columns = (np.arange(s.start, s.stop, dtype=np.float32) for s in window)
    tilt, flat = float(rng.uniform(0, np.pi)), float(rng.uniform(0.5, 1.0))
    dx, dy = columns[None, :] - np.float32(centre[0]), rows[:, None] - np.float32(centre[1])
    c, s = np.float32(np.cos(tilt)), np.float32(np.sin(tilt))
    far = np.hypot(dx * c + dy * s, (dy * c - dx * s) / np.float32(flat)) / np.float32(reach)
    uneven = field(rng, far.shape, max(reach * 0.6, 2.0), 4)
    far += np.float32(rough) * np.clip(uneven, -_REACH, _REACH)
    return window, np.asarray(far, np.float32)


def _blob(job: Job, rng: np.random.Generator, centre: Path, reach: float, colour: Colour, most: float) -> None:
    edge = max(float(rng.uniform(0.03, 0.6)), 1.5 / reach)
    spot = _spot(job, rng, centre, reach, float(rng.uniform(0.05, 0.3)), 1.1 + edge / 2)
    if spot is None:
        return
    window, far = spot
    opacity = smoothstep(1.0 + edge / 2, 1.0 - edge / 2, far) * np.float32(rng.uniform(0.3, 1.0))
    opacity *= np.clip(0.75 + 0.3 * field(rng, far.shape, max(reach / 3, 2.0), 2), 0, 1.2)
    if rng.random() < 0.6:
        opacity += _rim(rng, far, 0.98, reach, job.mm) * np.float32(rng.uniform(0.2, 0.8))
    opacity = np.clip(opacity * np.float32(rng.uniform(0.25, most)), 0, 0.95)
    job.veils.append(Veil(kind=STAIN, opacity=opacity, window=window, colour=colour, multiplies=True))


def _rim(rng: np.random.Generator, far: Plane, at: float, unit: float, mm: float) -> Plane:
    """A tide line: sharp outside, soft inside."""
    inside, outside = float(rng.uniform(0.3, 2.0)) * mm / unit, max(float(rng.uniform(0.05, 0.3)) * mm, 0.8) / unit
    off = far - np.float32(at)
    return np.asarray(np.exp(-np.where(off < 0, (off / inside) ** 2, (off / outside) ** 2)), np.float32)


def _fox(job: Job, rng: np.random.Generator, centre: Path, reach: float, tint: Colour) -> None:
    reach = max(reach, 1.2)
    spot = _spot(job, rng, centre, reach, 0.15, 2.3)
    if spot is None:
        return
    window, far = spot
    opacity = np.exp(-1.2 * np.maximum(far, 0) ** 2) * np.float32(rng.uniform(0.2, 0.8))
    if rng.random() < 0.4:
        opacity += smoothstep(0.4, 0.2, far) * np.float32(rng.uniform(0.1, 0.4))  # an iron speck at its heart
    opacity = np.asarray(np.clip(opacity, 0, 0.95), np.float32)
    job.veils.append(Veil(kind=STAIN, opacity=opacity, window=window, colour=tint, multiplies=True))


def _water(job: Job, rng: np.random.Generator, centre: Path, reach: float) -> None:
    spot = _spot(job, rng, centre, reach, float(rng.uniform(0.1, 0.35)), 1.15)
    if spot is None:
        return
    window, far = spot
    rim = _rim(rng, far, 1.0, reach, job.mm) * np.float32(rng.uniform(0.2, 0.6))
    if rng.random() < 0.4:
        rim = np.maximum(
            rim, _rim(rng, far, float(rng.uniform(0.6, 0.9)), reach, job.mm) * np.float32(rng.uniform(0.1, 0.4))
        )
    job.veils.append(Veil(kind=STAIN, opacity=rim, window=window, colour=_brown(rng), multiplies=True))
    washed = smoothstep(1.02, 0.9, far) * np.float32(rng.uniform(0.0, 0.22))
    colour = (0.95, 0.92, 0.84)
    job.veils.append(Veil(kind=STAIN, opacity=washed, window=window, colour=colour, multiplies=False))


def _tape(job: Job, rng: np.random.Generator, centre: Path) -> None:
    """A strip of aged adhesive: straight sides, uneven inside."""
    half, along = float(rng.uniform(3, 13)) * job.mm, float(rng.uniform(8, 60)) * job.mm
    reach = float(np.hypot(half, along))
    window = job.window(centre, reach, reach)
    if window is None:
        return
    rows, columns = (np.arange(s.start, s.stop, dtype=np.float32) for s in window)
    tilt = float(rng.choice([0.0, np.pi / 2]) + rng.normal(0, 0.08))
    dx, dy = columns[None, :] - np.float32(centre[0]), rows[:, None] - np.float32(centre[1])
    u = dx * np.float32(np.cos(tilt)) + dy * np.float32(np.sin(tilt))
    v = dy * np.float32(np.cos(tilt)) - dx * np.float32(np.sin(tilt))
    ragged = field(rng, (len(rows), len(columns)), max(0.6 * job.mm, 1.5), 2) * np.float32(0.25 * job.mm)
    soft = max(0.1 * job.mm, 1.0)
    inside = np.minimum(np.float32(half) - np.abs(v), np.float32(along) - np.abs(u) + ragged)
    opacity = np.clip(inside / np.float32(soft) + 0.5, 0, 1) * np.float32(rng.uniform(0.15, 0.65))
    opacity *= np.clip(0.8 + 0.25 * field(rng, (len(rows), len(columns)), max(3 * job.mm, 2.0), 3), 0.1, 1.2)
    colour = tuple(np.clip(np.array([0.93, 0.78, 0.45]) * rng.uniform(0.85, 1.1, 3), 0, 1).tolist())
    job.veils.append(
        Veil(
            kind=STAIN,
            opacity=np.asarray(np.clip(opacity, 0, 0.9), np.float32),
            window=window,
            colour=colour,
            multiplies=True,
        )
    )


def _fingerprint(job: Job, rng: np.random.Generator, centre: Path) -> None:
    """Ridges about 0.45 mm apart around a core, pressed unevenly."""
    mm = job.mm
    if mm < 5:  # ridges narrower than two samples are no more than a smudge
        return
    reach = 10.5 * mm
    window = job.window(centre, reach, reach)
    if window is None:
        return
    rows, columns = (np.arange(s.start, s.stop, dtype=np.float32) for s in window)
    dx, dy = columns[None, :] - np.float32(centre[0]), rows[:, None] - np.float32(centre[1])
    tilt = float(rng.uniform(0, np.pi))
    c, s = np.float32(np.cos(tilt)), np.float32(np.sin(tilt))
    u, v = dx * c + dy * s, (dy * c - dx * s) * np.float32(0.72)
    far = np.hypot(u, v)
    flow = np.hypot(u + np.float32(1.5 * mm), v * np.float32(1.3)) + field(rng, far.shape, 4 * mm, 2) * np.float32(
        0.9 * mm
    )
    ridge = smoothstep(-0.2, 0.7, np.asarray(np.cos(flow * np.float32(2 * np.pi / (0.46 * mm))), np.float32))
    pressed = smoothstep(
        6.8 * mm, 4.5 * mm, far + np.clip(field(rng, far.shape, 5 * mm, 2), -2, 2) * np.float32(1.2 * mm)
    )
    pressed *= np.clip(0.7 + 0.5 * field(rng, far.shape, 2.5 * mm, 2), 0, 1)
    opacity = ridge * pressed * np.float32(rng.uniform(0.08, 0.4))
    lighter = rng.random() < 0.35
    colour: Colour = (0.85, 0.84, 0.8) if lighter else (0.4, 0.36, 0.3)
    job.veils.append(Veil(kind=STAIN, opacity=opacity, window=window, colour=colour, multiplies=not lighter))
