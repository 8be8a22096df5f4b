"""The main job from a scan to a signed, verifiable restoration, judged by tools that are not ours."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import cv2
import encypher_c2pa
import numpy as np
import ocfl
import pytest
import tifffile
from PIL import Image

from tests.conftest import PHOTOGRAPHS, Ran, Shelf
from tests.support.archives import copy_of, must
from tests.support.synthetic_damage import damage

AIRPLANE = PHOTOGRAPHS / "airplane-from-above.jpg"


def scratched_scan(path: Path, dtype: str, channels: int) -> None:
    """A damaged scan of a real photograph as TIFF of any depth."""
    gray = np.asarray(Image.open(PHOTOGRAPHS / "dust-bowl-home.jpg").convert("L"))[:512, :640]
    hurt = damage(gray.astype(np.float32) / 255, seed=3).picture
    kind = np.dtype(dtype)
    pixels = hurt.astype(kind) if kind.kind == "f" else np.rint(hurt * np.iinfo(kind).max).astype(kind)
    if channels == 3:
        pixels = np.stack([pixels] * 3, axis=2)
    photometric = "rgb" if channels == 3 else "minisblack"
    tifffile.imwrite(path, pixels, photometric=photometric, resolution=(600, 600), resolutionunit=2)


def part_of_airplane(path: Path) -> Path:
    """320 × 240 pixels of it; test_the_whole_job takes all of it."""
    with Image.open(AIRPLANE) as whole:
        whole.crop((520, 120, 840, 360)).save(path, quality=95)
    return path


@pytest.fixture
def restored(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, command: Callable[..., Ran]) -> Shelf:
    """An archive with a part of the airplane that has real scratches, restored once as `restore` does by default."""

    def build(archive: Path, scratch: Path) -> None:
        must("init", archive, "--organization", "Test Museum")
        must("-A", archive, "ingest", part_of_airplane(scratch / AIRPLANE.name))
        must("-A", archive, "restore", "airplane-from-above")

    return Shelf(root=copy_of("airplane", tmp_path / "archive", tmp_path_factory, build), runner=command)


def test_the_whole_job(shelf: Shelf):
    (accepted,) = shelf.ok("ingest", AIRPLANE)["accepted"]
    assert accepted["item_id"] == "airplane-from-above"
    assert accepted["sha512"] == hashlib.sha512(AIRPLANE.read_bytes()).hexdigest()
    assert (accepted["width"], accepted["height"], accepted["mime"]) == (1024, 717, "image/jpeg")
    (made,) = shelf.ok("restore", "airplane-from-above")["made"]
    assert made["ref"] == "airplane-from-above/restoration@1"
    assert 0.9 < made["original_fraction"] < 1
    assert sum(made["pixels"].values()) == 1024 * 717
    found = shelf.ok("verify", "--all")
    assert found["ok"] is True
    assert found["subjects"] == 2
    assert [f for f in found["findings"] if f["severity"] != "info"] == []
    assert found["pixels_compared"] == 1024 * 717
    assert shelf.ok("reproduce", "airplane-from-above/restoration")["identical"] is True


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_depth_keeps_its_pixels(shelf: Shelf, tmp_path: Path, dtype: str, channels: int):
    scan = tmp_path / "scan.tif"
    scratched_scan(scan, dtype, channels)
    shelf.ok("ingest", scan)
    (made,) = shelf.ok("restore", "scan")["made"]
    master, derivative = tifffile.imread(scan), tifffile.imread(made["path"])
    flags = np.asarray(Image.open(shelf.files(made["ref"])["synthesis-map.png"]))
    assert derivative.dtype == master.dtype
    assert derivative.shape == master.shape
    differs = (derivative != master).reshape(*flags.shape, -1).any(axis=2)
    assert not (differs & (flags == 0)).any()
    assert differs.sum() > 500
    assert shelf.ok("verify", "--all")["ok"]


def test_strangers_open_the_derivative(restored: Shelf):
    files = restored.files("airplane-from-above/restoration")
    picture = files["airplane-from-above-restoration.tif"]
    with Image.open(picture) as image:
        assert (image.size, image.mode, image.n_frames) == ((320, 240), "RGB", 1)
        by_pillow = np.asarray(image)
    assert (by_pillow == tifffile.imread(picture)).all()
    assert (cv2.imread(str(picture), cv2.IMREAD_UNCHANGED)[:, :, ::-1] == by_pillow).all()
    told = subprocess.run(["exiftool", "-j", "-G1", str(picture)], capture_output=True, check=True, text=True)
    tags = json.loads(told.stdout)[0]
    assert tags["XMP-iptcExt:DigitalSourceType"].endswith("/compositeWithTrainedAlgorithmicMedia")
    assert "Warning" not in " ".join(tags)


def test_strangers_accept_the_roots(restored: Shelf):
    for name in ("preservation", "stories"):
        store = ocfl.StorageRoot(root=str(restored.root / name))
        assert store.validate(validate_objects=True, check_digests=True, log_warnings=True)
        assert (store.num_objects, store.good_objects) == ((2, 2) if name == "preservation" else (0, 0))


def test_strangers_accept_the_credentials(restored: Shelf):
    trust = (restored.root / "keys" / "anchors.pem").read_text()
    options = {"trust_pem": trust, "no_default_trust": True, "telemetry": False, "online": False}
    picture = restored.files("airplane-from-above/restoration")["airplane-from-above-restoration.tif"]
    verdict = encypher_c2pa.verify(str(picture), "image/tiff", **options)
    assert str(verdict["validation_state"]).lower() == "trusted", verdict
    master = restored.files("airplane-from-above")
    sidecar = master["airplane-from-above.jpg.c2pa"].read_bytes()
    verdict = encypher_c2pa.verify(
        str(master["airplane-from-above.jpg"]), "image/jpeg", manifest_store=sidecar, **options
    )
    assert str(verdict["validation_state"]).lower() == "trusted", verdict


def test_the_report_and_the_records_are_there(restored: Shelf):
    files = restored.files("airplane-from-above/restoration")
    assert {"report.html", "derivation.json", "premis.xml", "thumbnail.jpg", "synthesis-map.json"} <= set(files)
    page = files["report.html"].read_text()
    assert "airplane-from-above/restoration@1" in page
    assert "Content-Security-Policy" in page
    derivation = json.loads(files["derivation.json"].read_bytes())
    assert [run["step"] for run in derivation["steps"]] == ["detect_damage", "fill", "losses"]


def test_a_second_restoration_is_a_second_version(restored: Shelf):
    (made,) = restored.ok("restore", "airplane-from-above", "--set", "fill.max_width=3")["made"]
    assert made["ref"].endswith("@2")
    assert restored.ok("verify", "--all")["subjects"] == 3
    assert restored.ok("reproduce", "airplane-from-above/restoration@1")["identical"]


def test_everything_is_not_made_twice(restored: Shelf):
    again = restored.ok("restore", "--all")
    assert (again["made"], again["unchanged"]) == ([], ["airplane-from-above/restoration@1"])
    assert len(restored.ok("restore", "--query", "nothing-like-it")["made"]) == 0


def test_a_hand_drawn_map_is_filled_and_marked_human(shelf: Shelf, tmp_path: Path):
    shelf.ok("ingest", part_of_airplane(tmp_path / AIRPLANE.name))
    drawn = np.zeros((240, 320), np.uint8)
    drawn[100:103, 20:160] = 255
    keep = np.zeros((240, 320), np.uint8)
    keep[:, 200:] = 255
    Image.fromarray(drawn).save(tmp_path / "drawn.png")
    Image.fromarray(keep).save(tmp_path / "keep.png")
    words = ("--damage-map", tmp_path / "drawn.png", "--keep-map", tmp_path / "keep.png")
    (made,) = shelf.ok("restore", "airplane-from-above", *words)["made"]
    flags = np.asarray(Image.open(shelf.files(made["ref"])["synthesis-map.png"]))
    assert ((flags[100:103, 20:160] & 0x50) == 0x50).all()
    assert (flags[:, 200:] == 0).all()
    assert shelf.ok("verify", "--all")["ok"]
    assert shelf.ok("reproduce", made["ref"])["identical"]


def test_a_map_of_another_size_is_refused_in_one_line(shelf: Shelf, tmp_path: Path):
    shelf.ok("ingest", AIRPLANE)
    Image.fromarray(np.zeros((7, 7), np.uint8)).save(tmp_path / "small.png")
    ran = shelf.run("restore", "airplane-from-above", "--damage-map", tmp_path / "small.png")
    assert ran.code == 1
    assert "7×7" in ran.json["failed"][0]["error"]
    assert shelf.ok("verify", "--all")["subjects"] == 1


@pytest.mark.parametrize("treatment", ["as-found", "neutral", "tratteggio"])
def test_large_losses_are_never_invented(shelf: Shelf, tmp_path: Path, treatment: str):
    shelf.ok("ingest", AIRPLANE)
    drawn = np.zeros((717, 1024), np.uint8)
    drawn[100:200, 100:220] = 255
    Image.fromarray(drawn).save(tmp_path / "loss.png")
    words = ("--recipe", "by-hand", "--damage-map", tmp_path / "loss.png", "--set", f"losses.treatment={treatment}")
    (made,) = shelf.ok("restore", "airplane-from-above", *words)["made"]
    assert made["damage"]["LOSS"] > 10_000
    flags = np.asarray(Image.open(shelf.files(made["ref"])["synthesis-map.png"]))
    assert (flags[120:180, 120:200] == (0 if treatment == "as-found" else 0x08)).all()
    assert shelf.ok("verify", "--all")["ok"]


def test_fading_is_adjusted_and_says_so(shelf: Shelf, tmp_path: Path):
    scratched_scan(tmp_path / "scan.tif", "u2", 1)
    pixels = tifffile.imread(tmp_path / "scan.tif")
    tifffile.imwrite(tmp_path / "pale.tif", (pixels // 2 + 20_000).astype(np.uint16), photometric="minisblack")
    shelf.ok("ingest", tmp_path / "pale.tif")
    (made,) = shelf.ok("restore", "pale", "--recipe", "faded")["made"]
    assert made["pixels"]["ADJUSTED"] > 0.9 * pixels.size
    assert np.ptp(tifffile.imread(made["path"])) > 1.5 * np.ptp(tifffile.imread(tmp_path / "pale.tif"))
    assert shelf.ok("verify", "--all")["ok"]


def test_a_dry_run_changes_nothing(shelf: Shelf):
    shelf.ok("ingest", AIRPLANE)
    before = sorted(p.relative_to(shelf.root) for p in shelf.root.rglob("*"))
    plan = shelf.ok("restore", "airplane-from-above", "--dry-run")["plan"]
    assert [step["step"] for step in plan["steps"]] == ["detect_damage", "fill", "losses"]
    assert sorted(p.relative_to(shelf.root) for p in shelf.root.rglob("*")) == before
