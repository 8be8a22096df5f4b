"""What `things.json` says of things: the colours they have in photographs, and how much of a picture they take."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Where = Literal["outdoor", "indoor"]


@dataclass(frozen=True, kw_only=True)
class Thing:
    """One thing, as `models.palettes.measure` found it."""

    name: str
    lab: tuple[float, float, float]
    """Mean L*, a*, b* (D65) of the means of photographs."""
    deviation: tuple[float, float, float]
    """Standard deviation of each, of pixels of any photograph."""
    within: tuple[float, float, float]
    """The part of it inside one photograph."""
    between: tuple[float, float, float]
    """The part of it that is from photograph to photograph; 0 of a single one."""
    lightness: Mapping[int, float]
    """L* by percentile: 5, 25, 50, 75, 95."""
    photographs: int
    """In how many it was seen. Below five the numbers say little."""
    regions: int
    share_outdoor: float
    """Share of the pixels of outdoor pictures, in [0, 1]; 0 where none is published."""
    share_indoor: float
    """The same of indoor pictures."""


@functools.cache
def _document() -> Mapping[str, Any]:
    return json.loads(Path(__file__).with_name("things.json").read_bytes())  # type: ignore[no-any-return]


def things() -> dict[str, Thing]:
    """All things by name."""
    return {
        name: Thing(
            name=name,
            lab=tuple(found["lab"]),
            deviation=tuple(found["deviation"]),
            within=tuple(found["within"]),
            between=tuple(found["between"]),
            lightness={int(percent): value for percent, value in found["lightness"].items()},
            photographs=found["photographs"],
            regions=found["regions"],
            share_outdoor=found["share"]["outdoor"],
            share_indoor=found["share"]["indoor"],
        )
        for name, found in _document()["things"].items()
    }


def weights(names: Iterable[str], where: Where) -> dict[str, float]:
    """Shares of these things among themselves; they add up to 1. Things without a share have none."""
    known = things()
    found = {name: getattr(known[name], f"share_{where}") for name in names}
    whole = sum(found.values())
    return {name: share / whole for name, share in found.items()}


def sources() -> dict[str, tuple[str, str]]:
    """Citation, and what was taken from it, by id: `things` for the colours, `ade20k` and `ccp` for the shares."""
    return {key: (source["citation"], source["taken"]) for key, source in _document()["sources"].items()}
