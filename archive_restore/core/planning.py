"""From a recipe to a plan: built-in recipes, `--set`, defaults filled in, everything checked before pixels move.

A plan holds every parameter of every step, so that running it again needs nothing but the plan.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from archive_restore.core.canonical import Malformed, from_plain
from archive_restore.errors import RecipeInvalid
from archive_restore.records.provenance import Json, Recipe, RecipeStep

DEFAULT_RECIPE = "networks"

SchemaCheck = Callable[[Mapping[str, Any], Mapping[str, Json]], str]
"""(properties, parameters) -> a sentence for the first parameter that breaks its schema, or an empty string."""

BUILT_IN: Mapping[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="gentle",
            description="Find scratches, hairs, creases and dust, fill the thin ones from their surroundings, "
            "leave large losses as found; no trained model.",
            steps=(RecipeStep(step="detect_damage"), RecipeStep(step="fill"), RecipeStep(step="losses")),
        ),
        Recipe(
            name="networks",
            description="Find scratches, hairs, creases and dust by shape, contrast and a trained model, fill them "
            "with another, which makes them SYNTHESIZED, leave large losses as found.",
            steps=(
                RecipeStep(step="detect_damage", parameters={"method": "both"}),
                RecipeStep(step="fill", parameters={"method": "network"}),
                RecipeStep(step="losses"),
            ),
        ),
        Recipe(
            name="by-hand",
            description="Fill only what a person marked with --damage-map; no detector runs.",
            steps=(RecipeStep(step="fill"), RecipeStep(step="losses")),
        ),
        Recipe(
            name="mark-only",
            description="Find damage and store the damage map; change no pixel.",
            steps=(RecipeStep(step="detect_damage"),),
        ),
        Recipe(
            name="neutral",
            description="As gentle, and give large losses a flat neutral tone that nobody takes for picture.",
            steps=(
                RecipeStep(step="detect_damage"),
                RecipeStep(step="fill"),
                RecipeStep(step="losses", parameters={"treatment": "neutral"}),
            ),
        ),
        Recipe(
            name="tratteggio",
            description="As gentle, and hatch large losses the way conservators do: quiet from afar, plain close up.",
            steps=(
                RecipeStep(step="detect_damage"),
                RecipeStep(step="fill"),
                RecipeStep(step="losses", parameters={"treatment": "tratteggio"}),
            ),
        ),
        Recipe(
            name="denoised",
            description="As gentle, then half of what a trained model calls grain and noise is taken away; every pixel "
            "it changes becomes SYNTHESIZED.",
            steps=(
                RecipeStep(step="detect_damage"),
                RecipeStep(step="fill"),
                RecipeStep(step="losses"),
                RecipeStep(step="denoise"),
            ),
        ),
        Recipe(
            name="faded",
            description="As gentle, then a recorded curve against fading and uneven illumination; "
            "every pixel it changes becomes ADJUSTED.",
            steps=(
                RecipeStep(step="detect_damage"),
                RecipeStep(step="fill"),
                RecipeStep(step="losses"),
                RecipeStep(step="tone"),
            ),
        ),
    )
}
"""Recipes that have names; shown by `recipes list`."""


@dataclass(frozen=True, kw_only=True)
class StepContract:
    """What planning must know of a step; the step itself stays unloaded."""

    name: str
    parameters_schema: Mapping[str, Any]
    """JSON Schema `properties`, each with a `default`."""


@dataclass(frozen=True, kw_only=True)
class PlannedStep:
    """A step with every parameter resolved."""

    step: str
    parameters: Mapping[str, Json]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What will run."""

    recipe: Recipe
    """As chosen, `--set` included."""
    steps: tuple[PlannedStep, ...]


def recipe_from_json(text: str, source: str) -> Recipe:
    """Read a recipe that already passed `schemas/recipe.schema.json`; raise RecipeInvalid."""
    try:
        return from_plain(Recipe, json.loads(text))
    except (ValueError, Malformed) as exc:
        raise RecipeInvalid(f"the recipe {source} cannot be read: {exc}") from exc


def parse_setting(text: str) -> tuple[str, str, Json]:
    """Read `step.parameter=value`; the value is JSON, or a plain word."""
    target, equals, raw = text.partition("=")
    step, dot, parameter = target.partition(".")
    if not (equals and dot and step and parameter):
        raise RecipeInvalid(f"{text!r} is not a setting", hint="Write --set STEP.PARAMETER=VALUE")
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        value = raw
    if not isinstance(value, str | int | float | bool):
        raise RecipeInvalid(f"the value of {target!r} must be a word, a number, true or false")
    return step, parameter, value


def with_settings(recipe: Recipe, settings: Iterable[str]) -> Recipe:
    """Apply `--set` to every step of that name; raise RecipeInvalid where the recipe has no such step."""
    steps = list(recipe.steps)
    for text in settings:
        name, parameter, value = parse_setting(text)
        places = [i for i, step in enumerate(steps) if step.step == name]
        if not places:
            known = ", ".join(dict.fromkeys(step.step for step in recipe.steps))
            raise RecipeInvalid(f"recipe {recipe.name!r} has no step {name!r}", hint=f"Its steps are {known}")
        for i in places:
            steps[i] = replace(steps[i], parameters={**steps[i].parameters, parameter: value})
    return replace(recipe, steps=tuple(steps))


def plan(recipe: Recipe, contracts: Mapping[str, StepContract], check: SchemaCheck) -> Plan:
    """Fill in defaults and check every parameter and the order; raise RecipeInvalid naming step and parameter."""
    made = fill_in(recipe, contracts, check, family="preservation")
    _check_order([step.step for step in made.steps])
    return made


def fill_in(recipe: Recipe, contracts: Mapping[str, StepContract], check: SchemaCheck, *, family: str) -> Plan:
    """Fill in defaults and check every parameter; `family` says which steps the contracts are of."""
    planned = []
    for step in recipe.steps:
        contract = contracts.get(step.step)
        if contract is None:
            known = ", ".join(sorted(contracts))
            raise RecipeInvalid(f"there is no {family} step {step.step!r}", hint=f"Known steps are {known}")
        unknown = sorted(set(step.parameters) - set(contract.parameters_schema))
        if unknown:
            known = ", ".join(sorted(contract.parameters_schema)) or "none"
            raise RecipeInvalid(f"step {step.step!r} has no parameter {unknown[0]!r}", hint=f"It has {known}")
        problem = check(contract.parameters_schema, step.parameters)
        if problem:
            raise RecipeInvalid(f"step {step.step!r}: {problem}")
        defaults = {name: prop["default"] for name, prop in contract.parameters_schema.items()}
        planned.append(PlannedStep(step=step.step, parameters={**defaults, **step.parameters}))
    return Plan(recipe=recipe, steps=tuple(planned))


def describe(plan: Plan) -> Sequence[str]:
    """One line a step, for `--dry-run`."""
    lines = [f"recipe {plan.recipe.name}: {plan.recipe.description}"]
    for number, step in enumerate(plan.steps, 1):
        values = ", ".join(f"{name}={json.dumps(value)}" for name, value in step.parameters.items())
        lines.append(f"  {number}. {step.step}({values})")
    return lines


LAST = ("denoise", "tone")
"""Steps that change the whole picture: behind all that look for damage, and in this order."""


def _check_order(names: Sequence[str]) -> None:
    # Noise taken away or a curve laid before the search would make the damage map depend on it; the record is read
    # first, and a curve comes last, since the model for noise was taught on pictures without one.
    wanted = [name for name in names if name not in LAST]
    for late in LAST:
        wanted += [name for name in names if name == late]
    for have, want in zip(names, wanted, strict=True):
        if have != want:
            where = "last" if have == "tone" else "behind the steps that look for damage"
            raise RecipeInvalid(f"step {have!r} must come {where}", hint="Move it in the recipe")
