"""What the colour network learns from: photographs as film saw them, and hints read from the truth and spread.

Hints are spread by `imaging.hints`, as in use, or, since that takes long, by a cheap spreader of many kinds, so that
the network bears with errors of every kind.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from archive_restore.imaging import hints as used
from archive_restore.imaging.networks.colour import CHROMA, NEAR

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]

MOST = 50
"""Hints a picture."""
AS_USED = 0.25
"""Share of the pictures whose hints are spread as in use."""


def lab_of(picture: Floats) -> Floats:
    """L*/100, a*/110 and b*/110 (3, h, w) of sRGB (h, w, 3) in [0, 1]; CIELAB under D65."""
    lab = cv2.cvtColor(np.ascontiguousarray(picture, np.float32), cv2.COLOR_RGB2LAB)
    return np.asarray(lab.transpose(2, 0, 1) / np.array([100, CHROMA, CHROMA], np.float32)[:, None, None], np.float32)


def rgb_of(lightness: Floats, ab: Floats) -> Floats:
    """sRGB (h, w, 3) in [0, 1], clipped, of L*/100 (h, w) and a*/110, b*/110 (2, h, w)."""
    lab = np.stack([100 * lightness, CHROMA * ab[0], CHROMA * ab[1]], 2).astype(np.float32)
    return np.asarray(np.clip(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), 0, 1), np.float32)


def lightness_of(code: Floats) -> Floats:
    """L*/100 of sRGB-encoded gray in [0, 1]."""
    linear = np.where(code <= 0.04045, code / 12.92, ((np.maximum(code, 0) + 0.055) / 1.055) ** np.float32(2.4))
    root = np.where(linear > 216 / 24389, np.cbrt(linear), (24389 / 27 * linear + 16) / 116)
    return np.asarray(1.16 * root - 0.16, np.float32)


# --- hints ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Spreading:
    """How hints are carried to other pixels."""

    reach: float = 0.15
    """Deviation in space, share of the longest edge."""
    likeness: float = 0.10
    """Deviation in lightness, L*/100."""
    trusted: float = 1.0
    """Power of the trust: above 1 it falls sooner."""
    plateau: float = 1.0
    """Power of the distance: above 1 all that is rather near is trusted alike."""
    least: float = 0.0
    """Where the trust is below, nothing is told."""
    rough: bool = False
    """Compare the lightness as it is, not smoothed."""


@dataclass(frozen=True, kw_only=True)
class Hints:
    """Points whose colour is told."""

    rows: NDArray[np.intp]
    """(k,)"""
    columns: NDArray[np.intp]
    """(k,)"""
    colours: Floats
    """a*/110 and b*/110, (k, 2)."""


def hints_from(rng: np.random.Generator, ab: Floats, count: int) -> Hints:
    """`count` hints at random places of (2, h, w), each the mean of 3 x 3 pixels there."""
    height, width = ab.shape[1:]
    rows, columns = rng.integers(0, height, count), rng.integers(0, width, count)
    mean = [cv2.blur(plane, (3, 3)) for plane in ab]
    return Hints(rows=rows, columns=columns, colours=np.stack([p[rows, columns] for p in mean], 1).astype(np.float32))


def spread(lightness: Floats, hints: Hints, how: Spreading) -> Floats:
    """Hints carried to every pixel by a Gaussian of distance and lightness, normalized: a, b and trust, (3, h, w).

    `lightness`: (h, w). The trust is the weight of the hint that is nearest in both, 1 at the hint itself. Tomasi and
    Manduchi, "Bilateral filtering for gray and color images", ICCV 1998.
    """
    height, width = lightness.shape
    out = np.zeros((3, height, width), np.float32)
    if not len(hints.rows):
        return out
    smooth = lightness if how.rough else np.asarray(cv2.GaussianBlur(lightness, (0, 0), 1.0))
    unit = np.float32(1 / (math.sqrt(2) * how.reach * max(height, width)))
    down = np.square((np.arange(height)[None] - hints.rows[:, None]) * unit).astype(np.float32)
    along = np.square((np.arange(width)[None] - hints.columns[:, None]) * unit).astype(np.float32)
    own = smooth[hints.rows, hints.columns] / np.float32(math.sqrt(2) * how.likeness)
    off = np.square(smooth[None] / np.float32(math.sqrt(2) * how.likeness) - own[:, None, None])
    off += down[:, :, None]
    off += along[:, None, :]
    nearest = off.min(0)
    off -= nearest
    weights = np.exp(-off, out=off).reshape(len(off), -1)
    total = weights.sum(0)
    out[:2] = ((hints.colours.T @ weights) / total).reshape(2, height, width)
    out[2] = np.exp(-((np.float32(how.trusted) * nearest) ** np.float32(how.plateau)))
    out[2, hints.rows, hints.columns] = 1
    out[:2, hints.rows, hints.columns] = hints.colours.T
    if how.least:
        out *= out[2] >= how.least
    return out


def carried(lightness: Floats, hints: Hints) -> Floats:
    """Hints as `imaging.hints` spreads them, which is what the network meets in use: a, b and trust, (3, h, w)."""
    colours = CHROMA * hints.colours
    marks = [
        used.Mark(rows=np.array([row]), columns=np.array([column]), ab=(float(a), float(b)))
        for row, column, (a, b) in zip(hints.rows, hints.columns, colours, strict=True)
    ]
    made = used.spread(used.Seen(100 * lightness), marks)
    ab = np.clip(made.ab.transpose(2, 0, 1) / np.float32(CHROMA), -1, 1)
    return np.concatenate([ab, made.trust[None]]).astype(np.float32)


def some_spreading(rng: np.random.Generator) -> Spreading:
    """One of the many ways in which hints may be carried."""
    return Spreading(
        reach=math.exp(rng.uniform(math.log(0.05), math.log(0.35))),
        likeness=math.exp(rng.uniform(math.log(0.04), math.log(0.3))),
        trusted=math.exp(rng.uniform(math.log(0.15), math.log(3.0))),
        plateau=float(rng.choice([0.7, 1.0, 1.0, 2.0])),
        least=float(rng.choice([0.0, 0.0, 0.0, 0.02, 0.1])),
        rough=bool(rng.random() < 0.3),
    )


def some_count(rng: np.random.Generator) -> int:
    """None for one picture in four, else 1 to MOST, small numbers as often as large ones."""
    if rng.random() < 0.25:
        return 0
    return min(MOST, int(math.exp(rng.uniform(0, math.log(MOST + 1)))))


def told(rng: np.random.Generator, lightness: Floats, ab: Floats, count: int) -> Floats:
    """Hints as people give them, (3, h, w): points, and now and then a region that has a name; not always exact."""
    hints = hints_from(rng, ab, count)
    if count and rng.random() < 0.25:  # what people remember is a colour, not this colour
        off = rng.normal(0, 3 / CHROMA, hints.colours.shape) + hints.colours * rng.uniform(0.8, 1.25, (count, 1))
        hints = Hints(rows=hints.rows, columns=hints.columns, colours=np.clip(off, -1, 1).astype(np.float32))
    how = some_spreading(rng)
    out = carried(lightness, hints) if rng.random() < AS_USED else spread(lightness, hints, how)
    if count and rng.random() < 0.15:
        for k in range(min(count, 3)):
            colour = hints.colours[k][:, None, None]
            alike = (np.hypot(*(ab - colour)) < 0.8 * NEAR / CHROMA).astype(np.uint8)
            _, labels = cv2.connectedComponents(cv2.morphologyEx(alike, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)))
            label = labels[hints.rows[k], hints.columns[k]]
            if label:
                out[:, labels == label] = np.append(hints.colours[k], np.float32(1))[:, None]
    return out


# --- pictures ------------------------------------------------------------------------------------------


def viewed(rng: np.random.Generator, example: Bytes, size: int) -> Floats:
    """A part of (3, h, w) uint8, between `size` pixels and all of it, in `size` pixels; float32 (size, size, 3)."""
    whole = min(example.shape[1:])
    edge = min(whole, round(math.exp(rng.uniform(math.log(size), math.log(max(whole, size + 1))))))
    top, left = (int(rng.integers(whole - edge + 1)) for _ in range(2))
    part = np.ascontiguousarray(example[:, top : top + edge, left : left + edge].transpose(1, 2, 0))
    if edge != size:
        part = cv2.resize(part, (size, size), interpolation=cv2.INTER_AREA)
    if rng.random() < 0.5:
        part = part[:, ::-1]
    return np.ascontiguousarray(part).astype(np.float32) / 255


def relit(rng: np.random.Generator, picture: Floats) -> Floats:
    """Another light, exposure and saturation; (h, w, 3) in [0, 1]."""
    out = picture ** np.float32(math.exp(rng.normal(0, 0.15)))
    out = out * np.exp(rng.normal(0, 0.04, 3) + rng.normal(0, 0.08)).astype(np.float32)
    gray = out @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    out = gray[..., None] + (out - gray[..., None]) * np.float32(math.exp(rng.normal(0, 0.15)))
    return np.asarray(np.clip(out, 0, 1), np.float32)


def filmed(rng: np.random.Generator, picture: Floats, lightness: Floats) -> Floats:
    """L*/100 as some emulsion, paper and scanner give it, (h, w), of a picture (h, w, 3) whose lightness is given."""
    out = lightness
    if rng.random() < 0.5:
        out = lightness_of(picture @ rng.dirichlet([1.5, 3.0, 1.2]).astype(np.float32))
    if rng.random() < 0.5:  # a curve with a toe and a shoulder, and what fading leaves of it
        steep = rng.uniform(0.5, 4.0)
        middle = rng.uniform(0.35, 0.65)
        curve = np.tanh(steep * (out - middle)) / np.tanh(steep * max(middle, 1 - middle))
        out = middle + curve * max(middle, 1 - middle)
        black, white = rng.uniform(0, 0.12), rng.uniform(0.85, 1.0)
        out = black + (white - black) * np.clip(out, 0, 1)
    if rng.random() < 0.3:
        out = cv2.GaussianBlur(out.astype(np.float32), (0, 0), rng.uniform(0.4, 1.4))
    if rng.random() < 0.4:
        grain = rng.standard_normal(out.shape, np.float32)
        if rng.random() < 0.5:
            grain = 1.8 * cv2.GaussianBlur(grain, (0, 0), 0.7)
        out = out + np.float32(math.exp(rng.uniform(math.log(0.004), math.log(0.04)))) * grain
    return np.asarray(np.clip(out, 0, 1), np.float32)


def turned_hue(rng: np.random.Generator, ab: Floats) -> Floats:
    """All colours turned to others, (2, h, w): what only hints can tell."""
    angle, size = rng.uniform(0, 2 * math.pi), rng.uniform(0.6, 1.2)
    turn = size * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return np.asarray(np.clip(np.tensordot(turn.astype(np.float32), ab, 1), -1, 1), np.float32)


def learnt(rng: np.random.Generator, example: Bytes, size: int) -> Floats:
    """One example to learn from, of RGB (3, h, w): lightness, hint and trust, and the true ab; (6, size, size)."""
    picture = relit(rng, viewed(rng, example, size))
    lab = lab_of(picture)
    count, ab = some_count(rng), lab[1:]
    if count >= 3 and rng.random() < 0.2:
        ab = turned_hue(rng, ab)
    lightness = filmed(rng, picture, lab[0])
    return np.concatenate([lightness[None], told(rng, lightness, ab, count), ab])


def asked(rng: np.random.Generator, picture: Bytes, count: int) -> Floats:
    """One example to be measured on, of RGB (h, w, 3), with `count` true hints spread as in use; as `learnt`."""
    lab = lab_of(picture.astype(np.float32) / 255)
    return np.concatenate([lab[:1], carried(lab[0], hints_from(rng, lab[1:], count)), lab[1:]])


def error(ab: Floats, truth: Floats) -> Floats:
    """Distance of colours (..., 2, h, w) in units of CIELAB, (..., h, w)."""
    return np.asarray(CHROMA * np.hypot(ab[..., 0, :, :] - truth[..., 0, :, :], ab[..., 1, :, :] - truth[..., 1, :, :]))


COUNTS: Sequence[int] = (0, 1, 5, 10, 50)
"""Hints with which the network is measured."""
