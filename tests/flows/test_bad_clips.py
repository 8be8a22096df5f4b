"""Every folder of `tests/bad_clips`: words and files that make no clip, each told in one line, and nothing half-made.

`words` is what is given to `animate scan`; a name of a file in the folder is that file. `says` is a part of the line.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from archive_restore.errors import UsageError
from archive_restore.steps.motion import frame_size
from tests.conftest import Shelf
from tests.support.archives import copy_of, empty, run
from tests.support.scans import write_scan

FOLDER = Path(__file__).parents[1] / "bad_clips"


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """An archive with `scan`, 96×96; nothing may change it."""
    folder = tmp_path_factory.mktemp("bad-clips")
    made = Shelf(root=copy_of("empty", folder / "archive", tmp_path_factory, empty), runner=run)
    made.ok("ingest", write_scan(folder / "scan.tif", edge=96))
    return made


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.iterdir()))
def test_it_is_refused_in_one_line(shelf: Shelf, name: str):
    folder = FOLDER / name
    words = [
        folder / word if (folder / word).is_file() else word for word in (folder / "words").read_text("utf-8").split()
    ]
    moving = () if {"--camera", "--regions", "--form"} & set(map(str, words)) else ("--camera", "closer")
    length = () if any("seconds" in str(word) or word == "--voice" for word in words) else ("--seconds", "1")
    refused = shelf.run("animate", "scan", *moving, *length, "--size", "source", *words)
    said = refused.err.strip()
    assert refused.code != 0
    assert (folder / "says").read_text("utf-8").strip() in said, said
    assert len(said.splitlines()) == 1
    assert len(said) < 600
    assert "Traceback" not in said
    assert shelf.ok("list")["items"][0]["derivatives"] == []
    assert [path.name for path in (shelf.root / "work").iterdir() if path.name.startswith("stage")] == []


@pytest.mark.parametrize(("word", "height", "width"), [("source", 100, 9000), ("hd", 4, 4000), ("source", 50, 50)])
def test_frames_that_no_player_takes(word: str, height: int, width: int):
    with pytest.raises(UsageError, match=r"larger than players take|too small to be seen"):
        frame_size(word, height, width)
