"""`export --as access` of clips: the stored frames, with credentials, words and sheet, nothing encoded again (P5)."""

from __future__ import annotations

import io
import json
import subprocess
from itertools import zip_longest
from pathlib import Path

import numpy as np
import pytest

from archive_restore.adapters import keys, mp4_boxes
from archive_restore.adapters.c2pa_library import read_store
from archive_restore.adapters.shipped import check_document
from archive_restore.adapters.video import FileVideos
from archive_restore.errors import PictureUnreadable
from archive_restore.flows import export
from tests.adapters.credential_bench import stranger
from tests.conftest import Shelf
from tests.support.archives import copy_of, empty, run
from tests.support.scans import write_scan

NAME = "scan-animated-story-1.mp4"


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """An archive with the item `scan`, restored and animated with a caption track; tests only export from it."""
    folder = tmp_path_factory.mktemp("clips")
    made = Shelf(root=copy_of("empty", folder / "archive", tmp_path_factory, empty), runner=run)
    made.ok("ingest", write_scan(folder / "scan.tif", edge=128))
    regions = folder / "regions.json"
    polygon = [[20, 20], [110, 20], [110, 80], [20, 80]]
    regions.write_text(json.dumps({"regions": [{"kind": "foliage", "polygon": polygon, "name": "the oak"}]}))
    words = ("--seconds", "1", "--size", "source", "--amplitude", "0.5", "--music", "sakura")
    made.ok("animate", "scan", "--regions", regions, *words)
    return made


@pytest.fixture(scope="module")
def exported(shelf: Shelf, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("out") / "clips"
    (done,) = shelf.ok("export", "scan/animation", "--as", "access", "--to", folder)["exported"]
    assert (Path(done["path"]).name, done["quality"], done["clip"]["frames"]) == (NAME, None, 24)
    assert "animated" in done["caption"]
    return folder


def test_frames_and_sound_are_those_that_are_stored(shelf: Shelf, exported: Path):
    videos, stored = FileVideos(1), shelf.files("scan/animation@1")["scan-animated-story.mp4"]
    pairs = list(zip_longest(videos.frames(stored), videos.frames(exported / NAME)))
    assert len(pairs) == 24
    assert all(np.array_equal(one, other) for one, other in pairs)
    heard, kept = videos.sound(exported / NAME), videos.sound(stored)
    assert heard is not None and kept is not None and np.array_equal(heard, kept)


def test_the_chain_is_accepted_by_two_implementations(shelf: Shelf, exported: Path):
    anchors = keys.load_anchors(shelf.root / "keys")
    verdict = stranger(exported / NAME, anchors, mime="video/mp4")
    assert (verdict["validation_state"], verdict["hard_binding"]) == ("Trusted", "match")
    assert not verdict["validation_results"].get("failure")
    store = read_store(exported / NAME, "video/mp4", None, anchors)
    assert store is not None and store.state == "Trusted"
    assert {manifest["title"] for manifest in store.manifests.values()} == {NAME, "scan-animated-story.mp4", "scan.tif"}
    said = store.assertions["org.archive-restore.access"]
    assert said["ref"] == "scan/animation@1"
    assert check_document("access", said) == ""
    assert said["clip"]["maps_sha256"] in said["note"]
    assert store.resources["synthesis map"] == shelf.files("scan/animation@1")["synthesis-map.png"].read_bytes()
    changed = bytearray((exported / NAME).read_bytes())
    changed[-3000] ^= 1
    assert stranger(bytes(changed), anchors, mime="video/mp4")["validation_state"] == "Invalid"


def test_xmp_sheet_words_and_log_say_what_it_is(shelf: Shelf, exported: Path):
    told = subprocess.run(
        ["exiftool", "-j", "-XMP:all", str(exported / NAME)], capture_output=True, text=True, check=True
    )
    (xmp,) = json.loads(told.stdout)
    assert xmp["DigitalSourceType"].startswith("http://cv.iptc.org/newscodes/digitalsourcetype/")
    assert xmp["Format"] == "video/mp4"
    assert "animated" in xmp["Description"]
    sheet = (exported / "scan-animated-story-1-sheet.txt").read_text("utf-8")
    assert "Digitally animated" in sheet
    assert (exported / "scan-animated-story-1-sheet.csv").exists()
    words = (exported / "disclosure.txt").read_text("utf-8")
    assert "not encoded again" in words and "nicht neu codiert" in words
    events = shelf.ok("show", "scan/animation@1")["events"]
    (left,) = [event for event in events if event["type"] == "dissemination"][:1]
    assert list(left["digests"]) == [NAME]
    assert "MP4, frames as they are stored; label: Digitally animated" in left["detail"]
    assert shelf.ok("verify", "--all")["findings"] == []


def test_an_audit_finds_it_in_the_archive(shelf: Shelf, exported: Path):
    ran = shelf.run("audit", exported / NAME)
    codes = {found["code"]: found["message"] for found in ran.json["findings"]}
    assert "scan/animation@1" in codes["AUDIT_CLIP_COMPARED"]
    assert "AUDIT_VIDEO_NOT_COMPARED" not in codes
    assert ran.json["says"][0] == codes["AUDIT_CLIP_COMPARED"]
    assert "a copy of scan/animation@1, a story and not a record" in ran.json["says"][0]


def test_an_interrupted_export_goes_on(shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    words = ("export", "scan/animation", "--as", "access", "--to", tmp_path / "out")
    with monkeypatch.context() as broken:
        broken.setattr(export, "_disclose", _full)
        assert shelf.run(*words).code != 0
    again = shelf.ok(*words)
    assert [copy["ref"] for copy in again["unchanged"]] == ["scan/animation@1"]
    assert (tmp_path / "out" / "scan-animated-story-1-sheet.txt").exists()


def _full(*_: object) -> list[Path]:
    raise OSError(28, "No space left on device")


def test_the_label_of_a_clip_stays(shelf: Shelf, tmp_path: Path):
    words = ("--no-label", "--reason", "the magazine's layout")
    ran = shelf.run("export", "scan/animation", "--as", "access", "--to", tmp_path / "out", *words)
    assert ran.code == 1
    (failed,) = ran.json["failed"]
    assert "part of every frame" in failed["error"]
    assert not list((tmp_path / "out").glob("*.mp4"))


def test_a_stored_clip_that_was_changed_does_not_leave(shelf: Shelf, tmp_path: Path):
    stored = shelf.files("scan/animation@1")["scan-animated-story.mp4"]
    data = stored.read_bytes()
    stored.chmod(0o644)
    try:
        stored.write_bytes(data[:-3000] + bytes([data[-3000] ^ 1]) + data[-2999:])
        ran = shelf.run("export", "scan/animation", "--as", "access", "--to", tmp_path / "out")
    finally:
        stored.write_bytes(data)
    (failed,) = ran.json["failed"]
    assert "other bytes than were stored" in failed["error"]


@pytest.mark.parametrize(
    "data",
    [b"\0\0\0", b"\0\0\0\x18ftypisom", b"\0\0\0\4ftyp", b"\0\0\0\1uuid" + bytes(7)],
    ids=["short", "cut", "too small", "no length"],
)
def test_files_that_are_no_whole_boxes(data: bytes, tmp_path: Path):
    (tmp_path / "x.mp4").write_bytes(data)
    with pytest.raises(PictureUnreadable, match="not made of whole MP4 boxes"):
        list(mp4_boxes.boxes(io.BytesIO(data), "x.mp4"))
    with pytest.raises(PictureUnreadable):
        mp4_boxes.embedded_manifest(tmp_path / "x.mp4")
