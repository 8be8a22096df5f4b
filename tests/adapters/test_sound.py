"""Sound files: what is decoded, what is refused in one line, and the sound inside of videos."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import av
import numpy as np
import pytest

from archive_restore.adapters.sound import FileSounds
from archive_restore.adapters.video import FileVideos
from archive_restore.core.captions import Cue
from archive_restore.core.score import Note
from archive_restore.core.synthesizer import RATE
from archive_restore.errors import SourceUnreadable, UsageError
from tests.support.sounds import hours_of_silence, tone, write_font, write_wav

SOUNDS, VIDEOS = FileSounds(), FileVideos(1)
SIZE = (64, 96)
WAVE_OF_NOTHING = b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x80\xbb\0\0\0\x77\1\0\2\0\x10\0data\0\0\0\0"


def encoded(path: Path, sound: np.ndarray, codec: str, rate: int = RATE) -> Path:
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=rate)
        stream.layout = "stereo"
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound.reshape(1, -1)), format="s16", layout="stereo")
        frame.sample_rate, frame.pts = rate, 0
        resampler = av.AudioResampler(stream.format, "stereo", rate)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            file.mux(stream.encode(part))
        file.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.wav", "pcm_s16le"), ("a.flac", "flac"), ("a.mp3", "mp3"), ("a.ogg", "libopus"), ("a.m4a", "aac"),
     ("a.mka", "flac"), ("a.webm", "libopus")],
)  # fmt: skip
def test_formats(tmp_path: Path, name: str, codec: str):
    meant = tone(1.0, 500)
    heard = SOUNDS.read(encoded(tmp_path / name, meant, codec), 5.0)
    assert heard.shape[1] == 2
    assert abs(len(heard) - RATE) < 3000  # lossy formats fill up their last block
    spectrum = np.abs(np.fft.rfft(heard[4800:43200, 0]))
    assert abs(spectrum.argmax() * RATE / 38400 - 500) < 3
    if codec in ("pcm_s16le", "flac"):
        assert np.array_equal(np.rint(heard * 32768).astype(np.int16), meant)


def test_other_rates_and_one_channel(tmp_path: Path):
    path = write_wav(tmp_path / "voice.wav", tone(1.0, 500, rate=16_000)[:, :1], 16_000)
    heard = SOUNDS.read(path, 0.5)
    assert heard.shape == (RATE // 2, 2)
    assert np.array_equal(heard[:, 0], heard[:, 1])


def refused(path: Path) -> str:
    with pytest.raises(SourceUnreadable) as told:
        SOUNDS.read(path, 10.0)
    assert "\n" not in str(told.value)
    assert path.name in str(told.value)
    return str(told.value)


def test_ten_hours_are_refused_before_they_are_decoded(tmp_path: Path):
    path = hours_of_silence(tmp_path / "long.wav", 10)
    begun = time.process_time()
    assert "lasts 10.0 hours, more than 1" in refused(path)
    assert time.process_time() - begun < 1


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("empty.wav", b"", "cannot be read"),
        ("page.mp3", b"<html><body>404</body></html>" * 30, "cannot be read"),
        ("noise.ogg", bytes(range(256)) * 40, "cannot be read"),
        ("list.m3u8", b"#EXTM3U\n#EXTINF:9,\n/etc/passwd\n#EXT-X-ENDLIST\n", "cannot be read"),
        ("list.ffconcat", b"ffconcat version 1.0\nfile /etc/passwd\n", "cannot be read"),
        ("riff.wav", WAVE_OF_NOTHING, "no length"),
    ],
)  # fmt: skip
def test_what_is_no_sound(tmp_path: Path, name: str, data: bytes, says: str):
    path = tmp_path / name
    path.write_bytes(data)
    assert says in refused(path)


def test_a_picture_has_no_sound(tmp_path: Path):
    writer = VIDEOS.create(tmp_path / "silent.mp4", SIZE, 24, quality=20)
    writer.write(np.zeros((*SIZE, 3), np.uint8))
    writer.close()
    assert "there is no sound in" in refused(tmp_path / "silent.mp4")
    assert VIDEOS.sound(tmp_path / "silent.mp4") is None


def test_numbers_that_are_none(tmp_path: Path):
    sound = np.full((RATE, 2), np.nan, np.float32)
    with av.open(str(tmp_path / "nan.wav"), "w") as file:
        stream = file.add_stream("pcm_f32le", rate=RATE)
        stream.layout = "stereo"
        frame = av.AudioFrame.from_ndarray(sound.reshape(1, -1), format="flt", layout="stereo")
        frame.sample_rate = RATE
        file.mux(stream.encode(frame))
    assert "no numbers" in refused(tmp_path / "nan.wav")


# --- sound fonts -------------------------------------------------------------------------------------

NOTES = (Note(start=0.1, length=0.5, pitch=72, strength=0.8),)


def test_a_sound_font_plays(tmp_path: Path):
    pytest.importorskip("tinysoundfont", reason="tinysoundfont is not installed")
    font = write_font(tmp_path / "sine.sf2")
    heard = SOUNDS.play_font(font, NOTES, 9.0, RATE)
    assert np.array_equal(heard, SOUNDS.play_font(font, NOTES, 9.0, RATE))
    assert not heard[: RATE // 11].any()
    spectrum = np.abs(np.fft.rfft(heard[RATE // 5 : RATE // 2, 0]))
    assert abs(spectrum.argmax() / 0.3 - 750) < 5
    (tmp_path / "no.sf2").write_bytes(b"RIFF\0\0\0\0sfbk and no more")
    for name in ("no.sf2", "absent.sf2"):
        with pytest.raises(SourceUnreadable, match=name):
            SOUNDS.play_font(tmp_path / name, NOTES, 9.0, RATE)


def test_without_its_library_a_sound_font_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "tinysoundfont", None)
    with pytest.raises(UsageError, match="pip install tinysoundfont"):
        SOUNDS.play_font(write_font(tmp_path / "sine.sf2"), NOTES, 9.0, RATE)


# --- in videos ---------------------------------------------------------------------------------------

CUES = (Cue(start=250, end=500, text="Boats"), Cue(start=700, end=1400, text="长崎，约一八九〇年"))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One and a half seconds in 36 frames, with a click at each half second."""
    folder = tmp_path_factory.mktemp("clip")
    sound = tone(1.5, 500) // 4
    for start in (0.5, 1.0):
        sound[round(start * RATE) : round(start * RATE) + 48] = 20_000
    for name, writer in (
        ("clip.mp4", VIDEOS.create(folder / "clip.mp4", SIZE, 24, quality=18, sound=sound, captions=CUES)),
        ("clip.mkv", VIDEOS.create_exact(folder / "clip.mkv", SIZE, 24, colour=True, sound=sound)),
    ):
        assert name
        for n in range(36):
            writer.write(np.full((*SIZE, 3), 4 * n, np.uint8))
        writer.close()
    np.save(folder / "sound.npy", sound)
    return folder


def test_sound_is_as_long_as_the_pictures_and_in_its_place(clip: Path):
    meant = np.load(clip / "sound.npy")
    with av.open(str(clip / "clip.mp4")) as file:
        lasts = {stream.type: float(stream.duration * stream.time_base) for stream in file.streams}
        assert [stream.codec_context.name for stream in file.streams] == ["h264", "aac", "mov_text"]
        assert {stream.start_time for stream in file.streams} == {0}
    assert abs(lasts["audio"] - lasts["video"]) < 1 / 24
    heard = VIDEOS.sound(clip / "clip.mp4")
    assert heard is not None
    for start in (0.5, 1.0):
        part = heard[round((start - 0.1) * RATE) : round((start + 0.1) * RATE), 0]
        assert abs(int(np.abs(part).argmax()) / RATE - 0.1) < 0.003
    assert np.corrcoef(heard[: len(meant), 0], meant[:, 0])[0, 1] > 0.98
    assert (clip / "clip.mp4").read_bytes().index(b"moov") < (clip / "clip.mp4").read_bytes().index(b"mdat")


def test_sound_beside_exact_frames_comes_back_bit_for_bit(clip: Path):
    heard = VIDEOS.sound(clip / "clip.mkv")
    assert heard is not None
    assert np.array_equal(np.rint(heard * 32768).astype(np.int16), np.load(clip / "sound.npy"))


def test_captions_are_a_track_in_time(clip: Path):
    with av.open(str(clip / "clip.mp4")) as file:
        packets = [(p.pts, p.duration, bytes(p)[2:].decode()) for p in file.demux(subtitles=0) if p.size > 2]
    assert packets == [(250, 250, "Boats"), (700, 700, "长崎，约一八九〇年")]
