"""Manifests of stories say what the records say, and nothing that is no story gets one."""

from dataclasses import replace

import pytest

from archive_restore.core.canonical import from_plain, to_plain
from archive_restore.core.story_claims import story_manifest
from archive_restore.errors import CredentialsFailed, SeparationViolated
from archive_restore.records.provenance import StepRun
from archive_restore.records.stories import StoryDerivation, StoryKind, StoryRef
from tests.adapters import record_samples as samples


def story(**changes: object) -> StoryDerivation:
    made = samples.derivation(samples.master(b"master"))
    parent = replace(made.materials[0], role="parent", ref=str(made.ref))
    values = {
        name: getattr(made, name)
        for name in ("derivation_id", "recipe", "steps", "seed", "products", "map", "environment", "started", "ended")
    }
    values |= {
        "ref": StoryRef(item_id="NIPOMO-01", kind=StoryKind.ENHANCEMENT, version=1), "parent": made.ref,
        "materials": (parent, *made.materials[1:]), "samples": 1, "alternatives": (), "people": (), "notes": (),
        "events": made.events,
    }  # fmt: skip
    return StoryDerivation(**{**values, **changes})


def actions(manifest):
    return next(a for a in manifest["assertions"] if a["label"] == "c2pa.actions.v2")["data"]["actions"]


def test_one_parent_the_map_and_models_are_ingredients():
    manifest = story_manifest(story())
    assert [(i["label"], i["relationship"], i["title"]) for i in manifest["ingredients"]] == [
        ("parent", "parentOf", "NIPOMO-01/restoration@1"),
        ("synthesis-map", "inputTo", "synthesis map"),
        ("material-0", "inputTo", "damage map: marks.png"),
        ("model-0", "inputTo", "ridge-net 1.0"),
    ]
    first, *rest = actions(manifest)
    assert first["action"] == "c2pa.opened"
    assert first["parameters"]["ingredientIds"] == ["parent"]
    assert len(rest) == 2


def test_a_story_may_resize_and_a_word_that_c2pa_does_not_know_is_refused():
    story_manifest(story(steps=(samples.step("enlarge", "c2pa.resized"),)))
    with pytest.raises(CredentialsFailed, match="does not know"):
        story_manifest(story(steps=(samples.step("enlarge", "c2pa.inflated"),)))
    with pytest.raises(CredentialsFailed, match="digital source type"):
        story_manifest(story(steps=(samples.step("enlarge", "c2pa.resized", "madeUp"),)))


def test_nothing_but_a_story_with_one_parent_gets_such_a_manifest():
    restoration = samples.derivation(samples.master(b"master"))
    with pytest.raises(SeparationViolated):
        story_manifest(restoration)
    honest = story()
    for materials in ((), honest.materials[:1] * 2, (replace(honest.materials[0], ref="NIPOMO-02"),)):
        with pytest.raises(CredentialsFailed):
            story_manifest(replace(honest, materials=materials))


def test_places_with_a_name_keep_it_and_follow_the_enlargement():
    found = {
        "places": ({"name": "face 1, left eye", "left": 4, "top": 6, "width": 10, "height": 5, "pixels": 40},),
        "frame": (samples.WIDTH // 2, samples.HEIGHT // 2),
    }
    run = replace(samples.step("faces"), survey=found)
    (change,) = actions(story_manifest(story(steps=(run,))))[1]["changes"]
    assert (change["name"], change["identifier"]) == ("face 1, left eye", "faces-0")
    shape = change["region"][0]["shape"]
    assert (shape["origin"], shape["width"], shape["height"]) == ({"x": 8, "y": 12}, 20, 10)
    again = from_plain(StepRun, to_plain(run))
    assert actions(story_manifest(story(steps=(again,))))[1]["changes"] == [change]


def test_a_story_reads_back_as_what_it_was():
    made = story()
    assert from_plain(StoryDerivation, to_plain(made)) == made
    for parent in (samples.master(b"m").ref, StoryRef(item_id="NIPOMO-01", kind=StoryKind.COLORIZATION, version=3)):
        assert from_plain(StoryDerivation, to_plain(replace(made, parent=parent))).parent == parent
