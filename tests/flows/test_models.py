"""Trained models in restorations: what is recorded of them everywhere, made again, and told when they change."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import encypher_c2pa
import numpy as np
import pytest
import tifffile
from lxml import etree
from PIL import Image

from tests.conftest import Ran, Shelf
from tests.support import model_step
from tests.support.scans import write_scan, write_scratch_map
from tests.support.tiny_models import blurred, card, graph_card, onnx_blur, safetensors_blur, write_model

pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

ROOT = Path(__file__).resolve().parents[2]
Given = tuple[Path, Path]


@pytest.fixture(params=["onnx", "own"])
def given(request: pytest.FixtureRequest, tmp_path: Path) -> Given:
    """Card and weights of a model, in either form."""
    return write(tmp_path / "given", request.param)


def write(folder: Path, kind: str, **changes: Any) -> Given:
    data = onnx_blur() if kind == "onnx" else safetensors_blur()
    told = (card if kind == "onnx" else graph_card)(data, **changes)
    path = write_model(folder, told, data)
    return path, path.with_name(told["weights"]["file"])


@pytest.fixture
def desk(shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """An archive with the items `one` and `two` that admits the step `soften` of another package."""
    site = model_step.install(tmp_path / "site")
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("PYTHONPATH", f"{site}:{ROOT}")
    model_step.admit(shelf.root)
    shelf.ok("ingest", write_scan(tmp_path / "one.tif", seed=1), write_scan(tmp_path / "two.tif", seed=2))
    (tmp_path / "softened.json").write_text(json.dumps(model_step.RECIPE))
    return shelf


def restore(desk: Shelf, tmp_path: Path, *words: str | Path) -> Any:
    drawn = write_scratch_map(tmp_path / "drawn.png")
    options = ("--recipe", tmp_path / "softened.json", "--damage-map", drawn)
    (made,) = desk.ok("restore", "one", *options, *words)["made"]
    return made


# --- a restoration with a model ----------------------------------------------------------------------


def test_everything_that_leaves_names_the_model(desk: Shelf, tmp_path: Path, given: Given):
    model = desk.ok("models", "add", *given)["model"]
    made = restore(desk, tmp_path)
    assert made["pixels"]["SYNTHESIZED"] > 0
    files = desk.files(made["ref"])

    # The derivation.
    derivation = json.loads(files["derivation.json"].read_bytes())
    (used,) = derivation["environment"]["models"]
    assert used == {key: model[key] for key in ("name", "version", "sha256", "card_sha256", "licence")}
    assert (derivation["environment"]["device"], derivation["environment"]["determinism"]) == ("cpu", "same-machine")
    assert derivation["steps"][0]["survey"]["models"] == ["tiny-blur"]
    libraries = {agent["name"]: agent["role"] for agent in derivation["environment"]["agents"]}
    library = "onnxruntime" if given[1].suffix == ".onnx" else "torch"
    assert libraries[library] == "networks on cpu, 1 thread a tile"

    # The C2PA manifest, read by a stranger.
    told = encypher_c2pa.verify(
        str(made["path"]), "image/tiff", trust_pem=(desk.root / "keys" / "anchors.pem").read_text(),
        no_default_trust=True, telemetry=False, online=False,
    )  # fmt: skip
    assert str(told["validation_state"]).lower() == "trusted"
    (ingredient,) = (found for found in ingredients(Path(made["path"])) if found["title"] == "tiny-blur 1")
    assert ingredient["relationship"] == "inputTo"
    assert ingredient["data_types"][0]["type"] == "c2pa.types.model"
    assert model["sha256"] in ingredient["description"]
    assert model["card_sha256"] in ingredient["description"]

    # PREMIS.
    premis = etree.parse(files["premis.xml"])
    (element,) = premis.iterfind(".//{*}model")
    assert dict(element.attrib) == {
        "name": "tiny-blur", "version": "1", "sha256": model["sha256"], "cardSha256": model["card_sha256"],
        "licence": "CC0-1.0",
    }  # fmt: skip
    assert f"trained model, weights sha256 {model['sha256']}" in etree.tostring(premis, encoding="unicode")

    # The report.
    page = files["report.html"].read_text()
    for word in ("tiny-blur", "CC0-1.0", model["sha256"], model["card_sha256"]):
        assert word in page, word

    assert desk.ok("verify", "--all")["ok"]
    again = desk.ok("reproduce", made["ref"])
    assert again["identical"]
    assert again["surveys_identical"]
    assert again["environment_changes"] == []


def ingredients(picture: Path) -> list[Any]:
    """Ingredients of a picture's active manifest."""
    import c2pa

    settings = {"verify": {"verify_trust": False, "remote_manifest_fetch": False, "ocsp_fetch": False}}
    context = c2pa.Context(c2pa.Settings.from_dict(settings))
    with picture.open("rb") as stream, c2pa.Reader("image/tiff", stream, context=context) as reader:
        store = json.loads(reader.json())
    found: list[Any] = store["manifests"][store["active_manifest"]]["ingredients"]
    return found


def test_the_pixels_are_those_of_the_model(desk: Shelf, tmp_path: Path, given: Given):
    """Tiles, halos and depth: what is stored is the blur of the whole picture, computed by numpy."""
    desk.ok("models", "add", *given)
    made = restore(desk, tmp_path)
    master = tifffile.imread(tmp_path / "one.tif")
    derivative = tifffile.imread(made["path"])
    flags = np.asarray(Image.open(desk.files(made["ref"])["synthesis-map.png"]))
    white = np.iinfo(master.dtype).max
    gray = master.astype(np.float64) if master.ndim == 2 else master @ np.array([0.2126, 0.7152, 0.0722])
    meant = blurred((gray / white)[None, None])[0, 0] * white
    changed = flags != 0
    assert changed.any()
    assert (flags[changed] == 0x10).all()
    assert (derivative[~changed] == master[~changed]).all()
    found = derivative if derivative.ndim == 2 else derivative[:, :, 0]
    assert np.abs(found[changed] - meant[changed]).max() <= 1


def test_two_workers_make_what_one_makes(desk: Shelf, tmp_path: Path):
    desk.ok("models", "add", *write(tmp_path / "given", "own"))
    steps = [{"step": "detect_damage", "parameters": {}}, *model_step.RECIPE["steps"]]
    (tmp_path / "softened.json").write_text(json.dumps({**model_step.RECIPE, "steps": steps}))
    options = ("--recipe", tmp_path / "softened.json")

    def pixels() -> list[str]:
        refs = [made["ref"] for made in desk.ok("restore", "one", "two", *options)["made"]]
        return sorted(desk.ok("show", ref)["record"]["products"][0]["pixels_sha256"] for ref in refs)

    alone = pixels()
    config = desk.root / "archive.toml"
    config.write_text(config.read_text().replace("workers = 1", "workers = 2"))
    assert pixels() == alone
    for item in ("one", "two"):
        record = desk.ok("show", f"{item}/restoration@2")["record"]
        assert [model["name"] for model in record["environment"]["models"]] == ["tiny-blur"]


def test_a_dry_run_names_the_models(desk: Shelf, tmp_path: Path, given: Given):
    options = ("restore", "one", "--recipe", tmp_path / "softened.json", "--dry-run")
    ran = desk.run(*options)
    assert ran.code == 22
    assert "there is no model 'tiny-blur' here" in ran.json["error"]["message"]
    model = desk.ok("models", "add", *given)["model"]
    (told,) = desk.ok(*options)["models"]
    assert told["sha256"] == model["sha256"]


def test_a_missing_model_ends_a_batch_at_once(desk: Shelf, tmp_path: Path):
    ran = desk.run("restore", "--all", "--recipe", tmp_path / "softened.json")
    assert (ran.code, ran.json["error"]["class"]) == (22, "ModelUnusable")
    assert "models add" in ran.json["error"]["message"]


def needed(told: list[str]) -> list[str]:
    """Codes or lines without those about optional models, which may be installed or not."""
    return [line for line in told if "MODEL_NOT_INSTALLED" not in line]


def test_damaged_weights_are_told_for_each_item(desk: Shelf, tmp_path: Path, given: Given):
    """What lies in memory was hashed; what lies on disk is hashed by the next command."""
    folder = Path(desk.ok("models", "add", *given)["model"]["folder"])
    weights = folder / given[1].name
    weights.chmod(0o644)
    weights.write_bytes(weights.read_bytes()[:-1])
    ran = desk.run("restore", "--all", "--recipe", tmp_path / "softened.json")
    assert ran.code == 1
    assert [failed["ref"] for failed in ran.json["failed"]] == ["one", "two"]
    assert "other weights than its card says" in ran.json["failed"][0]["error"]
    assert needed(desk.run("models", "verify").codes) == ["MODEL_WEIGHTS_CHANGED"]


def test_a_device_that_is_not_there_fails_in_one_line(desk: Shelf, tmp_path: Path):
    desk.ok("models", "add", *write(tmp_path / "given", "own"))
    torch = pytest.importorskip("torch")
    if torch.backends.mps.is_available():
        pytest.skip("this machine has Metal")
    ran = desk.run("restore", "one", "--recipe", tmp_path / "softened.json", "--device", "mps")
    assert ran.code == 1
    assert "There is " in ran.json["failed"][0]["error"]
    assert restore(desk, tmp_path, "--device", "cpu")["ref"] == "one/restoration@1"


# --- what changed since ------------------------------------------------------------------------------


def test_equal_restorations_are_made_again_when_the_model_changed(desk: Shelf, tmp_path: Path):
    desk.ok("models", "add", *write(tmp_path / "a", "onnx"))
    options = ("restore", "--all", "--recipe", tmp_path / "softened.json")
    assert len(desk.ok(*options)["made"]) == 2
    assert len(desk.ok(*options)["unchanged"]) == 2
    desk.ok("models", "remove", "tiny-blur")
    desk.ok("models", "add", *write(tmp_path / "b", "own"))
    assert len(desk.ok(*options)["made"]) == 2


def test_reproduce_says_which_model_is_missing(desk: Shelf, tmp_path: Path, given: Given):
    model = desk.ok("models", "add", *given)["model"]
    ref = restore(desk, tmp_path)["ref"]
    desk.ok("models", "remove", "tiny-blur")
    ran = desk.run("reproduce", ref)
    assert ran.code == 22
    assert f"made with the model 'tiny-blur' 1, weights sha256 {model['sha256']}" in ran.json["error"]["message"]
    assert "\n" not in ran.json["error"]["message"]
    assert desk.ok("verify", "--all")["ok"]
    desk.ok("models", "add", *given)
    assert desk.ok("reproduce", ref)["identical"]


def test_reproduce_says_which_model_is_another(desk: Shelf, tmp_path: Path):
    first = desk.ok("models", "add", *write(tmp_path / "a", "onnx"))["model"]
    ref = restore(desk, tmp_path)["ref"]
    desk.ok("models", "remove", "tiny-blur")
    data = onnx_blur()
    sharper = data.replace(np.float32(4 / 16).tobytes(), np.float32(8 / 16).tobytes())
    path = write_model(tmp_path / "b", card(sharper, version="2"), sharper)
    second = desk.ok("models", "add", path, path.with_name("weights.onnx"))["model"]
    ran = desk.run("reproduce", ref)
    assert ran.code == 1
    assert ran.json["pixels_different"] > 0
    (told,) = ran.json["environment_changes"]
    assert first["sha256"] in told and second["sha256"] in told
    assert "need the former weights" in told
    assert desk.ok("verify", "--all")["ok"]


def test_reproduce_says_which_card_is_another(desk: Shelf, tmp_path: Path):
    desk.ok("models", "add", *write(tmp_path / "a", "onnx"))
    ref = restore(desk, tmp_path)["ref"]
    desk.ok("models", "remove", "tiny-blur")
    desk.ok("models", "add", *write(tmp_path / "b", "onnx", known_failures=["Softens edges.", "And lettering."]))
    again = desk.ok("reproduce", ref)
    assert again["identical"]
    (told,) = again["environment_changes"]
    assert told.startswith("card of model tiny-blur was sha256 ")


# --- the commands ------------------------------------------------------------------------------------


def test_the_life_of_a_model(shelf: Shelf, command: Callable[..., Ran], given: Given):
    before = [model["name"] for model in shelf.ok("models", "list")["models"]]
    added = shelf.ok("models", "add", *given)["model"]
    assert Path(added["folder"]) == shelf.root / "models" / "tiny-blur"
    assert [m["name"] for m in shelf.ok("models", "list")["models"]] == sorted([*before, "tiny-blur"])
    shown = shelf.ok("models", "show", "tiny-blur")["model"]
    assert shown["card"]["purpose"] == added["purpose"]
    assert {key: shown[key] for key in added} == added
    assert shelf.ok("models", "verify", "tiny-blur", "tiny-blur") == {"ok": True, "subjects": 1, "findings": []}
    for words in (("list",), ("show", "tiny-blur"), ("verify", "tiny-blur")):
        ran = command("-A", shelf.root, "models", *words)
        assert (ran.code, needed(ran.err.splitlines())) == (0, [])
        assert "tiny-blur" in ran.out or "1 model checked" in ran.out
    again = shelf.run("models", "add", *given)
    assert (again.code, again.json["error"]["class"]) == (16, "StorageConflict")
    assert shelf.ok("models", "remove", "tiny-blur") == {"removed": "tiny-blur"}
    assert [model["name"] for model in shelf.ok("models", "list")["models"]] == before
    assert shelf.run("models", "remove", "tiny-blur").code == 22


def test_a_bad_model_is_told_and_not_added(shelf: Shelf, command: Callable[..., Ran], given: Given):
    given[1].write_bytes(b"\x80\x04K\x01.")
    ran = command("-A", shelf.root, "models", "add", *given)
    assert (ran.code, ran.out) == (22, "")
    assert ran.err.count("\n") == 1
    assert "pickled weights" in ran.err and "docs/how-to/add-a-model.md" in ran.err
    assert not (shelf.root / "models").exists()


def test_verify_fails_for_a_damaged_model(shelf: Shelf, command: Callable[..., Ran], given: Given):
    folder = Path(shelf.ok("models", "add", *given)["model"]["folder"])
    (folder / "card.json").chmod(0o644)
    (folder / "card.json").write_text("{}")
    ran = shelf.run("models", "verify")
    assert (ran.code, ran.json["ok"], needed(ran.codes)) == (1, False, ["MODEL_CARD_INVALID"])
    listed = command("-A", shelf.root, "models", "list")
    assert listed.code == 0
    assert "MODEL_CARD_INVALID tiny-blur" in listed.err
    assert shelf.run("models", "remove", "tiny-blur").code == 0
    assert shelf.run("models", "verify").code == 0


def test_models_are_shown_without_an_archive(command: Callable[..., Ran], tmp_path: Path, monkeypatch: Any):
    monkeypatch.chdir(tmp_path)
    ran = command("--json", "models", "list")
    assert ran.code == 0
    assert {model["origin"] for model in ran.json["models"]} <= {"shipped"}
    for model in ran.json["models"]:
        assert command("--json", "models", "show", model["name"]).json["model"]["card"]["name"] == model["name"]
    assert command("--json", "models", "verify").code == 0
    assert command("--json", "-A", tmp_path / "none", "models", "list").code == 10
    assert command("--json", "models", "show", "none").code == 22
    (tmp_path / "x").touch()
    assert command("--json", "models", "add", "x", "x").code == 10


def test_listing_models_loads_no_library(shelf: Shelf, given: Given):
    shelf.ok("models", "add", *given)
    code = (
        "import sys\nfrom archive_restore.cli import main\n"
        f"try:\n    main(['-A', {str(shelf.root)!r}, 'models', 'list'])\n"
        "except SystemExit as end:\n    assert not end.code\n"
        "print([m for m in ('torch', 'onnxruntime', 'safetensors') if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert needed(done.stderr.splitlines()) == ["[]"]


def test_a_crash_while_a_model_is_added_leaves_none(shelf: Shelf, given: Given, monkeypatch: pytest.MonkeyPatch):
    """Killed before the rename: the staging folder is cleared by the next writer, and the model was never there."""
    staged = shelf.root / "work" / "model-tiny-blur" / "tiny-blur"
    staged.mkdir(parents=True)
    (staged / "card.json").write_text("{}")
    assert shelf.ok("models", "verify")["ok"]
    shelf.ok("models", "add", *given)
    assert not staged.parent.exists()
