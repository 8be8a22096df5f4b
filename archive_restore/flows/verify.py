"""Verify: every claim the archive makes is checked, none is believed (promises P1, P3, P5, P7).

1. the audit log against its checkpoint, and the time-stamps of earlier ones
2. both storage roots: structure and fixity
3. every master: record, credentials, log
4. every restoration: record, credentials, map against the master's pixels, log
5. every story: the same, and against the pixels of what it was made from
6. the catalog against what the roots and the log say
"""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from archive_restore.core.canonical import canonical_bytes, to_plain
from archive_restore.core.fixity import FIXITY_CHECK, each_subject
from archive_restore.core.manifests import map_statement
from archive_restore.core.refs import AnyRef, make_ref, object_kind
from archive_restore.core.story_claims import OUTCOME_ASSERTION, PARENT, outcome_statement
from archive_restore.core.synthesis_map import ClaimBreach, PixelDigest
from archive_restore.errors import ArchiveRestoreError, ReferenceUnknown, SelfCheckFailed, StorageFailed
from archive_restore.flows.commit import (
    DERIVATION_RECORD,
    DIGESTS,
    DISSEMINATION,
    ITEM_RECORD,
    REPLICATION,
    AnyRecord,
    RecordT,
    exact_ref,
    load_record,
    read_record,
    sidecar_name,
    stored_files,
)
from archive_restore.flows.rebuild import fill
from archive_restore.flows.render import MAP_PNG
from archive_restore.flows.restore import MAP_RECORD
from archive_restore.flows.story_render import load_source
from archive_restore.flows.tell import compare_stored
from archive_restore.flows.verify_clip import check_clip
from archive_restore.imaging.compare import Comparison, StoryComparison, compare
from archive_restore.imaging.engine import bands
from archive_restore.ports import Archive, CredentialReport, StoredFile
from archive_restore.records.findings import Finding, Severity
from archive_restore.records.imagery import PRESERVATION_FLAGS, MapSummary, Region
from archive_restore.records.objects import Master, MasterRef
from archive_restore.records.preservation import PreservationDerivation, PreservationRef
from archive_restore.records.provenance import Event
from archive_restore.records.stories import StoryDerivation, StoryKind, StoryRef

IN_PROGRESS = frozenset(
    {"LOG_ENTRY_MISSING", "CATALOG_DISAGREES", "OCFL_VERSION_UNEXPECTED", "OCFL_INVENTORY_DIGEST", "OCFL_COPY_DIFFERS"}
)
"""What an object may show while it is committed: it is visible first, logged next and catalogued last."""


TOLD_LATER = frozenset({DISSEMINATION, REPLICATION, FIXITY_CHECK})
"""Types of events about versions that have long been stored."""


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What was checked and what was found."""

    subjects: int
    """Versions of masters and derivatives that were checked."""
    findings: tuple[Finding, ...]
    pixels_compared: int
    """Pixels of derivatives held against their masters."""
    started: str
    """UTC, RFC 3339 with seconds and `Z`."""
    checked: Mapping[str, Mapping[str, str]]
    """REFs that were judged to the end, each with the digests of its files that the log vouches for."""

    @property
    def ok(self) -> bool:
        """Whether no finding is of severity error."""
        return all(finding.severity is not Severity.ERROR for finding in self.findings)


def verify(
    archive: Archive,
    refs: Sequence[AnyRef] | None = None,
    *,
    progress: Callable[[str], None] = lambda subject: None,
) -> Verification:
    """Check these versions, or everything when `refs` is None. Reads only; raises nothing for what is damaged."""
    return _Verifier(archive, progress).run(refs)


def pixel_findings(
    archive: Archive, derivation: PreservationDerivation | StoryDerivation, picture: Path, outcome: int = 0
) -> tuple[Finding, ...]:
    """What is wrong with the map and the pixels of a derivative's picture that lies anywhere, held against its sources.

    `outcome` says which of `StoryDerivation.outcomes` it is. Raise ReferenceUnknown, PictureUnreadable, StorageFailed,
    CatalogDamaged where that cannot be judged.
    """
    verifier = _Verifier(archive, lambda subject: None)
    if isinstance(derivation, StoryDerivation):
        verifier._story_pixels(derivation.ref, derivation, picture, outcome)
    else:
        verifier._pixels(derivation.ref, derivation, picture)
    return tuple(verifier.findings)


class _Verifier:
    def __init__(self, archive: Archive, progress: Callable[[str], None]) -> None:
        self.archive = archive
        self.progress = progress
        self.findings: list[Finding] = []
        self.digests: dict[str, dict[str, str]] = {}
        self.logged: list[Event] | None = None
        """Every event of the log; None where it could not be read to its end."""
        self.suspect: set[str] = set()
        """Objects, among other words, about whose storage something was found."""
        self.subjects = 0
        self.pixels = 0

    def run(self, refs: Sequence[AnyRef] | None) -> Verification:
        started = self.archive.clock.now()
        began = self._log_size()
        # In this order: what is visible and not pending any more is in the log when that is read.
        targets = list(every_version(self.archive) if refs is None else refs)
        moving = self._pending()
        self._log()
        self.progress("storage")
        for root, told in ((self.archive.preservation, False), (self.archive.stories, True)):
            mine = {ref.object_id for ref in targets if isinstance(ref, StoryRef) is told}
            self.findings.extend(root.validate(None if refs is None else mine, threads=self.archive.settings.threads))
        self.suspect = {name for finding in self.findings for name in _names_in(finding.subject)}
        for ref in targets:
            self.progress(str(ref))
            self._version(ref)
        if refs is None:
            self._vanished({str(ref) for ref in targets} | {told.ref for told in self._logged_since(began)})
            self._catalog()
        else:
            self._catalog_rows([str(ref) for ref in targets])
        since = self._logged_since(began)
        moving |= self._pending() | {told.ref for told in since if told.type not in TOLD_LATER}
        findings = tuple(self._settled(moving, {told.ref for told in since}))
        judged = [str(ref) for ref in targets] if refs is not None else self.digests
        return Verification(
            subjects=self.subjects,
            findings=findings,
            pixels_compared=self.pixels,
            started=started,
            checked={ref: self.digests[ref] for ref in judged if ref in self.digests and ref not in moving},
        )

    # -- a writer at work ----------------------------------------------------------------------------------

    def _pending(self) -> set[str]:
        """REFs that a living writer is committing just now; a dead one's were finished when the archive was opened."""
        try:
            return {ref for _, entry in self.archive.journal.pending() for ref in entry.refs}
        except ArchiveRestoreError as exc:
            self._error("JOURNAL_UNREADABLE", "work/journal", str(exc))
            return set()

    def _log_size(self) -> int | None:
        try:
            return self.archive.log.size()
        except ArchiveRestoreError:
            return None  # told with the rest of the log

    def _logged_since(self, began: int | None) -> list[Event]:
        try:
            entries = () if began is None else self.archive.log.entries(began)
            return [told for entry in entries for told in each_subject(entry.event)]
        except ArchiveRestoreError:
            return []

    def _settled(self, moving: Collection[str], told: Collection[str]) -> Iterator[Finding]:
        """What was found, but for what a commit in progress looks like: that is told as not judged.

        Of `told` something was logged meanwhile, which the catalog may say earlier or later.
        """
        objects = {ref.partition("@")[0] for ref in (*moving, *told)}
        for finding in self.findings:
            if finding.code not in IN_PROGRESS or not any(_is_about(finding.subject, name) for name in objects):
                yield finding
        for ref in sorted(moving):
            yield Finding(
                code="COMMITTED_MEANWHILE",
                severity=Severity.WARNING,
                subject=ref,
                message="It was being stored while this ran and was not judged; verify it again.",
            )

    # -- 1. log ------------------------------------------------------------------------------------------

    def _log(self) -> None:
        self.progress("log")
        self.findings.extend(self.archive.log.verify())
        self.findings.extend(self.archive.timestamps.verify(self.archive.log))
        try:
            logged = [entry.event for entry in self.archive.log.entries()]
            for told in logged:
                if told.type == DIGESTS:
                    self._vouch(told.ref, told.digests)
            self.logged = logged
        except ArchiveRestoreError as exc:
            self._error("LOG_UNREADABLE", "log", str(exc))

    def _vouch(self, ref: str, digests: Mapping[str, str]) -> None:
        known = self.digests.setdefault(ref, {})
        for name, digest in digests.items():
            if known.setdefault(name, digest) != digest:
                self._error("LOG_DISAGREES", f"{ref} {name}", "The audit log gives it two digests; the first counts.")

    def _vanished(self, present: Collection[str]) -> None:
        """What the log vouches for must still be there: an attacker can remove an object, but not its entry."""
        for ref in sorted(self.digests.keys() - present):
            self._error("LOG_DISAGREES", ref, "The audit log knows this version and it is not stored any more.")

    def _logged(self, ref: AnyRef, files: Mapping[str, StoredFile]) -> None:
        vouched = self.digests.get(str(ref))
        if vouched is None:
            self._error("LOG_ENTRY_MISSING", str(ref), "The audit log does not know this version.", "DESIGN §7")
            return
        for name in sorted(files.keys() - vouched.keys()):
            self._error("LOG_DISAGREES", f"{ref} {name}", "The file is stored and the audit log does not know it.")
        for name, digest in vouched.items():
            stored = files.get(name)
            if stored is None:
                self._error("LOG_DISAGREES", f"{ref} {name}", "The audit log names this file and it is not stored.")
            elif digest != f"sha512:{stored.sha512}":
                self._error(
                    "LOG_DISAGREES", f"{ref} {name}", "The stored file has another digest than the audit log says."
                )

    # -- 3. masters --------------------------------------------------------------------------------------

    def _version(self, ref: AnyRef) -> None:
        self.subjects += 1
        try:
            files = stored_files(self.archive, ref)
        except ArchiveRestoreError as exc:
            self._error("OBJECT_UNREADABLE", str(ref), str(exc))
            return
        self._logged(ref, files)
        try:
            if isinstance(ref, MasterRef):
                self._master(ref, files)
            elif isinstance(ref, StoryRef):
                self._story(ref, files)
            else:
                self._restoration(ref, files)
        except ArchiveRestoreError as exc:
            self._error("COULD_NOT_BE_CHECKED", str(ref), str(exc))
        except OSError as exc:
            self._error("FILE_UNREADABLE", str(ref), f"A stored file cannot be read: {exc.strerror}.")

    def _master(self, ref: MasterRef, files: Mapping[str, StoredFile]) -> None:
        master = self._record(Master, ref, files, ITEM_RECORD)
        if master is None:
            return
        stored = files.get(master.file.name)
        if stored is None or master.ref != ref:
            self._error("RECORD_DISAGREES", str(ref), f"{ITEM_RECORD} describes another file or item.")
            return
        if (stored.sha512, stored.sha256) != (master.file.sha512, master.file.sha256):
            self._error("RECORD_DISAGREES", str(ref), f"{ITEM_RECORD} has other digests than the OCFL inventory.")
        sidecar = files.get(sidecar_name(master.file.name))
        self._credentials(ref, stored, master.file.mime, sidecar)

    def _record(self, kind: type[RecordT], ref: AnyRef, files: Mapping[str, StoredFile], name: str) -> RecordT | None:
        stored = files.get(name)
        if stored is None:
            self._error("RECORD_MISSING", str(ref), f"There is no {name}.", "DESIGN §3")
            return None
        try:
            return read_record(kind, stored.path, str(ref))
        except ArchiveRestoreError as exc:
            self._error("RECORD_UNREADABLE", str(ref), str(exc))
            return None

    def _credentials(
        self, ref: AnyRef, stored: StoredFile, mime: str, sidecar: StoredFile | None, subject: str = ""
    ) -> CredentialReport | None:
        subject, beside = subject or str(ref), sidecar.path if sidecar else None
        # Its bytes were hashed with the storage roots, unless something was wrong there.
        hashed = None if ref.object_id in self.suspect else stored.sha256
        try:
            report = self.archive.credentials.read(stored.path, mime, beside, subject, sha256=hashed)
        except ArchiveRestoreError as exc:
            self._error("C2PA_UNREADABLE", subject, str(exc), "C2PA 2.2 §15")
            return None
        self.findings.extend(report.findings)
        if report.state == "none":
            self._error("C2PA_MISSING", subject, "The file carries no C2PA manifest.", "DESIGN §6")
        return report

    # -- 4. restorations ----------------------------------------------------------------------------------

    def _restoration(self, ref: PreservationRef, files: Mapping[str, StoredFile]) -> None:
        derivation = self._record(PreservationDerivation, ref, files, DERIVATION_RECORD)
        if derivation is None:
            return
        if derivation.ref != ref or derivation.parent.item_id != ref.item_id:
            self._error("RECORD_DISAGREES", str(ref), f"{DERIVATION_RECORD} describes another derivative.")
            return
        picture = self._signed_picture(ref, derivation, files)
        if picture is not None:
            self._pixels(ref, derivation, picture)

    def _signed_picture(
        self,
        ref: PreservationRef | StoryRef,
        derivation: PreservationDerivation | StoryDerivation,
        files: Mapping[str, StoredFile],
    ) -> Path | None:
        """Check credentials and maps of a derivative; its picture, where it is stored."""
        picture = files.get(derivation.products[0].name) if derivation.products else None
        if picture is None:
            self._error("RECORD_DISAGREES", str(ref), f"{DERIVATION_RECORD} names no picture that is stored.")
            return None
        mime = derivation.products[0].mime
        report = self._credentials(ref, picture, mime, files.get(sidecar_name(picture.name)))
        if report is not None:
            self._assertions(ref, derivation, report, files)
        if isinstance(derivation, StoryDerivation):
            told = report.chain.statements if report is not None and report.chain is not None else {}
            self._others(derivation, files, signed=OUTCOME_ASSERTION in told)
        for product in derivation.products[1:]:
            beside = files.get(sidecar_name(product.name))
            if beside is not None and product.name in files:
                report = self._credentials(ref, files[product.name], product.mime, beside)
                if report is not None:
                    self._assertions(ref, derivation, report, files)
        self._maps(ref, derivation, files)
        return picture.path

    def _assertions(
        self,
        ref: PreservationRef | StoryRef,
        derivation: PreservationDerivation | StoryDerivation,
        report: CredentialReport,
        files: Mapping[str, StoredFile],
        subject: str = "",
    ) -> None:
        subject = subject or str(ref)
        if report.state in ("none", "invalid"):
            return  # already an error; what a broken manifest asserts proves nothing
        said = report.derivation
        if said is None or json.loads(json.dumps(said)) != json.loads(json.dumps(to_plain(derivation))):
            self._error(
                "C2PA_DERIVATION_DISAGREES",
                subject,
                f"The manifest tells another derivation than {DERIVATION_RECORD}.",
            )
        stored = files.get(MAP_PNG)
        if stored is None or report.map_png != stored.path.read_bytes():
            self._error("C2PA_MAP_DISAGREES", subject, f"The map inside the manifest is not {MAP_PNG}.", "DESIGN §6")

    def _maps(
        self,
        ref: PreservationRef | StoryRef,
        derivation: PreservationDerivation | StoryDerivation,
        files: Mapping[str, StoredFile],
    ) -> None:
        record = files.get(MAP_RECORD)
        if record is None or record.path.read_bytes() != canonical_bytes(map_statement(derivation.map)):
            self._error("MAP_RECORD_DISAGREES", str(ref), f"{MAP_RECORD} is not what {DERIVATION_RECORD} says.")
        meant = {MAP_PNG: derivation.map.sha256}
        # What moves is decoded frame by frame where frames are checked.
        meant |= {p.name: p.pixels_sha256 for p in derivation.products[1:] if not p.mime.startswith("video/")}
        for name, digest in meant.items():
            stored = files.get(name)
            if stored is None or self._picture_digest(stored.path) != digest:
                self._error("MAP_DISAGREES", f"{ref} {name}", "The decoded map is not the one the derivation names.")

    def _picture_digest(self, path: Path) -> str:
        digest = PixelDigest()
        with self.archive.pictures.open(path) as picture:
            for top, bottom in bands(picture.facts.height, 256):
                digest.update(picture.read(Region(top=top, left=0, bottom=bottom, right=picture.facts.width)))
        return digest.hexdigest()

    def _pixels(self, ref: PreservationRef, derivation: PreservationDerivation, picture: Path) -> None:
        master_files = self.archive.preservation.files(MasterRef(item_id=ref.item_id))
        master = self._record(Master, MasterRef(item_id=ref.item_id), master_files, ITEM_RECORD)
        if master is None or master.file.name not in master_files:
            return
        if derivation.map.master_sha256 != master_files[master.file.name].sha256:
            self._error("MAP_OF_ANOTHER_MASTER", str(ref), "The map relates to other bytes than the stored master.")
            return
        with (
            self.archive.pictures.open(picture) as derivative,
            self.archive.pictures.open_map(picture) as synthesis_map,
            self.archive.pictures.open(master_files[master.file.name].path, master.picture) as source,
        ):
            sizes = {(p.facts.width, p.facts.height) for p in (derivative, synthesis_map, source)}
            if len(sizes) > 1 or derivative.dtype != source.dtype or derivative.facts.samples != source.facts.samples:
                self._error("FRAME_CHANGED", str(ref), "Master, derivative and map differ in size or kind of samples.")
                return
            found = compare(source, derivative, synthesis_map, PRESERVATION_FLAGS)
        self.pixels += derivation.map.pixels
        self._compared(ref, derivation, found)

    def _compared(self, ref: PreservationRef, derivation: PreservationDerivation, found: Comparison) -> None:
        for breach in found.breaches:
            code, words, clause = _BREACHES[breach.rule]
            if breach.rule == "NOT_ALLOWED":
                words = "A restoration may not be so"
            self._error(code, str(ref), f"{words}: {_where(breach)}.", clause)
        self._summary(str(ref), derivation.map, found)
        if found.derivative_sha256 != derivation.products[0].pixels_sha256:
            self._error("PIXELS_DISAGREE", str(ref), "The decoded samples are not those the derivation names.")
        if found.master_sha256 != derivation.map.master_pixels_sha256:
            self._error("PIXELS_DISAGREE", str(ref), "The master's decoded samples are not those the derivation names.")

    def _summary(self, subject: str, summary: MapSummary, found: Comparison | StoryComparison) -> None:
        """What is said of the map against the map inside the picture."""
        if found.map_sha256 != summary.sha256:
            self._error("MAP_DISAGREES", subject, "The map in the TIFF is not the one the derivation names.")
        if {str(v): n for v, n in enumerate(found.histogram) if n} != dict(summary.histogram):
            self._error("MAP_COUNTS_DISAGREE", subject, "The pixel counts a class are not those of the map.")
        if found.counts != dict(summary.counts):
            self._error("MAP_COUNTS_DISAGREE", subject, "The class counts are not those of the map.")

    # -- 5. stories --------------------------------------------------------------------------------------

    def _story(self, ref: StoryRef, files: Mapping[str, StoredFile]) -> None:
        derivation = self._record(StoryDerivation, ref, files, DERIVATION_RECORD)
        if derivation is None:
            return
        parents = [material for material in derivation.materials if material.role == PARENT]
        if (
            derivation.ref != ref
            or derivation.parent.item_id != ref.item_id
            or [parent.ref for parent in parents] != [str(derivation.parent)]
        ):
            self._error("RECORD_DISAGREES", str(ref), f"{DERIVATION_RECORD} describes another story.")
            return
        picture = self._signed_picture(ref, derivation, files)
        if picture is None:
            return
        for material in derivation.materials[1:]:
            stored = files.get(material.ref)
            if stored is None or stored.sha512 != material.sha512:
                self._error("RECORD_DISAGREES", f"{ref} {material.ref}", "What was handed in is not what is stored.")
        self._story_pixels(ref, derivation, picture)
        for number, product in enumerate(derivation.alternatives, 1):
            if product.name in files:
                self._story_pixels(ref, derivation, files[product.name].path, number)

    def _others(self, derivation: StoryDerivation, files: Mapping[str, StoredFile], *, signed: bool) -> None:
        """Check the credentials of every alternative; `signed` says that the picture's own tell of several outcomes."""
        ref = derivation.ref
        for number, product in enumerate(derivation.alternatives, 1):
            subject, stored = f"{ref} {product.name}", files.get(product.name)
            if stored is None:
                self._error("RECORD_DISAGREES", subject, f"{DERIVATION_RECORD} names an outcome that is not stored.")
            elif not signed:
                message = "It was stored before other outcomes got a manifest of their own."
                self.findings.append(
                    Finding(
                        code="OUTCOME_UNSIGNED", severity=Severity.WARNING, subject=subject, message=message,
                        clause="DESIGN §6",
                    )
                )  # fmt: skip
            else:
                report = self._credentials(ref, stored, product.mime, files.get(sidecar_name(product.name)), subject)
                if report is None or report.state in ("none", "invalid"):
                    continue
                self._assertions(ref, derivation, report, files, subject)
                said = report.chain.statements.get(OUTCOME_ASSERTION) if report.chain else None
                if said is None or to_plain(said) != outcome_statement(derivation, number):
                    message = f"The manifest does not say which outcome of {DERIVATION_RECORD} it is."
                    self._error("C2PA_DERIVATION_DISAGREES", subject, message)

    def _story_pixels(self, ref: StoryRef, derivation: StoryDerivation, picture: Path, outcome: int = 0) -> None:
        subject = f"{ref} {derivation.outcomes[outcome].name}" if outcome else str(ref)
        source = load_source(self.archive, derivation.parent)
        if source.material.sha512 != derivation.materials[0].sha512:
            self._error("STORY_OF_ANOTHER_SOURCE", str(ref), f"It was made from other bytes than {source.ref} now has.")
            return
        if derivation.map.master_sha256 != source.master.file.sha256:
            self._error("MAP_OF_ANOTHER_MASTER", str(ref), "The map relates to other bytes than the stored master.")
            return
        if ref.kind is StoryKind.ANIMATION:
            self.findings.extend(check_clip(self.archive, source, derivation, stored_files(self.archive, ref)))
            self.pixels += derivation.map.pixels
            return
        try:
            found = compare_stored(self.archive, picture, source, derivation)
        except SelfCheckFailed as exc:
            self._error("FRAME_CHANGED", subject, f"{exc}.")
            return
        self.pixels += derivation.map.pixels
        for breach in found.breaches:
            code, words, clause = _BREACHES[breach.rule]
            self._error(code, subject, f"{words}: {_where(breach)}.", clause)
        self._summary(subject, derivation.map, found)
        for digest, meant, what in (
            (found.story_sha256, derivation.outcomes[outcome].pixels_sha256, "The decoded samples"),
            (found.master_sha256, derivation.map.master_pixels_sha256, "The master's decoded samples"),
            (found.parent_sha256, derivation.materials[0].pixels_sha256, "The decoded samples of its source"),
        ):
            if digest != meant:
                self._error("PIXELS_DISAGREE", subject, f"{what} are not those the derivation names.")

    # -- 6. catalog --------------------------------------------------------------------------------------

    def _catalog(self) -> None:
        self.progress("catalog")
        try:
            self.findings.extend(self.archive.catalog.check())
            stored = dict(self.archive.catalog.contents())
        except ArchiveRestoreError as exc:
            self._error("CATALOG_UNREADABLE", "catalog", str(exc), "Run: archive-restore catalog rebuild")
            return
        fresh = self.archive.scratch_catalog()
        try:
            for finding in fill(self.archive, fresh, self.logged):
                self.findings.append(finding)
            expected = dict(fresh.contents())
        except ArchiveRestoreError as exc:
            self._error(
                "COULD_NOT_BE_CHECKED", "catalog", f"The roots and the log cannot be read for comparison: {exc}"
            )
            return
        finally:
            fresh.close()
        self._differences(stored, expected)

    def _catalog_rows(self, subjects: Iterable[str]) -> None:
        """For single subjects: the catalog's record against the stored one."""
        for subject in subjects:
            ref = exact_ref(subject)
            try:
                stored = self._catalogued(ref)
            except ArchiveRestoreError as exc:
                self._error("CATALOG_UNREADABLE", subject, str(exc))
                continue
            try:
                meant = load_record(self.archive, ref)
            except ArchiveRestoreError:
                continue  # told already where the version itself was checked
            if stored != meant:
                self._error(
                    "CATALOG_DISAGREES",
                    subject,
                    "The catalog says something else; run: archive-restore catalog rebuild.",
                )

    def _catalogued(self, ref: AnyRef) -> AnyRecord | None:
        catalog = self.archive.catalog
        if isinstance(ref, MasterRef):
            return catalog.master(ref.item_id)
        return catalog.story(ref) if isinstance(ref, StoryRef) else catalog.derivation(ref)

    def _differences(self, stored: Mapping[str, str], expected: Mapping[str, str]) -> None:
        for key in sorted(stored.keys() | expected.keys()):
            if stored.get(key) != expected.get(key):
                what = (
                    "is in the catalog only" if key not in expected
                    else "is missing from the catalog" if key not in stored
                    else "differs between the catalog and the stored records"
                )  # fmt: skip
                self._error("CATALOG_DISAGREES", key, f"It {what}; run: archive-restore catalog rebuild.", "DESIGN §3")

    def _error(self, code: str, subject: str, message: str, clause: str = "") -> None:
        self.findings.append(
            Finding(code=code, severity=Severity.ERROR, subject=subject, message=message, clause=clause)
        )


_BREACHES = {
    "ORIGINAL": ("MAP_LIES", "The map calls them original and they differ from the master", "DESIGN §4"),
    "NOT_ALLOWED": ("MAP_FLAG_NOT_ALLOWED", "A story of this kind may not be so", "DESIGN §5"),
    "LUMINANCE": ("MAP_LIES", "The map calls only their colour made up and their luminance changed", "DESIGN §4"),
    "PARENT": ("MAP_LIES", "The map calls them untouched and they differ from what it was made from", "DESIGN §4"),
    "LOST": ("MAP_FLAG_LOST", "The map lacks flags that what it was made from has there", "DESIGN §4"),
}
"""Finding, words and clause of each rule that pixels may break."""


def _where(breach: ClaimBreach) -> str:
    return f"{breach.pixels} pixels, the first at x={breach.x}, y={breach.y}"


def _names_in(subject: str) -> Iterator[str]:
    """Every name that a finding's subject may begin with."""
    yield subject
    yield from (subject[:place] for place, character in enumerate(subject) if character in "@: ")


def _is_about(subject: str, object_id: str) -> bool:
    """Whether a finding's subject is an object, one of its versions, files or rows."""
    for prefix in ("", "items/", "masters/", "derivatives/", "ingredients/", "events/"):
        begin = prefix + object_id
        if subject.startswith(begin) and subject[len(begin) : len(begin) + 1] in ("", "@", ":", " ", "/"):
            return True
    return False


def sampled(archive: Archive, share: float) -> list[AnyRef]:
    """A random share of all stored versions, at least one; another one each time, so that years cover everything."""
    versions = list(every_version(archive))
    if not versions:
        return []
    return secrets.SystemRandom().sample(versions, max(1, round(len(versions) * share)))


def every_version(archive: Archive) -> Iterator[AnyRef]:
    """Every version of every object whose name can be read, in order."""
    for root in (archive.preservation, archive.stories):
        for object_id in sorted(root.object_ids()):
            # What has no readable name or inventory is told of by the structure checks of the root.
            with contextlib.suppress(ReferenceUnknown, StorageFailed):
                item_id, kind = object_kind(object_id)
                for version in range(1, root.head(object_id) + 1):
                    yield make_ref(item_id, kind, version)
