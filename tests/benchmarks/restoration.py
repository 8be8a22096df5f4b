"""How fast large masters are restored, and in how much memory. Prints markdown tables.

Run it from the repository: `python -m tests.benchmarks.restoration [--mpx 24 400] [--channels 1 3] [--directory DIR]
[--recipe gentle] [--quality]`. Each command is a process of its own; peak memory is the kernel's count for it.
A 400-megapixel run takes the better part of an hour on two cores; DIR needs about six times the master's size.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray

from tests.benchmarks.processes import archive_restore, new_archive, photograph, seconds_of, table
from tests.support.synthetic_damage import damage

CELL = 1024
TILE = 256


def damaged_cells(channels: int, count: int) -> list[NDArray[np.uint16]]:
    """`count` pieces of real photographs, enlarged to a scanner's resolution, with grain and synthetic damage."""
    rng = np.random.Generator(np.random.Philox(key=5))
    cells = []
    for number in range(count):
        picture = cv2.resize(photograph(number), None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
        values = picture.astype(np.float32) / 255
        if channels == 1:
            values = values.mean(axis=2)
        top, left = (int(rng.integers(0, values.shape[axis] - CELL)) for axis in (0, 1))
        clean = values[top : top + CELL, left : left + CELL]
        clean = np.clip(clean + rng.normal(0, 0.006, clean.shape), 0, 1).astype(np.float32)
        hurt = damage(clean, seed=number, unit=2.0, amount=0.7).picture
        cells.append(np.rint(np.clip(hurt, 0, 1) * 65535).astype(np.uint16))
    return cells


def large_master(path: Path, megapixels: float, channels: int) -> float:
    """Write a damaged 16-bit TIFF tile by tile; return its true size in megapixels."""
    edge = max(CELL, round((megapixels * 1e6) ** 0.5 / CELL) * CELL)
    order = np.random.Generator(np.random.Philox(key=6)).integers(0, 9, (edge // CELL, edge // CELL))
    cells = damaged_cells(channels, int(order.max()) + 1)

    def tiles() -> Iterator[NDArray[np.uint16]]:
        for row in range(edge // TILE):
            for column in range(edge // TILE):
                cell = cells[order[row * TILE // CELL, column * TILE // CELL]]
                top, left = row * TILE % CELL, column * TILE % CELL
                yield cell[top : top + TILE, left : left + TILE]

    shape = (edge, edge) if channels == 1 else (edge, edge, channels)
    tifffile.imwrite(
        path, tiles(), shape=shape, dtype=np.uint16, photometric="minisblack" if channels == 1 else "rgb",
        tile=(TILE, TILE), metadata=None,
    )  # fmt: skip
    return edge * edge / 1e6


def plain_copy(source: Path, target: Path) -> None:
    """The peer for input and output: read with tifffile, write tiled Deflate with predictor."""
    tifffile.imwrite(
        target, tifffile.imread(source), tile=(TILE, TILE), compression="zlib", predictor=2, metadata=None, maxworkers=2
    )


def measure(base: Path, megapixels: float, channels: int, recipe: str) -> Iterator[tuple[object, ...]]:
    """Rows (picture, command, seconds, Mpx a second, processor seconds, peak MiB) of one picture's life."""
    source = base / "large.tif"
    size = large_master(source, megapixels, channels)
    name = f"{size:.0f} Mpx, {channels} × 16 bit"
    archive = new_archive(base / "archive")
    commands = (
        ("ingest", source),
        ("restore", "large", "--recipe", recipe),
        ("verify", "large/restoration"),
        ("reproduce", "large/restoration"),
    )
    for words in commands:
        spent = archive_restore(archive, *words)
        yield name, words[0], spent.seconds, size / spent.seconds, spent.processor, f"{spent.peak_mib:.0f}"
    if size < 100:
        seconds = seconds_of(lambda: plain_copy(source, base / "copy.tif"))
        yield name, "(tifffile: read, write Deflate)", seconds, size / seconds, "", ""


def main(words: list[str] | None = None) -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--mpx", type=float, nargs="+", default=[24])
    options.add_argument("--channels", type=int, nargs="+", choices=(1, 3), default=[1, 3])
    options.add_argument("--recipe", default="gentle")
    options.add_argument("--directory", type=Path, default=None)
    options.add_argument("--quality", action="store_true", help="print the quality tables too")
    chosen = options.parse_args(words)
    rows: list[tuple[object, ...]] = []
    for megapixels in chosen.mpx:
        for channels in chosen.channels:
            with tempfile.TemporaryDirectory(dir=chosen.directory) as folder:
                rows.extend(measure(Path(folder), megapixels, channels, chosen.recipe))
    titles = ["picture", "command", "seconds", "Mpx a second", "processor seconds", "peak MiB"]
    print(table(titles, rows), flush=True)
    if chosen.quality:
        from tests.benchmarks import restoration_quality

        sys.argv = [sys.argv[0]]
        restoration_quality.main()


if __name__ == "__main__":
    main(sys.argv[1:])
