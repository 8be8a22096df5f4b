"""The order of every commit: object into the root, entry into the log, row into the catalog (promise P8).

Each step can be found and finished after a crash: the journal names what was about to appear, and the
object itself holds everything the log and the catalog need.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from archive_restore.core.canonical import Malformed, from_plain
from archive_restore.core.refs import make_ref, parse_ref
from archive_restore.errors import CatalogDamaged, ReferenceUnknown
from archive_restore.ports import Archive, Commit, Digests, JournalEntry, RecordRef, Staging
from archive_restore.records.objects import Master, MasterRef
from archive_restore.records.preservation import PreservationDerivation
from archive_restore.records.provenance import Event
from archive_restore.records.stories import StoryRef

ITEM_RECORD = "item.json"
DERIVATION_RECORD = "derivation.json"
PREMIS_RECORD = "premis.xml"


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """One finished version in staging, waiting to become part of the record."""

    ref: RecordRef
    staged: Staging
    record: Master | PreservationDerivation
    events: tuple[Event, ...]
    message: str
    """OCFL version message."""


def sidecar_name(name: str) -> str:
    """Name of the C2PA sidecar of a stored file."""
    return f"{name}.c2pa"


def event(archive: Archive, kind: str, ref: str, detail: str, digests: Mapping[str, str] | None = None) -> Event:
    """A successful PREMIS event that happens now."""
    return Event(
        event_id=uuid.uuid4().urn,
        type=kind,
        date_time=archive.clock.now(),
        ref=ref,
        outcome="success",
        detail=detail,
        agent=archive.agent,
        digests=digests or {},
    )


def digest_event(archive: Archive, ref: str, files: Mapping[str, Digests]) -> Event:
    """The event that lets the log vouch for stored files: their digests by name."""
    return event(
        archive,
        "message digest calculation",
        ref,
        f"sha512 of {', '.join(sorted(files))}",
        {name: f"sha512:{digests.sha512}" for name, digests in sorted(files.items())},
    )


def commit(archive: Archive, prepared: Sequence[Prepared], batch: str = "") -> None:
    """Make these versions part of the record, all or those that fit before a failure.

    With the key of a `batch` each item's task is done in the same transaction: after a crash nothing is made twice.
    Raises StorageConflict, StorageFailed; what was committed before stays and is logged by `recover`.
    """
    if not prepared:
        return
    entry = JournalEntry(
        refs=tuple(str(item.ref) for item in prepared),
        events=tuple(event for item in prepared for event in item.events),
        batch=batch,
    )
    key = archive.journal.open(entry)
    created = archive.clock.now()
    archive.preservation.commit_many(
        [
            Commit(ref=item.ref, staged=item.staged, created=created, message=item.message, user=archive.agent)
            for item in prepared
        ]
    )
    archive.log.append(entry.events)
    with archive.catalog.batch():
        for item in prepared:
            _index(archive, item.record, item.events)
            if batch:
                archive.jobs.finish(batch, item.ref.item_id)
    archive.journal.close(key)


def recover(archive: Archive) -> int:
    """Finish or forget what a crash left behind; return how many versions were completed."""
    finished = 0
    for key, entry in list(archive.journal.pending()):
        kept: list[tuple[Master | PreservationDerivation, tuple[Event, ...]]] = []
        for text in entry.refs:
            ref = record_ref(text)
            archive.preservation.finish(ref.object_id)
            events = tuple(e for e in entry.events if e.ref == text)
            if archive.preservation.head(ref.object_id) >= ref.version and _tell_of(archive, ref, events):
                kept.append((load_record(archive, ref), events))
        archive.log.append([event for _, events in kept for event in events])
        with archive.catalog.batch():
            for record, events in kept:
                _index(archive, record, events)
                if entry.batch:
                    archive.jobs.finish(entry.batch, record.ref.item_id)
        archive.journal.close(key)
        finished += len(kept)
    return finished


def _tell_of(archive: Archive, ref: RecordRef, events: Sequence[Event]) -> bool:
    """Whether these events vouch for the version that is stored: a commit that was refused leaves another's there."""
    meant: dict[str, str] = {}
    for told in events:
        if told.type == "message digest calculation":
            meant |= told.digests
    stored = {name: f"sha512:{file.sha512}" for name, file in archive.preservation.files(ref).items()}
    return stored == meant


def record_ref(text: str) -> RecordRef:
    """The typed reference of something in the preservation root."""
    parsed = parse_ref(text)
    ref = make_ref(parsed.item_id, parsed.kind, parsed.version or 1)
    if isinstance(ref, StoryRef):
        raise ReferenceUnknown(f"{text!r} is a story", hint="Only masters and restorations belong to the record")
    return ref


def load_record(archive: Archive, ref: RecordRef) -> Master | PreservationDerivation:
    """Read the record that lies inside the object; raise CatalogDamaged where it cannot be read."""
    files = archive.preservation.files(ref)
    kind: type[Master] | type[PreservationDerivation]
    kind, name = (Master, ITEM_RECORD) if isinstance(ref, MasterRef) else (PreservationDerivation, DERIVATION_RECORD)
    stored = files.get(name)
    if stored is None:
        raise CatalogDamaged(f"{ref} has no {name}", hint=f"Run: archive-restore verify {ref}")
    return read_record(kind, stored.path, str(ref))


def read_record(
    kind: type[Master] | type[PreservationDerivation], path: Path, subject: str
) -> Master | PreservationDerivation:
    """Parse `item.json` or `derivation.json`; raise CatalogDamaged naming the place that does not fit."""
    try:
        return from_plain(kind, json.loads(path.read_bytes()))
    except (OSError, ValueError, RecursionError, Malformed) as exc:
        raise CatalogDamaged(f"{path.name} of {subject} cannot be read: {exc}") from exc


def _index(archive: Archive, record: Master | PreservationDerivation, events: Sequence[Event]) -> None:
    if isinstance(record, Master):
        archive.catalog.add_master(record, events)
    else:
        archive.catalog.add_preservation(record, events)
