"""Luminance is what the formula says, for every depth; gray is itself; turned gray is spread upright."""

import numpy as np
import pytest

from archive_restore.adapters.icc import srgb
from archive_restore.imaging.luminance import Luminance, spread_gray
from archive_restore.ports import ColourSpace
from archive_restore.records.imagery import PictureFacts, SampleRole

RGB = (SampleRole.RED, SampleRole.GREEN, SampleRole.BLUE)


def facts(*roles: SampleRole, bits: int = 8) -> PictureFacts:
    return PictureFacts(
        width=9, height=7, samples=len(roles), bits=bits, sample_format="uint", roles=roles, photometric="rgb",
        compression="none", layout="strips", pages=1,
    )  # fmt: skip


@pytest.mark.parametrize(("dtype", "white"), [(np.uint8, 255), (np.uint16, 65535), (np.float32, 2.0)])
def test_rgb(dtype: type, white: float):
    values = np.random.default_rng(3).random((50, 60, 3))
    values[0] = 0
    values[1] = 1
    samples = (values * white if dtype is np.float32 else np.rint(values * white)).astype(dtype)
    share = samples.astype(np.float64) / white
    light = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4) @ [
        0.2126390,
        0.7151687,
        0.0721923,
    ]
    meant = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    got = Luminance(facts(*RGB), white, srgb()).of(samples)
    assert got.dtype == np.float32
    assert np.abs(got - meant).max() < 2e-5


def test_three_equal_channels_are_the_gray_itself():
    gray = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
    one = Luminance(facts(SampleRole.GRAY), 65535, srgb()).of(gray)
    three = Luminance(facts(*RGB), 65535, srgb()).of(gray.repeat(3, axis=2))
    assert np.abs(one - three).max() < 2e-5
    turned = Luminance(facts(SampleRole.GRAY_INVERTED), 65535, srgb()).of(gray)
    assert np.abs(one + turned - 1).max() < 2e-5


def test_where_a_curve_is_flat_gray_and_colour_agree():
    curve = np.maximum(np.linspace(0, 1, 65536) - 0.1, 0).astype(np.float32) / np.float32(0.9)
    space = ColourSpace(name="clipped", curve=curve, to_xyz=srgb().to_xyz)
    gray = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    one = Luminance(facts(SampleRole.GRAY), 255, space).of(gray)
    three = Luminance(facts(*RGB), 255, space).of(gray.repeat(3, axis=2))
    assert np.abs(one - three).max() < 1e-4
    assert len(set(one.ravel()[:20].tolist())) == 1


def test_what_is_not_finite_is_black_or_white():
    samples = np.array([[[np.nan], [np.inf], [-np.inf], [-3], [7]]], np.float32)
    assert Luminance(facts(SampleRole.GRAY), 1.0, srgb()).of(samples) == pytest.approx(np.array([[0, 1, 0, 0, 1]]))


def test_a_picture_without_light_has_none():
    with pytest.raises(ValueError, match="neither gray nor RGB"):
        Luminance(facts(SampleRole.OTHER), 255, srgb())


def test_gray_is_spread_and_what_lies_behind_it_stays():
    samples = np.array([[[10, 200], [30, 7]]], np.uint8)
    spread, roles = spread_gray(samples, facts(SampleRole.GRAY_INVERTED, SampleRole.ALPHA), 255)
    assert spread.tolist() == [[[245, 245, 245, 200], [225, 225, 225, 7]]]
    assert roles == (*RGB, SampleRole.ALPHA)
    same, _ = spread_gray(spread, facts(*roles), 255)
    assert same is spread
