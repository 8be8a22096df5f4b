"""METS 1.12 packages: the files of one item, and one document that describes them all.

`mets.xml` holds Dublin Core, PREMIS 3 (objects, events, agents, rights), MIX of pictures, digests of every file, and a
structural map that tells record from story. It is written element by element, so that its size takes no memory. Its
form is that of `schemas/mets-profile.xsd`; see adapters.mets_check. Opens no schema and no network.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

from lxml import etree

from archive_restore.adapters import premis
from archive_restore.adapters.durable import (
    WRITABLE,
    copy_hashed,
    storage_errors,
    write_hashed,
)
from archive_restore.adapters.log_evidence import evidence
from archive_restore.adapters.mets_check import check_package
from archive_restore.adapters.mix import MIX, picture_mix
from archive_restore.adapters.ocfl_layout import path_problem
from archive_restore.adapters.premis import Node, xml_text
from archive_restore.core.access_claims import DUBLIN_CORE
from archive_restore.core.labels import plain_text
from archive_restore.errors import SelfCheckFailed, SeparationViolated
from archive_restore.ports import Digests, Exporter
from archive_restore.records.findings import Finding
from archive_restore.records.objects import FileFacts, Master
from archive_restore.records.packages import Package, PackedFile, PackedVersion, Side
from archive_restore.records.stories import StoryDerivation

METS = "http://www.loc.gov/METS/"
PROFILE = "urn:archive-restore:mets-profile:1"
"""Name of the profile that `schemas/mets-profile.xsd` and adapters.mets_check hold a document against."""
DOCUMENT = "mets.xml"
SIDE_WORDS = {
    Side.RECORD: "The record: what was digitized, and restorations of it in which every pixel that is not marked in "
    "the map equals it bit for bit.",
    Side.STORIES: "Stories told from a photograph: they show what may have been, not what the camera recorded, and "
    "are no evidence.",
}
"""What the structural map says of each side."""
_OTHER_SIDE = {
    Side.RECORD: "Stories told from this item lie in a package of their own; they are no part of the record.",
    Side.STORIES: "The record of this item lies in a package of its own.",
}
_USES = {"master": "preservation master", "restoration": "preservation derivative"}
_NAMESPACES = {
    "mets": METS,
    "premis": premis.PREMIS,
    "ar": premis.OURS,
    "mix": MIX,
    "dc": "http://purl.org/dc/elements/1.1/",
    "xlink": "http://www.w3.org/1999/xlink",
    "xsi": "http://www.w3.org/2001/XMLSchema-instance",
}


class MetsExporter(Exporter):
    """The `Exporter` port: `mets.xml` beside one folder a version."""

    name = "mets"
    seal = DOCUMENT

    def write(self, package: Package, to: Path) -> None:
        """See ports.Exporter."""
        if mixed := package.mixed():
            raise SeparationViolated(f"{mixed[0]} is not of the side {package.side.value}", hint="Please report this")
        for version in package.versions:
            for file in version.files:
                _copy(file, to / folder_of(version) / file.name)
        log = [_kept(to, name, data) for name, data in evidence(package).items()]
        path = to / DOCUMENT
        with storage_errors("writing", path), path.open("xb") as out:
            write_document(package, log, out)

    def check(self, to: Path) -> Iterator[Finding]:
        """See ports.Exporter; `mets.xml` is read piece by piece too."""
        yield from check_package(to)


def folder_of(version: PackedVersion) -> str:
    """Folder of a version in its package: `master`, `restoration-2`."""
    record = version.record
    return "master" if isinstance(record, Master) else f"{record.ref.kind.value}-{record.ref.version}"


def _copy(file: PackedFile, target: Path) -> None:
    if problem := path_problem(file.name):
        raise SelfCheckFailed(
            f"the name {file.name!r} of a file of {file.ref} {problem}",
            hint=f"Run: archive-restore verify {file.ref}",
        )
    with storage_errors("making", target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
    found = copy_hashed(file.path, target, mode=WRITABLE)
    if (found.size, found.sha512, found.sha256) != (file.size, file.sha512, file.sha256):
        raise SelfCheckFailed(
            f"{file.name!r} of {file.ref} is not what the archive says it is",
            hint=f"Run: archive-restore verify {file.ref}",
        )


def write_document(package: Package, log: Sequence[LogFile], out: BinaryIO) -> None:
    """Write the METS document of a package, with files of the audit log that lie in it, element by element."""
    with etree.xmlfile(out, encoding="UTF-8") as xml:
        xml.write_declaration()
        _Document(xml, package, log).write()


@dataclass(frozen=True, kw_only=True)
class LogFile:
    """A file of the audit log in a package."""

    name: str
    """Path inside the package."""
    digests: Digests


def _kept(to: Path, name: str, data: bytes) -> LogFile:
    target = to / name
    with storage_errors("making", target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
    return LogFile(name=name, digests=write_hashed(target, data, mode=WRITABLE))


# --- the document ------------------------------------------------------------------------------------


class _Document:
    """Writes one METS document from the top; holds nothing but the agents that were named so far."""

    def __init__(self, xml: Any, package: Package, log: Sequence[LogFile]) -> None:
        self._xml, self._package, self._log = xml, package, log
        self._agents: dict[str, Node] = {}

    def write(self) -> None:
        """The sections in the order that METS asks for."""
        package = self._package
        about = package.master.description
        head = {
            "OBJID": package.master.ref.item_id,
            "LABEL": plain_text(about.title, 500) or package.master.ref.item_id,
            "TYPE": "record" if package.side is Side.RECORD else "story",
            "PROFILE": PROFILE,
        }
        with self._xml.element(_qualified("mets:mets"), _clean(head), nsmap=_NAMESPACES):
            self._put(self._header())
            self._put(_section("dmdSec", "dmd", "DC", self._dublin_core()))
            more = list(self._more_description())
            if more:
                self._put(_section("dmdSec", "dmd-more", "OTHER", more, other="archive-restore description"))
            for number, version in enumerate(package.versions, 1):
                self._put(self._administration(f"v{number}", version))
            sections = (
                _section("digiprovMD", f"a{number}", "PREMIS:AGENT", [agent])
                for number, agent in enumerate(self._agents.values(), 1)
            )
            if self._agents:
                self._put(_mets("amdSec", {"ID": "agents"}, sections))
            self._put(_mets("fileSec", {}, self._file_groups()))
            self._put(_mets("structMap", {"TYPE": "logical"}, [self._structure()]))

    def _put(self, node: Node) -> None:
        _emit(self._xml, node)
        self._xml.write("\n")

    def _header(self) -> Node:
        package = self._package
        program = {"ROLE": "CREATOR", "TYPE": "OTHER", "OTHERTYPE": "SOFTWARE"}
        agents = [_mets("agent", program, [_mets("name", {}, package.agent)])]
        if package.organization:
            custodian = {"ROLE": "CUSTODIAN", "TYPE": "ORGANIZATION"}
            agents.append(_mets("agent", custodian, [_mets("name", {}, package.organization)]))
        return _mets("metsHdr", {"CREATEDATE": package.made}, agents)

    def _dublin_core(self) -> Iterator[Node]:
        description, item = self._package.master.description, self._package.master.ref.item_id
        for name in DUBLIN_CORE:
            value = getattr(description, name)
            if name == "identifier" and value != item:
                yield "dc:identifier", {}, item
            if value:
                yield f"dc:{name}", {}, value

    def _more_description(self) -> Iterator[Node]:
        description = self._package.master.description
        if description.source_type:
            yield "ar:sourceType", {}, description.source_type.value
        for name, value in description.extra.items():
            yield "ar:column", {"name": name}, value

    def _administration(self, key: str, version: PackedVersion) -> Node:
        """PREMIS and MIX of one version (METS 1.12, amdSec: techMD, rightsMD, then digiprovMD)."""
        said = premis.parts(version.record, version.events, lambda: map(_facts, version.files))
        models = 0 if isinstance(version.record, Master) else len(version.record.environment.models)

        def sections() -> Iterator[Node]:
            ids = [f"{key}-o", *(f"{key}-model{number}" for number in range(1, models + 1))]
            for identifier in ids:
                yield _section("techMD", identifier, "PREMIS:OBJECT", [next(said.objects)])
            for number, node in enumerate(said.objects, 1):
                yield _section("techMD", f"{key}-o{number}", "PREMIS:OBJECT", [node])
                mix = picture_mix(version.record, version.files[number - 1].name)
                if mix is not None:
                    yield _section("techMD", f"{key}-i{number}", "NISOIMG", [mix])
            for number, node in enumerate(said.rights, 1):
                yield _section("rightsMD", f"{key}-r{number}", "PREMIS:RIGHTS", [node])
            for number, node in enumerate(said.events, 1):
                yield _section("digiprovMD", f"{key}-e{number}", "PREMIS:EVENT", [node])
            for identifier, agent in said.agents:
                self._agents.setdefault(identifier, agent)

        return _mets("amdSec", {"ID": key}, sections())

    def _file_groups(self) -> Iterator[Node]:
        for number, version in enumerate(self._package.versions, 1):
            yield _mets("fileGrp", {"ID": f"v{number}-files", "USE": _use(version)}, _files(f"v{number}", version))
        if self._log:
            log = (_log_file(number, file) for number, file in enumerate(self._log, 1))
            yield _mets("fileGrp", {"ID": "log-files", "USE": "audit log"}, log)

    def _structure(self) -> Node:
        package = self._package
        versions = [_division(number, version) for number, version in enumerate(package.versions, 1)]
        label = {"TYPE": package.side.value, "LABEL": SIDE_WORDS[package.side]}
        inner = [_mets("div", label, versions)]
        if self._log:
            pointers = (_mets("fptr", {"FILEID": f"log{number}"}, []) for number in range(1, len(self._log) + 1))
            inner.append(_mets("div", {"TYPE": "audit log", "LABEL": "What the audit log tells of it"}, pointers))
        if package.companion:
            other = {"LOCTYPE": "URL", "xlink:type": "simple", "xlink:href": quote(f"{package.companion}/{DOCUMENT}")}
            about = {"TYPE": "other side", "LABEL": _OTHER_SIDE[package.side]}
            inner.append(_mets("div", about, [_mets("mptr", other, [])]))
        return _mets("div", {"TYPE": "item", "LABEL": package.master.ref.item_id, "DMDID": self._descriptions()}, inner)

    def _descriptions(self) -> str:
        return "dmd dmd-more" if any(True for _ in self._more_description()) else "dmd"


def _division(number: int, version: PackedVersion) -> Node:
    """One version: what is said of it as a whole, and pointers to its files."""
    key = f"v{number}"
    about = [f"{key}-o", *(f"{key}-e{event}" for event in range(1, len(version.events) + 1))]
    if isinstance(version.record, Master):
        kind = "master"
        about += [f"{key}-r1"] if version.record.description.rights else []
    else:
        kind = version.record.ref.kind.value
        about += [f"{key}-model{model}" for model in range(1, len(version.record.environment.models) + 1)]
    attributes = {"TYPE": kind, "ORDER": str(number), "LABEL": version.ref, "ADMID": " ".join(about)}
    pointers = (_mets("fptr", {"FILEID": f"{key}-f{file}"}, []) for file in range(1, len(version.files) + 1))
    return _mets("div", attributes, pointers)


def _files(key: str, version: PackedVersion) -> Iterator[Node]:
    folder = folder_of(version)
    for number, file in enumerate(version.files, 1):
        about = f"{key}-o{number}"
        if picture_mix(version.record, file.name) is not None:
            about += f" {key}-i{number}"
        digests = Digests(size=file.size, sha512=file.sha512, sha256=file.sha256)
        yield _file(f"{key}-f{number}", f"{folder}/{file.name}", file.mime, digests, about)


def _log_file(number: int, file: LogFile) -> Node:
    return _file(f"log{number}", file.name, "text/plain", file.digests)


def _file(identifier: str, name: str, mime: str, digests: Digests, about: str = "") -> Node:
    attributes = {
        "ID": identifier,
        "MIMETYPE": mime,
        "SIZE": str(digests.size),
        "CHECKSUM": digests.sha512,
        "CHECKSUMTYPE": "SHA-512",
    }
    if about:
        attributes["ADMID"] = about
    place = {"LOCTYPE": "URL", "xlink:type": "simple", "xlink:href": quote(name)}
    return _mets("file", attributes, [_mets("FLocat", place, [])])


def _use(version: PackedVersion) -> str:
    if isinstance(version.record, StoryDerivation):
        return "story derivative"
    return _USES["master" if isinstance(version.record, Master) else version.record.ref.kind.value]


def _facts(file: PackedFile) -> FileFacts:
    return FileFacts(
        name=file.name, size=file.size, sha512=file.sha512, sha256=file.sha256, puid="", mime=file.mime
    )  # fmt: skip


# --- elements ----------------------------------------------------------------------------------------


def _mets(name: str, attributes: dict[str, str], content: str | Iterable[Node]) -> Node:
    return f"mets:{name}", attributes, content


def _section(name: str, identifier: str, kind: str, content: Iterable[Node], *, other: str = "") -> Node:
    wrap = {"MDTYPE": kind, "MIMETYPE": "text/xml", **({"OTHERMDTYPE": other} if other else {})}
    return _mets(name, {"ID": identifier}, [_mets("mdWrap", wrap, [_mets("xmlData", {}, content)])])


def _emit(xml: Any, node: Node) -> None:
    name, attributes, content = node
    with xml.element(_qualified(name), _clean(attributes)):
        if isinstance(content, str):
            if content:
                xml.write(xml_text(content))
        else:
            for child in content:
                _emit(xml, child)


def _clean(attributes: Any) -> dict[str, str]:
    return {_qualified(key): xml_text(value) for key, value in attributes.items()}


@functools.cache
def _qualified(name: str) -> str:
    prefix, _, local = name.rpartition(":")
    return f"{{{_NAMESPACES[prefix]}}}{local}" if prefix else local
