"""Random access to the bytes of a file, by `pread`: thread-safe, no shared position, no mapped pages.

Mapped pages would count as resident memory and turn a truncated file into SIGBUS; a short read is only data.
Nothing here interprets what it reads.
"""

from __future__ import annotations

import os
from pathlib import Path

from archive_restore.errors import PictureUnreadable

_KEEP_WHOLE = 1 << 20
"""Files up to this size are read once and kept, so that many small reads cost one system call."""


class FileBytes:
    """The bytes of a file or of a buffer; reads past the end come back short."""

    def __init__(self, source: Path | bytes) -> None:
        """Open a file, or wrap bytes in memory. Raise PictureUnreadable where the file cannot be opened."""
        self._descriptor = -1
        self._whole: bytes | None = None
        self.name = "bytes in memory"
        if isinstance(source, bytes):
            self._whole = source
            self.size = len(source)
            return
        self.name = source.name
        try:
            self._descriptor = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
            self.size = os.fstat(self._descriptor).st_size
            if self.size <= _KEEP_WHOLE:
                self._whole = self._pread(self.size, 0)
        except OSError as exc:
            self.close()
            raise PictureUnreadable(
                f"{source.name!r} cannot be read: {exc.strerror}", hint="Check the file and its permissions"
            ) from exc

    def read(self, offset: int, count: int) -> bytes:
        """Read up to `count` bytes at `offset`; fewer at the end of the file, none outside it."""
        if offset < 0 or count <= 0 or offset >= self.size:
            return b""
        count = min(count, self.size - offset)
        if self._whole is not None:
            return self._whole[offset : offset + count]
        try:
            return self._pread(count, offset)
        except OSError as exc:
            raise PictureUnreadable(
                f"{self.name!r} cannot be read at byte {offset}: {exc.strerror}", hint="Check the disk"
            ) from exc

    def read_into(self, offset: int, target: memoryview) -> int:
        """Fill `target` from `offset`; return how many bytes there were."""
        done = 0
        if self._whole is not None:
            part = self._whole[offset : offset + len(target)] if offset >= 0 else b""
            target[: len(part)] = part
            return len(part)
        try:
            while done < len(target):
                got = os.preadv(self._descriptor, [target[done:]], offset + done)
                if got == 0:
                    break
                done += got
        except OSError as exc:
            raise PictureUnreadable(
                f"{self.name!r} cannot be read at byte {offset}: {exc.strerror}", hint="Check the disk"
            ) from exc
        return done

    def close(self) -> None:
        """Release the descriptor; reading afterwards is an error of the caller."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> FileBytes:
        """Use as a context."""
        return self

    def __exit__(self, *_: object) -> None:
        """Release the descriptor."""
        self.close()

    def _pread(self, count: int, offset: int) -> bytes:
        parts = []
        while count > 0:
            part = os.pread(self._descriptor, count, offset)
            if not part:
                break
            parts.append(part)
            offset += len(part)
            count -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)
