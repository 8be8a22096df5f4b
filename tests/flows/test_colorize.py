"""`colorize`, `hints` and `palettes` from the command line: the person's word holds, is kept, and is said."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from archive_restore.adapters.models import FolderModels
from archive_restore.imaging.colour import lab_from_srgb
from archive_restore.records.imagery import PixelFlag
from tests.conftest import Shelf
from tests.support.archives import copy_of, empty, run

EDGE = 160
RED, BLUE = "20,40=#b03020", "130,120=royal blue"


def photograph(seed: int = 1) -> np.ndarray:
    """A light upper left and a dark lower right, with grain, 16 bits."""
    y, x = np.mgrid[0:EDGE, 0:EDGE]
    light = np.where(x + y < EDGE, 44000, 20000) + np.random.default_rng(seed).normal(0, 500, (EDGE, EDGE))
    return light.astype(np.uint16)


@pytest.fixture
def shelf(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """An archive with the gray `gray` of 16 bits and the toned `toned` of 8."""
    made = Shelf(root=copy_of("empty", tmp_path / "archive", tmp_path_factory, empty), runner=run)
    tifffile.imwrite(tmp_path / "gray.tif", photograph(), photometric="minisblack")
    eight = (photograph(2) >> 8).astype(np.uint8)
    sepia = np.stack([eight, (eight * 0.9).astype(np.uint8), (eight * 0.7).astype(np.uint8)], axis=2)
    tifffile.imwrite(tmp_path / "toned.tif", sepia, photometric="rgb")
    made.ok("ingest", tmp_path / "gray.tif", tmp_path / "toned.tif")
    return made


def seen(path: str) -> tuple[np.ndarray, np.ndarray]:
    """Samples and map."""
    with tifffile.TiffFile(path) as tiff:
        return tiff.pages[0].asarray(), tiff.pages[0].pages[0].asarray()


def test_hints_hold_at_their_pixels_and_light_stays(shelf: Shelf):
    (made,) = shelf.ok("colorize", "gray", "--hint", RED, "--hint", BLUE)["made"]
    samples, flags = seen(made["path"])
    assert (samples.dtype, samples.shape) == (np.uint16, (EDGE, EDGE, 3))
    lab = lab_from_srgb(samples / 65535)
    red, blue = lab[40, 20], lab[120, 130]
    assert red[1] > 40 and red[2] > 20
    assert blue[2] < -30
    luminance = lab_from_srgb(np.repeat(photograph()[:, :, None], 3, axis=2) / 65535)[..., 0]
    assert np.abs(lab[..., 0] - luminance).max() < 0.5
    assert flags[40, 20] == PixelFlag.COLORIZED | PixelFlag.HUMAN
    assert lab[30:60, 10:40, 1].mean() > 30
    assert lab[110:140, 110:140, 2].mean() < -20
    assert shelf.ok("verify", made["ref"])["findings"] == []
    assert shelf.ok("reproduce", made["ref"])["identical"]


def test_who_said_it_and_why_is_kept_and_said(shelf: Shelf):
    words = ("--hint", RED, "--by", "Ada", "--reason", "the dress was red, says her daughter")
    (made,) = shelf.ok("colorize", "gray", *words)["made"]
    files = shelf.files(made["ref"])
    record = json.loads(files["derivation.json"].read_bytes())
    assert {"author": "Ada", "reason": words[-1], "what": "#b03020 at 20,40", "when": ""} in record["people"]
    for name in ("report.html", "premis.xml", "hints.json"):
        assert "says her daughter" in files[name].read_text("utf-8"), name
    assert b"says her daughter" in Path(made["path"]).read_bytes()
    assert record["steps"][0]["digital_source_type"] == "humanEdits"
    assert record["environment"]["models"] == []


def test_the_network_that_ships_proposes_when_asked_and_is_named(shelf: Shelf):
    plain, proposed = (
        shelf.ok("colorize", "gray", "--hint", RED, *words)["made"][0]
        for words in ((), ("--automatic", "--process", "kodachrome"))
    )
    files = shelf.files(proposed["ref"])
    report = files["report.html"].read_text("utf-8")
    assert "a prior, not evidence" in report
    assert "computed of published numbers: 22 colours;" in report and "estimated by hand" not in report
    record = json.loads(files["derivation.json"].read_bytes())
    assert [model["name"] for model in record["environment"]["models"]] == ["colour"]
    assert record["steps"][0]["digital_source_type"] == "compositeWithTrainedAlgorithmicMedia"
    (before, _), (after, flags) = (seen(made["path"]) for made in (plain, proposed))
    assert (before != after).any()
    assert (before[40, 20] == after[40, 20]).all(), "a person's word stands above the model's"
    assert ((flags & PixelFlag.COLORIZED != 0) & (flags & PixelFlag.HUMAN == 0)).any()
    assert shelf.ok("verify", proposed["ref"])["findings"] == []
    assert shelf.ok("reproduce", proposed["ref"])["identical"]


def test_a_file_of_hints_and_words_together(shelf: Shelf, tmp_path: Path):
    sky = [[0, 0], [150, 0], [0, 150]]
    document = {
        "hints": [
            {"region": "sky", "colour": "light blue", "author": "Ben"},
            {"point": [140, 150], "colour": "neutral"},
        ],
        "regions": [{"name": "sky", "polygon": sky}],
    }
    (tmp_path / "hints.json").write_text(json.dumps(document))
    (made,) = shelf.ok("colorize", "gray", "--hints", tmp_path / "hints.json", "--hint", BLUE, "--by", "Ada")["made"]
    samples, flags = seen(made["path"])
    stored = json.loads(shelf.files(made["ref"])["hints.json"].read_bytes())
    assert [hint["author"] for hint in stored["hints"]] == ["Ben", "Ada", "Ada"]
    assert (flags[150, 140] & PixelFlag.HUMAN) != 0
    assert len(set(samples[150, 140].tolist())) == 1
    assert lab_from_srgb(samples[:60, :60] / 65535)[..., 2].mean() < -5


def test_moving_one_hint_leaves_far_places_alone(shelf: Shelf):
    first, second = (
        seen(shelf.ok("colorize", "gray", "--hint", RED, "--hint", f"{x},120=royal blue")["made"][0]["path"])[0]
        for x in (130, 140)
    )
    assert not (first[:30, :30] != second[:30, :30]).any()
    assert (first[110:150, 110:150] != second[110:150, 110:150]).any()


def test_what_is_known_already_is_not_computed_again_and_the_result_is_the_same(shelf: Shelf):
    (first,) = shelf.ok("colorize", "gray", "--hint", RED)["made"]
    assert list((shelf.root / "cache").iterdir())
    (second,) = shelf.ok("colorize", "gray", "--hint", RED)["made"]
    assert (seen(first["path"])[0] == seen(second["path"])[0]).all()
    assert shelf.ok("reproduce", second["ref"])["identical"]


def test_the_network_is_not_even_loaded_for_another_hint(shelf: Shelf, monkeypatch: pytest.MonkeyPatch):
    (first,) = shelf.ok("colorize", "gray", "--automatic", "--hint", RED)["made"]
    with monkeypatch.context() as patched:
        patched.setattr(FolderModels, "load", lambda *_: pytest.fail("the network was loaded"))
        (second,) = shelf.ok("colorize", "gray", "--automatic", "--hint", "20,40=teal")["made"]
    one, two = (json.loads(shelf.files(made["ref"])["derivation.json"].read_bytes()) for made in (first, second))
    assert one["environment"] == two["environment"] and two["environment"]["models"][0]["name"] == "colour"
    assert shelf.ok("reproduce", second["ref"])["identical"], "asked afresh, it says the same"
    # Another card is another model, and what is damaged is asked for again.
    card = FolderModels.card
    monkeypatch.setattr(FolderModels, "card", lambda *of: replace(card(*of), card_sha256="0" * 64))
    asked = counted(monkeypatch)
    shelf.ok("colorize", "gray", "--automatic", "--hint", "20,40=navy")
    assert len(asked) == 1
    for planes in (shelf.root / "cache").glob("*/planes.npy"):
        planes.write_bytes(planes.read_bytes()[:-9])
    shelf.ok("colorize", "gray", "--automatic", "--hint", "20,40=navy")
    assert len(asked) == 2


def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the networks that are loaded from now on."""
    asked: list[str] = []
    load = FolderModels.load
    monkeypatch.setattr(FolderModels, "load", lambda *of: (asked.append(of[1]), load(*of))[1])
    return asked


def test_a_toned_print_keeps_its_tone_where_nothing_is_known(shelf: Shelf):
    (made,) = shelf.ok("colorize", "toned", "--hint", "20,40=#3050c0", "--set", "colorize.toning=1")["made"]
    samples, flags = seen(made["path"])
    source = tifffile.imread(shelf.files("toned")["toned.tif"])
    assert samples.dtype == np.uint8
    untouched = flags == 0
    assert (samples[untouched] == source[untouched]).all()
    assert lab_from_srgb(samples[40, 20] / 255)[2] < -20
    assert shelf.ok("verify", made["ref"])["findings"] == []


def test_other_outcomes_agree_where_somebody_said_something(shelf: Shelf):
    (made,) = shelf.ok("colorize", "gray", "--hint", RED, "--samples", "3")["made"]
    assert len(made["alternatives"]) == 2
    plane = np.asarray(Image.open(shelf.files(made["ref"])["disagreement.png"]))
    assert plane[40, 20] == 0
    assert plane.max() > 5
    assert shelf.ok("reproduce", made["ref"])["identical"]


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ((), 2, "nobody said what colour"),
        (("--hint", "20;40=red"), 2, "is not a hint"),
        (("--hint", "20,40=no such colour"), 2, "no colour that is known"),
        (("--hint", "20,40=#12"), 2, "no colour that is known"),
        (("--era", "1830s"), 2, "no palette fits"),
        (("--era", "old"), 2, "is no era"),
        (("--automatic", "--strength", "0.5"), 2, "--strength is that of a palette"),
    ],
)
def test_words_that_mean_nothing(shelf: Shelf, words: tuple[str, ...], code: int, says: str):
    ran = shelf.run("colorize", "gray", *words)
    said = ran.json["error"]["message"] if "error" in ran.json else ran.json["failed"][0]["error"]
    assert says in said
    assert ran.code == (code if "error" in ran.json else 1)
    assert shelf.run("show", "gray/colorization").code == 12


def test_a_hint_outside_the_picture(shelf: Shelf):
    ran = shelf.run("colorize", "gray", "--hint", "1000,40=red")
    assert ran.code == 1
    assert "outside the picture" in ran.json["failed"][0]["error"]


def test_a_mostly_unknown_picture_says_of_which_pixels_its_places_are(shelf: Shelf):
    (made,) = shelf.ok("colorize", "gray", "--automatic")["made"]
    (said,) = [note for note in made["notes"] if "would tell most" in note]
    assert re.search(rf"A hint at \d+,\d+( or \d+,\d+)* of these {EDGE}×{EDGE} pixels would tell most\.", said)


def test_where_a_hint_would_tell_most(shelf: Shelf):
    first = shelf.ok("hints", "suggest", "gray")["suggestions"]
    assert 1 <= len(first) <= 5
    x, y = first[0]["x"], first[0]["y"]
    assert 0 <= x < EDGE and 0 <= y < EDGE
    known = shelf.ok("hints", "suggest", "gray", "--hint", f"{x},{y}=red")["suggestions"]
    assert sum(one["share"] for one in known) < sum(one["share"] for one in first)
    assert shelf.ok("list")["items"][0]["derivatives"] == []


def test_palettes_are_listed_shown_measured_and_added(shelf: Shelf, tmp_path: Path):
    listed = {palette["id"] for palette in shelf.ok("palettes", "list")["palettes"]}
    assert len(listed) >= 12
    assert {"autochrome", "kodachrome", "cn-1960s-family", "us-1970s-beach"} <= listed
    photographs = tmp_path / "reference"
    photographs.mkdir()
    rng = np.random.default_rng(5)
    for number in range(3):
        colours = np.repeat(np.repeat(rng.integers(40, 220, (4, 4, 3), np.uint8), 20, 0), 20, 1)
        Image.fromarray(colours).save(photographs / f"{number}.png")
    words = (
        "--id",
        "our-studio",
        "--title",
        "Our studio",
        "--years",
        "1950-1965",
        "--source",
        "Prints of our own studio.",
    )
    made = shelf.ok("palettes", "from", photographs, *words)
    stored = json.loads(Path(made["path"]).read_text("utf-8"))
    assert stored["statement"] == "A prior, not evidence."
    assert "our-studio" in {palette["id"] for palette in shelf.ok("palettes", "list")["palettes"]}
    assert json.loads(shelf.run("palettes", "show", "our-studio").out) == stored
    assert shelf.run("palettes", "from", photographs, *words).code == 16
    backwards = [word.replace("1950-1965", "1965-1950") for word in map(str, words)]
    assert "end before they begin" in shelf.run("palettes", "from", photographs, *backwards).json["error"]["message"]
    copy = tmp_path / "copy.json"
    copy.write_text(json.dumps({**stored, "id": "second"}))
    assert shelf.ok("palettes", "add", copy)["id"] == "second"
    copy.write_text(json.dumps({**stored, "id": "third", "statement": "It was so."}))
    assert shelf.run("palettes", "add", copy).code == 26
    copy.write_text(json.dumps({**stored, "id": "third", "years": [1965, 1950]}))
    assert "before it begins" in shelf.run("palettes", "add", copy).json["error"]["message"]
    (shelf.root / "palettes" / "second.json").write_text("{")
    assert shelf.run("palettes", "list").code == 25
