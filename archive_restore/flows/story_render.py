"""Rendering of stories: a source and the steps of a plan become files of a directory; nothing is signed or stored.

Used to tell a story and to tell it again, so that both run the very same code. The source is read, never written.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from archive_restore.core.canonical import from_plain, to_plain
from archive_restore.core.planning import PlannedStep
from archive_restore.core.refs import AnyRef
from archive_restore.core.story_claims import PARENT
from archive_restore.core.synthesis_map import PixelDigest, histogram
from archive_restore.errors import CatalogDamaged, ReferenceUnknown, SelfCheckFailed
from archive_restore.flows.commit import load_record, sidecar_name, stored_files
from archive_restore.flows.kept_answers import AnswersKept
from archive_restore.flows.render import CELL, DAMAGE_PNG, MAP_PNG, MODELS, UNCERTAINTY_PNG, gather, load_master
from archive_restore.imaging import engine
from archive_restore.imaging.lanes import Lanes
from archive_restore.imaging.reduce import MapReducer, PictureReducer
from archive_restore.ports import (
    Archive,
    DerivativeWriter,
    Lineage,
    MotionStep,
    Network,
    Overview,
    PictureSource,
    PlaneWriter,
    Samples,
    StoredFile,
    StoryContext,
    StoryPicture,
    StoryStep,
)
from archive_restore.records.imagery import IDENTITY, DamageClass, Geometry, PictureFacts, Region, SampleRole
from archive_restore.records.models import InstalledModel
from archive_restore.records.objects import Master, MasterRef
from archive_restore.records.preservation import PreservationDerivation
from archive_restore.records.provenance import Json, Material, Product, StepRun
from archive_restore.records.stories import HumanDecision, StoryDerivation, StoryKind

DISAGREEMENT_PNG = "disagreement.png"
STORY_PLANES = {MAP_PNG: "synthesis map", UNCERTAINTY_PNG: "uncertainty", DISAGREEMENT_PNG: "disagreement"}
"""Planes beside the picture, 8-bit gray, with the roles of their products; the last where there are alternatives."""
WORDS = {StoryKind.ENHANCEMENT: "enhanced", StoryKind.COLORIZATION: "colorized", StoryKind.ANIMATION: "animated"}
"""What the name of a story's file says that it is."""
ROWS = 256
_Make = Callable[[], Mapping[str, Samples]]
IN_MEMORY = 32 << 20
"""Bytes from which an array lies in a file."""


@dataclass(frozen=True, kw_only=True)
class StorySourceFile:
    """What a story is made from: a master, a restoration, or another story."""

    material: Material
    """With the role `parent`; its `pixels_sha256` is empty for a master, whose pixels were not read yet."""
    ref: AnyRef
    path: Path
    sidecar: Path | None
    """Its C2PA manifest; None where it lies inside the file."""
    facts: PictureFacts
    uncertainty: Path | None
    damage: Path | None
    """Damage map of a restoration."""
    geometry: Geometry
    """From its pixels to those of the master."""
    master: Master
    master_path: Path
    master_pixels_sha256: str
    """Empty for a master, whose pixels were not read yet."""
    kinds: tuple[StoryKind, ...] = ()
    """Kinds of the stories it was made from, itself included."""


@dataclass(frozen=True, kw_only=True)
class Attachment:
    """A file that was handed in."""

    role: str
    """`music`, `voice`."""
    path: str
    """Where it lies now."""
    name: str
    """Its name inside the object."""
    mime: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Telling:
    """What a person asked for, besides the steps: plain data that may travel to another process."""

    seed: int = 0
    samples: int = 1
    """How many outcomes are wanted."""
    documents: Mapping[str, str] = field(default_factory=dict)
    """What was handed in, by name: JSON."""
    attachments: tuple[Attachment, ...] = ()
    """Files that were handed in and are kept as they are."""


@dataclass(frozen=True, kw_only=True)
class StoryRendering:
    """Pixels that were rendered into a staging directory, and everything measured on the way."""

    picture: Path
    facts: PictureFacts
    before: Overview
    after: Overview
    flags: Any
    """Reduced map, uint8."""
    cells: Any
    """Pixels with flags that the source does not have a CELL×CELL cell, int64 (rows, columns)."""
    histogram: tuple[int, ...]
    products: tuple[Product, ...]
    """The picture, then the planes."""
    alternatives: tuple[Product, ...]
    others: tuple[tuple[Path, Overview], ...]
    """The files of the alternatives, not signed, and each of them reduced."""
    master_pixels_sha256: str
    source_pixels_sha256: str
    geometry: Geometry
    steps: tuple[StepRun, ...]
    networks: tuple[Network, ...]
    people: tuple[HumanDecision, ...]
    notes: tuple[str, ...]


def load_source(archive: Archive, ref: AnyRef) -> StorySourceFile:
    """What lies under a reference, ready to be made into a story; raise where its pixels cannot be read."""
    master, master_files = load_master(archive, ref.item_id)
    master_file = master_files[master.file.name]
    if isinstance(ref, MasterRef):
        assert master.picture is not None  # load_master refuses what has no pixels
        return StorySourceFile(
            material=_material(ref, master_file, master.file.mime, ""),
            ref=ref,
            path=master_file.path,
            sidecar=master_files[sidecar_name(master.file.name)].path,
            facts=master.picture,
            uncertainty=None,
            damage=None,
            geometry=IDENTITY,
            master=master,
            master_path=master_file.path,
            master_pixels_sha256="",
        )
    derivation = load_record(archive, ref)
    if not isinstance(derivation, PreservationDerivation | StoryDerivation):
        raise CatalogDamaged(f"{ref} holds no derivation", hint=f"Run: archive-restore verify {ref}")
    files = stored_files(archive, ref)
    picture = derivation.products[0]
    if picture.mime != "image/tiff" or picture.name not in files:
        raise ReferenceUnknown(f"{ref} holds no still picture", hint="Give a master, a restoration or a still story")
    others = {name: files[name].path for name in files}
    path = files[picture.name].path
    with archive.pictures.open(path) as opened:
        facts = opened.facts
    return StorySourceFile(
        material=_material(ref, files[picture.name], picture.mime, picture.pixels_sha256),
        ref=ref,
        path=path,
        sidecar=others.get(sidecar_name(picture.name)),
        facts=facts,
        uncertainty=others.get(UNCERTAINTY_PNG),
        damage=others.get(DAMAGE_PNG),
        geometry=derivation.map.geometry,
        master=master,
        master_path=master_file.path,
        master_pixels_sha256=derivation.map.master_pixels_sha256,
        kinds=tuple(_kinds(archive, derivation)),
    )


def _kinds(archive: Archive, derivation: PreservationDerivation | StoryDerivation) -> Iterator[StoryKind]:
    record: object = derivation
    seen: set[str] = set()
    while isinstance(record, StoryDerivation) and str(record.ref) not in seen:
        seen.add(str(record.ref))  # a forged record must not lead round in circles
        yield record.ref.kind
        record = load_record(archive, record.parent)


def _material(ref: AnyRef, stored: StoredFile, mime: str, pixels_sha256: str) -> Material:
    return Material(
        role=PARENT, ref=str(ref), mime=mime, size=stored.path.stat().st_size,
        sha512=stored.sha512, sha256=stored.sha256, pixels_sha256=pixels_sha256,
    )  # fmt: skip


def steps_for_stories(archive: Archive, wanted: Iterable[str]) -> Mapping[str, StoryStep | MotionStep]:
    """Every step that a story may have, by name; without those of clips where stills have all that are wanted."""
    stills = archive.story_steps()
    return stills if all(name in stills for name in wanted) else {**stills, **archive.motion_steps()}


def models_of_story(archive: Archive, planned: Sequence[PlannedStep]) -> tuple[InstalledModel, ...]:
    """The models that these steps want, each once, in their order; raise ModelUnusable where one is not here."""
    library = steps_for_stories(archive, [step.step for step in planned])
    wanted = dict.fromkeys(name for step in planned for name in library[step.step].models(step.parameters))
    return tuple(archive.models.card(name) for name in wanted)


def render_story(
    archive: Archive,
    source: StorySourceFile,
    planned: Sequence[PlannedStep],
    telling: Telling,
    lineage: Lineage,
    *,
    kind: StoryKind,
    directory: Path,
    device: str = "auto",
    afresh: bool = False,
) -> StoryRendering:
    """Run the steps and write picture, map, planes and alternatives into `directory`; nothing is signed or stored.

    `device` is where trained models run; `afresh` takes nothing from earlier runs. Raise ModelUnusable where a model is
    missing or does not do what its card says, UsageError where what a person gave does not fit the picture.
    """
    library = archive.story_steps()
    steps = [library[step.step] for step in planned]
    networks: dict[str, Network] = {}
    for step, plan in zip(steps, planned, strict=True):
        for name in step.models(plan.parameters):
            if name not in networks:
                keep = step.asks_again and not afresh
                networks[name] = AnswersKept(archive, name, device) if keep else archive.models.load(name, device)
    room = Room(archive.work)
    with ThreadPoolExecutor(1, thread_name_prefix="overview") as pool:
        loaded = _load(archive, source, room, pool, afresh)
        teller = _Teller(archive, telling, networks, room, "" if afresh else loaded.pixels_sha256)
        picture = loaded.picture
        for step, plan in zip(steps, planned, strict=True):
            picture = teller.tell(step, plan.parameters, picture)
        made = _write(archive, source, loaded, picture, lineage, kind, directory, room)
    return replace(
        made,
        steps=tuple(teller.runs),
        networks=tuple(networks.values()),
        people=tuple(dict.fromkeys(teller.people)),
        notes=tuple(dict.fromkeys(teller.notes)),
    )


class Room:
    """Arrays for whole pictures: small ones in memory, large ones in files that go away by themselves."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._folder = folder

    def new(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Samples:
        """Zeros; raise OSError where the disk is full, now and not at a later write."""
        size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        if size < IN_MEMORY:
            return np.zeros(shape, dtype)
        with tempfile.TemporaryFile(dir=self._folder) as file:
            os.posix_fallocate(file.fileno(), 0, size)
            return np.memmap(file, dtype, "r+", shape=shape)


@dataclass(frozen=True, kw_only=True)
class _Loaded:
    picture: StoryPicture
    before: Future[Overview]
    """Not needed before all is made."""
    pixels_sha256: str


def _load(archive: Archive, source: StorySourceFile, room: Room, pool: ThreadPoolExecutor, afresh: bool) -> _Loaded:
    with archive.pictures.open(source.path, source.facts) as opened:
        facts = opened.facts
        digest, samples = _copied(opened, room)
    before = pool.submit(_overview, archive, source, "" if afresh else digest)
    shape = (facts.height, facts.width)
    flags, doubt = room.new(shape, np.uint8), room.new(shape, np.uint8)
    if not isinstance(source.ref, MasterRef):
        with archive.pictures.open_map(source.path) as synthesis_map:
            flags = _copied(synthesis_map, room)[1][:, :, 0]
    if source.uncertainty is not None:
        with archive.pictures.open(source.uncertainty) as plane:
            doubt = _copied(plane, room)[1][:, :, 0]
    losses = None
    if source.damage is not None:
        losses = room.new(shape, np.uint8)
        with archive.pictures.open(source.damage) as plane:
            for top, bottom in engine.bands(facts.height, ROWS):
                rows = plane.read(Region(top=top, left=0, bottom=bottom, right=facts.width))[:, :, 0]
                losses[top:bottom] = rows == DamageClass.LOSS
    picture = StoryPicture(
        facts=facts,
        samples=samples,
        white=before.result().white if samples.dtype.kind == "f" else float(np.iinfo(samples.dtype).max),
        space=archive.pictures.colour_space(source.path, facts),
        flags=flags,
        doubt=doubt,
        geometry=source.geometry,
        losses=losses,
    )
    return _Loaded(picture=picture, before=before, pixels_sha256=digest)


def _overview(archive: Archive, source: StorySourceFile, digest: str) -> Overview:
    """The source looked at once; from an earlier run, where the digest of its pixels is given and it was kept."""

    def looked() -> Mapping[str, Samples]:
        with archive.pictures.open(source.path, source.facts) as opened:
            seen = engine.overview(opened)
        crops = {f"crop_{number}": crop for number, crop in enumerate(seen.samples)}
        return {"reduced": seen.reduced, "measures": np.array([seen.scale, seen.white]), **crops}

    facts = source.facts
    key = json.dumps(["overview", archive.agent, digest, to_plain(facts)], sort_keys=True)
    known = archive.kept.get(key, looked) if digest else looked()
    scale, white = np.asarray(known["measures"]).tolist()
    crops = tuple(known[name] for name in known if name.startswith("crop_"))
    return Overview(facts=facts, reduced=known["reduced"], scale=scale, white=white, samples=crops)


def _copied(source: PictureSource, room: Room) -> tuple[str, Samples]:
    """Digest and samples (h, w, samples) of a picture."""
    facts, digest = source.facts, PixelDigest()
    samples = room.new((facts.height, facts.width, facts.samples), source.dtype)
    for top, bottom in engine.bands(facts.height, ROWS):
        band = source.read(Region(top=top, left=0, bottom=bottom, right=facts.width))
        samples[top:bottom] = band
        digest.update(band)
    return digest.hexdigest(), samples


class _Teller:
    """Runs steps one after another and keeps what they say."""

    def __init__(
        self, archive: Archive, telling: Telling, networks: Mapping[str, Network], room: Room, source_sha256: str
    ) -> None:
        """Without the digest of the source's pixels nothing is taken from earlier runs."""
        self._archive = archive
        self._telling = telling
        self._networks = networks
        self._room = room
        self._source_sha256 = source_sha256
        self._documents = {name: json.loads(text) for name, text in telling.documents.items()}
        self.runs: list[StepRun] = []
        self.people: list[HumanDecision] = []
        self.notes: list[str] = []

    def tell(self, step: StoryStep, parameters: Mapping[str, Json], picture: StoryPicture) -> StoryPicture:
        """Run one step over the picture, and over each alternative that an earlier step left."""
        survey: dict[str, Json] = {}
        names = step.models(parameters)
        samples = 1 if picture.alternatives else self._telling.samples
        context = StoryContext(
            seed=self._telling.seed,
            networks={name: self._networks[name] for name in names},
            documents=self._documents,
            samples=samples,
            threads=self._archive.settings.threads,
            new=self._room.new,
            note=survey.update,
            say=self.notes.append,
            decided=self.people.append,
            kept=self._keeping(step, names),
        )
        made = step.tell(replace(picture, alternatives=()), parameters, context)
        if picture.alternatives:
            silent = replace(context, note=_ignore, say=_ignore, decided=_ignore)
            others = [replace(picture, samples=other, alternatives=()) for other in picture.alternatives]
            made = replace(made, alternatives=tuple(step.tell(other, parameters, silent).samples for other in others))
        _check(step, picture, made)
        changed = _changed(picture.flags, made.flags)
        run = StepRun(
            step=step.name,
            version=step.version,
            parameters=parameters,
            survey={**survey, MODELS: names} if names else survey,
            action=step.action,
            digital_source_type=step.source_type(parameters) if changed else "",
            pixels=changed,
            description=step.summary,
        )
        # As it will be read back: a step may have noted numbers of numpy's, or lists.
        self.runs.append(from_plain(StepRun, json.loads(json.dumps(asdict(run), default=_number))))
        return made

    def _keeping(self, step: StoryStep, names: Sequence[str]) -> Callable[[str, _Make], Mapping[str, Samples]]:
        """`StoryContext.kept` for one step: picture, version and digests of models are part of every key."""
        weights = {name: network.card.weights.sha256 for name, network in self._networks.items()}
        # What earlier steps made depends on all that they were given.
        before = [(run.step, run.version, to_plain(run.parameters)) for run in self.runs]
        given = [before, self._telling.seed, dict(self._telling.documents), weights] if before else []
        mine = [step.name, step.version, self._archive.agent, [weights[name] for name in names]]
        head = json.dumps([self._source_sha256, *mine, *given], sort_keys=True)

        def kept(key: str, make: _Make) -> Mapping[str, Samples]:
            return self._archive.kept.get(f"{head} {key}", make) if self._source_sha256 else make()

        return kept


def _number(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else dict(value)


def _ignore(_: Any) -> None:
    """What a step says of an alternative it has said of the picture."""


def _check(step: StoryStep, before: StoryPicture, made: StoryPicture) -> None:
    """What a step must not do, whatever it is for; raise SelfCheckFailed."""
    facts, shape = made.facts, (made.facts.height, made.facts.width)
    planes = (made.flags, made.doubt, *(() if made.losses is None else (made.losses,)))
    whole = (*shape, facts.samples)
    if any(plane.shape != shape or plane.dtype != np.uint8 for plane in planes) or any(
        outcome.shape != whole or outcome.dtype != before.samples.dtype
        for outcome in (made.samples, *made.alternatives)
    ):
        raise SelfCheckFailed(f"the step {step.name!r} gave arrays that do not fit its own words")
    if before.flags.shape != made.flags.shape:
        return
    for top, bottom in engine.bands(shape[0], ROWS):
        old, new = before.flags[top:bottom], made.flags[top:bottom]
        if (old & ~new).any():
            raise SelfCheckFailed(f"the step {step.name!r} took flags away", hint="Please report this")
        if (new & ~old & np.uint8(~int(step.flags) & 0xFF)).any():
            raise SelfCheckFailed(f"the step {step.name!r} set flags that it did not name", hint="Please report this")


def _changed(before: npt.NDArray[np.uint8], after: npt.NDArray[np.uint8]) -> int:
    """Pixels that got a flag; all of another frame."""
    if before.shape != after.shape:
        return int(after.size)
    return sum(
        int(np.count_nonzero(before[top:bottom] != after[top:bottom]))
        for top, bottom in engine.bands(after.shape[0], ROWS)
    )


def _write(
    archive: Archive,
    source: StorySourceFile,
    loaded: _Loaded,
    made: StoryPicture,
    lineage: Lineage,
    kind: StoryKind,
    directory: Path,
    room: Room,
) -> StoryRendering:
    facts = made.facts
    picture = directory / "unsigned.tif"
    stem = f"{Path(source.master.file.name).stem}-{WORDS[kind]}-story"
    coloured = SampleRole.RED in facts.roles and SampleRole.RED not in loaded.picture.facts.roles
    create: Callable[[Path], Any] = lambda path: archive.pictures.create_story(  # noqa: E731
        path,
        source=source.path,
        facts=facts,
        space=made.space if coloured else None,
        scale=facts.width / source.facts.width,
        lineage=lineage,
    )
    names = [MAP_PNG, UNCERTAINTY_PNG, *([DISAGREEMENT_PNG] if made.alternatives else [])]
    outcomes = [made.samples, *made.alternatives]
    paths = [picture, *(directory / f"unsigned-{n}.tif" for n in range(1, len(outcomes)))]
    writers = [create(path) for path in paths]
    planes = {name: archive.pictures.create_plane(directory / name, facts.width, facts.height) for name in names}
    of_outcomes, of_planes = [PixelDigest() for _ in outcomes], {name: PixelDigest() for name in names}
    reduced = [PictureReducer(facts.width, facts.height, facts.samples, engine.OVERVIEW_EDGE) for _ in outcomes]
    reduced_map = MapReducer(facts.width, facts.height, engine.OVERVIEW_EDGE)
    total = np.zeros(256, np.int64)
    cells = np.zeros((-(-facts.height // CELL), -(-facts.width // CELL)), np.int64)
    same_frame = made.flags.shape == loaded.picture.flags.shape
    with Lanes(archive.settings.threads) as lanes:
        for top, bottom in engine.bands(facts.height, ROWS):
            flags = np.array(made.flags[top:bottom])
            bands = [np.array(outcome[top:bottom]) for outcome in outcomes]
            rows = {MAP_PNG: flags, UNCERTAINTY_PNG: np.array(made.doubt[top:bottom])}
            if len(bands) > 1:
                rows[DISAGREEMENT_PNG] = disagreement(bands, made.white)
            fresh = flags != loaded.picture.flags[top:bottom] if same_frame else flags != 0
            lanes.give(
                *(partial(reducer.add, band) for reducer, band in zip(reduced, bands, strict=True)),
                partial(_counted, flags, fresh, top, reduced_map, total, cells),
                *(
                    partial(_written, writer, digest, band, flags)
                    for writer, digest, band in zip(writers, of_outcomes, bands, strict=True)
                ),
                *(partial(_drawn, planes[name], of_planes[name], plane) for name, plane in rows.items()),
            )
    for output in (*writers, *planes.values()):
        output.close()
    product = Product(
        role="picture", name=f"{stem}.tif", mime="image/tiff", width=facts.width, height=facts.height,
        dtype=made.samples.dtype.newbyteorder("<").str, samples=facts.samples,
        pixels_sha256=of_outcomes[0].hexdigest(),
    )  # fmt: skip
    is_master = isinstance(source.ref, MasterRef)
    overviews = [
        Overview(facts=facts, reduced=one.result(), scale=one.scale, white=made.white, samples=()) for one in reduced
    ]
    return StoryRendering(
        picture=picture,
        facts=facts,
        before=loaded.before.result(),
        after=overviews[0],
        flags=reduced_map.result(),
        cells=cells,
        histogram=tuple(int(n) for n in total),
        products=(
            product,
            *(
                replace(product, role=STORY_PLANES[name], name=name, mime="image/png", dtype="|u1", samples=1,
                        pixels_sha256=of_planes[name].hexdigest())
                for name in names
            ),
        ),
        alternatives=tuple(
            replace(
                product, role="alternative", name=f"{stem}-alternative-{n}.tif", pixels_sha256=digest.hexdigest()
            )
            for n, digest in enumerate(of_outcomes[1:], 1)
        ),
        others=tuple(zip(paths[1:], overviews[1:], strict=True)),
        master_pixels_sha256=loaded.pixels_sha256 if is_master else source.master_pixels_sha256,
        source_pixels_sha256=loaded.pixels_sha256,
        geometry=_plain(made.geometry),
        steps=(),
        networks=(),
        people=(),
        notes=(),
    )  # fmt: skip


def _written(writer: DerivativeWriter, digest: PixelDigest, band: Samples, flags: npt.NDArray[np.uint8]) -> None:
    writer.write(band, flags)
    digest.update(band)


def _drawn(writer: PlaneWriter, digest: PixelDigest, rows: npt.NDArray[np.uint8]) -> None:
    writer.write(rows)
    digest.update(rows)


def _counted(
    flags: npt.NDArray[np.uint8],
    fresh: npt.NDArray[np.bool_],
    top: int,
    reduced: MapReducer,
    total: npt.NDArray[np.int64],
    cells: npt.NDArray[np.int64],
) -> None:
    reduced.add(flags)
    total += histogram(flags)
    gather(cells, fresh, top)


def _plain(geometry: Geometry) -> Geometry:
    first, second, third = ((float(row[0]), float(row[1]), float(row[2])) for row in geometry)
    return first, second, third


def disagreement(outcomes: Sequence[Samples], white: float) -> npt.NDArray[np.uint8]:
    """How far outcomes lie apart: uint8 (h, w), 255 = full scale, from (h, w, samples) each."""
    stack = np.stack(outcomes)
    apart = (stack.max(axis=0).astype(np.float32) - stack.min(axis=0)).max(axis=2) * np.float32(255.0 / white)
    return np.asarray(np.rint(np.clip(np.nan_to_num(apart), 0, 255)), np.uint8)
