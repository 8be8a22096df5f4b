"""Texts of manifests: labels in every language, and nothing of what people wrote that a viewer could run."""

import json
from dataclasses import replace

import pytest

from archive_restore.core.iiif_texts import (
    captions,
    foreign,
    inert_json,
    joined,
    label,
    rights_uri,
    spoken,
    statement,
    story_kinds,
)
from archive_restore.core.labels import BUILT_IN
from archive_restore.records.labels import LabelKind, Labels
from archive_restore.records.stories import StoryKind
from tests.adapters import record_samples as samples
from tests.support.story_records import story

MASTER = samples.master(b"master")


def told(kind=StoryKind.ENHANCEMENT, **counts):
    return story(MASTER, kind, counts={"ORIGINAL": 1, **counts})


def test_a_label_is_in_every_language_and_those_of_the_archive():
    labels = Labels(language="es-419", texts={"colorization": {"es-419": "A color.", "nl": "Gekleurd.", "de": "Bunt."}})
    texts = captions(told(StoryKind.COLORIZATION), labels)
    built_in = BUILT_IN[LabelKind.COLORIZATION]
    assert texts == {
        "en": [built_in["en"]], "zh": [built_in["zh"]], "de": ["Bunt."], "fr": [built_in["fr"]],
        "es": [built_in["es"]], "nl": ["Gekleurd."], "none": ["A color."],
    }  # fmt: skip
    assert spoken(told(StoryKind.COLORIZATION), labels) == "A color."
    assert captions(MASTER, labels)["en"] == ["Photograph as digitized."]


def test_a_story_owns_up_to_all_that_went_before():
    assert story_kinds(told(), ()) == {StoryKind.ENHANCEMENT}
    assert story_kinds(told(), (StoryKind.COLORIZATION,)) == {StoryKind.ENHANCEMENT, StoryKind.COLORIZATION}
    # A history that is not at hand still shows in the map.
    assert story_kinds(told(COLORIZED=5), ()) == {StoryKind.ENHANCEMENT, StoryKind.COLORIZATION}
    grandchild = replace(told(), parent=told(StoryKind.COLORIZATION).ref)
    assert story_kinds(grandchild, ()) == {StoryKind.ENHANCEMENT, StoryKind.COLORIZATION}
    assert spoken(grandchild, Labels()) == BUILT_IN[LabelKind.STORY]["en"]


def test_the_statement_says_what_it_is_and_who_keeps_it():
    record = statement([(MASTER, captions(MASTER, Labels()))], "A<b>", "Sons & <i>")
    assert record["en"] == [
        "<span>Photograph as digitized. This is a copy of the digitized photograph A&lt;b&gt;. "
        "Kept by Sons &amp; &lt;i&gt;.</span>"
    ]
    tale = told()
    assert "is kept unchanged by Museum" in statement([(tale, captions(tale, Labels()))], "A", "Museum")["en"][0]
    assert "none" not in record and "Kept by" not in statement([(MASTER, captions(MASTER, Labels()))], "A", "")["en"][0]


def test_what_people_wrote_is_no_markup():
    assert foreign("plain & simple") == {"none": ["plain & simple"]}
    assert foreign("a <b> c\n") == {"none": ["<span>a &lt;b&gt; c</span>"]}
    assert foreign("\x1b\u202e ") == {}
    assert label("<b>\u202eA</b>\x07") == {"none": ["‹b›A‹/b›"]}


def test_json_stays_data_wherever_it_is_pasted():
    data = {"a": "</script><!-- & \u2028 ü"}
    written = inert_json(data)
    assert json.loads(written) == data
    assert not set(written.decode()) & set("<>&\u2028")


@pytest.mark.parametrize(
    ("rights", "uri"),
    [
        ("http://rightsstatements.org/vocab/InC/1.0/", "http://rightsstatements.org/vocab/InC/1.0/"),
        (" https://creativecommons.org/licenses/by/4.0/ ", "http://creativecommons.org/licenses/by/4.0/"),
        ("CC BY 4.0", ""),
        ("javascript:alert(1)//http://creativecommons.org/x", ""),
        ("http://creativecommons.org.evil.example/x", ""),
        ("http://creativecommons.org/a b", ""),
    ],
)
def test_rights_are_an_address_where_they_are_one(rights, uri):
    assert rights_uri(rights) == uri


def test_joined_labels_are_never_silent_in_a_language():
    assert joined([{"en": ["a"], "nl": ["b"]}, {"en": ["c"]}]) == {"en": ["a", "c"], "nl": ["b", "c"]}
