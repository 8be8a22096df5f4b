"""How fast items leave as bags, as ratios to bagit-python in the same run. Prints a markdown table.

Run it from the repository: `python -m tests.benchmarks.packages [--files 300] [--large-mib 1024] [--runs 3]
[--directory DIR]`. DIR needs five times the large file's size free. Ours is the real command, a process of its own that
opens the archive, copies, hashes, reads back, syncs and writes the log. bagit-python bags the very files of our bags'
payloads with the same two digests, all in one process: once over files that lie where the bag will be, once with the
copy that leaves the source alone, and once validated after that, which is the same work as ours but for the disk.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks.ingest import large_file, small_files
from tests.benchmarks.processes import Spent, archive_restore, measured, median, new_archive, seconds_of, table

THEIRS = """
import pathlib, shutil, sys
import bagit
mode, source, target = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
for payload in sorted(source.iterdir()):
    place = target / payload.name
    if mode != "make":
        shutil.copytree(payload, place)
    bag = bagit.make_bag(str(place), checksums=["sha256", "sha512"])
    if mode == "copy, make, validate":
        bag.validate()
"""
MODES = ("make", "copy, make", "copy, make, validate")


@dataclass(kw_only=True)
class Turns:
    """What every run cost, ours and theirs taken by turns."""

    ours: list[Spent] = field(default_factory=list)
    theirs: dict[str, list[Spent]] = field(default_factory=lambda: {mode: [] for mode in MODES})
    size: int = 0
    """Bytes of all payloads."""


def turns(archive: Path, base: Path, runs: int) -> Turns:
    """Export everything as bags, then let bagit-python bag the same payloads."""
    found = Turns()
    payloads = base / "payloads"
    for run in range(runs):
        out = base / f"out-{run}"
        seconds_of(lambda: None)
        found.ours.append(archive_restore(archive, "export", "--all", "--as", "bag", "--to", out))
        if not payloads.exists():
            payloads.mkdir()
            for bag in out.iterdir():
                shutil.copytree(bag / "data", payloads / bag.name)
            found.size = sum(path.stat().st_size for path in payloads.rglob("*") if path.is_file())
        shutil.rmtree(out)
        for mode in MODES:
            target = base / f"theirs-{run}"
            shutil.copytree(payloads, target) if mode == "make" else target.mkdir()
            seconds_of(lambda: None)
            words = [sys.executable, "-W", "ignore", "-c", THEIRS, mode, payloads, target]
            found.theirs[mode].append(measured(words))
            shutil.rmtree(target)
    shutil.rmtree(payloads)
    return found


def rows(title: str, found: Turns) -> list[list[object]]:
    """Rows of the table."""
    ours = median(spent.seconds for spent in found.ours)
    peak = max(spent.peak_mib for spent in found.ours)
    spent = median(spent.processor for spent in found.ours)
    made: list[list[object]] = [
        [title, "`export --as bag`", ours, spent, found.size / ours / 1e6, 1.0, f"{peak:.0f} MiB"]
    ]
    for mode, spents in found.theirs.items():
        theirs = median(spent.seconds for spent in spents)
        ratio = median(a.seconds / b.seconds for a, b in zip(found.ours, spents, strict=True))
        peak = max(spent.peak_mib for spent in spents)
        spent = median(spent.processor for spent in spents)
        made.append(["", f"bagit-python: {mode}", theirs, spent, found.size / theirs / 1e6, ratio, f"{peak:.0f} MiB"])
    return made


def main(words: list[str] | None = None) -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--files", type=int, default=300)
    options.add_argument("--large-mib", type=int, default=1024)
    options.add_argument("--runs", type=int, default=3)
    options.add_argument("--directory", type=Path, default=None)
    chosen = options.parse_args(words)
    with tempfile.TemporaryDirectory(dir=chosen.directory) as folder:
        base = Path(folder)
        made: list[list[object]] = []
        for title, number, prepare in (
            (f"one TIFF of {chosen.large_mib} MiB", chosen.large_mib, lambda to, n: large_file(to / "large.tif", n)),
            (f"{chosen.files} TIFFs of 100 kB", chosen.files, lambda to, n: small_files(to / "small", n)),
        ):
            if not number:
                continue
            work = Path(tempfile.mkdtemp(dir=base))
            prepare(work, number)
            archive = new_archive(work / "archive")
            archive_restore(archive, "ingest", *work.glob("small"), *work.glob("*.tif"))
            made += rows(title, turns(archive, work, chosen.runs))
            shutil.rmtree(work)
        print(table(["items", "", "seconds", "processor seconds", "MB/s", "ratio of ours to it", "peak memory"], made))


if __name__ == "__main__":
    main(sys.argv[1:])
