"""Faces: found where a person sees them, alike in every depth, size and turn, and nowhere else."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from archive_restore.adapters.models import FolderModels
from archive_restore.imaging.faces import (
    Candidate,
    Face,
    FaceNetworks,
    decode_boxes,
    detect_faces,
    find_faces,
    yunet,
)
from archive_restore.imaging.networks import build

ROOT = Path(__file__).parents[2]
PHOTOGRAPHS = ROOT / "tests" / "photographs"
EYES = ((139.7, 101.0), (183.0, 102.7))
"""Middles of the irises in astronaut.jpg, seen by eye: the person's right one first."""


def network(model: str) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    torch = pytest.importorskip("torch")
    load = pytest.importorskip("safetensors.torch").load
    card = json.loads((ROOT / "models" / model / "card.json").read_text("utf-8"))
    weights = (ROOT / "models" / model / "weights.safetensors").read_bytes()
    assert hashlib.sha256(weights).hexdigest() == card["weights"]["sha256"]
    module = build(card["architecture"]["name"], card["architecture"]["parameters"])
    module.load_state_dict(load(weights))
    module.float().eval()

    def run(planes: NDArray[np.float32]) -> NDArray[np.float32]:
        assert planes.dtype == np.float32
        assert planes.shape[1] == 3
        low = card["input"]["planes"][0]["minimum"]
        assert low <= planes.min() and planes.max() <= 1
        assert all(edge % card["input"]["size_multiple"] == 0 for edge in planes.shape[2:])
        with torch.inference_mode():
            return module(torch.from_numpy(planes)).numpy()

    return run


@pytest.fixture(scope="module")
def networks() -> FaceNetworks:
    return FaceNetworks(detector=network("face-detector"), mesh=network("face-mesh"), iris=network("face-iris"))


@pytest.fixture(scope="module")
def portrait() -> NDArray[np.uint8]:
    return read(PHOTOGRAPHS / "faces" / "astronaut.jpg")


def read(path: Path) -> NDArray[np.uint8]:
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def irises(face: Face) -> tuple[tuple[float, float], ...]:
    return tuple(eye.iris[0][:2] for eye in (face.right_eye, face.left_eye))


def assert_eyes(face: Face, expected: Sequence[tuple[float, float]], within: float) -> None:
    for found, wanted in zip(irises(face), expected, strict=True):
        assert math.dist(found, wanted) < within, (found, wanted)


def test_a_portrait_has_one_face_where_the_eye_sees_it(portrait, networks) -> None:
    (face,) = find_faces(portrait, networks)
    assert face.flag > 0.99
    assert face.score > 0.9
    assert_eyes(face, EYES, 1.5)
    by_name = dict(zip(("right eye", "left eye", "nose", "mouth", "right ear", "left ear"), face.points, strict=True))
    assert math.dist(by_name["nose"], (161, 124)) < 8
    assert math.dist(by_name["mouth"], (159.3, 144.3)) < 8
    assert by_name["right ear"][0] < by_name["right eye"][0] < by_name["left eye"][0] < by_name["left ear"][0]
    left, top, right, bottom = face.box
    assert left < 130 < 190 < right
    assert top < 100 < 150 < bottom
    assert abs(face.turn) < 8


def test_mesh_and_lids_have_their_parts_in_place(portrait, networks) -> None:
    (face,) = find_faces(portrait, networks)
    assert len(face.mesh) == 468
    mesh = np.array(face.mesh)
    assert math.dist(mesh[4][:2], (160, 127)) < 5, "the tip of the nose"
    assert mesh[4][2] == pytest.approx(mesh[:, 2].min(), abs=5), "the nose is nearest"
    for eye, middle in ((face.right_eye, EYES[0]), (face.left_eye, EYES[1])):
        assert (len(eye.lower), len(eye.upper), len(eye.iris), len(eye.contour)) == (9, 7, 5, 16)
        assert eye.upper[3][1] < middle[1] < eye.lower[4][1], "the lids lie above and below the iris"
        assert 12 < eye.width < 22
        assert 0.25 < eye.opening < 0.55
        ring = np.array([point[:2] for point in eye.contour], np.float32)
        assert cv2.pointPolygonTest(ring, middle, False) > 0
        assert cv2.contourArea(ring) > 0.5 * eye.width * eye.opening * eye.width, "the ring must not cross itself"
    assert face.right_eye.lower[0][0] < face.right_eye.lower[-1][0] < face.left_eye.lower[-1][0]
    assert face.left_eye.lower[-1][0] < face.left_eye.lower[0][0], "outer corners first, on both sides"


def test_a_mirror_exchanges_the_eyes(portrait, networks) -> None:
    (face,) = find_faces(portrait, networks)
    (mirrored,) = find_faces(np.ascontiguousarray(portrait[:, ::-1]), networks)
    width = portrait.shape[1]
    assert_eyes(mirrored, [(width - x, y) for x, y in reversed(irises(face))], 1.5)
    assert mirrored.turn == pytest.approx(-face.turn, abs=6)


@pytest.mark.parametrize("degrees", [-35, 20, 35])
def test_a_tilted_head_is_followed(portrait, networks, degrees: int) -> None:
    height, width = portrait.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    turned = cv2.warpAffine(portrait, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    (face,) = find_faces(turned, networks)
    assert_eyes(face, [tuple(matrix @ (x, y, 1)) for x, y in EYES], 2.5)


@pytest.mark.parametrize("scale", [0.35, 2.0, 7.0])
def test_faces_of_other_sizes(portrait, networks, scale: float) -> None:
    """At 7 the face is 700 pixels wide: crops must be reduced, not skipped through."""
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    (face, *_) = found = find_faces(cv2.resize(portrait, None, fx=scale, fy=scale, interpolation=how), networks)
    assert len(found) == 1
    assert_eyes(face, [(x * scale, y * scale) for x, y in EYES], 2.5 * scale)


def test_every_depth_gives_the_same(portrait, networks) -> None:
    (eight,) = find_faces(portrait, networks)
    (sixteen,) = find_faces(portrait.astype(np.uint16) * 257, networks)
    (light,) = find_faces(portrait.astype(np.float32) / 255, networks)
    for other in (sixteen, light):
        assert np.abs(np.array(other.mesh) - np.array(eight.mesh)).max() < 0.5
        assert_eyes(other, irises(eight), 0.5)


def test_gray_is_three_equal_channels(portrait, networks) -> None:
    gray = cv2.cvtColor(portrait, cv2.COLOR_RGB2GRAY)
    flat, one, three = (find_faces(p, networks) for p in (gray, gray[..., None], np.dstack([gray] * 3)))
    assert flat == one == three
    assert_eyes(flat[0], EYES, 2)


def test_two_faces_of_one_picture(portrait, networks) -> None:
    found = find_faces(np.hstack([portrait, portrait]), networks)
    assert len(found) == 2
    for face, shift in zip(sorted(found, key=lambda f: f.box[0]), (0, portrait.shape[1]), strict=True):
        assert_eyes(face, [(x + shift, y) for x, y in EYES], 2)


@pytest.mark.parametrize("path", sorted((PHOTOGRAPHS / "open").glob("*.jpg")), ids=lambda path: path.stem)
def test_no_faces_are_found_where_there_are_none(path: Path, networks) -> None:
    """Two of these photographs show people, too small to be found: faces.csv."""
    assert find_faces(read(path), networks) == ()


def test_a_face_of_fifteen_pixels_wants_a_larger_size(networks) -> None:
    """The boatman of Nagasaki."""
    picture = read(PHOTOGRAPHS / "open" / "nagasaki-boats.jpg")
    (boatman,) = find_faces(
        picture, networks, detect=lambda whole: detect_faces(whole, networks.detector, sizes=(256, 512, 1024))
    )
    left, top, right, bottom = boatman.box
    assert 411 < (left + right) / 2 < 431
    assert 661 < (top + bottom) / 2 < 683


def test_the_mesh_refuses_what_the_detector_takes_for_a_face(networks) -> None:
    pictures = [read(path) for path in sorted((PHOTOGRAPHS / "open").glob("*.jpg"))]
    proposals = [detect_faces(picture, networks.detector) for picture in pictures]
    assert sum(map(len, proposals)) > 0, "the detector alone is fooled"
    for picture, proposed in zip(pictures, proposals, strict=True):
        assert find_faces(picture, networks, detect=lambda _, proposed=proposed: proposed) == ()


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 400, 3), (400, 2, 3), (33, 65)])
def test_odd_shapes_have_no_faces(networks, shape: tuple[int, ...]) -> None:
    assert find_faces(np.full(shape, 128, np.uint8), networks) == ()


def test_values_beyond_the_range_do_no_harm(portrait, networks) -> None:
    light = portrait.astype(np.float32) / 255 * 1.4 - 0.1
    light[:10, :10] = np.nan
    (face,) = find_faces(light, networks)
    assert_eyes(face, EYES, 2.5)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4,), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 4), np.int32),
    ],
    ids=["four channels", "one axis", "empty", "int32"],
)
def test_what_is_no_picture_is_refused(wrong: NDArray[Any], networks) -> None:
    with pytest.raises(ValueError, match="a picture of"):
        find_faces(wrong, networks)


def test_facts_are_frozen(portrait, networks) -> None:
    (face,) = find_faces(portrait, networks)
    with pytest.raises(FrozenInstanceError):
        face.score = 1.0  # type: ignore[misc]
    assert find_faces(portrait, networks) == (face,), "a second look sees the same"


def test_the_shipped_models_serve_as_they_are_loaded(portrait, networks) -> None:
    """Their cards are contracts, and `find_faces` keeps within them."""
    models = FolderModels(ROOT / "models")
    loaded = FaceNetworks(
        detector=models.load("face-detector", "cpu").predict,
        mesh=models.load("face-mesh", "cpu").predict,
        iris=models.load("face-iris", "cpu").predict,
    )
    (face,) = find_faces(portrait, loaded)
    (same,) = find_faces(portrait, networks)
    assert np.abs(np.array(face.mesh) - np.array(same.mesh)).max() < 0.01


# --- decoding, against hand-made numbers -------------------------------------------------------------


def test_anchors_lie_where_blazeface_puts_them() -> None:
    """64×96: 4·6 cells of two anchors at stride 16, then 2·3 cells of six at stride 32."""
    raw = np.zeros((4 * 6 * 2 + 2 * 3 * 6, 17), np.float32)
    raw[:, 16] = -100
    raw[2 * (1 * 6 + 3) + 1] = [2, -1, 10, 20, *range(12), 3]
    raw[48 + 6 * (1 * 3 + 2)] = [0, 0, 8, 8, *[0] * 12, 1]
    near, far = decode_boxes(raw, 64, 96, 0.5)
    assert near[:4] == pytest.approx([56 + 2 - 5, 24 - 1 - 10, 56 + 2 + 5, 24 - 1 + 10])
    assert near[4:8] == pytest.approx([56 + 0, 24 + 1, 56 + 2, 24 + 3])
    assert near[16] == pytest.approx(1 / (1 + math.exp(-3)))
    assert far[:4] == pytest.approx([80 - 4, 48 - 4, 80 + 4, 48 + 4])
    with pytest.raises(ValueError, match="64×64"):
        decode_boxes(raw, 64, 64, 0.5)


def test_overlapping_proposals_become_their_weighted_mean() -> None:
    def detector(planes: NDArray[np.float32]) -> NDArray[np.float32]:
        assert planes.shape == (1, 3, 256, 256)
        raw = np.zeros((896, 17), np.float32)
        raw[:, 16] = -100
        raw[0], raw[1] = [100, 100, 40, 40, *[0] * 12, 20], [108, 100, 40, 40, *[0] * 12, math.log(0.6 / 0.4)]
        raw[700] = [0, 0, 30, 30, *[0] * 12, 1]
        return raw.T[None, :, :, None]

    first, second = detect_faces(np.zeros((512, 512, 3), np.uint8), detector, sizes=(256,))
    middle = 2 * (8 + (100 + 0.6 * 108) / 1.6)
    assert first.box == pytest.approx((middle - 40, 176, middle + 40, 256))
    assert first.score == pytest.approx(1)
    assert second.score == pytest.approx(1 / (1 + math.exp(-1)))


def test_the_detector_sees_the_whole_picture_at_each_size() -> None:
    seen = []

    def detector(planes: NDArray[np.float32]) -> NDArray[np.float32]:
        seen.append(planes.shape[2:])
        return np.full((1, 17, planes.shape[2] * planes.shape[3] * 14 // 1024, 1), -100, np.float32)

    assert detect_faces(np.zeros((300, 700), np.uint8), detector) == ()
    assert seen == [(128, 256), (224, 512)]
    seen.clear()
    detect_faces(np.zeros((2000, 1500), np.uint8), detector, sizes=(256, 1024))
    assert seen == [(256, 192), (1024, 768)]


# --- YuNet -------------------------------------------------------------------------------------------


def tiny_yunet(path: Path) -> None:
    """A file with YuNet's inputs and outputs that takes every white 32-pixel cell for a face."""
    onnx = pytest.importorskip("onnx")
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    nodes, constants, outputs = [], [], []
    for stride in (8, 16, 32):
        for name, planes in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)):
            weight = np.zeros((planes, 3, stride, stride), np.float32)
            bias = np.zeros(planes, np.float32)
            if name in ("cls", "obj") and stride == 32:
                weight[:] = 1 / (3 * 32 * 32 * 255)
            if name == "kps":
                bias[:] = [-0.25, -0.25, 0.25, -0.25, 0, 0, -0.25, 0.25, 0.25, 0.25]
            key = f"{name}_{stride}"
            constants += [numpy_helper.from_array(weight, f"{key}_w"), numpy_helper.from_array(bias, f"{key}_b")]
            constants.append(numpy_helper.from_array(np.array([1, -1, planes], np.int64), f"{key}_s"))
            nodes += [
                helper.make_node(
                    "Conv",
                    ["input", f"{key}_w", f"{key}_b"],
                    [f"{key}_c"],
                    kernel_shape=[stride] * 2,
                    strides=[stride] * 2,
                ),
                helper.make_node("Transpose", [f"{key}_c"], [f"{key}_t"], perm=[0, 2, 3, 1]),
                helper.make_node("Reshape", [f"{key}_t", f"{key}_s"], [key]),
            ]
            outputs.append((key, planes))
    order = sorted(outputs, key=lambda o: ("cls", "obj", "bbox", "kps").index(o[0].split("_")[0]))
    graph = helper.make_graph(
        nodes,
        "yunet",
        [helper.make_tensor_value_info("input", onnx.TensorProto.FLOAT, [1, 3, "h", "w"])],
        [helper.make_tensor_value_info(key, onnx.TensorProto.FLOAT, [1, None, planes]) for key, planes in order],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    path.write_bytes(model.SerializeToString())


def test_the_yunet_door_reads_boxes_and_points(tmp_path: Path) -> None:
    tiny_yunet(tmp_path / "yunet.onnx")
    detect = yunet(tmp_path / "yunet.onnx")
    picture = np.zeros((160, 320), np.uint8)
    picture[64:96, 128:160] = 255
    (candidate,) = detect(picture)
    assert isinstance(candidate, Candidate)
    assert candidate.score == pytest.approx(1, abs=0.01)
    left, top, right, bottom = candidate.box
    assert (right - left, bottom - top) == pytest.approx((32, 32), abs=0.1)
    right_eye, left_eye, nose, mouth = candidate.points
    assert left_eye[0] - right_eye[0] == pytest.approx(16, abs=0.1)
    assert nose[0] == pytest.approx(mouth[0])
    assert mouth[1] - nose[1] == pytest.approx(8, abs=0.1)
    picture = np.zeros((1280, 2560), np.uint8)
    picture[160:240, 320:400] = 255
    (large,) = detect(picture)
    assert large.box[2] - large.box[0] == pytest.approx(80, abs=1), (
        "a cell of the reduced copy, in the picture's pixels"
    )
    assert detect(np.zeros((64, 64), np.uint8)) == ()


def test_what_is_no_yunet_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "yunet.onnx").write_bytes(b"no model")
    with pytest.raises(ValueError, match="not a YuNet model"):
        yunet(tmp_path / "yunet.onnx")


@pytest.mark.skipif("ARCHIVE_RESTORE_YUNET" not in os.environ, reason="ARCHIVE_RESTORE_YUNET names no YuNet file")
def test_the_real_yunet_proposes_the_same_face(portrait, networks) -> None:
    (face,) = find_faces(portrait, networks, detect=yunet(os.environ["ARCHIVE_RESTORE_YUNET"]))
    assert_eyes(face, EYES, 1.5)
