"""What hints say of the rest of a picture: the formula of textbooks, and what anybody would expect of it."""

import numpy as np
import pytest

from archive_restore.imaging.belonging import CODES, PARTS, PLANES, Belonging, carried, traits
from archive_restore.imaging.hints import Mark, Seen

HEIGHT, WIDTH = 12, 16


def _belonging(seed=0, doubt=0.1):
    rng = np.random.default_rng(seed)
    planes = rng.normal(0, 0.6, (PLANES, HEIGHT, WIDTH)).astype(np.float32)
    planes[0], planes[1 : 1 + PARTS] = doubt, np.abs(planes[1 : 1 + PARTS])
    return Belonging.of(planes)


def _mark(y, x, ab):
    return Mark(rows=np.array([y]), columns=np.array([x]), ab=ab)


MARKS = [_mark(2, 3, (30.0, -10.0)), _mark(9, 12, (-5.0, 40.0)), _mark(6, 1, (0.0, 0.0))]
EVEN = np.full((HEIGHT, WIDTH), 50, np.float32)


def test_it_is_the_mean_and_the_variance_of_a_gaussian_that_was_seen_in_some_places():
    belonging = _belonging()
    guess = np.random.default_rng(1).normal(0, 10, (HEIGHT, WIDTH, 2)).astype(np.float32)
    made, settled = carried(belonging, EVEN, guess, MARKS)
    codes = belonging.codes.reshape(PARTS, CODES, -1).astype(np.float64)
    weights = belonging.weights.reshape(PARTS, -1).astype(np.float64)
    far = np.square(codes[:, :, :, None] - codes[:, :, None]).sum(axis=1)
    together = 1 + (weights[:, :, None] * weights[:, None] * np.exp(-far / 2)).sum(axis=0)
    at = np.array([mark.rows[0] * WIDTH + mark.columns[0] for mark in MARKS])
    inverse = np.linalg.pinv(together[np.ix_(at, at)] + 0.1 * np.eye(3))
    flat = guess.reshape(-1, 2)
    mean = flat + together[:, at] @ inverse @ (np.array([mark.ab for mark in MARKS]) - flat[at])
    left = together.diagonal() - np.einsum("pi,ij,pj->p", together[:, at], inverse, together[:, at])
    assert made.reshape(-1, 2) == pytest.approx(mean, abs=1e-3)
    assert settled.ravel() == pytest.approx(1 - left / together.diagonal(), abs=1e-4)


def test_without_hints_the_guess_stays_and_nothing_is_settled():
    guess = np.full((HEIGHT, WIDTH, 2), 7, np.float32)
    made, settled = carried(_belonging(), EVEN, guess, [])
    assert (made == guess).all() and not settled.any()


def test_a_hint_says_most_of_what_is_like_it_and_less_where_it_is_doubtful():
    planes = np.zeros((PLANES, HEIGHT, WIDTH), np.float32)
    planes[1 : 1 + PARTS] = 2
    planes[1 + PARTS :: CODES, :, WIDTH // 2 :] = 4  # the right half is something else
    guess = np.zeros((HEIGHT, WIDTH, 2), np.float32)
    found = []
    for doubt in (0.02, 1.0):
        planes[0] = doubt
        made, settled = carried(Belonging.of(planes), EVEN, guess, [_mark(2, 3, (40.0, 0.0))])
        assert made[9, 5, 0] == pytest.approx(made[2, 3, 0], abs=1e-3)
        assert made[9, 5, 0] > 8 * made[9, 12, 0] > 0
        assert settled[9, 5] > 8 * settled[9, 12]
        found.append(made[9, 5, 0])
    assert 40 > found[0] > 39 > found[1]


def test_a_stroke_speaks_with_several_pixels_and_shade_is_paler():
    light = np.tile(np.linspace(20, 80, WIDTH, dtype=np.float32), (HEIGHT, 1))
    planes = np.zeros((PLANES, HEIGHT, WIDTH), np.float32)
    planes[0], planes[1 : 1 + PARTS] = 0.05, 2
    stroke = Mark(rows=np.full(WIDTH, 5), columns=np.arange(WIDTH), ab=(20.0, 10.0))
    made, _ = carried(Belonging.of(planes), light, np.zeros((HEIGHT, WIDTH, 2), np.float32), [stroke])
    assert made[8, 2, 0] < 20 < made[8, 14, 0]
    assert made[8].mean(axis=0) == pytest.approx([20, 10], rel=0.05)


def test_traits_are_lightness_and_what_lies_around():
    light = np.random.default_rng(0).uniform(0, 100, (200, 300)).astype(np.float32)
    made = traits(Seen(light))
    assert made.shape == (4, 200, 300) and made.dtype == np.float32
    assert made[0] == pytest.approx(light / 100)
    assert made.min() >= 0 and made.max() <= 1
    assert made[3].mean() > traits(Seen(np.full_like(light, 50)))[3].mean() + 0.2
