"""ISCC image codes (ISO 24138): the soft binding that finds a picture again after its manifest was stripped.

A match is a candidate, never a verification. Takes pictures that are already reduced; never opens a file.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from archive_restore.imaging.planes import colour_indices, upright
from archive_restore.ports import Overview, Samples
from archive_restore.records.imagery import SampleRole

EDGE = 32
"""Pixels an edge of the normalized picture."""
BITS = 256

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""ITU-R BT.601, what ISCC's reference normalization uses."""
_COLOURS = (SampleRole.RED, SampleRole.GREEN, SampleRole.BLUE)


def image_code(gray32: npt.NDArray[np.uint8]) -> tuple[str, bytes]:
    """ISCC image code v0 (`ISCC:EED…`) and its raw digest, 32 bytes, of a normalized picture, uint8 (32, 32)."""
    if gray32.shape != (EDGE, EDGE) or gray32.dtype != np.uint8:
        raise ValueError(f"a normalized picture is uint8 (32, 32), not {gray32.dtype} {gray32.shape}")
    import iscc_core  # 70 ms, and most commands need none

    digest = bytes(iscc_core.soft_hash_image_v0(gray32.ravel().tolist(), bits=BITS))
    code = iscc_core.encode_component(
        mtype=iscc_core.MT.CONTENT,
        stype=iscc_core.ST_CC.IMAGE,
        version=iscc_core.VS.V0,
        bit_length=BITS,
        digest=digest,
    )
    return f"ISCC:{code}", digest


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
