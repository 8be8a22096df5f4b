"""Reproduce: run a derivation again and say whether the same pixels come out (promise P2)."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from archive_restore.core.planning import PlannedStep
from archive_restore.core.refs import AnyRef
from archive_restore.core.synthesis_map import PixelDigest
from archive_restore.errors import CatalogDamaged, ModelUnusable, ReferenceUnknown
from archive_restore.flows.animate import MAP_VIDEO
from archive_restore.flows.commit import load_record
from archive_restore.flows.render import DAMAGE_PNG, MAP_PNG, HandFiles, Rendering, environment, load_master, render
from archive_restore.flows.restore import HAND_DAMAGE, HAND_KEEP
from archive_restore.flows.soundtrack import SOUND, sound_agents
from archive_restore.flows.story_render import StorySourceFile, Telling, load_source, render_story, steps_for_stories
from archive_restore.flows.verify_clip import retaken
from archive_restore.imaging.engine import bands
from archive_restore.ports import Archive, Lineage, MotionStep, PreservationStep, StoredFile, StoryStep
from archive_restore.records.imagery import Region
from archive_restore.records.objects import Description
from archive_restore.records.preservation import PreservationDerivation, PreservationRef
from archive_restore.records.provenance import Environment, StepRun
from archive_restore.records.stories import StoryDerivation, StoryKind, StoryRef


@dataclass(frozen=True, kw_only=True)
class Reproduction:
    """What a second run gave."""

    ref: str
    identical: bool
    """Same decoded samples, same map, and the same planes beside it."""
    pixels_different: int
    """Pixels whose samples differ from the stored derivative."""
    largest_difference: float
    """In code values."""
    map_identical: bool
    damage_identical: bool
    planes_different: tuple[str, ...]
    """Files of other planes that differ: damage probability, uncertainty."""
    surveys_identical: bool
    """Whether every step found the same in the whole picture."""
    determinism: str
    """What the derivation promised."""
    environment_changes: tuple[str, ...]
    """Software that is another version now, and models that are not the same."""


def reproduce(archive: Archive, ref: AnyRef, device: str = "auto") -> Reproduction:
    """Re-run the derivation of one version into a temporary place; nothing is stored.

    `device` is where trained models run; `auto` takes the processor where the derivation did. Raises ReferenceUnknown
    where `ref` is a master, PictureUnreadable, RecipeInvalid, ModelUnusable where a model of the derivation is not
    here.
    """
    if isinstance(ref, StoryRef):
        return _retell(archive, ref, device)
    if not isinstance(ref, PreservationRef):
        raise ReferenceUnknown(f"{str(ref)!r} is not a derivative", hint="Only derivatives can be made again")
    derivation = load_record(archive, ref)
    if not isinstance(derivation, PreservationDerivation):
        raise CatalogDamaged(f"{ref} holds no derivation")
    files = archive.preservation.files(ref)
    master, master_files = load_master(archive, ref.item_id)
    _check_steps(derivation, archive.preservation_steps())
    changed_models = _changed_models(archive, derivation)
    if device == "auto" and derivation.environment.device == "cpu":
        device = "cpu"
    archive.work.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=archive.work, prefix="reproduce-") as folder:
        rendering = render(
            archive,
            master,
            master_files[master.file.name].path,
            [PlannedStep(step=run.step, parameters=run.parameters) for run in derivation.steps],
            _no_lineage(ref),
            HandFiles(damage=_hand(files, HAND_DAMAGE), keep=_hand(files, HAND_KEEP)),
            seed=derivation.seed,
            tile=derivation.tile,
            directory=Path(folder),
            device=device,
        )
        return _judge(archive, ref, derivation, rendering, files, changed_models)


def _retell(archive: Archive, ref: StoryRef, device: str) -> Reproduction:
    derivation = load_record(archive, ref)
    if not isinstance(derivation, StoryDerivation):
        raise CatalogDamaged(f"{ref} holds no story")
    files = archive.stories.files(ref)
    source = load_source(archive, derivation.parent)
    _check_steps(derivation, steps_for_stories(archive, [run.step for run in derivation.steps]))
    changed_models = _changed_models(archive, derivation)
    if device == "auto" and derivation.environment.device == "cpu":
        device = "cpu"
    if ref.kind is StoryKind.ANIMATION:
        return _retaken(archive, derivation, source, files, changed_models, device)
    documents = {m.role: files[m.ref].path.read_text("utf-8") for m in derivation.materials[1:] if m.ref in files}
    archive.work.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=archive.work, prefix="reproduce-") as folder:
        rendering = render_story(
            archive,
            source,
            [PlannedStep(step=run.step, parameters=run.parameters) for run in derivation.steps],
            Telling(seed=derivation.seed, samples=derivation.samples, documents=documents),
            _no_lineage(ref),
            kind=ref.kind,
            directory=Path(folder),
            device=device,
            afresh=True,
        )
        meant = {p.name: p.pixels_sha256 for p in (*derivation.products, *derivation.alternatives)}
        now = {p.name: p.pixels_sha256 for p in (*rendering.products, *rendering.alternatives)}
        picture = derivation.products[0].name
        same_pixels = now.get(picture) == meant[picture]
        different, largest = (0, 0.0) if same_pixels else _differences(archive, rendering.picture, files[picture].path)
        others = tuple(sorted(n for n in meant.keys() | now.keys() if n != picture and meant.get(n) != now.get(n)))
    here = environment(archive, rendering.networks, source.facts, ref.kind.value)
    return Reproduction(
        ref=str(ref),
        identical=same_pixels and not others,
        pixels_different=different,
        largest_difference=largest,
        map_identical=MAP_PNG not in others,
        damage_identical=True,
        planes_different=tuple(name for name in others if name != MAP_PNG),
        surveys_identical=[run.survey for run in rendering.steps] == [run.survey for run in derivation.steps],
        determinism=derivation.environment.determinism.value,
        environment_changes=(*changed_models, *_changes(derivation, here, rendering.steps)),
    )


def _retaken(
    archive: Archive,
    derivation: StoryDerivation,
    source: StorySourceFile,
    files: Mapping[str, StoredFile],
    changed_models: Sequence[str],
    device: str,
) -> Reproduction:
    """Render every frame of a clip again; what was encoded from them is lossy and is not compared."""
    take = retaken(archive, source, derivation, files, device)
    of_pixels, of_maps = PixelDigest(), PixelDigest()
    for index in range(take.clip.count):
        frame = take.frame(index)
        of_pixels.update(frame.samples)
        of_maps.update(frame.flags)
    meant = {product.name: product.pixels_sha256 for product in derivation.products}
    same_pixels = of_pixels.hexdigest() == derivation.products[0].pixels_sha256
    same_maps = of_maps.hexdigest() == meant.get(MAP_VIDEO)
    run = take.run(derivation.steps[0].pixels)
    same_sound = run.survey.get(SOUND) == derivation.steps[0].survey.get(SOUND)
    here = environment(archive, list(take.networks.values()), source.facts, derivation.ref.kind.value)
    agents = (*here.agents, *archive.videos.agents(), *sound_agents(archive, take.heard))
    then = {name: value for name, value in derivation.steps[0].survey.items() if name != "encoding"}
    return Reproduction(
        ref=str(derivation.ref),
        identical=same_pixels and same_maps and same_sound,
        pixels_different=0 if same_pixels else derivation.map.pixels,
        largest_difference=0.0 if same_pixels else 255.0,
        map_identical=same_maps,
        damage_identical=True,
        planes_different=() if same_sound else (SOUND,),
        surveys_identical=run.survey == then,
        determinism=derivation.environment.determinism.value,
        environment_changes=(*changed_models, *_changes(derivation, replace(here, agents=agents), [run])),
    )


def _check_steps(
    derivation: PreservationDerivation | StoryDerivation,
    library: Mapping[str, PreservationStep] | Mapping[str, StoryStep | MotionStep],
) -> None:
    for run in derivation.steps:
        if run.step not in library:
            raise ReferenceUnknown(f"the step {run.step!r} of {derivation.ref} is not installed here")


def _changed_models(archive: Archive, derivation: PreservationDerivation | StoryDerivation) -> list[str]:
    """What differs between the models of then and of now; raise ModelUnusable where one is not here at all."""
    changes = []
    for then in derivation.environment.models:
        try:
            now = archive.models.card(then.name).use
        except ModelUnusable as exc:
            raise ModelUnusable(
                f"{derivation.ref} was made with the model {then.name!r} {then.version}, weights sha256 {then.sha256}, "
                f"which cannot be used here: {exc}"
            ) from exc
        if now.sha256 != then.sha256:
            changes.append(
                f"model {then.name} was {then.version} with weights sha256 {then.sha256} and is {now.version} with "
                f"{now.sha256}; the same pixels need the former weights"
            )
        elif now.card_sha256 != then.card_sha256:
            changes.append(f"card of model {then.name} was sha256 {then.card_sha256} and is {now.card_sha256}")
    return changes


def _hand(files: Mapping[str, StoredFile], stem: str) -> Path | None:
    return next((f.path for name, f in files.items() if Path(name).stem == stem), None)


def _judge(
    archive: Archive,
    ref: PreservationRef,
    derivation: PreservationDerivation,
    rendering: Rendering,
    files: Mapping[str, StoredFile],
    changed_models: list[str],
) -> Reproduction:
    here = environment(archive, rendering.networks, rendering.before.facts, "restoration")
    same_pixels = rendering.pixels_sha256 == derivation.products[0].pixels_sha256
    different, largest = (
        (0, 0.0) if same_pixels else _differences(archive, rendering.picture, files[derivation.products[0].name].path)
    )
    meant = {p.name: p.pixels_sha256 for p in derivation.products if p.name in rendering.planes_sha256}
    map_same = rendering.planes_sha256[MAP_PNG] == derivation.map.sha256
    damage_same = rendering.planes_sha256[DAMAGE_PNG] == meant.get(DAMAGE_PNG, "")
    # A derivation made before a plane existed promised nothing about it.
    different_planes = tuple(
        name
        for name, digest in meant.items()
        if name not in (MAP_PNG, DAMAGE_PNG) and rendering.planes_sha256[name] != digest
    )
    return Reproduction(
        ref=str(ref),
        identical=same_pixels and map_same and damage_same and not different_planes,
        pixels_different=different,
        largest_difference=largest,
        map_identical=map_same,
        damage_identical=damage_same,
        planes_different=different_planes,
        surveys_identical=[run.survey for run in rendering.steps] == [run.survey for run in derivation.steps],
        determinism=derivation.environment.determinism.value,
        environment_changes=(*changed_models, *_changes(derivation, here, rendering.steps)),
    )


def _differences(archive: Archive, made: Path, stored: Path) -> tuple[int, float]:
    """Pixels that differ and by how much at most; every pixel where not even the frame is the same."""
    different, largest = 0, 0.0
    with archive.pictures.open(made) as fresh, archive.pictures.open(stored) as old:
        facts = old.facts
        frames = {(p.facts.width, p.facts.height, p.facts.samples) for p in (fresh, old)}
        if len(frames) > 1:
            return facts.width * facts.height, 0.0
        for top, bottom in bands(facts.height, 256):
            region = Region(top=top, left=0, bottom=bottom, right=facts.width)
            gap = np.abs(fresh.read(region).astype(np.float64) - old.read(region).astype(np.float64))
            different += int((gap.max(axis=2) > 0).sum())
            largest = max(largest, float(gap.max()))
    return different, largest


def _changes(
    derivation: PreservationDerivation | StoryDerivation, here: Environment, steps: Sequence[StepRun]
) -> list[str]:
    now = {agent.name: agent.version for agent in here.agents}
    changes = [
        f"{agent.name} was {agent.version} and is {now.get(agent.name, 'absent')}"
        for agent in derivation.environment.agents
        if now.get(agent.name) != agent.version
    ]
    if here.device != derivation.environment.device:
        changes.append(f"models ran on {derivation.environment.device} and run on {here.device}")
    versions = {run.step: run.version for run in derivation.steps}
    changes += [
        f"step {run.step} was version {versions[run.step]} and is {run.version}"
        for run in steps
        if versions.get(run.step) != run.version
    ]
    return changes


def _no_lineage(ref: PreservationRef | StoryRef) -> Lineage:
    return Lineage(
        ref=str(ref), parent_ref=ref.item_id, parent_sha256="", digital_source_type="algorithmicallyEnhanced",
        software="", when="", history=(), parent_name="", description=Description(),
    )  # fmt: skip
