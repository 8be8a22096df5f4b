"""Marks have physical sizes: at twice the resolution they are twice as large, and there are as many of them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from archive_restore.imaging.simulator.settings import SimulatedClass, only
from archive_restore.imaging.simulator.simulate import simulate


def sizes(kind: SimulatedClass, dpi: float, centimetres: float = 2.0, rate: float = 4.0) -> tuple[np.ndarray, int]:
    """Widths in px of the marks on a square plate at that resolution, and how many pieces there were."""
    side = round(dpi / 2.54 * centimetres)
    plate = np.full((side, side, 1), 0.35, np.float32)
    plate[:, : side // 40] = 0.05
    plate[:, -side // 40 :] = 0.95
    widths, pieces = [], 0
    for seed in range(8):
        made = simulate(plate, seed, only(kind, rate, dpi=dpi, bright=1.0, edges=0.0))
        mask = (made.damage > 0).astype(np.uint8)
        inside = cv2.distanceTransform(mask, cv2.DIST_L2, 5)
        crest = (inside >= cv2.dilate(inside, np.ones((3, 3), np.uint8))) & (inside > 0)
        widths.append(2 * inside[crest] - 1)
        pieces += cv2.connectedComponents(mask)[0] - 1
    return np.concatenate(widths), pieces


@pytest.mark.parametrize(
    ("kind", "dpi", "centimetres", "rate"),
    [
        (SimulatedClass.DUST, 400, 2.0, 4.0),
        (SimulatedClass.HAIR, 900, 0.9, 40.0),
        (SimulatedClass.CRACK, 400, 2.0, 30.0),
    ],
    ids=["dust", "hair", "crack"],
)
def test_widths_grow_with_resolution(kind: SimulatedClass, dpi: float, centimetres: float, rate: float) -> None:
    coarse, few = sizes(kind, dpi, centimetres, rate)
    fine, many = sizes(kind, 3 * dpi, centimetres, rate)
    # The bodies of the marks: their ends are hairlines, which the scan's blur widens, hence less than three.
    ratio = np.percentile(fine, 90) / np.percentile(coarse, 90)
    assert 1.7 < ratio < 3.6
    assert few > 10
    assert 0.5 < many / few < 3.0  # at the higher resolution fainter ones can be seen


def test_from_hairlines_to_broad_cracks() -> None:
    fine, _ = sizes(SimulatedClass.SCRATCH, 300)
    broad, _ = sizes(SimulatedClass.CRACK, 1200)
    assert np.median(fine) < 3.5
    assert np.max(broad) > 30
