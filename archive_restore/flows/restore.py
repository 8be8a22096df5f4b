"""Restore: a preservation derivative from a master, checked pixel by pixel before it is stored.

Only the record goes in and only the record comes out: no type here can name a story (promise P4).
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from archive_restore.core.canonical import canonical_bytes, to_plain
from archive_restore.core.manifests import map_statement
from archive_restore.core.planning import Plan
from archive_restore.core.synthesis_map import PixelDigest, contradiction, map_summary
from archive_restore.errors import SelfCheckFailed, StorageFailed
from archive_restore.flows.commit import (
    DERIVATION_RECORD,
    PREMIS_RECORD,
    Prepared,
    commit,
    digest_event,
    event,
    sidecar_name,
)
from archive_restore.flows.render import (
    CELL,
    MAP_PNG,
    PLANES,
    HandFiles,
    Rendering,
    environment,
    load_master,
    regions_of,
    render,
)
from archive_restore.imaging import engine
from archive_restore.imaging.compare import Comparison, compare
from archive_restore.ports import (
    Archive,
    Detail,
    Digests,
    Lineage,
    PreservationStep,
    RestorationView,
    Staging,
    StoredFile,
)
from archive_restore.records.findings import has_errors
from archive_restore.records.imagery import PRESERVATION_FLAGS, MapSummary, Region
from archive_restore.records.objects import Master
from archive_restore.records.preservation import Certainty, PreservationDerivation, PreservationKind, PreservationRef
from archive_restore.records.provenance import Material, Product

TILE = 1024
"""Edge of processing tiles in pixels."""
MAP_RECORD = "synthesis-map.json"
PLAIN = "algorithmicallyEnhanced"
"""IPTC digital source type where no step says another."""
THUMBNAIL = "thumbnail.jpg"
MASTER_THUMBNAIL = "thumbnail-master.jpg"
REPORT = "report.html"
HAND_DAMAGE = "hand-damage-map"
HAND_KEEP = "hand-keep-map"
DETAILS = 6
DETAIL_EDGE = 192


@dataclass(frozen=True, kw_only=True)
class Made:
    """One derivative that was made."""

    ref: str
    path: Path
    """The picture inside the archive."""
    report: Path
    derivation: str
    """Derivation identifier."""
    size: int
    """Pixels of the picture."""
    pixels: Mapping[str, int]
    """Pixels a class."""
    damage: Mapping[str, int]
    """Pixels a damage class."""
    certainty: Certainty
    original_fraction: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Order:
    """One restoration to be made: plain data that may travel to another process."""

    item_id: str
    plan: Plan
    hand: HandFiles = field(default_factory=HandFiles)
    seed: int = 0
    device: str = "auto"
    """Where trained models run."""


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A restoration that lies finished in staging and waits for the coordinator to commit it."""

    prepared: Prepared
    made: Made


def restore(archive: Archive, order: Order) -> Made:
    """Restore one item and store the result as its next version; raises as `prepare` and `store` do."""
    return store(archive, prepare(archive, order))


def prepare(archive: Archive, order: Order) -> Finished:
    """Do all the work of a restoration in `work/`, commit nothing; safe in another process.

    Raises ReferenceUnknown, PictureUnreadable, ModelUnusable, SelfCheckFailed, StorageFailed, CredentialsFailed.
    """
    started, clock_start = archive.clock.now(), time.monotonic()
    item_id, kind = order.item_id, PreservationKind.RESTORATION
    master, files = load_master(archive, item_id)
    ref = PreservationRef(item_id=item_id, kind=kind, version=archive.preservation.head(f"{item_id}/{kind.value}") + 1)
    staged = archive.preservation.stage(ref.object_id)
    try:
        prepared, made = _make(archive, ref, master, files, order, staged, started)
    except OSError as exc:
        staged.discard()
        raise StorageFailed(
            f"{ref} could not be written: {exc.strerror or exc}", hint="Free some space and run it again"
        ) from exc
    except BaseException:
        staged.discard()
        raise
    return Finished(prepared=prepared, made=replace(made, seconds=time.monotonic() - clock_start))


def store(archive: Archive, finished: Finished, batch: str = "") -> Made:
    """Commit a finished restoration, as a task of `batch` if it is one; raises StorageConflict, StorageFailed."""
    try:
        commit(archive, [finished.prepared], batch)
    except BaseException:
        finished.prepared.staged.discard()
        raise
    ref = finished.prepared.ref
    stored = archive.preservation.files(ref)
    return replace(finished.made, path=stored[finished.made.path.name].path, report=stored[REPORT].path)


def _make(
    archive: Archive,
    ref: PreservationRef,
    master: Master,
    files: Mapping[str, StoredFile],
    order: Order,
    staged: Staging,
    started: str,
) -> tuple[Prepared, Made]:
    plan, seed = order.plan, order.seed
    master_file = files[master.file.name]
    stored_hand, hand_materials, hand_digests = _take_hand(archive, staged, order.hand)
    lineage = _lineage(archive, ref, master, plan, archive.preservation_steps(), started)
    rendering = render(
        archive, master, master_file.path, plan.steps, lineage, stored_hand,
        seed=seed, tile=TILE, directory=staged.directory, device=order.device,
    )  # fmt: skip
    summary = _summary(master, rendering)
    derivation = _derivation(archive, ref, master, plan, hand_materials, rendering, summary, seed, started)
    picture_name = derivation.products[0].name
    sidecar = staged.directory / sidecar_name(picture_name)
    details = _details(archive, master_file.path, master, rendering)
    with archive.pictures.open(rendering.picture) as unsigned:
        after = replace(engine.overview(unsigned), white=rendering.before.white)
    signed = archive.credentials.sign_restoration(
        derivation,
        unsigned=rendering.picture,
        out=staged.directory / picture_name,
        sidecar=sidecar,
        master=master_file.path,
        master_mime=master.file.mime,
        master_sidecar=files[sidecar_name(master.file.name)].path,
        map_png=staged.directory / MAP_PNG,
        regions=[place.region for place in regions_of(rendering.cells, rendering.before.facts)],
        seen=after,
    )
    rendering.picture.unlink()
    check_stored(archive, staged.directory / picture_name, master, master_file.path, derivation)
    credentials = archive.credentials.read(
        staged.directory / picture_name, "image/tiff", None if signed.embedded else signed.sidecar, str(ref)
    )
    if has_errors(credentials.findings):
        raise SelfCheckFailed(f"the credentials of {ref} do not verify: {credentials.findings[0].message}")
    digests = {picture_name: staged.adopt(picture_name)}
    if not signed.embedded:
        digests[sidecar.name] = staged.adopt(sidecar.name)
    digests |= {name: staged.adopt(name) for name in PLANES} | hand_digests
    digests[MAP_RECORD] = staged.write(MAP_RECORD, canonical_bytes(map_statement(summary)))
    digests[DERIVATION_RECORD] = staged.write(DERIVATION_RECORD, canonical_bytes(derivation))
    view = RestorationView(
        master=master,
        derivation=derivation,
        before=rendering.before,
        after=after,
        flags=rendering.flags,
        damage_counts=rendering.damage_counts,
        details=details,
        losses=regions_of(rendering.loss_cells, rendering.before.facts),
        credentials=credentials,
        embedded=signed.embedded,
        master_path=master_file.path,
        files=dict(digests),
    )
    digests |= _views(archive, staged, view)
    events = (
        *derivation.events,
        event(archive, "digital signature generation", str(ref), f"C2PA manifest of {picture_name}"),
        digest_event(archive, str(ref), digests),
    )
    premis = staged.write(PREMIS_RECORD, archive.documents.restoration_premis(derivation, events, digests))
    events = (*events, digest_event(archive, str(ref), {PREMIS_RECORD: premis}))
    prepared = Prepared(ref=ref, staged=staged, record=derivation, events=events, message=f"Make {ref}")
    return prepared, Made(
        ref=str(ref),
        path=Path(picture_name),
        report=Path(REPORT),
        derivation=derivation.derivation_id,
        size=summary.pixels,
        pixels=summary.counts,
        damage=rendering.damage_counts,
        certainty=rendering.certainty,
        original_fraction=summary.original_fraction,
        seconds=0.0,
    )


def check_stored(
    archive: Archive, picture: Path, master: Master, master_path: Path, derivation: PreservationDerivation
) -> None:
    """Re-open what was written and hold it against the master and against what was meant (promise P3)."""
    with (
        archive.pictures.open(picture) as derivative,
        archive.pictures.open_map(picture) as synthesis_map,
        archive.pictures.open(master_path, master.picture) as source,
    ):
        found = compare(source, derivative, synthesis_map, PRESERVATION_FLAGS)
    problem = _difference(found, derivation)
    if problem:
        raise SelfCheckFailed(
            f"{derivation.ref} read back from disk {problem}", hint="Nothing was stored; check disk and memory"
        )


def _difference(found: Comparison, derivation: PreservationDerivation) -> str:
    meant = derivation.map
    return contradiction(
        found.breaches,
        (
            (found.derivative_sha256, derivation.products[0].pixels_sha256, "has other samples than were made"),
            (found.map_sha256, meant.sha256, "has another map than was made"),
            (found.master_sha256, meant.master_pixels_sha256, "relates to other samples of the master"),
        ),
    )


def _summary(master: Master, rendering: Rendering) -> MapSummary:
    facts = rendering.before.facts
    return map_summary(
        np.asarray(rendering.histogram, np.int64),
        width=facts.width,
        height=facts.height,
        sha256=rendering.planes_sha256[MAP_PNG],
        master_sha256=master.file.sha256,
        master_pixels_sha256=rendering.master_pixels_sha256,
    )


def _derivation(
    archive: Archive,
    ref: PreservationRef,
    master: Master,
    plan: Plan,
    hand_materials: tuple[Material, ...],
    rendering: Rendering,
    summary: MapSummary,
    seed: int,
    started: str,
) -> PreservationDerivation:
    facts = rendering.before.facts
    dtype = np.dtype(f"{'f' if facts.sample_format == 'float' else 'u'}{facts.bits // 8}").newbyteorder("<").str
    stem = Path(master.file.name).stem
    source = Material(
        role="master",
        ref=str(master.ref),
        mime=master.file.mime,
        size=master.file.size,
        sha512=master.file.sha512,
        sha256=master.file.sha256,
        pixels_sha256=rendering.master_pixels_sha256,
    )
    frame = {"width": facts.width, "height": facts.height}
    products = (
        Product(role="picture", name=f"{stem}-restoration.tif", mime="image/tiff", dtype=dtype,
                samples=facts.samples, pixels_sha256=rendering.pixels_sha256, **frame),
        *(
            Product(role=role, name=name, mime="image/png", dtype="|u1", samples=1,
                    pixels_sha256=rendering.planes_sha256[name], **frame)
            for name, role in PLANES.items()
        ),
    )  # fmt: skip
    return PreservationDerivation(
        derivation_id=uuid.uuid4().urn,
        ref=ref,
        parent=master.ref,
        materials=(source, *hand_materials),
        recipe=plan.recipe,
        steps=rendering.steps,
        seed=seed,
        tile=TILE,
        products=products,
        map=summary,
        environment=environment(archive, rendering.networks, rendering.before.facts, "restoration"),
        started=started,
        ended=archive.clock.now(),
        events=(event(archive, "creation", str(ref), f"recipe {plan.recipe.name} on {master.ref}"),),
        certainty=rendering.certainty,
    )


def _lineage(
    archive: Archive,
    ref: PreservationRef,
    master: Master,
    plan: Plan,
    library: Mapping[str, PreservationStep],
    when: str,
) -> Lineage:
    made = [library[step.step].source_type(step.parameters) for step in plan.steps]
    return Lineage(
        ref=str(ref),
        parent_ref=str(master.ref),
        parent_sha256=master.file.sha256,
        # A trained model among the steps is what a reader must hear of first.
        digital_source_type=max((kind for kind in made if kind), key=lambda kind: "Trained" in kind, default=PLAIN),
        software=archive.agent,
        when=when,
        history=tuple((step.step, json.dumps(to_plain(step.parameters), sort_keys=True)) for step in plan.steps),
        parent_name=master.file.name,
        description=master.description,
    )


def _take_hand(
    archive: Archive, staged: Staging, hand: HandFiles
) -> tuple[HandFiles, tuple[Material, ...], dict[str, Digests]]:
    """Copy what a person drew into the object, so that the run can be repeated."""
    kept: dict[str, Path] = {}
    stored: dict[str, Digests] = {}
    materials = []
    for role, stem, path in (("damage map", HAND_DAMAGE, hand.damage), ("keep map", HAND_KEEP, hand.keep)):
        if path is None:
            continue
        name = f"{stem}{path.suffix.lower()}"
        digests = stored[name] = staged.copy_in(name, path)
        kept[role] = staged.directory / name
        with archive.pictures.open(kept[role]) as source:
            facts, of_pixels = source.facts, PixelDigest()
            for top, bottom in engine.bands(facts.height, 256):
                of_pixels.update(source.read(Region(top=top, left=0, bottom=bottom, right=facts.width)))
        materials.append(
            Material(
                role=role, ref=name, mime="image/png" if name.endswith(".png") else "image/tiff", size=digests.size,
                sha512=digests.sha512, sha256=digests.sha256, pixels_sha256=of_pixels.hexdigest(),
            )
        )  # fmt: skip
    return HandFiles(damage=kept.get("damage map"), keep=kept.get("keep map")), tuple(materials), stored


def _details(archive: Archive, master_path: Path, master: Master, rendering: Rendering) -> tuple[Detail, ...]:
    """Full-size crops around the places that changed most, apart from each other."""
    if master.picture is None:
        return ()
    height, width = master.picture.height, master.picture.width
    cells = rendering.cells.copy()
    reach = -(-DETAIL_EDGE // CELL)
    found: list[Detail] = []
    with (
        archive.pictures.open(master_path, master.picture) as before,
        archive.pictures.open(rendering.picture) as after,
        archive.pictures.open_map(rendering.picture) as flags,
    ):
        while len(found) < DETAILS and cells.max() > 0:
            row, column = (int(v) for v in np.unravel_index(int(cells.argmax()), cells.shape))
            cells[max(0, row - reach) : row + reach + 1, max(0, column - reach) : column + reach + 1] = 0
            top = max(0, min(height - DETAIL_EDGE, row * CELL + CELL // 2 - DETAIL_EDGE // 2))
            left = max(0, min(width - DETAIL_EDGE, column * CELL + CELL // 2 - DETAIL_EDGE // 2))
            region = Region(
                top=top, left=left, bottom=min(height, top + DETAIL_EDGE), right=min(width, left + DETAIL_EDGE)
            )
            found.append(
                Detail(
                    region=region,
                    before=before.read(region),
                    after=after.read(region),
                    flags=flags.read(region)[:, :, 0].astype(np.uint8),
                )
            )
    return tuple(found)


def _views(archive: Archive, staged: Staging, view: RestorationView) -> dict[str, Digests]:
    return {
        MASTER_THUMBNAIL: staged.write(MASTER_THUMBNAIL, archive.documents.thumbnail(view.before)),
        THUMBNAIL: staged.write(THUMBNAIL, archive.documents.thumbnail(view.after)),
        REPORT: staged.write(REPORT, archive.documents.restoration_report(view)),
    }
