"""What is kept is what was made; what is damaged, old or does not fit is made anew and never in the way."""

import os
from pathlib import Path

import numpy as np
import pytest

from archive_restore.adapters.kept import FolderKept


def maker(value: int, size: int = 10):
    calls = []

    def make():
        calls.append(1)
        return {"plane": np.full((size, 3), value, np.float32), "other": np.arange(4)}

    return make, calls


def test_it_is_made_once_and_read_again(tmp_path: Path):
    make, calls = maker(7)
    for _ in range(3):
        found = FolderKept(tmp_path / "cache").get("a key with / and ä", make)
        assert (found["plane"] == 7).all()
        assert (found["other"] == np.arange(4)).all()
    assert len(calls) == 1
    other, _ = maker(8)
    assert (FolderKept(tmp_path / "cache").get("another", other)["plane"] == 8).all()


@pytest.mark.parametrize("name", ["names", "plane.npy"])
@pytest.mark.parametrize("data", [b"", b"\x93NUMPY junk", b"\xff\xfe other"])
def test_what_is_damaged_is_made_anew(tmp_path: Path, name: str, data: bytes):
    make, calls = maker(7)
    kept = FolderKept(tmp_path)
    kept.get("k", make)
    (place,) = tmp_path.iterdir()
    (place / name).write_bytes(data)
    assert (kept.get("k", make)["plane"] == 7).all()
    assert len(calls) == 2
    kept.get("k", make)
    assert len(calls) == 2


def test_no_program_hides_in_it(tmp_path: Path):
    make, calls = maker(7)
    kept = FolderKept(tmp_path)
    kept.get("k", make)
    (place,) = tmp_path.iterdir()
    np.save(place / "plane.npy", np.array([print], object), allow_pickle=True)
    assert (kept.get("k", make)["plane"] == 7).all()
    assert len(calls) == 2


def test_what_was_not_used_for_longest_goes_first(tmp_path: Path):
    kept = FolderKept(tmp_path, limit=5000)
    for number, key in enumerate(("old", "used", "new")):
        kept.get(key, maker(number, 150)[0])
        place = max(tmp_path.iterdir(), key=lambda p: p.stat().st_mtime_ns)
        os.utime(place, (1000 + number, 1000 + number))
    kept.get("used", maker(1, 150)[0])
    kept.get("newest", maker(3, 150)[0])
    make, calls = maker(1, 150)
    assert (kept.get("used", make)["plane"] == 1).all()
    assert calls == []
    make, calls = maker(0, 150)
    kept.get("old", make)
    assert len(calls) == 1


def test_a_full_disk_costs_time_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    make, _ = maker(7)
    assert (FolderKept(tmp_path).get("k", make)["plane"] == 7).all()
    assert list(tmp_path.iterdir()) == []
