"""What faces in a still may do in a clip: blink a little, and breathe. Nothing else, and nobody speaks.

See docs/explanation/animation.md for why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from archive_restore.errors import UsageError
from archive_restore.imaging import breathe, faces
from archive_restore.imaging.blink import CHOICE, LARGEST_CLOSURE, Blinks, chosen, numbered, refused
from archive_restore.ports import Still, StoryContext
from archive_restore.records.provenance import Json

PARAMETERS: Mapping[str, Any] = {
    "blink": {
        "type": "string", "default": "", "pattern": CHOICE,
        "description": "both, left or right (the person's); 1:left,3:both for single faces, counted from the left.",
    },
    "closure": {
        "type": "number", "minimum": 0.1, "maximum": 0.8, "default": 0.5,
        "description": "Share of the way from lid to lid that a blink goes; from 0.6 on it looks made.",
    },
    "breathe": {
        "type": "boolean", "default": False, "description": "Let heads and shoulders sway by less than a pixel.",
    },
}  # fmt: skip
"""Parameters of the `animate` step that speak of people."""


def wanted(parameters: Mapping[str, Json]) -> bool:
    """Whether faces have to be found at all."""
    return bool(parameters["blink"]) or bool(parameters["breathe"])


def look(still: Still, context: StoryContext) -> tuple[faces.Face, ...]:
    """The faces of a still as they are numbered; raise ModelUnusable."""
    networks = faces.FaceNetworks(**{part: context.networks[name].predict for part, name in faces.MODELS.items()})
    return numbered(faces.find_faces(np.asarray(still.samples), networks))


def find(still: Still, context: StoryContext) -> tuple[faces.Face, ...]:
    """As `look`; raise UsageError where there is none, ModelUnusable."""
    found = look(still, context)
    if not found:
        raise UsageError(
            "no face was found that could blink or breathe",
            hint="Faces of less than about 40 pixels are not found; enlarge the picture, or leave it to regions",
        )
    context.note({"faces": tuple(tuple(round(edge) for edge in face.box) for face in found)})
    return found


def blinks(
    still: Still,
    found: Sequence[faces.Face],
    parameters: Mapping[str, Json],
    context: StoryContext,
    *,
    frames: int,
    rate: int,
) -> Blinks:
    """The blinks that were asked for; who does not blink is told of. Raise UsageError where nobody is left."""
    closure = float(str(parameters["closure"]))
    try:
        asked = chosen(str(parameters["blink"]), len(found))
    except ValueError as exc:
        raise UsageError(f"--blink: {exc}", hint="Write both, left, right, or 1:left,2:both") from exc
    eyes: list[tuple[int, str, faces.Face]] = []
    reasons = []
    for number, sides in asked.items():
        face = found[number - 1]
        refusals = refused(still.samples, face, number, sides)
        reasons += [str(one) for one in refusals]
        without = {side for one in refusals for side in ((one.side,) if one.side else sides)}
        eyes += [(number, side, face) for side in sides if side not in without]
    if not eyes:
        raise UsageError(
            "nobody can blink" + (f": {'; '.join(reasons)}" if reasons else ""),
            hint="Leave out --blink; a lid that cannot be followed would be a grimace",
        )
    made = Blinks(still.samples, still.flags, eyes, closure, frames=frames, rate=rate, seed=context.seed)
    if not any(made.begun.values()):
        raise UsageError("the clip is too short for a blink", hint="Give --seconds 1 or more")
    if closure > LARGEST_CLOSURE:
        context.say(f"Lids close by {100 * closure:g} %: beyond {100 * LARGEST_CLOSURE:g} % a blink looks made.")
    for reason in reasons:
        context.say(f"{reason[0].upper()}{reason[1:]}.")
    context.note({"blinks": {str(number): begun for number, begun in made.begun.items()}})
    return made


def breathing(
    still: Still,
    found: Sequence[faces.Face],
    context: StoryContext,
    *,
    scale: float,
    columns: int,
    frames: int,
    rate: int,
    loops: bool,
) -> breathe.Breathing:
    """Breath of everybody whose face was found; `scale`: pixels of the still per pixel of the frame, at the least."""
    amplitude = min(breathe.SHARE * columns, breathe.MOST) * scale
    context.note({"breath": round(amplitude, 4)})
    return breathe.Breathing(
        still.flags.shape, found, amplitude, frames=frames, rate=rate, seed=context.seed, loops=loops
    )
