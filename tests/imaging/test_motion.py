"""Motion: repeatable, bounded, exactly looping; and frames whose still parts are the still's own samples."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from archive_restore.imaging import camera, motion_regions
from archive_restore.imaging.camera import Window
from archive_restore.imaging.clip import Clip, _stretched
from archive_restore.imaging.motion import (
    CAP,
    COARSE,
    PRESETS,
    REST,
    Moving,
    SpectralMotion,
    Together,
    chosen_harmonics,
    where_it_moves,
)
from archive_restore.records.imagery import PixelFlag, Region
from tests.support.steadiness import shimmer, ways, zoom_error

OPEN = Path(__file__).parents[1] / "photographs" / "open"
SHAPE = (120, 160)
FRAMES, RATE = 48, 24
WHOLE = Window(left=0, top=0, width=160, height=120)
MOVED = int(PixelFlag.MOVED)


def mask() -> NDArray[np.uint8]:
    drawn = np.zeros(SHAPE, np.uint8)
    drawn[20:100, 40:150] = 255
    return drawn


def source(kind: str = "foliage", *, seed: int = 3, loops: bool = True, amplitude: float = 2.0) -> SpectralMotion:
    region = Moving(spectrum=PRESETS[kind], mask=mask(), amplitude=amplitude)
    return SpectralMotion(SHAPE, [region], frames=FRAMES, rate=RATE, seed=seed, loops=loops)


def still() -> NDArray[np.uint8]:
    rng = np.random.default_rng(5)
    return rng.integers(0, 256, (*SHAPE, 3), np.uint8)


def clip(motion: SpectralMotion | None, size: tuple[int, int] = SHAPE, window: Window = WHOLE) -> Clip:
    flags = np.zeros(SHAPE, np.uint8)
    return Clip(still(), flags, size, motion, lambda _: window, count=FRAMES, rate=RATE, loops=True)


@pytest.mark.parametrize("kind", sorted(PRESETS))
def test_a_loop_closes_to_the_last_bit(kind: str):
    motion = source(kind)
    assert np.array_equal(motion.at(FRAMES).flow, motion.at(0).flow)
    assert not np.array_equal(motion.at(FRAMES - 1).flow, motion.at(0).flow)


def test_frames_do_not_depend_on_the_order_in_which_they_are_asked_for():
    forth, back = source(), source()
    first = [forth.at(n).flow.copy() for n in range(FRAMES)]
    assert all(np.array_equal(first[n], back.at(n).flow) for n in reversed(range(FRAMES)))
    assert not np.array_equal(source(seed=4).at(7).flow, first[7])


def test_what_is_no_region_has_no_flow_and_the_rest_moves_as_much_as_was_asked():
    flows = np.stack([source().at(n).flow for n in range(FRAMES)])
    inside = np.zeros(flows.shape[1:3], np.bool_)
    inside[20 // COARSE + 1 : 100 // COARSE - 1, 40 // COARSE + 1 : 150 // COARSE - 1] = True
    assert not flows[:, ~inside].any()
    assert np.sqrt((flows[:, inside] ** 2).sum(axis=-1).mean()) == pytest.approx(2.0, rel=0.05)


def test_alpha_and_kind_say_what_moves_and_where():
    upper, lower = np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8)
    upper[:40], lower[80:, 40:] = 255, 255
    leaves, water = (
        SpectralMotion(
            SHAPE, [Moving(spectrum=PRESETS[kind], mask=drawn, amplitude=2)], frames=FRAMES, rate=RATE, seed=1
        )
        for kind, drawn in (("foliage", upper), ("water", lower))
    )
    both = Together([leaves, water])
    assert both.kinds == (REST, "foliage", "water")
    motion = both.at(9)
    assert np.array_equal(motion.flow, leaves.at(9).flow + water.at(9).flow)
    assert set(np.unique(motion.kind[:10])) == {0, 1}
    assert set(np.unique(motion.kind[20:, 10:])) == {0, 2}
    assert np.array_equal(motion.kind > 0, motion.alpha > 0)
    assert motion.alpha.max() == 1
    assert not any(both.at(n).flow[motion.alpha == 0].any() for n in range(0, FRAMES, 5))
    first, second = where_it_moves(both, SHAPE)
    assert (first.kind, first.box) == ("foliage", Region(top=0, left=0, bottom=36, right=160))
    assert (second.kind, second.box) == ("water", Region(top=84, left=44, bottom=120, right=160))
    assert second.share == pytest.approx((120 - 84) * (160 - 44) / (120 * 160))


def test_motion_that_does_not_loop_begins_and_ends_at_rest():
    motion = source(loops=False)
    assert not motion.at(0).flow.any()
    assert not motion.at(FRAMES - 1).flow.any()
    assert motion.at(FRAMES // 2).flow.any()


def test_neighbours_never_part():
    motion = source(amplitude=CAP * SHAPE[1])
    assert not any(_stretched(motion.at(n).flow).any() for n in range(0, FRAMES, 6))


def test_harmonics_are_whole_periods_of_the_clip():
    for spectrum in PRESETS.values():
        for seconds in (1.0, 4.0, 12.0, 30.0):
            found = chosen_harmonics(spectrum, seconds)
            assert found[0] >= 1
            assert list(found) == sorted(set(found))
            assert found[-1] / seconds <= max(spectrum.fastest, 1 / seconds) + 0.5 / seconds


# --- frames --------------------------------------------------------------------------------------------


def test_what_rests_keeps_its_samples_in_every_frame():
    shown, picture = clip(source()), still()
    frames = [shown.frame(n) for n in range(FRAMES)]
    for frame in frames:
        rests = frame.flags == 0
        assert np.array_equal(frame.samples[rests], picture[rests])
        assert set(np.unique(frame.flags)) <= {0, MOVED, MOVED | int(PixelFlag.SYNTHESIZED)}
    outside = mask() == 0
    over_time = np.stack([frame.samples[outside] for frame in frames])
    assert not np.ptp(over_time, axis=0).any()  # the energy of change in still regions is exactly zero
    assert sum(int((frame.flags > 0).sum()) for frame in frames) > FRAMES * 0.5 * (mask() > 0).sum()


def test_a_frame_moves_what_the_flow_says():
    ramp = np.repeat(np.arange(160, dtype=np.uint8)[None], 120, axis=0)
    picture = np.repeat(ramp[:, :, None], 3, axis=2)
    motion = source(amplitude=1.5)
    shown = Clip(
        picture, np.zeros(SHAPE, np.uint8), SHAPE, motion, lambda _: WHOLE, count=FRAMES, rate=RATE, loops=True
    )
    flow, frame = motion.at(9).flow, shown.frame(9)
    middle = (slice(42, 80, COARSE), slice(62, 130, COARSE))
    coarse = flow[tuple(slice(s.start // COARSE, s.stop // COARSE) for s in middle)][..., 0]
    moved = frame.samples[..., 0].astype(float) - picture[..., 0]
    assert np.abs(moved[middle][: coarse.shape[0], : coarse.shape[1]] - coarse).max() < 0.9


def test_flags_of_the_still_stay_and_move_with_it():
    flags = np.zeros(SHAPE, np.uint8)
    flags[50:60, 80:90] = PixelFlag.COLORIZED
    shown = Clip(still(), flags, SHAPE, source(), lambda _: WHOLE, count=FRAMES, rate=RATE, loops=True)
    for n in (0, 11, 30):
        found = shown.frame(n).flags & np.uint8(PixelFlag.COLORIZED)
        assert 100 <= (found > 0).sum() <= 300
        assert not found[:40].any()


def test_a_stretch_and_a_fold_are_made_up():
    x = np.arange(12, dtype=np.float32)[None, :, None] * COARSE
    flat = np.zeros((8, 12, 2), np.float32)
    for slope, made_up in ((-0.1, False), (-0.3, True), (-1.5, True), (0.5, False)):
        flow = flat.copy()
        flow[..., :1] = slope * x
        assert bool(_stretched(flow).all()) is made_up
        assert bool(_stretched(flow).any()) is made_up


def test_a_frame_of_another_size_says_that_all_of_it_is_resampled():
    frame = clip(None, size=(60, 80)).frame(0)
    assert frame.samples.shape == (60, 80, 3)
    assert np.unique(frame.flags).tolist() == [int(PixelFlag.RESAMPLED)]
    # Detail finer than the frame goes, so that nothing shimmers when it moves.
    assert frame.samples.astype(float).std() < 0.7 * still().astype(float).std()


def test_a_camera_that_moves_says_so():
    path = [Window(left=n, top=0, width=120, height=90) for n in range(FRAMES)]
    flags = np.zeros(SHAPE, np.uint8)
    shown = Clip(still(), flags, (90, 120), None, lambda n: path[n], count=FRAMES, rate=RATE, loops=False)
    assert not shown.frame(0).flags.any()
    assert np.unique(shown.frame(9).flags).tolist() == [MOVED]
    assert np.array_equal(shown.frame(9).samples, still()[:90, 9:129])


def test_texture_that_drifts_neither_shimmers_nor_sticks_to_the_pixels():
    picture = cv2.imread(str(OPEN / "nagasaki-boats.jpg"), cv2.IMREAD_COLOR_RGB)[400:528, 300:428]
    found = {name: shimmer(render) for name, render in ways(np.ascontiguousarray(picture)).items()}
    assert found["ours"][0] < 1.5 * found["ideal"][0]  # which is that of rounding to 8 bits
    assert found["ours"][0] < 0.6 * found["bilinear"][0]
    assert found["ours"][0] < 0.02 * found["whole pixels"][0]
    assert found["ours"][1] < 0.5 * found["bilinear"][1]


@pytest.mark.parametrize(
    ("first", "last", "least", "most"), [(2.3, 1.6, 47.0, 6.0), (3.3, 2.7, 39.0, 25.0), (1.2, 0.9, 42.0, 16.0)]
)
def test_a_zoom_is_nearly_an_ideal_one_in_every_frame(first: float, last: float, least: float, most: float):
    """Also where the factor passes whole numbers: sharpness must not jump there."""
    picture = cv2.imread(str(OPEN / "nagasaki-boats.jpg"), cv2.IMREAD_COLOR_RGB)
    worst, flicker = zoom_error(np.ascontiguousarray(picture), (160, 200), first, last, 9)
    assert worst > least
    assert flicker < most


# --- camera --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "subject", [None, Region(top=0, left=0, bottom=10, right=10), Region(top=90, left=130, bottom=120, right=160)]
)
@pytest.mark.parametrize("aspect", [1.0, 16 / 9, 9 / 16])
def test_windows_never_leave_the_picture(aspect: float, subject: Region | None):
    whole = camera.fitted(SHAPE, aspect, subject)
    near = camera.scaled(whole, 0.7, SHAPE, subject)
    for window in (
        whole,
        near,
        camera.shifted(near, 1000, SHAPE),
        *(camera.travelled(whole, near, n / 9) for n in range(10)),
    ):
        assert window.left >= -1e-9
        assert window.top >= -1e-9
        assert window.left + window.width <= 160 + 1e-6
        assert window.top + window.height <= 120 + 1e-6
        assert window.width / window.height == pytest.approx(aspect)


def test_a_zoom_is_at_rest_at_its_ends_and_does_not_drift():
    start, end = Window(left=0, top=0, width=160, height=120), Window(left=32, top=24, width=80, height=60)
    ways = [camera.travelled(start, end, n / 100) for n in range(101)]
    assert (ways[0], ways[-1].width) == (start, pytest.approx(80))
    assert abs(ways[1].width - 160) < 0.01
    # The one point that lies at the same place of both frames stays there.
    share = 32 / 80
    fixed = [window.left + share * window.width for window in ways]
    assert np.ptp(fixed) < 1e-9


# --- regions -------------------------------------------------------------------------------------------


def test_what_holds_is_taken_out_of_all_others():
    document = {
        "regions": [
            {"kind": "foliage", "polygon": [[0, 0], [159, 0], [159, 119], [0, 119]], "soft": 0},
            {"kind": "water", "stroke": [[10, 100], [150, 100]], "radius": 8, "soft": 0, "strength": 0.5},
            {"kind": "hold", "polygon": [[60, 40], [100, 40], [100, 110], [60, 110]], "soft": 4},
        ]
    }
    foliage, water = motion_regions.masks(document, SHAPE, 2.0)
    assert (foliage.spectrum.name, foliage.amplitude, water.amplitude) == ("foliage", 2.0, 1.0)
    assert not foliage.mask[42:108, 62:98].any()
    assert not water.mask[:, 62:98].any()
    assert foliage.mask[5, 5] == 255
    assert 0 < foliage.mask[70, 58] < 255
    assert water.mask[100, 20] == 255
    assert not water.mask[80].any()


def test_regions_that_touch_leave_no_line_at_rest_between_them():
    document = {
        "regions": [
            {"kind": "foliage", "polygon": [[0, 0], [160, 0], [160, 60], [0, 60]], "soft": 12},
            {"kind": "grass", "polygon": [[0, 60], [160, 60], [160, 120], [0, 120]], "soft": 12},
        ]
    }
    trees, meadow = (moving.mask.astype(int) for moving in motion_regions.masks(document, (120, 160), 1.0))
    assert (trees + meadow).min() >= 253
    assert (trees[:40].min(), meadow[80:].min()) == (255, 255)
    assert np.abs(np.diff(trees[:, 80])).max() < 30


def test_a_stronger_spectrum_needs_no_other_code():
    wild = replace(PRESETS["smoke"], exponent=0.0, along=(0.0, 1.0))
    flow = (
        SpectralMotion(SHAPE, [Moving(spectrum=wild, mask=mask(), amplitude=1)], frames=24, rate=24, seed=1).at(5).flow
    )
    assert not flow[..., 0].any()
    assert flow[..., 1].any()
