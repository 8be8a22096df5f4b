"""What `log` hands out: the entry that matters, nothing written over, nothing inside the archive, failures in words."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from archive_restore.app import open_archive
from archive_restore.core.log_proof import parse_proof
from archive_restore.flows.log import proofs_of
from archive_restore.records.objects import MasterRef
from tests.conftest import Shelf
from tests.support.archives import copy_of, restored, run


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """`one` with two restorations; no test writes to it."""
    place = tmp_path_factory.mktemp("log") / "archive"
    return Shelf(root=copy_of("restored", place, tmp_path_factory, restored), runner=run)


@pytest.mark.parametrize("ref", ["one", "one/restoration@1", "two/restoration"])
def test_the_proved_entry_names_the_digest_of_the_file(shelf: Shelf, tmp_path: Path, ref: str):
    (proof,) = shelf.ok("log", "prove", ref, "--to", tmp_path / "x.tlog-proof")["proofs"]
    told = json.loads(parse_proof((tmp_path / "x.tlog-proof").read_bytes()).entry)
    assert told["index"] == proof["index"]
    for name, path in shelf.files(ref).items():
        if name != "premis.xml":  # it tells of this entry, so that it has one of its own
            meant = told["event"]["digests"][name]
            assert meant == f"sha512:{hashlib.sha512(path.read_bytes()).hexdigest()}"


def test_other_entries_are_proved_when_asked_for(shelf: Shelf, tmp_path: Path):
    (proof,) = shelf.ok("log", "prove", "one", "--event", "ingestion", "--to", tmp_path / "x")["proofs"]
    assert proof["type"] == "ingestion"
    every = shelf.ok("log", "prove", "one", "--all", "--to", tmp_path / "all")["proofs"]
    events = shelf.ok("show", "one")["events"]
    assert [p["type"] for p in every] == [e["type"] for e in events]
    assert sorted(p["path"] for p in every) == sorted(map(str, (tmp_path / "all").iterdir()))
    with open_archive(shelf.root, write=False) as archive:
        (lines,) = proofs_of(archive, [MasterRef(item_id="one")]).values()
        for line, proof in zip(lines, every, strict=True):
            assert Path(proof["path"]).read_bytes() == archive.log.prove(line.index)
            assert parse_proof(archive.log.prove(line.index)).entry == line.data


def test_a_check_of_many_versions_is_an_entry_about_each(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory):
    shelf = Shelf(root=copy_of("restored", tmp_path / "archive", tmp_path_factory, restored), runner=run)
    shelf.ok("verify", "--all", "--record")
    for ref in ("one", "two/restoration"):
        every = shelf.ok("log", "prove", ref, "--all", "--to", tmp_path / ref.replace("/", "-"))["proofs"]
        assert [p["type"] for p in every] == [e["type"] for e in shelf.ok("show", ref)["events"]]
        assert every[-1]["type"] == "fixity check"
        assert f'"{ref.removesuffix("@1")}' in parse_proof(Path(every[-1]["path"]).read_bytes()).entry.decode()
    with open_archive(shelf.root, write=False) as archive:
        assert [len(lines) for lines in proofs_of(archive, [MasterRef(item_id="one")]).values()] == [
            len(shelf.ok("show", "one")["events"])
        ]


def test_what_cannot_be_done_is_one_line(shelf: Shelf, tmp_path: Path):
    (tmp_path / "there").write_text("mine")
    for code, words in {
        2: ("prove", "one", "--all", "--event", "ingestion", "--to", tmp_path / "x"),
        12: ("prove", "one", "--event", "\x1b[2J", "--to", tmp_path / "x"),
        15: ("prove", "one", "--to", tmp_path / "no" / "folder"),
        16: ("prove", "one", "--to", tmp_path / "there"),
    }.items():
        ran = run("-A", shelf.root, "log", *words)
        assert (ran.code, ran.out) == (code, "") and len(ran.err.splitlines()) == 1 and "\x1b" not in ran.err, words
    assert (tmp_path / "there").read_text() == "mine"
    assert run("-A", shelf.root, "log", "export", "--to", shelf.root / "audit" / "tiles").code == 2
    assert {path.name for path in tmp_path.iterdir()} == {"there"}


def test_growth_that_does_not_hold_is_told_in_words(shelf: Shelf, tmp_path: Path):
    old = tmp_path / "old"
    shutil.copy(shelf.root / "audit" / "checkpoint", old)
    assert shelf.ok("log", "consistency", old, "--to", tmp_path / "proof")["ok"]
    assert (tmp_path / "proof").is_file()
    size = old.read_text().split("\n")[1]
    old.write_text(old.read_text().replace(f"\n{size}\n", f"\n{int(size) + 1}\n", 1))
    ran = run("-A", shelf.root, "log", "consistency", old, "--to", tmp_path / "none")
    assert ran.code == 1 and "LOG_SIGNATURE_INVALID the old checkpoint" in ran.out and "does NOT extend" in ran.out
    assert not (tmp_path / "none").exists()
