"""Makes the weights that ship from a checkpoint: averaged, folded, halved where that loses nothing; calibrates them.

    python models/training/export.py damage --checkpoint RUN/checkpoint.pt --photographs DIR --pool RUN/pool

Writes `weights.safetensors` into `models/NAME/` and architecture, digest, sources, calibration and self-test into its
`card.json`; everything else there was written by hand and is kept; that of a model without a card lies beside this
file. Calibration sees the validation split alone.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import hints
import numpy as np
import torch
from data import (
    CLASS_BITS,
    RIM,
    SIZE,
    Photographs,
    Source,
    entries,
    luma_of,
    make_shard,
    reduced,
    shard_path,
    stream,
)
from loop import averaged
from measure import THIN, Tally, class_masks, near
from safetensors.torch import save
from torch import Tensor, nn

from archive_restore.adapters.models_card import read_card
from archive_restore.core.model_contracts import self_test_input
from archive_restore.imaging import damage, damage_network
from archive_restore.imaging.networks.colour import LONGEST, MULTIPLE, NEAR, ColourNet, chroma_kept
from archive_restore.imaging.networks.damage import DamageNet
from archive_restore.imaging.networks.denoise import DenoiseNet
from archive_restore.imaging.networks.fill import FillNet
from tests.support.synthetic_damage import damage as draw_damage

HERE = Path(__file__).resolve().parent
MODELS = HERE.parent
MANIFEST = "photographs.json"
"""Name of the list of training photographs beside the card."""
SELF_TEST_SEED = 1
NIL = {"damage": 1 / 255, "fill": 1 / 255, "denoise": 1 / 255, "colour": 1 / 55}
"""Float16 weights may change an output by at most this much; of colour two units of CIELAB, which nobody sees."""
CALIBRATION_EXAMPLES = 256
CALIBRATION_SEED = 11
FALSE_ALARMS = 0.001
"""Most false alarms a threshold may give, share of the sound pixels of the validation split: a third of the goal."""
ABSTAINING = 0.05
"""dB that may be lost where an unsure colour is given up for gray, on the validation split."""
SCENE = {"name": "ImageNet (ILSVRC 2012), from which Google's EfficientNet-Lite0 learnt", "licence": "NOASSERTION",
         "count": 1281167}  # fmt: skip
"""What the part of the colour network learnt from that says what a picture shows."""
THRESHOLDS = tuple(round(0.05 * k, 2) for k in range(2, 20))


def main(argv: list[str] | None = None) -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=sorted(NIL))
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--photographs", type=Path, required=True)
    parser.add_argument("--pool", type=Path, required=True, help="where examples lie and are put")
    parser.add_argument("--out", type=Path, help="models/NAME unless given")
    parser.add_argument("--examples", type=int, default=CALIBRATION_EXAMPLES)
    parser.add_argument("--plain", type=float, default=0.0, help="colour: share of the guess that is regression")
    parser.add_argument("--kept", type=float, default=1.0, help="colour: share of its chroma that a guess keeps")
    args = parser.parse_args(argv)
    out = args.out or MODELS / args.name
    out.mkdir(parents=True, exist_ok=True)
    written = [path for path in (out / "card.json", HERE / f"{args.name}_card.json") if path.exists()]
    card = json.loads(written[0].read_text()) if written else {}
    guess = {"plain": args.plain, "kept": args.kept}
    network, state = weights_of(args.name, args.checkpoint, guess)
    examples = held_out(args.name, args.photographs, args.pool, args.examples)
    halved = {name: value.half() for name, value in state.items()}
    loss = largest_change(args.name, network, halved, examples[:16])
    kept = halved if loss <= NIL[args.name] else state
    network.load_state_dict({name: value.float() for name, value in kept.items()})
    data = save({name: value.contiguous() for name, value in kept.items()})
    (out / "weights.safetensors").write_bytes(data)
    card.setdefault("architecture", {}).update({"library": "archive-restore", "name": args.name})
    card["weights"] = {
        "file": "weights.safetensors",
        "format": "safetensors",
        "sha256": hashlib.sha256(data).hexdigest(),
        "dtype": "float16" if kept is halved else "float32",
        "parameters": sum(p.numel() for p in network.parameters()),
    }
    shutil.copyfile(args.photographs / "manifest.json", out / MANIFEST)
    card.setdefault("training", {}).update({"manifest": MANIFEST, "sources": sources(args.photographs)})
    print(f"float16 changes an output by at most {loss:.5f}")
    if args.name == "damage":
        scale, offset, table = calibrated(network, examples, drawn_examples(args.photographs, args.examples))
        card["architecture"]["parameters"] = {"scale": scale, "offset": offset}
        card["calibration"] = table
        network = DamageNet(scale=scale, offset=offset)
        network.load_state_dict({name: value.float() for name, value in kept.items()})
    if args.name == "colour":
        scale, offset, table = calibrated_colour(network, examples)
        assert isinstance(network, ColourNet)
        parameters = {"scene": True, **guess} if network.scene is not None else {}
        if network.scene is not None:
            card["training"]["sources"].append(SCENE)
        card["architecture"]["parameters"] = {**parameters, "scale": scale, "offset": offset}
        card["calibration"] = table | {"mean_tint": mean_tint(args.photographs)}
        network = ColourNet(**card["architecture"]["parameters"]).eval()
        network.load_state_dict({name: value.float() for name, value in kept.items()})
    card["selftest"] = None
    write(out / "card.json", card)
    card["selftest"] = self_test(out / "card.json", network)
    write(out / "card.json", card)


def weights_of(name: str, checkpoint: Path, guess: dict[str, float]) -> tuple[nn.Module, dict[str, Tensor]]:
    """The network as it ships, and its weights, float32; `guess`: parameters of a colour network with a scene."""
    if name == "damage":
        trained = averaged(checkpoint, DamageNet(normalized=True))
        assert isinstance(trained, DamageNet)
        state = trained.folded()
        network: nn.Module = DamageNet()
        network.load_state_dict(state)
    else:
        fresh = ColourNet() if name == "colour" else {"fill": FillNet, "denoise": DenoiseNet}[name]()
        if name == "colour" and any(
            key.startswith("scene.") for key in torch.load(checkpoint, weights_only=True)["average"]
        ):
            fresh = ColourNet(scene=True, **guess)
        network = averaged(checkpoint, fresh)
        state = {key: value.contiguous() for key, value in network.state_dict().items()}
    return network.eval().requires_grad_(False).to(memory_format=torch.channels_last), state


def held_out(name: str, photographs: Path, pool: Path, count: int) -> np.ndarray:
    """Examples of the validation split that training did not look at."""
    source = Source(
        photographs=photographs, split="validation", kind=name, pool=pool, seed=CALIBRATION_SEED, examples=count
    )
    pool.mkdir(parents=True, exist_ok=True)
    make_shard(source, Photographs(photographs, "validation"), 0)
    made: np.ndarray = np.load(shard_path(source, 0), mmap_mode="r")
    return made


def given_of(name: str, examples: np.ndarray) -> Tensor:
    """What a network is given of its examples, (n, c, h, w) float32."""
    if name == "colour":
        return torch.from_numpy(asked(examples)[:, :4])
    planes = torch.from_numpy(np.array(examples)).float() / 255
    if name == "damage":
        return planes[:, :1]
    if name == "fill":
        return torch.cat([planes[:, :3], (planes[:, 6:] > 0.5).float()], 1)
    return torch.cat([planes[:, :3], torch.ones_like(planes[:, :1])], 1)


def asked(examples: np.ndarray) -> np.ndarray:
    """What the colour network is given of its examples (n, 3, h, w), and the truth; (n, 6, h, w)."""
    made = (hints.asked(stream(CALIBRATION_SEED, k), e.transpose(1, 2, 0), 0) for k, e in enumerate(examples))
    return np.stack([np.concatenate([one.planes, one.ab]) for one in made])


def largest_change(name: str, network: nn.Module, halved: dict[str, Tensor], examples: np.ndarray) -> float:
    """Greatest change of an output when the weights are rounded to float16; of colour and confidence, since codes of
    what belongs together have no unit."""
    given = given_of(name, examples)
    with torch.inference_mode():
        before = network(given)
        full = {key: value.clone() for key, value in network.state_dict().items()}
        network.load_state_dict({key: value.float() for key, value in halved.items()})
        after = network(given)
        network.load_state_dict(full)
    return float((before - after).abs()[:, :3].max()) if name == "colour" else float((before - after).abs().max())


def sources(photographs: Path) -> list[dict[str, Any]]:
    """Packages and licences of the training photographs."""
    manifest = json.loads((photographs / "manifest.json").read_text())
    counts = Counter(
        (str(e.get("package", "photographs")), spdx(str(e.get("licence", "NOASSERTION"))))
        for e in entries(manifest)
        if e["split"] == "train"
    )
    return [{"name": name, "licence": licence, "count": n} for (name, licence), n in sorted(counts.items())]


def spdx(licence: str) -> str:
    """A licence as the manifest quotes its source, as the SPDX list spells it."""
    known = {
        "public domain": "LicenseRef-PublicDomain",
        "public-domain": "LicenseRef-PublicDomain",
        "gpl-2+": "GPL-2.0-or-later",
        "cc0": "CC0-1.0",
    }
    words = licence.lower()
    return known.get(words, licence.replace("CC-BY ", "CC-BY-").replace("CC-BY-SA ", "CC-BY-SA-").replace(" ", "-"))


def calibrated(
    network: nn.Module, examples: np.ndarray, drawn: np.ndarray
) -> tuple[list[float], list[float], dict[str, Any]]:
    """Platt's scale and offset of each class, and the threshold that finds best without many false alarms.

    `drawn` are examples with damage of another kind, for weighing the network against shape and contrast.
    """
    assert isinstance(network, DamageNet)
    logits, truth = logits_of(network, examples), examples[:, 1]
    scale, offset, table = [], [], {}
    sound = np.stack([~near((plane & ~np.uint8(RIM)) > 0) & ((plane & RIM) == 0) for plane in truth])
    for k, (name, _) in enumerate(CLASS_BITS):
        marked = ((truth >> k) & 1) > 0
        sure = marked | ((truth & RIM) == 0)
        a, b = platt(logits[:, k][sure], marked[sure].astype(np.uint8))
        scale.append(round(a, 4))
        offset.append(round(b, 4))
        chance = 1 / (1 + np.exp(-(a * logits[:, k] + b)))
        best = best_threshold(chance, truth, k, sound)
        table[name] = {
            "scale": scale[-1], "offset": offset[-1], "threshold": best[1],
            "f1_validation": round(best[0], 4), "false_alarms_validation": round(best[2], 6),
        }  # fmt: skip
    network.scale, network.offset = tuple(scale), tuple(offset)
    table["both"] = calibrated_both(network, np.concatenate([examples, drawn]))
    return (
        scale,
        offset,
        {
            "method": "Platt, per class, on the validation split; `both` by logistic regression on the same and as "
            "many examples of the validation split with the damage of tests/support/synthetic_damage.py",
            "classes": table,
        },
    )


def best_threshold(chance: np.ndarray, truth: np.ndarray, k: int, sound: np.ndarray) -> tuple[float, float, float]:
    """(F1, threshold, false alarms) of the threshold with the best F1 of those with few false alarms."""
    best = (0.0, THRESHOLDS[-1], 0.0)
    for threshold in THRESHOLDS:
        tally = Tally()
        for guess, plane in zip(chance, truth, strict=True):
            wanted = class_masks(plane)[k]
            tally.add(guess > threshold, wanted, (plane > 0) & ~wanted)
        false = float((chance > threshold)[sound].mean())
        if false <= FALSE_ALARMS and tally.f1 > best[0]:
            best = (tally.f1, threshold, false)
    return best


def drawn_examples(photographs: Path, count: int) -> np.ndarray:
    """Examples as `held_out` gives them, damaged by the tests' simulator: all of it thin."""
    pictures, made = Photographs(photographs, "validation"), []
    for number in range(-(-count // 4)):
        rng = stream(CALIBRATION_SEED, number, 0xD2A3)
        edge = 2 * SIZE
        hurt = draw_damage(luma_of(pictures.crop(rng, edge)), number)
        luma = np.round(np.clip(hurt.picture, 0, 1) * 255).astype(np.uint8)
        plane = hurt.truth.astype(np.uint8) << np.uint8(THIN)
        rim = near(hurt.truth, 1) & ~hurt.truth
        both = np.stack([luma, plane | rim.astype(np.uint8) << np.uint8(7)])
        made += [both[:, top : top + SIZE, left : left + SIZE] for top in (0, SIZE) for left in (0, SIZE)]
    return np.stack(made[:count])


def calibrated_both(network: DamageNet, examples: np.ndarray) -> dict[str, float]:
    """Weights with which the network's opinion and that of shape and contrast add up, and the threshold of the sum."""
    with torch.inference_mode():
        given = [given_of("damage", examples[k : k + 8]) for k in range(0, len(examples), 8)]
        chance = np.concatenate([network(planes)[:, THIN].numpy() for planes in given])
    truth, shapes = examples[:, 1], by_shapes(examples)
    marked = ((truth >> THIN) & 1) > 0
    sure = marked | ((truth & RIM) == 0)
    ours, theirs = damage_network.log_odds(chance), damage_network.shape_odds(shapes)
    features = np.stack([ours[sure], theirs[sure], np.ones(int(sure.sum()), np.float32)], 1)
    network, other, offset = regression(features, marked[sure])
    fusion = damage_network.Fusion(network=round(network, 4), shapes=round(other, 4), offset=round(offset, 4))
    total = np.stack([damage_network.fused(c, s, fusion) for c, s in zip(chance, shapes, strict=True)])
    sound = np.stack([~near((plane & ~np.uint8(RIM)) > 0) & ((plane & RIM) == 0) for plane in truth])
    f1, threshold, false = best_threshold(total, truth, THIN, sound)
    return {
        **asdict(fusion), "threshold": threshold,
        "f1_validation": round(f1, 4), "false_alarms_validation": round(false, 6),
    }  # fmt: skip


def by_shapes(examples: np.ndarray) -> np.ndarray:
    """What shape and contrast say of each example, uint8 (n, h, w)."""
    chosen = damage.DamageParameters(threshold=damage_network.SHAPES_FROM)
    lumas = examples[:, 0].astype(np.float32) / 255
    return np.stack([damage.search(luma, chosen, damage.survey(luma)).probability for luma in lumas])


def regression(features: np.ndarray, truth: np.ndarray) -> tuple[float, ...]:
    """Maximum likelihood of sigmoid(features @ weights), Newton's method; (n, 3) and bool (n,)."""
    weights = np.array([1.0, 0.0, 0.0])
    for _ in range(30):
        chance = 1 / (1 + np.exp(-np.clip(features @ weights, -30, 30)))
        pull = features.T @ (truth - chance)
        bend = (features * (chance * (1 - chance))[:, None]).T @ features + 1e-3 * np.eye(3)
        step = np.linalg.solve(bend, pull)
        weights += np.clip(step, -0.5, 0.5)
        if float(np.abs(step).max()) < 1e-6:
            break
    return tuple(float(value) for value in weights)


def logits_of(network: DamageNet, examples: np.ndarray) -> np.ndarray:
    """(n, 6, h, w) before calibration."""
    with torch.inference_mode():
        made = [network.logits(given_of("damage", examples[k : k + 8])).numpy() for k in range(0, len(examples), 8)]
    return np.concatenate(made)


def platt(logits: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Maximum likelihood of sigmoid(a * logit + b) (Platt 1999), Newton's method on a histogram of the logits."""
    edges = np.linspace(-20, 20, 2001)
    middle = (edges[:-1] + edges[1:]) / 2
    clipped = np.clip(logits, -19.99, 19.99)
    ones = np.histogram(clipped[truth > 0], edges)[0].astype(np.float64) + 0.0
    every = np.histogram(clipped, edges)[0].astype(np.float64)
    a, b = 1.0, 0.0
    for _ in range(50):
        chance = 1 / (1 + np.exp(-np.clip(a * middle + b, -30, 30)))
        pull = ones - every * chance
        bend = every * chance * (1 - chance) + 1e-9
        gradient = np.array([(pull * middle).sum(), pull.sum()]) - np.array([1e-3 * (a - 1), 1e-3 * b])
        hessian = np.array([[(bend * middle**2).sum(), (bend * middle).sum()], [(bend * middle).sum(), bend.sum()]])
        step = np.linalg.solve(hessian + 1e-3 * np.eye(2), gradient)
        step = np.clip(step, -0.5, 0.5)
        a, b = a + float(step[0]), b + float(step[1])
        if float(np.abs(step).max()) < 1e-7:
            break
    return a, b


def calibrated_colour(network: nn.Module, examples: np.ndarray) -> tuple[float, float, dict[str, Any]]:
    """Platt's scale and offset of the confidence, and where colours are given up for gray, if a picture may abstain.

    Without hints. Of the ways to abstain that cost at most ABSTAINING, the one that abstains most.
    """
    assert isinstance(network, ColourNet)
    planes = asked(examples)
    colours, logits = [], []
    with torch.inference_mode():
        for given in torch.from_numpy(planes[:, :4]).split(8):
            guess, sure, _ = network.described(given)
            colours.append(guess.numpy())
            logits.append(sure.numpy())
    colour, logit, truth = np.concatenate(colours), np.concatenate(logits)[:, 0], planes[:, 4:]
    a, b = platt(logit, (hints.error(colour, truth) < NEAR).astype(np.uint8))
    scale, offset = round(a, 4), round(b, 4)
    confidence = 1 / (1 + np.exp(-(scale * logit + offset)))

    def decibels(kept: np.ndarray) -> float:
        off = hints.error(colour * kept[:, None], truth)
        return float(-10 * np.log10(np.maximum((off**2).mean((1, 2)), 1e-9)).mean())

    tried = {(0.0, full): decibels(chroma_kept(confidence, 0.0, full)) for full in (0.05, 0.1, 0.2, 0.3, 0.4)}
    tried |= {(none, none + 0.3): decibels(chroma_kept(confidence, none, none + 0.3)) for none in (0.1, 0.2, 0.3)}
    everything = decibels(np.ones_like(confidence))
    least = max(everything, *tried.values()) - ABSTAINING
    none, full = max((way for way, value in tried.items() if value >= least), key=sum, default=min(tried))
    gain = round(tried[none, full] - everything, 3)
    return scale, offset, {
        "method": "Platt, on the validation split, without hints; abstention is the strongest that costs at most "
        f"{ABSTAINING} dB of the ab error there",
        "scale": scale, "offset": offset, "near": NEAR,
        "abstention": {"none": none, "full": round(full, 2), "gain_validation": gain},
    }  # fmt: skip


def mean_tint(photographs: Path) -> list[float]:
    """Mean a*/110 and b*/110 of the photographs it learnt from."""
    pictures = reduced(Photographs(photographs, "train"), LONGEST, MULTIPLE)
    means = [hints.lab_of(picture.astype(np.float32) / 255)[1:].mean((1, 2)) for picture in pictures]
    return [round(float(value), 5) for value in np.mean(means, 0)]


def self_test(path: Path, network: nn.Module) -> dict[str, Any]:
    """A few samples of the output for the noise that `models verify` gives it."""
    card, _ = read_card(path)
    size = max(card.input.minimum_size, card.input.size_multiple * 4)
    given = torch.from_numpy(self_test_input(card, SELF_TEST_SEED, size, size))
    with torch.inference_mode():
        made = network.eval()(given.contiguous(memory_format=torch.channels_last)).numpy()
    places = [(p, r, c) for p in range(made.shape[1]) for r, c in ((size // 3, size // 5), (size - 2, size // 2))]
    values = [{"plane": p, "row": r, "column": c, "value": round(float(made[0, p, r, c]), 6)} for p, r, c in places]
    return {"seed": SELF_TEST_SEED, "height": size, "width": size, "values": values, "tolerance": 0.002}


def write(path: Path, card: dict[str, Any]) -> None:
    """A card, as people read it."""
    path.write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
