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


def story_manifest(
    derivation: StoryDerivation, *, regions: Sequence[Region] = (), soft_binding: bytes = b""
) -> Manifest:
    """Manifest of a story: one parent, the map and models as inputs, one action a step.

    As core.claims.preservation_manifest. Raises SeparationViolated where it is not a story, CredentialsFailed where it
    has not exactly one parent.
    """
    if not isinstance(derivation, StoryDerivation):
        raise SeparationViolated(f"a {type(derivation).__name__} cannot be signed as a story")
    parent = _parent(derivation)
    return derivative_manifest(
        derivation,
        parent,
        label=PARENT,
        opened=f"Opened {parent.ref} to make a story of it.",
        actions=STORY_ACTIONS,
        regions=regions,
        soft_binding=soft_binding,
    )


def _parent(derivation: StoryDerivation) -> Material:
    parents = [material for material in derivation.materials if material.role == PARENT]
    if len(parents) != 1:
        # C2PA 2.2 §18.16.3: at most one parentOf; the library would sign two.
        raise CredentialsFailed(f"{derivation.ref} has {len(parents)} parents; a story has exactly one")
    if parents[0].ref != str(derivation.parent):
        raise CredentialsFailed(f"the parent and the materials of {derivation.ref} name different pictures")
    return parents[0]
