"""Measures packages for repositories and viewers: METS of many files, tiles of a large scan.

Run it from the repository: `python -m tests.benchmarks.publishing [--files 10000] [--mpx 36] [--directory DIR]`. Each
measurement is a process of its own, so that peaks are its own. METS: a package of small files, written, then checked.
Tiles: a noisy 16-bit RGB scan without a profile, with one, and turned by its orientation.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import tifffile

from archive_restore.adapters import icc
from archive_restore.adapters.iiif_tiles import Sheet, cut_picture, put_in, shown_facts
from archive_restore.adapters.mets import MetsExporter
from archive_restore.adapters.picture_files import FilePictures
from archive_restore.imaging.access import shown_size
from archive_restore.records.packages import Package, PackedFile, PackedVersion, Side
from tests.adapters import record_samples as samples


def peak() -> float:
    """Peak memory of this process, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def apart(job: Callable[..., tuple[object, ...]], *words: object) -> tuple[object, ...]:
    """Run a measurement in a fresh process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(job, words)


def mets(folder: str, count: int) -> tuple[object, ...]:
    """(MB of METS, CPU s and MiB more at its peak to write it with its files, the same to check it)."""
    place = Path(folder)
    data = b"x" * 100
    sha512, sha256 = samples.digests(data)
    (place / "source").write_bytes(data)
    made = samples.derivation(samples.master(b"master"))
    files = tuple(
        PackedFile(
            ref=str(made.ref), name=f"frame-{number:06}.png", path=place / "source", size=len(data), sha512=sha512,
            sha256=sha256, mime="image/png",
        )
        for number in range(count)
    )  # fmt: skip
    version = PackedVersion(ref=str(made.ref), record=made, events=made.events, files=files)
    package = Package(
        name="NIPOMO-01", side=Side.RECORD, master=samples.master(b"master"), versions=(version,), organization="",
        made=samples.NOW, agent="benchmark",
    )  # fmt: skip
    out = place / "out"
    out.mkdir()
    told: list[object] = []
    for job in (lambda: MetsExporter().write(package, out), lambda: list(MetsExporter().check(out))):
        before, start = peak(), time.process_time()
        assert not job()
        told += [time.process_time() - start, peak() - before]
    return ((out / "mets.xml").stat().st_size / 1e6, *told)


def make_scan(path: Path, mpx: float, orientation: int, profile: bytes | None) -> None:
    """A 16-bit RGB scan in strips, 3:2."""
    height = round((mpx * 1e6 / 1.5) ** 0.5)
    width = round(height * 1.5)
    generator = np.random.default_rng(1)

    def strips() -> object:
        for top in range(0, height, 64):
            y, x = np.mgrid[top : min(top + 64, height), 0:width].astype(np.float32)
            light = (np.sin(x / 97) + np.cos(y / 61) + 2) * 15_000
            grain = generator.integers(0, 800, light.shape, dtype=np.uint16)
            yield np.repeat((light.astype(np.uint16) + grain)[:, :, None], 3, axis=2)

    tifffile.imwrite(
        path, strips(), shape=(height, width, 3), dtype=np.uint16, photometric="rgb", rowsperstrip=64,
        iccprofile=profile, extratags=[(274, "H", 1, orientation, True)],
    )  # fmt: skip


def tiles(folder: str, path: str) -> tuple[object, ...]:
    """(files, MB of them, CPU s, MiB more at the peak) to cut a picture."""
    place, pictures = Path(folder) / "tiles", FilePictures(Path(folder))
    facts = shown_facts(pictures, Path(path))
    height, width = shown_size(facts.height, facts.width, facts.orientation)
    told: dict[str, str] = {}
    before, start = peak(), time.process_time()
    cut_picture(pictures, Path(path), Sheet(width=width, height=height, wide=width), "x", put_in(place, told))
    size = sum(file.stat().st_size for file in place.rglob("*.jpg")) / 1e6
    return len(told), size, time.process_time() - start, peak() - before


def main(words: Sequence[str] | None = None) -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--mpx", type=float, default=36)
    parser.add_argument("--directory", type=Path, default=None)
    options = parser.parse_args(words)
    print("| files | mets.xml, MB | write, CPU s | more memory, MiB | check, CPU s | more memory, MiB |")
    print("|---|---|---|---|---|---|")
    for count in (10, options.files):
        with tempfile.TemporaryDirectory(dir=options.directory) as folder:
            told = apart(mets, folder, count)
        print(f"| {count} | " + " | ".join(f"{value:.1f}" for value in told) + " |")
    print("\n| scan | tiles | MB | CPU s | more memory, MiB |\n|---|---|---|---|---|")
    profile = icc.rgb_profile(icc.srgb())
    for name, orientation, embedded in (("upright", 1, None), ("with a profile", 1, profile), ("turned", 6, None)):
        with tempfile.TemporaryDirectory(dir=options.directory) as folder:
            scan = Path(folder) / "scan.tif"
            make_scan(scan, options.mpx, orientation, embedded)
            count, size, seconds, more = apart(tiles, folder, str(scan))
        print(f"| {options.mpx:g} Mpx, {name} | {count} | {size:.1f} | {seconds:.1f} | {more:.0f} |")


if __name__ == "__main__":
    main()
