"""Forms that are told by editing: then and now, and a chain of pictures in turn; no map calls anything the master's
that is not."""

from __future__ import annotations

import csv
import json
import shutil
import struct
import zlib
from pathlib import Path

import av
import c2pa
import cv2
import numpy as np
import pytest
from PIL import Image

from archive_restore.adapters import keys
from archive_restore.adapters.video import FileVideos
from archive_restore.records.imagery import PixelFlag
from tests.adapters.credential_bench import stranger
from tests.conftest import Shelf
from tests.support.archives import copy_of, empty, run

PHOTOGRAPH = Path(__file__).parents[1] / "photographs" / "open" / "nagasaki-boats.jpg"
HUMAN, RESAMPLED, FILTERED = int(PixelFlag.HUMAN), int(PixelFlag.RESAMPLED), int(PixelFlag.FILTERED)
WIDTH, HEIGHT = 256, 204
NOW = ("--form", "then-vs-now", "--seconds", "1", "--size", "source", "--keep-lossless")
PLACE = np.array([[1.1, 0.02, -9.0], [-0.02, 1.1, -7.0], [0, 0, 1]])
"""From the photograph of then to that of today."""


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """An archive with `scan`, which has a restoration and a colorization of that; do not change it."""
    folder = tmp_path_factory.mktemp("forms")
    made = Shelf(root=copy_of("empty", folder / "archive", tmp_path_factory, empty), runner=run)
    scan = folder / "scan.tif"
    with Image.open(PHOTOGRAPH) as photograph:
        photograph.convert("RGB").resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS).save(scan)
    (folder / "meta.csv").write_text("file,title,date\nscan.tif,The mill,1905\n")
    made.ok("ingest", scan, "--metadata", folder / "meta.csv")
    recipe = {"name": "brighter", "description": "Tone.", "steps": [{"step": "tone", "parameters": {}}]}
    (folder / "recipe.json").write_text(json.dumps(recipe))
    made.ok("restore", "scan", "--recipe", folder / "recipe.json")
    made.ok("colorize", "scan/restoration", "--hint", "60,60=#a03020", "--by", "Ada")
    return made


@pytest.fixture(scope="module")
def today(shelf: Shelf, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same place seen from a little nearer, in other light, with something new in it."""
    path = tmp_path_factory.mktemp("today") / "mill-2026.jpg"
    frame = cv2.imread(str(shelf.files("scan")["scan.tif"]), cv2.IMREAD_COLOR)
    assert frame is not None
    seen = cv2.warpAffine(frame, PLACE[:2], (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    seen = np.clip(seen.astype(np.float32) * (0.9, 0.8, 0.7) + 20, 0, 255).astype(np.uint8)
    seen[150:190, 30:60] = (40, 160, 40)
    cv2.imwrite(str(path), seen, [cv2.IMWRITE_JPEG_QUALITY, 95])
    return path


@pytest.fixture(scope="module")
def told(shelf: Shelf, today: Path) -> dict:
    """A clip of then and now, which is told like `then-vs-now FILE`."""
    words = ("--now-year", "2026", "--now-rights", "Ada Okafor, taken for us")
    (made,) = shelf.ok("animate", "scan/restoration", *NOW[:2], today, *NOW[2:], *words)["made"]
    return dict(made)


def content(made: dict) -> Path:
    return Path(made["path"]).parent


def sheet(made: dict) -> list[dict[str, str]]:
    with (content(made) / "disclosure.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def videos_of(made: dict) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Frames before they were encoded, and their maps."""
    videos = FileVideos(1)
    frames = list(videos.frames(content(made) / "frames.mkv"))
    return frames, list(videos.frames(content(made) / "synthesis-map.mkv", maps=True))


# --- then and now ------------------------------------------------------------------------------------


def test_then_and_now_are_laid_over_each_other_kept_and_made_again(shelf: Shelf, told: dict, today: Path):
    assert (content(told) / "now.jpg").read_bytes() == today.read_bytes()
    assert shelf.ok("verify", told["ref"])["findings"] == []
    assert shelf.ok("reproduce", told["ref"])["identical"]
    record = shelf.ok("show", told["ref"])["record"]
    assert {m["role"]: m["ref"] for m in record["materials"][1:]} == {
        "then-vs-now": "then-vs-now.json", "now": "now.jpg",
    }  # fmt: skip
    found = record["steps"][0]["survey"]["now"]
    assert found["laid_over"]
    corners = np.array([[20, 20, 1], [230, 180, 1]]).T
    assert np.abs((np.array(found["path"]) @ corners - PLACE @ corners)[:2]).max() < 1.0
    assert record["steps"][0]["digital_source_type"] == "composite"
    assert any("laid over the photograph" in note for note in told["notes"])


def test_what_is_of_today_is_never_called_the_masters(told: dict):
    frames, maps = videos_of(told)
    part = np.s_[30:110]  # neither words nor label
    assert not (maps[0][part] & HUMAN).any()
    middle = maps[11][part]  # all of it is today's
    assert set(np.unique(middle)) == {HUMAN | RESAMPLED}
    for frame, flags in zip(frames, maps, strict=True):
        placed = (flags & HUMAN) > 0
        assert ((frame == frames[0]).all(axis=2) | placed)[part].all()
    assert all((flags[part] == 0).sum() == 0 for flags in maps[11:13])
    assert frames[0][:12, :40].std() > 10 < frames[11][:12, -30:].std()  # then, now


def test_others_read_whose_the_photograph_of_today_is(shelf: Shelf, told: dict):
    with Path(told["path"]).open("rb") as data, c2pa.Reader("video/mp4", data) as reader:
        store = json.loads(reader.json())
    manifest = store["manifests"][store["active_manifest"]]
    (part,) = [i for i in manifest["ingredients"] if i["relationship"] == "componentOf"]
    assert part["title"] == "now: now.jpg"
    assert "mill-2026.jpg; rights: Ada Okafor, taken for us" in part["description"]
    (actions,) = [a["data"]["actions"] for a in manifest["assertions"] if a["label"].startswith("c2pa.actions")]
    assert [a["description"] for a in actions if a["action"] == "c2pa.placed"] == [
        "Placed a photograph of today beside it."
    ]
    assert any(str(a.get("digitalSourceType", "")).endswith("/composite") for a in actions)
    anchors = keys.load_anchors(shelf.root / "keys")
    assert stranger(Path(told["path"]), anchors, mime="video/mp4")["validation_state"] == "Trusted"


def test_the_sheet_says_when_which_is_seen(told: dict):
    rows = sheet(told)
    (made,) = [row["says"] for row in rows if row["what"] == "picture"]
    assert "Made from one still photograph" in made and ", and from one of today. Shown is" in made
    shown = [(row["in"], row["out"], row["says"]) for row in rows if row["what"] == "shown"]
    assert shown[0][2] == "The photograph."
    assert shown[2][2] == "A photograph of today that was handed in (mill-2026.jpg)."
    assert [row[0] for row in shown[1:]] == [row[1] for row in shown[:-1]]  # one after another, without a gap
    (now,) = [row["says"] for row in rows if row["what"] == "now"]
    assert now.startswith("mill-2026.jpg, 2026: a photograph of today that was handed in; it is not the archive's.")
    assert "Ada Okafor" in now
    assert [row["says"] for row in rows if row["what"] == "label"] == [
        "A montage of photographs, not a film of the time."
    ]


def test_another_place_is_fitted_and_said_to_be(shelf: Shelf, tmp_path: Path):
    copied = Shelf(root=tmp_path / "archive", runner=run)
    shutil.copytree(shelf.root, copied.root)
    yy, xx = np.mgrid[:120, :500]
    Image.fromarray(((np.sin(xx / 30) + np.cos(yy / 17)) * 60 + 128).astype(np.uint8)).save(tmp_path / "far.png")
    words = ("--now", tmp_path / "far.png", "--transition", "dissolve", "--ending", "ease")
    (made,) = copied.ok("animate", "scan/colorization", *NOW, *words)["made"]
    assert any("too little was found that both show" in note for note in made["notes"])
    assert "Nobody said what rights the photograph of today has." in made["notes"]
    _, maps = videos_of(made)
    assert (maps[12][30:110] & FILTERED).all()
    assert not (maps[-1][30:110] & FILTERED).any()
    assert copied.ok("verify", made["ref"])["findings"] == []
    # Another photograph under the same name is found.
    stored = copied.root / content(made).relative_to(copied.root) / "now.png"
    stored.chmod(0o644)
    Image.fromarray(np.full((120, 500), 99, np.uint8)).save(stored)
    assert "PIXELS_DISAGREE" in copied.run("verify", made["ref"]).codes


# --- a chain in turn ---------------------------------------------------------------------------------


def test_a_chain_is_told_in_turn_each_part_with_what_it_is(shelf: Shelf, tmp_path: Path):
    (tmp_path / "words.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nThe mill\n")
    words = ("--form", "story", "--seconds", "3", "--size", "source", "--captions", tmp_path / "words.srt")
    (made,) = shelf.ok("animate", "scan/colorization", *words, "--camera", "rest", "--keep-lossless")["made"]
    assert shelf.ok("verify", made["ref"])["findings"] == []
    assert shelf.ok("reproduce", made["ref"])["identical"]
    rows = sheet(made)
    assert [(row["in"], row["out"], row["says"]) for row in rows if row["what"] == "shown"] == [
        ("00:00:00:00", "00:00:01:08", "The photograph as digitized, scan."),
        ("00:00:01:00", "00:00:02:08", "Its restoration, scan/restoration@1."),
        ("00:00:02:00", "00:00:03:00", "Its colorization, scan/colorization@1."),
    ]
    assert [(row["in"], row["says"]) for row in rows if row["what"] == "label"] == [
        ("00:00:00:00", "Photograph as digitized."),
        ("00:00:01:00", "Restored photograph."),
        ("00:00:02:00", "Digitally colorized. Colours are an interpretation, not a record."),
    ]
    frames, maps = videos_of(made)
    part = np.s_[20:110]
    first, second = frames[0][part], frames[40][part]
    assert np.array_equal(frames[12][part], first)
    assert not (first == second).all()
    mixed = 0.5 * first + 0.5 * second
    assert np.abs(frames[28][part] - mixed).max() < 1.0  # half of a dissolve
    assert ((maps[28][part] & FILTERED) > 0).any()
    assert not (maps[12][part] & (FILTERED | HUMAN)).any()
    assert "MOVED" not in made["pixels"]
    with av.open(made["path"]) as file:
        assert [bytes(p)[2:].decode() for p in file.demux(subtitles=0) if p.size > 2] == ["The mill"]


def test_a_story_has_a_camera_unless_somebody_says_that_it_rests(shelf: Shelf):
    planned = shelf.ok("animate", "scan", "--form", "story", "--dry-run")["plan"]["steps"][0]["parameters"]
    assert (planned["camera"], planned["travel"]) == ("closer", 0.08)


# --- what is refused ---------------------------------------------------------------------------------


def bomb(path: Path) -> None:
    """A PNG that claims a billion pixels."""
    header = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0)
    chunk = lambda name, data: (  # noqa: E731
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    )
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    )


def test_the_label_stands_in_the_corner_that_the_settings_name(shelf: Shelf, today: Path, tmp_path: Path):
    """With its captions beside it; where the upper corners say which picture is which, in the lower one."""
    copied = Shelf(root=Path(shutil.copytree(shelf.root, tmp_path / "archive")), runner=run)
    settings = copied.root / "archive.toml"
    text = settings.read_text("utf-8").replace('corner = "lower-left"', 'corner = "upper-right"')
    settings.write_text(text, "utf-8")
    (tmp_path / "words.srt").write_text("1\n00:00:00,500 --> 00:00:01,000\nThe mill, seen from the road\n")
    quick = ("--seconds", "1", "--size", "source", "--keep-lossless")
    words = ("animate", "scan/restoration", *quick, "--camera", "closer", "--travel", "0.05")
    (made,) = copied.ok(*words, "--captions", tmp_path / "words.srt")["made"]
    _, maps = videos_of(made)
    placed = [(flags & HUMAN) > 0 for flags in maps]
    tall, wide = placed[0].any(axis=1).sum(), placed[0].any(axis=0).sum()
    assert placed[0][:tall, -wide:].all() and placed[0].sum() == tall * wide
    assert placed[20][tall, -1] and placed[20].sum() > placed[0].sum() and not placed[20][-60:].any()
    (both,) = copied.ok("animate", "scan/restoration", *NOW, today)["made"]
    first = (videos_of(both)[1][0] & HUMAN) > 0
    assert first[-1, -1] and first[0, 0] and not first[-1, 0]
    settings.write_text(text.replace("upper-right", "lower-right"), "utf-8")
    assert copied.ok("verify", made["ref"], both["ref"])["findings"] == []


BAD = {
    "no photograph of today": ((), "then-vs-now wants a photograph"),
    "no such file": (("lost.jpg",), "there is no file 'lost.jpg'. Check the path, or give"),
    "a folder": (("box",), "'{bad}/box' is a folder. Check the path"),
    "two REFs": (("scan",), "neither 'scan/restoration' nor 'scan' is a file"),
    "a name that no file can have": (("x" * 5000,), "neither 'scan/restoration' nor 'xxx"),
    "two files": (("--now", "fine.png", "page.jpg"), "'{bad}/page.jpg' is a file and no REF of this archive"),
    "no picture beside a REF": (("page.jpg",), "'page.jpg' is no photograph that can be read"),
    "a file for another form": (("--form", "before-after", "fine.png"), "fine.png' is a file and no REF of this"),
    "none for another form": (("--form", "story", "lost.jpg"), "there is no 'lost.jpg' in this archive. See: arch"),
    "ink for a press": (("--now", "press.tif"), "'press.tif' is neither gray nor RGB. Save it as RGB"),
    "black or white": (("--now", "bits.tif"), "'bits.tif' cannot be restored: its samples of 1 bits are not"),
    "no picture": (("--now", "page.jpg"), "'page.jpg' is no photograph that can be read"),
    "no bytes": (("--now", "none.jpg"), "the file has no bytes"),
    "cut off": (("--now", "cut.jpg"), "'cut.jpg' is no photograph that can be read"),
    "a bomb": (("--now", "bomb.png"), "'bomb.png' is no photograph that can be read"),
    "a year that is a novel": (("--now", "fine.png", "--now-year", "x" * 90), "schemas/then-vs-now.schema.json"),
    "a camera over it": (("--now", "fine.png", "--camera", "closer"), "shown at rest"),
    "another form": (("--form", "motion", "--now", "fine.png"), "--now goes with --form then-vs-now"),
    "rights of nothing": (("--form", "motion", "--now-rights", "mine"), "--now-rights goes with --now"),
    "a line through nothing": (("--form", "motion", "--transition", "wipe"), "--transition goes with"),
    "too much in too short a time": (("--form", "story", "--seconds", "1"), "gone before anybody has seen them"),
    "many pictures and one of today": (("--now", "fine.png", "scan"), "one picture"),
}  # fmt: skip


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bad")
    (folder / "box").mkdir()
    Image.fromarray(np.full((64, 64, 4), 99, np.uint8), "CMYK").save(folder / "press.tif")
    Image.fromarray(np.full((64, 64), 99, np.uint8)).convert("1").save(folder / "bits.tif")
    (folder / "page.jpg").write_bytes(b"<html>404</html>" * 50)
    (folder / "none.jpg").write_bytes(b"")
    Image.fromarray(np.full((64, 64, 3), 99, np.uint8)).save(folder / "fine.png")
    Image.fromarray(np.full((64, 64, 3), 99, np.uint8)).save(folder / "whole.jpg")
    (folder / "cut.jpg").write_bytes((folder / "whole.jpg").read_bytes()[:400])
    bomb(folder / "bomb.png")
    return folder


@pytest.mark.parametrize("name", BAD)
def test_what_is_refused_in_one_line(shelf: Shelf, bad: Path, name: str):
    words, says = BAD[name]
    given = [bad / word if (len(word) < 99 and (bad / word).exists()) else word for word in words]
    refused = shelf.run("animate", "scan/restoration", "--form", "then-vs-now", *given)
    said = refused.err + refused.out
    assert refused.code != 0
    assert says.format(bad=bad) in said, said
    assert refused.err.count("\n") == 1
    assert "Traceback" not in said
