"""Arrays kept between runs, so that what did not change is not computed again: `cache/`, safe to delete at any time.

Nothing here is ever a fact: what is damaged or missing is made anew, and `reproduce` never asks.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from archive_restore.ports import Kept, Samples

LIMIT = 2 << 30
"""Bytes that are kept in all; what was not used for longest goes first."""


class FolderKept(Kept):
    """One folder a key, one `.npy` an array."""

    def __init__(self, folder: Path, limit: int = LIMIT) -> None:
        """Nothing is written before something is kept."""
        self._folder = folder
        self._limit = limit

    def get(self, key: str, make: Callable[[], Mapping[str, Samples]]) -> Mapping[str, Samples]:
        """See ports.Kept."""
        place = self._folder / hashlib.sha256(key.encode()).hexdigest()
        known = self._read(place)
        if known is not None:
            return known
        made = make()
        with contextlib.suppress(OSError):  # a full disk costs time, not the story
            self._write(place, made)
            self._forget()
        return made

    def _read(self, place: Path) -> Mapping[str, Samples] | None:
        try:
            head, end, _ = (place / "names").read_text(encoding="utf-8").partition("\n")
            names = head.split()
            if not names or not end:
                raise ValueError("cut short")
            found = {name: np.load(place / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in names}
            os.utime(place)
        except (OSError, ValueError, EOFError):
            shutil.rmtree(place, ignore_errors=True)
            return None
        return found

    def _write(self, place: Path, made: Mapping[str, Samples]) -> None:
        if sum(array.nbytes for array in made.values()) > self._limit // 2:
            return
        self._folder.mkdir(exist_ok=True)
        partial = Path(tempfile.mkdtemp(dir=self._folder, prefix="unfinished-"))
        try:
            for name, array in made.items():
                np.save(partial / f"{name}.npy", array, allow_pickle=False)
            (partial / "names").write_text(" ".join(made) + "\n", encoding="utf-8")
            partial.rename(place)
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def _forget(self) -> None:
        """Remove what was not used for longest until the rest fits."""
        sizes = {
            place: (place.stat().st_mtime, sum(file.stat().st_size for file in place.iterdir()))
            for place in self._folder.iterdir()
            if place.is_dir()
        }
        total = sum(size for _, size in sizes.values())
        for place, (_, size) in sorted(sizes.items(), key=lambda entry: entry[1][0]):
            if total <= self._limit:
                return
            shutil.rmtree(place, ignore_errors=True)
            total -= size
