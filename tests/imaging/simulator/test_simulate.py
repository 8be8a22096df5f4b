"""The simulator's promises: equal arguments, equal results; the truth is true; each class alone; both polarities."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from archive_restore.imaging.simulator.settings import (
    CLASSES,
    DENSITY,
    NO_AGEING,
    SimulatedClass,
    SimulatorSettings,
    only,
    typical,
)
from archive_restore.imaging.simulator.simulate import Simulated, simulate
from tests.imaging.simulator.scenes import scene

CROWDED = 3.0  # expected marks a picture of the tests


def crowded(kind: SimulatedClass, dpi: float = 300.0, **others: object) -> SimulatorSettings:
    """One class, so dense that a small picture shows it."""
    centimetres = 200 * 240 / (dpi / 2.54) ** 2
    return only(kind, CROWDED / (DENSITY[kind] * centimetres), dpi=dpi, **others)


def change(made: Simulated) -> np.ndarray:
    return np.abs(made.damaged - made.clean).max(2)


@pytest.mark.parametrize("channels", [1, 3])
def test_equal_arguments_give_equal_results(channels: int) -> None:
    picture = scene(channels=channels)
    before = picture.copy()
    first, second = (simulate(picture, 11, typical(11)) for _ in range(2))
    assert np.array_equal(picture, before)
    for name in ("damaged", "clean", "damage", "opacity"):
        assert np.array_equal(getattr(first, name), getattr(second, name)), name
    other = simulate(picture, 12, typical(11))
    assert not np.array_equal(first.damaged, other.damaged)


@pytest.mark.parametrize("channels", [1, 3])
def test_shapes_types_and_ranges_of_many_examples(channels: int) -> None:
    picture = scene(128, 160, channels)
    for seed in range(40):
        made = simulate(picture, seed, typical(seed))
        for plane in (made.damaged, made.clean):
            assert plane.shape == picture.shape
            assert plane.dtype == np.float32
            assert 0 <= plane.min() <= plane.max() <= 1
        assert made.damage.shape == made.opacity.shape == picture.shape[:2]
        assert (made.damage.dtype, made.opacity.dtype) == (np.uint16, np.float32)
        assert 0 <= made.opacity.min() <= made.opacity.max() <= 1
        assert not (made.damage & ~np.uint16(sum(CLASSES))).any()


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.name)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_class_alone_sets_only_its_bit_and_the_truth_is_what_changed(kind: SimulatedClass, channels: int) -> None:
    picture = scene(channels=channels)
    marked = 0
    for seed in range(12):
        made = simulate(picture, seed, crowded(kind))
        assert set(np.unique(made.damage)) <= {0, int(kind)}
        damaged = made.damage > 0
        assert np.array_equal(damaged, change(made) >= made.visible)  # without noise and coding: exactly
        assert (made.opacity[damaged] > 0).all()
        marked += int(damaged.sum())
    assert marked > 200


def test_the_truth_stays_true_under_ageing_without_coding() -> None:
    picture = scene(channels=3)
    for seed in range(10):
        settings = typical(seed)
        settings = replace(settings, ageing=replace(settings.ageing, jpeg=0.0))
        made = simulate(picture, seed, settings)
        # The scan's noise is the same in both, so only clipping to [0, 1] can lessen a change.
        assert change(made)[made.damage == 0].max(initial=0) < made.visible + 1e-5
        assert np.median(change(made)[made.damage > 0]) > made.visible if made.damage.any() else True


@pytest.mark.parametrize(
    "kind",
    [SimulatedClass.SCRATCH, SimulatedClass.HAIR, SimulatedClass.DUST, SimulatedClass.CRACK],
    ids=lambda k: k.name,
)
def test_both_polarities(kind: SimulatedClass) -> None:
    picture = np.full((200, 240, 1), 0.5, np.float32)
    picture[:, :40] = 0.05  # so that the picture has a black and a white
    picture[:, 200:] = 0.95
    lighter: dict[float, list[int]] = {0.0: [], 1.0: []}
    for bright, found in lighter.items():
        for seed in range(10):
            made = simulate(picture, seed, crowded(kind, bright=bright))
            sign = (made.damaged - made.clean)[:, 40:200, 0][made.damage[:, 40:200] > 0]
            found += np.sign(sign).astype(int).tolist()
    assert np.mean(np.array(lighter[1.0]) > 0) > 0.8  # flanks and shadows of a mark have the other sign
    assert np.mean(np.array(lighter[0.0]) < 0) > 0.6


def test_no_rates_no_damage() -> None:
    made = simulate(scene(), 3, SimulatorSettings(rates={}, hard_negatives=2.0))
    assert not made.damage.any()
    assert not made.opacity.any()
    assert np.array_equal(made.damaged, made.clean)


def test_ageing_off_leaves_the_picture() -> None:
    picture = scene(channels=3)
    made = simulate(picture, 3, SimulatorSettings(rates={}, ageing=NO_AGEING, hard_negatives=0.0))
    assert np.array_equal(made.clean, picture)


def test_a_class_more_leaves_the_others_where_they_were() -> None:
    picture = scene()
    alone = simulate(picture, 5, crowded(SimulatedClass.HAIR))
    rates = dict(crowded(SimulatedClass.HAIR).rates) | {SimulatedClass.DUST: 20.0}
    both = simulate(picture, 5, SimulatorSettings(rates=rates, ageing=NO_AGEING, hard_negatives=0.0))
    hair = alone.damage > 0
    assert hair.any()
    assert (both.damage[hair] & SimulatedClass.HAIR > 0).mean() > 0.9


@pytest.mark.parametrize(
    "wrong",
    [np.zeros((40, 40), np.float32), np.zeros((40, 40, 2), np.float32), np.zeros((8, 40, 1), np.float32)],
    ids=["no channels", "two channels", "too small"],
)
def test_wrong_shapes_are_refused(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match="shape"):
        simulate(wrong, 0, SimulatorSettings())


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="float32"):
        simulate(np.zeros((40, 40, 1)), 0, SimulatorSettings())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="dpi"):
        SimulatorSettings(dpi=3)
    with pytest.raises(ValueError, match="bright"):
        SimulatorSettings(bright=1.5)
    with pytest.raises(ValueError, match="negative"):
        SimulatorSettings(rates={SimulatedClass.DUST: -1})
    with pytest.raises(ValueError, match="one single class"):
        SimulatorSettings(rates={SimulatedClass.DUST | SimulatedClass.HAIR: 1})
