"""What colorization does to pixels: hints with and without a network against gray, a tint and Levin's solve.

Run it from the repository: `python -m tests.benchmarks.colorization --photographs DIR [--early FILE…] [--parts quality
reach palettes speed command] [--draws 10] [--sheets DIR] [--contact FILE]`. DIR is what `models.training.photographs`
assembled; only its `test` split is measured on (palettes: `validation` too), and the mean tint comes from `train`.
Hints are read from the truth at random places, the mean of 3×3 pixels there. Quality: whole photographs reduced as the
program does it, their true lightness given. Reach: what each of the hints of `colour_hints` changes in the open
photographs, alone and beside the others. Speed: a process of its own, for its peak memory. Command:
`archive-restore colorize` as it is typed, on a gray TIFF of 12 Mpx in an archive of its own, then again and again with
one of ten hints elsewhere; with byte code, as installing leaves it, and without. Levin's solve needs SciPy, which the
program does not.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from pathlib import Path

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray

from archive_restore.adapters.icc import srgb
from archive_restore.adapters.models import FolderModels
from archive_restore.adapters.shipped import palettes, shipped
from archive_restore.core.hints_document import ColourHint, hints_of
from archive_restore.imaging import colorize
from archive_restore.imaging.colour import Recolouring, lab_from_srgb, srgb_from_lab
from archive_restore.imaging.hints import Mark, Seen, spread
from archive_restore.imaging.palettes import Palette, choose
from tests.benchmarks.colour_hints import HINTS
from tests.benchmarks.processes import PHOTOGRAPHS, archive_restore, measured, median, new_archive, table

Floats = NDArray[np.float32]
PARTS = ("quality", "reach", "palettes", "speed", "command")
COUNTS = (1, 5, 10, 50)
GOALS = {0: 1.5, 1: 1.5, 5: 1.2, 10: 1.0, 50: 0.7}
"""dB that a network shall be better than the tint, or than the better of both ways without one, by hints."""
SECONDS, AGAIN, MEBIBYTES = 15, 3, 2048
"""Goals: colouring 12 Mpx on two processors, once more after one hint changed, and the peak."""
PALE = 80.0
"""L* from which a place is called pale."""
BORDER, ACROSS = 20.0, 3
"""Units of a* and b* by which the truth changes at a border of regions, and pixels on each side of it."""


@dataclass(frozen=True, kw_only=True)
class Truth:
    """A photograph whose colour is known, reduced."""

    name: str
    light: Floats
    ab: Floats
    rgb: Floats
    border: NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Score:
    """How one colouring compares with the truth."""

    psnr: float
    """dB, sRGB."""
    off: float
    """Mean distance in a* and b*."""
    bleed: float
    """The same within ACROSS pixels of a border; NaN where a picture has none."""
    vivid: float
    """Colourfulness (Hasler and Süsstrunk 2003), share of the truth's."""


def truth_of(name: str, picture: NDArray[np.uint8]) -> Truth:
    part = colorize.LONGEST / max(picture.shape[:2])
    small = cv2.resize(np.ascontiguousarray(picture), None, fx=part, fy=part, interpolation=cv2.INTER_AREA)
    rgb = small.astype(np.float32) / 255
    lab = lab_from_srgb(rgb)
    ab = np.ascontiguousarray(lab[:, :, 1:])
    square = np.ones((5, 5), np.uint8)
    step = np.hypot(*(cv2.dilate(plane, square) - cv2.erode(plane, square) for plane in np.moveaxis(ab, 2, 0)))
    near = cv2.dilate((step > BORDER).astype(np.uint8), np.ones((2 * ACROSS - 3,) * 2, np.uint8)) > 0
    return Truth(name=name, light=np.ascontiguousarray(lab[:, :, 0]), ab=ab, rgb=rgb, border=near)


def colourfulness(rgb: Floats) -> float:
    red, green, blue = (255 * rgb[:, :, k] for k in range(3))
    first, second = red - green, 0.5 * (red + green) - blue
    return float(np.hypot(first.std(), second.std()) + 0.3 * np.hypot(first.mean(), second.mean()))


def score(truth: Truth, ab: Floats) -> Score:
    made = srgb_from_lab(np.concatenate([truth.light[:, :, None], ab], axis=2))
    off = np.hypot(*np.moveaxis(ab - truth.ab, 2, 0))
    return Score(
        psnr=float(-10 * np.log10(max(float(np.square(made - truth.rgb).mean()), 1e-12))),
        off=float(off.mean()),
        bleed=float(off[truth.border].mean()) if truth.border.any() else float("nan"),
        vivid=colourfulness(made) / max(colourfulness(truth.rgb), 1e-6),
    )


def marks_from(truth: Truth, count: int, draw: int) -> list[Mark]:
    rng = np.random.Generator(np.random.Philox(key=[draw, count]))
    mean = cv2.blur(truth.ab, (3, 3))
    rows, columns = (rng.integers(0, edge, count) for edge in truth.light.shape)
    return [
        Mark(rows=np.array([y]), columns=np.array([x]), ab=(float(mean[y, x, 0]), float(mean[y, x, 1])))
        for y, x in zip(rows, columns, strict=True)
    ]


# --- ways to colour ----------------------------------------------------------------------------------


def without_network(truth: Truth, marks: Sequence[Mark]) -> Floats:
    made = spread(Seen(truth.light), marks)
    return made.ab * made.trust[:, :, None]


def by_network(truth: Truth, marks: Sequence[Mark]) -> Floats:
    """As the command does it: the network proposes, abstains where its card says so, and hints put it right."""
    seen = Seen(truth.light)
    made = spread(seen, marks)
    propose, abstention = network()
    return colorize.compose(propose(seen, made, colorize.judgement(truth.light, abstention)), made)


@cache
def network() -> tuple[colorize.Propose, tuple[float, float]]:
    loaded = FolderModels(shipped("models")).load("colour", "cpu")
    given, said = loaded.card.input, loaded.card.calibration.get("abstention")
    told = [group.meaning for group in loaded.card.output.planes]
    ends = (float(str(said["none"])), float(str(said["full"]))) if isinstance(said, Mapping) else (-1.0, 0.0)
    way = colorize.belonging_proposal if "belonging" in told else colorize.network_proposal

    @lru_cache(maxsize=40)  # as the program keeps its answers
    def answered(planes: bytes, shape: tuple[int, ...]) -> Floats:
        return loaded.predict(np.frombuffer(planes, np.float32).reshape(shape))

    def predict(planes: Floats) -> Floats:
        return answered(planes.tobytes(), planes.shape)

    return way(predict, multiple=given.size_multiple, least=given.minimum_size), ends


@cache
def near() -> float:
    """Distance from the truth of which the network's confidence is the chance."""
    return float(str(FolderModels(shipped("models")).load("colour", "cpu").card.calibration["near"]))


def levin(truth: Truth, marks: Sequence[Mark]) -> Floats:
    """Levin, Lischinski and Weiss, "Colorization using optimization", SIGGRAPH 2004; solved exactly."""
    from scipy.sparse import coo_matrix, diags, eye
    from scipy.sparse.linalg import splu

    luma = truth.light / 100
    height, width = luma.shape
    names = np.arange(height * width).reshape(height, width)
    mean = cv2.blur(luma, (3, 3))
    variance = np.maximum(cv2.blur(luma * luma, (3, 3)) - mean * mean, 2e-6)
    rows, columns, values = [], [], []
    for down, across in ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)):
        here = np.s_[max(0, -down) : height - max(0, down), max(0, -across) : width - max(0, across)]
        there = np.s_[max(0, down) : height - max(0, -down), max(0, across) : width - max(0, -across)]
        rows.append(names[here].ravel())
        columns.append(names[there].ravel())
        values.append((np.exp(-((luma[here] - luma[there]) ** 2) / (1.2 * variance[here])) + 1e-6).ravel())
    around = coo_matrix((np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))).tocsr()
    around = diags(1 / np.asarray(around.sum(axis=1)).ravel()) @ around
    free, told = np.ones(height * width), np.zeros((height * width, 2))
    for mark in marks:
        at = int(names[mark.rows[0], mark.columns[0]])
        free[at], told[at] = 0, mark.ab
    solved = splu((eye(height * width) - diags(free) @ around).tocsc()).solve(told)
    return np.asarray(solved.reshape(height, width, 2), np.float32)


# --- quality -----------------------------------------------------------------------------------------


def split(directory: Path, name: str) -> Iterator[Truth]:
    """The photographs of a split that have colour."""
    listed = json.loads((directory / "manifest.json").read_text())
    for entry in listed if isinstance(listed, list) else listed["pictures"]:
        if entry["split"] == name and not entry["gray"]:
            files = sorted((directory / "pictures").glob(f"{entry['id']}.*"))
            yield truth_of(entry["id"], read(files[0]))


def read(path: Path) -> NDArray[np.uint8]:
    decoded = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if decoded is None:
        raise SystemExit(f"{path} is no picture")
    return np.asarray(decoded[:, :, ::-1], np.uint8)


def mean_score(scores: Sequence[Score]) -> Score:
    return Score(
        psnr=float(np.mean([s.psnr for s in scores])),
        off=float(np.mean([s.off for s in scores])),
        bleed=float(np.nanmean([s.bleed for s in scores])),
        vivid=float(np.mean([s.vivid for s in scores])),
    )


def middle_score(scores: Sequence[Score]) -> Score:
    return Score(**{name: median([getattr(s, name) for s in scores]) for name in ("psnr", "off", "bleed", "vivid")})


Way = Callable[[Truth, Sequence[Mark]], Floats]


def quality(truths: Sequence[Truth], tint: Floats, ways: Mapping[str, Way], draws: int) -> None:
    """Print how each way scores, the mean over the photographs of the median over the draws."""
    rows = []
    plain = {"gray": np.zeros(2, np.float32), f"tint {tint[0]:.1f}, {tint[1]:.1f}": tint}
    for name, ab in plain.items():
        rows.append([name, "0", *cells(mean_score([score(t, np.zeros_like(t.ab) + ab) for t in truths]))])
    if "network" in ways:
        rows.append(["network", "0", *cells(mean_score([score(t, by_network(t, [])) for t in truths]))])
    for count in COUNTS:
        for name, way in ways.items():
            each = [
                middle_score([score(truth, way(truth, marks_from(truth, count, draw))) for draw in range(draws)])
                for truth in truths
            ]
            rows.append([name, str(count), *cells(mean_score(each))])
            print("  ", *rows[-1], file=sys.stderr, flush=True)
    print(table(["way", "hints", "PSNR, dB", "off in ab", "off at borders", "colourfulness"], rows))


def cells(mean: Score) -> list[str]:
    return [f"{mean.psnr:.2f}", f"{mean.off:.1f}", f"{mean.bleed:.1f}", f"{mean.vivid:.2f}"]


def sheet(truths: Sequence[Truth], ways: Mapping[str, Way], counts: Sequence[int], directory: Path) -> None:
    """Truth, then each way with each number of hints, a row a photograph."""
    directory.mkdir(parents=True, exist_ok=True)
    for truth in truths:
        shown = [truth.rgb]
        for count in counts:
            marks = marks_from(truth, count, 0)
            for way in ways.values():
                made = srgb_from_lab(np.concatenate([truth.light[:, :, None], way(truth, marks)], axis=2))
                for mark in marks:
                    cv2.circle(made, (int(mark.columns[0]), int(mark.rows[0])), 3, (1, 0, 1), 1)
                shown.append(made)
        rows = np.rint(255 * np.concatenate(shown, axis=1)[:, :, ::-1]).astype(np.uint8)
        cv2.imwrite(str(directory / f"{truth.name}.png"), rows)


def print_palettes(truths: Sequence[Truth]) -> None:
    """What palettes do to proposals without a hint: how far off they are, in all and where the picture is pale."""
    propose, abstention = network()
    rows = []
    for document in (None, *palettes()):
        palette = None if document is None else Palette(document)
        off, pale, decibels, abstained = [], [], [], []
        for truth in truths:
            plan = colorize.plan_colour(
                truth.light, 1.0, truth.light.shape, propose=propose, abstention=abstention, near=near(),
                palette=palette, suggestions=0,
            )  # fmt: skip
            away = np.hypot(*np.moveaxis(plan.ab - truth.ab, -1, 0))
            shown = srgb_from_lab(np.concatenate([truth.light[:, :, None], plan.ab], axis=2))
            off.append(float(away.mean()))
            decibels.append(float(-10 * np.log10(np.mean(np.square(shown - truth.rgb)))))
            abstained.append(plan.abstained)
            if (truth.light > PALE).sum() > 100:
                pale.append(float(away[truth.light > PALE].mean()))
        name = "none" if document is None else str(document["id"])
        means = [float(np.mean(values)) for values in (decibels, off, pale, abstained)]
        rows.append([name, f"{means[0]:.2f}", *(f"{value:.1f}" for value in means[1:3]), f"{means[3]:.2f}"])
    print(table(["palette", "PSNR, dB", "off", "off where pale", "abstained"], rows))


SEEN = 2.0
"""Units of a* and b* from which a change counts as one."""


def print_reach(trained: bool) -> None:
    """How much of each open photograph changes when one of its hints is given alone, and when it is taken from the
    others: mean and largest share over its hints; then how much is the same to the bit, the least."""
    rows = []
    for file in sorted(PHOTOGRAPHS.glob("*.jpg")):
        for name in ("spread", *(("network",) if trained else ())):
            planned, hints = planner(file, name == "network")
            none, whole = planned(()), planned(hints)
            alone = [planned((hint,)) - none for hint in hints]
            beside = [planned([h for h in hints if h is not hint]) - whole for hint in hints]
            shares = [[float((np.hypot(*np.moveaxis(d, 2, 0)) > SEEN).mean()) for d in one] for one in (alone, beside)]
            kept = [min(float((d == 0).all(axis=2).mean()) for d in one) for one in (alone, beside)]
            rows.append(
                [file.stem, name, *(f"{f(one):.2f}" for one in shares for f in (np.mean, max)),
                 *(f"{one:.2f}" for one in kept)]
            )  # fmt: skip
    titles = ["alone", "most", "beside others", "most", "untouched alone, least", "beside others, least"]
    print(table(["photograph", "way", *titles], rows))


def planner(file: Path, trained: bool) -> tuple[Callable[[Sequence[ColourHint]], Floats], Sequence[ColourHint]]:
    """What plans an open photograph with some of its hints, and these."""
    light, scale, size, hints = opened(file)
    propose, abstention = network() if trained else (None, None)
    whole = partial(
        colorize.plan_colour, light, scale, size, propose=propose, abstention=abstention, suggestions=0
    )  # fmt: skip
    return lambda told: whole(hints=told).ab, hints


def opened(file: Path) -> tuple[Floats, float, tuple[int, int], Sequence[ColourHint]]:
    """An open photograph: its lightness reduced, scale, rows and columns, and its hints of `colour_hints`."""
    picture = read(file)
    height, width = picture.shape[:2]
    entries = [{"point": [x * width, y * height], "colour": colour} for x, y, colour in HINTS[file.stem]]
    light, scale = colorize.reduced_lightness(picture, Recolouring(srgb(), picture.dtype, 255), picture=(0, 1, 2))
    return light, scale, (height, width), hints_of({"hints": entries})


ERAS = (("1900s", "hand-coloured", ""), ("1940s", "kodachrome", ""))
"""Era, process and region of the palettes that the contact sheet shows."""


def contact(path: Path, trained: bool) -> None:
    """The nine open photographs, a row each: as they are, with the hints of `colour_hints`, and, where there is a
    network, what it proposes under the two palettes of ERAS without hints, and under the first one with them."""
    rows = []
    for file in sorted(PHOTOGRAPHS.glob("*.jpg")):
        picture, (light, scale, (height, width), hints) = read(file), opened(file)
        recolouring = Recolouring(srgb(), picture.dtype, 255)
        shown = [picture]
        for told, words in ((True, None), (False, ERAS[0]), (False, ERAS[1]), (True, ERAS[0]))[: 4 if trained else 1]:
            propose, abstention = network() if words else (None, None)
            palette = None
            if words:
                era, process, region = words
                palette = Palette(choose(palettes(), era=era, process=process, region=region))
            plan = colorize.plan_colour(
                light, scale, (height, width), hints=hints if told else (), propose=propose, abstention=abstention,
                near=near() if words else None, palette=palette, suggestions=0,
            )  # fmt: skip
            made = colorize.paint(plan, picture, recolouring, picture=(0, 1, 2), new=np.zeros, threads=2)
            shown.append(made.samples)
        part = min(300 / width, 225 / height)
        cells = [cv2.resize(one, None, fx=part, fy=part, interpolation=cv2.INTER_AREA) for one in shown]
        row = np.full((231, 306 * len(shown), 3), 255, np.uint8)
        for k, cell in enumerate(cells):
            row[: cell.shape[0], 306 * k : 306 * k + cell.shape[1]] = cell
        rows.append(row[: max(cell.shape[0] for cell in cells) + 6])
    cv2.imwrite(str(path), np.concatenate(rows)[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 82])


# --- speed -------------------------------------------------------------------------------------------


def speed(pixels: int, with_network: bool) -> dict[str, float]:
    """Seconds to colour gray of so many pixels with ten hints, to do it again with one moved, and largest error."""
    gray, places = scene(pixels)
    height = gray.shape[0]
    spent: dict[str, float] = {}
    propose, abstention = network() if with_network else (None, None)
    light: Floats | None = None
    scale = 1.0
    for turn in ("first", "again"):
        began = time.perf_counter()
        recolouring = Recolouring(srgb(), gray.dtype, 255)
        if light is None:  # kept between runs
            light, scale = colorize.reduced_lightness(gray, recolouring, picture=(0,))
        hints = hints_of(spoken(places))
        plan = colorize.plan_colour(
            light, scale, gray.shape[:2], hints=hints, propose=propose, abstention=abstention,
            near=near() if with_network else None, palette=Palette(choose(palettes(), era="1950s", region="US")),
        )  # fmt: skip
        spent[f"{turn}_plan"] = time.perf_counter() - began
        made = colorize.paint(plan, gray, recolouring, picture=(0,), new=np.empty, threads=2)
        spent[turn] = time.perf_counter() - began
        places[0] = [height // 3, height // 2]
    before = recolouring.lightness(gray)
    spent["off"] = float(np.abs(recolouring.lightness(made.samples) - before).max())
    return spent


def scene(pixels: int) -> tuple[NDArray[np.uint8], list[list[int]]]:
    """Soft gray shapes under grain, (h, w, 1) of so many pixels, and ten places."""
    height = round((pixels * 3 / 4) ** 0.5)
    width = height * 4 // 3
    rng = np.random.default_rng(0)
    base = cv2.resize(rng.random((12, 16), np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    gray = np.empty((height, width, 1), np.uint8)
    for top in range(0, height, 256):
        noise = rng.standard_normal((min(256, height - top), width), np.float32)
        gray[top : top + 256, :, 0] = np.clip(255 * base[top : top + 256] + 4 * noise, 0, 255)
    return gray, rng.integers(0, min(height, width), (10, 2)).tolist()


def spoken(places: Sequence[Sequence[int]]) -> dict[str, object]:
    """A document of hints at these places."""
    names = ("tan", "light green", "navy", "brick red", "neutral")
    return {"hints": [{"point": list(at), "colour": names[k % len(names)]} for k, at in enumerate(places)]}


def print_command(pixels: int = 12_000_000, turns: int = 5) -> None:
    """The whole command: first, then `turns` times again, each time with the first hint elsewhere."""
    gray, places = scene(pixels)
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tifffile.imwrite(folder / "gray.tif", gray[:, :, 0], photometric="minisblack", resolution=(600, 600))
        hints = []
        for turn in range(turns + 1):
            hints.append(folder / f"hints-{turn}.json")
            hints[-1].write_text(json.dumps(spoken(places)))
            places[0] = [gray.shape[0] // 3 + 40 * turn, gray.shape[0] // 2]
        for kind, code in (
            ("with byte code", {"PYTHONPYCACHEPREFIX": str(folder / "code"), "PYTHONDONTWRITEBYTECODE": ""}),
            ("without", {"PYTHONPYCACHEPREFIX": "", "PYTHONDONTWRITEBYTECODE": "1"}),
        ):
            os.environ.update(code)
            archive = new_archive(folder / kind)
            archive_restore(archive, "ingest", folder / "gray.tif")
            spent = [archive_restore(archive, "colorize", "gray", "--hints", path) for path in hints]
            for title, some in (("first", spent[:1]), ("again, median", spent[1:])):
                middle = [median(getattr(one, what) for one in some) for what in ("seconds", "processor", "peak_mib")]
                share = f"{middle[0] / spent[0].seconds:.2f}"
                rows.append([kind, title, f"{middle[0]:.2f}", share, f"{middle[1]:.2f}", f"{middle[2]:.0f}"])
    print(table(["", "run", "seconds", "of the first", "processor seconds", "peak MiB"], rows))


def print_speed(with_network: bool) -> None:
    rows = []
    for pixels in (12_000_000, 50_000_000):
        words = ["--one", str(pixels), "--network", str(with_network)]
        spent = measured([sys.executable, "-m", "tests.benchmarks.colorization", *words])
        said = spent.said
        rows.append(
            [f"{pixels // 1_000_000} Mpx", f"{said['first']:.1f}", f"{said['again']:.1f}", f"{said['again_plan']:.1f}",
             f"{spent.processor:.1f}", f"{spent.peak_mib:.0f}", f"{said['off']:.2f}"]
        )  # fmt: skip
    print(table(["picture", "seconds", "again", "of it planning", "processor, both", "peak MiB", "L* off"], rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--photographs", type=Path)
    parser.add_argument("--early", type=Path, nargs="*", default=[], help="early colour photographs")
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=PARTS)
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--without", nargs="*", default=[], help="ways to leave out")
    parser.add_argument("--sheets", type=Path)
    parser.add_argument("--contact", type=Path, help="a sheet of the open photographs")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--network", default="", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(speed(args.one, args.network == "True")))
        return
    trained = (shipped("models") / "colour" / "card.json").exists() and "network" not in args.without
    ways: dict[str, Way] = {"spread": without_network}
    if "levin" not in args.without:
        ways["Levin"] = levin
    if trained:
        ways["network"] = by_network
    if "quality" in args.parts:
        if args.photographs is None:
            parser.error("--photographs is needed for the quality")
        tint = np.mean([truth.ab.mean(axis=(0, 1)) for truth in split(args.photographs, "train")], axis=0)
        groups = {"test split": list(split(args.photographs, "test"))}
        if args.early:
            groups["early colour"] = [truth_of(path.stem, read(path)) for path in args.early]
        for name, truths in groups.items():
            print(f"\n{name}, {len(truths)} photographs\n")
            quality(truths, np.asarray(tint, np.float32), ways, args.draws)
            if args.sheets:
                sheet(truths, ways, (1, 5, 50), args.sheets)
    if "palettes" in args.parts and trained and args.photographs is not None:
        truths = [*split(args.photographs, "validation"), *split(args.photographs, "test")]
        print(f"\nvalidation and test split, {len(truths)} photographs\n")
        print_palettes(truths)
    if "reach" in args.parts:
        print()
        print_reach(trained)
    if args.contact:
        contact(args.contact, trained)
    if "speed" in args.parts:
        print()
        print_speed(trained)
    if "command" in args.parts:
        print()
        print_command()


if __name__ == "__main__":
    main()
