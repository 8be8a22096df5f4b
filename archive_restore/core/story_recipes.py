"""From what a person asks of `enhance`, `colorize` and `animate` to recipes: which steps, in which order, how set."""

from __future__ import annotations

import re

from archive_restore.errors import UsageError
from archive_restore.records.provenance import Json, Recipe, RecipeStep

_HINT = re.compile(r"\s*(-?\d+(?:\.\d+)?)\s*,\s*(-?\d+(?:\.\d+)?)\s*=\s*(\S.*?)\s*")


def enhancement(
    *,
    scale: float | None = None,
    target: str | None = None,
    quality: bool = False,
    fidelity: bool = False,
    grain: float | None = None,
    keep_losses: bool = False,
    inpainting: str = "",
    faces: bool = False,
    face_model: str = "",
) -> Recipe:
    """The recipe of `enhance`; only what differs from the steps' defaults is written into it.

    A scale of 1 leaves the size as it is: losses and faces are all that is worked on.
    """
    if scale is not None and target is not None:
        raise UsageError("an enlargement takes a scale or a target", hint="Give one of them")
    chosen: dict[str, Json] = {}
    if scale is not None:
        chosen["scale"] = scale
    if target is not None:
        chosen["target"] = target
    if quality:
        chosen["method"] = "quality"
    if fidelity:
        chosen["fidelity"] = True
    if grain is not None:
        chosen["grain"] = grain
    completed: dict[str, Json] = {"losses": False} if keep_losses else {}
    if inpainting:
        completed["model"] = inpainting
    if faces or face_model:
        completed["faces"] = True
    if scale == 1 and (said := [*chosen][1:]):
        raise UsageError(f"nothing is enlarged 1 time, and {said[0]} is about enlarging", hint="Leave one of them out")
    drawing: dict[str, Json] = {"model": face_model} if face_model else {}
    return Recipe(
        name="enhance",
        description="Complete what is lost, enlarge the picture and draw detail that agrees with it.",
        steps=(
            # Before the rest is completed: what a face lacks is known better than from any other place.
            *((RecipeStep(step="faces", parameters=drawing),) if faces or face_model else ()),
            RecipeStep(step="complete", parameters=completed),
            *(() if scale == 1 else (RecipeStep(step="enlarge", parameters=chosen),)),
        ),
    )


def colorization(*, automatic: bool = False, strength: float | None = None) -> Recipe:
    """The recipe of `colorize`; only what differs from the step's defaults is written into it."""
    chosen: dict[str, Json] = {"automatic": True} if automatic else {}
    if strength is not None:
        chosen["strength"] = strength
    return Recipe(
        name="colorize",
        description="Give the picture colours; its light and dark stay.",
        steps=(RecipeStep(step="colorize", parameters=chosen),),
    )


def animation(**chosen: Json) -> Recipe:
    """The recipe of `animate`: parameters of its step by name; those that are None keep their defaults."""
    wanted = {name: value for name, value in chosen.items() if value is not None}
    return Recipe(
        name="animate",
        description="Let the still move a little, in a loop or under a moving camera.",
        steps=(RecipeStep(step="animate", parameters=wanted),),
    )


def parse_hint(text: str) -> dict[str, Json]:
    """Read `X,Y=COLOUR`, pixels from the top left; raise UsageError."""
    found = _HINT.fullmatch(text)
    if found is None:
        raise UsageError(f"{text!r} is not a hint", hint='Write --hint "X,Y=COLOUR"')
    return {"point": (float(found[1]), float(found[2])), "colour": found[3]}
