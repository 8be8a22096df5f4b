"""`animate --form before-after`: a line between the photograph and what was made of it, and no sample but theirs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from archive_restore.adapters.video import FileVideos
from archive_restore.records.imagery import PixelFlag
from tests.conftest import Shelf
from tests.support.archives import copy_of, empty, run
from tests.support.scans import write_scan

HUMAN = int(PixelFlag.HUMAN)
WORDS = ("--form", "before-after", "--seconds", "1")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Shelf, dict]:
    """An archive with `scan`, restored without a model, in a clip; do not change it."""
    folder = tmp_path_factory.mktemp("wiped")
    shelf = Shelf(root=copy_of("empty", folder / "archive", tmp_path_factory, empty), runner=run)
    shelf.ok("ingest", write_scan(folder / "scan.tif", edge=480))
    recipe = {"name": "brighter", "description": "Tone.", "steps": [{"step": "tone", "parameters": {}}]}
    (folder / "recipe.json").write_text(json.dumps(recipe))
    shelf.ok("restore", "scan", "--recipe", folder / "recipe.json")
    (made,) = shelf.ok("animate", "scan/restoration", *WORDS, "--size", "source", "--keep-lossless")["made"]
    return shelf, made


def folder_of(made: dict) -> Path:
    return Path(made["path"]).parent


def test_it_verifies_and_is_made_again(told: tuple[Shelf, dict]):
    shelf, made = told
    assert shelf.ok("verify")["findings"] == []
    assert shelf.ok("reproduce", made["ref"])["identical"]
    (step,) = shelf.ok("show", made["ref"])["record"]["steps"]
    assert step["description"].startswith("Shows the photograph as it was digitized, and what was made of it")
    assert "MOVED" not in made["pixels"]
    page = (folder_of(made) / "report.html").read_text("utf-8")
    assert "put together from pictures that stand still" in page and "movement was invented" not in page


def test_the_line_goes_over_and_comes_back(told: tuple[Shelf, dict]):
    frames = list(FileVideos(1).frames(folder_of(told[1]) / "frames.mkv"))
    maps = list(FileVideos(1).frames(folder_of(told[1]) / "synthesis-map.mkv", maps=True))
    before, after = frames[0], frames[13]
    seen = []
    for frame, flags in zip(frames, maps, strict=True):
        middle = slice(150, 300)  # neither words nor label
        line = (flags[middle] & HUMAN).all(axis=0)
        old, new = ((frame[middle] == other[middle]).all(axis=(0, 2)) for other in (before, after))
        assert (old | new | line).all()
        seen.append(int(np.flatnonzero(new & ~old).size))
    assert seen[0] == 0
    assert max(seen) == seen[13] > 400
    assert seen[13] > seen[9] > seen[5] > 0
    assert seen[20] < seen[17]
    assert before[:30, :60].std() > 10  # words


def test_sizes_for_the_street_and_for_the_screen(told: tuple[Shelf, dict], tmp_path: Path):
    shelf, _ = told
    copied = Shelf(root=tmp_path / "archive", runner=run)
    shutil.copytree(shelf.root, copied.root)
    (made,) = copied.ok("animate", "scan/restoration", *WORDS, "--size", "vertical", "--ending", "ease")["made"]
    first = next(FileVideos(1).frames(Path(made["path"])))
    assert first.shape == (1920, 1080, 3)
    assert copied.ok("verify", made["ref"])["findings"] == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("scan",), "nothing was made of scan"),
        (("scan/restoration", "--camera", "closer"), "shown at rest"),
    ],
)
def test_what_is_refused(told: tuple[Shelf, dict], words: tuple[str, ...], says: str):
    refused = told[0].run("animate", *words, *WORDS, "--size", "source")
    assert refused.code == 1
    assert says in refused.err
