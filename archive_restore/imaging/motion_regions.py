"""Regions of a still that move: drawn by a person, or proposed from texture for a person to approve.

A proposal is never used by itself. Cues: fine texture whose edges run in all directions is foliage; texture whose
edges run level is water. Straight rigid edges, faces and print move with the trees if nobody keeps them out, so
they are cut out of every proposal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from archive_restore.imaging.motion import PRESETS, Moving
from archive_restore.imaging.regions import polygon_mask
from archive_restore.records.imagery import Region

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]

EDGE = 640
"""Longest edge of the picture that proposals look at."""
NEAR = "near"
"""The kind of a region that a camera passes faster than all others."""
_WRONG = 0.005  # by which the outline of what is near may be drawn wrong, share of the width
_BINS = 12
_LEAST_AREA = 0.004  # share of the picture
_MOST = 8  # proposals
_FINE = 0.02  # least contrast of a texture, share of full scale
_MIXED = 0.93  # entropy of edge directions from which they are called all directions, share of the greatest
_STRAIGHT = 22  # least length of a straight edge, pixels of the reduced picture


@dataclass(frozen=True, kw_only=True)
class Proposed:
    """A region that may move."""

    kind: str
    """Name of a preset."""
    polygon: tuple[tuple[float, float], ...]
    """Corners once around, x and y in pixels of the picture."""
    certainty: float
    """0..1, how clearly the cues speak."""


def masks(document: Mapping[str, Any], size: tuple[int, int], amplitude: float) -> tuple[Moving, ...]:
    """What moves, of a document that fits `schemas/motion.schema.json`, over a picture of `size` (rows, columns).

    `amplitude`: root-mean-square displacement in pixels where a region says nothing else. Regions that `hold` are
    taken out of all others.
    """
    width = size[1]
    held = np.zeros(size, np.uint8)
    drawn = []
    for region in document["regions"]:
        soft = float(region.get("soft", 0.01 * width))
        plane = _drawn(region, size)
        if region["kind"] == "hold":
            held = np.maximum(held, _feathered(plane, soft, outwards=True))
        elif region["kind"] != NEAR:
            drawn.append((region, _feathered(plane, soft, outwards=False)))
    moving = []
    for region, plane in drawn:
        share = float(region.get("strength", 1.0))
        mask = np.asarray(plane.astype(np.uint16) * (255 - held) // 255, np.uint8)
        moving.append(Moving(spectrum=PRESETS[region["kind"]], mask=mask, amplitude=amplitude * share))
    return tuple(moving)


def near_regions(document: Mapping[str, Any], size: tuple[int, int]) -> tuple[Bytes, float]:
    """How near a camera each pixel is, uint8 (h, w), 255 the nearest and 0 what is far; and how wrong outlines may be.

    `document` and `size` as for `masks`; a region's strength says how near it is.
    """
    plane, wrong = np.zeros(size, np.uint8), 0.0
    for region in document["regions"]:
        if region["kind"] == NEAR:
            share = min(float(region.get("strength", 1.0)), 1.0)
            plane = np.maximum(plane, np.where(_drawn(region, size) > 0, np.uint8(round(255 * share)), np.uint8(0)))
            wrong = max(wrong, float(region.get("soft", _WRONG * size[1])))
    return plane, wrong


def bump(focus: Region, size: tuple[int, int], ramp: float) -> Bytes:
    """A place of a picture of `size` (rows, columns) that falls off softly over `ramp` pixels: uint8 (h, w)."""
    y, x = (np.arange(length, dtype=np.float32) for length in size)
    down = np.maximum(np.maximum(focus.top - y, y - focus.bottom + 1), 0)
    across = np.maximum(np.maximum(focus.left - x, x - focus.right + 1), 0)
    share = 1 - np.clip(np.hypot(down[:, None], across[None]) / np.float32(ramp), 0, 1)
    return np.asarray(np.rint(255 * share * share * (3 - 2 * share)), np.uint8)


def _drawn(region: Mapping[str, Any], size: tuple[int, int]) -> Bytes:
    height, width = size
    if "polygon" in region:
        return np.asarray(polygon_mask([region["polygon"]], height, width), np.uint8) * np.uint8(255)
    plane = np.zeros(size, np.uint8)
    radius = float(region["radius"])
    far = 2 * (height + width)
    places = np.clip(np.array(region["stroke"], np.float64), -far, far)
    points = np.rint(places * 16).astype(np.int32)
    cv2.polylines(plane, [points], False, 255, max(1, round(2 * radius)), cv2.LINE_8, 4)
    return plane


def _feathered(plane: Bytes, soft: float, *, outwards: bool) -> Bytes:
    """A ramp of `soft` pixels at the border of a drawn region, inside of it or outside of it."""
    if soft < 1:
        return plane
    if outwards:
        away = cv2.distanceTransform(255 - plane, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        share = 1 - np.clip(away / soft, 0, 1)
    else:
        # The frame's edge is no border of a region: what moves there moves out of the picture.
        padded = cv2.copyMakeBorder(plane, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
        share = np.clip(cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1] / soft, 0, 1)
    return np.asarray(np.rint(255 * share * share * (3 - 2 * share)), np.uint8)


def propose(luma: Floats, keep_out: Sequence[Region] = ()) -> tuple[Proposed, ...]:
    """Regions that look as if they moved, the clearest first.

    `luma`: float32 (h, w) in [0, 1]; `keep_out`: rectangles of the picture that never move, such as faces.
    """
    scale = min(1.0, EDGE / max(luma.shape))
    small = cv2.resize(luma, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    small = np.asarray(cv2.GaussianBlur(small, (0, 0), 0.8), np.float32)
    fine, mixed, level = _texture(small)
    rigid = _rigid(small)
    for region in keep_out:
        part = np.array([region.left, region.top, region.right, region.bottom]) * scale
        left, top, right, bottom = (int(v) for v in np.rint(part))
        margin = max(4, (right - left) // 4)
        rigid[max(top - margin, 0) : bottom + margin, max(left - margin, 0) : right + margin] = True
    found = []
    foliage = np.clip((fine - _FINE) / _FINE, 0, 1) * np.clip((mixed - _MIXED) / (1 - _MIXED) * 2, 0, 1)
    water = np.clip((0.35 * fine / _FINE), 0, 1) * np.clip((level - 0.55) / 0.2, 0, 1) * (fine < 3 * _FINE)
    for kind, clear in (("foliage", foliage), ("water", water * _below(small))):
        for polygon, certainty in _outlines((clear > 0.3) & ~rigid, clear):
            corners = tuple((float(x / scale), float(y / scale)) for x, y in polygon)
            found.append(Proposed(kind=kind, polygon=corners, certainty=round(certainty, 2)))
    return tuple(sorted(found, key=lambda one: -one.certainty)[:_MOST])


_COLOURS = {"foliage": (40, 200, 60), "water": (40, 130, 230)}


def outlined(samples: Bytes, proposed: Sequence[Proposed]) -> Bytes:
    """The picture, uint8 (h, w, 3) RGB, with every proposal over it, its number at its first corner."""
    shown = samples.copy()
    width = max(1, round(max(samples.shape) / 500))
    for number, region in enumerate(proposed, 1):
        points = np.rint(np.array(region.polygon)).astype(np.int32)
        over = shown.copy()
        cv2.fillPoly(over, [points], _COLOURS[region.kind])
        shown = cv2.addWeighted(over, 0.35, shown, 0.65, 0)
        cv2.polylines(shown, [points], True, _COLOURS[region.kind], 2 * width)
        where = (int(points[0][0]), int(points[0][1]))
        cv2.putText(shown, str(number), where, cv2.FONT_HERSHEY_SIMPLEX, 0.6 * width, (255, 255, 255), 2 * width)
    return np.asarray(shown, np.uint8)


def _texture(small: Floats) -> tuple[Floats, Floats, Floats]:
    """Contrast of fine texture; how evenly its edges run in all directions; share of edges that run level."""
    high = small - cv2.GaussianBlur(small, (0, 0), 4)
    fine = np.sqrt(cv2.GaussianBlur(high * high, (0, 0), 8))
    gx = cv2.Scharr(small, cv2.CV_32F, 1, 0) / 32
    gy = cv2.Scharr(small, cv2.CV_32F, 0, 1) / 32
    size = np.sqrt(gx * gx + gy * gy)
    turn = (np.arctan2(gy, gx) % np.pi) / np.pi * _BINS
    low = np.floor(turn).astype(int) % _BINS
    share = turn - np.floor(turn)
    planes = []
    for k in range(_BINS):
        weight = np.where(low == k, 1 - share, 0) + np.where((low + 1) % _BINS == k, share, 0)
        planes.append(cv2.GaussianBlur((size * weight).astype(np.float32), (0, 0), 10))
    stack = np.stack(planes)
    part = stack / np.maximum(stack.sum(axis=0), 1e-6)
    entropy = -(part * np.log(np.maximum(part, 1e-9))).sum(axis=0) / np.log(_BINS)
    up = _BINS // 2  # gradients that point up or down belong to level edges
    level = part[up] + part[up - 1] + part[(up + 1) % _BINS]
    return np.asarray(fine, np.float32), np.asarray(entropy, np.float32), np.asarray(level, np.float32)


def _rigid(small: Floats) -> NDArray[np.bool_]:
    """Around long straight edges: what people built."""
    coded = np.rint(np.clip(small, 0, 1) * 255).astype(np.uint8)
    edges = cv2.Canny(coded, 60, 140)
    lines = cv2.HoughLinesP(edges, 1, np.pi / 180, 18, minLineLength=_STRAIGHT, maxLineGap=2)
    drawn = np.zeros(small.shape, np.uint8)
    for x0, y0, x1, y1 in [] if lines is None else lines.reshape(-1, 4).tolist():
        # An edge on the raster of a texture is straight by chance; one of something built is straight for long.
        length = float(np.hypot(x1 - x0, y1 - y0))
        cv2.line(drawn, (x0, y0), (x1, y1), 1, 3 if length < 2 * _STRAIGHT else 9)
    dense = cv2.GaussianBlur(drawn.astype(np.float32), (0, 0), 6)
    return np.asarray(cv2.dilate((dense > 0.45).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0)


def _below(small: Floats) -> Floats:
    """Weight of the lower part of the picture, where water lies: float32 (h, 1)."""
    share = np.linspace(0, 1, small.shape[0], dtype=np.float32)
    return np.asarray(np.clip((share - 0.35) / 0.15, 0, 1)[:, None], np.float32)


def _outlines(mask: NDArray[np.bool_], clear: Floats) -> list[tuple[NDArray[np.int32], float]]:
    """Outlines of the large parts of a mask, each with the mean of `clear` inside."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))
    plane = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, disc)
    plane = cv2.morphologyEx(plane, cv2.MORPH_CLOSE, disc)
    outlines, _ = cv2.findContours(plane, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    found = []
    for outline in outlines:
        if cv2.contourArea(outline) < _LEAST_AREA * mask.size:
            continue
        simple = cv2.approxPolyDP(outline, 3.0, True).reshape(-1, 2)
        if len(simple) < 3:
            continue
        inside = np.zeros(mask.shape, np.uint8)
        cv2.fillPoly(inside, [simple], 1)
        found.append((simple, float(clear[inside > 0].mean())))
    return found
