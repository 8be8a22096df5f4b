"""Palettes of eras, places and processes: which colours pictures of a kind have. A prior, not evidence.

A palette is a mixture of usual colours, each a normal distribution in CIELAB, with a limit of chroma and the tint of
what should be neutral (schemas/palette.schema.json). It shifts a proposal towards what is usual near it, by Bayes'
rule, and limits it; it never adds colour where nothing was proposed, and no hint is touched by it. Where what is usual
is bare print, nothing is painted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from archive_restore.errors import UsageError
from archive_restore.imaging.colour import lab_from_srgb

Floats = npt.NDArray[np.float32]

STATEMENT = "A prior, not evidence."
_DOUBTED = 9.0  # deviation of a proposal that says nothing of its own, units of a* and b*
_KNEE = 0.6  # share of the limit from which chroma is pressed together


class Palette:
    """One palette, ready for use."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        """`document` fits `schemas/palette.schema.json`."""
        colours = document["colours"]
        self.id, self.title = str(document["id"]), str(document["title"])
        self.limit = float(document["chroma_limit"])
        self._weights = np.array([colour["weight"] for colour in colours], np.float64)
        self._means = np.array([colour["lab"] for colour in colours], np.float64)
        self._deviations = np.array([colour["deviation"] for colour in colours], np.float64)
        self._black, self._white = (np.array(document["tint"][end], np.float32) for end in ("black", "white"))
        self._bare = np.array([bool(colour.get("bare")) for colour in colours])

    def applied(
        self, ab: Floats, light: Floats, strength: float = 1.0, doubt: Floats | None = None
    ) -> tuple[Floats, Floats]:
        """Chroma (h, w, 2) shifted and limited, at L* (h, w), and how likely (h, w) it is that there was any.

        A proposal is for a neutral print, so it is first moved by the tint. Of each usual colour: how likely is it
        behind what was proposed, and what would the colour then be? The mean of the answers, weighed with their
        chances; bare print has none. `doubt`: deviation of the proposal (h, w); what is sure hardly moves. `strength`
        0 changes nothing, 1 is all of it.
        """
        doubted = np.float32(_DOUBTED**2) if doubt is None else np.square(doubt)[:, :, None]
        share = np.clip(light / 100, 0, 1)[:, :, None]
        chroma = np.hypot(ab[:, :, 0], ab[:, :, 1])[:, :, None]
        seen = ab + (self._black + share * (self._white - self._black)) * np.exp(-chroma / np.float32(self.limit))
        total, bare = np.full(light.shape, 1e-12, np.float32), np.zeros(light.shape, np.float32)
        shifted = np.float32(1e-12) * seen
        for weight, mean, deviation, left in zip(self._weights, self._means, self._deviations, self._bare, strict=True):
            off = seen - mean[1:].astype(np.float32)
            wide = np.broadcast_to(np.square(deviation[1:]).astype(np.float32) + doubted, ab.shape)
            far = np.square((light - np.float32(mean[0])) / np.float32(2 * deviation[0]))
            far += (np.square(off) / wide).sum(axis=2)
            chance = np.float32(weight) / np.sqrt(wide.prod(axis=2)) * np.exp(np.float32(-0.5) * far)
            if left:
                bare += chance
                continue
            total += chance
            shifted += chance[:, :, None] * (seen - off * (doubted / wide))
        shifted = self.limited(shifted / total[:, :, None])
        painted = 1 - np.float32(strength) * bare / (total + bare)
        proposed = np.minimum(chroma / np.float32(2), 1)
        made = ab + np.float32(strength) * proposed * (shifted - ab)
        return np.asarray(painted[:, :, None] * made, np.float32), np.asarray(painted, np.float32)

    def limited(self, ab: Floats) -> Floats:
        """Chroma (…, 2) pressed below the limit, smoothly from a share of it on; hue stays."""
        chroma = np.hypot(ab[..., 0], ab[..., 1])
        knee, room = np.float32(_KNEE * self.limit), np.float32((1 - _KNEE) * self.limit)
        kept = np.where(chroma > knee, knee + room * np.tanh((chroma - knee) / room), chroma)
        return np.asarray(ab * (kept / np.maximum(chroma, 1e-6))[..., None], np.float32)

    def drawn(self, rng: np.random.Generator, light: float) -> npt.NDArray[np.float64]:
        """a* and b* of one usual colour at a lightness L*, (2,)."""
        off = (light - self._means[:, 0]) / self._deviations[:, 0]
        chances = self._weights * np.exp(-0.5 * off**2) / self._deviations[:, 0] + 1e-9 * self._weights
        chosen = int(rng.choice(len(chances), p=chances / chances.sum()))
        drawn = rng.normal(self._means[chosen, 1:], self._deviations[chosen, 1:])
        return np.asarray(self.limited(drawn.astype(np.float32)), np.float64)


def doubt_of(confidence: Floats, near: float) -> Floats:
    """Deviation of proposals that are within `near` of the truth with these chances: of a normal distribution in a* and
    b*, whose distance from its mean follows Rayleigh's."""
    return np.asarray(near / np.sqrt(-2 * np.log1p(-np.clip(confidence, 0.02, 0.99))), np.float32)


# --- choosing ------------------------------------------------------------------------------------------


def choose(
    palettes: Sequence[Mapping[str, Any]], *, era: str = "", region: str = "", process: str = ""
) -> Mapping[str, Any]:
    """The document that fits best: of the process, of the region before everywhere, of the fewest years.

    `era`: `1960s`, `1965` or `1960-1975`; a region alone takes none of everywhere. Raise UsageError, with what
    there is, where none fits.
    """
    first, last = _years(era) if era else (0, 9999)
    anywhere = bool(era or process)  # a country alone says nothing of a palette of everywhere
    region, process = region.upper(), process.lower().replace("colored", "coloured")
    fitting = [
        palette
        for palette in palettes
        if palette["years"][0] <= last
        and palette["years"][1] >= first
        and (not region or region in palette["regions"] or (anywhere and "*" in palette["regions"]))
        and (not process or palette["process"] == process)
    ]
    if not fitting:
        asked = ", ".join(word for word in (era, region, process) if word)
        known = "; ".join(f"{p['id']} ({said(p)})" for p in sorted(palettes, key=lambda p: str(p["id"])))
        raise UsageError(f"no palette fits {asked}", hint=f"There are: {known}")
    place = region or ("*" if process else "")  # a process alone is that of no country
    return min(fitting, key=lambda p: (place not in p["regions"], p["years"][1] - p["years"][0], p["id"]))


def said(palette: Mapping[str, Any]) -> str:
    """Years, regions and process of a palette in a few words."""
    regions = "everywhere" if "*" in palette["regions"] else " ".join(palette["regions"])
    return f"{palette['years'][0]}–{palette['years'][1]}, {regions}" + (
        f", {palette['process']}" if palette["process"] else ""
    )


def based(palette: Mapping[str, Any]) -> str:
    """How many of its colours are more than an estimate, in a few words."""
    colours = palette["colours"]
    for basis in ("measured", "computed"):
        if count := sum(colour.get("basis") == basis for colour in colours):
            return f"{count} of {len(colours)} colours {_BASES[basis]}"
    return "all estimated by hand" if all("basis" in colour for colour in colours) else "basis not stated"


def rests_on(palette: Mapping[str, Any]) -> str:
    """In a few words, which numbers of a palette have a basis that anyone can look up, and which are estimates."""
    by: dict[str, list[str]] = {}
    for colour in palette["colours"]:
        by.setdefault(str(colour.get("basis", "not stated")), []).append(str(colour["name"]))
    words = []
    for basis, meaning in _BASES.items():
        if names := by.get(basis):
            words.append(f"{meaning}: {', '.join(names) if len(names) <= _FEW else f'{len(names)} colours'}")
    rest: dict[str, list[str]] = {}
    for number, basis in palette.get("basis", {}).items():
        rest.setdefault(str(basis), []).append(_NUMBERS[number])
    words += [f"{', '.join(rest[basis])} {basis}" for basis in _BASES if basis in rest]
    return "; ".join(words)


_FEW = 8  # colours that are called by their names
_BASES = {
    "measured": "measured on photographs",
    "computed": "computed of published numbers",
    "estimated": "estimated by hand",
    "defined": "by definition without colour",
    "not stated": "of a basis that is not stated",
}
_NUMBERS = {"weights": "shares", "deviations": "deviations", "chroma_limit": "limit of chroma", "tint": "tint"}


def _years(era: str) -> tuple[int, int]:
    found = re.fullmatch(r"\s*(\d{4})(s?)\s*(?:[-–]\s*(\d{4}))?\s*", era)
    if found is None or (found[2] and found[3]):
        raise UsageError(f"{era!r} is no era", hint="Write 1960s, 1965 or 1960-1975")
    first = int(found[1])
    last = int(found[3]) if found[3] else first + 9 if found[2] else first
    if last < first:
        raise UsageError(f"{era!r} ends before it begins")
    return first, last


# --- making --------------------------------------------------------------------------------------------


def palette_from(
    pictures: Iterable[Floats],
    *,
    identifier: str,
    title: str,
    years: tuple[int, int],
    regions: Sequence[str],
    sources: Sequence[Mapping[str, str]],
    process: str = "",
    colours: int = 10,
) -> dict[str, Any]:
    """A palette document measured on reference photographs: sRGB (h, w, 3) in [0, 1] each; every one counts alike.

    Colours are the groups into which the pixels fall in CIELAB (k-means; Lloyd 1982). Raise UsageError where there are
    no pictures, or none has colour.
    """
    looked = []
    for picture in pictures:
        part = min(1.0, 160 / max(picture.shape[:2]))
        small = cv2.resize(picture, None, fx=part, fy=part, interpolation=cv2.INTER_AREA) if part < 1 else picture
        lab = lab_from_srgb(np.clip(small, 0, 1)).reshape(-1, 3)
        looked.append(lab[np.linspace(0, len(lab) - 1, min(len(lab), 4000)).astype(np.intp)])
    if not looked:
        raise UsageError("a palette needs reference photographs", hint="Give a folder with pictures in colour")
    pixels = np.concatenate(looked).astype(np.float64)
    chroma = np.hypot(pixels[:, 1], pixels[:, 2])
    if np.percentile(chroma, 95) < 3:
        raise UsageError("the reference photographs have no colour", hint="Give photographs in colour")
    weights, means, deviations = _groups(pixels, colours)
    ends = {}
    for name, inside in (("black", pixels[:, 0] < 25), ("white", pixels[:, 0] > 85)):
        neutral = pixels[inside & (chroma < 15)]
        ends[name] = [round(float(v), 1) for v in np.median(neutral[:, 1:], axis=0)] if len(neutral) else [0.0, 0.0]
    return {
        "id": identifier,
        "title": title,
        "years": list(years),
        "regions": list(regions),
        "process": process,
        "statement": STATEMENT,
        "method": f"Measured on {len(looked)} reference photographs: {len(weights)} groups of colours by k-means.",
        "basis": dict.fromkeys(("weights", "deviations", "chroma_limit", "tint"), "measured"),
        "colours": [
            {"name": f"group {k + 1}", "weight": round(float(weight), 4), "lab": [round(float(v), 1) for v in mean],
             "deviation": [round(float(v), 1) for v in deviation], "basis": "measured"}
            for k, (weight, mean, deviation) in enumerate(zip(weights, means, deviations, strict=True))
        ],
        "chroma_limit": round(float(np.clip(1.15 * np.percentile(chroma, 99), 5, 150)), 1),
        "tint": ends,
        "sources": [dict(source) for source in sources],
    }  # fmt: skip


def _groups(
    pixels: npt.NDArray[np.float64], count: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Weights, means and deviations of groups of colours, the largest first; the same for the same pixels."""
    scale = np.array([0.6, 1.0, 1.0])  # hue tells more than lightness
    points = pixels * scale
    order = np.argsort(points @ np.array([0.3, 1.0, 1.7]), kind="stable")
    centres = points[order[np.linspace(0, len(order) - 1, count + 2).astype(np.intp)[1:-1]]]
    nearest = np.zeros(len(points), np.intp)
    for _ in range(25):
        nearest = np.argmin([np.square(points - centre).sum(axis=1) for centre in centres], axis=0)
        centres = np.stack(
            [points[nearest == k].mean(axis=0) if (nearest == k).any() else centre for k, centre in enumerate(centres)]
        )
    found = [
        (float(np.mean(nearest == k)), pixels[nearest == k].mean(axis=0), pixels[nearest == k].std(axis=0))
        for k in range(count)
        if (nearest == k).any()
    ]
    found.sort(key=lambda group: -group[0])
    weights, means, deviations = zip(*found, strict=True)
    return np.array(weights), np.array(means), np.clip(np.array(deviations), 0.5, 60)
