"""Programs for a shell that begin at once: a parent that has the heavy libraries imported forks one for each call.

Each is a process of its own with the caller's files, directory, environment and exit code; only the second or two that
numpy, sqlalchemy and torch take to load are spent once. `launcher` is the same for tests that kill what they start.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import runpy
import shlex
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support.launcher import PRELOADED, REPOSITORY

ALSO = ("torch", "safetensors.torch", "PIL.Image", "archive_restore.adapters.models_torch")
CLIENT = """\
import json, os, socket, sys
link = socket.socket(socket.AF_UNIX)
link.connect(sys.argv[1])
task = json.dumps({"words": sys.argv[2:], "folder": os.getcwd(), "environment": dict(os.environ)}).encode()
socket.send_fds(link, [len(task).to_bytes(4, "big")], [0, 1, 2])
link.sendall(task)
code = link.recv(1)
sys.exit(code[0] if code else 70)
"""


class Forge:
    """Writes programs into a folder; they work as long as it is open."""

    def __init__(self, folder: Path) -> None:
        """`folder` must have a short path: it holds a socket."""
        self._folder = folder
        self._socket = folder / "s"
        (folder / "client.py").write_text(CLIENT)
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "LC_ALL": "C.UTF-8", "OMP_NUM_THREADS": "1"}
        self._parent = subprocess.Popen(
            [sys.executable, "-m", "tests.support.prefork", self._socket],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY, env=environment,
        )  # fmt: skip
        assert self._parent.stdout is not None
        ready = self._parent.stdout.readline()
        assert ready == "ready\n", ready

    def words(self, *words: str | Path) -> list[str]:
        """A command line that runs `python WORDS`, where the words are `-m MODULE …` or `SCRIPT …`."""
        client = [sys.executable, "-I", "-S", self._folder / "client.py", self._socket]
        return [str(word) for word in (*client, *words)]

    def program(self, path: Path, *words: str | Path) -> None:
        """Make an executable file of it."""
        path.write_text(f'#!/bin/sh\nexec {shlex.join(self.words(*words))} "$@"\n')
        path.chmod(0o755)

    def close(self) -> None:
        """End the parent."""
        self._parent.terminate()
        self._parent.wait(30)
        for pipe in (self._parent.stdin, self._parent.stdout):
            if pipe is not None:
                pipe.close()


@contextmanager
def forge(folder: Path) -> Iterator[Forge]:
    """A forge that is closed at the end."""
    made = Forge(folder)
    try:
        yield made
    finally:
        made.close()


# --- in the parent and its children ------------------------------------------------------------------


def _serve(path: str) -> None:
    for name in PRELOADED:
        importlib.import_module(name)
    for name in ALSO:
        with contextlib.suppress(ModuleNotFoundError):
            importlib.import_module(name)
    door = socket.socket(socket.AF_UNIX)
    door.bind(path)
    door.listen(16)
    threads = len(os.listdir("/proc/self/task"))
    print("ready" if threads == 1 else f"{threads} threads: a fork would not be safe", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    try:
        while True:
            link, _ = door.accept()
            if os.fork() == 0:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                door.close()
                _become(link)
            link.close()
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
    finally:
        with contextlib.suppress(ChildProcessError):
            while True:
                os.wait()


def _become(link: socket.socket) -> None:
    code = 70
    try:
        head, descriptors, _, _ = socket.recv_fds(link, 4, 3)
        with link.makefile("rb") as lines:
            task = json.loads(lines.read(int.from_bytes(head, "big")))
        for number, descriptor in enumerate(descriptors):
            os.dup2(descriptor, number)
            os.close(descriptor)
        os.chdir(task["folder"])
        os.environ.clear()
        os.environ.update(task["environment"])
        code = _run(task["words"])
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        link.sendall(bytes([code & 0xFF]))
        os._exit(code)


def _run(words: Sequence[str]) -> int:
    """As `python WORDS`; the exit code."""
    search = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    sys.path[:0] = [entry for entry in search if entry not in sys.path]
    try:
        if words[0] == "-m":
            sys.argv = ["", *words[2:]]
            runpy.run_module(words[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = list(words)
            sys.path.insert(0, str(Path(words[0]).resolve().parent))
            runpy.run_path(words[0], run_name="__main__")
    except SystemExit as ended:
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
            return 1
        return ended.code or 0
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    _serve(sys.argv[1])
