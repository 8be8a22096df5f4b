"""The report of an audit: made from hand-made views, no field of which can break out of its place."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from archive_restore.adapters.audit_report import HtmlAuditReports
from archive_restore.core.audit_words import kinship_words, percent, where_words
from archive_restore.ports import AuditView, CredentialReport
from archive_restore.records.audits import (
    Audit,
    ChangedPlace,
    Dissemination,
    Kinship,
    Subject,
    SubjectKind,
    Treatment,
)
from archive_restore.records.credentials import (
    CredentialChain,
    Objection,
    StatedAction,
    StatedIngredient,
    StatedManifest,
)
from archive_restore.records.findings import Finding, Severity
from archive_restore.records.imagery import Region
from tests.adapters.test_report import outline, strings_replaced

TREATMENT = Treatment(
    shown=0.4, resized=0.5, rotation=2.0, mirrored=True, bordered=False, grayscale=False, tinted=False, graded=True
)


def view() -> AuditView:
    rng = np.random.default_rng(0)
    manifest = StatedManifest(
        label="urn:c2pa:1", title="a.jpg", generator="camera 1", signer="somebody", issuer="root", algorithm="es256",
        when="2026-11-27T08:00:00Z", stamped=False, own=("org.archive-restore.access",), others=("c2pa.actions",),
        actions=(
            StatedAction(
                action="c2pa.edited", words="it was edited", description="did it", when="", software="x",
                source_type="humanEdits", source_words="edited by a person", regions=1,
            ),
        ),
        ingredients=(
            StatedIngredient(
                title="b.jpg", format="image/jpeg", relationship="parentOf", words="what it was made from", manifest="",
                description="",
            ),
        ),
        trusted=False,
    )  # fmt: skip
    objection = Objection(
        code="assertion.dataHash.mismatch", finding="C2PA_OTHER_BYTES", severity=Severity.ERROR,
        manifest="urn:c2pa:1", means="Changed.", means_not="Nobody is accused.",
    )  # fmt: skip
    kinship = Kinship(
        judged=True, ref="one/colorization@2", title="The well", story=True, confidence=0.97, treatment=TREATMENT,
        changed=(ChangedPlace(region=Region(top=60, left=80, bottom=120, right=180), where="middle", share=0.1,
                              colour_only=False),),
        shares={"ORIGINAL": 0.3, "COLORIZED": 0.7}, others=("one",),
        exported=(Dissemination(ref="one@1", when="2026-11-26T08:00:00Z", by="us", detail="access copy"),),
    )  # fmt: skip
    finding = Finding(code="C2PA_OTHER_BYTES", severity=Severity.ERROR, subject="s", message="m", clause="c")
    return AuditView(
        audit=Audit(
            path="folder/a.jpg", subject=Subject(kind=SubjectKind.IMAGE, mime="image/jpeg"), size=10, sha256="ab",
            width=320, height=240, subjects=1, findings=(finding,), says=("This is a crop.",),
        ),
        credentials=CredentialReport(
            state="invalid", signer="somebody", algorithm="es256", when="", findings=(finding,), map_png=None,
            derivation=None, chain=CredentialChain(manifests=(manifest,), parents=1, objections=(objection,)),
        ),
        anchors="the roots", kinship=kinship,
        candidate=rng.integers(0, 255, (120, 160, 3), dtype=np.uint8),
        reference=rng.integers(0, 255, (200, 300, 3), dtype=np.uint8),
        matrix=((1.0, 0.0, 40.0), (0.0, 1.0, 30.0), (0.0, 0.0, 1.0)), scale=2.0,
        strength=np.pad(np.full((20, 20), 200, np.uint8), 20), flags=np.full((120, 160), 0x20, np.uint8),
        caption="Digitally colorized.", made="2026-11-27T09:00:00Z",
    )  # fmt: skip


def test_the_page_shows_pictures_places_and_what_an_objection_does_not_mean():
    page = outline(HtmlAuditReports().render(view()))
    words = " ".join(page.words)
    assert sum(tag == "img" for tag, _ in page.elements) == 6
    for text in (
        "one/colorization@2",
        "Nobody is accused.",
        "1: in this file",
        "70.00 %",
        "it was edited".capitalize(),
    ):
        assert text in words, text
    band = next(a for t, a in page.elements if t == "img" and "Digitally colorized" in a.get("alt", ""))
    assert int(band["height"]) > 200, "the story is shown without its band"


def test_the_same_view_gives_the_same_page():
    assert HtmlAuditReports().render(view()) == HtmlAuditReports().render(view())


@pytest.mark.parametrize(
    "text",
    ["</style><script>alert(1)</script>", "<img src=x onerror=alert(1)>", "\u202e\x1b[2J", "x" * 10_000, "{{ 7 * 7 }}"],
)
def test_no_text_of_any_field_can_become_markup(text: str):
    plain, shaped = view(), outline(HtmlAuditReports().render(view()))
    hostile = replace(
        plain,
        audit=replace(strings_replaced(plain.audit, text), subject=plain.audit.subject, sha256="ab"),
        credentials=replace(strings_replaced(plain.credentials, text), state="invalid"),
        kinship=replace(strings_replaced(plain.kinship, text), shares=plain.kinship.shares if plain.kinship else {}),
        anchors=text,
    )  # fmt: skip
    page = HtmlAuditReports().render(hostile)
    found = outline(page)
    assert {tag for tag, _ in found.elements} == {tag for tag, _ in shaped.elements}
    assert b"\x1b" not in page and "\u202e".encode() not in page
    assert not any(name.startswith("on") for _, attributes in found.elements for name in attributes)
    assert "49" not in "".join(found.words)[:20]


def test_pages_without_pictures_kin_or_credentials_can_be_made():
    plain = view()
    bare = replace(
        plain, credentials=None, kinship=None, candidate=None, reference=None, strength=None, flags=None, caption="",
        inside=(plain.audit,),
    )  # fmt: skip
    assert "folder/a.jpg" in " ".join(outline(HtmlAuditReports().render(bare)).words)
    alone = replace(
        plain, reference=None, strength=None, flags=None, kinship=Kinship(judged=False, why_not="no archive.")
    )
    assert "no archive" in " ".join(outline(HtmlAuditReports().render(alone)).words)


# --- words -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("region", "words"),
    [
        (Region(top=0, left=0, bottom=10, right=10), "upper left"),
        (Region(top=45, left=45, bottom=55, right=55), "middle"),
        (Region(top=90, left=45, bottom=99, right=55), "lower middle"),
        (Region(top=45, left=90, bottom=55, right=99), "right side"),
        (Region(top=0, left=0, bottom=99, right=99), "nearly everywhere"),
    ],
)
def test_a_place_has_a_name(region: Region, words: str):
    assert where_words(region, 100, 100) == words


def test_a_share_is_never_rounded_to_nothing_or_to_all():
    assert [percent(share) for share in (0, 1e-6, 0.5, 0.99999, 1)] == [
        "0 %", "under 0.1 %", "50.0 %", "over 99.9 %", "100 %",
    ]  # fmt: skip


def test_bytes_that_left_the_archive_cannot_have_been_changed_since():
    kinship = view().kinship
    assert kinship is not None and kinship.same_bytes
    exported = " ".join(kinship_words(kinship))
    assert "knows this very file" in exported and "changed after export" not in exported
    again = " ".join(kinship_words(replace(kinship, exported=())))
    assert "no export of these very bytes" in again and "changed after export" in again
    unsure = " ".join(kinship_words(replace(kinship, exported=(), confidence=0.6)))
    assert "That is not sure" in unsure and "That is not sure" not in again
    assert "caption that says what it is does not stand" in again and "mirrored, turned by 2.0 degrees" in again
