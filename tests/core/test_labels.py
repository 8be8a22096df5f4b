"""Labels in words: every kind in every language, own texts above built-in ones, hostile text made harmless."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive_restore.core.labels import (
    BUILT_IN,
    LANGUAGES,
    MAX_TEXT,
    contrast,
    label_kind,
    label_text,
    plain_text,
    style_problem,
)
from archive_restore.records.labels import CaptionStyle, LabelKind, Labels
from archive_restore.records.stories import StoryKind


def test_every_label_is_there_in_every_language_and_short_enough():
    assert set(BUILT_IN) == set(LabelKind)
    for texts in BUILT_IN.values():
        assert tuple(texts) == LANGUAGES
        assert all(0 < len(text) <= MAX_TEXT and plain_text(text) == text for text in texts.values())
        assert len(set(texts.values())) == len(LANGUAGES)


def test_one_kind_has_its_own_label_and_several_share_one():
    assert label_kind([StoryKind.COLORIZATION]) is LabelKind.COLORIZATION
    assert label_kind([StoryKind.COLORIZATION, StoryKind.ENHANCEMENT]) is LabelKind.STORY


def test_own_texts_stand_above_built_in_ones():
    labels = Labels(language="zh", texts={"colorization": {"zh": "后期上色"}})
    assert label_text(LabelKind.COLORIZATION, labels) == "后期上色"
    assert label_text(LabelKind.ENHANCEMENT, labels) == BUILT_IN[LabelKind.ENHANCEMENT]["zh"]


@pytest.mark.parametrize(("language", "served"), [("zh-Hans", "zh"), ("de-AT", "de"), ("it", "en"), ("EN", "en")])
def test_a_language_tag_finds_its_language(language, served):
    assert label_text(LabelKind.ENHANCEMENT, Labels(language=language)) == BUILT_IN[LabelKind.ENHANCEMENT][served]


@pytest.mark.parametrize(
    ("hostile", "harmless"),
    [
        ("a\u202egpj.exe", "agpj.exe"),
        ("one\r\ntwo\tthree\u2028four", "one two three four"),
        ("a\x1b[31mb\x00\x07", "a[31mb"),
        ("\ufeffz\u200be\u200dr\u00ado", "zero"),
        ("H\u0301\u0302\u0303\u0304\u0305\u0306i", "H\u0301\u0302i"),
        ("  much   space  ", "much space"),
        ("couleurs\u202f: non", "couleurs\u00a0: non"),
        ("\ud800x", "x"),
    ],
)
def test_hostile_text_becomes_one_plain_line(hostile, harmless):
    assert plain_text(hostile) == harmless


@given(st.text())
def test_plain_text_is_one_printable_line_and_stays_what_it_is(text):
    plain = plain_text(text, 50)
    assert len(plain) <= 50
    assert all(ch.isprintable() or ch == "\u00a0" for ch in plain)
    assert plain_text(plain) == plain


@pytest.mark.parametrize(
    ("style", "problem"),
    [
        (CaptionStyle(), ""),
        (CaptionStyle(ground="#000000", ink="#ffffff"), ""),
        (CaptionStyle(ground="white"), "ground must be a colour"),
        (CaptionStyle(ink="#1a1a1a; x"), "ink must be a colour"),
        (CaptionStyle(ink="#dddddd"), "cannot be read"),
        (CaptionStyle(size=9.0), "size must be"),
        (CaptionStyle(size=float("nan")), "size must be"),
    ],
)
def test_a_style_must_be_legible(style, problem):
    assert problem in style_problem(style) and bool(problem) == bool(style_problem(style))


def test_contrast_is_that_of_the_guideline():
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
