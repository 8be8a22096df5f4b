"""Stories told by steps that a test makes up on the spot."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from archive_restore.app import open_archive
from archive_restore.core.planning import Plan, PlannedStep
from archive_restore.flows.story_render import Telling
from archive_restore.flows.tell import StoryMade, StoryOrder, tell
from archive_restore.imaging import enlarge
from archive_restore.imaging.luminance import Luminance, spread_gray
from archive_restore.ports import Archive, StoryContext, StoryPicture, StoryStep
from archive_restore.records.imagery import PixelFlag, SampleRole
from archive_restore.records.provenance import Recipe, RecipeStep
from archive_restore.records.stories import StoryKind

Act = Callable[[StoryPicture, StoryContext], StoryPicture]
KERNEL = ("--set", "enlarge.method=kernel", "--set", "complete.faces=true")
"""Words of `enhance` that spare the networks: tests of something else are quick with them."""


class MadeUp(StoryStep):
    """Does whatever the test says."""

    name = "made_up"
    version = "1"
    summary = "Does what a test says."
    flags = PixelFlag(0xFF)
    action = "c2pa.edited"
    digital_source_type = "algorithmicMedia"
    parameters_schema: dict[str, Any] = {}

    def __init__(self, act: Act) -> None:
        self._act = act

    def tell(self, picture: StoryPicture, parameters: Any, context: StoryContext) -> StoryPicture:
        return self._act(picture, context)


def tint(picture: StoryPicture, context: StoryContext) -> StoryPicture:
    """Warm colour over the middle half of gray, luminance kept; the rest stays as it is."""
    facts, space = picture.facts, picture.space
    spread, roles = spread_gray(np.array(picture.samples), facts, picture.white)
    light = np.interp(
        Luminance(facts, picture.white, space).of(picture.samples),
        np.linspace(0, 1, len(space.curve)),
        space.curve,
    )
    row = np.array(space.weights)
    warm = np.array([0.3, 0.0, -0.6])
    warm -= row @ warm  # adds no luminance
    lit = light[..., None] * (1 + warm * np.minimum(1, (1 / np.maximum(light, 1e-3) - 1) / warm.max())[..., None])
    coded = np.interp(lit, space.curve, np.linspace(0, 1, len(space.curve))) * picture.white
    height, width = picture.flags.shape
    part = (slice(height // 4, -height // 4), slice(width // 4, -width // 4))
    made, flags = context.new(spread.shape, spread.dtype), context.new((height, width), np.uint8)
    made[:], flags[:] = spread, picture.flags
    at = [roles.index(role) for role in (SampleRole.RED, SampleRole.GREEN, SampleRole.BLUE)]
    for channel, index in enumerate(at):
        made[(*part, index)] = np.rint(coded[(*part, channel)])
    flags[part] |= int(PixelFlag.COLORIZED)
    context.say("Only the middle was coloured.")
    return replace(
        picture, samples=made, flags=flags, facts=replace(facts, samples=len(roles), roles=roles, photometric="rgb")
    )


def twice(picture: StoryPicture, context: StoryContext) -> StoryPicture:
    """Twice as large, by nearest neighbours; without a word of what it did to any pixel."""
    height, width = picture.flags.shape
    size = (2 * height, 2 * width)
    large = np.asarray(picture.samples).repeat(2, axis=0).repeat(2, axis=1)
    return replace(
        picture,
        facts=replace(picture.facts, width=size[1], height=size[0]),
        samples=large,
        flags=enlarge.carry(picture.flags, size, context.new, add=int(PixelFlag.RESAMPLED)),
        doubt=enlarge.carry(picture.doubt, size, context.new),
        losses=None if picture.losses is None else enlarge.carry(picture.losses, size, context.new),
        geometry=tuple(map(tuple, np.array(picture.geometry) @ np.array(enlarge.geometry(height, width, size)))),
    )


@contextmanager
def telling(root: Path, act: Act) -> Iterator[Archive]:
    """An archive open for writing whose only story step is `act`."""
    with open_archive(root, write=True) as archive:
        yield replace(archive, story_steps=lambda: {"made_up": MadeUp(act)})


def order(kind: StoryKind, source: str, telling: Telling | None = None) -> StoryOrder:
    """An order for one story by the made-up step."""
    recipe = Recipe(name="test", description="A test.", steps=(RecipeStep(step="made_up"),))
    plan = Plan(recipe=recipe, steps=(PlannedStep(step="made_up", parameters={}),))
    return StoryOrder(source=source, kind=kind, plan=plan, telling=telling or Telling())


def told(root: Path, kind: StoryKind, source: str, act: Act, telling_: Telling | None = None) -> StoryMade:
    """Tell one story."""
    with telling(root, act) as archive:
        return tell(archive, order(kind, source, telling_))
