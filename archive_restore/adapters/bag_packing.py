"""A bag as one file and back (RFC 8493 §4): tar or zip, uncompressed, with the bag as its only folder.

Nothing of who packed it on which machine goes along. Unpacks only what was packed here.
"""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

from archive_restore.adapters.durable import storage_errors


def pack(bag: Path, target: Path) -> None:
    """Write the folder `bag` into the new file `target`, a `.tar` or `.zip`; raise OSError."""
    if target.suffix == ".tar":
        with tarfile.open(target, "x", format=tarfile.PAX_FORMAT) as tar:
            tar.add(bag, arcname=bag.name, filter=_anonymous)
        return
    with zipfile.ZipFile(target, "x") as packed:
        for path in sorted(bag.rglob("*")):
            packed.write(path, path.relative_to(bag.parent))


def unpack(source: Path, to: Path) -> str:
    """Unpack a file that `pack` wrote; say what is wrong with it, an empty string where nothing is."""
    try:
        with storage_errors("unpacking", source):
            if source.suffix == ".tar":
                with tarfile.open(source, "r:") as tar:
                    tar.extractall(to, filter="data")
            else:
                with zipfile.ZipFile(source) as packed:
                    packed.extractall(to)  # noqa: S202 - zipfile lets no path lead out of the folder
    except (tarfile.TarError, zipfile.BadZipFile, EOFError) as exc:
        return str(exc) or "it ends too early"
    return ""


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry
