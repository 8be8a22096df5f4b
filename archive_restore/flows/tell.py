"""Tell: a story from a master, a restoration or another story, checked pixel by pixel before it is stored.

What comes out goes into the story root and nowhere else: no type here can name a place in the record (promise P4).
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from archive_restore.core.canonical import canonical_bytes, to_plain
from archive_restore.core.manifests import map_statement
from archive_restore.core.planning import Plan, PlannedStep
from archive_restore.core.synthesis_map import contradiction, map_summary
from archive_restore.errors import NothingToEnhance, SelfCheckFailed, StorageFailed
from archive_restore.flows.commit import (
    DERIVATION_RECORD,
    PREMIS_RECORD,
    PreparedStory,
    commit_story,
    digest_event,
    event,
    exact_ref,
    sidecar_name,
)
from archive_restore.flows.render import MAP_PNG, environment, regions_of
from archive_restore.flows.restore import MAP_RECORD, MASTER_THUMBNAIL, REPORT, THUMBNAIL
from archive_restore.flows.story_render import (
    StoryRendering,
    StorySourceFile,
    Telling,
    load_source,
    render_story,
)
from archive_restore.imaging.compare import Compared, StoryComparison, compare_story
from archive_restore.imaging.enlarge import geometry as enlarged
from archive_restore.ports import (
    Archive,
    ColourSpace,
    CredentialReport,
    Digests,
    Lineage,
    Overview,
    SignedFile,
    Staging,
    StoryLook,
    StoryStep,
    StoryView,
)
from archive_restore.records.findings import has_errors
from archive_restore.records.imagery import PictureFacts, Region
from archive_restore.records.objects import MasterRef
from archive_restore.records.provenance import Material
from archive_restore.records.stories import HumanDecision, StoryDerivation, StoryKind, StoryRef

UNREPAIRED = "Made from the master as it came in: what is damaged was not repaired first, and was enlarged as well."
"""Note of an enlargement of a master."""
PLAIN = "algorithmicallyEnhanced"
"""IPTC digital source type where no step says another."""


@dataclass(frozen=True, kw_only=True)
class StoryOrder:
    """One story to be made: plain data that may travel to another process."""

    source: str
    """REF, with its version, of what it is made from."""
    kind: StoryKind
    plan: Plan
    telling: Telling = field(default_factory=Telling)
    people: tuple[HumanDecision, ...] = ()
    """Decisions of people about the whole story."""
    device: str = "auto"
    """Where trained models run."""


@dataclass(frozen=True, kw_only=True)
class StoryMade:
    """One story that was made."""

    ref: str
    path: Path
    """The picture inside the archive."""
    report: Path
    derivation: str
    """Derivation identifier."""
    source: str
    """REF of what it was made from."""
    pixels: Mapping[str, int]
    """Pixels a class."""
    original_fraction: float
    alternatives: tuple[Path, ...]
    notes: tuple[str, ...]
    seconds: float
    agreement_db: float | None = None
    """PSNR of an enlargement, reduced again, against its source; None where nothing was enlarged."""


@dataclass(frozen=True, kw_only=True)
class FinishedStory:
    """A story that lies finished in staging and waits for the coordinator to commit it."""

    prepared: PreparedStory
    made: StoryMade


def tell(archive: Archive, order: StoryOrder) -> StoryMade:
    """Tell one story and store it as its kind's next version; raises as `prepare_story` and `store_story` do."""
    return store_story(archive, prepare_story(archive, order))


def prepare_story(archive: Archive, order: StoryOrder) -> FinishedStory:
    """Do all the work of a story in `work/`, commit nothing; safe in another process.

    Raises ReferenceUnknown, PictureUnreadable, UsageError, ModelUnusable, SelfCheckFailed, StorageFailed,
    CredentialsFailed.
    """
    return prepared_by(_make, archive, order)


Make = Callable[
    [Archive, StoryRef, StorySourceFile, StoryOrder, Staging, str],
    tuple[PreparedStory, StoryMade],
]
"""Makes one story in staging: archive, its REF, its source, what was asked for, where, and when it began."""


def prepared_by(make: Make, archive: Archive, order: StoryOrder) -> FinishedStory:
    """What `make` makes of an order, as the next version of its kind; where it fails, nothing stays in staging."""
    started, clock_start = archive.clock.now(), time.monotonic()
    source = load_source(archive, exact_ref(order.source))
    item_id, kind = source.ref.item_id, order.kind
    ref = StoryRef(item_id=item_id, kind=kind, version=archive.stories.head(f"{item_id}/{kind.value}") + 1)
    staged = archive.stories.stage(ref.object_id)
    try:
        prepared, made = make(archive, ref, source, order, staged, started)
    except OSError as exc:
        staged.discard()
        raise StorageFailed(
            f"{ref} could not be written: {exc.strerror or exc}", hint="Free some space and run it again"
        ) from exc
    except BaseException:
        staged.discard()
        raise
    return FinishedStory(prepared=prepared, made=replace(made, seconds=time.monotonic() - clock_start))


def store_story(archive: Archive, finished: FinishedStory, batch: str = "") -> StoryMade:
    """Commit a finished story, as a task of `batch` if it is one; raises StorageConflict, StorageFailed."""
    try:
        commit_story(archive, finished.prepared, batch)
    except BaseException:
        finished.prepared.staged.discard()
        raise
    stored, made = archive.stories.files(finished.prepared.ref), finished.made
    return replace(
        made,
        path=stored[made.path.name].path,
        report=stored[REPORT].path,
        alternatives=tuple(stored[path.name].path for path in made.alternatives),
    )


def _make(
    archive: Archive, ref: StoryRef, source: StorySourceFile, order: StoryOrder, staged: Staging, started: str
) -> tuple[PreparedStory, StoryMade]:
    handed, documents = take_documents(staged, order.telling)
    lineage = _lineage(archive, ref, source, order.plan, archive.story_steps(), started)
    archive.credentials.load_early()
    rendering = render_story(
        archive, source, order.plan.steps, order.telling, lineage,
        kind=order.kind, directory=staged.directory, device=order.device,
    )  # fmt: skip
    same = rendering.products[0].pixels_sha256 == rendering.source_pixels_sha256
    if order.kind is StoryKind.ENHANCEMENT and same and not any(run.pixels for run in rendering.steps):
        raise NothingToEnhance(
            f"there is nothing to enhance in {source.ref}: it is as large as was asked, and nothing is marked as lost",
            hint="Give a --scale, or draw with --regions what is to be completed",
        )
    derivation = _derivation(archive, ref, source, order, handed, rendering, started)
    made = Finishing(
        before=rendering.before, after=rendering.after, flags=rendering.flags,
        regions=[place.region for place in regions_of(rendering.cells, rendering.facts)], documents=documents,
        check=lambda picture, outcome: _check_stored(archive, picture, source, derivation, outcome),
        others=rendering.others,
    )  # fmt: skip
    return finish_story(archive, source, derivation, staged, rendering.picture, made)


@dataclass(frozen=True, kw_only=True)
class Finishing:
    """What is left to be said of a story whose files lie unsigned in staging."""

    before: Overview
    after: Overview
    flags: npt.NDArray[np.uint8]
    """Reduced map."""
    regions: Sequence[Region]
    """Where it differs from what it was made from."""
    documents: Mapping[str, Digests]
    """What was handed in and lies in staging already."""
    records: Mapping[str, bytes] = field(default_factory=dict)
    """More files to be stored, by name."""
    check: Callable[[Path, int], None] = lambda picture, outcome: None
    """Holds a signed picture against what was meant: the file, and which of `StoryDerivation.outcomes` it is."""
    others: Sequence[tuple[Path, Overview]] = ()
    """The files of the alternatives, not signed, and each of them reduced."""
    beside: tuple[str, ...] = ()
    """Other products that get credentials of their own, in a sidecar."""


def finish_story(
    archive: Archive,
    source: StorySourceFile,
    derivation: StoryDerivation,
    staged: Staging,
    unsigned: Path,
    rest: Finishing,
) -> tuple[PreparedStory, StoryMade]:
    """Sign what lies in staging, check it, and write its records, report and PREMIS; commit nothing.

    Raise CredentialsFailed, SelfCheckFailed, StorageFailed.
    """
    ref, picture = derivation.ref, derivation.products[0]
    look = StoryLook(
        derivation=derivation, kinds=source.kinds, parent_path=source.path, before=rest.before,
        picture_path=unsigned, after=rest.after, flags=rest.flags,
    )  # fmt: skip
    with ThreadPoolExecutor(1, thread_name_prefix="pictures") as pool:
        pictures = pool.submit(archive.documents.story_pictures, look)
        signed = _sign(archive, source, derivation, staged, unsigned, rest, outcome=0)
        credentials = _checked(archive, derivation, staged, signed, rest, outcome=0)
        shown = pictures.result()
    look = replace(look, picture_path=staged.directory / picture.name)
    unsigned.unlink()
    files = [signed]
    for number, (other, _) in enumerate(rest.others, 1):
        files.append(_sign(archive, source, derivation, staged, other, rest, outcome=number))
        other.unlink()
        _checked(archive, derivation, staged, files[-1], rest, outcome=number)
    names = [product.name for product in (*derivation.products, *derivation.alternatives)]
    names += [one.sidecar.name for one in files if one.sidecar is not None]
    digests = {name: staged.adopt(name) for name in names}
    for product in derivation.products[1:]:
        if product.name in rest.beside:
            name = sidecar_name(product.name)
            archive.credentials.sign_beside(
                derivation, product=product, file=staged.directory / product.name, sidecar=staged.directory / name,
                parent=source.path, parent_mime=source.material.mime, parent_sidecar=source.sidecar,
                map_png=staged.directory / MAP_PNG,
            )  # fmt: skip
            digests[name] = staged.adopt(name)
    digests |= rest.documents
    records = {
        **rest.records,
        MAP_RECORD: canonical_bytes(map_statement(derivation.map)),
        DERIVATION_RECORD: canonical_bytes(derivation),
    }
    digests |= {name: staged.write(name, data) for name, data in records.items()}
    view = StoryView(
        master=source.master, look=look, shown=shown, credentials=credentials, embedded=signed.embedded,
        files=dict(digests),
    )  # fmt: skip
    digests |= {
        MASTER_THUMBNAIL: staged.write(MASTER_THUMBNAIL, shown.master_thumbnail),
        THUMBNAIL: staged.write(THUMBNAIL, shown.thumbnail),
        REPORT: staged.write(REPORT, archive.documents.story_report(view)),
    }
    events = (
        *derivation.events,
        *(
            event(archive, "digital signature generation", str(ref), f"C2PA manifest of {name}")
            for name in (*(product.name for product in derivation.outcomes), *rest.beside)
        ),
        digest_event(archive, str(ref), digests),
    )
    premis = staged.write(PREMIS_RECORD, archive.documents.story_premis(derivation, events, digests))
    events = (*events, digest_event(archive, str(ref), {PREMIS_RECORD: premis}))
    prepared = PreparedStory(ref=ref, staged=staged, record=derivation, events=events, message=f"Make {ref}")
    return prepared, StoryMade(
        ref=str(ref),
        path=Path(picture.name),
        report=Path(REPORT),
        derivation=derivation.derivation_id,
        source=str(source.ref),
        pixels=derivation.map.counts,
        original_fraction=derivation.map.original_fraction,
        alternatives=tuple(Path(product.name) for product in derivation.alternatives),
        notes=derivation.notes,
        seconds=0.0,
        agreement_db=derivation.agreement_db,
    )


def _sign(
    archive: Archive,
    source: StorySourceFile,
    derivation: StoryDerivation,
    staged: Staging,
    unsigned: Path,
    rest: Finishing,
    *,
    outcome: int,
) -> SignedFile:
    """Give an outcome its manifest and its name; the unsigned file stays."""
    name = derivation.outcomes[outcome].name
    return archive.credentials.sign_story(
        derivation,
        unsigned=unsigned,
        out=staged.directory / name,
        sidecar=staged.directory / sidecar_name(name),
        parent=source.path,
        parent_mime=source.material.mime,
        parent_sidecar=source.sidecar,
        map_png=staged.directory / MAP_PNG,
        regions=rest.regions,
        seen=rest.others[outcome - 1][1] if outcome else rest.after,
        outcome=outcome,
    )


def _checked(
    archive: Archive, derivation: StoryDerivation, staged: Staging, signed: SignedFile, rest: Finishing, *, outcome: int
) -> CredentialReport:
    """Re-open a signed outcome: its pixels and map are those that were meant, and its credentials hold."""
    product = derivation.outcomes[outcome]
    path = staged.directory / product.name
    rest.check(path, outcome)
    credentials = archive.credentials.read(path, product.mime, signed.sidecar, str(derivation.ref))
    if has_errors(credentials.findings):
        told = f"{derivation.ref} {product.name}" if outcome else str(derivation.ref)
        raise SelfCheckFailed(f"the credentials of {told} do not verify: {credentials.findings[0].message}")
    return credentials


# --- what a story is held against --------------------------------------------------------------------


def compare_stored(
    archive: Archive, picture: Path, source: StorySourceFile, derivation: StoryDerivation
) -> StoryComparison:
    """Hold a story's file against what it was made from and against the master, believing no map.

    Raise PictureUnreadable where one of them cannot be read, SelfCheckFailed where the frame is not what the
    derivation says.
    """
    pictures, threads = archive.pictures, archive.settings.threads
    # Until version 3 luminance was that relative to D65, whatever the white of the profile.
    as_then = any(run.step == "colorize" and run.version in ("1", "2") for run in derivation.steps)

    def space_of(path: Path, facts: PictureFacts) -> ColourSpace:
        space = pictures.colour_space(path, facts)
        return replace(space, luminance=None) if as_then else space

    with (
        pictures.open(picture) as told,
        pictures.open_map(picture) as told_flags,
        pictures.open(source.path, source.facts) as parent,
        pictures.open(source.master_path, source.master.picture) as master,
    ):
        facts = told.facts
        sizes = {(p.facts.width, p.facts.height) for p in (told, told_flags)}
        if sizes != {(derivation.map.width, derivation.map.height)} or told.dtype != parent.dtype:
            raise SelfCheckFailed("picture, map and derivation differ in size or kind of samples")
        if not _same_geometry(derivation, source, facts.height, facts.width):
            raise SelfCheckFailed("the geometry is not that between the frames of story and master")
        master_facts = source.master.picture or master.facts
        last = Compared(source=master, space=space_of(source.master_path, master_facts))
        white = 0.0
        if parent.dtype.kind == "f":
            white = _brightest(archive, source)
        white = white or float(np.iinfo(parent.dtype).max)
        first = Compared(source=told, space=space_of(picture, facts), flags=told_flags)
        space = space_of(source.path, source.facts)
        colours = derivation.ref.kind is StoryKind.COLORIZATION
        if isinstance(source.ref, MasterRef):
            return compare_story(first, last, last, white=white, colours=colours, threads=threads)
        with pictures.open_map(source.path) as parent_flags:
            middle = Compared(source=parent, space=space, flags=parent_flags)
            return compare_story(first, middle, last, white=white, colours=colours, threads=threads)


def _brightest(archive: Archive, source: StorySourceFile) -> float:
    from archive_restore.imaging.engine import overview

    with archive.pictures.open(source.path, source.facts) as opened:
        return overview(opened).white


def _same_geometry(derivation: StoryDerivation, source: StorySourceFile, height: int, width: int) -> bool:
    """Whether the map's geometry leads from the frame of the story through that of its parent to the master."""
    step = np.array(enlarged(source.facts.height, source.facts.width, (height, width)))
    meant = np.array(source.geometry) @ step
    return bool(np.allclose(np.array(derivation.map.geometry), meant, rtol=0, atol=1e-9))


def _check_stored(
    archive: Archive, picture: Path, source: StorySourceFile, derivation: StoryDerivation, outcome: int
) -> None:
    """Re-open what was written and hold it against what was meant (promise P3)."""
    found = compare_stored(archive, picture, source, derivation)
    problem = story_difference(found, derivation, outcome)
    if problem:
        name = f"{derivation.ref} {derivation.outcomes[outcome].name}" if outcome else str(derivation.ref)
        raise SelfCheckFailed(f"{name} read back from disk {problem}", hint="Nothing was stored; please report this")


def story_difference(found: StoryComparison, derivation: StoryDerivation, outcome: int = 0) -> str:
    """What of a derivation the pixels of an outcome contradict, in words that follow its name; empty where nothing."""
    meant, source = derivation.map, derivation.materials[0]
    return contradiction(
        found.breaches,
        (
            (found.story_sha256, derivation.outcomes[outcome].pixels_sha256, "has other samples than were made"),
            (found.map_sha256, meant.sha256, "has another map than was made"),
            (found.master_sha256, meant.master_pixels_sha256, "relates to other samples of the master"),
            (found.parent_sha256, source.pixels_sha256, "relates to other samples of what it was made from"),
        ),
    )


# --- records -----------------------------------------------------------------------------------------


def _derivation(
    archive: Archive,
    ref: StoryRef,
    source: StorySourceFile,
    order: StoryOrder,
    handed: tuple[Material, ...],
    rendering: StoryRendering,
    started: str,
) -> StoryDerivation:
    summary = map_summary(
        np.asarray(rendering.histogram, np.int64),
        width=rendering.facts.width,
        height=rendering.facts.height,
        sha256=rendering.products[1].pixels_sha256,
        master_sha256=source.master.file.sha256,
        master_pixels_sha256=rendering.master_pixels_sha256,
        geometry=rendering.geometry,
    )
    detail = f"recipe {order.plan.recipe.name} on {source.ref}"
    larger = (rendering.facts.width, rendering.facts.height) != (source.facts.width, source.facts.height)
    unrepaired = larger and isinstance(source.ref, MasterRef)
    return StoryDerivation(
        derivation_id=uuid.uuid4().urn,
        ref=ref,
        parent=source.ref,
        materials=(replace(source.material, pixels_sha256=rendering.source_pixels_sha256), *handed),
        recipe=order.plan.recipe,
        steps=rendering.steps,
        seed=order.telling.seed,
        samples=order.telling.samples,
        products=rendering.products,
        alternatives=rendering.alternatives,
        map=summary,
        environment=environment(archive, rendering.networks, source.facts, ref.kind.value),
        people=(*order.people, *rendering.people),
        notes=(*((UNREPAIRED,) if unrepaired else ()), *rendering.notes),
        started=started,
        ended=archive.clock.now(),
        events=(event(archive, "creation", str(ref), detail),),
    )


def _lineage(
    archive: Archive,
    ref: StoryRef,
    source: StorySourceFile,
    plan: Plan,
    library: Mapping[str, StoryStep],
    when: str,
) -> Lineage:
    return Lineage(
        ref=str(ref),
        parent_ref=str(source.ref),
        parent_sha256=source.material.sha256,
        digital_source_type=source_type(library, plan.steps),
        software=archive.agent,
        when=when,
        history=tuple((step.step, json.dumps(to_plain(step.parameters), sort_keys=True)) for step in plan.steps),
        parent_name=source.path.name,
        description=source.master.description,
    )


def source_type(library: Mapping[str, StoryStep], steps: Sequence[PlannedStep]) -> str:
    """IPTC digital source type of a whole story: of a trained model among its steps a reader must hear first."""
    made = [library[step.step].source_type(step.parameters) for step in steps]
    return max((kind for kind in made if kind), key=lambda kind: ("rained" in kind, kind == "composite"), default=PLAIN)


def take_documents(staged: Staging, telling: Telling) -> tuple[tuple[Material, ...], dict[str, Digests]]:
    """Keep what a person handed in inside the object, so that the run can be repeated."""
    stored: dict[str, Digests] = {}
    materials = []
    for role, text in sorted(telling.documents.items()):
        name = f"{role}.json"
        digests = stored[name] = staged.write(name, text.encode())
        materials.append(
            Material(
                role=role, ref=name, mime="application/json", size=digests.size, sha512=digests.sha512,
                sha256=digests.sha256, pixels_sha256="",
            )
        )  # fmt: skip
    return tuple(materials), stored
