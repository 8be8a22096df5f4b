"""Bags that come in: what a BagIt bag (RFC 8493) says of itself, once it was found to be valid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from archive_restore.records.findings import Finding


@dataclass(frozen=True, kw_only=True)
class BagFile:
    """One payload file."""

    path: str
    """Relative to the bag, with slashes; begins with `data/`."""
    size: int
    """Bytes."""
    digests: Mapping[str, str]
    """Lower-case hex by algorithm as manifests name it, for instance `sha512`; all were verified."""
    is_picture: bool
    """Whether its name or its first bytes are those of a picture format."""


@dataclass(frozen=True, kw_only=True)
class Bag:
    """A bag, or what could be read of one."""

    version: str
    """For instance `1.0`; empty where it could not be read."""
    info: tuple[tuple[str, str], ...] = ()
    """Elements of bag-info.txt in their order, unfolded."""
    payload: tuple[BagFile, ...] = ()
    """In order of path."""
    tag_files: tuple[str, ...] = ()
    """Paths of all other files, in order."""
    findings: tuple[Finding, ...] = ()
    """What validation found; nothing of a bag with errors is used."""
    sheet: bytes | None = None
    """A metadata.csv found in it."""
    sheet_path: str = ""
    """Where it lies."""
    dublin_core: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Dublin Core elements of the whole bag, from XML; repeated ones are joined with `; `."""
    records: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}))
    """Records that an archive of this kind wrote (item.json, derivation.json), by path."""
