"""Difference: what in a candidate departs from an aligned reference beyond what encoding, scale and grading explain.

A region says that pixels differ in a way that no global operation explains; it never says who changed them, or why.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from archive_restore.imaging.alignment import Grid, Mask, brought, reduced
from archive_restore.imaging.departures import departures, noise_of
from archive_restore.imaging.explanation import colour_share, explain, planes_of
from archive_restore.imaging.registration import Picture, Registration
from archive_restore.records.imagery import Region


@dataclass(frozen=True, kw_only=True)
class ChangedRegion:
    """A place that was changed."""

    region: Region
    """Rectangle around it in candidate pixels, rounded outwards."""
    share: float
    """Changed area as a share of the candidate's picture area, 0..1."""
    strength: float
    """Mean departure in units of what the encoding explains; 1 is the limit of what is explained."""
    colour_only: bool
    """Only colours differ, not luminance."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What departs, and what was done to the whole picture."""

    strength: npt.NDArray[np.uint8]
    """(h, w) of the candidate reduced by `scale`: 0 where all is explained, else the departure, 16 at the limit."""
    compared: npt.NDArray[np.bool_]
    """(h, w): where both pictures have pixels."""
    scale: float
    """Candidate pixels a pixel of `strength`."""
    regions: tuple[ChangedRegion, ...]
    """Largest first; empty where nothing was found."""
    mirrored: bool
    rotation: float
    """Degrees clockwise, -180..180."""
    resized: float
    """Candidate pixels a reference pixel."""
    shown: float
    """Share of the reference's area that the candidate shows; clearly below 1 is a crop."""
    bordered: bool
    """The candidate has an area beside the picture: letterbox, frame, screen."""
    grayscale: bool
    """The reference has colours and the candidate none."""
    tinted: bool
    """The reference has no colours and the candidate has."""
    graded: bool
    """Tones or colours were changed as a whole."""
    tone: tuple[tuple[int, int], ...]
    """The fitted curve as (reference, candidate) luminance codes 0..255."""
    detail: float
    """Gain of the finest detail on the grid that was compared: 1 is unchanged, less is softer, more is sharpened."""
    noise: float
    """What the encoding adds, as estimated: standard deviation in code values 0..255."""


STRENGTH_UNIT = 16
"""What stands in a map of strength where a departure reaches the limit of what is explained."""
_LONGEST = 800
"""Longest edge of the grid on which pictures are compared."""
_MARGIN = 3
"""Grid pixels along the edge of what both show that are not compared."""
_FIND = 1.0
"""Strength a region must reach somewhere."""
_GROW = 0.6
"""Strength down to which it extends."""
_COLOURS = 0.02
"""Share of pixels with colours of their own from which a reference has colours."""
_NO_COLOURS = 0.004
"""Share below which a candidate has none."""
_TINTED = 0.25
"""Share from which colours over a gray reference are those of the whole; less is a change somewhere."""
_HALO = 0.15
"""Share of a region's peak below which it is the blur of the measurement that reaches out."""
_JOIN = 7
"""Grid pixels within which places are one."""
_FEWEST = 12
"""Grid pixels a region has at least."""
_BORDER = 0.02
"""Share of the longest edge that is a border, not the rounding of a frame."""
_AREA = 0.0002
"""Smallest region, as a share of what both show."""


def difference(candidate: Picture, reference: Picture, registration: Registration) -> Difference:
    """Compare a candidate with what it was registered to.

    Both must be the arrays that `register` saw. Takes either as gray where the other is. Steps: 1 bring both onto one
    grid, 2 explain tones and sharpness, 3 measure what is left against what the encoding leaves elsewhere, 4 regions.
    """
    matrix = np.array(registration.matrix)
    coarser = max(1.0, registration.scale)
    longest = min(_LONGEST, max(candidate.shape[:2]) / coarser)
    grid = reduced(candidate, max(longest, 64))
    height, width = grid.image.shape[:2]
    warped, inside = brought(reference, matrix @ grid.to_picture, height, width)
    compared = _shrunk(inside & _content(registration.content, grid, height, width))
    ours, theirs = planes_of(grid.image), planes_of(warped)
    share, of_reference = colour_share(ours, compared), colour_share(theirs, compared)
    grayscale = of_reference > _COLOURS and share < _NO_COLOURS
    tinted = of_reference <= _COLOURS and share > _TINTED
    told = explain(ours, theirs, compared, chroma=ours.shape[2] == 3 and not (grayscale or tinted))
    luma, colour = departures(told, compared)
    strength = np.maximum(luma, colour)
    return Difference(
        strength=np.clip(strength * STRENGTH_UNIT, 0, 255).astype(np.uint8) * (strength >= _GROW).astype(np.uint8),
        compared=compared,
        scale=grid.scale,
        regions=_regions(strength, luma, compared, grid),
        mirrored=registration.mirrored,
        rotation=registration.rotation,
        resized=registration.scale,
        shown=registration.shown,
        bordered=_bordered(registration, candidate.shape[:2]),
        grayscale=grayscale,
        tinted=tinted,
        graded=told.graded,
        tone=told.tone,
        detail=told.detail,
        noise=noise_of(told, compared),
    )


def _content(content: Region, grid: Grid, height: int, width: int) -> Mask:
    """Where on the grid the candidate shows the reference."""
    back = np.linalg.inv(grid.to_picture)
    mask = np.zeros((height, width), bool)
    top, bottom = content.top * back[1, 1] + back[1, 2], (content.bottom - 1) * back[1, 1] + back[1, 2]
    left, right = content.left * back[0, 0] + back[0, 2], (content.right - 1) * back[0, 0] + back[0, 2]
    mask[max(0, int(np.ceil(top))) : int(bottom) + 1, max(0, int(np.ceil(left))) : int(right) + 1] = True
    return mask


def _shrunk(mask: Mask) -> Mask:
    import cv2

    kernel = np.ones((2 * _MARGIN + 1, 2 * _MARGIN + 1), np.uint8)
    return np.asarray(cv2.erode(mask.astype(np.uint8), kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0)


def _bordered(registration: Registration, shape: tuple[int, int]) -> bool:
    content = registration.content
    margins = (content.top, content.left, shape[0] - content.bottom, shape[1] - content.right)
    return max(margins) > _BORDER * max(shape)


def _regions(
    strength: npt.NDArray[np.float32], luma: npt.NDArray[np.float32], compared: Mask, grid: Grid
) -> tuple[ChangedRegion, ...]:
    """Connected places that reach the limit, with what surrounds them down to a lower one (hysteresis)."""
    import cv2

    grown = (strength >= _GROW).astype(np.uint8)
    joined = cv2.dilate(grown, np.ones((_JOIN, _JOIN), np.uint8))
    count, labels = cv2.connectedComponents(joined, connectivity=8)
    labels = np.where(grown > 0, labels, 0)
    whole = max(int(compared.sum()), 1)
    found = []
    for number in range(1, count):
        rows, columns = np.nonzero(labels == number)
        values = strength[rows, columns]
        if not len(values) or values.max() < _FIND or len(values) < max(_FEWEST, _AREA * whole):
            continue
        core = values >= _HALO * values.max()
        rows, columns, values = rows[core], columns[core], values[core]
        found.append(
            ChangedRegion(
                region=_box(rows, columns, grid),
                share=len(values) / whole,
                strength=float(values.mean()),
                colour_only=float(luma[rows, columns].max()) < _FIND,
            )
        )
    return tuple(sorted(found, key=lambda region: (-region.share, region.region.top, region.region.left)))


def _box(rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp], grid: Grid) -> Region:
    x, y = grid.to_picture[0, 0], grid.to_picture[1, 1]
    return Region(
        top=int(rows.min() * y), left=int(columns.min() * x),
        bottom=int(np.ceil((rows.max() + 1) * y)), right=int(np.ceil((columns.max() + 1) * x)),
    )  # fmt: skip
