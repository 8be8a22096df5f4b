"""A clip whose making is interrupted, by Ctrl-C or by SIGKILL at any moment, leaves nothing half-made (P8)."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Shelf
from tests.flows.test_crash import listed, sound
from tests.support.archives import copy_of, empty, run
from tests.support.launcher import Launcher, Process, launcher
from tests.support.scans import write_scan

WORDS = ("animate", "scan", "--camera", "closer", "--size", "source", "--seconds", "2", "--music", "sakura")
MORE = ("archive_restore.cli.tell", "archive_restore.flows.animate", "archive_restore.steps.motion")


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    with launcher(tmp_path_factory.mktemp("processes"), more=MORE) as made:
        yield made


def at_work(process: Process, work: Path) -> bool:
    """Whether it has begun to write frames; waits until it has, or has ended."""
    while not process.ended():
        if any(work.rglob("synthesis-map.mkv")):
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize("manner", ["interrupt", "kill"])
def test_nothing_is_half_made_and_the_second_run_completes(
    processes: Launcher, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, manner: str
):
    shelf = Shelf(root=copy_of("empty", tmp_path / "archive", tmp_path_factory, empty), runner=run)
    shelf.ok("ingest", write_scan(tmp_path / "scan.tif", edge=96))
    chance, stopped = random.Random(manner), 0
    for _ in range(2):
        process = processes.start("-A", shelf.root, *WORDS)
        if at_work(process, shelf.root / "work"):
            time.sleep(chance.uniform(0.0, 0.5))
        getattr(process, manner)()
        ran = process.wait()
        if ran.code == 0:  # it was faster
            continue
        stopped += 1
        if manner == "interrupt":
            assert ran.code == 130, ran.err
            assert ran.err.strip() == "archive-restore: interrupted; run the same command again to finish the rest"
            # What it had begun is gone at once, and not only with the next command.
            assert not any(path.name.startswith("stage") for path in (shelf.root / "work").iterdir())
        else:
            assert ran.code == -9
        made = listed(shelf) - {"scan"}
        assert shelf.ok("verify", "--all")["findings"] == []
        assert all(ref.startswith("scan/animation@") for ref in made)
    assert stopped
    shelf.ok(*WORDS)
    assert listed(shelf) >= {"scan", "scan/animation@1"}
    sound(shelf)
