"""How the pixels of one TIFF directory lie in the file (TIFF 6.0 sections 3 to 15; Technical Note 2 for JPEG).

Turns tags into numbers that were checked against each other and against the file's size: after `read_layout`
reported no error, every segment lies inside the file. Never reads pixel data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from archive_restore.adapters.finding_list import FindingList
from archive_restore.adapters.plain_samples import MAX_PIXELS, implausible
from archive_restore.adapters.tiff_structure import INTEGER_TYPES, ByteOrder, Directory, TiffStructure

MAX_SEGMENTS = 1 << 22
MAX_SAMPLES = 16
MAX_JPEG_TABLES = 1 << 16
COMPRESSIONS = {
    1: "none", 2: "ccitt-rle", 3: "ccitt-t4", 4: "ccitt-t6", 5: "lzw", 6: "old-jpeg", 7: "jpeg", 8: "deflate",
    32773: "packbits", 32946: "deflate", 34712: "jpeg2000", 34892: "lossy-jpeg", 34925: "lzma", 50000: "zstd",
}  # fmt: skip
PHOTOMETRICS = {
    0: "miniswhite", 1: "minisblack", 2: "rgb", 3: "palette", 4: "mask", 5: "separated", 6: "ycbcr", 8: "cielab",
    9: "icclab", 10: "itulab", 32803: "cfa", 34892: "linear-raw",
}  # fmt: skip
COLOURS = {0: 1, 1: 1, 2: 3, 3: 1, 4: 1, 5: 4, 6: 3, 8: 3, 9: 3, 10: 3, 32803: 1, 34892: 3}
"""Samples that each photometric interpretation needs; the rest are extra samples."""
_RATIOS = {2: 512, 3: 512, 4: 65536, 5: 2560, 7: 3072, 8: 1032, 32773: 64, 32946: 1032, 34925: 8192, 50000: 33000}
"""Bytes of pixels that one stored byte can at most stand for: bounds of each code, for instance 258 bytes in 2 bits."""

WIDTH, LENGTH, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER = 256, 257, 258, 259, 262, 266
STRIP_OFFSETS, SAMPLES, ROWS_PER_STRIP, STRIP_COUNTS, PLANAR, PREDICTOR = 273, 277, 278, 279, 284, 317
TILE_WIDTH, TILE_LENGTH, TILE_OFFSETS, TILE_COUNTS, EXTRA, FORMAT = 322, 323, 324, 325, 338, 339
JPEG_TABLES = 347

_NAMES = {
    256: "ImageWidth", 257: "ImageLength", 258: "BitsPerSample", 259: "Compression", 262: "PhotometricInterpretation",
    266: "FillOrder", 273: "StripOffsets", 277: "SamplesPerPixel", 278: "RowsPerStrip", 279: "StripByteCounts",
    284: "PlanarConfiguration", 317: "Predictor", 322: "TileWidth", 323: "TileLength", 324: "TileOffsets",
    325: "TileByteCounts", 338: "ExtraSamples", 339: "SampleFormat",
}  # fmt: skip
_SHORTS = frozenset({BITS, COMPRESSION, PHOTOMETRIC, SAMPLES, PLANAR, PREDICTOR, EXTRA, FORMAT})
_SINGLE = (WIDTH, LENGTH, COMPRESSION, PHOTOMETRIC, SAMPLES, ROWS_PER_STRIP, PLANAR, PREDICTOR, TILE_WIDTH, TILE_LENGTH)


@dataclass(frozen=True, kw_only=True, eq=False)
class PageLayout:
    """Where the samples of one directory are and how they are coded; all numbers checked."""

    order: ByteOrder
    """`<` or `>`."""
    width: int
    height: int
    samples: int
    """Samples a pixel."""
    bits: int
    """Bits a sample."""
    sample_format: int
    """1 unsigned, 2 signed, 3 float."""
    compression: int
    photometric: int
    extra: tuple[int, ...]
    """ExtraSamples, one number a sample beyond the colours."""
    predictor: int
    fill_order: int
    planar: bool
    tiled: bool
    segment_width: int
    """Pixels across a tile; the width for strips."""
    segment_height: int
    """Rows of a tile or strip."""
    offsets: npt.NDArray[np.uint64]
    counts: npt.NDArray[np.uint64]
    jpeg_tables: bytes

    @property
    def across(self) -> int:
        """Segments side by side."""
        return -(-self.width // self.segment_width)

    @property
    def down(self) -> int:
        """Segments one below the other."""
        return -(-self.height // self.segment_height)

    @property
    def segment_samples(self) -> int:
        """Samples a pixel inside one segment: 1 where planes are apart."""
        return 1 if self.planar else self.samples

    def rows_in(self, row_of_segments: int) -> int:
        """Rows that a segment really holds: the last strip is cut, a tile never."""
        if self.tiled:
            return self.segment_height
        return min(self.segment_height, self.height - row_of_segments * self.segment_height)

    @property
    def row_bytes(self) -> int:
        """Bytes of one row of a segment without compression (TIFF 6.0: rows begin on bytes)."""
        return -(-self.segment_width * self.segment_samples * self.bits // 8)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Native dtype of the samples; raise TypeError where numpy has none."""
        return np.dtype(f"{'uif'[self.sample_format - 1]}{self.bits // 8}")


def read_layout(structure: TiffStructure, directory: Directory, found: FindingList) -> PageLayout | None:
    """Check one directory's tags and return the layout; None where errors make it meaningless.

    Steps: 1 types and counts of the tags; 2 required tags; 3 sizes; 4 samples; 5 segments' geometry; 6 that the
    segments lie in the file, and hold enough.
    """
    where = f"the directory at byte {directory.offset}"
    # 1
    if not _check_types(structure, directory, found, where):
        return None
    # 2
    tiled = TILE_OFFSETS in directory.tags or TILE_WIDTH in directory.tags
    needed = (TILE_WIDTH, TILE_LENGTH, TILE_OFFSETS, TILE_COUNTS) if tiled else (STRIP_OFFSETS, STRIP_COUNTS)
    missing = [code for code in (WIDTH, LENGTH, PHOTOMETRIC, *needed) if code not in directory.tags]
    for code in missing:
        found.error("TIFF_TAG_MISSING", f"{where} lacks {_NAMES[code]} ({code})", "TIFF 6.0 section 8")
    if tiled and STRIP_OFFSETS in directory.tags:
        found.error("TIFF_LAYOUT_AMBIGUOUS", f"{where} has strips and tiles", "TIFF 6.0 section 15")
    if missing:
        return None
    # 3
    width, height = structure.number(directory, WIDTH, 0), structure.number(directory, LENGTH, 0)
    if width == 0 or height == 0:
        found.error("TIFF_ZERO_SIZE", f"{where} is {width}×{height} pixels", "TIFF 6.0 section 8")
        return None
    if width * height > MAX_PIXELS or max(width, height) > 1 << 31:
        found.error(
            "PICTURE_TOO_LARGE", f"{where} claims {width}×{height} pixels; more than {MAX_PIXELS:,} are not accepted"
        )
        return None
    # 4
    shape = _samples(structure, directory, found, where)
    # 5
    segment_width = structure.number(directory, TILE_WIDTH, 0) if tiled else width
    segment_height = structure.number(directory, TILE_LENGTH if tiled else ROWS_PER_STRIP, 0 if tiled else height)
    if not tiled:
        segment_height = min(segment_height, height)
    if segment_width == 0 or segment_height == 0 or (tiled and max(segment_width, segment_height) > 1 << 20):
        found.error(
            "TIFF_SEGMENT_SIZE", f"{where} has segments of {segment_width}×{segment_height}", "TIFF 6.0 section 15"
        )
        return None
    if tiled and (segment_width % 16 or segment_height % 16):
        found.warning("TIFF_TILE_SIZE", f"{where} has tiles whose sides are no multiples of 16", "TIFF 6.0 section 15")
    if shape is None:
        return None
    offsets = structure.numbers(directory, TILE_OFFSETS if tiled else STRIP_OFFSETS)
    counts = structure.numbers(directory, TILE_COUNTS if tiled else STRIP_COUNTS)
    if offsets is None or counts is None:
        found.error("TIFF_TAG_COUNT", f"{where} lists no segments", "TIFF 6.0 section 8")
        return None
    layout = PageLayout(
        order=structure.order,
        width=width,
        height=height,
        compression=structure.number(directory, COMPRESSION, 1),
        photometric=structure.number(directory, PHOTOMETRIC, 0),
        predictor=structure.number(directory, PREDICTOR, 1),
        fill_order=structure.number(directory, FILL_ORDER, 1),
        tiled=tiled,
        segment_width=segment_width,
        segment_height=segment_height,
        offsets=offsets.astype(np.uint64),
        counts=counts.astype(np.uint64),
        jpeg_tables=structure.bytes_of(directory, JPEG_TABLES, MAX_JPEG_TABLES),
        **shape,
    )
    # 6
    return layout if _check_segments(layout, structure, found, where) else None


def _check_types(structure: TiffStructure, directory: Directory, found: FindingList, where: str) -> bool:
    good = True
    for code, name in _NAMES.items():
        tag = directory.tags.get(code)
        if tag is None:
            continue
        if tag.type not in INTEGER_TYPES:
            found.error("TIFF_TAG_TYPE", f"{name} ({code}) of {where} has type {tag.type}", "TIFF 6.0 section 8")
            good = False
        elif tag.type == 1 or (code in _SHORTS and tag.type != 3):
            found.warning("TIFF_TAG_TYPE", f"{name} ({code}) of {where} has type {tag.type}", "TIFF 6.0 section 8")
        if tag.count == 0 or (code in _SINGLE and tag.count != 1):
            found.error("TIFF_TAG_COUNT", f"{name} ({code}) of {where} has {tag.count} values", "TIFF 6.0 section 8")
            good = False
    return good


def _samples(structure: TiffStructure, directory: Directory, found: FindingList, where: str) -> dict[str, Any] | None:
    """Samples, bits, sample format, extra samples and planes, made consistent."""
    samples = structure.number(directory, SAMPLES, 1)
    photometric = structure.number(directory, PHOTOMETRIC, 0)
    if not 1 <= samples <= MAX_SAMPLES:
        found.error("TIFF_SAMPLES_ABSURD", f"{where} claims {samples} samples a pixel", "TIFF 6.0 section 8")
        return None
    bits, formats = structure.numbers(directory, BITS), structure.numbers(directory, FORMAT)
    for code, values in ((BITS, bits), (FORMAT, formats)):
        if values is not None and len(values) != samples:
            report = found.warning if len(values) == 1 or len(values) > samples else found.error
            report(
                "TIFF_TAG_COUNT",
                f"{_NAMES[code]} ({code}) of {where} has {len(values)} values for {samples} samples",
                "TIFF 6.0 section 8",
            )
    bit_values = {1} if bits is None else set(bits[:samples].tolist())
    format_values = {1} if formats is None else {1 if v == 4 else v for v in formats[:samples].tolist()}
    if len(bit_values) != 1 or len(format_values) != 1:
        found.error("TIFF_BITS_INCONSISTENT", f"the samples of {where} differ in depth or format", "TIFF 6.0 section 8")
        return None
    depth, sample_format = bit_values.pop(), format_values.pop()
    if not 1 <= depth <= 64 or sample_format not in (1, 2, 3):
        found.error(
            "TIFF_BITS_UNSUPPORTED",
            f"{where} has {depth} bits a sample of format {sample_format}",
            "TIFF 6.0 section 19",
        )
        return None
    colours = COLOURS.get(photometric, samples)
    if samples < colours:
        found.error(
            "TIFF_SAMPLES_INCONSISTENT",
            f"{where} needs {colours} samples a pixel and has {samples}",
            "TIFF 6.0 section 8",
        )
        return None
    listed = structure.numbers(directory, EXTRA)
    extra = () if listed is None else tuple(listed.tolist())
    if len(extra) > samples - colours:
        found.error(
            "TIFF_SAMPLES_INCONSISTENT",
            f"{where} has more ExtraSamples than {samples} samples allow",
            "TIFF 6.0 section 18",
        )
        return None
    if len(extra) < samples - colours and photometric not in (5, 32803, 34892):
        found.warning(
            "TIFF_EXTRASAMPLES_MISSING", f"{where} does not say what its extra samples are", "TIFF 6.0 section 18"
        )
    planes = structure.number(directory, PLANAR, 1)
    if planes not in (1, 2):
        found.error("TIFF_PLANAR_UNKNOWN", f"{where} has PlanarConfiguration {planes}", "TIFF 6.0 section 8")
        return None
    return {
        "samples": samples,
        "bits": depth,
        "sample_format": sample_format,
        "extra": extra + (0,) * (samples - colours - len(extra)),
        "planar": planes == 2 and samples > 1,
    }


def _check_segments(layout: PageLayout, structure: TiffStructure, found: FindingList, where: str) -> bool:
    word = "tile" if layout.tiled else "strip"
    clause = "TIFF 6.0 section 15" if layout.tiled else "TIFF 6.0 section 8"
    expected = layout.across * layout.down * (layout.samples if layout.planar else 1)
    if expected > MAX_SEGMENTS:
        found.error("TIFF_TOO_MANY_SEGMENTS", f"{where} would have {expected} {word}s", clause)
        return False
    if len(layout.offsets) != len(layout.counts) or len(layout.offsets) < expected:
        found.error(
            "TIFF_TAG_COUNT",
            f"{where} lists {len(layout.offsets)} offsets and {len(layout.counts)} byte counts for {expected} {word}s",
            clause,
        )
        return False
    if len(layout.offsets) > expected:
        found.warning("TIFF_TAG_COUNT", f"{where} lists more than its {expected} {word}s", clause)
    size = structure.source.size
    offsets, counts = layout.offsets[:expected], layout.counts[:expected]
    good = True
    missing = (offsets == 0) | (counts == 0)
    if missing.any():
        found.error("TIFF_SEGMENT_MISSING", f"{int(missing.sum())} {word}s of {where} have no bytes", clause)
        good = False
    outside = (offsets > size) | (counts > size) | (offsets + np.minimum(counts, np.uint64(size)) > size)
    outside |= (offsets < 8) & ~missing
    if outside.any():
        first = int(np.argmax(outside))
        found.error(
            "TIFF_SEGMENT_OUTSIDE",
            f"{int(outside.sum())} of {expected} {word}s of {where} reach beyond the file of {size} bytes, the first is"
            f" {first} at byte {int(offsets[first])}; the file may be cut off",
            clause,
        )
        good = False
    if not good:
        return False
    needed = _plain_bytes(layout, expected)
    stored = int(counts.sum())
    total = int(needed.sum())
    if layout.compression == 1:
        short = counts < needed
        if short.any():
            first = int(np.argmax(short))
            found.error(
                "TIFF_SEGMENT_SHORT",
                f"{int(short.sum())} {word}s of {where} are too short, the first is {first} with {int(counts[first])}"
                f" of {int(needed[first])} bytes",
                clause,
            )
            return False
    elif total > _RATIOS.get(layout.compression, 65536) * (stored + 64 * expected):
        found.error(
            "PICTURE_BOMB",
            f"{where} claims {layout.width}×{layout.height} pixels, which {stored} bytes cannot hold",
            clause,
        )
        return False
    if stored > size or (implausible(total, stored) and not found.may_be_blank):
        found.error(
            "PICTURE_BOMB",
            f"{where} claims {layout.width}×{layout.height} pixels in {min(stored, size)} bytes: no scan is so empty",
            clause,
        )
        return False
    return _check_overlap(offsets, counts, structure, found, where, word)


def _plain_bytes(layout: PageLayout, expected: int) -> npt.NDArray[np.uint64]:
    """Bytes that each segment holds without compression: uint64, shape (expected,)."""
    rows = np.full(layout.down, layout.segment_height, np.uint64)
    rows[-1] = layout.rows_in(layout.down - 1)
    row_bytes = layout.row_bytes
    if layout.photometric == 6 and layout.compression == 1:
        # Chroma is subsampled by 4×4 at most: count luma alone (TIFF 6.0 section 21).
        row_bytes = -(-layout.segment_width * layout.bits // 8)
    plane = np.repeat(rows, layout.across) * np.uint64(row_bytes)
    return np.tile(plane, expected // len(plane))


def _check_overlap(
    offsets: npt.NDArray[np.uint64],
    counts: npt.NDArray[np.uint64],
    structure: TiffStructure,
    found: FindingList,
    where: str,
    word: str,
) -> bool:
    clause = "TIFF 6.0 section 2"
    order = np.argsort(offsets, kind="stable")
    starts, ends = offsets[order], (offsets + counts)[order]
    overlaps = int((ends[:-1] > starts[1:]).sum())
    if overlaps:
        found.error("TIFF_SEGMENT_OVERLAP", f"{overlaps} {word}s of {where} share bytes with another one", clause)
        return False
    spans = structure.spans
    before = np.searchsorted(starts, spans[:, 1], side="left") - 1
    shared = (before >= 0) & (ends[before] > spans[:, 0])
    if shared.any():
        at = int(spans[int(np.argmax(shared)), 0])
        found.error("TIFF_SEGMENT_OVERLAP", f"a {word} of {where} shares bytes with the directory at byte {at}", clause)
        return False
    return True
