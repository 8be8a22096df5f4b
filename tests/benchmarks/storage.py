"""How long storing takes, in ratios to well-known programs measured in the same run. Prints a table.

Run it from the repository: `python -m tests.benchmarks.storage [DIRECTORY]`. The directory must be on the disk
that matters and have 4 GiB free.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import ocfl

from archive_restore.adapters.ocfl import create_root, open_preservation_root
from archive_restore.ports import Commit
from archive_restore.records.objects import MasterRef

COUNT = 1000
GROUP = 100
ROUNDS = 4
SIDECARS = {"scan.tif.c2pa": 13_000, "item.json": 2_000, "premis.xml": 4_000}
TOLD = {"created": "2026-11-22T10:00:00Z", "message": "ingest", "user": "benchmark <b@example.org>"}


@dataclass(frozen=True)
class Spent:
    """What something cost."""

    wall: float
    """Seconds on the clock: what users wait for, and what other programs on the machine disturb."""
    processor: float
    """Seconds of all processors, children included."""

    def best(self, other: Spent) -> Spent:
        """The smaller of each."""
        return Spent(min(self.wall, other.wall), min(self.processor, other.processor))


NEVER = Spent(float("inf"), float("inf"))


def processor_seconds() -> float:
    """Of this process and the children it has waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def spent(work: Callable[[], object], *, runs: int = 3, before: Callable[[], object] = lambda: None) -> Spent:
    """Best of some runs; the disk is idle when each begins."""
    best = NEVER
    for _ in range(runs):
        before()
        os.sync()
        started, used = time.perf_counter(), processor_seconds()
        work()
        best = best.best(Spent(time.perf_counter() - started, processor_seconds() - used))
    return best


def many_objects(base: Path) -> list[tuple[str, Spent]]:
    """1,000 files of 100 kB: ours with three small files each and fsync, ocfl-py with the one file."""
    sources = base / "sources"
    sources.mkdir()
    for number in range(COUNT):
        (sources / f"{number:04}.tif").write_bytes(os.urandom(100_000))
    sidecars = {name: os.urandom(size) for name, size in SIDECARS.items()}

    # Nothing is deleted between the runs: ext4 avoids inodes that were freed in the last minutes, and searching
    # past thousands of them would be measured instead.
    places: list[Path] = []

    def ours() -> None:
        places.append(base / f"ours-{len(places)}")
        create_root(places[-1])
        root = open_preservation_root(places[-1], base / "work")
        for start in range(0, COUNT, GROUP):
            commits = []
            for number in range(start, start + GROUP):
                ref = MasterRef(item_id=f"ITEM-{number:04}")
                staged = root.stage(ref.object_id)
                staged.copy_in(f"{number:04}.tif", sources / f"{number:04}.tif")
                for name, data in sidecars.items():
                    staged.write(name, data)
                commits.append(Commit(ref=ref, staged=staged, **TOLD))
            root.commit_many(commits)

    def prepare_theirs() -> None:
        for number in range(COUNT):
            made = ocfl.Object(identifier=f"ITEM-{number:04}", digest_algorithm="sha512")
            source = base / "objects" / f"{number:04}-source"
            source.mkdir(parents=True)
            shutil.copy(sources / f"{number:04}.tif", source)
            metadata = ocfl.VersionMetadata(message="x", name="x", address="mailto:x@example.org")
            made.create(srcdir=str(source), metadata=metadata, objdir=str(base / "objects" / f"{number:04}"))

    def theirs() -> None:
        store = ocfl.StorageRoot(str(base / "theirs"), layout_name="0003-hash-and-id-n-tuple-storage-layout")
        store.initialize()
        for number in range(COUNT):
            store.add(str(base / "objects" / f"{number:04}"))

    rows = [("archive-restore: 1,000 objects of 4 files, durable", spent(ours))]
    root = open_preservation_root(places[-1], base / "work")
    rows.append(("archive-restore: validate them, digests included", spent(lambda: list(root.validate()))))
    rows.append(("ocfl-py: add 1,000 objects of 1 file", spent(theirs, runs=1, before=prepare_theirs)))
    return rows


def large_file(base: Path) -> list[tuple[str, Spent]]:
    """One file of 1 GiB: ours (copy, two digests, re-read, fsync) against the plain programs."""
    source = base / "large"
    with source.open("wb") as file:
        for _ in range(1024):
            file.write(os.urandom(1 << 20))
    create_root(base / "root")
    root = open_preservation_root(base / "root", base / "work")

    def warm() -> None:
        """The source in the page cache, and as much memory just used and freed again.

        A virtual machine gives freed memory back to its host after seconds; taking it again costs more than a copy.
        """
        shutil.rmtree(base / "work", ignore_errors=True)
        (base / "work").mkdir()
        subprocess.run(["cat", source], stdout=subprocess.DEVNULL, check=True)
        os.sync()
        subprocess.run(["cp", source, base / "scratch"], check=True)
        for name in ("copy", "scratch"):
            (base / name).unlink(missing_ok=True)

    def ours() -> None:
        root.stage("LARGE").copy_in("large", source)

    def run(*command: str | Path) -> Callable[[], object]:
        return lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    commands = {
        "archive-restore: copy_in of 1 GiB, durable": ours,
        "cp": run("cp", source, base / "copy"),
        "cp and fsync": run("sh", "-c", f"cp {source} {base / 'copy'} && sync {base / 'copy'}"),
        "sha512sum": run("sha512sum", source),
        "sha256sum": run("sha256sum", source),
    }
    # In turns and best of all, since other programs on the machine disturb.
    best = dict.fromkeys(commands, NEVER)
    for _ in range(ROUNDS):
        for name, work in commands.items():
            best[name] = best[name].best(spent(work, runs=1, before=warm))
    return list(best.items())


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as folder:
        many = many_objects(Path(folder))
        large = large_file(Path(folder))
    print(f"{'':50} {'clock':>9} {'processor':>11}")
    for rows in (many, large):
        for name, cost in rows:
            print(f"{name:50} {cost.wall:7.2f} s {cost.processor:9.2f} s")
        print()
    for what, ours, theirs in (
        ("copy_in / (cp + sha512sum)", [large[0][1]], [large[1][1], large[3][1]]),
        ("1,000 objects / ocfl-py", [many[0][1]], [many[-1][1]]),
    ):
        wall = sum(cost.wall for cost in ours) / sum(cost.wall for cost in theirs)
        processor = sum(cost.processor for cost in ours) / sum(cost.processor for cost in theirs)
        print(f"{what:50} {wall:7.2f} × {processor:9.2f} ×")


if __name__ == "__main__":
    main()
