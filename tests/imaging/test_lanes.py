"""Bands in several threads: order is kept, errors come out, and nothing runs far ahead."""

import threading
import time

import pytest

from archive_restore.imaging.lanes import AHEAD, Lanes, in_order


@pytest.mark.parametrize("threads", [1, 2])
def test_every_lane_keeps_its_order(threads: int):
    slow: list[int] = []
    quick: list[int] = []

    def wait(number: int) -> None:
        time.sleep(0.002 * (number % 3))
        slow.append(number)

    with Lanes(threads) as lanes:
        for number in range(12):
            lanes.give(lambda number=number: wait(number), lambda number=number: quick.append(number))
    assert slow == quick == list(range(12))


@pytest.mark.parametrize("threads", [1, 2])
def test_what_a_lane_raises_comes_out(threads: int):
    def fail() -> None:
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"), Lanes(threads) as lanes:
        lanes.give(fail)


def test_results_come_in_order_and_nothing_runs_far_ahead():
    begun = 0
    lock = threading.Lock()

    def work(number: int) -> int:
        nonlocal begun
        with lock:
            begun += 1
        time.sleep(0.002 * (number % 2))
        return number

    for taken, number in enumerate(in_order(work, range(10), 4)):
        assert number == taken
        assert begun <= taken + 1 + AHEAD + 1
    assert list(in_order(work, range(3), 1)) == [0, 1, 2]
