"""Story derivatives: what `enhance`, `colorize` and `animate` make. Never an ingredient of the record (P4)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from archive_restore.records.imagery import MapSummary
from archive_restore.records.objects import MasterRef
from archive_restore.records.preservation import PreservationRef
from archive_restore.records.provenance import Environment, Event, Material, Product, Recipe, StepRun


class StoryKind(StrEnum):
    """Kinds of story derivatives."""

    ENHANCEMENT = "enhancement"
    COLORIZATION = "colorization"
    ANIMATION = "animation"


@dataclass(frozen=True, kw_only=True, order=True)
class StoryRef:
    """Names one version of a story derivative: `NIPOMO-01/colorization@5`."""

    item_id: str
    kind: StoryKind
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
class HumanDecision:
    """What a person decided about a story: it stands above what a machine proposes."""

    author: str
    """Who decided; empty where nobody said."""
    reason: str
    """Why, in the person's words: `the dress was light green, says her daughter`."""
    what: str
    """The decision itself: `light green at 120,340`."""
    when: str
    """As the person gave it, or the day of the run."""


@dataclass(frozen=True, kw_only=True)
class StoryDerivation:
    """The frozen record of one story: the content of its `derivation.json`."""

    derivation_id: str
    """`urn:uuid:…`."""
    ref: StoryRef
    parent: MasterRef | PreservationRef | StoryRef
    """What the story was made from directly."""
    materials: tuple[Material, ...]
    """The parent first, with the role `parent`; then what people handed in."""
    recipe: Recipe
    """As the person chose it."""
    steps: tuple[StepRun, ...]
    """As it ran."""
    seed: int
    samples: int
    """How many outcomes were asked for."""
    products: tuple[Product, ...]
    """The picture first."""
    alternatives: tuple[Product, ...]
    """Other outcomes, as plausible as the picture; none unless `--samples` asked for them."""
    map: MapSummary
    """Relative to the master, whatever the parent is."""
    environment: Environment
    people: tuple[HumanDecision, ...]
    notes: tuple[str, ...]
    """What whoever shows the story should know, one sentence each."""
    started: str
    """UTC, RFC 3339."""
    ended: str
    events: tuple[Event, ...]

    @property
    def outcomes(self) -> tuple[Product, ...]:
        """The picture and its alternatives: what was drawn, in this order."""
        return (*self.products[:1], *self.alternatives)

    @property
    def agreement_db(self) -> float | None:
        """PSNR of an enlargement, reduced again, against its source; None where nothing was enlarged."""
        told = [run.survey["agreement_db"] for run in self.steps if "agreement_db" in run.survey]
        return float(str(told[-1])) if told else None
