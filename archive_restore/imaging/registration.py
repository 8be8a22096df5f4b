"""Registration: where in a reference a candidate picture lies, and how sure that is.

Arrays in, facts out. The same arrays give the same answer; nothing here draws a random number of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from archive_restore.imaging.alignment import Grid, Mask, Matrix, brought, normalized, reduced, refine, scale_of
from archive_restore.imaging.explanation import tone_curve
from archive_restore.imaging.features import Features, detect, match
from archive_restore.records.imagery import Geometry, Region

Picture = npt.NDArray[Any]
"""uint8 (h, w) or (h, w, 3) RGB, upright, as a person sees it."""


@dataclass(frozen=True, kw_only=True)
class Registration:
    """How a candidate lies in a reference."""

    matrix: Geometry
    """From candidate to reference pixel centres (x, y, 1)."""
    mirrored: bool
    rotation: float
    """Degrees, -180..180, by which the candidate is turned clockwise against the reference, after any mirroring."""
    scale: float
    """Candidate pixels a reference pixel."""
    content: Region
    """Rectangle of the candidate that shows the reference; outside of it lies a border, or nothing."""
    overlap: tuple[tuple[float, float], ...]
    """Corners (x, y), in candidate pixels, of the area that both show."""
    shown: float
    """Share of the reference's area that the candidate shows, 0..1."""
    matches: int
    """Features that agree on the matrix."""
    correlation: float
    """Normalized cross-correlation of the aligned pictures' detail, -1..1."""
    confidence: float
    """How sure the match is, 0..1; a match is stated from MATCH on."""


MATCH = 0.5
"""Confidence from which two pictures are said to be related."""

_LONGEST = 800
"""Longest edge at which features are sought."""
_FINE = 512
"""Longest edge at which the matrix is made exact."""
_FEATURES = 1200
_RATIO = 0.85
"""Largest distance to the nearest over that to the second best descriptor."""
_HYPOTHESES = 300
"""Pairs each of which proposes how the pictures lie."""
_COARSE = 20.0
"""Reference pixels within which a pair agrees with a hypothesis: one feature knows angle and size only roughly."""
_CLOSE = (12.0, 6.0, 3.0)
"""The same while the matrix is fitted to all that agree."""
_FEWEST = 5
"""Places that must agree."""
_CLEAR = 40
"""Places from which the mirror image is not tried."""
_STRETCH = 1.35
"""Largest ratio of the scales along and across."""
_SCALES = (1 / 24, 24)
_NEAR = 15
"""Pixels an edge of the squares in which detail must agree to say what tones are."""
_AGREES = 0.5
"""Correlation from which it does."""
_TOLERANCE = 8.0
"""Code values by which a pixel may differ and still show the same, besides what the encoding leaves."""
_LINES = 3
"""Lines of the picture that a border must outweigh."""
_SHARE = 0.15
"""Share of a picture below which what is common says little."""
_SMALL = 12.0
_ROUNDING = 0.05
"""Pixels that are no part of a pixel."""
_BLOCK = 24
"""Pixels an edge of the blocks in which detail is correlated."""


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A picture with its features, so that it is looked at once when many are compared with it."""

    picture: Picture
    grid: Grid
    """Gray, reduced."""
    features: Features

    @cached_property
    def flipped(self) -> Features:
        """Features of the mirrored grid, in its own pixels."""
        return detect(np.ascontiguousarray(self.grid.image[:, ::-1]), _FEATURES)


def prepare(picture: Picture) -> Prepared:
    """Find the features of a picture."""
    grid = reduced(gray_of(picture), _LONGEST)
    return Prepared(picture=picture, grid=grid, features=detect(grid.image, _FEATURES))


def gray_of(picture: Picture) -> npt.NDArray[np.uint8]:
    """Luma of a picture, uint8 (h, w) (Rec. ITU-R BT.601)."""
    import cv2

    return np.asarray(picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)


def register(candidate: Picture, reference: Picture) -> Registration | None:
    """Find the candidate in the reference; None where they are not related with confidence MATCH or more."""
    return register_prepared(prepare(candidate), prepare(reference))


def register_prepared(candidate: Prepared, reference: Prepared) -> Registration | None:
    """As `register`, of pictures whose features are known. Steps: 1 propose; 2 refine; 3 judge."""
    found = judged(candidate, reference)
    return found if found is not None and found.confidence >= MATCH else None


def judged(candidate: Prepared, reference: Prepared) -> Registration | None:
    """The likeliest way in which the candidate lies in the reference, however unlikely; None where there is none."""
    best, mirrored = _proposed(candidate.features, reference.features), False
    if best.places < _CLEAR:
        other = _proposed(candidate.flipped, reference.features)
        if other.places > best.places:
            best, mirrored = other, True
    if best.places < _FEWEST:
        return None
    width = candidate.grid.image.shape[1]
    mirror = np.array([[-1.0, 0, width - 1], [0, 1, 0], [0, 0, 1]]) if mirrored else np.eye(3)
    return _stated(candidate, reference, best, best.matrix @ mirror, mirrored)


# --- 1 proposals -------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Proposal:
    matrix: Matrix
    """From the grid of the candidate, or of its mirror image, to that of the reference."""
    matches: int
    """Pairs that agree."""
    pairs: int
    places: int
    """Different places among them, in both pictures."""


_NONE = _Proposal(matrix=np.eye(3), matches=0, pairs=0, places=0)


def _proposed(ours: Features, theirs: Features) -> _Proposal:
    """Every pair proposes a similarity; the one with which most places agree is fitted to them.

    A generalized Hough transform without bins (Lowe, 2004, section 7.3), hence without chance.
    """
    pairs = match(ours, theirs, _RATIO)
    if len(pairs) < _FEWEST:
        return _NONE
    from_points = ours.points[pairs[:, 0]].astype(np.float64)
    to_points = theirs.points[pairs[:, 1]].astype(np.float64)
    proposers = pairs[:_HYPOTHESES]
    scale = theirs.sizes[proposers[:, 1]] / np.maximum(ours.sizes[proposers[:, 0]], 1e-3)
    angle = theirs.angles[proposers[:, 1]] - ours.angles[proposers[:, 0]]
    cos, sin = (scale * np.cos(angle)).astype(np.float64), (scale * np.sin(angle)).astype(np.float64)
    count = len(proposers)
    shift_x = to_points[:count, 0] - (cos * from_points[:count, 0] - sin * from_points[:count, 1])
    shift_y = to_points[:count, 1] - (sin * from_points[:count, 0] + cos * from_points[:count, 1])
    x = cos[:, None] * from_points[None, :, 0] - sin[:, None] * from_points[None, :, 1] + shift_x[:, None]
    y = sin[:, None] * from_points[None, :, 0] + cos[:, None] * from_points[None, :, 1] + shift_y[:, None]
    near = np.square(x - to_points[None, :, 0]) + np.square(y - to_points[None, :, 1]) < _COARSE**2
    near[(scale < _SCALES[0]) | (scale > _SCALES[1])] = False
    order = np.argsort(-near.sum(axis=1), kind="stable")[:6]
    fitted = [_fitted(from_points, to_points, near[number]) for number in order]
    return max(fitted, key=lambda proposal: proposal.places)


def _fitted(from_points: Matrix, to_points: Matrix, near: Mask) -> _Proposal:
    matrix = np.eye(3)
    for distance in _CLOSE:
        if _places(from_points[near], to_points[near]) < _FEWEST:
            return _NONE
        matrix = _least_squares(from_points[near], to_points[near])
        if not _plausible(matrix):
            return _NONE
        reached = from_points @ matrix[:2, :2].T + matrix[:2, 2]
        # A candidate that is enlarged cannot be placed more exactly than its own pixels.
        limit = distance * max(1.0, scale_of(matrix))
        near = np.asarray(np.square(reached - to_points).sum(axis=1) < limit**2)
    places = _places(from_points[near], to_points[near])
    if places < _FEWEST:
        return _NONE
    return _Proposal(matrix=matrix, matches=int(near.sum()), pairs=len(near), places=places)


def _places(from_points: Matrix, to_points: Matrix) -> int:
    """Different places: features with several angles or sizes lie upon one another."""
    ours = {(int(x), int(y)) for x, y in from_points // 4}
    theirs = {(int(x), int(y)) for x, y in to_points // 4}
    return min(len(ours), len(theirs))


def _least_squares(from_points: Matrix, to_points: Matrix) -> Matrix:
    """A similarity for few points, an affinity for many."""
    center, goal = from_points.mean(axis=0), to_points.mean(axis=0)
    ours, theirs = from_points - center, to_points - goal
    linear = np.eye(2)
    if len(ours) >= 4 * _FEWEST:
        linear = np.linalg.lstsq(ours, theirs, rcond=None)[0].T
    else:
        power = max(float(np.square(ours).sum()), 1e-9)
        cos = float((ours * theirs).sum()) / power
        sin = float((ours[:, 0] * theirs[:, 1] - ours[:, 1] * theirs[:, 0]).sum()) / power
        linear = np.array([[cos, -sin], [sin, cos]])
    matrix = np.eye(3)
    matrix[:2, :2], matrix[:2, 2] = linear, goal - linear @ center
    return matrix


def _plausible(matrix: Matrix) -> bool:
    """A scan, a crop, a screen: nearly a similarity, never mirrored here."""
    if not np.isfinite(matrix).all() or np.linalg.det(matrix[:2, :2]) <= 0:
        return False
    large, small = np.linalg.svd(matrix[:2, :2], compute_uv=False)
    return bool(small > _SCALES[0] and large < _SCALES[1] and large / small < _STRETCH)


# --- 2 refinement, 3 judgement -----------------------------------------------------------------------


def _stated(
    candidate: Prepared, reference: Prepared, proposal: _Proposal, rough: Matrix, mirrored: bool
) -> Registration | None:
    grid, of_reference = candidate.grid, reference.grid
    # The fine grid has pixels no smaller than those of either picture.
    longest = min(_FINE, max(grid.image.shape) / max(1.0, 1 / scale_of(rough)))
    fine = reduced(grid.image, max(longest, 48))
    matrix = refine(fine.image, of_reference.image, rough @ fine.to_picture)
    height, width = fine.image.shape
    warped, inside = brought(of_reference.image, matrix, height, width)
    kept = _agreeing(fine.image, warped, inside)
    inside[: kept.top] = inside[kept.bottom :] = False
    inside[:, : kept.left] = inside[:, kept.right :] = False
    correlation, agreeing = _correlated(fine.image, warped, inside)
    full = of_reference.to_picture @ matrix @ np.linalg.inv(fine.to_picture) @ np.linalg.inv(grid.to_picture)
    to_candidate = grid.to_picture @ fine.to_picture
    overlap = _overlap(full, _placed(kept, to_candidate, fine.image), reference.picture.shape[:2])
    if len(overlap) < 3:
        return None
    linear = full[:2, :2] @ (np.diag([-1.0, 1.0]) if mirrored else np.eye(2))
    shown = min(1.0, _area(overlap) * scale_of(full) ** 2 / (reference.picture.shape[0] * reference.picture.shape[1]))
    filled = min(1.0, _area(overlap) / (candidate.picture.shape[0] * candidate.picture.shape[1]))
    return Registration(
        matrix=_geometry(full),
        mirrored=mirrored,
        rotation=float(np.degrees(np.arctan2(linear[0, 1] - linear[1, 0], linear[0, 0] + linear[1, 1]))),
        scale=1 / scale_of(full),
        content=_content(overlap, candidate.picture.shape[:2]),
        overlap=tuple((float(x), float(y)) for x, y in overlap),
        shown=shown,
        matches=proposal.matches,
        correlation=correlation,
        confidence=_confidence(proposal, correlation, agreeing, max(shown, filled)),
    )


def _correlated(candidate: Picture, warped: Picture, inside: Mask) -> tuple[float, float]:
    """Correlation of detail, and the share of blocks with detail in which it is clear."""
    import cv2

    ours, theirs = normalized(candidate, inside), normalized(warped, inside)
    kernel = (_BLOCK, _BLOCK)
    both = cv2.blur(ours * theirs, kernel)[_BLOCK // 2 :: _BLOCK, _BLOCK // 2 :: _BLOCK]
    one = cv2.blur(ours * ours, kernel)[_BLOCK // 2 :: _BLOCK, _BLOCK // 2 :: _BLOCK]
    other = cv2.blur(theirs * theirs, kernel)[_BLOCK // 2 :: _BLOCK, _BLOCK // 2 :: _BLOCK]
    detailed = (one > 0.05) & (other > 0.05)
    if not detailed.any():
        return 0.0, 0.0
    block = both[detailed] / np.sqrt(one[detailed] * other[detailed])
    power = float(np.sqrt(one.sum() * other.sum()))
    return float(both.sum()) / max(power, 1e-9), float((block > 0.35).mean())


def _confidence(proposal: _Proposal, correlation: float, agreeing: float, share: float) -> float:
    """`share` is the larger of the shares of either picture that is common: two pages with one emblem are no kin."""
    evidence = -_SMALL * max(0.0, 1 - share / _SHARE)
    evidence += min(0.25 * proposal.places, 4) + 5 * correlation + 2 * agreeing - 5.5
    return float(1 / (1 + np.exp(-evidence)))


def _geometry(matrix: Matrix) -> Geometry:
    rows = [tuple(float(value) for value in row) for row in matrix]
    return ((rows[0][0], rows[0][1], rows[0][2]), (rows[1][0], rows[1][1], rows[1][2]), (0.0, 0.0, 1.0))


def _agreeing(candidate: Picture, warped: Picture, inside: Mask) -> Region:
    """Rectangle of the candidate without what, from an edge inwards, shows something else.

    So is the page around a crop of the reference, which lies where the reference goes on. Each line scores by how much
    of it is what the tones of the part that surely agrees make one expect; a side is cut where the rest scores most.
    """
    import cv2

    height, width = candidate.shape
    ours, theirs = normalized(candidate, inside), normalized(warped, inside)
    both, one, other = (cv2.blur(x * y, (_NEAR, _NEAR)) for x, y in ((ours, theirs), (ours, ours), (theirs, theirs)))
    sure = inside & (both > _AGREES * np.sqrt(np.maximum(one * other, 0))) & (np.minimum(one, other) > 0.05)
    if sure.sum() < 64:
        return Region(top=0, left=0, bottom=height, right=width)
    expected = tone_curve(warped[sure].astype(np.float32), candidate[sure].astype(np.float32))(
        warped.astype(np.float32)
    )
    residual = np.abs(cv2.blur(candidate.astype(np.float32) - expected, (3, 3)))
    limit = _TOLERANCE + 4 * float(np.median(residual[sure]))
    score = np.where(inside, np.clip(1 - residual / limit, -1, 1), 0)
    top, bottom = _best_part(score)
    left, right = _best_part(score[top:bottom].T)
    top, bottom = _best_part(score[:, left:right])
    return Region(top=top, left=left, bottom=bottom, right=right)


def _best_part(score: npt.NDArray[np.float32]) -> tuple[int, int]:
    """First and last line of the part that scores most; all where little is gained by a cut."""
    lines = score.mean(axis=1)
    total = np.concatenate([np.zeros(1), np.cumsum(lines)])
    first, last = int(np.argmin(total[: len(lines) // 2 + 1])), len(lines)
    last -= int(np.argmax(total[len(lines) // 2 :][::-1]))
    least = _LINES * max(float(np.median(lines)), 0.1)
    first = first if -total[first] > least else 0
    return first, last if total[last] - total[-1] > least else len(lines)


def _placed(kept: Region, to_candidate: Matrix, grid: Picture) -> Matrix:
    """Corners of a rectangle of the fine grid in candidate pixels: (4, 2)."""
    height, width = grid.shape
    left, right = (-0.5 if kept.left == 0 else kept.left), (width - 0.5 if kept.right == width else kept.right - 1)
    top, bottom = (-0.5 if kept.top == 0 else kept.top), (height - 0.5 if kept.bottom == height else kept.bottom - 1)
    corners = np.array([[left, top, 1], [right, top, 1], [right, bottom, 1], [left, bottom, 1]])
    return np.asarray((to_candidate @ corners.T).T[:, :2])


def _overlap(matrix: Matrix, here: Matrix, theirs: tuple[int, int]) -> Matrix:
    """Corners in candidate pixels of what both show: (n, 2), none where they do not meet.

    `here` are the corners of what of the candidate counts. Corners are those of pixels, not their centres.
    """
    import cv2

    height, width = theirs
    left, top, right, bottom = -0.5, -0.5, width - 0.5, height - 0.5
    corners = np.array([[left, top, 1], [right, top, 1], [right, bottom, 1], [left, bottom, 1]])
    there = (np.linalg.inv(matrix) @ corners.T).T[:, :2]
    _, common = cv2.intersectConvexConvex(there.astype(np.float32), here.astype(np.float32))
    return np.zeros((0, 2)) if common is None else common.reshape(-1, 2).astype(np.float64)


def _area(polygon: Matrix) -> float:
    x, y = polygon[:, 0], polygon[:, 1]
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)


def _content(overlap: Matrix, shape: tuple[int, int]) -> Region:
    # Corners of pixels lie half a pixel from their centres.
    left, top = (int(value) for value in np.floor(overlap.min(axis=0) + 0.5 + _ROUNDING))
    right, bottom = (int(value) for value in np.ceil(overlap.max(axis=0) + 0.5 - _ROUNDING))
    return Region(top=max(0, top), left=max(0, left), bottom=min(shape[0], bottom), right=min(shape[1], right))
