"""The synthesis map's arithmetic: counting, checking claims, digests of decoded samples, display colours.

The map is uint8, shape (height, width), one byte of PixelFlag a pixel. Nothing here reads or writes files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from archive_restore.records.imagery import IDENTITY, Geometry, MapSummary, PixelFlag
from archive_restore.records.preservation import Certainty

MapArray = npt.NDArray[np.uint8]
Samples = npt.NDArray[np.generic]

FLAG_COLOURS: Mapping[PixelFlag, tuple[int, int, int]] = {
    PixelFlag.ORIGINAL: (0, 0, 0),
    PixelFlag.ADJUSTED: (0, 114, 178),
    PixelFlag.RESAMPLED: (86, 180, 233),
    PixelFlag.FILTERED: (240, 228, 66),
    PixelFlag.INTERPOLATED: (230, 159, 0),
    PixelFlag.SYNTHESIZED: (213, 94, 0),
    PixelFlag.COLORIZED: (204, 121, 167),
    PixelFlag.HUMAN: (0, 158, 115),
    PixelFlag.MOVED: (148, 103, 189),
}
"""The one table of display colours, sRGB 0..255; Okabe and Ito's palette, told apart by colour-blind eyes."""

FLAG_MEANINGS: Mapping[PixelFlag, str] = {
    PixelFlag.ORIGINAL: "equal to the master, bit for bit",
    PixelFlag.ADJUSTED: "tone or colour curve, recorded",
    PixelFlag.RESAMPLED: "interpolated by a change of geometry or scale",
    PixelFlag.FILTERED: "deterministic filter of its neighbourhood, recorded",
    PixelFlag.INTERPOLATED: "filled from its surroundings without a trained model",
    PixelFlag.SYNTHESIZED: "luminance or structure made by a trained model",
    PixelFlag.COLORIZED: "colour made by a model or palette, luminance kept",
    PixelFlag.HUMAN: "a person's direct decision",
    PixelFlag.MOVED: "displaced in time",
}
"""What each flag means, for legends."""

# A pixel with several flags is shown in the colour of the strongest intervention.
_DISPLAY_ORDER = (
    PixelFlag.ADJUSTED,
    PixelFlag.RESAMPLED,
    PixelFlag.FILTERED,
    PixelFlag.COLORIZED,
    PixelFlag.MOVED,
    PixelFlag.INTERPOLATED,
    PixelFlag.SYNTHESIZED,
    PixelFlag.HUMAN,
)


def flag_names(value: int) -> tuple[str, ...]:
    """Names of the flags set in one map value; `("ORIGINAL",)` for 0."""
    return tuple(flag.name or "" for flag in PixelFlag if value & flag) or ("ORIGINAL",)


UNCERTAIN_FROM = 16
"""Expected absolute error from which a filled pixel counts as uncertain, in 255ths of full scale: what an eye sees."""


def certainty_of(doubt: npt.NDArray[np.int64]) -> Certainty:
    """Sum up a plane of expected errors from its histogram, int64 (256,); 0 stands for what was not filled."""
    filled = int(doubt[1:].sum())
    total = float((np.arange(256) * doubt).sum())
    return Certainty(
        filled=filled,
        uncertain=int(doubt[UNCERTAIN_FROM:].sum()),
        threshold=UNCERTAIN_FROM,
        mean_error=round(total / 255 / filled, 4) if filled else 0.0,
    )


def histogram(flags: MapArray) -> npt.NDArray[np.int64]:
    """Count the pixels of each map value: int64, shape (256,)."""
    return np.bincount(flags.ravel(), minlength=256).astype(np.int64)


def class_counts(hist: npt.NDArray[np.int64]) -> dict[str, int]:
    """Pixels a class from a histogram of shape (256,); only classes that occur, and always ORIGINAL."""
    counts = {"ORIGINAL": int(hist[0])}
    values = np.arange(256)
    for flag in PixelFlag:
        number = int(hist[(values & int(flag)) != 0].sum())
        if number:
            counts[flag.name or ""] = number
    return counts


def map_summary(
    hist: npt.NDArray[np.int64],
    *,
    width: int,
    height: int,
    sha256: str,
    master_sha256: str,
    master_pixels_sha256: str,
    geometry: Geometry = IDENTITY,
) -> MapSummary:
    """What is said of a map, from its histogram of shape (256,) and the digests of map and master."""
    return MapSummary(
        width=width,
        height=height,
        counts=class_counts(hist),
        histogram={str(value): int(n) for value, n in enumerate(hist) if n},
        sha256=sha256,
        master_sha256=master_sha256,
        master_pixels_sha256=master_pixels_sha256,
        geometry=geometry,
    )


def display_table() -> npt.NDArray[np.uint8]:
    """RGBA for every map value: uint8, shape (256, 4); transparent for ORIGINAL."""
    table = np.zeros((256, 4), np.uint8)
    for value in range(1, 256):
        for flag in _DISPLAY_ORDER:
            if value & flag:
                table[value] = (*FLAG_COLOURS[flag], 255)
    return table


class PixelDigest:
    """sha256 over decoded samples, fed in bands of rows from the top.

    The hashed bytes are the samples row by row, pixel by pixel, sample by sample, little-endian: what
    `hashlib.sha256(tifffile.imread(path).tobytes())` gives on a little-endian machine, so that anyone can
    recompute it. Planar files are hashed interleaved.
    """

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def update(self, band: Samples) -> None:
        """Add rows: shape (rows, width) or (rows, width, samples), any integer or float dtype."""
        self._hash.update(np.ascontiguousarray(band.astype(band.dtype.newbyteorder("<"), copy=False)).data)

    def hexdigest(self) -> str:
        """Lower-case hex."""
        return self._hash.hexdigest()


def pixel_digest(samples: Samples) -> str:
    """Digest of a whole decoded picture; see PixelDigest."""
    digest = PixelDigest()
    digest.update(samples)
    return digest.hexdigest()


@dataclass(frozen=True, kw_only=True)
class ClaimBreach:
    """A place where the map's claim does not hold."""

    rule: str
    """`ORIGINAL` or `NOT_ALLOWED`; for stories also `LUMINANCE`, `PARENT` or `LOST`."""
    pixels: int
    """How many pixels break it."""
    y: int
    """Row of the first one, within the arrays given."""
    x: int
    """Column of the first one."""


def contradiction(breaches: Iterable[ClaimBreach], digests: Iterable[tuple[str, str, str]]) -> str:
    """What is wrong with a derivative that was read back, in words that follow its name; empty where nothing.

    `digests`: (as found, as meant, words for where they differ), the first that counts first.
    """
    for breach in breaches:
        return f"breaks its map's claim {breach.rule} at {breach.pixels} pixels, first x={breach.x}, y={breach.y}"
    return next((words for found, meant, words in digests if found != meant), "")


def check_claims(flags: MapArray, derivative: Samples, master: Samples, allowed: PixelFlag) -> Iterator[ClaimBreach]:
    """Check what the map says of these pixels instead of believing it.

    `flags` uint8 (h, w); `derivative` and `master` (h, w) or (h, w, samples) of equal shape and dtype, in the same
    frame; `allowed` are the flags this kind of derivative may carry. Samples are compared as bits, so that NaN
    equals itself and -0.0 does not equal 0.0.
    """
    yield from breach("ORIGINAL", ~same_bits(derivative, master) & (flags == 0))
    yield from breach("NOT_ALLOWED", (flags & np.uint8(~int(allowed) & 0xFF)) != 0)


def same_bits(first: Samples, second: Samples) -> npt.NDArray[np.bool_]:
    """Where all samples of a pixel are equal as bits: bool (h, w) from (h, w) or (h, w, samples) of equal dtype."""
    one, other = _bits(first), _bits(second)
    if one.ndim < 3:
        return np.asarray(one == other)
    equal = np.ones(one.shape[:2], np.bool_)
    for k in range(one.shape[2]):  # numpy is slow along an axis of three
        equal &= one[:, :, k] == other[:, :, k]
    return equal


COLOUR_FLAGS = PixelFlag.COLORIZED | PixelFlag.HUMAN
"""Flags that say nothing of luminance: a pixel with no others kept that of the master."""
LUMINANCE_TOLERANCE = 1.01 / 255
"""Greatest change of luminance of a COLORIZED pixel, re-encoded, share of full scale: one code value at 8 bit."""


def check_story_claims(
    flags: MapArray,
    same: npt.NDArray[np.bool_],
    luminance: npt.NDArray[np.float32],
    master_luminance: npt.NDArray[np.float32],
) -> Iterator[ClaimBreach]:
    """Check what a story's map says of pixels in the master's frame.

    All (h, w): `same` where the samples equal the master's bit for bit, or for colour made of gray where all three do;
    luminance as code values, share of full scale.
    """
    yield from breach("ORIGINAL", (flags == 0) & ~same)
    only = ((flags & int(PixelFlag.COLORIZED)) != 0) & ((flags & np.uint8(~int(COLOUR_FLAGS) & 0xFF)) == 0)
    yield from breach("LUMINANCE", only & ~(np.abs(luminance - master_luminance) <= LUMINANCE_TOLERANCE))


def breach(rule: str, wrong: npt.NDArray[np.bool_]) -> Iterator[ClaimBreach]:
    """The breach of a rule at these pixels; nothing where there are none."""
    if wrong.any():
        y, x = divmod(int(wrong.argmax()), wrong.shape[1])
        yield ClaimBreach(rule=rule, pixels=int(np.count_nonzero(wrong)), y=y, x=x)


def _bits(samples: Samples) -> Samples:
    if samples.dtype.kind == "f":
        return np.ascontiguousarray(samples).view(np.dtype(f"u{samples.dtype.itemsize}"))
    return samples
