"""Reads regions of TIFF and BigTIFF pictures (TIFF 6.0) with memory that does not grow with the picture.

Uncompressed samples are read by byte ranges; compressed strips and tiles are decoded on demand and a few are kept.
A compressed strip too large for that is expanded once into a scratch file. Must never apply orientation, profiles
or scaling: what comes out are the stored samples.
"""

from __future__ import annotations

import threading
import zlib
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from archive_restore.adapters.file_bytes import FileBytes
from archive_restore.adapters.finding_list import FindingList
from archive_restore.adapters.plain_samples import SPOOL_BYTES, check_region, copy_plain, spooled
from archive_restore.adapters.tiff_decode import Samples, SegmentDamaged, decode_segment, unpredict
from archive_restore.adapters.tiff_layout import PageLayout, read_layout
from archive_restore.adapters.tiff_structure import read_structure
from archive_restore.errors import PictureUnreadable
from archive_restore.ports import PictureSource
from archive_restore.records.imagery import PictureFacts, Region, SampleRole

CACHE_BYTES = 96 << 20
"""Decoded segments kept: at least one row of tiles of a picture 20,000 pixels wide."""
SPOOL_LIMIT = 8 << 30
_BLOCK = 8 << 20
_C2PA = 52545


def open_tiff(path: Path, directory_index: int, facts: PictureFacts, scratch: Path | None = None) -> TiffSource:
    """Open one directory of a file as a picture; `scratch` is where large strips may be expanded.

    Raise PictureUnreadable where its layout is damaged or its pixels are of a kind that is not understood.
    """
    source = FileBytes(path)
    try:
        found = FindingList(path.name, may_be_blank=True)
        structure = read_structure(source, found)
        layout = None
        if structure is not None and directory_index < len(structure.directories):
            layout = read_layout(structure, structure.directories[directory_index], found)
        if layout is None:
            raise PictureUnreadable(f"{path.name!r}: {found.first_error() or 'the picture is not there any more'}")
        reason = unsupported(layout)
        if reason:
            raise PictureUnreadable(f"{path.name!r}: {reason}")
        return TiffSource(source, layout, facts, scratch)
    except BaseException:
        source.close()
        raise


def open_map(path: Path, scratch: Path | None = None) -> TiffSource:
    """Open the synthesis map of a derivative: the first SubIFD of page 0, 8-bit gray, of the picture's size.

    Raise PictureUnreadable where there is none.
    """
    with FileBytes(path) as source:
        found = FindingList(path.name, may_be_blank=True)
        structure = read_structure(source, found)
        layout, index = None, 0
        if structure is not None:
            index = next((i for i, d in enumerate(structure.directories) if d.kind == "sub" and d.parent == 0), 0)
            if index:
                layout = read_layout(structure, structure.directories[index], found)
            page = read_layout(structure, structure.directories[0], found)
            if layout is not None and (page is None or (page.width, page.height) != (layout.width, layout.height)):
                layout = None
    if layout is None or layout.bits != 8 or layout.samples != 1 or layout.photometric != 1:
        raise PictureUnreadable(
            f"{path.name!r} holds no synthesis map", hint="Only TIFF derivatives made by this program do"
        )
    facts = PictureFacts(
        width=layout.width,
        height=layout.height,
        samples=1,
        bits=8,
        sample_format="uint",
        roles=(SampleRole.OTHER,),
        photometric="minisblack",
        compression="deflate",
        layout="tiles" if layout.tiled else "strips",
        pages=1,
        byte_order="little" if layout.order == "<" else "big",
    )
    return open_tiff(path, index, facts, scratch)


def embedded_manifest(path: Path) -> bytes:
    """The C2PA manifest store inside a TIFF (C2PA 2.2 appendix A.3.4); raise PictureUnreadable where there is none."""
    with FileBytes(path) as source:
        structure = read_structure(source, FindingList(path.name, may_be_blank=True))
        store = b"" if structure is None else structure.bytes_of(structure.directories[0], _C2PA, source.size)
    if not store:
        raise PictureUnreadable(f"{path.name!r} holds no C2PA manifest", hint="Run: archive-restore verify")
    return store


def unsupported(layout: PageLayout) -> str:
    """Say why the samples of this layout cannot be read as a photograph; empty where they can."""
    uint = layout.sample_format == 1 and layout.bits in (8, 16, 32)
    real = layout.sample_format == 3 and layout.bits in (16, 32, 64)
    if layout.photometric not in (0, 1, 2, 34892) and not (layout.photometric == 6 and layout.compression == 7):
        return "its colours are neither gray nor RGB"
    if not (uint or real):
        return f"its samples of {layout.bits} bits are not 8, 16 or 32 bits unsigned, nor floating point"
    if layout.compression not in (1, 5, 7, 8, 32773, 32946, 34925, 50000):
        return "its compression is not supported"
    if layout.fill_order == 2 and layout.compression != 7:
        return "its bits are stored in reverse order"
    if layout.compression == 7 and (layout.bits not in (8, 16) or (layout.samples > 3 and not layout.planar)):
        return "its JPEG-coded samples are not 8-bit gray or RGB"
    if layout.compression != 7 and (
        layout.predictor not in (1, 2, 3)
        or (layout.predictor == 2 and not uint)
        or (layout.predictor == 3 and not real)
    ):
        return "its predictor does not fit its samples"
    return ""


class TiffSource(PictureSource):
    """One TIFF directory as a picture; safe to read from several threads."""

    def __init__(self, source: FileBytes, layout: PageLayout, facts: PictureFacts, scratch: Path | None) -> None:
        """Take over `source`; `layout` must be supported."""
        self._source = source
        self._layout = layout
        self._facts = facts
        self._scratch = scratch
        self._lock = threading.Lock()
        self._cache: OrderedDict[int, Samples] = OrderedDict()
        self._cached = 0
        self._spools: dict[int, FileBytes] = {}
        self._large = layout.compression != 1 and layout.segment_height * layout.row_bytes > SPOOL_BYTES

    @property
    def facts(self) -> PictureFacts:
        """What the pixels are."""
        return self._facts

    @property
    def dtype(self) -> np.dtype[Any]:
        """Native dtype of the samples."""
        return self._layout.dtype

    def read(self, region: Region) -> Samples:
        """Samples of a region: shape (h, w, samples), native byte order. Raise PictureUnreadable."""
        layout = self._layout
        check_region(region, layout.width, layout.height)
        result = np.empty((region.height, region.width, layout.samples), layout.dtype)
        planes = layout.samples if layout.planar else 1
        for plane in range(planes):
            target = result[:, :, plane : plane + 1] if layout.planar else result
            for down in range(region.top // layout.segment_height, -(-region.bottom // layout.segment_height)):
                for across in range(region.left // layout.segment_width, -(-region.right // layout.segment_width)):
                    self._copy(plane, down, across, region, target)
        return result

    def prove(self) -> None:
        """Decode a few segments (all of a small picture) to see that they decode; raise PictureUnreadable.

        Segments that would expand to more than SPOOL_BYTES are left to the reader.
        """
        layout = self._layout
        if layout.compression == 1 or self._large:
            return
        number = layout.across * layout.down * (layout.samples if layout.planar else 1)
        small = layout.width * layout.height <= 4_000_000
        for index in range(number) if small else sorted({0, number // 2, number - 1}):
            self._decode(index)

    def close(self) -> None:
        """Release the file and scratch files."""
        self._source.close()
        for spool in self._spools.values():
            spool.close()
        self._spools.clear()
        self._cache.clear()

    def _copy(self, plane: int, down: int, across: int, region: Region, target: Samples) -> None:
        """Copy what one segment has of the region."""
        layout = self._layout
        y0, x0 = down * layout.segment_height, across * layout.segment_width
        top, bottom = max(region.top, y0), min(region.bottom, y0 + layout.segment_height)
        left, right = max(region.left, x0), min(region.right, x0 + layout.segment_width)
        part = Region(top=top - y0, left=left - x0, bottom=bottom - y0, right=right - x0)
        view = target[top - region.top : bottom - region.top, left - region.left : right - region.left]
        index = (plane * layout.down + down) * layout.across + across
        shape = (layout.rows_in(down), layout.segment_width, layout.segment_samples)
        if layout.compression == 1 and layout.predictor == 1:
            base, stored = int(layout.offsets[index]), layout.dtype.newbyteorder(layout.order)
            copy_plain(self._source, base, shape, stored, part, view)
        elif self._large:
            copy_plain(self._spool(index), 0, shape, layout.dtype, part, view)
        else:
            view[...] = self._segment(index)[part.top : part.bottom, part.left : part.right]

    def _segment(self, index: int) -> Samples:
        """Decoded segment, from the cache where it is there."""
        with self._lock:
            segment = self._cache.get(index)
            if segment is not None:
                self._cache.move_to_end(index)
                return segment
        segment = self._decode(index)
        with self._lock:
            if index not in self._cache:
                self._cache[index] = segment
                self._cached += segment.nbytes
                while self._cached > CACHE_BYTES and len(self._cache) > 1:
                    self._cached -= self._cache.popitem(last=False)[1].nbytes
        return segment

    def _decode(self, index: int) -> Samples:
        layout = self._layout
        data = self._source.read(int(layout.offsets[index]), int(layout.counts[index]))
        try:
            return decode_segment(layout, data, layout.rows_in(index // layout.across % layout.down))
        except SegmentDamaged as exc:
            word = "tile" if layout.tiled else "strip"
            raise PictureUnreadable(
                f"{self._source.name!r}: {word} {index} does not decode ({exc})", hint="The file is damaged"
            ) from exc

    def _spool(self, index: int) -> FileBytes:
        """Expand a large segment into an unlinked scratch file, once."""
        layout = self._layout
        with self._lock:
            spool = self._spools.get(index)
            if spool is None:
                size = layout.segment_height * layout.row_bytes
                spool = spooled(self._expanded(index), size, self._scratch, self._source.name)
                self._spools[index] = spool
            return spool

    def _expanded(self, index: int) -> Iterator[Samples]:
        """Rows of a large segment as plain native samples, some at a time.

        Deflate expands as a stream. Other codes need the whole strip in memory: stored bytes plus twice the samples.
        """
        layout = self._layout
        rows = layout.rows_in(index // layout.across % layout.down)
        if rows * layout.row_bytes > SPOOL_LIMIT:
            raise PictureUnreadable(f"{self._source.name!r} has strips of more than {SPOOL_LIMIT >> 30} GiB")
        if layout.compression not in (8, 32946):
            yield self._decode(index)
            return
        offset, left = int(layout.offsets[index]), int(layout.counts[index])
        inflate = zlib.decompressobj()
        pending, done = b"", 0
        step = max(1, _BLOCK // layout.row_bytes)
        while done < rows:
            want = min(step, rows - done) * layout.row_bytes
            parts = [pending]
            have = len(pending)
            while have < want:
                stored = inflate.unconsumed_tail or self._source.read(offset, min(left, 1 << 20))
                if not inflate.unconsumed_tail:
                    offset, left = offset + len(stored), left - len(stored)
                try:
                    part = inflate.decompress(stored, want - have)
                except zlib.error as exc:
                    raise PictureUnreadable(f"{self._source.name!r}: a strip does not decode ({exc})") from exc
                if not part and (not stored or inflate.eof):
                    raise PictureUnreadable(f"{self._source.name!r} ends inside its pixels", hint="The file is cut off")
                parts.append(part)
                have += len(part)
            block = b"".join(parts)
            shape = (want // layout.row_bytes, layout.segment_width, layout.segment_samples)
            yield unpredict(layout, block[:want], shape)
            pending, done = block[want:], done + shape[0]
