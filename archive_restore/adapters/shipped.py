"""What ships beside the code: JSON Schemas, models, palettes, the demonstration photograph.

An installed package carries them inside itself, a checkout at its top level.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from archive_restore.records.provenance import Json


def shipped(folder: str) -> Path:
    """The directory `schemas` or `models`, wherever this installation has it."""
    package = Path(str(resources.files("archive_restore")))
    inside = package / "_shipped" / folder
    return inside if inside.is_dir() else package.parent / folder


def demonstration() -> Path:
    """The folder with the photograph of `demo`, its source and licence."""
    return Path(str(resources.files("archive_restore"))) / "demonstration"


@functools.cache
def palettes() -> tuple[Mapping[str, Any], ...]:
    """The palettes of ours, in order of their identifiers; each fits `schemas/palette.schema.json`."""
    folder = Path(str(resources.files("archive_restore"))) / "palettes"
    return tuple(json.loads(path.read_bytes()) for path in sorted(folder.glob("*.json")))


@functools.cache
def pieces() -> tuple[Mapping[str, Any], ...]:
    """The backing pieces of ours, in order of their identifiers; each fits `schemas/music.schema.json`."""
    folder = Path(str(resources.files("archive_restore"))) / "music"
    return tuple(json.loads(path.read_bytes()) for path in sorted(folder.glob("*.json")))


_LONGEST = 300  # characters of a problem


@functools.cache
def schema(name: str) -> Mapping[str, Any]:
    """A JSON Schema of ours by name, for instance `recipe`."""
    loaded: Mapping[str, Any] = json.loads((shipped("schemas") / f"{name}.schema.json").read_bytes())
    return loaded


def check_document(name: str, data: object) -> str:
    """Hold data against `schemas/<name>.schema.json`; a sentence for the first problem, or an empty string."""
    return _first_problem(schema(name), data)


def check_parameters(properties: Mapping[str, Any], parameters: Mapping[str, Json]) -> str:
    """Hold a step's parameters against its own JSON Schema properties."""
    return _first_problem({"type": "object", "properties": dict(properties)}, dict(parameters))


def _first_problem(rules: Mapping[str, Any], data: object) -> str:
    from jsonschema import Draft202012Validator

    problems = sorted(Draft202012Validator(rules).iter_errors(data), key=lambda e: list(map(str, e.absolute_path)))
    if not problems:
        return ""
    first = problems[0]
    place, says = ".".join(str(part) for part in first.absolute_path), first.message
    meant = first.schema.get("description") if first.validator == "pattern" else None
    if meant:  # which says more than a regular expression
        says = f"{first.instance!r} is not as it should be: {str(meant).rstrip('.')}"
    if len(says) > _LONGEST:  # it repeats what was wrong, and ends in why
        says = f"{says[: _LONGEST // 2]} … {says[-_LONGEST // 2 :]}"
    return f"{place}: {says}" if place else says
