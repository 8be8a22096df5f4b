"""Show: everything the archive knows about one reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from archive_restore.core.refs import AnyRef, make_ref, parse_ref
from archive_restore.core.reviews import REVIEW, review_line, state_of
from archive_restore.errors import ReferenceUnknown
from archive_restore.flows.commit import load_record, stored_files
from archive_restore.ports import Archive
from archive_restore.records.objects import Master, MasterRef
from archive_restore.records.preservation import PreservationDerivation, PreservationKind, PreservationRef
from archive_restore.records.provenance import Event
from archive_restore.records.reviews import ReviewState
from archive_restore.records.stories import StoryDerivation, StoryKind, StoryRef


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What `show` tells."""

    ref: str
    record: Master | PreservationDerivation | StoryDerivation
    files: Mapping[str, str]
    """Path of each stored file by name."""
    events: tuple[Event, ...]
    derivatives: tuple[str, ...]
    """REFs of what was made from it."""
    review: ReviewState | None
    """Where a derivative stands; None for a master, which nobody reviews."""

    def lines(self) -> list[str]:
        """For people."""
        head = self._master(self.record) if isinstance(self.record, Master) else self._derivation(self.record)
        made = [f"derivatives: {', '.join(self.derivatives)}"] if self.derivatives else []
        files = ["files:", *(f"  {path}" for path in self.files.values())]
        events = ["history:", *map(self._event, self.events)]
        review = [f"review: {review_line(self.review)}"] if self.review else []
        return [self.ref, *head, *review, *made, *files, *events]

    @staticmethod
    def _event(event: Event) -> str:
        who = f" (by {event.agent})" if event.type == REVIEW else ""
        return f"  {event.date_time} {event.type}: {event.detail}{who}"

    @staticmethod
    def _master(master: Master) -> list[str]:
        said = master.description
        lines = [
            f"{name}: {value}"
            for name in ("title", "creator", "date", "coverage", "description", "rights")
            if (value := getattr(said, name))
        ]
        lines.append(
            f"file: {master.file.name}, {master.file.size} bytes, {master.file.format_name} {master.file.puid}"
        )
        if master.picture:
            facts = master.picture
            lines.append(
                f"picture: {facts.width}×{facts.height}, {facts.samples} × {facts.bits} bit {facts.sample_format}, "
                f"{facts.photometric}, {facts.icc_description or 'no ICC profile'}"
            )
        lines.append(f"sha512: {master.file.sha512}")
        lines += [f"{f.severity.value} {f.code}: {f.message}" for f in master.findings]
        return lines

    @staticmethod
    def _derivation(derivation: PreservationDerivation | StoryDerivation) -> list[str]:
        summary = derivation.map
        shares = ", ".join(f"{name} {count / summary.pixels:.3%}" for name, count in summary.counts.items())
        steps = " → ".join(f"{run.step} {run.version}" for run in derivation.steps)
        told = []
        if isinstance(derivation, StoryDerivation):
            told = [f"decided by {p.author or 'a person'}: {p.what}. {p.reason}".rstrip() for p in derivation.people]
            told += [f"note: {note}" for note in derivation.notes]
            if derivation.agreement_db is not None:
                told.append(f"reduced again, it is its source by {derivation.agreement_db:.1f} dB")
        return [
            f"made from: {derivation.parent} with recipe {derivation.recipe.name} ({steps}), seed {derivation.seed}",
            f"pixels: {shares}",
            f"made: {derivation.started} to {derivation.ended} on {derivation.environment.platform}",
            f"derivation: {derivation.derivation_id}",
            *told,
        ]


def show(archive: Archive, text: str) -> Shown:
    """Everything about a reference; raise ReferenceUnknown where there is none."""
    ref = resolve(archive, text)
    record = load_record(archive, ref)
    files = {name: str(stored.path) for name, stored in stored_files(archive, ref).items()}
    events = archive.catalog.events(str(ref))
    return Shown(
        ref=str(ref),
        record=record,
        files=files,
        events=events,
        derivatives=_derivatives(archive, ref.item_id) if isinstance(ref, MasterRef) else (),
        review=None if isinstance(ref, MasterRef) else state_of(events),
    )


def resolve(archive: Archive, text: str) -> AnyRef:
    """The stored version a typed reference means; raise ReferenceUnknown where there is none."""
    parsed = parse_ref(text)
    object_id = parsed.item_id if parsed.kind is None else f"{parsed.item_id}/{parsed.kind.value}"
    root = archive.preservation if parsed.kind is None or isinstance(parsed.kind, PreservationKind) else archive.stories
    head = root.head(object_id)
    version = parsed.version or head
    if head == 0 or version > head:
        known = f"the newest is {object_id}@{head}" if head else "see: archive-restore list"
        raise ReferenceUnknown(f"there is no {text!r} in this archive", hint=known[0].upper() + known[1:])
    return make_ref(parsed.item_id, parsed.kind, version)


def _derivatives(archive: Archive, item_id: str) -> tuple[str, ...]:
    made = [
        str(PreservationRef(item_id=item_id, kind=kind, version=version))
        for kind in PreservationKind
        for version in range(1, archive.preservation.head(f"{item_id}/{kind.value}") + 1)
    ]
    made += [
        str(StoryRef(item_id=item_id, kind=told, version=version))
        for told in StoryKind
        for version in range(1, archive.stories.head(f"{item_id}/{told.value}") + 1)
    ]
    return tuple(made)
