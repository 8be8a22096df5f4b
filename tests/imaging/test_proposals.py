"""Regions that `--regions auto` proposes: held against what a person drew, and what must never be proposed."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from archive_restore.imaging.motion_regions import propose
from archive_restore.records.imagery import Region
from tests.benchmarks.proposals import looked_at, score

SHAPE = (360, 480)


def noise(sigma: float, amount: float, seed: int = 1) -> np.ndarray:
    drawn = cv2.GaussianBlur(np.random.default_rng(seed).standard_normal(SHAPE).astype(np.float32), (0, 0), sigma)
    return drawn * np.float32(amount / drawn.std())


def leaves() -> np.ndarray:
    """Fine texture of two sizes on a dark ground, below a light sky."""
    picture = 0.25 + noise(1.5, 0.05) + noise(3, 0.02, seed=2)
    picture[:150] = 0.85
    return np.clip(picture, 0, 1).astype(np.float32)


def shore(*, mirrored: bool) -> np.ndarray:
    """Hills under a sky, and below them a dark surface of level bands, with their mirror image or without."""
    picture = np.full(SHAPE, 0.85, np.float32)
    x = np.arange(SHAPE[1])
    skyline = 130 - 60 * np.abs(np.sin(x / 60)) - 20 * np.sin(x / 23)
    hills = np.arange(SHAPE[0])[:, None] > skyline
    picture[hills] = 0.3
    below = picture[20:190][::-1] * 0.5 if mirrored else np.full((170, SHAPE[1]), 0.3, np.float32)
    bands = np.random.default_rng(4).standard_normal((170, SHAPE[1])).astype(np.float32)
    bands = cv2.GaussianBlur(bands, (0, 0), sigmaX=40, sigmaY=2.5)
    picture[190:] = cv2.GaussianBlur(below, (0, 0), 6) + bands * np.float32(0.02 / bands.std())
    return np.clip(picture, 0, 1)


@pytest.mark.parametrize(
    ("name", "precision", "recall"),
    [("march-pastoral.jpg", 0.75, 0.4), ("black-canyon.jpg", 0.85, 0.12), ("dust-bowl-home.jpg", 0.85, 0.35)],
)
def test_photographs_are_proposed_as_a_person_drew_them(name: str, precision: float, recall: float):
    picture, proposed = looked_at(name)
    found = score(name, proposed, picture.shape[:2])
    assert found.hit >= precision * found.proposed
    assert found.hit >= recall * found.moving
    assert found.right == found.hit
    assert found.false_rigid < 0.02


@pytest.mark.parametrize("name", ["locomotion-house-cat.jpg", "acanthus-mollis.jpg", "airplane-from-above.jpg"])
def test_what_stands_still_is_not_proposed(name: str):
    assert looked_at(name)[1] == ()


def test_leaves_are_and_the_same_on_a_plain_ground_are_not():
    proposed = propose(leaves())
    assert {one.kind for one in proposed} <= {"foliage", "grass", "hold"}
    assert any(one.kind in ("foliage", "grass") for one in proposed)
    framed = np.full(SHAPE, 0.9, np.float32)
    framed[60:, 60:-60] = leaves()[60:, 60:-60]
    assert propose(framed) == ()


def test_grain_is_no_texture():
    grain = np.random.default_rng(2).standard_normal(SHAPE).astype(np.float32)
    assert propose(np.clip(0.35 + 0.06 * grain, 0, 1).astype(np.float32)) == ()


def test_print_is_not_proposed():
    page = np.full(SHAPE, 205, np.uint8)
    for row in range(20, 355, 14):
        cv2.putText(page, "In Wahrheit stand hier Text, nichts als Text", (4, row), 0, 0.45, 40, 1, cv2.LINE_AA)
    assert propose(page.astype(np.float32) / np.float32(255)) == ()


def test_roads_mirror_nothing_and_water_does():
    assert any(one.kind == "water" for one in propose(shore(mirrored=True)))
    assert all(one.kind != "water" for one in propose(shore(mirrored=False)))


def test_a_hole_is_held():
    picture = leaves()
    cv2.circle(picture, (240, 260), 42, 0.5, -1)
    proposed = propose(picture)
    places = [np.array(one.polygon).mean(axis=0) for one in proposed if one.kind == "hold"]
    assert any(abs(x - 240) < 25 and abs(y - 260) < 25 for x, y in places)


def test_faces_are_kept_out():
    assert propose(leaves(), [Region(top=150, left=0, bottom=360, right=480)]) == ()
