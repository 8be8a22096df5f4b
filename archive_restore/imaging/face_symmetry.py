"""The two halves of a face: which points of the mesh mirror one another, and what the parts of a half are called.

MediaPipe's mesh is symmetric but for the numbering; the table was found by matching the meshes of faces with those of
their mirror pictures, and agrees with the edges of the mesh. Must never describe a person.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from archive_restore.imaging.face_features import OUTLINES, eye_distance

Points = NDArray[np.float64]
Mask = NDArray[np.bool_]

_RUNS = (
    (3, 248, 1), (7, 249, 1), (20, 250, 74), (95, 324, 56), (153, 380, 11), (165, 391, 3), (169, 394, 6),
    (176, 400, 19), (196, 419, 1), (198, 420, 1), (201, 421, 47),
)  # fmt: skip
"""First point of the right half, its partner on the left, and how many follow."""
MIDDLE = (
    10, 151, 9, 8, 168, 6, 197, 195, 5, 4, 1, 19, 94, 2, 164, 0, 11, 12, 13, 14, 15, 16, 17, 18, 200, 199, 175, 152,
)  # fmt: skip
"""Points that are their own partners, from the forehead to the chin."""
_OVAL = (10, 109, 67, 103, 54, 21, 162, 127, 234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152)
"""Rim of the right half, from the forehead to the chin."""
_PARTS: dict[str, tuple[tuple[int, ...], float]] = {
    "{side} brow": (OUTLINES["right brow"], 0.06),
    "{side} eye": (OUTLINES["right eye"], 0.06),
    "nose, {side} half": (
        (168, 193, 245, 128, 114, 217, 131, 49, 129, 64, 98, 97, 2, 94, 19, 1, 4, 5, 195, 197, 6), 0.04,
    ),
    "mouth, {side} half": ((0, 37, 39, 40, 185, 61, 146, 91, 181, 84, 17, 16, 15, 14, 13, 12, 11), 0.08),
    "forehead, {side} half": ((10, 109, 67, 103, 54, 21, 71, 63, 105, 66, 107, 9, 151), 0),
    "chin, {side} half": ((17, 84, 181, 91, 146, 57, 212, 172, 136, 150, 149, 176, 148, 152, 175, 199, 200, 18), 0),
    "{side} cheek": (_OVAL + MIDDLE[-2:0:-1], 0),
}  # fmt: skip
"""Outlines of the right half, the first that holds a pixel names it, and how far each is widened."""
SIDES = ("right", "left")
"""The person's."""
_RIM, _FADING = 0.15, 0.3  # how far a face is covered beyond its oval, and how far that fades; distances of the eyes


def _mirror() -> tuple[int, ...]:
    table = list(range(468))
    for right, left, count in _RUNS:
        for step in range(count):
            table[right + step], table[left + step] = left + step, right + step
    return tuple(table)


MIRROR = _mirror()
"""Partner of every point."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of a half of a face, in the picture."""

    name: str
    """For instance `left eye`, `mouth, right half`; right and left are the person's."""
    mask: Mask
    """(h, w)."""


def parts(mesh: Points, height: int, width: int) -> tuple[Part, ...]:
    """Divide a face among its parts: no pixel of (height, width) is in two.

    `mesh`: (468, 2), pixels, (0, 0) the upper left corner of the first pixel.
    """
    scale = eye_distance(mesh)
    oval = _drawn([mesh[[*_OVAL, *(MIRROR[i] for i in _OVAL[-2:0:-1])]]], 0, height, width)
    right = _drawn([mesh[list(_PARTS["{side} cheek"][0])]], 0, height, width)
    halves = (oval & right, oval & ~right)
    found = []
    for side, half in zip(SIDES, halves, strict=True):
        left_over = half.copy()
        for name, (outline, widened) in _PARTS.items():
            ring = [MIRROR[i] for i in outline] if side == "left" else list(outline)
            inside = left_over & _drawn([mesh[ring]], widened * scale, height, width)
            if name == "{side} cheek":
                inside = left_over.copy()
            left_over &= ~inside
            found.append(Part(name=name.format(side=side), mask=inside))
    return tuple(found)


def cover(plane: NDArray[np.uint8], mesh: Points) -> None:
    """Write a face into a plane (h, w): 255 on its oval and a rim around, falling to 0; what is more stays.

    `mesh`: (468, 2), pixels of the plane.
    """
    ring = mesh[[*_OVAL, *(MIRROR[i] for i in _OVAL[-2:0:-1])]]
    scale = eye_distance(mesh)
    rim, fading = _RIM * scale, max(_FADING * scale, 1.0)
    reach = math.ceil(rim + fading) + 1
    low = np.maximum(np.floor(ring.min(axis=0)).astype(int) - reach, 0)
    high = np.minimum(np.ceil(ring.max(axis=0)).astype(int) + reach, (plane.shape[1], plane.shape[0]))
    if (high <= low).any():
        return
    inside = _drawn([ring - low], 0, int(high[1] - low[1]), int(high[0] - low[0]))
    away = cv2.distanceTransform((~inside).astype(np.uint8), cv2.DIST_L2, 5)
    part = plane[low[1] : high[1], low[0] : high[0]]
    np.maximum(part, np.rint(255 * np.clip(1 - (away - rim) / fading, 0, 1)).astype(np.uint8), out=part)


def _drawn(rings: list[Points], widened: float, height: int, width: int) -> Mask:
    canvas = np.zeros((height, width), np.uint8)
    fixed = [np.rint((ring - 0.5) * 16).astype(np.int32) for ring in rings]
    cv2.fillPoly(canvas, fixed, 1, shift=4)
    if widened > 0:
        cv2.polylines(canvas, fixed, isClosed=True, color=1, thickness=max(round(2 * widened), 1), shift=4)
    return canvas > 0


def mirrored(mesh: Points, seen: Mask) -> Points:
    """Where each point lies by what is known of its partner: (468, 3) to (468, 3).

    Points of a face are mirrored at the plane between its halves; where both partners are `seen` it shows how far this
    face is from being symmetric there, and points nearby are moved alike. `seen`: bool (468,).
    """
    partner = np.array(MIRROR)
    both = seen & seen[partner]
    pairs = both & (partner != np.arange(468))
    if np.count_nonzero(pairs) < 20:
        pairs = partner != np.arange(468)
    apart = mesh[partner] - mesh
    away = np.where((np.arange(468) < partner)[:, None], apart, -apart)[pairs]
    normal = away.sum(axis=0)
    normal /= max(float(np.linalg.norm(normal)), 1e-9)
    middle = float((((mesh + mesh[partner]) / 2)[pairs] @ normal).mean())
    thrown = mesh[partner] - 2 * ((mesh[partner] @ normal) - middle)[:, None] * normal
    if not both.any():
        return np.asarray(thrown)
    reach = 0.35 * eye_distance(mesh)
    gap = np.linalg.norm(thrown[:, None, :2] - mesh[None, both, :2], axis=2) / reach
    weight = np.exp(-(gap**2))
    moved = weight @ (mesh - thrown)[both] / (weight.sum(axis=1, keepdims=True) + 0.05)
    return np.asarray(thrown + moved)


def turned(mesh: Points) -> float:
    """How far the head is turned to a side, degrees, from the depth of the outer corners of the eyes."""
    across = mesh[263] - mesh[33]
    return math.degrees(math.atan2(across[2], math.hypot(across[0], across[1])))
