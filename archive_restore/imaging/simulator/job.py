"""One picture on the way to being damaged: its scale and the sheets and veils that the classes put over it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from archive_restore.imaging.simulator.noise import Path, Plane
from archive_restore.imaging.simulator.settings import DENSITY, SimulatedClass, SimulatorSettings
from archive_restore.imaging.simulator.sheet import Sheet

_MOST = 4000  # marks of one class, whatever the settings ask for


@dataclass(frozen=True, kw_only=True)
class Veil:
    """A soft area of damage that is not drawn as a mark: a stain, a sheen, a loss with texture."""

    kind: SimulatedClass
    """Its class."""
    opacity: Plane
    """float32 (h, w) in [0, 1] of the window."""
    window: tuple[slice, slice]
    """Rows and columns of the picture."""
    colour: tuple[float, float, float]
    """RGB in [0, 1]: what an opacity of 1 shows, or is multiplied by."""
    multiplies: bool
    """True: the picture is seen through it, multiplied by `colour`; False: it covers the picture."""
    last: bool = False
    """Whether it comes after the marks of its class: where the print ends, its tears end too."""


@dataclass(kw_only=True)
class Job:
    """What the painters of all classes share."""

    height: int
    """Of the picture in px."""
    width: int
    settings: SimulatorSettings
    luma: Plane
    """The undamaged picture's luma, (height, width)."""
    light: Plane
    """The lightest and darkest tones of the picture, (c,) each."""
    dark: Plane
    paper: Plane
    """What shows where the emulsion is gone, (c,)."""
    sheets: dict[tuple[SimulatedClass, bool, bool], Sheet] = field(default_factory=dict)
    """By class, whether lighter than the picture, and whether out of focus."""
    veils: list[Veil] = field(default_factory=list)

    @property
    def white(self) -> float:
        """Mean of the lightest tone."""
        return float(self.light.mean())

    @property
    def black(self) -> float:
        """Mean of the darkest tone."""
        return float(self.dark.mean())

    @property
    def mm(self) -> float:
        """Pixels a millimetre of the original."""
        return self.settings.dpi / 25.4

    @property
    def longest(self) -> float:
        """The longer side in px."""
        return float(max(self.height, self.width))

    def sheet(self, kind: SimulatedClass, bright: bool, soft: bool = False) -> Sheet:
        """The sheet for such marks."""
        found = self.sheets.get((kind, bright, soft))
        if found is None:
            found = self.sheets[kind, bright, soft] = Sheet(self.height, self.width)
        return found

    def has(self, kind: SimulatedClass) -> bool:
        """Whether anything of a class is to be seen."""
        return any(key[0] == kind and sheet for key, sheet in self.sheets.items()) or any(
            veil.kind == kind for veil in self.veils
        )

    def is_bright(self, rng: np.random.Generator) -> bool:
        """The polarity of one mark."""
        return bool(rng.random() < self.settings.bright)

    def starts(self, rng: np.random.Generator, kind: SimulatedClass, share: float, reach: float) -> Path:
        """Random places (n, 2) px of a `share` of the class's marks, up to `reach` px outside of the picture."""
        margin = min(reach, 0.75 * self.longest)
        low, high = np.array([-margin, -margin]), np.array([self.width + margin, self.height + margin])
        centimetres = float(np.prod(high - low)) / (self.mm * 10) ** 2
        expected = self.settings.rates.get(kind, 0.0) * DENSITY[kind] * share * centimetres
        count = min(int(rng.poisson(min(expected, _MOST))), _MOST)
        return np.asarray(rng.uniform(low, high, (count, 2)))

    def misses(self, start: Path, end: Path, slack: float) -> bool:
        """Whether a line between two points, bent by up to `slack` px, lies beside the picture."""
        low, high = np.minimum(start, end) - slack, np.maximum(start, end) + slack
        return bool(high[0] < 0 or high[1] < 0 or low[0] > self.width or low[1] > self.height)

    def window(self, centre: Path, reach_x: float, reach_y: float) -> tuple[slice, slice] | None:
        """Rows and columns within reach of `centre`; None when all of it lies outside."""
        x0, x1 = max(int(centre[0] - reach_x), 0), min(int(centre[0] + reach_x) + 1, self.width)
        y0, y1 = max(int(centre[1] - reach_y), 0), min(int(centre[1] + reach_y) + 1, self.height)
        if x1 - x0 < 2 or y1 - y0 < 2:
            return None
        return slice(y0, y1), slice(x0, x1)
