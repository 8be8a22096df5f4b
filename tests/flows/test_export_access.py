"""Access copies: judged by two C2PA readers, exiftool and Pillow; record and story apart; nothing half-made."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from lxml import etree
from PIL import Image, ImageOps, IptcImagePlugin

from archive_restore.adapters import keys
from archive_restore.adapters.c2pa_library import read_store
from archive_restore.core.labels import BUILT_IN
from archive_restore.core.synthesis_map import pixel_digest
from archive_restore.errors import SelfCheckFailed
from archive_restore.flows import access_copy, export
from archive_restore.flows.export_folder import STATE
from archive_restore.records.labels import LabelKind
from archive_restore.records.stories import StoryKind
from tests.adapters.credential_bench import stranger
from tests.conftest import Shelf
from tests.support.archives import copy_of, must, run
from tests.support.scans import picture, write_scratch_map
from tests.support.stories import tint, told, twice

JPEG = "image/jpeg"
TITLE = '=HYPERLINK("http://x")\u202egpj <script>alert(1)</script> & "Käthe"\x1b[2J'
IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"


def shelf_of_stories(archive: Path, scratch: Path) -> None:
    """`one`: master, restoration, enhancement and a colorization of it; `two`: a master only, with a hostile title."""
    must("init", archive, "--organization", "Museum of Nipomo")
    scans = scratch / "scans"
    scans.mkdir()
    for name, seed in (("one", 1), ("two", 2)):
        tifffile.imwrite(
            scans / f"{name}.tif", picture(200, seed), photometric="minisblack", resolution=(600, 600),
            resolutionunit=2,
        )  # fmt: skip
    rows = [
        ["file", "title", "creator", "rights", "description", "source_type"],
        ["one.tif", "The well", "D. Lange", "Public domain", "A well in the yard.", "negativeFilm"],
        ["two.tif", TITLE, "@SUM(1)", "+1", "two\nlines", ""],
    ]
    with (scratch / "sheet.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    must("-A", archive, "ingest", scans, "--metadata", scratch / "sheet.csv")
    drawn = write_scratch_map(scratch / "drawn.png", edge=200)
    must("-A", archive, "restore", "one", "--recipe", "gentle", "--damage-map", drawn)
    told(archive, StoryKind.ENHANCEMENT, "one/restoration@1", twice)
    told(archive, StoryKind.COLORIZATION, "one/enhancement@1", tint)


@pytest.fixture
def shelf(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    return Shelf(root=copy_of("stories", tmp_path / "archive", tmp_path_factory, shelf_of_stories), runner=run)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def exported(shelf: Shelf, out: Path, *words: str) -> list[dict[str, Any]]:
    done = shelf.ok("export", *words, "--as", "access", "--to", str(out))
    assert done["failed"] == []
    return list(done["exported"])


def decoded(path: str | Path) -> np.ndarray[Any, Any]:
    with Image.open(path) as image:
        found = np.asarray(image)
    return found[:, :, None] if found.ndim == 2 else found


def inside(copy: dict[str, Any]) -> tuple[slice, slice]:
    place = copy["picture"]
    return slice(place["top"], place["bottom"]), slice(place["left"], place["right"])


def anchors(shelf: Shelf) -> str:
    return keys.load_anchors(shelf.root / "keys")


def packet(path: str | Path) -> etree._Element:
    with Image.open(path) as image:
        return etree.fromstring(image.info["xmp"].rstrip(b"\0"))


def xmp(path: str | Path, name: str) -> str:
    spaces = {
        "dc": "http://purl.org/dc/elements/1.1/", "photoshop": "http://ns.adobe.com/photoshop/1.0/",
        "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/", "xmpMM": "http://ns.adobe.com/xap/1.0/mm/",
        "stRef": "http://ns.adobe.com/xap/1.0/sType/ResourceRef#", "exif": "http://ns.adobe.com/exif/1.0/",
    }  # fmt: skip
    return " ".join("".join(found.itertext()) for found in packet(path).iterfind(f".//{name}", spaces)).strip()


# --- credentials -------------------------------------------------------------------------------------


def test_two_readers_trust_the_whole_chain(shelf: Shelf, out: Path):
    (copy,) = exported(shelf, out, "one/colorization")
    path = Path(copy["path"])
    told_ = stranger(path, anchors(shelf), mime=JPEG)
    assert (told_["validation_state"], told_["hard_binding"], told_["signature"]) == ("Trusted", "match", "valid")
    assert not told_["validation_results"].get("failure")
    store = read_store(path, JPEG, None, anchors(shelf))
    assert store is not None and store.state == "Trusted"
    chain, label = [], store.active
    while label:
        manifest = store.manifests[label]
        parents = [i for i in manifest.get("ingredients", ()) if i["relationship"] == "parentOf"]
        assert len(parents) <= 1
        chain.append(manifest["title"])
        label = parents[0].get("active_manifest", "") if parents else ""
    assert chain == [
        "one-colorized-story-1.jpg", "one-colorized-story.tif", "one-enhanced-story.tif", "one-restoration.tif",
        "one.tif",
    ]  # fmt: skip


def test_the_actions_say_what_was_done_and_no_more(shelf: Shelf, out: Path):
    (copy,) = exported(shelf, out, "one/colorization")
    store = read_store(Path(copy["path"]), JPEG, None, anchors(shelf))
    assert store is not None
    opened, converted, added = store.assertions["c2pa.actions.v2"]["actions"]
    assert [a["action"] for a in (opened, converted, added)] == ["c2pa.opened", "c2pa.converted", "c2pa.addedText"]
    assert opened["digitalSourceType"] == IPTC + "algorithmicMedia"
    assert "digitalSourceType" not in converted
    assert str(copy["encoding"]["psnr"]) in converted["description"]
    assert "before it was reduced" in converted["description"]
    assert copy["caption"] in added["description"]
    (band,) = added["changes"][0]["region"]
    shape = band["shape"]
    assert shape["origin"] == {"x": 0, "y": copy["picture"]["bottom"]}
    assert shape["height"] == copy["height"] - copy["picture"]["bottom"] and shape["width"] == copy["width"]


def test_the_map_inside_is_the_stored_one_and_says_what_it_describes(shelf: Shelf, out: Path):
    (copy,) = exported(shelf, out, "one/colorization")
    store = read_store(Path(copy["path"]), JPEG, None, anchors(shelf))
    assert store is not None
    stored = shelf.files("one/colorization@1")["synthesis-map.png"]
    assert store.resources["synthesis map"] == stored.read_bytes()
    statement = store.assertions["org.archive-restore.access"]
    assert "without the caption band" in statement["note"]
    assert statement["pixels_sha256"] == copy["pixels_sha256"]
    assert statement["encoding"] == copy["encoding"]
    height = copy["picture"]["bottom"] - copy["picture"]["top"]
    assert store.assertions["org.archive-restore.synthesis-map"]["height"] == height


def test_a_changed_pixel_and_a_copied_manifest_are_found(shelf: Shelf, out: Path):
    (copy,) = exported(shelf, out, "one/restoration")
    data = bytearray(Path(copy["path"]).read_bytes())
    data[-200] ^= 1
    assert stranger(bytes(data), anchors(shelf), mime=JPEG)["validation_state"] == "Invalid"


# --- pixels ------------------------------------------------------------------------------------------


def test_the_copy_is_the_stored_picture_rounded_and_its_error_is_as_stated(shelf: Shelf, out: Path):
    (copy,) = exported(shelf, out, "one/restoration", "--quality", "85")
    stored = tifffile.imread(shelf.files("one/restoration@1")["one-restoration.tif"])
    meant = np.rint(stored.astype(np.float64) * 255 / 65535).astype(np.uint8)[:, :, None]
    assert copy["pixels_sha256"] == pixel_digest(meant)
    apart = np.abs(decoded(copy["path"])[inside(copy)].astype(int) - meant)
    assert copy["encoding"]["maximum"] == apart.max()
    assert copy["encoding"]["mean"] == pytest.approx(apart.mean(), abs=1e-4)
    assert copy["encoding"]["psnr"] == pytest.approx(10 * np.log10(255**2 / (apart**2).mean()), abs=0.01)
    assert copy["caption"] == "" and (copy["width"], copy["height"]) == (200, 200)


def test_quality_is_what_it_says_and_colour_is_not_subsampled(shelf: Shelf, out: Path, tmp_path: Path):
    (fine,) = exported(shelf, out, "one/colorization", "--quality", "98")
    (coarse,) = exported(shelf, tmp_path / "coarse", "one/colorization", "--quality", "40")
    assert fine["size"] > coarse["size"] and fine["encoding"]["psnr"] > coarse["encoding"]["psnr"] + 3
    with Image.open(fine["path"]) as image:
        assert image.mode == "RGB" and [layer[1:3] for layer in image.layer] == [(1, 1)] * 3
        assert image.info["dpi"] == (1200, 1200)
        assert image.info["icc_profile"]


def test_a_story_carries_its_caption_outside_the_picture(shelf: Shelf, out: Path):
    (copy,) = exported(shelf, out, "one/colorization")
    assert copy["caption"] == BUILT_IN[LabelKind.STORY]["en"]
    seen = decoded(copy["path"])
    assert copy["picture"] == {"top": 0, "left": 0, "bottom": 400, "right": 400}
    band = seen[400:]
    assert (band > 250).all(axis=2).mean() > 0.6 and (band < 80).all(axis=2).any()
    stored = tifffile.imread(shelf.files("one/colorization@1")["one-colorized-story.tif"])
    meant = np.rint(stored.astype(np.float64) * 255 / 65535)
    assert np.abs(seen[:400].astype(float) - meant).max() <= copy["encoding"]["maximum"]


def test_words_and_place_of_the_caption_come_from_archive_toml(shelf: Shelf, out: Path):
    config = shelf.root / "archive.toml"
    text = config.read_text().replace('language = "en"', 'language = "zh"').replace('"below"', '"above"')
    config.write_text(text)
    (copy,) = exported(shelf, out, "one/enhancement")
    assert copy["caption"] == BUILT_IN[LabelKind.ENHANCEMENT]["zh"]
    assert copy["picture"]["top"] > 0 and copy["picture"]["bottom"] == copy["height"]
    assert "并非史料记录" in (out / "disclosure.txt").read_text()
    config.write_text(text.replace('position = "above"', 'position = "over"'))
    ran = shelf.run("list")
    assert ran.code == 25 and "labels.position" in ran.err


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_kept_and_the_caption_stands_below_what_is_seen(
    shelf: Shelf, out: Path, tmp_path: Path, orientation: int
):
    scan = tmp_path / "turned.tif"
    tifffile.imwrite(
        scan, picture(300, 5)[:240], photometric="minisblack", extratags=[(274, "H", 1, orientation, True)]
    )
    shelf.ok("ingest", scan)
    told(shelf.root, StoryKind.ENHANCEMENT, "turned", twice)
    (copy,) = exported(shelf, out, "turned/enhancement")
    with Image.open(copy["path"]) as image:
        assert image.getexif()[274] == orientation
    shown = copy["picture"]
    stored = (shown["bottom"] - shown["top"], shown["right"] - shown["left"])
    assert stored == (480, 600)
    with Image.open(copy["path"]) as image:
        seen = np.asarray(ImageOps.exif_transpose(image))
    assert (seen[-1] > 250).all() and (seen[-3:] > 245).all(), "the band lies at the bottom of what is seen"
    tall = 600 if orientation >= 5 else 480
    assert seen.shape[0] > tall and seen[: tall - 4].mean() < 200


def test_srgb_is_converted_and_says_so(shelf: Shelf, out: Path, tmp_path: Path):
    from tests.imaging.test_access import _adobe_rgb

    rng = np.random.default_rng(3)
    pixels = np.repeat(np.repeat(rng.integers(60, 180, (15, 20, 3), np.uint8), 8, axis=0), 8, axis=1)
    scan = tmp_path / "wide.tif"
    tifffile.imwrite(scan, pixels, photometric="rgb", iccprofile=_adobe_rgb())
    shelf.ok("ingest", scan)
    (kept,) = exported(shelf, out, "wide", "--quality", "100")
    (converted,) = exported(shelf, tmp_path / "srgb", "wide", "--srgb", "--quality", "100")
    assert (kept["colour"], converted["colour"]) == ("RGB with the curve of Adobe RGB", "sRGB")
    with Image.open(kept["path"]) as image:
        assert image.info["icc_profile"] == _adobe_rgb()
    assert np.abs(decoded(kept["path"]).astype(int) - pixels).max() <= 3
    assert np.abs(decoded(converted["path"]).astype(int) - pixels).max() > 8
    with Image.open(converted["path"]) as image:
        assert b"s\0R\0G\0B" in image.info["icc_profile"] and image.getexif().get_ifd(0x8769)[0xA001] == 1


# --- metadata ----------------------------------------------------------------------------------------


def test_pillow_reads_title_creator_credit_rights_and_description(shelf: Shelf, out: Path):
    (copy,) = exported(shelf, out, "one/colorization")
    with Image.open(copy["path"]) as image:
        said = IptcImagePlugin.getiptcinfo(image)
    assert said is not None
    assert said[(2, 5)] == b"The well" and said[(2, 80)] == b"D. Lange" and said[(2, 116)] == b"Public domain"
    assert said[(2, 110)] == b"Museum of Nipomo"
    assert said[(2, 120)].decode() == f"{copy['caption']} A well in the yard."
    assert xmp(copy["path"], "dc:description") == f"{copy['caption']} A well in the yard."
    assert xmp(copy["path"], "photoshop:Credit") == "Museum of Nipomo"
    assert xmp(copy["path"], "Iptc4xmpExt:DigitalSourceType") == IPTC + "algorithmicMedia"
    files = shelf.ok("show", "one/colorization")["files"]
    assert "one/colorization@1/one-colorized-story.tif" in xmp(copy["path"], "stRef:filePath")
    store = read_store(Path(files["one-colorized-story.tif"]), "image/tiff", None, anchors(shelf))
    assert store is not None


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")
def test_exiftool_reads_the_same_and_finds_nothing_wrong(shelf: Shelf, out: Path):
    copies = exported(shelf, out, "one", "two", "one/restoration")

    def exiftool(*words: str) -> dict[str, Any]:
        done = subprocess.run(["exiftool", "-j", "-G1", *words], capture_output=True, text=True, check=True)
        (found,) = json.loads(done.stdout)
        return dict(found)

    for copy in copies:
        found = exiftool(copy["path"])
        assert found["XMP-photoshop:Credit"] == found["IPTC:Credit"] == "Museum of Nipomo"
        assert found["IFD0:Orientation"] == "Horizontal (normal)" and found["IFD0:XResolution"] == 600
        assert exiftool("-validate", copy["path"])["ExifTool:Validate"] == "OK"
    master, unknown = exiftool(copies[0]["path"]), exiftool(copies[1]["path"])
    assert master["XMP-iptcExt:DigitalSourceType"] == IPTC + "negativeFilm"
    assert master["XMP-dc:Title"] == master["IPTC:ObjectName"] == "The well"
    assert "XMP-iptcExt:DigitalSourceType" not in unknown, "nobody said what was digitized"


def test_what_a_scanner_or_camera_wrote_stays_in_the_house(shelf: Shelf, out: Path, tmp_path: Path):
    secret = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
    <rdf:Description rdf:about="" xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:crs="urn:x" exif:GPSLatitude="1,2N"
    crs:Secret="yes" xmlns:dc="http://purl.org/dc/elements/1.1/" dc:source="box 3"><exif:Serial>4711</exif:Serial>
    </rdf:Description></rdf:RDF></x:xmpmeta>"""
    scan = tmp_path / "talks.tif"
    tifffile.imwrite(scan, picture(64, 9), photometric="minisblack", extratags=[(700, "B", len(secret), secret, True)])
    shelf.ok("ingest", scan)
    (copy,) = exported(shelf, out, "talks")
    with Image.open(copy["path"]) as image:
        data = image.info["xmp"]
    assert b"box 3" in data
    assert not any(word in data for word in (b"GPS", b"4711", b"Secret"))


def test_hostile_words_are_inert_wherever_they_go(shelf: Shelf, out: Path):
    (copy,) = exported(shelf, out, "two")
    title = xmp(copy["path"], "dc:title")
    assert title == '=HYPERLINK("http://x")gpj <script>alert(1)</script> & "Käthe"[2J'
    store = read_store(Path(copy["path"]), JPEG, None, anchors(shelf))
    assert store is not None and store.assertions["cawg.metadata"]["dc:title"] == title
    rows = list(csv.reader(io.StringIO((out / "disclosure.csv").read_text("utf-8-sig"), newline="")))
    assert len(rows) == 2 and not any(cell[:1] in "=+-@" for row in rows for cell in row if cell)
    assert json.loads((out / "disclosure.json").read_text())["disclosures"][0]["title"] == title
    assert "\x1b" not in (out / "disclosure.txt").read_text() and "\u202e" not in (out / "disclosure.txt").read_text()


# --- words -------------------------------------------------------------------------------------------


def test_disclosures_lie_beside_the_pictures(shelf: Shelf, out: Path):
    exported(shelf, out, "one/colorization", "one/enhancement")
    assert sorted(path.name for path in out.iterdir()) == [
        "disclosure.csv", "disclosure.json", "disclosure.txt", "one-colorized-story-1.jpg", "one-enhanced-story-1.jpg",
    ]  # fmt: skip
    text = (out / "disclosure.txt").read_text()
    assert "it is no evidence" in text and "Only the middle was coloured." in text and "PSNR" in text
    told_ = {row["file"]: row for row in json.loads((out / "disclosure.json").read_text())["disclosures"]}
    assert told_["one-colorized-story-1.jpg"]["shares"]["COLORIZED"] == 0.25


def test_a_label_is_left_out_only_for_a_reason_that_is_kept(shelf: Shelf, out: Path, tmp_path: Path):
    refused = shelf.run("export", "one/colorization", "--as", "access", "--to", str(out), "--no-label")
    assert refused.code == 2 and "--reason" in refused.err and not out.exists()
    reason = "Printed on the wall beside its label"
    (copy,) = exported(shelf, out, "one/colorization", "--no-label", "--reason", reason)
    assert (copy["caption"], copy["label_left_out"], copy["height"]) == ("", reason, 400)
    store = read_store(Path(copy["path"]), JPEG, None, anchors(shelf))
    assert store is not None
    assert store.assertions["org.archive-restore.access"]["caption"] == {"text": "", "left_out": reason}
    assert reason in store.assertions["c2pa.actions.v2"]["actions"][1]["description"]
    assert reason in shelf.ok("show", "one/colorization")["events"][-1]["detail"]
    (next_,) = exported(shelf, tmp_path / "next", "one/colorization")
    assert next_["caption"], "for one export only"
    for words in (("one", "--no-label", "--reason", "x"), ("one/colorization", "--reason", "x")):
        assert shelf.run("export", *words, "--as", "access", "--to", str(tmp_path / "no")).code == 2


# --- folders, log, failures --------------------------------------------------------------------------


def test_record_and_story_never_share_a_folder(shelf: Shelf, out: Path):
    words = ("export", "one", "one/restoration", "one/colorization", "--as", "access", "--to", str(out))
    refused = shelf.run(*words)
    assert refused.code == 2 and "--with-stories" in refused.err and not out.exists()
    done = shelf.ok(*words, "--with-stories")
    assert sorted(path.name for path in out.iterdir()) == ["record", "stories"]
    assert sorted(path.name for path in (out / "record").glob("*.jpg")) == ["one-restoration-1.jpg", "one.jpg"]
    assert [path.name for path in (out / "stories").glob("*.jpg")] == ["one-colorized-story-1.jpg"]
    assert len(done["disclosures"]) == 6
    assert "colorization" not in (out / "record" / "disclosure.txt").read_text()


def test_the_log_tells_what_left_and_everything_verifies(shelf: Shelf, out: Path):
    (copy,) = exported(shelf, out, "one/colorization")
    last = shelf.ok("log", "show")["entries"][-1]["event"]
    assert (last["type"], last["ref"]) == ("dissemination", "one/colorization@1")
    assert last["digests"] == {"one-colorized-story-1.jpg": f"sha256:{copy['sha256']}"}
    assert copy["caption"] in last["detail"]
    assert shelf.ok("show", "one/colorization")["events"][-1] == last
    assert len(shelf.ok("show", "one/colorization")["events"]) > 3
    assert [f for f in shelf.ok("verify", "--all")["findings"] if f["severity"] != "info"] == []
    before = shelf.ok("show", "one/colorization")["events"]
    shelf.ok("catalog", "rebuild")
    assert shelf.ok("show", "one/colorization")["events"] == before


@pytest.mark.parametrize("place", ["file", "full", "archive"])
def test_only_a_new_or_empty_folder_outside_the_archive_will_do(shelf: Shelf, out: Path, place: str):
    if place == "file":
        out.write_text("a letter")
    elif place == "full":
        out.mkdir()
        (out / "letter.txt").write_text("a letter")
    else:
        out = shelf.root / "out"
    before = shelf.ok("log", "show")
    ran = shelf.run("export", "one", "--as", "access", "--to", str(out))
    assert ran.code in (2, 16) and ran.err.count("\n") == 1
    assert shelf.ok("log", "show") == before
    assert not (shelf.root / "out").exists()
    if place == "full":
        assert [path.name for path in out.iterdir()] == ["letter.txt"]


def test_an_export_that_is_done_is_not_written_over(shelf: Shelf, out: Path):
    exported(shelf, out, "one")
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    ran = shelf.run("export", "one", "--as", "access", "--to", str(out))
    assert ran.code == 16 and "not empty" in ran.err
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_an_interrupted_export_goes_on(shelf: Shelf, out: Path, monkeypatch: pytest.MonkeyPatch):
    words = ("export", "one", "two", "one/restoration", "--as", "access", "--to", str(out))
    real = export.make_copy

    def stopped(archive, ref, *more):
        if str(ref) == "two":
            raise KeyboardInterrupt
        return real(archive, ref, *more)

    monkeypatch.setattr(export, "make_copy", stopped)
    assert shelf.run(*words).code == 130
    assert sorted(path.name for path in out.iterdir()) == [STATE, "one.jpg"]
    monkeypatch.setattr(export, "make_copy", real)
    other = shelf.run("export", "two", "--as", "access", "--to", str(out))
    assert other.code == 16 and "another export" in other.err
    first = (out / "one.jpg").read_bytes()
    done = shelf.ok(*words)
    assert [copy["ref"] for copy in done["unchanged"]] == ["one"]
    assert [copy["ref"] for copy in done["exported"]] == ["two", "one/restoration@1"]
    assert (out / "one.jpg").read_bytes() == first
    assert sorted(path.name for path in out.iterdir()) == [
        "disclosure.csv", "disclosure.json", "disclosure.txt", "one-restoration-1.jpg", "one.jpg", "two.jpg",
    ]  # fmt: skip


def test_a_copy_that_was_changed_meanwhile_is_not_taken_for_ours(shelf: Shelf, out: Path, monkeypatch):
    real = export.make_copy

    def fails(archive, ref, *more):
        if str(ref) == "two":
            raise SelfCheckFailed("two does not verify")
        return real(archive, ref, *more)

    monkeypatch.setattr(export, "make_copy", fails)
    words = ("export", "one", "two", "--as", "access", "--to", str(out))
    ran = shelf.run(*words)
    assert ran.code == 1 and ran.json["failed"] == [{"ref": "two", "error": "two does not verify"}]
    assert [copy["ref"] for copy in ran.json["exported"]] == ["one"]
    monkeypatch.setattr(export, "make_copy", real)
    (out / "one.jpg").write_bytes(b"mine")
    ran = shelf.run(*words)
    assert ran.code == 1 and "is there already" in ran.json["failed"][0]["error"]
    assert (out / "one.jpg").read_bytes() == b"mine"


@pytest.mark.parametrize("where", ["journal", "log", "catalog"])
def test_a_crash_after_the_log_leaves_archive_and_folder_right(shelf: Shelf, out: Path, monkeypatch, where: str):
    from archive_restore.adapters.auditlog import FileAuditLog
    from archive_restore.adapters.catalog import SqlCatalog

    class Crash(BaseException):
        pass

    def crash(*_: object, **__: object) -> None:
        raise Crash

    target = {"journal": (export, "tell_events"), "log": (FileAuditLog, "append"), "catalog": (SqlCatalog, "_flush")}
    with monkeypatch.context() as broken:
        broken.setattr(*target[where], crash)
        with pytest.raises(Crash):
            from archive_restore.app import open_archive

            with open_archive(shelf.root, write=True) as archive:
                refs = export.choose_exports(archive, ["one"], everything=False, query=None, kind=None)
                export.export_access(archive, refs, out, access_copy.AccessSettings())
    assert not (out / "one.jpg").exists() and not list(out.glob(".*unfinished"))
    (copy,) = exported(shelf, out, "one")
    assert Path(copy["path"]).exists()
    events = [e for e in shelf.ok("show", "one")["events"] if e["type"] == "dissemination"]
    assert events[-1]["digests"] == {"one.jpg": f"sha256:{copy['sha256']}"}
    assert [f for f in shelf.ok("verify", "--all")["findings"] if f["severity"] == "error"] == []


def test_a_damaged_derivative_is_not_handed_out(shelf: Shelf, out: Path):
    path = shelf.files("one/restoration@1")["one-restoration.tif"]
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 0xFF
    path.write_bytes(bytes(data))
    ran = shelf.run("export", "one/restoration", "--as", "access", "--to", str(out))
    assert ran.code == 1 and ran.json["failed"][0]["ref"] == "one/restoration@1"
    assert not list(out.glob("*.jpg"))


def test_a_copy_whose_pixels_change_while_it_is_signed_is_not_kept(shelf: Shelf, out: Path, monkeypatch):
    real = access_copy._decoded
    calls = []

    def other(archive, path, sheet, place):
        calls.append(path)
        error, digest = real(archive, path, sheet, place)
        return error, digest if len(calls) == 1 else "0" * 64

    monkeypatch.setattr(access_copy, "_decoded", other)
    ran = shelf.run("export", "one", "--as", "access", "--to", str(out))
    assert "decodes otherwise" in ran.json["failed"][0]["error"] and not list(out.glob("*.jpg"))


def test_all_takes_the_newest_of_a_kind(shelf: Shelf, out: Path, tmp_path: Path):
    assert [c["ref"] for c in exported(shelf, out, "--all")] == ["one", "two"]
    (only,) = exported(shelf, tmp_path / "c", "--all", "--kind", "colorization")
    assert only["ref"] == "one/colorization@1"
    assert shelf.run("export", "one", "--kind", "master", "--as", "access", "--to", str(tmp_path / "d")).code == 2
    ran = shelf.run("export", "--query", "nothing", "--as", "access", "--to", str(tmp_path / "e"))
    assert ran.code == 2 and "nothing to export" in ran.err


def test_one_bad_reference_stops_before_anything_is_made(shelf: Shelf, out: Path):
    ran = shelf.run("export", "one", "three", "--as", "access", "--to", str(out))
    assert ran.code == 12 and not out.exists()
