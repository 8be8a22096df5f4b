"""Fill of thin damage from its surroundings, in the master's own depth, without a trained model.

First a plane is fitted to the sound pixels around, weighted along the picture's local structure (steering kernel
regression, Takeda et al., IEEE TIP 16, 2007); then similar sound places nearby vote (non-local means, Buades et al.,
2005). Must never change a pixel outside the mask, nor look further than HALO.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Samples = NDArray[Any]
Mask = NDArray[np.bool_]
Floats = NDArray[np.float32]

RIM = 1
"""Pixels around detected damage that its blur has stained: see `with_rim`."""
WIDEST = 16
"""Greatest `max_width`: wider damage has too few sound pixels within reach."""
_REACHES = ((2.5, 6), (4.5, 9), (99.0, 12))  # up to this depth in the damage, sound pixels this near are fitted
_REACH = 12
_TENSOR = 6  # structure is looked at in 13×13 pixels
_ROUNDS = 2  # of structure measured on the previous estimate
_PATCH = 3  # 7×7 patches
_WINDOW = 10  # similar places are sought within 21×21 pixels
_BEST = 32
_CHAIN = _ROUNDS * (_TENSOR + 2) + _WINDOW + _PATCH  # from this far on no estimate reaches a vote
HALO = 64
"""Pixels around a tile that `fill` (on a mask that is itself exact there) and `split_by_width` must see."""
_BATCH = 512  # pixels at once: their neighbourhoods fit the cache
_VOTERS = 128  # likewise, where the neighbourhood is a whole window


@dataclass(frozen=True, kw_only=True)
class FillParameters:
    """What a recipe may choose."""

    max_width: int = 12
    """Wider damage is LOSS and stays, pixels, 1..WIDEST."""
    grain: float = 0.35
    """0 = the most probable value (smooth); 1 = one similar place's own value (full grain)."""


def with_rim(mask: Mask, pixels: int = RIM) -> Mask:
    """Widen a mask by the rim that blur has stained: bool (H, W), 8-neighbourhood `pixels` times."""
    if pixels < 1:
        return mask.copy()
    side = 2 * pixels + 1
    return np.asarray(cv2.dilate(mask.astype(np.uint8), np.ones((side, side), np.uint8)) > 0)


def split_by_width(mask: Mask, max_width: int) -> tuple[Mask, Mask]:
    """Part damage into thin and lost: (thin, loss), disjoint, together the mask.

    A pixel is lost where a disc wider than `max_width` pixels fits into the damage over it; at the frame, where only
    one side can tell what was there, half of it. The rim that such an opening leaves at the corners of a loss
    belongs to the loss; a crack that runs out of it stays thin.
    """
    width = max(int(max_width), 1)
    code = mask.astype(np.uint8)
    disc = _disc(width + 1)
    anchor = disc.shape[0] // 2
    core = cv2.erode(code, disc, anchor=(anchor, anchor), borderType=cv2.BORDER_CONSTANT, borderValue=1)
    if not core.any():
        return mask.copy(), np.zeros_like(mask)
    back = disc.shape[0] - 1 - anchor  # an even disc has no middle: its mirror image does
    opened = cv2.dilate(core, disc, anchor=(back, back), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    corner = 2 * max(1, width // 4) + 1
    grown = cv2.dilate(opened, np.ones((corner, corner), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    loss = (opened > 0) | ((grown > 0) & mask & ~_elongated(mask, opened > 0, corner))
    loss &= mask
    return mask & ~loss, loss


def width_reach(max_width: int) -> int:
    """Pixels around a tile that `split_by_width` must see: the disc, its corners and the walk along a crack."""
    width = max(int(max_width), 1)
    corner = 2 * max(1, width // 4) + 1
    return width + 2 + 3 * corner + 2


def _disc(diameter: int) -> NDArray[np.uint8]:
    at = np.arange(diameter) - (diameter - 1) / 2
    return np.asarray(at[:, None] ** 2 + at[None, :] ** 2 <= (diameter / 2) ** 2, np.uint8)


def _elongated(mask: Mask, loss: Mask, corner: int) -> Mask:
    """Rest of the mask that leaves the neighbourhood of a loss: cracks, not corners."""
    rest = (mask & ~loss).astype(np.uint8)
    far = cv2.dilate(loss.astype(np.uint8), np.ones((corner + 2, corner + 2), np.uint8))
    seeds = ((rest > 0) & (far == 0)).astype(np.uint8)
    three = np.ones((3, 3), np.uint8)
    for _ in range(corner):  # a bounded walk back along the crack, to the edge of the loss
        seeds = cv2.dilate(seeds, three) & rest
    return np.asarray(seeds > 0)


@dataclass(frozen=True, kw_only=True)
class Filled:
    """What `complete` made."""

    samples: Samples
    """Copy of the samples with the fill."""
    done: Mask
    """What was filled: pixels with no sound pixel within reach stay as found."""
    error: Floats
    """(H, W) expected absolute error of a filled pixel's most uncertain channel, share of full scale; 0 elsewhere.
    Calibrated on synthetic damage (docs/explanation/certainty.md): an estimate, not a bound."""


def fill(
    samples: Samples,
    mask: Mask,
    *,
    unsound: Mask | None = None,
    needed: tuple[slice, slice] | None = None,
    grain: float = 0.35,
    seed: int = 0,
    origin: tuple[int, int] = (0, 0),
    white: float | None = None,
) -> tuple[Samples, Mask]:
    """`complete` for those who do not ask how sure it is: the filled copy and the mask of what was filled."""
    made = complete(
        samples, mask, unsound=unsound, needed=needed, grain=grain, seed=seed, origin=origin, white=white
    )  # fmt: skip
    return made.samples, made.done


def complete(
    samples: Samples,
    mask: Mask,
    *,
    unsound: Mask | None = None,
    needed: tuple[slice, slice] | None = None,
    grain: float = 0.35,
    seed: int = 0,
    origin: tuple[int, int] = (0, 0),
    white: float | None = None,
) -> Filled:
    """Fill the masked pixels from their surroundings.

    `samples`: (H, W) or (H, W, C), uint8, uint16 or float32, any channels (all are filled alike); `mask`: bool (H, W),
    rim included (`with_rim`); `unsound`: other pixels that must not be learnt from (losses); `needed`: rows and
    columns whose fill counts, by default all: outside nothing is filled; `grain`: see FillParameters; `seed` and
    `origin` (row and column of samples[0, 0] in the picture) fix the grain, whatever the tiles; `white`: value of full
    scale, by default 255, 65535 or 1.0.
    """
    planes = samples if samples.ndim == 3 else samples[..., None]
    full = float(white or (np.iinfo(samples.dtype).max if samples.dtype.kind == "u" else 1.0))
    done = np.zeros(mask.shape, np.bool_)
    out = samples.copy()
    error = np.zeros(mask.shape, np.float32)
    wanted, counts = mask, mask
    if needed is not None:
        counts = np.zeros_like(mask)
        counts[needed] = mask[needed]
        wanted = mask & _around(needed, _CHAIN, mask.shape)
    if not counts.any():
        return Filled(samples=out, done=done, error=error)
    box = _box_around(wanted, HALO)
    part = planes[box].astype(np.float32) / np.float32(full)
    unknown = mask[box] | ~np.isfinite(part).all(axis=2)
    if unsound is not None:
        unknown |= unsound[box]
    part = np.where(unknown[..., None], np.float32(0), part)
    work = _Work(part, unknown, wanted[box])
    estimate = work.regress()
    top, left = origin[0] + (box[0].start or 0), origin[1] + (box[1].start or 0)
    voters = np.nonzero(work.possible & counts[box][work.rows, work.columns])[0]
    values, spread = work.vote(estimate, voters, grain, seed, top, left)
    values = values * np.float32(full)
    rows, columns = work.rows[voters], work.columns[voters]
    if samples.dtype.kind == "u":
        values = np.clip(np.rint(values), 0, np.iinfo(samples.dtype).max)
    target = out[box] if samples.ndim == 3 else out[box][..., None]
    target[rows, columns] = values.astype(samples.dtype)
    done[box][rows, columns] = True
    error[box][rows, columns] = _expected(spread)
    return Filled(samples=out, done=done, error=error)


def _expected(spread: Floats) -> Floats:
    """Expected absolute error from the disagreement of the voters: fitted on synthetic damage over five photographs.

    On four others the mean of each tenth was right within 0.008 of full scale, 0.004 on average.
    """
    return np.asarray(np.minimum(spread * np.float32(1.4), spread * np.float32(0.7) + np.float32(0.035)), np.float32)


def _around(part: tuple[slice, slice], margin: int, shape: tuple[int, ...]) -> Mask:
    """A rectangle and what lies up to `margin` pixels around it: bool of `shape`."""
    inside = np.zeros(shape, np.bool_)
    rows, columns = (slice(max(side.start - margin, 0), side.stop + margin) for side in part)
    inside[rows, columns] = True
    return inside


def _box_around(mask: Mask, margin: int) -> tuple[slice, slice]:
    rows, columns = np.nonzero(mask.any(axis=1))[0], np.nonzero(mask.any(axis=0))[0]
    return (
        slice(max(int(rows[0]) - margin, 0), min(int(rows[-1]) + margin + 1, mask.shape[0])),
        slice(max(int(columns[0]) - margin, 0), min(int(columns[-1]) + margin + 1, mask.shape[1])),
    )


def _offsets(radius: int, *, disc: bool) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    rows, columns = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    inside = (rows**2 + columns**2 <= radius * radius + 1) if disc else np.ones(rows.shape, np.bool_)
    inside &= (rows != 0) | (columns != 0)
    return rows[inside].astype(np.intp), columns[inside].astype(np.intp)


def _falloff(x: Floats) -> Floats:
    """(1 + x/8)^-8, near exp(−x): only operations that round alike everywhere, so tiles agree bit for bit."""
    y = np.float32(1) + np.minimum(x, np.float32(1e4)) * np.float32(0.125)  # 1e4: overflow ends far behind
    y = y * y
    y = y * y
    return np.asarray(np.float32(1) / (y * y))


class _Work:
    """A padded piece of the picture around damage, flattened for gathering."""

    PAD = 16

    def __init__(self, part: Floats, unknown: Mask, wanted: Mask) -> None:
        pad = self.PAD
        mode = "reflect" if min(unknown.shape) > pad else "edge"
        self.part, self.mode = part, mode
        self.picture = self._padded(part)
        self.sound = np.pad(~unknown, pad, mode=mode)  # type: ignore[call-overload]
        self.usable = np.pad(~unknown | wanted, pad, mode=mode)  # type: ignore[call-overload]
        self.step = self.sound.shape[1]
        self.channels = part.shape[2]
        self.rows, self.columns = np.nonzero(wanted)
        self.base = (self.rows + pad) * self.step + self.columns + pad
        # squared distances are whole numbers: rounding undoes what OpenCV's threads leave in the last bits
        distance = cv2.distanceTransform(self.sound.astype(np.uint8) ^ 1, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        distance = np.minimum(distance, _REACH).reshape(-1)[self.base]
        self.depth = np.sqrt(np.rint(distance * distance)).astype(np.float32)
        self.possible = np.zeros(len(self.base), np.bool_)
        weights = {1: (1.0,), 2: (1.0, 0.0)}.get(self.channels, (0.25, 0.5, 0.25) + (0.0,) * (self.channels - 3))
        self.weights = np.array(weights, np.float32)

    def luma(self, values: Floats) -> Floats:
        """Structure is measured on one plane: (…, C) to (…)."""
        total = values[..., 0] * self.weights[0]
        for k in range(1, self.channels):
            if self.weights[k]:
                total = total + values[..., k] * self.weights[k]
        return np.asarray(total, np.float32)

    def regress(self) -> Floats:
        """Steered local planes: (N, C)."""
        estimate = self._planes(None)
        for _ in range(_ROUNDS):
            estimate = self._planes(self._structure(estimate))
        return estimate

    def _padded(self, part: Floats) -> Floats:
        pad = self.PAD
        return np.asarray(np.pad(part, ((pad, pad), (pad, pad), (0, 0)), mode=self.mode))  # type: ignore[call-overload]

    def _with(self, estimate: Floats) -> Floats:
        """The padded picture with the estimate in place of the damage, in the padding too: (pixels, C)."""
        part = self.part.copy()
        part[self.rows, self.columns] = estimate
        return self._padded(part).reshape(-1, self.channels)

    def _structure(self, estimate: Floats) -> tuple[Floats, Floats, Floats]:
        """Metric of each wanted pixel (a11, a12, a22 over x, y): short across edges, long along them, area kept."""
        plane = self.luma(self._with(estimate)).reshape(self.sound.shape)
        wide = np.pad(plane, 2, mode="edge")
        rows = wide[:-2] + wide[1:-1] * 2 + wide[2:]
        fine = (rows[:, :-2] + rows[:, 1:-1] * 2 + rows[:, 2:]) * np.float32(1 / 16)
        gx = (fine[1:-1, 2:] - fine[1:-1, :-2]).reshape(-1)
        gy = (fine[2:, 1:-1] - fine[:-2, 1:-1]).reshape(-1)
        clear = ~(np.asarray(cv2.dilate((~self.usable).astype(np.uint8), np.ones((5, 5), np.uint8))) > 0)
        gx, gy = gx * clear.reshape(-1), gy * clear.reshape(-1)
        dy, dx = _offsets(_TENSOR, disc=True)
        dy, dx = np.append(dy, 0), np.append(dx, 0)
        weight = _falloff(((dy * dy + dx * dx) / (2 * 2.3**2)).astype(np.float32))
        weight /= weight.sum()
        flat = dy * self.step + dx
        jxx, jxy, jyy = (np.empty(len(self.base), np.float32) for _ in range(3))
        for begin in range(0, len(self.base), _BATCH):
            part = slice(begin, begin + _BATCH)
            at = self.base[part, None] + flat
            x, y = gx[at], gy[at]
            jxx[part] = (x * x * weight).sum(axis=1)
            jxy[part] = (x * y * weight).sum(axis=1)
            jyy[part] = (y * y * weight).sum(axis=1)
        mean, half = (jxx + jyy) / 2, (jxx - jyy) / 2
        spread = np.sqrt(half * half + jxy * jxy)
        across, along = np.sqrt(mean + spread), np.sqrt(np.maximum(mean - spread, 0))
        stretch = np.minimum(np.sqrt((across + np.float32(0.008)) / (along + np.float32(0.008))), np.float32(3))
        safe = np.maximum(spread, np.float32(1e-12))
        cos2, sin2 = half / safe, jxy / safe  # of twice the gradient's direction
        middle, swing = (stretch + 1 / stretch) / 2, (stretch - 1 / stretch) / 2
        a11, a12, a22 = middle + cos2 * swing, sin2 * swing, middle - cos2 * swing
        return a11.astype(np.float32), a12.astype(np.float32), a22.astype(np.float32)

    def _planes(self, metric: tuple[Floats, Floats, Floats] | None) -> Floats:
        """Weighted fit of c + a·dx + b·dy to the sound pixels around; the value is c, kept in their range."""
        out = np.zeros((len(self.base), self.channels), np.float32)
        above = np.float32(0)
        for depth, reach in _REACHES:
            chosen = np.nonzero((self.depth > above) & (self.depth <= depth))[0]
            above = np.float32(depth)
            for begin in range(0, len(chosen), _BATCH):
                part = chosen[begin : begin + _BATCH]
                out[part] = self._plane_at(part, reach, metric)
        return out

    def _plane_at(self, part: NDArray[np.intp], reach: int, metric: tuple[Floats, Floats, Floats] | None) -> Floats:
        dy, dx = _offsets(reach, disc=True)
        flat = dy * self.step + dx
        x, y = dx.astype(np.float32), dy.astype(np.float32)
        sound = self.sound.reshape(-1)
        picture = self.picture.reshape(-1, self.channels)
        out = np.empty((len(part), self.channels), np.float32)
        at = self.base[part, None] + flat
        known = sound[at]
        if metric is None:
            distance = np.broadcast_to(x * x + y * y, at.shape)
        else:
            a11, a12, a22 = (m[part, None] for m in metric)
            distance = a11 * (x * x) + (a12 * 2) * (x * y) + a22 * (y * y)
        size = np.float32(0.35) * self.depth[part, None] + np.float32(0.4)
        w = _falloff(distance / (2 * size * size)) * known
        w += known * (np.float32(1e-7) / (1 + distance))
        w64 = w.astype(np.float64)
        s0, sx, sy = w64.sum(axis=1), (w64 * x).sum(axis=1), (w64 * y).sum(axis=1)
        ridge = 1e-3 * s0 * size[:, 0].astype(np.float64) ** 2 + 1e-30
        sxx, syy = (w64 * (x * x)).sum(axis=1) + ridge, (w64 * (y * y)).sum(axis=1) + ridge
        sxy = (w64 * (x * y)).sum(axis=1)
        # first row of the inverse normal matrix, by cofactors
        c0, c1, c2 = sxx * syy - sxy * sxy, sxy * sy - sx * syy, sx * sxy - sxx * sy
        det = s0 * c0 + sx * c1 + sy * c2
        det = np.where(det > 0, det, 1)
        k0, k1, k2 = ((c / det).astype(np.float32)[:, None] for c in (c0, c1, c2))
        equivalent = w * (k0 + k1 * x + k2 * y)
        self.possible[part] = known.any(axis=1)
        for c in range(self.channels):
            v = picture[:, c][at]
            value = (equivalent * v).sum(axis=1)
            heavy = w > w.max(axis=1, keepdims=True) * np.float32(0.02)
            low = np.where(heavy, v, np.inf).min(axis=1)
            high = np.where(heavy, v, -np.inf).max(axis=1)
            out[:, c] = np.where(np.isfinite(low), np.clip(value, low, high), value)
        return out

    def vote(
        self, estimate: Floats, voters: NDArray[np.intp], grain: float, seed: int, top: int, left: int
    ) -> tuple[Floats, Floats]:
        """Similar sound places within the window vote with their own values for some of the pixels.

        Returns values (voters, C), and the deviation of the votes in the channel where they disagree most (voters,).
        """
        whole = self._with(estimate)
        plane = self.luma(whole)
        sound = self.sound.reshape(-1)
        trust = np.where(sound, np.float32(1), np.float32(0.05)) * self.usable.reshape(-1)
        trust[self.base[~self.possible]] = 0
        base, estimate = self.base[voters], estimate[voters]
        chance = _chance(self.rows[voters], self.columns[voters], seed, top, left)
        out = np.empty_like(estimate)
        spread = np.zeros(len(base), np.float32)
        dy, dx = _offsets(_WINDOW, disc=False)
        places = (dy * self.step + dx)[:, None]
        middle = len(places) // 2
        for begin in range(0, len(base), _VOTERS):
            part = slice(begin, begin + _VOTERS)
            centre = base[part]
            around = _Around(plane, trust, centre, self.step)
            usable = sound[places + centre]
            rough = around.rough()
            rough = np.where(usable, np.concatenate([rough[:middle], rough[middle + 1 :]]), np.float32(1e9))
            best = np.argpartition(np.ascontiguousarray(rough.T), _BEST, axis=1)[:, :_BEST].T
            best = np.sort(best, axis=0)
            usable = np.take_along_axis(usable, best, axis=0)
            d = np.where(usable, around.exact(best + (best >= middle)), np.float32(1e9))
            scale = np.partition(d, 8, axis=0)[8]
            w = _falloff(d / (np.float32(0.35) * scale + np.float32(1e-7))) * usable
            running = np.cumsum(w, axis=0)
            total = running[-1]
            pick = (running < chance[part] * total).sum(axis=0).clip(0, _BEST - 1)
            at = places[best, 0] + centre
            drawn = np.take_along_axis(at, pick[None], axis=0)[0]
            some = total > 0
            for c in range(self.channels):
                channel = whole[:, c]
                value = (w * channel[at]).sum(axis=0) / np.where(some, total, 1)
                apart = channel[at] - value
                variance = (w * apart * apart).sum(axis=0) / np.where(some, total, 1)
                shift = value - estimate[part, c]
                spread[part] = np.maximum(spread[part], np.sqrt(variance + shift * shift))
                value = value * np.float32(0.75) + estimate[part, c] * np.float32(0.25)
                value = value + np.float32(grain) * (channel[drawn] - value)
                out[part, c] = np.where(some, value, estimate[part, c])
        return out, spread


class _Around:
    """What lies around some pixels, gathered once and compared by shifting: arrays run over the n pixels last.

    Patches are compared by their mean squared difference, weighted by the trust in both.
    """

    SIDE = 2 * _WINDOW + 1
    REACH = 2 * (_WINDOW + _PATCH) + 1

    def __init__(self, plane: Floats, trust: Floats, centre: NDArray[np.intp], step: int) -> None:
        rows = np.arange(-(self.REACH // 2), self.REACH // 2 + 1)
        at = (rows[:, None] * step + rows).reshape(-1, 1) + centre
        self.plane = plane[at].reshape(self.REACH, self.REACH, -1)
        self.trust = trust[at].reshape(self.REACH, self.REACH, -1)
        shape = (self.SIDE, self.SIDE, len(centre))
        self.above, self.below = np.zeros(shape, np.float32), np.full(shape, 1e-9, np.float32)

    def rough(self) -> Floats:
        """Distance to each place of the window by the patch's most telling pixels: (SIDE², n)."""
        w, step = np.empty_like(self.above), np.empty_like(self.above)
        for y, x, weight in _TELLING:
            there = slice(_PATCH + y, _PATCH + y + self.SIDE), slice(_PATCH + x, _PATCH + x + self.SIDE)
            here = self.REACH // 2 + y, self.REACH // 2 + x
            np.multiply(self.trust[there], self.trust[here] * weight, out=w)
            np.subtract(self.plane[there], self.plane[here], out=step)
            self.below += w
            w *= step
            w *= step
            self.above += w
        np.divide(self.above, self.below, out=step)
        return step.reshape(self.SIDE * self.SIDE, -1)

    def exact(self, places: NDArray[np.intp]) -> Floats:
        """Distance to some places, (k, n) of SIDE², by all of the patch, once `rough` has seen its part: (k, n)."""
        count = self.plane.shape[2]
        own = np.arange(count)
        above, below = (total.reshape(-1)[places * count + own] for total in (self.above, self.below))
        down, across = np.divmod(places, self.SIDE)
        corner = (down * self.REACH + across) * count + own
        plane, trust = self.plane.reshape(-1), self.trust.reshape(-1)
        w, step = np.empty_like(above), np.empty_like(above)
        for y, x, weight in _REST:
            here = self.REACH // 2 + y, self.REACH // 2 + x
            shift = ((_PATCH + y) * self.REACH + _PATCH + x) * count
            # No index is out of range: "clip" only spares numpy a copy.
            np.take(trust[shift:], corner, out=w, mode="clip")
            np.take(plane[shift:], corner, out=step, mode="clip")
            w *= self.trust[here] * weight
            step -= self.plane[here]
            below += w
            w *= step
            w *= step
            above += w
        above /= below
        return np.asarray(above)


def _patch_weights(*, telling: bool) -> tuple[tuple[int, int, np.float32], ...]:
    """(row, column, weight) of pixels of a patch, from its middle: a coarse lattice near the middle, or the rest."""
    rows = range(-_PATCH, _PATCH + 1)
    chosen = [(y, x) for y in rows for x in rows if ((y + x) % 2 == 0 and max(abs(y), abs(x)) <= 2) == telling]
    falloff = [np.asarray((y * y + x * x) / (2 * 2.4**2), np.float32) for y, x in chosen]
    return tuple((y, x, np.float32(_falloff(far))) for (y, x), far in zip(chosen, falloff, strict=True))


_TELLING = _patch_weights(telling=True)
_REST = _patch_weights(telling=False)


_CELL = 64


def _chance(rows: NDArray[np.intp], columns: NDArray[np.intp], seed: int, top: int, left: int) -> Floats:
    """One uniform number a pixel, fixed by seed and place in the picture: Philox keyed by 64×64 cells."""
    y, x = rows + top, columns + left
    cell_y, cell_x = y // _CELL, x // _CELL
    out = np.empty(len(rows), np.float32)
    cells = np.unique(np.stack([cell_y, cell_x], axis=1), axis=0) if len(rows) else np.empty((0, 2), np.intp)
    for cy, cx in cells:
        key = np.array([seed & 0xFFFFFFFFFFFFFFFF, (int(cy) << 32) | int(cx)], np.uint64)
        table = np.random.Generator(np.random.Philox(key=key)).random((_CELL, _CELL), np.float32)
        inside = (cell_y == cy) & (cell_x == cx)
        out[inside] = table[y[inside] - cy * _CELL, x[inside] - cx * _CELL]
    return out
