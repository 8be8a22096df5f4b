"""What the log costs when it is long: appending, finding, proving, growth, tiles. Each in a process of its own.

python -m tests.benchmarks.audit_log --entries 1000000
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from archive_restore.adapters.auditlog import FileAuditLog, create_log
from archive_restore.records.provenance import Event

ORIGIN = "example.org/benchmark"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
PUBLIC = KEY.public_key().public_bytes_raw()
BATCH = 20_000


def event(number: int) -> Event:
    """An event as ingest writes it, about 500 bytes."""
    return Event(
        event_id=f"urn:uuid:00000000-0000-4000-8000-{number:012}",
        type="message digest calculation",
        date_time="2026-11-27T10:00:00Z",
        ref=f"ITEM-{number}",
        outcome="success",
        detail=f"sha512 of item.json, ITEM-{number}.tif",
        agent="archive-restore 0.1.0",
        digests={"item.json": f"sha512:{number:0128x}", f"ITEM-{number}.tif": f"sha512:{number + 1:0128x}"},
    )


def append(place: Path, entries: int) -> str:
    """Make the log, keeping a checkpoint of its half."""
    create_log(place / "audit", ORIGIN, PUBLIC, KEY.sign)
    log = FileAuditLog(place / "audit", ORIGIN, PUBLIC, KEY.sign)
    for first in range(0, entries, BATCH):
        log.append([event(number) for number in range(first, min(first + BATCH, entries))])
        if first <= entries // 2:
            (place / "old").write_bytes(log.checkpoint())
    return f"{(place / 'audit' / 'entries.jsonl').stat().st_size / entries:.0f} bytes an entry"


def find(place: Path, entries: int) -> str:
    """The entries about one REF."""
    return f"{len(list(reader(place).find([f'ITEM-{entries // 3}'])))} found"


def prove(place: Path, entries: int) -> str:
    """One proof, and the price of a hundred more."""
    log = reader(place)
    size = len(log.prove(entries // 3))
    start = time.process_time()
    for number in range(100):
        log.prove(number * entries // 100)
    return f"{size} bytes; each further one {(time.process_time() - start) * 10:.0f} ms"


def consistency(place: Path, entries: int) -> str:
    """That the log begins with its half."""
    found = reader(place).consistency((place / "old").read_bytes())
    return f"{len(found.proof)} bytes, {len(found.findings)} findings"


def export(place: Path, entries: int) -> str:
    """Tiles, written and verified."""
    return f"{reader(place).export(place / 'tiles').files} files"


def verify(place: Path, entries: int) -> str:
    """Every line parsed and judged."""
    return f"{len(list(reader(place).verify()))} findings"


STEPS: dict[str, Callable[[Path, int], str]] = {
    "append": append, "find": find, "prove": prove, "consistency": consistency, "export": export,
    "export again": export, "verify": verify,
}  # fmt: skip


def reader(place: Path) -> FileAuditLog:
    """The log as `log prove` opens it."""
    return FileAuditLog(place / "audit", ORIGIN, PUBLIC)


def main(words: Sequence[str] | None = None) -> None:
    """Print a row a step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--directory", type=Path)
    parser.add_argument("--step", choices=STEPS)
    asked = parser.parse_args(words)
    if asked.step:
        told = STEPS[asked.step](asked.directory, asked.entries)
        used = resource.getrusage(resource.RUSAGE_SELF)
        print(f"| {asked.step} | {used.ru_utime + used.ru_stime:.1f} | {used.ru_maxrss / 1024:.0f} | {told} |")
        return
    with tempfile.TemporaryDirectory(dir=asked.directory) as place:
        print(f"{asked.entries} entries\n\n| | processor s | peak MiB | |\n|---|---|---|---|")
        for step in STEPS:
            command = [sys.executable, "-m", "tests.benchmarks.audit_log", "--step", step, "--directory", place]
            done = subprocess.run(
                [*command, "--entries", str(asked.entries)], check=True, capture_output=True, text=True
            )
            print(done.stdout, end="", flush=True)


if __name__ == "__main__":
    main()
