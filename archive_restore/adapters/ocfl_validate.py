"""Checks an OCFL 1.1 storage root and its objects as a stranger would, and names what is wrong with the clause.

Trusts nothing that adapters.ocfl wrote: reads every byte again. Never changes anything, never follows a link.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from archive_restore.adapters import durable
from archive_restore.adapters import ocfl_layout as layout
from archive_restore.core import ocfl_inventory
from archive_restore.errors import StorageFailed
from archive_restore.records.findings import Finding, Severity

SEVERITY_WARNING = frozenset({"OCFL_HARD_LINK", "OCFL_VERSION_INVENTORY_MISSING", "OCFL_ROOT_STRAY"})
_DIGESTS = {"sha512": 128, "sha256": 64}
_CREATED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


def validate(
    root: Path,
    root_word: str,
    holds: Callable[[str], bool],
    object_ids: Iterable[str] | None,
    *,
    fixity: bool,
    threads: int = 1,
) -> Iterator[Finding]:
    """Findings about these objects, or about the root's structure and all objects, in order.

    `root_word` names the root in messages; `holds` says whether an object identifier belongs in it. `threads` files
    over durable.SMALL are hashed at once, ahead of what is told.
    """
    with ThreadPoolExecutor(max(1, threads)) as pool:
        later = pool.submit if fixity else None
        waiting: deque[Finding | Future[list[Finding]]] = deque()
        hashing = 0
        for found in _all(root, root_word, holds, object_ids, later):
            waiting.append(found)
            hashing += isinstance(found, Future)
            while waiting and (hashing > 2 * threads or not isinstance(waiting[0], Future)):
                first = waiting.popleft()
                if isinstance(first, Future):
                    hashing -= 1
                    yield from first.result()
                else:
                    yield first
        for found in waiting:
            if isinstance(found, Future):
                yield from found.result()
            else:
                yield found


_Later = Callable[..., "Future[list[Finding]]"]
"""Has a function called in a thread."""


def _all(
    root: Path, root_word: str, holds: Callable[[str], bool], object_ids: Iterable[str] | None, later: _Later | None
) -> Iterator[Finding | Future[list[Finding]]]:
    if object_ids is None:
        yield from _root(root, root_word)
        yield from _hierarchy(root, root, 0, root_word)
        for directory in _objects(root):
            yield from _object(root, directory, layout.object_id_of(directory), root_word, holds, later)
        return
    for object_id in object_ids:
        directory = root / layout.object_path(object_id)
        if directory.is_dir() and not directory.is_symlink():
            yield from _object(root, directory, object_id, root_word, holds, later)
        else:
            yield _finding("OCFL_OBJECT_MISSING", object_id, f"The {root_word} root holds no such object.", "E063")


def sound_inventory(data: bytes, object_id: str) -> dict[str, Any] | None:
    """An inventory of this object in which nothing is wrong (§3.5); None otherwise."""
    inventory = _strict_json(data)
    if isinstance(inventory, dict) and not any(True for _ in _schema(inventory, object_id)):
        return inventory
    return None


# --- the storage root --------------------------------------------------------------------------------


def _root(root: Path, word: str) -> Iterator[Finding]:
    """Declaration, layout and its configuration (OCFL 1.1 §4.1, extension 0003)."""
    declarations = sorted(name for name in _names(root) if name.startswith("0="))
    if declarations != [layout.ROOT_DECLARATION]:
        yield _finding("OCFL_ROOT_DECLARATION", word, f"The root must declare {layout.ROOT_DECLARATION} alone.", "E069")
    elif plain_bytes(root / layout.ROOT_DECLARATION) != f"{layout.ROOT_DECLARATION[2:]}\n".encode():
        yield _finding("OCFL_ROOT_DECLARATION", word, "The declaration file has the wrong content.", "E069")
    described = _json(root / "ocfl_layout.json")
    if not isinstance(described, dict) or not all(
        isinstance(described.get(k), str) for k in ("extension", "description")
    ):
        yield _finding("OCFL_ROOT_LAYOUT", word, "ocfl_layout.json is missing or does not name a layout.", "E070")
    elif described["extension"] != layout.LAYOUT:
        yield _finding("OCFL_ROOT_LAYOUT", word, f"The layout must be {layout.LAYOUT}.", "E071")
    if _json(root / "extensions" / layout.LAYOUT / "config.json") != dict(layout.LAYOUT_CONFIG):
        yield _finding("OCFL_ROOT_LAYOUT", word, "The layout's config.json is missing or was changed.", "E071")
    extensions = root / "extensions"
    if extensions.is_dir():
        for entry in _entries(extensions):
            if not entry.is_dir(follow_symlinks=False):
                yield _finding(
                    "OCFL_ROOT_STRAY", f"{word}: extensions/{entry.name}", "Only directories belong here.", "E086"
                )


def _hierarchy(root: Path, directory: Path, depth: int, word: str) -> Iterator[Finding]:
    """Everything between the root and the objects: no stray files, links or empty directories (OCFL 1.1 §4.2)."""
    entries = _entries(directory)
    if depth and not entries:
        yield _finding("OCFL_ROOT_EMPTY_DIRECTORY", _below(word, root, directory), "An empty directory.", "E073")
    for entry in entries:
        path = Path(entry.path)
        if entry.is_symlink():
            yield _finding(
                "OCFL_LINK", _below(word, root, path), "OCFL forbids links: put the files themselves here.", "E090"
            )
        elif not entry.is_dir(follow_symlinks=False):
            if depth or entry.name not in (layout.ROOT_DECLARATION, "ocfl_layout.json"):
                code = "OCFL_STRAY_FILE" if depth else "OCFL_ROOT_STRAY"
                yield _finding(code, _below(word, root, path), "A file outside of any object.", "E072")
        elif depth == 0 and entry.name in ("extensions", "logs"):
            continue
        elif depth < layout.TUPLES:
            if _is_object(path) or not re.fullmatch(r"[0-9a-f]{3}", entry.name):
                yield _finding(
                    "OCFL_OBJECT_MISPLACED",
                    _below(word, root, path),
                    "Not where layout 0003 puts objects.",
                    "extension 0003",
                )
            else:
                yield from _hierarchy(root, path, depth + 1, word)
        elif not _entries(path):
            yield _finding("OCFL_ROOT_EMPTY_DIRECTORY", _below(word, root, path), "An empty directory.", "E073")


def _objects(root: Path) -> Iterator[Path]:
    for directory in layout.walk_objects(root):
        if _entries(directory):
            yield directory


# --- one object --------------------------------------------------------------------------------------


def _object(
    root: Path, directory: Path, object_id: str, word: str, holds: Callable[[str], bool], later: _Later | None
) -> Iterator[Finding | Future[list[Finding]]]:
    """Steps: 1 place and kind, 2 declaration, 3 inventory and sidecar, 4 schema, 5 versions, 6 content, 7 fixity."""
    # 1. Place and kind
    if root / layout.object_path(object_id) != directory:
        yield _finding("OCFL_OBJECT_MISPLACED", object_id, f"It lies in {directory.name!r}.", "extension 0003")
    if not holds(object_id):
        yield _finding(
            "OCFL_KIND_FOREIGN", object_id, f"Objects of this kind do not belong into the {word} root.", "P4"
        )
    # 2. Declaration (§3.2)
    declarations = sorted(name for name in _names(directory) if name.startswith("0="))
    if declarations != [layout.OBJECT_DECLARATION]:
        yield _finding(
            "OCFL_OBJECT_DECLARATION", object_id, f"It must declare {layout.OBJECT_DECLARATION} alone.", "E003"
        )
    elif plain_bytes(directory / layout.OBJECT_DECLARATION) != f"{layout.OBJECT_DECLARATION[2:]}\n".encode():
        yield _finding("OCFL_OBJECT_DECLARATION", object_id, "The declaration file has the wrong content.", "E007")
    # 3. Inventory and sidecar (§3.5, §3.7)
    data = plain_bytes(directory / layout.INVENTORY)
    if data is None:
        yield _finding("OCFL_INVENTORY_MISSING", object_id, "The root inventory is missing or cannot be read.", "E063")
        return
    yield from _sidecar(directory / layout.SIDECAR, data, object_id)
    inventory = _strict_json(data)
    problems = list(_schema(inventory, object_id))
    told = {problem.clause for problem in problems}
    problems += [  # what the specification says beyond our own rules
        _finding(fault.code, f"{object_id}: {layout.INVENTORY}", fault.message, fault.clause)
        for fault in ocfl_inventory.faults(inventory)
        if fault.clause.startswith("E") and f"OCFL 1.1 {fault.clause}" not in told
    ]
    yield from problems
    if problems or not isinstance(inventory, dict):
        return
    # 5. Versions
    yield from _object_entries(directory, inventory, object_id)
    for name in inventory["versions"]:
        yield from _version(directory, name, inventory, data, object_id)
    # 6 and 7. Content and fixity
    yield from _content(directory, inventory, object_id, later)


def _sidecar(path: Path, data: bytes, object_id: str) -> Iterator[Finding]:
    """The sidecar states the inventory's digest (§3.7)."""
    subject = f"{object_id}: {path.parent.name + '/' if path.parent.name.startswith('v') else ''}{path.name}"
    if plain_bytes(path) is None:
        yield _finding("OCFL_SIDECAR_MISSING", subject, "The inventory's digest is missing or cannot be read.", "E058")
        return
    stated = layout.sidecar_digest(path)
    if not stated:
        yield _finding("OCFL_SIDECAR_MALFORMED", subject, "It must hold the digest and `inventory.json`.", "E061")
    elif stated != hashlib.sha512(data).hexdigest():
        yield _finding("OCFL_INVENTORY_DIGEST", subject, "The inventory is not the one the digest was made of.", "E060")


def _schema(inventory: object, object_id: str) -> Iterator[Finding]:
    """4. Members, types, digests, paths and their agreement (§3.5)."""

    def broken(message: str, clause: str, code: str = "OCFL_INVENTORY_MALFORMED") -> Finding:
        return _finding(code, f"{object_id}: {layout.INVENTORY}", message, clause)

    if not isinstance(inventory, dict):
        yield broken("It is not a JSON object without repeated members.", "E033")
        return
    if inventory.get("id") != object_id:
        yield broken(f"It says that it is {inventory.get('id')!r}.", "E037", "OCFL_OBJECT_MISPLACED")
    if inventory.get("type") != layout.INVENTORY_TYPE:
        yield broken(f"`type` must be {layout.INVENTORY_TYPE}.", "E038")
    if inventory.get("digestAlgorithm") != "sha512":
        yield broken("`digestAlgorithm` must be sha512 in this archive.", "E025")
    if inventory.get("contentDirectory", "content") != "content":
        yield broken("`contentDirectory` must be content in this archive.", "E017")
    versions, manifest = inventory.get("versions"), inventory.get("manifest")
    if not isinstance(versions, dict) or not versions:
        yield broken("`versions` must be an object with at least v1.", "E044")
        return
    if not isinstance(manifest, dict):
        yield broken("`manifest` must be an object.", "E041")
        return
    expected = [f"v{number + 1}" for number in range(len(versions))]
    if sorted(versions, key=lambda name: (len(name), name)) != expected:
        yield broken("The versions must be v1, v2, … without a gap.", "E010", "OCFL_VERSIONS_BROKEN")
        return
    if inventory.get("head") != expected[-1]:
        yield broken(f"`head` must be {expected[-1]}.", "E040", "OCFL_HEAD_WRONG")
    yield from _digest_block(manifest, 128, "manifest", broken, expected)
    used: set[str] = set()
    for name, version in versions.items():
        yield from _version_block(name, version, manifest, used, broken)
    unused = sorted(set(manifest) - used)
    if unused:
        yield broken(
            f"The manifest lists content that no version uses, {unused[0][:16]}….", "E107", "OCFL_MANIFEST_UNUSED"
        )
    fixity = inventory.get("fixity", {})
    if not isinstance(fixity, dict):
        yield broken("`fixity` must be an object.", "E111")
        return
    known = {path for paths in manifest.values() if isinstance(paths, list) for path in paths if isinstance(path, str)}
    for algorithm, block in fixity.items():
        length = _DIGESTS.get(algorithm)
        if length is None or not isinstance(block, dict):
            yield broken(f"`fixity` has an unknown or malformed block {algorithm!r}.", "E056")
            continue
        yield from _digest_block(block, length, f"fixity.{algorithm}", broken, expected)
        listed = {
            path for paths in block.values() if isinstance(paths, list) for path in paths if isinstance(path, str)
        }
        for path in sorted(listed - known):
            yield broken(f"`fixity` lists {path!r}, which is not in the manifest.", "E057")
    covered = fixity.get("sha256", {})
    covered = {path for paths in covered.values() for path in paths} if isinstance(covered, dict) else set()
    for path in sorted(known - covered):
        yield broken(f"{path!r} has no sha256 in the fixity block.", "§3.5.4", "OCFL_FIXITY_INCOMPLETE")


def _digest_block(
    block: dict[str, Any], length: int, where: str, broken: Callable[..., Finding], versions: list[str]
) -> Iterator[Finding]:
    """Digest → content paths: right digests, safe paths, each once (§3.5.2)."""
    seen: set[str] = set()
    for digest, paths in block.items():
        if not re.fullmatch(f"[0-9a-f]{{{length}}}", digest):
            yield broken(f"`{where}` has the malformed digest {digest[:24]!r}.", "E025")
        if not isinstance(paths, list) or not paths or not all(isinstance(path, str) for path in paths):
            yield broken(f"`{where}` must give a list of paths for each digest.", "E091")
            continue
        for path in paths:
            parts = path.split("/")
            if layout.path_problem(path):
                yield broken(f"`{where}` has the unsafe path {path!r}.", "E099", "OCFL_PATH_UNSAFE")
            elif len(parts) < 3 or parts[0] not in versions or parts[1] != "content":
                yield broken(
                    f"`{where}` has {path!r}, which lies in no version's content.", "E042", "OCFL_CONTENT_PATH"
                )
            if path in seen:
                yield broken(f"`{where}` lists {path!r} twice.", "E101")
            seen.add(path)
    yield from _file_and_directory(seen, where, broken, "E101")


def _version_block(
    name: str, version: object, manifest: dict[str, Any], used: set[str], broken: Callable[..., Finding]
) -> Iterator[Finding]:
    """created, message, user, state (§3.5.3)."""
    if not isinstance(version, dict):
        yield broken(f"{name} must be an object.", "E047")
        return
    if not isinstance(version.get("created"), str) or not _CREATED.fullmatch(version["created"]):
        yield broken(f"`created` of {name} must be a time with a zone.", "E049")
    if "message" in version and not isinstance(version["message"], str):
        yield broken(f"`message` of {name} must be text.", "E094")
    user = version.get("user", {"name": ""})
    if (
        not isinstance(user, dict)
        or not isinstance(user.get("name"), str)
        or not isinstance(user.get("address", ""), str)
    ):
        yield broken(f"`user` of {name} must have a name.", "E054")
    state = version.get("state")
    if not isinstance(state, dict):
        yield broken(f"{name} has no state.", "E050")
        return
    seen: set[str] = set()
    for digest, paths in state.items():
        if digest not in manifest:
            yield broken(f"{name} has content that is not in the manifest, {digest[:16]}….", "E050", "OCFL_STATE_WRONG")
        if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
            yield broken(f"The state of {name} must give a list of paths for each digest.", "E051")
            continue
        used.add(digest)
        for path in paths:
            if layout.path_problem(path):
                yield broken(f"{name} has the unsafe path {path!r}.", "E052", "OCFL_PATH_UNSAFE")
            if path in seen:
                yield broken(f"{name} lists {path!r} twice.", "E095", "OCFL_STATE_WRONG")
            seen.add(path)
    yield from _file_and_directory(seen, name, broken, "E095")


def _file_and_directory(paths: set[str], where: str, broken: Callable[..., Finding], clause: str) -> Iterator[Finding]:
    for path in sorted(paths):
        above = path.split("/")[:-1]
        for depth in range(1, len(above) + 1):
            if "/".join(above[:depth]) in paths:
                yield broken(f"`{where}` uses {'/'.join(above[:depth])!r} as a file and a directory.", clause)


def _object_entries(directory: Path, inventory: dict[str, Any], object_id: str) -> Iterator[Finding]:
    """Nothing but declaration, inventory, sidecar, versions, logs, extensions (§3.1)."""
    for entry in _entries(directory):
        subject = f"{object_id}: {entry.name}"
        if entry.is_symlink():
            yield _finding("OCFL_LINK", subject, "OCFL forbids links.", "E090")
        elif entry.is_dir(follow_symlinks=False):
            if layout.VERSION_NAME.fullmatch(entry.name) and entry.name not in inventory["versions"]:
                yield _finding(
                    "OCFL_VERSION_UNEXPECTED", subject, "The inventory does not know this version (a crash?).", "E046"
                )
            elif entry.name not in inventory["versions"] and entry.name not in ("logs", "extensions"):
                yield _finding("OCFL_OBJECT_STRAY", subject, "A directory that does not belong here.", "E001")
        elif entry.name not in (layout.OBJECT_DECLARATION, layout.INVENTORY, layout.SIDECAR):
            yield _finding("OCFL_OBJECT_STRAY", subject, "A file that does not belong here.", "E001")
    for entry in _entries(directory / "extensions"):
        if not entry.is_dir(follow_symlinks=False):
            subject = f"{object_id}: extensions/{entry.name}"
            yield _finding("OCFL_EXTENSION_STRAY", subject, "Only directories of extensions belong here.", "E067")


def _version(
    directory: Path, name: str, inventory: dict[str, Any], root_data: bytes, object_id: str
) -> Iterator[Finding]:
    """A version directory: its inventory is the root's as it was then (§3.3, §3.6)."""
    version = directory / name
    subject = f"{object_id}: {name}"
    if not version.is_dir() or version.is_symlink():
        yield _finding("OCFL_VERSION_MISSING", subject, "The inventory lists it, the directory is not there.", "E046")
        return
    for entry in _entries(version):
        if entry.name not in ("content", layout.INVENTORY, layout.SIDECAR):
            yield _finding("OCFL_VERSION_STRAY", f"{subject}/{entry.name}", "It does not belong here.", "E015")
    data = plain_bytes(version / layout.INVENTORY)
    if data is None:
        code = "OCFL_VERSION_INVENTORY_MISSING"
        yield _finding(code, subject, "The version has no copy of its inventory.", "W010")
        return
    yield from _sidecar(version / layout.SIDECAR, data, object_id)
    if name == inventory["head"]:
        if data != root_data:
            yield _finding("OCFL_COPY_DIFFERS", subject, "The root inventory differs from its head version's.", "E064")
        return
    earlier = _strict_json(data)
    if not isinstance(earlier, dict) or earlier.get("id") != inventory["id"] or earlier.get("head") != name:
        yield _finding("OCFL_HISTORY_CHANGED", subject, "Its inventory is not this object's at that time.", "E066")
        return
    expected = {key: inventory["versions"][key] for key in inventory["versions"] if int(key[1:]) <= int(name[1:])}
    if earlier.get("versions") != expected:
        yield _finding(
            "OCFL_HISTORY_CHANGED", subject, "Its inventory and the root's tell different histories.", "E066"
        )
    manifest = earlier.get("manifest")
    for digest, paths in manifest.items() if isinstance(manifest, dict) else ():
        if not isinstance(paths, list) or not set(paths) <= set(inventory["manifest"].get(digest, ())):
            yield _finding("OCFL_HISTORY_CHANGED", subject, "It lists content that the root inventory lacks.", "E023")


def _content(
    directory: Path, inventory: dict[str, Any], object_id: str, later: _Later | None
) -> Iterator[Finding | Future[list[Finding]]]:
    """Files on disk are exactly those of the manifest, and their digests hold (§3.3.1, §3.5.2, §3.5.4)."""
    long = {path: digest for digest, paths in inventory["manifest"].items() for path in paths}
    short = {path: digest for digest, paths in inventory["fixity"]["sha256"].items() for path in paths}
    present: set[str] = set()
    for version in inventory["versions"]:
        for path, found in _walk(directory / version / "content", f"{version}/content"):
            subject = f"{_ref(object_id, version)}: {path}"
            if found == "link":
                yield _finding("OCFL_LINK", subject, "OCFL forbids links: put the file itself here.", "E090")
            elif found == "hard link":
                yield _finding(
                    "OCFL_HARD_LINK", subject, "The file has a second name; a change there changes it.", "E090"
                )
            elif found == "empty":
                yield _finding("OCFL_EMPTY_DIRECTORY", subject, "An empty directory.", "E024")
            elif found == "odd":
                yield _finding("OCFL_CONTENT_STRAY", subject, "Neither a file nor a directory.", "E023")
            if found in ("file", "hard link"):
                present.add(path)
                if path not in long:
                    yield _finding("OCFL_CONTENT_STRAY", subject, "The inventory does not know this file.", "E023")
    for path in sorted(long):
        subject = f"{_ref(object_id, path.split('/')[0])}: {path}"
        if path not in present:
            yield _finding(
                "OCFL_CONTENT_MISSING", subject, "Stored content is missing: bring it back from a copy.", "E092"
            )
        elif later is not None:
            words = (directory / path, subject, long[path], short[path])
            if _large(directory / path):
                yield later(_fixity, *words)
            else:
                yield from _fixity(*words)


def _fixity(path: Path, subject: str, sha512: str, sha256: str) -> list[Finding]:
    """One file read once, against both of its digests."""
    try:
        digests = durable.hash_file(path)
    except StorageFailed as exc:
        return [_finding("OCFL_UNREADABLE", subject, str(exc), "E092")]
    found = []
    if digests.sha512 != sha512:
        message = "The bytes changed since they were stored (sha512): bring them back from a copy."
        found.append(_finding("OCFL_DIGEST_MISMATCH", subject, message, "E092"))
    if digests.sha256 != sha256:
        message = "The bytes changed since they were stored (sha256): bring them back from a copy."
        found.append(_finding("OCFL_FIXITY_MISMATCH", subject, message, "E093"))
    return found


def _large(path: Path) -> bool:
    """Whether threads pay."""
    try:
        return path.stat().st_size > durable.SMALL
    except OSError:
        return False


# --- parts -------------------------------------------------------------------------------------------


def _finding(code: str, subject: str, message: str, clause: str) -> Finding:
    severity = Severity.WARNING if code in SEVERITY_WARNING else Severity.ERROR
    cited = f"OCFL 1.1 {clause}" if re.match(r"[EW]\d|§", clause) else f"OCFL {clause}" if clause[:1] == "e" else clause
    return Finding(code=code, severity=severity, subject=subject, message=message, clause=cited)


def _ref(object_id: str, version: str) -> str:
    """REF of a version as users write it: a master's has no number."""
    return f"{object_id}@{version[1:]}" if "/" in object_id else object_id


def _below(word: str, root: Path, path: Path) -> str:
    return f"{word}: {path.relative_to(root)}"


def _is_object(path: Path) -> bool:
    return any(name.startswith("0=ocfl_object") for name in _names(path))


def _names(directory: Path) -> list[str]:
    return [entry.name for entry in _entries(directory)]


def _entries(directory: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as found:
            return sorted(found, key=lambda entry: entry.name)
    except OSError:
        return []


def plain_bytes(path: Path) -> bytes | None:
    """Content of a plain small file; None where there is none."""
    try:
        return path.read_bytes() if path.is_file() and not path.is_symlink() else None
    except OSError:
        return None


def _json(path: Path) -> object:
    data = plain_bytes(path)
    return None if data is None else _strict_json(data)


def _strict_json(data: bytes) -> object:
    """Parsed JSON; None where it is malformed or repeats a member (readers would disagree on which one counts)."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) != len(pairs):
            raise ValueError("repeated member")
        return made

    try:
        return json.loads(data, object_pairs_hook=once)
    except (ValueError, RecursionError):
        return None


def _walk(folder: Path, prefix: str) -> Iterator[tuple[str, str]]:
    """(path inside the object, what is there) for everything below a content directory."""
    entries = _entries(folder)
    if not entries and prefix.count("/") > 1:
        yield prefix, "empty"
    for entry in entries:
        path = f"{prefix}/{entry.name}"
        if entry.is_symlink():
            yield path, "link"
        elif entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry.path), path)
        elif entry.is_file(follow_symlinks=False):
            yield path, "hard link" if entry.stat(follow_symlinks=False).st_nlink > 1 else "file"
        else:
            yield path, "odd"
