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

from archive_restore.imaging.colour import lab_from_linear, lab_from_srgb

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
STOCKS = {
    "kodachrome-64": ("reversal_film.kodachrome_64", "KODACHROME_64"),
    "fp-100c": ("reversal_film.fuji_fp100c", "FUJI_FP100C"),
    "technicolor-iv": ("reversal_film.technicolor_iv", "TECHNICOLOR_IV_ALT_2"),
    "eastman-5222": ("bw_negative_film.kodak_5222", "KODAK_5222_DEV_9"),
    "eastman-5250": ("negative_film.kodak_5250", "KODAK_5250"),
    "eastman-5381": ("print_film.kodak_5381", "KODAK_5381"),
}
"""Curves read off data sheets: module of spectral_film_lut and the constant in it."""
TRANSPARENCY, PAPER = 1.0, 0.74
"""Density of an 18.4 % gray: of films that light falls through, and of prints (where it is as dark as the gray was)."""
NEGATIVE = 0.6
"""Density above the base of an 18.4 % gray in a negative: in the straight part of all of them."""
SEPARATION = ("25", "58", "47")
"""Kodak's filters for separations, red, green and blue; those of the three-strip camera were not found."""
AGFACOLOR_AT = range(400, 701, 25)
AGFACOLOR = (
    (-4, -4, -4, -4, -4, -4, -4, -4, -0.43, -0.15, 0.00, -0.03, -0.23),
    (-4, -4, -4, -4, -1.02, -0.42, 0.00, -0.17, -0.72, -1.07, -4, -4, -4),
    (-0.40, -0.12, 0.00, -0.08, -0.70, -1.55, -2.08, -2.40, -4, -4, -4, -4, -4),
)
"""Logarithm of the sensitivity of Agfacolor Negative type B, red to blue, at AGFACOLOR_AT nanometres: Schmidt and
Kochs, Farbfilmtechnik, Berlin 1943, figure 59a, as ImageLab (MaratShch) reads it: notes of 4 August 2026, 5.2."""
AGFACOLOR_GAMMA = 0.65
"""Slope of the negative: printed for Gevacolor 652, of the same kind (Cheltsov and Bongard 1958, as told there)."""
NAMES = {
    "carmine": ("M R TC", "carmine"),
    "chrome yellow": ("F", "chrome yellow"),
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
    "oak": ("M TC P", r"oak ?\[brown\]|english oak|oakwood|light oak"),
    "blond wood": ("M", "blond"),
    "brick red": ("M R", "brick red"),
    "white cloth": ("TC", "white"),
    "steel gray": ("M TC", "steel|steel grey"),
    "olive drab": ("M F", "olive drab"),
    "Turkey red": ("M", "turkey red"),
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
    """Mean CIELAB of what dictionaries say of names, how far that varies and how many colours they say: centroids of
    ISCC-NBS blocks."""
    found = []
    for dictionary in dictionaries.split():
        text = (folder / f"{dictionary}.pm").read_text("latin-1")
        for name, code in _ENTRY.findall(text):
            if re.fullmatch(names, name.strip()):
                found.append([int(code[at : at + 2], 16) / 255 for at in (0, 2, 4)])
    if not found:
        raise SystemExit(f"No {names!r} in {dictionaries}")
    lab = lab_from_srgb(np.array(found)).astype(np.float64)
    return {"count": len(found), "lab": lab.mean(axis=0), "deviation": lab.std(axis=0)}


# --- films and prints ------------------------------------------------------------------------------

Curves = Sequence[Numbers]
"""Of each layer, red-sensitive to blue-sensitive: logarithm of exposure and density (n, 2), exposure rising."""


def curves_of(data: Any) -> Curves:
    """The characteristic curves of a stock, each above its least density."""
    found = [np.array(sorted(curve.items())) for curve in data.sensiometric_curve]
    return [np.column_stack([curve[:, 0], curve[:, 1] - curve[:, 1].min()]) for curve in found]


def even(curves: Curves, gray: float) -> Curves:
    """The mean of three curves, for each layer: a scale of grays stays gray, as printers see to it."""
    middle = [float(np.interp(gray, curve[:, 1], curve[:, 0])) for curve in curves]
    at = np.linspace(-1.5, 1.5, 121)
    density = [np.interp(at + x, curve[:, 0], curve[:, 1]) for x, curve in zip(middle, curves, strict=True)]
    return [np.column_stack([at, np.mean(density, axis=0)])] * 3


def dyes_of(data: Any) -> Numbers:
    """Densities (3, w) of the cyan, magenta and yellow dye of a stock."""
    return np.array([_interpolated(dye) for dye in data.spectral_density])


def seen_by(layers: Sequence[Mapping[float, float]], light: Numbers) -> Numbers:
    """What layers of these logarithms of sensitivity see of each wavelength of a light, (3, w)."""
    return np.array([10 ** _interpolated(layer, -4.0) for layer in layers]) * light


def neutral(light: Light, dyes: Numbers, density: float) -> Numbers:
    """How much of each dye (3,) makes a gray of this density, by Newton's method."""
    amounts = np.full(3, density)
    aim = light.white * 10**-density
    for _ in range(50):
        made = light.xyz(10 ** -(amounts @ dyes))
        slopes = np.array([(light.xyz(10 ** -((amounts + step) @ dyes)) - made) / 1e-4 for step in 1e-4 * np.eye(3)])
        amounts = amounts + np.linalg.solve(slopes.T, aim - made)
    return np.asarray(amounts)


def developed(curves: Curves, gray: float, stops: Numbers) -> Numbers:
    """Density of each layer (…, 3) as parts of that of a gray, at logarithms of exposure (…, 3) from the gray's."""
    parts = []
    for layer, curve in enumerate(curves):
        rising = curve if curve[-1, 1] > curve[0, 1] else curve[::-1]
        middle = np.interp(gray, rising[:, 1], rising[:, 0])
        parts.append(np.interp(stops[..., layer] + middle, curve[:, 0], curve[:, 1]) / gray)
    return np.stack(parts, axis=-1)


def stops(seen: Numbers, spectra: Numbers) -> Numbers:
    """Logarithms of exposure (…, 3) from that of an 18.4 % gray, of reflectances (…, w)."""
    return np.asarray(np.log10(np.maximum(spectra @ seen.T, 1e-9) / (0.184 * seen.sum(axis=1))))


def looked_at(light: Light, dyes: Numbers, gray: float, parts: Numbers) -> Numbers:
    """CIELAB of dyes, in parts (…, 3) of what makes a gray; the last is taken for white, and gives only how light."""
    xyz = light.xyz(10 ** -((parts * neutral(light, dyes, gray)) @ dyes))
    return light.lab(xyz / xyz[-1, 1])


def film(
    light: Light, data: Any, objects: Mapping[str, Numbers], seen: Numbers, gray: float = TRANSPARENCY
) -> dict[str, Any]:
    """What a reversal film, or an instant print, shows of objects.

    An object's light exposes each layer by its sensitivity; a layer makes dye as it does in a gray of that exposure,
    18.4 % gray becoming a neutral gray. Effects of one layer on another are left out, since no data sheet gives them.
    """
    spectra = np.array([*objects.values(), np.ones_like(WAVELENGTHS)])
    parts = developed(curves_of(data), gray, stops(seen, spectra))
    return {"shown": dict(zip(objects, looked_at(light, dyes_of(data), gray, parts), strict=False))}


def density_above_gray(curves: Curves, exposed: Numbers) -> Numbers:
    """Density (…, 3) of a negative above that of its gray, at logarithms of exposure from the gray's."""
    return NEGATIVE * (developed(curves, NEGATIVE, exposed) - 1)


def unmasked_above_gray(dyes: Numbers, eye: Numbers, amounts: Numbers) -> Numbers:
    """Density (…, 3) above that of a gray, of dyes without masks, as three sensors (3, w) see it; `amounts` (…, 3) are
    the densities that the layers have in a gray, so that a scale of grays has the slope that was measured on it."""

    def density(made: Numbers) -> Numbers:
        return np.asarray(-np.log10(10 ** -(made @ dyes) @ eye.T))

    unit = np.ones(3) / dyes.max(axis=1)
    for _ in range(50):
        unit = unit * NEGATIVE / density(NEGATIVE * unit)
    return density(amounts * unit) - density(np.full(3, NEGATIVE) * unit)


def printed(light: Light, negative: Numbers, paper: Any, objects: Mapping[str, Numbers]) -> dict[str, Any]:
    """What a print shows of objects, from densities (n + 1, 3) that its layers see in the negative: the objects' and,
    last, that of white; a gray has 0. It is timed as printers do, 18.4 % gray becoming a neutral gray."""
    parts = developed(even(curves_of(paper), TRANSPARENCY), TRANSPARENCY, -negative)
    return {"shown": dict(zip(objects, looked_at(light, dyes_of(paper), TRANSPARENCY, parts), strict=False))}


def films(light: Light, colour: Any, stocks: Mapping[str, Any], objects: Mapping[str, Numbers]) -> dict[str, Any]:
    """What films and prints show of objects."""
    day = _interpolated(_table(colour.SDS_ILLUMINANTS["D55"]))
    spectra = np.array([*objects.values(), np.ones_like(WAVELENGTHS)])
    kodachrome, instant = stocks["kodachrome-64"], stocks["fp-100c"]
    three_strip, negative, print_film = stocks["eastman-5222"], stocks["eastman-5250"], stocks["eastman-5381"]

    # Three black-and-white negatives behind separation filters: put together as three lights of sRGB at unit contrast,
    # or printed with dyes one after the other.
    wratten = importlib.import_module("spectral_film_lut.wratten_filters").WRATTEN
    filters = np.array([np.interp(WAVELENGTHS, np.arange(380, 781, 10), wratten[name]) for name in SEPARATION])
    exposed = stops(filters * seen_by(three_strip.log_sensitivity, day), spectra)
    strips = density_above_gray(curves_of(three_strip) * 3, exposed)

    # Masks are taken to cancel what a dye absorbs beside its own third of the spectrum.
    masked = density_above_gray(curves_of(negative), stops(seen_by(negative.log_sensitivity, day), spectra))

    # Without masks, each layer of the print sees all three dyes.
    agfacolor = [dict(zip(AGFACOLOR_AT, layer, strict=True)) for layer in AGFACOLOR]
    amounts = np.maximum(NEGATIVE + AGFACOLOR_GAMMA * stops(seen_by(agfacolor, day), spectra), 0)
    status = importlib.import_module("spectral_film_lut.densiometry").DENSIOMETRY["status_m"]
    eye = np.array([np.interp(WAVELENGTHS, np.arange(380, 781, 10), column) for column in status.T])
    unmasked = unmasked_above_gray(dyes_of(print_film), eye / eye.sum(axis=1, keepdims=True), amounts)
    return {
        "kodachrome-64": film(light, kodachrome, objects, seen_by(kodachrome.log_sensitivity, day)),
        "fp-100c": film(light, instant, objects, seen_by(instant.log_sensitivity, day), PAPER),
        "three-colour": {"shown": dict(zip(objects, lab_from_linear(0.184 * 10**exposed), strict=False))},
        "technicolor": printed(light, strips, stocks["technicolor-iv"], objects),
        "eastman-print": printed(light, masked, print_film, objects),
        "agfacolor": printed(light, unmasked, print_film, objects),
    }


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
    stocks = {
        name: getattr(importlib.import_module(f"spectral_film_lut.{module}"), constant)
        for name, (module, constant) in STOCKS.items()
    }
    reduced: dict[str, Any] = {
        "objects": {name: light.lab(light.xyz(spectrum)) for name, spectrum in objects.items()},
        "screens": {
            name: screen(light, [grains[table] for table in names], objects) for name, names in SCREENS.items()
        },
        "films": films(light, colour, stocks, objects),
        "names": {name: named(given.names, *said) for name, said in NAMES.items()},
    }
    path = Path(__file__).with_name("reduced.json")
    path.write_text(json.dumps(_rounded(reduced), indent=1, ensure_ascii=False) + "\n", "utf-8")
    print(f"Wrote {path}")


if __name__ == "__main__":
    main(sys.argv[1:])
