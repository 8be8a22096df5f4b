"""How well `animate --regions auto` proposes, against what a person drew over the nine open photographs.

Run it from the repository: `python -m tests.benchmarks.proposals [--sheet FOLDER]`. tests/photographs/moving.json holds
for each photograph the regions that may move (schema motion.schema.json) and polygons of what is rigid where no region
moves: houses, boats, rocks, people, animals; plants in a studio, since no wind blows there.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from archive_restore.imaging.motion_regions import Proposed, masks, outlined, propose
from archive_restore.imaging.regions import polygon_mask
from archive_restore.records.imagery import Region
from tests.benchmarks.restoration import table

PHOTOGRAPHS = Path(__file__).parents[1] / "photographs"
DRAWN: dict[str, Any] = json.loads((PHOTOGRAPHS / "moving.json").read_text(encoding="utf-8"))
ALIKE = {"grass": "plants", "foliage": "plants"}
"""Kinds that a proposal may take for one another: what is grass and what is a bush, nobody asks of a texture."""

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Score:
    """One photograph; areas are shares of it."""

    moving: float
    proposed: float
    hit: float
    """Proposed, and moving."""
    right: float
    """Hit, and of the right kind."""
    false_rigid: float
    """Proposed, and rigid."""


def truth(name: str, size: tuple[int, int]) -> tuple[dict[str, Mask], Mask]:
    """What moves by kind, and what is rigid: bool (rows, columns)."""
    drawn = DRAWN[name]
    kinds: dict[str, Mask] = {}
    held = [region for region in drawn["regions"] if region["kind"] == "hold"]
    for region in drawn["regions"]:
        if region["kind"] != "hold":
            (moving,) = masks({"regions": [{**one, "soft": 0} for one in (region, *held)]}, size, 1.0)
            kind = ALIKE.get(region["kind"], region["kind"])
            kinds[kind] = kinds.get(kind, np.zeros(size, np.bool_)) | (moving.mask > 0)
    rigid = [*drawn["rigid"], *(region["polygon"] for region in held if "polygon" in region)]
    plane = np.asarray(polygon_mask(rigid, *size)) > 0 if rigid else np.zeros(size, np.bool_)
    return kinds, plane & ~np.any([np.zeros(size, np.bool_), *kinds.values()], axis=0)


def score(name: str, proposed: tuple[Proposed, ...], size: tuple[int, int]) -> Score:
    """Hold proposals against what was drawn."""
    kinds, rigid = truth(name, size)
    moving = np.any([np.zeros(size, np.bool_), *kinds.values()], axis=0)
    every, right, held = (np.zeros(size, np.bool_) for _ in range(3))
    for one in proposed:
        if one.kind == "hold":
            held |= np.asarray(polygon_mask([one.polygon], *size)) > 0
    for one in proposed:
        plane = (np.asarray(polygon_mask([one.polygon], *size)) > 0) & ~held & (one.kind != "hold")
        every |= plane
        right |= plane & kinds.get(ALIKE.get(one.kind, one.kind), np.zeros(size, np.bool_))
    return Score(
        moving=float(moving.mean()), proposed=float(every.mean()), hit=float((every & moving).mean()),
        right=float(right.mean()), false_rigid=float((every & rigid).mean()),
    )  # fmt: skip


def faces_of(name: str) -> list[Region]:
    """Faces that people marked."""
    with (PHOTOGRAPHS / "faces" / "faces.csv").open(encoding="utf-8") as file:
        return [
            Region(**{edge: int(row[edge]) for edge in ("top", "left", "bottom", "right")})
            for row in csv.DictReader(file)
            if row["file"] == name
        ]


def looked_at(name: str) -> tuple[npt.NDArray[np.uint8], tuple[Proposed, ...]]:
    """A photograph, RGB, and what is proposed for it."""
    picture = np.asarray(cv2.imread(str(PHOTOGRAPHS / "open" / name), cv2.IMREAD_COLOR_RGB), np.uint8)
    luma = picture.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32) / np.float32(255)
    return picture, propose(np.asarray(luma, np.float32), faces_of(name))


def scores(sheet: Path | None = None) -> Iterator[tuple[str, Score]]:
    """Every photograph; with `sheet` a folder gets pictures of what was proposed."""
    for name in sorted(DRAWN):
        picture, proposed = looked_at(name)
        if sheet is not None:
            shown = cv2.cvtColor(outlined(picture, proposed), cv2.COLOR_RGB2BGR)
            cv2.imwrite(str(sheet / f"{Path(name).stem}.png"), shown)
        yield name, score(name, proposed, picture.shape[:2])


def rows(found: list[tuple[str, Score]]) -> Iterator[tuple[str, ...]]:
    """Precision, recall and false area, each photograph and over all of them."""
    whole = Score(
        **{part: sum(getattr(one, part) for _, one in found) / len(found) for part in Score.__dataclass_fields__}
    )  # fmt: skip
    for name, one in [*((Path(name).stem, one) for name, one in found), ("mean", whole)]:
        precision = f"{one.hit / one.proposed:.2f}" if one.proposed else "–"
        recall = f"{one.hit / one.moving:.2f}" if one.moving else "–"
        kind = f"{one.right / one.hit:.2f}" if one.hit else "–"
        areas = (one.moving, one.proposed, one.false_rigid)
        yield (name, *(f"{100 * area:.1f}" for area in areas), precision, recall, kind)


TITLES = ["photograph", "moving, %", "proposed, %", "rigid among it, %", "precision", "recall", "of the right kind"]


def main(words: list[str] | None = None) -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--sheet", type=Path)
    chosen = options.parse_args(words)
    if chosen.sheet is not None:
        chosen.sheet.mkdir(parents=True, exist_ok=True)
    print(table(TITLES, list(rows(list(scores(chosen.sheet))))), flush=True)


if __name__ == "__main__":
    main()
