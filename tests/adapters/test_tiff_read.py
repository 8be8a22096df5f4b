"""Samples read by region equal what tifffile, Pillow and OpenCV read from the same files."""

from __future__ import annotations

import itertools
import os
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from archive_restore.adapters import plain_samples, tiff
from archive_restore.adapters.rasters import open_picture
from archive_restore.errors import PictureUnreadable
from archive_restore.records.imagery import Region, SampleRole
from tests.support.tiff_builder import LONG, SHORT, gray, pixels
from tests.support.tiff_builder import tiff as build

DTYPES = ("u1", "u2", "u4", "f2", "f4", "f8")
SHAPES = ((1, 1), (1, 1, 3), (257, 513), (100, 77, 3), (65, 40, 4))
STORED = tuple(itertools.product("<>", (False, True), (None, (64, 96)), (False, True)))
CODECS = (None, "lzw", "deflate", "packbits", "zstd", "lzma")


def sample(shape: tuple[int, ...], dtype: str, seed: int = 0) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(seed)
    if dtype.startswith("f"):
        return (rng.normal(size=shape) * 20 + 100).astype(dtype)
    high = 2 ** (8 * int(dtype[1]))
    return ((np.cumsum(rng.integers(0, 4, shape), axis=1) * (high // 4000 or 1)) % high).astype(dtype)


def whole(source: Any) -> np.ndarray[Any, Any]:
    facts = source.facts
    return source.read(Region(top=0, left=0, bottom=facts.height, right=facts.width))


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_layout_reads_as_tifffile_reads_it(dtype: str, codec: str | None, tmp_path: Path) -> None:
    path = tmp_path / "scan.tif"
    rng = np.random.default_rng(7)
    every = list(itertools.product(SHAPES, STORED))
    for shape, (order, big, tile, planar) in every if codec is None else every[:: 9 if codec == "lzma" else 3]:
        colour = len(shape) == 3
        if planar and not colour:
            continue
        data = sample(shape, dtype)
        tifffile.imwrite(
            path,
            np.moveaxis(data, 2, 0) if planar else data,
            byteorder=order,
            bigtiff=big,
            tile=tile,
            planarconfig=None if not colour else "separate" if planar else "contig",
            photometric="rgb" if colour else "minisblack",
            extrasamples=["unspecified"] if shape[-1] == 4 else None,
            compression=codec,
            predictor=bool(codec in ("lzw", "deflate", "zstd") and rng.random() < 0.7),
            rowsperstrip=None if tile else int(rng.integers(1, 300)),
            metadata=None,
        )
        reference = tifffile.imread(path)
        reference = np.moveaxis(reference, 0, 2) if planar else reference.reshape(*shape[:2], -1)
        with open_picture(path) as source:
            assert source.dtype == np.dtype(dtype) and source.dtype.isnative
            result = whole(source)
            assert result.dtype.isnative
            assert np.array_equal(result, reference)
            for _ in range(2):
                top, left = (int(rng.integers(0, n)) for n in shape[:2])
                bottom, right = int(rng.integers(top, shape[0])) + 1, int(rng.integers(left, shape[1])) + 1
                part = source.read(Region(top=top, left=left, bottom=bottom, right=right))
                assert np.array_equal(part, reference[top:bottom, left:right])


@pytest.mark.parametrize("tile", [None, (32, 48)])
@pytest.mark.parametrize(("photometric", "quality"), [("ycbcr", 90), ("rgb", 90), ("minisblack", 90)])
def test_jpeg_inside_tiff_reads_as_libtiff_reads_it(
    photometric: str, quality: int, tile: tuple[int, int] | None, tmp_path: Path
) -> None:
    path = tmp_path / "scan.tif"
    data = sample((90, 101, 3), "u1")
    data = data[:, :, 0] if photometric == "minisblack" else data
    tifffile.imwrite(
        path, data, photometric=photometric, compression="jpeg", compressionargs={"level": quality}, tile=tile,
        rowsperstrip=None if tile else 32, metadata=None,
    )  # fmt: skip
    with Image.open(path) as reference, open_picture(path) as source:
        expected = np.asarray(reference.convert("L" if photometric == "minisblack" else "RGB"))
        assert np.array_equal(whole(source), expected.reshape(90, 101, -1))


def test_opencv_agrees_on_a_sixteen_bit_scan(tmp_path: Path) -> None:
    path = tmp_path / "scan.tif"
    data = sample((300, 200, 3), "u2")
    assert cv2.imwrite(str(path), data[:, :, ::-1], [cv2.IMWRITE_TIFF_COMPRESSION, 5])
    with open_picture(path) as source:
        assert np.array_equal(whole(source), cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[:, :, ::-1])
        assert np.array_equal(whole(source), data)


@pytest.mark.parametrize("codec", ["deflate", "lzw", "zstd"])
def test_a_large_compressed_strip_is_expanded_into_a_scratch_file(
    codec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiff, "SPOOL_BYTES", 1 << 12)
    monkeypatch.setattr(plain_samples, "SPOOL_BYTES", 1 << 12)
    monkeypatch.setattr(tiff, "_BLOCK", 1 << 12)
    data = sample((400, 300, 3), "u2")
    path, scratch = tmp_path / "scan.tif", tmp_path / "scratch"
    scratch.mkdir()
    tifffile.imwrite(path, data, compression=codec, predictor=True, rowsperstrip=400, byteorder=">", metadata=None)
    descriptors = len(os.listdir("/proc/self/fd"))
    with open_picture(path, scratch=scratch) as source:
        assert np.array_equal(whole(source), data)
        assert np.array_equal(source.read(Region(top=399, left=1, bottom=400, right=2)), data[399:400, 1:2])
        assert list(scratch.iterdir()) == []
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_a_cut_large_strip_says_so_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiff, "SPOOL_BYTES", 1 << 12)
    path = tmp_path / "scan.tif"
    tifffile.imwrite(path, sample((400, 300), "u1"), compression="deflate", rowsperstrip=400, metadata=None)
    with tifffile.TiffFile(path) as parsed:
        at = parsed.pages[0].dataoffsets[0] + parsed.pages[0].databytecounts[0] // 2
    content = bytearray(path.read_bytes())
    content[at : at + 50] = bytes(50)
    path.write_bytes(content)
    with open_picture(path) as source, pytest.raises(PictureUnreadable, match=r"does not decode|ends inside") as caught:
        whole(source)
    assert "\n" not in str(caught.value)


def test_many_threads_read_the_same_picture(tmp_path: Path) -> None:
    path = tmp_path / "scan.tif"
    data = sample((512, 512, 3), "u2")
    tifffile.imwrite(path, data, compression="deflate", tile=(64, 64), metadata=None)
    wrong: list[str] = []
    with open_picture(path) as source:

        def read(seed: int) -> None:
            rng = np.random.default_rng(seed)
            for _ in range(40):
                y, x = (int(v) for v in rng.integers(0, 400, 2))
                if not np.array_equal(
                    source.read(Region(top=y, left=x, bottom=y + 100, right=x + 100)), data[y : y + 100, x : x + 100]
                ):
                    wrong.append(f"{y},{x}")

        threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong


def test_the_cache_stays_within_its_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiff, "CACHE_BYTES", 3 * 64 * 64)
    path = tmp_path / "scan.tif"
    data = sample((512, 512), "u1")
    tifffile.imwrite(path, data, compression="lzw", tile=(64, 64), metadata=None)
    with open_picture(path) as source:
        assert isinstance(source, tiff.TiffSource)
        assert np.array_equal(whole(source)[:, :, 0], data)
        assert sum(segment.nbytes for segment in source._cache.values()) <= 3 * 64 * 64


def test_the_first_page_is_the_picture_and_orientation_is_not_applied(tmp_path: Path) -> None:
    path = tmp_path / "scan.tif"
    first, second = sample((40, 30, 3), "u1"), sample((40, 30), "u1", seed=1)
    with tifffile.TiffWriter(path) as writer:
        writer.write(first, extratags=[(274, 3, 1, 6, True)], metadata=None, contiguous=False)
        writer.write(second, metadata=None, contiguous=False)
        writer.write(second[::4, ::4], subfiletype=1, metadata=None, contiguous=False)
    with open_picture(path) as source:
        assert np.array_equal(whole(source), first)
        assert (source.facts.pages, source.facts.orientation) == (2, 6)
        assert "infrared" in source.facts.note


def test_samples_beyond_the_colours(tmp_path: Path) -> None:
    path = tmp_path / "scan.tif"
    red, green, blue = SampleRole.RED, SampleRole.GREEN, SampleRole.BLUE
    for kind, role in (
        ("unspecified", SampleRole.INFRARED),
        ("assocalpha", SampleRole.ALPHA),
        ("unassalpha", SampleRole.ALPHA),
    ):
        tifffile.imwrite(path, sample((8, 9, 4), "u2"), photometric="rgb", extrasamples=[kind], metadata=None)
        with open_picture(path) as source:
            assert source.facts.roles == (red, green, blue, role)
    for white, role in (("miniswhite", SampleRole.GRAY_INVERTED), ("minisblack", SampleRole.GRAY)):
        data = sample((8, 9), "u1")
        tifffile.imwrite(path, data, photometric=white, metadata=None)
        with open_picture(path) as source:
            assert source.facts.roles == (role,)
            assert np.array_equal(whole(source)[:, :, 0], data)


def test_what_cannot_be_restored_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "scan.tif"
    for tags in (
        {262: (SHORT, [3]), 320: (SHORT, [0] * 768)},
        {258: (SHORT, [1]), 279: (LONG, [16])},
        {258: (SHORT, [4]), 279: (LONG, [64])},
        {339: (SHORT, [2])},
        {262: (SHORT, [5]), 277: (SHORT, [4]), 258: (SHORT, [8] * 4), 279: (LONG, [512])},
        {266: (SHORT, [2])},
    ):
        path.write_bytes(build(gray() | tags, pixels(512)))
        with pytest.raises(PictureUnreadable, match="cannot be restored") as caught:
            open_picture(path)
        assert "\n" not in str(caught.value)


def test_a_region_outside_the_picture_is_the_callers_error(tmp_path: Path) -> None:
    path = tmp_path / "scan.tif"
    path.write_bytes(build(gray(), pixels(128)))
    with open_picture(path) as source:
        for region in (
            Region(top=0, left=0, bottom=9, right=16),
            Region(top=-1, left=0, bottom=2, right=2),
            Region(top=2, left=2, bottom=2, right=4),
        ):
            with pytest.raises(ValueError, match="is not inside"):
                source.read(region)


def test_a_record_of_another_picture_is_noticed(tmp_path: Path) -> None:
    one, other = tmp_path / "one.tif", tmp_path / "other.tif"
    one.write_bytes(build(gray(), pixels(128)))
    other.write_bytes(build(gray(8, 16), pixels(128)))
    with open_picture(one) as source, pytest.raises(PictureUnreadable, match="its record says"):
        open_picture(other, source.facts)


def test_a_file_that_shrinks_while_open_is_damage_not_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "scan.tif"
    data = sample((2000, 1000), "u1")
    tifffile.imwrite(path, data, metadata=None)
    with open_picture(path) as source:
        os.truncate(path, 1_000_000)
        with pytest.raises(PictureUnreadable, match="ends inside its pixels"):
            whole(source)


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(PictureUnreadable, match="No such file"):
        open_picture(tmp_path / "gone.tif")


def test_memory_files_do_not_need_a_name() -> None:
    from archive_restore.adapters.file_bytes import FileBytes

    source = FileBytes(b"0123456789")
    assert (source.read(8, 5), source.read(-1, 2), source.read(10, 1), source.read(2, 0)) == (b"89", b"", b"", b"")
