"""Gathers what the checks of one file find, one finding a code, so that a hostile file cannot flood the report.

The first finding of a code keeps its words; later ones of the same code are counted.
"""

from __future__ import annotations

from dataclasses import replace

from archive_restore.records.findings import Finding, Severity


class FindingList:
    """Findings about one subject, in the order in which they were first seen."""

    def __init__(self, subject: str, *, may_be_blank: bool = False) -> None:
        """Gather for the subject as the user named it.

        `may_be_blank`: it is no scan that comes in but a picture to be read in bounded memory, such as a map that is
        nearly all zeros; emptiness is then no sign of a bomb.
        """
        self.may_be_blank = may_be_blank
        self._subject = subject
        self._first: dict[str, Finding] = {}
        self._more: dict[str, int] = {}

    def error(self, code: str, message: str, clause: str = "") -> None:
        """Note something that keeps the file out."""
        self._add(code, Severity.ERROR, message, clause)

    def warning(self, code: str, message: str, clause: str = "") -> None:
        """Note something that somebody should look at."""
        self._add(code, Severity.WARNING, message, clause)

    def info(self, code: str, message: str, clause: str = "") -> None:
        """Note something worth knowing."""
        self._add(code, Severity.INFO, message, clause)

    def _add(self, code: str, severity: Severity, message: str, clause: str) -> None:
        seen = self._first.get(code)
        if seen is None:
            self._first[code] = Finding(
                code=code, severity=severity, subject=self._subject, message=" ".join(message.split()), clause=clause
            )
            return
        self._more[code] = self._more.get(code, 0) + 1
        if severity is Severity.ERROR and seen.severity is not Severity.ERROR:
            self._first[code] = replace(seen, severity=severity, message=" ".join(message.split()), clause=clause)

    @property
    def failed(self) -> bool:
        """Whether anything of severity error was found so far."""
        return any(finding.severity is Severity.ERROR for finding in self._first.values())

    def first_error(self) -> str:
        """Message of the first error; empty where there is none."""
        return next((f.message for f in self._first.values() if f.severity is Severity.ERROR), "")

    def findings(self) -> tuple[Finding, ...]:
        """Everything found; repeated codes say how often."""
        result = []
        for code, finding in self._first.items():
            more = self._more.get(code, 0)
            text = f"{finding.message} (and {more} more of this kind)" if more else finding.message
            result.append(replace(finding, message=text))
        return tuple(result)
