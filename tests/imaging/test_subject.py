"""What stands out in a picture is kept by frames that cut it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from archive_restore.imaging.subject import kept_by, standing_out
from archive_restore.records.imagery import Region

OPEN = Path(__file__).parents[1] / "photographs" / "open"


@pytest.mark.parametrize(
    ("name", "aspect", "box"),
    [
        ("dust-bowl-home", 9 / 16, (0.52, 0.28, 0.94, 0.6)),  # the house, but for the end of its eave
        ("nagasaki-boats", 9 / 16, (0.53, 0.15, 0.7, 0.55)),  # the ship and its mast
        ("acanthus-mollis", 9 / 16, (0.35, 0.05, 0.65, 0.9)),  # the stem
        ("march-pastoral", 1.0, (0.43, 0.4, 0.68, 0.9)),  # sheep and lamb in front
    ],
)
def test_the_subject_stays_in_the_frame(name: str, aspect: float, box: tuple[float, float, float, float]):
    picture = Image.open(OPEN / f"{name}.jpg").convert("RGB")
    picture.thumbnail((640, 640))
    samples = np.asarray(picture)
    height, width = samples.shape[:2]
    kept = kept_by(samples, aspect)
    assert (kept.right - kept.left) / (kept.bottom - kept.top) == pytest.approx(aspect, rel=0.01)
    left, top, right, bottom = box
    assert kept.left <= left * width and right * width <= kept.right
    assert kept.top <= top * height and bottom * height <= kept.bottom


def test_nothing_stands_out_of_a_plain_ground_and_nothing_is_cut_that_fits():
    plain = np.full((90, 160, 3), 128, np.uint8)
    assert standing_out(plain).shape == (36, 64)
    assert kept_by(plain, 16 / 9) == Region(top=0, left=0, bottom=90, right=160)
    middle = kept_by(plain, 1.0)
    assert (middle.right - middle.left, middle.top, middle.bottom) == (90, 0, 90)
    assert middle.left == 35


def test_a_thing_at_the_side_is_kept():
    samples = np.full((100, 300, 3), 200, np.uint8)
    samples[40:70, 230:260] = 20
    kept = kept_by(samples, 1.0)
    assert kept.left <= 230 and kept.right >= 260
