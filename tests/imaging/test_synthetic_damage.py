"""The simulator that all detection numbers rest on: seeded, honest about where it damaged, not all white."""

from __future__ import annotations

import numpy as np

from tests.benchmarks.fit_damage_scores import photograph
from tests.support.synthetic_damage import KINDS, VISIBLE, damage, luma_of


def test_equal_seeds_give_equal_pictures_and_others_do_not() -> None:
    clean = photograph("march-pastoral")
    one, two, other = damage(clean, 5), damage(clean, 5), damage(clean, 6)
    assert np.array_equal(one.picture, two.picture)
    assert not np.array_equal(one.picture, other.picture)


def test_the_truth_is_where_the_picture_changed() -> None:
    clean = photograph("march-pastoral")
    made = damage(clean, 5)
    change = np.abs(luma_of(made.picture) - luma_of(clean))
    assert (change[~made.truth] < 2 * VISIBLE).mean() > 0.9999
    assert np.mean(change[made.truth] >= VISIBLE * 0.9) > 0.97
    assert 0.003 < made.truth.mean() < 0.04


def test_all_kinds_and_polarities_occur_at_every_strength() -> None:
    clean = photograph("dust-bowl-home")
    made = damage(clean, 8)
    change = (luma_of(made.picture) - luma_of(clean))[made.truth]
    for kind in KINDS:
        assert made.masks[kind].any()
    assert 0.1 < (change > 0).mean() < 0.9
    assert 0.1 < (np.abs(change) < 0.1).mean() < 0.8, "faint damage must be there too"
    only = damage(clean, 8, kinds=("dust",))
    assert {k for k in KINDS if only.masks[k].any()} == {"dust"}


def test_grey_and_compressed_pictures_work() -> None:
    clean = luma_of(photograph("march-pastoral"))
    assert damage(clean, 1).picture.shape == clean.shape
    coded = damage(clean, 1, jpeg=80).picture
    assert coded.shape == clean.shape
    assert len(np.unique(coded)) <= 256


def test_a_gray_picture_has_a_truth_too() -> None:
    gray = luma_of(photograph("march-pastoral"))
    made = damage(gray.copy(), 1)
    change = made.picture - gray
    assert made.truth[np.abs(change) > 0.05].mean() > 0.95
    assert made.brighter[change > 0.05].all()
    assert not made.brighter[change < -0.05].any()
