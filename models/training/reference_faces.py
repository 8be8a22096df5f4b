"""Holds the face networks against the interpreter that they were made for, and writes what the tests compare with.

    pip install ai-edge-litert
    python models/training/reference_faces.py WHEELS [FOLDER WITH PHOTOGRAPHS]…

Prints the greatest difference on every crop that `find_faces` cuts from the photographs (by default those of the
tests), writes `tests/imaging/networks/face_reference.npz` and the self-tests of the cards. Development time only: the
tests themselves need no interpreter. The TFLite files have fixed sizes, so the detector is compared at 256×256.
Logits beyond -16, a score of 1e-7, are compared in proportion: for what is no face the detector gives down to -10000,
where float32 has no thousandths and the interpreter is as far from float64 as we are.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from convert_faces import MODELS, SOURCES, card_text, read_member
from numpy.typing import NDArray
from safetensors.torch import load

from archive_restore.imaging.faces import FaceNetworks, find_faces
from archive_restore.imaging.networks import build

TESTS = MODELS.parent / "tests"
EDGES = {"face-detector": 256, "face-mesh": 192, "face-iris": 64}
SEED = 20261125
TOLERANCE = 1e-3
Floats = NDArray[np.float32]


def reference(data: bytes) -> Callable[[Floats], Floats]:
    """Return what the interpreter makes of (n, 3, h, w), as (n, planes, rows, 1)."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=data, num_threads=1)
    interpreter.allocate_tensors()

    def run(planes: Floats) -> Floats:
        made = []
        for picture in planes:
            interpreter.set_tensor(interpreter.get_input_details()[0]["index"], picture.transpose(1, 2, 0)[None])
            interpreter.invoke()
            outputs = [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]
            columns = [output.reshape(-1, output.shape[-1]) for output in outputs]
            made.append(np.concatenate(columns, axis=1).T[..., None])
        return np.stack(made)

    return run


def ours(model: str) -> Callable[[Floats], Floats]:
    """Return the converted network."""
    folder = MODELS / model
    card = json.loads((folder / "card.json").read_text("utf-8"))
    module = build(card["architecture"]["name"], card["architecture"]["parameters"])
    weights = (folder / "weights.safetensors").read_bytes()
    if hashlib.sha256(weights).hexdigest() != card["weights"]["sha256"]:
        raise ValueError(f"{model} has other weights than its card says")
    module.load_state_dict(load(weights))
    module.float().eval().to(memory_format=torch.channels_last)

    def run(planes: Floats) -> Floats:
        with torch.inference_mode():
            made: Floats = module(torch.from_numpy(planes).to(memory_format=torch.channels_last)).numpy()
        return made

    return run


def crops(networks: dict[str, Callable[[Floats], Floats]], folders: list[Path]) -> Iterator[tuple[str, Floats]]:
    """Yield (model, input) for everything the networks are given on the photographs."""
    given: list[tuple[str, Floats]] = []

    def listen(model: str) -> Callable[[Floats], Floats]:
        def run(planes: Floats) -> Floats:
            given.append((model, planes.copy()))
            return networks[model](planes)

        return run

    listening = FaceNetworks(detector=listen("face-detector"), mesh=listen("face-mesh"), iris=listen("face-iris"))
    for folder in folders:
        for path in sorted([*folder.glob("*.jpg"), *folder.glob("*.png")]):
            find_faces(cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB), listening)
            yield from given
            given.clear()


def difference(model: str, one: Floats, other: Floats) -> float:
    """Return the greatest difference between two outputs, in pixels and logits."""
    apart = np.abs(one - other)
    if model == "face-detector":
        apart[:, 16] /= np.maximum(np.abs(other[:, 16]) / 16, 1)
    return float(apart.max())


def coarse(planes: Floats, low: float) -> tuple[NDArray[np.uint8], Floats]:
    """Return a small 8-bit copy of a crop (3, k, k), and the input that a test makes of it by repeating pixels."""
    edge = planes.shape[-1]
    small = cv2.resize(planes[0].transpose(1, 2, 0), (edge // 4, edge // 4), interpolation=cv2.INTER_AREA)
    kept = np.round((small - low) / (1 - low) * 255).astype(np.uint8).transpose(2, 0, 1)
    return kept, enlarged(kept, low)


def enlarged(kept: NDArray[np.uint8], low: float) -> Floats:
    """Return the input (1, 3, 4k, 4k) in low..1 for a small copy; exact, so that every machine makes the same."""
    big = kept.repeat(4, axis=1).repeat(4, axis=2)[None].astype(np.float32)
    return big / np.float32(255) * np.float32(1 - low) + np.float32(low)


def self_test(model: str, run: Callable[[Floats], Floats], low: float) -> dict[str, Any]:
    """Return a card's self-test with the reference's numbers for noise."""
    edge = EDGES[model]
    noise = np.random.Generator(np.random.Philox(key=SEED)).random((1, 3, edge, edge), np.float32)
    made = run(noise * np.float32(1 - low) + np.float32(low))
    places = [
        (plane, row) for plane in range(0, made.shape[1], -(-made.shape[1] // 4)) for row in {0, len(made[0, 0]) - 1}
    ]
    values = [
        {"plane": plane, "row": row, "column": 0, "value": round(float(made[0, plane, row, 0]), 6)}
        for plane, row in sorted(places)
    ]
    return {"seed": SEED, "height": edge, "width": edge, "values": values, "tolerance": TOLERANCE}


def main() -> None:
    """Compare, then write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheels", type=Path)
    parser.add_argument("folders", type=Path, nargs="*")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    theirs = {source.model: reference(read_member(asked.wheels, source)) for source in SOURCES}
    mine = {source.model: ours(source.model) for source in SOURCES}
    own = [TESTS / "photographs" / "faces", TESTS / "photographs" / "open"]
    worst: dict[str, float] = dict.fromkeys(mine, 0.0)
    count = dict.fromkeys(mine, 0)
    golden: dict[str, NDArray[Any]] = {}
    for model, planes in crops(mine, [*own, *asked.folders]):
        if max(planes.shape[2:]) != EDGES[model]:
            continue
        missing = [(0, EDGES[model] - edge) for edge in planes.shape[2:]]
        planes = np.pad(planes, [(0, 0), (0, 0), *missing], constant_values=-1)
        worst[model] = max(worst[model], difference(model, mine[model](planes), theirs[model](planes)))
        count[model] += len(planes)
        if f"{model}.input" not in golden:  # the first photograph is that of tests/photographs/faces
            low = -1.0 if model == "face-detector" else 0.0
            golden[f"{model}.input"], big = coarse(planes, low)
            golden[f"{model}.output"] = theirs[model](big)
            golden[f"{model}.low"] = np.float32(low)
    for model in mine:
        print(f"{model}: {count[model]} crops, greatest difference {worst[model]:.2g}")
        path = MODELS / model / "card.json"
        card = json.loads(path.read_text("utf-8"))
        operations = card["architecture"]["parameters"]["operations"]
        card["selftest"] = self_test(model, theirs[model], float(golden[f"{model}.low"]))
        path.write_text(card_text(card, operations), "utf-8")
    # 896 anchors are many numbers; every seventh goes through every stride and place of a cell
    golden["face-detector.output"] = golden["face-detector.output"][:, :, ::7]
    np.savez_compressed(TESTS / "imaging" / "networks" / "face_reference.npz", allow_pickle=False, **golden)


if __name__ == "__main__":
    main()
