"""Finds, for every pixel of a hole, which sound pixel of the same picture may stand in for it.

Coarse to fine, patches of the hole are matched with sound ones and vote for its content (Wexler et al., PAMI 29, 2007;
PatchMatch, Barnes et al., SIGGRAPH 2009). Texture joins the match (Newson et al., SIIMS 7, 2014), and what was used
often costs more (Kaspar et al., CGF 34, 2015), so that no block repeats. No model, and no number that is not Philox's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]
Indices = NDArray[np.intp]

RADIUS = 3
"""Patches have 2·RADIUS + 1 rows and columns."""
_SIDE = 2 * RADIUS + 1
_DIMENSIONS = 24  # of a patch's description, its principal components
_TEXTURE = 4.0  # weight of the texture planes beside colour
_TONE = 0.1  # weight of the smooth tone that the surroundings suggest
_DOWN, _ACROSS = 0.1, 0.02  # what it costs to look as far as the hole is deep, as a share of the patches' variance
_OFTEN = 0.01  # what another use of a place costs, likewise
_SHALLOW = 5  # deepest hole of the coarsest level, pixels
_EXACT = 3e8  # comparisons up to which every patch is compared with every other
_ROUNDS = (10, 8, 6, 5, 4)  # from the coarsest level on
_BORDER = 1e-3  # what a border between two pieces costs a pixel, even where none is seen
_FEW = 200  # patches that a level must have to choose from


@dataclass(frozen=True, kw_only=True)
class Taste:
    """What makes one completion differ from another."""

    seed: int = 0
    adventure: float = 0.0
    """How far a first choice may be from the best one, 0 (never) to about 1."""
    tone: float = 1.0
    """Trust in the smooth tone that the surroundings suggest."""
    away: Mask | None = None
    """Bool (h, w): places not to take anything from, where there are others."""


@dataclass(frozen=True, kw_only=True)
class Matches:
    """What was found for a hole."""

    shifts: NDArray[np.int32]
    """(h, w, 2): rows and columns from a pixel of the hole to the one that stands in for it; 0 elsewhere."""
    voted: Floats
    """(h, w, c): the picture with what the patches voted for, softer than any of them."""
    apart: Floats
    """(h, w): how badly the patch around a pixel fits, mean squared difference; 0 outside the hole."""
    used: Mask
    """(h, w): what was taken."""


def match(picture: Floats, hole: Mask, usable: Mask, taste: Taste) -> Matches | None:
    """Match a hole with the rest of a picture; None where there is too little of it to choose from.

    `picture`: float32 (h, w, c), 1 or 3 channels in [0, 1], values in the hole do not matter; `usable`: bool (h, w),
    what may be taken; the outermost RADIUS + 1 rows and columns are only looked at.
    """
    levels = _pyramid(picture, hole, usable & ~hole, taste.away)
    if not levels:
        return None
    top = levels[-1]
    tone = _membrane(top.picture, top.hole)
    found: tuple[_Level, Indices] | None = None
    apart: Floats = np.zeros(0, np.float32)
    for number, planes in enumerate(reversed(levels)):
        size = planes.hole.shape[::-1]
        level = _Level(planes, cv2.resize(tone, size).reshape(*planes.hole.shape, -1), taste.tone)
        random = _random(taste.seed, number)
        if found is None:
            level.peel(taste.adventure, random)
            chosen, _ = level.nearest(level.wanted(), level.no_cost())
        else:
            chosen, far = level.inherited(*found, random)
            level.vote(chosen, far, 1.0)
        chosen, apart = _refine(level, chosen, _ROUNDS[min(number, len(_ROUNDS) - 1)], random)
        found = (level, chosen)
    assert found is not None
    level, chosen = found
    chosen = _settle(level, chosen)
    return level.told(chosen, apart, picture.shape[2])


def _refine(level: _Level, chosen: Indices, rounds: int, random: np.random.Generator) -> tuple[Indices, Floats]:
    """Match and vote by turns."""
    cost = level.no_cost()
    apart: Floats = np.zeros(0, np.float32)
    exact = len(level.targets) * len(level.sources) < _EXACT
    for number in range(rounds):
        wanted = level.wanted()
        if exact:
            chosen, _ = level.nearest(wanted, cost)
        else:
            chosen = level.search(chosen, wanted, cost, 1 if number else 2, random)
        apart = level.distance(wanted, chosen, level.no_cost())
        cost = level.wear(chosen)
        level.vote(chosen, apart, 1.0 if number + 1 < rounds else 0.3)
    return chosen, apart


def _random(*key: int) -> np.random.Generator:
    first, second = (part & 0xFFFFFFFFFFFFFFFF for part in key)
    return np.random.Generator(np.random.Philox(key=np.array([first, second], np.uint64)))


# --- levels ------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Planes:
    """A picture at one scale."""

    picture: Floats
    texture: Floats
    """(h, w, 2): mean size of the steps across and down."""
    hole: Mask
    source: Mask
    """Middles of patches that may be taken."""


def _pyramid(picture: Floats, hole: Mask, usable: Mask, away: Mask | None) -> list[_Planes]:
    """The picture at its own size, half of it, and so on until the hole is shallow; empty without a sound patch."""
    known = ~hole
    texture = _texture(picture, known)
    levels: list[_Planes] = []
    while True:
        source = _middles(usable)
        if away is not None:
            rest = source & ~away
            source = rest if rest.sum() >= max(_FEW, 0.2 * source.sum()) else source
        if source.sum() < (_FEW if levels else 1):
            return levels
        levels.append(_Planes(picture=picture, texture=texture, hole=~known, source=source))
        depth = cv2.distanceTransform((~known).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5).max()
        if depth <= _SHALLOW or min(known.shape) < 6 * _SIDE:
            return levels
        picture, texture = halved(picture, known), halved(texture, known)
        known, usable = all_of(known), all_of(usable)
        away = all_of(away) if away is not None else None


def halved(planes: Floats, known: Mask) -> Floats:
    """Means of 2×2 pixels, of those that are known: (h, w, c) to (h // 2, w // 2, c)."""
    height, width = known.shape[0] // 2 * 2, known.shape[1] // 2 * 2
    weight = known[:height, :width].astype(np.float32)
    size = (width // 2, height // 2)
    total = cv2.resize(planes[:height, :width] * weight[:, :, None], size, interpolation=cv2.INTER_AREA)
    share = np.maximum(cv2.resize(weight, size, interpolation=cv2.INTER_AREA), 0.25)
    return np.asarray(total.reshape(*share.shape, -1) / share[:, :, None], np.float32)


def all_of(mask: Mask) -> Mask:
    """Whether all of 2×2 pixels are set: (h, w) to (h // 2, w // 2)."""
    height, width = mask.shape[0] // 2 * 2, mask.shape[1] // 2 * 2
    part = mask[:height, :width]
    return np.asarray(part[::2, ::2] & part[::2, 1::2] & part[1::2, ::2] & part[1::2, 1::2])


def _middles(usable: Mask) -> Mask:
    """Middles of patches that are usable as a whole."""
    inner = cv2.erode(usable.astype(np.uint8), np.ones((_SIDE, _SIDE), np.uint8), borderValue=0) > 0
    return np.asarray(inner)


def _texture(picture: Floats, known: Mask) -> Floats:
    luma = picture.mean(axis=2)
    sure = cv2.erode(known.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(np.float32)
    count = np.maximum(cv2.blur(sure, (5, 5)), 1e-3)
    steps = (np.diff(luma, axis=axis, append=luma.take([-1], axis)) for axis in (1, 0))
    planes = [cv2.blur(np.abs(step) * sure, (5, 5)) / count for step in steps]
    return np.stack(planes, axis=2).astype(np.float32) * np.float32(_TEXTURE)


def _membrane(picture: Floats, hole: Mask) -> Floats:
    """Local means outside the hole, spanned over it like a skin (Laplace's equation): (h, w, c)."""
    known = (~hole).astype(np.float32)
    count = np.maximum(cv2.blur(known, (5, 5)), 1e-3)[:, :, None]
    made = cv2.blur(picture * known[:, :, None], (5, 5)).reshape(picture.shape) / count
    made[hole] = made[~hole].mean(axis=0)
    for _ in range(400):
        padded = np.pad(made, ((1, 1), (1, 1), (0, 0)), "edge")
        around = padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]
        made[hole] = around[hole] / 4
    return np.asarray(made, np.float32)


class _Level:
    """Matching and voting at one scale. Places are indices of the flattened picture; sources are told by number."""

    def __init__(self, planes: _Planes, tone: Floats, trust: float) -> None:
        self.height, self.width = planes.hole.shape
        self.hole = planes.hole.ravel()
        flat = np.concatenate([planes.picture, planes.texture], axis=2)
        self.flat: Floats = flat.reshape(self.hole.size, -1)
        self.around = _patch(self.width)
        near = cv2.dilate(planes.hole.astype(np.uint8), np.ones((_SIDE, _SIDE), np.uint8)) > 0
        near[:RADIUS] = near[-RADIUS:] = False
        near[:, :RADIUS] = near[:, -RADIUS:] = False
        self.targets: Indices = np.flatnonzero(near)
        self.sources: Indices = np.flatnonzero(planes.source)
        self.number_of = np.full(self.hole.size, -1, np.intp)
        self.number_of[self.sources] = np.arange(len(self.sources))
        self.target_of = np.full(self.hole.size, -1, np.intp)
        self.target_of[self.targets] = np.arange(len(self.targets))
        depth = cv2.distanceTransform(planes.hole.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
        self.trust = np.power(1.25, -np.minimum(depth.ravel()[self.targets], 30)).astype(np.float32)
        self._describe(tone.reshape(self.hole.size, -1), trust, 2 * max(float(depth.max()), RADIUS))

    def _describe(self, tone: Floats, trust: float, far: float) -> None:
        some = self.sources[np.linspace(0, len(self.sources) - 1, min(len(self.sources), 6000)).astype(int)]
        patches = self.patches(some)
        self._mean = patches.mean(axis=0)
        patches -= self._mean
        _, vectors = np.linalg.eigh((patches.T @ patches) / len(patches))
        self._basis = np.ascontiguousarray(vectors[:, -_DIMENSIONS:], np.float32)
        self.variance = float(np.square(patches).sum(axis=1).mean()) + 1e-6
        place = np.stack(np.divmod(np.arange(self.hole.size), self.width), axis=1).astype(np.float32)
        scale = np.sqrt(np.array([_DOWN, _ACROSS]) * self.variance) / far
        lean = tone * np.float32(np.sqrt(_TONE * trust) * _SIDE)
        self._fixed = np.concatenate([place * scale.astype(np.float32), lean], axis=1)
        self._described = self._descriptions(self.sources)

    def patches(self, places: Indices) -> Floats:
        """(n, patch)."""
        return np.asarray(self.flat[places[:, None] + self.around].reshape(len(places), -1))

    def _descriptions(self, places: Indices) -> Floats:
        parts = [
            (self.patches(places[at : at + 16384]) - self._mean) @ self._basis for at in range(0, len(places), 16384)
        ]
        return np.ascontiguousarray(np.concatenate([np.concatenate(parts), self._fixed[places]], axis=1))

    def wanted(self) -> Floats:
        """Descriptions of the target patches as the picture is now."""
        return self._descriptions(self.targets)

    def no_cost(self) -> Floats:
        """(sources,) of 0."""
        return np.zeros(len(self.sources), np.float32)

    def peel(self, adventure: float, random: np.random.Generator) -> None:
        """Fill the hole from its rim inwards, each pixel from the patch that fits best what is known around it."""
        known = ~self.hole
        inner = np.zeros((self.height, self.width), np.bool_)
        inner[RADIUS:-RADIUS, RADIUS:-RADIUS] = True
        todo = self.hole & inner.ravel()
        channels = self.flat.shape[1]
        patches = self.patches(self.sources)
        squares = patches * patches
        fixed = self._fixed[self.sources]
        while todo.any():
            rim = cv2.dilate(known.reshape(inner.shape).astype(np.uint8), np.ones((3, 3), np.uint8)).ravel() > 0
            places = np.flatnonzero(rim & todo)
            if not len(places):
                break
            seen = known[places[:, None] + self.around].astype(np.float32).repeat(channels, axis=1)
            mine = self.patches(places) * seen
            apart = seen @ squares.T - 2 * (mine @ patches.T) + np.square(mine).sum(axis=1, keepdims=True)
            apart *= seen.shape[1] / seen.sum(axis=1, keepdims=True)
            lean = self._fixed[places]
            apart += np.square(lean).sum(axis=1, keepdims=True) - 2 * (lean @ fixed.T) + np.square(fixed).sum(axis=1)
            if adventure > 0:
                least = apart.min(axis=1, keepdims=True) + np.float32(0.01 * self.variance)
                apart -= np.float32(adventure) * least * random.gumbel(size=apart.shape).astype(np.float32)
            self.flat[places] = self.flat[self.sources[apart.argmin(axis=1)]]
            known[places] = True
            todo[places] = False

    def nearest(self, wanted: Floats, cost: Floats) -> tuple[Indices, Floats]:
        """The best source of each target, by comparing all: numbers and distances."""
        chosen = np.empty(len(wanted), np.intp)
        apart = np.empty(len(wanted), np.float32)
        size = np.square(self._described).sum(axis=1) + cost
        step = max(1, int(4e6 // len(self.sources)))
        for at in range(0, len(wanted), step):
            part = size - 2 * (wanted[at : at + step] @ self._described.T)
            best = part.argmin(axis=1)
            chosen[at : at + step] = best
            apart[at : at + step] = part[np.arange(len(best)), best]
        return chosen, apart

    def distance(self, wanted: Floats, chosen: Indices, cost: Floats) -> Floats:
        """(n,) for n wanted descriptions and sources."""
        apart = self._described[chosen] - wanted
        return np.asarray(np.einsum("ij,ij->i", apart, apart) + cost[chosen], np.float32)

    def search(
        self, chosen: Indices, wanted: Floats, cost: Floats, rounds: int, random: np.random.Generator
    ) -> Indices:
        """PatchMatch: take what the neighbours found, and look about at random."""
        chosen = chosen.copy()
        apart = self.distance(wanted, chosen, cost)

        def offer(number: Indices) -> None:
            some = np.flatnonzero((number >= 0) & (number != chosen))
            found = self.distance(wanted[some], number[some], cost)
            better = found < apart[some]
            chosen[some[better]] = number[some[better]]
            apart[some[better]] = found[better]

        for _ in range(rounds):
            for step in (1, 4, 2, 1):
                for down, across in ((0, step), (0, -step), (step, 0), (-step, 0)):
                    other = self._moved(self.targets, down, across, self.target_of)
                    theirs = self.sources[chosen[np.maximum(other, 0)]]
                    number = self._moved(theirs, -down, -across, self.number_of)
                    offer(np.where(other >= 0, number, -1))
            reach = max(self.height, self.width) // 2
            while reach >= 2:
                moves = np.rint((random.random((2, len(chosen))) * 2 - 1) * reach).astype(np.intp)
                offer(self._moved(self.sources[chosen], moves[0], moves[1], self.number_of))
                reach //= 2
        return chosen

    def _moved(self, places: Indices, down: Indices | int, across: Indices | int, numbers: Indices) -> Indices:
        """Numbers of places moved by rows and columns; -1 beyond the picture or where there is none."""
        rows, columns = np.divmod(places, self.width)
        rows, columns = rows + down, columns + across
        inside = (rows >= 0) & (rows < self.height) & (columns >= 0) & (columns < self.width)
        return np.where(inside, numbers[np.where(inside, rows * self.width + columns, 0)], -1)

    def wear(self, chosen: Indices) -> Floats:
        """What each source costs for having been used around it."""
        count = np.bincount(self.sources[chosen], minlength=self.hole.size).astype(np.float32)
        use = cv2.blur(count.reshape(self.height, self.width), (_SIDE, _SIDE)).ravel()[self.sources]
        return np.asarray(_OFTEN * self.variance * np.clip(use - 1, 0, 5), np.float32)

    def vote(self, chosen: Indices, apart: Floats, softness: float) -> None:
        """Make the hole the mean of what the patches over it say, those that fit well before the others."""
        scale = np.float32(np.percentile(apart, 60) * 0.6 * softness + 1e-8)
        weight = np.exp(-np.minimum((apart - apart.min()) / scale, 60)) * self.trust + np.float32(1e-20)
        total, count = np.zeros_like(self.flat), np.zeros(len(self.flat), np.float32)
        places = self.sources[chosen]
        for step in self.around:  # no target twice in one step
            total[self.targets + step] += self.flat[places + step] * weight[:, None]
            count[self.targets + step] += weight
        done = self.hole & (count > 0)
        self.flat[done] = total[done] / count[done, None]

    def inherited(self, coarse: _Level, chosen: Indices, random: np.random.Generator) -> tuple[Indices, Floats]:
        """What a level of half the size found, and how little to trust it where it found nothing."""
        rows, columns = np.divmod(self.targets, self.width)
        at = np.minimum(rows // 2, coarse.height - 1) * coarse.width + np.minimum(columns // 2, coarse.width - 1)
        number = coarse.target_of[at]
        theirs = coarse.sources[chosen[np.maximum(number, 0)]]
        down, across = np.divmod(theirs, coarse.width)
        down = np.clip(2 * down + rows % 2, 0, self.height - 1)
        across = np.clip(2 * across + columns % 2, 0, self.width - 1)
        mine = np.where(number >= 0, self.number_of[down * self.width + across], -1)
        lost = np.flatnonzero(mine < 0)
        mine[lost] = random.integers(0, len(self.sources), len(lost))
        far = np.ones(len(mine), np.float32)
        far[lost] = 50
        return mine, far

    def told(self, chosen: Indices, apart: Floats, channels: int) -> Matches:
        """The result at this level."""
        inner = self.hole[self.targets]
        places, from_ = self.targets[inner], self.sources[chosen[inner]]
        shifts = np.zeros((self.hole.size, 2), np.int32)
        shifts[places] = np.stack(np.divmod(from_, self.width), 1) - np.stack(np.divmod(places, self.width), 1)
        fit = np.zeros(self.hole.size, np.float32)
        fit[places] = apart[inner] / (_SIDE * _SIDE * channels)
        used = np.zeros(self.hole.size, np.bool_)
        used[from_] = True
        shape = (self.height, self.width)
        return Matches(
            shifts=shifts.reshape(*shape, 2),
            voted=self.flat[:, :channels].reshape(*shape, channels),
            apart=fit.reshape(shape),
            used=used.reshape(shape),
        )


def _patch(width: int) -> Indices:
    """Steps from a middle to the pixels of its patch."""
    at = np.arange(-RADIUS, RADIUS + 1)
    return np.asarray((at[:, None] * width + at).ravel(), np.intp)


# --- pieces ------------------------------------------------------------------------------------------


def _settle(level: _Level, chosen: Indices) -> Indices:
    """Make what is copied come in pieces whose seams are hard to see, before fit alone."""
    inner = level.hole[level.targets]
    places = level.targets[inner]
    wanted = level.wanted()
    steps = np.zeros(level.hole.size, np.intp)
    steps[places] = level.sources[chosen[inner]] - places
    scale = np.float32(1 / (_SIDE * _SIDE))

    def fit(some: Indices, step: Indices) -> Floats:
        number = level.number_of[some + step]
        apart = level.distance(wanted[level.target_of[some]], np.maximum(number, 0), level.no_cost())
        return np.where(number >= 0, apart * scale, np.float32(np.inf))

    settle(level.flat, level.hole, steps, places, level.width, fit=fit, sweeps=3)
    made = chosen.copy()
    made[inner] = level.number_of[places + steps[places]]
    return made


def settle(
    flat: Floats,
    hole: Mask,
    steps: Indices,
    places: Indices,
    width: int,
    *,
    fit: Callable[[Indices, Indices], Floats],
    sweeps: int,
) -> None:
    """Let pixels take over their neighbours' steps where that makes seams cheaper (iterated conditional modes).

    `flat`: (n, c) of a flattened picture; `hole`: bool (n,); `steps`: (n,) from a pixel to its stand-in, 0 outside the
    hole, changed in place; `places`: the pixels that may change, none at the edge of the picture; `fit`: (places,
    steps) to a cost, infinite where a step is not possible.
    """
    rows, columns = np.divmod(places, width)
    colour = (rows % 2) * 2 + columns % 2
    groups = [places[colour == number] for number in range(4)]
    nearby = (1, -1, width, -width)
    for _ in range(sweeps):
        for group in groups:
            mine = steps[group]
            cost = fit(group, mine) + _seams(flat, hole, steps, group, mine, nearby)
            for step in (*nearby, width + 1, width - 1, -width + 1, -width - 1):
                theirs = steps[group + step]
                some = np.flatnonzero(hole[group + step] & (theirs != mine))
                if not len(some):
                    continue
                possible = fit(group[some], theirs[some])
                some, possible = some[np.isfinite(possible)], possible[np.isfinite(possible)]
                offered = possible + _seams(flat, hole, steps, group[some], theirs[some], nearby)
                better = offered < cost[some]
                mine[some[better]] = theirs[some[better]]
                cost[some[better]] = offered[better]
            steps[group] = mine


def _seams(flat: Floats, hole: Mask, steps: Indices, places: Indices, mine: Indices, nearby: tuple[int, ...]) -> Floats:
    """What the borders of these pixels with their neighbours cost, if they took these steps."""
    total = np.zeros(len(places), np.float32)
    own = flat[places + mine]
    for step in nearby:
        beside = places + step
        theirs = steps[beside]
        there = np.square(flat[beside + mine] - flat[beside + theirs]).sum(axis=1)
        here = np.square(own - flat[places + theirs]).sum(axis=1)
        differs = theirs != mine
        total += np.where(hole[beside], (here + there + np.float32(_BORDER)) * differs, 2 * there)
    return total
