"""Video files: maps come back bit for bit, pictures near enough, and the stream says what its numbers mean."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from archive_restore.adapters.video import FileVideos
from archive_restore.errors import PictureUnreadable, StorageFailed

SIZE, COUNT = (96, 128), 9
VIDEOS = FileVideos(2)


def frames() -> list[np.ndarray]:
    y, x = np.mgrid[0 : SIZE[0], 0 : SIZE[1]]
    waves = [128 + 90 * np.sin((x + 3 * n) / 9) * np.cos(y / 13) for n in range(COUNT)]
    return [np.stack([w, 0.95 * w, 0.85 * w], axis=2).astype(np.uint8) for w in waves]


def write(writer, made: list[np.ndarray]) -> None:
    for frame in made:
        writer.write(frame)
    writer.close()


def test_maps_and_exact_frames_come_back_bit_for_bit(tmp_path: Path):
    maps = [np.random.default_rng(n).integers(0, 256, SIZE, np.uint8) for n in range(COUNT)]
    write(VIDEOS.create_exact(tmp_path / "maps.mkv", SIZE, 24, colour=False), maps)
    write(VIDEOS.create_exact(tmp_path / "exact.mkv", SIZE, 24, colour=True), frames())
    assert all(np.array_equal(a, b) for a, b in zip(maps, VIDEOS.frames(tmp_path / "maps.mkv", maps=True), strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(frames(), VIDEOS.frames(tmp_path / "exact.mkv"), strict=True))


def test_a_clip_is_near_what_was_meant_and_says_what_it_is(tmp_path: Path):
    path = tmp_path / "clip.mp4"
    write(VIDEOS.create(path, SIZE, 25, quality=12), frames())
    for meant, shown in zip(frames(), VIDEOS.frames(path), strict=True):
        square = ((meant.astype(float) - shown) ** 2).mean()
        assert 10 * np.log10(255**2 / square) > 38
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        context = stream.codec_context
        assert (context.name, context.pix_fmt, stream.average_rate, stream.frames) == ("h264", "yuv420p", 25, COUNT)
        assert [int(v) for v in (context.color_primaries, context.color_trc, context.colorspace)] == [1, 1, 1]
        assert int(context.color_range) == 1
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # plays before it is all there


def test_two_runs_give_the_same_frames(tmp_path: Path):
    for name in ("one", "two"):
        write(VIDEOS.create(tmp_path / f"{name}.mp4", SIZE, 24, quality=16), frames())
    one, two = (list(VIDEOS.frames(tmp_path / f"{name}.mp4")) for name in ("one", "two"))
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


def test_what_is_no_video(tmp_path: Path):
    (tmp_path / "no.mp4").write_bytes(b"no video at all" * 40)
    with pytest.raises(PictureUnreadable, match=r"'no\.mp4' could not be read"):
        list(VIDEOS.frames(tmp_path / "no.mp4"))
    with pytest.raises(StorageFailed, match=r"'clip\.mp4' could not be written"):
        write(VIDEOS.create(tmp_path / "absent" / "clip.mp4", SIZE, 24, quality=16), frames())
