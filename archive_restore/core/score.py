"""Scores of backing pieces, kept as data (schemas/music.schema.json): read into notes with an accompaniment.

The tune is written in a subset of ABC notation (ABC 2.1 §4: notes, accidentals, octaves, lengths, rests, ties,
triplets, chord symbols in quotes). Every bar must be full: a slip of the pen is found here and not heard later.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

_TOKEN = re.compile(
    r'\s+|"(?P<chord>[^"]*)"|(?P<bar>\|)|\((?P<tuplet>3)|(?P<rest>z)(?P<rest_length>\d*(?:/\d*)?)'
    r"|(?P<sign>\^|_|=)?(?P<letter>[A-Ga-g])(?P<octave>[,']*)(?P<length>\d*(?:/\d*)?)(?P<tie>-)?"
)
_CHORD = re.compile(r"([A-G])([#b]?)(m7b5|maj7|dim|m7|m|7|6)?")
_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_SHARPS = {"C": 0, "G": 1, "D": 2, "A": 3, "E": 4, "F": -1, "Bb": -2, "Eb": -3, "Ab": -4, "Am": 0, "Em": 1, "Dm": -1}
"""Sharps of a key; fewer than none are flats."""
_ORDER = "FCGDAEB"
_KINDS = {
    "": (0, 4, 7), "m": (0, 3, 7), "7": (0, 4, 7, 10), "m7": (0, 3, 7, 10), "maj7": (0, 4, 7, 11), "6": (0, 4, 7, 9),
    "dim": (0, 3, 6), "m7b5": (0, 3, 6, 10),
}  # fmt: skip
ACCOMPANIMENTS = ("stride", "march", "waltz", "arpeggio", "chords", "drone")
_BASS, _MIDDLE = 36, 52  # lowest notes of bass and of chords, MIDI


class ScoreInvalid(ValueError):
    """A score that says something impossible: which bar, and what."""


@dataclass(frozen=True, kw_only=True)
class Note:
    """One note to be played."""

    start: float
    """Seconds from the beginning of the piece."""
    length: float
    """Seconds."""
    pitch: int
    """MIDI: 60 is middle C, 69 is 440 Hz."""
    strength: float
    """0..1."""


@dataclass(frozen=True, kw_only=True)
class Performance:
    """A piece as it is played once."""

    notes: tuple[Note, ...]
    seconds: float
    """After this time it may begin again."""


def perform(score: Mapping[str, Any]) -> Performance:
    """Read a score that fits its schema; raise ScoreInvalid."""
    meter, unit = Fraction(score["meter"]), Fraction(score["unit"])
    tune = _Tune(str(score["key"]), meter, unit)
    tune.read(" ".join(score["tune"]))
    if str(score["accompaniment"]) not in ACCOMPANIMENTS:
        raise ScoreInvalid(f"no accompaniment is called {score['accompaniment']!r}")
    second = 60 / (float(score["tempo"]) * float(Fraction(score["beat"])))  # seconds of a whole note
    notes = [
        Note(start=float(at) * second, length=float(length) * second, pitch=pitch, strength=_accent(at, tune, meter))
        for at, length, pitch in tune.notes
    ]
    for at, length, pitch, strength in _accompany(str(score["accompaniment"]), tune, meter):
        notes.append(
            Note(start=float(at) * second, length=float(length) * second, pitch=pitch, strength=strength)
        )  # fmt: skip
    notes.sort(key=lambda note: (note.start, note.pitch))
    return Performance(notes=tuple(notes), seconds=float(tune.end) * second)


def _accent(at: Fraction, tune: _Tune, meter: Fraction) -> float:
    place = (at - tune.pickup) % meter
    return 0.9 if place == 0 else 0.8 if place == meter / 2 else 0.72


class _Tune:
    """The tune in whole notes from its beginning."""

    def __init__(self, key: str, meter: Fraction, unit: Fraction) -> None:
        sharps = _SHARPS[key]
        marked = _ORDER[:sharps] if sharps >= 0 else _ORDER[sharps:]
        self._key = dict.fromkeys(marked, 1 if sharps >= 0 else -1)
        self._meter, self._unit = meter, unit
        self.notes: list[tuple[Fraction, Fraction, int]] = []
        self.chords: list[tuple[Fraction, tuple[int, ...], int]] = []
        """Where, intervals, root as a step of the octave."""
        self.pickup = self.end = Fraction(0)

    def read(self, text: str) -> None:
        at = begin = Fraction(0)
        signs: dict[tuple[str, str], int] = {}
        bar, place, tied, left = 0, 0, False, 0
        while place < len(text):
            found = _TOKEN.match(text, place)
            if found is None:
                raise ScoreInvalid(f"bar {bar}: {text[place : place + 12]!r} is no note")
            place = found.end()
            if found["chord"] is not None:
                self.chords.append((at, *_chord(found["chord"], bar)))
            elif found["tuplet"]:
                left = 3
            elif found["bar"]:
                filled = at - begin
                if bar == 0 and filled < self._meter:
                    self.pickup = filled
                elif filled != self._meter:
                    raise ScoreInvalid(f"bar {bar} holds {filled} of {self._meter}")
                begin, signs, bar = at, {}, bar + 1
            elif found["rest"] or found["letter"]:
                length = self._unit * _length(found["rest_length"] if found["rest"] else found["length"])
                if left:
                    length, left = length * Fraction(2, 3), left - 1
                if found["letter"]:
                    tied = self._note(found, at, length, signs, tied, bar)
                at += length
        if at - begin != (self._meter - self.pickup if self.pickup else 0):
            raise ScoreInvalid(f"bar {bar} holds {at - begin} at the end, {self._meter - self.pickup} would fill it")
        if tied:
            raise ScoreInvalid("the last note is tied to nothing")
        if not self.chords:
            raise ScoreInvalid("there are no chords")
        self.end = at

    def _note(
        self, found: re.Match[str], at: Fraction, length: Fraction, signs: dict[tuple[str, str], int], tied: bool,
        bar: int,
    ) -> bool:  # fmt: skip
        letter, octave = found["letter"], found["octave"]
        if found["sign"]:
            signs[letter, octave] = {"^": 1, "_": -1, "=": 0}[found["sign"]]
        change = signs.get((letter, octave), self._key.get(letter.upper(), 0))
        pitch = 60 + _STEPS[letter.upper()] + (12 if letter.islower() else 0) + change
        pitch += 12 * (octave.count("'") - octave.count(","))
        if tied:
            start, before, same = self.notes[-1]
            if same != pitch or start + before != at:
                raise ScoreInvalid(f"bar {bar}: a tie leads to another note")
            self.notes[-1] = (start, before + length, pitch)
        else:
            self.notes.append((at, length, pitch))
        return found["tie"] is not None

    def chord_at(self, at: Fraction) -> tuple[tuple[int, ...], int]:
        """Intervals and root of the chord that sounds at a time; the first one before it."""
        now = self.chords[0][1:]
        for start, *chord in self.chords:
            if start <= at:
                now = (chord[0], chord[1])  # type: ignore[assignment]
        return now


def _length(text: str) -> Fraction:
    if not text:
        return Fraction(1)
    whole, slash, part = text.partition("/")
    return Fraction(int(whole or 1), int(part or 2) if slash else 1)


def _chord(text: str, bar: int) -> tuple[tuple[int, ...], int]:
    found = _CHORD.fullmatch(text)
    if found is None:
        raise ScoreInvalid(f"bar {bar}: {text!r} is no chord")
    return _KINDS[found[3] or ""], (_STEPS[found[1]] + {"": 0, "#": 1, "b": -1}[found[2]]) % 12


_Played = tuple[Fraction, Fraction, int, float]


def _accompany(manner: str, tune: _Tune, meter: Fraction) -> Iterator[_Played]:
    """Bass and chords, bar by bar, from the end of the pickup."""
    bar = tune.pickup
    while bar + meter <= tune.end + tune.pickup and bar < tune.end:
        yield from _MANNERS[manner](tune, bar, min(meter, tune.end - bar))
        bar += meter


def _strokes(bar: Fraction, length: Fraction, step: Fraction) -> list[Fraction]:
    return [bar + step * n for n in range(int(length / step))]


def _stride(tune: _Tune, bar: Fraction, length: Fraction, step: Fraction = Fraction(1, 8)) -> Iterator[_Played]:
    """Bass, chord, bass, chord: ragtime's left hand."""
    for number, at in enumerate(_strokes(bar, length, step)):
        intervals, root = tune.chord_at(at)
        if number % 2 == 0:
            yield at, step, _bass(root, fifth=number % 4 == 2), 0.5
            yield at, step, _bass(root, fifth=number % 4 == 2) + 12, 0.35
        else:
            yield from ((at, step * Fraction(3, 4), pitch, 0.34) for pitch in _close(intervals, root))


def _march(tune: _Tune, bar: Fraction, length: Fraction) -> Iterator[_Played]:
    yield from _stride(tune, bar, length, Fraction(1, 4) if length >= 1 else Fraction(1, 8))


def _waltz(tune: _Tune, bar: Fraction, length: Fraction) -> Iterator[_Played]:
    """One low, two high."""
    step = Fraction(1, 4)
    for number, at in enumerate(_strokes(bar, length, step)):
        intervals, root = tune.chord_at(at)
        if number == 0:
            yield at, step, _bass(root), 0.5
        else:
            yield from ((at, step * Fraction(3, 4), pitch, 0.3) for pitch in _close(intervals, root))


def _arpeggio(tune: _Tune, bar: Fraction, length: Fraction) -> Iterator[_Played]:
    """Broken chords in quavers."""
    step = Fraction(1, 8)
    for number, at in enumerate(_strokes(bar, length, step)):
        intervals, root = tune.chord_at(at)
        tones = [_bass(root) + 12, *_close(intervals[:3], root)]
        order = (0, 1, 2, 3, 2, 1) if length % Fraction(3, 8) == 0 else (0, 2, 1, 2)
        yield at, step * 2, tones[order[number % len(order)] % len(tones)], 0.42 if number == 0 else 0.32


def _chords(tune: _Tune, bar: Fraction, length: Fraction) -> Iterator[_Played]:
    """A chord where one begins, held."""
    step = Fraction(1, 4)
    for number, at in enumerate(_strokes(bar, length, step)):
        chord = tune.chord_at(at)
        if number == 0 or chord != tune.chord_at(at - step):
            held = step
            while at + held < bar + length and tune.chord_at(at + held) == chord:
                held += step
            yield at, held, _bass(chord[1]), 0.42
            yield from ((at, held, pitch, 0.3) for pitch in _close(*chord))


def _drone(tune: _Tune, bar: Fraction, length: Fraction) -> Iterator[_Played]:
    """Open fifths, as a zither's low strings."""
    half = length / 2
    for at in (bar, bar + half):
        root = _bass(tune.chord_at(at)[1]) + 12
        yield at, half, root, 0.42
        yield at + half / 2, half / 2, root + 7, 0.3


_MANNERS = {
    "stride": _stride, "march": _march, "waltz": _waltz, "arpeggio": _arpeggio, "chords": _chords, "drone": _drone,
}  # fmt: skip


def _bass(root: int, *, fifth: bool = False) -> int:
    low = _BASS + (root - _BASS) % 12
    if not fifth:
        return low
    return low + 7 if low + 7 < _BASS + 12 else low - 5


def _close(intervals: Sequence[int], root: int) -> list[int]:
    """The chord's tones, close together above _MIDDLE."""
    return sorted(_MIDDLE + (root + interval - _MIDDLE) % 12 for interval in intervals)
