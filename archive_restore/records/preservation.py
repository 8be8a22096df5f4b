"""Preservation derivatives: what `restore` makes. Shares no base with records.stories, by design (P4)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from archive_restore.records.imagery import MapSummary
from archive_restore.records.objects import MasterRef
from archive_restore.records.provenance import Environment, Event, Material, Product, Recipe, StepRun


class PreservationKind(StrEnum):
    """Kinds of preservation derivatives."""

    RESTORATION = "restoration"


@dataclass(frozen=True, kw_only=True, order=True)
class PreservationRef:
    """Names one version of a preservation derivative: `NIPOMO-01/restoration@2`."""

    item_id: str
    kind: PreservationKind
    version: int
    """From 1; OCFL version n is derivative version n."""

    @property
    def object_id(self) -> str:
        """The OCFL object that holds all versions."""
        return f"{self.item_id}/{self.kind.value}"

    def __str__(self) -> str:
        """Render as users write it."""
        return f"{self.object_id}@{self.version}"


@dataclass(frozen=True, kw_only=True)
class Certainty:
    """How sure a restoration is of what it filled: the sum of the plane `uncertainty.png`."""

    filled: int
    """Pixels that were filled, each with an expected error."""
    uncertain: int
    """Those of them whose expected error reaches `threshold`."""
    threshold: int
    """Expected absolute error from which a pixel counts as uncertain, in 255ths of full scale."""
    mean_error: float
    """Mean expected absolute error of the filled pixels, share of full scale."""


@dataclass(frozen=True, kw_only=True)
class PreservationDerivation:
    """The frozen record of one preservation run: the content of `derivation.json`."""

    derivation_id: str
    """`urn:uuid:…`."""
    ref: PreservationRef
    parent: MasterRef
    """The master; the type admits nothing else."""
    materials: tuple[Material, ...]
    recipe: Recipe
    """As the person chose it."""
    steps: tuple[StepRun, ...]
    """As it ran."""
    seed: int
    tile: int
    """Edge of the processing tiles in pixels: part of the recipe of a repeatable run."""
    products: tuple[Product, ...]
    map: MapSummary
    environment: Environment
    started: str
    """UTC, RFC 3339."""
    ended: str
    events: tuple[Event, ...]
    certainty: Certainty | None = None
    """None in derivations made before it was estimated."""
