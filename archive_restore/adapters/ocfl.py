"""Writes and reads one OCFL 1.1 storage root (layout 0003, sha512 with sha256 in the fixity block).

A version becomes visible by one rename of a directory that is complete and on disk. Never changes a stored
content file, never stores a link, and never takes in a kind of object that belongs to the other root (P4).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from archive_restore.adapters import durable, ocfl_validate
from archive_restore.adapters import ocfl_layout as layout
from archive_restore.adapters.durable import storage_errors
from archive_restore.core.refs import object_kind
from archive_restore.errors import ReferenceUnknown, SelfCheckFailed, SeparationViolated, StorageConflict, StorageFailed
from archive_restore.ports import Commit, Digests, RecordRef, RefT, Staging, StorageRoot, StoredFile
from archive_restore.records.findings import Finding
from archive_restore.records.objects import MasterRef
from archive_restore.records.preservation import PreservationKind, PreservationRef
from archive_restore.records.stories import StoryKind, StoryRef

GROUP = 8
"""From this many commits on, one flush of the file system is cheaper than an fsync for every file (measured)."""
_STAGED_PREFIX = "ocfl-"


@dataclass(frozen=True, kw_only=True)
class Admission:
    """What a root may hold: checked at run time too, so that neither a cast nor a plugin can mix the roots."""

    root: str
    """Word for messages."""
    refs: tuple[type, ...]
    """Exactly these classes; a subclass is not one of them."""
    kinds: tuple[type, ...]
    """Classes of the kind of derivative; NoneType stands for masters."""

    def holds(self, object_id: str) -> bool:
        """Say whether objects of this name belong in the root."""
        try:
            return type(object_kind(object_id)[1]) in self.kinds
        except ReferenceUnknown:
            return False

    def check(self, object_id: str, ref: object = None) -> None:
        """Raise SeparationViolated where the object, or the reference, belongs elsewhere."""
        if self.holds(object_id) and (ref is None or type(ref) in self.refs):
            return
        raise SeparationViolated(
            f"{object_id!r} does not belong into the {self.root} root", hint="The record and the story are kept apart"
        )


PRESERVATION = Admission(root="preservation", refs=(MasterRef, PreservationRef), kinds=(type(None), PreservationKind))
STORIES = Admission(root="stories", refs=(StoryRef,), kinds=(StoryKind,))


def create_root(path: Path) -> None:
    """Make an empty OCFL 1.1 storage root; raise StorageConflict where something is there already."""
    if path.exists():
        raise StorageConflict(f"{str(path)!r} exists already", hint="Choose another directory")
    with storage_errors("creating", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
        try:
            declare_root(temporary)
            temporary.chmod(0o755)
            durable.sync_paths([temporary, *temporary.rglob("*")])
            temporary.rename(path)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
    durable.sync_directory(path.parent)


def root_texts() -> dict[str, bytes]:
    """The files that describe a storage root, by path below it (OCFL 1.1 §4.1, extension 0003)."""
    described = {"extension": layout.LAYOUT, "description": layout.LAYOUT_DESCRIPTION}
    return {
        layout.ROOT_DECLARATION: f"{layout.ROOT_DECLARATION[2:]}\n".encode(),
        "ocfl_layout.json": f"{json.dumps(described, indent=2)}\n".encode(),
        f"extensions/{layout.LAYOUT}/config.json": f"{json.dumps(layout.LAYOUT_CONFIG, indent=2)}\n".encode(),
    }


def declare_root(directory: Path) -> None:
    """Make an empty directory a storage root; see `root_texts`."""
    with storage_errors("creating", directory):
        (directory / "extensions" / layout.LAYOUT).mkdir(parents=True)
        for name, data in root_texts().items():
            (directory / name).write_bytes(data)


def open_preservation_root(path: Path, work: Path) -> StorageRoot[RecordRef]:
    """The root of masters and preservation derivatives; `work` is its staging area on the same file system."""
    return OcflRoot[MasterRef | PreservationRef](path, work, PRESERVATION)


def open_story_root(path: Path, work: Path) -> StorageRoot[StoryRef]:
    """The root of story derivatives."""
    return OcflRoot[StoryRef](path, work, STORIES)


class OcflStaging(Staging):
    """The files of one version, gathered at the very path they will have inside the object.

    Different stagings may be filled from different threads; one staging belongs to one thread.
    """

    def __init__(self, root: Path, base: Path, object_id: str, version: int) -> None:
        self.root = root
        self.base = base
        """Directory in `work/` that holds nothing but this staging."""
        self.object_id = object_id
        self.object = base / layout.object_path(object_id)
        self.files: dict[str, Digests] = {}
        self._version = version
        self._directory = self.object / f"v{version}" / "content"
        with storage_errors("creating", self._directory):
            for above in reversed(self._directory.parents[: len(self._directory.parts) - len(base.parts) - 1]):
                above.mkdir()
            self._directory.mkdir()

    @property
    def directory(self) -> Path:
        """Content directory of the version being staged."""
        return self._directory

    def copy_in(self, name: str, source: Path, progress: Callable[[int], None] | None = None) -> Digests:
        """See ports.Staging; see durable.copy_hashed for what the re-read proves."""
        return self._keep(name, lambda target: durable.copy_hashed(source, target, progress))

    def write(self, name: str, data: bytes) -> Digests:
        """See ports.Staging."""
        return self._keep(name, lambda target: durable.write_hashed(target, data))

    def adopt(self, name: str) -> Digests:
        """See ports.Staging; the file must be plain, alone under its name (OCFL 1.1 E090), and not change any more."""

        def take(target: str) -> Digests:
            digests = durable.hash_file(target)
            with storage_errors("adopting", target):
                if Path(target).stat().st_nlink != 1:
                    raise StorageFailed(f"{name!r} is a hard link", hint="OCFL forbids links: write a copy")
                Path(target).chmod(durable.READ_ONLY)
            return digests

        return self._keep(name, take, fresh=False)

    def discard(self) -> None:
        """See ports.Staging."""
        try:
            self.base.rmdir()  # all that is left after the commit of a new object
        except OSError:
            shutil.rmtree(self.base, ignore_errors=True)
        self.files.clear()

    def renumber(self, version: int) -> None:
        """Become another version, when one was committed since this staging was opened."""
        if version != self._version:
            old = self.directory.parent
            with storage_errors("renaming", old):
                old.rename(self.object / f"v{version}")
            self._version = version
            self._directory = self.object / f"v{version}" / "content"

    def refuse_leftovers(self) -> None:
        """Raise SelfCheckFailed where `directory` holds anything but the staged files (OCFL 1.1 E023, E024, E090)."""
        prefix = len(str(self._directory)) + 1
        folders = [str(self._directory)]
        while folders:
            folder = folders.pop()
            with storage_errors("reading", folder), os.scandir(folder) as found:
                entries = list(found)
            if not entries:
                raise SelfCheckFailed(f"the staging directory holds the empty directory {folder[prefix:]!r}")
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                elif entry.path[prefix:] not in self.files or entry.is_symlink():
                    raise SelfCheckFailed(f"the staging directory holds {entry.path[prefix:]!r}, which was not staged")

    def _keep(self, name: str, take: Callable[[str], Digests], *, fresh: bool = True) -> Digests:
        problem = layout.path_problem(name)
        if problem:
            raise StorageFailed(f"the name {name!r} {problem}", hint="Give the file another name")
        if name in self.files:
            raise StorageConflict(f"{name!r} is staged already", hint="Give one of the files another name")
        target = f"{self._directory}/{name}"
        if fresh and "/" in name:
            with storage_errors("creating", target):
                Path(target).parent.mkdir(parents=True, exist_ok=True)
        try:
            digests = take(target)
        except BaseException:
            if fresh:
                Path(target).unlink(missing_ok=True)
            raise
        self.files[name] = digests
        return digests


class OcflRoot(StorageRoot[RefT]):
    """One storage root; see ports.StorageRoot."""

    def __init__(self, path: Path, work: Path, admission: Admission) -> None:
        """Open the root at `path`; raise StorageFailed where it is none or `work` lies on another file system."""
        with storage_errors("opening", path):
            work.mkdir(parents=True, exist_ok=True)
            if not (path / layout.ROOT_DECLARATION).is_file():
                raise StorageFailed(
                    f"{str(path)!r} is not an OCFL 1.1 storage root", hint="Check the archive's directory"
                )
            if path.stat().st_dev != work.stat().st_dev:
                raise StorageFailed(f"{str(work)!r} is not on the file system of {str(path)!r}", hint="Move it there")
        self._path = path
        self._work = work
        self._admission = admission

    def stage(self, object_id: str) -> OcflStaging:
        """See ports.StorageRoot; a version that a crash left half-made is finished first."""
        self._admission.check(object_id)
        self.finish(object_id)
        with storage_errors("staging in", self._work):
            base = Path(tempfile.mkdtemp(prefix=_STAGED_PREFIX, dir=self._work))
        return OcflStaging(self._path, base, object_id, self.head(object_id) + 1)

    def commit(self, ref: RefT, staged: Staging, *, created: str, message: str, user: str) -> Path:
        """See ports.StorageRoot."""
        return self.commit_many([Commit(ref=ref, staged=staged, created=created, message=message, user=user)])[0]

    def commit_many(self, commits: Sequence[Commit[RefT]]) -> tuple[Path, ...]:
        """See ports.StorageRoot. Order: check all, write inventories, sync, rename, sync the directories."""
        prepared = self._checked(commits)
        for commit, staging, inventory in prepared:
            _write_inventory(staging, self._next_inventory(commit, staging, inventory))
        if not (len(prepared) >= GROUP and durable.sync_file_system(self._work)):
            durable.sync_paths(path for _, staging, _ in prepared for path in _everything(staging.base))
        touched: set[Path] = set()
        for _, staging, inventory in prepared:
            touched.add(self._publish_object(staging) if inventory is None else self._publish_version(staging))
        if not (len(touched) >= GROUP and durable.sync_file_system(self._path)):
            durable.sync_paths(touched)
        for _, staging, _ in prepared:
            staging.discard()
        return tuple(self._path / layout.object_path(staging.object_id) for _, staging, _ in prepared)

    def files(self, ref: RefT) -> Mapping[str, StoredFile]:
        """See ports.StorageRoot."""
        reference = cast("MasterRef | PreservationRef | StoryRef", ref)
        self._admission.check(reference.object_id, ref)
        directory = self._path / layout.object_path(reference.object_id)
        if not directory.is_dir():
            raise ReferenceUnknown(f"there is no {str(ref)!r} in this archive", hint="`list` shows what is there")
        inventory = layout.read_inventory(directory)
        version = inventory["versions"].get(f"v{reference.version}")
        if version is None:
            raise ReferenceUnknown(f"there is no {str(ref)!r}; the newest is {inventory['head']}")
        return _stored_files(directory, inventory, f"v{reference.version}")

    def head(self, object_id: str) -> int:
        """See ports.StorageRoot."""
        directory = self._path / layout.object_path(object_id)
        return layout.version_number(layout.read_inventory(directory)["head"]) if directory.is_dir() else 0

    def object_ids(self) -> Iterator[str]:
        """See ports.StorageRoot; in order of the hashed paths."""
        return (layout.object_id_of(directory) for directory in layout.walk_objects(self._path))

    def finish(self, object_id: str) -> None:
        """See ports.StorageRoot.

        A new object is one rename, so it is whole or absent. A later version is renamed in complete; from then on
        the crash could only have kept the root inventory or its sidecar from following: they follow now. A version
        whose content does not match its own inventory was not ours to finish: it goes.
        """
        directory = self._path / layout.object_path(object_id)
        if not directory.is_dir():
            return
        inventory = layout.read_inventory(directory)
        head = inventory["head"]
        following = directory / f"v{layout.version_number(head) + 1}"
        if following.exists():
            data = _complete_version(directory, following, inventory)
            if data is None:
                trash = Path(tempfile.mkdtemp(prefix=_STAGED_PREFIX, dir=self._work))
                with storage_errors("removing", following):
                    following.rename(trash / following.name)
                durable.sync_directory(directory)
                shutil.rmtree(trash, ignore_errors=True)
                return
            durable.replace_file(directory / layout.INVENTORY, data, scratch=self._work)
            head = following.name
        stated = layout.sidecar_digest(directory / head / layout.SIDECAR)
        if stated and stated != layout.sidecar_digest(directory / layout.SIDECAR):
            line = f"{stated}  {layout.INVENTORY}\n".encode()
            durable.replace_file(directory / layout.SIDECAR, line, scratch=self._work)

    def validate(
        self, object_ids: Iterable[str] | None = None, *, fixity: bool = True, threads: int = 1
    ) -> Iterator[Finding]:
        """See ports.StorageRoot and ocfl_validate; the root's own structure is checked when `object_ids` is None."""
        return ocfl_validate.validate(
            self._path, self._admission.root, self._admission.holds, object_ids, fixity=fixity, threads=threads
        )

    def _checked(
        self, commits: Sequence[Commit[RefT]]
    ) -> list[tuple[Commit[RefT], OcflStaging, dict[str, Any] | None]]:
        """Refuse what cannot be committed before anything becomes visible."""
        prepared: list[tuple[Commit[RefT], OcflStaging, dict[str, Any] | None]] = []
        seen: set[str] = set()
        for commit in commits:
            ref = cast("MasterRef | PreservationRef | StoryRef", commit.ref)
            staging = commit.staged
            object_id = ref.object_id
            self._admission.check(object_id, ref)
            if not isinstance(staging, OcflStaging) or staging.root != self._path or staging.object_id != object_id:
                raise SeparationViolated(
                    f"files staged for another place cannot become {str(ref)!r}",
                    hint="Stage them in the root of the REF",
                )
            if not staging.files:
                raise StorageFailed(f"nothing is staged for {str(ref)!r}", hint="Stage at least one file")
            staging.refuse_leftovers()
            directory = self._path / layout.object_path(object_id)
            inventory = layout.read_inventory(directory) if directory.is_dir() else None
            head = layout.version_number(inventory["head"]) if inventory else 0
            if ref.version <= head:
                raise StorageConflict(f"{str(ref)!r} is stored already", hint="What is stored is never replaced")
            if ref.version != head + 1 or object_id in seen:
                raise StorageConflict(f"{str(ref)!r} is not the next version", hint=f"The next one is {head + 1}")
            seen.add(object_id)
            staging.renumber(ref.version)
            prepared.append((commit, staging, inventory))
        return prepared

    def _next_inventory(
        self, commit: Commit[RefT], staging: OcflStaging, inventory: dict[str, Any] | None
    ) -> dict[str, Any]:
        """The inventory with one more version (OCFL 1.1 §3.5)."""
        name = staging.directory.parent.name
        made = inventory or {
            "id": staging.object_id,
            "type": layout.INVENTORY_TYPE,
            "digestAlgorithm": "sha512",
            "head": name,
            "manifest": {},
            "versions": {},
            "fixity": {"sha256": {}},
        }
        state: dict[str, list[str]] = {}
        for path, digests in sorted(staging.files.items()):
            content = f"{name}/content/{path}"
            state.setdefault(digests.sha512, []).append(path)
            made["manifest"].setdefault(digests.sha512, []).append(content)
            made["fixity"]["sha256"].setdefault(digests.sha256, []).append(content)
        made["head"] = name
        made["versions"][name] = {
            "created": commit.created,
            "message": commit.message,
            "user": _user(commit.user),
            "state": state,
        }
        return made

    def _publish_object(self, staging: OcflStaging) -> Path:
        """Rename a new object in, with those of its tuple directories that are missing; return the changed directory.

        No tuple directory is ever made in the root by itself: a crash would leave it empty (OCFL 1.1 E073).
        """
        relative = layout.object_path(staging.object_id)
        parent = self._path
        with storage_errors("committing", self._path / relative):
            for position, part in enumerate(relative.parts):
                inside = parent / part
                if not inside.exists():
                    staging.base.joinpath(*relative.parts[: position + 1]).rename(inside)
                    return parent
                parent = inside
        raise StorageConflict(f"{staging.object_id!r} is stored already", hint="What is stored is never replaced")

    def _publish_version(self, staging: OcflStaging) -> Path:
        """Rename a version in, then let inventory and sidecar follow; a crash in between is repaired by `finish`."""
        directory = self._path / layout.object_path(staging.object_id)
        version = staging.directory.parent
        with storage_errors("committing", directory / version.name):
            if (directory / version.name).exists():
                raise StorageConflict(
                    f"{staging.object_id!r} holds a half-made {version.name}",
                    hint="Run the command again: it is finished first",
                )
            version.rename(directory / version.name)
            durable.sync_directory(directory)
            (staging.object / layout.INVENTORY).rename(directory / layout.INVENTORY)
            (staging.object / layout.SIDECAR).rename(directory / layout.SIDECAR)
        return directory


def _write_inventory(staging: OcflStaging, inventory: dict[str, Any]) -> None:
    """Inventory and sidecar, in the version and for the object's root; the declaration for a new object."""
    data = json.dumps(inventory, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    sidecar = f"{hashlib.sha512(data).hexdigest()}  {layout.INVENTORY}\n".encode()
    for directory in (staging.directory.parent, staging.object):
        _write_plain(f"{directory}/{layout.INVENTORY}", data)
        _write_plain(f"{directory}/{layout.SIDECAR}", sidecar)
    if len(inventory["versions"]) == 1:
        _write_plain(f"{staging.object}/{layout.OBJECT_DECLARATION}", f"{layout.OBJECT_DECLARATION[2:]}\n".encode())


def _write_plain(path: str, data: bytes) -> None:
    with storage_errors("writing", path):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        try:
            while data:
                data = data[os.write(descriptor, data) :]
        finally:
            os.close(descriptor)


def _everything(base: Path) -> Iterator[str]:
    """Files and directories below `base`."""
    for folder, _, names in os.walk(base):
        yield folder
        for name in names:
            yield f"{folder}/{name}"


def _user(user: str) -> dict[str, str]:
    """`Name <address>` as OCFL wants it (§3.5.3.1); an e-mail address becomes a mailto: URI."""
    match = re.fullmatch(r"\s*([^<>]*?)\s*<([^<>\s]+)>\s*", user)
    if not match:
        return {"name": user}
    address = match[2]
    return {"name": match[1] or address, "address": address if ":" in address else f"mailto:{address}"}


def _stored_files(directory: Path, inventory: dict[str, Any], version: str) -> dict[str, StoredFile]:
    short = {path: digest for digest, paths in inventory["fixity"]["sha256"].items() for path in paths}
    found: dict[str, StoredFile] = {}
    try:
        for digest, names in inventory["versions"][version]["state"].items():
            contents = inventory["manifest"][digest]
            for name in names:
                own = f"{version}/content/{name}"
                content = own if own in contents else contents[0]
                if layout.path_problem(content):
                    raise StorageFailed(f"{str(directory)!r} names the unsafe path {content!r}", hint="Run `verify`")
                found[name] = StoredFile(name=name, path=directory / content, sha512=digest, sha256=short[content])
    except (KeyError, TypeError, IndexError) as exc:
        raise StorageFailed(f"the inventory of {str(directory)!r} contradicts itself", hint="Run `verify`") from exc
    return dict(sorted(found.items()))


def _complete_version(directory: Path, following: Path, inventory: dict[str, Any]) -> bytes | None:
    """Bytes of the inventory of a renamed-in version when it is whole and continues this object; None otherwise."""
    try:
        data = (following / layout.INVENTORY).read_bytes()
        newer = layout.parse_inventory(data)
        if newer is None or hashlib.sha512(data).hexdigest() != layout.sidecar_digest(following / layout.SIDECAR):
            return None
        if newer["id"] != inventory["id"] or newer["head"] != following.name:
            return None
        if {name: newer["versions"].get(name) for name in inventory["versions"]} != inventory["versions"]:
            return None
        for stored in _stored_files(directory, newer, following.name).values():
            if durable.hash_file(stored.path).sha512 != stored.sha512:
                return None
    except (OSError, KeyError, StorageFailed):
        return None
    return data
