"""Every bad model ends in its finding, in a one-line refusal where it is wanted or added, and never runs."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest

from archive_restore.adapters.models import FolderModels
from archive_restore.errors import ModelUnusable, SourceUnreadable, StorageConflict
from archive_restore.records.findings import Severity
from tests.support import bad_models
from tests.support.tiny_models import graph_card, write_model

pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

CASES = {case.folder: case for case in bad_models.cases()}
SECONDS = 5.0


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    """The models of a program that ships one, `shipped-blur`."""
    home = tmp_path / "shipped"
    write_model(home / "shipped-blur", graph_card(bad_models.BLUR, name="shipped-blur"), bad_models.BLUR)
    return home


@pytest.fixture(autouse=True)
def _libraries_loaded() -> None:
    """Importing torch takes its time once a process; that is not a property of any model."""
    import onnxruntime  # noqa: F401
    import torch  # noqa: F401


@pytest.mark.parametrize("folder", sorted(CASES))
def test_a_bad_model_gives_its_finding(folder: str, shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    models = FolderModels(shipped, bad_models.FOLDER / folder)
    start = time.perf_counter()
    (finding,) = models.verify()
    assert time.perf_counter() - start < SECONDS
    assert finding.code == CASES[folder].code
    assert finding.severity is Severity.ERROR
    assert finding.subject in {path.name for path in (bad_models.FOLDER / folder / "models").iterdir()}
    assert "\n" not in finding.message
    assert not (tmp_path / "unpickled").exists()


@pytest.mark.parametrize("folder", sorted(name for name, case in CASES.items() if "SHADOWS" not in case.code))
def test_a_bad_model_is_not_loaded(folder: str, shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Only what shows when it runs is found later: by the port, when the first tile goes through."""
    monkeypatch.chdir(tmp_path)
    models = FolderModels(shipped, bad_models.FOLDER / folder)
    (name,) = (path.name for path in (bad_models.FOLDER / folder / "models").iterdir())
    late = ("MODEL_CONTRACT_BROKEN", "MODEL_SELFTEST_DIFFERS", "MODEL_MANIFEST_MISSING")
    if CASES[folder].code in late:
        assert models.load(name).card.name == name
        return
    with pytest.raises(ModelUnusable) as refused:
        models.load(name)
    assert "\n" not in str(refused.value)
    assert name in str(refused.value)
    assert not (tmp_path / "unpickled").exists()


ADDABLE = sorted(name for name, case in CASES.items() if case.code not in ("MODEL_NAME_WRONG", "MODEL_WEIGHTS_MISSING"))
"""A model that is added gets its folder's name from its card, and its weights are a file."""


@pytest.mark.parametrize("folder", ADDABLE)
def test_a_bad_model_is_not_added(folder: str, shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    archive = tmp_path / "archive"
    (archive / "work").mkdir(parents=True)
    given = shutil.copytree(bad_models.FOLDER / folder / "models", tmp_path / "given")
    (place,) = given.iterdir()
    (weights,) = (path for path in place.iterdir() if path.name != "card.json")
    with pytest.raises((ModelUnusable, StorageConflict, SourceUnreadable)) as refused:
        FolderModels(shipped, archive).add(place / "card.json", weights)
    assert "\n" not in str(refused.value)
    assert not (archive / "models").exists()
    assert list((archive / "work").iterdir()) == []
    assert not (tmp_path / "unpickled").exists()


def test_committed_models_are_what_the_script_makes():
    found = {
        path.relative_to(bad_models.FOLDER).as_posix(): path.read_bytes()
        for path in bad_models.FOLDER.rglob("*")
        if path.is_file()
    }
    made = {f"{case.folder}/models/{name}": data for case in CASES.values() for name, data in case.files.items()}
    assert found == made
    assert len({case.code for case in CASES.values()}) >= 14


def test_the_good_model_beside_them_is_good(shipped: Path):
    """The bad ones fail for what their folder says, not for something they share."""
    models = FolderModels(shipped)
    assert list(models.verify()) == []
    assert [model.card.name for model in models.cards()] == ["shipped-blur"]


def test_a_pickle_is_refused_with_how_to_convert_it(shipped: Path):
    models = FolderModels(shipped, bad_models.FOLDER / "MODEL_WEIGHTS_PICKLED_torch_save")
    with pytest.raises(ModelUnusable, match=r"safetensors first: docs/how-to/add-a-model\.md") as refused:
        models.load("tiny-blur")
    assert refused.value.exit_code == 22


def test_a_safetensors_file_that_begins_like_a_pickle_is_none(tmp_path: Path):
    """The first byte is that of the header's length: 0x80, and 0x02 next, for headers of 640 bytes."""
    data = bad_models.BLUR
    length = int.from_bytes(data[:8], "little")
    header = data[8 : 8 + length].rstrip() + b" " * (0x280 - len(data[8 : 8 + length].rstrip()))
    longer = (0x280).to_bytes(8, "little") + header + data[8 + length :]
    assert longer[:2] == b"\x80\x02"
    write_model(tmp_path / "tiny-blur", graph_card(longer), longer)
    assert list(FolderModels(tmp_path).verify()) == []


def test_weights_that_are_no_file_are_refused_at_once(tmp_path: Path):
    import os

    path = write_model(tmp_path / "tiny-blur", graph_card(bad_models.BLUR), b"")
    weights = path.with_name("weights.safetensors")
    for make in (os.mkfifo, os.mkdir):
        weights.unlink()
        make(weights)
        (finding,) = FolderModels(tmp_path).verify()
        assert finding.code == "MODEL_WEIGHTS_MISSING"
        with pytest.raises(ModelUnusable, match=r"something else than a file|cannot be read"):
            FolderModels(tmp_path).load("tiny-blur")
        os.rmdir(weights) if weights.is_dir() else None
        weights.touch()


def test_a_card_of_megabytes_is_not_read(tmp_path: Path):
    path = write_model(tmp_path / "tiny-blur", graph_card(bad_models.BLUR), bad_models.BLUR)
    told = json.loads(path.read_text())
    path.write_text(json.dumps({**told, "made": "x" * (5 << 20)}))
    (finding,) = FolderModels(tmp_path).verify()
    assert finding.code == "MODEL_CARD_UNREADABLE"
