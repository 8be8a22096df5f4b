"""The storage roots: what is written is what OCFL says (ocfl-py is the judge), whole or absent, and never mixed."""

import errno
import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any, cast

import ocfl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ocfl.layout_0003_hash_and_id_n_tuple import Layout_0003_Hash_And_Id_N_Tuple
from ocfl.validator import Validator

from archive_restore.adapters import durable, ocfl_layout
from archive_restore.adapters.ocfl import create_root, open_preservation_root, open_story_root
from archive_restore.core.refs import identifier_problem
from archive_restore.errors import (
    ReferenceUnknown,
    SelfCheckFailed,
    SeparationViolated,
    SourceUnreadable,
    StorageConflict,
    StorageFailed,
)
from archive_restore.ports import Commit
from archive_restore.records.objects import MasterRef
from archive_restore.records.preservation import PreservationKind, PreservationRef
from archive_restore.records.stories import StoryKind, StoryRef

TOLD: dict[str, Any] = {"created": "2026-11-22T10:00:00Z", "message": "why", "user": "archive-restore <a@example.org>"}
MASTER = MasterRef(item_id="NIPOMO-01")


def restoration(version: int, item_id: str = "NIPOMO-01") -> PreservationRef:
    return PreservationRef(item_id=item_id, kind=PreservationKind.RESTORATION, version=version)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    create_root(tmp_path / "preservation")
    create_root(tmp_path / "stories")
    return tmp_path


@pytest.fixture
def root(base: Path):
    return open_preservation_root(base / "preservation", base / "work")


@pytest.fixture
def stories(base: Path):
    return open_story_root(base / "stories", base / "work")


def put(root, ref, **files: bytes) -> Path:
    staged = root.stage(ref.object_id)
    for name, data in files.items():
        staged.write(name, data)
    return root.commit(ref, staged, **TOLD)


def judged(root_path: Path) -> list[str]:
    """What ocfl-py says against a root and every object in it, warnings that matter included."""
    judge = ocfl.StorageRoot(str(root_path))
    said = [] if judge.validate() else [str(judge.log)]
    for directory in ocfl_layout.walk_objects(root_path):
        validator = Validator(log_warnings=True)
        validator.validate_object(str(directory))
        said += [line for line in str(validator).splitlines() if line and "[W005]" not in line]  # ids need no URI
    return said


# --- writing and reading ---


def test_another_implementation_accepts_what_is_written(base, root, stories, tmp_path):
    source = tmp_path / "scan é\n'x'.tif"
    source.write_bytes(b"II*\0 pixels")
    staged = root.stage("NIPOMO-01")
    staged.copy_in(source.name, source)
    staged.write("premis.xml", b"<premis/>")
    path = root.commit(MASTER, staged, **TOLD)
    assert (path / "v1/content" / source.name).read_bytes() == source.read_bytes()
    for version in (1, 2, 3):
        put(root, restoration(version), **{"same": b"same", "picture.tif": b"v%d" % version})
    put(stories, StoryRef(item_id="NIPOMO-01", kind=StoryKind.COLORIZATION, version=1), picture=b"x")
    assert judged(base / "preservation") == []
    assert judged(base / "stories") == []
    assert list(root.validate()) == list(stories.validate()) == []
    assert sorted(root.object_ids()) == ["NIPOMO-01", "NIPOMO-01/restoration"]
    assert (root.head("NIPOMO-01/restoration"), root.head("NIPOMO-01"), root.head("OTHER")) == (3, 1, 0)
    assert list((base / "work").iterdir()) == []


def test_files_of_a_version_with_their_digests(root):
    put(root, restoration(1), **{"picture.tif": b"one", "a": b"same"})
    put(root, restoration(2), **{"picture.tif": b"two", "a": b"same"})
    for version, data in ((1, b"one"), (2, b"two")):
        files = root.files(restoration(version))
        assert list(files) == ["a", "picture.tif"]
        stored = files["picture.tif"]
        assert stored.path.read_bytes() == data
        assert stored.path.parent.parent.name == f"v{version}"
        assert (stored.sha512, stored.sha256) == (hashlib.sha512(data).hexdigest(), hashlib.sha256(data).hexdigest())
    with pytest.raises(ReferenceUnknown, match="v2"):
        root.files(restoration(3))
    with pytest.raises(ReferenceUnknown):
        root.files(MasterRef(item_id="OTHER"))


def test_stored_content_is_read_only(root):
    path = put(root, MASTER, scan=b"x")
    assert (path / "v1/content/scan").stat().st_mode & 0o777 == 0o444


def test_an_adopted_file_is_hashed_where_it_lies(base, root):
    staged = root.stage("NIPOMO-01/restoration")
    (staged.directory / "picture.tif").write_bytes(b"made elsewhere")
    digests = staged.adopt("picture.tif")
    assert (digests.size, digests.sha256) == (14, hashlib.sha256(b"made elsewhere").hexdigest())
    root.commit(restoration(1), staged, **TOLD)
    assert judged(base / "preservation") == []


@pytest.mark.parametrize("size", [0, 1, 1000, 100_001, 4096 * 31])
def test_one_pass_gives_the_right_bytes_and_digests(root, tmp_path, monkeypatch, size):
    monkeypatch.setattr(durable, "SMALL", 1000)
    monkeypatch.setattr(durable, "BLOCK", 4096)
    data = os.urandom(size)
    (tmp_path / "scan.tif").write_bytes(data)
    seen: list[int] = []
    staged = root.stage("NIPOMO-01")
    digests = staged.copy_in("scan.tif", tmp_path / "scan.tif", seen.append)
    assert (staged.directory / "scan.tif").read_bytes() == data
    assert (digests.size, digests.sha512, digests.sha256) == (
        size,
        hashlib.sha512(data).hexdigest(),
        hashlib.sha256(data).hexdigest(),
    )
    assert sum(seen) == size
    (staged.directory / "other").write_bytes(data)
    assert staged.adopt("other") == digests


@given(st.text(min_size=1, max_size=60).filter(lambda text: not identifier_problem(text)), st.booleans())
def test_objects_lie_where_the_layout_says(item_id, derivative):
    object_id = f"{item_id}/restoration" if derivative else item_id
    assert str(ocfl_layout.object_path(object_id)) == Layout_0003_Hash_And_Id_N_Tuple().identifier_to_path(object_id)


def test_long_identifiers_are_found_again(base, root):
    item_id = "é" * 60
    put(root, MasterRef(item_id=item_id), scan=b"x")
    assert list(root.object_ids()) == [item_id]
    assert judged(base / "preservation") == []


def test_a_group_is_committed_together(base, root):
    refs = [MasterRef(item_id=f"ITEM-{number}") for number in range(20)]
    commits = []
    for ref in refs:
        staged = root.stage(ref.object_id)
        staged.write("scan", ref.item_id.encode())
        commits.append(Commit(ref=ref, staged=staged, **TOLD))
    paths = root.commit_many(commits)
    assert [path / "v1/content/scan" for path in paths] == [root.files(ref)["scan"].path for ref in refs]
    assert judged(base / "preservation") == []
    assert list(root.validate()) == []


def test_a_staging_takes_the_version_that_is_next_when_it_is_committed(root):
    early = root.stage("NIPOMO-01/restoration")
    put(root, restoration(1), x=b"1")
    early.write("x", b"2")
    root.commit(restoration(2), early, **TOLD)
    assert root.files(restoration(2))["x"].path.read_bytes() == b"2"
    assert list(root.validate()) == []


# --- refusals ---


@pytest.mark.parametrize("name", ["", "/etc/x", "../x", "a/../../x", "a//b", "a/", ".", "a\0b", "x" * 256, "\udcff"])
def test_unsafe_names_are_refused(root, tmp_path, name):
    (tmp_path / "source").write_bytes(b"x")
    staged = root.stage("NIPOMO-01")
    for attempt in (lambda: staged.write(name, b"x"), lambda: staged.copy_in(name, tmp_path / "source")):
        with pytest.raises(StorageFailed, match="another name"):
            attempt()


def test_what_is_no_plain_file_is_refused(root, tmp_path):
    staged = root.stage("NIPOMO-01")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SourceUnreadable, match="not a regular file"):
        staged.copy_in("a", tmp_path / "pipe")
    with pytest.raises(SourceUnreadable):
        staged.copy_in("a", tmp_path / "nothing")
    (staged.directory / "link").symlink_to("/etc/passwd")
    with pytest.raises(StorageFailed):
        staged.adopt("link")
    (tmp_path / "twice").write_bytes(b"x")
    (staged.directory / "hard").hardlink_to(tmp_path / "twice")
    with pytest.raises(StorageFailed, match="hard link"):
        staged.adopt("hard")


def test_a_source_that_changes_while_it_is_copied_is_refused(root, tmp_path):
    source = tmp_path / "scan.tif"
    source.write_bytes(b"x" * 1000)

    def interfere(_: int) -> None:
        os.utime(source, ns=(1, 1))

    staged = root.stage("NIPOMO-01")
    with pytest.raises(SourceUnreadable, match="changed while"):
        staged.copy_in("scan.tif", source, interfere)
    assert not (staged.directory / "scan.tif").exists()


@pytest.mark.parametrize("size", [100, 10_000])
def test_a_copy_that_differs_is_noticed(root, tmp_path, monkeypatch, size):
    monkeypatch.setattr(durable, "SMALL", 1000)
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, bytes([bytes(data)[0] ^ 1]) + bytes(data)[1:]))
    (tmp_path / "scan.tif").write_bytes(bytes(size))
    with pytest.raises(SelfCheckFailed, match="differs"):
        root.stage("NIPOMO-01").copy_in("scan.tif", tmp_path / "scan.tif")
    with pytest.raises(SelfCheckFailed, match="differs"):
        root.stage("NIPOMO-01").write("item.json", b"{}")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])
def test_a_disk_that_refuses_is_one_line_with_what_to_do(root, monkeypatch, number):
    put(root, restoration(1), x=b"1")

    def refuse(*_: Any) -> int:
        raise OSError(number, os.strerror(number))

    staged = root.stage("NIPOMO-01/restoration")
    staged.write("x", b"2")
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", refuse)
        with pytest.raises(StorageFailed) as caught:
            staged.write("y", b"3")
        assert "\n" not in str(caught.value)
        assert caught.value.hint
        with pytest.raises(StorageFailed):
            root.commit(restoration(2), staged, **TOLD)
    staged.discard()
    assert root.head("NIPOMO-01/restoration") == 1
    assert list(root.validate()) == []


def test_conflicts_leave_everything_as_it_was(base, root):
    put(root, MASTER, scan=b"1")
    first, second = root.stage("NIPOMO-01"), root.stage("OTHER")
    first.write("scan", b"2")
    second.write("scan", b"3")
    commits = [
        Commit(ref=MasterRef(item_id="OTHER"), staged=second, **TOLD),
        Commit(ref=MASTER, staged=first, **TOLD),
    ]
    with pytest.raises(StorageConflict, match="never replaced"):
        root.commit_many(commits)
    with pytest.raises(StorageConflict, match="not the next version"):
        put(root, restoration(2), x=b"x")
    with pytest.raises(StorageConflict, match="not the next version"):
        root.commit_many([commits[0], commits[0]])
    assert list(root.object_ids()) == ["NIPOMO-01"]
    assert root.files(MASTER)["scan"].path.read_bytes() == b"1"
    with pytest.raises(StorageConflict, match="staged already"):
        first.write("scan", b"4")
    with pytest.raises(StorageConflict):
        create_root(base / "preservation")


def test_nothing_but_what_was_staged_is_committed(root):
    staged = root.stage("NIPOMO-01")
    with pytest.raises(StorageFailed, match="nothing is staged"):
        root.commit(MASTER, staged, **TOLD)
    staged.write("scan", b"x")
    (staged.directory / "left.tmp").write_bytes(b"x")
    with pytest.raises(SelfCheckFailed, match=r"left\.tmp"):
        root.commit(MASTER, staged, **TOLD)
    (staged.directory / "left.tmp").unlink()
    (staged.directory / "empty").mkdir()
    with pytest.raises(SelfCheckFailed, match="empty"):
        root.commit(MASTER, staged, **TOLD)


# --- separation (P4) ---


def test_a_story_cannot_enter_the_preservation_root_by_any_door(base, root, stories):
    story = StoryRef(item_id="NIPOMO-01", kind=StoryKind.COLORIZATION, version=1)
    disguised = PreservationRef(item_id="NIPOMO-01", kind=cast("PreservationKind", StoryKind.COLORIZATION), version=1)

    class Lying(PreservationRef):
        @property
        def object_id(self) -> str:
            return "NIPOMO-01/restoration"

    lying = Lying(item_id="NIPOMO-01", kind=cast("PreservationKind", StoryKind.COLORIZATION), version=1)
    with pytest.raises(SeparationViolated):
        root.stage(story.object_id)
    staged_story = stories.stage(story.object_id)
    staged_story.write("picture", b"x")
    staged = root.stage("NIPOMO-01/restoration")
    staged.write("picture", b"x")
    for ref in (story, disguised, lying):
        for files in (staged, staged_story):
            with pytest.raises(SeparationViolated):
                root.commit(cast("Any", ref), files, **TOLD)
        with pytest.raises(SeparationViolated):
            root.files(cast("Any", ref))
    with pytest.raises(SeparationViolated):
        root.commit(restoration(1), staged_story, **TOLD)
    assert list(root.object_ids()) == []


@pytest.mark.parametrize("ref", [MASTER, restoration(1)])
def test_a_record_cannot_enter_the_story_root(root, stories, ref):
    with pytest.raises(SeparationViolated):
        stories.stage(ref.object_id)
    staged = root.stage(ref.object_id)
    staged.write("x", b"x")
    with pytest.raises(SeparationViolated):
        stories.commit(cast("Any", ref), staged, **TOLD)
    disguised = StoryRef(item_id="NIPOMO-01", kind=cast("StoryKind", PreservationKind.RESTORATION), version=1)
    with pytest.raises(SeparationViolated):
        stories.commit(disguised, staged, **TOLD)


def test_an_object_copied_into_the_wrong_root_is_found(base, root, stories):
    story = StoryRef(item_id="NIPOMO-01", kind=StoryKind.COLORIZATION, version=1)
    path = put(stories, story, picture=b"x")
    shutil.copytree(path, base / "preservation" / ocfl_layout.object_path(story.object_id))
    assert [(f.code, f.subject) for f in root.validate()] == [("OCFL_KIND_FOREIGN", story.object_id)]


# --- crashes ---


class Crash(BaseException):
    """kill -9: nothing of ours catches it."""


def crashing(monkeypatch, at: int) -> None:
    """Die just before the `at`-th step that another process, or the next start, could see."""
    count = 0

    def wrap(call):
        def stepped(*args: Any, **kwargs: Any) -> Any:
            nonlocal count
            count += 1
            if count == at:
                raise Crash
            return call(*args, **kwargs)

        return stepped

    monkeypatch.setattr(Path, "rename", wrap(Path.rename))
    for name in ("sync_paths", "sync_directory", "sync_file_system"):
        monkeypatch.setattr(durable, name, wrap(getattr(durable, name)))


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_crash_at_any_step_leaves_a_whole_version_or_none(base, monkeypatch, version):
    """Readers see the old or the new state at every step, and `finish` makes the object valid again."""
    outcomes = set()
    for at in range(1, 20):
        root_path = base / f"root-{at}"
        create_root(root_path)
        root = open_preservation_root(root_path, base / "work")
        for earlier in range(1, version):
            put(root, restoration(earlier), x=b"%d" % earlier)
        staged = root.stage("NIPOMO-01/restoration")
        staged.write("x", b"%d" % version)
        crashed = False
        with monkeypatch.context() as patch:
            crashing(patch, at)
            try:
                root.commit(restoration(version), staged, **TOLD)
            except Crash:
                crashed = True
        reader = open_preservation_root(root_path, base / "work")
        for moment in ("before", "after"):
            head = reader.head("NIPOMO-01/restoration")
            assert head in (version - 1, version)
            for known in range(1, head + 1):
                assert reader.files(restoration(known))["x"].path.read_bytes() == b"%d" % known
            if moment == "before":
                reader.finish("NIPOMO-01/restoration")
        assert list(reader.validate()) == []
        assert judged(root_path) == []
        outcomes.add(head)
        if not crashed:
            break
        if head < version:
            put(reader, restoration(version), x=b"%d" % version)
            assert list(reader.validate()) == []
    else:
        pytest.fail("the commit has more steps than the test")
    assert outcomes == {version - 1, version}


def test_a_half_made_version_that_is_not_whole_is_rolled_back(base, root):
    path = put(root, restoration(1), x=b"1")
    put(root, restoration(2), x=b"2")
    for name in ("inventory.json", "inventory.json.sha512"):  # as if the root inventory had not followed yet
        shutil.copy(path / "v1" / name, path / name)
    content = path / "v2/content/x"
    content.chmod(0o644)
    content.write_bytes(b"torn")
    assert root.head("NIPOMO-01/restoration") == 1
    root.finish("NIPOMO-01/restoration")
    assert not (path / "v2").exists()
    assert list(root.validate()) == []
    put(root, restoration(2), x=b"2 again")
    assert judged(base / "preservation") == []


def test_a_half_made_version_is_finished_when_the_next_one_is_staged(root):
    path = put(root, restoration(1), x=b"1")
    put(root, restoration(2), x=b"2")
    for name in ("inventory.json", "inventory.json.sha512"):
        shutil.copy(path / "v1" / name, path / name)
    assert [f.code for f in root.validate()] == ["OCFL_VERSION_UNEXPECTED"]
    put(root, restoration(3), x=b"3")
    assert list(root.validate()) == []


def test_a_damaged_inventory_is_one_error(root):
    path = put(root, MASTER, scan=b"x")
    inventory = json.loads((path / "inventory.json").read_bytes())
    inventory["head"] = "v2"
    (path / "inventory.json").write_text(json.dumps(inventory))
    for attempt in (lambda: root.head("NIPOMO-01"), lambda: root.files(MASTER), lambda: root.finish("NIPOMO-01")):
        with pytest.raises(StorageFailed, match="damaged"):
            attempt()
    assert {f.code for f in root.validate(["NIPOMO-01"])} >= {"OCFL_INVENTORY_DIGEST", "OCFL_HEAD_WRONG"}


def test_roots_must_be_roots_on_one_file_system(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(StorageFailed, match="not an OCFL"):
        open_preservation_root(tmp_path / "empty", tmp_path / "work")
    if Path("/dev/shm").is_dir() and os.stat("/dev/shm").st_dev != tmp_path.stat().st_dev:
        create_root(tmp_path / "root")
        with pytest.raises(StorageFailed, match="file system"):
            open_preservation_root(tmp_path / "root", Path("/dev/shm"))
