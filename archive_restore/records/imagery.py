"""What pixels are: picture facts, flags of the synthesis map, damage classes, regions, geometry.

The flags are the contract of the synthesis map (docs/explanation/synthesis-map.md): one byte a pixel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, IntFlag, StrEnum


class PixelFlag(IntFlag):
    """What a pixel of a derivative is, relative to the master; several may be set."""

    ORIGINAL = 0
    """No flag at all: its samples equal the master's at the mapped coordinate, bit for bit."""
    ADJUSTED = 0x01
    """A recorded tone or colour curve of the same pixel."""
    RESAMPLED = 0x02
    """Interpolated by a change of geometry or scale."""
    FILTERED = 0x04
    """A recorded deterministic filter of its neighbourhood."""
    INTERPOLATED = 0x08
    """Filled from its surroundings without a trained model."""
    SYNTHESIZED = 0x10
    """Luminance or structure made by a trained model."""
    COLORIZED = 0x20
    """Chroma made by a model or palette; luminance kept within the stated tolerance."""
    HUMAN = 0x40
    """A person's direct decision (hint, hand-drawn region, manual fill)."""
    MOVED = 0x80
    """Displaced in time (animation)."""


PRESERVATION_FLAGS = (
    PixelFlag.ADJUSTED | PixelFlag.FILTERED | PixelFlag.INTERPOLATED | PixelFlag.SYNTHESIZED | PixelFlag.HUMAN
)
"""Flags a preservation derivative may carry: it never resamples, colorizes or moves (DESIGN section 5)."""


class DamageClass(IntEnum):
    """What the detector (or a person) says is damaged; the values of a damage map."""

    SOUND = 0
    BRIGHT_LINE = 1
    """Scratch, hair, crease or crack lighter than the picture."""
    DARK_LINE = 2
    BRIGHT_SPOT = 3
    """Dust, pinhole or lost emulsion lighter than the picture."""
    DARK_SPOT = 4
    INFRARED = 5
    """Seen by the scanner's infrared channel."""
    HUMAN = 6
    """Marked by a person."""
    LOSS = 7
    """Too wide to be filled from its surroundings without inventing."""


class SampleRole(StrEnum):
    """What one sample of a pixel means."""

    GRAY = "gray"
    """Luma where 0 is black."""
    GRAY_INVERTED = "gray-inverted"
    """TIFF WhiteIsZero: 0 is white."""
    RED = "red"
    GREEN = "green"
    BLUE = "blue"
    ALPHA = "alpha"
    """Associated or unassociated alpha (TIFF ExtraSamples 1 or 2)."""
    INFRARED = "infrared"
    """Scanner's infrared channel."""
    OTHER = "other"


@dataclass(frozen=True, kw_only=True)
class Region:
    """A rectangle of pixels: rows `top`..`bottom`, columns `left`..`right`, ends excluded."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def height(self) -> int:
        """Rows."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Columns."""
        return self.right - self.left

    def within(self, whole: Region) -> tuple[slice, slice]:
        """Rows and columns of this rectangle in an array that covers `whole`."""
        top, left = self.top - whole.top, self.left - whole.left
        return slice(top, top + self.height), slice(left, left + self.width)


Geometry = tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]
"""3×3 homogeneous matrix from derivative pixel centres (x, y, 1) to master pixel centres."""

IDENTITY: Geometry = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
"""The frame is unchanged."""


@dataclass(frozen=True, kw_only=True)
class PictureFacts:
    """Technical facts of a file's main picture (TIFF 6.0 words where there are any)."""

    width: int
    """Pixels."""
    height: int
    """Pixels."""
    samples: int
    """Samples a pixel."""
    bits: int
    """Bits a sample."""
    sample_format: str
    """`uint`, `int` or `float`."""
    roles: tuple[SampleRole, ...]
    """Meaning of each sample, in order."""
    photometric: str
    """For instance `minisblack`, `miniswhite`, `rgb`."""
    compression: str
    """For instance `none`, `lzw`, `deflate`, `jpeg`."""
    layout: str
    """`strips`, `tiles` or `whole`; with ` planar` where each sample has its own plane."""
    pages: int
    """Pictures in the file that are not reduced copies or masks."""
    byte_order: str = ""
    """`little`, `big`, or empty where the format has none."""
    x_resolution: float | None = None
    """Pixels an inch, where the file says so."""
    y_resolution: float | None = None
    """Pixels an inch."""
    icc_description: str = ""
    """Name inside the ICC profile; empty where there is no profile."""
    icc_sha256: str = ""
    """Digest of the ICC profile."""
    orientation: int = 1
    """EXIF/TIFF orientation 1..8: recorded and carried along, never applied to pixels."""
    exif: Mapping[str, str] | None = None
    """EXIF values by name."""
    xmp: bool = False
    """Whether the file carries an XMP packet."""
    iptc: Mapping[str, str] | None = None
    """IPTC-IIM values by name."""
    note: str = ""
    """What the reader had to decide, for instance that a DNG's preview stands for its raw data."""


@dataclass(frozen=True, kw_only=True)
class MapSummary:
    """What `synthesis-map.json` says: enough to check the map without trusting it."""

    width: int
    height: int
    counts: Mapping[str, int]
    """Pixels a class: `ORIGINAL` (no flag) and each flag's name; a pixel with two flags counts in both."""
    histogram: Mapping[str, int]
    """Pixels a map value, keyed by the decimal value."""
    sha256: str
    """Digest of the decoded map: width×height bytes, row by row."""
    master_sha256: str
    """Digest of the master file the map relates to."""
    master_pixels_sha256: str
    """Digest of the master's decoded samples (see core.synthesis_map.pixel_digest)."""
    geometry: Geometry = IDENTITY
    """From derivative to master pixels."""

    @property
    def pixels(self) -> int:
        """All pixels of the map."""
        return self.width * self.height

    @property
    def original_fraction(self) -> float:
        """Share of pixels without any flag, 0..1."""
        return self.counts.get("ORIGINAL", 0) / self.pixels if self.pixels else 1.0
