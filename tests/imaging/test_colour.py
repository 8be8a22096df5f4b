import io
import struct
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from archive_restore.adapters.icc import colour_space, rgb_profile, srgb
from archive_restore.imaging import colour
from archive_restore.imaging.colour import Recolouring
from archive_restore.imaging.luminance import Luminance
from archive_restore.ports import ColourSpace
from archive_restore.records.imagery import PictureFacts, SampleRole

RGB = (SampleRole.RED, SampleRole.GREEN, SampleRole.BLUE)
ADOBE = ((0.57667, 0.18556, 0.18823), (0.29734, 0.62736, 0.07529), (0.02703, 0.07069, 0.99134))


def _gamma(power, to_xyz=colour.SRGB_TO_XYZ):
    curve = np.linspace(0, 1, 1 << 16) ** power
    return ColourSpace(name="test", curve=curve.astype(np.float32), to_xyz=to_xyz)


def _under_d50():
    """Primaries of ROMM RGB, whose white is D50, in a profile that adapts nothing; and that profile."""
    wide = ((1.3410, -0.1463, -0.0300), (0.2880, 0.7119, 0.0001), (0.0, 0.0, 1.0))
    made = rgb_profile(_gamma(1.8, wide))
    xyz = ((0.7977, 0.1352, 0.0313), (0.2880, 0.7119, 0.0001), (0.0, 0.0, 0.8249))
    for name, colorant in zip((b"rXYZ", b"gXYZ", b"bXYZ"), zip(*xyz, strict=True), strict=True):
        at = struct.unpack_from(">I", made, made.index(name) + 4)[0]
        made = made[: at + 8] + struct.pack(">3i", *(round(v * 65536) for v in colorant)) + made[at + 20 :]
    made = made.replace(b"chad", b"none")
    space = colour_space(made, "ROMM", gray=False)
    assert space is not None
    return replace(space, curve=_gamma(1.8).curve), made  # a table of 16 bits is flat in its darks


SPACES = {
    "srgb": srgb(), "gamma 2.2, wide": _gamma(2.2, ADOBE), "gamma 1.8": _gamma(1.8), "linear": _gamma(1.0),
    "white of D50": _under_d50()[0],
}  # fmt: skip


def test_little_cms_finds_the_light_kept_under_a_white_that_is_not_d65():
    space, profile = _under_d50()
    assert space.weights == pytest.approx((0.2880, 0.7119, 0.0001), abs=2e-4)
    gray = np.repeat(np.arange(48, 248, dtype=np.uint8)[:, None, None], 72, axis=1)
    hue = np.broadcast_to(np.linspace(0, 2 * np.pi, 72, dtype=np.float32), gray.shape[:2])
    made = Recolouring(space, np.uint8, 255).recoloured(gray, 45 * np.cos(hue), 45 * np.sin(hue))
    assert np.ptp(made.astype(int), axis=2).mean() > 40
    opened, lab = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("LAB")
    light = [
        np.asarray(ImageCms.profileToProfile(Image.fromarray(one), opened, lab, renderingIntent=1, outputMode="LAB"))
        for one in (np.repeat(gray, 3, axis=2), made)
    ]
    assert np.abs(light[0][..., 0].astype(int) - light[1][..., 0]).max() <= 1  # of 255 for L* of 100


def test_the_white_of_a_display_is_read_where_older_profiles_have_it():
    made = bytearray(rgb_profile(srgb()).replace(b"chad", b"none"))
    made[8] = 2
    assert colour_space(bytes(made), "D50", gray=False).weights == pytest.approx((0.2225, 0.7169, 0.0606), abs=2e-4)
    at = struct.unpack_from(">I", made, made.index(b"wtpt") + 4)[0]
    made[at + 8 : at + 20] = struct.pack(">3i", *(round(v * 65536) for v in (0.9505, 1.0, 1.0891)))
    assert colour_space(bytes(made), "sRGB", gray=False).weights == pytest.approx(srgb().weights, abs=5e-4)


def _luminance(samples, white, space):
    roles = RGB if samples.shape[2] == 3 else (SampleRole.GRAY,)
    facts = PictureFacts(
        width=1, height=1, samples=len(roles), bits=8, sample_format="uint", roles=roles,
        photometric="", compression="", layout="", pages=1,
    )  # fmt: skip
    return Luminance(facts, white, space).of(samples)


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize(("dtype", "white"), [(np.uint8, 255), (np.uint16, 65535), (np.float32, 2.0)])
@pytest.mark.parametrize("channels", [1, 3])
def test_luminance_is_kept_within_a_code_value_whatever_the_chroma(name, dtype, white, channels):
    rng = np.random.default_rng(1)
    space = SPACES[name]
    samples = (rng.random((128, 256, channels)) * white).astype(dtype)
    a, b = rng.normal(0, 50, (2, 128, 256)).astype(np.float32)
    made = Recolouring(space, dtype, white).recoloured(samples, a, b)
    off = 255 * np.abs(_luminance(made, white, space) - _luminance(samples, white, space))
    assert made.dtype == dtype and made.shape == (128, 256, 3)
    assert off.max() < (0.75 if dtype == np.uint8 else 0.02)
    assert (made.max(axis=2) > made.min(axis=2)).mean() > 0.9


@given(gray=st.integers(0, 255), a=st.floats(-120, 120), b=st.floats(-120, 120))
@settings(max_examples=200, deadline=None)
def test_any_gray_keeps_its_luminance_under_any_chroma(gray, a, b):
    samples = np.full((1, 1, 1), gray, np.uint8)
    plane = np.ones((1, 1), np.float32)
    made = Recolouring(srgb(), np.uint8, 255).recoloured(samples, a * plane, b * plane)
    off = 255 * abs(float((_luminance(made, 255, srgb()) - _luminance(samples, 255, srgb())).item()))
    assert off <= 1


def test_what_is_out_of_gamut_loses_chroma_at_its_hue():
    samples = np.full((1, 360, 1), 33000, np.uint16)
    angles = np.radians(np.arange(360, dtype=np.float32))[None]
    tool = Recolouring(srgb(), np.uint16, 65535)
    vivid = tool.chroma(tool.recoloured(samples, 150 * np.cos(angles), 150 * np.sin(angles)))
    modest = tool.chroma(tool.recoloured(samples, 15 * np.cos(angles), 15 * np.sin(angles)))
    turned = np.degrees(np.angle(np.exp(1j * (np.arctan2(vivid[..., 1], vivid[..., 0]) - angles))))
    assert np.abs(turned).max() < 1
    chroma = np.hypot(vivid[..., 0], vivid[..., 1])
    assert chroma.min() > 20 and chroma.max() < 140
    assert np.hypot(modest[..., 0], modest[..., 1]) == pytest.approx(15, abs=0.1)


def test_pixels_without_chroma_stay_bit_for_bit():
    rng = np.random.default_rng(2)
    for dtype, white in ((np.uint8, 255), (np.uint16, 65535), (np.float32, 1.0)):
        samples = (rng.random((40, 50, 1)) * white).astype(dtype)
        a = np.zeros((40, 50), np.float32)
        a[:, 25:] = 20
        made = Recolouring(srgb(), dtype, white).recoloured(samples, a, np.zeros_like(a))
        assert (made[:, :25] == samples[:, :25]).all()
        assert (made[:, 25:] != samples[:, 25:]).any(axis=2).mean() > 0.9


def test_a_toned_picture_keeps_only_what_it_is_told_to_keep():
    samples = np.random.default_rng(3).integers(0, 256, (30, 30, 3), np.uint8)
    keep = np.zeros((30, 30), np.bool_)
    keep[:10] = True
    none = np.zeros((30, 30), np.float32)
    made = Recolouring(srgb(), np.uint8, 255).recoloured(samples, none, none, keep)
    assert (made[:10] == samples[:10]).all()
    assert (np.ptp(made[10:].astype(int), axis=2) <= 1).all()


def test_lab_agrees_with_opencv_and_back():
    rgb = np.random.default_rng(4).random((50, 60, 3), np.float32)
    lab = colour.lab_from_srgb(rgb)
    assert lab == pytest.approx(cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB), abs=0.6)  # OpenCV's are splines
    assert colour.srgb_from_lab(lab) == pytest.approx(rgb, abs=2e-3)
    assert colour.lightness(np.array([0.0, 0.18418652, 1.0])) == pytest.approx([0, 50, 100], abs=1e-3)


def test_lightness_and_chroma_of_samples_are_those_of_lab():
    rgb = np.random.default_rng(5).integers(0, 65536, (20, 30, 3), np.uint16)
    tool = Recolouring(srgb(), np.uint16, 65535)
    lab = colour.lab_from_srgb(rgb / 65535)
    assert tool.lightness(rgb) == pytest.approx(lab[..., 0], abs=0.02)
    assert tool.chroma(rgb) == pytest.approx(lab[..., 1:], abs=0.1)


def test_floats_that_are_no_numbers_do_no_harm():
    samples = np.array([[[np.nan], [np.inf], [-1.0], [0.5]]], np.float32)
    made = Recolouring(srgb(), np.float32, 1.0).recoloured(samples, *np.full((2, 1, 4), 10, np.float32))
    assert np.isfinite(made).all() and made.min() >= 0 and made.max() <= 1
