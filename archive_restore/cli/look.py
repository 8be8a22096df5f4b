"""`list`, `show` and `search`: reading only."""

from __future__ import annotations

from collections.abc import Iterable

import click

from archive_restore.cli.output import Session, printable
from archive_restore.ports import ItemRow

LONGEST = 100
"""Characters of a title or date in a list; `show` has the whole."""


@click.command("list")
@click.pass_obj
def list_command(session: Session) -> int:
    """List items and their derivatives, ordered by item."""
    with session.open(write=False) as archive:
        return _rows(session, archive.catalog.items())


@click.command("search")
@click.argument("text")
@click.pass_obj
def search_command(session: Session, text: str) -> int:
    """Find items whose description holds all the words of TEXT."""
    with session.open(write=False) as archive:
        return _rows(session, archive.catalog.items(text))


@click.command("show")
@click.argument("ref")
@click.pass_obj
def show_command(session: Session, ref: str) -> int:
    """Show everything about REF: ITEM, ITEM/restoration or ITEM/restoration@2."""
    from archive_restore.flows.browse import show

    with session.open(write=False) as archive:
        shown = show(archive, ref)
    session.result(shown)
    for line in shown.lines():
        session.say(printable(line))
    return 0


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _rows(session: Session, rows: Iterable[ItemRow]) -> int:
    shown = list(rows)
    session.result({"items": shown})
    for row in shown:
        made = ", ".join(_reviewed(ref, row) for ref in row.derivatives) or "no derivatives"
        size = f"{row.width}×{row.height}" if row.width else "bytes only"
        title, date = _short(row.title) or "(untitled)", _short(row.date)
        session.say(printable(f"{row.item_id}  {title}  {date}  {size}  {made}"))
    session.say(f"{len(shown)} item{'' if len(shown) == 1 else 's'}")
    return 0


def _reviewed(ref: str, row: ItemRow) -> str:
    return f"{ref} ({row.reviews[ref].value})" if ref in row.reviews else ref
