"""The door to ONNX: what files of the four tasks look like, and what is refused before onnxruntime sees it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archive_restore.adapters.models import FolderModels
from archive_restore.adapters.models_onnx_parts import OnnxDamaged, numbers
from archive_restore.errors import ModelUnusable
from archive_restore.ports import Network
from tests.support.tiny_models import KERNEL, blurred, card, onnx_blur, onnx_model, write_model

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

RGB = {"meaning": "rgb", "count": 3, "minimum": 0, "maximum": 1}
GRAY = {"meaning": "gray", "minimum": 0, "maximum": 1}
MASK = {"meaning": "mask", "minimum": 0, "maximum": 1}


def put(name: str, *shape: int | str, kind: int = TensorProto.FLOAT) -> Any:
    return helper.make_tensor_value_info(name, kind, shape)


def constant(name: str, values: Any, dtype: str = "float32") -> Any:
    return numpy_helper.from_array(np.asarray(values, dtype), name)


def network(folder: Path, data: bytes, **changes: Any) -> Network:
    """The network of these weights, its card changed."""
    write_model(folder / "tiny-blur", card(data, weights__parameters=None, **changes), data)
    return FolderModels(folder).load("tiny-blur", "cpu")


def refusal(folder: Path, data: bytes, **changes: Any) -> str:
    """Why these weights are refused: code and message of the one finding."""
    write_model(folder / "tiny-blur", card(data, **changes), data)
    (finding,) = FolderModels(folder).verify()
    return f"{finding.code} {finding.message}"


def noise(*shape: int) -> Any:
    return np.random.default_rng(9).random(shape, np.float32)


# --- the four tasks ----------------------------------------------------------------------------------


def inpainting(*, mask_first: bool = False, size: int | str = "h", kind: int = TensorProto.FLOAT) -> bytes:
    """Puts the picture's mean where the mask is 1."""
    frame = ("n", size, size if isinstance(size, int) else "w")
    inputs = [put("image", frame[0], 3, *frame[1:], kind=kind), put("mask", frame[0], 1, *frame[1:], kind=kind)]
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["mean"], axes=[2, 3]),
        helper.make_node("Sub", ["mean", "image"], ["step"]),
        helper.make_node("Mul", ["step", "mask"], ["change"]),
        helper.make_node("Mul", ["change", "one"], ["whole"]),
        helper.make_node("Add", ["image", "whole"], ["made"]),
    ]
    one = constant("one", [1.0], "float16" if kind == TensorProto.FLOAT16 else "float32")
    outputs = [put("made", frame[0], 3, *frame[1:], kind=kind)]
    return onnx_model(nodes, inputs[::-1] if mask_first else inputs, outputs, [one])


INPAINTING = {"task": "inpainting", "input__planes": [RGB, MASK], "output__planes": [RGB]}


def painted(planes: Any) -> Any:
    image, mask = planes[:, :3].astype(np.float64), planes[:, 3:]
    return image + (image.mean((2, 3), keepdims=True) - image) * mask


def test_inpainting_takes_picture_and_mask(tmp_path: Path):
    planes = noise(2, 4, 12, 17)
    made = network(tmp_path, inpainting(), **INPAINTING).predict(planes)
    assert np.abs(made - painted(planes)).max() < 1e-6


def test_inputs_go_by_name_where_the_card_names_them(tmp_path: Path):
    planes = noise(1, 4, 12, 17)
    names = {"architecture__parameters": {"inputs": ["image", "mask"]}}
    made = network(tmp_path, inpainting(mask_first=True), **INPAINTING, **names).predict(planes)
    assert np.abs(made - painted(planes)).max() < 1e-6


def test_halves_are_fed_where_the_file_wants_them(tmp_path: Path):
    planes = noise(1, 4, 12, 17)
    data = inpainting(kind=TensorProto.FLOAT16)
    made = network(tmp_path, data, **INPAINTING, weights__dtype="float16").predict(planes)
    assert made.dtype == np.float32
    assert np.abs(made - painted(planes)).max() < 2e-3


def test_a_fixed_size_is_that_of_the_card(tmp_path: Path):
    fixed = {"input__minimum_size": 64, "input__maximum_size": 64}
    found = network(tmp_path, inpainting(size=64), **INPAINTING, **fixed)
    planes = noise(1, 4, 64, 64)
    assert np.abs(found.predict(planes) - painted(planes)).max() < 1e-6
    with pytest.raises(ModelUnusable, match="height 32 is below 64"):
        found.predict(noise(1, 4, 32, 32))


def test_colorization_from_lightness(tmp_path: Path):
    """a* is half of L*, b* minus L*: clipped to what the card says."""
    conv = helper.make_node("Conv", ["L", "weights"], ["ab"])
    weights = constant("weights", np.reshape([0.5, -1], (2, 1, 1, 1)))
    data = onnx_model([conv], [put("L", "n", 1, "h", "w")], [put("ab", "n", 2, "h", "w")], [weights])
    found = network(
        tmp_path,
        data,
        task="colorization",
        input__planes=[{"meaning": "lightness", "minimum": 0, "maximum": 100}],
        output__planes=[{"meaning": "ab", "count": 2, "minimum": -60, "maximum": 60}],
    )
    made = found.predict(np.array([[[[0, 40, 100]]]], np.float32))
    assert made[0, :, 0].tolist() == [[0, 20, 50], [0, -40, -60]]


def test_colorization_from_gray_to_rgb(tmp_path: Path):
    expand = helper.make_node("Conv", ["gray", "weights"], ["rgb"])
    weights = constant("weights", np.reshape([1.0, 0.75, 0.5], (3, 1, 1, 1)))
    data = onnx_model([expand], [put("gray", "n", 1, "h", "w")], [put("rgb", "n", 3, "h", "w")], [weights])
    found = network(tmp_path, data, task="colorization", output__planes=[RGB])
    assert found.predict(np.full((1, 1, 4, 4), 0.5, np.float32))[0, :, 0, 0].tolist() == [0.5, 0.375, 0.25]


def test_restoration_keeps_the_frame(tmp_path: Path):
    planes = noise(1, 1, 20, 31)
    made = network(tmp_path, onnx_blur(), task="restoration").predict(planes)
    assert np.abs(made - blurred(planes)).max() < 1e-6


def test_super_resolution_has_a_scale(tmp_path: Path):
    planes = noise(1, 1, 10, 7)
    made = network(tmp_path, onnx_blur(scale=3), task="super-resolution", output__scale=3).predict(planes)
    assert made.shape == (1, 1, 30, 21)
    assert np.abs(made[:, :, 1::3, 1::3] - blurred(planes)).max() < 1e-6


# --- other shapes ------------------------------------------------------------------------------------


def test_a_file_for_one_picture_takes_several_one_by_one(tmp_path: Path):
    conv = helper.make_node("Conv", ["gray", "kernel"], ["soft"], pads=[1, 1, 1, 1])
    data = onnx_model(
        [conv], [put("gray", 1, 1, "h", "w")], [put("soft", 1, 1, "h", "w")], [constant("kernel", KERNEL[None, None])]
    )
    planes = noise(3, 1, 9, 9)
    assert np.abs(network(tmp_path, data).predict(planes) - blurred(planes)).max() < 1e-6


def detector() -> bytes:
    """Two outputs, as detectors have them: scores of two rows, and the mean of the picture."""
    nodes = [
        helper.make_node("ReduceMean", ["gray"], ["mean"], axes=[2, 3], keepdims=0),
        helper.make_node("MatMul", ["mean", "weights"], ["flat"]),
        helper.make_node("Reshape", ["flat", "shape"], ["scores"]),
    ]
    given = [constant("weights", [[1, 2, 3, 4]]), constant("shape", [-1, 2, 2], "int64")]
    outputs = [put("scores", "n", 2, 2), put("mean", "n", 1)]
    return onnx_model(nodes, [put("gray", "n", 1, 8, 8)], outputs, given)


FREE = {"task": "face-detection", "output__extent": "free", "input__minimum_size": 8, "input__maximum_size": 8}


def test_several_outputs_become_planes_of_one_pixel(tmp_path: Path):
    groups = [{"meaning": "score", "count": 4}, {"meaning": "mean"}]
    found = network(tmp_path, detector(), output__planes=groups, **FREE)
    made = found.predict(np.full((2, 1, 8, 8), 0.5, np.float32))
    assert made.shape == (2, 5, 1, 1)
    assert made[1, :, 0, 0].tolist() == [0.5, 1, 1.5, 2, 0.5]


def test_outputs_go_by_name_where_the_card_names_them(tmp_path: Path):
    names = {"architecture__parameters": {"outputs": ["mean"]}}
    found = network(tmp_path, detector(), output__planes=[{"meaning": "mean"}], **FREE, **names)
    assert found.predict(np.full((1, 1, 8, 8), 0.25, np.float32)).tolist() == [[[[0.25]]]]


# --- what differs from the card ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "changes", "says"),
    [
        (onnx_blur(), {"input__planes": [RGB]}, "'gray' of 1 planes, the card says 3 in all"),
        (onnx_blur(), {"weights__parameters": 10}, "has 9 trained numbers, its card says 10"),
        (onnx_blur(), {"weights__dtype": "float16"}, "has weights of float32, its card says float16"),
        (onnx_blur(), {"architecture__parameters": {"inputs": ["grey"]}}, "the inputs are 'gray', the card names"),
        (onnx_blur(), {"architecture__parameters": {"outputs": "softened"}}, "the outputs are 'softened', the card"),
        (inpainting(), {**INPAINTING, "architecture__parameters": {"inputs": ["image"]}}, "does not name all"),
        (inpainting(size=64), INPAINTING, "the input 'image' has the fixed size 64"),
        (detector(), {"input__minimum_size": 8, "input__maximum_size": 8}, "there are 2 outputs, and a frame is one"),
    ],
)
def test_a_file_that_is_not_the_one_of_the_card(tmp_path: Path, data: bytes, changes: dict[str, Any], says: str):
    changes = {"weights__parameters": None, **changes}
    said = refusal(tmp_path, data, **changes)
    assert said.startswith("MODEL_WEIGHTS_MISMATCH The model ")
    assert says in said


def test_an_output_of_another_size_shows_when_it_runs(tmp_path: Path):
    said = refusal(tmp_path, onnx_blur(scale=2), weights__parameters=None)
    assert said.startswith("MODEL_CONTRACT_BROKEN")
    assert "(2, 2), its card says (1, 1)" in said


def test_an_operator_that_is_not_onnx_is_refused(tmp_path: Path):
    """Operators of others come as programs; none is ever loaded."""
    node = helper.make_node("Shell", ["gray"], ["softened"], domain="com.example")
    graph = helper.make_graph([node], "x", [put("gray", "n", 1, "h", "w")], [put("softened", "n", 1, "h", "w")], [
        constant("kernel", KERNEL)])  # fmt: skip
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.example", 1)]
    data = helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
    assert refusal(tmp_path, data).startswith("MODEL_WEIGHTS_UNREADABLE")


# --- numbers in other files --------------------------------------------------------------------------


def external(tensor: Any) -> Any:
    """The tensor, its numbers said to lie in a file."""
    from onnx.external_data_helper import set_external_data

    set_external_data(tensor, location="../secret.bin", offset=0, length=36)
    tensor.ClearField("raw_data")
    return tensor


def outside(where: str) -> bytes:
    """The blur with numbers in another file: as weights, as a constant, in a branch, in a function."""
    kernel = external(constant("kernel", KERNEL[None, None]))
    model = onnx.load_from_string(onnx_blur())
    graph = model.graph
    if where == "weights":
        del graph.initializer[:]
        graph.initializer.append(kernel)
        return bytes(model.SerializeToString())
    node = helper.make_node("Constant", [], ["k"], value=kernel)
    if where == "constant":
        graph.node.append(node)
    elif where == "branch":
        branch = helper.make_graph([node], "branch", [], [put("k", 1, 1, 3, 3)])
        graph.node.append(helper.make_node("If", ["c"], ["x"], then_branch=branch, else_branch=branch))
    else:
        model.functions.append(helper.make_function("d", "f", [], ["k"], [node], [helper.make_opsetid("", 17)]))
    return bytes(model.SerializeToString())


@pytest.mark.parametrize("where", ["weights", "constant", "branch", "function"])
def test_numbers_in_another_file_are_refused(tmp_path: Path, where: str):
    """The digest of the card covers one file, and a path in a model may lead anywhere."""
    (tmp_path / "secret.bin").write_bytes(KERNEL.tobytes())
    said = refusal(tmp_path, outside(where))
    assert said.startswith("MODEL_WEIGHTS_UNREADABLE")
    assert "in another file" in said


# --- the look into the file --------------------------------------------------------------------------


def test_numbers_are_counted_as_onnx_counts_them():
    for data in (onnx_blur(), onnx_blur(scale=2), inpainting(), detector()):
        meant = sum(int(np.prod(tensor.dims)) for tensor in onnx.load_from_string(data).graph.initializer)
        assert sum(numbers(data).values()) == meant
    assert numbers(detector()) == {"float32": 4, "other": 3}


@pytest.mark.parametrize("data", [b"", b"\x08", b"\x08\x08", b"PK\x03\x04", b"{}", b"\x3a\x00\x3a\x00", b"\xff" * 99])
def test_what_is_no_model_is_refused_in_words(data: bytes):
    with pytest.raises(OnnxDamaged):
        numbers(data)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_noise_never_breaks_the_reader(data: bytes):
    with contextlib.suppress(OnnxDamaged):
        numbers(data)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_damaged_file_never_breaks_the_reader(data: st.DataObject):
    good = bytearray(onnx_blur(scale=2))
    for _ in range(data.draw(st.integers(1, 6))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(good[: data.draw(st.integers(0, len(good)))])
    with contextlib.suppress(OnnxDamaged):
        numbers(cut)


def test_graphs_inside_graphs_without_end_are_refused():
    inner = b""
    for _ in range(40):
        attribute = b"\x32" + _length(inner) + inner  # g = 6
        node = b"\x2a" + _length(attribute) + attribute  # attribute = 5
        inner = b"\x0a" + _length(node) + node  # node = 1
    with pytest.raises(OnnxDamaged, match="too deep"):
        numbers(b"\x3a" + _length(inner) + inner)


def test_millions_of_empty_parts_are_refused():
    for field in (b"\x0a\x00", b"\x10\x01"):
        part = field * 1_100_000
        with pytest.raises(OnnxDamaged, match="more parts"):
            numbers(b"\x3a" + _length(part) + part)


def test_a_tensor_of_endless_dimensions_is_refused():
    for dims in (b"\x08\x7f" * 1000, b"\x0a" + _length(b"\x7f" * 1000) + b"\x7f" * 1000):
        graph = b"\x2a" + _length(dims) + dims  # initializer = 5
        with pytest.raises(OnnxDamaged, match="dimensions"):
            numbers(b"\x3a" + _length(graph) + graph)


def _length(data: bytes) -> bytes:
    size, made = len(data), b""
    while size > 0x7F:
        made += bytes([size & 0x7F | 0x80])
        size >>= 7
    return made + bytes([size])
