"""Measures what colours things have in photographs of free licence, and puts that into `things.json`.

Run it from the repository: `python -m models.palettes.measure --photographs DIR --packages DIR`. Photographs is what
`models.training.photographs` assembled; packages is where the Debian packages were unpacked (`dpkg-deb -x`) that
`photographs.json` beside this names. `regions.json` says what is seen where, drawn by hand and looked at again;
`shares.json` holds published shares of the classes of ADE20K. No photograph is part of this project, and nobody needs
them to use the palettes.

Every photograph has one vote, however many regions of a thing it shows and however large it is.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from archive_restore.imaging.colour import lab_from_linear, srgb_to_linear

HERE = Path(__file__).parent
Numbers = npt.NDArray[np.float64]
Corners = Sequence[Sequence[float]]
"""Corners of a polygon, x and y as shares of width and height from the upper left."""

LONGEST = 384
"""Longest edge in pixels at which photographs are measured: that of the picture on which colours are spread."""
FEWEST = 12
"""Pixels that a region must have."""
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
CLOTH = ("pale cloth", "dark cloth", "gray cloth", "red cloth", "blue cloth", "other cloth")
"""What regions of cloth are called by their mean, see `cloth`."""


@dataclass(frozen=True, kw_only=True)
class Region:
    """A piece of a photograph in which one thing is seen."""

    photograph: str
    """Its `id` in the manifest."""
    thing: str
    corners: Corners


@dataclass(frozen=True, kw_only=True)
class Seen:
    """The pixels of one region."""

    photograph: str
    thing: str
    lab: Numbers
    """CIELAB (n, 3), D65."""


# --- photographs -----------------------------------------------------------------------------------


def manifest() -> dict[str, Mapping[str, Any]]:
    """Every photograph that may have regions, by `id`: those of the training, cut-out people and landscapes."""
    listed = json.loads((HERE.parent / "training" / "photographs.json").read_bytes())
    listed += json.loads((HERE / "photographs.json").read_bytes())
    return {entry["id"]: entry for entry in listed}


def regions(path: Path = HERE / "regions.json") -> list[Region]:
    """The regions that were drawn."""
    return [
        Region(photograph=entry["photograph"], thing=thing, corners=_corners(shape))
        for entry in json.loads(path.read_bytes())["photographs"]
        for thing, shapes in entry["regions"].items()
        for shape in shapes
    ]


def _corners(shape: Sequence[float]) -> Corners:
    """Corners of a box (left, top, right, bottom) or of a polygon (x, y, x, y, …)."""
    if len(shape) == 4:
        left, top, right, bottom = shape
        return [(left, top), (right, top), (right, bottom), (left, bottom)]
    return list(zip(shape[::2], shape[1::2], strict=True))


def opened(entry: Mapping[str, Any], photographs: Path, packages: Path) -> Image.Image:
    """A photograph: a stored one by the digest of its original in its name, one of a package by its own."""
    stored = photographs / "pictures" / f"{entry['id']}.png"
    path = stored if stored.exists() else packages / entry["file"]
    content = path.read_bytes()
    if path != stored and hashlib.sha256(content).hexdigest() != entry["sha256"]:
        raise SystemExit(f"{path} is not the picture of {entry['id']}")
    picture = Image.open(io.BytesIO(content))
    if picture.size != (entry["width"], entry["height"]):
        raise SystemExit(f"{entry['id']} has {picture.size} pixels")
    return picture


def lab_of(picture: Image.Image) -> tuple[Numbers, npt.NDArray[np.bool_]]:
    """CIELAB (h, w, 3), reduced to LONGEST by averaging light, and which pixels (h, w) are opaque."""
    samples = np.asarray(picture.convert("RGBA"), np.float32) / 255
    planes = [*np.moveaxis(srgb_to_linear(samples[..., :3]), -1, 0), samples[..., 3]]
    scale = min(LONGEST / max(picture.size), 1)
    size = (round(picture.width * scale), round(picture.height * scale))
    if scale < 1:
        planes = [
            np.asarray(Image.fromarray(np.ascontiguousarray(plane)).resize(size, Image.Resampling.BOX))
            for plane in planes
        ]
    light = np.clip(np.stack(planes[:3], axis=-1), 0, 1)
    return lab_from_linear(light).astype(np.float64), planes[3] > 0.999


def inside(corners: Corners, height: int, width: int) -> npt.NDArray[np.bool_]:
    """Pixels (h, w) whose centres lie in a polygon (even-odd rule)."""
    x = (np.arange(width) + 0.5)[None, :] / width
    y = (np.arange(height) + 0.5)[:, None] / height
    within = np.zeros((height, width), bool)
    for (x0, y0), (x1, y1) in zip(corners, [*corners[1:], corners[0]], strict=True):
        if y0 != y1:
            within ^= ((y0 > y) != (y1 > y)) & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
    return within


def seen(regions: Iterable[Region], photographs: Path, packages: Path) -> Iterator[Seen]:
    """The pixels of regions; cloth gets its name by its colour."""
    known = manifest()
    by_photograph: dict[str, list[Region]] = defaultdict(list)
    for region in regions:
        by_photograph[region.photograph].append(region)
    for name, drawn in by_photograph.items():
        lab, opaque = lab_of(opened(known[name], photographs, packages))
        for region in drawn:
            pixels = lab[inside(region.corners, *lab.shape[:2]) & opaque]
            if len(pixels) < FEWEST:
                raise SystemExit(f"{name}: a region of {region.thing} has only {len(pixels)} pixels")
            thing = cloth(pixels.mean(axis=0)) if region.thing == "cloth" else region.thing
            yield Seen(photograph=name, thing=thing, lab=pixels)


def cloth(mean: Numbers) -> str:
    """The kind of cloth by its mean colour: below a chroma of 12 by its lightness, else by its hue."""
    lightness, a, b = mean
    if np.hypot(a, b) < 12:
        return "dark cloth" if lightness < 30 else "gray cloth" if lightness < 65 else "pale cloth"
    hue = np.degrees(np.arctan2(b, a)) % 360
    return "red cloth" if hue < 50 or hue > 330 else "blue cloth" if 220 < hue < 310 else "other cloth"


# --- statistics ------------------------------------------------------------------------------------


def measured(pieces: Sequence[Seen]) -> dict[str, Any]:
    """Colour of one thing: mean of the means of photographs, and how far pixels are from it.

    The covariance is the mean of those within photographs plus that of their means (of n − 1; none of one photograph).
    """
    grouped: dict[str, list[Numbers]] = defaultdict(list)
    for piece in pieces:
        grouped[piece.photograph].append(piece.lab)
    pooled = [np.concatenate(labs) for labs in grouped.values()]
    means = np.array([lab.mean(axis=0) for lab in pooled])
    within = np.mean([np.cov(lab.T, bias=True) for lab in pooled], axis=0)
    between = np.cov(means.T) if len(means) > 1 else np.zeros((3, 3))
    light = np.concatenate([lab[:, 0] for lab in pooled])
    vote = np.concatenate([np.full(len(lab), 1 / len(lab)) for lab in pooled])
    return {
        "photographs": len(pooled),
        "regions": len(pieces),
        "lab": means.mean(axis=0),
        "deviation": np.sqrt(np.diag(within + between)),
        "within": np.sqrt(np.diag(within)),
        "between": np.sqrt(np.diag(between)),
        "covariance": within + between,
        "lightness": {f"{round(100 * q)}": at for q, at in zip(QUANTILES, _quantiles(light, vote), strict=True)},
    }


def _quantiles(values: Numbers, weights: Numbers) -> Numbers:
    order = np.argsort(values)
    reached = np.cumsum(weights[order])
    return np.asarray(values[order][np.searchsorted(reached, np.array(QUANTILES) * reached[-1])])


def votes(things: Sequence[str], pieces: Iterable[Seen]) -> dict[str, float]:
    """How often one of these things is seen rather than the others: each photograph's vote is shared by its regions."""
    regions: dict[str, list[str]] = defaultdict(list)
    for piece in pieces:
        if piece.thing in things:
            regions[piece.photograph].append(piece.thing)
    return {thing: float(np.mean([found.count(thing) / len(found) for found in regions.values()])) for thing in things}


# --- shares ----------------------------------------------------------------------------------------


def shares(published: Mapping[str, Any], pieces: Sequence[Seen]) -> tuple[dict[str, Any], dict[str, dict[str, float]]]:
    """Groups of the published classes with what splits them, and shares of things by `outdoor` and `indoor`.

    Of the classes some are seen outdoors, some indoors, the rest in both. As the published ratios are of all pictures
    together, the part of all pixels that is outdoors is reckoned as O / (O + I), O and I being the sums of the first
    and the second kind, and shared classes as equally frequent in both.
    """
    sums = {where: sum(entry["ratio"] for entry in published["classes"] if entry["where"] == where)
            for where in ("outdoor", "indoor")}  # fmt: skip
    part = {where: total / sum(sums.values()) for where, total in sums.items()}
    groups: dict[str, Any] = {}
    for entry in published["classes"]:
        if (name := entry.get("group")) is None:
            continue
        group = groups.setdefault(name, {"classes": [], "share": {"outdoor": 0.0, "indoor": 0.0}})
        group["classes"].append(entry["class"])
        for where in part:
            if entry["where"] in {where, "both"}:
                group["share"][where] += entry["ratio"] / (1 if entry["where"] == "both" else part[where])
    split: dict[str, dict[str, float]] = defaultdict(lambda: {"outdoor": 0.0, "indoor": 0.0})
    for name, group in groups.items():
        group["things"] = _split(name, published, pieces)
        for thing, of_group in group["things"].items():
            for where in part:
                split[thing][where] += of_group * group["share"][where]
    return groups, split


def _split(group: str, published: Mapping[str, Any], pieces: Sequence[Seen]) -> dict[str, float]:
    """Things of a group and their parts of it: published, or voted for by the photographs."""
    given = published["split"].get(group, {group: 1.0})
    things = votes(given, pieces) if isinstance(given, list) else dict(given)
    if "cloth" in things:
        whole = things.pop("cloth")
        things |= {thing: whole * part for thing, part in votes(CLOTH, pieces).items()}
    return things


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _rounded(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_rounded(entry) for entry in value]
    return value if isinstance(value, str | int) else float(f"{value:.4g}") + 0.0


def document(pieces: Sequence[Seen], published: Mapping[str, Any]) -> dict[str, Any]:
    """All of `things.json`."""
    groups, split = shares(published, pieces)
    of_thing: dict[str, list[Seen]] = defaultdict(list)
    for piece in pieces:
        of_thing[piece.thing].append(piece)
    nowhere = {"outdoor": 0.0, "indoor": 0.0}
    things = {name: {**measured(of_thing[name]), "share": split.get(name, nowhere)} for name in sorted(of_thing)}
    photographs = len({piece.photograph for piece in pieces})
    ours = {
        "citation": f"This project: {len(pieces)} regions of {photographs} photographs of free licence, drawn by hand"
        " (models/palettes/regions.json); licence and author of each are named in models/training/photographs.json and"
        " models/palettes/photographs.json.",
        "taken": "Mean CIELAB of a thing and how far it varies, at 384 pixels, every photograph with one vote. Modern"
        " digital photographs, few people, nothing historical.",
    }
    made: dict[str, Any] = _rounded(
        {
            "photographs": photographs,
            "regions": len(pieces),
            "sources": {"things": ours, **published["sources"]},
            "groups": dict(sorted(groups.items())),
            "things": things,
        }
    )
    return made


def written(made: Mapping[str, Any]) -> str:
    """The document as it stands in its file: a line a source, a group or a thing."""
    lines = []
    for key, value in made.items():
        if isinstance(value, Mapping):
            inner = ",\n".join(f"  {json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}" for k, v in value.items())
            lines.append(f" {json.dumps(key)}: {{\n{inner}\n }}")
        else:
            lines.append(f" {json.dumps(key)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def main(arguments: Sequence[str]) -> None:
    """Write `things.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photographs", type=Path, required=True)
    parser.add_argument("--packages", type=Path, required=True)
    given = parser.parse_args(arguments)
    pieces = list(seen(regions(), given.photographs, given.packages))
    published = json.loads((HERE / "shares.json").read_bytes())
    path = HERE / "things.json"
    path.write_text(written(document(pieces, published)), "utf-8")
    print(f"Wrote {path}")


if __name__ == "__main__":
    main(sys.argv[1:])
