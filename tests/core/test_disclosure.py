"""Disclosures say what was done, by what and whom, in five languages, and hostile words stay words."""

import csv
import io
import json
import string
from dataclasses import replace

import pytest

from archive_restore.core.disclosure import (
    SHORT,
    caption_of,
    disclose,
    disclosure_csv,
    disclosure_json,
    disclosure_text,
    encoding_text,
    inert_cell,
    share_text,
)
from archive_restore.core.disclosure_words import FLAGS, WORDS
from archive_restore.core.labels import BUILT_IN, LANGUAGES
from archive_restore.records.access import EncodingError
from archive_restore.records.imagery import PixelFlag
from archive_restore.records.labels import LabelKind, Labels
from archive_restore.records.stories import HumanDecision, StoryKind
from tests.adapters import record_samples as samples
from tests.support.story_records import SAID, story

MASTER = samples.master(b"bytes", title="Käthe at the well")
RESTORATION = samples.derivation(MASTER)
ENHANCED = story(RESTORATION, StoryKind.ENHANCEMENT, people=(), notes=())
COLOURED = story(ENHANCED)
CHAIN = (RESTORATION, ENHANCED, COLOURED)


def told(chain, language="en", master=MASTER, **more):
    return disclose(master, chain, Labels(language=language), **more)


def test_every_language_has_the_same_words_with_the_same_fields():
    assert tuple(WORDS) == tuple(FLAGS) == LANGUAGES

    def fields(text):
        return sorted({name for _, name, _, _ in string.Formatter().parse(text) if name})

    for language in LANGUAGES:
        assert WORDS[language].keys() == WORDS["en"].keys()
        assert set(FLAGS[language]) == set(PixelFlag) | {PixelFlag.ORIGINAL}
        for key, text in WORDS["en"].items():
            assert fields(WORDS[language][key]) == fields(text), (language, key)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_story_names_every_step_back_to_the_master_and_is_no_evidence(language):
    found = told(CHAIN, language, organization="Museum of Nipomo")
    assert found.caption == BUILT_IN[LabelKind.STORY][language]
    for part in (
        "NIPOMO-01/restoration@1", "NIPOMO-01/enhancement@1", "NIPOMO-01/colorization@1", "colorize 1", found.caption,
        "ridge-net 1.0 (Apache-2.0)", "Museum of Nipomo", "Käthe at the well", SAID.reason, SAID.author, "20000",
        "Mostly neutral.",
    ):  # fmt: skip
        assert part in found.long, part
    assert "99,9" in found.long or "99.9" in found.long
    assert "C2PA" in found.long


def test_what_a_picture_is_decides_what_is_said():
    english = WORDS["en"]
    assert english["about_master"].format(item="NIPOMO-01") in told(()).long
    assert "equals the digitized photograph bit for bit" in told((RESTORATION,)).long
    assert "it is no evidence" in told(CHAIN).long
    assert caption_of((RESTORATION, story(RESTORATION)), Labels()) == BUILT_IN[LabelKind.COLORIZATION]["en"]
    assert caption_of((RESTORATION,), Labels()) == "Restored photograph."


def test_a_master_promises_no_map():
    assert "C2PA" in told(()).long and " map " not in told(()).long
    assert " map " in told((RESTORATION,)).long


def test_own_label_texts_reach_the_disclosure():
    labels = Labels(texts={"colorization": {"en": "Tinted by the town archive"}})
    found = disclose(MASTER, (RESTORATION, story(RESTORATION)), labels)
    assert found.caption == "Tinted by the town archive"
    assert "Tinted by the town archive" in found.short


def test_a_language_that_is_not_built_in_is_told_in_english():
    assert told(CHAIN, "it").language == "en"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("chain", [(), CHAIN[:1], CHAIN])
def test_the_short_form_fits_and_never_loses_the_label(language, chain):
    master = samples.master(b"bytes", title="A very long title " * 40)
    found = told(chain, language, master)
    assert len(found.short) <= SHORT
    assert "NIPOMO-01" in found.short and found.title[:20] in found.short
    if len(chain) == 3:
        assert found.caption in found.short
    assert WORDS[language]["credentials_short"] in found.short


def test_without_credentials_in_the_file_none_are_promised():
    found = told(CHAIN, enclosed=False)
    assert "C2PA" not in found.long and "credentials" not in found.short.lower()


@pytest.mark.parametrize(
    ("part", "whole", "language", "text"),
    [
        (0, 100, "en", "0%"),
        (1, 10**6, "en", "<0.1%"),
        (999_999, 10**6, "en", ">99.9%"),
        (10**6, 10**6, "en", "100%"),
        (382, 1000, "de", "38,2\u00a0%"),
        (382, 1000, "zh", "38.2%"),
        (1, 10**6, "fr", "<0,1\u00a0%"),
        (0, 0, "en", "0%"),
    ],
)
def test_a_share_is_never_rounded_to_nothing_or_all(part, whole, language, text):
    assert share_text(part, whole, language) == text


def test_a_decision_that_is_a_sentence_reads_well_with_its_reason():
    said = HumanDecision(author="R. Lane", reason="the shed was brown", what="Give it colours.", when="2024")
    found = disclose(MASTER, (RESTORATION, story(RESTORATION, people=(said,))), Labels())
    assert "- Give it colours: the shed was brown (R. Lane, 2024)" in found.long
    found = disclose(MASTER, (RESTORATION, story(RESTORATION, people=(replace(said, when=""),))), Labels())
    assert "- Give it colours: the shed was brown (R. Lane)" in found.long


def test_the_encoding_error_is_told_in_words():
    error = EncodingError(psnr=41.5, maximum=9, mean=0.7)
    assert "PSNR 41.5 dB" in encoding_text(92, error) and "PSNR 41,5 dB" in encoding_text(92, error, "de")
    assert "every sample decodes" in encoding_text(100, EncodingError(psnr=None, maximum=0, mean=0.0))


HOSTILE = '=HYPERLINK("http://x")\r\n@SUM(1)\u202egpj.exe<script>alert(\'x\')</script>,"quoted"\x00\x1b[2J'


def test_hostile_words_stay_words_in_text_json_and_csv():
    master = samples.master(b"bytes", title=HOSTILE)
    said = HumanDecision(author=HOSTILE, reason=HOSTILE, what=HOSTILE, when=HOSTILE)
    found = disclose(master, (RESTORATION, story(RESTORATION, people=(said,), notes=(HOSTILE,))), Labels())
    named = [("=cmd|x.jpg", found)]
    text = disclosure_text(named)
    assert all(ch.isprintable() or ch in "\n\u00a0" for ch in text)
    assert "\n@SUM" not in text
    harmless = disclosure_text([("a.jpg", told((RESTORATION, story(RESTORATION))))])
    assert len(text.splitlines()) == len(harmless.splitlines())
    again = json.loads(disclosure_json(named))["disclosures"][0]
    assert again["title"] == found.title
    header, row = csv.reader(io.StringIO(disclosure_csv(named), newline=""))
    assert len(row) == len(header) == 7
    assert row[0] == "'=cmd|x.jpg" and row[3].startswith("'=HYPERLINK")
    assert not any(cell[:1] in "=+-@" for cell in row if cell)


@pytest.mark.parametrize("cell", ["=1", "+1", "-1", "@x", "\t=1", " =1", "\u00a0=1", "\n=1", "＝1"])
def test_what_could_begin_a_formula_does_not(cell):
    assert inert_cell(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["", "a=1", "1936", "Käthe", "(=)", "'=1"])
def test_other_cells_stay_as_they_are(cell):
    assert inert_cell(cell) == cell


def test_words_in_braces_are_not_filled_in():
    found = told((), master=samples.master(b"bytes", title="{item} {0} {organization.__class__}"))
    assert found.title == "{item} {0} {organization.__class__}" and found.title in found.long
