"""Networks of our own run by torch: architectures of archive_restore.imaging.networks, weights from safetensors.

On the processor one thread works on a tile, so that rounding does not depend on how many there are; other tiles run
beside it. torch is set to its deterministic algorithms, for the whole process, when the first network is loaded.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import os
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np

from archive_restore.adapters import ncnn
from archive_restore.adapters.models_card import Refused, check_numbers, read_structure
from archive_restore.core.model_contracts import FloatPlanes
from archive_restore.errors import ModelUnusable
from archive_restore.imaging import networks
from archive_restore.ports import Network
from archive_restore.records.models import InstalledModel, WeightsFormat
from archive_restore.records.provenance import Determinism, SoftwareAgent

THREADS = 1
"""Threads inside one call; recorded with the library."""
DEVICES = ("cuda", "mps", "cpu")
"""In the order in which `auto` takes them."""


def library(name: str, command: str) -> Any:
    """Import a library late; raise Refused saying how to install it."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as exc:
        if exc.name == name:
            raise _absent(f"needs {name}, which is not installed", command) from exc
        raise _absent(f"needs {name}, which does not load: {exc}", command) from exc
    except Exception as exc:
        raise _absent(f"needs {name}, which does not load: {exc}", command) from exc


def _absent(message: str, command: str) -> Refused:
    return Refused("MODEL_LIBRARY_MISSING", message, f"Install it with: {command}")


def torch_library() -> Any:
    """torch, set up so that a second run gives the same; raise Refused."""
    # cuBLAS reads this once, before its first use (CUDA toolkit, "Results reproducibility").
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch = library("torch", "pip install torch")
    torch.set_num_threads(THREADS)
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # nothing here reads what it has not written
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    return torch


@cache
def _c_library() -> Any:
    """The C library where it can give memory back (glibc), or None."""
    try:
        found = ctypes.CDLL(None)
        return found if hasattr(found, "malloc_trim") else None
    except OSError:
        return None


def _give_back() -> None:
    """Return what the layers of a network used to the system: each thread's heap would keep all of it for itself."""
    library = _c_library()
    if library is not None:
        library.malloc_trim(0)


def choose_device(torch: Any, wanted: str) -> str:
    """The device to use; raise ModelUnusable where the wanted one is not there."""
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if wanted == "auto":
        return next(device for device in DEVICES if present[device])
    if not present.get(wanted, False):
        there = ", ".join(device for device in DEVICES if present[device])
        raise ModelUnusable(f"there is no device {wanted!r} for torch here", hint=f"There is {there}; or use auto")
    return wanted


class LocalNetwork(Network):
    """A network on one device of this machine."""

    def __init__(self, model: InstalledModel, device: str) -> None:
        self._model, self._device = model, device
        # Queues of graphics processors are not meant to be filled by several threads.
        self._turn = threading.Lock() if device != "cpu" else contextlib.nullcontext()

    @property
    def model(self) -> InstalledModel:
        """See ports.Network."""
        return self._model

    @property
    def device(self) -> str:
        """See ports.Network."""
        return self._device


class TorchNetwork(LocalNetwork):
    """A torch module, or several tensors in and one out."""

    def __init__(
        self,
        model: InstalledModel,
        run: Callable[[Any], Any],
        *,
        torch: Any,
        device: str,
        role: str = "networks",
        channels_last: bool = False,
    ) -> None:
        """`run` takes a float32 tensor (n, c, h, w) on `device` and gives one."""
        super().__init__(model, device)
        self._run, self._torch = run, torch
        self._layout = torch.channels_last if channels_last else torch.contiguous_format
        self._role = role

    @property
    def determinism(self) -> Determinism:
        """The same on the same machine; Metal promises nothing."""
        return Determinism.CLOSE if self._device == "mps" else Determinism.SAME_MACHINE

    @property
    def agent(self) -> SoftwareAgent:
        """See ports.Network."""
        how = f"{THREADS} thread a tile" if self._device == "cpu" else "deterministic algorithms"
        return SoftwareAgent(
            name="torch", version=str(self._torch.__version__), role=f"{self._role} on {self._device}, {how}"
        )

    def _predict(self, planes: FloatPlanes) -> FloatPlanes:
        torch = self._torch
        given = np.require(planes, np.float32, ["C", "W"])
        with self._turn, torch.inference_mode():
            made = self._run(torch.from_numpy(given).to(self._device).contiguous(memory_format=self._layout))
            kept: FloatPlanes = made.float().contiguous().cpu().numpy()
            del made
        if self._device == "cpu":
            _give_back()
        return kept


def load(model: InstalledModel, data: bytes, device: str) -> TorchNetwork:
    """A network of our own with these weights; raise Refused where they do not fit it, strictly."""
    torch = torch_library()
    architecture = model.card.architecture
    try:
        module: Any = networks.build(architecture.name, architecture.parameters)
    except KeyError:
        raise Refused(
            "MODEL_ARCHITECTURE_UNKNOWN", f"is of the architecture {architecture.name!r}, which is not known here"
        ) from None
    except Exception as exc:
        raise Refused(
            "MODEL_WEIGHTS_MISMATCH", f"gives parameters that {architecture.name!r} does not take: {exc}"
        ) from exc
    state = _state(torch, model, data, module)
    try:
        module.load_state_dict(state, strict=True)
    except RuntimeError as exc:
        raise Refused("MODEL_WEIGHTS_MISMATCH", f"has weights that do not fit {architecture.name!r}: {exc}") from exc
    check_numbers(model.card, kinds_of(state), sum(p.numel() for p in module.parameters()))
    chosen = choose_device(torch, device)
    module = module.float().eval().requires_grad_(False).to(chosen, memory_format=torch.channels_last)
    return TorchNetwork(model, module, torch=torch, device=chosen, channels_last=True)


def _state(torch: Any, model: InstalledModel, data: bytes, module: Any) -> Mapping[str, Any]:
    """Tensors by name as the weights file has them; raise Refused where it is damaged."""
    if model.card.weights.format is not WeightsFormat.NCNN:
        return read_safetensors(data)
    shapes = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    arrays = ncnn.state_dict(read_structure(model), data, shapes)
    return {name: torch.from_numpy(array.astype(array.dtype.newbyteorder("="))) for name, array in arrays.items()}


def read_safetensors(data: bytes) -> Mapping[str, Any]:
    """Tensors by name; raise Refused where the file is damaged."""
    safetensors = library("safetensors.torch", "pip install safetensors")
    try:
        state: Mapping[str, Any] = safetensors.load(data)
    except Exception as exc:
        raise Refused("MODEL_WEIGHTS_UNREADABLE", f"has weights that are no whole safetensors file: {exc}") from exc
    return state


def kinds_of(state: Mapping[str, Any]) -> Mapping[str, int]:
    """How many numbers of each dtype some tensors hold."""
    kinds: Counter[str] = Counter()
    for tensor in state.values():
        kinds[str(tensor.dtype).removeprefix("torch.")] += tensor.numel()
    return kinds
