"""Small sound files for tests."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np


def tone(seconds: float, pitch: float, rate: int = 48_000) -> np.ndarray:
    """A sine, int16 (n, 2)."""
    time = np.arange(round(seconds * rate)) / rate
    return np.repeat(np.rint(12_000 * np.sin(2 * np.pi * pitch * time)).astype(np.int16)[:, None], 2, axis=1)


def speech(seconds: float) -> np.ndarray:
    """Something with syllables and pauses, int16 (n, 1)."""
    time = np.arange(round(seconds * 48_000)) / 48_000
    voiced = sum(np.sin(2 * np.pi * 140 * n * time) / n for n in range(1, 12))
    return np.rint(6000 * voiced * (np.sin(2 * np.pi * 1.7 * time) > -0.4)).astype(np.int16)[:, None]


def write_wav(path: Path, sound: np.ndarray, rate: int = 48_000) -> Path:
    """PCM in 16 bits."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(sound.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.ascontiguousarray(sound, "<i2").tobytes())
    return path


def hours_of_silence(path: Path, hours: int) -> Path:
    """A file that holds so many hours, almost all of it a hole on the disk."""
    write_wav(path, np.zeros((1, 1), np.int16), 8000)
    size = hours * 3600 * 8000 * 2
    head = bytearray(path.read_bytes()[:44])
    head[4:8], head[40:44] = (size + 36).to_bytes(4, "little"), size.to_bytes(4, "little")
    with path.open("wb") as file:
        file.write(head)
        file.truncate(44 + size)
    return path
