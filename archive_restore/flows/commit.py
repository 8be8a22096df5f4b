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
from typing import TypeVar

from archive_restore.core.canonical import Malformed, from_plain
from archive_restore.core.fixity import each_subject
from archive_restore.core.refs import AnyRef, make_ref, parse_ref
from archive_restore.core.reviews import REVIEW
from archive_restore.errors import CatalogDamaged
from archive_restore.ports import Archive, Catalog, Commit, Digests, JournalEntry, RecordRef, Staging, StoredFile
from archive_restore.records.objects import Master, MasterRef
from archive_restore.records.preservation import PreservationDerivation
from archive_restore.records.provenance import Event
from archive_restore.records.stories import StoryDerivation, StoryRef

AnyRecord = Master | PreservationDerivation | StoryDerivation
RecordT = TypeVar("RecordT", Master, PreservationDerivation, StoryDerivation)

ITEM_RECORD = "item.json"
DERIVATION_RECORD = "derivation.json"
PREMIS_RECORD = "premis.xml"
DIGESTS = "message digest calculation"
"""PREMIS event type by which the log vouches for the files of a version."""
DISSEMINATION = "dissemination"
"""PREMIS event type of a copy that left the archive."""
REPLICATION = "replication"
"""PREMIS event type of bytes that came back from a copy, identical to what was stored."""
LATER = frozenset({DISSEMINATION, REVIEW})
"""Types of events that tell of a version that is stored, and change nothing of it."""


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """One finished version in staging, waiting to become part of the record."""

    ref: RecordRef
    staged: Staging
    record: Master | PreservationDerivation
    events: tuple[Event, ...]
    message: str
    """OCFL version message."""


@dataclass(frozen=True, kw_only=True)
class PreparedStory:
    """One finished story in staging. Deliberately not a Prepared: the type decides which root it goes into (P4)."""

    ref: StoryRef
    staged: Staging
    record: StoryDerivation
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
        DIGESTS,
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
    entry, key = _announce(archive, prepared, batch)
    created = archive.clock.now()
    archive.preservation.commit_many(
        [
            Commit(ref=item.ref, staged=item.staged, created=created, message=item.message, user=archive.agent)
            for item in prepared
        ]
    )
    _tell(archive, entry, key, [(item.record, item.events) for item in prepared])


def commit_story(archive: Archive, prepared: PreparedStory, batch: str = "") -> None:
    """Store one story, in the same order as `commit`; the tasks of `batch` are named by what stories are made from."""
    entry, key = _announce(archive, [prepared], batch)
    archive.stories.commit(
        prepared.ref,
        prepared.staged,
        created=archive.clock.now(),
        message=prepared.message,
        user=archive.agent,
    )
    _tell(archive, entry, key, [(prepared.record, prepared.events)])


def tell_events(archive: Archive, told: Sequence[Event]) -> None:
    """Log and index events about versions that are stored, which stay as they are; raises StorageFailed."""
    refs = tuple(dict.fromkeys(event.ref for event in told))
    entry = JournalEntry(refs=refs, events=tuple(told))
    kept = [(load_record(archive, exact_ref(ref)), tuple(event for event in told if event.ref == ref)) for ref in refs]
    _tell(archive, entry, archive.journal.open(entry), kept)


def tell_later(archive: Archive, told: Sequence[Event]) -> None:
    """Log and index events about versions that have long been stored; raises StorageFailed."""
    entry = JournalEntry(refs=(), events=tuple(told))
    _tell_later(archive, entry, archive.journal.open(entry))


def _tell_later(archive: Archive, entry: JournalEntry, key: str) -> None:
    archive.log.append(entry.events)
    archive.catalog.add_events([one for told in entry.events for one in each_subject(told)])
    archive.journal.close(key)


def _announce(
    archive: Archive, prepared: Sequence[Prepared] | Sequence[PreparedStory], batch: str
) -> tuple[JournalEntry, str]:
    entry = JournalEntry(
        refs=tuple(str(item.ref) for item in prepared),
        events=tuple(event for item in prepared for event in item.events),
        batch=batch,
    )
    return entry, archive.journal.open(entry)


def _tell(archive: Archive, entry: JournalEntry, key: str, kept: Sequence[tuple[AnyRecord, tuple[Event, ...]]]) -> None:
    archive.log.append([event for _, events in kept for event in events])
    with archive.catalog.batch():
        for record, events in kept:
            index(archive.catalog, record, _history(archive, str(record.ref), events))
            if entry.batch:
                archive.jobs.finish(entry.batch, task_of(record))
    archive.journal.close(key)


def _history(archive: Archive, ref: str, events: tuple[Event, ...]) -> tuple[Event, ...]:
    """All events of a version: these, after what the catalog knows where they only tell of what is stored."""
    if not _only_later(events):
        return events
    known = archive.catalog.events(ref)
    identifiers = {told.event_id for told in known}
    return (*known, *(told for told in events if told.event_id not in identifiers))


def _only_later(events: Sequence[Event]) -> bool:
    return bool(events) and all(told.type in LATER for told in events)


def task_of(record: AnyRecord) -> str:
    """Name of the task in a batch that made this: what it was made from."""
    return str(record.parent) if isinstance(record, StoryDerivation) else record.ref.item_id


def recover(archive: Archive) -> int:
    """Finish or forget what a crash left behind; return how many versions were completed."""
    finished = 0
    for key, entry in list(archive.journal.pending()):
        if not entry.refs:
            _tell_later(archive, entry, key)
            continue
        kept: list[tuple[AnyRecord, tuple[Event, ...]]] = []
        for text in entry.refs:
            ref = exact_ref(text)
            events = tuple(e for e in entry.events if e.ref == text)
            if isinstance(ref, StoryRef):
                archive.stories.finish(ref.object_id)
                stored = archive.stories.head(ref.object_id) >= ref.version
            else:
                archive.preservation.finish(ref.object_id)
                stored = archive.preservation.head(ref.object_id) >= ref.version
            if stored and _tell_of(stored_files(archive, ref), events):
                kept.append((load_record(archive, ref), events))
        _tell(archive, entry, key, kept)
        finished += len(kept)
    return finished


def _tell_of(files: Mapping[str, StoredFile], events: Sequence[Event]) -> bool:
    """Whether these events vouch for the version that is stored: a commit that was refused leaves another's there.

    An event that only tells of a copy or a review concerns whatever is stored.
    """
    if _only_later(events):
        return True
    meant: dict[str, str] = {}
    for told in events:
        if told.type == DIGESTS:
            meant |= told.digests
    return {name: f"sha512:{file.sha512}" for name, file in files.items()} == meant


def exact_ref(text: str) -> AnyRef:
    """The typed reference of one version, as records and the journal name it."""
    parsed = parse_ref(text)
    return make_ref(parsed.item_id, parsed.kind, parsed.version or 1)


def stored_files(archive: Archive, ref: AnyRef) -> Mapping[str, StoredFile]:
    """Files of one version by logical name, from the root in which it lies; raise ReferenceUnknown."""
    return archive.stories.files(ref) if isinstance(ref, StoryRef) else archive.preservation.files(ref)


def record_name(ref: AnyRef) -> str:
    """File of a version that holds its record."""
    return ITEM_RECORD if isinstance(ref, MasterRef) else DERIVATION_RECORD


def load_record(archive: Archive, ref: AnyRef) -> AnyRecord:
    """Read the record that lies inside the object; raise CatalogDamaged where it cannot be read."""
    stored = stored_files(archive, ref).get(record_name(ref))
    if stored is None:
        raise CatalogDamaged(f"{ref} has no {record_name(ref)}", hint=f"Run: archive-restore verify {ref}")
    if isinstance(ref, MasterRef):
        return read_record(Master, stored.path, str(ref))
    if isinstance(ref, StoryRef):
        return read_record(StoryDerivation, stored.path, str(ref))
    return read_record(PreservationDerivation, stored.path, str(ref))


def read_record(kind: type[RecordT], path: Path, subject: str) -> RecordT:
    """Parse `item.json` or `derivation.json`; raise CatalogDamaged naming the place that does not fit."""
    try:
        return from_plain(kind, json.loads(path.read_bytes()))
    except (OSError, ValueError, RecursionError, Malformed) as exc:
        raise CatalogDamaged(f"{path.name} of {subject} cannot be read: {exc}") from exc


def index(catalog: Catalog, record: AnyRecord, events: Sequence[Event]) -> None:
    """Write the rows of one record into a catalog."""
    if isinstance(record, Master):
        catalog.add_master(record, events)
    elif isinstance(record, PreservationDerivation):
        catalog.add_preservation(record, events)
    else:
        catalog.add_story(record, events)
