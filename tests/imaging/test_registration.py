"""Registration: pictures as they are met outside are found in what they come from, exactly, and nowhere else."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image

from archive_restore.imaging.registration import MATCH, Registration, judged, prepare, register, register_prepared
from tests.conftest import PHOTOGRAPHS
from tests.support import published as p

LONGEST = 360


def small(name: str) -> p.Picture:
    picture = Image.open(PHOTOGRAPHS / f"{name}.jpg").convert("RGB")
    picture.thumbnail((LONGEST, LONGEST))
    return np.asarray(picture)


REFERENCE = small("nagasaki-boats")
PREPARED = prepare(REFERENCE)


def found(*changes: p.Change, seed: int = 0) -> Registration:
    of, rng = p.begun(REFERENCE), np.random.default_rng(seed)
    for change in changes:
        of = change(of, rng)
    registration = register_prepared(prepare(of.picture), PREPARED)
    assert registration is not None
    return registration


def placed(registration: Registration, x: float, y: float) -> tuple[float, float]:
    to = np.array(registration.matrix) @ (x, y, 1)
    return float(to[0]), float(to[1])


def test_the_picture_itself() -> None:
    registration = found()
    np.testing.assert_allclose(registration.matrix, np.eye(3), atol=0.02)
    assert registration.confidence > 0.99
    assert registration.shown == pytest.approx(1, abs=1e-3)
    assert (registration.content.width, registration.content.height) == REFERENCE.shape[1::-1]


def test_a_crop_is_placed_within_a_fraction_of_a_pixel() -> None:
    crop = REFERENCE[60:260, 80:350]
    registration = register(crop, REFERENCE)
    assert registration is not None
    assert placed(registration, 0, 0) == pytest.approx((80, 60), abs=0.1)
    assert placed(registration, 269, 199) == pytest.approx((349, 259), abs=0.1)
    assert registration.shown == pytest.approx(270 * 200 / (REFERENCE.shape[0] * REFERENCE.shape[1]), abs=0.01)


def test_a_scale_is_measured() -> None:
    registration = found(p.resize(0.6), p.jpeg(70))
    assert registration.scale == pytest.approx(0.6, abs=0.005)
    # Pixel centres: the first of 0.6 covers the first 1.67 of the reference.
    assert placed(registration, 0, 0) == pytest.approx((1 / 3, 1 / 3), abs=0.3)


def test_a_mirror_image_is_told() -> None:
    registration = found(p.mirror, p.jpeg(80))
    assert registration.mirrored
    assert placed(registration, 0, 0) == pytest.approx((REFERENCE.shape[1] - 1, 0), abs=0.1)
    assert registration.rotation == pytest.approx(0, abs=0.2)
    assert not found(p.jpeg(80)).mirrored


@pytest.mark.parametrize("degrees", [1.0, -4.0])
def test_a_small_turn_is_measured(degrees: float) -> None:
    # OpenCV's positive angles turn a picture counter-clockwise.
    assert found(p.rotate(degrees), p.jpeg(80)).rotation == pytest.approx(-degrees, abs=0.1)


def test_right_angles_are_told() -> None:
    assert found(p.quarter(1)).rotation == pytest.approx(-90, abs=0.1)
    assert abs(found(p.quarter(2)).rotation) == pytest.approx(180, abs=0.1)


def test_bars_are_no_content() -> None:
    registration = found(p.letterbox(0.15), p.jpeg(85))
    bar = round(REFERENCE.shape[0] * 0.15)
    assert abs(registration.content.top - bar) <= 1
    assert abs(registration.content.bottom - bar - REFERENCE.shape[0]) <= 1
    assert registration.shown == pytest.approx(1, abs=0.01)


def test_the_page_around_a_crop_is_no_content() -> None:
    registration = found(p.crop(0.3), p.screenshot(1.0, 1.05), p.jpeg(85), seed=1)
    assert registration.shown == pytest.approx(0.7, abs=0.06)
    assert registration.content.top > 8
    assert registration.content.left > 8


def test_grading_lossy_encoding_and_sepia_do_not_hide_a_picture() -> None:
    registration = found(p.sepia, p.contrast(1.3), p.jpeg(20))
    np.testing.assert_allclose(registration.matrix, np.eye(3), atol=0.5)


def test_gray_and_colour_are_compared() -> None:
    gray = cv2.cvtColor(REFERENCE, cv2.COLOR_RGB2GRAY)
    assert register(gray, REFERENCE) is not None
    assert register(REFERENCE, gray) is not None


def test_the_same_arrays_give_the_same_answer() -> None:
    assert found(p.crop(0.2), p.jpeg(50)) == found(p.crop(0.2), p.jpeg(50))


@pytest.mark.parametrize("name", ["black-canyon", "dust-bowl-home", "march-pastoral"])
def test_unrelated_pictures_do_not_match(name: str) -> None:
    assert register_prepared(prepare(small(name)), PREPARED) is None


def test_other_parts_of_the_same_picture_do_not_match() -> None:
    assert register(REFERENCE[:150], REFERENCE[160:]) is None


def test_pictures_without_content_match_nothing() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 300), np.uint8)
    for empty in (np.zeros((200, 300), np.uint8), noise, np.zeros((1, 1), np.uint8), np.zeros((3, 500, 3), np.uint8)):
        assert register(empty, REFERENCE) is None
        assert register(REFERENCE, empty) is None


def test_a_weak_resemblance_is_no_match() -> None:
    """Bars that many pages share are not a picture: the share that agrees decides."""
    page = np.random.default_rng(1).integers(0, 256, (300, 400, 3), np.uint8)
    other = np.random.default_rng(2).integers(0, 256, (300, 400, 3), np.uint8)
    for picture in (page, other):
        cv2.putText(picture, "ARCHIVE", (10, 40), 0, 1.2, (255, 255, 255), 3)
    registration = judged(prepare(page), prepare(other))
    assert registration is None or registration.confidence < MATCH
