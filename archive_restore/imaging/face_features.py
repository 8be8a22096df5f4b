"""Where brows, eyes, nostrils and lips of the faces in a picture lie: thin dark things that are no damage.

Geometry only, from the meshes of `faces.find_faces`, as plain numbers that a record can keep and any tile can draw.
Must never describe a person: a feature is a place.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from archive_restore.imaging.faces import Face

LEAST_FACE = 60
"""Width of the smallest face whose features are told apart, pixels of the full-size picture."""
WIDENED = 0.12
"""How far a feature reaches beyond the mesh, share of the distance of the eyes; old pictures get no better ones."""
EYES = ("right eye", "left eye")
OUTLINES: dict[str, tuple[int, ...]] = {
    "right brow": (70, 63, 105, 66, 107, 55, 65, 52, 53, 46),
    "left brow": (300, 293, 334, 296, 336, 285, 295, 282, 283, 276),
    EYES[0]: (226, 247, 30, 29, 27, 28, 56, 190, 243, 112, 26, 22, 23, 24, 110, 25),
    EYES[1]: (446, 467, 260, 259, 257, 258, 286, 414, 463, 341, 256, 252, 253, 254, 339, 255),
    "nostrils": (49, 129, 64, 98, 97, 2, 326, 327, 294, 358, 279, 440, 4, 220),
    "lips": (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185),
}
"""Points of the mesh once around each feature; of an eye with its lashes and the fold of its lid."""
_RIGHT_CORNERS, _LEFT_CORNERS = (33, 133), (362, 263)


@dataclass(frozen=True, kw_only=True)
class Feature:
    """One feature of one face."""

    name: str
    """As OUTLINES names it; right and left are the person's."""
    points: tuple[tuple[int, int], ...]
    """Column and row once around, pixels of the full-size picture."""
    widened: int
    """How far it reaches beyond them, pixels."""


def features_of(faces: Sequence[Face], scale: float = 1.0) -> tuple[Feature, ...]:
    """The features of faces at least LEAST_FACE wide, in the order of `faces` and of OUTLINES.

    `scale`: full-size pixels per pixel of the picture in which the faces were found.
    """
    found = []
    for face in faces:
        mesh = np.array(face.mesh)[:, :2] * scale
        if np.ptp(mesh[:, 0]) < LEAST_FACE:
            continue
        widened = math.ceil(WIDENED * eye_distance(mesh))
        for name, outline in OUTLINES.items():
            points = tuple((math.floor(x), math.floor(y)) for x, y in mesh[list(outline)])
            found.append(Feature(name=name, points=points, widened=widened))
    return tuple(found)


def eye_distance(mesh: NDArray[np.float64]) -> float:
    """Distance of the middles of the eyes of a mesh, pixels; (468, 3) counts depth, (468, 2) does not."""
    right, left = (mesh[list(corners)].mean(axis=0) for corners in (_RIGHT_CORNERS, _LEFT_CORNERS))
    return math.dist(right, left)


def mask(features: Sequence[Feature], top: int, left: int, height: int, width: int) -> NDArray[np.bool_]:
    """Pixels inside of features, bool (height, width), in a tile whose first pixel is at `top`, `left`.

    A pixel gets the same answer in every tile.
    """
    drawn = np.zeros((height, width), np.uint8)
    for feature in features:
        canvas, low = _drawn(feature)
        x, y = low[0] - left, low[1] - top
        rows = slice(max(y, 0), min(y + canvas.shape[0], height))
        columns = slice(max(x, 0), min(x + canvas.shape[1], width))
        if rows.start < rows.stop and columns.start < columns.stop:
            drawn[rows, columns] |= canvas[rows.start - y : rows.stop - y, columns.start - x : columns.stop - x]
    return drawn > 0


def _drawn(feature: Feature) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """A feature, whole, and the column and row of the first pixel: what is cut off would change how OpenCV rounds."""
    points = np.array(feature.points, np.int32)
    low, high = points.min(axis=0) - feature.widened - 2, points.max(axis=0) + feature.widened + 3
    canvas = np.zeros((high[1] - low[1], high[0] - low[0]), np.uint8)
    cv2.fillPoly(canvas, [points - low], 1)
    cv2.polylines(canvas, [points - low], isClosed=True, color=1, thickness=2 * feature.widened + 1)
    return canvas, (int(low[0]), int(low[1]))
