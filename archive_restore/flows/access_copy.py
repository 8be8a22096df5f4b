"""One access copy: a stored picture as JPEG with its credentials, made and checked in a working directory.

The picture is reduced to 8 bits once, here; every claim about the copy is measured on what was really encoded. Nothing
stored is touched, and nothing is published here: see flows.export.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from archive_restore.core.access_claims import public_description, shown_source_type
from archive_restore.core.disclosure import AnyDerivation, caption_of
from archive_restore.core.labels import plain_text
from archive_restore.core.refs import AnyRef
from archive_restore.core.synthesis_map import PixelDigest
from archive_restore.errors import PictureUnreadable, SelfCheckFailed, UsageError
from archive_restore.flows.commit import load_record, stored_files
from archive_restore.flows.render import MAP_PNG
from archive_restore.flows.review import review_state
from archive_restore.flows.story_render import Room, StorySourceFile, load_source
from archive_restore.imaging.access import ErrorMeter, eight_bits, sheet_place, shown_samples, shown_size, stored_band
from archive_restore.imaging.engine import OVERVIEW_EDGE, bands, overview
from archive_restore.imaging.reduce import PictureReducer
from archive_restore.ports import AccessMetadata, Archive, ColourSpace, Lineage, Overview, Samples
from archive_restore.records.access import AccessCopy, Caption, EncodingError
from archive_restore.records.findings import has_errors
from archive_restore.records.imagery import PictureFacts, Region, SampleRole
from archive_restore.records.objects import Master, MasterRef
from archive_restore.records.stories import StoryDerivation

QUALITY = 92
JPEG = "image/jpeg"
_ROWS = 256
_GRAY = (SampleRole.GRAY,)
_RGB = (SampleRole.RED, SampleRole.GREEN, SampleRole.BLUE)


@dataclass(frozen=True, kw_only=True)
class AccessSettings:
    """How access copies are made."""

    quality: int = QUALITY
    srgb: bool = False
    """Convert to sRGB; otherwise the profile is carried along and code values stay what they mean."""
    captioned: bool = True
    """Put the caption band on stories."""
    reason: str = ""
    """Why not, where not."""
    with_stories: bool = False
    """Allow the record and stories in one export, in two folders."""
    approved_only: bool = False
    """Leave out derivatives that were not approved."""
    rejected_too: bool = False
    """Copy even what was rejected."""


def make_copy(
    archive: Archive, ref: AnyRef, name: str, settings: AccessSettings, work: Path
) -> tuple[AccessCopy, Path]:
    """Make a signed and checked copy called `name` in `work`; what is said of it, and where it lies.

    Raises ReferenceUnknown, PictureUnreadable, UsageError, ConfigurationInvalid, CredentialsFailed, KeysUnusable,
    SelfCheckFailed, StorageFailed.
    """
    source = load_source(archive, ref)
    if not shown_samples(source.facts.roles):
        raise PictureUnreadable(f"{ref} is neither gray nor RGB", hint="Export gray and RGB pictures; convert others")
    chain = chain_of(archive, ref)
    map_path = stored_files(archive, ref)[MAP_PNG].path if chain else None
    caption = _caption(archive, chain, settings)
    sheet, place, stored, pixels = _sheet(archive, source, caption.text, settings.srgb)
    if source.material.pixels_sha256 and source.material.pixels_sha256 != stored:
        hint = f"Run: archive-restore verify {ref}"
        raise SelfCheckFailed(f"{ref} has other samples than its record says", hint=hint)
    source_type, made = _source_type(source.master, chain), archive.clock.now()
    description = public_description(source.master.description, caption.text)
    unsigned, signed = work / "unsigned.jpg", work / name
    archive.access.write(
        unsigned,
        sheet,
        quality=settings.quality,
        metadata=AccessMetadata(
            source=source.path,
            facts=source.facts,
            srgb=settings.srgb,
            lineage=Lineage(
                ref=str(ref),
                parent_ref=str(ref),
                parent_sha256=source.material.sha256,
                digital_source_type=source_type,
                software=archive.agent,
                when=made,
                history=(("converted", f"access copy, JPEG quality {settings.quality}"),),
                parent_name=source.path.name,
                description=description,
            ),
            credit=archive.settings.organization,
        ),
    )
    error, decoded = _decoded(archive, unsigned, sheet, place)
    shown = source.facts.roles
    copy = AccessCopy(
        ref=str(ref),
        name=name,
        source=replace(source.material, pixels_sha256=stored),
        width=sheet.shape[1],
        height=sheet.shape[0],
        picture=place,
        orientation=source.facts.orientation,
        quality=settings.quality,
        colour="sRGB" if settings.srgb or not source.facts.icc_sha256 else source.facts.icc_description or "unnamed",
        left_out=tuple(role.value for i, role in enumerate(shown) if i not in shown_samples(shown)),
        pixels_sha256=pixels,
        encoding=error,
        caption=caption,
        digital_source_type=source_type,
        map=chain[-1].map if chain else None,
        made=made,
        review=review_state(archive, ref) if chain else None,
    )
    archive.credentials.sign_access(
        copy, description, credit=archive.settings.organization, unsigned=unsigned, out=signed, parent=source.path,
        parent_sidecar=source.sidecar, map_png=map_path, seen=picture_seen(sheet, source.facts.orientation),
    )  # fmt: skip
    _check(archive, copy, signed, sheet, decoded)
    return copy, signed


def chain_of(archive: Archive, ref: AnyRef) -> tuple[AnyDerivation, ...]:
    """The derivations from the master to what lies under a reference, in this order."""
    found: list[AnyDerivation] = []
    seen: set[str] = set()
    while not isinstance(ref, MasterRef) and str(ref) not in seen:
        seen.add(str(ref))  # a forged record must not lead round in circles
        record = load_record(archive, ref)
        if isinstance(record, Master):
            break
        found.append(record)
        ref = record.parent
    return tuple(reversed(found))


def _caption(archive: Archive, chain: Sequence[AnyDerivation], settings: AccessSettings) -> Caption:
    if not chain or not isinstance(chain[-1], StoryDerivation):
        return Caption(text="")
    if not settings.captioned:
        return Caption(text="", left_out=plain_text(settings.reason, 500))
    return Caption(text=caption_of(chain, archive.settings.labels))


def _source_type(master: Master, chain: Sequence[AnyDerivation]) -> str:
    made = [run.digital_source_type for record in chain for run in record.steps]
    digitized = master.description.source_type
    return shown_source_type(made, digitized.value if digitized else "")


def _sheet(archive: Archive, source: StorySourceFile, caption: str, srgb: bool) -> tuple[Samples, Region, str, str]:
    """The copy before it is encoded, uint8 (h, w, 1 or 3), large ones in a file.

    With it: where the picture lies, and the digests of the stored samples and of the picture's 8-bit ones.
    """
    facts, position = source.facts, archive.settings.labels.style.position
    tall, wide = shown_size(facts.height, facts.width, facts.orientation)
    band = archive.access.band(wide, tall, caption) if caption else np.zeros((0, 0, 3), np.uint8)
    colours = len(shown_samples(facts.roles))
    shape = (band.shape[0], band.shape[1])
    size, place, words = sheet_place(facts.height, facts.width, shape, facts.orientation, position)
    sheet = Room(archive.work).new((*size, colours), np.uint8)
    if caption:
        # The ground of the band also stands beside a picture that is narrower than it.
        turned = _in_colours(stored_band(band, facts.orientation), colours)
        sheet[:] = turned[0, 0]
        sheet[words.top : words.bottom, words.left : words.right] = turned
    space = _space(archive, source) if srgb else None
    of_stored, of_pixels = PixelDigest(), PixelDigest()
    with archive.pictures.open(source.path, facts) as opened:
        whole = 0.0 if opened.dtype.kind == "f" else float(np.iinfo(opened.dtype).max)
        white = whole or overview(opened).white
        for top, bottom in bands(facts.height, _ROWS):
            rows = opened.read(Region(top=top, left=0, bottom=bottom, right=facts.width))
            of_stored.update(rows)
            reduced = eight_bits(rows, facts.roles, white, space)
            of_pixels.update(reduced)
            sheet[place.top + top : place.top + bottom, place.left : place.right] = reduced
    return sheet, place, of_stored.hexdigest(), of_pixels.hexdigest()


def _in_colours(band: Samples, colours: int) -> Samples:
    if colours == 3:
        return band
    weighed = band.astype(np.float64) @ np.array([0.2126, 0.7152, 0.0722])
    return np.asarray(np.rint(weighed)[:, :, None], np.uint8)


def _space(archive: Archive, source: StorySourceFile) -> ColourSpace:
    space = archive.pictures.colour_space(source.path, source.facts)
    if source.facts.icc_sha256 and space.name.endswith("read as sRGB"):
        raise UsageError(
            f"the ICC profile of {source.ref} is of a kind that is not converted here",
            hint="Leave out --srgb: the profile is carried along as it is",
        )
    return space


def _decoded(archive: Archive, path: Path, sheet: Samples, place: Region) -> tuple[EncodingError, str]:
    """Decode a copy: how far its picture lies from what was encoded, and the digest of all its samples."""
    meter, digest = ErrorMeter(), PixelDigest()
    columns = slice(place.left, place.right)
    with archive.pictures.open(path) as opened:
        _same_frame(path, opened.facts, sheet)
        for top, bottom in bands(sheet.shape[0], _ROWS):
            rows = opened.read(Region(top=top, left=0, bottom=bottom, right=sheet.shape[1]))
            digest.update(rows)
            first, last = max(top, place.top), min(bottom, place.bottom)
            if first < last:
                meter.add(sheet[first:last, columns], rows[first - top : last - top, columns])
    return meter.result(), digest.hexdigest()


def _same_frame(path: Path, facts: PictureFacts, sheet: Samples) -> None:
    if (facts.height, facts.width, facts.samples) != sheet.shape:
        raise SelfCheckFailed(f"{path.name!r} has another size than was encoded", hint="Please report this")


def picture_seen(sheet: Samples, orientation: int) -> Overview:
    """A picture as it leaves, uint8 (h, w, 1 or 3), reduced."""
    height, width, colours = sheet.shape
    facts = PictureFacts(
        width=width, height=height, samples=colours, bits=8, sample_format="uint",
        roles=_GRAY if colours == 1 else _RGB, photometric="minisblack" if colours == 1 else "rgb",
        compression="jpeg", layout="whole", pages=1, orientation=orientation,
    )  # fmt: skip
    reducer = PictureReducer(width, height, colours, OVERVIEW_EDGE)
    for top, bottom in bands(height, _ROWS):
        reducer.add(sheet[top:bottom])
    reduced = reducer.result()
    return Overview(facts=facts, reduced=reduced, scale=width / reduced.shape[1], white=255.0, samples=())


def _check(archive: Archive, copy: AccessCopy, signed: Path, sheet: Samples, decoded: str) -> None:
    """Re-open a signed copy: credentials trusted, pixels those that were encoded, map inside (promise P5)."""
    found = archive.credentials.read(signed, JPEG, None, copy.ref)
    if found.state != "trusted" or has_errors(found.findings):
        problem = found.findings[0].message if found.findings else f"they are {found.state}"
        raise SelfCheckFailed(f"the credentials of {copy.name!r} do not verify: {problem}")
    if (found.map_png is None) != (copy.map is None):
        raise SelfCheckFailed(f"{copy.name!r} lost its synthesis map when it was signed", hint="Please report this")
    error, digest = _decoded(archive, signed, sheet, copy.picture)
    if digest != decoded or error != copy.encoding:
        raise SelfCheckFailed(f"{copy.name!r} decodes otherwise than before it was signed", hint="Check the disk")
