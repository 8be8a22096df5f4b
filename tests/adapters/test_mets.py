"""METS packages are valid by the official schemas and by our own profile, and what is wrong with one is found."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import pytest
from lxml import etree

from archive_restore.adapters import iiif
from archive_restore.adapters.iiif import IiifExporter
from archive_restore.adapters.mets import MetsExporter
from archive_restore.adapters.picture_files import FilePictures
from archive_restore.errors import ConfigurationInvalid, SelfCheckFailed, SeparationViolated
from archive_restore.records.labels import Labels
from archive_restore.records.packages import LoggedEvent, Package, PackedFile, PackedVersion, Side
from archive_restore.records.stories import StoryKind
from tests.adapters import record_samples as samples
from tests.adapters.test_premis import HOSTILE, XSD_DIR
from tests.support.story_records import story

ROOT = Path(__file__).parents[2]
NS = {
    "m": "http://www.loc.gov/METS/", "p": "http://www.loc.gov/premis/v3", "ar": "urn:archive-restore:premis:1",
    "dc": "http://purl.org/dc/elements/1.1/", "mix": "http://www.loc.gov/mix/v20",
}  # fmt: skip
LOG_KEY = b"log+00000000+AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="
HREF = "{http://www.w3.org/1999/xlink}href"
OFFICIAL = f"""<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">
<xs:import namespace="http://www.loc.gov/METS/" schemaLocation="mets.xsd"/>
<xs:import namespace="http://www.loc.gov/premis/v3" schemaLocation="premis.xsd"/>
<xs:import namespace="urn:archive-restore:premis:1" schemaLocation="{ROOT}/schemas/premis-extension.xsd"/>
</xs:schema>"""


@pytest.fixture(scope="module")
def official():
    """METS and PREMIS as the Library of Congress has them, and our extension inside of them."""
    if not (XSD_DIR / "mets.xsd").is_file():
        pytest.skip("mets.xsd is not here; set ARCHIVE_RESTORE_XSD_DIR to a folder with the official schemas")

    class Local(etree.Resolver):
        def resolve(self, url, public_id, context):
            path = Path(url) if url.startswith(str(ROOT)) else XSD_DIR / url.rsplit("/", 1)[-1]
            return self.resolve_filename(str(path), context)

    parser = etree.XMLParser(no_network=True)
    parser.resolvers.add(Local())
    return etree.XMLSchema(etree.fromstring(OFFICIAL, parser))


def packed(folder, ref, name, data, mime):
    path = folder / hashlib.sha256(f"{ref} {name}".encode()).hexdigest()
    path.write_bytes(data)
    sha512, sha256 = samples.digests(data)
    return PackedFile(ref=ref, name=name, path=path, size=len(data), sha512=sha512, sha256=sha256, mime=mime)


def record_package(folder, **description):
    master = samples.master(b"master", **description)
    made = samples.derivation(master)
    ref = str(made.ref)
    logged = (LoggedEvent(index=7, line=b'{"index":7}', proof=b"c2sp.org/tlog-proof@v1\n"),)
    versions = (
        PackedVersion(
            ref="NIPOMO-01", record=master, events=samples.master_events(), logged=logged,
            files=(
                packed(folder, "NIPOMO-01", "scan.tif", b"master", "image/tiff"),
                packed(folder, "NIPOMO-01", "scan.tif.c2pa", b"credentials", "application/c2pa"),
            ),
        ),
        PackedVersion(
            ref=ref, record=made, events=made.events,
            files=(
                packed(folder, ref, "scan-restoration.tif", b"picture", "image/tiff"),
                packed(folder, ref, "maß & <map>.png", b"map", "image/png"),
            ),
        ),
    )  # fmt: skip
    return package(master, Side.RECORD, versions)


def story_package(folder):
    master = samples.master(b"master")
    told = story(master, StoryKind.COLORIZATION, 5)
    files = (packed(folder, str(told.ref), "scan-colorization-story.tif", b"story", "image/tiff"),)
    version = PackedVersion(ref=str(told.ref), record=told, events=told.events, files=files)
    return package(master, Side.STORIES, (version,), companion="../../record/NIPOMO-01")


def package(master, side, versions, **more):
    return Package(
        name="NIPOMO-01", side=side, master=master, versions=versions, organization="Museum & <Sons>",
        made=samples.NOW, agent="archive-restore 0.1.0", checkpoint=b"checkpoint\n", log_key=LOG_KEY, **more,
    )  # fmt: skip


def written(folder, made):
    out = folder / "out"
    out.mkdir()
    MetsExporter().write(made, out)
    return out


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A package of the record, written once; tests that hurt it hurt a copy."""
    folder = tmp_path_factory.mktemp("mets")
    return written(folder, record_package(folder))


def tree(out):
    return etree.parse(out / "mets.xml").getroot()


def found(out):
    return [finding.code for finding in MetsExporter().check(out)]


@pytest.mark.parametrize("kind", ["record", "stories", "bare", "hostile"])
def test_the_official_schemas_and_our_profile_accept_it(official, tmp_path, kind):
    made = {
        "record": lambda: record_package(tmp_path),
        "stories": lambda: story_package(tmp_path),
        "bare": lambda: record_package(tmp_path, title="", creator="", date="", rights=""),
        "hostile": lambda: record_package(
            tmp_path, **dict.fromkeys(("title", "creator", "description", "rights"), HOSTILE + "x" * 10_000)
        ),
    }[kind]()
    out = written(tmp_path, made)
    official.assertValid(tree(out))
    assert list(MetsExporter().check(out)) == []


def test_the_official_schemas_can_fail(official, good):
    data = (good / "mets.xml").read_bytes()
    for wrong in (b"mets:dmdSec", b"premis:eventType", b"ar:recipe"):
        assert not official.validate(etree.fromstring(data.replace(wrong, wrong + b"X"))), wrong


def test_it_says_what_everything_is(good):
    root = tree(good)
    assert (root.get("OBJID"), root.get("TYPE")) == ("NIPOMO-01", "record")
    assert [e.text for e in root.iterfind(".//dc:title", NS)] == ["Käthe <at> the well"]
    assert [e.text for e in root.iterfind(".//ar:column[@name='shelf']", NS)] == ["12"]
    uses = {group.get("USE"): len(group) for group in root.iterfind(".//m:fileGrp", NS)}
    assert uses == {"preservation master": 2, "preservation derivative": 2, "audit log": 5}
    for file in root.iterfind(".//m:file", NS):
        path = good / unquote(file[0].get(HREF))
        assert hashlib.sha512(path.read_bytes()).hexdigest() == file.get("CHECKSUM")
    kinds = [div.get("TYPE") for div in root.iterfind(".//m:div", NS)]
    assert kinds == ["item", "record", "master", "restoration", "audit log"]
    sides = [div.get("LABEL") for div in root.iterfind(".//m:div[@TYPE='record']", NS)]
    assert sides[0].startswith("The record")


def test_premis_tells_how_a_derivative_came_about(good):
    root = tree(good)
    (made,) = root.iterfind(".//ar:derivation", NS)
    assert (made.get("seed"), made.find("ar:synthesisMap", NS).get("sha256")) == ("7", samples.derivation(
        samples.master(b"master")
    ).map.sha256)  # fmt: skip
    recipe = made.find("ar:recipe", NS)
    assert recipe.get("sha256") == hashlib.sha256(recipe.text.encode()).hexdigest()
    model = f"ridge-net 1.0 sha256:{'e' * 64}"
    objects = {o.findtext(".//p:objectIdentifierValue", "", NS): o for o in root.iterfind(".//p:object", NS)}
    entity = objects[model]
    assert entity.findtext("p:environmentDesignation/p:environmentName", namespaces=NS) == "ridge-net"
    needs = [
        relation.findtext("p:relatedObjectIdentifier/p:relatedObjectIdentifierValue", namespaces=NS)
        for relation in root.iterfind(".//p:relationship", NS)
        if relation.findtext("p:relationshipSubType", namespaces=NS) == "requires"
    ]
    assert needs == [model]
    relations = root.findall(".//p:relationship", NS)
    (derived,) = (r for r in relations if r.findtext("p:relationshipType", "", NS) == "derivation")
    assert derived.findtext(".//p:relatedObjectIdentifierValue", namespaces=NS) == "NIPOMO-01"
    creation = samples.derivation(samples.master(b"master")).events[0]
    assert derived.findtext(".//p:relatedEventIdentifierValue", namespaces=NS) == creation.event_id


def test_mix_tells_what_the_pixels_are(good):
    pictures = tree(good).findall(".//mix:mix", NS)
    assert len(pictures) == 2
    master = pictures[0]
    assert master.findtext(".//mix:imageWidth", namespaces=NS) == str(samples.WIDTH)
    assert master.findtext(".//mix:colorSpace", namespaces=NS) == "BlackIsZero"
    assert master.findtext(".//mix:orientation", namespaces=NS) == "normal*"
    assert [m.findtext(".//mix:bitsPerSampleValue", namespaces=NS) for m in pictures] == ["16", "16"]


def test_hostile_text_arrives_as_text(tmp_path):
    out = written(tmp_path, record_package(tmp_path, title=HOSTILE, rights=HOSTILE, coverage="=cmd|' /C calc'!A0"))
    root = tree(out)
    inert = HOSTILE.translate({1: "\ufffd", 11: "\ufffd", 0xD800: "\ufffd", 0xFFFE: "\ufffd"})
    assert root.findtext(".//dc:title", namespaces=NS) == inert
    assert root.findtext(".//dc:coverage", namespaces=NS) == "=cmd|' /C calc'!A0"
    assert not any(ord(ch) < 32 for ch in root.get("LABEL"))


def test_stories_say_where_the_record_lies_and_are_none_of_it(tmp_path):
    root = tree(written(tmp_path, story_package(tmp_path)))
    assert root.get("TYPE") == "story"
    assert [g.get("USE") for g in root.iterfind(".//m:fileGrp", NS)] == ["story derivative", "audit log"]
    assert root.find(".//m:mptr", NS).get(HREF) == "../../record/NIPOMO-01/mets.xml"
    kinds = {o.text for o in root.iterfind(".//p:objectIdentifier/p:objectIdentifierType", NS)}
    assert kinds == {"story", "file", "model"}


def swap(old, new, count=1):
    def hurt(out):
        path = out / "mets.xml"
        text = path.read_text("utf-8")
        assert old in text, old
        path.write_text(text.replace(old, new, count), "utf-8")

    return hurt


def change(name, data):
    def hurt(out):
        (out / name).chmod(0o644)
        (out / name).write_bytes(data)

    return hurt


FAULTS = {
    "METS_MISSING": lambda out: (out / "mets.xml").rename(out / "meets.xml"),
    "METS_INVALID not well-formed": swap("</mets:mets>", ""),
    "METS_INVALID cut off": lambda out: os.truncate(out / "mets.xml", 9_000),
    "METS_INVALID more behind it": swap("</mets:mets>", "</mets:mets><x/>"),
    "METS_INVALID seed": swap('seed="7"', 'seed="seven"'),
    "METS_INVALID recipe": swap("ar:recipe", "ar:rezept", 2),
    "METS_INVALID object": swap('"premis:intellectualEntity"', '"premis:idea"'),
    "METS_INVALID no description": swap("mets:dmdSec", "mets:dmdSek", 4),
    "METS_INVALID entities": swap("?>\n", '?>\n<!DOCTYPE mets:mets [<!ENTITY a "b">]>\n'),
    "METS_INVALID profile": swap("mets-profile:1", "mets-profile:2"),
    "METS_LINK_BROKEN structure": swap('<mets:fptr FILEID="v1-f2"></mets:fptr>', ""),
    "METS_LINK_BROKEN section": swap('ADMID="v1-o1 v1-i1"', 'ADMID="v1-o1 v1-i9"'),
    "METS_LINK_BROKEN agent": swap("<premis:agentIdentifierValue>ridge", "<premis:agentIdentifierValue>bridge"),
    "METS_LINK_BROKEN event": swap("<premis:eventIdentifierValue>urn", "<premis:eventIdentifierValue>arn"),
    "METS_PATH_UNSAFE up": swap('"master/scan.tif"', '"../scan.tif"'),
    "METS_PATH_UNSAFE encoded": swap('"master/scan.tif"', '"master/%2e%2e/%2e%2e/scan.tif"'),
    "METS_PREMIS_DIFFERS": swap("<premis:size>6<", "<premis:size>9<"),
    "METS_SIDES_MIXED use": swap("preservation derivative", "story derivative"),
    "METS_SIDES_MIXED division": swap('TYPE="restoration"', 'TYPE="colorization"'),
    "METS_SIDES_MIXED whole": swap('TYPE="record" PROFILE', 'TYPE="story" PROFILE'),
    "METS_FILE_CHANGED": change("master/scan.tif", b"masTer"),
    "METS_FILE_MISSING": lambda out: (out / "master" / "scan.tif").unlink(),
    "METS_FILE_MISSING link": lambda out: (
        (out / "master" / "scan.tif").rename(out / "scan.tif"),
        (out / "master" / "scan.tif").symlink_to(out / "scan.tif"),
    ),
    "METS_FILE_STRAY": lambda out: (out / "more.txt").write_text("x"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_wrong_is_found(good, tmp_path, fault):
    out = shutil.copytree(good, tmp_path / "out")
    FAULTS[fault](out)
    assert fault.split()[0] in found(out)


def test_other_bytes_than_the_archive_stored_are_refused(tmp_path):
    made = record_package(tmp_path)
    made.versions[0].files[0].path.write_bytes(b"other!")
    with pytest.raises(SelfCheckFailed, match="is not what the archive says"):
        written(tmp_path, made)


@pytest.mark.parametrize("name", ["../../evil", "/etc/evil", "a//b", ""])
def test_a_name_that_leaves_the_package_is_refused(tmp_path, name):
    made = record_package(tmp_path)
    bad = replace(made.versions[0].files[1], name=name)
    version = replace(made.versions[0], files=(made.versions[0].files[0], bad))
    with pytest.raises(SelfCheckFailed, match="the name"):
        written(tmp_path, replace(made, versions=(version,)))
    assert not list(tmp_path.parent.rglob("evil"))


@pytest.mark.parametrize(
    "exporter", [MetsExporter(), IiifExporter(FilePictures(Path("/nowhere")), Labels())], ids=["mets", "iiif"]
)
def test_record_and_story_in_one_package_are_refused(tmp_path, exporter):
    if isinstance(exporter, IiifExporter):
        pytest.importorskip("iiif_prezi3")
    record, stories = record_package(tmp_path), story_package(tmp_path)
    for one, other in ((record, stories), (stories, record)):
        with pytest.raises(SeparationViolated, match="is not of the side"):
            exporter.write(replace(one, versions=one.versions + other.versions), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_without_the_library_iiif_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(iiif, "find_spec", lambda name: None)
    with pytest.raises(ConfigurationInvalid, match=r"archive-restore\[iiif\]"):
        IiifExporter(FilePictures(tmp_path), Labels()).write(record_package(tmp_path), tmp_path / "out")


MANY = 10_000
MEASURE = f"""
import resource, sys
from dataclasses import replace
from tests.adapters.test_mets import Endless, Sink, package, samples
from archive_restore.adapters.mets import write_document
from archive_restore.records.packages import PackedVersion, Side

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

made = samples.derivation(samples.master(b"master"))
def of(count):
    version = PackedVersion(ref=str(made.ref), record=made, events=made.events, files=Endless(count))
    return package(samples.master(b"master"), Side.RECORD, (version,))
write_document(of(10), [], Sink())
before, sink = peak(), Sink()
write_document(of({MANY}), [], sink)
print(before, peak(), sink.size)
"""


class Endless(Sequence):
    """As many files as one likes, none of them kept."""

    def __init__(self, count):
        self._count = count

    def __len__(self):
        return self._count

    def __getitem__(self, index):
        if not 0 <= index < self._count:
            raise IndexError(index)
        return PackedFile(
            ref="NIPOMO-01/restoration@1", name=f"frame-{index:06}.png", path=Path("/dev/null"), size=index,
            sha512=f"{index:0128x}", sha256=f"{index:064x}", mime="image/png",
        )  # fmt: skip


class Sink:
    """Takes bytes and forgets them."""

    size = 0

    def write(self, data):
        self.size += len(data)
        return len(data)


def test_a_document_of_ten_thousand_files_takes_no_memory():
    paths = os.pathsep.join([str(ROOT), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", MEASURE], capture_output=True, text=True, check=True, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": paths},
    )  # fmt: skip
    before, peak, size = map(float, done.stdout.split())
    print(f"{MANY} files: {size / 1e6:.1f} MB of METS, peak {peak:.0f} MB, before {before:.0f} MB")
    assert size > 20e6
    assert peak - before < 6, "the document is held in memory"


def test_the_log_lies_in_the_package(good):
    assert (good / "log" / "proofs" / "7.tlog-proof").read_bytes().startswith(b"c2sp.org/tlog-proof")
    assert (good / "log" / "entries.jsonl").read_bytes() == b'{"index":7}\n'
    assert (good / "log" / "checkpoint").read_bytes() == b"checkpoint\n"
