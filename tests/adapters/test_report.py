"""The report: hostile text stays text, nothing outside is referred to, the offered commands do what they say."""

import base64
import dataclasses
import hashlib
import io
import json
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from html.parser import HTMLParser
from pathlib import Path
from types import MappingProxyType

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from archive_restore.adapters.report import (
    Detail,
    Loss,
    ReportFile,
    ReportPictures,
    RestorationReport,
    Signature,
    render_restoration_report,
)
from archive_restore.adapters.report_commands import python_word, shell_word
from archive_restore.adapters.report_words import (
    date_words,
    dtype_words,
    name_words,
    share_words,
    shown,
    size_words,
    value_words,
)
from archive_restore.core.synthesis_map import class_counts, histogram, pixel_digest
from archive_restore.imaging.reduce import OVERVIEW_LONGEST, reduce_map, reduce_picture
from archive_restore.records.findings import Finding, Severity
from archive_restore.records.imagery import DamageClass, MapSummary, PictureFacts, PixelFlag, Region, SampleRole
from archive_restore.records.objects import Description, FileFacts, Master, MasterRef, SourceType
from archive_restore.records.preservation import PreservationDerivation, PreservationKind, PreservationRef
from archive_restore.records.provenance import (
    Determinism,
    Environment,
    Event,
    Material,
    ModelUse,
    Product,
    Recipe,
    RecipeStep,
    SoftwareAgent,
    StepRun,
)

PHOTOGRAPH = Path(__file__).parents[1] / "photographs" / "open" / "airplane-from-above.jpg"
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "{{7*7}}{% raw %}",
    "</style><style>*{display:none}",
    "</script><script>alert(1)</script>",
    "first\nsecond\r\nthird",
    "\u202etxt.exe\u2066",
    "شهادة صورة",
    "nul\x00 bell\x07 lone \udcff",
    "&lt;b&gt; &amp;",
    "<!-- --> ]]> <![CDATA[",
)


def restored(photograph, seed=7):
    """Invented damage filled by a plain inpainting: (master, restoration, flags, damage), 16-bit gray."""
    rng = np.random.default_rng(seed)
    gray = cv2.imread(str(photograph), cv2.IMREAD_GRAYSCALE)
    height, width = gray.shape
    drawn = np.zeros_like(gray)
    for _ in range(14):
        start = rng.integers(0, (width, height))
        end = start + rng.integers((-90, -260), (90, 260))
        cv2.line(
            drawn, tuple(map(int, start)), tuple(map(int, end)), int(DamageClass.BRIGHT_LINE), 1 + int(rng.integers(2))
        )
    for _ in range(60):
        cv2.circle(
            drawn,
            tuple(map(int, rng.integers(0, (width, height)))),
            int(rng.integers(1, 4)),
            int(DamageClass.DARK_SPOT),
            -1,
        )
    loss = np.zeros_like(gray)
    cv2.ellipse(loss, (width - 90, height - 70), (46, 30), 20, 0, 360, int(DamageClass.LOSS), -1)
    drawn[loss > 0] = 0
    damaged = gray.copy()
    damaged[drawn == DamageClass.BRIGHT_LINE] = 244
    damaged[drawn == DamageClass.DARK_SPOT] = 22
    damaged[loss > 0] = 236
    filled = cv2.inpaint(damaged, (drawn > 0).astype(np.uint8), 3, cv2.INPAINT_TELEA)
    flags = np.where(drawn > 0, np.uint8(PixelFlag.INTERPOLATED), np.uint8(0))
    hand = (slice(200, 206), slice(300, 420))
    flags[hand] |= np.uint8(PixelFlag.HUMAN | PixelFlag.INTERPOLATED)
    filled[hand] = cv2.blur(damaged, (15, 15))[hand]
    grain = rng.integers(0, 257, gray.shape).astype(np.uint16)
    master = damaged.astype(np.uint16) * 256 + np.minimum(grain, 255)
    restoration = np.where(flags > 0, filled.astype(np.uint16) * 257, master)
    return master, restoration, flags, np.maximum(drawn, loss)


def sample_report(master, restoration, flags, damage, **texts):
    """A full report of gray 16-bit pictures (h, w); `texts` overrides words that come from people and files."""
    height, width = flags.shape
    word = {
        "item": "EX-1926-014",
        "title": "Airplane, viewed from above",
        "creator": "Fedele Azari",
        "name": "EX-1926-014.tif",
        "text": "Gelatin silver print; scratches across the sky, retouched spots, emulsion lost at the lower right.",
        "organization": "Example Museum of Photography",
        "agent": "M. Rossi, conservator",
        "folder": "the folder of the archive",
        **texts,
    }
    facts = PictureFacts(
        width=width,
        height=height,
        samples=1,
        bits=16,
        sample_format="uint",
        roles=(SampleRole.GRAY,),
        photometric="minisblack",
        compression="none",
        layout="strips",
        pages=1,
        x_resolution=600.0,
        y_resolution=600.0,
        icc_description="Dot Gain 20 %" if not texts else word["text"],
    )
    master_record = Master(
        ref=MasterRef(item_id=word["item"]),
        description=Description(
            title=word["title"],
            creator=word["creator"],
            date="1914–1929" if not texts else word["text"],
            coverage="Italy" if not texts else word["text"],
            description=word["text"],
            rights="Public domain (CC0)",
            source_type=SourceType.PRINT,
            extra=MappingProxyType({"inventory shelf": word["text"]}),
        ),
        file=FileFacts(
            name=word["name"],
            size=master.nbytes + 1208,
            sha512="ab" * 64,
            sha256="cd" * 32,
            puid="fmt/353",
            mime="image/tiff",
            format_name="Tagged Image File Format",
        ),
        picture=facts,
        findings=(),
        original_path=word["name"],
        ingested="2026-11-20T09:12:44Z",
    )
    ref = PreservationRef(item_id=word["item"], kind=PreservationKind.RESTORATION, version=2)
    hist = histogram(flags)
    summary = MapSummary(
        width=width,
        height=height,
        counts=class_counts(hist),
        histogram={str(v): int(n) for v, n in enumerate(hist) if n},
        sha256=pixel_digest(flags),
        master_sha256="cd" * 32,
        master_pixels_sha256=pixel_digest(master),
    )
    steps = (
        StepRun(
            step="detect_damage",
            version="1",
            parameters=MappingProxyType({"sensitivity": 0.5, "max_width": 9, "texture": True}),
            survey=MappingProxyType({"noise_sigma": 0.00813412345, "contrast": 0.61, "grid": tuple(range(64))}),
            action="c2pa.edited",
            digital_source_type="",
            pixels=0,
            description=f"Lines and spots were looked for. {texts.get('text', '')}",
        ),
        StepRun(
            step="fill",
            version="2",
            parameters=MappingProxyType({"grain": True, "max_width": 9}),
            survey=MappingProxyType({}),
            action="c2pa.edited",
            digital_source_type="algorithmicallyEnhanced",
            pixels=900,
            description="Thin damage was filled from its surroundings, in the grain of the photograph.",
        ),
        StepRun(
            step="losses",
            version="1",
            parameters=MappingProxyType({"mode": "as found"}),
            survey=MappingProxyType({}),
            action="c2pa.edited",
            digital_source_type="",
            pixels=0,
            description="Large losses were left as found and marked.",
        ),
    )
    derivation = PreservationDerivation(
        derivation_id="urn:uuid:3f1c9f6e-6e0e-4d6c-9f4a-0d8f3d1f2a55",
        ref=ref,
        parent=master_record.ref,
        materials=(
            Material(
                role="master",
                ref=word["item"],
                mime="image/tiff",
                size=master.nbytes,
                sha512="ab" * 64,
                sha256="cd" * 32,
                pixels_sha256=pixel_digest(master),
            ),
        ),
        recipe=Recipe(
            name="gentle" if not texts else word["text"],
            description="thin damage is filled, losses stay as found",
            steps=(
                RecipeStep(step="detect_damage", parameters=MappingProxyType({"sensitivity": 0.5})),
                RecipeStep(step="fill"),
                RecipeStep(step="losses"),
            ),
        ),
        steps=steps,
        seed=20261122,
        tile=1024,
        products=(
            Product(
                role="picture",
                name="restoration.tif",
                mime="image/tiff",
                width=width,
                height=height,
                dtype="<u2",
                samples=1,
                pixels_sha256=pixel_digest(restoration),
            ),
            Product(
                role="synthesis map",
                name="synthesis-map.png",
                mime="image/png",
                width=width,
                height=height,
                dtype="|u1",
                samples=1,
                pixels_sha256=pixel_digest(flags),
            ),
        ),
        map=summary,
        environment=Environment(
            agents=(
                SoftwareAgent(name="archive-restore", version="0.1.0", role="restoration"),
                SoftwareAgent(name="numpy", version="2.4.6", role="pixels"),
                SoftwareAgent(name="tifffile", version="2026.7.14", role="TIFF"),
                SoftwareAgent(name="c2pa-python", version="0.38.1", role="C2PA"),
            ),
            models=()
            if not texts
            else (
                ModelUse(name=word["text"], version="1", sha256="0" * 64, card_sha256="0" * 64, licence=word["text"]),
            ),
            platform="Linux x86_64",
            device="cpu",
            determinism=Determinism.BIT_EXACT,
        ),
        started="2026-11-22T19:57:03Z",
        ended="2026-11-22T19:57:09Z",
        events=(
            Event(
                event_id="urn:uuid:1",
                type="creation",
                date_time="2026-11-22T19:57:09Z",
                ref=str(ref),
                outcome="success",
                detail=word["text"],
                agent=word["agent"],
            ),
            Event(
                event_id="urn:uuid:2",
                type="digital signature generation",
                date_time="2026-11-22T19:57:10Z",
                ref=str(ref),
                outcome="success",
                detail="Signed with ES256.",
                agent="archive-restore 0.1.0",
            ),
        ),
    )
    before, after = (reduce_picture(p[..., None], OVERVIEW_LONGEST) for p in (master, restoration))
    reduced_flags = reduce_map(flags, OVERVIEW_LONGEST)
    corners = ((441, 848), (0, 432), (235, 146), (461, 547), (49, 742), (300, 350))
    places = [
        Region(top=y, left=x, bottom=min(y + 176, height), right=min(x + 176, width))
        for y, x in corners
        if y < height and x < width
    ]

    def part(array, region):
        return array[region.top : region.bottom, region.left : region.right]

    details = tuple(
        Detail(
            region=p,
            master=part(master, p)[..., None],
            restoration=part(restoration, p)[..., None],
            flags=part(flags, p),
        )
        for p in places
    )
    rows, columns = np.nonzero(damage == DamageClass.LOSS)
    losses = ()
    if len(rows):
        box = Region(
            top=int(rows.min()), left=int(columns.min()), bottom=int(rows.max()) + 1, right=int(columns.max()) + 1
        )
        losses = (Loss(region=box, pixels=len(rows)),)
    restoration_name = word["name"] if texts else "EX-1926-014-restoration.tif"
    return RestorationReport(
        master=master_record,
        derivation=derivation,
        pictures=ReportPictures(master=before, restoration=after, flags=reduced_flags, white=65535.0),
        details=details,
        damage={kind.name: int((damage == kind).sum()) for kind in DamageClass},
        losses=losses,
        loss_treatment="as found",
        master_file=ReportFile(role="master", path=word["name"], size=master.nbytes + 1208, sha512="ab" * 64),
        restoration_file=ReportFile(role="restoration", path=restoration_name, size=934_118, sha512="ef" * 64),
        other_files=(
            ReportFile(role="synthesis map", path="synthesis-map.png", size=5120, sha512="12" * 64),
            ReportFile(role="derivation", path="derivation.json", size=6118, sha512="34" * 64),
        ),
        signature=Signature(
            subject="Example Museum of Photography" if not texts else word["text"],
            issuer="Example Museum of Photography Local CA",
            algorithm="es256",
            fingerprint="9f" * 32,
            valid_from="2026-11-20T09:00:00Z",
            valid_until="2056-11-12T09:00:00Z",
            state="Valid",
            own_authority=True,
        ),
        organization=word["organization"],
        findings=(
            Finding(
                code="LOSS_LEFT",
                severity=Severity.INFO,
                subject=str(ref),
                message=f"One large loss was left as found. {texts.get('text', '')}",
                clause="",
            ),
        ),
        folder=word["folder"],
    )


@pytest.fixture(scope="module")
def arrays():
    return restored(PHOTOGRAPH)


@pytest.fixture(scope="module")
def report(arrays):
    return sample_report(*arrays)


@pytest.fixture(scope="module")
def small_report(arrays):
    """The same in small, for tests of words."""
    return sample_report(*(array[430:717:2, 700:1024:2] for array in arrays))


@pytest.fixture(scope="module")
def page(report):
    return render_restoration_report(report)


class Outline(HTMLParser):
    """What a browser's parser makes of a page: elements with attributes, and the text of some."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.inside, self.words = [], [], []
        self.contents = {"style": "", "script": "", "code": [], "title": ""}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.inside.append(tag)
        if tag == "code":
            self.contents["code"].append("")

    def handle_endtag(self, tag):
        while self.inside and self.inside.pop() != tag:
            pass

    def handle_data(self, data):
        tag = self.inside[-1] if self.inside else ""
        if tag == "code":
            self.contents["code"][-1] += data
        elif tag in self.contents:
            self.contents[tag] += data
        if tag not in ("style", "script"):
            self.words.append(data)

    @property
    def shape(self):
        """Elements and the names of their attributes, without anything that is text."""
        return [(tag, tuple(sorted(attributes))) for tag, attributes in self.elements]


def outline(page):
    return Outline(page.decode("utf-8"))


def strings_replaced(record, text):
    """The same record with every string that is not a key word replaced: no field is forgotten."""
    if isinstance(record, np.ndarray | bytes) or record is None:
        return record
    if dataclasses.is_dataclass(record):
        return dataclasses.replace(
            record, **{f.name: strings_replaced(getattr(record, f.name), text) for f in dataclasses.fields(record)}
        )
    if isinstance(record, tuple):
        return tuple(strings_replaced(item, text) for item in record)
    if isinstance(record, MappingProxyType | dict):
        return {k if k in NAMED_KEYS or k.isdigit() else text: strings_replaced(v, text) for k, v in record.items()}
    return text if type(record) is str and record != "picture" and record != "image/tiff" else record


NAMED_KEYS = {flag.name for flag in PixelFlag} | {kind.name for kind in DamageClass}


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_in_every_field_stays_text(small_report, text):
    page = render_restoration_report(strings_replaced(small_report, text))
    harmless = render_restoration_report(strings_replaced(small_report, "w"))
    found = outline(page)
    expected = outline(harmless).shape
    if "\n" in text or any(ord(ch) < 32 or 0xD800 <= ord(ch) < 0xE000 or ord(ch) in (0x202E, 0x2066) for ch in text):
        # such names cannot go into a checksum file: the digests are listed instead
        assert {name for name, _ in found.shape} <= {name for name, _ in expected} | {"dl", "div", "dt", "dd"}
        assert all(not any(a.startswith("on") for a in attributes) for _, attributes in found.shape)
    else:
        assert found.shape == expected
    assert found.contents["script"] == outline(harmless).contents["script"]
    visible = shown(text).replace("\r", "")
    assert visible.split()[0] in " ".join(" ".join(found.words).split())


def test_control_and_override_characters_are_shown_as_escapes():
    assert shown("a\u202eb\x00c\x1b[31m") == "a\\u202eb\\u0000c\\u001b[31m"
    assert shown("شهادة\u200cصورة\nx") == "شهادة\u200cصورة\nx"
    assert shown("caf\udce9") == "caf\\xe9"


def test_the_policy_allows_exactly_what_is_inlined(page):
    found = outline(page)
    (policy,) = [a["content"] for tag, a in found.elements if a.get("http-equiv") == "Content-Security-Policy"]
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    for name, element in (("style-src", "style"), ("script-src", "script")):
        content = re.search(rf"<{element}>(.*?)</{element}>", page.decode(), re.DOTALL).group(1)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert directives[name] == f"'sha256-{digest}'"
        assert page.count(f"<{element}".encode()) == 1
    assert directives["default-src"] == "'none'"
    assert directives["img-src"] == "data:"
    assert "unsafe" not in policy


def test_nothing_outside_the_page_is_referred_to(page):
    found = outline(page)
    for tag, attributes in found.elements:
        assert tag not in ("link", "iframe", "object", "embed", "base", "form", "audio", "video", "source"), tag
        assert "style" not in attributes
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href", "srcset", "action", "poster", "data", "background"):
            if name in attributes:
                assert attributes[name].startswith(("data:image/png;base64,", "data:image/jpeg;base64,", "#"))
    text = re.sub(r"data:image/[a-z]+;base64,[A-Za-z0-9+/=]+", "", page.decode())
    assert "http:" not in text
    assert "https:" not in text
    assert "url(" not in text
    assert "@import" not in text
    assert page.isascii() or page.decode("utf-8")


def test_every_picture_has_words_and_a_size_and_every_control_a_name(page):
    found = outline(page)
    images = [a for tag, a in found.elements if tag == "img"]
    assert len(images) == 3 + 3 * 6
    for attributes in images:
        assert len(attributes["alt"]) > 8
        assert int(attributes["width"]) > 0
        picture = Image.open(io.BytesIO(base64.b64decode(attributes["src"].split(",")[1])))
        picture.load()
    assert ("html", {"lang": "en"}) in found.elements
    assert [tag for tag, _ in found.elements if re.fullmatch("h[1-6]", tag)].count("h1") == 1
    ids = [a["id"] for _, a in found.elements if "id" in a]
    assert len(ids) == len(set(ids))
    for _, attributes in found.elements:
        assert attributes.get("aria-labelledby", ids[0]) in ids


def test_it_says_the_numbers_of_the_map(report, page):
    words = " ".join(" ".join(outline(page).words).split())
    counts = report.derivation.map.counts
    for number in (counts["ORIGINAL"], counts["INTERPOLATED"], counts["HUMAN"], report.derivation.map.pixels):
        assert f"{number:,}" in words
    assert "Original pixels equal the master bit for bit; filled pixels are an informed guess." in words
    assert "left exactly as found" in words
    assert "Valid means" in words
    assert "20261122" in words
    for digest in ("ab" * 64, "ef" * 64, report.derivation.map.sha256):
        assert digest in words


def test_the_same_report_gives_the_same_bytes_and_stays_small(report, page):
    assert render_restoration_report(report) == page
    assert len(page) < 3_000_000


def test_a_large_noisy_colour_report_stays_under_three_megabytes(report):
    rng = np.random.default_rng(5)
    reduced = rng.integers(0, 65536, (2048, 2048, 3)).astype(np.float32)
    flags = (rng.random((2048, 2048)) < 0.05).astype(np.uint8) * np.uint8(8)
    crop = rng.integers(0, 65536, (192, 192, 3)).astype(np.uint16)
    region = Region(top=0, left=0, bottom=192, right=192)
    details = tuple(Detail(region=region, master=crop, restoration=crop, flags=flags[:192, :192]) for _ in range(6))
    roles = (SampleRole.RED, SampleRole.GREEN, SampleRole.BLUE)
    master = dataclasses.replace(
        report.master, picture=dataclasses.replace(report.master.picture, roles=roles, samples=3, photometric="rgb")
    )
    pictures = ReportPictures(master=reduced, restoration=reduced, flags=flags, white=65535.0)
    large = dataclasses.replace(report, master=master, pictures=pictures, details=details)
    page = render_restoration_report(large)
    assert len(page) < 3_000_000
    assert "lightly compressed" in page.decode()


def test_an_unsigned_untouched_untitled_restoration_is_reported_too(report, arrays):
    master = arrays[0][:20, :30]
    flags = np.zeros(master.shape, np.uint8)
    plain = sample_report(master, master, flags, flags, title="", creator="", text="", organization="")
    plain = dataclasses.replace(plain, signature=None, losses=(), findings=())
    words = " ".join(" ".join(outline(render_restoration_report(plain)).words).split())
    assert "nothing was changed" in words
    assert "carries no signature" in words
    assert "No damage was found" in words
    assert "100 %" in words


@pytest.mark.parametrize(
    ("state", "expected"), [("Trusted", "whom readers of Content Credentials know"), ("Invalid", "do not hold")]
)
def test_the_state_of_the_credentials_is_said_in_plain_words(small_report, state, expected):
    changed = dataclasses.replace(small_report, signature=dataclasses.replace(small_report.signature, state=state))
    assert expected in " ".join(" ".join(outline(render_restoration_report(changed)).words).split())


def test_small_words():
    assert share_words(0, 10**9) == "0 %"
    assert share_words(1, 10**9) == "under 0.01 %"
    assert share_words(10**9 - 1, 10**9) == "over 99.99 %"
    assert share_words(10**9, 10**9) == "100 %"
    assert share_words(1, 3) == "33.33 %"
    assert date_words("2026-11-22T19:57:03Z") == "22 November 2026, 19:57 UTC"
    assert date_words("2056-11-12") == "12 November 2056"
    assert date_words("last summer") == "last summer"
    assert [dtype_words(word) for word in ("|u1", "<u2", "<f4", "xyz")] == [
        "8 bit unsigned", "16 bit unsigned", "32 bit floating point", "xyz",
    ]  # fmt: skip
    assert name_words("CN=signing key,O=Museum\\, Ghent") == "Museum, Ghent"
    assert name_words("CN=signing key") == "signing key"
    assert name_words("The Museum") == "The Museum"
    assert size_words(1536) == "1.5 KiB (1,536 bytes)"
    assert value_words((0.123456789, "x", MappingProxyType({"a": None}))) == '[0.123457, "x", {"a": null}]'
    assert "64 values in all" in value_words(tuple(range(64)))


def test_of_a_large_detail_the_middle_is_shown(small_report):
    big = np.zeros((400, 400), np.uint8)
    region = Region(top=0, left=0, bottom=400, right=400)
    detail = Detail(region=region, master=big[..., None], restoration=big[..., None], flags=big)
    page = render_restoration_report(dataclasses.replace(small_report, details=(detail,)))
    assert "192 × 192 pixels from column 104, row 104" in page.decode()
    assert [a["width"] for tag, a in outline(page).elements if tag == "img"][3:] == ["384"] * 3


# --- the commands are run ----------------------------------------------------------------------------


def write_pair(folder, master, restoration, flags, names):
    tifffile.imwrite(folder / names[0], master, byteorder=">", photometric="minisblack")
    with tifffile.TiffWriter(folder / names[1]) as tiff:
        tiff.write(
            restoration, tile=(256, 256), compression="zlib", predictor=True, subifds=1, photometric="minisblack"
        )
        tiff.write(flags, tile=(256, 256), compression="zlib", subfiletype=1, photometric="minisblack")


def offered(report, word):
    (command,) = [c for c in outline(render_restoration_report(report)).contents["code"] if c.startswith(word)]
    return command


def run(command, folder):
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    return subprocess.run(
        ["bash", "-c", command], cwd=folder, capture_output=True, text=True, errors="replace", timeout=120,
        env={"PATH": path, "LC_ALL": "C.UTF-8"}, check=False,
    )  # fmt: skip


def paths(report, master, restoration):
    return dataclasses.replace(
        report,
        master_file=dataclasses.replace(report.master_file, path=master),
        restoration_file=dataclasses.replace(report.restoration_file, path=restoration),
    )


NAMES = [
    ("plain.tif", "restored.tif"),
    ("it's $(touch owned) `touch owned`; touch owned.tif", "-rf\n'END'\nEND \u202e\\.tif"),
]


@pytest.mark.parametrize("names", NAMES, ids=["plain", "hostile"])
def test_the_pixel_script_of_the_page_runs_and_tells_the_truth(tmp_path, report, arrays, names):
    master, restoration, flags, _ = arrays
    write_pair(tmp_path, master, restoration, flags, names)
    command = offered(paths(report, *names), "python3")
    honest = run(command, tmp_path)
    assert honest.returncode == 0, honest.stderr
    assert honest.stdout.count("True") == 4
    assert honest.stdout.endswith(f"{report.derivation.map.counts['ORIGINAL']} - of these changed: 0\n")
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(names)
    tampered = restoration.copy()
    y, x = np.argwhere(flags == 0)[1000]
    tampered[y, x] ^= 1
    write_pair(tmp_path, master, tampered, flags, names)
    lying = run(command, tmp_path)
    assert "restored pixels: False" in lying.stdout
    assert lying.stdout.endswith("of these changed: 1\n")


def test_the_pixel_script_reads_planar_colour_and_other_formats(tmp_path, small_report):
    report = small_report
    rng = np.random.default_rng(8)
    picture = rng.integers(0, 65536, (40, 50, 3)).astype(np.uint16)
    flags = np.zeros((40, 50), np.uint8)
    with tifffile.TiffWriter(tmp_path / "r.tif") as tiff:
        tiff.write(picture, photometric="rgb", subifds=1)
        tiff.write(flags, subfiletype=1, photometric="minisblack")
    tifffile.imwrite(tmp_path / "m.tif", np.moveaxis(picture, -1, 0), photometric="rgb", planarconfig="separate")
    cv2.imwrite(str(tmp_path / "m.png"), picture[..., ::-1])
    products = tuple(
        dataclasses.replace(p, pixels_sha256=pixel_digest(picture if p.role == "picture" else flags))
        for p in report.derivation.products
    )
    summary = dataclasses.replace(
        report.derivation.map, sha256=pixel_digest(flags), master_pixels_sha256=pixel_digest(picture)
    )
    changed = dataclasses.replace(
        report, derivation=dataclasses.replace(report.derivation, products=products, map=summary)
    )
    for name, mime in (("m.tif", "image/tiff"), ("m.png", "image/png")):
        file = dataclasses.replace(report.master.file, mime=mime)
        kind = dataclasses.replace(changed, master=dataclasses.replace(report.master, file=file))
        done = run(offered(paths(kind, name, "r.tif"), "python3"), tmp_path)
        assert done.stdout.count("True") == 4, done.stderr
        assert done.stdout.endswith("2000 - of these changed: 0\n")


def test_a_master_only_we_can_decode_gets_no_script(small_report):
    report = small_report
    file = dataclasses.replace(report.master.file, mime="image/x-adobe-dng")
    page = render_restoration_report(dataclasses.replace(report, master=dataclasses.replace(report.master, file=file)))
    assert [c for c in outline(page).contents["code"] if c.startswith("python3")] == []


@pytest.mark.parametrize("names", NAMES, ids=["plain", "hostile"])
def test_the_digest_command_of_the_page_runs(tmp_path, small_report, names):
    report = small_report
    digests = []
    for name, content in zip(names, (b"master", b"restoration"), strict=True):
        (tmp_path / name).write_bytes(content)
        digests.append(hashlib.sha512(content).hexdigest())
    named = paths(report, *names)
    named = dataclasses.replace(
        named,
        master=dataclasses.replace(report.master, file=dataclasses.replace(report.master.file, sha512=digests[0])),
        restoration_file=dataclasses.replace(named.restoration_file, sha512=digests[1]),
    )
    done = run(offered(named, "sha512sum"), tmp_path)
    assert done.returncode == 0, done.stderr
    if "--check" in offered(named, "sha512sum"):
        assert done.stdout.count(": OK") == 2
        (tmp_path / names[0]).write_bytes(b"tampered")
        assert run(offered(named, "sha512sum"), tmp_path).returncode == 1
    else:
        assert all(digest in done.stdout for digest in digests)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(names)


@pytest.mark.parametrize("text", [*HOSTILE[:-4], "a b", "-n", "$HOME", "tab\there", "byte \udcff", "\\x41", "~", "*"])
def test_words_survive_the_shell_and_python(tmp_path, text):
    quoted = shell_word(text)
    assert quoted.isprintable()
    done = subprocess.run(["bash", "-c", f"printf %s {quoted}"], capture_output=True, check=True, timeout=30)
    assert done.stdout.decode("utf-8", "surrogateescape") == (f"./{text}" if text.startswith("-") else text)
    assert python_word(text).isascii()
    assert eval(python_word(text)) == text


# --- a browser opens it ------------------------------------------------------------------------------


class Browser:
    """Headless Chromium by ChromeDriver's plain HTTP on the loopback interface."""

    def __init__(self, process, base, profile):
        self.process, self.base = process, base
        switches = (
            "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
            "--disable-background-networking", "--disable-component-update", f"--user-data-dir={profile}",
        )  # fmt: skip
        capabilities = {
            "browserName": "chrome",
            "goog:loggingPrefs": {"browser": "ALL"},
            "goog:chromeOptions": {"args": list(switches)},
        }
        session = self.call("POST", "/session", {"capabilities": {"alwaysMatch": capabilities}})
        self.session = f"/session/{session['sessionId']}"

    def call(self, method, path, data=None):
        body = None if data is None else json.dumps(data).encode()
        request = urllib.request.Request(self.base + path, body, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]

    def open(self, path, width=1280, scripts=True):
        self.chrome("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.chrome(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 500
        )
        self.call("POST", f"{self.session}/url", {"url": path.as_uri()})

    def chrome(self, command, **parameters):
        return self.call("POST", f"{self.session}/goog/cdp/execute", {"cmd": command, "params": parameters})

    def js(self, script):
        return self.call("POST", f"{self.session}/execute/sync", {"script": f"return {script}", "args": []})

    def press(self, selector, keys):
        element = self.call("POST", f"{self.session}/element", {"using": "css selector", "value": selector})
        self.call("POST", f"{self.session}/element/{next(iter(element.values()))}/value", {"text": keys})

    def log(self):
        return self.call("POST", f"{self.session}/se/log", {"type": "browser"})


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    driver, chromium = shutil.which("chromedriver"), shutil.which("chromium") or shutil.which("google-chrome")
    if not (driver and chromium):
        pytest.skip("chromium and chromedriver are not installed")
    folder = tmp_path_factory.mktemp("browser")
    with (folder / "driver.log").open("w+") as log:
        process = subprocess.Popen([driver, "--port=0"], stdout=log, stderr=subprocess.STDOUT)
        try:
            port = None
            for _ in range(150):
                port = re.search(r"started successfully on port (\d+)", (folder / "driver.log").read_text())
                if port:
                    break
                time.sleep(0.1)
            assert port, (folder / "driver.log").read_text()
            made = Browser(process, f"http://127.0.0.1:{port.group(1)}", folder / "profile")
            yield made
            made.call("DELETE", made.session)
        finally:
            process.terminate()
            process.wait(20)


@pytest.fixture(scope="module")
def page_file(page, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_bytes(page)
    return path


@pytest.mark.browser
def test_the_slider_follows_keys_pointer_and_buttons(browser, page_file):
    browser.open(page_file)
    assert browser.js("document.documentElement.className") == "js"
    cut = "getComputedStyle(document.querySelector('.after')).clipPath"
    assert browser.js(cut) == "inset(0px 0px 0px 50%)"
    browser.press("#cut", "\ue014\ue014\ue014")  # arrow right
    assert browser.js(cut) == "inset(0px 0px 0px 53%)"
    assert (
        browser.js("document.getElementById('cut').getAttribute('aria-valuetext')") == "53 % master, 47 % restoration"
    )
    browser.js("document.getElementById('show-master').click()")
    assert browser.js(cut) == "inset(0px 0px 0px 100%)"
    browser.js("window.scrollTo(0, 0)")
    box = browser.js(
        "(r => [r.left, r.top, r.width, r.height])(document.getElementById('compare').getBoundingClientRect())"
    )
    x, y = box[0] + box[2] / 4, box[1] + 40
    browser.chrome("Input.dispatchMouseEvent", type="mousePressed", x=x, y=y, button="left", clickCount=1)
    browser.chrome("Input.dispatchMouseEvent", type="mouseMoved", x=x + box[2] / 2, y=y, button="left")
    browser.chrome("Input.dispatchMouseEvent", type="mouseReleased", x=x + box[2] / 2, y=y, button="left")
    assert browser.js("document.getElementById('cut').value") == "75"
    opaque = "getComputedStyle(document.querySelector('.map')).display"
    assert browser.js(opaque) == "none"
    browser.press("#map-on", " ")
    assert browser.js(opaque) == "block"
    browser.press("#map-opacity", "\ue012")  # arrow left
    assert browser.js("getComputedStyle(document.querySelector('.map')).opacity") == "0.85"
    assert browser.log() == []


@pytest.mark.browser
def test_pictures_lie_exactly_over_one_another_and_nothing_overflows(browser, page_file):
    for width in (360, 1600):
        browser.open(page_file, width)
        browser.js("document.getElementById('map-on').click()")
        boxes = browser.js(
            "[...document.querySelectorAll('.compare img')].map(i => JSON.stringify(i.getBoundingClientRect()))"
        )
        assert len(set(boxes)) == 1
        assert browser.js("document.documentElement.scrollWidth") <= width
        assert browser.js("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
        assert browser.log() == []


@pytest.mark.browser
def test_without_scripts_the_pictures_stand_side_by_side(browser, page_file):
    browser.open(page_file, 1280, scripts=False)
    browser.chrome("Emulation.setScriptExecutionDisabled", value=False)  # only to look at what was laid out without
    assert browser.js("getComputedStyle(document.querySelector('.after')).clipPath") == "none"
    assert browser.js("document.documentElement.className") == ""
    lefts = browser.js("[...document.querySelectorAll('.compare img')].map(i => i.getBoundingClientRect().left)")
    assert lefts == sorted(set(lefts))
    assert browser.js("getComputedStyle(document.getElementById('controls')).display") == "none"


@pytest.mark.browser
def test_hostile_text_runs_nothing_in_a_real_browser(browser, small_report, tmp_path):
    path = tmp_path / "hostile.html"
    path.write_bytes(render_restoration_report(strings_replaced(small_report, "".join(HOSTILE))))
    browser.open(path)
    assert browser.js("document.scripts.length") == 1
    assert browser.js("document.querySelectorAll('img').length") == 3 + 3 * len(small_report.details)
    assert (
        browser.js(
            "[...document.querySelectorAll('*')].some(e => [...e.attributes].some(a => a.name.startsWith('on')))"
        )
        is False
    )
    assert browser.js("document.documentElement.scrollWidth <= innerWidth")
    assert browser.log() == []


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_the_contrast_of_wcag_aa(browser, page_file, scheme):
    browser.open(page_file)
    browser.chrome("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    pairs = browser.js(
        """(() => { const found = new Set();
        const style = (e) => getComputedStyle(e);
        for (const e of document.querySelectorAll('body *')) {
          if (e.closest('figcaption, script')) continue;
          if (![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())) continue;
          let back = e;
          while (back && style(back).backgroundColor === 'rgba(0, 0, 0, 0)') back = back.parentElement;
          found.add(style(e).color + '|' + style(back || document.body).backgroundColor);
        } return [...found]; })()"""
    )
    assert len(pairs) >= 2
    for pair in pairs:
        light, dark = sorted((luminance(part) for part in pair.split("|")), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, pair


def luminance(colour):
    """Relative luminance of `rgb(r, g, b)` (WCAG 2.2)."""
    parts = [int(v) / 255 for v in re.findall(r"\d+", colour)[:3]]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.browser
def test_an_audit_opens_without_a_complaint(browser, tmp_path):
    from archive_restore.adapters.audit_report import HtmlAuditReports
    from tests.adapters.test_audit_report import view

    (tmp_path / "audit.html").write_bytes(HtmlAuditReports().render(view()))
    for width in (360, 1300):
        browser.open(tmp_path / "audit.html", width)
        assert browser.js("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
        assert browser.js("document.documentElement.scrollWidth") <= width
    assert browser.log() == []
