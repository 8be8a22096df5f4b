"""Item identifiers and references: `NIPOMO-01`, `NIPOMO-01/restoration@2`, `NIPOMO-01/colorization`.

An identifier becomes an OCFL object id, a JSON key, a file name part and a word on a command line; what
would break any of them is refused here, once.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from archive_restore.errors import ReferenceUnknown
from archive_restore.records.objects import MAX_IDENTIFIER_BYTES, MasterRef
from archive_restore.records.preservation import PreservationKind, PreservationRef
from archive_restore.records.stories import StoryKind, StoryRef

AnyRef = MasterRef | PreservationRef | StoryRef

FORBIDDEN = frozenset('/@\\:*?"<>|')
"""Characters with a meaning in references, paths or on other systems' file systems."""


@dataclass(frozen=True, kw_only=True)
class ParsedRef:
    """A reference as typed: `version` is None where the newest is meant, `kind` where the master is."""

    item_id: str
    kind: PreservationKind | StoryKind | None = None
    version: int | None = None


def identifier_problem(item_id: str) -> str:
    """Say in words what is wrong with an item identifier; an empty string if nothing is."""
    if not item_id:
        return "is empty"
    if item_id != item_id.strip():
        return "begins or ends with a space"
    if any(unicodedata.category(ch) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp") for ch in item_id):
        return "holds a control or invisible character"
    found = sorted(FORBIDDEN & set(item_id))
    if found:
        return f"holds {found[0]!r}, which has another meaning in references"
    if item_id[0] in ".-":
        return f"begins with {item_id[0]!r}"
    if unicodedata.normalize("NFC", item_id) != item_id:
        return "is not in Unicode normalization form C"
    if len(item_id.encode()) > MAX_IDENTIFIER_BYTES:
        return f"is longer than {MAX_IDENTIFIER_BYTES} bytes"
    return ""


def identifier_from_name(stem: str) -> str:
    """Make an item identifier from a file name without its suffix; the result always passes the check."""
    text = unicodedata.normalize("NFC", stem.encode("utf-8", "replace").decode())
    kept = "".join("_" if identifier_problem(f"a{ch}a") else ch for ch in text).strip().lstrip(".-")
    while len(kept.encode()) > MAX_IDENTIFIER_BYTES:
        kept = kept[:-1]
    return kept.strip() or "unnamed"


def parse_ref(text: str) -> ParsedRef:
    """Read a reference as typed; raise ReferenceUnknown when it cannot be one."""
    body, at, version_text = text.partition("@")
    item_id, slash, kind_text = body.partition("/")
    problem = identifier_problem(item_id)
    if problem:
        raise ReferenceUnknown(f"the reference {text!r} {problem}", hint="Write ITEM, ITEM/KIND or ITEM/KIND@VERSION")
    kind: PreservationKind | StoryKind | None = None
    if slash:
        kind = _kind(kind_text, text)
    if at and kind is None:
        raise ReferenceUnknown(f"{text!r} gives a version of a master", hint="A master has only one; leave out the @")
    if not at:
        return ParsedRef(item_id=item_id, kind=kind)
    if not (version_text.isascii() and version_text.isdigit() and len(version_text) < 10 and int(version_text) > 0):
        raise ReferenceUnknown(f"{version_text!r} in {text!r} is not a version", hint="Versions count from 1")
    return ParsedRef(item_id=item_id, kind=kind, version=int(version_text))


def make_ref(item_id: str, kind: PreservationKind | StoryKind | None, version: int = 1) -> AnyRef:
    """Build the typed reference."""
    if kind is None:
        return MasterRef(item_id=item_id)
    if isinstance(kind, PreservationKind):
        return PreservationRef(item_id=item_id, kind=kind, version=version)
    return StoryRef(item_id=item_id, kind=kind, version=version)


def object_kind(object_id: str) -> tuple[str, PreservationKind | StoryKind | None]:
    """Split an OCFL object id into item identifier and kind (None for a master's object)."""
    item_id, slash, kind_text = object_id.partition("/")
    return item_id, _kind(kind_text, object_id) if slash else None


def _kind(word: str, text: str) -> PreservationKind | StoryKind:
    for kinds in (PreservationKind, StoryKind):
        try:
            return kinds(word)
        except ValueError:
            continue
    words = ", ".join(k.value for k in (*PreservationKind, *StoryKind))
    raise ReferenceUnknown(f"{word!r} in {text!r} is not a kind of derivative", hint=f"Kinds are {words}")
