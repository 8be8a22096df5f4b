"""Makes archive_restore/imaging/damage_scores.py: fits the damage score cards on synthetic damage.

Gradient boosting of oblivious trees (every level asks one question) in plain numpy, over five of the nine open
photographs and, for more that is sound, pictures that come with scikit-image 0.26.0; the other four photographs are
never looked at. Run: python -m tests.benchmarks.fit_damage_scores FOLDER (scikit-image's `skimage/data`)
"""

from __future__ import annotations

import multiprocessing
import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from archive_restore.imaging import damage, damage_scores, ridges
from tests.support.synthetic_damage import DamagedPicture, luma_of
from tests.support.synthetic_damage import damage as make_damage

PHOTOGRAPHS = Path(__file__).parents[1] / "photographs" / "open"
DEVELOPMENT = ("acanthus-mollis", "airplane-from-above", "dust-bowl-home", "locomotion-house-cat", "nagasaki-boats")
HELD_OUT = ("allium-oreophilum", "black-canyon", "french-alpine-landscape", "march-pastoral")
REAL_DAMAGE = {"airplane-from-above": 0.4}
"""This photograph has real scratches and dust, which the ground truth does not know: its negatives weigh less."""
MORE = (
    *("astronaut.png", "brick.png", "camera.png", "chelsea.png", "coffee.png"),
    *("coins.png", "grass.png", "gravel.png", "rocket.jpg"),
)
"""Public domain or CC0 (skimage.data names each one's source)."""
Rows = tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]


def photograph(name: str) -> NDArray[np.float32]:
    """RGB float32 (H, W, 3) in [0, 1]."""
    path = Path(sys.argv[1]) / name if name in MORE else PHOTOGRAPHS / f"{name}.jpg"
    return cv2.imread(str(path))[..., ::-1].astype(np.float32) / 255


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
        same, every = (
            cv2.resize(m.astype(np.float32), size, interpolation=cv2.INTER_AREA) >= 0.5 for m in (same, every)
        )
    at = (candidates.rows, candidates.columns)
    on = cv2.dilate(same.astype(np.uint8), np.ones((3, 3), np.uint8))[at] > 0
    near = cv2.dilate(every.astype(np.uint8), np.ones((7, 7), np.uint8))[at] > 0
    return on, near & ~on


def collect(names: tuple[str, ...], seeds: range, look: int, *, keep: float = 1.0) -> dict[int, Rows]:
    """Measurements, labels and weights of each octave's candidates over damaged photographs, for look 0, 1 or 2."""
    rng = np.random.default_rng(0)
    parts: dict[int, list[Rows]] = {octave: [] for octave in range(len(damage.REACHES))}
    for name in names:
        clean = photograph(name)
        for seed in seeds:
            # every other picture is compressed after the damage, so that compression itself is no clue
            truth = make_damage(clean, seed, jpeg=(85, 92)[seed // 2 % 2] if seed % 2 else None)
            luma = luma_of(truth.picture)
            seen = damage.first_look(luma, damage.survey(luma))
            known = {key: (c, c.evidence, np.zeros(0, np.int32)) for key, c in seen.items()}
            if look > 0:
                known = damage.with_context(damage.first_scores(seen), luma.shape, damage.REACHES)
            if look > 1:
                known = damage.with_context(damage.weighed(known, damage.SECOND_LOOK), luma.shape, damage.LAST_REACHES)
            for (octave, bright), (candidates, measured, _) in known.items():
                on, unsure = label_candidates(candidates, octave, bright, truth)
                use = ~unsure & (on | (rng.random(len(on)) < keep))
                weight = np.where(on, 1.0, REAL_DAMAGE.get(name, 1.0) / keep)
                parts[octave].append((measured[use], on[use].astype(np.float64), weight[use]))
    return {
        octave: (
            np.concatenate([p[0] for p in rows]),
            np.concatenate([p[1] for p in rows]),
            np.concatenate([p[2] for p in rows]),
        )
        for octave, rows in parts.items()
    }


def best_f1(rows: Rows, card: damage.Card) -> tuple[float, float]:
    """Best F1 over candidates and the log-odds threshold that gives it."""
    measured, label, weight = rows
    score = damage.apply_card(measured, card)
    order = np.argsort(-score, kind="stable")
    hit, false = np.cumsum((label * weight)[order]), np.cumsum(((1 - label) * weight)[order])
    f1 = 2 * hit / (hit + false + (label * weight).sum())
    k = int(f1.argmax())
    return float(f1[k]), float(score[order[k]] / damage.SCORE_UNIT)


def render(looks: list[tuple[damage.Card, ...]]) -> str:
    """The module's text."""
    lines = [
        '"""Score cards of the damage detector: made by tests/benchmarks/fit_damage_scores.py, never edited by hand.',
        "",
        "Fitted on synthetic damage over five public-domain photographs of the Getty's Open Content and nine free",
        "pictures of scikit-image (named there).",
        "A card is (base, trees); a tree is (features, thresholds, leaf scores), see damage.apply_card.",
        '"""',
        "",
        "# ruff: noqa: E501",
        "Trees = tuple[tuple[tuple[int, ...], tuple[float, ...], tuple[int, ...]], ...]",
    ]
    for title, cards in zip(LOOKS, looks, strict=True):
        lines += ["", f"{title}: tuple[tuple[int, Trees], ...] = ("]
        for base, trees in cards:
            lines += ["    (", f"        {base},", "        ("]
            lines += [f"            {tree!r}," for tree in trees]
            lines += ["        ),", "    ),"]
        lines.append(")")
    return "\n".join(lines) + "\n"


LOOKS = ("FIRST_LOOK", "SECOND_LOOK", "THIRD_LOOK")
PLAN = (
    {"seeds": range(100, 106), "keep": 0.3, "trees": 110, "depth": 4},
    {"seeds": range(200, 206), "keep": 0.7, "trees": 100, "depth": 3},
    {"seeds": range(300, 306), "keep": 0.7, "trees": 80, "depth": 2},
)


def _fit_one(task: tuple[Rows, int, int]) -> damage.Card:
    rows, trees, depth = task
    return fit(rows, trees=trees, depth=depth, rate=0.25)


def main() -> None:
    """Fit the looks of both octaves, print how they do on the development and the held-out photographs, write."""
    cv2.setNumThreads(1)
    looks: list[tuple[damage.Card, ...]] = []
    for look, plan in enumerate(PLAN):
        rows = collect(DEVELOPMENT + MORE, plan["seeds"], look, keep=plan["keep"])
        with multiprocessing.get_context("fork").Pool(2) as pool:
            cards = tuple(pool.map(_fit_one, [(rows[o], plan["trees"], plan["depth"]) for o in sorted(rows)]))
        looks.append(cards)
        setattr(damage, LOOKS[look], cards)
        held = collect(HELD_OUT, plan["seeds"][:2], look)
        for octave in rows:
            print(
                LOOKS[look],
                octave,
                rows[octave][0].shape,
                "development",
                best_f1(rows[octave], cards[octave]),
                "held out",
                best_f1(held[octave], cards[octave]),
                flush=True,
            )
    target = Path(damage_scores.__file__)
    target.write_text(render(looks))


if __name__ == "__main__":
    main()
