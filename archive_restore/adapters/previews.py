"""Reduced pictures and maps, and the display pictures, thumbnails and overlays encoded from them.

Pictures are reduced by exact area averages, maps by OR so that no thin flagged line is lost; both are fed in bands of
rows, in bounded memory. Display pictures are for the eye only: no digest and no claim may ever rest on them.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

from archive_restore.core.synthesis_map import display_table
from archive_restore.records.imagery import PictureFacts, PixelFlag, Region, SampleRole

Samples = npt.NDArray[Any]
Reduced = npt.NDArray[np.float32]
MapArray = npt.NDArray[np.uint8]
DisplayArray = npt.NDArray[np.uint8]

OVERVIEW_LONGEST = 2048
"""Longest edge of ports.Overview.reduced, pixels."""
DISPLAY_LONGEST = 1600
"""Longest edge of a display picture, pixels."""
THUMBNAIL_LONGEST = 512
"""Longest edge of a thumbnail, pixels."""
CROP_SIZE = 192
"""Edge of a full-size detail, pixels."""

_MAP_GROUND_LEVELS = 24
"""Grays under the flags of a detail's map: few enough that the PNG stays small, enough to recognise the picture."""


# --- reduction ---------------------------------------------------------------------------------------


class _Axis:
    """Cells of `scale` pixels along one axis; the last one may be shorter. Computed exactly, in integers."""

    def __init__(self, length: int, scale: Fraction) -> None:
        parts, whole = scale.denominator, scale.numerator  # pixel edges lie at multiples of `parts`
        self.length = length
        self.cells = -(-length * parts // whole)
        edges = [min(cell * whole, length * parts) for cell in range(self.cells + 1)]
        self.firsts = [edge // parts for edge in edges[:-1]]
        """First pixel each cell touches."""
        self.stops = [-(-edge // parts) for edge in edges[1:]]
        """One past the last pixel each cell touches: neighbours may share a pixel."""
        self.before = [edge % parts / parts for edge in edges[:-1]]
        """Share of the first pixel that lies before the cell."""
        self.after = [-edge % parts / parts for edge in edges[1:]]
        """Share of the last pixel that lies after the cell."""
        self.extents = [(end - start) / parts for start, end in pairwise(edges)]
        """Pixels each cell measures."""

    def segments(self) -> npt.NDArray[np.intp]:
        """Indices for `ufunc.reduceat` over a row with one member more: first, stop, first, stop…

        Every second result is a cell. Starts alone would not do, since neighbours may share a pixel.
        """
        return np.array([edge for both in zip(self.firsts, self.stops, strict=True) for edge in both], np.intp)

    def taps(self) -> Iterator[tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]]:
        """For each offset from the first pixel: which pixel each cell takes and the share of it, both (cells,)."""
        firsts, lasts = np.array(self.firsts, np.intp), np.array(self.stops, np.intp) - 1
        for offset in range(int((lasts - firsts).max()) + 1):
            share = (firsts + offset <= lasts).astype(np.float64)
            if offset == 0:
                share -= self.before
            # A cell that ends earlier takes its own last pixel with share 0, so that a neighbour's NaN stays away.
            yield np.minimum(firsts + offset, lasts), share - np.where(firsts + offset == lasts, self.after, 0.0)


class _Bands:
    """Gathers bands of any height into whole rows of cells, so that every cell is computed in the same way."""

    def __init__(self, width: int, height: int, longest: int) -> None:
        if width < 1 or height < 1 or longest < 1:
            raise ValueError("width, height and longest must be at least 1")
        scale = max(Fraction(max(width, height), longest), Fraction(1))
        self.scale = scale
        self.columns = _Axis(width, scale)
        self.rows = _Axis(height, scale)
        self.cell = 0
        self._kept: list[Samples] = []
        self._top = 0
        self._fed = 0

    def feed(self, band: Samples) -> Iterator[tuple[int, Samples]]:
        """Take the next rows; yield (cell row, the pixel rows it touches) for every cell row now complete."""
        if self._fed + len(band) > self.rows.length:
            raise ValueError(f"more than {self.rows.length} rows were fed")
        self._fed += len(band)
        while self.cell < self.rows.cells and self.rows.stops[self.cell] <= self._fed:
            first, stop = self.rows.firsts[self.cell], self.rows.stops[self.cell]
            start = self._fed - len(band)  # row number of band[0]
            if first >= start:
                yield self.cell, band[first - start : stop - start]
            else:
                kept = [rows[max(first - at, 0) :] for at, rows in self._positions() if at + len(rows) > first]
                yield self.cell, np.concatenate([*kept, band[: stop - start]])
            self.cell += 1
        if self.cell < self.rows.cells:
            self._keep(band, self.rows.firsts[self.cell])

    def _positions(self) -> Iterator[tuple[int, Samples]]:
        at = self._top
        for rows in self._kept:
            yield at, rows
            at += len(rows)

    def _keep(self, band: Samples, needed: int) -> None:
        """Keep copies of the rows from `needed` on: the caller may reuse its band."""
        start = self._fed - len(band)
        kept = [rows[max(needed - at, 0) :] for at, rows in self._positions() if at + len(rows) > needed]
        fresh = band[max(needed - start, 0) :]
        self._kept = [*kept, fresh.copy()] if len(fresh) else kept
        self._top = self._fed - sum(len(rows) for rows in self._kept)

    def finished(self) -> None:
        """Raise ValueError unless every row came."""
        if self._fed != self.rows.length:
            raise ValueError(f"{self._fed} of {self.rows.length} rows were fed")


class PictureReducer:
    """Area average of a picture fed in bands of rows, top to bottom; memory holds one row of cells.

    A reduced pixel covers exactly `scale`×`scale` full-size pixels, edges weighted by the share covered; those of the
    last column and row may cover less. Sums of integer samples are exact, and the result is the same bits
    for any band heights. NaN and infinity spread over the cell they lie in.
    """

    def __init__(self, width: int, height: int, samples: int, longest: int = OVERVIEW_LONGEST) -> None:
        self._bands = _Bands(width, height, longest)
        self._samples = samples
        columns = self._bands.columns
        # Indices and weights run over samples, not pixels: numpy is slow where the innermost axis has three members.
        spread = np.arange(samples)[None, :]
        self._taps = [
            ((pixels[:, None] * samples + spread).ravel(), np.repeat(shares, samples))
            for pixels, shares in columns.taps()
        ]
        self._extents = np.repeat(np.array(columns.extents), samples)
        self._out: Reduced = np.zeros((self._bands.rows.cells, columns.cells, samples), np.float32)
        self._peak = 0.0

    @property
    def scale(self) -> float:
        """Full-size pixels per reduced pixel, at least 1."""
        return float(self._bands.scale)

    @property
    def peak(self) -> float:
        """Largest finite sample of float pictures so far; 0 for integer ones, whose white is known."""
        return self._peak

    def add(self, band: Samples) -> None:
        """Add rows: (rows, width, samples), or (rows, width) for one sample; any unsigned or float dtype."""
        band = band.reshape(*band.shape[:2], -1) if band.ndim < 4 else band
        if band.shape[1:] != (self._bands.columns.length, self._samples):
            raise ValueError(f"a band of shape {band.shape} does not fit")
        if band.dtype.kind == "f" and band.size:
            self._peak = max(self._peak, float(np.max(band, initial=0, where=np.isfinite(band))))
        for cell, rows in self._bands.feed(band):
            self._out[cell] = self._reduce(cell, rows)

    def result(self) -> Reduced:
        """The reduced picture: float32 (h, w, samples) in code values; raise ValueError when rows are missing."""
        self._bands.finished()
        return self._out

    def _reduce(self, cell: int, rows: Samples) -> npt.NDArray[np.float64]:
        axis = self._bands.rows
        exact = rows.dtype.kind == "u" and rows.dtype.itemsize <= 2 and len(rows) < 1 << 16
        with np.errstate(invalid="ignore", over="ignore"):  # infinity minus infinity is NaN, as promised
            flat = rows.reshape(len(rows), -1)
            total = np.add.reduce(flat, axis=0, dtype=np.uint32 if exact else np.float64).astype(np.float64)
            if axis.before[cell]:
                total -= axis.before[cell] * flat[0].astype(np.float64)
            if axis.after[cell]:
                total -= axis.after[cell] * flat[-1].astype(np.float64)
            if self._bands.scale > 1:
                total = self._across(total) / (self._extents * axis.extents[cell])
        return np.asarray(total.reshape(-1, self._samples))

    def _across(self, total: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        sums: npt.NDArray[np.float64] = np.zeros(len(self._extents))
        for pixels, shares in self._taps:
            sums += shares * total.take(pixels)
        return sums


class MapReducer:
    """Strongest flags of a synthesis map fed in bands of rows: each cell is the OR of every pixel it touches.

    The cells are those of a PictureReducer of the same size, so that the two lie over one another.
    """

    def __init__(self, width: int, height: int, longest: int = OVERVIEW_LONGEST) -> None:
        self._bands = _Bands(width, height, longest)
        self._segments = self._bands.columns.segments()
        self._out: MapArray = np.zeros((self._bands.rows.cells, self._bands.columns.cells), np.uint8)

    @property
    def scale(self) -> float:
        """Full-size pixels per reduced pixel, at least 1."""
        return float(self._bands.scale)

    def add(self, band: MapArray) -> None:
        """Add rows: uint8 (rows, width)."""
        if band.ndim != 2 or band.shape[1] != self._bands.columns.length or band.dtype != np.uint8:
            raise ValueError(f"a map band of shape {band.shape} and {band.dtype} does not fit")
        for cell, rows in self._bands.feed(band):
            strongest = np.append(np.bitwise_or.reduce(rows, axis=0), np.uint8(0))
            self._out[cell] = np.bitwise_or.reduceat(strongest, self._segments)[::2]

    def result(self) -> MapArray:
        """The reduced map: uint8 (h, w); raise ValueError when rows are missing."""
        self._bands.finished()
        return self._out


def reduce_picture(samples: Samples, longest: int) -> Reduced:
    """Reduce a whole picture (h, w, samples) so that its longest edge is at most `longest`."""
    reducer = PictureReducer(samples.shape[1], samples.shape[0], samples.shape[2], longest)
    reducer.add(samples)
    return reducer.result()


def reduce_map(flags: MapArray, longest: int) -> MapArray:
    """Reduce a whole map (h, w) so that its longest edge is at most `longest`, losing no flag."""
    reducer = MapReducer(flags.shape[1], flags.shape[0], longest)
    reducer.add(flags)
    return reducer.result()


# --- display -----------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """How code values become display values: one for master and restoration alike, so that they compare honestly."""

    roles: tuple[SampleRole, ...]
    """Meaning of each sample; infrared and alpha are not shown."""
    white: float
    """The code value shown as white; 0 is black."""
    orientation: int = 1
    """EXIF/TIFF orientation 1..8, applied to what is shown and to nothing else."""
    icc: bytes = b""
    """ICC profile from which colours are converted to sRGB; empty to show code values as they are."""


def transfer_for(facts: PictureFacts, white: float, icc: bytes = b"") -> Transfer:
    """Make the transfer of a picture; a profile that does not fit its samples or does not load is left out."""
    roles = facts.roles
    mode = "RGB" if _colour_indices(roles) else "GRAY"
    return Transfer(
        roles=roles,
        white=white if white > 0 else 1.0,
        orientation=facts.orientation if 1 <= facts.orientation <= 8 else 1,
        icc=icc if _profile_space(icc) == mode else b"",
    )


def display(samples: Samples, transfer: Transfer) -> DisplayArray:
    """Turn samples (h, w, samples) of any dtype into sRGB for the screen: uint8 (h, w) gray or (h, w, 3)."""
    colours = _colour_indices(transfer.roles)
    index = list(colours) if colours else _gray_index(transfer.roles)
    values = np.asarray(samples[..., index], np.float32) / np.float32(transfer.white)
    values = np.nan_to_num(values, copy=False, nan=0.0, posinf=1.0, neginf=0.0).clip(0.0, 1.0)
    if not colours and transfer.roles[_gray_index(transfer.roles)] is SampleRole.GRAY_INVERTED:
        values = 1.0 - values
    shown = (values * 255.0 + 0.5).astype(np.uint8)
    if transfer.icc:
        shown = _to_srgb(shown, transfer.icc)
    return upright(shown, transfer.orientation)


def display_picture(reduced: Reduced, transfer: Transfer, longest: int = DISPLAY_LONGEST) -> DisplayArray:
    """Display picture of a reduced one, longest edge at most `longest`: uint8 (h, w) or (h, w, 3)."""
    return display(reduce_picture(reduced, longest), transfer)


def upright(image: DisplayArray, orientation: int) -> DisplayArray:
    """Turn an array (h, w) or (h, w, 3) as EXIF/TIFF orientation 1..8 asks (TIFF 6.0 §8, Orientation)."""
    turned = image.swapaxes(0, 1) if orientation >= 5 else image
    if orientation in (3, 4, 7, 8):
        turned = turned[::-1]
    if orientation in (2, 3, 6, 7):
        turned = turned[:, ::-1]
    return np.ascontiguousarray(turned)


def _colour_indices(roles: tuple[SampleRole, ...]) -> tuple[int, int, int] | None:
    wanted = (SampleRole.RED, SampleRole.GREEN, SampleRole.BLUE)
    if not all(role in roles for role in wanted):
        return None
    red, green, blue = (roles.index(role) for role in wanted)
    return red, green, blue


def _gray_index(roles: tuple[SampleRole, ...]) -> int:
    for role in (SampleRole.GRAY, SampleRole.GRAY_INVERTED, SampleRole.OTHER):
        if role in roles:
            return roles.index(role)
    return 0


def _profile_space(icc: bytes) -> str:
    """Colour space of a profile that loads (ICC.1:2022 §7.2.6), else an empty string."""
    if not icc:
        return ""
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        space = str(profile.profile.xcolor_space).strip()
        if space in ("GRAY", "RGB"):
            _to_srgb(np.zeros((1, 1) if space == "GRAY" else (1, 1, 3), np.uint8), icc)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return ""
    return space


def _to_srgb(shown: DisplayArray, icc: bytes) -> DisplayArray:
    picture = Image.fromarray(shown)
    converted = ImageCms.profileToProfile(
        picture,
        ImageCms.ImageCmsProfile(io.BytesIO(icc)),
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
    )
    if converted is None:
        raise ImageCms.PyCMSError("no picture came back")
    rgb = np.asarray(converted)
    return rgb if shown.ndim == 3 else np.ascontiguousarray(rgb[..., 1])


# --- encoding ----------------------------------------------------------------------------------------


def png_bytes(image: DisplayArray) -> bytes:
    """Lossless PNG of uint8 (h, w) or (h, w, 3)."""
    return _saved(Image.fromarray(image), "PNG", optimize=True)


def jpeg_bytes(image: DisplayArray, quality: int = 85) -> bytes:
    """Progressive JPEG of uint8 (h, w) or (h, w, 3); colour at full resolution from quality 90."""
    return _saved(
        Image.fromarray(image), "JPEG", quality=quality, progressive=True, optimize=True,
        subsampling=0 if quality >= 90 else 2,
    )  # fmt: skip


def thumbnail(reduced: Reduced, transfer: Transfer) -> bytes:
    """JPEG of a reduced picture, longest edge at most 512."""
    return jpeg_bytes(display_picture(reduced, transfer, THUMBNAIL_LONGEST), 85)


def map_png(flags: MapArray, orientation: int = 1) -> bytes:
    """Palette PNG of map values (h, w) in the display colours; ORIGINAL is fully transparent."""
    table = display_table()
    picture = Image.fromarray(upright(flags, orientation)).convert("L")
    picture.putpalette(table[:, :3].tobytes())
    return _saved(picture, "PNG", optimize=False, transparency=table[:, 3].tobytes())


def map_over_picture(flags: MapArray, picture: DisplayArray, orientation: int = 1) -> bytes:
    """Palette PNG of the flags over a pale gray rendering of `picture` (already upright), for details."""
    luma = picture if picture.ndim == 2 else np.asarray(picture @ np.array([0.2126, 0.7152, 0.0722]), np.uint8)
    top = _MAP_GROUND_LEVELS - 1
    ground = (luma.astype(np.uint16) * top // 255).astype(np.uint8)
    grays = np.linspace(120, 250, _MAP_GROUND_LEVELS).astype(np.uint8)
    turned = upright(flags, orientation)
    present = np.unique(turned[turned != 0])
    lookup = np.zeros(256, np.uint8)
    lookup[present] = np.arange(len(present), dtype=np.uint8) + _MAP_GROUND_LEVELS
    indexed = Image.fromarray(np.where(turned != 0, lookup[turned], ground))
    colours = display_table()[present, :3]
    indexed.putpalette(np.concatenate([np.repeat(grays[:, None], 3, axis=1), colours]).tobytes())
    return _saved(indexed, "PNG", optimize=True)


def _saved(picture: Image.Image, kind: Literal["PNG", "JPEG"], **options: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def encode_pair(
    before: DisplayArray, after: DisplayArray, budget: int, encode: Callable[[DisplayArray, int], bytes] = jpeg_bytes
) -> tuple[bytes, bytes, int]:
    """Encode two pictures at the same quality, the highest of 90, 85, 80, 75, 60 at which both fit into `budget` bytes.

    Return both and the quality; at 60 they are returned whatever their size.
    """
    for quality in (90, 85, 80, 75):
        pair = encode(before, quality), encode(after, quality)
        if len(pair[0]) + len(pair[1]) <= budget:
            return *pair, quality
    return encode(before, 60), encode(after, 60), 60


# --- places worth a closer look ----------------------------------------------------------------------


def most_changed(
    before: Reduced, after: Reduced, flags: MapArray, *,
    scale: float, width: int, height: int, size: int = CROP_SIZE, count: int = 6,
) -> tuple[Region, ...]:  # fmt: skip
    """Find up to `count` separate places of `size`×`size` full-size pixels where most was changed, most changed first.

    `before` and `after` are float32 (h, w, samples), `flags` uint8 (h, w), all reduced alike by `scale`; `width` and
    `height` are the full size. A tone curve alone counts only where nothing else was done: it is everywhere.
    """
    local = (flags & ~np.uint8(PixelFlag.ADJUSTED)) != 0
    touched = local if local.any() else flags != 0
    change = np.abs(np.nan_to_num(after.astype(np.float64) - before)).mean(axis=2)
    # A flagged place that shows no difference when reduced still ranks above an untouched one.
    weight = np.where(touched, change + max(float(change.max()), 1.0) * 1e-6, 0.0)
    window = max(1, min(round(size / scale), *weight.shape))
    places: list[Region] = []
    while len(places) < count and weight.any():
        sums = _window_sums(weight, window)
        row, column = (int(v) for v in np.unravel_index(int(np.argmax(sums)), sums.shape))
        if sums[row, column] <= 0:
            break
        part = weight[row : row + window, column : column + window]
        rows, columns = np.nonzero(part)
        if len(rows) == 0:  # only the rounding of the sums is left
            break
        share = part[rows, columns]
        top = row + float((rows * share).sum() / share.sum())
        left = column + float((columns * share).sum() / share.sum())
        places.append(_around((top + 0.5) * scale, (left + 0.5) * scale, width, height, size))
        weight[row : row + window, column : column + window] = 0.0
        top_cell, left_cell = int(places[-1].top / scale), int(places[-1].left / scale)
        bottom_cell, right_cell = int(places[-1].bottom / scale) + 1, int(places[-1].right / scale) + 1
        weight[top_cell:bottom_cell, left_cell:right_cell] = 0.0
    return tuple(places)


def _window_sums(weight: npt.NDArray[np.float64], window: int) -> npt.NDArray[np.float64]:
    total = np.pad(weight.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    return np.asarray(
        total[window:, window:] - total[:-window, window:] - total[window:, :-window] + total[:-window, :-window]
    )


def _around(y: float, x: float, width: int, height: int, size: int) -> Region:
    high, wide = min(size, height), min(size, width)
    top = min(max(round(y - high / 2), 0), height - high)
    left = min(max(round(x - wide / 2), 0), width - wide)
    return Region(top=top, left=left, bottom=top + high, right=left + wide)
