"""JPEG, PNG, JPEG 2000 and DNG samples equal those of other decoders; expansion is bounded."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from archive_restore.adapters import plain_samples, rasters
from archive_restore.adapters.rasters import decoder_agents, open_picture
from archive_restore.errors import PictureUnreadable
from archive_restore.records.imagery import Region, SampleRole
from tests.support.bad_files import JP2, JPEG, PROGRESSIVE, png, png_chunk

PHOTOGRAPHS = sorted((Path(__file__).parents[1] / "photographs" / "open").glob("*.jpg"))
RGB = (SampleRole.RED, SampleRole.GREEN, SampleRole.BLUE)


def whole(path: Path) -> np.ndarray[Any, Any]:
    with open_picture(path) as source:
        facts = source.facts
        result = source.read(Region(top=0, left=0, bottom=facts.height, right=facts.width))
        assert result.dtype == source.dtype and result.dtype.isnative
        top, left = facts.height // 3, facts.width // 2
        part = source.read(Region(top=top, left=left, bottom=facts.height, right=facts.width))
        assert np.array_equal(part, result[top:, left:])
        return result


def smooth(shape: tuple[int, ...], dtype: str) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(3)
    return np.cumsum(rng.integers(0, 3 if dtype == "u1" else 700, shape), axis=1).astype(dtype)


@pytest.mark.parametrize("path", PHOTOGRAPHS, ids=lambda path: path.stem)
def test_photographs_decode_as_pillow_decodes_them(path: Path) -> None:
    with Image.open(path) as reference:
        assert np.array_equal(whole(path), np.asarray(reference.convert("RGB")))


@pytest.mark.parametrize(("data", "mode"), [(JPEG, "L"), (PROGRESSIVE, "L")])
def test_gray_jpeg(data: bytes, mode: str, tmp_path: Path) -> None:
    path = tmp_path / "scan.jpg"
    path.write_bytes(data)
    with Image.open(io.BytesIO(data)) as reference:
        assert np.array_equal(whole(path)[:, :, 0], np.asarray(reference.convert(mode)))


def test_cmyk_jpeg_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "scan.jpg"
    Image.new("CMYK", (20, 10), (1, 2, 3, 4)).save(path)
    with pytest.raises(PictureUnreadable, match="CMYK"):
        open_picture(path)


def test_orientation_is_recorded_and_not_applied(tmp_path: Path) -> None:
    path = tmp_path / "scan.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 20), (200, 10, 10)).save(path, exif=exif)
    with open_picture(path) as source:
        assert (source.facts.width, source.facts.height, source.facts.orientation) == (40, 20, 6)


@pytest.mark.parametrize("shape", [(1, 1), (57, 91), (57, 91, 3), (57, 91, 4), (57, 91, 2)])
@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_png_decodes_as_libpng_and_opencv_decode_it(
    shape: tuple[int, ...], dtype: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Small blocks, so that filters reach over their borders.
    monkeypatch.setattr(rasters, "_BLOCK", 700)
    path = tmp_path / "scan.png"
    data = smooth(shape, dtype)
    path.write_bytes(imagecodecs.png_encode(data, level=6, filter=imagecodecs.PNG.FILTER.ALL))
    assert np.array_equal(whole(path), data.reshape(*shape[:2], -1))
    if data.ndim == 2 or data.shape[2] > 2:
        seen = cv2.imread(str(path), cv2.IMREAD_UNCHANGED).reshape(*shape[:2], -1)
        assert np.array_equal(whole(path), seen[:, :, [2, 1, 0, 3][: seen.shape[2]]] if seen.shape[2] > 1 else seen)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_palette_png_becomes_its_colours(bits: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rasters, "_BLOCK", 64)
    path = tmp_path / "scan.png"
    indices = (np.arange(37 * 23).reshape(37, 23) * 7 % (1 << bits)).astype(np.uint8)
    picture = (
        Image.fromarray(indices, "P") if hasattr(Image, "P") else Image.frombytes("P", (23, 37), indices.tobytes())
    )
    picture.putpalette([(i * 53 + c * 91) % 256 for i in range(1 << bits) for c in range(3)])
    picture.save(path, bits=bits)
    with Image.open(path) as reference:
        assert np.array_equal(whole(path), np.asarray(reference.convert("RGB")))
    picture.save(path, bits=bits, transparency=bytes([0, 128]))
    with Image.open(path) as reference:
        assert np.array_equal(whole(path), np.asarray(reference.convert("RGBA")))
    with open_picture(path) as source:
        assert source.facts.roles == (*RGB, SampleRole.ALPHA)
        assert "palette" in source.facts.note


@pytest.mark.parametrize("colour", [0, 2])
def test_a_colour_key_is_not_applied(colour: int, tmp_path: Path) -> None:
    path = tmp_path / "scan.png"
    samples = 1 if colour == 0 else 3
    rows = b"".join(b"\0" + bytes((x * 3 + c) % 251 for x in range(16) for c in range(samples)) for _ in range(8))
    for interlace in (0, 1):
        key = png_chunk(b"tRNS", b"\0\3" * samples)
        if interlace:
            continue
        path.write_bytes(png(colour=colour, raw=rows, extra=key))
        assert whole(path).shape == (8, 16, samples)
        with open_picture(path) as source:
            assert "tRNS" in source.facts.note


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_interlaced_png(mode: str, tmp_path: Path) -> None:
    """Adam7 (PNG §8.2), written here pass by pass."""
    samples = len(mode)
    data = smooth((13, 17, samples), "u1")
    raw = b""
    for x0, y0, dx, dy in (
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    ):
        for row in data[y0::dy, x0::dx]:
            raw += b"\0" + row.tobytes()
    path = tmp_path / "scan.png"
    path.write_bytes(png(17, 13, colour={"L": 0, "RGB": 2, "RGBA": 6}[mode], raw=raw, interlace=1))
    assert np.array_equal(whole(path), data)
    with Image.open(path) as reference:
        assert np.array_equal(np.asarray(reference).reshape(data.shape), data)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_packed_gray_png_is_kept_and_not_restored(bits: int, tmp_path: Path) -> None:
    path = tmp_path / "scan.png"
    path.write_bytes(png(16, 8, bits=bits, raw=(b"\0" + bytes(16 * bits // 8)) * 8))
    with pytest.raises(PictureUnreadable, match=f"{bits} bits"):
        open_picture(path)


@pytest.mark.parametrize("shape", [(57, 91), (57, 91, 3), (57, 91, 4)])
@pytest.mark.parametrize("dtype", ["u1", "u2"])
@pytest.mark.parametrize("codec", ["jp2", "j2k"])
def test_jpeg_2000_decodes_as_pillow_and_opencv_decode_it(
    shape: tuple[int, ...], dtype: str, codec: str, tmp_path: Path
) -> None:
    path = tmp_path / f"scan.{codec}"
    data = smooth(shape, dtype)
    path.write_bytes(imagecodecs.jpeg2k_encode(data, level=0, reversible=True, codecformat=codec))
    assert np.array_equal(whole(path), data.reshape(*shape[:2], -1))
    if dtype == "u1":
        with Image.open(path) as reference:
            assert np.array_equal(np.asarray(reference).reshape(*shape[:2], -1), whole(path))


def test_lossy_jpeg_2000_agrees_with_pillow(tmp_path: Path) -> None:
    path = tmp_path / "scan.jp2"
    path.write_bytes(JP2)
    with Image.open(path) as reference:
        assert np.array_equal(whole(path)[:, :, 0], np.asarray(reference))


def test_dng_with_linear_raw_samples(tmp_path: Path) -> None:
    """A film scanner's DNG: a small preview first, 16-bit LinearRaw in a SubIFD."""
    path = tmp_path / "scan.dng"
    preview, raw = smooth((20, 30, 3), "u1"), smooth((80, 120, 3), "u2")
    with tifffile.TiffWriter(path) as writer:
        writer.write(preview, photometric="rgb", subfiletype=1, subifds=1, metadata=None,
                     extratags=[(50706, 1, 4, b"\1\4\0\0", True)])  # fmt: skip
        writer.write(raw, photometric=34892, planarconfig=1, compression="deflate", metadata=None)
    assert np.array_equal(whole(path), raw)
    with open_picture(path) as source:
        assert source.facts.photometric == "linear-raw"
        assert source.facts.note == "linear raw samples"
        assert source.facts.roles == RGB


def test_dng_with_mosaic_shows_its_largest_preview(tmp_path: Path) -> None:
    path = tmp_path / "camera.dng"
    small, large, mosaic = smooth((20, 30, 3), "u1"), smooth((60, 90, 3), "u1"), smooth((120, 180), "u2")
    with tifffile.TiffWriter(path) as writer:
        writer.write(small, photometric="rgb", subfiletype=1, subifds=2, metadata=None,
                     extratags=[(50706, 1, 4, b"\1\4\0\0", True)])  # fmt: skip
        writer.write(mosaic, photometric=32803, metadata=None)
        writer.write(large, photometric="ycbcr", compression="jpeg", subfiletype=1, metadata=None)
    with open_picture(path) as source:
        assert (source.facts.width, source.facts.height) == (90, 60)
        assert "preview 90×60" in source.facts.note
    with tifffile.TiffFile(path) as reference:
        assert np.array_equal(whole(path), reference.pages.first.pages[1].asarray())


def test_lossless_jpeg_inside_dng(tmp_path: Path) -> None:
    path = tmp_path / "scan.dng"
    data = smooth((64, 48), "u2") % 4096
    encoded = imagecodecs.ljpeg_encode(data, bitspersample=16)
    with tifffile.TiffWriter(path) as writer:
        writer.write(iter([encoded]), shape=data.shape, dtype="u2", photometric="minisblack", compression=7,
                     metadata=None, bitspersample=16, rowsperstrip=64,
                     extratags=[(50706, 1, 4, b"\1\4\0\0", True)])  # fmt: skip
    assert np.array_equal(whole(path)[:, :, 0], data)


def test_damage_inside_the_samples_is_one_line(tmp_path: Path) -> None:
    data = smooth((300, 200, 3), "u2")
    path = tmp_path / "scan.png"
    encoded = bytearray(imagecodecs.png_encode(data))
    encoded[len(encoded) // 2 : len(encoded) // 2 + 40] = bytes(40)
    path.write_bytes(encoded)
    with open_picture(path) as source, pytest.raises(PictureUnreadable, match="does not decode") as caught:
        source.read(Region(top=0, left=0, bottom=300, right=200))
    assert "\n" not in str(caught.value)


def test_large_pictures_go_to_the_scratch_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain_samples, "SPOOL_BYTES", 1000)
    path = tmp_path / "scan.png"
    data = smooth((90, 80, 3), "u2")
    path.write_bytes(imagecodecs.png_encode(data))
    with open_picture(path, None, tmp_path) as source:
        assert np.array_equal(source.read(Region(top=10, left=0, bottom=90, right=80)), data[10:])
        assert sorted(p.name for p in tmp_path.iterdir()) == ["scan.png"]
    with (
        open_picture(path, None, tmp_path / "gone") as source,
        pytest.raises(PictureUnreadable, match="cannot be expanded"),
    ):
        source.read(Region(top=0, left=0, bottom=1, right=1))


def test_a_large_png_expands_with_little_memory(tmp_path: Path) -> None:
    """147 MB of samples, decoded in a process of its own: the peak stays far below them."""
    path = tmp_path / "large.png"
    width, height = 7_000, 7_000
    import zlib

    deflate = zlib.compressobj(1)
    rng = np.random.default_rng(0)
    rows = np.zeros((100, width * 3 + 1), np.uint8)
    rows[:, 1:] = rng.integers(0, 255, width * 3)
    rows[:, 0] = 2
    data = b"".join(deflate.compress(rows.tobytes()) for _ in range(height // 100)) + deflate.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", data) + png_chunk(b"IEND", b"")
    )
    script = textwrap.dedent(
        f"""
        from pathlib import Path
        from archive_restore.adapters.rasters import open_picture
        from archive_restore.records.imagery import Region
        def peak():
            status = Path("/proc/self/status").read_text().splitlines()
            return int(next(line for line in status if line.startswith("VmHWM")).split()[1])
        before = peak()
        with open_picture(Path({str(path)!r}), None, Path({str(tmp_path)!r})) as source:
            first = source.read(Region(top=0, left=0, bottom=1, right=3))
            last = source.read(Region(top=6999, left=0, bottom=7000, right=3))
        print(peak() - before, first.tolist(), last.tolist(), sep=";")
        """
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    grown, first, last = done.stdout.strip().split(";")
    assert 1 << 20 < int(grown) * 1024 < 100 << 20
    base = rows[0, 1:10].reshape(3, 3).astype(int)
    assert first == str([(base % 256).tolist()])
    assert last == str([(base * height % 256).tolist()])


def test_agents_name_the_decoder() -> None:
    with open_picture(PHOTOGRAPHS[0]) as source:
        agents = decoder_agents(source.facts)
    assert [agent.role for agent in agents] == ["decoding", "decoding jpeg"]
    assert agents[1].name == "libjpeg_turbo" and agents[1].version[0].isdigit()
