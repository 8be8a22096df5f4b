"""`enhance`, `colorize`, `animate` and `story`: stories, which are never part of the record."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from archive_restore.cli.output import Session, device_option, printable, say_rest

if TYPE_CHECKING:
    from archive_restore.flows.batch import Batch
    from archive_restore.flows.soundtrack import SoundWish
    from archive_restore.flows.story import ClipWish
    from archive_restore.flows.story_documents import Handed
    from archive_restore.flows.tell import FinishedStory, StoryMade, StoryOrder
    from archive_restore.ports import Archive
    from archive_restore.records.provenance import Recipe
    from archive_restore.records.stories import StoryKind

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_Command = TypeVar("_Command", bound=Callable[..., Any])


def _with(command: _Command, *options: Callable[[Any], Any]) -> _Command:
    """Put options on a command so that --help shows them in this order."""
    for option in reversed(options):
        command = option(command)
    return command


def _how_options(command: _Command) -> _Command:
    """What every command that tells stories takes."""
    return _with(
        command,
        click.option("--set", "settings", multiple=True, metavar="STEP.PARAMETER=VALUE", help="Change one parameter."),
        click.option(
            "--samples", default=1, show_default=True, type=click.IntRange(1, 16),
            help="How many outcomes to make, where several are plausible.",
        ),
        click.option("--by", "author", default="", metavar="NAME", help="Who decides what this story shows."),
        click.option("--reason", default="", metavar="TEXT", help="Why, in that person's words."),
        click.option(
            "--seed", default=0, show_default=True, type=click.IntRange(0, 2**63 - 1), help="Seed of what is drawn."
        ),
        device_option,
    )  # fmt: skip


def _batch_options(command: _Command) -> _Command:
    """Of what a batch of stories is made."""
    return _with(
        command,
        click.argument("refs", nargs=-1, metavar="[REF]..."),
        click.option(
            "--all", "everything", is_flag=True,
            help="The newest restoration of every item, or its master; equal stories are passed over.",
        ),
        click.option("--query", metavar="TEXT", help="The items that `search TEXT` finds, as --all."),
        click.option("--dry-run", is_flag=True, help="Print the plan and change nothing."),
    )  # fmt: skip


_ENHANCE = ("scale", "target", "quality", "fidelity", "grain", "keep_losses", "inpainting", "faces", "face_model")
"""Options that make the recipe of an enhancement (core.story_recipes.enhancement)."""


def _enhance_options(command: _Command) -> _Command:
    return _with(
        command,
        click.option(
            "--scale",
            type=click.FloatRange(1, 16),
            metavar="NUMBER",
            help="How many times as long every edge is; 1 completes losses and faces only.",
        ),
        click.option("--target", type=click.Choice(["4k"]), help="Fit into this frame; the default."),
        click.option("--quality", is_flag=True, help="The large model: slower, and better at fine texture."),
        click.option("--fidelity", is_flag=True, help="Invent less; the result is less sharp."),
        click.option("--grain", type=click.FloatRange(0, 1), help="Share of the film's grain to draw anew."),
        click.option("--keep-losses", is_flag=True, help="Leave as found what a restoration left as loss."),
        click.option(
            "--inpainting", default="", metavar="MODEL", help="Complete losses by this model (see `models add`)."
        ),
        click.option(
            "--faces",
            is_flag=True,
            help="Work on faces, too: rebuild what losses hide of them from their other halves, and draw their detail; "
            "otherwise they are spared.",
        ),
        click.option(
            "--face-model", default="", metavar="MODEL", help="Rebuild them by this model (see `models add`) instead."
        ),
        click.option(
            "--regions", type=_FILE, help="Places to complete, drawn by a person (schema regions.schema.json)."
        ),
    )


_COLOUR = ("automatic", "strength")
"""Options that make the recipe of a colorization (core.story_recipes.colorization)."""


def _colour_options(command: _Command) -> _Command:
    return _with(
        command,
        click.option("--hint", "hint", multiple=True, metavar="X,Y=COLOUR", help="The colour at a place."),
        click.option("--hints", type=_FILE, help="Hints in a file (schema hints.schema.json)."),
        click.option("--automatic", is_flag=True, help="Let a model propose colours where nobody said anything."),
        click.option("--era", default="", metavar="YEARS", help="1960s, 1965 or 1960-1975: takes a palette; a prior."),
        click.option("--region", default="", metavar="CODE", help="Country by two letters, likewise."),
        click.option(
            "--process", default="", metavar="NAME", help="Autochrome, kodachrome, … (`palettes list`), likewise."
        ),
        click.option(
            "--strength", type=click.FloatRange(0, 1), help="How far the palette has its say; all of it unless given."
        ),
    )


_SIZES = ("hd", "4k", "wide", "square", "vertical", "source")
_CAMERAS = ("rest", "closer", "back", "left", "right", "parallax")


def _length_options(command: _Command) -> _Command:
    """How long a clip is and how large."""
    return _with(
        command,
        click.option("--seconds", type=click.FloatRange(1, 60), help="Length of the clip; 12 unless given."),
        click.option("--rate", type=click.Choice(["24", "25", "30"]), help="Frames a second; 24 unless given."),
        click.option(
            "--size", type=click.Choice(_SIZES),
            help="hd (the default) and 4k keep the picture's aspect; wide, square and vertical cut around --focus.",
        ),
    )  # fmt: skip


_NOW = ("now", "now_rights", "now_year")
_PHOTOGRAPHS = (".jpg", ".jpeg", ".png", ".tif", ".tiff")
"""Endings by which a word is taken for a photograph of today that is not there."""
_SOUND = ("music", "music_rights", "soundfont", "voice", "voice_rights", "captions")


def _sound_options(command: _Command) -> _Command:
    """What is heard and read with a clip."""
    return _with(
        command,
        click.option(
            "--music", default="", metavar="FILE|era|PIECE",
            help="Music behind it: a file, a backing piece, or era: a piece that suits the item's date and place.",
        ),
        click.option("--music-rights", default="", metavar="TEXT", help="Whose the music is, and why it may be used."),
        click.option(
            "--soundfont", type=_FILE, help="What plays a backing piece (.sf2); the synthesizer of ours unless given."
        ),
        click.option("--voice", type=_FILE, help="A voice; the clip is as long as it, or with --seconds it is cut."),
        click.option("--voice-rights", default="", metavar="TEXT", help="Whose voice it is, and why it may be used."),
        click.option(
            "--captions", type=_FILE, help="Captions (.srt, .vtt), drawn into the frames and kept as a text track."
        ),
    )  # fmt: skip


def _focus_option(command: _Command) -> _Command:
    option = click.option(
        "--focus", metavar="LEFT,TOP,RIGHT,BOTTOM", help="What must stay in the frame, pixels of the picture."
    )
    return option(command)


@click.command("enhance")
@_batch_options
@_enhance_options
@_how_options
@click.pass_obj
def enhance_command(session: Session, /, **options: Any) -> int:
    """Make a story of each REF that shows more than the photograph holds: enlarged, with detail drawn.

    REF is a master, a restoration or another story. Restore first: damage is enlarged as well. The result is the next
    version ITEM/enhancement@N with its synthesis map, credentials and report; it never becomes part of the record.
    """
    from archive_restore.core.story_recipes import enhancement
    from archive_restore.records.stories import StoryKind

    return _tell(session, StoryKind.ENHANCEMENT, enhancement(**_picked(options, _ENHANCE)), options)


@click.command("colorize")
@_batch_options
@_colour_options
@_how_options
@click.pass_obj
def colorize_command(session: Session, /, **options: Any) -> int:
    """Make a story of each REF in colour; light and dark stay those of the photograph.

    REF is a master, a restoration or another story. Colours are proposals of a machine and decisions of people, each
    marked as such. The result is the next version ITEM/colorization@N; it never becomes part of the record.
    """
    from archive_restore.core.story_recipes import colorization
    from archive_restore.records.stories import StoryKind

    return _tell(session, StoryKind.COLORIZATION, colorization(**_coloured(options)), options)


@click.command("animate")
@_batch_options
@_length_options
@click.option(
    "--regions",
    metavar="FILE|auto",
    help="What moves, drawn by a person (schema motion.schema.json); auto writes a proposal into --proposal and stops.",
)
@click.option(
    "--motion",
    "source",
    metavar="NAME",
    help="Where motion comes from: procedural (the default); learned, for regions, from simulations; or a model for "
    "image-to-video or motion (`models add`).",
)
@click.option(
    "--proposal", type=click.Path(path_type=Path, dir_okay=False), help="Where the proposal goes; a PNG lies beside it."
)
@click.option("--amplitude", type=click.FloatRange(0, 1), metavar="PERCENT", help="Motion, per cent of the width; 0.1.")
@click.option(
    "--form",
    type=click.Choice(["motion", "before-after", "then-vs-now", "story"]),
    help="before-after, then-vs-now: the photograph turns into what was made of it, or into --now; story: all in turn.",
)
@click.option("--now", type=_FILE, help="A photograph of today of the same place (JPEG, PNG, TIFF), for then-vs-now.")
@click.option("--now-rights", default="", metavar="TEXT", help="Whose that photograph is, and why it may be shown.")
@click.option("--now-year", default="", metavar="YEAR", help="When it was taken, as it is to stand in the frame.")
@click.option(
    "--transition", type=click.Choice(["wipe", "dissolve"]), help="A line passes, or one dissolves into the other."
)
@click.option("--ending", type=click.Choice(["loop", "ease"]), help="Lead into the beginning, or come to rest.")
@click.option("--camera", type=click.Choice(_CAMERAS), help="Rests unless given.")
@click.option(
    "--travel", type=click.FloatRange(0, 0.5), metavar="SHARE", help="Of the frame's width that the camera moves; 0.15."
)
@_focus_option
@click.option(
    "--blink", metavar="EYES", help="both, left or right (the person's); 1:left,3:both for faces counted from the left."
)
@click.option("--breathe", is_flag=True, help="Let heads and shoulders sway by less than a pixel.")
@click.option("--keep-lossless", is_flag=True, help="Store the frames as they were before encoding, too.")
@_sound_options
@_how_options
@click.pass_obj
def animate_command(session: Session, /, **options: Any) -> int:
    """Make a clip of each REF in which regions move, people blink, or a camera moves over it; all motion is invented.

    REF is a master, a restoration or another story. The result is the next version ITEM/animation@N: an MP4 that says
    in every frame what it is, with a map of every frame, credentials and report; it never becomes part of the record.
    """
    from archive_restore.core.story_recipes import animation
    from archive_restore.flows.animate import prepare_animation
    from archive_restore.flows.soundtrack import SoundWish
    from archive_restore.records.stories import StoryKind

    if options["regions"] == "auto":
        return _propose(session, options)
    if options["proposal"] is not None:
        raise click.UsageError("--proposal goes with --regions auto")
    options["motion"] = options.pop("regions")
    _take_form(options)
    recipe = animation(
        **_picked(options, ("seconds", "size", "amplitude", "form", "transition", "ending", "camera", "travel")),
        **_picked(options, ("focus", "blink")),
        motion=options["source"],
        rate=int(options["rate"]) if options["rate"] else None,
        keep_lossless=options["keep_lossless"] or None,
        breathe=options["breathe"] or None,
    )
    wish = SoundWish(**_picked(options, _SOUND))
    return _tell(session, StoryKind.ANIMATION, recipe, options, prepare_animation, wish)


def _take_form(options: dict[str, Any]) -> None:
    """What a form means without more words: a file among the REFs is the photograph of today; a story has a camera."""
    form = options["form"]
    if options["transition"] and form not in ("before-after", "then-vs-now"):
        raise click.UsageError("--transition goes with --form before-after and then-vs-now")
    if form == "then-vs-now" and options["now"] is None and len(options["refs"]) == 2:
        today = _today_among(*options["refs"])
        options["now"] = Path(today)
        options["refs"] = tuple(ref for ref in options["refs"] if ref != today)
    if form == "story" and options["camera"] is None:
        options["camera"] = "closer"
        options["travel"] = _TRAVEL if options["travel"] is None else options["travel"]


def _today_among(*words: str) -> str:
    """The one of two words that is a file; raise UsageError where neither is, or both."""
    # A word may be longer than any path: Path.is_file would raise.
    files = [word for word in words if os.path.isfile(word)]  # noqa: PTH113
    if len(files) == 1:
        return files[0]
    folders = [word for word in words if os.path.isdir(word)]  # noqa: PTH112
    meant = [word for word in words if word in folders or Path(word).suffix.lower() in _PHOTOGRAPHS]
    first, second = map(repr, words)
    if files:
        wrong = f"{first} and {second} are both files, and one of them should be a REF of the archive"
    elif len(meant) == 1:
        wrong = f"{meant[0]!r} is a folder" if folders else f"there is no file {meant[0]!r}"
    else:
        wrong = f"neither {first} nor {second} is a file"
    wanted = "then-vs-now wants a photograph of today beside a REF"
    raise click.UsageError(f"{wanted}: {wrong}. Check the path, or give the photograph with --now FILE")


def _propose(session: Session, options: dict[str, Any]) -> int:
    import json

    from archive_restore.flows.animate import propose_regions
    from archive_restore.flows.browse import resolve

    target = options["proposal"]
    if target is None or len(options["refs"]) != 1:
        raise click.UsageError("--regions auto takes one REF and --proposal FILE, where the proposal goes")
    shown = target.with_suffix(".png")
    for path in (target, shown):
        if path.exists():
            raise click.UsageError(f"{str(path)!r} is there already; nothing is overwritten")
    with session.open(write=False) as archive:
        document, picture = propose_regions(archive, resolve(archive, options["refs"][0]), options["device"])
    target.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    shown.write_bytes(picture)
    session.result({"proposal": str(target), "picture": str(shown), "regions": document["regions"]})
    session.say(f"{len(document['regions'])} regions proposed in {target}, shown in {shown}")
    session.say('Nothing was animated: look at each, mend them, strike the line "proposed", then give the file.')
    return 0


@click.command("story")
@click.argument("refs", nargs=-1, required=True, metavar="REF...")
@click.option(
    "--to", default=".", type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the contact sheet and the words; made where it is missing.",
)  # fmt: skip
@_enhance_options
@_colour_options
@click.option("--no-clip", is_flag=True, help="Stop before the clip.")
@_length_options
@click.option(
    "--camera", type=click.Choice(_CAMERAS), default="closer", show_default=True, help="What moves over the picture."
)
@_focus_option
@click.option("--moving", type=_FILE, help="What moves in the clip, drawn by a person (schema motion.schema.json).")
@_sound_options
@_how_options
@click.pass_obj
def story_command(session: Session, /, refs: tuple[str, ...], to: Path, **options: Any) -> int:
    """Restore, enhance, colorize and animate each REF, and write a contact sheet and the words to say with it.

    REF is an item or one of its restorations; coordinates of hints and regions are those of its pixels. What exists
    already, made in the same way, is taken as it is. In the clip a camera closes in slowly, and nothing else moves but
    what --moving names.
    """
    from archive_restore.core.story_recipes import colorization, enhancement
    from archive_restore.errors import ArchiveRestoreError, StorageFailed, UsageError
    from archive_restore.flows.story import Whole, Wish, require_clips, tell_whole
    from archive_restore.flows.story_batch import decisions, make_story_plan
    from archive_restore.flows.story_documents import documents
    from archive_restore.flows.story_render import Telling

    if options["no_clip"] and (said := [name for name in _CLIP if options[name]]):
        raise UsageError(f"--{said[0].replace('_', '-')} is about the clip", hint="Leave it or --no-clip out")
    handed = _handed(options)
    if (handed.any or options["moving"] or options["focus"]) and len(refs) > 1:
        raise UsageError("hints and regions with coordinates belong to one picture", hint="Give exactly one REF")
    wished = _coloured(options)
    # Where nobody says a colour, the story has those that a model proposes.
    wished["automatic"] = wished["automatic"] or not (handed.hints or "hints" in handed.files)
    recipes = [enhancement(**_picked(options, _ENHANCE)), colorization(**wished)]
    whole: list[Whole] = []
    failed: list[tuple[str, str]] = []
    with session.open(write=True) as archive:
        plans = [make_story_plan(archive, recipe, _of(options["settings"], recipe)) for recipe in recipes]
        telling = Telling(seed=options["seed"], samples=options["samples"], documents=documents(archive, handed))
        people = decisions(archive, recipes[1], options["author"], options["reason"])
        clip = None if options["no_clip"] else _clip_wish(archive, options)
        if clip is not None:
            require_clips(archive, clip)
        wish = Wish(
            enhance=plans[0], colorize=plans[1], telling=telling, people=people, clip=clip, device=options["device"]
        )
        with session.progress(len(refs), "story") as bar:
            for ref in dict.fromkeys(refs):
                try:
                    whole.append(tell_whole(archive, ref, wish, to))
                except StorageFailed:
                    raise
                except ArchiveRestoreError as exc:
                    failed.append((ref, str(exc)))
                bar.step(ref)
    session.result(
        {
            "told": [
                {
                    "ref": one.ref,
                    "refs": one.refs,
                    "clip": str(one.clip) if one.clip else None,
                    "sheet": str(one.sheet),
                    "disclosure": str(one.disclosure),
                    "notes": one.notes,
                }
                for one in whole
            ],
            "failed": [{"ref": ref, "error": error} for ref, error in failed],
        }
    )
    for one in whole:
        session.say(printable(" → ".join(one.refs)))
        if one.clip is not None:
            session.say(f"  clip    {one.clip}")
        session.say(f"  sheet   {one.sheet}")
        session.say(f"  words   {one.disclosure}")
        for note in one.notes:
            session.say(printable(f"  note    {note}"))
    for ref, error in failed:
        click.echo(f"failed {printable(ref)}: {printable(error)}", err=True)
    return 1 if failed else 0


_TRAVEL = 0.08
"""Share of the width that the camera of a story closes in unless one is chosen: half of what `--camera` does."""
_CLIP = ("seconds", "rate", "size", "focus", "moving", *_SOUND)
"""Options of `story` that speak of its clip."""


def _clip_wish(archive: Archive, options: dict[str, Any]) -> ClipWish:
    from archive_restore.core.story_recipes import animation
    from archive_restore.flows.soundtrack import SoundWish, take_wish
    from archive_restore.flows.story import ClipWish
    from archive_restore.flows.story_batch import decisions, make_story_plan
    from archive_restore.flows.story_documents import Handed, documents

    recipe = animation(
        **_picked(options, ("seconds", "size", "camera", "focus")),
        rate=int(options["rate"]) if options["rate"] else None,
        travel=_TRAVEL if options["camera"] != "rest" else None,
    )
    recipe, sound = take_wish(archive, SoundWish(**_picked(options, _SOUND)), recipe)
    said = (options["author"], options["reason"])
    handed = Handed(
        files={"motion": options["moving"]} if options["moving"] else {}, author=said[0], reason=said[1]
    )  # fmt: skip
    return ClipWish(
        plan=make_story_plan(archive, recipe, _of(options["settings"], recipe)),
        documents=documents(archive, handed),
        sound=sound,
        people=decisions(archive, recipe, *said),
    )


def _picked(options: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: options[name] for name in names}


def _coloured(options: dict[str, Any]) -> dict[str, Any]:
    """A palette speaks of what is proposed, so asking for one asks for proposals."""
    palette = any(options[name] for name in ("era", "region", "process"))
    if options["strength"] is not None and not palette:
        raise click.UsageError(
            "--strength is that of a palette, and none was asked for. Give --era, --region or --process"
        )
    return {**_picked(options, _COLOUR), "automatic": options["automatic"] or palette}


def _of(settings: Sequence[str], recipe: Recipe) -> list[str]:
    """The settings of a recipe's own steps; those of nobody stay, to be refused."""
    mine = {step.step for step in recipe.steps}
    others = {"complete", "enlarge", "colorize", "faces", "animate"} - mine
    return [text for text in settings if text.partition(".")[0] not in others]


def _handed(options: dict[str, Any]) -> Handed:
    from archive_restore.flows.story_documents import Handed

    files = {name: Path(options[name]) for name in ("regions", "hints", "motion") if options.get(name)}
    return Handed(
        files=files,
        hints=options.get("hint", ()),
        author=options["author"],
        reason=options["reason"],
        **{name: options.get(name, "") for name in ("era", "region", "process")},
    )


def _tell(
    session: Session,
    kind: StoryKind,
    recipe: Recipe,
    options: dict[str, Any],
    prepare: Callable[[Any, StoryOrder], FinishedStory] | None = None,
    sound: SoundWish | None = None,
) -> int:
    from archive_restore.core.planning import describe
    from archive_restore.flows.soundtrack import take_wish
    from archive_restore.flows.story_batch import choose_sources, decisions, make_story_plan, tell_many
    from archive_restore.flows.story_documents import documents
    from archive_restore.flows.story_render import Telling, models_of_story
    from archive_restore.flows.tell import StoryOrder, prepare_story
    from archive_restore.flows.then_now import NowWish, take_now

    handed = _handed(options)
    with session.open(write=not options["dry_run"]) as archive:
        taken = now = None
        if sound is not None:
            recipe, taken = take_wish(archive, sound, recipe)
            now = take_now(archive, NowWish(**_picked(options, _NOW)), options["form"] or "")
        plan = make_story_plan(archive, recipe, options["settings"])
        chosen = choose_sources(
            archive,
            options["refs"],
            everything=options["everything"],
            query=options["query"],
            drawn=handed.any or bool(now and now.attachments),
        )
        given = {**documents(archive, handed)}
        for more in (taken, now):
            given |= more.documents if more else {}
        if options["dry_run"]:
            models = [model.use for model in models_of_story(archive, plan.steps)]
            session.result({"items": chosen.item_ids, "plan": plan, "models": models})
            told = [f"model {m.name} {m.version} ({m.licence}), weights sha256 {m.sha256}" for m in models]
            items = f"for {len(chosen.item_ids)} pictures: {', '.join(chosen.item_ids[:20])}"
            for line in (*describe(plan), *told, items):
                session.say(printable(line))
            return 0
        order = StoryOrder(
            source="",
            kind=kind,
            plan=plan,
            telling=Telling(
                seed=options["seed"],
                samples=options["samples"],
                documents=given,
                attachments=(*(taken.attachments if taken else ()), *(now.attachments if now else ())),
            ),
            people=decisions(archive, recipe, options["author"], options["reason"]),
            device=options["device"],
        )
        with session.progress(len(chosen.item_ids), recipe.name) as bar:
            batch = tell_many(archive, chosen, order, lambda ref: bar.step(ref), prepare or prepare_story)
    return _show(session, batch)


def _show(session: Session, batch: Batch[StoryMade]) -> int:
    session.result(
        {
            "made": [as_json(made) for made in batch.made],
            "unchanged": batch.unchanged,
            "failed": [{"ref": ref, "error": error} for ref, error in batch.failed],
        }
    )
    for made in batch.made:
        shares = ", ".join(f"{name.lower()} {n}" for name, n in made.pixels.items() if n)
        session.say(printable(f"{made.ref}  from {made.source}: pixels {shares}  {made.seconds:.1f} s"))
        session.say(f"  picture {made.path}")
        if made.agreement_db is not None:
            session.say(f"  agrees  reduced again, it is its source by {made.agreement_db:.1f} dB")
        session.say(f"  report  {made.report}")
        for path in made.alternatives:
            session.say(f"  also    {path}")
        for note in made.notes:
            session.say(printable(f"  note    {note}"))
    return say_rest(session, batch.unchanged, batch.failed)


def as_json(made: StoryMade) -> dict[str, object]:
    """The stable JSON shape of one story."""
    return {
        "ref": made.ref,
        "path": str(made.path),
        "derivation": made.derivation,
        "source": made.source,
        "pixels": made.pixels,
        "original_fraction": made.original_fraction,
        "alternatives": [str(path) for path in made.alternatives],
        "notes": made.notes,
        "agreement_db": made.agreement_db,
        "seconds": round(made.seconds, 3),
        "report": str(made.report),
    }
