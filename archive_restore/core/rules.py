"""Rules for what people hand in: rows of a metadata CSV become descriptions, or findings with line numbers.

Columns are the fifteen Dublin Core elements (DCMES 1.1) plus `file`, `item_id`, `rights` and `source_type`;
anything else is kept. A cell is data, never a formula or a path to follow.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import PurePosixPath

from archive_restore.core.refs import identifier_problem
from archive_restore.records.findings import Finding, Severity
from archive_restore.records.objects import Description, SourceType

KNOWN_COLUMNS = frozenset(f.name for f in fields(Description)) - {"extra"}
MAX_CELL = 100_000
"""Characters in a cell beyond which a row is refused."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One usable row."""

    line: int
    """Line of the CSV on which the row ends, from 1."""
    file: str
    """As written: a file name, or a path relative to the folder that is ingested."""
    item_id: str
    """Empty where the file name decides."""
    description: Description


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """A whole metadata CSV."""

    by_file: Mapping[str, Row]
    """Usable rows by their `file` cell in the form of `as_path`."""
    findings: tuple[Finding, ...]
    refused: Mapping[str, Finding]
    """Files that a bad row names: they wait until the row is mended."""
    broken: Finding | None = None
    """A fault of the sheet as a whole, one of `findings`: who knows which files it was to describe."""


def read_sheet(data: bytes, subject: str) -> Sheet:
    """Read a metadata CSV; never raises, every bad row is a finding that names its line.

    A sheet with a fault as a whole holds the rows before it; `broken` says so.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = data[: exc.start].count(b"\n") + 1
        return _nothing(_error("CSV_NOT_UTF8", subject, line, "is not UTF-8; save it as UTF-8 and try again"))
    if "\x00" in text:
        line = text[: text.index("\x00")].count("\n") + 1
        return _nothing(_error("CSV_MALFORMED", subject, line, "holds a NUL character"))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    try:
        header = [name.strip().lower().removeprefix("dc:").removeprefix("dc.") for name in next(reader)]
    except StopIteration:
        return _nothing(_error("CSV_EMPTY", subject, 1, "has no header row"))
    except csv.Error as exc:
        return _nothing(_error("CSV_MALFORMED", subject, reader.line_num, f"breaks off: {exc}"))
    if "file" not in header:
        header = ["file" if name == "filename" else name for name in header]
    if "file" not in header:
        return _nothing(_error("CSV_NO_FILE_COLUMN", subject, 1, "has no column 'file'"))
    repeated = sorted({name for name in header if name and header.count(name) > 1})
    if repeated:
        return _nothing(_error("CSV_COLUMN_REPEATED", subject, 1, f"has the column {repeated[0]!r} twice"))
    return _read_rows(reader, header, subject)


def find_row(sheet: Sheet, name: str, relative: str) -> Row | None:
    """The row for a file: by its path relative to the ingested folder first, then by its bare name."""
    return sheet.by_file.get(relative) or sheet.by_file.get(name)


def as_path(file: str) -> str:
    """A `file` cell in the form files are looked up by: slashes, no leading `./`."""
    return str(PurePosixPath(file.replace("\\", "/")))


def _read_rows(reader: Iterator[list[str]], header: list[str], subject: str) -> Sheet:
    rows: dict[str, Row] = {}
    findings: list[Finding] = []
    refused: dict[str, Finding] = {}
    files: dict[str, int] = {}
    identifiers: dict[str, int] = {}
    broken: Finding | None = None
    line = 1
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            break
        except csv.Error as exc:
            broken = _error("CSV_MALFORMED", subject, getattr(reader, "line_num", line), f"breaks off: {exc}")
            break
        line = getattr(reader, "line_num", line + 1)
        if not any(cell.strip() for cell in cells):
            continue
        values = dict(zip(header, (cell.strip() for cell in cells), strict=False))
        problem = _row_problem(cells, header, values, subject, line, files, identifiers)
        if problem is not None:
            findings.append(problem)
            if values.get("file"):
                refused[as_path(values["file"])] = problem
            if problem.code == "CSV_FILE_UNSAFE":
                refused[PurePosixPath(as_path(values["file"])).name] = problem
            continue
        findings.extend(_formula_cells(values, subject, line))
        files[as_path(values["file"])] = line
        if values.get("item_id"):
            identifiers[values["item_id"]] = line
        rows[as_path(values["file"])] = _row(values, line)
    if broken is None and not rows and not findings:
        broken = _error("CSV_EMPTY", subject, line, "is the header, and no row follows")
    if broken is not None:
        findings.append(broken)
    return Sheet(by_file=rows, findings=tuple(findings), refused=refused, broken=broken)


def _row_problem(
    cells: list[str],
    header: list[str],
    values: Mapping[str, str],
    subject: str,
    line: int,
    files: Mapping[str, int],
    identifiers: Mapping[str, int],
) -> Finding | None:
    if len(cells) != len(header):
        return _error("CSV_ROW_LENGTH", subject, line, f"has {len(cells)} cells where the header has {len(header)}")
    if max(map(len, cells)) > MAX_CELL:
        return _error("CSV_CELL_TOO_LONG", subject, line, f"has a cell of more than {MAX_CELL} characters")
    file = values["file"]
    if not file:
        return _error("CSV_FILE_EMPTY", subject, line, "names no file")
    path = PurePosixPath(file.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or (len(file) > 1 and file[1] == ":"):
        return _error("CSV_FILE_UNSAFE", subject, line, f"names {file!r}, which leaves the ingested folder")
    if as_path(file) in files:
        return _error("CSV_FILE_REPEATED", subject, line, f"names {file!r}, as line {files[as_path(file)]} does")
    item_id = values.get("item_id", "")
    if item_id and identifier_problem(item_id):
        return _error("CSV_ITEM_ID_INVALID", subject, line, f"item_id {item_id!r} {identifier_problem(item_id)}")
    if item_id and item_id in identifiers:
        return _error(
            "CSV_ITEM_ID_REPEATED", subject, line, f"gives item_id {item_id!r}, as line {identifiers[item_id]} does"
        )
    source_type = values.get("source_type", "")
    if source_type and source_type not in set(SourceType):
        words = ", ".join(SourceType)
        return _error("CSV_SOURCE_TYPE_UNKNOWN", subject, line, f"source_type {source_type!r} is none of {words}")
    return None


def _formula_cells(values: Mapping[str, str], subject: str, line: int) -> Iterator[Finding]:
    for name, value in values.items():
        if value[:1] in ("=", "@", "\t", "\r") or (value[:1] in ("+", "-") and any(c in value for c in "(!|")):
            yield Finding(
                code="CSV_FORMULA_CELL",
                severity=Severity.WARNING,
                subject=f"{subject} line {line}",
                message=f"Column {name!r} holds {value[:40]!r}, which a spreadsheet would run; kept as plain text.",
                clause="CWE-1236",
            )


def _row(values: Mapping[str, str], line: int) -> Row:
    known = {name: values[name] for name in KNOWN_COLUMNS if name != "source_type" and values.get(name)}
    extra = {name: value for name, value in values.items() if value and name not in (*KNOWN_COLUMNS, "file", "item_id")}
    source_type = SourceType(values["source_type"]) if values.get("source_type") else None
    return Row(
        line=line,
        file=values["file"],
        item_id=values.get("item_id", ""),
        description=Description(**known, source_type=source_type, extra=extra),
    )


def _delimiter(text: str) -> str:
    # Spreadsheets of many countries write semicolons; the header row tells, since no Dublin Core name holds one.
    header = text.split("\n", 1)[0]
    return max((",", ";", "\t"), key=header.count)


def _error(code: str, subject: str, line: int, message: str) -> Finding:
    return Finding(
        code=code,
        severity=Severity.ERROR,
        subject=f"{subject} line {line}",
        message=f"Line {line} {message}.",
        clause="RFC 4180",
    )


def _nothing(finding: Finding) -> Sheet:
    return Sheet(by_file={}, findings=(finding,), refused={}, broken=finding)
