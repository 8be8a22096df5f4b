"""Identification: PRONOM's word, our own check of the structure, and what both together cost."""

from __future__ import annotations

import os
import time
from pathlib import Path

import imagecodecs
import numpy as np
import pygfried
import pytest
import tifffile
from PIL import Image

from archive_restore.adapters import formats
from archive_restore.adapters.file_bytes import FileBytes
from archive_restore.adapters.finding_list import FindingList
from archive_restore.adapters.formats import Identity, identify, inspect_file
from archive_restore.ports import Digests, Inspected
from archive_restore.records.findings import Severity
from tests.support import bad_files
from tests.support.tiff_builder import BYTE, gray, tiff

PHOTOGRAPHS = sorted((Path(__file__).parents[1] / "photographs" / "open").glob("*.jpg"))
RGB = np.random.default_rng(0).integers(0, 255, (50, 40, 3), dtype=np.uint8)


def inspect(path: Path) -> Inspected:
    digests = Digests(size=path.stat().st_size, sha512="5" * 128, sha256="2" * 64)
    return inspect_file(path, f"inbox/{path.name}", digests=digests, name=path.name)


def write_samples(folder: Path) -> dict[str, tuple[str, str]]:
    """Good files of every format: name, PRONOM identifier, media type."""
    tifffile.imwrite(folder / "little.tif", RGB, metadata=None)
    tifffile.imwrite(folder / "big.tiff", RGB, bigtiff=True, metadata=None)
    tifffile.imwrite(folder / "motorola.tif", RGB, bigtiff=True, byteorder=">", metadata=None)
    (folder / "raw.dng").write_bytes(tiff(gray() | {50706: (BYTE, [1, 4, 0, 0])}, bad_files.DATA))
    Image.fromarray(RGB).save(folder / "photo.jpg")
    (folder / "photo.png").write_bytes(imagecodecs.png_encode(RGB))
    (folder / "photo.jp2").write_bytes(imagecodecs.jpeg2k_encode(RGB))
    (folder / "photo.j2k").write_bytes(imagecodecs.jpeg2k_encode(RGB, codecformat="j2k"))
    return {
        "little.tif": ("fmt/353", "image/tiff"),
        "big.tiff": ("fmt/1917", "image/tiff"),
        "motorola.tif": ("fmt/1917", "image/tiff"),
        "raw.dng": ("fmt/730", "image/x-adobe-dng"),
        "photo.jpg": ("fmt/43", "image/jpeg"),
        "photo.png": ("fmt/11", "image/png"),
        "photo.jp2": ("x-fmt/392", "image/jp2"),
        "photo.j2k": ("fmt/1794", "image/jp2"),
    }


def test_good_files_are_identified_and_pass(tmp_path: Path) -> None:
    for name, (puid, mime) in write_samples(tmp_path).items():
        result = inspect(tmp_path / name)
        assert result.file_format is not None
        assert (result.file_format.puid, result.file_format.mime) == (puid, mime), name
        assert (result.file_format.name, result.file_format.sha256) == (name, "2" * 64)
        assert not [f for f in result.findings if f.severity is not Severity.INFO], name
        assert all(f.subject == f"inbox/{name}" for f in result.findings)
        assert result.picture is not None and result.picture.width > 0


def test_both_ends_tell_pronom_as_much_as_the_whole_file(tmp_path: Path) -> None:
    write_samples(tmp_path)
    for path in [*tmp_path.iterdir(), *PHOTOGRAPHS]:
        if path.name == "big.tiff":
            continue  # PRONOM takes it for Zoomify either way; see below
        with FileBytes(path) as source:
            assert identify(source, FindingList("x")).puid == pygfried.identify(str(path)), path.name


def test_zoomifys_claim_on_bigtiff_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "big.tif"
    tifffile.imwrite(path, RGB, bigtiff=True, metadata=None)
    assert pygfried.identify(str(path)) == "fmt/898"
    result = inspect(path)
    assert result.file_format is not None and result.file_format.puid == "fmt/1917"
    assert [f.code for f in result.findings] == ["FORMAT_AMBIGUOUS"]


def test_camera_raws_built_on_tiff_are_not_taken_for_tiff(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "camera.nef"
    path.write_bytes(tiff(gray(), bad_files.DATA))
    monkeypatch.setattr(
        formats, "identify", lambda source, found: Identity(puid="fmt/202", mime="image/x-nikon-nef", name="Nikon NEF")
    )
    result = inspect(path)
    assert [f.code for f in result.findings] == ["FORMAT_UNSUPPORTED"]
    assert "Nikon NEF (fmt/202)" in result.findings[0].message


def test_identification_that_cannot_run_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str, detailed: bool = False) -> None:
        raise pygfried.GoError("no signatures")

    monkeypatch.setattr(pygfried, "identify", refuse)
    path = tmp_path / "scan.tif"
    path.write_bytes(tiff(gray(), bad_files.DATA))
    result = inspect(path)
    assert {f.code for f in result.findings} == {"FORMAT_NOT_IDENTIFIED", "FORMAT_UNIDENTIFIED"}
    assert result.picture is not None
    assert result.file_format is not None and result.file_format.puid == "UNKNOWN"


def test_a_file_that_cannot_be_read_is_a_finding(tmp_path: Path) -> None:
    gone = tmp_path / "gone.tif"
    result = inspect_file(gone, "gone.tif", digests=Digests(size=5, sha512="", sha256=""), name="gone.tif")
    assert [f.code for f in result.findings] == ["FILE_UNREADABLE"]


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    write_samples(tmp_path)
    (tmp_path / "bad.tif").write_bytes(b"II*\0\x08\0\0\0")
    before = len(os.listdir("/proc/self/fd"))
    for path in tmp_path.iterdir():
        inspect(path)
    assert len(os.listdir("/proc/self/fd")) == before


def test_the_file_is_not_changed(tmp_path: Path) -> None:
    write_samples(tmp_path)
    for path in tmp_path.iterdir():
        before, when = path.read_bytes(), path.stat().st_mtime_ns
        path.chmod(0o444)
        inspect(path)
        assert (path.read_bytes(), path.stat().st_mtime_ns) == (before, when)


def test_a_small_tiff_costs_less_than_identifying_the_whole_of_it(tmp_path: Path) -> None:
    """The budget of ingest: our checks and both ends' identification against pygfried on the file, in one run."""
    paths = [tmp_path / f"{number}.tif" for number in range(60)]
    data = np.random.default_rng(0).integers(0, 255, (200, 166, 3), dtype=np.uint8)
    for path in paths:
        tifffile.imwrite(path, data, rowsperstrip=16, metadata=None)
    inspect(paths[0])
    ours, theirs = [], []
    for path in paths:
        start = time.perf_counter()
        inspect(path)
        middle = time.perf_counter()
        pygfried.identify(str(path), detailed=True)
        ours.append(middle - start)
        theirs.append(time.perf_counter() - middle)
    # Medians, since the machine may be busy; measured about a half.
    assert sorted(ours)[30] < 1.5 * sorted(theirs)[30]


@pytest.mark.parametrize("path", PHOTOGRAPHS, ids=lambda path: path.stem)
def test_photographs_pass(path: Path) -> None:
    result = inspect(path)
    assert result.findings == ()
    assert result.picture is not None
    assert (result.picture.icc_description, result.picture.photometric) == ("sRGB IEC61966-2.1", "ycbcr")


def test_repeated_findings_are_counted_not_listed() -> None:
    found = FindingList("scan.tif")
    found.warning("A", "first")
    for number in range(5):
        found.warning("A", f"again {number}")
    found.error("A", "worse\nthan that")
    found.info("B", "once")
    assert [(f.code, f.severity, f.message) for f in found.findings()] == [
        ("A", Severity.ERROR, "worse than that (and 6 more of this kind)"),
        ("B", Severity.INFO, "once"),
    ]
    assert found.failed and found.first_error() == "worse than that"
