"""Every bad file ends in its finding, within two seconds and one gigabyte; names and large files too."""

from __future__ import annotations

import contextlib
import hashlib
import os
import struct
import subprocess
import sys
import textwrap
import time
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archive_restore.adapters.formats import inspect_file, name_findings
from archive_restore.adapters.rasters import open_picture, raw_metadata
from archive_restore.adapters.tiff import open_map
from archive_restore.errors import PictureUnreadable
from archive_restore.ports import Digests, Inspected
from archive_restore.records.findings import Severity
from archive_restore.records.imagery import Region
from tests.support import bad_files
from tests.support.tiff_builder import BYTE, LONG, SHORT, RawTag, gray, ifd, tiff

CASES = {case.folder: case for case in bad_files.cases()}
SECONDS = 2.0
BYTES = 1 << 30


def inspect(path: Path, name: str = "") -> Inspected:
    data = path.read_bytes() if path.stat().st_size < 1 << 24 else b""
    digests = Digests(
        size=path.stat().st_size, sha512=hashlib.sha512(data).hexdigest(), sha256=hashlib.sha256(data).hexdigest()
    )
    return inspect_file(path, path.name, digests=digests, name=name or path.name)


@pytest.fixture(scope="module", autouse=True)
def signatures_loaded(tmp_path_factory: pytest.TempPathFactory) -> None:
    """PRONOM's signatures load once a process; that is not a property of any file."""
    path = tmp_path_factory.mktemp("warm") / "scan.tif"
    path.write_bytes(tiff(gray(), bad_files.DATA))
    inspect(path)


@pytest.mark.parametrize("folder", sorted(CASES))
def test_bad_file_gives_its_finding(folder: str) -> None:
    case = CASES[folder]
    path = bad_files.FOLDER / folder / case.name
    start = time.perf_counter()
    result = inspect(path)
    seconds = time.perf_counter() - start
    found = {finding.code: finding for finding in result.findings}
    assert case.code in found, [str(f) for f in result.findings]
    assert found[case.code].severity == case.severity
    assert "\n" not in found[case.code].message
    assert found[case.code].subject == case.name
    assert (result.picture is None) == (case.severity == "error")
    assert seconds < SECONDS


def test_committed_files_are_what_the_script_makes() -> None:
    for folder, case in CASES.items():
        assert (bad_files.FOLDER / folder / case.name).read_bytes() == case.data, folder
        assert len(case.data) < 50 * 1024, folder
    errors = [case for case in CASES.values() if case.severity == "error"]
    assert len(errors) >= 34


@pytest.mark.parametrize("folder", sorted(name for name, case in CASES.items() if case.severity == "error"))
def test_opening_a_bad_file_is_one_line(folder: str) -> None:
    """What `--keep-unreadable` kept is refused in one line when somebody restores it, or reads within the frame."""
    path = bad_files.FOLDER / folder / CASES[folder].name
    start = time.perf_counter()
    try:
        with open_picture(path) as source:
            source.read(Region(top=0, left=0, bottom=min(64, source.facts.height), right=min(64, source.facts.width)))
    except PictureUnreadable as exc:
        assert "\n" not in str(exc)
    assert time.perf_counter() - start < SECONDS


def test_memory_of_all_bad_files_together(tmp_path: Path) -> None:
    """One process inspects and opens every bad file, and the larger bombs made here; its peak stays under 1 GiB."""
    (tmp_path / "deflate.png").write_bytes(_true_png_bomb())
    (tmp_path / "deflate.tif").write_bytes(_true_tiff_bomb())
    (tmp_path / "profile.png").write_bytes(
        bad_files.png(extra=bad_files.png_chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(100_000_000), 9)))
    )
    script = textwrap.dedent(
        """
        import sys
        from pathlib import Path
        from archive_restore.adapters.formats import inspect_file
        from archive_restore.adapters.rasters import open_picture
        from archive_restore.errors import PictureUnreadable
        from archive_restore.ports import Digests
        from archive_restore.records.imagery import Region

        for path in [Path(line) for line in sys.stdin.read().splitlines()]:
            digests = Digests(size=path.stat().st_size, sha512="", sha256="")
            inspect_file(path, path.name, digests=digests, name=path.name)
            try:
                with open_picture(path) as source:
                    source.read(Region(top=0, left=0, bottom=1, right=1))
            except PictureUnreadable:
                pass
        # VmHWM belongs to this program; ru_maxrss would still count the process it was forked from.
        peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
        print(int(peak.split()[1]) * 1024)
        """
    )
    files = [*(bad_files.FOLDER / folder / case.name for folder, case in CASES.items()), tmp_path / "profile.png"]
    bombs = [tmp_path / "deflate.png", tmp_path / "deflate.tif"]
    for path in bombs:
        start = time.perf_counter()
        assert "PICTURE_BOMB" in {finding.code for finding in inspect(path).findings}
        assert time.perf_counter() - start < SECONDS
    done = subprocess.run(
        [sys.executable, "-c", script],
        input="\n".join(str(path) for path in files + bombs),
        capture_output=True,
        text=True,
        check=True,
    )
    assert 1 << 24 < int(done.stdout) < BYTES


def _true_png_bomb() -> bytes:
    """A valid PNG of 10^9 gray pixels, all zero, whose samples really inflate."""
    width, height, rows = 32_767, 30_528, 64
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    deflate = zlib.compressobj(9, wbits=-15)
    block = deflate.compress(bytes((width + 1) * rows)) + deflate.flush(zlib.Z_FULL_FLUSH)
    # After a full flush blocks stand alone and repeat; Adler-32 of n zeros is n modulo 65521 and 1 (RFC 1950 §8).
    checksum = struct.pack(">HH", (width + 1) * height % 65_521, 1)
    data = b"\x78\xda" + block * (height // rows) + b"\x03\0" + checksum
    chunks = (
        bad_files.png_chunk(b"IHDR", header) + bad_files.png_chunk(b"IDAT", data) + bad_files.png_chunk(b"IEND", b"")
    )
    return b"\x89PNG\r\n\x1a\n" + chunks


def _true_tiff_bomb() -> bytes:
    """A valid deflate TIFF of 10^9 gray pixels, all zero."""
    rows = 400
    strip = zlib.compress(bytes(32_768 * rows), 9)
    number = 30_400 // rows
    tags = gray() | {256: (LONG, [32_768]), 257: (LONG, [30_400]), 259: (SHORT, [8]), 278: (SHORT, [rows])}
    tags |= {273: (LONG, [8 + i * len(strip) for i in range(number)]), 279: (LONG, [len(strip)] * number)}
    return tiff(tags, strip * number)


def test_a_large_sparse_tiff_is_checked_without_reading_its_pixels(tmp_path: Path) -> None:
    path = tmp_path / "large.tif"
    side = 60_000
    tags = gray() | {256: (LONG, [side]), 257: (LONG, [side]), 278: (LONG, [side]), 279: (LONG, [side * side])}
    path.write_bytes(tiff(tags, b""))
    os.truncate(path, 8 + side * side + 4096)
    start = time.perf_counter()
    result = inspect(path)
    assert time.perf_counter() - start < SECONDS / 4
    # The directory lies inside the strip: a finding, found without reading 3.6 GB.
    assert [f.code for f in result.findings if f.severity is Severity.ERROR] == ["TIFF_SEGMENT_OVERLAP"]


def _chain(tags: dict, data: bytes, pages: int = 1000) -> bytes:
    """Pages with the same tags behind `data`."""
    base, size = 8 + len(data), len(ifd(tags, 0))
    tables = (ifd(tags, base + i * size, next_ifd=base + (i + 1) * size if i < pages - 1 else 0) for i in range(pages))
    return b"II*\0" + struct.pack("<I", base) + data + b"".join(tables)


MILLION = 1_000_000
SHARED = {257: (LONG, [MILLION]), 278: (SHORT, [1]), 273: RawTag(LONG, MILLION, 8), 279: RawTag(LONG, MILLION, 8)}
POINTERS = {256: (SHORT, [1]), 330: RawTag(LONG, 1024, 8)}
RESOURCE = b"\xff\xed\xff\xff" + b"Photoshop 3.0\0".ljust(65_533, b"x")
GOOD_PNG = bad_files.png()
COSTLY = {
    "fill-bytes.jpg": lambda: b"\xff\xd8" + b"\xff" * 40_000_000 + bad_files.JPEG[2:],
    "resources.jpg": lambda: b"\xff\xd8" + RESOURCE * 800 + bad_files.JPEG[2:],
    "thousand-pages.tif": lambda: _chain(gray(), bad_files.DATA),
    "thousand-pages-one-list.tif": lambda: _chain(gray() | SHARED, struct.pack("<I", 8) * MILLION),
    "million-pointers.tif": lambda: _chain(POINTERS, struct.pack("<I", 8) * 1024),
    "chunks.png": lambda: GOOD_PNG[:33] + bad_files.png_chunk(b"tEXt", b"") * 200_000 + GOOD_PNG[33:],
    "attributes.tif": lambda: tiff(
        gray() | {700: (BYTE, b"<x " + b" ".join(b'a%d="1"' % i for i in range(200_000)) + b"/>")}, bad_files.DATA
    ),
    "depth.tif": lambda: tiff(gray() | {700: (BYTE, b"<x>" * 500_000)}, bad_files.DATA),
}
"""Files that cost little to make and would cost much to believe."""


@pytest.mark.parametrize("name", COSTLY)
def test_files_made_to_cost_time_do_not(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(COSTLY[name]())
    start = time.process_time()
    inspect(path)
    assert time.process_time() - start < SECONDS


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_change_of_bytes_raises(tmp_path: Path, data: st.DataObject) -> None:
    """Whatever is flipped, cut or put in: findings or a picture, never an exception."""
    seeds = (tiff(gray(), bad_files.DATA), bad_files.JPEG, bad_files.PROGRESSIVE, bad_files.JP2, bad_files.png())
    content = bytearray(data.draw(st.sampled_from(seeds)))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        change = data.draw(st.binary(min_size=0, max_size=6))
        content[at : at + data.draw(st.integers(0, 6))] = change
        content = content or bytearray(b"\0")
    path = tmp_path / "scan.tif"
    path.write_bytes(bytes(content))
    inspect(path)
    for read in (raw_metadata, lambda p: open_map(p).close(), _read_corner):
        with contextlib.suppress(PictureUnreadable):
            read(path)


def _read_corner(path: Path) -> None:
    with open_picture(path) as source:
        source.read(Region(top=0, left=0, bottom=1, right=1))


UNSAFE = {
    "line break": b"scan\n.tif",
    "carriage return": b"scan\r.tif",
    "escape sequence": b"scan\x1b[2J.tif",
    "tab": b"scan\t1.tif",
    "delete": b"scan\x7f.tif",
    "not utf-8": b"scan\xff\xfe.tif",
    "overlong utf-8": b"scan\xc0\xaf.tif",
    "right-to-left override": "scan\u202efit.exe.tif".encode(),
    "isolate": "scan\u2066.tif".encode(),
    "line separator": "scan\u2028.tif".encode(),
    "very long": b"s" * 251 + b".tif",
}
FINE = {
    "quotes": b'Anna\'s "best" photo.tif',
    "leading dash": b"-rf.tif",
    "two dots inside": b"box..14...scan.tif",
    "two dots first": b"..scan.tif",
    "spaces": b" scan 1 .tif",
    "japanese": "長崎の川.tif".encode(),
    "arabic": "صورة.tif".encode(),
    "decomposed": "Cafe\u0301.tif".encode(),
    "emoji": "📷.tif".encode(),
    "shell": b"$(true);`id`|&.tif",
    "formula": b"=cmd|' -C calc'!A0.tif",
    "percent": b"%2e%2e%2fscan.tif",
}


@pytest.mark.parametrize("what", sorted(UNSAFE))
def test_unsafe_name_is_refused(what: str, tmp_path: Path) -> None:
    """Such names cannot be committed everywhere, so they are made here."""
    path = Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), UNSAFE[what])))
    path.write_bytes(tiff(gray(), bad_files.DATA))
    result = inspect(path)
    assert {f.code: f.severity for f in result.findings}["NAME_UNSAFE"] is Severity.ERROR
    assert all(f.message.isprintable() for f in result.findings)
    findings = name_findings(UNSAFE[what])
    assert [f.code for f in findings] == ["NAME_UNSAFE"]
    assert findings[0].subject.isascii() and findings[0].subject.isprintable()


@pytest.mark.parametrize("what", sorted(FINE))
def test_unusual_name_is_accepted(what: str, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(FINE[what])
    path.write_bytes(tiff(gray(), bad_files.DATA))
    result = inspect(path)
    assert not [f for f in result.findings if f.severity is not Severity.INFO]
    assert result.picture is not None


@pytest.mark.parametrize("name", ["", ".", "..", "a/b.tif", "../scan.tif"])
def test_a_name_with_a_path_is_refused(name: str) -> None:
    assert [f.code for f in name_findings(name)] == ["NAME_UNSAFE"]
