"""`enhance` and `colorize`: stories, which are never part of the record."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from archive_restore.cli.output import Session, device_option, printable

if TYPE_CHECKING:
    from archive_restore.flows.batch import Batch
    from archive_restore.flows.story_documents import Handed
    from archive_restore.flows.tell import StoryMade
    from archive_restore.records.provenance import Recipe
    from archive_restore.records.stories import StoryKind

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_Command = TypeVar("_Command", bound=Callable[..., Any])
_samples_option = click.option(
    "--samples", default=1, show_default=True, type=click.IntRange(1, 16),
    help="How many outcomes to make, where several are plausible.",
)  # fmt: skip


def _story_options(command: _Command) -> _Command:
    """What every command that tells stories takes."""
    for option in (
        click.option("--dry-run", is_flag=True, help="Print the plan and change nothing."),
        device_option,
        click.option(
            "--seed", default=0, show_default=True, type=click.IntRange(0, 2**63 - 1), help="Seed of what is drawn."
        ),
        click.option("--reason", default="", metavar="TEXT", help="Why, in that person's words."),
        click.option("--by", "author", default="", metavar="NAME", help="Who decides what this story shows."),
        click.option("--set", "settings", multiple=True, metavar="STEP.PARAMETER=VALUE", help="Change one parameter."),
        click.option("--query", metavar="TEXT", help="The items that `search TEXT` finds, as --all."),
        click.option(
            "--all", "everything", is_flag=True,
            help="The newest restoration of every item, or its master; equal stories are passed over.",
        ),
        click.argument("refs", nargs=-1, metavar="[REF]..."),
    ):  # fmt: skip
        command = option(command)
    return command


@click.command("enhance")
@_story_options
@click.option("--scale", type=click.FloatRange(1, 16), metavar="NUMBER", help="How many times as long every edge is.")
@click.option("--target", type=click.Choice(["4k"]), help="Fit into this frame; the default.")
@click.option("--quality", is_flag=True, help="The large model: slower, and better at fine texture.")
@click.option("--fidelity", is_flag=True, help="Invent less; the result is less sharp.")
@click.option("--grain", type=click.FloatRange(0, 1), help="Share of the film's grain to draw anew.")
@click.option("--keep-losses", is_flag=True, help="Leave as found what a restoration left as loss.")
@click.option("--inpainting", default="", metavar="MODEL", help="Complete losses by this model (see `models add`).")
@click.option("--regions", type=_FILE, help="Places to complete, drawn by a person (schema regions.schema.json).")
@_samples_option
@click.pass_obj
def enhance_command(
    session: Session,
    /,
    refs: tuple[str, ...],
    scale: float | None,
    target: str | None,
    quality: bool,
    fidelity: bool,
    grain: float | None,
    keep_losses: bool,
    inpainting: str,
    regions: Path | None,
    samples: int,
    **common: Any,
) -> int:
    """Make a story of each REF that shows more than the photograph holds: enlarged, with detail drawn.

    REF is a master, a restoration or another story. Restore first: damage is enlarged as well. The result is the next
    version ITEM/enhancement@N with its synthesis map, credentials and report; it never becomes part of the record.
    """
    from archive_restore.core.story_recipes import enhancement
    from archive_restore.flows.story_documents import Handed
    from archive_restore.records.stories import StoryKind

    recipe = enhancement(
        scale=scale, target=target, quality=quality, fidelity=fidelity, grain=grain,
        complete=not keep_losses, inpainting=inpainting,
    )  # fmt: skip
    handed = Handed(files={"regions": regions} if regions else {}, author=common["author"], reason=common["reason"])
    return _tell(session, StoryKind.ENHANCEMENT, refs, recipe, handed, samples=samples, **common)


@click.command("colorize")
@_story_options
@click.option("--hint", "hints", multiple=True, metavar="X,Y=COLOUR", help="The colour at a place.")
@click.option("--hints", "hints_file", type=_FILE, help="Hints in a file (schema hints.schema.json).")
@_samples_option
@click.pass_obj
def colorize_command(
    session: Session,
    /,
    refs: tuple[str, ...],
    hints: tuple[str, ...],
    hints_file: Path | None,
    samples: int,
    **common: Any,
) -> int:
    """Make a story of each REF in colour; light and dark stay those of the photograph.

    REF is a master, a restoration or another story. Colours are proposals of a machine and decisions of people, each
    marked as such. The result is the next version ITEM/colorization@N; it never becomes part of the record.
    """
    from archive_restore.core.story_recipes import colorization
    from archive_restore.flows.story_documents import Handed
    from archive_restore.records.stories import StoryKind

    handed = Handed(
        files={"hints": hints_file} if hints_file else {}, hints=hints,
        author=common["author"], reason=common["reason"],
    )  # fmt: skip
    return _tell(session, StoryKind.COLORIZATION, refs, colorization(), handed, samples=samples, **common)


def _tell(
    session: Session,
    kind: StoryKind,
    refs: Sequence[str],
    recipe: Recipe,
    handed: Handed,
    *,
    everything: bool,
    query: str | None,
    settings: Sequence[str],
    author: str,
    reason: str,
    seed: int,
    device: str,
    dry_run: bool,
    samples: int,
) -> int:
    from archive_restore.core.planning import describe
    from archive_restore.flows.story_batch import choose_sources, decisions, make_story_plan, tell_many
    from archive_restore.flows.story_documents import documents
    from archive_restore.flows.story_render import Telling, models_of_story
    from archive_restore.flows.tell import StoryOrder

    with session.open(write=not dry_run) as archive:
        plan = make_story_plan(archive, recipe, settings)
        chosen = choose_sources(archive, refs, everything=everything, query=query, drawn=handed.any)
        given = documents(archive, handed)
        if dry_run:
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
            telling=Telling(seed=seed, samples=samples, documents=given),
            people=decisions(archive, recipe, author, reason),
            device=device,
        )
        with session.progress(len(chosen.item_ids), recipe.name) as bar:
            batch = tell_many(archive, chosen, order, lambda ref: bar.step(ref))
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
        session.say(f"  report  {made.report}")
        for path in made.alternatives:
            session.say(f"  also    {path}")
        for note in made.notes:
            session.say(printable(f"  note    {note}"))
    for ref in batch.unchanged:
        session.say(f"{ref} is already made so")
    for ref, error in batch.failed:
        click.echo(f"failed {printable(ref)}: {printable(error)}", err=True)
    return 1 if batch.failed else 0


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
        "seconds": round(made.seconds, 3),
        "report": str(made.report),
    }
