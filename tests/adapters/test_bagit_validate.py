"""Every fault of a bag gets its own finding; bagit-python, the independent judge, agrees or is shown to be wrong."""

from __future__ import annotations

import hashlib
import logging
import os
import resource
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import bagit
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archive_restore.adapters import bagit_validate
from archive_restore.adapters.bagit_validate import check_bag, validate_bag
from archive_restore.core.bagit import Fault, manifest_entry, read_info
from archive_restore.records.findings import Finding, has_errors
from tests.support import bad_bags

BAD = {case.folder: case for case in bad_bags.bad()}
GOOD = {case.folder: case for case in bad_bags.good()}
PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "validators.md"

WE_REFUSE = {
    "BAG_ALGORITHM_UNKNOWN_crc32",
    "BAG_DECLARATION_MALFORMED_no_minor",
    "BAG_DECLARATION_MALFORMED_no_space",
    "BAG_DECLARATION_MALFORMED_swapped",
    "BAG_DECLARATION_MALFORMED_third_line",
    "BAG_ENCODING_UNKNOWN_code_not_text",
    "BAG_FETCH_LINE_length_is_word",
    "BAG_FETCH_TAG_FILE_bag_info",
    "BAG_FETCH_UNLISTED_file",
    "BAG_FETCH_UNLISTED_in_one_manifest",
    "BAG_FETCH_URL_space",
    "BAG_FILE_MISSING_percent_not_encoded",
    "BAG_INFO_LINE_no_label",
    "BAG_INFO_REPEATED_oxum",
    "BAG_LINK_folder_up",
    "BAG_LINK_payload_directory",
    "BAG_LINK_payload_file",
    "BAG_MANIFEST_INCOMPLETE_second",
    "BAG_MANIFEST_LINE_comment",
    "BAG_MANIFEST_LINE_no_path",
    "BAG_NORMALIZATION_COLLISION_e_acute",
    "BAG_TAG_FILE_BOM_info",
    "BAG_TAG_FILE_BOM_manifest",
    "BAG_TAG_MANIFEST_INCOMPLETE_payload_manifest",
    "BAG_TAG_MANIFEST_LISTS_ITSELF_the_other",
}
"""Bags that bagit-python accepts and we do not; docs/explanation/validators.md says why of each code."""
WE_ACCEPT = {"BAG_FETCH_LINE_empty", "BAG_NAME_NORMALIZATION_e_acute", "percent_encoded"}
"""Bags that bagit-python refuses and we do not."""


@pytest.fixture(scope="module", autouse=True)
def quiet() -> None:
    """bagit-python logs what it finds."""
    logging.getLogger("bagit").setLevel(logging.CRITICAL)


def judged(folder: Path) -> bool:
    """What bagit-python says of a bag; it breaks down on some bad ones."""
    try:
        bagit.Bag(str(folder)).validate()
    except (bagit.BagError, ValueError, OSError, LookupError):
        return False
    return True


def placed(case: bad_bags.Case, tmp_path: Path, root: Path = bad_bags.BAD) -> Path:
    return root / case.folder if case.portable else bad_bags.write(case, tmp_path / case.folder)


@pytest.mark.parametrize("folder", BAD)
def test_a_bad_bag_gives_its_finding(folder: str, tmp_path: Path):
    case = BAD[folder]
    path = placed(case, tmp_path)
    findings = validate_bag(path, "the bag")
    found = [finding for finding in findings if finding.code == case.code]
    assert found, findings
    assert {finding.severity.value for finding in found} == {case.severity}
    for finding in findings:
        assert finding.clause.startswith("RFC 8493 §")
        assert finding.subject.startswith("the bag")
        assert finding.message.endswith(".") and "\n" not in finding.message
    assert has_errors(findings) == (case.severity == "error")
    accepted = not has_errors(findings)
    assert (folder in WE_REFUSE and not accepted) or (folder in WE_ACCEPT and accepted) or judged(path) == accepted
    assert (judged(path) != accepted) == (folder in WE_REFUSE | WE_ACCEPT)


@pytest.mark.parametrize("folder", GOOD)
def test_nothing_is_found_in_a_good_bag(folder: str, tmp_path: Path):
    path = placed(GOOD[folder], tmp_path, bad_bags.GOOD)
    assert validate_bag(path) == []
    assert judged(path) != (folder in WE_ACCEPT)


def test_committed_bags_are_what_the_script_makes():
    for root, cases in ((bad_bags.BAD, BAD), (bad_bags.GOOD, GOOD)):
        on_disk = {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}
        made = {
            f"{case.folder}/{name}": data
            for case in cases.values()
            if case.portable
            for name, data in case.files.items()
        }
        assert on_disk == made


def test_every_code_has_its_bag_and_every_disagreement_its_reason():
    source = (
        Path(bagit_validate.__file__).read_text()
        + (Path(bagit_validate.__file__).parents[1] / "core/bagit.py").read_text()
    )
    codes = {word for word in source.replace('"', " ").split() if word.startswith("BAG_") and word.isupper()}
    elsewhere = {
        "BAG_NOT_A_DIRECTORY",
        "BAG_UNREADABLE",
        "BAG_TOO_LARGE",
        "BAG_LINE_TOO_LONG",
        "BAG_TAG_FILE_TOO_LARGE",
    }
    assert {word.rstrip(",") for word in codes} - elsewhere == {case.code for case in BAD.values()}
    text = PAGE.read_text()
    for folder in WE_REFUSE | WE_ACCEPT:
        assert f"`{BAD[folder].code if folder in BAD else folder}`" in text, folder


# --- what is no bag, or too much of one --------------------------------------------------------------


def codes(findings: list[Finding]) -> list[str]:
    return [finding.code for finding in findings]


def test_what_is_no_directory(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "link").symlink_to(bad_bags.write(GOOD["one_manifest"], tmp_path / "bag"))
    assert codes(validate_bag(tmp_path / "file")) == ["BAG_NOT_A_DIRECTORY"]
    assert codes(validate_bag(tmp_path / "link")) == ["BAG_NOT_A_DIRECTORY"]
    assert codes(validate_bag(tmp_path / "nowhere")) == ["BAG_UNREADABLE"]
    (tmp_path / "empty").mkdir()
    expected = ["BAG_DECLARATION_MISSING", "BAG_PAYLOAD_MISSING", "BAG_MANIFEST_MISSING"]
    assert codes(validate_bag(tmp_path / "empty")) == expected


def test_a_file_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    bag = bad_bags.write(GOOD["one_manifest"], tmp_path / "bag")
    real = os.open

    def refuse(path: object, *rest: object, **words: object) -> int:
        if str(path).endswith("scan.tif"):
            raise PermissionError(13, "Permission denied")
        return real(path, *rest, **words)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", refuse)
    assert codes(validate_bag(bag)) == ["BAG_UNREADABLE"]


def test_a_line_of_a_gigabyte_and_a_file_of_one(tmp_path: Path):
    """Sparse files: reading them whole would take the memory that is forbidden here."""
    bag = bad_bags.write(GOOD["one_manifest"], tmp_path / "bag")
    for name in ("manifest-sha256.txt", "fetch.txt", "bag-info.txt"):
        with (bag / name).open("wb") as file:
            file.truncate(1 << 30)
    script = textwrap.dedent(
        """
        import sys
        from pathlib import Path
        from archive_restore.adapters.bagit_validate import validate_bag
        print(sorted({finding.code for finding in validate_bag(Path(sys.argv[1]))}))
        """
    )

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))

    start = time.perf_counter()
    words = [sys.executable, "-c", script, str(bag)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, preexec_fn=limit)
    assert done.returncode == 0, done.stderr
    for code in ("BAG_LINE_TOO_LONG", "BAG_TAG_FILE_TOO_LARGE"):
        assert code in done.stdout
    assert time.perf_counter() - start < 10


def test_many_entries_are_counted_and_told_briefly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    bag = bad_bags.write(GOOD["one_manifest"], tmp_path / "bag")
    with (bag / "manifest-sha512.txt").open("a") as file:
        file.writelines(f"{bad_bags.EMPTY}  data/{number}.tif\n" for number in range(20_000))
    findings = validate_bag(bag)
    assert len(findings) == bagit_validate.MAX_EACH + 1
    assert findings[-1].message == "And 19,980 more of this kind."
    monkeypatch.setattr(bagit_validate, "MAX_FILES", 10_000)
    assert codes(validate_bag(bag)) == ["BAG_TOO_LARGE"]
    monkeypatch.setattr(bagit_validate, "MAX_FILES", 3)
    assert "BAG_TOO_LARGE" in codes(validate_bag(bad_bags.write(GOOD["tag_folder"], tmp_path / "more")))


def test_a_deep_bag(tmp_path: Path):
    bag = bad_bags.write(GOOD["one_manifest"], tmp_path / "bag")
    here = os.open(bag / "data", os.O_RDONLY)
    for _ in range(50):
        os.mkdir("d" * 100, dir_fd=here)
        below = os.open("d" * 100, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    assert codes(validate_bag(bag)) == ["BAG_UNREADABLE"]


def test_names_that_are_no_text(tmp_path: Path):
    bag = bad_bags.write(GOOD["one_manifest"], tmp_path / "bag")
    (bag / "bag-info.txt").unlink()
    with open(os.path.join(os.fsencode(bag), b"data", b"caf\xe9.tif"), "wb") as file:
        file.write(b"x")
    (finding,) = validate_bag(bag)
    assert (finding.code, finding.subject.rsplit("/", 1)[1]) == ("BAG_FILE_UNLISTED", "caf\\xe9.tif")


@pytest.mark.parametrize("encoding", ["UTF-16", "UTF-16LE", "ISO-8859-1", "Shift_JIS", "windows-1252", "utf8"])
def test_encodings_of_tag_files(tmp_path: Path, encoding: str):
    name = "data/写真.tif" if encoding in ("Shift_JIS", "UTF-16", "UTF-16LE", "utf8") else "data/Mühle.tif"
    bag = tmp_path / "bag"
    (bag / "data").mkdir(parents=True)
    (bag / name).write_bytes(b"x")
    (bag / "bagit.txt").write_bytes(bad_bags.declaration(encoding=encoding))
    line = f"{hashlib.sha512(b'x').hexdigest()} {name}\n"
    (bag / "manifest-sha512.txt").write_bytes(line.encode(encoding))
    (bag / "bag-info.txt").write_bytes(f"Contact-Name: {name}\n".encode(encoding))
    checked = check_bag(bag)
    assert codes(checked.findings) == ([] if encoding == "utf8" else ["BAG_ENCODING_NOT_UTF8"])
    assert checked.info == [("Contact-Name", name)]
    assert checked.digests == {name: {"sha512": hashlib.sha512(b"x").hexdigest()}}


# --- the grammar alone -------------------------------------------------------------------------------


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0\\"), min_size=1, max_size=40))
@settings(max_examples=80, deadline=None)
def test_a_path_survives_its_encoding(text: str):
    path = "/".join(part for part in f"data/{text}".split("/") if part not in ("", ".", ".."))
    encoded = path.replace("%", "%25").replace("\n", "%0A").replace("\r", "%0D")
    entry = manifest_entry(f"{'a' * 64}  {encoded}", "sha256", (1, 0))
    assert not isinstance(entry, Fault)
    assert (entry.path, entry.faults) == (path, ())


@given(st.lists(st.text(st.sampled_from("aB-: \t\r\u2028\x00é=<"), max_size=12), max_size=5))
@settings(max_examples=80, deadline=None)
def test_no_bag_info_breaks_the_reader(lines: list[str]):
    elements, _ = read_info(lines, (1, 0), "bag-info.txt")
    assert all(label and label == label.strip() and value == value.strip() for label, value in elements)


@given(st.text(max_size=200))
@settings(max_examples=80, deadline=None)
def test_no_line_of_a_manifest_leads_out(line: str):
    entry = manifest_entry(f"{'a' * 64} {line}", "sha256", (1, 0))
    if not isinstance(entry, Fault):
        assert ".." not in entry.path.split("/") and not entry.path.startswith(("/", "~"))
