"""`story`: one command from a master to a clip that can be shown, with a sheet and the words to say with it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from PIL import Image

from archive_restore.flows.story_documents import enlarged_hints
from tests.conftest import Shelf
from tests.support.archives import copy_of, one_scan, run
from tests.support.stories import KERNEL

STILL = ("--scale", "2", *KERNEL, "--hint", "10,40=#a03020", "--by", "Ada")
WORDS = (*STILL, "--no-clip")
CLIP = (*STILL, "--seconds", "1", "--size", "source")


@pytest.fixture
def shelf(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """An archive with the item `scan`."""
    return Shelf(root=copy_of("one_scan", tmp_path / "archive", tmp_path_factory, one_scan), runner=run)


def test_a_master_becomes_a_story_and_nothing_is_made_twice(shelf: Shelf, tmp_path: Path):
    told = shelf.ok("story", "scan", *WORDS, "--to", tmp_path / "out")
    assert told["failed"] == []
    (one,) = told["told"]
    assert one["refs"] == ["scan", "scan/restoration@1", "scan/enhancement@1", "scan/colorization@1"]
    with Image.open(one["sheet"]) as sheet:
        assert sheet.size[0] > 1800
    words = Path(one["disclosure"]).read_text("utf-8")
    assert isinstance(one["notes"], list) and all(note in words for note in one["notes"])
    assert "an interpretation, not a record" in words
    assert "Ada" in words
    assert shelf.ok("story", "scan", *WORDS, "--to", tmp_path / "out")["told"][0]["refs"] == one["refs"]
    assert shelf.ok("story", "scan/restoration", *WORDS, "--to", tmp_path / "out")["told"][0]["refs"] == one["refs"][1:]
    assert shelf.ok("verify")["findings"] == []
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["scan-story-sheet.jpg", "scan-story.txt"]


def test_what_is_large_enough_is_coloured_without_being_enhanced(shelf: Shelf, tmp_path: Path):
    words = ("--scale", "1", *KERNEL[2:], "--hint", "10,40=#a03020", "--no-clip", "--to", tmp_path)
    (one,) = shelf.ok("story", "scan", *words)["told"]
    assert one["refs"] == ["scan", "scan/restoration@1", "scan/colorization@1"]
    assert any("nothing to enhance" in note for note in one["notes"])
    assert Path(one["sheet"]).exists()


def test_a_master_becomes_a_clip_in_one_command_and_nothing_is_made_twice(shelf: Shelf, tmp_path: Path):
    region = {"kind": "water", "stroke": [[20, 30], [50, 30]], "radius": 8, "soft": 2, "author": "Ada"}
    (tmp_path / "moving.json").write_text(json.dumps({"regions": [region]}))
    (tmp_path / "words.srt").write_text("1\n00:00:00,100 --> 00:00:00,900\nThe lake\n")
    words = (
        *CLIP, "--focus", "10,12,60,52", "--moving", tmp_path / "moving.json", "--music", "era",
        "--captions", tmp_path / "words.srt", "--to", tmp_path,
    )  # fmt: skip
    shelf.ok("story", "scan", *WORDS, "--to", tmp_path)
    still = (tmp_path / "scan-story-sheet.jpg").read_bytes()
    (one,) = shelf.ok("story", "scan", *words)["told"]
    made = ["scan/restoration@1", "scan/enhancement@1", "scan/colorization@1", "scan/animation@1"]
    assert one["refs"] == ["scan", *made]  # what the first run made is taken as it is
    record = shelf.ok("show", "scan/animation")["record"]
    (step,) = record["steps"]
    assert step["parameters"]["focus"] == "20,24,120,104"
    assert (step["parameters"]["camera"], step["parameters"]["travel"]) == ("closer", 0.08)
    (moved,) = json.loads(shelf.files("scan/animation")["motion.json"].read_bytes())["regions"]
    assert (moved["stroke"], moved["radius"], moved["soft"]) == ([[40.5, 60.5], [100.5, 60.5]], 16, 4)
    assert {"music", "captions", "motion"} <= {material["role"] for material in record["materials"]}
    assert Path(one["clip"]).read_bytes() == shelf.files("scan/animation")["scan-animated-story.mp4"].read_bytes()
    assert (tmp_path / "scan-story-sheet.jpg").read_bytes() != still
    told = Path(one["disclosure"]).read_text("utf-8")
    assert "Details, colours and motion are an interpretation, not a record." in told
    assert "scan/animation@1, from scan/colorization@1" in told
    assert shelf.ok("story", "scan", *words)["told"][0]["refs"] == one["refs"]
    assert shelf.ok("verify")["findings"] == []


BAD = {
    "nothing moves": (("--camera", "rest"), "nothing would move"),
    "a focus outside": (("--focus", "900,900,950,950"), "focus lies outside"),
    "regions outside": (("--moving", "far.json"), "inside the picture"),
    "not drawn by anybody": (("--moving", "proposed.json"), "nobody approved"),
    "captions out of order": (("--captions", "order.srt"), "begins before"),
    "captions that come too late": (("--captions", "late.srt"), "after the end"),
    "no such music": (("--music", "yesterday"), "neither a file nor a backing piece"),
    "words for no clip": (("--no-clip", "--music", "era"), "is about the clip"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_fit_the_clip_is_said_before_anything_is_made(shelf: Shelf, tmp_path: Path, name: str):
    far = {"kind": "water", "polygon": [[900, 900], [990, 900], [990, 990]]}
    (tmp_path / "far.json").write_text(json.dumps({"regions": [far]}))
    (tmp_path / "proposed.json").write_text(json.dumps({"proposed": True, "regions": [far]}))
    cue = "00:00:0{},000 --> 00:00:0{},900\nwords\n\n"
    (tmp_path / "order.srt").write_text(cue.format(3, 4) + cue.format(1, 2))
    (tmp_path / "late.srt").write_text(cue.format(8, 9))
    words, says = BAD[name]
    given = [tmp_path / word if (tmp_path / word).is_file() else word for word in words]
    ran = shelf.run("story", "scan", *STILL, "--seconds", "1", *given, "--to", tmp_path / "out")
    assert ran.code in (1, 2, 26)
    said = ran.err + ran.out
    assert says in said, said
    assert "Traceback" not in said
    assert shelf.ok("list")["items"][0]["derivatives"] == []


def test_what_writes_clips_is_missed_before_anything_is_made(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "av", None)
    ran = shelf.run("story", "scan", *STILL, "--to", tmp_path)
    assert ran.code == 2
    assert "PyAV, which is not installed" in ran.err
    assert "--no-clip" in ran.err
    assert ran.err.count("\n") == 1
    assert shelf.ok("list")["items"][0]["derivatives"] == []


def test_hints_are_places_of_the_picture_that_was_named(shelf: Shelf, tmp_path: Path):
    shelf.ok("story", "scan", *WORDS, "--to", tmp_path)
    hints = json.loads(shelf.files("scan/colorization")["hints.json"].read_bytes())
    assert hints["hints"][0]["point"] == [20.5, 80.5]


def test_a_model_that_is_not_here_is_missed_before_anything_is_made(shelf: Shelf, tmp_path: Path):
    ran = shelf.run("story", "scan", "--inpainting", "nobody", *WORDS, "--to", tmp_path)
    assert ran.code == 1
    assert "nobody" in ran.json["failed"][0]["error"]
    assert shelf.ok("list")["items"][0]["derivatives"] == []


def test_every_kind_of_place_is_enlarged():
    places = [[0, 0], [1, 2], [3, 4]]
    given = {
        "hints": [
            {"point": [1, 2], "colour": "red", "radius": 3}, {"stroke": places, "colour": "red"},
            {"polygon": places, "colour": "red", "name": "dress"}, {"region": "sky", "colour": "red", "within": "sky"},
        ],
        "regions": [{"name": "sky", "polygon": places}],
    }  # fmt: skip
    made = json.loads(enlarged_hints({"hints": json.dumps(given), "palette": "{}"}, 2, 4)["hints"])
    moved = [[0.5, 1.5], [2.5, 9.5], [6.5, 17.5]]
    assert made["hints"][0] == {"point": [2.5, 9.5], "colour": "red", "radius": pytest.approx(3 * 8**0.5)}
    assert made["hints"][1]["stroke"] == made["hints"][2]["polygon"] == made["regions"][0]["polygon"] == moved
    assert made["hints"][2]["name"] == "dress"
    assert made["hints"][3] == given["hints"][3]


def test_what_cannot_be_told_is_said(shelf: Shelf, tmp_path: Path):
    shelf.ok("story", "scan", *WORDS, "--to", tmp_path)
    ran = shelf.run("story", "scan/colorization", "nobody", "scan", *WORDS[:4], "--no-clip", "--to", tmp_path)
    assert ran.code == 1
    assert [failed["ref"] for failed in ran.json["failed"]][:2] == ["scan/colorization", "nobody"]
    assert "a story already" in ran.json["failed"][0]["error"]
    assert shelf.run("story", "scan", "scan/restoration", *WORDS, "--to", tmp_path).code == 2
    full = tmp_path / "file"
    full.write_text("")
    assert shelf.run("story", "scan", *WORDS, "--to", full / "below").code == 15
    assert shelf.ok("verify")["findings"] == []
