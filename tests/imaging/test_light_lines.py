"""Long light lines that go on as part of the picture are told from scratches, and a boat keeps its pole."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from archive_restore.imaging.light_lines import AROUND, REACH, part_of_picture
from tests.benchmarks.models import RESTORE
from tests.conftest import PHOTOGRAPHS
from tests.support.synthetic_damage import luma_of


@dataclass(kw_only=True)
class Scene:
    """A light line from (40, 20) to (90, 180) on gray, of which a detector takes the lower part for damage."""

    luma: NDArray[np.float32]
    chance: NDArray[np.float32]
    marked: NDArray[np.bool_]
    long: NDArray[np.bool_]

    def left(self) -> float:
        """Share of the mark that is called part of the picture."""
        return float(part_of_picture(self.luma, self.marked, self.chance, self.long)[self.long].mean())


def scene(*, chance: float = 0.8, beyond: float = 0.1, fades: float = 1.0, ends: bool = False) -> Scene:
    noise = np.random.default_rng(3).normal(0, 0.01, (200, 140)).astype(np.float32)
    line = cv2.line(np.zeros((200, 140), np.uint8), (40, 20), (90, 180), 1, 3) > 0
    marked = line & (np.arange(200) >= 140)[:, None]
    rest = line & ~marked
    luma = 0.4 + noise + np.float32(0.3) * marked
    if not ends:
        luma = luma + np.float32(0.3 * fades) * rest
    return Scene(
        luma=luma.astype(np.float32),
        chance=(chance * marked + beyond * rest).astype(np.float32),
        marked=marked,
        long=marked.copy(),
    )


def test_a_piece_of_a_line_that_goes_on_is_part_of_the_picture() -> None:
    assert scene().left() > 0.95
    assert scene(fades=0.9, beyond=0.4).left() > 0.95


def test_what_ends_fades_or_is_suspected_beyond_is_none() -> None:
    assert scene(ends=True).left() == 0
    assert scene(fades=0.3).left() == 0
    assert scene(beyond=0.6).left() == 0


def test_a_line_that_is_sure_or_lies_in_texture_counts() -> None:
    assert scene(chance=0.9).left() == 0
    busy = scene()
    busy.luma += np.random.default_rng(4).normal(0, 0.3, busy.luma.shape).astype(np.float32)
    assert busy.left() == 0


def test_a_crossing_line_is_not_the_line_that_goes_on() -> None:
    crossed = scene(ends=True)
    crossed.luma[158:161, :] = 0.9
    assert crossed.left() == 0


def test_tiles_agree_with_the_whole() -> None:
    whole = scene()
    found = part_of_picture(whole.luma, whole.marked, whole.chance, whole.long)
    rows, side = slice(150, 170), REACH + AROUND
    part = slice(rows.start - side, 200)
    tile = part_of_picture(whole.luma[part], whole.marked[part], whole.chance[part], whole.long[part])
    assert np.array_equal(tile[side : side + 20], found[rows])
    assert found[rows].any()


@pytest.mark.parametrize("edge", [640])
def test_a_boat_keeps_its_pole(edge: int) -> None:
    """Its lower end, and what the water shows of it, were taken for a scratch and filled."""
    pytest.importorskip("torch")
    whole = cv2.imread(str(PHOTOGRAPHS / "nagasaki-boats.jpg"), cv2.IMREAD_COLOR_RGB)
    assert whole is not None
    factor = edge / max(whole.shape[:2])
    small = cv2.resize(whole, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)[224:448, 240:480]
    assert not RESTORE(luma_of(small.astype(np.float32) / 255))[100:180, 100:150].any()
