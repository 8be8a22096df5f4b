"""Training examples: photographs from a memory-mapped cache, cut, scaled and damaged by the simulator. Development.

Examples lie in numbered shards, each made from a seed of its own by one background process, so that the same command
shows a network the same examples in the same order, however fast the machine is. Nothing here is random otherwise.
"""

from __future__ import annotations

import contextlib
import json
import math
import multiprocessing
import os
import sys
import time
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from archive_restore.imaging.simulator.noise import fine
from archive_restore.imaging.simulator.settings import SimulatedClass, typical
from archive_restore.imaging.simulator.simulate import Simulated, simulate

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]

SHARD = 64
"""Examples a shard."""
SIZE = 256
"""Rows and columns of an example, pixels."""
_SCENE = 512  # damage is drawn over this many pixels and then cut into four, so that long marks run through
_LARGEST = 2600  # longest edge in the cache: finer detail than that is grain

CLASS_BITS: tuple[tuple[str, SimulatedClass], ...] = (
    ("line", SimulatedClass.SCRATCH | SimulatedClass.HAIR),
    ("spot", SimulatedClass.DUST),
    ("crack", SimulatedClass.CREASE | SimulatedClass.CRACK),
    ("loss", SimulatedClass.TEAR),
    ("stain", SimulatedClass.STAIN | SimulatedClass.MOULD | SimulatedClass.SILVERING),
    (
        "thin",
        SimulatedClass.SCRATCH
        | SimulatedClass.HAIR
        | SimulatedClass.DUST
        | SimulatedClass.CREASE
        | SimulatedClass.CRACK,
    ),
)
"""Classes of the damage network and what the simulator calls them, in the order of its planes; the last is any of the
first three."""
RIM = 0x80
"""Bit of a truth byte: so near to the edge of damage, or so faint, that nobody could say; below it one bit a class."""

STANDS_OUT = 1.4
"""Deviations of the picture around it by which damage must differ to be seen."""
LEAST = 0.01
"""And this much of full scale."""


# --- photographs ---------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Photograph:
    """One picture of the cache."""

    id: str
    height: int
    width: int
    offset: int
    """First byte in the cache."""
    gray: bool


class Photographs:
    """The pictures of one split (`train`, `validation`, `test`), uint8 RGB, decoded once into `cache` and mapped."""

    def __init__(self, directory: Path, split: str, *, cache: Path | None = None) -> None:
        """`directory` holds `manifest.json` and `pictures/` as photographs.py writes them."""
        where = cache or directory / "cache"
        index = _cached(directory, where)
        self.pictures = tuple(Photograph(**entry) for entry in index[split])
        if not self.pictures:
            raise SystemExit(f"{directory} holds no photographs of the split {split!r}")
        self._bytes = np.memmap(where / "pixels.u8", np.uint8, "r")
        areas = np.array([p.height * p.width for p in self.pictures], np.float64)
        self._chance = np.cumsum(np.sqrt(areas) / np.sqrt(areas).sum())

    def __len__(self) -> int:
        return len(self.pictures)

    def pixels(self, index: int) -> Bytes:
        """A whole picture, (h, w, 3) uint8, mapped."""
        p = self.pictures[index]
        return self._bytes[p.offset : p.offset + p.height * p.width * 3].reshape(p.height, p.width, 3)

    def crop(self, rng: np.random.Generator, size: int) -> Floats:
        """A random square of a random picture at a random scale, turned or mirrored; float32 (size, size, 3)."""
        index = min(int(np.searchsorted(self._chance, rng.random())), len(self.pictures) - 1)
        whole = self.pixels(index)
        scale = math.exp(rng.uniform(math.log(0.3), math.log(1.4)))
        edge = min(round(size / scale), *whole.shape[:2])
        top = int(rng.integers(whole.shape[0] - edge + 1))
        left = int(rng.integers(whole.shape[1] - edge + 1))
        part = whole[top : top + edge, left : left + edge]
        how = cv2.INTER_AREA if edge > size else cv2.INTER_CUBIC
        part = cv2.resize(np.ascontiguousarray(part), (size, size), interpolation=how)
        part = np.rot90(part, int(rng.integers(4)))
        if rng.random() < 0.5:
            part = part[:, ::-1]
        return np.ascontiguousarray(part).astype(np.float32) / 255


def _cached(directory: Path, cache: Path) -> dict[str, list[dict[str, object]]]:
    manifest = json.loads((directory / "manifest.json").read_text())
    index = cache / "index.json"
    if not index.exists():
        cache.mkdir(parents=True, exist_ok=True)
        _fill_cache(directory, manifest, cache)
    found: dict[str, list[dict[str, object]]] = json.loads(index.read_text())
    return found


def entries(manifest: object) -> list[dict[str, object]]:
    """The pictures of a manifest, which is a list or holds one under `pictures`."""
    listed = manifest["pictures"] if isinstance(manifest, dict) else manifest
    assert isinstance(listed, list)
    return listed


def _fill_cache(directory: Path, manifest: object, cache: Path) -> None:
    index: dict[str, list[dict[str, object]]] = {"train": [], "validation": [], "test": []}
    offset = 0
    with (cache / "pixels.tmp").open("wb") as out:
        for entry in entries(manifest):
            name = str(entry["id"])
            path = directory / "pictures" / f"{name}.png"
            picture = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
            if picture is None:
                raise SystemExit(f"{path} cannot be read")
            longest = max(picture.shape[:2])
            if longest > _LARGEST:
                part = _LARGEST / longest
                picture = cv2.resize(picture, None, fx=part, fy=part, interpolation=cv2.INTER_AREA)
            if min(picture.shape[:2]) < SIZE:
                continue
            out.write(np.ascontiguousarray(picture).tobytes())
            height, width = picture.shape[:2]
            index[str(entry["split"])].append(
                {"id": name, "height": height, "width": width, "offset": offset, "gray": bool(entry.get("gray"))}
            )
            offset += height * width * 3
    (cache / "pixels.tmp").replace(cache / "pixels.u8")
    (cache / "index.tmp").write_text(json.dumps(index))
    (cache / "index.tmp").replace(cache / "index.json")


def as_gray(rng: np.random.Generator, picture: Floats) -> Floats:
    """One channel as some emulsion saw the scene: random weights, (h, w, 1)."""
    weights = rng.dirichlet([1.5, 3.0, 1.2]).astype(np.float32)
    return np.asarray((picture @ weights)[..., None], np.float32)


def luma_of(picture: Floats) -> Floats:
    """Rec. 709 luma of (h, w, 3), or the one plane there is; (h, w)."""
    if picture.shape[2] == 1:
        return picture[..., 0]
    return np.asarray(picture @ np.array([0.2126, 0.7152, 0.0722], np.float32), np.float32)


# --- examples ------------------------------------------------------------------------------------------


def stream(*key: int) -> np.random.Generator:
    """Random numbers of one purpose."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(key)))


def seen(made: Simulated) -> NDArray[np.bool_]:
    """Where damage stands out from what lies around it, (h, w): elsewhere nobody could mark it, in grass say.

    The luma's change and the luma itself are looked at through the same band of frequencies, in which an eye sees thin
    things best; within 15 x 15 pixels the mean change of what is damaged must exceed LEAST and STANDS_OUT deviations of
    the picture around it.
    """
    clean = luma_of(made.clean)
    change = luma_of(made.damaged) - clean
    texture = np.sqrt(np.maximum(cv2.blur(np.square(_band(clean)), (25, 25)), 0))  # running sums may fall below 0
    # What is wider than the band is seen by its tone.
    signal = np.maximum(np.abs(_band(change)), 0.5 * np.abs(cv2.GaussianBlur(change, (0, 0), 4.0)))
    damaged = (made.damage > 0).astype(np.float32)
    count = np.maximum(cv2.boxFilter(damaged, -1, (15, 15), normalize=False), 1)
    mean = cv2.boxFilter(signal * damaged, -1, (15, 15), normalize=False) / count
    return np.asarray(mean >= LEAST + STANDS_OUT * texture)


def _band(plane: Floats) -> Floats:
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), 1.0) - cv2.GaussianBlur(plane, (0, 0), 4.0), np.float32)


def truth_of(made: Simulated) -> Bytes:
    """One bit a class and RIM, uint8 (h, w)."""
    truth = np.zeros(made.damage.shape, np.uint8)
    around = np.ones((3, 3), np.uint8)
    visible = seen(made)
    rim = (made.damage > 0) & ~visible
    for bit, (_, kinds) in enumerate(CLASS_BITS):
        mask = ((made.damage & np.uint16(kinds)) > 0) & visible
        truth |= mask.astype(np.uint8) << np.uint8(bit)
        rim |= (cv2.dilate(mask.astype(np.uint8), around) > 0) & ~mask
    # Marks too faint for a bit; the soft skirts of stains are wider than this and count as sound.
    rim |= (made.damage == 0) & (made.opacity - cv2.blur(made.opacity, (31, 31)) > 0.015)
    truth |= rim.astype(np.uint8) << np.uint8(7)
    return truth


def damaged_scenes(photographs: Photographs, seed: int, number: int, size: int) -> Iterator[Bytes]:
    """Examples of the damage network, four from each scene: uint8 (2, size, size), luma and truth."""
    edge = max(_SCENE, 2 * size)
    for scene in range(number):
        rng = stream(seed, scene)
        picture = photographs.crop(rng, edge)
        if rng.random() < 0.6:
            picture = as_gray(rng, picture)
        key = int(rng.integers(2**62))
        settings = typical(key)
        # Photographs are full of things that look like damage; drawn ones are added sparingly, since some of them
        # cannot be told from it.
        settings = replace(settings, hard_negatives=0.1 * settings.hard_negatives)
        if rng.random() < 0.12:  # beside the undamaged ones of `typical`: false alarms are what hurts most
            settings = replace(settings, rates={}, hard_negatives=1.0)
        made = simulate(picture, key, settings)
        luma = np.round(np.clip(luma_of(made.damaged), 0, 1) * 255).astype(np.uint8)
        truth = truth_of(made)
        for top in (0, edge - size):
            for left in (0, edge - size):
                part = np.s_[top : top + size, left : left + size]
                yield np.stack([luma[part], truth[part]])


OPAQUE = (
    SimulatedClass.SCRATCH
    | SimulatedClass.HAIR
    | SimulatedClass.DUST
    | SimulatedClass.CREASE
    | SimulatedClass.CRACK
    | SimulatedClass.TEAR
)
"""Damage that is filled; stains and their like are not."""
WIDEST = 48
"""Widest damage that is filled, pixels."""


def holed_scenes(photographs: Photographs, seed: int, number: int, size: int) -> Iterator[Bytes]:
    """Examples of the fill network, four from each scene: uint8 (7, size, size), damaged RGB, clean RGB and mask.

    The mask is the simulator's damage and its rim, and strokes and blots up to WIDEST wide; wider damage is not there.
    """
    edge = 2 * size
    for scene in range(number):
        rng = stream(seed, scene)
        picture = photographs.crop(rng, edge)
        if rng.random() < 0.5:
            picture = as_gray(rng, picture)
        key = int(rng.integers(2**62))
        settings = typical(key)
        rates = {kind: max(rate, 0.3) for kind, rate in settings.rates.items() if kind & OPAQUE}
        rates[SimulatedClass.TEAR] = 0.5 * rates.get(SimulatedClass.TEAR, 0.0)
        made = simulate(picture, key, replace(settings, rates=rates, hard_negatives=0.0))
        mask = (made.damage & np.uint16(OPAQUE)) > 0
        rim = 2 * int(rng.integers(0, 3)) + 1
        mask = cv2.dilate(mask.astype(np.uint8), np.ones((rim, rim), np.uint8)) > 0
        mask |= strokes(rng, edge, edge)
        core = cv2.erode(mask.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (WIDEST + 1, WIDEST + 1)))
        wide = cv2.dilate(core, np.ones((2 * WIDEST + 1, 2 * WIDEST + 1), np.uint8)) > 0
        mask &= ~wide
        damaged = np.where(wide[..., None], made.clean, made.damaged)
        planes = np.concatenate([_three(damaged), _three(made.clean)], 2)
        whole = np.round(np.clip(planes, 0, 1) * 255).astype(np.uint8).transpose(2, 0, 1)
        whole = np.concatenate([whole, mask[None].astype(np.uint8) * 255])
        for top in (0, edge - size):
            for left in (0, edge - size):
                yield whole[:, top : top + size, left : left + size]


def _three(picture: Floats) -> Floats:
    return np.repeat(picture, 3, 2) if picture.shape[2] == 1 else picture


def strokes(rng: np.random.Generator, height: int, width: int) -> NDArray[np.bool_]:
    """Strokes of a brush over about a tenth of a picture, most of them thin, bool (height, width)."""
    plane = np.zeros((height, width), np.uint8)
    for _ in range(int(rng.poisson(12 * height * width / 256**2))):
        thick = int(np.clip(rng.lognormal(1.7, 0.7), 2, WIDEST - 4))
        at = rng.uniform(0, [width, height])
        heading = rng.uniform(0, 2 * np.pi)
        for _ in range(int(rng.integers(1, 8))):
            heading += rng.normal(0, 0.6)
            to = at + rng.uniform(4, 40) * np.array([np.cos(heading), np.sin(heading)])
            cv2.line(plane, at.astype(int).tolist(), to.astype(int).tolist(), 1, thick)
            at = to
    return plane > 0


def noisy_scenes(photographs: Photographs, seed: int, number: int, size: int) -> Iterator[Bytes]:
    """Examples of the denoising network: uint8 (6, size, size), noisy RGB and clean RGB."""
    for scene in range(number):
        for part in range(4):
            rng = stream(seed, scene, part)
            picture = photographs.crop(rng, size)
            if rng.random() < 0.5:
                picture = np.repeat(as_gray(rng, picture), 3, 2)
            both = np.concatenate([noisy(rng, picture), picture], 2)
            yield np.round(np.clip(both, 0, 1) * 255).astype(np.uint8).transpose(2, 0, 1)


def noisy(rng: np.random.Generator, picture: Floats) -> Floats:
    """Grain and sensor noise as scans have them, in half of the pictures after JPEG; (h, w, 3) in [0, 1].

    Signal-dependent: shot noise (variance in proportion to the light) over a floor, or grain, strongest in the middle
    tones; correlated over up to 1.2 pixels; of one plane where the picture is gray. Now and then there is none.
    """
    height, width = picture.shape[:2]
    gray = bool((np.ptp(picture, axis=2) == 0).all())
    level = 0.0 if rng.random() < 0.05 else math.exp(rng.uniform(math.log(0.008), math.log(0.1)))
    correlation = float(rng.uniform(0.0, 1.2))
    shared = 1.0 if gray else float(rng.uniform(0, 0.9))
    planes = [fine(rng, (height, width), correlation) for _ in range(1 if gray else 4)]
    own = np.stack(planes[1:], 2) if len(planes) > 1 else 0.0
    grain = math.sqrt(shared) * planes[0][..., None] + math.sqrt(1 - shared) * own
    light = picture if rng.random() < 0.5 else 4 * picture * (1 - picture)
    floor = rng.uniform(0.1, 0.6)
    out = np.clip(picture + grain * level * np.sqrt(floor + (1 - floor) * light), 0, 1).astype(np.float32)
    if rng.random() < 0.5:
        coded = np.round(out * 255).astype(np.uint8)
        _, data = cv2.imencode(".jpg", coded, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(60, 97))])
        out = cv2.imdecode(data, cv2.IMREAD_COLOR).astype(np.float32) / 255
    return out


def colour_scenes(photographs: Photographs, seed: int, number: int, size: int) -> Iterator[Bytes]:
    """Examples of the colour network: uint8 (3, size, size) RGB, most of a photograph, upright, a little stretched.

    What becomes of it is drawn anew each time it is seen (hints.py). Photographs in black and white teach no colour. A
    package of four times as many photographs is seen twice as often: those of one package are like each other.
    """
    coloured = [k for k, picture in enumerate(photographs.pictures) if not picture.gray]
    packages = [photographs.pictures[k].id.rpartition("-")[0] for k in coloured]
    often = np.array([packages.count(package) ** -0.5 for package in packages])
    chance = np.cumsum(often / often.sum())
    for scene in range(number):
        for part in range(4):
            rng = stream(seed, scene, part)
            index = min(int(np.searchsorted(chance, rng.random())), len(coloured) - 1)
            whole = photographs.pixels(coloured[index])
            edge, stretch = min(whole.shape[:2]) * rng.uniform(0.5, 1.0), math.exp(rng.uniform(-0.12, 0.12))
            height, width = (
                min(round(edge * by), most) for by, most in zip((stretch, 1 / stretch), whole.shape, strict=False)
            )
            top, left = int(rng.integers(whole.shape[0] - height + 1)), int(rng.integers(whole.shape[1] - width + 1))
            cut = np.ascontiguousarray(whole[top : top + height, left : left + width])
            yield cv2.resize(cut, (size, size), interpolation=cv2.INTER_AREA).transpose(2, 0, 1)


def reduced(photographs: Photographs, longest: int, multiple: int) -> Iterator[Bytes]:
    """Each photograph that has colour, whole, reduced to `longest` pixels along its longest edge, the edges cut to
    multiples: uint8 (h, w, 3)."""
    for index, picture in enumerate(photographs.pictures):
        if not picture.gray:
            yield cut_to(np.ascontiguousarray(photographs.pixels(index)), longest, multiple)


def cut_to(picture: Bytes, longest: int, multiple: int) -> Bytes:
    """One picture (h, w, 3) as `reduced` gives it."""
    part = longest / max(picture.shape[:2])
    height, width = (max(multiple, round(edge * part) // multiple * multiple) for edge in picture.shape[:2])
    return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA))


Maker = Callable[[Photographs, int, int, int], Iterator[Bytes]]
MAKERS: dict[str, Maker] = {
    "damage": damaged_scenes,
    "fill": holed_scenes,
    "denoise": noisy_scenes,
    "colour": colour_scenes,
}
"""By kind of shard: (photographs, seed, scenes, size) -> uint8 (c, size, size), four a scene."""


# --- shards --------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where examples come from and where their shards lie."""

    photographs: Path
    split: str
    kind: str
    """Key of MAKERS."""
    pool: Path
    seed: int
    size: int = SIZE
    examples: int = SHARD


def shard_path(source: Source, number: int) -> Path:
    """File of one shard."""
    return source.pool / f"{source.kind}-{source.split}-{source.seed}-{source.size}-{number:05d}.npy"


def make_shard(source: Source, photographs: Photographs, number: int) -> None:
    """Write one shard, uint8 (examples, c, size, size), unless it is there."""
    path = shard_path(source, number)
    if path.exists():
        return
    seed = stream(source.seed, number, *source.split.encode()).integers(2**62)
    scenes = MAKERS[source.kind](photographs, int(seed), -(-source.examples // 4), source.size)
    made = np.stack(list(scenes))[: source.examples]
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    with temporary.open("wb") as out:
        np.save(out, made)
    temporary.replace(path)


def produce(source: Source, first: int, last: int) -> None:
    """Write the shards `first`..`last`, one after the other, in one thread."""
    cv2.setNumThreads(1)
    os.nice(5)
    photographs = Photographs(source.photographs, source.split)
    source.pool.mkdir(parents=True, exist_ok=True)
    parent = os.getppid()
    for number in range(first, last + 1):
        if os.getppid() != parent:
            return  # nobody is left to learn from them
        make_shard(source, photographs, number)


@contextlib.contextmanager
def _no_script() -> Iterator[None]:
    """A process that is started here does not import the running script, and with it torch: pictures need neither."""
    script = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script


class Pool:
    """The newest `keep` of the shards, one more every `every` steps, up to number `last`.

    The first step has `begin` of them. A step waits for its shards; the examples of one step come from all of them.
    """

    def __init__(self, source: Source, *, begin: int, keep: int, every: int, last: int) -> None:
        self.source, self.begin, self.keep, self.every, self.last = source, begin, keep, every, last
        self._shards: dict[int, Bytes] = {}
        self._worker: multiprocessing.process.BaseProcess | None = None
        self.waited = 0.0
        """Seconds spent waiting."""

    def start(self, step: int = 0) -> None:
        """Begin to make the shards that step `step` and later ones need."""
        Photographs(self.source.photographs, self.source.split)  # the cache is made once, here
        first = max(0, self._newest(step) - self.keep + 1)
        context = multiprocessing.get_context("spawn")
        self._worker = context.Process(target=produce, args=(self.source, first, self.last), daemon=True)
        with _no_script():
            self._worker.start()

    def stop(self) -> None:
        """End the background process."""
        if self._worker is not None:
            self._worker.terminate()
            self._worker.join()

    def _newest(self, step: int) -> int:
        return min(self.begin - 1 + step // self.every, self.last)

    def batch(self, step: int, count: int, crop: int) -> Bytes:
        """The examples of one step, each a random square of one: (count, c, crop, crop) uint8."""
        newest = self._newest(step)
        wanted = range(max(0, newest - self.keep + 1), newest + 1)
        for number in [number for number in self._shards if number not in wanted]:
            del self._shards[number]
        for number in wanted:
            if number not in self._shards:
                self._shards[number] = self._open(number)
        rng = stream(self.source.seed, step, 0xBA7C)
        picked = []
        for _ in range(count):
            shard = self._shards[int(rng.choice(list(wanted)))]
            example = shard[int(rng.integers(len(shard)))]
            top, left = (int(at) for at in rng.integers(self.source.size - crop + 1, size=2))
            picked.append(example[:, top : top + crop, left : left + crop])
        return np.stack(picked)

    def examples(self) -> Bytes:
        """All of shard 0: what a network is checked on."""
        return self._open(0)

    def _open(self, number: int) -> Bytes:
        path = shard_path(self.source, number)
        began = time.monotonic()
        while not path.exists():
            if self._worker is None or not self._worker.is_alive():
                with contextlib.suppress(FileNotFoundError):
                    return np.load(path, mmap_mode="r")
                raise SystemExit(f"the process that makes examples ended before {path.name} was there")
            time.sleep(0.05)
        self.waited += time.monotonic() - began
        shard: Bytes = np.load(path, mmap_mode="r")
        return shard


def turned(rng: np.random.Generator, examples: Bytes) -> Bytes:
    """Each example turned or mirrored another way."""
    out = []
    for example in examples:
        turn = np.rot90(example, int(rng.integers(4)), (1, 2))
        out.append(turn[:, :, ::-1] if rng.random() < 0.5 else turn)
    return np.ascontiguousarray(np.stack(out))


def exposed(rng: np.random.Generator, luma: Floats) -> Floats:
    """Each picture under another exposure, contrast and curve, now and then as a negative; (n, h, w) in [0, 1]."""
    out = np.empty_like(luma)
    for k, plane in enumerate(luma):
        shown = plane ** np.float32(math.exp(rng.normal(0, 0.25)))
        gain, lift = rng.uniform(0.5, 1.0), rng.random()
        shown = shown * np.float32(gain) + np.float32((1 - gain) * lift)
        if rng.random() < 0.05:
            shown = 1 - shown
        out[k] = shown
    return np.clip(out, 0, 1)
