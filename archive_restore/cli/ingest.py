"""`ingest`."""

from __future__ import annotations

from pathlib import Path

import click

from archive_restore.cli.output import Session, printable


@click.command("ingest")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--metadata", metavar="CSV", type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Dublin Core columns plus file, item_id, rights, source_type (negativeFilm, positiveFilm, print).",
)  # fmt: skip
@click.option("--keep-unreadable", is_flag=True, help="Keep the bytes of files whose pixels cannot be understood.")
@click.pass_obj
def ingest_command(session: Session, paths: tuple[Path, ...], metadata: Path | None, keep_unreadable: bool) -> int:
    """Take files, folders or bags in as masters.

    Each file is copied, hashed, checked, described, signed and stored; what cannot be understood goes to
    quarantine with its findings and the rest goes on. A folder with a bagit.txt is a bag (RFC 8493): it is
    validated first, and comes in whole or not at all. Exit code 1 when any file was refused.
    """
    from archive_restore.core.rules import read_sheet
    from archive_restore.flows.ingest import find_files, ingest

    sheet = read_sheet(metadata.read_bytes(), metadata.name) if metadata else None
    with session.open(write=True) as archive:
        candidates = list(find_files(paths, skip=[metadata] if metadata else [], archive=archive.root))
        with session.progress(len(candidates), "ingest") as bar:
            result = ingest(
                archive,
                candidates,
                sheet=sheet,
                sheet_name=metadata.name if metadata else "",
                keep_unreadable=keep_unreadable,
                progress=lambda path, size: bar.step(path, size),
            )
    session.result(
        {
            "accepted": [
                {
                    "item_id": master.ref.item_id,
                    "path": master.original_path,
                    "sha256": master.file.sha256,
                    "sha512": master.file.sha512,
                    "puid": master.file.puid,
                    "mime": master.file.mime,
                    "width": master.picture.width if master.picture else None,
                    "height": master.picture.height if master.picture else None,
                    "findings": master.findings,
                }
                for master in result.accepted
            ],
            "duplicates": result.duplicates,
            "quarantined": result.quarantined,
            "notes": result.notes,
        }
    )
    for master in result.accepted:
        size = (
            f"{master.picture.width}×{master.picture.height}, {master.picture.bits} bit" if master.picture else "bytes"
        )
        session.say(f"{master.ref}  {printable(master.original_path)}  ({master.file.format_name}; {size})")
        session.findings(master.findings)
    for duplicate in result.duplicates:
        session.say(f"{printable(duplicate.path)} is already {duplicate.item_id}")
    session.findings(result.notes)
    for refused in result.quarantined:
        session.findings(refused.findings)
    session.say(
        f"{len(result.accepted)} accepted, {len(result.duplicates)} already here, {len(result.quarantined)} refused"
    )
    return 1 if result.quarantined else 0
