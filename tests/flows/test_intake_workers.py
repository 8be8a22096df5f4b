"""Many files go to a thread and to processes beside it; what comes out is what one worker makes, in the same order."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.conftest import Ran, Shelf
from tests.support.launcher import Launcher, launcher
from tests.support.scans import write_scans

COUNT = 120
"""Enough for a process beside the thread."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scans with a duplicate, a bad file and a conflict far from what they repeat."""
    made = tmp_path_factory.mktemp("many")
    write_scans(made, COUNT)
    shutil.copy(made / "scan-003.tif", made / "scan-110-again.tif")
    (made / "scan-077-bad.tif").write_bytes(b"II*\0 not a scan")
    (made / "other").mkdir()
    (made / "other" / "scan-005.tif").write_bytes((made / "scan-006.tif").read_bytes() + b"\0\0")
    return made


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Launcher]:
    scratch = tmp_path / "processes"
    scratch.mkdir()
    with launcher(scratch) as made:
        yield made


def said(shelf: Shelf, folder: Path, threads: int) -> Any:
    config = shelf.root / "archive.toml"
    config.write_text(config.read_text().replace("threads = 0", f"threads = {threads}"))
    ran = shelf.run("ingest", folder)
    assert ran.code == 1, ran.err
    return ran.json


def test_processes_make_what_one_thread_makes(tmp_path: Path, command: Callable[..., Ran], folder: Path):
    answers = []
    for threads in (1, 3):
        root = tmp_path / f"archive-{threads}"
        assert command("init", root).code == 0
        shelf = Shelf(root=root, runner=command)
        answers.append(said(shelf, folder, threads))
        assert shelf.ok("verify", "--all")["subjects"] == COUNT
        left = {path.name for path in (root / "work").iterdir()}
        assert left <= {"lock", "journal", "readers"}
    assert answers[0] == answers[1]
    assert [m["item_id"] for m in answers[1]["accepted"]] == sorted(m["item_id"] for m in answers[1]["accepted"])
    assert [d["item_id"] for d in answers[1]["duplicates"]] == ["scan-003"]
    assert {f["code"] for q in answers[1]["quarantined"] for f in q["findings"]} >= {"ITEM_ID_CONFLICT"}


def worker_of(pid: int, *, within: float = 30) -> psutil.Process:
    """The process beside the thread, once it runs."""
    ends = time.monotonic() + within
    while time.monotonic() < ends:
        for child in psutil.Process(pid).children():
            if "spawn_main" in " ".join(child.cmdline()) and child.num_threads() > 1:
                return child
        time.sleep(0.005)
    raise AssertionError("no worker process was started")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_worker_or_everybody_is_stopped(processes: Launcher, shelf: Shelf, folder: Path, number: signal.Signals):
    config = shelf.root / "archive.toml"
    config.write_text(config.read_text().replace("threads = 0", "threads = 2"))
    first = processes.start("-A", shelf.root, "ingest", folder)
    worker = worker_of(first.pid)
    if number is signal.SIGINT:
        first.interrupt()
    else:
        os.kill(first.pid if number is signal.SIGTERM else worker.pid, number)
    ran = first.wait()
    assert "Traceback" not in ran.err
    assert len(ran.err.strip().splitlines()) == 1
    if number is signal.SIGKILL:
        assert "worker process died" in ran.err
    else:
        assert ran.code == 128 + number and "interrupted" in ran.err
    assert shelf.run("ingest", folder).code == 1
    assert len(shelf.ok("list")["items"]) == COUNT
    assert shelf.ok("verify", "--all")["findings"] == []
