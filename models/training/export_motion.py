"""Makes the weights that ship from the two checkpoints of train_motion.py, averaged and halved; writes the self-test.

python models/training/export_motion.py --run RUN --data DATA

Everything else in `models/motion-spectra/card.json` was written by hand, or by tests/benchmarks/motion.py, and is kept.
The half-precision weights are the model: a draw may choose another code with others, so all is measured with them.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from export import write
from safetensors.torch import save
from train_motion import Scenes

from archive_restore.adapters.models_card import read_card
from archive_restore.core.model_contracts import self_test_input
from archive_restore.imaging.motion_spectra import EDGE, GRID, KINDS
from archive_restore.imaging.networks.motion import MotionNet

HERE = Path(__file__).resolve().parent
SEED = 1
TEMPERATURES = (0.8, 0.85, 1.0, 1.0)
"""Of KINDS, chosen on scenes of the training split: lower ones let the inside of a region stand still."""
DROPPED = ("used", "total")
"""What only training needs."""


def main(argv: list[str] | None = None) -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="what train_motion.py was given as --out")
    parser.add_argument("--data", type=Path, required=True, help="what motion_data.py made: counted for the card")
    parser.add_argument("--temperatures", type=float, nargs=len(KINDS), default=TEMPERATURES, help="of each kind")
    parser.add_argument("--out", type=Path, default=HERE.parent / "motion-spectra")
    args = parser.parse_args(argv)
    told, state = {}, {}
    for part in ("coder", "prior"):
        checkpoint = torch.load(args.run / part / "checkpoint.pt", weights_only=True)
        told = checkpoint["args"]
        state |= {f"{part}.{key}": value for key, value in checkpoint["average"].items() if key not in DROPPED}
    settings = {name: int(told[name]) for name in ("depth", "codes", "width", "layers")}
    network = MotionNet(**settings, temperatures=args.temperatures)
    halved = {key: value.half().contiguous() for key, value in state.items()}
    network.load_state_dict({key: value.float() for key, value in halved.items()})
    args.out.mkdir(parents=True, exist_ok=True)
    data = save(halved)
    (args.out / "weights.safetensors").write_bytes(data)
    path = args.out / "card.json"
    card = json.loads((path if path.exists() else HERE / "motion_card.json").read_text())
    card["architecture"] = {"library": "archive-restore", "name": "motion",
                            "parameters": settings | {"temperatures": list(args.temperatures)}}  # fmt: skip
    card["weights"] = {
        "file": "weights.safetensors", "format": "safetensors", "sha256": hashlib.sha256(data).hexdigest(),
        "dtype": "float16", "parameters": sum(p.numel() for p in network.parameters()),
    }  # fmt: skip
    scenes = Scenes(args.data, "train")
    card["training"]["sources"] = [
        {"name": f"simulated {kind}, spectra", "licence": "Apache-2.0", "count": scenes.counts[kind]}
        for kind in scenes.kinds
    ]
    card["selftest"] = None
    write(path, card)
    card["selftest"] = self_test(path, network)
    write(path, card)


def self_test(path: Path, network: MotionNet) -> dict[str, Any]:
    """A few samples of the output for the noise that `models verify` gives it."""
    card, _ = read_card(path)
    with torch.inference_mode():
        made = network.eval()(torch.from_numpy(self_test_input(card, SEED, EDGE, EDGE))).numpy()
    places = [(p, r, c) for p in (0, 9, 22) for r, c in ((GRID // 3, GRID // 5), (GRID - 2, GRID // 2))]
    values = [{"plane": p, "row": r, "column": c, "value": round(float(made[0, p, r, c]), 6)} for p, r, c in places]
    return {"seed": SEED, "height": EDGE, "width": EDGE, "values": values, "tolerance": 0.002}


if __name__ == "__main__":
    main()
