"""Manifests of access copies: plain words, one parent, nothing claimed that the archive cannot know."""

from dataclasses import replace

import pytest

from archive_restore.core.access_claims import (
    access_manifest,
    public_description,
    shown_source_type,
)
from archive_restore.errors import CredentialsFailed
from archive_restore.records.access import AccessCopy, Caption, EncodingError
from archive_restore.records.imagery import Region
from tests.adapters import record_samples as samples

MASTER = samples.master(b"bytes")
RESTORATION = samples.derivation(MASTER)
COPY = AccessCopy(
    ref="NIPOMO-01/restoration@1",
    name="NIPOMO-01-restoration-1.jpg",
    source=replace(RESTORATION.materials[0], role="parent", ref="NIPOMO-01/restoration@1"),
    width=120,
    height=90,
    picture=Region(top=0, left=12, bottom=64, right=108),
    orientation=1,
    quality=92,
    colour="sRGB",
    left_out=("infrared",),
    pixels_sha256="a" * 64,
    encoding=EncodingError(psnr=41.5, maximum=9, mean=0.7),
    caption=Caption(text="Digitally colorized."),
    digital_source_type="compositeWithTrainedAlgorithmicMedia",
    map=RESTORATION.map,
    made=samples.NOW,
)


def manifest(**changes):
    return access_manifest(replace(COPY, **changes), public_description(MASTER.description, ""))


def actions(**changes):
    return manifest(**changes)["assertions"][0]["data"]["actions"]


def test_one_parent_and_the_map_as_input():
    parents, inputs = manifest()["ingredients"]
    assert (parents["relationship"], parents["title"]) == ("parentOf", "NIPOMO-01/restoration@1")
    assert inputs["relationship"] == "inputTo" and RESTORATION.map.sha256 in inputs["description"]
    assert len(manifest(map=None)["ingredients"]) == 1


def test_it_is_opened_converted_and_captioned_never_published():
    assert [a["action"] for a in actions()] == ["c2pa.opened", "c2pa.converted", "c2pa.addedText"]
    assert [a["action"] for a in actions(caption=Caption(text=""))] == ["c2pa.opened", "c2pa.converted"]
    assert "Left out: infrared." in actions()[1]["description"]


def test_the_rectangles_outside_the_picture_cover_just_that():
    covered = set()
    for region in actions()[2]["changes"][0]["region"]:
        shape = region["shape"]
        left, top = shape["origin"]["x"], shape["origin"]["y"]
        cells = {(x, y) for x in range(left, left + shape["width"]) for y in range(top, top + shape["height"])}
        assert not covered & cells
        covered |= cells
    whole = {(x, y) for x in range(120) for y in range(90)}
    assert whole - covered == {(x, y) for x in range(12, 108) for y in range(64)}


def test_the_reason_for_no_caption_is_in_the_action_and_the_statement():
    changes = {"caption": Caption(text="", left_out="On the wall, beside its label")}
    assert "On the wall" in actions(**changes)[1]["description"]
    statement = manifest(**changes)["assertions"][1]["data"]
    assert statement["caption"]["left_out"] == "On the wall, beside its label"


def test_the_statement_says_what_the_map_describes():
    assert "without the caption band" in manifest()["assertions"][1]["data"]["note"]
    assert "note" not in manifest(map=None)["assertions"][1]["data"]


@pytest.mark.parametrize(
    ("made", "digitized", "shown"),
    [
        ((), "print", "print"),
        ((), "", ""),
        (("", ""), "print", "print"),
        (("algorithmicallyEnhanced", ""), "print", "algorithmicallyEnhanced"),
        (("algorithmicallyEnhanced", "humanEdits"), "", "humanEdits"),
        (("composite", "compositeWithTrainedAlgorithmicMedia"), "", "compositeWithTrainedAlgorithmicMedia"),
        (("compositeWithTrainedAlgorithmicMedia", "trainedAlgorithmicMedia"), "", "trainedAlgorithmicMedia"),
        (("dataDrivenMedia",), "print", "dataDrivenMedia"),
    ],
)
def test_the_strongest_word_of_the_history_is_shown(made, digitized, shown):
    assert shown_source_type(made, digitized) == shown


def test_a_made_up_source_type_and_another_source_are_refused():
    with pytest.raises(CredentialsFailed, match="not an IPTC"):
        manifest(digital_source_type="veryReal")
    with pytest.raises(CredentialsFailed, match="its source is"):
        manifest(source=replace(COPY.source, ref="OTHER"))


def test_the_public_description_is_plain_and_has_the_caption_first():
    said = replace(MASTER.description, title="a\u202eb\nc", description="A well.", format="TIFF")
    public = public_description(said, "Digitally colorized.")
    assert (public.title, public.description, public.format) == ("ab c", "Digitally colorized. A well.", "image/jpeg")
    assert public.extra == {}, "columns that we do not know stay in the house"
