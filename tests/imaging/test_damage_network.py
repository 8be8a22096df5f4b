"""Detection by a network: what a threshold, a polarity and a class make of its probabilities."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from archive_restore.imaging.damage import DamageParameters
from archive_restore.imaging.damage_network import (
    AROUND,
    CLASSES,
    LONG,
    LONG_SURE,
    Fusion,
    LongLight,
    fused,
    halo,
    long_lines,
    margin,
    planes_of,
    search,
)
from archive_restore.imaging.network_frames import Cells, Place
from archive_restore.records.imagery import DamageClass

Floats = NDArray[np.float32]
CELLS = Cells(multiple=16, halo=16)
LEAST = 0.5


@pytest.fixture(scope="module")
def scene() -> tuple[Floats, Floats]:
    """A picture, and what a perfect network would say of it: (h, w), (4, h, w)."""
    luma = np.full((120, 150), 0.5, np.float32)
    said = np.zeros((4, 120, 150), np.float32)
    luma[20:22, 10:140] = 0.9  # a light scratch
    said[[0, 3], 20:22, 10:140] = 0.8
    luma[40:42, 10:140] = 0.1  # a dark crack
    said[[2, 3], 40:42, 10:140] = 0.7
    luma[60:64, 60:64] = 0.95  # dust
    said[[1, 3], 60:64, 60:64] = 0.9
    luma[80:84, 60:64] = 0.05
    said[[1, 3], 80:84, 60:64] = 0.55
    return luma, said


def found(
    scene: tuple[Floats, Floats],
    parameters: DamageParameters,
    least: float = LEAST,
    *,
    leave_long: bool = False,
    long_light: LongLight = LongLight.MARK,
) -> NDArray[np.uint8]:
    luma, said = scene
    whole = (slice(0, 120), slice(0, 150))
    place = Place(top=0, left=0, height=120, width=150)

    def predict(planes: Floats) -> Floats:
        out = np.zeros((1, 4, *planes.shape[2:]), np.float32)
        out[0, :, :120, :150] = said[::-1]
        return out

    order = planes_of(CLASSES[::-1])
    return search(
        luma, predict, order, parameters, least, place, whole, CELLS, leave_long=leave_long, long_light=long_light
    ).codes


def test_classes_and_polarities(scene: tuple[Floats, Floats]) -> None:
    codes = found(scene, DamageParameters())
    for place, kind in (
        ((20, 50), DamageClass.BRIGHT_LINE), ((40, 50), DamageClass.DARK_LINE),
        ((61, 61), DamageClass.BRIGHT_SPOT), ((81, 61), DamageClass.DARK_SPOT),
        ((30, 30), DamageClass.SOUND),
    ):  # fmt: skip
        assert codes[place] == kind


@pytest.mark.parametrize(
    ("left_out", "gone"),
    [
        ({"bright": False}, {DamageClass.BRIGHT_LINE, DamageClass.BRIGHT_SPOT}),
        ({"dark": False}, {DamageClass.DARK_LINE, DamageClass.DARK_SPOT}),
        ({"lines": False}, {DamageClass.BRIGHT_LINE, DamageClass.DARK_LINE}),
        ({"spots": False}, {DamageClass.BRIGHT_SPOT, DamageClass.DARK_SPOT}),
    ],
)
def test_what_a_recipe_leaves_out(
    scene: tuple[Floats, Floats], left_out: dict[str, bool], gone: set[DamageClass]
) -> None:
    every = {DamageClass(code) for code in np.unique(found(scene, DamageParameters()))}
    assert {DamageClass(code) for code in np.unique(found(scene, DamageParameters(**left_out)))} == every - gone


def test_thresholds(scene: tuple[Floats, Floats]) -> None:
    codes = found(scene, DamageParameters(), 0.75)
    assert {DamageClass(code) for code in np.unique(codes)} == {
        DamageClass.SOUND, DamageClass.BRIGHT_LINE, DamageClass.BRIGHT_SPOT,
    }  # fmt: skip
    assert not codes[40, 50]


def test_what_is_not_needed_stays_empty_and_parts_agree(scene: tuple[Floats, Floats]) -> None:
    luma, _ = scene
    far = halo(CELLS)
    start = (58 - far, 58 - far)
    part = np.s_[start[0] : 120, start[1] : 66 + far]
    needed = (slice(far, far + 8), slice(far, far + 8))

    def predict(planes: Floats) -> Floats:
        thin = (np.abs(planes[0, 0] - 0.5) > 0.2).astype(np.float32)
        return np.stack([0 * thin, thin, 0 * thin, thin])[None]

    def at(tile: Floats, place: Place, wanted: tuple[slice, slice]) -> NDArray[np.uint8]:
        return search(tile, predict, range(4), DamageParameters(), LEAST, place, wanted, CELLS).codes

    whole = at(luma, Place(top=0, left=0, height=120, width=150), (slice(0, 120), slice(0, 150)))
    tiled = at(luma[part], Place(top=start[0], left=start[1], height=120, width=150), needed)
    assert np.array_equal(tiled[needed], whole[58:66, 58:66])
    assert (whole[58:66, 58:66] > 0).sum() == 16
    tiled[needed] = 0
    assert not tiled.any()


def test_two_opinions_add_up() -> None:
    thin = np.array([[0.5, 0.5, 0.9, 0.1]], np.float32)
    shapes = np.array([[0, 230, 0, 230]], np.uint8)
    alone = fused(thin, shapes, Fusion(network=1.0, shapes=0.0, offset=0.0))
    assert alone == pytest.approx(thin, abs=1e-6)
    both = fused(thin, shapes, Fusion(network=1.0, shapes=0.5, offset=1.0))[0]
    assert both[1] > 0.5 > both[0]
    assert both[2] < 0.9
    assert both[3] > 0.1
    assert (
        fused(np.ones((1, 1), np.float32), np.full((1, 1), 255, np.uint8), Fusion(network=9, shapes=9, offset=9)) <= 1
    )


def test_a_card_without_a_class_is_refused() -> None:
    with pytest.raises(KeyError, match="thin"):
        planes_of(["line", "spot", "crack", "loss", "stain"])


def test_long_dark_lines_are_left_and_all_else_is_not(scene: tuple[Floats, Floats]) -> None:
    every, left = found(scene, DamageParameters()), found(scene, DamageParameters(), leave_long=True)
    assert (every == DamageClass.DARK_LINE).any() and not (left == DamageClass.DARK_LINE).any()
    assert np.array_equal(left, np.where(every == DamageClass.DARK_LINE, np.uint8(DamageClass.SOUND), every))


def test_long_light_lines_are_left_when_asked_or_where_they_go_on(scene: tuple[Floats, Floats]) -> None:
    every = found(scene, DamageParameters())
    without = np.where(every == DamageClass.BRIGHT_LINE, np.uint8(DamageClass.SOUND), every)
    assert np.array_equal(found(scene, DamageParameters(), long_light=LongLight.LEAVE), without)
    assert np.array_equal(found(scene, DamageParameters(), long_light=LongLight.WEIGH), every), "it ends where it ends"
    luma, said = scene[0], scene[1].copy()
    said[:, 20:22, 60:] = 0
    part = found((luma, said), DamageParameters())
    assert (part[20:22, 10:60] == DamageClass.BRIGHT_LINE).all()
    weighed = found((luma, said), DamageParameters(), long_light=LongLight.WEIGH)
    assert not weighed[20:22, 12:60].any() and np.array_equal(weighed[30:], part[30:])


def test_a_long_dark_line_that_is_certain_counts(scene: tuple[Floats, Floats]) -> None:
    luma, said = scene[0], scene[1].copy()
    said[[2, 3], 40:42, 10:140] = LONG_SURE + 0.01
    codes = found((luma, said), DamageParameters(), leave_long=True)
    assert np.array_equal(codes, found((luma, said), DamageParameters()))


@pytest.mark.parametrize("angle", range(0, 180, 9))
def test_a_line_is_long_in_every_direction(angle: int) -> None:
    for length, expected in ((LONG - 8, False), (2 * LONG, True)):
        lines = np.zeros((100, 100), np.uint8)
        reach = length / 2 * np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
        ends = [np.rint(50 + side * reach).astype(int).tolist() for side in (-1, 1)]
        cv2.line(lines, ends[0], ends[1], 1, 1)
        long = long_lines(lines > 0)
        assert np.array_equal(long, (lines > 0) & expected)


def test_long_lines_of_a_tile_are_those_of_the_whole() -> None:
    rng, lines = np.random.default_rng(7), np.zeros((400, 400), np.uint8)
    for _ in range(60):
        middle, reach = rng.uniform(20, 380, 2), rng.uniform(-40, 40, 2)
        cv2.line(lines, (middle - reach).astype(int).tolist(), (middle + reach).astype(int).tolist(), 1, 1)
    whole, side = long_lines(lines > 0), margin(leave_long=True) - AROUND
    assert 0 < whole.sum() < lines.sum()
    tile = long_lines(lines[200 - side : 280 + side, 120 - side : 200 + side] > 0)
    assert np.array_equal(tile[side:-side, side:-side], whole[200:280, 120:200])
