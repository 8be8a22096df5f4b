"""ISCC image codes, held against iscc-core's own normalized path and against what they must survive."""

import io
from pathlib import Path

import iscc_core
import numpy as np
import pytest
from PIL import Image

from archive_restore.adapters.iscc import gray_of, image_code, normalize
from archive_restore.records.imagery import SampleRole
from tests.adapters.record_samples import overview

PHOTOGRAPHS = sorted((Path(__file__).parents[1] / "photographs" / "open").glob("*.jpg"))


def code(picture):
    return image_code(normalize(np.asarray(picture.convert("L"))))


def distance(left, right):
    return sum((a ^ b).bit_count() for a, b in zip(left[1], right[1], strict=True))


@pytest.fixture(scope="module")
def pictures():
    opened = []
    for path in PHOTOGRAPHS:
        with Image.open(path) as picture:
            opened.append(picture.convert("RGB").resize((600, 400), Image.Resampling.LANCZOS))
    return opened


def test_the_code_is_iscc_cores(pictures):
    for picture in pictures:
        pixels = list(picture.convert("L").resize((32, 32), Image.Resampling.BICUBIC).tobytes())
        expected = iscc_core.gen_image_code_v0(pixels, bits=256)["iscc"]
        assert code(picture)[0] == expected


def test_the_published_vector_of_the_reference_implementation():
    """The 256-bit image vector of the ISCC conformance data."""
    (vector,) = [
        (arguments[0], expected["iscc"])
        for _, function, arguments, expected in iscc_core.conformance_testdata()
        if function.__name__ == "gen_image_code_v0" and arguments[1] == 256
    ]
    text, digest = image_code(np.array(vector[0], np.uint8).reshape(32, 32))
    assert text == vector[1]
    assert digest == iscc_core.iscc_decode(text)[4]


def test_lossy_copies_stay_near_and_other_pictures_stay_far(pictures):
    codes = [code(picture) for picture in pictures]
    for picture, own in zip(pictures, codes, strict=True):
        stream = io.BytesIO()
        picture.save(stream, "JPEG", quality=15)
        assert distance(own, code(Image.open(stream))) <= 24
        assert distance(own, code(picture.resize((300, 200)))) <= 24
    for i, left in enumerate(codes):
        for right in codes[:i]:
            assert distance(left, right) > 64


RGB = (SampleRole.RED, SampleRole.GREEN, SampleRole.BLUE)


@pytest.mark.parametrize("scale", [1, 257, 1 / 255])
def test_bit_depth_does_not_matter(pictures, scale):
    values = np.asarray(pictures[0].convert("RGB")).astype(np.float32) * scale
    found = image_code(normalize(gray_of(overview(values, RGB, white=255 * scale))))
    assert distance(found, code(pictures[0])) <= 4


def test_samples_beyond_colour_do_not_matter(pictures):
    colour = np.asarray(pictures[1].convert("RGB")).astype(np.float32)
    infrared = np.dstack([colour, np.full(colour.shape[:2], 200, np.float32)])
    with_infrared = overview(infrared, (*RGB, SampleRole.INFRARED), white=255)
    assert np.array_equal(gray_of(overview(colour, RGB, white=255)), gray_of(with_infrared))


def test_the_code_is_of_what_is_seen_not_of_what_is_stored(pictures):
    gray = np.asarray(pictures[0].convert("L")).astype(np.float32)
    inverted = overview(255 - gray[:, :, None], (SampleRole.GRAY_INVERTED,), white=255)
    turned = overview(np.rot90(gray)[:, :, None], white=255, orientation=6)
    for seen in (inverted, turned):
        assert distance(image_code(normalize(gray_of(seen))), code(pictures[0])) <= 4


def test_floats_without_bounds_do_no_harm():
    wild = np.array([[[np.nan], [np.inf]], [[-5.0], [3.0]]], np.float32)
    assert normalize(gray_of(overview(wild, white=1.0))).shape == (32, 32)


@pytest.mark.parametrize("wrong", [np.zeros((32, 31), np.uint8), np.zeros((32, 32), np.float32)])
def test_only_normalized_pictures_are_coded(wrong):
    with pytest.raises(ValueError, match="uint8"):
        image_code(wrong)
