"""Decodes one strip or tile (TIFF 6.0 sections 9, 13, 14, 15, 22; Technical Notes 2 and 3).

The output buffer is as large as the layout says and never larger, whatever the stored bytes expand to. Never
converts samples, but YCbCr-coded JPEG, which becomes RGB.
"""

from __future__ import annotations

import lzma
import zlib
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt

from archive_restore.adapters.jpeg_structure import frame_of
from archive_restore.adapters.tiff_layout import PageLayout

Samples = npt.NDArray[Any]
LZMA_MEMORY = 1 << 28


class SegmentDamaged(ValueError):
    """The stored bytes do not decode to what the layout promises."""


def decode_segment(layout: PageLayout, data: bytes, rows: int) -> Samples:
    """Decode a segment of `rows` rows: shape (rows, segment_width, segment_samples), native byte order.

    Raise SegmentDamaged where the bytes do not decode or are too few.
    """
    shape = (rows, layout.segment_width, layout.segment_samples)
    if layout.compression == 7:
        return _jpeg(layout, data, shape)
    size = rows * layout.row_bytes
    try:
        raw = _expand(layout, data, size)
    except (RuntimeError, ValueError, zlib.error, lzma.LZMAError, EOFError) as exc:
        raise SegmentDamaged(f"{type(exc).__name__}: {exc}") from exc
    if len(raw) < size:
        raise SegmentDamaged(f"{len(raw)} of {size} bytes")
    return unpredict(layout, raw, shape)


def unpredict(layout: PageLayout, raw: bytes | Samples, shape: tuple[int, int, int]) -> Samples:
    """Undo the predictor and the byte order of expanded rows; horizontal only, so any number of rows will do."""
    dtype = layout.dtype
    if layout.predictor == 3:
        # Technical Note 3: bytes of a row are sorted by significance, whatever the file's byte order.
        return np.asarray(imagecodecs.floatpred_decode(np.frombuffer(raw, dtype, shape[0] * shape[1] * shape[2])
                                                       .reshape(shape), axis=-2))  # fmt: skip
    stored = np.frombuffer(raw, dtype.newbyteorder(layout.order), shape[0] * shape[1] * shape[2]).reshape(shape)
    native = stored.astype(dtype, copy=False)
    if layout.predictor == 2:
        return np.asarray(imagecodecs.delta_decode(native, axis=-2))
    return native


def _expand(layout: PageLayout, data: bytes, size: int) -> bytes | Samples:
    code = layout.compression
    if code == 1:
        return data[:size]
    # The last strip may be coded with the rows beyond the picture: room for a whole one.
    room = np.empty(max(size, layout.segment_height * layout.row_bytes), np.uint8).data
    if code == 5:
        return _bytes(imagecodecs.lzw_decode(data, out=room))[:size]
    if code in (8, 32946):
        try:
            return _bytes(imagecodecs.deflate_decode(data, out=room))[:size]
        except imagecodecs.DeflateError:
            return zlib.decompressobj().decompress(data, size)
    if code == 32773:
        return _bytes(imagecodecs.packbits_decode(data, out=room))[:size]
    if code == 50000:
        return _bytes(imagecodecs.zstd_decode(data, out=room))[:size]
    if code == 34925:
        return lzma.LZMADecompressor(memlimit=LZMA_MEMORY).decompress(data, size)
    raise ValueError(f"compression {code} is not supported")


def _bytes(decoded: Any) -> Samples:
    return np.asarray(decoded).view(np.uint8).reshape(-1)


def _jpeg(layout: PageLayout, data: bytes, shape: tuple[int, int, int]) -> Samples:
    frame = frame_of(data)
    if frame is None:
        raise SegmentDamaged("no JPEG frame")
    if not (shape[0] <= frame.height <= layout.segment_height and frame.width == shape[1]):
        raise SegmentDamaged(f"the JPEG frame is {frame.width}×{frame.height}")
    try:
        if frame.process == 3:
            decoded = np.asarray(imagecodecs.jpegsof3_decode(data))
        else:
            # The tag decides about colour, not the stream's own markers, as in libtiff.
            space = {2: ("RGB", "RGB"), 6: ("YCBCR", "RGB")}.get(layout.photometric, ("GRAYSCALE", "GRAYSCALE"))
            if layout.planar:
                space = ("GRAYSCALE", "GRAYSCALE")
            decoded = np.asarray(
                imagecodecs.jpeg8_decode(
                    data, tables=layout.jpeg_tables or None, colorspace=space[0], outcolorspace=space[1]
                )
            )
    except (RuntimeError, ValueError) as exc:
        raise SegmentDamaged(f"{type(exc).__name__}: {exc}") from exc
    if decoded.dtype != layout.dtype or decoded.size != frame.height * shape[1] * shape[2]:
        raise SegmentDamaged(f"the JPEG frame decodes to {decoded.shape} of {decoded.dtype}")
    return decoded.reshape(frame.height, shape[1], shape[2])[: shape[0]]
