"""Boxes of MP4 files (ISO/IEC 14496-12 §4.2), as far as credentials and XMP need them; nothing is decoded."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

from archive_restore.adapters.durable import storage_errors
from archive_restore.errors import PictureUnreadable

C2PA = UUID("d8fec3d6-1b0e-483c-9297-5828877ec481").bytes
"""User type of the box that holds a manifest store (C2PA 2.2 appendix A.5.1)."""
XMP = UUID("be7acfcb-97a9-42e8-9c71-999491e3afac").bytes
"""User type of the box that holds XMP (ISO 16684-1, XMP part 3 §1.1.5)."""
_MOST = 256 << 20  # bytes of a manifest store


@dataclass(frozen=True, kw_only=True)
class Box:
    """One box of the file itself, not of another box."""

    kind: bytes
    """Four letters."""
    user_type: bytes
    """Of a `uuid` box; else empty."""
    start: int
    """First byte of its content, behind the header and the user type."""
    end: int
    """One past its last byte."""


def boxes(stream: BinaryIO, name: str) -> Iterator[Box]:
    """The boxes of a file, first to last; raise PictureUnreadable where it is not made of whole boxes."""
    stream.seek(0, 2)
    size, at = stream.tell(), 0
    while at < size:
        stream.seek(at)
        head = stream.read(32)
        if len(head) < 8:
            raise _broken(name)
        length, kind = struct.unpack_from(">I4s", head)
        used = 8
        if length == 1 and len(head) >= 16:
            (length,), used = struct.unpack_from(">Q", head, 8), 16
        elif length == 0:
            length = size - at
        user_type = head[used : used + 16] if kind == b"uuid" else b""
        used += len(user_type)
        if length < used or at + length > size:
            raise _broken(name)
        yield Box(kind=kind, user_type=user_type, start=at + used, end=at + length)
        at += length


def embedded_manifest(path: Path) -> bytes:
    """The C2PA manifest store inside an MP4 (C2PA 2.2 appendix A.5); raise PictureUnreadable where there is none."""
    with storage_errors("reading", path), path.open("rb") as stream:
        for box in boxes(stream, path.name):
            if box.user_type != C2PA or box.end - box.start > _MOST:
                continue
            stream.seek(box.start)
            content = stream.read(box.end - box.start)
            purpose, end, rest = content[4:].partition(b"\0")  # behind version and flags
            if purpose == b"manifest" and end and len(rest) > 8:
                return rest[8:]  # behind the offset to Merkle trees
    raise PictureUnreadable(f"{path.name!r} holds no C2PA manifest", hint="Run: archive-restore verify")


def write_with_xmp(source: Path, out: Path, packet: bytes) -> None:
    """Copy an MP4 to the new file `out` with an XMP packet behind everything else, so that no offset changes.

    Raise PictureUnreadable where it is not made of whole boxes or has XMP already, StorageFailed.
    """
    with storage_errors("reading", source), source.open("rb") as stream:
        if any(box.user_type == XMP for box in boxes(stream, source.name)):
            raise PictureUnreadable(f"{source.name!r} holds XMP already", hint="Clips of this program do not")
        stream.seek(0)
        with storage_errors("writing", out), out.open("xb") as made:
            shutil.copyfileobj(stream, made, 1 << 20)
            made.write(struct.pack(">I4s", 8 + len(XMP) + len(packet), b"uuid") + XMP + packet)


def _broken(name: str) -> PictureUnreadable:
    return PictureUnreadable(f"{name!r} is not made of whole MP4 boxes", hint="The file is damaged or cut off")
