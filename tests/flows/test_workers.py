"""Batches in several processes give what one process gives."""

from pathlib import Path

from tests.conftest import PHOTOGRAPHS, Shelf

ITEMS = ("acanthus-mollis", "locomotion-house-cat", "march-pastoral")


def digests(shelf: Shelf) -> list[str]:
    return [shelf.ok("show", f"{item}/restoration")["record"]["products"][0]["pixels_sha256"] for item in ITEMS]


def test_two_workers_make_the_same_pixels_as_one(shelf: Shelf):
    shelf.ok("ingest", *[PHOTOGRAPHS / f"{item}.jpg" for item in ITEMS])
    shelf.ok("restore", "--all", "--recipe", "gentle")
    alone = digests(shelf)
    config = shelf.root / "archive.toml"
    config.write_text(config.read_text().replace("workers = 1", "workers = 2"))
    made = shelf.ok("restore", *ITEMS, "--recipe", "gentle")
    assert sorted(m["ref"] for m in made["made"]) == [f"{item}/restoration@2" for item in ITEMS]
    assert digests(shelf) == alone
    assert shelf.ok("verify", "--all")["subjects"] == 9
    assert not [p for p in Path(shelf.root, "work").iterdir() if p.name not in ("lock", "journal", "readers")]
