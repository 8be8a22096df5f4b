"""Bags come in whole or not at all: validated first, described by what they say, never fetched, never followed."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from archive_restore.adapters import bags as bags_adapter
from archive_restore.adapters.bagit_validate import validate_bag
from archive_restore.errors import StorageFailed
from archive_restore.flows import ingest as ingest_flow
from tests.conftest import Ran, Shelf
from tests.support import bad_bags
from tests.support.archives import copy_of, empty
from tests.support.bad_bags import bag
from tests.support.tiff_builder import gray, tiff

DUBLIN_CORE = (
    '<?xml version="1.0"?><oai_dc:dc xmlns:oai_dc="http://www.openarchives.org/OAI/2.0/oai_dc/" '
    'xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:dcterms="http://purl.org/dc/terms/">{}</oai_dc:dc>'
)


def scan(number: int) -> bytes:
    """A picture with other bytes for each number."""
    return tiff(gray(), bytes((number + place * 3) % 256 for place in range(128)))


def put(folder: Path, payload: Mapping[str, bytes], **words: Any) -> Path:
    return bad_bags.write(bad_bags.Case(folder=folder.name, files=bag(payload, **words)), folder)


@pytest.fixture
def shelf(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, command: Callable[..., Ran]) -> Shelf:
    """A new, empty archive; made once and copied."""
    return Shelf(root=copy_of("empty", tmp_path / "archive", tmp_path_factory, empty), runner=command)


def described(shelf: Shelf, item: str) -> dict[str, Any]:
    """What is said of an item, without empty elements."""
    said = shelf.ok("show", item)["record"]["description"]
    return {name: value for name, value in said.items() if value}


def codes(entries: list[dict[str, Any]]) -> list[str]:
    return [entry["code"] for entry in entries]


def test_a_bag_of_one_picture_gives_it_name_and_description(shelf: Shelf, tmp_path: Path):
    box = put(tmp_path / "box", {"data/scan.tif": scan(1), "data/notes.txt": b"notes", "data/._scan.tif": b"x"})
    told = shelf.ok("ingest", box)
    (accepted,) = told["accepted"]
    assert accepted["item_id"] == "LHS-0014"
    assert accepted["path"] == str(box / "data" / "scan.tif")
    assert codes(told["notes"]) == ["BAG_FILES_PASSED_OVER"]
    assert "data/notes.txt" in told["notes"][0]["message"]
    assert described(shelf, "LHS-0014") == {
        "identifier": "LHS-0014",
        "description": "The mill in winter, seen from the bridge",
        "extra": {"Source-Organization": "Lakeside Historical Society"},
    }
    events = shelf.ok("show", "LHS-0014")["events"]
    (checked,) = [event for event in events if event["type"] == "fixity check"]
    assert checked["detail"] == "scan.tif: sha256, sha512 as in the manifests of a BagIt 1.0 bag"
    assert (shelf.files("LHS-0014")["scan.tif"]).read_bytes() == scan(1)
    again = shelf.ok("ingest", box)
    assert [entry["item_id"] for entry in again["duplicates"]] == ["LHS-0014"]
    assert [row["item_id"] for row in shelf.ok("search", "Lakeside")["items"]] == ["LHS-0014"]
    assert shelf.ok("verify", "--all")["ok"]


def test_a_folder_of_bags_and_files(shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Good ones come in, bad ones stay outside whole, files beside them are files."""
    monkeypatch.setattr(ingest_flow, "BAG_FILES", 2)
    truck = tmp_path / "truck"
    many = {f"data/box/view-{number}.tif": scan(10 + number) for number in range(3)}
    put(truck / "a-many", many)
    flipped = put(truck / "b-bad", {"data/lost.tif": scan(20), "data/also-lost.tif": scan(21)})
    (flipped / "data" / "lost.tif").write_bytes(scan(22))
    put(truck / "c-deep" / "one", {"data/alone.tif": scan(23)}, info="External-Identifier: https://example.org/14\n")
    (truck / "plain.tif").write_bytes(scan(24))
    (truck / "d-hole").mkdir()
    shutil.copytree(bad_bags.BAD / "BAG_FETCH_MISSING_scan", truck / "d-hole" / "bag")
    before = {path: path.stat().st_mtime_ns for path in truck.rglob("*")}
    ran = shelf.run("ingest", truck)
    assert ran.code == 1
    told = ran.json
    ids = [entry["item_id"] for entry in told["accepted"]]
    assert ids == ["plain", "view-0", "view-1", "view-2", "alone"]
    refused = {entry["path"]: set(codes(entry["findings"])) for entry in told["quarantined"]}
    assert refused == {
        str(flipped): {"BAG_DIGEST_MISMATCH"},
        str(truck / "d-hole" / "bag"): {"BAG_FETCH_MISSING", "BAG_OXUM_MISMATCH"},
    }
    assert codes(told["notes"]) == ["BAG_IDENTIFIER_UNUSABLE"]
    said = described(shelf, "view-1")
    assert "identifier" not in said and "description" not in said
    assert said["extra"]["External-Identifier"] == "LHS-0014"
    assert described(shelf, "alone")["identifier"] == "https://example.org/14"
    assert {path: path.stat().st_mtime_ns for path in truck.rglob("*")} == before
    assert list((shelf.root / "quarantine").iterdir()) == []


def test_sheets_and_dublin_core_of_a_bag(shelf: Shelf, tmp_path: Path):
    """The sheet given with the command, the bag's own, its Dublin Core: the first that says an element counts."""
    sheet = b"filename,dc.title,dc.date,item_id\nobjects/one.tif,From the bag,1911,BAG-ONE\nobjects/two.tif,=cmd|x,,\n"
    payload = {"data/objects/one.tif": scan(30), "data/objects/two.tif": scan(31), "data/metadata/metadata.csv": sheet}
    put(tmp_path / "in" / "box", payload)
    given = tmp_path / "given.csv"
    given.write_text("file,title,creator\nbox/data/objects/one.tif,From the desk,A. Adams\n")
    told = shelf.ok("ingest", tmp_path / "in", "--metadata", given)
    assert [entry["item_id"] for entry in told["accepted"]] == ["BAG-ONE", "two"]
    assert codes(told["notes"]) == ["BAG_FILES_PASSED_OVER", "CSV_FORMULA_CELL"]
    one = described(shelf, "BAG-ONE")
    assert (one["title"], one["date"], one["creator"]) == ("From the desk", "1911", "A. Adams")
    assert described(shelf, "two")["title"] == "=cmd|x"
    xml = DUBLIN_CORE.format(
        "<dc:title>A mill</dc:title><dc:creator>A</dc:creator><dc:creator>B</dc:creator>"
        "<dcterms:rights>CC0</dcterms:rights><dc:other>x</dc:other>"
    )
    put(tmp_path / "xml", {"data/three.tif": scan(32)}, info="", change={"metadata/dc.xml": xml.encode()})
    assert shelf.ok("ingest", tmp_path / "xml")["notes"] == []
    assert described(shelf, "three") == {"title": "A mill", "creator": "A; B", "rights": "CC0"}
    mets = (
        '<mets xmlns="http://www.loc.gov/METS/"><dmdSec ID="d"><mdWrap MDTYPE="DC"><xmlData>'
        f"{DUBLIN_CORE.format('<dc:title>In METS</dc:title>').split('?>')[1]}</xmlData></mdWrap></dmdSec></mets>"
    )
    put(tmp_path / "mets", {"data/four.tif": scan(33), "data/mets.xml": mets.encode()}, info="")
    shelf.ok("ingest", tmp_path / "mets")
    assert described(shelf, "four") == {"title": "In METS"}


def test_rows_that_fit_no_file_are_told_of(shelf: Shelf, tmp_path: Path):
    sheet = b"file,title\none.tif,One\nnone.tif,None\n../two.tif,Two\n"
    put(tmp_path / "box", {"data/one.tif": scan(40), "data/metadata.csv": sheet}, info="")
    ran = shelf.run("ingest", tmp_path / "box")
    assert ran.code == 1
    assert [entry["item_id"] for entry in ran.json["accepted"]] == ["one"]
    found = [code for entry in ran.json["quarantined"] for code in codes(entry["findings"])]
    assert sorted(found) == ["CSV_FILE_MISSING", "CSV_FILE_UNSAFE"]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("data/metadata.csv", b"colour,shelf\nred,14\n"),
        ("metadata/dc.xml", b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>'),
        ("metadata/dc.xml", '<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>'.encode("utf-16")),
        ("metadata/dc.xml", b"<dc>"),
        ("metadata/dc.xml", b"<a>" * 5000),
        ("mets.xml", b"x" * 2000),
        ("data/item.json", b"[" * 5000),
        ("data/item.json", b'{"ref": {"item_id": "../../x"}}'),
    ],
)
def test_what_a_bag_says_is_never_trusted(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, data: bytes
):
    """The picture comes in under its own name; what cannot be used is a warning."""
    monkeypatch.setattr(bags_adapter, "MAX_RECORD", 6000)
    box = {"data/scan.tif": scan(50)} | ({name: data} if name.startswith("data/") else {})
    put(tmp_path / "box", box, info="", change={} if name.startswith("data/") else {name: data})
    told = shelf.ok("ingest", tmp_path / "box")
    assert [entry["item_id"] for entry in told["accepted"]] == ["scan"]
    (warning,) = [note for note in told["notes"] if note["severity"] == "warning"]
    assert warning["code"] in ("BAG_METADATA_UNUSABLE", "CSV_NO_FILE_COLUMN")
    assert set(described(shelf, "scan")) == set()


def test_our_own_bags_come_back(shelf: Shelf, tmp_path: Path, tmp_path_factory, command):
    """The master with its record; what was made of it is not taken for a master."""
    (tmp_path / "first.tif").write_bytes(scan(60))
    (tmp_path / "m.csv").write_text("file,item_id,title,source_type\nfirst.tif,OWN-1,First,print\n")
    shelf.ok("ingest", tmp_path / "first.tif", "--metadata", tmp_path / "m.csv")
    stored = {f"data/master/{name}": path.read_bytes() for name, path in shelf.files("OWN-1").items()}
    made = {
        "data/restoration@1/first-restoration.tif": scan(61),
        "data/restoration@1/derivation.json": b"{}",
        "data/log/checkpoint": b"x",
    }
    put(tmp_path / "own", stored | made)
    other = Shelf(root=copy_of("empty", tmp_path / "other", tmp_path_factory, empty), runner=command)
    told = other.ok("ingest", tmp_path / "own")
    assert [entry["item_id"] for entry in told["accepted"]] == ["OWN-1"]
    assert [(n["code"], n["subject"].rpartition(": ")[2]) for n in told["notes"]] == [
        ("BAG_DERIVATIVE_PASSED_OVER", "data/restoration@1"),
        ("BAG_FILES_PASSED_OVER", str(tmp_path / "own")),
    ]
    assert described(other, "OWN-1") == described(shelf, "OWN-1")
    assert described(other, "OWN-1")["source_type"] == "print"
    assert shelf.ok("ingest", tmp_path / "own")["duplicates"][0]["item_id"] == "OWN-1"
    story = {"data/colorization@1/x.tif": scan(62), "data/colorization@1/derivation.json": b"{}"}
    put(tmp_path / "story", story)
    told = other.ok("ingest", tmp_path / "story")
    assert told["accepted"] == []
    assert codes(told["notes"]) == ["BAG_DERIVATIVE_PASSED_OVER", "BAG_NO_PICTURE"]
    record = json.loads(stored["data/master/item.json"])
    record["file"]["sha512"] = hashlib.sha512(b"").hexdigest()
    forged = stored | {"data/master/item.json": json.dumps(record).encode(), "data/master/first.tif": scan(63)}
    put(tmp_path / "forged", forged, info="")
    told = other.ok("ingest", tmp_path / "forged")
    assert [entry["item_id"] for entry in told["accepted"]] == ["first"]
    assert codes(told["notes"]) == ["BAG_METADATA_UNUSABLE"]


def test_a_file_that_changes_after_validation_is_refused(shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    box = put(tmp_path / "box", {"data/a.tif": scan(70), "data/b.tif": scan(71)}, info="")
    real = ingest_flow.unpack

    def then_changed(*words: Any, **more: Any) -> Any:
        unpacked = real(*words, **more)
        (box / "data" / "a.tif").write_bytes(scan(72))
        return unpacked

    monkeypatch.setattr(ingest_flow, "unpack", then_changed)
    ran = shelf.run("ingest", box)
    assert [entry["item_id"] for entry in ran.json["accepted"]] == ["b"]
    assert codes(ran.json["quarantined"][0]["findings"]) == ["BAG_DIGEST_MISMATCH"]
    assert [row["item_id"] for row in shelf.ok("list")["items"]] == ["b"]


def test_an_interrupted_bag_is_finished_by_the_same_command(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """What was committed is whole, the rest comes in the next time."""
    box = put(tmp_path / "box", {f"data/{name}.tif": scan(ord(name)) for name in "abcd"}, info="")
    monkeypatch.setattr(ingest_flow, "GROUP", 2)
    real, calls = ingest_flow.commit, []

    def full(archive: Any, group: Any) -> None:
        calls.append(group)
        if len(calls) > 1:
            raise StorageFailed("the disk is full", hint="Free some space")
        real(archive, group)

    monkeypatch.setattr(ingest_flow, "commit", full)
    assert shelf.run("ingest", box).json["error"]["class"] == "StorageFailed"
    monkeypatch.setattr(ingest_flow, "commit", real)
    assert [row["item_id"] for row in shelf.ok("list")["items"]] == ["a", "b"]
    told = shelf.ok("ingest", box)
    assert [entry["item_id"] for entry in told["accepted"]] == ["c", "d"]
    assert [entry["item_id"] for entry in told["duplicates"]] == ["a", "b"]
    assert shelf.ok("verify", "--all")["ok"]


def test_bad_bags_leave_nothing_behind(shelf: Shelf):
    """Every bad bag of the folder at once: those with errors give no item, and none gives a traceback."""
    ran = shelf.run("ingest", bad_bags.BAD)
    errors = {case.folder for case in bad_bags.bad() if case.portable and case.severity == "error"}
    without = {"BAG_DECLARATION_MISSING_none"}  # is a folder like any other
    refused = {Path(entry["path"]).name for entry in ran.json["quarantined"] if "BAG_" in codes(entry["findings"])[0]}
    assert refused == errors - without
    assert len({entry["sha512"] for entry in ran.json["accepted"]}) == len(ran.json["accepted"])
    assert shelf.ok("verify", "--all")["ok"]


def test_a_bag_inside_the_payload_of_a_bag_is_payload(shelf: Shelf, tmp_path: Path):
    inner = {f"data/inner/{name}": data for name, data in bag({"data/scan.tif": scan(80)}).items()}
    box = put(tmp_path / "box", inner, info="")
    assert validate_bag(box) == []
    assert [entry["item_id"] for entry in shelf.ok("ingest", box)["accepted"]] == ["scan"]
