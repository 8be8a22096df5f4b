"""Enlarges pictures for stories: a network draws the detail, and the result, reduced again, is its source.

Whatever draws the first estimate, iterative back-projection (Irani and Peleg, CVGIP 53, 1991) takes from it what
contradicts the source. Works in bands of rows, so that memory does not grow with the height; bands agree with the
whole. A pixel of the result is never the master's: every one is RESAMPLED.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from archive_restore.errors import UsageError
from archive_restore.imaging import fill_network
from archive_restore.imaging.network_frames import Place
from archive_restore.imaging.upscale import Enlarge, upscale_bands
from archive_restore.records.imagery import Geometry, PixelFlag, Region

Samples = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]
New = Callable[[tuple[int, ...], npt.DTypeLike], Samples]
"""(shape, dtype) to an array that can be written, for instance a memmap."""

TARGETS = {"4k": (2160, 3840)}
"""Rows and columns of a frame that a picture is fitted into, by name; turned where the picture stands upright."""
TOLERATED = 40.0
"""Least agreement of a result with its source, dB."""
MOST = 16
"""Greatest enlargement along an edge."""
NEAR, FARTHEST = 32, 96
"""Pixels around a tile: a network that looks further than the first is large, none is shown more than the second."""
_ROUNDS = 4  # of back-projection: the first leaves about 1 %, and clipping takes another two
_REACH = 3 * _ROUNDS + 6  # rows of the source that a row of the result depends on
_FIDELITY, _FIDELITY_FAR = 0.6, 0.3  # see Enlarger.fidelity; chosen on the five photographs of the development
_LEVELS = 8  # of luma, for each of which grain is measured
_CROPS, _CROP = 16, 256
_QUIET = 15  # places whose grain is measured, pixels
_CALM = 10  # percent of places that are taken for quiet


@dataclass(frozen=True, kw_only=True)
class Enlarger:
    """A network of super-resolution and how it is to be run."""

    predict: Enlarge
    """Planes in [0, 1], as `upscale.Enlarge`."""
    scale: int
    """How many times it enlarges."""
    planes: int = 3
    """Planes it takes: 3 or 1. A gray picture is given three times and averaged back."""
    tile: int = 256
    """Rows and columns that one call answers for, pixels of the source."""
    overlap: int = 18
    """Pixels read around a tile."""
    fidelity: float = _FIDELITY
    """Its share in the estimate of the fidelity mode: the smaller, the more it invents."""
    calls: int | None = None
    """Calls at once at most, where the memory of one is large."""

    @staticmethod
    def looking(predict: Enlarge, *, scale: int, planes: int, halo: int) -> Enlarger:
        """One for a network that looks `halo` pixels around itself: without seams, and in less than 2 GiB.

        What lies further than FARTHEST changes the published networks' answers by 0.1 of 255 at most; at half of that
        tiles differ from the whole by 16.
        """
        far = halo > NEAR
        return Enlarger(
            predict=predict,
            scale=scale,
            planes=planes,
            overlap=min(halo, FARTHEST),
            fidelity=_FIDELITY_FAR if far else _FIDELITY,
            calls=1 if far else None,
        )


@dataclass(frozen=True, kw_only=True)
class GrainCurve:
    """What one look at the whole picture says of its grain: plain numbers, recorded with the derivation."""

    blur: float
    """Coarseness, see fill_network.Grain."""
    deviations: tuple[float, ...]
    """Deviation after fill_network's high pass at equal steps of luma from black to white, share of full scale."""


@dataclass(frozen=True, kw_only=True)
class Enlarged:
    """A result."""

    samples: Samples
    """(height, width, c) of the source's dtype."""
    agreement: float
    """PSNR of the result, reduced again by area averages, against its source, dB; at most 120."""
    flags: PixelFlag
    """What every pixel is, besides what its source pixel was."""


# --- sizes and maps ----------------------------------------------------------------------------------


def target_size(
    height: int, width: int, *, scale: float | None = None, target: str | tuple[int, int] | None = None
) -> tuple[int, int]:
    """Rows and columns of the result: `scale` times as many, or as many as fit into `target`.

    `target`: a name in TARGETS, or rows and columns. Raise UsageError unless one of them is given and enlarges.
    """
    if (scale is None) == (target is None):
        raise UsageError("an enlargement takes a scale or a target", hint="Give one of them")
    if isinstance(target, str):
        if target not in TARGETS:
            raise UsageError(f"there is no target {target!r}", hint=f"Use {' or '.join(TARGETS)}, or a scale")
        rows, columns = TARGETS[target]
        target = (columns, rows) if height > width and rows < columns else (rows, columns)
    factor = float(scale) if scale is not None else _fitting(height, width, target)
    size = max(1, round(height * factor)), max(1, round(width * factor))
    if factor > MOST:
        raise UsageError(
            f"{height} × {width} pixels cannot be enlarged {factor:.1f} times", hint=f"{MOST} times is the most"
        )
    if size[0] < height or size[1] < width or size == (height, width):
        raise UsageError(
            f"the picture has {height} × {width} pixels, which is no less than {size[0]} × {size[1]}",
            hint="Ask for more, or leave it as it is",
        )
    return size


def fills(height: int, width: int, target: str) -> bool:
    """Whether a picture is no smaller than what `target` would make of it, so that there is nothing to enlarge."""
    rows, columns = TARGETS[target]
    return _fitting(height, width, (columns, rows) if height > width and rows < columns else (rows, columns)) <= 1


def _fitting(height: int, width: int, target: tuple[int, int] | None) -> float:
    rows, columns = target or (height, width)
    return min(rows / height, columns / width)


def geometry(height: int, width: int, size: tuple[int, int]) -> Geometry:
    """From pixel centres of the result to those of its source, (x, y, 1)."""
    across, down = width / size[1], height / size[0]
    return ((across, 0.0, (across - 1) / 2), (0.0, down, (down - 1) / 2), (0.0, 0.0, 1.0))


def carry(plane: npt.NDArray[np.uint8], size: tuple[int, int], new: New, *, add: int = 0) -> npt.NDArray[np.uint8]:
    """Enlarge a map (h, w) to its nearest values and set the bits of `add`: uint8 of `size`."""
    height, width = plane.shape
    made = new(size, np.uint8)
    columns = (2 * np.arange(size[1], dtype=np.int64) + 1) * width // (2 * size[1])
    for top in range(0, size[0], 256):
        rows = np.arange(top, min(top + 256, size[0]), dtype=np.int64)
        at = (2 * rows + 1) * height // (2 * size[0])
        made[rows[0] : rows[-1] + 1] = np.asarray(plane[at[0] : at[-1] + 1])[at - at[0]][:, columns] | np.uint8(add)
    return made


def sure(spared: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """1 where nothing that a network drew can reach an enlargement that spares (h, w): back-projection spreads it."""
    whole = (spared == 255).astype(np.uint8)
    # What lies beyond the edge of the picture draws nothing.
    around = np.ones((2 * _REACH + 1,) * 2, np.uint8)
    return np.asarray(cv2.erode(whole, around, borderType=cv2.BORDER_CONSTANT, borderValue=1), np.uint8)


# --- grain -------------------------------------------------------------------------------------------


def survey_grain(
    samples: Samples, *, picture: Sequence[int] | None = None, white: float | None = None, inverted: bool = False
) -> GrainCurve:
    """Measure grain in the quiet places of some crops all over the picture; the parameters are those of `enlarge`."""
    height, width, count = samples.shape
    chosen = _picture_channels(count, picture)
    full = _white(samples.dtype, white)
    side = round(_CROPS**0.5)
    crops = []
    for top in _starts(height, side):
        for left in _starts(width, side):
            part = np.asarray(samples[top : top + _CROP, left : left + _CROP])[:, :, chosen]
            values = np.clip(_floats(part, full).mean(axis=2), 0, 1)
            crops.append(1 - values if inverted else values)
    tones, sizes = [], []
    for crop in crops:
        high = crop - cv2.GaussianBlur(crop, (0, 0), 1.0)
        sizes.append(np.sqrt(cv2.blur(high * high, (_QUIET, _QUIET))).ravel())
        tones.append(cv2.blur(crop, (_QUIET, _QUIET)).ravel())
    tone, found = np.concatenate(tones), np.concatenate(sizes)
    levels = np.linspace(0, 1, _LEVELS)
    nearest = np.rint(tone * (_LEVELS - 1)).astype(int)
    known = [
        (level, float(np.percentile(found[nearest == at], _CALM)))
        for at, level in enumerate(levels)
        if (nearest == at).sum() >= 200
    ]
    curve = np.interp(levels, [level for level, _ in known], [value for _, value in known]) if known else levels * 0
    # A tone that is nowhere quiet has texture, not more grain than the others.
    middle = found[(tone > 0.1) & (tone < 0.9)]
    most = 1.5 * float(np.percentile(middle if middle.size else found, _CALM))
    return GrainCurve(
        blur=fill_network.survey_grain(crops).blur,
        deviations=tuple(round(float(min(value, most)), 6) for value in curve),
    )


def _starts(length: int, count: int) -> list[int]:
    return sorted({round((length - _CROP) * k / (count - 1)) for k in range(count)}) if length > _CROP else [0]


# --- enlarging ---------------------------------------------------------------------------------------


def enlarge(
    samples: Samples,
    size: tuple[int, int],
    network: Enlarger | None,
    *,
    new: New,
    picture: Sequence[int] | None = None,
    white: float | None = None,
    inverted: bool = False,
    fidelity: bool = False,
    grain: float = 0.0,
    curve: GrainCurve | None = None,
    spared: npt.NDArray[np.uint8] | None = None,
    seed: int = 0,
    threads: int = 1,
) -> Enlarged:
    """Enlarge (h, w, c) samples to `size`, rows and columns; each edge at least as long as before.

    `samples`: uint8, uint16 or float, an array or a memmap; `network`: None enlarges by Lanczos' kernel alone;
    `picture`: the channels that make the picture, 1 or 3, by default all: others (alpha, infrared) never reach the
    network; `white`: code value of 1.0, by default 255, 65535 or 1; `inverted`: 0 is white; `fidelity`: lean on plain
    interpolation as well, for less invention and a smaller error; `grain`: share of the source's grain, as `curve` has
    it, that is drawn finer than the source's pixels could; `spared`: (h, w), 255 where the network has no say and
    plain interpolation all of it; `seed` fixes grain by position; `threads`: tiles at once.
    Raise UsageError for what cannot be, ModelUnusable where the network breaks its promise.
    """
    height, width, count = samples.shape
    chosen = _picture_channels(count, picture)
    if size[0] < height or size[1] < width:
        raise UsageError(f"{height} × {width} pixels cannot be enlarged to {size[0]} × {size[1]}")
    if not 0 <= grain <= 1:
        raise UsageError(f"the share of grain is {grain}", hint="Use 0 to 1")
    if grain and curve is None:
        curve = survey_grain(samples, picture=chosen, white=white, inverted=inverted)
    work = _Work(
        samples=samples,
        size=size,
        network=network,
        picture=chosen,
        white=_white(samples.dtype, white),
        inverted=inverted,
        share=network.fidelity if fidelity and network is not None else 1.0,
        grain=grain,
        curve=curve,
        spared=spared,
        seed=seed,
        threads=threads,
    )
    made = new((*size, count), samples.dtype)
    error = 0.0
    for top, rows, apart in work.bands():
        made[top : top + len(rows)] = rows
        error += apart
    mean = error / (height * width * count)
    flags = PixelFlag.RESAMPLED
    if network is not None or grain:
        # Grain was drawn from measured numbers, not by a model; it is new structure all the same.
        flags |= PixelFlag.SYNTHESIZED if network is not None else PixelFlag.INTERPOLATED
    return Enlarged(samples=made, agreement=float(-10 * np.log10(max(mean, 1e-12))), flags=flags)


def _picture_channels(count: int, picture: Sequence[int] | None) -> list[int]:
    chosen = list(range(count)) if picture is None else list(picture)
    if len(chosen) not in (1, 3) or not all(0 <= channel < count for channel in chosen):
        raise UsageError(
            f"channels {chosen} of {count} make no picture that can be enlarged", hint="Name one or three channels"
        )
    return chosen


def _white(dtype: np.dtype[Any], white: float | None) -> float:
    return float(white or (np.iinfo(dtype).max if dtype.kind == "u" else 1.0))


def _floats(samples: Samples, white: float) -> Floats:
    values = samples.astype(np.float32) * np.float32(1 / white)
    return np.nan_to_num(values, copy=False, nan=0, posinf=1, neginf=0) if samples.dtype.kind == "f" else values


@dataclass(frozen=True, kw_only=True)
class _Work:
    """One enlargement; everything here is in shares of full scale, and 1 is light where the network looks."""

    samples: Samples
    size: tuple[int, int]
    network: Enlarger | None
    picture: list[int]
    white: float
    inverted: bool
    share: float
    grain: float
    curve: GrainCurve | None
    spared: npt.NDArray[np.uint8] | None
    seed: int
    threads: int

    def bands(self) -> Iterator[tuple[int, Samples, float]]:
        """First row, finished rows, and their squared error against the source, band by band."""
        height, width, _ = self.samples.shape
        kept: Floats = np.empty((0, self.size[1], len(self.picture)), np.float32)
        first = 0  # row of the network's picture at which `kept` begins
        drawn = self._drawn()
        reducer = _area(self.size[0], height)
        for low, high in self._cuts():
            around = max(low - _REACH, 0), min(high + _REACH, height)
            source = _floats(np.asarray(self.samples[around[0] : around[1]]), self.white)
            rows = _covered(around, height, self.size[0])
            estimate = self._interpolated(source, around, rows)
            if self.network is not None:
                needed = self._drawn_rows(rows)
                parts, got = [kept[max(needed[0] - first, 0) :]], first + len(kept)
                first = max(first, needed[0])
                while got < needed[1]:
                    parts.append(next(drawn))
                    got += len(parts[-1])
                kept = np.concatenate(parts)
                seen = self._to_rows(kept, first, rows)
                estimate[:, :, self.picture] += self._say(around, rows) * (seen - estimate[:, :, self.picture])
            if self.grain and self.curve is not None:
                estimate[:, :, self.picture] += self._grain(estimate[:, :, self.picture], rows[0])[:, :, None]
            made = self._projected(estimate, source, around, rows, reducer)
            top, bottom = _owned(low, high, height, self.size[0])
            coded = self._coded(made)
            inner = reducer.part(low, high)
            back = inner.apply(_narrow(_floats(coded, self.white), width), rows[0])
            apart = back - source[low - around[0] : high - around[0]]
            yield top, coded[top - rows[0] : bottom - rows[0]], float(np.square(apart, dtype=np.float64).sum())

    def _say(self, around: tuple[int, int], rows: tuple[int, int]) -> Floats:
        """Share of the network in the estimate of these rows: (rows, width, 1), or (1, 1, 1)."""
        if self.spared is None or not (part := np.asarray(self.spared[around[0] : around[1]])).any():
            return np.full((1, 1, 1), self.share, np.float32)
        held = _cubic(self.samples.shape[0], self.size[0]).part(*rows).apply(_floats(part, 255)[:, :, None], around[0])
        return np.float32(self.share) * (1 - np.clip(_wide(held, self.size[1]), 0, 1))

    def _cuts(self) -> Iterator[tuple[int, int]]:
        """Rows of the source that one band answers for: those of a row of tiles."""
        height = self.samples.shape[0]
        step = self.network.tile if self.network is not None else 256
        for low in range(0, height, step):
            yield low, min(low + step, height)

    def _drawn(self) -> Iterator[Floats]:
        """What the network draws, in bands, already as wide as the result: (rows, width, picture channels)."""
        if self.network is None:
            return
        network, count = self.network, len(self.picture)

        def read(region: Region) -> Floats:
            part = self.samples[region.top : region.bottom, region.left : region.right]
            values = np.clip(_floats(np.asarray(part)[:, :, self.picture], self.white), 0, 1)
            values = 1 - values if self.inverted else values
            return values.repeat(network.planes, axis=2) if count == 1 else values

        if count > network.planes:
            raise UsageError("a network for gray pictures cannot enlarge colour", hint="Use another model")
        height, width, _ = self.samples.shape
        for band in upscale_bands(
            read,
            height,
            width,
            network.predict,
            scale=network.scale,
            tile=network.tile,
            overlap=network.overlap,
            threads=min(self.threads, network.calls or self.threads),
        ):
            values = band.mean(axis=2, keepdims=True) if count < band.shape[2] else band
            values = 1 - values if self.inverted else values
            yield _wide(values, self.size[1])

    def _drawn_rows(self, rows: tuple[int, int]) -> tuple[int, int]:
        """Rows of the network's picture that these rows of the result come from."""
        taps = self._drawn_taps().part(*rows)
        return int(taps.at.min()), int(taps.at.max()) + 1

    def _drawn_taps(self) -> _Taps:
        assert self.network is not None
        tall = self.samples.shape[0] * self.network.scale
        return _area(tall, self.size[0]) if tall >= self.size[0] else _cubic(tall, self.size[0])

    def _to_rows(self, kept: Floats, first: int, rows: tuple[int, int]) -> Floats:
        return self._drawn_taps().part(*rows).apply(kept, first)

    def _interpolated(self, source: Floats, around: tuple[int, int], rows: tuple[int, int]) -> Floats:
        """The source enlarged by Lanczos' kernel."""
        taps = _lanczos(self.samples.shape[0], self.size[0]).part(*rows)
        return _wide(taps.apply(source, around[0]), self.size[1], cv2.INTER_LANCZOS4)

    def _projected(
        self, estimate: Floats, source: Floats, around: tuple[int, int], rows: tuple[int, int], reducer: _Taps
    ) -> Floats:
        """Give back to the estimate, round by round, what its reduction lacks of the source."""
        height, width, _ = self.samples.shape
        whole = [low for low in range(*around) if _inside(low, height, self.size[0], rows)]
        reduce = reducer.part(whole[0], whole[-1] + 1)
        spread = _cubic(height, self.size[0]).part(*rows)
        # Rows whose reduction is not known here lie beyond the reach of what is kept.
        missing = np.zeros_like(source)
        within = slice(whole[0] - around[0], whole[-1] + 1 - around[0])
        exact = self.samples.dtype.kind == "u"
        for _ in range(_ROUNDS):
            missing[within] = source[within] - reduce.apply(_narrow(estimate, width), rows[0])
            estimate += _wide(spread.apply(missing, around[0]), self.size[1])
            if exact:
                np.clip(estimate, 0, 1, out=estimate)
        return estimate

    def _coded(self, values: Floats) -> Samples:
        coded = values * np.float32(self.white)
        if self.samples.dtype.kind == "u":
            coded = np.rint(np.clip(coded, 0, np.iinfo(self.samples.dtype).max))
        return coded.astype(self.samples.dtype)

    def _grain(self, picture: Floats, top: int) -> Floats:
        """Grain for rows from `top` on: (rows, width)."""
        assert self.curve is not None
        rows, columns = picture.shape[:2]
        luma = np.clip(picture.mean(axis=2), 0, 1)
        if self.inverted:
            luma = 1 - luma
        levels = np.linspace(0, 1, len(self.curve.deviations))
        size = np.interp(luma, levels, self.curve.deviations).astype(np.float32)
        place = Place(top=top, left=0, height=self.size[0], width=self.size[1])
        grain = fill_network.Grain(blur=self.curve.blur)
        made = fill_network.noise((slice(0, rows), slice(0, columns)), place, grain, self.seed)
        return np.asarray(made * size * np.float32(self.grain), np.float32)


# --- one axis ----------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Taps:
    """Each of n rows is a weighted sum of k others."""

    at: npt.NDArray[np.intp]
    """(n, k)."""
    weight: Floats
    """(n, k)."""

    def part(self, first: int, last: int) -> _Taps:
        """Only some of the rows."""
        return _Taps(at=self.at[first:last], weight=self.weight[first:last])

    def apply(self, rows: Floats, first: int) -> Floats:
        """(m, w, c) rows, of which the first is number `first`, to (n, w, c); what lies beyond them is repeated."""
        at = np.clip(self.at - first, 0, len(rows) - 1)
        shape = (-1,) + (1,) * (rows.ndim - 1)
        total = rows[at[:, 0]] * self.weight[:, 0].reshape(shape)
        for tap in range(1, at.shape[1]):
            total += rows[at[:, tap]] * self.weight[:, tap].reshape(shape)
        return np.asarray(total)


def _area(fine: int, coarse: int) -> _Taps:
    """Averages of fine / coarse rows, those at the ends by the share that is covered."""
    edges = np.arange(coarse + 1, dtype=np.int64) * fine  # in parts of 1 / coarse
    first = edges[:-1] // coarse
    count = int((-(-edges[1:] // coarse) - first).max())
    at = first[:, None] + np.arange(count)
    covered = np.minimum((at + 1) * coarse, edges[1:, None]) - np.maximum(at * coarse, edges[:-1, None])
    weight = np.maximum(covered, 0) / fine
    return _Taps(at=np.minimum(at, fine - 1).astype(np.intp), weight=weight.astype(np.float32))


def _spread(coarse: int, fine: int, reach: int, kernel: Callable[[Any], Any]) -> _Taps:
    """Interpolation by a kernel of 2·reach rows; beyond the edges their rows are repeated."""
    place = (np.arange(fine) + 0.5) * (coarse / fine) - 0.5
    first = np.floor(place).astype(np.int64) - (reach - 1)
    at = first[:, None] + np.arange(2 * reach)
    weight = kernel(np.abs(place[:, None] - at))
    weight = weight / weight.sum(axis=1, keepdims=True)
    return _Taps(at=np.clip(at, 0, coarse - 1).astype(np.intp), weight=weight.astype(np.float32))


def _cubic(coarse: int, fine: int) -> _Taps:
    """Keys' kernel with a = -0.75, as OpenCV's INTER_CUBIC."""
    a = -0.75

    def kernel(d: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        near = ((a + 2) * d - (a + 3)) * d * d + 1
        return np.where(d <= 1, near, np.where(d < 2, ((a * d - 5 * a) * d + 8 * a) * d - 4 * a, 0))

    return _spread(coarse, fine, 2, kernel)


def _lanczos(coarse: int, fine: int) -> _Taps:
    """Lanczos' kernel of 4 lobes, as OpenCV's INTER_LANCZOS4."""
    return _spread(coarse, fine, 4, lambda d: np.where(d < 4, np.sinc(d) * np.sinc(d / 4), 0))


def _wide(rows: Floats, width: int, kernel: int = cv2.INTER_CUBIC) -> Floats:
    """Make rows (n, w, c) `width` long: enlarge by the kernel, or reduce by area."""
    return _across(rows, width, kernel if width > rows.shape[1] else cv2.INTER_AREA)


def _narrow(rows: Floats, width: int) -> Floats:
    return _across(rows, width, cv2.INTER_AREA)


def _across(rows: Floats, width: int, kernel: int) -> Floats:
    if width == rows.shape[1]:
        return rows
    made = cv2.resize(np.ascontiguousarray(rows), (width, len(rows)), interpolation=kernel)
    return np.asarray(made.reshape(len(rows), width, rows.shape[2]), np.float32)


def _covered(around: tuple[int, int], coarse: int, fine: int) -> tuple[int, int]:
    """Rows of the result that touch these rows of the source."""
    return around[0] * fine // coarse, -(-around[1] * fine // coarse)


def _owned(low: int, high: int, coarse: int, fine: int) -> tuple[int, int]:
    """Rows of the result that a band is written to: each belongs to one band."""
    return -(-low * fine // coarse), -(-high * fine // coarse)


def _inside(row: int, coarse: int, fine: int, rows: tuple[int, int]) -> bool:
    """Whether all rows of the result that a row of the source touches lie in these."""
    return row * fine // coarse >= rows[0] and -(-(row + 1) * fine // coarse) <= rows[1]
