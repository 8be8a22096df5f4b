"""ISCC image codes (ISO 24138): the soft binding that finds a picture again after its manifest was stripped.

A match is a candidate, never a verification. Takes pictures that are already reduced; never opens a file.
"""

from __future__ import annotations

import base64
import math

import numpy as np
import numpy.typing as npt

from archive_restore.imaging.planes import colour_indices, upright
from archive_restore.ports import Overview, Samples
from archive_restore.records.imagery import SampleRole

EDGE = 32
"""Pixels an edge of the normalized picture."""
BITS = 256
_HEADER = bytes([0x21, 0x07])
"""Content, image; version 0, BITS (ISO 24138, 5.3)."""

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""ITU-R BT.601, what ISCC's reference normalization uses."""
_COLOURS = (SampleRole.RED, SampleRole.GREEN, SampleRole.BLUE)


def image_code(gray32: npt.NDArray[np.uint8]) -> tuple[str, bytes]:
    """ISCC image code v0 (`ISCC:EED…`) and its raw digest, 32 bytes, of a normalized picture, uint8 (32, 32)."""
    if gray32.shape != (EDGE, EDGE) or gray32.dtype != np.uint8:
        raise ValueError(f"a normalized picture is uint8 (32, 32), not {gray32.dtype} {gray32.shape}")
    cosines = _transformed(_transformed(gray32.astype(np.float64)).T).T
    bits = np.concatenate([_above_median(cosines[y : y + 8, x : x + 8]) for y in (0, 8) for x in (0, 8)])
    digest = np.packbits(bits).tobytes()
    return f"ISCC:{base64.b32encode(_HEADER + digest).decode().rstrip('=')}", digest


def _transformed(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Discrete cosine transform of type II of each row, its length a power of two, not scaled.

    Lee, "A new algorithm to compute the discrete cosine transform", IEEE Trans. ASSP 32, 1984, in the order in which
    the reference does it: rounding decides the bits of plain pictures.
    """
    length = rows.shape[1]
    if length == 1:
        return rows
    half = length // 2
    first, last = rows[:, :half], rows[:, : half - 1 : -1]
    cosines = np.array([math.cos((i + 0.5) * math.pi / length) * 2.0 for i in range(half)])
    made = np.empty_like(rows)
    made[:, ::2] = _transformed(first + last)
    odd = _transformed((first - last) / cosines)
    made[:, 1:-1:2] = odd[:, :-1] + odd[:, 1:]
    made[:, -1] = odd[:, -1]
    return made


def _above_median(block: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    ranked = np.sort(block, axis=None)
    middle = len(ranked) // 2
    return np.asarray(block.ravel() > (ranked[middle - 1] + ranked[middle]) / 2)


def normalize(gray: Samples) -> npt.NDArray[np.uint8]:
    """Reduce a gray picture to uint8 (32, 32) as ISCC's reference does: 8 bits, then bicubic.

    `gray` is (h, w) of any size: uint8 0..255, or float with 0 for black and 1 for white.
    """
    from PIL import Image

    if gray.dtype == np.uint8:
        eight = np.asarray(gray, np.uint8)
    else:
        eight = np.rint(np.clip(np.nan_to_num(gray.astype(np.float32)), 0, 1) * 255).astype(np.uint8)
    reduced = Image.fromarray(eight).resize((EDGE, EDGE), Image.Resampling.BICUBIC)
    return np.asarray(reduced, dtype=np.uint8)


def gray_of(seen: Overview) -> npt.NDArray[np.float32]:
    """Gray picture as a person would see it: float32 (h, w) 0..1, white is 1, upright, without alpha and infrared."""
    roles = seen.facts.roles
    values = seen.reduced.astype(np.float32, copy=False)
    if seen.facts.sample_format == "float":
        values = np.nan_to_num(values)
    values = values / np.float32(seen.white)
    colours = [roles.index(role) for role in _COLOURS if role in roles]
    if len(colours) == len(_COLOURS):
        gray = np.asarray(values[:, :, colours] @ _LUMA, np.float32)
    else:
        gray = values[:, :, colour_indices(roles)[0]]
        if SampleRole.GRAY_INVERTED in roles:
            gray = 1 - gray
    return upright(np.asarray(gray, np.float32), seen.facts.orientation)
