"""Bags that come in: validated whole, then their pictures are wanted as other files are (RFC 8493; OAIS SIP).

Nothing of a bag with an error is taken in. What an archive like ours made of a master is never taken for a master.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from archive_restore.core.bag_description import bag_identifier, describe, merged, names_of, sheet_row
from archive_restore.core.bagit import shown
from archive_restore.core.canonical import Malformed, from_plain
from archive_restore.core.refs import identifier_problem
from archive_restore.core.rules import Row, Sheet, read_sheet
from archive_restore.flows.commit import DERIVATION_RECORD, ITEM_RECORD
from archive_restore.flows.intake import Candidate, Wanted
from archive_restore.ports import Archive
from archive_restore.records.bags import Bag, BagFile
from archive_restore.records.findings import Finding, Severity, has_errors
from archive_restore.records.objects import Description, Master

_NAMED = 5
"""Files that a finding names; the rest are counted."""


@dataclass(frozen=True, kw_only=True)
class Unpacked:
    """What a bag gives."""

    wanted: tuple[Wanted, ...] = ()
    notes: tuple[Finding, ...] = ()
    """Findings that stopped nothing."""
    refused: tuple[tuple[str, tuple[Finding, ...]], ...] = ()
    """(path, findings) of what was refused: the bag, or rows of its metadata sheet."""


def unpack(archive: Archive, candidate: Candidate, *, keep_unreadable: bool) -> Unpacked:
    """Validate the bag in the directory of a candidate, and say which of its files are to become masters.

    Steps: 1 validate; 2 leave out what is made of masters, and what is no picture; 3 describe the rest.
    """
    # 1
    subject = candidate.shown
    bag = archive.bags.read(candidate.path, subject)
    if has_errors(bag.findings):
        return Unpacked(refused=((subject, bag.findings),))
    # 2
    notes = list(bag.findings)
    pictures = _pictures(bag, subject, notes)
    # 3
    sheet = read_sheet(bag.sheet, f"{subject}: {bag.sheet_path}") if bag.sheet is not None else None
    refused = _sheet_findings(sheet, bag, notes, f"{subject}: {bag.sheet_path}")
    wanted = tuple(_wanted(candidate, bag, pictures, sheet, notes, keep_unreadable))
    return Unpacked(wanted=wanted, notes=tuple(notes), refused=refused)


# --- which files -------------------------------------------------------------------------------------


def _pictures(bag: Bag, subject: str, notes: list[Finding]) -> list[BagFile]:
    made = {_folder(path) for path in bag.records if _name(path) == DERIVATION_RECORD}
    own = {_folder(path): _master(bag.records[path]) for path in bag.records if _name(path) == ITEM_RECORD}
    kept: list[BagFile] = []
    passed: list[str] = []
    for file in bag.payload:
        folder = next((folder for folder in _folders(file.path) if folder in made), "")
        if folder:
            continue
        master = own.get(_folder(file.path))
        beside = master is not None and _name(file.path) != master.file.name
        if file.is_picture and not beside and not _name(file.path).startswith("._"):  # AppleDouble: no picture
            kept.append(file)
        elif file.is_picture or (master is None and _name(file.path) != ITEM_RECORD):
            passed.append(file.path)
    for folder in sorted(made):
        message = "Made from a master by an archive like this one: it is not taken in as a master."
        notes.append(_note("BAG_DERIVATIVE_PASSED_OVER", f"{subject}: {folder}", message))
    if passed:
        named = ", ".join(shown(path) for path in passed[:_NAMED])
        more = f" and {len(passed) - _NAMED} more" if len(passed) > _NAMED else ""
        message = f"No pictures, and not taken in: {named}{more}."
        notes.append(_note("BAG_FILES_PASSED_OVER", subject, message))
    if not kept:
        message = "The bag holds no master that could be taken in."
        notes.append(_note("BAG_NO_PICTURE", subject, message, Severity.WARNING))
    return kept


def _name(path: str) -> str:
    return PurePosixPath(path).name


def _folder(path: str) -> str:
    return str(PurePosixPath(path).parent)


def _folders(path: str) -> Iterator[str]:
    return (str(folder) for folder in PurePosixPath(path).parents)


# --- what is said of them ----------------------------------------------------------------------------


def _wanted(
    candidate: Candidate,
    bag: Bag,
    pictures: list[BagFile],
    sheet: Sheet | None,
    notes: list[Finding],
    keep_unreadable: bool,
) -> Iterator[Wanted]:
    alone = len(pictures) == 1
    whole = describe(bag.info, bag.dublin_core, alone=alone)
    identifier, problem = bag_identifier(bag.info) if alone else ("", "")
    if problem:
        message = f"External-Identifier {problem}; the item is named for its file."
        notes.append(_note("BAG_IDENTIFIER_UNUSABLE", candidate.shown, message))
        identifier = ""
    prefix = "" if candidate.relative == "." else f"{candidate.relative}/"
    for file in pictures:
        row, refusal = sheet_row(sheet, file.path) if sheet is not None else (None, None)
        record = _record_beside(file, bag, candidate.shown, notes)
        said = row.description if row is not None else Description(extra={})
        if record is not None:
            said = merged(record.description, said)
            named = record.ref.item_id
        else:
            said = merged(said, whole)
            named = identifier
        if row is not None and row.item_id:
            named = row.item_id
        yield Wanted(
            candidate=Candidate(path=candidate.path / file.path, relative=f"{prefix}{file.path}", bag=candidate.shown),
            row=Row(line=row.line if row else 0, file=file.path, item_id=named, description=said),
            refusal=refusal,
            keep_unreadable=keep_unreadable,
            promised={name: file.digests[name] for name in ("sha256", "sha512") if name in file.digests},
            fixity=f"{', '.join(sorted(file.digests))} as in the manifests of a BagIt {bag.version} bag",
        )


def _record_beside(file: BagFile, bag: Bag, subject: str, notes: list[Finding]) -> Master | None:
    """The record that another archive kept of this very file; None, and a note, where it does not fit."""
    path = f"{_folder(file.path)}/{ITEM_RECORD}"
    if path not in bag.records:
        return None
    master = _master(bag.records[path])
    facts = {"sha256": master.file.sha256, "sha512": master.file.sha512} if master is not None else {}
    agree = all(file.digests.get(name, digest) == digest for name, digest in facts.items())
    if master is None or not agree or identifier_problem(master.ref.item_id):
        message = "It is not the record of the master beside it, and was not used."
        notes.append(_note("BAG_METADATA_UNUSABLE", f"{subject}: {path}", message, Severity.WARNING))
        return None
    return master


def _master(data: bytes) -> Master | None:
    try:
        return from_plain(Master, json.loads(data))
    except (ValueError, RecursionError, Malformed):
        return None


def _sheet_findings(
    sheet: Sheet | None, bag: Bag, notes: list[Finding], name: str
) -> tuple[tuple[str, tuple[Finding, ...]], ...]:
    """Rows that no file answers are refused, as those of any sheet; a sheet that is none of ours is only told of."""
    if sheet is None:
        return ()
    present = {variant for file in bag.payload for variant in names_of(file.path)}
    usable = bool(sheet.by_file or sheet.refused)
    refused: list[tuple[str, tuple[Finding, ...]]] = []
    for finding in sheet.findings:
        if finding.severity is not Severity.ERROR:
            notes.append(finding)
        elif not usable:
            notes.append(replace(finding, severity=Severity.WARNING))
        elif not any(sheet.refused.get(file) == finding for file in sheet.refused if file in present):
            refused.append((name, (finding,)))
    for file, row in sheet.by_file.items():
        if file not in present:
            finding = Finding(
                code="CSV_FILE_MISSING",
                severity=Severity.ERROR,
                subject=f"{name} line {row.line}",
                message=f"Line {row.line} names {row.file!r}, which is not in the bag.",
            )
            refused.append((name, (finding,)))
    return tuple(refused)


def merged_row(given: Row | None, found: Row | None) -> Row | None:
    """What the sheet given with the command says stands above what a bag says."""
    if given is None or found is None:
        return given or found
    return replace(
        given, item_id=given.item_id or found.item_id, description=merged(given.description, found.description)
    )


def _note(code: str, subject: str, message: str, severity: Severity = Severity.INFO) -> Finding:
    return Finding(code=code, severity=severity, subject=subject, message=message)
