"""Reduces published spectra to the few numbers that the palettes are made of: `reduced.json`.

Run it from the repository, with SciPy installed: `python -m models.palettes.reduce --packages DIR… --screens FILE
--names DIR`. Packages are the unpacked colour-science 0.4.7 (BSD-3-Clause: reflectances of test colours, the CIE's
observer and illuminants) and spectral-film-lut 0.18.13 (MIT: curves read off data sheets). Screens is
`src/libcolorscreen/spectrum-dyes.C` of the project Color-Screen at commit 151ea44ef5e87858353b5d35f15877eca99a88ed, of
which only measured transmittances are read. Names is the folder `Color/Library/Dictionary/NBS_ISCC` of the Perl module
Color::Library 0.021, which holds the dictionaries of NBS Special Publication 440. None of these is part of this
project, and nobody needs them to use the palettes or to run `models.palettes.make`.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from archive_restore.imaging.colour import lab_from_srgb

Numbers = npt.NDArray[np.float64]
WAVELENGTHS = np.arange(400, 701, 5.0)
"""Nanometres at which everything is looked at."""
HUES = 24
"""Directions in the plane of a* and b* for which the greatest chroma is written down, the first along +a*."""
SCREENS = {
    "autochrome": ("autochrome_orange", "autochrome_green", "autochrome_violet"),
    "dufaycolor": ("manual_dufay_red", "manual_dufay_green", "manual_dufay_blue"),
}
"""Names of the tables with the transmittance of each colour of a screen."""
REDDEST = 640.0
"""Nanometres beyond which a screen plate is taken to see nothing: an assumption, for no curve of one was found."""
FILMS = {
    "kodachrome-64": ("spectral_film_lut.reversal_film.kodachrome_64", "KODACHROME_64"),
    "technicolor-v": ("spectral_film_lut.print_film.technicolor_v", "TECHNICOLOR_V"),
}
NAMES = {
    "carmine": ("M R TC", "carmine"),
    "gamboge": ("M", "gamboge"),
    "Prussian blue": ("R", "prussian blue"),
    "indigo": ("M R", "indigo|indigo blue"),
    "Chinese vermilion": ("M", "chinese vermilion"),
    "yellow ochre": ("M R", "yellow ochre"),
    "sepia": ("M R", "sepia"),
    "flesh pink": ("R TC", "flesh pink"),
    "gold": ("M TC", "gold|old gold"),
    "saffron yellow": ("M", "saffron yellow"),
    "emerald green": ("M", "emerald green"),
    "crimson lake": ("M", "crimson lake"),
    "bamboo": ("M", "bamboo"),
    "blond wood": ("M", "blond"),
    "brick red": ("M R", "brick red"),
    "sand": ("M F TC", "sand"),
    "white cloth": ("TC", "white"),
    "olive drab paint": ("F", "olive drab"),
    "pastel cloth": ("TC", "pastel pink|pastel blue|baby pink|baby blue|aqua|maize|peach|nile|lavender"),
    "orange and coral cloth": ("TC", "orange|coral|salmon|tangerine|flame red"),
    "turquoise cloth": ("TC", "turquoise|blue turquoise|aqua"),
    "geranium red": ("M TC", "geranium"),
    "wall paint": ("P", ".*(white|ivory|cream|beige|gr[ae]y).*"),
    "pink paint": ("P", ".*pink.*"),
    "mint paint": ("P", ".*mint.*"),
    "turquoise paint": ("P", ".*(turquoise|aqua).*"),
    "charcoal": ("P", "charcoal.*"),
}
"""Dictionaries of NBS Special Publication 440, and which names in them: M, Maerz and Paul, Dictionary of Color; R,
Ridgway, Color Standards and Color Nomenclature; P, the Plochere Color System, for interiors; F, paints of Federal
Specification TT-C-595; TC, the Standard Color Card of America, of textiles."""
_ENTRY = re.compile(r"""^\['[^']*','[^']*',['"]([^'"]*)['"],\[[\d,]*\],'([0-9a-f]{6})'""", re.MULTILINE)
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


class Light:
    """The CIE's 1931 observer and D65 at WAVELENGTHS; turns spectra into CIELAB."""

    def __init__(self, colour: Any) -> None:
        observer = colour.MSDS_CMFS["CIE 1931 2 Degree Standard Observer"]
        self.observer: Numbers = np.array([observer[w] for w in WAVELENGTHS])
        self.day = _interpolated(_table(colour.SDS_ILLUMINANTS["D65"]))
        self.white = self.xyz(np.ones_like(WAVELENGTHS))

    def xyz(self, spectrum: Numbers) -> Numbers:
        """XYZ (…, 3) of reflectances or transmittances (…, w) under D65, 1 for a perfect white."""
        weights = self.day[:, None] * self.observer
        return np.asarray(spectrum @ weights / weights[:, 1].sum())

    def lab(self, xyz: Numbers) -> Numbers:
        """CIELAB (…, 3) against D65."""
        ratio = np.maximum(xyz / self.white, 0)
        root = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
        x, y, z = np.moveaxis(root, -1, 0)
        return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)

    def adapted(self, xyz: Numbers, white: Numbers) -> Numbers:
        """XYZ seen by an eye that takes `white` for white (Bradford; CIE 160:2004)."""
        gain = (_BRADFORD @ self.white) / (_BRADFORD @ white)
        return np.asarray(xyz @ (np.linalg.inv(_BRADFORD) @ np.diag(gain) @ _BRADFORD).T)


def _interpolated(table: Mapping[float, float], outside: float | None = None) -> Numbers:
    at, values = (np.array(column, float) for column in zip(*sorted(table.items()), strict=True))
    return np.interp(WAVELENGTHS, at, values, left=outside, right=outside)


def _table(distribution: Any) -> dict[float, float]:
    return dict(zip(distribution.wavelengths.tolist(), distribution.values.tolist(), strict=True))


def tables(source: str) -> dict[str, Numbers]:
    """Transmittances at WAVELENGTHS by the names of their arrays in a C++ file."""
    found = {}
    for name, body in re.findall(r"spectra_entry\s+(\w+)\s*\[\]\s*=\s*\{(.*?)\};", source, re.DOTALL):
        pairs = re.findall(r"\{\s*([-\d.]+)\s*,\s*([-\d.]+)\s*\}", body)
        found[name] = np.clip(_interpolated({float(w): float(t) for w, t in pairs}), 0, 1)
    return found


def screen(light: Light, colours: Sequence[Numbers], objects: Mapping[str, Numbers]) -> dict[str, Any]:
    """What a screen plate shows: taken and looked at through the same screen, by D65, at unit contrast.

    Assumed: the plate sees all wavelengths up to REDDEST alike, its filter makes gray gray, each colour has a third of
    the screen, and the eye takes clear film for white.
    """
    filters = np.array(colours)
    seen = light.xyz(filters) / 3
    white = seen.sum(axis=0)
    passed = filters * light.day * (WAVELENGTHS <= REDDEST)
    passed /= passed.sum(axis=1, keepdims=True)

    def lab(mix: Numbers) -> Numbers:
        return light.lab(light.adapted(mix @ seen / white[1], white / white[1]))

    cube = np.array(
        [mix for mix in itertools.product(np.linspace(0, 1, 41), repeat=3) if min(mix) == 0 or max(mix) == 1]
    )
    return {
        "xyY": [[*(xyz[:2] / xyz.sum()).tolist(), 3 * xyz[1]] for xyz in seen],
        "shown": {name: lab(passed @ spectrum) for name, spectrum in objects.items()},
        "gamut": gamut(lab(cube)),
    }


def named(folder: Path, dictionaries: str, names: str) -> dict[str, Any]:
    """Mean CIELAB of what dictionaries say of names, and how many colours they say: centroids of ISCC-NBS blocks."""
    found = []
    for dictionary in dictionaries.split():
        text = (folder / f"{dictionary}.pm").read_text("latin-1")
        for name, code in _ENTRY.findall(text):
            if re.fullmatch(names, name.strip()):
                found.append([int(code[at : at + 2], 16) / 255 for at in (0, 2, 4)])
    if not found:
        raise SystemExit(f"No {names!r} in {dictionaries}")
    lab = lab_from_srgb(np.array(found)).astype(np.float64)
    return {"count": len(found), "lab": lab.mean(axis=0)}


def film(light: Light, colour: Any, data: Any, objects: Mapping[str, Numbers]) -> dict[str, Any]:
    """What three dyes can show, and, of a reversal film, what they do show.

    An object's light exposes each layer by its sensitivity; a layer makes dye as it does in a gray of that exposure,
    18.4 % gray becoming a density of 1. White is what a white object becomes. Effects of one layer on another are left
    out, since no data sheet gives them.
    """
    dyes = np.array([_interpolated(dye) for dye in data.spectral_density])
    amounts = np.array(list(itertools.product(np.linspace(0, 3, 31), repeat=3)))
    made: dict[str, Any] = {"gamut": gamut(light.lab(light.xyz(10 ** -(amounts @ dyes))))}
    if data.film_type != "positive":
        return made
    sensitivity = np.array([10 ** _interpolated(layer, -4.0) for layer in data.log_sensitivity])
    sensitivity *= _interpolated(_table(colour.SDS_ILLUMINANTS["D55"]))
    curves = [np.array(sorted(curve.items())) for curve in data.sensiometric_curve]
    least = [curve[:, 1].min() for curve in curves]
    gray = [np.interp(-(1 + low), -curve[:, 1], curve[:, 0]) for curve, low in zip(curves, least, strict=True)]

    def dyed(spectrum: Numbers) -> Numbers:
        """XYZ of an object on the film."""
        exposure = np.log10(sensitivity @ spectrum / (0.184 * sensitivity.sum(axis=1)))
        density = [
            np.interp(at + middle, curve[:, 0], curve[:, 1]) - low
            for at, middle, curve, low in zip(exposure, gray, curves, least, strict=True)
        ]
        return light.xyz(10 ** -(np.array(density) @ dyes))

    white = dyed(np.ones_like(WAVELENGTHS))
    middle = dyed(np.full_like(WAVELENGTHS, 0.184))
    neutral = middle / middle[1] * white[1]
    made["shown"] = {name: light.lab(light.adapted(dyed(spectrum), neutral)) for name, spectrum in objects.items()}
    return made


def gamut(lab: Numbers) -> list[float]:
    """The greatest chroma near each of HUES directions, of colours (n, 3)."""
    hue = np.degrees(np.arctan2(lab[:, 2], lab[:, 1])) % 360
    chroma = np.hypot(lab[:, 1], lab[:, 2])
    width = 360 / HUES
    near = (np.rint(hue / width) % HUES).astype(int)
    return [float(chroma[near == k].max(initial=0)) for k in range(HUES)]


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _rounded(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_rounded(entry) for entry in value]
    return value if isinstance(value, int) else round(float(value), 4 if 0 < abs(value) < 1 else 1)


def main(arguments: Sequence[str]) -> None:
    """Write `reduced.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packages", type=Path, nargs="+", required=True)
    parser.add_argument("--screens", type=Path, required=True)
    parser.add_argument("--names", type=Path, required=True)
    given = parser.parse_args(arguments)
    sys.path[:0] = [str(path) for path in given.packages]
    colour = importlib.import_module("colour")
    light = Light(colour)
    fields = colour.SDS_COLOURCHECKERS["BabelColor Average"]
    objects = {name: _interpolated(_table(fields[name])) for name in fields}
    samples = importlib.import_module("colour.quality.datasets.tcs").SDS_TCS_CIE2024
    for name in samples:
        objects[f"CIE {name}"] = _interpolated(_table(samples[name]))
    grains = tables(given.screens.read_text("utf-8"))
    reduced: dict[str, Any] = {
        "objects": {name: light.lab(light.xyz(spectrum)) for name, spectrum in objects.items()},
        "screens": {
            name: screen(light, [grains[table] for table in names], objects) for name, names in SCREENS.items()
        },
        "films": {
            name: film(light, colour, getattr(importlib.import_module(module), constant), objects)
            for name, (module, constant) in FILMS.items()
        },
        "names": {name: named(given.names, *said) for name, said in NAMES.items()},
    }
    path = Path(__file__).with_name("reduced.json")
    path.write_text(json.dumps(_rounded(reduced), indent=1, ensure_ascii=False) + "\n", "utf-8")
    print(f"Wrote {path}")


if __name__ == "__main__":
    main(sys.argv[1:])
