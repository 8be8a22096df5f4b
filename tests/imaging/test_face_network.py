"""A face-restoration model through the door, and what it does to who is seen."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from archive_restore.errors import ModelUnusable
from archive_restore.imaging.complete import pasted
from archive_restore.imaging.face_features import eye_distance
from archive_restore.imaging.face_frames import moved
from archive_restore.imaging.face_network import DRIFT, EDGE, TEMPLATE, drift_warning, identity_drift, restore_faces
from archive_restore.imaging.faces import Face, FaceNetworks, find_faces

ROOT = Path(__file__).parents[2]
Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]


@pytest.fixture(scope="module")
def portrait() -> Bytes:
    return np.asarray(cv2.cvtColor(cv2.imread(str(ROOT / "tests/photographs/faces/astronaut.jpg")), cv2.COLOR_BGR2RGB))


@pytest.fixture(scope="module")
def face(portrait: Bytes, networks: FaceNetworks) -> Face:
    return find_faces(portrait, networks)[0]


def unchanged(planes: Floats) -> Floats:
    return planes


def widened(planes: Floats) -> Floats:
    """A nose and a mouth far wider than they are."""
    y, x = np.mgrid[0:EDGE, 0:EDGE].astype(np.float32)
    near = np.exp(-((x - 256) ** 2 + (y - 300) ** 2) / (2 * 90**2))
    across = (x - (x - 256) * near * 0.5).astype(np.float32)
    bent = cv2.remap(planes[0].transpose(1, 2, 0), across, y, cv2.INTER_LINEAR)
    return np.ascontiguousarray(bent.transpose(2, 0, 1)[None])


def test_a_face_has_not_drifted_from_itself(face: Face) -> None:
    assert identity_drift([face], [face]) == pytest.approx(0, abs=1e-9)
    assert identity_drift([], [face]) == 0
    # Moved, turned and scaled, it is still the same.
    angle, mesh = 0.1, np.array(face.mesh)
    turn = 1.08 * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    middle = mesh[:, :2].mean(axis=0)
    points = (mesh[:, :2] - middle) @ turn.T + middle + 5
    again = replace(face, mesh=tuple((float(x), float(y), 0.0) for x, y in points))
    assert identity_drift([face], [again]) == pytest.approx(0, abs=1e-9)
    mirrored = replace(face, mesh=tuple((2 * float(middle[0]) - x, y, z) for x, y, z in face.mesh))
    assert identity_drift([face], [mirrored]) > DRIFT


def test_drift_is_measured_in_distances_of_the_eyes_and_where_it_counts(face: Face) -> None:
    mesh = np.array(face.mesh)
    scale = eye_distance(mesh[:, :2])
    chin = [148, 149, 150, 152, 171, 175, 176, 199, 377, 378, 379, 396, 400, 428]
    longer = mesh.copy()
    longer[chin, 1] += 0.5 * scale
    other = replace(face, mesh=tuple(map(tuple, longer.tolist())))
    told = identity_drift([face], [other])
    assert 0.5 * len(chin) / 468 < told < 0.05
    large = [moved(one, scale=3) for one in (face, other)]
    assert identity_drift([large[0]], [large[1]]) == pytest.approx(told)
    hidden = np.zeros((352, 352), np.bool_)
    hidden[int(mesh[152, 1] - 0.45 * scale) :] = True
    assert identity_drift([face], [other], hidden) < 0.2 * told


def test_a_face_that_is_gone_has_drifted_beyond_measure(face: Face) -> None:
    assert identity_drift([face], []) == math.inf
    assert identity_drift([face], [moved(face, across=300)]) == math.inf
    assert "none is found" in drift_warning(math.inf)


def test_a_warning_is_a_sentence() -> None:
    assert drift_warning(DRIFT - 0.001) == ""
    assert drift_warning(0.08).startswith("A face has changed: its points moved by 8.0%")


def test_the_model_sees_a_face_where_it_expects_it(portrait: Bytes, face: Face, networks: FaceNetworks) -> None:
    shown: list[Floats] = []

    def look(planes: Floats) -> Floats:
        shown.append(planes.copy())
        return planes

    restore_faces(portrait, [face], look, networks)
    assert shown[0].shape == (1, 3, EDGE, EDGE)
    assert shown[0].min() >= 0 and shown[0].max() <= 1
    found = find_faces(np.ascontiguousarray(shown[0][0].transpose(1, 2, 0)), networks)[0]
    mesh = np.array(found.mesh)[:, :2]
    there = np.array([mesh[[33, 133]].mean(axis=0), mesh[[362, 263]].mean(axis=0), mesh[1], mesh[61], mesh[291]])
    assert np.linalg.norm(there - np.array(TEMPLATE), axis=1).max() < 25


@pytest.mark.parametrize("kind", ["uint8", "uint16", "gray"])
def test_a_model_that_changes_nothing_changes_next_to_nothing(
    portrait: Bytes, face: Face, networks: FaceNetworks, kind: str
) -> None:
    samples: NDArray[Any] = portrait
    if kind == "uint16":
        samples = portrait.astype(np.uint16) * 257
    elif kind == "gray":
        samples = np.round(portrait.mean(axis=2, keepdims=True)).astype(np.uint8)
    made = restore_faces(samples, [face], unchanged, networks)
    out = pasted(samples, made.patches, np.zeros)
    full = np.iinfo(samples.dtype).max
    assert out.dtype == samples.dtype
    assert np.abs(out.astype(np.int64) - samples).max() < 0.02 * full
    assert [part.name for part in made.parts] == ["face"]
    assert made.drifts[0] < DRIFT / 2
    assert made.warnings == ()


def test_a_model_that_makes_somebody_else_is_warned_of(portrait: Bytes, face: Face, networks: FaceNetworks) -> None:
    made = restore_faces(portrait, [face], widened, networks)
    assert made.drifts[0] > 2 * DRIFT
    assert "somebody else" in made.warnings[0]
    out, patch = pasted(portrait, made.patches, np.zeros), made.patches[0]
    outside = np.full(portrait.shape[:2], True)
    outside[patch.region.top : patch.region.bottom, patch.region.left : patch.region.right] = ~patch.mask
    assert np.array_equal(out[outside], portrait[outside])
    assert (out != portrait).any()
    # The rim of the oval fades into the picture, and the coarse tones stay.
    step = np.abs(np.diff(out.astype(int), axis=1)).max() - np.abs(np.diff(portrait.astype(int), axis=1)).max()
    assert step < 40
    assert abs(float(out[70:178, 115:210].mean()) - float(portrait[70:178, 115:210].mean())) < 4


def test_with_a_mask_the_model_draws_only_there(portrait: Bytes, face: Face, networks: FaceNetworks) -> None:
    mask = np.zeros(portrait.shape[:2], np.bool_)
    mask[90:115, 165:200] = True

    def darker(planes: Floats) -> Floats:
        return planes * np.float32(0.6)

    made = restore_faces(portrait, [face], darker, networks, mask=mask)
    out = pasted(portrait, made.patches, np.zeros)
    assert np.array_equal(out[~mask], portrait[~mask])
    assert (out[mask] != portrait[mask]).any()
    rim = np.abs(out[90, 165:200].astype(int) - portrait[89, 165:200]).mean()
    assert rim < 12, "joined to what is around"


def test_faces_a_model_cannot_help(portrait: Bytes, face: Face, networks: FaceNetworks) -> None:
    small = cv2.resize(portrait, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    made = restore_faces(small, [moved(face, scale=0.5)], unchanged, networks)
    assert "pixels wide" in made.refused[0].reason and not made.patches
    large = cv2.resize(portrait, None, fx=4.5, fy=4.5)
    made = restore_faces(large, [moved(face, scale=4.5)], unchanged, networks)
    assert "would take detail away" in made.refused[0].reason and not made.patches


def test_a_model_that_gives_something_else_is_refused(portrait: Bytes, face: Face, networks: FaceNetworks) -> None:
    with pytest.raises(ModelUnusable, match="for faces gave"):
        restore_faces(portrait, [face], lambda planes: planes[:, :, ::2], networks)
    with pytest.raises(ModelUnusable, match="no numbers"):
        restore_faces(portrait, [face], lambda planes: planes * np.float32("nan"), networks)
