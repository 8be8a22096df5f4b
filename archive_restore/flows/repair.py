"""Repair: what rotted or went missing comes back from a replica, and nothing is replaced by something worse.

The log decides what is right: an object is mended to an inventory, from here or from the replica, that says exactly
what the log vouches for, with files whose digests it names. What cannot be had stays as it is, and is told.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from archive_restore.core.refs import AnyRef, make_ref, object_kind, parse_ref
from archive_restore.errors import ReferenceUnknown, StorageConflict
from archive_restore.flows.commit import REPLICATION, event, tell_later
from archive_restore.flows.vouching import vouched
from archive_restore.ports import Archive, Brought, Vouched
from archive_restore.records.findings import Finding, Severity, has_errors
from archive_restore.records.provenance import Event

NAMED = 5
"""Paths that an event names one by one."""


@dataclass(frozen=True, kw_only=True)
class Mended:
    """One object that was changed."""

    object: str
    """Its identifier: ITEM or ITEM/KIND."""
    restored: tuple[str, ...]
    """Paths inside the object that were written."""
    quarantined: tuple[str, ...]
    """Paths inside the object whose bytes were put away."""


@dataclass(frozen=True, kw_only=True)
class Repaired:
    """What was done and what remains."""

    subjects: int
    """Objects that were examined."""
    repaired: tuple[Mended, ...]
    findings: tuple[Finding, ...]
    """What could not be mended, and why."""

    @property
    def ok(self) -> bool:
        """Whether no finding is of severity error."""
        return not has_errors(self.findings)


def repair(
    archive: Archive,
    refs: Sequence[str] | None,
    source: Path,
    *,
    progress: Callable[[str], None] = lambda subject: None,
) -> Repaired:
    """Mend the objects of these REFs, or of everything that the log knows when `refs` is None; each mending is logged.

    Every byte of an object is read. Raise StorageConflict where `source` is no copy of this archive, ReferenceUnknown
    for a REF that the log does not know, StorageFailed.
    """
    replica = archive.replica(source)
    replica.require()
    known = vouched(archive)
    chosen = sorted(known) if refs is None else _objects(refs, known.keys())
    mended: list[Mended] = []
    if refs is None and (written := replica.give_roots()):
        mended.append(Mended(object="storage roots", restored=written, quarantined=()))
    findings: list[Finding] = []
    for object_id in chosen:
        progress(object_id)
        try:
            brought = replica.give(object_id, known[object_id])
        except StorageConflict as exc:
            findings.append(Finding(code="NOT_REPAIRED", severity=Severity.ERROR, subject=object_id, message=f"{exc}."))
            continue
        findings += brought.findings
        if brought.written or brought.displaced:
            mended.append(Mended(object=object_id, restored=brought.written, quarantined=brought.displaced))
            tell_later(archive, _events(archive, object_id, known[object_id], brought))
    return Repaired(subjects=len(chosen), repaired=tuple(mended), findings=tuple(findings))


def repair_log(archive: Archive, source: Path) -> Repaired:
    """Mend the audit log, without which nothing else can be mended; raise StorageConflict, LogDamaged, StorageFailed.

    The archive is opened for reading, since one with such a log cannot be written to, under the writer's lock.
    """
    replica = archive.replica(source)
    replica.require()
    written = replica.give_log()
    mended = (Mended(object="log", restored=written, quarantined=written),) if written else ()
    return Repaired(subjects=1, repaired=mended, findings=tuple(archive.log.verify()))


def _objects(refs: Sequence[str], known: Collection[str]) -> list[str]:
    found = {}
    for text in refs:
        parsed = parse_ref(text)
        object_id = make_ref(parsed.item_id, parsed.kind).object_id
        if object_id not in known:
            raise ReferenceUnknown(f"the audit log knows no {text!r}", hint="See: archive-restore list")
        found[object_id] = True
    return list(found)


def _events(archive: Archive, object_id: str, versions: Vouched, brought: Brought) -> list[Event]:
    """One event a version that was touched; what describes the whole object counts for its newest."""
    item_id, kind = object_kind(object_id)
    newest = max(versions)
    touched: dict[int, dict[str, list[str]]] = {}
    for what, paths in (("restored", brought.written), ("put into quarantine", brought.displaced)):
        for path in paths:
            first = path.split("/")[0]
            number = int(first[1:]) if "/" in path and first[1:].isdigit() else newest
            touched.setdefault(number if number in versions else newest, {}).setdefault(what, []).append(path)
    told = []
    for number, done in sorted(touched.items()):
        ref: AnyRef = make_ref(item_id, kind, number)
        words = "; ".join(f"{what} {_some(paths)}" for what, paths in done.items())
        told.append(event(archive, REPLICATION, str(ref), f"from a replica with the digests of the log: {words}"))
    return told


def _some(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - NAMED} more" if len(paths) > NAMED else ""
    return ", ".join(paths[:NAMED]) + more
