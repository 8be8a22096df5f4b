"""Labels of stories in words: the built-in texts, which one a story gets, and text made harmless.

A label is read by people who know nothing else of the picture: short, in plain words, and never softened.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping

from archive_restore.errors import ConfigurationInvalid
from archive_restore.records.labels import CaptionStyle, Corner, LabelKind, Labels, Position
from archive_restore.records.stories import StoryDerivation, StoryKind, StoryRef

BUILT_IN: Mapping[LabelKind, Mapping[str, str]] = {
    LabelKind.ENHANCEMENT: {
        "en": "Digitally enhanced. Details are an interpretation, not a record.",
        "zh": "经数字增强：细节属推测，并非史料记录。",
        "de": "Digital nachbearbeitet. Details sind eine Deutung, kein Beleg.",
        "fr": "Image retouchée numériquement. Les détails sont une interprétation, non un document.",
        "es": "Imagen mejorada digitalmente. Los detalles son una interpretación, no un documento.",
    },
    LabelKind.COLORIZATION: {
        "en": "Digitally colorized. Colours are an interpretation, not a record.",
        "zh": "经数字上色：色彩属推测，并非史料记录。",
        "de": "Digital koloriert. Farben sind eine Deutung, kein Beleg.",
        "fr": "Image colorisée numériquement. Les couleurs sont une interprétation, non un document.",
        "es": "Imagen coloreada digitalmente. Los colores son una interpretación, no un documento.",
    },
    LabelKind.ANIMATION: {
        "en": "Digitally animated. Motion is invented, not a record.",
        "zh": "经数字动画处理：动作属虚构，并非史料记录。",
        "de": "Digital animiert. Die Bewegung ist erfunden, kein Beleg.",
        "fr": "Image animée numériquement. Le mouvement est inventé, non un document.",
        "es": "Imagen animada digitalmente. El movimiento es inventado, no un documento.",
    },
    LabelKind.STORY: {
        "en": "Digitally enhanced and colorized. Details and colours are an interpretation, not a record.",
        "zh": "经数字增强与上色：细节与色彩属推测，并非史料记录。",
        "de": "Digital nachbearbeitet und koloriert. Details und Farben sind eine Deutung, kein Beleg.",
        "fr": "Image retouchée et colorisée numériquement. "
        "Les détails et les couleurs sont une interprétation, non un document.",
        "es": "Imagen mejorada y coloreada digitalmente. "
        "Los detalles y los colores son una interpretación, no un documento.",
    },
    LabelKind.ANIMATED_STORY: {
        "en": "Digitally altered and animated. Details, colours and motion are an interpretation, not a record.",
        "zh": "经数字加工与动画处理：细节、色彩与动作属推测，并非史料记录。",
        "de": "Digital bearbeitet und animiert. Details, Farben und Bewegung sind eine Deutung, kein Beleg.",
        "fr": "Image modifiée et animée numériquement. "
        "Les détails, les couleurs et le mouvement sont une interprétation, non un document.",
        "es": "Imagen modificada y animada digitalmente. "
        "Los detalles, los colores y el movimiento son una interpretación, no un documento.",
    },
    LabelKind.MONTAGE: {
        "en": "A montage of photographs, not a film of the time.",
        "zh": "由静态照片剪辑而成，并非当时的影片。",
        "de": "Aus Fotografien montiert, kein Film aus der Zeit.",
        "fr": "Montage de photographies, non un film d’époque.",
        "es": "Montaje de fotografías, no una película de la época.",
    },
}
"""Label texts by kind and language."""
LANGUAGES = ("en", "zh", "de", "fr", "es")
"""Languages that are built in; English is the default."""
MAX_TEXT = 300
"""Longest label, characters."""
LEAST_CONTRAST = 4.5
"""Least contrast of ink and ground (WCAG 2.2 §1.4.3, AA for text)."""

_MARKS = 2  # combining marks on one letter; more are decoration, or an attack on what lies above and below
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_LANGUAGE = re.compile(r"[a-zA-Z]{2,3}(-[a-zA-Z0-9]{2,8})*")
_MUST_BE_TOLD = (LabelKind.ENHANCEMENT, LabelKind.COLORIZATION, LabelKind.STORY)


def label_kind(kinds: Iterable[StoryKind]) -> LabelKind:
    """The label of a picture that was made by these kinds of stories, one from the other."""
    told = set(kinds)
    if len(told) == 1:
        return LabelKind(next(iter(told)).value)
    return LabelKind.ANIMATED_STORY if StoryKind.ANIMATION in told else LabelKind.STORY


def label_of(derivation: StoryDerivation, labels: Labels, earlier: Iterable[StoryKind] = ()) -> str:
    """Text of a story's label; `earlier` are kinds further up its chain than its parent."""
    kinds = {derivation.ref.kind, *earlier}
    if isinstance(derivation.parent, StoryRef):
        kinds.add(derivation.parent.kind)
    return label_text(label_kind(kinds), labels)


def label_text(kind: LabelKind, labels: Labels) -> str:
    """The archive's own text in its language, else the built-in one, else English."""
    own = labels.texts.get(kind.value, {}).get(labels.language)
    if own is not None:
        return own
    built_in = BUILT_IN[kind]
    return built_in.get(built_in_language(labels.language), built_in["en"])


def built_in_language(language: str) -> str:
    """The built-in language that serves a BCP 47 tag: `zh` for `zh-Hans`; English where there is none."""
    primary = language.partition("-")[0].lower()
    return primary if primary in LANGUAGES else "en"


def plain_text(text: str, longest: int = 0) -> str:
    """One line of visible text: NFC, without control, bidi and invisible characters and stacks of marks.

    White space becomes single spaces; a no-break space stays. More than `longest` characters (0: no limit) end in `…`.
    """
    kept: list[str] = []
    marks = 0
    for ch in unicodedata.normalize("NFC", text):
        category = unicodedata.category(ch)
        if ch in "\u00a0\u202f":
            ch = "\u00a0"
        elif ch.isspace():
            ch = " "
        elif category in _INVISIBLE:
            continue
        marks = marks + 1 if category in ("Mn", "Me") else 0
        if marks <= _MARKS:
            kept.append(ch)
    line = " ".join(part for part in "".join(kept).split(" ") if part)
    return f"{line[: longest - 1].rstrip()}…" if 0 < longest < len(line) else line


def style_problem(style: CaptionStyle) -> str:
    """Say in words what is wrong with a style; an empty string if nothing is."""
    for name, colour in (("ground", style.ground), ("ink", style.ink)):
        if not _COLOUR.fullmatch(colour):
            return f"{name} must be a colour like #1a1a1a"
    if not 0.5 <= style.size <= 4:
        return "size must be a number from 0.5 to 4"
    if contrast(style.ground, style.ink) < LEAST_CONTRAST:
        return f"ink {style.ink} cannot be read on ground {style.ground}: choose colours further apart"
    return ""


def rgb(colour: str) -> tuple[int, int, int]:
    """sRGB 0..255 of `#rrggbb`."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours, 1..21 (WCAG 2.2)."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    shares = (value / 255 for value in rgb(colour))
    red, green, blue = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


# --- archive.toml ------------------------------------------------------------------------------------


def labels_from(table: object) -> Labels:
    """The table `labels` of archive.toml, checked; raise ConfigurationInvalid naming the key."""
    if table is None:
        return Labels()
    if not isinstance(table, Mapping):
        raise ConfigurationInvalid("labels must be a table")
    kinds = {kind.value for kind in LabelKind}
    known = {"language", "position", "corner", "ground", "ink", "size", "font"} | kinds
    unknown = sorted(set(table) - known)
    if unknown:
        words = ", ".join(sorted(known))
        raise ConfigurationInvalid(f"labels.{unknown[0]} is not a setting", hint=f"Known are {words}")
    labels = Labels(
        language=_word(table, "language", "en"),
        texts={kind: _texts(table[kind], kind) for kind in sorted(kinds & set(table))},
        style=_style(table),
    )
    if not _LANGUAGE.fullmatch(labels.language):
        raise ConfigurationInvalid(f"labels.language {labels.language!r} is not a language tag", hint="Write en, or zh")
    primary = labels.language.partition("-")[0].lower()
    for kind in _MUST_BE_TOLD:
        if primary not in LANGUAGES and labels.language not in labels.texts.get(kind.value, {}):
            raise ConfigurationInvalid(
                f"labels.{kind.value}.{labels.language} is missing: {labels.language} is not a built-in language",
                hint=f"Write the text of this label, or take one of {', '.join(LANGUAGES)}",
            )
    return labels


def _style(table: Mapping[str, object]) -> CaptionStyle:
    default = CaptionStyle()
    position, size = _word(table, "position", default.position.value), table.get("size", default.size)
    if position not in [place.value for place in Position]:
        raise ConfigurationInvalid("labels.position must be below or above")
    corner = _word(table, "corner", default.corner.value)
    if corner not in [place.value for place in Corner]:
        raise ConfigurationInvalid(f"labels.corner must be one of {', '.join(Corner)}")
    if not isinstance(size, int | float) or isinstance(size, bool):
        raise ConfigurationInvalid("labels.size must be a number from 0.5 to 4")
    style = CaptionStyle(
        ground=_word(table, "ground", default.ground),
        ink=_word(table, "ink", default.ink),
        position=Position(position),
        corner=Corner(corner),
        size=float(size),
        font=_word(table, "font", default.font),
    )
    problem = style_problem(style)
    if problem:
        raise ConfigurationInvalid(f"labels: {problem}")
    return style


def _texts(value: object, kind: str) -> Mapping[str, str]:
    if not isinstance(value, Mapping):
        raise ConfigurationInvalid(f"labels.{kind} must be a table of texts by language")
    for language, text in value.items():
        if not isinstance(text, str) or not plain_text(text) or len(text) > MAX_TEXT:
            raise ConfigurationInvalid(f"labels.{kind}.{language} must be a text of 1 to {MAX_TEXT} visible characters")
    return {str(language): plain_text(text) for language, text in value.items()}


def _word(table: Mapping[str, object], key: str, default: str) -> str:
    value = table.get(key, default)
    if not isinstance(value, str):
        raise ConfigurationInvalid(f"labels.{key} must be text")
    return value
