"""PREMIS 3 XML of masters and derivatives (PREMIS Data Dictionary 3.0; namespace http://www.loc.gov/premis/v3).

A derivative is the `creation` of a new object that has its parent for its source; the master itself is never
said to be modified. Takes records, returns bytes; reads no schema and no file. Written as text, three times as fast
as through an element tree: a thousand small files are ingested in a few seconds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import TypeAlias
from xml.sax.saxutils import escape, quoteattr

from archive_restore.core.canonical import canonical_bytes
from archive_restore.ports import Digests
from archive_restore.records.objects import FileFacts, Master, MasterRef
from archive_restore.records.preservation import PreservationDerivation
from archive_restore.records.provenance import Event, ModelUse, SoftwareAgent
from archive_restore.records.stories import StoryDerivation, StoryRef

PREMIS = "http://www.loc.gov/premis/v3"
OURS = "urn:archive-restore:premis:1"
"""Namespace of our elements inside eventDetailExtension."""

_ROOT = (
    f'<premis:premis xmlns:premis="{PREMIS}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
    f'xmlns:ar="{OURS}" version="3.0">'
)
_EVENT_TYPES = {
    "authority": "eventType",
    "authorityURI": "http://id.loc.gov/vocabulary/preservation/eventType",
}
_PROGRAM = "archive-restore"
_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""XML 1.0 §2.2: what no document may hold, even escaped."""
_SPECIAL = re.compile("[&<>\r]")
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


Node: TypeAlias = "tuple[str, Mapping[str, str], str | list[Node]]"
"""An element: qualified name, attributes, and its text or its children."""


def master_premis(master: Master, events: Sequence[Event]) -> bytes:
    """The item (intellectual entity) and its master file, the events so far, agents and rights; UTF-8 XML."""
    ref, name, description = str(master.ref), master.file.name, master.description
    file_id = _file_id(ref, name)
    properties = {prop: getattr(description, prop) for prop in _PROPERTIES}
    properties["digital source type"] = description.source_type.value if description.source_type else ""
    rights = _rights_link(ref) if description.rights else []
    item = _object(
        "intellectualEntity",
        [
            _identifier("objectIdentifier", "item", ref),
            *_significant(properties),
            _relationship("structural", "is represented by", "file", file_id),
            *rights,
        ],
    )
    pixels = {}
    if master.picture is not None:
        pixels = {
            "width in pixels": str(master.picture.width),
            "height in pixels": str(master.picture.height),
            "bits a sample": str(master.picture.bits),
            "samples a pixel": str(master.picture.samples),
        }
    file = _object(
        "file",
        [
            _identifier("objectIdentifier", "file", file_id),
            *_significant(pixels),
            _characteristics(master.file),
            _text("originalName", name),
            _relationship("structural", "represents", "item", ref),
            *_event_links(events),
            *rights,
        ],
    )
    nodes = [item, file]
    nodes += [_event(event, [_linking_object("file", file_id)]) for event in events]
    nodes += _agents(events)
    if description.rights:
        nodes.append(_rights(ref, description.rights))
    return _document(nodes)


def preservation_premis(
    derivation: PreservationDerivation, events: Sequence[Event], files: Mapping[str, Digests]
) -> bytes:
    """A restoration: a new object with the master for its source, every stored file, and how it was made.

    `files` are the stored files by name. The `creation` event carries recipe, steps, seed, materials, models and the
    digest of the map in eventDetailExtension, in the namespace OURS.
    """
    return _derivative_premis(derivation, "restoration", "item", events, files)


def story_premis(derivation: StoryDerivation, events: Sequence[Event], files: Mapping[str, Digests]) -> bytes:
    """A story: a new object with what it was made from for its source; otherwise as `preservation_premis`.

    Decisions of people and notes stand in the extension of the `creation` event too.
    """
    parent = derivation.parent
    source = "item" if isinstance(parent, MasterRef) else "story" if isinstance(parent, StoryRef) else "restoration"
    return _derivative_premis(derivation, "story", source, events, files)


def _derivative_premis(
    derivation: PreservationDerivation | StoryDerivation,
    word: str,
    source: str,
    events: Sequence[Event],
    files: Mapping[str, Digests],
) -> bytes:
    ref, parent = str(derivation.ref), str(derivation.parent)
    creation = next((event for event in events if event.type == "creation"), None)
    related = [_identifier("relatedEventIdentifier", "UUID", creation.event_id)] if creation else []
    entity = _object(
        "intellectualEntity",
        [
            _identifier("objectIdentifier", word, ref),
            _relationship("derivation", "has source", source, parent, related),
            *(_relationship("structural", "is represented by", "file", _file_id(ref, name)) for name in files),
        ],
    )
    alternatives = derivation.alternatives if isinstance(derivation, StoryDerivation) else ()
    mimes = {product.name: product.mime for product in (*derivation.products, *alternatives)}
    nodes = [entity]
    for name, digests in files.items():
        mime = mimes.get(name) or _FORMATS.get(PurePath(name).suffix.lower(), "application/octet-stream")
        facts = FileFacts(
            name=name, size=digests.size, sha512=digests.sha512, sha256=digests.sha256, puid="", mime=mime
        )
        nodes.append(
            _object(
                "file",
                [
                    _identifier("objectIdentifier", "file", _file_id(ref, name)),
                    _characteristics(facts),
                    _relationship("structural", "represents", word, ref),
                    *_event_links(events),
                ],
            )
        )
    made = [_file_id(ref, name) for name in files]
    for event in events:
        if event is creation:
            outcome = [_linking_object("file", value, "outcome") for value in made]
            nodes.append(_event(event, [*outcome, _linking_object(source, parent, "source")], derivation))
        else:
            nodes.append(_event(event, [_linking_object("file", value) for value in made]))
    nodes += _agents(events, derivation.environment.agents, derivation.environment.models)
    return _document(nodes)


# --- objects -----------------------------------------------------------------------------------------


def _object(kind: str, children: list[Node]) -> Node:
    return "premis:object", {"xsi:type": f"premis:{kind}"}, children


def _characteristics(facts: FileFacts) -> Node:
    form = [_node("formatDesignation", [_text("formatName", facts.mime)])]
    if facts.puid and facts.puid != "UNKNOWN":
        registry = [
            _text("formatRegistryName", "PRONOM"),
            _text("formatRegistryKey", facts.puid),
            _text("formatRegistryRole", "specification"),
        ]
        form.append(_node("formatRegistry", registry))
    if facts.format_name:
        form.append(_text("formatNote", facts.format_name))
    return _node(
        "objectCharacteristics",
        [
            _fixity("SHA-512", facts.sha512),
            _fixity("SHA-256", facts.sha256),
            _text("size", str(facts.size)),
            _node("format", form),
        ],
    )


def _fixity(algorithm: str, digest: str) -> Node:
    return _node(
        "fixity",
        [
            _text("messageDigestAlgorithm", algorithm),
            _text("messageDigest", digest),
            _text("messageDigestOriginator", _PROGRAM),
        ],
    )


def _file_id(ref: str, name: str) -> str:
    """A colon cannot stand in a REF, so this is unambiguous."""
    return f"{ref}:{name}"


def _significant(properties: Mapping[str, str]) -> list[Node]:
    return [
        _node(
            "significantProperties",
            [_text("significantPropertiesType", kind), _text("significantPropertiesValue", value)],
        )
        for kind, value in properties.items()
        if value
    ]


def _relationship(kind: str, sub_type: str, object_type: str, value: str, more: Iterable[Node] = ()) -> Node:
    return _node(
        "relationship",
        [
            _text("relationshipType", kind),
            _text("relationshipSubType", sub_type),
            _identifier("relatedObjectIdentifier", object_type, value),
            *more,
        ],
    )


def _event_links(events: Iterable[Event]) -> list[Node]:
    return [_identifier("linkingEventIdentifier", "UUID", event.event_id) for event in events]


def _rights_link(ref: str) -> list[Node]:
    return [_identifier("linkingRightsStatementIdentifier", "rights", f"{ref}:rights")]


def _rights(ref: str, rights: str) -> Node:
    other = [
        _text("otherRightsBasis", "as stated by those who gave the item in"),
        _text("otherRightsNote", rights),
    ]
    statement = [
        _identifier("rightsStatementIdentifier", "rights", f"{ref}:rights"),
        _text("rightsBasis", "other"),
        _node("otherRightsInformation", other),
        _linking_object("item", ref),
    ]
    return _node("rights", [_node("rightsStatement", statement)])


# --- events and agents -------------------------------------------------------------------------------


def _event(
    event: Event, objects: list[Node], derivation: PreservationDerivation | StoryDerivation | None = None
) -> Node:
    extension = [_digest(name, digest) for name, digest in event.digests.items()]
    agents = [_linking_agent(event.agent, "executing program" if _is_program(event.agent) else "implementer")]
    if derivation is not None:
        extension.append(_derivation(derivation))
        environment = derivation.environment
        agents += [_linking_agent(f"{agent.name} {agent.version}", agent.role) for agent in environment.agents]
        agents += [_linking_agent(f"{model.name} {model.version}", "trained model") for model in environment.models]
    detail = [_text("eventDetail", event.detail)]
    if extension:
        detail.append(_node("eventDetailExtension", extension))
    return _node(
        "event",
        [
            _identifier("eventIdentifier", "UUID", event.event_id),
            ("premis:eventType", _EVENT_TYPES, event.type),
            _text("eventDateTime", event.date_time),
            _node("eventDetailInformation", detail),
            _node("eventOutcomeInformation", [_text("eventOutcome", event.outcome)]),
            *agents,
            *objects,
        ],
    )


def _digest(name: str, digest: str) -> Node:
    algorithm, _, value = digest.partition(":")
    return "ar:digest", {"name": name, "algorithm": algorithm}, value


def _derivation(derivation: PreservationDerivation | StoryDerivation) -> Node:
    environment = derivation.environment
    attributes = {
        "id": derivation.derivation_id,
        "seed": str(derivation.seed),
        "determinism": environment.determinism.value,
        "device": environment.device,
        "platform": environment.platform,
        "started": derivation.started,
        "ended": derivation.ended,
    }
    if isinstance(derivation, PreservationDerivation):
        attributes["tile"] = str(derivation.tile)
    children: list[Node] = [
        ("ar:material", {"role": m.role, "ref": m.ref, "sha512": m.sha512, "sha256": m.sha256}, "")
        for m in derivation.materials
    ]
    children.append(("ar:recipe", {"name": derivation.recipe.name}, canonical_bytes(derivation.recipe).decode()))
    for run in derivation.steps:
        step = {"name": run.step, "version": run.version, "action": run.action}
        if run.digital_source_type:
            step["digitalSourceType"] = run.digital_source_type
        found = canonical_bytes({"parameters": run.parameters, "survey": run.survey}).decode()
        children.append(("ar:step", step, found))
    for model in environment.models:
        described = {
            "name": model.name,
            "version": model.version,
            "sha256": model.sha256,
            "cardSha256": model.card_sha256,
            "licence": model.licence,
        }
        children.append(("ar:model", described, ""))
    digests = {"sha256": derivation.map.sha256, "masterSha256": derivation.map.master_sha256}
    children.append(("ar:synthesisMap", digests, ""))
    if isinstance(derivation, StoryDerivation):
        for person in derivation.people:
            who = {"author": person.author, "when": person.when, "what": person.what}
            children.append(("ar:decision", who, person.reason))
        children += [("ar:note", {}, note) for note in derivation.notes]
    return "ar:derivation", attributes, children


def _linking_agent(name: str, role: str) -> Node:
    return _identifier("linkingAgentIdentifier", "name", name, [_text("linkingAgentRole", role)])


def _linking_object(kind: str, value: str, role: str = "") -> Node:
    return _identifier("linkingObjectIdentifier", kind, value, [_text("linkingObjectRole", role)] if role else [])


def _agents(
    events: Iterable[Event], software: Iterable[SoftwareAgent] = (), models: Iterable[ModelUse] = ()
) -> list[Node]:
    named = [(event.agent, "software" if _is_program(event.agent) else "person", "", "") for event in events]
    named += [(agent.name, "software", agent.version, agent.role) for agent in software]
    named += [
        (model.name, "software", model.version, f"trained model, weights sha256 {model.sha256}") for model in models
    ]
    nodes: dict[str, Node] = {}
    for name, kind, version, note in named:
        identifier = f"{name} {version}".rstrip()
        children = [
            _identifier("agentIdentifier", "name", identifier),
            _text("agentName", name),
            _text("agentType", kind),
        ]
        if version:
            children.append(_text("agentVersion", version))
        if note:
            children.append(_text("agentNote", note))
        nodes.setdefault(identifier, _node("agent", children))
    return list(nodes.values())


def _is_program(agent: str) -> bool:
    return agent.split(" ")[0] == _PROGRAM


# --- elements ----------------------------------------------------------------------------------------


def _node(name: str, children: list[Node]) -> Node:
    return f"premis:{name}", {}, children


def _text(name: str, value: str) -> Node:
    return f"premis:{name}", {}, value


def _identifier(name: str, kind: str, value: str, more: Iterable[Node] = ()) -> Node:
    return _node(name, [_text(f"{name}Type", kind), _text(f"{name}Value", value), *more])


def _document(nodes: Iterable[Node]) -> bytes:
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', _ROOT]
    for node in nodes:
        _write(node, "  ", lines)
    lines.append("</premis:premis>\n")
    # A hostile file name must not stop an ingest: what XML forbids is replaced.
    return _ILLEGAL.sub("\ufffd", "\n".join(lines)).encode()


def _write(node: Node, indent: str, lines: list[str]) -> None:
    name, attributes, content = node
    head = name
    if attributes:
        head += "".join(f" {key}={quoteattr(value)}" for key, value in attributes.items())
    if isinstance(content, str):
        text = escape(content, {"\r": "&#13;"}) if _SPECIAL.search(content) else content
        lines.append(f"{indent}<{head}>{text}</{name}>")
        return
    lines.append(f"{indent}<{head}>")
    deeper = indent + "  "
    for child in content:
        _write(child, deeper, lines)
    lines.append(f"{indent}</{name}>")
