"""Audit: what can be said of a file or package that somebody hands in, ours or foreign, with an archive or without.

1. what it is, by its content
2. its credentials, in plain words
3. of pictures: whether they come from the archive, from which picture, and what was changed since
4. of files of ours: whether what they claim of their pixels holds
5. of packages: structure and fixity

Reads only: nothing is written into the archive (but for its index of fingerprints, which may be deleted) nor beside
what is audited. Nothing is fetched.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from archive_restore.core.access_claims import ACCESS_ASSERTION
from archive_restore.core.audit_words import kinship_words, place_words, state_words
from archive_restore.core.canonical import Malformed, from_plain, to_plain
from archive_restore.core.credential_words import ABSENT
from archive_restore.core.labels import plain_text
from archive_restore.core.manifests import DERIVATION_ASSERTION, MAP_ASSERTION
from archive_restore.core.story_claims import OUTCOME_ASSERTION, outcome_statement
from archive_restore.core.synthesis_map import PixelDigest, histogram
from archive_restore.errors import (
    ArchiveRestoreError,
    SourceUnreadable,
    StorageConflict,
    StorageFailed,
    UsageError,
)
from archive_restore.flows.audit_kin import KinFound, find
from archive_restore.flows.browse import resolve
from archive_restore.flows.commit import load_record, stored_files
from archive_restore.flows.verify import pixel_findings, verify
from archive_restore.imaging.engine import bands
from archive_restore.imaging.registration import register
from archive_restore.ports import Archive, AuditDesk, AuditView, CredentialReport, Looked, PictureSource
from archive_restore.records.audits import Audit, Kinship, Subject, SubjectKind
from archive_restore.records.findings import Finding, Severity
from archive_restore.records.imagery import IDENTITY, MapSummary, Region
from archive_restore.records.preservation import PreservationDerivation
from archive_restore.records.stories import StoryDerivation

WHOLE_LIMIT = 256 << 20
"""Bytes up to which a file is searched for credentials even where no box of theirs occurs in it."""
SIDECAR_LIMIT = 256 << 20
"""Bytes of a sidecar that is read."""
MANY = 100_000
"""Files of a package that are counted."""
OTHER_PICTURE = 80
"""Bits of 256 by which the image codes of two different pictures differ at least; one re-encoded differs by 14 at most,
one cropped by a tenth by about 48 (measured)."""
_BOX = b"jumb"
_PICTURES = frozenset({SubjectKind.IMAGE, SubjectKind.VIDEO})


@dataclass(frozen=True, kw_only=True)
class AuditOrder:
    """What is asked for."""

    anchors: str | None = None
    """Roots (PEM) under which signers count as known; the archive's own where None."""
    anchors_name: str = ""
    """Where they came from, in words."""
    deep: bool = False
    """Also audit each picture and video inside a package."""


@dataclass(frozen=True, kw_only=True)
class Audited:
    """What an audit found, and what its report is made from."""

    audit: Audit
    view: AuditView
    inside: tuple[Audited, ...] = field(default=())
    """Of a package, with `deep`: its pictures and videos that were audited."""


def audit(
    desk: AuditDesk, path: Path, order: AuditOrder, progress: Callable[[str], None] = lambda subject: None
) -> Audited:
    """Audit one path. Raise SourceUnreadable where it cannot be read at all; everything else is a finding."""
    subject = desk.foreign.subject(path)
    if subject.kind in _PICTURES:
        return _Picture(desk, path, subject, order, progress).run()
    return _package(desk, path, subject, order, progress)


# --- one picture or video ----------------------------------------------------------------------------


class _Picture:
    """The audit of one file; its steps gather findings, and what the report needs."""

    def __init__(
        self, desk: AuditDesk, path: Path, subject: Subject, order: AuditOrder, progress: Callable[[str], None]
    ) -> None:
        self.desk, self.path, self.subject, self.order, self.progress = desk, path, subject, order, progress
        self.name = str(path)
        self.findings: list[Finding] = []
        self.clip_compared = False

    def run(self) -> Audited:
        size, sha256, sha512, holds_boxes = _digests(self.path)
        anchors = _anchors_words(self.desk, self.order)
        report = self._credentials(size, holds_boxes)
        if self.subject.kind is SubjectKind.VIDEO:
            looked, kin, signed = Looked(picture=None, findings=()), None, None
        else:
            looked = self.desk.foreign.look(self.path, self.subject.mime, self.name)
            self.findings += looked.findings
            kin = self._kin(looked, sha256, sha512, report)
            signed = self._moved(looked, report, kin.kinship)
        self._claims(report)
        if self.subject.kind is SubjectKind.VIDEO and not self.clip_compared:
            self._say(
                "AUDIT_VIDEO_NOT_COMPARED",
                Severity.WARNING,
                "Pictures of a video are not compared with the archive: only its credentials were judged.",
            )
        kinship = kin.kinship if kin else None
        made = Audit(
            path=self.name, subject=self.subject, size=size, sha256=sha256, width=looked.width, height=looked.height,
            subjects=1, findings=tuple(self.findings), says=(),
        )  # fmt: skip
        made = replace(made, says=tuple(_says(made, report, kinship, anchors)))
        scale = (looked.width or 0) / looked.picture.shape[1] if looked.picture is not None else 1.0
        view = AuditView(
            audit=made, credentials=report, anchors=anchors, kinship=kinship,
            candidate=looked.picture, reference=kin.reference if kin else None, matrix=kin.matrix if kin else IDENTITY,
            scale=scale, strength=kin.strength if kin else None, flags=kin.flags if kin else None,
            caption=kin.caption if kin else "", made=self.desk.clock.now(), signed=signed,
        )  # fmt: skip
        return Audited(audit=made, view=view)

    # -- 2. credentials ------------------------------------------------------------------------------------

    def _credentials(self, size: int, holds_boxes: bool) -> CredentialReport:
        # Where no box of theirs occurs there is at most an address; the library reads some formats into memory whole.
        report = self._read(None) if holds_boxes or size <= WHOLE_LIMIT else self._none()
        if not holds_boxes and [finding.code for finding in report.findings] == ["C2PA_UNREADABLE"]:
            report = self._none()  # it stumbled over the file itself
        sidecar = self._sidecar()
        if sidecar is not None and report.state == "none":
            report = self._read(sidecar)
        elif sidecar is not None:
            self._say(
                "AUDIT_SIDECAR_TOO",
                Severity.WARNING,
                f"{sidecar.name!r} lies beside the file and was not looked at, since there are credentials inside.",
            )
        # What the archive itself should do about its certificate is none of a reader's business.
        self.findings += [finding for finding in report.findings if finding.code != "C2PA_EXPIRES_SOON"]
        told = {finding.code for finding in self.findings}
        for objection in report.chain.objections if report.chain else ():
            if objection.finding not in told:
                told.add(objection.finding)
                words = f"{objection.means} {objection.means_not}"
                self._say(objection.finding, objection.severity, words, f"C2PA 2.2 §15.2 {objection.code}")
        return report

    def _none(self) -> CredentialReport:
        finding = Finding(code="C2PA_NONE", severity=Severity.INFO, subject=self.name, message=ABSENT)
        return CredentialReport(
            state="none", signer="", algorithm="", when="", findings=(finding,), map_png=None, derivation=None
        )

    def _read(self, sidecar: Path | None) -> CredentialReport:
        return self.desk.credentials.read(self.path, self.subject.mime, sidecar, self.name, anchors=self.order.anchors)

    def _sidecar(self) -> Path | None:
        """`NAME.c2pa`, or the name with its suffix replaced (C2PA 2.2 §11.4)."""
        for path in (self.path.with_name(f"{self.path.name}.c2pa"), self.path.with_suffix(".c2pa")):
            try:
                if path.is_file() and path != self.path and path.stat().st_size <= SIDECAR_LIMIT:
                    return path
            except (OSError, ValueError):
                continue
        return None

    def _moved(self, looked: Looked, report: CredentialReport, kinship: Kinship) -> npt.NDArray[np.uint8] | None:
        """Tell a manifest of another picture from one whose picture was saved again; the picture that was signed.

        By the code of the picture in the manifest, else by that of the small picture in it.
        """
        if not any(finding.code == "C2PA_OTHER_BYTES" for finding in report.findings) or report.chain is None:
            return None
        thumbnail = self.desk.foreign.thumbnail(report.chain.thumbnail) if report.chain.thumbnail else None
        signed = report.chain.soft_binding
        if not signed and thumbnail is not None:
            signed = self.desk.foreign.image_code(thumbnail)
        if not signed or looked.picture is None:
            return thumbnail
        code = self.desk.foreign.image_code(looked.picture)
        apart = (int.from_bytes(signed) ^ int.from_bytes(code)).bit_count()
        clause = f"ISO 24138: {apart} of 256 bits differ"
        # A crop is far from the whole by its code: features, or the archive, may know better.
        item = kinship.ref.partition("/")[0]
        same = bool(item) and any(ref.partition("/")[0].partition("@")[0] == item for ref in _claimed(report))
        same = same or apart < OTHER_PICTURE
        if not same and (thumbnail is None or register(looked.picture, thumbnail) is None):
            words = (
                "The picture is far from the one that was signed: the manifest was moved here from another picture, "
                "or a small part of that one was kept. What it says is not about this picture."
            )
            self._say("C2PA_MOVED", Severity.ERROR, words, clause)
        else:
            words = "The picture looks like the one that was signed: it was saved again, or changed in a part."
            self._say("C2PA_SAVED_AGAIN", Severity.INFO, words, clause)
        return thumbnail

    # -- 3. kinship ----------------------------------------------------------------------------------------

    def _kin(self, looked: Looked, sha256: str, sha512: str, report: CredentialReport) -> KinFound:
        archive = self.desk.archive
        if archive is None:
            found = _not_judged(self.desk.why_no_archive)
        elif looked.picture is None:
            found = _not_judged("the picture cannot be decoded.")
        else:
            try:
                claimed = _claimed(report)
                found = find(archive, looked, sha256=sha256, sha512=sha512, claimed=claimed, progress=self.progress)
            except ArchiveRestoreError as exc:
                found = _not_judged(f"{exc}.")
        self.findings += found.findings
        kinship = found.kinship
        if not kinship.judged:
            self._say("AUDIT_KINSHIP_NOT_JUDGED", Severity.INFO, f"Kinship could not be judged: {kinship.why_not}")
        elif not kinship.ref:
            self._say("AUDIT_NO_KIN", Severity.INFO, next(iter(kinship_words(kinship))))
        else:
            self._say("AUDIT_KIN_FOUND", Severity.INFO, next(iter(kinship_words(kinship))))
        for place in kinship.changed:
            if place.faint:
                self._say("AUDIT_FAINT_DEPARTURE", Severity.WARNING, place_words(place))
            else:
                self._say("AUDIT_CHANGED_REGION", Severity.ERROR, place_words(place))
        treatment = kinship.treatment
        if kinship.same_bytes or treatment is None:
            return found
        if treatment.tinted:
            self._say(
                "AUDIT_COLOURS_ADDED",
                Severity.WARNING,
                "It has colours that the archive’s version does not have: somebody added them.",
            )
        if treatment.mirrored:
            self._say("AUDIT_MIRRORED", Severity.WARNING, "It is mirrored: left and right are exchanged.")
        return found

    # -- 4. what files of ours claim -----------------------------------------------------------------------

    def _claims(self, report: CredentialReport) -> None:
        """Check what a manifest of this program says of the pixels; what a broken manifest says proves nothing."""
        statements = report.chain.statements if report.chain else {}
        if report.state in ("none", "invalid") or not statements:
            return
        try:
            if ACCESS_ASSERTION in statements:
                self._access(statements, report)
            elif DERIVATION_ASSERTION in statements:
                self._derivation(statements[DERIVATION_ASSERTION], report, statements.get(OUTCOME_ASSERTION))
        except (Malformed, KeyError, IndexError, TypeError, ValueError) as exc:
            self._say("AUDIT_CLAIM_MALFORMED", Severity.ERROR, f"The manifest’s own statement cannot be read: {exc}.")
        except (ArchiveRestoreError, OSError) as exc:
            self._say("COULD_NOT_BE_CHECKED", Severity.ERROR, f"What the manifest claims could not be checked: {exc}.")

    def _access(self, statements: Mapping[str, Any], report: CredentialReport) -> None:
        """An access copy: the map inside is the one it states, and the one the archive holds."""
        said = statements.get(MAP_ASSERTION)
        if said is None:
            return
        summary = from_plain(MapSummary, {name: value for name, value in said.items() if name != "legend"})
        self._map_inside(summary, report)
        archive, ref = self.desk.archive, str(statements[ACCESS_ASSERTION].get("ref", ""))
        stored = _stored(self.desk, ref)
        if archive is not None and stored is not None and stored.map.sha256 != summary.sha256:
            self._say(
                "C2PA_MAP_DISAGREES",
                Severity.ERROR,
                f"The manifest states another synthesis map than the archive holds for {ref}.",
                "DESIGN §6",
            )
        clip = self.subject.kind is SubjectKind.VIDEO and report.state == "trusted"  # others may be bombs
        if clip and archive is not None and isinstance(stored, StoryDerivation):
            self._clip(archive, stored)

    def _clip(self, archive: Archive, stored: StoryDerivation) -> None:
        """An access copy of a clip: its frames are those of the clip that the archive holds, one by one."""
        kept = stored_files(archive, stored.ref).get(stored.products[0].name)
        if kept is None:
            return
        try:
            pairs = zip_longest(archive.videos.frames(self.path), archive.videos.frames(kept.path))
            equal = [one is not None and other is not None and np.array_equal(one, other) for one, other in pairs]
        except UsageError:  # nothing at hand decodes videos
            return
        self.clip_compared = True
        if all(equal):
            words = (
                f"This is a copy of {stored.ref}, a story and not a record: its {len(equal)} frames decode to those "
                "that the archive holds."
            )
            self._say("AUDIT_CLIP_COMPARED", Severity.INFO, words)
        else:
            first = equal.index(False)
            words = f"It says that it is {stored.ref} of the archive, and frame {first} is another."
            self._say("PIXELS_DISAGREE", Severity.ERROR, words)

    def _derivation(
        self, said: Mapping[str, Any], report: CredentialReport, of_several: Mapping[str, Any] | None
    ) -> None:
        """A derivative itself: its map and samples are those it names, and the master's where the map says so."""
        kind = said.get("ref", {}).get("kind") if isinstance(said.get("ref"), Mapping) else None
        derivation: PreservationDerivation | StoryDerivation
        if kind == "restoration":
            derivation = from_plain(PreservationDerivation, said)
        else:
            derivation = from_plain(StoryDerivation, said)
        outcome = self._outcome(derivation, of_several)
        self._map_inside(derivation.map, report)
        stored = _stored(self.desk, str(derivation.ref))
        if stored is not None and to_plain(stored) != to_plain(derivation):
            self._say(
                "C2PA_DERIVATION_DISAGREES",
                Severity.ERROR,
                f"The manifest tells another derivation than the archive does of {derivation.ref}.",
            )
        if self.subject.mime != "image/tiff":
            return
        archive = self.desk.archive
        if archive is not None and _has_master(self.desk, derivation):
            found = pixel_findings(archive, derivation, self.path, outcome)
            self.findings += [replace(finding, subject=self.name) for finding in found]
            self._say(
                "AUDIT_CLAIMS_CHECKED",
                Severity.INFO,
                "Every pixel was held against the archive’s master: the map was checked, not believed.",
            )
            return
        with self.desk.pictures.open(self.path) as picture:
            known = derivation.outcomes if isinstance(derivation, StoryDerivation) else derivation.products
            if _pixel_digest(picture) != known[outcome].pixels_sha256:
                self._say("PIXELS_DISAGREE", Severity.ERROR, "The decoded samples are not those the derivation names.")
        with self.desk.pictures.open_map(self.path) as plane:
            self._map_plane(plane, derivation.map)
        self._say(
            "AUDIT_MASTER_NOT_AT_HAND",
            Severity.WARNING,
            "The master is not at hand: what the map calls original could not be held against it.",
        )

    def _outcome(self, derivation: PreservationDerivation | StoryDerivation, said: Mapping[str, Any] | None) -> int:
        """Which of several outcomes the file says it is, 0 the first; say so."""
        if said is None or not isinstance(derivation, StoryDerivation):
            return 0
        outcome = int(said["outcome"]) - 1
        if not 0 <= outcome < len(derivation.outcomes) or said != outcome_statement(derivation, outcome):
            raise ValueError("it names an outcome that its derivation does not know")
        self._say("AUDIT_ONE_OF_SEVERAL", Severity.INFO, plain_text(str(said["note"])))
        return outcome

    def _map_inside(self, summary: MapSummary, report: CredentialReport) -> None:
        if report.map_png is None:
            self._say("C2PA_MAP_DISAGREES", Severity.ERROR, "The manifest states a synthesis map and holds none.")
            return
        path = self.desk.scratch / "map.png"
        path.write_bytes(report.map_png)
        with self.desk.pictures.open(path) as plane:
            self._map_plane(plane, summary)

    def _map_plane(self, plane: PictureSource, summary: MapSummary) -> None:
        total = np.zeros(256, np.int64)
        digest = PixelDigest()
        for top, bottom in bands(plane.facts.height, 256):
            rows = plane.read(Region(top=top, left=0, bottom=bottom, right=plane.facts.width))
            digest.update(rows)
            total += histogram(rows[:, :, 0].astype(np.uint8, copy=False))
        if digest.hexdigest() != summary.sha256:
            self._say("MAP_DISAGREES", Severity.ERROR, "The decoded map is not the one the manifest names.")
        elif {str(value): int(n) for value, n in enumerate(total) if n} != dict(summary.histogram):
            self._say("MAP_COUNTS_DISAGREE", Severity.ERROR, "The pixel counts a class are not those of the map.")

    def _say(self, code: str, severity: Severity, message: str, clause: str = "") -> None:
        self.findings.append(Finding(code=code, severity=severity, subject=self.name, message=message, clause=clause))


def _pixel_digest(picture: PictureSource) -> str:
    digest = PixelDigest()
    for top, bottom in bands(picture.facts.height, 256):
        digest.update(picture.read(Region(top=top, left=0, bottom=bottom, right=picture.facts.width)))
    return digest.hexdigest()


def _stored(desk: AuditDesk, ref: str) -> PreservationDerivation | StoryDerivation | None:
    """The archive's own record of a derivative; None where it has none."""
    if desk.archive is None:
        return None
    try:
        record = load_record(desk.archive, resolve(desk.archive, ref))
    except ArchiveRestoreError:
        return None
    return record if isinstance(record, PreservationDerivation | StoryDerivation) else None


def _has_master(desk: AuditDesk, derivation: PreservationDerivation | StoryDerivation) -> bool:
    if desk.archive is None:
        return False
    master = desk.archive.catalog.master(derivation.ref.item_id)
    return master is not None and master.file.sha256 == derivation.map.master_sha256


def _claimed(report: CredentialReport) -> tuple[str, ...]:
    """REFs that a manifest of this program names: places to look at first, never believed."""
    statements = report.chain.statements if report.chain else {}
    access, made = statements.get(ACCESS_ASSERTION, {}), statements.get(DERIVATION_ASSERTION, {})
    found = [access.get("ref")] if isinstance(access, Mapping) else []
    ref = made.get("ref") if isinstance(made, Mapping) else None
    if isinstance(ref, Mapping):
        found.append(f"{ref.get('item_id')}/{ref.get('kind')}@{ref.get('version')}")
    return tuple(text for text in found if isinstance(text, str))


def _not_judged(why: str) -> KinFound:
    return KinFound(kinship=Kinship(judged=False, why_not=why))


def _digests(path: Path) -> tuple[int, str, str, bool]:
    """Size, sha256, sha512 of a file, and whether the type of a JUMBF box (ISO/IEC 19566-5) occurs in it."""
    one, other, size = hashlib.sha256(), hashlib.sha512(), 0
    found, end = False, b""
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                one.update(block)
                other.update(block)
                size += len(block)
                found = found or _BOX in block or _BOX in end + block[:3]
                end = block[-3:]
    except OSError as exc:
        raise SourceUnreadable(f"{str(path)!r} cannot be read: {exc.strerror or exc}", hint="Check the disk") from exc
    return size, one.hexdigest(), other.hexdigest(), found


def _anchors_words(desk: AuditDesk, order: AuditOrder) -> str:
    if order.anchors is not None:
        return f"the roots in {order.anchors_name}" if order.anchors_name else "the roots that were given"
    if desk.archive is None:
        return "any roots, since none were given (--anchors)"
    name = desk.archive.settings.organization or desk.archive.settings.name
    return f"the roots of this archive ({name})"


# --- packages ----------------------------------------------------------------------------------------


def _package(
    desk: AuditDesk, path: Path, subject: Subject, order: AuditOrder, progress: Callable[[str], None]
) -> Audited:
    findings: list[Finding] = []
    subjects, says = 1, []
    name = str(path)
    if subject.kind is SubjectKind.UNKNOWN:
        findings.append(_finding("AUDIT_NOT_UNDERSTOOD", Severity.ERROR, name, subject.why))
        says.append(f"This is nothing that can be audited. {subject.why}")
    elif subject.kind is SubjectKind.ARCHIVE:
        try:
            with desk.open_archive(path) as archive:
                found = verify(archive, progress=progress)
            findings += found.findings
            subjects = found.subjects
            says.append(f"An archive of this program with {subjects} versions; each was verified, pixels included.")
        except ArchiveRestoreError as exc:
            message = f"The archive cannot be opened: {exc}."
            findings.append(_finding("COULD_NOT_BE_CHECKED", Severity.ERROR, name, message))
    else:
        check, what = {
            SubjectKind.BAG: (desk.foreign.bag, "bag (RFC 8493)"),
            SubjectKind.OCFL_OBJECT: (desk.foreign.ocfl_object, "OCFL object"),
            SubjectKind.OCFL_ROOT: (desk.foreign.ocfl_root, "OCFL storage root"),
        }[subject.kind]
        try:
            findings += check(path)
        except (ArchiveRestoreError, OSError) as exc:
            findings.append(_finding("COULD_NOT_BE_CHECKED", Severity.ERROR, name, f"It could not be checked: {exc}."))
        broken = any(finding.severity is Severity.ERROR for finding in findings)
        says.append(f"This {what} is {'NOT valid' if broken else 'valid'}: structure and digests were checked.")
    inside: list[Audited] = []
    if subject.kind in (SubjectKind.BAG, SubjectKind.OCFL_OBJECT, SubjectKind.OCFL_ROOT):
        inside, passed_over = _inside(desk, path, order, progress)
        subjects += len(inside)
        findings += [finding for one in inside for finding in one.audit.findings]
        if passed_over:
            message = (
                f"{passed_over} pictures and videos inside were not audited one by one: their credentials and their "
                "kinship were not looked at. Add --deep."
            )
            findings.append(_finding("AUDIT_CONTENT_NOT_LOOKED_AT", Severity.INFO, name, message))
            says.append(message)
    made = Audit(
        path=name, subject=subject, size=0, sha256="", width=None, height=None, subjects=subjects,
        findings=tuple(findings), says=tuple(says),
    )  # fmt: skip
    view = AuditView(
        audit=made, credentials=None, anchors="", kinship=None, candidate=None, reference=None, matrix=IDENTITY,
        scale=1.0, strength=None, flags=None, caption="", made=desk.clock.now(),
        inside=tuple(one.audit for one in inside),
    )  # fmt: skip
    return Audited(audit=made, view=view, inside=tuple(inside))


def _inside(
    desk: AuditDesk, path: Path, order: AuditOrder, progress: Callable[[str], None]
) -> tuple[list[Audited], int]:
    """Audit the pictures and videos below a folder where that is asked for; how many were passed over."""
    done: list[Audited] = []
    passed_over = 0
    for file in _files(path):
        try:
            subject = desk.foreign.subject(file)
            if subject.kind not in _PICTURES:
                continue
            if not order.deep:
                passed_over += 1
                continue
            progress(str(file))
            one = _Picture(desk, file, subject, order, progress).run()
            # Only what is said stays in memory, not the pictures.
            done.append(replace(one, view=replace(one.view, candidate=None, reference=None, strength=None, flags=None)))
        except SourceUnreadable:
            passed_over += 1  # told by the check of the package
    return done, passed_over


def _files(path: Path) -> Iterator[Path]:
    """Files below a folder in order, never through a link."""
    count = 0
    for folder, names, files in os.walk(path, followlinks=False):
        names.sort()
        for name in sorted(files):
            found = Path(folder, name)
            if not found.is_symlink() and found.is_file():
                yield found
                count += 1
                if count >= MANY:
                    return


def _finding(code: str, severity: Severity, subject: str, message: str) -> Finding:
    return Finding(code=code, severity=severity, subject=subject, message=message)


# --- words -------------------------------------------------------------------------------------------


def _says(made: Audit, report: CredentialReport, kinship: Kinship | None, anchors: str) -> Iterator[str]:
    if kinship is not None:
        yield from kinship_words(kinship)
    yield from (finding.message for finding in made.findings if finding.code == "AUDIT_CLIP_COMPARED")
    if any(finding.code == "C2PA_REMOTE" for finding in made.findings):
        yield "Credentials: elsewhere on the network, where this program never goes."
        return
    signer = (
        f" The signer calls itself {plain_text(report.signer, 200)}."
        if report.signer and report.state != "none"
        else ""
    )
    yield f"Credentials: {state_words(report.state, anchors)}.{signer}"
    if report.state == "none":
        yield "That is no sign of guilt: most pictures never had any, and many programs take them out."


# --- the report --------------------------------------------------------------------------------------


def check_report_place(desk: AuditDesk, report: Path, path: Path) -> None:
    """Raise UsageError where a report would lie in the archive, in or beside what is audited, or over another file."""
    place = report.resolve()
    roots = [path.resolve()] if path.is_dir() else []
    if desk.archive is not None:
        roots.append(desk.archive.root.resolve())
    if any(place.is_relative_to(root) for root in roots):
        raise UsageError(f"{str(report)!r} lies inside what is audited", hint="Write the report elsewhere")
    if place.exists():
        raise StorageConflict(f"{str(report)!r} is there already", hint="Nothing is overwritten: name a new file")


def write_report(desk: AuditDesk, found: Audited, report: Path) -> None:
    """Write the HTML report to a new file, whole or not at all; raise StorageConflict, StorageFailed."""
    page = desk.reports.render(found.view)
    partial = report.with_name(f".audit-{uuid.uuid4().hex[:12]}.unfinished")
    try:
        with partial.open("xb") as file:
            file.write(page)
            file.flush()
            os.fsync(file.fileno())
        if report.exists():
            raise StorageConflict(f"{str(report)!r} is there already", hint="Nothing is overwritten: name a new file")
        partial.replace(report)
    except OSError as exc:
        raise StorageFailed(
            f"{str(report)!r} cannot be written: {exc.strerror or exc}", hint="Check the folder and its free space"
        ) from exc
    finally:
        partial.unlink(missing_ok=True)
