"""A small synthesizer: struck strings as sums of decaying partials, a little room around them. Nothing is sampled.

The same notes give the same samples: float64 throughout, the room from a fixed seed. Strings are stiff, so that
partials lie a little too high (H. Fletcher, E. D. Blackham, R. Stratton, Quality of Piano Tones, JASA 34, 1962).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from archive_restore.core.score import Note

Floats = NDArray[np.float64]

RATE = 48_000
"""Samples a second."""
_LONGEST = 4.0  # seconds that a string sounds at most
_RELEASE = 0.09  # seconds in which a damper stops it
_PARTIALS, _HIGHEST = 14, 9_000.0
_BLOCK = 480
_STIFF = 3.5e-4  # of middle C
_ROOM = 1.3  # seconds
_WET = 0.16


def play(notes: Sequence[Note], seconds: float, count: int) -> Floats:
    """`count` samples of a piece that begins again after `seconds`: (count, 2), -1..1 at most, not normalized."""
    sound = np.zeros((count + int(_ROOM * RATE), 2))
    strings: dict[int, Floats] = {}
    repeat = 0
    while repeat * seconds * RATE < count:
        for note in notes:
            begin = round((note.start + repeat * seconds) * RATE)
            if begin < count:
                if note.pitch not in strings:
                    strings[note.pitch] = _string(note.pitch)
                _strike(sound, begin, note, strings[note.pitch])
        repeat += 1
    wet = _room(sound)[:count]
    made = sound[:count] + _WET * wet
    peak = float(np.abs(made).max(initial=0.0))
    return np.asarray(made / peak * 0.5 if peak else made)


def _strike(sound: Floats, begin: int, note: Note, string: Floats) -> None:
    held = min(round(note.length * RATE), len(string))
    whole = string[: min(held + round(_RELEASE * RATE), len(string))] * note.strength
    tail = len(whole) - held
    if tail > 0:
        whole[held:] *= 0.5 + 0.5 * np.cos(np.pi * np.arange(tail) / tail)
    end = min(begin + len(whole), len(sound))
    # Low strings a little to the left, high ones to the right, as a player hears them; equal power.
    angle = np.pi / 4 * (1 + np.clip((note.pitch - 62) / 60, -0.5, 0.5))
    sound[begin:end, 0] += np.cos(angle) * whole[: end - begin]
    sound[begin:end, 1] += np.sin(angle) * whole[: end - begin]


def _string(pitch: int) -> Floats:
    """One string that rings out."""
    base = 440.0 * 2.0 ** ((pitch - 69) / 12)
    blocks = int(_LONGEST * RATE) // _BLOCK
    tone = np.zeros(blocks * _BLOCK)
    slow = 0.9 * 2.0 ** ((pitch - 60) / 20)  # nepers a second of the first partial
    for partial in range(1, _PARTIALS + 1):
        frequency = base * partial * np.sqrt(1 + _STIFF * 2.0 ** ((pitch - 60) / 12) * partial * partial)
        if frequency > _HIGHEST:
            break
        strength = abs(np.sin(np.pi * partial / 8.3)) * partial**-1.7  # struck at an eighth of its length
        for detuned, share in ((-0.00012, 0.55), (0.00017, 0.45)):  # two strings a note
            speed = -slow * (1 + 0.35 * (partial - 1)) * (1 + 0.6 * (share < 0.5)) + 2j * np.pi * frequency * (
                1 + detuned
            )
            inside = np.exp(speed / RATE * np.arange(_BLOCK))
            across = np.exp(speed / RATE * _BLOCK * np.arange(blocks))
            tone += strength * share * np.outer(across, inside).imag.ravel()
    rise = round(0.004 * RATE)
    tone[:rise] *= 0.5 - 0.5 * np.cos(np.pi * np.arange(rise) / rise)
    fall = round(0.2 * RATE)
    tone[-fall:] *= np.linspace(1, 0, fall)
    return tone


def _room(sound: Floats) -> Floats:
    """What a small room gives back: noise that dies away and grows dull, other for each ear."""
    length = int(_ROOM * RATE)
    noise = np.random.Generator(np.random.Philox(1826)).standard_normal((length, 2))
    smooth = np.cumsum(noise, axis=0)
    noise[12:] = (smooth[12:] - smooth[:-12]) / 12
    time = np.arange(length)[:, None] / RATE
    noise *= np.exp(-6.9 * time / _ROOM) * np.clip(time / 0.012, 0, 1)
    noise /= np.sqrt((noise**2).sum(axis=0))
    size = 1 << (len(sound) + length - 1).bit_length()
    heard = np.fft.irfft(np.fft.rfft(sound, size, axis=0) * np.fft.rfft(noise, size, axis=0), size, axis=0)
    return np.asarray(heard[: len(sound)])
