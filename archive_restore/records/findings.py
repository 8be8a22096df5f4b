"""Findings: expected problems, told as data instead of exceptions.

"Could not be checked" is a finding too, never silence. Codes are stable words that scripts may match on;
`clause` cites the rule of the standard that was broken.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How much a finding matters."""

    ERROR = "error"
    """Something is wrong, or a claim does not hold."""
    WARNING = "warning"
    """Usable, but somebody should look."""
    INFO = "info"
    """Worth knowing."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was found about one subject."""

    code: str
    """Stable upper-case word, for instance `TIFF_IFD_LOOP`."""
    severity: Severity
    """error, warning or info."""
    subject: str
    """What it is about: a REF, or a path as the user gave it."""
    message: str
    """One sentence in plain words, saying what to do where something can be done."""
    clause: str = ""
    """The clause of the standard, for instance `TIFF 6.0 §2`; empty where none applies."""


def has_errors(findings: Iterable[Finding]) -> bool:
    """Say whether any finding is of severity error."""
    return any(finding.severity is Severity.ERROR for finding in findings)
