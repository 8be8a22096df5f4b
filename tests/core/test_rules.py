"""Metadata sheets: good rows become descriptions, bad ones findings that name their line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive_restore.core.rules import find_row, read_sheet
from archive_restore.records.findings import Severity
from archive_restore.records.objects import SourceType


def codes(text: str | bytes) -> list[str]:
    data = text if isinstance(text, bytes) else text.encode()
    return [f"{f.code}@{f.subject.rsplit(' ', 1)[-1]}" for f in read_sheet(data, "m.csv").findings]


def test_a_good_row():
    sheet = read_sheet(
        b"file,item_id,title,dc:creator,source_type,shelf\nbox/1.tif,N-1,Mother,Lange,negativeFilm,12\n", "m"
    )
    row = find_row(sheet, "1.tif", "box/1.tif")
    assert (row.item_id, row.line) == ("N-1", 2)
    assert (row.description.title, row.description.creator) == ("Mother", "Lange")
    assert row.description.source_type is SourceType.NEGATIVE_FILM
    assert row.description.extra == {"shelf": "12"}


def test_a_bare_name_serves_where_no_path_does():
    sheet = read_sheet(b"file,title\n1.tif,any\nb/1.tif,b\n", "m")
    assert find_row(sheet, "1.tif", "b/1.tif").description.title == "b"
    assert find_row(sheet, "1.tif", "a/1.tif").description.title == "any"
    assert find_row(sheet, "2.tif", "2.tif") is None


def test_spreadsheets_of_other_countries():
    assert (
        find_row(read_sheet("\ufefffile;title\n1.tif;Über\n".encode(), "m"), "1.tif", "1.tif").description.title
        == "Über"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "CSV_EMPTY@1"),
        ("file,title\n\n", "CSV_EMPTY@2"),
        ('file,"title\na.tif,x\n', "CSV_MALFORMED@2"),
        ("title\nx\n", "CSV_NO_FILE_COLUMN@1"),
        ("file,file\na,b\n", "CSV_COLUMN_REPEATED@1"),
        (b"file,title\na.tif,\xff\n", "CSV_NOT_UTF8@2"),
        ("file\na\x00.tif\n", "CSV_MALFORMED@2"),
        ('file\n"a.tif\n', "CSV_MALFORMED@2"),
        ("file,title\na.tif\n", "CSV_ROW_LENGTH@2"),
        ("file,title\n,x\n", "CSV_FILE_EMPTY@2"),
        ("file,title\n../a.tif,x\n", "CSV_FILE_UNSAFE@2"),
        ("file,title\n/etc/passwd,x\n", "CSV_FILE_UNSAFE@2"),
        ("file,title\nC:\\a.tif,x\n", "CSV_FILE_UNSAFE@2"),
        ("file,title\na.tif,x\n./a.tif,y\n", "CSV_FILE_REPEATED@3"),
        ("file,item_id\na.tif,../x\n", "CSV_ITEM_ID_INVALID@2"),
        ("file,item_id\na.tif,x\nb.tif,x\n", "CSV_ITEM_ID_REPEATED@3"),
        ("file,source_type\na.tif,painting\n", "CSV_SOURCE_TYPE_UNKNOWN@2"),
        ("file,title\na.tif," + "x" * 100_001 + "\n", "CSV_CELL_TOO_LONG@2"),
        ("file,title\na.tif,\"=cmd|' /C calc'!A0\"\n", "CSV_FORMULA_CELL@2"),
    ],
)
def test_bad_rows_are_named_with_their_line(text, expected):
    assert codes(text) == [expected]


def test_a_formula_is_kept_as_text_and_warned_of():
    sheet = read_sheet(b"file,title\na.tif,=1+1\n", "m")
    assert [f.severity for f in sheet.findings] == [Severity.WARNING]
    assert find_row(sheet, "a.tif", "a.tif").description.title == "=1+1"


def test_a_bad_row_keeps_its_file_waiting():
    sheet = read_sheet(b"file,item_id\na.tif,a/b\nc.tif,c\n", "m")
    assert set(sheet.refused) == {"a.tif"}
    assert set(sheet.by_file) == {"c.tif"}


@given(st.binary(max_size=400))
def test_no_bytes_make_it_raise(data):
    read_sheet(data, "m")
    read_sheet(b"file,item_id,title\n" + data, "m")
