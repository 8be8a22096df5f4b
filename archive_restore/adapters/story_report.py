"""The report of a story: one HTML file that opens from disk without network and says first that this is no record.

As adapters.report; every picture of the story in it carries its caption band outside the picture.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from archive_restore.adapters import previews
from archive_restore.adapters.report import (
    ReportFile,
    Signature,
    csp_hash,
    data_uri,
    description_rows,
    environment,
    flag_style,
    legend_rows,
    read_template,
    step_view,
    technical_rows,
)
from archive_restore.adapters.report_commands import Check, shell_word
from archive_restore.adapters.report_words import DETERMINISM_WORDS, share_words
from archive_restore.core.clip_sheet import meaning_in_clip
from archive_restore.imaging.reduce import reduce_map
from archive_restore.ports import Overview, StoryLook, StoryShown, StoryView
from archive_restore.records.findings import Finding
from archive_restore.records.stories import StoryKind, StoryRef

Captioned = Callable[[previews.DisplayArray], previews.DisplayArray]
"""Puts the caption band below a picture, uint8 (h, w, 3)."""

PICTURES_BUDGET = 1_400_000
"""Bytes that both display pictures together may take."""
LONGEST = 1600
"""Longest edge of the display pictures, pixels."""
_MAP_LONGEST = 1200

WHAT: dict[StoryKind, tuple[str, str]] = {
    StoryKind.ENHANCEMENT: (
        "Enhancement",
        "It shows more than the photograph holds: detail was added that nobody photographed. Do not read faces, texts "
        "or small things in it as evidence.",
    ),
    StoryKind.COLORIZATION: (
        "Colorization",
        "The light and dark in it are the photograph’s; the colours are not. They are proposals of a machine and "
        "decisions of people, and nobody photographed them.",
    ),
    StoryKind.ANIMATION: ("Animation", "It moves; the photograph does not. The movement was invented."),
}
"""Title of a story's report, and what must be said of it first."""
_MONTAGE = "It is put together from pictures that stand still. Nobody filmed it, and nothing in it moved like this."


@dataclass(frozen=True, kw_only=True)
class StoryReport:
    """All a story's report says."""

    view: StoryView
    caption: str
    """Text of the band, for readers who do not see pictures."""
    parent_file: ReportFile
    story_file: ReportFile
    other_files: tuple[ReportFile, ...]
    signature: Signature | None
    organization: str
    findings: tuple[Finding, ...]
    folder: str = "the folder of the archive"


def render_story_report(report: StoryReport) -> bytes:
    """Render the report as one self-contained HTML file, UTF-8; the same report gives the same bytes."""
    style = read_template("restoration.css") + read_template("story.css") + flag_style()
    html = (
        environment()
        .get_template("story.html.j2")
        .render(
            **_view(report),
            style=Markup(style),  # noqa: S704  (our own files, no text from outside)
            style_hash=csp_hash(style),
        )
    )
    return html.encode("utf-8")


def story_picture(
    overview: Overview, icc: bytes, longest: int, captioned: Captioned | None = None
) -> previews.DisplayArray:
    """Display picture of a reduced one, uint8 (h, w, 3), with its band where there is one."""
    transfer = previews.transfer_for(overview.facts, overview.white, icc)
    shown = previews.display_picture(overview.reduced, transfer, longest)
    shown = np.repeat(shown[:, :, None], 3, axis=2) if shown.ndim == 2 else shown
    return captioned(shown) if captioned else shown


def show_story(look: StoryLook, before_icc: bytes, after_icc: bytes, captioned: Captioned) -> StoryShown:
    """The pictures of a report, without thumbnails; profiles as `previews.transfer_for` takes them."""
    told_before = captioned if isinstance(look.derivation.parent, StoryRef) else None
    with ThreadPoolExecutor(1, thread_name_prefix="pictures") as pool:
        other = pool.submit(story_picture, look.before, before_icc, LONGEST, told_before)
        after = story_picture(look.after, after_icc, LONGEST, None if _is_clip(look) else captioned)
        before = other.result()
    (first, second), _ = previews.encode_alike((before, after), PICTURES_BUDGET)
    flags = reduce_map(look.flags, _MAP_LONGEST)
    transfer = previews.transfer_for(look.after.facts, look.after.white)
    return StoryShown(
        before=first,
        before_size=(before.shape[1], before.shape[0]),
        after=second,
        after_size=(after.shape[1], after.shape[0]),
        flags=previews.map_png(flags, transfer.orientation),
        master_thumbnail=b"",
        thumbnail=b"",
    )


def _is_clip(look: StoryLook) -> bool:
    """Whether it is a clip, whose frames carry their label themselves."""
    return look.derivation.products[0].mime.startswith("video/")


def _view(report: StoryReport) -> dict[str, Any]:
    view, shown = report.view, report.view.shown
    derivation, master = view.look.derivation, view.master
    summary = derivation.map
    original = summary.counts.get("ORIGINAL", 0)
    title, warning = WHAT[derivation.ref.kind]
    clip = _is_clip(view.look)
    montage = clip and any(run.survey.get("parts") for run in derivation.steps)
    legend = list(legend_rows(summary.counts, summary.pixels))
    if clip:
        legend = [{**row, "meaning": meaning_in_clip(row["name"], montage=montage)} for row in legend]
    return {
        "report": report,
        "master": master,
        "derivation": derivation,
        "summary": summary,
        "kind": title,
        "clip": clip,
        "warning": _MONTAGE if montage else warning,
        "title": master.description.title or master.ref.item_id,
        "parent_is_master": str(derivation.parent) == str(master.ref),
        "before": data_uri(shown.before),
        "after": data_uri(shown.after),
        "map": data_uri(shown.flags),
        "before_size": shown.before_size,
        "after_size": shown.after_size,
        "total": summary.pixels,
        "original": original,
        "original_share": share_words(original, summary.pixels),
        "changed_share": share_words(summary.pixels - original, summary.pixels),
        "legend": legend,
        "steps": [step_view(index, derivation) for index in range(len(derivation.steps))],
        "determinism": DETERMINISM_WORDS[derivation.environment.determinism],
        "description_rows": list(description_rows(master)),
        "technical_rows": list(technical_rows(master)),
        "files": (report.parent_file, report.story_file, *report.other_files),
        "checks": list(_checks(report)),
    }


def _checks(report: StoryReport) -> tuple[Check, ...]:
    story, ref = shell_word(report.story_file.path), shell_word(str(report.view.look.derivation.ref))
    sidecar = report.signature.sidecar_path if report.signature else ""
    return (
        Check(
            title="The credentials hold",
            tool="c2patool, or any other reader of C2PA Content Credentials",
            commands=f"c2patool {story}" + (f" --external-manifest {shell_word(sidecar)}" if sidecar else ""),
            expected="Validation state Valid or Trusted, and one ingredient named parentOf with a manifest of its own, "
            "back to the master.",
        ),
        Check(
            title="Every claim of the map, and the run repeated",
            tool="archive-restore, inside the archive",
            commands=f"archive-restore verify {ref}\narchive-restore reproduce {ref}",
            expected="No finding of severity error; the repeated run gives the same pixels.",
        ),
    )
