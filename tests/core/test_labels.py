"""Labels in words: every kind in every language, own texts above built-in ones, hostile text made harmless."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive_restore.adapters.workspace import Config, write_config
from archive_restore.core.labels import (
    BUILT_IN,
    LANGUAGES,
    MAX_TEXT,
    contrast,
    label_kind,
    label_text,
    labels_from,
    plain_text,
    style_problem,
)
from archive_restore.errors import ConfigurationInvalid
from archive_restore.records.labels import CaptionStyle, Corner, LabelKind, Labels, Position
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
    assert label_kind([StoryKind.COLORIZATION, StoryKind.ANIMATION]) is LabelKind.ANIMATED_STORY


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


# --- archive.toml ------------------------------------------------------------------------------------


def test_without_a_table_labels_are_english_below_the_picture():
    labels = labels_from(None)
    assert labels.language == "en" and labels.style.position is Position.BELOW and labels.texts == {}


def test_everything_of_the_table_is_taken():
    labels = labels_from(
        {
            "language": "it", "position": "above", "corner": "upper-right",
            "ground": "#000000", "ink": "#ffffff", "size": 2, "font": "/f.ttf",
            "enhancement": {"it": "Immagine migliorata"}, "colorization": {"it": "Immagine\n colorata"},
            "story": {"it": "Tutto"},
        }
    )  # fmt: skip
    assert labels.style == CaptionStyle(
        ground="#000000", ink="#ffffff", position=Position.ABOVE, corner=Corner.UPPER_RIGHT, size=2.0, font="/f.ttf"
    )
    assert label_text(LabelKind.COLORIZATION, labels) == "Immagine colorata"


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("text", "must be a table"),
        ({"colour": "#ffffff"}, r"labels\.colour is not a setting"),
        ({"language": 3}, r"labels\.language must be text"),
        ({"language": "english!"}, "not a language tag"),
        ({"language": "it"}, r"labels\.enhancement\.it is missing"),
        ({"language": "it", "enhancement": {"it": "a"}, "colorization": {"it": "b"}}, r"labels\.story\.it is missing"),
        ({"position": "over"}, "below or above"),
        ({"corner": "middle"}, "lower-left, lower-right, upper-left, upper-right"),
        ({"size": "large"}, "size must be a number"),
        ({"size": True}, "size must be a number"),
        ({"size": 100}, "size must be a number"),
        ({"ground": "white"}, "ground must be a colour"),
        ({"ground": "#ffffff", "ink": "#fefefe"}, "cannot be read"),
        ({"colorization": "text"}, "table of texts"),
        ({"colorization": {"en": ""}}, r"labels\.colorization\.en must be a text"),
        ({"colorization": {"en": "\u202e"}}, r"labels\.colorization\.en must be a text"),
        ({"colorization": {"en": "x" * 301}}, r"labels\.colorization\.en must be a text"),
        ({"colorization": {"en": 5}}, r"labels\.colorization\.en must be a text"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(table, words):
    with pytest.raises(ConfigurationInvalid, match=words):
        labels_from(table)


def test_a_fresh_archive_has_the_default_labels(tmp_path):
    write_config(tmp_path, name="a", identifier="b", organization="c")
    assert Config(tmp_path).settings().labels == Labels()
    with (tmp_path / "archive.toml").open("a") as file:
        file.write('\n[labels.colorization]\nen = "Coloured by us"\n')
    assert label_text(LabelKind.COLORIZATION, Config(tmp_path).settings().labels) == "Coloured by us"
