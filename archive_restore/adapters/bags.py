"""Bags as they come in (port Bags): validated, then read for what they say of their pictures.

Everything in a bag is foreign: nothing is read without a limit, XML has neither DTD nor entities, no path is followed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from lxml import etree

from archive_restore.adapters.bagit_validate import Checked, check_bag
from archive_restore.adapters.formats import is_picture_name
from archive_restore.adapters.picture_finder import family_of
from archive_restore.core.bag_description import DUBLIN_CORE
from archive_restore.ports import Bags
from archive_restore.records.bags import Bag, BagFile
from archive_restore.records.findings import Finding, Severity, has_errors

MAX_RECORD = 4 << 20
"""Bytes of a document inside a bag that is read."""
_SHEETS = ("metadata.csv", "metadata/metadata.csv", "data/metadata.csv", "data/metadata/metadata.csv")
"""Where a sheet with a row a file is looked for; in a folder `metadata`, as Archivematica has it, too."""
_DUBLIN_CORE = tuple(
    f"{folder}{name}"
    for folder in ("", "metadata/", "metadata/descriptive/", "data/", "data/metadata/")
    for name in ("dc.xml", "dublincore.xml", "dublin_core.xml", "mets.xml", "METS.xml")
)
_RECORDS = frozenset({"item.json", "derivation.json"})
_NAMESPACES = ("http://purl.org/dc/elements/1.1/", "http://purl.org/dc/terms/")
_METS = "{http://www.loc.gov/METS/}"
_DECLARATION = re.compile(rb"<!\s*(doctype|entity)", re.IGNORECASE)


class FolderBags(Bags):
    """Bags in directories."""

    def read(self, path: Path, subject: str) -> Bag:
        """See ports.Bags."""
        checked = check_bag(path, subject)
        if has_errors(checked.findings):
            return Bag(version=checked.version, findings=tuple(checked.findings))
        findings = list(checked.findings)
        sheet_path = next((name for name in _SHEETS if name in checked.payload or name in checked.tags), "")
        core: dict[str, str] = {}
        for name in _DUBLIN_CORE:
            if name in checked.payload or name in checked.tags:
                for element, text in _dublin_core(path, name, subject, findings):
                    core[element] = f"{core[element]}; {text}" if element in core else text
                break
        return Bag(
            version=checked.version,
            info=tuple(checked.info),
            payload=tuple(_payload(path, checked)),
            tag_files=tuple(sorted(checked.tags)),
            sheet=_document(path, sheet_path, subject, findings) if sheet_path else None,
            sheet_path=sheet_path,
            dublin_core=core,
            records=dict(_records(path, checked, subject, findings)),
            findings=tuple(findings),
        )


def _payload(bag: Path, checked: Checked) -> Iterator[BagFile]:
    for path, size in sorted(checked.payload.items()):
        known = is_picture_name(path) or bool(family_of(_head(bag / path)))
        yield BagFile(path=path, size=size, digests=checked.digests.get(path, {}), is_picture=known)


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(12)
    except OSError:
        return b""


def _records(bag: Path, checked: Checked, subject: str, findings: list[Finding]) -> Iterator[tuple[str, bytes]]:
    for path in sorted(checked.payload):
        if path.rsplit("/", 1)[-1] in _RECORDS:
            data = _document(bag, path, subject, findings)
            yield path, data or b""


def _document(bag: Path, name: str, subject: str, findings: list[Finding]) -> bytes | None:
    """A small document; None, and a finding, where it cannot be read or is too large."""
    try:
        with (bag / name).open("rb") as file:
            data = file.read(MAX_RECORD + 1)
    except OSError as exc:
        findings.append(_not_used(f"{subject}: {name}", f"It cannot be read: {exc.strerror}."))
        return None
    if len(data) > MAX_RECORD:
        findings.append(_not_used(f"{subject}: {name}", f"It has more than {MAX_RECORD:,} bytes."))
        return None
    return data


def _dublin_core(bag: Path, name: str, subject: str, findings: list[Finding]) -> list[tuple[str, str]]:
    """(element, text) of the Dublin Core in an XML file: its own, or those of the first dmdSec of a METS."""
    data = _document(bag, name, subject, findings)
    if data is None:
        return []
    where = f"{subject}: {name}"
    if _DECLARATION.search(data):
        findings.append(_not_used(where, "It declares a document type or entities, which are never expanded."))
        return []
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as exc:
        findings.append(_not_used(where, f"It is not well-formed XML: {' '.join(str(exc).split())[:200]}."))
        return []
    if root.getroottree().docinfo.internalDTD is not None:
        findings.append(_not_used(where, "It declares a document type, which is never read."))
        return []
    if root.tag == f"{_METS}mets":
        sections = root.iterfind(f"{_METS}dmdSec/{_METS}mdWrap[@MDTYPE='DC']/{_METS}xmlData")
        section = next(sections, None)
        return [] if section is None else list(_elements(section))
    return list(_elements(root))


def _elements(root: etree._Element) -> Iterator[tuple[str, str]]:
    for element in root.iter("{*}*"):
        name = etree.QName(element)
        text = " ".join("".join(str(part) for part in element.itertext()).split())
        if name.namespace in _NAMESPACES and name.localname in DUBLIN_CORE and text:
            yield name.localname, text


def _not_used(subject: str, message: str) -> Finding:
    return Finding(code="BAG_METADATA_UNUSABLE", severity=Severity.WARNING, subject=subject, message=message)
