"""Makes archive_restore/imaging/damage_scores.py: fits the damage score cards on synthetic damage.

Gradient boosting of oblivious trees (every level asks one question) in plain numpy, over five of the nine open
photographs; the other four are never looked at. Run: python -m tests.benchmarks.fit_damage_scores
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from archive_restore.imaging import damage, damage_scores, linking, ridges
from tests.support.synthetic_damage import DamagedPicture, luma_of
from tests.support.synthetic_damage import damage as make_damage

PHOTOGRAPHS = Path(__file__).parents[1] / "photographs" / "open"
DEVELOPMENT = ("acanthus-mollis", "airplane-from-above", "dust-bowl-home", "locomotion-house-cat", "nagasaki-boats")
HELD_OUT = ("allium-oreophilum", "black-canyon", "french-alpine-landscape", "march-pastoral")
REAL_DAMAGE = {"airplane-from-above": 0.4}
"""This photograph has real scratches and dust, which the ground truth does not know: its negatives weigh less."""
Rows = tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]


def photograph(name: str) -> NDArray[np.float32]:
    """RGB float32 (H, W, 3) in [0, 1]."""
    return cv2.imread(str(PHOTOGRAPHS / f"{name}.jpg"))[..., ::-1].astype(np.float32) / 255


def fit(rows: Rows, *, trees: int, depth: int, rate: float, bins: int = 32, damping: float = 5.0) -> damage.Card:
    """Newton boosting of the logistic loss over quantile bins."""
    measured, label, weight = rows
    count, features = measured.shape
    edges = [np.unique(np.quantile(measured[:, f], np.linspace(0, 1, bins + 1)[1:-1])) for f in range(features)]
    edges = [np.array([float(f"{e:.5g}") for e in one], np.float32) for one in edges]
    edges = [np.unique(one) for one in edges]
    binned = [np.searchsorted(edges[f], measured[:, f], side="right").astype(np.int32) for f in range(features)]
    prior = float((weight * label).sum() / weight.sum())
    base = float(np.log(prior / (1 - prior)))
    score = np.full(count, base)
    made: list[tuple[tuple[int, ...], tuple[float, ...], tuple[int, ...]]] = []
    for _ in range(trees):
        p = 1 / (1 + np.exp(-score))
        slope, bend = (label - p) * weight, p * (1 - p) * weight
        leaf = np.zeros(count, np.int32)
        questions: list[tuple[int, float]] = []
        for level in range(depth):
            best = (-1.0, 0, 0)
            for f in range(features):
                n = len(edges[f]) + 1
                key = leaf * n + binned[f]
                g = np.bincount(key, slope, n << level).reshape(-1, n)
                h = np.bincount(key, bend, n << level).reshape(-1, n)
                below_g, below_h = np.cumsum(g, 1)[:, :-1], np.cumsum(h, 1)[:, :-1]
                above_g, above_h = g.sum(1, keepdims=True) - below_g, h.sum(1, keepdims=True) - below_h
                gain = (below_g**2 / (below_h + damping) + above_g**2 / (above_h + damping)).sum(0)
                if len(gain) and gain.max() > best[0]:
                    best = (float(gain.max()), f, int(gain.argmax()))
            _, f, k = best
            questions.append((f, float(f"{edges[f][k]:.5g}")))
            leaf = leaf * 2 + (binned[f] > k)
        value = rate * np.bincount(leaf, slope, 1 << depth) / (np.bincount(leaf, bend, 1 << depth) + damping)
        leaves = np.rint(value * damage.SCORE_UNIT).astype(int)
        score += leaves[leaf] / damage.SCORE_UNIT
        made.append((tuple(f for f, _ in questions), tuple(e for _, e in questions), tuple(leaves.tolist())))
    return round(base * damage.SCORE_UNIT), tuple(made)


def label_candidates(
    candidates: ridges.Candidates, octave: int, bright: bool, truth: DamagedPicture
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which candidates sit on damage of their polarity, and which are too near to any damage to be called sound."""
    same, every = truth.truth & (truth.brighter == bright), truth.truth
    if octave:
        size = ((same.shape[1] + 1) // 2, (same.shape[0] + 1) // 2)
        same, every = (cv2.resize(m.astype(np.float32), size, interpolation=cv2.INTER_AREA) >= 0.5 for m in (same, every))
    at = (candidates.rows, candidates.columns)
    on = cv2.dilate(same.astype(np.uint8), np.ones((3, 3), np.uint8))[at] > 0
    near = cv2.dilate(every.astype(np.uint8), np.ones((7, 7), np.uint8))[at] > 0
    return on, near & ~on


def collect(names: tuple[str, ...], seeds: range, octave: int, *, second: bool, keep: float = 1.0) -> Rows:
    """Evidence, labels and weights of one octave's candidates over damaged photographs."""
    rng = np.random.default_rng(0)
    parts: list[Rows] = []
    for name in names:
        clean = photograph(name)
        for seed in seeds:
            truth = make_damage(clean, seed)
            luma = luma_of(truth.picture)
            seen = damage.first_look(luma, damage.survey(luma))
            known = damage.contexts(seen, luma.shape) if second else {k: (c, c.evidence) for k, c in seen.items()}
            for (o, bright), (candidates, measured) in known.items():
                if o == octave:
                    on, unsure = label_candidates(candidates, octave, bright, truth)
                    use = ~unsure & (on | (rng.random(len(on)) < keep))
                    weight = np.where(on, 1.0, REAL_DAMAGE.get(name, 1.0) / keep)
                    parts.append((measured[use], on[use].astype(np.float64), weight[use]))
    return (np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts]),
            np.concatenate([p[2] for p in parts]))


def best_f1(rows: Rows, card: damage.Card) -> tuple[float, float]:
    """Best F1 over candidates and the log-odds threshold that gives it."""
    measured, label, weight = rows
    score = damage.apply_card(measured, card)
    order = np.argsort(-score, kind="stable")
    hit, false = np.cumsum((label * weight)[order]), np.cumsum(((1 - label) * weight)[order])
    f1 = 2 * hit / (hit + false + (label * weight).sum())
    k = int(f1.argmax())
    return float(f1[k]), float(score[order[k]] / damage.SCORE_UNIT)


def render(first: list[damage.Card], second: list[damage.Card]) -> str:
    """The module's text."""
    lines = [
        '"""Score cards of the damage detector: made by tests/benchmarks/fit_damage_scores.py, never edited by hand.',
        "",
        "Fitted on synthetic damage over five public-domain photographs of the Getty's Open Content (named there).",
        "A card is (base, trees); a tree is (features, thresholds, leaf scores), see damage.apply_card.",
        '"""',
        "",
        "# ruff: noqa: E501",
        "Trees = tuple[tuple[tuple[int, ...], tuple[float, ...], tuple[int, ...]], ...]",
    ]
    for title, cards in (("FIRST_LOOK", first), ("SECOND_LOOK", second)):
        lines += ["", f"{title}: tuple[tuple[int, Trees], ...] = ("]
        for base, trees in cards:
            lines += ["    (", f"        {base},", "        ("]
            lines += [f"            {tree!r}," for tree in trees]
            lines += ["        ),", "    ),"]
        lines.append(")")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Fit both looks of both octaves, print how they do on the development and the held-out photographs, write."""
    cv2.setNumThreads(1)
    first, second = [], []
    for octave in range(len(damage.REACHES)):
        rows = collect(DEVELOPMENT, range(100, 105), octave, second=False, keep=0.4)
        held = collect(HELD_OUT, range(100, 102), octave, second=False)
        first.append(fit(rows, trees=80, depth=3, rate=0.25))
        print("first", octave, rows[0].shape, best_f1(rows, first[-1]), best_f1(held, first[-1]), flush=True)
    damage.FIRST_LOOK = tuple(first)  # type: ignore[misc]
    for octave in range(len(damage.REACHES)):
        rows = collect(DEVELOPMENT, range(200, 206), octave, second=True)
        held = collect(HELD_OUT, range(200, 202), octave, second=True)
        second.append(fit(rows, trees=100, depth=2, rate=0.25))
        print("second", octave, rows[0].shape, best_f1(rows, second[-1]), best_f1(held, second[-1]), flush=True)
    target = Path(damage_scores.__file__)
    target.write_text(render(first, second))
    print("wrote", target.name, file=sys.stderr)


if __name__ == "__main__":
    main()
