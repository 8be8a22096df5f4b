"""Derivatives as other programs see them: tifffile, Pillow, OpenCV, libtiff's tools, exiftool; and our own checks."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from archive_restore.adapters import tiff_write
from archive_restore.adapters.formats import inspect_file
from archive_restore.adapters.rasters import open_picture, raw_metadata
from archive_restore.adapters.tiff import open_map
from archive_restore.adapters.tiff_write import TILE, DerivativeMetadata, DerivativeWriter
from archive_restore.errors import PictureUnreadable, StorageFailed
from archive_restore.ports import Digests
from archive_restore.records.findings import Severity
from archive_restore.records.imagery import PictureFacts, Region, SampleRole

GRAY, WHITE, IR, ALPHA = SampleRole.GRAY, SampleRole.GRAY_INVERTED, SampleRole.INFRARED, SampleRole.ALPHA
RGB = (SampleRole.RED, SampleRole.GREEN, SampleRole.BLUE)
KINDS = {"gray": (GRAY,), "negative": (WHITE,), "rgb": RGB, "rgb+ir": (*RGB, IR), "rgb+alpha": (*RGB, ALPHA)}
DEPTHS = {
    "u1": ("uint", 8),
    "u2": ("uint", 16),
    "u4": ("uint", 32),
    "f2": ("float", 16),
    "f4": ("float", 32),
    "f8": ("float", 64),
}
SIZES = ((1, 1), (257, 513), (512, 256))


def facts_of(height: int, width: int, roles: tuple[SampleRole, ...], dtype: str) -> PictureFacts:
    sample_format, bits = DEPTHS[dtype]
    return PictureFacts(
        width=width, height=height, samples=len(roles), bits=bits, sample_format=sample_format, roles=roles,
        photometric="", compression="", layout="", pages=1,
    )  # fmt: skip


def pixels_of(facts: PictureFacts, dtype: str) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    rng = np.random.default_rng(facts.width)
    shape = (facts.height, facts.width, facts.samples)
    if dtype.startswith("f"):
        samples = rng.normal(size=shape).astype(dtype)
        samples[0, 0, 0] = np.nan
    else:
        samples = rng.integers(0, 2**facts.bits, shape, dtype=np.uint64).astype(dtype)
    flags = np.where(rng.random(shape[:2]) < 0.01, 8, 0).astype(np.uint8)
    flags[-1, -1] = 0x41
    return samples, flags


def write(
    path: Path,
    facts: PictureFacts,
    samples: Any,
    flags: Any,
    metadata: DerivativeMetadata | None = None,
    band: int = TILE,
) -> None:
    with DerivativeWriter(path, facts, metadata or DerivativeMetadata()) as writer:
        for row in range(0, facts.height, band):
            writer.write_band(samples[row : row + band], flags[row : row + band])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", DEPTHS)
def test_tifffile_reads_back_every_sample_and_the_map(dtype: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "restored.tif"
    for height, width in SIZES:
        facts = facts_of(height, width, KINDS[kind], dtype)
        samples, flags = pixels_of(facts, dtype)
        write(path, facts, samples, flags)
        with tifffile.TiffFile(path) as file:
            assert len(file.pages) == 1
            page = file.pages.first
            assert np.array_equal(page.asarray().reshape(samples.shape), samples, equal_nan=dtype.startswith("f"))
            (sub,) = page.pages
            assert np.array_equal(sub.asarray().reshape(flags.shape), flags)
            assert sub.tags["NewSubfileType"].value == 1
            assert page.is_tiled and page.compression == 8 and page.predictor == (3 if dtype.startswith("f") else 2)
        frame = Region(top=0, left=0, bottom=height, right=width)
        with open_picture(path) as ours, open_map(path) as synthesis_map:
            assert ours.facts.roles == facts.roles
            assert (ours.facts.bits, ours.facts.sample_format) == (facts.bits, facts.sample_format)
            assert np.array_equal(ours.read(frame).view(np.uint8), samples.view(np.uint8))
            assert np.array_equal(synthesis_map.read(frame)[:, :, 0], flags)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "f4", "f8"])
def test_opencv_reads_the_same_samples(dtype: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "restored.tif"
    facts = facts_of(257, 513, KINDS[kind], dtype)
    samples, flags = pixels_of(facts, dtype)
    write(path, facts, samples, flags)
    seen = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert seen is not None and seen.dtype == samples.dtype
    seen = seen.reshape(257, 513, -1)
    seen = seen[:, :, [2, 1, 0, 3][: seen.shape[2]]] if seen.shape[2] > 1 else seen
    if dtype == "u1" and kind == "negative":
        seen = 255 - seen  # OpenCV shows 8-bit negatives as positives
    if dtype == "u1" and kind == "rgb+alpha":
        seen, samples = seen[:, :, 3], samples[:, :, 3]  # and multiplies 8-bit colour with alpha
    assert np.array_equal(seen, samples.reshape(seen.shape), equal_nan=dtype.startswith("f"))


@pytest.mark.parametrize(("kind", "dtype", "mode"), [
    ("gray", "u1", "L"), ("gray", "u2", "I;16"), ("gray", "f4", "F"), ("rgb", "u1", "RGB"), ("rgb+alpha", "u1", "RGBA"),
])  # fmt: skip
def test_pillow_sees_one_page_with_the_same_samples(kind: str, dtype: str, mode: str, tmp_path: Path) -> None:
    path = tmp_path / "restored.tif"
    facts = facts_of(257, 513, KINDS[kind], dtype)
    samples, flags = pixels_of(facts, dtype)
    write(path, facts, samples, flags)
    with Image.open(path) as seen:
        assert (seen.mode, seen.n_frames) == (mode, 1)
        assert np.array_equal(np.asarray(seen).reshape(samples.shape), samples, equal_nan=dtype == "f4")


@pytest.mark.skipif(shutil.which("tiffinfo") is None, reason="libtiff's tools are not installed")
@pytest.mark.parametrize("big", [False, True])
def test_libtiff_finds_nothing_to_complain_about(big: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiff_write, "_BIG_FROM", 1 if big else 1 << 40)
    path = tmp_path / "restored.tif"
    metadata = DerivativeMetadata(
        icc=b"profile", xmp=b"<x/>", iptc=b"\x1c\x02\x00\x00\x02\0\4", software="archive-restore",
        description="Zwei Möwen", artist="A. N. Other", copyright="CC0", x_resolution=600.0,
        y_resolution=1200.5, orientation=8,
    )  # fmt: skip
    for kind, dtype in (("rgb+ir", "u2"), ("gray", "f4"), ("rgb", "u1")):
        facts = facts_of(257, 513, KINDS[kind], dtype)
        write(path, facts, *pixels_of(facts, dtype), metadata)
        assert path.read_bytes()[2] == (43 if big else 42)
        shown = subprocess.run(["tiffinfo", "-D", str(path)], capture_output=True, text=True, check=True)
        assert shown.stderr == ""
        dumped = subprocess.run(["tiffdump", str(path)], capture_output=True, text=True, check=True)
        assert dumped.stderr == ""
        assert shown.stdout.count("TIFF Directory") <= 2


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")
def test_exiftool_reads_what_was_carried_along(tmp_path: Path) -> None:
    path = tmp_path / "restored.tif"
    facts = facts_of(40, 30, KINDS["rgb+alpha"], "u2")
    write(path, facts, *pixels_of(facts, "u2"), DerivativeMetadata(
        software="archive-restore 0.1", description="Zwei Möwen", artist="A. N. Other", copyright="CC0",
        x_resolution=600.0, y_resolution=1200.5, orientation=6, extra_samples=(1,),
    ))  # fmt: skip
    shown = subprocess.run(["exiftool", "-j", "-G1", "-n", str(path)], capture_output=True, text=True, check=True)
    tags = json.loads(shown.stdout)[0]
    assert tags["IFD0:Software"] == "archive-restore 0.1"
    assert tags["IFD0:ImageDescription"] == "Zwei Möwen"
    assert (tags["IFD0:Artist"], tags["IFD0:Copyright"]) == ("A. N. Other", "CC0")
    assert (tags["IFD0:XResolution"], tags["IFD0:YResolution"], tags["IFD0:ResolutionUnit"]) == (600, 1200.5, 2)
    assert (tags["IFD0:Orientation"], tags["IFD0:ExtraSamples"]) == (6, 1)
    assert (tags["SubIFD:SubfileType"], tags["SubIFD:ImageWidth"], tags["SubIFD:ImageHeight"]) == (1, 30, 40)
    assert "Warning" not in str(sorted(tags))


def test_our_own_checks_find_nothing_and_the_blocks_are_byte_for_byte(tmp_path: Path) -> None:
    path = tmp_path / "restored.tif"
    facts = facts_of(300, 200, RGB, "u2")
    icc = bytes(range(256)) * 3
    metadata = DerivativeMetadata(xmp=b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>', iptc=b"\x1c\x02\x05\0\3abc", icc=icc)
    write(path, facts, *pixels_of(facts, "u2"), metadata)
    result = inspect_file(
        path, "restored", digests=Digests(size=path.stat().st_size, sha512="", sha256=""), name="restored.tif"
    )
    # The profile and packet above are no real ones; nothing else may be wrong.
    assert {f.code for f in result.findings if f.severity is not Severity.INFO} == {"ICC_INVALID", "XMP_MALFORMED"}
    raw = raw_metadata(path)
    assert (raw.icc, raw.xmp, raw.iptc) == (metadata.icc, metadata.xmp, metadata.iptc)


def test_the_same_input_gives_the_same_bytes_whatever_the_bands(tmp_path: Path) -> None:
    facts = facts_of(1500, 700, RGB, "u2")
    samples, flags = pixels_of(facts, "u2")
    digests = set()
    for number, band in enumerate((TILE, 2 * TILE, 1536)):
        path = tmp_path / f"{number}.tif"
        write(path, facts, samples, flags, DerivativeMetadata(software="x"), band)
        digests.add(hashlib.sha256(path.read_bytes()).hexdigest())
    assert len(digests) == 1


@pytest.mark.parametrize(
    "stored", [{"byteorder": ">"}, {"planarconfig": "separate"}, {"compression": "jpeg", "photometric": "ycbcr"}]
)
def test_masters_of_every_layout_come_back_unchanged(stored: dict[str, str], tmp_path: Path) -> None:
    master, path = tmp_path / "master.tif", tmp_path / "restored.tif"
    dtype = "u1" if "compression" in stored else "u2"
    data = np.random.default_rng(0).integers(0, 255, (257, 130, 3)).astype(dtype)
    planar = "planarconfig" in stored
    tifffile.imwrite(
        master, np.moveaxis(data, 2, 0) if planar else data, metadata=None, **{"photometric": "rgb", **stored}
    )
    frame = Region(top=0, left=0, bottom=257, right=130)
    with open_picture(master) as source:
        samples = source.read(frame)
        write(path, source.facts, samples, np.zeros((257, 130), np.uint8))
    assert np.array_equal(tifffile.imread(path), samples)
    if dtype == "u2":
        assert np.array_equal(samples, data)


def test_bands_that_do_not_fit_are_the_callers_error(tmp_path: Path) -> None:
    facts = facts_of(600, 20, (GRAY,), "u1")
    samples, flags = pixels_of(facts, "u1")
    for cut in (
        (samples[:100], flags[:100]),
        (samples[:256], flags[:255]),
        (samples[:256].astype(np.uint16), flags[:256]),
        (samples[:256, :19], flags[:256, :19]),
        (samples[:0], flags[:0]),
    ):
        writer = DerivativeWriter(tmp_path / "x.tif", facts, DerivativeMetadata())
        with pytest.raises(ValueError, match="does not fit"):
            writer.write_band(*cut)
        writer.abort()
    with (
        pytest.raises(ValueError, match="only 256 of 600"),
        DerivativeWriter(tmp_path / "x.tif", facts, DerivativeMetadata()) as writer,
    ):
        writer.write_band(samples[:256], flags[:256])
    assert not (tmp_path / "x.tif").exists()


def test_a_failure_inside_removes_the_half_written_file(tmp_path: Path) -> None:
    facts = facts_of(600, 20, (GRAY,), "u1")
    with pytest.raises(KeyError), DerivativeWriter(tmp_path / "x.tif", facts, DerivativeMetadata()) as writer:
        writer.write_band(*(part[:256] for part in pixels_of(facts, "u1")))
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_refuses_is_one_line(tmp_path: Path) -> None:
    facts = facts_of(1024, 1024, RGB, "u2")
    full = tmp_path / "full.tif"
    full.symlink_to("/dev/full")
    with pytest.raises(StorageFailed) as caught:
        write(full, facts, *pixels_of(facts, "u2"))
    assert "No space left" in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(StorageFailed):
        DerivativeWriter(tmp_path / "missing" / "x.tif", facts, DerivativeMetadata())


def test_a_file_without_a_map_says_so(tmp_path: Path) -> None:
    path = tmp_path / "scan.tif"
    tifffile.imwrite(path, np.zeros((5, 6), np.uint8))
    with pytest.raises(PictureUnreadable, match="holds no synthesis map"):
        open_map(path)
    with tifffile.TiffWriter(path) as writer:
        writer.write(np.zeros((50, 60), np.uint8), subifds=1)
        writer.write(np.zeros((5, 6), np.uint8), subfiletype=1)
    with pytest.raises(PictureUnreadable, match="holds no synthesis map"):
        open_map(path)


def test_over_four_gigabytes_it_is_bigtiff(tmp_path: Path) -> None:
    writer = DerivativeWriter(tmp_path / "x.tif", facts_of(30_000, 30_000, RGB, "u2"), DerivativeMetadata())
    assert writer._big
    writer.abort()
    small = DerivativeWriter(tmp_path / "y.tif", facts_of(20_000, 20_000, RGB, "u2"), DerivativeMetadata())
    assert not small._big
    small.abort()
