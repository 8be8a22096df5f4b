"""The built-in step that makes a clip of a still: wind and water in regions, blinks and breath, and a camera.

Nobody speaks here, and no step may make anybody speak: see docs/explanation/animation.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from archive_restore.errors import UsageError
from archive_restore.imaging import camera, faces, motion_regions, subject
from archive_restore.imaging.clip import Clip
from archive_restore.imaging.eyelids import Patch
from archive_restore.imaging.layers import Layered
from archive_restore.imaging.learned_motion import MODEL, LearnedMotion
from archive_restore.imaging.motion import CAP, Moved, Moving, SpectralMotion, Together, where_it_moves
from archive_restore.imaging.motion_spectra import KINDS
from archive_restore.ports import ClipFrames, MotionSource, MotionStep, Still, StoryContext
from archive_restore.records.imagery import PixelFlag, Region
from archive_restore.records.provenance import Json
from archive_restore.records.stories import HumanDecision
from archive_restore.steps import forms, moving_models, parallax, people

BOXES = {"hd": (1080, 1920), "4k": (2160, 3840)}
"""Greatest rows and columns of frames that keep the picture's aspect; upright pictures turn them round."""
CROPS = {"wide": (1080, 1920), "square": (1080, 1080), "vertical": (1920, 1080)}
"""Rows and columns of frames that are cut out of the picture."""
PARALLAX = "parallax"
_LEAST_EDGE = 64
_LEARNED = f"Warps regions of the still as the model {MODEL} has learnt it from simulations; the motion is invented."
_LARGEST_AMPLITUDE = 1.0


class Animate(MotionStep):
    """Small motion that a seed decides; what does not move stays as it is, sample for sample."""

    name: ClassVar[str] = "animate"
    version: ClassVar[str] = "2"
    summary: ClassVar[str] = (
        "Lets regions of the still move a little, or a camera move over it; every motion is invented."
    )
    flags: ClassVar[PixelFlag] = (
        PixelFlag.MOVED
        | PixelFlag.RESAMPLED
        | PixelFlag.SYNTHESIZED
        | PixelFlag.HUMAN
        | PixelFlag.ADJUSTED
        | PixelFlag.FILTERED
    )
    action: ClassVar[str] = "c2pa.edited"
    digital_source_type: ClassVar[str] = "algorithmicallyEnhanced"
    parameters_schema: ClassVar[Mapping[str, Any]] = {
        "seconds": {
            "type": "number", "minimum": 1, "maximum": 60, "default": 12, "description": "Length of the clip.",
        },
        "rate": {"enum": [24, 25, 30], "default": 24, "description": "Frames a second."},
        "size": {
            "enum": [*BOXES, *CROPS, "source"], "default": "hd",
            "description": "hd and 4k keep the picture's aspect; wide, square and vertical cut it; source keeps all.",
        },
        "amplitude": {
            "type": "number", "minimum": 0, "maximum": _LARGEST_AMPLITUDE, "default": 100 * CAP,
            "description": "Root-mean-square displacement of what moves, per cent of the frame's width.",
        },
        **forms.PARAMETERS,
        "ending": {
            "enum": ["loop", "ease"], "default": "loop",
            "description": "loop: the last frame leads into the first; ease: motion begins and ends at rest.",
        },
        "keep_lossless": {
            "type": "boolean", "default": False, "description": "Store the frames as they were before encoding, too.",
        },
        "camera": {
            "enum": ["rest", "closer", "back", "left", "right", PARALLAX], "default": "rest",
            "description": "closer and back move towards the focus and away; left and right pass over it; "
            "under parallax what is near passes faster than what is far.",
        },
        "travel": {
            "type": "number", "minimum": 0, "maximum": 0.5, "default": 0.15,
            "description": "Share of the frame's width that the camera moves or closes in.",
        },
        "focus": {
            "type": "string", "default": "", "pattern": "^$|^-?[0-9]+,-?[0-9]+,[0-9]+,[0-9]+$",
            "description": "left,top,right,bottom of what must stay in the frame, pixels; empty for the middle, "
            "or for what stands out, in frames that are cut out of the picture.",
        },
        **moving_models.PARAMETERS,
        **people.PARAMETERS,
    }  # fmt: skip

    def models(self, parameters: Mapping[str, Json]) -> tuple[str, ...]:
        """The one that moves the still, and those that find faces, where faces are to move or to be left alone."""
        moving = moving_models.wanted(parameters) or (MODEL if moving_models.learned(parameters) else "")
        elsewhere = moving_models.wanted(parameters)
        looking = tuple(faces.MODELS.values()) if elsewhere or people.wanted(parameters) else ()
        return (*((moving,) if moving else ()), *looking)

    def source_type(self, parameters: Mapping[str, Json]) -> str:
        """See MotionStep."""
        if parameters.get("form") == forms.THEN_NOW:
            return "composite"
        trained = moving_models.wanted(parameters) or moving_models.learned(parameters)
        return "compositeWithTrainedAlgorithmicMedia" if trained else self.digital_source_type

    def clip(self, still: Still, parameters: Mapping[str, Json], context: StoryContext) -> ClipFrames:
        """See MotionStep."""
        rate, seconds = int(_number(parameters["rate"])), _number(parameters["seconds"])
        count, (height, width) = max(2, round(rate * seconds)), still.flags.shape
        size = frame_size(str(parameters["size"]), height, width)
        focus = _region(str(parameters["focus"]), height, width)
        moves, passes = str(parameters["camera"]) != "rest", parameters["camera"] == PARALLAX
        loops = parameters["ending"] == "loop" and (passes or not moves)
        framed = focus
        if framed is None and parameters["size"] in CROPS:
            framed = subject.kept_by(still.samples, size[1] / size[0])
            if framed != Region(top=0, left=0, bottom=height, right=width):
                context.say(
                    "Where the picture is cut was guessed from what stands out in it; --focus says what to keep."
                )
        path = _path(parameters, (height, width), size, framed)
        if passes:
            path, passed = parallax.passing(
                path(0), _number(parameters["travel"]), (height, width), focus, count=count, loops=loops
            )
        document = context.documents.get("motion")
        moving, learned, says = moving_models.wanted(parameters), moving_models.learned(parameters), ""
        form = str(parameters.get("form", forms.MOTION))
        if form != forms.MOTION:
            camera_too = moves and (form in forms.RESTING or passes)
            if document is not None or people.wanted(parameters) or moving or learned or camera_too:
                words = ", --camera" if camera_too else ""
                raise UsageError(
                    f"in the form {form} pictures are shown at rest",
                    hint=f"Leave out --regions, --motion{words}, --blink and --breathe",
                )
            return forms.clip(still, parameters, context, size=size, path=path, count=count, rate=rate, loops=loops)
        kinds: set[str] = set()
        if document is not None:
            assert isinstance(document, Mapping)
            kinds = _decided(document, context)
            if motion_regions.NEAR in kinds and not passes:
                raise UsageError("regions that are near go with --camera parallax", hint="Strike them, or choose it")
        moved_regions = kinds - {motion_regions.NEAR}
        sources: list[MotionSource] = []
        over: list[Callable[[int], Sequence[Patch]]] = []
        told: list[Moved] = []
        if moving:
            mask = None
            if moved_regions:
                assert isinstance(document, Mapping)
                mask = _mask(document, (height, width))
            made = moving_models.moved(
                still, context.networks[moving], people.look(still, context), mask, context,
                most=_number(parameters["amplitude"]) / 100 * path(0).width, frames=count, rate=rate, loops=loops,
            )  # fmt: skip
            says = made.says
            sources += [made.source] if made.source is not None else []
            over += [made.over] if made.over is not None else []
            told += [made.drawn] if made.drawn is not None else []
        elif moved_regions:
            assert isinstance(document, Mapping)
            sources.append(self._motion(document, parameters, still, path(0).width, count, rate, loops, context))
            says = _LEARNED if learned else ""
        elif learned:
            raise UsageError(
                "the learned source moves regions, and none were given",
                hint="Draw them for --regions, see --regions auto",
            )
        if people.wanted(parameters):
            found = people.find(still, context)
            if parameters["blink"]:
                over.append(people.blinks(still, found, parameters, context, frames=count, rate=rate).patches)
            if parameters["breathe"]:
                nearest = min(path(0).width, path(count - 1).width) / size[1]
                sources.append(
                    people.breathing(
                        still, found, context, scale=nearest, columns=size[1], frames=count, rate=rate, loops=loops
                    )
                )
        elif document is None and not moves and not moving:
            raise UsageError(
                "nothing would move",
                hint="Draw regions for --regions, see --regions auto; or choose a --camera, --blink or --breathe",
            )
        context.note({
            "frames": count, "rows": size[0], "columns": size[1], "loops": loops,
            "scale": round(path(0).width / size[1], 6),
        })  # fmt: skip
        laid, layers = _all_of(over) if over else None, None
        if passes:
            layers = parallax.layers(still, document, focus, passed, path(0).width / size[1], context, frames=count)
            if layers.cutout is None:
                sources.append(layers.near)
        source = Together(sources) if len(sources) > 1 else sources[0] if sources else None
        clip: Clip | Layered
        if layers is None or layers.cutout is None:
            told += where_it_moves(source, (height, width)) if source is not None else ()
            clip = Clip(still.samples, still.flags, size, source, path, count=count, rate=rate, loops=loops, over=laid)
        else:
            told += where_it_moves(Together([*sources, layers.near]), (height, width))
            clip = Layered(
                still, layers.cutout, size, layers.near, source, path, count=count, rate=rate, loops=loops, over=laid
            )
        _note_moves(told, context)
        clip.says = says or clip.says
        return clip

    def _motion(
        self,
        document: Mapping[str, Any],
        parameters: Mapping[str, Json],
        still: Still,
        seen: float,
        count: int,
        rate: int,
        loops: bool,
        context: StoryContext,
    ) -> SpectralMotion:
        amplitude = _number(parameters["amplitude"]) / 100
        size = still.flags.shape
        regions = motion_regions.masks(document, size, amplitude * seen)
        _inside(regions)
        if amplitude > CAP:
            context.say(f"Motion of {100 * amplitude:g} % of the width: from 0.1 % on it is seen to be made up.")
        if moving_models.learned(parameters):
            others = sorted({region.spectrum.name for region in regions} - set(KINDS))
            if others:
                context.say(f"Not learnt, and moved by the procedural source: {', '.join(others)}.")
            return LearnedMotion(
                still.samples, context.networks[MODEL].predict, regions, frames=count, rate=rate, seed=context.seed,
                loops=loops,
            )  # fmt: skip
        return SpectralMotion(size, regions, frames=count, rate=rate, seed=context.seed, loops=loops)


def _mask(document: Mapping[str, Any], size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Where a model may move the still, by the regions of a person: uint8 (rows, columns)."""
    regions = motion_regions.masks(document, size, 1.0)
    _inside(regions)
    return np.asarray(np.maximum.reduce([region.mask for region in regions]), np.uint8)


def _inside(regions: Sequence[Moving]) -> None:
    if not any(region.mask.any() for region in regions):
        raise UsageError("no region lies inside the picture", hint="Coordinates are pixels of what is animated")


def _all_of(over: Sequence[Callable[[int], Sequence[Patch]]]) -> Callable[[int], Sequence[Patch]]:
    return lambda frame: [patch for laid in over for patch in laid(frame)]


def _decided(document: Mapping[str, Any], context: StoryContext) -> set[str]:
    """Keep who drew or approved what; return the kinds of the regions."""
    for region in document["regions"]:
        if region.get("author") or region.get("reason"):
            context.decided(
                HumanDecision(
                    author=str(region.get("author", "")), reason=str(region.get("reason", "")),
                    what=f"{region['kind']} region{' ' + repr(region['name']) if region.get('name') else ''}",
                    when=str(region.get("when", "")),
                )
            )  # fmt: skip
    return {str(region["kind"]) for region in document["regions"]}


def _note_moves(moved: Sequence[Moved], context: StoryContext) -> None:
    """Keep what moves where, pixels of the still: left, top, right, bottom."""
    if moved:
        context.note({
            "moves": {
                one.kind: {
                    "share": round(one.share, 4), "box": (one.box.left, one.box.top, one.box.right, one.box.bottom),
                }
                for one in moved
            }
        })  # fmt: skip


def frame_size(word: str, height: int, width: int) -> tuple[int, int]:
    """Rows and columns of the frames, both even; raise UsageError where the picture is too small or too long."""
    if word in CROPS:
        rows, columns = CROPS[word]
    elif word == "source":
        rows, columns = height, width
    else:
        box = BOXES[word] if width >= height else BOXES[word][::-1]
        scale = min(box[0] / height, box[1] / width)
        rows, columns = round(height * scale), round(width * scale)
    rows, columns = rows // 2 * 2, columns // 2 * 2
    if min(rows, columns) < _LEAST_EDGE:
        raise UsageError(f"frames of {columns}×{rows} pixels are too small to be seen", hint="Choose another --size")
    if max(rows, columns) > 8192:
        raise UsageError(f"frames of {columns}×{rows} pixels are larger than players take", hint="Choose --size 4k")
    return rows, columns


def _path(
    parameters: Mapping[str, Json], picture: tuple[int, int], size: tuple[int, int], focus: Region | None
) -> Callable[[int], camera.Window]:
    """Where the frame lies in the picture at frame n."""
    count = max(2, round(_number(parameters["rate"]) * _number(parameters["seconds"])))
    if parameters["size"] == "source":  # at most one row and column fewer, and nothing interpolated
        whole = camera.Window(left=0, top=0, width=size[1], height=size[0])
    else:
        whole = camera.fitted(picture, size[1] / size[0], focus)
    word, travel = str(parameters["camera"]), _number(parameters["travel"])
    if word in ("rest", PARALLAX):
        return lambda frame: whole
    near = camera.scaled(whole, 1 - travel, picture, focus)
    if word in ("closer", "back"):
        start, end = (whole, near) if word == "closer" else (near, whole)
    else:
        room = travel * whole.width / 2
        left, right = (camera.shifted(near, side * room, picture) for side in (-1, 1))
        start, end = (right, left) if word == "left" else (left, right)
    return lambda frame: camera.travelled(start, end, frame / (count - 1))


def _region(text: str, height: int, width: int) -> Region | None:
    if not text:
        return None
    left, top, right, bottom = (int(part) for part in text.split(","))
    left, right = max(left, 0), min(right, width)
    top, bottom = max(top, 0), min(bottom, height)
    if left >= right or top >= bottom:
        raise UsageError("the focus lies outside the picture", hint=f"The picture has {width}×{height} pixels")
    return Region(top=top, left=left, bottom=bottom, right=right)


def _number(value: Json) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UsageError(f"{value!r} is no number")
    return float(np.float64(value))
