"""Bytes that reach the disk: copy and hash in one pass, re-read and compare, fsync, rename.

Every OSError becomes one line that says what to do: StorageFailed for the archive's own disk,
SourceUnreadable for a file that was handed in. Never writes through a link, never over a file
that is there. Follows the POSIX rule that a new name is durable once its directory has been synced too.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from archive_restore.errors import SelfCheckFailed, SourceUnreadable, StorageFailed
from archive_restore.ports import Digests

BLOCK = 1 << 20
"""Bytes a read: handing a block to the hashing threads costs nothing, and three of them stay in the cache."""
SMALL = 4 << 20
"""Up to this many bytes a file is hashed where it stands; beyond, threads pay."""
PIECE = 128 << 10
"""Bytes a write. Larger ones make Linux look for large pages for its cache, which costs six times more (measured)."""
SEVERAL = 32
"""From this many files on, threads of their own pay; a large file is hashed by several in any case."""
MANY = 64
"""From this many files on, one flush of the file system is cheaper than an fsync for each."""
FLUSH = 64 << 20
"""Bytes after which the disk is sent to work on a large file."""
READ_ONLY = 0o444
"""Mode of stored content: it is never written again (promise P1)."""
WRITABLE = 0o644
"""Mode of files that leave the archive: they belong to whoever gets them."""

ItemT = TypeVar("ItemT")
MadeT = TypeVar("MadeT")

_HINTS = {
    errno.ENOSPC: "Free some space and run the command again; what is stored is untouched",
    errno.EDQUOT: "Raise the disk quota and run the command again; what is stored is untouched",
    errno.EROFS: "Mount the file system writable and run the command again",
    errno.EACCES: "Check who owns the directory and its permissions",
    errno.EPERM: "Check who owns the directory and its permissions",
    errno.EIO: "The disk reports an error: check it, and run `archive-restore verify --all` afterwards",
    errno.ENAMETOOLONG: "Shorten the file name",
    errno.EXDEV: "Keep the whole archive on one file system",
}


@contextmanager
def storage_errors(action: str, path: Path | str) -> Iterator[None]:
    """Turn an OSError inside the block into StorageFailed: `action` reads like `copying`, `path` is its object."""
    try:
        yield
    except OSError as exc:
        reason = exc.strerror or type(exc).__name__
        hint = _HINTS.get(exc.errno or 0, "Check the path and the disk, then run the command again")
        raise StorageFailed(f"{action} {str(path)!r} failed: {reason}", hint=hint) from exc


@contextmanager
def source_errors(source: Path) -> Iterator[None]:
    """Turn an OSError inside the block into SourceUnreadable: one file that was handed in, not the archive's disk."""
    try:
        yield
    except OSError as exc:
        reason = exc.strerror or type(exc).__name__
        raise SourceUnreadable(
            f"reading {str(source)!r} failed: {reason}", hint="Mend or copy the file, then give it again"
        ) from exc


def copy_hashed(
    source: Path, target: Path | str, progress: Callable[[int], None] | None = None, *, mode: int = READ_ONLY
) -> Digests:
    """Copy `source` to the new file `target`, hashing in the same single read; re-read `target` and compare.

    The re-read goes through the page cache: it proves that every byte handed to the kernel is the byte that
    was hashed (bad memory, short writes, our own mistakes). What the medium keeps is proved by fsync now and by
    `verify` on every later day; dropping the cache first would read the whole file from disk while its blocks may
    still sit in the drive's own cache, and prove little more. Files over SMALL are fsynced here, the disk working
    while the processor hashes; smaller ones at the commit, in groups.

    Raise SelfCheckFailed when the copy differs, StorageFailed when the archive's disk refuses, SourceUnreadable when
    `source` cannot be read, is no regular file or changes while it is read.
    """
    with source_errors(source):
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK  # opening a pipe must not wait for its other end
        reader = os.open(source, flags)
    try:
        with source_errors(source):
            before = os.fstat(reader)
        if not stat.S_ISREG(before.st_mode):
            raise SourceUnreadable(f"{str(source)!r} is not a regular file", hint="Give a file, not a device or a pipe")
        with storage_errors("writing", target):
            writer = os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
        try:
            if before.st_size <= SMALL:
                digests = _copy_small(reader, writer, source, target, progress)
            else:
                digests = _copy_large(reader, writer, source, target, progress)
        finally:
            os.close(writer)
        with source_errors(source):
            after = os.fstat(reader)
        if after.st_mtime_ns != before.st_mtime_ns or digests.size != before.st_size:
            raise SourceUnreadable(
                f"{str(source)!r} changed while it was copied", hint="Copy it again when nothing writes to it"
            )
        return digests
    finally:
        os.close(reader)


def write_hashed(target: Path | str, data: bytes, *, mode: int = READ_ONLY) -> Digests:
    """Write a small new file from memory, re-read it and compare; durable at the commit."""
    with storage_errors("writing", target):
        writer = os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
        try:
            _write_all(writer, data)
            same = _read_back(writer, len(data)) == data
        finally:
            os.close(writer)
    if not same:
        raise _differs(target)
    return _digests(data)


def hash_file(path: Path | str, progress: Callable[[int], None] | None = None) -> Digests:
    """Size, sha512 and sha256 of a regular file (never of what a link points to); raise StorageFailed."""
    with storage_errors("reading", path):
        reader = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            found = os.fstat(reader)
            if not stat.S_ISREG(found.st_mode):
                raise StorageFailed(f"{str(path)!r} is not a regular file", hint="Only plain files can be stored")
            if found.st_size <= SMALL:
                data = _read_back(reader, found.st_size + 1)
                if progress:
                    progress(len(data))
                return _digests(data)
            return _hash_blocks(reader, progress)
        finally:
            os.close(reader)


def sync_paths(paths: Iterable[Path | str], *, threads: int = 4) -> None:
    """Fsync files and directories; a few threads let the disk merge its flushes."""
    wanted = list(paths)
    with ThreadPoolExecutor(min(threads, max(1, len(wanted)))) as pool:
        for path, problem in zip(wanted, pool.map(_sync_one, wanted), strict=True):
            if problem is not None:
                with storage_errors("syncing", path):
                    raise problem


def sync_directory(path: Path) -> None:
    """Make the names in one directory durable."""
    with storage_errors("syncing", path):
        problem = _sync_one(path)
        if problem is not None:
            raise problem


def sync_trees(folders: Iterable[Path]) -> None:
    """Make everything below these folders durable; many files in one go where the system can."""
    paths: list[Path | str] = []
    for folder in folders:
        for above, _, names in os.walk(folder):
            paths += [above, *(f"{above}/{name}" for name in names)]
    if len(paths) < MANY or not sync_file_system(Path(paths[0])):
        sync_paths(paths)


def sync_file_system(path: Path) -> bool:
    """Flush the whole file system that holds `path`, in one go; False where that cannot be relied upon.

    Linux reports write errors from syncfs since 5.8; before, and elsewhere, callers must fsync file by file.
    """
    syncfs = _syncfs()
    if syncfs is None:
        return False
    with storage_errors("syncing", path):
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if syncfs(descriptor) != 0:
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number))
        finally:
            os.close(descriptor)
    return True


def replace_file(target: Path, data: bytes, *, scratch: Path | None = None, mode: int = 0o644) -> None:
    """Give `target` new content atomically and durably: temporary file, fsync, rename, fsync of the directory.

    The temporary file lies in `scratch` where a crash must leave nothing beside `target`.
    """
    temporary = (scratch or target.parent) / f".{target.name}.{os.getpid()}.tmp"
    with storage_errors("writing", target):
        temporary.unlink(missing_ok=True)
        writer = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
        try:
            _write_all(writer, data)
            os.fsync(writer)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        finally:
            os.close(writer)
        temporary.rename(target)
    sync_directory(target.parent)


def each(work: Callable[[ItemT], MadeT], items: Sequence[ItemT], threads: int) -> list[MadeT]:
    """What `work` makes of each item, in order; threads where they pay. The first error ends it."""
    if threads < 2 or len(items) < SEVERAL:
        return [work(item) for item in items]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, items))


# --- parts -------------------------------------------------------------------------------------------


def _copy_small(
    reader: int, writer: int, source: Path, target: Path | str, progress: Callable[[int], None] | None
) -> Digests:
    with source_errors(source):
        data = _read_back(reader, SMALL + 1)
    with storage_errors("writing", target):
        _write_all(writer, data)
        same = _read_back(writer, len(data) + 1) == data
    if not same:
        raise _differs(target)
    if progress:
        progress(len(data))
    return _digests(data)


def _copy_large(
    reader: int, writer: int, source: Path, target: Path | str, progress: Callable[[int], None] | None
) -> Digests:
    """Read, write, hash and re-read at the same time, block by block, so that both cores and the disk are busy.

    One thread hashes what was read (sha512); when it is done with a block, another reads that block back from the
    copy, compares, and hashes the copy (sha256): a byte that changed on the way, or in memory, shows.
    """
    long, short = hashlib.sha512(), hashlib.sha256()
    buffers = [bytearray(BLOCK) for _ in range(4)]
    back = bytearray(BLOCK)
    pending: list[Future[bool] | None] = [None] * len(buffers)
    flushing: Future[None] | None = None
    size, turn = 0, 0

    def same_in_the_copy(hashed: Future[None], buffer: bytearray, count: int, position: int) -> bool:
        hashed.result()
        view = memoryview(back)[:count]
        if os.preadv(writer, [view], position) != count:
            return False
        if (back != buffer) if count == BLOCK else (back[:count] != buffer[:count]):
            return False
        short.update(view)
        return True

    def settle(waiting: Future[bool] | None) -> None:
        if waiting is not None:
            with storage_errors("re-reading", target):
                same = waiting.result()
            if not same:
                raise _differs(target)

    with ThreadPoolExecutor(1) as first, ThreadPoolExecutor(1) as second, ThreadPoolExecutor(1) as third:
        while True:
            settle(pending[turn])
            block = memoryview(buffers[turn])
            with source_errors(source):
                count = os.readv(reader, [block])
            if count == 0:
                break
            with storage_errors("writing", target):
                _write_all(writer, block[:count])
                if size // FLUSH != (size + count) // FLUSH and (flushing is None or flushing.done()):
                    if flushing is not None:
                        flushing.result()
                    flushing = third.submit(os.fdatasync, writer)
            hashed = first.submit(long.update, block[:count])
            pending[turn] = second.submit(same_in_the_copy, hashed, buffers[turn], count, size)
            size += count
            turn = (turn + 1) % len(buffers)
            if progress:
                progress(count)
        for waiting in pending:
            settle(waiting)
        with storage_errors("writing", target):
            if flushing is not None:
                flushing.result()
            os.fsync(writer)
    return Digests(size=size, sha512=long.hexdigest(), sha256=short.hexdigest())


def _hash_blocks(reader: int, progress: Callable[[int], None] | None) -> Digests:
    """Read once; two threads hash each block while this one fetches the next."""
    long, short = hashlib.sha512(), hashlib.sha256()
    buffers = [memoryview(bytearray(BLOCK)) for _ in range(3)]
    pending: list[tuple[Future[None], Future[None]] | None] = [None] * len(buffers)
    size, turn = 0, 0
    with ThreadPoolExecutor(1) as first, ThreadPoolExecutor(1) as second:
        while True:
            if (busy := pending[turn]) is not None:
                busy[0].result()
                busy[1].result()
            count = os.readv(reader, [buffers[turn]])
            if count == 0:
                break
            block = buffers[turn][:count]
            pending[turn] = (first.submit(long.update, block), second.submit(short.update, block))
            size += count
            turn = (turn + 1) % len(buffers)
            if progress:
                progress(count)
    return Digests(size=size, sha512=long.hexdigest(), sha256=short.hexdigest())


def _write_all(writer: int, data: bytes | memoryview) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(writer, view[:PIECE]) :]


def _read_back(descriptor: int, most: int) -> bytes:
    """Up to `most` bytes from the start of an open file."""
    parts = []
    position = 0
    while position < most and (part := os.pread(descriptor, most - position, position)):
        parts.append(part)
        position += len(part)
    return b"".join(parts)


def _digests(data: bytes) -> Digests:
    return Digests(size=len(data), sha512=hashlib.sha512(data).hexdigest(), sha256=hashlib.sha256(data).hexdigest())


def _differs(target: Path | str) -> SelfCheckFailed:
    return SelfCheckFailed(
        f"the copy {str(target)!r} differs from what was read",
        hint="Check this machine's memory and disk, then try again",
    )


def _sync_one(path: Path | str) -> OSError | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as exc:
        return exc
    return None


@cache
def _syncfs() -> Any:
    """The C library's syncfs, or None."""
    if not sys.platform.startswith("linux"):
        return None
    release = os.uname().release.split("-")[0].split(".")
    try:
        if (int(release[0]), int(release[1])) < (5, 8):
            return None
        return ctypes.CDLL(None, use_errno=True).syncfs
    except (ValueError, IndexError, OSError, AttributeError):
        return None
