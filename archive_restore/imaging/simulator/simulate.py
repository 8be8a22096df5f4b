"""A photograph and its damage: the simulator's door.

Order as in life: a scene is taken (with things that only look like damage), the picture ages, is damaged, is scanned.
The ground truth is what visibly changed, class by class, before noise and coding.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from archive_restore.imaging.simulator.ageing import age, luma_of, scan
from archive_restore.imaging.simulator.cracks import cracks, creases
from archive_restore.imaging.simulator.job import Job, Veil
from archive_restore.imaging.simulator.losses import losses
from archive_restore.imaging.simulator.marks import hairs, scratches
from archive_restore.imaging.simulator.noise import Plane, field, generator, white
from archive_restore.imaging.simulator.scene import add_hard_negatives
from archive_restore.imaging.simulator.settings import SimulatedClass, SimulatorSettings
from archive_restore.imaging.simulator.spots import dust, mould
from archive_restore.imaging.simulator.stains import silvering, stains

VISIBLE = 0.03
"""Least change of any channel that counts as damage, of full scale (about 8 of 255), where the picture has no noise."""
OVER_NOISE = 1.25
"""Where it has, a change must also exceed this many of the noise's standard deviations."""

_PAINTERS = {
    # In this order they come to lie on one another.
    SimulatedClass.SILVERING: silvering,
    SimulatedClass.STAIN: stains,
    SimulatedClass.MOULD: mould,
    SimulatedClass.CREASE: creases,
    SimulatedClass.CRACK: cracks,
    SimulatedClass.SCRATCH: scratches,
    SimulatedClass.TEAR: losses,
    SimulatedClass.HAIR: hairs,
    SimulatedClass.DUST: dust,
}


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """A damaged picture and the truth about it."""

    damaged: Plane
    """float32 (h, w, c) in [0, 1]."""
    clean: Plane
    """The same picture with the same ageing, hard negatives, noise and coding, without the damage: what a perfect fill
    would give; float32 (h, w, c) in [0, 1]."""
    damage: NDArray[np.uint16]
    """`SimulatedClass` bits, (h, w): where each class changed the picture visibly."""
    opacity: Plane
    """How much of the picture the damage covers, float32 (h, w) in [0, 1]; also where it is too faint for a bit."""
    visible: float
    """The change from which on this picture's damage counts, of full scale."""


def simulate(picture: Plane, seed: int, settings: SimulatorSettings) -> Simulated:
    """Damage a photograph: equal arguments give equal results.

    `picture`: float32 (h, w, c) in [0, 1], sRGB-encoded, c 1 or 3, at least 16 px each way; it is not changed.
    `seed`: any integer, taken modulo 2**64. Raise ValueError for another shape or type.
    """
    if picture.ndim != 3 or picture.shape[2] not in (1, 3) or min(picture.shape[:2]) < 16:
        raise ValueError(f"a picture of shape {picture.shape} is not (h, w, 1 or 3) with at least 16 px each way")
    if picture.dtype != np.float32:
        raise ValueError(f"a picture of {picture.dtype} is not float32")
    picture = np.clip(np.nan_to_num(picture), 0, 1)
    scene = add_hard_negatives(picture, settings.hard_negatives, generator(seed, "scene"))
    clean = age(scene, settings.ageing, settings.dpi, generator(seed, "ageing"))
    luma = luma_of(clean)
    height, width = luma.shape
    sample = clean[:: max(height // 128, 1), :: max(width // 128, 1)].reshape(-1, clean.shape[2])
    ends = np.percentile(sample, [0.5, 99.5], axis=0).astype(np.float32)
    bare = np.array([1.0, 0.98, 0.93], np.float32)[: clean.shape[2]]
    share = np.float32(generator(seed, "paper").uniform(0, 0.8))
    job = Job(
        height=height,
        width=width,
        settings=settings,
        luma=luma,
        light=ends[1],
        dark=ends[0],
        # Paper that lost its emulsion is brighter than any tone of a faded picture.
        paper=ends[1] + np.maximum(bare - ends[1], 0) * share + np.float32(0.02),
    )
    for kind, paint in _PAINTERS.items():
        if settings.rates.get(kind, 0.0) > 0:
            paint(job, generator(seed, kind.name or ""))
    laid = _Laying(clean, job, generator(seed, "laying"))
    for kind in _PAINTERS:
        if job.has(kind):
            laid.lay(kind, generator(seed, f"laying {kind.name}"))
    clean, damaged = scan(clean, laid.finished(), settings.ageing, generator(seed, "scan"))
    return Simulated(damaged=damaged, clean=clean, damage=laid.truth(), opacity=1 - laid.clear, visible=laid.visible)


def noise_of(luma: Plane) -> float:
    """Standard deviation of the noise in the picture's smooth parts (Immerkær 1996, over the quietest third)."""
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    top, left = max((luma.shape[0] - 512) // 2, 0), max((luma.shape[1] - 512) // 2, 0)
    part = luma[top : top + 512, left : left + 512]  # the middle, at its own resolution
    energy = cv2.blur(np.abs(cv2.filter2D(part, -1, kernel)), (9, 9))[::4, ::4]
    return float(np.percentile(energy, 33)) * float(np.sqrt(np.pi / 2) / 6)


def _most(change: Plane) -> Plane:
    """The largest absolute change of any channel, (h, w). Slice by slice: a maximum along a short axis is slow."""
    size = np.abs(change)
    most: Plane = size[:, :, 0]
    for channel in range(1, size.shape[2]):
        most = np.maximum(most, size[:, :, channel])
    return most


class _Laying:
    """The clean picture while class after class is laid over it."""

    def __init__(self, clean: Plane, job: Job, rng: np.random.Generator) -> None:
        self.clean, self.job, self.rng = clean, job, rng
        self.noise = noise_of(job.luma)
        self.visible = max(VISIBLE, OVER_NOISE * self.noise)
        self.out = clean.copy()
        height, width = clean.shape[:2]
        self.bits = np.zeros((height, width), np.uint16)
        self.traces = np.zeros((height, width), np.uint16)
        self.clear = np.ones((height, width), np.float32)
        self.sigma = float(rng.uniform(0.4, 0.95))  # the scanner's blur over everything that lies on the picture
        ageing = job.settings.ageing
        self.halo = float(rng.uniform(0.15, 0.6)) if rng.random() < ageing.sharpening else 0.0
        self.span = job.light - job.dark
        self.dirt = job.dark * np.float32(rng.uniform(0.1, 1.0)) - np.float32(
            0.02
        )  # darker than a faded picture's black
        # The texture of bare paper and of dirt: a little of it everywhere, shared by all marks.
        self.texture = field(rng, (height, width), max(0.5 * job.mm, 2.0)) * np.float32(0.011)
        self.texture += white(rng, (height, width)) * np.float32(0.004 + 0.7 * self.noise)

    def lay(self, kind: SimulatedClass, rng: np.random.Generator) -> None:
        """All veils and sheets of one class."""
        self.rng = rng
        veils = [veil for veil in self.job.veils if veil.kind == kind]
        for veil in veils:
            if not veil.last:
                self._veil(veil)
        for bright in (False, True):
            for soft in (True, False):
                sheet = self.job.sheets.get((kind, bright, soft))
                drawn = sheet.render() if sheet else None
                if drawn is not None:
                    self._marks(kind, drawn[0], drawn[1], bright, soft)
        for veil in veils:
            if veil.last:
                self._veil(veil)

    def _marks(self, kind: SimulatedClass, alpha: Plane, window: tuple[slice, slice], bright: bool, soft: bool) -> None:
        sigma, rng = self.sigma, self.rng
        if soft:
            sigma = float(np.hypot(sigma, rng.uniform(0.5, 2.0)))
        alpha = cv2.GaussianBlur(alpha, (0, 0), sigma)
        if self.halo and not soft:  # what an unsharp mask does to a mark: its negative around it
            alpha = alpha + np.float32(self.halo) * (alpha - cv2.GaussianBlur(alpha, (0, 0), 1.6))
            np.clip(alpha, -0.3, 1, out=alpha)
        depth = np.float32(min(abs(float(rng.normal(0, 0.13))), 0.4))
        lost = bright and kind in (SimulatedClass.TEAR, SimulatedClass.CRACK)
        if bright:
            tone = self.job.paper - self.span * depth * np.float32(0.5 if lost else 1.0)
        else:
            tone = self.dirt + self.span * depth
        if len(tone) == 3:
            tone = tone * (1 + rng.uniform(-0.02, 0.02, 3).astype(np.float32))
            if lost:  # some papers are cream
                tone = tone * np.array([1.0, 0.99, 1.0 - abs(float(rng.normal(0.0, 0.05)))], np.float32)
        self._blend(kind, alpha, window, tone.astype(np.float32), multiplies=False)

    def _veil(self, veil: Veil) -> None:
        colour = np.array(veil.colour, np.float32)
        if self.clean.shape[2] == 1:
            colour = colour @ np.array([[0.2126], [0.7152], [0.0722]], np.float32)
        self._blend(veil.kind, veil.opacity, veil.window, colour, multiplies=veil.multiplies)

    def _blend(
        self, kind: SimulatedClass, alpha: Plane, window: tuple[slice, slice], tone: Plane, *, multiplies: bool
    ) -> None:
        alpha = alpha * np.float32(self.job.settings.strength)
        before = self.out[window]
        if multiplies:
            change = before * ((tone - 1) * alpha[:, :, None])
        else:
            change = (tone + self.texture[window][:, :, None] - before) * alpha[:, :, None]
        after = np.clip(before + change, 0, 1)
        seen = _most(after - before)
        self.out[window] = after
        np.multiply(self.clear[window], 1 - np.clip(alpha, 0, 1), out=self.clear[window])
        bits, traces = self.bits[window], self.traces[window]
        if not multiplies:
            covered = alpha > 0.9
            bits[covered] = 0  # what lay below is no longer seen
            traces[covered] = 0
            if covered.any():
                whole = _most(after - self.clean[window])
                seen = np.where(covered, np.maximum(seen, whole), seen)
        bits[seen >= self.visible] |= np.uint16(kind)
        traces[seen >= self.visible / 16] |= np.uint16(kind)

    def finished(self) -> Plane:
        """The damaged picture before the scan."""
        return self.out

    def truth(self) -> NDArray[np.uint16]:
        """Bits where the sum of all changes is visible; every such pixel has at least one."""
        change = _most(self.out - self.clean)
        bits = np.where(self.bits == 0, self.traces, self.bits)
        bits[change < self.visible] = 0
        return bits
