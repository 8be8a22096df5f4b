"""Models from elsewhere that move a still: what they may do in a clip, and what they may not.

One that draws frames draws lips as it likes, so it gets no face: nobody speaks, see docs/explanation/animation.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from archive_restore.core.model_contracts import MOVING
from archive_restore.errors import UsageError
from archive_restore.imaging import learned_motion, model_motion
from archive_restore.imaging.eyelids import Patch
from archive_restore.imaging.faces import Face
from archive_restore.imaging.motion import Moved
from archive_restore.ports import MotionSource, Network, Still, StoryContext
from archive_restore.records.imagery import Region
from archive_restore.records.models import ModelCard, Task
from archive_restore.records.provenance import Json

PROCEDURAL = "procedural"
"""Motion from noise with a spectrum; no model."""
LEARNED = "learned"
"""Motion of regions with a spectrum that a model of ours draws (imaging.learned_motion)."""
PARAMETERS: Mapping[str, Any] = {
    "motion": {
        "type": "string", "default": PROCEDURAL, "pattern": "^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$",
        "description": "Where motion comes from: procedural; learned, for regions, from simulated motion; or the name "
        "of a model for image-to-video or motion.",
    },
}  # fmt: skip
"""Parameters of the `animate` step that speak of models."""


@dataclass(frozen=True, kw_only=True)
class FromModel:
    """What a model makes of a still: a source, or frames."""

    source: MotionSource | None = None
    over: Callable[[int], Sequence[Patch]] | None = None
    """What is laid over the still in frame n."""
    drawn: Moved | None = None
    """Where that is."""
    says: str


def wanted(parameters: Mapping[str, Json]) -> str:
    """Name of the model from elsewhere that moves the still; empty where there is none."""
    name = str(parameters.get("motion", PROCEDURAL))
    return "" if name in (PROCEDURAL, LEARNED, learned_motion.MODEL) else name


def learned(parameters: Mapping[str, Json]) -> bool:
    """Whether regions move as our own model has learnt it."""
    return parameters.get("motion", PROCEDURAL) in (LEARNED, learned_motion.MODEL)


def moved(
    still: Still,
    network: Network,
    faces: Sequence[Face],
    mask: npt.NDArray[np.uint8] | None,
    context: StoryContext,
    *,
    most: float,
    frames: int,
    rate: int,
    loops: bool,
) -> FromModel:
    """Run the model once over the whole still.

    `mask`: uint8 (H, W), where it may move; None for everywhere. `most`: greatest root-mean-square displacement, pixels
    of the still. Raise UsageError where the model is for something else, or would draw a face, or moves nothing;
    ModelUnusable.
    """
    card = network.card
    if card.task not in MOVING:
        raise UsageError(
            f"the model {card.name!r} is for {card.task} and moves nothing", hint="See: archive-restore models list"
        )
    places = [model_motion.around(face.box, *still.flags.shape) for face in faces]
    if card.task is Task.IMAGE_TO_VIDEO and any(
        mask is None or mask[place.top : place.bottom, place.left : place.right].any() for place in places
    ):
        raise UsageError(
            f"the picture has a face, and {card.name!r} draws frames of its own: it could make somebody speak",
            hint="Give --regions that leave every face out, with room around it",
        )
    seen = model_motion.fitted(card, still.samples, context.seed)
    made = network.predict(seen.planes)
    rows, columns = seen.size
    found: dict[str, Json] = {"model": card.name, "sees": (columns, rows)}
    how = (
        _drawn(card, still, made, seen, mask, found, frames=frames, rate=rate, loops=loops)
        if card.task is Task.IMAGE_TO_VIDEO
        else _flowing(
            card, still, made, seen, _held(still, mask, places), found, most=most, frames=frames, rate=rate, loops=loops
        )
    )
    if places and card.task is Task.MOTION:
        context.say("Faces are held still: no model moves them.")
    if card.task is Task.IMAGE_TO_VIDEO and columns < 0.8 * still.flags.shape[1]:
        context.say(
            f"The model saw the picture at {columns}×{rows} pixels: what it drew is softer than the rest of the frame."
        )
    context.note({"motion": found})
    return how


def _drawn(
    card: ModelCard,
    still: Still,
    made: npt.NDArray[np.float32],
    seen: model_motion.Fitted,
    mask: npt.NDArray[np.uint8] | None,
    found: dict[str, Json],
    *,
    frames: int,
    rate: int,
    loops: bool,
) -> FromModel:
    when = model_motion.turn(card, count=frames, rate=rate, loops=loops)
    drawn = model_motion.Drawn(card, still, made, seen, when, mask)
    if not drawn.changed:
        raise UsageError(
            f"the model {card.name!r} changes nothing of this picture",
            hint="Regions may keep it out, or it was made for other pictures",
        )
    found |= {"outputs": when.moments, "turns": when.turns, "drawn": round(drawn.changed, 6)}
    says = f"Lays frames that the model {card.name} drew over the still where they differ from it; all are invented."
    return FromModel(over=drawn.patches, drawn=drawn.where(card.name), says=says)


def _flowing(
    card: ModelCard,
    still: Still,
    made: npt.NDArray[np.float32],
    seen: model_motion.Fitted,
    mask: npt.NDArray[np.uint8],
    found: dict[str, Json],
    *,
    most: float,
    frames: int,
    rate: int,
    loops: bool,
) -> FromModel:
    if card.output.planes[0].meaning == "harmonic":
        made = model_motion.harmonic_fields(made)
        at = model_motion.harmonic_weights(
            len(made) // 2, float(card.output.rate or 0), frames=frames, rate=rate, ease=0 if loops else rate
        )
    else:
        when = model_motion.turn(card, count=frames, rate=rate, loops=loops)
        made, at = made[: when.moments], model_motion.flow_weights(when)
        found |= {"outputs": when.moments, "turns": when.turns}
    source = model_motion.ModelMotion(still.flags.shape, made, at, seen, mask, most, frames=frames, kind=card.name)
    if not source.given:
        raise UsageError(
            f"the model {card.name!r} moves nothing of this picture",
            hint="Regions may keep it out, or it was made for other pictures",
        )
    found |= {"given": round(source.given, 4), "kept": round(min(most, source.given), 4)}
    says = f"Warps the still as the model {card.name} says that it moves; the motion is invented."
    return FromModel(source=source, says=says)


def _held(still: Still, mask: npt.NDArray[np.uint8] | None, places: Sequence[Region]) -> npt.NDArray[np.uint8]:
    """Where a flow may move the still: nowhere that is a face's."""
    free = np.full(still.flags.shape, 255, np.uint8) if mask is None else mask.copy()
    for place in places:
        free[place.top : place.bottom, place.left : place.right] = 0
    return free
