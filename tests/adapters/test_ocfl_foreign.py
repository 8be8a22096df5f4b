"""Every code of OCFL 1.1 that can be made on disk is told; ocfl-py, the independent judge, agrees or is shown wrong."""

from __future__ import annotations

import json
import logging
import os
from importlib.resources import files
from pathlib import Path

import ocfl
import pytest
from ocfl.validator import Validator

from archive_restore.adapters import ocfl_foreign
from archive_restore.adapters.ocfl_foreign import is_object, is_root, validate_object, validate_root
from archive_restore.records.findings import Finding, has_errors
from tests.support import bad_ocfl

BAD = {case.folder: case for case in bad_ocfl.bad()}
GOOD = {case.folder: case for case in bad_ocfl.good()}
PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "validators.md"

WE_REFUSE = {
    "E007_no_line_end",
    "E033_member_twice",
    "E037_root_id_twice",
    "E038_type_of_another_version",
    "E052_logical_not_text",
    "E081_root_older_than_object",
    "E090_root_link",
    "E102_unknown_member",
}
"""What ocfl-py accepts and we do not; docs/explanation/validators.md says why."""
WE_ACCEPT = {"digest_in_other_case"}
"""What ocfl-py refuses and we do not."""
BREAKS_DOWN = {"E041_no_manifest"}
"""What ocfl-py ends on with an exception of its own."""
NOT_ON_DISK = {"E002", "E026", "E051", "E087", "E088"}
"""Codes that ocfl-py lists and says itself cannot be tested, or that others stand for; the page says which."""


@pytest.fixture(scope="module", autouse=True)
def quiet() -> None:
    """ocfl-py logs what it finds."""
    logging.getLogger().setLevel(logging.CRITICAL)


def placed(case: bad_ocfl.Case, tmp_path: Path, root: Path) -> Path:
    return root / case.folder if case.portable else bad_ocfl.write(case, tmp_path / case.folder)


def findings_of(case: bad_ocfl.Case, path: Path) -> list[Finding]:
    assert is_root(path) == (case.is_root and case.clause != "E069")
    return list(validate_root(path, "it")) if case.is_root else validate_object(path, "it")


def judged(case: bad_ocfl.Case, path: Path) -> bool:
    """What ocfl-py says."""
    if case.is_root:
        root = ocfl.StorageRoot(str(path))
        return bool(root.validate()) and root.num_objects == root.good_objects
    return bool(Validator().validate_object(str(path)))


@pytest.mark.parametrize("folder", BAD)
def test_a_bad_object_or_root_is_told_with_its_code(folder: str, tmp_path: Path):
    case = BAD[folder]
    path = placed(case, tmp_path, bad_ocfl.BAD)
    findings = findings_of(case, path)
    assert f"OCFL 1.1 {case.clause}" in {finding.clause for finding in findings}, findings
    for finding in findings:
        assert finding.subject.startswith("it") and finding.message.endswith(".") and "\n" not in finding.message
    assert has_errors(findings)
    if folder not in BREAKS_DOWN:
        assert judged(case, path) == (folder in WE_REFUSE)


@pytest.mark.parametrize("folder", GOOD)
def test_no_error_is_found_in_a_good_one(folder: str, tmp_path: Path):
    case = GOOD[folder]
    path = placed(case, tmp_path, bad_ocfl.GOOD)
    findings = list(validate_root(path, "it")) if folder.startswith("a_root") else validate_object(path, "it")
    warned = {"sha256": "W004", "zero_padded": "W001", "algorithm_changed": "W004"}
    warned["inventory_at_the_top_only"] = "W010"
    expected = {f"OCFL 1.1 {warned[folder]}"} if folder in warned else set()
    assert {finding.clause for finding in findings} == expected
    assert not has_errors(findings)
    if folder.startswith("a_root"):
        root = ocfl.StorageRoot(str(path))
        assert root.validate() and root.num_objects == root.good_objects
    else:
        assert Validator().validate_object(str(path)) != (folder in WE_ACCEPT)


def test_committed_folders_are_what_the_script_makes():
    for root, cases in ((bad_ocfl.BAD, BAD), (bad_ocfl.GOOD, GOOD)):
        on_disk = {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}
        made = {
            f"{case.folder}/{name}": data
            for case in cases.values()
            if case.portable
            for name, data in case.files.items()
        }
        assert on_disk == made


def test_every_code_that_others_know_has_its_folder_or_its_reason():
    known = json.loads((files(ocfl) / "data" / "validation-errors.json").read_text())
    codes = {code[:4] for code in known if code.startswith("E")}
    made = {case.clause for case in BAD.values()}
    assert codes - made == NOT_ON_DISK
    text = PAGE.read_text()
    for word in NOT_ON_DISK | WE_ACCEPT | BREAKS_DOWN | WE_REFUSE:
        assert f"`{word}`" in text, word


def test_what_is_there_besides(tmp_path: Path):
    """A hard link is a warning, no object an error; what cannot be read is told; nothing raises."""
    path = bad_ocfl.write(GOOD["two_versions"], tmp_path / "object")
    assert is_object(path) and not is_root(path) and not is_object(tmp_path)
    os.link(path / "v1/content/scan.tif", tmp_path / "twin")
    (finding,) = validate_object(path)
    assert (finding.code, finding.severity.value) == ("OCFL_HARD_LINK", "warning")
    assert [finding.code for finding in validate_object(tmp_path / "none")] == ["OCFL_OBJECT_MISSING"]
    (tmp_path / "link").symlink_to(path)
    assert [finding.code for finding in validate_object(tmp_path / "link")] == ["OCFL_OBJECT_MISSING"]


def test_a_large_inventory_and_many_faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = bad_ocfl.write(GOOD["two_versions"], tmp_path / "object")
    for number in range(100):
        (path / "v2/content" / str(number)).write_bytes(b"x")
    findings = validate_object(path)
    assert len(findings) == ocfl_foreign.MAX_EACH + 1
    assert findings[-1].message == "And 80 more of this kind."
    monkeypatch.setattr(ocfl_foreign, "MAX_FILES", 50)
    assert "OCFL_TOO_LARGE" in {finding.code for finding in validate_object(path)}
    monkeypatch.setattr(ocfl_foreign, "MAX_INVENTORY", 500)
    assert [finding.code for finding in validate_object(path)] == ["OCFL_TOO_LARGE"]


@pytest.mark.parametrize("data", [b"[" * 100_000, b'{"a":' * 50_000, b"\xff\xfe", b"NaN", b'"x"', b"null", b""])
def test_no_inventory_breaks_the_validator(tmp_path: Path, data: bytes):
    path = bad_ocfl.write(GOOD["two_versions"], tmp_path / "object")
    (path / "inventory.json").write_bytes(data)
    assert "OCFL 1.1 E033" in {finding.clause for finding in validate_object(path)}
