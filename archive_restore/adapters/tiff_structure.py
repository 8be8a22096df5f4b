"""The skeleton of a TIFF or BigTIFF file: header, directories, tags (TIFF 6.0 section 2; BigTIFF by Joris Van Damme).

Reads only directories and tag values, never pixel data, and stays within fixed limits whatever the file claims.
Must never follow an offset twice or allocate by a number it has not compared with the file's size.
"""

from __future__ import annotations

import functools
import struct
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from archive_restore.adapters.file_bytes import FileBytes
from archive_restore.adapters.finding_list import FindingList

ByteOrder = Literal["<", ">"]

MAX_DIRECTORIES = 1024
"""Directories of one file, of all kinds."""
MAX_TAGS = 65536
"""Tags of one file."""
MAX_VALUES = 1 << 24
"""Numbers in all tags: a gigapixel picture in 16×16 tiles has half as many offsets and byte counts."""

SUB_IFDS = 330
EXIF_IFD = 34665
GPS_IFD = 34853

_TYPE_CODES = {1: "u1", 2: "S1", 3: "u2", 4: "u4", 5: "u4", 6: "i1", 7: "u1", 8: "i2", 9: "i4", 10: "i4", 11: "f4"}
_TYPE_CODES |= {12: "f8", 13: "u4", 16: "u8", 17: "i8", 18: "u8"}
_TYPE_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
INTEGER_TYPES = frozenset({1, 3, 4, 13, 16, 18})
"""BYTE, SHORT, LONG, IFD and their BigTIFF forms."""
RATIONAL_TYPES = frozenset({5, 10})


@dataclass(frozen=True, kw_only=True, slots=True)
class Tag:
    """One directory entry."""

    code: int
    type: int
    """TIFF field type, 1..18."""
    count: int
    """Values, not bytes."""
    offset: int
    """Where the value's bytes lie in the file."""
    inline: bytes
    """The value's bytes where they fit into the entry; else empty."""

    @property
    def size(self) -> int:
        """Bytes of the value."""
        return _TYPE_SIZES[self.type] * self.count


@dataclass(kw_only=True, slots=True)
class Directory:
    """One image file directory."""

    offset: int
    """Where it starts in the file."""
    end: int
    """First byte after it."""
    kind: str
    """`page`, `sub`, `exif` or `gps`."""
    parent: int
    """Index of the page it hangs on; of itself for a page."""
    tags: dict[int, Tag] = field(default_factory=dict)


class TiffStructure:
    """Directories of a file, with the values of their tags read on demand."""

    def __init__(self, source: FileBytes, order: ByteOrder, big: bool) -> None:
        """Describe `source`; `order` is `<` or `>`."""
        self.source = source
        self.order = order
        self.big = big
        self.directories: list[Directory] = []

    @property
    def pages(self) -> list[Directory]:
        """Directories of the main chain."""
        return [directory for directory in self.directories if directory.kind == "page"]

    @functools.cached_property
    def spans(self) -> npt.NDArray[np.uint64]:
        """First byte and end of every directory: uint64, shape (n, 2)."""
        return np.array([(d.offset, d.end) for d in self.directories], np.uint64).reshape(-1, 2)

    def raw(self, tag: Tag) -> bytes:
        """Bytes of a value as they lie in the file."""
        return tag.inline[: tag.size] if tag.inline else self.source.read(tag.offset, tag.size)

    def numbers(self, directory: Directory, code: int) -> npt.NDArray[Any] | None:
        """Values of a numeric tag, native byte order; rationals as pairs (n, 2). None where there are none."""
        tag = directory.tags.get(code)
        if tag is None or tag.type == 2 or tag.count == 0:
            return None
        kind = np.dtype(_TYPE_CODES[tag.type]).newbyteorder(self.order)
        values = np.frombuffer(self.raw(tag), kind)
        native = values.astype(kind.newbyteorder("="), copy=False)
        return native.reshape(-1, 2) if tag.type in RATIONAL_TYPES else native

    def number(self, directory: Directory, code: int, default: int) -> int:
        """First value of an integer tag."""
        tag = directory.tags.get(code)
        if tag is None or tag.type not in INTEGER_TYPES or tag.count == 0:
            return default
        if tag.inline:
            size = _TYPE_SIZES[tag.type]
            return int.from_bytes(tag.inline[:size], "little" if self.order == "<" else "big")
        values = self.numbers(directory, code)
        return default if values is None else int(values[0])

    def bytes_of(self, directory: Directory, code: int, limit: int) -> bytes:
        """Bytes of a tag; empty where it is absent or longer than `limit`."""
        tag = directory.tags.get(code)
        return b"" if tag is None or tag.size > limit else self.raw(tag)


def read_structure(source: FileBytes, found: FindingList) -> TiffStructure | None:
    """Read header and all directories; None where there is no usable first directory.

    Steps: 1 the header; 2 the chain of pages; 3 for each page its SubIFDs, EXIF and GPS directories; 4 that no two
    directories share bytes.
    """
    # 1
    head = source.read(0, 16)
    orders: dict[bytes, ByteOrder] = {b"II": "<", b"MM": ">"}
    order = orders.get(head[:2])
    if order is None or len(head) < 8:
        found.error(
            "TIFF_BAD_HEADER", "the file does not begin with a TIFF header; it may be cut off", "TIFF 6.0 section 2"
        )
        return None
    version = struct.unpack_from(order + "H", head, 2)[0]
    if version == 43 and len(head) == 16:
        offset_size, zero, first = struct.unpack_from(order + "HHQ", head, 4)
        if offset_size != 8 or zero != 0:
            found.error("TIFF_BAD_HEADER", "the BigTIFF header names an unknown offset size", "BigTIFF header")
            return None
        structure = TiffStructure(source, order, big=True)
    elif version == 42:
        first = struct.unpack_from(order + "I", head, 4)[0]
        structure = TiffStructure(source, order, big=False)
    else:
        found.error("TIFF_BAD_HEADER", f"the TIFF header's version is {version}, not 42 or 43", "TIFF 6.0 section 2")
        return None
    if first == 0:
        found.error("TIFF_NO_DIRECTORY", "the file has a TIFF header but no directory", "TIFF 6.0 section 2")
        return None
    _Walker(structure, found).walk(first)
    return structure if structure.pages else None


class _Walker:
    """Follows offsets, each once."""

    def __init__(self, structure: TiffStructure, found: FindingList) -> None:
        self._structure = structure
        self._source = structure.source
        self._found = found
        self._seen: set[int] = set()
        self._parents: dict[int, int] = {}
        self._tags = 0
        self._values = 0
        self._pointers = 0

    def walk(self, first: int) -> None:
        # 2
        self._chain(first, "page", -1, "TIFF_IFD_LOOP", frozenset())
        # 3
        for index, page in enumerate(list(self._structure.directories)):
            self._children(index, page, frozenset())
        # 4
        previous: Directory | None = None
        for directory in sorted(self._structure.directories, key=lambda d: d.offset):
            if previous is not None and directory.offset < previous.end:
                self._found.error(
                    "TIFF_IFD_OVERLAP",
                    f"the directories at bytes {previous.offset} and {directory.offset} share bytes",
                    "TIFF 6.0 section 2",
                )
            previous = directory

    def _children(self, index: int, page: Directory, ancestors: frozenset[int]) -> None:
        for code, kind in ((EXIF_IFD, "exif"), (GPS_IFD, "gps")):
            pointer = self._structure.number(page, code, 0)
            if pointer and pointer not in self._seen and pointer + 2 <= self._source.size:
                self._directory(pointer, kind, index)
            elif pointer:
                self._found.warning(
                    "EXIF_DAMAGED", f"the {kind.upper()} directory at byte {pointer} cannot be read", "Exif 2.32 §4.6.3"
                )
        if SUB_IFDS not in page.tags:
            return
        if page.tags[SUB_IFDS].type not in INTEGER_TYPES:
            self._found.error("TIFF_TAG_TYPE", "the tag SubIFDs (330) does not hold offsets", "TIFF Tech Note 1")
            return
        pointers = self._structure.numbers(page, SUB_IFDS)
        ancestors = ancestors | {page.offset}
        if len(ancestors) > 8:
            self._found.error("TIFF_SUBIFD_LOOP", "SubIFDs are nested more than 8 deep", "TIFF Tech Note 1")
            return
        for pointer in [] if pointers is None else pointers[:MAX_DIRECTORIES].tolist():
            self._pointers += 1
            if self._pointers > MAX_DIRECTORIES:
                self._found.error(
                    "TIFF_TOO_MANY_IFDS", f"the file lists more than {MAX_DIRECTORIES} SubIFDs", "TIFF Tech Note 1"
                )
                return
            before = len(self._structure.directories)
            self._chain(pointer, "sub", index, "TIFF_SUBIFD_LOOP", ancestors)
            for child in self._structure.directories[before:]:
                self._children(index, child, ancestors)

    def _chain(self, offset: int, kind: str, parent: int, loop_code: str, ancestors: frozenset[int]) -> None:
        visited = set(ancestors)
        while offset:
            if offset in self._seen:
                # Some writers chain the SubIFDs that they also list: met again from outside, that is no circle.
                if kind == "sub" and offset not in visited and self._parents.get(offset) == parent:
                    return
                self._found.error(
                    loop_code, f"directories point in a circle: byte {offset} is reached twice", "TIFF 6.0 section 2"
                )
                return
            if len(self._structure.directories) >= MAX_DIRECTORIES:
                self._found.error(
                    "TIFF_TOO_MANY_IFDS", f"the file has more than {MAX_DIRECTORIES} directories", "TIFF 6.0 section 2"
                )
                return
            owner = len(self._structure.directories) if kind == "page" else parent
            visited.add(offset)
            if kind == "sub":
                self._parents[offset] = parent
            offset = self._directory(offset, kind, owner)

    def _directory(self, offset: int, kind: str, parent: int) -> int:
        """Read one directory; return the offset of the next one, 0 at the end."""
        self._seen.add(offset)
        structure, found = self._structure, self._found
        big = structure.big
        if offset < 8 or offset + 2 > self._source.size:
            found.error(
                "TIFF_BAD_OFFSET",
                f"a directory should be at byte {offset}, outside the file of {self._source.size} bytes",
                "TIFF 6.0 section 2",
            )
            return 0
        if offset % 2:
            found.warning("TIFF_ODD_OFFSET", f"a directory begins at the odd byte {offset}", "TIFF 6.0 section 2")
        count_format, entry_size, pointer_format = ("Q", 20, "Q") if big else ("H", 12, "I")
        head = struct.calcsize("=" + count_format)
        count = int.from_bytes(self._source.read(offset, head), "little" if structure.order == "<" else "big")
        if count == 0:
            found.error("TIFF_IFD_EMPTY", f"the directory at byte {offset} has no entries", "TIFF 6.0 section 2")
            return 0
        self._tags += count
        if self._tags > MAX_TAGS:
            found.error("TIFF_TOO_MANY_TAGS", f"the directories claim more than {MAX_TAGS} tags", "TIFF 6.0 section 2")
            return 0
        size = count * entry_size
        body = self._source.read(offset + head, size + (8 if big else 4))
        if len(body) < size:
            found.error(
                "TIFF_IFD_TRUNCATED",
                f"the directory at byte {offset} claims {count} entries but the file ends before them",
                "TIFF 6.0 section 2",
            )
        directory = Directory(offset=offset, end=offset + head + len(body), kind=kind, parent=parent)
        self._entries(directory, body[: min(size, len(body))], offset + head)
        structure.directories.append(directory)
        if len(body) < size + (8 if big else 4) or kind in ("exif", "gps"):
            return 0
        next_offset: int = struct.unpack_from(structure.order + pointer_format, body, size)[0]
        return next_offset

    def _entries(self, directory: Directory, body: bytes, start: int) -> None:
        structure, found = self._structure, self._found
        layout = struct.Struct(structure.order + ("HHQ8s" if structure.big else "HHI4s"))
        room = 8 if structure.big else 4
        last = -1
        body = body[: len(body) - len(body) % layout.size]
        damaged = found.error if directory.kind in ("page", "sub") else found.warning
        prefix = "TIFF" if directory.kind in ("page", "sub") else "EXIF"
        for index, (code, kind, count, value) in enumerate(layout.iter_unpack(body)):
            if code <= last:
                if code in directory.tags:
                    damaged(
                        f"{prefix}_TAG_TWICE", f"the tag {code} occurs twice in one directory", "TIFF 6.0 section 2"
                    )
                    continue
                found.warning(
                    f"{prefix}_TAGS_UNSORTED", f"the tag {code} comes after {last}: not in order", "TIFF 6.0 section 2"
                )
            last = max(last, code)
            size = _TYPE_SIZES.get(kind)
            if size is None:
                found.warning(
                    f"{prefix}_TAG_TYPE",
                    f"the tag {code} has the unknown type {kind} and is not read",
                    "TIFF 6.0 section 2",
                )
                continue
            if count * size <= room:
                at = start + index * layout.size + (12 if structure.big else 8)
                tag = Tag(code=code, type=kind, count=count, offset=at, inline=value)
            else:
                at = int.from_bytes(value, "little" if structure.order == "<" else "big")
                if at < 8 or at + count * size > self._source.size:
                    damaged(
                        f"{prefix}_VALUE_OUTSIDE",
                        f"the value of tag {code} should be {count * size} bytes at byte {at}, outside the file",
                        "TIFF 6.0 section 2",
                    )
                    continue
                if kind not in (1, 2, 7):
                    # Many directories may point to the same numbers: what counts is what would be read in all.
                    self._values += count
                if self._values > MAX_VALUES:
                    damaged(
                        f"{prefix}_TOO_MANY_VALUES",
                        f"with tag {code} the directories claim more than {MAX_VALUES} numbers",
                        "TIFF 6.0 section 2",
                    )
                    continue
                if at % 2 and prefix == "TIFF":
                    found.warning(
                        "TIFF_ODD_OFFSET", f"the value of tag {code} lies at the odd byte {at}", "TIFF 6.0 section 2"
                    )
                tag = Tag(code=code, type=kind, count=count, offset=at, inline=b"")
            directory.tags[code] = tag
