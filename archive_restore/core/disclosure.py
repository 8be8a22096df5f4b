"""What is said with a picture that leaves the archive: what was done, by what and whom, and what is no evidence.

Pure functions over records. Text that people wrote (titles, reasons) becomes plain lines and never a field or formula.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence

from archive_restore.core.canonical import to_plain
from archive_restore.core.disclosure_words import COMMA, FLAGS, WORDS
from archive_restore.core.labels import built_in_language, label_kind, label_text, plain_text
from archive_restore.records.access import Disclosure, EncodingError
from archive_restore.records.imagery import MapSummary, PixelFlag
from archive_restore.records.labels import Labels
from archive_restore.records.objects import Master
from archive_restore.records.preservation import PreservationDerivation
from archive_restore.records.reviews import ReviewState, ReviewWord
from archive_restore.records.stories import HumanDecision, StoryDerivation

AnyDerivation = PreservationDerivation | StoryDerivation

SHORT = 280
"""Longest short disclosure, characters: what the strictest platforms take."""
_FORMULA = frozenset("=+-@\t\r＝＋－＠")
_LONGEST_WORDS = 500  # of what people wrote, a piece


def disclose(
    master: Master,
    chain: Sequence[AnyDerivation],
    labels: Labels,
    *,
    organization: str = "",
    enclosed: bool = True,
    review: ReviewState | None = None,
) -> Disclosure:
    """What is said of a picture, in the language of the labels, or in English where that is not built in.

    `chain` are the derivations from the master to what is shown, in this order; none for the master itself. `enclosed`
    says whether the content credentials lie inside the file that it goes with, `review` what a person said of it.
    """
    language = built_in_language(labels.language)
    return _Writer(master, tuple(chain), labels, language, plain_text(organization, 120), enclosed, review).written()


def caption_of(chain: Sequence[AnyDerivation], labels: Labels) -> str:
    """One line for beside the picture: the label of a story, and for the record what it is."""
    words = WORDS[built_in_language(labels.language)]
    if not chain:
        return words["master_caption"]
    if isinstance(chain[-1], StoryDerivation):
        return label_text(label_kind(d.ref.kind for d in chain if isinstance(d, StoryDerivation)), labels)
    return words["record_caption"]


def share_text(part: int, whole: int, language: str) -> str:
    """A share of pixels as people write it; never 0 % or 100 % where it is not exactly that."""
    if whole <= 0 or part <= 0:
        number = "0"
    elif part >= whole:
        number = "100"
    else:
        share = 100 * part / whole
        number = "<0.1" if share < 0.1 else ">99.9" if share > 99.9 else f"{share:.1f}"
    return f"{number.replace('.', ',')}\u00a0%" if language in COMMA else f"{number}%"


class _Writer:
    def __init__(
        self,
        master: Master,
        chain: tuple[AnyDerivation, ...],
        labels: Labels,
        language: str,
        organization: str,
        enclosed: bool,
        review: ReviewState | None,
    ) -> None:
        self._master, self._chain, self._labels = master, chain, labels
        self._review = review
        self._language, self._organization, self._enclosed = language, organization, enclosed
        self._words = WORDS[language]
        self._item = master.ref.item_id
        self._title = plain_text(master.description.title, _LONGEST_WORDS)

    def written(self) -> Disclosure:
        last = self._chain[-1] if self._chain else None
        caption = caption_of(self._chain, self._labels)
        counts = last.map.counts if last else {"ORIGINAL": 1}
        total = last.map.pixels if last else 1
        return Disclosure(
            ref=str(last.ref if last else self._master.ref),
            language=self._language,
            title=self._title,
            caption=caption,
            short=self._short(caption),
            long="\n\n".join(self._paragraphs(caption)),
            shares={name: round(count / total, 6) for name, count in counts.items() if total},
        )

    def _short(self, caption: str) -> str:
        """Title, label, credentials and where it comes from; the title gives way where there is no room."""
        last = self._chain[-1] if self._chain else None
        if last is None:
            told = self._words["master_short"]
        elif isinstance(last, StoryDerivation):
            told = caption
        else:
            original = share_text(last.map.counts.get("ORIGINAL", 0), last.map.pixels, self._language)
            told = self._words["record_short"].format(original=original)
        gap = "" if self._language == "zh" else " "
        tail = f"{told}{gap}{self._words['credentials_short']}" if self._enclosed else told
        room = SHORT - len(tail) - len(self._item) - 5
        title = plain_text(self._title, room) if room > 8 else ""
        head = f"{title} ({self._item})." if title else f"{self._item}."
        return plain_text(f"{head} {tail}", SHORT)

    def _paragraphs(self, caption: str) -> list[str]:
        last = self._chain[-1] if self._chain else None
        parts = [f"{self._title or self._words['untitled']} ({self._item})", caption, self._about(last)]
        if self._chain:
            parts.append(_listed(self._words["done"], [self._done(derivation) for derivation in self._chain]))
        if last is not None:
            heading = self._words["shares"].format(count=last.map.pixels)
            parts.append(_listed(heading, share_lines(last.map, self._language)))
        people = [p for d in self._chain if isinstance(d, StoryDerivation) for p in d.people]
        if people:
            parts.append(_listed(self._words["people"], [self._decision(p) for p in people]))
        notes = [note for d in self._chain if isinstance(d, StoryDerivation) for note in d.notes]
        if notes:
            lines = [plain_text(note, _LONGEST_WORDS) for note in dict.fromkeys(notes)]
            parts.append(_listed(self._words["notes"], lines))
        if self._review is not None and self._review.state is not ReviewWord.DRAFT:
            parts.append(self._reviewed(self._review))
        if self._enclosed:
            parts.append(self._words["credentials" if self._chain else "credentials_master"])
        return parts

    def _about(self, last: AnyDerivation | None) -> str:
        if last is None:
            return self._words["about_master"].format(item=self._item)
        if isinstance(last, PreservationDerivation):
            return self._words["about_record"].format(item=self._item)
        keeper = self._words["keeper"].format(organization=self._organization) if self._organization else ""
        return self._words["about_story"].format(item=self._item, keeper=keeper)

    def _done(self, derivation: AnyDerivation) -> str:
        kind = derivation.ref.kind.value
        line = self._words[kind].format(ref=derivation.ref, parent=derivation.parent, day=derivation.started[:10])
        steps = ", ".join(f"{run.step} {run.version}" for run in derivation.steps if run.pixels)
        models = ", ".join(f"{m.name} {m.version} ({m.licence})" for m in derivation.environment.models)
        told = [line]
        if steps:
            told.append(self._words["steps"].format(steps=plain_text(steps)))
        told.append(self._words["models"].format(models=plain_text(models)) if models else self._words["no_models"])
        return ("" if self._language == "zh" else " ").join(told)

    def _reviewed(self, review: ReviewState) -> str:
        note = plain_text(review.note, _LONGEST_WORDS)
        form = self._words[review.state.value].format(by=plain_text(review.by, _LONGEST_WORDS), day=review.when[:10])
        return self._words["review_note"].format(review=form, note=note) if note else form

    def _decision(self, person: HumanDecision) -> str:
        author = plain_text(person.author, _LONGEST_WORDS) or self._words["somebody"]
        what, reason = plain_text(person.what, _LONGEST_WORDS), plain_text(person.reason, _LONGEST_WORDS)
        form = self._words["decision_why" if reason else "decision"]
        who = self._words["when"].format(author=author, when=plain_text(person.when, 40)) if person.when else author
        return form.format(what=what.rstrip(".。 "), reason=reason, who=who)


def encoding_text(quality: int | None, error: EncodingError, language: str = "en") -> str:
    """The measured error of a JPEG, or without a quality that of a clip, as a sentence."""
    words = WORDS[language]
    if error.psnr is None and quality is not None:
        return words["encoding_exact"].format(quality=quality)
    numbers = (error.mean, "∞" if error.psnr is None else error.psnr)
    mean, psnr = (str(v).replace(".", ",") if language in COMMA else str(v) for v in numbers)
    return words["clip_encoding" if quality is None else "encoding"].format(
        quality=quality, mean=mean, maximum=error.maximum, psnr=psnr
    )


def share_lines(summary: MapSummary, language: str) -> list[str]:
    """One line a class of pixels that there is: `38.2%  as digitized, bit for bit`."""
    meanings = FLAGS[language]
    return [
        f"{share_text(count, summary.pixels, language)}  {meanings[PixelFlag[name]]}"
        for name, count in summary.counts.items()
        if count
    ]


def _listed(heading: str, lines: Sequence[str]) -> str:
    return "\n".join([heading, *(f"- {line}" for line in lines)])


# --- files -------------------------------------------------------------------------------------------


def disclosure_text(named: Sequence[tuple[str, Disclosure]]) -> str:
    """All disclosures of a folder as plain text; `named` are file names with what is said of them in a language."""
    headed = [(f"{name} [{told.language}]", told.long) for name, told in named]
    return "\n\n\n".join(f"{head}\n{'=' * min(len(head), 100)}\n\n{long}" for head, long in headed) + "\n"


def disclosure_json(named: Sequence[tuple[str, Disclosure]]) -> str:
    """All disclosures of a folder as JSON."""
    rows = [{"file": name, **to_plain(told)} for name, told in named]
    return json.dumps({"disclosures": rows}, ensure_ascii=False, indent=2) + "\n"


def disclosure_csv(named: Sequence[tuple[str, Disclosure]]) -> str:
    """All disclosures of a folder as CSV (RFC 4180), safe to open in a spreadsheet."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(["file", "ref", "language", "title", "caption", "short", "long"])
    for name, told in named:
        cells = (name, told.ref, told.language, told.title, told.caption, told.short, told.long)
        writer.writerow([inert_cell(cell) for cell in cells])
    return out.getvalue()


def inert_cell(text: str) -> str:
    """A cell that no spreadsheet takes for a formula: an apostrophe goes before what could begin one."""
    return f"'{text}" if text.lstrip(" \u00a0\n")[:1] in _FORMULA and text.strip() else text
