"""Features of faces: where they lie, and what the damage detector does and does not mark there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from archive_restore.adapters.models import FolderModels
from archive_restore.imaging import damage_network, engine, face_features, faces
from archive_restore.imaging.damage_network import SPARED_REACH, Spared, unspared
from archive_restore.imaging.face_features import OUTLINES, Feature, eye_distance, features_of, mask
from archive_restore.imaging.faces import Eye, Face, FaceNetworks, find_faces
from archive_restore.ports import Network, PictureSource
from archive_restore.records.imagery import PictureFacts, Region, SampleRole
from archive_restore.steps.preservation import DAMAGE_MODEL, DetectDamage

ROOT = Path(__file__).parents[2]
PORTRAIT = ROOT / "tests" / "photographs" / "faces" / "astronaut.jpg"
Bools = NDArray[np.bool_]


@pytest.fixture(scope="module")
def networks() -> dict[str, Network]:
    pytest.importorskip("torch")
    models = FolderModels(ROOT / "models")
    return {name: models.load(name, "cpu") for name in (DAMAGE_MODEL, *faces.MODELS.values())}


@pytest.fixture(scope="module")
def portrait() -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(cv2.imread(str(PORTRAIT)), cv2.COLOR_BGR2RGB))


def face(points: NDArray[np.float64]) -> Face:
    eye = Eye(lower=((0.0, 0.0, 0.0),) * 9, upper=((0.0, 0.0, 0.0),) * 7, iris=((0.0, 0.0, 0.0),) * 5)
    mesh = tuple((float(x), float(y), 0.0) for x, y in points)
    return Face(box=(0, 0, 1, 1), score=1, points=(), flag=1, mesh=mesh, right_eye=eye, left_eye=eye)


def spread(width: float) -> NDArray[np.float64]:
    """A mesh as wide as this whose points lie anywhere, the eyes a third of that apart."""
    points = np.random.default_rng(1).uniform(0, width, (468, 2))
    points[0], points[1] = (0, 0), (width, width)
    points[[33, 133]] = width / 3
    points[[362, 263]] = (width * 2 / 3, width / 3)
    return points


def test_small_faces_are_left_and_scale_counts() -> None:
    assert features_of([face(spread(59))]) == ()
    found = features_of([face(spread(20)), face(spread(40))], 2.0)
    assert [feature.name for feature in found] == list(OUTLINES)
    assert found[0].widened == int(np.ceil(face_features.WIDENED * 80 / 3))
    x, y = spread(40)[OUTLINES["lips"][0]] * 2
    assert found[-1].points[0] == (int(x), int(y))


def test_the_distance_of_the_eyes() -> None:
    assert eye_distance(spread(90)) == pytest.approx(30)


def test_a_feature_is_widened_and_cut_by_tiles() -> None:
    square = Feature(name="lips", points=((20, 30), (60, 30), (60, 50), (20, 50)), widened=5)
    beyond = Feature(name="lips", points=((-30, 90), (10, 95), (-5, 140)), widened=3)
    whole = mask([square, beyond], 0, 0, 120, 100)
    assert whole[40, 40] and whole[40, 16] and whole[26, 40]
    assert not whole[40, 13] and not whole[57, 40]
    assert whole[110, 0]
    for top, left in ((0, 0), (33, 17), (41, 59), (100, 0)):
        tile = mask([square, beyond], top, left, 20, 41)
        assert np.array_equal(tile, whole[top : top + 20, left : left + 41])
    assert not mask([square], 500, 500, 9, 9).any()


def test_outlines_enclose_what_an_eye_sees(networks: dict[str, Network], portrait: NDArray[np.uint8]) -> None:
    found = features_of(find_faces(portrait, face_networks(networks)))
    where = {feature.name: mask([feature], 0, 0, *portrait.shape[:2]) for feature in found}
    seen = {
        "right eye": (140, 101), "left eye": (183, 103), "lips": (162, 147), "nostrils": (161, 128),
        "right brow": (131, 91), "left brow": (187, 92),
    }  # fmt: skip
    for name, (x, y) in seen.items():
        assert where[name][y, x]
    cheeks = ((130, 125), (190, 127))
    assert not any(inside[y, x] for inside in where.values() for x, y in cheeks)
    assert 0.05 < np.any(list(where.values()), axis=0)[70:178, 115:210].mean() < 0.5


def face_networks(networks: Mapping[str, Network]) -> FaceNetworks:
    return FaceNetworks(**{part: networks[name].predict for part, name in faces.MODELS.items()})


def kept(marked: Bools, *, light: bool = False, spot: bool = False, eye: bool = False, sure: bool = False) -> Bools:
    features = np.zeros((200, 200), np.bool_)
    features[40:160, 40:160] = True
    every = np.full(features.shape, True)
    where = Spared(features=features, eyes=features & eye)
    return unspared(marked, marked, every & sure, every & light, every & (not spot), where) & features


def test_what_lies_inside_a_feature_is_spared_and_what_crosses_it_is_not() -> None:
    inside, across, longer = (np.zeros((200, 200), np.bool_) for _ in range(3))
    inside[100, 60:140] = True
    across[100, :] = True
    longer[100, 38:140] = True
    assert not kept(inside).any()
    assert kept(inside, sure=True).sum() == 80
    assert not kept(longer).any(), "a brow may be longer than its outline"
    reached = np.flatnonzero(kept(across)[100])
    assert reached[0] == 40 and reached[-1] == 159
    assert len(reached) == 2 * (SPARED_REACH - 4)


def test_light_marks_stay_but_for_glints_in_eyes() -> None:
    inside = np.zeros((200, 200), np.bool_)
    inside[98:102, 98:102] = True
    assert kept(inside, light=True, spot=True).sum() == 16
    assert kept(inside, light=True, eye=True).sum() == 16
    assert not kept(inside, light=True, spot=True, eye=True).any()


def test_a_faint_stretch_is_followed_but_never_marked() -> None:
    marked, followed = np.zeros((60, 60), np.bool_), np.zeros((60, 60), np.bool_)
    features = np.zeros((60, 60), np.bool_)
    features[20:40, 20:40] = True
    marked[30, :24] = marked[30, 28:34] = True
    none, line = np.zeros((60, 60), np.bool_), np.full((60, 60), True)
    where = Spared(features=features, eyes=none)
    assert not unspared(marked, followed, none, none, line, where)[30, 28:34].any()
    followed[30, 24:28] = True
    assert np.array_equal(unspared(marked, followed, none, none, line, where), marked)


def test_without_features_nothing_changes() -> None:
    marked, none = np.full((9, 9), True), np.zeros((9, 9), np.bool_)
    assert unspared(marked, none, none, none, none, Spared(features=none, eyes=none)) is marked
    assert damage_network.margin() < damage_network.margin(spares=True)


class Memory(PictureSource):
    def __init__(self, samples: NDArray[np.uint8]) -> None:
        self._samples = samples

    @property
    def facts(self) -> PictureFacts:
        height, width, _ = self._samples.shape
        return PictureFacts(
            width=width, height=height, samples=3, bits=8, sample_format="uint", photometric="rgb", compression="none",
            roles=(SampleRole.RED, SampleRole.GREEN, SampleRole.BLUE), layout="strips", pages=1,
        )  # fmt: skip

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._samples.dtype

    def read(self, region: Region) -> NDArray[np.uint8]:
        return self._samples[region.top : region.bottom, region.left : region.right].copy()

    def close(self) -> None: ...


def detected(
    samples: NDArray[np.uint8], networks: Mapping[str, Network], tile: int = 1024, **chosen: Any
) -> tuple[NDArray[np.uint8], Mapping[str, Any]]:
    step = DetectDamage()
    defaults = {name: rule["default"] for name, rule in step.parameters_schema.items()}
    parameters = {**defaults, "method": "both", **chosen}
    equipped = step.equip({name: networks[name] for name in step.models(parameters)})
    bound = engine.survey([(equipped, parameters)], engine.overview(Memory(samples)))
    bands = engine.run(Memory(samples), bound, engine.HandMaps(), seed=1, tile=tile, threads=1)
    return np.concatenate([band.damage for band in bands]), bound[0].survey


def test_models_and_derivations_of_before() -> None:
    step = DetectDamage()
    assert step.models({"method": "shapes", "spare_faces": True}) == ()
    assert step.models({"method": "both", "spare_faces": True}) == (DAMAGE_MODEL, *faces.MODELS.values())
    assert step.models({"method": "network", "spare_faces": False}) == (DAMAGE_MODEL,)
    assert step.models({"method": "network"}) == (DAMAGE_MODEL,), "version 2 knew no faces"


@pytest.mark.parametrize("method", ["network", "both"])
def test_a_portrait_keeps_its_features_and_a_scratch_is_found(
    networks: dict[str, Network], portrait: NDArray[np.uint8], method: str
) -> None:
    large = cv2.resize(portrait, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    scratched = large.copy()
    line = cv2.line(np.zeros(large.shape[:2], np.uint8), (236, 120), (410, 370), 1, 2) > 0
    scratched[line] = 250
    chosen = {"method": method, "threshold": 0.1, "long_dark": "mark", "long_light": "mark"}
    plain, survey = detected(large, networks, spare_faces=False, **chosen)
    assert "faces" not in survey
    spared, survey = detected(large, networks, **chosen)
    features = [Feature(**entry) for entry in survey["faces"]]
    inside = mask(features, 0, 0, *large.shape[:2])
    assert [feature.name for feature in features] == list(OUTLINES)
    assert (plain[inside] > 0).sum() > 30
    assert (spared[inside] > 0).sum() < 0.2 * (plain[inside] > 0).sum()
    far = cv2.dilate(inside.astype(np.uint8), np.ones((9, 9))) == 0
    assert np.array_equal(spared[far], plain[far])
    before, _ = detected(scratched, networks, spare_faces=False, **chosen)
    after, _ = detected(scratched, networks, **chosen)
    assert (before[line & inside] > 0).sum() > 0
    assert (after[line & inside] > 0).sum() > 0.6 * (before[line & inside] > 0).sum()
    assert (after[line & ~inside] > 0).sum() > 0.9 * (before[line & ~inside] > 0).sum()


def test_tiles_agree_about_faces(networks: dict[str, Network], portrait: NDArray[np.uint8]) -> None:
    whole, _ = detected(portrait, networks, threshold=0.2)
    assert np.array_equal(detected(portrait, networks, tile=128, threshold=0.2)[0], whole)
    assert (whole > 0).any()


def test_a_derivation_of_before_is_made_again_alike(networks: dict[str, Network], portrait: NDArray[np.uint8]) -> None:
    step = DetectDamage()
    later = ("spare_faces", "long_dark", "long_light")
    known = {n: r["default"] for n, r in step.parameters_schema.items() if n not in later}
    parameters = {**known, "method": "network", "threshold": 0.1}
    old = step.equip({name: networks[name] for name in step.models(parameters)})
    bound = engine.survey([(old, parameters)], engine.overview(Memory(portrait)))
    bands = engine.run(Memory(portrait), bound, engine.HandMaps(), seed=1, tile=1024, threads=1)
    made = np.concatenate([band.damage for band in bands])
    as_then = {"spare_faces": False, "long_dark": "mark", "long_light": "mark"}
    now, survey = detected(portrait, networks, method="network", threshold=0.1, **as_then)
    assert np.array_equal(made, now)
    assert bound[0].survey == survey
