"""What hints say of the rest of a picture, once a network has told which of its pixels go together in colour.

Two pixels go together by a covariance: one that all pixels of a picture share, and one for each kind of belonging,
which falls with the distance of the numbers (codes) that the network gave both. From it follows the best linear guess
of what hints leave open (kriging: Matheron 1963; Rasmussen and Williams, "Gaussian Processes for Machine Learning",
2006, 2.2), and how much of the open question they settle.

A hint has a say only where it belongs: each pixel listens to the few hints it goes together with best, the less the
more edges lie on the way there, and not at all to the others. A hint that is about to lose its say is doubted without
end, so that nothing jumps there. So a hint that moves changes nothing beyond its old place and its new one, to the bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

from archive_restore.imaging.hints import Mark, Seen

if TYPE_CHECKING:
    from torch import Tensor

Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[Any]
Values = TypeVar("Values", "Tensor", Floats)

PARTS = 3
"""Kinds of belonging."""
CODES = 13
"""Numbers a pixel has for each kind."""
PLANES = 1 + PARTS * (1 + CODES)
"""Planes by which a network tells it: doubt, how much each kind matters, and the codes of each kind."""
_PLACES = 6  # pixels that speak for a stroke or a polygon
_LISTENED = 4  # hints that a pixel listens to
_ACROSS = 100.0  # units of L* on the shortest path that count as much as all that the network says
_UNLIKE, _ALIKE = 0.05, 0.3  # belonging up to which a hint has no say, and from which it has all
_WORSE, _GOOD = 0.6, 0.9  # the same, as shares of the belonging of the pixel's best hint
_ROWS = 16  # of a band: the same for any number of hints, so that rounding is


def traits(seen: Seen) -> Floats:
    """What the network is given, (4, h, w), 0 to about 1: L*/100, and what `imaging.hints` sees around a pixel."""
    planes = [seen.lightness / 100, seen.fine / 100, seen.around / 100, seen.texture / 30]
    return np.clip(np.stack(planes), 0, 1).astype(np.float32)


def shading(lightness: Values) -> Values:
    """How far chroma follows lightness, L*/100, on one paint in light and shade; 1 at L* = 50."""
    shaded: Any = ((100 * lightness + 16) / 66).clip(0.2) ** 0.33
    return cast("Values", shaded)


@dataclass(frozen=True, kw_only=True)
class Belonging:
    """What the network tells of each pixel."""

    doubt: Floats
    """(h, w) variance of what a hint there says of its surroundings."""
    weights: Floats
    """(PARTS, h, w) how much each kind matters."""
    codes: Floats
    """(PARTS, CODES, h, w)"""

    @classmethod
    def of(cls, planes: Floats) -> Belonging:
        """From (PLANES, h, w)."""
        codes = planes[1 + PARTS :]
        return cls(doubt=planes[0], weights=planes[1 : 1 + PARTS], codes=codes.reshape(PARTS, CODES, *planes.shape[1:]))


def carried(
    belonging: Belonging,
    lightness: Floats,
    guess: Floats,
    marks: Sequence[Mark],
    paths: Sequence[npt.NDArray[np.floating]],
) -> tuple[Floats, Floats]:
    """Put a guess of a* and b* (h, w, 2) right by hints; `lightness`: L* (h, w).

    `paths`: for each hint the lengths of the shortest paths to every pixel (h, w), `imaging.hints.lengths`. Returns a*
    and b*, and how much of what was open the hints settle (h, w), 0 to 1. A hint's reach and bounds are not looked at.
    """
    made, settled = guess.astype(np.float32), np.zeros(lightness.shape, np.float32)
    if not marks:
        return made, settled
    points = _Points.of(belonging, marks)
    shade = shading(lightness / np.float32(100))
    at = points.rows, points.columns
    off = ((points.told - guess[at]) / shade[at][:, None]).astype(np.float32)
    between = points.between()
    for top in range(0, len(lightness), _ROWS):
        part = slice(top, top + _ROWS)
        own, frame = belonging.weights[:, part].reshape(PARTS, -1), settled[part].shape
        codes = belonging.codes[:, :, part].reshape(PARTS, CODES, -1)
        near, nearest = points.nearest(own, codes)
        whole = np.square(own).sum(axis=0)
        alike = near / np.sqrt(whole[:, None] * np.square(points.weights).sum(axis=0)[nearest])
        way = np.stack([path[part].reshape(-1) for path in paths], axis=1).astype(np.float32)
        belongs = np.clip(alike, 1e-9, 1) ** (1 + way / np.float32(_ACROSS))
        chosen, say = _listened(belongs)
        rows = np.arange(len(belongs))[:, None]
        here, names = 1 + near[rows, chosen], nearest[rows, chosen]
        share = _solved(between, points.doubt, here, names, say)
        made[part] += shade[part, :, None] * (share[:, :, None] * off[names]).sum(axis=1).reshape(*frame, 2)
        settled[part] = ((share * here).sum(axis=1) / (1 + whole)).reshape(frame)
    return made, np.clip(settled, 0, 1)


@dataclass(frozen=True, kw_only=True)
class _Points:
    """Pixels that speak for hints: one for a point, some for a stroke or a polygon."""

    rows: npt.NDArray[np.intp]
    columns: npt.NDArray[np.intp]
    told: Floats
    """(n, 2) a* and b*."""
    doubt: Floats
    weights: Floats
    """(PARTS, n)"""
    codes: Floats
    """(PARTS, CODES, n)"""
    ends: tuple[int, ...]
    """Where the pixels of each hint end, and those of the next begin."""

    @classmethod
    def of(cls, belonging: Belonging, marks: Sequence[Mark]) -> _Points:
        picked = [np.linspace(0, m.rows.size - 1, min(_PLACES, m.rows.size)).astype(np.intp) for m in marks]
        rows = np.concatenate([mark.rows[at] for mark, at in zip(marks, picked, strict=True)])
        columns = np.concatenate([mark.columns[at] for mark, at in zip(marks, picked, strict=True)])
        return cls(
            rows=rows,
            columns=columns,
            told=np.concatenate([np.tile(mark.ab, (at.size, 1)) for mark, at in zip(marks, picked, strict=True)]),
            doubt=belonging.doubt[rows, columns],
            weights=belonging.weights[:, rows, columns],
            codes=belonging.codes[:, :, rows, columns],
            ends=tuple(np.cumsum([at.size for at in picked]).tolist()),
        )

    def nearest(self, weights: Floats, codes: Floats) -> tuple[Floats, npt.NDArray[np.intp]]:
        """Of n pixels the covariance with each of k hints, (n, k), by that pixel of it that has most, and which it is.

        One hint after the other: what it gives does not depend on the others, not even by rounding.
        """
        near = np.empty((weights.shape[1], len(self.ends)), np.float32)
        which = np.empty(near.shape, np.intp)
        for k, (first, last) in enumerate(pairwise((0, *self.ends))):
            found = _together(weights, codes, self.weights[:, first:last], self.codes[:, :, first:last])
            best = found.argmax(axis=1)
            near[:, k], which[:, k] = found[np.arange(len(best)), best], first + best
        return near, which

    def between(self) -> Floats:
        """Covariances (n, n); rounded from a double, so that they do not depend on how many there are."""
        weights, codes = self.weights.astype(np.float64), self.codes.astype(np.float64)
        out = np.empty(2 * (len(self.rows),), np.float32)
        for first, last in pairwise((0, *self.ends)):
            out[first:last] = 1 + _together(weights[:, first:last], codes[:, :, first:last], weights, codes)
        return out


def _listened(belongs: Floats) -> tuple[npt.NDArray[np.intp], Floats]:
    """The hints that pixels listen to, (n, k) of (n, hints), in their order, and how far, 0 to 1.

    The best of them as it belongs itself, the others less; none where it falls to the share _WORSE of the best, or to
    the first that is left out.
    """
    count = belongs.shape[1]
    low = np.float32(_WORSE) * belongs.max(axis=1)
    chosen = np.broadcast_to(np.arange(count), belongs.shape)
    if count > _LISTENED:
        order = np.argpartition(-belongs, _LISTENED, axis=1)
        chosen = np.sort(order[:, :_LISTENED], axis=1)
        low = np.maximum(low, belongs[np.arange(len(belongs)), order[:, _LISTENED]])
    own = np.take_along_axis(belongs, chosen, axis=1)
    best = own.max(axis=1)
    rise = np.maximum(np.float32(_GOOD) * best - low, np.float32(1 - _GOOD) * best)
    beside = _smooth((own - low[:, None]) / rise[:, None])
    beside /= np.maximum(beside.max(axis=1, keepdims=True), np.float32(1e-9))
    return chosen, _smooth((own - np.float32(_UNLIKE)) / np.float32(_ALIKE - _UNLIKE)) * beside


def _smooth(along: Floats) -> Floats:
    along = np.clip(along, 0, 1)
    return np.asarray(along * along * (3 - 2 * along), np.float32)


def _solved(between: Floats, doubt: Floats, here: Floats, names: npt.NDArray[np.intp], say: Floats) -> Floats:
    """Shares (n, k) of the departures of the k hints that each pixel listens to.

    `between`: covariances of all hints; `here`: (n, k) those of a pixel with its hints `names`; a hint whose say is s
    is doubted by 1 / s - 1 more than by itself. Solved by Cholesky's method, with unknowns that sqrt(s) divides.
    """
    count = here.shape[1]
    root, part = np.sqrt(say), [[np.empty(0, np.float32)] * count for _ in range(count)]
    for i in range(count):
        for j in range(i + 1):
            value = root[:, i] * root[:, j] * between[names[:, i], names[:, j]]
            if i == j:
                value += say[:, i] * doubt[names[:, i]] + (1 - say[:, i])
            for k in range(j):
                value -= part[i][k] * part[j][k]
            part[i][j] = np.sqrt(value) if i == j else value / part[j][j]
    found = root * here
    for i in range(count):
        for k in range(i):
            found[:, i] -= part[i][k] * found[:, k]
        found[:, i] /= part[i][i]
    for i in reversed(range(count)):
        for k in range(i + 1, count):
            found[:, i] -= part[k][i] * found[:, k]
        found[:, i] /= part[i][i]
    return np.asarray(found * root, np.float32)


def _together(weights: Numbers, codes: Numbers, others: Numbers, their_codes: Numbers) -> Numbers:
    """Covariance (n, k) of pixels with weights (PARTS, n) and codes (PARTS, CODES, n), and of k others, without what
    all pixels share."""
    out: Numbers = np.zeros((weights.shape[1], others.shape[1]), weights.dtype)
    for weight, code, other, theirs in zip(weights, codes, others, their_codes, strict=True):
        square = np.square(code).sum(axis=0)[:, None] + np.square(theirs).sum(axis=0)[None]
        square -= 2 * (code.T @ theirs)
        out += weight[:, None] * other[None] * np.exp(-np.maximum(square, 0) / 2)
    return out
