"""`verify` keeps a schedule: what is due is checked, what was found is in the log, and a failure is no success."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from archive_restore.adapters import auditlog, c2pa
from archive_restore.adapters.catalog import open_catalog
from archive_restore.adapters.workspace import WriterLock
from archive_restore.app import SystemClock
from archive_restore.errors import CredentialsFailed
from tests.conftest import Shelf
from tests.flows.test_tampering import flip, overwrite
from tests.support.archives import copy_of, must, run
from tests.support.launcher import Death, Launcher, launcher
from tests.support.scans import write_scan
from tests.support.stories import KERNEL

ITEMS = ("one", "one two", "three")


def three_items(archive: Path, scratch: Path) -> None:
    must("init", archive)
    must("-A", archive, "ingest", *(write_scan(scratch / f"{name}.tif", seed=len(name)) for name in ITEMS))
    must(
        "-A",
        archive,
        "enhance",
        "one",
        "--scale",
        "2",
        *KERNEL,
    )


@pytest.fixture
def shelf(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    return Shelf(root=copy_of("three_items", tmp_path / "archive", tmp_path_factory, three_items), runner=run)


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    with launcher(tmp_path_factory.mktemp("processes")) as made:
        yield made


def checks(shelf: Shelf) -> list[dict[str, Any]]:
    lines = (shelf.root / "audit" / "entries.jsonl").read_text().splitlines()
    return [told for line in lines if (told := json.loads(line)["event"])["type"] == "fixity check"]


def contents(shelf: Shelf) -> dict[str, str]:
    with closing(open_catalog(shelf.root / "catalog.sqlite")) as catalog:
        return dict(catalog.contents())


def files(shelf: Shelf) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in shelf.root.rglob("*") if path.is_file() and path.parts[-2] != "work"}


def test_checking_alone_only_reads(shelf: Shelf):
    before = files(shelf)
    assert shelf.ok("verify", "--all")["recorded"] == 0
    assert shelf.ok("verify", "one")["recorded"] == 0
    assert shelf.ok("verify", "--sample", "100", "--no-record")["recorded"] == 0
    assert files(shelf) == before


def test_everything_is_checked_with_each_line_of_the_log_read_twice(shelf: Shelf, monkeypatch: pytest.MonkeyPatch):
    """Once to judge the log, once to know what it says; the third time was for the catalog."""
    size, read, lines = shelf.ok("log", "verify")["subjects"], auditlog._read_line, []

    def counted(line: bytes, index: int) -> Any:
        lines.append(index)
        return read(line, index)

    monkeypatch.setattr(auditlog, "_read_line", counted)
    assert shelf.ok("verify", "--all", "--no-record")["ok"]
    assert len(lines) <= 2 * size


def test_many_versions_are_one_entry_that_each_of_them_sees(shelf: Shelf):
    size = shelf.ok("log", "verify")["subjects"]
    assert shelf.ok("verify", "--all", "--record")["recorded"] == 4
    assert shelf.ok("log", "verify")["subjects"] == size + 1
    (told,) = checks(shelf)
    assert told["ref"] == "*"
    assert set(told["digests"]) == {*ITEMS, "one/enhancement@1"}
    for ref in told["digests"]:
        seen = shelf.ok("show", ref)["events"][-1]
        assert (seen["type"], seen["outcome"], seen["ref"]) == ("fixity check", "success", ref)
        assert seen["digests"] == {"files": told["digests"][ref]}
        assert seen["event_id"] == told["event_id"]
    meant = contents(shelf)
    assert shelf.ok("verify", "--all")["findings"] == []
    shelf.ok("catalog", "rebuild")
    assert contents(shelf) == meant


def test_only_what_is_due_is_checked(shelf: Shelf, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    assert shelf.ok("verify", "--older-than", "90d")["subjects"] == 0
    monkeypatch.setattr(SystemClock, "now", lambda _: "2030-01-01T00:00:00Z")
    assert shelf.ok("verify", "three", "--record")["recorded"] == 1
    monkeypatch.setattr(SystemClock, "now", lambda _: "2030-03-01T00:00:00Z")
    shelf.ok("ingest", write_scan(tmp_path / "new.tif", seed=9))
    assert shelf.ok("verify", "--older-than", "90d")["recorded"] == 3
    assert checks(shelf)[-1]["digests"].keys() == {"one", "one two", "one/enhancement@1"}
    assert shelf.ok("verify", "--older-than", "90d")["subjects"] == 0
    monkeypatch.setattr(SystemClock, "now", lambda _: "2030-04-03T00:00:00Z")
    told = shelf.ok("verify", "--older-than", "13w")
    assert (told["subjects"], told["recorded"]) == (1, 1)
    assert checks(shelf)[-1]["ref"] == "three"


def test_what_failed_is_recorded_as_failed_and_stays_due(shelf: Shelf):
    master = shelf.files("one two")["one two.tif"]
    good = master.read_bytes()
    flip(master, 1)
    ran = shelf.run("verify", "--all", "--record")
    assert (ran.code, ran.json["recorded"]) == (1, 4)
    success, failure = checks(shelf)
    assert (success["outcome"], set(success["digests"])) == ("success", {"one", "three", "one/enhancement@1"})
    assert (failure["outcome"], failure["ref"]) == ("failure", "one two")
    assert "OCFL_DIGEST_MISMATCH" in failure["detail"]
    assert shelf.ok("show", "one two")["events"][-1]["outcome"] == "failure"
    assert shelf.run("verify", "--older-than", "90d").json["subjects"] == 1
    overwrite(master, good)
    assert shelf.ok("verify", "--older-than", "90d")["recorded"] == 1
    assert shelf.ok("verify", "--older-than", "90d")["subjects"] == 0


def test_a_vanished_version_and_a_damaged_object_get_no_success(shelf: Shelf):
    flip(shelf.files("one/enhancement")["premis.xml"].parents[2] / "inventory.json", 1)
    folder = shelf.files("three")["three.tif"].parents[2]
    folder.rename(shelf.root / "work" / "away")
    assert shelf.run("verify", "--all", "--record").code == 1
    outcomes = {told["ref"]: told["outcome"] for told in checks(shelf)}
    assert outcomes == {"*": "success", "three": "failure"} | {"one/enhancement@1": "failure"}
    assert set(checks(shelf)[0]["digests"]) == {"one", "one two"}
    ran = shelf.run("verify", "--older-than", "90d")
    assert (ran.code, ran.json["subjects"], ran.json["recorded"]) == (1, 2, 2)
    assert {told["ref"] for told in checks(shelf)[-2:]} == {"three", "one/enhancement@1"}
    assert ("OCFL_OBJECT_MISSING", "three") in {(f["code"], f["subject"]) for f in ran.json["findings"]}


def test_where_nothing_can_be_written_the_check_stands(shelf: Shelf):
    lock = WriterLock(shelf.root / "work")
    lock.acquire()
    try:
        ran = shelf.run("verify", "--sample", "100")
    finally:
        lock.release()
    assert (ran.code, ran.json["ok"], ran.json["recorded"], ran.codes) == (0, True, 0, ["FIXITY_NOT_RECORDED"])
    assert checks(shelf) == []


@pytest.mark.parametrize("word", ["90", "d", "-1d", "1.5d", "٣d", "1m", "999999d"])
def test_an_age_is_a_number_and_a_unit(shelf: Shelf, word: str):
    assert shelf.run("verify", f"--older-than={word}").code == 2


PLACES = (
    Death("archive_restore.adapters.workspace:FileJournal.open", "after"),
    Death("archive_restore.adapters.auditlog:FileAuditLog.append", "after"),
    Death("archive_restore.adapters.catalog:SqlCatalog.add_events", "after"),
)


@pytest.mark.parametrize("death", PLACES, ids=lambda death: death.place.rpartition(":")[2])
def test_killed_while_it_is_recorded(shelf: Shelf, processes: Launcher, death: Death):
    assert processes.run("-A", shelf.root, "verify", "--all", "--record", death=death).code == -9
    assert shelf.ok("show", "three")["events"][-1]["type"] == "fixity check"
    assert len(checks(shelf)) == 1
    assert shelf.ok("verify", "--all")["findings"] == []


def test_a_master_that_was_hashed_is_not_read_again_for_its_manifest(shelf: Shelf, monkeypatch: pytest.MonkeyPatch):
    asked = []
    whole = c2pa.read_store
    monkeypatch.setattr(c2pa, "read_store", lambda path, *words: asked.append(path.name) or whole(path, *words))
    assert shelf.ok("verify", "--all")["findings"] == []
    assert asked == ["one-enhanced-story.tif"]
    flip(shelf.files("one")["one.tif"], 1)
    found = shelf.run("verify", "one").json["findings"]
    assert {"C2PA_OTHER_BYTES", "OCFL_DIGEST_MISMATCH"} <= {finding["code"] for finding in found}
    assert asked.count("one.tif") == 1


def test_a_manifest_beside_is_never_judged_better_than_with_the_file(shelf: Shelf):
    files, anchors = shelf.files("three"), (shelf.root / "keys" / "anchors.pem").read_text()
    store, digest = files["three.tif.c2pa"].read_bytes(), hashlib.sha256(files["three.tif"].read_bytes()).hexdigest()
    good, whole = c2pa.read_sidecar(store, digest, anchors), c2pa.read_store(files["three.tif"], "", store, anchors)
    assert good is not None and whole is not None
    assert (good.state, good.assertions, good.manifests) == (whole.state, whole.assertions, whole.manifests)
    assert c2pa.read_sidecar(store, "0" * 64, anchors) is None
    must("init", shelf.root.parent / "other")
    assert c2pa.read_sidecar(store, digest, (shelf.root.parent / "other/keys/anchors.pem").read_text()) is None
    chance, judged = random.Random("store"), 0
    for _ in range(40):
        changed = bytearray(store)
        changed[chance.randrange(len(store))] ^= 1 << chance.randrange(8)
        try:
            found = c2pa.read_sidecar(bytes(changed), digest, anchors)
        except CredentialsFailed:
            continue
        if found is not None:  # a bit that no signature covers
            again = c2pa.read_store(files["three.tif"], "", bytes(changed), anchors)
            assert again is not None and again.state == "Trusted"
        judged += 1
    assert judged
