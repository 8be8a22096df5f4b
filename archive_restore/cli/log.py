"""`log`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from archive_restore.cli.output import Session, printable

if TYPE_CHECKING:
    from archive_restore.ports import TimeStamp

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_NEW = click.Path(path_type=Path)


@click.group("log")
def log_command() -> None:
    """Show, verify, prove and export the tamper-evident audit log."""


@log_command.command("show")
@click.option("-n", "--last", default=20, show_default=True, type=click.IntRange(1), help="How many entries.")
@click.pass_obj
def log_show(session: Session, last: int) -> int:
    """Show the newest entries."""
    with session.open(write=False) as archive:
        entries = list(archive.log.entries(max(0, archive.log.size() - last)))
        stamps = tuple(archive.timestamps.stored())
    session.result({"entries": entries, "timestamps": stamps})
    for entry in entries:
        told = entry.event
        session.say(
            printable(f"{entry.index}  {told.date_time}  {told.ref}  {told.type}: {told.detail} ({told.outcome})")
        )
    for stamp in stamps:
        session.say(printable(_stamped(stamp)))
    return 0


@log_command.command("verify")
@click.pass_obj
def log_verify(session: Session) -> int:
    """Recompute the Merkle tree and check it against the signed checkpoint. Exit code 1 when it does not hold."""
    with session.open(write=False) as archive:
        damage, doubts = tuple(archive.log.verify()), tuple(archive.timestamps.verify(archive.log))
        findings = (*damage, *doubts)
        size = archive.log.size()
        stamps = tuple(stamp for stamp in archive.timestamps.stored() if stamp.answered)
    session.result({"ok": not findings, "subjects": size, "findings": findings, "timestamps": stamps})
    session.findings(findings)
    for stamp in stamps:
        session.say(printable(_stamped(stamp)))
    word = "the log does NOT hold" if damage else "the checkpoint holds"
    session.say(f"{size} entries: {word}{', a time-stamp does NOT' if doubts and not damage else ''}")
    return 1 if findings else 0


@log_command.command("prove")
@click.argument("ref")
@click.option("--to", required=True, metavar="PATH", type=_NEW, help="A new file, or a folder for several.")
@click.option("--event", "kind", metavar="TYPE", help="PREMIS event type; the newest such entry.")
@click.option("--all", "every", is_flag=True, help="All entries about REF, each in a file of its own.")
@click.pass_obj
def log_prove(session: Session, ref: str, to: Path, kind: str | None, every: bool) -> int:
    """Write the proof that an entry about REF is in the log (C2SP tlog-proof), for people without the log.

    By default it is the entry that names the digest of the file. It stands in the proof, on the line `extra`.
    docs/how-to/verify-a-proof.md checks it without this program.
    """
    from archive_restore.flows.log import prove

    with session.open(write=False) as archive:
        proofs = prove(archive, ref, kind=kind, every=every, to=to)
    session.result(
        {"proofs": [{"index": p.index, "type": p.type, "date_time": p.date_time, "path": str(p.path)} for p in proofs]}
    )
    for proof in proofs:
        session.say(printable(f"entry {proof.index}, {proof.type} of {proof.date_time}: {proof.path}"))
    return 0


@log_command.command("export")
@click.option(
    "--to", required=True, metavar="DIR", type=_NEW,
    help="A new or empty folder outside the archive, or that of an earlier export of this log, to add what is new.",
)  # fmt: skip
@click.pass_obj
def log_export(session: Session, to: Path) -> int:
    """Write the log as static tiles (C2SP tlog-tiles) that any web server can publish, with its key beside it."""
    from archive_restore.flows.log import export_log

    with session.open(write=False) as archive:
        done = export_log(archive, to)
    session.result({"path": str(to), "size": done.size, "written": done.written, "findings": done.findings})
    session.findings(done.findings)
    session.say(printable(f"{done.size} entries in {to}: {done.written} of {done.files} files are new; all verified"))
    return 0


@log_command.command("consistency")
@click.argument("old", metavar="CHECKPOINT", type=_FILE)
@click.option("--new", type=_FILE, metavar="FILE", help="A later checkpoint; by default the present one.")
@click.option("--to", metavar="FILE", type=_NEW, help="Write the proof there, for people without the log.")
@click.pass_obj
def log_consistency(session: Session, old: Path, new: Path | None, to: Path | None) -> int:
    """Prove that the log only grew since CHECKPOINT, an older one, was made. Exit code 1 when it did not."""
    from archive_restore.flows.log import consistency

    with session.open(write=False) as archive:
        found = consistency(archive, old, new, to)
    session.result(
        {
            "ok": not found.findings,
            "earlier": found.earlier,
            "later": found.later,
            "proof": found.proof.decode(),
            "findings": found.findings,
        }
    )
    session.findings(found.findings)
    if found.findings:
        session.say("the log does NOT extend that checkpoint")
        return 1
    session.say(f"the {found.later} entries begin with the {found.earlier} of {printable(str(old))}, unchanged")
    return 0


@log_command.group("timestamp")
def timestamp_group() -> None:
    """Have the time of a checkpoint confirmed by an authority (RFC 3161), by exchange of files."""


@timestamp_group.command("request")
@click.option("--to", required=True, metavar="FILE", type=_NEW, help="A new file, for instance request.tsq.")
@click.pass_obj
def timestamp_request(session: Session, to: Path) -> int:
    """Write a request for a time-stamp of the present checkpoint; bring it to an authority yourself.

    This program never uses the network. The authority answers with a file: give it to `log timestamp accept`.
    """
    from archive_restore.flows.log import request_timestamp

    with session.open(write=True) as archive:
        size = archive.log.size()
        request_timestamp(archive, to)
    session.result({"path": str(to), "size": size})
    session.say(printable(f"{to} asks for a time-stamp of the checkpoint over {size} entries"))
    return 0


@timestamp_group.command("accept")
@click.argument("reply", type=_FILE)
@click.option(
    "--anchors", metavar="PEM", type=_FILE,
    help="Root certificates of the authority, from somewhere else than the reply; by default those given last time.",
)  # fmt: skip
@click.pass_obj
def timestamp_accept(session: Session, reply: Path, anchors: Path | None) -> int:
    """Check an authority's reply and keep it in audit/timestamps. Exit code 1 when it does not hold; it is not kept."""
    from archive_restore.flows.log import accept_timestamp

    with session.open(write=True) as archive:
        stamp, findings = accept_timestamp(archive, reply, anchors)
    session.result({"ok": stamp is not None, "timestamp": stamp, "findings": findings})
    session.findings(findings)
    if stamp is None:
        session.say("the reply was NOT kept")
        return 1
    session.say(printable(_stamped(stamp)))
    return 0


def _stamped(stamp: TimeStamp) -> str:
    """One line about a time-stamp."""
    if not stamp.answered:
        return f"time-stamp {stamp.name}: asked for, of {stamp.size} entries; no reply yet"
    if not stamp.time:
        return f"time-stamp {stamp.name}: of {stamp.size} entries; it does NOT hold"
    return f"time-stamp {stamp.name}: {stamp.size} entries were there at {stamp.time}, says {stamp.authority}"
