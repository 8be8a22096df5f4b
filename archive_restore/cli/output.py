"""What commands share: the session of one call, its output, progress, and reading of REFs."""

from __future__ import annotations

import json
import re
import signal
import threading
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from archive_restore.core.canonical import to_plain
from archive_restore.records.findings import Finding, Severity

device_option = click.option(
    "--device", default="auto", show_default=True, type=click.Choice(["auto", "cpu", "cuda", "mps"]),
    help="Where trained models run; auto takes a graphics processor where there is one.",
)  # fmt: skip
"""For commands that make pixels."""
_UNSEEN = re.compile(
    "[\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
"""Characters that JSON leaves as they are (RFC 8259 §7) and that do more than show themselves."""
_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.INFO: "blue"}


def too_late() -> None:
    """Who interrupts from here on is not heard: all is done, and two documents on stdout would be none."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)


@dataclass(frozen=True, kw_only=True)
class Session:
    """Options that hold for every command."""

    archive_dir: Path | None
    as_json: bool
    verbose: bool
    quiet: bool

    def open(self, *, write: bool) -> Any:
        """Context of the open archive (archive_restore.app.open_archive)."""
        from archive_restore.app import open_archive

        return open_archive(self.archive_dir, write=write, passphrase_prompt=self.prompt)

    def say(self, text: str = "") -> None:
        """One line for people; silent with --json and -q."""
        if not self.as_json and not self.quiet:
            click.echo(text)

    def result(self, value: object) -> None:
        """The machine's answer; only with --json."""
        if self.as_json:
            text = escaped_json(json.dumps(to_plain(value), ensure_ascii=False, indent=2))
            too_late()
            click.echo(text)

    def findings(self, findings: Iterable[Finding]) -> None:
        """One line a finding, for people."""
        if self.as_json:
            return
        for finding in findings:
            if self.quiet and finding.severity is not Severity.ERROR:
                continue
            word = click.style(finding.severity.value, fg=_COLOURS[finding.severity])
            clause = f" [{finding.clause}]" if finding.clause else ""
            click.echo(f"{word} {finding.code} {printable(finding.subject)}: {printable(finding.message)}{clause}")

    @contextmanager
    def progress(self, total: int, what: str) -> Iterator[Progress]:
        """A bar on stderr with rate and time left, only on a terminal."""
        import sys

        if self.quiet or self.as_json or not sys.stderr.isatty():
            yield Progress()
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = (
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"), TimeRemainingColumn(),
        )  # fmt: skip
        with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(what, total=total, rate="")
            yield _Shown(bar, task)

    @staticmethod
    def prompt(what: str = "Passphrase of the archive's keys") -> str:
        """Ask for a passphrase; empty where nobody can be asked."""
        import sys

        if not sys.stdin.isatty():
            return ""
        answer: str = click.prompt(what, hide_input=True, err=True)
        return answer


class Progress:
    """Counts finished work; this one shows nothing."""

    def step(self, label: str = "", size: int = 0) -> None:
        """One piece of work is done; `size` in bytes where that means something."""


class _Shown(Progress):
    def __init__(self, bar: Any, task: Any) -> None:
        import time

        self._bar, self._task, self._bytes = bar, task, 0
        self._clock, self._start = time.monotonic, time.monotonic()

    def step(self, label: str = "", size: int = 0) -> None:
        """Move the bar."""
        self._bytes += size
        seconds = max(self._clock() - self._start, 1e-6)
        rate = f"{self._bytes / seconds / 1e6:.0f} MB/s" if self._bytes else ""
        self._bar.update(self._task, advance=1, rate=rate)


def say_rest(session: Session, unchanged: Iterable[str], failed: Collection[tuple[str, str]]) -> int:
    """What of a batch was already made, and what failed, on standard error; the exit code."""
    for ref in unchanged:
        session.say(f"{ref} is already made so")
    for ref, error in failed:
        click.echo(f"failed {printable(ref)}: {printable(error)}", err=True)
    return 1 if failed else 0


def escaped_json(text: str) -> str:
    """JSON that says the same and holds nothing that a terminal obeys: controls and what turns text around escaped."""
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def printable(text: str) -> str:
    """Escape what would move a terminal's cursor or break a line."""
    return "".join(ch if ch.isprintable() else ch.encode("unicode_escape", "backslashreplace").decode() for ch in text)
