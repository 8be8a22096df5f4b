"""The ports Network and Models, and what their adapters promise beyond them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archive_restore.adapters import models_torch
from archive_restore.adapters.models import FolderModels
from archive_restore.adapters.models_onnx import OnnxNetwork
from archive_restore.core.canonical import from_plain
from archive_restore.core.model_contracts import FloatPlanes, self_test_input
from archive_restore.errors import ModelUnusable, StorageConflict, StorageFailed
from archive_restore.ports import Models, Network
from archive_restore.records.findings import Severity
from archive_restore.records.models import InstalledModel, ModelCard, ModelOrigin
from archive_restore.records.provenance import Determinism, SoftwareAgent
from tests.support.tiny_models import (
    blurred,
    card,
    graph_card,
    onnx_blur,
    safetensors_blur,
    write_model,
)

torch = pytest.importorskip("torch")
pytest.importorskip("onnxruntime")


def noise(*shape: int) -> FloatPlanes:
    return np.random.default_rng(5).random(shape, np.float32)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    root = tmp_path / "archive"
    (root / "work").mkdir(parents=True)
    return root


# --- Network -----------------------------------------------------------------------------------------


class NetworkConformance:
    """What every network does, whoever runs it. Its card is the blur of tests.support.tiny_models."""

    @pytest.fixture
    def network(self, tmp_path: Path) -> Network:
        raise NotImplementedError

    def test_it_computes_what_its_weights_say(self, network: Network):
        planes = noise(2, 1, 33, 40)
        made = network.predict(planes)
        assert made.dtype == np.float32
        assert np.abs(made - blurred(planes)).max() < 1e-6

    def test_it_leaves_its_argument_alone(self, network: Network):
        planes = noise(1, 1, 16, 16)
        before = planes.copy()
        planes.setflags(write=False)
        network.predict(planes)
        assert (planes == before).all()

    def test_it_takes_views(self, network: Network):
        planes = noise(1, 1, 64, 64)
        view = planes[:, :, 10:50:2, ::-1]
        assert np.abs(network.predict(view) - blurred(view)).max() < 1e-6

    def test_a_second_run_gives_the_same_bits(self, network: Network):
        planes = noise(1, 1, 70, 61)
        assert (network.predict(planes) == network.predict(planes)).all()

    def test_threads_do_not_change_the_bits(self, network: Network):
        tiles = [noise(1, 1, 40 + i, 50) for i in range(12)]
        alone = [network.predict(tile) for tile in tiles]
        with ThreadPoolExecutor(4) as pool:
            together = list(pool.map(network.predict, tiles))
        assert all((a == b).all() for a, b in zip(alone, together, strict=True))

    def test_what_does_not_fit_is_one_line(self, network: Network):
        for planes in (noise(1, 2, 8, 8), noise(1, 8, 8), noise(1, 1, 8, 8) * 7, noise(1, 1, 8, 8).astype(np.float64)):
            with pytest.raises(ModelUnusable, match="cannot take its input") as refused:
                network.predict(planes)
            assert "\n" not in str(refused.value)

    def test_it_says_what_it_is(self, network: Network):
        assert network.card is network.model.card
        assert network.device == "cpu"
        assert network.determinism is Determinism.SAME_MACHINE
        assert network.agent.version
        assert "cpu" in network.agent.role
        assert network.model.use.sha256 == network.card.weights.sha256


class TestOnnxNetwork(NetworkConformance):
    @pytest.fixture
    def network(self, tmp_path: Path) -> Network:
        data = onnx_blur()
        write_model(tmp_path / "tiny-blur", card(data), data)
        return FolderModels(tmp_path).load("tiny-blur", "cpu")


class TestOwnNetwork(NetworkConformance):
    @pytest.fixture
    def network(self, tmp_path: Path) -> Network:
        data = safetensors_blur()
        write_model(tmp_path / "tiny-blur", graph_card(data), data)
        return FolderModels(tmp_path).load("tiny-blur", "cpu")


class TestHalfWeights(NetworkConformance):
    """Weights of 16 bits are computed with in 32; those of the blur lose nothing."""

    @pytest.fixture
    def network(self, tmp_path: Path) -> Network:
        data = safetensors_blur("float16")
        write_model(tmp_path / "tiny-blur", graph_card(data, weights__dtype="float16"), data)
        return FolderModels(tmp_path).load("tiny-blur", "cpu")


class Broken(Network):
    """A network that does whatever a test wants."""

    def __init__(self, outcome: Any) -> None:
        self._outcome = outcome

    model = property(  # type: ignore[assignment]
        lambda _: InstalledModel(
            card=from_plain(ModelCard, card(b"")), card_sha256="", origin=ModelOrigin.ADDED, folder=""
        )
    )
    device = "cpu"  # type: ignore[assignment]
    determinism = Determinism.SAME_MACHINE  # type: ignore[assignment]
    agent = SoftwareAgent(name="none", version="0", role="none")  # type: ignore[assignment]

    def _predict(self, planes: FloatPlanes) -> FloatPlanes:
        if isinstance(self._outcome, BaseException):
            raise self._outcome
        made: FloatPlanes = self._outcome
        return made


@pytest.mark.parametrize(
    "outcome",
    [
        RuntimeError("first line\nsecond line"),
        ValueError(),
        np.zeros((1, 1, 4, 4), np.float32),
        np.full((1, 1, 8, 8), np.nan, np.float32),
        None,
    ],
)
def test_whatever_a_library_does_becomes_one_error(outcome: Any):
    with pytest.raises(ModelUnusable, match="the model 'tiny-blur' failed on cpu") as refused:
        Broken(outcome).predict(noise(1, 1, 8, 8))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("outcome", [MemoryError(), KeyboardInterrupt(), StorageFailed("full")])
def test_what_is_not_the_model_s_fault_passes_through(outcome: BaseException):
    with pytest.raises(type(outcome)):
        Broken(outcome).predict(noise(1, 1, 8, 8))


# --- Models ------------------------------------------------------------------------------------------


class ModelsConformance:
    """What every implementation of Models does; `models` has `shipped-blur` and room for more."""

    @pytest.fixture
    def models(self, tmp_path: Path) -> Models:
        raise NotImplementedError

    @pytest.fixture
    def given(self, tmp_path: Path) -> tuple[Path, Path]:
        data = onnx_blur()
        path = write_model(tmp_path / "given", card(data), data)
        return path, path.with_name("weights.onnx")

    def test_cards_are_in_order_of_names(self, models: Models, given: tuple[Path, Path]):
        assert [model.card.name for model in models.cards()] == ["shipped-blur"]
        models.add(*given)
        assert [model.card.name for model in models.cards()] == ["shipped-blur", "tiny-blur"]

    def test_an_added_model_is_there(self, models: Models, given: tuple[Path, Path]):
        added = models.add(*given)
        assert added.origin is ModelOrigin.ADDED
        assert added == models.card("tiny-blur")
        assert added.card_sha256 == hashlib.sha256(given[0].read_bytes()).hexdigest()
        assert list(models.verify()) == []
        assert models.load("tiny-blur").model == added
        assert given[0].exists() and given[1].exists()

    def test_a_name_is_taken_once(self, models: Models, given: tuple[Path, Path]):
        models.add(*given)
        with pytest.raises(StorageConflict, match="models remove tiny-blur"):
            models.add(*given)

    def test_a_removed_model_is_gone(self, models: Models, given: tuple[Path, Path]):
        models.add(*given)
        models.remove("tiny-blur")
        assert [model.card.name for model in models.cards()] == ["shipped-blur"]
        models.add(*given)

    def test_a_shipped_model_stays(self, models: Models):
        with pytest.raises(ModelUnusable, match="ships with this program"):
            models.remove("shipped-blur")

    def test_unknown_names_are_told(self, models: Models):
        for call in (models.card, models.load, models.remove, lambda name: list(models.verify([name]))):
            with pytest.raises(ModelUnusable, match=r"there is no model '\.\./etc'"):
                call("../etc")

    def test_a_device_that_is_not_there_is_refused(self, models: Models):
        assert models.load("shipped-blur", "auto").device in ("cpu", "cuda", "mps")
        with pytest.raises(ModelUnusable, match="no device 'abacus'"):
            models.load("shipped-blur", "abacus")


class TestFolderModels(ModelsConformance):
    @pytest.fixture
    def models(self, tmp_path: Path, archive: Path) -> Models:
        data = safetensors_blur()
        write_model(tmp_path / "shipped" / "shipped-blur", graph_card(data, name="shipped-blur"), data)
        (tmp_path / "shipped" / "training").mkdir()
        (tmp_path / "shipped" / "README.md").touch()
        return FolderModels(tmp_path / "shipped", archive)


def test_the_models_of_this_program_are_what_their_cards_say():
    from archive_restore.app import shipped_models

    models = shipped_models()
    assert [f for f in models.verify() if f.severity is not Severity.INFO] == []
    with pytest.raises(ModelUnusable, match="-A DIR"):
        models.add(Path("card.json"), Path("weights"))


def test_the_name_of_a_shipped_model_is_not_given_twice(tmp_path: Path, archive: Path):
    data = onnx_blur()
    write_model(tmp_path / "shipped" / "tiny-blur", card(data), data)
    path = write_model(tmp_path / "given", card(data, version="2"), data)
    models = FolderModels(tmp_path / "shipped", archive)
    with pytest.raises(StorageConflict, match="ships with this program"):
        models.add(path, path.with_name("weights.onnx"))
    shutil.copytree(tmp_path / "given", archive / "models" / "tiny-blur")
    assert models.card("tiny-blur").card.version == "1"
    assert [finding.code for finding in models.verify()] == ["MODEL_NAME_SHADOWS"]
    models.remove("tiny-blur")
    assert list(models.verify()) == []
    assert models.card("tiny-blur").origin is ModelOrigin.SHIPPED


def test_the_list_of_training_data_comes_along(tmp_path: Path, archive: Path):
    data = onnx_blur()
    path = write_model(tmp_path / "given", card(data, training__manifest="manifest.csv"), data)
    (tmp_path / "given" / "manifest.csv").write_text("file\nnone\n")
    added = FolderModels(tmp_path / "shipped", archive).add(path, path.with_name("weights.onnx"))
    assert sorted(p.name for p in Path(added.folder).iterdir()) == ["card.json", "manifest.csv", "weights.onnx"]


def test_weights_may_come_under_any_name(tmp_path: Path, archive: Path):
    data = onnx_blur()
    path = write_model(tmp_path / "given", card(data), data)
    other = path.with_name("download (3).bin")
    path.with_name("weights.onnx").rename(other)
    added = FolderModels(tmp_path / "shipped", archive).add(path, other)
    assert (Path(added.folder) / "weights.onnx").read_bytes() == data


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch):
    data = onnx_blur()
    path = write_model(tmp_path / "given", card(data), data)
    models = FolderModels(tmp_path / "shipped", archive)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    for name in ("mkdir", "rename"):
        with monkeypatch.context() as broken:
            broken.setattr(Path, name, full)
            with pytest.raises(StorageFailed, match="No space left"):
                models.add(path, path.with_name("weights.onnx"))
        assert models.cards() == ()
        assert list((archive / "work").iterdir()) == []
    models.add(path, path.with_name("weights.onnx"))


def test_weights_are_hashed_when_they_are_loaded(tmp_path: Path):
    data = onnx_blur()
    write_model(tmp_path / "tiny-blur", card(data), data)
    models = FolderModels(tmp_path)
    assert isinstance(models.load("tiny-blur"), OnnxNetwork)
    (tmp_path / "tiny-blur" / "weights.onnx").write_bytes(data.replace(b"gray", b"grey"))
    with pytest.raises(ModelUnusable, match="other weights than its card says"):
        FolderModels(tmp_path).load("tiny-blur")


def test_a_model_is_loaded_once(tmp_path: Path):
    data = onnx_blur()
    write_model(tmp_path / "tiny-blur", card(data), data)
    models = FolderModels(tmp_path)
    found: list[Network] = []
    threads = [threading.Thread(target=lambda: found.append(models.load("tiny-blur"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(network) for network in found}) == 1


def test_one_bad_card_does_not_hide_the_others(tmp_path: Path):
    data = onnx_blur()
    write_model(tmp_path / "tiny-blur", card(data), data)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "card.json").write_text("{")
    models = FolderModels(tmp_path)
    assert [model.card.name for model in models.cards()] == ["tiny-blur"]
    assert [(f.subject, f.code) for f in models.verify(deep=False)] == [("broken", "MODEL_CARD_UNREADABLE")]
    assert list(models.verify(["tiny-blur"])) == []


def test_the_self_test_of_a_card_is_run(tmp_path: Path):
    data = safetensors_blur()
    told = graph_card(data)
    meant = blurred(self_test_input(from_plain(ModelCard, told), 3, 16, 12))
    values = [{"plane": 0, "row": 4, "column": 11, "value": float(meant[0, 0, 4, 11])}]
    told["selftest"] = {"seed": 3, "height": 16, "width": 12, "values": values, "tolerance": 1e-6}
    path = write_model(tmp_path / "tiny-blur", told, data)
    assert list(FolderModels(tmp_path).verify()) == []
    values[0]["value"] += 1e-4
    path.write_text(json.dumps(told))
    (finding,) = FolderModels(tmp_path).verify()
    assert finding.code == "MODEL_SELFTEST_DIFFERS"
    assert f"{meant[0, 0, 4, 11]:.5f}"[:6] in finding.message


# --- what is not installed ---------------------------------------------------------------------------


class Absent:
    """An import hook that hides a library, as if it were not installed or broken."""

    def __init__(self, name: str, problem: Exception | None = None) -> None:
        self._name, self._problem = name, problem

    def find_spec(self, name: str, *_: object) -> None:
        if name == self._name:
            raise self._problem or ModuleNotFoundError(f"No module named {name!r}", name=name)


def hide(monkeypatch: pytest.MonkeyPatch, name: str, problem: Exception | None = None) -> None:
    for module in [module for module in sys.modules if module == name or module.startswith(f"{name}.")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setattr(sys, "meta_path", [Absent(name, problem), *sys.meta_path])


@pytest.mark.parametrize("problem", [None, RuntimeError("operator torchvision::nms does not exist")])
@pytest.mark.parametrize(
    ("library", "told", "command"),
    [
        ("onnxruntime", card(b"x"), "pip install 'archive-restore[onnx]'"),
        (
            "spandrel",
            card(b"x", architecture__library="spandrel", weights__format="pth", weights__file="weights.pth"),
            "pip install 'archive-restore[zoo]'",
        ),
    ],
)
def test_an_absent_library_names_the_command_that_installs_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    library: str,
    told: Mapping[str, Any],
    command: str,
    problem: Exception | None,
):
    write_model(tmp_path / "tiny-blur", told, b"x")
    hide(monkeypatch, library, problem)
    models = FolderModels(tmp_path)
    with pytest.raises(ModelUnusable, match="Install it with: ") as refused:
        models.load("tiny-blur")
    assert str(refused.value).endswith(f"Install it with: {command}")
    assert "not installed" in str(refused.value) if problem is None else "does not load: operator" in str(refused.value)
    (finding,) = models.verify()
    assert (finding.code, finding.severity) == ("MODEL_LIBRARY_MISSING", Severity.ERROR)
    assert list(models.verify(deep=False)) == []


def distribution(folder: Path, files: Mapping[str, bytes], version: str = "2.0") -> None:
    """A folder that, on the search path, holds an installed distribution `someones-weights`."""
    info = folder / f"someones_weights-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: someones-weights\nVersion: {version}\n")
    for name, data in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(data)
    (info / "RECORD").write_text("".join(f"{name},,\n" for name in files))


def test_weights_of_an_optional_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    data = onnx_blur()
    told = card(
        data,
        weights__file="someones/blur.onnx",
        weights__distribution="someones-weights",
        weights__extra="enhance",
    )
    path = tmp_path / "shipped" / "tiny-blur" / "card.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(told))
    models = FolderModels(tmp_path / "shipped")
    (finding,) = models.verify()
    assert (finding.code, finding.severity) == ("MODEL_NOT_INSTALLED", Severity.INFO)
    with pytest.raises(ModelUnusable, match=r"pip install 'archive-restore\[enhance\]'"):
        models.load("tiny-blur")
    distribution(tmp_path / "site", {"someones/blur.onnx": data})
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert list(models.verify()) == []
    assert np.abs(models.load("tiny-blur").predict(noise(1, 1, 9, 9)) - blurred(noise(1, 1, 9, 9))).max() < 1e-6


def test_a_package_that_carries_other_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Only what the distribution itself lists is read, so that a card cannot name a file elsewhere."""
    data = onnx_blur()
    (tmp_path / "secret").write_bytes(data)
    told = card(data, weights__file="../secret", weights__distribution="someones-weights", weights__extra="enhance")
    path = tmp_path / "shipped" / "tiny-blur" / "card.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(told))
    distribution(tmp_path / "site", {"someones/blur.onnx": data})
    monkeypatch.syspath_prepend(tmp_path / "site")
    (finding,) = FolderModels(tmp_path / "shipped").verify()
    assert finding.code == "MODEL_WEIGHTS_MISSING"
    assert "someones-weights 2.0 carries no '../secret'" in finding.message


# --- devices -----------------------------------------------------------------------------------------


class Machine:
    """As much of torch as the choice of a device asks."""

    def __init__(self, *there: str) -> None:
        self.cuda = type("cuda", (), {"is_available": staticmethod(lambda: "cuda" in there)})
        mps = type("mps", (), {"is_available": staticmethod(lambda: "mps" in there)})
        self.backends = type("backends", (), {"mps": mps})


@pytest.mark.parametrize(
    ("there", "taken"), [((), "cpu"), (("mps",), "mps"), (("cuda",), "cuda"), (("mps", "cuda"), "cuda")]
)
def test_auto_takes_the_best_device_that_is_there(there: tuple[str, ...], taken: str):
    assert models_torch.choose_device(Machine(*there), "auto") == taken
    assert models_torch.choose_device(Machine(*there), "cpu") == "cpu"


def test_a_device_for_torch_that_is_not_there():
    with pytest.raises(ModelUnusable, match="There is mps, cpu; or use auto"):
        models_torch.choose_device(Machine("mps"), "cuda")


def test_torch_is_set_to_repeat_itself():
    found = models_torch.torch_library()
    assert found.get_num_threads() == models_torch.THREADS
    assert found.are_deterministic_algorithms_enabled()
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"]
