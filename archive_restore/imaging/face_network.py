"""Runs a face-restoration model on the faces of a picture, and says whether somebody else looks out of it now.

Such models see a square of 512 pixels in which eyes, nose and mouth lie in agreed places (those of FFHQ, T. Karras et
al., 2019). They invent; whether a person is still the same, the distances of the points of the mesh can deny, but never
confirm. Nothing here can tell who somebody is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from archive_restore.errors import ModelUnusable
from archive_restore.imaging.complete import Patch, Predict
from archive_restore.imaging.face_features import LEAST_FACE, eye_distance
from archive_restore.imaging.face_frames import Floats, Mask, Samples, Tones, box_of, frame_of, moved
from archive_restore.imaging.face_rebuild import RebuiltPart, RefusedPart
from archive_restore.imaging.face_symmetry import Points, parts
from archive_restore.imaging.faces import Face, FaceNetworks, find_faces
from archive_restore.imaging.membrane import mean_of, spread

EDGE = 512
"""Edge of the square that the model sees, pixels."""
TEMPLATE = ((192.98, 239.95), (318.90, 240.19), (256.63, 314.02), (201.26, 371.41), (313.09, 371.15))
"""Where the eye on the left of the square, the other, the tip of the nose and the corners of the mouth lie in it."""
LARGEST = 0.75
"""Least pixels of the square for one of the picture: larger faces would lose what they show."""
DRIFT = 0.03
"""Drift from which a person may look like another. Noise, blur, JPEG and tone moved the points of six faces by 0.001 to
0.016, of one turned by 30 degrees by 0.031; the faces of different people lay 0.05 to 0.3 apart."""
_POINTS = ((33, 133), (362, 263), (1,), (61,), (291,))
_EVEN = 0.25  # tones coarser than this stay those of the picture, in distances of the eyes


@dataclass(frozen=True, kw_only=True)
class Restored:
    """New pixels of all faces, and how far each has drifted."""

    patches: tuple[Patch, ...]
    """At most one a face, for `complete.pasted`."""
    parts: tuple[RebuiltPart, ...]
    """One for each patch, named `face`."""
    refused: tuple[RefusedPart, ...]
    drifts: tuple[float, ...]
    """`identity_drift` of each patch; infinite where no face is found any more."""
    warnings: tuple[str, ...]
    """Sentences about those that drifted."""


def identity_drift(before: Sequence[Face], after: Sequence[Face], hidden: Mask | None = None) -> float:
    """How far the points of the faces have moved within each face, in distances of its eyes: the worst of all.

    Each face is laid over the one nearest to it first, by moving, turning and scaling. `hidden`: bool (h, w) of the
    picture; points there do not count, since nobody knows where they were. Infinite where a face is gone, 0 without
    faces.
    """
    return max((_drift(np.array(face.mesh)[:, :2], after, hidden) for face in before), default=0.0)


def drift_warning(drift: float) -> str:
    """A sentence where it is large enough to be told, or an empty string."""
    if drift < DRIFT:
        return ""
    if math.isinf(drift):
        return "Where a face was, none is found any more."
    return (
        f"A face has changed: its points moved by {drift:.1%} of the distance of the eyes (more than {DRIFT:.0%} is "
        "seen); it may look like somebody else."
    )


def restore_faces(
    samples: Samples,
    faces: Sequence[Face],
    predict: Predict,
    networks: FaceNetworks,
    *,
    mask: Mask | None = None,
    picture: Sequence[int] | None = None,
    white: float | None = None,
    inverted: bool = False,
) -> Restored:
    """Let a model draw the faces anew, and lay them into the picture.

    `samples`: (h, w, c), uint8, uint16 or float, an array or a memmap; `predict`: float32 (1, 3, EDGE, EDGE), RGB in
    [0, 1], to the same; `networks` find the faces again; `mask`: bool (h, w), where it may draw, by default in the
    whole oval of a face, which then keeps its coarse tones; `picture`, `white`, `inverted` as for `rebuild`. Raise
    UsageError where the shapes do not fit, ModelUnusable where the model gives something else.
    """
    whole = np.full(samples.shape[:2], True) if mask is None else mask
    tones = Tones.of(samples, whole, picture, white, inverted=inverted)
    patches, rebuilt, refused, drifts = [], [], [], []
    for number, face in enumerate(faces):
        frame = frame_of(np.array(face.mesh), *whole.shape)
        if frame is None:
            continue
        cut = (slice(frame.top, frame.bottom), slice(frame.left, frame.right))
        mesh = np.array(moved(face, -frame.left, -frame.top).mesh)[:, :2]
        wanted = whole[cut] & np.any([part.mask for part in parts(mesh, *whole[cut].shape)], axis=0)
        if not wanted.any():
            continue
        matrix = _aligned(mesh)
        box, reason = box_of(wanted, frame), _refusal(mesh, matrix)
        if reason:
            cover = wanted[box.within(frame)]
            refused.append(RefusedPart(face=number, name="face", region=box, mask=cover, reason=reason))
            continue
        light = tones.light(samples[cut])
        drawn = _drawn(light, matrix, predict)
        made = _over_all(light, drawn, wanted, mesh) if mask is None else _inside(light, drawn, wanted)
        again = find_faces(np.clip(made, 0, 1), networks)
        drifts.append(identity_drift([face], [moved(one, frame.left, frame.top) for one in again]))
        patches.append(tones.patch(samples, made, wanted, frame))
        rebuilt.append(RebuiltPart(face=number, name="face", region=box, pixels=int(np.count_nonzero(wanted))))
    return Restored(
        patches=tuple(patches), parts=tuple(rebuilt), refused=tuple(refused), drifts=tuple(drifts),
        warnings=tuple(sentence for sentence in map(drift_warning, drifts) if sentence),
    )  # fmt: skip


def _refusal(mesh: Points, matrix: Points) -> str:
    wide = float(np.ptp(mesh[:, 0]))
    if wide < LEAST_FACE:
        return f"The face is {wide:.0f} pixels wide; less than {LEAST_FACE} show too little."
    if math.hypot(*matrix[:, 0]) < LARGEST:
        return f"The face is {wide:.0f} pixels wide; the model sees {EDGE} and would take detail away."
    return ""


def _aligned(mesh: Points) -> Points:
    """(2, 3): from the picture to the square."""
    seen = np.array([mesh[list(points)].mean(axis=0) for points in _POINTS])
    turn, offset = _fitted(seen, np.array(TEMPLATE))
    return np.column_stack([turn, offset])


def _fitted(points: Points, to: Points) -> tuple[Points, Points]:
    """Turn with scale (2, 2) and shift (2,) that bring points nearest to others (S. Umeyama, 1991); never mirrored."""
    first, second = points - points.mean(axis=0), to - to.mean(axis=0)
    left, strengths, right = np.linalg.svd(second.T @ first)
    sign = np.array([1.0, np.sign(np.linalg.det(left @ right))])
    scale = float((strengths * sign).sum() / max((first**2).sum(), 1e-12))
    turn = scale * (left * sign) @ right
    return np.asarray(turn), np.asarray(to.mean(axis=0) - turn @ points.mean(axis=0))


def _drift(mesh: Points, after: Sequence[Face], hidden: Mask | None) -> float:
    scale = eye_distance(mesh)
    others = [np.array(face.mesh)[:, :2] for face in after]
    near = [other for other in others if math.dist(other.mean(axis=0), mesh.mean(axis=0)) < scale]
    if not near:
        return math.inf
    other = min(near, key=lambda points: math.dist(points.mean(axis=0), mesh.mean(axis=0)))
    seen = np.full(len(mesh), True)
    if hidden is not None:
        columns, rows = np.floor(mesh).astype(int).T
        within = (rows >= 0) & (columns >= 0) & (rows < hidden.shape[0]) & (columns < hidden.shape[1])
        seen[within] = ~hidden[rows[within], columns[within]]
    if np.count_nonzero(seen) < 20:
        return 0.0
    turn, offset = _fitted(other[seen], mesh[seen])
    return float(np.linalg.norm(other[seen] @ turn.T + offset - mesh[seen], axis=1).mean()) / max(scale, 1e-6)


def _drawn(light: Floats, matrix: Points, predict: Predict) -> Floats:
    """What the model makes of the face, in the frame of `light` (h, w, c)."""
    # From points to numbers of pixels.
    place = matrix.copy()
    place[:, 2] += place[:, :2] @ [0.5, 0.5] - 0.5
    zoom = math.hypot(*matrix[:, 0])
    soft = cv2.GaussianBlur(light, (0, 0), 0.5 / zoom).reshape(light.shape) if zoom < 1 else light
    square = cv2.warpAffine(
        soft, place, (EDGE, EDGE), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    ).reshape(EDGE, EDGE, -1)  # fmt: skip
    colours = np.repeat(square, 3, axis=2) if square.shape[2] == 1 else square
    planes = np.ascontiguousarray(np.clip(colours, 0, 1).transpose(2, 0, 1)[None], np.float32)
    given = np.asarray(predict(planes), np.float32)
    if given.shape != planes.shape or not np.isfinite(given).all():
        raise ModelUnusable(
            f"the model for faces gave {given.shape} for {planes.shape}, or values that are no numbers",
            hint="It must take and give RGB in [0, 1], (1, 3, 512, 512)",
        )
    made = np.ascontiguousarray(np.clip(given[0], 0, 1).transpose(1, 2, 0))
    made = made.mean(axis=2, keepdims=True) if light.shape[2] == 1 else made
    back = cv2.warpAffine(
        made, place, light.shape[1::-1], flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(back, np.float32).reshape(light.shape)


def _over_all(light: Floats, drawn: Floats, wanted: Mask, mesh: Points) -> Floats:
    """The drawn face with the coarse tones of the picture, faded out towards the rim of the oval."""
    scale = eye_distance(mesh)
    every = np.full(wanted.shape, True)
    toned = drawn + mean_of(light, every, _EVEN * scale) - mean_of(drawn, every, _EVEN * scale)
    deep = cv2.distanceTransform(np.pad(wanted, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
    share = np.clip(deep / (_EVEN * scale), 0, 1)[..., None].astype(np.float32)
    return np.asarray(light + (toned - light) * share * share * (3 - 2 * share), np.float32)


def _inside(light: Floats, drawn: Floats, wanted: Mask) -> Floats:
    """The drawn face where it is wanted, joined to what is around."""
    edge = (cv2.dilate(wanted.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0) & ~wanted
    joined = drawn + spread(light - drawn, edge, wanted)
    return np.asarray(np.where(wanted[..., None], joined, light), np.float32)
