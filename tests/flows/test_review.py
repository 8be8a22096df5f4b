"""Reviews: kept in the log, found again from it, said in every copy; rejected ones stay at home; words are inert."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from archive_restore.adapters import keys
from archive_restore.adapters.c2pa_library import read_store
from archive_restore.adapters.shipped import check_document
from archive_restore.app import open_archive
from archive_restore.flows import commit
from archive_restore.flows.review import review, review_problem, review_state
from archive_restore.records.objects import MasterRef
from archive_restore.records.preservation import PreservationKind, PreservationRef
from archive_restore.records.reviews import ReviewWord
from tests.conftest import Shelf
from tests.support.archives import copy_of, restored, run

HOSTILE = '=HYPERLINK("http://x")\u202egpj <script>alert(1)</script>\x1b[2J\n\'; DROP TABLE events; --'
PLAIN = '=HYPERLINK("http://x")gpj <script>alert(1)</script>[2J \'; DROP TABLE events; --'
FIRST = PreservationRef(item_id="one", kind=PreservationKind.RESTORATION, version=1)


@pytest.fixture
def shelf(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """`one` with two restorations, `two` with one."""
    return Shelf(root=copy_of("restored", tmp_path / "archive", tmp_path_factory, restored), runner=run)


def reviews(shelf: Shelf) -> dict[str, str]:
    rows = shelf.ok("list")["items"]
    return {ref: state for row in rows for ref, state in row["reviews"].items()}


def test_the_latest_verdict_counts_and_all_are_kept(shelf: Shelf):
    assert reviews(shelf) == {}
    assert shelf.ok("show", "one/restoration@1")["review"]["state"] == "draft"
    first = shelf.ok("review", "one/restoration@1", "--reject", "--by", "A. Miller", "--note", "too smooth: see sky")
    assert (first["before"]["state"], first["now"]["state"]) == ("draft", "rejected")
    second = shelf.ok("review", "one/restoration@1", "--approve", "--by", "B. Ito")
    assert second["before"] == {"state": "rejected", "by": "A. Miller", "when": first["now"]["when"],
                                "note": "too smooth: see sky"}  # fmt: skip
    shelf.ok("review", "one/restoration", "--reject", "--by", "B. Ito")
    shown = shelf.ok("show", "one/restoration@1")
    assert (shown["review"]["state"], shown["review"]["by"]) == ("approved", "B. Ito")
    told = [(e["outcome"], e["agent"], e["detail"]) for e in shown["events"] if e["type"] == "appraisal"]
    assert told == [("failure", "A. Miller", "rejected: too smooth: see sky"), ("success", "B. Ito", "approved")]
    expected = {"one/restoration@1": "approved", "one/restoration@2": "rejected"}
    assert reviews(shelf) == expected
    shelf.ok("catalog", "rebuild")
    assert reviews(shelf) == expected
    assert shelf.ok("verify")["ok"]
    lines = run("-A", shelf.root, "list").out
    assert "one/restoration@1 (approved), one/restoration@2 (rejected)" in lines and "two/restoration@1\n" in lines


def test_what_is_no_review_is_refused_in_one_line(shelf: Shelf):
    for words in (
        ("one", "--approve", "--by", "A"),
        ("one/restoration", "--by", "A"),
        ("one/restoration", "--approve", "--reject", "--by", "A"),
        ("one/restoration", "--approve", "--by", "\u202e \x07"),
        ("one/restoration", "--approve", "--by", "x" * 201),
        ("one/restoration", "--approve", "--by", "A", "--note", "x" * 10_000),
    ):
        assert shelf.run("review", *words).code == 2, words
    assert shelf.run("review", "one/restoration@3", "--approve", "--by", "A").code == 12
    assert reviews(shelf) == {}


def test_hostile_words_are_inert(shelf: Shelf, tmp_path: Path):
    shelf.ok("review", "one/restoration@1", "--approve", "--by", HOSTILE, "--note", HOSTILE)
    for words in (("show", "one/restoration@1"), ("list",), ("log", "show")):
        out = run("-A", shelf.root, *words).out
        assert "\x1b" not in out and "\u202e" not in out
    assert shelf.ok("show", "one/restoration@1")["review"]["note"] == PLAIN
    shelf.ok("export", "one/restoration@1", "--as", "access", "--to", tmp_path / "out")
    text = (tmp_path / "out" / "disclosure.txt").read_text(encoding="utf-8")
    assert PLAIN in text and "\x1b" not in text and "\u202e" not in text
    assert shelf.ok("verify")["ok"]


def assertion(shelf: Shelf, path: Path) -> dict:
    store = read_store(path, "image/jpeg", None, keys.load_anchors(shelf.root / "keys"))
    assert store is not None
    said = store.assertions
    return {**said["org.archive-restore.access"], "words": json.dumps(said["c2pa.actions.v2"])}


def test_every_copy_says_who_approved_it(shelf: Shelf, tmp_path: Path):
    shelf.ok("review", "one/restoration@1", "--approve", "--by", "A. Miller", "--note", "Compared with the plate")
    done = shelf.ok("export", "one", "one/restoration@1", "two/restoration", "--as", "access", "--to", tmp_path / "out")
    approved = done["exported"][1]["review"]
    assert [copy["review"] and copy["review"]["state"] for copy in done["exported"]] == [None, "approved", "draft"]
    said = [assertion(shelf, Path(copy["path"])) for copy in done["exported"]]
    assert [one["review"] for one in said] == [copy["review"] for copy in done["exported"]]
    assert f"Review: approved by A. Miller, {approved['when']}: Compared with the plate." in said[1]["words"]
    assert "Review:" not in said[0]["words"] + said[2]["words"]
    for one in said:
        assert check_document("access", {name: value for name, value in one.items() if name != "words"}) == ""
    told = (tmp_path / "out" / "disclosure.txt").read_text(encoding="utf-8")
    assert told.count("Approved for use by A. Miller on") == 1 and "Their note: Compared with the plate" in told


def test_rejected_versions_and_drafts_stay_at_home(shelf: Shelf, tmp_path: Path):
    shelf.ok("review", "one/restoration@1", "--reject", "--by", "A. Miller", "--note", "wrong sky")
    shelf.ok("review", "one/restoration@2", "--approve", "--by", "A. Miller")
    refs = ("one", "one/restoration@1", "one/restoration@2", "two/restoration")
    access = ("--as", "access", "--to")
    ran = shelf.run("export", *refs, *access, tmp_path / "all")
    assert ran.code == 1 and len(ran.json["exported"]) == 3
    (failed,) = ran.json["failed"]
    assert failed["ref"] == "one/restoration@1" and "rejected by A. Miller" in failed["error"]
    assert "--rejected-too" in failed["error"]
    done = shelf.ok("export", *refs, *access, tmp_path / "approved", "--approved-only")
    assert [copy["ref"] for copy in done["exported"]] == ["one", "one/restoration@2"]
    assert [left["ref"] for left in done["left_out"]] == ["one/restoration@1", "two/restoration@1"]
    assert "not approved" in done["left_out"][1]["reason"]
    done = shelf.ok("export", "one/restoration@1", *access, tmp_path / "rejected", "--rejected-too")
    assert done["exported"][0]["review"]["state"] == "rejected"
    assert shelf.run("export", *refs, *access, tmp_path / "x", "--rejected-too", "--approved-only").code == 2


def test_the_one_question_other_exports_ask(shelf: Shelf):
    with open_archive(shelf.root, write=True) as archive:
        assert review_problem(archive, MasterRef(item_id="one")) == ""
        assert "draft" in review_problem(archive, FIRST)
        assert review_problem(archive, FIRST, approved_only=False) == ""
        review(archive, "one/restoration@1", ReviewWord.REJECTED, by="A", note="")
        assert "rejected by A" in review_problem(archive, FIRST, approved_only=False)
        assert review_problem(archive, FIRST, approved_only=False, rejected_too=True) == ""
        review(archive, "one/restoration@1", ReviewWord.APPROVED, by="B", note="")
        assert review_problem(archive, FIRST) == ""
        assert review_state(archive, FIRST).by == "B"


@pytest.mark.parametrize("where", ["index", "log"])
def test_a_crash_in_a_review_is_finished(shelf: Shelf, monkeypatch: pytest.MonkeyPatch, where: str):
    with open_archive(shelf.root, write=True) as archive:
        victim = (commit, "index") if where == "index" else (archive.log, "append")
        monkeypatch.setattr(*victim, stopped)
        with pytest.raises(KeyboardInterrupt):
            review(archive, "one/restoration@1", ReviewWord.APPROVED, by="A", note="")
        monkeypatch.undo()
    assert shelf.ok("verify")["ok"]
    assert reviews(shelf) == {"one/restoration@1": "approved"}
    assert len(shelf.ok("show", "one/restoration@1")["events"]) > 3


def stopped(*_: object) -> None:
    raise KeyboardInterrupt
