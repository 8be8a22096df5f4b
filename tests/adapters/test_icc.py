"""Profiles that are made read back as what was meant, by us and by Little CMS; real curves are understood."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from archive_restore.adapters.icc import CURVE, _curve, colour_space, rgb_profile, srgb
from archive_restore.ports import ColourSpace


def gamma(power: float) -> ColourSpace:
    codes = np.linspace(0, 1, CURVE)
    return ColourSpace(name="Gray Gamma", curve=(codes**power).astype(np.float32), to_xyz=srgb().to_xyz)


def test_the_srgb_profile_is_srgb_to_little_cms():
    profile = ImageCms.ImageCmsProfile(io.BytesIO(rgb_profile(srgb())))
    assert profile.profile.profile_description == "sRGB"
    ramp = np.arange(256, dtype=np.uint8)
    colours = np.stack(np.meshgrid(ramp[::15], ramp[::15], ramp[::15]), axis=-1).reshape(1, -1, 3)
    reference = ImageCms.createProfile("sRGB")
    done = ImageCms.profileToProfile(Image.fromarray(colours), profile, reference, outputMode="RGB")
    assert np.abs(np.asarray(done).astype(int) - colours).max() <= 1


@pytest.mark.parametrize("power", [1.0, 1.8, 2.2])
def test_gray_curves_live_on_in_the_colour_profile(power: float):
    space = gamma(power)
    again = colour_space(rgb_profile(space), "again", gray=False)
    assert again is not None
    assert np.abs(again.curve - space.curve).max() < 5e-5
    assert np.allclose(again.to_xyz, space.to_xyz, atol=2e-4)
    profile = ImageCms.ImageCmsProfile(io.BytesIO(rgb_profile(space)))
    lab = ImageCms.createProfile("LAB")
    gray = np.full((1, 1, 3), 128, np.uint8)
    made = np.asarray(ImageCms.profileToProfile(Image.fromarray(gray), profile, lab, outputMode="LAB"))
    light = (128 / 255) ** power
    lightness = 116 * light ** (1 / 3) - 16
    assert abs(made[0, 0, 0] / 2.55 - lightness) < 0.6


def test_curves_are_read_as_the_standard_writes_them():
    assert np.allclose(_curve(b"curv" + bytes(8)), np.linspace(0, 1, CURVE))
    power = _curve(b"curv" + bytes(4) + struct.pack(">IH", 1, 563))
    assert power[CURVE // 2] == pytest.approx(0.5 ** (563 / 256), abs=1e-4)
    table = struct.pack(">I3H", 3, 0, 10000, 65535)
    assert _curve(b"curv" + bytes(4) + table)[CURVE // 4] == pytest.approx(5000 / 65535, abs=1e-4)
    made = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    space = colour_space(made, "s", gray=False)
    assert space is not None
    assert np.abs(space.curve - srgb().curve).max() < 2e-4
    assert np.allclose(space.to_xyz, srgb().to_xyz, atol=1e-3)


@pytest.mark.parametrize(
    "profile",
    [b"", b"x" * 200, rgb_profile(srgb())[:140], rgb_profile(srgb()).replace(b"rTRC", b"A2B0")],
    ids=["none", "noise", "cut", "table only"],
)
def test_what_is_not_understood_is_not_guessed(profile: bytes):
    assert colour_space(profile, "p", gray=False) is None


def test_a_curve_that_falls_is_refused():
    assert colour_space(rgb_profile(srgb()), "p", gray=True) is None
    with pytest.raises(ValueError, match="falls"):
        _curve(b"curv" + bytes(4) + struct.pack(">I3H", 3, 0, 60000, 10))


def test_the_bytes_depend_on_the_space_alone():
    assert rgb_profile(srgb()) == rgb_profile(srgb())
