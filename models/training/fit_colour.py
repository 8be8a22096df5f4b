"""Solves the regression that is part of the colour network's guess, and writes it into a checkpoint. Development.

python models/training/fit_colour.py --photographs DIR --scene scene.pt --checkpoint RUN/checkpoint.pt --to FILE

Each photograph of the training split is looked at twice, whole and in part, once as film may have seen it. Those that
are told badly weigh as little as in the training's loss, its logarithm; photographs of large packages less each.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import hints
import numpy as np
import torch
from data import Photographs, stream
from numpy.typing import NDArray
from torch.nn import functional
from train_colour import made_with

from archive_restore.imaging.networks.colour import CHROMA, LONGEST, ColourNet, plain_of
from archive_restore.imaging.networks.scene import CHANNELS

Floats = NDArray[np.float32]

VIEWS = 2
PLACES = 2000
"""Of each view, at most."""
SHRINKS = 1.0
"""Penalty of a weight, in variances of what it weighs; by cross-validation over the training split."""
TIMES = 3
"""Solutions, each with the weights that follow from the one before."""
_SIDE = 32
_FLOOR = 6.0 / CHROMA**2


def viewed(rng: np.random.Generator, picture: NDArray[np.uint8], view: int) -> tuple[Floats, Floats]:
    """Traits (4, h, w) and colours (2, h, w) of a view of RGB (h, w, 3)."""
    longest = float(LONGEST)
    if view:
        height, width = (
            int(edge * share) for edge, share in zip(picture.shape, [rng.uniform(0.5, 1)] * 2, strict=False)
        )
        top, left = rng.integers(picture.shape[0] - height + 1), rng.integers(picture.shape[1] - width + 1)
        picture = picture[top : top + height, left : left + width]
        longest *= rng.uniform(0.7, 1)
        if rng.random() < 0.5:
            picture = picture[:, ::-1]
    part = longest / max(picture.shape[:2])
    height, width = (max(2 * _SIDE, round(edge * part) // _SIDE * _SIDE) for edge in picture.shape[:2])
    small = cv2.resize(np.ascontiguousarray(picture), (width, height), interpolation=cv2.INTER_AREA)
    shown = small.astype(np.float32) / 255
    if view:
        shown = hints.relit(rng, shown)
    lab = hints.lab_of(shown)
    return hints.traits(hints.filmed(rng, shown, lab[0]) if view else lab[0]), lab[1:]


def described(network: ColourNet, traits: Floats, ab: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """What the regression is given (n, c), the last of it 1, and what it should tell (n, 2), at some places."""
    given = torch.from_numpy(traits)[None]
    features = network.scene(given[:, :1])
    size = features[0].shape[2:]
    planes = [functional.interpolate(f, size, mode="bilinear", align_corners=False) for f in features]
    planes += [plain_of(given, features[0]), torch.ones(1, 1, *size)]
    told = torch.cat(planes, 1)[0].flatten(1).T.numpy()
    truth = (
        functional.adaptive_avg_pool2d(torch.from_numpy(np.ascontiguousarray(ab))[None], size)[0].flatten(1).T.numpy()
    )
    picked = rng.choice(len(told), min(len(told), PLACES), replace=False)
    return told[picked], truth[picked]


def solved(pictures: Photographs, network: ColourNet) -> Floats:
    """Weights (c, 2)."""
    packages = [picture.id.rpartition("-")[0] for picture in pictures.pictures]
    squares, products, energies, often = [], [], [], []
    with torch.inference_mode():
        for index, picture in enumerate(pictures.pictures):
            for view in range(0 if picture.gray else VIEWS):
                rng = stream(5, index, view)
                told, truth = described(network, *viewed(rng, pictures.pixels(index), view), rng)
                squares.append((told.T @ told / len(told)).astype(np.float32))
                products.append(told.T @ truth / len(told))
                energies.append(float(np.square(truth).sum(1).mean()))
                often.append(packages.count(packages[index]) ** -0.5)
    one, many = np.stack(squares), np.stack(products).astype(np.float64)
    errors = np.array(energies)
    for _ in range(TIMES):
        share = np.array(often) / (errors / 2 + _FLOOR)
        share /= share.sum()
        square = np.tensordot(share.astype(np.float32), one, 1).astype(np.float64)
        penalty = np.diag(square) - square[-1] ** 2
        penalty[-1] = 0
        weights = np.linalg.solve(square + SHRINKS * np.diag(penalty), np.tensordot(share, many, 1))
        inner = np.einsum("nij,jk,ik->n", one, weights.astype(np.float32), weights.astype(np.float32), optimize=True)
        errors = np.maximum(np.array(energies) - 2 * np.einsum("nik,ik->n", many, weights) + inner, 0)
    return weights.astype(np.float32)


def main() -> None:
    """Solve and write."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--photographs", type=Path, required=True)
    options.add_argument("--scene", type=Path, required=True)
    options.add_argument("--checkpoint", type=Path, required=True)
    options.add_argument("--to", type=Path, required=True)
    options.add_argument("--threads", type=int, default=1)
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    network = made_with(chosen.scene).eval()
    weights = torch.from_numpy(solved(Photographs(chosen.photographs, "train"), network)).T[:, :, None, None]
    state = torch.load(chosen.checkpoint, weights_only=True)
    average = {**network.state_dict(), **state["average"]}
    at = 0
    for level, width in enumerate(CHANNELS):
        average[f"regressed.{level}.weight"] = weights[:, at : at + width].clone()
        at += width
    average["regressed_plain.weight"] = weights[:, at:-1].clone()
    average["regressed_plain.bias"] = weights[:, -1, 0, 0].clone()
    torch.save({"average": average}, chosen.to)


if __name__ == "__main__":
    main()
