"""Smooth maps and smooth fields: for joining pictures."""

from __future__ import annotations

import numpy as np
import pytest

from archive_restore.imaging.membrane import mean_of, spread, weighted_mean
from archive_restore.imaging.thin_plate import ThinPlate


def test_a_slope_is_carried_through_a_hole() -> None:
    y, x = np.mgrid[0:90, 0:120].astype(np.float32)
    slope = np.stack([x / 120, 0.5 - y / 300], axis=2)
    hole = np.zeros((90, 120), np.bool_)
    hole[20:70, 30:90] = True
    broken = slope.copy()
    broken[hole] = 9
    carried = spread(broken, ~hole, hole)
    assert np.abs(carried - slope).max() < 2e-3
    assert np.array_equal(carried[~hole], slope[~hole])


def test_what_is_neither_known_nor_free_is_a_wall() -> None:
    values = np.zeros((40, 60, 1), np.float32)
    known, free = np.zeros((40, 60), np.bool_), np.full((40, 60), True)
    values[:, 0], known[:, 0] = 1, True
    values[:, -1], known[:, -1] = -1, True
    free[:, 30] = False
    carried = spread(values, known, free)
    assert carried[:, 1:30] == pytest.approx(1, abs=0.03)
    assert carried[:, 31:-1] == pytest.approx(-1, abs=0.03)
    assert not carried[:, 30].any()


def test_what_is_carried_fades_with_the_distance() -> None:
    values, known = np.zeros((20, 200, 1), np.float32), np.zeros((20, 200), np.bool_)
    values[:, 0], known[:, 0] = 1, True
    row = spread(values, known, ~known, reach=10.0)[10, :, 0]
    assert row[10] == pytest.approx(np.exp(-1), abs=0.03)
    assert row[60] < 0.01


def test_without_anything_known_there_is_nothing() -> None:
    free = np.full((30, 30), True)
    assert not spread(np.ones((30, 30, 3), np.float32), ~free, free).any()


def test_means_count_what_they_may() -> None:
    values = np.full((50, 50, 1), 0.25, np.float32)
    values[20:30] = 5
    where = np.full((50, 50), True)
    where[20:30] = False
    assert mean_of(values, where, 4.0) == pytest.approx(0.25, abs=1e-5)
    half = weighted_mean(values, np.where(where, 1, 0.5)[..., None].astype(np.float32), 4.0)
    assert 0.25 < half[25, 25, 0] < 5
    assert not mean_of(values, np.zeros((50, 50), np.bool_), 4.0).any()


def test_a_plate_goes_through_its_points_and_bends_between() -> None:
    rng = np.random.default_rng(0)
    at = rng.uniform(-1, 1, (40, 2))
    turned = at @ np.array([[0.9, 0.2], [-0.2, 0.9]]) + (0.3, -0.1)
    between = rng.uniform(-1, 1, (30, 2))
    affine = ThinPlate(at, turned, 0.1)
    assert affine(between) == pytest.approx(between @ np.array([[0.9, 0.2], [-0.2, 0.9]]) + (0.3, -0.1), abs=1e-9)
    bent = turned + 0.1 * np.sin(3 * at)
    assert ThinPlate(at, bent)(at) == pytest.approx(bent, abs=1e-8)
    smooth = np.abs(ThinPlate(at, bent, 1.0)(at) - bent).max()
    assert 1e-4 < smooth < 0.2
