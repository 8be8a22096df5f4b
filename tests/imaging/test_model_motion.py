"""What models that move a still are shown, when their frames are seen, and what is made of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from archive_restore.core.canonical import from_plain
from archive_restore.core.model_contracts import card_problem, size_problem
from archive_restore.imaging import model_motion
from archive_restore.ports import Still
from archive_restore.records.models import ModelCard
from tests.support.tiny_models import mover_card

GRAY = {"meaning": "gray", "minimum": -1, "maximum": 1}


def card(gives: str = "image-to-video", **changes: Any) -> ModelCard:
    made = from_plain(ModelCard, mover_card(b"", gives, **changes))
    assert card_problem(made) == ""
    return made


@pytest.mark.parametrize("loops", [True, False])
@pytest.mark.parametrize(("count", "rate"), [(24, 24), (96, 24), (300, 30), (25, 25)])
def test_frames_go_there_and_back(count: int, rate: int, loops: bool):
    when = model_motion.turn(card(), count=count, rate=rate, loops=loops)
    seen = [when.at(frame) for frame in range(count + 1)]
    assert (seen[0], seen[count if loops else count - 1]) == (0, 0)
    assert 0 <= min(seen) <= max(seen) <= when.moments - 1
    assert max(seen) > when.moments - 1.5
    assert np.abs(np.diff(seen[:count])).max() <= 8 / rate * 1.4


@pytest.mark.parametrize("shape", [(300, 500), (3000, 500), (40, 41), (2000, 4000)])
def test_what_a_model_is_given_fits_its_card_and_is_the_whole_still(shape: tuple[int, int]):
    free = card(input__height=None, input__width=None, input__size_multiple=8, input__minimum_size=64)
    for told in (free, card()):
        size, shown = model_motion.model_size(told, *shape)
        assert size_problem(told.input, *size) == ""
        assert all(0 < part <= whole for part, whole in zip(shown, size, strict=True))
        assert abs(shown[0] / shown[1] - shape[0] / shape[1]) < 0.1 * shape[0] / shape[1] + 1 / min(shown)


def test_noise_is_the_seeds_and_the_picture_is_laid_over_its_range():
    told = card(input__planes=[GRAY, {"meaning": "noise"}], output__planes=[GRAY])
    still = np.full((32, 48, 3), 255, np.uint8)
    one, same, other = (model_motion.fitted(told, still, seed).planes for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one[:, 1], other[:, 1])
    assert one[:, 0].min() == pytest.approx(1, abs=1e-5)


def test_a_gray_model_changes_light_and_leaves_colour():
    told = card(input__planes=[GRAY], output__planes=[GRAY])
    samples = np.full((32, 48, 3), (200, 120, 60), np.uint8)
    still = Still(samples=samples, flags=np.zeros((32, 48), np.uint8))
    seen = model_motion.fitted(told, samples, 0)
    made = np.repeat(seen.planes, 5, axis=0)
    made[1:, :, :, 10:30] -= 0.2
    when = model_motion.turn(told, count=24, rate=24, loops=True)
    drawn = model_motion.Drawn(told, still, made, seen, when, None)
    (patch,) = drawn.patches(12)
    darker = samples[patch.top, patch.left].astype(int) - patch.samples[16, 12]
    assert np.ptp(darker) <= 1
    assert 20 < darker.mean() < 30
    assert drawn.where("film").box.right <= 34


def test_harmonics_loop_and_are_no_more_than_was_asked_for():
    told = card("harmonic")
    planes = np.random.default_rng(1).normal(0, 3, (1, 8, 32, 48)).astype(np.float32)
    fields = model_motion.harmonic_fields(planes)
    at = model_motion.harmonic_weights(2, 1.0, frames=48, rate=24, ease=0)
    seen = model_motion.fitted(replace(told), np.zeros((64, 96, 3), np.uint8), 0)
    mask = np.full((64, 96), 255, np.uint8)
    motion = model_motion.ModelMotion((64, 96), fields, at, seen, mask, 0.5, frames=48, kind="wind")
    assert np.array_equal(motion.at(0).flow, motion.at(48).flow)
    flows = np.stack([motion.at(frame).flow for frame in range(48)])
    moving = motion.at(0).alpha > 0
    assert np.sqrt((flows[:, moving] ** 2).sum(axis=-1).mean()) == pytest.approx(0.5, rel=0.02)
    assert motion.kinds == ("rest", "wind")
