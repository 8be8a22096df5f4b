"""Hard negatives: thin or bright things that belong to a picture, drawn into the scene before anything happens to it.

What tells them from damage is kept: the lens's blur (measured on the picture), the picture's noise, light from one
side, tones and colours taken from the picture, ends on objects, things in front of them, perspective.
"""

from __future__ import annotations

import cv2
import numpy as np

from archive_restore.imaging.simulator import scene_lines, scene_shapes
from archive_restore.imaging.simulator.ageing import luma_of
from archive_restore.imaging.simulator.noise import Plane
from archive_restore.imaging.simulator.scene_canvas import Scene


def add_hard_negatives(picture: Plane, rate: float, rng: np.random.Generator) -> Plane:
    """A picture with a Poisson number of such things, `rate` a 256 x 256 px square in the mean; float32 (h, w, c)."""
    height, width = picture.shape[:2]
    count = min(int(rng.poisson(rate * height * width / 256**2)), 300) if rate > 0 else 0
    if not count:
        return picture
    luma = luma_of(picture)
    sample = luma[:: max(height // 128, 1), :: max(width // 128, 1)]
    levels = np.percentile(sample, [2, 10, 50, 90, 98])
    scene = Scene(
        picture=picture.copy(),
        luma=luma,
        blur=lens_blur(luma),
        levels=tuple(levels.tolist()),
        light=float(rng.uniform(0, 2 * np.pi)),
        rng=rng,
    )
    # A picture has several things of a kind: ten twigs rather than one of each.
    kinds = rng.choice(len(_THINGS), size=3, p=_WEIGHTS)
    for _ in range(count):
        _THINGS[int(rng.choice(kinds))][0](scene)
    return np.asarray(np.clip(scene.picture, 0, 1), np.float32)


def lens_blur(luma: Plane) -> float:
    """Gaussian sigma in px of the picture's sharp edges, 0.4..3 (Zhuo and Sim 2011: ratio of gradients before and
    after another blur)."""
    top, left = max((luma.shape[0] - 320) // 2, 0), max((luma.shape[1] - 320) // 2, 0)
    part = luma[top : top + 320, left : left + 320]
    again = cv2.GaussianBlur(part, (0, 0), 1.0)

    def gradient(plane: Plane) -> Plane:
        slope = np.abs(cv2.Sobel(plane, cv2.CV_32F, 1, 0)) + np.abs(cv2.Sobel(plane, cv2.CV_32F, 0, 1))
        return np.asarray(slope, np.float32)

    first, second = gradient(part), gradient(again)
    strong = first >= np.percentile(first[::2, ::2], 97)
    ratio = float(np.median(first[strong] / np.maximum(second[strong], 1e-4)))
    # The Sobel operator itself blurs like a sigma of 0.9 px (measured on a blurred step).
    return float(np.sqrt(np.clip(1 / max(ratio * ratio - 1, 1e-3) - 0.8, 0.16, 9.0)))


_THINGS = (
    (scene_lines.wires, 3.0),
    (scene_lines.rigging, 2.0),
    (scene_lines.grid, 2.0),
    (scene_lines.strands, 3.0),
    (scene_lines.twig, 3.0),
    (scene_lines.grass, 2.0),
    (scene_lines.rims, 3.0),
    (scene_lines.writing, 1.5),
    (scene_lines.lettering, 1.5),
    (scene_shapes.bar, 3.0),
    (scene_shapes.cloth, 3.0),
    (scene_shapes.chain, 2.0),
    (scene_shapes.glints, 3.0),
    (scene_shapes.button, 2.0),
    (scene_shapes.lace, 1.5),
    (scene_shapes.border, 1.0),
)
_WEIGHTS = np.array([weight for _, weight in _THINGS]) / sum(weight for _, weight in _THINGS)
