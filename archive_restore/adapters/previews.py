"""Display pictures, thumbnails and map overlays: sRGB of 8 bits, encoded as PNG (W3C) and JPEG (ISO/IEC 10918-1).

Master and restoration always pass the same transfer. These pictures are for the eye only: no digest and no claim
may ever rest on them.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

from archive_restore.core.synthesis_map import display_table
from archive_restore.imaging.planes import upright
from archive_restore.imaging.reduce import MapArray, Reduced, reduce_picture
from archive_restore.records.imagery import PictureFacts, SampleRole

Samples = npt.NDArray[Any]
DisplayArray = npt.NDArray[np.uint8]

DISPLAY_LONGEST = 1600
"""Longest edge of a display picture, pixels."""
THUMBNAIL_LONGEST = 512
"""Longest edge of a thumbnail, pixels."""

_MAP_GROUND_LEVELS = 24
"""Grays under the flags of a detail's map: few enough that the PNG stays small, enough to recognise the picture."""


# --- display -----------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """How code values become display values: one for master and restoration alike, so that they compare honestly."""

    roles: tuple[SampleRole, ...]
    """Meaning of each sample; infrared and alpha are not shown."""
    white: float
    """The code value shown as white; 0 is black."""
    orientation: int = 1
    """EXIF/TIFF orientation 1..8, applied to what is shown and to nothing else."""
    icc: bytes = b""
    """ICC profile from which colours are converted to sRGB; empty to show code values as they are."""


def transfer_for(facts: PictureFacts, white: float, icc: bytes = b"") -> Transfer:
    """Make the transfer of a picture; a profile that does not fit its samples or does not load is left out."""
    roles = facts.roles
    mode = "RGB" if _colour_indices(roles) else "GRAY"
    return Transfer(
        roles=roles,
        white=white if white > 0 else 1.0,
        orientation=facts.orientation if 1 <= facts.orientation <= 8 else 1,
        icc=icc if _profile_space(icc) == mode else b"",
    )


def display(samples: Samples, transfer: Transfer) -> DisplayArray:
    """Turn samples (h, w, samples) of any dtype into sRGB for the screen: uint8 (h, w) gray or (h, w, 3)."""
    colours = _colour_indices(transfer.roles)
    index = list(colours) if colours else _gray_index(transfer.roles)
    shown_only = samples if index == list(range(samples.shape[-1])) else samples[..., index]
    values = np.asarray(shown_only, np.float32) / np.float32(transfer.white)
    if not np.isfinite(values).all():
        values = np.nan_to_num(values, nan=0.0, posinf=1.0, neginf=0.0)
    np.clip(values, 0.0, 1.0, out=values)
    if not colours and transfer.roles[_gray_index(transfer.roles)] is SampleRole.GRAY_INVERTED:
        values = 1.0 - values
    values *= 255.0
    values += 0.5
    shown = values.astype(np.uint8)
    if transfer.icc:
        shown = _to_srgb(shown, transfer.icc)
    return upright(shown, transfer.orientation)


def display_picture(reduced: Reduced, transfer: Transfer, longest: int = DISPLAY_LONGEST) -> DisplayArray:
    """Display picture of a reduced one, longest edge at most `longest`: uint8 (h, w) or (h, w, 3)."""
    return display(reduce_picture(reduced, longest), transfer)


def _colour_indices(roles: tuple[SampleRole, ...]) -> tuple[int, int, int] | None:
    wanted = (SampleRole.RED, SampleRole.GREEN, SampleRole.BLUE)
    if not all(role in roles for role in wanted):
        return None
    red, green, blue = (roles.index(role) for role in wanted)
    return red, green, blue


def _gray_index(roles: tuple[SampleRole, ...]) -> int:
    for role in (SampleRole.GRAY, SampleRole.GRAY_INVERTED, SampleRole.OTHER):
        if role in roles:
            return roles.index(role)
    return 0


def _profile_space(icc: bytes) -> str:
    """Colour space of a profile that loads (ICC.1:2022 §7.2.6), else an empty string."""
    if not icc:
        return ""
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        space = str(profile.profile.xcolor_space).strip()
        if space in ("GRAY", "RGB"):
            _to_srgb(np.zeros((1, 1) if space == "GRAY" else (1, 1, 3), np.uint8), icc)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return ""
    return space


def _to_srgb(shown: DisplayArray, icc: bytes) -> DisplayArray:
    picture = Image.fromarray(shown)
    converted = ImageCms.profileToProfile(
        picture,
        ImageCms.ImageCmsProfile(io.BytesIO(icc)),
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
    )
    if converted is None:
        raise ImageCms.PyCMSError("no picture came back")
    rgb = np.asarray(converted)
    return rgb if shown.ndim == 3 else np.ascontiguousarray(rgb[..., 1])


# --- encoding ----------------------------------------------------------------------------------------


def png_bytes(image: DisplayArray) -> bytes:
    """Lossless PNG of uint8 (h, w) or (h, w, 3)."""
    return _saved(Image.fromarray(image), "PNG", optimize=True)


def jpeg_bytes(image: DisplayArray, quality: int = 85) -> bytes:
    """Baseline JPEG of uint8 (h, w) or (h, w, 3); colour at full resolution from quality 90."""
    # Neither progressive nor optimized: Pillow 13 reserves too small a buffer for those, and fails on noisy pictures.
    return _saved(Image.fromarray(image), "JPEG", quality=quality, subsampling=0 if quality >= 90 else 2)


def thumbnail(reduced: Reduced, transfer: Transfer) -> bytes:
    """JPEG of a reduced picture, longest edge at most 512."""
    return jpeg_bytes(display_picture(reduced, transfer, THUMBNAIL_LONGEST), 85)


def map_png(flags: MapArray, orientation: int = 1) -> bytes:
    """Palette PNG of map values (h, w) in the display colours; ORIGINAL is fully transparent."""
    table = display_table()
    picture = Image.fromarray(upright(flags, orientation)).convert("L")
    picture.putpalette(table[:, :3].tobytes())
    return _saved(picture, "PNG", optimize=False, transparency=table[:, 3].tobytes())


def map_over_picture(flags: MapArray, picture: DisplayArray, orientation: int = 1) -> bytes:
    """Palette PNG of the flags over a pale gray rendering of `picture` (already upright), for details."""
    luma = picture if picture.ndim == 2 else np.asarray(picture @ np.array([0.2126, 0.7152, 0.0722]), np.uint8)
    top = _MAP_GROUND_LEVELS - 1
    ground = (luma.astype(np.uint16) * top // 255).astype(np.uint8)
    grays = np.linspace(120, 250, _MAP_GROUND_LEVELS).astype(np.uint8)
    turned = upright(flags, orientation)
    present = np.unique(turned[turned != 0])
    lookup = np.zeros(256, np.uint8)
    lookup[present] = np.arange(len(present), dtype=np.uint8) + _MAP_GROUND_LEVELS
    indexed = Image.fromarray(np.where(turned != 0, lookup[turned], ground))
    colours = display_table()[present, :3]
    indexed.putpalette(np.concatenate([np.repeat(grays[:, None], 3, axis=1), colours]).tobytes())
    return _saved(indexed, "PNG", optimize=True)


def _saved(picture: Image.Image, kind: Literal["PNG", "JPEG"], **options: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def encode_alike(pictures: Sequence[DisplayArray], budget: int) -> tuple[tuple[bytes, ...], bool]:
    """Encode pictures that will be compared as JPEG, all at the same quality: the highest at which they fit together.

    Return them and whether they fit into `budget` bytes; at the lowest quality they are returned all the same.
    """
    encoded: tuple[bytes, ...] = ()
    for quality in (92, 88, 84, 80, 75, 68):
        encoded = tuple(jpeg_bytes(picture, quality) for picture in pictures)
        if sum(map(len, encoded)) <= budget:
            return encoded, True
    return encoded, False
