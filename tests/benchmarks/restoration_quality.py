"""Quality of damage detection and fill on synthetic damage over the nine open photographs, as a markdown table.

Detection: precision, recall and F1 with 2 pixels of tolerance, and false alarms on the undamaged originals. Fill: PSNR
inside the true damage against cv2.inpaint. Run: python -m tests.benchmarks.restoration_quality [--seeds N] [--jpeg Q]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from archive_restore.imaging import damage, inpaint
from tests.benchmarks.fit_damage_scores import DEVELOPMENT, HELD_OUT, photograph
from tests.support.synthetic_damage import KINDS, luma_of
from tests.support.synthetic_damage import damage as make_damage

TOLERANCE = 2
Mask = NDArray[np.bool_]


def near(mask: Mask, pixels: int = TOLERANCE) -> Mask:
    """Within `pixels` (Euclidean) of the mask."""
    at = np.arange(-pixels, pixels + 1)
    disc = (at[:, None] ** 2 + at[None, :] ** 2 <= pixels**2).astype(np.uint8)
    return np.asarray(cv2.dilate(mask.astype(np.uint8), disc) > 0)


@dataclass(kw_only=True)
class Tally:
    """Sums over pictures and seeds, so that totals weigh pixels and not photographs."""

    right: int = 0
    found: int = 0
    recalled: int = 0
    true: int = 0
    by_kind: dict[str, list[int]] = field(default_factory=lambda: {k: [0, 0] for k in KINDS})
    false_alarms: int = 0
    pixels: int = 0
    errors: dict[str, list[float]] = field(default_factory=dict)

    def add_detection(self, found: Mask, truth: Mask, masks: dict[str, Mask]) -> None:
        around = near(found)
        self.right += int((found & near(truth)).sum())
        self.found += int(found.sum())
        self.recalled += int((truth & around).sum())
        self.true += int(truth.sum())
        for kind, mask in masks.items():
            self.by_kind[kind][0] += int((mask & around).sum())
            self.by_kind[kind][1] += int(mask.sum())

    def add_error(self, method: str, made: NDArray[np.float32], clean: NDArray[np.float32], where: Mask) -> None:
        total = self.errors.setdefault(method, [0.0, 0.0])
        total[0] += float(((made[where] - clean[where]).astype(np.float64) ** 2).sum())
        total[1] += float(clean[where].size)

    def merge(self, others: Iterable[Tally]) -> Tally:
        for o in others:
            for name in ("right", "found", "recalled", "true", "false_alarms", "pixels"):
                setattr(self, name, getattr(self, name) + getattr(o, name))
            for kind, (hit, every) in o.by_kind.items():
                self.by_kind[kind][0] += hit
                self.by_kind[kind][1] += every
            for method, (error, count) in o.errors.items():
                total = self.errors.setdefault(method, [0.0, 0.0])
                total[0] += error
                total[1] += count
        return self

    @property
    def precision(self) -> float:
        return self.right / max(self.found, 1)

    @property
    def recall(self) -> float:
        return self.recalled / max(self.true, 1)

    @property
    def f1(self) -> float:
        return 2 * self.precision * self.recall / max(self.precision + self.recall, 1e-9)

    def psnr(self, method: str) -> float:
        error, count = self.errors[method]
        return float(-10 * np.log10(max(error / count, 1e-12)))


def measure_detection(
    name: str, seeds: Sequence[int], jpeg: int | None = None, parameters: damage.DamageParameters | None = None
) -> Tally:
    """Detection on one photograph."""
    parameters = parameters or damage.DamageParameters()
    clean = photograph(name)
    tally = Tally()
    luma = luma_of(clean)
    alarms = damage.detect(luma, parameters, damage.survey(luma)) > 0
    tally.false_alarms, tally.pixels = int(alarms.sum()), alarms.size
    for seed in seeds:
        truth = make_damage(clean, seed, jpeg=jpeg)
        luma = luma_of(truth.picture)
        found = damage.detect(luma, parameters, damage.survey(luma)) > 0
        tally.add_detection(found, truth.truth, dict(truth.masks))
    return tally


def measure_fill(name: str, seeds: Sequence[int]) -> Tally:
    """Fill of one photograph's true damage (and its rim, the same for every method), 8-bit as cv2.inpaint demands."""
    clean = np.round(photograph(name) * 255).astype(np.uint8)
    reference = clean.astype(np.float32) / 255
    tally = Tally()
    for seed in seeds:
        truth = make_damage(reference, seed)
        coded = np.round(truth.picture * 255).astype(np.uint8)
        mask = inpaint.with_rim(truth.truth)
        polarity = {"": truth.truth, " bright": truth.truth & truth.brighter, " dark": truth.truth & ~truth.brighter}
        made = {
            "ours": inpaint.fill(coded, mask, seed=seed)[0],
            "ours, no grain": inpaint.fill(coded, mask, grain=0)[0],
        }
        for title, flag in (("Telea", cv2.INPAINT_TELEA), ("NS", cv2.INPAINT_NS)):
            tries = [cv2.inpaint(coded, mask.astype(np.uint8), radius, flag) for radius in (3, 5)]
            made[title] = min(
                tries, key=lambda t: float(((t[truth.truth] / 255.0 - reference[truth.truth]) ** 2).sum())
            )
        for method, picture in made.items():
            for which, where in polarity.items():
                tally.add_error(method + which, picture.astype(np.float32) / 255, reference, where)
    return tally


def row(title: str, t: Tally) -> str:
    cells = [f"{t.precision:.3f}", f"{t.recall:.3f}", f"{t.f1:.3f}"]
    cells += [f"{t.by_kind[k][0] / max(t.by_kind[k][1], 1):.2f}" for k in KINDS]
    cells.append(f"{100 * t.false_alarms / max(t.pixels, 1):.3f} %")
    if t.errors:
        cells += [f"{t.psnr(m):.2f}" for m in ("ours", "ours, no grain", "Telea", "NS")]
    return f"| {title} | " + " | ".join(cells) + " |"


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--jpeg", type=int, default=None, help="encode the damaged pictures at this quality first")
    options.add_argument("--no-fill", action="store_true")
    options.add_argument("--threshold", type=float, default=damage.DamageParameters().threshold)
    chosen = options.parse_args()
    seeds = list(range(chosen.seeds))
    parameters = damage.DamageParameters(threshold=chosen.threshold)
    titles = ["photograph", "precision", "recall", "F1", *(f"recall {k}" for k in KINDS), "false alarms"]
    if not chosen.no_fill:
        titles += [f"PSNR {m}, dB" for m in ("ours", "ours without grain", "Telea", "NS")]
    print("| " + " | ".join(titles) + " |")
    print("|" + "---|" * len(titles))
    tallies: dict[str, Tally] = {}
    for name in (*DEVELOPMENT, *HELD_OUT):
        tally = measure_detection(name, seeds, chosen.jpeg, parameters)
        if not chosen.no_fill:
            tally.merge([measure_fill(name, seeds)])
        tallies[name] = tally
        print(row(name + (" (development)" if name in DEVELOPMENT else ""), tally), flush=True)
    print(row("**five of the development**", Tally().merge(tallies[n] for n in DEVELOPMENT)))
    print(row("**four held out**", Tally().merge(tallies[n] for n in HELD_OUT)))
    every = Tally().merge(tallies.values())
    print(row("**all nine**", every))
    if not chosen.no_fill:
        print()
        print("| PSNR inside the damage, all nine, dB | ours | ours without grain | Telea | NS |")
        print("|---|---|---|---|---|")
        for which in ("", " bright", " dark"):
            cells = [f"{every.psnr(m + which):.2f}" for m in ("ours", "ours, no grain", "Telea", "NS")]
            print(f"|{which or ' both polarities'} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
