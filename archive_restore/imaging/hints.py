"""Carries the colours that people gave from where they gave them over what belongs together, and not beyond.

Every hint has a distance to every pixel of a reduced picture: how far it is, how different its lightness, surroundings
and texture are, and how many edges lie on the way (a geodesic in the sense of Criminisi et al., "GeoS", ECCV 2008).
From distances follow weights, which share each pixel among its nearest hints (a normalized kernel, Nadaraya 1964), and
a trust, 1 at a hint and falling to exactly 0, where no hint has a say any more. So a hint that moves changes nothing
beyond its own neighbourhood. A hint holds exactly at its own pixels. Nothing here is learnt but a few numbers, chosen
on photographs of the training split.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt

from archive_restore.core.hints_document import ColourHint, HintShape
from archive_restore.errors import UsageError

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

# Deviations of the distance by which colours are shared: of the longest edge, of L*, of texture, of a path.
_DOWN, _ACROSS, _ALIKE, _AROUND, _TEXTURE, _PATH = 0.1, 0.4, 11.0, 30.0, 5.0, 8.0
_SHARP, _CLOSE, _RELATIVE = 0.55, 0.25, 0.4  # the weights fall more slowly where all hints are far
_SHADED = 0.45  # power with which chroma follows lightness: light on one paint changes both
_LENGTH = 29.0  # what a path across the longest edge costs, units of L*
# Deviations of the distance by which a hint is trusted.
_NEAR, _SAME, _WEAVE, _EDGES = 0.50, 12.0, 12.0, 45.0
_TRUSTED = 6.0  # sum of squares at which 1/e of it is left
_LEAST = 0.03  # trust and shares below are none
_FAR = np.float32(1e5)
_COARSE = 160  # longest edge of the picture on which places are tried
_CHUNK = 32  # hints whose paths are found at a time


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A hint on the reduced picture."""

    rows: npt.NDArray[np.intp]
    """(n,) its pixels, at least one."""
    columns: npt.NDArray[np.intp]
    ab: tuple[float, float]
    """a* and b* that hold there."""
    within: Mask | None = None
    """(h, w) where it may spread; None is everywhere."""
    reach: float = 1.0
    """How far it spreads; 0 keeps to its own pixels."""


class Spread:
    """What hints say of every pixel of the reduced picture."""

    def __init__(
        self, marks: Sequence[Mark], trust: Floats, owner: npt.NDArray[np.int32], shares: Shares, paths: Paths
    ) -> None:
        """Made by `spread`."""
        self.marks = tuple(marks)
        self.trust = trust
        """(h, w) how far hints have a say: 1 at a hint, 0 where none reaches."""
        self.owner = owner
        """(h, w) index of the hint that says most; -1 where none reaches."""
        self._shares = shares
        self.paths = paths
        """By the index of each hint that spreads: how long the shortest path to a pixel is (h, w), units of L*."""
        self.ab = self.carried(np.array([mark.ab for mark in marks], np.float32).reshape(-1, 2))
        """(h, w, 2) a* and b*; 0 where no hint has a say."""

    def carried(self, values: Floats) -> Floats:
        """(h, w, c): values (hints, c) of chroma, spread; at the pixels of a hint its own, 0 where none has a say."""
        out = np.zeros((*self.trust.shape, values.shape[1]), np.float32)
        if self._shares:
            weights, names = self._shares
            band = max(1, (1 << 20) // weights[0].size * len(self.trust))
            for top in range(0, len(out), band):
                rows = slice(top, top + band)
                out[rows] = np.einsum("kyx,kc->yxc", weights[:, rows], values[names])
        for mark, value in zip(self.marks, values, strict=True):  # the later one where two claim the same pixel
            out[mark.rows, mark.columns] = value
        return out


Shares = tuple[Floats, npt.NDArray[np.int32]] | None
"""(k, h, w) how far each hint that spreads makes up a pixel, shading included, and which hints these are."""
Paths = Mapping[int, npt.NDArray[np.float16]]


class Seen:
    """What is to be known of a reduced picture before hints are carried over it; made once."""

    def __init__(self, lightness: Floats) -> None:
        """`lightness`: L* (h, w), 0 to 100, its longest edge a few hundred pixels."""
        self.lightness = np.ascontiguousarray(lightness, np.float32)
        self.longest = max(lightness.shape)
        wide = self.longest / 192
        # No trait looks across an edge, or all outlines would look alike: of the windows that hold a pixel the calmest
        # speaks for it (Kuwahara et al., "Processing of RI-angiocardiographic images", 1976).
        flat = np.asarray(cv2.bilateralFilter(self.lightness, 0, 8, 2 * wide), np.float32)
        self.fine = flat
        self.around, _ = _calmest(self.lightness, round(6 * wide))
        _, deviation = _calmest(self.lightness, round(2 * wide))
        self.texture = 10 * np.log1p(deviation)
        step = np.float32(_LENGTH / self.longest)
        self.right = np.abs(np.diff(flat, axis=1)) + step
        self.down = np.abs(np.diff(flat, axis=0)) + step
        slant = np.float32(2**0.5) * step
        self.down_right = np.abs(flat[1:, 1:] - flat[:-1, :-1]) + slant
        self.down_left = np.abs(flat[1:, :-1] - flat[:-1, 1:]) + slant


def _calmest(plane: Floats, reach: int) -> tuple[Floats, Floats]:
    """Mean and deviation in the calmest of nine windows of `reach` + 1 pixels that hold a pixel, (h, w) each."""
    size = reach // 2 * 2 + 1
    padded = cv2.copyMakeBorder(plane, *(4 * (size,)), cv2.BORDER_REFLECT)
    mean = cv2.blur(padded, (size, size))
    deviation = np.sqrt(np.maximum(cv2.blur(padded * padded, (size, size)) - mean * mean, 0))
    height, width = plane.shape
    best: tuple[Floats, Floats] | None = None
    for down in (-(size // 2), 0, size // 2):
        for across in (-(size // 2), 0, size // 2):
            at = np.s_[size + down : size + down + height, size + across : size + across + width]
            if best is None:
                best = mean[at].copy(), deviation[at].copy()
            else:
                calmer = deviation[at] < best[1]
                best = np.where(calmer, mean[at], best[0]), np.where(calmer, deviation[at], best[1])
    assert best is not None
    return best


Pixels = tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]
"""Rows and columns, (n,) each."""


def pixels_of(
    shape: HintShape, places: Sequence[tuple[float, float]], radius: float, rows: tuple[int, int], width: int
) -> Pixels:
    """Pixels of a hint in the rows first to last (excluded) of a picture; rows counted from its top.

    Depends on nothing else, so that bands agree with the whole. The pixel under a point, and those along a stroke, are
    always among them; of a polygon those whose middle lies inside (by the even-odd rule), of a tiny one its middle's.
    """
    reach = radius + 2
    if rows[1] <= min(y for _, y in places) - reach or rows[0] >= max(y for _, y in places) + reach:
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    if shape is HintShape.POLYGON:
        if np.ptp(np.array(places), axis=0).min() >= 2:
            return _inside(places, rows, width)
        x, y = np.mean(places, axis=0)
        places, radius = [(float(x), float(y))], 0
    found = np.zeros((0, 2), np.intp)
    ends = [*places, places[-1]] if len(places) == 1 else places
    for (x, y), (to_x, to_y) in pairwise(ends):
        steps = np.linspace(0, 1, int(max(abs(to_x - x), abs(to_y - y))) + 2)
        line = np.rint(np.stack([y + steps * (to_y - y), x + steps * (to_x - x)], axis=1)).astype(np.intp)
        top, bottom = max(rows[0], int(min(y, to_y) - radius)), min(rows[1], int(max(y, to_y) + radius) + 2)
        left, right = max(0, int(min(x, to_x) - radius)), min(width, int(max(x, to_x) + radius) + 2)
        if radius > 0.5 and top < bottom and left < right:
            off_y, off_x = np.ogrid[top:bottom, left:right]
            off_y, off_x = off_y - y, off_x - x
            length = (to_x - x) ** 2 + (to_y - y) ** 2
            along = np.clip((off_x * (to_x - x) + off_y * (to_y - y)) / length, 0, 1) if length else 0.0
            near = (off_x - along * (to_x - x)) ** 2 + (off_y - along * (to_y - y)) ** 2 <= radius**2
            line = np.concatenate([line, np.argwhere(near) + np.array([top, left])])
        found = np.concatenate([found, line])
    kept = (found[:, 0] >= rows[0]) & (found[:, 0] < rows[1]) & (found[:, 1] >= 0) & (found[:, 1] < width)
    found = np.unique(found[kept], axis=0)
    return found[:, 0], found[:, 1]


def _inside(corners: Sequence[tuple[float, float]], rows: tuple[int, int], width: int) -> Pixels:
    first = max(rows[0], int(np.ceil(min(y for _, y in corners))))
    last = min(rows[1], int(np.ceil(max(y for _, y in corners))))
    turns = np.zeros((max(0, last - first), width + 1), np.int32)
    for (x, y), (to_x, to_y) in zip(corners, [*corners[1:], corners[0]], strict=True):
        low, high = min(y, to_y), max(y, to_y)
        crossed = np.arange(max(first, int(np.ceil(low))), min(last, int(np.ceil(high))))
        if crossed.size:
            at = x + (crossed - y) * ((to_x - x) / (to_y - y))
            np.add.at(turns, (crossed - first, np.clip(np.ceil(at), 0, width).astype(np.intp)), 1)
    down, across = np.nonzero(np.cumsum(turns[:, :width], axis=1) & 1)
    return down + first, across


def scaled_places(places: Sequence[tuple[float, float]], scale: float) -> list[tuple[float, float]]:
    """Pixel centres x, y of a picture as those of its reduction, `scale` of whose pixels make one (PictureReducer)."""
    return [((x + 0.5) / scale - 0.5, (y + 0.5) / scale - 0.5) for x, y in places]


def marks_of(hints: Sequence[ColourHint], size: tuple[int, int], frame: tuple[int, int], scale: float) -> list[Mark]:
    """The hints of a picture of `size` (rows, columns) on its reduction to `frame`, `scale` as in `scaled_places`.

    Raise UsageError where a hint has no pixel inside the picture, or inside the region that bounds it.
    """
    marks = []
    for hint in hints:
        outside = f"the hint {hint.decision().what!r} lies outside"
        if not pixels_of(hint.shape, hint.places, hint.radius, (0, size[0]), size[1])[0].size:
            raise UsageError(f"{outside} the picture of {size[1]}×{size[0]} pixels", hint="Count from the top left")
        rows, columns = _reduced_pixels(hint.shape, hint.places, hint.radius, frame, scale)
        within = None
        if hint.within:
            within = np.zeros(frame, np.bool_)
            within[_reduced_pixels(HintShape.POLYGON, hint.within, 0, frame, scale)] = True
            kept = within[rows, columns]
            if not kept.any():
                raise UsageError(f"{outside} the region that bounds it", hint="Move it, or give another region")
            rows, columns = rows[kept], columns[kept]
        marks.append(Mark(rows=rows, columns=columns, ab=hint.lab[1:], within=within, reach=hint.reach))
    return marks


def _reduced_pixels(
    shape: HintShape, places: Sequence[tuple[float, float]], radius: float, frame: tuple[int, int], scale: float
) -> Pixels:
    """At least one, the nearest, where all is smaller than a pixel of the reduction."""
    small = scaled_places(places, scale)
    found = pixels_of(shape, small, radius / scale, (0, frame[0]), frame[1])
    if found[0].size:
        return found
    x, y = np.mean(small, axis=0)
    return np.array([np.clip(round(y), 0, frame[0] - 1)]), np.array([np.clip(round(x), 0, frame[1] - 1)])


def spread(seen: Seen, marks: Sequence[Mark]) -> Spread:
    """Carry hints over a picture: see the module."""
    trust = np.zeros(seen.lightness.shape, np.float32)
    owner = np.full(seen.lightness.shape, -1, np.int32)
    names = np.array([index for index, mark in enumerate(marks) if mark.reach > 0], np.int32)
    shares, paths = None, {}
    if names.size:
        told = [marks[index] for index in names]
        planes = lengths(seen, [(mark.rows, mark.columns) for mark in told])
        with np.errstate(over="ignore"):  # what no path leads to
            paths = dict(zip(names.tolist(), planes.astype(np.float16), strict=True))
        shares = (_shared(seen, told, names, planes, trust, owner), names)
    for index, mark in enumerate(marks):
        trust[mark.rows, mark.columns], owner[mark.rows, mark.columns] = 1, index
    return Spread(marks, trust, owner, shares, paths)


def _shared(
    seen: Seen,
    marks: Sequence[Mark],
    names: npt.NDArray[np.int32],
    paths: Floats,
    trust: Floats,
    owner: npt.NDArray[np.int32],
) -> Floats:
    """Share the pixels among hints that spread, (k, h, w), in the place of their paths, and fill trust and owner."""
    height, width = seen.lightness.shape
    traits = [_Traits.of(seen, mark) for mark in marks]
    light = np.array([one.lightness for one in traits], np.float32)[:, None, None]
    band = max(1, (1 << 22) // (width * len(marks)))
    for top in range(0, height, band):
        rows = slice(top, min(top + band, height))
        weights, trusted = np.empty((2, len(marks), rows.stop - top, width), np.float32)
        for k, (mark, own) in enumerate(zip(marks, traits, strict=True)):
            weights[k], trusted[k] = _distances(seen, mark, own, paths[k, rows], rows)
        trusted *= np.float32(1 / _TRUSTED)
        np.square(trusted, out=trusted)
        np.exp(np.negative(trusted, out=trusted), out=trusted)
        trusted -= np.float32(_LEAST)
        np.maximum(trusted, 0, out=trusted)
        known = trusted.max(axis=0) / np.float32(1 - _LEAST)
        trust[rows] = known
        weights[trusted == 0] = _FAR  # who has no say is not listened to
        least = weights.min(axis=0)
        weights -= least
        weights *= np.float32(-_SHARP) / (np.float32(_RELATIVE) * least + np.float32(_CLOSE))
        np.exp(weights, out=weights)
        weights *= trusted
        weights[weights < _LEAST * weights.max(axis=0)] = 0  # what hardly counts does not at all
        weights /= np.maximum(weights.sum(axis=0), np.float32(1e-20))
        owner[rows] = np.where(known > 0, names[weights.argmax(axis=0)], -1)
        weights *= known > 0
        weights *= np.minimum(((seen.lightness[rows][None] + 16) / (light + 16)) ** np.float32(_SHADED), 2)
        paths[:, rows] = weights
    return paths


def lengths(seen: Seen, places: Sequence[Pixels]) -> Floats:
    """Lengths of the shortest paths from each of k sets of pixels to every pixel, (k, h, w), in units of L*."""
    paths = np.full((len(places), *seen.lightness.shape), _FAR, np.float32)
    for plane, at in zip(paths, places, strict=True):
        plane[at] = 0
    for first in range(0, len(paths), _CHUNK):
        _lengthen(paths[first : first + _CHUNK], seen)
    return paths


def _lengthen(paths: Floats, seen: Seen) -> None:
    """Turn planes (k, h, w) that are 0 at hints into the lengths of the shortest paths there; twice down and up."""
    height, width = paths.shape[1:]
    before = np.zeros((height, width), np.float32)
    before[:, 1:] = np.cumsum(seen.right, axis=1)

    def along(y: int) -> None:
        row = paths[:, y]
        row -= before[y]
        np.minimum.accumulate(row, axis=1, out=row)
        row += 2 * before[y]
        back = row[:, ::-1]
        np.minimum.accumulate(back, axis=1, out=back)
        row -= before[y]

    for _ in range(2):
        along(0)
        for y in range(1, height):
            row, last = paths[:, y], paths[:, y - 1]
            np.minimum(row, last + seen.down[y - 1], out=row)
            np.minimum(row[:, 1:], last[:, :-1] + seen.down_right[y - 1], out=row[:, 1:])
            np.minimum(row[:, :-1], last[:, 1:] + seen.down_left[y - 1], out=row[:, :-1])
            along(y)
        for y in range(height - 2, -1, -1):
            row, last = paths[:, y], paths[:, y + 1]
            np.minimum(row, last + seen.down[y], out=row)
            np.minimum(row[:, :-1], last[:, 1:] + seen.down_right[y], out=row[:, :-1])
            np.minimum(row[:, 1:], last[:, :-1] + seen.down_left[y], out=row[:, 1:])
            along(y)


@dataclass(frozen=True, kw_only=True)
class _Traits:
    """What a hint's own pixels look like: means, and variances, since a stroke may cross light and shade."""

    lightness: float
    fine: tuple[float, float]
    around: tuple[float, float]
    texture: tuple[float, float]

    @classmethod
    def of(cls, seen: Seen, mark: Mark) -> _Traits:
        at = mark.rows, mark.columns
        pairs = [(float(plane[at].mean()), float(plane[at].var())) for plane in (seen.fine, seen.around, seen.texture)]
        return cls(lightness=float(seen.lightness[at].mean()), fine=pairs[0], around=pairs[1], texture=pairs[2])


def _distances(seen: Seen, mark: Mark, own: _Traits, path: Floats, rows: slice) -> tuple[Floats, Floats]:
    """Distances of rows of pixels to a hint: that by which it shares pixels with others, and that of its trust."""
    height, width = seen.lightness.shape
    off_down = np.maximum(0, np.maximum(mark.rows.min() - np.arange(height), np.arange(height) - mark.rows.max()))
    off_across = np.maximum(0, np.maximum(mark.columns.min() - np.arange(width), np.arange(width) - mark.columns.max()))
    down = np.square((off_down[rows] / seen.longest).astype(np.float32))[:, None]
    across = np.square((off_across / seen.longest).astype(np.float32))[None, :]
    fine = np.square(seen.fine[rows] - np.float32(own.fine[0]))
    texture = np.square(seen.texture[rows] - np.float32(own.texture[0]))
    shared = down * np.float32(_DOWN**-2) + across * np.float32(_ACROSS**-2)
    shared += fine * np.float32(1 / (_ALIKE**2 + own.fine[1]))
    shared += np.square(seen.around[rows] - np.float32(own.around[0])) * np.float32(1 / (_AROUND**2 + own.around[1]))
    shared += texture * np.float32(1 / (_TEXTURE**2 + own.texture[1]))
    shared += path * np.float32(1 / _PATH)
    trusted = (down + across) * np.float32(_NEAR**-2)
    trusted += fine * np.float32(1 / (_SAME**2 + own.fine[1]))
    trusted += texture * np.float32(1 / (_WEAVE**2 + own.texture[1]))
    trusted += np.square(path * np.float32(1 / _EDGES))
    if mark.reach != 1:
        trusted *= np.float32(mark.reach**-2)
        shared *= np.float32(mark.reach**-2)
    if mark.within is not None:
        beyond = ~mark.within[rows]
        shared[beyond], trusted[beyond] = _FAR, _FAR
    return shared, trusted


# --- where hints would help ------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """A place where a person's hint would tell much."""

    x: float
    """Pixel of the picture the story is made from."""
    y: float
    share: float
    """Share of the picture that it would rule and that is not known yet, 0 to 1."""
    reason: str
    """One sentence."""


def suggest(seen: Seen, known: Floats, scale: float, *, count: int = 5, least: float = 0.01) -> tuple[Suggestion, ...]:
    """Up to `count` places, the most telling first, that rule at least the share `least` each of what is not known.

    `known`: (h, w) 0 to 1, how sure the colours are already, by hints or by a proposal; `scale` as in
    `scaled_places`. Each place is tried with the spreader itself: what would a hint there rule that is unknown?
    """
    coarse = max(1.0, seen.longest / _COARSE)
    if coarse > 1:
        size = [max(2, round(edge / coarse)) for edge in known.shape[::-1]]
        light, sure = (cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in (seen.lightness, known))
        return suggest(Seen(light), sure, scale * coarse, count=count, least=least)
    height, width = known.shape
    step = max(4, round(max(height, width) / 14))
    edges = np.abs(cv2.Laplacian(seen.fine, cv2.CV_32F)) + 1 - known
    places = []
    for top in range(0, height, step):
        for left in range(0, width, step):
            cell = np.s_[top : top + step, left : left + step]
            calm = seen.texture[cell] + 8 * known[cell] + edges[cell]
            y, x = divmod(int(calm.argmin()), calm.shape[1])
            places.append(Mark(rows=np.array([top + y]), columns=np.array([left + x]), ab=(0.0, 0.0)))
    paths = lengths(seen, [(mark.rows, mark.columns) for mark in places])
    whole = slice(0, height)
    for k, mark in enumerate(places):
        _, off = _distances(seen, mark, _Traits.of(seen, mark), paths[k], whole)
        paths[k] = np.exp(-np.square(off / np.float32(_TRUSTED)))
    unknown = (1 - np.clip(known, 0, 1)).astype(np.float32)
    found: list[Suggestion] = []
    for _ in range(count):
        gains = np.einsum("kyx,yx->k", paths, unknown) / unknown.size
        best = int(gains.argmax())
        if gains[best] < least:
            break
        mark = places[best]
        y, x = int(mark.rows[0]), int(mark.columns[0])
        ((at_x, at_y),) = scaled_places([(x, y)], 1 / scale)
        found.append(
            Suggestion(x=round(at_x, 1), y=round(at_y, 1), share=float(gains[best]),
                       reason=_reason(seen, y, x, float(gains[best])))
        )  # fmt: skip
        unknown *= 1 - paths[best]
    return tuple(found)


def _reason(seen: Seen, y: int, x: int, share: float) -> str:
    height, width = seen.lightness.shape
    light = "dark" if seen.fine[y, x] < 35 else "light" if seen.fine[y, x] > 70 else "gray"
    weave = "smooth" if seen.texture[y, x] < 10 else "rough" if seen.texture[y, x] > 22 else "softly textured"
    down = ("top", "middle", "bottom")[min(2, 3 * y // height)]
    across = ("left", "middle", "right")[min(2, 3 * x // width)]
    where = "middle" if down == across else f"{down} {across}".replace(" middle", "").replace("middle ", "")
    return f"A {weave}, {light} area at the {where}: one colour there would tell of {100 * share:.0f} % of the picture."
