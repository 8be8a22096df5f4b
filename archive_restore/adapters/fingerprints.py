"""Fingerprints on disk: `fingerprints/` of an archive, safe to delete at any time.

Each addition is one folder of arrays that are mapped into memory, not read; many small ones are merged. Nothing here
is a fact: whatever is damaged is forgotten and made again from the pictures.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from archive_restore.adapters import durable
from archive_restore.adapters.iscc import image_code, normalize
from archive_restore.errors import StorageFailed
from archive_restore.imaging.alignment import reduced
from archive_restore.imaging.feature_codes import BUCKETS, encode, probes
from archive_restore.imaging.features import Features, detect
from archive_restore.imaging.kin_index import CODE_BYTES, KinIndex, build, distances, merged, votes
from archive_restore.imaging.registration import gray_of
from archive_restore.imaging.trimming import trimmed
from archive_restore.ports import Fingerprint, Fingerprints, Kin

VERSION = 1
"""Changes whenever `make` gives something else."""
LONGEST = 512
"""Longest edge at which features of the archive's pictures are sought."""
FEATURES = 128
"""Local features kept of each picture."""
ASKED_LONGEST = 640
ASKED = 400
"""Local features of a picture from outside that are sought."""
PROBES = 8
NEAR = 76
"""Bits of the ISCC image code within which a picture is a candidate; others are at 116 to 144."""
SEGMENTS = 8
"""Folders from which on they are merged."""
STATE = "state.json"
_ARRAYS = ("codes", "starts", "items", "signatures")


class FolderFingerprints(Fingerprints):
    """Fingerprints in one folder."""

    def __init__(self, folder: Path) -> None:
        """Nothing is read before something is asked, nothing written before something is added."""
        self._folder = folder
        self._segments: list[_Segment] | None = None
        self._covered = 0

    def covered(self) -> int:
        """See ports.Fingerprints."""
        self._all()
        return self._covered

    def known(self) -> frozenset[str]:
        """See ports.Fingerprints."""
        return frozenset(ref for segment in self._all() for ref in segment.refs)

    def make(self, picture: npt.NDArray[np.uint8]) -> Fingerprint:
        """See ports.Fingerprints."""
        gray = gray_of(picture)
        words, signatures = encode(detect(reduced(gray, LONGEST).image, FEATURES))
        return Fingerprint(code=image_code(normalize(gray))[1], words=words, signatures=signatures)

    def add(self, prints: Mapping[str, Fingerprint], covered: int) -> None:
        """See ports.Fingerprints."""
        index = build(
            np.frombuffer(b"".join(entry.code for entry in prints.values()), np.uint8),
            [entry.words for entry in prints.values()],
            [entry.signatures for entry in prints.values()],
        )
        segments = self._all()
        if prints:
            segments = [*segments, _Segment(index=index, refs=tuple(prints), place=None)]
        if len(segments) > SEGMENTS:
            index = merged([segment.index for segment in segments])
            refs = tuple(ref for segment in segments for ref in segment.refs)
            segments = [_Segment(index=index, refs=refs, place=None)]
        self._segments, self._covered = segments, covered
        with contextlib.suppress(
            OSError, StorageFailed
        ):  # a full or read-only disk costs time at the next audit, nothing else
            self._keep(segments)

    def find(self, picture: npt.NDArray[np.uint8], limit: int = 20) -> tuple[Kin, ...]:
        """See ports.Fingerprints."""
        gray = gray_of(picture)
        codes = _variants(gray)
        grid = reduced(gray, ASKED_LONGEST).image
        asked = [_asked(grid), _asked(np.ascontiguousarray(grid[:, ::-1]))]
        found: list[tuple[float, int, str, float]] = []
        for segment in self._all():
            if not len(segment.index):
                continue
            apart = distances(segment.index.codes, codes)
            weight = np.maximum(*(votes(segment.index, *query) for query in asked))
            rank = weight + np.where(apart <= NEAR, (NEAR - apart.astype(np.float32)) / 4 + 2, 0)
            count = min(limit, len(rank))
            found += [
                (float(rank[row]), int(apart[row]), segment.refs[row], float(weight[row]))
                for row in np.argpartition(-rank, count - 1)[:count]
                if rank[row] > 0
            ]
        found.sort(key=lambda entry: (-entry[0], entry[2]))
        return tuple(Kin(ref=ref, distance=apart, votes=weight) for _, apart, ref, weight in found[:limit])

    def _all(self) -> list[_Segment]:
        """What lies there. Where a part is missing nothing counts as accounted for, so that it is made again."""
        if self._segments is None:
            self._segments = []
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                state = json.loads((self._folder / STATE).read_text(encoding="utf-8"))
                if state["version"] != VERSION:
                    return self._segments
                for name in state["segments"]:
                    self._segments.append(_read(self._folder / Path(name).name))
                self._covered = int(state["covered"])
        return self._segments

    def _keep(self, segments: list[_Segment]) -> None:
        self._folder.mkdir(exist_ok=True)
        for number, segment in enumerate(segments):
            if segment.place is None:
                segments[number] = replace(segment, place=_write(self._folder, segment))
        names = [segment.place.name for segment in segments if segment.place is not None]
        state = {"version": VERSION, "covered": self._covered, "segments": names}
        durable.replace_file(self._folder / STATE, json.dumps(state).encode())
        for stray in self._folder.iterdir():
            if stray.is_dir() and stray.name not in names:
                shutil.rmtree(stray, ignore_errors=True)


@dataclass(frozen=True, kw_only=True)
class _Segment:
    """What was added together."""

    index: KinIndex
    refs: tuple[str, ...]
    """A row each."""
    place: Path | None
    """Where it lies; None before it is written."""


def _write(folder: Path, segment: _Segment) -> Path:
    place = Path(tempfile.mkdtemp(dir=folder, prefix="part-"))
    for name in _ARRAYS:
        np.save(place / f"{name}.npy", getattr(segment.index, name), allow_pickle=False)
    (place / "refs.json").write_text(json.dumps(segment.refs), encoding="utf-8")
    return place


def _read(place: Path) -> _Segment:
    """Map a segment; raise OSError or ValueError where it is not whole."""
    arrays = {name: np.load(place / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in _ARRAYS}
    index = KinIndex(**arrays)
    refs = json.loads((place / "refs.json").read_text(encoding="utf-8"))
    whole = (
        isinstance(refs, list)
        and index.codes.shape == (len(refs), CODE_BYTES)
        and index.codes.dtype == np.uint8
        and index.starts.shape == (BUCKETS + 1,)
        and index.items.shape == index.signatures.shape == (int(index.starts[-1]),)
        and bool((np.diff(index.starts) >= 0).all())
        and index.signatures.dtype == np.uint64
        and (not len(index.items) or int(index.items.max()) < len(refs))
    )
    if not whole:
        raise ValueError("the arrays do not fit together")
    return _Segment(index=index, refs=tuple(map(str, refs)), place=place)


def _asked(grid: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint64]]:
    features: Features = detect(grid, ASKED)
    return probes(features, PROBES), encode(features)[1]


def _variants(gray: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """ISCC image codes (k, 32) of the picture turned, mirrored, and without its bars."""
    normal = [normalize(gray)]
    kept = trimmed(gray)
    if (kept.height, kept.width) != gray.shape:
        normal.append(normalize(np.ascontiguousarray(gray[kept.top : kept.bottom, kept.left : kept.right])))
    codes = [
        image_code(np.ascontiguousarray(np.rot90(picture, turns)))[1]
        for square in normal
        for picture in (square, square[:, ::-1])
        for turns in range(4)
    ]
    return np.frombuffer(b"".join(codes), np.uint8).reshape(-1, CODE_BYTES)
