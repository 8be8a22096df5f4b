"""`demo`."""

from __future__ import annotations

from pathlib import Path

import click

from archive_restore.cli.output import Session


@click.command("demo")
@click.argument("directory", metavar="[DIR]", default="archive-restore-demo", type=click.Path(path_type=Path))
@click.pass_obj
def demo_command(session: Session, directory: Path) -> int:
    """Run the whole main job on a real photograph: init, ingest, restore, verify, reproduce.

    DIR (archive-restore-demo) must not exist; it holds a complete archive and the report afterwards.
    """
    from archive_restore.adapters.shipped import demonstration
    from archive_restore.app import create_archive, open_archive
    from archive_restore.flows.demo import demo

    session.say(f"Making an archive in {directory}")
    create_archive(directory, name="Demonstration", organization="Demonstration archive", passphrase=None)
    with open_archive(directory, write=True) as archive:
        shown = demo(archive, demonstration(), session.say)
    session.result(shown)
    session.say(f"\nOpen the report in a browser:\n  {shown.report}")
    return 0 if shown.ok else 1
