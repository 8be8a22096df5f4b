"""What the audit log vouches for: the digest of every file of every version that was ever stored (promise P7)."""

from __future__ import annotations

from collections.abc import Mapping

from archive_restore.core.refs import AnyRef
from archive_restore.errors import ReferenceUnknown
from archive_restore.flows.commit import exact_ref
from archive_restore.ports import Archive, Vouched
from archive_restore.records.objects import MasterRef

DIGESTS = "message digest calculation"
"""PREMIS event type with which every version is announced to the log."""


def vouched(archive: Archive, size: int | None = None) -> Mapping[str, Vouched]:
    """Names and digests of files by object and version, from the first `size` entries of the log or all.

    Where the log names a file twice the first digest counts. Raise LogDamaged.
    """
    found: dict[str, dict[int, dict[str, str]]] = {}
    for entry in archive.log.entries():
        if size is not None and entry.index >= size:
            break
        if entry.event.type != DIGESTS:
            continue
        try:
            ref = exact_ref(entry.event.ref)
        except ReferenceUnknown:
            continue
        known = found.setdefault(ref.object_id, {}).setdefault(version_of(ref), {})
        for name, digest in entry.event.digests.items():
            known.setdefault(name, digest)
    return found


def version_of(ref: AnyRef) -> int:
    """The OCFL version of what a reference names; a master has one."""
    return 1 if isinstance(ref, MasterRef) else ref.version
