"""The caption band of stories: outside the picture, never over it; the picture's own pixels stay as they are.

A text that no font at hand can draw is refused: a row of empty boxes would be a label that says nothing.
"""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont, features

from archive_restore.core.labels import MAX_TEXT, plain_text, rgb, style_problem
from archive_restore.errors import ConfigurationInvalid
from archive_restore.records.labels import CaptionStyle, Position

Picture = npt.NDArray[np.uint8]

LEAST_SIZE = 12
"""Least size of letters, pixels; smaller ones cannot be read."""
LEAST_WIDTH = 160
"""Least width of a band, pixels: a narrower picture gets ground on either side."""

_SHARE = 0.024  # of the geometric mean of the edges: size of the letters
_SHARE_OF_LONGEST = 0.008  # so that panoramas, shown reduced, can be read too
_LINES = 3  # more lines than this, and the letters become smaller
_LEADING = 1.32
_MARGIN = 0.75
_SHIPPED = ("Roboto-Regular.ttf", "NotoSansSC-subset.otf")
_FOLDERS = (
    "/usr/share/fonts", "/usr/local/share/fonts", "~/.local/share/fonts", "~/.fonts", "/System/Library/Fonts",
    "/Library/Fonts", "~/Library/Fonts",
)  # fmt: skip
_PREFERRED = (
    "NotoSansCJK-Regular", "NotoSansSC-Regular", "SourceHanSansSC-Regular", "wqy-microhei", "wqy-zenhei",
    "DroidSansFallback", "PingFang", "STHeiti", "NotoSans-Regular", "DejaVuSans",
)  # fmt: skip
"""Plain fonts that cover much, best first; other regular ones follow in the order of their names."""
_SIMPLIFIED = " SC"  # in the family's name, of collections that draw Han characters in several ways
_NO_LINE_START = frozenset("、。，．：；！？）」』】〕》〉…—·%’”,.:;!?)]}")
_NO_LINE_END = frozenset("（「『【〔《〈‘“([{")
_STOPS, _STOPS_AND_SPACE = frozenset("。："), frozenset({". ", ": "})
_ABSENT = "\U0010fffd"  # private use: no font has it
_SCRIPTS = ((0x0590, 0x08FF), (0x0900, 0x109F), (0x1780, 0x17FF), (0x1800, 0x18AF), (0xFB1D, 0xFDFF), (0xFE70, 0xFEFC))
"""Letters that join, reorder or run from right to left: only a layout library sets them rightly."""


def caption_band(picture: Picture, text: str, style: CaptionStyle | None = None) -> Picture:
    """Put `text` in a band below or above a picture: uint8 (h, w, 3) to (h + band, w, 3), pixels untouched.

    A picture narrower than LEAST_WIDTH gets ground on either side. Raise ConfigurationInvalid as `draw_band`.
    """
    style = style or CaptionStyle()
    height, width = picture.shape[:2]
    band = draw_band(width, height, text, style)
    sheet = np.empty((height, band.shape[1], 3), np.uint8)
    sheet[:] = rgb(style.ground)
    left = (band.shape[1] - width) // 2
    sheet[:, left : left + width] = picture
    return np.concatenate([band, sheet] if style.position is Position.ABOVE else [sheet, band])


def draw_band(width: int, height: int, text: str, style: CaptionStyle) -> Picture:
    """Draw the band of a picture of `width`×`height` pixels: uint8 (band, max(width, LEAST_WIDTH), 3).

    The letters grow with the picture, at least LEAST_SIZE; long texts take several lines. Raise ConfigurationInvalid
    where the style does not hold, the text is empty, or no font at hand can draw it.
    """
    problem = style_problem(style)
    if problem:
        raise ConfigurationInvalid(f"the style of labels does not hold: {problem}")
    words = plain_text(text, MAX_TEXT)
    if not words:
        raise ConfigurationInvalid("the text of a label is empty", hint="Write one, or leave the key out")
    sheet = max(width, LEAST_WIDTH)
    wanted = max(_SHARE * (sheet * height) ** 0.5, _SHARE_OF_LONGEST * max(sheet, height)) * style.size
    setting = _fitted(words, sheet, max(LEAST_SIZE, round(wanted)), style.font)
    return _painted(setting, sheet, style)


# --- setting -----------------------------------------------------------------------------------------


class _Setting:
    """A text in one size: its fonts, and its lines for a width."""

    def __init__(self, text: str, size: int, own_font: str) -> None:
        self.size = size
        self.shaped = any(_needs_layout(ch) for ch in text)
        self._own_font = own_font
        self._faces = _faces_for(text, own_font, self.shaped)
        self.lines: list[str] = []

    def fill(self, text: str, width: int) -> bool:
        """Break the text into lines; False where a word had to be broken apart."""
        room = width - 2 * self.margin
        self.lines, whole = [""], True
        for piece in _pieces(text):
            line = self.lines[-1]
            if self.length((line + piece).rstrip()) <= room:
                self.lines[-1] = line + piece
                continue
            if line:
                self.lines.append("")
            if self.length(piece.rstrip()) <= room:
                self.lines[-1] = piece
                continue
            whole = False
            for ch in piece:
                if self.lines[-1] and self.length(self.lines[-1] + ch) > room:
                    self.lines.append("")
                self.lines[-1] += ch
        self.lines = [line.strip(" ") for line in self.lines if line.strip(" ")]
        return whole

    @property
    def margin(self) -> int:
        """Ground around the text, pixels."""
        return round(_MARGIN * self.size)

    def length(self, text: str) -> float:
        """Width of a line, pixels."""
        return sum(font.getlength(run) for font, run in self.runs(text))

    def runs(self, text: str) -> Iterator[tuple[ImageFont.FreeTypeFont, str]]:
        """Stretches of a line that one font draws."""
        start, now = 0, ""
        for index, ch in enumerate(text):
            face = now if now and (ch == " " or unicodedata.combining(ch)) else self._faces[ch]
            if face != now and index > start:
                yield _open(now, self.size, self.shaped), text[start:index]
                start = index
            now = face
        if text:
            yield _open(now, self.size, self.shaped), text[start:]


def _fitted(text: str, width: int, size: int, own_font: str) -> _Setting:
    setting = _Setting(text, size, own_font)
    whole = setting.fill(text, width)
    while size > LEAST_SIZE and not (whole and len(setting.lines) <= _LINES):
        size = max(LEAST_SIZE, round(size * 0.92))
        setting = _Setting(text, size, own_font)
        whole = setting.fill(text, width)
    if len(setting.lines) > 1:
        _balance(text, width, setting)
    return setting


def _balance(text: str, width: int, setting: _Setting) -> None:
    """Break into as many lines of about the same length, two where a sentence ends: no word alone in the last one."""
    if len(setting.lines) == 2:
        halves = [
            (text[:index].rstrip(), text[index:].lstrip())
            for index in range(2, len(text) - 1)
            if text[index - 1] in _STOPS or text[index - 2 : index] in _STOPS_AND_SPACE
        ]
        room = width - 2 * setting.margin
        fitting = [half for half in halves if max(map(setting.length, half)) <= room]
        if fitting:
            setting.lines = list(min(fitting, key=lambda half: max(map(setting.length, half))))
            return
    count, narrow, wide = len(setting.lines), width // 2, width
    while wide - narrow > 1:
        middle = (narrow + wide) // 2
        if setting.fill(text, middle) and len(setting.lines) == count:
            wide = middle
        else:
            narrow = middle
    setting.fill(text, wide)


def _pieces(text: str) -> Iterator[str]:
    """Stretches between which a line may end: after spaces, and around Han characters and their like."""
    start = 0
    for index in range(1, len(text)):
        before, after = text[index - 1], text[index]
        breaks = before == " " and after != " "
        if not breaks and " " not in (before, after) and (_wide(before) or _wide(after)):
            breaks = after not in _NO_LINE_START and before not in _NO_LINE_END
        if breaks:
            yield text[start:index]
            start = index
    yield text[start:]


def _wide(ch: str) -> bool:
    return unicodedata.east_asian_width(ch) in "WF"


def _needs_layout(ch: str) -> bool:
    return any(first <= ord(ch) <= last for first, last in _SCRIPTS)


def _painted(setting: _Setting, width: int, style: CaptionStyle) -> Picture:
    size, margin = setting.size, setting.margin
    step = round(_LEADING * size)
    text_height = step * (len(setting.lines) - 1) + size
    band = Image.new("RGB", (width, text_height + 2 * margin), rgb(style.ground))
    pen = ImageDraw.Draw(band)
    for number, line in enumerate(setting.lines):
        right_to_left = setting.shaped and any(unicodedata.bidirectional(ch) in ("R", "AL") for ch in line)
        x = width - margin - setting.length(line) if right_to_left else float(margin)
        baseline = margin + round(0.86 * size) + number * step
        for font, run in setting.runs(line):
            pen.text((x, baseline), run, rgb(style.ink), font, anchor="ls")
            x += font.getlength(run)
    return np.asarray(band, np.uint8)


# --- fonts -------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=256)
def _faces_for(text: str, own_font: str, shaped: bool) -> dict[str, str]:
    """A font for each character of the text, the first that has it; raise ConfigurationInvalid where there is none."""
    if shaped and not features.check("raqm"):
        raise ConfigurationInvalid(
            "this label needs a layout library that is not here", hint="Install libraqm and fribidi for Pillow"
        )
    wanted = {ch for ch in text if ch != " "}
    if shaped:
        # Letters that join must come from one font, and so must what stands among them.
        return dict.fromkeys(wanted | {" "}, _one_face(text, frozenset(wanted), own_font))
    wanted.add(" ")  # which a font of Han characters may lack, and then draws as wide as one of these
    faces: dict[str, str] = {}
    for face in _faces(own_font):
        for ch in sorted(wanted - faces.keys()):
            if _has(face, ch):
                faces[ch] = face
        if wanted <= faces.keys():
            break
    missing = sorted(wanted - faces.keys())
    if missing:
        raise _undrawable(missing[0], text)
    return faces


def _one_face(text: str, wanted: frozenset[str], own_font: str) -> str:
    for face in _faces(own_font):
        if all(_has(face, ch) for ch in wanted):
            return face
    raise _undrawable(next(ch for ch in text if _needs_layout(ch)), text)


def _undrawable(ch: str, text: str) -> ConfigurationInvalid:
    name = unicodedata.name(ch, f"U+{ord(ch):04X}")
    package = "fonts-noto-cjk" if _wide(ch) else "fonts-noto-core"
    return ConfigurationInvalid(
        f"no font here can draw {ch!r} ({name}) of the label {text[:60]!r}",
        hint=f"Install one, for instance {package}, or name a font file in archive.toml: labels.font",
    )


def _faces(own_font: str) -> Iterator[str]:
    """Fonts in the order in which they are tried, as `path#index`."""
    if own_font:
        try:
            ImageFont.truetype(own_font, LEAST_SIZE)
        except OSError as exc:
            raise ConfigurationInvalid(f"labels.font {own_font!r} is not a font that can be read: {exc}") from exc
        yield f"{own_font}#0"
    for name in _SHIPPED:
        yield f"{resources.files('archive_restore')}/adapters/fonts/{name}#0"
    yield from _system_faces()


@functools.cache
def _system_faces() -> tuple[str, ...]:
    paths = (path for folder in _FOLDERS for path in Path(folder).expanduser().rglob("*"))
    fonts = (path for path in paths if path.suffix.lower() in (".ttf", ".otf", ".ttc"))
    found = [(rank, str(path)) for path in fonts if (rank := _rank(path.stem)) is not None]
    return tuple(f"{path}#{_index(path)}" for _, path in sorted(found))


def _rank(stem: str) -> int | None:
    """Place of a font by its name; None for one that is not plain."""
    for rank, name in enumerate(_PREFERRED):
        if stem.startswith(name) and not any(word in stem for word in ("Bold", "Oblique", "Italic", "Condensed")):
            return rank
    return len(_PREFERRED) if stem.endswith("Regular") else None


def _index(path: str) -> int:
    """Which font of a collection: the one for simplified Chinese where it says so."""
    if not path.endswith(".ttc"):
        return 0
    for index in range(16):
        try:
            family = ImageFont.truetype(path, LEAST_SIZE, index).getname()[0] or ""
        except OSError:
            return 0
        if family.endswith(_SIMPLIFIED):
            return index
    return 0


@functools.lru_cache(maxsize=64)
def _open(face: str, size: int, shaped: bool) -> ImageFont.FreeTypeFont:
    path, _, index = face.rpartition("#")
    layout = ImageFont.Layout.RAQM if shaped else ImageFont.Layout.BASIC
    return ImageFont.truetype(path, size, int(index), layout_engine=layout)


@functools.lru_cache(maxsize=4096)
def _has(face: str, ch: str) -> bool:
    """Whether a font draws a character and not the box that stands for those it has not."""
    try:
        font = _open(face, 24, False)
        return _drawn(font, ch) != _drawn(font, _ABSENT)
    except OSError:
        return False


def _drawn(font: ImageFont.FreeTypeFont, ch: str) -> tuple[float, bytes]:
    return font.getlength(ch), bytes(font.getmask(ch))
