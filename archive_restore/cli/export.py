"""`export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from archive_restore.cli.output import Session, printable
from archive_restore.errors import UsageError

if TYPE_CHECKING:
    from archive_restore.flows.export import Exported

_LATER = ("bag", "ocfl", "mets", "iiif")
_KINDS = ("master", "restoration", "enhancement", "colorization")


@click.command("export")
@click.argument("refs", nargs=-1, metavar="[REF]...")
@click.option("--as", "form", required=True, type=click.Choice(["access", *_LATER]), help="What to make; see below.")
@click.option(
    "--to", required=True, metavar="DIR", type=click.Path(path_type=Path),
    help="A new or empty folder outside the archive.",
)  # fmt: skip
@click.option("--all", "everything", is_flag=True, help="Every item of the archive; see --kind.")
@click.option("--query", metavar="TEXT", help="The items that `search TEXT` finds; see --kind.")
@click.option("--kind", type=click.Choice(_KINDS), help="With --all and --query: which picture; the master by default.")
@click.option(
    "--quality", default=92, show_default=True, type=click.IntRange(1, 100), help="Of the JPEG encoder; 4:4:4 always."
)
@click.option("--srgb", is_flag=True, help="Convert to sRGB; otherwise the picture's own profile goes along.")
@click.option("--no-label", is_flag=True, help="Leave the caption band off stories, this once; needs --reason.")
@click.option("--reason", default="", metavar="TEXT", help="Why the label is left out; goes into credentials and log.")
@click.option("--with-stories", is_flag=True, help="Allow the record and stories in one export, in two folders.")
@click.pass_obj
def export_command(
    session: Session,
    refs: tuple[str, ...],
    form: str,
    to: Path,
    everything: bool,
    query: str | None,
    kind: str | None,
    quality: int,
    srgb: bool,
    no_label: bool,
    reason: str,
    with_stories: bool,
) -> int:
    """Copy pictures out of the archive, each with its credentials, its map and its words.

    `--as access` makes JPEG files to be shown. Stories get a caption band outside the picture that says what they are.
    Content credentials with the whole history lie inside each file; disclosure.txt, .csv and .json beside them say what
    was done. The log says what left. The other forms come with a later version.
    """
    from archive_restore.flows.access_copy import AccessSettings
    from archive_restore.flows.export import choose_exports, export_access

    if form in _LATER:
        raise UsageError(f"export --as {form} is not made by this version", hint="It makes --as access")
    settings = AccessSettings(
        quality=quality, srgb=srgb, captioned=not no_label, reason=reason, with_stories=with_stories
    )
    with session.open(write=True) as archive:
        chosen = choose_exports(archive, refs, everything=everything, query=query, kind=kind)
        with session.progress(len(chosen), "export") as bar:
            export = export_access(archive, chosen, to, settings, bar.step)
    session.result(
        {
            "exported": [as_json(done) for done in export.made],
            "unchanged": [as_json(done) for done in export.unchanged],
            "failed": [{"ref": ref, "error": error} for ref, error in export.failed],
            "disclosures": [str(path) for path in export.disclosures],
        }
    )
    for done in export.made:
        error = done.copy.encoding
        told = "no loss" if error.psnr is None else f"PSNR {error.psnr} dB, {error.maximum} of 255 at most"
        session.say(f"{done.copy.ref}  {printable(str(done.path))}  {told}  {done.seconds:.1f} s")
        if done.copy.caption.text:
            session.say(f"  label: {printable(done.copy.caption.text)}")
    for done in export.unchanged:
        session.say(f"{done.copy.ref} lies in {printable(str(done.path))} already")
    for path in export.disclosures:
        session.say(f"what is said with them: {printable(str(path))}")
    for ref, problem in export.failed:
        click.echo(f"failed {printable(ref)}: {printable(problem)}", err=True)
    if export.failed:
        click.echo("what is done stays: give the same command again once that is mended", err=True)
    return 1 if export.failed else 0


def as_json(done: Exported) -> dict[str, object]:
    """The stable JSON shape of one copy."""
    copy = done.copy
    return {
        "ref": copy.ref,
        "path": str(done.path),
        "sha256": done.sha256,
        "size": done.size,
        "width": copy.width,
        "height": copy.height,
        "picture": copy.picture,
        "quality": copy.quality,
        "colour": copy.colour,
        "caption": copy.caption.text,
        "label_left_out": copy.caption.left_out,
        "digital_source_type": copy.digital_source_type,
        "encoding": copy.encoding,
        "pixels_sha256": copy.pixels_sha256,
        "seconds": round(done.seconds, 3),
    }
