"""Reads an IIIF package as a client would and judges it.

1. `SHA512SUMS` names every file that is there, no other, each with its digest.
2. `manifest.json` is what iiif-prezi3 takes for a Presentation 3 manifest, and says whether it is record or story.
3. Every image service in it lies here: its info.json says level 0, and every file that a client may ask for by its
   arithmetic (core.image_tiles) is a JPEG of the size that the client expects.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

from archive_restore.adapters.durable import hash_file
from archive_restore.core.image_tiles import INFO, TiledPicture
from archive_restore.errors import StorageFailed
from archive_restore.records.findings import Finding, Severity

MANIFEST = "manifest.json"
SUMS = "SHA512SUMS"
_MOST = 100  # findings
_LARGEST = 64 << 20  # bytes of a document that is read whole
_MOST_TILES = 4_000_000
_TOKEN = 300  # characters of a foreign text in a message
_CLAUSES = {
    "IIIF_MANIFEST_INVALID": "IIIF Presentation 3.0",
    "IIIF_INFO_INVALID": "IIIF Image 3.0 §5",
    "IIIF_TILE_MISSING": "IIIF Image 3.0 §4",
    "IIIF_TILE_WRONG": "IIIF Image 3.0 §4",
}


def check_package(folder: Path) -> Iterator[Finding]:
    """Judge a package; nothing is found in a good one."""
    for told, (code, subject, message) in enumerate(_problems(folder)):
        if told == _MOST:
            yield _finding("IIIF_PACKAGE_CHANGED", SUMS, "And more findings of this package")
            return
        yield _finding(code, subject, message)


def _finding(code: str, subject: str, message: str) -> Finding:
    return Finding(
        code=code,
        severity=Severity.ERROR,
        subject=subject[:_TOKEN],
        message=" ".join(message.split()),
        clause=_CLAUSES.get(code, ""),
    )


def _problems(folder: Path) -> Iterator[tuple[str, str, str]]:
    yield from _sums(folder)
    data = _document(folder / MANIFEST)
    if data is None:
        yield "IIIF_MANIFEST_INVALID", MANIFEST, "There is no manifest here that can be read as JSON"
        return
    problem = _manifest_problem(data)
    if problem:
        yield "IIIF_MANIFEST_INVALID", MANIFEST, problem
        return
    base = str(data["id"]).removesuffix(f"/{MANIFEST}")
    services = dict.fromkeys(_services(data))
    if not services:
        yield "IIIF_MANIFEST_INVALID", MANIFEST, "It shows no picture"
    for service in services:
        yield from _service(folder, base, service)


def _sums(folder: Path) -> Iterator[tuple[str, str, str]]:
    """Step 1; the lines are those of `sha512sum`."""
    try:
        lines = (folder / SUMS).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        yield "IIIF_PACKAGE_CHANGED", SUMS, "There is no list of digests here that can be read"
        return
    listed: dict[str, str] = {}
    for line in lines:
        digest, gap, name = line[:128], line[128:130], line[130:]
        if gap != "  " or not _safe(name) or name in listed:
            yield "IIIF_PACKAGE_CHANGED", SUMS, f"A line is none of this list: {line[:_TOKEN]!r}"
            continue
        listed[name] = digest
    for parent, folders, files in os.walk(folder):
        for name in sorted(folders):
            if (Path(parent) / name).is_symlink():
                files.append(name)
        for name in sorted(files):
            place = (Path(parent) / name).relative_to(folder).as_posix()
            digest = listed.pop(place, "")
            if place == SUMS:
                continue
            if not digest:
                yield "IIIF_PACKAGE_CHANGED", place, "The list of digests does not know this file"
                continue
            try:
                found = hash_file(folder / place)
            except StorageFailed as exc:
                yield "IIIF_PACKAGE_CHANGED", place, f"It could not be checked: {exc}"
                continue
            if found.sha512 != digest:
                yield "IIIF_PACKAGE_CHANGED", place, "It is not what the list of digests says; export it again"
    for name in sorted(listed):
        yield "IIIF_PACKAGE_CHANGED", name, "The list of digests names this file, and it is not here"


def _manifest_problem(data: Mapping[str, Any]) -> str:
    """Step 2: one sentence for what is wrong, or nothing."""
    try:
        import iiif_prezi3 as prezi
        from pydantic import ValidationError
    except ImportError:
        return "It could not be checked: iiif-prezi3 is not installed"
    try:
        manifest = prezi.Manifest.model_validate_json(json.dumps(data))
    except ValidationError as exc:
        first = exc.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        return f"{place}: {first['msg']}"[:_TOKEN]
    if data.get("@context") != "http://iiif.io/api/presentation/3/context.json":
        return "It is not a manifest of Presentation API 3"
    if manifest.requiredStatement is None:
        return "It does not say whether it is record or story"
    return ""


def _services(data: object) -> Iterator[str]:
    """URIs of the image services, wherever they stand."""
    if isinstance(data, list):
        for part in data:
            yield from _services(part)
    elif isinstance(data, dict):
        if data.get("type") == "ImageService3" and isinstance(data.get("id"), str):
            yield data["id"]
        for part in data.values():
            yield from _services(part)


def _service(folder: Path, base: str, uri: str) -> Iterator[tuple[str, str, str]]:
    """Step 3 for one picture."""
    name = unquote(uri.removeprefix(f"{base}/"))
    if not uri.startswith(f"{base}/") or not _safe(name):
        yield "IIIF_INFO_INVALID", uri, "The manifest shows a picture that is no part of its package"
        return
    place = f"{name}/{INFO}"
    info = _document(folder / place)
    if info is None:
        yield "IIIF_INFO_INVALID", place, "It is not here, or no JSON"
        return
    tiles = info.get("tiles")
    first = tiles[0] if isinstance(tiles, list) and tiles and isinstance(tiles[0], dict) else {}
    width, height, edge = _number(info, "width"), _number(info, "height"), _number(first, "width")
    if not (width and height and edge):
        yield "IIIF_INFO_INVALID", place, "It does not say how large picture and tiles are"
        return
    largest = max(_number(info, "maxWidth"), _number(info, "maxHeight")) or max(width, height)
    picture = TiledPicture(width=width, height=height, edge=edge, largest=largest)
    if width * height // (edge * edge) > _MOST_TILES or not picture.whole() or info != picture.info(uri):
        yield "IIIF_INFO_INVALID", place, "It says something else than what lies here at level 0"
        return
    for path, across, down in picture.paths():
        yield from _tile(folder, f"{name}/{path}", (across, down))


def _tile(folder: Path, place: str, size: tuple[int, int]) -> Iterator[tuple[str, str, str]]:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(folder / place, formats=("JPEG",)) as tile:
            found = tile.size
            tile.load()
    except FileNotFoundError:
        yield "IIIF_TILE_MISSING", place, "A client may ask for this file, and it is not here"
        return
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as exc:
        yield "IIIF_TILE_WRONG", place, f"It does not decode: {exc}"
        return
    if found != size:
        yield "IIIF_TILE_WRONG", place, f"It is {found[0]}×{found[1]} pixels, and a client expects {size[0]}×{size[1]}"


def _document(path: Path) -> dict[str, Any] | None:
    try:
        if path.is_symlink() or path.stat().st_size > _LARGEST:
            return None
        data = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def _number(told: Mapping[str, Any], name: str) -> int:
    """A positive whole number of a document; 0 where there is none."""
    value = told.get(name)
    return value if type(value) is int and value > 0 else 0


def _safe(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return bool(parts) and not name.startswith("/") and ".." not in parts and "\0" not in name and "\\" not in name
