"""What enhancement does to pixels: enlarging against kernels, completion against cv2.inpaint. Prints markdown tables.

Run it from the repository: `python -m tests.benchmarks.enhancement [--parts quality speed completion]
[--photographs NAME…] [--model NAME] [--scales 4 2] [--sheets DIR]`. Quality: the nine open photographs, reduced by area
averages, enlarged again and held against the originals. Speed: a process of its own, for its peak memory. Completion:
holes punched into the photographs. Sheets: what was made, to be looked at.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from archive_restore.adapters.models import FolderModels
from archive_restore.adapters.shipped import shipped
from archive_restore.imaging.complete import complete, pasted
from archive_restore.imaging.enlarge import Enlarger, enlarge
from tests.benchmarks.fit_damage_scores import DEVELOPMENT, HELD_OUT, photograph
from tests.benchmarks.processes import measured, median, table
from tests.benchmarks.processes import photograph as coded_photograph

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]
Numbers = tuple[float, ...]
PARTS = ("quality", "speed", "completion")
FAST, LARGE = "realesrgan-animevideov3", "realesrgan-x4plus"
SECONDS, MEBIBYTES, AGREEMENT = 15, 2048, 40
"""Goals: enlarging 0.5 to 8.3 Mpx on two processors, its peak, and the agreement with the source in dB."""


@cache
def enlarger(name: str) -> Enlarger:
    """A network behind the door, on the processor."""
    network = FolderModels(shipped("models")).load(name, "cpu")
    card = network.card
    return Enlarger.looking(network.predict, scale=card.output.scale, planes=3, halo=card.input.halo)


def in_memory(shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    return np.empty(shape, dtype)


def psnr(made: Floats, truth: Floats) -> float:
    return float(-10 * np.log10(max(np.square(made - truth, dtype=np.float64).mean(), 1e-12)))


def ssim(made: Floats, truth: Floats) -> float:
    """Wang et al. 2004 on luma, Gaussian window, sigma 1.5."""
    x, y = (plane @ np.float32([0.2126, 0.7152, 0.0722]) for plane in (made, truth))

    def blur(plane: Floats) -> Floats:
        return np.asarray(cv2.GaussianBlur(plane, (11, 11), 1.5), np.float32)

    mx, my = blur(x), blur(y)
    vx, vy, vxy = blur(x * x) - mx * mx, blur(y * y) - my * my, blur(x * y) - mx * my
    above = (2 * mx * my + 1e-4) * (2 * vxy + 9e-4)
    return float((above / ((mx * mx + my * my + 1e-4) * (vx + vy + 9e-4))).mean())


def sharpness(picture: Floats) -> float:
    """Mean step between neighbours."""
    luma = picture.mean(axis=2)
    return float(np.abs(np.diff(luma, axis=0)).mean() + np.abs(np.diff(luma, axis=1)).mean()) / 2


# --- enlarging ---------------------------------------------------------------------------------------


def kernel(small: Floats, size: tuple[int, int], which: Image.Resampling) -> Floats:
    """Enlarged by Pillow, channel by channel in float32."""
    planes = [Image.fromarray(np.ascontiguousarray(small[:, :, c])).resize(size[::-1], which) for c in range(3)]
    return np.clip(np.stack([np.asarray(plane) for plane in planes], axis=2), 0, 1)


def methods(model: str) -> Mapping[str, Callable[[NDArray[np.uint16], tuple[int, int]], tuple[Floats, float | None]]]:
    """Ways to enlarge 16-bit RGB: the result in [0, 1], and its agreement with the source where it is told."""

    def ours(
        network: Enlarger | None, fidelity: bool, small: NDArray[np.uint16], size: tuple[int, int]
    ) -> tuple[Floats, float]:
        made = enlarge(small, size, network, new=in_memory, fidelity=fidelity, threads=2)
        return made.samples.astype(np.float32) / np.float32(65535), made.agreement

    def theirs(which: Image.Resampling, small: NDArray[np.uint16], size: tuple[int, int]) -> tuple[Floats, None]:
        return kernel(small.astype(np.float32) / np.float32(65535), size, which), None

    return {
        "bicubic": partial(theirs, Image.Resampling.BICUBIC),
        "Lanczos": partial(theirs, Image.Resampling.LANCZOS),
        "ours, no model": partial(ours, None, False),
        "ours": partial(ours, enlarger(model), False),
        "ours, fidelity": partial(ours, enlarger(model), True),
    }


def quality(
    names: Sequence[str], model: str, scale: int, sheets: Path | None, edge: int | None
) -> Iterator[dict[str, tuple[float, ...]]]:
    """Each photograph: PSNR, SSIM, sharpness as a share of the original's, agreement, by method."""
    for name in names:
        truth = photograph(name)[:edge, :edge]
        truth = truth[: truth.shape[0] // scale * scale, : truth.shape[1] // scale * scale]
        size = truth.shape[:2]
        small = cv2.resize(truth, (size[1] // scale, size[0] // scale), interpolation=cv2.INTER_AREA)
        given = np.rint(small * 65535).astype(np.uint16)
        found, pictures = {}, [truth]
        for method, work in methods(model).items():
            made, agreement = work(given, size)
            if agreement is None:
                back = cv2.resize(made, (size[1] // scale, size[0] // scale), interpolation=cv2.INTER_AREA)
                agreement = psnr(back, small)
            found[method] = (psnr(made, truth), ssim(made, truth), sharpness(made) / sharpness(truth), agreement)
            pictures.append(made)
        if sheets is not None:
            write(sheets / f"enlarge-{scale}-{name}.png", np.concatenate([p[:400, :400] for p in pictures], axis=1))
        yield found


def quality_rows(
    names: Sequence[str], model: str, scale: int, sheets: Path | None, edge: int | None
) -> Iterator[tuple[object, ...]]:
    every = dict(zip(names, quality(names, model, scale, sheets, edge), strict=True))
    groups = (("photographs", DEVELOPMENT + HELD_OUT), ("of them not used to choose", HELD_OUT))
    for title, members in groups:
        chosen = [every[name] for name in members if name in every]
        if not chosen:
            continue
        title = f"{len(chosen)} {title}"
        for method in chosen[0]:
            numbers = np.mean([one[method] for one in chosen], axis=0)
            better = sum(one[method][0] >= one["bicubic"][0] for one in chosen)
            yield (
                f"{scale}×, {title}",
                method,
                f"{numbers[0]:.2f}",
                f"{numbers[1]:.3f}",
                f"{numbers[2]:.2f}",
                f"{min(one[method][3] for one in chosen):.1f}",
                f"{better} of {len(chosen)}",
            )


def child(model: str, path: Path, channels: int, part: int) -> None:
    """Enlarge 0.52 Mpx of a photograph (or one `part`th of each edge) four times, 16 bit, into a file; print seconds as
    JSON."""
    size = (832 // part, 624 // part)
    picture = cv2.resize(coded_photograph(4), size, interpolation=cv2.INTER_AREA).astype(np.uint16) * 257
    given = np.ascontiguousarray(picture[:, :, :channels])
    network = enlarger(model)

    def on_disk(shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
        return np.memmap(path, dtype, "w+", shape=shape)

    started, spent = time.perf_counter(), time.process_time()
    made = enlarge(given, (4 * size[1], 4 * size[0]), network, new=on_disk, threads=2)
    print(
        json.dumps(
            {
                "seconds": time.perf_counter() - started,
                "processor": time.process_time() - spent,
                "agreement": made.agreement,
            }
        )
    )


def speed_rows(models: Sequence[str], part: int) -> Iterator[tuple[object, ...]]:
    with tempfile.TemporaryDirectory() as folder:
        for model in models:
            for channels in (3, 1) if model == FAST else (3,):
                words = ["--child", model, str(Path(folder) / "made.bin"), str(channels), str(part)]
                spent = measured([sys.executable, "-m", "tests.benchmarks.enhancement", *words])
                yield (
                    f"{model}, {'RGB' if channels == 3 else 'gray'}",
                    f"{spent.said['seconds']:.1f}",
                    f"{spent.said['processor']:.1f}",
                    f"{spent.peak_mib:.0f}",
                    f"{spent.said['agreement']:.1f}",
                )


# --- completion --------------------------------------------------------------------------------------


def ragged(shape: tuple[int, ...], row: float, column: float, radius: float, seed: int) -> Mask:
    """A hole with an uneven rim; place as shares of the picture, radius in pixels."""
    random = np.random.Generator(np.random.Philox(key=seed))
    noise = cv2.GaussianBlur(random.random(shape[:2], np.float32), (0, 0), radius / 4)
    noise = (noise - noise.mean()) / noise.std()
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    far = np.hypot(rows - row * shape[0], columns - column * shape[1]) + noise * radius * 0.25
    return np.asarray(far < radius)


PLACES = ((0.3, 0.3), (0.6, 0.65))


def completion(
    names: Sequence[str], sheets: Path | None, edge: int | None
) -> Iterator[tuple[str, str, Sequence[float]]]:
    """Photograph, method, numbers: PSNR inside; steps and grain as shares of the truth's; distance of the steps'
    distributions, steps of 255; step across the rim as a share of the truth's; seconds of the processor."""
    for name in names:
        truth = np.rint(photograph(name)[:edge, :edge] * 255).astype(np.uint8)
        for number, (row, column) in enumerate(PLACES):
            mask = ragged(truth.shape, row, column, 0.11 * max(truth.shape), number + 1)
            holed = truth.copy()
            holed[mask] = 0
            plain = mask.astype(np.uint8)
            ways: dict[str, Callable[[], NDArray[Any]]] = {
                "ours": lambda h=holed, m=mask: pasted(h, complete(h, m, new=in_memory).alternatives[0], in_memory),
                "Telea": lambda h=holed, p=plain: cv2.inpaint(h, p, 5, cv2.INPAINT_TELEA),
                "Navier-Stokes": lambda h=holed, p=plain: cv2.inpaint(h, p, 5, cv2.INPAINT_NS),
            }
            pictures = [holed]
            for method, work in ways.items():
                started = time.process_time()
                made = work()
                spent = time.process_time() - started
                pictures.append(made)
                yield name, method, (*_alike(made, truth, mask), spent)
            if sheets is not None:
                write(sheets / f"complete-{name}-{number}.png", np.concatenate([*pictures, truth], axis=1) / 255)


def _alike(made: NDArray[np.uint8], truth: NDArray[np.uint8], mask: Mask) -> tuple[float, ...]:
    inner = cv2.erode(mask.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    error = np.square(made[mask].astype(np.float64) - truth[mask]).mean() / 255**2
    steps, grain, rims = [], [], []
    rim = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    for picture in (made, truth):
        luma = picture.astype(np.float32).mean(axis=2)
        step = np.hypot(np.diff(luma, axis=0)[:, :-1], np.diff(luma, axis=1)[:-1])
        steps.append(np.sort(step[inner[:-1, :-1]]))
        grain.append(float((luma - cv2.GaussianBlur(luma, (0, 0), 1.0))[inner].std()))
        rims.append(float(step[rim[:-1, :-1]].mean()))
    return (
        float(-10 * np.log10(max(error, 1e-12))),
        float(steps[0].mean() / steps[1].mean()),
        grain[0] / max(grain[1], 1e-6),
        float(np.abs(steps[0] - steps[1]).mean()),
        rims[0] / max(rims[1], 1e-6),
    )


def completion_rows(names: Sequence[str], sheets: Path | None, edge: int | None) -> Iterator[tuple[object, ...]]:
    found: dict[str, list[Sequence[float]]] = {}
    for _, method, numbers in completion(names, sheets, edge):
        found.setdefault(method, []).append(numbers)
    for method, every in found.items():
        middle = [median(column) for column in zip(*every, strict=True)]
        yield (method, f"{middle[0]:.2f}", *(f"{value:.2f}" for value in middle[1:5]), f"{middle[5]:.1f}")


def completion_speed() -> Iterator[tuple[object, ...]]:
    """Holes in a picture of 12 Mpx, 16 bit."""
    picture = cv2.resize(coded_photograph(8), (4000, 3000), interpolation=cv2.INTER_CUBIC).astype(np.uint16) * 257
    for radius in (50, 150, 500):
        mask = ragged(picture.shape, 0.5, 0.45, radius, 3)
        started, spent = time.perf_counter(), time.process_time()
        complete(picture, mask, new=in_memory)
        yield (
            f"{2 * radius} pixels wide, {mask.sum() / 1e6:.2f} Mpx",
            f"{time.perf_counter() - started:.1f}",
            f"{time.process_time() - spent:.1f}",
        )


def write(path: Path, picture: NDArray[Any]) -> None:
    """An RGB picture in [0, 1] as PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.rint(np.clip(picture[:, :, ::-1], 0, 1) * 255).astype(np.uint8))


def main(words: Sequence[str] | None = None) -> None:
    """Print the tables."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--parts", nargs="*", choices=PARTS, default=list(PARTS))
    options.add_argument("--photographs", nargs="*", default=list(DEVELOPMENT + HELD_OUT))
    options.add_argument("--edge", type=int, help="look only at so many rows and columns of each photograph")
    options.add_argument("--model", default=FAST)
    options.add_argument("--scales", nargs="*", type=int, default=[4, 2])
    options.add_argument("--speed-models", nargs="*", default=[FAST])
    options.add_argument("--large-holes", action="store_true", help="time holes in 12 Mpx as well")
    options.add_argument("--sheets", type=Path)
    options.add_argument("--speed-part", type=int, default=1, help="measure speed on so small a part of each edge")
    options.add_argument("--child", nargs=4, metavar=("MODEL", "PATH", "CHANNELS", "PART"), help=argparse.SUPPRESS)
    chosen = options.parse_args(words)
    if chosen.child:
        child(chosen.child[0], Path(chosen.child[1]), int(chosen.child[2]), int(chosen.child[3]))
        return
    if "quality" in chosen.parts:
        print(f"Enlarging with {chosen.model}; agreement: goal {AGREEMENT} dB, the worst photograph\n")
        titles = ("photographs", "method", "PSNR, dB", "SSIM", "sharpness", "agreement, dB", "PSNR ≥ bicubic")
        rows = [
            row
            for scale in chosen.scales
            for row in quality_rows(chosen.photographs, chosen.model, scale, chosen.sheets, chosen.edge)
        ]
        print(table(titles, rows), "\n", flush=True)
    if "speed" in chosen.parts:
        print(f"0.52 to 8.3 Mpx, 16 bit; goals: {SECONDS} s, {MEBIBYTES} MiB\n")
        titles = ("model, picture", "seconds", "processor seconds", "peak MiB", "agreement, dB")
        print(table(titles, speed_rows(chosen.speed_models, chosen.speed_part)), "\n", flush=True)
    if "completion" in chosen.parts:
        print("Completion, medians over the holes\n")
        titles = ("method", "PSNR, dB", "steps", "grain", "distance of steps", "rim", "processor seconds")
        print(table(titles, completion_rows(chosen.photographs, chosen.sheets, chosen.edge)), "\n", flush=True)
        if chosen.large_holes:
            print(table(("hole in 12 Mpx", "seconds", "processor seconds"), completion_speed()))


if __name__ == "__main__":
    main()
