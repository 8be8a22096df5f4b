"""Simulates motion ahead of training: stills, masks and spectra, 24 recordings a file. Development time only.

python models/training/motion_data.py --to DIR --count 600 --seconds 48

A file that is there is not made again. Training looks at the split `train`; `held` has other seeds and is only for
choosing and measuring.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from archive_restore.imaging.motion_simulator.recording import Recording
from archive_restore.imaging.motion_simulator.scenes import recordings
from archive_restore.imaging.motion_spectra import GRID, KINDS, PERIODS, planes_of

SEEDS = {"train": 1, "held": 1_000_003}
PIECE = 24
"""Recordings a file."""
Arrays = dict[str, np.ndarray]


def main(argv: list[str] | None = None) -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=Path, required=True, help="where the files go")
    parser.add_argument("--split", choices=sorted(SEEDS), default="train")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--first", type=int, default=0, help="number of the first recording, a multiple of 24")
    parser.add_argument("--count", type=int, required=True, help="recordings a kind")
    parser.add_argument("--seconds", type=float, default=48.0, help="of a recording; every 16 give a spectrum")
    args = parser.parse_args(argv)
    args.to.mkdir(parents=True, exist_ok=True)
    for kind in args.kinds:
        for first in range(args.first, args.first + args.count, PIECE):
            count = min(PIECE, args.first + args.count - first)
            write(args.to / f"{args.split}-{kind}-{first:05d}.npz", kind, first, count, SEEDS[args.split], args.seconds)


def write(path: Path, kind: str, first: int, count: int, seed: int, seconds: float) -> None:
    """One file, whole or not at all."""
    if path.exists():
        return
    made = [examples(recording) for recording in recordings(kind, first, count, seed, seconds)]
    joined = {name: np.concatenate([part[name] for part in made]) for name in made[0]}
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as out:
        np.savez(out, **joined)
    os.replace(temporary, path)  # noqa: PTH105 - atomic


def examples(recording: Recording) -> Arrays:
    """Every record of a recording, see `planes_of`: a root mean square of 1 in the mask.

    `still` and `mask` uint8 (n, EDGE, EDGE), `spectrum` float16 (n, 4·periods, GRID, GRID). Records of a scene in which
    hardly anything moves, or nothing is seen of what does, are left out.
    """
    mask = recording.mask
    seen = cv2.resize(mask, (GRID, GRID), interpolation=cv2.INTER_AREA) > 0
    kept = []
    for record in range(recording.records):
        spectrum = recording.spectrum(record)
        square = float((np.abs(spectrum) ** 2).sum(axis=(0, 3))[seen].mean()) / 2 if seen.any() else 0.0
        if np.isfinite(square) and square > 1e-10 and mask.mean() > 0.02:
            kept.append(planes_of(spectrum / np.sqrt(square)))
    coded = [np.repeat(np.rint(plane[None] * 255).astype(np.uint8), len(kept), 0) for plane in (recording.still, mask)]
    empty = np.zeros((0, 4 * len(PERIODS), GRID, GRID), np.float16)
    return {"still": coded[0], "mask": coded[1], "spectrum": np.stack(kept).astype(np.float16) if kept else empty}


def kept(folder: Path, split: str) -> Iterator[tuple[str, Arrays]]:
    """Kind and arrays of every file of a split, in a fixed order."""
    for path in sorted(folder.glob(f"{split}-*.npz")):
        with np.load(path) as arrays:
            yield path.name.split("-")[1], {name: arrays[name] for name in arrays.files}


if __name__ == "__main__":
    main()
