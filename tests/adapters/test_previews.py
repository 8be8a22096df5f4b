"""What is shown compares honestly, maps keep their colours and lines, encodings hold what was given."""

import io

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from archive_restore.adapters.previews import (
    Transfer,
    display,
    display_picture,
    encode_alike,
    jpeg_bytes,
    map_over_picture,
    map_png,
    png_bytes,
    thumbnail,
    transfer_for,
)
from archive_restore.core.synthesis_map import FLAG_COLOURS, display_table
from archive_restore.imaging.planes import upright
from archive_restore.imaging.reduce import reduce_map
from archive_restore.records.imagery import PictureFacts, PixelFlag, SampleRole

RGB = (SampleRole.RED, SampleRole.GREEN, SampleRole.BLUE)
GRAY = (SampleRole.GRAY,)


def facts(roles=GRAY, orientation=1, **changes):
    return PictureFacts(
        **{
            "width": 8, "height": 8, "samples": len(roles), "bits": 16, "sample_format": "uint", "roles": roles,
            "photometric": "rgb" if len(roles) >= 3 else "minisblack", "compression": "none", "layout": "strips",
            "pages": 1, "orientation": orientation, **changes,
        }
    )  # fmt: skip


def test_a_one_pixel_scratch_survives_the_overlay():
    flags = np.zeros((3000, 4000), np.uint8)
    flags[:, 1234] = PixelFlag.INTERPOLATED
    png = Image.open(io.BytesIO(map_png(reduce_map(flags, 1600))))
    assert png.mode == "P"
    shown = np.asarray(png.convert("RGBA"))
    assert shown.shape == (1200, 1600, 4)
    assert (shown[..., 3].max(axis=1) == 255).all()
    assert tuple(shown[5][shown[5, :, 3] == 255][0][:3]) == FLAG_COLOURS[PixelFlag.INTERPOLATED]
    assert (shown[..., 3] == 0).mean() > 0.99


def test_every_map_value_has_its_display_colour():
    values = np.arange(256, dtype=np.uint8).reshape(16, 16)
    shown = np.asarray(Image.open(io.BytesIO(map_png(values))).convert("RGBA"))
    assert (shown.reshape(-1, 4) == display_table()).all()


def test_master_and_restoration_share_one_transfer():
    """A brighter restoration must look brighter: no picture is stretched on its own."""
    transfer = transfer_for(facts(sample_format="float", bits=32), 4.0)
    dark, bright = np.full((2, 2, 1), 1.0, np.float32), np.full((2, 2, 1), 2.0, np.float32)
    assert (int(display(dark, transfer)[0, 0]), int(display(bright, transfer)[0, 0])) == (64, 128)


def test_infrared_and_alpha_are_not_shown_and_inverted_gray_is_turned():
    samples = np.array([[[10, 20, 30, 99, 77]]], np.uint8)
    roles = (SampleRole.RED, SampleRole.GREEN, SampleRole.BLUE, SampleRole.INFRARED, SampleRole.ALPHA)
    assert display(samples, Transfer(roles=roles, white=255)).tolist() == [[[10, 20, 30]]]
    two = np.array([[[255, 3]]], np.uint8)
    inverted = Transfer(roles=(SampleRole.GRAY_INVERTED, SampleRole.INFRARED), white=255)
    assert display(two, inverted).tolist() == [[0]]


@pytest.mark.filterwarnings("error")
def test_values_no_screen_can_show_are_clipped_without_a_warning():
    values = np.array([[[np.nan], [np.inf], [-np.inf], [9e9], [-1.0]]], np.float32)
    assert display(values, Transfer(roles=GRAY, white=1.0)).tolist() == [[0, 255, 0, 255, 0]]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_upright_agrees_with_pillow(orientation):
    picture = np.arange(6, dtype=np.uint8).reshape(2, 3) * 40
    image = Image.fromarray(picture)
    image.getexif()[0x0112] = orientation
    assert (upright(picture, orientation) == np.asarray(ImageOps.exif_transpose(image))).all()


def test_an_icc_profile_is_honoured_and_a_bad_one_left_out():
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    colours = np.array([[[10, 200, 90], [255, 255, 255]]], np.uint8)
    good = transfer_for(facts(RGB), 255, srgb)
    assert good.icc == srgb
    assert np.abs(display(colours, good).astype(int) - colours).max() <= 1
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    for bad in (b"", b"not a profile", srgb[:200], lab):
        assert transfer_for(facts(RGB), 255, bad).icc == b""
    assert transfer_for(facts(GRAY), 255, srgb).icc == b""  # an RGB profile on a gray picture


def test_encodings_and_thumbnail():
    picture = np.random.default_rng(3).integers(0, 256, (40, 60, 3)).astype(np.uint8)
    assert (np.asarray(Image.open(io.BytesIO(png_bytes(picture)))) == picture).all()
    assert Image.open(io.BytesIO(jpeg_bytes(picture))).format == "JPEG"
    assert jpeg_bytes(picture) == jpeg_bytes(picture)
    reduced = np.full((900, 1300, 1), 30000, np.float32)
    small = Image.open(io.BytesIO(thumbnail(reduced, Transfer(roles=GRAY, white=65535))))
    assert (small.size, small.mode) == ((512, 355), "L")
    assert display_picture(reduced, Transfer(roles=GRAY, white=65535), 650).shape == (450, 650)


def test_compared_pictures_are_encoded_at_one_quality_within_their_budget():
    noisy = np.random.default_rng(4).integers(0, 256, (200, 200)).astype(np.uint8)
    quiet = np.zeros_like(noisy)
    at = {quality: (jpeg_bytes(noisy, quality), jpeg_bytes(quiet, quality)) for quality in (92, 80, 68)}
    assert encode_alike((noisy, quiet), 10**9) == (at[92], True)
    assert encode_alike((noisy, quiet), sum(map(len, at[80]))) == (at[80], True)
    assert encode_alike((noisy, quiet), 1) == (at[68], False)


def test_the_map_of_a_detail_shows_flags_over_a_pale_picture():
    picture = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (64, 1))
    flags = np.zeros((64, 64), np.uint8)
    flags[10:12, :] = PixelFlag.HUMAN | PixelFlag.INTERPOLATED
    shown = np.asarray(Image.open(io.BytesIO(map_over_picture(flags, picture))).convert("RGB"))
    assert (shown[10] == FLAG_COLOURS[PixelFlag.HUMAN]).all()
    assert shown[0].min() >= 120
    assert (np.diff(shown[0, :, 0].astype(int)) >= 0).all()


def test_noisy_pictures_are_encoded_at_every_quality():
    """Pillow's own buffer is too small for these when it optimizes; a report must not fail on a grainy scan."""
    noisy = np.random.default_rng(6).integers(0, 256, (1200, 1600, 3)).astype(np.uint8)
    for quality in (60, 85, 92):
        assert Image.open(io.BytesIO(jpeg_bytes(noisy, quality))).size == (1600, 1200)
