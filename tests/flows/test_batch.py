"""Several processes at one archive, and Ctrl-C: one writer a time, readers always, nothing lost or made twice."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from archive_restore.app import open_archive
from tests.conftest import Ran, Shelf
from tests.support.archives import copy_of, empty, run
from tests.support.launcher import Death, Launcher, Process, launcher
from tests.support.scans import write_scans


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    with launcher(tmp_path_factory.mktemp("processes")) as made:
        yield made


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_scans(tmp_path_factory.mktemp("scans"), 80)


@pytest.fixture
def shelf(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    return Shelf(root=copy_of("empty", tmp_path / "archive", tmp_path_factory, empty), runner=run)


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.01)


def items(shelf: Shelf) -> list[str]:
    return [row["item_id"] for row in shelf.ok("list")["items"]]


def one_line(ran: Ran) -> str:
    """What a command that was stopped says: one line for people, one document for machines."""
    lines = [line for line in ran.err.splitlines() if line]
    assert len(lines) == 1, ran.err
    assert lines[0].startswith("archive-restore: ")
    assert ran.json["error"]["exit_code"] == ran.code
    return lines[0]


# --- one writer, many readers ------------------------------------------------------------------------


def held(processes: Launcher, place: str, *words: str | Path, when: str = "after", count: int = 1) -> Process:
    """A command that is stopped at one place of the code."""
    process = processes.start(*words, death=Death(place, when, count, signal.SIGSTOP))
    until(lambda: process.stopped() or process.ended())
    assert process.stopped(), process.wait()
    return process


def test_two_writers(processes: Launcher, shelf: Shelf, scans: list[Path]):
    first = held(processes, "archive_restore.flows.intake:_prepare", "-A", shelf.root, "ingest", *scans[:4])
    for words in (("ingest", scans[5]), ("restore", "--all"), ("catalog", "rebuild")):
        ran = shelf.run(*words)
        assert (ran.code, ran.json["error"]["class"]) == (11, "ArchiveBusy")
        assert f"process {first.pid} " in one_line(ran)
    for words in (("list",), ("verify", "--all"), ("log", "verify"), ("keys", "show"), ("search", "x")):
        assert shelf.run(*words).code == 0
    first.go_on()
    assert first.wait().code == 0
    assert len(shelf.ok("ingest", scans[5])["accepted"]) == 1
    assert len(items(shelf)) == 5


@pytest.mark.parametrize(
    ("place", "when"),
    [
        ("archive_restore.adapters.workspace:FileJournal.open", "after"),
        ("archive_restore.adapters.ocfl:OcflRoot._publish_object", "after"),
        ("archive_restore.adapters.ocfl:OcflRoot.commit_many", "after"),
        ("archive_restore.adapters.auditlog:FileAuditLog._write_lines", "after"),
        ("archive_restore.adapters.auditlog:FileAuditLog.append", "after"),
        ("archive_restore.adapters.workspace:FileJournal.close", "before"),
    ],
)
def test_readers_in_the_middle_of_a_commit(processes: Launcher, shelf: Shelf, scans: list[Path], place: str, when: str):
    shelf.ok("ingest", scans[0])
    writer = held(processes, place, "-A", shelf.root, "ingest", *scans[1:4], when=when)
    assert {"scan-000"} <= set(items(shelf)) <= {path.stem for path in scans[:4]}
    assert shelf.ok("show", "scan-000")["record"]["file"]["name"] == "scan-000.tif"
    told = shelf.ok("verify", "--all")
    assert {f["severity"] for f in told["findings"]} <= {"warning"}
    assert {f["subject"] for f in told["findings"] if f["code"] == "COMMITTED_MEANWHILE"} == {
        "scan-001",
        "scan-002",
        "scan-003",
    }
    assert shelf.ok("verify", "scan-000")["ok"]
    assert shelf.run("log", "verify").code in (0, 1)
    writer.go_on()
    assert writer.wait().code == 0
    assert shelf.ok("verify", "--all")["findings"] == []


def test_readers_in_the_middle_of_a_second_version(processes: Launcher, shelf: Shelf, scans: list[Path]):
    shelf.ok("ingest", scans[0])
    shelf.ok("restore", "scan-000")
    for place in (
        "archive_restore.adapters.ocfl:durable.sync_directory",
        "archive_restore.adapters.ocfl:OcflRoot.commit_many",
    ):
        writer = held(processes, place, "-A", shelf.root, "restore", "scan-000")
        assert shelf.ok("show", "scan-000/restoration@1")["files"]
        told = shelf.ok("verify", "--all")
        assert {f["severity"] for f in told["findings"]} <= {"warning"}
        assert shelf.ok("reproduce", "scan-000/restoration@1")["identical"]
        writer.go_on()
        assert writer.wait().code == 0
    assert shelf.ok("verify", "--all")["findings"] == []


@pytest.mark.slow
def test_reading_all_the_while_somebody_writes(processes: Launcher, shelf: Shelf, scans: list[Path]):
    writer = processes.start("--json", "-A", shelf.root, "ingest", scans[0].parent)
    seen = 0
    while not writer.ended():
        now = len(items(shelf))
        assert now >= seen
        seen = now
        told = shelf.ok("verify", "--all")
        assert {f["severity"] for f in told["findings"]} <= {"warning"}
    assert len(writer.wait().json["accepted"]) == len(scans)


def test_a_writer_leaves_the_scratch_files_of_a_reader_alone(shelf: Shelf, scans: list[Path]):
    with open_archive(shelf.root, write=False) as archive:
        scratch = archive.work / "reproduce-x"
        scratch.mkdir()
        shelf.ok("ingest", scans[0])
        assert scratch.exists()
    shelf.ok("ingest", scans[1])
    assert not scratch.exists()


# --- Ctrl-C ------------------------------------------------------------------------------------------


def test_interrupted_ingests(processes: Launcher, shelf: Shelf, scans: list[Path]):
    chance = random.Random("interrupt")
    stopped = 0
    while True:
        process = processes.start("--json", "-A", shelf.root, "ingest", scans[0].parent)
        if stopped < 5:
            time.sleep(chance.uniform(0.1, 0.8))
            process.interrupt()
        ran = process.wait()
        if ran.code == 0:
            break
        assert ran.code == 130
        assert "run the same command again" in one_line(ran)
        stopped += 1
        before = set(items(shelf))
        assert shelf.ok("verify", "--all")["findings"] == []
        assert before == set(items(shelf))
    assert stopped
    assert len(items(shelf)) == len(scans)
    assert shelf.ok("verify", "--all")["findings"] == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_comes_too_late_when_all_is_said(processes: Launcher, shelf: Shelf, number: signal.Signals):
    said = Death("archive_restore.cli.output:Session.result", "after", 1, number)
    ran = processes.run("--json", "-A", shelf.root, "list", death=said)
    assert ran.code == 0 and not ran.err
    assert ran.json["items"] == []


@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupted_batch_goes_on_where_it_stopped(
    processes: Launcher, shelf: Shelf, scans: list[Path], workers: int
):
    shelf.ok("ingest", *scans[:4])
    config = shelf.root / "archive.toml"
    config.write_text(config.read_text().replace("workers = 1", f"workers = {workers}"))
    refs = [path.stem for path in scans[:4]]
    first = processes.start("--json", "-A", shelf.root, "restore", *refs, "--recipe", "gentle")
    until(lambda: first.ended() or any((shelf.root / "preservation").rglob("*restoration")))
    first.interrupt()
    ran = first.wait()
    assert ran.code == 130, ran
    one_line(ran)
    assert not Path(f"/proc/{first.pid}").exists()
    made = {ref for row in shelf.ok("list")["items"] for ref in row["derivatives"]}
    assert 1 <= len(made) < 4
    told = processes.run("--json", "-A", shelf.root, "restore", *refs, "--recipe", "gentle").json
    assert {one["ref"] for one in told["made"]} | made == {f"{ref}/restoration@1" for ref in refs}
    assert set(told["unchanged"]) == made
    assert shelf.ok("verify", "--all")["findings"] == []
    # The batch ran to its end: the same words now mean new versions.
    again = processes.run("--json", "-A", shelf.root, "restore", refs[0], "--recipe", "gentle").json
    assert [one["ref"] for one in again["made"]] == [f"{refs[0]}/restoration@2"]


def test_workers_do_not_outlive_their_coordinator(processes: Launcher, shelf: Shelf, scans: list[Path]):
    shelf.ok("ingest", *scans[:4])
    config = shelf.root / "archive.toml"
    config.write_text(config.read_text().replace("workers = 1", "workers = 2"))
    coordinator = processes.start("-A", shelf.root, "restore", "--all", "--recipe", "gentle")

    def family() -> list[int]:
        """Processes of its session, itself not counted."""
        found = []
        for path in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                words = path.read_text().rpartition(")")[2].split()
                if int(words[3]) == coordinator.pid and words[0] != "Z" and int(path.parent.name) != coordinator.pid:
                    found.append(int(path.parent.name))
        return found

    until(lambda: coordinator.ended() or any((shelf.root / "work").glob("ocfl-*")))
    os.kill(coordinator.pid, signal.SIGKILL)
    assert coordinator.wait().code == -9
    until(lambda: not family(), 30)
    assert shelf.ok("verify", "--all")["findings"] == []
    assert shelf.ok("restore", "--all", "--recipe", "gentle")["failed"] == []


def test_one_bad_item_does_not_stop_the_rest(shelf: Shelf, scans: list[Path], tmp_path: Path):
    (tmp_path / "torn.tif").write_bytes(scans[0].read_bytes()[:700])
    shelf.ok("ingest", scans[1], tmp_path / "torn.tif", scans[2], "--keep-unreadable")
    ran = shelf.run("restore", "--all", "--recipe", "gentle")
    assert ran.code == 1
    assert [made["ref"] for made in ran.json["made"]] == ["scan-001/restoration@1", "scan-002/restoration@1"]
    assert [failed["ref"] for failed in ran.json["failed"]] == ["torn"]
    assert shelf.ok("verify", "--all")["ok"]
    again = shelf.run("restore", "--all", "--recipe", "gentle")
    assert again.json["unchanged"] == ["scan-001/restoration@1", "scan-002/restoration@1"]
    assert again.code == 1
