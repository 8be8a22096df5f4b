"""How sure a result is: probabilities that mean what they say, error estimates that hold on the average."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from archive_restore.imaging import damage, engine, inpaint
from archive_restore.records.imagery import DamageClass
from tests.benchmarks.fit_damage_scores import HELD_OUT, photograph
from tests.imaging.test_engine import InMemory, bound
from tests.support.synthetic_damage import damage as make_damage
from tests.support.synthetic_damage import luma_of


@pytest.fixture(scope="module")
def hurt():
    return make_damage(photograph("black-canyon")[250:600, 100:560], 1)


def test_probability_stands_beside_the_codes(hurt) -> None:
    plane = luma_of(hurt.picture)
    seen = damage.survey(plane)
    found = damage.search(plane, damage.DamageParameters(threshold=0.8), seen)
    assert np.array_equal(found.codes, damage.detect(plane, damage.DamageParameters(threshold=0.8), seen))
    assert found.probability[found.codes != DamageClass.SOUND].min() >= int(0.8 * 255)
    doubtful = (found.codes == DamageClass.SOUND) & (found.probability > 0)
    assert doubtful.any(), "what stayed under the threshold is shown too"
    lower = damage.search(plane, damage.DamageParameters(threshold=0.3), seen)
    assert (lower.codes > 0).sum() > (found.codes > 0).sum()


def test_probable_pixels_are_more_often_damaged(hurt) -> None:
    plane = luma_of(hurt.picture)
    probability = damage.search(plane, damage.DamageParameters(), damage.survey(plane)).probability
    near = np.asarray(hurt.truth)
    shares = [
        near[(probability >= low) & (probability < high)].mean() for low, high in ((1, 64), (64, 160), (160, 256))
    ]
    assert shares[0] < shares[1] < shares[2]


@pytest.mark.parametrize("name", HELD_OUT)
def test_expected_error_holds_on_the_average(name: str) -> None:
    """On photographs that its fit has not seen: each third of the pixels, by expected error, errs about that much."""
    picture = photograph(name)
    made = make_damage(picture, 17, unit=2.0, amount=0.5)
    thin, _ = inpaint.split_by_width(inpaint.with_rim(made.truth), 12)
    coded = np.rint(made.picture * 255).astype(np.uint8)
    filled = inpaint.complete(coded, thin, seed=2)
    assert filled.error[~filled.done].max() == 0
    inside = filled.done & made.truth
    wrong = np.abs(filled.samples.astype(np.int32) - np.rint(picture * 255)).max(axis=2)[inside] / 255
    expected = filled.error[inside]
    order = np.argsort(expected, kind="stable")
    means = [(float(expected[part].mean()), float(wrong[part].mean())) for part in np.array_split(order, 3)]
    assert [e for e, _ in means] == sorted(e for e, _ in means)
    for hoped, true in means:
        assert 0.5 * hoped - 0.004 < true < 2 * hoped + 0.004, means


def test_planes_do_not_depend_on_tiles() -> None:
    hurt = make_damage(photograph("nagasaki-boats")[200:560, 300:753], 3).picture
    gray = np.round(hurt.mean(axis=2) * 65535).astype(np.uint16)
    source = InMemory(gray[:, :, None])
    planes: list[tuple[NDArray[np.uint8], NDArray[np.uint8]]] = []
    for tile in (512, 128):
        bands = list(engine.run(source, bound(source), engine.HandMaps(), seed=1, tile=tile, threads=2))
        flags, doubt, probability = (
            np.concatenate([getattr(b, name) for b in bands]) for name in ("flags", "doubt", "probability")
        )
        assert ((doubt > 0) == (flags > 0)).all()
        planes.append((doubt, probability))
    assert np.array_equal(planes[0][0], planes[1][0])
    assert np.array_equal(planes[0][1], planes[1][1])


def test_a_persons_word_is_certain() -> None:
    gray = np.full((80, 90, 1), 30000, np.uint16)
    gray[:, 40] = 60000
    drawn, keep = np.zeros((80, 90, 1), np.uint8), np.zeros((80, 90, 1), np.uint8)
    drawn[10:20, 60], keep[40:, 38:43] = 255, 255
    source = InMemory(gray)
    hand = engine.HandMaps(damage=InMemory(drawn), keep=InMemory(keep))
    band = next(engine.run(source, bound(source), hand, seed=1, tile=128, threads=1))
    assert (band.probability[10:20, 60] == 255).all()
    assert band.probability[44:, 38:43].max() == 0
    assert band.doubt[40:, 38:43].max() == 0
    assert band.doubt[10:20, 60].min() >= 1
