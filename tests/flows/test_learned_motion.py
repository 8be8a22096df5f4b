"""`animate --motion learned`: regions move as the model that ships draws it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from archive_restore.adapters import shipped
from archive_restore.adapters.video import FileVideos
from archive_restore.records.imagery import PixelFlag
from tests.conftest import Shelf
from tests.support.archives import copy_of, empty, run

pytest.importorskip("torch")

QUICK = ("--motion", "learned", "--seconds", "1", "--size", "source", "--amplitude", "0.6", "--keep-lossless")
REGION = {"kind": "grass", "polygon": [[10, 40], [150, 40], [150, 120], [10, 120]], "soft": 4}
HAIR = {"kind": "hair", "polygon": [[10, 2], [150, 2], [150, 30], [10, 30]], "soft": 2}


def drawn(path: Path, *entries: dict[str, Any]) -> Path:
    path.write_text(json.dumps({"regions": list(entries)}))
    return path


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Shelf, dict[str, Any], Path]:
    """An archive with `scan`, 160×128 of soft gray spots, animated once by the learned source; and that picture."""
    folder = tmp_path_factory.mktemp("learned")
    shelf = Shelf(root=copy_of("empty", folder / "archive", tmp_path_factory, empty), runner=run)
    spots = np.random.default_rng(5).integers(60, 180, (16, 20), np.uint8)
    Image.fromarray(spots).resize((160, 128), Image.Resampling.BICUBIC).save(folder / "scan.png")
    shelf.ok("ingest", folder / "scan.png")
    (made,) = shelf.ok("animate", "scan", "--regions", drawn(folder / "drawn.json", REGION, HAIR), *QUICK)["made"]
    return shelf, made, folder / "scan.png"


def test_a_learned_clip_verifies_is_made_again_and_says_what_moved_it(told: tuple[Shelf, dict[str, Any], Path]):
    shelf, made, _ = told
    assert shelf.ok("verify", made["ref"])["findings"] == []
    assert shelf.ok("reproduce", made["ref"])["identical"]
    record = shelf.ok("show", made["ref"])["record"]
    (step,) = record["steps"]
    assert step["digital_source_type"] == "compositeWithTrainedAlgorithmicMedia"
    assert "has learnt it from simulations" in step["description"]
    assert [model["name"] for model in record["environment"]["models"]] == ["motion-spectra"]
    assert record["environment"]["determinism"] == "same-machine"
    assert "Not learnt, and moved by the procedural source: hair." in record["notes"]
    assert set(step["survey"]["moves"]) == {"grass", "hair"}


def test_it_warps_the_still_in_its_regions_and_leaves_the_rest(told: tuple[Shelf, dict[str, Any], Path]):
    _, made, picture = told
    folder, videos = Path(made["path"]).parent, FileVideos(1)
    exact = np.stack(list(videos.frames(folder / "frames.mkv")))
    flags = np.stack(list(videos.frames(folder / "synthesis-map.mkv", maps=True)))
    still = np.asarray(Image.open(picture).convert("RGB"))
    free = (flags & PixelFlag.HUMAN) == 0
    changed = (exact != still).any(axis=-1)
    assert not (changed & free & ((flags & PixelFlag.MOVED) == 0)).any()
    moved = ((flags & PixelFlag.MOVED) > 0).any(axis=0)
    assert moved[48:60, 20:140].mean() > 0.95  # the label lies below
    assert not moved[32:38].any()
    assert changed[:, 48:60, 20:140].mean() > 0.5


def test_it_moves_otherwise_than_noise_does(told: tuple[Shelf, dict[str, Any], Path], tmp_path: Path):
    shelf, made, _ = told
    words = ("--seconds", "1", "--size", "source", "--amplitude", "0.6")
    (other,) = shelf.ok("animate", "scan", "--regions", drawn(tmp_path / "drawn.json", REGION, HAIR), *words)["made"]
    digests = [json.loads((Path(one["path"]).parent / "frames.json").read_text())["frames"][5] for one in (made, other)]
    assert digests[0] != digests[1]
    assert shelf.ok("show", other["ref"])["record"]["environment"]["models"] == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--motion", "learned"), "the learned source moves regions, and none were given"),
        (("--motion", "learned", "--camera", "closer"), "the learned source moves regions"),
    ],
)
def test_without_regions_it_is_refused(words: tuple[str, ...], said: str, told: tuple[Shelf, dict[str, Any], Path]):
    refused = told[0].run("animate", "scan", *words, "--seconds", "1", "--size", "source")
    assert refused.code != 0
    assert said in refused.out + refused.err


def test_without_the_model_it_is_refused_in_one_line(
    told: tuple[Shelf, dict[str, Any], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    shelf, _, _ = told
    whole, none = shipped.shipped, tmp_path / "none"
    none.mkdir()
    monkeypatch.setattr(shipped, "shipped", lambda name: none if name == "models" else whole(name))
    refused = shelf.run("animate", "scan", "--regions", drawn(tmp_path / "drawn.json", REGION), *QUICK)
    assert refused.code != 0
    assert "there is no model 'motion-spectra' here" in refused.out + refused.err
