"""Access copies: what leaves the archive as a picture, and what is said with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from archive_restore.records.imagery import MapSummary, Region
from archive_restore.records.provenance import Material
from archive_restore.records.reviews import ReviewState


@dataclass(frozen=True, kw_only=True)
class EncodingError:
    """How far the decoded copy lies from the picture that was encoded, over all its 8-bit samples."""

    psnr: float | None
    """Peak signal-to-noise ratio, dB; None where nothing differs."""
    maximum: int
    """Greatest absolute difference, code values."""
    mean: float
    """Mean absolute difference, code values."""


@dataclass(frozen=True, kw_only=True)
class Caption:
    """Whether the copy says in sight what it is."""

    text: str
    """What stands in the band outside the picture; empty where there is none."""
    left_out: str = ""
    """The reason a person gave for leaving it out; empty where none was due, or it is there."""


@dataclass(frozen=True, kw_only=True)
class ClipCopy:
    """What a copy of a clip says besides: no frame and no sound of it is encoded again."""

    frames: int
    rate: int
    """Frames a second."""
    sound: bool
    decoded_sha256: str
    """Digest of all decoded frames, one after another: those of the stored clip and of the copy."""
    maps: str
    """Name of the stored video that holds the synthesis map of every frame."""
    maps_sha256: str
    """Of its bytes."""
    maps_pixels_sha256: str
    """Digest of its decoded frames."""


@dataclass(frozen=True, kw_only=True)
class AccessCopy:
    """One access copy: the content of the assertion `org.archive-restore.access.v1`."""

    ref: str
    """REF of what was copied, with its version."""
    name: str
    """File name of the copy."""
    source: Material
    """The stored file that was copied, with the role `parent`; `pixels_sha256` of its decoded samples."""
    width: int
    """Of the copy, band included; pixels as they are stored, before `orientation` turns them."""
    height: int
    picture: Region
    """Where in the copy the picture lies."""
    orientation: int
    """EXIF orientation 1..8, as that of the source."""
    quality: int | None
    """Of the JPEG encoder, 1..100; every sample has its own chroma (4:4:4). None for a clip, whose frames stay."""
    colour: str
    """What the code values mean: `sRGB`, or the name of the ICC profile that was carried along."""
    left_out: tuple[str, ...]
    """Samples of the source that the copy does not have: `alpha`, `infrared`."""
    pixels_sha256: str
    """Digest of the 8-bit samples of the picture before they were encoded, without the band; of a clip all frames."""
    encoding: EncodingError
    caption: Caption
    digital_source_type: str
    """IPTC digital source type (last part of the URI) of what is shown; empty where nobody knows."""
    map: MapSummary | None
    """The synthesis map of what was copied; None for a master, whose every pixel is original."""
    made: str
    """UTC, RFC 3339."""
    review: ReviewState | None = None
    """What a person said of the version that was copied; None for a master, which nobody reviews."""
    clip: ClipCopy | None = None
    """Of an animation alone."""


@dataclass(frozen=True, kw_only=True)
class Disclosure:
    """What is said of one picture in one language, at several lengths."""

    ref: str
    language: str
    title: str
    caption: str
    """One line for beside the picture."""
    short: str
    """At most 280 characters, for platforms."""
    long: str
    """Paragraphs: what was done, by what and whom, which share of the pixels is what."""
    shares: Mapping[str, float]
    """Share of the pixels a flag of the synthesis map, 0..1; `ORIGINAL` for those with none."""
