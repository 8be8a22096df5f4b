"""Compares a derivative with its master pixel by pixel, band by band, and believes no map (promise P3)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from archive_restore.core.synthesis_map import (
    COLOUR_FLAGS,
    LUMINANCE_TOLERANCE,
    ClaimBreach,
    PixelDigest,
    breach,
    check_claims,
    check_story_claims,
    class_counts,
    histogram,
    same_bits,
)
from archive_restore.imaging.engine import bands
from archive_restore.imaging.lanes import in_order
from archive_restore.imaging.luminance import Luminance, spread_gray
from archive_restore.ports import ColourSpace, PictureSource
from archive_restore.records.imagery import PixelFlag, Region, SampleRole

ROWS = 256


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What the pixels really say."""

    breaches: tuple[ClaimBreach, ...]
    """Places where the map's claim does not hold, in coordinates of the frame; one a rule, pixels summed."""
    master_sha256: str
    """Digest of the master's decoded samples."""
    derivative_sha256: str
    """Digest of the derivative's decoded samples."""
    map_sha256: str
    """Digest of the decoded map."""
    histogram: tuple[int, ...]
    """Pixels a map value, 256 numbers."""

    @property
    def counts(self) -> dict[str, int]:
        """Pixels a class."""
        return class_counts(np.asarray(self.histogram, np.int64))


def compare(
    master: PictureSource, derivative: PictureSource, synthesis_map: PictureSource, allowed: PixelFlag
) -> Comparison:
    """Read all three once, in bands.

    The frames must agree: the caller checks sizes first. Raises PictureUnreadable from the sources.
    """
    facts = derivative.facts
    of_master, of_derivative, of_map = PixelDigest(), PixelDigest(), PixelDigest()
    total = np.zeros(256, np.int64)
    breaches: dict[str, ClaimBreach] = {}
    for top, bottom in bands(facts.height, ROWS):
        region = Region(top=top, left=0, bottom=bottom, right=facts.width)
        before, after = master.read(region), derivative.read(region)
        flags = synthesis_map.read(region)[:, :, 0].astype(np.uint8, copy=False)
        of_master.update(before)
        of_derivative.update(after)
        of_map.update(flags)
        total += histogram(flags)
        for found in check_claims(flags, after, before, allowed):
            _add(breaches, found, top)
    return Comparison(
        breaches=tuple(breaches.values()),
        master_sha256=of_master.hexdigest(),
        derivative_sha256=of_derivative.hexdigest(),
        map_sha256=of_map.hexdigest(),
        histogram=tuple(int(n) for n in total),
    )


def _add(breaches: dict[str, ClaimBreach], found: ClaimBreach, top: int) -> None:
    known = breaches.get(found.rule)
    breaches[found.rule] = (
        replace(found, y=found.y + top) if known is None else replace(known, pixels=known.pixels + found.pixels)
    )


# --- stories -----------------------------------------------------------------------------------------

STORY_FLAGS = PixelFlag(0xFF) & ~PixelFlag.MOVED
"""Flags that a story in stills may carry."""


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One of the pictures that a story is held against."""

    source: PictureSource
    space: ColourSpace
    flags: PictureSource | None = None
    """Its synthesis map; None for a master."""


@dataclass(frozen=True, kw_only=True)
class StoryComparison:
    """What the pixels of a story really say; as Comparison."""

    breaches: tuple[ClaimBreach, ...]
    story_sha256: str
    map_sha256: str
    parent_sha256: str
    master_sha256: str
    histogram: tuple[int, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Pixels a class."""
        return class_counts(np.asarray(self.histogram, np.int64))


def compare_story(
    story: Compared, parent: Compared, master: Compared, *, white: float, colours: bool, threads: int = 1
) -> StoryComparison:
    """Hold a story, its flags included, against what it was made from and against the master; each is read once.

    `parent` may be `master` itself. `white` is the code value of 1.0; `colours` says that it is a colorization, which
    changes nothing but colour: what it does not flag equals the parent, and what it flags keeps the parent's luminance.
    In the frame of the master, pixels without a flag equal the master's and those with colour flags alone keep its
    luminance. In another frame no pixel may be called original. No flag of the parent may be lost. Raises
    PictureUnreadable from the sources.
    """
    facts = story.source.facts
    digests = {name: PixelDigest() for name in ("story", "map", "parent", "master")}
    total = np.zeros(256, np.int64)
    breaches: dict[str, ClaimBreach] = {}
    judge = _Judge(story, parent, master, white=white, colours=colours)
    for top, told in in_order(judge.band, bands(facts.height, ROWS), threads):
        for name, rows in told.read.items():
            digests[name].update(rows)
        total += histogram(told.read["map"])
        for one in told.found:
            _add(breaches, one, top)
    if not judge.in_master:
        _digest(master.source, digests["master"])
    if parent is master:
        digests["parent"] = digests["master"]
    elif not judge.in_parent:
        _digest(parent.source, digests["parent"])
    if colours and not judge.in_parent:
        _add(breaches, ClaimBreach(rule="PARENT", pixels=facts.width * facts.height, y=0, x=0), 0)
    return StoryComparison(
        breaches=tuple(breaches.values()),
        story_sha256=digests["story"].hexdigest(),
        map_sha256=digests["map"].hexdigest(),
        parent_sha256=digests["parent"].hexdigest(),
        master_sha256=digests["master"].hexdigest(),
        histogram=tuple(int(n) for n in total),
    )


@dataclass(frozen=True, kw_only=True)
class _Told:
    """What a band of a story says."""

    read: dict[str, npt.NDArray[Any]]
    """Rows that were read, by whose they are."""
    found: list[ClaimBreach]


class _Judge:
    """Holds bands of a story against the pictures it came from; several threads may use it at once."""

    def __init__(self, story: Compared, parent: Compared, master: Compared, *, white: float, colours: bool) -> None:
        assert story.flags is not None
        self._story, self._parent, self._master = story, parent, master
        self._flags, self._white, self._colours = story.flags, white, colours
        self.in_parent, self.in_master = _same_frame(story, parent), _same_frame(story, master)
        self._carried = _CarriedFlags(parent, story.source.facts.width, story.source.facts.height)
        lit = (story, parent, master) if self.in_master else (story, parent)
        self._light = {id(one): Luminance(one.source.facts, white, one.space) for one in lit}

    def band(self, rows: tuple[int, int]) -> tuple[int, _Told]:
        """The first of these rows, and what they say."""
        story, parent, master = self._story, self._parent, self._master
        region = Region(top=rows[0], left=0, bottom=rows[1], right=story.source.facts.width)
        told = story.source.read(region)
        flags = _flags(self._flags, region)
        read = {"story": told, "map": flags}
        light = self._light[id(story)].of(told)
        found = [*breach("NOT_ALLOWED", (flags & np.uint8(~int(STORY_FLAGS) & 0xFF)) != 0)]
        if self.in_master:
            was = read["master"] = master.source.read(region)
            same = _same(told, story, was, master, self._white)
            before = self._light[id(master)].of(was)
            found += check_story_claims(flags, same, light, before)
        else:
            found += breach("ORIGINAL", flags == 0)
        had = self._carried.read(*rows)
        found += breach("LOST", (had & ~flags) != 0)
        if self.in_parent:
            if parent is not master:
                given = read["parent"] = parent.source.read(region)
                same = _same(told, story, given, parent, self._white)
                before = self._light[id(parent)].of(given)
            if self._colours:
                found += breach("NOT_ALLOWED", (flags & ~had & np.uint8(~int(COLOUR_FLAGS) & 0xFF)) != 0)
                coloured = (flags & int(PixelFlag.COLORIZED)) != 0
                found += breach("PARENT", ~coloured & ~same)
                found += breach("LUMINANCE", coloured & ~(np.abs(light - before) <= LUMINANCE_TOLERANCE))
        return rows[0], _Told(read=read, found=found)


def _same_frame(one: Compared, other: Compared) -> bool:
    first, second = one.source.facts, other.source.facts
    return (first.width, first.height) == (second.width, second.height)


def _same(
    told: npt.NDArray[Any], story: Compared, was: npt.NDArray[Any], before: Compared, white: float
) -> npt.NDArray[np.bool_]:
    """Where a story's samples are those of another picture, or three times its gray."""
    if SampleRole.RED in story.source.facts.roles:
        was, _ = spread_gray(was, before.source.facts, white)
    if told.shape != was.shape or told.dtype != was.dtype:
        return np.zeros(told.shape[:2], np.bool_)
    return same_bits(told, was)


def _flags(plane: PictureSource, region: Region) -> npt.NDArray[np.uint8]:
    return plane.read(region)[:, :, 0].astype(np.uint8, copy=False)


class _CarriedFlags:
    """The map of the parent in the frame of the story: every pixel has the flags of the nearest one."""

    def __init__(self, parent: Compared, width: int, height: int) -> None:
        self._plane = parent.flags
        facts = parent.source.facts
        self._size, self._frame = (facts.height, facts.width), (height, width)
        self._columns = (2 * np.arange(width, dtype=np.int64) + 1) * facts.width // (2 * width)

    def read(self, top: int, bottom: int) -> npt.NDArray[np.uint8]:
        """Rows of the story's frame."""
        if self._plane is None:
            return np.zeros((bottom - top, self._frame[1]), np.uint8)
        rows = (2 * np.arange(top, bottom, dtype=np.int64) + 1) * self._size[0] // (2 * self._frame[0])
        region = Region(top=int(rows[0]), left=0, bottom=int(rows[-1]) + 1, right=self._size[1])
        return np.ascontiguousarray(_flags(self._plane, region)[rows - rows[0]][:, self._columns])


def _digest(source: PictureSource, digest: PixelDigest) -> None:
    facts = source.facts
    for top, bottom in bands(facts.height, ROWS):
        digest.update(source.read(Region(top=top, left=0, bottom=bottom, right=facts.width)))
