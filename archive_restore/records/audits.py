"""Audits: what can be said of a file or package that somebody hands in, whoever made it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from archive_restore.records.findings import Finding, Severity
from archive_restore.records.imagery import Region


class SubjectKind(StrEnum):
    """What was handed in."""

    IMAGE = "image"
    VIDEO = "video"
    BAG = "bag"
    OCFL_OBJECT = "ocfl-object"
    OCFL_ROOT = "ocfl-root"
    ARCHIVE = "archive"
    """A whole archive of this program."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What a path is, by its content and never by its name."""

    kind: SubjectKind
    mime: str = ""
    """Media type of a file; empty for a folder, and where unknown."""
    why: str = ""
    """Of what is unknown: one sentence."""


@dataclass(frozen=True, kw_only=True)
class Treatment:
    """What was done to a whole picture between the archive and the file."""

    shown: float
    """Share of the archive's picture that the file shows, 0..1."""
    resized: float
    """File pixels a pixel of the archive's picture."""
    rotation: float
    """Degrees clockwise."""
    mirrored: bool
    bordered: bool
    grayscale: bool
    """The archive's picture has colours and the file has none."""
    tinted: bool
    """The archive's picture has no colours and the file has."""
    graded: bool


@dataclass(frozen=True, kw_only=True)
class ChangedPlace:
    """A place that no treatment of the whole explains."""

    region: Region
    """In pixels of the file, upright."""
    where: str
    """In words, for instance `lower left`."""
    share: float
    """Of the picture's area, 0..1."""
    colour_only: bool
    faint: bool = False
    """Small and weak: it may be a trace of encoding."""


@dataclass(frozen=True, kw_only=True)
class Dissemination:
    """A line of the log: this very file left the archive."""

    ref: str
    when: str
    by: str
    detail: str


@dataclass(frozen=True, kw_only=True)
class Kinship:
    """Whether the file comes from a picture of the archive, from which, and what became of it."""

    judged: bool
    why_not: str = ""
    """Where it was not judged."""
    ref: str = ""
    """The picture that explains the file best, with its version; empty where it has no kin here."""
    title: str = ""
    """Of the item."""
    story: bool = False
    """Whether that picture is a story."""
    identical: bool = False
    """The file is, byte for byte, what is stored there."""
    confidence: float = 0.0
    """How sure the match is, 0..1."""
    treatment: Treatment | None = None
    changed: tuple[ChangedPlace, ...] = ()
    """Largest first."""
    shares: Mapping[str, float] = field(default_factory=dict)
    """Share of what the file shows that has each flag of the synthesis map, `ORIGINAL` for those with none; about."""
    exported: tuple[Dissemination, ...] = ()
    others: tuple[str, ...] = ()
    """REFs of other pictures it was registered to."""

    @property
    def altered(self) -> tuple[ChangedPlace, ...]:
        """Places that were changed beyond doubt."""
        return tuple(place for place in self.changed if not place.faint)

    @property
    def same_bytes(self) -> bool:
        """Whether these very bytes are stored in the archive or left it: nothing can have happened to them since."""
        return self.identical or bool(self.exported)


@dataclass(frozen=True, kw_only=True)
class Audit:
    """All that was found out about one path."""

    path: str
    subject: Subject
    size: int
    """Bytes of a file; 0 for a folder."""
    sha256: str
    """Of a file; empty for a folder."""
    width: int | None
    """Pixels, upright; None where there is no picture that can be read."""
    height: int | None
    subjects: int
    """Files, objects or versions that were judged."""
    findings: tuple[Finding, ...]
    says: tuple[str, ...]
    """The whole in a few sentences."""

    @property
    def ok(self) -> bool:
        """Whether no finding is of severity error."""
        return all(finding.severity is not Severity.ERROR for finding in self.findings)
