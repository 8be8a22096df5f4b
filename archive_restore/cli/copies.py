"""`replicate` and `repair`."""

from __future__ import annotations

from pathlib import Path

import click

from archive_restore.cli.output import Session, printable

_DIRECTORY = click.Path(path_type=Path, file_okay=False)


@click.command("replicate")
@click.option("--to", "place", required=True, type=_DIRECTORY, metavar="DIR", help="A replica, or an empty directory.")
@click.option("--verify", "reread", is_flag=True, help="Read every byte that the replica holds, and mend what rotted.")
@click.pass_obj
def replicate_command(session: Session, place: Path, reread: bool) -> int:
    """Keep a second archive of the same: storage roots, log, settings and public keys, what is new each time.

    Every file is hashed while it is copied; one that has rotted is not taken. Private keys are never copied.
    Exit code 1 when any finding is an error.
    """
    from archive_restore.flows.replicate import replicate

    with session.open(write=False) as archive, session.progress(0, "replicate") as bar:
        done = replicate(archive, place, verify=reread, progress=lambda subject, size: bar.step(subject, size))
    session.result(
        {
            "ok": done.ok,
            "subjects": done.subjects,
            "copied": done.copied,
            "files": done.files,
            "bytes": done.size,
            "entries": done.entries,
            "findings": done.findings,
        }
    )
    session.findings(done.findings)
    session.say(
        f"{done.subjects} objects, {done.copied} of them copied or continued: {done.files} files, {done.size} bytes; "
        f"{done.entries} entries of the log"
    )
    return 0 if done.ok else 1


@click.command("repair")
@click.argument("refs", nargs=-1, metavar="[REF]...")
@click.option("--all", "everything", is_flag=True, help="Everything that the log knows.")
@click.option("--log", "of_log", is_flag=True, help="The audit log itself: first, where it is damaged.")
@click.option(
    "--from", "source", required=True, metavar="REPLICA", type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="A replica, or any other copy of the archive's directory.",
)  # fmt: skip
@click.pass_obj
def repair_command(session: Session, refs: tuple[str, ...], everything: bool, of_log: bool, source: Path) -> int:
    """Bring back what rotted or went missing from a replica whose digests are those of the log.

    Good bytes are copied, hashed and compared before they take their place; what was there goes into quarantine.
    Exit code 1 when something remains that could not be mended.
    """
    from archive_restore.errors import UsageError
    from archive_restore.flows.repair import repair, repair_log

    if sum((bool(refs), everything, of_log)) != 1:
        raise UsageError("give REFs, --all or --log", hint="`verify` tells which")
    if of_log:
        from archive_restore.app import holding

        with holding(session.archive_dir) as archive:
            done = repair_log(archive, source)
    else:
        with session.open(write=True) as archive, session.progress(len(refs), "repair") as bar:
            done = repair(archive, refs or None, source, progress=lambda subject: bar.step(subject))
    session.result({
        "ok": done.ok, "subjects": done.subjects, "repaired": done.repaired, "findings": done.findings
    })  # fmt: skip
    for mended in done.repaired:
        for path in mended.restored:
            session.say(printable(f"{mended.object}: {path} restored"))
        for path in mended.quarantined:
            session.say(printable(f"{mended.object}: {path or 'what was there'} put into quarantine"))
    session.findings(done.findings)
    rest = "nothing remains to be mended" if done.ok else f"{len(done.findings)} things remain"
    session.say(f"{done.subjects} objects examined, {len(done.repaired)} mended; {rest}")
    return 0 if done.ok else 1
