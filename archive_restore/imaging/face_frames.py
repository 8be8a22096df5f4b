"""Cuts a face and its surroundings out of a picture as light, and makes a patch of what became of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archive_restore.errors import UsageError
from archive_restore.imaging.complete import Patch
from archive_restore.imaging.face_features import eye_distance
from archive_restore.imaging.faces import Eye, Face, Point
from archive_restore.records.imagery import Region

Samples = NDArray[Any]
Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

ROOM = 0.6
"""How far the surroundings of a face reach, in distances of its eyes."""


@dataclass(frozen=True, kw_only=True)
class Tones:
    """How the samples of a picture become light, float32 in [0, 1], and back."""

    channels: tuple[int, ...]
    """One gray, or red, green and blue."""
    white: float
    """Code value of 1.0."""
    inverted: bool
    """0 is white."""

    @classmethod
    def of(
        cls, samples: Samples, mask: Mask, picture: Sequence[int] | None, white: float | None, *, inverted: bool
    ) -> Tones:
        """Of samples (h, w, c); raise UsageError where they do not fit the mask (h, w), or are no picture."""
        if samples.ndim != 3 or samples.shape[:2] != mask.shape or mask.dtype != np.bool_:
            raise UsageError(f"a picture of {samples.shape} and a mask of {mask.shape} do not fit together")
        channels = tuple(range(samples.shape[2])) if picture is None else tuple(picture)
        if len(channels) not in (1, 3):
            raise UsageError(f"{len(channels)} channels are no picture", hint="Name one gray or three colours")
        full = white or (np.iinfo(samples.dtype).max if samples.dtype.kind == "u" else 1.0)
        return cls(channels=channels, white=float(full), inverted=inverted)

    def light(self, samples: Samples) -> Floats:
        """(h, w, c) to (h, w, 1 or 3); what is no number is black."""
        light = np.nan_to_num(np.asarray(samples[:, :, list(self.channels)], np.float32) / np.float32(self.white))
        return np.asarray(1 - light if self.inverted else light, np.float32)

    def patch(self, samples: Samples, made: Floats, done: Mask, frame: Region) -> Patch:
        """What is new, `done`, of the light `made` in a frame of the picture; samples keep their dtype."""
        box = box_of(done, frame)
        inner, new = box.within(frame), done[box.within(frame)]
        taken = np.array(samples[box.top : box.bottom, box.left : box.right])
        light = np.clip(made[inner], 0, 1)
        codes = (1 - light if self.inverted else light) * self.white
        if samples.dtype.kind == "u":
            codes = np.rint(codes)
        for position, channel in enumerate(self.channels):
            taken[:, :, channel][new] = codes[:, :, position][new].astype(samples.dtype)
        return Patch(region=box, mask=new, samples=taken)


def frame_of(mesh: NDArray[np.float64], height: int, width: int) -> Region | None:
    """A rectangle around a face, with ROOM; None where that is outside of the picture.

    `mesh`: (468, 2 or 3), pixels of the picture, (0, 0) the upper left corner of the first pixel.
    """
    room = ROOM * eye_distance(mesh[:, :2])
    low, high = mesh[:, :2].min(axis=0) - room, mesh[:, :2].max(axis=0) + room
    left, top = (max(math.floor(value), 0) for value in low)
    right, bottom = min(math.ceil(high[0]), width), min(math.ceil(high[1]), height)
    return Region(top=top, left=left, bottom=bottom, right=right) if left < right and top < bottom else None


def box_of(pixels: Mask, frame: Region) -> Region:
    """The rectangle around pixels (h, w) of a frame, in the picture; empty where there are none."""
    rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    if not len(rows):
        return Region(top=frame.top, left=frame.left, bottom=frame.top, right=frame.left)
    return Region(
        top=frame.top + int(rows[0]),
        left=frame.left + int(columns[0]),
        bottom=frame.top + int(rows[-1]) + 1,
        right=frame.left + int(columns[-1]) + 1,
    )


def moved(face: Face, across: float = 0, down: float = 0, scale: float = 1) -> Face:
    """The face in another frame: its pixels multiplied by `scale`, then shifted."""

    def points(of: Sequence[Point]) -> tuple[Point, ...]:
        return tuple((x * scale + across, y * scale + down, z * scale) for x, y, z in of)

    def eye(of: Eye) -> Eye:
        return Eye(lower=points(of.lower), upper=points(of.upper), iris=points(of.iris))

    left, top, right, bottom = face.box
    return replace(
        face,
        box=(left * scale + across, top * scale + down, right * scale + across, bottom * scale + down),
        points=tuple((x * scale + across, y * scale + down) for x, y in face.points),
        mesh=points(face.mesh),
        right_eye=eye(face.right_eye),
        left_eye=eye(face.left_eye),
    )
