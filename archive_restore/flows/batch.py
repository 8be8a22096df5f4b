"""Batches: many items, one recipe; resumable, and every failure told with its reason while the rest goes on."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from archive_restore.core.canonical import canonical_bytes, to_plain
from archive_restore.core.planning import (
    BUILT_IN,
    Plan,
    StepContract,
    plan,
    recipe_from_json,
    with_settings,
)
from archive_restore.core.refs import parse_ref
from archive_restore.errors import ArchiveRestoreError, RecipeInvalid, ReferenceUnknown, StorageFailed, UsageError
from archive_restore.flows.commit import load_record
from archive_restore.flows.render import HandFiles, models_of
from archive_restore.flows.restore import Made, Order, prepare, store
from archive_restore.ports import Archive
from archive_restore.records.preservation import PreservationDerivation, PreservationKind, PreservationRef
from archive_restore.records.provenance import Recipe

OrderT = TypeVar("OrderT")
FinishedT = TypeVar("FinishedT")
MadeT = TypeVar("MadeT")


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """Items a command is about."""

    item_ids: tuple[str, ...]
    named: bool
    """Named one by one: a new version is made even where an equal one exists."""


@dataclass(kw_only=True)
class Batch(Generic[MadeT]):
    """What became of every item."""

    made: list[MadeT] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    """REFs of derivatives that exist already, made in the same way from the same bytes."""
    failed: list[tuple[str, str]] = field(default_factory=list)


def load_recipe(archive: Archive, name: str) -> Recipe:
    """A built-in recipe by name, or one from a JSON file; raise RecipeInvalid."""
    if name in BUILT_IN:
        return BUILT_IN[name]
    path = Path(name)
    if not path.is_file():
        known = ", ".join(BUILT_IN)
        raise RecipeInvalid(f"there is no recipe {name!r}", hint=f"Known recipes are {known}; or give a JSON file")
    try:
        text = path.read_text(encoding="utf-8")
        problem = archive.check_document("recipe", json.loads(text))
    except (OSError, ValueError, RecursionError) as exc:
        raise RecipeInvalid(f"the recipe {name!r} is not JSON: {exc}") from exc
    if problem:
        raise RecipeInvalid(f"the recipe {name!r} does not fit its schema: {problem}")
    return recipe_from_json(text, name)


def make_plan(archive: Archive, recipe: str, settings: Sequence[str]) -> Plan:
    """From names and `--set` to a plan in which every parameter is fixed; raise RecipeInvalid."""
    contracts = {
        name: StepContract(name=name, parameters_schema=step.parameters_schema)
        for name, step in archive.preservation_steps().items()
    }
    return plan(with_settings(load_recipe(archive, recipe), settings), contracts, archive.check_parameters)


def choose(archive: Archive, refs: Sequence[str], *, everything: bool, query: str | None, drawn: bool) -> Chosen:
    """The items that REFs, --all or --query name; raise UsageError where the words do not fit together."""
    if sum((bool(refs), everything, query is not None)) != 1:
        raise UsageError("say what to restore", hint="Give REFs, or --all, or --query TEXT")
    if refs:
        item_ids = tuple(dict.fromkeys(_item(archive, ref) for ref in refs))
    else:
        item_ids = tuple(row.item_id for row in archive.catalog.items(query or ""))
    if drawn and len(item_ids) != 1:
        raise UsageError("a hand-drawn map belongs to one master", hint="Give exactly one REF")
    return Chosen(item_ids=item_ids, named=bool(refs))


def restore_many(
    archive: Archive,
    chosen: Chosen,
    planned: Plan,
    hand: HandFiles,
    seed: int,
    progress: Callable[[str], None] = lambda ref: None,
    device: str = "auto",
) -> Batch[Made]:
    """Restore every chosen item; trained models run on `device`.

    An interrupted batch of named items goes on where it stopped when it is given again; with --all or --query an
    equal derivative that exists is not made twice. Raises only what makes going on pointless: a full disk, a model
    that is not here.
    """
    batch: Batch[Made] = Batch()
    models = [(model.card.name, model.card.weights.sha256) for model in models_of(archive, planned.steps)]
    key = _batch_key(chosen, planned, hand, seed, models)
    pending = set(archive.jobs.open_batch(key, chosen.item_ids)) if chosen.named else set(chosen.item_ids)
    orders = []
    for item_id in chosen.item_ids:
        existing = _newest(archive, item_id) if item_id not in pending else ""
        if not chosen.named:
            existing = equal_restoration(archive, item_id, planned, seed, models)
        if existing:
            batch.unchanged.append(existing)
            progress(item_id)
        else:
            orders.append(Order(item_id=item_id, plan=planned, hand=hand, seed=seed, device=device))
    run_batch(archive, batch, key if chosen.named else "", orders, lambda o: o.item_id, prepare, store, progress)
    archive.jobs.close_batch(key)
    return batch


def run_batch(
    archive: Archive,
    batch: Batch[MadeT],
    key: str,
    orders: Sequence[OrderT],
    task_of: Callable[[OrderT], str],
    job: Callable[[Archive, OrderT], FinishedT],
    keep: Callable[[Archive, FinishedT, str], MadeT],
    progress: Callable[[str], None],
) -> None:
    """Carry out orders as they end, commit each and write down what failed, by the name that `task_of` gives it.

    `key` names the batch that remembers what is done; empty where none has to. Raises only StorageFailed, which makes
    going on pointless.
    """
    with contextlib.closing(archive.executor.run(archive, job, orders)) as results:
        for order, finished in results:
            task = task_of(order)
            try:
                if isinstance(finished, ArchiveRestoreError):
                    raise finished
                batch.made.append(keep(archive, finished, key))
            except StorageFailed:
                raise
            except ArchiveRestoreError as exc:
                batch.failed.append((task, str(exc)))
                if key:
                    archive.jobs.finish(key, task, str(exc))
            progress(task)


def _item(archive: Archive, text: str) -> str:
    parsed = parse_ref(text)
    if parsed.kind is not None:
        raise UsageError(
            f"{text!r} is a derivative", hint="A restoration is always made from the master: give the item"
        )
    if archive.preservation.head(parsed.item_id) == 0:
        raise ReferenceUnknown(f"there is no item {text!r} in this archive", hint="See: archive-restore list")
    return parsed.item_id


def _newest(archive: Archive, item_id: str) -> str:
    kind = PreservationKind.RESTORATION
    version = archive.preservation.head(f"{item_id}/{kind.value}")
    return str(PreservationRef(item_id=item_id, kind=kind, version=version))


def equal_restoration(
    archive: Archive, item_id: str, planned: Plan, seed: int, models: Sequence[tuple[str, str]]
) -> str:
    """The newest restoration when this plan would only make it again; an empty string otherwise."""
    kind = PreservationKind.RESTORATION
    version = archive.preservation.head(f"{item_id}/{kind.value}")
    if version == 0:
        return ""
    ref = PreservationRef(item_id=item_id, kind=kind, version=version)
    known = load_record(archive, ref)
    library = archive.preservation_steps()
    wanted = [(s.step, library[s.step].version, to_plain(s.parameters)) for s in planned.steps]
    if (
        isinstance(known, PreservationDerivation)
        and [(s.step, s.version, to_plain(s.parameters)) for s in known.steps] == wanted
        and [(model.name, model.sha256) for model in known.environment.models] == models
        and known.seed == seed
        and len(known.materials) == 1
    ):
        return str(ref)
    return ""


def _batch_key(chosen: Chosen, planned: Plan, hand: HandFiles, seed: int, models: Sequence[tuple[str, str]]) -> str:
    drawn = [hashlib.sha256(path.read_bytes()).hexdigest() if path else "" for path in (hand.damage, hand.keep)]
    words = ["restore", list(chosen.item_ids), to_plain(planned), drawn, str(seed), to_plain(models)]
    return hashlib.sha256(canonical_bytes(words)).hexdigest()
