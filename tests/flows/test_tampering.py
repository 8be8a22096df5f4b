"""Whoever changes what is stored is found out: each change ends in its finding, with the subject named.

Three attackers: one flips bits; one also mends inventories, so that every digest of the storage agrees; one has
the archive's own keys and makes everything again around a map that lies.
"""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import sqlite3
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile

from archive_restore.adapters.catalog import open_catalog, tables
from archive_restore.adapters.ocfl_layout import object_path
from archive_restore.errors import ArchiveRestoreError
from archive_restore.imaging import engine
from archive_restore.records.imagery import PixelFlag
from tests.conftest import Ran
from tests.support import archives
from tests.support.archives import copy_of, must, run

Found = set[tuple[str, str]]


class Victim:
    """One archive for all tests of this module; whatever a test changes is put back byte for byte."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.meant = self._bytes()
        self._files: dict[str, dict[str, Path]] = {}
        for ref in ("one", "two", "one/restoration@1", "one/restoration@2", "two/restoration@1"):
            shown = must("--json", "-A", root, "show", ref).json["files"]
            self._files[ref] = {name: Path(path) for name, path in shown.items()}

    def file(self, ref: str, name: str) -> Path:
        return self._files[ref][name]

    def object(self, object_id: str, root: str = "preservation") -> Path:
        return self.root / root / object_path(object_id)

    def verify(self, *words: str) -> Ran:
        """Never anything but a judgement."""
        ran = run("--json", "-A", self.root, "verify", *(words or ("--all",)))
        assert ran.code in (0, 1), ran.err + ran.out
        assert "Traceback" not in ran.out + ran.err
        assert ran.json["ok"] is (ran.code == 0)
        return ran

    def errors(self, *words: str) -> Found:
        """(code, subject) of every error; there is at least one."""
        ran = self.verify(*words)
        assert ran.code == 1
        return {(f["code"], f["subject"]) for f in ran.json["findings"] if f["severity"] == "error"}

    @contextmanager
    def hurt(self) -> Iterator[None]:
        """Put everything back afterwards."""
        try:
            yield
        finally:
            now = self._bytes()
            for name in now.keys() - self.meant.keys():
                (self.root / name).unlink()
            for name, data in self.meant.items():
                if now.get(name) != data:
                    path = self.root / name
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.unlink(missing_ok=True)
                    path.write_bytes(data)
            for folder in sorted(self.root.rglob("*"), reverse=True):
                if (
                    folder.is_dir()
                    and not any(folder.iterdir())
                    and folder.name not in ("work", "quarantine", "journal")
                ):
                    folder.rmdir()

    def _bytes(self) -> dict[str, bytes]:
        kept = (p for p in self.root.rglob("*") if p.is_file() and "work" not in p.relative_to(self.root).parts[:1])
        return {str(p.relative_to(self.root)): p.read_bytes() for p in kept if not p.name.endswith(("-wal", "-shm"))}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Victim:
    place = tmp_path_factory.mktemp("victim")
    return Victim(copy_of("restored", place / "archive", tmp_path_factory, archives.restored))


@pytest.fixture
def victim(archive: Victim) -> Iterator[Victim]:
    with archive.hurt():
        yield archive


def overwrite(path: Path, data: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(data)


def flip(path: Path, seed: int) -> None:
    """One bit, at a place the seed chooses."""
    data = bytearray(path.read_bytes())
    chance = random.Random(f"{path.name} {seed}")
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    overwrite(path, bytes(data))


def mend(directory: Path) -> None:
    """Bring every inventory of an object, its sidecar and all digests up to what lies there now."""
    actual: dict[str, tuple[str, str]] = {}
    for path in directory.glob("v*/content/**/*"):
        if path.is_file():
            data = path.read_bytes()
            actual[str(path.relative_to(directory))] = (
                hashlib.sha512(data).hexdigest(),
                hashlib.sha256(data).hexdigest(),
            )
    for place in (*sorted(directory.glob("v*")), directory):
        known = json.loads((place / "inventory.json").read_text())
        last = int(known["head"][1:])
        paths = [p for p in actual if int(p.split("/")[0][1:]) <= last]
        known["manifest"] = {}
        known["fixity"] = {"sha256": {}}
        for path in paths:
            known["manifest"].setdefault(actual[path][0], []).append(path)
            known["fixity"]["sha256"].setdefault(actual[path][1], []).append(path)
        for number, version in known["versions"].items():
            names = [name for names in version["state"].values() for name in names]
            version["state"] = {}
            for name in names:
                if f"{number}/content/{name}" in actual:  # our writer keeps every file of every version there
                    version["state"].setdefault(actual[f"{number}/content/{name}"][0], []).append(name)
        data = json.dumps(known).encode()
        overwrite(place / "inventory.json", data)
        overwrite(place / "inventory.json.sha512", f"{hashlib.sha512(data).hexdigest()}  inventory.json\n".encode())


def subjects(found: Found, code: str) -> set[str]:
    return {subject for known, subject in found if known == code}


# --- one flipped bit ---------------------------------------------------------------------------------

STORED = [
    *(("one", name) for name in ("one.tif", "one.tif.c2pa", "item.json", "premis.xml")),
    *(
        ("one/restoration@1", name)
        for name in (
            "one-restoration.tif",
            "synthesis-map.png",
            "synthesis-map.json",
            "damage-map.png",
            "derivation.json",
            "premis.xml",
            "report.html",
            "thumbnail.jpg",
            "thumbnail-master.jpg",
        )
    ),
    ("one/restoration@2", "one-restoration.tif"),
]


@pytest.mark.parametrize(("ref", "name"), STORED)
def test_one_bit_of_a_stored_file(victim: Victim, ref: str, name: str):
    flip(victim.file(ref, name), 1)
    found = victim.errors()
    (subject,) = subjects(found, "OCFL_DIGEST_MISMATCH")
    assert subject.startswith(f"{ref}: ")
    assert subject.endswith(f"/{name}")
    assert subjects(found, "OCFL_FIXITY_MISMATCH") == {subject}
    assert ("OCFL_DIGEST_MISMATCH", subject) in victim.errors(ref)


@pytest.mark.parametrize(("ref", "name"), STORED)
def test_one_bit_of_a_stored_file_with_all_digests_made_to_agree(victim: Victim, ref: str, name: str):
    flip(victim.file(ref, name), 3)
    mend(victim.object(ref.partition("@")[0]))
    found = victim.errors()
    assert not any(code.startswith("OCFL_") for code, _ in found)
    assert ("LOG_DISAGREES", f"{ref} {name}") in found
    assert ("LOG_DISAGREES", f"{ref} {name}") in victim.errors(ref)


@pytest.mark.parametrize(
    "name",
    ["inventory.json", "inventory.json.sha512", "v1/inventory.json", "v1/inventory.json.sha512", "0=ocfl_object_1.1"],
)
def test_one_bit_of_what_describes_an_object(victim: Victim, name: str):
    for seed in (1, 2, 3):
        flip(victim.object("one/restoration") / name, seed)
        found = victim.errors()
        assert any(code.startswith("OCFL_") and subject.startswith("one/restoration") for code, subject in found), found
        overwrite(
            victim.object("one/restoration") / name,
            victim.meant[str((victim.object("one/restoration") / name).relative_to(victim.root))],
        )


@pytest.mark.parametrize("name", ["0=ocfl_1.1", "ocfl_layout.json"])
def test_one_bit_of_what_describes_a_root(victim: Victim, name: str):
    flip(victim.root / "stories" / name, 1)
    assert any(code.startswith("OCFL_ROOT_") and subject == "stories" for code, subject in victim.errors())


# --- pixels and maps, all digests made to agree ------------------------------------------------------


def replace_tile(path: Path, *, of_map: bool, change: Callable[[np.ndarray[Any, Any]], None]) -> None:
    """Decode the first tile of the picture or of its map, change it, and point the directory to the new bytes."""
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages[0].pages[0] if of_map else tiff.pages[0]
        order = tiff.byteorder
        where = {name: page.tags[name].valueoffset for name in ("TileOffsets", "TileByteCounts")}
        kinds = {
            name: "<Q" if page.tags[name].dtype == 16 else "I" if page.tags[name].dtype == 4 else "H" for name in where
        }
        assert page.compression.name == "ADOBE_DEFLATE"
        predictor, shape, dtype = page.predictor, (page.tilelength, page.tilewidth), page.dtype.newbyteorder(order)
        raw = zlib.decompress(path.read_bytes()[page.dataoffsets[0] : page.dataoffsets[0] + page.databytecounts[0]])
        single = len(page.dataoffsets) == 1
    assert single
    tile = np.frombuffer(raw, dtype).reshape(shape).copy()
    if predictor == 2:
        tile = np.cumsum(tile, axis=1, dtype=tile.dtype)
    change(tile)
    if predictor == 2:
        tile[:, 1:] -= tile[:, :-1].copy()
    packed = zlib.compress(tile.tobytes())
    data = bytearray(path.read_bytes())
    data += b"\0" * (len(data) % 2)
    struct.pack_into(order + kinds["TileOffsets"], data, where["TileOffsets"], len(data))
    struct.pack_into(order + kinds["TileByteCounts"], data, where["TileByteCounts"], len(packed))
    overwrite(path, bytes(data) + packed)


def brighten(tile: np.ndarray[Any, Any]) -> None:
    tile[5, 7] ^= 1


def clear(tile: np.ndarray[Any, Any]) -> None:
    tile[:] = 0


def test_a_pixel_called_original_is_changed(victim: Victim):
    ref = "one/restoration@1"
    path = victim.file(ref, "one-restoration.tif")
    before = tifffile.imread(path)
    replace_tile(path, of_map=False, change=brighten)
    after = tifffile.imread(path)
    assert int((before != after).sum()) == 1
    mend(victim.object("one/restoration"))
    found = victim.errors()
    assert {("MAP_LIES", ref), ("PIXELS_DISAGREE", ref), ("C2PA_OTHER_BYTES", ref)} <= found
    assert ("LOG_DISAGREES", f"{ref} one-restoration.tif") in found
    assert run("--json", "-A", victim.root, "reproduce", ref).code == 0  # it says what the derivation must give


def test_the_map_inside_is_wiped(victim: Victim):
    ref = "one/restoration@1"
    path = victim.file(ref, "one-restoration.tif")
    replace_tile(path, of_map=True, change=clear)
    mend(victim.object("one/restoration"))
    found = victim.errors()
    assert {("MAP_LIES", ref), ("MAP_DISAGREES", ref), ("MAP_COUNTS_DISAGREE", ref), ("C2PA_OTHER_BYTES", ref)} <= found


def test_the_map_beside_is_wiped(victim: Victim):
    ref = "one/restoration@1"
    path = victim.file(ref, "synthesis-map.png")
    flags = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert flags.any()
    overwrite(path, cv2.imencode(".png", np.zeros_like(flags))[1].tobytes())
    mend(victim.object("one/restoration"))
    found = victim.errors()
    name = f"{ref} synthesis-map.png"
    assert {("MAP_DISAGREES", name), ("C2PA_MAP_DISAGREES", ref), ("LOG_DISAGREES", name)} <= found


def change_json(path: Path, change: Callable[[Any], None]) -> None:
    data = json.loads(path.read_text())
    change(data)
    overwrite(path, json.dumps(data).encode())


def test_the_derivation_tells_another_story(victim: Victim):
    ref = "one/restoration@1"
    change_json(victim.file(ref, "derivation.json"), lambda data: data.update(seed=99))
    mend(victim.object("one/restoration"))
    found = victim.errors()
    assert {("C2PA_DERIVATION_DISAGREES", ref), ("LOG_DISAGREES", f"{ref} derivation.json")} <= found
    assert ("CATALOG_DISAGREES", f"derivatives/{ref}") in found
    assert ("CATALOG_DISAGREES", ref) in victim.errors(ref)


def test_the_map_in_numbers_is_embellished(victim: Victim):
    ref = "two/restoration@1"
    change_json(victim.file(ref, "synthesis-map.json"), lambda data: data["counts"].update(ORIGINAL=64 * 64))
    mend(victim.object("two/restoration"))
    found = victim.errors()
    assert {("MAP_RECORD_DISAGREES", ref), ("LOG_DISAGREES", f"{ref} synthesis-map.json")} <= found


def test_an_item_gets_another_title(victim: Victim):
    change_json(victim.file("one", "item.json"), lambda data: data["description"].update(title="The king"))
    mend(victim.object("one"))
    found = victim.errors()
    assert {("LOG_DISAGREES", "one item.json"), ("CATALOG_DISAGREES", "items/one")} <= found
    must("-A", victim.root, "catalog", "rebuild")
    assert ("LOG_DISAGREES", "one item.json") in victim.errors()


def test_a_page_of_history_is_rewritten(victim: Victim):
    path = victim.file("one", "premis.xml")
    text = path.read_text()
    assert "success" in text
    overwrite(path, text.replace("success", "failure", 1).encode())
    mend(victim.object("one"))
    assert victim.errors() == {("LOG_DISAGREES", "one premis.xml")}


@pytest.mark.parametrize("name", ["report.html", "thumbnail.jpg"])
def test_what_people_look_at_is_replaced(victim: Victim, name: str):
    overwrite(victim.file("one/restoration@1", name), victim.file("two/restoration@1", name).read_bytes() + b" ")
    mend(victim.object("one/restoration"))
    assert victim.errors() == {("LOG_DISAGREES", f"one/restoration@1 {name}")}


# --- manifests that move -----------------------------------------------------------------------------


def test_two_masters_swap_their_sidecars(victim: Victim):
    first, second = victim.file("one", "one.tif.c2pa"), victim.file("two", "two.tif.c2pa")
    ours, theirs = first.read_bytes(), second.read_bytes()
    overwrite(first, theirs)
    overwrite(second, ours)
    mend(victim.object("one"))
    mend(victim.object("two"))
    found = victim.errors()
    for item in ("one", "two"):
        assert ("C2PA_OTHER_BYTES", item) in found
        assert ("LOG_DISAGREES", f"{item} {item}.tif.c2pa") in found


def test_a_manifest_moves_into_another_derivative(victim: Victim):
    ref = "one/restoration@1"
    target, donor = victim.file(ref, "one-restoration.tif"), victim.file("two/restoration@1", "two-restoration.tif")
    with tifffile.TiffFile(donor) as tiff:
        store = bytes(tiff.pages[0].tags[52545].value)
    data = bytearray(target.read_bytes())
    data += b"\0" * (len(data) % 2)
    with tifffile.TiffFile(target) as tiff:
        tag = tiff.pages[0].tags[52545]
        struct.pack_into(tiff.byteorder + "II", data, tag.offset + 4, len(store), len(data))
    overwrite(target, bytes(data) + store)
    with tifffile.TiffFile(target) as tiff:
        assert bytes(tiff.pages[0].tags[52545].value) == store
    mend(victim.object("one/restoration"))
    found = victim.errors()
    assert {("C2PA_OTHER_BYTES", ref), ("LOG_DISAGREES", f"{ref} one-restoration.tif")} <= found


def test_a_manifest_is_cut_out(victim: Victim):
    path = victim.file("one", "one.tif.c2pa")
    overwrite(path, b"")
    mend(victim.object("one"))
    assert ("LOG_DISAGREES", "one one.tif.c2pa") in victim.errors()
    path.unlink()
    mend(victim.object("one"))
    found = victim.errors()
    assert {("LOG_DISAGREES", "one one.tif.c2pa"), ("C2PA_MISSING", "one")} <= found


# --- a map that lies, made with the archive's own keys -----------------------------------------------


@pytest.mark.parametrize("where", [(0, 0), (40, 17), (-1, -1)])
def test_a_map_that_lies_is_found_by_the_pixels_alone(
    victim: Victim, monkeypatch: pytest.MonkeyPatch, where: tuple[int, int]
):
    """Everything agrees with everything, log and catalog included; only the master says otherwise."""
    honest = engine.run

    def lying(*words: Any, **options: Any) -> Iterator[Any]:
        for band in honest(*words, **options):
            row, column = where
            assert band.flags[row, column] == 0
            band.samples[row, column, 0] ^= 1
            yield band

    with monkeypatch.context() as attack:
        attack.setattr(engine, "run", lying)
        attack.setattr("archive_restore.flows.restore.check_stored", lambda *_: None)
        must("-A", victim.root, "restore", "two", "--seed", "7")
    assert victim.errors() == {("MAP_LIES", "two/restoration@2")}
    assert victim.errors("two/restoration") == {("MAP_LIES", "two/restoration@2")}
    told = next(f for f in victim.verify().json["findings"] if f["code"] == "MAP_LIES")
    assert f"x={where[1] % 64}, y={where[0] % 64}" in told["message"]
    assert run("--json", "-A", victim.root, "reproduce", "two/restoration@2").json["identical"] is False


def test_our_own_check_would_have_refused_it(victim: Victim, monkeypatch: pytest.MonkeyPatch):
    honest = engine.run

    def lying(*words: Any, **options: Any) -> Iterator[Any]:
        for band in honest(*words, **options):
            band.samples[0, 0, 0] ^= 1
            yield band

    with monkeypatch.context() as attack:
        attack.setattr(engine, "run", lying)
        ran = run("--json", "-A", victim.root, "restore", "two", "--seed", "7")
    assert ran.code == 1
    assert "ORIGINAL" in ran.json["failed"][0]["error"]
    assert victim.verify().code == 0


@pytest.mark.parametrize("flag", [PixelFlag.COLORIZED, PixelFlag.RESAMPLED, PixelFlag.MOVED])
def test_a_forbidden_flag_is_named(victim: Victim, monkeypatch: pytest.MonkeyPatch, flag: PixelFlag):
    """A restoration tells no story: not even a pixel that says so may be colorized or displaced."""
    honest = engine.run

    def inventing(*words: Any, **options: Any) -> Iterator[Any]:
        for band in honest(*words, **options):
            band.flags[3, 3] |= flag
            band.samples[3, 3, 0] ^= 1
            yield band

    with monkeypatch.context() as attack:
        attack.setattr(engine, "run", inventing)
        attack.setattr("archive_restore.flows.restore.check_stored", lambda *_: None)
        must("-A", victim.root, "restore", "two", "--seed", "7")
    assert victim.errors() == {("MAP_FLAG_NOT_ALLOWED", "two/restoration@2")}


# --- things that come and go -------------------------------------------------------------------------


def smuggle(victim: Victim, source_id: str, target_id: str, root: str) -> None:
    """Store a copy of an object under another identifier, perfectly valid OCFL."""
    target = victim.root / root / object_path(target_id)
    shutil.copytree(victim.object(source_id), target)
    for place in (*target.glob("v*"), target):
        data = json.loads((place / "inventory.json").read_text())
        data["id"] = target_id
        overwrite(place / "inventory.json", json.dumps(data).encode())
    mend(target)


def test_a_story_in_the_record(victim: Victim):
    smuggle(victim, "two/restoration", "two/colorization", "preservation")
    found = victim.errors()
    assert ("OCFL_KIND_FOREIGN", "two/colorization") in found


def test_a_record_among_the_stories(victim: Victim):
    smuggle(victim, "two/restoration", "two/restoration", "stories")
    assert ("OCFL_KIND_FOREIGN", "two/restoration") in victim.errors()


def test_a_restoration_out_of_nowhere(victim: Victim):
    smuggle(victim, "two/restoration", "three/restoration", "preservation")
    found = victim.errors()
    assert ("LOG_ENTRY_MISSING", "three/restoration@1") in found


def test_a_file_more(victim: Victim):
    (victim.file("one", "one.tif").parent / "notes.txt").write_text("x")
    (victim.object("two") / "notes.txt").write_text("x")
    (victim.root / "preservation" / "notes.txt").write_text("x")
    found = victim.errors()
    assert ("OCFL_CONTENT_STRAY", "one: v1/content/notes.txt") in found
    assert ("OCFL_OBJECT_STRAY", "two: notes.txt") in found


def test_a_file_more_that_the_inventory_knows(victim: Victim):
    directory = victim.object("one")
    (directory / "v1" / "content" / "notes.txt").write_text("x")
    digest = hashlib.sha512(b"x").hexdigest()
    for place in (directory / "v1", directory):
        data = json.loads((place / "inventory.json").read_text())
        data["manifest"][digest] = ["v1/content/notes.txt"]
        data["versions"]["v1"]["state"][digest] = ["notes.txt"]
        overwrite(place / "inventory.json", json.dumps(data).encode())
    mend(directory)
    assert victim.errors() == {("LOG_DISAGREES", "one notes.txt")}


def test_a_file_less(victim: Victim):
    victim.file("one/restoration@1", "report.html").unlink()
    subject = "one/restoration@1: v1/content/report.html"
    assert ("OCFL_CONTENT_MISSING", subject) in victim.errors()
    mend(victim.object("one/restoration"))
    assert victim.errors() == {("LOG_DISAGREES", "one/restoration@1 report.html")}


def test_a_version_less(victim: Victim):
    directory = victim.object("one/restoration")
    shutil.rmtree(directory / "v2")
    assert ("OCFL_VERSION_MISSING", "one/restoration: v2") in victim.errors()
    for name in ("inventory.json", "inventory.json.sha512"):
        overwrite(directory / name, (directory / "v1" / name).read_bytes())
    must("-A", victim.root, "catalog", "rebuild")
    assert victim.errors() == {("LOG_DISAGREES", "one/restoration@2")}


def test_an_object_less(victim: Victim):
    for path in (victim.object("two"), victim.object("two/restoration")):
        shutil.rmtree(path.parents[2])
    found = victim.errors()
    assert {
        ("LOG_DISAGREES", "two"),
        ("LOG_DISAGREES", "two/restoration@1"),
        ("CATALOG_DISAGREES", "masters/two"),
    } <= found
    must("-A", victim.root, "catalog", "rebuild")
    assert victim.errors() == {("LOG_DISAGREES", "two"), ("LOG_DISAGREES", "two/restoration@1")}


def test_a_link_in_place_of_a_file(victim: Victim):
    path = victim.file("one", "one.tif")
    moved = victim.root / "moved.tif"
    path.rename(moved)
    path.symlink_to(moved)
    found = victim.errors()
    path.unlink()
    assert ("OCFL_LINK", "one: v1/content/one.tif") in found


# --- records written by an enemy ---------------------------------------------------------------------


def mutations(data: Any, chance: random.Random) -> Any:
    """The same JSON with one member of any depth replaced, removed or repeated."""
    places: list[tuple[Any, Any]] = []

    def walk(value: Any) -> None:
        if isinstance(value, dict | list):
            for key in value if isinstance(value, dict) else range(len(value)):
                places.append((value, key))
                walk(value[key])

    walk(data)
    holder, key = chance.choice(places)
    what: Any = chance.choice(
        [None, "", "x" * 300, -1, 0, 2**53 - 1, 1e300, [], {}, True, "../../../../etc/passwd", "\u202e", [[]], "delete"]
    )
    if what == "delete":
        del holder[key]
    else:
        holder[key] = what
    return data


@pytest.mark.parametrize(("ref", "name"), [("one", "item.json"), ("one/restoration@1", "derivation.json")])
def test_no_record_can_crash_the_judge(victim: Victim, ref: str, name: str):
    path = victim.file(ref, name)
    good = path.read_bytes()
    for seed in range(25):
        data = mutations(json.loads(good), random.Random(f"{name} {seed}"))
        overwrite(path, json.dumps(data).encode())
        mend(victim.object(ref.partition("@")[0]))
        assert ("LOG_DISAGREES", f"{ref} {name}") in victim.errors(ref), data
        assert run("--json", "-A", victim.root, "show", ref).code in (0, 20)
    overwrite(path, b"[" * 200_000)
    mend(victim.object(ref.partition("@")[0]))
    assert ("LOG_DISAGREES", f"{ref} {name}") in victim.errors()


# --- the log -----------------------------------------------------------------------------------------


def test_one_bit_of_the_log(victim: Victim):
    for name in ("entries.jsonl", "checkpoint"):
        path = victim.root / "audit" / name
        for seed in range(6):
            flip(path, seed)
            assert any(
                code.startswith("LOG_") and subject.startswith("audit/") for code, subject in victim.errors("two")
            )
            ran = run("--json", "-A", victim.root, "log", "verify")
            assert ran.code in (1, 19)
            overwrite(path, victim.meant[f"audit/{name}"])


def edit_log(victim: Victim, change: Callable[[list[bytes]], list[bytes]]) -> None:
    path = victim.root / "audit" / "entries.jsonl"
    overwrite(path, b"".join(change(path.read_bytes().splitlines(keepends=True))))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda lines: [lines[1], lines[0], *lines[2:]], "LOG_INDEX_WRONG"),
        (lambda lines: lines[:-1], "LOG_TRUNCATED"),
        (lambda lines: [*lines[:3], *lines[4:]], "LOG_INDEX_WRONG"),
        (
            lambda lines: [line.replace(b'"outcome":"success"', b'"outcome":"failure"') for line in lines],
            "LOG_ROOT_MISMATCH",
        ),
        (lambda lines: [], "LOG_TRUNCATED"),
    ],
    ids=["swapped", "cut", "one taken out", "reworded", "emptied"],
)
def test_history_rewritten(victim: Victim, change: Callable[[list[bytes]], list[bytes]], code: str):
    edit_log(victim, change)
    assert code in {found for found, _ in victim.errors()}
    ran = run("--json", "-A", victim.root, "restore", "one", "--seed", "3")
    assert (ran.code, ran.json["error"]["class"]) == (19, "LogDamaged")


def test_the_checkpoint_is_gone(victim: Victim):
    (victim.root / "audit" / "checkpoint").unlink()
    assert "LOG_CHECKPOINT_MISSING" in {code for code, _ in victim.errors()}


def test_the_log_of_another_archive(victim: Victim, tmp_path: Path):
    must("init", tmp_path / "other")
    for name in ("entries.jsonl", "checkpoint"):
        overwrite(victim.root / "audit" / name, (tmp_path / "other" / "audit" / name).read_bytes())
    found = victim.errors()
    assert "LOG_ORIGIN_WRONG" in {code for code, _ in found}
    assert ("LOG_ENTRY_MISSING", "one") in found


def test_the_log_goes_back_in_time(victim: Victim):
    """A genuine earlier state, signed: what came later is not vouched for any more."""
    earlier = {name: victim.meant[f"audit/{name}"] for name in ("entries.jsonl", "checkpoint")}
    must("-A", victim.root, "restore", "one", "--seed", "9")
    for name, data in earlier.items():
        overwrite(victim.root / "audit" / name, data)
    assert ("LOG_ENTRY_MISSING", "one/restoration@3") in victim.errors()


# --- the catalog -------------------------------------------------------------------------------------


def sql(victim: Victim, *statements: str) -> None:
    with closing(sqlite3.connect(victim.root / "catalog.sqlite", isolation_level=None)) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        for statement in statements:
            connection.execute(statement)


@pytest.mark.parametrize(
    ("statement", "subject"),
    [
        ("UPDATE items SET title = 'The king' WHERE item_id = 'one'", "items/one"),
        ("UPDATE items SET rights = 'mine' WHERE item_id = 'one'", "items/one"),
        ("UPDATE masters SET sha512 = sha256 WHERE item_id = 'two'", "masters/two"),
        ("UPDATE masters SET record = replace(record, 'minisblack', 'miniswhite')", "masters/one"),
        ("UPDATE masters SET width = 1 WHERE item_id = 'two'", "masters/two"),
        ("UPDATE derivatives SET ended = '' WHERE version = 2", "derivatives/one/restoration@2"),
        (
            "UPDATE derivatives SET record = replace(record, '\"seed\":0', '\"seed\":1')",
            "derivatives/two/restoration@1",
        ),
        ("UPDATE ingredients SET sha256 = '' WHERE derivative LIKE 'two%'", "ingredients/two/restoration@1/0"),
        ("UPDATE events SET outcome = 'failure' WHERE ref = 'one' AND position = 0", "events/one/0"),
        ("UPDATE events SET digests = '{}' WHERE ref = 'one' AND position = 1", "events/one/1"),
        ("DELETE FROM events WHERE ref = 'two' AND position = 2", "events/two/2"),
        ("DELETE FROM ingredients", "ingredients/one/restoration@1/0"),
        ("DELETE FROM derivatives WHERE version = 2", "derivatives/one/restoration@2"),
        ("DELETE FROM masters WHERE item_id = 'one'", "masters/one"),
        ("INSERT INTO items (item_id) VALUES ('phantom')", "items/phantom"),
        ("INSERT INTO events (ref, position) VALUES ('one', 99)", "events/one/99"),
    ],
)
def test_a_row_of_the_catalog(victim: Victim, statement: str, subject: str):
    sql(victim, statement)
    assert ("CATALOG_DISAGREES", subject) in victim.errors()
    must("-A", victim.root, "catalog", "rebuild")
    assert victim.verify().code == 0


def test_every_column_counts(victim: Victim):
    """What `verify` compares holds every column of every table that a rebuild fills."""
    path = victim.root / "catalog.sqlite"

    def contents() -> dict[str, str]:
        with closing(open_catalog(path)) as catalog:
            return dict(catalog.contents())

    meant = contents()
    for table in tables.REBUILT:
        for column in table.columns:
            if column.name == "number":
                continue
            word = f"{column.name} + 100" if column.type.python_type is int else f"{column.name} || 'x'"
            rows = f'rowid = (SELECT min(rowid) FROM "{table.name}")'
            sql(victim, "PRAGMA foreign_keys = OFF", f'UPDATE "{table.name}" SET "{column.name}" = {word} WHERE {rows}')
            assert contents() != meant, (table.name, column.name)
            overwrite(path, victim.meant["catalog.sqlite"])


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("DROP TRIGGER separation_ingredient_insert", "CATALOG_SCHEMA_CHANGED"),
        ("DROP INDEX masters_by_sha512", "CATALOG_SCHEMA_CHANGED"),
        ("CREATE TABLE side_door (what TEXT)", "CATALOG_SCHEMA_CHANGED"),
        ("UPDATE schema_info SET version = 7", "CATALOG_DAMAGED"),
        ("DELETE FROM schema_info", "CATALOG_DAMAGED"),
        ("DROP TABLE events", "CATALOG_DAMAGED"),
        ("DELETE FROM search", "CATALOG_DAMAGED"),
        ("UPDATE items SET number = number + 100", "CATALOG_DAMAGED"),
    ],
)
def test_the_make_of_the_catalog(victim: Victim, statement: str, code: str):
    sql(victim, "DROP TRIGGER search_change" if "number" in statement else "SELECT 1", statement)
    found = {found for found, _ in victim.errors()}
    assert found & {code, "CATALOG_UNREADABLE"}, found
    must("-A", victim.root, "catalog", "rebuild")
    assert victim.verify().code == 0


def test_one_bit_of_a_text_in_the_catalog(victim: Victim):
    data = bytearray(victim.meant["catalog.sqlite"])
    place = data.index(b"minisblack")
    data[place] ^= 1
    overwrite(victim.root / "catalog.sqlite", bytes(data))
    assert {code for code, _ in victim.errors()} & {"CATALOG_DISAGREES", "CATALOG_DAMAGED"}


def test_any_bit_of_the_catalog_is_noticed_or_says_nothing(victim: Victim):
    """Thousands of places in the file carry no fact (free pages, slack); where one is lost it is told."""
    path = victim.root / "catalog.sqlite"
    chance = random.Random("pages")
    good = victim.meant["catalog.sqlite"]
    with closing(open_catalog(path)) as catalog:
        meant, listed = dict(catalog.contents()), list(catalog.items())
    noticed = 0
    for _ in range(60):
        data = bytearray(good)
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        overwrite(path, bytes(data))
        with closing(open_catalog(path)) as catalog:
            try:
                told = bool(list(catalog.check())) or dict(catalog.contents()) != meant
                if not told:
                    assert list(catalog.items()) == listed
            except ArchiveRestoreError:
                told = True
        noticed += told
    assert noticed >= 10


# --- and afterwards ----------------------------------------------------------------------------------


def test_when_the_bytes_are_back_everything_holds_again(archive: Victim):
    assert archive._bytes() == archive.meant
    ran = archive.verify()
    assert ran.code == 0
    assert ran.json["findings"] == []
    assert ran.json["subjects"] == 5
