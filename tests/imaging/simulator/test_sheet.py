"""Sheets: what is drawn covers as much as it is wide, crossings show the stronger, bands leave no seam."""

from __future__ import annotations

import numpy as np
import pytest

from archive_restore.imaging.simulator.sheet import WIDEST, Sheet


def drawn(sheet: Sheet) -> np.ndarray:
    whole = np.zeros((sheet.height, sheet.width), np.float32)
    found = sheet.render()
    if found is not None:
        whole[found[1]] = found[0]
    return whole


@pytest.mark.parametrize("width", [0.3, 0.7, 1.0, 1.6, 3.0, 7.5, 20.0, WIDEST])
@pytest.mark.parametrize("angle", [0.0, 0.4, np.pi / 2])
def test_a_stroke_covers_its_width(width: float, angle: float) -> None:
    sheet = Sheet(160, 160)
    along = np.array([np.cos(angle), np.sin(angle)])
    sheet.path(np.array([80.2, 80.3]) + np.linspace(-200, 200, 41)[:, None] * along, width, 1.0)
    plane = drawn(sheet)
    # The sum over a column (or row) is the width over the cosine of the slope.
    across = plane[:, 60:100].sum(0).mean() * np.cos(angle) if angle < 1 else plane[60:100].sum(1).mean()
    # Fine strokes are exact, broad ones to half of two sub-pixels.
    assert across == pytest.approx(width, rel=0.04, abs=0.06 if width < 2.25 else 0.26)


def test_crossings_show_the_stronger() -> None:
    for first, second in ((0.3, 0.8), (0.8, 0.3)):
        sheet = Sheet(40, 40)
        sheet.path(np.array([[0.0, 20.0], [40.0, 20.0]]), 6, first)
        sheet.path(np.array([[20.0, 0.0], [20.0, 40.0]]), 6, second)
        sheet.polygon(np.array([[18.0, 18.0], [22.0, 18.0], [22.0, 22.0], [18.0, 22.0]]), 0.5)
        assert drawn(sheet)[20, 20] == pytest.approx(0.8, abs=0.01)


def test_bands_leave_no_seam() -> None:
    sheet = Sheet(700, 60)
    sheet.path(np.array([[30.0, -10.0], [30.0, 710.0]]), 3.0, 0.9)
    turn = np.linspace(0, 2 * np.pi, 60)
    sheet.polygon(np.stack([20 + 9 * np.cos(turn), 256 + 60 * np.sin(turn)], 1), 0.5)
    plane = drawn(sheet)
    assert np.ptp(plane[:, 29:32], axis=0).max() == 0
    left = plane[200:312, 5:28]
    assert np.abs(np.diff(left.sum(1))).max() < 1.0


def test_what_lies_outside_is_not_drawn() -> None:
    sheet = Sheet(40, 40)
    assert not sheet
    sheet.path(np.array([[100.0, 5.0], [200.0, 5.0]]), 3.0, 1.0)
    assert sheet
    assert sheet.render() is None
    sheet.path(np.array([[-500.0, 20.0], [500.0, 20.0]]), 2.0, 1.0)
    assert drawn(sheet)[20].min() > 0.5


def test_a_shifted_copy_is_the_same_elsewhere() -> None:
    sheet = Sheet(40, 60)
    sheet.path(np.array([[10.0, 10.0], [20.0, 30.0]]), 3.0, 1.0)
    sheet.polygon(np.array([[5.0, 5.0], [9.0, 5.0], [7.0, 12.0]]), 0.6)
    moved = drawn(sheet.shifted(np.array([20.0, 3.0])))
    assert np.array_equal(moved[3:, 20:], drawn(sheet)[:-3, :-20])
