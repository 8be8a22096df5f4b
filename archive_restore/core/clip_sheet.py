"""The disclosure sheet of a clip: what is seen, read and heard from when to when, and what of it is no evidence.

For whoever broadcasts it: times are SMPTE ST 12-1 timecodes without dropped frames, from the clip's beginning; ends are
exclusive. Text that people wrote becomes plain lines and never a field or formula.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from archive_restore.core.captions import Cue
from archive_restore.core.disclosure import inert_cell, share_text
from archive_restore.core.labels import plain_text
from archive_restore.core.soundtrack import LEAD
from archive_restore.core.synthesis_map import FLAG_MEANINGS
from archive_restore.records.imagery import PixelFlag
from archive_restore.records.provenance import Json
from archive_restore.records.stories import StoryDerivation

SHEET_CSV, SHEET_TEXT = "disclosure.csv", "disclosure.txt"
_MEANINGS = {
    PixelFlag.SYNTHESIZED.name: "made up, where motion stretches or uncovers the picture, or by a trained model",
    PixelFlag.MOVED.name: "moved; the motion is invented",
    PixelFlag.FILTERED.name: "a recorded filter of its neighbourhood, or a mixture of two pictures in a dissolve",
    PixelFlag.HUMAN.name: "put there by people: label, captions, their own decisions",
}
_CAMERA = "moved, by a camera over the picture"
_LONGEST = 500  # of what people wrote, a piece


@dataclass(frozen=True, kw_only=True)
class SheetRow:
    """Something that is to be said of a part of a clip."""

    start: int
    """Frame."""
    end: int
    """Frame, exclusive."""
    what: str
    """`picture`, `label`, `made`, `shown`, `now`, `caption`, `voice`, `music`, `decision` or `note`."""
    says: str
    """One line."""


def sheet_rows(
    derivation: StoryDerivation, *, frames: int, rate: int, title: str, label: str, cues: Sequence[Cue]
) -> tuple[SheetRow, ...]:
    """All rows, by what they speak of; `title` is the item's, `label` the text that stands in every frame."""
    (run,) = derivation.steps
    named = f" of {plain_text(title, _LONGEST)!r}" if title else ""
    parts = _parts(run.survey)
    today = ", and from one of today" if run.survey.get("now") else ""
    rows = [
        ("picture", f"Made from one still photograph{named}: {derivation.parent}{today}. Shown is {derivation.ref}."),
        *([("label", label)] if not any(said for *_, said in parts) else []),
        ("made", run.description),
        *_moved(run.survey.get("moves")),
        *_blinked(run.survey.get("blinks"), rate),
        *(
            (
                "made",
                f"{share_text(count, derivation.map.pixels, 'en')} of the pixels, at some time: "
                f"{meaning_in_clip(name, montage=bool(parts))}.",
            )
            for name, count in derivation.map.counts.items()
            if count and name != "ORIGINAL"
        ),
    ]
    made = [SheetRow(start=0, end=frames, what=what, says=says) for what, says in rows]
    later = [*(start for start, *_ in parts[1:]), frames]
    for (start, end, says, said), following in zip(parts, later, strict=False):
        made.append(SheetRow(start=start, end=end, what="shown", says=f"{says[:1].upper()}{says[1:]}."))
        if said:
            made.append(SheetRow(start=start, end=following, what="label", says=said))
    now = run.survey.get("now")
    if isinstance(now, Mapping):
        when = f", {now['year']}" if now["year"] else ""
        says = f"{now['name']}{when}: a photograph of today that was handed in; it is not the archive's. "
        says += f"Rights: {now['rights'] or 'nobody said'}"
        made.append(SheetRow(start=0, end=frames, what="now", says=plain_text(says, 2 * _LONGEST)))
    for cue in cues:
        start, end = (-(-time * rate // 1000) for time in (cue.start, cue.end))
        made.append(SheetRow(start=start, end=max(min(end, frames), start + 1), what="caption", says=cue.text))
    sound = run.survey.get("sound")
    if isinstance(sound, Mapping):
        made += _heard(sound, frames, rate)
    people = (" — ".join(part for part in (d.what, d.reason, d.author) if part) for d in derivation.people)
    for what, texts in (("decision", people), ("note", derivation.notes)):
        made += [SheetRow(start=0, end=frames, what=what, says=plain_text(text, _LONGEST)) for text in texts]
    return tuple(made)


def _parts(survey: Mapping[str, Json]) -> list[tuple[int, int, str, str]]:
    """What is seen from when to when, and the label meanwhile where it is not the same all the time."""
    parts = survey.get("parts")
    if not isinstance(parts, tuple):
        return []
    return [
        (int(str(part["start"])), int(str(part["end"])), str(part["says"]), str(part["label"]))
        for part in parts
        if isinstance(part, Mapping)
    ]


def sheet_csv(rows: Sequence[SheetRow], rate: int) -> str:
    """As CSV (RFC 4180), safe to open in a spreadsheet."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(["in", "out", "seconds_in", "seconds_out", "what", "says"])
    for row in rows:
        times = (timecode(row.start, rate), timecode(row.end, rate), *(f"{n / rate:.3f}" for n in (row.start, row.end)))
        writer.writerow([*times, row.what, inert_cell(row.says)])
    return out.getvalue()


def sheet_text(rows: Sequence[SheetRow], rate: int) -> str:
    """One line a row."""
    lines = [f"{timecode(row.start, rate)} – {timecode(row.end, rate)}  {row.what:<8}  {row.says}" for row in rows]
    return "\n".join([f"Timecodes at {rate} frames a second; ends are exclusive.", "", *lines, ""])


def timecode(frame: int, rate: int) -> str:
    """`HH:MM:SS:FF`."""
    seconds, rest = divmod(frame, rate)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}:{rest:02}"


def _blinked(blinks: Json, rate: int) -> list[tuple[str, str]]:
    """Who blinks, and when each blink begins; faces are counted from the left of the picture."""
    found = []
    for number, begun in blinks.items() if isinstance(blinks, Mapping) else ():
        assert isinstance(begun, Sequence)
        times = ", ".join(timecode(int(str(frame)), rate) for frame in begun)
        found.append(
            ("made", f"blink: lids are drawn over the eyes of face {number} from the left, from {times or 'never'}.")
        )
    return found


def _moved(moves: Json) -> list[tuple[str, str]]:
    """What the motion source said of every kind, by the area it takes."""
    known = [(kind, said) for kind, said in moves.items()] if isinstance(moves, Mapping) else []
    found = []
    for kind, said in known:
        assert isinstance(said, Mapping)
        share, box = said["share"], said["box"]
        assert isinstance(share, int | float) and isinstance(box, Sequence)
        found.append(
            (
                share,
                f"{plain_text(kind, _LONGEST)}: moves in {100 * share:.1f} % of the photograph, "
                f"within {','.join(str(edge) for edge in box)} (left, top, right, bottom in its pixels).",
            )
        )
    return [("made", says) for _, says in sorted(found, reverse=True)]


def _heard(sound: Mapping[str, Json], frames: int, rate: int) -> list[SheetRow]:
    rows = []
    for what in ("voice", "music"):
        known = sound.get(what)
        if not isinstance(known, Mapping):
            continue
        begin = min(round(LEAD * rate), frames - 1) if what == "voice" else 0
        lasts = known["seconds"]
        assert isinstance(lasts, int | float)
        end = max(min(frames, begin + -(-round(lasts * 1000) * rate // 1000)), begin + 1)
        by = f" by {known['composer']} ({known['published']})" if known.get("composer") else ""
        says = f"{known['name']}{by}, added; it is not of the photograph. Rights: {known['rights'] or 'nobody said'}"
        rows.append(SheetRow(start=begin, end=end, what=what, says=plain_text(says, 2 * _LONGEST)))
    return rows


def meaning_in_clip(name: str, *, montage: bool) -> str:
    """What a flag of this name means in a clip; of a montage's pictures only the camera moves."""
    if montage and name == PixelFlag.MOVED.name:
        return _CAMERA
    flags = {flag.name: meaning for flag, meaning in FLAG_MEANINGS.items()}
    return _MEANINGS.get(name) or flags.get(name, name.lower())
