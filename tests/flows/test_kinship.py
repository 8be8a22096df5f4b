"""Kinship: fingerprints follow the log, and what is found is registered."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from archive_restore.app import open_archive
from archive_restore.errors import PictureUnreadable
from archive_restore.flows.kinship import find_kin, look, look_at, refresh
from archive_restore.ports import Archive
from tests.conftest import PHOTOGRAPHS
from tests.support.archives import copy_of, must, restored

NAMES = ("black-canyon", "dust-bowl-home", "nagasaki-boats")
FINGERPRINTS = "fingerprints"


def small(folder: Path, name: str) -> Path:
    folder.mkdir(exist_ok=True)
    picture = Image.open(PHOTOGRAPHS / f"{name}.jpg").convert("L")
    picture.thumbnail((400, 400))
    picture.save(folder / f"{name}.png")
    return folder / f"{name}.png"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("kin")
    must("init", root / "a")
    must("-A", root / "a", "ingest", *(small(root / "in", name) for name in NAMES[:2]))
    return root


@pytest.fixture
def archive(place: Path) -> Iterator[Archive]:
    with open_archive(place / "a", write=False) as opened:
        yield opened


def test_what_came_in_is_fingerprinted_once(place: Path, archive: Archive) -> None:
    told: list[str] = []
    assert refresh(archive, told.append) == ()
    assert sorted(told) == ["black-canyon", "dust-bowl-home"]
    assert archive.fingerprints.covered() == archive.log.size()
    assert refresh(archive, told.append) == ()
    assert len(told) == 2


def test_what_comes_later_is_added(place: Path) -> None:
    with open_archive(place / "a", write=False) as archive:
        refresh(archive)
    must("-A", place / "a", "ingest", small(place / "in", NAMES[2]))
    told: list[str] = []
    with open_archive(place / "a", write=False) as archive:
        assert refresh(archive, told.append) == ()
        assert told == ["nagasaki-boats"]
        assert len(archive.fingerprints.known()) == 3


def test_derivatives_are_fingerprinted_too(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    with open_archive(copy_of("restored", tmp_path / "a", tmp_path_factory, restored), write=False) as archive:
        assert refresh(archive) == ()
        assert archive.fingerprints.known() == {
            "one", "one/restoration@1", "one/restoration@2", "two", "two/restoration@1",
        }  # fmt: skip


def test_a_crop_is_found_in_its_picture_and_a_stranger_nowhere(place: Path, archive: Archive) -> None:
    refresh(archive)
    whole = look(archive, place / "in" / "dust-bowl-home.png")
    found = find_kin(archive, np.ascontiguousarray(whole[40:260, 50:340]))
    assert found[0].kin.ref == "dust-bowl-home"
    assert found[0].registration.shown == pytest.approx(220 * 290 / whole.size, abs=0.02)
    assert found[0].reference.shape == whole.shape
    stranger = np.asarray(Image.open(PHOTOGRAPHS / "march-pastoral.jpg").convert("L").resize((400, 195)))
    assert find_kin(archive, stranger) == ()


def test_the_folder_may_go_at_any_time(place: Path) -> None:
    with open_archive(place / "a", write=False) as archive:
        refresh(archive)
        known = archive.fingerprints.known()
    shutil.rmtree(place / "a" / FINGERPRINTS)
    must("-A", place / "a", "catalog", "rebuild")
    with open_archive(place / "a", write=False) as archive:
        assert archive.fingerprints.known() == frozenset()
        refresh(archive)
        assert archive.fingerprints.known() == known


def test_a_log_that_is_shorter_than_was_seen_is_read_again(archive: Archive) -> None:
    refresh(archive)
    archive.fingerprints.add({}, covered=archive.log.size() + 5)
    assert refresh(archive) == ()
    assert archive.fingerprints.covered() == archive.log.size()


def test_a_picture_that_cannot_be_read_is_a_finding(place: Path, tmp_path: Path) -> None:
    shutil.copytree(place / "a", tmp_path / "a")
    shutil.rmtree(tmp_path / "a" / FINGERPRINTS, ignore_errors=True)
    stored = next((tmp_path / "a" / "preservation").rglob("black-canyon.png"))
    stored.chmod(0o644)
    stored.write_bytes(b"no picture")
    with open_archive(tmp_path / "a", write=False) as archive:
        (finding,) = refresh(archive)
        assert (finding.code, finding.subject) == ("NO_FINGERPRINT", "black-canyon")
        assert "dust-bowl-home" in archive.fingerprints.known()
        assert refresh(archive) == ()


def test_an_item_without_a_picture_is_not_looked_at(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("no picture at all\n")
    must("init", tmp_path / "a")
    must("-A", tmp_path / "a", "ingest", "--keep-unreadable", tmp_path / "x.txt")
    with open_archive(tmp_path / "a", write=False) as archive:
        assert refresh(archive) == ()
        assert archive.fingerprints.known() == frozenset()
        with pytest.raises(PictureUnreadable):
            look_at(archive, "x")
