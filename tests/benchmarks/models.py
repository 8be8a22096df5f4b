"""What the shipped networks do, against the methods without them. Prints markdown tables; judges nothing.

Run it from the repository: `python -m tests.benchmarks.models [--mpx 12] [--parts quality seams speed cards]
[--sheets DIR [PICTURE…]]`. Quality: finding and filling the tests' own synthetic damage over the nine open photographs,
which no training saw. Seams: the largest difference between tiles and the whole. Speed: whole commands as processes.
Sheets: contact sheets of the damaged picture, the map and the restored picture.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from archive_restore.adapters.models import FolderModels
from archive_restore.adapters.shipped import shipped
from archive_restore.imaging import damage, damage_network, fill_network, inpaint, network_frames
from archive_restore.imaging.damage_network import LongLight
from archive_restore.imaging.network_frames import Cells, Place
from archive_restore.ports import Network
from tests.benchmarks import restoration
from tests.benchmarks.fit_damage_scores import DEVELOPMENT, HELD_OUT, photograph
from tests.benchmarks.processes import table
from tests.benchmarks.restoration_quality import Tally
from tests.support.synthetic_damage import damage as make_damage
from tests.support.synthetic_damage import luma_of

Mask = NDArray[np.bool_]
Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]
PARTS = ("quality", "seams", "speed", "cards")
SHAPES = (0.8, 0.65)
"""Thresholds of the detector without a network: as it ships, and at its best F1."""


@cache
def network(name: str) -> Network:
    """A shipped network on the processor."""
    return FolderModels(shipped("models")).load(name, "cpu")


def _cells(of: Network) -> Cells:
    return Cells(multiple=of.card.input.size_multiple, halo=of.card.input.halo)


def _whole(shape: Sequence[int]) -> tuple[Place, tuple[slice, slice]]:
    height, width = shape[:2]
    return Place(top=0, left=0, height=height, width=width), (slice(0, height), slice(0, width))


def calibrated(name: str) -> Mapping[str, float]:
    """Numbers of a class, or of `both`, from the card of the damage network."""
    classes = network("damage").card.calibration["classes"]
    assert isinstance(classes, Mapping)
    return {key: float(value) for key, value in classes[name].items()}


def find(
    luma: Floats, *, alone: bool = False, leave_long: bool = False, long_light: LongLight = LongLight.MARK
) -> Mask:
    """What the damage network marks, with shape and contrast, or alone; `restore` leaves long lines, too."""
    with_it = network("damage")
    order = damage_network.planes_of([group.meaning for group in with_it.card.output.planes])
    told = calibrated("both")
    shapes = None
    if not alone:
        low = damage.DamageParameters(threshold=damage_network.SHAPES_FROM)
        weights = {name: told[name] for name in ("network", "shapes", "offset")}
        shapes = (damage.search(luma, low, damage.survey(luma)).probability, damage_network.Fusion(**weights))
    least = (calibrated("thin") if alone else told)["threshold"]
    found = damage_network.search(
        luma,
        with_it.predict,
        order,
        damage.DamageParameters(),
        least,
        *_whole(luma.shape),
        _cells(with_it),
        shapes,
        leave_long=leave_long,
        long_light=long_light,
    )
    return np.asarray(found.codes > 0)


RESTORE = partial(find, leave_long=True, long_light=LongLight.WEIGH)
"""As `restore` finds it, but for faces."""


def find_by_shape(luma: Floats, threshold: float) -> Mask:
    """What the score cards mark."""
    return np.asarray(damage.detect(luma, damage.DamageParameters(threshold=threshold), damage.survey(luma)) > 0)


def fill(coded: Bytes, mask: Mask, strength: float, seed: int) -> Bytes:
    """What the fill network makes of uint8 (h, w, 3)."""
    with_it = network("fill")
    luma = luma_of(coded.astype(np.float32) / 255)
    made = fill_network.complete(
        coded, mask, with_it.predict, _cells(with_it), _whole(coded.shape)[0],
        grain=fill_network.survey_grain([luma]), strength=strength, seed=seed,
    )  # fmt: skip
    return np.asarray(made.samples)


# --- quality -------------------------------------------------------------------------------------------


def finding(names: Iterable[str], seed: int, edge: int | None) -> Iterator[tuple[object, ...]]:
    """Rows: photograph, method, precision, recall, F1, false alarms on the undamaged photograph."""
    totals: dict[str, Tally] = {}
    for name in names:
        clean = photograph(name)[:edge, :edge]
        truth = make_damage(clean, seed)
        methods: dict[str, Callable[[Floats], Mask]] = {
            "both, as restore": RESTORE,
            "both, all long lines left": partial(find, leave_long=True, long_light=LongLight.LEAVE),
            "both, long dark lines left": partial(find, leave_long=True),
            "both": find,
            "network": partial(find, alone=True),
            **{f"shapes at {least}": partial(find_by_shape, threshold=least) for least in SHAPES},
        }
        for method, looks in methods.items():
            tally = Tally()
            alarms = looks(luma_of(clean))
            tally.false_alarms, tally.pixels = int(alarms.sum()), alarms.size
            tally.add_detection(looks(luma_of(truth.picture)), truth.truth, dict(truth.masks))
            totals.setdefault(method, Tally()).merge([tally])
            yield _found(name, method, tally)
    for method, tally in totals.items():
        yield _found("**all**", method, tally)


def _found(name: str, method: str, tally: Tally) -> tuple[object, ...]:
    numbers = [f"{value:.3f}" for value in (tally.precision, tally.recall, tally.f1)]
    return name, method, *numbers, f"{100 * tally.false_alarms / max(tally.pixels, 1):.3f} %"


def filling(names: Iterable[str], seed: int, edge: int | None) -> Iterator[tuple[object, ...]]:
    """Rows: photograph, method, PSNR and SSIM inside the true damage."""
    totals: dict[str, list[float]] = {}
    for name in names:
        coded = np.round(photograph(name)[:edge, :edge] * 255).astype(np.uint8)
        clean = coded.astype(np.float32) / 255
        truth = make_damage(clean, seed)
        hurt = np.round(truth.picture * 255).astype(np.uint8)
        mask = inpaint.with_rim(truth.truth)
        made = {
            "network": fill(hurt, mask, 0.35, seed),
            "network, no grain": fill(hurt, mask, 0.0, seed),
            "surroundings": inpaint.fill(hurt, mask, seed=seed)[0],
            "surroundings, no grain": inpaint.fill(hurt, mask, grain=0)[0],
            "Telea": cv2.inpaint(hurt, mask.astype(np.uint8), 5, cv2.INPAINT_TELEA),
            "Navier-Stokes": cv2.inpaint(hurt, mask.astype(np.uint8), 5, cv2.INPAINT_NS),
        }
        for method, picture in made.items():
            shown = picture.astype(np.float32) / 255
            error = float(np.square((shown - clean)[truth.truth].astype(np.float64)).sum())
            alike = _similarity(luma_of(shown), luma_of(clean))[truth.truth]
            numbers = [error, 3.0 * truth.truth.sum(), float(alike.sum()), float(truth.truth.sum())]
            totals[method] = [a + b for a, b in zip(totals.get(method, [0.0] * 4), numbers, strict=True)]
            yield name, method, *_filled(numbers)
    for method, numbers in totals.items():
        yield "**all**", method, *_filled(numbers)


def _filled(numbers: Sequence[float]) -> tuple[str, str]:
    error, count, alike, pixels = numbers
    return f"{-10 * np.log10(max(error / count, 1e-12)):.2f}", f"{alike / pixels:.3f}"


def _similarity(x: Floats, y: Floats) -> Floats:
    """SSIM a pixel (Wang et al. 2004, Gaussian window, sigma 1.5)."""

    def blur(plane: Floats) -> Floats:
        return np.asarray(cv2.GaussianBlur(plane, (11, 11), 1.5), np.float32)

    mx, my = blur(x), blur(y)
    vx, vy, vxy = blur(x * x) - mx * mx, blur(y * y) - my * my, blur(x * y) - mx * my
    above = (2 * mx * my + 1e-4) * (2 * vxy + 9e-4)
    return np.asarray(above / ((mx * mx + my * my + 1e-4) * (vx + vy + 9e-4)), np.float32)


# --- seams ---------------------------------------------------------------------------------------------


def seams(edge: int) -> Iterator[tuple[object, ...]]:
    """Rows: network, largest difference between blocks of `edge` pixels and the whole, in steps of 255."""
    picture = photograph(HELD_OUT[0])[: 3 * edge - 37, : 3 * edge - 51]
    damaged = make_damage(picture, 3)
    rgb = damaged.picture.transpose(2, 0, 1)
    mask = inpaint.with_rim(damaged.truth)[None].astype(np.float32)
    inputs = {
        "damage": luma_of(damaged.picture)[None],
        "fill": np.concatenate([rgb * (1 - mask), mask]),
    }
    for name, planes in inputs.items():
        with_it = network(name)
        place, needed = _whole(picture.shape)
        given = np.ascontiguousarray(planes, np.float32)
        cells = _cells(with_it)
        whole = network_frames.run(with_it.predict, given, place, needed, cells, block=10**6)
        parts = network_frames.run(with_it.predict, given, place, needed, cells, block=edge)
        yield name, cells.halo, f"{255 * float(np.abs(whole - parts).max()):.4f}"


# --- speed, cards --------------------------------------------------------------------------------------


def speed(megapixels: float, directory: Path | None) -> Iterator[tuple[object, ...]]:
    """Rows: picture, command, seconds a megapixel, processor seconds a megapixel, peak MiB."""
    for channels in (1, 3):
        with tempfile.TemporaryDirectory(dir=directory) as folder:
            for row in restoration.measure(Path(folder), megapixels, channels, "networks"):
                name, command, seconds, rate, processor, peak = row
                size = float(seconds) * float(rate)  # type: ignore[arg-type]
                each = f"{float(processor) / size:.2f}" if processor != "" else ""  # type: ignore[arg-type]
                yield name, command, f"{1 / float(rate):.2f}", each, peak  # type: ignore[arg-type]


def cards() -> Iterator[tuple[object, ...]]:
    """Rows: model, measure, value, baseline, data: what training measured on its held-out test split."""
    for name in ("damage", "fill"):
        for told in FolderModels(shipped("models")).card(name).card.results:
            baseline = "" if told.baseline is None else f"{told.baseline:g}"
            yield name, told.measure, f"{told.value:g}", baseline, told.data


# --- sheets --------------------------------------------------------------------------------------------


def sheet(picture: Floats, height: int = 420) -> Bytes:
    """Damaged, map over it, restored, side by side; RGB float32 (h, w, 3) to uint8."""
    marked = RESTORE(luma_of(picture))
    wanted = inpaint.with_rim(marked)
    thin, _ = inpaint.split_by_width(wanted, fill_network.WIDEST)
    coded = np.round(picture * 255).astype(np.uint8)
    restored = fill(coded, thin, 0.35, 0)
    shown = np.round(coded * 0.45).astype(np.uint8)
    shown[marked] = (255, 176, 0)
    parts = [coded, shown, restored]
    factor = height / coded.shape[0]
    small = [cv2.resize(p, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA) for p in parts]
    gap = np.full((small[0].shape[0], 6, 3), 255, np.uint8)
    return np.hstack([small[0], gap, small[1], gap, small[2]])


def write_sheets(folder: Path, pictures: Sequence[Path]) -> None:
    """One sheet for synthetic damage over held-out photographs, one for open photographs as they are, one a picture."""
    folder.mkdir(parents=True, exist_ok=True)
    made = {
        "synthetic": [sheet(make_damage(photograph(name), 1).picture) for name in HELD_OUT],
        "open": [sheet(photograph(name)) for name in ("nagasaki-boats", "locomotion-house-cat", "dust-bowl-home")],
    }
    for path in pictures:
        loaded = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
        if loaded is None:
            raise SystemExit(f"{path} cannot be read")
        made[path.stem] = [sheet(loaded.astype(np.float32) / 255, min(loaded.shape[0], 900))]
    for name, sheets in made.items():
        wide = max(one.shape[1] for one in sheets)
        rows = [np.pad(one, ((0, 6), (0, wide - one.shape[1]), (0, 0)), constant_values=255) for one in sheets]
        cv2.imwrite(str(folder / f"models-{name}.png"), np.vstack(rows)[:, :, ::-1])


def main(words: list[str] | None = None) -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--parts", nargs="*", choices=PARTS, default=list(PARTS))
    options.add_argument("--mpx", type=float, default=12)
    options.add_argument("--photographs", nargs="+", default=[*DEVELOPMENT, *HELD_OUT])
    options.add_argument("--edge", type=int, help="look only at so many rows and columns of each photograph")
    options.add_argument("--block", type=int, default=384, help="seams: rows and columns of a part")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--directory", type=Path, default=None)
    options.add_argument("--sheets", type=Path, default=None)
    options.add_argument("--pictures", type=Path, nargs="*", default=[])
    chosen = options.parse_args(words)
    if "quality" in chosen.parts:
        titles = ["photograph", "method", "precision", "recall", "F1", "false alarms"]
        print(table(titles, list(finding(chosen.photographs, chosen.seed, chosen.edge))), end="\n\n", flush=True)
        titles = ["photograph", "method", "PSNR, dB", "SSIM"]
        print(table(titles, list(filling(chosen.photographs, chosen.seed, chosen.edge))), end="\n\n", flush=True)
    if "seams" in chosen.parts:
        print(
            table(["network", "halo, px", "largest difference, of 255"], list(seams(chosen.block))),
            end="\n\n",
            flush=True,
        )
    if "speed" in chosen.parts:
        titles = ["picture", "command", "seconds a Mpx", "processor seconds a Mpx", "peak MiB"]
        print(table(titles, list(speed(chosen.mpx, chosen.directory))), end="\n\n", flush=True)
    if "cards" in chosen.parts:
        print(table(["model", "measure", "value", "baseline", "data"], list(cards())), flush=True)
    if chosen.sheets is not None:
        write_sheets(chosen.sheets, chosen.pictures)


if __name__ == "__main__":
    main(sys.argv[1:])
