"""What the colour network learns from: photographs as film saw them, and hints read from the truth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from archive_restore.imaging import belonging
from archive_restore.imaging import hints as used
from archive_restore.imaging.networks.colour import CHROMA

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]

MOST = 50
"""Hints a picture."""


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


def carried(lightness: Floats, hints: Hints) -> used.Spread:
    """Hints as `imaging.hints` spreads them over L*/100 (h, w)."""
    colours = CHROMA * hints.colours
    marks = [
        used.Mark(rows=np.array([row]), columns=np.array([column]), ab=(float(a), float(b)))
        for row, column, (a, b) in zip(hints.rows, hints.columns, colours, strict=True)
    ]
    return used.spread(used.Seen(100 * lightness), marks)


def some_count(rng: np.random.Generator) -> int:
    """None for one picture in twenty, else 1 to MOST, small numbers as often as large ones."""
    if rng.random() < 0.05:
        return 0
    return min(MOST, int(math.exp(rng.uniform(0, math.log(MOST + 1)))))


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


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A photograph without its colour, hints of it, and the truth."""

    planes: Floats
    """(4, h, w) as the network is given."""
    ab: Floats
    """(2, h, w)"""
    given: Hints
    turned: bool = False
    """No lightness tells these colours."""
    guessed: bool = True
    """Whether the hints put a guess right; else they stand alone."""


def traits(lightness: Floats) -> Floats:
    """What the network is given of L*/100 (h, w): (4, h, w)."""
    return belonging.traits(used.Seen(100 * lightness))


def learnt(rng: np.random.Generator, example: Bytes, size: int) -> Asked:
    """One example to learn from, of RGB (3, h, w)."""
    picture = relit(rng, viewed(rng, example, size))
    lab = lab_of(picture)
    count, ab = some_count(rng), lab[1:]
    turned = count >= 2 and rng.random() < 0.2
    if turned:
        ab = turned_hue(rng, ab)
    lightness = filmed(rng, picture, lab[0]) if rng.random() < 0.6 else lab[0]
    given = hints_from(rng, ab, count)
    if count and rng.random() < 0.2:  # what people remember is a colour, not this colour
        off = rng.normal(0, 3 / CHROMA, given.colours.shape) + given.colours * rng.uniform(0.8, 1.25, (count, 1))
        given = replace(given, colours=np.clip(off, -1, 1).astype(np.float32))
    guessed = not turned and bool(rng.random() < 0.7)
    return Asked(planes=traits(lightness), ab=ab, given=given, turned=turned, guessed=guessed)


def asked(rng: np.random.Generator, picture: Bytes, count: int) -> Asked:
    """One example to be measured on, of RGB (h, w, 3), with `count` true hints."""
    lab = lab_of(picture.astype(np.float32) / 255)
    return Asked(planes=traits(lab[0]), ab=lab[1:], given=hints_from(rng, lab[1:], count))


def error(ab: Floats, truth: Floats) -> Floats:
    """Distance of colours (..., 2, h, w) in units of CIELAB, (..., h, w)."""
    return np.asarray(CHROMA * np.hypot(ab[..., 0, :, :] - truth[..., 0, :, :], ab[..., 1, :, :] - truth[..., 1, :, :]))


COUNTS: Sequence[int] = (0, 1, 5, 10, 50)
"""Hints with which the network is measured."""
