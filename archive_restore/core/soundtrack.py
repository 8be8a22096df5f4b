"""The sound of a clip from music and a voice: fitted, ducked, faded, and as loud as EBU R 128 asks.

R 128 wants -23 LUFS over the whole programme and true peaks of -1 dBTP at most (EBU Tech 3341; ITU-R BS.1770-4, annex
2). A clip begins and ends in silence, so that nothing clicks where it is looped.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from archive_restore.core.synthesizer import RATE

Floats = NDArray[np.float64]
Sound = NDArray[np.int16]

TARGET = -23.0
"""Loudness over the whole clip, LUFS (EBU R 128)."""
TOLERANCE = 0.5
"""LU."""
CEILING = -1.5
"""Greatest true peak before it is encoded, dBTP: half a decibel below R 128, since encoders overshoot."""
LEAD, TAIL = 0.5, 1.0
"""Seconds before a voice and after it."""
_BED = 6.0  # LU that music lies below a voice while nobody speaks
_DUCK = 12.0  # dB by which it steps back while somebody does
_RISE, _FALL = 0.4, 1.5  # seconds in which music comes and goes
_EDGE = 0.015  # seconds in which everything does


class Silent(ValueError):
    """There is nothing to be heard."""


@dataclass(frozen=True, kw_only=True)
class Soundtrack:
    """A finished sound and what was measured on it."""

    samples: Sound
    """(count, 2) at RATE."""
    loudness: float
    """LUFS."""
    true_peak: float
    """dBTP."""
    spoken: float
    """Share of the time in which somebody speaks."""


def samples_of(frames: int, rate: int) -> int:
    """Samples that are as long as so many frames, rounded."""
    return round(frames * RATE / rate)


def mix(music: Floats | None, voice: Floats | None, count: int, loudness: Callable[[Floats], float]) -> Soundtrack:
    """Put together `count` samples from (n, 2) of each, -1..1; music begins at once, the voice after LEAD.

    `loudness` measures LUFS. Raise Silent where there is nothing to be heard.
    """
    whole, spoken = np.zeros((count, 2)), 0.0
    if voice is not None:
        begin = min(round(LEAD * RATE), count)
        said = np.zeros((count, 2))
        part = _edged(voice[: count - begin], 0.01, 0.3 if len(voice) > count - begin else 0.02)
        said[begin : begin + len(part)] = part
        said *= _gain(TARGET - _loud(said, loudness, "the voice"))
        whole += said
    if music is not None:
        bed = np.zeros((count, 2))
        part = _edged(music[:count], min(_RISE, count / RATE / 6), min(_FALL, count / RATE / 4))
        bed[: len(part)] = part
        bed *= _gain(TARGET - (_BED if voice is not None else 0) - _loud(bed, loudness, "the music"))
        if voice is not None:
            speaking = _speaking(said)
            spoken = float(speaking.mean())
            bed *= _gain(-_DUCK * speaking)[:, None]
        whole += bed
    whole = _edged(whole, _EDGE, _EDGE)
    for _ in range(4):  # a limiter takes loudness away, little by little
        whole = limited(whole * _gain(TARGET - _loud(whole, loudness, "the sound")))
        if abs(loudness(whole) - TARGET) < 0.05:
            break
    made = np.rint(whole * 32767).astype(np.int16)
    heard = made / 32768
    return Soundtrack(samples=made, loudness=loudness(heard), true_peak=true_peak(heard), spoken=spoken)


def true_peak(sound: Floats) -> float:
    """Greatest value between the samples as well, dBTP: four times as many samples (ITU-R BS.1770-4 annex 2)."""
    peak = float(_peaks(sound).max(initial=0.0))
    return 20 * math.log10(peak) if peak > 0 else -200.0


def limited(sound: Floats) -> Floats:
    """Turn down for a few milliseconds what would rise above CEILING."""
    block, ceiling = 120, float(_gain(CEILING))
    peaks = _peaks(sound)
    if peaks.max(initial=0.0) <= ceiling:
        return sound
    blocks = -(-len(peaks) // block)
    most = np.zeros(blocks * block)
    most[: len(peaks)] = peaks
    most = most.reshape(blocks, block).max(axis=1)
    wide = np.maximum.reduce([np.pad(most, 2, mode="edge")[n : n + blocks] for n in range(5)])
    needed = ceiling / np.maximum(wide, ceiling)
    middles = (np.arange(blocks) + 0.5) * block
    return np.asarray(sound * np.interp(np.arange(len(sound)), middles, needed)[:, None])


def _peaks(sound: Floats) -> Floats:
    """At each sample, the greatest value of both channels up to the next one."""
    taps, phases = 12, 4
    time = np.arange(-taps * phases // 2, taps * phases // 2) / phases
    low_pass = np.sinc(time) * np.kaiser(len(time), 5.5)
    most = np.abs(sound).max(axis=1)
    for phase in range(1, phases):
        part = low_pass[phase::phases]
        for channel in range(sound.shape[1]):
            between = np.convolve(sound[:, channel], part / part.sum(), mode="same")
            np.maximum(most, np.abs(between), out=most)
    return np.asarray(most)


def _speaking(voice: Floats) -> Floats:
    """0..1 at every sample: how far somebody speaks; rises before the first sound and falls after the last."""
    block = RATE // 50
    blocks = -(-len(voice) // block)
    padded = np.zeros(blocks * block)
    padded[: len(voice)] = (voice**2).mean(axis=1)
    power = padded.reshape(blocks, block).mean(axis=1)
    active = (power > 1e-3 * power.max(initial=1e-12)).astype(float)
    held = np.maximum.reduce([np.pad(active, 20)[n : n + blocks] for n in range(41)])  # 0.4 s on either side
    window = np.hanning(27)
    smooth = np.convolve(np.pad(held, 13, mode="edge"), window / window.sum(), mode="valid")
    return np.asarray(np.interp(np.arange(len(voice)), (np.arange(blocks) + 0.5) * block, smooth))


def _edged(sound: Floats, rise: float, fall: float) -> Floats:
    """Comes from silence and goes into it, seconds; half cosines."""
    made = np.array(sound, np.float64)
    up, down = (min(round(seconds * RATE), len(made) // 2) for seconds in (rise, fall))
    if up:
        made[:up] *= (0.5 - 0.5 * np.cos(np.pi * np.arange(up) / up))[:, None]
    if down:
        made[-down:] *= (0.5 + 0.5 * np.cos(np.pi * np.arange(1, down + 1) / down))[:, None]
    return made


def _loud(sound: Floats, loudness: Callable[[Floats], float], what: str) -> float:
    value = loudness(sound)
    if not math.isfinite(value):
        raise Silent(f"{what} is silent")
    return value


def _gain(decibels: float | Floats) -> Floats:
    return np.asarray(10.0 ** (np.asarray(decibels) / 20))
