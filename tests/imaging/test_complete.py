"""Large losses: only the mask changes, texture and edges go on, alternatives differ, nothing hidden is copied."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from archive_restore.errors import ModelUnusable, UsageError
from archive_restore.imaging import exemplars
from archive_restore.imaging.complete import complete, complete_by_network, pasted
from archive_restore.records.imagery import PixelFlag
from tests.benchmarks.fit_damage_scores import photograph


def new(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    return np.full(shape, 77).astype(dtype)


def disc(height: int, width: int, row: int, column: int, radius: int) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    return np.hypot(rows - row, columns - column) <= radius


def cloth(height: int = 160, width: int = 180, seed: int = 2) -> np.ndarray:
    """A random texture of coarse threads, float32 (h, w, 1) around 0.5."""
    noise = np.random.default_rng(seed).normal(0, 1, (height, width))
    made = cv2.GaussianBlur(noise, (0, 0), 1.5)
    return (0.5 + 0.12 * made / made.std()).astype(np.float32).clip(0, 1)[:, :, None]


def best(samples: np.ndarray, mask: np.ndarray, **options: Any) -> np.ndarray:
    return pasted(samples, complete(samples, mask, new=new, **options).alternatives[0], new)


@pytest.mark.parametrize(("dtype", "white"), [(np.uint8, 255), (np.uint16, 65535), (np.float32, 1)])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_only_the_mask_changes(dtype: Any, white: float, channels: int):
    given = (np.concatenate([cloth(seed=seed) for seed in range(channels)], axis=2) * white).astype(dtype)
    mask = disc(160, 180, 80, 90, 20)
    holed = given.copy()
    holed[mask] = 0
    before = holed.copy()
    holed.flags.writeable = False
    done = complete(holed, mask, new=new, picture=None if channels < 4 else (0, 1, 2))
    made = pasted(holed, done.alternatives[0], new)
    assert made.dtype == dtype
    assert np.array_equal(made[~mask], given[~mask])
    assert np.array_equal(holed, before)
    assert (made[mask] != 0).mean() > 0.99
    assert done.flags == PixelFlag.INTERPOLATED
    for plane in (done.error, done.doubt):
        assert (plane[mask] > 0).all() and not plane[~mask].any()
    assert done.doubt[80, 90] > done.doubt[80, 109]
    assert not done.disagreement.any()


def test_what_lies_under_the_mask_does_not_matter():
    given, mask = cloth(), disc(160, 180, 80, 90, 20)
    other = given.copy()
    other[mask] = np.random.default_rng(1).random((int(mask.sum()), 1), np.float32)
    other[80, 90] = np.nan
    assert np.array_equal(best(given, mask)[mask], best(other, mask)[mask])


def test_texture_goes_on_instead_of_fading():
    given, mask = cloth(), disc(160, 180, 80, 90, 30)
    coded = (given * 255).astype(np.uint8)
    made = best(coded, mask)[:, :, 0].astype(float)
    plain = cv2.inpaint(coded[:, :, 0], mask.astype(np.uint8), 5, cv2.INPAINT_TELEA).astype(float)
    inner = disc(160, 180, 80, 90, 24)
    truth = coded[:, :, 0].astype(float)
    for measure in (np.std, lambda values: np.abs(values - np.median(values)).mean()):
        assert measure(made[inner]) == pytest.approx(measure(truth[inner]), rel=0.3)
        assert measure(plain[inner]) < 0.6 * measure(truth[inner])
    steps = [np.abs(np.diff(one, axis=1))[inner[:, 1:]].mean() for one in (made, truth, plain)]
    assert steps[0] == pytest.approx(steps[1], rel=0.3)
    assert steps[2] < 0.5 * steps[1]


def test_no_block_is_repeated():
    given, mask = cloth(), disc(160, 180, 80, 90, 30)
    padded = exemplars.match(given, mask, ~mask, exemplars.Taste())
    assert padded is not None
    rows, columns = np.nonzero(mask)
    steps = padded.shifts[rows, columns]
    taken = np.stack([rows, columns], axis=1) + steps
    assert not mask[taken[:, 0], taken[:, 1]].any()
    _, times = np.unique(taken, axis=0, return_counts=True)
    assert len(times) > 0.6 * mask.sum()
    assert times[times > 6].sum() < 0.02 * mask.sum()


def test_an_edge_and_stripes_go_on():
    rows, columns = np.mgrid[:160, :200]
    noise = np.random.default_rng(3).normal(0, 0.01, (160, 200))
    picture = np.where(rows < 70, 0.8, np.where(columns // 8 % 2 == 0, 0.3, 0.15)) + noise
    given = np.repeat(picture[:, :, None], 3, axis=2).astype(np.float32)
    mask = disc(160, 200, 75, 100, 28)
    made = best(given, mask)
    apart = np.abs(made - given).max(axis=2)
    near = np.abs(rows - 70) <= 3
    assert (apart[mask & ~near] < 0.06).mean() > 0.9
    assert np.abs((made[:, 80:120, 0] > 0.55).sum(axis=0) - 70).max() <= 6


def test_tones_meet_at_the_rim():
    rows, columns = np.mgrid[:200, :200]
    random = np.random.default_rng(3)
    given = (0.2 + 0.5 * columns / 200 + 0.1 * rows / 200 + random.normal(0, 0.01, (200, 200))).astype(np.float32)
    mask = disc(200, 200, 100, 100, 40)
    made = best(given[:, :, None], mask)[:, :, 0]
    smooth = cv2.blur(made - given, (9, 9))
    assert np.abs(smooth[disc(200, 200, 100, 100, 42)]).max() < 0.05
    assert np.abs(smooth[disc(200, 200, 100, 100, 42) & ~disc(200, 200, 100, 100, 36)]).max() < 0.02


def test_the_same_seed_gives_the_same_and_another_place_something_else():
    given, mask = cloth(), disc(160, 180, 80, 90, 20)
    options: dict[str, Any] = {"count": 2, "seed": 5}
    first, again = (complete(given, mask, new=new, **options) for _ in range(2))
    for one, other in zip(first.alternatives, again.alternatives, strict=True):
        assert np.array_equal(one[0].samples, other[0].samples)
    other = complete(given, mask, new=new, count=2, seed=6)
    assert not np.array_equal(first.alternatives[1][0].samples, other.alternatives[1][0].samples)


def test_alternatives_differ_and_are_all_plausible():
    given, mask = cloth(), disc(160, 180, 80, 90, 30)
    done = complete(given, mask, new=new, count=4, seed=1)
    made = np.stack([pasted(given, one, new)[:, :, 0] for one in done.alternatives])
    assert np.array_equal(made[0], best(given, mask, seed=1)[:, :, 0])
    inner = disc(160, 180, 80, 90, 20)
    for number, one in enumerate(made):
        assert one[inner].std() == pytest.approx(given[:, :, 0][inner].std(), rel=0.35)
        for other in made[:number]:
            assert np.abs(one - other)[inner].mean() > 0.05
            assert np.array_equal(one[~mask], other[~mask])
    apart = 255 * (made.max(axis=0) - made.min(axis=0))
    assert np.abs(done.disagreement - apart).max() <= 1
    assert (done.doubt[mask] >= done.disagreement[mask]).all()
    assert done.disagreement[inner].mean() > 40


def test_nothing_unsound_and_nothing_of_another_hole_is_copied():
    given = np.repeat(cloth() * 0.5, 3, axis=2)
    unsound = np.zeros((160, 180), np.bool_)
    unsound[20:140, 5:50] = True
    given[unsound] = (1, 0, 0)
    mask = disc(160, 180, 80, 50, 15) | disc(160, 180, 80, 150, 10)
    given[mask] = (0, 1, 0)
    made = best(given, mask, unsound=unsound)
    assert np.abs(made[mask] - made[mask].mean(axis=1, keepdims=True)).max() < 0.01
    copied = best(given, mask)
    assert ((copied[mask][:, 0] - copied[mask][:, 1]) > 0.9).mean() > 0.1, "so the test can fail"
    assert (made[mask][:, 1] < 0.7).all(), "what was under the mask was green"


@pytest.mark.parametrize("place", ["corner", "edge", "band", "frame", "specks", "tiny", "thin"])
def test_holes_of_all_kinds(place: str):
    given = (np.repeat(cloth(), 3, axis=2) * 255).astype(np.uint8)
    mask = np.zeros(given.shape[:2], np.bool_)
    if place == "corner":
        mask[:50, -60:] = True
    elif place == "edge":
        mask[40:90, :30] = True
    elif place == "band":
        mask[70:95] = True
    elif place == "frame":
        mask[:] = True
        mask[15:-15, 15:-15] = False
    elif place == "specks":
        mask[np.random.default_rng(1).random(mask.shape) < 0.02] = True
    elif place == "tiny":
        given, mask = given[:9, :12], mask[:9, :12]
        mask[3:6, 4:8] = True
    elif place == "thin":
        mask[:, 80:83] = True
    holed = given.copy()
    holed[mask] = 0
    made = best(holed, mask)
    assert np.array_equal(made[~mask], given[~mask])
    assert made[mask].mean() == pytest.approx(given[mask].mean(), rel=0.2)


def test_a_picture_without_a_sound_patch_gets_a_smooth_guess():
    given = np.full((40, 40, 1), 0.25, np.float32)
    mask = disc(40, 40, 20, 20, 8)
    unsound = ~mask
    unsound[0] = False
    made = best(given, mask, unsound=unsound)
    assert np.allclose(made, 0.25, atol=1e-3)


def test_a_hole_too_large_to_be_matched_at_its_own_size():
    """Matched on a reduced picture, copied at full size: the finest threads are still there."""
    given = (cloth(700, 800) * 65535).astype(np.uint16)
    mask = disc(700, 800, 350, 400, 150)
    made = best(given, mask)[:, :, 0].astype(float)
    inner = disc(700, 800, 350, 400, 140)
    truth = given[:, :, 0].astype(float)
    for axis in (0, 1):
        steps = [
            np.abs(np.diff(one, axis=axis))[inner[1:] if axis == 0 else inner[:, 1:]].mean() for one in (made, truth)
        ]
        assert steps[0] == pytest.approx(steps[1], rel=0.15)
    assert made[inner].std() == pytest.approx(truth[inner].std(), rel=0.15)


@pytest.mark.parametrize("name", ["black-canyon", "march-pastoral"])
def test_the_expected_error_is_of_the_size_of_the_true_one(name: str):
    truth = photograph(name)
    ratios = []
    for row, column in ((150, 300), (300, 700), (350, 200)):
        mask = disc(*truth.shape[:2], row, column, 50)
        done = complete(truth, mask, new=new)
        made = pasted(truth, done.alternatives[0], new)
        ratios.append(done.error[mask].mean() / np.abs(made - truth)[mask].mean())
    assert 0.4 < np.median(ratios) < 2.5


def test_what_cannot_be_is_refused():
    given = cloth()
    mask = np.zeros((160, 180), np.bool_)
    mask[:100] = True
    with pytest.raises(UsageError, match="62% of the picture is missing"):
        complete(given, mask, new=new)
    with pytest.raises(UsageError, match="does not fit"):
        complete(given, mask[:80], new=new)
    with pytest.raises(UsageError, match="in 0 ways"):
        complete(given, mask & False, new=new, count=0)
    with pytest.raises(UsageError, match="make no picture"):
        complete(np.repeat(given, 4, axis=2), mask & False, new=new)


def test_nothing_masked_is_nothing_made():
    done = complete(cloth(), np.zeros((160, 180), np.bool_), new=new, count=2)
    assert done.alternatives == ((), ())
    assert not done.doubt.any() and not done.error.any()


# --- by a network ------------------------------------------------------------------------------------


class Painter:
    """A network that paints what it is told is true, lighter by a tenth, and remembers what it was given."""

    def __init__(self, truth: np.ndarray | None = None, planes: int = 3) -> None:
        self.truth, self.planes = truth, planes
        self.seen: list[np.ndarray] = []

    def __call__(self, given: np.ndarray) -> np.ndarray:
        self.seen.append(given.copy())
        assert given.dtype == np.float32
        made = given[:, : self.planes] + np.float32(0.1)
        if self.truth is not None:
            made[0] = (self.truth + np.float32(0.1)).transpose(2, 0, 1)[:, : made.shape[2], : made.shape[3]]
        return made


def test_a_network_sees_the_hole_and_its_tones_are_joined():
    rows, columns = np.mgrid[:200, :240]
    truth = (0.3 + 0.2 * np.sin(rows / 7) * np.cos(columns / 11)).astype(np.float32)[:, :, None].repeat(3, axis=2)
    mask = disc(200, 240, 100, 120, 40)
    painter = Painter(truth)
    holed = truth.copy()
    holed[mask] = 0
    done = complete_by_network(holed, mask, painter, new=new, multiple=8)
    made = pasted(holed, done.alternatives[0], new)
    assert done.flags == PixelFlag.SYNTHESIZED
    assert np.array_equal(made[~mask], truth[~mask])
    assert np.abs(made - truth).max() < 0.03, "painted a tenth too light"
    (given,) = painter.seen
    assert given.shape == (1, 4, 200, 240)
    assert np.array_equal(given[0, 3] > 0, mask)
    assert not given[0, :3, mask].any()
    assert (done.doubt[mask] > 0).all() and not done.doubt[~mask].any()


@pytest.mark.parametrize(
    ("sizes", "shape"),
    [
        ({"multiple": 64}, (192, 192)),
        ({"multiple": 8, "minimum": 512, "maximum": 512}, (512, 512)),
        ({"multiple": 16, "maximum": 96}, (96, 96)),
    ],
)
def test_a_network_is_given_sizes_that_it_takes(sizes: dict[str, int], shape: tuple[int, int]):
    given = (cloth(300, 400) * 65535).astype(np.uint16)
    mask = disc(300, 400, 150, 200, 20)
    painter = Painter()
    done = complete_by_network(given, mask, painter, new=new, **sizes)
    assert painter.seen[0].shape == (1, 4, *shape)
    made = pasted(given, done.alternatives[0], new)
    assert np.array_equal(made[~mask], given[~mask])
    assert made.dtype == np.uint16


def test_gray_is_given_three_times_or_once_and_inverted_the_right_way_round():
    given = cloth(100, 100)
    mask = disc(100, 100, 50, 50, 10)
    three, one, turned = Painter(), Painter(planes=1), Painter()
    made = pasted(given, complete_by_network(given, mask, three, new=new).alternatives[0], new)
    complete_by_network(given, mask, one, new=new, planes=1)
    assert three.seen[0].shape[1] == 4 and one.seen[0].shape[1] == 2
    assert np.allclose(three.seen[0][0, :3], one.seen[0][0, :1])
    back = complete_by_network(1 - given, mask, turned, new=new, inverted=True)
    assert np.allclose(turned.seen[0], three.seen[0], atol=1e-6)
    assert np.allclose(1 - pasted(1 - given, back.alternatives[0], new), made, atol=1e-5)


def test_a_network_that_breaks_its_promise_is_refused():
    given, mask = np.repeat(cloth(100, 100), 3, axis=2), disc(100, 100, 50, 50, 10)
    with pytest.raises(ModelUnusable, match="the network gave"):
        complete_by_network(given, mask, lambda planes: planes[:, :3, ::2], new=new)
    with pytest.raises(UsageError, match="cannot complete colour"):
        complete_by_network(given, mask, Painter(planes=1), new=new, planes=1)
