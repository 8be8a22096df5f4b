"""Finds faces, their mesh and their eyelids, so that faces can be spared from motion and lids can be moved.

BlazeFace proposes (at two sizes), the face mesh judges each proposal and draws 468 points, the iris network draws the
lids; the networks are handed in as functions. Decoding after MediaPipe's graphs (Apache-2.0). Must never be used to
tell who somebody is: nothing here describes a person, only where a face lies.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike, fspath
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[Any]
Network = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""`predict` of a loaded model: float32 (n, 3, h, w) to float32 (n, planes, rows, 1)."""
Point = tuple[float, float, float]
"""x, y, z: pixels of the picture, (0, 0) the upper left corner of its first pixel; z as large as x, nearer is less."""
Box = tuple[float, float, float, float]
"""left, top, right, bottom in the same pixels; may reach beyond the picture."""

SIZES = (256, 512)
"""Long edges to which the picture is brought for the detector, pixels. 1024 finds faces of 15 pixels, and ornaments."""
POINTS = ("right eye", "left eye", "nose", "mouth", "right ear", "left ear")
"""What the detector's points are; right and left are the person's."""

_CELL = 32
"""Coarsest stride of the detector, pixels."""
_MESH_EDGE, _MESH_POINTS, _MESH_MARGIN = 192, 468, 1.5
_EYE_EDGE, _EYE_POINTS = 64, 71
_EYE_MARGIN = 2.6
"""MediaPipe cuts 2.3 times the distance of the corners; eyes wide open want more (judged by eye on 28 faces)."""
_RIGHT_CORNERS, _LEFT_CORNERS = (33, 133), (362, 263)
"""Corners of each eye in the mesh, the one further to the left in an upright, unmirrored picture first."""
_LOWER, _UPPER = slice(0, 9), slice(9, 16)


MODELS: Mapping[str, str] = {"detector": "face-detector", "mesh": "face-mesh", "iris": "face-iris"}
"""Models that find faces, their points and their eyes, by the part they take in FaceNetworks."""


@dataclass(frozen=True, kw_only=True)
class FaceNetworks:
    """The three networks that MODELS names."""

    detector: Network
    """(1, 3, h, w) in -1..1, multiples of 32, to (1, 17, anchors, 1): box, six points, score."""
    mesh: Network
    """(1, 3, 192, 192) in 0..1 to (1, 1405, 1, 1): 468 points, face flag."""
    iris: Network
    """(2, 3, 64, 64) in 0..1 to (2, 228, 1, 1): 71 points around the eye, 5 of the iris."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """What a detector takes for a face."""

    box: Box
    score: float
    """0..1, the detector's own."""
    points: tuple[tuple[float, float], ...]
    """As POINTS names them; a detector may know fewer, but both eyes at least."""


@dataclass(frozen=True, kw_only=True)
class Eye:
    """Lids and iris of one eye, from the iris network. In profile, or where an eye is few pixels wide: guesses."""

    lower: tuple[Point, ...]
    """Nine points of the lower lid, from the outer corner to the inner."""
    upper: tuple[Point, ...]
    """Seven points of the upper lid between the corners, from the outer to the inner."""
    iris: tuple[Point, ...]
    """Centre of the iris and four points of its rim."""

    @property
    def contour(self) -> tuple[Point, ...]:
        """The sixteen points of both lids, once around."""
        return self.lower + self.upper[::-1]

    @property
    def width(self) -> float:
        """Distance of the corners, pixels."""
        return math.dist(self.lower[0][:2], self.lower[-1][:2])

    @property
    def opening(self) -> float:
        """Distance of the lids at their middle as a share of the distance of the corners."""
        return math.dist(self.lower[4][:2], self.upper[3][:2]) / max(self.width, 1e-6)


@dataclass(frozen=True, kw_only=True)
class Face:
    """One face: where it lies, never whose it is."""

    box: Box
    """The detector's box."""
    score: float
    """The detector's confidence, 0..1."""
    points: tuple[tuple[float, float], ...]
    """The detector's points, as POINTS names them."""
    flag: float
    """The mesh network's own judgement that this is a face, 0..1."""
    mesh: tuple[Point, ...]
    """468 points in MediaPipe's order."""
    right_eye: Eye
    """The person's right one."""
    left_eye: Eye

    @property
    def turn(self) -> float:
        """How far the head is turned to a side, degrees, from the depth of the outer corners of the eyes."""
        right, left = np.array(self.mesh[_RIGHT_CORNERS[0]]), np.array(self.mesh[_LEFT_CORNERS[1]])
        across = left - right
        return math.degrees(math.atan2(across[2], math.hypot(across[0], across[1])))


@dataclass(frozen=True, kw_only=True)
class _Square:
    """A turned square in the picture, the part that a network gets to see."""

    x: float
    y: float
    side: float
    angle: float
    """Radians, clockwise in the picture."""

    def matrix(self, edge: int, *, mirrored: bool) -> NDArray[np.float64]:
        """(2, 3): from points of the crop, 0..edge, to points of the picture."""
        scale, cos, sin = self.side / edge, math.cos(self.angle), math.sin(self.angle)
        turn = scale * np.array([[cos, -sin], [sin, cos]])
        if mirrored:
            turn[:, 0] *= -1
        return np.column_stack([turn, np.array([self.x, self.y]) - turn @ [edge / 2, edge / 2]])


def find_faces(
    picture: Picture,
    networks: FaceNetworks,
    *,
    detect: Callable[[Picture], Sequence[Candidate]] | None = None,
    least_flag: float = 0.5,
) -> tuple[Face, ...]:
    """Find the faces of a picture, the surest first.

    `picture`: (h, w), (h, w, 1) or (h, w, 3), RGB; uint8, uint16, or float32 in 0..1. Gray is taken for three equal
    channels. `detect`: who proposes, by default BlazeFace at SIZES; what the mesh network's face flag does not
    put over `least_flag` is dropped. Raise ValueError for any other array.
    """
    picture = _checked(picture)
    proposed = detect_faces(picture, networks.detector) if detect is None else detect(picture)
    found: list[Face] = []
    for candidate in proposed:
        face = _draw(picture, candidate, networks, least_flag)
        if face is not None:
            found.append(face)
    kept: list[Face] = []
    for face in sorted(found, key=lambda f: -f.flag * f.score):
        # Two proposals may slide onto one face when the mesh looks again.
        if all(_overlap(_bounds(face.mesh), _bounds(other.mesh)) < 0.3 for other in kept):
            kept.append(face)
    return tuple(kept)


def detect_faces(
    picture: Picture, detector: Network, *, sizes: Sequence[int] = SIZES, least: float = 0.5
) -> tuple[Candidate, ...]:
    """Return what BlazeFace takes for faces in the picture brought to each of `sizes`, merged, the surest first.

    `picture` as for `find_faces`; `sizes` are multiples of 32. Alone it takes many things for faces.
    """
    picture = _checked(picture)
    height, width = picture.shape[:2]
    rows = [np.zeros((0, 17))]
    for size in sizes:
        scale = size / max(height, width)
        small = _resize(picture, max(round(width * scale), 1), max(round(height * scale), 1))
        high, wide = (-(-edge // _CELL) * _CELL for edge in small.shape[:2])
        canvas = np.full((high, wide, 3), -1, np.float32)
        canvas[: small.shape[0], : small.shape[1]] = small * 2 - 1
        decoded = decode_boxes(detector(_planes(canvas))[0, :, :, 0].T, high, wide, least)
        decoded[:, 0:16:2] *= width / small.shape[1]
        decoded[:, 1:16:2] *= height / small.shape[0]
        rows.append(decoded)
    return tuple(
        Candidate(
            box=(float(row[0]), float(row[1]), float(row[2]), float(row[3])),
            score=float(row[16]),
            points=tuple((float(x), float(y)) for x, y in row[4:16].reshape(6, 2)),
        )
        for row in _merge(np.concatenate(rows))
    )


def decode_boxes(raw: NDArray[np.float32], height: int, width: int, least: float) -> NDArray[np.float64]:
    """Return left, top, right, bottom, six points and score of every anchor whose score is over `least`.

    `raw`: (anchors, 17) of an input of `height`×`width`, multiples of 32: offset of the centre from the anchor, width,
    height, six offsets, logit. Anchors are the middles of cells: two a cell at stride 16, then six a cell at stride 32.
    Everything in pixels of that input. Raise ValueError where the number of anchors is another.
    """
    anchors = []
    for stride, repeats in ((16, 2), (_CELL, 6)):
        y, x = np.meshgrid(
            (np.arange(height // stride) + 0.5) * stride, (np.arange(width // stride) + 0.5) * stride, indexing="ij"
        )
        anchors.append(np.repeat(np.stack([x.ravel(), y.ravel()], axis=1), repeats, axis=0))
    at = np.concatenate(anchors)
    if raw.shape != (len(at), 17):
        raise ValueError(f"{raw.shape} is not what a detector makes of {height}×{width} pixels")
    wide = raw.astype(np.float64)
    score = _sigmoid(wide[:, 16])
    centre, extent = at + wide[:, :2], wide[:, 2:4]
    points = wide[:, 4:16].reshape(-1, 6, 2) + at[:, None]
    rows = np.concatenate([centre - extent / 2, centre + extent / 2, points.reshape(-1, 12), score[:, None]], axis=1)
    return np.asarray(rows[(score > least) & (extent > 0).all(axis=1)])


def yunet(model: str | PathLike[str], *, least: float = 0.6) -> Callable[[Picture], tuple[Candidate, ...]]:
    """Return a detector for `find_faces` from the ONNX file of YuNet, where a museum has it; OpenCV reads the file.

    Pictures are reduced to at most 1024 pixels for it. Raise ValueError where OpenCV can't use the file.
    """
    try:
        network = cv2.FaceDetectorYN.create(fspath(model), "", (320, 320), least, 0.3, 500)
    except cv2.error as error:
        raise ValueError(f"{fspath(model)} is not a YuNet model that OpenCV can read") from error

    def detect(picture: Picture) -> tuple[Candidate, ...]:
        whole = _checked(picture)
        scale = min(1.0, 1024 / max(whole.shape[:2]))
        small = _resize(whole, max(round(whole.shape[1] * scale), 1), max(round(whole.shape[0] * scale), 1))
        network.setInputSize((small.shape[1], small.shape[0]))
        _, rows = network.detect(np.round(np.clip(small[..., ::-1], 0, 1) * 255).astype(np.uint8))
        zoom = np.tile([whole.shape[1] / small.shape[1], whole.shape[0] / small.shape[0]], 7)
        return tuple(_from_yunet(row[:14] * zoom, float(row[14])) for row in ([] if rows is None else rows))

    return detect


def _from_yunet(row: NDArray[np.float64], score: float) -> Candidate:
    """Take a row x, y, width, height, right eye, left eye, nose, right and left corner of the mouth."""
    left, top, width, height = (float(value) for value in row[:4])
    points = row[4:].reshape(5, 2)
    named = [*points[:3], (points[3] + points[4]) / 2]
    return Candidate(
        box=(left, top, left + width, top + height),
        score=score,
        points=tuple((float(x), float(y)) for x, y in named),
    )


def _draw(picture: Picture, candidate: Candidate, networks: FaceNetworks, least_flag: float) -> Face | None:
    """Let the mesh judge and draw a candidate, twice, then draw its eyes; None where it sees no face."""
    left, top, right, bottom = candidate.box
    eyes = candidate.points[:2]
    square = _Square(
        x=(left + right) / 2,
        y=(top + bottom) / 2,
        side=_MESH_MARGIN * max(right - left, bottom - top),
        angle=math.atan2(eyes[1][1] - eyes[0][1], eyes[1][0] - eyes[0][0]),
    )
    for _ in range(2):
        crop = _crop(picture, square, _MESH_EDGE)
        raw = networks.mesh(crop).reshape(-1).astype(np.float64)
        flag = float(_sigmoid(raw[-1:])[0])
        if flag <= least_flag:
            return None
        mesh = _project(raw[: 3 * _MESH_POINTS].reshape(-1, 3), square, _MESH_EDGE)
        square = _around(mesh)
    squares = [_of_eye(mesh, corners) for corners in (_RIGHT_CORNERS, _LEFT_CORNERS)]
    crops = [_crop(picture, squares[0], _EYE_EDGE), _crop(picture, squares[1], _EYE_EDGE, mirrored=True)]
    drawn = [raw.reshape(-1, 3).astype(np.float64) for raw in networks.iris(np.concatenate(crops))]
    return Face(
        box=candidate.box,
        score=candidate.score,
        points=candidate.points,
        flag=flag,
        mesh=_points(mesh),
        right_eye=_eye(_project(drawn[0], squares[0], _EYE_EDGE)),
        left_eye=_eye(_project(drawn[1], squares[1], _EYE_EDGE, mirrored=True)),
    )


def _around(mesh: NDArray[np.float64]) -> _Square:
    """Return the square around a mesh, turned until the outer corners of the eyes are level."""
    across = mesh[_LEFT_CORNERS[1], :2] - mesh[_RIGHT_CORNERS[0], :2]
    angle = math.atan2(across[1], across[0])
    cos, sin = math.cos(angle), math.sin(angle)
    back = np.array([[cos, sin], [-sin, cos]])
    level = mesh[:, :2] @ back.T
    low, high = level.min(axis=0), level.max(axis=0)
    x, y = (low + high) / 2 @ back
    return _Square(x=float(x), y=float(y), side=_MESH_MARGIN * float((high - low).max()), angle=angle)


def _of_eye(mesh: NDArray[np.float64], corners: tuple[int, int]) -> _Square:
    """Return the square around an eye, turned until its corners are level."""
    first, second = mesh[corners[0], :2], mesh[corners[1], :2]
    (x, y), across = (first + second) / 2, second - first
    side = _EYE_MARGIN * math.hypot(across[0], across[1])
    return _Square(x=float(x), y=float(y), side=side, angle=math.atan2(across[1], across[0]))


def _eye(points: NDArray[np.float64]) -> Eye:
    around, iris = points[:_EYE_POINTS], points[_EYE_POINTS:]
    return Eye(lower=_points(around[_LOWER]), upper=_points(around[_UPPER]), iris=_points(iris))


def _points(array: NDArray[np.float64]) -> tuple[Point, ...]:
    return tuple((float(x), float(y), float(z)) for x, y, z in array)


def _project(points: NDArray[np.float64], square: _Square, edge: int, *, mirrored: bool = False) -> NDArray[np.float64]:
    """Bring points (k, 3) of a crop into the picture; z is scaled alike."""
    matrix = square.matrix(edge, mirrored=mirrored)
    flat = points[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    return np.column_stack([flat, points[:, 2] * (square.side / edge)])


def _crop(picture: Picture, square: _Square, edge: int, *, mirrored: bool = False) -> NDArray[np.float32]:
    """Cut a turned square out of a picture: float32 (1, 3, edge, edge) in 0..1; what lies outside is black."""
    height, width = picture.shape[:2]
    reach = square.side * math.sqrt(0.5) + 2
    left, right = max(math.floor(square.x - reach), 0), min(math.ceil(square.x + reach), width)
    top, bottom = max(math.floor(square.y - reach), 0), min(math.ceil(square.y + reach), height)
    if left >= right or top >= bottom:
        return np.zeros((1, 3, edge, edge), np.float32)
    part = picture[top:bottom, left:right]
    coarse = max(int(square.side / edge), 1)  # bilinear sampling alone would skip pixels
    part = _resize(part, -(-part.shape[1] // coarse), -(-part.shape[0] // coarse))
    shrink = np.array([part.shape[1] / (right - left), part.shape[0] / (bottom - top)])
    matrix = square.matrix(edge, mirrored=mirrored)
    matrix[:, 2] = (matrix[:, 2] - [left, top]) * shrink
    matrix[:, :2] *= shrink[:, None]
    matrix[:, 2] += matrix[:, :2] @ [0.5, 0.5] - 0.5  # from points to numbers of pixels
    cut = cv2.warpAffine(part, matrix, (edge, edge), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    return _planes(cut)


def _resize(picture: Picture, width: int, height: int) -> NDArray[np.float32]:
    """Bring a picture to a size, float32 (h, w, 3) in 0..1; reduced by area, so that nothing is skipped."""
    smaller = width < picture.shape[1] or height < picture.shape[0]
    resized = picture
    if (width, height) != (picture.shape[1], picture.shape[0]):
        resized = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
    white = float(np.iinfo(picture.dtype).max) if picture.dtype.kind == "u" else 1.0
    light = np.asarray(resized, np.float32).reshape(height, width, -1) / np.float32(white)
    light = np.clip(np.nan_to_num(light), 0, 1)
    return light if light.shape[2] == 3 else np.repeat(light, 3, axis=2)


def _planes(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    """(h, w, 3) to (1, 3, h, w)."""
    return np.ascontiguousarray(picture.transpose(2, 0, 1)[None], np.float32)


def _checked(picture: Picture) -> Picture:
    """Give a picture three axes; raise ValueError where it is none."""
    if picture.ndim == 2:
        picture = picture[..., None]
    if picture.ndim != 3 or picture.shape[2] not in (1, 3) or 0 in picture.shape:
        raise ValueError(f"a picture of shape {picture.shape} is neither gray nor RGB")
    if picture.dtype not in (np.uint8, np.uint16, np.float32):
        raise ValueError(f"a picture of {picture.dtype} is not uint8, uint16 or float32")
    return picture


def _sigmoid(value: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-np.clip(value, -80, 80))))


def _bounds(mesh: Sequence[Point]) -> Box:
    xs, ys = [p[0] for p in mesh], [p[1] for p in mesh]
    return min(xs), min(ys), max(xs), max(ys)


def _overlap(one: Sequence[float], other: Sequence[float]) -> float:
    """Intersection over union of two boxes."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    if wide <= 0 or high <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return wide * high / (areas[0] + areas[1] - wide * high)


def _merge(rows: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Make one of rows whose boxes overlap by more than 0.3: their mean, weighted by score, with the best score."""
    left = list(rows[np.argsort(-rows[:, 16], kind="stable")])
    merged = []
    while left:
        same = [row for row in left if row is left[0] or _overlap(row, left[0]) > 0.3]
        taken = {id(row) for row in same}
        group = np.array(same)
        mean = np.average(group, axis=0, weights=group[:, 16])
        mean[16] = left[0][16]
        merged.append(mean)
        left = [row for row in left if id(row) not in taken]
    return merged
