"""`restore`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from archive_restore.cli.output import Session, device_option, printable, say_rest
from archive_restore.core.planning import DEFAULT_RECIPE

if TYPE_CHECKING:
    from archive_restore.flows.restore import Made

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command("restore")
@click.argument("refs", nargs=-1, metavar="[REF]...")
@click.option("--all", "everything", is_flag=True, help="Every item of the archive; finished ones are passed over.")
@click.option("--query", metavar="TEXT", help="The items that `search TEXT` finds; finished ones are passed over.")
@click.option("--recipe", default=DEFAULT_RECIPE, show_default=True, help="A name of `recipes list`, or a JSON file.")
@click.option("--set", "settings", multiple=True, metavar="STEP.PARAMETER=VALUE", help="Change one parameter.")
@click.option("--damage-map", type=_FILE, help="A picture of the master's size: every non-black pixel is damaged.")
@click.option("--keep-map", type=_FILE, help="A picture of the master's size: no non-black pixel is taken for damage.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0, 2**63 - 1), help="Seed of the grain.")
@device_option
@click.option("--dry-run", is_flag=True, help="Print the plan and change nothing.")
@click.pass_obj
def restore_command(
    session: Session,
    refs: tuple[str, ...],
    everything: bool,
    query: str | None,
    recipe: str,
    settings: tuple[str, ...],
    damage_map: Path | None,
    keep_map: Path | None,
    seed: int,
    device: str,
    dry_run: bool,
) -> int:
    """Make a preservation derivative of each REF.

    Thin damage is filled from its surroundings, large losses stay as found, and every other pixel equals the
    master bit for bit. The result is the next version ITEM/restoration@N with its synthesis map, credentials
    and report.
    """
    from archive_restore.core.planning import describe
    from archive_restore.flows.batch import choose, make_plan, restore_many
    from archive_restore.flows.render import HandFiles, models_of

    with session.open(write=not dry_run) as archive:
        plan = make_plan(archive, recipe, settings)
        chosen = choose(archive, refs, everything=everything, query=query, drawn=bool(damage_map or keep_map))
        if dry_run:
            models = [model.use for model in models_of(archive, plan.steps)]
            session.result({"items": chosen.item_ids, "plan": plan, "models": models})
            told = [f"model {m.name} {m.version} ({m.licence}), weights sha256 {m.sha256}" for m in models]
            items = f"for {len(chosen.item_ids)} items: {', '.join(chosen.item_ids[:20])}"
            for line in (*describe(plan), *told, items):
                session.say(printable(line))
            return 0
        with session.progress(len(chosen.item_ids), "restore") as bar:
            batch = restore_many(
                archive, chosen, plan, HandFiles(damage=damage_map, keep=keep_map), seed,
                lambda ref: bar.step(ref), device,
            )  # fmt: skip
    session.result(
        {
            "made": [as_json(made) for made in batch.made],
            "unchanged": batch.unchanged,
            "failed": [{"ref": ref, "error": error} for ref, error in batch.failed],
        }
    )
    for made in batch.made:
        changed, sure = 1 - made.original_fraction, made.certainty
        session.say(f"{made.ref}  {made.original_fraction:.2%} original, {changed:.2%} changed  {made.seconds:.1f} s")
        if sure.filled:
            session.say(f"  {sure.filled / made.size:.2%} filled, of it {sure.uncertain / sure.filled:.1%} uncertain")
        session.say(f"  picture {made.path}")
        session.say(f"  report  {made.report}")
        if made.damage.get("LOSS"):
            session.say(f"  {made.damage['LOSS']} pixels are too wide to fill without inventing: left as found, marked")
    return say_rest(session, batch.unchanged, batch.failed)


def as_json(made: Made) -> dict[str, object]:
    """The stable JSON shape of one derivative."""
    return {
        "ref": made.ref,
        "path": str(made.path),
        "derivation": made.derivation,
        "pixels": made.pixels,
        "original_fraction": made.original_fraction,
        "certainty": made.certainty,
        "seconds": round(made.seconds, 3),
        "report": str(made.report),
        "damage": made.damage,
    }
