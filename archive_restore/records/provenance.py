"""How something was made: recipe, materials, products, environment, events (PREMIS 3 §1.2 events, agents).

A derivation is written once and rendered three times: as PREMIS event, C2PA actions and recipe. It never
holds the digest of the signed file, since it is embedded in that file; it holds digests of decoded pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TypeAlias

Json: TypeAlias = "str | int | float | bool | tuple[Json, ...] | Mapping[str, Json] | None"
"""Plain data; lists arrive as tuples."""


class Determinism(StrEnum):
    """What a second run of a derivation must give."""

    BIT_EXACT = "bit-exact"
    """The same decoded samples with the same software versions, on any processor."""
    SAME_MACHINE = "same-machine"
    """The same decoded samples on the same kind of processor; elsewhere rounding may differ."""
    CLOSE = "close"
    """Within the tolerance the step states."""


@dataclass(frozen=True, kw_only=True)
class RecipeStep:
    """One step of a recipe with the parameters a person chose."""

    step: str
    """Name of the entry point."""
    parameters: Mapping[str, Json] = field(default_factory=lambda: MappingProxyType({}))
    """Only what differs from the step's defaults."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Ordered steps; JSON validated by `schemas/recipe.schema.json`."""

    name: str
    description: str
    steps: tuple[RecipeStep, ...]


@dataclass(frozen=True, kw_only=True)
class StepRun:
    """A step as it ran: every parameter resolved."""

    step: str
    version: str
    """Version of the step's own algorithm; changes when its output changes."""
    parameters: Mapping[str, Json]
    """All parameters, defaults included."""
    survey: Mapping[str, Json]
    """What the step found when it looked at the whole picture once."""
    action: str
    """C2PA action, for instance `c2pa.edited`."""
    digital_source_type: str
    """IPTC digital source type of what the step made; empty where it changed no pixel."""
    pixels: int
    """Pixels to which this step gave a flag."""
    description: str
    """One plain sentence for the report."""


@dataclass(frozen=True, kw_only=True)
class Material:
    """Something that went in."""

    role: str
    """`master`, `damage map`, …"""
    ref: str
    """REF in this archive, or the file name of something a person handed in."""
    mime: str
    size: int
    """Bytes."""
    sha512: str
    """Digest of the file."""
    sha256: str
    """Digest of the file."""
    pixels_sha256: str
    """Digest of the decoded samples."""


@dataclass(frozen=True, kw_only=True)
class Product:
    """Something that came out, described by its decoded content."""

    role: str
    """`picture`, `synthesis map`, `damage map`."""
    name: str
    """File name inside the OCFL object."""
    mime: str
    width: int
    height: int
    dtype: str
    """numpy dtype of the decoded samples, little-endian: `|u1`, `<u2`, `<f4`."""
    samples: int
    pixels_sha256: str
    """Digest of the decoded samples."""


@dataclass(frozen=True, kw_only=True)
class SoftwareAgent:
    """A program or library that took part (PREMIS agent of type software)."""

    name: str
    version: str
    role: str
    """For instance `pixels`, `TIFF`, `C2PA`."""


@dataclass(frozen=True, kw_only=True)
class ModelUse:
    """A trained model that took part."""

    name: str
    version: str
    sha256: str
    """Digest of the weights."""
    card_sha256: str
    licence: str


@dataclass(frozen=True, kw_only=True)
class Environment:
    """Where and with what it ran."""

    agents: tuple[SoftwareAgent, ...]
    models: tuple[ModelUse, ...]
    platform: str
    """Operating system and processor architecture."""
    device: str
    """`cpu`, `cuda`, `mps`."""
    determinism: Determinism


@dataclass(frozen=True, kw_only=True)
class Event:
    """A PREMIS event; each becomes one entry of the audit log."""

    event_id: str
    """`urn:uuid:…`."""
    type: str
    """A word of the PREMIS event type vocabulary, for instance `ingestion`."""
    date_time: str
    """UTC, RFC 3339 with seconds and `Z`."""
    ref: str
    """The REF it is about."""
    outcome: str
    """`success`, `warning` or `failure`."""
    detail: str
    """One sentence."""
    agent: str
    """Who or what did it."""
    digests: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Named digests the event vouches for, each `sha512:…` or `sha256:…`."""
