"""`music`: the backing pieces that `animate --music` plays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from archive_restore.cli.output import Session, printable

_LEFT_OUT = ("key", "meter", "unit", "beat", "tempo", "accompaniment", "tune")


@click.group("music")
def music_command() -> None:
    """List and show backing pieces: whose they are, why they are free, and which pictures they suit."""


@music_command.command("list")
@click.pass_obj
def music_list(session: Session) -> int:
    """List the backing pieces: composer, date, what they suit, and how they were first published."""
    from archive_restore.adapters.shipped import pieces

    known = pieces()
    session.result({"pieces": [{name: piece[name] for name in piece if name not in _LEFT_OUT} for piece in known]})
    for piece in known:
        session.say(printable(f"{piece['id']}: {piece['title']} ({piece['kind']}), {_by(piece)}"))
        session.say(printable(f"  first published {piece['first_published']['year']}; suits {_suits(piece)}"))
    return 0


@music_command.command("show")
@click.argument("name")
@click.pass_obj
def music_show(session: Session, name: str) -> int:
    """Show one piece: why nobody's rights are touched, and its score."""
    from archive_restore.adapters.shipped import pieces
    from archive_restore.core.score import perform
    from archive_restore.errors import UsageError

    piece = next((piece for piece in pieces() if piece["id"] == name), None)
    if piece is None:
        raise UsageError(f"there is no backing piece {name!r}", hint="See: archive-restore music list")
    lasts = round(perform(piece).seconds, 1)
    session.result({**piece, "seconds": lasts})
    first = piece["first_published"]
    for line in (
        f"{piece['title']} ({piece['kind']})",
        f"by         {_by(piece)}",
        f"published  {first['year']}: {first['where']}",
        f"free       {piece['free']}",
        f"suits      {_suits(piece)}",
        f"lasts      {lasts} s, then it begins again",
        "",
        *piece["tune"],
    ):
        session.say(printable(line))
    return 0


def _by(piece: Mapping[str, Any]) -> str:
    return f"{piece['composer']} ({piece['lived']})" if piece["lived"] else str(piece["composer"])


def _suits(piece: Mapping[str, Any]) -> str:
    first, last = piece["suits"]["years"]
    places = ", ".join("anywhere" if code == "*" else code for code in piece["suits"]["regions"])
    return f"{first}–{last}: {places}"
