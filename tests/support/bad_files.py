"""Re-creates the bad files under tests/bad: `python -m tests.support.bad_files` writes each to its folder.

One folder a case, named for the finding it must give: `<FINDING>_<what>/<file>`. Nothing here calls an encoder or
draws a random number, so the bytes never change.
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.tiff_builder import ASCII, BYTE, LONG, LONG8, SHORT, UNDEFINED, RawTag, gray, ifd, pixels, tiff

FOLDER = Path(__file__).parents[1] / "bad"

# 32×24 pixels each: two gray waves, written once by libjpeg (baseline, progressive) and OpenJPEG.
JPEG = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAA0JCgsKCA0LCgsODg0PEyAVExISEyccHhcgLikxMC4pLSwzOko+MzZGNywtQFdBRkxOUlNSMj5a"
    "YVpQYEpRUk//wAALCAAYACABAREA/8QAFwABAQEBAAAAAAAAAAAAAAAABgUBAv/EAB8QAAAEBwEAAAAAAAAAAAAAAAABAwUCBhIUITFBBP/a"
    "AAgBAQAAPwBT4nCCz3wFXpwguDz0V5ecIKCyNmFwgoPJCP4lVbPugVellbg97FeXlVaC2OphVVoPYX+JrKz1wFXprK4PHRXl5qKgsDZhayoP"
    "A//Z"
)
PROGRESSIVE = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAA0JCgsKCA0LCgsODg0PEyAVExISEyccHhcgLikxMC4pLSwzOko+MzZGNywtQFdBRkxOUlNSMj5a"
    "YVpQYEpRUk//wgALCAAYACABAREA/8QAFwABAQEBAAAAAAAAAAAAAAAABQQAAf/aAAgBAQAAAAFQqzRlWdXKs3//xAAaEAACAwEBAAAAAAAA"
    "AAAAAAABAwAEIgIS/9oACAEBAAEFAuGYczVdksMnBPhxPquTLBM4VhytV1Swqf/EABQQAQAAAAAAAAAAAAAAAAAAADD/2gAIAQEABj8CT//E"
    "ABgQAAMBAQAAAAAAAAAAAAAAAAABERAh/9oACAEBAAE/IUBQRBE0MgINE4HA/9oACAEBAAAAENzf/8QAGhAAAgMBAQAAAAAAAAAAAAAAABEB"
    "IUExUf/aAAgBAQABPxDawZXorsd3B73Bl3ov6P8ApFjCBq0jWiJ6P//Z"
)
JP2 = base64.b64decode(
    "AAAADGpQICANCocKAAAAFGZ0eXBqcDIgAAAAAGpwMiAAAAAtanAyaAAAABZpaGRyAAAAGAAAACAAAQcHAAAAAAAPY29scgEAAAAAABEAAAC9"
    "anAyY/9P/1EAKQAAAAAAIAAAABgAAAAAAAAAAAAAACAAAAAYAAAAAAAAAAAAAQcBAf9SAA4BAgABAAEEBAAAiIj/XAALQkgkV9NX01di/2QA"
    "JQABQ3JlYXRlZCBieSBPcGVuSlBFRyB2ZXJzaW9uIDIuNS40/5AACgAAAAAAQgAB/5PPWAAXtTeu3X7g5KRZWJf6f9NqDny2F499fpHtBdMj"
    "s4ga0o+ou2aYDY85142C+VNZnHqA/9k="
)
GOOD_XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about=""/></rdf:RDF></x:xmpmeta>'
)
LAUGHS = b"<!DOCTYPE x [" + b"".join(
    b'<!ENTITY l%d "%s">' % (n, b"&l%d;" % (n - 1) * 10 if n else b"ha") for n in range(12)
) + b"]><x>&l11;</x>"  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class BadFile:
    """One case."""

    folder: str
    """`<FINDING>_<what>`."""
    name: str
    data: bytes
    severity: str = "error"

    @property
    def code(self) -> str:
        """The finding it must give: the folder's name up to the first lower-case word."""
        words = self.folder.split("_")
        return "_".join(words[: next(i for i, word in enumerate(words) if word[0].islower())])


def cases() -> Iterator[BadFile]:
    """Every case."""
    for folder, name, data in (
        *_tiffs(),
        *_tiff_bombs(),
        *_jpegs(),
        *_pngs(),
        *_jp2s(),
        *_dngs(),
        *_metadata(),
        *_foreign(),
    ):
        yield BadFile(folder=folder, name=name, data=data)
    for folder, name, data in _warnings():
        yield BadFile(folder=folder, name=name, data=data, severity="warning")


Case = tuple[str, str, bytes]
DATA = pixels(128)


def _with(**tags: object) -> dict:
    """The good picture's tags with some replaced (`t262=…`) or, where None, left out."""
    return gray() | {int(key[1:]): value for key, value in tags.items()}


def _tiffs() -> Iterator[Case]:
    good = tiff(gray(), DATA)
    yield "TIFF_BAD_HEADER_four_bytes", "scan.tif", good[:4]
    yield (
        "TIFF_BAD_HEADER_bigtiff_offset_size",
        "scan.tif",
        tiff(gray(), DATA, big=True).replace(b"+\0\x08", b"+\0\x10", 1),
    )
    yield "TIFF_NO_DIRECTORY_zero", "scan.tif", b"II*\0\0\0\0\0" + DATA
    yield "TIFF_BAD_OFFSET_beyond_end", "scan.tif", b"II*\0\xff\xff\xff\x7f" + good[8:]
    yield "TIFF_BAD_OFFSET_cut_before_directory", "scan.tif", good[:100]
    yield "TIFF_BAD_OFFSET_big_endian", "scan.tif", b"MM\0*\x7f\xff\xff\xff" + DATA
    yield "TIFF_BAD_OFFSET_second_page", "scan.tif", tiff(gray(), DATA, next_ifd=60_000)
    yield "TIFF_IFD_TRUNCATED_inside_entries", "scan.tif", good[: 8 + 128 + 40]
    yield "TIFF_IFD_TRUNCATED_claims_65535_entries", "scan.tif", good[:136] + b"\xff\xff" + good[138:]
    yield "TIFF_IFD_EMPTY_no_entries", "scan.tif", good[:136] + b"\0\0" + good[138:]
    yield "TIFF_TOO_MANY_TAGS_bigtiff", "scan.tif", tiff({}, DATA, big=True)[:144] + b"\xff" * 8 + bytes(64)
    yield "TIFF_IFD_LOOP_to_itself", "scan.tif", tiff(gray(), DATA, next_ifd=136)
    second = 136 + len(ifd(gray(), 136))
    yield "TIFF_IFD_LOOP_two_pages", "scan.tif", tiff(gray(), DATA, next_ifd=second) + ifd(gray(), second, next_ifd=136)
    yield "TIFF_IFD_OVERLAP_inside_first_entry", "scan.tif", tiff(gray(), DATA, next_ifd=136 + 4)
    yield "TIFF_SUBIFD_LOOP_to_its_page", "scan.tif", tiff(_with(t330=(LONG, [136])), DATA)
    yield "TIFF_SUBIFD_LOOP_to_itself", "scan.tif", _sub_loop()
    yield "TIFF_TOO_MANY_IFDS_chain", "scan.tif", _long_chain(1200)
    for code, word in ((256, "width"), (257, "length"), (262, "photometric"), (273, "offsets"), (279, "counts")):
        yield f"TIFF_TAG_MISSING_{word}", "scan.tif", tiff({k: v for k, v in gray().items() if k != code}, DATA)
    yield "TIFF_TAG_TWICE_width", "scan.tif", tiff(gray(), DATA, codes=[256, 256, *sorted(gray())[1:]])
    yield "TIFF_TAG_TYPE_width_is_text", "scan.tif", tiff(_with(t256=(ASCII, b"16\0")), DATA)
    yield "TIFF_TAG_COUNT_two_widths", "scan.tif", tiff(_with(t256=(SHORT, [16, 16])), DATA)
    yield (
        "TIFF_TAG_COUNT_offsets_without_counts",
        "scan.tif",
        tiff(_with(t273=(LONG, [8, 72]), t278=(SHORT, [4])), DATA),
    )
    yield "TIFF_TAG_COUNT_one_strip_of_four", "scan.tif", tiff(_with(t278=(SHORT, [2])), DATA)
    yield "TIFF_VALUE_OUTSIDE_offsets", "scan.tif", tiff(_with(t273=RawTag(LONG, 4, 1 << 30), t278=(SHORT, [2])), DATA)
    yield "TIFF_VALUE_OUTSIDE_four_billion_offsets", "scan.tif", tiff(_with(t273=RawTag(LONG, 0xFFFFFFFF, 8)), DATA)
    yield "TIFF_ZERO_SIZE_width", "scan.tif", tiff(_with(t256=(SHORT, [0])), DATA)
    yield "TIFF_ZERO_SIZE_length", "scan.tif", tiff(_with(t257=(SHORT, [0])), DATA)
    yield "TIFF_SEGMENT_SIZE_no_rows", "scan.tif", tiff(_with(t278=(SHORT, [0])), DATA)
    yield "TIFF_SEGMENT_OUTSIDE_strip_begins_beyond", "scan.tif", tiff(_with(t273=(LONG, [1 << 24])), DATA)
    yield "TIFF_SEGMENT_OUTSIDE_strip_ends_beyond", "scan.tif", tiff(_with(t273=(LONG, [300])), DATA)
    yield "TIFF_SEGMENT_OUTSIDE_cut_strip", "scan.tif", _directory_first()[:-40]
    yield "TIFF_SEGMENT_OUTSIDE_inside_header", "scan.tif", tiff(_with(t273=(LONG, [4])), DATA)
    yield "TIFF_SEGMENT_OUTSIDE_tile", "scan.tif", tiff(_tiles() | {324: (LONG, [1 << 20])}, pixels(256))
    yield "TIFF_SEGMENT_MISSING_offset_zero", "scan.tif", tiff(_with(t273=(LONG, [0])), DATA)
    yield "TIFF_SEGMENT_MISSING_no_bytes", "scan.tif", tiff(_with(t279=(LONG, [0])), DATA)
    yield "TIFF_SEGMENT_SHORT_strip", "scan.tif", tiff(_with(t279=(LONG, [100])), DATA)
    yield "TIFF_SEGMENT_SHORT_tile", "scan.tif", tiff(_tiles() | {325: (LONG, [255])}, pixels(256))
    strips = _with(t273=(LONG, [8, 40]), t278=(SHORT, [4]), t279=(LONG, [64, 64]))
    yield "TIFF_SEGMENT_OVERLAP_strips", "scan.tif", tiff(strips, DATA)
    yield "TIFF_SEGMENT_OVERLAP_directory", "scan.tif", tiff(_with(t273=(LONG, [40])), DATA)
    yield (
        "TIFF_LAYOUT_AMBIGUOUS_strips_and_tiles",
        "scan.tif",
        tiff(gray() | _tiles() | {273: (LONG, [8])}, pixels(256)),
    )
    yield "TIFF_COMPRESSION_UNSUPPORTED_old_jpeg", "scan.tif", tiff(_with(t259=(SHORT, [6])), DATA)
    yield "TIFF_COMPRESSION_UNSUPPORTED_unknown", "scan.tif", tiff(_with(t259=(SHORT, [60_000])), DATA)
    yield "TIFF_PHOTOMETRIC_UNSUPPORTED_unknown", "scan.tif", tiff(_with(t262=(SHORT, [77])), DATA)
    yield "TIFF_PHOTOMETRIC_UNSUPPORTED_mask", "scan.tif", tiff(_with(t262=(SHORT, [4])), DATA)
    yield "TIFF_PREDICTOR_UNSUPPORTED_nine", "scan.tif", tiff(_with(t259=(SHORT, [5]), t317=(SHORT, [9])), DATA)
    yield "TIFF_BITS_UNSUPPORTED_zero", "scan.tif", tiff(_with(t258=(SHORT, [0])), DATA)
    yield "TIFF_BITS_UNSUPPORTED_sixty_thousand", "scan.tif", tiff(_with(t258=(SHORT, [60_000])), DATA)
    rgb = {258: (SHORT, [8, 8, 8]), 262: (SHORT, [2]), 277: (SHORT, [3]), 279: (LONG, [384])}
    yield "TIFF_BITS_INCONSISTENT_rgb_565", "scan.tif", tiff(gray() | rgb | {258: (SHORT, [5, 6, 5])}, pixels(384))
    yield "TIFF_SAMPLES_INCONSISTENT_rgb_of_one", "scan.tif", tiff(_with(t262=(SHORT, [2])), DATA)
    yield "TIFF_SAMPLES_INCONSISTENT_extra", "scan.tif", tiff(gray() | rgb | {338: (SHORT, [1, 2])}, pixels(384))
    yield "TIFF_SAMPLES_ABSURD_sixty_thousand", "scan.tif", tiff(_with(t277=(SHORT, [60_000])), DATA)
    yield "TIFF_PLANAR_UNKNOWN_seven", "scan.tif", tiff(_with(t284=(SHORT, [7])), DATA)
    squeezed = zlib.compress(DATA, 0)
    deflate = _with(t259=(SHORT, [8]), t279=(LONG, [len(squeezed) - 30]))
    yield "TIFF_UNDECODABLE_deflate_cut", "scan.tif", tiff(deflate, squeezed[:-30])
    yield "TIFF_UNDECODABLE_lzw_noise", "scan.tif", tiff(_with(t259=(SHORT, [5]), t279=(LONG, [60])), pixels(60))
    yield (
        "TIFF_UNDECODABLE_jpeg_of_other_size",
        "scan.tif",
        tiff(_with(t259=(SHORT, [7]), t279=(LONG, [len(JPEG)])), JPEG),
    )
    lying = JPEG.replace(b"\0\x18\0\x20", b"\xff\xdc\xff\xdc", 1)
    yield (
        "TIFF_UNDECODABLE_jpeg_claims_65500",
        "scan.tif",
        tiff(_with(t259=(SHORT, [7]), t279=(LONG, [len(lying)])), lying),
    )


def _tiles() -> dict:
    return {k: v for k, v in gray().items() if k not in (273, 278, 279)} | {
        322: (SHORT, [16]),
        323: (SHORT, [16]),
        324: (LONG, [8]),
        325: (LONG, [256]),
    }


def _directory_first() -> bytes:
    """A picture whose strip is the file's end."""
    table = ifd(gray(), 8)
    return b"II*\0\x08\0\0\0" + ifd(gray() | {273: (LONG, [8 + len(table)])}, 8) + DATA


def _sub_loop() -> bytes:
    """A page whose SubIFD lists itself as its SubIFD."""
    at = 136 + len(ifd(_with(t330=(LONG, [0])), 136))
    return tiff(_with(t330=(LONG, [at])), DATA) + ifd(_with(t254=(LONG, [1]), t330=(LONG, [at])), at)


def _long_chain(number: int) -> bytes:
    """Directories of one entry each, chained."""
    size = 2 + 12 + 4
    body = b"".join(ifd({256: (SHORT, [1])}, 0, next_ifd=8 + (i + 1) * size) for i in range(number))
    return b"II*\0\x08\0\0\0" + body


def _tiff_bombs() -> Iterator[Case]:
    giga = {256: (LONG, [31_623]), 257: (LONG, [31_623]), 278: (LONG, [31_623])}
    squeezed = zlib.compress(bytes(40_000), 0)[:1000]
    for code, word in ((8, "deflate"), (5, "lzw"), (32773, "packbits"), (50000, "zstd"), (34925, "lzma"), (7, "jpeg")):
        tags = gray() | giga | {259: (SHORT, [code]), 279: (LONG, [len(squeezed)])}
        yield f"PICTURE_BOMB_tiff_{word}_billion_pixels", "scan.tif", tiff(tags, squeezed)
    yield "TIFF_SEGMENT_SHORT_billion_pixels", "scan.tif", tiff(gray() | giga, DATA)
    shared = gray() | {256: (LONG, [48_000]), 257: (LONG, [4000]), 278: (LONG, [1])}
    shared |= {273: (LONG, [8] * 4000), 279: (SHORT, [12_000] * 4000), 258: (SHORT, [2])}
    yield "PICTURE_BOMB_tiff_one_strip_for_all_rows", "scan.tif", tiff(shared, pixels(12_000))
    yield (
        "PICTURE_TOO_LARGE_tiff_four_billion_squared",
        "scan.tif",
        tiff(gray() | {256: (LONG, [0xFFFFFFFF]), 257: (LONG, [0xFFFFFFFF])}, DATA),
    )
    yield (
        "PICTURE_TOO_LARGE_bigtiff",
        "scan.tif",
        tiff(gray() | {256: (LONG8, [1 << 62]), 257: (LONG8, [1 << 62]), 273: (LONG8, [16])}, DATA, big=True),
    )
    million = gray() | {
        256: (LONG, [100_000]),
        257: (LONG, [100_000]),
        278: (LONG, [1]),
        322: (SHORT, [16]),
        323: (SHORT, [16]),
    }
    million |= {324: (LONG, [8]), 325: (LONG, [128])}
    yield (
        "TIFF_TOO_MANY_SEGMENTS_tiles",
        "scan.tif",
        tiff({k: v for k, v in million.items() if k not in (273, 279)}, DATA),
    )


def _jpegs() -> Iterator[Case]:
    scan = JPEG.index(b"\xff\xda")
    yield "JPEG_TRUNCATED_half", "scan.jpg", JPEG[: scan + 60]
    yield "JPEG_TRUNCATED_no_end_marker", "scan.jpg", JPEG[:-2]
    yield "JPEG_TRUNCATED_short_scan_with_end", "scan.jpg", JPEG[: scan + 60] + b"\xff\xd9"
    yield "JPEG_TRUNCATED_progressive", "scan.jpg", PROGRESSIVE[:-30] + b"\xff\xd9"
    yield "JPEG_TRUNCATED_segment_beyond_end", "scan.jpg", b"\xff\xd8\xff\xe0\xff\xff" + JPEG[6:]
    yield "JPEG_NO_FRAME_start_and_end_only", "scan.jpg", b"\xff\xd8\xff\xd9"
    yield "JPEG_NO_SCAN_header_only", "scan.jpg", JPEG[:scan] + b"\xff\xd9"
    yield "JPEG_ZERO_SIZE_width", "scan.jpg", JPEG.replace(b"\0\x18\0\x20", b"\0\x18\0\0", 1)
    yield "JPEG_UNSUPPORTED_twelve_bits", "scan.jpg", JPEG.replace(b"\xff\xc0\0\x0b\x08", b"\xff\xc1\0\x0b\x0c", 1)
    yield "JPEG_UNSUPPORTED_arithmetic", "scan.jpg", JPEG.replace(b"\xff\xc0\0\x0b", b"\xff\xc9\0\x0b", 1)
    yield "PICTURE_BOMB_jpeg_billion_pixels", "scan.jpg", JPEG.replace(b"\0\x18\0\x20", b"\x7b\x87\x7b\x87", 1)
    yield (
        "JPEG_TOO_MANY_SCANS_thousand",
        "scan.jpg",
        JPEG[:-2] + b"\xff\xda\0\x08\x01\x01\0\0\x3f\0\0" * 1000 + b"\xff\xd9",
    )
    yield (
        "JPEG_UNDECODABLE_no_tables",
        "scan.jpg",
        JPEG[:2] + JPEG[JPEG.index(b"\xff\xc0") : JPEG.index(b"\xff\xc4")] + JPEG[scan:],
    )


def png_chunk(name: bytes, body: bytes) -> bytes:
    """A chunk with its CRC."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(
    width: int = 16,
    height: int = 8,
    *,
    bits: int = 8,
    colour: int = 0,
    raw: bytes | None = None,
    extra: bytes = b"",
    interlace: int = 0,
) -> bytes:
    """A PNG with stored (level 0) samples; `extra` chunks go before IDAT."""
    if raw is None:
        raw = b"".join(b"\0" + pixels(width) for _ in range(height))
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlace)
    body = png_chunk(b"IHDR", header) + extra + png_chunk(b"IDAT", zlib.compress(raw, 0)) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def _pngs() -> Iterator[Case]:
    good = png()
    data = good.index(b"IDAT")
    yield "PNG_CRC_header", "scan.png", good[:20] + b"\1" + good[21:]
    yield "PNG_CRC_samples", "scan.png", good[: data + 30] + b"\xaa" + good[data + 31 :]
    yield "PNG_NO_END_cut", "scan.png", good[:-12]
    yield "PNG_TRUNCATED_inside_samples", "scan.png", good[: data + 50]
    yield "PNG_TRUNCATED_chunk_of_two_gigabytes", "scan.png", good[: data - 4] + b"\x7f\xff\xff\xff" + good[data:]
    yield "PNG_NO_HEADER_starts_with_samples", "scan.png", good[:8] + good[data - 4 :]
    yield "PNG_NO_DATA_header_and_end", "scan.png", good[: data - 4] + good[-12:]
    yield "PNG_NO_PALETTE_indexed", "scan.png", png(colour=3)
    yield "PNG_ZERO_SIZE_width", "scan.png", png(0, 8, raw=b"\0" * 8)
    yield "PNG_HEADER_INVALID_three_bits", "scan.png", png(bits=3)
    yield "PNG_CHUNK_INVALID_no_letters", "scan.png", good[:33] + b"\0\0\0\0\1\2\3\4\0\0\0\0" + good[33:]
    yield "PNG_UNDECODABLE_too_few_rows", "scan.png", png(16, 8, raw=b"\0" + pixels(16))
    yield "PNG_UNDECODABLE_unknown_filter", "scan.png", png(raw=b"".join(b"\x09" + pixels(16) for _ in range(8)))
    yield "PNG_UNDECODABLE_index_beyond_palette", "scan.png", png(colour=3, extra=png_chunk(b"PLTE", bytes(6)))
    yield "PICTURE_BOMB_png_billion_pixels", "scan.png", png(31_623, 31_623, raw=bytes(1000))
    yield (
        "PICTURE_BOMB_png_interlaced_rgba16",
        "scan.png",
        png(20_000, 20_000, bits=16, colour=6, raw=bytes(1000), interlace=1),
    )
    yield "PICTURE_BOMB_png_two_billion_columns", "scan.png", png(0x7FFFFFFF, 1, raw=bytes(1000))


def _jp2s() -> Iterator[Case]:
    stream = JP2.index(b"\xff\x4f\xff\x51")
    size = stream + 8
    yield "JP2_TRUNCATED_half", "scan.jp2", JP2[: stream + 150]
    yield "JP2_TRUNCATED_no_end", "scan.j2k", JP2[stream:-2]
    yield "JP2_TRUNCATED_in_main_header", "scan.j2k", JP2[stream : stream + 60]
    yield "JP2_NO_CODESTREAM_boxes_only", "scan.jp2", JP2[: stream - 8]
    yield "JP2_SIZE_INVALID_no_components", "scan.jp2", JP2[: size + 32] + b"\0\0" + JP2[size + 34 :]
    yield "JP2_SIZE_INVALID_zero", "scan.jp2", JP2[:size] + bytes(8) + JP2[size + 8 :]
    giga = struct.pack(">II", 31_623, 31_623)
    wide = JP2[:size] + giga + JP2[size + 8 : size + 16] + giga + JP2[size + 24 :]
    yield "PICTURE_BOMB_jp2_billion_pixels", "scan.jp2", wide
    tiny = JP2[: size + 16] + struct.pack(">II", 32, 1) + JP2[size + 24 :]
    yield "JP2_TILE_MISSING_twenty_three_of_24", "scan.jp2", tiny
    tiles = (
        JP2[:size]
        + struct.pack(">II", 1000, 1000)
        + JP2[size + 8 : size + 16]
        + struct.pack(">II", 1, 1)
        + JP2[size + 24 :]
    )
    yield "JP2_TOO_MANY_TILES_million", "scan.jp2", tiles
    style = JP2.index(b"\xff\x52")
    precincts = JP2[: style + 2] + b"\0\x0e\x01" + JP2[style + 5 : style + 14] + b"\0\0" + JP2[style + 14 :]
    large = precincts[:size] + struct.pack(">II", 1300, 1300) + precincts[size + 8 : size + 16] + struct.pack(
        ">II", 1300, 1300
    ) + precincts[size + 24 :]  # fmt: skip
    yield "JP2_CODING_ABSURD_precinct_a_pixel", "scan.j2k", large[stream:]
    at = JP2.index(b"\xff\x93")
    yield "JP2_UNDECODABLE_quantization_missing", "scan.jp2", JP2.replace(b"\xff\x5c", b"\xff\x64", 1)
    yield "JP2_MARKER_INVALID_in_main_header", "scan.j2k", JP2[stream:style] + b"\0\0\0\0" + JP2[style:at]


def _dngs() -> Iterator[Case]:
    version = {50706: (BYTE, [1, 4, 0, 0])}
    raw = {262: (SHORT, [32803]), 258: (SHORT, [8])}
    yield "DNG_NO_PICTURE_mosaic_only", "raw.dng", tiff(gray() | version | raw, DATA)
    yield "TIFF_SEGMENT_OUTSIDE_dng_preview", "raw.dng", tiff(gray() | version | {273: (LONG, [1 << 24])}, DATA)
    yield "TIFF_TAG_MISSING_dng_raw_without_size", "raw.dng", _dng_with_raw({257: None})
    yield (
        "PICTURE_BOMB_dng_raw_billion_pixels",
        "raw.dng",
        _dng_with_raw({256: (LONG, [31_623]), 257: (LONG, [31_623]), 278: (LONG, [31_623]), 259: (SHORT, [7])}),
    )
    yield (
        "DNG_UNDECODABLE_preview_noise",
        "raw.dng",
        tiff(gray() | version | {259: (SHORT, [8]), 279: (LONG, [60])}, pixels(60)),
    )


def _dng_with_raw(changes: dict) -> bytes:
    """A preview that is well, and a raw SubIFD that is not."""
    first = gray() | {50706: (BYTE, [1, 4, 0, 0]), 254: (LONG, [1]), 330: (LONG, [0])}
    data = DATA + DATA
    at = 8 + len(data) + len(ifd(first, 8 + len(data)))
    raw = gray() | {254: (LONG, [0]), 262: (SHORT, [32803]), 273: (LONG, [8 + len(DATA)])} | changes
    return tiff(first | {330: (LONG, [at])}, data) + ifd(raw, at)


def icc(size: int | None = None, mark: bytes = b"acsp") -> bytes:
    """A profile without tags, which may lie about its size."""
    body = bytearray(132)
    body[36:40] = mark
    body[:4] = struct.pack(">I", 132 if size is None else size)
    return bytes(body)


def zero_bomb(size: int) -> bytes:
    """A zlib stream of about `size` zeros: a literal 0, then copies of 258 bytes in 13 bits each (RFC 1951 §3.2.6)."""
    copies = size // 258
    bits = "110" + "00110000" + ("11000101" + "00000") * copies + "0000000"
    bits += "0" * (-len(bits) % 8)
    packed = bytes(int(bits[at : at + 8][::-1], 2) for at in range(0, len(bits), 8))
    checksum = zlib.adler32(bytes(1 + 258 * copies))
    return b"\x78\xda" + packed + struct.pack(">I", checksum)


def _metadata() -> Iterator[Case]:
    yield "ICC_INVALID_length_beyond_tag", "scan.tif", tiff(_with(t34675=(UNDEFINED, icc(size=60_000))), DATA)
    yield "ICC_INVALID_no_signature", "scan.tif", tiff(_with(t34675=(UNDEFINED, icc(mark=b"spca"))), DATA)
    yield "ICC_INVALID_four_bytes", "scan.tif", tiff(_with(t34675=(UNDEFINED, b"icc!")), DATA)
    bomb = png_chunk(b"iCCP", b"x\0\0" + zero_bomb(7_000_000))
    yield "ICC_INVALID_png_inflates_to_7_megabytes", "scan.png", png(extra=bomb)
    part = b"\xff\xe2" + struct.pack(">H", 16 + 132) + b"ICC_PROFILE\0\x02\x02" + icc()
    yield "ICC_INVALID_jpeg_first_part_missing", "scan.jpg", JPEG[:2] + part + JPEG[2:]
    yield "XMP_HOSTILE_tiff_billion_laughs", "scan.tif", tiff(_with(t700=(BYTE, LAUGHS)), DATA)
    wide = LAUGHS.decode().encode("utf-16")
    yield "XMP_HOSTILE_tiff_utf16", "scan.tif", tiff(_with(t700=(BYTE, wide)), DATA)
    external = b'<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><x>&f;</x>'
    segment = b"http://ns.adobe.com/xap/1.0/\0" + external
    jpeg = JPEG[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + JPEG[2:]
    yield "XMP_HOSTILE_jpeg_external_entity", "scan.jpg", jpeg
    text = png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(LAUGHS, 0))
    yield "XMP_HOSTILE_png_compressed", "scan.png", png(extra=text)
    box = bytes.fromhex("be7acfcb97a942e89c71999491e3afac") + LAUGHS
    yield "XMP_HOSTILE_jp2_box", "scan.jp2", JP2 + struct.pack(">I4s", len(box) + 8, b"uuid") + box


def _foreign() -> Iterator[Case]:
    yield "FILE_EMPTY_tiff", "scan.tif", b""
    yield "FORMAT_UNSUPPORTED_text_named_tif", "notes.tif", b"These are the notes to box 14, not a scan.\r\n" * 8
    yield "FORMAT_UNSUPPORTED_program_named_jpg", "photo.jpg", _ELF
    yield (
        "FORMAT_UNSUPPORTED_web_page_named_png",
        "photo.png",
        b"<!DOCTYPE html><html><body><script>1</script></body></html>",
    )
    yield (
        "FORMAT_UNSUPPORTED_gif_named_tif",
        "scan.tif",
        b"GIF89a\x10\0\x08\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\x10\0\x08\0\0\2\3\x84\x8f\x05\0;",
    )
    yield "FORMAT_UNSUPPORTED_pdf", "scan.pdf", b"%PDF-1.4\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n"
    yield "FORMAT_UNSUPPORTED_zeros", "scan.tif", bytes(4096)
    yield "FORMAT_UNSUPPORTED_pickle_named_tif", "scan.tif", b"\x80\x04cos\nsystem\n(S'true'\ntR."
    yield "FORMAT_UNSUPPORTED_one_byte", "scan.tif", b"I"


_ELF = (
    b"\x7fELF\x02\x01\x01"
    + bytes(9)
    + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0, 0, 0, 0, 64, 56, 0, 64, 0, 0)
    + bytes(64)
)


def _warnings() -> Iterator[Case]:
    """Files that are accepted, with a warning."""
    yield "EXTENSION_MISMATCH_jpeg_named_tif", "scan.tif", JPEG
    yield "EXTENSION_MISMATCH_tiff_named_png", "scan.png", tiff(gray(), DATA)
    yield "XMP_MALFORMED_cut_off", "scan.tif", tiff(_with(t700=(BYTE, GOOD_XMP[:-20])), DATA)
    yield "EXIF_DAMAGED_directory_beyond_end", "scan.tif", tiff(_with(t34665=(LONG, [1 << 30])), DATA)
    yield "TIFF_TAGS_UNSORTED_width_last", "scan.tif", tiff(gray(), DATA, codes=[*sorted(gray())[1:], 256])
    palette = _with(t262=(SHORT, [3]), t320=(SHORT, [0] * 768))
    yield "TIFF_NOT_RESTORABLE_palette", "scan.tif", tiff(palette, DATA)
    bilevel = _with(t258=(SHORT, [1]), t279=(LONG, [16]))
    yield "TIFF_NOT_RESTORABLE_bilevel", "scan.tif", tiff(bilevel, DATA)
    odd = tiff(gray(), DATA)
    yield "TIFF_ODD_OFFSET_directory", "scan.tif", b"II*\0" + struct.pack("<I", 137) + DATA + b"\0" + odd[136:]


def write_all(folder: Path = FOLDER) -> None:
    """Write every case to its folder."""
    for case in cases():
        target = folder / case.folder
        target.mkdir(parents=True, exist_ok=True)
        (target / case.name).write_bytes(case.data)


if __name__ == "__main__":
    write_all()
