"""Hard negatives belong to the scene: they are in both pictures and never in the truth."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from archive_restore.imaging.simulator import scene as scene_module
from archive_restore.imaging.simulator.scene import add_hard_negatives, lens_blur
from archive_restore.imaging.simulator.settings import NO_AGEING, SimulatedClass, SimulatorSettings, typical
from archive_restore.imaging.simulator.simulate import simulate
from tests.imaging.simulator.scenes import scene


@pytest.mark.parametrize("channels", [1, 3])
def test_hard_negatives_are_never_in_the_truth(channels: int) -> None:
    picture = scene(channels=channels)
    changed = 0
    for seed in range(12):
        made = simulate(picture, seed, SimulatorSettings(rates={}, ageing=NO_AGEING, hard_negatives=6.0))
        assert not made.damage.any()
        assert np.array_equal(made.damaged, made.clean)
        changed += int((np.abs(made.clean - picture).max(2) > 0.1).sum())
    assert changed > 2000


def test_damage_lies_on_top_of_them() -> None:
    picture = scene()
    rates = {SimulatedClass.SCRATCH: 8.0, SimulatedClass.DUST: 3.0}
    for seed in range(6):
        made = simulate(picture, seed, SimulatorSettings(rates=rates, ageing=NO_AGEING, hard_negatives=6.0))
        assert np.array_equal(made.damage > 0, np.abs(made.damaged - made.clean).max(2) >= made.visible)


@pytest.mark.parametrize("thing", range(len(scene_module._THINGS)), ids=lambda i: scene_module._THINGS[i][0].__name__)
def test_each_thing_can_be_drawn_and_stays_in_range(thing: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scene_module, "_WEIGHTS", np.eye(len(scene_module._THINGS))[thing])
    picture, changed = scene(channels=3), 0
    for seed in range(6):
        made = add_hard_negatives(picture, 8.0, np.random.default_rng(seed))
        assert made.shape == picture.shape
        assert made.dtype == np.float32
        assert 0 <= made.min() <= made.max() <= 1
        changed += int((np.abs(made - picture).max(2) > 0.06).sum())
    assert changed > 100


@pytest.mark.parametrize("sigma", [0.7, 1.2, 2.0])
def test_the_lens_blur_is_measured(sigma: float) -> None:
    plane = np.zeros((200, 200), np.float32)
    cv2.fillPoly(plane, [np.array([[20, 30], [170, 50], [150, 180], [40, 150]])], 1.0)
    assert lens_blur(cv2.GaussianBlur(plane, (0, 0), sigma)) == pytest.approx(sigma, rel=0.25)


def test_no_rate_no_thing() -> None:
    picture = scene()
    assert add_hard_negatives(picture, 0.0, np.random.default_rng(0)) is picture


def test_typical_settings_vary() -> None:
    drawn = [typical(seed) for seed in range(200)]
    assert 75 <= min(s.dpi for s in drawn) < 120 < 800 < max(s.dpi for s in drawn) <= 1200
    assert {s.hard_negatives > 0 for s in drawn} == {True, False}
    undamaged = sum(not any(s.rates.values()) for s in drawn)
    assert 5 <= undamaged <= 40
    assert typical(3) == typical(3)
