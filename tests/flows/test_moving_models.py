"""`animate --motion NAME`: models from elsewhere that move a still, what they may not, and bad ones at the door."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from archive_restore.adapters.video import FileVideos
from archive_restore.records.imagery import PixelFlag
from tests.conftest import Shelf
from tests.support.archives import copy_of, empty, run
from tests.support.tiny_models import card, mover_card, onnx_blur, onnx_mover, write_model

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

QUICK = ("--seconds", "1", "--size", "source", "--keep-lossless")
FACE = Path(__file__).resolve().parents[1] / "photographs" / "faces" / "astronaut.jpg"
LEFT = {"kind": "foliage", "polygon": [[0, 0], [20, 0], [20, 160], [0, 160]], "soft": 0}
MADE_UP = PixelFlag.MOVED | PixelFlag.SYNTHESIZED


def picture(height: int, width: int) -> Image.Image:
    """Soft spots of many colours, not white."""
    spots = np.random.default_rng(5).integers(40, 200, (height // 20, width // 20, 3), np.uint8)
    return Image.fromarray(spots).resize((width, height), Image.Resampling.BICUBIC)


def add(shelf: Shelf, folder: Path, weights: bytes, told: dict[str, Any]) -> None:
    shelf.ok("models", "add", write_model(folder, told, weights), folder / told["weights"]["file"])


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """The item `scan`, 160×160, the item `astronaut`, and a model of each kind; do not remove any."""
    folder = tmp_path_factory.mktemp("moved")
    made = Shelf(root=copy_of("empty", folder / "archive", tmp_path_factory, empty), runner=run)
    picture(160, 160).save(folder / "scan.png")
    made.ok("ingest", folder / "scan.png", FACE)
    for gives in ("image-to-video", "flow", "harmonic"):
        noise = gives == "image-to-video"
        weights = onnx_mover(gives, noise=noise)
        add(made, folder / gives, weights, mover_card(weights, gives, noise=noise))
    blur = onnx_blur()
    add(made, folder / "blur", blur, card(blur))
    return made


def frames(made: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Samples and maps of a clip as they were before encoding."""
    folder, videos = Path(made["path"]).parent, FileVideos(1)
    exact = np.stack(list(videos.frames(folder / "frames.mkv")))
    return exact, np.stack(list(videos.frames(folder / "synthesis-map.mkv", maps=True)))


def step_of(shelf: Shelf, made: dict[str, Any]) -> dict[str, Any]:
    (step,) = shelf.ok("show", made["ref"])["record"]["steps"]
    return step


def test_frames_of_a_model_are_flagged_where_they_differ_and_can_be_made_again(shelf: Shelf):
    (made,) = shelf.ok("animate", "scan", "--motion", "tiny-image-to-video", *QUICK)["made"]
    assert shelf.ok("verify", made["ref"])["findings"] == []
    assert shelf.ok("reproduce", made["ref"])["identical"]
    exact, flags = frames(made)
    label = (flags[0] & PixelFlag.HUMAN) > 0
    still = np.asarray(Image.open(next((shelf.root / "preservation").rglob("scan.png"))))
    changed = (exact != still).any(axis=3)
    marked = (flags & MADE_UP) == MADE_UP
    assert changed[:, ~label].any()
    assert np.array_equal(changed[:, ~label], marked[:, ~label])
    # Columns 8 to 24 of the 32 that show the square picture, and four beyond them over which that begins.
    assert marked[:, :90, 45:115].any(axis=0).mean() > 0.9
    assert not marked[:, :, :20].any()
    assert not marked[:, :, 140:].any()
    record = shelf.ok("show", made["ref"])["record"]
    (step,) = record["steps"]
    assert step["digital_source_type"] == "compositeWithTrainedAlgorithmicMedia"
    assert (step["survey"]["motion"]["model"], step["survey"]["motion"]["sees"]) == ("tiny-image-to-video", [32, 32])
    assert "tiny-image-to-video" in {model["name"] for model in record["environment"]["models"]}
    assert record["environment"]["determinism"] == "same-machine"
    assert "1 thread a tile" in {a["name"]: a["role"] for a in record["environment"]["agents"]}["onnxruntime"]


def test_noise_of_a_model_is_the_seeds(shelf: Shelf, tmp_path: Path):
    words = ("animate", "scan", "--motion", "tiny-image-to-video", "--seconds", "1", "--size", "source")
    copied = Shelf(root=tmp_path / "archive", runner=run)
    shutil.copytree(shelf.root, copied.root)
    one, other = (copied.ok(*words, "--seed", seed)["made"][0] for seed in ("7", "8"))
    said = [json.loads((Path(made["path"]).parent / "frames.json").read_bytes()) for made in (one, other)]
    assert said[0] != said[1]
    assert copied.ok("reproduce", one["ref"])["identical"]


@pytest.mark.parametrize("gives", ["flow", "harmonic"])
def test_a_flow_of_a_model_goes_through_our_own_warp(shelf: Shelf, gives: str):
    (made,) = shelf.ok("animate", "scan", "--motion", f"tiny-{gives}", *QUICK, "--amplitude", "0.5")["made"]
    assert shelf.ok("verify", made["ref"])["findings"] == []
    assert shelf.ok("reproduce", made["ref"])["identical"]
    exact, flags = frames(made)
    assert (flags & PixelFlag.MOVED).any()
    still = ((flags & PixelFlag.MOVED) == 0).all(axis=0)
    assert not np.ptp(exact[:, still], axis=0).any()
    assert still[:, :30].all()
    survey = step_of(shelf, made)["survey"]["motion"]
    assert survey["given"] > survey["kept"] == pytest.approx(0.005 * 160)


def test_regions_of_a_person_keep_a_model_out(shelf: Shelf, tmp_path: Path):
    drawn = tmp_path / "drawn.json"
    drawn.write_text(json.dumps({"regions": [LEFT]}))
    for model in ("tiny-image-to-video", "tiny-flow"):
        refused = shelf.run("animate", "scan", "--motion", model, "--regions", drawn, *QUICK)
        assert refused.code != 0
        assert "of this picture" in refused.err


def test_a_model_that_draws_gets_no_face_and_a_flow_leaves_it_at_rest(shelf: Shelf, tmp_path: Path):
    refused = shelf.run("animate", "astronaut", "--motion", "tiny-image-to-video", *QUICK)
    assert (refused.code, "make somebody speak" in refused.err) == (1, True)
    (made,) = shelf.ok("animate", "astronaut", "--motion", "tiny-flow", *QUICK)["made"]
    assert any("held still" in note for note in made["notes"])
    _, flags = frames(made)
    assert not (flags[:, 83:178, 116:210] & PixelFlag.MOVED).any()
    assert (flags & PixelFlag.MOVED).any()
    drawn = tmp_path / "drawn.json"
    corner = {"kind": "fabric", "polygon": [[90, 260], [340, 260], [340, 350], [90, 350]], "soft": 4}
    drawn.write_text(json.dumps({"regions": [corner]}))
    words = ("--motion", "tiny-image-to-video", "--regions", drawn, *QUICK)
    (made,) = shelf.ok("animate", "astronaut", *words)["made"]
    assert not (frames(made)[1][:, :260] & PixelFlag.MOVED).any()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--motion", "nowhere"), "there is no model 'nowhere' here"),
        (("--motion", "tiny-blur"), "is for denoise and moves nothing"),
        (("--motion", "../tiny"), "motion"),
        (("--motion", "tiny-flow", "--form", "before-after"), "--motion"),
    ],
)
def test_motion_that_is_none(shelf: Shelf, words: tuple[str, ...], says: str):
    refused = shelf.run("animate", "scan", *words, *QUICK)
    assert refused.code != 0
    assert says in refused.err
    assert len(refused.err.strip().splitlines()) <= 2


def pickled(_: str) -> bytes:
    return pickle.dumps({"state": [1.0]}, protocol=4)


@pytest.mark.parametrize(
    ("gives", "weights", "changes", "says"),
    [
        ("image-to-video", onnx_mover, {"output__frames": 6}, "it gave 5 frames, its card says 6"),
        ("image-to-video", lambda g: onnx_mover(g, rows=31), {}, "it gave a frame of (31, 48), its card says (32, 48)"),
        ("image-to-video", lambda g: onnx_mover(g, spoilt=True), {}, "rgb came out not finite"),
        ("image-to-video", pickled, {}, "pickled weights"),
        ("image-to-video", onnx_mover, {"output__frames": 1}, "1 frame is no motion"),
        ("image-to-video", onnx_mover, {"output__rate": None}, "how many frames a second"),
        ("image-to-video", onnx_mover, {"input__width": 64}, "fixed size 48"),
        ("image-to-video", onnx_mover, {"input__width": None}, "height and width belong together"),
        ("image-to-video", onnx_mover, {"task": "motion"}, "must be rgb > flow"),
        ("image-to-video", onnx_mover, {"task": "restoration"}, "neither frames nor a rate"),
        ("flow", lambda g: onnx_mover("harmonic"), {}, "it gave 1 frames, its card says 5"),
        ("flow", onnx_mover, {"output__planes": [{"meaning": "flow", "count": 3}]}, "flow is 2 planes, not 3"),
        ("harmonic", onnx_mover, {"output__frames": 3}, "harmonics are those of all frames"),
        ("image-to-video", onnx_mover, {"input__height": 32768, "input__width": 32768}, "more than are held at once"),
        (
            "image-to-video", onnx_mover,
            {"selftest": {"seed": 1, "height": 32, "width": 48, "tolerance": 0.001,
                          "values": [{"frame": 4, "plane": 0, "row": 3, "column": 9, "value": 7}]}},
            "frame 4, plane 0, row 3, column 9 is",
        ),
    ],
)  # fmt: skip
def test_bad_models_are_refused_at_the_door(
    shelf: Shelf, tmp_path: Path, gives: str, weights: Any, changes: dict[str, Any], says: str
):
    data = weights(gives)
    told = mover_card(data, gives, **{"name": "bad-mover", **changes})
    path = write_model(tmp_path / "bad", told, data)
    refused = shelf.run("models", "add", path, path.with_name("weights.onnx"))
    assert refused.code != 0
    assert says in refused.err
    assert len(refused.err.strip().splitlines()) <= 2
    assert not (shelf.root / "models" / "bad-mover").exists()


def test_a_clip_that_a_model_drew_wholly_says_so(shelf: Shelf, tmp_path: Path):
    from archive_restore.flows.animate import _typed
    from archive_restore.records.provenance import StepRun

    run_of = StepRun(
        step="animate", version="1", parameters={}, survey={}, action="c2pa.edited",
        digital_source_type="compositeWithTrainedAlgorithmicMedia", pixels=0, description="",
    )  # fmt: skip
    union = np.full((10, 10), MADE_UP, np.uint8)
    union[8:] = PixelFlag.HUMAN
    assert _typed(run_of, union).digital_source_type == "trainedAlgorithmicMedia"
    union[:1] = 0
    assert _typed(run_of, union).digital_source_type == "compositeWithTrainedAlgorithmicMedia"


def test_the_picture_may_be_of_any_shape_and_size(shelf: Shelf, tmp_path: Path):
    """A tall picture in colour, far larger than what the model sees."""
    picture(300, 90).save(tmp_path / "tall.png")
    shelf.ok("ingest", tmp_path / "tall.png")
    (made,) = shelf.ok("animate", "tall", "--motion", "tiny-image-to-video", *QUICK)["made"]
    assert shelf.ok("verify", made["ref"])["findings"] == []
    assert any("softer" in note for note in made["notes"])
