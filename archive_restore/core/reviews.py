"""Reviews as events of the log, and the state that follows from them. Pure.

PREMIS has no event type of its own for a person's verdict; `appraisal`, whether something is accepted or rejected, is
the nearest word of its vocabulary. The verdict is the event's outcome, the person its agent.
"""

from __future__ import annotations

from collections.abc import Iterable

from archive_restore.core.labels import plain_text
from archive_restore.errors import UsageError
from archive_restore.records.provenance import Event
from archive_restore.records.reviews import ReviewState, ReviewWord

REVIEW = "appraisal"
"""PREMIS event type of a review."""
LONGEST_NAME, LONGEST_NOTE = 200, 2000
"""Characters."""
_OUTCOMES = {ReviewWord.APPROVED: "success", ReviewWord.REJECTED: "failure"}


def review_words(verdict: ReviewWord, by: str, note: str) -> tuple[str, str, str]:
    """(outcome, detail, agent) of the event of a review: plain lines, whatever was typed; raise UsageError."""
    name, said = plain_text(by), plain_text(note)
    if not name:
        raise UsageError("a review needs the name of who made it", hint="Add --by NAME")
    if len(name) > LONGEST_NAME:
        raise UsageError(f"the name of a reviewer has {LONGEST_NAME} characters at most", hint="Shorten it")
    if len(said) > LONGEST_NOTE:
        raise UsageError(f"the note of a review has {LONGEST_NOTE} characters at most", hint="Shorten it")
    return _OUTCOMES[verdict], f"{verdict.value}: {said}" if said else verdict.value, name


def state_of(events: Iterable[Event]) -> ReviewState:
    """What the latest review among the events of a version says."""
    state = ReviewState()
    for event in events:
        if event.type == REVIEW:
            word = word_of(event.outcome)
            note = event.detail.removeprefix(word.value).removeprefix(": ")
            state = ReviewState(state=word, by=event.agent, when=event.date_time, note=note)
    return state


def word_of(outcome: str) -> ReviewWord:
    """The verdict of a review by its outcome; what is not clearly an approval is none."""
    return ReviewWord.APPROVED if outcome == "success" else ReviewWord.REJECTED


def review_line(state: ReviewState) -> str:
    """One line for people: `approved by A. Miller, 2026-11-27T09:00:00Z: as agreed`."""
    if state.state is ReviewWord.DRAFT:
        return "draft, not reviewed"
    told = f"{state.state.value} by {state.by}, {state.when}"
    return f"{told}: {state.note}" if state.note else told
