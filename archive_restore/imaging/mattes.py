"""Lifts what is near off a still: its outline, its own colours along it, and what may lie behind it.

The outline is sought around a drawn one where neighbours part most (Rother et al., GrabCut, SIGGRAPH 2004), its share
of a pixel by a guided filter (He et al., PAMI 35, 2013). Along it a pixel shows both; what is near gets its own colours
back (Forte, Approximate Fast Foreground Colour Estimation, ICIP 2021), so that nothing from behind moves along. Must
never take anything from behind what is near for the picture: it is made up, and masked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from archive_restore.errors import UsageError
from archive_restore.imaging.complete import MOST, complete, pasted

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

LEAST_SHARE, LARGEST_SHARE = 0.002, 0.55
"""Share of the picture that may be near."""
_CUT_EDGE = 800  # longest edge of what is cut, pixels
_ROUNDS = 3
_SMOOTH = 0.25  # of the outline that was found, share of what the drawn one may be wrong by
_SEED = 1  # of the cut's mixtures
_FINE = 2  # radius of the guided filter, pixels
_EVEN = 1e-4  # its regularization, squared share of full scale
_RIM = 3  # least pixels around what is near that may show some of it, and would stay behind as a ghost
_COLOURS = (24, 6)  # radii over which colours are estimated


@dataclass(frozen=True, kw_only=True)
class Cutout:
    """A still in two layers."""

    near: Bytes
    """(h, w, 4): colours of what is near, also a little beyond its outline, and its share of each pixel."""
    far: Bytes
    """(h, w, 3): the still, with something made up behind what is near."""
    made_up: Mask
    """(h, w): where `far` is not the still."""


def cut_out(still: Bytes, drawn: Bytes, soft: float, seed: int) -> Cutout:
    """Part a still, uint8 (h, w, 3), along the outline of `drawn`, uint8 (h, w), 255 inside.

    `soft`: pixels by which the drawn outline may be wrong. Raise UsageError where too little or too much is near.
    """
    share = float((drawn > 127).mean())
    if not LEAST_SHARE <= share <= LARGEST_SHARE:
        raise UsageError(
            f"{100 * share:.1f} % of the picture are near, which is too {'little' if share < LEAST_SHARE else 'much'}",
            hint=f"Draw between {100 * LEAST_SHARE:g} and {100 * LARGEST_SHARE:g} %",
        )
    alpha = _shares(still, _outlined(still, drawn > 127, soft))
    rim = max(_RIM, round(soft / 2))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * rim + 1, 2 * rim + 1))
    hidden = np.asarray(cv2.dilate((alpha > 0).astype(np.uint8), disc) > 0)
    if hidden.mean() > MOST:
        raise UsageError("too much of the picture is near to say what lies behind it", hint="Draw less")
    (patches,) = complete(still, hidden, new=np.zeros, seed=seed).alternatives
    far = np.asarray(pasted(still, patches, np.zeros), np.uint8)
    colours = _own_colours(still, far, alpha)
    near = np.dstack([colours, np.rint(alpha * 255).astype(np.uint8)])
    return Cutout(near=np.ascontiguousarray(near), far=far, made_up=hidden)


def _outlined(still: Bytes, drawn: Mask, soft: float) -> Mask:
    """`drawn`, with its outline where it divides best, at most `soft` pixels from where it was drawn."""
    if soft < 1:
        return drawn
    inwards = cv2.distanceTransform(drawn.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    outwards = cv2.distanceTransform((~drawn).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    plane = np.where(drawn, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    plane[inwards > soft], plane[outwards > soft] = cv2.GC_FGD, cv2.GC_BGD
    rows, columns = _around(drawn, round(4 * soft) + 16)
    small, scale = _small(np.ascontiguousarray(still[rows, columns]))
    trimap = cv2.resize(plane[rows, columns], small.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    if not ((trimap == cv2.GC_FGD).any() and (trimap == cv2.GC_BGD).any()):
        return drawn
    cut = _cut(small, np.asarray(trimap, np.uint8)).astype(np.float32)
    if scale < 1:
        cut = cv2.resize(cut, (columns.stop - columns.start, rows.stop - rows.start), interpolation=cv2.INTER_LINEAR)
    found = drawn.copy()
    # Grain frays what is cut; nobody draws so.
    found[rows, columns] = cv2.GaussianBlur(cut, (0, 0), max(1.0, _SMOOTH * soft)) > 0.5
    return found


def _cut(small: Bytes, trimap: Bytes) -> Mask:
    # The mixtures begin with random numbers of this thread's generator.
    cv2.setRNGSeed(_SEED)
    colour = np.ascontiguousarray(small)
    background, foreground = (np.zeros((1, 65), np.float64) for _ in range(2))
    found, *_ = cv2.grabCut(colour, trimap, None, background, foreground, _ROUNDS, cv2.GC_INIT_WITH_MASK)
    return np.asarray((found == cv2.GC_FGD) | (found == cv2.GC_PR_FGD))


def _small(still: Bytes) -> tuple[Bytes, float]:
    scale = min(1.0, _CUT_EDGE / max(still.shape[:2]))
    if scale == 1:
        return still, 1.0
    size = (max(1, round(still.shape[1] * scale)), max(1, round(still.shape[0] * scale)))
    return np.asarray(cv2.resize(still, size, interpolation=cv2.INTER_AREA), np.uint8), scale


def _around(mask: Mask, margin: int) -> tuple[slice, slice]:
    sides = [np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0)]
    rows, columns = (
        slice(max(int(side[0]) - margin, 0), min(int(side[-1]) + 1 + margin, length))
        for side, length in zip(sides, mask.shape, strict=True)
    )
    return rows, columns


def _shares(still: Bytes, inside: Mask) -> Floats:
    """How much of each pixel is near, 0..1: a guided filter of the outline, its weakest ends cut off."""
    alpha = inside.astype(np.float32)
    rows, columns = _around(inside, 4 * _FINE + 2)
    guide = cv2.cvtColor(still[rows, columns], cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    part = alpha[rows, columns]
    size = (2 * _FINE + 1, 2 * _FINE + 1)

    def mean(plane: NDArray[np.floating[Any]]) -> Floats:
        return np.asarray(cv2.blur(plane, size, borderType=cv2.BORDER_REPLICATE), np.float32)

    light, held = mean(guide), mean(part)
    slope = (mean(guide * part) - light * held) / (mean(guide * guide) - light * light + np.float32(_EVEN))
    made = mean(slope) * guide + mean(held - slope * light)
    alpha[rows, columns] = np.clip((made - 0.1) / 0.8, 0, 1)
    return alpha


def _own_colours(still: Bytes, far: Bytes, alpha: Floats) -> Bytes:
    """What is near without what shines through at its outline; beyond it, more of the same: uint8 (h, w, 3)."""
    rows, columns = _around(alpha > 0, 2 * _COLOURS[0])
    seen, behind = (plane[rows, columns].astype(np.float32) for plane in (still, far))
    share = alpha[rows, columns][..., None]
    own = seen
    for radius in _COLOURS:
        size = (2 * radius + 1, 2 * radius + 1)
        weight = cv2.blur(share, size, borderType=cv2.BORDER_REPLICATE)[..., None]
        around = cv2.blur(own * share, size, borderType=cv2.BORDER_REPLICATE) / np.maximum(weight, 1e-5)
        own = np.clip(around + share * (seen - share * around - (1 - share) * behind), 0, 255)
    made = still.copy()
    made[rows, columns] = np.where(share >= 1, still[rows, columns], np.rint(own).astype(np.uint8))
    return made
