"""Motion that a network draws: what it is shown, and what becomes of its spectrum."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from archive_restore.imaging.learned_motion import LearnedMotion, chance, volume
from archive_restore.imaging.motion import PRESETS, Moving, SpectralMotion
from archive_restore.imaging.motion_spectra import EDGE, GRID, KINDS, PERIODS, SECONDS, planes_of, spectrum_of

SHAPE, FRAMES, RATE = (240, 320), 48, 24
Floats = NDArray[np.float32]


def region(kind: str = "grass", amplitude: float = 2.0) -> Moving:
    drawn = np.zeros(SHAPE, np.uint8)
    drawn[40:200, 120:240] = 255
    return Moving(spectrum=PRESETS[kind], mask=drawn, amplitude=amplitude)


def still() -> NDArray[np.uint8]:
    samples = np.zeros((*SHAPE, 3), np.uint8)
    samples[:, 180:] = (0, 255, 0)
    return samples


def drawn(planes: Floats) -> Floats:
    """A network whose spectrum is smooth and follows the noise it is given."""
    rng = np.random.default_rng(int(planes[0, -1, 0, 0] * 2**24))
    y, x = np.mgrid[:GRID, :GRID] / GRID
    phases = rng.uniform(0, 6, (4 * len(PERIODS), 1, 1))
    return np.sin(phases + 3 * x + 2 * y)[None].astype(np.float32)


def source(predict: Callable[[Floats], Floats] = drawn, *regions: Moving, seed: int = 3, loops: bool = True):
    return LearnedMotion(
        still(), predict, regions or (region(),), frames=FRAMES, rate=RATE, seed=seed, loops=loops
    )  # fmt: skip


def test_a_spectrum_is_the_same_after_it_was_planes():
    rng = np.random.default_rng(1)
    spectrum = (rng.normal(size=(3, 4, 5, 2)) + 1j * rng.normal(size=(3, 4, 5, 2))).astype(np.complex64)
    planes = planes_of(spectrum)
    assert planes.shape == (12, 4, 5)
    assert np.array_equal(planes[5], spectrum[1, ..., 0].imag)
    assert np.array_equal(spectrum_of(planes), spectrum)


def test_the_network_is_shown_the_square_around_a_region_its_kind_and_even_noise():
    seen: list[Floats] = []

    def predict(planes: Floats) -> Floats:
        seen.append(planes)
        return drawn(planes)

    source(predict, region("grass"), region("water"))
    assert [planes.shape for planes in seen] == [(1, 2 + len(KINDS) + 1, EDGE, EDGE)] * 2
    luma, mask, *kinds, noise = seen[0][0]
    assert [plane.mean() for plane in kinds] == [float(name == "grass") for name in KINDS]
    # The region, less a border of a cell, is 152 pixels high: a square of columns 104 to 256, green from 180 on.
    assert luma[:, : EDGE // 2 - 2].max() == 0
    assert luma[:, EDGE // 2 + 2 :].min() == pytest.approx(0.587, abs=0.01)
    assert mask[:, :5].max() == 0
    assert mask[8:-8, 10:-10].min() == 1
    assert abs(noise.mean() - 0.5) < 0.02
    assert not np.array_equal(noise, seen[1][0, -1])


def test_a_loop_closes_to_the_last_bit_and_nothing_moves_outside():
    made = source()
    assert np.array_equal(made.at(FRAMES).flow, made.at(0).flow)
    flows = np.stack([made.at(n).flow for n in range(FRAMES)])
    coarse = region().mask.reshape(60, 4, 80, 4).min(axis=(1, 3)) > 0
    assert np.abs(flows[:, ~coarse]).max() == 0
    moving = made.at(0).alpha > 0
    rms = np.sqrt((flows[:, moving] ** 2).sum(axis=-1).mean())
    assert rms == pytest.approx(2.0 * PRESETS["grass"].strength, rel=0.02)


def test_the_seed_decides_and_nothing_else():
    first, again, other = (source(seed=seed).at(5).flow.copy() for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert chance(3, 0)[0, 0] == chance(3, 0)[0, 0] != chance(3, 1)[0, 0]


def test_a_clip_that_does_not_loop_begins_and_ends_at_rest():
    made = source(loops=False)
    assert np.abs(made.at(0).flow).max() == np.abs(made.at(FRAMES - 1).flow).max() == 0


def test_what_was_not_learnt_moves_as_it_always_did():
    refuse: Callable[[Floats], Floats] = lambda planes: pytest.fail("hair was not learnt")  # noqa: E731
    made = source(refuse, region("hair"))
    plain = SpectralMotion(SHAPE, [region("hair")], frames=FRAMES, rate=RATE, seed=3)
    assert np.array_equal(made.at(7).flow, plain.at(7).flow)


@pytest.mark.parametrize("seconds", [1.0, 12.0, 16.0, 60.0])
def test_every_period_turns_a_whole_number_of_times_and_what_goes_one_way_is_taken_from_the_other(seconds: float):
    """A displacement of Re(X·exp(iωt)) is shown by looking up that much behind."""
    spectrum = np.zeros((len(PERIODS), GRID, GRID, 2), np.complex64)
    which = 8
    spectrum[which, ..., 0] = 0.3 - 0.4j
    made = volume(spectrum, GRID, slice(4, 20), slice(0, GRID), seconds)
    assert made.parts.shape == (2 * len(made.harmonics), 16, GRID, 2)
    assert list(made.harmonics) == sorted(set(made.harmonics))
    assert made.harmonics[0] >= 1
    turn = max(1, round(PERIODS[which] / SECONDS * seconds))
    at = 2 * made.harmonics.index(turn)
    angle = 1.1
    moved = -(made.parts[at, ..., 0] * np.cos(angle) + made.parts[at + 1, ..., 0] * np.sin(angle))
    assert np.allclose(moved, ((0.3 - 0.4j) * np.exp(1j * angle)).real, atol=1e-5)
    assert np.abs(made.parts[..., 1]).max() == 0
