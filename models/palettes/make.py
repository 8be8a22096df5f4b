"""Puts what is computed into the palettes that ship: colours and limits, with what they rest on.

`python -m models.palettes.make` rewrites archive_restore/palettes/*.json; `--check` only says which would change. The
numbers come from `reduced.json`, which `models.palettes.reduce` made of published ones. Whatever no entry here speaks
of was set by hand in the palette itself and is told there to be an estimate.
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from archive_restore.imaging.colour import lab_from_linear, srgb_from_lab, srgb_to_linear

Numbers = npt.NDArray[np.float64]
PALETTES = Path(__file__).parents[2] / "archive_restore" / "palettes"


@dataclass(frozen=True, kw_only=True)
class Rested:
    """A number, or a colour, and what it rests on."""

    value: Numbers
    """CIELAB (3,), or one number (1,)."""
    basis: str = "computed"
    """As in `schemas/palette.schema.json`."""
    sources: tuple[str, ...] = ()
    """Keys of SOURCES."""
    lit: bool = False
    """It is a thing under the sky: how light it is in a picture stays an estimate, and its chroma follows that."""

    def lab(self, lightness: float) -> list[float]:
        """CIELAB; of a lit thing at this L*: a* and b* go with the cube root of light, as L* + 16 does."""
        scale = (lightness + 16) / (self.value[0] + 16) if self.lit else 1.0
        light = lightness if self.lit else self.value[0]
        return [round(float(value), 1) + 0.0 for value in (light, *(scale * self.value[1:]))]


SOURCES: Mapping[str, tuple[str, str]] = {
    "colorchecker": (
        "BabelColor (Danny Pascale): average reflectances of 30 ColorChecker Classic charts, 2012; as distributed in"
        " colour-science 0.4.7 (Colour Developers, BSD-3-Clause), `SDS_COLOURCHECKERS`.",
        "Reflectances of the fields, some of which stand for skin, sky and foliage; CIELAB computed under D65.",
    ),
    "cie-samples": (
        "CIE 13.3-1995, Method of Measuring and Specifying Colour Rendering Properties of Light Sources, samples 13"
        " and 14, and sample 15 (skin of a Japanese woman) as of CIE 2024; as distributed in colour-science 0.4.7.",
        "Reflectances of light skin (13), leaf (14) and skin (15); CIELAB computed under D65.",
    ),
    "nbs-440": (
        "Kenneth L. Kelly and Deane B. Judd, Color: Universal Language and Dictionary of Names, National Bureau of"
        " Standards Special Publication 440, Washington 1976; its dictionaries as transcribed in Color::Library 0.021.",
        "Centroids of the ISCC-NBS blocks that its dictionaries assign to a name: what was sold or described under the"
        " name, not what was seen in photographs. M is Maerz and Paul, R Ridgway, P Plochere, F TT-C-595, TC textiles.",
    ),
    "autochrome-grains": (
        "Transmittances of orange, green and violet grains of an Autochrome, 393–729 nm, tables `autochrome_orange`,"
        " `_green` and `_violet` of src/libcolorscreen/spectrum-dyes.C in Color-Screen (Jan Hubička), commit 151ea44.",
        "How fields of the ColorChecker come out when taken and seen through such grains. Assumed: a plate blind beyond"
        " 640 nm, thirds of each colour, unit contrast. The file does not say who measured them, nor on which plate.",
    ),
    "dufay-reseau": (
        "Dufaycolor manual, chart “Transmission of Dufaycolor Reseau”, as read off in tables `manual_dufay_*` of"
        " src/libcolorscreen/spectrum-dyes.C in Color-Screen (Jan Hubička), commit 151ea44.",
        "How fields of the ColorChecker come out when taken and seen through the screen. Assumed: a film blind beyond"
        " 640 nm, thirds of each colour, unit contrast.",
    ),
    "kodachrome-64": (
        "Kodak's data sheet of Kodachrome 64 (1974), sensitivities, characteristic curves and dye densities as read off"
        " in spectral-film-lut 0.18.13 (Jan Lohse, MIT), `kodachrome_64.py`.",
        "How fields of the ColorChecker come out on that film, without effects of one layer on another. It is a later"
        " film than the palette speaks of; no curves of the earlier ones were found.",
    ),
    "technicolor-v": (
        "Dye densities of Technicolor V (1954) as read off in spectral-film-lut 0.18.13 (Jan Lohse, MIT),"
        " `technicolor_v.py`, which itself calls its results experimental.",
        "The greatest chroma that the three dyes show together at any hue.",
    ),
}
"""What was opened: citation, and what was taken from it."""


# --- formulas --------------------------------------------------------------------------------------


@functools.cache
def reduced() -> Mapping[str, Any]:
    """The numbers that published ones were reduced to."""
    return json.loads(Path(__file__).with_name("reduced.json").read_bytes())  # type: ignore[no-any-return]


def _mean(table: Mapping[str, Sequence[float]], names: Sequence[str]) -> Numbers:
    return np.mean([table[name] for name in names], axis=0)


def thing(*fields: str) -> Rested:
    """Fields of the ColorChecker and samples of the CIE, as they are; their mean."""
    sources = sorted({"cie-samples" if field.startswith("CIE") else "colorchecker" for field in fields})
    return Rested(
        value=_mean(reduced()["objects"], fields),
        sources=tuple(sources),
        lit=True,
    )


def shown(process: str, *fields: str) -> Rested:
    """The same as a process shows them."""
    kind, name, source = {
        "autochrome": ("screens", "autochrome", "autochrome-grains"),
        "dufaycolor": ("screens", "dufaycolor", "dufay-reseau"),
        "kodachrome": ("films", "kodachrome-64", "kodachrome-64"),
    }[process]
    sources = {"cie-samples" if field.startswith("CIE") else "colorchecker" for field in fields}
    return Rested(
        value=_mean(reduced()[kind][name]["shown"], fields),
        sources=(source, *sorted(sources)),
        lit=True,
    )


def name(word: str) -> Rested:
    """What the dictionaries say of a name: the mean of its centroids."""
    return Rested(value=np.array(reduced()["names"][word]["lab"]), sources=("nbs-440",))


def wash(light: float, **strengths: float) -> Rested:
    """Washes of paints over a gray of this L*: each takes its share of the light as often as it is laid on (Beer and
    Lambert's law in linear sRGB); 1 is the paint at full strength. The strengths are ours."""
    gray = srgb_to_linear(srgb_from_lab(np.array([[light, 0, 0]])))[0].astype(np.float64)
    for word, strength in strengths.items():
        full = np.array([reduced()["names"][word.replace("_", " ")]["lab"]])
        gray = gray * np.maximum(srgb_to_linear(srgb_from_lab(full))[0], 0.01) ** strength
    lab = lab_from_linear(gray[None])[0].astype(np.float64)
    return Rested(value=lab, sources=("nbs-440",))


def reach(kind: str, source: str, which: Callable[[Sequence[float]], float]) -> Rested:
    """The least or the greatest of the chromas that a process reaches at the hues."""
    group, _, entry = kind.partition("/")
    return Rested(value=np.array([which(reduced()[group][entry]["gamut"])]), sources=(source,))


def strongest(process: str) -> Rested:
    """The greatest chroma of the ColorChecker's fields as a process shows them."""
    fields = [field for field in reduced()["objects"] if not field.startswith("CIE")]
    found = [shown(process, field) for field in fields]
    return Rested(value=np.array([max(np.hypot(*one.value[1:]) for one in found)]), sources=found[0].sources)


# --- what is computed ------------------------------------------------------------------------------

BARE = Rested(value=np.array([56.0, 0, 0]), basis="defined")
"""What is left unpainted: no colour is put there. A definition, no claim."""

COLOURS: Mapping[str, Mapping[str, Rested]] = {
    "autochrome": {
        "foliage": shown("autochrome", "foliage", "CIE TCS14"),
        "sky and water": shown("autochrome", "blue sky"),
        "skin": shown("autochrome", "light skin", "CIE TCS13", "CIE TCS15"),
        "red": shown("autochrome", "red", "moderate red"),
        "pale cloth": shown("autochrome", "neutral 8 (.23 D)"),
    },
    "dufaycolor": {
        "foliage": shown("dufaycolor", "foliage", "CIE TCS14"),
        "sky": shown("dufaycolor", "blue sky"),
        "skin": shown("dufaycolor", "light skin", "CIE TCS13"),
        "red": shown("dufaycolor", "red", "moderate red"),
        "blue": shown("dufaycolor", "blue", "purplish blue"),
        "pale cloth": shown("dufaycolor", "neutral 8 (.23 D)"),
    },
    "kodachrome": {
        "sky": shown("kodachrome", "blue sky"),
        "foliage": shown("kodachrome", "foliage", "CIE TCS14"),
        "skin": shown("kodachrome", "light skin", "CIE TCS13"),
        "red": shown("kodachrome", "red", "moderate red"),
        "deep blue": shown("kodachrome", "purplish blue"),
        "white and gray": shown("kodachrome", "neutral 6.5 (.44 D)"),
        "yellow": shown("kodachrome", "yellow", "orange yellow"),
    },
    "three-colour-russia": {
        "meadow and wood": thing("foliage", "CIE TCS14"),
        "skin": thing("light skin"),
        "white wall": thing("neutral 8 (.23 D)"),
    },
    "hand-coloured": {
        "rouged skin": name("flesh pink"),
        "pale blue": wash(84, Prussian_blue=0.3),
        "rose": wash(84, carmine=0.3),
        "green wash": wash(78, gamboge=0.35, Prussian_blue=0.25),
        "gilt": name("gold"),
        "brown": wash(60, sepia=0.5),
    },
    "jp-hand-coloured": {
        "rouged skin": wash(85, carmine=0.1, yellow_ochre=0.2),
        "indigo": wash(84, indigo=0.8),
        "cherry": wash(85, carmine=0.35),
        "leaf green": wash(80, gamboge=0.5, Prussian_blue=0.35),
        "vermilion": name("Chinese vermilion"),
        "sky wash": wash(88, Prussian_blue=0.2),
    },
    "in-hand-painted": {
        "skin": thing("light skin", "dark skin"),
        "saffron": name("saffron yellow"),
        "deep green": wash(62, emerald_green=1.0),
        "crimson": name("crimson lake"),
        "blue": name("Prussian blue"),
        "white cloth": name("white cloth"),
    },
    "cn-1960s-family": {
        "wood and bamboo": name("bamboo"),
        "earth and brick": name("brick red"),
    },
    "us-1950s-home": {
        "painted wall": name("wall paint"),
        "blond wood": name("blond wood"),
        "skin": thing("light skin", "CIE TCS13"),
        "mint": name("mint paint"),
        "pink": name("pink paint"),
        "turquoise": name("turquoise paint"),
        "red": name("geranium red"),
        "charcoal": name("charcoal"),
    },
    "us-1970s-beach": {
        "warm sand": name("sand"),
        "tanned skin": thing("light skin", "dark skin"),
        "pastel cloth": name("pastel cloth"),
        "orange and red": name("orange and coral cloth"),
        "turquoise": name("turquoise cloth"),
        "grass and scrub": thing("foliage", "CIE TCS14"),
    },
}  # fmt: skip
"""By palette and colour; colours that are not here are estimates."""

LIMITS: Mapping[str, Rested] = {
    "autochrome": reach("screens/autochrome", "autochrome-grains", min),
    "dufaycolor": reach("screens/dufaycolor", "dufay-reseau", min),
    "kodachrome": strongest("kodachrome"),
    "technicolor": reach("films/technicolor-v", "technicolor-v", max),
}
"""Limits of chroma by palette; others are estimates."""


# --- writing ---------------------------------------------------------------------------------------


def made(palette: Mapping[str, Any]) -> dict[str, Any]:
    """A palette document with all that is computed put into it."""
    colours, used = [], []
    for colour in palette["colours"]:
        rested = BARE if colour.get("bare") else COLOURS.get(palette["id"], {}).get(colour["name"])
        entry = {key: colour[key] for key in ("name", "weight", "lab", "deviation")}
        if rested is not None:
            entry["lab"] = rested.lab(colour["lab"][0])
        entry["basis"] = "estimated" if rested is None else rested.basis
        if rested is not None and rested.sources:
            entry["from"] = list(rested.sources)
            used += rested.sources
        if colour.get("bare"):
            entry["bare"] = True
        colours.append(entry)
    document = {**palette, "colours": colours, "basis": dict(palette["basis"])}
    if palette["id"] in LIMITS:
        limit = LIMITS[palette["id"]]
        document["chroma_limit"] = round(float(limit.value[0]), 1)
        document["basis"]["chroma_limit"] = limit.basis
        used += limit.sources
    ours = [source for source in palette["sources"] if "id" not in source]
    cited = [
        {"id": key, "citation": citation, "taken": taken} for key, (citation, taken) in SOURCES.items() if key in used
    ]
    document["sources"] = [*cited, *ours]
    return document


def written(document: Mapping[str, Any]) -> str:
    """The document as it stands in its file: a line a field, a colour or a source."""
    lines = []
    for key, value in document.items():
        if key in {"colours", "sources"}:
            entries = ",\n".join(f"    {json.dumps(entry, ensure_ascii=False)}" for entry in value)
            lines.append(f'  "{key}": [\n{entries}\n  ]')
        else:
            lines.append(f'  "{key}": {json.dumps(value, ensure_ascii=False)}')
    return "{\n" + ",\n".join(lines) + "\n}\n"


def main(arguments: Sequence[str]) -> int:
    """Write the palettes; with `--check`, only compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args(arguments).check
    differ = 0
    for path in sorted(PALETTES.glob("*.json")):
        text = written(made(json.loads(path.read_text("utf-8"))))
        if text == path.read_text("utf-8"):
            continue
        differ += 1
        print(f"{'Differs' if check else 'Wrote'}: {path.name}")
        if not check:
            path.write_text(text, "utf-8")
    return int(check and differ > 0)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
