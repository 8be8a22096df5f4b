"""Story derivatives: what `enhance`, `colorize` and `animate` make. Never an ingredient of the record (P4)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


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
