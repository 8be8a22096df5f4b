"""Colours a whole photograph: planned on a reduced picture, painted at full size in bands, light and dark kept.

A proposal (a trained network's, or none) is limited by an era's palette and put right by what people said; where
nobody and nothing knows, it abstains and the pixel stays as it is. Painting carries the planned chroma to full size
along lines between chroma and lightness that hold in each small window (Levin, Lischinski and Weiss, "A closed-form
solution to natural image matting", CVPR 2006; He and Sun, "Fast guided filter", 2015). Must never change luminance.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from archive_restore.core.hints_document import ColourHint, HintShape
from archive_restore.imaging import belonging
from archive_restore.imaging import hints as hinted
from archive_restore.imaging.colour import Recolouring, lightness
from archive_restore.imaging.palettes import Palette, doubt_of
from archive_restore.imaging.reduce import PictureReducer

Samples = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """Colours of a reduced picture."""

    ab: Floats
    """(h, w, 2) a* and b*."""
    sure: Floats
    """(h, w) 0 to 1: how likely they are near the truth; 0 where there is none."""
    covers: Floats
    """(h, w) 0 to 1: how far they take the place of a print's own tone; 0 where there is none."""
    guess: Floats | None = None
    """(h, w, 2) a* and b* before hints put them right; None where they were not, and `compose` has to."""


Judge = Callable[[Floats, Floats], Proposal]
"""(a* and b* (h, w, 2), confidence (h, w)) of a guess that no hint speaks for, to what is left of it."""
Propose = Callable[[hinted.Seen, hinted.Spread, Judge], Proposal]
"""The picture, its hints, and what limits a guess, to the colours."""
New = Callable[[tuple[int, ...], npt.DTypeLike], Samples]

LONGEST = 384
"""Longest edge of the reduced picture, pixels: what the colour network learnt to look at."""
RULED = 0.5
"""Trust from which a hint is said to rule a pixel."""
CHROMA = 110.0
"""a* and b* that stand for 1 in a network's planes."""
_FLAT = 5.0  # units of L* below which lightness says nothing of chroma
_OBEYED = 4.0  # units of a* and b* by which a proposal may be off at a hint and still count as following it
_SIDE_BY_SIDE = np.float32(0.6)  # share of the spreader near a hint: it knows outlines, a network what is alike
_ROWS = 64
_APART = 25.0  # units of a* and b*: outcomes that far apart agree on nothing
_GROUPS = 10  # parts of a picture that may have another colour in another outcome


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One colouring of a reduced picture."""

    ab: Floats
    """(h, w, 2) a* and b*."""
    slope: Floats
    """(h, w, 2) how a* and b* change with L* there."""

    @classmethod
    def of(cls, light: Floats, ab: Floats) -> Outcome:
        """With the slopes of the lines that hold in each window."""
        return cls(ab=ab, slope=_slope(light, ab))


@dataclass(frozen=True, kw_only=True)
class Area:
    """A polygon in which something else holds than around it: colours end at its outline, to the pixel."""

    polygon: tuple[tuple[float, float], ...]
    """Corners x, y in pixels of the picture."""
    outcomes: tuple[Outcome, ...]
    """As those of the plan; right inside, and a few pixels beyond, so that nothing from around mixes in."""
    known: Floats
    covered: Floats
    ruled: Floats


@dataclass(frozen=True, kw_only=True)
class ColourPlan:
    """Chroma of a whole picture, reduced."""

    scale: float
    """Pixels of the picture along an edge of a reduced one."""
    lightness: Floats
    """(h, w) L*."""
    outcomes: tuple[Outcome, ...]
    """The colouring, and others that are as plausible where nobody said anything."""
    known: Floats
    """(h, w) 0 to 1: how far the colour is known, by hints or by a proposal that was sure; 0 where it abstains."""
    covered: Floats
    """(h, w) 0 to 1: how far colour takes the place of a print's own tone."""
    ruled: Floats
    """(h, w) 0 to 1: trust of the hints."""
    hints: tuple[ColourHint, ...]
    areas: tuple[Area, ...] = ()
    """Inside them they hold; the later one where two overlap."""
    disagreement: Floats | None = None
    """(h, w) 0 to 1, between all outcomes; None where there is one."""
    suggestions: tuple[hinted.Suggestion, ...] = ()
    """Where hints would help, the most telling first."""

    @property
    def ab(self) -> Floats:
        """(h, w, 2) a* and b* of the first outcome, outside the areas."""
        return self.outcomes[0].ab

    @property
    def abstained(self) -> float:
        """Share of the picture that stays without colour."""
        return float((self.known < 0.25).mean())


def reduced_lightness(
    samples: Samples, recolouring: Recolouring, *, picture: Sequence[int], inverted: bool = False
) -> tuple[Floats, float]:
    """L* of the picture reduced to LONGEST, (h, w), and pixels along an edge of a reduced one.

    `picture`: which of the samples (h, w, n) are gray, or red, green and blue; `inverted`: 0 is white.
    """
    height, width = samples.shape[:2]
    reducer = PictureReducer(width, height, len(picture), LONGEST)
    for top in range(0, height, _ROWS):
        reducer.add(np.ascontiguousarray(samples[top : top + _ROWS][:, :, list(picture)]))
    codes = np.nan_to_num(reducer.result(), nan=0.0, posinf=recolouring.white, neginf=0.0)
    if inverted:
        codes = np.float32(recolouring.white) - codes
    return lightness(recolouring.light(codes)), reducer.scale


def plan_colour(
    light: Floats,
    scale: float,
    size: tuple[int, int],
    *,
    hints: Sequence[ColourHint] = (),
    propose: Propose | None = None,
    abstention: tuple[float, float] | None = None,
    near: float | None = None,
    palette: Palette | None = None,
    strength: float = 1.0,
    samples: int = 1,
    seed: int = 0,
    suggestions: int = 5,
) -> ColourPlan:
    """Decide the chroma of a whole picture of `size` (rows, columns) from `reduced_lightness`.

    `abstention`: confidence up to which a proposal is left out, and from which it is wholly taken; `near`: distance
    from the truth of which confidence is the chance, units of a* and b*; `strength`: how far the palette has its say,
    0 to 1; `samples`: outcomes wanted. Without a proposal only hints give colour. Raise UsageError where a hint lies
    outside the picture.
    """
    seen = hinted.Seen(light)
    spread = hinted.spread(seen, hinted.marks_of(hints, size, light.shape, scale))
    if propose is not None:
        proposed = propose(seen, spread, judgement(light, abstention, palette, strength, near))
    else:
        ab = spread.ab * spread.trust[:, :, None]
        proposed = Proposal(ab=ab, sure=spread.trust, covers=spread.trust, guess=np.zeros_like(ab))
    outcomes = [compose(proposed, spread)]
    known, covered = (_with_hints(plane, spread) for plane in (proposed.sure, proposed.covers))
    if samples > 1:
        free = (1 - spread.trust) * (1 - 0.5 * known)
        for index in range(1, samples):
            # Of what nobody had a hand in, so that a hint that moves does not turn all of it over.
            base = proposed.ab if proposed.guess is None else proposed.guess
            other = alternative(seen, base, free, seed=seed, index=index, palette=palette)
            outcomes.append(compose(replace(proposed, ab=proposed.ab + (other - base)), spread))
    ruled = spread.trust
    areas = tuple(
        Area(
            polygon=polygon,
            outcomes=tuple(Outcome.of(light, _continued(ab, inside)) for ab in outcomes),
            known=_continued(known, inside),
            covered=_continued(covered, inside),
            ruled=_continued(ruled, inside),
        )
        for polygon, inside in _bounds(hints, light.shape, scale)
    )
    apart = ~_own(hints, spread, light.shape, scale)
    return ColourPlan(
        scale=scale,
        lightness=light,
        outcomes=tuple(Outcome.of(light, _continued(ab, apart)) for ab in outcomes),
        known=_continued(known, apart),
        covered=_continued(covered, apart),
        ruled=_continued(ruled, apart),
        hints=tuple(hints),
        areas=areas,
        disagreement=disagreement(outcomes) if len(outcomes) > 1 else None,
        suggestions=hinted.suggest(seen, known, scale, count=suggestions) if suggestions else (),
    )


Bound = tuple[tuple[tuple[float, float], ...], npt.NDArray[np.bool_]]


def _bounds(hints: Sequence[ColourHint], frame: tuple[int, int], scale: float) -> list[Bound]:
    """Polygons that bound hints, and the pixels inside them; those that no pixel of the reduction lies in left out."""
    found = []
    for polygon in dict.fromkeys(hint.within for hint in hints if hint.within):
        inside = np.zeros(frame, np.bool_)
        small = hinted.scaled_places(polygon, scale)
        inside[hinted.pixels_of(HintShape.POLYGON, small, 0, (0, frame[0]), frame[1])] = True
        if inside.any():
            found.append((polygon, inside))
    return found


def _own(
    hints: Sequence[ColourHint], spread: hinted.Spread, frame: tuple[int, int], scale: float
) -> npt.NDArray[np.bool_]:
    """Pixels that something else holds in than around them: areas, and those of hints that keep to themselves."""
    own = np.zeros(frame, np.bool_)
    for _, inside in _bounds(hints, frame, scale):
        own |= inside
    for mark in spread.marks:
        if mark.reach == 0:
            own[mark.rows, mark.columns] = True
    return own


def _continued(planes: Floats, known: npt.NDArray[np.bool_]) -> Floats:
    """Planes (h, w) or (h, w, 2) with what is known carried on a few pixels beyond, over what is not."""
    if known.all():
        return planes
    out, have = planes.copy(), known.astype(np.float32)
    for _ in range(4):  # interpolation reaches one pixel, slopes two
        share = cv2.blur(have, (3, 3))
        weight = have if planes.ndim == 2 else have[:, :, None]
        mean = cv2.blur(out * weight, (3, 3))
        fresh = (have == 0) & (share > 0)
        if not fresh.any():
            break
        out[fresh] = mean[fresh] / (share[fresh] if planes.ndim == 2 else share[fresh][:, None])
        have[fresh] = 1
    return out


def compose(proposed: Proposal, spread: hinted.Spread) -> Floats:
    """Colours (h, w, 2) of a proposal that hold hints at their pixels.

    Where it was not put right by hints, they take its place around those that it missed, as far as they are trusted;
    where it follows them it stays, for it knows more of what lies between them.
    """
    made = proposed.ab.astype(np.float32)
    if proposed.guess is None:
        missed = [np.array(mark.ab) - made[mark.rows, mark.columns].mean(axis=0) for mark in spread.marks]
        wrong = np.clip((np.hypot(*np.array(missed, np.float32).reshape(-1, 2).T) - _OBEYED) / _OBEYED, 0, 1)
        share = spread.trust * np.clip(spread.carried(wrong[:, None])[:, :, 0], 0, 1)
        made += share[:, :, None] * (spread.ab - made)
    for mark in spread.marks:
        made[mark.rows, mark.columns] = mark.ab
    return made


def _with_hints(plane: Floats, spread: hinted.Spread) -> Floats:
    """How far something is so (h, w): wholly at the pixels of hints."""
    out = plane.astype(np.float32)
    for mark in spread.marks:
        out[mark.rows, mark.columns] = 1
    return out


def judgement(
    light: Floats,
    abstention: tuple[float, float] | None,
    palette: Palette | None = None,
    strength: float = 1.0,
    near: float | None = None,
) -> Judge:
    """What limits guesses of a picture whose L* (h, w) is given: a palette, and that they abstain where unsure.

    `near` as for `plan_colour`.
    """

    def judged(ab: Floats, confidence: Floats) -> Proposal:
        kept, painted = np.ones_like(confidence), np.ones_like(confidence)
        if palette is not None:
            doubt = None if near is None else doubt_of(confidence, near)
            ab, painted = palette.applied(ab, light, strength, doubt)
        if abstention is not None:
            along = np.clip((confidence - abstention[0]) / max(abstention[1] - abstention[0], 1e-6), 0, 1)
            kept = (along * along * (3 - 2 * along)).astype(np.float32)
        ab, kept = ab * kept[:, :, None], kept * painted
        return Proposal(ab=ab, sure=confidence * kept, covers=kept)

    return judged


def network_proposal(predict: Callable[[Floats], Floats], *, multiple: int = 16, least: int = 64) -> Propose:
    """A proposal by a network that takes L*/100, a*/110, b*/110 of spread hints and their trust, and gives a*/110,
    b*/110 and a confidence; `multiple` and `least` as its card says of height and width."""

    def propose(seen: hinted.Seen, spread: hinted.Spread, judged: Judge) -> Proposal:
        hints = spread.ab.transpose(2, 0, 1) / np.float32(CHROMA)
        planes = np.concatenate([seen.lightness[None] / 100, hints, spread.trust[None]])
        low = np.array([0, -1, -1, 0], np.float32)[:, None, None]
        made = _predicted(predict, np.clip(planes, low, np.float32(1)), multiple, least)
        guess, none = judged(*_colours(made)), 1 - spread.trust
        return Proposal(ab=guess.ab, sure=1 - (1 - guess.sure) * none, covers=1 - (1 - guess.covers) * none)

    return propose


def belonging_proposal(predict: Callable[[Floats], Floats], *, multiple: int = 16, least: int = 64) -> Propose:
    """A proposal by a network that takes the traits of a picture and gives a*/110, b*/110, a confidence, and which
    pixels belong together (`imaging.belonging`): hints put it right before anything is limited."""

    def propose(seen: hinted.Seen, spread: hinted.Spread, judged: Judge) -> Proposal:
        made = _predicted(predict, belonging.traits(seen), multiple, least)
        guess = judged(*_colours(made))
        told = [k for k, mark in enumerate(spread.marks) if mark.reach == 1 and mark.within is None]
        ab, settled = belonging.carried(
            belonging.Belonging.of(made[3:]),
            seen.lightness,
            guess.ab,
            [spread.marks[k] for k in told],
            [spread.paths[k] for k in told],
        )
        # Hints that a person bounded were not carried: within their bounds the spreader has it all.
        bounded = np.ones((len(spread.marks), 1), np.float32)
        bounded[told] = 0
        own = np.clip(spread.carried(bounded)[:, :, 0], 0, 1)
        share = spread.trust * (own + (1 - own) * _SIDE_BY_SIDE * spread.trust)
        ab += share[:, :, None] * (spread.ab - ab)
        settled = np.maximum(settled, spread.trust * own)
        covers = np.maximum(guess.covers, np.maximum(settled, spread.trust))
        return Proposal(ab=ab, sure=np.maximum(guess.sure, settled), covers=covers, guess=guess.ab)

    return propose


def _predicted(predict: Callable[[Floats], Floats], planes: Floats, multiple: int, least: int) -> Floats:
    """What a network makes of planes (c, h, w) of any size: mirrored at the bottom and right up to one it takes."""
    height, width = planes.shape[1:]
    below, right = (max(least, -(-edge // multiple) * multiple) - edge for edge in (height, width))
    padded = planes[:, _mirrored(height, height + below)][:, :, _mirrored(width, width + right)]
    made: Floats = predict(padded[None])[0][:, :height, :width]
    return made


def _colours(made: Floats) -> tuple[Floats, Floats]:
    ab = np.ascontiguousarray(made[:2].transpose(1, 2, 0)) * np.float32(CHROMA)
    return ab, np.ascontiguousarray(made[2])


def _mirrored(length: int, wanted: int) -> npt.NDArray[np.intp]:
    """Indices of an axis continued beyond its end as in a mirror."""
    at = np.arange(wanted) % (2 * length)
    return np.minimum(at, 2 * length - 1 - at)


# --- other outcomes ------------------------------------------------------------------------------------


def alternative(
    seen: hinted.Seen, ab: Floats, free: Floats, *, seed: int, index: int, palette: Palette | None = None
) -> Floats:
    """Another colouring (h, w, 2), as plausible as `ab` where `free` (h, w) is 1; equal to it where that is 0.

    Parts of the picture that look alike get another chroma together: from the palette at their lightness, or near what
    was proposed, under a light that may be warmer or colder. Drawn from Philox by seed and index.
    """
    rng = np.random.Generator(np.random.Philox(key=[seed & (2**64 - 1), 0xC0108 + index]))
    height, width = seen.lightness.shape
    down, across = np.mgrid[0:height, 0:width].astype(np.float32) / seen.longest
    traits = np.stack([seen.fine / 12, seen.texture / 9, 3 * down, 2 * across, ab[:, :, 0] / 8, ab[:, :, 1] / 8], 2)
    centres = traits.reshape(-1, 6)[np.sort(rng.choice(height * width, min(_GROUPS, height * width), replace=False))]
    for _ in range(6):  # Lloyd's algorithm
        nearest = _nearest(traits, centres)
        for group in range(len(centres)):
            inside = traits[nearest == group]
            if len(inside):
                centres[group] = inside.mean(axis=0)
    nearest = _nearest(traits, centres)
    # Daylight goes from blue to yellow: that axis varies most. CIE 15:2004 §4.1.
    warmth = rng.normal(0, 3) * np.array([0.25, 1.0])
    angle, gain = rng.normal(0, 0.25), math.exp(rng.normal(0, 0.25))
    turn = gain * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    other = np.asarray(ab @ turn.T.astype(np.float32) + warmth.astype(np.float32), np.float32)
    for group in range(len(centres)):
        inside = nearest == group
        if not inside.any():
            continue
        light = float(seen.fine[inside].mean())
        mean = ab[inside].mean(axis=0)
        drawn = palette.drawn(rng, light) if palette is not None else mean + rng.normal(0, [5, 9])
        other[inside] += (drawn - mean).astype(np.float32) * np.float32(rng.uniform(0.3, 1.0))
    other = np.asarray(cv2.bilateralFilter(_three(other, seen.fine), 0, 20, seen.longest / 100), np.float32)[:, :, :2]
    return np.asarray(ab + free[:, :, None] * (other - ab), np.float32)


def _nearest(traits: Floats, centres: Floats) -> npt.NDArray[np.intp]:
    distances = [np.square(traits - centre).sum(axis=2) for centre in centres]
    return np.asarray(np.argmin(distances, axis=0))


def _three(ab: Floats, light: Floats) -> Floats:
    return np.ascontiguousarray(np.concatenate([ab, light[:, :, None]], axis=2), np.float32)


def disagreement(outcomes: Sequence[Floats]) -> Floats:
    """How far outcomes (h, w, 2) differ, (h, w): 0 where all agree, 1 where they are _APART."""
    spread = np.stack(outcomes).std(axis=0)
    return np.asarray(np.clip(np.hypot(spread[:, :, 0], spread[:, :, 1]) / _APART, 0, 1), np.float32)


# --- painting ------------------------------------------------------------------------------------------


def _slope(light: Floats, ab: Floats) -> Floats:
    """Slope of the line between lightness and chroma in each window of 3×3."""
    mean, means = cv2.blur(light, (3, 3)), cv2.blur(ab, (3, 3))
    variance = np.maximum(cv2.blur(light * light, (3, 3)) - mean * mean, 0)
    together = cv2.blur(ab * light[:, :, None], (3, 3)) - means * mean[:, :, None]
    found = cv2.blur(together / (variance + np.float32(_FLAT**2))[:, :, None], (3, 3))
    return np.asarray(np.clip(found, -1.5, 1.5), np.float32)


@dataclass(frozen=True, kw_only=True)
class Painted:
    """A picture in colour, and what became of each pixel."""

    samples: Samples
    """(h, w, n): red, green, blue, then what else the pixels had; dtype of the source."""
    alternatives: tuple[Samples, ...]
    changed: npt.NDArray[np.bool_]
    """(h, w) pixels that are not the source's bit for bit (of gray: three times the gray), in any outcome."""
    ruled: npt.NDArray[np.bool_]
    """(h, w) pixels whose colour a hint rules, neutral ones included."""
    doubt: npt.NDArray[np.uint8]
    """(h, w) 255 where nothing is known of the colour, 0 where a hint holds."""


def paint(
    plan: ColourPlan,
    samples: Samples,
    recolouring: Recolouring,
    *,
    picture: Sequence[int],
    new: New,
    inverted: bool = False,
    toning: float = 1.0,
    threads: int = 1,
) -> Painted:
    """Paint a picture (h, w, n) by its plan, in bands of rows; `picture` and `inverted` as in `reduced_lightness`.

    `toning`: share of an RGB picture's own colour that stays where nothing is known. Extra samples (alpha, infrared)
    follow the colours.
    """
    height, width, count = samples.shape
    rest = [index for index in range(count) if index not in picture]
    made = [new((height, width, 3 + len(rest)), samples.dtype) for _ in plan.outcomes]
    changed, ruled = new((height, width), np.bool_), new((height, width), np.bool_)
    doubt = new((height, width), np.uint8)
    common = np.stack([plan.lightness, plan.known, plan.ruled, plan.covered])
    planes = [_planes(outcome) for outcome in plan.outcomes]
    columns = _Places.along(width, plan.scale, plan.lightness.shape[1])

    def band(top: int) -> None:
        rows = slice(top, min(top + _ROWS, height))
        lines = _Places.along(height, plan.scale, plan.lightness.shape[0], rows)
        given = np.ascontiguousarray(np.asarray(samples[rows])[:, :, list(picture)])
        if inverted:
            given = (samples.dtype.type(recolouring.white) - given).astype(samples.dtype)
        base, known, trust, covered = _enlarged(common, lines, columns)
        light = recolouring.lightness(given)
        off = light - base
        own = recolouring.chroma(given) if len(picture) == 3 and toning > 0 else None
        pins = [(hint, hinted.pixels_of(hint.shape, hint.places, hint.radius, (rows.start, rows.stop), width))
                for hint in plan.hints]  # fmt: skip
        parts = [(area, at) for area in plan.areas if (at := _inside(area, rows, width))[0].size]
        for area, (down, across) in parts:
            at = down - top, across
            sureness = np.stack([area.known, area.ruled, area.covered])
            known[at], trust[at], covered[at] = _picked(sureness, lines, columns, at)
        was = [given[:, :, k % given.shape[2]] for k in range(3)]
        still = (was[0] == was[1]) & (was[1] == was[2])  # has no colour that would have to go
        if toning == 1:
            still |= covered == 0
        for index, out in enumerate(made):
            a, b, rise_a, rise_b = _enlarged(planes[index], lines, columns)
            for area, (down, across) in parts:
                at = down - top, across
                a[at], b[at], rise_a[at], rise_b[at] = _picked(_planes(area.outcomes[index]), lines, columns, at)
            a += rise_a * off
            b += rise_b * off
            keep = (a == 0) & (b == 0) & still
            if own is not None:
                share = (1 - covered) * np.float32(toning)
                a += share * own[:, :, 0]
                b += share * own[:, :, 1]
            for hint, (down, across) in pins:
                at = down - top, across
                a[at], b[at] = hint.lab[1:]
                keep[at] = (hint.lab[1] == 0 and hint.lab[2] == 0) & still[at]
            painted = recolouring.recoloured(given, a, b, keep)
            for k, plane in enumerate(was):  # one by one: numpy is slow along an axis of three
                changed[rows] |= painted[:, :, k] != plane
            out[rows, :, :3] = painted
            if rest:
                out[rows, :, 3:] = samples[rows][:, :, rest]
        human = trust >= RULED
        known = np.clip(known, 0, 1)
        for _, (down, across) in pins:
            human[down - top, across] = True
            known[down - top, across] = 1
        ruled[rows] = human
        doubt[rows] = np.rint(255 * (1 - known)).astype(np.uint8)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(band, range(0, height, _ROWS)))
    return Painted(samples=made[0], alternatives=tuple(made[1:]), changed=changed, ruled=ruled, doubt=doubt)


def _planes(outcome: Outcome) -> Floats:
    return np.concatenate([outcome.ab, outcome.slope], axis=2).transpose(2, 0, 1)


def _inside(area: Area, rows: slice, width: int) -> hinted.Pixels:
    return hinted.pixels_of(HintShape.POLYGON, area.polygon, 0, (rows.start, rows.stop), width)


@dataclass(frozen=True, kw_only=True)
class _Places:
    """Where pixels lie between those of a reduction, along one axis."""

    first: npt.NDArray[np.intp]
    second: npt.NDArray[np.intp]
    share: Floats
    """Of the second."""

    @classmethod
    def along(cls, length: int, scale: float, reduced: int, part: slice | None = None) -> _Places:
        at = (np.arange(length)[part or slice(None)] + 0.5) / scale - 0.5
        at = np.clip(at, 0, reduced - 1)
        first = at.astype(np.intp)
        return cls(first=first, second=np.minimum(first + 1, reduced - 1), share=(at - first).astype(np.float32))


def _enlarged(planes: Floats, rows: _Places, columns: _Places) -> Floats:
    """Planes (c, h, w) interpolated bilinearly at these places."""
    start, stop = int(rows.first[0]), int(rows.second[-1]) + 1
    part = planes[:, start:stop]
    wide = part.take(columns.first, axis=2)
    wide += columns.share * (part.take(columns.second, axis=2) - wide)
    out = np.empty((len(planes), len(rows.first), wide.shape[2]), np.float32)
    ends = [*(np.flatnonzero(np.diff(rows.first)) + 1), len(rows.first)]
    for top, bottom in pairwise([0, *ends]):  # rows between the same two
        upper, lower = wide[:, rows.first[top] - start], wide[:, rows.second[top] - start]
        np.multiply((lower - upper)[:, None], rows.share[top:bottom, None], out=out[:, top:bottom])
        out[:, top:bottom] += upper[:, None]
    return out


def _picked(planes: Floats, rows: _Places, columns: _Places, at: hinted.Pixels) -> Floats:
    """The same (c, n) at single pixels: rows and columns (n,) counted from the first of the places."""
    down, across = at
    right, below = columns.share[across], rows.share[down]
    corners = [
        planes[:, row, columns.first[across]] * (1 - right) + planes[:, row, columns.second[across]] * right
        for row in (rows.first[down], rows.second[down])
    ]
    return np.asarray(corners[0] * (1 - below) + corners[1] * below, np.float32)
