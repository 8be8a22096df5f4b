"""Rebuilding what is hidden of a face: only there, from the other half, and refused where that says nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from archive_restore.errors import UsageError
from archive_restore.imaging import face_rebuild
from archive_restore.imaging.complete import pasted
from archive_restore.imaging.face_features import eye_distance
from archive_restore.imaging.face_rebuild import Rebuilt, find_hidden_faces, rebuild, smoothed_over
from archive_restore.imaging.faces import Eye, Face, FaceNetworks, find_faces

ROOT = Path(__file__).parents[2]
Mask = NDArray[np.bool_]
Bytes = NDArray[np.uint8]


@pytest.fixture(scope="module")
def portrait() -> Bytes:
    small = cv2.cvtColor(cv2.imread(str(ROOT / "tests/photographs/faces/astronaut.jpg")), cv2.COLOR_BGR2RGB)
    return np.asarray(cv2.resize(small[40:220, 70:250], None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC))


@pytest.fixture(scope="module")
def face(portrait: Bytes, networks: FaceNetworks) -> Face:
    return find_faces(portrait, networks)[0]


def blob(face: Face, points: tuple[int, ...], across: float, down: float, shape: tuple[int, ...]) -> Mask:
    """An ellipse around points of the mesh, in distances of the eyes."""
    mesh = np.array(face.mesh)[:, :2]
    scale = eye_distance(mesh)
    x, y = mesh[list(points)].mean(axis=0)
    canvas = np.zeros(shape[:2], np.uint8)
    cv2.ellipse(canvas, ((x, y), (2 * across * scale, 2 * down * scale), 0), 1, -1)
    return canvas > 0


LEFT_EYE, RIGHT_EYE = (362, 263), (33, 133)
LEFT_MOUTH, LEFT_CHEEK = (291, 291, 13, 14), (280, 425)


def broken(portrait: Bytes, mask: Mask) -> Bytes:
    hurt = portrait.copy()
    hurt[mask] = 235
    return hurt


def laid(samples: NDArray[Any], made: Rebuilt) -> NDArray[Any]:
    return pasted(samples, made.patches, np.zeros)


def likeness(one: Bytes, other: Bytes, where: Mask) -> float:
    """Correlation of what is neither grain nor light."""
    both = np.stack([one, other]).mean(axis=3).transpose(1, 2, 0)
    fine, coarse = (cv2.GaussianBlur(both, (0, 0), sigma) for sigma in (3, 20))
    return float(np.corrcoef((fine - coarse)[where].T)[0, 1])


@pytest.mark.parametrize(
    ("points", "across", "down", "expected", "like"),
    [
        (LEFT_EYE, 0.36, 0.25, "left eye", 0.6),
        (RIGHT_EYE, 0.36, 0.25, "right eye", 0.45),
        (LEFT_MOUTH, 0.33, 0.28, "mouth, left half", 0.6),
        (LEFT_CHEEK, 0.35, 0.35, "left cheek", 0.4),
    ],
)
def test_a_hidden_part_comes_from_the_other_half(
    portrait: Bytes, face: Face, networks: FaceNetworks,
    points: tuple[int, ...], across: float, down: float, expected: str, like: float,
) -> None:  # fmt: skip
    mask = blob(face, points, across, down, portrait.shape)
    hurt = broken(portrait, mask)
    found = find_hidden_faces(hurt, mask, networks)
    made = rebuild(hurt, mask, found)
    out, done = laid(hurt, made), made.done(*mask.shape)
    assert expected in {part.name for part in made.parts}
    assert done.sum() > 0.9 * mask.sum()
    assert not (done & ~mask).any()
    assert np.array_equal(out[~done], hurt[~done])
    assert sum(part.pixels for part in made.parts) == done.sum()
    assert likeness(out, portrait, done) > like
    seen = np.array(find_faces(out, networks)[0].mesh)[:, :2]
    away = np.linalg.norm(seen - np.array(face.mesh)[:, :2], axis=1)
    assert away.mean() < 0.05 * eye_distance(seen)
    for part in made.parts:
        box = part.region
        inside = done[box.top : box.bottom, box.left : box.right]
        assert 0 < part.pixels <= inside.sum()


def test_the_face_behind_a_hole_is_drawn_where_it_is(portrait: Bytes, face: Face, networks: FaceNetworks) -> None:
    mask = blob(face, RIGHT_EYE, 0.36, 0.25, portrait.shape)
    hurt = broken(portrait, mask)
    true, hidden = np.array(face.mesh)[:, :2], [33, 133, 159, 145, 70, 55]

    def away(found: tuple[Face, ...]) -> float:
        return float(np.linalg.norm((np.array(found[0].mesh)[:, :2] - true)[hidden], axis=1).mean())

    looked_through = smoothed_over(hurt.astype(np.float32) / 255, mask)
    behind = away(find_hidden_faces(hurt, mask, networks))
    assert behind < 0.8 * away(find_faces(looked_through, networks))
    assert behind < 0.11 * eye_distance(true)


@pytest.mark.parametrize("kind", ["gray", "uint16", "float32", "inverted", "with infrared"])
def test_every_kind_of_samples(portrait: Bytes, face: Face, kind: str) -> None:
    mask = blob(face, LEFT_EYE, 0.36, 0.25, portrait.shape)
    hurt = broken(portrait, mask)
    plain = laid(hurt, rebuild(hurt, mask, [face])).astype(np.float32)
    options: dict[str, Any] = {}
    if kind == "gray":
        samples = np.round(hurt.astype(np.float32).mean(axis=2, keepdims=True)).astype(np.uint8)
        plain = plain.mean(axis=2, keepdims=True)
    elif kind == "uint16":
        samples = hurt.astype(np.uint16) * 257
    elif kind == "float32":
        samples, options = hurt.astype(np.float32) / 255 * 2, {"white": 2.0}
    elif kind == "inverted":
        samples = 255 - np.round(hurt.astype(np.float32).mean(axis=2, keepdims=True)).astype(np.uint8)
        options, plain = {"inverted": True}, plain.mean(axis=2, keepdims=True)
    else:
        samples, options = np.dstack([hurt, hurt[..., :1]]), {"picture": (0, 1, 2)}
    made = rebuild(samples, mask, [face], **options)
    out, done = laid(samples, made), made.done(*mask.shape)
    assert out.dtype == samples.dtype
    assert np.array_equal(out[~done], samples[~done])
    light = out.astype(np.float32)
    if kind == "with infrared":
        assert np.array_equal(out[..., 3], samples[..., 3])
        light = light[..., :3]
    scaled = {"uint16": light / 257, "float32": light / 2 * 255, "inverted": 255 - light}.get(kind, light)
    assert np.abs(scaled - plain)[done].mean() < (3 if kind in ("gray", "inverted") else 0.6)


def test_the_same_comes_out_again_and_nothing_that_came_in_changes(portrait: Bytes, face: Face) -> None:
    mask = blob(face, LEFT_EYE, 0.36, 0.25, portrait.shape)
    hurt = broken(portrait, mask)
    kept = hurt.copy()
    first, second = (laid(hurt, rebuild(hurt, mask, [face])) for _ in range(2))
    assert np.array_equal(first, second)
    assert np.array_equal(hurt, kept)
    # What lies under the mask does not show.
    other = hurt.copy()
    other[mask] = 7
    assert np.array_equal(laid(other, rebuild(other, mask, [face]))[mask], first[mask])


def test_an_eye_looks_to_the_same_side_not_to_the_other(portrait: Bytes, face: Face) -> None:
    mask = blob(face, LEFT_EYE, 0.36, 0.25, portrait.shape)
    hurt = broken(portrait, mask)
    mesh = np.array(face.mesh)[:, :2]
    corners = mesh[[362, 263]]

    def darkest(shift: float) -> float:
        """Where the pupil of the rebuilt eye lies when the other one is said to look to a side."""
        eye = face.right_eye
        moved = replace(eye, iris=tuple((x + shift, y, z) for x, y, z in eye.iris))
        out = laid(hurt, rebuild(hurt, mask, [replace(face, right_eye=moved)])).astype(np.float32).mean(axis=2)
        (left, top), (right, bottom) = corners.min(axis=0) - 3, corners.max(axis=0) + 3
        part = cv2.GaussianBlur(out, (0, 0), 3)[int(top) : int(bottom) + 1, int(left) : int(right)]
        return float(np.unravel_index(part.argmin(), part.shape)[1])

    # The pupil lies further left in the picture than the iris is said to: seen from there, it is copied so.
    assert darkest(0) == pytest.approx(darkest(1), abs=3)
    width = np.linalg.norm(corners[1] - corners[0])
    iris = np.array(face.right_eye.iris)[0, :2]
    own = mesh[[33, 133]]
    share = ((iris - own[0]) @ (own[1] - own[0])) / ((own[1] - own[0]) @ (own[1] - own[0]))
    assert darkest(0) - 3 == pytest.approx(share * width, abs=0.15 * width)


def reasons(made: Rebuilt) -> dict[str, str]:
    return {part.name: part.reason for part in made.refused}


def test_both_halves_hidden(portrait: Bytes, face: Face) -> None:
    both = blob(face, LEFT_EYE, 0.36, 0.25, portrait.shape) | blob(face, RIGHT_EYE, 0.36, 0.25, portrait.shape)
    made = rebuild(broken(portrait, both), both, [face])
    assert "left eye" in reasons(made) and "right eye" in reasons(made)
    assert not {"left eye", "right eye"} & {part.name for part in made.parts}
    refused = next(part for part in made.refused if part.name == "left eye")
    assert refused.pixels == refused.mask.sum() > 100
    whole = blob(face, (13, 14), 0.6, 0.3, portrait.shape)
    assert "mouth, left half" in reasons(rebuild(broken(portrait, whole), whole, [face]))


def test_a_closed_eye_says_nothing_of_the_other(portrait: Bytes, face: Face) -> None:
    eye = face.right_eye
    shut: Eye = replace(eye, upper=tuple((x, eye.lower[k + 1][1], z) for k, (x, _, z) in enumerate(eye.upper)))
    assert shut.opening < 0.15
    mask = blob(face, LEFT_EYE, 0.36, 0.25, portrait.shape)
    made = rebuild(broken(portrait, mask), mask, [replace(face, right_eye=shut)])
    assert "closed" in reasons(made)["left eye"]
    assert "left cheek" in {part.name for part in made.parts}


def test_turned_small_and_mostly_hidden_faces(portrait: Bytes, face: Face) -> None:
    mask = blob(face, LEFT_EYE, 0.36, 0.25, portrait.shape)
    hurt = broken(portrait, mask)
    mesh = np.array(face.mesh)
    turned = replace(face, mesh=tuple((float(x), float(y), float(z + 0.7 * x)) for x, y, z in mesh))
    made = rebuild(hurt, mask, [turned])
    assert not made.patches
    assert all("turned by" in reason for reason in reasons(made).values())
    small = replace(face, mesh=tuple((float(x) / 4, float(y) / 4, float(z) / 4) for x, y, z in mesh))
    there = np.zeros_like(mask)
    there[40:50, 50:60] = True
    assert all("pixels wide" in reason for reason in reasons(rebuild(hurt, there, [small])).values())
    most = blob(face, (1,), 1.2, 1.2, portrait.shape)
    made = rebuild(broken(portrait, most), most, [face])
    assert not made.patches
    assert all("is hidden, too much" in reason for reason in reasons(made).values())


def test_a_half_that_shows_something_else_is_not_copied(portrait: Bytes, face: Face) -> None:
    mask = blob(face, LEFT_CHEEK, 0.3, 0.3, portrait.shape)
    striped = portrait.copy()
    y = np.arange(portrait.shape[0])[:, None, None]
    right = blob(face, (50, 205), 0.7, 0.7, portrait.shape)[..., None]
    striped = np.where(right, (128 + 100 * np.sin(y / 4)).astype(np.uint8), striped)
    made = rebuild(broken(striped, mask), mask, [face])
    assert "does not look like" in reasons(made)["left cheek"]


def test_a_half_that_is_turned_away_is_not_drawn_out(portrait: Bytes, face: Face) -> None:
    narrow = np.array(face.mesh)
    middle = narrow[168, 0]
    right = narrow[:, 0] < middle
    narrow[right, 0] = middle - (middle - narrow[right, 0]) / 2
    turned = replace(face, mesh=tuple(map(tuple, narrow.tolist())))
    for points, name, refused in ((LEFT_CHEEK, "left cheek", True), ((50, 205), "right cheek", False)):
        mask = blob(turned, points, 0.2, 0.2, portrait.shape)
        told = reasons(rebuild(broken(portrait, mask), mask, [turned])).get(name, "")
        assert ("too narrow" in told) == refused


def test_what_is_not_of_a_face_is_left_to_others(portrait: Bytes, face: Face) -> None:
    mask = np.zeros(portrait.shape[:2], np.bool_)
    mask[-20:, :30] = True
    made = rebuild(broken(portrait, mask), mask, [face])
    assert made == Rebuilt(patches=(), parts=(), refused=())
    assert rebuild(portrait, np.zeros_like(mask), [face]).patches == ()
    assert rebuild(broken(portrait, mask), mask, []).patches == ()


def test_large_pictures_are_looked_at_smaller(
    portrait: Bytes, face: Face, networks: FaceNetworks, monkeypatch: pytest.MonkeyPatch
) -> None:
    mask = blob(face, LEFT_CHEEK, 0.2, 0.2, portrait.shape)
    monkeypatch.setattr(face_rebuild, "EDGE", 180)
    found = find_hidden_faces(broken(portrait, mask), mask, networks)[0]
    away = np.linalg.norm((np.array(found.mesh) - np.array(face.mesh))[:, :2], axis=1)
    assert away.mean() < 0.06 * eye_distance(np.array(face.mesh)[:, :2])


def test_pictures_and_masks_that_do_not_fit(portrait: Bytes, face: Face) -> None:
    mask = np.zeros(portrait.shape[:2], np.bool_)
    with pytest.raises(UsageError, match="do not fit together"):
        rebuild(portrait, mask[1:], [face])
    with pytest.raises(UsageError, match="no picture"):
        rebuild(portrait, mask, [face], picture=(0, 1))
