"""Story: restore, enhance, colorize and animate one picture, with a contact sheet and the words to say with it.

Nothing moves in the clip that nobody asked for: regions are a person's, and without them a camera closes in slowly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from archive_restore.core.disclosure import caption_of, disclose
from archive_restore.core.planning import DEFAULT_RECIPE, Plan
from archive_restore.core.refs import AnyRef
from archive_restore.core.synthesizer import RATE
from archive_restore.errors import NothingToEnhance, StorageFailed, UsageError
from archive_restore.flows.access_copy import chain_of
from archive_restore.flows.animate import Take, as_overview, prepare_animation
from archive_restore.flows.batch import equal_restoration, make_plan
from archive_restore.flows.browse import resolve
from archive_restore.flows.commit import exact_ref, load_record
from archive_restore.flows.render import models_of
from archive_restore.flows.restore import Made, Order, restore
from archive_restore.flows.soundtrack import SOUND, SoundTaken
from archive_restore.flows.story_batch import equal_story
from archive_restore.flows.story_documents import enlarged_hints
from archive_restore.flows.story_render import Telling, load_source, models_of_story
from archive_restore.flows.tell import StoryMade, StoryOrder, prepare_story, store_story
from archive_restore.imaging import engine
from archive_restore.ports import Archive, SheetPanel
from archive_restore.records.objects import MasterRef
from archive_restore.records.stories import HumanDecision, StoryDerivation, StoryKind, StoryRef

_ENLARGED = ("regions",)
"""Documents that the enhancement reads; the others are the colorization's."""
SHOWN = 3
"""Frames of a clip on the contact sheet."""


@dataclass(frozen=True, kw_only=True)
class ClipWish:
    """The clip at the end of a story."""

    plan: Plan
    """Coordinates in its `focus` are those of the picture that was named."""
    documents: Mapping[str, str] = field(default_factory=dict)
    """What moves (`motion`), with coordinates likewise."""
    sound: SoundTaken = field(default_factory=SoundTaken)
    people: tuple[HumanDecision, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a person asked for: plain data."""

    enhance: Plan
    colorize: Plan
    telling: Telling
    """Coordinates in its documents are those of the picture that was named."""
    people: tuple[HumanDecision, ...] = ()
    clip: ClipWish | None = None
    """None where the story ends with a still picture."""
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
    clip: Path | None
    """The clip inside the archive."""
    sheet: Path
    disclosure: Path
    notes: tuple[str, ...]
    """What whoever shows it should know."""


def require_clips(archive: Archive, wish: ClipWish) -> None:
    """Raise UsageError where what writes clips is not installed: before hours of work, not after."""
    try:
        archive.videos.agents()
        if SOUND in wish.sound.documents:
            archive.sounds.loudness(np.zeros((RATE, 2)))
    except UsageError as exc:
        hint = "Run: pip install 'archive-restore[animate]', or leave the clip out with --no-clip"
        raise UsageError(str(exc).removesuffix(f". {exc.hint}"), hint=hint) from exc


def tell_whole(archive: Archive, text: str, wish: Wish, to: Path) -> Whole:
    """Restore a master, enhance the restoration, colorize the enhancement, animate that, and write sheet and words.

    Where there is nothing to enhance the restoration is colorized. What exists already, made in the same way, is taken
    as it is; `to` is the folder for sheet and words. Raise UsageError where `text` names a story or nothing would move,
    and as flows.restore.restore and flows.tell.tell do.
    """
    ref = resolve(archive, text)
    if isinstance(ref, StoryRef):
        raise UsageError(f"{text!r} is a story already", hint="Give an item, or one of its restorations")
    # Before hours of work, not after:
    models_of_story(archive, (*wish.enhance.steps, *wish.colorize.steps, *(wish.clip.plan.steps if wish.clip else ())))
    if wish.clip is not None:
        _try_clip(archive, ref, wish.clip, wish)
    made: list[Made | StoryMade] = []
    refs = [str(ref)]
    if isinstance(ref, MasterRef):
        refs.append(_restored(archive, ref, wish, made))
    enlarged = {name: text for name, text in wish.telling.documents.items() if name in _ENLARGED}
    coloured = {name: text for name, text in wish.telling.documents.items() if name not in _ENLARGED}
    left = ""
    try:
        refs.append(_told(archive, StoryKind.ENHANCEMENT, refs[-1], wish.enhance, enlarged, wish, made))
    except NothingToEnhance as exc:
        left = str(exc)
    before, after = (load_source(archive, exact_ref(name)).facts for name in (refs[0], refs[-1]))
    across, down = after.width / before.width, after.height / before.height
    coloured = enlarged_hints(coloured, across, down)
    refs.append(_told(archive, StoryKind.COLORIZATION, refs[-1], wish.colorize, coloured, wish, made))
    clip = None
    shown = [exact_ref(name) for name in refs]
    if wish.clip is not None:
        if before.orientation >= 5:
            across, down = down, across  # of the picture as it is seen
        refs.append(_animated(archive, refs[-1], wish.clip, (across, down), wish, made))
        clip = _clip_path(archive, exact_ref(refs[-1]))
    sheet = to / f"{ref.item_id}-story-sheet.jpg"
    words = to / f"{ref.item_id}-story.txt"
    if not isinstance(ref, MasterRef):
        shown.insert(0, MasterRef(item_id=ref.item_id))
    last = exact_ref(refs[-1])
    _write(sheet, _sheet(archive, shown, None if clip is None else (last, clip)))
    _write(words, _words(archive, last).encode())
    notes = [*([left] if left else []), *(note for name in refs for note in _notes(archive, exact_ref(name)))]
    return Whole(
        ref=str(ref),
        refs=tuple(refs),
        made=tuple(made),
        clip=clip,
        sheet=sheet,
        disclosure=words,
        notes=tuple(dict.fromkeys(notes)),
    )


def _try_clip(archive: Archive, ref: AnyRef, clip: ClipWish, wish: Wish) -> None:
    """Plan the clip over the picture as it is now, so that what does not fit is said at once; raises as Take does."""
    (step,) = clip.plan.steps
    parameters = {**step.parameters, "size": "hd" if step.parameters["size"] == "source" else step.parameters["size"]}
    documents = {**clip.documents, **{name: t for name, t in clip.sound.documents.items() if name != SOUND}}
    planned = [replace(step, parameters=parameters)]
    Take(archive, load_source(archive, ref), planned, seed=wish.telling.seed, documents=documents, device=wish.device)


def _animated(
    archive: Archive,
    source: str,
    clip: ClipWish,
    larger: tuple[float, float],
    wish: Wish,
    made: list[Made | StoryMade],
) -> str:
    """`larger`: how many times as wide and as high the picture is as the one that was named."""
    (step,) = clip.plan.steps
    focus = str(step.parameters["focus"])
    if focus:
        edges = [round(int(edge) * larger[number % 2]) for number, edge in enumerate(focus.split(","))]
        step = replace(step, parameters={**step.parameters, "focus": ",".join(str(edge) for edge in edges)})
    telling = Telling(
        seed=wish.telling.seed,
        documents={**enlarged_hints(clip.documents, *larger), **clip.sound.documents},
        attachments=clip.sound.attachments,
    )
    plan = replace(clip.plan, steps=(step,))
    order = StoryOrder(
        source=source, kind=StoryKind.ANIMATION, plan=plan, telling=telling, people=clip.people, device=wish.device
    )
    return _known_or_made(archive, order, made)


def _clip_path(archive: Archive, ref: AnyRef) -> Path:
    assert isinstance(ref, StoryRef)
    record = load_record(archive, ref)
    assert isinstance(record, StoryDerivation)
    return archive.stories.files(ref)[record.products[0].name].path


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
    return _known_or_made(archive, order, made)


def _known_or_made(archive: Archive, order: StoryOrder, made: list[Made | StoryMade]) -> str:
    models = [(model.card.name, model.card.weights.sha256) for model in models_of_story(archive, order.plan.steps)]
    known = equal_story(archive, order, models)
    if known:
        return known
    prepare = prepare_animation if order.kind is StoryKind.ANIMATION else prepare_story
    made.append(store_story(archive, prepare(archive, order)))
    return made[-1].ref


def _sheet(archive: Archive, refs: Sequence[AnyRef], clip: tuple[AnyRef, Path] | None) -> bytes:
    panels: list[SheetPanel] = []
    for ref in refs:
        source = load_source(archive, ref)
        with archive.pictures.open(source.path, source.facts) as opened:
            seen = engine.overview(opened)
        chain = chain_of(archive, ref)
        caption = caption_of(chain, archive.settings.labels) if isinstance(ref, StoryRef) else ""
        panels.append(SheetPanel(title=str(ref), picture=seen, path=source.path, caption=caption))
    if clip is not None:
        panels.append(_clip_panel(archive, *clip))
    return archive.documents.contact_sheet(panels)


def _clip_panel(archive: Archive, ref: AnyRef, path: Path) -> SheetPanel:
    """The first frame of a clip, the middle one and the last, with a little room between them."""
    record = load_record(archive, ref)
    assert isinstance(record, StoryDerivation)
    survey = record.steps[0].survey
    count, rate = int(str(survey["frames"])), int(str(record.steps[0].parameters["rate"]))
    picked = dict.fromkeys(np.linspace(0, count - 1, SHOWN).round().astype(int).tolist())
    frames = [frame for index, frame in enumerate(archive.videos.frames(path)) if index in picked]
    upright = frames[0].shape[0] > frames[0].shape[1]
    gap = max(2, min(frames[0].shape[:2]) // 60)
    spaced = [np.pad(frame, ((0, 0 if upright else gap), (0, gap if upright else 0), (0, 0)), constant_values=255)
              for frame in frames]  # fmt: skip
    times = " · ".join(f"{index / rate:.1f} s" for index in picked)
    picture = as_overview(np.concatenate(spaced, axis=1 if upright else 0))
    caption = caption_of(chain_of(archive, ref), archive.settings.labels)  # on a sheet nobody can read the frames'
    return SheetPanel(title=f"{ref}: {times}", picture=picture, path=None, caption=caption)


def _words(archive: Archive, ref: AnyRef) -> str:
    settings = archive.settings
    master = load_source(archive, MasterRef(item_id=ref.item_id)).master
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
