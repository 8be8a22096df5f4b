"""Faces in stories: rebuilt only when asked, named in survey and manifest, and watched when a model draws them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import c2pa
import numpy as np
import pytest
import tifffile
from PIL import Image

from archive_restore.records.imagery import PixelFlag
from archive_restore.steps.story import Complete
from tests.conftest import Shelf
from tests.support.archives import copy_of, empty, run
from tests.support.tiny_models import card, onnx_model, write_model

PORTRAIT = Path(__file__).parents[1] / "photographs" / "faces" / "astronaut.jpg"
EYE = [[124, 92], [154, 92], [154, 112], [124, 112]]
"""Around the eye on the left of the picture."""
KERNEL = ("--scale", "1.5", "--set", "enlarge.method=kernel")


@pytest.fixture
def shelf(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """An archive with the item `astronaut`."""
    pytest.importorskip("torch")
    made = Shelf(root=copy_of("empty", tmp_path / "archive", tmp_path_factory, empty), runner=run)
    made.ok("ingest", PORTRAIT)
    (tmp_path / "eye.json").write_text(json.dumps({"regions": [{"name": "hole", "polygon": EYE, "author": "Ada"}]}))
    return made


def softening(name: str, planes: int, kernel: int) -> tuple[dict[str, Any], bytes]:
    """A model that softens the first three of its planes, and a card for it."""
    from onnx import TensorProto, helper, numpy_helper

    edge = 512 if planes == 3 else "h"
    given = helper.make_tensor_value_info("given", TensorProto.FLOAT, ["n", planes, edge, 512 if planes == 3 else "w"])
    made = helper.make_tensor_value_info("made", TensorProto.FLOAT, ["n", 3, edge, 512 if planes == 3 else "w"])
    ends = {"starts": [0], "ends": [3], "axes": [1]}
    soft = np.full((3, 1, kernel, kernel), 1 / kernel**2, np.float32)
    nodes = [
        helper.make_node("Slice", ["given", *ends], ["colours"]),
        helper.make_node("Conv", ["colours", "soft"], ["made"], pads=[kernel // 2] * 4, group=3),
    ]
    numbers = [numpy_helper.from_array(np.array(value, np.int64), key) for key, value in ends.items()]
    numbers.append(numpy_helper.from_array(soft, "soft"))
    weights = onnx_model(nodes, [given], [made], numbers)
    colours = {"meaning": "rgb", "count": 3, "minimum": 0, "maximum": 1}
    mask = [{"meaning": "mask", "minimum": 0, "maximum": 1}] if planes == 4 else []
    sizes = {"minimum_size": 512, "maximum_size": 512} if planes == 3 else {"minimum_size": 1}
    told = card(
        weights, name=name, task="restoration" if planes == 3 else "inpainting",
        input={"planes": [colours, *mask], "size_multiple": 1, "halo": kernel, **sizes},
        output={"planes": [colours]}, weights__parameters=int(soft.size),
    )  # fmt: skip
    return told, weights


def add(shelf: Shelf, folder: Path, name: str, planes: int, kernel: int) -> None:
    told, weights = softening(name, planes, kernel)
    path = write_model(folder / name, told, weights)
    shelf.ok("models", "add", path, path.with_name("weights.onnx"))


def changes_of(path: str) -> list[str]:
    """Names of the changed places in all actions of the manifest."""
    with open(path, "rb") as file, c2pa.Reader("image/tiff", file) as reader:
        store = json.loads(reader.json())
    manifest = store["manifests"][store["active_manifest"]]
    actions = next(a for a in manifest["assertions"] if a["label"].startswith("c2pa.actions"))["data"]["actions"]
    return [change["name"] for action in actions for change in action.get("changes", ()) if "name" in change]


def test_a_hidden_eye_is_rebuilt_named_and_marked(shelf: Shelf, tmp_path: Path):
    (made,) = shelf.ok("enhance", "astronaut", "--faces", "--regions", tmp_path / "eye.json", *KERNEL)["made"]
    record = shelf.ok("show", made["ref"])["record"]
    step = record["steps"][0]
    assert step["step"] == "faces"
    names = [place["name"] for place in step["survey"]["places"]]
    assert "face 1, right eye" in names
    assert changes_of(made["path"]) == names
    assert any("right eye" in note and "no likeness" in note for note in made["notes"])
    with tifffile.TiffFile(made["path"]) as tiff:
        picture, flags = tiff.pages[0].asarray(), tiff.pages[0].pages[0].asarray()
    inside = flags[int(98 * 1.5) : int(106 * 1.5), int(132 * 1.5) : int(146 * 1.5)]
    assert (inside & PixelFlag.SYNTHESIZED).all()
    assert (inside & PixelFlag.HUMAN).all()
    eye = picture[int(94 * 1.5) : int(111 * 1.5), int(126 * 1.5) : int(152 * 1.5)]
    assert eye.std() > 15  # an eye, and no smooth skin
    assert shelf.ok("verify", made["ref"])["findings"] == []
    assert shelf.ok("reproduce", made["ref"])["identical"]


def test_faces_are_left_alone_unless_asked(shelf: Shelf, tmp_path: Path):
    with Image.open(PORTRAIT) as portrait:
        hole = np.zeros(portrait.size[::-1], np.uint8)
    hole[EYE[0][1] : EYE[2][1], EYE[0][0] : EYE[2][0]] = 255
    Image.fromarray(hole).save(tmp_path / "hole.png")
    shelf.ok("restore", "astronaut", "--recipe", "by-hand", "--damage-map", tmp_path / "hole.png")
    (made,) = shelf.ok("enhance", "astronaut/restoration", "--scale", "2")["made"]
    assert any("left as found" in note for note in made["notes"])
    assert any("without drawn detail" in note for note in made["notes"])
    with tifffile.TiffFile(made["path"]) as tiff:
        picture, flags = tiff.pages[0].asarray(), tiff.pages[0].pages[0].asarray()
    assert not (flags[190:216, 252:304] & PixelFlag.INTERPOLATED).any()  # the hole is no skin
    assert not (flags[200:206, 270:290] & PixelFlag.SYNTHESIZED).any()
    assert (flags[-20:] & PixelFlag.SYNTHESIZED).all()
    plain = shelf.ok("enhance", "astronaut/restoration", "--scale", "2", "--set", "enlarge.method=kernel")["made"][0]
    face = (slice(180, 240), slice(240, 320))
    assert np.abs(tifffile.imread(plain["path"])[face].astype(int) - picture[face]).max() <= 1
    (asked,) = shelf.ok("enhance", "astronaut/restoration", "--scale", "2", "--faces")["made"]
    assert not any("nobody asked" in note for note in asked["notes"])
    assert np.abs(tifffile.imread(asked["path"])[face].astype(int) - picture[face]).max() > 20
    assert shelf.ok("verify")["findings"] == []
    assert shelf.ok("reproduce", made["ref"])["identical"]


def test_what_was_made_before_faces_were_spared_is_made_again_as_it_was():
    assert Complete().models({"losses": True, "model": ""}) == ()


def test_a_model_of_ones_own_draws_faces_and_is_watched(shelf: Shelf, tmp_path: Path):
    pytest.importorskip("onnxruntime")
    add(shelf, tmp_path, "soft-faces", 3, 3)
    add(shelf, tmp_path, "no-faces", 3, 61)
    words = ("--set", "faces.whole=true", *KERNEL)
    (soft,) = shelf.ok("enhance", "astronaut", "--face-model", "soft-faces", *words)["made"]
    survey = shelf.ok("show", soft["ref"])["record"]["steps"][0]["survey"]
    assert survey["drifts"][0] < 0.03
    assert survey["models"][-1] == "soft-faces"
    assert not any("somebody else" in note or "none is found" in note for note in soft["notes"])
    (gone,) = shelf.ok("enhance", "astronaut", "--face-model", "no-faces", *words)["made"]
    assert any("none is found" in note or "somebody else" in note for note in gone["notes"])
    assert shelf.ok("verify")["findings"] == []
    assert shelf.ok("reproduce", gone["ref"])["identical"]


def test_an_inpainting_model_of_ones_own_completes(shelf: Shelf, tmp_path: Path):
    pytest.importorskip("onnxruntime")
    add(shelf, tmp_path, "smooth", 4, 9)
    words = ("--inpainting", "smooth", "--regions", tmp_path / "eye.json", *KERNEL)
    (made,) = shelf.ok("enhance", "astronaut", *words)["made"]
    record = shelf.ok("show", made["ref"])["record"]
    assert [model["name"] for model in record["environment"]["models"] if "face" not in model["name"]] == ["smooth"]
    assert record["steps"][0]["digital_source_type"] == "compositeWithTrainedAlgorithmicMedia"
    with tifffile.TiffFile(made["path"]) as tiff:
        flags = tiff.pages[0].pages[0].asarray()
    assert ((flags & PixelFlag.SYNTHESIZED) != 0).sum() == ((flags & PixelFlag.HUMAN) != 0).sum() > 0
    assert shelf.ok("verify", made["ref"])["findings"] == []


def test_a_model_that_takes_something_else_is_refused(shelf: Shelf, tmp_path: Path):
    pytest.importorskip("onnxruntime")
    add(shelf, tmp_path, "soft-faces", 3, 3)
    ran = shelf.run("enhance", "astronaut", "--inpainting", "soft-faces", "--regions", tmp_path / "eye.json", *KERNEL)
    assert ran.code == 1
    assert "does not take a picture and a mask" in ran.json["failed"][0]["error"]
