"""A story's derivation rendered as a C2PA manifest definition (C2PA 2.2): pure functions, plain dicts out.

Only stories can be rendered here. Their one parent may be a master, a restoration or another story.
"""

from __future__ import annotations

from collections.abc import Sequence

from archive_restore.core.claims import ACTIONS
from archive_restore.core.manifests import Manifest, derivative_manifest
from archive_restore.errors import CredentialsFailed, SeparationViolated
from archive_restore.records.imagery import Region
from archive_restore.records.provenance import Material
from archive_restore.records.stories import StoryDerivation

PARENT = "parent"
"""Label of the parent ingredient in ingredientIds, and role of the parent among the materials."""
STORY_ACTIONS = ACTIONS | {"c2pa.cropped", "c2pa.placed", "c2pa.resized"}
"""C2PA 2.2 §18.15.2: the predefined actions that a step of a story may be."""


OUTCOME_ASSERTION = "org.archive-restore.outcome.v1"


def story_manifest(
    derivation: StoryDerivation, *, outcome: int = 0, regions: Sequence[Region] = (), soft_binding: bytes = b""
) -> Manifest:
    """Manifest of a story: one parent, the map and models as inputs, one action a step.

    As core.claims.preservation_manifest, of one of `StoryDerivation.outcomes`; where there are several it says so.
    Raises SeparationViolated where it is not a story, CredentialsFailed where it has not exactly one parent.
    """
    if not isinstance(derivation, StoryDerivation):
        raise SeparationViolated(f"a {type(derivation).__name__} cannot be signed as a story")
    parent, opened = _parent(derivation), ""
    told = outcome_statement(derivation, outcome)
    if told:
        opened = f" {told['note']}"
    manifest = derivative_manifest(
        derivation,
        parent,
        label=PARENT,
        opened=f"Opened {parent.ref} to make a story of it.{opened}",
        actions=STORY_ACTIONS,
        regions=regions,
        soft_binding=soft_binding,
        title=derivation.outcomes[outcome].name if told else "",
    )
    if told:
        manifest["assertions"].append({"label": OUTCOME_ASSERTION, "kind": "Json", "created": True, "data": told})
    return manifest


def outcome_statement(derivation: StoryDerivation, outcome: int) -> Manifest:
    """What a file says of being one of several outcomes; empty where it is the only one.

    `outcome` counts from 1, of `of`; `file` is its name, `picture` that of the first, which the story shows.
    """
    outcomes = derivation.outcomes
    if len(outcomes) < 2:
        return {}
    return {
        "outcome": outcome + 1,
        "of": len(outcomes),
        "seed": derivation.seed,
        "ref": str(derivation.ref),
        "file": outcomes[outcome].name,
        "picture": outcomes[0].name,
        "pixels_sha256": outcomes[outcome].pixels_sha256,
        "note": f"This is outcome {outcome + 1} of {len(outcomes)} that were drawn with seed {derivation.seed}; "
        "one is as plausible as another where they differ.",
    }


def _parent(derivation: StoryDerivation) -> Material:
    parents = [material for material in derivation.materials if material.role == PARENT]
    if len(parents) != 1:
        # C2PA 2.2 §18.16.3: at most one parentOf; the library would sign two.
        raise CredentialsFailed(f"{derivation.ref} has {len(parents)} parents; a story has exactly one")
    if parents[0].ref != str(derivation.parent):
        raise CredentialsFailed(f"the parent and the materials of {derivation.ref} name different pictures")
    return parents[0]
