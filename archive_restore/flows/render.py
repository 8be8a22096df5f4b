"""Rendering: the steps of a plan run over a master into files of a directory; nothing is signed or stored.

Used to make a restoration and to make it again, so that both run the very same code.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from archive_restore.core.planning import PlannedStep
from archive_restore.core.synthesis_map import PixelDigest, certainty_of, histogram
from archive_restore.errors import PictureUnreadable, ReferenceUnknown
from archive_restore.flows.commit import load_record
from archive_restore.imaging import engine
from archive_restore.imaging.reduce import MapReducer
from archive_restore.ports import (
    Archive,
    Lineage,
    Loss,
    Network,
    Overview,
    PictureSource,
    PreservationStep,
    StoredFile,
)
from archive_restore.records.imagery import DamageClass, PictureFacts, Region
from archive_restore.records.models import InstalledModel
from archive_restore.records.objects import Master, MasterRef
from archive_restore.records.preservation import Certainty
from archive_restore.records.provenance import Determinism, Environment, Json, SoftwareAgent, StepRun

MAP_PNG = "synthesis-map.png"
DAMAGE_PNG = "damage-map.png"
PROBABILITY_PNG = "damage-probability.png"
UNCERTAINTY_PNG = "uncertainty.png"
PLANES = {
    MAP_PNG: "synthesis map",
    DAMAGE_PNG: "damage map",
    PROBABILITY_PNG: "damage probability",
    UNCERTAINTY_PNG: "uncertainty",
}
"""Planes beside the picture, 8-bit gray, with the roles of their products."""
MODELS = "models"
"""Member of a step's survey that names the models it ran with."""
CELL = 64
"""Edge of the cells in which changed places are gathered into regions, pixels."""


@dataclass(frozen=True, kw_only=True)
class HandFiles:
    """Maps a person drew, as files; None where not given."""

    damage: Path | None = None
    keep: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Rendering:
    """Pixels that were rendered into a staging directory, and everything measured on the way."""

    picture: Path
    before: Overview
    flags: Any
    """Reduced map, uint8."""
    damage_counts: Mapping[str, int]
    cells: Any
    """Changed pixels a CELL×CELL cell, int64 (rows, columns)."""
    loss_cells: Any
    """LOSS pixels a cell, int64 (rows, columns)."""
    histogram: tuple[int, ...]
    pixels_sha256: str
    planes_sha256: Mapping[str, str]
    """Digests of the decoded planes, by the names of PLANES."""
    certainty: Certainty
    master_pixels_sha256: str
    steps: tuple[StepRun, ...]
    networks: tuple[Network, ...]
    """The models that took part, each once, in the order of the steps."""


def load_master(archive: Archive, item_id: str) -> tuple[Master, Mapping[str, StoredFile]]:
    """The master of an item and its stored files; raise where it cannot be restored."""
    ref = MasterRef(item_id=item_id)
    if archive.preservation.head(ref.object_id) == 0:
        raise ReferenceUnknown(f"there is no item {item_id!r} in this archive", hint="See: archive-restore list")
    master = load_record(archive, ref)
    if not isinstance(master, Master):
        raise ReferenceUnknown(f"{item_id!r} is not a master")
    if master.picture is None:
        raise PictureUnreadable(
            f"the master of {item_id!r} was kept as bytes only", hint="Its pixels could not be understood at ingest"
        )
    return master, archive.preservation.files(ref)


def models_of(archive: Archive, planned: Iterable[PlannedStep]) -> tuple[InstalledModel, ...]:
    """The models that these steps want, each once, in their order; raise ModelUnusable where one is not here."""
    library = archive.preservation_steps()
    wanted = dict.fromkeys(name for step in planned for name in library[step.step].models(step.parameters))
    return tuple(archive.models.card(name) for name in wanted)


def _equipped(
    archive: Archive, planned: Sequence[PlannedStep], device: str
) -> tuple[list[tuple[PreservationStep, Mapping[str, Json]]], dict[str, Network]]:
    """The steps with their networks, and all networks by name."""
    library = archive.preservation_steps()
    networks: dict[str, Network] = {}
    steps = []
    for step in planned:
        plain = library[step.step]
        names = plain.models(step.parameters)
        for name in names:
            if name not in networks:
                networks[name] = archive.models.load(name, device)
        steps.append((plain.equip({name: networks[name] for name in names}) if names else plain, step.parameters))
    return steps, networks


def _surveyed(
    steps: Sequence[tuple[PreservationStep, Mapping[str, Json]]], seen: Overview
) -> tuple[engine.BoundStep, ...]:
    """As engine.survey; what a step found says which models it ran with."""
    bound = engine.survey(steps, seen)
    named = [step.step.models(step.parameters) for step in bound]
    return tuple(
        replace(step, survey={**step.survey, MODELS: names}) if names else step
        for step, names in zip(bound, named, strict=True)
    )


def render(
    archive: Archive,
    master: Master,
    master_path: Path,
    planned: Sequence[PlannedStep],
    lineage: Lineage,
    hand: HandFiles,
    *,
    seed: int,
    tile: int,
    directory: Path,
    device: str = "auto",
) -> Rendering:
    """Run the steps and write picture, map and damage map into `directory`; nothing is signed or stored.

    `device` is where trained models run. Raise ModelUnusable where one is missing or does not do what its card says.
    """
    equipped, networks = _equipped(archive, planned, device)
    with archive.pictures.open(master_path, master.picture) as source:
        damage_source, keep_source = (_hand_map(archive, path, source) for path in (hand.damage, hand.keep))
        try:
            seen = engine.overview(source)
            steps = _surveyed(equipped, seen)
            hand_maps = engine.HandMaps(damage=damage_source, keep=keep_source)
            bands = engine.run(source, steps, hand_maps, seed=seed, tile=tile, threads=archive.settings.threads)
            made = _write(archive, source, master_path, seen, steps, bands, lineage, directory)
            return replace(made, networks=tuple(networks.values()))
        finally:
            for drawn in (damage_source, keep_source):
                if drawn is not None:
                    drawn.close()


def _write(
    archive: Archive,
    source: PictureSource,
    master_path: Path,
    seen: Overview,
    steps: Sequence[engine.BoundStep],
    bands: Iterator[engine.Band],
    lineage: Lineage,
    directory: Path,
) -> Rendering:
    facts = source.facts
    picture = directory / "unsigned.tif"
    of_pixels, of_master = PixelDigest(), PixelDigest()
    of_planes = {name: PixelDigest() for name in PLANES}
    reduced_map = MapReducer(facts.width, facts.height, engine.OVERVIEW_EDGE)
    total, damage_total, doubt_total = (np.zeros(256, np.int64) for _ in range(3))
    changed = np.zeros(len(steps), np.int64)
    cells = np.zeros((-(-facts.height // CELL), -(-facts.width // CELL)), np.int64)
    loss_cells = np.zeros_like(cells)
    writer = archive.pictures.create(picture, master=master_path, facts=facts, lineage=lineage)
    writers = {name: archive.pictures.create_plane(directory / name, facts.width, facts.height) for name in PLANES}
    for band in bands:
        writer.write(band.samples, band.flags)
        planes = (band.flags, band.damage, band.probability, band.doubt)
        for (name, output), plane in zip(writers.items(), planes, strict=True):
            output.write(plane)
            of_planes[name].update(plane)
        of_pixels.update(band.samples)
        reduced_map.add(band.flags)
        total += histogram(band.flags)
        damage_total += histogram(band.damage)
        doubt_total += histogram(band.doubt)
        changed += band.changed
        gather(cells, band.flags != 0, band.top)
        gather(loss_cells, band.damage == DamageClass.LOSS, band.top)
        of_master.update(
            source.read(Region(top=band.top, left=0, bottom=band.top + band.flags.shape[0], right=facts.width))
        )
    writer.close()
    for output in writers.values():
        output.close()
    return Rendering(
        picture=picture,
        before=seen,
        flags=reduced_map.result(),
        damage_counts={kind.name: int(damage_total[kind]) for kind in DamageClass if damage_total[kind]},
        cells=cells,
        loss_cells=loss_cells,
        histogram=tuple(int(n) for n in total),
        pixels_sha256=of_pixels.hexdigest(),
        planes_sha256={name: digest.hexdigest() for name, digest in of_planes.items()},
        certainty=certainty_of(doubt_total),
        master_pixels_sha256=of_master.hexdigest(),
        steps=tuple(_step_run(step, int(pixels)) for step, pixels in zip(steps, changed, strict=True)),
        networks=(),
    )


def environment(archive: Archive, networks: Sequence[Network], facts: PictureFacts, role: str) -> Environment:
    """What the pixels were made with: this program in its `role`, libraries, those that decode `facts`, models."""
    import cv2

    agents = (
        SoftwareAgent(name=archive.agent.split()[0], version=archive.agent.split()[-1], role=role),
        SoftwareAgent(name="numpy", version=np.__version__, role="pixels"),
        SoftwareAgent(name="OpenCV", version=cv2.__version__, role="pixels"),
        *dict.fromkeys(network.agent for network in networks),
        *archive.pictures.agents(facts),
        *archive.credentials.agents(),
    )
    promises = {Determinism.SAME_MACHINE, *(network.determinism for network in networks)}
    return Environment(
        agents=agents,
        models=tuple(network.model.use for network in networks),
        platform=archive.platform,
        device=next((network.device for network in networks if network.device != "cpu"), "cpu"),
        determinism=Determinism.CLOSE if Determinism.CLOSE in promises else Determinism.SAME_MACHINE,
    )


def gather(cells: Any, marked: Any, top: int) -> None:
    """Add the marked pixels, bool (rows, width), of a band that begins at row `top` to the counts of their cells."""
    if marked.any():
        first = top // CELL
        edges = [max(row * CELL - top, 0) for row in range(first, (top + len(marked) - 1) // CELL + 1)]
        across = np.add.reduceat(marked, range(0, marked.shape[1], CELL), axis=1, dtype=np.int64)
        cells[first : first + len(edges)] += np.add.reduceat(across, edges, axis=0)


def regions_of(cells: Any, frame: PictureFacts) -> tuple[Loss, ...]:
    """Rectangles around connected cells with marked pixels, those with most pixels first."""
    import cv2

    count, labels, stats, _ = cv2.connectedComponentsWithStats((cells > 0).astype(np.uint8), connectivity=8)
    pixels = np.bincount(labels.ravel(), weights=cells.ravel(), minlength=count)
    found = []
    for index in range(1, count):
        x, y, w, h = (int(v) * CELL for v in stats[index][:4])
        region = Region(top=y, left=x, bottom=min(frame.height, y + h), right=min(frame.width, x + w))
        found.append(Loss(region=region, pixels=int(pixels[index])))
    return tuple(sorted(found, key=lambda loss: -loss.pixels))


def _step_run(bound: engine.BoundStep, pixels: int) -> StepRun:
    return StepRun(
        step=bound.step.name,
        version=bound.step.version,
        parameters=bound.parameters,
        survey=bound.survey,
        action=bound.step.action,
        digital_source_type=bound.step.source_type(bound.parameters) if pixels else "",
        pixels=pixels,
        description=bound.step.summary,
    )


def _hand_map(archive: Archive, path: Path | None, source: PictureSource) -> PictureSource | None:
    if path is None:
        return None
    drawn = archive.pictures.open(path)
    if (drawn.facts.width, drawn.facts.height) != (source.facts.width, source.facts.height):
        size = f"{drawn.facts.width}×{drawn.facts.height}"
        drawn.close()
        raise PictureUnreadable(
            f"the map {path.name!r} is {size} and the master {source.facts.width}×{source.facts.height}",
            hint="Draw it on a copy of the master at full size",
        )
    return drawn
