"""Replicate: another directory gets what the archive holds and the log vouches for, and nothing that has rotted.

1. the log is compared: the replica's must be a beginning of the archive's
2. settings and public keys
3. every object of which the log knows, whole or not at all
4. the log, up to what was compared: so the replica never promises what it does not hold
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from archive_restore.errors import StorageConflict
from archive_restore.flows.vouching import vouched
from archive_restore.ports import Archive, Brought
from archive_restore.records.findings import Finding, Severity, has_errors


@dataclass(frozen=True, kw_only=True)
class Replicated:
    """What one run did."""

    subjects: int
    """Objects that the log knows."""
    copied: int
    """Objects that are new in the replica, or got a version or file."""
    files: int
    size: int
    """Bytes that were copied."""
    entries: int
    """Entries of the replica's log."""
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether no finding is of severity error."""
        return not has_errors(self.findings)


def replicate(
    archive: Archive,
    to: Path,
    *,
    verify: bool = False,
    progress: Callable[[str, int], None] = lambda subject, size: None,
) -> Replicated:
    """Bring the replica at `to` up to date; with `verify` every byte that it holds is read and compared.

    Reads the archive only, so it may run while somebody writes. `progress` gets the object and the bytes copied. Raise
    StorageConflict where `to` is something else, LogDamaged where the logs do not fit, ArchiveBusy, StorageFailed.
    """
    replica = archive.replica(to)
    findings: list[Finding] = []
    copied = files = size = 0
    with replica.writing():
        # 1. Logs
        entries = replica.compare_log()
        known = vouched(archive, entries)
        # 2. Settings
        findings += replica.take_settings()

        # 3. Objects
        def take(object_id: str) -> Brought:
            try:
                return replica.take(object_id, known[object_id], verify=verify)
            except StorageConflict as exc:
                return Brought(findings=(_error("NOT_REPLICATED", object_id, f"{exc}."),))

        for object_id, brought in _in_threads(take, sorted(known), archive.settings.threads):
            findings += brought.findings
            copied += bool(brought.written)
            files += len(brought.written)
            size += brought.size
            progress(object_id, brought.size)
        findings += _unknown(archive, known.keys())
        findings += [
            _error("REPLICA_STRAY", object_id, "The replica holds it, and the archive's log has never heard of it.")
            for object_id in replica.object_ids()
            if object_id not in known
        ]
        # 4. Log
        findings += replica.take_log()
    return Replicated(
        subjects=len(known), copied=copied, files=files, size=size, entries=entries, findings=tuple(findings)
    )


def _in_threads(
    take: Callable[[str], Brought], object_ids: Sequence[str], threads: int
) -> Iterator[tuple[str, Brought]]:
    """In order; the disk flushes for several at once. What has not begun is dropped where one fails."""
    pool = ThreadPoolExecutor(threads)
    try:
        yield from zip(object_ids, pool.map(take, object_ids), strict=True)
    finally:
        pool.shutdown(cancel_futures=True)


def _unknown(archive: Archive, known: Collection[str]) -> Iterator[Finding]:
    """Objects here that the log does not vouch for; what is being stored just now comes with the next run."""
    stored = {object_id for root in (archive.preservation, archive.stories) for object_id in root.object_ids()}
    left = stored - set(known)
    if left:
        left -= {ref.partition("@")[0] for _, entry in archive.journal.pending() for ref in entry.refs}
        left -= vouched(archive).keys()
    for object_id in sorted(left):
        yield _error("NOT_REPLICATED", object_id, "The audit log does not vouch for it: see `verify`.")


def _error(code: str, subject: str, message: str) -> Finding:
    return Finding(code=code, severity=Severity.ERROR, subject=subject, message=message)
