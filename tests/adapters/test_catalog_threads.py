"""The catalog under several threads: the workers of an ingest ask it while the coordinator writes."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from archive_restore.adapters.catalog import open_catalog
from tests.adapters.test_catalog import event, master


def test_threads_that_open_it_first_at_once_make_one_schema(tmp_path: Path):
    for number in range(10):
        catalog = open_catalog(tmp_path / f"{number}.sqlite")
        gate = threading.Barrier(4)

        def ask(gate: threading.Barrier = gate, catalog=catalog) -> str | None:
            gate.wait()
            return catalog.master_by_sha512("00")

        with ThreadPoolExecutor(4) as pool:
            assert [future.result() for future in [pool.submit(ask) for _ in range(4)]] == [None] * 4
        catalog.close()


def test_threads_that_read_lose_nothing_of_a_batch(tmp_path: Path):
    catalog = open_catalog(tmp_path / "catalog.sqlite")
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            catalog.master_by_sha512("00")

    names = [f"I{number:03}" for number in range(200)]
    with ThreadPoolExecutor(3) as pool:
        readers = [pool.submit(ask) for _ in range(3)]
        for start in range(0, len(names), 5):
            with catalog.batch():
                for name in names[start : start + 5]:
                    catalog.add_master(master(name), [event(int(name[1:]), name)])
        done.set()
        for reader in readers:
            reader.result()
    assert [row.item_id for row in catalog.items()] == names
    assert all(len(catalog.events(name)) == 1 for name in names)
    assert list(catalog.check()) == []
    catalog.close()
