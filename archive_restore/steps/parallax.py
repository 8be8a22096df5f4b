"""The camera that passes by: what is near a lens passes faster than what is far.

What is near is what a person drew; without that, a soft place around the focus comes forward, and nothing is uncovered.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import cv2
import numpy as np

from archive_restore.errors import UsageError
from archive_restore.imaging import camera, motion_regions
from archive_restore.imaging.clip import reduced, whole_factor
from archive_restore.imaging.layers import Parallax
from archive_restore.imaging.mattes import Cutout, cut_out
from archive_restore.ports import MotionSource, Still, StoryContext
from archive_restore.records.imagery import Region
from archive_restore.records.provenance import Json

DEPTH = 0.25
"""How much farther the nearest passes than what is far, share of the way of that."""
_RAMP = 9.0  # over which a soft place falls off, in what it moves at most: nothing is stretched by more than a fifth
_LEAST_RAMP = 0.1  # of the width


@dataclass(frozen=True, kw_only=True)
class Layers:
    """What is near, and how it moves."""

    near: MotionSource
    cutout: Cutout | None
    """Of the reduced still; without one the still is bent around what is near."""


def passing(
    whole: camera.Window, travel: float, picture: tuple[int, int], focus: Region | None, *, count: int, loops: bool
) -> tuple[Callable[[int], camera.Window], Callable[[int], float]]:
    """Where the frame lies at frame n, and by how many pixels of the still the nearest falls behind what is far.

    `whole`: the frame of a camera at rest; `travel`: share of its width that the camera passes; in a loop it comes back
    as it went, else it comes to rest at both ends. Neither layer is seen beyond the picture.
    """
    reach = travel * whole.width / 2
    room = reach * (1 + DEPTH)
    middle = camera.scaled(whole, 1 - travel * (1 + DEPTH), picture, focus)
    left = min(max(middle.left, room), picture[1] - middle.width - room)

    def side(frame: int) -> float:
        if loops:
            return math.sin(2 * math.pi * (frame % count) / count)
        return 2 * camera.eased(frame / (count - 1)) - 1

    return (
        lambda frame: replace(middle, left=left + reach * side(frame)),
        lambda frame: DEPTH * reach * side(frame),
    )


def layers(
    still: Still, document: Json, focus: Region | None, passed: Callable[[int], float], scale: float,
    context: StoryContext, *, frames: int,
) -> Layers:  # fmt: skip
    """Part a still by the regions of a document that are near, or bend it around `focus`; raise UsageError.

    `scale`: pixels of the still a pixel of the frame.
    """
    height, width = still.flags.shape
    if isinstance(document, Mapping):
        nearness, wrong = motion_regions.near_regions(document, (height, width))
        if nearness.any():
            factor = whole_factor(scale)
            drawn = reduced(np.where(nearness > 0, np.uint8(255), np.uint8(0)), factor)
            cutout = cut_out(reduced(still.samples, factor), drawn, wrong / factor, context.seed)
            matte = cv2.resize(cutout.near[..., 3], None, fx=factor, fy=factor, interpolation=cv2.INTER_NEAREST)
            context.say("What lies behind what is near is made up; the maps say where it comes into sight.")
            near = Parallax(nearness, passed, frames=frames, matte=np.asarray(matte[:height, :width], np.uint8))
            return Layers(near=near, cutout=cutout)
    if focus is None:
        raise UsageError(
            "nothing is near", hint='Draw a region of the kind "near" for --regions, or give --focus for a soft one'
        )
    farthest = max(abs(passed(frame)) for frame in range(frames))
    nearness = motion_regions.bump(focus, (height, width), max(_RAMP * farthest, _LEAST_RAMP * width))
    return Layers(near=Parallax(nearness, passed, frames=frames), cutout=None)
