"""Makes an OCFL object in one place what its inventory and the log say, with bytes from another place.

Replicas use it in both directions. A file takes its place only after it was copied beside, hashed and compared with
the digest that the log vouches for; inventories follow contents. Never follows a link, never changes the source.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archive_restore.adapters import durable, ocfl_validate
from archive_restore.adapters import ocfl_layout as layout
from archive_restore.adapters.durable import storage_errors
from archive_restore.errors import ArchiveRestoreError, SourceUnreadable, StorageConflict
from archive_restore.ports import Vouched

DECLARATION = f"{layout.OBJECT_DECLARATION[2:]}\n".encode()
_PUBLISHING = threading.Lock()
"""Held while a new object gets its name: objects of several threads may need the same new tuple directory."""
SCRATCH = "ocfl-"
"""How names of staging directories begin (adapters.workspace clears them)."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Every file that an object must hold, and nothing else."""

    files: Mapping[str, tuple[str, str]]
    """Content path -> (sha512, sha256)."""
    texts: Mapping[str, bytes]
    """Declaration, inventories and sidecars by path."""

    @property
    def head(self) -> bytes:
        """The inventory of the newest version."""
        return self.texts[layout.INVENTORY]


@dataclass(kw_only=True)
class Mirrored:
    """What `mirror` did."""

    written: list[str]
    size: int
    """Bytes of them."""
    displaced: list[str]
    missing: dict[str, str]
    """Content paths that could not be had, and why: `missing`, `rotten`, or words of the system."""
    rotten: list[str]
    """Files in the target that were not what they should be."""
    strays: list[str]
    """What lies in the target and belongs to no version."""


def wanted(object_id: str, places: Sequence[Path], vouched: Vouched) -> Wanted | None:
    """What the object must be: by an inventory, from one of these places, that says exactly what the log says.

    An inventory counts where some sidecar states its digest; of several, the one that most witnesses agree on.
    """
    newest = max(vouched, default=0)
    if sorted(vouched) != list(range(1, newest + 1)) or not newest:
        return None
    head = _inventory(object_id, newest, places, vouched, None)
    if head is None:
        return None
    data, inventory = head
    texts = {layout.OBJECT_DECLARATION: DECLARATION, **_described("", data), **_described(f"v{newest}/", data)}
    for number in range(1, newest):
        found = _inventory(object_id, number, places, vouched, inventory)
        if found is not None:  # a version should hold its inventory, but need not (OCFL 1.1 §3.6)
            texts |= _described(f"v{number}/", found[0])
    short = {path: digest for digest, paths in inventory["fixity"]["sha256"].items() for path in paths}
    files = {path: (digest, short[path]) for digest, paths in inventory["manifest"].items() for path in paths}
    return Wanted(files=files, texts=texts)


def same_head(source: Path, target: Path, vouched: Vouched) -> bool:
    """Whether both hold the same inventory of the newest vouched version, and the target every file it names."""
    try:
        data = (source / layout.INVENTORY).read_bytes()
        inventory = layout.parse_inventory(data)
        if inventory is None or inventory["head"] != f"v{max(vouched, default=0)}":
            return False
        if layout.sidecar_digest(target / layout.SIDECAR) != hashlib.sha512(data).hexdigest():
            return False
        described = [f"{name}/{layout.INVENTORY}" for name in inventory["versions"]]
        contents = [path for paths in inventory["manifest"].values() for path in paths]
        return (
            (target / layout.INVENTORY).read_bytes() == data
            and all((target / path).is_file() or not (source / path).is_file() for path in described)
            and all((target / path).is_file() for path in contents)
        )
    except (OSError, TypeError):
        return False


def unvouched(directory: Path, vouched: Vouched) -> str:
    """The first later version than the log knows that lies there whole, as its digest says; empty where there is none.

    Somebody stored it, and lost or set back the log since: it is not for a repair to take away.
    """
    newest = max(vouched, default=0)
    try:
        later = sorted(int(path.name[1:]) for path in directory.iterdir() if layout.VERSION_NAME.fullmatch(path.name))
    except OSError:
        return ""
    for number in later:
        data = ocfl_validate.plain_bytes(directory / f"v{number}" / layout.INVENTORY)
        if number > newest and data is not None:
            stated = layout.sidecar_digest(directory / f"v{number}" / layout.SIDECAR)
            if stated == hashlib.sha512(data).hexdigest():
                return f"v{number}"
    return ""


def mirror(
    want: Wanted,
    source: Path,
    root: Path,
    relative: Path,
    work: Path,
    *,
    read_all: bool,
    displace: Callable[[Path, str], None] | None,
) -> Mirrored:
    """Bring the object at `root`/`relative` to what is wanted, with what lacks from the object directory `source`.

    With `displace` whatever is in the way or too much is handed to it first, and files are mended one by one;
    without, the object is brought whole or left as it is. `read_all` hashes what is there already. `work` is a
    directory on the file system of `root`. Raise StorageFailed, SelfCheckFailed.
    """
    done = Mirrored(written=[], size=0, displaced=[], missing={}, rotten=[], strays=[])
    with storage_errors("staging in", work):
        base = Path(tempfile.mkdtemp(prefix=SCRATCH, dir=work))
    try:
        _Mirror(want, source, root, relative, base, displace, done).run(read_all)
    finally:
        shutil.rmtree(base, ignore_errors=True)
    return done


class _Mirror:
    def __init__(
        self,
        want: Wanted,
        source: Path,
        root: Path,
        relative: Path,
        base: Path,
        displace: Callable[[Path, str], None] | None,
        done: Mirrored,
    ) -> None:
        self.want, self.source, self.root, self.relative = want, source, root, relative
        self.target = root / relative
        self.base, self.staged = base, base / relative
        self.displace, self.done = displace, done

    def run(self, read_all: bool) -> None:
        """Steps: 1 what is there, 2 good copies beside it, 3 what does not belong, 4 contents, 5 descriptions."""
        # 1. What is there
        _plain_way(self.root, self.relative)
        if self.displace is not None and (self.target.is_symlink() or self.target.is_file()):
            self._away(self.target, "")
        fresh = not os.path.lexists(self.target)
        kinds = {} if fresh else dict(_walk(self.target))
        expected = {*self.want.files, *self.want.texts}
        self.done.strays += sorted(path for path, kind in kinds.items() if _stray(path, kind, expected))
        lacking = [path for path in sorted(self.want.files) if not self._good(path, kinds, read_all)]
        texts = {path: data for path, data in self.want.texts.items() if not self._holds(path, data)}
        if self.displace is None and self.done.strays:
            return
        # 2. Good copies
        for path in lacking:
            self._fetch(path)
        if self.displace is None and self.done.missing:
            self.done.written.clear()
            self.done.size = 0
            return
        ready = [path for path in lacking if path not in self.done.missing]
        if fresh:
            if ready or not lacking:  # half of an object is more than none
                self._publish(texts)
            return
        durable.sync_paths(self.staged / path for path in ready)
        # 3. What does not belong
        if self.displace is not None:
            for path in self.done.strays:
                self._away(self.target / path, path)
        # 4. Contents
        touched = self._place(ready, texts)
        durable.sync_paths(touched)
        # 5. Descriptions: of versions first, the root's inventory and then its digest last
        if self.done.missing and self._older():
            texts = {path: data for path, data in texts.items() if "/" in path}
        for path in sorted(texts, key=lambda path: ("/" not in path, path == layout.SIDECAR, path)):
            if (self.target / path).parent.is_dir():  # else the version could not be had
                self._describe(path, texts[path])

    def _older(self) -> bool:
        """Whether the object is whole as it was some versions ago: better than a newer one that is not."""
        data = ocfl_validate.plain_bytes(self.target / layout.INVENTORY)
        return data is not None and data != self.want.head and data in self.want.texts.values()

    def _good(self, path: str, kinds: Mapping[str, str], read_all: bool) -> bool:
        if kinds.get(path) != "file":
            return False
        if not read_all:
            return True
        try:
            found = durable.hash_file(self.target / path)
            same = (found.sha512, found.sha256) == self.want.files[path]
        except ArchiveRestoreError:
            same = False
        if not same:
            self.done.rotten.append(path)
        return same

    def _holds(self, path: str, data: bytes) -> bool:
        target = self.target / path
        try:
            same = not target.is_symlink() and target.read_bytes() == data
        except OSError:
            return False
        return same

    def _fetch(self, path: str) -> None:
        """Copy, hash in the same pass, and keep only what has its digests."""
        target = self.staged / path
        with storage_errors("staging in", target.parent):
            target.parent.mkdir(parents=True, exist_ok=True)
        source = self.source / path
        if any(part.is_symlink() for part in (source, *source.parents[: path.count("/")])) or not source.is_file():
            self.done.missing[path] = "missing"
            return
        try:
            found = durable.copy_hashed(source, target)
        except SourceUnreadable as exc:
            target.unlink(missing_ok=True)
            self.done.missing[path] = str(exc)
            return
        if (found.sha512, found.sha256) != self.want.files[path]:
            target.unlink()
            self.done.missing[path] = "rotten"
            return
        self.done.written.append(path)
        self.done.size += found.size

    def _publish(self, texts: Mapping[str, bytes]) -> None:
        """A new object becomes visible by one rename, with those of its tuple directories that are missing."""
        for path, data in texts.items():
            _write(self.staged / path, data)
        durable.sync_paths(_everything(self.base))
        self.done.written += sorted(texts)
        parent = self.root
        with _PUBLISHING, storage_errors("storing", self.target):
            for position, part in enumerate(self.relative.parts):
                inside = parent / part
                if not os.path.lexists(inside):
                    self.base.joinpath(*self.relative.parts[: position + 1]).rename(inside)
                    break
                if inside.is_symlink() or not inside.is_dir():
                    raise StorageConflict(
                        f"{str(inside)!r} is no directory, where objects should be", hint="Move it away"
                    )
                parent = inside
        durable.sync_directory(parent)

    def _place(self, ready: Sequence[str], texts: dict[str, bytes]) -> set[Path]:
        """Whole versions by one rename where they are new, single files otherwise; the changed directories."""
        touched: set[Path] = set()
        new = {path.split("/")[0] for path in ready if not os.path.lexists(self.target / path.split("/")[0])}
        for version in sorted(new, key=layout.version_number):
            if any(path.startswith(f"{version}/") for path in self.done.missing):
                continue
            for path in [path for path in texts if path.startswith(f"{version}/")]:
                _write(self.staged / path, texts.pop(path))
                self.done.written.append(path)
            durable.sync_paths(_everything(self.staged / version))
            with storage_errors("storing", self.target / version):
                (self.staged / version).rename(self.target / version)
            touched.add(self.target)
        for path in ready:
            if (staged := self.staged / path).exists():
                target = self.target / path
                with storage_errors("storing", target):
                    for above in reversed(target.relative_to(self.target).parents[:-1]):
                        if not (self.target / above).is_dir():
                            (self.target / above).mkdir()
                            touched.add((self.target / above).parent)
                    if os.path.lexists(target) and self.displace is not None:
                        self._away(target, path, keep=True)
                    staged.replace(target)
                touched.add(target.parent)
        return touched

    def _describe(self, path: str, data: bytes) -> None:
        target = self.target / path
        with storage_errors("storing", target):
            if os.path.lexists(target) and self.displace is not None:
                self._away(target, path, keep=not target.is_dir() or target.is_symlink())
        durable.replace_file(target, data, scratch=self.base)
        self.done.written.append(path)

    def _away(self, path: Path, name: str, *, keep: bool = False) -> None:
        """Hand what lies here to whoever keeps it; with `keep` its name stays until something better takes it."""
        assert self.displace is not None
        if path.is_dir() and not path.is_symlink():
            for entry in sorted(path.iterdir()):
                self._away(entry, f"{name}/{entry.name}")
            path.rmdir()
            return
        with storage_errors("moving away", path):
            if path.is_symlink() or not path.is_file():
                told = self.base / "link"
                told.write_text(f"{path.readlink() if path.is_symlink() else 'a special file'}\n", "utf-8", "replace")
                self.displace(told, name)
                path.unlink()
            else:
                second = self.base / "displaced"
                second.unlink(missing_ok=True)
                try:
                    second.hardlink_to(path)  # for a moment: the name in the object goes, or is taken over, right now
                except OSError:
                    path.rename(second)
                    keep = True
                self.displace(second, name)
                if not keep:
                    path.unlink()
        self.done.displaced.append(name)


# --- parts -------------------------------------------------------------------------------------------


def _inventory(
    object_id: str, number: int, places: Sequence[Path], vouched: Vouched, head: Mapping[str, Any] | None
) -> tuple[bytes, dict[str, Any]] | None:
    """The inventory of one version that the log, a sidecar and, for an older one, the newest inventory agree with."""
    folders = [folder for place in places for folder in (place, place / f"v{number}")]
    witnesses = Counter(layout.sidecar_digest(folder / layout.SIDECAR) for folder in folders)
    copies: Counter[bytes] = Counter(
        data for folder in folders if (data := ocfl_validate.plain_bytes(folder / layout.INVENTORY)) is not None
    )
    best: tuple[int, bytes, dict[str, Any]] | None = None
    for data, count in copies.items():
        digest = hashlib.sha512(data).hexdigest()
        if not witnesses[digest] or (best is not None and best[0] >= count + witnesses[digest]):
            continue
        inventory = ocfl_validate.sound_inventory(data, object_id)
        if inventory is not None and _agrees(inventory, number, vouched, head):
            best = (count + witnesses[digest], data, inventory)
    return None if best is None else best[1:]


def _agrees(inventory: Mapping[str, Any], number: int, vouched: Vouched, head: Mapping[str, Any] | None) -> bool:
    versions = inventory["versions"]
    if len(versions) != number:
        return False
    for name, version in versions.items():
        state = {file: f"sha512:{digest}" for digest, files in version["state"].items() for file in files}
        if state != dict(vouched[layout.version_number(name)]):
            return False
        if head is not None and head["versions"][name] != version:
            return False
    if head is None:
        return True
    return all(set(paths) <= set(head["manifest"].get(digest, ())) for digest, paths in inventory["manifest"].items())


def _described(prefix: str, data: bytes) -> dict[str, bytes]:
    sidecar = f"{hashlib.sha512(data).hexdigest()}  {layout.INVENTORY}\n".encode()
    return {f"{prefix}{layout.INVENTORY}": data, f"{prefix}{layout.SIDECAR}": sidecar}


def _walk(folder: Path, prefix: str = "") -> Iterator[tuple[str, str]]:
    """(path inside the object, `file`, `folder` or `odd`) for everything there; a link is odd."""
    with storage_errors("reading", folder), os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        path = f"{prefix}{entry.name}"
        if entry.is_dir(follow_symlinks=False):
            yield path, "folder"
            yield from _walk(Path(entry.path), f"{path}/")
        else:
            yield path, "file" if entry.is_file(follow_symlinks=False) else "odd"


def _stray(path: str, kind: str, expected: set[str]) -> bool:
    """Whether nothing of this kind belongs here; of a directory too much, only the directory itself is told."""
    if path.split("/")[0] in ("logs", "extensions"):
        return False  # OCFL 1.1 §3.1: anybody's, and no content
    if kind == "folder":
        own = f"{path}/"
        above = path.rpartition("/")[0]
        return not any(name.startswith(own) for name in expected) and (
            not above or any(name.startswith(f"{above}/") for name in expected)
        )
    if path in expected:
        return kind == "odd"
    above = path.rpartition("/")[0]
    return not above or any(name.startswith(f"{above}/") for name in expected)


def _plain_way(root: Path, relative: Path) -> None:
    """Raise StorageConflict where a link leads from the root to the object: OCFL has none, and it may lead anywhere."""
    for above in relative.parents[:-1]:
        if (root / above).is_symlink():
            raise StorageConflict(f"{str(root / above)!r} is a link", hint="Put the directory itself there")


def _write(path: Path, data: bytes) -> None:
    with storage_errors("writing", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _everything(base: Path) -> Iterator[str]:
    for folder, _, names in os.walk(base):
        yield folder
        for name in names:
            yield f"{folder}/{name}"
