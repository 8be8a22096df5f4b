"""Export: pictures that leave the archive as access copies, each with its credentials, its map and its words.

Nothing stored is touched. Every copy is finished and checked in `work/`, told in the log, and only then gets its name
in the folder; the record and stories never end in one folder (promises P4, P5).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from archive_restore.core.canonical import to_plain
from archive_restore.core.clip_sheet import SHEET_CSV, SHEET_TEXT
from archive_restore.core.disclosure import disclose, disclosure_csv, disclosure_json, disclosure_text, encoding_text
from archive_restore.core.labels import LANGUAGES, built_in_language, plain_text
from archive_restore.core.refs import AnyRef, parse_ref
from archive_restore.errors import ArchiveRestoreError, SelfCheckFailed, StorageConflict, StorageFailed, UsageError
from archive_restore.flows.access_clip import make_clip
from archive_restore.flows.access_copy import AccessSettings, chain_of, make_copy
from archive_restore.flows.browse import resolve
from archive_restore.flows.commit import DISSEMINATION, event, exact_ref, load_record, stored_files, tell_events
from archive_restore.flows.export_folder import ExportFolder, disk, sides
from archive_restore.flows.review import review_problem
from archive_restore.flows.story_render import WORDS
from archive_restore.ports import Archive
from archive_restore.records.access import AccessCopy, Disclosure
from archive_restore.records.objects import Master, MasterRef
from archive_restore.records.preservation import PreservationKind, PreservationRef
from archive_restore.records.stories import StoryKind, StoryRef

DISCLOSURES = ("disclosure.txt", "disclosure.csv", "disclosure.json")


@dataclass(frozen=True, kw_only=True)
class Exported:
    """One copy that lies in its folder."""

    copy: AccessCopy
    path: Path
    size: int
    """Bytes."""
    sha256: str
    seconds: float


@dataclass(kw_only=True)
class Export:
    """What became of every reference."""

    made: list[Exported] = field(default_factory=list)
    unchanged: list[Exported] = field(default_factory=list)
    """Copies that an interrupted run of the same export had finished."""
    failed: list[tuple[str, str]] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    """(REF, why it stays in the archive)."""
    disclosures: list[Path] = field(default_factory=list)


def choose_exports(
    archive: Archive, refs: Sequence[str], *, everything: bool, query: str | None, kind: str | None
) -> tuple[AnyRef, ...]:
    """What REFs, --all or --query name, with versions; raise UsageError where the words do not fit together.

    With --all or --query it is the newest version of `kind` of every item that has one, or the master.
    """
    if sum((bool(refs), everything, query is not None)) != 1:
        raise UsageError("say what to export", hint="Give REFs, or --all, or --query TEXT")
    if refs and kind is not None:
        raise UsageError("--kind goes with --all or --query", hint="Write the kind into the REF: ITEM/KIND")
    if refs:
        return tuple(dict.fromkeys(resolve(archive, ref) for ref in refs))
    found = [_newest(archive, row.item_id, kind) for row in archive.catalog.items(query or "")]
    return tuple(ref for ref in found if ref is not None)


def _newest(archive: Archive, item_id: str, kind: str | None) -> AnyRef | None:
    if kind is None or kind == "master":
        return MasterRef(item_id=item_id)
    object_id = f"{item_id}/{kind}"
    if kind in [known.value for known in PreservationKind]:
        version = archive.preservation.head(object_id)
        return PreservationRef(item_id=item_id, kind=PreservationKind(kind), version=version) if version else None
    version = archive.stories.head(object_id)
    return StoryRef(item_id=item_id, kind=StoryKind(kind), version=version) if version else None


def export_access(
    archive: Archive,
    refs: Sequence[AnyRef],
    to: Path,
    settings: AccessSettings,
    progress: Callable[[str], None] = lambda ref: None,
) -> Export:
    """Make an access copy of every reference in `to`: a new folder, an empty one, or that of this unfinished export.

    An interrupted export goes on when it is asked for again; one that failed for some pictures, too. Raise UsageError
    where the words do not fit together, StorageConflict where the folder holds something else, StorageFailed where
    the disk refuses; what fails for one picture is told and the rest goes on.
    """
    places = sides(refs, to, with_stories=settings.with_stories)
    _check_words(refs, settings)
    state = ExportFolder(to, [[str(ref) for ref in refs], to_plain(settings)], archive.root, _Done)
    export = Export()
    state.open(places.apart)
    taken: dict[str, str] = {}
    for ref in refs:
        path = places.of(ref) / _name(ref)
        problem = review_problem(archive, ref, approved_only=settings.approved_only, rejected_too=settings.rejected_too)
        if problem and settings.approved_only:
            export.left_out.append((str(ref), problem))
            continue
        try:
            if problem:
                raise UsageError(f"{problem}", hint="Add --rejected-too to export it all the same")
            clash = taken.setdefault(str(path).casefold(), str(ref))
            if clash != str(ref):
                raise StorageConflict(f"{path.name!r} is the name of {clash} already", hint="Export it by itself")
            done = _finished(state, to, ref, path)
            if done is not None:
                export.unchanged.append(done)
            else:
                export.made.append(_one(archive, ref, to, path, settings, state))
        except StorageFailed:
            raise
        except ArchiveRestoreError as exc:
            export.failed.append((str(ref), str(exc)))
        progress(str(ref))
    with disk(to):
        for folder in dict.fromkeys(places.of(ref) for ref in refs):
            copies = [copy for copy in (*export.made, *export.unchanged) if copy.path.parent == folder]
            if copies:
                export.disclosures += _disclose(archive, folder, sorted(copies, key=lambda c: c.path.name))
    if not export.failed:
        state.close()
    return export


# --- what is asked for -------------------------------------------------------------------------------


def _check_words(refs: Sequence[AnyRef], settings: AccessSettings) -> None:
    told = [ref for ref in refs if isinstance(ref, StoryRef)]
    if settings.approved_only and settings.rejected_too:
        raise UsageError("--approved-only and --rejected-too say the opposite", hint="Leave one of them out")
    if settings.captioned and settings.reason:
        raise UsageError("--reason goes with --no-label", hint="Leave it out, or add --no-label")
    if not settings.captioned and not told:
        raise UsageError("there is no label to leave out: only stories carry one", hint="Leave out --no-label")
    if not settings.captioned and not plain_text(settings.reason):
        raise UsageError("a label is left out only for a reason", hint="Add --reason TEXT; it goes into the log")


def _name(ref: AnyRef) -> str:
    """File name of a copy: the item, and for what was made of it what that is, with its version."""
    if isinstance(ref, MasterRef):
        return f"{ref.item_id}.jpg"
    if isinstance(ref, StoryRef):
        ending = "mp4" if ref.kind is StoryKind.ANIMATION else "jpg"
        return f"{ref.item_id}-{WORDS[ref.kind]}-story-{ref.version}.{ending}"
    return f"{ref.item_id}-{ref.kind.value}-{ref.version}.jpg"


@dataclass(frozen=True, kw_only=True)
class _Done:
    copy: AccessCopy
    place: str
    """Below the folder of the export."""
    size: int
    sha256: str
    seconds: float


def _finished(state: ExportFolder[_Done], to: Path, ref: AnyRef, path: Path) -> Exported | None:
    """The copy that an earlier run finished, where its file is still what it was."""
    done = state.finished(str(ref))
    if done is None or to / done.place != path or not path.is_file():
        return None
    with disk(path), path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != done.sha256:
            return None
    return Exported(copy=done.copy, path=path, size=done.size, sha256=done.sha256, seconds=done.seconds)


# --- one copy ----------------------------------------------------------------------------------------


def _one(
    archive: Archive, ref: AnyRef, to: Path, path: Path, settings: AccessSettings, state: ExportFolder[_Done]
) -> Exported:
    start = time.monotonic()
    if path.exists():
        raise StorageConflict(f"{str(path)!r} is there already", hint="Move it away: nothing is overwritten")
    work = Path(tempfile.mkdtemp(prefix="export-", dir=archive.work))
    partial = path.with_name(f".{path.name}.unfinished")
    try:
        with disk(path):
            if isinstance(ref, StoryRef) and ref.kind is StoryKind.ANIMATION:
                copy, signed = make_clip(archive, ref, path.name, settings, work)
            else:
                copy, signed = make_copy(archive, ref, path.name, settings, work)
            size, sha256 = _copied(signed, partial)
            seconds = round(time.monotonic() - start, 3)
            place = path.relative_to(to).as_posix()
            state.add({str(ref): _Done(copy=copy, place=place, size=size, sha256=sha256, seconds=seconds)})
            # Logged before it appears: nothing lies outside that the log does not know of.
            digests = {path.name: f"sha256:{sha256}"}
            tell_events(archive, [event(archive, DISSEMINATION, str(ref), _words(copy), digests)])
            _appear(partial, path)
            return Exported(copy=copy, path=path, size=size, sha256=sha256, seconds=seconds)
    finally:
        partial.unlink(missing_ok=True)
        shutil.rmtree(work, ignore_errors=True)


def _copied(source: Path, partial: Path) -> tuple[int, str]:
    """Copy into the folder, durably, and read it back; (bytes, sha256)."""
    with source.open("rb") as file:
        meant = hashlib.file_digest(file, "sha256").hexdigest()
    shutil.copyfile(source, partial)
    with partial.open("rb+") as file:
        os.fsync(file.fileno())
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != meant:
        raise SelfCheckFailed(f"{partial.name!r} read back differs from what was written", hint="Check the disk")
    return partial.stat().st_size, found


def _appear(partial: Path, path: Path) -> None:
    """Give a finished file its name, never that of another one."""
    try:
        os.link(partial, path)
    except FileExistsError as exc:
        raise StorageConflict(f"{str(path)!r} is there already", hint="Move it away: nothing is overwritten") from exc
    except OSError:  # file systems without links, such as those of memory sticks
        if path.exists():
            raise StorageConflict(f"{str(path)!r} is there already", hint="Nothing is overwritten") from None
        partial.rename(path)


def _words(copy: AccessCopy) -> str:
    """What the log says of a copy."""
    form = "MP4, frames as they are stored" if copy.quality is None else f"JPEG, quality {copy.quality}"
    words = f"access copy {copy.name}: {form}"
    if copy.caption.left_out:
        return f"{words}; label left out: {copy.caption.left_out}"
    return f"{words}; label: {copy.caption.text}" if copy.caption.text else words


# --- words -------------------------------------------------------------------------------------------


def _disclose(archive: Archive, folder: Path, copies: Sequence[Exported]) -> list[Path]:
    """Write what is said of the copies of a folder beside them."""
    named = [(copy.path.name, told) for copy in copies for told in _told(archive, copy.copy)]
    written = []
    for name, make in zip(DISCLOSURES, (disclosure_text, disclosure_csv, disclosure_json), strict=True):
        data = make(named).encode("utf-8-sig" if name.endswith("csv") else "utf-8")
        written.append(_put(folder / name, data))
    for copy in copies:
        if copy.copy.clip is not None:
            files = stored_files(archive, exact_ref(copy.copy.ref))
            written += [
                _put(folder / f"{copy.path.stem}-sheet{Path(sheet).suffix}", files[sheet].path.read_bytes())
                for sheet in (SHEET_TEXT, SHEET_CSV)
                if sheet in files
            ]
    return written


def _put(path: Path, data: bytes) -> Path:
    """Write a file durably, in place of what an unfinished run left under its name."""
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        with partial.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def _told(archive: Archive, copy: AccessCopy) -> Iterator[Disclosure]:
    """What is said of a copy in every language: that of the archive first, then the built-in ones."""
    ref = exact_ref(copy.ref)
    record = load_record(archive, MasterRef(item_id=parse_ref(copy.ref).item_id))
    assert isinstance(record, Master)
    settings, chain = archive.settings, chain_of(archive, ref)
    own = built_in_language(settings.labels.language)
    for language in (settings.labels.language, *(other for other in LANGUAGES if other != own)):
        labels = replace(settings.labels, language=language)
        told = disclose(record, chain, labels, organization=settings.organization, review=copy.review)
        yield replace(told, long=f"{told.long}\n\n{encoding_text(copy.quality, copy.encoding, told.language)}")
