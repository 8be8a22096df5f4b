"""`recipes`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from archive_restore.cli.output import Session

if TYPE_CHECKING:
    from archive_restore.ports import PreservationStep


@click.group("recipes")
def recipes_command() -> None:
    """List recipes and steps."""


@recipes_command.command("list")
@click.pass_obj
def recipes_list(session: Session) -> int:
    """List the built-in recipes, and every step with its parameters.

    Steps of other packages are among them where the archive admits them.
    """
    from archive_restore.core.planning import BUILT_IN

    steps = _steps(session)
    session.result(
        {
            "recipes": list(BUILT_IN.values()),
            "steps": [
                {"step": name, "version": s.version, "summary": s.summary, "parameters": s.parameters_schema}
                for name, s in steps.items()
            ],
        }
    )
    for recipe in BUILT_IN.values():
        session.say(f"{recipe.name}: {recipe.description}")
    for name, step in steps.items():
        session.say(f"\nstep {name} {step.version}: {step.summary}")
        for parameter, prop in step.parameters_schema.items():
            session.say(f"  {name}.{parameter} = {json.dumps(prop['default'])}  {prop['description']}")
    return 0


def _steps(session: Session) -> Mapping[str, PreservationStep]:
    """The steps of the archive at hand; the built-in ones where there is none."""
    from archive_restore.errors import ArchiveMissing
    from archive_restore.plugins import preservation_steps

    try:
        with session.open(write=False) as archive:
            steps: Mapping[str, PreservationStep] = archive.preservation_steps()
            return steps
    except ArchiveMissing:
        if session.archive_dir is not None:
            raise
        return preservation_steps()


@recipes_command.command("show")
@click.argument("name")
@click.pass_obj
def recipes_show(session: Session, name: str) -> int:
    """Print a built-in recipe as JSON, to be changed and given to --recipe."""
    from archive_restore.core.canonical import to_plain
    from archive_restore.core.planning import BUILT_IN
    from archive_restore.errors import RecipeInvalid

    if name not in BUILT_IN:
        raise RecipeInvalid(f"there is no recipe {name!r}", hint="See: archive-restore recipes list")
    click.echo(json.dumps(to_plain(BUILT_IN[name]), indent=2, ensure_ascii=False))
    return 0
