"""Story: restore, enhance and colorize one picture, with a contact sheet and the words to say with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from archive_restore.core.disclosure import caption_of, disclose
from archive_restore.core.planning import DEFAULT_RECIPE, Plan
from archive_restore.core.refs import AnyRef
from archive_restore.errors import StorageFailed, UsageError
from archive_restore.flows.access_copy import chain_of
from archive_restore.flows.batch import equal_restoration, make_plan
from archive_restore.flows.browse import resolve
from archive_restore.flows.commit import exact_ref, load_record
from archive_restore.flows.render import models_of
from archive_restore.flows.restore import Made, Order, restore
from archive_restore.flows.story_batch import equal_story
from archive_restore.flows.story_documents import enlarged_hints
from archive_restore.flows.story_render import Telling, load_source, models_of_story
from archive_restore.flows.tell import StoryMade, StoryOrder, tell
from archive_restore.imaging import engine
from archive_restore.ports import Archive, SheetPanel
from archive_restore.records.objects import MasterRef
from archive_restore.records.stories import HumanDecision, StoryDerivation, StoryKind, StoryRef

_ENLARGED = ("regions",)
"""Documents that the enhancement reads; the others are the colorization's."""


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a person asked for: plain data."""

    enhance: Plan
    colorize: Plan
    telling: Telling
    """Coordinates in its documents are those of the picture that was named."""
    people: tuple[HumanDecision, ...] = ()
    device: str = "auto"


@dataclass(frozen=True, kw_only=True)
class Whole:
    """One picture told from end to end."""

    ref: str
    """REF as resolved."""
    refs: tuple[str, ...]
    """What it went through, the named picture first."""
    made: tuple[Made | StoryMade, ...]
    """What of it was made now; the rest was there."""
    sheet: Path
    disclosure: Path
    notes: tuple[str, ...]
    """What whoever shows it should know."""


def tell_whole(archive: Archive, text: str, wish: Wish, to: Path) -> Whole:
    """Restore a master, enhance the restoration, colorize the enhancement, and write sheet and words into `to`.

    What exists already, made in the same way, is taken as it is. Raise UsageError where `text` names a story, and as
    flows.restore.restore and flows.tell.tell do.
    """
    ref = resolve(archive, text)
    if isinstance(ref, StoryRef):
        raise UsageError(f"{text!r} is a story already", hint="Give an item, or one of its restorations")
    models_of_story(archive, (*wish.enhance.steps, *wish.colorize.steps))  # before hours of work, not after
    made: list[Made | StoryMade] = []
    refs = [str(ref)]
    if isinstance(ref, MasterRef):
        refs.append(_restored(archive, ref, wish, made))
    enlarged = {name: text for name, text in wish.telling.documents.items() if name in _ENLARGED}
    coloured = {name: text for name, text in wish.telling.documents.items() if name not in _ENLARGED}
    refs.append(_told(archive, StoryKind.ENHANCEMENT, refs[-1], wish.enhance, enlarged, wish, made))
    before, after = (load_source(archive, exact_ref(name)).facts for name in (refs[0], refs[-1]))
    coloured = enlarged_hints(coloured, after.width / before.width, after.height / before.height)
    refs.append(_told(archive, StoryKind.COLORIZATION, refs[-1], wish.colorize, coloured, wish, made))
    sheet = to / f"{ref.item_id}-story-sheet.jpg"
    words = to / f"{ref.item_id}-story.txt"
    shown = [exact_ref(name) for name in refs]
    if not isinstance(ref, MasterRef):
        shown.insert(0, MasterRef(item_id=ref.item_id))
    _write(sheet, _sheet(archive, shown))
    _write(words, _words(archive, exact_ref(refs[-1])).encode())
    notes = [note for name in refs for note in _notes(archive, exact_ref(name))]
    return Whole(
        ref=str(ref),
        refs=tuple(refs),
        made=tuple(made),
        sheet=sheet,
        disclosure=words,
        notes=tuple(dict.fromkeys(notes)),
    )


def _notes(archive: Archive, ref: AnyRef) -> tuple[str, ...]:
    record = load_record(archive, ref)
    return record.notes if isinstance(record, StoryDerivation) else ()


def _restored(archive: Archive, ref: MasterRef, wish: Wish, made: list[Made | StoryMade]) -> str:
    plan = make_plan(archive, DEFAULT_RECIPE, ())
    models = [(model.card.name, model.card.weights.sha256) for model in models_of(archive, plan.steps)]
    seed = wish.telling.seed
    known = equal_restoration(archive, ref.item_id, plan, seed, models)
    if known:
        return known
    made.append(restore(archive, Order(item_id=ref.item_id, plan=plan, seed=seed, device=wish.device)))
    return made[-1].ref


def _told(
    archive: Archive,
    kind: StoryKind,
    source: str,
    plan: Plan,
    documents: dict[str, str],
    wish: Wish,
    made: list[Made | StoryMade],
) -> str:
    # Other outcomes are for the last story: those of an enhancement would each want a colour of their own.
    samples = wish.telling.samples if kind is StoryKind.COLORIZATION else 1
    order = StoryOrder(
        source=source,
        kind=kind,
        plan=plan,
        telling=replace(wish.telling, documents=documents, samples=samples),
        people=wish.people,
        device=wish.device,
    )
    models = [(model.card.name, model.card.weights.sha256) for model in models_of_story(archive, plan.steps)]
    known = equal_story(archive, order, models)
    if known:
        return known
    made.append(tell(archive, order))
    return made[-1].ref


def _sheet(archive: Archive, refs: Sequence[AnyRef]) -> bytes:
    panels = []
    for ref in refs:
        source = load_source(archive, ref)
        with archive.pictures.open(source.path, source.facts) as opened:
            seen = engine.overview(opened)
        chain = chain_of(archive, ref)
        caption = caption_of(chain, archive.settings.labels) if isinstance(ref, StoryRef) else ""
        panels.append(SheetPanel(title=str(ref), picture=seen, path=source.path, caption=caption))
    return archive.documents.contact_sheet(panels)


def _words(archive: Archive, ref: AnyRef) -> str:
    settings = archive.settings
    master = load_source(archive, ref).master
    told = disclose(master, chain_of(archive, ref), settings.labels, organization=settings.organization)
    return f"{told.long}\n"


def _write(path: Path, data: bytes) -> None:
    partial = path.with_name(f".{path.name}.unfinished")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(data)
        partial.replace(path)
    except OSError as exc:
        partial.unlink(missing_ok=True)
        raise StorageFailed(f"{str(path)!r} cannot be written: {exc.strerror}") from exc
