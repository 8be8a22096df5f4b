"""Review: a person says whether a derivative may be used; the verdict is an event of the log and changes no file.

Only derivatives are reviewed. A master is what the camera or scanner gave: there is nothing in it to approve.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from archive_restore.core.refs import AnyRef
from archive_restore.core.reviews import REVIEW, review_line, review_words, state_of
from archive_restore.errors import UsageError
from archive_restore.flows.browse import resolve
from archive_restore.flows.commit import event, tell_events
from archive_restore.ports import Archive
from archive_restore.records.objects import MasterRef
from archive_restore.records.reviews import ReviewState, ReviewWord


@dataclass(frozen=True, kw_only=True)
class Reviewed:
    """What a review changed."""

    ref: str
    """With its version."""
    before: ReviewState
    now: ReviewState


def review(archive: Archive, text: str, verdict: ReviewWord, *, by: str, note: str) -> Reviewed:
    """Record a verdict on the version that a REF means; a later one takes its place and all stay in the log.

    Raise ReferenceUnknown where there is none, UsageError for a master and for words that do not fit.
    """
    ref = resolve(archive, text)
    if isinstance(ref, MasterRef):
        raise UsageError(
            f"{text!r} is a master: it is kept as it came in, and there is nothing to approve",
            hint="Review a derivative: ITEM/KIND or ITEM/KIND@VERSION",
        )
    outcome, detail, agent = review_words(verdict, by, note)
    before = review_state(archive, ref)
    told = replace(event(archive, REVIEW, str(ref), detail), outcome=outcome, agent=agent)
    tell_events(archive, [told])
    return Reviewed(ref=str(ref), before=before, now=state_of([told]))


def review_state(archive: Archive, ref: AnyRef) -> ReviewState:
    """Where a version stands; a master is never reviewed and stays a draft."""
    return state_of(archive.catalog.events(str(ref)))


def review_problem(archive: Archive, ref: AnyRef, *, approved_only: bool = True, rejected_too: bool = False) -> str:
    """Say why a version does not leave the archive because of its review; empty where it may.

    Masters, which nobody reviews, always may; with `approved_only` only what was approved, else all but what was
    rejected, and with `rejected_too` that too.
    """
    state = review_state(archive, ref)
    if isinstance(ref, MasterRef) or state.state is ReviewWord.APPROVED:
        return ""
    if state.state is ReviewWord.REJECTED and not rejected_too:
        return f"it was {review_line(state)}"
    return f"it is not approved: {review_line(state)}" if approved_only else ""
