"""What hints say of the rest of a picture: the formula of textbooks, and what anybody would expect of it."""

import numpy as np
import pytest

from archive_restore.imaging.belonging import CODES, PARTS, PLANES, Belonging, carried, traits
from archive_restore.imaging.hints import Mark, Seen

HEIGHT, WIDTH = 12, 16


def _belonging(seed=0, doubt=0.1, apart=0.6):
    """All weigh alike; `apart`: deviation of the codes."""
    rng = np.random.default_rng(seed)
    planes = rng.normal(0, apart, (PLANES, HEIGHT, WIDTH)).astype(np.float32)
    planes[0], planes[1 : 1 + PARTS] = doubt, np.array([0.8, 1.2, 0.5])[:, None, None]
    return Belonging.of(planes)


def _mark(y, x, ab):
    return Mark(rows=np.array([y]), columns=np.array([x]), ab=ab)


MARKS = [_mark(2, 3, (30.0, -10.0)), _mark(9, 12, (-5.0, 40.0)), _mark(6, 1, (0.0, 0.0))]
EVEN = np.full((HEIGHT, WIDTH), 50, np.float32)
GUESS = np.random.default_rng(1).normal(0, 10, (HEIGHT, WIDTH, 2)).astype(np.float32)


def _told(belonging, marks, guess=GUESS, light=EVEN, paths=None):
    return carried(belonging, light, guess, marks, [np.zeros_like(light)] * len(marks) if paths is None else paths)


def test_it_is_the_mean_and_the_variance_of_a_gaussian_that_was_seen_in_some_places():
    belonging = _belonging(apart=0.05)  # all three hints are about as near everywhere, so that none is left out
    made, settled = _told(belonging, MARKS)
    codes = belonging.codes.reshape(PARTS, CODES, -1).astype(np.float64)
    weights = belonging.weights.reshape(PARTS, -1).astype(np.float64)
    far = np.square(codes[:, :, :, None] - codes[:, :, None]).sum(axis=1)
    together = 1 + (weights[:, :, None] * weights[:, None] * np.exp(-far / 2)).sum(axis=0)
    at = np.array([mark.rows[0] * WIDTH + mark.columns[0] for mark in MARKS])
    inverse = np.linalg.pinv(together[np.ix_(at, at)] + 0.1 * np.eye(3))
    flat = GUESS.reshape(-1, 2)
    mean = flat + together[:, at] @ inverse @ (np.array([mark.ab for mark in MARKS]) - flat[at])
    left = together.diagonal() - np.einsum("pi,ij,pj->p", together[:, at], inverse, together[:, at])
    assert made.reshape(-1, 2) == pytest.approx(mean, abs=1e-3)
    assert settled.ravel() == pytest.approx(1 - left / together.diagonal(), abs=1e-4)


def test_without_hints_the_guess_stays_and_nothing_is_settled():
    guess = np.full((HEIGHT, WIDTH, 2), 7, np.float32)
    made, settled = _told(_belonging(), [], guess)
    assert (made == guess).all() and not settled.any()


def _halves(doubt=0.05, apart=4):
    """The right half is something else."""
    planes = np.zeros((PLANES, HEIGHT, WIDTH), np.float32)
    planes[0], planes[1 : 1 + PARTS] = doubt, 2
    planes[1 + PARTS :: CODES, :, WIDTH // 2 :] = apart
    return Belonging.of(planes)


def test_a_hint_says_all_of_what_is_like_it_nothing_of_the_rest_and_less_where_it_is_doubtful():
    guess = np.zeros((HEIGHT, WIDTH, 2), np.float32)
    found = []
    for doubt in (0.02, 1.0):
        made, settled = _told(_halves(doubt), [_mark(2, 3, (40.0, 0.0))], guess)
        assert made[9, 5, 0] == pytest.approx(made[2, 3, 0], abs=1e-3)
        assert settled[9, 5] > 0.9 and not settled[:, WIDTH // 2 :].any()
        assert (made[:, WIDTH // 2 :] == guess[:, WIDTH // 2 :]).all()
        found.append(made[9, 5, 0])
    assert 40 > found[0] > 39 > found[1]


@pytest.mark.parametrize("others", [1, 8])
def test_a_hint_that_moves_comes_or_goes_changes_not_a_bit_of_what_it_does_not_belong_to(others):
    belonging = _halves()
    there = [_mark(k, WIDTH - 2 - k % 5, (5.0 * k, 30.0)) for k in range(others)]
    one, two = _mark(2, 3, (40.0, 0.0)), _mark(8, 5, (40.0, 0.0))
    before, settled = _told(belonging, [one, *there])
    for now in ([two, *there], there, [one, two, *there], [*there, one]):
        made, settles = _told(belonging, now)
        assert (made[:, WIDTH // 2 :] == before[:, WIDTH // 2 :]).all()
        assert (settles[:, WIDTH // 2 :] == settled[:, WIDTH // 2 :]).all()
    assert np.abs(_told(belonging, there)[0] - before)[:, : WIDTH // 2].max() > 5


def test_a_pixel_listens_to_what_it_belongs_to_best():
    """Halves that are somewhat alike: a hint tells of both, until the other half has one of its own."""
    belonging, other = _halves(apart=1.4), _mark(6, 12, (0.0, 20.0))
    near = _mark(2, 3, (40.0, 0.0))
    alone, both, without = (_told(belonging, marks)[0][9, 12] for marks in ([near], [near, other], [other]))
    assert (both == without).all() and np.abs(alone - GUESS[9, 12]).max() > 5


def test_what_is_not_quite_alike_must_lie_within_the_same_edges():
    belonging, mark = _halves(apart=1.4), [_mark(2, 3, (40.0, 0.0))]
    said = []
    for across in (0, 80, 400):  # units of L* on the way to the right half
        path = np.where(np.arange(WIDTH) < WIDTH // 2, 0, across) + 0 * EVEN
        said.append(_told(belonging, mark, paths=[path])[1])
    assert all((one[:, :7] == said[0][:, :7]).all() for one in said)
    assert said[0][9, 12] > said[1][9, 12] + 0.01 > 0.01 and said[2][9, 12] == 0


def test_nothing_jumps_where_a_hint_loses_its_say():
    planes = np.zeros((PLANES, 2, 400), np.float32)
    planes[0], planes[1 : 1 + PARTS] = 0.05, 2
    planes[1 + PARTS :: CODES] = np.linspace(0, 6, 400)
    light = np.full((2, 400), 50, np.float32)
    marks = [_mark(0, x, (40.0 * (-1) ** k, 0.0)) for k, x in enumerate((20, 60, 90, 130, 160, 200, 230))]
    guess = np.zeros((2, 400, 2), np.float32)
    made, settled = _told(Belonging.of(planes), marks, guess, light)
    assert np.abs(np.diff(made[1, :, 0])).max() < 6 and np.abs(made[1, :, 0]).max() > 30
    assert np.abs(np.diff(settled[1])).max() < 0.1 and settled[1, -1] == 0


def test_a_stroke_speaks_with_several_pixels_and_shade_is_paler():
    light = np.tile(np.linspace(20, 80, WIDTH, dtype=np.float32), (HEIGHT, 1))
    planes = np.zeros((PLANES, HEIGHT, WIDTH), np.float32)
    planes[0], planes[1 : 1 + PARTS] = 0.05, 2
    planes[1 + PARTS :: CODES] = np.linspace(0, 8, WIDTH)
    stroke = Mark(rows=np.full(WIDTH, 5), columns=np.arange(WIDTH), ab=(20.0, 10.0))
    made, settled = _told(Belonging.of(planes), [stroke], np.zeros((HEIGHT, WIDTH, 2), np.float32), light)
    assert settled.min() > 0.7, "a point of it reaches everywhere"
    assert made[8].mean(axis=0) == pytest.approx([20, 10], rel=0.15)
    planes[1 + PARTS :: CODES] = 0
    middle = [_mark(5, 8, (20.0, 10.0))]
    made, _ = _told(Belonging.of(planes), middle, np.zeros((HEIGHT, WIDTH, 2), np.float32), light)
    assert made[8, 2, 0] < 18 < 22 < made[8, 14, 0]


def test_traits_are_lightness_and_what_lies_around():
    light = np.random.default_rng(0).uniform(0, 100, (200, 300)).astype(np.float32)
    made = traits(Seen(light))
    assert made.shape == (4, 200, 300) and made.dtype == np.float32
    assert made[0] == pytest.approx(light / 100)
    assert made.min() >= 0 and made.max() <= 1
    assert made[3].mean() > traits(Seen(np.full_like(light, 50)))[3].mean() + 0.2
