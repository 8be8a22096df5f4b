"""Small motion of one still: spectral volumes for foliage, grass, hair, fabric, smoke and water.

A spectral volume holds, for every pixel, the Fourier coefficients of its path (Davis et al., Image-Space Modal Bases,
SIGGRAPH 2015; Li et al., Generative Image Dynamics, CVPR 2024). Here they come from smoothed noise with 1/f amplitudes
and a travelling phase, without a model. Every harmonic is one of 1/duration, so a clip loops by construction. Works at
a quarter of the frame; must never move a pixel outside of its region.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from archive_restore.ports import MOTION_CELL, MotionFrame, MotionSource
from archive_restore.records.imagery import Region

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

COARSE = MOTION_CELL
"""Pixels of the still a cell of the volume."""
REST = "rest"
"""The kind of what does not move."""
CAP = 0.001
"""Root-mean-square displacement, share of the frame's width, unless more is asked for."""
HARMONICS = 16
"""Frequencies a region moves in."""
_GROUP = 8  # frames
_LOOKED_AT = 4  # frames
SMOOTHEST = 2.0
"""Cells over which motion changes at least, so that neighbours never part."""


@dataclass(frozen=True, kw_only=True)
class Spectrum:
    """How one kind of matter moves in wind or current."""

    name: str
    exponent: float
    """Amplitudes fall with frequency to this power."""
    slowest: float
    """Lowest frequency, Hz."""
    fastest: float
    """Highest frequency, Hz."""
    extent: float
    """Length over which neighbours move alike at the lowest frequency, share of the frame's width."""
    along: tuple[float, float]
    """Share of the motion across and down, each 0..1."""
    wave: float
    """Length of the wave that travels through at the lowest frequency, share of the frame's width; 0 for none."""
    heading: tuple[float, float]
    """Direction in which it travels: across, down; a unit vector."""
    strength: float
    """Amplitude relative to what was asked for, 0..1."""


PRESETS = {
    spectrum.name: spectrum
    for spectrum in (
        Spectrum(name="foliage", exponent=1.0, slowest=0.12, fastest=1.6, extent=0.05, along=(1.0, 0.35), wave=0.6,
                 heading=(0.98, 0.2), strength=1.0),
        Spectrum(name="grass", exponent=0.9, slowest=0.15, fastest=1.8, extent=0.03, along=(1.0, 0.15), wave=0.35,
                 heading=(1.0, 0.0), strength=0.8),
        Spectrum(name="hair", exponent=1.1, slowest=0.12, fastest=1.2, extent=0.06, along=(1.0, 0.3), wave=0.3,
                 heading=(0.8, 0.6), strength=0.6),
        Spectrum(name="fabric", exponent=1.2, slowest=0.1, fastest=0.9, extent=0.08, along=(0.8, 0.5), wave=0.25,
                 heading=(0.9, 0.44), strength=0.8),
        Spectrum(name="smoke", exponent=1.4, slowest=0.08, fastest=0.5, extent=0.1, along=(0.7, 0.9), wave=0.3,
                 heading=(0.2, -0.98), strength=1.0),
        Spectrum(name="water", exponent=1.0, slowest=0.15, fastest=1.0, extent=0.05, along=(0.8, 0.5), wave=0.12,
                 heading=(0.3, 0.95), strength=0.8),
    )
}  # fmt: skip
"""By name."""


@dataclass(frozen=True, kw_only=True)
class Moving:
    """A region that moves."""

    spectrum: Spectrum
    mask: Bytes
    """uint8 (h, w) of the frame, 255 where it moves fully, 0 where it must not."""
    amplitude: float
    """Root-mean-square displacement, pixels of the frame."""


class SpectralMotion(MotionSource):
    """Motion in Fourier coefficients: repeatable from the seed, number for number."""

    def __init__(
        self,
        shape: tuple[int, int],
        regions: Sequence[Moving],
        *,
        frames: int,
        rate: float,
        seed: int,
        loops: bool = True,
        ease: float = 1.0,
    ) -> None:
        """`shape`: rows and columns of the frame; `rate`: frames a second.

        `ease`: seconds in which a clip that does not loop begins and ends to move.
        """
        self._frames, self._loops = frames, loops
        self._ease = max(1, round(ease * rate))
        self.shape = (-(-shape[0] // COARSE), -(-shape[1] // COARSE))
        self._first, self._group = -1, np.zeros((0, *self.shape, 2), np.float32)
        seconds = frames / rate
        self._parts = [self._part(region, index, shape[1], seconds, seed) for index, region in enumerate(regions)]
        self._kinds = (REST, *dict.fromkeys(region.spectrum.name for region in regions))
        self._alpha, self._kind = np.zeros(self.shape, np.float32), np.zeros(self.shape, np.uint8)
        for part, region in zip(self._parts, regions, strict=True):
            alpha, kind = self._alpha[part.rows, part.columns], self._kind[part.rows, part.columns]
            kind[part.mask > alpha] = self._kinds.index(region.spectrum.name)
            np.maximum(alpha, part.mask, out=alpha)

    @property
    def frames(self) -> int:
        """See MotionSource."""
        return self._frames

    @property
    def kinds(self) -> tuple[str, ...]:
        """See MotionSource."""
        return self._kinds

    def at(self, frame: int) -> MotionFrame:
        """See MotionSource. Frames are made in groups that always begin at the same ones: sums must not differ."""
        frame %= self._frames
        first = frame // _GROUP * _GROUP
        if self._first != first:
            index = np.arange(first, min(first + _GROUP, self._frames))
            self._group = np.zeros((len(index), *self.shape, 2), np.float32)
            for part in self._parts:
                self._group[:, part.rows, part.columns] += part.flows(index, self._frames)
            if not self._loops:
                self._group *= self._envelope(index)[:, None, None, None]
            self._first = first
        return MotionFrame(flow=self._group[frame - first], alpha=self._alpha, kind=self._kind)

    def _part(self, region: Moving, index: int, width: int, seconds: float, seed: int) -> _Part:
        cells = Cells.of(region, self.shape, width=width, seconds=seconds, seed=seed, index=index)
        if cells is None:
            none = np.zeros((2, 0), np.float32)
            return _Part(
                rows=slice(0), columns=slice(0), mask=np.zeros((0, 0), np.float32), volume=none, harmonics=(1,)
            )
        return _Part.make(cells, self._volume(cells))

    def _volume(self, cells: Cells) -> Volume:
        """How a region moves, of any strength; who knows better than noise says so here."""
        return noise_volume(cells)

    def _envelope(self, index: NDArray[np.int64]) -> Floats:
        """0 at both ends, 1 between, float32 (n,)."""
        last = self._frames - 1
        share = np.clip(np.minimum(index, last - index) / self._ease, 0, 1)
        return np.asarray(share * share * (3 - 2 * share), np.float32)


@dataclass(frozen=True, kw_only=True)
class Cells:
    """The cells of the coarse grid in which a region moves."""

    region: Moving
    rows: slice
    columns: slice
    mask: Floats
    """(rows, columns) 0..1."""
    width: int
    """Of the frame, pixels."""
    seconds: float
    """Of the clip."""
    seed: int
    index: int
    """Number of the region."""

    @classmethod
    def of(
        cls, region: Moving, shape: tuple[int, int], *, width: int, seconds: float, seed: int, index: int
    ) -> Cells | None:
        """The rectangle of a coarse grid of `shape` that holds the region; None where it has no cell."""
        rows, columns = shape
        padded = np.zeros((rows * COARSE, columns * COARSE), np.uint8)
        padded[: region.mask.shape[0], : region.mask.shape[1]] = region.mask
        mask = cv2.resize(padded, (columns, rows), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        # A cell is spread over its neighbours when the flow is made fine: only those within count, or pixels beyond
        # the border would move.
        least = padded.reshape(rows, COARSE, columns, COARSE).min(axis=(1, 3))
        mask *= cv2.erode((least > 0).astype(np.uint8), np.ones((3, 3), np.uint8))
        if not mask.any():
            return None
        down, across = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
        here = slice(int(down[0]), int(down[-1]) + 1), slice(int(across[0]), int(across[-1]) + 1)
        return cls(
            region=region, rows=here[0], columns=here[1], mask=np.ascontiguousarray(mask[here]), width=width,
            seconds=seconds, seed=seed, index=index,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Volume:
    """Fourier coefficients of the flow over some cells, of any strength."""

    harmonics: tuple[int, ...]
    """Whole periods in the clip, none twice."""
    parts: Floats
    """(2 · harmonics, rows, columns, 2): cosine and sine of every harmonic."""


def noise_volume(cells: Cells) -> Volume:
    """Smoothed noise with the amplitudes of the region's spectrum, and its travelling wave."""
    spectrum, harmonics = cells.region.spectrum, chosen_harmonics(cells.region.spectrum, cells.seconds)
    rng, unit = np.random.Generator(_bits(cells.seed, cells.index)), cells.width / COARSE
    y, x = np.mgrid[cells.rows, cells.columns].astype(np.float32)
    travelled = (x * spectrum.heading[0] + y * spectrum.heading[1]) / unit
    parts = []
    for harmonic in harmonics:
        ratio = harmonic / harmonics[0]
        weight = ratio**-spectrum.exponent
        smooth = max(spectrum.extent * unit / np.sqrt(ratio), SMOOTHEST)
        real, imaginary = (_smoothed(rng, cells.mask.shape, smooth) * weight for _ in range(2))
        if spectrum.wave:
            phase = 2 * np.pi * np.sqrt(ratio) * travelled / spectrum.wave
            cos, sin = np.cos(phase)[..., None], np.sin(phase)[..., None]
            real, imaginary = real * cos - imaginary * sin, real * sin + imaginary * cos
        parts += [real, imaginary]
    return Volume(harmonics=harmonics, parts=np.stack(parts) * np.asarray(spectrum.along, np.float32))


@dataclass(frozen=True, kw_only=True)
class _Part:
    """The volume of one region, over the rectangle that holds it."""

    rows: slice
    columns: slice
    mask: Floats
    """(rows, columns) 0..1."""
    volume: Floats
    """(2 · harmonics, rows · columns · 2): cosine and sine coefficients, in pixels, masked."""
    harmonics: tuple[int, ...]
    """Whole periods in the clip."""

    @classmethod
    def make(cls, cells: Cells, given: Volume) -> _Part:
        """The volume as strong as the region asks for."""
        region, mask, volume = cells.region, cells.mask, given.parts
        square = float((mask[..., None] ** 2 * (volume**2).sum(axis=0)).sum() / max(float((mask**2).sum()), 1e-9)) / 2
        strength = np.float32(region.amplitude * region.spectrum.strength / max(np.sqrt(square), 1e-9))
        volume = volume * (mask[..., None] * strength)
        return cls(
            rows=cells.rows, columns=cells.columns, mask=mask, harmonics=given.harmonics,
            volume=np.ascontiguousarray(volume.reshape(len(volume), -1), np.float32),
        )  # fmt: skip

    def flows(self, index: NDArray[np.int64], frames: int) -> Floats:
        """(n, rows, columns, 2) of frames `index`; whole turns are counted in whole numbers, so that a loop closes."""
        if not self.volume.shape[1]:
            return np.zeros((len(index), *self.mask.shape, 2), np.float32)
        turns = np.outer(index, self.harmonics) % frames
        angle = 2 * np.pi * turns / frames
        waves = np.stack([np.cos(angle), np.sin(angle)], axis=-1).reshape(len(index), -1).astype(np.float32)
        return np.asarray((waves @ self.volume).reshape(len(index), *self.mask.shape, 2))


class Together(MotionSource):
    """Several sources at once: flows add up, and a cell belongs to the source that claims most of it."""

    def __init__(self, sources: Sequence[MotionSource]) -> None:
        """`sources`: at least one, all over the same still."""
        self._sources = sources
        self._kinds = tuple(dict.fromkeys(kind for source in sources for kind in source.kinds))

    @property
    def frames(self) -> int:
        """See MotionSource."""
        return self._sources[0].frames

    @property
    def kinds(self) -> tuple[str, ...]:
        """See MotionSource."""
        return self._kinds

    def at(self, frame: int) -> MotionFrame:
        """See MotionSource."""
        found, *others = ((source.kinds, source.at(frame)) for source in self._sources)
        whole = replace(found[1], kind=self._renamed(*found))
        for kinds, other in others:
            more = other.alpha > whole.alpha
            whole = MotionFrame(
                flow=whole.flow + other.flow,
                alpha=np.where(more, other.alpha, whole.alpha),
                kind=np.where(more, self._renamed(kinds, other), whole.kind),
            )
        return whole

    def _renamed(self, kinds: tuple[str, ...], motion: MotionFrame) -> Bytes:
        return np.asarray([self._kinds.index(kind) for kind in kinds], np.uint8)[motion.kind]


@dataclass(frozen=True, kw_only=True)
class Moved:
    """Where one kind of matter moves."""

    kind: str
    """One of the source's."""
    share: float
    """Of the still's area that moves at all, 0..1."""
    box: Region
    """What holds all of it, pixels of the still."""


def where_it_moves(source: MotionSource, shape: tuple[int, int]) -> tuple[Moved, ...]:
    """What moves where in a still of `shape` (rows, columns), by kind; some frames are looked at."""
    rows, columns = shape
    seen = [source.at(int(n)) for n in np.linspace(0, source.frames - 1, _LOOKED_AT)]
    found = []
    for index, kind in enumerate(source.kinds[1:], 1):
        cells = np.any([(motion.kind == index) & (motion.alpha > 0) for motion in seen], axis=0)
        if not cells.any():
            continue
        (top, bottom), (left, right) = (
            (int(at[0]) * COARSE, min((int(at[-1]) + 1) * COARSE, most))
            for at, most in ((np.flatnonzero(cells.any(axis=1)), rows), (np.flatnonzero(cells.any(axis=0)), columns))
        )
        box = Region(top=top, left=left, bottom=bottom, right=right)
        found.append(Moved(kind=kind, share=float(cells.mean()), box=box))
    return tuple(found)


def coarse_mask(mask: Bytes, shape: tuple[int, int]) -> Floats:
    """A mask, uint8 (h, w) of the frame, on the coarse grid of `shape`: 0..1."""
    rows, columns = shape
    padded = np.zeros((rows * COARSE, columns * COARSE), np.uint8)
    padded[: mask.shape[0], : mask.shape[1]] = mask
    small = cv2.resize(padded, (columns, rows), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    # A cell is spread over its neighbours when the flow is made fine: only those within count, or pixels beyond the
    # border would move.
    least = padded.reshape(rows, COARSE, columns, COARSE).min(axis=(1, 3))
    return np.asarray(small * cv2.erode((least > 0).astype(np.uint8), np.ones((3, 3), np.uint8)), np.float32)


def chosen_harmonics(spectrum: Spectrum, seconds: float) -> tuple[int, ...]:
    """Whole periods in `seconds`, at most HARMONICS, evenly spread in pitch from the slowest to the fastest."""
    first = max(1, round(spectrum.slowest * seconds))
    last = max(first, round(spectrum.fastest * seconds))
    spread = np.geomspace(first, last, HARMONICS)
    return tuple(dict.fromkeys(int(h) for h in np.rint(spread)))


def _bits(seed: int, index: int) -> np.random.Philox:
    return np.random.Philox(key=np.array([seed & (2**64 - 1), 0x50EC + index], np.uint64))


def _smoothed(rng: np.random.Generator, shape: tuple[int, int], sigma: float) -> Floats:
    """Noise of unit variance that changes over `sigma` cells, float32 (rows, columns, 2)."""
    step = max(1, int(sigma / 2))
    small = (-(-shape[0] // step) + 8, -(-shape[1] // step) + 8)
    noise = rng.standard_normal((*small, 2), np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), sigma / step, borderType=cv2.BORDER_REFLECT)
    large = cv2.resize(noise, (small[1] * step, small[0] * step), interpolation=cv2.INTER_CUBIC)
    cut = large[4 * step : 4 * step + shape[0], 4 * step : 4 * step + shape[1]]
    # The blur's own share of variance, not that of this sample: a small region must not be made to move more.
    return np.asarray(cut * np.float32(2 * np.sqrt(np.pi) * sigma / step), np.float32)
