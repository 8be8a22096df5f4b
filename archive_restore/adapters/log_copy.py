"""Copies an audit log to another place, where it only ever grows: RFC 6962 §2.1, C2SP tlog-checkpoint.

The copy's own signed checkpoint must be a promise that the archive's log still keeps. Never shortens what a
checkpoint of the copy covers, never copies a line that the archive's checkpoint does not cover.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from archive_restore.adapters import durable
from archive_restore.adapters.auditlog import CHECKPOINT, ENTRIES, FileAuditLog
from archive_restore.adapters.durable import storage_errors
from archive_restore.core.checkpoint import SignedCheckpoint, render
from archive_restore.core.merkle import CompactRange, leaf_hash
from archive_restore.errors import LogDamaged, StorageFailed
from archive_restore.records.findings import has_errors

_BLOCK = 1 << 20


class LogCopy:
    """The log in `source` and its copy in `target`, both under the archive's own origin and public key."""

    def __init__(self, source: Path, target: Path, origin: str, public_key: bytes) -> None:
        self._source, self._target = source, target
        self._origin, self._key = origin, public_key
        self._meant: SignedCheckpoint | None = None
        self._kept_bytes = 0
        self._meant_bytes = 0

    def compare(self) -> int:
        """Remember the checkpoint of now and return its size; raise LogDamaged where the copy is no beginning of it."""
        self._meant = meant = FileAuditLog(self._source, self._origin, self._key).signed()
        kept = self._copied()
        earlier = kept.checkpoint.size if kept else 0
        size = meant.checkpoint.size
        if earlier > size:
            raise LogDamaged(
                f"the replica's log has {earlier} entries and the archive's {size}",
                hint="The archive's log was cut or set back: stop writing and compare the two",
            )
        tree, position, root_then = CompactRange(), 0, CompactRange().root()
        with storage_errors("reading", self._source / ENTRIES), (self._source / ENTRIES).open("rb") as lines:
            while tree.size < size and (line := lines.readline()).endswith(b"\n"):
                tree.append(leaf_hash(line[:-1]))
                position += len(line)
                if tree.size == earlier:
                    root_then, self._kept_bytes = tree.root(), position
        if tree.size < size or tree.root() != meant.checkpoint.root:
            raise LogDamaged(
                "the archive's log is not what its checkpoint says", hint="Run `log verify`; nothing was replicated"
            )
        if kept is not None and root_then != kept.checkpoint.root:
            raise LogDamaged(
                f"the first {earlier} entries of the archive's log are not those that the replica's checkpoint covers",
                hint="The archive's log was rewritten: stop writing and compare the two",
            )
        self._meant_bytes = position
        return size

    def extend(self, scratch: Path) -> bool:
        """Bring the copy up to the remembered checkpoint; say whether its lines had to be copied anew.

        `scratch` is a directory on the copy's file system for what is not finished.
        """
        assert self._meant is not None
        note, source, target = render(self._meant), self._source / ENTRIES, self._target / ENTRIES
        with storage_errors("copying", target):
            self._target.mkdir(exist_ok=True)
        anew = not self._begins_alike()
        if anew:
            self._rewrite(source, target, scratch)
        elif not target.exists() or target.stat().st_size != self._meant_bytes:
            with storage_errors("copying", target), source.open("rb") as lines:
                writer = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
                try:
                    os.ftruncate(writer, self._kept_bytes)
                    os.lseek(writer, self._kept_bytes, os.SEEK_SET)
                    lines.seek(self._kept_bytes)
                    for block in _blocks(lines.read, self._meant_bytes - self._kept_bytes):
                        while block:
                            block = block[os.write(writer, block) :]
                    os.fsync(writer)
                finally:
                    os.close(writer)
        checkpoint = self._target / CHECKPOINT
        if not checkpoint.exists() or checkpoint.read_bytes() != note:
            durable.replace_file(checkpoint, note, scratch=scratch)
        return anew and self._kept_bytes > 0

    def give(self, keep: Callable[[Path], None], scratch: Path) -> tuple[str, ...]:
        """Mend the archive's own log with the copy's lines; names of the files that were written.

        What the archive's checkpoint promised is kept to the last entry: lines that the copy does not have yet must
        still be there. Without that checkpoint nothing may be there that the copy lacks. `keep` gets what is replaced.
        Raise LogDamaged where the copy does not hold either, or both together do not give what was promised.
        """
        if not has_errors(FileAuditLog(self._source, self._origin, self._key).verify()):
            return ()
        copy = FileAuditLog(self._target, self._origin, self._key)
        if has_errors(copy.verify()):
            raise LogDamaged("the replica's log does not hold either", hint="Try another replica")
        note = copy.signed()
        lines = _lines(self._target / ENTRIES)[: note.checkpoint.size]
        mine = _lines(self._source / ENTRIES) if (self._source / ENTRIES).is_file() else []
        try:
            promised = FileAuditLog(self._source, self._origin, self._key).signed()
        except LogDamaged:
            promised = None
        if promised is None and len(mine) > len(lines):
            raise LogDamaged(
                f"the archive's log has {len(mine)} lines without a checkpoint that holds, the replica's {len(lines)}",
                hint="Bring back audit/checkpoint, or try a newer replica",
            )
        if promised is not None:
            missing = promised.checkpoint.size - len(lines)
            if missing > 0:
                lines, note = [*lines, *mine[-missing:]], promised
            if _root(lines[: promised.checkpoint.size]) != promised.checkpoint.root:
                raise LogDamaged(
                    "the replica's log and what is left here do not give what the archive's checkpoint promises",
                    hint="Try a newer replica; if none helps, one of the two was rewritten",
                )
        written = []
        for name, data in ((ENTRIES, b"".join(lines)), (CHECKPOINT, render(note))):
            path = self._source / name
            if path.is_file():
                if path.read_bytes() == data:
                    continue
                keep(path)
            durable.replace_file(path, data, scratch=scratch)
            written.append(name)
        return tuple(written)

    def _copied(self) -> SignedCheckpoint | None:
        """The copy's checkpoint; None where there is no copy yet."""
        if not (self._target / CHECKPOINT).exists():
            return None  # or the first run was cut off before it: lines without a promise are written again
        try:
            return FileAuditLog(self._target, self._origin, self._key).signed()
        except LogDamaged as exc:
            raise LogDamaged(
                f"the replica's checkpoint does not hold: {exc}", hint="Compare it with the archive's"
            ) from exc

    def _begins_alike(self) -> bool:
        """Whether the copy's file still begins with the bytes that its checkpoint covers."""
        if not self._kept_bytes:
            return True
        with storage_errors("reading", self._target):
            try:
                with (self._target / ENTRIES).open("rb") as mine, (self._source / ENTRIES).open("rb") as theirs:
                    left = self._kept_bytes
                    while left:
                        block = mine.read(min(left, _BLOCK))
                        if not block or theirs.read(len(block)) != block:
                            return False
                        left -= len(block)
            except FileNotFoundError:
                return False
        return True

    def _rewrite(self, source: Path, target: Path, scratch: Path) -> None:
        temporary = scratch / target.name
        with storage_errors("copying", target):
            with source.open("rb") as lines, temporary.open("wb") as copy:
                for block in _blocks(lines.read, self._meant_bytes):
                    copy.write(block)
                copy.flush()
                os.fsync(copy.fileno())
            temporary.replace(target)
        durable.sync_directory(self._target)


def _lines(path: Path) -> list[bytes]:
    """Lines with their ends; raise StorageFailed."""
    with storage_errors("reading", path):
        parts = path.read_bytes().split(b"\n")
    return [*(part + b"\n" for part in parts[:-1]), *(part for part in parts[-1:] if part)]


def _root(lines: Sequence[bytes]) -> bytes:
    tree = CompactRange()
    for line in lines:
        tree.append(leaf_hash(line.removesuffix(b"\n")))
    return tree.root()


def _blocks(read: Callable[[int], bytes], size: int) -> Iterator[bytes]:
    """The next `size` bytes, in pieces; raise StorageFailed where there are fewer."""
    while size:
        block = read(min(size, _BLOCK))
        if not block:
            raise StorageFailed("the archive's log became shorter while it was copied", hint="Run `log verify`")
        yield block
        size -= len(block)
