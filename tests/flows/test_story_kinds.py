"""Stories of every kind of master: depth, polarity, alpha, infrared, profile, orientation, container."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from archive_restore.adapters.icc import CURVE, colour_space, rgb_profile, srgb
from archive_restore.ports import ColourSpace
from tests.conftest import Shelf
from tests.support.archives import copy_of, empty, run
from tests.support.stories import KERNEL

EDGE = 72
RNG = np.random.default_rng(9)
GRAY = np.clip(np.linspace(-0.05, 0.95, EDGE)[:, None] + RNG.normal(0, 0.02, (EDGE, EDGE)), 0, 1)
COLOUR = np.clip(np.stack([GRAY, GRAY * 0.9, GRAY * 0.7], axis=2), 0, 1)


def gray_gamma(power: float) -> bytes:
    """A gray profile with a power curve: a colour one with its tags renamed, as only the gray curve is read."""
    codes = np.linspace(0, 1, CURVE)
    made = rgb_profile(ColourSpace(name="Gamma", curve=(codes**power).astype(np.float32), to_xyz=srgb().to_xyz))
    return made.replace(b"RGB XYZ ", b"GRAYXYZ ").replace(b"rTRC", b"kTRC")


def plain_gamma() -> bytes:
    """A gray profile whose curve is one number, 2.2, as most of them have it."""
    curve = b"curv" + bytes(4) + struct.pack(">IHxx", 1, round(2.2 * 256))
    table = struct.pack(">4sII", b"kTRC", 144, len(curve))
    head = bytearray(rgb_profile(srgb())[:128])
    head[16:20] = b"GRAY"
    head[:4] = struct.pack(">I", 144 + len(curve))
    return bytes(head) + struct.pack(">I", 1) + table + curve


def wide_gamma() -> bytes:
    """An RGB profile with other primaries and a power of 1.8."""
    codes = np.linspace(0, 1, CURVE)
    wide = ((0.60, 0.20, 0.15), (0.31, 0.63, 0.06), (0.0, 0.05, 1.04))
    return rgb_profile(ColourSpace(name="Wide", curve=(codes**1.8).astype(np.float32), to_xyz=wide))


def tiff(samples: np.ndarray, **options: Any) -> Callable[[Path], None]:
    return lambda path: tifffile.imwrite(path, samples, **options)


def pillow(samples: np.ndarray, **options: Any) -> Callable[[Path], None]:
    return lambda path: Image.fromarray(samples).save(path, **options)


def eight(values: np.ndarray) -> np.ndarray:
    return np.rint(values * 255).astype(np.uint8)


def sixteen(values: np.ndarray) -> np.ndarray:
    return np.rint(values * 65535).astype(np.uint16)


KINDS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "gray 8": ("g.tif", tiff(eight(GRAY), photometric="minisblack")),
    "white is zero": ("w.tif", tiff(255 - eight(GRAY), photometric="miniswhite")),
    "gray 16 with a gray profile": ("p.tif", tiff(sixteen(GRAY), photometric="minisblack", iccprofile=gray_gamma(2.2))),
    "gray 16 with a plain curve": ("q.tif", tiff(sixteen(GRAY), photometric="minisblack", iccprofile=plain_gamma())),
    "gray with alpha": (
        "a.tif", tiff(np.dstack([eight(GRAY), eight(GRAY[::-1])]), photometric="minisblack", planarconfig="contig",
                      extrasamples=["unassalpha"]),
    ),
    "floating point": ("f.tif", tiff((GRAY * 1.5).astype(np.float32), photometric="minisblack")),
    "colour 16 with another profile": ("c.tif", tiff(sixteen(COLOUR), photometric="rgb", iccprofile=wide_gamma())),
    "colour and infrared": (
        "i.tif", tiff(np.dstack([sixteen(COLOUR), sixteen(GRAY)]), photometric="rgb", extrasamples=["unspecified"]),
    ),
    "on its side": ("o.tif", tiff(eight(GRAY[:, :48]), photometric="minisblack", extratags=[(274, 3, 1, 6, True)])),
    "gray JPEG": ("j.jpg", pillow(eight(GRAY), quality=92)),
    "colour PNG": ("n.png", pillow(eight(COLOUR))),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_become_a_story(kind: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory):
    shelf = Shelf(root=copy_of("empty", tmp_path / "archive", tmp_path_factory, empty), runner=run)
    name, write = KINDS[kind]
    write(tmp_path / name)
    shelf.ok("ingest", tmp_path / name)
    item = Path(name).stem
    (coloured,) = shelf.ok("colorize", item, "--hint", "10,10=tomato", "--hint", "40,60=royal blue")["made"]
    (enlarged,) = shelf.ok("enhance", coloured["ref"], "--scale", "1.5", *KERNEL)["made"]
    assert shelf.ok("verify")["findings"] == []
    assert shelf.ok("reproduce", coloured["ref"])["identical"]
    assert shelf.ok("reproduce", enlarged["ref"])["identical"]
    with tifffile.TiffFile(coloured["path"]) as made:
        page = made.pages[0]
        assert page.photometric.name == "RGB"
        extra = page.samplesperpixel - 3
        profile = page.tags[34675].value if 34675 in page.tags else b""
        samples = page.asarray()
    if "gray 16" in kind:
        space = colour_space(profile, "p", gray=False)
        assert space is not None
        assert np.abs(space.curve - np.linspace(0, 1, CURVE) ** 2.2).max() < 1e-3
    if kind in ("gray with alpha", "colour and infrared"):
        source = tifffile.imread(tmp_path / name)
        assert extra == 1
        assert (samples[..., 3] == source[..., -1]).all()
    if kind == "white is zero":
        assert samples[-5:].mean() > samples[:5].mean()
    if kind == "colour PNG":
        assert profile == b""
