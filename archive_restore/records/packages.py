"""Packages: what leaves the archive as a whole, for another repository, a reviewer or a viewer.

A package is of one item and of one side: the record, or the stories made from it. The two never share a folder.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from archive_restore.records.objects import Master
from archive_restore.records.preservation import PreservationDerivation
from archive_restore.records.provenance import Event
from archive_restore.records.stories import StoryDerivation, StoryKind


class Side(StrEnum):
    """On which side of the line a package lies (promise P4)."""

    RECORD = "record"
    """Masters and preservation derivatives."""
    STORIES = "stories"
    """Story derivatives."""


@dataclass(frozen=True, kw_only=True)
class PackedFile:
    """One file of a package."""

    ref: str
    """REF, with its version, of what it belongs to."""
    name: str
    """Logical path inside that version of the OCFL object."""
    path: Path
    """Where its bytes lie now."""
    size: int
    """Bytes."""
    sha512: str
    sha256: str
    mime: str
    """Media type; `application/octet-stream` where unknown."""


@dataclass(frozen=True, kw_only=True)
class LoggedEvent:
    """One line of the audit log, so that a stranger can prove it."""

    index: int
    """From 0."""
    line: bytes
    """The entry as it was hashed (RFC 8785), without the line end."""
    proof: bytes = b""
    """Inclusion proof under the package's checkpoint (C2SP tlog-proof); empty where there is none."""


@dataclass(frozen=True, kw_only=True)
class PackedVersion:
    """One version of a master or derivative, with all its files."""

    ref: str
    """REF with its version."""
    record: Master | PreservationDerivation | StoryDerivation
    """Its `item.json` or `derivation.json`."""
    files: tuple[PackedFile, ...]
    events: tuple[Event, ...]
    """What the log tells of it, oldest first."""
    kinds: tuple[StoryKind, ...] = ()
    """Kinds of the stories that it was made from."""
    logged: tuple[LoggedEvent, ...] = ()
    """Lines of the audit log about it, in their order: those of `events`, and what else the log tells."""


@dataclass(frozen=True, kw_only=True)
class Package:
    """One item's package."""

    name: str
    """Of its folder or file; safe on any file system."""
    side: Side
    master: Master
    """Of the item, whether its files are in the package or not."""
    versions: tuple[PackedVersion, ...]
    """What is in it, in the order of making; of one side only."""
    organization: str
    """Whose archive it leaves."""
    made: str
    """UTC, RFC 3339 with seconds and `Z`."""
    agent: str
    """Software that makes it: name and version."""
    companion: str = ""
    """Path, from this package's folder, to that of the item's other side; empty where none was exported with it."""
    checkpoint: bytes = b""
    """The log's signed checkpoint (C2SP signed note) that `logged` events are proved under."""
    log_key: bytes = b""
    """The log's public key as C2SP signed-note writes it."""

    def mixed(self) -> tuple[str, ...]:
        """REFs of versions that are not of this package's side: none, ever (promise P4)."""
        stories = self.side is Side.STORIES
        return tuple(part.ref for part in self.versions if isinstance(part.record, StoryDerivation) is not stories)
