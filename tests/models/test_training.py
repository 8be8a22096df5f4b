"""Every training script still works: fifty steps on a few generated pictures, and it goes on where it was stopped."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from archive_restore.adapters.models import FolderModels
from archive_restore.records.findings import Severity
from tests.support.prefork import forge

pytest.importorskip("torch")

Python = Callable[..., None]

MODELS = Path(__file__).parents[2] / "models"
SCRIPTS = MODELS / "training"
PICTURES = Path(__file__).parents[1] / "photographs" / "open"


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six pictures with a manifest, as models/training/photographs.py leaves them."""
    folder = tmp_path_factory.mktemp("photographs")
    (folder / "pictures").mkdir()
    rng, rows = np.random.Generator(np.random.Philox(key=9)), []
    for number, split in enumerate(("train", "train", "train", "validation", "validation", "test")):
        rough = Image.fromarray(rng.integers(0, 255, (14, 18, 3), np.uint8)).resize(
            (420, 340), Image.Resampling.BICUBIC
        )
        grain = rng.normal(0, 6, (340, 420, 3))
        pixels = np.clip(np.asarray(rough, np.float64) + grain, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "pictures" / f"p{number}.png")
        rows.append(
            {"id": f"p{number}", "split": split, "gray": False, "width": 420, "height": 340, "sha256": f"{number}"}
        )
    (folder / "manifest.json").write_text(json.dumps(rows))
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where trainings lie, one folder each: what one test trained another may measure."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Python]:
    """Runs a script; torch is loaded for all of them once."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as place, forge(Path(place)) as made:

        def run(script: Path, *words: str) -> None:
            ran = subprocess.run(
                made.words(script, *words), capture_output=True, text=True, env=environment, timeout=240
            )
            assert ran.returncode == 0, ran.stderr[-2000:]

        yield run


def train(python: Python, script: str, photographs: Path, out: Path, steps: int, *more: str) -> list[dict[str, float]]:
    size = ["--batch", "2", "--crop", "64", "--size", "96", "--threads", "1"]
    size += ["--begin", "1", "--keep", "2", "--every", "40", "--validation", "8"]
    words = ["--photographs", str(photographs), "--out", str(out), "--steps", str(steps), *size, *more]
    python(SCRIPTS / script, *words)
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["damage", "fill", "denoise", "colour"])
def test_fifty_steps(name: str, python: Python, photographs: Path, runs: Path) -> None:
    script, out = f"train_{name}.py", runs / name
    told = train(python, script, photographs, out, 50)
    assert told[-1]["step"] == 50
    losses = [line["loss"] for line in told if "loss" in line]
    assert losses
    assert np.isfinite(losses).all()
    assert (out / "checkpoint.pt").is_file()
    if name == "damage":  # how a run goes on is the same code for all
        again = train(python, script, photographs, out, 60, "--resume")
        assert again[-1]["step"] == 60


@pytest.mark.slow
@pytest.mark.parametrize("name", ["damage", "fill", "colour"])
def test_what_was_trained_becomes_a_model_with_numbers(
    name: str, python: Python, photographs: Path, runs: Path, tmp_path: Path
) -> None:
    out = runs / name
    if not (out / "checkpoint.pt").is_file():
        train(python, f"train_{name}.py", photographs, out, 10)
    folder, opened = tmp_path / name, tmp_path / "open"
    folder.mkdir()
    opened.mkdir()
    written = next(path for path in (MODELS / name / "card.json", SCRIPTS / f"{name}_card.json") if path.exists())
    card = json.loads(written.read_text())
    for gone in ("results", "calibration", "selftest"):
        card.pop(gone, None)
    (folder / "card.json").write_text(json.dumps(card | {"results": []}))
    shutil.copyfile(PICTURES / "allium-oreophilum.jpg", opened / "whole.jpg")
    Image.open(opened / "whole.jpg").crop((300, 300, 620, 560)).save(opened / "whole.jpg", quality=95)
    common = ["--photographs", str(photographs), "--pool", str(tmp_path / "pool"), "--examples", "8"]
    for script, *more in (
        ("export.py", name, "--checkpoint", str(out / "checkpoint.pt"), "--out", str(folder)),
        ("evaluate.py", name, "--model", str(folder), "--open", str(opened), "--threads", "1", "--frame", "256"),
    ):
        python(SCRIPTS / script, *more, *common)
    made = json.loads((folder / "card.json").read_text())
    assert len(made["results"]) >= 3
    assert sum(source["count"] for source in made["training"]["sources"]) == 3
    assert json.loads((folder / "photographs.json").read_text())
    findings = [f for f in FolderModels(tmp_path).verify([name]) if f.severity is Severity.ERROR]
    assert findings == []


@pytest.mark.slow
def test_motion_is_simulated_learnt_and_becomes_a_model(python: Python, tmp_path: Path) -> None:
    data, run, out = tmp_path / "data", tmp_path / "run", tmp_path / "motion-spectra"
    for split in ("train", "held"):
        words = ["--to", str(data), "--split", split, "--kinds", "foliage", "--count", "2", "--seconds", "16"]
        python(SCRIPTS / "motion_data.py", *words)
    small = ["--data", str(data), "--out", str(run), "--batch", "2", "--threads", "1"]
    small += ["--depth", "2", "--codes", "32", "--width", "48", "--layers", "1"]
    for part, more in (("coder", ["--free", "20"]), ("prior", [])):
        for steps, again in ((50, []), (52, ["--resume"])):
            python(SCRIPTS / "train_motion.py", part, *small, *more, "--steps", str(steps), *again)
        told = [json.loads(line) for line in (run / part / "log.jsonl").read_text().splitlines()]
        assert [line["step"] for line in told if any(name.endswith("_held") for name in line)] == [50, 52]
        assert np.isfinite([line["loss"] for line in told if "loss" in line]).all()
    python(SCRIPTS / "export_motion.py", "--run", str(run), "--data", str(data), "--out", str(out))
    card = json.loads((out / "card.json").read_text())
    assert [(source["name"], source["count"]) for source in card["training"]["sources"]] == [
        ("simulated foliage, spectra", 2)
    ]
    assert [f for f in FolderModels(tmp_path).verify(["motion-spectra"]) if f.severity is Severity.ERROR] == []
