"""What the simulator may be asked for: classes of damage and their rates, sizes, polarity, ageing.

Sizes are physical: every mark is drawn in millimetres of the original and scaled by `dpi`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntFlag
from types import MappingProxyType

import numpy as np

from archive_restore.imaging.simulator.noise import generator


class SimulatedClass(IntFlag):
    """Bits of a simulated damage map, uint16."""

    SCRATCH = 0x001
    """Scratches, bundles, nicks and abrasion."""
    HAIR = 0x002
    """Hairs and lint."""
    DUST = 0x004
    """Specks, flecks and their clusters."""
    CREASE = 0x008
    """Folds: a lit and a shaded flank, flakes of emulsion lost along the ridge."""
    CRACK = 0x010
    """Cracks of the emulsion, branching or in a network."""
    TEAR = 0x020
    """Missing emulsion or paper: flakes, corners, edges, tears, grazing."""
    STAIN = 0x040
    """Stains, foxing, water marks, adhesive tape, fingerprints."""
    MOULD = 0x080
    """Colonies, dendritic or speckled."""
    SILVERING = 0x100
    """Silver mirroring: a bluish sheen over the dark parts."""


def _check_share(name: str, value: float) -> None:
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"{name} must lie in 0..1")


CLASSES: tuple[SimulatedClass, ...] = tuple(SimulatedClass)
"""All classes, lowest bit first."""

DENSITY: Mapping[SimulatedClass, float] = MappingProxyType(
    {
        SimulatedClass.SCRATCH: 0.5,
        SimulatedClass.HAIR: 0.10,
        SimulatedClass.DUST: 6.0,
        SimulatedClass.CREASE: 0.012,
        SimulatedClass.CRACK: 0.08,
        SimulatedClass.TEAR: 0.06,
        SimulatedClass.STAIN: 0.05,
        SimulatedClass.MOULD: 0.02,
        SimulatedClass.SILVERING: 0.004,
    }
)
"""Marks a square centimetre of the original at rate 1: a print of 10 x 15 cm that has been used. A scratch counts
as one whether it is a nick or a bundle; dust counts specks."""


@dataclass(frozen=True, kw_only=True)
class Ageing:
    """Global ageing and copying: strengths in [0, 1], 0 = none. Drawn at random up to the strength."""

    fading: float = 0.5
    """Loss of contrast, lifted blacks, dulled whites."""
    yellowing: float = 0.5
    """Of paper and gelatin; colour pictures only."""
    toned: float = 0.5
    """Probability that a colour picture becomes a toned monochrome one."""
    illumination: float = 0.4
    """Uneven light of the copy, local fading, and vignetting."""
    blur: float = 0.4
    """Softness of lens and copy, up to about 2 px."""
    grain: float = 0.5
    """Signal-dependent, correlated."""
    halftone: float = 0.03
    """Probability of a printer's screen."""
    sharpening: float = 0.3
    """Probability of a scanner's unsharp mask over the marks: a halo."""
    noise: float = 0.3
    """Sensor noise of the scan."""
    jpeg: float = 0.5
    """Probability of JPEG coding at a random quality."""
    jpeg_quality: tuple[int, int] = (55, 96)
    """Lowest and highest quality."""

    def __post_init__(self) -> None:
        for name in (
            "fading",
            "yellowing",
            "toned",
            "illumination",
            "blur",
            "grain",
            "halftone",
            "sharpening",
            "noise",
        ):
            _check_share(name, getattr(self, name))
        _check_share("jpeg", self.jpeg)
        if not 1 <= self.jpeg_quality[0] <= self.jpeg_quality[1] <= 100:
            raise ValueError("jpeg_quality must be two rising numbers in 1..100")


NO_AGEING = Ageing(
    fading=0, yellowing=0, toned=0, illumination=0, blur=0, grain=0, halftone=0, sharpening=0, noise=0, jpeg=0
)
"""Nothing global: the clean picture is the picture, with its hard negatives if any."""


@dataclass(frozen=True, kw_only=True)
class SimulatorSettings:
    """What to simulate."""

    rates: Mapping[SimulatedClass, float] = field(default_factory=lambda: dict.fromkeys(CLASSES, 1.0))
    """How many times the `DENSITY` of each class; a class that is not named does not occur."""
    dpi: float = 300.0
    """Samples an inch of the original, 40..4800: scales all marks (and the screen of a halftone)."""
    bright: float = 0.7
    """Probability that a mark of SCRATCH, HAIR, DUST, CRACK or TEAR is lighter than its place could be (lost
    emulsion, lint, dust on a negative); otherwise it is darker."""
    strength: float = 1.0
    """Multiplies the opacity of all marks, 0..1."""
    ageing: Ageing = field(default_factory=Ageing)
    """Global ageing, the same in the clean picture."""
    hard_negatives: float = 0.5
    """Mean number of things drawn into the clean scene that only look like damage, a 256 x 256 px square."""
    edges: float = 0.15
    """Probability that a side of the picture is an edge of the print, which may be worn, torn or lack a corner."""

    def __post_init__(self) -> None:
        if not 40.0 <= self.dpi <= 4800.0:
            raise ValueError("dpi must lie in 40..4800")
        for name in ("bright", "strength", "edges"):
            _check_share(name, getattr(self, name))
        if self.hard_negatives < 0 or any(rate < 0 for rate in self.rates.values()):
            raise ValueError("rates must not be negative")
        if any(kind not in CLASSES for kind in self.rates):
            raise ValueError("a rate must name one single class")


def only(kind: SimulatedClass, rate: float = 1.0, **others: object) -> SimulatorSettings:
    """Settings of one class alone, without ageing or hard negatives unless `others` says so."""
    given = {"ageing": NO_AGEING, "hard_negatives": 0.0} | others
    return SimulatorSettings(rates={kind: rate}, **given)  # type: ignore[arg-type]


def typical(seed: int) -> SimulatorSettings:
    """Settings of one training example: each seed another original, another scan, other things that happened to it.

    About one picture in twelve is undamaged; marks are more crowded at high resolution than physics has it, and rare
    classes less rare, so that a crop of 256 px shows some at any dpi.
    """
    rng = generator(seed, "settings")
    dpi = math.exp(rng.uniform(math.log(75.0), math.log(1200.0)))
    crowding = max(dpi / 300.0, 0.6)
    overall = 0.0 if rng.random() < 1 / 12 else math.exp(rng.normal(0.15, 0.65))
    rates = {}
    for kind in CLASSES:
        present = rng.random() < (0.8 if kind in _COMMON else 0.35)
        rate = overall * _OFTENER.get(kind, 1.0) * math.exp(rng.normal(0.2, 0.8))
        rates[kind] = present * rate * (crowding if kind in _COMMON else 1.0)
    polarity = rng.random()
    return SimulatorSettings(
        rates=rates,
        dpi=dpi,
        bright=float(np.clip(0.65 + rng.normal(0, 0.25), 0.05, 0.97))
        if polarity < 0.8
        else round(polarity * 5) % 2 * 1.0,
        strength=float(rng.uniform(0.6, 1.0)),
        ageing=Ageing(
            fading=float(rng.uniform(0, 1.0)),
            yellowing=float(rng.uniform(0, 1.0)),
            toned=0.6,
            illumination=float(rng.uniform(0, 0.8)),
            blur=float(rng.uniform(0, 0.7)),
            grain=float(rng.uniform(0, 0.9)),
            halftone=0.03,
            sharpening=0.3,
            noise=float(rng.uniform(0, 0.6)),
            jpeg=0.5,
        ),
        hard_negatives=1.5 if rng.random() < 0.5 else 0.0,
        edges=0.12,
    )


_COMMON = (
    SimulatedClass.SCRATCH,
    SimulatedClass.DUST,
    SimulatedClass.HAIR,
    SimulatedClass.CRACK,
    SimulatedClass.CREASE,
)
_OFTENER = {
    # What is rare in an album must not be rare in training.
    SimulatedClass.HAIR: 1.5,
    SimulatedClass.CREASE: 2.0,
    SimulatedClass.STAIN: 1.3,
    SimulatedClass.MOULD: 4.0,
    SimulatedClass.SILVERING: 3.0,
}
