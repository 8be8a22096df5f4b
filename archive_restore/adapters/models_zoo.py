"""Networks of the architectures that spandrel knows, from safetensors or torch checkpoints of plain tensors.

spandrel finds the architecture by the names and shapes of the tensors; the card must say the same. Pictures go in and
come out in [0, 1].
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

from archive_restore.adapters.models_card import CONVERT, LARGEST_WEIGHTS, Refused, check_numbers
from archive_restore.adapters.models_torch import (
    TorchNetwork,
    choose_device,
    kinds_of,
    library,
    read_safetensors,
    torch_library,
)
from archive_restore.core.model_contracts import plane_count
from archive_restore.records.models import InstalledModel, ModelCard, Planes, Task, WeightsFormat

INSTALL = "pip install 'archive-restore[zoo]'"


def load(model: InstalledModel, data: bytes, device: str) -> TorchNetwork:
    """A network of spandrel's with these weights; raise Refused where they are no such network or the card errs."""
    torch = torch_library()
    spandrel = library("spandrel", INSTALL)
    card = model.card
    safe = card.weights.format is WeightsFormat.SAFETENSORS
    state = read_safetensors(data) if safe else read_checkpoint(torch, data)
    chosen = choose_device(torch, device)
    try:
        tensors = spandrel.canonicalize_state_dict(dict(state))
        found = spandrel.ModelLoader(device=chosen).load_from_state_dict(tensors)
    except Exception as exc:
        reason = str(exc) or type(exc).__name__
        raise Refused("MODEL_WEIGHTS_MISMATCH", f"has weights that spandrel cannot use: {reason}") from exc
    _check(card, found, isinstance(found, spandrel.MaskedImageModelDescriptor))
    numbers = {name: value for name, value in tensors.items() if isinstance(value, torch.Tensor)}
    check_numbers(card, kinds_of(numbers), sum(p.numel() for p in found.model.parameters()))
    found.model.float().eval().requires_grad_(False)
    return TorchNetwork(
        model,
        _one_by_one(torch, found, masked=card.task is Task.INPAINTING),
        torch=torch,
        device=chosen,
        role=f"networks of spandrel {spandrel.__version__}",
    )


def read_checkpoint(torch: Any, data: bytes) -> Mapping[str, Any]:
    """The tensors of a `.pth`; raise Refused where it holds anything else."""
    if data.startswith(b"PK\x03\x04"):
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                size = sum(member.file_size for member in archive.infolist())
        except (zipfile.BadZipFile, OSError, ValueError) as exc:
            raise Refused("MODEL_WEIGHTS_UNREADABLE", f"has weights that are no whole checkpoint: {exc}") from exc
        if size > LARGEST_WEIGHTS:
            raise Refused("MODEL_WEIGHTS_UNREADABLE", f"has weights that swell to {size} bytes")
    try:
        state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as exc:
        raise Refused(
            "MODEL_WEIGHTS_PICKLED",
            f"has a checkpoint that is damaged or holds more than plain tensors ({type(exc).__name__}), "
            "and reading a pickle can run any program",
            CONVERT,
        ) from exc
    if not isinstance(state, Mapping):
        raise Refused("MODEL_WEIGHTS_UNREADABLE", f"has a checkpoint that holds {type(state).__name__}, not tensors")
    return state


def _check(card: ModelCard, found: Any, takes_mask: bool) -> None:
    wants_mask = card.task is Task.INPAINTING
    told = {
        "architecture": (card.architecture.name, str(found.architecture.id)),
        "kind": tuple("inpainting" if masked else "picture to picture" for masked in (wants_mask, takes_mask)),
        "scale": (card.output.scale, found.scale),
        "number of picture planes that go in": (plane_count(card.input.planes) - wants_mask, found.input_channels),
        "number of planes that come out": (plane_count(card.output.planes), found.output_channels),
    }
    for what, (said, real) in told.items():
        if said != real:
            raise Refused("MODEL_WEIGHTS_MISMATCH", f"differs from its card: the {what} is {real}, not {said}")
    groups: tuple[Planes, ...] = (*card.input.planes, *card.output.planes)
    if any((group.minimum, group.maximum) != (0, 1) for group in groups):
        raise Refused("MODEL_WEIGHTS_MISMATCH", "differs from its card: all planes of spandrel's models are in 0 to 1")


def _one_by_one(torch: Any, found: Any, *, masked: bool) -> Callable[[Any], Any]:
    """spandrel takes one picture a call; a mask comes as an argument of its own."""

    def run(planes: Any) -> Any:
        made = [
            found(planes[i : i + 1, :-1], planes[i : i + 1, -1:]) if masked else found(planes[i : i + 1])
            for i in range(planes.shape[0])
        ]
        return torch.cat(made)

    return run
