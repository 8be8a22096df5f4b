"""Batches of stories: many sources, one plan; resumable, and every failure told while the rest goes on."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import replace

from archive_restore.core.canonical import canonical_bytes, to_plain
from archive_restore.core.planning import Plan, StepContract, fill_in, with_settings
from archive_restore.core.refs import AnyRef
from archive_restore.errors import ReferenceUnknown, UsageError
from archive_restore.flows.batch import Batch, Chosen, run_batch
from archive_restore.flows.browse import resolve
from archive_restore.flows.commit import load_record
from archive_restore.flows.soundtrack import SCORE
from archive_restore.flows.story_render import models_of_story, steps_for_stories
from archive_restore.flows.tell import FinishedStory, StoryMade, StoryOrder, prepare_story, store_story
from archive_restore.ports import Archive
from archive_restore.records.objects import MasterRef
from archive_restore.records.preservation import PreservationKind, PreservationRef
from archive_restore.records.provenance import Recipe
from archive_restore.records.stories import HumanDecision, StoryDerivation, StoryKind, StoryRef


def make_story_plan(archive: Archive, recipe: Recipe, settings: Sequence[str]) -> Plan:
    """From a recipe and `--set` to a plan in which every parameter is fixed; raise RecipeInvalid."""
    contracts = {
        name: StepContract(name=name, parameters_schema=step.parameters_schema)
        for name, step in steps_for_stories(archive, [step.step for step in recipe.steps]).items()
    }
    return fill_in(with_settings(recipe, settings), contracts, archive.check_parameters, family="story")


def choose_sources(
    archive: Archive, refs: Sequence[str], *, everything: bool, query: str | None, drawn: bool
) -> Chosen:
    """What REFs, --all or --query name, with versions; raise UsageError where the words do not fit together.

    A REF is taken at its word. With --all or --query it is the newest restoration of an item, or its master.
    """
    if sum((bool(refs), everything, query is not None)) != 1:
        raise UsageError("say what to make a story of", hint="Give REFs, or --all, or --query TEXT")
    if refs:
        sources = tuple(dict.fromkeys(str(_named(archive, ref)) for ref in refs))
    else:
        sources = tuple(str(_best(archive, row.item_id)) for row in archive.catalog.items(query or ""))
    if drawn and len(sources) != 1:
        raise UsageError(
            "hints, regions with coordinates and a photograph of today belong to one picture",
            hint="Give exactly one REF",
        )
    return Chosen(item_ids=sources, named=bool(refs))


def _named(archive: Archive, text: str) -> AnyRef:
    try:
        return resolve(archive, text)
    except ReferenceUnknown:
        if not os.path.isfile(text):  # noqa: PTH113 - a word may be longer than any path
            raise
        raise ReferenceUnknown(
            f"{text!r} is a file and no REF of this archive", hint="Take it in with `ingest` first, then name its item"
        ) from None


def _best(archive: Archive, item_id: str) -> AnyRef:
    kind = PreservationKind.RESTORATION
    version = archive.preservation.head(f"{item_id}/{kind.value}")
    return PreservationRef(item_id=item_id, kind=kind, version=version) if version else MasterRef(item_id=item_id)


def tell_many(
    archive: Archive,
    chosen: Chosen,
    order: StoryOrder,
    progress: Callable[[str], None] = lambda ref: None,
    prepare: Callable[[Archive, StoryOrder], FinishedStory] = prepare_story,
) -> Batch[StoryMade]:
    """Tell a story of every chosen source, as `order` says, whose own source is not looked at; `prepare` makes one.

    An interrupted batch of named sources goes on where it stopped when it is given again; with --all or --query an
    equal story that exists is not made twice. Raises as flows.batch.restore_many.
    """
    batch: Batch[StoryMade] = Batch()
    models = [(model.card.name, model.card.weights.sha256) for model in models_of_story(archive, order.plan.steps)]
    words = ["tell", list(chosen.item_ids), to_plain(replace(order, device="")), to_plain(models)]
    key = hashlib.sha256(canonical_bytes(words)).hexdigest()
    pending = set(archive.jobs.open_batch(key, chosen.item_ids)) if chosen.named else set(chosen.item_ids)
    orders = []
    for source in chosen.item_ids:
        mine = replace(order, source=source)
        existing = "" if chosen.named and source in pending else equal_story(archive, mine, models)
        if existing:
            batch.unchanged.append(existing)
            progress(source)
        else:
            orders.append(mine)
    run_batch(archive, batch, key if chosen.named else "", orders, lambda o: o.source, prepare, store_story, progress)
    archive.jobs.close_batch(key)
    return batch


def decisions(archive: Archive, recipe: Recipe, author: str, reason: str) -> tuple[HumanDecision, ...]:
    """That somebody wanted this story, where the command says who or why."""
    if not author and not reason:
        return ()
    return (HumanDecision(author=author, reason=reason, what=recipe.description, when=archive.clock.now()[:10]),)


def equal_story(archive: Archive, order: StoryOrder, models: Sequence[tuple[str, str]]) -> str:
    """The newest story of this source that this order would only make again; an empty string where there is none."""
    item_id = order.source.partition("/")[0]
    library = steps_for_stories(archive, [step.step for step in order.plan.steps])
    steps = [(s.step, library[s.step].version, to_plain(s.parameters)) for s in order.plan.steps]
    documents = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in order.telling.documents.items()}
    documents |= {one.role: one.sha256 for one in order.telling.attachments}
    for version in range(archive.stories.head(f"{item_id}/{order.kind.value}"), 0, -1):
        ref = StoryRef(item_id=item_id, kind=StoryKind(order.kind), version=version)
        known = load_record(archive, ref)
        if (
            isinstance(known, StoryDerivation)
            and str(known.parent) == order.source
            and [(s.step, s.version, to_plain(s.parameters)) for s in known.steps] == steps
            and [(model.name, model.sha256) for model in known.environment.models] == list(models)
            and (known.seed, known.samples) == (order.telling.seed, order.telling.samples)
            and {m.role: m.sha256 for m in known.materials[1:] if m.ref != SCORE} == documents
        ):
            return str(ref)
    return ""
