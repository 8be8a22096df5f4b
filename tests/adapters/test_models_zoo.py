"""The door to the architectures of spandrel, against a stand-in (tests.support.fake_spandrel)."""

from __future__ import annotations

import io
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archive_restore.adapters.models import FolderModels
from archive_restore.adapters.models_card import LARGEST_WEIGHTS, Refused
from archive_restore.adapters.models_zoo import read_checkpoint
from archive_restore.ports import Network
from tests.adapters.test_models import NetworkConformance
from tests.support.tiny_models import KERNEL, blurred, card, write_model

torch = pytest.importorskip("torch")

RGB = {"meaning": "rgb", "count": 3, "minimum": 0, "maximum": 1}
MASK = {"meaning": "mask", "minimum": 0, "maximum": 1}


@pytest.fixture(autouse=True)
def _spandrel(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.support import fake_spandrel

    monkeypatch.setitem(sys.modules, "spandrel", fake_spandrel.module())


def blur(channels: int = 1, scale: int = 1) -> dict[str, Any]:
    return {
        "conv.weight": torch.from_numpy(KERNEL.copy())[None, None].repeat(channels, 1, 1, 1),
        **({"scale_of_this": torch.tensor(scale)} if scale > 1 else {}),
    }


def checkpoint(state: Any, **options: Any) -> bytes:
    made = io.BytesIO()
    torch.save(state, made, **options)
    return made.getvalue()


def zoo_card(data: bytes, **changes: Any) -> dict[str, Any]:
    told = {
        "architecture": {"library": "spandrel", "name": "Blur"},
        "weights__format": "pth",
        "weights__file": "weights.pth",
        "weights__parameters": None,
        **changes,
    }
    return card(data, **told)


def network(folder: Path, data: bytes, **changes: Any) -> Network:
    write_model(folder / "tiny-blur", zoo_card(data, **changes), data)
    return FolderModels(folder).load("tiny-blur", "cpu")


def refusal(folder: Path, data: bytes, **changes: Any) -> str:
    write_model(folder / "tiny-blur", zoo_card(data, **changes), data)
    (finding,) = FolderModels(folder).verify()
    return f"{finding.code} {finding.message}"


class TestZooNetwork(NetworkConformance):
    @pytest.fixture
    def network(self, tmp_path: Path) -> Network:
        return network(tmp_path, checkpoint(blur()))


class TestZooNetworkFromSafetensors(NetworkConformance):
    @pytest.fixture
    def network(self, tmp_path: Path) -> Network:
        import safetensors.torch

        data = safetensors.torch.save(blur())
        return network(tmp_path, data, weights__format="safetensors", weights__file="weights.safetensors")


def test_the_library_is_named_with_its_version(tmp_path: Path):
    agent = network(tmp_path, checkpoint(blur())).agent
    assert (agent.name, agent.version) == ("torch", torch.__version__)
    assert agent.role.startswith("networks of spandrel 0.4.2 on cpu")


@pytest.mark.parametrize("options", [{}, {"_use_new_zipfile_serialization": False}])
def test_checkpoints_of_old_and_new_torch(tmp_path: Path, options: dict[str, Any]):
    planes = np.random.default_rng(0).random((1, 1, 9, 9), np.float32)
    found = network(tmp_path, checkpoint({"params_ema": blur()}, **options))
    assert np.abs(found.predict(planes) - blurred(planes)).max() < 1e-6


def test_super_resolution(tmp_path: Path):
    planes = np.random.default_rng(0).random((2, 3, 9, 8), np.float32)
    found = network(
        tmp_path, checkpoint(blur(3, 2)),
        task="super-resolution", input__planes=[RGB], output={"planes": [RGB], "scale": 2},
    )  # fmt: skip
    made = found.predict(planes)
    assert made.shape == (2, 3, 18, 16)
    assert np.abs(made[:, :, ::2, 1::2] - blurred(planes)).max() < 1e-6


def test_inpainting(tmp_path: Path):
    planes = np.random.default_rng(0).random((2, 4, 9, 8), np.float32)
    found = network(
        tmp_path, checkpoint({"share": torch.ones(1)}),
        task="inpainting", architecture__name="MeanFill", input__planes=[RGB, MASK], output__planes=[RGB],
    )  # fmt: skip
    image, mask = planes[:, :3], planes[:, 3:]
    meant = image + (image.mean((2, 3), keepdims=True) - image) * mask
    assert np.abs(found.predict(planes) - meant).max() < 1e-6


@pytest.mark.parametrize(
    ("state", "changes", "says"),
    [
        (blur(), {"architecture__name": "SCUNet"}, "the architecture is Blur, not SCUNet"),
        (blur(1, 2), {}, "the scale is 2, not 1"),
        (blur(3), {}, "picture planes that go in is 3, not 1"),
        ({"share": torch.ones(1)}, {"architecture__name": "MeanFill"}, "the kind is inpainting, not picture"),
        (
            {"share": torch.ones(1)},
            {"architecture__name": "MeanFill", "input__planes": [RGB], "output__planes": [RGB]},
            "the kind is inpainting, not picture to picture",
        ),
        (
            blur(3),
            {"task": "inpainting", "input__planes": [RGB, MASK], "output__planes": [RGB]},
            "the kind is picture to picture, not inpainting",
        ),
        (blur(), {"input__planes": [{"meaning": "gray", "minimum": 0, "maximum": 255}]}, "are in 0 to 1"),
        (blur(), {"weights__dtype": "float16"}, "has weights of float32"),
        (blur(), {"weights__parameters": 3}, "has 9 trained numbers"),
        ({"other": torch.ones(1)}, {}, "spandrel cannot use: UnsupportedModelError"),
        ({"conv.weight": torch.ones(1, 1, 5, 5)}, {}, "spandrel cannot use: Error(s) in loading state_dict"),
    ],
)
def test_weights_that_are_not_those_of_the_card(
    tmp_path: Path, state: dict[str, Any], changes: dict[str, Any], says: str
):
    said = refusal(tmp_path, checkpoint(state), **changes)
    assert said.startswith("MODEL_WEIGHTS_MISMATCH")
    assert says in said
    assert "\n" not in said


# --- checkpoints -------------------------------------------------------------------------------------


class Touch:
    """Unpickles into a call that leaves a file in the working directory."""

    def __reduce__(self) -> tuple[Any, tuple[str, str]]:
        return open, ("unpickled", "w")


@pytest.mark.parametrize(
    "state",
    [Touch(), {"conv.weight": torch.ones(1), "extra": Touch()}, torch.nn.Conv2d(1, 1, 3)],
    ids=["a call", "a call beside weights", "a module"],  # the same in every worker process
)
@pytest.mark.parametrize("options", [{}, {"_use_new_zipfile_serialization": False}])
def test_a_checkpoint_with_a_program_in_it_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: Any, options: dict[str, Any]
):
    monkeypatch.chdir(tmp_path)
    said = refusal(tmp_path, checkpoint(state, **options))
    assert said.startswith("MODEL_WEIGHTS_PICKLED")
    assert "Convert it to safetensors first: docs/how-to/add-a-model.md" in said
    assert not Path("unpickled").exists()


def test_checkpoints_that_are_damaged(tmp_path: Path):
    good = checkpoint(blur())
    assert refusal(tmp_path, good[:-40]).startswith("MODEL_WEIGHTS_UNREADABLE")
    assert refusal(tmp_path, b"no checkpoint").startswith("MODEL_WEIGHTS_PICKLED")
    assert "holds Tensor, not tensors" in refusal(tmp_path, checkpoint(torch.ones(3)))


def test_a_checkpoint_that_swells_is_refused():
    """A ZIP of a few bytes may claim any size."""
    more = io.BytesIO()
    with zipfile.ZipFile(more, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(3):
            archive.writestr(f"archive/data/{number}", bytes(1 << 10))
    swollen = bytearray(more.getvalue())
    at = -1
    while (at := swollen.find(b"PK\x01\x02", at + 1)) >= 0:
        swollen[at + 24 : at + 28] = (LARGEST_WEIGHTS // 2).to_bytes(4, "little")
    with pytest.raises(Refused, match="swell"):
        read_checkpoint(torch, bytes(swollen))
