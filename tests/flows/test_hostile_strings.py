"""What strangers write into metadata stays text: in the terminal, JSON, HTML, XML, CSV and the catalog."""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pytest
import tifffile
from lxml import etree, html

from archive_restore.adapters.xmp import clean
from archive_restore.core.labels import LANGUAGES
from archive_restore.core.rules import KNOWN_COLUMNS
from tests.conftest import Ran, Shelf
from tests.support import bad_bags
from tests.support.archives import copy_of, must, run
from tests.support.scans import picture, write_scan, write_scratch_map

STRINGS = {
    "html": """<script>alert(1)</script><img src=x onerror=alert(2)>&amp;<!--""",
    "attribute": """" onmouseover="alert(3)" x='""",
    "xml": "]]><!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]>&a;<?xml?>",
    "template": "{{ 7*7 }}{% include '/etc/passwd' %}{0}%s$HOME`id`$(id)",
    "escape": "\x1b[31mred\x1b[2J\x1b]0;title\x07\x08\x7f",
    "c1": "a\x9b31mred\x90q",
    "sql": "'; DROP TABLE masters; --\" OR 1=1 NEAR(a b) *",
    "bidi": "\u202egpj.exe\u2066\u200f\u061c",
    "separators": "one\u2028two\u2029three",
    "formula": "=cmd|' /C calc'!A0",
    "plus": '+HYPERLINK("http://example.org","x")',
    "at": "@SUM(1+1)*cmd|x",
    "wide": "＝cmd|x",
    "long": "A long word " * 834,
}
ALL = " ".join(text for name, text in STRINGS.items() if name != "long")
FIELDS = sorted(KNOWN_COLUMNS - {"source_type"})
LABELS = ("External-Description", "Source-Organization", "Contact-Name", "Bag-Group-Identifier", "Shelf <b>mark</b>")
OURS = {"\n", "\u00a0"}


def archive_of_strings(archive: Path, scratch: Path) -> None:
    """An item a string from a CSV and one from a bag, and two with all in each field; one of these is harmless."""
    must("init", archive, "--organization", "Museum & <b>Söhne</b>")
    rows = [["file", *FIELDS, "shelf <script>"]]
    for number, (name, text) in enumerate(STRINGS.items()):
        write_scan(scratch / "in" / f"csv-{name}.tif", edge=32, seed=number)
        rows.append([f"csv-{name}.tif", *[text] * len(FIELDS), text])
        info = "".join(f"{label}: {text}\n" for label in LABELS)
        scan = write_scan(scratch / "scan.tif", edge=33, seed=number).read_bytes()
        bag = bad_bags.bag({f"data/bag-{name}.tif": scan}, info=info)
        bad_bags.write(bad_bags.Case(folder=name, files=bag), scratch / "bags" / name)
    for name, text in (("harmless", "plain words" * (len(ALL) // 11)), ("worst", ALL)):
        write_tagged(scratch / "in" / f"{name}.tif", text)
        rows.append([f"{name}.tif", *[text] * len(FIELDS), text])
    with (scratch / "sheet.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    inert(must("-A", archive, "ingest", scratch / "in", "--metadata", scratch / "sheet.csv"))
    inert(must("-A", archive, "ingest", scratch / "bags"))
    drawn = write_scratch_map(scratch / "drawn.png")
    for name in ("harmless", "worst"):
        must("-A", archive, "restore", name, "--recipe", "gentle", "--damage-map", drawn)


def write_tagged(path: Path, text: str) -> None:
    """A scan with the text in TIFF's own tags, in XMP and in IPTC."""
    data = text.encode()
    packet = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    packet += '<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/" rdf:about=""><dc:source>'
    packet += f"{escape(clean(text))}</dc:source></rdf:Description></rdf:RDF></x:xmpmeta>"
    iim = b"".join(b"\x1c\x02" + bytes([tag]) + len(data).to_bytes(2, "big") + data for tag in (5, 80, 120))
    tags = [(code, "s", 0, data, True) for code in (270, 271, 272, 315, 33432)]
    tags += [(700, "B", len(packet.encode()), packet.encode(), True), (33723, "B", len(iim), iim, True)]
    tifffile.imwrite(
        path, picture(64, 77), photometric="minisblack", resolution=(600, 600), resolutionunit=2, metadata=None,
        extratags=tags, software=False,
    )  # fmt: skip


def inert(ran: Ran) -> Ran:
    """Nothing in it moves a cursor, changes the direction of text or breaks a line that is not ours."""
    for text in (ran.out, ran.err):
        bad = {c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") and c not in OURS}
        assert not bad, sorted(map(ascii, bad))
    return ran


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_of("strings", tmp_path_factory.mktemp("hostile") / "archive", tmp_path_factory, archive_of_strings)


@pytest.fixture
def shelf(archive: Path, command: Any) -> Shelf:
    return Shelf(root=archive, runner=command)


def cell(text: str) -> str:
    """What is kept of a cell or a value: not the space around it."""
    return text.strip()


def test_the_terminal_shows_them_escaped(shelf: Shelf):
    listed = inert(run("-A", shelf.root, "list"))
    assert listed.out.count("\n") == 2 * len(STRINGS) + 3
    assert max(map(len, listed.out.splitlines())) < 400
    for name in STRINGS:
        for source in ("csv", "bag"):
            shown = inert(must("-A", shelf.root, "show", f"{source}-{name}"))
            assert "sha512: " in shown.out
    assert "\\x1b[31mred" in must("-A", shelf.root, "show", "csv-escape").out
    inert(must("-A", shelf.root, "show", "worst/restoration"))
    inert(must("-A", shelf.root, "verify", "worst"))


def test_json_is_exact_and_inert(shelf: Shelf):
    for name, text in STRINGS.items():
        said = json.loads(inert(shelf.run("show", f"csv-{name}")).out)["record"]["description"]
        assert {field: said[field] for field in FIELDS} == dict.fromkeys(FIELDS, cell(text))
        assert said["extra"] == {"shelf <script>": cell(text)}
        said = json.loads(inert(shelf.run("show", f"bag-{name}")).out)["record"]["description"]
        assert said["description"] == cell(text)
        assert said["extra"] == dict.fromkeys(LABELS[1:], cell(text))
    inside = json.loads(inert(shelf.run("show", "worst")).out)["record"]["picture"]
    assert inside["xmp"] and inside["iptc"] and "<script>" in json.dumps(inside["exif"])
    titles = {row["item_id"]: row["title"] for row in json.loads(inert(shelf.run("list")).out)["items"]}
    assert titles["csv-bidi"] == cell(STRINGS["bidi"])


@pytest.mark.parametrize("name", STRINGS)
def test_searching_for_one_finds_or_finds_not(shelf: Shelf, name: str):
    ran = inert(shelf.run("search", STRINGS[name]))
    assert ran.code == 0
    found = {row["item_id"] for row in ran.json["items"]}
    words = re.findall(r"[a-z]{3,}", STRINGS[name])
    if words:
        assert {f"csv-{name}", f"bag-{name}"} <= found


def test_the_catalog_is_whole(shelf: Shelf):
    assert shelf.ok("verify", "--all")["ok"]
    before = shelf.ok("list")
    shelf.ok("catalog", "rebuild")
    assert shelf.ok("list") == before


def test_html_has_no_more_elements_than_a_harmless_report(shelf: Shelf):
    def elements(item: str) -> Counter[tuple[str, ...]]:
        page = html.document_fromstring(shelf.files(f"{item}/restoration")["report.html"].read_bytes())
        return Counter((str(element.tag), *sorted(map(str, element.attrib))) for element in page.iter())

    worst = elements("worst")
    assert worst == elements("harmless")
    assert not [name for found in worst for name in found[1:] if name.startswith("on")]
    text = shelf.files("worst/restoration")["report.html"].read_text(encoding="utf-8")
    assert "<img src=x" not in text and "&lt;script&gt;alert(1)" in text
    assert "\x1b" not in text and "\u202e" not in text and "49" not in re.findall(r"(\S*)\{% include", text)


def test_xml_is_well_formed_and_has_no_more_elements(shelf: Shelf):
    def elements(ref: str) -> list[str]:
        parser = etree.XMLParser(resolve_entities=False, load_dtd=False, no_network=True)
        root = etree.parse(str(shelf.files(ref)["premis.xml"]), parser)
        assert not root.docinfo.doctype
        return [str(element.tag) for element in root.iter()]

    for ref in ("", "/restoration"):
        assert elements(f"worst{ref}") == elements(f"harmless{ref}")
    for name in STRINGS:
        elements(f"csv-{name}")
        elements(f"bag-{name}")


def test_exports_carry_them_inert(shelf: Shelf, tmp_path: Path):
    refs = [f"csv-{name}" for name in STRINGS if name != "long"] + ["worst/restoration", "bag-formula"]
    inert(must("-A", shelf.root, "export", *refs, "--as", "access", "--to", tmp_path / "out"))
    table = list(csv.reader(io.StringIO((tmp_path / "out" / "disclosure.csv").read_text(encoding="utf-8-sig"))))
    assert len(table) == len(refs) * len(LANGUAGES) + 1
    assert {len(row) for row in table} == {len(table[0])}
    for row in table[1:]:
        for value in row:
            assert value.lstrip()[:1] not in tuple("=+-@\t\r＝＋－＠"), value
    for name in ("disclosure.txt", "disclosure.json", "disclosure.csv"):
        text = (tmp_path / "out" / name).read_text(encoding="utf-8-sig")
        bad = {c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp") and c not in "\r\n"}
        assert not bad, (name, sorted(map(ascii, bad)))
    assert len(json.loads((tmp_path / "out" / "disclosure.json").read_text())["disclosures"]) == len(table) - 1


def test_findings_about_hostile_bags_are_inert(shelf: Shelf, tmp_path: Path):
    """Names and lines of a bad bag come back in findings; so do rows of a bad sheet."""
    paths = [f"data/{text.replace('/', '_').strip()[:200]}" for text in STRINGS.values()]
    lines = "".join(f"{bad_bags.EMPTY}  {path}\n" for path in paths)
    files = bad_bags.one(change={"manifest-sha512.txt": lines.encode()}, info=f"{ALL}\n".replace(":", ""))
    files |= dict.fromkeys(paths, b"x")
    files["fetch.txt"] = f"{ALL}\n{STRINGS['escape']} - data/x\n".encode()
    folder = tmp_path / "b\x1b[2J<b>\u202e"
    bad_bags.write(bad_bags.Case(folder="x", files=files), folder)
    ran = inert(run("-A", shelf.root, "ingest", folder))
    assert ran.code == 1 and "BAG_FETCH_URL" in ran.out and "BAG_DIGEST_MISMATCH" in ran.out
    assert max(map(len, ran.out.splitlines())) < 1500
    ran = inert(shelf.run("ingest", folder))
    assert {entry["path"] for entry in ran.json["quarantined"]} == {str(folder)}
    sheet = f'file,title,source_type\nnone.tif,x,{STRINGS["html"]}\n"{ALL.replace(chr(34), "")}",x,\n'
    (tmp_path / "sheet.csv").write_text(sheet, encoding="utf-8")
    (tmp_path / "empty").mkdir()
    ran = inert(run("-A", shelf.root, "ingest", tmp_path / "empty", "--metadata", tmp_path / "sheet.csv"))
    assert ran.code == 1 and "CSV_SOURCE_TYPE_UNKNOWN" in ran.out
