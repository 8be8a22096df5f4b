"""The caption band lies outside the picture, can be read at any size, and never shows boxes for letters."""

import numpy as np
import pytest

from archive_restore.adapters import caption
from archive_restore.adapters.caption import LEAST_SIZE, LEAST_WIDTH, caption_band, draw_band
from archive_restore.core.labels import BUILT_IN, LANGUAGES, rgb
from archive_restore.errors import ConfigurationInvalid
from archive_restore.records.labels import CaptionStyle, LabelKind, Position

TEXT = BUILT_IN[LabelKind.STORY]["en"]


@pytest.fixture(autouse=True)
def only_fonts_of_this_program(monkeypatch):
    monkeypatch.setattr(caption, "_system_faces", lambda: ())
    caption._faces_for.cache_clear()
    yield
    caption._faces_for.cache_clear()


def picture(width, height):
    return np.random.default_rng(7).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("size", [(1200, 900), (300, 2000), (5000, 400), (160, 1), (161, 90)])
def test_the_picture_is_untouched_and_the_band_below_it(size):
    given = picture(*size)
    sheet = caption_band(given, TEXT)
    assert sheet.dtype == np.uint8 and sheet.shape[1:] == given.shape[1:]
    assert np.array_equal(sheet[: given.shape[0]], given)
    band = sheet[given.shape[0] :]
    assert band.shape[0] >= 2 * LEAST_SIZE
    ink, ground = rgb(CaptionStyle().ink), rgb(CaptionStyle().ground)
    assert (band == ink).all(axis=2).any() and (band == ground).all(axis=2).mean() > 0.5


def test_the_band_can_lie_above_in_other_colours():
    given = picture(400, 300)
    style = CaptionStyle(position=Position.ABOVE, ground="#101820", ink="#f2e8cf")
    sheet = caption_band(given, TEXT, style)
    assert np.array_equal(sheet[-300:], given)
    assert tuple(sheet[0, 0]) == (0x10, 0x18, 0x20)
    assert (sheet[:-300] == rgb("#f2e8cf")).all(axis=2).any()


def test_a_picture_too_narrow_for_words_gets_ground_on_either_side():
    given = picture(20, 50)
    sheet = caption_band(given, TEXT)
    left = (LEAST_WIDTH - 20) // 2
    assert sheet.shape[1] == LEAST_WIDTH
    assert np.array_equal(sheet[:50, left : left + 20], given)
    assert (sheet[:50, :left] == 255).all() and (sheet[:50, left + 20 :] == 255).all()


def test_no_letter_touches_the_edge_of_the_band():
    for width in (160, 333, 1000, 3000):
        band = draw_band(width, width, TEXT, CaptionStyle())
        for edge in (band[0], band[-1], band[:, :4], band[:, -4:]):
            assert (edge == 255).all(), width


def inked_rows(band):
    return int((band.min(axis=2) < 128).any(axis=1).sum())


def test_letters_grow_with_the_picture_and_with_the_style():
    small, large = (draw_band(w, w, "Colour", CaptionStyle()) for w in (1000, 4000))
    assert inked_rows(large) == pytest.approx(4 * inked_rows(small), rel=0.1)
    twice = draw_band(1000, 1000, "Colour", CaptionStyle(size=2.0))
    assert inked_rows(twice) == pytest.approx(2 * inked_rows(small), rel=0.1)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", list(LabelKind))
def test_every_built_in_label_is_drawn_without_fonts_of_the_system(kind, language):
    text = BUILT_IN[kind][language]
    setting = caption._fitted(text, 640, 14, "")
    assert "".join(setting.lines).replace(" ", "") == text.replace(" ", "")
    assert inked_rows(draw_band(640, 480, text, CaptionStyle())) >= 8


def test_every_character_of_a_line_is_really_in_its_font():
    boxes = caption._drawn(caption._open(next(caption._faces("")), 24, False), caption._ABSENT)
    for ch, face in caption._faces_for("Färben: 色彩 ¿ñ?", "", False).items():
        assert ch == " " or caption._drawn(caption._open(face, 24, False), ch) != boxes


@pytest.mark.parametrize(("text", "package"), [("ᐃᓄᒃᑎᑐᑦ", "fonts-noto-core"), ("彩色图像 한국어", "fonts-noto-cjk")])
def test_a_text_that_no_font_can_draw_is_refused_in_one_line_that_says_what_to_install(text, package):
    with pytest.raises(ConfigurationInvalid) as refused:
        caption_band(picture(300, 200), text)
    assert package in str(refused.value) and "\n" not in str(refused.value)


def test_letters_that_need_a_layout_library_are_refused_without_it(monkeypatch):
    monkeypatch.setattr(caption.features, "check", lambda name: False)
    with pytest.raises(ConfigurationInvalid, match="layout library"):
        caption_band(picture(300, 200), "سجل")


def test_invisible_and_turning_characters_change_nothing():
    plain = draw_band(800, 600, "Digitally colorized.", CaptionStyle())
    hostile = draw_band(800, 600, "\u202eDigi\u200btally\x00\n\r\ncolori\u2066zed.\u0007", CaptionStyle())
    assert np.array_equal(plain, hostile)


def test_stacked_marks_do_not_leave_the_band():
    band = draw_band(400, 300, "A" + "\u0301" * 200, CaptionStyle())
    assert (band[0] == 255).all()


@pytest.mark.parametrize("text", ["", " \n\t", "\u202e\u200b"])
def test_an_empty_label_is_refused(text):
    with pytest.raises(ConfigurationInvalid, match="empty"):
        draw_band(400, 300, text, CaptionStyle())


def test_lines_break_at_words_and_are_about_as_long_as_each_other():
    text = TEXT.replace(".", "")
    setting = caption._fitted(text, 500, 16, "")
    assert len(setting.lines) == 2
    lengths = [setting.length(line) for line in setting.lines]
    assert max(lengths) < 1.5 * min(lengths)
    assert " ".join(setting.lines) == text


@pytest.mark.parametrize(("language", "second"), [("de", "Farben"), ("zh", "色彩"), ("fr", "Les")])
def test_two_lines_break_where_a_sentence_ends(language, second):
    text = BUILT_IN[LabelKind.COLORIZATION][language]
    width = 2 * 12 + round(0.75 * caption._fitted(text, 10_000, 16, "").length(text))
    setting = caption._fitted(text, width, 16, "")
    assert len(setting.lines) == 2 and setting.lines[1].startswith(second)


def test_chinese_breaks_anywhere_but_before_its_stops():
    setting = caption._fitted(BUILT_IN[LabelKind.STORY]["zh"] * 3, 160, LEAST_SIZE, "")
    assert len(setting.lines) > 3
    assert not any(line[0] in "，。：" for line in setting.lines)


def test_a_word_without_end_is_broken_and_ends_in_time():
    band = draw_band(200, 100, "x" * 5000, CaptionStyle())
    assert band.shape[0] < 600


def test_the_same_label_is_drawn_in_the_same_pixels():
    once = draw_band(1234, 567, TEXT, CaptionStyle())
    caption._open.cache_clear()
    assert np.array_equal(once, draw_band(1234, 567, TEXT, CaptionStyle()))


def test_an_own_font_is_tried_first_and_a_bad_one_named(tmp_path):
    bad = tmp_path / "font.ttf"
    bad.write_bytes(b"no font")
    with pytest.raises(ConfigurationInvalid, match=r"font\.ttf"):
        draw_band(400, 300, TEXT, CaptionStyle(font=str(bad)))
    own = str(next(caption._faces(""))).partition("#")[0]
    assert next(caption._faces(own)) == f"{own}#0"


def test_a_space_after_han_characters_is_as_wide_as_any_other():
    faces = caption._faces_for("老照片 – Größe", "", False)
    assert "Roboto" in faces[" "] and "NotoSansSC" in faces["老"]
