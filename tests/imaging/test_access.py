"""8-bit copies are rounded to the nearest, colours converted as an independent library does, captions lie outside."""

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from archive_restore.adapters import icc
from archive_restore.imaging.access import ErrorMeter, eight_bits, sheet_place, shown_samples, stored_band
from archive_restore.imaging.planes import upright
from archive_restore.records.imagery import SampleRole
from archive_restore.records.labels import Position

GRAY, RGB = (SampleRole.GRAY,), (SampleRole.RED, SampleRole.GREEN, SampleRole.BLUE)


def test_every_16_bit_value_goes_to_the_nearest_of_8_bits():
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
    exact = (values.astype(np.int64) * 255 * 2 + 65535) // (2 * 65535)
    assert np.array_equal(eight_bits(values, GRAY, 65535.0), exact)


def test_8_bits_stay_as_they_are():
    values = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    assert np.array_equal(eight_bits(values, GRAY, 255.0), values)


def test_white_is_zero_is_turned_round_and_other_samples_left_out():
    values = np.dstack([np.full((2, 3), 10, np.uint16), np.full((2, 3), 65535, np.uint16)])
    roles = (SampleRole.ALPHA, SampleRole.GRAY_INVERTED)
    assert shown_samples(roles) == (1,)
    assert (eight_bits(values, roles, 65535.0) == 0).all()
    assert (eight_bits(np.zeros((1, 1, 1), np.uint8), (SampleRole.GRAY_INVERTED,), 255.0) == 255).all()
    assert shown_samples((SampleRole.BLUE, SampleRole.INFRARED, SampleRole.RED, SampleRole.GREEN)) == (2, 3, 0)
    assert shown_samples((SampleRole.OTHER,) * 4) == ()


def test_floats_are_clipped_at_black_and_white():
    values = np.array([[[-1.0], [0.0], [0.5], [2.0], [np.nan], [np.inf]]], np.float32)
    assert eight_bits(values, GRAY, 1.0).ravel().tolist() == [0, 0, 128, 255, 0, 255]


def test_srgb_is_what_littlecms_makes_of_another_rgb():
    adobe = icc.colour_space(_adobe_rgb(), "Adobe RGB", gray=False)
    assert adobe is not None
    rng = np.random.default_rng(5)
    given = rng.integers(60, 180, (64, 64, 3), np.uint8)
    ours = eight_bits(given, RGB, 255.0, adobe).astype(int)
    theirs = ImageCms.profileToProfile(
        Image.fromarray(given), ImageCms.ImageCmsProfile(io.BytesIO(_adobe_rgb())), ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
    )  # fmt: skip
    assert np.abs(ours - np.asarray(theirs, int)).max() <= 2


def _adobe_rgb():
    """A matrix profile with Adobe RGB's primaries and a gamma of 2.2."""
    codes = np.linspace(0, 1, icc.CURVE)
    primaries = (
        (0.5767309, 0.1855540, 0.1881852),
        (0.2973769, 0.6273491, 0.0752741),
        (0.0270343, 0.0706872, 0.9911085),
    )
    space = icc.ColourSpace(name="Adobe RGB", curve=(codes**2.2).astype(np.float32), to_xyz=primaries)
    return icc.rgb_profile(space)


def test_srgb_stays_srgb():
    values = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    assert np.array_equal(eight_bits(values, RGB, 255.0, icc.srgb()), values)
    assert np.array_equal(eight_bits(values[:, :, :1], GRAY, 255.0, icc.srgb()), values[:, :, :1])


@pytest.mark.parametrize("position", list(Position))
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("band_width", [7, 12])
def test_once_turned_the_band_lies_outside_the_upright_picture(orientation, position, band_width):
    rng = np.random.default_rng(orientation)
    picture = rng.integers(0, 200, (5, 7, 3) if orientation < 5 else (7, 5, 3), np.uint8)
    band = rng.integers(201, 256, (3, band_width, 3), np.uint8)
    size, place, words = sheet_place(*picture.shape[:2], band.shape[:2], orientation, position)
    sheet = np.zeros((*size, 3), np.uint8)
    sheet[words.top : words.bottom, words.left : words.right] = stored_band(band, orientation)
    sheet[place.top : place.bottom, place.left : place.right] = picture
    seen = upright(sheet, orientation)
    shown = upright(picture, orientation)
    at = (band_width - 7) // 2
    side = np.pad(shown, ((0, 0), (at, band_width - 7 - at), (0, 0)))
    assert np.array_equal(seen, np.concatenate([band, side] if position is Position.ABOVE else [side, band]))


def test_without_a_band_the_sheet_is_the_picture():
    size, place, _ = sheet_place(5, 7, (0, 0), 6, Position.BELOW)
    assert size == (5, 7) and (place.top, place.left, place.bottom, place.right) == (0, 0, 5, 7)


def test_the_error_is_that_of_all_bands_together():
    rng = np.random.default_rng(1)
    meant, decoded = (rng.integers(0, 256, (40, 30, 3), np.uint8) for _ in range(2))
    meter = ErrorMeter()
    for top in range(0, 40, 7):
        meter.add(meant[top : top + 7], decoded[top : top + 7])
    apart = np.abs(meant.astype(int) - decoded)
    found = meter.result()
    assert (found.maximum, found.mean) == (int(apart.max()), round(float(apart.mean()), 4))
    assert found.psnr == round(10 * np.log10(255**2 / (apart.astype(float) ** 2).mean()), 2)


def test_no_error_has_no_psnr():
    meter = ErrorMeter()
    meter.add(np.ones((2, 2, 1), np.uint8), np.ones((2, 2, 1), np.uint8))
    assert (meter.result().psnr, meter.result().maximum, meter.result().mean) == (None, 0, 0.0)
    with pytest.raises(ValueError, match="not the same rows"):
        meter.add(np.ones((2, 2, 1), np.uint8), np.ones((3, 2, 1), np.uint8))
