"""Sound files through FFmpeg's libraries (PyAV), and loudness (pyloudnorm); both of the extra `animate`.

Only formats that hold sound are opened: no playlists, and nothing that names other files or addresses.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archive_restore.adapters import shipped
from archive_restore.adapters.video import decoded
from archive_restore.core.score import Note
from archive_restore.core.synthesizer import RATE
from archive_restore.errors import SourceUnreadable, UsageError
from archive_restore.ports import Sounds
from archive_restore.records.provenance import SoftwareAgent

Floats = NDArray[np.float64]

LONGEST = 3600
"""Seconds of a file; what is longer is no music of a clip, and is not decoded."""
_FORMATS = "wav,w64,mp3,flac,ogg,mov,mp4,m4a,matroska,webm,aac,aiff,caf,au,amr,asf,ac3,eac3"


class FileSounds(Sounds):
    """The `Sounds` port."""

    def read(self, path: Path, seconds: float) -> Floats:
        """See ports.Sounds."""
        av = _library()
        with _told(path), path.open("rb") as data, av.open(data, options={"format_whitelist": _FORMATS}) as file:
            if not file.streams.audio:
                raise SourceUnreadable(f"there is no sound in {path.name!r}", hint="Give a file with music or a voice")
            stream = file.streams.audio[0]
            declared = [float(file.duration / av.time_base)] if file.duration else []
            if stream.duration and stream.time_base:
                declared.append(float(stream.duration * stream.time_base))
            if max(declared, default=0.0) > LONGEST:
                raise SourceUnreadable(
                    f"{path.name!r} lasts {max(declared) / 3600:.1f} hours, more than {LONGEST // 3600}",
                    hint="Cut out what is to be heard",
                )
            parts = list(decoded(file, math.ceil(seconds * RATE)))
        sound = np.concatenate(parts) if parts else np.zeros((0, 2))
        if not len(sound):
            raise SourceUnreadable(f"the sound of {path.name!r} has no length", hint="Is it a whole recording?")
        if not np.isfinite(sound).all():
            raise SourceUnreadable(f"the sound of {path.name!r} holds values that are no numbers")
        return sound

    def loudness(self, sound: Floats) -> float:
        """See ports.Sounds."""
        with np.errstate(divide="ignore"):
            return float(_meter().integrated_loudness(np.ascontiguousarray(sound)))

    def play_font(self, font: Path, notes: Sequence[Note], seconds: float, count: int) -> Floats:
        """See ports.Sounds."""
        from archive_restore.adapters.soundfont import play_font

        return play_font(font, notes, seconds, count)

    def pieces(self) -> tuple[Mapping[str, Any], ...]:
        """See ports.Sounds."""
        return shipped.pieces()

    def agents(self, *, font: bool) -> tuple[SoftwareAgent, ...]:
        """See ports.Sounds."""
        from importlib import metadata

        names = {"pyloudnorm": "loudness", **({"tinysoundfont": "sound"} if font else {})}
        return tuple(SoftwareAgent(name=n, version=metadata.version(n), role=role) for n, role in names.items())


def _meter() -> Any:
    try:
        import pyloudnorm
    except ImportError as exc:
        raise UsageError(
            "sound needs pyloudnorm, which is not installed", hint="Run: pip install 'archive-restore[animate]'"
        ) from exc
    return pyloudnorm.Meter(RATE)


def _library() -> Any:
    try:
        import av
    except ImportError as exc:
        raise UsageError(
            "sound needs PyAV, which is not installed", hint="Run: pip install 'archive-restore[animate]'"
        ) from exc
    return av


@contextmanager
def _told(path: Path) -> Iterator[None]:
    av = _library()
    try:
        yield
    except (av.FFmpegError, ValueError) as exc:
        said = getattr(exc, "strerror", None) or exc
        raise SourceUnreadable(
            f"the sound of {path.name!r} cannot be read: {said}", hint="Is it a whole sound file?"
        ) from exc
    except OSError as exc:
        raise SourceUnreadable(f"{path.name!r} cannot be read: {exc.strerror or exc}") from exc
