"""The map's arithmetic: counts, digests a stranger can recompute, and claims that are checked."""

import hashlib

import numpy as np
import pytest

from archive_restore.core.synthesis_map import (
    PixelDigest,
    check_claims,
    class_counts,
    display_table,
    flag_names,
    histogram,
    pixel_digest,
)  # fmt: skip
from archive_restore.records.imagery import PRESERVATION_FLAGS, PixelFlag


def test_a_pixel_with_two_flags_counts_in_both():
    flags = np.array([[0, 0x08], [0x48, 0x40]], np.uint8)
    assert class_counts(histogram(flags)) == {"ORIGINAL": 1, "INTERPOLATED": 2, "HUMAN": 2}
    assert flag_names(0x48) == ("INTERPOLATED", "HUMAN")
    assert flag_names(0) == ("ORIGINAL",)


def test_only_original_is_transparent():
    table = display_table()
    assert table[0, 3] == 0
    assert (table[1:, 3] == 255).all()


@pytest.mark.parametrize("dtype", ["<u2", ">u2", "u1", "<f4"])
def test_the_digest_is_that_of_little_endian_rows(dtype):
    pixels = np.arange(5 * 4 * 3).reshape(5, 4, 3).astype(dtype)
    stranger = hashlib.sha256(pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()).hexdigest()
    banded = PixelDigest()
    banded.update(pixels[:2])
    banded.update(pixels[2:])
    assert pixel_digest(pixels) == banded.hexdigest() == stranger


def test_a_lying_map_is_found_where_it_lies():
    master = np.zeros((3, 4, 2), np.uint16)
    derivative = master.copy()
    derivative[2, 1, 1] = 1
    (breach,) = check_claims(np.zeros((3, 4), np.uint8), derivative, master, PRESERVATION_FLAGS)
    assert (breach.rule, breach.pixels, breach.y, breach.x) == ("ORIGINAL", 1, 2, 1)
    flags = np.zeros((3, 4), np.uint8)
    flags[2, 1] = PixelFlag.INTERPOLATED
    assert list(check_claims(flags, derivative, master, PRESERVATION_FLAGS)) == []


def test_a_restoration_may_not_carry_story_flags():
    flags = np.full((1, 1), PixelFlag.COLORIZED, np.uint8)
    pixels = np.zeros((1, 1), np.uint8)
    assert [b.rule for b in check_claims(flags, pixels, pixels, PRESERVATION_FLAGS)] == ["NOT_ALLOWED"]


def test_floats_are_compared_as_bits():
    nan = np.full((1, 1), np.nan, np.float32)
    assert list(check_claims(np.zeros((1, 1), np.uint8), nan, nan.copy(), PRESERVATION_FLAGS)) == []
    zero, minus = np.zeros((1, 1), np.float32), np.full((1, 1), -0.0, np.float32)
    assert [b.rule for b in check_claims(np.zeros((1, 1), np.uint8), zero, minus, PRESERVATION_FLAGS)] == ["ORIGINAL"]
