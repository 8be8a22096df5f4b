"""Where an OCFL object lies and what an inventory says: OCFL 1.1 and layout extension 0003. Reads only.

Readers never see a commit in progress: a root inventory counts as soon as it equals the inventory inside its
own head version, even when its sidecar is about to follow (see adapters.ocfl for the order of writing).
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from archive_restore.adapters.durable import storage_errors
from archive_restore.errors import StorageFailed

ROOT_DECLARATION = "0=ocfl_1.1"
OBJECT_DECLARATION = "0=ocfl_object_1.1"
INVENTORY_TYPE = "https://ocfl.io/1.1/spec/#inventory"
INVENTORY = "inventory.json"
SIDECAR = "inventory.json.sha512"
LAYOUT = "0003-hash-and-id-n-tuple-storage-layout"
LAYOUT_DESCRIPTION = (
    "Hashed truncated n-tuple trees with the object identifier as encapsulating directory: "
    "sha256 of the identifier, three tuples of three characters"
)
LAYOUT_CONFIG: Mapping[str, str | int] = {
    "extensionName": LAYOUT,
    "digestAlgorithm": "sha256",
    "tupleSize": 3,
    "numberOfTuples": 3,
}
TUPLES = 3
MAX_ENCAPSULATION = 100
"""Characters of the percent-encoded identifier before layout 0003 cuts it and appends the digest."""

VERSION_NAME = re.compile(r"v[1-9][0-9]*")
_TUPLE_NAME = re.compile(r"[0-9a-f]{3}")
_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@functools.lru_cache(maxsize=4096)
def object_path(object_id: str) -> Path:
    """Path of an object below the storage root (extension 0003 §Procedure)."""
    data = object_id.encode()
    digest = hashlib.sha256(data).hexdigest()
    name = "".join(chr(byte) if byte in _PLAIN else f"%{byte:02x}" for byte in data)
    if len(name) > MAX_ENCAPSULATION:
        name = f"{name[:MAX_ENCAPSULATION]}-{digest}"
    return Path(digest[0:3], digest[3:6], digest[6:9], name)


def path_problem(name: str) -> str:
    """Say why a logical path cannot be stored (OCFL 1.1 E052, E053, E099, E100); empty where it can."""
    if not name:
        return "is empty"
    if "\0" in name:
        return "holds a zero byte"
    if name.startswith("/") or name.endswith("/"):
        return "begins or ends with a slash"
    if any(part in ("", ".", "..") for part in name.split("/")):
        return "holds an empty part, `.` or `..`"
    try:
        encoded = name.encode()
    except UnicodeEncodeError:
        return "is not Unicode text"
    if any(len(part) > 255 for part in encoded.split(b"/")):
        return "has a part longer than 255 bytes"
    return ""


def walk_objects(root: Path) -> Iterator[Path]:
    """Directories of all objects, in order of their path; what is no object is left to `validate`."""
    with storage_errors("reading", root):
        level = [str(root)]
        for _ in range(TUPLES):
            level = [child.path for parent in level for child in _folders(parent) if _TUPLE_NAME.fullmatch(child.name)]
        for parent in level:
            yield from (Path(child.path) for child in _folders(parent))


def _folders(parent: str) -> list[os.DirEntry[str]]:
    """Directories in a directory, links left out, by name; asked of the directory, not of each one in it."""
    with os.scandir(parent) as found:
        return sorted((entry for entry in found if entry.is_dir(follow_symlinks=False)), key=lambda entry: entry.name)


def object_id_of(directory: Path) -> str:
    """Identifier of the object in `directory`: from its name, or from its inventory where the name was cut short."""
    name = directory.name
    if len(name) <= MAX_ENCAPSULATION:
        return re.sub(rb"%([0-9a-f]{2})", lambda m: bytes([int(m[1], 16)]), name.encode()).decode(errors="replace")
    try:
        return str(read_inventory(directory)["id"])
    except (StorageFailed, KeyError):
        return name


def read_inventory(directory: Path) -> dict[str, Any]:
    """Root inventory of an object, checked against its digest; raise StorageFailed where it is damaged."""
    for _ in range(3):  # a commit may replace the file between our two reads: look again
        with storage_errors("reading", directory / INVENTORY):
            data = (directory / INVENTORY).read_bytes()
        inventory = parse_inventory(data)
        if inventory is None:
            continue
        digest = hashlib.sha512(data).hexdigest()
        if digest in (sidecar_digest(directory / SIDECAR), sidecar_digest(directory / inventory["head"] / SIDECAR)):
            return inventory
    raise StorageFailed(
        f"the inventory {str(directory / INVENTORY)!r} is damaged",
        hint="Restore the object from a copy; `verify` says more",
    )


def parse_inventory(data: bytes) -> dict[str, Any] | None:
    """An inventory with the members every reader needs, or None."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not (isinstance(found, dict) and isinstance(found.get("id"), str) and isinstance(found.get("head"), str)):
        return None
    if not all(isinstance(found.get(member), dict) for member in ("manifest", "versions")):
        return None
    return found if VERSION_NAME.fullmatch(found["head"]) and found["head"] in found["versions"] else None


def sidecar_digest(path: Path) -> str:
    """The digest a sidecar states (OCFL 1.1 §3.7); empty where it states none."""
    try:
        text = path.read_bytes().decode("ascii")
    except (OSError, UnicodeDecodeError):
        return ""
    match = re.fullmatch(r"([0-9a-f]{128})[ \t]+inventory\.json\n?", text)
    return match[1] if match else ""


def version_number(name: str) -> int:
    """`v3` gives 3."""
    return int(name[1:])
