"""What a package is, in words, for whoever opens it in fifty years."""

from __future__ import annotations

from archive_restore.records.objects import Master
from archive_restore.records.packages import Package, PackedVersion, Side

ABOUT = "about.txt"
"""Name of the file that says it."""


def folder_of(version: PackedVersion) -> str:
    """Folder of a version in the payload: `master`, or its kind and version."""
    return "master" if isinstance(version.record, Master) else version.ref.partition("/")[2]


def sentences(package: Package) -> list[str]:
    """What the package is, for whoever opens it in fifty years."""
    item = package.master.ref.item_id
    names = [folder_of(version) for version in package.versions]
    if package.side is Side.RECORD:
        told = [f"The record of the item {item}: {', '.join(names)}."]
        told.append("The master is the digitized file as it came in; what was made from it never changes it.")
        told.append(
            f"Stories made from it are not part of the record; they lie apart, in {package.companion}."
            if package.companion
            else "Stories made from it are not part of the record and are not in this package."
        )
    else:
        told = [f"Stories made from the item {item}: {', '.join(names)}. They are interpretations, not the record."]
        told.append(
            f"The record lies apart, in {package.companion}."
            if package.companion
            else "The record is not in this package."
        )
    return told
