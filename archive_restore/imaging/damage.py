"""Detection of thin damage (scratches, hairs, creases, dust) of both polarities in one luma plane.

Ridges and spots are found in two octaves, then weighed twice by a fixed score card: alone, against the texture
around them (ridges.py), and together with their neighbours (linking.py). Must never look beyond HALO pixels, so that
tiles agree bit for bit with the whole picture, and must never depend on anything but its arguments.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from archive_restore.imaging import linking, ridges
from archive_restore.imaging.damage_scores import FIRST_LOOK, SECOND_LOOK, THIRD_LOOK
from archive_restore.imaging.ridges import FULL, LEVELS, Candidates, Reach
from archive_restore.records.imagery import DamageClass

Plane = NDArray[np.float32]
Codes = NDArray[np.uint8]

HALO = 120
"""Pixels around a tile that `detect` must see for an exact result (fewer only at the frame)."""
ALIGN = 2
"""Rows and columns a tile's first pixel must be a multiple of: the coarser octave pairs pixels."""

REACHES = (Reach(near=12, far=40, line=24), Reach(near=8, far=15, line=12))
"""How far each octave looks, in its own pixels."""
LAST_REACHES = (Reach(near=6, far=18, line=14), Reach(near=4, far=10, line=8))
"""How far the third look goes."""
SCORE_UNIT = 256
"""Score cards hold log-odds times this."""
LEAST_CONTRAST = 0.02
"""Fainter ridges are never looked at: they drown in grain."""
_GROWTH = (2, 4)  # pixels a found crest of each octave spreads at most over the body of its damage
_LIFT = 1 << 20  # makes every score positive
_NOTHING = -_LIFT  # the score of what was not weighed
_BODY = 0.6  # down to this share of its contrast

Card = tuple[int, tuple[tuple[tuple[int, ...], tuple[float, ...], tuple[int, ...]], ...]]
"""Base score and trees; every tree asks `measurement >= threshold` for each of its features, the answers make the
index (first question = highest bit) of the leaf whose score is added."""


@dataclass(frozen=True, kw_only=True)
class DamageParameters:
    """What a recipe may choose."""

    threshold: float = 0.8
    """Least probability of damage, 0..1; lower finds more and errs more. What is wrongly filled is lost, what is missed
    can be marked by hand: so the default asks for certainty."""
    bright: bool = True
    """Look for damage lighter than the picture."""
    dark: bool = True
    """Look for damage darker than the picture."""
    lines: bool = True
    """Keep scratches, hairs and creases."""
    spots: bool = True
    """Keep dust and other small spots."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a search says of every pixel."""

    codes: Codes
    """(H, W) DamageClass values."""
    probability: Codes
    """(H, W) how probable damage is, 255 = 1; also where it stayed under the threshold, 0 where nothing was weighed."""


@dataclass(frozen=True, kw_only=True)
class DamageSurvey:
    """What one look at the whole picture found: plain numbers, recorded with the derivation."""

    white: float
    """Luma that 99.5 % of the picture stay under, 0..1."""
    black: float
    """Luma that 99.5 % of the picture stay over, 0..1."""
    noise: float
    """Standard deviation of the finest grain at full resolution, 0..1."""


def survey(reduced: Plane, samples: Sequence[Plane] = ()) -> DamageSurvey:
    """Look once at the picture.

    `reduced`: luma of the whole picture, float32 (h, w) in [0, 1], any scale. `samples`: luma of some
    full-resolution tiles, from which grain is measured; without any, `reduced` must stand for them.
    """
    black, white = np.percentile(np.nan_to_num(reduced), [0.5, 99.5])
    deviations = [_grain(tile) for tile in (samples or (reduced,)) if min(tile.shape) >= 3]
    noise = float(np.median(deviations)) if deviations else 0.0
    return DamageSurvey(white=round(float(white), 6), black=round(float(black), 6), noise=round(noise, 6))


def _grain(tile: Plane) -> float:
    """Immerkær's mask, read by its median so that edges do not count (CVIU 64, 1996, 300–302)."""
    mask = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    return float(np.median(np.abs(cv2.filter2D(np.nan_to_num(tile), cv2.CV_32F, mask)[1:-1, 1:-1])) / 0.6745 / 6)


def detect(luma: Plane, parameters: DamageParameters, overview: DamageSurvey) -> Codes:
    """The codes of `search`."""
    return search(luma, parameters, overview).codes


def search(luma: Plane, parameters: DamageParameters, overview: DamageSurvey) -> Found:
    """Mark thin damage.

    `luma`: float32 (H, W) in [0, 1], higher is lighter; for a tile, with HALO pixels around the part that is used,
    first pixel at even row and column of the picture. Codes are SOUND, BRIGHT_LINE, DARK_LINE, BRIGHT_SPOT and
    DARK_SPOT; of damage of both kinds at one pixel the more certain wins.
    """
    shape = (luma.shape[0], luma.shape[1])
    codes = np.zeros(shape, np.uint8)
    likely = np.full(shape, _NOTHING, np.int32)
    if min(shape) < 8:
        return Found(codes=codes, probability=_probability(likely))
    scored = all_looks(luma, overview)
    least = _log_odds(parameters.threshold)
    strongest = np.zeros(shape, np.int32)
    full = ridges.smooth(ridges.quantize(luma))
    for bright in (True, False):
        if not (parameters.bright if bright else parameters.dark):
            continue
        found = {octave: (c, s) for (octave, b), (c, _, s) in scored.items() if b == bright}
        for octave, (candidates, scores) in found.items():
            for down in range(1 + octave):
                for right in range(1 + octave):
                    rows = np.minimum(candidates.rows.astype(np.intp) * (1 + octave) + down, shape[0] - 1)
                    columns = np.minimum(candidates.columns.astype(np.intp) * (1 + octave) + right, shape[1] - 1)
                    np.maximum.at(likely, (rows, columns), scores)
        body, line, score = _grow(full if bright else (FULL - full).astype(np.int16), found, least)
        kind = np.where(
            line,
            np.uint8(DamageClass.BRIGHT_LINE if bright else DamageClass.DARK_LINE),
            np.uint8(DamageClass.BRIGHT_SPOT if bright else DamageClass.DARK_SPOT),
        )
        body &= (line & parameters.lines) | (~line & parameters.spots)
        body &= score > strongest
        codes[body] = kind[body]
        strongest[body] = score[body]
    likely = np.where(codes > 0, np.maximum(likely, strongest - _LIFT), likely)
    return Found(codes=codes, probability=_probability(likely))


def _probability(score: NDArray[np.int32]) -> Codes:
    """Log-odds × SCORE_UNIT to 0..255 by a table, so that it is the same everywhere."""
    table = np.array([round(255 / (1 + math.exp(-unit / 16))) for unit in range(-8 * 16, 8 * 16 + 1)], np.uint8)
    probability = table[np.clip(score // (SCORE_UNIT // 16), -8 * 16, 8 * 16) + 8 * 16]
    return np.where(score <= _NOTHING, np.uint8(0), probability)


def first_look(luma: Plane, overview: DamageSurvey) -> dict[tuple[int, bool], Candidates]:
    """Candidates by (octave, bright)."""
    plane = ridges.quantize(luma)
    white, black = round(overview.white * FULL), round(overview.black * FULL)
    floor = round(max(LEAST_CONTRAST, overview.noise) * FULL)
    found: dict[tuple[int, bool], Candidates] = {}
    for octave, reach in enumerate(REACHES):
        found[octave, True] = ridges.gather(plane, white, black, floor, reach)
        negative = (LEVELS - plane).astype(np.int16)
        found[octave, False] = ridges.gather(negative, FULL - black, FULL - white, floor, reach)
        plane = ridges.halve(plane)
    return found


Scored = dict[tuple[int, bool], tuple[Candidates, NDArray[np.float32], NDArray[np.int32]]]
"""By (octave, bright): candidates, all that is measured of them, their score (log-odds × SCORE_UNIT)."""


def first_scores(seen: Mapping[tuple[int, bool], Candidates]) -> Scored:
    """Weigh every candidate alone; those beyond doubt sound are dropped."""
    out: Scored = {}
    for (octave, bright), candidates in seen.items():
        score = apply_card(candidates.evidence, FIRST_LOOK[octave])
        ok = score > linking.VOTE_FLOOR * (SCORE_UNIT // linking.VOTE_UNIT)
        chosen = candidates.only(ok)
        out[octave, bright] = chosen, chosen.evidence, score[ok]
    return out


def with_context(scored: Scored, shape: tuple[int, int], reaches: Sequence[Reach]) -> Scored:
    """Put what the neighbours' scores tell in front of what is measured of each candidate: (N, CONTEXT + before)."""
    shapes = (shape, ((shape[0] + 1) // 2, (shape[1] + 1) // 2))
    votes = {
        (octave, bright): linking.votes(c, score * linking.VOTE_UNIT // SCORE_UNIT, shapes[octave])
        for (octave, bright), (c, _, score) in scored.items()
    }
    out: Scored = {}
    for (octave, bright), (candidates, measured, score) in scored.items():
        other = _coarser(votes[0, bright]) if octave else _finer(votes[1, bright], shape)
        around = linking.context(candidates, votes[octave, bright], votes[octave, not bright], other, reaches[octave])
        out[octave, bright] = candidates, np.concatenate([around, measured], axis=1), score
    return out


def weighed(scored: Scored, cards: Sequence[Card]) -> Scored:
    """Replace the scores by those of another look's cards, one an octave."""
    return {key: (c, measured, apply_card(measured, cards[key[0]])) for key, (c, measured, _) in scored.items()}


def all_looks(luma: Plane, overview: DamageSurvey) -> Scored:
    """Candidates with their final scores."""
    shape = (luma.shape[0], luma.shape[1])
    second = weighed(with_context(first_scores(first_look(luma, overview)), shape, REACHES), SECOND_LOOK)
    return weighed(with_context(second, shape, LAST_REACHES), THIRD_LOOK)


def apply_card(measured: NDArray[np.float32], card: Card) -> NDArray[np.int32]:
    """Score of each row of (N, features): log-odds of damage × SCORE_UNIT; integers, so exact in any order."""
    base, trees = card
    score = np.full(len(measured), base, np.int32)
    by_feature = np.ascontiguousarray(measured.T)
    for features, thresholds, leaves in trees:
        leaf = np.zeros(len(measured), np.uint8)
        for feature, threshold in zip(features, thresholds, strict=True):
            leaf = leaf + leaf + (by_feature[feature] >= np.float32(threshold))
        score += np.asarray(leaves, np.int32)[leaf]
    return score


def _log_odds(probability: float) -> int:
    p = min(max(probability, 1e-4), 1 - 1e-4)
    return round(math.log(p / (1 - p)) * SCORE_UNIT)


def _finer(votes: linking.Votes, shape: tuple[int, int]) -> linking.Votes:
    return np.repeat(np.repeat(votes, 2, axis=0), 2, axis=1)[: shape[0], : shape[1]].copy()


def _coarser(votes: linking.Votes) -> linking.Votes:
    even = np.pad(votes, ((0, votes.shape[0] % 2), (0, votes.shape[1] % 2)))
    return np.maximum(np.maximum(even[::2, ::2], even[1::2, ::2]), np.maximum(even[::2, 1::2], even[1::2, 1::2]))


@cache
def _column(name: str) -> int:
    return ridges.EVIDENCE.index(name)


def _grow(
    tone: ridges.Int16, found: Mapping[int, tuple[Candidates, NDArray[np.int32]]], least: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.int32]]:
    """Spread accepted crests over the body of their damage: (body, belongs to a line, score + _LIFT)."""
    shape = tone.shape
    # a neighbour at least this light belongs to the same damage
    levels = [np.full(shape, 32767, np.int16) for _ in _GROWTH]
    certain = np.zeros(shape, np.int32)
    line = np.zeros(shape, np.uint8)
    for octave, (candidates, score) in found.items():
        ok = score >= least
        rows, columns = candidates.rows[ok].astype(np.intp), candidates.columns[ok].astype(np.intp)
        contrast = candidates.contrast[ok]
        straight = candidates.evidence[ok, _column("short_low")] >= 0.2
        if octave:  # the lightest of the four pixels that the coarse one stands for
            rows, columns = _lightest(tone, rows * 2, columns * 2)
        floor = tone[rows, columns] - np.rint(contrast * _BODY).astype(np.int32)
        np.minimum.at(levels[octave], (rows, columns), np.clip(floor, 0, 32767).astype(np.int16))
        np.maximum.at(certain, (rows, columns), score[ok] + _LIFT)
        line[rows[straight], columns[straight]] = 1
    three = np.ones((3, 3), np.uint8)
    level = np.full(shape, 32767, np.int16)
    for left in range(max(_GROWTH), 0, -1):
        for octave, growth in enumerate(_GROWTH):
            if growth == left:
                level = np.minimum(level, levels[octave])
        reached = cv2.erode(level, three, borderType=cv2.BORDER_CONSTANT, borderValue=32767)
        level = np.where((tone >= reached) & (reached < level), reached, level)
    body = level < 32767
    widest = 2 * max(_GROWTH) + 1
    side = np.ones((widest, widest), np.uint8)
    near_line = cv2.dilate(line, side, borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0
    certain = cv2.dilate(certain.astype(np.float32), side, borderType=cv2.BORDER_CONSTANT, borderValue=0).astype(
        np.int32
    )
    return body, near_line, certain


def _lightest(
    tone: ridges.Int16, rows: NDArray[np.intp], columns: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    below = np.minimum(rows + 1, tone.shape[0] - 1)
    right = np.minimum(columns + 1, tone.shape[1] - 1)
    choices = np.stack([tone[rows, columns], tone[rows, right], tone[below, columns], tone[below, right]])
    pick = choices.argmax(0)
    return np.where(pick >= 2, below, rows), np.where(pick % 2 == 1, right, columns)
