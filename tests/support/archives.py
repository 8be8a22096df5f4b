"""Archives made once a session and copied for every test that wants to hurt one."""

from __future__ import annotations

import contextlib
import io
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from archive_restore.cli import main
from tests.conftest import Ran, signals_kept
from tests.support.scans import write_scan, write_scratch_map

_made: dict[str, Path] = {}


def run(*words: str | Path) -> Ran:
    """Run a command in this process, its output kept."""
    out, err = io.StringIO(), io.StringIO()
    quiet = (contextlib.redirect_stdout(out), contextlib.redirect_stderr(err))
    with quiet[0], quiet[1], pytest.raises(SystemExit) as ended, signals_kept():
        main([str(word) for word in words])
    return Ran(code=int(ended.value.code or 0), out=out.getvalue(), err=err.getvalue())


def must(*words: str | Path) -> Ran:
    """Run a command that has to succeed."""
    ran = run(*words)
    assert ran.code == 0, f"{words}: {ran.code}\n{ran.out}\n{ran.err}"
    return ran


def copy_of(name: str, target: Path, factory: pytest.TempPathFactory, build: Callable[[Path, Path], None]) -> Path:
    """A copy at `target` of the archive `name`; `build(archive, scratch)` makes it the first time."""
    if name not in _made:
        place = factory.mktemp(name)
        build(place / "archive", place)
        _made[name] = place / "archive"
    shutil.copytree(_made[name], target)
    return target


def empty(archive: Path, _: Path) -> None:
    """An archive with nothing in it."""
    must("init", archive, "--organization", "Test Museum")


def one_scan(archive: Path, scratch: Path) -> None:
    """An archive with the item `scan`."""
    must("init", archive, "--organization", "Test Museum")
    must("-A", archive, "ingest", write_scan(scratch / "scan.tif"))


def restored(archive: Path, scratch: Path) -> None:
    """An archive with the items `one` and `two`, two restorations of `one` and one of `two`."""
    must("init", archive, "--organization", "Test Museum")
    must("-A", archive, "ingest", write_scan(scratch / "one.tif", seed=1), write_scan(scratch / "two.tif", seed=2))
    drawn = write_scratch_map(scratch / "drawn.png")
    for item in ("one", "two", "one"):
        must("-A", archive, "restore", item, "--recipe", "gentle", "--damage-map", drawn)
