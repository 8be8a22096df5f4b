"""Every kind of damage to a storage root gets its own finding; ocfl-py, the independent judge, objects too."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ocfl
import pytest
from ocfl.validator import Validator

from archive_restore.adapters import ocfl_layout
from archive_restore.adapters.ocfl import create_root, open_preservation_root
from archive_restore.records.findings import Severity
from archive_restore.records.objects import MasterRef
from archive_restore.records.preservation import PreservationKind, PreservationRef

TOLD: dict[str, Any] = {"created": "2026-11-22T10:00:00Z", "message": "why", "user": "A <a@example.org>"}
OBJECT_ID = "NIPOMO-01/restoration"
OBJECT = ocfl_layout.object_path(OBJECT_ID)


@pytest.fixture
def root(tmp_path: Path):
    """A root with a master and a restoration of two versions."""
    create_root(tmp_path / "root")
    made = open_preservation_root(tmp_path / "root", tmp_path / "work")
    staged = made.stage("NIPOMO-01")
    staged.write("scan.tif", b"scan")
    made.commit(MasterRef(item_id="NIPOMO-01"), staged, **TOLD)
    for version in (1, 2):
        staged = made.stage(OBJECT_ID)
        staged.write("picture.tif", b"v%d" % version)
        staged.write("maps/map.png", b"map %d" % version)
        ref = PreservationRef(item_id="NIPOMO-01", kind=PreservationKind.RESTORATION, version=version)
        made.commit(ref, staged, **TOLD)
    assert list(made.validate()) == []
    return made


def rewrite(change: Callable[[dict[str, Any]], None], *, head: str = "v2") -> Callable[[Path], None]:
    """Change the inventory and make its copies and sidecars agree, as a careful forger would."""

    def apply(directory: Path) -> None:
        inventory = json.loads((directory / "inventory.json").read_bytes())
        change(inventory)
        data = json.dumps(inventory).encode()
        for place in (directory, directory / head):
            (place / "inventory.json").write_bytes(data)
            (place / "inventory.json.sha512").write_text(f"{hashlib.sha512(data).hexdigest()}  inventory.json\n")

    return apply


def flip(name: str) -> Callable[[Path], None]:
    def apply(directory: Path) -> None:
        path = directory / name
        path.chmod(0o644)
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)

    return apply


def link(directory: Path) -> None:
    target = directory / "v2/content/picture.tif"
    target.rename(directory / "v2/content/elsewhere")
    target.symlink_to("elsewhere")


def extension(directory: Path) -> None:
    (directory / "extensions").mkdir()
    (directory / "extensions/x").write_bytes(b"")


def first_digest(inventory: dict[str, Any]) -> str:
    return next(iter(inventory["versions"]["v2"]["state"]))


def move_state(inventory: dict[str, Any]) -> None:
    inventory["versions"]["v2"]["state"]["0" * 128] = ["ghost"]


def add_path(path: str) -> Callable[[dict[str, Any]], None]:
    return lambda inventory: inventory["versions"]["v2"]["state"][first_digest(inventory)].append(path)


def bad_content_path(inventory: dict[str, Any]) -> None:
    inventory["manifest"][first_digest(inventory)].append("v2/elsewhere/x")


def unused(inventory: dict[str, Any]) -> None:
    del inventory["versions"]["v2"]["state"][first_digest(inventory)]


def no_fixity(inventory: dict[str, Any]) -> None:
    inventory["fixity"] = {}


def other_history(inventory: dict[str, Any]) -> None:
    state = inventory["versions"]["v1"]["state"]
    state[next(iter(state))] = ["renamed.tif"]


def swap_sha256(inventory: dict[str, Any]) -> None:
    block = inventory["fixity"]["sha256"]
    first, second, *_ = block
    block[first], block[second] = block[second], block[first]


CASES: dict[str, tuple[Callable[[Path], None], str, bool | None]] = {
    # what is done to the object: (how, the finding, whether ocfl-py objects to it too; None where it breaks down)
    "flipped content bit": (flip("v2/content/picture.tif"), "OCFL_DIGEST_MISMATCH", True),
    "flipped bit of an old version": (flip("v1/content/maps/map.png"), "OCFL_DIGEST_MISMATCH", True),
    "flipped inventory bit": (flip("inventory.json"), "OCFL_INVENTORY_DIGEST", True),
    "flipped sidecar bit": (flip("inventory.json.sha512"), "OCFL_INVENTORY_DIGEST", True),
    "flipped version inventory bit": (flip("v1/inventory.json"), "OCFL_INVENTORY_DIGEST", True),
    "flipped head inventory bit": (flip("v2/inventory.json"), "OCFL_COPY_DIFFERS", True),
    "flipped declaration bit": (flip("0=ocfl_object_1.1"), "OCFL_OBJECT_DECLARATION", True),
    "content removed": (lambda d: (d / "v1/content/picture.tif").unlink(), "OCFL_CONTENT_MISSING", True),
    "content added": (lambda d: (d / "v2/content/x").write_bytes(b""), "OCFL_CONTENT_STRAY", True),
    "file in the object": (lambda d: (d / "Thumbs.db").write_bytes(b""), "OCFL_OBJECT_STRAY", True),
    "directory in the object": (lambda d: (d / "x").mkdir(), "OCFL_OBJECT_STRAY", True),
    "file in a version": (lambda d: (d / "v1/Thumbs.db").write_bytes(b""), "OCFL_VERSION_STRAY", True),
    "empty directory": (lambda d: (d / "v2/content/x").mkdir(), "OCFL_EMPTY_DIRECTORY", True),
    "version removed": (lambda d: shutil.rmtree(d / "v1"), "OCFL_VERSION_MISSING", True),
    "version added": (lambda d: shutil.copytree(d / "v1", d / "v3"), "OCFL_VERSION_UNEXPECTED", True),
    "inventory removed": (lambda d: (d / "inventory.json").unlink(), "OCFL_INVENTORY_MISSING", True),
    "sidecar removed": (lambda d: (d / "inventory.json.sha512").unlink(), "OCFL_SIDECAR_MISSING", True),
    "sidecar garbled": (lambda d: (d / "inventory.json.sha512").write_text("?"), "OCFL_SIDECAR_MALFORMED", True),
    "declaration removed": (lambda d: (d / "0=ocfl_object_1.1").unlink(), "OCFL_OBJECT_DECLARATION", True),
    "second declaration": (lambda d: (d / "0=ocfl_object_1.0").write_text("x"), "OCFL_OBJECT_DECLARATION", True),
    "symbolic link": (link, "OCFL_LINK", True),
    "hard link": (lambda d: os.link(d / "v1/content/picture.tif", d / "../twin"), "OCFL_HARD_LINK", False),
    "not JSON": (lambda d: (d / "inventory.json").write_bytes(b"{"), "OCFL_INVENTORY_MALFORMED", True),
    "wrong id": (rewrite(lambda i: i.update(id="OTHER/restoration")), "OCFL_OBJECT_MISPLACED", True),
    "wrong head": (rewrite(lambda i: i.update(head="v1")), "OCFL_HEAD_WRONG", True),
    "wrong type": (rewrite(lambda i: i.update(type="x")), "OCFL_INVENTORY_MALFORMED", True),
    "wrong algorithm": (rewrite(lambda i: i.update(digestAlgorithm="md5")), "OCFL_INVENTORY_MALFORMED", True),
    "no versions": (rewrite(lambda i: i.update(versions={})), "OCFL_INVENTORY_MALFORMED", True),
    "no manifest": (rewrite(lambda i: i.pop("manifest")), "OCFL_INVENTORY_MALFORMED", None),
    "gap in versions": (
        rewrite(lambda i: i["versions"].update(v4=i["versions"].pop("v2"))),
        "OCFL_VERSIONS_BROKEN",
        True,
    ),
    "state without content": (rewrite(move_state), "OCFL_STATE_WRONG", True),
    "path out of the object": (rewrite(add_path("../../x")), "OCFL_PATH_UNSAFE", True),
    "path listed twice": (rewrite(add_path("picture.tif")), "OCFL_STATE_WRONG", True),
    "content outside of content": (rewrite(bad_content_path), "OCFL_CONTENT_PATH", True),
    "content without use": (rewrite(unused), "OCFL_MANIFEST_UNUSED", True),
    "unknown member": (rewrite(lambda i: i.update(colour="red")), "OCFL_INVENTORY_MALFORMED", False),
    "impossible day": (
        rewrite(lambda i: i["versions"]["v2"].update(created="2026-11-32T10:00:00Z")),
        "OCFL_INVENTORY_MALFORMED",
        True,
    ),
    "file among extensions": (extension, "OCFL_EXTENSION_STRAY", True),
    "no sha256": (rewrite(no_fixity), "OCFL_FIXITY_INCOMPLETE", False),
    "wrong sha256": (rewrite(swap_sha256), "OCFL_FIXITY_MISMATCH", True),
    "rewritten history": (rewrite(other_history), "OCFL_HISTORY_CHANGED", True),
    "no version inventory": (
        lambda d: [(d / "v1" / n).unlink() for n in ("inventory.json", "inventory.json.sha512")],
        "OCFL_VERSION_INVENTORY_MISSING",
        False,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_damage_to_an_object_is_found_and_named(root, tmp_path, case):
    damage, code, judged = CASES[case]
    damage(tmp_path / "root" / OBJECT)
    for findings in (list(root.validate()), list(root.validate([OBJECT_ID]))):
        assert code in {f.code for f in findings}, findings
        assert all(f.message and f.clause and f.subject for f in findings)
        assert all("NIPOMO-01/restoration" in f.subject for f in findings if f.code == code)
    if judged is not None:
        assert Validator().validate_object(str(tmp_path / "root" / OBJECT)) != judged
    assert list(root.validate(["NIPOMO-01"])) == []


def test_findings_name_the_version_and_the_file(root, tmp_path):
    flip("v1/content/maps/map.png")(tmp_path / "root" / OBJECT)
    findings = list(root.validate())
    assert {f.subject for f in findings} == {"NIPOMO-01/restoration@1: v1/content/maps/map.png"}
    assert {(f.code, f.clause) for f in findings} == {
        ("OCFL_DIGEST_MISMATCH", "OCFL 1.1 E092"),
        ("OCFL_FIXITY_MISMATCH", "OCFL 1.1 E093"),
    }
    assert list(root.validate(fixity=False)) == []


ROOT_CASES: dict[str, tuple[Callable[[Path], object], str, bool]] = {
    "no declaration": (lambda r: (r / "0=ocfl_1.1").unlink(), "OCFL_ROOT_DECLARATION", True),
    "wrong declaration": (lambda r: (r / "0=ocfl_1.1").write_text("ocfl_1.0\n"), "OCFL_ROOT_DECLARATION", True),
    "two declarations": (lambda r: (r / "0=ocfl_1.0").write_text("ocfl_1.0\n"), "OCFL_ROOT_DECLARATION", True),
    "layout garbled": (lambda r: (r / "ocfl_layout.json").write_text("[]"), "OCFL_ROOT_LAYOUT", True),
    "another layout": (
        lambda r: (r / "ocfl_layout.json").write_text(
            '{"extension":"0002-flat-direct-storage-layout","description":""}'
        ),
        "OCFL_ROOT_LAYOUT",
        False,
    ),
    "no configuration": (lambda r: next(r.rglob("config.json")).unlink(), "OCFL_ROOT_LAYOUT", False),
    "stray file between objects": (lambda r: (r / OBJECT.parent / "x").write_bytes(b""), "OCFL_STRAY_FILE", True),
    "empty directory": (lambda r: (r / "abc/def").mkdir(parents=True), "OCFL_ROOT_EMPTY_DIRECTORY", True),
    "link in the root": (lambda r: (r / "abc").symlink_to(OBJECT.parts[0]), "OCFL_LINK", False),
    "file in the root": (lambda r: (r / "notes.txt").write_bytes(b""), "OCFL_ROOT_STRAY", False),
    "object elsewhere": (
        lambda r: (r / OBJECT).rename(r / OBJECT.parent / "OTHER"),
        "OCFL_OBJECT_MISPLACED",
        False,
    ),
    "object too high": (lambda r: (r / OBJECT).rename(r / "OTHER"), "OCFL_OBJECT_MISPLACED", False),
}


@pytest.mark.parametrize("case", ROOT_CASES)
def test_damage_to_the_root_is_found_and_named(root, tmp_path, case):
    damage, code, judged = ROOT_CASES[case]
    damage(tmp_path / "root")
    findings = list(root.validate())
    assert code in {f.code for f in findings}, findings
    assert all(f.clause for f in findings)
    if judged:
        assert not ocfl.StorageRoot(str(tmp_path / "root")).validate()


def test_an_object_that_is_not_there_is_a_finding(root):
    assert [f.code for f in root.validate(["NOTHING"])] == ["OCFL_OBJECT_MISSING"]


def test_an_unreadable_file_is_a_finding(root, tmp_path, monkeypatch):
    read = os.open
    monkeypatch.setattr(
        os, "open", lambda path, *rest, **more: read(path if "picture" not in str(path) else "/nowhere", *rest, **more)
    )
    assert {f.code for f in root.validate()} == {"OCFL_UNREADABLE"}


def test_every_bit_of_the_inventory_counts(root, tmp_path):
    """Whatever bit flips in the files that describe an object, something is said about it."""
    directory = tmp_path / "root" / OBJECT
    for name in ("inventory.json", "inventory.json.sha512", "v2/inventory.json.sha512", "0=ocfl_object_1.1"):
        good = (directory / name).read_bytes()
        for position in range(0, len(good) * 8, max(1, len(good) // 40)):
            data = bytearray(good)
            data[position // 8] ^= 1 << position % 8
            (directory / name).write_bytes(data)
            found = list(root.validate([OBJECT_ID], fixity=False))
            assert any(f.severity is Severity.ERROR for f in found), (name, position)
        (directory / name).write_bytes(good)
    assert list(root.validate()) == []
