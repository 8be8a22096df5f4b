"""Rebuild: the catalog again from the storage roots and the log alone (promise P8)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from archive_restore.core.fixity import each_subject
from archive_restore.core.refs import make_ref, object_kind
from archive_restore.errors import ArchiveRestoreError
from archive_restore.flows.commit import index, load_record
from archive_restore.ports import Archive, Catalog
from archive_restore.records.findings import Finding, Severity
from archive_restore.records.provenance import Event
from archive_restore.records.stories import StoryKind

GROUP = 1000
"""Objects a transaction."""


def rebuild(archive: Archive) -> tuple[int, tuple[Finding, ...]]:
    """Empty the catalog and fill it again; return how many objects there are, and what could not be read."""
    archive.catalog.clear()
    findings = tuple(fill(archive, archive.catalog))
    count = sum(1 for root in (archive.preservation, archive.stories) for _ in root.object_ids())
    return count, findings


def fill(archive: Archive, catalog: Catalog, logged: Sequence[Event] | None = None) -> Iterator[Finding]:
    """Write what the roots and the log say into an empty catalog; what cannot be read is a finding.

    `logged`: every event of the log, for a caller who has read it.
    """
    events: defaultdict[str, list[Event]] = defaultdict(list)
    for one in (entry.event for entry in archive.log.entries()) if logged is None else logged:
        for told in each_subject(one):
            events[told.ref].append(told)
    for root, stories in ((archive.preservation, False), (archive.stories, True)):
        object_ids = sorted(root.object_ids())
        for start in range(0, len(object_ids), GROUP):
            findings: list[Finding] = []
            with catalog.batch():
                for object_id in object_ids[start : start + GROUP]:
                    findings.extend(_add_object(archive, catalog, object_id, stories, events))
            yield from findings


def _add_object(
    archive: Archive, catalog: Catalog, object_id: str, stories: bool, events: defaultdict[str, list[Event]]
) -> Iterator[Finding]:
    root = archive.stories if stories else archive.preservation
    try:
        item_id, kind = object_kind(object_id)
        if isinstance(kind, StoryKind) is not stories:
            what = "a part of the record lies in the story root" if stories else "a story lies in the preservation root"
            yield _unreadable(object_id, what)
            return
        for version in range(1, root.head(object_id) + 1):
            ref = make_ref(item_id, kind, version)
            index(catalog, load_record(archive, ref), events[str(ref)])
    except ArchiveRestoreError as exc:
        yield _unreadable(object_id, str(exc))


def _unreadable(object_id: str, why: str) -> Finding:
    return Finding(
        code="OBJECT_NOT_CATALOGUED",
        severity=Severity.ERROR,
        subject=object_id,
        message=f"It was left out of the catalog: {why}.",
        clause="DESIGN §3",
    )
