"""Feature codes: a local feature as a bucket, in which it is sought, and a signature, by which it is told apart.

Hamming embedding (Jégou, Douze and Schmid, 2008) over fixed directions instead of trained words.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from archive_restore.imaging.features import Features

BUCKET_BITS = 13
SIGNATURE_BITS = 64
BUCKETS = 1 << BUCKET_BITS

Buckets = npt.NDArray[np.uint16]
Signatures = npt.NDArray[np.uint64]


def encode(features: Features) -> tuple[Buckets, Signatures]:
    """Bucket and signature of each feature: uint16 (n,) and uint64 (n,)."""
    values = _projected(features)
    return _buckets(values[:, :BUCKET_BITS] > 0), _signatures(values[:, BUCKET_BITS:] > 0)


def probes(features: Features, count: int) -> npt.NDArray[np.uint16]:
    """Buckets in which each feature may lie in another copy of the picture: (n, count), likeliest first.

    Multi-probe (Lv et al., 2007): the bits nearest to their thresholds are the ones that may fall otherwise.
    """
    values = _projected(features)[:, :BUCKET_BITS]
    own = _buckets(values > 0)
    nearest = np.argsort(np.abs(values), axis=1, kind="stable")
    masks = (1 << nearest).astype(np.uint16)
    patterns = sorted(
        range(1 << _FLIPS), key=lambda bits: sum(1.0 + 0.6 * at for at in range(_FLIPS) if bits >> at & 1)
    )
    columns = []
    for pattern in patterns[:count]:
        flipped = own.copy()
        for at in range(_FLIPS):
            if pattern >> at & 1:
                flipped ^= masks[:, at]
        columns.append(flipped)
    return np.stack(columns, axis=1) if columns else np.zeros((len(own), 0), np.uint16)


_FLIPS = 7
"""Bits that are ever taken for uncertain."""


@lru_cache(maxsize=1)
def _table() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    import base64
    import zlib

    from archive_restore.imaging.feature_projection import DIRECTIONS, THRESHOLDS

    raw = np.frombuffer(zlib.decompress(base64.b85decode(DIRECTIONS)), np.int8)
    return raw.reshape(BUCKET_BITS + SIGNATURE_BITS, 128).T.astype(np.float32), np.array(THRESHOLDS, np.float32)


def _projected(features: Features) -> npt.NDArray[np.float32]:
    directions, thresholds = _table()
    # In double precision, so that no processor's order of adding makes another bit of a number near its threshold.
    return np.asarray(features.descriptors.astype(np.float64) @ directions - thresholds, np.float32)


def _buckets(bits: npt.NDArray[np.bool_]) -> Buckets:
    weights = (1 << np.arange(BUCKET_BITS)).astype(np.uint16)
    return np.asarray((bits * weights).sum(axis=1), np.uint16)


def _signatures(bits: npt.NDArray[np.bool_]) -> Signatures:
    packed = np.packbits(bits, axis=1, bitorder="little")
    return np.ascontiguousarray(packed).view("<u8").reshape(-1).astype(np.uint64)
