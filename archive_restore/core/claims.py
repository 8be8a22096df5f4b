"""A derivation or a master rendered as a C2PA manifest definition (C2PA 2.2): pure functions, plain dicts out.

Only the record can be rendered here: a master, or a preservation derivation whose one parent is a master. The
words are checked before anything is signed, since the library signs made-up ones and calls them Trusted.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from archive_restore import __version__
from archive_restore.core.canonical import canonical_bytes, to_plain
from archive_restore.core.synthesis_map import FLAG_MEANINGS
from archive_restore.errors import CredentialsFailed, SeparationViolated
from archive_restore.records.imagery import MapSummary, Region
from archive_restore.records.objects import Description, Master
from archive_restore.records.preservation import PreservationDerivation
from archive_restore.records.provenance import Material, ModelUse, StepRun
from archive_restore.records.stories import StoryKind

Manifest = dict[str, Any]
"""Manifest definition as the C2PA library reads it (JSON)."""

MAP_RESOURCE = "synthesis-map.png"
"""Identifier of the resource that the adapter must add: the map as PNG."""
MAP_ASSERTION = "org.archive-restore.synthesis-map.v1"
DERIVATION_ASSERTION = "org.archive-restore.derivation.v1"
PARENT = "master"
"""Label of the parent ingredient in ingredientIds."""
MAP = "synthesis-map"
"""Label of the map's ingredient in ingredientIds."""
SOFT_BINDING_ALGORITHM = "io.iscc.v0"
"""Registered in the C2PA soft binding algorithm list."""
MAX_REGIONS = 32
"""Rectangles named in one action; the exact pixels are in the map."""

_IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"
DIGITAL_SOURCE_TYPES = frozenset(
    {
        "algorithmicMedia",
        "algorithmicallyEnhanced",
        "composite",
        "compositeCapture",
        "compositeSynthetic",
        "compositeWithTrainedAlgorithmicMedia",
        "computationalCapture",
        "dataDrivenMedia",
        "digitalCapture",
        "digitalCreation",
        "humanEdits",
        "negativeFilm",
        "positiveFilm",
        "print",
        "screenCapture",
        "trainedAlgorithmicMedia",
        "virtualRecording",
    }
)
"""IPTC NewsCodes Digital Source Type, the concepts that are not retired."""

ACTIONS = frozenset(
    {
        "c2pa.adjustedColor",
        "c2pa.converted",
        "c2pa.drawing",
        "c2pa.edited",
        "c2pa.edited.metadata",
        "c2pa.enhanced",
        "c2pa.filtered",
        "c2pa.opened",
        "c2pa.removed",
        "c2pa.unknown",
        "org.archive-restore.examined",
    }
)
"""C2PA 2.2 §18.15.2: the predefined actions that a preservation step may be, and our own for one that only looks."""

_DUBLIN_CORE = tuple(name for name in Description.__dataclass_fields__ if name not in ("source_type", "extra"))
_REGION_GRID = 1024


def source_type_uri(word: str) -> str:
    """URI of an IPTC digital source type by its last part; raise CredentialsFailed for a word that is not one."""
    if word not in DIGITAL_SOURCE_TYPES:
        raise CredentialsFailed(
            f"{word!r} is not an IPTC digital source type", hint=f"Use one of {', '.join(sorted(DIGITAL_SOURCE_TYPES))}"
        )
    return _IPTC + word


# --- masters -----------------------------------------------------------------------------------------


def master_manifest(master: Master) -> Manifest:
    """Manifest of a file as it came in.

    C2PA asks the first action to be `c2pa.created` with a digital source type, or `c2pa.opened` with a parent. Where
    the user said what was digitized, it is `created` with that type. Where nobody said so there is no honest type:
    `digitalCapture` would claim a camera in front of the scene, and `print` a guess. Then it is `opened` with the file
    as received for its parent, an ingredient of unknown provenance: true, and readers show just that.
    """
    if not isinstance(master, Master):
        raise SeparationViolated(f"a {type(master).__name__} cannot be signed as a master")
    manifest = _manifest(master.file.name)
    source_type = master.description.source_type
    if source_type is not None:
        action: Manifest = {
            "action": "c2pa.created",
            "digitalSourceType": source_type_uri(source_type.value),
            "description": "Digitized before it came into the archive; kept byte for byte as it came.",
        }
    else:
        received = {
            "title": master.file.name,
            "format": master.file.mime,
            "relationship": "parentOf",
            "label": "received",
            "description": f"As received; sha256 {master.file.sha256}",
        }
        manifest["ingredients"] = [received]
        action = {
            "action": "c2pa.opened",
            "parameters": {"ingredientIds": ["received"]},
            "description": "Taken into the archive byte for byte; what was digitized is not known.",
        }
    action |= {"when": master.ingested, "softwareAgent": _agent()}
    manifest["assertions"] = [_actions([action]), _description(master)]
    return manifest


def _description(master: Master) -> Manifest:
    """What people said about the item (CAWG metadata): gathered, since this program cannot vouch for it."""
    given = {f"dc:{name}": getattr(master.description, name) for name in _DUBLIN_CORE}
    data: Manifest = {"@context": {"dc": "http://purl.org/dc/elements/1.1/"}}
    data |= {key: value for key, value in given.items() if value}
    data["dc:identifier"] = str(master.ref)
    return {"label": "cawg.metadata", "kind": "Json", "data": data}


# --- restorations ------------------------------------------------------------------------------------


def preservation_manifest(
    derivation: PreservationDerivation, *, regions: Sequence[Region] = (), soft_binding: bytes = b""
) -> Manifest:
    """Manifest of a restoration: one parent, the map and models as inputs, one action a step.

    `regions` are the changed places in pixels of the picture, at most MAX_REGIONS; `soft_binding` is the raw digest of
    the ISCC image code. The adapter adds the resource MAP_RESOURCE and the parent's own manifest. Raises
    SeparationViolated where something that is not of the record would go in, CredentialsFailed where the derivation
    has not exactly one parent or uses words that C2PA and IPTC do not know.
    """
    if not isinstance(derivation, PreservationDerivation):
        raise SeparationViolated(f"a {type(derivation).__name__} cannot be signed as a preservation derivative")
    parent = _parent(derivation)
    inputs = [m for m in derivation.materials if m is not parent]
    picture = next((p for p in derivation.products if p.role == "picture"), None)
    if picture is None:
        raise CredentialsFailed(f"{derivation.ref} names no picture among its products")
    if len(regions) > MAX_REGIONS:
        raise CredentialsFailed(f"{derivation.ref} names {len(regions)} regions", hint="Merge them: merge_regions")

    manifest = _manifest(picture.name)
    manifest["ingredients"] = [
        {"title": parent.ref, "format": parent.mime, "relationship": "parentOf", "label": PARENT,
         "description": f"sha256 {parent.sha256}"},
        {"title": "synthesis map", "relationship": "inputTo", "label": MAP,
         "data": {"format": "image/png", "identifier": MAP_RESOURCE},
         "data_types": [{"type": "org.archive-restore.types.synthesis-map", "version": "1"}],
         "description": f"What each pixel is, relative to the master; sha256 of decoded map {derivation.map.sha256}"},
        *(_material(number, material) for number, material in enumerate(inputs)),
        *(_model(number, model) for number, model in enumerate(derivation.environment.models)),
    ]  # fmt: skip
    opened = {
        "action": "c2pa.opened",
        "when": derivation.started,
        "softwareAgent": _agent(),
        "parameters": {"ingredientIds": [PARENT]},
        "description": f"Opened the master {parent.ref}.",
    }
    steps = [_step(derivation, number, len(inputs), regions) for number in range(len(derivation.steps))]
    assertions = [
        _actions([opened, *steps]),
        _own(MAP_ASSERTION, map_statement(derivation.map)),
        _own(DERIVATION_ASSERTION, to_plain(derivation)),
    ]
    if soft_binding:
        value = base64.b64encode(soft_binding).decode()
        data = {"alg": SOFT_BINDING_ALGORITHM, "blocks": [{"scope": {}, "value": value}]}
        assertions.append({"label": "c2pa.soft-binding", "created": True, "data": data})
    manifest["assertions"] = assertions
    return manifest


def map_statement(summary: MapSummary) -> Manifest:
    """Content of `synthesis-map.json` and of the map's assertion (schemas/synthesis-map.schema.json)."""
    legend = [
        {"value": int(flag), "name": flag.name or "ORIGINAL", "meaning": meaning}
        for flag, meaning in FLAG_MEANINGS.items()
    ]
    return {"legend": legend, **to_plain(summary)}


def _parent(derivation: PreservationDerivation) -> Material:
    for material in derivation.materials:
        if _names_a_story(material.ref):
            raise SeparationViolated(f"{material.ref} is a story and cannot be an ingredient of {derivation.ref}")
    parents = [m for m in derivation.materials if m.role == "master"]
    if len(parents) != 1:
        # C2PA 2.2 §18.16.3: at most one parentOf; the library would sign two.
        raise CredentialsFailed(f"{derivation.ref} has {len(parents)} parents; a restoration has exactly one")
    if parents[0].ref != str(derivation.parent) or parents[0].sha256 != derivation.map.master_sha256:
        raise CredentialsFailed(f"the parent, the materials and the map of {derivation.ref} name different masters")
    return parents[0]


def _names_a_story(ref: str) -> bool:
    _, slash, rest = ref.partition("/")
    return bool(slash) and rest.partition("@")[0] in {kind.value for kind in StoryKind}


def _step(derivation: PreservationDerivation, number: int, inputs: int, regions: Sequence[Region]) -> Manifest:
    run = derivation.steps[number]
    if run.action not in ACTIONS:
        raise CredentialsFailed(
            f"the step {run.step!r} is the action {run.action!r}, which C2PA does not know",
            hint=f"Use one of {', '.join(sorted(ACTIONS))}",
        )
    named = [_model_label(i) for i in _models_of(derivation, run)]
    if number == 0:
        named += [_material_label(i) for i in range(inputs)]
    action: Manifest = {
        "action": run.action,
        "softwareAgent": _agent(),
        "description": run.description,
        # As text: the library turns a list of small numbers into a byte string.
        "parameters": {
            "org.archive-restore.step": run.step,
            "org.archive-restore.step-version": run.version,
            "org.archive-restore.parameters": canonical_bytes(run.parameters).decode(),
        },
    }
    if run.digital_source_type:
        action["digitalSourceType"] = source_type_uri(run.digital_source_type)
        named.append(MAP)
        if regions:
            action["changes"] = [_changes(run, regions)]
    if named:
        action["parameters"]["ingredientIds"] = named
    return action


def _models_of(derivation: PreservationDerivation, run: StepRun) -> list[int]:
    """Models this step names in its parameters or survey; those that no step names belong to every step."""
    models = derivation.environment.models
    words = {id(step): set(_texts((step.parameters, step.survey))) for step in derivation.steps}
    claimed = set().union(*words.values()) if words else set()
    return [i for i, model in enumerate(models) if model.name in words[id(run)] or model.name not in claimed]


def _texts(value: object) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _texts(item)


def _changes(run: StepRun, regions: Sequence[Region]) -> Manifest:
    """Regions of interest (C2PA 2.2 §18.2); `role` is left out, since the library refuses every value of it."""
    return {
        "identifier": run.step,
        "description": "Rectangles that hold the changed pixels; the synthesis map says which they are.",
        "region": [
            {
                "type": "spatial",
                "shape": {
                    "type": "rectangle",
                    "unit": "pixel",
                    "origin": {"x": region.left, "y": region.top},
                    "width": region.width,
                    "height": region.height,
                },
            }
            for region in regions
        ],
    }


def _material_label(number: int) -> str:
    return f"material-{number}"


def _material(number: int, material: Material) -> Manifest:
    return {
        "title": f"{material.role}: {material.ref}",
        "format": material.mime,
        "relationship": "inputTo",
        "label": _material_label(number),
        "description": f"sha256 {material.sha256}",
    }


def _model_label(number: int) -> str:
    return f"model-{number}"


def _model(number: int, model: ModelUse) -> Manifest:
    return {
        "title": f"{model.name} {model.version}",
        "relationship": "inputTo",
        "label": _model_label(number),
        "data_types": [{"type": "c2pa.types.model", "version": model.version}],
        "description": f"Weights sha256 {model.sha256}; card sha256 {model.card_sha256}; licence {model.licence}",
    }


def _manifest(title: str) -> Manifest:
    return {"claim_generator_info": [_agent()], "title": title}


def _agent() -> Manifest:
    return {"name": "archive-restore", "version": __version__}


def _actions(actions: list[Manifest]) -> Manifest:
    return {"label": "c2pa.actions.v2", "created": True, "data": {"actions": actions}}


def _own(label: str, data: Manifest) -> Manifest:
    return {"label": label, "kind": "Json", "created": True, "data": data}


# --- changed places ----------------------------------------------------------------------------------


def bounding_regions(
    changed: npt.NDArray[np.bool_], *, cell: int, width: int, height: int, limit: int = MAX_REGIONS
) -> tuple[Region, ...]:
    """At most `limit` disjoint rectangles that hold every changed cell, tight, with little in between.

    `changed` is bool (rows, columns), one value a `cell`×`cell` square of a picture of `width`×`height` pixels. The
    bounding box is split again and again where a guillotine cut saves the most area; in order from the top left.
    """
    first = _tight(changed, (0, 0, changed.shape[0], changed.shape[1]))
    if first is None:
        return ()
    boxes = [(first, _best_cut(changed, first))]
    while len(boxes) < limit:
        chosen = max(range(len(boxes)), key=lambda i: boxes[i][1][0])
        saved, parts = boxes[chosen][1]
        if saved <= 0:
            break
        boxes[chosen : chosen + 1] = [(part, _best_cut(changed, part)) for part in parts]
    return tuple(
        Region(top=t * cell, left=le * cell, bottom=min(height, b * cell), right=min(width, r * cell))
        for (t, le, b, r), _ in sorted(boxes)
    )


def merge_regions(
    regions: Iterable[Region], *, width: int, height: int, limit: int = MAX_REGIONS
) -> tuple[Region, ...]:
    """At most `limit` rectangles that together cover all of `regions` in a picture of `width`×`height` pixels.

    Few enough regions come back as they are; more are drawn on a grid of about 1024×1024 cells and bounded anew.
    """
    given = tuple(regions)
    if len(given) <= limit:
        return given
    cell = max(1, -(-max(width, height) // _REGION_GRID))
    changed = np.zeros((-(-height // cell), -(-width // cell)), np.bool_)
    for region in given:
        changed[region.top // cell : -(-region.bottom // cell), region.left // cell : -(-region.right // cell)] = True
    return bounding_regions(changed, cell=cell, width=width, height=height, limit=limit)


_Box = tuple[int, int, int, int]


def _tight(changed: npt.NDArray[np.bool_], box: _Box) -> _Box | None:
    top, left, bottom, right = box
    part = changed[top:bottom, left:right]
    rows, columns = np.flatnonzero(part.any(axis=1)), np.flatnonzero(part.any(axis=0))
    if not rows.size:
        return None
    return top + int(rows[0]), left + int(columns[0]), top + int(rows[-1]) + 1, left + int(columns[-1]) + 1


def _best_cut(changed: npt.NDArray[np.bool_], box: _Box) -> tuple[int, tuple[_Box, ...]]:
    """The cut across a tight box that saves the most cells: (cells saved, the two tight boxes)."""
    top, left, bottom, right = box
    part = changed[top:bottom, left:right]
    row, row_saved = _cut_rows(part)
    column, column_saved = _cut_rows(part.T)
    if max(row_saved, column_saved) <= 0:
        return 0, ()
    halves: tuple[_Box, _Box]
    if row_saved >= column_saved:
        halves = (top, left, top + row, right), (top + row, left, bottom, right)
    else:
        halves = (top, left, bottom, left + column), (top, left + column, bottom, right)
    parts = tuple(tight for half in halves if (tight := _tight(changed, half)) is not None)
    return max(row_saved, column_saved), parts


def _cut_rows(part: npt.NDArray[np.bool_]) -> tuple[int, int]:
    """Row before which to cut, and the cells that the two tight halves leave out of `part` (which is tight)."""
    rows, columns = part.shape
    if rows < 2:
        return 0, 0
    full = part.any(axis=1)
    first = np.where(full, part.argmax(axis=1), columns)
    last = np.where(full, columns - part[:, ::-1].argmax(axis=1), 0)
    index = np.arange(rows)
    above_end = np.maximum.accumulate(np.where(full, index + 1, 0))
    below_start = np.minimum.accumulate(np.where(full, index, rows)[::-1])[::-1]
    above = (np.maximum.accumulate(last) - np.minimum.accumulate(first)) * above_end
    below = (np.maximum.accumulate(last[::-1]) - np.minimum.accumulate(first[::-1]))[::-1] * (rows - below_start)
    kept = above[:-1] + below[1:]
    cut = int(kept.argmin())
    return cut + 1, rows * columns - int(kept[cut])
