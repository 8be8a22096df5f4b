"""`export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from archive_restore.cli.output import Session, printable
from archive_restore.errors import UsageError

if TYPE_CHECKING:
    from archive_restore.flows.export import Exported
    from archive_restore.flows.packages import PackageSettings, Packed

_PACKAGES = ("bag", "ocfl", "mets", "iiif")
_KINDS = ("master", "restoration", "enhancement", "colorization", "animation")


@click.command("export")
@click.argument("refs", nargs=-1, metavar="[REF]...")
@click.option("--as", "form", required=True, type=click.Choice(["access", *_PACKAGES]), help="What to make; see below.")
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
@click.option(
    "--approved-only", is_flag=True, help="Leave out derivatives that were not approved: see `archive-restore review`."
)
@click.option("--rejected-too", is_flag=True, help="With --as access: copy even what a review rejected.")
@click.option(
    "--profile", metavar="FILE", type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A BagIt Profile (JSON) that every bag has to meet.",
)  # fmt: skip
@click.option(
    "--bag-info", "info", multiple=True, metavar="LABEL=TEXT", help="An element of every bag-info.txt; may be repeated."
)
@click.option(
    "--base-uri",
    default="",
    metavar="URI",
    help="With --as iiif: address on the web that --to will have; http://localhost:8000 where it is not given.",
)
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
    approved_only: bool,
    rejected_too: bool,
    profile: Path | None,
    info: tuple[str, ...],
    base_uri: str,
) -> int:
    """Copy pictures or whole items out of the archive, with their credentials, their records and their words.

    `--as access` makes JPEG files to be shown. Stories get a caption band outside the picture that says what they are.
    Clips go out as they are stored, with their label in every frame, and are not encoded again.
    Content credentials with the whole history lie inside each file; disclosure.txt, .csv and .json beside them say what
    was done.

    The other forms make one package an item: `bag` a bag (BagIt 1.0), `ocfl` its OCFL objects in a storage root of
    their own, `mets` its files with one METS document, `iiif` a manifest and tiles for viewers on the web. A
    restoration brings its master along. With --all or --query whole items go; with --kind, the newest of that kind.
    Record and stories never share a package. Each one is read back and checked. The log says what left.
    """
    if form in _PACKAGES:
        if quality != 92 or srgb or no_label or reason or rejected_too:
            words = "--quality, --srgb, --no-label, --reason and --rejected-too"
            raise UsageError(f"{words} go with --as access", hint="Leave them out")
        from archive_restore.flows.packages import PackageSettings

        return _packages(
            session, refs, form, to, everything, query, kind,
            PackageSettings(
                with_stories=with_stories, approved_only=approved_only, profile=profile, info=_elements(info),
                base_uri=base_uri,
            ),
        )  # fmt: skip
    if profile is not None or info:
        raise UsageError("--profile and --bag-info do not go with --as access", hint="They go with --as bag")
    if base_uri:
        raise UsageError("--base-uri does not go with --as access", hint="It goes with --as iiif")
    from archive_restore.flows.access_copy import AccessSettings
    from archive_restore.flows.export import choose_exports, export_access

    settings = AccessSettings(
        quality=quality, srgb=srgb, captioned=not no_label, reason=reason, with_stories=with_stories,
        approved_only=approved_only, rejected_too=rejected_too,
    )  # fmt: skip
    with session.open(write=True) as archive:
        chosen = choose_exports(archive, refs, everything=everything, query=query, kind=kind)
        with session.progress(len(chosen), "export") as bar:
            export = export_access(archive, chosen, to, settings, bar.step)
    session.result(
        {
            "exported": [as_json(done) for done in export.made],
            "unchanged": [as_json(done) for done in export.unchanged],
            "failed": [{"ref": ref, "error": error} for ref, error in export.failed],
            "left_out": [{"ref": ref, "reason": reason} for ref, reason in export.left_out],
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
    for ref, why in export.left_out:
        session.say(f"{printable(ref)} stays in the archive: {printable(why)}")
    for path in export.disclosures:
        session.say(f"what is said with them: {printable(str(path))}")
    for ref, problem in export.failed:
        click.echo(f"failed {printable(ref)}: {printable(problem)}", err=True)
    if export.failed:
        click.echo("what is done stays: give the same command again once that is mended", err=True)
    return 1 if export.failed else 0


def _elements(texts: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    pairs = [text.partition("=") for text in texts]
    wrong = [label for label, sign, _ in pairs if not sign]
    if wrong:
        raise UsageError(f"{wrong[0]!r} is not LABEL=TEXT", hint="For instance 'Contact-Name=A. Person'")
    return tuple((label, text) for label, _, text in pairs)


def _packages(
    session: Session,
    refs: tuple[str, ...],
    form: str,
    to: Path,
    everything: bool,
    query: str | None,
    kind: str | None,
    settings: PackageSettings,
) -> int:
    from archive_restore.flows.packages import choose_packages, export_packages

    with session.open(write=True) as archive:
        chosen = choose_packages(
            archive, refs, everything=everything, query=query, kind=kind, with_stories=settings.with_stories
        )
        with session.progress(len({ref.item_id for ref in chosen}), "export") as bar:
            packing = export_packages(archive, chosen, to, form, settings, bar.step)
    session.result(
        {
            "exported": [package_as_json(done) for done in packing.made],
            "unchanged": [package_as_json(done) for done in packing.unchanged],
            "failed": [{"ref": ref, "error": error} for ref, error in packing.failed],
            "left_out": [{"ref": ref, "reason": reason} for ref, reason in packing.left_out],
        }
    )
    for done in packing.made:
        told = f"{done.files} files, {done.size} bytes  {done.seconds:.1f} s"
        session.say(f"{', '.join(done.refs)}  {printable(str(done.path))}  {told}")
    for done in packing.unchanged:
        session.say(f"{done.name} lies in {printable(str(done.path))} already")
    for ref, why in packing.left_out:
        session.say(f"{printable(ref)} stays in the archive: {printable(why)}")
    for ref, problem in packing.failed:
        click.echo(f"failed {printable(ref)}: {printable(problem)}", err=True)
    if packing.failed:
        click.echo("what is done stays: give the same command again once that is mended", err=True)
    return 1 if packing.failed else 0


def package_as_json(done: Packed) -> dict[str, object]:
    """The stable JSON shape of one package."""
    return {
        "name": done.name,
        "side": done.side,
        "refs": done.refs,
        "path": str(done.path),
        "files": done.files,
        "size": done.size,
        "seal": done.seal,
        "seconds": round(done.seconds, 3),
    }


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
        "clip": copy.clip,
        "review": copy.review,
        "seconds": round(done.seconds, 3),
    }
