"""A replica in a directory: OCFL roots, log, settings and public keys of one archive (see ports.Replica).

Never holds a private key, never follows a link out of the directory, never touches what it does not know.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from archive_restore.adapters import durable, keys, ocfl, ocfl_mirror
from archive_restore.adapters import ocfl_layout as layout
from archive_restore.adapters.durable import storage_errors
from archive_restore.adapters.log_copy import LogCopy
from archive_restore.adapters.workspace import CONFIG, Config, WriterLock, clear_work
from archive_restore.core.refs import object_kind
from archive_restore.errors import ArchiveRestoreError, StorageConflict, StorageFailed
from archive_restore.ports import Brought, Quarantine, Replica, Vouched
from archive_restore.records.findings import Finding, Severity
from archive_restore.records.stories import StoryKind

MARK = "replica.json"
"""Says that a directory is a replica, and of which archive."""
FORM = "archive-restore replica 1"
ROOTS = ("preservation", "stories")
AUDIT = "audit"
ADDED = ("models", "palettes", "audit/timestamps")
"""Folders of what was added to the archive, or confirmed of its log: file by file never changed."""


class FolderReplica(Replica):
    """See ports.Replica."""

    def __init__(
        self, archive: Path, place: Path, *, identifier: str, origin: str, public_key: bytes, quarantine: Quarantine
    ) -> None:
        self._archive = archive.resolve()
        self._place = place.resolve()
        self._identifier = identifier
        self._quarantine = quarantine
        self._log = LogCopy(self._archive / AUDIT, self._place / AUDIT, origin, public_key)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """See ports.Replica. The mark is written first, so that a run that was cut off goes on."""
        self._apart()
        with storage_errors("making the replica", self._place):
            if not self._marked():
                self._place.mkdir(parents=True, exist_ok=True)
                for stale in self._place.glob(f".{MARK}.*.tmp"):
                    stale.unlink()
                left = list(self._place.iterdir())
                if left:
                    raise StorageConflict(
                        f"{str(self._place)!r} is not empty and no replica", hint="Choose an empty directory"
                    )
                mark = {"archive": self._identifier, "form": FORM}
                durable.replace_file(self._place / MARK, f"{json.dumps(mark, indent=2)}\n".encode())
            work = self._place / "work"
            lock = WriterLock(work)
            lock.acquire()
            try:
                clear_work(work)
                for name in ROOTS:
                    for stale in self._place.glob(f".{name}-*"):
                        shutil.rmtree(stale)
                    if not (self._place / name / layout.ROOT_DECLARATION).is_file():
                        ocfl.create_root(self._place / name)
                yield
            finally:
                lock.release()

    def require(self) -> None:
        """See ports.Replica; a plain copy of the archive serves as well as what `replicate` made."""
        self._apart()
        try:
            theirs = Config(self._place).identifier()
        except ArchiveRestoreError as exc:
            raise StorageConflict(
                f"{str(self._place)!r} is no replica: {exc}", hint="Give the directory that `replicate` made"
            ) from exc
        if theirs != self._identifier:
            raise StorageConflict(
                f"{str(self._place)!r} is a copy of another archive", hint="Give a replica of this one"
            )

    def compare_log(self) -> int:
        """See ports.Replica."""
        return self._log.compare()

    def take_log(self) -> tuple[Finding, ...]:
        """See ports.Replica."""
        if not self._log.extend(self._place / "work"):
            return ()
        return (_warning("REPLICA_MENDED", "audit", "The lines of its log were not those of its checkpoint any more."),)

    def take_settings(self) -> tuple[Finding, ...]:
        """See ports.Replica. archive.toml and certificates follow the archive; what was added stays as it came."""
        findings: list[Finding] = []
        for name in (CONFIG, *(f"keys/{name}" for name in keys.PUBLIC)):
            source, target = self._archive / name, self._place / name
            with storage_errors("copying", source):
                if not source.is_file():
                    continue
                data = source.read_bytes()
                if b"PRIVATE KEY" in data:
                    findings.append(
                        _finding("REPLICA_KEY_REFUSED", name, "It holds a private key, which belongs in no replica.")
                    )
                    continue
                target.parent.mkdir(exist_ok=True)
                if not target.is_file() or target.read_bytes() != data:
                    durable.replace_file(target, data, scratch=self._place / "work")
        for folder in ADDED:
            for source in sorted((self._archive / folder).rglob("*")):
                if source.is_file() and not source.is_symlink():
                    findings += self._add(source, source.relative_to(self._archive))
        return tuple(findings)

    def take(self, object_id: str, vouched: Vouched, *, verify: bool) -> Brought:
        """See ports.Replica."""
        source, root, relative = self._ends(object_id, self._archive, self._place)
        if not verify and ocfl_mirror.same_head(source, root / relative, vouched):
            return Brought()
        if not source.is_dir():
            return _nothing("OBJECT_VANISHED", object_id, "The archive does not hold it any more", "see `repair`")
        want = ocfl_mirror.wanted(object_id, [source], vouched)
        if want is None:
            return _nothing(
                "INVENTORY_NOT_VOUCHED", object_id, "No inventory of it says what the log says", "see `verify`"
            )
        known = verify or not _continues(root / relative, want)
        done = ocfl_mirror.mirror(want, source, root, relative, self._place / "work", read_all=known, displace=None)
        findings = [
            _warning("REPLICA_MENDED", f"{object_id}: {path}", "The replica's file had rotted; it was copied again.")
            for path in done.rotten
            if path in done.written
        ]
        findings += [
            _finding(
                "REPLICA_STRAY",
                f"{object_id}: {_text(path)}",
                "It lies in the replica's object and does not belong there.",
            )
            for path in done.strays
        ]
        findings += [
            _finding(
                "NOT_REPLICATED",
                f"{object_id}: {path}",
                f"The archive's file is {_is(why)}: the replica keeps what it has; see `repair`.",
            )
            for path, why in done.missing.items()
        ]
        return Brought(written=_shown(done.written), size=done.size, findings=tuple(findings))

    def give(self, object_id: str, vouched: Vouched) -> Brought:
        """See ports.Replica. The inventory may come from either place; the log decides."""
        replica, root, relative = self._ends(object_id, self._place, self._archive)
        if later := ocfl_mirror.unvouched(root / relative, vouched):
            return _nothing(
                "VERSION_NOT_VOUCHED",
                object_id,
                f"It holds {later}, which the log does not know",
                "nothing was touched",
            )
        want = ocfl_mirror.wanted(object_id, [root / relative, replica], vouched)
        if want is None:
            return _nothing(
                "INVENTORY_NOT_VOUCHED",
                object_id,
                "Neither here nor in the replica is an inventory that says what the log says",
                "try another replica",
            )

        def displace(path: Path, name: str) -> None:
            self._displace(path, f"{object_id}: {_text(name)}" if name else object_id)

        work = self._archive / "work"
        done = ocfl_mirror.mirror(want, replica, root, relative, work, read_all=True, displace=displace)
        findings = [
            _finding(
                "NOT_REPAIRED",
                f"{object_id}: {path}",
                f"It is {'rotten' if path in done.rotten else 'missing'} here, and in the replica {_is(why)}.",
            )
            for path, why in done.missing.items()
        ]
        return Brought(
            written=_shown(done.written), size=done.size, displaced=_shown(done.displaced), findings=tuple(findings)
        )

    def give_roots(self) -> tuple[str, ...]:
        """See ports.Replica; these files are the same in every root."""
        written = []
        for root in ROOTS:
            for name, data in ocfl.root_texts().items():
                path = self._archive / root / name
                with storage_errors("mending", path):
                    if not path.is_symlink() and path.is_file() and path.read_bytes() == data:
                        continue
                    path.parent.mkdir(parents=True, exist_ok=True)
                durable.replace_file(path, data, scratch=self._archive / "work")
                written.append(f"{root}/{name}")
        return tuple(written)

    def give_log(self) -> tuple[str, ...]:
        """See ports.Replica."""

        def keep(path: Path) -> None:
            copy = self._archive / "work" / path.name
            with storage_errors("copying", path):
                shutil.copyfile(path, copy)
            self._displace(copy, f"{AUDIT}/{path.name}")

        return tuple(f"{AUDIT}/{name}" for name in self._log.give(keep, self._archive / "work"))

    def object_ids(self) -> Iterator[str]:
        """See ports.Replica."""
        for name in ROOTS:
            for directory in layout.walk_objects(self._place / name):
                yield layout.object_id_of(directory)

    # -- parts ---------------------------------------------------------------------------------------------

    def _ends(self, object_id: str, source: Path, target: Path) -> tuple[Path, Path, Path]:
        """(object directory at the source, storage root at the target, path of the object below it)."""
        root = "stories" if isinstance(object_kind(object_id)[1], StoryKind) else "preservation"
        relative = layout.object_path(object_id)
        return source / root / relative, target / root, relative

    def _apart(self) -> None:
        if self._place == self._archive or self._place.is_relative_to(self._archive):
            raise StorageConflict(
                f"{str(self._place)!r} lies in the archive itself", hint="Choose a directory on another disk"
            )
        if self._archive.is_relative_to(self._place):
            raise StorageConflict(
                f"the archive lies in {str(self._place)!r}", hint="Choose a directory on another disk"
            )

    def _marked(self) -> bool:
        """Whether the directory is a replica of this archive; raise StorageConflict where it is another's."""
        try:
            mark = json.loads((self._place / MARK).read_bytes())
        except FileNotFoundError:
            return False
        except (ValueError, RecursionError):
            mark = None
        if not isinstance(mark, Mapping) or mark.get("form") != FORM:
            raise StorageConflict(f"{str(self._place / MARK)!r} is damaged", hint="Mend it, or begin another replica")
        if mark.get("archive") != self._identifier:
            raise StorageConflict(
                f"{str(self._place)!r} is the replica of another archive", hint="Choose another directory"
            )
        return True

    def _add(self, source: Path, relative: Path) -> Iterator[Finding]:
        target = self._place / relative
        try:
            meant = durable.hash_file(source)
            if target.is_file():
                if durable.hash_file(target) != meant:
                    yield _warning(
                        "REPLICA_DIFFERS",
                        str(relative),
                        "Archive and replica hold different bytes; neither is changed.",
                    )
                return
            with storage_errors("copying", target):
                target.parent.mkdir(parents=True, exist_ok=True)
                temporary = self._place / "work" / "added"
                temporary.unlink(missing_ok=True)
                durable.copy_hashed(source, temporary)
                durable.sync_paths([temporary])
                temporary.replace(target)
            durable.sync_directory(target.parent)
        except StorageFailed:
            raise
        except ArchiveRestoreError as exc:
            yield _finding("NOT_REPLICATED", str(relative), f"{exc}.")

    def _displace(self, path: Path, subject: str) -> None:
        finding = _warning(
            "PUT_INTO_QUARANTINE", subject, "It was not what the inventory and the log say, and a repair put it away."
        )
        try:
            sha256 = durable.hash_file(path).sha256
        except StorageFailed:  # not even readable; its name decides
            sha256 = hashlib.sha256(subject.encode()).hexdigest()
        self._quarantine.take(path, name=subject, sha256=sha256, findings=[finding])


def _continues(directory: Path, want: ocfl_mirror.Wanted) -> bool:
    """Whether the object holds an earlier (or this) version as it was: then its contents were checked when it came."""
    try:
        data = (directory / layout.INVENTORY).read_bytes()
    except OSError:
        return False
    return any(data == text for path, text in want.texts.items() if path.endswith(f"/{layout.INVENTORY}"))


def _text(name: str) -> str:
    """A file name as text that JSON and the log can hold: not all names on a disk are Unicode."""
    return name.encode("utf-8", "backslashreplace").decode()


def _shown(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(_text(name) for name in names)


def _is(why: str) -> str:
    return why if why in ("missing", "rotten") else f"unreadable ({why})"


def _nothing(code: str, subject: str, message: str, advice: str) -> Brought:
    return Brought(findings=(_finding(code, subject, f"{message}: {advice}."),))


def _finding(code: str, subject: str, message: str) -> Finding:
    return Finding(code=code, severity=Severity.ERROR, subject=subject, message=message)


def _warning(code: str, subject: str, message: str) -> Finding:
    return Finding(code=code, severity=Severity.WARNING, subject=subject, message=message)
