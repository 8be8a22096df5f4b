"""Manifests say what the records say; what is not of the record, or made up, is refused before it is signed."""

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from archive_restore.core.canonical import to_plain
from archive_restore.core.claims import master_manifest, preservation_manifest
from archive_restore.core.manifests import (
    DIGITAL_SOURCE_TYPES,
    MAX_REGIONS,
    bounding_regions,
    map_statement,
    merge_regions,
    source_type_uri,
)
from archive_restore.errors import CredentialsFailed, SeparationViolated
from archive_restore.records.imagery import Region
from archive_restore.records.objects import SourceType
from archive_restore.records.stories import StoryKind, StoryRef
from tests.adapters import record_samples as samples

SCHEMAS = Path(__file__).parents[2] / "schemas"
IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"


def actions(manifest):
    return next(a for a in manifest["assertions"] if a["label"] == "c2pa.actions.v2")["data"]["actions"]


def master():
    return samples.master(b"master")


# --- masters


def test_a_master_of_known_source_is_created_with_that_type():
    manifest = master_manifest(master())
    first = actions(manifest)[0]
    assert first["action"] == "c2pa.created"
    assert first["digitalSourceType"] == IPTC + "negativeFilm"
    assert "ingredients" not in manifest


def test_a_master_of_unknown_source_claims_no_type():
    manifest = master_manifest(samples.master(b"master", source_type=None))
    first = actions(manifest)[0]
    assert first["action"] == "c2pa.opened"
    assert "digitalSourceType" not in json.dumps(manifest)
    assert [i["label"] for i in manifest["ingredients"]] == first["parameters"]["ingredientIds"]


def test_every_source_type_a_user_may_give_is_an_iptc_word():
    for word in SourceType:
        assert source_type_uri(word.value) == IPTC + word.value


def test_descriptions_are_gathered_not_vouched_for():
    metadata = next(a for a in master_manifest(master())["assertions"] if a["label"] == "cawg.metadata")
    assert metadata["data"]["dc:title"] == "Käthe <at> the well"
    assert metadata["data"]["dc:identifier"] == "NIPOMO-01"
    assert not metadata.get("created")


def test_only_a_master_is_signed_as_one():
    with pytest.raises(SeparationViolated):
        master_manifest(samples.derivation(master()))


# --- restorations


def test_the_only_parent_is_the_master_and_the_map_is_an_input():
    manifest = preservation_manifest(samples.derivation(master()))
    relations = [(i["label"], i["relationship"]) for i in manifest["ingredients"]]
    assert relations[0] == ("master", "parentOf")
    assert {relation for _, relation in relations[1:]} == {"inputTo"}
    assert [label for label, _ in relations] == ["master", "synthesis-map", "material-0", "model-0"]


def test_one_action_a_step_after_opening_the_parent():
    derivation = samples.derivation(master())
    opened, detect, fill = actions(preservation_manifest(derivation))
    assert opened["action"] == "c2pa.opened"
    assert opened["parameters"]["ingredientIds"] == ["master"]
    assert detect["parameters"]["ingredientIds"] == ["model-0", "material-0"]
    assert "digitalSourceType" not in detect
    assert fill["digitalSourceType"] == IPTC + "algorithmicallyEnhanced"
    assert fill["parameters"]["ingredientIds"] == ["synthesis-map"]
    assert json.loads(fill["parameters"]["org.archive-restore.parameters"]) == {"radius": 3, "weights": [1, 2, 3]}


def test_a_model_no_step_names_belongs_to_every_step():
    derivation = replace(samples.derivation(master()), steps=(samples.step(), samples.step("tone", "c2pa.edited")))
    _, first, second = actions(preservation_manifest(derivation))
    assert "model-0" in first["parameters"]["ingredientIds"]
    assert "model-0" in second["parameters"]["ingredientIds"]


def test_changes_name_the_regions_in_pixels():
    region = Region(top=10, left=20, bottom=14, right=41)
    _, detect, fill = actions(preservation_manifest(samples.derivation(master()), regions=[region]))
    shape = fill["changes"][0]["region"][0]["shape"]
    assert (shape["origin"], shape["width"], shape["height"], shape["unit"]) == ({"x": 20, "y": 10}, 21, 4, "pixel")
    assert "changes" not in detect


def test_too_many_regions_are_refused():
    region = Region(top=0, left=0, bottom=1, right=1)
    with pytest.raises(CredentialsFailed, match="33 regions"):
        preservation_manifest(samples.derivation(master()), regions=[region] * (MAX_REGIONS + 1))


@pytest.mark.parametrize("word", ["madeUp", "digitalArt", "", "negativefilm", IPTC + "print"])
def test_made_up_source_types_raise(word):
    with pytest.raises(CredentialsFailed, match="not an IPTC"):
        source_type_uri(word)


def test_a_step_with_a_made_up_source_type_is_not_signed():
    derivation = replace(samples.derivation(master()), steps=(samples.step(source_type="magic"),))
    with pytest.raises(CredentialsFailed, match="magic"):
        preservation_manifest(derivation)


@pytest.mark.parametrize("action", ["c2pa.beautified", "c2pa.created", "edited", ""])
def test_a_step_with_an_action_c2pa_does_not_know_is_not_signed(action):
    derivation = replace(samples.derivation(master()), steps=(samples.step(action=action),))
    with pytest.raises(CredentialsFailed, match="does not know"):
        preservation_manifest(derivation)


def test_two_parents_are_refused():
    derivation = samples.derivation(master())
    with pytest.raises(CredentialsFailed, match="2 parents"):
        preservation_manifest(replace(derivation, materials=(*derivation.materials, derivation.materials[0])))


def test_no_parent_is_refused():
    derivation = samples.derivation(master())
    with pytest.raises(CredentialsFailed, match="0 parents"):
        preservation_manifest(replace(derivation, materials=derivation.materials[1:]))


def test_a_parent_that_is_another_master_is_refused():
    derivation = samples.derivation(master())
    other = replace(derivation.materials[0], ref="OTHER-02")
    with pytest.raises(CredentialsFailed, match="different masters"):
        preservation_manifest(replace(derivation, materials=(other,)))


def test_a_map_of_another_master_is_refused():
    derivation = samples.derivation(master())
    with pytest.raises(CredentialsFailed, match="different masters"):
        preservation_manifest(replace(derivation, map=replace(derivation.map, master_sha256="0" * 64)))


@pytest.mark.parametrize("kind", list(StoryKind))
@pytest.mark.parametrize("role", ["master", "damage map"])
def test_a_story_is_never_an_ingredient(kind, role):
    derivation = samples.derivation(master())
    story = replace(derivation.materials[1], role=role, ref=str(StoryRef(item_id="NIPOMO-01", kind=kind, version=2)))
    with pytest.raises(SeparationViolated):
        preservation_manifest(replace(derivation, materials=(derivation.materials[0], story)))


def test_nothing_but_a_preservation_derivation_is_accepted():
    class LooksLikeOne:
        """Has every attribute, and is another type."""

        def __getattr__(self, name):
            return getattr(samples.derivation(master()), name)

    with pytest.raises(SeparationViolated):
        preservation_manifest(LooksLikeOne())


# --- schemas


def validator(name):
    return jsonschema.Draft202012Validator(json.loads((SCHEMAS / f"{name}.schema.json").read_bytes()))


def test_what_is_signed_fits_the_schemas():
    derivation = samples.derivation(master())
    validator("derivation").validate(to_plain(derivation))
    validator("synthesis-map").validate(map_statement(derivation.map))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d.pop("seed"),
        lambda d: d.update(note="x"),
        lambda d: d["parent"].update(kind="restoration"),
        lambda d: d["ref"].update(kind="colorization"),
        lambda d: d["materials"].append(d["materials"][0]),
        lambda d: d["materials"][1].update(ref="NIPOMO-01/colorization@1"),
        lambda d: d["map"].update(sha256="abc"),
        lambda d: d["steps"][0].update(action="edited"),
    ],
)
def test_the_schema_refuses_what_no_derivation_says(spoil):
    plain = to_plain(samples.derivation(master()))
    spoil(plain)
    assert not validator("derivation").is_valid(plain)


def test_the_map_schema_knows_every_flag_and_no_other():
    statement = map_statement(samples.derivation(master()).map)
    assert len(statement["legend"]) == 9
    assert not validator("synthesis-map").is_valid({**statement, "counts": {"ORIGINAL": 1, "IMAGINED": 2}})
    assert not validator("synthesis-map").is_valid({**statement, "histogram": {"256": 2}})


# --- regions

masks = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=24))


@settings(max_examples=200, deadline=None)
@given(masks, st.integers(1, 8), st.integers(1, 9))
def test_rectangles_hold_every_changed_cell_and_are_few_and_disjoint(mask, cell, limit):
    height, width = mask.shape[0] * cell - (cell - 1), mask.shape[1] * cell - (cell - 1)
    regions = bounding_regions(mask, cell=cell, width=width, height=height, limit=limit)
    assert len(regions) <= limit
    drawn = np.zeros((height, width), np.int32)
    for r in regions:
        assert 0 <= r.top < r.bottom <= height
        assert 0 <= r.left < r.right <= width
        drawn[r.top : r.bottom, r.left : r.right] += 1
    pixels = np.kron(mask, np.ones((cell, cell), np.bool_))[:height, :width]
    assert drawn.max(initial=0) <= 1
    assert (drawn[pixels] == 1).all()
    assert bool(regions) == bool(mask.any())


def test_separate_blots_get_rectangles_of_their_own():
    mask = np.zeros((40, 60), np.bool_)
    blots = [(2, 3, 6, 9), (20, 40, 22, 55), (30, 5, 39, 6)]
    for t, left, b, r in blots:
        mask[t:b, left:r] = True
    regions = bounding_regions(mask, cell=10, width=600, height=400)
    assert [(r.top, r.left, r.bottom, r.right) for r in regions] == [
        (t * 10, left * 10, b * 10, r * 10) for t, left, b, r in blots
    ]


def test_splitting_pays():
    """Many specks: 32 rectangles leave out most of what one box would cover."""
    rng = np.random.default_rng(3)
    mask = np.zeros((200, 200), np.bool_)
    for y, x in rng.integers(0, 198, (20, 2)):
        mask[y : y + 2, x : x + 2] = True
    area = sum(r.width * r.height for r in bounding_regions(mask, cell=1, width=200, height=200))
    assert area < 0.05 * mask.size


def test_few_regions_stay_as_they_are_and_many_are_merged():
    few = [Region(top=i, left=0, bottom=i + 1, right=5) for i in range(0, 40, 2)]
    assert merge_regions(few, width=4000, height=3000) == tuple(few)
    many = [Region(top=t, left=le, bottom=t + 7, right=le + 3) for t in range(0, 2990, 97) for le in range(0, 3990, 89)]
    merged = merge_regions(many, width=4000, height=3000)
    assert len(merged) <= MAX_REGIONS
    drawn = np.zeros((3000, 4000), np.bool_)
    for r in merged:
        drawn[r.top : r.bottom, r.left : r.right] = True
    assert all(drawn[r.top : r.bottom, r.left : r.right].all() for r in many)


def test_the_list_of_source_types_has_no_retired_word():
    assert "minorHumanEdits" not in DIGITAL_SOURCE_TYPES
    assert "softwareImage" not in DIGITAL_SOURCE_TYPES
