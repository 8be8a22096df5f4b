"""How fast files become masters, as ratios to well-known programs in the same run. Prints markdown tables.

Run it from the repository: `python -m tests.benchmarks.ingest [--files 1000] [--large-mib 1024] [--runs 3]
[--directory DIR]`. DIR must be on the disk that matters, with four times the large file's size free. What is
measured is the real command, a process of its own with all its checks, signatures and flushes to the disk.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import ocfl
import tifffile

from tests.benchmarks.processes import Spent, archive_restore, median, new_archive, photograph, seconds_of, table

EDGE = (181, 184)
"""Rows and columns of the small files: 8-bit RGB of this size is 100 kB."""

_A = "archive_restore.adapters"
STAGES = {
    "copy, hash, re-read": [(f"{_A}.ocfl", "OcflStaging.copy_in")],
    "known already?": [(f"{_A}.catalog", "SqlCatalog.master_by_sha512"), (f"{_A}.catalog", "SqlCatalog.master")],
    "identify (PRONOM)": [(f"{_A}.formats", "identify")],
    "check the structure": [(f"{_A}.formats", "find_picture"), (f"{_A}.formats", "_prove")],
    "sign": [(f"{_A}.c2pa", "C2paCredentials.sign_master")],
    "write PREMIS": [(f"{_A}.documents", "RecordDocuments.master_premis")],
    "write sidecars, staging": [
        (f"{_A}.ocfl", "OcflRoot.stage"), (f"{_A}.ocfl", "OcflStaging.write"), (f"{_A}.ocfl", "OcflStaging.adopt"),
    ],
    "commit: journal": [(f"{_A}.workspace", "FileJournal.open"), (f"{_A}.workspace", "FileJournal.close")],
    "commit: OCFL": [(f"{_A}.ocfl", "OcflRoot.commit_many")],
    "commit: log": [(f"{_A}.auditlog", "FileAuditLog.append")],
    "commit: catalog": [(f"{_A}.catalog", "SqlCatalog.add_master"), (f"{_A}.catalog", "SqlCatalog._flush")],
}  # fmt: skip
"""Which functions make up a stage; time spent in a stage inside another counts for the inner one."""


def small_files(folder: Path, count: int) -> None:
    """`count` different crops of real photographs as uncompressed TIFFs of 100 kB."""
    folder.mkdir(parents=True)
    rng = np.random.Generator(np.random.Philox(key=7))
    for number in range(count):
        picture = photograph(number)
        top, left = (int(rng.integers(0, picture.shape[axis] - EDGE[axis])) for axis in (0, 1))
        crop = picture[top : top + EDGE[0], left : left + EDGE[1]]
        tifffile.imwrite(
            folder / f"scan-{number:05}.tif", crop, photometric="rgb", resolution=(600, 600), resolutionunit=2,
            metadata=None,
        )  # fmt: skip


def large_file(path: Path, mib: int, *, compression: str | None = None) -> None:
    """A tiled 16-bit RGB TIFF of `mib` MiB of samples: photographs side by side, with grain as a scanner leaves it."""
    across, edge = 32, 256
    down = max(1, (mib << 20) // (across * edge * edge * 6))
    rng = np.random.Generator(np.random.Philox(key=11))
    grain = rng.integers(-200, 200, (edge, edge, 3), np.int32)

    def tiles() -> Iterator[np.ndarray]:
        for number in range(across * down):
            picture = photograph(number)
            top, left = (int(rng.integers(0, picture.shape[axis] - edge)) for axis in (0, 1))
            deep = picture[top : top + edge, left : left + edge].astype(np.int32) * 257
            yield np.clip(deep + np.roll(grain, number, axis=0), 0, 65535).astype(np.uint16)

    tifffile.imwrite(
        path, tiles(), shape=(down * edge, across * edge, 3), dtype=np.uint16, photometric="rgb", tile=(edge, edge),
        metadata=None, compression=compression, predictor=2 if compression else None,
    )  # fmt: skip


# --- many small files --------------------------------------------------------------------------------


def make_theirs(sources: Path, folder: Path) -> None:
    """Let ocfl-py make one object of every file that lies alone in its folder below `sources`."""
    folder.mkdir()
    metadata = ocfl.VersionMetadata(message="x", name="x", address="mailto:x@example.org")
    for alone in sorted(sources.iterdir()):
        made = ocfl.Object(identifier=alone.name, digest_algorithm="sha512")
        made.create(srcdir=str(alone), metadata=metadata, objdir=str(folder / alone.name))


def add_theirs(objects: Path, root: Path) -> None:
    """Add finished objects into a new storage root, without a flush to the disk."""
    store = ocfl.StorageRoot(str(root), layout_name="0003-hash-and-id-n-tuple-storage-layout")
    store.initialize()
    for folder in sorted(objects.iterdir()):
        store.add(str(folder))


@dataclass(frozen=True, kw_only=True)
class Many:
    """Seconds of each run, ours and theirs taken by turns; the other costs of our last run."""

    ours: list[float]
    made: list[float]
    """ocfl-py, from the TIFFs to objects."""
    added: list[float]
    """ocfl-py, from objects to a storage root."""
    spent: Spent


def many(base: Path, count: int, runs: int) -> Many:
    """Ingest `count` small files, and let ocfl-py merely add them as objects.

    Nothing is removed between the runs: for seconds after many files went, ext4 looks in vain at each of their inodes
    before it gives out one, which doubled the time of whoever came next.
    """
    sources, alone = base / "sources", base / "alone"
    small_files(sources, count)
    for source in sorted(sources.iterdir()):  # ocfl-py wants a folder an object; not timed
        (alone / source.stem).mkdir(parents=True)
        shutil.copy(source, alone / source.stem)
    result = Many(ours=[], made=[], added=[], spent=Spent(seconds=0, processor=0, peak_mib=0, said={}))
    for run in range(runs):
        archive = new_archive(base / f"archive-{run}")
        seconds_of(lambda: None)
        spent = archive_restore(archive, "ingest", sources)
        assert len(spent.said["accepted"]) == count, spent.said
        result.ours.append(spent.seconds)
        objects, root = base / f"objects-{run}", base / f"root-{run}"
        result.made.append(seconds_of(lambda objects=objects: make_theirs(alone, objects)))
        result.added.append(seconds_of(lambda objects=objects, root=root: add_theirs(objects, root)))
        result = replace(result, spent=spent)
    return result


# --- one large file ----------------------------------------------------------------------------------


def plain_programs(source: Path, copy: Path) -> float:
    """`cp`, `sha512sum` and `sha256sum`, one after the other."""

    def work() -> None:
        for command in (["cp", source, copy], ["sha512sum", source], ["sha256sum", source]):
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    spent = seconds_of(work)
    copy.unlink()
    return spent


def large(base: Path, mib: int, runs: int, compression: str | None) -> tuple[float, list[float], list[float], float]:
    """MiB of the file, seconds of each of our runs and of the plain programs, our peak memory in MiB."""
    source = base / "large.tif"
    large_file(source, mib, compression=compression)
    ours, theirs, peak = [], [], 0.0
    for run in range(runs):
        subprocess.run(["cat", source], stdout=subprocess.DEVNULL, check=True)
        archive = new_archive(base / f"large-{run}")
        seconds_of(lambda: None)
        spent = archive_restore(archive, "ingest", source)
        assert len(spent.said["accepted"]) == 1, spent.said
        ours.append(spent.seconds)
        peak = max(peak, spent.peak_mib)
        shutil.rmtree(archive)
        theirs.append(plain_programs(source, base / "copy"))
    size = source.stat().st_size / (1 << 20)
    source.unlink()
    return size, ours, theirs, peak


# --- where the time goes -----------------------------------------------------------------------------


class Watch:
    """Adds up the seconds spent in named stages, inner stages taken out of outer ones; one stack a thread."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = dict.fromkeys(STAGES, 0.0)
        self._local = threading.local()

    def around(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, timed."""

        def timed(*args: Any, **kwargs: Any) -> Any:
            inner = self._local.__dict__.setdefault("inner", [])
            inner.append(0.0)
            started = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                whole = time.perf_counter() - started
                self.seconds[stage] += whole - inner.pop()
                if inner:
                    inner[-1] += whole

        return timed


@contextmanager
def watched() -> Iterator[Watch]:
    """Time the functions of STAGES inside the block."""
    watch, undo = Watch(), []
    try:
        for stage, places in STAGES.items():
            for module, name in places:
                owner: Any = importlib.import_module(module)
                *above, last = name.split(".")
                for part in above:
                    owner = getattr(owner, part)
                original = getattr(owner, last)
                undo.append((owner, last, original))
                setattr(owner, last, watch.around(stage, original))
        yield watch
    finally:
        for owner, last, original in reversed(undo):
            setattr(owner, last, original)


def stages(base: Path, sources: Path) -> tuple[float, dict[str, float]]:
    """Ingest in this process with one worker; seconds in all, and by stage."""
    from archive_restore.app import open_archive
    from archive_restore.flows.ingest import find_files, ingest

    archive = new_archive(base / "stages")
    settings = archive / "archive.toml"
    settings.write_text(settings.read_text().replace("threads = 0", "threads = 1"))
    candidates = list(find_files([sources]))
    with watched() as watch, open_archive(archive, write=True) as opened:
        whole = seconds_of(lambda: ingest(opened, candidates))
    shutil.rmtree(archive)
    return whole, watch.seconds


def main(words: list[str] | None = None) -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--files", type=int, default=1000)
    options.add_argument("--large-mib", type=int, default=1024)
    options.add_argument("--runs", type=int, default=3)
    options.add_argument("--directory", type=Path, default=None)
    chosen = options.parse_args(words)
    logging.getLogger().setLevel(logging.WARNING)  # ocfl-py says every step aloud
    with tempfile.TemporaryDirectory(dir=chosen.directory) as folder:
        base = Path(folder)
        small = many(base, chosen.files, chosen.runs)
        pairs = list(zip(small.ours, small.made, small.added, strict=True))
        print(f"{chosen.files} TIFFs of 100 kB, median of {chosen.runs} runs taken by turns:\n")
        rows = [
            ["`archive-restore ingest`, everything", median(small.ours), 1.0],
            ["ocfl-py: make objects, add them to a root", median(m + a for _, m, a in pairs),
             median(o / (m + a) for o, m, a in pairs)],
            ["only its adding of finished objects", median(small.added), median(o / a for o, _, a in pairs)],
        ]  # fmt: skip
        print(table(["", "seconds", "ratio of ours to it"], rows))
        spent = small.spent
        print(f"\nIngest used {spent.processor:.1f} s of processor time and {spent.peak_mib:.0f} MiB.\n")
        whole, spread = stages(base, base / "sources")
        print("Where the time goes, in milliseconds a file; one worker takes in while the coordinator commits:\n")
        each = [[stage, 1000 * took / chosen.files, f"{took / whole:.0%}"] for stage, took in spread.items()]
        print(table(["stage", "ms", "share"], each), flush=True)
        rows = []
        for title, compression in (("uncompressed", None), ("Deflate", "zlib")):
            size, ours, theirs, peak = large(base, chosen.large_mib, chosen.runs, compression)
            ratio = median(a / b for a, b in zip(ours, theirs, strict=True))
            rows.append([f"{size:.0f} MiB, {title}", median(ours), median(theirs), ratio, f"{peak:.0f} MiB"])
        print("\nOne large 16-bit RGB TIFF, warm cache:\n")
        titles = ["", "ingest, s", "cp + sha512sum + sha256sum, s", "ratio", "peak memory"]
        print(table(titles, rows))


if __name__ == "__main__":
    main(sys.argv[1:])
