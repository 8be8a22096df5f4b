"""Colour hints as people write them, read into records: points, strokes, polygons, named regions, pins without colour.

The document fits `schemas/hints.schema.json`; what a schema cannot say (does the colour have a meaning, is there such a
region) is checked here. Coordinates are pixels x, y of the picture the story is made from; 0, 0 is the middle of the
first.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from archive_restore.core.colour_names import colour_names
from archive_restore.errors import UsageError
from archive_restore.records.stories import HumanDecision

NEUTRAL = "neutral"
"""The colour of a pin that says: no colour here."""
_HEX = re.compile(r"#(?:[0-9a-f]{3}|[0-9a-f]{6})")
_LAB = re.compile(r"lab\(\s*([-+.\d%]+)[\s,]+([-+.\d]+)[\s,]+([-+.\d]+)\s*\)")
# IEC 61966-2-1 and CIE 15:2004, each row a share of white's X, Y and Z.
_ROWS = (
    (0.4338822, 0.3762278, 0.1898900),
    (0.2126390, 0.7151687, 0.0721923),
    (0.0177548, 0.1094720, 0.8727732),
)

Place = tuple[float, float]


class HintShape(StrEnum):
    """What a hint's places are."""

    POINT = "point"
    STROKE = "stroke"
    POLYGON = "polygon"


@dataclass(frozen=True, kw_only=True)
class ColourHint:
    """The colour of a place, as a person gave it."""

    shape: HintShape
    places: tuple[Place, ...]
    """x, y: one of a point, two or more along a stroke, three or more around a polygon."""
    radius: float
    """Half the width of a point or stroke, pixels; 0 is one pixel."""
    colour: str
    """As it was written."""
    lab: tuple[float, float, float]
    """L*, a*, b* (D65) of the colour; L* is never used, since light stays the photograph's."""
    within: tuple[Place, ...]
    """Polygon beyond which it does not spread; empty where nothing bounds it."""
    reach: float
    """How far it spreads: 1 as usual, less or more; 0 keeps to its own pixels."""
    name: str
    """What the place shows: `dress`; empty where nobody said."""
    author: str
    reason: str
    when: str

    def decision(self) -> HumanDecision:
        """For the record of the story."""
        if self.shape is HintShape.POINT:
            where = f"at {self.places[0][0]:g},{self.places[0][1]:g}"
        else:
            where = f"in a {self.shape.value} of {len(self.places)} places"
        what = f"{self.colour} {where}" + (f" ({self.name})" if self.name else "")
        return HumanDecision(author=self.author, reason=self.reason, what=what, when=self.when)


def hints_of(document: Mapping[str, Any]) -> tuple[ColourHint, ...]:
    """The hints of a document that fits `schemas/hints.schema.json`, in its order; raise UsageError."""
    regions: dict[str, tuple[Place, ...]] = {}
    for region in document.get("regions", ()):
        if region["name"] in regions:
            raise UsageError(f"two regions are called {region['name']!r}", hint="Give each a name of its own")
        regions[region["name"]] = _places(region["polygon"])
    return tuple(_hint(entry, regions) for entry in document["hints"])


def _hint(entry: Mapping[str, Any], regions: Mapping[str, tuple[Place, ...]]) -> ColourHint:
    within = _region(entry["within"], regions) if "within" in entry else ()
    if "region" in entry:
        shape, places = HintShape.POLYGON, _region(entry["region"], regions)
    else:
        shape = next(shape for shape in HintShape if shape.value in entry)
        given = entry[shape.value]
        places = _places([given] if shape is HintShape.POINT else given)
    return ColourHint(
        shape=shape,
        places=places,
        radius=float(entry.get("radius", 0)),
        colour=entry["colour"],
        lab=colour_of(entry["colour"]),
        within=within,
        # An area that somebody drew ends where they drew its end.
        reach=float(entry.get("reach", 0 if shape is HintShape.POLYGON else 1)),
        name=entry.get("name", "") or entry.get("region", ""),
        author=entry.get("author", ""),
        reason=entry.get("reason", ""),
        when=entry.get("when", ""),
    )


def _region(name: str, regions: Mapping[str, tuple[Place, ...]]) -> tuple[Place, ...]:
    if name not in regions:
        known = ", ".join(sorted(regions)) or "none"
        raise UsageError(f"no region is called {name!r}", hint=f"Regions of this file: {known}")
    return regions[name]


def _places(corners: Sequence[Sequence[float]]) -> tuple[Place, ...]:
    return tuple((float(x), float(y)) for x, y in corners)


def colour_of(text: str) -> tuple[float, float, float]:
    """L*, a*, b* (D65) of a CSS or xkcd name, #rgb, #rrggbb, lab(L a b) or `neutral`; raise UsageError."""
    name = " ".join(text.lower().split())
    if name == NEUTRAL:
        return (50.0, 0.0, 0.0)
    if _HEX.fullmatch(name):
        return _lab_of(name)
    lab = _LAB.fullmatch(name)
    if lab:
        try:
            light, a, b = float(lab[1].rstrip("%")), float(lab[2]), float(lab[3])
        except ValueError:
            raise _unknown(text) from None
        if not (0 <= light <= 100 and abs(a) <= 160 and abs(b) <= 160):
            raise UsageError(f"{text!r} is no colour: L is 0 to 100, a and b are -160 to 160")
        return (light, a, b)
    names = colour_names()
    found = names.get(name) or names.get(re.sub(r"[\s_-]", "", name)) or names.get(name.replace("grey", "gray"))
    if found is None:
        raise _unknown(text)
    return _lab_of(found)


def _unknown(text: str) -> UsageError:
    near = difflib.get_close_matches(text.lower(), colour_names(), 3, 0.7)
    also = f"Is it {', '.join(map(repr, near))}? " if near else ""
    return UsageError(
        f"{text!r} is no colour that is known",
        hint=f"{also}Write a CSS or xkcd name, #rrggbb, lab(L a b), or neutral",
    )


def _lab_of(code: str) -> tuple[float, float, float]:
    digits = code[1:] if len(code) == 7 else "".join(2 * digit for digit in code[1:])
    encoded = [int(digits[k : k + 2], 16) / 255 for k in (0, 2, 4)]
    light = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in encoded]
    x, y, z = (_root(sum(part * value for part, value in zip(row, light, strict=True))) for row in _ROWS)
    return (116 * y - 16, 500 * (x - y), 200 * (y - z))


def _root(share: float) -> float:
    return float(share ** (1 / 3)) if share > (6 / 29) ** 3 else share * 841 / 108 + 4 / 29
