"""Ingest: files become masters, or are told why not (OAIS SIP to AIP; PREMIS events of ingestion).

Workers read each file once into staging and check it there; the coordinator alone commits, in small
groups, so that an interruption leaves every finished item whole.
"""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from archive_restore.core.canonical import canonical_bytes
from archive_restore.core.refs import identifier_from_name
from archive_restore.core.rules import Row, Sheet, find_row
from archive_restore.errors import CatalogDamaged, SourceUnreadable, UsageError
from archive_restore.flows.commit import (
    DERIVATION_RECORD,
    ITEM_RECORD,
    PREMIS_RECORD,
    Prepared,
    commit,
    digest_event,
    event,
    sidecar_name,
)
from archive_restore.ports import Archive, Digests, Staging
from archive_restore.records.findings import Finding, Severity, has_errors
from archive_restore.records.objects import Description, FileFacts, Master, MasterRef
from archive_restore.records.provenance import Event

GROUP = 32
"""Items committed together: one journal entry, one checkpoint, one transaction."""
GROUP_BYTES = 256 * 1024 * 1024
"""A group is closed early when its files exceed this, so that large masters are safe one by one."""
AHEAD = 2 * GROUP
"""Files taken in before the first of them is settled, so that workers are busy while a group waits for the disk."""
LITTER = frozenset({"thumbs.db", "desktop.ini", ".ds_store"})
"""Files that file managers drop; passed over without a word."""
RESERVED = frozenset({ITEM_RECORD, PREMIS_RECORD, DERIVATION_RECORD})


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
    """Findings about the metadata sheet that stopped nothing."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A file to be taken in."""

    path: Path
    relative: str
    """Path below the folder that was given, with slashes."""
    finding: Finding | None = None
    """Why nothing is read here: a folder that cannot be opened, or the archive itself."""

    @property
    def shown(self) -> str:
        """The path as text for records and people: bytes that are not UTF-8 as `\\xff`."""
        return os.fsencode(self.path).decode("utf-8", "backslashreplace")


def find_files(sources: Iterable[Path], skip: Iterable[Path] = (), archive: Path | None = None) -> Iterator[Candidate]:
    """Files in the order given, folders walked in sorted order; links are not followed, nothing is passed in silence.

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


@dataclass(frozen=True, kw_only=True)
class _Taken:
    """What a worker made of a candidate."""

    candidate: Candidate
    prepared: Prepared | None = None
    duplicate_of: str = ""
    findings: tuple[Finding, ...] = ()
    size: int = 0
    sha512: str = ""


def ingest(
    archive: Archive,
    candidates: Sequence[Candidate],
    *,
    sheet: Sheet | None = None,
    sheet_name: str = "",
    keep_unreadable: bool = False,
    progress: Callable[[str, int], None] = lambda path, size: None,
) -> IngestResult:
    """Take files in; the result tells of each. `progress(path, bytes)` is called once a file.

    Raises what stops a whole batch: StorageFailed (disk full), KeysUnusable, CredentialsFailed.
    """
    result = IngestResult()
    batch = _Batch(archive, result, sheet, keep_unreadable)
    with ThreadPoolExecutor(max_workers=archive.settings.threads, thread_name_prefix="ingest") as pool:
        try:
            for taken in _ordered(pool, batch.take, candidates, least=archive.settings.threads):
                batch.settle(taken)
                progress(taken.candidate.shown, taken.size)
        finally:
            batch.flush()
    if sheet is not None:
        _report_sheet(result, sheet, sheet_name, candidates)
    return result


def _ordered(
    pool: ThreadPoolExecutor, work: Callable[[Candidate], _Taken], tasks: Sequence[Candidate], least: int
) -> Iterator[_Taken]:
    """Results in the order of tasks; a failure cancels what has not begun.

    Under way are at most AHEAD tasks, and at most GROUP_BYTES but for `least` tasks: large masters that were taken in
    and not committed would only fill the disk.
    """
    waiting: deque[tuple[Future[_Taken], int]] = deque()
    under_way = 0
    try:
        for task in tasks:
            size = _size(task.path)
            while len(waiting) >= AHEAD or (len(waiting) >= least and under_way + size > GROUP_BYTES):
                future, settled = waiting.popleft()
                under_way -= settled
                yield future.result()
            waiting.append((pool.submit(work, task), size))
            under_way += size
        while waiting:
            yield waiting.popleft()[0].result()
    finally:
        for future, _ in waiting:
            future.cancel()


def _size(path: Path) -> int:
    """Bytes of a file; 0 where that cannot be said, which its worker will tell."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


class _Batch:
    """State of one ingest: what is known in this run before the catalog knows it."""

    def __init__(self, archive: Archive, result: IngestResult, sheet: Sheet | None, keep_unreadable: bool) -> None:
        self.archive = archive
        self.result = result
        self.sheet = sheet
        self.keep_unreadable = keep_unreadable
        self.group: list[Prepared] = []
        self.group_bytes = 0
        self.digests: dict[str, str] = {}
        self.sources: dict[str, str] = {}

    # -- in worker threads -----------------------------------------------------------------------------

    def take(self, candidate: Candidate) -> _Taken:
        """Copy, hash, check and describe one file; nothing is committed."""
        subject = candidate.shown
        if candidate.finding is not None:
            return _Taken(candidate=candidate, findings=(candidate.finding,))
        row, refusal = self._row(candidate)
        if refusal is not None:
            return _Taken(candidate=candidate, findings=(replace(refusal, subject=subject),))
        problem = _not_a_file(candidate)
        if problem is not None:
            return _Taken(candidate=candidate, findings=(problem,))
        item_id = row.item_id if row and row.item_id else identifier_from_name(candidate.path.stem)
        staged = self.archive.preservation.stage(item_id)
        try:
            return self._take_staged(candidate, staged, item_id, row)
        except SourceUnreadable as exc:
            staged.discard()
            return _Taken(candidate=candidate, findings=(_unreadable(subject, str(exc)),))
        except BaseException:
            staged.discard()
            raise

    def _take_staged(self, candidate: Candidate, staged: Staging, item_id: str, row: Row | None) -> _Taken:
        subject, name = candidate.shown, candidate.path.name
        safe_name = "refused" if has_errors(self.archive.formats.name_findings(name)) else name
        digests = staged.copy_in(safe_name, candidate.path)
        taken = _Taken(candidate=candidate, size=digests.size, sha512=digests.sha512)
        known = self.archive.catalog.master_by_sha512(digests.sha512)
        if known is not None:
            staged.discard()
            return replace(taken, duplicate_of=known)
        inspected = self.archive.formats.inspect(
            staged.directory / safe_name, subject=subject, name=name, digests=digests
        )
        findings = list(inspected.findings)
        if name in RESERVED:
            findings.append(_name_reserved(subject, name))
        refused = has_errors(findings) or inspected.file_format is None
        if refused and not (self.keep_unreadable and safe_name == name and name not in RESERVED and digests.size):
            self.archive.quarantine.take(
                staged.directory / safe_name, name=name, sha256=digests.sha256, findings=findings
            )
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
            ingested=self.archive.clock.now(),
        )
        return replace(taken, prepared=_prepare(self.archive, master, staged, digests))

    def _row(self, candidate: Candidate) -> tuple[Row | None, Finding | None]:
        if self.sheet is None:
            return None, None
        for name in (candidate.relative, candidate.path.name):
            if name in self.sheet.refused:
                return None, self.sheet.refused[name]
        return find_row(self.sheet, candidate.path.name, candidate.relative), None

    # -- in the coordinator ----------------------------------------------------------------------------

    def settle(self, taken: _Taken) -> None:
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


def _prepare(archive: Archive, master: Master, staged: Staging, digests: Digests) -> Prepared:
    name, ref = master.file.name, str(master.ref)
    sidecar = sidecar_name(name)
    archive.credentials.sign_master(master, staged.directory / name, staged.directory / sidecar)
    files = {
        name: digests,
        sidecar: staged.adopt(sidecar),
        ITEM_RECORD: staged.write(ITEM_RECORD, canonical_bytes(master)),
    }
    events = _events(archive, master, files)
    premis = staged.write(PREMIS_RECORD, archive.documents.master_premis(master, events))
    events = (*events, digest_event(archive, ref, {PREMIS_RECORD: premis}))
    return Prepared(ref=master.ref, staged=staged, record=master, events=events, message=f"Ingest {ref}")


def _events(archive: Archive, master: Master, files: Mapping[str, Digests]) -> tuple[Event, ...]:
    ref, facts = str(master.ref), master.file
    worst = "warning" if any(f.severity is not Severity.INFO for f in master.findings) else "success"
    checked = event(archive, "validation", ref, f"{len(master.findings)} findings on {facts.name}")
    return (
        event(archive, "ingestion", ref, f"{facts.name} from {master.original_path}"),
        digest_event(archive, ref, files),
        event(archive, "format identification", ref, f"{facts.puid} {facts.format_name}".strip()),
        replace(checked, outcome=worst),
        event(archive, "metadata extraction", ref, "technical facts and embedded metadata into item.json"),
        event(archive, "digital signature generation", ref, f"C2PA manifest in {sidecar_name(facts.name)}"),
    )


def _report_sheet(result: IngestResult, sheet: Sheet, sheet_name: str, candidates: Sequence[Candidate]) -> None:
    """Tell of bad rows, and of rows that no file answered."""
    result.notes.extend(f for f in sheet.findings if f.severity is not Severity.ERROR)
    present = {c.relative for c in candidates} | {c.path.name for c in candidates}
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


def _unreadable(subject: str, why: str) -> Finding:
    return Finding(code="FILE_UNREADABLE", severity=Severity.ERROR, subject=subject, message=f"{why}.")


def _name_reserved(subject: str, name: str) -> Finding:
    return Finding(
        code="NAME_RESERVED",
        severity=Severity.ERROR,
        subject=subject,
        message=f"{name!r} is the name of one of our own records; rename the file.",
    )
