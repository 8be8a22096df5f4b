"""Re-creates the OCFL objects and roots under tests/bad_ocfl and tests/good_ocfl: `python -m tests.support.bad_ocfl`.

One folder a case. A bad one is named for the code of OCFL 1.1 it must be told with, `E0xx_what`; folders with
`_root_` in their name are storage roots, the others objects. Links and empty directories, which git does not keep, are
built by the tests alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BAD = Path(__file__).parents[1] / "bad_ocfl"
GOOD = Path(__file__).parents[1] / "good_ocfl"

Files = dict[str, bytes]
Json = dict[str, Any]
SCAN, NOTES, MORE = b"a scan\n", b"notes\n", b"more notes\n"
TOLD: Json = {
    "created": "2026-11-22T10:00:00Z",
    "message": "why",
    "user": {"name": "A. Adams", "address": "mailto:a@example.org"},
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """One object or storage root."""

    folder: str
    files: Files
    portable: bool = True
    """Whether git can keep it; else only tests build it."""
    after: Callable[[Path], object] | None = None
    """Done to what was written, for what bytes cannot say."""

    @property
    def clause(self) -> str:
        """The code it must be told with."""
        return self.folder.split("_")[0]

    @property
    def is_root(self) -> bool:
        """Whether it is a storage root."""
        return "_root_" in f"{self.folder}_"


def digest(data: bytes, algorithm: str = "sha512") -> str:
    """Hexadecimal."""
    return hashlib.new(algorithm, data).hexdigest()


def inventories(
    *, spec: str = "1.1", algorithm: str = "sha512", content: str = "content", names: tuple[str, str] = ("v1", "v2")
) -> tuple[Json, Json]:
    """Inventories of an object of two versions: in the second one, the notes changed."""
    first, second = names
    made = []
    for head in names:
        manifest = {
            digest(SCAN, algorithm): [f"{first}/{content}/scan.tif"],
            digest(NOTES, algorithm): [f"{first}/{content}/text/notes.txt"],
        }
        versions = {
            first: {
                **TOLD,
                "state": {digest(SCAN, algorithm): ["scan.tif"], digest(NOTES, algorithm): ["text/notes.txt"]},
            }
        }
        if head == second:
            manifest[digest(MORE, algorithm)] = [f"{second}/{content}/text/notes.txt"]
            state = {digest(SCAN, algorithm): ["scan.tif"], digest(MORE, algorithm): ["text/notes.txt"]}
            versions[second] = {**TOLD, "state": state}
        inventory: Json = {
            "id": "info:test/NIPOMO-01",
            "type": f"https://ocfl.io/{spec}/spec/#inventory",
            "digestAlgorithm": algorithm,
            "head": head,
            "manifest": manifest,
            "versions": versions,
        }
        if content != "content":
            inventory["contentDirectory"] = content
        made.append(json.loads(json.dumps(inventory)))
    return made[0], made[1]


def written(
    one: object, two: object, *, spec: str = "1.1", algorithm: str = "sha512", content: str = "content"
) -> Files:
    """The files of an object with these inventories; versions are v1 and v2 whatever they say."""
    files = {
        f"0=ocfl_object_{spec}": f"ocfl_object_{spec}\n".encode(),
        f"v1/{content}/scan.tif": SCAN,
        f"v1/{content}/text/notes.txt": NOTES,
        f"v2/{content}/text/notes.txt": MORE,
    }
    for folder, inventory in zip(("v1/", "v2/", ""), (one, two, two), strict=True):
        files |= _inventory(folder, inventory, algorithm)
    return files


def _inventory(folder: str, inventory: object, algorithm: str = "sha512") -> Files:
    data = inventory if isinstance(inventory, bytes) else f"{json.dumps(inventory, indent=1)}\n".encode()
    return {
        f"{folder}inventory.json": data,
        f"{folder}inventory.json.{algorithm}": f"{digest(data, algorithm)}  inventory.json\n".encode(),
    }


def whole(**words: Any) -> Files:
    """A good object."""
    one, two = inventories(**words)
    return written(one, two, **{name: words[name] for name in ("spec", "algorithm", "content") if name in words})


def forged(change: Callable[[Json], object], *, only_head: bool = True) -> Files:
    """An object whose newest inventory (or both) was changed, with sidecars that agree."""
    one, two = inventories()
    change(two)
    if not only_head:
        change(one)
    return written(one, two)


SUM = digest(SCAN)
OLD = digest(NOTES)
NEW = digest(MORE)


def bad() -> Iterator[Case]:
    """Every bad object and root, in the order of the specification's codes."""
    for folder, files in (*_structure(), *_headers(), *_blocks(), *_sidecars(), *_histories(), *_digests(), *_roots()):
        yield Case(folder=folder, files=files)
    yield from _built()


Pairs = Iterator[tuple[str, Files]]


def _structure() -> Pairs:
    good = whole()
    yield "E001_stray_file", good | {"Thumbs.db": b"x"}
    yield "E001_stray_directory", good | {"backup/scan.tif": SCAN}
    without = {name: data for name, data in good.items() if not name.startswith("0=")}
    yield "E003_no_declaration", without
    yield "E003_two_declarations", good | {"0=ocfl_object_1.0": b"ocfl_object_1.0\n"}
    yield "E004_version_unknown", without | {"0=ocfl_object_9.9": b"ocfl_object_9.9\n"}
    yield "E006_declared_otherwise", without | {"0=ocfl_thing_1.1": b"ocfl_thing_1.1\n"}
    yield "E007_no_line_end", without | {"0=ocfl_object_1.1": b"ocfl_object_1.1"}
    yield "E007_other_content", without | {"0=ocfl_object_1.1": b"ocfl_object_1.0\n"}
    yield "E008_no_versions", forged(lambda i: i.update(versions={}, manifest={}))
    yield "E009_no_first", forged(lambda i: i["versions"].pop("v1"))
    yield (
        "E010_gap",
        forged(lambda i: i.update(head="v4", versions={"v1": i["versions"]["v1"], "v4": i["versions"]["v2"]})),
    )
    yield "E012_padding_mixed", forged(lambda i: i["versions"].update(v02=i["versions"].pop("v2")))
    yield "E015_file_in_version", good | {"v1/notes.txt": b"x"}
    yield "E023_content_unknown", good | {"v2/content/extra.tif": b"x"}
    yield "E046_version_directory_missing", {n: d for n, d in good.items() if not n.startswith("v1/")}
    yield "E046_version_directory_unknown", good | {"v3/content/scan.tif": SCAN}
    yield "E063_no_inventory", {n: d for n, d in good.items() if not n.startswith("inventory.json")}
    yield "E067_file_in_extensions", good | {"extensions/notes.txt": b"x"}


def _headers() -> Pairs:
    yield "E017_content_directory_with_slash", forged(lambda i: i.update(contentDirectory="a/b"))
    yield "E017_content_directory_number", forged(lambda i: i.update(contentDirectory=7))
    yield "E018_content_directory_up", forged(lambda i: i.update(contentDirectory=".."))
    yield "E025_algorithm_md5", forged(lambda i: i.update(digestAlgorithm="md5"))
    yield "E033_not_json", written(inventories()[0], b"{")
    yield "E033_a_list", written(inventories()[0], [])
    yield (
        "E033_member_twice",
        written(inventories()[0], json.dumps(inventories()[1]).replace('"id"', '"id": "x", "id"', 1).encode()),
    )
    for name in ("id", "type", "digestAlgorithm", "head"):
        yield f"E036_no_{name.lower()}", forged(lambda i, name=name: i.pop(name))  # type: ignore[misc]
    yield "E037_id_empty", forged(lambda i: i.update(id=""))
    yield "E037_id_number", forged(lambda i: i.update(id=7))
    yield "E038_type_wrong", forged(lambda i: i.update(type="https://example.org/"))
    yield "E038_type_of_another_version", forged(lambda i: i.update(type="https://ocfl.io/1.0/spec/#inventory"))
    yield "E040_head_older", forged(lambda i: i.update(head="v1"))
    yield "E040_head_unknown", forged(lambda i: i.update(head="v9"))
    yield "E041_no_manifest", forged(lambda i: i.pop("manifest"))
    yield "E041_no_versions", forged(lambda i: i.pop("versions"))
    yield "E041_manifest_list", forged(lambda i: i.update(manifest=[]))
    yield "E044_versions_list", forged(lambda i: i.update(versions=[]))
    yield "E102_unknown_member", forged(lambda i: i.update(colour="red"))


def _blocks() -> Pairs:
    def version(**members: Any) -> Files:
        return forged(lambda i: i["versions"]["v2"].update(members))

    def state(change: Callable[[Json], object]) -> Files:
        return forged(lambda i: change(i["versions"]["v2"]["state"]))

    def listed(change: Callable[[Json], object]) -> Files:
        return forged(lambda i: change(i["manifest"]))

    def fixity(block: object) -> Files:
        return forged(lambda i: i.update(fixity=block))

    yield "E025_digest_short", listed(lambda m: m.update({"abc": ["v2/content/x"]}))
    yield "E042_outside_of_content", listed(lambda m: m[SUM].append("v1/other/scan.tif"))
    yield "E042_unknown_version", listed(lambda m: m[SUM].append("v9/content/scan.tif"))
    yield "E047_version_text", forged(lambda i: i["versions"].update(v2="x"))
    yield "E048_no_created", forged(lambda i: i["versions"]["v2"].pop("created"))
    yield "E048_no_state", forged(lambda i: i["versions"]["v2"].pop("state"))
    yield "E049_created_without_zone", version(created="2026-11-22T10:00:00")
    yield "E049_created_day_only", version(created="2026-11-22")
    yield "E049_created_number", version(created=7)
    yield "E050_state_list", version(state=[])
    yield "E050_digest_unknown", state(lambda s: s.update({"0" * 128: ["ghost"]}))
    yield "E050_paths_text", state(lambda s: s.update({SUM: "scan.tif"}))
    yield "E052_logical_up", state(lambda s: s[SUM].append("../../scan.tif"))
    yield "E052_logical_two_slashes", state(lambda s: s[SUM].append("a//scan.tif"))
    yield "E052_logical_not_text", state(lambda s: s[SUM].append("\udcff.tif"))
    yield "E053_logical_absolute", state(lambda s: s[SUM].append("/scan.tif"))
    yield "E053_logical_directory", state(lambda s: s[SUM].append("scan/"))
    yield "E054_user_text", version(user="A. Adams")
    yield "E054_user_without_name", version(user={"address": "mailto:a@example.org"})
    yield "E054_user_address_number", version(user={"name": "A", "address": 7})
    yield "E056_fixity_unknown_algorithm", fixity({"crc32": {"00000000": ["v1/content/scan.tif"]}})
    yield "E057_fixity_list", fixity({"md5": []})
    yield "E057_fixity_digest_short", fixity({"md5": {"abc": ["v1/content/scan.tif"]}})
    yield "E057_fixity_not_in_manifest", fixity({"md5": {digest(b"", "md5"): ["v1/content/none"]}})
    yield "E091_paths_text", listed(lambda m: m.update({SUM: "v1/content/scan.tif"}))
    yield "E093_fixity_wrong", fixity({"md5": {digest(b"", "md5"): ["v1/content/scan.tif"]}})
    yield "E094_message_number", version(message=7)
    yield "E095_logical_twice", state(lambda s: s[SUM].append("text/notes.txt"))
    yield "E095_file_and_directory", state(lambda s: s[SUM].append("text"))
    yield "E096_digest_in_two_cases", listed(lambda m: m.update({NEW.upper(): m[NEW]}))
    both = {digest(SCAN, "md5"): ["v1/content/scan.tif"], digest(SCAN, "md5").upper(): ["v1/content/scan.tif"]}
    yield "E097_fixity_digest_in_two_cases", fixity({"md5": both})
    yield "E099_content_up", listed(lambda m: m[SUM].append("v1/content/../../../secret"))
    yield "E099_content_not_text", listed(lambda m: m[SUM].append("v1/content/\ud800.tif"))
    yield "E100_content_absolute", listed(lambda m: m[SUM].append("/etc/passwd"))
    yield "E101_content_twice", listed(lambda m: m[SUM].append("v1/content/scan.tif"))
    yield "E101_file_and_directory", listed(lambda m: m[SUM].append("v1/content/text"))
    yield "E104_version_without_v", forged(lambda i: i["versions"].update({"2": i["versions"].pop("v2")}))
    yield "E105_version_zero", forged(lambda i: i["versions"].update(v0=i["versions"]["v1"]))
    yield "E107_content_unused", forged(lambda i: i["versions"]["v2"]["state"].pop(NEW))
    yield "E111_fixity_text", fixity("x")


def _sidecars() -> Pairs:
    good = whole()
    name = "inventory.json.sha512"
    yield "E058_no_sidecar", {n: d for n, d in good.items() if n != name}
    yield "E058_no_sidecar_in_version", {n: d for n, d in good.items() if n != f"v1/{name}"}
    data = good["inventory.json"]
    other = {"inventory.json.sha256": f"{digest(data, 'sha256')}  inventory.json\n".encode()}
    yield "E059_sidecar_of_other_algorithm", {n: d for n, d in good.items() if n != name} | other
    yield "E060_inventory_changed", good | {"inventory.json": data + b"\n", "v2/inventory.json": data + b"\n"}
    yield "E060_version_inventory_changed", good | {"v1/inventory.json": good["v1/inventory.json"] + b"\n"}
    yield "E061_no_file_name", good | {name: f"{digest(data)}\n".encode()}
    yield "E061_empty", good | {name: b""}
    one, two = inventories()
    again = json.dumps(two).encode()
    yield "E064_newest_differs", written(one, two) | _inventory("", again)


def _histories() -> Pairs:
    one, two = inventories()
    renamed = json.loads(json.dumps(one))
    renamed["versions"]["v1"]["state"][SUM] = ["renamed.tif"]
    yield "E066_renamed_in_history", written(renamed, two)
    swapped = json.loads(json.dumps(one))
    swapped["versions"]["v1"]["state"] = {SUM: ["text/notes.txt"], OLD: ["scan.tif"]}
    yield "E066_swapped_in_history", written(swapped, two)
    other = json.loads(json.dumps(one))
    other["id"] = "info:test/OTHER"
    yield "E110_id_changed", written(other, two)
    more = json.loads(json.dumps(one))
    more["manifest"][SUM].append("v1/content/copy.tif")
    yield "E023_forgotten_by_newest", written(more, two) | {"v1/content/copy.tif": SCAN}
    early, _ = inventories(spec="1.1")
    _, late = inventories(spec="1.0")
    yield "E103_specification_went_back", written(early, late, spec="1.0")
    head = json.loads(json.dumps(one))
    head["head"] = "v2"
    yield "E040_head_in_version", written(head, two)
    _, named = inventories(content="files")
    named = json.loads(json.dumps(named).replace("v1/files", "v1/content"))
    yield "E019_content_directory_set_later", written(one, named)
    first, second = inventories(content="files")
    del second["contentDirectory"]
    yield "E020_content_directory_dropped", written(first, second, content="files")


def _digests() -> Pairs:
    good = whole()
    yield "E092_content_changed", good | {"v1/content/scan.tif": b"a scam\n"}
    yield "E092_old_content_changed", good | {"v1/content/text/notes.txt": b"Notes\n"}
    yield "E092_content_missing", {n: d for n, d in good.items() if n != "v2/content/text/notes.txt"}


LAYOUT = {"extension": "0002-flat-direct-storage-layout", "description": "one directory an object"}


def root(*, spec: str = "1.1", layout: object = LAYOUT, objects: dict[str, Files] | None = None) -> Files:
    """A good storage root."""
    files = {f"0=ocfl_{spec}": f"ocfl_{spec}\n".encode()}
    if layout is not None:
        files["ocfl_layout.json"] = json.dumps(layout).encode()
    for place, inside in (objects or {"object": whole()}).items():
        files |= {f"{place}/{name}": data for name, data in inside.items()}
    return files


def _roots() -> Pairs:
    good = root()
    without = {name: data for name, data in good.items() if not name.startswith("0=")}
    yield "E037_root_id_twice", root(objects={"a": whole(), "b": whole()})
    yield "E069_root_no_declaration", without
    yield "E070_root_layout_list", root(layout=[])
    yield "E070_root_layout_no_description", root(layout={"extension": "0002-flat-direct-storage-layout"})
    yield "E071_root_layout_unregistered", root(layout={"extension": "My Layout", "description": ""})
    yield "E072_root_file_between", root(objects={"ab/object": whole()}) | {"ab/notes.txt": b"x"}
    yield "E072_root_directory_without_object", good | {"scans/scan.tif": SCAN}
    yield "E076_root_two_declarations", good | {"0=ocfl_1.0": b"ocfl_1.0\n"}
    yield "E079_root_declared_otherwise", without | {"0=ocfl_9.9": b"ocfl_9.9\n"}
    yield "E080_root_other_content", without | {"0=ocfl_1.1": b"ocfl_1.0\n"}
    yield "E081_root_older_than_object", root(spec="1.0")
    yield "E086_root_file_in_extensions", good | {"extensions/notes.txt": b"x"}
    yield "E092_root_content_changed", good | {"object/v1/content/scan.tif": b"a scam\n"}


def _built() -> Iterator[Case]:
    """Links and empty directories."""

    def relink(folder: Path) -> None:
        (folder / "v1/content/scan.tif").rename(folder / "v1/content/elsewhere")
        (folder / "v1/content/scan.tif").symlink_to("elsewhere")

    def built(folder: str, files: Files, after: Callable[[Path], object]) -> Case:
        return Case(folder=folder, files=files, portable=False, after=after)

    yield built("E024_empty_directory", whole(), lambda d: (d / "v1/content/empty").mkdir())
    yield built("E090_link_to_content", whole(), relink)
    yield built("E090_link_in_object", whole(), lambda d: (d / "v3").symlink_to("v1"))
    yield built("E090_link_for_inventory", whole(), lambda d: _move_and_link(d / "inventory.json"))
    yield built("E023_pipe_in_content", whole(), lambda d: os.mkfifo(d / "v2/content/pipe"))
    yield built("E073_root_empty_directory", root(), lambda d: (d / "ab/cd").mkdir(parents=True))
    yield built("E090_root_link", root(), lambda d: (d / "twin").symlink_to("object"))


def _move_and_link(path: Path) -> None:
    path.rename(path.parent.parent / f"{path.parent.name}-moved")
    path.symlink_to(path.parent.parent / f"{path.parent.name}-moved")


def good() -> Iterator[Case]:
    """Every good object and root; recommendations may be broken."""
    yield Case(folder="two_versions", files=whole())
    yield Case(folder="specification_10", files=whole(spec="1.0"))
    yield Case(folder="sha256", files=whole(algorithm="sha256"))
    yield Case(folder="own_content_directory", files=whole(content="files"))
    one, two = inventories(names=("v001", "v002"))
    padded = written(one, two)
    yield Case(folder="zero_padded", files={_padded(name): data for name, data in padded.items()})
    upper = forged(lambda i: i["versions"]["v2"]["state"].update({SUM.upper(): i["versions"]["v2"]["state"].pop(SUM)}))
    yield Case(folder="digest_in_other_case", files=upper)
    md5 = {"md5": {digest(SCAN, "md5"): ["v1/content/scan.tif"]}}
    yield Case(folder="fixity_md5", files=forged(lambda i: i.update(fixity=md5)))
    yield Case(folder="logs_and_extensions", files=whole() | {"logs/2026.txt": b"x", "extensions/0005-x/a.txt": b"x"})
    bare = {name: data for name, data in whole().items() if not name.startswith(("v1/inv", "v2/inv"))}
    yield Case(folder="inventory_at_the_top_only", files=bare)
    first, _ = inventories(spec="1.0")
    _, later = inventories(spec="1.1")
    yield Case(folder="upgraded_from_10", files=written(first, later))
    yield Case(folder="copied_content", files=_copied())
    mixed, _ = inventories(algorithm="sha256")
    newer = written(mixed, inventories()[1]) | _inventory("v1/", mixed, "sha256")
    del newer["v1/inventory.json.sha512"]
    yield Case(folder="algorithm_changed", files=newer)
    yield Case(folder="a_root_of_one", files=root())
    _, second = _renamed()
    yield Case(folder="a_root_of_two", files=root(objects={"ab/one": whole(), "cd/two": second}, layout=None))


def _padded(name: str) -> str:
    return name.replace("v1/", "v001/").replace("v2/", "v002/")


def _renamed() -> tuple[Files, Files]:
    one, two = inventories()
    for inventory in (one, two):
        inventory["id"] = "info:test/NIPOMO-02"
    return whole(), written(one, two)


def _copied() -> Files:
    one, two = inventories()
    two["manifest"][SUM].append("v2/content/scan.tif")
    return written(one, two) | {"v2/content/scan.tif": SCAN}


def write(case: Case, folder: Path) -> Path:
    """Write an object or root to a folder that does not exist yet."""
    for name, data in case.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    if case.after is not None:
        case.after(folder)
    return folder


def write_all() -> None:
    """Write every portable case to its folder, and nothing else there."""
    for place, cases in ((BAD, bad()), (GOOD, good())):
        shutil.rmtree(place, ignore_errors=True)
        for case in cases:
            if case.portable:
                write(case, place / case.folder)


if __name__ == "__main__":
    write_all()
