"""What all C2PA manifests of this program are put together from (C2PA 2.2): words, ingredients, actions, regions.

Says nothing of what may become an ingredient of what: that is decided where a manifest is rendered, in core.claims for
the record and in core.story_claims for stories.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from archive_restore import __version__
from archive_restore.core.canonical import canonical_bytes, to_plain
from archive_restore.core.synthesis_map import FLAG_MEANINGS
from archive_restore.errors import CredentialsFailed
from archive_restore.records.imagery import MapSummary, Region
from archive_restore.records.preservation import PreservationDerivation
from archive_restore.records.provenance import Material, ModelUse, StepRun
from archive_restore.records.stories import StoryDerivation

Manifest = dict[str, Any]
"""Manifest definition as the C2PA library reads it (JSON)."""

MAP_RESOURCE = "synthesis-map.png"
"""Identifier of the resource that the adapter must add: the map as PNG."""
MAP_ASSERTION = "org.archive-restore.synthesis-map.v1"
DERIVATION_ASSERTION = "org.archive-restore.derivation.v1"
MAP = "synthesis-map"
"""Label of the map's ingredient in ingredientIds."""
SOFT_BINDING_ALGORITHM = "io.iscc.v0"
"""Registered in the C2PA soft binding algorithm list."""
PLACES = "places"
"""Member of a step's survey with places that have a name: `name`, `left`, `top`, `width`, `height` in pixels of the
`frame`, which is another member: width and height."""
COMPONENTS = frozenset({"music", "voice", "now"})
"""Roles of materials that are parts of the result as they are (C2PA 2.2 §18.16, componentOf)."""
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

_REGION_GRID = 1024


def source_type_uri(word: str) -> str:
    """URI of an IPTC digital source type by its last part; raise CredentialsFailed for a word that is not one."""
    if word not in DIGITAL_SOURCE_TYPES:
        raise CredentialsFailed(
            f"{word!r} is not an IPTC digital source type", hint=f"Use one of {', '.join(sorted(DIGITAL_SOURCE_TYPES))}"
        )
    return _IPTC + word


def map_statement(summary: MapSummary) -> Manifest:
    """Content of `synthesis-map.json` and of the map's assertion (schemas/synthesis-map.schema.json)."""
    legend = [
        {"value": int(flag), "name": flag.name or "ORIGINAL", "meaning": meaning}
        for flag, meaning in FLAG_MEANINGS.items()
    ]
    return {"legend": legend, **to_plain(summary)}


def derivative_manifest(
    derivation: PreservationDerivation | StoryDerivation,
    parent: Material,
    *,
    label: str,
    opened: str,
    actions: frozenset[str],
    regions: Sequence[Region],
    soft_binding: bytes,
    title: str = "",
) -> Manifest:
    """Manifest of a derivative: one parent, the map and models as inputs, one action a step.

    `label` names the parent in ingredientIds and `opened` says in words what was opened; `title` is the file's name,
    where it is not the picture's; `actions` are those a step may be, `regions` the changed places in pixels of the
    picture, at most MAX_REGIONS, `soft_binding` the raw digest of the ISCC image code. Raises CredentialsFailed where a
    word is not one that C2PA and IPTC know.
    """
    inputs = [m for m in derivation.materials if m is not parent]
    picture = next((p for p in derivation.products if p.role == "picture"), None)
    if picture is None:
        raise CredentialsFailed(f"{derivation.ref} names no picture among its products")
    if len(regions) > MAX_REGIONS:
        raise CredentialsFailed(f"{derivation.ref} names {len(regions)} regions", hint="Merge them: merge_regions")

    manifest = begun(title or picture.name)
    manifest["ingredients"] = [
        {"title": parent.ref, "format": parent.mime, "relationship": "parentOf", "label": label,
         "description": f"sha256 {parent.sha256}"},
        {"title": "synthesis map", "relationship": "inputTo", "label": MAP,
         "data": {"format": "image/png", "identifier": MAP_RESOURCE},
         "data_types": [{"type": "org.archive-restore.types.synthesis-map", "version": "1"}],
         "description": f"What each pixel is, relative to the master; sha256 of decoded map {derivation.map.sha256}"},
        *(_material(number, material, derivation) for number, material in enumerate(inputs)),
        *(_model(number, model) for number, model in enumerate(derivation.environment.models)),
    ]  # fmt: skip
    first = {
        "action": "c2pa.opened",
        "when": derivation.started,
        "softwareAgent": agent(),
        "parameters": {"ingredientIds": [label]},
        "description": opened,
    }
    used = [number for number, material in enumerate(inputs) if material.role not in COMPONENTS]
    steps = [_step(derivation, number, used, regions, actions) for number in range(len(derivation.steps))]
    placed = [_placed(number, material) for number, material in enumerate(inputs) if material.role in COMPONENTS]
    assertions = [
        actions_assertion([first, *steps, *placed]),
        _own(MAP_ASSERTION, map_statement(derivation.map)),
        _own(DERIVATION_ASSERTION, to_plain(derivation)),
    ]
    if soft_binding:
        value = base64.b64encode(soft_binding).decode()
        data = {"alg": SOFT_BINDING_ALGORITHM, "blocks": [{"scope": {}, "value": value}]}
        assertions.append({"label": "c2pa.soft-binding", "created": True, "data": data})
    manifest["assertions"] = assertions
    return manifest


def _step(
    derivation: PreservationDerivation | StoryDerivation,
    number: int,
    inputs: Sequence[int],
    regions: Sequence[Region],
    known: frozenset[str],
) -> Manifest:
    run = derivation.steps[number]
    if run.action not in known:
        raise CredentialsFailed(
            f"the step {run.step!r} is the action {run.action!r}, which C2PA does not know",
            hint=f"Use one of {', '.join(sorted(known))}",
        )
    named = [_model_label(i) for i in _models_of(derivation, run)]
    if number == 0:
        named += [_material_label(i) for i in inputs]
    action: Manifest = {
        "action": run.action,
        "softwareAgent": agent(),
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
        changes = _named_changes(derivation, run) or ([_changes(run, regions)] if regions else [])
        if changes:
            action["changes"] = changes
    if named:
        action["parameters"]["ingredientIds"] = named
    return action


def _models_of(derivation: PreservationDerivation | StoryDerivation, run: StepRun) -> list[int]:
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


def _named_changes(derivation: PreservationDerivation | StoryDerivation, run: StepRun) -> list[Manifest]:
    """Places that a step gave a name, `left eye` for instance, in pixels of the picture."""
    places, frame = run.survey.get(PLACES), run.survey.get("frame")
    if not isinstance(places, tuple) or not isinstance(frame, tuple):
        return []
    picture = derivation.products[0]
    across, down = (
        size / float(str(before)) for size, before in zip((picture.width, picture.height), frame, strict=True)
    )
    made = []
    for number, place in enumerate(places):
        if not isinstance(place, Mapping):
            continue
        left, top, width, height = (float(str(place[name])) for name in ("left", "top", "width", "height"))
        region = Region(
            left=int(left * across),
            top=int(top * down),
            right=min(picture.width, math.ceil((left + width) * across)),
            bottom=min(picture.height, math.ceil((top + height) * down)),
        )
        made.append({**_changes(run, [region]), "identifier": f"{run.step}-{number}", "name": str(place["name"])})
    return made


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


def _material(number: int, material: Material, derivation: PreservationDerivation | StoryDerivation) -> Manifest:
    heard = material.role in COMPONENTS
    return {
        "title": f"{material.role}: {material.ref}",
        "format": material.mime,
        "relationship": "componentOf" if heard else "inputTo",
        "label": _material_label(number),
        "description": f"sha256 {material.sha256}{_rights(material.role, derivation) if heard else ''}",
    }


def _rights(role: str, derivation: PreservationDerivation | StoryDerivation) -> str:
    """What is known of something that is heard, or of a photograph of today: its name, and who may use it."""
    for run in derivation.steps:
        sound = run.survey if role == "now" else run.survey.get("sound")
        known = sound.get(role) if isinstance(sound, Mapping) else None
        if isinstance(known, Mapping):
            by = f" by {known['composer']}" if known.get("composer") else ""
            return f"; {known.get('name', '')}{by}; rights: {known.get('rights') or 'nobody said which'}"
    return ""


def _placed(number: int, material: Material) -> Manifest:
    """C2PA 2.2 §18.15: something became part of the asset beside the pictures."""
    return {
        "action": "c2pa.placed",
        "softwareAgent": agent(),
        "description": "Placed a photograph of today beside it."
        if material.role == "now"
        else f"Added the {material.role} that is heard with it.",
        "parameters": {"ingredientIds": [_material_label(number)]},
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


def begun(title: str) -> Manifest:
    """A manifest with nothing but its title and this program's name."""
    return {"claim_generator_info": [agent()], "title": title}


def agent() -> Manifest:
    """This program."""
    return {"name": "archive-restore", "version": __version__}


def actions_assertion(actions: list[Manifest]) -> Manifest:
    """The actions, first to last (C2PA 2.2 §18.15)."""
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
