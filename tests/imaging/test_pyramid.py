"""Levels of a pyramid are the same for bands of any height, average pictures and lose no flag."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archive_restore.imaging.pyramid import Pyramid, averaged, in_part, united


def levels(picture, count, halve, heights, edge=8):
    """Every level of a picture, put together from its bands."""
    found = [[] for _ in range(count)]

    def out(level, number, band):
        assert number == len(found[level])
        assert len(band) <= edge
        found[level].append(band.copy())

    pyramid = Pyramid(count, edge, out, halve)
    at = 0
    while at < len(picture):
        step = heights[at % len(heights)]
        pyramid.add(picture[at : at + step])
        at += step
    pyramid.finish()
    return [np.concatenate(bands) for bands in found]


@given(
    height=st.integers(1, 60), width=st.integers(1, 40), heights=st.lists(st.integers(1, 30), min_size=1, max_size=4),
    seed=st.integers(0, 99),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_bands_of_any_height_give_the_same_levels(height, width, heights, seed):
    picture = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    made = levels(picture, 4, averaged, heights)
    wanted = picture
    for level in made:
        assert np.array_equal(level, wanted)
        wanted = averaged(wanted)


def test_a_pixel_is_the_mean_of_four_and_edges_count_twice():
    picture = np.array([[0, 10, 100], [20, 30, 200], [40, 60, 9]], np.uint8)[:, :, None]
    assert averaged(picture)[:, :, 0].tolist() == [[15, 150], [50, 9]]


@pytest.mark.parametrize("size", [(1, 1), (33, 17), (64, 64)])
def test_no_level_of_a_map_hides_a_flag(size):
    flags = np.zeros((*size, 1), np.uint8)
    flags[-1, -1] = 0x10
    flags[0, 0] |= 0x08
    for level in levels(flags, 5, united, [5]):
        assert np.bitwise_or.reduce(level, axis=None) == 0x18
        assert level[-1, -1] & 0x10


def test_flags_and_colours_of_one_array_are_halved_each_in_its_way():
    both = np.array([[[1, 0], [2, 100]]], np.uint8)
    assert in_part([0])(both).tolist() == [[[3, 50]]]
