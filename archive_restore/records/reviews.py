"""Reviews: what a person said of a derivative before it goes out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ReviewWord(StrEnum):
    """Where a version of a derivative stands."""

    DRAFT = "draft"
    """Nobody has reviewed it."""
    APPROVED = "approved"
    """A person stands by it."""
    REJECTED = "rejected"
    """A person said that it must not be used as it is."""


@dataclass(frozen=True, kw_only=True)
class ReviewState:
    """The latest review of one version of a derivative; earlier ones stay in the log."""

    state: ReviewWord = ReviewWord.DRAFT
    by: str = ""
    """Who reviewed it; empty for a draft."""
    when: str = ""
    """UTC, RFC 3339; empty for a draft."""
    note: str = ""
    """What they said."""
