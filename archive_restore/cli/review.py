"""`review`."""

from __future__ import annotations

import click

from archive_restore.cli.output import Session, printable


@click.command("review")
@click.argument("ref")
@click.option("--approve", is_flag=True, help="This version may be used.")
@click.option("--reject", is_flag=True, help="This version must not be used as it is.")
@click.option(
    "--by", required=True, metavar="NAME", help="Who says so; goes into the log and the credentials of copies."
)
@click.option("--note", default="", metavar="TEXT", help="Why; goes where the name goes.")
@click.pass_obj
def review_command(session: Session, ref: str, approve: bool, reject: bool, by: str, note: str) -> int:
    """Approve or reject a version of a derivative; the log keeps every verdict, and the latest one counts.

    A version that nobody reviewed is a draft. Exports say who approved; a rejected version is not exported.
    """
    from archive_restore.core.reviews import review_line
    from archive_restore.errors import UsageError
    from archive_restore.flows.review import review
    from archive_restore.records.reviews import ReviewWord

    if approve == reject:
        raise UsageError("say what the verdict is", hint="Add --approve or --reject")
    verdict = ReviewWord.APPROVED if approve else ReviewWord.REJECTED
    with session.open(write=True) as archive:
        done = review(archive, ref, verdict, by=by, note=note)
    session.result({"ref": done.ref, "before": done.before, "now": done.now})
    session.say(f"{done.ref}: {printable(review_line(done.now))}")
    session.say(f"  before: {printable(review_line(done.before))}")
    return 0
