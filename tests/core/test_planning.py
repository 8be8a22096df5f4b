"""Recipes become plans in which nothing is left open, or one line says why not."""

import pytest

from archive_restore.adapters.shipped import check_document, check_parameters
from archive_restore.core.canonical import to_plain
from archive_restore.core.planning import BUILT_IN, StepContract, plan, with_settings
from archive_restore.errors import RecipeInvalid
from archive_restore.plugins import preservation_steps
from archive_restore.records.provenance import Recipe, RecipeStep

CONTRACTS = {
    name: StepContract(name=name, parameters_schema=step.parameters_schema)
    for name, step in preservation_steps().items()
}


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_built_in_recipe_fits_its_schema_and_its_steps(name):
    assert check_document("recipe", to_plain(BUILT_IN[name])) == ""
    made = plan(BUILT_IN[name], CONTRACTS, check_parameters)
    for step in made.steps:
        assert set(step.parameters) == set(CONTRACTS[step.step].parameters_schema)


def test_a_setting_reaches_its_step():
    made = plan(with_settings(BUILT_IN["gentle"], ["fill.max_width=5"]), CONTRACTS, check_parameters)
    assert {s.step: s.parameters for s in made.steps}["fill"]["max_width"] == 5


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("fill", "is not a setting"),
        ("colour.max=1", "has no step 'colour'"),
        ("fill.colour=1", "has no parameter 'colour'"),
        ("fill.max_width=wide", "max_width"),
        ("fill.max_width=99", "max_width"),
        ("losses.treatment=invent", "treatment"),
        ("fill.max_width=[1]", "must be a word"),
    ],
)
def test_what_does_not_fit_is_named_in_one_line(setting, words):
    with pytest.raises(RecipeInvalid) as caught:
        plan(with_settings(BUILT_IN["gentle"], [setting]), CONTRACTS, check_parameters)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_curve_comes_last():
    recipe = Recipe(name="x", description="x", steps=(RecipeStep(step="tone"), RecipeStep(step="detect_damage")))
    with pytest.raises(RecipeInvalid, match="must come last"):
        plan(recipe, CONTRACTS, check_parameters)


@pytest.mark.parametrize(
    ("order", "words"),
    [
        (["denoise", "fill"], "'denoise' must come behind"),
        (["fill", "tone", "denoise"], "'tone' must come last"),
        (["fill", "denoise", "tone"], ""),
    ],
)
def test_noise_goes_after_the_search_and_before_the_curve(order, words):
    recipe = Recipe(name="x", description="x", steps=tuple(RecipeStep(step=name) for name in order))
    if not words:
        assert [step.step for step in plan(recipe, CONTRACTS, check_parameters).steps] == order
        return
    with pytest.raises(RecipeInvalid, match=words):
        plan(recipe, CONTRACTS, check_parameters)


def test_a_story_step_is_no_step_here():
    recipe = Recipe(name="x", description="x", steps=(RecipeStep(step="colorize"),))
    with pytest.raises(RecipeInvalid, match="no preservation step 'colorize'"):
        plan(recipe, CONTRACTS, check_parameters)
