"""`animate` with sound and captions: heard, read, signed, verified and made again; and what is refused."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import av
import numpy as np
import pyloudnorm
import pytest

from archive_restore.adapters import keys
from archive_restore.adapters.video import FileVideos
from archive_restore.core.clip_sheet import SheetRow, sheet_csv
from archive_restore.records.imagery import PixelFlag
from tests.adapters.credential_bench import stranger
from tests.conftest import Shelf
from tests.support.archives import copy_of, empty, run
from tests.support.scans import write_scan
from tests.support.sounds import hours_of_silence, speech, tone, write_font, write_wav

SRT = "1\n00:00:00,200 --> 00:00:00,900\nThe old oak, about 1900\n\n2\n00:00:01,000 --> 00:00:09,000\n村口的老树\n"
QUICK = ("--size", "source", "--amplitude", "0.5")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Shelf, Path, dict]:
    """An archive with a clip that has everything; do not change it."""
    folder = tmp_path_factory.mktemp("heard")
    shelf = Shelf(root=copy_of("empty", folder / "archive", tmp_path_factory, empty), runner=run)
    shelf.ok("ingest", write_scan(folder / "scan.tif", edge=192))
    region = {"kind": "foliage", "polygon": [[20, 20], [170, 20], [170, 90], [20, 90]]}
    (folder / "drawn.json").write_text(json.dumps({"regions": [region]}))
    write_wav(folder / "voice.wav", speech(1.3))
    (folder / "words.srt").write_text(SRT, encoding="utf-8")
    (made,) = shelf.ok(
        "animate", "scan", "--regions", folder / "drawn.json", *QUICK, "--music", "era", "--keep-lossless",
        "--voice", folder / "voice.wav", "--voice-rights", "Ada Okafor, spoken for us",
        "--captions", folder / "words.srt",
    )["made"]  # fmt: skip
    return shelf, folder, made


def content(made: dict) -> Path:
    return Path(made["path"]).parent


def test_a_clip_with_sound_verifies_and_is_made_again(told: tuple[Shelf, Path, dict]):
    shelf, folder, made = told
    assert shelf.ok("verify")["findings"] == []
    assert shelf.ok("reproduce", made["ref"])["identical"]
    record = shelf.ok("show", made["ref"])["record"]
    handed = {material["role"]: material["ref"] for material in record["materials"][1:]}
    assert handed == {
        "captions": "captions.json", "motion": "motion.json", "music": "music.json", "sound": "sound.json",
        "voice": "voice.wav",
    }  # fmt: skip
    assert (content(made) / "voice.wav").read_bytes() == (folder / "voice.wav").read_bytes()
    heard = record["steps"][0]["survey"]["sound"]
    assert heard["music"]["piece"] == "home-sweet-home"
    assert heard["voice"]["rights"] == "Ada Okafor, spoken for us"
    assert {"pyloudnorm", "PyAV"} <= {agent["name"] for agent in record["environment"]["agents"]}
    assert [note for note in record["notes"] if "Motion" not in note] == []


def test_the_clip_is_as_long_as_the_voice_and_as_loud_as_it_should_be(told: tuple[Shelf, Path, dict]):
    path = Path(told[2]["path"])
    with av.open(str(path)) as file:
        lasts = {stream.type: float(stream.duration * stream.time_base) for stream in file.streams}
    assert lasts["video"] == pytest.approx(0.5 + 1.3 + 1.0, abs=0.02)
    assert abs(lasts["audio"] - lasts["video"]) < 1 / 24
    heard = FileVideos(1).sound(path)
    assert heard is not None
    assert abs(pyloudnorm.Meter(48_000).integrated_loudness(heard) + 23) < 0.5
    assert np.abs(heard).max() < 0.89
    exact = FileVideos(1).sound(path.parent / "frames.mkv")
    assert exact is not None
    assert len(exact) == round(lasts["video"] * 48_000)


def test_captions_stand_while_they_are_spoken_and_say_that_people_put_them_there(told: tuple[Shelf, Path, dict]):
    made = told[2]
    with av.open(made["path"]) as file:
        texts = [(p.pts, p.duration, bytes(p)[2:].decode()) for p in file.demux(subtitles=0) if p.size > 2]
    assert texts == [(700, 700, "The old oak, about 1900"), (1500, 1292, "村口的老树")]
    maps = list(FileVideos(1).frames(content(made) / "synthesis-map.mkv", maps=True))
    frames = list(FileVideos(1).frames(content(made) / "frames.mkv"))
    human = [int(((flags & int(PixelFlag.HUMAN)) > 0).sum()) for flags in maps]
    assert human[0] == human[16] == human[35]
    assert min(human[17:33]) > human[0] < min(human[37:])
    added = ((maps[20] ^ maps[0]) & int(PixelFlag.HUMAN)) > 0
    assert len(np.unique(frames[20][added][:, 0])) > 20  # letters, with soft edges
    assert (frames[20][added] == 255).all(axis=1).mean() > 0.5  # over a plain ground


def test_the_disclosure_sheet_says_what_is_seen_and_heard_when(told: tuple[Shelf, Path, dict]):
    folder = content(told[2])
    with (folder / "disclosure.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    found = {(row["what"], row["in"], row["out"]): row["says"] for row in rows if row["what"] != "made"}
    assert found["label", "00:00:00:00", "00:00:02:19"] == "Digitally animated. Motion is invented, not a record."
    assert found["caption", "00:00:00:17", "00:00:01:10"] == "The old oak, about 1900"
    assert found["caption", "00:00:01:12", "00:00:02:19"] == "村口的老树"
    assert "Ada Okafor" in found["voice", "00:00:00:12", "00:00:01:20"]
    assert "Bishop (1823)" in found["music", "00:00:00:00", "00:00:02:19"]
    made = [row["says"] for row in rows if row["what"] == "made"]
    assert any("the motion is invented" in says for says in made)
    text = (folder / "disclosure.txt").read_text(encoding="utf-8")
    assert all(says in text for says in [*found.values(), *made])


def test_a_hostile_sheet_is_inert():
    rows = [SheetRow(start=0, end=100, what="caption", says='=HYPERLINK("x")')]
    assert (
        sheet_csv(rows, 25).split("\r\n")[1] == """00:00:00:00,00:00:04:00,0.000,4.000,caption,"'=HYPERLINK(""x"")\""""
    )


def test_music_and_voice_are_components_with_their_rights(told: tuple[Shelf, Path, dict]):
    shelf, _, made = told
    import c2pa

    with Path(made["path"]).open("rb") as data, c2pa.Reader("video/mp4", data) as reader:
        store = json.loads(reader.json())
    manifest = store["manifests"][store["active_manifest"]]
    parts = {i["title"]: i["description"] for i in manifest["ingredients"] if i["relationship"] == "componentOf"}
    assert set(parts) == {"music: music.json", "voice: voice.wav"}
    assert "Home, Sweet Home by Henry Rowley Bishop; rights: Published before 1929" in parts["music: music.json"]
    assert "Ada Okafor, spoken for us" in parts["voice: voice.wav"]
    verdict = stranger(Path(made["path"]), keys.load_anchors(shelf.root / "keys"), mime="video/mp4")
    assert verdict["validation_state"] == "Trusted"


def test_music_alone_and_a_voice_that_is_cut(told: tuple[Shelf, Path, dict], tmp_path: Path):
    shelf, folder, _ = told
    copied = Shelf(root=tmp_path / "archive", runner=run)
    shutil.copytree(shelf.root, copied.root)
    words = ("animate", "scan", "--regions", folder / "drawn.json", *QUICK, "--seconds", "1")
    write_wav(tmp_path / "song.wav", tone(0.7, 330))
    (first,) = copied.ok(*words, "--music", tmp_path / "song.wav")["made"]
    assert first["notes"][1:] == ["Nobody said what rights the music has.", "The music ends before the clip does."]
    (second,) = copied.ok(*words, "--voice", folder / "voice.wav")["made"]
    assert "The voice goes on after the end of the clip and is cut." in second["notes"]
    (third,) = copied.ok(*words, "--music", "the-entertainer", "--captions", folder / "words.srt")["made"]
    assert third["notes"][1:] == ["1 captions lie after the end of the clip and are left out."]
    (tmp_path / "song.wav").unlink()  # nothing depends on where it lay
    assert copied.ok("verify")["findings"] == []
    assert copied.ok("reproduce", first["ref"])["identical"]


def test_a_piece_is_played_with_a_sound_font(told: tuple[Shelf, Path, dict], tmp_path: Path):
    pytest.importorskip("tinysoundfont", reason="tinysoundfont is not installed")
    shelf, folder, _ = told
    copied = Shelf(root=tmp_path / "archive", runner=run)
    shutil.copytree(shelf.root, copied.root)
    font = write_font(tmp_path / "sine.sf2")
    words = ("--regions", folder / "drawn.json", *QUICK, "--seconds", "1", "--music", "sakura", "--soundfont", font)
    (made,) = copied.ok("animate", "scan", *words)["made"]
    assert (content(made) / "soundfont.sf2").read_bytes() == font.read_bytes()
    font.unlink()
    assert copied.ok("verify", made["ref"])["findings"] == []
    assert copied.ok("reproduce", made["ref"])["identical"]
    record = copied.ok("show", made["ref"])["record"]
    assert "tinysoundfont" in {agent["name"] for agent in record["environment"]["agents"]}


@pytest.mark.parametrize("harm", ["sound", "material"])
def test_sound_that_was_changed_is_found(told: tuple[Shelf, Path, dict], tmp_path: Path, harm: str):
    shelf, _, made = told
    copied = Shelf(root=tmp_path / "archive", runner=run)
    shutil.copytree(shelf.root, copied.root)
    folder = copied.root / content(made).relative_to(shelf.root)
    name = "scan-animated-story.mp4" if harm == "sound" else "voice.wav"
    (folder / name).chmod(0o644)
    if harm == "sound":
        videos = FileVideos(1)
        frames = list(videos.frames(folder / name))
        writer = videos.create(folder / name, (192, 192), 24, quality=8, sound=tone(len(frames) / 24, 700))
        for frame in frames:
            writer.write(frame)
        writer.close()
    else:
        write_wav(folder / name, tone(1.3, 300)[:, :1])
    found = copied.run("verify", made["ref"])
    assert found.code == 1
    assert ("SOUND_DEPARTS" if harm == "sound" else "SOUND_DISAGREES") in found.codes


BAD = {
    "no such piece": (("--music", "yesterday"), "neither a file nor a backing piece"),
    "no sound": (("--music", "page.mp3"), "'page.mp3' cannot be read"),
    "no length": (("--voice", "none.wav"), "no length"),
    "ten hours": (("--voice", "long.wav"), "10.0 hours"),
    "ten hours of music": (("--music", "long.wav"), "10.0 hours"),
    "silence": (("--voice", "still.wav"), "the voice is silent"),
    "too long for a clip": (("--voice", "minute.wav"), "lasts more than 58.5 s"),
    "rights of nothing": (("--voice-rights", "mine"), "--voice-rights goes with --voice"),
    "a font for a file": (("--music", "minute.wav", "--soundfont", "page.mp3"), "plays backing pieces"),
    "a font for nothing": (("--soundfont", "page.mp3"), "--soundfont goes with --music"),
    "rights of a backing piece": (("--music", "era", "--music-rights", "mine"), "say themselves why they are free"),
    "captions of 10000 letters": (("--captions", "long.srt"), "10000 characters"),
    "captions out of order": (("--captions", "order.srt"), "line 4: the caption begins before"),
    "captions after the end": (("--captions", "late.srt", "--seconds", "1"), "after the end of the clip"),
    "captions that no font draws": (("--captions", "rune.srt", "--seconds", "1"), "no font here can draw"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_is_refused_in_one_line(told: tuple[Shelf, Path, dict], bad: Path, name: str):
    shelf, folder, _ = told
    words, says = BAD[name]
    given = [bad / word if (bad / word).is_file() else word for word in words]
    refused = shelf.run("animate", "scan", "--regions", folder / "drawn.json", *QUICK, *given)
    said = refused.err + refused.out
    assert refused.code != 0
    assert says in said, said
    assert "Traceback" not in said
    assert [p.name for p in (shelf.root / "work").iterdir() if p.name.startswith("stage")] == []


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bad")
    (folder / "page.mp3").write_bytes(b"<html>404</html>" * 50)
    write_wav(folder / "none.wav", np.zeros((0, 1), np.int16))
    write_wav(folder / "still.wav", np.zeros((48_000, 1), np.int16))
    write_wav(folder / "minute.wav", np.zeros((59 * 8000, 1), np.int16), 8000)
    hours_of_silence(folder / "long.wav", 10)
    cue = "00:00:0{},000 --> 00:00:0{},900\n{}\n\n"
    (folder / "long.srt").write_text(cue.format(0, 1, "x" * 10_000))
    (folder / "order.srt").write_text(cue.format(3, 4, "b") + cue.format(1, 2, "a"))
    (folder / "late.srt").write_text(cue.format(8, 9, "late"))
    (folder / "rune.srt").write_text(cue.format(0, 1, "\U00012000"), encoding="utf-8")
    return folder
