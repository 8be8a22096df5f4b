"""Runs jobs in this process or in several of this machine (port Executor).

A worker opens the archive for itself, reads what is stored and writes only into `work/`; it never commits.
"""

from __future__ import annotations

import copyreg
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
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
        pool = _process_pool(min(self._workers, max(1, len(tasks))), self._opener)
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
            raise _worker_died() from exc
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


class MixedExecutor(Executor):
    """Threads of this process for a few tasks; for many, one thread here and processes beside it.

    Short Python work does not gain from a second thread, since the interpreter runs one at a time: measured on two
    processors, two threads took longer than one. A process is worth its half second of start only for many tasks.
    """

    def __init__(self, workers: int, opener: Callable[[], AbstractContextManager[Archive]], *, many: int = 12) -> None:
        """`workers` threads and processes in all; `many` tasks are worth a process; `opener` as in ProcessExecutor."""
        self._workers = workers
        self._opener = opener
        self._many = many

    def run(
        self, archive: Archive, job: Callable[[Archive, TaskT], ResultT], tasks: Sequence[TaskT]
    ) -> Generator[tuple[TaskT, ResultT | ArchiveRestoreError], None, None]:
        """See ports.Executor. A worker that dies ends the batch with StorageFailed; what was yielded stays."""
        beside = self._workers - 1 if len(tasks) >= self._many else 0
        waiting = deque(tasks)
        running: dict[Future[Any], tuple[TaskT, bool]] = {}
        with ExitStack() as pools:
            here = ThreadPoolExecutor(1 if beside else self._workers, thread_name_prefix="worker")
            pools.callback(here.shutdown, wait=True, cancel_futures=True)
            there = _process_pool(beside, self._opener) if beside else None
            if there is not None:
                pools.callback(there.shutdown, wait=True, cancel_futures=True)
            # Tasks wait at a worker's door, so that it need not wait while the coordinator is busy with a commit.
            free = {False: 2 * (1 if beside else self._workers), True: 5 * beside}
            try:
                while waiting or running:
                    for away in (True, False):
                        while waiting and free[away]:
                            task = waiting.popleft()
                            free[away] -= 1
                            if away and there is not None:
                                future: Future[Any] = there.submit(_run_in_worker, job, task)
                            else:
                                future = here.submit(_attempt, archive, job, task)
                            running[future] = (task, away)
                    for future in wait(running, return_when="FIRST_COMPLETED").done:
                        task, away = running.pop(future)
                        free[away] += 1
                        yield task, future.result()
            except BrokenProcessPool as exc:
                raise _worker_died() from exc


def _process_pool(count: int, opener: Callable[[], AbstractContextManager[Archive]]) -> ProcessPoolExecutor:
    # Spawned, not forked: threads of OpenCV and of the C2PA library do not survive a fork.
    return ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), _open_in_worker, (opener,))


def _worker_died() -> StorageFailed:
    return StorageFailed(
        "a worker process died", hint="Memory may have run out: lower processing.workers and run it again"
    )


_worker: list[Archive] = []
_open: ExitStack = ExitStack()


def _die_with_parent() -> None:
    """End this worker when the coordinator is killed: nobody would ever tell it that there is no more work."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)


def _open_in_worker(opener: Callable[[], AbstractContextManager[Archive]]) -> None:
    # Ctrl-C reaches every process of the terminal; the coordinator alone answers it, and nobody waits for a worker.
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    threading.Thread(target=_die_with_parent, daemon=True).start()
    _worker.append(_open.enter_context(opener()))


def _run_in_worker(job: Callable[[Archive, TaskT], ResultT], task: TaskT) -> ResultT | ArchiveRestoreError:
    return _attempt(_worker[0], job, task)


def _attempt(archive: Archive, job: Callable[[Archive, TaskT], ResultT], task: TaskT) -> ResultT | ArchiveRestoreError:
    try:
        return job(archive, task)
    except ArchiveRestoreError as exc:
        return exc
