"""Blinks and breath: lids that move as far as they may, when they may, and pixels that say so."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from archive_restore.imaging.blink import (
    CHOICE,
    LARGEST_CLOSURE,
    LARGEST_TURN,
    Blinks,
    chosen,
    closures,
    numbered,
    refused,
)
from archive_restore.imaging.breathe import BREATH, Breathing
from archive_restore.imaging.camera import Window
from archive_restore.imaging.clip import LEAST, Clip
from archive_restore.imaging.eyelids import Lid
from archive_restore.imaging.faces import Eye, Face, FaceNetworks, Point, find_faces
from archive_restore.imaging.glasses import LEAST as FRAME
from archive_restore.imaging.glasses import frame_strength
from archive_restore.imaging.motion import REST, Together
from archive_restore.records.imagery import PixelFlag
from tests.imaging.test_faces import network, read

PORTRAIT = Path(__file__).parents[1] / "photographs" / "faces" / "astronaut.jpg"
MOVED, MADE_UP = int(PixelFlag.MOVED), int(PixelFlag.MOVED | PixelFlag.SYNTHESIZED)
FRAMES, RATE = 96, 24


@pytest.fixture(scope="module")
def portrait() -> NDArray[np.uint8]:
    return read(PORTRAIT)


@pytest.fixture(scope="module")
def face(portrait: NDArray[np.uint8]) -> Face:
    networks = FaceNetworks(detector=network("face-detector"), mesh=network("face-mesh"), iris=network("face-iris"))
    (found,) = find_faces(portrait, networks)
    return found


def clear(still: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.zeros(still.shape[:2], np.uint8)


def each_point(face: Face, change: Callable[[Point], Point]) -> Face:
    """A face with all of its points changed."""

    def eye(old: Eye) -> Eye:
        return Eye(**{part: tuple(change(p) for p in getattr(old, part)) for part in ("lower", "upper", "iris")})

    (left, top, _), (right, bottom, _) = change((*face.box[:2], 0.0)), change((*face.box[2:], 0.0))
    return replace(
        face, box=(left, top, right, bottom), mesh=tuple(change(p) for p in face.mesh), right_eye=eye(face.right_eye),
        left_eye=eye(face.left_eye),
    )  # fmt: skip


def narrowed(eye: Eye, share: float) -> Eye:
    """An eye whose upper lid lies on its lower one but for a share of the way."""
    middle = np.linspace(1, 7, 7).round().astype(int)
    below = [eye.lower[k] for k in middle]
    upper = tuple(
        tuple(b + (a - b) * share for a, b in zip(up, low, strict=True))
        for up, low in zip(eye.upper, below, strict=True)
    )
    return replace(eye, upper=upper)  # type: ignore[arg-type]


def luma_at(picture: NDArray[np.uint8], x: float, y: float) -> float:
    return float(picture[round(y - 0.5), round(x - 0.5)].mean())


# --- when --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [24, 25, 30])
@pytest.mark.parametrize("frames", [24, 48, 288, 1800])
def test_a_blink_closes_in_three_frames_opens_in_four_and_leaves_both_ends_open(frames: int, rate: int):
    closing, opening = (3, 4) if rate < 30 else (4, 5)
    for seed in range(12):
        course = closures(frames, rate, seed, 1)
        assert course[0] == course[-1] == 0
        assert 0.85 <= course.max() <= 1
        shut = course > 0
        begins = np.flatnonzero(shut[1:] & ~shut[:-1]) + 1
        assert len(begins) >= 1
        for begin in begins:
            one = course[begin : begin + closing + opening]
            assert (np.diff(one[:closing]) > 0).all()
            assert (np.diff(one[closing - 1 :]) < 0).all()
            assert one[-1] == 0
            assert begin + len(one) <= frames - 1


def test_pauses_are_irregular_and_nobody_blinks_with_a_neighbour():
    courses = [closures(60 * 24, 24, seed, 1) for seed in range(20)]
    pauses = np.concatenate([np.diff(np.flatnonzero((c[1:] > 0) & (c[:-1] == 0))) / 24 for c in courses])
    assert 2.5 < np.median(pauses) < 5
    assert 1.4 < pauses.min() < 2.5
    assert 6 < pauses.max() < 8.5
    assert np.array_equal(closures(288, 24, 5, 1), closures(288, 24, 5, 1))
    assert not np.array_equal(closures(288, 24, 5, 1), closures(288, 24, 5, 2))
    assert not np.array_equal(closures(288, 24, 5, 1), closures(288, 24, 6, 1))
    assert not closures(8, 24, 5, 1).any()


@pytest.mark.parametrize(
    ("choice", "count", "eyes"),
    [
        ("both", 2, {1: ("right", "left"), 2: ("right", "left")}),
        ("left", 1, {1: ("left",)}),
        ("2:right", 3, {2: ("right",)}),
        ("1:none,both", 2, {2: ("right", "left")}),
        ("left,2:both", 2, {1: ("left",), 2: ("right", "left")}),
        ("", 2, {}),
    ],
)
def test_each_eye_is_chosen(choice: str, count: int, eyes: dict[int, tuple[str, ...]]):
    assert chosen(choice, count) == eyes


@pytest.mark.parametrize("choice", ["3:both", "wink", "0:left", "left,", "1:2:left"])
def test_eyes_that_are_none(choice: str):
    with pytest.raises(ValueError, match=r"names no eyes|there is no face"):
        chosen(choice, 2)


def test_the_pattern_of_the_parameter_takes_what_is_understood():
    import re

    assert all(re.search(CHOICE, word) for word in ("", "both", "1:left,3:both", "left,2:none"))
    assert not any(re.search(CHOICE, word) for word in ("wink", "left,", "0:left", "100:left", "both;"))


def test_faces_are_numbered_from_the_left(face: Face):
    other = each_point(face, lambda p: (p[0] - 90, p[1] + 20, p[2]))
    assert numbered([face, other]) == (other, face)


# --- how ---------------------------------------------------------------------------------------------


def test_the_lid_comes_down_over_the_iris_and_what_is_around_stays(portrait: NDArray[np.uint8], face: Face):
    for side, eye in (("right", face.right_eye), ("left", face.left_eye)):
        lid = Lid.of(portrait, clear(portrait), face, side)
        patch = lid.closed(LARGEST_CLOSURE)
        shown = portrait.copy()
        rows, columns = patch.flags.shape
        part = slice(patch.top, patch.top + rows), slice(patch.left, patch.left + columns)
        shown[part] = patch.samples
        changed = (patch.samples != portrait[part]).any(axis=2)
        assert not (changed & (patch.flags == 0)).any()
        # The upper white of the eye and the light in it are gone, the cheek and the brow are where they were.
        x, y = eye.iris[0][:2]
        top = min(point[1] for point in eye.upper)
        assert luma_at(shown, x, y) != luma_at(portrait, x, y)
        low = max(point[1] for point in eye.lower)
        assert not changed[math.ceil(low + 0.1 * eye.width) - patch.top :].any()
        assert not changed[: math.floor(top - 0.6 * eye.width) - patch.top].any()
        made_up = patch.flags == MADE_UP
        assert made_up[round(y) - patch.top, round(x) - patch.left]
        assert (patch.flags == MOVED).any()
        assert set(np.unique(patch.flags)) == {0, MOVED, MADE_UP}


def test_a_lid_that_hardly_moves_changes_nothing_and_more_closure_covers_more(portrait: NDArray[np.uint8], face: Face):
    lid = Lid.of(portrait, clear(portrait), face, "right")
    assert not lid.closed(1e-4).flags.any()
    covered = [int((lid.closed(c).flags == MADE_UP).sum()) for c in (0.1, 0.3, 0.5)]
    assert covered == sorted(set(covered))


def test_a_lid_turns_with_the_head(portrait: NDArray[np.uint8], face: Face):
    turned = np.ascontiguousarray(portrait[::-1, ::-1])
    height, width = portrait.shape[:2]
    upside = each_point(face, lambda p: (width - p[0], height - p[1], p[2]))
    one = Lid.of(portrait, clear(portrait), face, "right").closed(0.5)
    other = Lid.of(turned, clear(turned), upside, "right").closed(0.5)
    canvas = portrait.copy()
    canvas[one.top : one.top + one.flags.shape[0], one.left : one.left + one.flags.shape[1]] = one.samples
    again = turned.copy()
    again[other.top : other.top + other.flags.shape[0], other.left : other.left + other.flags.shape[1]] = other.samples
    assert np.abs(canvas.astype(int) - again[::-1, ::-1]).mean() < 0.05
    assert np.abs(canvas.astype(int) - portrait).max() > 40


def test_flags_of_the_still_are_kept_and_carried(portrait: NDArray[np.uint8], face: Face):
    flags = np.full(portrait.shape[:2], PixelFlag.COLORIZED, np.uint8)
    patch = Lid.of(portrait, flags, face, "left").closed(0.5)
    assert (patch.flags & np.uint8(PixelFlag.COLORIZED)).all()
    assert (patch.flags & np.uint8(MOVED)).any()


def test_frames_of_a_clip_blink_and_close_the_loop(portrait: NDArray[np.uint8], face: Face):
    flags = clear(portrait)
    rows, columns = flags.shape

    def clip(seed: int = 3) -> Clip:
        blinks = Blinks(portrait, flags, [(1, "right", face)], 0.5, frames=FRAMES, rate=RATE, seed=seed)
        whole = Window(left=0, top=0, width=columns, height=rows)
        return Clip(
            portrait, flags, (rows, columns), None, lambda _: whole, count=FRAMES, rate=RATE, loops=True,
            over=blinks.patches,
        )  # fmt: skip

    one, other = clip(), clip()
    frames = [one.frame(n) for n in range(FRAMES + 1)]
    shut = [n for n, frame in enumerate(frames) if frame.flags.any()]
    assert 4 <= len(shut) < FRAMES / 2
    assert np.array_equal(frames[FRAMES].samples, frames[0].samples)
    for n in range(FRAMES):
        untouched = frames[n].flags == 0
        assert np.array_equal(frames[n].samples[untouched], portrait[untouched])
    for n in reversed(shut):
        again = other.frame(n)
        assert np.array_equal(again.samples, frames[n].samples)
        assert np.array_equal(again.flags, frames[n].flags)
    changed = clip(seed=4)
    assert [n for n in range(FRAMES) if changed.frame(n).flags.any()] != shut
    # Only the eye that was chosen: the left one lies in the right half.
    assert not np.stack([frames[n].flags for n in shut])[:, :, round(face.left_eye.lower[-1][0]) :].any()


@pytest.mark.parametrize("scale", [0.6, 1.7, 2.5])
def test_where_a_scaled_frame_differs_its_map_says_so(portrait: NDArray[np.uint8], face: Face, scale: float):
    flags = clear(portrait)
    window = Window(left=90, top=60, width=scale * 100, height=scale * 100)
    blinks = Blinks(portrait, flags, [(1, "right", face), (1, "left", face)], 0.6, frames=FRAMES, rate=RATE, seed=3)
    clip = Clip(
        portrait, flags, (100, 100), None, lambda _: window, count=FRAMES, rate=RATE, loops=True, over=blinks.patches
    )
    open_eyes, fullest = clip.frame(0), clip.frame(blinks.begun[1][0] + 2)
    differs = (open_eyes.samples != fullest.samples).any(axis=2)
    assert differs.any()
    assert ((fullest.flags[differs] & MOVED) > 0).all()


# --- who not -----------------------------------------------------------------------------------------


def test_a_face_that_looks_into_the_camera_is_not_refused(portrait: NDArray[np.uint8], face: Face):
    assert refused(portrait, face, 1, ("right", "left")) == []


def test_profiles_closed_tiny_and_cut_eyes_are_refused_each_with_its_reason(portrait: NDArray[np.uint8], face: Face):
    def reasons(changed: Face, still: NDArray[np.uint8] = portrait) -> list[str]:
        return [str(one) for one in refused(still, changed, 2, ("right", "left"))]

    lean = math.tan(math.radians(LARGEST_TURN + 4))
    turned = each_point(face, lambda p: (p[0], p[1], p[2] + lean * p[0]))
    (said,) = reasons(turned)
    assert said.startswith("face 2 does not blink: the head is turned by 2")
    (said,) = reasons(replace(face, left_eye=narrowed(face.left_eye, 0.2)))
    assert said == "the left eye of face 2 does not blink: it is closed or lowered"
    small = cv2.resize(portrait, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    said = " ".join(reasons(each_point(face, lambda p: (p[0] / 2, p[1] / 2, p[2] / 2)), small))
    assert said.count("pixels wide, less than 16") == 2
    cut = each_point(face, lambda p: (p[0] - 140, p[1], p[2]))
    (said,) = reasons(cut, np.ascontiguousarray(portrait[:, 140:]))
    assert said == "the right eye of face 2 does not blink: it is cut off by the edge of the picture"


@pytest.mark.parametrize("thickness", [0.04, 0.14])
def test_glasses_are_seen_where_their_frame_stands_out(portrait: NDArray[np.uint8], face: Face, thickness: float):
    drawn = portrait.copy()
    size = (face.right_eye.width + face.left_eye.width) / 2
    middles = [np.mean([p[:2] for p in eye.contour], axis=0) for eye in (face.right_eye, face.left_eye)]
    thick = max(1, round(thickness * size))
    for x, y in middles:
        place, axes = (round(x * 16), round((y + 0.1 * size) * 16)), (round(12.8 * size), round(9.6 * size))
        cv2.ellipse(drawn, place, axes, 0, 0, 360, (60, 50, 45), thick, cv2.LINE_AA, 4)
    ends = [(middles[0] + [0.75 * size, -0.1 * size]), (middles[1] - [0.75 * size, 0.1 * size])]
    cv2.line(drawn, *(tuple(np.rint(e * 16).astype(int).tolist()) for e in ends), (60, 50, 45), thick, cv2.LINE_AA, 4)
    assert frame_strength(portrait, face) < FRAME / 2
    assert frame_strength(drawn, face) > FRAME
    (said,) = refused(drawn, face, 1, ("right", "left"))
    assert "glasses" in said.reason


# --- breath ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loops", [True, False])
def test_breath_stays_below_its_amplitude_and_ends_where_it_began(face: Face, loops: bool):
    breath = Breathing((352, 352), [face], 0.8, frames=FRAMES, rate=RATE, seed=1, loops=loops)
    flows = np.stack([breath.at(n).flow for n in range(FRAMES)])
    assert not flows[0].any()
    assert np.array_equal(breath.at(FRAMES).flow, flows[0]) == loops
    assert np.array_equal(flows[-1], flows[0]) != loops
    reach = np.hypot(flows[..., 0], flows[..., 1])
    assert 0.3 < reach.max() <= 0.8
    # The corners of the picture rest, and no pixel jumps from one frame to the next.
    assert reach[:, :4, :4].max() < LEAST
    assert np.abs(np.diff(flows, axis=0)).max() < 0.06
    again = Breathing((352, 352), [face], 0.8, frames=FRAMES, rate=RATE, seed=1, loops=loops)
    assert np.array_equal(again.at(40).flow, flows[40])


def test_a_head_breathes_as_a_whole_and_sources_add_up(face: Face):
    breath = Breathing((352, 352), [face], 0.8, frames=FRAMES, rate=RATE, seed=1, loops=True)
    flow = breath.at(50).flow
    assert np.abs(flow).max() > 0.1
    mouth, eyes = ((int(y / 4), int(x / 4)) for x, y in (face.points[3], face.right_eye.iris[0][:2]))
    assert np.abs(flow[mouth] - flow[eyes]).max() < 0.15 * np.abs(flow[eyes]).max()
    both = Together([breath, Breathing((352, 352), [face], 0.4, frames=FRAMES, rate=RATE, seed=1, loops=True)])
    assert (both.frames, both.kinds) == (FRAMES, (REST, BREATH))
    assert np.allclose(both.at(50).flow, 1.5 * flow, atol=1e-6)
