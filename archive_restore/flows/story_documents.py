"""What people hand in for stories: colour hints, gathered from the command line and from files into one document."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from archive_restore.core.canonical import canonical_bytes
from archive_restore.core.story_recipes import parse_hint
from archive_restore.errors import SourceUnreadable


def hints_document(hints: Sequence[str], path: Path | None, *, author: str, reason: str) -> dict[str, str]:
    """One hints document from `X,Y=COLOUR` words and a file, as JSON by the name `hints`; nothing where none is given.

    Words get the author and reason of the command. Raise UsageError, SourceUnreadable.
    """
    if not hints and path is None:
        return {}
    document: dict[str, object] = {"hints": []}
    if path is not None:
        try:
            document = json.loads(path.read_bytes())
        except (OSError, ValueError, RecursionError) as exc:
            raise SourceUnreadable(f"the hints {path.name!r} cannot be read: {exc}") from exc
    said = {key: value for key, value in (("author", author), ("reason", reason)) if value}
    given = document.get("hints")
    document["hints"] = [*(given if isinstance(given, list) else []), *({**parse_hint(text), **said} for text in hints)]
    return {"hints": canonical_bytes(document).decode()}
