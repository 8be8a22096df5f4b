"""`story`: one command from a master to a picture that can be shown, with a sheet and the words to say with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from archive_restore.flows.story_documents import enlarged_hints
from tests.conftest import Shelf
from tests.support.archives import copy_of, one_scan, run

WORDS = ("--scale", "2", "--set", "enlarge.method=kernel", "--hint", "10,40=#a03020", "--by", "Ada")


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
    assert "an interpretation, not a record" in words
    assert "Ada" in words
    assert shelf.ok("story", "scan", *WORDS, "--to", tmp_path / "out")["told"][0]["refs"] == one["refs"]
    assert shelf.ok("story", "scan/restoration", *WORDS, "--to", tmp_path / "out")["told"][0]["refs"] == one["refs"][1:]
    assert shelf.ok("verify")["findings"] == []
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["scan-story-sheet.jpg", "scan-story.txt"]


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
    ran = shelf.run("story", "scan/colorization", "nobody", "scan", *WORDS[:4], "--to", tmp_path)
    assert ran.code == 1
    assert [failed["ref"] for failed in ran.json["failed"]][:2] == ["scan/colorization", "nobody"]
    assert "a story already" in ran.json["failed"][0]["error"]
    assert shelf.run("story", "scan", "scan/restoration", *WORDS, "--to", tmp_path).code == 2
    full = tmp_path / "file"
    full.write_text("")
    assert shelf.run("story", "scan", *WORDS, "--to", full / "below").code == 15
    assert shelf.ok("verify")["findings"] == []
