"""A derivation or a master rendered as a C2PA manifest definition (C2PA 2.2): pure functions, plain dicts out.

Only the record can be rendered here: a master, or a preservation derivation whose one parent is a master. The
words are checked before anything is signed, since the library signs made-up ones and calls them Trusted.
"""

from __future__ import annotations

from collections.abc import Sequence

from archive_restore.core.manifests import (
    Manifest,
    actions_assertion,
    agent,
    begun,
    derivative_manifest,
    source_type_uri,
)
from archive_restore.errors import CredentialsFailed, SeparationViolated
from archive_restore.records.imagery import Region
from archive_restore.records.objects import Description, Master
from archive_restore.records.preservation import PreservationDerivation
from archive_restore.records.provenance import Material
from archive_restore.records.stories import StoryKind

PARENT = "master"
"""Label of the parent ingredient in ingredientIds."""

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
    manifest = begun(master.file.name)
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
    action |= {"when": master.ingested, "softwareAgent": agent()}
    manifest["assertions"] = [actions_assertion([action]), _description(master)]
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
    return derivative_manifest(
        derivation,
        parent,
        label=PARENT,
        opened=f"Opened the master {parent.ref}.",
        actions=ACTIONS,
        regions=regions,
        soft_binding=soft_binding,
    )


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
