"""References are read as typed, and nothing that could escape a path or a log line becomes an identifier."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive_restore.core.refs import identifier_from_name, identifier_problem, make_ref, object_kind, parse_ref
from archive_restore.errors import ReferenceUnknown
from archive_restore.records.objects import MasterRef
from archive_restore.records.preservation import PreservationKind, PreservationRef
from archive_restore.records.stories import StoryKind, StoryRef


def test_a_master_a_newest_version_and_a_version():
    assert parse_ref("NIPOMO-01").kind is None
    newest = parse_ref("NIPOMO-01/restoration")
    assert (newest.kind, newest.version) == (PreservationKind.RESTORATION, None)
    assert parse_ref("x/colorization@5").version == 5


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a/b",
        "a@1",
        "a/restoration@0",
        "a/restoration@",
        "a/restoration@-1",
        "a/restoration@١",
        "../a",
        "-x",
        "a\nb",
    ],
)
def test_what_cannot_be_a_reference_is_refused(text):
    with pytest.raises(ReferenceUnknown):
        parse_ref(text)


def test_typed_references_render_as_typed():
    assert str(make_ref("a", PreservationKind.RESTORATION, 2)) == "a/restoration@2"
    assert isinstance(make_ref("a", PreservationKind.RESTORATION), PreservationRef)
    assert isinstance(make_ref("a", StoryKind.ANIMATION), StoryRef)
    assert isinstance(make_ref("a", None), MasterRef)
    assert object_kind("a/animation") == ("a", StoryKind.ANIMATION)


@given(st.text())
def test_any_file_name_gives_a_usable_identifier(name):
    assert identifier_problem(identifier_from_name(name)) == ""


def test_the_record_and_the_story_share_no_type():
    assert set(PreservationRef.__mro__) & set(StoryRef.__mro__) == {object}
