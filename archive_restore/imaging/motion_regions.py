"""Regions of a still that move: drawn by a person, or proposed from texture for a person to approve.

A proposal is never used by itself, and none is better than a wrong one. Straight rigid edges, outlines, faces and print
move with the trees if nobody keeps them out, so they are cut out of every proposal.
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
Corners = NDArray[np.int32]

EDGE = 640
"""Longest edge of the picture that proposals look at."""
NEAR = "near"
"""The kind of a region that a camera passes faster than all others."""
_WRONG = 0.005  # by which the outline of what is near may be drawn wrong, share of the width
_BINS = 12
_MOST = 8  # proposals
_LEAST_PLANTS, _LEAST_WATER, _LEAST_CLOUDS = 0.02, 0.025, 0.02  # shares of the picture
_LEAST_SKY, _UPPER_EDGE = 0.1, 0.6  # shares of the picture, and of its upper edge
_LEAST_HOLE = 0.001  # share of the picture
_LEAST_WIDTH = 0.25  # of water, share of the picture's width
_STRAIGHT, _LONG = 18, 34  # straight edges that count, and such as nothing grows, pixels of the reduced picture
_SOFT_SKY = 0.024  # contrast
_PLAIN = 0.01  # contrast
_BAND = 24  # rows of a mirror image that say anything
_MIRRORED = 0.35  # correlation of it
_HARD = 0.03  # gradient of an edge that is no ripple, share of full scale a pixel


@dataclass(frozen=True, kw_only=True)
class Proposed:
    """A region that may move, or a hole in one."""

    kind: str
    """Name of a preset, or `hold`."""
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
            drawn.append((region, plane, soft))
    moving = []
    for index, (region, _, _) in enumerate(drawn):
        plane = _beside([one for _, one, _ in drawn], index, drawn[index][2])
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


def _beside(planes: Sequence[Bytes], index: int, soft: float) -> Bytes:
    """A region with a ramp at its border, but where another touches it: there one motion fades into the other.

    Two ramps down to rest, side by side, would leave a line between trees and meadow that stands still.
    """
    mine = planes[index]
    near = cv2.dilate(mine, np.ones((3, 3), np.uint8))
    others = [other for n, other in enumerate(planes) if n != index and (other & near).any()]
    if soft < 1 or not others:
        return _feathered(mine, soft, outwards=False)
    whole = np.maximum.reduce([mine, *others])
    parts = [cv2.GaussianBlur(plane.astype(np.float32), (0, 0), soft / 2) for plane in (mine, *others)]
    share = parts[0] / np.maximum(np.sum(parts, axis=0), 1e-3)
    return np.asarray(np.rint(_feathered(whole, soft, outwards=False) * share), np.uint8)


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
    """Regions that look as if they moved, the clearest first; rather none than a wrong one.

    `luma`: float32 (h, w) in [0, 1]; `keep_out`: rectangles of the picture that never move, such as faces.

    1. a thing on a plain ground, in a studio or a catalogue, is in no wind
    2. plants: fine texture without direction, darker than most of the picture and without straight edges
    3. water: level bands below the sky, darker than it, without texture across them
    4. clouds and smoke: soft and light parts of what hangs together with the upper edge
    """
    scale = min(1.0, EDGE / max(luma.shape))
    small = np.asarray(cv2.resize(luma, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.float32)
    look = _look(small)
    if _on_plain_ground(look):
        return ()
    gradient = np.hypot(*_gradient(np.asarray(cv2.GaussianBlur(small, (0, 0), 0.8), np.float32)))
    built, hard = _rigid(small, gradient, 0.0), _rigid(small, gradient, _HARD)
    kept = np.zeros(small.shape, np.bool_)
    for region in keep_out:
        part = np.array([region.left, region.top, region.right, region.bottom]) * scale
        left, top, right, bottom = (int(v) for v in np.rint(part))
        margin = max(4, (right - left) // 4)
        kept[max(top - margin, 0) : bottom + margin, max(left - margin, 0) : right + margin] = True
    sky = _sky(look, built)
    found = []
    for kind, clear, never, least in (
        ("foliage", _plants(look), built, _LEAST_PLANTS),
        ("water", _water(look, sky), hard, _LEAST_WATER),
        ("smoke", _clouds(look, sky), built, _LEAST_CLOUDS),
    ):
        for outline, holes, inside in _outlines((clear > 0.5) & ~never & ~kept, least):
            told = _kind(kind, inside, small)
            if told:
                certainty = round(float(clear[inside].mean()), 2)
                parts = [(told, outline), *(("hold", hole) for hole in holes)]
                found.append([
                    Proposed(
                        kind=name, polygon=tuple((float(x / scale), float(y / scale)) for x, y in corners),
                        certainty=certainty,
                    )
                    for name, corners in parts
                ])  # fmt: skip
    clearest = sorted(found, key=lambda parts: -parts[0].certainty)[:_MOST]
    return tuple(part for parts in clearest for part in parts)


_COLOURS = {
    "foliage": (40, 200, 60),
    "grass": (170, 210, 40),
    "water": (40, 130, 230),
    "smoke": (230, 230, 230),
    "hold": (220, 60, 50),
}


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


@dataclass(frozen=True, kw_only=True)
class _Look:
    """What is measured at every pixel of the reduced picture, float32 (h, w)."""

    tone: Floats
    """Luma, 0..1, of its surroundings."""
    rank: Floats
    """Share of the picture that is darker than its surroundings."""
    fine: Floats
    """Contrast of fine texture, share of full scale."""
    here: Floats
    """The same of the nearest surroundings."""
    mixed: Floats
    """Entropy of edge directions, 1 where edges run in all directions alike."""
    level: Floats
    """Share of edges that run level."""
    across: Floats
    """Gradient across, relative to that down."""
    small: Floats
    """Gradient of small detail, relative to that of large."""
    ground: Floats
    """Spread of the lightest, or of the darkest, among near pixels, relative to contrast: 0 of ink on paper."""
    drawn: Floats
    """How far edges agree with their nearest surroundings: 0 of noise, 1 of lines and outlines."""


def _look(small: Floats) -> _Look:
    seen = np.asarray(cv2.GaussianBlur(small, (0, 0), 0.8), np.float32)
    high = seen - cv2.GaussianBlur(seen, (0, 0), 4)
    gx, gy = _gradient(seen)
    mixed, level = _directions(gx, gy)
    (fine_x, fine_y), (coarse_x, coarse_y) = (
        tuple(_spread(part, 10) for part in _gradient(cv2.GaussianBlur(seen, (0, 0), sigma))) for sigma in (1, 3)
    )
    tone = np.asarray(cv2.GaussianBlur(seen, (0, 0), 6), np.float32)
    order = np.searchsorted(np.sort(tone.ravel()), tone.ravel()) / tone.size
    tiny = np.float32(1e-4)
    return _Look(
        tone=tone,
        rank=np.asarray(order.reshape(tone.shape), np.float32),
        fine=_spread(high, 8),
        here=_spread(high, 3),
        mixed=mixed,
        level=level,
        across=np.asarray((fine_x + tiny) / (fine_y + tiny)),
        ground=_ground(seen, high),
        drawn=_coherence(gx, gy),
        small=np.asarray((np.hypot(fine_x, fine_y) + tiny) / (np.hypot(coarse_x, coarse_y) + tiny)),
    )


def _ground(seen: Floats, high: Floats) -> Floats:
    around = np.ones((9, 9), np.uint8)
    ends = (cv2.dilate(seen, around), cv2.erode(seen, around))
    spreads = [_spread(end - cv2.GaussianBlur(end, (0, 0), 8), 8) for end in ends]
    return np.asarray(np.minimum(*spreads) / (_spread(high, 8) + np.float32(1e-4)), np.float32)


def _coherence(gx: Floats, gy: Floats) -> Floats:
    """Of the structure tensor over three pixels, the strong edges counting most."""
    xx, yy, xy = (cv2.GaussianBlur(part, (0, 0), 3) for part in (gx * gx, gy * gy, gx * gy))
    apart = cv2.GaussianBlur(np.sqrt((xx - yy) ** 2 + 4 * xy * xy), (0, 0), 10)
    return np.asarray(apart / (cv2.GaussianBlur(xx + yy, (0, 0), 10) + np.float32(1e-9)), np.float32)


def _gradient(plane: Any) -> tuple[Floats, Floats]:
    across, down = (cv2.Scharr(plane, cv2.CV_32F, *way) / 32 for way in ((1, 0), (0, 1)))
    return np.asarray(across, np.float32), np.asarray(down, np.float32)


def _spread(plane: Any, sigma: float) -> Floats:
    """Root of the mean square around every pixel."""
    return np.asarray(np.sqrt(cv2.GaussianBlur(plane * plane, (0, 0), sigma)), np.float32)


def _directions(gx: Floats, gy: Floats) -> tuple[Floats, Floats]:
    """How evenly edges run in all directions; share of edges that run level."""
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
    return np.asarray(entropy, np.float32), np.asarray(level, np.float32)


def _rises(plane: Floats, none: float, full: float) -> Floats:
    """0 at `none`, 1 at `full`, a line between."""
    return np.asarray(np.clip((plane - none) / (full - none), 0, 1), np.float32)


def _plants(look: _Look) -> Floats:
    """Leaves and blades: outlines of stones, animals and roofs go on for longer, grain has none, print has a ground."""
    clear = _rises(look.fine, 0.008, 0.014) * _rises(look.mixed, 0.92, 0.97) * _rises(look.small, 1.5, 1.9)
    outlines = _rises(look.drawn, 0.45, 0.37) * _rises(look.drawn, 0.2, 0.26) * _rises(look.ground, 0.08, 0.16)
    return np.asarray(clear * outlines * _rises(look.rank, 0.8, 0.6), np.float32)


def _water(look: _Look, sky: NDArray[np.bool_]) -> Floats:
    """Level bands; only under a sky, since floors and tables have them too."""
    if not sky.any():
        return np.zeros(look.tone.shape, np.float32)
    light = float(np.median(look.tone[sky]))
    clear = _rises(look.level, 0.25, 0.45) * _rises(look.across, 1.0, 0.75) * _rises(look.small, 2.4, 1.9)
    clear = clear * _rises(look.here, 0.04, 0.025) * _rises(look.tone, light - 0.1, light - 0.25)
    return np.asarray(clear * ~sky * _below(look.tone), np.float32)


def _clouds(look: _Look, sky: NDArray[np.bool_]) -> Floats:
    if not sky.any():
        return np.zeros(look.tone.shape, np.float32)
    # Lighter than a sky that grows lighter evenly towards the horizon.
    rows = np.arange(len(sky), dtype=np.float64)
    count = sky.sum(axis=1)
    known = count > 0.1 * sky.shape[1]
    if known.sum() < 16:
        return np.zeros(look.tone.shape, np.float32)
    dark = np.array([np.percentile(look.tone[row][sky[row]], 25) if known[row] else 0 for row in range(len(sky))])
    even = np.polyval(np.polyfit(rows[known], dark[known], 2), rows)[:, None]
    lighter = _rises(look.tone - even.astype(np.float32), 0.01, 0.05)
    return np.asarray(lighter * _rises(look.fine, 0.004, 0.008) * sky, np.float32)


def _sky(look: _Look, built: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What is soft and light, hangs together with most of the upper edge and has no straight edges; or nothing."""
    soft = ((look.fine < _SOFT_SKY) & (look.rank > 0.2)).astype(np.uint8)
    _, labels = cv2.connectedComponents(soft)
    found = np.isin(labels, np.unique(labels[0][soft[0] > 0])) & (soft > 0)
    if found.mean() < _LEAST_SKY or found[: len(found) // 12].any(axis=0).mean() < _UPPER_EDGE:
        return np.zeros(soft.shape, np.bool_)
    light = float(np.median(look.rank[found])) > 0.6 and float(np.median(look.tone[found])) > 0.4
    return found if light and built[found].mean() < 0.05 else np.zeros(soft.shape, np.bool_)


def _on_plain_ground(look: _Look) -> bool:
    """Whether left, right and upper edge show next to nothing."""
    depth = max(2, min(look.fine.shape) // 30)
    plain = look.fine < _PLAIN
    return all(float(edge.mean()) > 0.85 for edge in (plain[:, :depth], plain[:, -depth:], plain[:depth]))


def _rigid(small: Floats, gradient: Floats, least: float) -> NDArray[np.bool_]:
    """Around straight edges: what people built. Lines that are long, and many short ones beside each other.

    Edges with less than `least` of `gradient` are let pass: the faint level lines of water.
    """
    coded = np.rint(np.clip(small, 0, 1) * 255).astype(np.uint8)
    lines = cv2.createLineSegmentDetector(cv2.LSD_REFINE_STD).detect(coded)[0]
    drawn = np.zeros(small.shape, np.float32)
    beside = np.zeros(small.shape, np.uint8)
    for x0, y0, x1, y1 in [] if lines is None else lines.reshape(-1, 4).tolist():
        ends = (round(x0), round(y0)), (round(x1), round(y1))
        length = float(np.hypot(x1 - x0, y1 - y0))
        along = np.linspace((y0, x0), (y1, x1), 8).round().astype(int)
        rows, columns = (np.clip(along[:, axis], 0, size - 1) for axis, size in enumerate(small.shape))
        if float(gradient[rows, columns].mean()) < least:
            continue
        if length >= _STRAIGHT:
            cv2.line(drawn, *ends, 1.0, 1)
        if length >= _LONG:
            cv2.line(beside, *ends, 1, 1)
    # Pixels of straight edges per pixel of width: one that crosses the whole window gives about 0.04.
    dense = cv2.GaussianBlur(drawn, (0, 0), 10) > 0.03
    near = cv2.dilate(beside, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (13, 13))) > 0
    return np.asarray(dense | near)


def _below(small: Floats) -> Floats:
    """Weight of the lower part of the picture, where water lies: float32 (h, 1)."""
    share = np.linspace(0, 1, small.shape[0], dtype=np.float32)
    return np.asarray(np.clip((share - 0.35) / 0.15, 0, 1)[:, None], np.float32)


def _kind(kind: str, inside: NDArray[np.bool_], seen: Floats) -> str:
    """What an outlined part is after all; empty where it cannot be."""
    rows, columns = np.nonzero(inside)
    if kind == "water":
        wide = (columns.max() - columns.min() + 1) / inside.shape[1]
        return kind if wide >= _LEAST_WIDTH and _mirrors(inside, seen) else ""
    if kind == "foliage" and rows.mean() > 0.6 * len(inside):
        return "grass"
    return kind


def _mirrors(inside: NDArray[np.bool_], seen: Floats) -> bool:
    """Whether a surface shows, column for column, what stands behind it upside down: roads and sand do not."""
    # What changes across, without what changes over more than a tenth of the picture.
    wide = cv2.GaussianBlur(seen, (0, 0), sigmaX=40, sigmaY=1)
    changes = cv2.GaussianBlur(seen, (0, 0), 4) - cv2.GaussianBlur(wide, (0, 0), sigmaX=1, sigmaY=4)
    columns = np.flatnonzero(inside.any(axis=0))
    upper = int(np.percentile(inside[:, columns].argmax(axis=0), 20))
    depth = int(inside[:, columns].sum(axis=0).max())
    for line in range(max(upper - depth // 2, _BAND), upper + depth // 4, 2):
        size = min(line, depth, len(seen) - line)
        held = inside[line : line + size][:, columns]
        if size < _BAND or held.mean() < 0.2:
            continue
        above, below = (
            part[:, columns][held] for part in (changes[line - size : line][::-1], changes[line : line + size])
        )
        if min(float(above.std()), float(below.std())) > 1e-4 and np.corrcoef(above, below)[0, 1] > _MIRRORED:
            return True
    return False


def _outlines(mask: NDArray[np.bool_], least: float) -> list[tuple[Corners, list[Corners], NDArray[np.bool_]]]:
    """Outlines of the parts of a mask that take `least` of it, each with its holes and with what it holds."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))
    plane = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, disc)
    plane = cv2.morphologyEx(plane, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (13, 13)))
    outlines, tree = cv2.findContours(plane, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    simple = [cv2.approxPolyDP(outline, 3.0, True).reshape(-1, 2) for outline in outlines]
    found = []
    for index, outline in enumerate(outlines):
        if tree[0][index][3] >= 0 or len(simple[index]) < 3 or cv2.contourArea(outline) < least * mask.size:
            continue
        holes = [
            simple[other]
            for other, (_, _, _, parent) in enumerate(tree[0].tolist())
            if parent == index
            and len(simple[other]) >= 3
            and cv2.contourArea(outlines[other]) > _LEAST_HOLE * mask.size
        ]
        inside = np.zeros(mask.shape, np.uint8)
        cv2.fillPoly(inside, [simple[index]], 1)
        cv2.fillPoly(inside, holes, 0)
        found.append((simple[index], holes, inside > 0))
    return found
