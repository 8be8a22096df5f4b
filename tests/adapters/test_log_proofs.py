"""What strangers get of the log: proofs, growth and tiles, judged by the page's own commands; forgeries have names."""

import base64
import os
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from archive_restore.adapters.auditlog import FileAuditLog, create_log
from archive_restore.adapters.log_lines import LogLines
from archive_restore.adapters.log_tiles import LONGEST_ENTRY, _files, tile_path, tiles_problem
from archive_restore.core.checkpoint import Checkpoint, parse, sign_checkpoint, verifier_key
from archive_restore.core.fixity import MANY
from archive_restore.core.log_proof import ProofMalformed, parse_proof, proof_problem
from archive_restore.core.merkle import tree_root
from archive_restore.errors import LogDamaged, StorageConflict
from tests.adapters.test_auditlog import KEY, ORIGIN, PUBLIC, event, events, reader, writer

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "verify-a-proof.md").read_text(encoding="utf-8")
SIZES = [1, 2, 3, 7, 64, 255, 256, 257, 700]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    create_log(tmp_path / "audit", ORIGIN, PUBLIC, KEY.sign)
    return tmp_path / "audit"


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Logs of all SIZES, one after another of one history: folder `audit-SIZE`."""
    place = tmp_path_factory.mktemp("grown")
    create_log(place / "audit", ORIGIN, PUBLIC, KEY.sign)
    log, before = writer(place / "audit"), 0
    for size in SIZES:
        log.append(events(before, size))
        shutil.copytree(place / "audit", place / f"audit-{size}")
        before = size
    return place


def at(grown: Path, size: int) -> FileAuditLog:
    return reader(grown / f"audit-{size}")


def page(words: str) -> str:
    """The commands of the page that hold these words."""
    (block,) = (block for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) if words in block)
    return block


def bash(script: str, place: Path) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    words = ["bash", "-euo", "pipefail", "-c", script]
    return subprocess.run(words, cwd=place, capture_output=True, text=True, env={"PATH": path}, check=False)


needs_tools = pytest.mark.skipif(
    any(shutil.which(name) is None for name in ("openssl", "xxd", "sha256sum")), reason="openssl or xxd is missing"
)


# --- inclusion ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
def test_every_entry_can_be_proved(grown: Path, size: int):
    log = at(grown, size)
    lines = (grown / "audit" / "entries.jsonl").read_bytes().split(b"\n")
    for index in {0, 1, size // 2, 254, 255, 256, size - 1}:
        if index >= size:
            with pytest.raises(IndexError):
                log.prove(index)
            continue
        proof = parse_proof(log.prove(index))
        assert (proof.index, proof.entry) == (index, lines[index])
        assert proof.checkpoint == (grown / f"audit-{size}" / "checkpoint").read_bytes()
        assert proof_problem(proof, lines[index]) == ""
        assert "do not lead" in proof_problem(proof, lines[index] + b" ")


def test_a_proof_is_the_text_that_c2sp_describes(grown: Path):
    data = at(grown, 3).prove(2)
    first, extra, index, node, gap, *checkpoint = data.decode().split("\n")
    assert (first, index, gap) == ("c2sp.org/tlog-proof@v1", "index 2", "")
    assert (
        base64.b64decode(extra.removeprefix("extra ")) == (grown / "audit-3/entries.jsonl").read_bytes().splitlines()[2]
    )
    assert len(base64.b64decode(node)) == 32
    assert "\n".join(checkpoint).encode() == (grown / "audit-3/checkpoint").read_bytes()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"tlog-proof@v1", b"tlog-proof@v2"),
        (b"index 2", b"index 02"),
        (b"index 2", b"index -2"),
        (b"index 2", b"index two"),
        (b"index 2\n", b""),
        (b"\n\n", b"\n"),
        (b"extra ", b"extra"),
        (b"=\n\n", b"\n\n"),
        (b"index 2\n", b"index 2\nAAAA\n"),
    ],
)
def test_what_is_no_proof_is_told(grown: Path, old: bytes, new: bytes):
    data = at(grown, 3).prove(2)
    assert old in data
    with pytest.raises(ProofMalformed):
        parse_proof(data.replace(old, new, 1))


def test_a_log_that_was_changed_proves_nothing(directory: Path):
    writer(directory).append(events(0, 5))
    entries = directory / "entries.jsonl"
    entries.write_bytes(entries.read_bytes().replace(b"ITEM-1", b"ITEM-x"))
    with pytest.raises(LogDamaged, match="not those that were signed"):
        reader(directory).prove(4)
    entries.write_bytes(b"")
    with pytest.raises(LogDamaged, match="0 of the 5"):
        reader(directory).prove(4)


def test_proofs_follow_a_log_that_grows(directory: Path):
    log = writer(directory)
    for size in (3, 300, 301, 513):
        log.append(events(0, size))
        assert proof_problem(parse_proof(log.prove(size - 1)), log.find([f"ITEM-{size - 1}"]).__next__().data) == ""
        assert parse(parse_proof(log.prove(0)).checkpoint).checkpoint.size == size


def test_entries_are_found_by_what_they_are_about_and_nothing_else(directory: Path):
    log = writer(directory)
    told = event(7, ref="ITEM-2", digests={"ref": "sha512:00"}, detail='"ref":"ITEM-9", \\"ref\\":\\"ITEM-9\\"')
    log.append([*events(0, 5), told, event(8, ref="Käthe–☃/restoration@1")])
    assert [(line.index, line.event.event_id) for line in log.find(["ITEM-2", "ITEM-9"])] == [
        (2, "urn:uuid:2"), (5, "urn:uuid:7"),
    ]  # fmt: skip
    assert [line.index for line in log.find(["Käthe–☃/restoration@1"])] == [6]
    assert list(log.find(["ITEM"])) == []
    log.append([event(9, ref=MANY, digests={"ITEM-2": "sha256:00", "ITEM-3": "sha256:01"})])
    assert [[line.index for line in log.find([ref])] for ref in ("ITEM-2", "ITEM-3", "ITEM-4")] == [
        [2, 5, 7],
        [3, 7],
        [4],
    ]


@needs_tools
@pytest.mark.parametrize(("size", "index"), [(1, 0), (2, 1), (3, 2), (7, 3), (7, 6), (257, 256), (700, 421)])
def test_the_page_verifies_a_proof_and_no_forgery(grown: Path, tmp_path: Path, size: int, index: int):
    data = at(grown, size).prove(index)
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "vkey").write_text(verifier_key(ORIGIN, PUBLIC) + "\n", encoding="utf-8")
    script = page("key.der") + page("proof=LHS") + page("sha()")

    def judged(proof: bytes) -> bool:
        (tmp_path / "LHS-0002.tlog-proof").write_bytes(proof)
        said = bash(script, tmp_path).stdout
        return "Signature Verified Successfully" in said and "the entry is in the log" in said

    assert judged(data)
    other = base64.b64encode(b"forged")
    assert not judged(re.sub(rb"extra .*", b"extra " + other, data))
    assert not judged(data.replace(f"index {index}".encode(), f"index {index + 1}".encode()))
    assert not judged(data.replace(f"\n{size}\n".encode(), f"\n{size + 1}\n".encode()))


# --- growth ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("earlier", SIZES)
def test_growth_is_proved_between_any_two_checkpoints(grown: Path, tmp_path: Path, earlier: int):
    old = (grown / f"audit-{earlier}" / "checkpoint").read_bytes()
    log = at(grown, 700)
    for later in SIZES:
        new = (grown / f"audit-{later}" / "checkpoint").read_bytes()
        found = log.consistency(old, new)
        if later < earlier:
            assert [finding.code for finding in found.findings] == ["LOG_CHECKPOINTS_SWAPPED"]
        else:
            assert (found.earlier, found.later, found.findings) == (earlier, later, ())
            assert found.proof.startswith(f"old {earlier}\n".encode()) and found.proof.endswith(b"\n\n" + new)


@needs_tools
@pytest.mark.parametrize(("earlier", "later"), [(1, 1), (1, 700), (3, 7), (64, 257), (256, 700), (257, 700)])
def test_the_page_verifies_growth_and_no_forgery(grown: Path, tmp_path: Path, earlier: int, later: int):
    found = at(grown, later).consistency((grown / f"audit-{earlier}" / "checkpoint").read_bytes())
    (tmp_path / "growth").write_bytes(found.proof)
    old = (grown / f"audit-{earlier}" / "checkpoint").read_bytes()
    (tmp_path / "old-checkpoint").write_bytes(old)
    done = bash(page("growth.py"), tmp_path)
    assert done.returncode == 0, done.stderr
    forged = Checkpoint(origin=ORIGIN, size=earlier, root=bytes(32))
    (tmp_path / "old-checkpoint").write_bytes(sign_checkpoint(forged, PUBLIC, KEY.sign))
    assert bash("python3 growth.py growth old-checkpoint", tmp_path).returncode != 0


def test_every_way_not_to_have_grown_has_its_name(grown: Path, directory: Path):
    log = at(grown, 64)

    def codes(old: bytes, new: bytes | None = None) -> list[str]:
        return [finding.code for finding in log.consistency(old, new).findings]

    def signed(size: int, root: bytes, origin: str = ORIGIN) -> bytes:
        return sign_checkpoint(Checkpoint(origin=origin, size=size, root=root), PUBLIC, KEY.sign)

    good = (grown / "audit-7" / "checkpoint").read_bytes()
    assert codes(good) == []
    assert codes(signed(0, tree_root([]))) == []
    assert codes(signed(7, bytes(32))) == ["LOG_REWRITTEN"]
    assert codes(signed(0, bytes(32))) == ["LOG_REWRITTEN"]
    assert codes(signed(7, bytes(32)), good) == ["LOG_REWRITTEN"]
    assert codes((grown / "audit-255" / "checkpoint").read_bytes()) == ["LOG_SHORTENED", "LOG_CHECKPOINTS_SWAPPED"]
    assert codes(signed(7, bytes(32), "another.example")) == ["LOG_ORIGIN_WRONG"]
    assert codes(good.replace(b"\n7\n", b"\n6\n")) == ["LOG_SIGNATURE_INVALID"]
    assert codes(b"\x1b[2J") == ["LOG_CHECKPOINT_MALFORMED"]
    assert codes(good, b"") == ["LOG_CHECKPOINT_MALFORMED"]
    writer(directory).append(events(0, 64))
    entries = directory / "entries.jsonl"
    entries.write_bytes(entries.read_bytes().replace(b"ITEM-63", b"ITEM-xx"))
    assert [finding.code for finding in reader(directory).consistency(good).findings] == ["LOG_UNREADABLE"]


# --- tiles -------------------------------------------------------------------------------------------


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_paths_are_those_of_the_specification():
    assert tile_path("0", 1234067) == "tile/0/x001/x234/067"
    assert tile_path("entries", 0, 112) == "tile/entries/000.p/112"
    assert tile_path("2", 1000, 1) == "tile/2/x001/000.p/1"


def test_the_example_of_the_specification(tmp_path: Path):
    """tlog-tiles §Partial Tiles: which tiles a tree of 70,000 entries has."""
    (tmp_path / "entries.jsonl").write_bytes(b"x\n" * 70_000)
    lines = LogLines(tmp_path / "entries.jsonl")
    lines.read_to(70_000)
    made = {place: len(data) for place, data in _files(lines, 70_000, [])}
    assert sum(1 for place, size in made.items() if re.fullmatch(r"tile/0/\d{3}", place) and size == 8192) == 273
    assert made["tile/0/273.p/112"] == 112 * 32
    assert made["tile/1/000"] == 8192 and made["tile/1/001.p/17"] == 17 * 32 and made["tile/2/000.p/1"] == 32
    assert sum(place.startswith(("tile/0", "tile/1", "tile/2")) for place in made) == 277 == len(made) - 274


@needs_tools
def test_an_export_grows_with_the_log_and_the_page_verifies_it(grown: Path, tmp_path: Path):
    to = tmp_path / "log"
    for size in SIZES:
        done = at(grown, size).export(to)
        assert (done.size, done.findings, tiles_problem(to)) == (size, (), "")
        assert at(grown, size).export(to).written == 0
        assert done.files == len(files(to))
    assert files(to) == {
        "vkey", "checkpoint", "tile/0/000", "tile/0/001", "tile/0/002.p/188", "tile/1/000.p/2",
        "tile/entries/000", "tile/entries/001", "tile/entries/002.p/188",
    }  # fmt: skip
    shutil.copy(grown / "audit-257" / "checkpoint", tmp_path / "old-checkpoint")
    done = bash(page("tree.py <<") + page("nothing of that time"), tmp_path)
    assert "the 700 entries are those" in done.stdout and "nothing of that time was changed" in done.stdout, done.stderr
    bundle = to / "tile/entries/001"
    bundle.write_bytes(bundle.read_bytes().replace(b"ITEM-300", b"ITEM-xxx"))
    assert "are those that were signed" not in bash(page("tree.py <<"), tmp_path).stdout
    assert "entries from 256 on" in tiles_problem(to)
    with pytest.raises(StorageConflict, match="was changed"):
        at(grown, 700).export(to)


def test_nothing_but_an_export_of_this_log_is_written_into(grown: Path, tmp_path: Path):
    to = tmp_path / "log"
    to.mkdir()
    (to / "mine.txt").write_text("mine")
    with pytest.raises(StorageConflict, match="not empty"):
        at(grown, 7).export(to)
    assert files(to) == {"mine.txt"}
    with pytest.raises(StorageConflict, match="not a folder"):
        at(grown, 7).export(to / "mine.txt")
    at(grown, 64).export(tmp_path / "longer")
    with pytest.raises(StorageConflict, match="another history"):
        at(grown, 7).export(tmp_path / "longer")
    other = tmp_path / "other"
    create_log(other, ORIGIN, PUBLIC, KEY.sign)
    writer(other).append(events(900, 980))
    with pytest.raises(StorageConflict, match="another history"):
        reader(other).export(tmp_path / "longer")
    (tmp_path / "elsewhere").mkdir()
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "vkey").write_text(verifier_key(ORIGIN, PUBLIC) + "\n", encoding="utf-8")
    (linked / "tile").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageConflict, match="links"):
        at(grown, 7).export(linked)
    assert files(tmp_path / "elsewhere") == set()


def test_an_export_that_was_stopped_goes_on(grown: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    to = tmp_path / "log"
    at(grown, 3).export(to)
    rename = Path.rename

    def stopped(path: Path, target: Path) -> Path:
        if "entries/001" in target.as_posix():
            raise KeyboardInterrupt
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", stopped)
    with pytest.raises(KeyboardInterrupt):
        at(grown, 700).export(to)
    assert parse((to / "checkpoint").read_bytes()).checkpoint.size == 3 and tiles_problem(to) == ""
    monkeypatch.undo()
    at(grown, 257).export(to)
    assert tiles_problem(to) == ""
    assert files(to) == {
        "vkey", "checkpoint", "tile/0/000", "tile/0/001.p/1", "tile/1/000.p/1", "tile/entries/000",
        "tile/entries/001.p/1",
    }  # fmt: skip


def test_an_entry_that_no_bundle_can_hold_is_told_and_proved_all_the_same(directory: Path, tmp_path: Path):
    log = writer(directory)
    log.append([*events(0, 2), event(2, detail="x" * LONGEST_ENTRY), event(3)])
    done = log.export(tmp_path / "log")
    assert [(finding.code, finding.subject) for finding in done.findings] == [("LOG_ENTRY_TOO_LONG", "entry 2")]
    assert files(tmp_path / "log") == {"vkey", "checkpoint", "tile/0/000.p/4", "tile/lines/000.p/4"}
    assert (tmp_path / "log/tile/lines/000.p/4").read_bytes() == (directory / "entries.jsonl").read_bytes()
    assert tiles_problem(tmp_path / "log") == ""
    assert proof_problem(parse_proof(log.prove(2)), parse_proof(log.prove(2)).entry) == ""
    log.append(events(4, 300))
    log.export(tmp_path / "log")
    assert {"tile/lines/000", "tile/entries/001.p/44"} <= files(tmp_path / "log") and "tile/lines/000.p/4" not in files(
        tmp_path / "log"
    )


def test_bundles_are_lengths_and_entries(grown: Path, tmp_path: Path):
    at(grown, 3).export(tmp_path / "log")
    lines = (grown / "audit-3/entries.jsonl").read_bytes().splitlines()
    meant = b"".join(struct.pack(">H", len(line)) + line for line in lines)
    assert (tmp_path / "log/tile/entries/000.p/3").read_bytes() == meant
