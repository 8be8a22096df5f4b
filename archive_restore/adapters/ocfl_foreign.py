"""Checks OCFL objects and storage roots that others wrote (OCFL 1.1 and 1.0), whatever layout and choices they made.

Our own roots have stricter rules, which adapters.ocfl_validate knows. Never changes anything, never follows a link;
each finding cites the validation code of the specification.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from archive_restore.core import ocfl_inventory as rules
from archive_restore.core.ocfl_inventory import shown
from archive_restore.records.findings import Finding, Severity

MAX_INVENTORY = 256 << 20
"""Bytes of an inventory beyond which it is not read."""
MAX_EACH = 20
"""Findings of one clause that are told one by one; the rest are counted."""
MAX_FILES = 2_000_000
"""Files and directories of an object beyond which it is not checked further."""
INVENTORY = "inventory.json"
_OBJECT = re.compile(r"0=ocfl_object_(\d+\.\d+)")
_ROOT = re.compile(r"0=ocfl_(\d+\.\d+)")
_SIDECAR = re.compile(rb"([0-9A-Fa-f]+)[ \t]+inventory\.json\r?\n?")
_LAYOUT_NAME = re.compile(r"\d{4}-[a-z0-9]+(-[a-z0-9]+)*")
_BLOCK = 1 << 20


def is_object(path: Path) -> bool:
    """Whether a directory declares that it is an OCFL object."""
    return any(name.startswith("0=ocfl_object") for name in _names(path))


def is_root(path: Path) -> bool:
    """Whether a directory declares that it is an OCFL storage root."""
    return any(_ROOT.fullmatch(name) for name in _names(path))


def validate_object(path: Path, subject: str = "") -> list[Finding]:
    """Everything that is wrong with the OCFL object in the directory `path`; never raises for what it holds.

    `subject` names the object in findings, the path where it is empty. Warnings are the specification's SHOULDs.
    """
    found = _Findings(subject or _shown_path(path))
    _Object(path, found).run()
    return found.all()


def validate_root(path: Path, subject: str = "") -> Iterator[Finding]:
    """Findings about a storage root, its hierarchy and every object in it; never raises for what it holds."""
    name = subject or _shown_path(path)
    found = _Findings(name)
    version = _root(path, found)
    objects = list(_hierarchy(path, found))
    yield from found.all()
    identifiers: dict[str, Path] = {}
    for place in objects:
        found = _Findings(f"{name}: {_shown_path(place.relative_to(path))}")
        checked = _Object(place, found)
        checked.run()
        if checked.specification and version and _number(checked.specification) > _number(version):
            message = f"The object is of OCFL {checked.specification}, the root of {version}."
            found.add("OCFL_SPECIFICATION", "", message, "E081")
        if checked.identifier and identifiers.setdefault(checked.identifier, place) != place:
            message = f"{shown(checked.identifier)} names two objects of the root."
            found.add("OCFL_ID_REPEATED", "", message, "E037")
        yield from found.all()


class _Findings:
    """Gathers findings, a few of each clause."""

    def __init__(self, subject: str) -> None:
        self._subject = subject
        self._kept: dict[tuple[str, str], list[Finding]] = {}
        self._more: dict[tuple[str, str], int] = {}

    def add(self, code: str, file: str, message: str, clause: str, severity: Severity | None = None) -> None:
        """Note something about a file of the object, or about the object where `file` is empty.

        A `W…` clause is a warning and an `E…` clause an error, where nothing else is said.
        """
        kept = self._kept.setdefault((code, clause), [])
        if len(kept) >= MAX_EACH:
            self._more[code, clause] = self._more.get((code, clause), 0) + 1
            return
        file = _shown_path(file)
        kept.append(
            Finding(
                code=code,
                severity=severity or (Severity.WARNING if clause.startswith("W") else Severity.ERROR),
                subject=f"{self._subject}: {file[:300]}" if file else self._subject,
                message=message,
                clause=f"OCFL 1.1 {clause}",
            )
        )

    def all(self) -> list[Finding]:
        """In the order in which clauses were first met."""
        result: list[Finding] = []
        for key, kept in self._kept.items():
            result += kept
            if key in self._more:
                last = kept[-1]
                message = f"And {self._more[key]:,} more of this kind."
                result.append(
                    Finding(
                        code=last.code,
                        severity=last.severity,
                        subject=self._subject,
                        message=message,
                        clause=last.clause,
                    )
                )
        return result


# --- one object --------------------------------------------------------------------------------------


@dataclass(kw_only=True)
class _Inventory:
    where: str
    """Path inside the object."""
    data: bytes
    content: dict[str, Any] = field(default_factory=dict)
    """Empty where it has faults."""
    directory: object = "content"
    """Its `contentDirectory`, even where it has faults."""


class _Object:
    """One object. Steps: 1 declaration, 2 root inventory, 3 sidecar, 4 what lies in the object, 5 versions and their
    inventories, 6 histories, 7 content, 8 digests."""

    def __init__(self, path: Path, found: _Findings) -> None:
        self.base = path
        self.found = found
        self.specification = ""
        self.identifier = ""
        self.expected: dict[str, dict[str, tuple[str, str]]] = {}
        """(digest, clause) by content path and algorithm, of all inventories."""

    def run(self) -> None:
        """Check everything, as far as it can be understood."""
        if self.base.is_symlink() or not self.base.is_dir():
            self.found.add("OCFL_OBJECT_MISSING", "", "It is not a directory; links are not followed.", "E003")
            return
        # 1
        self._declaration()
        # 2
        root = self._read("")
        if root is None:
            if not (self.base / INVENTORY).exists():
                self.found.add("OCFL_INVENTORY_MISSING", "", "There is no inventory in the object's root.", "E063")
            return
        if not root.content:
            self._first_directory(root)
            return
        inventory = root.content
        self.identifier = inventory["id"]
        declared = rules.SPECIFICATIONS.get(self.specification)
        if declared is not None and inventory["type"] != declared:
            message = f"`type` is {shown(inventory['type'])}; the object declares OCFL {self.specification}."
            self.found.add("OCFL_INVENTORY_MALFORMED", INVENTORY, message, "E038")
        # 4
        self._entries(inventory)
        # 5
        earlier = [self._version(name, root) for name in inventory["versions"]]
        # 6
        self._histories([one for one in earlier if one is not None and one.content], root)
        # 7, 8
        self._content(inventory)

    def _first_directory(self, root: _Inventory) -> None:
        """Of an object whose newest inventory has faults: they may come from another content directory than before."""
        first = self._read("v1") if (self.base / "v1").is_dir() and not (self.base / "v1").is_symlink() else None
        if first is not None:
            self._same_directory(first, root)

    def _same_directory(self, one: _Inventory, root: _Inventory) -> None:
        if one.directory != root.directory:
            clause = "E019" if one.directory == "content" else "E020"
            message = f"The content directory is {shown(one.directory)} here and {shown(root.directory)} in the newest."
            self.found.add("OCFL_HISTORY_CHANGED", one.where, message, clause)

    def _declaration(self) -> None:
        """Exactly one, by its name and content (§3.2)."""
        names = sorted(name for name in _names(self.base) if name.startswith("0="))
        if len(names) != 1:
            message = "It has several declarations." if names else "There is no declaration, 0=ocfl_object_1.1."
            self.found.add("OCFL_OBJECT_DECLARATION", "", message, "E003")
            return
        match = _OBJECT.fullmatch(names[0])
        if match is None:
            message = "It must be named 0=ocfl_object_ and a version."
            self.found.add("OCFL_OBJECT_DECLARATION", names[0], message, "E006")
            return
        self.specification = match[1]
        if match[1] not in rules.SPECIFICATIONS:
            message = f"OCFL {match[1]} is not a version we know; it is read as 1.1."
            self.found.add("OCFL_OBJECT_DECLARATION", names[0], message, "E004")
        if _bytes(self.base / names[0], 100) != f"{names[0][2:]}\n".encode():
            self.found.add("OCFL_OBJECT_DECLARATION", names[0], "Its content must be its name behind `0=`.", "E007")

    def _read(self, folder: str) -> _Inventory | None:
        """The inventory in the root or in a version, and its sidecar; None where there is none to read."""
        where = f"{folder}/{INVENTORY}" if folder else INVENTORY
        path = self.base / where
        if path.is_symlink():
            self.found.add("OCFL_LINK", where, "OCFL forbids links; it was not followed.", "E090")
            return None
        data = _bytes(path, MAX_INVENTORY + 1)
        if data is None:
            return None
        if len(data) > MAX_INVENTORY:
            self.found.add("OCFL_TOO_LARGE", where, f"More than {MAX_INVENTORY:,} bytes; it was not read.", "E033")
            return None
        try:
            content = json.loads(data, object_pairs_hook=rules.strict)
        except (ValueError, RecursionError) as exc:
            message = f"It is not JSON: {' '.join(str(exc).split())[:120]}."
            self.found.add("OCFL_INVENTORY_MALFORMED", where, message, "E033")
            return _Inventory(where=where, data=data)
        bad = False
        for fault in rules.faults(content):
            self.found.add(fault.code, where, fault.message, fault.clause)
            bad = bad or fault.clause.startswith("E")
        if isinstance(content, dict):
            # 3
            self._sidecar(folder, where, data, content.get("digestAlgorithm"))
        directory = content.get("contentDirectory", "content") if isinstance(content, dict) else "content"
        return _Inventory(where=where, data=data, content={} if bad else content, directory=directory)

    def _sidecar(self, folder: str, where: str, data: bytes, algorithm: object) -> None:
        """The file that states an inventory's digest (§3.7)."""
        if algorithm not in rules.ADDRESSING:
            return
        name = f"{where}.{algorithm}"
        stated = _bytes(self.base / name, 4096)
        if stated is None:
            others = [n for n in _names(self.base / folder) if n.startswith(f"{INVENTORY}.")]
            message = f"It must be named {INVENTORY}.{algorithm}." if others else "The inventory's digest is missing."
            self.found.add("OCFL_SIDECAR_MISSING", name, message, "E059" if others else "E058")
            return
        match = _SIDECAR.fullmatch(stated)
        if match is None:
            message = "It must hold the digest and `inventory.json`."
            self.found.add("OCFL_SIDECAR_MALFORMED", name, message, "E061")
        elif match[1].decode().lower() != hashlib.new(str(algorithm), data).hexdigest():
            message = "The inventory is not the one the digest was made of."
            self.found.add("OCFL_INVENTORY_DIGEST", name, message, "E060")

    def _entries(self, inventory: Mapping[str, Any]) -> None:
        """Nothing but declaration, inventory, sidecar, versions, logs and extensions (§3.1)."""
        known = {INVENTORY, f"{INVENTORY}.{inventory['digestAlgorithm']}"}
        for entry in _scan(self.base):
            if entry.is_symlink():
                self.found.add("OCFL_LINK", entry.name, "OCFL forbids links; it was not followed.", "E090")
            elif entry.is_dir(follow_symlinks=False):
                if entry.name in inventory["versions"] or entry.name == "logs":
                    continue
                if entry.name == "extensions":
                    self._extensions()
                elif rules.VERSION.fullmatch(entry.name):
                    message = "The inventory does not know this version."
                    self.found.add("OCFL_VERSION_UNEXPECTED", entry.name, message, "E046")
                else:
                    self.found.add("OCFL_OBJECT_STRAY", entry.name, "A directory that does not belong here.", "E001")
            elif entry.name not in known and not entry.name.startswith("0="):
                self.found.add("OCFL_OBJECT_STRAY", entry.name, "A file that does not belong here.", "E001")

    def _extensions(self) -> None:
        for entry in _scan(self.base / "extensions"):
            if not entry.is_dir(follow_symlinks=False):
                message = "Only directories of extensions belong here."
                self.found.add("OCFL_EXTENSION_STRAY", f"extensions/{entry.name}", message, "E067")

    def _version(self, name: str, root: _Inventory) -> _Inventory | None:
        """A version directory and its inventory (§3.3, §3.6)."""
        path = self.base / name
        if path.is_symlink() or not path.is_dir():
            message = "The inventory lists this version; there is no directory for it."
            self.found.add("OCFL_VERSION_MISSING", name, message, "E046")
            return None
        content = root.content.get("contentDirectory", "content")
        sidecars = re.compile(r"inventory\.json\.(sha512|sha256)")
        for entry in _scan(path):
            where = f"{name}/{entry.name}"
            if entry.is_symlink():
                self.found.add("OCFL_LINK", where, "OCFL forbids links; it was not followed.", "E090")
            elif not entry.is_dir(follow_symlinks=False):
                if entry.name != INVENTORY and not sidecars.fullmatch(entry.name):
                    self.found.add("OCFL_VERSION_STRAY", where, "A file that does not belong here.", "E015")
            elif entry.name != content:
                message = "A directory beside the content; it is ignored by readers."
                self.found.add("OCFL_RECOMMENDED", where, message, "W002")
            elif not _scan(Path(entry.path)):
                self.found.add("OCFL_RECOMMENDED", where, "An empty content directory.", "W003")
        own = self._read(name)
        if own is None:
            if not (path / INVENTORY).is_symlink():
                message = "The version has no inventory of its own."
                self.found.add("OCFL_VERSION_INVENTORY_MISSING", name, message, "W010")
            return None
        if name == root.content["head"]:
            if own.data != root.data:
                message = "The inventory in the object's root differs from that of the newest version."
                self.found.add("OCFL_COPY_DIFFERS", own.where, message, "E064")
        elif own.content and own.content["head"] != name:
            message = f"`head` is {shown(own.content['head'])} in the inventory of {name}."
            self.found.add("OCFL_HEAD_WRONG", own.where, message, "E040")
        return own

    def _histories(self, earlier: list[_Inventory], head: _Inventory) -> None:
        """Each inventory tells what the next ones tell of the versions it knows (§3.6)."""
        root, newest = head.content, ""
        for one in earlier:
            inventory = one.content
            if inventory["id"] != root["id"]:
                message = f"`id` is {shown(inventory['id'])}; the object's is {shown(root['id'])}."
                self.found.add("OCFL_HISTORY_CHANGED", one.where, message, "E110")
            self._same_directory(one, head)
            if newest and _number(_specification(inventory)) < _number(newest):
                message = "It is of an older version of OCFL than an inventory before it."
                self.found.add("OCFL_SPECIFICATION", one.where, message, "E103")
            newest = _specification(inventory)
            self._same_states(one, root)
            lost = {path for paths in inventory["manifest"].values() for path in paths} - {
                path for paths in root["manifest"].values() for path in paths
            }
            if lost:
                message = f"It lists {shown(min(lost))}, which the newest inventory does not."
                self.found.add("OCFL_HISTORY_CHANGED", one.where, message, "E023")
            self._expect(inventory)
        self._expect(root)

    def _same_states(self, one: _Inventory, root: Mapping[str, Any]) -> None:
        for name in one.content["versions"]:
            if name not in root["versions"]:
                message = f"It knows {shown(name)}, which the newest inventory does not."
                self.found.add("OCFL_HISTORY_CHANGED", one.where, message, "E066")
                continue
            before, now = rules.states(one.content, name), rules.states(root, name)
            nothing: frozenset[str] = frozenset()
            every = before.keys() | now.keys()
            differ = [path for path in every if not before.get(path, nothing) & now.get(path, nothing)]
            if differ:
                message = f"It tells of {shown(min(differ))} in {name} otherwise than the newest inventory."
                self.found.add("OCFL_HISTORY_CHANGED", one.where, message, "E066")
            told = [one.content["versions"][name].get(key) for key in ("created", "message", "user")]
            if told != [root["versions"][name].get(key) for key in ("created", "message", "user")]:
                message = f"It says otherwise who made {name}, when or why."
                self.found.add("OCFL_RECOMMENDED", one.where, message, "W011")

    def _expect(self, inventory: Mapping[str, Any]) -> None:
        """Remember the digests of an inventory; where two give one file others, both are kept and one will fail."""
        blocks = [(inventory["digestAlgorithm"], inventory["manifest"], "E092")]
        blocks += [(name, block, "E093") for name, block in inventory.get("fixity", {}).items()]
        for algorithm, block, clause in blocks:
            for digest, paths in block.items():
                for path in paths:
                    kept = self.expected.setdefault(path, {})
                    key = algorithm if kept.get(algorithm, (digest.lower(),))[0] == digest.lower() else f"{algorithm} "
                    kept.setdefault(key, (digest.lower(), clause))

    def _content(self, inventory: Mapping[str, Any]) -> None:
        """Files are exactly those of the manifest, and every digest holds (§3.3.1, §3.5.2, §3.5.4)."""
        listed = {path for paths in inventory["manifest"].values() for path in paths}
        content = inventory.get("contentDirectory", "content")
        present: set[str] = set()
        for version in inventory["versions"]:
            for path in self._walk(f"{version}/{content}"):
                present.add(path)
                if path not in listed:
                    message = "The inventory does not know this file."
                    self.found.add("OCFL_CONTENT_STRAY", path, message, "E023")
                if len(present) > MAX_FILES:
                    self.found.add("OCFL_TOO_LARGE", "", f"More than {MAX_FILES:,} files; checked no further.", "E092")
                    return
        for path in sorted(listed):
            if path not in present:
                self.found.add("OCFL_CONTENT_MISSING", path, "Content that the manifest lists is not there.", "E092")
                continue
            wanted = self.expected.get(path, {})
            try:
                actual = _hashes(self.base / path, {name.strip() for name in wanted})
            except OSError as exc:
                self.found.add("OCFL_UNREADABLE", path, f"It cannot be read: {exc.strerror}.", "E092")
                continue
            for name, (digest, clause) in wanted.items():
                if actual[name.strip()] != digest:
                    code = "OCFL_DIGEST_MISMATCH" if clause == "E092" else "OCFL_FIXITY_MISMATCH"
                    message = f"The bytes are not those that were stored ({name.strip()})."
                    self.found.add(code, path, message, clause)

    def _walk(self, folder: str) -> Iterator[str]:
        """Plain files below a content directory; links, empty directories and the rest are findings."""
        if not (self.base / folder).is_dir() or (self.base / folder).is_symlink():
            return
        waiting = [folder]
        while waiting:
            here = waiting.pop()
            entries = _scan(self.base / here)
            if not entries and here != folder:
                self.found.add("OCFL_EMPTY_DIRECTORY", here, "An empty directory.", "E024")
            for entry in entries:
                path = f"{here}/{entry.name}"
                if entry.is_symlink():
                    self.found.add("OCFL_LINK", path, "OCFL forbids links; it was not followed.", "E090")
                elif entry.is_dir(follow_symlinks=False):
                    waiting.append(path)
                elif entry.is_file(follow_symlinks=False):
                    if entry.stat(follow_symlinks=False).st_nlink > 1:
                        message = "The file has a second name: a change there changes it."
                        self.found.add("OCFL_HARD_LINK", path, message, "E090", Severity.WARNING)
                    yield path
                else:
                    self.found.add("OCFL_CONTENT_STRAY", path, "Neither a file nor a directory.", "E023")


# --- a storage root ----------------------------------------------------------------------------------


def _root(path: Path, found: _Findings) -> str:
    """Declaration, layout and extensions (§4.1); the version it declares, empty where none."""
    names = sorted(name for name in _names(path) if name.startswith("0="))
    version = ""
    if len(names) != 1:
        message = "There is no declaration such as 0=ocfl_1.1." if not names else "It has several declarations."
        found.add("OCFL_ROOT_DECLARATION", "", message, "E076" if names else "E069")
    else:
        match = _ROOT.fullmatch(names[0])
        version = match[1] if match is not None and match[1] in rules.SPECIFICATIONS else ""
        if not version:
            message = "It must be named 0=ocfl_ and the version, 1.0 or 1.1."
            found.add("OCFL_ROOT_DECLARATION", names[0], message, "E079")
        elif _bytes(path / names[0], 100) != f"{names[0][2:]}\n".encode():
            found.add("OCFL_ROOT_DECLARATION", names[0], "Its content must be its name behind `0=`.", "E080")
    layout = "ocfl_layout.json"
    data = _bytes(path / layout, MAX_INVENTORY)
    if data is not None:
        try:
            described = json.loads(data, object_pairs_hook=rules.strict)
        except (ValueError, RecursionError):
            described = None
        if not isinstance(described, dict) or not all(
            isinstance(described.get(key), str) for key in ("extension", "description")
        ):
            found.add("OCFL_ROOT_LAYOUT", layout, "It must be an object with `extension` and `description`.", "E070")
        elif not _LAYOUT_NAME.fullmatch(described["extension"]):
            message = f"{shown(described['extension'])} is not the name of a registered extension."
            found.add("OCFL_ROOT_LAYOUT", layout, message, "E071")
    for entry in _scan(path / "extensions"):
        if not entry.is_dir(follow_symlinks=False):
            message = "Only directories of extensions belong here."
            found.add("OCFL_EXTENSION_STRAY", f"extensions/{entry.name}", message, "E086")
    return version


def _hierarchy(root: Path, found: _Findings) -> Iterator[Path]:
    """Objects in order of their path; what is neither object nor way to one is a finding (§4.2)."""
    waiting = [root]
    count = 0
    while waiting:
        here = waiting.pop()
        entries = _scan(here)
        where = "" if here == root else str(here.relative_to(root))
        if where and not entries:
            found.add("OCFL_ROOT_EMPTY_DIRECTORY", where, "An empty directory.", "E073")
        below: list[Path] = []
        for entry in entries:
            path = Path(entry.path)
            name = f"{where}/{entry.name}" if where else entry.name
            count += 1
            if count > MAX_FILES:
                found.add("OCFL_TOO_LARGE", "", f"More than {MAX_FILES:,} entries; checked no further.", "E072")
                return
            if entry.is_symlink():
                found.add("OCFL_LINK", name, "OCFL forbids links; it was not followed.", "E090")
            elif entry.is_dir(follow_symlinks=False):
                if not where and entry.name == "extensions":
                    continue
                if is_object(path):
                    yield path
                else:
                    below.append(path)
            elif where:
                found.add("OCFL_STRAY_FILE", name, "A file that is part of no object.", "E072")
        waiting.extend(reversed(below))


# --- parts -------------------------------------------------------------------------------------------


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _specification(inventory: Mapping[str, Any]) -> str:
    return next(version for version, uri in rules.SPECIFICATIONS.items() if uri == inventory["type"])


def _scan(directory: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as found:
            return sorted(found, key=lambda entry: entry.name)
    except OSError:
        return []


def _names(directory: Path) -> list[str]:
    return [entry.name for entry in _scan(directory)]


def _bytes(path: Path, most: int) -> bytes | None:
    """The beginning of a plain file; None where there is none."""
    try:
        if path.is_symlink() or not path.is_file():
            return None
        with path.open("rb") as file:
            return file.read(most)
    except OSError:
        return None


def _hashes(path: Path, algorithms: set[str]) -> dict[str, str]:
    hashers = {name: _new(name) for name in algorithms}
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with io.FileIO(descriptor) as file:
        while block := file.read(_BLOCK):
            for hasher in hashers.values():
                hasher.update(block)
    return {name: hasher.hexdigest() for name, hasher in hashers.items()}


def _new(algorithm: str) -> Any:
    if algorithm.startswith("blake2b-"):
        return hashlib.blake2b(digest_size=int(algorithm[8:]) // 8)
    return hashlib.new({"sha512/256": "sha512_256"}.get(algorithm, algorithm), usedforsecurity=False)


def _shown_path(path: Path | str) -> str:
    """A path as text: bytes that are not UTF-8, and what is no text at all, escaped."""
    try:
        return os.fsencode(path).decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:
        return str(path).encode("utf-8", "backslashreplace").decode()
