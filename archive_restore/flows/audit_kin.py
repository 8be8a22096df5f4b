"""Kin of a picture from outside: which version of the archive explains it best, and what that version's map says there.

Never a verdict on people: it says what differs, not who changed it or why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from archive_restore.core.audit_words import where_words
from archive_restore.core.disclosure import caption_of
from archive_restore.core.synthesis_map import class_counts, histogram
from archive_restore.errors import ArchiveRestoreError
from archive_restore.flows.access_copy import chain_of
from archive_restore.flows.browse import resolve
from archive_restore.flows.commit import DISSEMINATION, exact_ref, load_record, stored_files
from archive_restore.flows.kinship import Match, find_kin, refresh
from archive_restore.flows.render import MAP_PNG
from archive_restore.imaging.difference import Difference, difference
from archive_restore.imaging.engine import bands
from archive_restore.imaging.planes import upright
from archive_restore.ports import Archive, Looked
from archive_restore.records.audits import ChangedPlace, Dissemination, Kinship, Treatment
from archive_restore.records.findings import Finding
from archive_restore.records.imagery import IDENTITY, Geometry, Region
from archive_restore.records.objects import Master, MasterRef
from archive_restore.records.stories import StoryDerivation

CANDIDATES = 6
"""Matches whose difference is measured."""
COLOURS_APART = 4
"""Code values by which colours of two copies of one picture may lie apart through encoding."""
SMALL, WEAK = 0.002, 1.0
"""Share of the picture and strength (1: all that encoding explains) below both of which a departure is faint."""
Plane = npt.NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class KinFound:
    """What was found, with the arrays that show it."""

    kinship: Kinship
    reference: Plane | None = None
    matrix: Geometry = IDENTITY
    """From candidate to reference pixels."""
    strength: Plane | None = None
    flags: Plane | None = None
    """Map values in the frame of the candidate."""
    caption: str = ""
    findings: tuple[Finding, ...] = field(default=())


@dataclass(frozen=True, kw_only=True)
class _Explained:
    match: Match
    found: Difference

    def cost(self) -> tuple[Any, ...]:
        """How much it leaves unexplained; least is best. Ties go to the record, then to the surer match."""
        found = self.found
        changed = sum(region.share for region in found.regions if region.share >= SMALL or region.strength >= WEAK)
        kind = self.match.kin.ref.partition("/")[2].partition("@")[0]
        return (
            round(changed, 2), round(_colour_apart(self.match, found) / COLOURS_APART), found.graded,
            round(changed, 3), round(found.noise, 1), kind not in ("", "restoration"),
            -self.match.registration.confidence,
        )  # fmt: skip


def _colour_apart(match: Match, found: Difference) -> float:
    """How far the colours of both lie apart: mean distance of red-green and blue-yellow, code values."""
    height, width = match.candidate.shape[:2]
    size = (max(1, width // 4), max(1, height // 4))
    shrink = np.diag([width / size[0], height / size[1], 1.0])
    matrix = np.array(match.registration.matrix, np.float64) @ shrink
    ours = _opponents(cv2.resize(match.candidate, size, interpolation=cv2.INTER_AREA))
    reference = cv2.blur(match.reference, (5, 5))
    theirs = _opponents(cv2.warpPerspective(reference, matrix, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP))
    inside = cv2.resize(found.compared.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) != 0
    return float(np.abs(ours - theirs)[inside].mean()) if inside.any() else 0.0


def _opponents(picture: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Red minus green and blue minus green: float32 (h, w, 2), zeros for gray."""
    if picture.ndim == 2:
        return np.zeros((*picture.shape, 2), np.float32)
    values = picture.astype(np.float32)
    return values[:, :, [0, 2]] - values[:, :, 1:2]


def find(
    archive: Archive,
    looked: Looked,
    *,
    sha256: str,
    sha512: str,
    claimed: Sequence[str] = (),
    progress: Callable[[str], None] = lambda ref: None,
) -> KinFound:
    """Find the kin of a picture; `claimed` are REFs that its manifest names. Raise what reading the archive raises."""
    assert looked.picture is not None
    notes = refresh(archive, progress)
    matches = find_kin(archive, looked.picture, limit=CANDIDATES)
    explained = sorted(
        (_Explained(match=m, found=difference(m.candidate, m.reference, m.registration)) for m in matches),
        key=_Explained.cost,
    )
    identical = archive.catalog.master_by_sha512(sha512)
    refs = list(dict.fromkeys([*_resolved(archive, claimed), *(m.kin.ref for m in matches)]))
    exported = tuple(_exported(archive, refs, sha256))
    if not explained:
        known = identical or (exported[0].ref if exported else "")
        if not known:
            return KinFound(kinship=Kinship(judged=True), findings=notes)
        # Its pixels show no kin, and its bytes are known all the same.
        record = load_record(archive, exact_ref(known))
        kinship = Kinship(
            judged=True, ref=known, title=_title(archive, record.ref.item_id),
            story=isinstance(record, StoryDerivation), identical=identical is not None, confidence=1.0,
            exported=exported,
        )  # fmt: skip
        return KinFound(kinship=kinship, findings=notes)
    best = next((one for one in explained if one.match.kin.ref == identical), explained[0])
    best = next((one for one in explained if _is_stored(archive, one.match.kin.ref, sha512)), best)
    return _told(archive, best, explained, looked, exported=exported, sha512=sha512, notes=notes)


def _told(
    archive: Archive,
    best: _Explained,
    explained: Sequence[_Explained],
    looked: Looked,
    *,
    exported: tuple[Dissemination, ...],
    sha512: str,
    notes: tuple[Finding, ...],
) -> KinFound:
    match, found, ref = best.match, best.found, best.match.kin.ref
    candidate = match.candidate
    scale = (looked.width or candidate.shape[1]) / candidate.shape[1]
    flags = _flags(archive, ref, match, candidate.shape[:2])
    compared = cv2.resize(found.compared.astype(np.uint8), candidate.shape[1::-1], interpolation=cv2.INTER_NEAREST) != 0
    record = load_record(archive, exact_ref(ref))
    chain = chain_of(archive, exact_ref(ref))
    identical = _is_stored(archive, ref, sha512)
    kinship = Kinship(
        judged=True,
        ref=ref,
        title=_title(archive, record.ref.item_id),
        story=isinstance(record, StoryDerivation),
        identical=identical,
        confidence=match.registration.confidence,
        treatment=Treatment(
            shown=found.shown,
            # Of the arrays, that were both reduced: in terms of the files.
            resized=_resized(archive, ref, match, scale),
            rotation=found.rotation,
            mirrored=found.mirrored,
            bordered=found.bordered,
            grayscale=found.grayscale,
            tinted=found.tinted,
            graded=found.graded,
        ),
        changed=() if identical or exported else tuple(_changed(found, candidate.shape[:2], scale)),
        shares=_shares(flags, compared),
        exported=exported,
        others=tuple(one.match.kin.ref for one in explained if one is not best),
    )
    return KinFound(
        kinship=kinship, reference=match.reference, matrix=match.registration.matrix,
        strength=np.zeros_like(found.strength) if kinship.same_bytes else found.strength, flags=flags,
        caption=caption_of(chain, archive.settings.labels) if kinship.story else "", findings=notes,
    )  # fmt: skip


def _changed(found: Difference, shape: tuple[int, int], scale: float) -> Iterator[ChangedPlace]:
    height, width = shape
    for place in found.regions:
        inner = place.region
        region = Region(
            top=int(inner.top * scale), left=int(inner.left * scale),
            bottom=round(inner.bottom * scale), right=round(inner.right * scale),
        )  # fmt: skip
        where = where_words(inner, width, height)
        faint = place.share < SMALL and place.strength < WEAK
        yield ChangedPlace(region=region, where=where, share=place.share, colour_only=place.colour_only, faint=faint)


def _resized(archive: Archive, ref: str, match: Match, scale: float) -> float:
    """Pixels of the file a pixel of the stored picture."""
    width, height = _frame(archive, ref)
    stored = max(width, height) / max(match.reference.shape[:2])
    return match.registration.scale * scale / stored if stored else match.registration.scale * scale


def _frame(archive: Archive, ref: str) -> tuple[int, int]:
    record = load_record(archive, exact_ref(ref))
    if isinstance(record, Master):
        return (record.picture.width, record.picture.height) if record.picture else (0, 0)
    return record.map.width, record.map.height


def _flags(archive: Archive, ref: str, match: Match, shape: tuple[int, int]) -> Plane | None:
    """The stored map of a version in the frame of the candidate, by nearest neighbours; None for a master."""
    exact = exact_ref(ref)
    if isinstance(exact, MasterRef):
        return None
    stored = stored_files(archive, exact).get(MAP_PNG)
    if stored is None:
        return None
    with archive.pictures.open(stored.path) as plane:
        facts = plane.facts
        step = max(1, max(facts.width, facts.height) // max(match.reference.shape[:2]))
        rows = []
        for top, bottom in bands(facts.height, 256 * step):
            band = plane.read(Region(top=top, left=0, bottom=bottom, right=facts.width))
            rows.append(np.ascontiguousarray(band[step // 2 :: step, step // 2 :: step, 0]))
    thinned = upright(np.concatenate(rows).astype(np.uint8, copy=False), _orientation(archive, exact))
    height, width = match.reference.shape[:2]
    # Nearest neighbours: a value in between would be another class.
    fitted = cv2.resize(np.ascontiguousarray(thinned), (width, height), interpolation=cv2.INTER_NEAREST)
    matrix = np.array(match.registration.matrix, np.float64)
    warped = cv2.warpPerspective(
        fitted, matrix, (shape[1], shape[0]), flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT, borderValue=0,
    )  # fmt: skip
    return np.asarray(warped, np.uint8)


def _orientation(archive: Archive, ref: Any) -> int:
    master = archive.catalog.master(ref.item_id)
    return master.picture.orientation if master is not None and master.picture is not None else 1


def _shares(flags: Plane | None, compared: npt.NDArray[np.bool_]) -> Mapping[str, float]:
    if flags is None or not compared.any():
        return {}
    counts = class_counts(histogram(np.ascontiguousarray(flags[compared])))
    total = int(compared.sum())
    return {name: round(count / total, 6) for name, count in counts.items()}


def _resolved(archive: Archive, refs: Sequence[str]) -> Iterator[str]:
    for ref in refs:
        try:
            yield str(resolve(archive, ref))
        except ArchiveRestoreError:
            continue


def _exported(archive: Archive, refs: Sequence[str], sha256: str) -> Iterator[Dissemination]:
    """Lines of the log that say that these very bytes left the archive."""
    for ref in refs:
        for told in archive.catalog.events(ref):
            if told.type == DISSEMINATION and f"sha256:{sha256}" in told.digests.values():
                yield Dissemination(ref=told.ref, when=told.date_time, by=told.agent, detail=told.detail)


def _is_stored(archive: Archive, ref: str, sha512: str) -> bool:
    return any(stored.sha512 == sha512 for stored in stored_files(archive, exact_ref(ref)).values())


def _title(archive: Archive, item_id: str) -> str:
    master = archive.catalog.master(item_id)
    return master.description.title if master is not None else ""
