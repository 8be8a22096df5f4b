"""Search among many fingerprints: by whole-picture codes, and by votes of local features (an inverted file).

Arrays may be memory maps: nothing is copied that is not looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from archive_restore.imaging.feature_codes import BUCKETS

CODE_BYTES = 32
_ROWS = 1 << 15
"""Codes looked at together: what fits into a processor's cache."""
_ALIKE = 13
"""Bits of a signature, of 64, in which copies of a feature differ at most."""
_SHARP = 5.0
"""Bits at which a vote has lost four tenths of its weight."""


@dataclass(frozen=True, kw_only=True)
class KinIndex:
    """Fingerprints of n pictures with p local features in all."""

    codes: npt.NDArray[np.uint8]
    """(n, 32) raw ISCC digests."""
    starts: npt.NDArray[np.int64]
    """(BUCKETS + 1,): the postings of bucket b are starts[b]..starts[b + 1]."""
    items: npt.NDArray[np.uint32]
    """(p,) rows of `codes`."""
    signatures: npt.NDArray[np.uint64]
    """(p,)"""

    def __len__(self) -> int:
        """Pictures."""
        return len(self.codes)


def build(
    codes: npt.NDArray[np.uint8],
    words: Sequence[npt.NDArray[np.uint16]],
    signatures: Sequence[npt.NDArray[np.uint64]],
) -> KinIndex:
    """Index pictures: a code (32,), words and signatures each."""
    counts = [len(entry) for entry in words]
    items = np.repeat(np.arange(len(words), dtype=np.uint32), counts)
    buckets = np.concatenate(words) if counts else np.zeros(0, np.uint16)
    found = np.concatenate(signatures) if counts else np.zeros(0, np.uint64)
    return _sorted(np.asarray(codes, np.uint8).reshape(-1, CODE_BYTES), buckets, items, found)


def merged(parts: Sequence[KinIndex]) -> KinIndex:
    """One index of several, in their order."""
    buckets, items, before = [], [], 0
    for part in parts:
        buckets.append(np.repeat(np.arange(BUCKETS, dtype=np.uint16), np.diff(part.starts)))
        items.append(part.items + np.uint32(before))
        before += len(part)
    return _sorted(
        np.concatenate([part.codes for part in parts]), np.concatenate(buckets), np.concatenate(items),
        np.concatenate([part.signatures for part in parts]),
    )  # fmt: skip


def _sorted(
    codes: npt.NDArray[np.uint8],
    buckets: npt.NDArray[np.uint16],
    items: npt.NDArray[np.uint32],
    signatures: npt.NDArray[np.uint64],
) -> KinIndex:
    order = np.argsort(buckets, kind="stable")
    starts = np.zeros(BUCKETS + 1, np.int64)
    np.cumsum(np.bincount(buckets, minlength=BUCKETS), out=starts[1:])
    return KinIndex(codes=codes, starts=starts, items=items[order], signatures=signatures[order])


def distances(codes: npt.NDArray[np.uint8], queries: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint16]:
    """Bits in which each code (n, 32) differs from the nearest of the queries (k, 32): uint16 (n,)."""
    words = codes.view(np.uint64)
    asked = np.ascontiguousarray(queries).view(np.uint64)
    result = np.full(len(codes), 8 * CODE_BYTES, np.uint16)
    for first in range(0, len(codes), _ROWS):
        # One word of all rows at a time: numpy is fastest along one axis.
        columns = np.ascontiguousarray(words[first : first + _ROWS].T)
        best = result[first : first + _ROWS]
        for query in asked:
            total = np.bitwise_count(columns[0] ^ query[0]).astype(np.uint16)
            for column, value in zip(columns[1:], query[1:], strict=True):
                total += np.bitwise_count(column ^ value)
            np.minimum(best, total, out=best)
    return result


def votes(
    index: KinIndex, probes: npt.NDArray[np.uint16], signatures: npt.NDArray[np.uint64]
) -> npt.NDArray[np.float32]:
    """How much of a picture's features each picture of the index has: float32 (n,).

    `probes` (q, k) are the buckets of each feature, `signatures` (q,). A feature votes once for a picture, more the
    nearer the signatures are.
    """
    total = np.zeros(len(index), np.float32)
    for buckets, signature in zip(probes, signatures, strict=True):
        pieces, near = [], []
        for bucket in buckets:
            first, last = index.starts[bucket], index.starts[bucket + 1]
            apart = np.bitwise_count(index.signatures[first:last] ^ signature)
            hits = np.flatnonzero(apart <= _ALIKE)
            if len(hits):
                pieces.append(index.items[first:last][hits])
                near.append(apart[hits])
        if not pieces:
            continue
        items, apart = np.concatenate(pieces), np.concatenate(near)
        order = np.lexsort((apart, items))
        items, apart = items[order], apart[order]
        once = np.ones(len(items), bool)
        once[1:] = items[1:] != items[:-1]
        total[items[once]] += np.exp(-0.5 * np.square(apart[once] / _SHARP)).astype(np.float32)
    return total
