"""Log: what an outsider needs to check it without this program (promise P7).

Proofs are verified before they are handed out; nothing here writes to the log.
"""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from archive_restore.core.fixity import each_subject
from archive_restore.core.log_proof import SUFFIX
from archive_restore.core.refs import AnyRef
from archive_restore.errors import ReferenceUnknown, SourceUnreadable, StorageConflict, UsageError
from archive_restore.flows.browse import resolve
from archive_restore.flows.commit import DIGESTS, event, record_name
from archive_restore.flows.export_folder import disk
from archive_restore.ports import Archive, Consistency, LogExport, LogLine, TimeStamp
from archive_restore.records.findings import Finding

STAMPED = "audit/checkpoint"
"""What the events that tell of time-stamps are about; no REF of an item can be so."""
MOST_BYTES = 1 << 20
"""Of a checkpoint, reply or PEM file that is handed in."""


@dataclass(frozen=True, kw_only=True)
class Proof:
    """One entry, and the proof that it is in the log."""

    index: int
    """Of the entry, from 0."""
    type: str
    """PREMIS event type."""
    date_time: str
    proof: bytes
    """C2SP tlog-proof."""
    path: Path | None = None
    """Where it was written."""


def prove(archive: Archive, text: str, *, kind: str | None, every: bool, to: Path) -> tuple[Proof, ...]:
    """Write the proof of the newest entry of type `kind` about a REF, or with `every` the proofs of all its entries.

    By default it is the entry that vouches for the file itself: the newest that names the digests of it and its record.
    `to` is a new file, or a folder. Raise ReferenceUnknown, UsageError, StorageConflict where a file is there already.
    """
    ref = resolve(archive, text)
    if every and kind is not None:
        raise UsageError("--all goes without --event", hint="Leave one of them out")
    found = list(archive.log.find([str(ref)]))
    if kind is not None:
        found = [line for line in found if line.event.type == kind][-1:]
    elif not every:
        found = [line for line in found if line.event.type == DIGESTS and record_name(ref) in line.event.digests][-1:]
    if not found:
        what = "" if every else f"of type {kind or DIGESTS!r} "
        raise ReferenceUnknown(f"the log has no entry {what}about {ref}", hint=f"Run: archive-restore show {ref}")
    folder = to.is_dir() or len(found) > 1
    with disk(to):
        if folder:
            to.mkdir(parents=True, exist_ok=True)
    proofs = []
    for line in found:
        words = re.sub(r"[^a-z]+", "-", line.event.type)
        path = to / f"{line.index}-{words}{SUFFIX}" if folder else to
        proofs.append(_proof(archive, line, path))
    return tuple(proofs)


def proofs_of(archive: Archive, refs: Collection[AnyRef]) -> Mapping[str, tuple[LogLine, ...]]:
    """Every entry about each of these versions, by REF, in one pass; `archive.log.prove(line.index)` proves it."""
    found: dict[str, list[LogLine]] = {str(ref): [] for ref in refs}
    for line in archive.log.find(found):
        for told in each_subject(line.event):
            if told.ref in found:
                found[told.ref].append(line)
    return {ref: tuple(lines) for ref, lines in found.items()}


def export_log(archive: Archive, to: Path) -> LogExport:
    """Write the log as tiles into a folder outside of the archive; raise UsageError where it lies inside."""
    if to.resolve().is_relative_to(archive.root.resolve()):
        raise UsageError(f"{str(to)!r} lies inside the archive", hint="Choose a folder outside of it")
    return archive.log.export(to)


def consistency(archive: Archive, old: Path, new: Path | None, to: Path | None) -> Consistency:
    """Whether the present log, or the checkpoint in the file `new`, only adds to the checkpoint in the file `old`.

    Where it does and `to` is given, the proof is written there.
    """
    found = archive.log.consistency(_read(old), None if new is None else _read(new))
    if to is not None and found.proof:
        write_new(to, found.proof)
    return found


def request_timestamp(archive: Archive, to: Path) -> bytes:
    """Ask for a time-stamp of the present checkpoint: keep the request and write it to a new file."""
    request = archive.timestamps.request(archive.log.checkpoint())
    write_new(to, request)
    return request


def accept_timestamp(
    archive: Archive, reply: Path, anchors: Path | None
) -> tuple[TimeStamp | None, tuple[Finding, ...]]:
    """Check an authority's reply, keep it beside its checkpoint and log that; None and why where it is not kept."""
    stamp, findings = archive.timestamps.accept(_read(reply), None if anchors is None else _read(anchors))
    if stamp is None:
        return None, findings
    if all(dict(line.event.digests) != stamp.digests for line in archive.log.find([STAMPED])):
        said = f"time-stamp of the checkpoint over {stamp.size} entries: {stamp.time} by {stamp.authority}"
        archive.log.append([event(archive, "digital signature validation", STAMPED, said, stamp.digests)])
    return stamp, ()


def write_new(path: Path, data: bytes) -> None:
    """Write a file durably, never over another one; raise StorageConflict, StorageFailed."""
    partial = path.with_name(f".{path.name[:100]}.{uuid.uuid4().hex[:8]}")
    with disk(path):
        try:
            with partial.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if path.exists():
                raise StorageConflict(f"{str(path)!r} is there already", hint="Nothing is overwritten: choose another")
            partial.rename(path)
        finally:
            partial.unlink(missing_ok=True)


def _proof(archive: Archive, line: LogLine, path: Path) -> Proof:
    data = archive.log.prove(line.index)
    write_new(path, data)
    return Proof(index=line.index, type=line.event.type, date_time=line.event.date_time, proof=data, path=path)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MOST_BYTES)
    except OSError as exc:
        raise SourceUnreadable(f"{str(path)!r} cannot be read: {exc.strerror}", hint="Check the file") from exc
