"""Upper lids of the faces in a still, drawn down over the eye as far as a person asks.

Lids come from `faces.find_faces`. The lash line moves rigidly along the curves of the lids, the skin between it and the
brow is stretched, the eyeball below keeps its samples but for the lid's shadow. Must never touch a pixel without
saying so in the map: MOVED wherever anything changed, SYNTHESIZED as well where skin covers the eye, throws a shadow
or is drawn out.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from archive_restore.imaging.faces import Eye, Face
from archive_restore.imaging.flags import REACH, spread
from archive_restore.records.imagery import PixelFlag

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]

STRETCHED = 1.25
"""Magnification of skin from which what is between its pixels counts as made up."""

_LEAST = 1 / 64  # displacement below which a pixel stays, pixels
_MOVED = np.uint8(PixelFlag.MOVED)
_MADE_UP = np.uint8(PixelFlag.MOVED | PixelFlag.SYNTHESIZED)
_BROWS = {"right": (46, 53, 52, 65, 55), "left": (276, 283, 282, 295, 285)}
"""Lower edges of the brows in the mesh, from outside to the nose."""
_CHIN = 152
_REACH = 0.55  # beyond the corners and lids of an eye, widths of the eye
_LASHES = 0.05  # of the lash line above the lid's edge that moves rigidly, widths of the eye
_LEAST_SKIN = 0.2  # between lash line and brow, widths of the eye
_MOST_DRAWN = 0.75  # how far that skin is drawn out, share of its height
_OUTER = 0.2  # of the fall beyond the outer corner, widths of the eye
_SOFT = 0.06  # how softly the fall ends at both sides, widths of the eye
_LINE = 0.025  # half the height of a lash line, widths of the eye
_EDGE = 0.035  # over which the lid's edge fades into the eye, widths of the eye
_SHADE = 0.16  # reach of the shadow that the lid throws on the eye, widths of the eye
_DARKEST = 0.22  # of that shadow, share of the light


@dataclass(frozen=True, kw_only=True)
class Patch:
    """Part of the still as it looks in one frame."""

    top: int
    left: int
    samples: Bytes
    """(rows, columns, 3)."""
    flags: Bytes
    """(rows, columns), those of the still and what was done here."""


class Lid:
    """One eye of a still, that can be closed a little."""

    def __init__(self, still: Bytes, flags: Bytes, eye: Eye, brow: NDArray[np.float64], chin: NDArray[np.float64]):
        """`still`: uint8 (h, w, 3) RGB with its map, uint8 (h, w); `brow`: points (n, 2) of the brow's lower edge."""
        corners = np.array([eye.lower[0][:2], eye.lower[-1][:2]])
        across = (corners[1] - corners[0]) / max(eye.width, 1e-6)
        down = np.array([-across[1], across[0]])
        down *= 1.0 if (chin - corners[0]) @ down > 0 else -1.0

        def local(points: NDArray[np.float64]) -> NDArray[np.float64]:
            shifted = points - corners[0]
            return np.stack([shifted @ across, shifted @ down], axis=1) / eye.width

        lower, upper = (_curve(local(np.array(side)[:, :2])) for side in (eye.lower, eye.upper))
        height, width = flags.shape
        points = np.array([point[:2] for point in eye.contour])
        reach = _REACH * eye.width
        low = np.maximum(np.floor(np.vstack([points, brow]).min(axis=0) - reach), 0).astype(int)
        high = np.minimum(np.ceil(points.max(axis=0) + reach), (width, height)).astype(int)
        self.left, self.top = int(low[0]), int(low[1])
        self._still = still[low[1] : high[1], low[0] : high[0]]
        self._flags = flags[low[1] : high[1], low[0] : high[0]]
        self._spread = spread(self._flags, REACH)
        y, x = np.mgrid[low[1] : high[1], low[0] : high[0]].astype(np.float32)
        self._x, self._y = x - np.float32(low[0]), y - np.float32(low[1])
        # Points of the networks lie between pixels, (0, 0) being a corner.
        from_x, from_y = x + np.float32(0.5 - corners[0][0]), y + np.float32(0.5 - corners[0][1])
        size = np.float32(eye.width)
        self._u = (from_x * np.float32(across[0]) + from_y * np.float32(across[1])) / size
        self._v = (from_x * np.float32(down[0]) + from_y * np.float32(down[1])) / size
        self._down = (down * eye.width).astype(np.float32)
        self._width = float(eye.width)
        inside = np.clip(self._u, 0, 1)
        self._upper, lower_here = _at(upper, inside), _at(lower, inside)
        self._upper = self._upper + self._lashes_below(upper, corners[0], across, down) * _plateau(inside)
        self._gap = np.maximum(lower_here - self._upper, 0)
        self._drop = self._falling(lower, upper)
        self._hold = np.minimum(_brow_line(local(brow), self._u), self._upper - np.float32(_LEAST_SKIN))
        skin = self._upper - self._hold
        middle = np.abs(self._u - 0.5) < 0.2
        most = float(np.median(skin[middle])) * _MOST_DRAWN / max(float(np.median(self._drop[middle])), 1e-6)
        self.largest = min(1.0, most)

    def _lashes_below(
        self,
        upper: NDArray[np.float64],
        corner: NDArray[np.float64],
        across: NDArray[np.float64],
        down: NDArray[np.float64],
    ) -> np.float32:
        """How far below the curve the lash line ends, widths of the eye: it is the darkest line nearby.

        Looked for to the left and right of the iris, which is dark itself.
        """
        u = np.concatenate([np.linspace(0.1, 0.3, 9), np.linspace(0.7, 0.9, 9)]).astype(np.float32)
        offsets = np.linspace(-0.05, 0.07, 13, dtype=np.float32)
        v = _at(upper, u) + offsets[:, None] * _plateau(u)
        places = corner + self._width * (u[None, :, None] * across + v[..., None] * down) - 0.5
        x, y = (np.asarray(places[..., axis], np.float32) for axis in (0, 1))
        luma = cv2.GaussianBlur(self._still.astype(np.float32).mean(axis=2), (0, 0), max(0.015 * self._width, 0.3))
        seen = cv2.remap(luma, x - np.float32(self.left), y - np.float32(self.top), cv2.INTER_LINEAR)
        return np.float32(offsets[int(np.argmin(seen.mean(axis=1)))] + _LINE)

    def _falling(self, lower: NDArray[np.float64], upper: NDArray[np.float64]) -> Floats:
        """How far the edge falls at full closure: as far as the lids are apart, and gently past the outer corner.

        The lash line is longer than the opening: were its outer end held, it would be bent like a wire.
        """
        u = np.linspace(-1, 2, 301, dtype=np.float32)
        outer = (u + np.float32(_OUTER)) * np.float32(0.5 / (0.5 + _OUTER))
        inside = np.clip(np.where(u < 0.5, outer, u), 0, 1)
        gap = np.maximum(_at(lower, inside) - _at(upper, inside), 0).reshape(1, -1)
        fall = cv2.GaussianBlur(gap, (0, 0), 100 * _SOFT)[0]
        fall *= gap.max() / max(float(fall.max()), 1e-6)
        return np.asarray(np.interp(self._u, u, fall), np.float32)

    @classmethod
    def of(cls, still: Bytes, flags: Bytes, face: Face, side: str) -> Lid:
        """The upper lid of one side, `right` or `left`, of a face."""
        mesh = np.array(face.mesh)[:, :2]
        eye = face.right_eye if side == "right" else face.left_eye
        return cls(still, flags, eye, mesh[list(_BROWS[side])], mesh[_CHIN])

    def closed(self, closure: float) -> Patch:
        """The eye closed by a share of the way from lid to lid, 0 to 1."""
        drop = self._drop * np.float32(min(closure, self.largest))
        edge = self._upper + drop
        v, soft = self._v, np.float32(max(_EDGE, 0.6 / self._width))
        # Share of the drop: 0 at the brow, 1 at the lashes, bent gently between.
        room = edge - np.float32(_LASHES) - self._hold
        place = (v - self._hold) / room
        share, slope = _bent(place)
        moved = drop * share
        lift = np.asarray(moved, np.float32)
        seen = cv2.remap(
            self._still, self._x - lift * self._down[0], self._y - lift * self._down[1], cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REPLICATE,
        ).astype(np.float32)  # fmt: skip
        cover = np.clip((edge + soft - v) / (2 * soft), 0, 1)
        cover = np.where(drop * self._width < _LEAST, 0, cover * cover * (3 - 2 * cover))
        below = np.clip((v - edge) / np.float32(_SHADE), 0, 1)
        light = 1 - np.float32(_DARKEST) * np.minimum(drop / np.float32(0.15), 1) * (1 - below) ** 2
        light = np.where(v > self._upper + self._gap, 1, light)  # the lower lid lies in the light
        eye = self._still * light[..., None]
        made = np.rint(np.clip(eye + (seen - eye) * cover[..., None], 0, 255)).astype(np.uint8)
        stays = lift * self._width < _LEAST
        magnified = 1 / np.maximum(1 - drop * slope / room, 1e-3)
        invented = (magnified > STRETCHED) | (v > self._upper)
        touched = ~stays & (made != self._still).any(axis=2) | (~stays & (cover > 0))
        carried = cv2.remap(
            self._spread, self._x - lift * self._down[0], self._y - lift * self._down[1], cv2.INTER_NEAREST,
            borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip
        flags = self._flags | carried | np.where(invented, _MADE_UP, _MOVED)
        return Patch(
            top=self.top,
            left=self.left,
            samples=np.where(touched[..., None], made, self._still),
            flags=np.asarray(np.where(touched, flags, self._flags), np.uint8),
        )


def _bent(place: Floats) -> tuple[Floats, Floats]:
    """A ramp from 0 at 0 to 1 at 1 with rounded ends, and its slope."""
    soft = np.float32(0.25)
    t = np.clip(place, 0, 1)
    top = 1 / (1 - soft)
    first, last = t < soft, t > 1 - soft
    share = np.where(first, t * t / (2 * soft), np.where(last, 1 - soft - (1 - t) ** 2 / (2 * soft), t - soft / 2))
    slope = np.where(first, t / soft, np.where(last, (1 - t) / soft, 1))
    return np.asarray(share * top, np.float32), np.asarray(slope * top, np.float32)


def _plateau(u: Floats) -> Floats:
    """1 between the corners, 0 at them."""
    return np.asarray(np.clip(u * (1 - u) / np.float32(0.1), 0, 1), np.float32)


def _brow_line(points: NDArray[np.float64], u: Floats) -> Floats:
    """The lower edge of a brow as a parabola through its points (u, v), level beyond them."""
    a, b, c = (np.float32(value) for value in np.polyfit(points[:, 0], points[:, 1], 2))
    inside = np.clip(u, np.float32(points[:, 0].min()), np.float32(points[:, 0].max()))
    return np.asarray((a * inside + b) * inside + c, np.float32)


def _curve(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Coefficients of u (1 − u) (a + b u + c u²), the smooth curve from corner to corner nearest to points (u, v)."""
    u, v = points.T
    base = u * (1 - u)
    matrix = np.stack([base, base * u, base * u * u], axis=1)
    return np.asarray(np.linalg.lstsq(matrix, v, rcond=None)[0])


def _at(curve: NDArray[np.float64], u: Floats) -> Floats:
    a, b, c = (np.float32(value) for value in curve)
    return np.asarray(u * (1 - u) * (a + b * u + c * u * u), np.float32)
