"""A full disk: one line that says so, an archive that is whole, and a second run that finishes the rest (P8)."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Ran, Shelf
from tests.support import archives
from tests.support.launcher import Launcher, launcher
from tests.support.scans import write_scans
from tests.support.stories import KERNEL

DISK = 24 << 20
"""Bytes of the small disk."""
MOUNT = 'mount -t tmpfs -o size="$1" tmpfs "$2" && shift 2 && exec "$@"'


@pytest.fixture
def scans(tmp_path: Path) -> list[Path]:
    return write_scans(tmp_path / "scans", 40)


class Disk:
    """A small file system that only the launched commands (and /proc) see."""

    def __init__(self, processes: Launcher, mount: Path) -> None:
        self.processes = processes
        self.mount = mount
        self.seen = processes.root / str(mount).lstrip("/")
        self.archive = mount / "archive"
        self.shelf = Shelf(root=self.archive, runner=processes.run)

    def free(self) -> int:
        found = os.statvfs(self.seen)
        return found.f_bavail * found.f_frsize

    def leave(self, size: int) -> None:
        """Fill the disk so that this many bytes are free."""
        ballast = self.seen / "ballast"
        have = ballast.stat().st_size if ballast.exists() else 0
        wanted = max(0, have + self.free() - size)
        if wanted < have:
            os.truncate(ballast, wanted)
        else:
            with ballast.open("ab") as file:
                file.write(b"\0" * (wanted - have))

    def clear(self) -> None:
        (self.seen / "ballast").unlink()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    mount, scratch = tmp_path / "disk", tmp_path / "processes"
    mount.mkdir()
    scratch.mkdir()
    words = ["unshare", "-r", "-m", "sh", "-c", MOUNT, "sh", str(DISK), str(mount)]
    if shutil.which("unshare") is None:
        pytest.skip("there is no unshare here")
    tried = subprocess.run([*words, "true"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        pytest.skip(f"a small disk cannot be mounted here: {tried.stderr.strip()}")
    with launcher(scratch, words) as processes:
        made = Disk(processes, mount)
        try:
            made.free()
        except PermissionError:
            pytest.skip("the small disk cannot be looked at from outside")
        yield made


def one_line(ran: Ran) -> str:
    assert ran.err.startswith("archive-restore: ")
    assert ran.err.count("\n") == 1, ran.err
    assert ran.json["error"]["exit_code"] == ran.code
    return str(ran.json["error"]["message"])


def refs(shelf: Shelf) -> set[str]:
    rows = shelf.ok("list")["items"]
    return {row["item_id"] for row in rows} | {ref for row in rows for ref in row["derivatives"]}


@pytest.mark.slow
@pytest.mark.namespace
def test_ingest_until_the_disk_is_full(disk: Disk, scans: list[Path]):
    shelf = disk.shelf
    assert disk.processes.run("init", disk.archive).code == 0
    before: set[str] = set()
    failed = 0
    for kilobytes in (0, 4, 16, 40, 64, 100, 160, 240, 400, 700, 1100):
        disk.leave(kilobytes << 10)
        ran = shelf.run("ingest", *scans)
        if ran.code == 0:
            break
        failed += 1
        assert ran.code == 15, ran
        assert "space" in one_line(ran).lower() or "full" in one_line(ran)
        now = refs(shelf)  # reading needs no space
        assert before <= now
        before = now
        disk.leave(2 << 20)
        assert shelf.ok("verify", "--all")["findings"] == []
        assert before <= refs(shelf)
        before = refs(shelf)
    assert failed >= 6
    disk.clear()
    told = shelf.ok("ingest", *scans)
    assert len(told["accepted"]) + len(told["duplicates"]) == len(scans)
    assert refs(shelf) == {path.stem for path in scans}
    assert shelf.ok("verify", "--all")["findings"] == []
    assert shelf.ok("catalog", "rebuild")["objects"] == len(scans)


MAKE = {
    "restoration": ("restore", "--recipe", "gentle"),
    "enhancement": ("enhance", "--scale", "1.5", *KERNEL),
}
"""Kind of derivative -> words of a command that makes some."""


@pytest.mark.slow
@pytest.mark.namespace
@pytest.mark.parametrize("kind", MAKE)
def test_derivatives_until_the_disk_is_full(disk: Disk, scans: list[Path], kind: str):
    shelf = disk.shelf
    assert disk.processes.run("init", disk.archive).code == 0
    shelf.ok("ingest", *scans[:3])
    items = {path.stem for path in scans[:3]}
    words = (*MAKE[kind], *sorted(items))
    failed = 0
    for kilobytes in (0, 4, 12, 32, 50, 64, 80, 100, 130, 160):
        disk.leave(kilobytes << 10)
        ran = shelf.run(*words)
        if ran.code == 0:
            break
        failed += 1
        assert ran.code == 15, ran
        one_line(ran)
        assert items <= refs(shelf)
        disk.leave(2 << 20)
        assert shelf.ok("verify", "--all")["findings"] == []
    assert failed >= 5
    disk.clear()
    shelf.ok(*words)
    assert {f"{item}/{kind}@1" for item in items} <= refs(shelf)
    assert shelf.ok("verify", "--all")["findings"] == []
    for item in items:
        assert shelf.ok("reproduce", f"{item}/{kind}")["identical"]


@pytest.mark.namespace
def test_no_room_for_an_archive(disk: Disk):
    for kilobytes in (0, 4, 8, 24, 60, 100):
        disk.leave(kilobytes << 10)
        ran = disk.processes.run("--json", "init", disk.archive)
        assert ran.code == 15, ran
        one_line(ran)
    disk.clear()
    assert disk.processes.run("init", disk.archive).code == 0


@pytest.mark.namespace
def test_reading_from_a_disk_that_cannot_be_written(tmp_path: Path, scans: list[Path]):
    """As an archive on a read-only medium: it can be looked at and judged, and says why it takes nothing in."""
    archive, scratch = tmp_path / "archive", tmp_path / "processes"
    scratch.mkdir()
    archives.must("init", archive)
    archives.must("-A", archive, "ingest", *scans[:2])
    archives.must("-A", archive, "restore", "scan-000")
    bind = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && shift && exec "$@"'
    words = ["unshare", "-r", "-m", "sh", "-c", bind, "sh", str(archive)]
    if shutil.which("unshare") is None or subprocess.run([*words, "true"], capture_output=True, check=False).returncode:
        pytest.skip("a read-only mount is not allowed here")
    with launcher(scratch, words) as processes:
        shelf = Shelf(root=archive, runner=processes.run)
        assert refs(shelf) == {"scan-000", "scan-001", "scan-000/restoration@1"}
        for ref in ("scan-001", "scan-000/restoration"):
            assert shelf.ok("show", ref)["events"]
        told = shelf.ok("verify", "--all")
        assert (told["subjects"], [f["code"] for f in told["findings"]]) == (3, ["CATALOG_SEARCH_UNCHECKED"])
        assert shelf.ok("log", "verify")["ok"]
        assert shelf.ok("search", "scan")["items"]
        for words in (["ingest", str(scans[3])], ["restore", "scan-001"], ["catalog", "rebuild"]):
            ran = shelf.run(*words)
            assert ran.code == 15, ran
            one_line(ran)


@pytest.mark.namespace
def test_no_room_for_a_new_catalog(disk: Disk, scans: list[Path]):
    shelf = disk.shelf
    assert disk.processes.run("init", disk.archive).code == 0
    shelf.ok("ingest", *scans[:5])
    for kilobytes in (0, 8, 100):
        disk.leave(kilobytes << 10)
        ran = shelf.run("catalog", "rebuild")
        assert ran.code == 15, ran
        one_line(ran)
        assert len(refs(shelf)) == 5
    disk.clear()
    shelf.ok("catalog", "rebuild")
    assert shelf.ok("verify", "--all")["findings"] == []
