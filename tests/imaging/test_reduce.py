"""Reduced pictures equal a slow exact average for any bands, and reduced maps lose no flag."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archive_restore.imaging.reduce import MapReducer, PictureReducer, reduce_map, reduce_picture
from archive_restore.records.imagery import PixelFlag


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
