"""The archive's own small files: archive.toml, the writer's lock, the journal and the quarantine.

Must never touch a storage root, the log or the catalog.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
import tomllib
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

from archive_restore.adapters.durable import sync_directory
from archive_restore.core.canonical import Malformed, canonical_bytes, from_plain, to_plain
from archive_restore.core.labels import labels_from
from archive_restore.errors import ArchiveBusy, ArchiveMissing, ConfigurationInvalid, StorageFailed
from archive_restore.ports import Journal, JournalEntry, Quarantine, Settings
from archive_restore.records.findings import Finding

CONFIG = "archive.toml"
"""Marks a directory as an archive."""
STAGED = "ocfl-"
"""How the names of what a writer stages in `work/` begin (adapters.ocfl)."""
READERS = "readers"
"""Locked by all who read."""

_TEMPLATE = """\
# Settings of this archive; its keys and certificates are in keys/. Everything here may be edited.
name = {name}
# Never change the id: the audit log is signed under it.
id = {id}
organization = {organization}

[processing]
# Workers for files and pixels; 0 takes the number of processors, at most 8.
threads = 0
# Processes for batches of derivatives.
workers = 1

[labels]
# Language of the captions of stories: en, zh, de, fr, es, or any other with texts of your own below.
language = "en"
# Where the caption band lies, outside the picture: below or above.
position = "below"
# Where the label of a clip and its captions stand: lower-left, lower-right, upper-left or upper-right.
corner = "lower-left"
# A text of your own: [labels.colorization] with en = "…" (or enhancement, story for
# both at once; of clips animation, animated-story, montage).

[plugins]
# Steps from other packages must be named here before they are loaded.
preservation_steps = []
story_steps = []
"""


def find_archive(start: Path) -> Path:
    """The nearest directory at or above `start` that holds archive.toml; raise ArchiveMissing."""
    for folder in (start, *start.parents):
        if (folder / CONFIG).is_file():
            return folder
    raise ArchiveMissing(
        f"there is no archive at or above {str(start)!r}",
        hint="Make one with: archive-restore init DIR, or give -A DIR",
    )


def write_config(root: Path, *, name: str, identifier: str, organization: str) -> None:
    """Write a fresh archive.toml."""
    text = _TEMPLATE.format(name=json.dumps(name), id=json.dumps(identifier), organization=json.dumps(organization))
    (root / CONFIG).write_text(text, encoding="utf-8")


class Config:
    """archive.toml, checked while it is read; raise ConfigurationInvalid naming the key."""

    def __init__(self, root: Path) -> None:
        try:
            self._data = tomllib.loads((root / CONFIG).read_text(encoding="utf-8"))
        except OSError as exc:
            raise ArchiveMissing(f"{root / CONFIG} cannot be read: {exc.strerror}") from exc
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
            raise ConfigurationInvalid(f"{root / CONFIG} is not TOML: {exc}") from exc

    def settings(self) -> Settings:
        """What the flows need."""
        threads = self._number("processing", "threads", 0)
        return Settings(
            name=self._word("", "name", "archive"),
            organization=self._word("", "organization", ""),
            threads=threads or min(8, os.cpu_count() or 1),
            workers=max(1, self._number("processing", "workers", 1)),
            labels=labels_from(self._data.get("labels")),
        )

    def identifier(self) -> str:
        """The archive's own identifier, under which the audit log is signed."""
        value = self._word("", "id", "")
        if not value or not value.replace("-", "").isalnum():
            raise ConfigurationInvalid("archive.toml has no usable id", hint="Restore archive.toml from a backup")
        return value

    def allowed_plugins(self, group: str) -> tuple[str, ...]:
        """Names of foreign steps that may be loaded from an entry-point group."""
        return self._words("plugins", group)

    def _value(self, table: str, key: str) -> object:
        home = self._data.get(table, {}) if table else self._data
        return home.get(key) if isinstance(home, dict) else None

    def _word(self, table: str, key: str, default: str) -> str:
        value = self._value(table, key)
        if value is not None and not isinstance(value, str):
            raise ConfigurationInvalid(f"{table}.{key} must be text".lstrip("."))
        return default if value is None else value

    def _number(self, table: str, key: str, default: int) -> int:
        value = self._value(table, key)
        if value is None:
            return default
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 1024:
            raise ConfigurationInvalid(f"{table}.{key} must be a whole number from 0 to 1024")
        return value

    def _words(self, table: str, key: str) -> tuple[str, ...]:
        value = self._value(table, key)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
            raise ConfigurationInvalid(f"{table}.{key} must be a list of words")
        return tuple(value)


class WriterLock:
    """One writer a time: an advisory lock on `work/lock` that the system drops when the process dies."""

    def __init__(self, work: Path) -> None:
        self._path = work / "lock"
        self._handle: int | None = None

    def acquire(self) -> None:
        """Take the lock; raise ArchiveBusy naming the process that has it."""
        try:
            self._path.parent.mkdir(exist_ok=True)
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as exc:
            raise StorageFailed(f"{str(self._path)!r} cannot be opened: {exc.strerror}") from exc
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            holder = os.read(handle, 32).decode("ascii", "replace").strip() or "another process"
            os.close(handle)
            if exc.errno in (errno.EWOULDBLOCK, errno.EACCES):
                raise ArchiveBusy(
                    f"process {holder} is writing to this archive", hint="Wait for it to end and run the command again"
                ) from exc
            raise StorageFailed(f"{str(self._path)!r} cannot be locked: {exc.strerror}") from exc
        with contextlib.suppress(
            OSError
        ):  # the number is only for the message above; a full disk must not stop us here
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        self._handle = handle

    def release(self) -> None:
        """Let others write."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


class FileJournal(Journal):
    """One JSON file an entry in `work/journal/`."""

    def __init__(self, work: Path) -> None:
        self._folder = work / "journal"

    def open(self, entry: JournalEntry) -> str:
        """Write an entry durably; return its key."""
        key = uuid.uuid4().hex
        final, temporary = self._folder / f"{key}.json", self._folder / f"{key}.tmp"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as handle:
                handle.write(canonical_bytes(entry))
                handle.flush()
                os.fsync(handle.fileno())
            temporary.rename(final)
            sync_directory(self._folder)
        except OSError as exc:
            temporary.unlink(missing_ok=True)
            raise StorageFailed(f"the journal cannot be written: {exc.strerror}", hint="Free some space") from exc
        return key

    def close(self, key: str) -> None:
        """Forget an entry whose work is done."""
        (self._folder / f"{key}.json").unlink(missing_ok=True)

    def pending(self) -> Iterator[tuple[str, JournalEntry]]:
        """Entries that a crash left behind."""
        if not self._folder.is_dir():
            return
        for path in sorted(self._folder.glob("*.json")):
            try:
                yield path.stem, from_plain(JournalEntry, json.loads(path.read_bytes()))
            except (OSError, ValueError, RecursionError, Malformed) as exc:
                raise StorageFailed(
                    f"the journal entry {str(path)!r} cannot be read: {exc}",
                    hint="Move it away, then run: archive-restore catalog rebuild",
                ) from exc

    def any(self) -> bool:
        """Whether something is pending, without reading it."""
        return self._folder.is_dir() and any(self._folder.glob("*.json"))


class FolderQuarantine(Quarantine):
    """`quarantine/<sha256 prefix>/` with the file as `content` and `findings.json`; names never become paths."""

    def __init__(self, root: Path) -> None:
        self._folder = root / "quarantine"

    def take(self, staged: Path, *, name: str, sha256: str, findings: Sequence[Finding]) -> None:
        """Move a staged file in; the same bytes twice take one place."""
        place = self._folder / sha256[:32]
        note = {
            "name": name.encode("utf-8", "backslashreplace").decode(),
            "sha256": sha256,
            "findings": to_plain(findings),
        }
        try:
            place.mkdir(parents=True, exist_ok=True)
            staged.replace(place / "content")
            (place / "findings.json").write_bytes(canonical_bytes(note))
        except OSError as exc:
            raise StorageFailed(f"{name!r} cannot be put into quarantine: {exc.strerror}") from exc


@contextlib.contextmanager
def reading(work: Path) -> Iterator[None]:
    """Say that a reader may have scratch files in `work/`: a shared lock that the system drops when it dies."""
    try:
        handle = os.open(work / READERS, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError:  # an archive that this process cannot write to: it has no scratch files there either
        yield
        return
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


def clear_work(work: Path) -> None:
    """Remove what dead processes left in `work/`; the caller holds the writer's lock.

    Scratch files of readers stay while any reader lives.
    """
    kept = {"lock", "journal", READERS}
    try:
        with (work / READERS).open("ab") as readers:
            try:
                fcntl.flock(readers, fcntl.LOCK_EX | fcntl.LOCK_NB)
                prefix = ""
            except OSError:
                prefix = STAGED
            for path in work.iterdir():
                if path.name in kept or not path.name.startswith(prefix):
                    continue
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
        for path in (work / "journal").glob("*.tmp"):
            path.unlink(missing_ok=True)
    except OSError as exc:
        raise StorageFailed(
            f"{str(exc.filename or work)!r} cannot be removed: {exc.strerror}", hint="Check who owns work/"
        ) from exc
