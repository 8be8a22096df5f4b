"""The text of a bag's tag files: BagIt 1.0 (RFC 8493). Pure formatting: whatever a value holds, it stays a value.

Labels and values come from descriptions that anybody may have written: line ends, control and invisible characters do
not reach a tag file, and no value can begin a line.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping

DECLARATION = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
"""bagit.txt (RFC 8493 §2.1.1)."""
WIDTH = 79
"""Longest line of bag-info.txt where the value has spaces to fold at (RFC 8493 §2.2.2)."""

_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_LABEL = re.compile(r"[^\s:\x00-\x1f](?:[^:\x00-\x1f]*[^\s:\x00-\x1f])?")


def plain(text: str) -> str:
    """One line without invisible characters, runs of white space as one space."""
    visible = "".join(" " if unicodedata.category(ch) in _INVISIBLE else ch for ch in text)
    return " ".join(visible.split())


def label_problem(label: str) -> str:
    """Say why a label cannot stand in bag-info.txt; empty where it can (RFC 8493 §2.2.2)."""
    if not label or plain(label) != label or not _LABEL.fullmatch(label):
        return "is empty, or holds a colon, an invisible character or a space at its ends"
    return ""


def bag_info(lines: Iterable[tuple[str, str]]) -> bytes:
    """bag-info.txt: one element a label and value, long ones folded at spaces; empty values are left out."""
    return "".join(_folded(label, plain(value)) for label, value in lines if plain(value)).encode()


def _folded(label: str, value: str) -> str:
    """Continued lines are indented; nothing but white space changes when they are joined again."""
    made, line = [], f"{label}:"
    for word in value.split(" "):
        if len(line) + 1 + len(word) > WIDTH and line.strip() and not line.endswith(":"):
            made.append(line)
            line = f"  {word}"
        else:
            line = f"{line} {word}"
    return "".join(f"{text}\n" for text in (*made, line))


def manifest(digests: Mapping[str, str]) -> bytes:
    """A payload or tag manifest: path to hexadecimal digest (RFC 8493 §2.1.3, §2.2.1)."""
    return "".join(f"{digest}  {encoded(path)}\n" for path, digest in sorted(digests.items())).encode()


def encoded(path: str) -> str:
    """A path as manifests write it: LF, CR and the percent sign percent-encoded, nothing else (RFC 8493 §2.1.3)."""
    return path.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
