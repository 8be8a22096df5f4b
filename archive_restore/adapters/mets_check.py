"""Reads a METS package as a stranger would and judges it by the profile `urn:archive-restore:mets-profile:1`.

1. `mets.xml` is well-formed, declares no entities and is valid by `schemas/mets-profile.xsd`.
2. Identifiers resolve: ADMID, DMDID and FILEID here, events, agents and rights inside of PREMIS.
3. Every file lies where it is said to lie, with its size and digests, once in fileSec and once in PREMIS; no other.
4. Record and stories are not mixed (promise P4): the document is of one side, and so is every file and object in it.

Read piece by piece: memory holds a few words a file, never the document. No network, no entities.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

from lxml import etree

from archive_restore.adapters.durable import hash_file
from archive_restore.adapters.premis import PREMIS
from archive_restore.adapters.shipped import shipped
from archive_restore.errors import StorageFailed
from archive_restore.records.findings import Finding, Severity

_METS = "{http://www.loc.gov/METS/}"
_HREF = "{http://www.w3.org/1999/xlink}href"
_DOCUMENT = "mets.xml"
_MOST = 100  # findings; a hostile document must not flood the report
_TOKEN = 300  # characters of a foreign text in a message
_SIDE_OF_USE = {
    "preservation master": "record",
    "preservation derivative": "record",
    "story derivative": "story",
}
_SIDE_OF_DIVISION = {
    "record": "record", "stories": "story", "master": "record", "restoration": "record", "enhancement": "story",
    "colorization": "story", "animation": "story",
}  # fmt: skip
_SECTIONS = ("dmdSec", "techMD", "rightsMD", "digiprovMD")
_CLAUSES = {"METS_INVALID": "METS 1.12", "METS_LINK_BROKEN": "METS 1.12", "METS_PREMIS_DIFFERS": "PREMIS 3.0 §1.5.2"}


def check_package(folder: Path) -> Iterator[Finding]:
    """Judge a package by its `mets.xml` and its files; nothing is found in a good one."""
    check = _Check(folder)
    check.run()
    yield from check.found


@dataclass(frozen=True, kw_only=True)
class _Object:
    """A file as PREMIS tells of it."""

    sha512: str
    sha256: str
    size: str


@dataclass
class _Seen:
    """Words that the document used, for links that lead forwards and backwards."""

    ids: set[str] = field(default_factory=set)
    wanted: set[str] = field(default_factory=set)
    events: set[str] = field(default_factory=set)
    wanted_events: set[str] = field(default_factory=set)
    agents: set[str] = field(default_factory=set)
    wanted_agents: set[str] = field(default_factory=set)
    objects: set[str] = field(default_factory=set)
    wanted_objects: set[str] = field(default_factory=set)
    rights: set[str] = field(default_factory=set)
    wanted_rights: set[str] = field(default_factory=set)


class _Refused(Exception):
    """The document is not read on."""


class _Check:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.found: list[Finding] = []
        self._more = 0
        self._seen = _Seen()
        self._files: dict[str, _Object] = {}
        self._places: set[str] = set()
        self._pointed: set[str] = set()
        self._listed: set[str] = set()
        self._side = ""
        self._use = ""

    def run(self) -> None:
        """All steps; findings gather in `found`."""
        path = self._folder / _DOCUMENT
        if not path.is_file() or path.is_symlink():
            self._add("METS_MISSING", _DOCUMENT, "There is no METS document here")
            return
        try:
            self._read(path)
        except (etree.XMLSyntaxError, _Refused) as exc:
            self._add("METS_INVALID", _DOCUMENT, f"It is not valid by the profile: {_told(exc)}")
            return
        except OSError as exc:
            self._add("METS_UNREADABLE", _DOCUMENT, f"It cannot be read: {exc.strerror}")
            return
        self._links()
        self._strays()
        if self._more:
            self._more, more = 0, self._more
            self.found.append(self._finding("METS_INVALID", _DOCUMENT, f"And {more} more findings of this package"))

    def _read(self, path: Path) -> None:
        """Steps 1 to 4, element by element."""
        handlers: dict[str, Callable[[Any], None]] = {
            **{f"{_METS}{name}": self._section for name in _SECTIONS},
            f"{_METS}file": self._file,
            f"{_METS}div": self._division,
            f"{_METS}fptr": self._pointer,
            f"{{{PREMIS}}}linkingObjectIdentifier": self._linked_object,
            f"{{{PREMIS}}}relationship": self._related_object,
        }
        watched = (*handlers, f"{_METS}mets", f"{_METS}fileGrp", f"{_METS}amdSec")
        with path.open("rb") as data:
            # Never resolve_entities=False here: with a schema, lxml then keeps silent about a document that is cut off.
            events = etree.iterparse(
                data, events=("start", "end"), tag=watched, schema=_profile(), no_network=True, load_dtd=False,
                huge_tree=False, remove_comments=True, remove_pis=True,
            )  # fmt: skip
            for event, element in events:
                if event == "start":
                    self._begin(element)
                    continue
                handler = handlers.get(element.tag)
                if handler:
                    handler(element)
                _forget(element)

    def _begin(self, element: Any) -> None:
        if element.tag == f"{_METS}mets":
            # Before anything that an entity could stand in.
            if element.getroottree().docinfo.doctype:
                raise _Refused("it declares a document type, and nothing here needs one")
            self._side = element.get("TYPE", "")
        elif element.tag == f"{_METS}fileGrp":
            self._use = element.get("USE", "")
            self._same_side(_SIDE_OF_USE.get(self._use, self._side), f"files of the use {self._use!r}")

    def _section(self, element: Any) -> None:
        self._seen.ids.add(element.get("ID", ""))
        kind = element[0].get("MDTYPE", "") if len(element) else ""
        for inner in element.iterfind(f"{_METS}mdWrap/{_METS}xmlData/*"):
            if kind == "PREMIS:OBJECT":
                self._object(element.get("ID", ""), inner)
            elif kind == "PREMIS:EVENT":
                self._seen.events.add(_value(inner, "eventIdentifier"))
                self._seen.wanted_agents.update(_values(inner, "linkingAgentIdentifier"))
            elif kind == "PREMIS:AGENT":
                self._seen.agents.add(_value(inner, "agentIdentifier"))
            elif kind == "PREMIS:RIGHTS":
                self._seen.rights.update(_values(inner, "rightsStatement/premis:rightsStatementIdentifier"))

    def _object(self, identifier: str, element: Any) -> None:
        kind = element.findtext(f"{{{PREMIS}}}objectIdentifier/{{{PREMIS}}}objectIdentifierType") or ""
        self._seen.objects.add(_value(element, "objectIdentifier"))
        self._seen.wanted_events.update(_values(element, "linkingEventIdentifier"))
        self._seen.wanted_rights.update(_values(element, "linkingRightsStatementIdentifier"))
        if kind in ("item", "restoration", "story"):
            self._same_side("story" if kind == "story" else "record", f"a {kind}")
        if kind == "file":
            fixity = {
                part.findtext(f"{{{PREMIS}}}messageDigestAlgorithm"): part.findtext(f"{{{PREMIS}}}messageDigest") or ""
                for part in element.iterfind(f"{{{PREMIS}}}objectCharacteristics/{{{PREMIS}}}fixity")
            }
            self._files[identifier] = _Object(
                sha512=fixity.get("SHA-512", ""),
                sha256=fixity.get("SHA-256", ""),
                size=element.findtext(f"{{{PREMIS}}}objectCharacteristics/{{{PREMIS}}}size") or "",
            )

    def _related_object(self, element: Any) -> None:
        """An item names every file of its own: these links are taken off one by one."""
        if element.findtext(f"{{{PREMIS}}}relationshipType") != "derivation":  # what it was made from lies elsewhere
            self._seen.wanted_objects.update(_values(element, "relatedObjectIdentifier"))

    def _linked_object(self, element: Any) -> None:
        """As `_related_object`, for events."""
        if element.findtext(f"{{{PREMIS}}}linkingObjectRole") != "source":  # what it was made from lies elsewhere
            self._seen.wanted_objects.add(element.findtext(f"{{{PREMIS}}}linkingObjectIdentifierValue") or "")

    def _file(self, element: Any) -> None:
        """Step 3 for one file: the place, then PREMIS, then the bytes."""
        identifier = element.get("ID", "")
        self._seen.ids.add(identifier)
        self._listed.add(identifier)
        about = element.get("ADMID", "").split()
        self._seen.wanted.update(about)
        name = unquote(element.find(f"{_METS}FLocat").get(_HREF, ""), errors="replace")
        if not _safe(name) or name == _DOCUMENT:
            self._add("METS_PATH_UNSAFE", name, "The document names a file outside of its package")
            return
        if name in self._places:
            self._add("METS_INVALID", name, "The document names this file twice")
        self._places.add(name)
        told = [self._files[key] for key in about if key in self._files]
        size, sha512 = element.get("SIZE", ""), element.get("CHECKSUM", "")
        if self._use != "audit log" and len(told) != 1:
            self._add("METS_PREMIS_DIFFERS", name, "PREMIS does not tell of this file, or more than once")
        for one in told:
            if (one.sha512, one.size) != (sha512, size) or not one.sha256:
                self._add("METS_PREMIS_DIFFERS", name, "PREMIS and the list of files say different things of it")
        self._bytes(name, size, sha512, {one.sha256 for one in told})

    def _bytes(self, name: str, size: str, sha512: str, sha256: set[str]) -> None:
        path = self._folder / name
        if path.is_symlink() or not path.is_file() or not _inside(path, self._folder):
            self._add("METS_FILE_MISSING", name, "The document names this file, and it is not here")
            return
        try:
            found = hash_file(path)
        except StorageFailed as exc:
            self._add("METS_UNREADABLE", name, f"It could not be checked: {exc}")
            return
        if (str(found.size), found.sha512) != (size, sha512) or not sha256 <= {found.sha256, ""}:
            self._add("METS_FILE_CHANGED", name, "It is not what the document says; take it from another copy")

    def _division(self, element: Any) -> None:
        kind = element.get("TYPE", "")
        self._same_side(_SIDE_OF_DIVISION.get(kind, self._side), f"a division {kind!r}")
        self._seen.wanted.update(element.get("ADMID", "").split() + element.get("DMDID", "").split())

    def _pointer(self, element: Any) -> None:
        identifier = element.get("FILEID", "")
        if identifier not in self._listed:
            self._add("METS_LINK_BROKEN", _DOCUMENT, f"The structure points to the file {identifier!r}, which is none")
        if identifier in self._pointed:
            self._add("METS_LINK_BROKEN", _DOCUMENT, f"The structure points to the file {identifier!r} twice")
        self._pointed.add(identifier)

    def _same_side(self, side: str, what: str) -> None:
        if side != self._side:
            self._add("METS_SIDES_MIXED", _DOCUMENT, f"This is a package of the {self._side}, and holds {what}")

    def _links(self) -> None:
        """Step 2, and that the structure leaves no file out."""
        seen = self._seen
        for wanted, known, what in (
            (seen.wanted, seen.ids, "a section"),
            (seen.wanted_events, seen.events, "an event"),
            (seen.wanted_agents, seen.agents, "an agent"),
            (seen.wanted_objects, seen.objects, "an object"),
            (seen.wanted_rights, seen.rights, "a rights statement"),
        ):
            for missing in sorted(wanted - known):
                self._add(
                    "METS_LINK_BROKEN", _DOCUMENT, f"It refers to {what}, {missing[:_TOKEN]!r}, that is not there"
                )
        for left_out in sorted(self._listed - self._pointed):
            self._add("METS_LINK_BROKEN", _DOCUMENT, f"The structure leaves out the file {left_out[:_TOKEN]!r}")

    def _strays(self) -> None:
        for folder, names, files in os.walk(self._folder):
            links = [name for name in names if (Path(folder) / name).is_symlink()]
            for name in sorted([*files, *links]):
                place = (Path(folder) / name).relative_to(self._folder).as_posix()
                if place != _DOCUMENT and place not in self._places:
                    self._add("METS_FILE_STRAY", place, "The document does not know this file")

    def _add(self, code: str, subject: str, message: str) -> None:
        if len(self.found) >= _MOST:
            self._more += 1
            return
        self.found.append(self._finding(code, subject, message))

    def _finding(self, code: str, subject: str, message: str) -> Finding:
        return Finding(
            code=code,
            severity=Severity.ERROR,
            subject=subject[:_TOKEN] or _DOCUMENT,
            message=" ".join(message.split()),
            clause=_CLAUSES.get(code, ""),
        )


def _profile() -> etree.XMLSchema:
    """Parsed anew for every document: the errors of one lie in it."""
    path = shipped("schemas") / "mets-profile.xsd"
    return etree.XMLSchema(etree.parse(path, etree.XMLParser(no_network=True, load_dtd=False, resolve_entities=False)))


def _told(exc: Exception) -> str:
    return " ".join(str(exc).split())[:_TOKEN]


def _forget(element: Any) -> None:
    """Free a finished element, and those of its kind before it."""
    parent, before = element.getparent(), element.getprevious()
    if parent is None:
        return
    element.clear()
    while before is not None and before.tag == element.tag:
        parent.remove(before)
        before = element.getprevious()


def _value(element: Any, name: str) -> str:
    return next(_values(element, name), "")


def _values(element: Any, path: str) -> Iterator[str]:
    name = path.rpartition(":")[2]
    for found in element.iterfind(f"premis:{path}", {"premis": PREMIS}):
        yield found.findtext(f"{{{PREMIS}}}{name}Value") or ""


def _safe(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return bool(parts) and not name.startswith("/") and ".." not in parts and "\0" not in name and "\\" not in name


def _inside(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())
