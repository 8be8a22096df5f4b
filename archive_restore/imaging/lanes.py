"""Work on bands of rows in several threads while their order is kept: what releases the interpreter runs at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import TypeVar

AHEAD = 2
"""Bands that may wait at once, so that memory does not grow with the picture."""
_Given = TypeVar("_Given")
_Made = TypeVar("_Made")


class Lanes:
    """Threads that each do one kind of work, band after band; a context that ends when all is done.

    With one thread the work is done at once, where it is given.
    """

    def __init__(self, threads: int) -> None:
        self._stack = ExitStack()
        self._threads = threads
        self._lanes: list[ThreadPoolExecutor] = []
        self._waiting: deque[list[Future[None]]] = deque()

    def give(self, *works: Callable[[], None]) -> None:
        """One work a lane, the same lanes every time; raise what an earlier one raised."""
        if self._threads == 1:
            for work in works:
                work()
            return
        while len(self._lanes) < len(works):
            self._lanes.append(self._stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="lane")))
        if len(self._waiting) == AHEAD:
            _done(self._waiting.popleft())
        self._waiting.append([lane.submit(work) for lane, work in zip(self._lanes, works, strict=False)])

    def __enter__(self) -> Lanes:
        """Use as a context."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Wait for every work; raise what one raised, unless something else went wrong already."""
        with self._stack:
            while self._waiting and kind is None:
                _done(self._waiting.popleft())


def _done(works: list[Future[None]]) -> None:
    for work in works:
        work.result()


def in_order(work: Callable[[_Given], _Made], given: Iterable[_Given], threads: int) -> Iterator[_Made]:
    """What `work` makes of each, in this order, a few of them at once; with one thread where it is asked for."""
    if threads == 1:
        yield from map(work, given)
        return
    with ThreadPoolExecutor(min(threads, AHEAD)) as pool:
        waiting: deque[Future[_Made]] = deque()
        for one in given:
            waiting.append(pool.submit(work, one))
            if len(waiting) > AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
