"""What kinship costs: `python -m tests.benchmarks.audit_speed [--items 100000] [--codes 1000000] [--mpx 12]`.

A real archive with one large photograph, among the fingerprints of many that are drawn from those of real ones with
some bits turned. Prints processor and wall seconds of each part, and what the index takes.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from archive_restore.app import open_archive
from archive_restore.flows.kinship import find_kin, look, refresh
from archive_restore.imaging.difference import difference
from archive_restore.imaging.kin_index import CODE_BYTES, distances
from archive_restore.ports import Fingerprint, Fingerprints
from tests.benchmarks.audit import PHOTOGRAPHS
from tests.support.archives import must

ResultT = TypeVar("ResultT")
TURNED = 0.15
"""Share of the bits of a signature that are turned."""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--codes", type=int, default=1_000_000)
    parser.add_argument("--mpx", type=float, default=12)
    wanted = parser.parse_args(arguments)
    print("| part | wall, s | processor, s |\n|---|---|---|")
    _codes(wanted.codes)
    with tempfile.TemporaryDirectory() as folder:
        _audit(Path(folder), wanted.items, wanted.mpx)


def _codes(count: int) -> None:
    codes = np.random.default_rng(0).integers(0, 256, (count, CODE_BYTES), np.uint8)
    _timed(f"nearest of {count:,} ISCC codes, one query", lambda: distances(codes, codes[:1]), 5)
    _timed(f"nearest of {count:,} ISCC codes, eight variants", lambda: distances(codes, codes[:8]), 3)


def _audit(folder: Path, items: int, mpx: float) -> None:
    master, published = _pictures(folder, mpx)
    must("init", folder / "a")
    must("-A", folder / "a", "ingest", master)
    with open_archive(folder / "a", write=False) as archive:
        _timed("fingerprint of the master, decoding included", lambda: refresh(archive))
        _fill(archive.fingerprints, items)
    with open_archive(folder / "a", write=False) as archive:
        begun = time.perf_counter(), time.process_time()
        _timed("open the index", archive.fingerprints.covered)
        _timed("is there anything new?", lambda: refresh(archive))
        candidate = _timed(f"decode and reduce the candidate ({mpx:g} Mpx JPEG)", lambda: look(archive, published))
        _timed(f"candidates among {items:,}", lambda: archive.fingerprints.find(candidate))
        found = _timed("candidates, decoding of the reference, registration", lambda: find_kin(archive, candidate))
        _timed("difference", lambda: difference(found[0].candidate, found[0].reference, found[0].registration))
        print(
            f"| **all, with the candidates twice** | {time.perf_counter() - begun[0]:.2f} "
            f"| {time.process_time() - begun[1]:.2f} |"
        )
        print(f"\nfound: {[(match.kin.ref, round(match.registration.shown, 2)) for match in found]}")
    size = sum(path.stat().st_size for path in (folder / "a" / "fingerprints").rglob("*") if path.is_file())
    print(f"fingerprints on disk: {size / 1e6:.0f} MB, {size / max(items, 1):.0f} bytes a picture")


def _pictures(folder: Path, mpx: float) -> tuple[Path, Path]:
    """A master, and a crop of it with a mark, mirrored, as it was published."""
    picture = Image.open(PHOTOGRAPHS / "open" / "nagasaki-boats.jpg").convert("RGB")
    factor = float(np.sqrt(mpx * 1e6 / (picture.width * picture.height)))
    large = picture.resize((round(picture.width * factor), round(picture.height * factor)), Image.Resampling.BICUBIC)
    large.save(folder / "boats.jpg", quality=92)
    large.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / "published.jpg", quality=80)
    return folder / "boats.jpg", folder / "published.jpg"


def _fill(prints: Fingerprints, items: int) -> None:
    """Add as many fingerprints as an archive of that size has."""
    real = [
        prints.make(np.asarray(Image.open(path).convert("L"))) for path in sorted((PHOTOGRAPHS / "open").glob("*.jpg"))
    ]
    words = np.concatenate([entry.words for entry in real])
    signatures = np.concatenate([entry.signatures for entry in real])
    rng = np.random.default_rng(0)
    each = len(words) // len(real)
    made: dict[str, Fingerprint] = {}
    for number in range(items):
        at = rng.integers(0, len(words), each)
        turned = np.packbits(rng.random((each, 64)) < TURNED, axis=1).view(np.uint64).reshape(-1)
        moved = np.where(rng.random(each) < 0.5, np.uint16(1) << rng.integers(0, 13, each).astype(np.uint16), 0)
        made[f"synthetic-{number:06}"] = Fingerprint(
            code=rng.bytes(CODE_BYTES),
            words=words[at] ^ moved.astype(np.uint16),
            signatures=signatures[at] ^ turned,
        )
    prints.add(made, covered=prints.covered())


def _timed(name: str, work: Callable[[], ResultT], times: int = 1) -> ResultT:
    """Print the best of some runs."""
    best = (float("inf"), float("inf"))
    for _ in range(times):
        wall, processor = time.perf_counter(), time.process_time()
        result = work()
        best = min(best, (time.perf_counter() - wall, time.process_time() - processor), key=lambda both: both[1])
    print(f"| {name} | {best[0]:.3f} | {best[1]:.3f} |", flush=True)
    return result


if __name__ == "__main__":
    main()
