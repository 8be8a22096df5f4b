"""`export --as mets` and `--as iiif`: whole commands, judged by schemas, a library and a viewer that are not ours."""

import csv
import hashlib
import json
import shutil
import subprocess
import urllib.parse
from html.parser import HTMLParser

import numpy as np
import pytest
import tifffile
from lxml import etree
from PIL import Image

from archive_restore.adapters.iiif import IiifExporter, checked_base
from archive_restore.adapters.mets import MetsExporter
from archive_restore.adapters.picture_files import FilePictures
from archive_restore.core.disclosure_words import FLAGS
from archive_restore.core.labels import BUILT_IN
from archive_restore.errors import UsageError
from archive_restore.records.labels import LabelKind, Labels
from archive_restore.records.stories import StoryKind
from tests.adapters.test_mets import official  # noqa: F401
from tests.support.archives import must, run
from tests.support.iiif_client import psnr, requests, seen
from tests.support.scans import write_scan, write_scratch_map
from tests.support.stories import tint, told, twice

iiif_prezi3 = pytest.importorskip("iiif_prezi3", reason="iiif-prezi3 is not installed: pip install .[test]")

EDGE = 540
BASE = "https://iiif.example.org/photographs"
LABELS = """
[labels.colorization]
de = "Von uns koloriert."
nl = "Ingekleurd."
"""
HOSTILE = {
    "title": "<img src=x onerror=alert(1)>\u202e</script><script>alert(2)</script>",
    "creator": "'; DROP TABLE items; --",
    "subject": "=HYPERLINK(\"http://evil.example\";\"x\")",
    "description": "<p>\x1b[31mred</p> & " + "A" * 10_000,
    "coverage": "javascript:alert(3)",
    "rights": "http://creativecommons.org/licenses/by/4.0/",
    "shelf": "]]>&lol;<!--",
}  # fmt: skip


@pytest.fixture(scope="module")
def exports(tmp_path_factory):
    """An archive with one item, a restoration and two stories of it, exported in both forms with everything."""
    folder = tmp_path_factory.mktemp("published")
    archive, scans = folder / "archive", folder / "scans"
    must("init", archive, "--organization", 'Museum of <b>"Everything"</b>')
    settings = archive / "archive.toml"
    text = settings.read_text("utf-8").replace('language = "en"', 'language = "de"')
    settings.write_text(text + LABELS, "utf-8")
    write_scan(scans / "one.tif", edge=EDGE)
    with (folder / "sheet.csv").open("w", encoding="utf-8", newline="") as sheet:
        rows = csv.writer(sheet)
        rows.writerow(["file", "item_id", *HOSTILE])
        rows.writerow(["one.tif", "ONE & 1", *HOSTILE.values()])
    must("-A", archive, "ingest", scans, "--metadata", folder / "sheet.csv")
    drawn = write_scratch_map(folder / "drawn.png", edge=EDGE)
    must("-A", archive, "restore", "ONE & 1", "--recipe", "gentle", "--damage-map", drawn)
    told(archive, StoryKind.COLORIZATION, "ONE & 1/restoration@1", tint)
    told(archive, StoryKind.ENHANCEMENT, "ONE & 1/colorization@1", twice)
    words = ("--all", "--with-stories")
    must("-A", archive, "export", *words, "--as", "mets", "--to", folder / "mets")
    must("-A", archive, "export", *words, "--as", "iiif", "--base-uri", f"{BASE}/", "--to", folder / "iiif")
    return folder


@pytest.fixture(scope="module")
def record(exports):
    return exports / "iiif" / "record" / "ONE & 1"


@pytest.fixture(scope="module")
def stories(exports):
    return exports / "iiif" / "stories" / "ONE & 1-stories"


def manifest(folder):
    return json.loads((folder / "manifest.json").read_bytes())


def choices(folder):
    """The choices of the first canvas."""
    body = manifest(folder)["items"][0]["items"][0]["items"][0]["body"]
    assert body["type"] == "Choice"
    return body["items"]


def local(folder, uri):
    """Where a URI of a package lies."""
    base = manifest(folder)["id"].removesuffix("/manifest.json")
    assert uri.startswith(f"{base}/"), uri
    return folder / urllib.parse.unquote(uri.removeprefix(f"{base}/"))


def strings(data):
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict | list):
        for part in data.values() if isinstance(data, dict) else data:
            yield from strings(part)


# --- METS --------------------------------------------------------------------------------------------


def test_mets_of_a_real_archive_is_valid(exports, official):  # noqa: F811
    for place in ("record/ONE & 1", "stories/ONE & 1-stories"):
        folder = exports / "mets" / place
        official.assertValid(etree.parse(folder / "mets.xml"))
        assert list(MetsExporter().check(folder)) == []


def test_mets_holds_hostile_text_as_text(exports):
    root = etree.parse(exports / "mets" / "record" / "ONE & 1" / "mets.xml").getroot()
    dc = {e.tag.rpartition("}")[2]: e.text for e in root.iter("{http://purl.org/dc/elements/1.1/}*")}
    assert dc["title"] == HOSTILE["title"]
    assert dc["description"] == HOSTILE["description"].replace("\x1b", "\ufffd")
    assert root.findtext(".//{urn:archive-restore:premis:1}column[@name='shelf']") == HOSTILE["shelf"]
    assert not root.findall(".//{*}script")
    assert "\u202e" not in root.get("LABEL")


def test_record_and_stories_never_share_a_document(exports):
    one, other = ((exports / "mets" / place / "mets.xml").read_text("utf-8") for place in (
        "record/ONE & 1", "stories/ONE & 1-stories"))  # fmt: skip
    assert "story" not in one.replace("../../stories/", "").replace("-stories/mets.xml", "").split("<mets:structMap")[0]
    assert 'USE="preservation' not in other
    assert 'xlink:href="../../stories/ONE%20%26%201-stories/mets.xml"' in one


# --- the manifest ------------------------------------------------------------------------------------


def test_the_library_takes_the_manifests(record, stories):
    for folder in (record, stories):
        read = iiif_prezi3.Manifest.model_validate_json((folder / "manifest.json").read_bytes())
        assert read.requiredStatement is not None
        assert len(read.items) == 1
    assert manifest(record)["id"] == f"{BASE}/record/ONE%20%26%201/manifest.json"


def test_master_restoration_and_map_are_choices_of_one_canvas(record):
    labels = [body["label"]["en"][0] for body in choices(record)]
    assert labels == [
        "ONE & 1: Photograph as digitized.",
        "ONE & 1/restoration@1: Restored photograph.",
        "Map of ONE & 1/restoration@1: what each pixel is",
    ]
    assert {tuple(body["label"]) for body in choices(record)} == {("en", "zh", "de", "fr", "es")}
    assert manifest(record)["rights"] == HOSTILE["rights"]


def test_the_map_has_a_legend_in_words_and_colours(record):
    (canvas,) = manifest(record)["items"]
    (legend,) = canvas["metadata"]
    assert any(FLAGS["en"][flag] in line for flag in FLAGS["en"] for line in legend["value"]["en"])
    assert all(line.startswith("#") and "%" in line for line in legend["value"]["fr"])
    with Image.open(local(record, canvas["rendering"][0]["id"])) as picture:
        colours = {colour for _, colour in picture.convert("RGB").getcolors(1 << 24)}
    wanted = [line.split()[0] for line in legend["value"]["en"]]
    assert wanted and all(tuple(bytes.fromhex(colour[1:])) in colours for colour in wanted)


def test_record_and_story_are_told_apart_wherever_they_are_named(record, stories):
    statement = manifest(record)["requiredStatement"]["value"]
    assert "belongs to the record" in statement["en"][0]
    read = manifest(stories)
    told_en = read["requiredStatement"]["value"]["en"][0]
    assert "it is no evidence" in told_en and BUILT_IN[LabelKind.STORY]["en"] in told_en
    pictures = [body["label"] for body in choices(stories) if "map" not in body["service"][0]["id"]]
    assert [label["de"] for label in pictures] == [
        ["ONE & 1/colorization@1: Von uns koloriert."],
        [f"ONE & 1/enhancement@1: {BUILT_IN[LabelKind.STORY]['de']}"],
    ]
    assert pictures[0]["nl"] == ["ONE & 1/colorization@1: Ingekleurd."]
    for name in (read["label"], read["items"][0]["label"]):
        assert all(BUILT_IN[LabelKind.STORY][language] in " ".join(name[language]) for language in ("en", "zh", "fr"))


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found, self.text = set(), ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.add(tag)
        assert not attrs

    def handle_data(self, data):
        self.text += data


def test_hostile_text_is_inert_in_json_and_in_viewers(record, stories):
    for folder in (record, stories):
        for path in folder.rglob("*.json"):
            if path.name != "synthesis-map.json":
                assert not set(path.read_text("utf-8")) & set("<>&\u202e\x1b\u2028"), path
        for text in strings(manifest(folder)):
            assert not any(ord(ch) < 32 for ch in text)
            assert Tags(text).found <= {"span"}, text
    values = {pair["label"]["en"][0]: pair["value"]["none"] for pair in manifest(record)["metadata"]}
    assert Tags(values["Title"][0]).text == HOSTILE["title"].replace("\u202e", "")
    assert values["Creator"] == [HOSTILE["creator"]]
    assert len(Tags(values["Description"][0]).text) > 10_000


# --- tiles -------------------------------------------------------------------------------------------


def test_every_file_that_a_viewer_asks_for_is_there(record, stories):
    for folder in (record, stories):
        services = {body["service"][0]["id"] for body in choices(folder)}
        assert len(services) >= 3
        for service in services:
            place = local(folder, service)
            info = json.loads((place / "info.json").read_bytes())
            assert (info["id"], info["profile"], info["type"]) == (service, "level0", "ImageService3")
            for *_, path in requests(info):
                assert (place / path).is_file(), path
        for body in [*choices(folder), *manifest(folder)["thumbnail"]]:
            with Image.open(local(folder, body["id"])) as picture:
                assert picture.size == (body["width"], body["height"])


def test_tiles_are_the_master_and_stories_have_their_label_in_sight(exports, record, stories):
    info = json.loads((record / "master" / "info.json").read_bytes())
    stored = np.rint(tifffile.imread(exports / "scans" / "one.tif") / 65535 * 255)
    assert psnr(seen(record / "master", info), np.repeat(stored[:, :, None], 3, 2)) > 38
    shapes = []
    for name in ("colorization-1", "enhancement-1", "colorization-1-map"):
        info = json.loads((stories / name / "info.json").read_bytes())
        edge = EDGE * (2 if name == "enhancement-1" else 1)
        assert info["width"] == edge and info["height"] > edge
        band = seen(stories / name, info)[edge:]
        assert (band.mean(axis=2) < 100).mean() > 0.01, "there is nothing in the band"
        assert np.median(band) > 250
        shapes.append(info["height"] / info["width"])
    assert max(shapes) - min(shapes) < 0.003


def test_the_digests_are_those_of_sha512sum(record):
    if shutil.which("sha512sum") is None:
        pytest.skip("sha512sum is not installed")
    done = subprocess.run(["sha512sum", "--quiet", "-c", "SHA512SUMS"], cwd=record, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


# --- what goes wrong ---------------------------------------------------------------------------------


def found(folder):
    return [finding.code for finding in IiifExporter(FilePictures(folder), Labels()).check(folder)]


def listed(folder):
    """Make the list of digests true again after a file was changed."""
    names = [p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file() and p.name != "SHA512SUMS"]
    lines = [f"{hashlib.sha512((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in sorted(names)]
    (folder / "SHA512SUMS").write_text("".join(lines))


def edited(name, change):
    def hurt(folder):
        path = folder / name
        data = json.loads(path.read_bytes())
        change(data)
        path.write_text(json.dumps(data))
        listed(folder)

    return hurt


TILE = "master/0,0,512,512/512,512/0/default.jpg"
LEGEND = "restoration-1-map/legend.png"


def other_size(folder):
    Image.new("L", (511, 512)).save(folder / TILE)
    listed(folder)


def without(name):
    def hurt(folder):
        (folder / name).unlink()
        listed(folder)

    return hurt


FAULTS = {
    "IIIF_PACKAGE_CHANGED legend": lambda folder: (folder / LEGEND).write_bytes(b"x"),
    "IIIF_PACKAGE_CHANGED stray": lambda folder: (folder / "more.html").write_text("x"),
    "IIIF_PACKAGE_CHANGED gone": lambda folder: (folder / LEGEND).unlink(),
    "IIIF_PACKAGE_CHANGED no list": lambda folder: (folder / "SHA512SUMS").unlink(),
    "IIIF_MANIFEST_INVALID gone": without("manifest.json"),
    "IIIF_MANIFEST_INVALID no label": edited("manifest.json", lambda data: data.pop("label")),
    "IIIF_MANIFEST_INVALID silent": edited("manifest.json", lambda data: data.pop("requiredStatement")),
    "IIIF_INFO_INVALID size": edited("master/info.json", lambda data: data.update(width=541)),
    "IIIF_INFO_INVALID absurd": edited("master/info.json", lambda data: data.update(width=10**12)),
    "IIIF_INFO_INVALID level": edited("master/info.json", lambda data: data.update(profile="level2")),
    "IIIF_TILE_MISSING": without(TILE),
    "IIIF_TILE_WRONG size": other_size,
    "IIIF_TILE_WRONG damaged": lambda folder: ((folder / TILE).write_bytes(b"\xff\xd8\xff"), listed(folder)),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_wrong_is_found(record, tmp_path, fault):
    folder = shutil.copytree(record, tmp_path / "copy")
    assert found(folder) == []
    FAULTS[fault](folder)
    assert set(found(folder)) == {fault.split()[0]}


@pytest.mark.parametrize(
    "uri", ["photographs", "ftp://example.org", "https://", "https://x.org/?a=1", "https://x.org/#a", 'https://x.org/"']
)
def test_what_is_no_address_is_refused(uri):
    with pytest.raises(UsageError, match="--base-uri"):
        checked_base(uri)


def test_the_base_goes_with_iiif_only(exports, tmp_path):
    for form in ("access", "mets"):
        words = ("export", "--all", "--as", form, "--base-uri", BASE, "--to", tmp_path / form)
        ran = run("-A", exports / "archive", *words)
        assert ran.code == 2 and "--base-uri" in ran.err


def test_without_the_base_packages_are_served_from_this_machine(exports, tmp_path):
    must("-A", exports / "archive", "export", "ONE & 1", "--as", "iiif", "--to", tmp_path / "out")
    assert manifest(tmp_path / "out" / "ONE & 1")["id"] == "http://localhost:8000/ONE%20%26%201/manifest.json"
