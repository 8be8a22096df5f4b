"""Video files through FFmpeg's libraries (PyAV, extra `animate`): MP4 with H.264, Matroska with FFV1.

H.264 is yuv420p in limited range, with BT.709 primaries, transfer and matrix in the stream (ITU-T H.273), and the index
lies at the front. Maps are FFV1 (RFC 9043): what is read back is what was written, bit for bit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archive_restore.core.captions import Cue
from archive_restore.core.synthesizer import RATE
from archive_restore.errors import PictureUnreadable, StorageFailed, UsageError
from archive_restore.ports import FrameWriter, Videos
from archive_restore.records.provenance import SoftwareAgent

Bytes = NDArray[np.uint8]
Sound = NDArray[np.int16]

_BT709 = 1  # primaries, transfer and matrix alike (ITU-T H.273, tables 2 to 4)
_LIMITED = 1  # AVCOL_RANGE_MPEG
_AHEAD = 3  # frames that may wait for the encoder
_GRAY, _COLOUR = "gray", "bgr0"
_LOOKS_AHEAD = "mbtree=1:rc-lookahead=10:weightp=0"
"""Of x264: what lasts is encoded better, as by slower presets, at half of the time of `veryfast`; light never fades."""
_BIT_RATE = 192_000  # of AAC, bits a second
MOST_SOUND = 120 * RATE
"""Samples of a clip's sound that are read; a clip has half as many at most."""
_STYLES = """[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, Alignment
Style: Default,Sans,16,&Hffffff,2

[Events]
Format: Layer, Start, End, Style, Text
"""
"""What FFmpeg's encoder of timed text wants to know before it begins."""


class FileVideos(Videos):
    """Videos on the disk; `threads` of the encoder are part of what it gives."""

    def __init__(self, threads: int) -> None:
        self._threads = threads

    def create(
        self, path: Path, size: tuple[int, int], rate: int, *, quality: int, sound: Sound | None = None,
        captions: Sequence[Cue] = (),
    ) -> FrameWriter:  # fmt: skip
        """See Videos."""
        options = {"crf": str(quality), "preset": "superfast", "x264-params": _LOOKS_AHEAD}
        writer = _Writer(path, "mp4", "libx264", size, rate, "yuv420p", options, self._threads)
        writer.add_sound("aac", sound)
        writer.add_captions(captions)
        return writer

    def create_exact(
        self, path: Path, size: tuple[int, int], rate: int, *, colour: bool, sound: Sound | None = None
    ) -> FrameWriter:
        """See Videos."""
        options = {"level": "3", "slicecrc": "1", "g": "1", "slices": "4"}
        shape = _COLOUR if colour else _GRAY
        writer = _Writer(path, "matroska", "ffv1", size, rate, shape, options, self._threads)
        writer.add_sound("flac", sound)
        return writer

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

    def sound(self, path: Path) -> NDArray[np.float64] | None:
        """See Videos."""
        av = _library()
        with _told("read", path), av.open(str(path)) as file:
            if not file.streams.audio:
                return None
            parts = list(decoded(file, MOST_SOUND))
        return np.concatenate(parts) if parts else np.zeros((0, 2))

    def agents(self) -> tuple[SoftwareAgent, ...]:
        """See Videos."""
        av = _library()
        codec = ".".join(str(part) for part in av.library_versions["libavcodec"])
        return (
            SoftwareAgent(name="PyAV", version=av.__version__, role="video"),
            SoftwareAgent(name="libavcodec", version=codec, role="video"),
        )


def decoded(file: Any, most: int) -> Iterator[NDArray[np.float64]]:
    """At most so many samples of an open file's first sound, (n, 2) at RATE; errors are FFmpeg's and ValueError."""
    av = _library()
    resampler = av.AudioResampler(format="fltp", layout="stereo", rate=RATE)
    left = most
    for frame in file.decode(audio=0):
        for part in resampler.resample(frame):
            made = part.to_ndarray().T.astype(np.float64)[:left]
            left -= len(made)
            yield made
            if left <= 0:
                return
    for part in resampler.resample(None):
        yield part.to_ndarray().T.astype(np.float64)[:left]


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
        self._sound: Sound | None = None
        self._heard = 0
        self._captions: list[Cue] = []
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

    def add_sound(self, codec: str, sound: Sound | None) -> None:
        """Before the first frame."""
        if sound is None:
            return
        self._sound = sound
        with _told("written", self._path):
            self._voice = self._file.add_stream(codec, rate=RATE)
            self._voice.layout = "stereo"
            if codec == "aac":
                self._voice.bit_rate = _BIT_RATE

    def add_captions(self, captions: Sequence[Cue]) -> None:
        """Before the first frame."""
        if not captions:
            return
        self._captions = list(captions)
        with _told("written", self._path):
            self._text = self._file.add_stream("mov_text")
            self._text.time_base = Fraction(1, 1000)
            self._text.codec_context.subtitle_header = _STYLES.encode()

    def _accompany(self, until: Fraction) -> None:
        """Add the sound and the captions that belong before a time in seconds."""
        av = _library()
        if self._sound is not None:
            end = min(len(self._sound), int(until * RATE))
            if end > self._heard:
                part = np.ascontiguousarray(self._sound[self._heard : end].reshape(1, -1))
                frame = av.AudioFrame.from_ndarray(part, format="s16", layout="stereo")
                frame.sample_rate, frame.pts, frame.time_base = RATE, self._heard, Fraction(1, RATE)
                self._heard = end
                self._file.mux(self._voice.encode(frame))
        while self._captions and self._captions[0].start < until * 1000:
            cue = self._captions.pop(0)
            text = cue.text.encode()
            packet = av.Packet(len(text).to_bytes(2, "big") + text)  # 3GPP TS 26.245 §5.17.1
            packet.stream, packet.time_base = self._text, Fraction(1, 1000)
            packet.pts = packet.dts = cue.start
            packet.duration = cue.end - cue.start
            self._file.mux(packet)

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
            self._accompany(self._count * self._beat)

    def close(self) -> None:
        """See FrameWriter."""
        try:
            while self._waiting:
                self._waiting.popleft().result()
        finally:
            self._worker.shutdown()
        with _told("written", self._path):
            self._file.mux(self._stream.encode(None))
            if self._sound is not None:
                self._accompany(Fraction(len(self._sound) + 1, RATE))
                self._file.mux(self._voice.encode(None))
            self._file.close()
