"""Reads the files inside a Qt resource bundle (.rcc): header `qres`, a tree, names, data; numbers are big-endian.

As written by Qt's rcc, format versions 1 to 3 (qtbase, src/corelib/io/qresource.cpp describes the layout).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

_FOLDER, _ZLIB, _ZSTD = 2, 1, 4


def resources(bundle: bytes) -> Iterator[tuple[str, bytes]]:
    """Path and content of every file; those packed with Zstandard are passed over. Raise ValueError for other files."""
    if bundle[:4] != b"qres":
        raise ValueError("not a Qt resource bundle")
    version, tree, data, names = struct.unpack_from(">4I", bundle, 4)
    size = 14 if version < 2 else 22
    waiting = [(0, "")]
    while waiting:
        number, path = waiting.pop(0)
        at = tree + number * size
        name, flags = struct.unpack_from(">IH", bundle, at)
        if number:
            (length,) = struct.unpack_from(">H", bundle, names + name)
            word = bundle[names + name + 6 : names + name + 6 + 2 * length].decode("utf-16-be")
            path = f"{path}/{word}" if path else word
        if flags & _FOLDER:
            count, first = struct.unpack_from(">2I", bundle, at + 6)
            waiting += [(first + child, path) for child in range(count)]
            continue
        (offset,) = struct.unpack_from(">I", bundle, at + 10)
        (length,) = struct.unpack_from(">I", bundle, data + offset)
        content = bundle[data + offset + 4 : data + offset + 4 + length]
        if flags & _ZLIB:
            yield path, zlib.decompress(content[4:])
        elif not flags & _ZSTD:
            yield path, content
