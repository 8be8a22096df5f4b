"""What a bag says of its pictures: bag-info, Dublin Core and records of archives like ours become descriptions.

Of several sources that say the same element the nearest to the picture counts: the record kept beside it, then its row
of a metadata.csv, then Dublin Core of the bag, then bag-info.txt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import PurePosixPath

from archive_restore.core.refs import identifier_problem
from archive_restore.core.rules import Row, Sheet
from archive_restore.records.findings import Finding
from archive_restore.records.objects import Description

DUBLIN_CORE = tuple(field.name for field in fields(Description) if field.name not in ("source_type", "extra"))
"""The fifteen elements (DCMES 1.1)."""
_ENVELOPE = frozenset({"payload-oxum", "bag-size", "bagging-date", "bagging-software-agent", "bagging-software"})
"""Elements of bag-info.txt that describe the bag and not what is in it; they are left behind."""


def describe(info: Sequence[tuple[str, str]], dublin_core: Mapping[str, str], *, alone: bool) -> Description:
    """The description that a bag gives each of its pictures; `alone` where it holds exactly one.

    A bag's identifier and description are those of its picture only where there is one; otherwise, as all other
    elements, they are kept under their own labels.
    """
    values: dict[str, str] = {}
    extra: dict[str, str] = {}
    for label, value in info:
        word = label.lower()
        if not value or word in _ENVELOPE:
            continue
        if alone and word in ("external-identifier", "external-description"):
            _add(values, "identifier" if word == "external-identifier" else "description", value)
        else:
            _add(extra, label, value)
    said = {name: value for name, value in dublin_core.items() if name in DUBLIN_CORE and value}
    if alone:
        values |= said
    else:
        extra |= {f"dc:{name}": value for name, value in said.items()}
    return Description(**values, source_type=None, extra=extra)


def _add(values: dict[str, str], name: str, value: str) -> None:
    values[name] = f"{values[name]}; {value}" if name in values else value


def merged(nearer: Description, farther: Description) -> Description:
    """One description of two: elements that `nearer` leaves open are taken from `farther`."""
    taken = {name: getattr(farther, name) for name in DUBLIN_CORE if not getattr(nearer, name)}
    source_type = nearer.source_type or farther.source_type
    return replace(nearer, **taken, source_type=source_type, extra={**farther.extra, **nearer.extra})


def bag_identifier(info: Sequence[tuple[str, str]]) -> tuple[str, str]:
    """(External-Identifier, why it cannot be an item identifier); both empty where there is none."""
    for label, value in info:
        if label.lower() == "external-identifier" and value:
            return value, identifier_problem(value)
    return "", ""


def names_of(path: str) -> tuple[str, ...]:
    """What a row of a metadata.csv in a bag may call a payload file: `data/box/a.tif`, `box/a.tif`, `a.tif`."""
    return path, path.removeprefix("data/"), PurePosixPath(path).name


def sheet_row(sheet: Sheet, path: str) -> tuple[Row | None, Finding | None]:
    """The row of a payload file, or why its row cannot be used."""
    for name in names_of(path):
        if name in sheet.refused:
            return None, sheet.refused[name]
    return next((sheet.by_file[name] for name in names_of(path) if name in sheet.by_file), None), None
