"""The fill: better than cv2.inpaint, nothing outside the mask, any depth, any polarity, near losses."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from archive_restore.imaging import inpaint
from tests.benchmarks.fit_damage_scores import photograph
from tests.benchmarks.restoration_quality import Tally, measure_fill
from tests.support.synthetic_damage import damage as make_damage


@pytest.fixture(scope="module")
def piece() -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    made = make_damage(photograph("black-canyon")[300:500, 200:460], 2)
    return made.picture, inpaint.with_rim(made.truth)


def test_better_than_opencv_on_both_polarities() -> None:
    made = Tally().merge(measure_fill(name, [7]) for name in ("french-alpine-landscape", "allium-oreophilum"))
    for which in ("", " bright", " dark"):
        best_of_theirs = max(made.psnr("Telea" + which), made.psnr("NS" + which))
        assert made.psnr("ours, no grain" + which) > best_of_theirs + 0.5
        assert made.psnr("ours" + which) > best_of_theirs + 0.4


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_nothing_outside_the_mask_changes_and_all_inside_is_filled(piece, dtype) -> None:
    picture, mask = piece
    full = np.iinfo(dtype).max if np.issubdtype(dtype, np.integer) else 1
    samples = np.round(picture * full).astype(dtype) if full > 1 else picture.astype(dtype)
    before = samples.copy()
    made, done = inpaint.fill(samples, mask, seed=1)
    assert made.dtype == dtype
    assert np.array_equal(samples, before)
    assert np.array_equal(made[~mask], samples[~mask])
    assert np.array_equal(done, mask)
    assert (made[mask] != samples[mask]).any()


def test_depths_agree(piece) -> None:
    picture, mask = piece
    eight = np.round(picture * 255).astype(np.uint8)
    sixteen = eight.astype(np.uint16) * 257
    floats = (eight / np.float32(255)).astype(np.float32)
    a, b, c = (inpaint.fill(x, mask, seed=3)[0] for x in (eight, sixteen, floats))
    assert np.abs(b / 257.0 - a)[mask].max() <= 0.51
    assert np.abs(c * 65535.0 - b)[mask].max() <= 0.51
    assert len(np.unique(b[mask] % 257)) > 100, "a 16-bit fill must use 16 bits"


def test_the_negative_is_filled_with_the_negative(piece) -> None:
    picture, mask = piece
    sixteen = np.round(picture * 65535).astype(np.uint16)
    made = inpaint.fill(sixteen, mask, grain=0)[0].astype(int)
    negative = 65535 - inpaint.fill(65535 - sixteen, mask, grain=0)[0].astype(int)
    # v and 1 − v round differently, so now and then another place is among the most similar ones
    assert np.mean(np.abs(made - negative)[mask] <= 16) > 0.97


def test_same_seed_same_fill_other_seed_other_grain(piece) -> None:
    picture, mask = piece
    one, two, other = (inpaint.fill(picture, mask, seed=s)[0] for s in (1, 1, 2))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)
    threads = cv2.getNumThreads()
    try:
        cv2.setNumThreads(1)
        assert np.array_equal(inpaint.fill(picture, mask, seed=1)[0], one)
    finally:
        cv2.setNumThreads(threads)


def test_grain_makes_the_fill_as_lively_as_its_surroundings() -> None:
    rng = np.random.default_rng(0)
    plain = np.clip(0.5 + cv2.GaussianBlur(rng.normal(0, 0.08, (200, 200)).astype(np.float32), (0, 0), 0.8), 0, 1)
    mask = np.zeros(plain.shape, np.bool_)
    mask[:, 98:103] = True
    mask[98:103] = True
    spread = {g: float(inpaint.fill(plain, mask, grain=g)[0][mask].std()) for g in (0.0, 0.35, 1.0)}
    outside = float(plain[~mask].std())
    assert spread[0.0] < spread[0.35] < spread[1.0]
    assert 0.7 * outside < spread[1.0] < 1.2 * outside


@settings(deadline=None, max_examples=25)
@given(
    hnp.arrays(np.uint16, st.tuples(st.integers(1, 24), st.integers(1, 24))),
    st.integers(0, 2**32 - 1),
    st.floats(0, 1),
)
def test_any_little_picture(samples: NDArray[np.uint16], seed: int, density: float) -> None:
    mask = np.random.default_rng(seed).random(samples.shape) < density
    made, done = inpaint.fill(samples, mask, seed=seed)
    assert np.array_equal(made[~mask], samples[~mask])
    assert not (done & ~mask).any()
    assert np.array_equal(made[~done], samples[~done])
    if (~mask).any() and done.any():
        # a fill never leaves the range of what it was made from
        assert made[done].max() <= samples[~mask].max()
        assert made[done].min() >= samples[~mask].min()


def test_empty_mask_is_the_identity(piece) -> None:
    picture, mask = piece
    made, done = inpaint.fill(picture, np.zeros_like(mask))
    assert np.array_equal(made, picture)
    assert not done.any()


def test_a_ramp_and_an_edge_are_continued() -> None:
    rows, columns = np.mgrid[0:80, 0:80].astype(np.float32)
    ramp = (rows + 2 * columns) / 300
    mask = np.zeros(ramp.shape, np.bool_)
    mask[38:43] = True
    broken = np.where(mask, np.float32(1), ramp)
    assert np.abs(inpaint.fill(broken, mask, grain=0)[0] - ramp)[5:-5, 5:-5].max() < 0.01
    edge = (columns > rows * 0.5 + 20).astype(np.float32)
    broken = np.where(mask, np.float32(0.5), edge)
    wrong = np.abs(inpaint.fill(broken, mask, grain=0)[0] - edge)[mask]
    telea = cv2.inpaint((broken * 255).astype(np.uint8), mask.astype(np.uint8), 3, cv2.INPAINT_TELEA) / 255.0
    assert wrong.mean() < 0.5 * np.abs(telea - edge)[mask].mean()


def test_losses_and_not_a_numbers_are_not_learnt_from() -> None:
    picture = np.full((60, 60), 0.3, np.float32)
    loss = np.zeros(picture.shape, np.bool_)
    loss[:, 33:] = True
    picture[loss] = 1.0
    picture[5, 5] = np.nan
    mask = np.zeros(picture.shape, np.bool_)
    mask[:, 30:33] = True
    mask[4:7, 4:7] = True
    mask[5, 5] = False
    made, done = inpaint.fill(picture, mask, unsound=loss)
    assert np.array_equal(done, mask)
    assert np.abs(made[mask] - 0.3).max() < 1e-4
    assert np.isnan(made[5, 5])


def test_no_sound_pixel_in_reach_stays_as_found() -> None:
    picture = np.full((50, 50), 7, np.uint8)
    made, done = inpaint.fill(picture, np.ones((50, 50), np.bool_))
    assert np.array_equal(made, picture)
    assert not done.any()


@pytest.mark.parametrize("max_width", [1, 4, 5, 12, 13])
def test_lines_up_to_the_width_are_thin_wider_ones_lost(max_width: int) -> None:
    for width, lost in ((max_width, False), (max_width + 1, True)):
        mask = np.zeros((120, 120), np.bool_)
        mask[50 : 50 + width, 10:110] = True
        thin, loss = inpaint.split_by_width(mask, max_width)
        assert loss.any() == lost
        assert not (thin & loss).any()
        assert np.array_equal(thin | loss, mask)
        if lost and max_width > 1:
            assert loss.sum() > 0.95 * mask.sum()


def test_a_crack_that_runs_out_of_a_loss_is_thin_and_the_loss_keeps_its_corners() -> None:
    mask = np.zeros((200, 200), np.bool_)
    mask[60:120, 60:120] = True
    hole = mask.copy()
    mask[89:92, 120:190] = True
    thin, loss = inpaint.split_by_width(mask, 12)
    assert loss[60, 60]
    assert loss[119, 119]
    assert thin[90, 125:190].all()
    assert (hole & ~loss).sum() <= 30


def test_rim_widens_all_round() -> None:
    mask = np.zeros((9, 9), np.bool_)
    mask[4, 4] = True
    assert inpaint.with_rim(mask, 2).sum() == 25
    assert np.array_equal(inpaint.with_rim(mask, 0), mask)
