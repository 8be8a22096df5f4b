"""Reduced pictures equal a slow exact average, maps lose no flag, and what is shown compares honestly."""

import io
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from archive_restore.adapters.previews import (
    MapReducer,
    PictureReducer,
    Transfer,
    display,
    display_picture,
    encode_pair,
    jpeg_bytes,
    map_over_picture,
    map_png,
    most_changed,
    png_bytes,
    reduce_map,
    reduce_picture,
    thumbnail,
    transfer_for,
    upright,
)
from archive_restore.core.synthesis_map import FLAG_COLOURS, display_table
from archive_restore.records.imagery import PictureFacts, PixelFlag, Region, SampleRole

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


def slow_average(picture, longest):
    """The definition, pixel by pixel, in exact fractions."""
    height, width, samples = picture.shape
    scale = max(Fraction(max(height, width), longest), Fraction(1))
    rows, columns = -(-height * scale.denominator // scale.numerator), -(-width * scale.denominator // scale.numerator)
    out = np.zeros((rows, columns, samples))
    for i in range(rows):
        for j in range(columns):
            area, total = Fraction(0), [Fraction(0)] * samples
            for y in range(height):
                high = min((i + 1) * scale, y + 1) - max(i * scale, y)
                for x in range(width) if high > 0 else ():
                    wide = min((j + 1) * scale, x + 1) - max(j * scale, x)
                    if wide > 0:
                        area += high * wide
                        total = [t + high * wide * int(v) for t, v in zip(total, picture[y, x], strict=True)]
            out[i, j] = [float(t / area) for t in total]
    return out


def bands_of(array, heights):
    top = 0
    while top < len(array):
        height = heights.pop(0) if heights else len(array)
        yield array[top : top + height]
        top += height


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 13), st.integers(1, 13), st.integers(1, 4), st.integers(1, 9),
    st.lists(st.integers(1, 5), max_size=8), st.sampled_from(["u1", "u2", "u4", "f2", "f4"]), st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_the_reduced_picture_is_the_exact_area_average_for_any_bands(width, height, samples, longest, cut, dtype, seed):
    rng = np.random.default_rng(seed)
    picture = rng.integers(0, 250, (height, width, samples)).astype(dtype)
    reducer = PictureReducer(width, height, samples, longest)
    for band in bands_of(picture, list(cut)):
        scratch = band.copy()
        reducer.add(scratch)
        scratch[:] = 99  # a caller may reuse its buffer
    expected = slow_average(picture, longest)
    assert reducer.result().dtype == np.float32
    np.testing.assert_allclose(reducer.result(), expected, rtol=1e-6, atol=1e-5)
    assert reducer.result().tobytes() == reduce_picture(picture, longest).tobytes()


def test_sixteen_bit_sums_do_not_overflow():
    white = np.full((70, 4096, 1), 65535, np.uint16)
    assert (reduce_picture(white, 3) == 65535).all()


def test_the_reducer_refuses_what_does_not_fit():
    reducer = PictureReducer(4, 4, 1, 2)
    with pytest.raises(ValueError, match="does not fit"):
        reducer.add(np.zeros((1, 5, 1), np.uint8))
    reducer.add(np.zeros((3, 4, 1), np.uint8))
    with pytest.raises(ValueError, match="3 of 4 rows"):
        reducer.result()
    with pytest.raises(ValueError, match="more than 4 rows"):
        reducer.add(np.zeros((2, 4, 1), np.uint8))
    with pytest.raises(ValueError, match="does not fit"):
        MapReducer(4, 4, 2).add(np.zeros((1, 4), np.uint16))


def test_the_peak_of_a_float_picture_ignores_what_is_not_finite():
    reducer = PictureReducer(2, 2, 1, 2)
    reducer.add(np.array([[np.nan, np.inf], [1.5, -3.0]], np.float32)[..., None])
    assert reducer.peak == 1.5
    assert np.isnan(reducer.result()[0, 0, 0])


def test_nan_stays_in_its_own_cells():
    picture = np.ones((7, 7, 1), np.float32)
    picture[0, 6] = np.nan
    reduced = reduce_picture(picture, 3)[..., 0]
    assert np.isnan(reduced[0, 2])
    assert np.isfinite(np.delete(reduced.ravel(), 2)).all()


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 12), st.lists(st.integers(1, 9), max_size=6), st.data())
def test_no_flag_is_lost_and_none_is_invented(width, height, longest, cut, data):
    flags = np.zeros((height, width), np.uint8)
    for _ in range(3):
        y, x = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
        flags[y, x] |= data.draw(st.sampled_from([int(flag) for flag in PixelFlag]))
    reducer = MapReducer(width, height, longest)
    for band in bands_of(flags, list(cut)):
        reducer.add(band)
    reduced = reducer.result()
    picture = PictureReducer(width, height, 1, longest)
    assert reducer.scale == picture.scale
    assert (reduced == reduce_map(flags, longest)).all()
    assert np.bitwise_or.reduce(reduced.ravel()) == np.bitwise_or.reduce(flags.ravel())
    for y, x in np.argwhere(flags):
        assert reduced[int(y / reducer.scale), int(x / reducer.scale)] & flags[y, x] == flags[y, x]


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
    from PIL import ImageOps

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


def test_a_pair_is_encoded_at_one_quality_within_its_budget():
    noisy = np.random.default_rng(4).integers(0, 256, (200, 200)).astype(np.uint8)
    quiet = np.zeros_like(noisy)
    before, after, quality = encode_pair(noisy, quiet, 10**9)
    assert (quality, before, after) == (90, jpeg_bytes(noisy, 90), jpeg_bytes(quiet, 90))
    before, after, quality = encode_pair(noisy, quiet, len(jpeg_bytes(noisy, 80)) + len(jpeg_bytes(quiet, 80)))
    assert (quality, before, after) == (80, jpeg_bytes(noisy, 80), jpeg_bytes(quiet, 80))
    assert encode_pair(noisy, quiet, 1)[2] == 60


def test_the_map_of_a_detail_shows_flags_over_a_pale_picture():
    picture = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (64, 1))
    flags = np.zeros((64, 64), np.uint8)
    flags[10:12, :] = PixelFlag.HUMAN | PixelFlag.INTERPOLATED
    shown = np.asarray(Image.open(io.BytesIO(map_over_picture(flags, picture))).convert("RGB"))
    assert (shown[10] == FLAG_COLOURS[PixelFlag.HUMAN]).all()
    assert shown[0].min() >= 120
    assert (np.diff(shown[0, :, 0].astype(int)) >= 0).all()


def test_the_most_changed_places_are_where_the_change_is():
    before = np.zeros((200, 300, 1), np.float32)
    after, flags = before.copy(), np.zeros((200, 300), np.uint8)
    for y, x, change in ((20, 30, 5000), (150, 250, 9000), (100, 100, 100)):
        after[y : y + 4, x : x + 4] = change
        flags[y : y + 4, x : x + 4] = PixelFlag.INTERPOLATED
    flags |= np.uint8(PixelFlag.ADJUSTED)  # a tone curve everywhere must not hide the places
    places = most_changed(before, after, flags, scale=10.0, width=3000, height=2000, size=192)
    assert len(places) == 3
    for place, (y, x) in zip(places, ((1520, 2520), (220, 320), (1020, 1020)), strict=True):
        assert place.top < y < place.bottom
        assert place.left < x < place.right
        assert (place.width, place.height) == (192, 192)


def test_places_stay_inside_small_pictures_and_nothing_changed_gives_none():
    flags = np.zeros((5, 9), np.uint8)
    zero = np.zeros((5, 9, 1), np.float32)
    assert most_changed(zero, zero, flags, scale=1.0, width=9, height=5) == ()
    flags[4, 8] = PixelFlag.SYNTHESIZED  # flagged although nothing differs: still worth showing
    assert most_changed(zero, zero, flags, scale=1.0, width=9, height=5) == (Region(top=0, left=0, bottom=5, right=9),)
