"""An access copy rendered as a C2PA manifest definition (C2PA 2.2), and what it says of the item to everybody.

The copy's one parent is the stored file with its whole history. Nothing is claimed that the archive cannot know:
a copy is converted, or a clip written anew with its frames as they are; neither is published; and what was done to the
picture before stands in the manifests it carries along.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from archive_restore.core.canonical import to_plain
from archive_restore.core.disclosure import encoding_text
from archive_restore.core.labels import plain_text
from archive_restore.core.manifests import (
    MAP,
    MAP_ASSERTION,
    MAP_RESOURCE,
    SOFT_BINDING_ALGORITHM,
    Manifest,
    actions_assertion,
    agent,
    begun,
    map_statement,
    source_type_uri,
)
from archive_restore.core.reviews import review_line
from archive_restore.errors import CredentialsFailed
from archive_restore.records.access import AccessCopy
from archive_restore.records.imagery import Region
from archive_restore.records.objects import Description
from archive_restore.records.reviews import ReviewWord

ACCESS_ASSERTION = "org.archive-restore.access.v1"
PARENT = "parent"
"""Label of the parent ingredient in ingredientIds, and role of the parent's material."""
NOT_IN_MAP = (
    "The synthesis map describes the picture before it was reduced to 8 bits and encoded, without the caption band; "
    "its pixels are those of the rectangle `picture`."
)
_STRONGEST = (
    "trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia", "compositeSynthetic", "algorithmicMedia",
    "composite", "humanEdits", "algorithmicallyEnhanced",
)  # fmt: skip
DUBLIN_CORE = tuple(field.name for field in fields(Description) if field.name not in ("source_type", "extra"))
"""Texts of a description."""
_CONTEXT = {
    "dc": "http://purl.org/dc/elements/1.1/",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
}


def access_manifest(
    copy: AccessCopy, description: Description, *, credit: str = "", soft_binding: bytes = b""
) -> Manifest:
    """Manifest of an access copy: the stored file as parent, its map as input, opened, converted, captioned.

    `description` is what `public_description` gave, `soft_binding` the raw digest of the ISCC image code. With a map
    the adapter adds the resource MAP_RESOURCE. Raises CredentialsFailed where a word is not one that IPTC knows.
    """
    if copy.source.role != PARENT or copy.source.ref != copy.ref:
        raise CredentialsFailed(f"the copy {copy.name!r} is of {copy.ref} and its source is {copy.source.ref}")
    manifest = begun(copy.name)
    manifest["ingredients"] = [
        {"title": copy.source.ref, "format": copy.source.mime, "relationship": "parentOf", "label": PARENT,
         "description": f"sha256 {copy.source.sha256}"},
    ]  # fmt: skip
    if copy.map is not None:
        manifest["ingredients"].append(
            {"title": "synthesis map", "relationship": "inputTo", "label": MAP,
             "data": {"format": "image/png", "identifier": MAP_RESOURCE},
             "data_types": [{"type": "org.archive-restore.types.synthesis-map", "version": "1"}],
             "description": f"{_about_map(copy)} sha256 of decoded map {copy.map.sha256}"}
        )  # fmt: skip
    manifest["assertions"] = [actions_assertion(_actions(copy)), _own(ACCESS_ASSERTION, _statement(copy))]
    if copy.map is not None:
        manifest["assertions"].append(_own(MAP_ASSERTION, map_statement(copy.map)))
    manifest["assertions"].append(_metadata(copy, description, credit))
    if soft_binding:
        value = base64.b64encode(soft_binding).decode()
        data = {"alg": SOFT_BINDING_ALGORITHM, "blocks": [{"scope": {}, "value": value}]}
        manifest["assertions"].append({"label": "c2pa.soft-binding", "created": True, "data": data})
    return manifest


def shown_source_type(made: Iterable[str], digitized: str) -> str:
    """IPTC digital source type of a picture by those of all steps of its history: what a reader must hear first.

    Where nothing was made, what was `digitized`; empty where nobody said that either.
    """
    told = set(made) - {""}
    return next((word for word in _STRONGEST if word in told), min(told, default=digitized))


def public_description(description: Description, caption: str, mime: str = "image/jpeg") -> Description:
    """What of a description goes out with a copy: plain lines, the caption before the item's own description."""
    plain: dict[str, Any] = {name: plain_text(getattr(description, name)) for name in DUBLIN_CORE}
    plain["description"] = " ".join(part for part in (plain_text(caption), plain["description"]) if part)
    plain["format"] = mime
    return Description(**plain)


def _actions(copy: AccessCopy) -> list[Manifest]:
    """C2PA 2.2 §18.15.2; a caption is text that was added beside the picture."""
    opened: Manifest = {
        "action": "c2pa.opened",
        "when": copy.made,
        "softwareAgent": agent(),
        "parameters": {"ingredientIds": [PARENT]},
        "description": f"Opened {copy.ref} to make an access copy of it.",
    }
    if copy.digital_source_type:
        opened["digitalSourceType"] = source_type_uri(copy.digital_source_type)
    words = [encoding_text(copy.quality, copy.encoding)]
    if copy.clip is None:
        words.insert(0, "Reduced to 8 bits a sample and encoded.")
    if copy.left_out:
        words.insert(0, f"Left out: {', '.join(copy.left_out)}.")
    if copy.map is not None:
        words.append(_about_map(copy))
    if copy.caption.left_out:
        words.append(f"The caption that says what it is was left out of this copy: {plain_text(copy.caption.left_out)}")
    if copy.review is not None and copy.review.state is not ReviewWord.DRAFT:
        words.append(f"Review: {review_line(copy.review)}.")
    converted: Manifest = {
        "action": "c2pa.converted" if copy.clip is None else "c2pa.repackaged",
        "when": copy.made,
        "softwareAgent": agent(),
        "description": " ".join(words),
    }
    if copy.clip is not None:  # C2PA 2.2 §18.15.4.6: of what is put into another file, the parent is named
        converted["parameters"] = {"ingredientIds": [PARENT]}
    elif copy.map is not None:
        converted["parameters"] = {"ingredientIds": [MAP]}
    actions = [opened, converted]
    if copy.caption.text and copy.clip is None:
        band = "A band with a caption was put outside the picture; the picture itself has no writing in it."
        actions.append(
            {
                "action": "c2pa.addedText",
                "when": copy.made,
                "softwareAgent": agent(),
                "description": f"{band} It says: {copy.caption.text}",
                "changes": [_outside(copy)],
            }
        )
    return actions


def _outside(copy: AccessCopy) -> Manifest:
    """The rectangles of the copy around its picture."""
    place = copy.picture
    around = (
        Region(top=0, left=0, bottom=place.top, right=copy.width),
        Region(top=place.bottom, left=0, bottom=copy.height, right=copy.width),
        Region(top=place.top, left=0, bottom=place.bottom, right=place.left),
        Region(top=place.top, left=place.right, bottom=place.bottom, right=copy.width),
    )
    return {
        "identifier": "caption",
        "description": "Everything outside the picture.",
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
            for region in around
            if region.width > 0 and region.height > 0
        ],
    }


def _statement(copy: AccessCopy) -> Manifest:
    statement: Manifest = to_plain(copy)
    statement.pop("map")
    return {"note": _about_map(copy), **statement} if copy.map is not None else statement


def _about_map(copy: AccessCopy) -> str:
    if copy.clip is None:
        return NOT_IN_MAP
    return (
        "The synthesis map inside shows every flag that a pixel has in any frame, before encoding; that of each frame "
        f"is in {copy.clip.maps} of the archive, sha256 {copy.clip.maps_sha256}."
    )


def _metadata(copy: AccessCopy, description: Description, credit: str) -> Manifest:
    """What people said about the item (CAWG metadata): gathered, since this program cannot vouch for it."""
    data: Manifest = {"@context": _CONTEXT}
    data |= {f"dc:{name}": value for name in DUBLIN_CORE if (value := getattr(description, name))}
    data["dc:identifier"] = description.identifier or copy.ref
    if copy.digital_source_type:
        data["Iptc4xmpExt:DigitalSourceType"] = source_type_uri(copy.digital_source_type)
    if credit:
        data["photoshop:Credit"] = plain_text(credit)
    return {"label": "cawg.metadata", "kind": "Json", "data": data}


def _own(label: str, data: Manifest) -> Manifest:
    return {"label": label, "kind": "Json", "created": True, "data": data}
