"""What is compared is what a person sees: upright, 8 bits, of any depth and size."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from archive_restore.errors import PictureUnreadable
from archive_restore.imaging import seen as module
from archive_restore.imaging.seen import seen
from archive_restore.ports import PictureSource
from archive_restore.records.imagery import PictureFacts, Region, SampleRole

RGB = (SampleRole.RED, SampleRole.GREEN, SampleRole.BLUE)
RAMP = np.linspace(0, 1, 60 * 90).reshape(60, 90, 1)


class Held(PictureSource):
    """A picture in memory."""

    def __init__(self, samples: npt.NDArray[Any], roles: tuple[SampleRole, ...], orientation: int = 1) -> None:
        self._samples = samples
        self._facts = PictureFacts(
            width=samples.shape[1], height=samples.shape[0], samples=samples.shape[2], bits=8, sample_format="uint",
            roles=roles, photometric="rgb", compression="none", layout="whole", pages=1, orientation=orientation,
        )  # fmt: skip

    @property
    def facts(self) -> PictureFacts:
        return self._facts

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._samples.dtype

    def read(self, region: Region) -> npt.NDArray[Any]:
        return self._samples[region.top : region.bottom, region.left : region.right]

    def close(self) -> None:
        pass


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
def test_any_depth_looks_alike(dtype: str, whole: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not whole:
        monkeypatch.setattr(module, "_WHOLE", 0)
    white = 1.0 if dtype == "f4" else float(np.iinfo(dtype).max)
    found = seen(Held((RAMP * white).astype(dtype), (SampleRole.GRAY,)), longest=45)
    assert found.shape == (30, 45)
    expected = RAMP.reshape(30, 2, 45, 2).mean(axis=(1, 3)) * 255
    assert np.abs(found - expected).max() <= 1.5


def test_white_is_zero_alpha_and_infrared_are_understood() -> None:
    inverted = seen(Held((255 - RAMP * 255).astype(np.uint8), (SampleRole.GRAY_INVERTED,)))
    assert inverted[0, 0] == 0
    assert inverted[-1, -1] == 255
    colours = np.zeros((20, 30, 5), np.uint8)
    colours[:, :, 2] = 200
    roles = (SampleRole.ALPHA, *RGB, SampleRole.INFRARED)
    assert seen(Held(colours, roles))[5, 5].tolist() == [0, 200, 0]


def test_the_picture_stands_upright() -> None:
    picture = seen(Held((RAMP * 255).astype(np.uint8), (SampleRole.GRAY,), orientation=6))
    assert picture.shape == (90, 60)
    assert picture[0, -1] == 0


def test_what_is_no_picture_is_said() -> None:
    source = Held(np.zeros((4, 4, 1), np.uint8), (SampleRole.OTHER,))
    with pytest.raises(PictureUnreadable):
        seen(source)
