"""Captions in files: what is read, and one clear line for what is not."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archive_restore.core.captions import Cue, read_captions
from archive_restore.errors import SourceUnreadable

SRT = """\ufeff1
00:00:01,000 --> 00:00:02,500
Boats in the <i>harbour</i>
of Nagasaki

2
00:00:02,500 --> 00:00:04,000 X1:10 X2:20
{\\an8}長崎 &amp; 港
"""
VTT = """WEBVTT - a title

NOTE nobody reads
this

STYLE
::cue { color: red }

intro
00:01.000 --> 00:02.500 line:0 align:start
<v Ada>Boats <c.loud>here</c></v>

01:00:03.000 --> 01:00:04.000
1 < 2
"""


def test_subrip_and_webvtt():
    assert read_captions(SRT.encode(), "c.srt") == (
        Cue(start=1000, end=2500, text="Boats in the harbour of Nagasaki"),
        Cue(start=2500, end=4000, text="長崎 & 港"),
    )
    assert read_captions(SRT.replace("\n", "\r\n").encode(), "c.srt") == read_captions(SRT.encode(), "c.srt")
    assert read_captions(VTT.encode(), "c.vtt") == (
        Cue(start=1000, end=2500, text="Boats here"),
        Cue(start=3_603_000, end=3_604_000, text="1 < 2"),
    )


def cue(start: str, end: str, text: str = "words") -> str:
    return f"{start} --> {end}\n{text}\n\n"


ONE = cue("00:00:01,000", "00:00:02,000")
BAD = {
    "nothing": ("", "no caption in it"),
    "only a head": ("WEBVTT\n", "no caption in it"),
    "ten thousand characters": (cue("00:00:00,000", "00:00:09,000", "x" * 10_000), "10000 characters, more than 200"),
    "out of order": (ONE + cue("00:00:00,000", "00:00:00,500"), "line 4: the caption begins before"),
    "two at once": (ONE + cue("00:00:01,500", "00:00:03,000"), "line 4: the caption begins before"),
    "ends before it begins": (cue("00:00:02,000", "00:00:01,000"), "line 1: the caption ends before it begins"),
    "no time": ("1\nhello\n", "line 2: a time like"),
    "no end": ("00:00:01,000 -->\nhello\n", "line 1: a time like"),
    "minute 99": (cue("00:99:01,000", "00:99:02,000"), "line 1: a time like"),
    "a NUL": (ONE + "\0", "NUL"),
    "too many": ("".join(cue(f"00:00:{n // 10:02},{n % 10}00", f"00:00:{n // 10:02},{n % 10}50") for n in range(501)),
                 "more than 500"),
    "a megabyte": ("x" * 1_100_000, "bytes"),
    "a web page": ("<html><script>alert(1)</script></html>", "line 2: a time like"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_captions_that_are_none(name: str):
    text, says = BAD[name]
    with pytest.raises(SourceUnreadable) as told:
        read_captions(text.encode(), "c.srt")
    assert says in str(told.value)
    assert "\n" not in str(told.value)
    assert len(str(told.value)) < 250


def test_other_letters_than_utf_8():
    with pytest.raises(SourceUnreadable, match=r"not UTF-8: byte 37.*Save them"):
        read_captions((ONE + "é").encode("latin-1"), "c.srt")


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("a\u202eb\u0000c\x1b[31m".replace("\0", ""), "abc[31m"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("e" + "\u0301" * 40, "é\u0301\u0301"[:3]),
        ("=1+1", "=1+1"),
    ],
)
def test_hostile_text_comes_out_as_plain_letters(text: str, read: str):
    (made,) = read_captions(cue("00:00:01,000", "00:00:02,000", text).encode(), "c.srt")
    assert made.text == read


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=300) | st.text("0123456789:,.->\n <", max_size=120))
def test_whatever_it_is_it_is_read_or_refused(text: str):
    try:
        cues = read_captions(text.encode("utf-8", "surrogatepass"), "c.srt")
    except SourceUnreadable as exc:
        assert "\n" not in str(exc)
    else:
        assert all(one.start < one.end for one in cues)
