"""Enlarging tile by tile gives what enlarging the whole gives, and needs no more than one band at a time."""

from __future__ import annotations

import numpy as np
import pytest

from archive_restore.core.model_contracts import FloatPlanes
from archive_restore.errors import ModelUnusable, UsageError
from archive_restore.imaging.upscale import FloatPicture, upscale_bands, upscale_tiles
from archive_restore.records.imagery import Region


def picture(height: int = 37, width: int = 51, channels: int = 3) -> FloatPicture:
    return np.random.default_rng(4).random((height, width, channels), np.float32)


def blurred_twice(planes: FloatPlanes) -> FloatPlanes:
    """Doubles by repetition what a mean over 5×5 pixels leaves; black beyond the edge. Receptive field: 2 pixels."""
    height, width = planes.shape[2:]
    padded = np.pad(planes, ((0, 0), (0, 0), (2, 2), (2, 2)))
    total = sum(padded[:, :, y : y + height, x : x + width] for y in range(5) for x in range(5))
    return (total / np.float32(25)).repeat(2, axis=2).repeat(2, axis=3)


def whole(given: FloatPicture) -> FloatPicture:
    return blurred_twice(given.transpose(2, 0, 1)[None])[0].transpose(1, 2, 0)


@pytest.mark.parametrize("tile", [1, 7, 16, 37, 51, 1000])
@pytest.mark.parametrize("channels", [1, 3])
def test_an_overlap_of_the_receptive_field_leaves_no_seam(tile: int, channels: int):
    given = picture(channels=channels)
    made = upscale_tiles(given, blurred_twice, scale=2, tile=tile, overlap=2)
    assert made.dtype == np.float32
    assert np.array_equal(made, whole(given))


def test_more_threads_give_the_same():
    given = picture()
    made = upscale_tiles(given, blurred_twice, scale=2, tile=16, overlap=2, threads=3)
    assert np.array_equal(made, whole(given))


def test_less_overlap_leaves_seams():
    """So the test above can fail."""
    given = picture()
    made = upscale_tiles(given, blurred_twice, scale=2, tile=16, overlap=1)
    differs = np.abs(made - whole(given)).max(axis=2) > 1e-6
    assert differs.any()
    seams = np.zeros_like(differs)
    for at in (16, 32, 48):
        seams[2 * at - 2 : 2 * at + 2] = True
        seams[:, 2 * at - 2 : 2 * at + 2] = True
    assert not differs[~seams].any()


def test_bands_are_made_one_after_another_from_little_of_the_picture():
    given = picture(64, 40)
    read: list[Region] = []

    def source(region: Region) -> FloatPicture:
        read.append(region)
        return given[region.top : region.bottom, region.left : region.right]

    bands = upscale_bands(source, 64, 40, blurred_twice, scale=2, tile=16, overlap=2)
    first = next(bands)
    assert first.shape == (32, 80, 3)
    assert len(read) == 3, "one band of three tiles, and nothing of the next"
    assert max(region.bottom for region in read) == 18
    rest = list(bands)
    assert np.array_equal(np.concatenate([first, *rest]), whole(given))
    assert max(region.height for region in read) <= 20 and max(region.width for region in read) <= 20


def test_the_picture_is_left_as_it_is():
    given = picture()
    before = given.copy()
    given.flags.writeable = False
    upscale_tiles(given, blurred_twice, scale=2, tile=16, overlap=2)
    assert np.array_equal(given, before)


@pytest.mark.parametrize("sizes", [{"tile": 0}, {"overlap": -1}, {"scale": 0}, {"threads": 0}])
def test_sizes_that_cannot_be_are_refused(sizes: dict[str, int]):
    with pytest.raises(UsageError):
        upscale_tiles(picture(), blurred_twice, **{"scale": 2, "tile": 16, "overlap": 2, **sizes})


def test_a_network_that_gives_another_size_is_refused():
    with pytest.raises(ModelUnusable, match="not 3 times as much"):
        upscale_tiles(picture(), blurred_twice, scale=3, tile=16, overlap=2)


# --- networks ----------------------------------------------------------------------------------------


def test_the_compact_network_has_no_seams_with_its_receptive_field():
    """Convolutions one after another: 2 between the first and the last reach 4 pixels."""
    torch = pytest.importorskip("torch")
    from archive_restore.imaging import networks

    torch.manual_seed(1)
    module = networks.build("compact", {"features": 6, "convolutions": 2, "scale": 3}).eval()

    def run(planes: FloatPlanes) -> FloatPlanes:
        with torch.inference_mode():
            made: FloatPlanes = module(torch.from_numpy(planes)).numpy()
        return made

    given = picture()
    untiled = run(np.ascontiguousarray(given.transpose(2, 0, 1)[None]))[0].transpose(1, 2, 0)
    assert np.abs(upscale_tiles(given, run, scale=3, tile=16, overlap=4) - untiled).max() < 1e-6
    assert np.abs(upscale_tiles(given, run, scale=3, tile=16, overlap=3) - untiled).max() > 1e-5


def test_the_receptive_field_of_the_dense_network_is_what_its_docstring_says():
    """What changes when one pixel changes, by the gradient: nothing further off than 15·blocks + 4."""
    torch = pytest.importorskip("torch")
    from archive_restore.imaging import networks

    torch.manual_seed(1)
    module = networks.build("rrdb", {"features": 4, "growth": 2, "blocks": 1}).double().eval()
    reach, size = 19, 51
    given = torch.rand(1, 3, size, size, dtype=torch.float64, requires_grad=True)
    middle = size // 2
    made = module(given)[:, :, 4 * middle : 4 * middle + 4, 4 * middle : 4 * middle + 4]
    (gradient,) = torch.autograd.grad(made.sum(), given)
    far = [int((torch.nonzero(gradient[0])[:, axis] - middle).abs().max()) for axis in (1, 2)]
    assert far == [reach, reach]
