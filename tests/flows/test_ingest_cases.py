"""What comes in goes in whole, or is told why not: sheets, duplicates, hostile names, files that change under us."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from archive_restore.adapters import durable
from tests.conftest import Ran, Shelf
from tests.support.archives import copy_of, empty
from tests.support.scans import write_scan

BAD = Path(__file__).parents[1] / "bad"
REPOSITORY = Path(__file__).parents[2]
SHEETS = sorted(folder.name for folder in BAD.iterdir() if folder.name.startswith("CSV_"))

WHOLE = {"CSV_EMPTY", "CSV_NOT_UTF8", "CSV_MALFORMED", "CSV_NO_FILE_COLUMN", "CSV_COLUMN_REPEATED"}
"""Faults of a sheet as a whole: none of it counts."""


def code_of(folder: str) -> str:
    """`CSV_FILE_EMPTY_second_row` names the finding CSV_FILE_EMPTY."""
    found = re.match(r"[A-Z0-9_]+(?=_[a-z])", folder)
    assert found
    return found[0]


def refused(ran: Ran) -> dict[str, list[str]]:
    """Codes by path, of what an ingest refused."""
    return {entry["path"]: [f["code"] for f in entry["findings"]] for entry in ran.json["quarantined"]}


def items(shelf: Shelf) -> list[str]:
    return [row["item_id"] for row in shelf.ok("list")["items"]]


def whole(shelf: Shelf) -> None:
    """Nothing wrong is stored, nothing half-made is left."""
    assert shelf.ok("verify", "--all")["ok"]
    left = [path.name for path in (shelf.root / "work").iterdir() if path.name not in ("lock", "journal", "readers")]
    assert left == []
    assert not list((shelf.root / "work").glob("journal/*"))


@pytest.fixture
def shelf(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, command: Callable[..., Ran]) -> Shelf:
    """A new, empty archive; made once and copied."""
    return Shelf(root=copy_of("empty", tmp_path / "archive", tmp_path_factory, empty), runner=command)


# --- metadata ----------------------------------------------------------------------------------------


def test_a_good_sheet_describes_its_files(shelf: Shelf, tmp_path: Path):
    box = tmp_path / "box"
    write_scan(box / "a.tif", seed=1)
    write_scan(box / "deep" / "b.tif", seed=2)
    sheet = tmp_path / "m.csv"
    sheet.write_text(
        "file,item_id,title,date,rights,source_type,shelf mark\n"
        "a.tif,N-1,Mother,1936,Public domain,negativeFilm,LOT 344\n"
        "deep/b.tif,,Čičmany,,,print,\n"
    )
    accepted = shelf.ok("ingest", box, "--metadata", sheet)["accepted"]
    assert [a["item_id"] for a in accepted] == ["N-1", "b"]
    said = shelf.ok("show", "N-1")["record"]["description"]
    assert (said["title"], said["date"], said["source_type"]) == ("Mother", "1936", "negativeFilm")
    assert said["extra"] == {"shelf mark": "LOT 344"}
    assert [row["item_id"] for row in shelf.ok("search", "cicmany")["items"]] == ["b"]
    whole(shelf)


@pytest.mark.parametrize("folder", SHEETS)
def test_a_bad_row_is_its_finding_with_its_line(shelf: Shelf, tmp_path: Path, folder: str):
    write_scan(tmp_path / "box" / "scan.tif")
    sheet = BAD / folder / "metadata.csv"
    ran = shelf.run("ingest", tmp_path / "box", "--metadata", sheet)
    found = [f for entry in ran.json["quarantined"] for f in entry["findings"]]
    found += ran.json["notes"]
    (finding,) = [f for f in found if f["code"] == code_of(folder)]
    assert ran.code == (1 if finding["severity"] == "error" else 0)
    assert re.search(r"[Ll]ine \d+", finding["message"] + finding["subject"])
    # A fault of the whole sheet lets nothing in; a row that names the file in vain keeps it out until it is mended.
    kept_out = WHOLE | {"CSV_ITEM_ID_INVALID", "CSV_ROW_LENGTH", "CSV_SOURCE_TYPE_UNKNOWN", "CSV_FILE_REPEATED"}
    kept_out |= {"CSV_FILE_UNSAFE"} if folder.endswith("drive") else set()
    name = "N-1" if finding["code"] == "CSV_ITEM_ID_REPEATED" else "scan"
    assert items(shelf) == ([] if finding["code"] in kept_out else [name])
    assert str(tmp_path) not in str(list((shelf.root / "preservation").rglob("*passwd*")))
    whole(shelf)


@pytest.mark.parametrize("folder", [name for name in SHEETS if code_of(name) in WHOLE])
def test_nothing_is_taken_in_by_a_sheet_with_a_fault_as_a_whole(shelf: Shelf, tmp_path: Path, folder: str):
    """The fault is told before any file is read; the same command works once the sheet is mended."""
    write_scan(tmp_path / "box" / "scan.tif")
    sheet = tmp_path / "m.csv"
    shutil.copy(BAD / folder / "metadata.csv", sheet)
    ran = shelf.run("ingest", tmp_path / "box", "--metadata", sheet)
    assert (ran.code, refused(ran)) == (1, {"m.csv": [code_of(folder)]})
    assert (ran.json["accepted"], ran.json["notes"]) == ([], [])
    assert "Nothing was taken in" in ran.out
    assert list((shelf.root / "quarantine").iterdir()) == []
    sheet.write_text("file,title\nscan.tif,Mother\n")
    shelf.ok("ingest", tmp_path / "box", "--metadata", sheet)
    assert shelf.ok("show", "scan")["record"]["description"]["title"] == "Mother"


def test_a_row_for_another_file_of_that_name_keeps_none_waiting(shelf: Shelf, tmp_path: Path):
    """`C:\\1\\a.tif` cannot be used and may be any a.tif, but not the one that has a row of its own."""
    write_scan(tmp_path / "box" / "1" / "a.tif", seed=1)
    write_scan(tmp_path / "box" / "2" / "a.tif", seed=2)
    (tmp_path / "m.csv").write_text("file,item_id\nC:\\1\\a.tif,N-1\n2/a.tif,N-2\n")
    ran = shelf.run("ingest", tmp_path / "box", "--metadata", tmp_path / "m.csv")
    assert items(shelf) == ["N-2"]
    assert refused(ran) == {str(tmp_path / "box" / "1" / "a.tif"): ["CSV_FILE_UNSAFE"]}


def test_a_row_too_long_is_refused(shelf: Shelf, tmp_path: Path):
    write_scan(tmp_path / "scan.tif")
    (tmp_path / "m.csv").write_text("file,title\nscan.tif," + "x" * 100_001 + "\n")
    ran = shelf.run("ingest", tmp_path / "scan.tif", "--metadata", tmp_path / "m.csv")
    assert refused(ran) == {str(tmp_path / "scan.tif"): ["CSV_CELL_TOO_LONG"]}
    assert ran.code == 1


def test_files_that_the_sheet_does_not_name_come_in_undescribed(shelf: Shelf, tmp_path: Path):
    write_scan(tmp_path / "box" / "a.tif", seed=1)
    write_scan(tmp_path / "box" / "b.tif", seed=2)
    (tmp_path / "box" / "m.csv").write_text("file,title\na.tif,Mother\n")
    told = shelf.ok("ingest", tmp_path / "box", "--metadata", tmp_path / "box" / "m.csv")
    assert [a["item_id"] for a in told["accepted"]] == ["a", "b"]
    assert told["quarantined"] == []


# --- the same again ----------------------------------------------------------------------------------


def test_the_same_bytes_are_named_as_a_duplicate(shelf: Shelf, tmp_path: Path):
    first = write_scan(tmp_path / "box" / "a.tif")
    shutil.copy(first, tmp_path / "box" / "b.tif")
    told = shelf.ok("ingest", tmp_path / "box")
    assert [a["item_id"] for a in told["accepted"]] == ["a"]
    digest = hashlib.sha512(first.read_bytes()).hexdigest()
    assert told["duplicates"] == [{"path": str(tmp_path / "box" / "b.tif"), "item_id": "a", "sha512": digest}]
    again = shelf.ok("ingest", tmp_path / "box")
    assert again["accepted"] == []
    assert [d["item_id"] for d in again["duplicates"]] == ["a", "a"]
    whole(shelf)


def test_a_known_item_with_other_bytes_is_a_conflict_that_names_both(shelf: Shelf, tmp_path: Path):
    old, new = write_scan(tmp_path / "old" / "a.tif", seed=1), write_scan(tmp_path / "new" / "a.tif", seed=2)
    shelf.ok("ingest", old)
    before = shelf.files("a")["a.tif"].read_bytes()
    ran = shelf.run("ingest", new)
    assert (ran.code, refused(ran)) == (1, {str(new): ["ITEM_ID_CONFLICT"]})
    (message,) = [f["message"] for entry in ran.json["quarantined"] for f in entry["findings"]]
    assert repr(str(old)) in message
    assert repr(str(new)) in message
    assert shelf.files("a")["a.tif"].read_bytes() == before
    whole(shelf)
    both = shelf.run(
        "ingest", write_scan(tmp_path / "x" / "n.tif", seed=5), write_scan(tmp_path / "y" / "n.tif", seed=6)
    )
    assert refused(both) == {str(tmp_path / "y" / "n.tif"): ["ITEM_ID_CONFLICT"]}
    assert len(both.json["accepted"]) == 1


def test_a_catalog_that_forgot_an_item_is_no_licence_to_replace_it(shelf: Shelf, tmp_path: Path):
    """As when catalog.sqlite came from an older backup."""
    backup = {p.name: p.read_bytes() for p in shelf.root.glob("catalog.sqlite*")}
    shelf.ok("ingest", write_scan(tmp_path / "a.tif", seed=1))
    for path in shelf.root.glob("catalog.sqlite*"):
        path.unlink()
    for name, data in backup.items():
        (shelf.root / name).write_bytes(data)
    ran = shelf.run("ingest", write_scan(tmp_path / "new" / "a.tif", seed=2), tmp_path / "a.tif")
    assert ran.code == 20
    assert "catalog rebuild" in ran.json["error"]["message"]
    shelf.ok("catalog", "rebuild")
    assert items(shelf) == ["a"]
    whole(shelf)


def test_unreadable_bytes_are_kept_when_asked(shelf: Shelf, tmp_path: Path):
    torn = tmp_path / "torn.tif"
    torn.write_bytes(write_scan(tmp_path / "scan.tif").read_bytes()[:900])
    ran = shelf.run("ingest", torn)
    assert ran.code == 1
    (place,) = (shelf.root / "quarantine").iterdir()
    assert (place / "content").read_bytes() == torn.read_bytes()
    noted = json.loads((place / "findings.json").read_text())
    assert [f["code"] for f in noted["findings"]] == refused(ran)[str(torn)]
    (kept,) = shelf.ok("ingest", torn, "--keep-unreadable")["accepted"]
    assert (kept["item_id"], kept["width"]) == ("torn", None)
    assert [f for f in kept["findings"] if f["severity"] == "error"]
    assert shelf.files("torn")["torn.tif"].read_bytes() == torn.read_bytes()
    ran = shelf.run("restore", "torn")
    assert ran.code == 1
    assert "bytes only" in ran.json["failed"][0]["error"]
    whole(shelf)


def test_nothing_is_kept_of_an_empty_file_even_when_asked(shelf: Shelf, tmp_path: Path):
    (tmp_path / "nothing.tif").touch()
    ran = shelf.run("ingest", tmp_path / "nothing.tif", "--keep-unreadable")
    assert refused(ran) == {str(tmp_path / "nothing.tif"): ["FILE_EMPTY"]}


# --- names -------------------------------------------------------------------------------------------

NAMES: dict[bytes, tuple[str, ...]] = {
    b"new\nline.tif": ("NAME_UNSAFE",),
    b"carriage\rreturn.tif": ("NAME_UNSAFE",),
    b"\x1b[31mred.tif": ("NAME_UNSAFE",),
    b"tab\t.tif": ("NAME_UNSAFE",),
    b"\xff\xfe.tif": ("NAME_UNSAFE",),
    "gp\u202efit.tif".encode(): ("NAME_UNSAFE",),
    b"l" * 245 + b".tif": ("NAME_UNSAFE",),
    b"item.json": ("EXTENSION_MISMATCH", "NAME_RESERVED"),
    b"premis.xml": ("EXTENSION_MISMATCH", "NAME_RESERVED"),
    b"-leading.tif": (),
    b"--help.tif": (),
    b"..dots.tif": (),
    b"quote'\".tif": (),
    b"$(reboot);.tif": (),
    b"back\\slash.tif": (),
    b"=1+1.tif": (),
    b" space .tif": (),
    b"Case.tif": (),
    b"case.tif": (),
    "cafe\u0301.tif".encode(): (),
    "caf\u00e9.tif".encode(): ("ITEM_ID_CONFLICT",),
    "\U0001f4f7.tif".encode(): (),
    b"CON.tif": (),
    b"a" * 230 + b".tif": (),
}
"""Raw file name -> codes of severity error (or a conflict) it must give; none: it comes in."""


def test_hostile_names_do_no_harm(shelf: Shelf, tmp_path: Path):
    box = os.fsencode(tmp_path / "box")
    os.mkdir(box)
    for number, name in enumerate(NAMES):
        scan = write_scan(tmp_path / "scan.tif", seed=number)
        os.rename(scan, os.path.join(box, name))
    ran = shelf.run("ingest", tmp_path / "box")
    assert ran.code == 1
    assert "\ufffd" not in ran.out
    found = {entry["path"]: tuple(f["code"] for f in entry["findings"]) for entry in ran.json["quarantined"]}
    shown = {
        os.path.join(box, name).decode("utf-8", "backslashreplace"): codes for name, codes in NAMES.items() if codes
    }
    assert found == shown
    accepted = {a["path"]: a["item_id"] for a in ran.json["accepted"]}
    assert len(accepted) == len(NAMES) - len(shown)
    for path, item_id in accepted.items():
        name = Path(path).name
        assert shelf.files(item_id)[name].read_bytes() == (tmp_path / "box" / name).read_bytes()
    for text in (
        shelf.runner("-A", shelf.root, "list").out,
        shelf.runner("-A", shelf.root, "ingest", tmp_path / "box").out,
    ):
        assert all(ch.isprintable() or ch == "\n" for ch in text)
    whole(shelf)


def test_folders_with_hostile_names_do_no_harm(shelf: Shelf, tmp_path: Path):
    for number, name in enumerate((b"\xff\x01\n", b"]]>&<!--", b"...x")):
        folder = os.path.join(os.fsencode(tmp_path), b"box", name)
        os.makedirs(folder)
        os.rename(write_scan(tmp_path / "scan.tif", seed=number), os.path.join(folder, b"scan-%d.tif" % number))
    assert len(shelf.ok("ingest", tmp_path / "box")["accepted"]) == 3
    assert "\\xff" in shelf.ok("show", "scan-0")["record"]["original_path"]
    whole(shelf)


@pytest.mark.parametrize(
    "item_id", ["../../../etc", "/absolute", "a/b", "-x", ".hidden", "a\u202eb", "a\u0000b", "N" * 121, " a", "a@2"]
)
def test_bad_identifiers_never_become_paths(shelf: Shelf, tmp_path: Path, item_id: str):
    write_scan(tmp_path / "box" / "scan.tif")
    (tmp_path / "m.csv").write_text(f'file,item_id\nscan.tif,"{item_id}"\n')
    ran = shelf.run("ingest", tmp_path / "box", "--metadata", tmp_path / "m.csv")
    # Space around a cell is not part of it; a NUL spoils the sheet.
    expected = ["a"] if item_id == " a" else []
    assert ran.code == (0 if item_id == " a" else 1)
    assert items(shelf) == expected
    assert {p.name for p in shelf.root.parent.iterdir()} == {"archive", "box", "m.csv"}


# --- what is no file, or not one for long ------------------------------------------------------------


def test_links_and_pipes_are_told_of_and_never_followed(shelf: Shelf, tmp_path: Path):
    box = tmp_path / "box"
    write_scan(tmp_path / "elsewhere" / "secret.tif")
    write_scan(box / "good.tif", seed=3)
    (box / "link.tif").symlink_to(tmp_path / "elsewhere" / "secret.tif")
    (box / "dangling.tif").symlink_to("nowhere")
    (box / "loop").symlink_to(".")
    (box / "folder").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(box / "pipe.tif")
    ran = shelf.run("ingest", box)
    assert [a["item_id"] for a in ran.json["accepted"]] == ["good"]
    strange = ("dangling.tif", "folder", "link.tif", "loop", "pipe.tif")
    assert refused(ran) == {str(box / name): ["NOT_A_FILE"] for name in strange}
    for name in ("pipe.tif", "link.tif", "dangling.tif"):
        assert refused(shelf.run("ingest", box / name)) == {str(box / name): ["NOT_A_FILE"]}
    whole(shelf)


def test_a_device_is_no_file(shelf: Shelf):
    assert refused(shelf.run("ingest", "/dev/zero")) == {"/dev/zero": ["NOT_A_FILE"]}


def test_what_may_not_be_read_is_told_of(shelf: Shelf, tmp_path: Path):
    box = tmp_path / "box"
    for number, name in enumerate(("closed/in.tif", "good.tif", "secret.tif")):
        write_scan(box / name, seed=number)
    # Root reads everything by a privilege that can be laid down.
    powers = "-dac_override,-dac_read_search"
    lay_down = ["setpriv", f"--bounding-set={powers}", f"--inh-caps={powers}"] if os.getuid() == 0 else []
    if lay_down and not shutil.which("setpriv"):
        pytest.skip("root cannot lay down its privileges without setpriv")
    words = [*lay_down, sys.executable, "-m", "archive_restore", "--json", "-A", shelf.root, "ingest", box]
    (box / "secret.tif").chmod(0)
    (box / "closed").chmod(0)
    try:
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        done = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
    finally:
        (box / "closed").chmod(0o755)
    ran = Ran(code=done.returncode, out=done.stdout, err=done.stderr)
    assert ran.code == 1, ran.err
    assert [a["item_id"] for a in ran.json["accepted"]] == ["good"]
    assert refused(ran) == {str(box / "secret.tif"): ["FILE_UNREADABLE"], str(box / "closed"): ["FOLDER_UNREADABLE"]}
    whole(shelf)


@pytest.mark.parametrize("happens", ["vanishes", "grows", "is touched", "becomes a pipe"])
def test_a_file_that_changes_meanwhile_is_told_of_and_the_rest_goes_on(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, happens: str
):
    box = tmp_path / "box"
    for number, name in enumerate(("a.tif", "b.tif", "c.tif")):
        write_scan(box / name, seed=number)
    real = os.open if happens in ("vanishes", "becomes a pipe") else durable._read_back

    def before_opening(path: Any, *rest: Any, **words: Any) -> int:
        if str(path) == str(box / "b.tif") and stat.S_ISREG(os.lstat(path).st_mode):
            os.unlink(path)
            if happens == "becomes a pipe":
                os.mkfifo(path)
        return real(path, *rest, **words)

    def while_reading(descriptor: int, most: int) -> bytes:
        data = real(descriptor, most)
        if os.readlink(f"/proc/self/fd/{descriptor}") == str(box / "b.tif"):
            if happens == "grows":
                with (box / "b.tif").open("ab") as file:
                    file.write(b"more")
            else:
                os.utime(box / "b.tif", ns=(1, 1))
        return data

    if happens in ("vanishes", "becomes a pipe"):
        monkeypatch.setattr(durable.os, "open", before_opening)
    else:
        monkeypatch.setattr(durable, "_read_back", while_reading)
    ran = shelf.run("ingest", box)
    monkeypatch.undo()
    assert ran.code == 1
    assert [a["item_id"] for a in ran.json["accepted"]] == ["a", "c"]
    assert refused(ran) == {str(box / "b.tif"): ["FILE_UNREADABLE"]}
    whole(shelf)


# --- where from --------------------------------------------------------------------------------------


def test_the_archive_does_not_swallow_itself(shelf: Shelf, tmp_path: Path):
    write_scan(tmp_path / "a.tif")
    shelf.ok("ingest", tmp_path / "a.tif")
    for inside in (
        shelf.root,
        shelf.root / "preservation",
        shelf.files("a")["a.tif"],
        shelf.root / "work" / ".." / "keys",
    ):
        ran = shelf.run("ingest", inside)
        assert ran.code == 2
        assert "inside the archive" in ran.json["error"]["message"]
    write_scan(tmp_path / "b.tif", seed=2)
    told = shelf.ok("ingest", tmp_path)
    assert [a["item_id"] for a in told["accepted"]] == ["b"]
    assert [f["code"] for f in told["notes"]] == ["ARCHIVE_PASSED_OVER"]
    assert [d["item_id"] for d in told["duplicates"]] == ["a"]
    whole(shelf)


def test_empty_and_deep_folders(shelf: Shelf, tmp_path: Path):
    (tmp_path / "empty" / "of" / "files").mkdir(parents=True)
    nothing = {"accepted": [], "duplicates": [], "quarantined": [], "notes": []}
    assert shelf.ok("ingest", tmp_path / "empty") == nothing
    deep = tmp_path / "deep"
    write_scan(deep.joinpath(*["d" * 20] * 100) / "scan.tif")
    assert len(shelf.ok("ingest", deep)["accepted"]) == 1
    (tmp_path / "litter").mkdir()
    for name in ("Thumbs.db", "._scan.tif", ".DS_Store"):
        (tmp_path / "litter" / name).write_bytes(b"x")
    assert shelf.ok("ingest", tmp_path / "litter") == nothing


def test_what_is_not_there_is_one_line(shelf: Shelf, tmp_path: Path):
    ran = shelf.run("ingest", tmp_path / "nowhere")
    assert (ran.code, ran.json["error"]["class"]) == (2, "UsageError")
    assert ran.err.count("\n") == 1
    ran = shelf.run("ingest", tmp_path, "--metadata", tmp_path / "nowhere.csv")
    assert (ran.code, ran.json["error"]["class"]) == (2, "UsageError")
    ran = shelf.run("ingest")
    assert (ran.code, ran.json["error"]["class"]) == (2, "UsageError")
    assert ran.err.count("\n") == 1
