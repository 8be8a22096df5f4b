"""How fast clips are rendered, mapped and encoded, against warping and encoding alone, and in how much memory.

Run it from the repository: `python -m tests.benchmarks.animation [--seconds 4] [--frames 48]`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from archive_restore.adapters.video import FileVideos
from archive_restore.imaging.camera import Window
from archive_restore.imaging.clip import Clip
from archive_restore.imaging.motion import CAP, PRESETS, Moving, SpectralMotion
from tests.benchmarks.restoration import table
from tests.support.steadiness import shimmer, ways, zoom_error

SIZES = {"1080p": (1080, 1920), "4K": (2160, 3840)}
GOALS = {"1080p": 20.0, "4K": 5.0}
PHOTOGRAPH = Path(__file__).parents[1] / "photographs" / "open" / "nagasaki-boats.jpg"


def scene(size: tuple[int, int], frames: int) -> Clip:
    """A photograph at this size with foliage and water moving over half of it."""
    picture = cv2.resize(cv2.imread(str(PHOTOGRAPH), cv2.IMREAD_COLOR_RGB), size[::-1], interpolation=cv2.INTER_CUBIC)
    masks = [np.zeros(size, np.uint8) for _ in range(2)]
    masks[0][size[0] // 8 : size[0] // 2, size[1] // 2 :] = 255
    masks[1][size[0] * 2 // 3 :] = 255
    regions = [
        Moving(spectrum=PRESETS[kind], mask=cv2.GaussianBlur(mask, (0, 0), size[1] / 100), amplitude=CAP * size[1])
        for kind, mask in zip(("foliage", "water"), masks, strict=True)
    ]
    motion = SpectralMotion(size, regions, frames=frames, rate=24, seed=1)
    whole = Window(left=0, top=0, width=size[1], height=size[0])
    flags = np.zeros(size, np.uint8)
    return Clip(np.asarray(picture, np.uint8), flags, size, motion, lambda _: whole, count=frames, rate=24, loops=True)


def ours(size: tuple[int, int], frames: int, folder: Path) -> tuple[float, float]:
    """Frames a second with maps and encoding, and processor seconds a frame."""
    clip, videos = scene(size, frames), FileVideos(2)
    shown = videos.create(folder / "clip.mp4", size, 24, quality=16)
    maps = videos.create_exact(folder / "maps.mkv", size, 24, colour=False)
    start, worked = time.perf_counter(), time.process_time()
    for index in range(frames):
        frame = clip.frame(index)
        shown.write(frame.samples)
        maps.write(frame.flags)
    shown.close()
    maps.close()
    return frames / (time.perf_counter() - start), (time.process_time() - worked) / frames


def peer(size: tuple[int, int], frames: int, folder: Path) -> tuple[float, float]:
    """The same for one bicubic warp of every frame by OpenCV, and the encoder."""
    clip = scene(size, frames)
    picture = clip.frame(0).samples
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32)
    shown = FileVideos(2).create(folder / "peer.mp4", size, 24, quality=16)
    start, worked = time.perf_counter(), time.process_time()
    for index in range(frames):
        sway = np.float32(CAP * size[1] * np.sin(2 * np.pi * index / frames))
        shown.write(cv2.remap(picture, x + sway, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE))
    shown.close()
    return frames / (time.perf_counter() - start), (time.process_time() - worked) / frames


def rows(frames: int, folder: Path) -> Iterator[tuple[object, ...]]:
    """Size, goal, ours, peer, their ratio; processor time of both, and its ratio."""
    for name, size in SIZES.items():
        mine, my_work = ours(size, frames, folder)
        other, its_work = peer(size, frames, folder)
        yield (
            name, f"{GOALS[name]:g}", f"{mine:.1f}", f"{other:.1f}", f"{other / mine:.2f}", f"{1000 * my_work:.0f}",
            f"{1000 * its_work:.0f}", f"{my_work / its_work:.2f}",
        )  # fmt: skip


def peak(size: str, frames: int) -> float:
    """Peak resident memory of rendering alone in a process of its own, MiB."""
    code = (
        "import pathlib, re, tempfile; from tests.benchmarks import animation as a;"
        f"a.ours(a.SIZES[{size!r}], {frames}, pathlib.Path(tempfile.mkdtemp()));"
        "print(int(re.search(r'VmHWM:\\s+(\\d+)', pathlib.Path('/proc/self/status').read_text())[1]) / 1024)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(ran.stdout.split()[-1])


def steadiness() -> Iterator[tuple[object, ...]]:
    """What shimmers in texture that drifts by a sixteenth of a pixel a frame, and how its sharpness sways."""
    picture = cv2.imread(str(PHOTOGRAPH), cv2.IMREAD_COLOR_RGB)
    for name, render in ways(np.ascontiguousarray(picture[400:656, 300:556])).items():
        energy, sway = shimmer(render)
        yield name, f"{energy:.3f}", f"{100 * sway:.1f} %"


def zooms() -> Iterator[tuple[object, ...]]:
    """How near zooms come to Pillow's Lanczos filter, frame by frame."""
    picture = np.ascontiguousarray(cv2.imread(str(PHOTOGRAPH), cv2.IMREAD_COLOR_RGB))
    for first, last in ((2.3, 1.6), (3.3, 2.7), (1.2, 0.9)):
        psnr, flicker = zoom_error(picture, (160, 200), first, last, 25)
        yield f"{first:g} to {last:g}", f"{psnr:.1f}", f"{flicker:.2f}"


def unrest(size: tuple[int, int], frames: int) -> tuple[int, float]:
    """Pixels that no map of a whole clip flags, and the energy of all that changes in them."""
    clip, flagged = scene(size, frames), np.zeros(size, np.bool_)
    first, energy = clip.frame(0).samples, np.zeros(size, np.int64)
    for index in range(frames):
        frame = clip.frame(index)
        flagged |= frame.flags > 0
        energy += ((frame.samples.astype(np.int64) - first) ** 2).sum(axis=2)
    return int((~flagged).sum()), float(energy[~flagged].sum())


def main(words: list[str] | None = None) -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--frames", type=int, default=48)
    options.add_argument("--sizes", nargs="*", choices=list(SIZES), default=list(SIZES))
    chosen = options.parse_args(words)
    for name in set(SIZES) - set(chosen.sizes):
        del SIZES[name]
    with tempfile.TemporaryDirectory() as folder:
        titles = ["size", "goal, frames a second", "ours", "warp and encoder alone", "ratio"]
        titles += ["ours, processor ms a frame", "theirs", "ratio"]
        print(table(titles, list(rows(chosen.frames, Path(folder)))), end="\n\n", flush=True)
    still, energy = unrest((540, 960), chosen.frames)
    print(f"{still} pixels of 540p rest in every frame; energy of change in them: {energy:g}\n")
    titles = ["texture that drifts", "energy above its own band, squared code values", "sway of sharpness"]
    print(table(titles, list(steadiness())), end="\n\n", flush=True)
    titles = ["zoom, pixels of the still a pixel", "worst frame against Lanczos, dB", "flicker, squared code values"]
    print(table(titles, list(zooms())), end="\n\n", flush=True)
    titles = ["size", "frames", "peak MiB"]
    lengths = [(name, count) for name in SIZES for count in (chosen.frames, 2 * chosen.frames)]
    print(table(titles, [(name, count, f"{peak(name, count):.0f}") for name, count in lengths]), flush=True)


if __name__ == "__main__":
    main()
