"""Fingerprints on disk: they come back, are merged, and whatever is damaged is forgotten."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from archive_restore.adapters.fingerprints import CODE_BYTES, SEGMENTS, STATE, FolderFingerprints
from archive_restore.ports import Fingerprint


def picture(seed: int) -> npt.NDArray[np.uint8]:
    """Shapes of all sizes, as a photograph has them: uint8 (150, 200)."""
    rng = np.random.default_rng(seed)
    total = np.zeros((150, 200), np.float32)
    for cells in (3, 6, 12, 25, 50):
        total += cv2.resize(rng.normal(0, 1, (cells * 3 // 4, cells)).astype(np.float32), (200, 150)) / cells**0.4
    return np.clip(128 + 55 * total, 0, 255).astype(np.uint8)


def filled(folder: Path, count: int = 3) -> FolderFingerprints:
    prints = FolderFingerprints(folder)
    for number in range(count):
        prints.add({f"item-{number}": prints.make(picture(number))}, covered=number + 1)
    return prints


def test_a_fingerprint_is_plain_and_the_same_every_time() -> None:
    prints = FolderFingerprints(Path("nowhere"))
    one, other = prints.make(picture(1)), prints.make(picture(1))
    assert isinstance(one, Fingerprint)
    assert one.code == other.code
    assert len(one.code) == CODE_BYTES
    np.testing.assert_array_equal(one.words, other.words)
    np.testing.assert_array_equal(one.signatures, other.signatures)


def test_an_empty_index_knows_nothing(tmp_path: Path) -> None:
    prints = FolderFingerprints(tmp_path / "none")
    assert prints.covered() == 0
    assert prints.known() == frozenset()
    assert prints.find(picture(0)) == ()
    assert not (tmp_path / "none").exists()


def test_what_was_added_is_found_after_opening_again(tmp_path: Path) -> None:
    filled(tmp_path / "f")
    again = FolderFingerprints(tmp_path / "f")
    assert again.covered() == 3
    assert again.known() == {"item-0", "item-1", "item-2"}
    best = again.find(picture(1))[0]
    assert best.ref == "item-1"
    assert best.distance == 0
    assert best.votes > 20


@pytest.mark.parametrize("turned", ["mirrored", "quarter", "framed"])
def test_codes_of_variants_are_found(tmp_path: Path, turned: str) -> None:
    prints = filled(tmp_path / "f")
    asked = {
        "mirrored": picture(1)[:, ::-1],
        "quarter": np.rot90(picture(1)),
        "framed": np.pad(picture(1), ((40, 40), (0, 0), (0, 0))[: picture(1).ndim]),
    }[turned]
    best = prints.find(np.ascontiguousarray(asked))[0]
    assert best.ref == "item-1"
    assert best.distance <= 8


def test_many_additions_become_one_folder(tmp_path: Path) -> None:
    prints = filled(tmp_path / "f", SEGMENTS + 1)
    assert len([place for place in (tmp_path / "f").iterdir() if place.is_dir()]) == 1
    assert len(prints.known()) == SEGMENTS + 1
    again = FolderFingerprints(tmp_path / "f")
    assert [again.find(picture(n))[0].ref for n in (0, SEGMENTS)] == ["item-0", f"item-{SEGMENTS}"]


def damage_part(folder: Path) -> None:
    next(folder.glob("part-*/items.npy")).write_bytes(b"\x93NUMPY nonsense")


def damage_refs(folder: Path) -> None:
    next(folder.glob("part-*/refs.json")).write_text("[]")


def damage_state(folder: Path) -> None:
    (folder / STATE).write_text("{")


def lose_part(folder: Path) -> None:
    shutil.rmtree(next(folder.glob("part-*")))


def other_version(folder: Path) -> None:
    state = json.loads((folder / STATE).read_text())
    (folder / STATE).write_text(json.dumps(state | {"version": 0}))


def reach_out(folder: Path) -> None:
    state = json.loads((folder / STATE).read_text())
    (folder / STATE).write_text(json.dumps(state | {"segments": ["../../etc"]}))


@pytest.mark.parametrize("hurt", [damage_part, damage_refs, damage_state, lose_part, other_version, reach_out])
def test_what_is_damaged_is_forgotten_and_made_again(tmp_path: Path, hurt: object) -> None:
    filled(tmp_path / "f", 2)
    assert callable(hurt)
    hurt(tmp_path / "f")
    prints = FolderFingerprints(tmp_path / "f")
    assert prints.covered() == 0
    missing = {"item-0", "item-1"} - prints.known()
    assert missing
    prints.add({ref: prints.make(picture(int(ref[-1]))) for ref in missing}, covered=2)
    again = FolderFingerprints(tmp_path / "f")
    assert again.covered() == 2
    assert again.known() == {"item-0", "item-1"}
    assert again.find(picture(0))[0].ref == "item-0"


def test_a_disk_that_refuses_costs_nothing_but_time(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("a file where the folder should be")
    prints = filled(tmp_path / "f", 1)
    assert prints.find(picture(0))[0].ref == "item-0"
    assert FolderFingerprints(tmp_path / "f").covered() == 0
