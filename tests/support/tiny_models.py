"""Models small enough to be made in a test, with honest cards: a blur of 3×3 pixels in every form that is read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

KERNEL = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]], np.float32) / 16


def blurred(planes: np.ndarray) -> np.ndarray:
    """What the models give, by numpy: the weighted mean of 3×3 pixels, black beyond the edge."""
    padded = np.pad(planes.astype(np.float64), ((0, 0), (0, 0), (1, 1), (1, 1)))
    height, width = planes.shape[2:]
    return sum(KERNEL[y, x] * padded[:, :, y : y + height, x : x + width] for y in range(3) for x in range(3))


def card(weights: bytes, **changes: Any) -> dict[str, Any]:
    """A card for the blur of one gray plane as ONNX."""
    made: dict[str, Any] = {
        "name": "tiny-blur",
        "version": "1",
        "task": "denoise",
        "purpose": "Softens a gray picture, to try how models are handled.",
        "architecture": {"library": "onnxruntime", "name": "blur"},
        "input": {
            "planes": [{"meaning": "gray", "minimum": 0, "maximum": 1}],
            "size_multiple": 1,
            "minimum_size": 1,
            "halo": 1,
        },
        "output": {"planes": [{"meaning": "gray", "minimum": 0, "maximum": 1}]},
        "licence": "CC0-1.0",
        "weights": {
            "file": "weights.onnx",
            "format": "onnx",
            "sha256": hashlib.sha256(weights).hexdigest(),
            "dtype": "float32",
            "parameters": 9,
        },
        "training": {"sources": [{"name": "none", "licence": "CC0-1.0", "count": 0}], "recipe": "Written down."},
        "results": [{"measure": "noise left, share", "value": 0.375, "baseline": 1, "data": "white noise, untouched"}],
        "known_failures": ["Softens edges as well."],
        "must_not_be_used_for": ["Anything but tests."],
        "made": "By tests/support/tiny_models.py.",
    }
    return changed(made, changes)


def graph_card(weights: bytes, **changes: Any) -> dict[str, Any]:
    """A card for the blur as a network of our own."""
    made = card(weights)
    operation = ["conv", [0], {"into": 1, "out": 1, "kernel": 3}]
    made["architecture"] = {"library": "archive-restore", "name": "graph", "parameters": {"operations": [operation]}}
    made["weights"] |= {"file": "weights.safetensors", "format": "safetensors", "parameters": 10}
    return changed(made, changes)


def changed(told: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Replace members of a card; `weights__file` is `file` in `weights`."""
    for name, value in changes.items():
        *path, last = name.split("__")
        place = told
        for part in path:
            place = place[part]
        place[last] = value
    return told


def onnx_blur(*, scale: int = 1, **changes: Any) -> bytes:
    """The blur as ONNX; with a scale, each pixel is repeated afterwards. `changes` go to `make_model`."""
    from onnx import TensorProto, helper, numpy_helper

    frame = ["n", 1, "h", "w"]
    larger = frame if scale == 1 else ["n", 1, "h2", "w2"]
    given, made = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("gray", frame), ("softened", larger))
    )
    conv = "softened" if scale == 1 else "soft"
    nodes = [helper.make_node("Conv", ["gray", "kernel"], [conv], pads=[1, 1, 1, 1])]
    numbers = [numpy_helper.from_array(KERNEL[None, None], "kernel")]
    if scale > 1:
        nodes.append(helper.make_node("Resize", ["soft", "", "scales"], ["softened"], mode="nearest"))
        numbers.append(numpy_helper.from_array(np.array([1, 1, scale, scale], np.float32), "scales"))
    return onnx_model(nodes, [given], [made], numbers, **changes)


def onnx_model(nodes: list[Any], inputs: list[Any], outputs: list[Any], numbers: list[Any], **changes: Any) -> bytes:
    """A checked ONNX model as bytes."""
    import onnx
    from onnx import helper

    graph = helper.make_graph(nodes, "tiny", inputs, outputs, numbers)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, **changes)
    onnx.checker.check_model(made)
    data: bytes = made.SerializeToString()
    return data


MOVER = (32, 48)
"""Rows and columns that the moving models take, and no others."""
_RGB = {"meaning": "rgb", "count": 3, "minimum": 0, "maximum": 1}
_GIVES = {
    "image-to-video": [_RGB],
    "flow": [{"meaning": "flow", "count": 2}],
    "harmonic": 2 * [{"meaning": "harmonic", "count": 4}],
}


def onnx_mover(
    gives: str, *, frames: int = 5, noise: bool = False, rows: int = MOVER[0], spoilt: bool = False
) -> bytes:
    """Moves or lightens the columns 8 to 24, more in every frame; `gives`: image-to-video, flow or harmonic.

    With `noise` a second input has its say, with fewer `rows` the output is cut, and `spoilt` puts a NaN into it.
    """
    from onnx import TensorProto, helper, numpy_helper

    planes = sum(group.get("count", 1) for group in _GIVES[gives])
    outputs = 1 if gives == "harmonic" else frames
    where = np.zeros((1, planes, *MOVER), np.float32)
    where[..., 8:24] = 0.1 if gives == "image-to-video" else 0.5
    steps = np.linspace(0, 1, outputs, dtype=np.float32) if outputs > 1 else np.ones(1, np.float32)
    numbers = [numpy_helper.from_array(where, "where"), numpy_helper.from_array(steps.reshape(-1, 1, 1, 1), "steps")]
    given = [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, *MOVER])]
    nodes = [helper.make_node("Mul", ["steps", "where"], ["added"])]
    added = "added"
    if noise:
        given.append(helper.make_tensor_value_info("noise", TensorProto.FLOAT, [1, 1, *MOVER]))
        nodes.append(helper.make_node("Mul", [added, "noise"], ["drawn"]))
        added = "drawn"
    if gives == "image-to-video":
        nodes.append(helper.make_node("Add", ["image", added], ["whole"]))
    else:
        nodes.append(helper.make_node("ReduceMax", ["image"], ["light"], keepdims=1))
        nodes.append(helper.make_node("Mul", [added, "light"], ["whole"]))
    last = "whole"
    if spoilt:
        numbers.append(numpy_helper.from_array(np.full(1, np.nan, np.float32), "nothing"))
        nodes.append(helper.make_node("Add", [last, "nothing"], ["spoilt"]))
        last = "spoilt"
    ends = {"first": [0], "end": [rows], "axis": [2]}
    numbers += [numpy_helper.from_array(np.array(value, np.int64), name) for name, value in ends.items()]
    nodes.append(helper.make_node("Slice", [last, *ends], ["made"]))
    made = helper.make_tensor_value_info("made", TensorProto.FLOAT, [outputs, planes, rows, MOVER[1]])
    return onnx_model(nodes, given, [made], numbers)


def mover_card(weights: bytes, gives: str, *, noise: bool = False, **changes: Any) -> dict[str, Any]:
    """A card for `onnx_mover`."""
    told = card(weights)
    told |= {
        "name": f"tiny-{gives}", "task": "image-to-video" if gives == "image-to-video" else "motion",
        "purpose": "Moves some columns of a picture, to try how moving models are handled.",
    }  # fmt: skip
    told["input"] = {
        "planes": [_RGB, *([{"meaning": "noise"}] if noise else [])],
        "size_multiple": 1, "minimum_size": 1, "height": MOVER[0], "width": MOVER[1], "halo": 0,
    }  # fmt: skip
    frames = {} if gives == "harmonic" else {"frames": 5}
    told["output"] = {"planes": _GIVES[gives], "rate": 1 if gives == "harmonic" else 8, **frames}
    told["weights"]["parameters"] = None
    return changed(told, changes)


def safetensors_blur(dtype: str = "float32") -> bytes:
    """The blur as weights of the `graph` architecture."""
    import safetensors.torch
    import torch

    kind = getattr(torch, dtype)
    tensors = {
        "layers.1.weight": torch.from_numpy(KERNEL.copy())[None, None].to(kind),
        "layers.1.bias": torch.zeros(1, dtype=kind),
    }
    data: bytes = safetensors.torch.save(tensors)
    return data


def write_model(folder: Path, told: Mapping[str, Any], weights: bytes) -> Path:
    """Lay a model into a folder; the path of its card."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / str(told["weights"]["file"])).write_bytes(weights)
    path = folder / "card.json"
    path.write_text(json.dumps(told), encoding="utf-8")
    return path
