"""Colour under kept light: CIELAB (D65), and pictures whose chroma is replaced while every pixel keeps its luminance.

CIE 15:2004 §8.2.1 for L*, a*, b*. A colour that the primaries cannot show at a pixel's luminance loses chroma at its
hue, never light. Rounding to code values moves the re-encoded luminance by half a code value at most, since tone curves
bend upwards. Must never change a pixel that is told to keep its samples.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.typing as npt

from archive_restore.ports import ColourSpace

Samples = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]
Matrix = tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]

SRGB_TO_XYZ: Matrix = (
    (0.4123907993, 0.3575843394, 0.1804807884),
    (0.2126390059, 0.7151686788, 0.0721923154),
    (0.0193308187, 0.1191947798, 0.9505321522),
)
"""Linear sRGB to XYZ under D65 (IEC 61966-2-1), Y of white = 1."""
_LINEAR = 6 / 29  # below it CIELAB's root is a line
_SLOPE = 3 * _LINEAR**2
_FINE = 1 << 18  # entries of the table that encodes light; it is asked for the root of light
_HUES, _LEVELS = 360, 256  # of the table of the greatest chroma
_MOST = 200.0  # a chroma that no light in a gamut reaches
_FAR, _NONE = 0.9, -9.0  # how wrong the light of a colour may be before it is no colour of these primaries
_PIECE = 1 << 15  # pixels worked on at a time: their planes stay in the cache


def srgb_to_linear(codes: npt.ArrayLike) -> Floats:
    """Linear light of sRGB-encoded values in [0, 1]; any shape."""
    x = np.asarray(codes, np.float32)
    high = ((np.maximum(x, 0) + np.float32(0.055)) / np.float32(1.055)) ** np.float32(2.4)
    return np.asarray(np.where(x <= 0.04045, x / np.float32(12.92), high), np.float32)


def linear_to_srgb(light: npt.ArrayLike) -> Floats:
    """sRGB-encoded values of linear light in [0, 1]; any shape."""
    x = np.asarray(light, np.float32)
    high = np.float32(1.055) * np.maximum(x, 0) ** np.float32(1 / 2.4) - np.float32(0.055)
    return np.asarray(np.where(x <= 0.0031308, x * np.float32(12.92), high), np.float32)


def lightness(light: npt.ArrayLike) -> Floats:
    """L*, 0 to 100, of luminance Y in [0, 1]; any shape."""
    return np.float32(116) * _root(np.asarray(light, np.float32)) - np.float32(16)


def _root(x: Floats) -> Floats:
    return np.where(x > _LINEAR**3, np.cbrt(x), x * np.float32(1 / _SLOPE) + np.float32(4 / 29)).astype(np.float32)


def _unroot(f: Floats) -> Floats:
    light = f * f
    light *= f
    dark = ~(f > _LINEAR)
    if dark.any():  # in most pictures few
        light[dark] = (f[dark] - np.float32(4 / 29)) * np.float32(_SLOPE)
    return light


def lab_from_linear(rgb: npt.ArrayLike, to_xyz: Matrix = SRGB_TO_XYZ) -> Floats:
    """L*, a*, b* (…, 3) of linear RGB (…, 3) in [0, 1]; `to_xyz` as in ports.ColourSpace."""
    matrix = np.array(to_xyz, np.float64)
    xyz = np.asarray(rgb, np.float32) @ (matrix / matrix.sum(axis=1)[:, None]).T.astype(np.float32)
    fx, fy, fz = (_root(xyz[..., k]) for k in range(3))
    return np.stack([116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)], axis=-1).astype(np.float32)


def lab_from_srgb(codes: npt.ArrayLike) -> Floats:
    """L*, a*, b* (…, 3) of sRGB-encoded values (…, 3) in [0, 1]."""
    return lab_from_linear(srgb_to_linear(codes))


def srgb_from_lab(lab: npt.ArrayLike) -> Floats:
    """sRGB-encoded values (…, 3) of L*, a*, b* (…, 3); what sRGB cannot show loses chroma, not light."""
    given = np.asarray(lab, np.float32)
    flat = given.reshape(-1, 3)
    luminance = np.clip(_unroot((flat[:, 0] + 16) / np.float32(116)), 0, 1)
    linear = _gamut(SRGB_TO_XYZ).linear(luminance, _root(luminance), flat[:, 1].copy(), flat[:, 2].copy())
    return np.clip(linear_to_srgb(np.stack(linear, axis=-1)), 0, 1).reshape(given.shape)


class _Gamut:
    """The colours that three primaries show, by hue and lightness."""

    def __init__(self, to_xyz: Matrix, luminance: tuple[float, float, float] | None = None) -> None:
        matrix = np.array(to_xyz, np.float64)
        white = matrix.sum(axis=1)
        self.from_xyz = (np.linalg.inv(matrix) * white).astype(np.float32)
        """(3, 3) from X, Y, Z, each a share of white's."""
        self._weights = luminance
        self._greatest: Floats | None = None

    def linear(self, light: Floats, root: Floats, a: Floats, b: Floats) -> list[Floats]:
        """Linear red, green and blue, each (n,) in [0, 1], of luminance, its root (L* + 16) / 116, and a*, b*."""
        made = self._mixed(light, root, a, b)
        beyond = np.maximum(np.maximum(made[0], made[1]), made[2]) > 1
        beyond |= np.minimum(np.minimum(made[0], made[1]), made[2]) < 0
        at = np.flatnonzero(beyond)
        if at.size:
            for plane, fitted in zip(made, self._fitted(light[at], root[at], a[at], b[at]), strict=True):
                plane[at] = fitted
        return made

    def _mixed(self, light: Floats, root: Floats, a: Floats, b: Floats) -> list[Floats]:
        x = _unroot(root + a * np.float32(1 / 500))
        z = _unroot(root - b * np.float32(1 / 200))
        made = []
        for row in self.from_xyz:
            plane = row[0] * x
            plane += row[1] * light
            plane += row[2] * z
            made.append(plane)
        if self._weights is not None:
            # Y relative to D65 is not quite luminance under another white: the colour stays, its light is set right.
            told = sum(np.float32(weight) * plane for weight, plane in zip(self._weights, made, strict=True))
            # Where it is far off the colour lies far beyond the gamut, and must not seem to lie within.
            possible = np.abs(told - light) <= light * np.float32(_FAR)
            right = light / np.where(possible, np.maximum(told, np.float32(1e-9)), 1)
            made = [np.where(possible, plane * right, np.float32(_NONE)) for plane in made]
        return made

    def _fitted(self, light: Floats, root: Floats, a: Floats, b: Floats) -> list[Floats]:
        """The same with as much chroma as there is room for."""
        chroma = np.hypot(a, b)
        hue = np.arctan2(b, a) * np.float32(_HUES / (2 * np.pi)) % _HUES
        level = np.clip((np.float32(116) * root - 16) * np.float32((_LEVELS - 1) / 100), 0, _LEVELS - 1)
        column, row = np.minimum(hue.astype(np.intp), _HUES - 1), np.minimum(level.astype(np.intp), _LEVELS - 2)
        right, down = hue - column, level - row
        table, after = self._table(), (column + 1) % _HUES
        upper = table[row, column] * (1 - right) + table[row, after] * right
        lower = table[row + 1, column] * (1 - right) + table[row + 1, after] * right
        kept = np.minimum((upper * (1 - down) + lower * down) / np.maximum(chroma, 1e-6), 1).astype(np.float32)
        made = self._mixed(light, root, a * kept, b * kept)
        made = [np.where(plane == np.float32(_NONE), light, plane) for plane in made]
        # What the table leaves is tiny: towards gray of the same light in a straight line of light.
        most, least = np.maximum(np.maximum(*made[:2]), made[2]), np.minimum(np.minimum(*made[:2]), made[2])
        room = np.minimum((1 - light) / np.maximum(most - light, 1e-9), light / np.maximum(light - least, 1e-9))
        room = np.clip(room, 0, 1)
        return [np.clip(light + room * (plane - light), 0, 1) for plane in made]

    def _table(self) -> Floats:
        """Greatest chroma inside the gamut, (_LEVELS, _HUES), L* from 0 to 100 and hue from 0."""
        if self._greatest is None:
            angles = np.arange(_HUES) * (2 * np.pi / _HUES)
            shape = (_LEVELS, _HUES)
            root = np.broadcast_to((np.linspace(0, 100, _LEVELS)[:, None] + 16) / 116, shape).astype(np.float32)
            light = _unroot(root)
            least, most = np.zeros(shape, np.float32), np.full(shape, _MOST, np.float32)
            for _ in range(14):
                middle = (least + most) / 2
                a, b = middle * np.cos(angles).astype(np.float32), middle * np.sin(angles).astype(np.float32)
                made = np.stack(self._mixed(light, root, a, b))
                inside = ((made >= 0) & (made <= 1)).all(axis=0)
                least, most = np.where(inside, middle, least), np.where(inside, most, middle)
            self._greatest = least
        return self._greatest


@functools.lru_cache(maxsize=8)
def _gamut(to_xyz: Matrix, luminance: tuple[float, float, float] | None = None) -> _Gamut:
    return _Gamut(to_xyz, luminance)


class Recolouring:
    """Gives pixels of one colour space new chroma; several threads may use one at once."""

    def __init__(self, space: ColourSpace, dtype: npt.DTypeLike, white: float) -> None:
        """`dtype` and `white` (code value of 1.0) of the samples, as in ports.StoryPicture."""
        self.dtype, self.white = np.dtype(dtype), float(white)
        self._gamut = _gamut(space.to_xyz, space.luminance)
        self._weights = np.array(space.weights, np.float32) / np.float32(sum(space.weights))
        self._curve = np.ascontiguousarray(space.curve, np.float32)
        codes = np.linspace(0, 1, len(self._curve))
        roots = np.linspace(0, 1, _FINE + 2) ** 2  # one entry more, so that there is a next one
        self._encoded = (np.interp(roots, self._curve, codes) * self.white).astype(np.float32)
        self._exact = self.dtype.kind == "u" and self.white < 1 << 16
        self._last = np.asarray(self.white, self.dtype)
        self._whole = self._exact and self.white == np.iinfo(self.dtype).max
        self._shown8 = np.rint(self._encoded).astype(np.uint8) if self._exact and self.white < 1 << 8 else None
        if self._exact:
            whole = np.arange(int(self.white) + 1) / self.white
            self._light = np.interp(whole, codes, self._curve).astype(np.float32)
            self._root = _root(self._light)
            self._lightness = lightness(self._light)

    def light(self, samples: Samples) -> Floats:
        """Luminance Y (h, w), linear in [0, 1], of (h, w, 1) or (h, w, 3) samples, 0 is black."""
        shape = samples.shape[:2]
        if samples.shape[2] == 1:
            return self._decoded(samples[:, :, 0].ravel()).reshape(shape)
        total = np.zeros(shape, np.float32)
        for k, weight in enumerate(self._weights):
            total += weight * self._decoded(samples[:, :, k].ravel()).reshape(shape)
        return total

    def lightness(self, samples: Samples) -> Floats:
        """L* (h, w), 0 to 100, of the same."""
        if samples.shape[2] == 1 and self._exact:
            return self._lightness.take(self._within(samples[:, :, 0]))
        return lightness(self.light(samples))

    def chroma(self, samples: Samples) -> Floats:
        """a* and b* (h, w, 2) of (h, w, 3) samples."""
        matrix = np.linalg.inv(self._gamut.from_xyz.astype(np.float64)).astype(np.float32)
        light = np.stack([self._decoded(samples[:, :, k].ravel()) for k in range(3)])
        fx, fy, fz = (_root(plane) for plane in matrix @ light)
        return np.stack([500 * (fx - fy), 200 * (fy - fz)], axis=1).reshape(*samples.shape[:2], 2)

    def recoloured(self, samples: Samples, a: Floats, b: Floats, keep: npt.NDArray[np.bool_] | None = None) -> Samples:
        """(h, w, 3) of the same dtype with a* and b* (h, w) at the luminance of `samples`, (h, w, 1) or (h, w, 3).

        Where `keep` is set, gray is repeated and RGB left, bit for bit; without it that is where a* and b* are 0. An
        alpha or any other sample must be taken off before, and gray be turned so that 0 is black.
        """
        height, width, count = samples.shape
        made = np.empty((height * width, 3), self.dtype)
        flat = samples.reshape(-1, count)
        kept = None if keep is None else keep.ravel()
        a, b = (np.ascontiguousarray(plane, np.float32).ravel() for plane in (a, b))
        for first in range(0, len(flat), _PIECE):
            piece = slice(first, first + _PIECE)
            self._recolour(flat[piece], a[piece], b[piece], made[piece], None if kept is None else kept[piece])
        return made.reshape(height, width, 3)

    def _recolour(
        self, samples: Samples, a: Floats, b: Floats, made: Samples, keep: npt.NDArray[np.bool_] | None
    ) -> None:
        if samples.shape[1] == 1 and self._exact:  # the usual case: two tables
            codes = self._within(samples[:, 0])
            light, root = self._light.take(codes), self._root.take(codes)
        elif samples.shape[1] == 1:
            light = self._decoded(samples[:, 0])
            root = _root(light)
        else:
            decoded = [self._decoded(samples[:, k]) for k in range(3)]
            light = np.tensordot(self._weights, np.stack(decoded), 1)
            root = _root(light)
        for k, plane in enumerate(self._gamut.linear(light, root, a, b)):
            made[:, k] = self._shown(plane)
        at = np.flatnonzero((a == 0) & (b == 0) if keep is None else keep)
        if at.size:
            made[at] = samples[at]

    def _shown(self, light: Floats) -> Samples:
        """Code values of linear light in [0, 1], whole ones of integer samples; `light` is written over."""
        place = np.sqrt(light, out=light)
        place *= _FINE
        if self._shown8 is not None:
            return self._shown8.take(np.rint(place, out=place).astype(np.int32))
        first = place.astype(np.int32)
        place -= first
        low = self._encoded.take(first)
        place *= self._encoded.take(first + 1) - low
        place += low
        return np.rint(place, out=place) if self.dtype.kind == "u" else place

    def _within(self, codes: Samples) -> Samples:
        """Codes none of which is beyond white."""
        return codes if self._whole else np.minimum(codes, self._last)

    def _decoded(self, codes: Samples) -> Floats:
        """Linear light of code values (n,); of integer samples they may also be means, as floats."""
        if self._exact and codes.dtype == self.dtype:
            return self._light.take(self._within(codes))
        share = np.nan_to_num(codes.astype(np.float32) / np.float32(self.white), nan=0.0, posinf=1.0, neginf=0.0)
        at = np.linspace(0, 1, len(self._curve), dtype=np.float32)
        return np.asarray(np.interp(np.clip(share, 0, 1), at, self._curve), np.float32)
