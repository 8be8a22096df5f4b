"""Trained models in folders, one a model: `models/` of this program and `models/` of the archive (port Models).

A folder holds `card.json`, the weights, and the manifest of the training data where the card names one. What a card
says is checked, not believed. An added model never takes the name of a shipped one, and pickles are never read.
"""

from __future__ import annotations

import importlib
import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from archive_restore.adapters.durable import copy_hashed, storage_errors, sync_directory, sync_paths
from archive_restore.adapters.models_card import (
    CARD,
    NotInstalled,
    Refused,
    installed,
    read_card,
    read_weights,
    weights_path,
)
from archive_restore.core.model_contracts import self_test_input, self_test_problem, smallest_frame
from archive_restore.errors import ModelUnusable, StorageConflict
from archive_restore.ports import Models, Network
from archive_restore.records.findings import Finding, Severity
from archive_restore.records.models import InstalledModel, Library, ModelCard, ModelOrigin

FOLDER = "models"
"""Name of the folder in an archive."""
STAGED = "model-"
"""How the names of what is being added or removed begin in `work/`."""
_SEED = 0
"""Of the input on which a model without a self-test is tried."""

_LOADERS: Mapping[Library, str] = MappingProxyType(
    {
        Library.OWN: "archive_restore.adapters.models_torch",
        Library.ONNX: "archive_restore.adapters.models_onnx",
        Library.SPANDREL: "archive_restore.adapters.models_zoo",
    }
)
"""Module with `load(model, data, device)` for each library; imported when the first model needs it."""


class FolderModels(Models):
    """Models in the folders of two places."""

    def __init__(self, shipped: Path, archive: Path | None = None) -> None:
        """`shipped` holds the program's models; `archive` is the archive's root, None where there is none."""
        self._shipped, self._archive = shipped, archive
        self._loaded: dict[tuple[str, str], Network] = {}
        self._turn = threading.Lock()

    def cards(self) -> tuple[InstalledModel, ...]:
        """See ports.Models."""
        found = []
        for folder, origin in self._folders().values():
            try:
                found.append(installed(folder, origin))
            except Refused:  # told by verify
                continue
        return tuple(found)

    def card(self, name: str) -> InstalledModel:
        """See ports.Models."""
        folder, origin = self._find(name)
        try:
            return installed(folder, origin)
        except Refused as exc:
            raise _unusable(name, exc) from exc

    def load(self, name: str, device: str = "auto") -> Network:
        """See ports.Models. A network is loaded once and kept as long as the archive is open."""
        with self._turn:
            key = (name, device)
            if key not in self._loaded:
                model = self.card(name)
                try:
                    self._loaded[key] = _network(model, device)
                except Refused as exc:
                    raise _unusable(name, exc) from exc
            return self._loaded[key]

    def verify(self, names: Sequence[str] | None = None, *, deep: bool = True) -> Iterator[Finding]:
        """See ports.Models."""
        folders = self._folders()
        chosen = list(folders) if names is None else [self._find(name)[0].name for name in names]
        for name in chosen:
            folder, origin = folders[name]
            try:
                _examine(installed(folder, origin), deep=deep)
            except Refused as exc:
                yield _finding(name, exc)
        if names is None:
            yield from self._shadowing()

    def add(self, card: Path, weights: Path) -> InstalledModel:
        """See ports.Models. The manifest and the list of layers that a card names are taken from beside it."""
        if self._archive is None:
            raise ModelUnusable("a model is added to an archive, and there is none here", hint="Give -A DIR")
        try:
            told, _ = read_card(card)
        except Refused as exc:
            raise ModelUnusable(f"the model of {str(card)!r} {exc.message}", hint=exc.hint) from exc
        if told.name in self._names(self._shipped):
            raise StorageConflict(
                f"a model {told.name!r} ships with this program", hint="Give the model another name in its card"
            )
        home = self._archive / FOLDER
        target = home / told.name
        if target.exists():
            raise StorageConflict(
                f"there is a model {told.name!r} in this archive",
                hint=f"Remove it first with: archive-restore models remove {told.name}",
            )
        self._stage(told, card, weights, target)
        return installed(target, ModelOrigin.ADDED)

    def _stage(self, told: ModelCard, card: Path, weights: Path, target: Path) -> None:
        """Copy into `work/`, check the copy, and only then let it appear."""
        assert self._archive is not None
        staging = self._archive / "work" / f"{STAGED}{told.name}" / told.name
        with storage_errors("writing", staging):
            shutil.rmtree(staging.parent, ignore_errors=True)
            staging.mkdir(parents=True)
        try:
            files = {CARD: card, told.weights.file: weights}
            structure = told.weights.structure.file if told.weights.structure else ""
            files |= {name: card.parent / name for name in (told.training.manifest, structure) if name}
            for name, source in files.items():
                copy_hashed(source, staging / name)
            try:
                _examine(installed(staging, ModelOrigin.ADDED), deep=True)
            except Refused as exc:
                raise _unusable(told.name, exc) from exc
            sync_paths([*staging.iterdir(), staging])
            with storage_errors("writing", target):
                target.parent.mkdir(exist_ok=True)
                staging.rename(target)
            sync_paths([target.parent, self._archive])
        finally:
            shutil.rmtree(staging.parent, ignore_errors=True)

    def remove(self, name: str) -> None:
        """See ports.Models."""
        if self._archive is None or self._added is None or name not in self._names(self._added):
            self._find(name)
            raise ModelUnusable(f"the model {name!r} ships with this program", hint="Only added models can be removed")
        folder = self._added / name
        gone = self._archive / "work" / f"{STAGED}{name}"
        with storage_errors("removing", folder):
            shutil.rmtree(gone, ignore_errors=True)
            folder.rename(gone)
            sync_directory(folder.parent)
            shutil.rmtree(gone)

    def _folders(self) -> dict[str, tuple[Path, ModelOrigin]]:
        """Folder and origin of every model by name; a shipped one hides an added one of its name."""
        found: dict[str, tuple[Path, ModelOrigin]] = {}
        for home, origin in ((self._added, ModelOrigin.ADDED), (self._shipped, ModelOrigin.SHIPPED)):
            if home is not None:
                found |= {name: (home / name, origin) for name in self._names(home)}
        return dict(sorted(found.items()))

    @property
    def _added(self) -> Path | None:
        return self._archive / FOLDER if self._archive is not None else None

    def _names(self, home: Path) -> list[str]:
        """Folders of models. Beside the shipped ones lies what made them; what lies in an archive must be a model."""
        try:
            return sorted(
                path.name
                for path in home.iterdir()
                if path.is_dir() and (home != self._shipped or (path / CARD).exists())
            )
        except FileNotFoundError:
            return []
        except OSError as exc:
            raise ModelUnusable(f"the models in {str(home)!r} cannot be listed: {exc.strerror}") from exc

    def _find(self, name: str) -> tuple[Path, ModelOrigin]:
        folders = self._folders()
        if name not in folders:
            raise ModelUnusable(
                f"there is no model {name!r} here", hint="See: archive-restore models list; or add it with: models add"
            )
        return folders[name]

    def _shadowing(self) -> Iterator[Finding]:
        for name in sorted(set(self._names(self._shipped)) & set(self._names(self._added) if self._added else ())):
            yield Finding(
                code="MODEL_NAME_SHADOWS",
                severity=Severity.ERROR,
                subject=name,
                message="A model of the archive has a shipped one's name and is passed over. Give it another: "
                "take it out with `models remove`, change its card, add it again.",
            )


def _network(model: InstalledModel, device: str) -> Network:
    """Read, hash and load; raise Refused."""
    data = read_weights(weights_path(model), model.card.weights)
    loader = importlib.import_module(_LOADERS[model.card.architecture.library])
    made = loader.load(model, data, device)
    assert isinstance(made, Network)
    return made


def _examine(model: InstalledModel, *, deep: bool) -> None:
    """Check one model whose card has been read against schema and itself; raise Refused at the first problem.

    1. the manifest of the training data lies beside the card;
    2. the weights are there;
    3. the weights are no pickle, have the digest of the card, and load strictly into the architecture (deep);
    4. noise of the smallest size gives what the card promises, that of the self-test the values it names (deep).
    """
    card = model.card
    # 1.
    if card.training.manifest and not (Path(model.folder) / card.training.manifest).is_file():
        raise Refused("MODEL_MANIFEST_MISSING", f"has no {card.training.manifest!r}, the list of its training data")
    # 2.
    path = weights_path(model)
    if not path.is_file():
        raise Refused("MODEL_WEIGHTS_MISSING", f"has no file {path.name!r}", "Install or add it again")
    if not deep:
        return
    # 3.
    network = _network(model, "cpu")
    # 4.
    seed, (height, width) = _SEED, smallest_frame(card.input)
    if card.selftest is not None:
        seed, height, width = card.selftest.seed, card.selftest.height, card.selftest.width
    try:
        made = network.predict(self_test_input(card, seed, height, width))
    except ModelUnusable as exc:
        raise Refused("MODEL_CONTRACT_BROKEN", f"does not do what its card says: {exc}") from exc
    problem = self_test_problem(card, made)
    if problem:
        raise Refused("MODEL_SELFTEST_DIFFERS", f"fails its self-test: {problem}")


def _finding(name: str, refused: Refused) -> Finding:
    optional = isinstance(refused, NotInstalled)
    hint = f" {refused.hint}." if refused.hint else ""
    return Finding(
        code=refused.code,
        severity=Severity.INFO if optional else Severity.ERROR,
        subject=name,
        message=f"The model {refused.message}.{hint}",
    )


def _unusable(name: str, refused: Refused) -> ModelUnusable:
    return ModelUnusable(f"the model {name!r} {refused.message}", hint=refused.hint)
