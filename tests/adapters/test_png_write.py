"""Planes written row by row are PNG files that other readers open."""

import numpy as np
import pytest
from PIL import Image

from archive_restore.adapters.png_write import PngPlaneWriter


@pytest.mark.parametrize(("height", "width", "band"), [(1, 1, 1), (257, 513, 64), (40, 7, 13)])
def test_pillow_reads_what_was_written(tmp_path, height, width, band):
    plane = np.random.default_rng(1).integers(0, 256, (height, width), np.uint8)
    writer = PngPlaneWriter(tmp_path / "a.png", width, height)
    for top in range(0, height, band):
        writer.write(plane[top : top + band])
    writer.close()
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == "L"
        assert (np.asarray(image) == plane).all()


def test_missing_rows_are_not_passed_over(tmp_path):
    writer = PngPlaneWriter(tmp_path / "a.png", 4, 3)
    writer.write(np.zeros((2, 4), np.uint8))
    with pytest.raises(ValueError, match="1 rows are missing"):
        writer.close()
    writer.write(np.zeros((1, 4), np.uint8))
    writer.close()
