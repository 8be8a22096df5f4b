"""Layers: what is near passes over what is far, shows nothing behind it that is its own, and says what was made up."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from archive_restore.errors import UsageError
from archive_restore.imaging.camera import Window
from archive_restore.imaging.clip import Clip
from archive_restore.imaging.layers import Layered, Parallax, splat
from archive_restore.imaging.mattes import Cutout, cut_out
from archive_restore.imaging.motion_regions import NEAR, bump, near_regions
from archive_restore.ports import Still
from archive_restore.records.imagery import PixelFlag, Region
from archive_restore.steps.parallax import DEPTH, passing

SHAPE = (120, 160)
WINDOW = Window(left=20, top=15, width=120, height=90)
SIZE = (90, 120)
FRAMES = 24
DRAWN = [[60, 30], [100, 30], [100, 90], [60, 90]]
MOVED, MADE_UP, COLORIZED = (
    int(PixelFlag.MOVED), int(PixelFlag.MOVED | PixelFlag.SYNTHESIZED), int(PixelFlag.COLORIZED),
)  # fmt: skip


def scene() -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """A bright thing before a dark ground with fine texture, and where it is."""
    rng = np.random.default_rng(4)
    ground = cv2.GaussianBlur(rng.normal(70, 60, (*SHAPE, 1)).astype(np.float32), (0, 0), 1.2)
    inside = np.zeros(SHAPE, np.bool_)
    inside[30:90, 60:100] = True
    thing = 200 + cv2.GaussianBlur(rng.normal(0, 40, SHAPE).astype(np.float32), (0, 0), 1.2)
    gray = np.where(inside, thing, np.clip(ground, 30, 110))
    return np.repeat(np.rint(np.clip(gray, 0, 255)).astype(np.uint8)[..., None], 3, axis=2), inside


@pytest.fixture(scope="module")
def cutout() -> Cutout:
    still, _ = scene()
    nearness, wrong = near_regions({"regions": [{"kind": NEAR, "polygon": DRAWN, "soft": 4}]}, SHAPE)
    assert wrong == 4
    return cut_out(still, nearness, wrong, 1)


def near_planes(cutout: Cutout) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    matte = np.ascontiguousarray(cutout.near[..., 3])
    return np.where(matte > 0, np.uint8(255), np.uint8(0)), matte


def layered(cutout: Cutout, passed: float, flags: NDArray[np.uint8] | None = None) -> Layered:
    still, _ = scene()
    nearness, matte = near_planes(cutout)
    source = Parallax(nearness, lambda n: passed * n, frames=FRAMES, matte=matte)
    said = np.zeros(SHAPE, np.uint8) if flags is None else flags
    return Layered(
        Still(samples=still, flags=said), cutout, SIZE, source, None, lambda _: WINDOW, count=FRAMES, rate=24,
        loops=True,
    )  # fmt: skip


# --- lifting off ---------------------------------------------------------------------------------------


def test_the_outline_is_found_where_it_was_drawn_wrong():
    still, inside = scene()
    wrong = np.zeros(SHAPE, np.uint8)
    wrong[27:92, 63:98] = 255
    found = cut_out(still, wrong, 6, 1)
    drawn_apart = ((wrong > 0) != inside).mean()
    assert ((found.near[..., 3] > 127) != inside).mean() < 0.1 * drawn_apart


def test_nothing_near_stays_behind_and_what_is_not_made_up_is_the_still(cutout: Cutout):
    still, inside = scene()
    assert cutout.made_up[inside].all()
    assert cutout.far[inside].max() < 140
    assert np.array_equal(cutout.far[~cutout.made_up], still[~cutout.made_up])
    whole = cutout.near[..., 3] == 255
    assert whole[34:86, 64:96].all()
    assert np.array_equal(cutout.near[whole][:, :3], still[whole])
    edge = cv2.dilate(whole.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    assert cutout.near[edge][:, :3].min() > 120  # no ground shines through at the border


def test_too_little_and_too_much_are_refused():
    still, _ = scene()
    nothing, everything = np.zeros(SHAPE, np.uint8), np.full(SHAPE, 255, np.uint8)
    for plane in (nothing, everything):
        with pytest.raises(UsageError, match="near"):
            cut_out(still, plane, 2, 1)


# --- splatting -----------------------------------------------------------------------------------------


def test_a_splat_of_equal_steps_is_the_way_back_exactly():
    alpha = np.zeros((20, 30), np.float32)
    alpha[5:12, 8:20] = 1
    forward = np.full((20, 30, 2), (1.25, -0.5), np.float32)
    back, cover = splat(forward, alpha, alpha)
    assert np.allclose(back, (-1.25, 0.5), atol=1e-6)  # everywhere: no seam at the layer's border
    assert cover.sum() == pytest.approx(alpha.sum(), rel=1e-5)
    assert cover[4, 21] == pytest.approx(0.25 * 0.5)


def test_what_is_nearer_covers_what_is_farther():
    alpha, nearness = np.zeros((1, 20), np.float32), np.zeros((1, 20), np.float32)
    alpha[0, 2:12] = 1
    nearness[0, 2:6], nearness[0, 6:12] = 1, 0.3
    forward = np.zeros((1, 20, 2), np.float32)
    forward[0, 2:6, 0] = 4  # onto the farther one
    back, cover = splat(forward, nearness, alpha)
    assert np.allclose(back[0, 6:10, 0], -4, atol=1e-3)
    assert np.allclose(back[0, 10:12, 0], 0, atol=1e-3)
    assert not cover[0, 2:6].any()  # and uncovers what is behind both


# --- frames --------------------------------------------------------------------------------------------


def test_layers_move_as_they_are_told_and_all_else_keeps_its_samples(cutout: Cutout):
    still, _ = scene()
    clip = layered(cutout, 4.0)
    view = slice(15, 105), slice(20, 140)
    rest, moved = clip.frame(0), clip.frame(1)
    far = ~cutout.made_up[view]
    inner = slice(20, 70), slice(45, 75)
    # At rest what is far is the still, and says so; what is near is whole, and where it is it is.
    assert not rest.flags[far].any()
    assert np.array_equal(rest.samples[far], still[view][far])
    assert np.array_equal(rest.samples[inner], still[view][inner])
    assert not rest.flags[inner].any()
    # Whole pixels to the left: samples of what is near, somewhere else.
    assert np.array_equal(moved.samples[20:70, 41:71], still[view][20:70, 45:75])
    assert (moved.flags[20:70, 41:71] == MOVED).all()
    beyond = far.copy()
    beyond[:, 30:84] = False
    assert not moved.flags[beyond].any()
    assert np.array_equal(moved.samples[beyond], still[view][beyond])
    # What comes into sight is made up, says so, and is no ghost of what is near.
    uncovered = slice(20, 70), slice(78, 80)
    assert (moved.flags[uncovered] == MADE_UP).all()
    assert moved.samples[uncovered].max() < 150


def test_no_halo_runs_along_the_border(cutout: Cutout):
    """No pixel of the far ground is brighter, and none of the near thing darker, than they are anywhere."""
    frame = layered(cutout, 2.5).frame(3)
    alpha = np.roll(cutout.near[..., 3], -8, axis=1)[15:105, 20:140]
    outside = cv2.dilate((alpha > 0).astype(np.uint8), np.ones((5, 5), np.uint8)) == 0
    assert frame.samples[outside].max() < 150
    core = cv2.erode((alpha == 255).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    assert core.sum() > 1500
    assert frame.samples[core].min() > 130


def test_flags_of_the_still_go_with_their_layer(cutout: Cutout):
    flags = np.zeros(SHAPE, np.uint8)
    flags[50:60, 70:80] = COLORIZED
    rest, moved = (layered(cutout, 6.0, flags).frame(n) for n in (0, 1))
    assert ((rest.flags & COLORIZED) > 0)[35:45, 50:60].all()
    assert ((moved.flags & COLORIZED) > 0)[35:45, 44:54].all()
    assert not (moved.flags & COLORIZED)[:, 60:].any()


def test_frames_do_not_depend_on_their_order(cutout: Cutout):
    clip = layered(cutout, 0.7)
    forth = [clip.frame(n) for n in range(4)]
    for n in (3, 1, 2, 0):
        again = clip.frame(n)
        assert np.array_equal(again.samples, forth[n].samples)
        assert np.array_equal(again.flags, forth[n].flags)


# --- the camera ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("loops", [True, False])
@pytest.mark.parametrize("focus", [None, Region(top=0, left=0, bottom=20, right=20)])
def test_neither_layer_is_seen_beyond_the_picture(loops: bool, focus: Region | None):
    whole = Window(left=0, top=0, width=160, height=120)
    window, passed = passing(whole, 0.2, SHAPE, focus, count=FRAMES, loops=loops)
    for frame in range(FRAMES + 1 if loops else FRAMES):
        left, right = window(frame).left, window(frame).left + window(frame).width
        assert min(left, left + passed(frame)) >= -1e-9
        assert max(right, right + passed(frame)) <= 160 + 1e-9
    ways = [window(frame).left for frame in range(FRAMES)]
    assert max(ways) - min(ways) == pytest.approx(0.2 * 160, rel=0.02)
    assert max(passed(n) for n in range(FRAMES)) == pytest.approx(DEPTH * 0.1 * 160, rel=0.02)
    if loops:
        assert (window(FRAMES), passed(FRAMES)) == (window(0), passed(0))
    else:
        assert abs(ways[1] - ways[0]) < 0.05
        assert abs(ways[-1] - ways[-2]) < 0.05


def test_a_soft_place_bends_the_still_and_makes_nothing_up():
    still, _ = scene()
    nearness = bump(Region(top=50, left=70, bottom=70, right=90), SHAPE, 9 * 3.0)
    source = Parallax(nearness, lambda n: 3 * math.sin(2 * math.pi * n / FRAMES), frames=FRAMES)
    clip = Clip(still, np.zeros(SHAPE, np.uint8), SHAPE, source, lambda _: Window(left=0, top=0, width=160, height=120),
                count=FRAMES, rate=24, loops=True)  # fmt: skip
    frame = clip.frame(6)
    assert np.array_equal(frame.samples[55:65, 72:84], still[55:65, 75:87])
    assert np.unique(frame.flags).tolist() == [0, MOVED]
    assert np.array_equal(frame.samples[:10], still[:10])
