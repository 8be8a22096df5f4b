"""What tests share: photographs, and archives driven through the command line."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
"""Two workers on two cores: more threads in a matrix product only wait for each other. Read when numpy is loaded."""

from archive_restore.cli import main  # noqa: E402 - after the line above

PHOTOGRAPHS = Path(__file__).parent / "photographs" / "open"
LONGEST = (
    "test_training.py", "test_crash.py", "test_docs.py", "test_main_job.py", "test_benchmarks.py", "test_namespace.py",
    "test_complete.py", "test_tampering.py", "test_engine.py", "test_batch.py", "test_colorize.py", "test_models.py",
)  # fmt: skip
"""Files that take half a minute or more, the longest first."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files, so that no worker is alone with one when the others have nothing left."""
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.name, len(LONGEST)))


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def codes(self) -> list[str]:
        """Codes of all findings, in order."""
        return [finding["code"] for finding in self.json["findings"]]


@dataclass(frozen=True)
class Shelf:
    """An archive on disk and a way to run commands on it."""

    root: Path
    runner: Callable[..., Ran]

    def run(self, *words: str | Path) -> Ran:
        """Run a command on this archive with --json."""
        return self.runner("--json", "-A", self.root, *words)

    def ok(self, *words: str | Path) -> Any:
        """Run a command that must succeed; its JSON."""
        ran = self.run(*words)
        assert ran.code == 0, f"{words}: {ran.code}\n{ran.out}\n{ran.err}"
        return ran.json

    def files(self, ref: str) -> dict[str, Path]:
        """Stored files of a version by name."""
        return {name: Path(path) for name, path in self.ok("show", ref)["files"].items()}


@pytest.fixture(autouse=True)
def _no_ambient_archive(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("ARCHIVE_RESTORE_") and not name.endswith("_XSD_DIR")]:
        monkeypatch.delenv(name)


@contextmanager
def signals_kept() -> Iterator[None]:
    """A command hears no more signals at its end; the process of the tests shall."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Run a command line in this process."""

    def run(*words: str | Path) -> Ran:
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended, signals_kept():
            main([str(word) for word in words])
        captured = capfd.readouterr()
        return Ran(code=int(ended.value.code or 0), out=captured.out, err=captured.err)

    return run


@pytest.fixture
def shelf(tmp_path: Path, command: Callable[..., Ran]) -> Shelf:
    """A new, empty archive."""
    root = tmp_path / "archive"
    assert command("init", root, "--organization", "Test Museum").code == 0
    return Shelf(root=root, runner=command)
