"""The audit log on disk: entries.jsonl (one RFC 8785 line an entry) and checkpoint (C2SP signed note).

Order of an append: lines, fsync, new checkpoint by rename. What lies beyond the checkpoint after a crash was never
promised: it is cut off and handed back. Never changes a line that a checkpoint covers.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from archive_restore.adapters import durable
from archive_restore.adapters.durable import storage_errors
from archive_restore.adapters.log_lines import LogLines, lines_about
from archive_restore.adapters.log_tiles import export_tiles
from archive_restore.core.canonical import Malformed, canonical_bytes, from_plain
from archive_restore.core.checkpoint import (
    Checkpoint,
    CheckpointMalformed,
    SignedCheckpoint,
    key_id,
    parse,
    render,
    sign_checkpoint,
    verifier_key,
)
from archive_restore.core.fixity import MANY
from archive_restore.core.log_proof import LogProof, proof_problem, render_consistency, render_proof
from archive_restore.core.merkle import EMPTY_ROOT, CompactRange, leaf_hash, verify_consistency
from archive_restore.errors import LogDamaged, SelfCheckFailed, StorageConflict, StorageFailed
from archive_restore.ports import AuditLog, Consistency, LogEntry, LogExport, LogLine
from archive_restore.records.findings import Finding, Severity
from archive_restore.records.provenance import Event

ENTRIES = "entries.jsonl"
CHECKPOINT = "checkpoint"
_EVENT_ID = b'"event_id":"'
_EVENT_MEMBERS = {field.name for field in dataclasses.fields(Event)}
_WRITE_BYTES = 1 << 22
_FAST = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def create_log(directory: Path, origin: str, public_key: bytes, sign: Callable[[bytes], bytes]) -> None:
    """Begin an empty log with a signed checkpoint of size 0; raise StorageConflict where there is one."""
    if (directory / ENTRIES).exists() or (directory / CHECKPOINT).exists():
        raise StorageConflict(f"{str(directory)!r} holds a log already", hint="A log is never begun again")
    with storage_errors("creating", directory):
        directory.mkdir(parents=True, exist_ok=True)
        (directory / ENTRIES).touch(mode=0o644)
    empty = Checkpoint(origin=origin, size=0, root=CompactRange().root())
    durable.replace_file(directory / CHECKPOINT, sign_checkpoint(empty, public_key, sign))
    durable.sync_directory(directory.parent)


class FileAuditLog(AuditLog):
    """The log in one directory; with `sign` it can be written to, without it only read. One writer a time."""

    def __init__(
        self, directory: Path, origin: str, public_key: bytes, sign: Callable[[bytes], bytes] | None = None
    ) -> None:
        """Open; for writing, recompute the tree and raise LogDamaged where it is not what was signed.

        `public_key` is the raw Ed25519 key, 32 bytes; `origin` the name the log was created with.
        """
        self._entries = directory / ENTRIES
        self._checkpoint = directory / CHECKPOINT
        self._origin = origin
        self._public_key = public_key
        self._sign = sign
        self._lines = LogLines(self._entries)
        self._kept_promise: SignedCheckpoint | None = None
        """The checkpoint that the lines were last held against."""
        self._tree = CompactRange()
        self._end = 0
        self._known: set[bytes] = set()
        self._recovered: tuple[Event, ...] = ()
        if sign is not None:
            self._open_for_writing()

    def append(self, events: Sequence[Event]) -> int:
        """See ports.AuditLog. Where the disk refuses, the log is as it was before."""
        if self._sign is None:
            raise LogDamaged("the audit log was opened for reading only", hint="Open it with the log's key")
        tree = self._tree.copy()
        lines, added = [], set()
        for event in events:
            name = event.event_id.encode()
            if name in self._known or name in added:
                continue
            line = _line(tree.size, event)
            tree.append(leaf_hash(line))
            lines.append(line + b"\n")
            added.add(name)
        if not lines:
            return tree.size
        data = b"".join(lines)
        note = sign_checkpoint(
            Checkpoint(origin=self._origin, size=tree.size, root=tree.root()), self._public_key, self._sign
        )
        try:
            self._write_lines(data)
            durable.replace_file(self._checkpoint, note)
        except BaseException:
            if self._signed().checkpoint.size != tree.size:
                os.truncate(self._entries, self._end)
            raise
        self._tree = tree
        self._end += len(data)
        self._known |= added
        return tree.size

    def entries(self, start: int = 0) -> Iterator[LogEntry]:
        """See ports.AuditLog; only entries that the checkpoint covers, so a running writer does not disturb."""
        size = self.size()
        with storage_errors("reading", self._entries), self._entries.open("rb") as lines:
            for index in range(size):
                line = lines.readline()
                if index < start:
                    continue
                event, problem = _read_line(line, index)
                if event is None:
                    raise LogDamaged(f"entry {index} of the audit log {problem[1]}", hint="Run `log verify`")
                yield LogEntry(index=index, event=event)

    def size(self) -> int:
        """See ports.AuditLog; the signature is checked."""
        return self._signed().checkpoint.size

    def signed(self) -> SignedCheckpoint:
        """The checkpoint, when it is this log's and authentic; raise LogDamaged otherwise."""
        return self._signed()

    def checkpoint(self) -> bytes:
        """See ports.AuditLog."""
        return render(self._signed())

    def verifier_key(self) -> str:
        """See ports.AuditLog."""
        return verifier_key(self._origin, self._public_key)

    def find(self, refs: Collection[str]) -> Iterator[LogLine]:
        """See ports.AuditLog."""
        for index, data in lines_about(self._entries, refs, self.size()):
            event, problem = _read_line(data + b"\n", index)
            if event is None:
                raise LogDamaged(f"entry {index} of the audit log {problem[1]}", hint="Run `log verify`")
            if event.ref != MANY or not event.digests.keys().isdisjoint(refs):
                yield LogLine(index=index, event=event, data=data)

    def prove(self, index: int) -> bytes:
        """See ports.AuditLog; the proof is verified before it is handed out."""
        note = self._promised()
        path = self._lines.tree.inclusion_proof(index, note.checkpoint.size)
        entry = self._lines.lines(index, index + 1)[0]
        proof = LogProof(index=index, path=path, checkpoint=render(note), entry=entry)
        problem = proof_problem(proof, entry)
        if problem:
            raise SelfCheckFailed(f"the proof of entry {index} does not verify: {problem}", hint="Run `log verify`")
        return render_proof(proof)

    def consistency(self, old: bytes, new: bytes | None = None) -> Consistency:
        """See ports.AuditLog. Steps: 1 both checkpoints, 2 the lines, 3 the order, 4 the proof (RFC 9162 §2.1.4)."""
        findings: list[Finding] = []
        try:
            present = self._promised()
        except LogDamaged as exc:
            return Consistency(earlier=0, later=0, proof=b"", findings=(_finding("LOG_UNREADABLE", ENTRIES, f"{exc}"),))
        # 1. Both checkpoints
        earlier = self._given(old, "the old checkpoint", findings)
        later = present if new is None else self._given(new, "the new checkpoint", findings)
        if earlier is None or later is None:
            return Consistency(earlier=0, later=0, proof=b"", findings=tuple(findings))
        first, last = earlier.checkpoint, later.checkpoint
        # 2. The lines
        size = present.checkpoint.size
        for name, promised in (("old", first), ("new", last)):
            if promised.size > size:
                findings.append(
                    _finding(
                        "LOG_SHORTENED",
                        f"the {name} checkpoint",
                        f"It covers {promised.size} entries and the log has {size}: entries were taken away since, or "
                        "this is an older copy of the log.",
                        "RFC 6962 §2.1.2",
                    )
                )
            elif self._root_at(promised.size) != promised.root:
                findings.append(
                    _finding(
                        "LOG_REWRITTEN",
                        f"the {name} checkpoint",
                        f"The first {promised.size} entries of the log are not those that it was signed over: one of "
                        "them was changed, put in or taken out, and the log signed again.",
                        "RFC 6962 §2.1.2",
                    )
                )
        # 3. The order
        if first.size > last.size:
            message = f"It covers {first.size} entries and the new one {last.size}: give the older one first."
            findings.append(_finding("LOG_CHECKPOINTS_SWAPPED", "the old checkpoint", message))
        # 4. The proof
        proof = b""
        if not findings:
            path = self._lines.tree.consistency_proof(first.size, last.size) if first.size else ()
            if first.size and not verify_consistency(first.size, last.size, first.root, last.root, path):
                raise SelfCheckFailed("the consistency proof does not verify", hint="Please report this")
            proof = render_consistency(first.size, path, render(later))
        return Consistency(earlier=first.size, later=last.size, proof=proof, findings=tuple(findings))

    def export(self, to: Path) -> LogExport:
        """See ports.AuditLog."""
        note = self._promised()
        return export_tiles(self._lines, note, self.verifier_key(), to)

    def _given(self, data: bytes, name: str, findings: list[Finding]) -> SignedCheckpoint | None:
        """A checkpoint that was handed in, when it is one of this log's; else it is a finding."""
        try:
            note = parse(data)
        except CheckpointMalformed as exc:
            findings.append(
                _finding("LOG_CHECKPOINT_MALFORMED", name, f"It is no checkpoint: {exc}.", "C2SP tlog-checkpoint")
            )
            return None
        problems = list(self._verify_signature(note, name))
        findings += problems
        return None if problems else note

    def _promised(self) -> SignedCheckpoint:
        """The checkpoint, with its lines read; raise LogDamaged where they are not those that were signed."""
        note = self._signed()
        if note == self._kept_promise:
            return note
        self._lines.read_to(note.checkpoint.size)
        if self._root_at(note.checkpoint.size) != note.checkpoint.root:
            _damaged("its entries are not those that were signed")
        self._kept_promise = note
        return note

    def _root_at(self, size: int) -> bytes:
        return self._lines.tree.range_root(0, size) if size else EMPTY_ROOT

    def recovered(self) -> tuple[Event, ...]:
        """Events that a crash had left beyond the checkpoint: cut off at opening, for the caller to append again."""
        return self._recovered

    def verify(self) -> Iterator[Finding]:
        """See ports.AuditLog. Steps: 1 checkpoint, 2 its signature, 3 every line, 4 their number, 5 the tree hash."""
        for _ in range(5):
            before = _bytes(self._checkpoint)
            findings = list(self._verify(before))
            if _bytes(self._checkpoint) == before:
                break
        yield from findings

    def _verify(self, data: bytes | None) -> Iterator[Finding]:
        # 1. Checkpoint (C2SP tlog-checkpoint)
        note: SignedCheckpoint | None = None
        if data is None:
            yield _finding("LOG_CHECKPOINT_MISSING", CHECKPOINT, "The signed checkpoint is missing or cannot be read.")
        else:
            try:
                note = parse(data)
            except CheckpointMalformed as exc:
                yield _finding(
                    "LOG_CHECKPOINT_MALFORMED", CHECKPOINT, f"It is no checkpoint: {exc}.", "C2SP tlog-checkpoint"
                )
        # 2. Signature (C2SP signed-note)
        if note is not None:
            yield from self._verify_signature(note)
        # 3. Every line (RFC 8785)
        tree, covered = CompactRange(), CompactRange()
        size = note.checkpoint.size if note else None
        seen: set[str] = set()
        try:
            with self._entries.open("rb") as lines:
                for index, line in enumerate(lines):
                    if index == size:
                        covered = tree.copy()
                    if size is not None and index >= size:
                        tree.size += 1  # counted only: what is not promised is not judged
                        continue
                    event, problem = _read_line(line, index)
                    if event is None:
                        yield _finding(problem[0], f"entry {index}", f"The line {problem[1]}.", problem[2])
                    elif event.event_id in seen:
                        yield _finding("LOG_EVENT_REPEATED", f"entry {index}", "Its event_id stands there already.")
                    else:
                        seen.add(event.event_id)
                    tree.append(leaf_hash(line.removesuffix(b"\n")))
        except OSError as exc:
            message = f"The entries are missing or cannot be read: {exc.strerror}."
            yield _finding("LOG_ENTRIES_MISSING", ENTRIES, message)
            return
        if note is None or size is None:
            return
        # 4. Number
        if tree.size < size:
            message = f"The checkpoint covers {size} entries, only {tree.size} are there."
            yield _finding("LOG_TRUNCATED", ENTRIES, message, "RFC 6962 §2.1")
            return
        if tree.size > size:
            yield _finding(
                "LOG_BEYOND_CHECKPOINT",
                ENTRIES,
                f"{tree.size - size} lines follow the {size} that the checkpoint covers: left by a crash (the next "
                "command that writes puts it right), being written now, or added by someone without the key.",
            )
        # 5. Tree hash (RFC 6962 §2.1)
        root = covered.root() if tree.size > size else tree.root()
        if root != note.checkpoint.root:
            message = "The entries are not those that were signed: compare them with a copy of the log."
            yield _finding("LOG_ROOT_MISMATCH", ENTRIES, message, "RFC 6962 §2.1")

    def _verify_signature(self, note: SignedCheckpoint, subject: str = CHECKPOINT) -> Iterator[Finding]:
        if note.checkpoint.origin != self._origin:
            message = f"It belongs to the log {note.checkpoint.origin!r}, not {self._origin!r}."
            yield _finding("LOG_ORIGIN_WRONG", subject, message, "C2SP tlog-checkpoint")
        elif note.key_id != key_id(self._origin, self._public_key) or not self._authentic(note):
            message = "The log's key did not sign this checkpoint."
            yield _finding("LOG_SIGNATURE_INVALID", subject, message, "C2SP signed-note")

    def _authentic(self, note: SignedCheckpoint) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(self._public_key).verify(note.signature, note.checkpoint.text())
        except InvalidSignature:
            return False
        return True

    def _signed(self) -> SignedCheckpoint:
        data = _bytes(self._checkpoint)
        if data is None:
            _damaged("its checkpoint is missing or cannot be read")
        try:
            note = parse(data)
        except CheckpointMalformed as exc:
            _damaged(f"its checkpoint is malformed: {exc}")
        for finding in self._verify_signature(note):
            _damaged(f"checkpoint: {finding.message}")
        return note

    def _open_for_writing(self) -> None:
        note = self._signed()
        size = note.checkpoint.size
        beyond = []
        with storage_errors("reading", self._entries), self._entries.open("rb") as lines:
            append, known, mark = self._tree.append, self._known, len(_EVENT_ID)
            for line in lines:
                if self._tree.size == size:
                    beyond.append(line)
                    continue
                if not line.endswith(b"\n"):
                    break
                append(leaf_hash(line[:-1]))
                self._end += len(line)
                # The last one: quotes inside of texts are escaped, and what follows the member are texts.
                start = line.rfind(_EVENT_ID) + mark
                known.add(line[start : line.find(b'"', start)])
        if self._tree.size < size:
            _damaged(f"its checkpoint covers {size} entries, only {self._tree.size} are there")
        if self._tree.root() != note.checkpoint.root:
            _damaged("its entries are not those that were signed")
        if beyond:
            read = [_read_line(line, size + position)[0] for position, line in enumerate(beyond)]
            self._recovered = tuple(event for event in read if event is not None)
            with storage_errors("truncating", self._entries), self._entries.open("r+b") as file:
                file.truncate(self._end)
                os.fsync(file.fileno())
        with storage_errors("cleaning", self._checkpoint.parent):
            for stale in self._checkpoint.parent.glob(f".{CHECKPOINT}.*.tmp"):
                stale.unlink(missing_ok=True)

    def _write_lines(self, data: bytes) -> None:
        with storage_errors("writing", self._entries):
            descriptor = os.open(self._entries, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                position = self._end
                for start in range(0, len(data), _WRITE_BYTES):
                    part = data[start : start + _WRITE_BYTES]
                    while part:
                        count = os.pwrite(descriptor, part, position)
                        part, position = part[count:], position + count
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _line(index: int, event: Event) -> bytes:
    """The bytes of an entry, without the line end: RFC 8785, index below 2**53."""
    try:
        if all(name.isascii() for name in event.digests):
            # Texts, ASCII names and one integer: here json.dumps writes RFC 8785, an order of magnitude faster.
            plain = {"event": {**vars(event), "digests": dict(event.digests)}, "index": index}
            return _FAST.encode(plain).encode()
        return canonical_bytes({"event": event, "index": index})
    except ValueError as exc:
        raise StorageFailed(f"the event {event.event_id!r} holds text that is not Unicode") from exc


def _read_line(line: bytes, index: int) -> tuple[Event | None, tuple[str, str, str]]:
    """The event of a line, or (code, what is wrong, clause)."""
    if not line.endswith(b"\n"):
        return None, ("LOG_LINE_MALFORMED", "has no end", "")
    body = line[:-1]
    try:
        plain: Any = json.loads(body)
    except (ValueError, RecursionError):
        return None, ("LOG_LINE_MALFORMED", "is not JSON", "RFC 8259")
    if not isinstance(plain, dict) or set(plain) != {"event", "index"}:
        return None, ("LOG_LINE_MALFORMED", "is not an entry", "")
    try:
        event = _event(plain["event"])
    except Malformed as exc:
        return None, ("LOG_LINE_MALFORMED", f"is not an event: {exc}", "PREMIS 3 event")
    if type(plain["index"]) is not int or plain["index"] != index:
        return None, ("LOG_INDEX_WRONG", f"says it is entry {plain['index']!r}", "")
    if not _is_canonical(plain, body):
        return None, ("LOG_NOT_CANONICAL", "is not in canonical form", "RFC 8785")
    return event, ("", "", "")


def _event(plain: Any) -> Event:
    """As from_plain does it, without its cost where everything is as we write it; raise Malformed."""
    if isinstance(plain, dict) and plain.keys() == _EVENT_MEMBERS and isinstance(plain["digests"], dict):
        texts = {name: value for name, value in plain.items() if name != "digests"}
        digests = plain["digests"]
        if all(type(text) is str for text in (*texts.values(), *digests.values())):
            return Event(**texts, digests=MappingProxyType(digests))
    return from_plain(Event, plain)


def _is_canonical(plain: object, body: bytes) -> bool:
    # The fast encoder writes the same bytes for nearly everything; the library decides the rest.
    try:
        return _FAST.encode(plain).encode() == body or canonical_bytes(plain) == body
    except (ValueError, TypeError):
        return False


def _bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _damaged(what: str) -> NoReturn:
    raise LogDamaged(f"the audit log is damaged: {what}", hint="Run `log verify`; restore audit/ from a copy")


def _finding(code: str, what: str, message: str, clause: str = "") -> Finding:
    severity = Severity.WARNING if code == "LOG_BEYOND_CHECKPOINT" else Severity.ERROR
    subject = what if what.startswith("the ") else f"audit/{what}"
    return Finding(code=code, severity=severity, subject=subject, message=message, clause=clause)
