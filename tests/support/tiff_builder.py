"""Builds small TIFF and BigTIFF files tag by tag, so that each can be wrong in exactly one place.

Written from TIFF 6.0 section 2 and knows nothing of the program's own reader or writer.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED, LONG8 = 1, 2, 3, 4, 5, 7, 16
_FORMATS = {BYTE: "B", ASCII: "s", SHORT: "H", LONG: "I", RATIONAL: "I", UNDEFINED: "B", LONG8: "Q"}
Tags = dict[int, "tuple[int, Sequence[int] | bytes] | None"]


class RawTag:
    """An entry written as it is: type, count and the four or eight bytes of its value field."""

    def __init__(self, kind: int, count: int, field: int) -> None:
        self.kind, self.count, self.field = kind, count, field


def gray(width: int = 16, height: int = 8, **_: int) -> Tags:
    """Tags of an uncompressed 8-bit gray picture in one strip right behind the header."""
    return {
        256: (SHORT, [width]),
        257: (SHORT, [height]),
        258: (SHORT, [8]),
        259: (SHORT, [1]),
        262: (SHORT, [1]),
        273: (LONG, [8]),
        277: (SHORT, [1]),
        278: (SHORT, [height]),
        279: (LONG, [width * height]),
    }


def pixels(count: int) -> bytes:
    """Bytes that look like a smooth ramp."""
    return bytes(i % 251 for i in range(count))


def ifd(
    tags: dict, at: int, order: str = "<", big: bool = False, next_ifd: int = 0, codes: Sequence[int] = ()
) -> bytes:
    """One directory at byte `at` with its values behind it; `codes` sets another order of the entries."""
    entry, room = (20, 8) if big else (12, 4)
    present = {code: tag for code, tag in tags.items() if tag is not None}
    sequence = list(codes) or sorted(present)
    values_at = at + (8 if big else 2) + entry * len(sequence) + room
    table = struct.pack(order + ("Q" if big else "H"), len(sequence))
    values = b""
    for code in sequence:
        tag = present[code]
        pointer = order + ("Q" if big else "I")
        if isinstance(tag, RawTag):
            table += struct.pack(order + ("HHQ" if big else "HHI"), code, tag.kind, tag.count)
            table += struct.pack(pointer, tag.field)
            continue
        kind, content = tag
        if isinstance(content, bytes):
            data, count = content, len(content)
        else:
            data = struct.pack(f"{order}{len(content)}{_FORMATS[kind]}", *content)
            count = len(content) // (2 if kind == RATIONAL else 1)
        table += struct.pack(order + ("HHQ" if big else "HHI"), code, kind, count)
        if len(data) <= room:
            table += data.ljust(room, b"\0")
        else:
            table += struct.pack(pointer, values_at + len(values))
            values += data + bytes(len(data) % 2)
    return table + struct.pack(order + ("Q" if big else "I"), next_ifd) + values


def tiff(tags: dict, data: bytes = b"", order: str = "<", big: bool = False, next_ifd: int = 0,
         codes: Sequence[int] = ()) -> bytes:  # fmt: skip
    """A file: header, `data` at byte 8 (16 in BigTIFF), the directory, its values."""
    mark = b"II" if order == "<" else b"MM"
    data += bytes(len(data) % 2)
    at = (16 if big else 8) + len(data)
    head = mark + (struct.pack(order + "HHHQ", 43, 8, 0, at) if big else struct.pack(order + "HI", 42, at))
    return head + data + ifd(tags, at, order, big, next_ifd, codes)
