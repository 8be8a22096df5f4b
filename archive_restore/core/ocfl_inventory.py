"""What an OCFL inventory must be (OCFL 1.1 §3.5; 1.0 where an object says so), whoever wrote it.

Parsed JSON in, faults out, each with the validation code of the specification; nothing here touches a disk.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

SPECIFICATIONS = {"1.0": "https://ocfl.io/1.0/spec/#inventory", "1.1": "https://ocfl.io/1.1/spec/#inventory"}
"""`type` of an inventory by version of the specification."""
ADDRESSING = {"sha512": 128, "sha256": 64}
"""Algorithms that may address content, and their hex digits (E025)."""
FIXITY = {
    "md5": 32, "sha1": 40, "sha256": 64, "sha512": 128, "blake2b-512": 128, "blake2b-160": 40, "blake2b-256": 64,
    "blake2b-384": 96, "sha512/256": 64,
}  # fmt: skip
"""Algorithms of the fixity block: the specification's and those of extension 0001 (E056)."""
KEYS = frozenset({"id", "type", "digestAlgorithm", "head", "contentDirectory", "manifest", "versions", "fixity"})
VERSION = re.compile(r"v(0*)([1-9][0-9]*)")
_CREATED = re.compile(
    r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])[Tt]([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?([Zz]|[+-]\d\d:\d\d)"
)
_LONGEST_SHOWN = 120


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One broken rule."""

    code: str
    """Our word."""
    message: str
    clause: str
    """`E…` or `W…` of the specification's list of validation codes."""


def shown(value: object) -> str:
    """A foreign value as it may stand in a message: quoted, escaped and not endless."""
    text = value if isinstance(value, str) else str(value)[: _LONGEST_SHOWN + 1]
    return repr(text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…")


def strict(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """For `json.loads`: refuse repeated members, on which readers would disagree."""
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a member is repeated")
    return made


def faults(inventory: object) -> Iterator[Fault]:
    """Everything that is wrong with one inventory by itself."""
    if not isinstance(inventory, dict):
        yield _malformed("It is not a JSON object.", "E033")
        return
    yield from _header(inventory)
    versions, manifest = inventory.get("versions"), inventory.get("manifest")
    if "manifest" not in inventory or "versions" not in inventory:
        yield _malformed("It must have the blocks `manifest` and `versions`.", "E041")
        return
    if not isinstance(manifest, dict):
        yield _malformed("`manifest` must be an object.", "E041")
        return
    if not isinstance(versions, dict):
        yield _malformed("`versions` must be an object.", "E044")
        return
    yield from _sequence(inventory, versions)
    content = inventory.get("contentDirectory", "content")
    length = ADDRESSING.get(str(inventory.get("digestAlgorithm")))
    yield from _digest_block(manifest, length, "manifest", "E025", "E096", "E091")
    yield from _content_paths(manifest, "manifest", versions, content)
    used: set[str] = set()
    for name, version in versions.items():
        yield from _version(name, version, {digest.lower() for digest in manifest}, used)
    unused = sorted({digest.lower() for digest in manifest} - used)
    if unused:
        message = f"The manifest lists content that no version uses, {shown(unused[0][:24])}."
        yield Fault(code="OCFL_MANIFEST_UNUSED", message=message, clause="E107")
    if "fixity" in inventory:
        yield from _fixity(inventory["fixity"], manifest)


def _header(inventory: Mapping[str, Any]) -> Iterator[Fault]:
    """id, type, digestAlgorithm, head, contentDirectory (§3.5.1)."""
    for name in ("id", "type", "digestAlgorithm", "head"):
        if name not in inventory:
            yield _malformed(f"It has no `{name}`.", "E036")
    stray = sorted(set(inventory) - KEYS)
    if stray:
        yield _malformed(f"It has the unknown member {shown(stray[0])}.", "E102")
    identifier = inventory.get("id", "x")
    if not isinstance(identifier, str) or not identifier:
        yield _malformed("`id` must be text that is not empty.", "E037")
    elif not re.match(r"[A-Za-z][A-Za-z0-9+.\-]*:", identifier):
        yield Fault(code="OCFL_RECOMMENDED", message="`id` should be a URI.", clause="W005")
    if inventory.get("type", SPECIFICATIONS["1.1"]) not in SPECIFICATIONS.values():
        yield _malformed(f"`type` is {shown(inventory['type'])}, not that of OCFL 1.0 or 1.1.", "E038")
    algorithm = inventory.get("digestAlgorithm", "sha512")
    if algorithm not in ADDRESSING:
        yield _malformed(f"`digestAlgorithm` is {shown(algorithm)}, not sha512 or sha256.", "E025")
    elif algorithm != "sha512":
        yield Fault(code="OCFL_RECOMMENDED", message="`digestAlgorithm` should be sha512.", clause="W004")
    content = inventory.get("contentDirectory", "content")
    if not isinstance(content, str) or "/" in content or not content:
        yield _malformed("`contentDirectory` must be the name of one directory.", "E017")
    elif content in (".", ".."):
        yield _malformed("`contentDirectory` must not be `.` or `..`.", "E018")


def _sequence(inventory: Mapping[str, Any], versions: Mapping[str, Any]) -> Iterator[Fault]:
    """v1, v2, … or with zeros before, without a gap; head is the last (§3.1, §3.5.1)."""

    def broken(message: str, clause: str) -> Fault:
        return Fault(code="OCFL_VERSIONS_BROKEN", message=message, clause=clause)

    if not versions:
        yield broken("There is no version.", "E008")
        return
    matches = {name: VERSION.fullmatch(name) for name in versions}
    strange = [name for name, match in matches.items() if match is None]
    if strange:
        clause = "E105" if strange[0].startswith("v") else "E104"
        yield broken(f"{shown(strange[0])} is not `v` and a positive number.", clause)
        return
    numbers = {int(match[2]): name for name, match in matches.items() if match is not None}
    if 1 not in numbers:
        yield broken("There is no version 1.", "E009")
    elif sorted(numbers) != list(range(1, len(versions) + 1)):
        yield broken("The version numbers have a gap.", "E010")
    padded = [name for name, match in matches.items() if match is not None and match[1]]
    if padded:
        yield Fault(code="OCFL_RECOMMENDED", message="Versions should not be padded with zeros.", clause="W001")
        if len({len(name) for name in versions}) > 1 or len(padded) < len(versions):
            yield broken("Some versions are padded with zeros and some are not, or to other lengths.", "E012")
    head, last = inventory.get("head"), numbers[max(numbers)]
    if "head" in inventory and head != last:
        message = f"`head` is {shown(head)}; the newest version is {last}."
        yield Fault(code="OCFL_HEAD_WRONG", message=message, clause="E040")


def _digest_block(
    block: Mapping[str, Any], length: int | None, where: str, malformed: str, twice: str, no_list: str
) -> Iterator[Fault]:
    """Digest → paths: well-formed digests, each once whatever its case, lists of text (§3.5.2)."""
    seen: set[str] = set()
    for digest, paths in block.items():
        if length is not None and not re.fullmatch(f"[0-9A-Fa-f]{{{length}}}", digest):
            yield _malformed(f"`{where}` has the malformed digest {shown(digest)}.", malformed)
        if digest.lower() in seen:
            yield _malformed(f"`{where}` has the digest {shown(digest[:24])} twice, in other cases.", twice)
        seen.add(digest.lower())
        if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
            yield _malformed(f"`{where}` must give a list of paths for each digest.", no_list)


def _content_paths(
    block: Mapping[str, Any], where: str, versions: Mapping[str, Any], content: object
) -> Iterator[Fault]:
    """Safe paths below a version's content directory, each once (§3.5.2)."""
    seen: set[str] = set()
    for path in _listed(block):
        parts = path.split("/")
        if path.startswith("/") or path.endswith("/"):
            message = f"`{where}` has {shown(path)}, which begins or ends with a slash."
            yield Fault(code="OCFL_PATH_UNSAFE", message=message, clause="E100")
        elif any(part in ("", ".", "..") for part in parts) or "\0" in path:
            message = f"`{where}` has {shown(path)}, with an empty part, `.` or `..`."
            yield Fault(code="OCFL_PATH_UNSAFE", message=message, clause="E099")
        elif not _is_text(path):
            message = f"`{where}` has {shown(path)}, which is not Unicode text."
            yield Fault(code="OCFL_PATH_UNSAFE", message=message, clause="E099")
        elif len(parts) < 3 or parts[0] not in versions or parts[1] != content:
            message = f"`{where}` has {shown(path)}, which lies in no version's content."
            yield Fault(code="OCFL_CONTENT_PATH", message=message, clause="E042")
        if path in seen:
            yield _malformed(f"`{where}` lists {shown(path)} twice.", "E101")
        seen.add(path)
    yield from _conflicts(seen, where, "E101")


def _version(name: str, version: object, known: set[str], used: set[str]) -> Iterator[Fault]:
    """created, state, message, user (§3.5.3)."""
    where = shown(name)
    if not isinstance(version, dict):
        yield _malformed(f"Version {where} must be an object.", "E047")
        return
    if "created" not in version:
        yield _malformed(f"Version {where} has no `created`.", "E048")
    elif not isinstance(version["created"], str) or not _CREATED.fullmatch(version["created"]):
        yield _malformed(f"`created` of {where} must be a time of RFC 3339 with seconds and zone.", "E049")
    if "message" not in version or "user" not in version:
        message = f"Version {where} should say who made it and why."
        yield Fault(code="OCFL_RECOMMENDED", message=message, clause="W007")
    if not isinstance(version.get("message", ""), str):
        yield _malformed(f"`message` of {where} must be text.", "E094")
    user = version.get("user", {"name": ""})
    if not isinstance(user, dict) or not isinstance(user.get("name"), str):
        yield _malformed(f"`user` of {where} must be an object with a `name`.", "E054")
    elif not isinstance(user.get("address", ""), str):
        yield _malformed(f"`address` of the user of {where} must be text.", "E054")
    if "state" not in version:
        yield _malformed(f"Version {where} has no `state`.", "E048")
        return
    state = version["state"]
    if not isinstance(state, dict):
        yield _malformed(f"`state` of {where} must be an object.", "E050")
        return
    yield from _digest_block(state, None, f"state of {name[:20]}", "E050", "E050", "E050")
    used.update(digest.lower() for digest in state)
    missing = sorted({digest.lower() for digest in state} - known)
    if missing:
        message = f"Version {where} has content that is not in the manifest, {shown(missing[0][:24])}."
        yield Fault(code="OCFL_STATE_WRONG", message=message, clause="E050")
    seen: set[str] = set()
    for path in _listed(state):
        if path.startswith("/") or path.endswith("/"):
            message = f"Version {where} has {shown(path)}, which begins or ends with a slash."
            yield Fault(code="OCFL_PATH_UNSAFE", message=message, clause="E053")
        elif any(part in ("", ".", "..") for part in path.split("/")) or not _is_text(path):
            message = f"Version {where} has {shown(path)}, with an empty part, `.`, `..` or what is no text."
            yield Fault(code="OCFL_PATH_UNSAFE", message=message, clause="E052")
        if path in seen:
            message = f"Version {where} lists {shown(path)} twice."
            yield Fault(code="OCFL_STATE_WRONG", message=message, clause="E095")
        seen.add(path)
    yield from _conflicts(seen, f"state of {name[:20]}", "E095")


def _fixity(block: object, manifest: Mapping[str, Any]) -> Iterator[Fault]:
    """Other digests of what the manifest lists (§3.5.4)."""
    if not isinstance(block, dict):
        yield _malformed("`fixity` must be an object.", "E111")
        return
    known = set(_listed(manifest))
    for algorithm, entries in block.items():
        if algorithm not in FIXITY:
            yield _malformed(f"`fixity` has the unknown algorithm {shown(algorithm)}.", "E056")
            continue
        where = f"fixity.{algorithm}"
        if not isinstance(entries, dict):
            yield _malformed(f"`{where}` must be an object.", "E057")
            continue
        yield from _digest_block(entries, FIXITY[algorithm], where, "E057", "E097", "E057")
        for path in _listed(entries):
            if path not in known:
                yield _malformed(f"`{where}` lists {shown(path)}, which is not in the manifest.", "E057")


def states(inventory: Mapping[str, Any], version: str) -> dict[str, frozenset[str]]:
    """Content paths by logical path of a version; of an inventory without faults."""
    content = {digest.lower(): frozenset(paths) for digest, paths in inventory["manifest"].items()}
    state = inventory["versions"][version]["state"]
    return {path: content[digest.lower()] for digest, paths in state.items() for path in paths}


def _is_text(path: str) -> bool:
    """Whether it has no half of a surrogate pair, which JSON can write and UTF-8 cannot."""
    return path.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in path)


def _listed(block: Mapping[str, Any]) -> Iterator[str]:
    for paths in block.values():
        if isinstance(paths, list):
            yield from (path for path in paths if isinstance(path, str))


def _conflicts(paths: set[str], where: str, clause: str) -> Iterator[Fault]:
    for path in sorted(paths):
        end = path.find("/")
        while end != -1:
            if path[:end] in paths:
                yield _malformed(f"`{where}` uses {shown(path[:end])} as a file and as a directory.", clause)
                break
            end = path.find("/", end + 1)


def _malformed(message: str, clause: str) -> Fault:
    return Fault(code="OCFL_INVENTORY_MALFORMED", message=message, clause=clause)
