"""Starts real commands in processes of their own, fast: a single-threaded parent that has everything imported forks.

Every command runs in its own session, so that a kill reaches all it started, and may be told to die by SIGKILL at
one exact place of the code.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conftest import Ran

REPOSITORY = Path(__file__).parents[2]
PRELOADED = (
    "archive_restore.app",
    "archive_restore.cli.archive",
    "archive_restore.cli.check",
    "archive_restore.cli.ingest",
    "archive_restore.cli.look",
    "archive_restore.cli.restore",
    "archive_restore.flows.batch",
    "archive_restore.flows.browse",
    "archive_restore.flows.ingest",
    "archive_restore.flows.reproduce",
    "archive_restore.flows.verify",
    "archive_restore.adapters.c2pa",
    "archive_restore.adapters.documents",
    "archive_restore.adapters.picture_files",
    "archive_restore.steps.preservation",
)


@dataclass(frozen=True)
class Death:
    """Where a process is to kill itself, or to stop."""

    place: str
    """`module:attribute.attribute`, a function."""
    when: str = "after"
    """`before` the call or `after` it."""
    count: int = 1
    """Which call."""
    signal: int = signal.SIGKILL
    """SIGSTOP holds it there."""


@dataclass
class Process:
    """One running command."""

    launcher: Launcher
    pid: int
    scratch: Path

    def stop(self) -> None:
        """Hold it where it is, to look at what others see."""
        self._signal(signal.SIGSTOP)

    def stopped(self) -> bool:
        """Whether it was stopped."""
        return self._state() == "T"

    def go_on(self) -> None:
        """After a stop."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL to it and all it started."""
        self._signal(signal.SIGKILL)

    def interrupt(self) -> None:
        """Ctrl-C."""
        self._signal(signal.SIGINT)

    def wait(self) -> Ran:
        """Until it has ended; the code is negative for the signal that killed it."""
        code = self.launcher.ask({"wait": self.pid})["code"]
        return Ran(code=code, out=(self.scratch / "out").read_text(), err=(self.scratch / "err").read_text())

    def ended(self) -> bool:
        """Whether it has ended already (as a zombie until it is waited for)."""
        return self._state() in ("Z", "")

    def _state(self) -> str:
        try:
            return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return ""

    def _signal(self, number: signal.Signals) -> None:
        os.killpg(self.pid, number)


class Launcher:
    """The parent of all commands."""

    def __init__(self, scratch: Path, prefix: Sequence[str] = (), more: Sequence[str] = ()) -> None:
        """`prefix` is a command that runs the rest of its words, for instance in a namespace; `more` is to be imported
        before the first command, for tests of many that need it."""
        self._scratch = scratch
        self._count = 0
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        self._parent = subprocess.Popen(
            [*prefix, sys.executable, "-m", "tests.support.launcher", *more],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY, env=environment,
        )  # fmt: skip
        assert self._parent.stdout is not None
        ready = self._parent.stdout.readline()
        assert ready == "ready\n", ready

    @property
    def root(self) -> Path:
        """The file system as the commands see it."""
        return Path(f"/proc/{self._parent.pid}/root")

    def start(self, *words: str | Path, death: Death | None = None) -> Process:
        """Start `archive-restore WORDS` and do not wait."""
        self._count += 1
        scratch = self._scratch / f"process-{self._count}"
        scratch.mkdir()
        task = {
            "words": [str(word) for word in words],
            "scratch": str(scratch),
            "death": vars(death) if death else None,
        }
        return Process(launcher=self, pid=self.ask(task)["pid"], scratch=scratch)

    def run(self, *words: str | Path, death: Death | None = None) -> Ran:
        """Start it and wait."""
        return self.start(*words, death=death).wait()

    def ask(self, task: dict[str, Any]) -> Any:
        """Send one task, read one answer."""
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        self._parent.stdin.write(json.dumps(task) + "\n")
        self._parent.stdin.flush()
        return json.loads(self._parent.stdout.readline())

    def close(self) -> None:
        """End the parent."""
        assert self._parent.stdin is not None
        self._parent.stdin.close()
        self._parent.wait(30)
        if self._parent.stdout is not None:
            self._parent.stdout.close()


@contextmanager
def launcher(scratch: Path, prefix: Sequence[str] = (), more: Sequence[str] = ()) -> Iterator[Launcher]:
    """A launcher that is closed at the end."""
    made = Launcher(scratch, prefix, more)
    try:
        yield made
    finally:
        made.close()


# --- in the parent and its children ------------------------------------------------------------------


def _serve() -> None:
    for name in (*PRELOADED, *sys.argv[1:]):
        importlib.import_module(name)
    threads = len(os.listdir("/proc/self/task"))
    print("ready" if threads == 1 else f"{threads} threads: a fork would not be safe", flush=True)
    for line in sys.stdin:
        task = json.loads(line)
        if "wait" in task:
            _, status = os.waitpid(task["wait"], 0)
            answer = {"code": os.waitstatus_to_exitcode(status)}
        else:
            pid = os.fork()
            if pid == 0:
                _become(task)
            answer = {"pid": pid}
        print(json.dumps(answer), flush=True)


def _become(task: dict[str, Any]) -> None:
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDONLY)
    outputs = [os.open(f"{task['scratch']}/{name}", os.O_WRONLY | os.O_CREAT, 0o644) for name in ("out", "err")]
    for number, descriptor in enumerate((nothing, *outputs)):
        os.dup2(descriptor, number)
    if task["death"]:
        _arrange(Death(**task["death"]))
    from archive_restore.cli import main

    code: Any = 70
    try:
        main(task["words"])
    except SystemExit as ended:
        code = ended.code
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 0)


def _arrange(death: Death) -> None:
    module, _, path = death.place.partition(":")
    holder: Any = importlib.import_module(module)
    *owners, name = path.split(".")
    for owner in owners:
        holder = getattr(holder, owner)
    real = getattr(holder, name)
    calls = 0

    def deadly(*words: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        mine = calls
        if mine == death.count and death.when == "before":
            os.kill(os.getpid(), death.signal)
        result = real(*words, **options)
        if mine == death.count and death.when == "after":
            os.kill(os.getpid(), death.signal)
        return result

    setattr(holder, name, deadly)


if __name__ == "__main__":
    _serve()
