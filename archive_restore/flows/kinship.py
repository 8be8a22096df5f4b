"""Kinship: which pictures of the archive a picture from outside may come from, and where in them it lies.

Only reads the archive; fingerprints lie in a folder of their own that may be deleted at any time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from archive_restore.core.refs import AnyRef
from archive_restore.errors import ArchiveRestoreError, PictureUnreadable, ReferenceUnknown
from archive_restore.flows.commit import exact_ref, load_record, stored_files
from archive_restore.imaging.registration import Prepared, Registration, prepare, register_prepared
from archive_restore.imaging.seen import seen
from archive_restore.ports import Archive, Fingerprint, Kin
from archive_restore.records.findings import Finding, Severity
from archive_restore.records.imagery import PictureFacts
from archive_restore.records.objects import Master

Picture = npt.NDArray[np.uint8]

MADE = frozenset({"ingestion", "creation"})
"""Types of events by which something comes into the archive (PREMIS event types)."""
PARCEL = 16
"""Pictures that travel to a worker together."""
GROUP = 4000
"""Fingerprints kept together, so that an interruption costs no more than these."""
TRIED = 3
"""Candidates of the index that are registered when none fits."""


@dataclass(frozen=True, kw_only=True)
class Match:
    """A picture of the archive that a candidate was registered to."""

    kin: Kin
    registration: Registration
    """Between the arrays below."""
    candidate: Picture
    """The candidate as it was compared: uint8 (h, w) or (h, w, 3)."""
    reference: Picture
    """The archive's picture as it was compared."""


def look(archive: Archive, path: Path, facts: PictureFacts | None = None) -> Picture:
    """A picture as a person sees it, upright, longest edge at most 2048: uint8 (h, w) or (h, w, 3).

    Raise PictureUnreadable.
    """
    with archive.pictures.open(path, facts) as source:
        facts = source.facts
        space = None
        if facts.icc_sha256 and "srgb" not in facts.icc_description.lower():
            space = archive.pictures.colour_space(path, facts)
            space = None if space.name.endswith("sRGB") else space
        return seen(source, space)


def look_at(archive: Archive, ref: str) -> Picture:
    """The picture of a REF with its version, as `look` gives it; raise PictureUnreadable where it has none."""
    exact = exact_ref(ref)
    name = _picture_name(archive, exact)
    stored = stored_files(archive, exact).get(name)
    if not name or stored is None:
        raise PictureUnreadable(f"{ref} has no picture that can be looked at")
    return look(archive, stored.path)


def refresh(archive: Archive, progress: Callable[[str], None] = lambda ref: None) -> tuple[Finding, ...]:
    """Fingerprint what came into the archive since the last time; what cannot be read is a finding.

    What there is to do follows from the log: nothing is walked when nothing was added.
    """
    size, covered = archive.log.size(), archive.fingerprints.covered()
    if covered == size:
        return ()
    start = covered if covered < size else 0
    known = archive.fingerprints.known()
    refs = [entry.event.ref for entry in archive.log.entries(start) if entry.event.type in MADE]
    missing = [ref for ref in dict.fromkeys(refs) if ref not in known]
    parcels = [tuple(missing[at : at + PARCEL]) for at in range(0, len(missing), PARCEL)]
    findings: list[Finding] = []
    made: dict[str, Fingerprint] = {}
    for parcel, outcome in archive.intake.run(archive, fingerprint_parcel, parcels):
        if isinstance(outcome, ArchiveRestoreError):
            findings.extend(_unread(ref, str(outcome)) for ref in parcel)
            continue
        for ref, found in zip(parcel, outcome, strict=True):
            if isinstance(found, str):
                findings.append(_unread(ref, found))
            elif found is not None:
                made[ref] = found
            progress(ref)
        if len(made) >= GROUP:
            archive.fingerprints.add(made, covered=covered)
            made = {}
    archive.fingerprints.add(made, covered=size)
    return tuple(findings)


def fingerprint_parcel(archive: Archive, refs: Sequence[str]) -> tuple[Fingerprint | str | None, ...]:
    """Fingerprints of REFs; None for what has no picture, a sentence for what cannot be read."""
    return tuple(_fingerprint(archive, ref) for ref in refs)


def _fingerprint(archive: Archive, ref: str) -> Fingerprint | str | None:
    try:
        if not _picture_name(archive, exact_ref(ref)):
            return None
        return archive.fingerprints.make(look_at(archive, ref))
    except ReferenceUnknown:
        return None  # an event of what a crash forgot
    except ArchiveRestoreError as exc:
        return str(exc)


def _picture_name(archive: Archive, ref: AnyRef) -> str:
    """Name of the file that holds its picture; empty where it has none that stands still."""
    record = load_record(archive, ref)
    if isinstance(record, Master):
        return record.file.name if record.picture is not None else ""
    pictures = (product for product in record.products if product.role == "picture")
    return next((product.name for product in pictures if product.mime.startswith("image/")), "")


def _unread(ref: str, why: str) -> Finding:
    return Finding(
        code="NO_FINGERPRINT",
        severity=Severity.WARNING,
        subject=ref,
        message=f"Nothing is compared with its picture, which cannot be read: {why}",
    )


def find_kin(archive: Archive, candidate: Picture, limit: int = 5) -> tuple[Match, ...]:
    """Pictures of the archive that the candidate is registered to, surest first; empty where it has no kin.

    Call `refresh` before. Once one fits, only its kin (other versions of its item) and a few more are tried.
    """
    found: list[Match] = []
    prepared: Prepared | None = None
    tried = 0
    for kin in archive.fingerprints.find(candidate):
        item = kin.ref.partition("/")[0]
        related = any(match.kin.ref.partition("/")[0] == item for match in found)
        if len(found) >= limit or (not related and (found or tried >= TRIED)):
            continue
        tried += 1
        prepared = prepared or prepare(candidate)
        try:
            reference = look_at(archive, kin.ref)
        except ArchiveRestoreError:
            continue  # `verify` tells of it
        registration = register_prepared(prepared, prepare(reference))
        if registration is not None:
            found.append(Match(kin=kin, registration=registration, candidate=candidate, reference=reference))
    found.sort(key=lambda match: (-match.registration.confidence, -match.registration.correlation, match.kin.ref))
    return tuple(found)
