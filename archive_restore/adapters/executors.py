"""Runs jobs in this process or in several of this machine (port Executor).

A worker opens the archive for itself, reads what is stored and writes only into `work/`; it never commits.
"""

from __future__ import annotations

import copyreg
import multiprocessing
import multiprocessing.connection
import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, ExitStack
from types import MappingProxyType
from typing import Any, TypeVar

from archive_restore.errors import ArchiveRestoreError, StorageFailed
from archive_restore.ports import Archive, Executor

TaskT = TypeVar("TaskT")
ResultT = TypeVar("ResultT")


def _read_only(data: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    return MappingProxyType(data)


# Records hold read-only mappings, which pickle cannot carry by itself.
copyreg.pickle(MappingProxyType, lambda mapping: (_read_only, (dict(mapping),)))


class SerialExecutor(Executor):
    """One job after the other, in this process."""

    def run(
        self, archive: Archive, job: Callable[[Archive, TaskT], ResultT], tasks: Sequence[TaskT]
    ) -> Generator[tuple[TaskT, ResultT | ArchiveRestoreError], None, None]:
        """See ports.Executor."""
        for task in tasks:
            yield task, _attempt(archive, job, task)


class ProcessExecutor(Executor):
    """Several processes of this machine, each with the archive open for reading."""

    def __init__(self, workers: int, opener: Callable[[], AbstractContextManager[Archive]]) -> None:
        """`opener` opens the archive in a worker; it travels there, so it must be picklable."""
        self._workers = workers
        self._opener = opener

    def run(
        self, archive: Archive, job: Callable[[Archive, TaskT], ResultT], tasks: Sequence[TaskT]
    ) -> Generator[tuple[TaskT, ResultT | ArchiveRestoreError], None, None]:
        """See ports.Executor. A worker that dies ends the batch with StorageFailed; what was yielded stays."""
        # Spawned, not forked: threads of OpenCV and of the C2PA library do not survive a fork.
        count = min(self._workers, max(1, len(tasks)))
        pool = ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), _open_in_worker, (self._opener,))
        waiting = deque(tasks)
        running: dict[Future[Any], TaskT] = {}
        try:
            while waiting or running:
                while waiting and len(running) < self._workers * 2:
                    task = waiting.popleft()
                    running[pool.submit(_run_in_worker, job, task)] = task
                for future in wait(running, return_when="FIRST_COMPLETED").done:
                    yield running.pop(future), future.result()
        except BrokenProcessPool as exc:
            raise StorageFailed(
                "a worker process died", hint="Memory may have run out: lower processing.workers and run it again"
            ) from exc
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


_worker: list[Archive] = []
_open: ExitStack = ExitStack()


def _die_with_parent() -> None:
    """End this worker when the coordinator is killed: nobody would ever tell it that there is no more work."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)


def _open_in_worker(opener: Callable[[], AbstractContextManager[Archive]]) -> None:
    threading.Thread(target=_die_with_parent, daemon=True).start()
    _worker.append(_open.enter_context(opener()))


def _run_in_worker(job: Callable[[Archive, TaskT], ResultT], task: TaskT) -> ResultT | ArchiveRestoreError:
    return _attempt(_worker[0], job, task)


def _attempt(archive: Archive, job: Callable[[Archive, TaskT], ResultT], task: TaskT) -> ResultT | ArchiveRestoreError:
    try:
        return job(archive, task)
    except ArchiveRestoreError as exc:
        return exc
