"""`palettes` and `hints`: what helps to colour a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from archive_restore.cli.output import Session, printable

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.group("palettes")
def palettes_command() -> None:
    """List, show, make and add palettes of eras, places and processes."""


@palettes_command.command("list")
@click.pass_obj
def palettes_list(session: Session) -> int:
    """List the palettes: a prior for `colorize --era`, `--region` and `--process`, not evidence."""
    from archive_restore.imaging.palettes import based, said

    known = _palettes(session)
    session.result({"palettes": known})
    for palette in known:
        session.say(printable(f"{palette['id']}: {palette['title']} ({said(palette)}; {based(palette)})"))
    return 0


@palettes_command.command("show")
@click.argument("name")
@click.pass_obj
def palettes_show(session: Session, name: str) -> int:
    """Print a palette as JSON, with its colours, its sources, and which number rests on what."""
    import json

    from archive_restore.errors import UsageError

    found = next((palette for palette in _palettes(session) if palette["id"] == name), None)
    if found is None:
        raise UsageError(f"there is no palette {name!r}", hint="See: archive-restore palettes list")
    click.echo(json.dumps(found, indent=2, ensure_ascii=False))
    return 0


@palettes_command.command("add")
@click.argument("file", type=_FILE)
@click.pass_obj
def palettes_add(session: Session, file: Path) -> int:
    """Add a palette of one's own to the archive (schema palette.schema.json)."""
    from archive_restore.adapters.palettes import read_palette

    palette = read_palette(file)
    with session.open(write=True) as archive:
        path = archive.palettes.add(palette)
    session.result({"id": palette["id"], "path": str(path)})
    session.say(f"Added {palette['id']}: {path}")
    return 0


@palettes_command.command("from")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--id", "identifier", required=True, metavar="NAME", help="What it is called: small letters, - between.")
@click.option("--title", required=True, metavar="TEXT", help="What it stands for, in a few words.")
@click.option("--years", required=True, metavar="FIRST-LAST", help="The years it stands for.")
@click.option(
    "--region", "regions", multiple=True, metavar="CODE", help="A country by its two letters; else everywhere."
)
@click.option("--process", default="", metavar="NAME", help="The process of the photographs, for instance autochrome.")
@click.option(
    "--source", "sources", multiple=True, required=True, metavar="TEXT", help="Where the photographs are from."
)
@click.pass_obj
def palettes_from(
    session: Session,
    folder: Path,
    identifier: str,
    title: str,
    years: str,
    regions: tuple[str, ...],
    process: str,
    sources: tuple[str, ...],
) -> int:
    """Measure a palette on the colour photographs in FOLDER and add it to the archive."""
    from archive_restore.errors import UsageError
    from archive_restore.flows.palettes import Wanted, measure_palette

    first, _, last = years.partition("-")
    if not (first.strip().isdecimal() and last.strip().isdecimal()):
        raise UsageError(f"{years!r} are no years", hint="Write FIRST-LAST, for instance 1960-1975")
    if int(last) < int(first):
        raise UsageError(f"{years!r} end before they begin", hint="Write FIRST-LAST, for instance 1960-1975")
    wanted = Wanted(
        identifier=identifier, title=title, years=(int(first), int(last)), regions=regions or ("*",),
        process=process, citations=sources,
    )  # fmt: skip
    with session.open(write=True) as archive:
        palette = measure_palette(archive, folder, wanted)
        path = archive.palettes.add(palette)
    session.result({"id": identifier, "path": str(path)})
    session.say(f"Measured {identifier} with {len(palette['colours'])} colours: {path}")
    return 0


def _palettes(session: Session) -> tuple[Any, ...]:
    """The palettes of the archive at hand; the shipped ones where there is none."""
    from archive_restore.app import shipped_palettes
    from archive_restore.errors import ArchiveMissing

    try:
        with session.open(write=False) as archive:
            return tuple(archive.palettes.all())
    except ArchiveMissing:
        if session.archive_dir is not None:
            raise
        return shipped_palettes().all()


@click.group("hints")
def hints_command() -> None:
    """Find out where colour hints would help."""


@hints_command.command("suggest")
@click.argument("ref")
@click.option("--hint", "hint", multiple=True, metavar="X,Y=COLOUR", help="A hint that is known already.")
@click.option("--hints", type=_FILE, help="Hints that are known already (schema hints.schema.json).")
@click.option("--count", default=5, show_default=True, type=click.IntRange(1, 50), help="How many places to name.")
@click.pass_obj
def hints_suggest(session: Session, ref: str, hint: tuple[str, ...], hints: Path | None, count: int) -> int:
    """Name the places of REF where one hint would tell the most; nothing is stored."""
    from archive_restore.flows.browse import resolve
    from archive_restore.flows.palettes import suggest_hints
    from archive_restore.flows.story_documents import Handed, documents

    with session.open(write=False) as archive:
        given = documents(archive, Handed(files={"hints": hints} if hints else {}, hints=hint))
        found = suggest_hints(archive, resolve(archive, ref), given.get("hints", ""), count)
    session.result({"ref": ref, "suggestions": found})
    for one in found:
        session.say(f'--hint "{one.x:.0f},{one.y:.0f}=…"  {one.reason}')
    if not found:
        session.say("No single hint would tell much more.")
    return 0
