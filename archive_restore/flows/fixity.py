"""Fixity checks: which versions are due, and the record of what `verify` found (PREMIS event `fixity check`).

Successes travel in groups, one entry of the log for up to a thousand versions; a failure has an entry of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from archive_restore.core.fixity import FIXITY_CHECK, MANY, each_subject, state_digest
from archive_restore.core.refs import AnyRef
from archive_restore.errors import ArchiveRestoreError
from archive_restore.flows.commit import event, exact_ref, tell_later
from archive_restore.flows.verify import Verification, every_version
from archive_restore.flows.vouching import DIGESTS
from archive_restore.ports import Archive
from archive_restore.records.findings import Finding, Severity
from archive_restore.records.provenance import Event

GROUP = 1000
"""Versions an entry: about 100 kB."""


def last_checked(archive: Archive) -> Mapping[str, str]:
    """When each version was last read and found as it was stored, by REF; being stored counts.

    Empty for one whose last check failed: it is due until it has been mended and checked.
    """
    found: dict[str, str] = {}
    for entry in archive.log.entries():
        if entry.event.type in (DIGESTS, FIXITY_CHECK):
            for one in each_subject(entry.event):
                found[one.ref] = one.date_time if one.outcome == "success" else ""
    return found


def due(archive: Archive, days: float) -> list[AnyRef]:
    """Versions, vanished ones too, whose last check is older than that, the longest unchecked first."""
    border = datetime.fromisoformat(archive.clock.now()).astimezone(UTC) - timedelta(days=days)
    limit = border.strftime("%Y-%m-%dT%H:%M:%SZ")
    last = last_checked(archive)
    refs = {str(ref): ref for ref in every_version(archive)}
    refs |= {name: exact_ref(name) for name in last if name not in refs}
    return [refs[name] for name in sorted(refs, key=lambda name: last.get(name, "")) if last.get(name, "") < limit]


def record(
    open_to_write: Callable[[], AbstractContextManager[Archive]], found: Verification
) -> tuple[int, list[Finding]]:
    """Log and index what was found, where the archive can be written to; how many versions, and why none.

    The check itself needed no lock: somebody may be writing, or the archive lie on a medium that cannot be written.
    """
    if not found.checked:
        return 0, []
    try:
        with open_to_write() as archive:
            tell_later(archive, list(_events(archive, found)))
    except ArchiveRestoreError as exc:
        message = f"The log could not be told of these checks: {exc}."
        return 0, [Finding(code="FIXITY_NOT_RECORDED", severity=Severity.WARNING, subject="log", message=message)]
    return len(found.checked), []


def _events(archive: Archive, found: Verification) -> Iterator[Event]:
    problems = _problems(found)
    good = {ref: state_digest(files) for ref, files in found.checked.items() if ref not in problems}
    refs = list(good)
    for start in range(0, len(refs), GROUP):
        group = refs[start : start + GROUP]
        one = len(group) == 1
        told = event(
            archive,
            FIXITY_CHECK,
            group[0] if one else MANY,
            f"{len(group)} version{'' if one else 's'}: every file has the digests of its inventory and of the log",
            {"files": good[group[0]]} if one else {ref: good[ref] for ref in group},
        )
        yield replace(told, date_time=found.started)
    for ref, codes in problems.items():
        told = event(archive, FIXITY_CHECK, ref, f"did not hold: {', '.join(sorted(codes))}")
        yield replace(told, date_time=found.started, outcome="failure")


def _problems(found: Verification) -> Mapping[str, set[str]]:
    """Codes of errors by REF; what is wrong with an object is wrong with all its versions."""
    names: dict[str, list[str]] = {}
    for ref in found.checked:
        names.setdefault(ref, []).append(ref)
        if "@" in ref:
            names.setdefault(ref.partition("@")[0], []).append(ref)
    told: dict[str, set[str]] = {}
    for finding in found.findings:
        if finding.severity is Severity.ERROR and not finding.code.startswith("CATALOG_"):
            for ref in names.get(_named(finding.subject, names), ()):
                told.setdefault(ref, set()).add(finding.code)
    return told


def _named(subject: str, names: Mapping[str, object]) -> str:
    """The longest of these names with which a finding's subject begins: an item's identifier may hold spaces."""
    ends = [place for place, character in enumerate(subject) if character in ": "]
    return next((subject[:end] for end in [len(subject), *reversed(ends)] if subject[:end] in names), "")
