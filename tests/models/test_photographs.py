"""Training photographs: bundles are read, licences decide, what benchmarks are measured on stays out, splits hold."""

from __future__ import annotations

import io
import json
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.training import photographs
from models.training.qt_resources import resources

MANIFEST = Path(photographs.__file__).with_name("photographs.json")
OPEN = photographs.MEASURED_ON


def bundle(files: dict[str, bytes], *, packed: bool) -> bytes:
    """A Qt resource bundle of format 3 with one folder."""
    names, data, tree = b"", b"", b""

    def name_at(word: str) -> int:
        nonlocal names
        at = len(names)
        names += struct.pack(">HI", len(word), 0) + word.encode("utf-16-be")
        return at

    tree += struct.pack(">IHIIQ", name_at(""), 2, 1, 1, 0)
    tree += struct.pack(">IHIIQ", name_at("folder"), 2, len(files), 2, 0)
    for word, content in files.items():
        stored = struct.pack(">I", len(content)) + zlib.compress(content) if packed else content
        tree += struct.pack(">IHHHIQ", name_at(word), int(packed), 0, 0, len(data), 0)
        data += struct.pack(">I", len(stored)) + stored
    head = struct.pack(">4s4II", b"qres", 3, 24, 24 + len(tree), 24 + len(tree) + len(data), 0)
    return head + tree + data + names


@pytest.mark.parametrize("packed", [False, True])
def test_bundles_are_read(packed: bool) -> None:
    files = {"one.webp": b"first", "zwei-ä.png": b"second" * 50}
    assert dict(resources(bundle(files, packed=packed))) == {f"folder/{name}": data for name, data in files.items()}


def test_other_files_are_no_bundles() -> None:
    with pytest.raises(ValueError, match="not a Qt resource bundle"):
        list(resources(b"II*\0 something else"))


@pytest.mark.parametrize(
    ("licence", "free"),
    [("CC0-1.0", True), ("Public Domain", True), ("CC-BY-SA 4.0", True), ("GPL-2+", True),
     ("CC-BY-NC-4.0", False), ("CC-BY-ND-3.0", False), ("", False), ("all rights reserved", False),
     ("CC-BY-NC-SA 3.0", False)],
)  # fmt: skip
def test_licences(licence: str, free: bool) -> None:
    assert bool(photographs.FREE.fullmatch(licence)) is free


def picture(seed: int, height: int = 300, width: int = 400) -> bytes:
    rng = np.random.default_rng(seed)
    rough = Image.fromarray(rng.integers(0, 255, (12, 16, 3), np.uint8)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    noisy = np.clip(np.asarray(rough, np.int16) + rng.integers(-9, 9, (height, width, 3)), 0, 255).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(noisy).save(out, "PNG")
    return out.getvalue()


def item(data: bytes, *, licence: str = "CC0-1.0", name: str = "x.png") -> photographs.Found:
    return photographs.Found(package="p", version="1", file=name, licence=licence, author="A", url="", data=data)


def assembled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, items: list[photographs.Found]) -> list[photographs.Row]:
    monkeypatch.setattr(photographs, "found", lambda cache: iter(items))
    return photographs.assemble(tmp_path, tmp_path / "out")


def test_what_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flat = io.BytesIO()
    Image.new("RGB", (400, 300), (10, 200, 30)).save(flat, "PNG")
    measured = io.BytesIO()
    with Image.open(next(OPEN.glob("nagasaki*.jpg"))) as known:
        known.resize((700, 500)).save(measured, "JPEG", quality=60)
    rows = assembled(
        monkeypatch, tmp_path,
        [item(picture(1)), item(picture(1)), item(picture(2), licence="CC-BY-NC-4.0"), item(picture(3, 90, 400)),
         item(flat.getvalue()), item(measured.getvalue()), item(b"no picture"), item(picture(4))],
    )  # fmt: skip
    assert len(rows) == 2
    told = capsys.readouterr().out
    for words in ("'twice': 1", "licence not clear and free': 1", "'small': 1", "measured': 1", "'measured on': 1"):
        assert words in told
    with Image.open(tmp_path / "out" / "pictures" / f"{rows[0].id}.png") as kept:
        assert kept.size == (400, 300)
    again = assembled(monkeypatch, tmp_path, [item(picture(4)), item(picture(1))])
    assert again == rows, "the order of packages does not matter"


def test_near_duplicates_share_a_split(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    versions = []
    for quality in (95, 80, 60, 40, 30, 20):
        out = io.BytesIO()
        with Image.open(io.BytesIO(picture(9))) as original:
            original.convert("RGB").save(out, "JPEG", quality=quality)
        versions.append(item(out.getvalue()))
    rows = assembled(monkeypatch, tmp_path, versions)
    assert len(rows) == 6
    assert len({row.split for row in rows}) == 1


def test_the_committed_manifest() -> None:
    text = MANIFEST.read_text(encoding="utf-8")
    rows = [photographs.Row(**row) for row in json.loads(text)]
    assert text == photographs.manifest_text(rows)
    assert len(rows) > 200
    assert len({row.sha256 for row in rows}) == len(rows)
    for row in rows:
        assert photographs.FREE.fullmatch(row.licence.strip()), row
        assert row.author, row
        assert re.fullmatch(r"[0-9a-f]{64}", row.sha256)
        assert row.split in ("train", "validation", "test")
    assert not {row.id for row in rows} & photographs.DROPPED
