"""A photograph of today beside one of the archive: taken from what was handed in, kept in the story, found again.

It is a part of the clip and never of the record; its pixels are the person's who handed it in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from archive_restore.core.canonical import canonical_bytes
from archive_restore.core.disclosure_words import WORDS
from archive_restore.core.labels import built_in_language, plain_text
from archive_restore.errors import PictureUnreadable, SourceUnreadable, UsageError
from archive_restore.flows.soundtrack import hashed
from archive_restore.flows.story_render import Attachment
from archive_restore.imaging import registration
from archive_restore.imaging.access import eight_bits, shown_samples
from archive_restore.imaging.engine import bands, overview
from archive_restore.imaging.planes import upright
from archive_restore.ports import Archive, Digests, Still
from archive_restore.records.findings import Severity
from archive_restore.records.imagery import Geometry, PictureFacts, Region
from archive_restore.records.objects import Description
from archive_restore.records.provenance import Json

NOW = "now"
"""Role of the photograph of today."""
THEN_VS_NOW = "then-vs-now"
"""Document of what was said of it (schema then-vs-now), and the form of a clip."""
MOST_PIXELS = 120_000_000
_LONGEST_EDGE = 30_000
_SUFFIXES = {"image/jpeg": ".jpg", "image/png": ".png", "image/tiff": ".tif"}
_LONGEST_WHEN = 24  # characters of a date in a frame
_ROWS = 256


@dataclass(frozen=True, kw_only=True)
class NowWish:
    """What a command got."""

    now: Path | None = None
    now_rights: str = ""
    now_year: str = ""


@dataclass(frozen=True, kw_only=True)
class NowTaken:
    """What is added to a story's order."""

    documents: Mapping[str, str] = field(default_factory=dict)
    attachments: tuple[Attachment, ...] = ()


def take_now(archive: Archive, wish: NowWish, form: str) -> NowTaken:
    """Read and check the photograph once. Raise SourceUnreadable where it is none or cannot be shown, UsageError for
    words that do not fit together."""
    if wish.now is None:
        for name in ("now_rights", "now_year"):
            if getattr(wish, name):
                raise UsageError(f"--{name.replace('_', '-')} goes with --now FILE")
        if form == THEN_VS_NOW:
            raise UsageError("then-vs-now wants a photograph of today", hint="Give it with --now FILE")
        return NowTaken()
    if form != THEN_VS_NOW:
        raise UsageError("--now goes with --form then-vs-now")
    digests = hashed(wish.now)
    facts, mime = _facts(archive, wish.now, wish.now.name, digests)
    if facts.width * facts.height > MOST_PIXELS or max(facts.width, facts.height) > _LONGEST_EDGE:
        raise SourceUnreadable(
            f"{wish.now.name!r} has {facts.width}×{facts.height} pixels, more than a clip can use",
            hint=f"Reduce it to {MOST_PIXELS // 1_000_000} million at most",
        )
    _showable(wish.now, facts)
    try:
        with archive.pictures.open(wish.now, facts):
            pass
    except PictureUnreadable as exc:
        raise SourceUnreadable(str(exc)) from exc
    said = {"name": wish.now.name, "rights": wish.now_rights, "year": wish.now_year.strip()}
    problem = archive.check_document(THEN_VS_NOW, said)
    if problem:
        raise UsageError(
            f"what was said of {wish.now.name!r} does not fit schemas/{THEN_VS_NOW}.schema.json: {problem}"
        )
    kept = Attachment(
        role=NOW, path=str(wish.now.resolve()), name=f"{NOW}{_SUFFIXES[mime]}", mime=mime, sha256=digests.sha256
    )
    return NowTaken(documents={THEN_VS_NOW: canonical_bytes(said).decode()}, attachments=(kept,))


def read_now(archive: Archive, path: Path) -> npt.NDArray[np.uint8]:
    """The photograph as it is seen: uint8 (h, w, 3), sRGB, upright. Raise SourceUnreadable."""
    facts, _ = _facts(archive, path, path.name, hashed(path))
    return shown(archive, path, facts)


def found_place(now: npt.NDArray[np.uint8], still: Still, known: Mapping[str, Any]) -> tuple[Geometry | None, Json]:
    """From pixel centres of the still to those of the photograph, and what is said of it; None where it is not found.

    What an earlier run found is taken, so that the same frames come out on other machines.
    """
    if known:
        path = known.get("path")
        rows = None if path is None else tuple(tuple(float(value) for value in row) for row in path)
        return rows, {name: known[name] for name in ("path", "matches", "confidence")}  # type: ignore[return-value]
    found = registration.register(now, still.samples)
    if found is None or found.mirrored:
        return None, {"path": None, "matches": 0, "confidence": 0.0}
    to_now = np.linalg.inv(np.array(found.matrix)).round(9)
    (a, b, c), (d, e, f), last = (tuple(float(value) for value in row) for row in to_now)
    place: Geometry = ((a, b, c), (d, e, f), (last[0], last[1], last[2]))
    return place, {"path": place, "matches": found.matches, "confidence": round(found.confidence, 3)}


def then_and_now(description: Description, year: str, language: str) -> tuple[str, str]:
    """What stands in the corners: with the years, where somebody knows them."""
    words = WORDS[built_in_language(language)]
    dates = (plain_text(description.date, _LONGEST_WHEN), plain_text(year, _LONGEST_WHEN))
    then, now = (
        words[f"{which}_when"].format(when=when) if when else words[which]
        for which, when in zip(("then", "now"), dates, strict=True)
    )
    return then, now


def shown(archive: Archive, path: Path, facts: PictureFacts) -> npt.NDArray[np.uint8]:
    """A picture in 8 bits, sRGB, upright: uint8 (h, w, 3). Raise SourceUnreadable where it is neither gray nor RGB."""
    _showable(path, facts)
    samples = np.zeros((facts.height, facts.width, 3), np.uint8)
    space = archive.pictures.colour_space(path, facts) if facts.icc_sha256 else None
    try:
        with archive.pictures.open(path, facts) as opened:
            white = overview(opened).white
            for top, bottom in bands(facts.height, _ROWS):
                rows = opened.read(Region(top=top, left=0, bottom=bottom, right=facts.width))
                samples[top:bottom] = eight_bits(rows, facts.roles, white, space)
    except PictureUnreadable as exc:
        raise SourceUnreadable(f"{path.name!r} cannot be read: {exc}") from exc
    return np.ascontiguousarray(upright(samples, facts.orientation))


def _showable(path: Path, facts: PictureFacts) -> None:
    """Raise SourceUnreadable where a picture is neither gray nor RGB."""
    if not shown_samples(facts.roles):
        raise SourceUnreadable(f"{path.name!r} is neither gray nor RGB", hint="Save it as RGB")


def _facts(archive: Archive, path: Path, name: str, digests: Digests) -> tuple[PictureFacts, str]:
    inspected = archive.formats.inspect(path, subject=name, name=name, digests=digests)
    mime = inspected.file_format.mime if inspected.file_format else ""
    if inspected.picture is None or mime not in _SUFFIXES:
        wrong = next((one.message for one in inspected.findings if one.severity is Severity.ERROR), "")
        raise SourceUnreadable(
            f"{name!r} is no photograph that can be read{': ' + wrong.rstrip('.') if wrong else ''}",
            hint="Give a JPEG, PNG or TIFF",
        )
    return inspected.picture, mime
