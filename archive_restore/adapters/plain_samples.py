"""Samples lying uncompressed in a file or scratch file, read rectangle by rectangle.

The common ground of uncompressed TIFFs and of codecs that can only be expanded from the top. Never maps the file.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from archive_restore.adapters.file_bytes import FileBytes
from archive_restore.errors import PictureUnreadable
from archive_restore.ports import PictureSource
from archive_restore.records.imagery import PictureFacts, Region

Samples = npt.NDArray[Any]
SPOOL_BYTES = 64 << 20
"""Pictures and strips that expand to more than this go to a scratch file."""
MAX_PIXELS = 10_000_000_000
"""Largest picture accepted, in pixels."""
_BLOCK = 8 << 20


def implausible(expanded: int, stored: int) -> bool:
    """Say whether so many bytes of samples in so few stored bytes can only be a bomb: no large scan is so empty."""
    return expanded > 1 << 28 and expanded > 250 * stored


def check_region(region: Region, width: int, height: int) -> None:
    """Raise ValueError where a region is empty or outside the picture: an error of the caller."""
    if not (0 <= region.top < region.bottom <= height and 0 <= region.left < region.right <= width):
        raise ValueError(f"{region} is not inside {width}×{height}")


def copy_plain(
    source: FileBytes, base: int, shape: tuple[int, int, int], dtype: np.dtype[Any], part: Region, view: Samples
) -> None:
    """Copy the rectangle `part` of samples (rows, width, samples) that begin at byte `base` into `view`.

    Raise PictureUnreadable where the file ends before them.
    """
    pixel = shape[2] * dtype.itemsize
    row = shape[1] * pixel
    # Whole rows in one call unless most of their bytes would be thrown away.
    whole = part.width * 3 >= shape[1] or row <= 1 << 14
    step = max(1, _BLOCK // row) if whole else 1
    start, width = (0, shape[1]) if whole else (part.left, part.width)
    for y in range(part.top, part.bottom, step):
        rows = min(step, part.bottom - y)
        count = (rows - 1) * row + width * pixel
        data = source.read(base + y * row + start * pixel, count)
        if len(data) < count:
            raise PictureUnreadable(f"{source.name!r} ends inside its pixels", hint="The file is cut off")
        block = np.frombuffer(data, dtype).reshape(rows, width, shape[2])
        view[y - part.top : y - part.top + rows] = block[:, part.left - start : part.right - start]


def spooled(blocks: Iterable[Samples], size: int, scratch: Path | None, name: str) -> FileBytes:
    """Keep expanded samples: in memory where `size` bytes are few, else in a scratch file that vanishes when closed.

    Raise PictureUnreadable where the disk refuses.
    """
    if size <= SPOOL_BYTES:
        return FileBytes(b"".join(np.ascontiguousarray(block).tobytes() for block in blocks))
    try:
        descriptor, path = tempfile.mkstemp(prefix="pixels-", dir=scratch)
        try:
            with os.fdopen(descriptor, "wb", buffering=0) as stream:
                for block in blocks:
                    view = np.ascontiguousarray(block).data.cast("B")
                    while len(view):
                        view = view[stream.write(view) :]
            return FileBytes(Path(path))
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)  # noqa: PTH108 - a name only until the descriptor is open
    except OSError as exc:
        raise PictureUnreadable(
            f"{name!r} cannot be expanded: {exc.strerror}", hint="Free space in the scratch directory"
        ) from exc


class SpooledSource(PictureSource):
    """A picture whose codec expands only from the top: expanded once, at the first read; safe for threads."""

    def __init__(
        self,
        source: FileBytes,
        facts: PictureFacts,
        dtype: np.dtype[Any],
        expand: Callable[[FileBytes], Iterable[Samples]],
        scratch: Path | None,
    ) -> None:
        """Take over `source`; `expand` yields (rows, width, samples) from top to bottom, native byte order."""
        self._source = source
        self._facts = facts
        self._dtype = dtype
        self._expand = expand
        self._scratch = scratch
        self._plain: FileBytes | None = None
        self._lock = threading.Lock()

    @property
    def facts(self) -> PictureFacts:
        """What the pixels are."""
        return self._facts

    @property
    def dtype(self) -> np.dtype[Any]:
        """Native dtype of the samples."""
        return self._dtype

    def read(self, region: Region) -> Samples:
        """Samples of a region: shape (h, w, samples), native byte order. Raise PictureUnreadable."""
        facts = self._facts
        check_region(region, facts.width, facts.height)
        shape = (facts.height, facts.width, facts.samples)
        with self._lock:
            if self._plain is None:
                size = shape[0] * shape[1] * shape[2] * self._dtype.itemsize
                self._plain = spooled(self._expand(self._source), size, self._scratch, self._source.name)
        result = np.empty((region.height, region.width, facts.samples), self._dtype)
        copy_plain(self._plain, 0, shape, self._dtype, region, result)
        return result

    def close(self) -> None:
        """Release the file and the scratch file."""
        self._source.close()
        if self._plain is not None:
            self._plain.close()
            self._plain = None
