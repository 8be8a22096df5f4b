"""Video files through FFmpeg's libraries (PyAV, extra `animate`): MP4 with H.264, Matroska with FFV1.

H.264 is yuv420p in limited range, with BT.709 primaries, transfer and matrix in the stream (ITU-T H.273), and the index
lies at the front. Maps are FFV1 (RFC 9043): what is read back is what was written, bit for bit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archive_restore.errors import PictureUnreadable, StorageFailed, UsageError
from archive_restore.ports import FrameWriter, Videos
from archive_restore.records.provenance import SoftwareAgent

Bytes = NDArray[np.uint8]

_BT709 = 1  # primaries, transfer and matrix alike (ITU-T H.273, tables 2 to 4)
_LIMITED = 1  # AVCOL_RANGE_MPEG
_AHEAD = 3  # frames that may wait for the encoder
_GRAY, _COLOUR = "gray", "bgr0"


class FileVideos(Videos):
    """Videos on the disk; `threads` of the encoder are part of what it gives."""

    def __init__(self, threads: int) -> None:
        self._threads = threads

    def create(self, path: Path, size: tuple[int, int], rate: int, *, quality: int) -> FrameWriter:
        """See Videos."""
        options = {"crf": str(quality), "preset": "veryfast"}
        return _Writer(path, "mp4", "libx264", size, rate, "yuv420p", options, self._threads)

    def create_exact(self, path: Path, size: tuple[int, int], rate: int, *, colour: bool) -> FrameWriter:
        """See Videos."""
        options = {"level": "3", "slicecrc": "1", "g": "1", "slices": "4"}
        shape = _COLOUR if colour else _GRAY
        return _Writer(path, "matroska", "ffv1", size, rate, shape, options, self._threads)

    def frames(self, path: Path, *, maps: bool = False) -> Iterator[Bytes]:
        """See Videos."""
        av = _library()
        with _told("read", path), av.open(str(path)) as file:
            for frame in file.decode(video=0):
                if maps:
                    yield np.asarray(frame.to_ndarray(format=_GRAY), np.uint8)
                    continue
                shown = {"src_colorspace": "ITU709", "src_color_range": "MPEG", "dst_color_range": "JPEG"}
                made = frame.reformat(format="rgb24", **(shown if frame.format.name == "yuv420p" else {}))
                yield np.asarray(made.to_ndarray(), np.uint8)

    def agents(self) -> tuple[SoftwareAgent, ...]:
        """See Videos."""
        av = _library()
        codec = ".".join(str(part) for part in av.library_versions["libavcodec"])
        return (
            SoftwareAgent(name="PyAV", version=av.__version__, role="video"),
            SoftwareAgent(name="libavcodec", version=codec, role="video"),
        )


def _library() -> Any:
    try:
        import av
    except ImportError as exc:
        raise UsageError(
            "clips need PyAV, which is not installed", hint="Run: pip install 'archive-restore[animate]'"
        ) from exc
    return av


@contextmanager
def _told(doing: str, path: Path) -> Iterator[None]:
    av = _library()
    try:
        yield
    except av.FFmpegError as exc:
        if doing == "written":
            raise StorageFailed(f"{path.name!r} could not be written: {exc}", hint="Check the disk") from exc
        raise PictureUnreadable(f"{path.name!r} could not be read: {exc}", hint="Is it a whole video?") from exc
    except OSError as exc:
        raise StorageFailed(
            f"{path.name!r} could not be {doing}: {exc.strerror or exc}", hint="Check the disk"
        ) from exc


class _Writer(FrameWriter):
    """Encodes in a thread of its own, so that the next frame is rendered meanwhile; a few frames may wait."""

    def __init__(
        self, path: Path, container: str, codec: str, size: tuple[int, int], rate: int, shape: str,
        options: dict[str, str], threads: int,
    ) -> None:  # fmt: skip
        av = _library()
        self._path, self._shape, self._count, self._beat = path, shape, 0, Fraction(1, rate)
        bare = {"movflags": "+faststart"} if container == "mp4" else {"fflags": "+bitexact"}
        with _told("written", path):
            self._file = av.open(str(path), "w", format=container, options=bare)
            self._stream = self._file.add_stream(codec, rate=rate)
            self._stream.height, self._stream.width = size
            self._stream.pix_fmt = shape
            self._stream.options = options
            context = self._stream.codec_context
            context.thread_count = threads
            if shape == "yuv420p":
                context.color_primaries = context.color_trc = context.colorspace = _BT709
                context.color_range = _LIMITED

        self._waiting: deque[Future[None]] = deque()
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="encode")

    def write(self, frame: Bytes) -> None:
        """See FrameWriter. The frame must not be changed afterwards; what failed for an earlier one is raised now."""
        while len(self._waiting) >= _AHEAD:
            self._waiting.popleft().result()
        self._waiting.append(self._worker.submit(self._encode, frame))

    def _encode(self, frame: Bytes) -> None:
        with _told("written", self._path):
            made = _library().VideoFrame.from_ndarray(
                np.ascontiguousarray(frame), format=_GRAY if frame.ndim == 2 else "rgb24"
            )
            if self._shape == "yuv420p":
                made = made.reformat(
                    format=self._shape, dst_colorspace="ITU709", src_color_range="JPEG", dst_color_range="MPEG"
                )
            elif self._shape == _COLOUR:
                made = made.reformat(format=_COLOUR)
            made.pts, made.time_base = self._count, self._beat
            self._count += 1
            self._file.mux(self._stream.encode(made))

    def close(self) -> None:
        """See FrameWriter."""
        try:
            while self._waiting:
                self._waiting.popleft().result()
        finally:
            self._worker.shutdown()
        with _told("written", self._path):
            self._file.mux(self._stream.encode(None))
            self._file.close()
