"""`animate --blink` and `--breathe` from the command line: people move a little, and clips verify."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from archive_restore.adapters.video import FileVideos
from archive_restore.imaging.faces import MODELS
from archive_restore.records.imagery import PixelFlag
from tests.conftest import PHOTOGRAPHS, Shelf
from tests.support.archives import copy_of, empty, run

pytest.importorskip("torch")

PORTRAIT = PHOTOGRAPHS.parent / "faces" / "astronaut.jpg"
QUICK = ("--seconds", "1", "--size", "source")
MADE_UP = int(PixelFlag.MOVED | PixelFlag.SYNTHESIZED)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Shelf, dict]:
    """An archive with the items `astronaut`, who blinks with the left eye, and `allium-oreophilum`."""
    folder = tmp_path_factory.mktemp("people")
    shelf = Shelf(root=copy_of("empty", folder / "archive", tmp_path_factory, empty), runner=run)
    shelf.ok("ingest", PORTRAIT, PHOTOGRAPHS / "allium-oreophilum.jpg")
    (made,) = shelf.ok("animate", "astronaut", "--blink", "1:left", *QUICK, "--keep-lossless")["made"]
    return shelf, made


def test_a_blink_verifies_is_made_again_and_names_its_models(told: tuple[Shelf, dict]):
    shelf, made = told
    assert shelf.ok("verify")["findings"] == []
    assert shelf.ok("reproduce", made["ref"])["identical"]
    record = shelf.ok("show", made["ref"])["record"]
    assert {model["name"] for model in record["environment"]["models"]} == set(MODELS.values())
    survey = record["steps"][0]["survey"]
    assert len(survey["faces"]) == 1
    first, *_ = survey["blinks"]["1"]
    sheet = (Path(made["path"]).parent / "disclosure.txt").read_text("utf-8")
    assert (
        f"blink: lids are drawn over the eyes of face 1 from the left, from 00:00:{first // 24:02}:{first % 24:02}"
        in sheet
    )
    assert {"original", "moved", "synthesized"} <= {name.lower() for name, n in made["pixels"].items() if n}


def test_only_the_chosen_eye_moves_and_only_now_and_then(told: tuple[Shelf, dict]):
    _, made = told
    folder = Path(made["path"]).parent
    videos = FileVideos(1)
    maps = np.stack(list(videos.frames(folder / "synthesis-map.mkv", maps=True)))
    frames = np.stack(list(videos.frames(folder / "frames.mkv")))
    moved = (maps & int(PixelFlag.MOVED)) > 0
    # The person's left eye lies to the right of the nose.
    assert moved.any()
    assert not moved[:, :, :160].any()
    assert not moved[:, :60].any()
    assert not moved[:, 125:].any()
    assert not moved[0].any()
    assert not moved[-1].any()
    assert ((maps & MADE_UP) == MADE_UP).any()
    assert not np.ptp(frames[:, ~moved.any(axis=0)], axis=0).any()


def test_breath_moves_heads_and_shoulders_under_a_camera_too(told: tuple[Shelf, dict]):
    shelf, _ = told
    words = ("--breathe", "--blink", "both", "--camera", "closer", *QUICK)
    (made,) = shelf.ok("animate", "astronaut", *words, "--set", "animate.closure=0.7")["made"]
    assert any("beyond 60 %" in note for note in made["notes"])
    survey = shelf.ok("show", made["ref"])["record"]["steps"][0]["survey"]
    assert 0 < survey["breath"] < 0.9
    assert shelf.ok("verify", made["ref"])["findings"] == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("allium-oreophilum", "--breathe"), "no face was found"),
        (("astronaut", "--blink", "2:left"), "there is no face 2"),
        (("astronaut", "--blink", "none"), "nobody can blink"),
        (("astronaut", "--blink", "speak"), "'speak' is not as it should be: both, left or right"),
        (("astronaut", "--blink", "both", "--set", "animate.closure=1"), "closure"),
    ],
)
def test_faces_that_are_none_and_words_that_do_not_fit(told: tuple[Shelf, dict], words: tuple[str, ...], says: str):
    refused = told[0].run("animate", *words, *QUICK)
    assert refused.code != 0
    assert says in refused.err + refused.out
    assert "Traceback" not in refused.err


def test_the_step_names_models_only_where_faces_move(told: tuple[Shelf, dict]):
    shelf, _ = told
    quiet = shelf.ok("animate", "astronaut", "--camera", "left", *QUICK, "--dry-run")
    busy = shelf.ok("animate", "astronaut", "--breathe", *QUICK, "--dry-run")
    assert quiet["models"] == []
    assert {model["name"] for model in json.loads(json.dumps(busy["models"]))} == set(MODELS.values())
