"""Captions as SubRip (.srt) and WebVTT (.vtt) files have them, read into plain cues; strict, a line for what is wrong.

WebVTT: W3C Candidate Recommendation, 4 April 2019, §4 and §6. SubRip has no standard; what its files have in common is
read. Styles, positions and markup are left out: a caption is plain text over a plain ground.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from archive_restore.core.labels import plain_text
from archive_restore.errors import SourceUnreadable

MOST_BYTES = 1 << 20
"""Of a file."""
MOST_CUES = 500
LONGEST = 200
"""Characters of one caption: three lines that can be read while they stand."""
_TIME = r"(?:(\d{1,3}):)?([0-5]?\d):([0-5]\d)[.,](\d{3})"
_TIMES = re.compile(rf"\s*{_TIME}\s+-->\s+{_TIME}(?:\s+.*)?")
_MARKUP = re.compile(r"</?(?:[biuc]|v|lang|ruby|rt|font|\d)[^<>]*>|\{\\[^{}]*\}", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Cue:
    """A caption and when it stands."""

    start: int
    """Milliseconds from the beginning of the voice, or of the clip where there is none."""
    end: int
    """Exclusive, milliseconds."""
    text: str
    """One line of plain text."""


def read_captions(data: bytes, name: str) -> tuple[Cue, ...]:
    """Cues in their order; raise SourceUnreadable with the line where the file is wrong."""
    if len(data) > MOST_BYTES:
        raise _wrong(name, f"it has {len(data)} bytes, and captions of a clip at most {MOST_BYTES}")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise SourceUnreadable(
            f"the captions {name!r} are not UTF-8: byte {exc.start}", hint="Save them as UTF-8"
        ) from exc
    lines = re.split(r"\r\n|\r|\n", text)
    if any("\0" in line for line in lines):
        raise _wrong(name, "there is a NUL in it: that is no text")
    web = lines[0].startswith("WEBVTT")
    cues: list[Cue] = []
    for first, block in _blocks(lines[1:] if web else lines, 2 if web else 1):
        if web and re.match(r"(NOTE|STYLE|REGION)\b", block[0]):
            continue
        cue = _cue(name, first, block)
        if cue is None:
            continue
        if cues and cue.start < cues[-1].end:
            raise _wrong(name, f"line {first}: the caption begins before the one above it ends")
        cues.append(cue)
        if len(cues) > MOST_CUES:
            raise _wrong(name, f"there are more than {MOST_CUES} captions in it")
    if not cues:
        raise _wrong(name, "there is no caption in it")
    return tuple(cues)


def _blocks(lines: Sequence[str], number: int) -> Iterator[tuple[int, list[str]]]:
    block: list[str] = []
    first = number
    for place, line in enumerate([*lines, ""], number):
        if line.strip():
            if not block:
                first = place
            block.append(line)
        elif block:
            yield first, block
            block = []


def _cue(name: str, first: int, block: Sequence[str]) -> Cue | None:
    """A caption of a block of lines that begins at a line of the file; None for one without text."""
    head = 0 if "-->" in block[0] else 1
    found = _TIMES.fullmatch(block[head]) if len(block) > head else None
    if found is None:
        raise _wrong(name, f"line {first + head}: a time like 00:00:01,000 --> 00:00:04,000 should stand here")
    start, end = _milliseconds(found.groups()[:4]), _milliseconds(found.groups()[4:])
    if end <= start:
        raise _wrong(name, f"line {first + head}: the caption ends before it begins")
    words = plain_text(html.unescape(_MARKUP.sub("", " ".join(block[head + 1 :]))))
    if len(words) > LONGEST:
        raise _wrong(name, f"line {first + head + 1}: the caption has {len(words)} characters, more than {LONGEST}")
    return Cue(start=start, end=end, text=words) if words else None


def _milliseconds(parts: Sequence[str | None]) -> int:
    hours, minutes, seconds, thousandths = (int(part or 0) for part in parts)
    return ((hours * 60 + minutes) * 60 + seconds) * 1000 + thousandths


def _wrong(name: str, problem: str) -> SourceUnreadable:
    return SourceUnreadable(f"the captions {name!r} cannot be read: {problem}", hint="Mend the file")
