"""Video files through FFmpeg's libraries (PyAV): MP4 with H.264, Matroska with FFV1; frames in, frames out.

H.264 is written as ITU-T H.273 says it: yuv420p, limited range, BT.709 primaries, transfer and matrix in the stream,
and the index at the front (`faststart`). Maps are FFV1 gray: what is read back is what was written, bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archive_restore.errors import PictureUnreadable, StorageFailed

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]

SOUND_RATE = 48_000
"""Samples a second of every sound track."""
_BT709 = 1  # primaries, transfer and matrix alike (ITU-T H.273, tables 2 to 4)
_LIMITED = 1  # AVCOL_RANGE_MPEG
_SOUND_BLOCK = 1024


@contextmanager
def _told(doing: str, path: Path) -> Iterator[None]:
    import av

    try:
        yield
    except OSError as exc:
        raise StorageFailed(f"{path.name!r} could not be {doing}: {exc.strerror or exc}", hint="Check the disk") from exc
    except av.FFmpegError as exc:
        raise PictureUnreadable(f"{path.name!r} could not be {doing}: {exc}", hint="Is it a whole video file?") from exc


class MovieWriter:
    """An MP4 with H.264 pictures, and AAC sound where there is some."""

    def __init__(
        self, path: Path, size: tuple[int, int], rate: int, *, quality: int = 16, sound: Floats | None = None,
        threads: int = 2,
    ) -> None:  # fmt: skip
        """`size`: rows and columns, both even; `rate`: frames a second; `quality`: x264's constant rate factor, lower is
        better; `sound`: float32 (samples, 2) in [-1, 1] at SOUND_RATE."""
        import av

        self._path, self._rate, self._count, self._sound = path, rate, 0, sound
        with _told("written", path):
            self._file: Any = av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"})
            stream: Any = self._file.add_stream("libx264", rate=rate)
            stream.height, stream.width = size
            stream.pix_fmt = "yuv420p"
            stream.codec_context.thread_count = threads
            stream.options = {"crf": str(quality), "preset": "veryfast", "x264-params": "nal-hrd=none"}
            context = stream.codec_context
            context.color_primaries = context.color_trc = context.colorspace = _BT709
            context.color_range = _LIMITED
            self._stream = stream
            self._track: Any = None
            if sound is not None:
                self._track = self._file.add_stream("aac", rate=SOUND_RATE)
                self._track.layout = "stereo"
                self._track.bit_rate = 192_000

    def write(self, samples: Bytes) -> None:
        """Add a frame, uint8 (h, w, 3), RGB."""
        import av

        with _told("written", self._path):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(samples), format="rgb24")
            made = frame.reformat(
                format="yuv420p", dst_colorspace="ITU709", src_color_range="JPEG", dst_color_range="MPEG"
            )
            made.pts, made.time_base = self._count, Fraction(1, self._rate)
            self._count += 1
            self._file.mux(self._stream.encode(made))

    def close(self) -> None:
        """Finish the file."""
        with _told("written", self._path):
            self._file.mux(self._stream.encode(None))
            if self._track is not None and self._sound is not None:
                self._write_sound(self._sound)
            self._file.close()

    def _write_sound(self, sound: Floats) -> None:
        import av

        for first in range(0, len(sound), _SOUND_BLOCK):
            block = np.ascontiguousarray(sound[first : first + _SOUND_BLOCK].T, np.float32)
            frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="stereo")
            frame.sample_rate, frame.pts, frame.time_base = SOUND_RATE, first, Fraction(1, SOUND_RATE)
            self._file.mux(self._track.encode(frame))
        self._file.mux(self._track.encode(None))


class LosslessWriter:
    """A Matroska file with FFV1 version 3 (RFC 9043): gray maps, or RGB frames."""

    def __init__(self, path: Path, size: tuple[int, int], rate: int, *, colour: bool = False, threads: int = 2) -> None:
        """`size`: rows and columns; `rate`: frames a second; `colour`: RGB frames, else 8-bit gray."""
        import av

        self._path, self._rate, self._count, self._colour = path, rate, 0, colour
        with _told("written", path):
            self._file: Any = av.open(str(path), "w", format="matroska", options={"fflags": "+bitexact"})
            stream: Any = self._file.add_stream("ffv1", rate=rate)
            stream.height, stream.width = size
            stream.pix_fmt = "bgr0" if colour else "gray"
            stream.codec_context.thread_count = threads
            stream.options = {"level": "3", "slicecrc": "1", "g": "1", "slices": "4"}
            self._stream = stream

    def write(self, samples: Bytes) -> None:
        """Add a frame: uint8 (h, w), or (h, w, 3) RGB."""
        import av

        with _told("written", self._path):
            frame = av.VideoFrame.from_ndarray(
                np.ascontiguousarray(samples), format="rgb24" if self._colour else "gray"
            )
            if self._colour:
                frame = frame.reformat(format="bgr0")
            frame.pts, frame.time_base = self._count, Fraction(1, self._rate)
            self._count += 1
            self._file.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Finish the file."""
        with _told("written", self._path):
            self._file.mux(self._stream.encode(None))
            self._file.close()


def frames_of(path: Path, *, gray: bool = False) -> Iterator[Bytes]:
    """Decoded frames in order: uint8 (h, w, 3) RGB, or with `gray` (h, w); raise PictureUnreadable."""
    import av

    with _told("read", path), av.open(str(path)) as file:
        for frame in file.decode(video=0):
            if gray:
                yield np.asarray(frame.to_ndarray(format="gray"), np.uint8)
            else:
                made = frame.reformat(
                    format="rgb24", src_colorspace="ITU709", src_color_range="MPEG", dst_color_range="JPEG"
                ) if frame.format.name == "yuv420p" else frame.reformat(format="rgb24")  # fmt: skip
                yield np.asarray(made.to_ndarray(), np.uint8)
