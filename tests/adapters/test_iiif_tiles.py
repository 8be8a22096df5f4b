"""Tiles show the picture as a person sees it: upright, sRGB, whole, at every scale; stories with their band."""

import json
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from PIL import Image

from archive_restore.adapters import icc
from archive_restore.adapters.iiif_tiles import Sheet, cut_map, cut_picture, put_in, shown_facts
from archive_restore.adapters.picture_files import FilePictures
from archive_restore.core.image_tiles import INFO
from archive_restore.core.synthesis_map import display_table
from archive_restore.errors import PictureUnreadable
from archive_restore.imaging.access import shown_size
from archive_restore.imaging.planes import upright
from archive_restore.records.labels import Position
from tests.support.iiif_client import psnr, requests, seen

HEIGHT, WIDTH = 530, 780


def wave(samples, top):
    """Smooth, unlike under every turn and mirror, with a different picture in each sample."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float64)
    slope = x / WIDTH * 0.3 + 0.2
    planes = [np.sin(x / (60 + 9 * n)) * 0.2 + slope + y / HEIGHT * (0.2 + 0.05 * n) for n in range(samples)]
    return np.rint(np.stack(planes, 2).clip(0, 1) * top)


def tiff(path, samples, bits, orientation=1, profile=None):
    picture = wave(samples, 2**bits - 1).astype(f"u{bits // 8}")
    tifffile.imwrite(
        path, picture if samples > 1 else picture[:, :, 0], photometric="rgb" if samples == 3 else "minisblack",
        rowsperstrip=16, iccprofile=profile, extratags=[(274, "H", 1, orientation, True)],
    )  # fmt: skip
    return picture


class NoTables(FilePictures):
    """Understands no profile, as with those that are made of tables."""

    def colour_space(self, path, facts):
        return replace(icc.srgb(), name=f"{facts.icc_description}, read as sRGB")


def cut(path, folder, sheet=None, reader=FilePictures):
    """Cut a picture; its info.json as a client reads it."""
    pictures = reader(folder)
    facts = shown_facts(pictures, path)
    height, width = shown_size(facts.height, facts.width, facts.orientation)
    sheet = sheet or Sheet(width=width, height=height, wide=width)
    told = {}
    put = put_in(folder, told)
    cut_picture(pictures, path, sheet, "x", put)
    put(f"x/{INFO}", json.dumps(sheet.tiles.info("http://localhost:8000/x")).encode())
    assert set(told) == {f"x/{name}" for name, *_ in sheet.tiles.paths()} | {f"x/{INFO}"}
    return json.loads((folder / "x" / INFO).read_bytes())


@pytest.mark.parametrize("samples, bits, orientation", [(1, 16, 1), (3, 16, 6), (3, 8, 3), (1, 8, 7), (3, 8, 2)])
def test_tiles_put_together_are_the_picture(tmp_path, samples, bits, orientation):
    stored = tiff(tmp_path / "a.tif", samples, bits, orientation)
    info = cut(tmp_path / "a.tif", tmp_path)
    meant = np.rint(upright(stored, orientation) / (2**bits - 1) * 255).astype(np.uint8)
    assert (info["height"], info["width"]) == meant.shape[:2]
    meant = np.repeat(meant, 3 // samples, axis=2)
    assert psnr(seen(tmp_path / "x", info), meant) > 38
    even = meant[: len(meant) // 2 * 2, : meant.shape[1] // 2 * 2].astype(np.float64)
    half = even.reshape(len(even) // 2, 2, -1, 2, 3).mean(axis=(1, 3))
    assert psnr(seen(tmp_path / "x", info, 2)[: len(half), : half.shape[1]], half) > 38


def test_tiles_have_the_size_a_client_expects_and_are_gray_where_the_picture_is(tmp_path):
    tiff(tmp_path / "a.tif", 1, 16)
    info = cut(tmp_path / "a.tif", tmp_path)
    for _, _, _, path in requests(info):
        with Image.open(tmp_path / "x" / path) as tile:
            assert (tile.format, tile.mode) == ("JPEG", "L")
    for size in info["sizes"]:
        with Image.open(tmp_path / "x" / f"full/{size['width']},{size['height']}/0/default.jpg") as whole:
            assert whole.size == (size["width"], size["height"])


@pytest.mark.parametrize("reader", [FilePictures, NoTables])
def test_a_profile_is_converted_to_srgb(tmp_path, reader):
    darker = replace(icc.srgb(), name="linear", curve=np.linspace(0, 1, 1024, dtype=np.float32))
    stored = tiff(tmp_path / "a.tif", 3, 16, profile=icc.rgb_profile(darker))
    info = cut(tmp_path / "a.tif", tmp_path, reader=reader)
    light = stored / 65535
    meant = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055) * 255
    assert psnr(seen(tmp_path / "x", info), meant) > 38
    assert psnr(seen(tmp_path / "x", info), light * 255) < 20


@pytest.mark.parametrize("position", Position)
def test_the_band_lies_outside_and_the_map_over_the_picture(tmp_path, position):
    stored = tiff(tmp_path / "a.tif", 1, 8, orientation=6)
    band = np.full((40, HEIGHT + 20, 3), 255, np.uint8)
    band[10:30, 50:90] = (10, 200, 30)
    sheet = Sheet(width=HEIGHT, height=WIDTH, wide=HEIGHT + 20, caption=band, position=position)
    info = cut(tmp_path / "a.tif", tmp_path, sheet)
    assert (info["width"], info["height"]) == (HEIGHT + 20, WIDTH + 40)
    shown = seen(tmp_path / "x", info)
    top = 40 if position is Position.ABOVE else 0
    inside = shown[top : top + WIDTH, 10 : 10 + HEIGHT]
    assert psnr(inside, np.repeat(upright(stored, 6), 3, axis=2)) > 38
    beside = shown[:40] if position is Position.ABOVE else shown[WIDTH:]
    assert psnr(beside, band) > 30

    flags = np.zeros((HEIGHT, WIDTH), np.uint8)
    flags[100:164, 200:264] = 8
    flags[301, 401] = 16
    Image.fromarray(flags).save(tmp_path / "map.png")
    cut_map(FilePictures(tmp_path), tmp_path / "map.png", 6, sheet, "m", put_in(tmp_path, {}))
    table = display_table()[:, :3]
    for factor in (1, 2):
        layer = seen(tmp_path / "m", info, factor).astype(int)
        turned = upright(flags, 6)
        for value in (8, 16):
            y, x = np.argwhere(turned == value)[0]
            place = layer[(y + top) // factor, (x + 10) // factor]
            assert np.abs(place - table[value]).max() < 60, (factor, value)
        corner = layer[-20 // factor, 70 // factor] if not top else layer[20 // factor, 70 // factor]
        assert np.abs(corner - (10, 200, 30)).max() < 40


def test_what_cannot_be_shown_is_refused(tmp_path):
    inks = np.zeros((20, 30, 5), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", inks, photometric="separated", planarconfig="contig")
    with pytest.raises(PictureUnreadable):
        shown_facts(FilePictures(tmp_path), tmp_path / "a.tif")
