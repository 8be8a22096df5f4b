"""Small sound files for tests."""

from __future__ import annotations

import struct
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


def write_font(path: Path) -> Path:
    """A SoundFont 2.04 with one instrument: a looped sine of 375 Hz that is middle C's."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return name + len(data).to_bytes(4, "little") + data + b"\0" * (len(data) % 2)

    def listed(name: bytes, *chunks: bytes) -> bytes:
        return chunk(b"LIST", name + b"".join(chunks))

    wave_of = np.rint(20_000 * np.sin(2 * np.pi * np.arange(1280) / 128)).astype("<i2").tobytes() + bytes(2 * 46)
    named = lambda text: text.encode().ljust(20, b"\0")  # noqa: E731
    tables = {
        b"phdr": struct.pack("<20sHHHIII", named("Sine"), 0, 0, 0, 0, 0, 0)
        + struct.pack("<20sHHHIII", named("EOP"), 0, 0, 1, 0, 0, 0),
        b"pbag": struct.pack("<4H", 0, 0, 1, 0),
        b"pmod": bytes(10),
        b"pgen": struct.pack("<4H", 41, 0, 0, 0),  # instrument 0
        b"inst": struct.pack("<20sH", named("Sine"), 0) + struct.pack("<20sH", named("EOI"), 1),
        b"ibag": struct.pack("<4H", 0, 0, 2, 0),
        b"imod": bytes(10),
        b"igen": struct.pack("<6H", 54, 1, 53, 0, 0, 0),  # looped; sample 0
        b"shdr": struct.pack("<20sIIIIIBbHH", named("Sine"), 0, 1280, 128, 1152, 48_000, 60, 0, 0, 1)
        + struct.pack("<20sIIIIIBbHH", named("EOS"), 0, 0, 0, 0, 0, 0, 0, 0, 0),
    }
    body = b"sfbk" + b"".join((
        listed(
            b"INFO", chunk(b"ifil", struct.pack("<HH", 2, 4)), chunk(b"isng", b"EMU8000\0"), chunk(b"INAM", b"Sine\0")
        ),
        listed(b"sdta", chunk(b"smpl", wave_of)),
        listed(b"pdta", *(chunk(name, data) for name, data in tables.items())),
    ))  # fmt: skip
    path.write_bytes(chunk(b"RIFF", body))
    return path
