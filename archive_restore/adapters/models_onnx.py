"""Networks in ONNX files, run by onnxruntime: one provider, one thread a tile, nothing loaded from elsewhere.

The planes of the card are dealt out to the file's inputs in their order; several outputs, or one that is no frame,
become planes of one by one pixel, one output after the other. Frames may come as (n · frames, c, h, w) or as
(n, frames, c, h, w).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from archive_restore.adapters.models_card import Refused, check_numbers
from archive_restore.adapters.models_onnx_parts import OnnxDamaged, numbers
from archive_restore.adapters.models_torch import THREADS, LocalNetwork, library
from archive_restore.core.model_contracts import FloatPlanes, plane_count
from archive_restore.errors import ModelUnusable
from archive_restore.records.models import Extent, InputContract, InstalledModel, ModelCard
from archive_restore.records.provenance import Determinism, Json, SoftwareAgent

INSTALL = "pip install 'archive-restore[onnx]'"
PROVIDERS = {"cuda": "CUDAExecutionProvider", "mps": "CoreMLExecutionProvider", "cpu": "CPUExecutionProvider"}
"""In the order in which `auto` takes them."""
_INPUT_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
_FATAL = 4
"""onnxruntime's least talkative level: what goes wrong is told by us, in one line."""


class OnnxNetwork(LocalNetwork):
    """One session of onnxruntime."""

    def __init__(self, model: InstalledModel, session: Any, *, version: str, device: str) -> None:
        """`session` has been held against the card."""
        super().__init__(model, device)
        self._session, self._version = session, version
        self._inputs, self._outputs = _inputs(model.card, session), _outputs(model.card, session)

    @property
    def determinism(self) -> Determinism:
        """The same on the same machine; providers for graphics processors promise nothing."""
        return Determinism.SAME_MACHINE if self._device == "cpu" else Determinism.CLOSE

    @property
    def agent(self) -> SoftwareAgent:
        """See ports.Network."""
        how = f", {THREADS} thread a tile" if self._device == "cpu" else ""
        return SoftwareAgent(name="onnxruntime", version=self._version, role=f"networks on {self._device}{how}")

    def _predict(self, planes: FloatPlanes) -> FloatPlanes:
        fixed = any(isinstance(put.shape[0], int) for put, _ in self._inputs)
        parts = [planes[i : i + 1] for i in range(len(planes))] if fixed else [planes]
        with self._turn:
            return np.concatenate([self._run(part) for part in parts])

    def _run(self, planes: FloatPlanes) -> FloatPlanes:
        fed, first = {}, 0
        for put, channels in self._inputs:
            fed[put.name] = np.ascontiguousarray(planes[:, first : first + channels], _INPUT_TYPES[put.type])
            first += channels
        made = [np.asarray(part, np.float32) for part in self._session.run(self._outputs, fed)]
        card = self._model.card
        if card.output.frames > 1 and made[0].ndim == 5 and made[0].shape[:2] == (len(planes), card.output.frames):
            return made[0].reshape(-1, *made[0].shape[2:])
        if card.output.extent is Extent.FRAME or (len(made) == 1 and made[0].ndim == 4):
            return made[0]
        return np.concatenate([part.reshape(len(planes), -1, 1, 1) for part in made], axis=1)


def load(model: InstalledModel, data: bytes, device: str) -> OnnxNetwork:
    """A session of these weights; raise Refused where they are no ONNX model or not the one of the card."""
    onnxruntime = library("onnxruntime", INSTALL)
    _check_numbers(model.card, data)
    chosen = _choose_device(onnxruntime, device)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = THREADS
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.use_deterministic_compute = True
    options.log_severity_level = _FATAL
    try:
        session = onnxruntime.InferenceSession(data, options, providers=[PROVIDERS[chosen]])
    except Exception as exc:
        raise Refused("MODEL_WEIGHTS_UNREADABLE", f"has weights that onnxruntime cannot load: {exc}") from exc
    real = next(name for name, provider in PROVIDERS.items() if provider in session.get_providers())
    if real != chosen and device != "auto":
        raise ModelUnusable(f"onnxruntime cannot use the device {device!r} here", hint="Use --device auto")
    return OnnxNetwork(model, session, version=str(onnxruntime.__version__), device=real)


def _choose_device(onnxruntime: Any, wanted: str) -> str:
    """As models_torch.choose_device, of what this build of onnxruntime has providers for."""
    there = [name for name, provider in PROVIDERS.items() if provider in onnxruntime.get_available_providers()]
    if wanted == "auto":
        return there[0]
    if wanted not in there:
        raise ModelUnusable(
            f"there is no device {wanted!r} for onnxruntime here",
            hint=f"There is {', '.join(there)}; or use auto",
        )
    return wanted


def _check_numbers(card: ModelCard, data: bytes) -> None:
    try:
        kinds = numbers(data)
    except OnnxDamaged as exc:
        raise Refused("MODEL_WEIGHTS_UNREADABLE", str(exc)) from exc
    kinds.pop("other", None)  # shapes and indices
    check_numbers(card, kinds, sum(kinds.values()))


def _inputs(card: ModelCard, session: Any) -> list[tuple[Any, int]]:
    """The file's inputs and how many planes each takes; raise Refused where that is not what the card says."""
    puts = _named(card.architecture.parameters.get("inputs"), session.get_inputs(), "input")
    planes = plane_count(card.input.planes)
    dealt: list[tuple[Any, int]] = []
    for put in puts:
        if put.type not in _INPUT_TYPES or len(put.shape) != 4:
            raise _differs(f"the input {put.name!r} is {put.type} {put.shape}, not float (n, c, h, w)")
        # An input that does not say how many channels it has takes what the others leave.
        channels = put.shape[1] if isinstance(put.shape[1], int) else planes - sum(count for _, count in dealt)
        dealt.append((put, channels))
        _check_size(card.input, put)
    if sum(channels for _, channels in dealt) != planes or any(channels < 1 for _, channels in dealt):
        told = ", ".join(f"{put.name!r} of {channels}" for put, channels in dealt)
        raise _differs(f"the inputs are {told} planes, the card says {planes} in all")
    return dealt


def _check_size(contract: InputContract, put: Any) -> None:
    for size, only in zip(put.shape[2:], (contract.height, contract.width), strict=True):
        if isinstance(size, int) and size != only and (contract.minimum_size, contract.maximum_size) != (size, size):
            raise _differs(f"the input {put.name!r} has the fixed size {size}, and minimum and maximum must say so")


def _outputs(card: ModelCard, session: Any) -> list[str]:
    puts = _named(card.architecture.parameters.get("outputs"), session.get_outputs(), "output")
    if card.output.extent is Extent.FRAME and len(puts) != 1:
        raise _differs(f"there are {len(puts)} outputs, and a frame is one; name it in architecture.parameters.outputs")
    return [put.name for put in puts]


def _named(names: Json, puts: list[Any], what: str) -> list[Any]:
    """The inputs or outputs that the card names, in its order; all where it names none."""
    if names is None:
        return puts
    known = {put.name: put for put in puts}
    if not isinstance(names, tuple) or not all(isinstance(name, str) and name in known for name in names):
        raise _differs(f"the {what}s are {', '.join(map(repr, known))}, the card names {names!r}")
    if what == "input" and len(names) != len(known):
        raise _differs(f"the inputs are {', '.join(map(repr, known))}, and the card does not name all")
    return [known[str(name)] for name in names]


def _differs(what: str) -> Refused:
    return Refused("MODEL_WEIGHTS_MISMATCH", f"differs from its card: {what}")
