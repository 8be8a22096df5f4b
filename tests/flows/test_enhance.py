"""`enhance` from the command line: what is asked is done, said, and kept; batches go on where they stopped."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from archive_restore.records.imagery import PixelFlag
from tests.conftest import Shelf
from tests.support.archives import copy_of, empty, run
from tests.support.scans import write_scan
from tests.support.stories import KERNEL


@pytest.fixture
def shelf(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """An archive with the items `a`, `b` and `c`, and `b` restored with a loss in its middle."""
    made = Shelf(root=copy_of("empty", tmp_path / "archive", tmp_path_factory, empty), runner=run)
    made.ok("ingest", *(write_scan(tmp_path / f"{name}.tif", edge=96, seed=n) for n, name in enumerate("abc")))
    drawn = np.zeros((96, 96), np.uint8)
    drawn[36:64, 30:60] = 255
    Image.fromarray(drawn).save(tmp_path / "drawn.png")
    made.ok("restore", "b", "--recipe", "by-hand", "--damage-map", tmp_path / "drawn.png")
    return made


def flags_of(path: str) -> np.ndarray:
    with tifffile.TiffFile(path) as tiff:
        return tiff.pages[0].pages[0].asarray()


def test_it_is_larger_and_agrees_with_its_source(shelf: Shelf):
    (made,) = shelf.ok("enhance", "a", "--scale", "2", *KERNEL)["made"]
    assert (made["ref"], made["source"], made["original_fraction"]) == ("a/enhancement@1", "a", 0)
    picture = tifffile.imread(made["path"])
    assert (picture.shape, picture.dtype) == ((192, 192), np.uint16)
    record = shelf.ok("show", made["ref"])["record"]
    run_ = record["steps"][-1]
    assert run_["step"] == "enlarge"
    assert made["agreement_db"] == run_["survey"]["agreement_db"] >= 40
    assert any("not repaired first" in note for note in made["notes"])
    assert record["environment"]["models"] == []
    assert run_["digital_source_type"] == "algorithmicallyEnhanced"
    assert shelf.ok("verify")["findings"] == []
    assert shelf.ok("reproduce", made["ref"])["identical"]


def test_a_network_is_named_in_record_and_map(shelf: Shelf):
    (made,) = shelf.ok("enhance", "a", "--scale", "2")["made"]
    record = shelf.ok("show", made["ref"])["record"]
    assert [model["name"] for model in record["environment"]["models"]][-1] == "realesrgan-animevideov3"
    assert record["steps"][-1]["digital_source_type"] == "compositeWithTrainedAlgorithmicMedia"
    assert (flags_of(made["path"]) == PixelFlag.RESAMPLED | PixelFlag.SYNTHESIZED).all()
    assert b"compositeWithTrainedAlgorithmicMedia" in Path(made["path"]).read_bytes()


def test_what_a_restoration_left_as_loss_is_completed_and_said(shelf: Shelf):
    (made,) = shelf.ok("enhance", "b/restoration", "--scale", "2", *KERNEL, "--samples", "2")["made"]
    flags = flags_of(made["path"])
    invented = (flags & PixelFlag.INTERPOLATED) != 0
    assert invented[80:120, 68:112].all()
    assert invented.sum() < 0.12 * flags.size
    assert any("made up" in note for note in made["notes"])
    assert len(made["alternatives"]) == 1
    apart = tifffile.imread(made["alternatives"][0]) != tifffile.imread(made["path"])
    assert apart[80:120, 68:112].any()
    assert not apart[:40].any()
    (kept,) = shelf.ok("enhance", "b/restoration", "--scale", "2", *KERNEL, "--keep-losses")["made"]
    assert not (flags_of(kept["path"]) & PixelFlag.INTERPOLATED).any()
    assert kept["notes"] == []


def test_what_a_person_drew_is_theirs(shelf: Shelf, tmp_path: Path):
    drawn = tmp_path / "drawn.json"
    corners = [[10, 12], [25, 12], [25, 20], [10, 20]]
    drawn.write_text(json.dumps({"regions": [{"name": "a label", "polygon": corners, "author": "Ada"}]}))
    words = ("--regions", drawn, "--scale", "2", *KERNEL, "--by", "Ben", "--reason", "glued on in 1990")
    (made,) = shelf.ok("enhance", "a", *words)["made"]
    human = (flags_of(made["path"]) & PixelFlag.HUMAN) != 0
    assert human.sum() == 4 * 16 * 9
    assert human[24:42, 20:52].all()
    record = shelf.ok("show", made["ref"])["record"]
    assert [(p["author"], p["reason"]) for p in record["people"]] == [
        ("Ben", "glued on in 1990"), ("Ada", "glued on in 1990"),
    ]  # fmt: skip
    assert "glued on in 1990" in shelf.files(made["ref"])["report.html"].read_text()
    assert "glued on in 1990" in shelf.files(made["ref"])["premis.xml"].read_text()
    assert "regions.json" in shelf.files(made["ref"])
    assert shelf.ok("reproduce", made["ref"])["identical"]


def test_the_command_prints_how_well_source_and_enlargement_agree(shelf: Shelf):
    ran = run("-A", shelf.root, "enhance", "a", "--scale", "2", *KERNEL)
    told = re.search(r"it is its source by (\d+\.\d) dB", ran.out)
    assert told is not None
    assert float(told[1]) >= 40


def test_losses_are_completed_without_enlarging(shelf: Shelf):
    (made,) = shelf.ok("enhance", "b/restoration", "--scale", "1", "--set", "complete.faces=true")["made"]
    before = tifffile.imread(shelf.files("b/restoration")["b-restoration.tif"])
    made_of, picture = flags_of(made["path"]), tifffile.imread(made["path"])
    assert picture.shape == before.shape
    assert (picture[made_of == 0] == before[made_of == 0]).all()
    assert (made_of[40:60, 34:56] & PixelFlag.INTERPOLATED).all()
    assert (made["agreement_db"], made["original_fraction"] > 0.8) == (None, True)
    assert shelf.ok("verify")["findings"] == []
    assert shelf.ok("reproduce", made["ref"])["identical"]
    ran = shelf.run("enhance", "a", "--scale", "1")
    assert ran.code == 1
    assert "nothing to enhance" in ran.json["failed"][0]["error"]
    assert shelf.run("enhance", "b/restoration", "--scale", "1", "--fidelity").code == 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "cannot be read"),
        ('{"regions": []}', "does not fit"),
        ('{"regions": [{"polygon": [[1, 2], [3, 4]]}]}', "does not fit"),
        ('{"regions": [{"polygon": [[1, 2], [3, 4], [1e9, 3]]}]}', "does not fit"),
        ('{"regions": [{"polygon": [[1, 2], [3, 4], [5, 1]], "model": "x"}]}', "does not fit"),
    ],
)
def test_regions_that_are_none(shelf: Shelf, tmp_path: Path, text: str, says: str):
    (tmp_path / "bad.json").write_text(text)
    ran = shelf.run("enhance", "a", "--regions", tmp_path / "bad.json")
    assert ran.code == 26
    assert says in ran.json["error"]["message"]


def test_regions_belong_to_one_picture(shelf: Shelf, tmp_path: Path):
    (tmp_path / "r.json").write_text('{"regions": [{"polygon": [[1, 2], [3, 4], [5, 1]]}]}')
    assert shelf.run("enhance", "a", "b", "--regions", tmp_path / "r.json").code == 2


def test_a_batch_takes_restorations_first_and_nothing_twice(shelf: Shelf):
    first = shelf.ok("enhance", "--all", "--scale", "2", *KERNEL)
    assert [made["source"] for made in first["made"]] == ["a", "b/restoration@1", "c"]
    again = shelf.ok("enhance", "--all", "--scale", "2", *KERNEL)
    assert again["made"] == []
    assert again["unchanged"] == ["a/enhancement@1", "b/enhancement@1", "c/enhancement@1"]
    other = shelf.ok("enhance", "--all", "--scale", "3", *KERNEL)
    assert len(other["made"]) == 3
    (named,) = shelf.ok("enhance", "a", "--scale", "2", *KERNEL)["made"]
    assert named["ref"] == "a/enhancement@3"
    assert shelf.ok("verify")["findings"] == []


def test_one_that_fails_stops_nothing(shelf: Shelf, tmp_path: Path):
    (tmp_path / "d.jpg").write_bytes(b"\xff\xd8\xff none")
    shelf.run("ingest", tmp_path / "d.jpg", "--keep-unreadable")
    ran = shelf.run("enhance", "--all", "--scale", "2", *KERNEL)
    assert ran.code == 1
    assert [made["ref"] for made in ran.json["made"]] == ["a/enhancement@1", "b/enhancement@1", "c/enhancement@1"]
    ((failed,),) = (ran.json["failed"],)
    assert failed["ref"] == "d"
    assert "kept as bytes only" in failed["error"]


@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupted_batch_goes_on_where_it_stopped(shelf: Shelf, monkeypatch: pytest.MonkeyPatch, workers: int):
    from archive_restore.flows import story_batch

    config = shelf.root / "archive.toml"
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace("workers = 1", f"workers = {workers}"), encoding="utf-8")
    real, stored = story_batch.store_story, []

    def store(archive, finished, key):
        if len(stored) == 2:
            raise KeyboardInterrupt
        stored.append(real(archive, finished, key).source)

    words = ("enhance", "a", "b", "c", "--scale", "2", *KERNEL)
    with monkeypatch.context() as patch:
        patch.setattr(story_batch, "store_story", store)
        assert shelf.run(*words).code == 130
    rest = shelf.ok(*words)
    assert len(stored) == 2
    assert {made["source"] for made in rest["made"]} == {"a", "b", "c"} - set(stored)
    assert len(rest["unchanged"]) == 2
    assert shelf.ok("verify")["findings"] == []


def test_faces_are_rebuilt_only_where_asked_and_where_there_are_some(shelf: Shelf):
    (made,) = shelf.ok("enhance", "b/restoration", "--scale", "2", *KERNEL, "--faces")["made"]
    steps = shelf.ok("show", made["ref"])["record"]["steps"]
    assert [step["step"] for step in steps] == ["faces", "complete", "enlarge"]
    assert (steps[0]["survey"]["faces"], steps[0]["survey"]["places"]) == (0, [])
    assert not (flags_of(made["path"]) & PixelFlag.SYNTHESIZED).any()
    (made,) = shelf.ok("enhance", "a", "--scale", "2", *KERNEL, "--faces")["made"]
    assert made["notes"][1:] == ["No face was rebuilt: nothing is marked as lost."]


def test_words_that_do_not_fit(shelf: Shelf):
    for words, code, says in (
        (("enhance",), 2, "say what to make a story of"),
        (("enhance", "a", "--all"), 2, "say what to make a story of"),
        (("enhance", "z"), 12, "there is no 'z'"),
        (("enhance", "a", "--scale", "2", "--target", "4k"), 2, "a scale or a target"),
        (("enhance", "a", "--set", "enlarge.nothing=1"), 14, "has no parameter"),
        (("enhance", "a", "--set", "fill.max_width=3"), 14, "has no step"),
        (("enhance", "a", "--inpainting", "nobody"), 22, "nobody"),
    ):
        ran = shelf.run(*words)
        assert (ran.code, says in ran.json["error"]["message"]) == (code, True), (words, ran.out)


def test_a_plan_changes_nothing(shelf: Shelf):
    plan = shelf.ok("enhance", "b/restoration", "--quality", "--dry-run")
    assert plan["items"] == ["b/restoration@1"]
    assert [step["step"] for step in plan["plan"]["steps"]] == ["complete", "enlarge"]
    assert [model["name"] for model in plan["models"]][-1] == "realesrgan-x4plus"
    assert shelf.run("show", "b/enhancement").code == 12
