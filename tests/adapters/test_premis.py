"""PREMIS XML is valid by the official schema and says what the records say, whatever is in them."""

import os
from pathlib import Path

import pytest
from lxml import etree

from archive_restore.adapters.premis import OURS, PREMIS, master_premis, preservation_premis
from archive_restore.ports import Digests
from archive_restore.records.objects import SourceType
from tests.adapters import record_samples as samples

XSD_DIR = Path(os.environ.get("ARCHIVE_RESTORE_XSD_DIR") or Path(__file__).parents[3] / "shared" / "xsd")
NS = {"p": PREMIS, "ar": OURS}
HOSTILE = "<&>\"'\r\n\x01\x0b\ud800\ufffe]]> ${x} <!ENTITY"


@pytest.fixture(scope="module")
def schema():
    if not (XSD_DIR / "premis.xsd").is_file():
        pytest.skip("premis.xsd is not here; set ARCHIVE_RESTORE_XSD_DIR to a folder with the official schemas")

    class Local(etree.Resolver):
        def resolve(self, url, public_id, context):
            return self.resolve_filename(str(XSD_DIR / url.rsplit("/", 1)[-1]), context)

    parser = etree.XMLParser(no_network=True)
    parser.resolvers.add(Local())
    return etree.XMLSchema(etree.parse(XSD_DIR / "premis.xsd", parser))


def files():
    return {
        "scan-restoration.tif": Digests(size=10, sha512="ab", sha256="cd"),
        "synthesis-map.png": Digests(size=11, sha512="ef", sha256="01"),
        "derivation.json": Digests(size=12, sha512="23", sha256="45"),
    }


def master_xml(**description):
    return master_premis(samples.master(b"master", **description), samples.master_events())


def restoration_xml(**changes):
    derivation = samples.derivation(samples.master(b"master"), **changes)
    more = samples.event("digital signature generation", str(derivation.ref), 12)
    return preservation_premis(derivation, (*derivation.events, more), files())


def found(xml, path):
    return [element.text for element in etree.fromstring(xml).iterfind(path, NS)]


@pytest.mark.parametrize(
    "xml",
    [
        master_xml(),
        master_xml(rights="", title="", creator="", date=""),
        master_xml(title=HOSTILE, rights=HOSTILE),
        restoration_xml(),
        restoration_xml(steps=(samples.step(note=HOSTILE),), events=()),
    ],
    ids=["master", "bare", "hostile", "restoration", "hostile restoration"],
)
def test_the_official_schema_accepts_it(schema, xml):
    schema.assertValid(etree.fromstring(xml))


def test_the_schema_can_fail(schema):
    assert not schema.validate(etree.fromstring(master_xml().replace(b"originalName", b"originalTitle")))


def test_a_master_is_an_item_a_file_and_its_history():
    xml = master_xml()
    kinds = [o.get("{http://www.w3.org/2001/XMLSchema-instance}type") for o in etree.fromstring(xml)[:2]]
    assert kinds == ["premis:intellectualEntity", "premis:file"]
    assert found(xml, ".//p:objectIdentifier/p:objectIdentifierValue") == ["NIPOMO-01", "NIPOMO-01:scan.tif"]
    master = samples.master(b"master")
    assert found(xml, ".//p:messageDigest") == [master.file.sha512, master.file.sha256]
    assert found(xml, ".//p:formatRegistryKey") == ["fmt/353"]
    assert found(xml, ".//p:eventType") == ["ingestion", "message digest calculation", "validation"]
    assert found(xml, ".//ar:digest") == ["ab12"]
    assert found(xml, ".//p:otherRightsNote") == ["Public domain & free"]
    assert SourceType.NEGATIVE_FILM.value in found(xml, ".//p:significantPropertiesValue")
    assert "Käthe <at> the well" in found(xml, ".//p:significantPropertiesValue")


def test_every_link_between_events_agents_and_objects_is_answered():
    for xml in (master_xml(), restoration_xml()):
        for link, target in (
            ("linkingEventIdentifier", "eventIdentifier"),
            ("linkingAgentIdentifier", "agentIdentifier"),
            ("linkingRightsStatementIdentifier", "rightsStatementIdentifier"),
        ):
            wanted = set(found(xml, f".//p:{link}/p:{link}Value"))
            assert wanted <= set(found(xml, f".//p:{target}/p:{target}Value")), link


def test_a_restoration_is_a_new_object_with_the_master_for_its_source():
    xml = restoration_xml()
    entity = etree.fromstring(xml)[0]
    assert found(xml, "p:object/p:objectIdentifier/p:objectIdentifierValue")[0] == "NIPOMO-01/restoration@1"
    relation = entity.find("p:relationship", NS)
    assert relation.findtext("p:relationshipType", namespaces=NS) == "derivation"
    assert relation.findtext("p:relationshipSubType", namespaces=NS) == "has source"
    assert relation.findtext(".//p:relatedObjectIdentifierValue", namespaces=NS) == "NIPOMO-01"
    creation = samples.derivation(samples.master(b"master")).events[0].event_id
    assert relation.findtext(".//p:relatedEventIdentifierValue", namespaces=NS) == creation
    assert "modification" not in xml.decode()


def test_the_creation_event_says_how():
    root = etree.fromstring(restoration_xml())
    (made,) = root.iterfind(".//ar:derivation", NS)
    assert made.get("seed") == "7"
    assert made.get("determinism") == "bit-exact"
    assert [m.get("role") for m in made.iterfind("ar:material", NS)] == ["master", "damage map"]
    assert [m.get("sha256") for m in made.iterfind("ar:model", NS)] == ["e" * 64]
    derivation = samples.derivation(samples.master(b"master"))
    assert made.find("ar:synthesisMap", NS).get("sha256") == derivation.map.sha256
    assert '"weights":[1,2,3]' in made.findall("ar:step", NS)[1].text
    assert "ridge-net" in found(restoration_xml(), "p:agent/p:agentName")


def test_hostile_text_arrives_as_text():
    xml = master_xml(title=HOSTILE)
    value = found(xml, "p:object/p:significantProperties/p:significantPropertiesValue")[0]
    assert value == HOSTILE.translate({1: "\ufffd", 11: "\ufffd", 0xD800: "\ufffd", 0xFFFE: "\ufffd"})
    attribute = restoration_xml(steps=(samples.step(name=HOSTILE),))
    (step,) = etree.fromstring(attribute).iterfind(".//ar:step", NS)
    assert "<!ENTITY" in step.get("name")
