"""A map of a large picture is nearly all zeros: it must be read, though a scan so empty is refused."""

import numpy as np

from archive_restore.adapters.file_bytes import FileBytes
from archive_restore.adapters.finding_list import FindingList
from archive_restore.adapters.picture_finder import find_picture
from archive_restore.adapters.png_write import PngPlaneWriter
from archive_restore.adapters.rasters import open_picture
from archive_restore.adapters.tiff import open_map
from archive_restore.adapters.tiff_write import DerivativeMetadata, DerivativeWriter
from archive_restore.records.imagery import PictureFacts, Region, SampleRole

WIDTH, HEIGHT = 18_000, 16_000
LAST = Region(top=HEIGHT - 1, left=0, bottom=HEIGHT, right=WIDTH)


def test_as_png(tmp_path):
    path = tmp_path / "map.png"
    writer = PngPlaneWriter(path, WIDTH, HEIGHT)
    for _ in range(0, HEIGHT, 1000):
        writer.write(np.zeros((1000, WIDTH), np.uint8))
    writer.close()
    with open_picture(path, scratch=tmp_path) as plane:
        assert not plane.read(LAST).any()
    found = FindingList("a scan")
    with FileBytes(path) as source:
        find_picture(source, found)
    assert "PICTURE_BOMB" in {finding.code for finding in found.findings()}


def test_in_a_derivative(tmp_path):
    facts = PictureFacts(
        width=WIDTH, height=HEIGHT, samples=1, bits=8, sample_format="uint", roles=(SampleRole.GRAY,),
        photometric="minisblack", compression="none", layout="strips", pages=1,
    )  # fmt: skip
    path = tmp_path / "derivative.tif"
    with DerivativeWriter(path, facts, DerivativeMetadata()) as writer:
        for top in range(0, HEIGHT, 1024):
            rows = min(1024, HEIGHT - top)
            writer.write_band(np.zeros((rows, WIDTH, 1), np.uint8), np.zeros((rows, WIDTH), np.uint8))
    with open_map(path) as flags, open_picture(path) as picture:
        assert not flags.read(LAST).any()
        assert not picture.read(LAST).any()
