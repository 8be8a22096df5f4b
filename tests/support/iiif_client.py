"""What a viewer asks an IIIF image for: OpenSeadragon's arithmetic for Image API 3, written anew from its behaviour.

It shares no code with archive_restore.core.image_tiles, so that the two can disagree.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image


def requests(info: Mapping[str, Any]) -> Iterator[tuple[int, int, int, str]]:
    """(scale factor, x, y, path) of every tile of every level: x and y are where it begins in the reduced picture."""
    width, height = info["width"], info["height"]
    (tiles,) = info["tiles"]
    edge = tiles["width"]
    deepest = round(math.log2(max(tiles["scaleFactors"])))
    for level in range(deepest + 1):
        scale = 0.5 ** (deepest - level)
        across, down = math.ceil(width * scale), math.ceil(height * scale)
        step = round(edge / scale)
        for row in range(math.ceil(down / edge)):
            for column in range(math.ceil(across / edge)):
                left, top = column * step, row * step
                wide, tall = min(step, width - left), min(step, height - top)
                shown = min(edge, across - column * edge), min(edge, down - row * edge)
                if across < edge and down < edge:
                    region, shown = "full", (across, down)
                else:
                    region = "full" if (wide, tall) == (width, height) else f"{left},{top},{wide},{tall}"
                size = "max" if shown == (width, height) else f"{shown[0]},{shown[1]}"
                yield round(1 / scale), column * edge, row * edge, f"{region}/{size}/0/default.jpg"


def seen(folder: Path, info: Mapping[str, Any], factor: int = 1) -> npt.NDArray[np.uint8]:
    """The picture at a scale factor, put together from its tiles: uint8 (h, w, 3)."""
    across, down = math.ceil(info["width"] / factor), math.ceil(info["height"] / factor)
    canvas = np.zeros((down, across, 3), np.uint8)
    covered = np.zeros((down, across), np.uint8)
    for of, left, top, path in requests(info):
        if of != factor:
            continue
        with Image.open(folder / path) as tile:
            samples = np.asarray(tile.convert("RGB"))
        place = slice(top, top + samples.shape[0]), slice(left, left + samples.shape[1])
        canvas[place] = samples
        covered[place] += 1
    assert (covered == 1).all(), "tiles overlap or leave gaps"
    return canvas


def psnr(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> float:
    """Peak signal-to-noise ratio of 8-bit pictures, dB."""
    squares = float(np.mean((one.astype(np.float64) - other.astype(np.float64)) ** 2))
    return 99.0 if squares == 0 else 10 * math.log10(255**2 / squares)
