"""Packages: items that leave the archive whole, each with its records and what proves them.

One package is of one item and of one side; the record and stories never share one (promise P4). A package is written
under another name, read back and judged, told in the log, and only then gets its name. Nothing stored is touched.
"""

from __future__ import annotations

import hashlib
import mimetypes
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from archive_restore.core.canonical import to_plain
from archive_restore.core.fixity import MANY
from archive_restore.core.log_proof import parse_proof
from archive_restore.core.refs import AnyRef, make_ref
from archive_restore.errors import (
    ArchiveRestoreError,
    SelfCheckFailed,
    SourceUnreadable,
    StorageConflict,
    StorageFailed,
    UsageError,
)
from archive_restore.flows.access_copy import chain_of
from archive_restore.flows.commit import (
    DIGESTS,
    DISSEMINATION,
    event,
    exact_ref,
    load_record,
    stored_files,
    tell_events,
)
from archive_restore.flows.export import choose_exports
from archive_restore.flows.export_folder import ExportFolder, Sides, disk, sides, sync_names
from archive_restore.flows.review import review_problem
from archive_restore.ports import Archive, Exporter, StoredFile
from archive_restore.records.findings import Severity
from archive_restore.records.objects import Master, MasterRef
from archive_restore.records.packages import LoggedEvent, Package, PackedFile, PackedVersion, Side
from archive_restore.records.preservation import PreservationRef
from archive_restore.records.provenance import Event
from archive_restore.records.stories import StoryDerivation, StoryRef

GROUP, GROUP_BYTES, GROUP_SECONDS = 32, 256 << 20, 2.0
"""Packages, bytes and seconds after which what is finished gets its names: what a crash may cost."""
_APART = "Export them into two folders"
_MIME = {".c2pa": "application/c2pa", ".json": "application/json", ".xml": "application/xml", ".tif": "image/tiff"}
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(10))}
"""Names that some systems keep for devices."""


@dataclass(frozen=True, kw_only=True)
class PackageSettings:
    """How packages are made."""

    with_stories: bool = False
    """Allow the record and stories in one export, in two folders."""
    approved_only: bool = False
    """Leave out derivatives whose newest review is no approval, or that nobody reviewed."""
    profile: Path | None = None
    """A BagIt Profile that every package has to meet."""
    info: tuple[tuple[str, str], ...] = ()
    """What else is said of every package: label and text."""
    base_uri: str = ""
    """Where the folder of the packages will lie on a web server; empty where nobody said."""


@dataclass(frozen=True, kw_only=True)
class Packed:
    """One package that lies in its folder."""

    name: str
    side: Side
    refs: tuple[str, ...]
    """What is in it, with versions."""
    path: Path
    files: int
    size: int
    """Bytes, with everything that is said of them."""
    seal: Mapping[str, str]
    """Digest, `sha256:…`, of each file that names all others, by its path below the package."""
    seconds: float


@dataclass(kw_only=True)
class Packing:
    """What became of every package."""

    made: list[Packed] = field(default_factory=list)
    unchanged: list[Packed] = field(default_factory=list)
    """Packages that an interrupted run of the same export had finished."""
    failed: list[tuple[str, str]] = field(default_factory=list)
    """(REF of the item and, of stories, what they are; error)."""
    left_out: list[tuple[str, str]] = field(default_factory=list)
    """(REF, why it stays in the archive)."""


def choose_packages(
    archive: Archive,
    refs: Sequence[str],
    *,
    everything: bool,
    query: str | None,
    kind: str | None,
    with_stories: bool,
) -> tuple[AnyRef, ...]:
    """What goes into packages, with versions; raise UsageError where the words do not fit together.

    A restoration brings its master along. With --all or --query items go whole: masters and every version of their
    restorations, with `with_stories` every story too; with `kind` only the newest version of that kind, restorations
    with their masters.
    """
    if refs or kind is not None:
        chosen = choose_exports(archive, refs, everything=everything, query=query, kind=kind)
    else:
        items = choose_exports(archive, refs, everything=everything, query=query, kind=None)
        made = {row.item_id: row.derivatives for row in archive.catalog.items(query or "")}
        chosen = tuple(ref for item in items for ref in (item, *map(exact_ref, made[item.item_id])))
        chosen = tuple(ref for ref in chosen if with_stories or not isinstance(ref, StoryRef))
    found: dict[AnyRef, None] = {}
    for ref in chosen:
        if isinstance(ref, PreservationRef):
            found[MasterRef(item_id=ref.item_id)] = None
        found[ref] = None
    return tuple(found)


def export_packages(
    archive: Archive,
    refs: Sequence[AnyRef],
    to: Path,
    form: str,
    settings: PackageSettings,
    progress: Callable[[str], None] = lambda name: None,
) -> Packing:
    """Make a package in `to` for every item and side of `refs`: a new folder, or that of this unfinished export.

    An interrupted export goes on when it is asked for again; one in which some packages failed, too. Raise UsageError
    where the words do not fit together, StorageConflict where the folder holds something else, StorageFailed where the
    disk refuses; what fails for one package is told and the rest goes on.
    """
    exporter = _exporter(archive, form).bound(settings.profile, settings.info)
    if settings.base_uri:
        exporter = exporter.served_from(settings.base_uri)
    places = sides(refs, to, with_stories=settings.with_stories)
    packing = Packing()
    kept = _with_earlier(refs) if exporter.takes_earlier_versions else tuple(refs)
    if settings.approved_only:
        kept = _approved(archive, kept, packing, with_earlier=exporter.takes_earlier_versions)
    orders = _orders(kept)
    evidence = _Evidence(archive, kept)
    state = ExportFolder(to, [form, [str(ref) for ref in refs], _asked(settings)], archive.root, _Done)
    state.open(places.apart)
    written = _Written(archive, exporter, to, state, packing)
    taken: dict[Path, str] = {}
    companions = _companions(orders, places)
    try:
        for order in orders:
            path = places.of(order.refs[0]) / order.name
            try:
                clash = taken.setdefault(path.with_name(path.name.casefold()), order.key)
                if clash != order.key:
                    raise StorageConflict(f"on some systems {order.name!r} is the folder of {clash!r}", hint=_APART)
                done = _finished(exporter, state.finished(order.key), to, path)
                if done is not None:
                    packing.unchanged.append(done)
                else:
                    package = _readable(archive, order, evidence, companions.get(order, ""))
                    written.add(order, package, path)
            except StorageFailed:
                raise
            except ArchiveRestoreError as exc:
                packing.failed.append((order.key, str(exc)))
            progress(order.key)
        written.publish()
    except KeyboardInterrupt:
        written.publish()
        raise
    finally:
        written.discard()
    if not (packing.made or packing.unchanged):
        state.abandon(places.apart)
    elif not packing.failed:
        state.close()
    return packing


# --- what is asked for -------------------------------------------------------------------------------


def _exporter(archive: Archive, form: str) -> Exporter:
    exporter = archive.exporters().get(form)
    if exporter is None:
        raise UsageError(
            f"export --as {form} is not made by this version", hint=f"It makes {', '.join(archive.exporters())}"
        )
    return exporter


@dataclass(frozen=True, kw_only=True)
class _Order:
    """One package that is to be made."""

    item_id: str
    side: Side
    refs: tuple[AnyRef, ...]

    @property
    def key(self) -> str:
        """How it is named to people."""
        return self.item_id if self.side is Side.RECORD else f"{self.item_id}/stories"

    @property
    def name(self) -> str:
        """Of its folder."""
        name = self.item_id.rstrip(". ")
        if name != self.item_id or name.partition(".")[0].casefold() in _RESERVED:
            name = f"{name}_"
        return name if self.side is Side.RECORD else f"{name}-stories"


def _orders(refs: Sequence[AnyRef]) -> list[_Order]:
    grouped: dict[tuple[str, Side], list[AnyRef]] = {}
    for ref in refs:
        side = Side.STORIES if isinstance(ref, StoryRef) else Side.RECORD
        grouped.setdefault((ref.item_id, side), []).append(ref)
    return [_Order(item_id=item, side=side, refs=tuple(found)) for (item, side), found in grouped.items()]


def _asked(settings: PackageSettings) -> object:
    """The settings as plain data; a profile is known by its bytes."""
    profile = settings.profile
    if profile is None:
        return to_plain(settings)
    try:
        digest = hashlib.sha256(profile.read_bytes()).hexdigest()
    except OSError as exc:
        raise SourceUnreadable(f"the profile {str(profile)!r} cannot be read: {exc.strerror}") from exc
    return [to_plain(replace(settings, profile=None)), digest]


def _companions(orders: Sequence[_Order], places: Sides) -> dict[_Order, str]:
    """Path from each package to that of its item's other side, where there is one."""
    known = {(order.item_id, order.side): order for order in orders}
    other_side = {Side.RECORD: Side.STORIES, Side.STORIES: Side.RECORD}
    others = {order: known.get((order.item_id, other_side[order.side])) for order in orders}
    return {order: f"../../{places.of(other.refs[0]).name}/{other.name}" for order, other in others.items() if other}


def _with_earlier(refs: Sequence[AnyRef]) -> tuple[AnyRef, ...]:
    """All versions that these bring along."""
    found = [
        make_ref(ref.item_id, None if isinstance(ref, MasterRef) else ref.kind, version)
        for ref in refs
        for version in range(1, ref.version + 1)
    ]
    return tuple(dict.fromkeys(found))


def _approved(archive: Archive, refs: Sequence[AnyRef], packing: Packing, *, with_earlier: bool) -> tuple[AnyRef, ...]:
    """Masters, which nobody reviews, and derivatives that were approved; the others are told as left out."""
    problems = {ref: review_problem(archive, ref) for ref in refs}
    worst: dict[str, tuple[AnyRef, str]] = {}
    for ref in sorted(refs, key=lambda ref: ref.version) if with_earlier else ():
        earlier = worst.get(ref.object_id)
        if problems[ref] and earlier is None:
            worst[ref.object_id] = ref, problems[ref]
        elif not problems[ref] and earlier is not None:
            problems[ref] = f"it brings {earlier[0]} along: {earlier[1]}"
    packing.left_out += [(str(ref), why) for ref, why in problems.items() if why]
    return tuple(ref for ref, why in problems.items() if not why)


# --- one package -------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Done:
    side: Side
    refs: tuple[str, ...]
    place: str
    """Below the folder of the export."""
    files: int
    size: int
    seal: Mapping[str, str]
    seconds: float


def _finished(exporter: Exporter, done: _Done | None, to: Path, path: Path) -> Packed | None:
    """The package that an earlier run finished, where it is still what it was and still good."""
    if done is None or to / done.place != path or not path.is_dir():
        return None
    if _seal(exporter, path) != done.seal or any(f.severity is Severity.ERROR for f in exporter.check(path)):
        return None
    return _packed(done, path)


def _packed(done: _Done, path: Path) -> Packed:
    return Packed(
        name=path.name,
        side=done.side,
        refs=done.refs,
        path=path,
        files=done.files,
        size=done.size,
        seal=done.seal,
        seconds=done.seconds,
    )


class _Written:
    """Packages that lie complete and checked under another name, until a group of them is told and gets its names.

    The log, its checkpoint, the catalog and the disk are waited for once a group.
    """

    def __init__(
        self, archive: Archive, exporter: Exporter, to: Path, state: ExportFolder[_Done], packing: Packing
    ) -> None:
        self._archive, self._exporter, self._to, self._state, self._packing = archive, exporter, to, state, packing
        self._waiting: list[tuple[_Order, _Done, Path, Path]] = []
        self._since = 0.0

    def add(self, order: _Order, package: Package, path: Path) -> None:
        """Write and check a package that is to lie at `path`; publish the group when it is large or old enough."""
        start = time.monotonic()
        if path.exists():
            raise StorageConflict(f"{str(path)!r} is there already", hint="Move it away: nothing is overwritten")
        partial = path.with_name(f".{path.name}.unfinished")
        try:
            with disk(path):
                shutil.rmtree(partial, ignore_errors=True)  # of a run that was stopped
                partial.mkdir()
                self._exporter.write(package, partial)
                self._judge(order, partial)
                files = [file for file in partial.rglob("*") if file.is_file()]
                done = _Done(
                    side=order.side,
                    refs=tuple(str(ref) for ref in order.refs),
                    place=path.relative_to(self._to).as_posix(),
                    files=len(files),
                    size=sum(file.stat().st_size for file in files),
                    seal=_seal(self._exporter, partial),
                    seconds=round(time.monotonic() - start, 3),
                )
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        self._since = self._since if self._waiting else start
        self._waiting.append((order, done, partial, path))
        large = sum(waiting.size for _, waiting, _, _ in self._waiting) >= GROUP_BYTES
        if large or len(self._waiting) >= GROUP or time.monotonic() - self._since > GROUP_SECONDS:
            self.publish()

    def publish(self) -> None:
        """Bring the group to the disk, tell it in the log, and give each package its name."""
        group, self._waiting = self._waiting, []
        try:
            self._archive.make_durable([partial for _, _, partial, _ in group])
            self._state.add({order.key: done for order, done, _, _ in group})
            # Logged before it appears: nothing lies outside that the log does not know of.
            tell_events(self._archive, [told for _, done, _, path in group for told in self._events(done, path)])
            for order, done, partial, path in group:
                with disk(path):
                    if path.exists():
                        words = f"{str(path)!r} is there already. Move it away: nothing is overwritten"
                        self._packing.failed.append((order.key, words))
                        continue
                    partial.rename(path)
                self._packing.made.append(_packed(done, path))
            sync_names({path.parent for _, _, _, path in group})
        finally:
            for _, _, partial, _ in group:
                shutil.rmtree(partial, ignore_errors=True)

    def discard(self) -> None:
        """Forget what was not published."""
        for _, _, partial, _ in self._waiting:
            shutil.rmtree(partial, ignore_errors=True)

    def _judge(self, order: _Order, partial: Path) -> None:
        for finding in self._exporter.check(partial):
            if finding.severity is Severity.ERROR:
                raise SelfCheckFailed(f"{order.key}: {finding.subject}: {finding.message}", hint="Check the disk")

    def _events(self, done: _Done, path: Path) -> list[Event]:
        seal = {f"{path.name}/{name}": digest for name, digest in done.seal.items()}
        words = f"package {path.name} as {self._exporter.name}: {', '.join(done.refs)}"
        return [event(self._archive, DISSEMINATION, ref, words, seal) for ref in done.refs]


def _seal(exporter: Exporter, folder: Path) -> dict[str, str]:
    """Digests of the files that name all others."""
    found = {}
    with disk(folder):
        for path in sorted(folder.glob(exporter.seal)):
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            found[path.relative_to(folder).as_posix()] = f"sha256:{digest}"
    return found


def _readable(archive: Archive, order: _Order, evidence: _Evidence, companion: str) -> Package:
    """The package; what cannot be read in the archive ends this one, and not the export."""
    try:
        return _package(archive, order, evidence, companion)
    except StorageFailed as exc:
        raise SourceUnreadable(str(exc)) from exc


def _package(archive: Archive, order: _Order, evidence: _Evidence, companion: str) -> Package:
    master = load_record(archive, MasterRef(item_id=order.item_id))
    assert isinstance(master, Master)
    versions = tuple(sorted((_version(archive, ref, evidence) for ref in order.refs), key=_when))
    return Package(
        name=order.name,
        side=order.side,
        master=master,
        versions=versions,
        organization=archive.settings.organization,
        made=archive.clock.now(),
        agent=archive.agent,
        companion=companion,
        checkpoint=evidence.checkpoint,
        log_key=evidence.key,
    )


def _when(version: PackedVersion) -> tuple[str, str]:
    """Order of making."""
    record = version.record
    return (record.ingested if isinstance(record, Master) else record.ended, version.ref)


def _version(archive: Archive, ref: AnyRef, evidence: _Evidence) -> PackedVersion:
    record, events = load_record(archive, ref), archive.catalog.events(str(ref))
    files = stored_files(archive, ref)
    _vouched(ref, files, events)
    known = (
        {record.file.name: record.file.mime}
        if isinstance(record, Master)
        else {product.name: product.mime for product in record.products}
    )
    return PackedVersion(
        ref=str(ref),
        record=record,
        files=tuple(_file(str(ref), stored, known) for stored in files.values()),
        events=events,
        kinds=tuple(told.ref.kind for told in chain_of(archive, ref)[:-1] if isinstance(told, StoryDerivation)),
        logged=evidence.of(events),
    )


def _vouched(ref: AnyRef, files: Mapping[str, StoredFile], events: Sequence[Event]) -> None:
    """What is stored is what the log vouches for; raise SelfCheckFailed."""
    meant: dict[str, str] = {}
    for told in events:
        if told.type == DIGESTS:
            meant = {**told.digests, **meant}  # the first counts
    if meant != {name: f"sha512:{stored.sha512}" for name, stored in files.items()}:
        raise SelfCheckFailed(
            f"what is stored of {ref} is not what the log vouches for", hint=f"Run: archive-restore verify {ref}"
        )


def _file(ref: str, stored: StoredFile, known: Mapping[str, str]) -> PackedFile:
    suffix = Path(stored.name).suffix.lower()
    mime = known.get(stored.name) or _MIME.get(suffix) or mimetypes.types_map.get(suffix, "application/octet-stream")
    with disk(stored.path):
        size = stored.path.stat().st_size
    return PackedFile(
        ref=ref, name=stored.name, path=stored.path, size=size, sha512=stored.sha512, sha256=stored.sha256, mime=mime
    )


class _Evidence:
    """What the log says of these versions, with proofs for strangers; one pass over the log finds the entries."""

    def __init__(self, archive: Archive, refs: Sequence[AnyRef]) -> None:
        self._log = archive.log
        # Not those about many versions at once: they name other items, and stories beside the record.
        lines = archive.log.find({str(ref) for ref in refs})
        self._index = {line.event.event_id: line.index for line in lines if line.event.ref != MANY}
        self.checkpoint = archive.log.checkpoint()
        self.key = archive.log.verifier_key().encode()

    def of(self, events: Sequence[Event]) -> tuple[LoggedEvent, ...]:
        """Lines of the log for these events, in its order."""
        found = sorted(self._index[told.event_id] for told in events if told.event_id in self._index)
        proofs = [self._log.prove(index) for index in found]
        return tuple(
            LoggedEvent(index=index, line=parse_proof(proof).entry, proof=proof)
            for index, proof in zip(found, proofs, strict=True)
        )
