"""What the speed benchmarks share: real command lines measured from outside, medians, tables, photograph crops."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

PHOTOGRAPHS = Path(__file__).resolve().parent.parent / "photographs" / "open"


@dataclass(frozen=True, kw_only=True)
class Spent:
    """What a process cost, its children included."""

    seconds: float
    processor: float
    """Seconds of processor time."""
    peak_mib: float
    """Largest resident set, MiB."""
    said: Any
    """Its JSON, or None."""


def archive_restore(archive: Path, *words: str | Path) -> Spent:
    """Run `archive-restore --json -A ARCHIVE WORDS…` as a process of its own; raise where it fails."""
    return measured([sys.executable, "-m", "archive_restore", "--json", "-A", archive, *words])


def measured(command: Sequence[str | Path]) -> Spent:
    """Run a process to its end; peak memory is the kernel's own count for this one child."""
    read, write = os.pipe()
    with os.fdopen(read, "rb") as pipe:
        started = time.perf_counter()
        child = subprocess.Popen([str(word) for word in command], stdout=write)
        os.close(write)
        said = pipe.read()
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - started
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise RuntimeError(f"{child.args} ended with {child.returncode}: {said[-2000:]!r}")
    return Spent(
        seconds=seconds,
        processor=usage.ru_utime + usage.ru_stime,
        peak_mib=usage.ru_maxrss / 1024,
        said=json.loads(said) if said.startswith(b"{") else None,
    )


def seconds_of(work: Callable[[], object]) -> float:
    """Seconds that a piece of work takes; what earlier work left for the disk to do is done before."""
    os.sync()
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def new_archive(root: Path) -> Path:
    """An empty archive at `root`."""
    measured([sys.executable, "-m", "archive_restore", "-q", "init", root])
    return root


def median(values: Iterable[float]) -> float:
    """Median."""
    return statistics.median(values)


def table(titles: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A markdown table; floats with two decimals."""
    lines = ["| " + " | ".join(titles) + " |", "|" + "---|" * len(titles)]
    lines += ["| " + " | ".join(f"{c:.2f}" if isinstance(c, float) else str(c) for c in row) + " |" for row in rows]
    return "\n".join(lines)


def photograph(number: int) -> NDArray[np.uint8]:
    """One of the open photographs, RGB uint8 (h, w, 3)."""
    paths = sorted(PHOTOGRAPHS.glob("*.jpg"))
    picture = cv2.imread(str(paths[number % len(paths)]), cv2.IMREAD_COLOR)
    assert picture is not None
    return np.ascontiguousarray(picture[:, :, ::-1])
