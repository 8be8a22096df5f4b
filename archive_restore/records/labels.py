"""How a story says what it is: the texts of its label, and how the caption band looks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType


class LabelKind(StrEnum):
    """What a label speaks of."""

    ENHANCEMENT = "enhancement"
    COLORIZATION = "colorization"
    ANIMATION = "animation"
    STORY = "story"
    """Several still ones at once, one made from the other."""
    ANIMATED_STORY = "animated-story"
    """A clip of one of the others."""
    MONTAGE = "montage"
    """A clip of pictures that are no stories, in which nothing moves."""


class Position(StrEnum):
    """Where the caption band lies; never over the picture."""

    BELOW = "below"
    ABOVE = "above"


class Corner(StrEnum):
    """Where the label of a clip and its captions stand, in the frame."""

    LOWER_LEFT = "lower-left"
    LOWER_RIGHT = "lower-right"
    UPPER_LEFT = "upper-left"
    UPPER_RIGHT = "upper-right"


@dataclass(frozen=True, kw_only=True)
class CaptionStyle:
    """How the caption band looks, and where it stands in a clip."""

    ground: str = "#ffffff"
    """Colour behind the text, `#rrggbb` in sRGB."""
    ink: str = "#1a1a1a"
    """Colour of the text, `#rrggbb` in sRGB."""
    position: Position = Position.BELOW
    corner: Corner = Corner.LOWER_LEFT
    """Of clips: their label and captions stand in the frame, since a film has nothing around it."""
    size: float = 1.0
    """Factor on the size of the letters, which grows with the picture."""
    font: str = ""
    """A font file that is tried before all others; empty for the fonts of this program and of the system."""


@dataclass(frozen=True, kw_only=True)
class Labels:
    """What archive.toml says of labels."""

    language: str = "en"
    """BCP 47 language of labels and disclosures."""
    texts: Mapping[str, Mapping[str, str]] = field(default_factory=lambda: MappingProxyType({}))
    """Texts of the archive's own by LabelKind and language; they stand above the built-in ones."""
    style: CaptionStyle = field(default_factory=CaptionStyle)
