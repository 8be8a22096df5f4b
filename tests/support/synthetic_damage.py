"""Synthetic damage over a clean photograph, with its ground truth, for tests and benchmarks.

Four kinds: scratches (long and short), hairs, dust, creases (with cracks). Partial opacity, the blur of a
scan and its grain are simulated, so that the damage is not conveniently easy. Seeded; never used at run time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]
Mask = NDArray[np.bool_]

KINDS = ("scratch", "hair", "dust", "crease")
VISIBLE = 0.03
"""A pixel belongs to the ground truth when damage changed its luma by at least this much (about 8 of 255):
less is below the grain of every photograph here, and nobody could mark it."""
_SUB = 4  # supersampling of the drawn shapes: 1 px = 4 sub-pixels of cv2's fixed-point drawing
_SHIFT = 6


@dataclass(frozen=True, kw_only=True)
class DamagedPicture:
    """A damaged picture and where it was damaged."""

    picture: NDArray[np.float32]
    """Same shape as the clean one, float32 in [0, 1]."""
    masks: Mapping[str, Mask]
    """Ground truth by kind (`scratch`, `hair`, `dust`, `crease`), bool (H, W)."""
    brighter: Mask
    """Where the damage is lighter than the clean picture, bool (H, W)."""

    @property
    def truth(self) -> Mask:
        """All kinds together."""
        return np.logical_or.reduce(list(self.masks.values()))


def luma_of(picture: NDArray[np.float32]) -> Plane:
    """Rec. 709 luma of RGB, or the plane itself; float32 (H, W)."""
    if picture.ndim == 2:
        return picture
    return np.asarray(picture[..., :3] @ np.array([0.2126, 0.7152, 0.0722], np.float32), np.float32)


def _wander(
    rng: np.random.Generator, start: NDArray[np.float64], angle: float, length: float, bend: float, drift: float
) -> NDArray[np.float64]:
    """A path of 1 px steps from `start`; `bend` is a constant curvature, `drift` its random walk (rad/px)."""
    steps = max(int(length), 2)
    curvature = bend + np.cumsum(rng.normal(0.0, drift, steps))
    heading = angle + np.cumsum(curvature)
    moves = np.stack([np.cos(heading), np.sin(heading)], axis=1)
    return np.concatenate([start[None], start[None] + np.cumsum(moves, axis=0)])


def _smooth_noise(rng: np.random.Generator, count: int, period: float) -> NDArray[np.float64]:
    """1-D noise in [0, 1] that varies over about `period` samples."""
    knots = rng.random(max(int(count / period) + 3, 4))
    at = np.linspace(0, len(knots) - 1.001, count)
    low = at.astype(int)
    t = at - low
    t = t * t * (3 - 2 * t)
    return np.asarray(knots[low] * (1 - t) + knots[low + 1] * t)


class _Canvas:
    """The picture while it is being damaged."""

    def __init__(self, picture: NDArray[np.float32], rng: np.random.Generator) -> None:
        self.picture = picture.astype(np.float32).copy()
        self.rng = rng
        self.height, self.width = picture.shape[:2]
        self.luma = luma_of(self.picture).copy()
        fine = self.luma - cv2.GaussianBlur(self.luma, (0, 0), 1.5)
        self.grain = float(np.median(np.abs(fine)) * 1.4826)
        self.blur = float(rng.uniform(0.5, 1.0))  # of the one scanner that saw all the damage
        self.white = np.percentile(self.picture, 99.8, axis=(0, 1)).astype(np.float32)
        self.black = np.percentile(self.picture, 0.2, axis=(0, 1)).astype(np.float32)

    def tone(self, bright: bool) -> NDArray[np.float32]:
        """Emulsion lost to the paper or a clear negative; dirt, or a hair's shadow: not always pure."""
        depth = np.float32(self.rng.uniform(0.0, 0.22))
        span = (self.white - self.black) * depth
        return np.asarray(self.white + 0.03 - span if bright else self.black - 0.03 + span, np.float32)

    def stroke(self, path: NDArray[np.float64], widths: NDArray[np.float64], opacity: NDArray[np.float64]) -> Plane:
        """Coverage of a stroke times its opacity, float32 (H, W) in [0, 1]."""
        pad = 8
        lo = np.floor(path.min(0)).astype(int) - pad
        hi = np.ceil(path.max(0)).astype(int) + pad
        lo, hi = np.maximum(lo, 0), np.minimum(hi, [self.width, self.height])
        out = np.zeros((self.height, self.width), np.float32)
        if (hi <= lo).any():
            return out
        size = (hi - lo)[::-1] * _SUB
        fine = np.zeros((int(size[0]), int(size[1])), np.float32)
        points = np.round((path - lo) * _SUB).astype(np.int32)
        for k in range(len(points) - 1):
            cv2.line(
                fine,
                points[k].tolist(),
                points[k + 1].tolist(),
                float(opacity[k]),
                max(1, round(float(widths[k]) * _SUB)),
                cv2.LINE_8,
            )
        small = cv2.resize(fine, ((hi - lo)[0].item(), (hi - lo)[1].item()), interpolation=cv2.INTER_AREA)
        out[lo[1] : hi[1], lo[0] : hi[0]] = small
        return out

    def lay(self, alpha: Plane, tone: NDArray[np.float32]) -> Mask:
        """Blend a tone with grain over the picture, blurred as by the scanner; return what visibly changed."""
        alpha = cv2.GaussianBlur(alpha, (0, 0), self.blur)
        ys, xs = np.nonzero(alpha > 1e-3)
        if len(ys) == 0:
            return np.zeros((self.height, self.width), np.bool_)
        box = (slice(ys.min(), ys.max() + 1), slice(xs.min(), xs.max() + 1))
        a = alpha[box]
        grain = cv2.GaussianBlur(self.rng.normal(0, 1, a.shape).astype(np.float32), (0, 0), 0.7)
        before = luma_of(self.picture[box]).copy()  # of a gray picture it is a view
        if self.picture.ndim == 3:
            tint = 1 + self.rng.uniform(-0.015, 0.015, self.picture.shape[2]).astype(np.float32)
            a, grain, tone = a[..., None], grain[..., None], tone * tint
        mixed = self.picture[box] * (1 - a) + a * (tone + grain * self.grain)
        self.picture[box] = np.clip(mixed, 0, 1)
        changed = np.zeros((self.height, self.width), np.bool_)
        changed[box] = np.abs(luma_of(self.picture[box]) - before) >= VISIBLE
        return changed

    def point(self) -> NDArray[np.float64]:
        return self.rng.uniform([0, 0], [self.width, self.height])


def _scratch(c: _Canvas, unit: float) -> Mask:
    rng = c.rng
    vertical = rng.random() < 0.5
    angle = np.pi / 2 + rng.normal(0, 0.06) if vertical else rng.uniform(0, np.pi)
    length = rng.uniform(0.08, 0.9) ** 1.3 * c.height
    path = _wander(rng, c.point(), angle, length, rng.normal(0, 0.0006), 2e-5)
    n = len(path)
    strength = rng.uniform(0.3, 0.95) * (0.55 + 0.45 * _smooth_noise(rng, n, 60))
    strength *= _smooth_noise(rng, n, 25) > rng.uniform(0.0, 0.25)  # the tool skips here and there
    strength *= np.minimum(1, np.minimum(np.arange(n), np.arange(n)[::-1]) / 12)
    widths = rng.uniform(0.8, 2.4) * unit * (0.8 + 0.4 * _smooth_noise(rng, n, 40))
    return c.lay(c.stroke(path, widths, strength), c.tone(bool(rng.random() < 0.6)))


def _nick(c: _Canvas, unit: float) -> Mask:
    """A short scratch, of which an old print has many."""
    rng = c.rng
    path = _wander(
        rng, c.point(), rng.uniform(0, 2 * np.pi), (3 + rng.exponential(9)) * unit, rng.normal(0, 0.02) / unit, 1e-3
    )
    widths = np.full(len(path), rng.uniform(0.6, 1.8) * unit)
    strength = np.full(len(path), rng.uniform(0.25, 0.95))
    return c.lay(c.stroke(path, widths, strength), c.tone(bool(rng.random() < 0.7)))


def _hair(c: _Canvas, unit: float) -> Mask:
    rng = c.rng
    path = _wander(
        rng, c.point(), rng.uniform(0, 2 * np.pi), rng.uniform(30, 190) * unit, rng.normal(0, 0.02) / unit, 0.002 / unit
    )
    n = len(path)
    strength = rng.uniform(0.4, 0.95) * (0.8 + 0.2 * _smooth_noise(rng, n, 30))
    widths = np.full(n, rng.uniform(0.9, 2.4) * unit)
    return c.lay(c.stroke(path, widths, strength), c.tone(bool(rng.random() < 0.5)))


def _dust(c: _Canvas, unit: float) -> Mask:
    rng = c.rng
    radius = min(0.8 + rng.exponential(0.9), 4.0) * unit
    count = 14
    turn = np.linspace(0, 2 * np.pi, count, endpoint=False)
    rough = radius * (1 + 0.35 * rng.standard_normal(count).clip(-1.5, 1.5))
    stretch, tilt = rng.uniform(1, 1.9), rng.uniform(0, np.pi)
    shape = np.stack([rough * np.cos(turn) * stretch, rough * np.sin(turn)], 1)
    spin = np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]])
    outline = c.point() + shape @ spin.T
    lo = np.maximum(np.floor(outline.min(0)).astype(int) - 4, 0)
    hi = np.minimum(np.ceil(outline.max(0)).astype(int) + 4, [c.width, c.height])
    alpha = np.zeros((c.height, c.width), np.float32)
    if (hi <= lo).any():
        return alpha > 0
    fine = np.zeros((int(hi[1] - lo[1]) * _SUB, int(hi[0] - lo[0]) * _SUB), np.float32)
    cv2.fillPoly(fine, [np.round((outline - lo) * _SUB).astype(np.int32)], float(rng.uniform(0.45, 1.0)))
    small = cv2.resize(fine, (int(hi[0] - lo[0]), int(hi[1] - lo[1])), interpolation=cv2.INTER_AREA)
    alpha[lo[1] : hi[1], lo[0] : hi[0]] = small
    return c.lay(alpha, c.tone(bool(rng.random() < 0.6)))


def _crease(c: _Canvas, unit: float) -> Mask:
    """A fold: one flank lit, one in shade, and emulsion lost in flakes along the ridge."""
    rng = c.rng
    angle = rng.uniform(0, np.pi)
    path = _wander(rng, c.point(), angle, rng.uniform(0.2, 0.8) * c.height, rng.normal(0, 0.0004), 5e-5)
    n = len(path)
    normal = np.stack([-np.gradient(path[:, 1]), np.gradient(path[:, 0])], 1)
    width = rng.uniform(1.6, 3.6) * unit
    fade = np.minimum(1, np.minimum(np.arange(n), np.arange(n)[::-1]) / 20)
    lit = rng.uniform(0.12, 0.35) * (0.6 + 0.4 * _smooth_noise(rng, n, 50)) * fade
    shade = rng.uniform(0.12, 0.35) * (0.6 + 0.4 * _smooth_noise(rng, n, 50)) * fade
    jitter = normal * (rng.normal(0, 0.5, (n, 1)) * unit)
    mask = c.lay(c.stroke(path + normal * width * 0.6, np.full(n, width), lit), c.tone(True))
    mask |= c.lay(c.stroke(path - normal * width * 0.6, np.full(n, width), shade), c.tone(False))
    flakes = (_smooth_noise(rng, n, 9) > rng.uniform(0.25, 0.6)) * rng.uniform(0.7, 1.0)
    widths = width * (0.35 + 0.9 * _smooth_noise(rng, n, 6))
    mask |= c.lay(c.stroke(path + jitter, widths, flakes), c.tone(True))
    return mask


def _crack(c: _Canvas, unit: float) -> Mask:
    """A jagged tear of the emulsion, wider here and narrower there, down to the white of the paper."""
    rng = c.rng
    path, angle, at = [], rng.uniform(0, 2 * np.pi), c.point()
    for _ in range(int(rng.integers(2, 7))):
        leg = _wander(rng, at, angle + rng.normal(0, 0.7), rng.uniform(6, 40) * unit, rng.normal(0, 0.02) / unit, 2e-3)
        path.append(leg)
        at = leg[-1]
    line = np.concatenate(path)
    n = len(line)
    widths = rng.uniform(0.8, 2.6) * unit * (0.3 + 1.5 * _smooth_noise(rng, n, 14))
    strength = rng.uniform(0.6, 1.0) * (0.7 + 0.3 * _smooth_noise(rng, n, 10))
    return c.lay(c.stroke(line, widths, strength), c.tone(bool(rng.random() < 0.8)))


def damage(
    picture: NDArray[np.float32],
    seed: int,
    *,
    amount: float = 1.0,
    unit: float = 1.0,
    kinds: tuple[str, ...] = KINDS,
    jpeg: int | None = None,
) -> DamagedPicture:
    """Damage a clean picture.

    `picture`: float32 (H, W) or (H, W, C) in [0, 1]. `amount` scales the number of defects, which also grows
    with the area; `unit` scales their size in pixels (1 suits a scan about 1000 px wide). `jpeg` re-encodes the
    result at that quality (8-bit). Equal arguments give equal pictures.
    """
    rng = np.random.Generator(np.random.Philox(key=[seed, 0x5CA7C4]))
    c = _Canvas(picture, rng)
    area = c.height * c.width / (1024 * 768) / unit**2 * amount
    plan = {
        "crease": ((_crease, 1.4), (_crack, 2.5)),
        "scratch": ((_scratch, 8), (_nick, 35)),
        "hair": ((_hair, 7),),
        "dust": ((_dust, 90),),
    }
    masks: dict[str, Mask] = {}
    for kind in KINDS:
        masks[kind] = np.zeros((c.height, c.width), np.bool_)
        if kind in kinds:
            for make, rate in plan[kind]:
                for _ in range(max(1, int(rng.poisson(rate * area)))):
                    masks[kind] |= make(c, unit)
    out = c.picture
    if jpeg is not None:
        coded = np.round(out * 255).astype(np.uint8)
        _, data = cv2.imencode(".jpg", coded, [cv2.IMWRITE_JPEG_QUALITY, jpeg])
        out = cv2.imdecode(data, cv2.IMREAD_UNCHANGED).astype(np.float32) / 255
    return DamagedPicture(picture=out, masks=masks, brighter=luma_of(out) > c.luma)
