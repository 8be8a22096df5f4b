"""Writes one package as OCFL objects in a storage root of their own: OCFL 1.1, layout 0003, as in the archive.

An object is copied as it is, up to the newest version that was asked for: that version's own inventory becomes the root
inventory (OCFL 1.1 §3.6), so nothing is said anew. Every file is read once, hashed and compared while it is copied.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from archive_restore.adapters import durable, ocfl_validate
from archive_restore.adapters import ocfl_layout as layout
from archive_restore.adapters.ocfl import declare_root
from archive_restore.core.bag_text import plain
from archive_restore.core.package_words import ABOUT, sentences
from archive_restore.core.refs import object_kind
from archive_restore.errors import ReferenceUnknown, SelfCheckFailed, SourceUnreadable, StorageFailed
from archive_restore.ports import Exporter
from archive_restore.records.findings import Finding
from archive_restore.records.packages import Package, PackedVersion


class OcflExporter(Exporter):
    """`--as ocfl`; see ports.Exporter."""

    name = "ocfl"
    seal = "**/inventory.json"
    takes_earlier_versions = True

    def __init__(self, *, threads: int = 1) -> None:
        """Files are copied by `threads`."""
        self._threads = threads

    def write(self, package: Package, to: Path) -> None:
        """See ports.Exporter; `to` becomes a storage root, with a file that tells of itself (OCFL 1.1 §4)."""
        declare_root(to)
        about = "".join(f"{plain(line)}\n" for line in sentences(package))
        durable.write_hashed(to / ABOUT, about.encode(), mode=durable.WRITABLE)
        newest: dict[str, PackedVersion] = {}
        for version in package.versions:
            object_id = version.ref.partition("@")[0]
            known = newest.get(object_id)
            if known is None or version.record.ref.version > known.record.ref.version:
                newest[object_id] = version
        for object_id, version in newest.items():
            self._copy(object_id, version, to / layout.object_path(object_id))

    def check(self, to: Path) -> Iterator[Finding]:
        """See ports.Exporter and ocfl_validate; a root of the archive would not have the file that tells of itself."""
        findings = ocfl_validate.validate(to, "exported", _is_object_id, None, fixity=True)
        return (finding for finding in findings if finding.subject != f"exported: {ABOUT}")

    def _copy(self, object_id: str, version: PackedVersion, target: Path) -> None:
        source, head = _object_of(version), version.record.ref.version
        # The inventory of the newest version asked for: signed by its sidecar, and compared with what the root says.
        data, inventory = _inventory(source, f"v{head}", object_id)
        contents = sorted((path, digest) for digest, paths in inventory["manifest"].items() for path in paths)
        folders = {target, *((target / path).parent for path, _ in contents)}
        for folder in sorted(folders):
            with durable.storage_errors("creating", folder):
                folder.mkdir(parents=True, exist_ok=True)

        def copied(path: str, digest: str) -> None:
            found = durable.copy_hashed(source / path, target / path, mode=durable.WRITABLE)
            if found.sha512 != digest:
                raise SelfCheckFailed(
                    f"{path!r} of {object_id} has other bytes than the archive stored",
                    hint=f"Run: archive-restore verify {version.ref}",
                )

        durable.each(lambda pair: copied(*pair), contents, self._threads)
        for number in range(1, head + 1):
            for name in (layout.INVENTORY, layout.SIDECAR):
                place = f"v{number}/{name}"
                durable.copy_hashed(source / place, target / place, mode=durable.WRITABLE)
        durable.write_hashed(target / layout.INVENTORY, data, mode=durable.WRITABLE)
        durable.copy_hashed(source / f"v{head}" / layout.SIDECAR, target / layout.SIDECAR, mode=durable.WRITABLE)
        declaration = f"{layout.OBJECT_DECLARATION[2:]}\n".encode()
        durable.write_hashed(target / layout.OBJECT_DECLARATION, declaration, mode=durable.WRITABLE)


def _object_of(version: PackedVersion) -> Path:
    """Directory of the object that a version's files lie in."""
    for file in version.files:
        for above in file.path.parents:
            if (above / layout.OBJECT_DECLARATION).is_file():
                return above
    raise SourceUnreadable(f"{version.ref} lies in no OCFL object", hint=f"Run: archive-restore verify {version.ref}")


def _inventory(source: Path, version: str, object_id: str) -> tuple[bytes, dict[str, Any]]:
    """The inventory that a version had when it was the newest: its bytes, and what they say."""
    try:
        inventory = layout.read_inventory(source / version)
        data = (source / version / layout.INVENTORY).read_bytes()
    except (StorageFailed, OSError) as exc:
        raise SourceUnreadable(str(exc)) from exc
    if inventory["id"] != object_id or inventory["head"] != version:
        raise SourceUnreadable(f"the inventory of {object_id}@{version[1:]} is another's", hint="Run `verify --all`")
    for path in (path for paths in inventory["manifest"].values() for path in paths):
        if layout.path_problem(path):
            raise SourceUnreadable(f"{object_id!r} names the unsafe path {path!r}", hint="Run `verify --all`")
    return data, inventory


def _is_object_id(object_id: str) -> bool:
    try:
        object_kind(object_id)
    except ReferenceUnknown:
        return False
    return True
