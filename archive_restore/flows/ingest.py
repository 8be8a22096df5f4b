"""Ingest: files become masters, or are told why not (OAIS SIP to AIP; PREMIS events of ingestion).

Workers read each file once into staging and check it there (flows/intake.py); the coordinator alone commits, in small
groups, so that an interruption leaves every finished item whole.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from archive_restore.core.rules import Row, Sheet, find_row
from archive_restore.errors import ArchiveRestoreError, CatalogDamaged, UsageError
from archive_restore.flows.bags import merged_row, unpack
from archive_restore.flows.commit import Prepared, commit
from archive_restore.flows.intake import Candidate, Parcel, Taken, Wanted, take_parcel
from archive_restore.ports import Archive
from archive_restore.records.findings import Finding, Severity, has_errors
from archive_restore.records.objects import Master

GROUP = 32
"""Items committed together: one journal entry, one checkpoint, one transaction."""
GROUP_BYTES = 256 * 1024 * 1024
"""A group is closed early when its files exceed this, so that large masters are safe one by one."""
PARCEL = 8
"""Small files that travel to a worker together."""
PARCEL_BYTES = 16 * 1024 * 1024
"""A parcel is closed when its files reach this."""
BAG_FILES = 512
"""Files of bags after which what was unpacked is taken in, before the next bag is validated."""
BAG_BYTES = 1 << 30
"""And bytes."""
BAG = "bagit.txt"
"""A folder with such a file is a bag (RFC 8493 §2.1.1)."""
LITTER = frozenset({"thumbs.db", "desktop.ini", ".ds_store"})
"""Files that file managers drop; passed over without a word."""


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A file (or a row) that did not become a master."""

    path: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True, kw_only=True)
class Duplicate:
    """A file whose bytes the archive already has."""

    path: str
    item_id: str
    sha512: str


@dataclass(kw_only=True)
class IngestResult:
    """What became of every file."""

    accepted: list[Master] = field(default_factory=list)
    duplicates: list[Duplicate] = field(default_factory=list)
    quarantined: list[Refused] = field(default_factory=list)
    notes: list[Finding] = field(default_factory=list)
    """Findings about the metadata sheet and about bags that stopped nothing."""


def find_files(sources: Iterable[Path], skip: Iterable[Path] = (), archive: Path | None = None) -> Iterator[Candidate]:
    """Files in the order given, folders walked in sorted order; links are not followed, nothing is passed in silence.

    A folder with a bagit.txt is a bag: one candidate, whatever is in it.

    Raise UsageError for a source that is missing or lies inside `archive`, the archive's own directory.
    """
    skipped = {path.resolve() for path in skip}
    for source in sources:
        if not source.exists() and not source.is_symlink():
            raise UsageError(f"{str(source)!r} does not exist", hint="Give files or folders")
        if archive is not None and source.resolve().is_relative_to(archive.resolve()):
            raise UsageError(f"{str(source)!r} lies inside the archive", hint="Give files or folders outside of it")
        if source.is_dir():
            yield from _walk(source, skipped, archive)
        else:
            yield Candidate(path=source, relative=source.name)


def _walk(source: Path, skipped: set[Path], archive: Path | None) -> Iterator[Candidate]:
    problems: list[OSError] = []
    for folder, folders, names in os.walk(source, onerror=problems.append):
        here = Path(folder)
        if BAG in names or BAG in folders:
            folders[:] = []
            yield Candidate(path=here, relative=here.relative_to(source).as_posix(), is_bag=True)
            continue
        links = [name for name in folders if (here / name).is_symlink()]
        own = [name for name in folders if archive is not None and (here / name).resolve() == archive.resolve()]
        folders[:] = sorted(set(folders).difference(links, own))
        for name in sorted([*names, *links]):
            path = here / name
            if name.lower() in LITTER or name.startswith("._") or path.resolve() in skipped:
                continue
            yield Candidate(path=path, relative=path.relative_to(source).as_posix())
        for name in own:
            yield _passed(source, here / name, "ARCHIVE_PASSED_OVER", Severity.INFO, "This is the archive itself.")
    for problem in problems:
        path = Path(problem.filename)
        message = f"The folder cannot be read: {problem.strerror}."
        yield _passed(source, path, "FOLDER_UNREADABLE", Severity.ERROR, message)


def _passed(source: Path, path: Path, code: str, severity: Severity, message: str) -> Candidate:
    candidate = Candidate(path=path, relative=path.relative_to(source).as_posix())
    return replace(candidate, finding=Finding(code=code, severity=severity, subject=candidate.shown, message=message))


def ingest(
    archive: Archive,
    candidates: Sequence[Candidate],
    *,
    sheet: Sheet | None = None,
    sheet_name: str = "",
    keep_unreadable: bool = False,
    progress: Callable[[str, int], None] = lambda path, size: None,
) -> IngestResult:
    """Take files in, and those of bags; the result tells of each. `progress(path, bytes)` is called once a candidate.

    Nothing is taken in by a sheet that is broken: a picture that came in undescribed would stay so.
    Raises what stops a whole batch: StorageFailed (disk full), KeysUnusable, CredentialsFailed.
    """
    result = IngestResult()
    if sheet is not None and sheet.broken is not None:
        told = f"{sheet.broken.message} Nothing was taken in; mend the sheet and run the command again."
        result.quarantined.append(Refused(path=sheet_name, findings=(replace(sheet.broken, message=told),)))
        return result
    batch = _Batch(archive, result)
    present: set[str] = set()
    for load in _loads(archive, candidates, result, sheet, keep_unreadable, progress):
        left = Counter(wanted.candidate.bag for wanted in load)
        sizes: Counter[str] = Counter()
        with closing(archive.intake.run(archive, take_parcel, list(_parcels(load)))) as running:
            try:
                for taken in _in_order(running):
                    batch.settle(taken)
                    bag = taken.candidate.bag
                    left[bag] -= 1
                    sizes[bag] += taken.size
                    if not bag:
                        progress(taken.candidate.shown, taken.size)
                    elif not left[bag]:
                        progress(bag, sizes[bag])
            finally:
                batch.flush()
        present.update(name for wanted in load for name in (wanted.candidate.relative, wanted.candidate.path.name))
    if sheet is not None:
        _report_sheet(result, sheet, sheet_name, present)
    return result


def _loads(
    archive: Archive,
    candidates: Iterable[Candidate],
    result: IngestResult,
    sheet: Sheet | None,
    keep_unreadable: bool,
    progress: Callable[[str, int], None],
) -> Iterator[list[Wanted]]:
    """Files that are taken in together: all there are, but not more than a few bags at a time.

    A bag is read whole before anything of it is taken in, so that a folder of many is not read for hours first.
    """
    load: list[Wanted] = []
    files = size = 0
    for candidate in candidates:
        if not candidate.is_bag:
            row, refusal = _row(sheet, candidate)
            load.append(Wanted(candidate=candidate, row=row, refusal=refusal, keep_unreadable=keep_unreadable))
            continue
        unpacked = unpack(archive, candidate, keep_unreadable=keep_unreadable)
        result.notes.extend(unpacked.notes)
        result.quarantined.extend(Refused(path=path, findings=found) for path, found in unpacked.refused)
        for wanted in unpacked.wanted:
            row, refusal = _row(sheet, wanted.candidate)
            load.append(replace(wanted, row=merged_row(row, wanted.row), refusal=refusal or wanted.refusal))
            files, size = files + 1, size + _size(wanted.candidate.path)
        if not unpacked.wanted:
            progress(candidate.shown, 0)
        if files >= BAG_FILES or size >= BAG_BYTES:
            yield load
            load, files, size = [], 0, 0
    if load:
        yield load


def _parcels(load: Iterable[Wanted]) -> Iterator[Parcel]:
    """Small files a few at a time, large ones alone: a parcel costs a journey, and one that fails is done again."""
    files: list[Wanted] = []
    size, number = 0, 0
    for wanted in load:
        files.append(wanted)
        size += _size(wanted.candidate.path)
        if len(files) >= PARCEL or size >= PARCEL_BYTES:
            yield Parcel(number=number, files=tuple(files))
            files, size, number = [], 0, number + 1
    if files:
        yield Parcel(number=number, files=tuple(files))


def _row(sheet: Sheet | None, candidate: Candidate) -> tuple[Row | None, Finding | None]:
    if sheet is None:
        return None, None
    for name in (candidate.relative, candidate.path.name):
        if name in sheet.refused:
            return None, sheet.refused[name]
        if name in sheet.by_file:
            break
    return find_row(sheet, candidate.path.name, candidate.relative), None


def _in_order(running: Iterable[tuple[Parcel, tuple[Taken, ...] | ArchiveRestoreError]]) -> Iterator[Taken]:
    """Files in the order in which they were given, whatever the order in which parcels come back.

    Raise the error of a parcel that failed, after what came before it; what came back after it is discarded.
    """
    early: dict[int, tuple[Taken, ...] | ArchiveRestoreError] = {}
    following = 0
    try:
        for parcel, outcome in running:
            early[parcel.number] = outcome
            while following in early:
                ready = early.pop(following)
                if isinstance(ready, ArchiveRestoreError):
                    raise ready
                following += 1
                yield from ready
    finally:
        for outcome in early.values():
            for taken in () if isinstance(outcome, ArchiveRestoreError) else outcome:
                if taken.prepared is not None:
                    taken.prepared.staged.discard()


def _size(path: Path) -> int:
    """Bytes of a file; 0 where that cannot be said, which its worker will tell."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


class _Batch:
    """State of one ingest: what is known in this run before the catalog knows it."""

    def __init__(self, archive: Archive, result: IngestResult) -> None:
        self.archive = archive
        self.result = result
        self.group: list[Prepared] = []
        self.group_bytes = 0
        self.digests: dict[str, str] = {}
        self.sources: dict[str, str] = {}

    def settle(self, taken: Taken) -> None:
        """Decide about one file, in the order in which files were given."""
        path = taken.candidate.shown
        known = taken.duplicate_of or self.digests.get(taken.sha512, "")
        if known:
            if taken.prepared is not None:
                taken.prepared.staged.discard()
            self.result.duplicates.append(Duplicate(path=path, item_id=known, sha512=taken.sha512))
            return
        if taken.prepared is None or not isinstance(taken.prepared.record, Master):
            if not has_errors(taken.findings):
                self.result.notes.extend(taken.findings)
                return
            self.result.quarantined.append(Refused(path=path, findings=taken.findings))
            return
        master = taken.prepared.record
        conflict = self._conflict(master, path)
        if conflict is not None:
            self.archive.quarantine.take(
                taken.prepared.staged.directory / master.file.name,
                name=master.file.name,
                sha256=master.file.sha256,
                findings=(conflict,),
            )
            taken.prepared.staged.discard()
            self.result.quarantined.append(Refused(path=path, findings=(conflict,)))
            return
        self.digests[taken.sha512] = master.ref.item_id
        self.sources[master.ref.item_id] = path
        self.group.append(taken.prepared)
        self.group_bytes += taken.size
        if len(self.group) >= GROUP or self.group_bytes >= GROUP_BYTES:
            self.flush()

    def flush(self) -> None:
        """Commit the group; only then are its items accepted."""
        group, self.group, self.group_bytes = self.group, [], 0
        commit(self.archive, group)
        self.result.accepted.extend(item.record for item in group if isinstance(item.record, Master))

    def _conflict(self, master: Master, path: str) -> Finding | None:
        item_id = master.ref.item_id
        here = self.sources.get(item_id)
        if here is None:
            stored = self.archive.catalog.master(item_id)
            if stored is None:
                if self.archive.preservation.head(item_id):
                    raise CatalogDamaged(
                        f"the item {item_id!r} is stored and the catalog does not know it",
                        hint="Run: archive-restore catalog rebuild",
                    )
                return None
            here = stored.original_path
        return Finding(
            code="ITEM_ID_CONFLICT",
            severity=Severity.ERROR,
            subject=path,
            message=f"Item {item_id!r} is already {here!r} with other bytes; {path!r} needs another item_id "
            "(give one in --metadata).",
            clause="DESIGN P1",
        )


def _report_sheet(result: IngestResult, sheet: Sheet, sheet_name: str, present: set[str]) -> None:
    """Tell of bad rows, and of rows that no file answered."""
    result.notes.extend(f for f in sheet.findings if f.severity is not Severity.ERROR)
    stray = [f for f in sheet.findings if f.severity is Severity.ERROR]
    answered = {name for name in sheet.refused if name in present}
    for finding in stray:
        if not any(sheet.refused.get(name) == finding for name in answered):
            result.quarantined.append(Refused(path=sheet_name, findings=(finding,)))
    for wanted, row in sheet.by_file.items():
        if wanted not in present:
            finding = Finding(
                code="CSV_FILE_MISSING",
                severity=Severity.ERROR,
                subject=f"{sheet_name} line {row.line}",
                message=f"Line {row.line} names {row.file!r}, which is not among the files given.",
            )
            result.quarantined.append(Refused(path=sheet_name, findings=(finding,)))
