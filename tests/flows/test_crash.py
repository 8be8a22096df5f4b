"""Killed at any moment, an archive loses nothing that was finished, shows nothing that was not, and goes on (P8).

Real processes, real SIGKILL: at random moments, and exactly before and after every step of a commit.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from archive_restore.adapters import ocfl
from archive_restore.adapters.auditlog import CHECKPOINT, ENTRIES
from archive_restore.adapters.catalog import open_catalog
from archive_restore.errors import ArchiveBusy
from tests.conftest import Ran, Shelf
from tests.support.archives import copy_of, empty, must, run
from tests.support.launcher import Death, Launcher, launcher
from tests.support.scans import write_scans
from tests.support.stories import KERNEL

KILLS = 30
"""Of an ingest; half as many of restorations. Every step of a commit is also killed at by name, below."""
FILES = 200
MASTER_EVENTS = 7


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    with launcher(tmp_path_factory.mktemp("processes")) as made:
        yield made


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_scans(tmp_path_factory.mktemp("scans"), FILES)


@pytest.fixture
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Shelf]:
    """Makes empty archives."""

    def make() -> Shelf:
        place = tmp_path_factory.mktemp("crash")
        root = copy_of("empty", place / "archive", tmp_path_factory, empty)
        return Shelf(root=root, runner=run)

    return make


def listed(shelf: Shelf) -> set[str]:
    """REFs of everything that `list` shows."""
    rows = shelf.ok("list")["items"]
    return {row["item_id"] for row in rows} | {ref for row in rows for ref in row["derivatives"]}


def visible(shelf: Shelf) -> set[str]:
    """REFs in the catalog just now, without any command that would repair something."""
    with closing(open_catalog(shelf.root / "catalog.sqlite")) as catalog:
        try:
            rows = list(catalog.items())
        except ArchiveBusy:  # whoever was stopped holds the database's lock for a moment that now lasts
            return set()
    return {row.item_id for row in rows} | {ref for row in rows for ref in row.derivatives}


def stored(shelf: Shelf) -> set[str]:
    """Identifiers of objects in the preservation root."""
    root = ocfl.open_preservation_root(shelf.root / "preservation", shelf.root / "work")
    return set(root.object_ids())


def nothing_partial(shelf: Shelf) -> None:
    """The root as the kill left it: every object that can be seen is whole."""
    root = ocfl.open_preservation_root(shelf.root / "preservation", shelf.root / "work")
    assert [str(finding) for finding in root.validate()] == []


def contents(shelf: Shelf) -> dict[str, str]:
    with closing(open_catalog(shelf.root / "catalog.sqlite")) as catalog:
        return dict(catalog.contents())


def sound(shelf: Shelf) -> None:
    """Everything verifies, and the catalog says what the roots and the log say."""
    told = shelf.ok("verify", "--all")
    assert told["findings"] == []
    meant = contents(shelf)
    shelf.ok("catalog", "rebuild")
    assert contents(shelf) == meant
    left = {path.name for path in (shelf.root / "work").iterdir()}
    assert left <= {"lock", "journal", "readers"}
    assert not list((shelf.root / "work" / "journal").glob("*"))


def readable(shelf: Shelf, chance: random.Random, sources: dict[str, bytes]) -> set[str]:
    """After a kill: `list` and `show` work, and what they show is whole."""
    shown = listed(shelf)
    assert {ref.partition("@")[0] for ref in shown} == stored(shelf)
    for ref in chance.sample(sorted(shown), min(3, len(shown))):
        told = shelf.ok("show", ref)
        for name, path in told["files"].items():
            data = Path(path).read_bytes()
            if name in sources:
                assert data == sources[name]
        assert len(told["events"]) >= 4
    return shown


@pytest.mark.slow
def test_killed_at_random_moments_of_an_ingest(processes: Launcher, fresh: Callable[[], Shelf], scans: list[Path]):
    chance = random.Random("ingest")
    sources = {path.name: path.read_bytes() for path in scans}
    everything = {path.stem for path in scans}
    shelf, killed, finished, interrupted = fresh(), 0, 0, 0
    before: set[str] = set()
    while killed < KILLS or interrupted:
        process = processes.start("--json", "-A", shelf.root, "ingest", scans[0].parent)
        if killed < KILLS:
            time.sleep(chance.uniform(0.1, 1.2))
            process.stop()
            before |= visible(shelf)
            process.kill()
        ran = process.wait()
        if ran.code == 0:
            told = ran.json
            assert len(told["accepted"]) + len(told["duplicates"]) == FILES
            assert told["quarantined"] == []
            assert listed(shelf) == everything
            sound(shelf)
            finished += 1
            interrupted = 0
            shelf, before = fresh(), set()
            continue
        assert ran.code == -9, ran
        killed += 1
        interrupted += 1
        nothing_partial(shelf)
        now = readable(shelf, chance, sources)
        assert before <= now
        before = now
    assert finished >= 1


@pytest.mark.slow
def test_killed_at_random_moments_of_restorations(processes: Launcher, fresh: Callable[[], Shelf], scans: list[Path]):
    chance = random.Random("restore")
    shelf = fresh()
    items = [path.stem for path in scans[:4]]
    shelf.ok("ingest", *scans[:4])
    made: set[str] = set()
    rounds, killed = 0, 0
    while killed < KILLS // 2:
        rounds += 1
        before = listed(shelf)
        wanted = {f"{item}/restoration@{rounds}" for item in items}
        while True:
            words = ("restore", *items, "--recipe", "gentle", "--seed", str(rounds))
            process = processes.start("--json", "-A", shelf.root, *words)
            if killed < KILLS // 2:
                time.sleep(chance.uniform(0.2, 1.6))
                process.stop()
                before |= visible(shelf)
                process.kill()
            ran = process.wait()
            now = readable(shelf, chance, {})
            assert before <= now
            before = now
            if ran.code == 0:
                assert ran.json["failed"] == []
                assert len(ran.json["made"]) + len(ran.json["unchanged"]) == len(items)
                break
            assert ran.code == -9, ran
            killed += 1
            if wanted <= now:  # killed between its last work and its end: the same words would begin anew
                break
        # As without interruption: one version more of each, never two.
        made |= wanted
        assert listed(shelf) == made | set(items)
    sound(shelf)


PLACES = [
    Death("archive_restore.adapters.workspace:FileJournal.open", "before"),
    Death("archive_restore.adapters.workspace:sync_directory", "before"),  # inside of FileJournal.open
    Death("archive_restore.adapters.workspace:FileJournal.open", "after"),
    Death("archive_restore.adapters.ocfl:_write_inventory", "after"),
    Death("archive_restore.adapters.ocfl:OcflRoot._publish_object", "after", 1),
    Death("archive_restore.adapters.ocfl:OcflRoot._publish_object", "after", 20),
    Death("archive_restore.adapters.ocfl:OcflRoot.commit_many", "after", 1),
    Death("archive_restore.adapters.auditlog:FileAuditLog._write_lines", "before"),
    Death("archive_restore.adapters.auditlog:FileAuditLog._write_lines", "after"),  # lines without a checkpoint
    Death("archive_restore.adapters.auditlog:FileAuditLog.append", "after"),
    Death("archive_restore.adapters.catalog:SqlCatalog._flush", "after"),  # rows without a COMMIT
    Death("archive_restore.flows.commit:index", "after", 10),
    Death("archive_restore.adapters.workspace:FileJournal.close", "before"),
    Death("archive_restore.adapters.workspace:FileJournal.close", "after"),
    Death("archive_restore.adapters.ocfl:OcflRoot.commit_many", "after", 2),
    Death("archive_restore.adapters.auditlog:FileAuditLog.append", "after", 2),
]


def name_of(death: Death) -> str:
    return f"{death.when}-{death.place.partition(':')[2]}-{death.count}"


@pytest.mark.parametrize("death", PLACES, ids=name_of)
def test_killed_at_every_step_of_an_ingest(
    processes: Launcher, fresh: Callable[[], Shelf], scans: list[Path], death: Death
):
    shelf = fresh()
    some = scans[:34]  # a full group and the rest
    assert processes.run("-A", shelf.root, "ingest", *some, death=death).code == -9
    nothing_partial(shelf)
    in_root = stored(shelf)
    now = readable(shelf, random.Random(name_of(death)), {path.name: path.read_bytes() for path in some})
    assert now == in_root  # what is whole is finished by whoever looks next
    for item in list(now)[:2]:
        events = shelf.ok("show", item)["events"]
        assert len(events) == MASTER_EVENTS
    assert shelf.ok("verify", "--all")["subjects"] == len(now)
    told = shelf.ok("ingest", *some)
    assert len(told["accepted"]) == 34 - len(now)
    assert len(told["duplicates"]) == len(now)
    assert listed(shelf) == {path.stem for path in some}
    sound(shelf)


VERSION_PLACES = [
    Death("archive_restore.adapters.workspace:FileJournal.open", "after"),
    Death("archive_restore.adapters.ocfl:durable.sync_directory", "before"),  # version renamed in, inventory not yet
    Death("archive_restore.adapters.ocfl:OcflRoot._publish_version", "after"),
    Death("archive_restore.adapters.ocfl:OcflRoot.commit_many", "after"),
    Death("archive_restore.adapters.auditlog:FileAuditLog._write_lines", "after"),
    Death("archive_restore.adapters.auditlog:FileAuditLog.append", "after"),
    Death("archive_restore.flows.commit:index", "after"),
    Death("archive_restore.adapters.workspace:FileJournal.close", "before"),
    Death("archive_restore.adapters.workspace:FileJournal.close", "after"),
]


def once_restored(archive: Path, scratch: Path) -> None:
    """Two items with one restoration each."""
    must("init", archive)
    must("-A", archive, "ingest", *write_scans(scratch / "scans", 2))
    must("-A", archive, "restore", "scan-000", "scan-001", "--recipe", "gentle")


@pytest.mark.parametrize("death", VERSION_PLACES, ids=name_of)
def test_killed_at_every_step_of_a_second_version(
    processes: Launcher, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, death: Death
):
    root = copy_of("once_restored", tmp_path / "archive", tmp_path_factory, once_restored)
    shelf = Shelf(root=root, runner=run)
    words = ("restore", "scan-000", "scan-001", "--recipe", "gentle", "--seed", "5")
    assert processes.run("-A", root, *words, death=death).code == -9
    now = listed(shelf)
    first = "scan-000/restoration@2"
    assert now >= {"scan-000", "scan-001", "scan-000/restoration@1", "scan-001/restoration@1"}
    assert shelf.ok("verify", "--all")["subjects"] == len(now)
    if first in now:
        assert Path(shelf.ok("show", first)["files"]["scan-000-restoration.tif"]).stat().st_size > 0
    told = shelf.ok(*words)
    assert [made["ref"] for made in told["made"]] == sorted({first, "scan-001/restoration@2"} - now)
    assert listed(shelf) == {"scan-000", "scan-001"} | {f"scan-00{i}/restoration@{v}" for i in (0, 1) for v in (1, 2)}
    sound(shelf)


STORY_PLACES = [
    Death("archive_restore.flows.story_render:_write", "after"),
    *VERSION_PLACES[:3],
    *VERSION_PLACES[4:],
]


@pytest.mark.parametrize("death", STORY_PLACES, ids=name_of)
def test_killed_at_every_step_of_a_second_story(
    processes: Launcher, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, death: Death
):
    root = copy_of("once_told", tmp_path / "archive", tmp_path_factory, once_told)
    shelf = Shelf(root=root, runner=run)
    words = (
        "enhance",
        "scan-000",
        "scan-001",
        "--scale",
        "2",
        *KERNEL,
        "--seed",
        "5",
    )
    assert processes.run("-A", root, *words, death=death).code == -9
    now = listed(shelf)
    assert now >= {"scan-000", "scan-001", "scan-000/enhancement@1", "scan-001/enhancement@1"}
    assert shelf.ok("verify", "--all")["subjects"] == len(now)
    told = shelf.ok(*words)
    assert [made["ref"] for made in told["made"]] == sorted({"scan-000/enhancement@2", "scan-001/enhancement@2"} - now)
    assert listed(shelf) == {"scan-000", "scan-001"} | {f"scan-00{i}/enhancement@{v}" for i in (0, 1) for v in (1, 2)}
    sound(shelf)


def once_told(archive: Path, scratch: Path) -> None:
    """Two items with one story each."""
    must("init", archive)
    must("-A", archive, "ingest", *write_scans(scratch / "scans", 2))
    must(
        "-A",
        archive,
        "enhance",
        "--all",
        "--scale",
        "2",
        *KERNEL,
    )


def test_killed_while_keys_change(processes: Launcher, fresh: Callable[[], Shelf], scans: list[Path], tmp_path: Path):
    from tests.flows.test_commands import issue

    chain, key, _ = issue(tmp_path / "authority", "Museum")
    for place in ("_add_anchor", "_free_name"):
        shelf = fresh()
        shelf.ok("ingest", scans[0])
        death = Death(f"archive_restore.adapters.keys:{place}")
        words = ("-A", shelf.root, "keys", "import", "--chain", chain, "--key", key)
        assert processes.run(*words, death=death).code == -9
        shelf.ok("ingest", scans[1])
        assert shelf.ok("verify", "--all")["findings"] == []
        shelf.ok(*words[2:])
        shelf.ok("ingest", scans[2])
        assert shelf.ok("verify", "--all")["findings"] == []


REBUILD_PLACES = [
    Death("archive_restore.adapters.catalog:SqlCatalog.clear", "after"),
    Death("archive_restore.flows.rebuild:_add_object", "after", 3),
    Death("archive_restore.flows.rebuild:fill", "after"),
    Death("archive_restore.app:sync_directory", "before"),
]


@pytest.mark.parametrize("death", REBUILD_PLACES, ids=name_of)
def test_killed_while_the_catalog_is_rebuilt(
    processes: Launcher, fresh: Callable[[], Shelf], scans: list[Path], death: Death
):
    shelf = fresh()
    shelf.ok("ingest", *scans[:10])
    meant = contents(shelf)
    assert processes.run("-A", shelf.root, "catalog", "rebuild", death=death).code == -9
    assert contents(shelf) == meant
    assert len(listed(shelf)) == 10
    sound(shelf)


def test_a_crash_does_not_lock_readers_out(
    processes: Launcher, tmp_path: Path, scans: list[Path], monkeypatch: pytest.MonkeyPatch
):
    """What a reader cannot finish (here: no passphrase) is left for the next writer; reading goes on."""
    root = tmp_path / "archive"
    secret = ("ARCHIVE_RESTORE_PASSPHRASE", "correct horse")
    monkeypatch.setenv(*secret)
    must("init", root, "--passphrase")
    death = Death("archive_restore.adapters.ocfl:OcflRoot.commit_many")
    with launcher(tmp_path) as knowing:
        assert knowing.run("-A", root, "ingest", scans[0], death=death).code == -9
    monkeypatch.delenv(secret[0])
    assert must("--json", "-A", root, "list").json == {"items": []}
    assert must("-A", root, "log", "verify").code == 0
    assert run("-A", root, "ingest", scans[1]).code == 25
    monkeypatch.setenv(*secret)
    shelf = Shelf(root=root, runner=run)
    assert listed(shelf) == {"scan-000"}
    sound(shelf)


def test_a_torn_journal_is_no_promise(fresh: Callable[[], Shelf], scans: list[Path]):
    shelf = fresh()
    folder = shelf.root / "work" / "journal"
    folder.mkdir(exist_ok=True)
    (folder / "half.tmp").write_bytes(b'{"refs": [')
    shelf.ok("ingest", scans[0])
    assert not list(folder.iterdir())
    (folder / "bad.json").write_bytes(b'{"refs": [')
    assert len(listed(shelf)) == 1
    ran: Ran = shelf.run("ingest", scans[1])
    assert ran.code == 15
    assert "bad.json" in ran.json["error"]["message"]
    os.unlink(folder / "bad.json")
    shelf.ok("ingest", scans[1])
    sound(shelf)


def test_the_log_names_are_those_on_disk(fresh: Callable[[], Shelf]):
    """The places above are named by the code; the files by the design."""
    assert {path.name for path in (fresh().root / "audit").iterdir()} == {ENTRIES, CHECKPOINT}
