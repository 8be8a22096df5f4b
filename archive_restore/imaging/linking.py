"""Second look at candidate damage: does the suspicion continue along a line, repeat beside it, or fill the area?

Works on planes of integer votes left by the first look, so tiles with their halo agree exactly with the whole
picture. Must never look at tones: that was the first look's work (ridges.py).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from archive_restore.imaging.ridges import ORIENTATIONS, Candidates, Reach

Votes = NDArray[np.int16]

VOTE_UNIT = 16
"""A vote is the first look's log-odds times this."""
VOTE_FLOOR = -4 * VOTE_UNIT
"""Log-odds below e^-4 (2 %) cast no vote."""
_MOST = 8 * VOTE_UNIT
_PAD = 40

CONTEXT = (
    "own",
    "line_short",
    "line_long",
    "side_best",
    "side_worst",
    "fan_best",
    "fan_worst",
    "around5",
    "near",
    "far",
    "beside",
    "opposite5",
    "opposite_near",
    "other_scale",
    "other_scale5",
)


def votes(candidates: Candidates, score: NDArray[np.int32], shape: tuple[int, int]) -> Votes:
    """Spread scores (log-odds × VOTE_UNIT) to a plane: 0 where nothing is suspected, at most 192."""
    plane = np.zeros(shape, np.int16)
    plane[candidates.rows, candidates.columns] = np.clip(score, VOTE_FLOOR, _MOST) - VOTE_FLOOR
    return plane


def _flat_offsets(step: int, points: list[tuple[float, float]], turn: float = 0.0) -> NDArray[np.int32]:
    """Flat offsets of (along, aside) points for each direction, the line turned by `turn` radians."""
    out = np.empty((ORIENTATIONS, len(points)), np.int32)
    for j in range(ORIENTATIONS):
        angle = np.pi * j / ORIENTATIONS + turn
        ux, uy = np.cos(angle), np.sin(angle)
        for k, (along, aside) in enumerate(points):
            out[j, k] = round(float(along * uy + aside * ux)) * step + round(float(along * ux - aside * uy))
    return out


def _box(plane: Votes, radius: int) -> NDArray[np.float32]:
    side = 2 * radius + 1
    total = cv2.boxFilter(plane, cv2.CV_64F, (side, side), normalize=False, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(np.rint(total), np.float32)


def context(
    candidates: Candidates, own: Votes, opposite: Votes, other_scale: Votes, reach: Reach
) -> NDArray[np.float32]:
    """Collect CONTEXT of every candidate, float32 (N, len(CONTEXT)).

    `own`, `opposite`: votes of this octave for this and the other polarity; `other_scale`: this polarity's votes of
    the other octave, brought to this one's size.
    """
    at = (candidates.rows, candidates.columns)
    if not len(candidates.rows):
        return np.zeros((0, len(CONTEXT)), np.float32)
    grown = cv2.dilate(own, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    padded = cv2.copyMakeBorder(grown, _PAD, _PAD, _PAD, _PAD, cv2.BORDER_CONSTANT, value=0)
    flat, step = padded.reshape(-1), padded.shape[1]
    base = ((candidates.rows + _PAD) * step + candidates.columns + _PAD).astype(np.int32)
    j = candidates.orientation
    ahead = [(float(t), 0.0) for t in range(3, reach.line + 1, 3)]
    back = [(-t, 0.0) for t, _ in ahead]
    short = sum(t <= 12 for t, _ in ahead)
    scale = min(1.0, reach.line / 12)
    parallel = [(t * scale, a * scale) for t in (-9, -3, 3, 9) for a in (-11, -8, -5, 5, 8, 11)]
    turns = (-0.3, -0.1, 0.1, 0.3)
    tables = [(_flat_offsets(step, ahead, t), _flat_offsets(step, back, t)) for t in (0.0, *turns)]
    beside = _flat_offsets(step, parallel)
    out = np.empty((len(base), len(CONTEXT)), np.float32)
    k = CONTEXT.index
    for begin in range(0, len(base), 16384):
        part = slice(begin, begin + 16384)
        b, jj = base[part, None], j[part]
        one = flat[b + tables[0][0][jj]].astype(np.int32)
        two = flat[b + tables[0][1][jj]].astype(np.int32)
        ends = one.sum(1), two.sum(1)
        out[part, k("line_short")] = one[:, :short].sum(1) + two[:, :short].sum(1)
        out[part, k("line_long")] = ends[0] + ends[1]
        out[part, k("side_best")] = np.maximum(*ends)
        out[part, k("side_worst")] = np.minimum(*ends)
        fan = [ends]
        fan += [
            (flat[b + f[jj]].astype(np.int32).sum(1), flat[b + g[jj]].astype(np.int32).sum(1)) for f, g in tables[1:]
        ]
        first = np.maximum.reduce([f for f, _ in fan])
        second = np.maximum.reduce([g for _, g in fan])
        out[part, k("fan_best")] = np.maximum(first, second)
        out[part, k("fan_worst")] = np.minimum(first, second)
        out[part, k("beside")] = flat[b + beside[jj]].astype(np.int32).sum(1)
    out[:, k("own")] = own[at]
    out[:, k("around5")] = _box(own, 2)[at]
    out[:, k("near")] = _box(own, reach.near)[at]
    out[:, k("far")] = _box(own, reach.far - reach.near)[at]
    out[:, k("opposite5")] = _box(opposite, 3)[at]
    out[:, k("opposite_near")] = _box(opposite, reach.near)[at]
    five = np.ones((5, 5), np.uint8)
    widened = cv2.dilate(other_scale, five, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    out[:, k("other_scale")] = cv2.dilate(
        other_scale, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0
    )[at]
    out[:, k("other_scale5")] = _box(widened, 4)[at]
    return out
