"""The report of a restoration: one HTML file that opens from disk without network, for a board or a court.

WCAG 2.2 AA, Content Security Policy Level 3. Everything in it that came from files or people is text, never markup; it
refers to nothing outside itself and proves nothing by itself: the proof is in the files it names.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from archive_restore.adapters import previews
from archive_restore.adapters.report_commands import checks
from archive_restore.adapters.report_words import (
    CHANGED_WORDS,
    DAMAGE_WORDS,
    DETERMINISM_WORDS,
    LOSS_WORDS,
    count_words,
    date_words,
    dtype_words,
    moment_words,
    name_words,
    share_words,
    shown,
    size_words,
    value_words,
)
from archive_restore.core.synthesis_map import FLAG_COLOURS, FLAG_MEANINGS
from archive_restore.imaging.reduce import Reduced, reduce_map
from archive_restore.records.findings import Finding, Severity
from archive_restore.records.imagery import DamageClass, PixelFlag, Region
from archive_restore.records.objects import Master
from archive_restore.records.preservation import Certainty, PreservationDerivation
from archive_restore.records.provenance import Json, StepRun
from archive_restore.records.stories import StoryDerivation

TEMPLATES = Path(__file__).with_name("templates")

OVERLAY_LONGEST = 1200
"""Longest edge of the map over the picture: coarser than the picture, so that a browser that shrinks the page does not
thin a scratch of one pixel to nothing."""
DISPLAY_EDGES = (1600, 1200, 900)
"""Longest edge of the display pictures; a smaller one where the grain of a larger one would not fit."""
PICTURES_BUDGET = 1_000_000
"""Bytes that both display pictures together may take."""
DETAILS_BUDGET = 700_000
"""Bytes that the pictures of all details may take as PNG; above it they become JPEG of high quality."""
MAX_DETAILS = 6
MAX_DETAIL_EDGE = 192
"""Longest edge of a detail in pixels: three fit beside one another at twice their size. Of larger ones the middle is
shown."""
MAX_LISTED_LOSSES = 50
"""Losses listed by place, in the order given; all of them are in the damage map."""


# --- what goes in ------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class ReportPictures:
    """Master, restoration and map, reduced alike (see adapters.previews)."""

    master: Reduced
    """float32 (h, w, samples), code values."""
    restoration: Reduced
    """float32 (h, w, samples), code values."""
    flags: npt.NDArray[np.uint8]
    """(h, w) map values, reduced by OR on the same grid."""
    white: float
    """The code value shown as white, the same for both."""
    icc: bytes = b""
    """The master's ICC profile; empty where there is none."""


@dataclass(frozen=True, kw_only=True)
class Detail:
    """A place worth a closer look, at full size."""

    region: Region
    """Where it lies in the frame."""
    master: previews.Samples
    """(h, w, samples) in the master's dtype."""
    restoration: previews.Samples
    """(h, w, samples) in the master's dtype."""
    flags: npt.NDArray[np.uint8]
    """(h, w) map values."""


@dataclass(frozen=True, kw_only=True)
class ReportFile:
    """A stored file that the report names."""

    role: str
    """`master`, `restoration`, `synthesis map`, `derivation`, …"""
    path: str
    """As commands should name it, seen from the folder in which the reader is told to stand."""
    size: int
    """Bytes."""
    sha512: str
    """Lower-case hex."""


@dataclass(frozen=True, kw_only=True)
class Signature:
    """Who signed the restoration's C2PA manifest, and what a reader says of it."""

    subject: str
    """Name in the certificate."""
    issuer: str
    algorithm: str
    """`es256` or `ed25519`."""
    fingerprint: str
    """SHA-256 of the certificate, lower-case hex."""
    valid_from: str
    """UTC, RFC 3339."""
    valid_until: str
    """UTC, RFC 3339."""
    state: str
    """What a reader says that knows only public issuers: `Valid`, `Trusted` or `Invalid`."""
    own_authority: bool
    """Whether the archive's own certificate authority issued the certificate."""
    time_stamp: str = ""
    """UTC, RFC 3339; empty where there is none."""
    sidecar_path: str = ""
    """Path of the manifest as commands should name it; empty where it is inside the restoration."""


@dataclass(frozen=True, kw_only=True)
class Loss:
    """A damaged place too large to be filled from its surroundings."""

    region: Region
    pixels: int
    """Pixels of the loss itself."""


@dataclass(frozen=True, kw_only=True)
class RestorationReport:
    """All a report says."""

    master: Master
    derivation: PreservationDerivation
    pictures: ReportPictures
    details: tuple[Detail, ...]
    """Most changed places first; six at most are shown."""
    damage: Mapping[str, int]
    """Pixels a DamageClass name, as the damage map has them; SOUND may be left out."""
    losses: tuple[Loss, ...]
    loss_treatment: str
    """`as found`, `neutral` or `tratteggio`."""
    master_file: ReportFile
    restoration_file: ReportFile
    other_files: tuple[ReportFile, ...]
    signature: Signature | None
    """None where nothing was signed."""
    organization: str
    findings: tuple[Finding, ...] = ()
    """What was noticed during the run."""
    folder: str = "the folder of the archive"
    """Where the reader should stand for the commands."""


# --- rendering ---------------------------------------------------------------------------------------


def render_restoration_report(report: RestorationReport) -> bytes:
    """Render the report as one self-contained HTML file, UTF-8; the same report gives the same bytes."""
    view = _view(report)
    style = read_template("restoration.css") + view.pop("dynamic_style")
    script = read_template("restoration.js")
    html = (
        environment()
        .get_template("restoration.html.j2")
        .render(
            **view,
            style=Markup(style),  # noqa: S704  (our own file and numbers, no text from outside)
            script=Markup(script),  # noqa: S704  (our own file)
            style_hash=csp_hash(style),
            script_hash=csp_hash(script),
        )
    )
    return html.encode("utf-8")


@functools.cache
def environment() -> jinja2.Environment:
    """Templates and filters; what came from outside is made safe to look at."""

    def finalize(value: Any) -> Any:
        return shown(value) if isinstance(value, str) and not isinstance(value, Markup) else value

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES, encoding="utf-8"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        count=count_words,
        date=date_words,
        moment=moment_words,
        size=size_words,
        value=value_words,
        step_name=_step_name,
        dtype=dtype_words,
        signer=name_words,
    )
    return environment


def read_template(name: str) -> str:
    """A file of the templates' folder."""
    return (TEMPLATES / name).read_text(encoding="utf-8")


def csp_hash(content: str) -> str:
    """Source expression of an inlined element (CSP Level 3 §2.3.1)."""
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()


def data_uri(data: bytes) -> str:
    """A PNG or JPEG for the `src` of an image."""
    kind = "png" if data.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _step_name(name: str) -> str:
    words = name.replace("_", " ")
    return words[:1].upper() + words[1:]


def _view(report: RestorationReport) -> dict[str, Any]:
    master, derivation, summary = report.master, report.derivation, report.derivation.map
    original = summary.counts.get("ORIGINAL", 0)
    lost = report.damage.get(DamageClass.LOSS.name, 0)
    signature = report.signature
    return {
        **_picture_view(report),
        "report": report,
        "master": master,
        "derivation": derivation,
        "summary": summary,
        "title": master.description.title or master.ref.item_id,
        "total": summary.pixels,
        "original": original,
        "changed": summary.pixels - original,
        "original_share": share_words(original, summary.pixels),
        "changed_share": share_words(summary.pixels - original, summary.pixels),
        **_certainty_view(derivation.certainty, summary.pixels),
        "lost": lost,
        "lost_share": share_words(lost, summary.pixels),
        "legend": list(legend_rows(summary.counts, summary.pixels)),
        "overlapping": sum(summary.counts.values()) > summary.pixels,
        "damage": list(_damage_rows(report.damage, summary.pixels)),
        "losses": report.losses[:MAX_LISTED_LOSSES],
        "loss_words": LOSS_WORDS.get(report.loss_treatment, report.loss_treatment),
        "statements": [words for flag, words in CHANGED_WORDS.items() if summary.counts.get(flag.name or "")],
        "steps": [step_view(index, derivation) for index in range(len(derivation.steps))],
        "determinism": DETERMINISM_WORDS[derivation.environment.determinism],
        "description_rows": list(description_rows(master)),
        "technical_rows": list(technical_rows(master)),
        "findings": sorted(report.findings, key=lambda f: list(Severity).index(f.severity)),
        "files": (report.master_file, report.restoration_file, *report.other_files),
        "checks": checks(
            master, derivation,
            master_path=report.master_file.path, restoration_path=report.restoration_file.path,
            sidecar_path=signature.sidecar_path if signature else "",
            restoration_sha512=report.restoration_file.sha512,
        ),
    }  # fmt: skip


def _certainty_view(certainty: Certainty | None, total: int) -> dict[str, Any]:
    if certainty is None or not certainty.filled:
        return {"certainty": None}
    return {
        "certainty": certainty,
        "filled_share": share_words(certainty.filled, total),
        "uncertain_share": share_words(certainty.uncertain, certainty.filled),
        "mean_error_share": f"{100 * certainty.mean_error:.1f} %",
        "uncertain_from": f"{100 * certainty.threshold / 255:.0f} %",
    }


def _picture_view(report: RestorationReport) -> dict[str, Any]:
    pictures, facts = report.pictures, report.master.picture
    if facts is None:
        raise ValueError(f"the master {report.master.ref} has no picture to report on")
    transfer = previews.transfer_for(facts, pictures.white, pictures.icc)
    for longest in DISPLAY_EDGES:
        before = previews.display_picture(pictures.master, transfer, longest)
        after = previews.display_picture(pictures.restoration, transfer, longest)
        (first, second), fits = previews.encode_alike((before, after), PICTURES_BUDGET)
        if fits:
            break
    flags = reduce_map(pictures.flags, OVERLAY_LONGEST)
    height, width = before.shape[:2]
    return {
        "before": data_uri(first),
        "after": data_uri(second),
        "overlay": data_uri(previews.map_png(flags, transfer.orientation)),
        "width": width,
        "height": height,
        "reduced": width * height < facts.width * facts.height,
        "turned": transfer.orientation != 1,
        "converted": bool(transfer.icc),
        "details": _detail_views(report.details[:MAX_DETAILS], transfer),
        "dynamic_style": _dynamic_style(width, height),
    }


def _dynamic_style(width: int, height: int) -> str:
    return f":root{{--ratio:{width / height:.5f};--natural:{width}px}}\n" + flag_style()


def flag_style() -> str:
    """CSS for the swatches of the legend."""
    rules = []
    for flag, (red, green, blue) in FLAG_COLOURS.items():
        if flag:
            rules.append(f".flag-{flag.name}{{background:rgb({red},{green},{blue})}}\n")
    return "".join(rules)


def _detail_views(details: tuple[Detail, ...], transfer: previews.Transfer) -> list[dict[str, Any]]:
    details = tuple(_middle(detail) for detail in details)
    pairs = [
        (previews.display(d.master, transfer), previews.display(d.restoration, transfer), d.flags) for d in details
    ]
    shown_pairs = [picture for before, after, _ in pairs for picture in (before, after)]
    encoded = [previews.png_bytes(picture) for picture in shown_pairs]
    lossless = sum(map(len, encoded)) <= DETAILS_BUDGET
    if not lossless:
        encoded = list(previews.encode_alike(shown_pairs, DETAILS_BUDGET)[0])
    views = []
    for detail, (_, after, flags), first, second in zip(details, pairs, encoded[::2], encoded[1::2], strict=True):
        counts = np.bincount(flags.ravel(), minlength=256)
        views.append(
            {
                "region": detail.region,
                "before": data_uri(first),
                "after": data_uri(second),
                "map": data_uri(previews.map_over_picture(flags, after, transfer.orientation)),
                "width": after.shape[1],
                "height": after.shape[0],
                "changed_share": share_words(int(flags.size - counts[0]), int(flags.size)),
                "lossless": lossless,
            }
        )
    return views


def _middle(detail: Detail) -> Detail:
    """The middle of a detail that is larger than can be shown."""
    top = max(0, detail.region.height - MAX_DETAIL_EDGE) // 2
    left = max(0, detail.region.width - MAX_DETAIL_EDGE) // 2
    height, width = (min(edge, MAX_DETAIL_EDGE) for edge in (detail.region.height, detail.region.width))
    part = (slice(top, top + height), slice(left, left + width))
    corner = detail.region.top + top, detail.region.left + left
    return Detail(
        region=Region(top=corner[0], left=corner[1], bottom=corner[0] + height, right=corner[1] + width),
        master=detail.master[part],
        restoration=detail.restoration[part],
        flags=detail.flags[part],
    )


def legend_rows(counts: Mapping[str, int], total: int) -> Iterator[dict[str, Any]]:
    """One row a class of pixels that occurs."""
    for flag, meaning in FLAG_MEANINGS.items():
        number = counts.get(flag.name or "", 0)
        if number or flag is PixelFlag.ORIGINAL:
            yield {
                "name": flag.name,
                "title": (flag.name or "").capitalize(),
                "meaning": meaning,
                "pixels": number,
                "share": share_words(number, total),
            }


def _damage_rows(damage: Mapping[str, int], total: int) -> Iterator[dict[str, Any]]:
    for kind, (title, meaning) in DAMAGE_WORDS.items():
        number = damage.get(kind.name, 0)
        if number:
            yield {"title": title, "meaning": meaning, "pixels": number, "share": share_words(number, total)}


def step_view(index: int, derivation: PreservationDerivation | StoryDerivation) -> dict[str, Any]:
    """A step with its parameters and what it found, as words."""
    run: StepRun = derivation.steps[index]
    chosen: Mapping[str, Json] = {}
    if index < len(derivation.recipe.steps) and derivation.recipe.steps[index].step == run.step:
        chosen = derivation.recipe.steps[index].parameters
    return {
        "run": run,
        "parameters": [
            (name, value_words(value), "chosen in the recipe" if name in chosen else "default")
            for name, value in sorted(run.parameters.items())
        ],
        "survey": [(name, value_words(value)) for name, value in sorted(run.survey.items())],
    }


def description_rows(master: Master) -> Iterator[tuple[str, str]]:
    """What is said of the item."""
    words = master.description
    named = (
        ("Title", words.title), ("Creator", words.creator), ("Date", words.date), ("Place and period", words.coverage),
        ("Subject", words.subject), ("Description", words.description), ("Contributor", words.contributor),
        ("Publisher", words.publisher), ("Type", words.type), ("Format", words.format),
        ("Identifier", words.identifier), ("Source", words.source), ("Language", words.language),
        ("Relation", words.relation), ("Rights", words.rights),
        ("Digitized from", words.source_type.value if words.source_type else ""),
    )  # fmt: skip
    yield "Item", master.ref.item_id
    yield from ((name, text) for name, text in named if text)
    yield from ((name, text) for name, text in words.extra.items() if text)


def technical_rows(master: Master) -> Iterator[tuple[str, str]]:
    """What is known of the master's file."""
    facts = master.picture
    yield "File", master.file.name
    yield "Format", f"{master.file.format_name or master.file.mime} (PRONOM {master.file.puid})"
    if facts is not None:
        yield "Size", f"{facts.width:,} × {facts.height:,} pixels"
        yield "Samples", f"{facts.samples} × {facts.bits} bit {facts.sample_format}: {', '.join(facts.roles)}"
        yield "Colour profile", facts.icc_description or "none"
        if facts.x_resolution:
            yield "Resolution", f"{facts.x_resolution:g} pixels an inch"
        yield "Compression", facts.compression
        if facts.note:
            yield "Note", facts.note
    yield "Received", date_words(master.ingested)
