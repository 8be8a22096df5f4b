"""A checkpoint has one byte form, the one that C2SP describes."""

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive_restore.core.checkpoint import (
    Checkpoint,
    CheckpointMalformed,
    key_id,
    origin_problem,
    parse,
    sign_checkpoint,
)

KEY = bytes(range(32))
POINT = Checkpoint(origin="example.org/archive", size=7, root=hashlib.sha256().digest())
NOTE = sign_checkpoint(POINT, KEY, lambda text: hashlib.sha512(text).digest())


def test_the_text_is_the_one_of_the_specification():
    text = b"example.org/archive\n7\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"
    assert POINT.text() == text
    hint = hashlib.sha256(b"example.org/archive\n\x01" + KEY).digest()[:4]
    assert key_id(POINT.origin, KEY) == hint
    mark = base64.b64encode(hint + hashlib.sha512(text).digest())
    assert text + b"\n" + "— example.org/archive ".encode() + mark + b"\n" == NOTE


@given(st.integers(0, 2**60), st.binary(min_size=32, max_size=32))
def test_it_is_read_as_it_was_written(size, root):
    point = Checkpoint(origin="x", size=size, root=root)
    note = parse(sign_checkpoint(point, KEY, lambda text: hashlib.sha512(text).digest()))
    assert note.checkpoint == point
    assert note.signature == hashlib.sha512(point.text()).digest()


@pytest.mark.parametrize(
    "change",
    [
        lambda b: b"",
        lambda b: b[:-1],
        lambda b: b + b"\n",
        lambda b: b.replace(b"\n7\n", b"\n07\n"),
        lambda b: b.replace(b"\n7\n", b"\n-7\n"),
        lambda b: b.replace(b"\n7\n", "\n٧\n".encode()),
        lambda b: b.replace(b"\n", b"\r\n"),
        lambda b: b.replace(b"FU=\n", b"FV=\n"),  # the same 32 bytes, written another way
        lambda b: b.replace(b"FU=\n", b"FU\n"),
        lambda b: b.replace("— ".encode(), b"- "),
        lambda b: b.replace("— example".encode(), "— other".encode()),
        lambda b: b.replace(b"\n\n", b"\nextension\n\n"),
        lambda b: b"\xff" + b,
        lambda b: b.replace(b"e ", b"e  ", 1),
    ],
)
def test_any_other_form_is_refused(change):
    assert change(NOTE) != NOTE
    with pytest.raises(CheckpointMalformed):
        parse(change(NOTE))


def test_a_name_must_fit_into_a_line():
    for name in ("", "a b", "a\nb", "a+b", "a\u2003b", "a\0"):
        assert origin_problem(name)
        with pytest.raises(ValueError, match="name"):
            sign_checkpoint(Checkpoint(origin=name, size=0, root=bytes(32)), KEY, lambda _: bytes(64))
    assert origin_problem("example.org/archive") == ""
    with pytest.raises(ValueError, match="64 bytes"):
        sign_checkpoint(POINT, KEY, lambda _: b"short")
