"""Content credentials of one file as a person needs them: every manifest, the newest first (C2PA 2.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from archive_restore.records.findings import Severity


@dataclass(frozen=True, kw_only=True)
class StatedAction:
    """One thing that a signer says was done (C2PA 2.2 §18.15)."""

    action: str
    """The label, for instance `c2pa.edited`."""
    words: str
    """What that label means."""
    description: str
    """The signer's own words; empty where there are none."""
    when: str
    """As the signer claims; empty where not said."""
    software: str
    source_type: str
    """IPTC digital source type, the last part of its URI, or the whole text where it is none; empty where not said."""
    source_words: str
    """What that source type means."""
    regions: int
    """Places in the picture that the action names."""


@dataclass(frozen=True, kw_only=True)
class StatedIngredient:
    """One thing that went into a file (C2PA 2.2 §18.16)."""

    title: str
    format: str
    relationship: str
    """`parentOf`, `componentOf` or `inputTo`."""
    words: str
    """What that relationship means."""
    manifest: str
    """Label of its own manifest; empty where it brought none along."""
    description: str


@dataclass(frozen=True, kw_only=True)
class StatedManifest:
    """One manifest of a chain."""

    label: str
    title: str
    """Name of the file it was signed for."""
    generator: str
    """Program that made it."""
    signer: str
    """Common name and organization of the signing certificate."""
    issuer: str
    """Who issued that certificate; empty where the library does not say."""
    algorithm: str
    """For instance `es256`; empty where there is no signature."""
    when: str
    """Time of signing: by time-stamp, else the latest that an action claims; empty where neither is there."""
    stamped: bool
    """Whether `when` is a time-stamp."""
    actions: tuple[StatedAction, ...]
    ingredients: tuple[StatedIngredient, ...]
    own: tuple[str, ...]
    """Labels of this program's own assertions in it."""
    others: tuple[str, ...]
    """Labels of all other assertions."""
    trusted: bool | None
    """Whether its signer is known here; None where its signature does not hold or was not judged."""


@dataclass(frozen=True, kw_only=True)
class Objection:
    """One validation status that is no success, with what follows from it (C2PA 2.2 §15)."""

    code: str
    """The status code, for instance `assertion.dataHash.mismatch`."""
    finding: str
    """Code of the finding it becomes."""
    severity: Severity
    manifest: str
    """Label of the manifest it is about; empty where it is about the whole."""
    means: str
    means_not: str
    """What it does not prove."""


@dataclass(frozen=True, kw_only=True)
class CredentialChain:
    """All manifests of one file, and what a reader objects to."""

    manifests: tuple[StatedManifest, ...]
    """Along the parents from the newest to the first; then those of other ingredients."""
    parents: int
    """How many of them, from the first on, are the file's own line."""
    objections: tuple[Objection, ...]
    statements: Mapping[str, Any] = field(default_factory=dict)
    """Content of the newest manifest's assertions of this program, by their full label."""
    thumbnail: bytes = b""
    """The signer's small picture of what was signed, encoded; empty where the newest manifest has none."""
    soft_binding: bytes = b""
    """Raw ISCC image code of the picture that was signed; empty where the newest manifest names none."""
