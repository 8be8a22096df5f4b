"""The runner of operation lists: each operation against arithmetic, the face networks against the interpreter."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch")

from safetensors.torch import load  # noqa: E402

from archive_restore.imaging.networks import build  # noqa: E402
from archive_restore.imaging.networks.graph import Graph  # noqa: E402

MODELS = Path(__file__).parents[3] / "models"
FACES = ("face-detector", "face-mesh", "face-iris")


def run(operations: list[Any], picture: NDArray[np.float32], **weights: NDArray[np.float32]) -> NDArray[np.float32]:
    graph = Graph(operations)
    graph.load_state_dict({f"layers.{name}": torch.from_numpy(array) for name, array in weights.items()})
    with torch.inference_mode():
        return graph(torch.from_numpy(picture)).numpy()


def same_convolution(picture, weight, bias, stride):
    """TensorFlow's SAME by its definition: output i sees inputs from i·stride − before on, zero outside."""
    n, _, height, width = picture.shape
    out, _, size, _ = weight.shape
    rows, columns = -(-height // stride), -(-width // stride)
    before = [max((count - 1) * stride + size - edge, 0) // 2 for count, edge in ((rows, height), (columns, width))]
    made = np.zeros((n, out, rows, columns))
    for i in range(rows):
        for j in range(columns):
            for u in range(size):
                for v in range(size):
                    y, x = i * stride - before[0] + u, j * stride - before[1] + v
                    if 0 <= y < height and 0 <= x < width:
                        made[:, :, i, j] += picture[:, :, y, x] @ weight[:, :, u, v].T
    return made + bias[:, None, None]


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [2, 3, 5])
@pytest.mark.parametrize("edges", [(8, 8), (7, 10)])
def test_convolutions_are_padded_as_tensorflow_does(size: int, stride: int, edges: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    picture = rng.normal(size=(2, 3, *edges)).astype(np.float32)
    weight, bias = rng.normal(size=(4, 3, size, size)).astype(np.float32), rng.normal(size=4).astype(np.float32)
    options = {"into": 3, "out": 4, "kernel": size, "stride": stride}
    made = run([["conv", [0], options]], picture, **{"1.weight": weight, "1.bias": bias})
    assert np.allclose(made, same_convolution(picture, weight, bias, stride), atol=1e-5)


def test_depthwise_convolution_keeps_channels_apart() -> None:
    rng = np.random.default_rng(2)
    picture = rng.normal(size=(1, 3, 6, 6)).astype(np.float32)
    weight, bias = rng.normal(size=(3, 1, 3, 3)).astype(np.float32), np.zeros(3, np.float32)
    options = {"into": 3, "out": 3, "kernel": 3, "groups": 3}
    made = run([["conv", [0], options]], picture, **{"1.weight": weight, "1.bias": bias})
    for channel in range(3):
        alone = same_convolution(picture[:, channel : channel + 1], weight[channel : channel + 1], bias[:1], 1)
        assert np.allclose(made[:, channel], alone[:, 0], atol=1e-5)


def test_pooling_at_an_odd_edge_ignores_what_is_outside() -> None:
    picture = -np.arange(1, 26, dtype=np.float32).reshape(1, 1, 5, 5)
    made = run([["maxpool", [0], {"size": 2}]], picture)
    assert made.shape == (1, 1, 3, 3)
    assert made.max() == -1, "padding with zero would win over negative values"
    assert made[0, 0, 2, 2] == -25


def test_the_small_operations() -> None:
    picture = np.arange(-12, 12, dtype=np.float32).reshape(1, 2, 3, 4)
    assert np.array_equal(run([["relu", [0], {}]], picture), np.maximum(picture, 0))
    slopes = np.array([0.5, 2], np.float32)
    made = run([["prelu", [0], {"channels": 2}]], picture, **{"1.weight": slopes})
    assert np.array_equal(made, np.where(picture < 0, picture * slopes[:, None, None], picture))
    assert np.array_equal(run([["relu", [0], {}], ["add", [0, 1], {}]], picture), picture + np.maximum(picture, 0))
    wide = run([["widen", [0], {"channels": 3}]], picture)
    assert np.array_equal(wide[:, :2], picture)
    assert wide.shape == (1, 5, 3, 4)
    assert not wide[:, 2:].any()


def test_rows_are_read_as_tflite_lays_them() -> None:
    picture = np.arange(2 * 4 * 3 * 5, dtype=np.float32).reshape(2, 4, 3, 5)
    made = run([["rows", [0], {"planes": 2}]], picture)
    assert made.shape == (2, 2, 30, 1)
    nhwc = picture.transpose(0, 2, 3, 1).reshape(2, 30, 2)
    assert np.array_equal(made[..., 0].transpose(0, 2, 1), nhwc)
    both = run([["rows", [0], {"planes": 2}], ["join", [1, 1], {"axis": 2}], ["join", [2, 2], {"axis": 1}]], picture)
    assert both.shape == (2, 4, 60, 1)


@pytest.mark.parametrize(
    ("operations", "complaint"),
    [
        ([], "at least one"),
        ([["eval", [0], {}]], "unknown kind 'eval'"),
        ([["relu", [1], {}]], "not an earlier value"),
        ([["relu", [], {}]], "not an earlier value"),
        ([["relu", [0]]], r"not \[kind, inputs, options\]"),
        ([["relu", 0, {}]], r"not \[kind, inputs, options\]"),
        ([["relu", ["0"], {}]], "not an earlier value"),
        ([[["relu"], [0], {}]], "unknown kind"),
        ([["relu", [0], []]], "not named"),
        ([["relu", [0], {"size": 2}]], r"operation 1 \(relu\)"),
        ([["conv", [0], {"into": 3}]], r"operation 1 \(conv\)"),
    ],
)
def test_what_is_no_list_of_operations_is_refused(operations: list[Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        build("graph", {"operations": operations})


def shipped(model: str) -> tuple[Any, dict[str, Any]]:
    card = json.loads((MODELS / model / "card.json").read_text("utf-8"))
    weights = (MODELS / model / "weights.safetensors").read_bytes()
    assert hashlib.sha256(weights).hexdigest() == card["weights"]["sha256"]
    graph = build(card["architecture"]["name"], card["architecture"]["parameters"])
    graph.load_state_dict(load(weights))
    return graph.float().eval(), card


@pytest.mark.parametrize("model", FACES)
def test_the_face_networks_give_what_the_interpreter_gives(model: str) -> None:
    """`face_reference.npz` was written by models/training/reference_faces.py from TensorFlow Lite's interpreter."""
    with np.load(Path(__file__).parent / "face_reference.npz", allow_pickle=False) as kept:
        small, expected, low = (kept[f"{model}.{part}"] for part in ("input", "output", "low"))
    big = small.repeat(4, axis=1).repeat(4, axis=2)[None].astype(np.float32)
    picture = big / np.float32(255) * np.float32(1 - low) + np.float32(low)
    graph, _ = shipped(model)
    with torch.inference_mode():
        made = graph(torch.from_numpy(picture)).numpy()
    if model == "face-detector":
        made = made[:, :, ::7]
    assert made.shape == expected.shape
    apart = np.abs(made - expected)
    if model == "face-detector":  # far from a face logits are large; float32 has no thousandths there
        apart[:, 16] /= np.maximum(np.abs(expected[:, 16]) / 16, 1)
        assert (expected[:, 16] > 0).any(), "the reference must hold a face"
    assert apart.max() < 1e-3


@pytest.mark.parametrize("model", FACES)
def test_the_cards_self_tests_come_out(model: str) -> None:
    graph, card = shipped(model)
    test = card["selftest"]
    noise = np.random.Generator(np.random.Philox(key=test["seed"])).random(
        (1, 3, test["height"], test["width"]), np.float32
    )
    (planes,) = card["input"]["planes"]
    noise = noise * np.float32(planes["maximum"] - planes["minimum"]) + np.float32(planes["minimum"])
    with torch.inference_mode():
        made = graph(torch.from_numpy(noise)).numpy()
    for value in test["values"]:
        assert made[0, value["plane"], value["row"], value["column"]] == pytest.approx(
            value["value"], abs=test["tolerance"]
        )


def test_the_detector_takes_other_sizes() -> None:
    graph, _ = shipped("face-detector")
    with torch.inference_mode():
        made = graph(torch.zeros(1, 3, 320, 512))
    assert made.shape == (1, 17, 20 * 32 * 2 + 10 * 16 * 6, 1)
