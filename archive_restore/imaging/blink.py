"""Who blinks and when: eyes that can be followed, at moments a seed decides, never all the way.

Must never move a mouth, and never an eye whose lids are guesses: one that is closed, few pixels wide, turned away or
behind glasses is refused, with a reason.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from archive_restore.imaging.eyelids import Lid, Patch
from archive_restore.imaging.faces import Eye, Face
from archive_restore.imaging.glasses import wears_glasses

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]

LARGEST_CLOSURE = 0.6
"""Share of the way from lid to lid up to which a blink looks alive; from 0.85 on it is a statue's (judged by eye)."""
LEAST_WIDTH = 16.0
"""Distance of an eye's corners from which its lids are found well enough, pixels."""
LEAST_OPENING = 0.17
"""Distance of the lids over that of the corners below which an eye is closed or lowered."""
LARGEST_TURN = 24.0
"""Degrees to a side up to which the lids are where the network says."""
SIDES = ("right", "left")
"""The person's."""
_WORD = "([1-9][0-9]?:)?(both|left|right|none)"
CHOICE = f"^$|^{_WORD}(,{_WORD})*$"
"""Regular expression of a choice of eyes: `both`, `left`, or by the number of a face `1:left,3:both`."""

_CLOSING, _OPENING = 3, 4  # frames at 24 a second
_FULLEST, _LEAST_FULL = 1.0, 0.85  # of the closure asked for; no two blinks are alike
_PAUSE = 3.4  # median seconds between blinks
_PAUSES = (1.4, 8.0)
_SPREAD = 0.45  # of the logarithm of a pause


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """An eye, or a face, that does not blink."""

    face: int
    """Its number, from 1."""
    side: str
    """`right` or `left`, or empty for the whole face."""
    reason: str
    """Words for whoever shows the clip."""

    def __str__(self) -> str:
        whose = f"face {self.face}" if not self.side else f"the {self.side} eye of face {self.face}"
        return f"{whose} does not blink: {self.reason}"


def numbered(faces: Sequence[Face]) -> tuple[Face, ...]:
    """Faces in the order in which they are numbered: from the left of the picture to the right."""
    return tuple(sorted(faces, key=lambda face: (face.box[0] + face.box[2], face.box[1])))


def chosen(choice: str, count: int) -> dict[int, tuple[str, ...]]:
    """Sides that are to blink by the number of the face, of `count` faces; raise ValueError for no such face.

    Words without a number are said of every face; where every word has one, the others do not blink.
    """
    sides = {"both": SIDES, "none": (), "left": ("left",), "right": ("right",)}
    found: dict[int, tuple[str, ...]] = {}
    numbered_words = []
    for word in choice.split(",") if choice else []:
        if re.fullmatch(_WORD, word) is None:
            raise ValueError(f"{word!r} names no eyes")
        number, _, side = word.rpartition(":")
        if number:
            numbered_words.append((int(number), sides[side]))
        else:
            found = dict.fromkeys(range(1, count + 1), sides[side])
    for face, which in numbered_words:
        if not 1 <= face <= count:
            raise ValueError(f"there is no face {face}: {count} were found, counted from the left")
        found[face] = which
    return {face: which for face, which in sorted(found.items()) if which}


def refused(still: Bytes, face: Face, number: int, sides: Sequence[str]) -> list[Refusal]:
    """Why a face, or some of `sides` of it, cannot blink; `still`: uint8 (h, w, 3)."""

    def whole(reason: str) -> list[Refusal]:
        return [Refusal(face=number, side="", reason=reason)]

    if abs(face.turn) > LARGEST_TURN:
        return whole(f"the head is turned by {abs(face.turn):.0f}°, and its lids are guesses from {LARGEST_TURN:g}° on")
    eyes = {"right": face.right_eye, "left": face.left_eye}
    found = [
        Refusal(face=number, side=side, reason=reason) for side in sides if (reason := _unfit(eyes[side], still.shape))
    ]
    if len(found) < len(sides) and wears_glasses(still, face):
        return whole("there seem to be glasses, and lids do not move in front of them")
    return found


def _unfit(eye: Eye, shape: tuple[int, ...]) -> str:
    if eye.width < LEAST_WIDTH:
        return f"it is {eye.width:.0f} pixels wide, less than {LEAST_WIDTH:g}"
    if eye.opening < LEAST_OPENING:
        return "it is closed or lowered"
    points = np.array([point[:2] for point in eye.contour])
    if points.min() < 0 or (points.max(axis=0) > (shape[1], shape[0])).any():
        return "it is cut off by the edge of the picture"
    return ""


def closures(frames: int, rate: float, seed: int, face: int) -> Floats:
    """How far a face's eyes are closed in each frame, 0..1, float32 (frames,): repeatable, alike for no two faces.

    Pauses are lognormal around _PAUSE, kept within _PAUSES. Eyes are open in the first frame and the last one, so that
    a loop closes with open eyes. A clip that is long enough for a blink has at least one.
    """
    rng = np.random.Generator(np.random.Philox(key=np.array([seed & (2**64 - 1), 0xB11C + face], np.uint64)))
    course = _course(rate)
    found = np.zeros(frames, np.float32)
    last = frames - 1 - len(course)  # where a blink may begin at the latest
    if last < 1:
        return found
    first = min(float(rng.uniform(0.6, 2.6)) * rate, float(rng.uniform(0.2, 0.9)) * last)
    begin = max(1, round(first))
    while begin <= last:
        found[begin : begin + len(course)] = course * np.float32(rng.uniform(_LEAST_FULL, _FULLEST))
        pause = _PAUSE * float(np.exp(_SPREAD * rng.standard_normal()))
        begin += len(course) + round(min(max(pause, _PAUSES[0]), _PAUSES[1]) * rate)
    return found


def _course(rate: float) -> Floats:
    """One blink at its fullest: fast down, slower up, at rest at its turning points; its last frame is open."""
    closing, opening = (max(2, round(n * rate / 24)) for n in (_CLOSING, _OPENING))
    down = np.arange(1, closing + 1) / closing
    up = 1 - np.arange(1, opening + 1) / opening
    share = np.concatenate([down, up])
    return np.asarray(share * share * (3 - 2 * share), np.float32)


class Blinks:
    """Lids of a still that close now and then. Not for several threads at once."""

    def __init__(
        self, still: Bytes, flags: Bytes, eyes: Sequence[tuple[int, str, Face]], closure: float, *, frames: int,
        rate: float, seed: int,
    ) -> None:  # fmt: skip
        """`still`: uint8 (h, w, 3) with its map, uint8 (h, w); `eyes`: number of the face, side and face of each."""
        self._frames, self._closure = frames, closure
        self._lids = [(number, Lid.of(still, flags, face, side)) for number, side, face in eyes]
        self._courses = {number: closures(frames, rate, seed, number) for number, _, _ in eyes}

    @property
    def begun(self) -> dict[int, tuple[int, ...]]:
        """First frame of every blink by the number of the face."""
        return {
            number: tuple(int(k) for k in np.flatnonzero((course[1:] > 0) & (course[:-1] == 0)) + 1)
            for number, course in self._courses.items()
        }

    def patches(self, frame: int) -> tuple[Patch, ...]:
        """What is laid over the still in a frame; nothing while all eyes are open."""
        found = []
        for number, lid in self._lids:
            closure = float(self._courses[number][frame % self._frames]) * self._closure
            if closure > 0:
                found.append(lid.closed(closure))
        return tuple(found)
