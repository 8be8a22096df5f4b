"""The log as static files that any web server can publish: C2SP tlog-tiles, of height 8.

A tile never changes: an export into the folder of an earlier one adds what is new, replaces the partial tiles at the
right edge, and writes the checkpoint last. Whatever is written is read again and checked with nothing but the folder.
"""

from __future__ import annotations

import base64
import binascii
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from archive_restore.adapters import durable
from archive_restore.adapters.durable import storage_errors
from archive_restore.adapters.log_lines import LogLines
from archive_restore.core.checkpoint import CheckpointMalformed, SignedCheckpoint, key_id, parse, render
from archive_restore.core.merkle import BLOCK, EMPTY_ROOT, HASH_SIZE, CompactRange, leaf_hash, tree_root
from archive_restore.errors import SelfCheckFailed, StorageConflict
from archive_restore.ports import LogExport
from archive_restore.records.findings import Finding, Severity

CHECKPOINT, VERIFIER_KEY, TILES = "checkpoint", "vkey", "tile"
LONGEST_ENTRY = 0xFFFF
"""Bytes of an entry that a bundle can hold: its length is a uint16 (tlog-tiles §Log entries)."""


def tile_path(kind: str, number: int, width: int = BLOCK) -> str:
    """Path of a tile or bundle below the folder (tlog-tiles §Merkle Tree); `kind`: the level, `entries` or `lines`."""
    digits = f"{number:03}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    parts = [digits[i : i + 3] for i in range(0, len(digits), 3)]
    place = "/".join([TILES, kind, *(f"x{part}" for part in parts[:-1]), parts[-1]])
    return place if width == BLOCK else f"{place}.p/{width}"


def export_tiles(lines: LogLines, note: SignedCheckpoint, verifier_key: str, to: Path) -> LogExport:
    """Write the tree of a checkpoint whose lines were read; see ports.AuditLog.export.

    Steps: 1 the folder, 2 tiles and bundles, 3 the checkpoint, 4 partial tiles of before, 5 all of it read again.
    """
    size = note.checkpoint.size
    # 1. The folder
    written: list[Path] = []
    if _open(lines, size, f"{verifier_key}\n".encode(), to):
        written.append(to / VERIFIER_KEY)
    # 2. Tiles and bundles
    expected: set[str] = set()
    findings: list[Finding] = []
    for place, data in _files(lines, size, findings):
        expected.add(place)
        if _keep(to / place, data):
            written.append(to / place)
    if not durable.sync_file_system(to):
        durable.sync_paths([*written, *dict.fromkeys(path.parent for path in written)])
    # 3. The checkpoint
    if not (to / CHECKPOINT).is_file() or (to / CHECKPOINT).read_bytes() != render(note):
        durable.replace_file(to / CHECKPOINT, render(note))
        written.append(to / CHECKPOINT)
    # 4. Partial tiles of before
    _clear(to, expected)
    # 5. All of it read again
    _check(to, findings)
    return LogExport(size=size, written=len(written), files=len(expected) + 2, findings=tuple(findings))


def _open(lines: LogLines, size: int, key: bytes, to: Path) -> bool:
    """Make sure that the folder is empty or an earlier export of this log; say whether it begins now."""
    with storage_errors("writing", to):
        if to.exists() and not to.is_dir():
            raise StorageConflict(f"{str(to)!r} is not a folder", hint="Choose another one")
        to.mkdir(parents=True, exist_ok=True)
        names = {path.name for path in to.iterdir() if not (path.name.startswith(".") and path.name.endswith(".tmp"))}
        if any((to / name).is_symlink() for name in (CHECKPOINT, VERIFIER_KEY, TILES)):
            raise StorageConflict(f"{str(to)!r} holds links", hint="Choose a new folder")
        if not names:
            durable.replace_file(to / VERIFIER_KEY, key)
            return True
        if VERIFIER_KEY not in names or (to / VERIFIER_KEY).read_bytes() != key:
            raise StorageConflict(
                f"{str(to)!r} is not empty and no export of this log",
                hint="Choose a new folder: nothing is overwritten",
            )
        earlier = (to / CHECKPOINT).read_bytes() if CHECKPOINT in names else None
    if earlier is None:
        return False
    try:
        promised = parse(earlier).checkpoint
    except CheckpointMalformed as exc:
        raise StorageConflict(f"the checkpoint in {str(to)!r} is damaged: {exc}", hint="Choose a new folder") from exc
    if promised.size > size or (lines.tree.range_root(0, promised.size) if promised.size else EMPTY_ROOT) != (
        promised.root
    ):
        raise StorageConflict(
            f"{str(to)!r} holds another history of this log",
            hint="Keep both: `log consistency` with its checkpoint says what differs",
        )
    return False


def _files(lines: LogLines, size: int, findings: list[Finding]) -> Iterator[tuple[str, bytes]]:
    """(path, bytes) of every tile and bundle."""
    for number in range(-(-size // BLOCK)):
        start, end = number * BLOCK, min((number + 1) * BLOCK, size)
        entries = lines.lines(start, end)
        long = [start + at for at, entry in enumerate(entries) if len(entry) > LONGEST_ENTRY]
        if long:
            place = tile_path("lines", number, end - start)
            findings += [_too_long(index, len(entries[index - start]), place) for index in long]
            yield place, b"".join(entry + b"\n" for entry in entries)
        else:
            bundle = b"".join(struct.pack(">H", len(entry)) + entry for entry in entries)
            yield tile_path("entries", number, end - start), bundle
        yield tile_path("0", number, end - start), b"".join(map(leaf_hash, entries))
    level, span = 1, BLOCK
    while size // span:
        count = size // span
        for number in range(-(-count // BLOCK)):
            inside = range(number * BLOCK, min((number + 1) * BLOCK, count))
            hashes = [lines.tree.range_root(at * span, (at + 1) * span) for at in inside]
            yield tile_path(str(level), number, len(hashes)), b"".join(hashes)
        level, span = level + 1, span * BLOCK


def _too_long(index: int, size: int, place: str) -> Finding:
    return Finding(
        code="LOG_ENTRY_TOO_LONG",
        severity=Severity.WARNING,
        subject=f"entry {index}",
        message=f"It has {size} bytes and a bundle of tlog-tiles holds {LONGEST_ENTRY} at most: the entries of its "
        f"block lie in {place} instead, as plain lines. Their hashes are in the tiles like all others.",
        clause="C2SP tlog-tiles §Log entries",
    )


def _keep(path: Path, data: bytes) -> bool:
    """Write a file that is not there; say whether it was written, and raise StorageConflict where another one is."""
    with storage_errors("writing", path):
        if path.is_file():
            if path.read_bytes() == data:
                return False
            raise StorageConflict(
                f"{str(path)!r} was changed since it was exported",
                hint="Compare it with a copy, or choose a new folder",
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.tmp")
        partial.write_bytes(data)
        partial.rename(path)
    return True


def _clear(to: Path, expected: set[str]) -> None:
    """Remove partial tiles that are complete now or belonged to an unfinished export, and what a crash left."""
    with storage_errors("cleaning", to):
        for stale in (to / TILES).rglob(".*.tmp"):
            stale.unlink()
        for folder in sorted((to / TILES).rglob("*.p")):
            for path in folder.iterdir():
                if path.relative_to(to).as_posix() not in expected and path.name.isdigit():
                    path.unlink()
            if not any(folder.iterdir()):
                folder.rmdir()
        for path in (to / TILES).rglob("lines"):
            if not any(inner.is_file() for inner in path.rglob("*")):
                shutil.rmtree(path)


# --- as a stranger reads it --------------------------------------------------------------------------


def _check(to: Path, findings: list[Finding]) -> None:
    """Raise SelfCheckFailed where the folder, by itself, does not prove its entries."""
    with storage_errors("reading", to):
        problem = tiles_problem(to)
    if problem:
        raise SelfCheckFailed(f"the export in {str(to)!r} does not verify: {problem}", hint="Check the disk")


def tiles_problem(to: Path) -> str:
    """Say why a folder is no whole tlog-tiles log; empty if it is. Raise OSError where a file is missing.

    Steps: 1 key, 2 checkpoint and its signature, 3 entries against the tiles of level 0, 4 tiles against those above
    them, 5 the tree hash.
    """
    # 1. Key (signed-note §Format)
    name, _, rest = (to / VERIFIER_KEY).read_text(encoding="utf-8").rstrip("\n").partition("+")
    try:
        key = base64.b64decode(rest.partition("+")[2], validate=True)[1:]
        note = parse((to / CHECKPOINT).read_bytes())
        # 2. Checkpoint and its signature
        Ed25519PublicKey.from_public_bytes(key).verify(note.signature, note.checkpoint.text())
    except (binascii.Error, ValueError, InvalidSignature):
        return "the key did not sign the checkpoint"
    if note.checkpoint.origin != name or note.key_id != key_id(name, key):
        return "the key is not the one that the checkpoint names"
    # 3. Entries against the tiles of level 0
    size, whole, above = note.checkpoint.size, CompactRange(), list[bytes]()
    for number in range(-(-size // BLOCK)):
        width = min(BLOCK, size - number * BLOCK)
        hashes = [leaf_hash(entry) for entry in _entries(to, number, width)]
        if len(hashes) != width or _tile(to, 0, number, width) != hashes:
            return f"the entries from {number * BLOCK} on are not those of their tile"
        for leaf in hashes:
            whole.append(leaf)
        if width == BLOCK:
            above.append(tree_root(hashes))
    # 4. Tiles against those above them
    level = 1
    while above:
        below, above = above, []
        for number in range(-(-len(below) // BLOCK)):
            hashes = below[number * BLOCK : (number + 1) * BLOCK]
            if _tile(to, level, number, len(hashes)) != hashes:
                return f"tile {number} of level {level} does not follow from those below"
            if len(hashes) == BLOCK:
                above.append(tree_root(hashes))
        level += 1
    # 5. The tree hash
    return "" if whole.root() == note.checkpoint.root else "the entries do not give the signed tree hash"


def _tile(to: Path, level: int, number: int, width: int) -> list[bytes]:
    data = (to / tile_path(str(level), number, width)).read_bytes()
    return [data[at : at + HASH_SIZE] for at in range(0, len(data), HASH_SIZE)]


def _entries(to: Path, number: int, width: int) -> Iterator[bytes]:
    plain = to / tile_path("lines", number, width)
    if plain.is_file():
        yield from plain.read_bytes().removesuffix(b"\n").split(b"\n")
        return
    data, at = (to / tile_path("entries", number, width)).read_bytes(), 0
    while at + 2 <= len(data):
        (length,) = struct.unpack_from(">H", data, at)
        yield data[at + 2 : at + 2 + length]
        at += 2 + length
