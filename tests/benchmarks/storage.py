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
from pathlib import Path

import ocfl

from archive_restore.adapters.ocfl import create_root, open_preservation_root
from archive_restore.ports import Commit
from archive_restore.records.objects import MasterRef

COUNT = 1000
GROUP = 100
SIDECARS = {"scan.tif.c2pa": 13_000, "item.json": 2_000, "premis.xml": 4_000}
TOLD = {"created": "2026-11-22T10:00:00Z", "message": "ingest", "user": "benchmark <b@example.org>"}


def seconds(work: Callable[[], object], *, runs: int = 3, before: Callable[[], object] = lambda: None) -> float:
    """Best of some runs; the disk is idle when each begins."""
    best = float("inf")
    for _ in range(runs):
        before()
        os.sync()
        started = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - started)
    return best


def many_objects(base: Path) -> list[tuple[str, float]]:
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

    rows = [("archive-restore: 1,000 objects of 4 files, durable", seconds(ours))]
    root = open_preservation_root(places[-1], base / "work")
    rows.append(("archive-restore: validate them, digests included", seconds(lambda: list(root.validate()))))
    rows.append(("ocfl-py: add 1,000 objects of 1 file", seconds(theirs, runs=1, before=prepare_theirs)))
    return rows


def large_file(base: Path) -> list[tuple[str, float]]:
    """One file of 1 GiB: ours (copy, two digests, re-read, fsync) against the plain programs."""
    source = base / "large"
    with source.open("wb") as file:
        for _ in range(1024):
            file.write(os.urandom(1 << 20))
    create_root(base / "root")
    root = open_preservation_root(base / "root", base / "work")

    def warm() -> None:
        (base / "copy").unlink(missing_ok=True)
        shutil.rmtree(base / "work", ignore_errors=True)
        (base / "work").mkdir()
        subprocess.run(["cat", source], stdout=subprocess.DEVNULL, check=True)

    def ours() -> None:
        root.stage("LARGE").copy_in("large", source)

    def run(*command: str | Path) -> Callable[[], object]:
        return lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    return [
        ("archive-restore: copy_in of 1 GiB, durable", seconds(ours, before=warm)),
        ("cp", seconds(run("cp", source, base / "copy"), before=warm)),
        ("cp and fsync", seconds(run("sh", "-c", f"cp {source} {base / 'copy'} && sync {base / 'copy'}"), before=warm)),
        ("sha512sum", seconds(run("sha512sum", source), before=warm)),
        ("sha256sum", seconds(run("sha256sum", source), before=warm)),
    ]


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as folder:
        many = many_objects(Path(folder))
        large = large_file(Path(folder))
    for rows in (many, large):
        for name, spent in rows:
            print(f"{name:52} {spent:8.2f} s   {spent / rows[0][1]:6.2f} ×")
        print()
    budget = large[1][1] + large[3][1]
    print(f"copy_in needs {large[0][1] / budget:.2f} of the time of cp and sha512sum")
    print(f"1,000 objects need {many[0][1] / many[-1][1]:.2f} of the time ocfl-py needs to add them")


if __name__ == "__main__":
    main()
