"""Makes the colours and limits of the palettes that ship, with what they rest on.

`python -m models.palettes.make` rewrites archive_restore/palettes/*.json; `--check` only says which would change. What
a palette is for (title, years, regions, process, further reading) stands in its own file. Every number comes from
`reduced.json`, which `models.palettes.reduce` made of published ones, and from `things.json`, which says how much of
photographs things take, how light they are and how far their colours vary. A colour is a thing, through a process.
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from archive_restore.imaging.colour import lab_from_linear, srgb_from_lab, srgb_to_linear
from models.palettes import things

Numbers = npt.NDArray[np.float64]
PALETTES = Path(__file__).parents[2] / "archive_restore" / "palettes"


@dataclass(frozen=True, kw_only=True)
class Colour:
    """A usual colour of a palette, before it has a share."""

    things: tuple[str, ...]
    """Keys in `things.json` whose share, or a part of it, the colour has."""
    lab: Numbers
    """CIELAB (3,)."""
    deviation: Numbers
    """Standard deviation of each (3,)."""
    sources: tuple[str, ...]
    """Keys of SOURCES."""
    basis: str = "computed"
    """As in `schemas/palette.schema.json`."""
    bare: bool = False


SOURCES: Mapping[str, tuple[str, str]] = {
    "colorchecker": (
        "BabelColor (Danny Pascale): average reflectances of 30 ColorChecker Classic charts, 2012; as distributed in"
        " colour-science 0.4.7 (Colour Developers, BSD-3-Clause), `SDS_COLOURCHECKERS`.",
        "Reflectances of the fields, some of which stand for skin, sky, foliage and cloth; CIELAB computed under D65.",
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
        "What things become when taken and seen through such grains. Assumed: a plate blind beyond"
        " 640 nm, thirds of each colour, unit contrast. The file does not say who measured them, nor on which plate.",
    ),
    "dufay-reseau": (
        "Dufaycolor manual, chart “Transmission of Dufaycolor Reseau”, as read off in tables `manual_dufay_*` of"
        " src/libcolorscreen/spectrum-dyes.C in Color-Screen (Jan Hubička), commit 151ea44.",
        "What things become when taken and seen through the screen. Assumed: a film blind beyond"
        " 640 nm, thirds of each colour, unit contrast.",
    ),
    "kodachrome-64": (
        "Kodak's data sheet of Kodachrome 64 (1974), sensitivities, characteristic curves and dye densities as read off"
        " in spectral-film-lut 0.18.13 (Jan Lohse, MIT), `kodachrome_64.py`.",
        "What things become on that film, without effects of one layer on another. It is a later"
        " film than the palette speaks of; no curves of the earlier ones were found.",
    ),
    "technicolor-iv": (
        "Dye densities and matrix curve of Technicolor IV, Kodak's negative 5222 and Wratten filters 25, 58 and 47, as"
        " read off in spectral-film-lut 0.18.13 (Jan Lohse, MIT), `technicolor_iv.py` (second alternative),"
        " `kodak_5222.py`, `wratten_filters.py`.",
        "What things become: three negatives behind filters, printed in three dyes. Negative and filters are later"
        " ones, in place of the camera's; the reader of the data calls the process experimental.",
    ),
    "separations": (
        "Kodak's panchromatic negative 5222 and Wratten filters 25, 58 and 47, as read off in spectral-film-lut 0.18.13"
        " (Jan Lohse, MIT), `kodak_5222.py` and `wratten_filters.py`.",
        "What things become in three records put together as red, green and blue of sRGB, as is done with such plates"
        " today, at unit contrast. Film and filters are later ones; none of those years were found.",
    ),
    "flueckiger-2018": (
        "B. Flueckiger, D. Pfluger, G. Trumpy, S. Croci, T. Aydın and A. Smolic, Investigation of Film Material–Scanner"
        " Interaction, version 1.1, University of Zurich 2018, section 2.8.2, as told in `flueckiger_2018.py` of"
        " ImageLab (MaratShch).",
        "Absorption maxima measured on a Technicolor print of 1949, about 460, 540 and 660 nm, to choose among three"
        " readings of the dyes: those of the one that was taken lie at 450, 540 and 655 nm.",
    ),
    "eastman-color": (
        "Kodak's data of Eastman Color Negative 5250 (1959) and Eastman Color Print Film 5381 (1950) as read off in"
        " spectral-film-lut 0.18.13 (Jan Lohse, MIT), `kodak_5250.py` and `kodak_5381.py`, which call them unreliable.",
        "What things become on that negative and its print, when new: films of the maker and the years of"
        " Kodacolor, of which no data were found. Masks taken to be perfect, the mean of the print's three curves.",
    ),
    "agfacolor-1943": (
        "R. Schmidt and A. Kochs, Farbfilmtechnik, Max Hesse, Berlin 1943, figure 59a: sensitivity of Agfacolor"
        " Negative type B, as read off every 25 nm in the notes of 4 August 2026 of ImageLab (MaratShch), section 5.2.",
        "What the layers see. The figure is schematic: wavelengths are good to 10 nm.",
    ),
    "cheltsov-1958": (
        "V. S. Cheltsov and S. A. Bongard, on colour development of three-layer materials, Moscow 1958, as told in the"
        " notes of 13 August 2026 of ImageLab (MaratShch): slope of Gevacolor Negative 652, 0.65.",
        "The slope of the negative, of a film of the same kind.",
    ),
    "stand-in-dyes": (
        "Kodak's data of Eastman Color Print Film 5381 (1950) as read off in spectral-film-lut 0.18.13 (Jan Lohse,"
        " MIT), `kodak_5381.py`, which calls them unreliable; ISO 5-3 Status M densities as in its `densiometry.py`.",
        "Dyes of negative and print, and curve of the print: they stand in for Agfa's, of which no spectrum was"
        " found. Without masks, each layer of the print sees all three dyes of the negative.",
    ),
    "wolfen": (
        "“Agfa Agfacolor”, German Wikipedia: Agfacolor of VEB Filmfabrik Agfa Wolfen, 1954–1964, superseded by"
        " Orwocolor of the same factory.",
        "That the films are kin. No number of Orwocolor itself was found: they are those of Agfacolor.",
    ),
    "fp-100c": (
        "Fujifilm's data sheet of the instant film FP-100C (2002), sensitivities, characteristic curves and dye"
        " densities as read off in spectral-film-lut 0.18.13 (Jan Lohse, MIT), `fuji_fp100c.py`.",
        "What things become on that sheet, without effects of one layer on another. No data of SX-70 or Polacolor were"
        " found; their whites and contrasts were others.",
    ),
    "fritz-1895": (
        "Georg Fritz, Photo-Lithography, translated by E. J. Wall, Dawbarn and Ward, London 1895, from page 74 on: the"
        " patent asphalt process of Orell, Füssli and Co., used for the preparation of colour prints.",
        "How Photochroms were printed: one stone a colour over one another, light colours with more tone and less"
        " detail. It gives no strengths.",
    ),
    "mackellar-1885": (
        "Thomas MacKellar, The American Printer, Philadelphia 1885, “How to multiply colours”, as quoted in “Ink"
        " mixing”, letterpresscommons.com.",
        "Which inks a printer mixed: yellow, carmine and blue; green of yellow and blue, vermilion of yellow and"
        " carmine, brown of carmine, yellow and black.",
    ),
    "dress-in-china": (
        "Sara Pendergast and Tom Pendergast, Fashion, Costume, and Culture, UXL, Detroit 2004, “Dress in Communist"
        " China”.",
        "Which colours clothes had: dark blue for workers, gray for clerks, green for soldiers. No number.",
    ),
}  # fmt: skip
"""What was opened: citation, and what was taken from it. `models.palettes.things` has its own."""


# --- numbers ---------------------------------------------------------------------------------------


@functools.cache
def reduced() -> Mapping[str, Any]:
    """The numbers that published ones were reduced to."""
    return json.loads(Path(__file__).with_name("reduced.json").read_bytes())  # type: ignore[no-any-return]


@functools.cache
def measured() -> Mapping[str, Any]:
    """What `models.palettes.measure` says of things in photographs."""
    return json.loads(Path(__file__).with_name("things.json").read_bytes())  # type: ignore[no-any-return]


SKY = ("blue sky", "cloud")
CLOTH = ("pale cloth", "dark cloth", "gray cloth", "red cloth", "blue cloth")
PERSON = ("skin", "hair", *CLOTH)
OUTDOORS = (*SKY, "water", "mountain", "rock", "sand", "earth", "grass", "dry grass", "foliage", "road")
BUILT = ("stone", "brick", "concrete", "painted wall", "wood")
THINGS = (*OUTDOORS, *BUILT, *PERSON)
"""Things that palettes speak of; of a few others in `things.json` less is known, or they take hardly any place."""
PEOPLED = 0.231
"""Share of a picture that a whole figure takes: what is not background in Clothing Co-Parsing (`ccp`)."""


def share(thing: str, setting: str, peopled: bool) -> float:
    """Share of a thing outdoors, indoors or in both alike (`setting` empty); `peopled`: with people as large as whole
    figures are, all else smaller by the same part."""

    def taken(group: Mapping[str, Any]) -> float:
        by = group["share"]
        return float(by[setting]) if setting else (by["outdoor"] + by["indoor"]) / 2

    groups = measured()["groups"]
    usual = taken(groups["person"])
    sizes = {
        key: taken(group) if not peopled else PEOPLED if key == "person" else taken(group) * (1 - PEOPLED) / (1 - usual)
        for key, group in groups.items()
    }
    return sum(sizes[key] * float(group["things"].get(thing, 0.0)) for key, group in groups.items())


@functools.cache
def seen(*names: str) -> tuple[Numbers, Numbers]:
    """Mean CIELAB (3,) and covariance (3, 3) of things together, each by its share in- and outdoors."""
    entries = [measured()["things"][thing] for thing in names]
    parts = np.array([sum(entry["share"].values()) or 1.0 for entry in entries])
    parts /= parts.sum()
    means = np.array([entry["lab"] for entry in entries])
    mean = parts @ means
    off = means - mean
    within = np.tensordot(parts, np.array([entry["covariance"] for entry in entries]), 1)
    return mean, within + (parts[:, None] * off).T @ off


PROCESSES: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "autochrome": ("screens", "autochrome", ("autochrome-grains",)),
    "dufaycolor": ("screens", "dufaycolor", ("dufay-reseau",)),
    "kodachrome": ("films", "kodachrome-64", ("kodachrome-64",)),
    "three-colour": ("films", "three-colour", ("separations",)),
    "technicolor": ("films", "technicolor", ("technicolor-iv", "flueckiger-2018")),
    "kodacolor": ("films", "eastman-print", ("eastman-color",)),
    "agfacolor": ("films", "agfacolor", ("agfacolor-1943", "cheltsov-1958", "stand-in-dyes")),
    "orwocolor": ("films", "agfacolor", ("agfacolor-1943", "cheltsov-1958", "stand-in-dyes")),
    "instant": ("films", "fp-100c", ("fp-100c",)),
}
"""Where in `reduced.json` it stands what a process shows of test colours, and what that rests on."""


NAMED = {"kodacolor": "kodacolor-prints", "instant": "instant-prints", "three-colour": "three-colour-russia"}
"""Palettes that are called otherwise than their process."""


def shown(process: str) -> Mapping[str, Sequence[float]]:
    """CIELAB of test colours as a process shows them; as they are where it is empty."""
    if not process:
        return reduced()["objects"]  # type: ignore[no-any-return]
    group, name, _ = PROCESSES[process]
    return reduced()[group][name]["shown"]  # type: ignore[no-any-return]


def lit(lab: Numbers, light: float) -> Numbers:
    """A colour at another L*: a* and b* go with the cube root of light, as L* + 16 does."""
    return np.array([light, *((light + 16) / (lab[0] + 16) * lab[1:])])


@functools.cache
def way(process: str) -> Numbers:
    """What a process makes of a* and b*, at equal lightness (2, 2): least squares over all test colours."""
    objects = reduced()["objects"]
    seen = np.array([lit(np.array(lab), 50)[1:] for lab in objects.values()])
    made = np.array([lit(np.array(shown(process)[name]), 50)[1:] for name in objects])
    return np.asarray(np.linalg.lstsq(seen, made, rcond=None)[0].T)


# --- kinds of colours ------------------------------------------------------------------------------

FROM = ("things", "ade20k", "ccp")


def thing(*names: str, process: str = "") -> Colour:
    """A thing as it is in photographs, through a process."""
    lab, covariance = seen(*names)
    through = np.eye(3)
    through[1:, 1:] = way(process)  # light and dark are the photograph's own
    tested = ("colorchecker", "cie-samples", *PROCESSES[process][2]) if process else ()
    deviation = np.sqrt(np.diag(through @ covariance @ through.T))
    return Colour(things=names, lab=through @ lab, deviation=deviation, sources=(*FROM, *tested))


def fields(name: str, *tested: str) -> Colour:
    """Fields of the ColorChecker and samples of the CIE, as light as a thing is in photographs, varying as it does."""
    mean, covariance = seen(name)
    lab = np.mean([reduced()["objects"][one] for one in tested], axis=0)
    sources = {"cie-samples" if one.startswith("CIE") else "colorchecker" for one in tested}
    return Colour(
        things=(name,), lab=lit(lab, float(mean[0])), deviation=np.sqrt(np.diag(covariance)),
        sources=(*FROM, *sorted(sources)),
    )  # fmt: skip


@functools.cache
def blocks() -> Numbers:
    """How far the colours vary that dictionaries assign to one name (3,): root of the mean square over names."""
    named = [entry for entry in reduced()["names"].values() if 2 <= entry["count"] <= 6]
    return np.asarray(np.sqrt(np.mean(np.square([entry["deviation"] for entry in named]), axis=0)))


def name(word: str, *kinds: str) -> Colour:
    """What the dictionaries say of a name; a* and b* vary as the centroids do, L* as that of the things."""
    entry = reduced()["names"][word]
    own = np.array(entry["deviation"]) if entry["count"] > 6 else blocks()
    deviation = np.array([np.sqrt(seen(*kinds)[1][0, 0]), *own[1:]])
    return Colour(things=kinds, lab=np.array(entry["lab"]), deviation=deviation, sources=(*FROM, "nbs-440"))


def wash(words: Sequence[str], *kinds: str) -> Colour:
    """Paints or inks over a photograph, together as dark as the things are in photographs: half of the density is the
    photograph's, half the paints', in equal parts (Beer and Lambert's law in linear sRGB). The halves are a definition.
    """
    mean, covariance = seen(*kinds)
    light = float(mean[0])
    full = [np.array([[reduced()["names"][word]["lab"]]]) for word in words]
    paint = np.prod([np.maximum(srgb_to_linear(srgb_from_lab(lab))[0, 0], 0.01) for lab in full], axis=0)
    gray = ((light + 16) / 116) ** 1.5  # half of the density of a gray of this L*

    def painted(strength: float) -> Numbers:
        return np.asarray(lab_from_linear((gray * paint**strength)[None, None])[0, 0], np.float64)

    least, most = 0.0, 20.0
    for _ in range(60):
        middle = (least + most) / 2
        least, most = (middle, most) if painted(middle)[0] > light else (least, middle)
    deviation = np.array([np.sqrt(covariance[0, 0]), *blocks()[1:]])
    return Colour(things=kinds, lab=painted(least), deviation=deviation, sources=(*FROM, "nbs-440"))


def bare(*kinds: str) -> Colour:
    """Things that are left as the print is: no colour is put there. A definition, no claim."""
    mean, covariance = seen(*kinds)
    return Colour(
        things=kinds, lab=np.array([mean[0], 0, 0]), deviation=np.array([np.sqrt(covariance[0, 0]), 3, 3]),
        sources=(), basis="defined", bare=True,
    )  # fmt: skip


# --- palettes --------------------------------------------------------------------------------------

GREEN = ("foliage", "grass", "dry grass")


def scene(process: str = "") -> dict[str, Colour]:
    """What photographs show, through a process: the same things for all of them."""
    pale = ("pale cloth", "gray cloth")  # the latter is seen in three photographs only
    alone = {one: thing(one, process=process) for one in THINGS if one not in pale}
    return {**alone, "pale and gray cloth": thing(*pale, process=process)}


SETTINGS: Mapping[str, tuple[str, bool]] = {
    "photochrom": ("outdoor", False),
    "three-colour-russia": ("outdoor", False),
    "us-1950s-home": ("indoor", True),
    "us-1970s-beach": ("outdoor", True),
}
"""Where pictures of a palette are taken, and whether of people; others in- and outdoors, of people."""


EQUAL: Mapping[str, tuple[tuple[str, ...], ...]] = {"us-1970s-beach": (SKY, ("water",), ("sand",))}
"""Things that have equal parts of what they take together, because a beach is meant: a definition, too."""


@functools.cache
def colours() -> Mapping[str, Mapping[str, Colour]]:
    """By palette and name; several colours of one thing have equal parts of its share."""
    paper = bare(*(one for one in THINGS if one not in {"skin", "foliage", "grass", *CLOTH}))
    stone = ("carmine", "chrome yellow", "Prussian blue")
    red = ("carmine", "chrome yellow")
    return {
        **{NAMED.get(process, process): scene(process) for process in PROCESSES},
        "photochrom": {
            "sky": wash(["Prussian blue"], *SKY),
            "water": wash(["Prussian blue"], "water"),
            "mountain": wash(["Prussian blue"], "mountain"),
            "green": wash(["Prussian blue", "chrome yellow"], *GREEN),
            "stone, earth and road": wash(stone, "stone", "concrete", "rock", "sand", "earth", "road"),
            "wall": wash(stone, "painted wall"),
            "brick and roof": wash(red, "brick"),
            "wood": wash(stone, "wood"),
            "vermilion cloth": wash(red, *CLOTH),
            "purple cloth": wash(["carmine", "Prussian blue"], *CLOTH),
            "blue cloth": wash(["Prussian blue"], *CLOTH),
        },
        "hand-coloured": {
            "bare print": paper,
            "rouged skin": wash(["flesh pink"], "skin"),
            "green": wash(["gamboge", "Prussian blue"], "foliage", "grass"),
            "blue cloth": wash(["Prussian blue"], *CLOTH),
            "rose cloth": wash(["carmine"], *CLOTH),
            "green cloth": wash(["gamboge", "Prussian blue"], *CLOTH),
            "brown cloth": wash(["sepia"], *CLOTH),
            "gilt": name("gold", *CLOTH),
        },
        "jp-hand-coloured": {
            "bare print": paper,
            "rouged skin": wash(["carmine", "yellow ochre"], "skin"),
            "leaf green": wash(["gamboge", "Prussian blue"], "foliage", "grass"),
            "indigo cloth": wash(["indigo"], *CLOTH),
            "cherry cloth": wash(["carmine"], *CLOTH),
            "vermilion": name("Chinese vermilion", *CLOTH),
        },
        "in-hand-painted": {
            "bare print": paper,
            "skin": fields("skin", "light skin", "dark skin"),
            "leaf green": wash(["emerald green"], "foliage", "grass"),
            "saffron cloth": name("saffron yellow", *CLOTH),
            "green cloth": name("emerald green", *CLOTH),
            "crimson cloth": name("crimson lake", *CLOTH),
            "blue cloth": name("Prussian blue", *CLOTH),
            "white cloth": name("white cloth", *CLOTH),
        },
        "cn-1960s-family": {
            **{one: thing(one) for one in THINGS if one not in {"wood", "brick", "skin", *CLOTH}},
            "dark wood": name("oak", "wood"),
            "bamboo": name("bamboo", "wood"),
            "brick": name("brick red", "brick"),
            "skin": fields("skin", "CIE TCS15"),
            "work blue": name("indigo", *CLOTH),
            "gray cloth": name("steel gray", *CLOTH),
            "army green": name("olive drab", *CLOTH),
            "muted red": name("Turkey red", *CLOTH),
            "white cloth": name("white cloth", *CLOTH),
        },
        "us-1950s-home": {
            "painted wall": name("wall paint", "painted wall"),
            "pink wall": name("pink paint", "painted wall"),
            "mint wall": name("mint paint", "painted wall"),
            "turquoise wall": name("turquoise paint", "painted wall"),
            "blond wood": name("blond wood", "wood"),
            "foliage": thing("foliage"),
            "skin": fields("skin", "light skin", "CIE TCS13"),
            "hair": thing("hair"),
            "red cloth": name("geranium red", *CLOTH),
            "charcoal cloth": name("charcoal", *CLOTH),
            "white cloth": name("white cloth", *CLOTH),
        },
        "us-1970s-beach": {
            "blue sky": thing("blue sky"),
            "cloud": thing("cloud"),
            "sea": thing("water"),
            "sand": thing("sand"),
            "foliage": thing("foliage"),
            "dry grass": thing("dry grass"),
            "skin": fields("skin", "light skin", "dark skin"),
            "hair": thing("hair"),
            "pastel cloth": name("pastel cloth", *CLOTH),
            "orange and red": name("orange and coral cloth", *CLOTH),
            "turquoise": name("turquoise cloth", *CLOTH),
        },
    }  # fmt: skip


ALSO: Mapping[str, tuple[str, ...]] = {
    "cn-1960s-family": ("dress-in-china",),
    "orwocolor": ("wolfen",),
    "photochrom": ("fritz-1895", "mackellar-1885"),
}
"""Sources that gave a palette no number, but a reason."""


# --- writing ---------------------------------------------------------------------------------------


def limit(palette: str, usual: Mapping[str, Colour]) -> float:
    """Of a screen, the least of the greatest chromas that it shows at the hues; of a film, the greatest of the
    ColorChecker's fields as it shows them; else the greatest of a usual colour, two deviations out."""
    process = {title: process for process, title in NAMED.items()}.get(palette, palette)
    if process in PROCESSES:
        group, entry, _ = PROCESSES[process]
        if group == "screens":
            return float(min(reduced()[group][entry]["gamut"]))
        tested = [lab for name, lab in shown(process).items() if not name.startswith("CIE")]
        return max(float(np.hypot(*lab[1:])) for lab in tested)
    painted = [colour for colour in usual.values() if not colour.bare]
    return max(float(np.hypot(*one.lab[1:]) + np.sqrt(2) * np.hypot(*one.deviation[1:])) for one in painted)


def made(palette: Mapping[str, Any]) -> dict[str, Any]:
    """A palette document with its colours put into it."""
    usual = colours()[palette["id"]]
    setting = SETTINGS.get(palette["id"], ("", True))
    parts = Counter(one for colour in usual.values() for one in colour.things)
    takes = {one: share(one, *setting) for one in parts}
    if palette["id"] in EQUAL:
        equal = EQUAL[palette["id"]]
        whole = sum(takes[one] for group in equal for one in group) / len(equal)
        takes |= {one: whole * takes[one] / sum(takes[other] for other in group) for group in equal for one in group}
    shares = {key: sum(takes[one] / parts[one] for one in colour.things) for key, colour in usual.items()}
    total = sum(shares.values())
    entries, used = [], set(ALSO.get(palette["id"], ()))
    for key, colour in sorted(usual.items(), key=lambda item: -shares[item[0]]):
        if shares[key] / total < 5e-4:
            continue
        entry: dict[str, Any] = {
            "name": key,
            "weight": round(shares[key] / total, 4),
            "lab": [round(float(value), 1) + 0.0 for value in colour.lab],
            "deviation": [round(max(float(value), 0.5), 1) for value in colour.deviation],
            "basis": colour.basis,
        }
        if colour.sources:
            entry["from"] = list(colour.sources)
        if colour.bare:
            entry["bare"] = True
        entries.append(entry)
        used |= {*colour.sources}
    entries[0]["weight"] = round(1 - sum(entry["weight"] for entry in entries[1:]), 4)
    known = {**things.sources(), **SOURCES}
    cited = [{"id": key, "citation": said[0], "taken": said[1]} for key, said in known.items() if key in used]
    return {
        **palette,
        "method": METHOD,
        "basis": {"weights": "computed", "deviations": "computed", "chroma_limit": "computed", "tint": "defined"},
        "chroma_limit": round(limit(palette["id"], usual), 1),
        "colours": entries,
        "sources": [*cited, *(source for source in palette["sources"] if "id" not in source)],
    }


METHOD = (
    "Made by models/palettes/make.py of published numbers: each colour is a thing, a paint or an ink, through the"
    " process where there is one. Shares, lightness and deviations are those of the things in photographs; several"
    " colours of one thing have equal parts of its share, by definition."
)


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
