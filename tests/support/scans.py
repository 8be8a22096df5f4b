"""Small scans made on the spot: real TIFFs with a scratch in them, every one with other bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image


def picture(edge: int = 64, seed: int = 0) -> npt.NDArray[np.uint16]:
    """Smooth 16-bit gray with grain and one bright scratch, (edge, edge)."""
    y, x = np.mgrid[0:edge, 0:edge]
    grain = np.random.default_rng(seed).normal(0, 250, (edge, edge))
    found = 22_000 + 9_000 * np.sin((x + 7 * seed) / 11) + 6_000 * np.cos(y / 8) + grain
    found[:, edge // 2] = 63_000
    return np.clip(found, 0, 65_535).astype(np.uint16)


def write_scan(path: Path, *, edge: int = 64, seed: int = 0) -> Path:
    """A 16-bit gray TIFF at 600 pixels an inch."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, picture(edge, seed), photometric="minisblack", resolution=(600, 600), resolutionunit=2)
    return path


def write_scratch_map(path: Path, *, edge: int = 64) -> Path:
    """What a person draws over the scratch of a scan: a PNG of the same size."""
    drawn = np.zeros((edge, edge), np.uint8)
    drawn[:, edge // 2 - 1 : edge // 2 + 2] = 255
    Image.fromarray(drawn).save(path)
    return path


def write_scans(folder: Path, count: int, *, edge: int = 64) -> list[Path]:
    """`scan-000.tif`, `scan-001.tif`, …; sizes vary a little."""
    return [
        write_scan(folder / f"scan-{number:03}.tif", edge=edge + number % 16, seed=number) for number in range(count)
    ]
