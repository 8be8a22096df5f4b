"""Items and masters: the record as it came in (PREMIS 3 intellectual entity and representation).

Nothing here can name a story: see records.preservation and records.stories for what is made from masters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from archive_restore.records.findings import Finding
from archive_restore.records.imagery import PictureFacts

MAX_IDENTIFIER_BYTES = 120
"""Longest item identifier in UTF-8 bytes; leaves room for OCFL directory names (layout 0003)."""


@dataclass(frozen=True, kw_only=True, order=True)
class MasterRef:
    """Names the master of an item: just `NIPOMO-01`."""

    item_id: str
    """The identifier chosen by the user, or taken from the file name."""

    @property
    def object_id(self) -> str:
        """The OCFL object that holds it."""
        return self.item_id

    @property
    def version(self) -> int:
        """A master has one version for ever (promise P1)."""
        return 1

    def __str__(self) -> str:
        """Render as users write it."""
        return self.item_id


class SourceType(StrEnum):
    """What was digitized: the IPTC digital source types that fit scans."""

    NEGATIVE_FILM = "negativeFilm"
    POSITIVE_FILM = "positiveFilm"
    PRINT = "print"


@dataclass(frozen=True, kw_only=True)
class Description:
    """Descriptive metadata of an item: the Dublin Core elements, rights and source type."""

    title: str = ""
    creator: str = ""
    subject: str = ""
    description: str = ""
    publisher: str = ""
    contributor: str = ""
    date: str = ""
    type: str = ""
    format: str = ""
    identifier: str = ""
    source: str = ""
    language: str = ""
    relation: str = ""
    coverage: str = ""
    """Dublin Core's word for place and period."""
    rights: str = ""
    source_type: SourceType | None = None
    """What was digitized, where the user said so."""
    extra: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Columns we do not know, kept as they came."""


@dataclass(frozen=True, kw_only=True)
class FileFacts:
    """A stored file's name, size, digests and identified format."""

    name: str
    """Original file name, without folders."""
    size: int
    """Bytes."""
    sha512: str
    """Lower-case hex; the OCFL digest."""
    sha256: str
    """Lower-case hex; goes into the OCFL fixity block and into C2PA ingredients."""
    puid: str
    """PRONOM identifier, for instance `fmt/353`; `UNKNOWN` where none fits."""
    mime: str
    """Media type; `application/octet-stream` where unknown."""
    format_name: str = ""
    """PRONOM's name of the format and version."""


@dataclass(frozen=True, kw_only=True)
class Master:
    """The digitized file as it came in, plus its facts: the content of `item.json`."""

    ref: MasterRef
    """The item it belongs to."""
    description: Description
    """What the user said about the item."""
    file: FileFacts
    """The stored bytes."""
    picture: PictureFacts | None
    """What its pixels are; None where they could not be understood (`--keep-unreadable`)."""
    findings: tuple[Finding, ...]
    """What the checks found when it came in."""
    original_path: str
    """Where it came from, as the user gave it."""
    ingested: str
    """UTC time of ingestion, RFC 3339 with seconds and `Z`."""
