"""How long `verify --all` takes, in ratios to plain hashing of the same bytes in the same run. Prints a table.

Run it from the repository: `python -m tests.benchmarks.verify [--directory DIR]`. The baseline is hashlib's sha512, and
sha512 with sha256, over every stored file, as many at a time as the archive has threads.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import tifffile

from archive_restore.app import open_archive
from archive_restore.flows.verify import verify
from tests.benchmarks.storage import NEVER, Spent, spent
from tests.support.archives import must

BLOCK = 1 << 20


def write_masters(folder: Path, count: int, mebibytes: float) -> None:
    """TIFFs of 16-bit noise, uncompressed: nothing but bytes to be read."""
    side = max(8, int((mebibytes * (1 << 20) / 2) ** 0.5))
    chance = np.random.default_rng(count)
    folder.mkdir()
    for number in range(count):
        samples = chance.integers(0, 1 << 16, (side, side), np.uint16)
        tifffile.imwrite(folder / f"{side}-{number:04}.tif", samples, photometric="minisblack")


def hash_all(files: Sequence[Path], threads: int, names: Sequence[str]) -> None:
    """Every file read once, with these digests, `threads` at a time."""

    def one(path: Path) -> Iterable[str]:
        digests = [hashlib.new(name) for name in names]
        with path.open("rb", buffering=0) as file:
            block = bytearray(BLOCK)
            while count := file.readinto(block):
                for digest in digests:
                    digest.update(memoryview(block)[:count])
        return [digest.hexdigest() for digest in digests]

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(one, files))


def measure(work: Path, name: str, count: int, mebibytes: float, runs: int) -> None:
    """One archive of `count` masters: three ways to read it, taken in turns."""
    sources, root = work / f"{name}-sources", work / name
    write_masters(sources, count, mebibytes)
    must("init", root)
    must("-A", root, "ingest", sources)
    shutil.rmtree(sources)
    files = [path for path in (root / "preservation").rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    with open_archive(root, write=False) as archive:
        threads = archive.settings.threads

        def ours() -> None:
            found = verify(archive, None)
            assert found.findings == ()
            assert found.subjects == count

        ways: dict[str, Callable[[], object]] = {
            "verify --all": ours,
            "sha512 + sha256": lambda: hash_all(files, threads, ("sha512", "sha256")),
            "sha512": lambda: hash_all(files, threads, ("sha512",)),
        }
        best = dict.fromkeys(ways, NEVER)
        for _ in range(runs):
            for way, do in ways.items():
                best[way] = best[way].best(spent(do, runs=1))
    _print(name, size, threads, best)


def _print(name: str, size: int, threads: int, best: dict[str, Spent]) -> None:
    base = best["sha512 + sha256"]
    for way, cost in best.items():
        print(
            f"| {name} | {way} | {threads} | {cost.wall:.2f} | {cost.processor:.2f} | {size / cost.wall / 1e6:.0f} | "
            f"{cost.wall / base.wall:.2f} | {cost.processor / max(base.processor, 0.01):.2f} |"
        )


def main(words: Sequence[str] | None = None) -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--directory", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--large", type=int, default=12, help="masters of 100 MiB")
    parser.add_argument("--small", type=int, default=1000, help="masters of 100 kB")
    parser.add_argument("--mebibytes", type=float, default=100, help="size of the large ones")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args(words)
    print("| archive | way | threads | seconds | processor | MB/s | ratio | ratio, processor |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory(dir=options.directory, prefix="verify-") as work:
        if options.large:
            name = f"{options.large} × {options.mebibytes:g} MiB"
            measure(Path(work), name, options.large, options.mebibytes, options.runs)
        if options.small:
            measure(Path(work), f"{options.small} × 100 kB", options.small, 0.0954, options.runs)


if __name__ == "__main__":
    main()
