"""The report of an audit: one HTML file for somebody with one picture from the web and an hour.

As adapters.report; everything from the file is text, never markup. A picture that is a story carries its band here too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from archive_restore.adapters import previews
from archive_restore.adapters.caption import caption_band
from archive_restore.adapters.report import csp_hash, data_uri, environment, flag_style, read_template
from archive_restore.adapters.report_words import share_words
from archive_restore.core.audit_words import (
    LEVEL,
    WHOLE_FRAME,
    confidence_words,
    kinship_words,
    manifest_words,
    percent,
    state_words,
)
from archive_restore.core.labels import plain_text
from archive_restore.core.synthesis_map import FLAG_MEANINGS
from archive_restore.imaging.reduce import reduce_map
from archive_restore.ports import AuditReports, AuditView
from archive_restore.records.audits import Kinship
from archive_restore.records.findings import Severity
from archive_restore.records.imagery import PixelFlag, Region
from archive_restore.records.labels import Labels

LONGEST = 1200
"""Longest edge of the pictures, pixels."""
PICTURES_BUDGET = 1_400_000
"""Bytes that the candidate and its kin may take together."""
MARK = (214, 39, 40)
"""Colour of what was changed: red, and outlined, so that it does not rest on colour alone."""
MAX_MANIFESTS = 30
MAX_PLACES = 4
"""Changed places shown enlarged."""
PLACE_EDGE = 420
"""Longest edge of one, pixels."""
PLACES_BUDGET = 600_000
Display = npt.NDArray[np.uint8]


class HtmlAuditReports(AuditReports):
    """The `AuditReports` port on Jinja and Pillow."""

    def __init__(self, labels: Labels | None = None) -> None:
        """`labels` say how the band of a story looks."""
        self._labels = labels or Labels()

    def render(self, view: AuditView) -> bytes:
        """See ports.AuditReports; the same view gives the same bytes."""
        style = read_template("restoration.css") + read_template("story.css") + read_template("audit.css")
        style += flag_style()
        html = (
            environment()
            .get_template("audit.html.j2")
            .render(
                **self._view(view),
                style=Markup(style),  # noqa: S704  (our own files, no text from outside)
                style_hash=csp_hash(style),
            )
        )
        return html.encode("utf-8")

    def _view(self, view: AuditView) -> dict[str, Any]:
        audit, credentials, kinship = view.audit, view.credentials, view.kinship
        state = credentials.state if credentials else ""
        return {
            "view": view,
            "audit": audit,
            "name": audit.path.replace("\\", "/").rstrip("/").rpartition("/")[2],
            "kinship": kinship,
            "kin_sentence": next(iter(kinship_words(kinship))) if kinship else "",
            "treatment_rows": list(_treatment_rows(kinship)) if kinship else [],
            "confidence": confidence_words(kinship.confidence) if kinship else "",
            "verdict": _verdict(view),
            "credentials": credentials,
            "state": state,
            "state_sentence": state_words(state, view.anchors) if credentials else "",
            "chain": list(_chain(view)),
            "objections": _objections(view),
            "signed": data_uri(previews.jpeg_bytes(_small(view.signed))) if view.signed is not None else "",
            "shares": list(_shares(view)),
            "findings": sorted(audit.findings, key=lambda f: list(Severity).index(f.severity)),
            "changed_share": percent(sum(place.share for place in kinship.altered)) if kinship else "",
            **self._pictures(view),
        }

    def _pictures(self, view: AuditView) -> dict[str, Any]:
        if view.candidate is None:
            return {"candidate": "", "reference": "", "overlay": "", "map": "", "band": "", "places": []}
        shown = _fitted(view.candidate)
        pictures = [shown]
        if view.reference is not None:
            kin = _rgb(_fitted(_outlined(view)))
            pictures.append(caption_band(kin, view.caption, self._labels.style) if view.caption else kin)
        encoded, _ = previews.encode_alike(pictures, PICTURES_BUDGET)
        sizes = [(picture.shape[1], picture.shape[0]) for picture in pictures]
        made: dict[str, Any] = {
            "candidate": data_uri(encoded[0]),
            "candidate_size": sizes[0],
            "reference": data_uri(encoded[1]) if len(encoded) > 1 else "",
            "reference_size": sizes[-1],
            "overlay": "",
            "map": "",
            "places": [],
            "band": view.caption,
        }
        if view.strength is not None:
            made["overlay"] = data_uri(previews.jpeg_bytes(_overlaid(view, shown), 85))
            made["places"] = list(_places(view))
        if view.flags is not None:
            flags = reduce_map(view.flags, LONGEST)
            made["map"] = data_uri(previews.map_over_picture(_same_size(flags, shown), shown))
        return made


def _verdict(view: AuditView) -> dict[str, str]:
    """The figures at the top: kin, what was changed, credentials, whether it was exported."""
    kinship, credentials = view.kinship, view.credentials
    made = {
        "kin": "Not judged",
        "kin_note": "",
        "changed": "–",
        "changed_note": "",
        "signed": "–",
        "signer": "",
        "left": "–",
    }
    if kinship is not None and kinship.judged:
        made["kin"] = kinship.ref or "None found"
        made["kin_note"] = (
            "a story, not a record" if kinship.story else "the record" if kinship.ref else "in this archive"
        )
        if kinship.ref:
            places = len(kinship.altered)
            made["changed"] = str(places) if places else "None"
            made["changed_note"] = f"{percent(sum(p.share for p in kinship.altered))} of the picture" if places else ""
            made["left"] = kinship.exported[0].when[:10] if kinship.exported else "No"
    if credentials is not None:
        made["signer"] = plain_text(credentials.signer, 200)
        made["signed"] = {"none": "None", "invalid": "Broken", "valid": "Intact", "trusted": "Trusted"}.get(
            credentials.state, credentials.state
        )
    return made


def _chain(view: AuditView) -> Iterator[dict[str, Any]]:
    chain = view.credentials.chain if view.credentials else None
    for position, manifest in enumerate(chain.manifests[:MAX_MANIFESTS] if chain else ()):
        line = chain is not None and position < chain.parents
        yield {"manifest": manifest, "sentence": manifest_words(manifest), "line": line}


def _objections(view: AuditView) -> list[dict[str, Any]]:
    """One a code: an objection to many manifests is told once."""
    chain = view.credentials.chain if view.credentials else None
    told: dict[str, dict[str, Any]] = {}
    for objection in chain.objections if chain else ():
        row = told.setdefault(objection.code, {"objection": objection, "count": 0})
        row["count"] += 1
    return list(told.values())


def _treatment_rows(kinship: Kinship) -> Iterator[tuple[str, str]]:
    done = kinship.treatment
    if done is None:
        return
    yield "Shows of the archive’s picture", percent(done.shown) if done.shown < WHOLE_FRAME else "all of it"
    yield "Size", f"{done.resized:.3g} pixels for each of the archive’s"
    yield "Turned", f"{done.rotation:.1f} degrees" if abs(done.rotation) > LEVEL else "no"
    yield "Mirrored", "yes" if done.mirrored else "no"
    yield "Border, caption or screen around it", "yes" if done.bordered else "no"
    colours = "added: the archive’s picture has none" if done.tinted else "taken out" if done.grayscale else ""
    yield "Colours", colours or "as in the archive, but for what is said of tones"
    yield "Tones or colours of the whole", "changed" if done.graded else "as in the archive"


def _shares(view: AuditView) -> Iterator[dict[str, str]]:
    shares = view.kinship.shares if view.kinship else {}
    for flag, meaning in FLAG_MEANINGS.items():
        name = flag.name or ""
        if shares.get(name) or (flag is PixelFlag.ORIGINAL and shares):
            share = share_words(round(shares.get(name, 0.0) * 1_000_000), 1_000_000)
            yield {"name": name, "title": name.capitalize(), "meaning": meaning, "share": share}


# --- pictures ----------------------------------------------------------------------------------------


def _fitted(picture: Display) -> Display:
    height, width = picture.shape[:2]
    scale = LONGEST / max(height, width)
    if scale >= 1:
        return picture
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def _small(picture: Display) -> Display:
    height, width = picture.shape[:2]
    scale = min(1.0, PLACE_EDGE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def _rgb(picture: Display) -> Display:
    return np.repeat(picture[:, :, None], 3, axis=2) if picture.ndim == 2 else picture


def _outlined(view: AuditView) -> Display:
    """The archive's picture with a frame around what the file shows of it, where that is not all."""
    assert view.reference is not None and view.candidate is not None
    picture = _rgb(view.reference).copy()
    kinship = view.kinship
    if kinship is None or kinship.treatment is None or kinship.treatment.shown >= WHOLE_FRAME:
        return picture
    height, width = view.candidate.shape[:2]
    corners = np.array([[0, 0, 1], [width - 1, 0, 1], [width - 1, height - 1, 1], [0, height - 1, 1]], np.float64)
    mapped = corners @ np.array(view.matrix, np.float64).T
    if not np.all(np.abs(mapped[:, 2]) > 1e-9):
        return picture
    points = np.clip(mapped[:, :2] / mapped[:, 2:], -1e5, 1e5)
    thick = max(2, max(picture.shape[:2]) // 250)
    path = [np.rint(points).astype(np.int32)]
    cv2.polylines(picture, path, True, (255, 255, 255), thick * 2, cv2.LINE_AA)
    cv2.polylines(picture, path, True, MARK, thick, cv2.LINE_AA)
    return picture


def _overlaid(view: AuditView, shown: Display) -> Display:
    """The file in pale gray, what departs in red, each place with a frame and a number."""
    assert view.strength is not None and view.candidate is not None
    gray = shown if shown.ndim == 2 else np.asarray(shown @ np.array([0.2126, 0.7152, 0.0722]), np.uint8)
    ground = _rgb((110 + gray.astype(np.uint16) * 140 // 255).astype(np.uint8))
    amount = cv2.resize(view.strength, shown.shape[1::-1], interpolation=cv2.INTER_LINEAR).astype(np.float32) / 255
    amount = np.sqrt(amount)[:, :, None] * 0.85
    mixed = np.asarray(np.rint(ground * (1 - amount) + np.array(MARK, np.float32) * amount), np.uint8)
    factor = shown.shape[1] / (view.candidate.shape[1] * view.scale)
    thick = max(2, max(shown.shape[:2]) // 400)
    for number, place in enumerate(view.kinship.changed if view.kinship else (), start=1):
        _framed(mixed, place.region, factor, thick, str(number))
    return mixed


def _framed(picture: Display, region: Region, factor: float, thick: int, label: str) -> None:
    begin = (int(region.left * factor), int(region.top * factor))
    end = (int(region.right * factor), int(region.bottom * factor))
    cv2.rectangle(picture, begin, end, (255, 255, 255), thick * 2, cv2.LINE_AA)
    cv2.rectangle(picture, begin, end, MARK, thick, cv2.LINE_AA)
    size = max(0.6, max(picture.shape[:2]) / 1100)
    place = (begin[0] + 4, max(int(26 * size), begin[1] - 6))
    for colour, width in (((255, 255, 255), thick * 3), (MARK, thick)):
        cv2.putText(picture, label, place, cv2.FONT_HERSHEY_SIMPLEX, size, colour, width, cv2.LINE_AA)


def _places(view: AuditView) -> Iterator[dict[str, Any]]:
    """The largest changed places, cut out of the archive's picture and of the file."""
    assert view.candidate is not None
    if view.reference is None or view.kinship is None:
        return
    height, width = view.candidate.shape[:2]
    matrix = np.array(view.matrix, np.float64)
    for number, place in enumerate(view.kinship.changed[:MAX_PLACES], start=1):
        region = place.region
        margin = 0.25 * max(region.width, region.height, 8)
        left, top = (max(0, int((edge - margin) / view.scale)) for edge in (region.left, region.top))
        right = min(width, round((region.right + margin) / view.scale))
        bottom = min(height, round((region.bottom + margin) / view.scale))
        if right - left < 2 or bottom - top < 2:
            continue
        shift = np.array([[1.0, 0.0, left], [0.0, 1.0, top], [0.0, 0.0, 1.0]])
        before = cv2.warpPerspective(
            view.reference, matrix @ shift, (right - left, bottom - top), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        )
        after = np.ascontiguousarray(view.candidate[top:bottom, left:right])
        zoom = min(4.0, PLACE_EDGE / max(after.shape[:2]))
        size = (max(1, round(after.shape[1] * zoom)), max(1, round(after.shape[0] * zoom)))
        pair = [np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_CUBIC), np.uint8) for part in (before, after)]
        encoded, _ = previews.encode_alike(pair, PLACES_BUDGET // MAX_PLACES)
        yield {
            "number": number,
            "place": place,
            "before": data_uri(encoded[0]),
            "after": data_uri(encoded[1]),
            "width": size[0],
            "height": size[1],
        }


def _same_size(flags: npt.NDArray[np.uint8], shown: Display) -> npt.NDArray[np.uint8]:
    fitted = cv2.resize(flags, shown.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    return np.asarray(fitted, np.uint8)
