"""Mirror partners of the mesh, and the parts of a face."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from archive_restore.imaging.face_features import OUTLINES, eye_distance
from archive_restore.imaging.face_symmetry import MIDDLE, MIRROR, Points, mirrored, parts, turned
from archive_restore.imaging.faces import FaceNetworks, find_faces

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def meshes(networks: FaceNetworks) -> tuple[Points, Points]:
    """Of the portrait, and of its mirror picture, mirrored back."""
    portrait = cv2.cvtColor(cv2.imread(str(ROOT / "tests/photographs/faces/astronaut.jpg")), cv2.COLOR_BGR2RGB)
    found = [np.array(find_faces(p, networks)[0].mesh) for p in (portrait, np.ascontiguousarray(portrait[:, ::-1]))]
    found[1][:, 0] = portrait.shape[1] - found[1][:, 0]
    return found[0], found[1]


def test_partners_are_pairs_and_the_middle_stays() -> None:
    assert sorted(MIRROR) == list(range(468))
    assert all(MIRROR[MIRROR[i]] == i for i in range(468))
    assert sorted(MIDDLE) == [i for i in range(468) if MIRROR[i] == i]


def test_partners_are_those_that_mediapipe_names() -> None:
    # Corners of the eyes, ends of brows and lips, wings of the nose, from its lists of contours.
    for right, left in ((33, 263), (133, 362), (70, 300), (55, 285), (61, 291), (78, 308), (48, 278), (234, 454)):
        assert MIRROR[right] == left
    for name in ("brow", "eye"):
        assert {MIRROR[i] for i in OUTLINES[f"right {name}"]} == set(OUTLINES[f"left {name}"])
    assert {MIRROR[i] for i in OUTLINES["lips"]} == set(OUTLINES["lips"])


def test_partners_are_those_that_the_network_draws(meshes: tuple[Points, Points]) -> None:
    mesh, other = meshes
    away = np.linalg.norm((mesh - other[list(MIRROR)])[:, :2], axis=1) / eye_distance(mesh[:, :2])
    assert away.mean() < 0.05
    assert away.max() < 0.12
    unmatched = np.linalg.norm((mesh - other)[:, :2], axis=1) / eye_distance(mesh[:, :2])
    assert unmatched.mean() > 0.5


def symmetric(turn: float) -> Points:
    """A mesh without an asymmetry, seen turned by degrees."""
    rng = np.random.default_rng(3)
    mesh = rng.uniform(-100, 100, (468, 3))
    mesh[:, 0] = np.abs(mesh[:, 0])
    mesh[[33, 133]] = (60, -20, 30), (20, -20, 10)
    for i, partner in enumerate(MIRROR):
        if i == partner:
            mesh[i, 0] = 0
        elif i < partner:
            mesh[partner] = mesh[i] * (-1, 1, 1)
    mesh[:, 0] *= -1  # the person's right is at the left
    angle = np.radians(turn)
    rotation = np.array([[np.cos(angle), 0, -np.sin(angle)], [0, 1, 0], [np.sin(angle), 0, np.cos(angle)]])
    return np.asarray(mesh @ rotation.T + (300, 200, 0))


@pytest.mark.parametrize("turn", [0, 17, -20])
def test_hidden_points_lie_where_their_partners_say(turn: float) -> None:
    mesh = symmetric(turn)
    assert turned(mesh) == pytest.approx(turn)
    seen = np.full(468, True)
    seen[list(OUTLINES["left eye"])] = False
    guessed = mesh.copy()
    guessed[~seen] += (25, -15, 8)
    found = mirrored(guessed, seen)
    assert np.abs(found - mesh)[~seen, :2].max() < 0.5


def test_what_is_askew_nearby_is_askew_alike() -> None:
    mesh = symmetric(0)
    left = [i for i in range(468) if mesh[i, 0] > 300]
    mesh[left, 1] += 6
    seen = np.full(468, True)
    seen[263] = False
    assert mirrored(mesh, seen)[263, 1] == pytest.approx(mesh[263, 1], abs=1.5)


def test_parts_share_no_pixel_and_cover_the_face(meshes: tuple[Points, Points]) -> None:
    mesh = meshes[0][:, :2]
    found = {part.name: part.mask for part in parts(mesh, 352, 352)}
    assert len(found) == 14
    assert np.sum(list(found.values()), axis=0).max() == 1
    seen = {
        "right eye": (140, 101), "left eye": (183, 103), "right brow": (131, 90), "left brow": (192, 92),
        "nose, right half": (157, 125), "nose, left half": (168, 125), "mouth, right half": (152, 148),
        "mouth, left half": (172, 148), "right cheek": (130, 125), "left cheek": (195, 127),
        "forehead, right half": (145, 83), "chin, left half": (172, 165),
    }  # fmt: skip
    for name, (x, y) in seen.items():
        assert [other for other, mask in found.items() if mask[y, x]] == [name]
    assert not any(mask[20, 20] for mask in found.values())
