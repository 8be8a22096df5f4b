"""Bags made to fit a profile, or refused; tag files whose values stay values. Judges: bagit-utils, bagit-python."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
import sys
from collections.abc import Iterable
from copy import deepcopy
from pathlib import Path
from typing import Any

import bagit
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archive_restore.adapters.bagit import BagExporter
from archive_restore.adapters.bagit_validate import validate_bag
from archive_restore.core.bag_profile import read_profile
from archive_restore.core.bag_text import bag_info, encoded, label_problem, manifest, plain
from archive_restore.core.bagit import CURRENT, Entry, manifest_entry, read_info
from archive_restore.errors import SelfCheckFailed, UsageError
from archive_restore.records.objects import Description, FileFacts, Master, MasterRef
from archive_restore.records.packages import Package, PackedFile, PackedVersion, Side

BASE: dict[str, Any] = {
    "BagIt-Profile-Info": {
        "BagIt-Profile-Identifier": "https://example.org/profile.json", "BagIt-Profile-Version": "1.4.0",
        "Source-Organization": "Consortium", "External-Description": "Photographs", "Version": "1",
    },
    "Accept-BagIt-Version": ["1.0"],
}  # fmt: skip


@pytest.fixture
def package(tmp_path: Path) -> Package:
    return packed(tmp_path / "source", {"scan.tif": b"scan", "item.json": b"{}", "premis.xml": b"<premis/>"})


def packed(source: Path, files: dict[str, bytes]) -> Package:
    """A package of one master."""
    source.mkdir()
    made = []
    for name, data in files.items():
        (source / name).write_bytes(data)
        both = {algorithm: hashlib.new(algorithm, data).hexdigest() for algorithm in ("sha512", "sha256")}
        made.append(PackedFile(ref="one", name=name, path=source / name, size=len(data), mime="image/tiff", **both))
    facts = FileFacts(name="scan.tif", size=4, sha512="", sha256="", puid="fmt/353", mime="image/tiff")
    master = Master(
        ref=MasterRef(item_id="one"), description=Description(title="The well"), file=facts, picture=None, findings=(),
        original_path="scan.tif", ingested="2026-01-01T00:00:00Z",
    )  # fmt: skip
    version = PackedVersion(ref="one", record=master, files=tuple(made), events=())
    return Package(
        name="one", side=Side.RECORD, master=master, versions=(version,), organization="Museum",
        made="2026-01-02T00:00:00Z", agent="archive-restore 0",
    )  # fmt: skip


def written(package: Package, to: Path, profile: dict[str, Any] | None = None, *info: tuple[str, str]) -> Path:
    path = None
    if profile is not None:
        path = to.with_suffix(".json")
        path.write_text(json.dumps(profile))
    to.mkdir()
    exporter = BagExporter().bound(path, info)
    exporter.write(package, to)
    assert list(exporter.check(to)) == []
    return to


def judge_says(bag: Path, profile: dict[str, Any]) -> bool:
    utils = pytest.importorskip("bagit_utils", reason="bagit-utils is not installed")
    return bool(utils.BagValidator.validate_once(utils.Bag(bag), profile=profile).valid)


def profile(**members: Any) -> dict[str, Any]:
    return {**deepcopy(BASE), **{name.replace("_", "-").replace("--", "."): value for name, value in members.items()}}


FITTING = {
    "nothing": profile(),
    "given": profile(Bag_Info={"Contact-Name": {"required": True, "values": ["A. Keeper", "B. Keeper"]}}),
    "one value": profile(Bag_Info={"Rights": {"required": True, "values": ["public"]}}),
    "ours": profile(Bag_Info={"Source-Organization": {"required": True, "values": ["Museum"]}}),
    "optional": profile(Bag_Info={"Bag-Count": {"required": False, "values": ["1 of 1"]}}),
    "md5": profile(Manifests_Required=["md5", "sha1"], Tag_Manifests_Required=["sha1"]),
    "sha256 only": profile(Manifests_Allowed=["sha256"], Tag_Manifests_Allowed=["sha256"]),
    "no about": profile(Tag_Files_Allowed=["bag-info.txt"]),
    "about": profile(Tag_Files_Allowed=["*.txt"], Tag_Files_Required=["about.txt"]),
    "payload": profile(Payload_Files_Required=["data/master/premis.xml"], Payload_Files_Allowed=["data/*"]),
    "folder": profile(Serialization="forbidden"),
    "no fetch": profile(**{"Allow-Fetch.txt": False}),
}


@pytest.mark.parametrize("name", FITTING)
def test_a_bag_fits(package: Package, tmp_path: Path, name: str):
    bag = written(package, tmp_path / "bag", FITTING[name], ("Contact-Name", "A. Keeper"))
    bagit.Bag(str(bag)).validate()
    assert judge_says(bag, FITTING[name])


UNMET = {
    "it requires Contact-Phone": profile(Bag_Info={"Contact-Phone": {"required": True}}),
    "not 'Museum'": profile(Bag_Info={"Source-Organization": {"required": True, "values": ["Library", "Gallery"]}}),
    "it requires Rights (public or restricted)": profile(
        Bag_Info={"Rights": {"required": True, "values": ["public", "restricted"]}}
    ),
    "BagIt version 0.96": profile(**{"Accept-BagIt-Version": ["0.96"]}),
    "takes application/x-7z-compressed": profile(
        Serialization="required", Accept_Serialization=["application/x-7z-compressed"]
    ),
    "wants a fetch.txt": profile(**{"Allow-Fetch.txt": True, "Fetch.txt-Required": True}),
    "wants an empty payload": profile(Data_Empty=True),
    "not made here: whirlpool": profile(Manifests_Required=["whirlpool"]),
    "it allows none of the digests": profile(Manifests_Allowed=["whirlpool"]),
    "it requires the tag file dpn/registry": profile(Tag_Files_Required=["dpn/registry"]),
    "it requires data/mets.xml": profile(Payload_Files_Required=["data/mets.xml"]),
    "it does not allow data/master/item.json and 1 more": profile(Payload_Files_Allowed=["data/*.tif"]),
}
NOT_JUDGED = {"not made here: whirlpool", "it allows none of the digests", "takes application/x-7z-compressed"}
"""bagit-utils takes no profile with a digest that it does not know, and does not ask how a bag came."""


@pytest.mark.parametrize("told", UNMET)
def test_a_profile_that_cannot_be_met_is_refused_before_a_byte_is_copied(package: Package, tmp_path: Path, told: str):
    with pytest.raises(UsageError) as refused:
        written(package, tmp_path / "bag", UNMET[told])
    assert told in str(refused.value) and "https://example.org/profile.json" in str(refused.value)
    assert list((tmp_path / "bag").iterdir()) == []
    if told not in NOT_JUDGED:
        plain_bag = written(
            package, tmp_path / "plain", None, ("BagIt-Profile-Identifier", "https://example.org/profile.json")
        )
        assert not judge_says(plain_bag, UNMET[told])


@pytest.mark.parametrize("form", ["tar", "zip"])
def test_a_bag_becomes_one_file_where_a_profile_wants_it(package: Package, tmp_path: Path, form: str):
    wanted = profile(Serialization="required", Accept_Serialization=[f"application/{form}", "application/gzip"])
    to = written(package, tmp_path / "packed", wanted)
    assert [path.name for path in to.iterdir()] == [f"one.{form}"]
    names = subprocess.run(
        ["tar", "-tf", to / "one.tar"] if form == "tar" else [sys.executable, "-m", "zipfile", "-l", to / "one.zip"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert "one/data/master/scan.tif" in names and "one/bagit.txt" in names
    shutil.unpack_archive(to / f"one.{form}", tmp_path / "out", **({"filter": "data"} if form == "tar" else {}))
    bagit.Bag(str(tmp_path / "out" / "one")).validate()
    assert judge_says(tmp_path / "out" / "one", wanted)
    data = bytearray((to / f"one.{form}").read_bytes())
    place = data.index(b"<premis/>")
    data[place : place + 9] = b"<promis/>"
    (to / f"one.{form}").write_bytes(data)
    exporter = BagExporter().bound((tmp_path / "packed.json"), ())
    if form == "tar":
        assert {finding.code for finding in exporter.check(to)} == {"BAG_DIGEST_MISMATCH"}
    else:
        assert [finding.code for finding in exporter.check(to)] == ["BAG_PACKED_UNREADABLE"]
    assert [path.name for path in to.iterdir()] == [f"one.{form}"]


@pytest.mark.parametrize(
    "broken",
    [
        None, [], "x", {}, {"BagIt-Profile-Info": []}, {"BagIt-Profile-Info": {"BagIt-Profile-Identifier": " "}},
        profile(Manifests_Required="md5"), profile(Manifests_Allowed=[1]), profile(Serialization="maybe"),
        profile(Data_Empty="no"), profile(Bag_Info=[]), profile(Bag_Info={"A": True}),
        profile(Bag_Info={"A": {"values": "x"}}), profile(Bag_Info={"A": {"required": "yes"}}),
    ],
)  # fmt: skip
def test_what_is_no_profile_is_told_in_a_sentence(broken: object):
    found, problem = read_profile(broken)
    assert found is None and problem


def test_a_check_sees_what_changed_since_it_was_written(package: Package, tmp_path: Path):
    to = tmp_path / "bag"
    to.mkdir()
    exporter = BagExporter()
    exporter.write(package, to)
    (to / "data" / "master" / "scan.tif").write_bytes(b"scam")
    assert {finding.code for finding in exporter.check(to)} == {"BAG_DIGEST_MISMATCH"}
    (to / "data" / "master" / "scan.tif").write_bytes(b"scan")
    assert list(exporter.check(to)) == [] == validate_bag(to)


def test_other_bytes_than_the_archive_says_are_no_bag(package: Package, tmp_path: Path):
    package.versions[0].files[0].path.write_bytes(b"scam")
    (tmp_path / "bag").mkdir()
    with pytest.raises(SelfCheckFailed, match="other bytes than the archive stored"):
        BagExporter(threads=2).write(package, tmp_path / "bag")


def test_many_files_are_copied_by_several_threads(tmp_path: Path):
    files = {f"{number:02}-é.bin": bytes([number]) * 1000 for number in range(40)}
    package = packed(tmp_path / "source", files)
    to = tmp_path / "bag"
    to.mkdir()
    BagExporter(threads=4).write(package, to)
    bagit.Bag(str(to)).validate()
    assert {path.name: path.read_bytes() for path in (to / "data" / "master").iterdir()} == files


# --- text --------------------------------------------------------------------------------------------


def unfolded(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(label, " ".join(value.split())) for label, value in pairs]


@settings(max_examples=50)
@given(st.lists(st.tuples(st.text(max_size=30), st.text(max_size=300)), max_size=5))
def test_values_stay_values(said: list[tuple[str, str]]):
    said = [(label, value) for label, value in said if not label_problem(label)]
    data = bag_info(said)
    meant = [(label, plain(value)) for label, value in said if plain(value)]
    lines = data.decode().splitlines()
    elements, faults = read_info(lines, CURRENT, "bag-info.txt")
    assert unfolded(elements) == unfolded(meant)
    assert {fault.code for fault in faults} <= {"BAG_INFO_REPEATED", "BAG_INFO_VALUE", "BAG_OXUM_MALFORMED"}
    assert unfolded(bagit._parse_tags(io.StringIO(data.decode()))) == unfolded(meant)


@given(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0/"), min_size=1).map(lambda n: f"data/{n}")
)
def test_paths_come_back_from_manifests(path: str):
    if "\\" in path:
        return
    text = manifest({path: "ab" * 32}).decode()
    assert text.endswith("\n") and text.count("\n") == 1 and "\r" not in text
    entry = manifest_entry(text[:-1], "sha256", CURRENT)
    assert isinstance(entry, Entry) or path.endswith(("/.", "/..")), entry
    if isinstance(entry, Entry):
        assert entry.path == path and entry.faults == ()
    assert encoded("100%\r\n") == "100%25%0D%0A"
