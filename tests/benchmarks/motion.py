"""How the learned source of motion compares with the procedural one, on scenes that were simulated and not learnt from.

    python -m tests.benchmarks.motion [--data DIR] [--write]

Both are asked for the motion of the same regions; the simulation's own is the measure. For scale, `another scene` holds
each simulation against the next one of its kind: nobody who does not know the scene can be asked for much more.
Without --data, scenes are simulated first (a minute); --write puts the numbers into the card.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archive_restore.adapters.models import FolderModels
from archive_restore.imaging.learned_motion import MODEL, chance, given
from archive_restore.imaging.motion import COARSE, PRESETS, Cells, Moving, noise_volume
from archive_restore.imaging.motion_spectra import GRID, KINDS, PERIODS, SECONDS, Floats, spectrum_of
from models.training import motion_data

MODELS = Path(__file__).resolve().parents[2] / "models"
DRAWS = 2
"""Of each source for every scene."""
FRAME = 2
"""Width of the frame that is thought around a scene, for presets that speak of shares of it: times the scene's."""
_LAG = 4  # cells
_FLOOR = -30.0  # dB below the whole: what is weaker is not seen
MEASURES = (
    ("amplitude of a frequency, dB off", "spectrum"),
    ("mean curve of the kind, dB off", "curve"),
    ("length over which neighbours move alike, octaves off", "length"),
    ("share of the motion across, off", "across"),
    ("coherence of x and y, off", "together"),
    ("coherence over 4 cells, off", "near"),
    ("where it moves most, correlation", "where"),
)
"""What is said of each, and its name; of the last more is better, of all others less."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is measured of one motion."""

    bands: Floats
    """(periods,) amplitude of each band, dB below the whole, at least _FLOOR."""
    length: float
    """Cells."""
    across: float
    together: float
    near: float
    map: Floats
    """(GRID, GRID) root mean square of the displacement."""


def facts(lines: Sequence[tuple[float, NDArray[np.complex64]]], region: NDArray[np.bool_]) -> Facts:
    """Of a motion given as frequencies in periods of SECONDS with their fields (GRID, GRID, 2)."""
    periods = np.log(np.array(PERIODS, np.float64))
    power = np.zeros((len(PERIODS), 2))
    sums = {"length": 0.0, "together": 0.0, "near": 0.0}
    total, square = 0.0, np.zeros(region.shape)
    for period, field in lines:
        band = int(np.abs(periods - np.log(period)).argmin())
        inside = np.abs(field) ** 2 * region[..., None]
        energy = inside.sum(axis=(0, 1))
        power[band] += energy
        square += inside.sum(axis=-1)
        weight = float(energy.sum())
        total += weight
        sums["length"] += weight * np.log2(alike(field, region))
        x, y = (field[..., axis][region] for axis in (0, 1))
        sums["together"] += weight * float(abs((x * y.conj()).sum()) / np.sqrt(max(energy.prod(), 1e-20)))
        sums["near"] += weight * abs(correlation(field, region, _LAG))
    level = 10 * np.log10(np.maximum(power.sum(axis=1) / max(power.sum(), 1e-20), 10 ** (_FLOOR / 10)))
    return Facts(
        bands=level.astype(np.float32), length=float(2 ** (sums["length"] / total)),
        across=float(power[:, 0].sum() / power.sum()), together=sums["together"] / total, near=sums["near"] / total,
        map=np.sqrt(square).astype(np.float32),
    )  # fmt: skip


def correlation(field: NDArray[np.complex64], region: NDArray[np.bool_], lag: int) -> complex:
    """Of cells `lag` apart, across and down alike; 1 where they move alike."""
    told, power = 0j, 0.0
    for one, other in (((slice(None), slice(lag, None)), (slice(None), slice(None, -lag))),
                       ((slice(lag, None), slice(None)), (slice(None, -lag), slice(None)))):  # fmt: skip
        both = (region[one] & region[other])[..., None]
        told += complex((field[one] * field[other].conj() * both).sum())
        power += float(((np.abs(field[one]) ** 2 + np.abs(field[other]) ** 2) / 2 * both).sum())
    return told / max(power, 1e-20)


def alike(field: NDArray[np.complex64], region: NDArray[np.bool_]) -> float:
    """Cells at which the correlation falls below 1/e, 0.5 to GRID / 2."""
    before = 1.0
    for lag in range(1, GRID // 2):
        now = correlation(field, region, lag).real
        if now < np.exp(-1):
            return max(lag - 1 + (before - np.exp(-1)) / max(before - now, 1e-6), 0.5)
        before = now
    return GRID / 2


def procedural(kind: str, region: Floats, seed: int) -> list[tuple[float, NDArray[np.complex64]]]:
    """What the preset of a kind makes of a region (GRID, GRID) in [0, 1]."""
    mask = np.kron(np.rint(region * 255).astype(np.uint8), np.ones((COARSE, COARSE), np.uint8))
    cells = Cells(
        region=Moving(spectrum=PRESETS[kind], mask=mask, amplitude=1.0), rows=slice(0, GRID), columns=slice(0, GRID),
        mask=region, width=FRAME * GRID * COARSE, seconds=float(SECONDS), seed=seed, index=0,
    )  # fmt: skip
    made = noise_volume(cells)
    fields = made.parts[::2] - 1j * made.parts[1::2]
    return [(harmonic, np.asarray(field)) for harmonic, field in zip(made.harmonics, fields, strict=True)]


def off(one: Facts, other: Facts, region: NDArray[np.bool_]) -> dict[str, float]:
    """How far one motion is from another."""
    maps = np.corrcoef(one.map[region], other.map[region])[0, 1] if region.sum() > 2 else 0.0
    return {
        "spectrum": float(np.sqrt(((one.bands - other.bands) ** 2).mean())),
        "length": abs(float(np.log2(one.length / other.length))),
        "across": abs(one.across - other.across),
        "together": abs(one.together - other.together),
        "near": abs(one.near - other.near),
        "where": float(np.nan_to_num(maps)),
    }


def compared(data: Path, most: int) -> dict[str, dict[str, dict[str, float]]]:
    """Measures by kind, then by source."""
    network = FolderModels(MODELS).load(MODEL, "cpu")
    scenes: dict[str, list[dict[str, Any]]] = {kind: [] for kind in KINDS}
    for kind, arrays in motion_data.kept(data, "held"):
        for still, mask, planes in zip(arrays["still"], arrays["mask"], arrays["spectrum"], strict=True):
            if len(scenes[kind]) < most:
                scenes[kind].append({"still": still, "mask": mask, "planes": planes.astype(np.float32)})
    found: dict[str, dict[str, dict[str, float]]] = {}
    for kind, some in scenes.items():
        told: dict[str, list[dict[str, float]]] = {"learned": [], "procedural": [], "another scene": []}
        curves: dict[str, list[Floats]] = {name: [] for name in (*told, "simulated")}
        true = []
        for scene in some:
            share = scene["mask"].reshape(GRID, 2, GRID, 2).mean((1, 3)).astype(np.float32) / 255
            scene["share"], scene["region"] = share, share > 0.5 * share.max()
            true.append(facts(lines_of(scene["planes"]), scene["region"]))
        asked = [
            given(kind, scene["still"] / np.float32(255), scene["mask"] / np.float32(255), chance(seed, 0))
            for number, scene in enumerate(some)
            for seed in range(DRAWS * number, DRAWS * number + DRAWS)
        ]
        drawn = np.concatenate([network.predict(np.stack(asked[k : k + 16])) for k in range(0, len(asked), 16)])
        for number, scene in enumerate(some):
            here = scene["region"]
            curves["simulated"].append(true[number].bands)
            for seed in range(DRAWS * number, DRAWS * number + DRAWS):
                for name, lines in (
                    ("learned", lines_of(drawn[seed])),
                    ("procedural", procedural(kind, scene["share"], seed)),
                ):
                    fact = facts(lines, here)
                    curves[name].append(fact.bands)
                    told[name].append(off(fact, true[number], here))
            other = (number + 1) % len(some)
            both = here & some[other]["region"]
            curves["another scene"].append(true[other].bands)
            told["another scene"].append(off(true[other], true[number], both if both.sum() > 2 else here))
        found[kind] = {
            name: {key: float(np.mean([one[key] for one in rows])) for key in rows[0]}
            | {"curve": float(np.sqrt(((np.mean(curves[name], 0) - np.mean(curves["simulated"], 0)) ** 2).mean()))}
            for name, rows in told.items()
        }
    return found


def lines_of(planes: Floats) -> list[tuple[float, NDArray[np.complex64]]]:
    """Planes of a spectrum as frequencies and fields."""
    return [(float(period), field) for period, field in zip(PERIODS, spectrum_of(planes), strict=True)]


def inside(data: Path, most: int) -> dict[str, float]:
    """What the coder loses, how many codes are in use, and how well the prior foresees them, on held-out scenes."""
    import torch
    from safetensors.torch import load_file

    from archive_restore.imaging.networks.motion import MotionNet, open_places

    card = json.loads((MODELS / MODEL / "card.json").read_text())
    network = MotionNet(**card["architecture"]["parameters"])
    state = load_file(MODELS / MODEL / "weights.safetensors")
    network.load_state_dict({key: value.float() for key, value in state.items()})
    network.eval()
    lost, nats, seen, count = [], 0.0, [], 0
    with torch.inference_mode():
        for kind, arrays in motion_data.kept(data, "held"):
            for still, mask, planes in list(zip(arrays["still"], arrays["mask"], arrays["spectrum"], strict=True))[
                :most
            ]:
                asked = given(kind, still / np.float32(255), mask / np.float32(255), chance(0, 0))
                told, true = torch.from_numpy(asked[None]), torch.from_numpy(planes[None].astype(np.float32))
                places = open_places(told[:, 1:2])
                codes, _ = network.coder.rounded(network.coder.latents(network.coder.even(true)))
                back = network.coder.spectrum(codes, places)
                region = torch.nn.functional.avg_pool2d(told[:, 1:2], 2) > 0.5
                lost.append(float(((back - true).square() * region).sum() / (true.square() * region).sum()))
                logits = network.prior.logits(told[:, :-1], codes)
                surprise = torch.nn.functional.cross_entropy(logits.permute(0, 3, 1, 2), codes, reduction="none")
                nats += float(surprise[places].sum())
                count += int(places.sum()) * codes.shape[-1]
                seen.append(codes[places])
    every = torch.cat(seen)
    used = [torch.bincount(every[:, k], minlength=network.coder.codes) / len(every) for k in range(every.shape[1])]
    entropy = [float(torch.special.entr(share).sum()) for share in used]
    return {
        "lost": float(np.mean(lost)), "nats": nats / count, "alone": float(np.mean(entropy)),
        "even": float(np.log(network.coder.codes)), "perplexity": float(np.mean(np.exp(entropy))),
        "codes": float(network.coder.codes),
    }  # fmt: skip


def results(
    found: dict[str, dict[str, dict[str, float]]], coder: dict[str, float], scenes: int
) -> list[dict[str, Any]]:
    """Rows for the card."""
    where = f"{scenes} simulated scenes that were not learnt from"
    rows: list[dict[str, Any]] = [
        {
            "measure": f"{kind}: {words}", "value": round(sources["learned"][key], 3),
            "baseline": round(sources["procedural"][key], 3),
            "data": f"{where}, {DRAWS} draws each; baseline: the procedural source; "
            f"another simulated scene of the kind: {sources['another scene'][key]:.3f}",
        }
        for kind, sources in found.items()
        for words, key in MEASURES
    ]  # fmt: skip
    return [
        *rows,
        {"measure": "power of the motion lost in codes, share", "value": round(coder["lost"], 3), "baseline": None,
         "data": f"coder alone, {where} of every kind"},
        {"measure": "nats a code", "value": round(coder["nats"], 3), "baseline": round(coder["alone"], 3),
         "data": f"{where} of every kind; baseline: how often each code is used; even chance {coder['even']:.3f}"},
        {"measure": "codes in use, perplexity", "value": round(coder["perplexity"], 1), "baseline": coder["codes"],
         "data": f"{where} of every kind, mean of all depths; baseline: all codes"},
    ]  # fmt: skip


def main(argv: list[str] | None = None) -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="what models/training/motion_data.py made with --split held")
    parser.add_argument("--scenes", type=int, default=48, help="of every kind")
    parser.add_argument("--write", action="store_true", help="put the numbers into the card")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as place:
        data = args.data or Path(place)
        if args.data is None:
            told = ["--to", place, "--split", "held", "--count", str(args.scenes), "--seconds", "16"]
            motion_data.main(told)
        found, coder = compared(data, args.scenes), inside(data, args.scenes)
    for words, key in MEASURES:
        print(f"\n{words}")
        for kind, sources in found.items():
            print(f"  {kind:8}" + "".join(f"  {name} {told[key]:6.2f}" for name, told in sources.items()))
    print("\n" + ", ".join(f"{name} {value:.3f}" for name, value in coder.items()))
    if args.write:
        path = MODELS / MODEL / "card.json"
        card = json.loads(path.read_text())
        card["results"] = results(found, coder, args.scenes)
        path.write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
