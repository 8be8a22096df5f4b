"""Time-stamps of checkpoints: OpenSSL is the authority and the judge; what does not hold is never kept."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from archive_restore.adapters import keys
from archive_restore.adapters.auditlog import FileAuditLog, create_log
from archive_restore.app import log_origin, open_archive
from tests.adapters.test_auditlog import events
from tests.conftest import Shelf
from tests.support.archives import copy_of, empty, run

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "verify-a-proof.md").read_text(encoding="utf-8")
pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


class Authority:
    """A time-stamping authority as the page makes it."""

    def __init__(self, place: Path) -> None:
        self.place = place
        (block,) = (block for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) if "authority.cnf" in block)
        words = block.replace("openssl ts -reply", ": openssl ts -reply")  # nothing to answer yet
        subprocess.run(["bash", "-euc", words], cwd=place, check=True, capture_output=True)
        self.root = place / "anchors.pem"

    def reply(self, request: Path, *more: str) -> Path:
        reply = request.with_suffix(".tsr")
        self._openssl(
            "ts", "-reply", "-config", self.place / "authority.cnf", "-queryfile", request, "-out", reply,
            "-signer", self.place / "tsa.pem", "-inkey", self.place / "tsa.key", *more,
        )  # fmt: skip
        return reply

    def _openssl(self, *words: str | Path) -> None:
        subprocess.run(["openssl", *map(str, words)], cwd=self.place, check=True, capture_output=True)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def another(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("another"))


@pytest.fixture
def shelf(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    return Shelf(root=copy_of("empty", tmp_path / "archive", tmp_path_factory, empty), runner=run)


@pytest.fixture
def request_file(shelf: Shelf, tmp_path: Path) -> Path:
    shelf.ok("log", "timestamp", "request", "--to", tmp_path / "request.tsq")
    return tmp_path / "request.tsq"


def stored(shelf: Shelf) -> Path:
    (folder,) = (shelf.root / "audit" / "timestamps").iterdir()
    return folder


def test_openssl_reads_the_request(shelf: Shelf, request_file: Path):
    words = ["openssl", "ts", "-query", "-in", str(request_file), "-text"]
    text = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    assert "Hash Algorithm: sha256" in text and "Certificate required: yes" in text and "Nonce: 0x" in text
    assert run("-A", shelf.root, "log", "timestamp", "request", "--to", request_file).code == 16


def test_a_reply_is_kept_told_and_verified_by_openssl(shelf: Shelf, request_file: Path, authority: Authority):
    reply = authority.reply(request_file)
    assert run("-A", shelf.root, "log", "timestamp", "accept", reply).code == 2, "nobody vouches for it yet"
    done = shelf.ok("log", "timestamp", "accept", reply, "--anchors", authority.root)
    assert done["timestamp"]["authority"] == "Time authority" and done["timestamp"]["time"].endswith("Z")
    folder = stored(shelf)
    words = ["openssl", "ts", "-verify", "-data", "checkpoint", "-in", "reply.tsr", "-CAfile", "anchors.pem"]
    assert subprocess.run(words, cwd=folder, capture_output=True, check=False).returncode == 0
    shown = shelf.ok("log", "show")
    assert [stamp["time"] for stamp in shown["timestamps"]] == [done["timestamp"]["time"]]
    told = shown["entries"][-1]["event"]
    assert (told["type"], told["ref"]) == ("digital signature validation", "audit/checkpoint")
    # Once more changes nothing, and now its authority is known.
    assert shelf.ok("log", "timestamp", "accept", reply)["ok"]
    assert shelf.ok("log", "verify")["subjects"] == len(shown["entries"]) == 1
    assert shelf.ok("verify")["ok"] and shelf.ok("catalog", "rebuild")["ok"]
    # The same authority for a later checkpoint.
    shelf.ok("log", "timestamp", "request", "--to", request_file.with_name("second.tsq"))
    shelf.ok("log", "timestamp", "accept", authority.reply(request_file.with_name("second.tsq")))
    assert [stamp["size"] for stamp in shelf.ok("log", "verify")["timestamps"]] == [0, 1]


def test_what_does_not_hold_is_not_kept(
    shelf: Shelf, request_file: Path, authority: Authority, another: Authority, tmp_path: Path
):
    good = authority.reply(request_file).read_bytes()

    def codes(data: bytes, root: Path) -> list[str]:
        (tmp_path / "given.tsr").write_bytes(data)
        ran = shelf.run("log", "timestamp", "accept", tmp_path / "given.tsr", "--anchors", root)
        assert ran.code == 1 and ran.json["timestamp"] is None
        assert not (stored(shelf) / "reply.tsr").exists()
        return ran.codes

    assert codes(good, another.root) == ["TIMESTAMP_INVALID"]
    assert codes(another.reply(request_file).read_bytes(), authority.root) == ["TIMESTAMP_INVALID"]
    assert codes(good[:-1] + bytes([good[-1] ^ 1]), authority.root) == ["TIMESTAMP_INVALID"]
    for junk in (b"", b"\x1b[2J", good[:200], good + b"x"):
        assert codes(junk, authority.root) == ["TIMESTAMP_UNREADABLE"]
    assert codes(query(tmp_path, "-sha1", authority), authority.root) == ["TIMESTAMP_REFUSED"]
    assert codes(query(tmp_path, "-sha256", authority), authority.root) == ["TIMESTAMP_FOREIGN"]
    (tmp_path / "given.tsr").write_bytes(good)
    ran = shelf.run("log", "timestamp", "accept", tmp_path / "given.tsr", "--anchors", tmp_path / "given.tsr")
    assert ran.code == 17


def query(place: Path, algorithm: str, authority: Authority) -> bytes:
    """The authority's reply to a request for another text."""
    (place / "other").write_bytes(b"another text")
    words = ["openssl", "ts", "-query", "-data", "other", algorithm, "-cert", "-out", "other.tsq"]
    subprocess.run(words, cwd=place, check=True, capture_output=True)
    return authority.reply(place / "other.tsq").read_bytes()


@pytest.fixture
def stamped(shelf: Shelf, request_file: Path, authority: Authority) -> Shelf:
    """An archive whose log has one time-stamp, of the checkpoint over one entry."""
    shelf.ok("log", "timestamp", "accept", authority.reply(request_file), "--anchors", authority.root)
    shutil.rmtree(stored(shelf))
    shelf.ok("log", "timestamp", "request", "--to", request_file.with_name("second.tsq"))
    reply = authority.reply(request_file.with_name("second.tsq"))
    shelf.ok("log", "timestamp", "accept", reply, "--anchors", authority.root)
    return shelf


def test_what_is_stored_is_checked(stamped: Shelf, another: Authority):
    folder = stored(stamped)

    def codes() -> set[str]:
        ran = stamped.run("log", "verify")
        assert ran.code == 1
        return set(ran.codes)

    gone = {"TIMESTAMP_MISSING"}  # that of the empty log, which the fixture took away
    assert codes() == gone
    kept = {name: (folder / name).read_bytes() for name in ("checkpoint", "reply.tsr", "anchors.pem")}

    def changed(name: str, data: bytes | None) -> set[str]:
        if data is None:
            (folder / name).unlink()
        else:
            (folder / name).write_bytes(data)
        found = codes()
        (folder / name).write_bytes(kept[name])
        return found - gone

    assert changed("reply.tsr", b"x") == {"TIMESTAMP_UNREADABLE", "TIMESTAMP_NOT_LOGGED"}
    assert changed("anchors.pem", another.root.read_bytes()) == {"TIMESTAMP_INVALID", "TIMESTAMP_NOT_LOGGED"}
    assert changed("anchors.pem", b"") == {"TIMESTAMP_INCOMPLETE", "TIMESTAMP_NOT_LOGGED"}
    assert changed("anchors.pem", None) == {"TIMESTAMP_INCOMPLETE", "TIMESTAMP_NOT_LOGGED"}
    assert changed("checkpoint", None) == {"TIMESTAMP_INCOMPLETE"}
    found = changed("checkpoint", kept["checkpoint"].replace(b"\n1\n", b"\n2\n"))
    assert found == {"LOG_SIGNATURE_INVALID", "TIMESTAMP_FOREIGN", "TIMESTAMP_NOT_LOGGED"}
    assert changed("checkpoint", b"\x1b[2J") == {
        "LOG_CHECKPOINT_MALFORMED",
        "TIMESTAMP_FOREIGN",
        "TIMESTAMP_NOT_LOGGED",
    }
    assert codes() == gone


def test_no_changed_byte_of_a_reply_goes_unseen(stamped: Shelf):
    reply = stored(stamped) / "reply.tsr"
    good = reply.read_bytes()
    with open_archive(stamped.root, write=False) as archive:
        before = len(list(archive.timestamps.verify(archive.log)))
        for at in range(0, len(good), 23):
            reply.write_bytes(good[:at] + bytes([good[at] ^ (1 << at % 8)]) + good[at + 1 :])
            assert len(list(archive.timestamps.verify(archive.log))) > before, at


def test_a_log_that_was_written_again_contradicts_its_time_stamp(stamped: Shelf):
    folder = stamped.root / "audit"
    origin = (folder / "checkpoint").read_text().split("\n")[0]
    assert origin.startswith(log_origin(""))
    sign, public = keys.load_log_signer(stamped.root / "keys")
    for name in ("entries.jsonl", "checkpoint"):
        (folder / name).unlink()
    create_log(folder, origin, public, sign)
    FileAuditLog(folder, origin, public, sign).append(events(0, 5))
    ran = stamped.run("log", "verify")
    assert ran.code == 1 and "LOG_REWRITTEN" in ran.codes
