"""What hints say of the rest of a picture, once a network has told which of its pixels go together in colour.

Two pixels go together by a covariance: one that all pixels of a picture share, and one for each kind of belonging,
which falls with the distance of the numbers (codes) that the network gave both. From it follows the best linear guess
of what hints leave open (kriging: Matheron 1963; Rasmussen and Williams, "Gaussian Processes for Machine Learning",
2006, 2.2), and how much of the open question they settle. Far from all hints, or unlike them, the guess stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

from archive_restore.imaging.hints import Mark, Seen

if TYPE_CHECKING:
    from torch import Tensor

Floats = npt.NDArray[np.float32]
Values = TypeVar("Values", "Tensor", Floats)

PARTS = 3
"""Kinds of belonging."""
CODES = 13
"""Numbers a pixel has for each kind."""
PLANES = 1 + PARTS * (1 + CODES)
"""Planes by which a network tells it: doubt, how much each kind matters, and the codes of each kind."""
_PLACES = 12  # pixels that speak for a stroke or a polygon
_MOST = 256  # pixels that speak in all, unless there are more hints
_BAND = 1 << 22  # numbers held at a time


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


def carried(belonging: Belonging, lightness: Floats, guess: Floats, marks: Sequence[Mark]) -> tuple[Floats, Floats]:
    """Put a guess of a* and b* (h, w, 2) right by hints; `lightness`: L* (h, w).

    Returns a* and b*, and how much of what was open the hints settle (h, w), 0 to 1. A hint's reach and bounds are not
    looked at.
    """
    if not marks:
        return guess, np.zeros(lightness.shape, np.float32)
    each = max(1, min(_PLACES, _MOST // len(marks)))
    picked = [np.linspace(0, mark.rows.size - 1, min(each, mark.rows.size)).astype(np.intp) for mark in marks]
    rows = np.concatenate([mark.rows[at] for mark, at in zip(marks, picked, strict=True)])
    columns = np.concatenate([mark.columns[at] for mark, at in zip(marks, picked, strict=True)])
    told = np.concatenate([np.tile(mark.ab, (at.size, 1)) for mark, at in zip(marks, picked, strict=True)])
    shade = shading(lightness / np.float32(100))
    weights, codes = belonging.weights[:, rows, columns], belonging.codes[:, :, rows, columns]
    between = _together(weights, codes, weights, codes).astype(np.float64)
    between[np.diag_indices(rows.size)] += belonging.doubt[rows, columns]
    inverse = np.linalg.inv(between)
    off = (told - guess[rows, columns]) / shade[rows, columns, None]
    says = (inverse @ off).astype(np.float32)
    made, settled = guess.astype(np.float32), np.empty(lightness.shape, np.float32)
    band = max(1, _BAND // (lightness.shape[1] * rows.size))
    for top in range(0, len(lightness), band):
        part = slice(top, top + band)
        own = belonging.weights[:, part].reshape(PARTS, -1)
        here = _together(own, belonging.codes[:, :, part].reshape(PARTS, CODES, -1), weights, codes)
        frame = settled[part].shape
        made[part] += shade[part, :, None] * (here @ says).reshape(*frame, 2)
        open_before = 1 + np.square(own).sum(axis=0)
        settled[part] = (((here @ inverse.astype(np.float32)) * here).sum(axis=1) / open_before).reshape(frame)
    return made, np.clip(settled, 0, 1)


def _together(weights: Floats, codes: Floats, others: Floats, their_codes: Floats) -> Floats:
    """Covariance (n, k) of pixels with weights (PARTS, n) and codes (PARTS, CODES, n), and of k others."""
    out = np.ones((weights.shape[1], others.shape[1]), np.float32)
    for weight, code, other, theirs in zip(weights, codes, others, their_codes, strict=True):
        square = np.square(code).sum(axis=0)[:, None] + np.square(theirs).sum(axis=0)[None]
        square -= 2 * (code.T @ theirs)
        out += weight[:, None] * other[None] * np.exp(np.float32(-0.5) * np.maximum(square, 0))
    return out
