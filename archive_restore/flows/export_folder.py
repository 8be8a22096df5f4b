"""The folder that an export fills: new, empty, or that of the same export, begun and not finished.

What was finished is remembered in the folder itself, so that an interrupted export goes on when it is asked for again.
Never touches a folder that holds anything else, nor the archive; record and stories lie in two folders (promise P4).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from archive_restore.core.canonical import Malformed, canonical_bytes, from_plain, to_plain
from archive_restore.core.refs import AnyRef
from archive_restore.errors import StorageConflict, StorageFailed, UsageError
from archive_restore.records.stories import StoryRef

DoneT = TypeVar("DoneT")

RECORD_FOLDER, STORY_FOLDER = "record", "stories"
"""Folders of an export that holds both."""
STATE = ".archive-restore-export"
"""In a folder whose export is not finished yet: what was asked for, and a line for each thing that is finished."""


class ExportFolder(Generic[DoneT]):
    """The folder of one export and what of it is finished: a record of the class `done` for each name."""

    def __init__(self, to: Path, asked: object, archive: Path, done: type[DoneT]) -> None:
        """`asked` is plain data that tells this export from others; raise UsageError where `to` lies in the archive."""
        self._to, self._file, self._kind = to, to / STATE, done
        self._key = hashlib.sha256(canonical_bytes(asked)).hexdigest()
        if to.resolve().is_relative_to(archive.resolve()):
            raise UsageError(f"{str(to)!r} lies inside the archive", hint="Choose a folder outside of it")
        self._done: dict[str, DoneT] = {}

    def open(self, folders: Sequence[Path]) -> None:
        """Begin or go on, with these folders inside; raise StorageConflict where the folder is not this export's."""
        with disk(self._to):
            if self._to.exists() and not self._to.is_dir():
                raise StorageConflict(f"{str(self._to)!r} is not a folder", hint="Choose another one")
            self._to.mkdir(parents=True, exist_ok=True)
            if self._file.is_file():
                self._read()
            elif any(self._to.iterdir()):
                raise StorageConflict(
                    f"{str(self._to)!r} is not empty", hint="Choose a new folder: nothing is overwritten"
                )
            else:
                self._append({"key": self._key})
            for folder in folders:
                folder.mkdir(exist_ok=True)

    def finished(self, name: str) -> DoneT | None:
        """What an earlier run remembered under this name."""
        return self._done.get(name)

    def add(self, done: Mapping[str, DoneT]) -> None:
        """Remember durably, by their names, things that are about to lie in their folder."""
        self._append(*({"name": name, "done": to_plain(row)} for name, row in done.items()))

    def close(self) -> None:
        """Everything is there."""
        with disk(self._to):
            self._file.unlink()

    def abandon(self, folders: Sequence[Path]) -> None:
        """Nothing is there: leave no trace."""
        self.close()
        for folder in (*folders, self._to):
            with contextlib.suppress(OSError):  # somebody else's file in it
                folder.rmdir()

    def _read(self) -> None:
        lines = self._file.read_text(encoding="utf-8", errors="replace").splitlines()
        try:
            rows = [json.loads(line) for line in lines if line.endswith("}")]  # the last one may be cut off
            known = rows[0]["key"] == self._key
            for row in rows[1:]:
                self._done[row["name"]] = from_plain(self._kind, row["done"])
        except (IndexError, KeyError, TypeError, ValueError, RecursionError, Malformed):
            known = False
        if not known:
            raise StorageConflict(
                f"{str(self._to)!r} holds another export that is not finished",
                hint="Finish that one with the command that began it, or choose a new folder",
            )

    def _append(self, *rows: Mapping[str, Any]) -> None:
        with disk(self._to), self._file.open("ab") as file:
            file.writelines(json.dumps(row, ensure_ascii=True).encode() + b"\n" for row in rows)
            file.flush()
            os.fsync(file.fileno())


@dataclass(frozen=True, kw_only=True)
class Sides:
    """Where the record and stories of one export go."""

    record: Path
    stories: Path

    @property
    def apart(self) -> tuple[Path, ...]:
        """Folders to be made: none where the export holds one side only."""
        return () if self.record == self.stories else (self.record, self.stories)

    def of(self, ref: AnyRef) -> Path:
        """Folder of a reference."""
        return self.stories if isinstance(ref, StoryRef) else self.record


def sides(refs: Sequence[AnyRef], to: Path, *, with_stories: bool) -> Sides:
    """Folders of an export; raise UsageError for none at all, or for both sides where only one is allowed."""
    if not refs:
        raise UsageError("there is nothing to export", hint="See: archive-restore list")
    told = [ref for ref in refs if isinstance(ref, StoryRef)]
    if not told or len(told) == len(refs):
        return Sides(record=to, stories=to)
    if not with_stories:
        raise UsageError(
            f"{told[0]} is a story and {next(r for r in refs if not isinstance(r, StoryRef))} belongs to the record",
            hint="Export them into two folders, or add --with-stories",
        )
    return Sides(record=to / RECORD_FOLDER, stories=to / STORY_FOLDER)


@contextlib.contextmanager
def disk(folder: Path) -> Iterator[None]:
    """Turn an OSError inside the block into StorageFailed."""
    try:
        yield
    except OSError as exc:
        raise StorageFailed(
            f"{str(exc.filename or folder)!r} cannot be written: {exc.strerror or exc}",
            hint="Free some space or check the folder, then run the same command again",
        ) from exc


def sync_names(folders: Iterable[Path]) -> None:
    """Make the names in these folders durable."""
    for folder in folders:
        with disk(folder):
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
