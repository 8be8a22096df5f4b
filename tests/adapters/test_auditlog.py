"""The log on disk: nothing that a checkpoint covers can change unseen, and a crash costs nothing that was promised."""

import errno
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from archive_restore.adapters import auditlog, durable
from archive_restore.adapters.auditlog import FileAuditLog, create_log
from archive_restore.core.canonical import canonical_bytes
from archive_restore.core.checkpoint import Checkpoint, parse, sign_checkpoint
from archive_restore.core.merkle import leaf_hash, tree_root
from archive_restore.errors import LogDamaged, StorageConflict, StorageFailed
from archive_restore.records.findings import Severity
from archive_restore.records.provenance import Event

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
ORIGIN = "example.org/archive"
HOW_TO = Path(__file__).parents[2] / "docs" / "how-to" / "verify-the-log.md"


def event(number: int, **changes: Any) -> Event:
    values: dict[str, Any] = {
        "event_id": f"urn:uuid:{number}",
        "type": "ingestion",
        "date_time": "2026-11-22T10:00:00Z",
        "ref": f"ITEM-{number}",
        "outcome": "success",
        "detail": 'said "event_id":"urn:uuid:0" \n é 😀',
        "agent": "archive-restore 0.1.0",
        "digests": {"scan.tif": "sha512:00", "event_id": "sha256:11"},
    }
    return Event(**{**values, **changes})


def events(first: int, last: int) -> list[Event]:
    return [event(number) for number in range(first, last)]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    create_log(tmp_path / "audit", ORIGIN, PUBLIC, KEY.sign)
    return tmp_path / "audit"


def writer(directory: Path) -> FileAuditLog:
    return FileAuditLog(directory, ORIGIN, PUBLIC, KEY.sign)


def reader(directory: Path) -> FileAuditLog:
    return FileAuditLog(directory, ORIGIN, PUBLIC)


def codes(directory: Path) -> list[str]:
    return [finding.code for finding in reader(directory).verify()]


def test_what_is_appended_is_read_again(directory):
    log = writer(directory)
    assert log.size() == 0
    assert codes(directory) == []
    assert log.append(events(0, 5)) == 5
    assert log.append(events(5, 7)) == 7
    again = writer(directory)
    assert again.append(events(7, 8)) == 8
    told = list(reader(directory).entries())
    assert [entry.index for entry in told] == list(range(8))
    assert [entry.event for entry in told] == events(0, 8)
    assert [entry.index for entry in again.entries(6)] == [6, 7]
    assert codes(directory) == []
    assert (again.recovered(), again.size()) == ((), 8)


def test_the_tree_is_the_one_of_the_lines(directory):
    writer(directory).append(events(0, 9))
    lines = (directory / "entries.jsonl").read_bytes().splitlines()
    assert lines[3] == canonical_bytes({"event": event(3), "index": 3})
    assert parse((directory / "checkpoint").read_bytes()).checkpoint.root == tree_root([leaf_hash(x) for x in lines])


@given(
    st.text(alphabet=st.characters(exclude_categories=["Cs"])),
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"])), st.text(st.characters(exclude_categories=["Cs"]))
    ),
)
def test_lines_are_canonical_whatever_they_say(detail, digests):
    said = event(1, detail=detail, digests=digests)
    assert auditlog._line(7, said) == canonical_bytes({"event": said, "index": 7})


def test_events_that_are_there_already_are_skipped(directory):
    log = writer(directory)
    log.append(events(0, 5))
    before = (directory / "checkpoint").read_bytes()
    assert log.append(events(1, 4)) == 5
    assert log.append([]) == 5
    assert (directory / "checkpoint").read_bytes() == before
    assert writer(directory).append([*events(3, 7), event(6)]) == 7
    assert codes(directory) == []


def test_reading_needs_no_private_key_and_cannot_write(directory):
    writer(directory).append(events(0, 2))
    with pytest.raises(LogDamaged, match="reading only"):
        reader(directory).append(events(2, 3))


def test_a_log_is_never_begun_again(directory):
    with pytest.raises(StorageConflict):
        create_log(directory, ORIGIN, PUBLIC, KEY.sign)
    (directory / "checkpoint").unlink()
    with pytest.raises(StorageConflict):
        create_log(directory, ORIGIN, PUBLIC, KEY.sign)


# --- damage ---


@pytest.mark.parametrize("name", ["entries.jsonl", "checkpoint"])
def test_every_flipped_bit_is_found(directory, name):
    writer(directory).append([event(0, detail="", digests={}), event(1, detail="é", agent="", digests={"a": "b"})])
    good = (directory / name).read_bytes()
    for position in range(len(good) * 8):
        data = bytearray(good)
        data[position // 8] ^= 1 << position % 8
        (directory / name).write_bytes(data)
        found = list(reader(directory).verify())
        assert any(f.severity is Severity.ERROR for f in found), position
        if position % 5 == 0:
            with pytest.raises(LogDamaged):
                writer(directory)
    (directory / name).write_bytes(good)
    assert codes(directory) == []


def signed(directory: Path, lines: list[bytes], *, key: Ed25519PrivateKey = KEY, origin: str = ORIGIN) -> None:
    """Lines and a checkpoint that fits them: what the holder of the key could forge."""
    (directory / "entries.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
    point = Checkpoint(origin=origin, size=len(lines), root=tree_root([leaf_hash(line) for line in lines]))
    public = key.public_key().public_bytes_raw()
    (directory / "checkpoint").write_bytes(sign_checkpoint(point, public, key.sign))


LINES = [canonical_bytes({"event": event(number), "index": number}) for number in range(4)]


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ([LINES[0], LINES[2]], "LOG_INDEX_WRONG"),
        ([LINES[0], b"x"], "LOG_LINE_MALFORMED"),
        ([LINES[0], b"[" * 100_000], "LOG_LINE_MALFORMED"),
        ([LINES[0], b""], "LOG_LINE_MALFORMED"),
        ([LINES[0], b'{"event":{},"index":1}'], "LOG_LINE_MALFORMED"),
        ([LINES[0], b'{"event":3,"index":1}'], "LOG_LINE_MALFORMED"),
        ([LINES[0], LINES[1].replace(b'"index":1', b'"index":true')], "LOG_INDEX_WRONG"),
        ([LINES[0], LINES[1].replace(b'"index":1', b'"index": 1')], "LOG_NOT_CANONICAL"),
        ([LINES[0], LINES[1].replace("é".encode(), b"\\u00e9")], "LOG_NOT_CANONICAL"),
        ([LINES[0], LINES[1][:-1] + b',"index":1}'], "LOG_NOT_CANONICAL"),
        ([LINES[0], LINES[0].replace(b'"index":0', b'"index":1')], "LOG_EVENT_REPEATED"),
    ],
)
def test_lines_that_were_signed_but_are_wrong_have_names(directory, lines, code):
    signed(directory, lines)
    assert codes(directory) == [code]
    if code != "LOG_EVENT_REPEATED":
        with pytest.raises(LogDamaged, match="entry 1"):
            list(reader(directory).entries())


def test_each_way_to_lie_has_its_name(directory):
    log = writer(directory)
    log.append(events(0, 4))
    entries, checkpoint = directory / "entries.jsonl", directory / "checkpoint"
    good, note = entries.read_bytes(), checkpoint.read_bytes()
    entries.write_bytes(b"".join(line + b"\n" for line in LINES[:3]))
    assert codes(directory) == ["LOG_TRUNCATED"]
    entries.write_bytes(good[:-1])
    assert "LOG_LINE_MALFORMED" in codes(directory)
    entries.write_bytes(good.replace(b"ITEM-2", b"ITEM-9"))
    assert codes(directory) == ["LOG_ROOT_MISMATCH"]
    entries.unlink()
    assert codes(directory) == ["LOG_ENTRIES_MISSING"]
    entries.write_bytes(good)
    checkpoint.unlink()
    assert codes(directory) == ["LOG_CHECKPOINT_MISSING"]
    checkpoint.write_bytes(note.replace(b"\n4\n", b"\n3\n"))
    assert "LOG_SIGNATURE_INVALID" in codes(directory)
    checkpoint.write_bytes(b"hello")
    assert codes(directory) == ["LOG_CHECKPOINT_MALFORMED"]
    signed(directory, LINES, key=Ed25519PrivateKey.generate())
    assert codes(directory) == ["LOG_SIGNATURE_INVALID"]
    signed(directory, LINES, origin="example.org/other")
    assert codes(directory) == ["LOG_ORIGIN_WRONG"]
    for finding in reader(directory).verify():
        assert finding.subject == "audit/checkpoint"


def test_what_is_damaged_is_not_written_to(directory):
    writer(directory).append(events(0, 4))
    entries = directory / "entries.jsonl"
    good = entries.read_bytes()
    for bad in (good[:-1], good[:-200], b"", good.replace(b"ITEM-2", b"ITEM-9")):
        entries.write_bytes(bad)
        with pytest.raises(LogDamaged, match="copy"):
            writer(directory)
        assert entries.read_bytes() == bad


# --- crashes and full disks ---


def test_lines_beyond_the_checkpoint_are_cut_off_and_given_back(directory):
    log = writer(directory)
    log.append(events(0, 3))
    note = (directory / "checkpoint").read_bytes()
    log.append(events(3, 6))
    entries = directory / "entries.jsonl"
    whole = entries.read_bytes()
    (directory / "checkpoint").write_bytes(note)  # as if the crash had come just before the new checkpoint
    for torn in range(len(whole), whole.index(LINES[3]), -7):
        entries.write_bytes(whole[:torn])
        found = list(reader(directory).verify())
        assert [(f.code, f.severity) for f in found] == [("LOG_BEYOND_CHECKPOINT", Severity.WARNING)]
        assert [entry.event for entry in reader(directory).entries()] == events(0, 3)
        again = writer(directory)
        complete = whole[:torn].count(b"\n")
        assert again.recovered() == tuple(events(3, complete))
        assert codes(directory) == []
        assert again.append(events(3, 6)) == 6
        assert entries.read_bytes() == whole
        (directory / "checkpoint").write_bytes(note)


def test_a_crash_at_any_step_of_an_append_loses_nothing_promised(directory, monkeypatch, tmp_path):
    writer(directory).append(events(0, 3))

    class Crash(BaseException):
        pass

    sizes = set()
    for at in range(1, 20):
        copy = tmp_path / f"copy-{at}"
        shutil.copytree(directory, copy)
        log = writer(copy)
        count = 0

        def step(call, at=at):
            def stepped(*args: Any, **kwargs: Any) -> Any:
                nonlocal count
                count += 1
                if count >= at:  # nothing works any more: no cleaning up either
                    raise Crash
                return call(*args, **kwargs)

            return stepped

        with monkeypatch.context() as patch:
            for name in ("pwrite", "write", "fsync", "truncate"):
                patch.setattr(os, name, step(getattr(os, name)))
            patch.setattr(Path, "rename", step(Path.rename))
            patch.setattr(Path, "unlink", step(Path.unlink))
            try:
                log.append(events(3, 6))
                crashed = False
            except Crash:
                crashed = True
        again = writer(copy)
        assert again.size() in (3, 6)
        sizes.add(again.size())
        assert codes(copy) == []
        assert [p.name for p in sorted(copy.iterdir())] == ["checkpoint", "entries.jsonl"]
        assert again.append(events(3, 6)) == 6
        assert codes(copy) == []
        if not crashed:
            break
    assert sizes == {3, 6}


@pytest.mark.parametrize("refusing", ["pwrite", "fsync", "write"])
def test_a_full_disk_leaves_the_log_as_it_was(directory, monkeypatch, refusing):
    log = writer(directory)
    log.append(events(0, 3))
    good = (directory / "entries.jsonl").read_bytes()

    def refuse(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, refusing, refuse)
        with pytest.raises(StorageFailed, match="space"):
            log.append(events(3, 6))
    assert (directory / "entries.jsonl").read_bytes() == good
    assert codes(directory) == []
    assert log.append(events(3, 6)) == 6
    assert codes(directory) == []


def test_text_that_is_not_unicode_is_one_error(directory):
    log = writer(directory)
    for bad in (event(1, detail="\udcff"), event(1, digests={"\udcff": "x"})):
        with pytest.raises(StorageFailed, match="Unicode"):
            log.append([bad])
    assert log.append([event(1)]) == 1


def test_the_checkpoint_is_signed_after_the_lines_are_on_disk(directory, monkeypatch):
    order = []
    fsync, replace = os.fsync, durable.replace_file
    log = writer(directory)
    monkeypatch.setattr(os, "fsync", lambda fd: (order.append(os.readlink(f"/proc/self/fd/{fd}")), fsync(fd))[1])
    monkeypatch.setattr(durable, "replace_file", lambda *a, **k: (order.append("checkpoint"), replace(*a, **k))[1])
    log.append(events(0, 2))
    assert order[0].endswith("entries.jsonl")
    assert order[1] == "checkpoint"


# --- strangers ---


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", HOW_TO.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("count", [0, 1, 2, 7, 64, 100])
def test_the_documented_commands_verify_the_log(directory, count):
    """The how-to's own commands, run as they stand: with openssl, coreutils and a script that knows nothing of us."""
    writer(directory).append(events(0, count))
    place = directory.parent
    (place / "keys").mkdir()
    pem = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (place / "keys/log-key.pem").write_bytes(pem)
    (place / "tree.py").write_text(blocks("python")[0], encoding="utf-8")

    def run() -> subprocess.CompletedProcess[str]:
        script = "set -e\n" + "\n".join(blocks("sh"))
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        return subprocess.run(["bash", "-c", script], cwd=place, capture_output=True, text=True, env={"PATH": path})

    done = run()
    assert done.returncode == 0, done.stderr
    assert "Signature Verified Successfully" in done.stdout
    assert "the lines are those that were signed" in done.stdout
    if count:
        entries = directory / "entries.jsonl"
        entries.write_bytes(entries.read_bytes().replace(b"ITEM-0", b"ITEM-x"))
        assert run().returncode != 0
    checkpoint = directory / "checkpoint"
    checkpoint.write_text(checkpoint.read_text().replace(f"\n{count}\n", f"\n{count + 1}\n", 1))
    assert run().returncode != 0


def test_entries_are_plain_json_lines(directory):
    writer(directory).append(events(0, 2))
    lines = (directory / "entries.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["event"]["ref"] for line in lines] == ["ITEM-0", "ITEM-1"]
