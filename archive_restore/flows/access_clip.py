"""One access copy of a clip: the stored MP4 with credentials of its own and XMP, made and checked in a work folder.

No frame and no sound is encoded again: the copy decodes to what the stored clip decodes to. The label is part of every
frame, so it cannot be left out. Nothing stored is touched, and nothing is published here: see flows.export.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from archive_restore.core.access_claims import PARENT, public_description, shown_source_type
from archive_restore.core.canonical import from_plain, to_plain
from archive_restore.core.clip_sheet import SHEET_CSV
from archive_restore.core.disclosure import caption_of
from archive_restore.core.labels import plain_text
from archive_restore.core.synthesis_map import PixelDigest
from archive_restore.errors import CatalogDamaged, PictureUnreadable, SelfCheckFailed, UsageError
from archive_restore.flows.access_copy import AccessSettings, chain_of, picture_seen
from archive_restore.flows.animate import FRAMES_RECORD, MAP_VIDEO
from archive_restore.flows.commit import load_record, sidecar_name, stored_files
from archive_restore.flows.render import MAP_PNG, load_master
from archive_restore.flows.review import review_state
from archive_restore.imaging.engine import bands
from archive_restore.ports import AccessMetadata, Archive, Lineage, StoredFile
from archive_restore.records.access import AccessCopy, Caption, ClipCopy, EncodingError
from archive_restore.records.findings import has_errors
from archive_restore.records.imagery import PictureFacts, Region, SampleRole
from archive_restore.records.provenance import Material
from archive_restore.records.stories import StoryDerivation, StoryRef

MP4 = "video/mp4"
_BT709 = "BT.709"
_ROWS = 256


def make_clip(
    archive: Archive, ref: StoryRef, name: str, settings: AccessSettings, work: Path
) -> tuple[AccessCopy, Path]:
    """Make a signed and checked copy called `name` in `work`; what is said of it, and where it lies.

    Raises ReferenceUnknown, CatalogDamaged, PictureUnreadable, UsageError, CredentialsFailed, KeysUnusable,
    SelfCheckFailed, StorageFailed.
    """
    if not settings.captioned:
        raise UsageError(
            f"the label of {ref} is part of every frame and cannot be left out",
            hint="Leave out --no-label, or export the still it was made from",
        )
    derivation, files = load_record(archive, ref), stored_files(archive, ref)
    if not isinstance(derivation, StoryDerivation) or derivation.products[0].mime != MP4:
        raise CatalogDamaged(f"{ref} holds no clip", hint=f"Run: archive-restore verify {ref}")
    picture = derivation.products[0]
    missing = [needed for needed in (picture.name, MAP_PNG, MAP_VIDEO, FRAMES_RECORD) if needed not in files]
    if missing:
        raise CatalogDamaged(f"{ref} has no {missing[0]}", hint=f"Run: archive-restore verify {ref}")
    stored = files[picture.name]
    with stored.path.open("rb") as file:
        if hashlib.file_digest(file, "sha512").hexdigest() != stored.sha512:
            raise SelfCheckFailed(f"{ref} has other bytes than were stored", hint=f"Run: archive-restore verify {ref}")
    master, _ = load_master(archive, ref.item_id)
    chain = chain_of(archive, ref)
    caption = _label(files) or caption_of(chain, archive.settings.labels)
    sidecar = files.get(sidecar_name(picture.name))
    digitized = master.description.source_type
    source_type = shown_source_type(
        [run.digital_source_type for record in chain for run in record.steps], digitized.value if digitized else ""
    )
    first, decoded, count = _decoded(archive, stored.path)
    sound = archive.videos.sound(stored.path)
    if count == 0 or first.shape[:2] != (picture.height, picture.width):
        raise SelfCheckFailed(f"{ref} decodes to other frames than its record says", hint="Check the disk")
    made, description = archive.clock.now(), public_description(master.description, caption, MP4)
    unsigned, signed = work / "unsigned.mp4", work / name
    archive.access.write_clip(
        unsigned,
        AccessMetadata(
            source=stored.path,
            facts=_facts(picture.height, picture.width),
            srgb=True,
            lineage=Lineage(
                ref=str(ref),
                parent_ref=str(ref),
                parent_sha256=stored.sha256,
                digital_source_type=source_type,
                software=archive.agent,
                when=made,
                history=(("copied", "access copy, frames and sound as they are stored"),),
                parent_name=picture.name,
                description=description,
            ),
            credit=archive.settings.organization,
        ),
    )
    maps = next(product for product in derivation.products if product.name == MAP_VIDEO)
    copy = AccessCopy(
        ref=str(ref),
        name=name,
        source=Material(
            role=PARENT, ref=str(ref), mime=MP4, size=stored.path.stat().st_size, sha512=stored.sha512,
            sha256=stored.sha256, pixels_sha256=picture.pixels_sha256,
        ),
        width=picture.width,
        height=picture.height,
        picture=Region(top=0, left=0, bottom=picture.height, right=picture.width),
        orientation=1,
        quality=None,
        colour=_BT709,
        left_out=(),
        pixels_sha256=picture.pixels_sha256,
        encoding=_error(derivation),
        caption=Caption(text=caption),
        digital_source_type=source_type,
        map=derivation.map,
        made=made,
        review=review_state(archive, ref),
        clip=ClipCopy(
            frames=count,
            rate=_rate(files[FRAMES_RECORD].path),
            sound=sound is not None,
            decoded_sha256=decoded,
            maps=MAP_VIDEO,
            maps_sha256=files[MAP_VIDEO].sha256,
            maps_pixels_sha256=maps.pixels_sha256,
        ),
    )  # fmt: skip
    archive.credentials.sign_access(
        copy, description, credit=archive.settings.organization, unsigned=unsigned, out=signed, parent=stored.path,
        parent_sidecar=sidecar.path if sidecar else None, map_png=files[MAP_PNG].path, seen=picture_seen(first, 1),
    )  # fmt: skip
    _check(archive, copy, signed, sound)
    return copy, signed


def _check(archive: Archive, copy: AccessCopy, signed: Path, sound: npt.NDArray[np.float64] | None) -> None:
    """Re-open a signed copy: credentials trusted, map inside, frames and sound of the stored clip (promise P5)."""
    found = archive.credentials.read(signed, MP4, None, copy.ref)
    if found.state != "trusted" or has_errors(found.findings):
        problem = found.findings[0].message if found.findings else f"they are {found.state}"
        raise SelfCheckFailed(f"the credentials of {copy.name!r} do not verify: {problem}")
    if found.map_png is None:
        raise SelfCheckFailed(f"{copy.name!r} lost its synthesis map when it was signed", hint="Please report this")
    _, decoded, count = _decoded(archive, signed)
    heard = archive.videos.sound(signed)
    assert copy.clip is not None
    same_sound = sound is heard is None or (sound is not None and heard is not None and np.array_equal(sound, heard))
    if (decoded, count) != (copy.clip.decoded_sha256, copy.clip.frames) or not same_sound:
        raise SelfCheckFailed(f"{copy.name!r} decodes otherwise than the stored clip", hint="Check the disk")


def _decoded(archive: Archive, path: Path) -> tuple[npt.NDArray[np.uint8], str, int]:
    """The first frame, the digest of all, and how many there are."""
    first, digest, count = np.zeros((0, 0, 3), np.uint8), PixelDigest(), 0
    for frame in archive.videos.frames(path):
        if count == 0:
            first = frame
        for top, bottom in bands(len(frame), _ROWS):
            digest.update(frame[top:bottom])
        count += 1
    return first, digest.hexdigest(), count


def _error(derivation: StoryDerivation) -> EncodingError:
    """How far the clip lies from what was encoded, as it was measured when it was made."""
    said = derivation.steps[0].survey.get("encoding")
    if not isinstance(said, Mapping):
        raise CatalogDamaged(f"{derivation.ref} does not say how near its clip is", hint="Make it again")
    return from_plain(EncodingError, to_plain(said))


def _rate(record: Path) -> int:
    try:
        return int(json.loads(record.read_bytes())["rate"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as exc:
        raise CatalogDamaged(f"{record.name} cannot be read: {exc}") from exc


def _label(files: Mapping[str, StoredFile]) -> str:
    """The label as it was drawn into the frames, from the sheet beside them; empty where there is no such sheet."""
    sheet = files.get(SHEET_CSV)
    if sheet is None:
        return ""
    try:
        with sheet.path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, ValueError, csv.Error) as exc:
        raise PictureUnreadable(f"{SHEET_CSV} cannot be read: {exc}") from exc
    return next((plain_text(str(row["says"])) for row in rows if row.get("what") == "label"), "")


def _facts(height: int, width: int) -> PictureFacts:
    """Of one frame."""
    return PictureFacts(
        width=width, height=height, samples=3, bits=8, sample_format="uint",
        roles=(SampleRole.RED, SampleRole.GREEN, SampleRole.BLUE), photometric="rgb", compression="h264",
        layout="whole", pages=1, orientation=1,
    )  # fmt: skip
