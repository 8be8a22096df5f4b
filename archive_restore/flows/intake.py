"""Intake: what a worker makes of one file that comes in; nothing here is committed (PREMIS events of ingestion).

Everything travels: a worker may be a thread or another process, so that what goes in and what comes out is plain
data, and the staged files lie in `work/`.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from archive_restore.core.canonical import canonical_bytes
from archive_restore.core.refs import identifier_from_name
from archive_restore.core.rules import Row
from archive_restore.errors import SourceUnreadable
from archive_restore.flows.commit import (
    DERIVATION_RECORD,
    ITEM_RECORD,
    PREMIS_RECORD,
    Prepared,
    digest_event,
    event,
    sidecar_name,
)
from archive_restore.ports import Archive, Digests, Staging
from archive_restore.records.findings import Finding, Severity, has_errors
from archive_restore.records.objects import Description, FileFacts, Master, MasterRef
from archive_restore.records.provenance import Event

RESERVED = frozenset({ITEM_RECORD, PREMIS_RECORD, DERIVATION_RECORD})


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A file to be taken in."""

    path: Path
    relative: str
    """Path below the folder that was given, with slashes."""
    finding: Finding | None = None
    """Why nothing is read here: a folder that cannot be opened, or the archive itself."""
    is_bag: bool = False
    """It is the directory of a bag, to be unpacked first (flows/bags.py)."""
    bag: str = ""
    """The bag it came in, as shown; empty for a file of its own."""

    @property
    def shown(self) -> str:
        """The path as text for records and people: bytes that are not UTF-8 as `\\xff`."""
        return os.fsencode(self.path).decode("utf-8", "backslashreplace")


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A candidate with what the metadata sheet says of it."""

    candidate: Candidate
    row: Row | None = None
    refusal: Finding | None = None
    """Why the sheet's row forbids it."""
    keep_unreadable: bool = False
    promised: Mapping[str, str] = field(default_factory=dict)
    """Digests by algorithm (sha256, sha512) that the bag it came in was validated with."""
    fixity: str = ""
    """What was compared when its bag was validated; empty for a file of its own."""


@dataclass(frozen=True, kw_only=True)
class Parcel:
    """A few files that travel to a worker together."""

    number: int
    """Place in the batch, from 0."""
    files: tuple[Wanted, ...]


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What a worker made of a candidate."""

    candidate: Candidate
    prepared: Prepared | None = None
    duplicate_of: str = ""
    findings: tuple[Finding, ...] = ()
    size: int = 0
    sha512: str = ""


def take_parcel(archive: Archive, parcel: Parcel) -> tuple[Taken, ...]:
    """Take in the files of a parcel, in their order; a failure of the archive's own disk or keys is raised."""
    taken: list[Taken] = []
    try:
        for wanted in parcel.files:
            # One by one, since what was staged before a failure must be discarded.
            taken.append(take(archive, wanted))  # noqa: PERF401
    except BaseException:
        for done in taken:
            if done.prepared is not None:
                done.prepared.staged.discard()
        raise
    return tuple(taken)


def take(archive: Archive, wanted: Wanted) -> Taken:
    """Copy, hash, check and describe one file; nothing is committed."""
    candidate = wanted.candidate
    subject = candidate.shown
    if candidate.finding is not None:
        return Taken(candidate=candidate, findings=(candidate.finding,))
    if wanted.refusal is not None:
        return Taken(candidate=candidate, findings=(replace(wanted.refusal, subject=subject),))
    problem = _not_a_file(candidate)
    if problem is not None:
        return Taken(candidate=candidate, findings=(problem,))
    row = wanted.row
    item_id = row.item_id if row and row.item_id else identifier_from_name(candidate.path.stem)
    staged = archive.preservation.stage(item_id)
    try:
        return _take_staged(archive, wanted, staged, item_id)
    except SourceUnreadable as exc:
        staged.discard()
        return Taken(candidate=candidate, findings=(_unreadable(subject, str(exc)),))
    except BaseException:
        staged.discard()
        raise


def _take_staged(archive: Archive, wanted: Wanted, staged: Staging, item_id: str) -> Taken:
    candidate, row = wanted.candidate, wanted.row
    subject, name = candidate.shown, candidate.path.name
    safe_name = "refused" if has_errors(archive.formats.name_findings(name)) else name
    digests = staged.copy_in(safe_name, candidate.path)
    taken = Taken(candidate=candidate, size=digests.size, sha512=digests.sha512)
    changed = _changed(wanted.promised, digests, subject)
    if changed is not None:
        staged.discard()
        return replace(taken, findings=(changed,))
    known = archive.catalog.master_by_sha512(digests.sha512)
    if known is not None:
        staged.discard()
        return replace(taken, duplicate_of=known)
    inspected = archive.formats.inspect(staged.directory / safe_name, subject=subject, name=name, digests=digests)
    findings = list(inspected.findings)
    if name in RESERVED:
        findings.append(_name_reserved(subject, name))
    refused = has_errors(findings) or inspected.file_format is None
    if refused and not (wanted.keep_unreadable and safe_name == name and name not in RESERVED and digests.size):
        archive.quarantine.take(staged.directory / safe_name, name=name, sha256=digests.sha256, findings=findings)
        staged.discard()
        return replace(taken, findings=tuple(findings))
    facts = inspected.file_format or FileFacts(
        name=name,
        size=digests.size,
        sha512=digests.sha512,
        sha256=digests.sha256,
        puid="UNKNOWN",
        mime="application/octet-stream",
    )
    master = Master(
        ref=MasterRef(item_id=item_id),
        description=row.description if row else Description(),
        file=facts,
        picture=None if refused else inspected.picture,
        findings=tuple(findings),
        original_path=subject,
        ingested=archive.clock.now(),
    )
    return replace(taken, prepared=_prepare(archive, master, staged, digests, wanted.fixity))


def _prepare(archive: Archive, master: Master, staged: Staging, digests: Digests, fixity: str) -> Prepared:
    name, ref = master.file.name, str(master.ref)
    sidecar = sidecar_name(name)
    archive.credentials.sign_master(master, staged.directory / name, staged.directory / sidecar)
    files = {
        name: digests,
        sidecar: staged.adopt(sidecar),
        ITEM_RECORD: staged.write(ITEM_RECORD, canonical_bytes(master)),
    }
    events = _events(archive, master, files, fixity)
    premis = staged.write(PREMIS_RECORD, archive.documents.master_premis(master, events))
    events = (*events, digest_event(archive, ref, {PREMIS_RECORD: premis}))
    return Prepared(ref=master.ref, staged=staged, record=master, events=events, message=f"Ingest {ref}")


def _events(archive: Archive, master: Master, files: Mapping[str, Digests], fixity: str) -> tuple[Event, ...]:
    ref, facts = str(master.ref), master.file
    worst = "warning" if any(f.severity is not Severity.INFO for f in master.findings) else "success"
    checked = event(archive, "validation", ref, f"{len(master.findings)} findings on {facts.name}")
    return (
        event(archive, "ingestion", ref, f"{facts.name} from {master.original_path}"),
        *((event(archive, "fixity check", ref, f"{facts.name}: {fixity}"),) if fixity else ()),
        digest_event(archive, ref, files),
        event(archive, "format identification", ref, f"{facts.puid} {facts.format_name}".strip()),
        replace(checked, outcome=worst),
        event(archive, "metadata extraction", ref, "technical facts and embedded metadata into item.json"),
        event(archive, "digital signature generation", ref, f"C2PA manifest in {sidecar_name(facts.name)}"),
    )


def _not_a_file(candidate: Candidate) -> Finding | None:
    try:
        mode = candidate.path.lstat().st_mode
    except OSError as exc:
        return _unreadable(candidate.shown, f"The file cannot be read: {exc.strerror}")
    if stat.S_ISREG(mode):
        return None
    return Finding(
        code="NOT_A_FILE",
        severity=Severity.ERROR,
        subject=candidate.shown,
        message="Links, pipes and devices are not followed; give the file itself.",
    )


def _changed(promised: Mapping[str, str], digests: Digests, subject: str) -> Finding | None:
    """A finding where the bytes that arrived are not those that were validated."""
    if (promised.get("sha256", digests.sha256), promised.get("sha512", digests.sha512)) == (
        digests.sha256,
        digests.sha512,
    ):
        return None
    return Finding(
        code="BAG_DIGEST_MISMATCH",
        severity=Severity.ERROR,
        subject=subject,
        message="The file changed after its bag was validated; ingest the bag again.",
        clause="RFC 8493 §3",
    )


def _unreadable(subject: str, why: str) -> Finding:
    return Finding(code="FILE_UNREADABLE", severity=Severity.ERROR, subject=subject, message=f"{why}.")


def _name_reserved(subject: str, name: str) -> Finding:
    return Finding(
        code="NAME_RESERVED",
        severity=Severity.ERROR,
        subject=subject,
        message=f"{name!r} is the name of one of our own records; rename the file.",
    )
