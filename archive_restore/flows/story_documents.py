"""What people hand in for stories: hints and regions, gathered from the command line and from files into documents."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archive_restore.core.canonical import canonical_bytes, to_plain
from archive_restore.core.hints_document import hints_of
from archive_restore.core.story_recipes import parse_hint
from archive_restore.errors import SourceUnreadable, UsageError
from archive_restore.imaging.palettes import choose
from archive_restore.ports import Archive

_ENTRIES = {"motion": "regions"}
"""Where a document's entries stand that have another name than it."""


@dataclass(frozen=True, kw_only=True)
class Handed:
    """What a command got."""

    files: Mapping[str, Path]
    """JSON files by the names of their schemas: `hints`, `regions`, `motion`."""
    hints: Sequence[str] = ()
    """`X,Y=COLOUR`, added to the hints of the file."""
    author: str = ""
    """Who decided what says nobody's name."""
    reason: str = ""
    """Why, likewise."""
    era: str = ""
    """`1960s`, `1965` or `1960-1975`."""
    region: str = ""
    """ISO 3166-1 alpha-2 code."""
    process: str = ""

    @property
    def any(self) -> bool:
        """Whether there is something that belongs to one picture."""
        return bool(self.files or self.hints)


def documents(archive: Archive, handed: Handed) -> dict[str, str]:
    """Documents by name, each as JSON that fits its schema; raise UsageError, SourceUnreadable."""
    found: dict[str, Any] = {}
    for name, path in handed.files.items():
        try:
            found[name] = json.loads(path.read_bytes(), parse_constant=_no_number)
        except (OSError, ValueError, RecursionError) as exc:
            why = exc.strerror if isinstance(exc, OSError) else exc
            raise SourceUnreadable(f"{path.name!r} cannot be read: {why}", hint="Check the path and the file") from exc
        _check(archive, name, found[name], f"{path.name!r}")
    if handed.hints:
        given = found.setdefault("hints", {"hints": []})
        given["hints"] = [*given.get("hints", ()), *map(parse_hint, handed.hints)]
    said = {key: value for key, value in (("author", handed.author), ("reason", handed.reason)) if value}
    for name, document in list(found.items()):
        entries = _ENTRIES.get(name, name)
        document[entries] = [{**said, **entry} for entry in document[entries]]
        _check(archive, name, document, f"what was said with --{entries.rstrip('s')}")
    if found.get("motion", {}).get("proposed"):
        raise UsageError(
            "these regions are a proposal that nobody approved",
            hint='Look at each, mend them, and strike the line "proposed"',
        )
    if "hints" in found:
        hints_of(found["hints"])
    if handed.era or handed.region or handed.process:
        found["palette"] = choose(archive.palettes.all(), era=handed.era, region=handed.region, process=handed.process)
    return {name: canonical_bytes(document).decode() for name, document in found.items()}


def _no_number(word: str) -> float:
    """RFC 8259 knows no NaN and no infinity."""
    raise ValueError(f"{word} is no number")


def enlarged_hints(given: Mapping[str, str], across: float, down: float) -> dict[str, str]:
    """The same documents for a picture that is `across` times as wide and `down` times as high."""
    made = dict(given)
    if "hints" in made:
        document = json.loads(made["hints"])
        for name in ("hints", "regions"):
            if name in document:
                document[name] = [_enlarged(entry, across, down) for entry in document[name]]
        made["hints"] = canonical_bytes(document).decode()
    if "motion" in made:
        document = json.loads(made["motion"])
        document["regions"] = [_enlarged(entry, across, down) for entry in document["regions"]]
        made["motion"] = canonical_bytes(document).decode()
    return made


def _enlarged(hint: dict[str, Any], across: float, down: float) -> dict[str, Any]:
    def place(at: Sequence[float]) -> list[float]:
        return [(at[0] + 0.5) * across - 0.5, (at[1] + 0.5) * down - 0.5]

    moved: dict[str, Any] = {name: [place(at) for at in hint[name]] for name in ("stroke", "polygon") if name in hint}
    if "point" in hint:
        moved["point"] = place(hint["point"])
    moved |= {name: hint[name] * (across * down) ** 0.5 for name in ("radius", "soft") if name in hint}
    return {**hint, **moved}


def _check(archive: Archive, name: str, document: Any, source: str) -> None:
    problem = archive.check_document(name, to_plain(document))
    if problem:
        raise SourceUnreadable(f"{source} does not fit schemas/{name}.schema.json: {problem}")
