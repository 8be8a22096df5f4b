"""PREMIS 3 XML of masters and restorations (PREMIS Data Dictionary 3.0; namespace http://www.loc.gov/premis/v3).

A restoration is the `creation` of a new object that has the master for its source; the master itself is never
said to be modified. Takes records, returns bytes; reads no schema and no file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from lxml import etree

from archive_restore.core.canonical import canonical_bytes
from archive_restore.ports import Digests
from archive_restore.records.objects import FileFacts, Master
from archive_restore.records.preservation import PreservationDerivation
from archive_restore.records.provenance import Event, ModelUse, SoftwareAgent

PREMIS = "http://www.loc.gov/premis/v3"
OURS = "urn:archive-restore:premis:1"
"""Namespace of our elements inside eventDetailExtension."""

_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_P, _A = f"{{{PREMIS}}}", f"{{{OURS}}}"
_NAMESPACES = {"premis": PREMIS, "xsi": _XSI, "ar": OURS}
_EVENT_TYPES = {
    "authority": "eventType",
    "authorityURI": "http://id.loc.gov/vocabulary/preservation/eventType",
}
_PROGRAM = "archive-restore"
_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""XML 1.0 §2.2: what no document may hold, even escaped."""
_FORMATS = {
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".json": "application/json",
    ".html": "text/html",
    ".xml": "application/xml",
    ".c2pa": "application/c2pa",
}
_PROPERTIES = ("title", "creator", "date", "coverage", "identifier")


def master_premis(master: Master, events: Sequence[Event]) -> bytes:
    """The item (intellectual entity) and its master file, the events so far, agents and rights; UTF-8 XML."""
    ref, name = str(master.ref), master.file.name
    root = _root()
    item = _entity(root, ref)
    for prop in _PROPERTIES:
        _property(item, prop, getattr(master.description, prop))
    if master.description.source_type is not None:
        _property(item, "digital source type", master.description.source_type.value)
    _relationship(item, "structural", "is represented by", "file", _file_id(ref, name))
    rights = master.description.rights
    _link_rights(item, ref, rights)
    file = _file(root, ref, name, master.file)
    if master.picture is not None:
        where = file.find(f"{_P}objectCharacteristics")
        for prop, value in (
            ("width in pixels", master.picture.width),
            ("height in pixels", master.picture.height),
            ("bits a sample", master.picture.bits),
            ("samples a pixel", master.picture.samples),
        ):
            element = etree.Element(f"{_P}significantProperties")
            _text(element, "significantPropertiesType", prop)
            _text(element, "significantPropertiesValue", str(value))
            if where is not None:
                where.addprevious(element)
    _text(file, "originalName", name)
    _relationship(file, "structural", "represents", "item", ref)
    _link_events(file, events)
    _link_rights(file, ref, rights)
    for event in events:
        _event(root, event, [("file", _file_id(ref, name))])
    _agents(root, events)
    if rights:
        _rights(root, ref, rights)
    return _bytes(root)


def preservation_premis(
    derivation: PreservationDerivation, events: Sequence[Event], files: Mapping[str, Digests]
) -> bytes:
    """A restoration: a new object with the master for its source, every stored file, and how it was made.

    `files` are the stored files by name. The `creation` event carries recipe, steps, seed, materials, models and the
    digest of the map in eventDetailExtension, in the namespace OURS.
    """
    ref = str(derivation.ref)
    root = _root()
    creation = next((event for event in events if event.type == "creation"), None)
    entity = _entity(root, ref)
    source = _relationship(entity, "derivation", "has source", "item", str(derivation.parent))
    if creation is not None:
        related = _child(source, "relatedEventIdentifier")
        _text(related, "relatedEventIdentifierType", "UUID")
        _text(related, "relatedEventIdentifierValue", creation.event_id)
    for name in files:
        _relationship(entity, "structural", "is represented by", "file", _file_id(ref, name))
    mimes = {product.name: product.mime for product in derivation.products}
    for name, digests in files.items():
        mime = mimes.get(name) or _FORMATS.get(PurePath(name).suffix.lower(), "application/octet-stream")
        facts = FileFacts(
            name=name, size=digests.size, sha512=digests.sha512, sha256=digests.sha256, puid="", mime=mime
        )
        file = _file(root, ref, name, facts)
        _relationship(file, "structural", "represents", "restoration", ref)
        _link_events(file, events)
    for event in events:
        made = [("file", _file_id(ref, name)) for name in files]
        if event is creation:
            element = _event(root, event, made, derivation)
            _linking_object(element, "item", str(derivation.parent), "source")
        else:
            _event(root, event, made)
    _agents(root, events, derivation.environment.agents, derivation.environment.models)
    return _bytes(root)


def agents() -> tuple[SoftwareAgent, ...]:
    """The library that writes the XML."""
    return (SoftwareAgent(name="lxml", version=etree.__version__, role="PREMIS"),)


# --- objects -----------------------------------------------------------------------------------------


def _root() -> Any:
    return etree.Element(f"{_P}premis", {"version": "3.0"}, nsmap=_NAMESPACES)


def _entity(root: Any, ref: str) -> Any:
    element = _object(root, "intellectualEntity")
    _identifier(element, "objectIdentifier", "item" if "/" not in ref else "restoration", ref)
    return element


def _file(root: Any, ref: str, name: str, facts: FileFacts) -> Any:
    element = _object(root, "file")
    _identifier(element, "objectIdentifier", "file", _file_id(ref, name))
    characteristics = _child(element, "objectCharacteristics")
    for algorithm, digest in (("SHA-512", facts.sha512), ("SHA-256", facts.sha256)):
        fixity = _child(characteristics, "fixity")
        _text(fixity, "messageDigestAlgorithm", algorithm)
        _text(fixity, "messageDigest", digest)
        _text(fixity, "messageDigestOriginator", _PROGRAM)
    _text(characteristics, "size", str(facts.size))
    form = _child(characteristics, "format")
    designation = _child(form, "formatDesignation")
    _text(designation, "formatName", facts.mime)
    if facts.puid and facts.puid != "UNKNOWN":
        registry = _child(form, "formatRegistry")
        _text(registry, "formatRegistryName", "PRONOM")
        _text(registry, "formatRegistryKey", facts.puid)
        _text(registry, "formatRegistryRole", "specification")
    if facts.format_name:
        _text(form, "formatNote", facts.format_name)
    return element


def _object(root: Any, kind: str) -> Any:
    return etree.SubElement(root, f"{_P}object", {f"{{{_XSI}}}type": f"premis:{kind}"})


def _file_id(ref: str, name: str) -> str:
    """A colon cannot stand in a REF, so this is unambiguous."""
    return f"{ref}:{name}"


def _property(parent: Any, kind: str, value: str) -> None:
    if value:
        element = _child(parent, "significantProperties")
        _text(element, "significantPropertiesType", kind)
        _text(element, "significantPropertiesValue", value)


def _relationship(parent: Any, kind: str, sub_type: str, object_type: str, value: str) -> Any:
    element = _child(parent, "relationship")
    _text(element, "relationshipType", kind)
    _text(element, "relationshipSubType", sub_type)
    _identifier(element, "relatedObjectIdentifier", object_type, value)
    return element


def _link_events(parent: Any, events: Iterable[Event]) -> None:
    for event in events:
        _identifier(parent, "linkingEventIdentifier", "UUID", event.event_id)


def _link_rights(parent: Any, ref: str, rights: str) -> None:
    if rights:
        _identifier(parent, "linkingRightsStatementIdentifier", "rights", f"{ref}:rights")


def _rights(root: Any, ref: str, rights: str) -> None:
    statement = _child(_child(root, "rights"), "rightsStatement")
    _identifier(statement, "rightsStatementIdentifier", "rights", f"{ref}:rights")
    _text(statement, "rightsBasis", "other")
    other = _child(statement, "otherRightsInformation")
    _text(other, "otherRightsBasis", "as stated by those who gave the item in")
    _text(other, "otherRightsNote", rights)
    _identifier(statement, "linkingObjectIdentifier", "item", ref)


# --- events and agents -------------------------------------------------------------------------------


def _event(
    root: Any, event: Event, objects: Sequence[tuple[str, str]], derivation: PreservationDerivation | None = None
) -> Any:
    element = _child(root, "event")
    _identifier(element, "eventIdentifier", "UUID", event.event_id)
    _text(element, "eventType", event.type, _EVENT_TYPES)
    _text(element, "eventDateTime", event.date_time)
    information = _child(element, "eventDetailInformation")
    _text(information, "eventDetail", event.detail)
    if event.digests or derivation is not None:
        extension = _child(information, "eventDetailExtension")
        for name, digest in event.digests.items():
            algorithm, _, value = digest.partition(":")
            _ours(extension, "digest", {"name": name, "algorithm": algorithm}, value)
        if derivation is not None:
            _derivation(extension, derivation)
    _text(_child(element, "eventOutcomeInformation"), "eventOutcome", event.outcome)
    _linking_agent(element, event.agent, "executing program" if _is_program(event.agent) else "implementer")
    if derivation is not None:
        for agent in derivation.environment.agents:
            _linking_agent(element, f"{agent.name} {agent.version}", agent.role)
        for model in derivation.environment.models:
            _linking_agent(element, f"{model.name} {model.version}", "trained model")
    for kind, value in objects:
        _linking_object(element, kind, value, "outcome" if derivation is not None else "")
    return element


def _derivation(extension: Any, derivation: PreservationDerivation) -> None:
    element = _ours(
        extension,
        "derivation",
        {
            "id": derivation.derivation_id,
            "seed": str(derivation.seed),
            "tile": str(derivation.tile),
            "determinism": derivation.environment.determinism.value,
            "device": derivation.environment.device,
            "platform": derivation.environment.platform,
            "started": derivation.started,
            "ended": derivation.ended,
        },
    )
    for material in derivation.materials:
        _ours(
            element,
            "material",
            {"role": material.role, "ref": material.ref, "sha512": material.sha512, "sha256": material.sha256},
        )
    _ours(element, "recipe", {"name": derivation.recipe.name}, canonical_bytes(derivation.recipe).decode())
    for run in derivation.steps:
        attributes = {"name": run.step, "version": run.version, "action": run.action}
        if run.digital_source_type:
            attributes["digitalSourceType"] = run.digital_source_type
        found = {"parameters": run.parameters, "survey": run.survey}
        _ours(element, "step", attributes, canonical_bytes(found).decode())
    for model in derivation.environment.models:
        _ours(
            element,
            "model",
            {
                "name": model.name,
                "version": model.version,
                "sha256": model.sha256,
                "cardSha256": model.card_sha256,
                "licence": model.licence,
            },
        )
    _ours(element, "synthesisMap", {"sha256": derivation.map.sha256, "masterSha256": derivation.map.master_sha256})


def _linking_agent(parent: Any, name: str, role: str) -> None:
    element = _identifier(parent, "linkingAgentIdentifier", "name", name)
    _text(element, "linkingAgentRole", role)


def _linking_object(parent: Any, kind: str, value: str, role: str = "") -> None:
    element = _identifier(parent, "linkingObjectIdentifier", kind, value)
    if role:
        _text(element, "linkingObjectRole", role)


def _agents(
    root: Any, events: Iterable[Event], software: Iterable[SoftwareAgent] = (), models: Iterable[ModelUse] = ()
) -> None:
    seen = set()
    named = [(event.agent, "software" if _is_program(event.agent) else "person", "", "") for event in events]
    named += [(agent.name, "software", agent.version, agent.role) for agent in software]
    named += [
        (model.name, "software", model.version, f"trained model, weights sha256 {model.sha256}") for model in models
    ]
    for name, kind, version, note in named:
        identifier = f"{name} {version}".rstrip()
        if identifier in seen:
            continue
        seen.add(identifier)
        element = _child(root, "agent")
        _identifier(element, "agentIdentifier", "name", identifier)
        _text(element, "agentName", name)
        _text(element, "agentType", kind)
        if version:
            _text(element, "agentVersion", version)
        if note:
            _text(element, "agentNote", note)


def _is_program(agent: str) -> bool:
    return agent.split(" ")[0] == _PROGRAM


# --- elements ----------------------------------------------------------------------------------------


def _child(parent: Any, name: str) -> Any:
    return etree.SubElement(parent, _P + name)


def _text(parent: Any, name: str, value: str, attributes: dict[str, str] | None = None) -> None:
    etree.SubElement(parent, _P + name, attributes or {}).text = _legal(value)


def _identifier(parent: Any, name: str, kind: str, value: str) -> Any:
    element = _child(parent, name)
    _text(element, f"{name}Type", kind)
    _text(element, f"{name}Value", value)
    return element


def _ours(parent: Any, name: str, attributes: Mapping[str, str], text: str = "") -> Any:
    element = etree.SubElement(parent, _A + name, {key: _legal(value) for key, value in attributes.items()})
    if text:
        element.text = _legal(text)
    return element


def _legal(value: str) -> str:
    """Text with every character that XML forbids replaced, so that a hostile file name cannot stop an ingest."""
    return _ILLEGAL.sub("\ufffd", value)


def _bytes(root: Any) -> bytes:
    return bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True))
