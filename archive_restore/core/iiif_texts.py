"""Texts of IIIF Presentation 3 manifests: labels by language, and what people wrote made inert.

Pure functions over records. A viewer may show values as HTML where they look like it (Presentation API 3.0 §4.1): what
people wrote never does, unless every sign of it is escaped.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from archive_restore.core.access_claims import DUBLIN_CORE
from archive_restore.core.disclosure import share_text
from archive_restore.core.disclosure_words import FLAGS, WORDS
from archive_restore.core.iiif_words import DUBLIN_CORE_WORDS, IIIF_WORDS
from archive_restore.core.labels import LANGUAGES, label_kind, label_text, plain_text
from archive_restore.core.synthesis_map import FLAG_COLOURS
from archive_restore.records.imagery import MapSummary, PixelFlag
from archive_restore.records.labels import Labels
from archive_restore.records.objects import Description, Master
from archive_restore.records.preservation import PreservationDerivation
from archive_restore.records.stories import StoryDerivation, StoryKind, StoryRef

Texts = dict[str, list[str]]
"""A label or value by language, as IIIF writes it; `none` where the language is not known."""
Record = Master | PreservationDerivation | StoryDerivation

_TAG = re.compile(r"[a-zA-Z]+(-[a-zA-Z]+)*")
_RIGHTS = re.compile(r"https?://(creativecommons\.org|rightsstatements\.org)/[A-Za-z0-9./-]+")
_UNSAFE = {ord(ch): f"\\u{ord(ch):04x}" for ch in "<>&\u2028\u2029"}


def foreign(text: str, longest: int = 0) -> Texts:
    """A value that people wrote, as one plain line; empty where nothing is left of it."""
    line = plain_text(text, longest)
    if "<" in line:
        # Shown as HTML it reads as it was written, and as HTML is how it is shown (Presentation API 3.0 §4.1).
        line = f"<span>{escape(line)}</span>"
    return {"none": [line]} if line else {}


def label(text: str) -> Texts:
    """A label that people wrote; see `plain_label`."""
    return {"none": [plain_label(text)]}


def plain_label(text: str) -> str:
    """One line for labels, which are never HTML; angle brackets give way, for viewers that do not know this."""
    return plain_text(text, 500).replace("<", "\u2039").replace(">", "\u203a")


def story_kinds(record: StoryDerivation, earlier: Iterable[StoryKind]) -> frozenset[StoryKind]:
    """Kinds of stories in a picture: its own, its parent's, `earlier` ones, and what its map shows of others."""
    kinds = {record.ref.kind, *earlier}
    if isinstance(record.parent, StoryRef):
        kinds.add(record.parent.kind)
    # Only stories colour and move: a map with these flags tells of one, whoever knows its history.
    if record.map.counts.get("COLORIZED"):
        kinds.add(StoryKind.COLORIZATION)
    if record.map.counts.get("MOVED"):
        kinds.add(StoryKind.ANIMATION)
    return frozenset(kinds)


def captions(record: Record, labels: Labels, earlier: Iterable[StoryKind] = ()) -> Texts:
    """The same in every language there is: the built-in ones and those that archive.toml adds."""
    if not isinstance(record, StoryDerivation):
        word = "master_caption" if isinstance(record, Master) else "record_caption"
        return {language: [WORDS[language][word]] for language in LANGUAGES}
    kind = label_kind(story_kinds(record, earlier))
    texts: Texts = {}
    for language in dict.fromkeys([*LANGUAGES, *labels.texts.get(kind.value, {}), labels.language]):
        text = plain_text(label_text(kind, Labels(language=language, texts=labels.texts)))
        # iiif-prezi3 knows no digits in tags: `es-419` is told without a language.
        texts.setdefault(language if _TAG.fullmatch(language) else "none", []).append(text)
    return texts


def spoken(record: StoryDerivation, labels: Labels, earlier: Iterable[StoryKind] = ()) -> str:
    """What stands in sight: the label of a story in the archive's language."""
    return plain_text(label_text(label_kind(story_kinds(record, earlier)), labels))


def named(ref: str, texts: Texts) -> Texts:
    """Texts after the REF they are about."""
    return {language: [f"{ref}: {' '.join(lines)}"] for language, lines in texts.items()}


def joined(told: Iterable[Texts]) -> Texts:
    """Several texts as one: all lines a language, in order; where one has no such language, its English."""
    found = list(told)
    languages = dict.fromkeys(language for texts in found for language in texts)
    return {
        language: list(dict.fromkeys(line for texts in found for line in texts.get(language, texts["en"])))
        for language in languages
    }


def headline(title: str, told: Iterable[Texts]) -> Texts:
    """The title of an item with what its stories are, for lists in which nothing else is shown."""
    line = plain_label(title)
    return {language: [f"{line}. {' '.join(lines)}"] for language, lines in joined(told).items()}


def words(name: str, **fields: str) -> Texts:
    """A text of ours in all languages."""
    return {language: [told[name].format(**fields)] for language, told in IIIF_WORDS.items()}


def statement(records: Iterable[tuple[Record, Texts]], item: str, organization: str) -> Texts:
    """What must be said with the pictures: whether they are record or story, what they are, and who keeps the item.

    `records` come with their `captions`; all are of one side.
    """
    found = list(records)
    first = found[-1][0]
    name = "about_story" if isinstance(first, StoryDerivation) else "about_master"
    if any(isinstance(record, PreservationDerivation) for record, _ in found):
        name = "about_record"
    keeper = plain_text(organization, 120)
    texts: Texts = {}
    for language in LANGUAGES:
        told = WORDS[language]
        kept = told["keeper"].format(organization=keeper) if keeper else ""
        lines = dict.fromkeys(text for _, by_language in found for text in by_language.get(language, ()))
        gap = "" if language == "zh" else " "
        about = [told[name].format(item=plain_text(item), keeper=kept)]
        if keeper and name != "about_story":  # which names the keeper itself
            about.append(IIIF_WORDS[language]["keeper"].format(organization=keeper))
        texts[language] = [_inert(gap.join([*lines, *about]))]
    for _, by_language in found:
        for language, lines_ in by_language.items():
            if language not in LANGUAGES:
                texts.setdefault(language, []).extend(_inert(line) for line in lines_)
    return texts


def _inert(line: str) -> str:
    return f"<span>{escape(line)}</span>" if "<" in line else line


def description_pairs(description: Description, item: str) -> list[tuple[Texts, Texts]]:
    """(label, value) of every Dublin Core element that was filled in, and the item's own identifier."""
    pairs = []
    for name in DUBLIN_CORE:
        told = dict.fromkeys([item if name == "identifier" else "", getattr(description, name)])
        lines = [line for value in told for line in foreign(value).get("none", [])]
        if lines:
            pairs.append(({lang: [word] for lang, word in DUBLIN_CORE_WORDS[name].items()}, {"none": lines}))
    return pairs


def rights_uri(rights: str) -> str:
    """A licence of Creative Commons or a statement of RightsStatements.org as IIIF wants it; empty for other words."""
    text = rights.strip()
    return f"http:{text.partition(':')[2]}" if _RIGHTS.fullmatch(text) else ""


def legend(summary: MapSummary) -> list[tuple[str, Mapping[str, str]]]:
    """(`#rrggbb`, meaning and share by language) of every class of pixels that a map has."""
    rows: list[tuple[str, Mapping[str, str]]] = []
    for name, count in summary.counts.items():
        if count and name in PixelFlag.__members__:
            flag = PixelFlag[name]
            colour = "#{:02x}{:02x}{:02x}".format(*FLAG_COLOURS[flag])
            texts = {
                language: f"{FLAGS[language][flag]} ({share_text(count, summary.pixels, language)})"
                for language in LANGUAGES
            }
            rows.append((colour, texts))
    return rows


def legend_texts(summary: MapSummary) -> Texts:
    """The legend of a map as one value a language."""
    rows = legend(summary)
    return {language: [f"{colour} {texts[language]}" for colour, texts in rows] for language in LANGUAGES}


def inert_json(data: Mapping[str, Any]) -> bytes:
    """JSON that stays data wherever it is pasted: no sign in it can end a script or begin a tag."""
    return (json.dumps(data, ensure_ascii=False, indent=1).translate(_UNSAFE) + "\n").encode()
