"""How films and prints are computed from curves and dyes: `models.palettes.reduce`, without the packages it reads."""

from __future__ import annotations

import numpy as np
import pytest

from models.palettes import reduce

LINE = [np.array([[-3.0, 0.0], [0.0, 3.0]])] * 3
"""Density rises by one a decade."""
WIDTH = len(reduce.WAVELENGTHS)


def thirds(overlap: float) -> np.ndarray:
    """Three sensors or dyes (3, w) of a third of the spectrum each, red to blue, and so much of the others."""
    at = np.arange(WIDTH) * 3 // WIDTH
    return np.array([np.where(at == layer, 1.0, overlap) for layer in (2, 1, 0)])


def test_a_layer_makes_dye_as_in_a_gray_of_its_exposure():
    exposed = np.array([[0.0, 0.5, -0.5]])
    assert reduce.developed(LINE, 1.0, exposed)[0] == pytest.approx((1.0, 1.5, 0.5))
    falling = [np.array([[-3.0, 3.0], [0.0, 0.0]])] * 3
    assert reduce.developed(falling, 1.0, exposed)[0] == pytest.approx((1.0, 0.5, 1.5)), "of a reversal film"
    assert reduce.density_above_gray(LINE, exposed)[0] == pytest.approx((0.0, 0.5, -0.5))


def test_exposure_is_told_from_that_of_a_gray():
    spectra = np.array([np.full(WIDTH, 0.184), np.full(WIDTH, 1.0), 0.184 * thirds(0)[0]])
    gray, white, red = reduce.stops(thirds(0), spectra)
    assert gray == pytest.approx(0) and white == pytest.approx(-np.log10(0.184))
    assert red[0] == pytest.approx(0) and red[1:].max() < -5


def test_without_masks_the_print_sees_every_dye_but_grays_keep_their_slope():
    eye = thirds(0) / thirds(0).sum(axis=1, keepdims=True)
    scale = 0.6 + 0.65 * np.array([[-0.5] * 3, [0.0] * 3, [0.5] * 3, [0.5, 0.0, 0.0]])
    pure, impure = (reduce.unmasked_above_gray(thirds(overlap), eye, scale) for overlap in (0.0, 0.2))
    for found in (pure, impure):
        assert found[:3] == pytest.approx(np.array([[-0.325] * 3, [0] * 3, [0.325] * 3]), abs=1e-6)
    assert pure[3] == pytest.approx((0.325, 0, 0), abs=1e-6)
    assert impure[3, 0] < 0.25 and impure[3, 1] == pytest.approx(impure[3, 2]) and impure[3, 1] > 0.03


def test_a_print_of_three_unlike_curves_keeps_its_grays():
    curves = [np.array([[-3.0, 0.0], [0.0, 3.0 * steeper]]) for steeper in (0.8, 1.0, 1.2)]
    mean = reduce.even(curves, 1.0)
    parts = reduce.developed(mean, 1.0, np.full((1, 3), 0.3))
    assert np.ptp(parts) < 1e-9 and 1.28 < parts[0, 0] < 1.32
