"""Runs the steps of a restoration over a picture tile by tile, in memory that does not grow with its height.

The record is compared while it is made: a pixel that a step changed without a flag stops the run.
Must never resample, crop or turn the frame.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from archive_restore.core.synthesis_map import check_claims
from archive_restore.errors import SelfCheckFailed
from archive_restore.imaging.reduce import PictureReducer
from archive_restore.imaging.tiles import Tile, grid
from archive_restore.ports import Overview, PictureSource, PreservationStep, PreservationTile
from archive_restore.records.imagery import PRESERVATION_FLAGS, DamageClass, PictureFacts, PixelFlag, Region
from archive_restore.records.provenance import Json

OVERVIEW_EDGE = 2048
"""Longest edge of the reduced picture that surveys look at, pixels."""
CROP_EDGE = 512
"""Edge of the full-size crops that surveys look at, pixels."""

Plane = npt.NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class BoundStep:
    """A step with its parameters and what its survey found."""

    step: PreservationStep
    parameters: Mapping[str, Json]
    survey: Mapping[str, Json]


@dataclass(frozen=True, kw_only=True)
class HandMaps:
    """What a person drew: planes of the frame's size where a non-zero pixel counts; None where not given."""

    damage: PictureSource | None = None
    """Damaged here, whatever the detector says."""
    keep: PictureSource | None = None
    """Not damaged here, whatever the detector says."""


@dataclass(frozen=True, kw_only=True)
class Band:
    """Finished rows of the derivative, full width."""

    top: int
    samples: npt.NDArray[Any]
    """(rows, width, samples) in the master's dtype."""
    flags: Plane
    """(rows, width) synthesis map."""
    damage: Plane
    """(rows, width) DamageClass values."""
    probability: Plane
    """(rows, width) of damage, 255 = 1."""
    doubt: Plane
    """(rows, width) expected error of what was filled, 255 = full scale."""
    changed: tuple[int, ...]
    """Pixels of these rows to which each step gave a flag."""


def bands(height: int, rows: int) -> Iterator[tuple[int, int]]:
    """Row ranges (top, bottom) that cover a height."""
    for top in range(0, height, rows):
        yield top, min(top + rows, height)


def overview(source: PictureSource) -> Overview:
    """Look at the whole picture once: reduced to OVERVIEW_EDGE, and a few crops at full size."""
    facts = source.facts
    reducer = PictureReducer(facts.width, facts.height, facts.samples, OVERVIEW_EDGE)
    brightest = 1.0
    for top, bottom in bands(facts.height, 256):
        band = source.read(Region(top=top, left=0, bottom=bottom, right=facts.width))
        if band.dtype.kind == "f":
            finite = band[np.isfinite(band)]
            brightest = max(brightest, float(finite.max())) if finite.size else brightest
        reducer.add(band)
    reduced = reducer.result()
    white = brightest if source.dtype.kind == "f" else float(np.iinfo(source.dtype).max)
    return Overview(
        facts=facts,
        reduced=reduced,
        scale=max(facts.width / reduced.shape[1], facts.height / reduced.shape[0]),
        white=white,
        samples=tuple(source.read(region) for region in _crops(facts.width, facts.height)),
    )


def survey(steps: Sequence[tuple[PreservationStep, Mapping[str, Json]]], seen: Overview) -> tuple[BoundStep, ...]:
    """Let every step look at the whole picture once and keep what it found as parameters."""
    return tuple(
        BoundStep(step=step, parameters=parameters, survey=step.survey(seen, parameters)) for step, parameters in steps
    )


def run(
    source: PictureSource, steps: Sequence[BoundStep], hand: HandMaps, *, seed: int, tile: int, threads: int
) -> Iterator[Band]:
    """Yield finished bands of `tile` rows from top to bottom.

    Raise SelfCheckFailed where a step changed a pixel without saying so, PictureUnreadable from the source.
    """
    facts = source.facts
    halo = sum(_reach(step) for step in steps)

    rows = list(grid(facts.height, facts.width, edge=tile, halo=halo))
    with ThreadPoolExecutor(max_workers=threads, thread_name_prefix="tile") as pool:

        def submit(tiles: Sequence[Tile]) -> tuple[Band, list[Future[list[int]]]]:
            band = _empty_band(source, tiles[0].core, len(steps))
            return band, [pool.submit(_tile, source, steps, hand, place, seed, band) for place in tiles]

        ahead = submit(rows[0])
        for following in (*rows[1:], None):
            band, running = ahead
            if following is not None:
                ahead = submit(following)
            counts = [future.result() for future in running]
            yield replace(band, changed=tuple(map(sum, zip(*counts, strict=True))))


def _empty_band(source: PictureSource, first: Region, steps: int) -> Band:
    shape = (first.height, source.facts.width)
    return Band(
        top=first.top,
        samples=np.empty((*shape, source.facts.samples), source.dtype),
        flags=np.empty(shape, np.uint8),
        damage=np.empty(shape, np.uint8),
        probability=np.empty(shape, np.uint8),
        doubt=np.empty(shape, np.uint8),
        changed=(0,) * steps,
    )


def _reach(bound: BoundStep) -> int:
    """A step's halo, made even: steps that pair pixels find their first one at an even row and column."""
    return bound.step.halo(bound.parameters) + 1 & ~1


def _given(core: Region, steps: Sequence[BoundStep], facts: PictureFacts) -> list[Region]:
    """What each step gets to see, and last the core: less with every step, since only later halos are still needed."""
    regions, reach = [core], 0
    for bound in reversed(steps):
        reach += _reach(bound)
        regions.append(
            Region(
                top=max(core.top - reach, 0),
                left=max(core.left - reach, 0),
                bottom=min(core.bottom + reach, facts.height),
                right=min(core.right + reach, facts.width),
            )
        )
    return regions[::-1]


def _tile(
    source: PictureSource, steps: Sequence[BoundStep], hand: HandMaps, place: Tile, seed: int, band: Band
) -> list[int]:
    """Run the steps over one tile and lay its core into the band; return the pixels each step flagged in it."""
    facts, core = source.facts, place.core
    master = source.read(place.read)
    keep = _drawn(hand.keep, place.read)
    drawn = _drawn(hand.damage, place.read)
    regions = _given(core, steps, facts)
    nothing = np.zeros(master.shape[:2], np.uint8)
    tile = PreservationTile(
        region=place.read,
        needed=place.read,
        facts=facts,
        samples=master.copy(),
        flags=nothing.copy(),
        damage=_decided(nothing, drawn, keep),
        probability=_certain(nothing, drawn, keep),
        doubt=nothing.copy(),
    )
    counts = []
    for bound, given, needed in zip(steps, regions, regions[1:], strict=False):
        before = _cut(tile, given, needed)
        kept, meant = (None if plane is None else plane[given.within(place.read)] for plane in (keep, drawn))
        tile = bound.step.apply(before, bound.parameters, bound.survey, seed)
        if kept is not None and not bound.step.flags & PixelFlag.ADJUSTED:
            tile.samples[kept] = before.samples[kept]
            tile.flags[kept] = before.flags[kept]
            tile.doubt[kept] = before.doubt[kept]
        # A person's word stands above the detector's, after every step that may have changed the damage plane.
        tile = replace(
            tile,
            damage=_decided(tile.damage, meant, kept),
            probability=_certain(tile.probability, meant, kept),
        )
        here = core.within(given)
        counts.append(int(np.count_nonzero(tile.flags[here] != before.flags[here])))
    made = _cut(tile, core, core)
    for breach in check_claims(made.flags, made.samples, master[place.crop], PRESERVATION_FLAGS):
        raise SelfCheckFailed(
            f"a step changed {breach.pixels} pixels without saying so, the first at "
            f"x={core.left + breach.x}, y={core.top + breach.y}",
            hint="Nothing was stored; please report this with the recipe",
        )
    columns = slice(core.left, core.right)
    band.samples[:, columns] = made.samples
    band.flags[:, columns] = made.flags
    band.damage[:, columns] = made.damage
    band.probability[:, columns] = made.probability
    # What was not changed has no error to expect.
    band.doubt[:, columns] = np.where(made.flags != 0, made.doubt, np.uint8(0))
    return counts


def _cut(tile: PreservationTile, region: Region, needed: Region) -> PreservationTile:
    if tile.region == region:
        return replace(tile, needed=needed)
    part = region.within(tile.region)
    return replace(
        tile,
        region=region,
        needed=needed,
        samples=np.ascontiguousarray(tile.samples[part]),
        flags=np.ascontiguousarray(tile.flags[part]),
        damage=np.ascontiguousarray(tile.damage[part]),
        probability=np.ascontiguousarray(tile.probability[part]),
        doubt=np.ascontiguousarray(tile.doubt[part]),
    )


def _drawn(plane: PictureSource | None, region: Region) -> npt.NDArray[np.bool_] | None:
    if plane is None:
        return None
    colour = [i for i, role in enumerate(plane.facts.roles) if role.value != "alpha"]
    drawn: npt.NDArray[np.bool_] = (plane.read(region)[:, :, colour] != 0).any(axis=2)
    return drawn


def _decided(damage: Plane, drawn: npt.NDArray[np.bool_] | None, keep: npt.NDArray[np.bool_] | None) -> Plane:
    if drawn is not None:
        # LOSS is what a later step concluded about the same pixel, so it stays.
        damage = np.where(drawn & (damage != DamageClass.LOSS), np.uint8(DamageClass.HUMAN), damage)
    if keep is not None:
        damage = np.where(keep, np.uint8(DamageClass.SOUND), damage)
    return damage


def _certain(probability: Plane, drawn: npt.NDArray[np.bool_] | None, keep: npt.NDArray[np.bool_] | None) -> Plane:
    if drawn is not None:
        probability = np.where(drawn, np.uint8(255), probability)
    if keep is not None:
        probability = np.where(keep, np.uint8(0), probability)
    return probability


def _crops(width: int, height: int) -> Iterator[Region]:
    """Five full-size crops: the middle and the four quarters; fewer where they would coincide."""
    seen = set()
    for fy, fx in ((0.5, 0.5), (0.25, 0.25), (0.25, 0.75), (0.75, 0.25), (0.75, 0.75)):
        top = max(0, min(height - CROP_EDGE, int(height * fy) - CROP_EDGE // 2))
        left = max(0, min(width - CROP_EDGE, int(width * fx) - CROP_EDGE // 2))
        if (top, left) not in seen:
            seen.add((top, left))
            yield Region(top=top, left=left, bottom=min(height, top + CROP_EDGE), right=min(width, left + CROP_EDGE))
