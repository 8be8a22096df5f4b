"""Measures the models that ship on the held-out `test` split and writes what comes out into their cards.

    python models/training/evaluate.py damage --photographs DIR --pool DIR --open tests/photographs/open

Writes `results` (and the calibration, which needs no threshold) into `models/NAME/card.json`, and `reliability.png`.
Nothing is chosen here: thresholds and calibration come with the card, from the validation split.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import hints
import numpy as np
import torch
from data import CLASS_BITS, RIM, Photographs, Source, cut_to, luma_of, make_shard, reduced, shard_path, stream
from export import MODELS, by_shapes, given_of, held_out, write
from measure import THIN, Tally, calibration_error, class_masks, psnr, similarity
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import nn

from archive_restore.imaging import colorize, damage_network, inpaint, networks
from archive_restore.imaging import damage as scored
from archive_restore.imaging.hints import Seen
from archive_restore.imaging.networks.colour import CHROMA, LONGEST, MULTIPLE, NEAR, chroma_kept

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.support.synthetic_damage import damage as draw_damage

EXAMPLES = 400
SEED = 13
"""Of the test examples: another than anything in training or calibration had."""
BINS = 20
WIDE = 12
"""Pixels: thin damage is what `imaging.inpaint.fill` takes; wider is medium."""

Floats = NDArray[np.float32]
Results = list[dict[str, Any]]
Network = Callable[[Floats], Floats]
"""Planes (c, h, w) -> planes, of any size."""


def main(argv: list[str] | None = None) -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=("damage", "fill", "denoise", "colour"))
    parser.add_argument("--photographs", type=Path, required=True)
    parser.add_argument("--pool", type=Path, required=True, help="where examples lie and are put")
    parser.add_argument("--open", type=Path, required=True, help="undamaged photographs that no training saw")
    parser.add_argument("--model", type=Path, help="models/NAME unless given")
    parser.add_argument("--examples", type=int, default=EXAMPLES)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--frame", type=int, default=1024, help="rows and columns of the picture that is timed")
    parser.add_argument("--sheet", type=Path, help="colour: a folder for contact sheets, to be looked at")
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    folder = args.model or MODELS / args.name
    card = json.loads((folder / "card.json").read_text())
    network = shipped(folder, card)
    if args.name == "colour":
        held = {split: list(reduced(Photographs(args.photographs, split), LONGEST, MULTIPLE)) for split in SPLITS}
        card["results"] = [*measure_colour(network, held, card, max(1, min(DRAWS, args.examples // 8)))]
        card["results"].append(speed(network, card, args.frame))
        if args.sheet is not None:
            sheets(network, held["test"], card, args.open, args.sheet)
        finish(folder, card)
        return
    source = Source(
        photographs=args.photographs, split="test", kind=args.name, pool=args.pool, seed=SEED, examples=args.examples
    )
    args.pool.mkdir(parents=True, exist_ok=True)
    make_shard(source, Photographs(args.photographs, "test"), 0)
    examples = np.load(shard_path(source, 0), mmap_mode="r")
    if args.name == "denoise":
        validation = held_out("denoise", args.photographs, args.pool, max(8, args.examples // 3))
        card["calibration"] = {"non_local_means": tuned_factor(validation)}
    measure = {"damage": measure_damage, "fill": measure_fill, "denoise": measure_denoise}[args.name]
    card["results"] = [*measure(network, examples, card, folder, args.open), speed(network, card, args.frame)]
    finish(folder, card)


def finish(folder: Path, card: dict[str, Any]) -> None:
    """Write the card and show its results."""
    write(folder / "card.json", card)
    for result in card["results"]:
        print(f"{result['value']:10.4f}  {result['baseline'] or '':>10}  {result['measure']}: {result['data']}")


def shipped(folder: Path, card: dict[str, Any]) -> nn.Module:
    """The network as a restoration would run it."""
    network = networks.build(card["architecture"]["name"], card["architecture"].get("parameters", {}))
    network.load_state_dict({name: value.float() for name, value in load_file(folder / "weights.safetensors").items()})
    return network.eval().requires_grad_(False).to(memory_format=torch.channels_last)


def on_any_size(network: nn.Module, planes: Floats, multiple: int = 16) -> Floats:
    """Run a network on (c, h, w) of any size: mirrored at the bottom and right up to the size multiple."""
    height, width = planes.shape[1:]
    padded = np.pad(planes, ((0, 0), (0, -height % multiple), (0, -width % multiple)), "symmetric")
    given = torch.from_numpy(np.ascontiguousarray(padded))[None].contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        made: Floats = network(given)[0, :, :height, :width].numpy()
    return made


def result(measure: str, value: float, baseline: float | None, data: str) -> dict[str, Any]:
    """One row of a card."""
    return {
        "measure": measure,
        "value": round(value, 5),
        "baseline": None if baseline is None else round(baseline, 5),
        "data": data,
    }


def speed(network: nn.Module, card: dict[str, Any], edge: int) -> dict[str, Any]:
    """Processor seconds a megapixel, the best of three frames of `edge` x `edge` pixels."""
    planes = sum(int(group.get("count", 1)) for group in card["input"]["planes"])
    given = np.random.default_rng(0).random((planes, edge, edge), np.float32)
    taken = []
    for _ in range(3):
        began = time.process_time()
        on_any_size(network, given)
        taken.append(1e6 * (time.process_time() - began) / edge**2)
    return result(
        "processor seconds a megapixel", min(taken), None, f"one frame of {edge} x {edge} pixels, float32, torch"
    )


# --- damage --------------------------------------------------------------------------------------------


def measure_damage(
    network: nn.Module, examples: np.ndarray, card: dict[str, Any], folder: Path, opened: Path
) -> Results:
    """Finding, calibration, false alarms."""
    with torch.inference_mode():
        guesses = np.concatenate(
            [network(given_of("damage", examples[k : k + 8])).numpy() for k in range(0, len(examples), 8)]
        )
    truth = np.ascontiguousarray(examples[:, 1])
    classes = card["calibration"]["classes"]
    least = [float(classes[name]["threshold"]) for name, _ in CLASS_BITS]
    held = f"{len(examples)} simulated crops of 256 pixels from the test split"
    results, thin = [], Tally()
    for k, (name, _) in enumerate(CLASS_BITS):
        tally = Tally()
        for guess, plane in zip(guesses, truth, strict=True):
            tally.add(guess[k] > least[k], class_masks(plane)[k])
        where = f"{held}, threshold {least[k]}"
        results.append(result(f"F1 at {2} px, {name}", tally.f1, None, where))
    baseline, added = Tally(), Tally()
    shapes = by_shapes(examples)
    told = classes["both"]
    fusion = damage_network.Fusion(**{name: told[name] for name in ("network", "shapes", "offset")})
    both = np.stack([damage_network.fused(g[THIN], s, fusion) for g, s in zip(guesses, shapes, strict=True)])
    for guess, sum_, plane, example in zip(guesses, both, truth, examples, strict=True):
        masks = class_masks(plane)
        wanted, damaged = masks[THIN], plane > 0
        thin.add(guess[THIN] > least[THIN], wanted, damaged & ~wanted)
        added.add(sum_ > told["threshold"], wanted, damaged & ~wanted)
        luma = example[0].astype(np.float32) / 255
        codes = scored.detect(luma, scored.DamageParameters(threshold=0.65), scored.survey(luma))
        baseline.add(codes > 0, wanted, damaged & ~wanted)
    for word in ("f1", "precision", "recall"):
        title = {"f1": "F1", "precision": "precision", "recall": "recall"}[word]
        for who, tally in (("the network alone", thin), ("with shape and contrast", added)):
            results.append(
                result(
                    f"{title} at 2 px, all thin damage, {who}",
                    getattr(tally, word),
                    getattr(baseline, word),
                    f"{held}; baseline: shape and contrast alone (imaging.damage) at 0.65",
                )
            )
    results += reliability(guesses, both, truth, folder / "reliability.png", held)
    return results + on_open_photographs(network, least, fusion, told["threshold"], opened)


def reliability(guesses: Floats, both: Floats, truth: NDArray[np.uint8], path: Path, data: str) -> Results:
    """Expected calibration error of each class and of thin damage by both ways together, and the plot."""
    results = []
    curves = []
    edges = np.linspace(0, 1, BINS + 1)
    opinions = [(k, name, guesses[:, k]) for k, (name, _) in enumerate(CLASS_BITS)] + [(THIN, "thin, both", both)]
    for k, name, said in opinions:
        marked = ((truth >> k) & 1) > 0
        sure = marked | ((truth & RIM) == 0)
        chance, true = said[sure], marked[sure].astype(np.float64)
        counts = np.histogram(chance, edges)[0]
        sums = np.histogram(chance, edges, weights=chance)[0]
        hits = np.histogram(chance, edges, weights=true)[0]
        filled = np.maximum(counts, 1)
        told, found = sums / filled, hits / filled
        results.append(
            result(
                f"expected calibration error, {name}, {BINS} bins",
                calibration_error(told.tolist(), found.tolist(), counts.tolist()),
                None,
                f"{data}, every pixel but rims and what nobody could see",
            )
        )
        rest = counts.copy()
        rest[0] = 0
        results.append(
            result(
                f"expected calibration error, {name}, where the chance is at least {1 / BINS:g}",
                calibration_error(told.tolist(), found.tolist(), rest.tolist()),
                None,
                f"{data}, the {rest.sum() / counts.sum():.2%} of pixels that are not plainly sound",
            )
        )
        curves.append((name, told, found, counts))
    cv2.imwrite(str(path), drawn(curves))
    return results


def drawn(curves: list[tuple[str, NDArray[np.float64], NDArray[np.float64], NDArray[np.intp]]]) -> NDArray[np.uint8]:
    """Reliability of each class: what was said (across) against what was so (up); dots grow with the count."""
    side, margin = 260, 34
    panels = []
    for name, told, found, counts in curves:
        panel = np.full((side + 2 * margin, side + 2 * margin, 3), 255, np.uint8)
        cv2.rectangle(panel, (margin, margin), (margin + side, margin + side), (90, 90, 90), 1)
        cv2.line(panel, (margin, margin + side), (margin + side, margin), (200, 200, 200), 1, cv2.LINE_AA)
        cv2.putText(panel, name, (margin, margin - 10), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
        for text, x, y in (("0", margin - 12, margin + side + 14), ("1", margin + side - 4, margin + side + 14)):
            cv2.putText(panel, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (90, 90, 90), 1, cv2.LINE_AA)
        known = counts > 100
        points = [
            (round(margin + x * side), round(margin + side - y * side))
            for x, y in zip(told[known], found[known], strict=True)
        ]
        for one, two in pairwise(points):
            cv2.line(panel, one, two, (170, 90, 30), 1, cv2.LINE_AA)
        for point, count in zip(points, counts[known], strict=True):
            cv2.circle(panel, point, 2 + int(np.log10(count) / 2), (170, 90, 30), -1, cv2.LINE_AA)
        panels.append(panel)
    return np.concatenate(panels, 1)


def on_open_photographs(
    network: nn.Module, least: list[float], fusion: damage_network.Fusion, limit: float, opened: Path
) -> Results:
    """False alarms on the photographs as they are, and finding of the other simulator's damage on them."""
    paths = sorted(opened.glob("*.jpg"))
    shares, everything = [], []
    tallies = {"the network alone": Tally(), "with shape and contrast": Tally(), "baseline": Tally()}

    def looked(luma: Floats) -> tuple[Floats, NDArray[np.bool_], NDArray[np.bool_]]:
        """What the network says, what both ways mark, what shape and contrast alone mark."""
        chance = on_any_size(network, luma[None])
        seen = scored.survey(luma)
        low = scored.search(luma, scored.DamageParameters(threshold=damage_network.SHAPES_FROM), seen)
        codes = scored.detect(luma, scored.DamageParameters(threshold=0.65), seen)
        return chance, damage_network.fused(chance[THIN], low.probability, fusion) > limit, codes > 0

    for path in paths:
        clean = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB).astype(np.float32) / 255
        chance, marked, _ = looked(luma_of(clean))
        shares.append(float(marked.mean()))
        everything.append(float((marked | (chance > np.reshape(least, (-1, 1, 1))).any(0)).mean()))
        made = draw_damage(clean, 1)
        chance, marked, codes = looked(luma_of(made.picture))
        for who, found in zip(tallies, (chance[THIN] > least[THIN], marked, codes), strict=True):
            tallies[who].add(found, made.truth)
    worst = int(np.argmax(shares))
    nine = f"the {len(paths)} undamaged open photographs"
    results = [
        result("share of pixels flagged as thin damage", float(np.mean(shares)), None, f"{nine}, mean"),
        result("share of pixels flagged as thin damage", shares[worst], None, f"{nine}, worst: {paths[worst].stem}"),
        result("share of pixels flagged as damage of any class", float(np.mean(everything)), None, f"{nine}, mean"),
    ]
    for word in ("f1", "precision", "recall"):
        title = "F1" if word == "f1" else word
        results += [
            result(
                f"{title} at 2 px, damage drawn by the tests' own simulator, {who}",
                getattr(tallies[who], word),
                getattr(tallies["baseline"], word),
                f"tests/support/synthetic_damage.py over {nine}, seed 1; "
                "baseline: shape and contrast alone (imaging.damage) at 0.65, partly fitted on them",
            )
            for who in ("the network alone", "with shape and contrast")
        ]
    return results


# --- fill ----------------------------------------------------------------------------------------------


def measure_fill(network: nn.Module, examples: np.ndarray, card: dict[str, Any], folder: Path, opened: Path) -> Results:
    """PSNR and SSIM inside the damage against what fills without a trained model."""
    thin, medium = Fills(), Fills()
    for example in examples:
        damaged, clean = example[:3].transpose(1, 2, 0), example[3:6].transpose(1, 2, 0)
        mask = example[6] > 127
        narrow, wide = inpaint.split_by_width(mask, WIDE)
        thin.add(network, np.ascontiguousarray(damaged), np.ascontiguousarray(clean), mask, narrow, ours=True)
        medium.add(network, np.ascontiguousarray(damaged), np.ascontiguousarray(clean), mask, wide, ours=False)
    held = f"{len(examples)} simulated crops of 256 pixels from the test split"
    results = thin.results(f"thin damage (up to {WIDE} px)", held) + medium.results("wider damage (up to 48 px)", held)
    other = Fills()
    for path in sorted(opened.glob("*.jpg")):
        clean = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
        made = draw_damage(clean.astype(np.float32) / 255, 1)
        mask = inpaint.with_rim(made.truth)
        coded = np.round(made.picture * 255).astype(np.uint8)
        other.add(network, coded, clean, mask, made.truth, ours=True)
    return results + other.results("damage drawn by the tests' own simulator", "nine open photographs, seed 1")


class Fills:
    """Errors of several methods inside the same masks."""

    def __init__(self) -> None:
        self.squares: dict[str, float] = {}
        self.likeness: dict[str, float] = {}
        self.told = self.off = 0.0
        self.count = 0

    def add(
        self,
        network: nn.Module,
        damaged: NDArray[np.uint8],
        clean: NDArray[np.uint8],
        mask: NDArray[np.bool_],
        where: NDArray[np.bool_],
        *,
        ours: bool,
    ) -> None:
        """Fill `mask` of one picture (h, w, 3) and look at `where`."""
        if not where.any():
            return
        reference = clean.astype(np.float32) / 255
        given = np.concatenate([damaged.astype(np.float32) / 255, mask[..., None].astype(np.float32)], 2)
        out = on_any_size(network, given.transpose(2, 0, 1)).transpose(1, 2, 0)
        made = {"network": out[..., :3]}
        code = mask.astype(np.uint8)
        made["Telea"] = cv2.inpaint(damaged, code, 3, cv2.INPAINT_TELEA).astype(np.float32) / 255
        made["Navier-Stokes"] = cv2.inpaint(damaged, code, 3, cv2.INPAINT_NS).astype(np.float32) / 255
        if ours:
            made["imaging.inpaint"] = inpaint.fill(damaged, mask, grain=0)[0].astype(np.float32) / 255
        count = int(where.sum())
        for name, picture in made.items():
            off = (picture[where] - reference[where]).astype(np.float64)
            self.squares[name] = self.squares.get(name, 0.0) + float((off**2).sum())
            like = similarity(luma_of(picture), luma_of(reference), where) * count
            self.likeness[name] = self.likeness.get(name, 0.0) + like
        self.told += float(out[..., 3][where].sum())
        self.off += float(np.abs(out[..., :3][where] - reference[where]).mean(1).sum())
        self.count += count

    def results(self, title: str, data: str) -> Results:
        """Rows for the card, one a method it is compared with."""
        rows = []
        for name in [name for name in self.squares if name != "network"]:
            worse, better = (-10 * np.log10(self.squares[n] / (3 * self.count)) for n in (name, "network"))
            rows.append(result(f"PSNR inside {title}, dB", float(better), float(worse), f"{data}; baseline: {name}"))
            likes = [self.likeness[n] / self.count for n in ("network", name)]
            rows.append(result(f"SSIM inside {title}", likes[0], likes[1], f"{data}; baseline: {name}"))
        told, off = self.told / max(self.count, 1), self.off / max(self.count, 1)
        rows.append(result(f"expected absolute error inside {title}", told, off, f"{data}; baseline: the true error"))
        return rows


# --- denoise -------------------------------------------------------------------------------------------


STRENGTHS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16)
"""Of non-local means, code values of 8 bits."""
FACTORS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.5)
"""Strengths of non-local means for each deviation of noise that is estimated."""


def measure_denoise(
    network: nn.Module, examples: np.ndarray, card: dict[str, Any], folder: Path, opened: Path
) -> Results:
    """PSNR against non-local means, tuned to the noise as one would, and with the best strength of all: an oracle."""
    rows = [one for example in examples if (one := denoised(network, example)) is not None]
    after, before = (float(np.mean([row[k] for row in rows])) for k in (0, 1))
    factor = float(card["calibration"]["non_local_means"])
    tuned = float(np.mean([at_factor(row, factor) for row in rows]))
    oracle = float(np.mean([row[3].max() for row in rows]))
    data = f"{len(rows)} noisy crops of 256 pixels from the test split"
    methods = {
        f"non-local means, strength {factor} times the estimated noise, tuned on the validation split": tuned,
        "non-local means, the strength that suits each picture best, which nobody knows": oracle,
        "as it was": before,
    }
    results = [result("PSNR, dB", after, value, f"{data}; baseline: {name}") for name, value in methods.items()]
    for low, high in ((0, 27), (27, 33), (33, 39), (39, 99)):
        part = [row for row in rows if low <= row[1] < high]
        if part:
            gain = float(np.mean([row[0] - row[1] for row in part]))
            other = float(np.mean([at_factor(row, factor) - row[1] for row in part]))
            where = f"the {len(part)} of them that had {low} to {high} dB; baseline: tuned non-local means"
            results.append(result("gain in PSNR, dB", gain, other, where))
    return results


Denoised = tuple[float, float, float, NDArray[np.float64]]
"""PSNR denoised and before, estimated noise, PSNR of non-local means at each of STRENGTHS."""


def denoised(network: nn.Module | None, example: NDArray[np.uint8]) -> Denoised | None:
    """One example (6, h, w) denoised in every way; None without noise, where the ratio has no end."""
    noisy, clean = example[:3].transpose(1, 2, 0), example[3:].transpose(1, 2, 0).astype(np.float32) / 255
    noisy = np.ascontiguousarray(noisy)
    if np.array_equal(noisy, example[3:].transpose(1, 2, 0)):
        return None
    every = np.ones(clean.shape[:2], np.bool_)
    planes = noisy.astype(np.float32) / 255
    made = planes
    if network is not None:
        given = np.concatenate([planes, np.ones((*every.shape, 1), np.float32)], 2)
        made = on_any_size(network, given.transpose(2, 0, 1)).transpose(1, 2, 0)
    tries = [cv2.fastNlMeansDenoisingColored(noisy, None, h, h, 7, 21) for h in STRENGTHS]
    means = [psnr(t.astype(np.float32) / 255, clean, every) for t in tries]
    return psnr(made, clean, every), psnr(planes, clean, every), noise_of(luma_of(planes)), np.array(means)


def at_factor(row: Denoised, factor: float) -> float:
    """PSNR of non-local means with `factor` times the estimated noise for a strength."""
    return float(np.interp(min(max(factor * row[2], STRENGTHS[0]), STRENGTHS[-1]), STRENGTHS, row[3]))


def noise_of(luma: Floats) -> float:
    """Deviation of the noise in code values of 8 bits (Immerkaer, "Fast noise variance estimation", CVIU 64, 1996)."""
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    return float(255 * np.sqrt(np.pi / 2) / 6 * np.abs(cv2.filter2D(luma, -1, kernel))[1:-1, 1:-1].mean())


def tuned_factor(examples: NDArray[np.uint8]) -> float:
    """The factor with which non-local means does best on these."""
    rows = [row for example in examples if (row := denoised(None, example)) is not None]
    return max(FACTORS, key=lambda factor: sum(at_factor(row, factor) for row in rows))


# --- colour --------------------------------------------------------------------------------------------


SPLITS = ("validation", "test")
"""Of photographs from which no weight was learnt."""
DRAWS = 10
"""Draws of random hints, of which the median counts."""


def measure_colour(
    network: nn.Module, held: dict[str, list[NDArray[np.uint8]]], card: dict[str, Any], draws: int
) -> Results:
    """Colour without hints against none and a constant tint, with them against hints that are only spread; confidence.

    Whole photographs, (h, w, 3) uint8 with the longest edge LONGEST.
    """
    calibration = card["calibration"]
    abstention = calibration["abstention"]
    tint = np.array(calibration["mean_tint"], np.float32).reshape(2, 1, 1)
    results, told = [], []
    answers: dict[bytes, Floats] = {}  # hints are no part of what the network is asked
    for split, note in (("test", "the test split"), ("validation", "the validation split: calibrated on it")):
        data = f"{len(held[split])} photographs of {LONGEST} pixels, {note}"
        rows = [Coloured.of(network, picture, 0, (0, k), answers) for k, picture in enumerate(held[split])]
        made = [row.psnr(row.made) for row in rows]
        kept = [row.psnr(row.kept(abstention)) for row in rows]
        gray, tinted = ([row.psnr(row.made * 0 + other) for row in rows] for other in (0, tint))
        for name, values in (("gray", gray), ("the mean tint of the training photographs", tinted)):
            told.append((data, made, values, name))
            told.append((data + "; colours given up where unsure", kept, values, name))
        for name, other in (("gray", 0), ("the mean tint of the training photographs", tint)):
            errors = [float(hints.error(row.made * 0 + other, row.truth).mean()) for row in rows]
            ours = [float(hints.error(row.made, row.truth).mean()) for row in rows]
            results.append(mean("mean error of a and b, automatic", ours, errors, f"{data}; baseline: {name}"))
        if split == "test":
            results += confidences(rows, abstention, "automatic", data)
            results.append(
                mean(
                    "colourfulness (Hasler and Suesstrunk 2003), automatic",
                    [colourfulness(hints.rgb_of(row.lightness, row.made)) for row in rows],
                    [colourfulness(row.picture) for row in rows],
                    f"{data}; baseline: the photographs",
                )
            )
    results = [mean("PSNR, dB, automatic", ours, o, f"{d}; baseline: {name}") for d, ours, o, name in told] + results
    for count in hints.COUNTS[1:]:
        ours, alone, errors, plain, every = [], [], [], [], []
        for draw in range(draws):
            rows = [Coloured.of(network, p, count, (draw, k), answers) for k, p in enumerate(held["test"])]
            ours.append(float(np.mean([row.psnr(row.made) for row in rows])))
            alone.append(float(np.mean([row.psnr(row.spread) for row in rows])))
            errors.append(float(np.mean([hints.error(row.made, row.truth).mean() for row in rows])))
            plain.append(float(np.mean([hints.error(row.spread, row.truth).mean() for row in rows])))
            every += rows
        hinted = f"{count} hint{'s' if count > 1 else ''}"
        data = (
            f"{len(held['test'])} photographs of {LONGEST} pixels, the test split, median of {draws} draws of hints "
            "from the truth; baseline: the same hints, spread by imaging.hints alone"
        )
        results.append(result(f"PSNR, dB, {hinted}", float(np.median(ours)), float(np.median(alone)), data))
        results.append(
            result(f"mean error of a and b, {hinted}", float(np.median(errors)), float(np.median(plain)), data)
        )
        results += confidences(every, abstention, hinted, f"{len(held['test'])} photographs of the test split")[:1]
    return results


@dataclass(frozen=True, kw_only=True)
class Coloured:
    """One photograph, coloured."""

    picture: Floats
    """sRGB (h, w, 3)."""
    lightness: Floats
    """L*/100 (h, w)."""
    truth: Floats
    """a*/110 and b*/110, (2, h, w)."""
    spread: Floats
    """Those that the hints alone give, (2, h, w)."""
    made: Floats
    """Those of the network and the hints, (2, h, w)."""
    confidence: Floats
    """(h, w)."""

    @classmethod
    def of(
        cls,
        network: nn.Module,
        picture: NDArray[np.uint8],
        count: int,
        key: tuple[int, ...],
        answers: dict[bytes, Floats] | None = None,
    ) -> Coloured:
        """Colour a photograph (h, w, 3) with `count` hints, drawn by `key`, as the program does; `answers` of the
        network are kept for the next time."""
        asked = hints.asked(stream(SEED, count, *key), picture, count)
        light = 100 * asked.planes[0]
        seen, spread = Seen(light), hints.carried(light / 100, asked.given)

        def predict(planes: Floats) -> Floats:
            digest = hashlib.sha256(planes.tobytes()).digest()
            known = {} if answers is None else answers
            if digest not in known:
                known[digest] = on_any_size(network, planes[0])[None]
            return known[digest]

        propose = colorize.belonging_proposal(predict, multiple=MULTIPLE)
        proposed = propose(seen, spread, colorize.judgement(light, None))
        made = colorize.compose(proposed, spread)
        plain = spread.ab * spread.trust[:, :, None]
        return cls(
            picture=picture.astype(np.float32) / 255, lightness=asked.planes[0], truth=asked.ab,
            spread=plain.transpose(2, 0, 1) / np.float32(CHROMA), made=made.transpose(2, 0, 1) / np.float32(CHROMA),
            confidence=proposed.sure,
        )  # fmt: skip

    def kept(self, abstention: dict[str, float]) -> Floats:
        """The network's colours, given up for gray where it is unsure, (2, h, w)."""
        return self.made * chroma_kept(self.confidence, abstention["none"], abstention["full"])

    def psnr(self, ab: Floats) -> float:
        """Of these colours, in sRGB, dB."""
        made = hints.rgb_of(self.lightness, ab)
        return psnr(made, self.picture, np.ones(self.lightness.shape, np.bool_))


def mean(measure: str, values: list[float], baseline: list[float], data: str) -> dict[str, Any]:
    """One row of a card, of means over pictures."""
    return result(measure, float(np.mean(values)), float(np.mean(baseline)), data)


def confidences(rows: list[Coloured], abstention: dict[str, float], what: str, data: str) -> Results:
    """How far the confidence is off, how much is given up for gray, and how wrong that is which is sure."""
    chance = np.concatenate([row.confidence.ravel() for row in rows])
    off = np.concatenate([hints.error(row.made, row.truth).ravel() for row in rows])
    edges = np.linspace(0, 1, BINS + 1)
    counts = np.histogram(chance, edges)[0]
    filled = np.maximum(counts, 1)
    said = np.histogram(chance, edges, weights=chance)[0] / filled
    right = np.histogram(chance, edges, weights=(off < NEAR).astype(np.float64))[0] / filled
    kept = chroma_kept(chance, abstention["none"], abstention["full"])
    sure = chance >= np.quantile(chance, 0.5)
    error = calibration_error(said.tolist(), right.tolist(), counts.tolist())
    return [
        result(f"expected calibration error of the confidence, {what}, {BINS} bins", error, None, data),
        result(f"share of pixels with an error below {NEAR:g}, {what}", float((off < NEAR).mean()), None, data),
        result(f"mean error of a and b in the surer half of the pixels, {what}", float(off[sure].mean()),
               float(off[~sure].mean()), f"{data}; baseline: the other half"),
        result(f"share of pixels that give up more than half of their chroma, {what}", float((kept < 0.5).mean()),
               None, f"{data}; none up to a confidence of {abstention['none']:g}, all from {abstention['full']:g} on"),
    ]  # fmt: skip


def colourfulness(picture: Floats) -> float:
    """Of sRGB (h, w, 3) in [0, 1], in code values of 8 bits (Hasler and Süsstrunk, "Measuring colourfulness in natural
    images", SPIE 5007, 2003)."""
    red, green, blue = (255 * picture[..., k].astype(np.float64) for k in range(3))
    one, two = red - green, 0.5 * (red + green) - blue
    return float(np.hypot(one.std(), two.std()) + 0.3 * np.hypot(one.mean(), two.mean()))


def sheets(network: nn.Module, held: list[NDArray[np.uint8]], card: dict[str, Any], opened: Path, folder: Path) -> None:
    """Contact sheets, a photograph a row: `held.png` and `open.png`, the open photographs, whose colour nobody knows.

    Gray, automatic, the same given up where unsure, confidence; then with 5 and with 50 hints, spread alone and by the
    network; and the truth.
    """
    folder.mkdir(parents=True, exist_ok=True)
    abstention = card["calibration"]["abstention"]

    def row(picture: NDArray[np.uint8], counts: tuple[int, ...], *, known: bool) -> NDArray[np.uint8]:
        made = {count: Coloured.of(network, picture, count, (0, 0)) for count in counts}
        first = made[0]
        gray = hints.rgb_of(first.lightness, 0 * first.made)
        cells = [gray, *(hints.rgb_of(first.lightness, ab) for ab in (first.made, first.kept(abstention)))]
        cells.append(np.repeat(first.confidence[..., None], 3, 2))
        for count in counts[1:]:
            cells += [hints.rgb_of(first.lightness, ab) for ab in (made[count].spread, made[count].made)]
        cells += [first.picture] if known else []
        small = [cv2.resize(cell, (240, 180), interpolation=cv2.INTER_AREA) for cell in cells]
        return np.asarray(np.round(np.concatenate(small, 1) * 255), np.uint8)

    originals = [cv2.imread(str(path), cv2.IMREAD_COLOR_RGB) for path in sorted(opened.glob("*.jpg"))]
    without = [np.repeat(np.round(255 * luma_of(p.astype(np.float32) / 255))[..., None], 3, 2) for p in originals]
    grays = [cut_to(picture.astype(np.uint8), LONGEST, MULTIPLE) for picture in without]
    for name, rows in (
        ("held", [row(picture, (0, 5, 50), known=True) for picture in held]),
        ("open", [row(picture, (0,), known=False) for picture in grays]),
    ):
        if rows:
            cv2.imwrite(str(folder / f"{name}.png"), np.concatenate(rows)[..., ::-1])


if __name__ == "__main__":
    main()
