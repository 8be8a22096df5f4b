"""Backing pieces played with an instrument of a sound font, through tinysoundfont (MIT), where it is installed.

The first program of the first bank is a piano in every font that keeps to General MIDI.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archive_restore.core.score import Note
from archive_restore.core.synthesizer import RATE
from archive_restore.errors import SourceUnreadable, UsageError

_MOST_BYTES = 512 << 20
_GAIN = -9.0  # decibels: room for chords; what comes out is made as loud as it should be anyway
_ON, _OFF = 1, 0


def play_font(font: Path, notes: Sequence[Note], seconds: float, count: int) -> NDArray[np.float64]:
    """As core.synthesizer.play; raise UsageError without tinysoundfont, SourceUnreadable for what is no font."""
    library = _library()
    try:
        if font.stat().st_size > _MOST_BYTES:
            raise SourceUnreadable(f"the sound font {font.name!r} has more than {_MOST_BYTES >> 20} MiB")
        with font.open("rb") as file:
            head = file.read(12)
    except OSError as exc:
        raise SourceUnreadable(f"{font.name!r} cannot be read: {exc.strerror or exc}") from exc
    if head[:4] != b"RIFF" or head[8:] != b"sfbk":  # SoundFont 2.04 §4
        raise SourceUnreadable(f"{font.name!r} is no sound font", hint="Give a file .sf2 or .sf3")
    synth = library.Synth(samplerate=RATE)
    try:
        synth.program_select(0, synth.sfload(str(font), gain=_GAIN), 0, 0)
    except (library.SoundFontException, RuntimeError) as exc:
        raise SourceUnreadable(f"the sound font {font.name!r} cannot be used: {exc}") from exc
    made, at = np.zeros((count, 2)), 0
    for sample, turned, pitch, strength in _events(notes, seconds, count):
        at = _heard(synth, made, at, sample)
        if turned == _ON:
            synth.noteon(0, pitch, strength)
        else:
            synth.noteoff(0, pitch)
    _heard(synth, made, at, count)
    return made


def _events(notes: Sequence[Note], seconds: float, count: int) -> list[tuple[int, int, int, int]]:
    """Keys that go up and down, in order; a key goes up before it goes down again."""
    events = []
    repeat = 0
    while repeat * seconds * RATE < count:
        for note in notes:
            begin = round((note.start + repeat * seconds) * RATE)
            end = begin + max(round(note.length * RATE) - RATE // 200, 1)
            events.append((begin, _ON, note.pitch, max(1, min(127, round(127 * note.strength)))))
            events.append((end, _OFF, note.pitch, 0))
        repeat += 1
    return sorted(event for event in events if event[0] < count)


def _heard(synth: Any, made: NDArray[np.float64], start: int, end: int) -> int:
    if end > start:
        made[start:end] = np.frombuffer(synth.generate(end - start), np.float32).reshape(-1, 2)
    return max(start, end)


def _library() -> Any:
    try:
        import tinysoundfont
    except ImportError as exc:
        raise UsageError(
            "sound fonts need tinysoundfont, which is not installed",
            hint="Run: apt install portaudio19-dev && pip install tinysoundfont; or leave --soundfont out",
        ) from exc
    return tinysoundfont
