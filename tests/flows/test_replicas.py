"""A second archive of the same, and what rotted brought back from it: nothing good is ever lost for something worse."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ocfl
import pytest

from archive_restore.adapters import durable
from archive_restore.adapters.ocfl_layout import object_path
from archive_restore.adapters.workspace import WriterLock
from archive_restore.errors import StorageFailed
from tests.conftest import Ran, Shelf
from tests.flows.test_tampering import flip, mend, overwrite
from tests.support import archives
from tests.support.archives import copy_of, must, run
from tests.support.launcher import Death, Launcher, launcher
from tests.support.scans import write_scan
from tests.support.stories import KERNEL

ROOTS = ("preservation", "stories")
ENLARGED = ("--scale", "2", *KERNEL)


def told(archive: Path, scratch: Path) -> None:
    """Two masters, three restorations and a story."""
    archives.restored(archive, scratch)
    must("-A", archive, "enhance", "one", *ENLARGED)


def replicated(place: Path, scratch: Path) -> None:
    """`place/archive` and its replica `place/replica`."""
    told(place / "archive", scratch)
    must("-A", place / "archive", "replicate", "--to", place / "replica")


class Pair:
    """An archive and a replica of it."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.archive, self.replica = place / "archive", place / "replica"
        self.shelf = Shelf(root=self.archive, runner=run)

    def replicate(self, *words: str) -> Ran:
        return self.shelf.run("replicate", "--to", self.replica, *words)

    def repair(self, *refs: str) -> Ran:
        return self.shelf.run("repair", *(refs or ("--all",)), "--from", self.replica)

    def object(self, object_id: str, where: Path | None = None) -> Path:
        root = "stories" if object_id.endswith("enhancement") else "preservation"
        return (where or self.archive) / root / object_path(object_id)

    def sound(self) -> None:
        assert self.shelf.ok("verify", "--all")["findings"] == []


@pytest.fixture
def pair(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return Pair(copy_of("replicated", tmp_path / "pair", tmp_path_factory, replicated))


def stored(place: Path) -> dict[str, bytes | None]:
    """Everything below the storage roots; None stands for a directory."""
    return {
        str(path.relative_to(place)): None if path.is_dir() else path.read_bytes()
        for root in ROOTS
        for path in (place / root).rglob("*")
    }


def codes(ran: Ran) -> set[tuple[str, str]]:
    return {(finding["code"], finding["subject"]) for finding in ran.json["findings"]}


def valid_for_strangers(place: Path) -> None:
    """ocfl-py finds nothing wrong with the roots and every object."""
    for name in ROOTS:
        root = ocfl.StorageRoot(root=str(place / name))
        assert root.validate(validate_objects=True, check_digests=True) is True, name


# --- replicate ---------------------------------------------------------------------------------------


def test_a_replica_is_the_same_archive_without_secrets(pair: Pair):
    assert stored(pair.replica) == stored(pair.archive)
    valid_for_strangers(pair.replica)
    for name in ("archive.toml", "audit/entries.jsonl", "audit/checkpoint", "keys/log-key.pub.pem", "keys/anchors.pem"):
        assert (pair.replica / name).read_bytes() == (pair.archive / name).read_bytes()
    assert not [path for path in pair.replica.rglob("*") if path.is_file() and b"PRIVATE KEY" in path.read_bytes()]
    copy = Shelf(root=pair.replica, runner=run)
    copy.ok("catalog", "rebuild")
    assert copy.ok("verify", "--all")["findings"] == []
    assert copy.run("ingest", pair.archive / "archive.toml").code == 17  # nothing to sign with


def test_what_is_there_is_not_copied_again(pair: Pair):
    before = {path: path.stat().st_mtime_ns for path in pair.replica.rglob("*") if path.is_file()}
    for words in ((), ("--verify",)):
        ran = pair.replicate(*words)
        assert ran.code == 0
        assert (ran.json["copied"], ran.json["files"], ran.json["bytes"], ran.json["findings"]) == (0, 0, 0, [])
    after = {path: path.stat().st_mtime_ns for path in pair.replica.rglob("*") if path.is_file()}
    assert {path for path in before if after[path] != before[path]} <= {pair.replica / "work" / "lock"}
    assert after.keys() == before.keys()


def test_only_what_is_new_is_copied(pair: Pair, tmp_path: Path):
    earlier = (pair.replica / "audit" / "entries.jsonl").read_bytes()
    kept = stored(pair.replica)
    pair.shelf.ok("ingest", write_scan(tmp_path / "three.tif", seed=3))
    pair.shelf.ok("enhance", "one", *ENLARGED, "--seed", "4")
    lock = WriterLock(pair.archive / "work")
    lock.acquire()  # copying only reads, so somebody may write meanwhile
    try:
        ran = pair.replicate()
    finally:
        lock.release()
    assert (ran.code, ran.json["copied"], ran.json["subjects"]) == (0, 2, 6)
    now = stored(pair.replica)
    assert now == stored(pair.archive)
    assert {name.split("/")[4] for name in now.keys() - kept.keys() if name.count("/") > 3} == {
        "three", "one%2fenhancement"
    }  # fmt: skip
    assert (pair.replica / "audit" / "entries.jsonl").read_bytes().startswith(earlier)
    assert pair.replicate().json["copied"] == 0
    valid_for_strangers(pair.replica)


def test_what_rotted_is_not_copied_and_the_rest_is(pair: Pair, tmp_path: Path):
    flip(pair.object("one") / "v1/content/one.tif", 1)
    pair.shelf.ok("ingest", *(write_scan(tmp_path / f"{name}.tif", seed=ord(name)) for name in "abc"))
    flip(pair.object("b") / "v1/content/b.tif", 1)
    flip(pair.object("c") / "inventory.json", 1)
    overwrite(pair.object("c") / "v1/inventory.json", b"{}")
    good = stored(pair.replica)
    ran = pair.replicate("--verify")
    assert ran.code == 1
    assert codes(ran) == {("NOT_REPLICATED", "b: v1/content/b.tif"), ("INVENTORY_NOT_VOUCHED", "c")}
    now = stored(pair.replica)
    assert good.items() <= now.items()
    assert {name.split("/")[4] for name in now.keys() - good.keys() if name.count("/") > 3} == {"a"}
    valid_for_strangers(pair.replica)


def test_what_changed_with_all_digests_made_to_agree_is_not_copied(pair: Pair, tmp_path: Path):
    pair.shelf.ok("ingest", write_scan(tmp_path / "a.tif", seed=9))
    flip(pair.object("a") / "v1/content/a.tif", 1)
    mend(pair.object("a"))
    assert codes(pair.replicate()) == {("INVENTORY_NOT_VOUCHED", "a")}


def test_what_rotted_in_the_replica_is_copied_again(pair: Pair):
    meant = stored(pair.replica)
    flip(pair.object("one/restoration", pair.replica) / "v1/content/derivation.json", 1)
    (pair.object("one/enhancement", pair.replica) / "v1/content/premis.xml").unlink()
    overwrite(pair.object("two", pair.replica) / "inventory.json.sha512", b"none")
    lines = pair.replica / "audit" / "entries.jsonl"
    lines.write_bytes(lines.read_bytes().replace(b"success", b"Success", 1))
    ran = pair.replicate()
    assert ("REPLICA_MENDED", "audit") in codes(ran)
    assert lines.read_bytes() == (pair.archive / "audit" / "entries.jsonl").read_bytes()
    assert stored(pair.replica).keys() == meant.keys()
    ran = pair.replicate("--verify")
    assert ran.code == 0
    assert codes(ran) == {("REPLICA_MENDED", "one/restoration: v1/content/derivation.json")}
    assert stored(pair.replica) == meant


def test_what_vanished_stays_in_the_replica(pair: Pair):
    meant = stored(pair.replica)
    shutil.rmtree(pair.object("two"))
    ran = pair.replicate()
    assert codes(ran) == {("OBJECT_VANISHED", "two")}
    assert ran.code == 1
    assert stored(pair.replica) == meant


def test_a_link_in_the_replica_is_not_written_through(pair: Pair, tmp_path: Path):
    outside = tmp_path / "outside"
    content = pair.object("two", pair.replica) / "v1/content"
    content.rename(outside)
    content.symlink_to(outside)
    before = {path: path.read_bytes() for path in outside.iterdir()}
    (outside / "two.tif").unlink()
    ran = pair.replicate("--verify")
    assert ("REPLICA_STRAY", "two: v1/content") in codes(ran)
    assert ran.code == 1
    assert not (outside / "two.tif").exists()
    assert before.keys() > set(outside.iterdir())


def test_other_places_are_refused(pair: Pair, tmp_path: Path):
    full = tmp_path / "full"
    full.mkdir()
    (full / "letter.txt").write_text("mine")
    must("init", tmp_path / "other")
    must("-A", tmp_path / "other", "replicate", "--to", tmp_path / "others")
    for place in (full, tmp_path / "others", tmp_path / "other", pair.archive / "inside", pair.archive, pair.place):
        ran = pair.shelf.run("replicate", "--to", place)
        assert ran.code == 16, (place, ran)
    assert [path.name for path in full.iterdir()] == ["letter.txt"]
    assert not (pair.archive / "inside").exists()
    for place in (full, tmp_path / "others", pair.archive):
        assert pair.shelf.run("repair", "--all", "--from", place).code == 16


def test_a_log_that_was_rewritten_or_cut_is_refused(pair: Pair, tmp_path: Path):
    fork = shutil.copytree(pair.archive, tmp_path / "fork")
    must("-A", fork, "ingest", write_scan(tmp_path / "x.tif", seed=5))
    pair.shelf.ok("ingest", write_scan(tmp_path / "y.tif", seed=6))
    before = stored(pair.replica)
    ahead = shutil.copytree(pair.replica, tmp_path / "ahead")
    must("-A", fork, "replicate", "--to", ahead)
    ran = pair.shelf.run("replicate", "--to", ahead)  # as long, and grown apart
    assert (ran.code, "rewritten" in ran.json["error"]["message"]) == (19, True)
    shutil.rmtree(pair.archive / "audit")
    shutil.copytree(pair.replica / "audit", pair.archive / "audit")
    ran = pair.shelf.run("replicate", "--to", ahead)
    assert (ran.code, "cut or set back" in ran.json["error"]["message"]) == (19, True)
    assert stored(pair.replica) == before


# --- repair ------------------------------------------------------------------------------------------


Damage = Callable[[Path, random.Random], None]


def _bits(path: Path, chance: random.Random) -> None:
    flip(path, chance.randrange(1 << 30))


def _shorter(path: Path, chance: random.Random) -> None:
    overwrite(path, path.read_bytes()[: chance.randrange(max(1, path.stat().st_size))])


def _gone(path: Path, _: random.Random) -> None:
    path.unlink()


def _link(path: Path, _: random.Random) -> None:
    path.unlink()
    path.symlink_to("/etc/passwd")


def _folder(path: Path, _: random.Random) -> None:
    path.unlink()
    path.mkdir()
    (path / "inside").write_text("?")


def _neighbour(path: Path, chance: random.Random) -> None:
    overwrite(path, chance.choice(sorted(p for p in path.parent.iterdir() if p.is_file())).read_bytes() + b" ")


def _stray(path: Path, _: random.Random) -> None:
    name = b"\x1b[31m=cmd|' C'!A0\xff" + "\u202e".encode()
    (path.parent / os.fsdecode(name)).write_bytes(b"\x1b]0;hostile\x07")


def _parent_gone(path: Path, _: random.Random) -> None:
    shutil.rmtree(path.parent)


def _object_gone(path: Path, _: random.Random) -> None:
    shutil.rmtree(_object_of(path))


def _all_inventories(path: Path, chance: random.Random) -> None:
    for name in ("inventory.json", "inventory.json.sha512"):
        for found in _object_of(path).rglob(name):
            _bits(found, chance)


def _object_of(path: Path) -> Path:
    root = max(place for place, part in enumerate(path.parts) if part in ROOTS)
    return Path(*path.parts[: root + 5])


DAMAGES: tuple[Damage, ...] = (
    _bits, _shorter, _gone, _link, _folder, _neighbour, _stray, _parent_gone, _object_gone, _all_inventories,
)  # fmt: skip


def _files(place: Path) -> list[Path]:
    return sorted(
        path
        for root in ROOTS
        for path in (place / root).rglob("*")
        if path.is_file() and not path.is_symlink() and len(path.relative_to(place).parts) > 5
    )


def test_any_damage_is_mended(pair: Pair):
    meant = stored(pair.archive)
    chance = random.Random("rot")
    for turn in range(20):
        for _ in range(chance.randint(1, 3)):
            victims = _files(pair.archive)
            DAMAGES[(turn + chance.randint(0, 1)) % len(DAMAGES)](chance.choice(victims), chance)
        damaged = stored(pair.archive) != meant
        ran = pair.repair()
        assert ran.code == 0, (turn, ran)
        assert bool(ran.json["repaired"]) is damaged
        assert stored(pair.archive) == meant, turn
    pair.sound()
    events = [entry["event"] for entry in pair.shelf.ok("log", "show", "-n", "200")["entries"]]
    assert {event["outcome"] for event in events if event["type"] == "replication"} == {"success"}
    assert list((pair.archive / "quarantine").rglob("content"))


def test_rot_is_put_into_quarantine_and_told(pair: Pair):
    path = pair.object("one") / "v1/content/one.tif"
    flip(path, 7)
    rotten = path.read_bytes()
    ran = pair.repair("one")
    assert ran.json["repaired"] == [
        {"object": "one", "restored": ["v1/content/one.tif"], "quarantined": ["v1/content/one.tif"]}
    ]
    (kept,) = (pair.archive / "quarantine").rglob("content")
    assert kept.read_bytes() == rotten
    assert kept.stat().st_nlink == 1
    assert path.stat().st_nlink == 1
    assert "PUT_INTO_QUARANTINE" in (kept.parent / "findings.json").read_text()
    assert pair.shelf.ok("show", "one")["events"][-1]["type"] == "replication"
    assert pair.shelf.run("repair", "nothing", "--from", pair.replica).code == 12
    assert pair.shelf.run("repair", "--from", pair.replica).code == 2
    pair.sound()


def test_rot_on_both_sides_is_refused_and_named(pair: Pair):
    same, other = "v1/content/one.tif", "v1/content/item.json"
    for place in (pair.archive, pair.replica):
        flip(pair.object("one", place) / same, 1)
    flip(pair.object("one") / other, 1)
    (pair.object("two") / "v1/content/two.tif").unlink()
    (pair.object("two", pair.replica) / "v1/content/two.tif").unlink()
    rotten = (pair.object("one") / same).read_bytes()
    ran = pair.repair()
    assert ran.code == 1
    assert codes(ran) == {("NOT_REPAIRED", f"one: {same}"), ("NOT_REPAIRED", "two: v1/content/two.tif")}
    assert [mended["restored"] for mended in ran.json["repaired"]] == [[other]]
    assert (pair.object("one") / same).read_bytes() == rotten  # what is there stays until something better comes


def test_a_replica_that_lies_mends_nothing(pair: Pair):
    flip(pair.object("one") / "v1/content/one.tif", 1)
    flip(pair.object("one", pair.replica) / "v1/content/one.tif", 2)
    mend(pair.object("one", pair.replica))
    before = stored(pair.archive)
    assert codes(pair.repair("one")) == {("NOT_REPAIRED", "one: v1/content/one.tif")}
    shutil.rmtree(pair.object("one"))
    assert codes(pair.repair("one")) == {("INVENTORY_NOT_VOUCHED", "one")}
    assert before.items() >= stored(pair.archive).items()


def test_bytes_and_inventories_changed_together_come_back_as_the_log_says(pair: Pair):
    meant = stored(pair.archive)
    flip(pair.object("one/restoration") / "v1/content/derivation.json", 1)
    mend(pair.object("one/restoration"))
    ran = pair.repair()
    assert ran.code == 0
    assert stored(pair.archive) == meant
    pair.sound()


def test_an_older_replica_mends_what_it_can(pair: Pair):
    pair.shelf.ok("enhance", "one", *ENLARGED, "--seed", "4")
    meant = stored(pair.archive)
    story = pair.object("one/enhancement")
    flip(story / "v1/content/report.html", 1)
    (story / "inventory.json").unlink()
    assert pair.repair().code == 0
    assert stored(pair.archive) == meant
    flip(story / "v2/content/report.html", 1)
    assert codes(pair.repair()) == {("NOT_REPAIRED", "one/enhancement: v2/content/report.html")}


def test_a_second_version_comes_back_whole(pair: Pair):
    pair.shelf.ok("enhance", "one", *ENLARGED, "--seed", "4")
    assert pair.replicate().code == 0
    meant = stored(pair.archive)
    story = pair.object("one/enhancement")
    shutil.rmtree(story / "v2")
    for name in ("inventory.json", "inventory.json.sha512"):  # set back to what it was, all digests agreeing
        shutil.copyfile(story / "v1" / name, story / name)
    assert pair.repair().code == 0
    assert stored(pair.archive) == meant
    pair.sound()


def test_of_a_vanished_object_comes_back_what_is_good(pair: Pair):
    rotten = "v1/content/one.tif.c2pa"
    flip(pair.object("one", pair.replica) / rotten, 1)
    meant = {name: data for name, data in stored(pair.archive).items() if not name.endswith(rotten)}
    shutil.rmtree(pair.object("one"))
    ran = pair.repair()
    assert codes(ran) == {("NOT_REPAIRED", f"one: {rotten}")}
    assert rotten not in ran.json["repaired"][0]["restored"]
    assert stored(pair.archive) == meant
    shutil.rmtree(pair.object("one"))
    for path in (pair.object("one", pair.replica) / "v1/content").iterdir():
        flip(path, 3)
    ran = pair.repair("one")
    assert (ran.code, ran.json["repaired"], pair.object("one").exists()) == (1, [], False)


def test_what_a_log_that_was_set_back_does_not_know_is_not_taken_away(pair: Pair):
    pair.shelf.ok("enhance", "one", *ENLARGED, "--seed", "4")
    shutil.rmtree(pair.archive / "audit")
    shutil.copytree(pair.replica / "audit", pair.archive / "audit")
    before = stored(pair.archive)
    ran = pair.repair()
    assert codes(ran) == {("VERSION_NOT_VOUCHED", "one/enhancement")}
    assert (ran.code, ran.json["repaired"], stored(pair.archive)) == (1, [], before)


def test_damaged_descriptions_of_the_roots_are_written_anew(pair: Pair):
    meant = stored(pair.archive)
    overwrite(pair.archive / "stories" / "0=ocfl_1.1", b"?")
    (pair.archive / "preservation" / "ocfl_layout.json").unlink()
    shutil.rmtree(pair.archive / "preservation" / "extensions")
    ran = pair.repair()
    assert ran.json["repaired"][0]["object"] == "storage roots"
    assert stored(pair.archive) == meant


def _swap(path: Path) -> None:
    overwrite(path, path.read_bytes().replace(b"success", b"Success", 3))


def _cut(path: Path) -> None:
    overwrite(path, path.read_bytes()[:700])


def _gone_file(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize(
    ("name", "damage"),
    [("entries.jsonl", _swap), ("entries.jsonl", _cut), ("entries.jsonl", _gone_file), ("checkpoint", _gone_file)],
)
def test_a_damaged_log_comes_back(pair: Pair, name: str, damage: Callable[[Path], None]):
    meant = {path.name: path.read_bytes() for path in (pair.archive / "audit").iterdir()}
    damage(pair.archive / "audit" / name)
    assert pair.repair().code in (15, 19)
    ran = pair.repair("--log")
    assert (ran.code, ran.json["repaired"][0]["restored"]) == (0, [f"audit/{name}"])
    assert {path.name: path.read_bytes() for path in (pair.archive / "audit").iterdir()} == meant
    assert pair.repair("--log").json["repaired"] == []
    pair.sound()


def test_a_log_with_newer_entries_keeps_them_all_or_is_left_alone(pair: Pair, tmp_path: Path):
    pair.shelf.ok("ingest", write_scan(tmp_path / "newer.tif", seed=8))
    lines, checkpoint = pair.archive / "audit" / "entries.jsonl", pair.archive / "audit" / "checkpoint"
    meant, promise = lines.read_bytes(), checkpoint.read_bytes()
    overwrite(lines, meant.replace(b"success", b"Success", 1))  # an old entry: the replica has it
    assert pair.repair("--log").code == 0
    assert (lines.read_bytes(), checkpoint.read_bytes()) == (meant, promise)
    for data, note in ((meant[:-400], promise), (meant, b"none")):
        overwrite(lines, data)
        overwrite(checkpoint, note)
        ran = pair.repair("--log")
        assert ran.code == 19, ran
        assert (lines.read_bytes(), checkpoint.read_bytes()) == (data, note)


def test_a_full_disk_leaves_nothing_by_half(pair: Pair, monkeypatch: pytest.MonkeyPatch):
    meant = stored(pair.archive)
    for object_id in ("one", "two", "one/restoration"):
        for path in (pair.object(object_id) / "v1/content").iterdir():
            flip(path, 5)
    before = stored(pair.archive)
    whole, calls = durable.copy_hashed, iter(range(1000))

    def full(*words: Any) -> Any:
        if next(calls) == 6:
            raise StorageFailed("writing failed: No space left on device")
        return whole(*words)

    with monkeypatch.context() as patch:
        patch.setattr(durable, "copy_hashed", full)
        assert pair.repair().code == 15
    now = stored(pair.archive)
    assert now.keys() == meant.keys()
    assert all(data in (before[name], meant[name]) for name, data in now.items())
    assert pair.repair().code == 0
    assert stored(pair.archive) == meant
    shutil.rmtree(pair.replica)
    calls = iter(range(1000))
    with monkeypatch.context() as patch:
        patch.setattr(durable, "copy_hashed", full)
        assert pair.replicate().code == 15
    assert stored(pair.replica).items() <= meant.items()
    assert pair.replicate().code == 0
    assert stored(pair.replica) == meant


# --- killed in the middle ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    with launcher(tmp_path_factory.mktemp("processes")) as made:
        yield made


COPYING = (
    Death("archive_restore.adapters.workspace:clear_work"),
    Death("archive_restore.adapters.ocfl:create_root"),
    Death("archive_restore.adapters.ocfl_mirror:_Mirror._fetch", "after", 9),
    Death("archive_restore.adapters.ocfl_mirror:_Mirror._publish", "after", 2),
    Death("archive_restore.adapters.log_copy:durable.replace_file", "before", 6),
)


@pytest.mark.parametrize("death", COPYING, ids=lambda death: death.place.rpartition(":")[2])
def test_a_killed_replication_goes_on(pair: Pair, processes: Launcher, death: Death):
    shutil.rmtree(pair.replica)
    words = ("-A", pair.archive, "replicate", "--to", pair.replica)
    ran = processes.run(*words, death=death)
    assert ran.code == -9, ran
    assert stored(pair.replica).items() <= stored(pair.archive).items()  # whole objects only
    assert pair.replicate().code == 0
    assert stored(pair.replica) == stored(pair.archive)
    assert pair.replicate("--verify").json["copied"] == 0
    assert not list(pair.replica.rglob("*.tmp"))


def test_a_killed_continuation_goes_on(pair: Pair, processes: Launcher):
    pair.shelf.ok("enhance", "one", *ENLARGED, "--seed", "4")
    before = shutil.copytree(pair.replica, pair.place / "before")
    for death in (
        Death("archive_restore.adapters.ocfl_mirror:_Mirror._place"),  # content without inventory
        Death("archive_restore.adapters.ocfl_mirror:_Mirror._describe", "after", 1),  # inventory without its digest
    ):
        shutil.rmtree(pair.replica)
        shutil.copytree(before, pair.replica)
        assert processes.run("-A", pair.archive, "replicate", "--to", pair.replica, death=death).code == -9
        assert pair.replicate().code == 0
        assert stored(pair.replica) == stored(pair.archive)


def test_what_is_being_stored_comes_with_the_next_run(pair: Pair, processes: Launcher, tmp_path: Path):
    before = stored(pair.replica)
    stopped = Death("archive_restore.adapters.ocfl:OcflRoot.commit_many")  # visible, and the log does not know it
    scan = write_scan(tmp_path / "late.tif", seed=8)
    assert processes.run("-A", pair.archive, "ingest", scan, death=stopped).code == -9
    story = ("enhance", "one", *ENLARGED, "--seed", "4")
    lock = WriterLock(pair.archive / "work")
    lock.acquire()  # nobody may finish it
    try:
        assert (pair.object("late") / "inventory.json").exists()
        ran = pair.replicate()
        assert (ran.code, ran.json["findings"], stored(pair.replica)) == (0, [], before)
    finally:
        lock.release()
    assert processes.run("-A", pair.archive, *story, death=stopped).code == -9
    lock.acquire()
    try:
        ran = pair.replicate()
        assert (ran.code, ran.json["findings"], ran.json["copied"]) == (0, [], 1)
    finally:
        lock.release()
    assert not (pair.object("one/enhancement", pair.replica) / "v2").exists()
    assert pair.replicate().json["copied"] == 1
    assert stored(pair.replica) == stored(pair.archive)


MENDING = (
    Death("archive_restore.adapters.ocfl_mirror:_Mirror._fetch", "after", 2),
    Death("archive_restore.adapters.workspace:FolderQuarantine.take", "after", 1),
    Death("archive_restore.adapters.ocfl_mirror:_Mirror._place"),
    Death("archive_restore.adapters.ocfl_mirror:_Mirror._describe", "after", 1),
    Death("archive_restore.adapters.auditlog:FileAuditLog.append", "after"),
)


@pytest.mark.parametrize("death", MENDING, ids=lambda death: death.place.rpartition(":")[2])
def test_a_killed_repair_goes_on(pair: Pair, processes: Launcher, death: Death):
    meant = stored(pair.archive)
    flip(pair.object("one") / "v1/content/one.tif", 1)
    (pair.object("one") / "v1/content/premis.xml").unlink()
    flip(pair.object("one") / "inventory.json", 1)
    shutil.rmtree(pair.object("two"))
    assert processes.run("-A", pair.archive, "repair", "--all", "--from", pair.replica, death=death).code == -9
    assert pair.repair().code == 0
    assert stored(pair.archive) == meant
    pair.sound()
