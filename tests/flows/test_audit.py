"""`audit`: judged beside a C2PA reader that we did not write; it writes nothing, and no file can crash it."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import shutil
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from archive_restore.adapters import keys
from archive_restore.adapters.c2pa_chain import chain
from archive_restore.adapters.c2pa_library import Store, read_store, sign_embedded
from archive_restore.core.credential_words import SOURCE_TYPES, STATUS
from archive_restore.core.manifests import DIGITAL_SOURCE_TYPES
from archive_restore.imaging import engine
from archive_restore.records.findings import Severity
from archive_restore.records.stories import StoryKind
from tests.adapters.credential_bench import stranger
from tests.adapters.test_report import outline
from tests.conftest import PHOTOGRAPHS, Ran
from tests.support.archives import must, run
from tests.support.stories import tint, told

JPEG = "image/jpeg"
ROOT = Path(__file__).resolve().parent.parent
HOSTILE = (
    '=HYPERLINK("http://x") \u202egpj <script>alert(1)</script> & "Käthe" \x1b[2J\x07 \'; DROP TABLE items;-- '
    "<img src=http://x onerror=alert(1)> {{ 7*7 }} " + "long " * 2000
)


@dataclass(frozen=True)
class Desk:
    """An archive with one item told as a story, and what left it."""

    archive: Path
    colour: Path
    """Access copy of the colorization."""
    restored: Path
    master: Path
    anchors: Path


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    folder = tmp_path_factory.mktemp("audit")
    archive, scans = folder / "archive", folder / "scans"
    scans.mkdir()
    must("init", archive, "--organization", "Museum of Nipomo")
    with Image.open(PHOTOGRAPHS / "airplane-from-above.jpg") as whole:
        whole.convert("L").crop((520, 120, 840, 360)).resize((480, 360)).save(scans / "plane.tif")
    with Image.open(PHOTOGRAPHS / "march-pastoral.jpg") as whole:
        whole.convert("L").resize((400, 300)).save(scans / "other.tif")
    with (scans / "sheet.csv").open("w", newline="", encoding="utf-8") as sheet:
        rows = [["plane.tif", "LHS-0002", "Airplane", "print"], ["other.tif", "other", HOSTILE, ""]]
        csv.writer(sheet).writerows([["file", "item_id", "title", "source_type"], *rows])
    must("-A", archive, "ingest", scans / "plane.tif", scans / "other.tif", "--metadata", scans / "sheet.csv")
    must("-A", archive, "restore", "LHS-0002", "--recipe", "gentle")
    told(archive, StoryKind.COLORIZATION, "LHS-0002/restoration@1", tint)
    words = ("LHS-0002/colorization", "LHS-0002/restoration", "--with-stories", "--as", "access")
    must("-A", archive, "export", *words, "--to", folder / "public")
    anchors = folder / "roots.pem"
    anchors.write_text(keys.load_anchors(archive / "keys"))
    return Desk(
        archive=archive,
        colour=folder / "public" / "stories" / "LHS-0002-colorized-story-1.jpg",
        restored=folder / "public" / "record" / "LHS-0002-restoration-1.jpg",
        master=scans / "plane.tif",
        anchors=anchors,
    )


def audit(*words: str | Path) -> Ran:
    head = words[:2] if words[0] == "-A" else ()
    ran = run("--json", *head, "audit", *words[len(head) :])
    assert ran.code in (0, 1), ran.err
    assert (ran.code == 0) == ran.json["ok"]
    assert "Traceback" not in ran.err
    return ran


def severities(ran: Ran) -> dict[str, str]:
    return {finding["code"]: finding["severity"] for finding in ran.json["findings"]}


def state_of(path: Path | bytes, anchors: Path | None = None, **more: Any) -> str:
    return str(stranger(path, anchors.read_text() if anchors else None, mime=JPEG, **more)["validation_state"]).lower()


# --- credentials, without an archive -----------------------------------------------------------------


def test_the_chain_is_told_from_the_newest_to_the_oldest(desk: Desk):
    ran = audit(desk.colour)
    said = ran.json["credentials"]
    assert said["state"] == state_of(desk.colour) == "valid"
    assert [m["title"] for m in said["manifests"]] == [
        "LHS-0002-colorized-story-1.jpg", "plane-colorized-story.tif", "plane-restoration.tif", "plane.tif",
    ]  # fmt: skip
    assert said["parents"] == 4
    newest, oldest = said["manifests"][0], said["manifests"][-1]
    assert newest["own"] == ["org.archive-restore.access", "org.archive-restore.synthesis-map"]
    assert [(i["relationship"], i["title"]) for i in newest["ingredients"]] == [
        ("parentOf", "LHS-0002/colorization@1"), ("inputTo", "synthesis map"),
    ]  # fmt: skip
    assert newest["actions"][0]["source_words"] == "made by an algorithm, without training data"
    assert oldest["actions"][0]["source_words"] == "digitized from a print"
    assert "Museum of Nipomo" in newest["signer"] and "local root" in newest["issuer"]
    assert newest["algorithm"] == "es256"
    assert [m["trusted"] for m in said["manifests"]] == [False] * 4
    assert severities(ran) == {"C2PA_UNTRUSTED": "warning", "AUDIT_KINSHIP_NOT_JUDGED": "info"}
    assert ran.json["kinship"]["judged"] is False and ran.code == 0


def test_trust_is_stated_under_the_roots_that_were_given(desk: Desk):
    ran = audit(desk.colour, "--anchors", desk.anchors)
    assert ran.json["credentials"]["state"] == state_of(desk.colour, desk.anchors) == "trusted"
    assert ran.json["credentials"]["anchors"] == "the roots in roots.pem"
    assert all(m["trusted"] for m in ran.json["credentials"]["manifests"])


def test_a_file_without_certificates_is_no_anchor(desk: Desk, tmp_path: Path):
    (tmp_path / "not.pem").write_text("-----BEGIN NOTHING-----")
    ran = run("--json", "audit", desk.colour, "--anchors", tmp_path / "not.pem")
    assert ran.code == 2 and "no certificates" in ran.json["error"]["message"]


def test_a_changed_byte_breaks_them_and_says_what_that_does_not_mean(desk: Desk, tmp_path: Path):
    data = bytearray(desk.colour.read_bytes())
    data[-400] ^= 1
    (tmp_path / "changed.jpg").write_bytes(data)
    ran = audit(tmp_path / "changed.jpg", "--anchors", desk.anchors)
    assert ran.json["credentials"]["state"] == state_of(bytes(data), desk.anchors) == "invalid"
    assert {"C2PA_OTHER_BYTES": "error", "C2PA_SAVED_AGAIN": "info"}.items() <= severities(ran).items()
    (objection,) = ran.json["credentials"]["objections"]
    assert objection["code"] == "assertion.dataHash.mismatch"
    assert "does not say who did it" in objection["means_not"]


def test_a_manifest_of_another_picture_is_told_as_such(desk: Desk, tmp_path: Path):
    store = next(iter(_stores(desk.colour)))
    with Image.open(PHOTOGRAPHS / "march-pastoral.jpg") as image:
        image.resize((400, 300)).save(tmp_path / "march.jpg")
    (tmp_path / "march.jpg.c2pa").write_bytes(store)
    ran = audit(tmp_path / "march.jpg", "--anchors", desk.anchors)
    assert state_of(tmp_path / "march.jpg", desk.anchors, sidecar=store) == "invalid"
    assert {"C2PA_OTHER_BYTES", "C2PA_MOVED"} <= severities(ran).keys()


def _stores(path: Path) -> list[bytes]:
    """JUMBF of a JPEG put together again from its APP11 segments (ISO/IEC 19566-5 Annex D)."""
    data, at, parts = path.read_bytes(), 2, []
    while data[at + 1] != 0xDA:
        length = int.from_bytes(data[at + 2 : at + 4])
        body = data[at + 4 : at + 2 + length]
        if data[at + 1] == 0xEB and body[:2] == b"JP":
            # Every segment but the first repeats the box header.
            parts.append(body[8:] if not parts else body[16:])
        at += 2 + length
    return [b"".join(parts)]


def test_a_crop_that_kept_the_manifest_is_told_from_a_manifest_that_was_moved(desk: Desk, tmp_path: Path):
    """A foreign manifest with a small picture of what was signed, as cameras and editors write them."""
    with Image.open(desk.colour) as image:
        whole = image.crop((0, 0, 480, 360)).resize((960, 720))
    whole.save(tmp_path / "plain.jpg", quality=92)
    small = io.BytesIO()
    whole.resize((480, 360)).save(small, "JPEG")
    definition = {
        "title": "plain", "claim_generator_info": [{"name": "camera"}], "assertions": [_created()],
        "thumbnail": {"format": "image/jpeg", "identifier": "thumb.jpg"},
    }  # fmt: skip
    signer = keys.load_signer(desk.archive / "keys")
    resources: dict[str, bytes | Path] = {"thumb.jpg": small.getvalue()}
    signed = tmp_path / "signed.jpg"
    sign_embedded(tmp_path / "plain.jpg", signed, JPEG, definition, signer, resources=resources)
    store = _stores(signed)[0]
    whole.crop((300, 100, 900, 600)).save(tmp_path / "crop.jpg")
    with Image.open(PHOTOGRAPHS / "march-pastoral.jpg") as image:
        image.resize((960, 720)).save(tmp_path / "other.jpg")
    for name, code in (("crop", "C2PA_SAVED_AGAIN"), ("other", "C2PA_MOVED")):
        (tmp_path / f"{name}.c2pa").write_bytes(store)
        ran = audit(tmp_path / f"{name}.jpg", "--report", tmp_path / f"{name}.html")
        assert ran.code == 1 and code in severities(ran), name
        assert "What was signed" in outline((tmp_path / f"{name}.html").read_bytes()).words


def test_a_sidecar_beside_the_file_is_found(desk: Desk, tmp_path: Path):
    shown = json.loads(must("--json", "-A", desk.archive, "show", "LHS-0002").out)["files"]
    for name in ("plane.tif", "plane.tif.c2pa"):
        shutil.copy(shown[name], tmp_path)
    ran = audit(tmp_path / "plane.tif", "--anchors", desk.anchors)
    assert ran.json["credentials"]["state"] == "trusted"
    assert ran.json["credentials"]["manifests"][0]["title"] == "plane.tif"
    alone = audit(tmp_path / "plane.tif.c2pa")
    assert "the file it belongs to" in alone.json["says"][0] and alone.code == 1


def test_absence_is_no_guilt(desk: Desk, tmp_path: Path):
    with Image.open(desk.colour) as image:
        image.save(tmp_path / "stripped.jpg")
    ran = audit(tmp_path / "stripped.jpg")
    assert ran.code == 0 and severities(ran)["C2PA_NONE"] == "info"
    assert any("no sign of guilt" in sentence for sentence in ran.json["says"])


def test_credentials_that_lie_elsewhere_are_not_fetched(tmp_path: Path):
    packet = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:dcterms="http://purl.org/dc/terms/" '
        'dcterms:provenance="http://127.0.0.1:9/m.c2pa"/></rdf:RDF></x:xmpmeta>'
    )
    Image.new("RGB", (64, 64), (90, 80, 70)).save(tmp_path / "remote.jpg", xmp=packet.encode())
    assert severities(audit(tmp_path / "remote.jpg"))["C2PA_REMOTE"] == "warning"


def test_every_status_says_what_it_does_not_mean():
    assert {"assertion.dataHash.mismatch", "claimSignature.mismatch", "assertion.hashedURI.mismatch",
            "signingCredential.untrusted", "signingCredential.expired", "ingredient.unknownProvenance",
            "timeStamp.mismatch"} <= STATUS.keys()  # fmt: skip
    for code, words in STATUS.items():
        assert words.means.endswith(".") and words.means_not.endswith("."), code
        assert words.means != words.means_not
    assert STATUS["signingCredential.untrusted"].severity is Severity.WARNING
    assert STATUS["ingredient.unknownProvenance"].severity is Severity.INFO
    assert SOURCE_TYPES.keys() >= DIGITAL_SOURCE_TYPES


@pytest.mark.parametrize(
    "junk", [None, 7, "x", [], [None, 3, "x"], {}, {"actions": 5}, [{"data": {"actions": [1, {}]}}]]
)
def test_no_shape_of_a_manifest_can_crash_the_reader(junk: Any):
    """Whatever a stranger's store holds in place of what C2PA wants there."""
    names = ("assertions", "ingredients", "signature_info", "claim_generator_info", "title", "claim_generator")
    for name in names:
        manifests = {"a": {name: junk, "title": "t"}}
        store = Store(
            state="Invalid", active="a", manifests=manifests, assertions={"c2pa.soft-binding": junk}, results={},
            not_after="", resources={}, signatures={"a": {"certificateInfo": junk}},
        )  # fmt: skip
        assert len(chain(store).manifests) == 1


def test_a_chain_that_leads_round_ends():
    manifests = {
        name: {"ingredients": [{"relationship": "parentOf", "active_manifest": parent}]}
        for name, parent in (("a", "b"), ("b", "a"), ("c", "a"))
    }
    store = Store(
        state="Valid", active="a", manifests=manifests, assertions={}, results={}, not_after="", resources={},
    )  # fmt: skip
    found = chain(store)
    assert [m.label for m in found.manifests] == ["a", "b", "c"] and found.parents == 2


# --- whatever is handed in ---------------------------------------------------------------------------


def test_every_bad_file_gives_a_finding_and_no_traceback(capfd: pytest.CaptureFixture[str]):
    files = sorted(path for path in (ROOT / "bad").rglob("*") if path.is_file() and path.suffix != ".txt")
    assert len(files) > 150
    for path in files:
        ran = audit(path)
        assert ran.json["findings"], path
        if path.parent.name.startswith(("PICTURE_BOMB", "FILE_EMPTY", "JPEG_NO_SCAN")):
            assert ran.code == 1, path
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize(
    ("name", "data", "kind", "code"),
    [
        ("nothing.jpg", b"", "unknown", "AUDIT_NOT_UNDERSTOOD"),
        ("text.jpg", b"<html>", "unknown", "AUDIT_NOT_UNDERSTOOD"),
        ("a.pdf", b"%PDF-1.7", "unknown", "AUDIT_NOT_UNDERSTOOD"),
        ("cut.webp", b"RIFF\x10\0\0\0WEBPVP8 \0\0\0\0", "image", "AUDIT_PICTURE_UNREADABLE"),
        ("cut.mkv", b"\x1aE\xdf\xa3" + bytes(60), "video", "AUDIT_VIDEO_NOT_COMPARED"),
        ("cut.mp4", struct.pack(">I4s4sI", 16, b"ftyp", b"isom", 0) + bytes(8), "video", "AUDIT_VIDEO_NOT_COMPARED"),
        ("a.heic", struct.pack(">I4s4sI", 16, b"ftyp", b"heic", 0) + bytes(8), "image", "AUDIT_PICTURE_UNREADABLE"),
    ],
)  # fmt: skip
def test_what_it_is_is_decided_by_its_bytes(tmp_path: Path, name: str, data: bytes, kind: str, code: str):
    (tmp_path / name).write_bytes(data)
    ran = audit(tmp_path / name)
    assert ran.json["kind"] == kind and code in severities(ran)


@pytest.mark.parametrize("kind", ["webp", "gif", "png", "bmp", "avif", "palette.png", "cmyk.jpg", "16.png"])
def test_pictures_of_the_web_are_looked_at(tmp_path: Path, kind: str):
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 255, (40, 60, 3), dtype=np.uint8))
    if kind.startswith("palette"):
        image = image.convert("P")
    elif kind.startswith("cmyk"):
        image = image.convert("CMYK")
    elif kind.startswith("16"):
        image = Image.fromarray(rng.integers(0, 65535, (40, 60), dtype=np.uint16))
    path = tmp_path / f"picture.{kind}"
    image.save(path)
    ran = audit(path)
    assert (ran.json["width"], ran.json["height"]) == (60, 40) and ran.code == 0, ran.out


def test_a_folder_that_is_nothing_and_a_path_that_is_not_there(tmp_path: Path):
    assert severities(audit(tmp_path)) == {"AUDIT_NOT_UNDERSTOOD": "error"}
    assert run("--json", "audit", tmp_path / "none").code == 2


def test_a_signed_video_is_read_and_said_not_to_be_compared(desk: Desk, tmp_path: Path):
    plain, signed = tmp_path / "plain.mp4", tmp_path / "signed.mp4"
    ftyp = struct.pack(">I4s4sI4s", 20, b"ftyp", b"isom", 0, b"isom")
    plain.write_bytes(ftyp + struct.pack(">I4s", 8 + 64, b"mdat") + bytes(64) + struct.pack(">I4s", 8, b"moov"))
    definition = {"title": "clip", "claim_generator_info": [{"name": "camera"}], "assertions": [_created()]}
    sign_embedded(plain, signed, "video/mp4", definition, keys.load_signer(desk.archive / "keys"))
    ran = audit(signed, "--anchors", desk.anchors)
    assert (ran.json["kind"], ran.json["credentials"]["state"], ran.code) == ("video", "trusted", 0)
    assert severities(ran)["AUDIT_VIDEO_NOT_COMPARED"] == "warning"


def _created(**more: Any) -> dict[str, Any]:
    source = "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"
    action = {"action": "c2pa.created", "digitalSourceType": source, **more}
    return {"label": "c2pa.actions.v2", "created": True, "data": {"actions": [action]}}


# --- packages ----------------------------------------------------------------------------------------


def test_bags_are_judged_and_what_is_not_looked_at_is_said():
    good, bad = ROOT / "good_bags" / "two_manifests_and_tags", ROOT / "bad_bags"
    ran = audit(good)
    assert ran.code == 0 and ran.json["kind"] == "bag" and severities(ran) == {"AUDIT_CONTENT_NOT_LOOKED_AT": "info"}
    deep = audit(good, "--deep")
    assert [Path(one["path"]).name for one in deep.json["inside"]] == ["scan.tif"] and deep.json["subjects"] == 2
    broken = next(path for path in sorted(bad.iterdir()) if "CHECKSUM" in path.name or "DIGEST" in path.name)
    assert audit(next(iter([broken, *broken.glob("*/bagit.txt")]))).code == 1


def test_ocfl_objects_and_roots_are_judged_whoever_wrote_them(desk: Desk, tmp_path: Path):
    root = desk.archive / "preservation"
    ran = audit(root)
    assert ran.code == 0 and ran.json["kind"] == "ocfl-root" and "AUDIT_CONTENT_NOT_LOOKED_AT" in severities(ran)
    one = next(root.rglob("0=ocfl_object_1.1")).parent
    copy = shutil.copytree(one, tmp_path / "object")
    deep = held(desk, copy, "--deep", "--report", tmp_path / "r.html")
    assert deep.json["kind"] == "ocfl-object" and deep.code == 0 and deep.json["inside"]
    assert all(inner["says"] for inner in deep.json["inside"])
    next(path for path in copy.rglob("*") if path.suffix == ".tif").write_bytes(b"II*\0")
    assert audit(copy).code == 1


def test_a_package_full_of_faults_stays_on_one_screen(tmp_path: Path):
    bag = shutil.copytree(ROOT / "good_bags" / "two_manifests_and_tags", tmp_path / "bag")
    for number in range(300):
        (bag / "data" / f"stray\x1b[31m{number}.txt").write_text("x")
    ran = run("audit", bag)
    assert ran.code == 1 and ran.out.count("\n") < 40 and "\x1b[31m" not in ran.out


def test_a_pipe_is_not_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.jpg")
    assert severities(audit(tmp_path / "pipe.jpg")) == {"AUDIT_NOT_UNDERSTOOD": "error"}


def test_an_archive_is_verified_whole(desk: Desk):
    ran = audit(desk.archive)
    assert ran.code == 0 and ran.json["kind"] == "archive" and ran.json["subjects"] == 4


# --- hostile words -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hostile(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture of a stranger whose every text is an attack."""
    folder = tmp_path_factory.mktemp("hostile")
    with Image.open(desk.colour) as image:
        image.crop((0, 0, 400, 300)).save(folder / "plain.jpg", xmp=None, comment=HOSTILE[:500])
    definition = {
        "title": HOSTILE,
        "claim_generator_info": [{"name": HOSTILE, "version": HOSTILE}],
        "assertions": [
            _created(description=HOSTILE, softwareAgent={"name": HOSTILE}),
            {"label": "org.archive-restore.access.v1", "kind": "Json", "created": True, "data": {"ref": HOSTILE}},
        ],
        "ingredients": [
            {"title": HOSTILE, "format": "image/jpeg", "relationship": "componentOf", "description": HOSTILE}
        ],
    }
    path = folder / "a\x1b[31m<b>\u202egpj.jpg"
    sign_embedded(folder / "plain.jpg", path, JPEG, definition, keys.load_signer(desk.archive / "keys"))
    return path


def test_hostile_words_are_inert_in_terminal_and_json(hostile: Path, desk: Desk):
    for words in ((), ("-v",)):
        shown = run(*words, "audit", hostile)
        assert shown.code == 0, shown.err
        assert not {c for c in shown.out if not c.isprintable() and c != "\n"}
        assert len(shown.out) < 30_000
    ours = run("-A", desk.archive, "audit", desk.master.with_name("other.tif"))
    assert "HYPERLINK" in ours.out and "byte for byte" in ours.out
    assert not {c for c in ours.out if not c.isprintable() and c != "\n"} and len(ours.out) < 5_000
    data = run("--json", "audit", hostile)
    assert json.loads(data.out)["credentials"]["manifests"][0]["title"].startswith("=HYPERLINK")
    assert "\x1b" not in data.out and "\x07" not in data.out
    assert severities(data)["C2PA_SOURCE_UNKNOWN"] == "info", "an ingredient without credentials is no crime"


def test_hostile_words_are_inert_in_the_report(hostile: Path, desk: Desk, tmp_path: Path):
    must("audit", hostile, "--report", tmp_path / "r.html")
    must("audit", desk.restored, "--report", tmp_path / "plain.html")
    told_ = outline((tmp_path / "r.html").read_bytes())
    tags = {tag for tag, _ in told_.elements}
    assert "script" not in tags and not tags & {"iframe", "object", "link", "form", "a-b", "b"}
    for tag, attributes in told_.elements:
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
        assert str(attributes.get("src", "data:image/")).startswith("data:image/")
        assert tag != "a" or attributes["href"].startswith("#")
    policy = next(a["content"] for t, a in told_.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-") and "script" not in policy
    text = (tmp_path / "r.html").read_text()
    assert "\u202e" not in text and "\x1b" not in text and "49" not in "".join(told_.words).split("{{")[0][-5:]


# --- nothing is written ------------------------------------------------------------------------------


def _contents(folder: Path) -> dict[str, tuple[str, int]]:
    return {
        path.relative_to(folder).as_posix(): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.relative_to(folder).parts[0] != "fingerprints"
    }


def test_the_archive_and_what_lies_beside_stay_as_they_are(desk: Desk, tmp_path: Path):
    shutil.copy(desk.colour, tmp_path / "copy.jpg")
    before = _contents(desk.archive), _contents(tmp_path)
    assert run("--json", "-A", desk.archive, "audit", tmp_path / "copy.jpg").code == 0
    assert (_contents(desk.archive), _contents(tmp_path)) == before


def test_a_report_is_never_written_over_something_or_into_an_archive(desk: Desk, tmp_path: Path):
    (tmp_path / "there.html").write_text("mine")
    ran = run("--json", "audit", desk.colour, "--report", tmp_path / "there.html")
    assert ran.code == 16 and (tmp_path / "there.html").read_text() == "mine"
    assert run("-A", desk.archive, "audit", desk.colour, "--report", desk.archive / "r.html").code == 2
    assert run("audit", desk.archive, "--report", desk.archive / "r.html").code == 2
    assert not (desk.archive / "r.html").exists()


# --- kinship and difference --------------------------------------------------------------------------


def published(desk: Desk, path: Path, change: Any = None, *, source: Path | None = None, **options: Any) -> Path:
    """A copy as somebody may have put it on the web: without the band, without credentials."""
    with Image.open(source or desk.colour) as image:
        picture = image.crop((0, 0, 480, 360))
    picture = change(picture) if change else picture
    picture.save(path, **{"quality": 85, **options})
    return path


def held(desk: Desk, path: Path, *words: str | Path) -> Ran:
    return audit("-A", desk.archive, path, *words)


def test_a_crop_of_a_story_is_found_and_what_it_invents_is_said(desk: Desk, tmp_path: Path):
    """The middle half was coloured: of a crop inside of it everything."""
    ran = held(desk, published(desk, tmp_path / "crop.jpg", lambda p: p.crop((125, 95, 355, 265)).resize((460, 340))))
    kin = ran.json["kinship"]
    assert (kin["ref"], kin["story"], kin["title"]) == ("LHS-0002/colorization@1", True, "Airplane")
    assert kin["pixels"]["COLORIZED"] > 0.98 and not kin["exported"]
    difference = ran.json["difference"]
    assert difference["shown"] == pytest.approx(230 * 170 / (480 * 360), abs=0.03)
    assert difference["resized"] == pytest.approx(2, abs=0.05) and difference["changed"] == [] and ran.code == 0
    assert any("entirely synthesized" in sentence for sentence in ran.json["says"])
    assert any("The caption that says what it is does not stand" in sentence for sentence in ran.json["says"])


def test_a_region_that_was_changed_after_export_is_found_where_it_is(desk: Desk, tmp_path: Path):
    def tampered(picture: Image.Image) -> Image.Image:
        picture.paste(picture.crop((60, 40, 120, 90)).transpose(Image.Transpose.FLIP_LEFT_RIGHT), (300, 220))
        return picture

    ran = held(desk, published(desk, tmp_path / "t.jpg", tampered), "--report", tmp_path / "r.html")
    assert ran.code == 1 and severities(ran)["AUDIT_CHANGED_REGION"] == "error"
    region = ran.json["difference"]["changed"][0]["region"]
    assert region["left"] < 330 < region["right"] and region["top"] < 245 < region["bottom"]
    assert region["right"] - region["left"] < 120 and region["bottom"] - region["top"] < 110
    page = outline((tmp_path / "r.html").read_bytes())
    assert "1: in the archive" in page.words and "1: in this file" in page.words
    assert sum(tag == "img" for tag, _ in page.elements) == 6


def test_saving_it_again_is_no_change(desk: Desk, tmp_path: Path):
    ran = held(desk, published(desk, tmp_path / "again.jpg", source=desk.restored, quality=60))
    assert ran.code == 0 and ran.json["difference"]["changed"] == []
    assert ran.json["kinship"]["ref"] in ("LHS-0002", "LHS-0002/restoration@1") and not ran.json["kinship"]["story"]
    assert "Nothing in it departs" in " ".join(ran.json["says"])


def test_a_mirrored_picture_is_found_and_warned_of(desk: Desk, tmp_path: Path):
    mirror = Image.Transpose.FLIP_LEFT_RIGHT
    ran = held(desk, published(desk, tmp_path / "mirrored.webp", lambda p: p.transpose(mirror)))
    assert severities(ran)["AUDIT_MIRRORED"] == "warning" and ran.code == 0


def test_what_is_unrelated_stays_so(desk: Desk, tmp_path: Path):
    with Image.open(PHOTOGRAPHS / "airplane-from-above.jpg") as image:
        image.crop((0, 400, 320, 700)).save(tmp_path / "elsewhere.jpg")
    ran = held(desk, tmp_path / "elsewhere.jpg")
    assert ran.code == 0 and ran.json["kinship"]["ref"] == "" and "AUDIT_NO_KIN" in severities(ran)
    assert "does not prove" in ran.json["says"][0]


def test_the_very_file_that_was_exported_is_known(desk: Desk):
    ran = held(desk, desk.colour)
    (left,) = ran.json["kinship"]["exported"]
    assert left["ref"] == "LHS-0002/colorization@1" and left["by"].startswith("archive-restore")
    assert ran.code == 0 and ran.json["difference"]["changed"] == []
    assert ran.json["credentials"]["state"] == "trusted" == state_of(desk.colour, desk.anchors)
    assert any(sentence.startswith("The archive’s log knows this very file") for sentence in ran.json["says"])


def test_colours_from_elsewhere_are_told_apart_from_the_archives_own(desk: Desk, tmp_path: Path):
    def painted(picture: Image.Image) -> Image.Image:
        gray = np.asarray(picture.convert("L"), np.float64)
        across = np.linspace(0.6, 1.0, gray.shape[1])
        return Image.fromarray(np.stack([gray, gray * across, gray * across[::-1]], axis=2).astype(np.uint8))

    ran = held(desk, published(desk, tmp_path / "painted.png", painted, source=desk.restored))
    assert ran.json["kinship"]["ref"].startswith("LHS-0002")
    assert not ran.json["kinship"]["story"] and severities(ran)["AUDIT_COLOURS_ADDED"] == "warning"


# --- files of ours -----------------------------------------------------------------------------------


def stored(desk: Desk, ref: str, name: str) -> Path:
    return Path(json.loads(must("--json", "-A", desk.archive, "show", ref).out)["files"][name])


def test_a_derivative_is_held_against_the_master(desk: Desk, tmp_path: Path):
    path = shutil.copy(stored(desk, "LHS-0002/restoration", "plane-restoration.tif"), tmp_path / "x.tif")
    ran = held(desk, Path(path))
    assert ran.code == 0 and ran.json["kinship"]["identical"] and "AUDIT_CLAIMS_CHECKED" in severities(ran)
    assert ran.json["kinship"]["ref"] == "LHS-0002/restoration@1"
    alone = audit(path)
    assert alone.code == 0 and severities(alone)["AUDIT_MASTER_NOT_AT_HAND"] == "warning"


def test_a_map_that_lies_is_found(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Made with the archive's own keys: everything agrees with everything, only the master says otherwise."""
    archive = shutil.copytree(desk.archive, tmp_path / "archive")
    honest = engine.run

    def lying(*words: Any, **options: Any) -> Iterator[Any]:
        for band in honest(*words, **options):
            band.samples[3, 3, 0] ^= 1
            band.flags[3, 3] = 0
            yield band

    with monkeypatch.context() as attack:
        attack.setattr(engine, "run", lying)
        attack.setattr("archive_restore.flows.restore.check_stored", lambda *_: None)
        must("-A", archive, "restore", "LHS-0002", "--recipe", "gentle", "--seed", "7")
    files = json.loads(must("--json", "-A", archive, "show", "LHS-0002/restoration@2").out)["files"]
    path = shutil.copy(files["plane-restoration.tif"], tmp_path / "lying.tif")
    ran = audit("-A", archive, path)
    assert ran.json["credentials"]["state"] == "trusted" and ran.code == 1
    assert severities(ran)["MAP_LIES"] == "error"


def test_an_access_copy_whose_map_is_not_the_one_it_states(desk: Desk, tmp_path: Path):
    with Image.open(desk.colour) as image:
        image.save(tmp_path / "plain.jpg")
    store = read_store(desk.colour, JPEG, None, desk.anchors.read_text())
    assert store is not None
    said = store.assertions["org.archive-restore.synthesis-map"]
    blank = io.BytesIO()
    Image.fromarray(np.zeros((said["height"], said["width"]), np.uint8)).save(blank, "PNG")
    definition = {
        "title": "forged", "claim_generator_info": [{"name": "archive-restore"}],
        "ingredients": [{"title": "synthesis map", "relationship": "inputTo", "label": "map",
                         "data": {"format": "image/png", "identifier": "map.png"}}],
        "assertions": [
            _created(),
            *({"label": f"{name}.v1", "kind": "Json", "created": True, "data": store.assertions[name]}
              for name in ("org.archive-restore.access", "org.archive-restore.synthesis-map")),
        ],
    }  # fmt: skip
    sign_embedded(
        tmp_path / "plain.jpg", tmp_path / "forged.jpg", JPEG, definition, keys.load_signer(desk.archive / "keys"),
        resources={"map.png": blank.getvalue()},
    )  # fmt: skip
    ran = audit(tmp_path / "forged.jpg", "--anchors", desk.anchors)
    assert ran.json["credentials"]["state"] == "trusted" == state_of(tmp_path / "forged.jpg", desk.anchors)
    assert ran.code == 1 and severities(ran)["MAP_DISAGREES"] == "error"


def test_bytes_that_are_known_need_no_kin(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    """Where the pixels show nothing that could be recognized, the log and the catalog still know the file."""
    monkeypatch.setattr("archive_restore.flows.audit_kin.find_kin", lambda *_, **__: ())
    ran = held(desk, desk.colour)
    assert (ran.json["kinship"]["ref"], ran.json["kinship"]["story"]) == ("LHS-0002/colorization@1", True)
    assert ran.json["kinship"]["exported"] and ran.json["difference"] is None and ran.code == 0
    assert held(desk, desk.master).json["kinship"]["identical"]
