"""Evidence for thin damage: oriented ridges, isolation, tone and profile of every candidate pixel.

Everything is integer arithmetic, or one rounding of exact integers, so that a tile with its halo gives the very
same evidence as the whole picture, whatever the number of threads. Must never decide: damage.py does.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Int16 = NDArray[np.int16]

LEVELS = 2046
"""Luma is quantized to 0..2046: its 3×3 binomial sum still fits 16 bits without rounding, and, being even, it lets
rounding to even treat a picture and its negative alike."""
FULL = LEVELS * 16
"""Value of white in a smoothed plane; black is 0."""
ORIENTATIONS = 16
_ARM = 8  # the oriented sums of the search are 16 px long
_SIDE = 3  # flanks are looked at 3 px beside the ridge
_CLIP = 1600  # one pixel's vote in an oriented sum saturates at 5 % of full scale
_PAD = 64
_STRENGTHS = np.array([330, 490, 655, 900, 1230, 1640, 2300, 3280, 4590, 6550, 9830, 14740], np.int16)


@dataclass(frozen=True, kw_only=True)
class Reach:
    """How far, in pixels of its own octave, the evidence of one pixel is gathered."""

    near: int
    """Radius of the smaller texture window."""
    far: int
    """Radius of the larger texture window."""
    line: int
    """Half length of the longest line looked along."""

    @property
    def radius(self) -> int:
        """Furthest pixel that can change the evidence."""
        search = 1 + _SIDE + _ARM + 1
        return max(self.far + search, self.line + 10) + 1


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """Ridge pixels of one polarity in one octave with their evidence."""

    rows: NDArray[np.int32]
    columns: NDArray[np.int32]
    orientation: NDArray[np.uint8]
    """Index of the line's direction, j·180°/16 from the x axis towards +y."""
    contrast: NDArray[np.int32]
    """Height over the higher flank, in units of FULL."""
    evidence: NDArray[np.float32]
    """(N, len(EVIDENCE))."""

    def only(self, chosen: NDArray[np.bool_]) -> Candidates:
        """Those that are chosen."""
        return Candidates(
            rows=self.rows[chosen],
            columns=self.columns[chosen],
            orientation=self.orientation[chosen],
            contrast=self.contrast[chosen],
            evidence=self.evidence[chosen],
        )


EVIDENCE = (
    "contrast",
    "vote16",
    "vote_best",
    "vote_mean",
    "short_mean",
    "short_low",
    "long_mean",
    "long_low",
    "half_best",
    "half_worst",
    "tone_change",
    "flank_change",
    "asymmetry",
    "envelope",
    "envelope_wide",
    "rank_near",
    "rank_far",
    "half_rank_near",
    "half_rank_far",
    "other_near",
    "texture_near",
    "texture_far",
    "spot2",
    "spot3",
    "spot5",
    "spot8",
    "narrow1",
    "narrow2",
    "wide5",
    "wide8",
    "tone",
    "over_mean",
    "flank_low",
    "cross_flank",
    "darkest_flank",
    "crisp",
    "crisp_low",
    "grain_near",
)


def quantize(luma: NDArray[np.float32]) -> Int16:
    """Luma float32 in [0, 1] to int16 0..LEVELS; values outside and NaN are clamped (NaN to black)."""
    scaled = np.nan_to_num(luma, nan=0.0, posinf=1.0, neginf=0.0) * np.float32(LEVELS)
    return np.asarray(np.clip(np.rint(scaled), 0, LEVELS), np.int16)


def halve(plane: Int16) -> Int16:
    """Mean of 2×2 blocks of a quantized plane, rounded half to even; an odd last row or column is repeated."""
    height, width = plane.shape
    if height % 2 or width % 2:
        plane = np.pad(plane, ((0, height % 2), (0, width % 2)), mode="edge")
    four = plane[::2, ::2] + plane[1::2, ::2] + plane[::2, 1::2] + plane[1::2, 1::2]
    return np.asarray(np.rint(four * np.float32(0.25)), np.int16)


def smooth(plane: Int16) -> Int16:
    """3×3 binomial sum (weights 1 2 1 both ways): 0..FULL, exact."""
    wide = cv2.copyMakeBorder(plane, 1, 1, 1, 1, cv2.BORDER_REFLECT_101)
    rows = wide[:-2] + 2 * wide[1:-1] + wide[2:]
    return np.asarray(rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:], np.int16)


def _direction(j: int) -> tuple[float, float]:
    angle = np.pi * j / ORIENTATIONS
    return float(np.cos(angle)), float(np.sin(angle))


def _offset(j: int, along: float, aside: float) -> tuple[int, int]:
    """Row and column offset of the point `along` the line and `aside` of it (to its left)."""
    ux, uy = _direction(j)
    return round(along * uy + aside * ux), round(along * ux - aside * uy)


def _table(step: int, points: list[tuple[float, float]]) -> NDArray[np.int32]:
    """Flat offsets in a plane `step` samples wide: (ORIENTATIONS, len(points))."""
    rows = [[dy * step + dx for dy, dx in (_offset(j, *p) for p in points)] for j in range(ORIENTATIONS)]
    return np.array(rows, np.int32)


def _moved(padded: Int16, dy: int, dx: int, shape: tuple[int, int]) -> Int16:
    return padded[_PAD + dy : _PAD + dy + shape[0], _PAD + dx : _PAD + dx + shape[1]]


def _pad(plane: Int16) -> Int16:
    border = cv2.BORDER_REFLECT_101 if min(plane.shape) > _PAD else cv2.BORDER_REPLICATE
    return np.asarray(cv2.copyMakeBorder(plane, _PAD, _PAD, _PAD, _PAD, border))


def _window_means(
    plane: NDArray[np.uint8] | NDArray[np.float32],
    radii: tuple[int, ...],
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
) -> list[NDArray[np.float32]]:
    """Means of whole numbers in square windows around some pixels, by one summed-area table; exact."""
    most = max(radii)
    border = cv2.BORDER_REFLECT_101 if min(plane.shape) > most else cv2.BORDER_REPLICATE
    padded = cv2.copyMakeBorder(plane, most, most, most, most, border)
    depth = cv2.CV_32S if plane.dtype == np.uint8 else cv2.CV_64F
    table = cv2.integral(padded, sdepth=depth)
    flat, step = table.reshape(-1), table.shape[1]
    middle = (rows + most) * step + columns + most
    means = []
    for radius in radii:
        low, high = radius * (step + 1), (radius + 1) * (step + 1)
        right, down = (radius + 1) - radius * step, (radius + 1) * step - radius
        total = flat[middle + high] - flat[middle + right] - flat[middle + down] + flat[middle - low]
        means.append((total / (2 * radius + 1) ** 2).astype(np.float32))
    return means


_STRIP = 64  # rows searched at once: what is read and written over and over stays in the cache


def _search(padded: Int16, shape: tuple[int, int]) -> tuple[Int16, Int16, NDArray[np.uint8], Int16]:
    """Best clipped oriented vote, sum of votes, its direction, and the contrast across that direction."""
    best = np.full(shape, -32768, np.int16)
    total = np.zeros(shape, np.int16)
    contrast = np.zeros(shape, np.int16)
    direction = np.zeros(shape, np.uint8)
    for top in range(0, shape[0], _STRIP):
        rows = slice(top, min(top + _STRIP, shape[0]))
        part = padded[top : rows.stop + 2 * _PAD]
        _search_strip(part, best[rows], total[rows], direction[rows], contrast[rows])
    return best, total, direction, contrast


def _search_strip(padded: Int16, best: Int16, total: Int16, direction: NDArray[np.uint8], contrast: Int16) -> None:
    """Search the rows whose padded surroundings are given; results are written into the last four."""
    margin = _ARM
    inner = (slice(margin, margin + best.shape[0]), slice(margin, margin + best.shape[1]))
    big = (best.shape[0] + 2 * margin, best.shape[1] + 2 * margin)
    start = _PAD - margin

    def view(dy: int, dx: int) -> Int16:
        return padded[start + dy : start + dy + big[0], start + dx : start + dx + big[1]]

    for j in range(ORIENTATIONS):
        dy, dx = _offset(j, 0, _SIDE)
        height = view(0, 0) - np.maximum(view(dy, dx), view(-dy, -dx))
        vote = np.clip(height, -_CLIP, _CLIP)
        # doubling: sums over 2, 4, 8, 16 steps along the line; the start is moved back to centre the sum
        for step in (1, 2, 4, 8):
            dy, dx = _offset(j, step, 0)
            rows, columns = vote.shape
            ys, yd, xs, xd = max(dy, 0), max(-dy, 0), max(dx, 0), max(-dx, 0)
            moved = vote.copy()
            moved[yd : rows - ys, xd : columns - xs] += vote[ys : rows - yd, xs : columns - xd]
            vote = moved
        dy, dx = _offset(j, -7.5, 0)
        line = vote[margin + dy : margin + dy + best.shape[0], margin + dx : margin + dx + best.shape[1]]
        better = line > best
        np.copyto(best, line, where=better)
        np.copyto(direction, np.uint8(j), where=better)
        np.copyto(contrast, height[inner], where=better)
        total += line >> 4


def gather(plane: Int16, white: int, black: int, floor: int, reach: Reach) -> Candidates:
    """Find bright ridge pixels of a quantized plane and collect what speaks for and against damage.

    `plane`: int16 (H, W), 0..LEVELS; for dark damage pass LEVELS − plane. `white`, `black`: tones of the whole
    picture's 99.5th and 0.5th percentile, 0..FULL (swapped and inverted for dark). `floor`: least contrast worth a
    look, 0..FULL.
    """
    smoothed = smooth(plane)
    shape = (smoothed.shape[0], smoothed.shape[1])
    padded = _pad(smoothed)
    best, total, direction, contrast = _search(padded, shape)
    flat = padded.reshape(-1)
    step = padded.shape[1]

    strength = np.maximum(best >> 4, 0).astype(np.int16)
    strongest = np.maximum(strength, contrast)
    peak = cv2.dilate(smoothed, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_REFLECT_101) == smoothed
    wanted = (contrast >= floor) & ((best >= floor * 5) | peak)
    rows, columns = np.nonzero(wanted)
    base = ((rows + _PAD) * step + columns + _PAD).astype(np.int32)
    dirs = direction[rows, columns]
    # non-maximum suppression across the line: the ridge's crest only
    beside = _table(step, [(0, 1), (0, -1)])
    crest = (flat[base] >= flat[base + beside[dirs, 0]]) & (flat[base] >= flat[base + beside[dirs, 1]])
    rows, columns, base, dirs = rows[crest], columns[crest], base[crest], dirs[crest]
    own = contrast[rows, columns].astype(np.int32)

    columns_of: list[NDArray[np.float32]] = []
    if len(rows):
        columns_of = _evidence(
            plane, smoothed, flat, step, base, rows, columns, dirs, own, best, total, strongest, white, black, reach
        )
    evidence = np.stack(columns_of, axis=1) if columns_of else np.zeros((0, len(EVIDENCE)), np.float32)
    return Candidates(
        rows=rows.astype(np.int32), columns=columns.astype(np.int32), orientation=dirs, contrast=own, evidence=evidence
    )


def _evidence(
    plane: Int16,
    smoothed: Int16,
    flat: Int16,
    step: int,
    base: NDArray[np.int32],
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
    dirs: NDArray[np.uint8],
    own: NDArray[np.int32],
    best: Int16,
    total: Int16,
    strongest: Int16,
    white: int,
    black: int,
    reach: Reach,
) -> list[NDArray[np.float32]]:
    at = (rows, columns)
    tone = smoothed[at].astype(np.int32)
    unit = np.maximum(own, 1).astype(np.float32)
    inverse = np.float32(1 / FULL)
    f32 = np.float32
    out: dict[str, NDArray[np.float32]] = {}
    out["contrast"] = (own * inverse).astype(np.float32)
    out["vote16"] = (best[at] * inverse).astype(np.float32)
    vote = np.maximum(best[at].astype(np.int32), 1)
    out["vote_best"] = (vote / 16.0 / np.minimum(unit, f32(_CLIP))).astype(np.float32)
    out["vote_mean"] = (total[at] / vote).astype(np.float32)

    # along the line, at and beside the crest
    long = list(range(-reach.line, reach.line + 1, 2))
    short = list(range(-8, 9))
    chunk = 16384
    parts: dict[str, list[NDArray[np.float32]]] = {}

    def put(name: str, value: NDArray[np.generic]) -> None:
        parts.setdefault(name, []).append(value.astype(f32))

    tables = {
        "c": _table(step, [(t, 0) for t in short]),
        "l": _table(step, [(t, _SIDE) for t in short]),
        "r": _table(step, [(t, -_SIDE) for t in short]),
        "C": _table(step, [(t, 0) for t in long]),
        "L": _table(step, [(t, _SIDE) for t in long]),
        "R": _table(step, [(t, -_SIDE) for t in long]),
    }
    profile = {
        d: (_table(step, [(t, d) for t in (-4, -2, 0, 2, 4)]), _table(step, [(t, -d) for t in (-4, -2, 0, 2, 4)]))
        for d in (1, 2, 5, 8)
    }
    core = _table(step, [(t, 0) for t in (-4, -2, 0, 2, 4)])
    # what smoothing took from the crest: damage is as sharp as the scanner, the picture only as its lens
    detail = _pad(np.asarray(plane * np.int16(16) - smoothed, np.int16)).reshape(-1)
    crisp = _table(step, [(t, 0) for t in range(-4, 5)])
    rings = {
        r: np.array(
            sorted(
                {
                    round(r * np.sin(a)) * step + round(r * np.cos(a))
                    for a in np.linspace(0, 2 * np.pi, 8 * r, endpoint=False)
                }
            ),
            np.int32,
        )
        for r in (2, 3, 5, 8)
    }
    for begin in range(0, len(base), chunk):
        part = slice(begin, begin + chunk)
        b, j, u = base[part, None], dirs[part], unit[part]
        c, left, right = (flat[b + tables[k][j]].astype(np.int32) for k in "clr")
        high = np.maximum(left, right)
        rise = np.clip(c - high, -_CLIP * 4, _CLIP * 4)
        n = len(short)
        put("short_mean", rise.sum(1) / n / u)
        put("short_low", np.partition(rise, n // 5, axis=1)[:, n // 5] / u)
        mean_c = c.sum(1) / n
        put("tone_change", np.abs(c - mean_c[:, None]).sum(1) / n / u)
        flank = left + right
        put("flank_change", np.abs(flank - (flank.sum(1) / n)[:, None]).sum(1) / (2 * n) / u)
        put("asymmetry", np.abs((left - right).sum(1)) / n / u)
        put("cross_flank", np.abs(left - right).sum(1) / n / u)
        put("flank_low", (c.min(1) - high.max(1)) / u)
        c, left, right = (flat[b + tables[k][j]].astype(np.int32) for k in "CLR")
        rise = np.clip(c - np.maximum(left, right), -_CLIP * 4, _CLIP * 4)
        n, half = len(long), len(long) // 2
        put("long_mean", rise.sum(1) / n / u)
        put("long_low", np.partition(rise, n // 5, axis=1)[:, n // 5] / u)
        first, second = rise[:, :half].sum(1) / half / u, rise[:, -half:].sum(1) / half / u
        put("half_best", np.maximum(first, second))
        put("half_worst", np.minimum(first, second))
        put("darkest_flank", (c.max(1) - np.minimum(left, right).min(1)) / u)
        fine = detail[b + crisp[j]].astype(np.int32)
        put("crisp", fine.sum(1) / 9 / u)
        put("crisp_low", np.partition(fine, 2, axis=1)[:, 2] / u)
        crest = flat[b + core[j]].astype(np.int32).sum(1)
        for d, (one, two) in profile.items():
            sides = np.maximum(flat[b + one[j]].astype(np.int32).sum(1), flat[b + two[j]].astype(np.int32).sum(1))
            put(f"narrow{d}" if d < 3 else f"wide{d}", (crest - sides) / 5 / u)
        here = flat[b[:, 0]].astype(np.int32)
        for r, ring in rings.items():
            put(f"spot{r}", (here - flat[b + ring].max(1)) / u)
    out.update({name: np.concatenate(values) for name, values in parts.items()})

    # beyond the envelope of thicker things: opening by 7×7 removes what is thin, its maximum is what remains
    thick = cv2.morphologyEx(smoothed, cv2.MORPH_OPEN, np.ones((7, 7), np.uint8), borderType=cv2.BORDER_REFLECT_101)
    for name, radius in (("envelope", reach.near), ("envelope_wide", reach.far - 3)):
        side = 2 * radius + 1
        ceiling = cv2.dilate(thick, np.ones((side, side), np.uint8), borderType=cv2.BORDER_REFLECT_101)
        out[name] = ((tone - ceiling[at]) / unit).astype(np.float32)

    # isolation: how common are ridges of this height, and of half of it, around here
    radii = (reach.near, reach.far)
    counts_near = np.empty((len(_STRENGTHS) + 1, len(base)), f32)
    counts_far = np.empty_like(counts_near)
    counts_near[-1] = counts_far[-1] = 0
    for k, level in enumerate(_STRENGTHS):
        hit = (strongest >= level).view(np.uint8)
        counts_near[k], counts_far[k] = _window_means(hit, radii, rows, columns)
    mine = strongest[at]
    every = np.arange(len(base))
    k_own = np.clip(np.searchsorted(_STRENGTHS, mine, side="right") - 1, 0, None)
    k_half = np.clip(np.searchsorted(_STRENGTHS, mine // 2, side="right") - 1, 0, None)
    out["rank_near"], out["rank_far"] = counts_near[k_own, every], counts_far[k_own, every]
    out["half_rank_near"], out["half_rank_far"] = counts_near[k_half, every], counts_far[k_half, every]

    # texture: mean step between neighbours, relative to the contrast
    steps = (
        cv2.absdiff(smoothed[1:, :-1], smoothed[:-1, :-1]) // 2
        + cv2.absdiff(smoothed[:-1, 1:], smoothed[:-1, :-1]) // 2
    )
    steps = np.minimum(np.pad(steps, ((0, 1), (0, 1)), mode="edge"), 4000).astype(f32)
    near_texture, far_texture = _window_means(steps, radii, rows, columns)
    out["texture_near"] = near_texture / unit
    out["texture_far"] = far_texture / unit
    out["other_near"] = (near_texture / np.maximum(far_texture, 1)).astype(np.float32)

    fine_step = np.abs(_moved(detail.reshape(-1, step), 0, 0, (plane.shape[0], plane.shape[1])))
    grain = np.minimum(fine_step, 4000).astype(np.float32)
    out["grain_near"] = _window_means(grain, radii[:1], rows, columns)[0] / unit

    out["tone"] = ((tone - black) / max(white - black, 1)).astype(np.float32)
    mean = _window_means(smoothed.astype(f32), radii[:1], rows, columns)[0]
    out["over_mean"] = ((tone - mean) / unit).astype(np.float32)
    return [out[name].astype(f32) for name in EVIDENCE]
