"""The words of a report: numbers, dates and text from outside as people read them, in plain English.

Nothing here makes markup; text from files and people is made safe to look at, and escaped later by the template.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.x509.oid import NameOID

from archive_restore.records.imagery import DamageClass, PixelFlag
from archive_restore.records.provenance import Determinism, Json

MAX_LISTED_VALUES = 24
"""Members of an array that are printed; the whole is in derivation.json."""

DAMAGE_WORDS: Mapping[DamageClass, tuple[str, str]] = {
    DamageClass.BRIGHT_LINE: ("Light lines", "scratches, hairs, creases or cracks lighter than the picture"),
    DamageClass.DARK_LINE: ("Dark lines", "scratches, hairs, creases or cracks darker than the picture"),
    DamageClass.BRIGHT_SPOT: ("Light spots", "dust, pinholes or lost emulsion lighter than the picture"),
    DamageClass.DARK_SPOT: ("Dark spots", "dust or stains darker than the picture"),
    DamageClass.INFRARED: ("Seen in infrared", "dust and scratches that the scanner’s infrared channel shows"),
    DamageClass.HUMAN: ("Marked by a person", "drawn by hand on a damage map"),
    DamageClass.LOSS: ("Large losses", "too wide to be filled from the surroundings without inventing"),
}

LOSS_WORDS: Mapping[str, str] = {
    "as found": "They were left exactly as found: nothing was invented to fill them.",
    "neutral": "They were toned with one flat, neutral colour each, so that the eye can pass over them; nothing in "
    "them is meant to look like the picture.",
    "tratteggio": "They were filled with fine vertical hatching (tratteggio), visible from close by, so that nobody "
    "takes it for the picture.",
}

DETERMINISM_WORDS: Mapping[Determinism, str] = {
    Determinism.BIT_EXACT: "A second run gives the same pixels, bit for bit, on any processor.",
    Determinism.SAME_MACHINE: "A second run on the same kind of processor gives the same pixels; elsewhere rounding "
    "may differ.",
    Determinism.CLOSE: "A second run gives nearly the same pixels, within the tolerance stated by the step.",
}

CHANGED_WORDS: Mapping[PixelFlag, str] = {
    PixelFlag.INTERPOLATED: "Filled pixels are an informed guess, made from what surrounds the damage. What was there "
    "before the damage is not known.",
    PixelFlag.SYNTHESIZED: "Some pixels were made by a trained model. They are plausible, not recovered.",
    PixelFlag.ADJUSTED: "Tone was corrected by a recorded curve: those pixels show what the master shows, lighter or "
    "darker.",
    PixelFlag.FILTERED: "Some pixels passed a recorded filter of their neighbourhood.",
    PixelFlag.HUMAN: "Some of it follows a person’s decision, and is marked so.",
}


# Not strftime's: those follow the locale of whoever runs the program.
_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip


def shown(text: str) -> str:
    """Make text safe to look at: control and direction-override characters become visible escapes.

    Scripts that run from right to left stay readable; what could reorder the words around them does not get through.
    """
    if text.isprintable():  # pictures, too, pass here as long text
        return text
    return "".join(_visible(ch) for ch in text)


def _visible(ch: str) -> str:
    if ch in "\n\t\u200c\u200d":  # the two joiners belong to the spelling of Persian and Indic scripts
        return ch
    if 0xDC80 <= ord(ch) <= 0xDCFF:  # a byte that was not UTF-8 (PEP 383)
        return f"\\x{ord(ch) - 0xDC00:02x}"
    if unicodedata.category(ch) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
        return f"\\u{ord(ch):04x}"
    return ch


def count_words(number: int) -> str:
    """Group digits: 1,234,567."""
    return f"{number:,}"


def share_words(part: int, whole: int) -> str:
    """Percentage that never rounds something to nothing or nearly all to all."""
    if whole <= 0 or part <= 0:
        return "0 %"
    if part >= whole:
        return "100 %"
    value = 100.0 * part / whole
    if value < 0.01:
        return "under 0.01 %"
    if value > 99.99:
        return "over 99.99 %"
    return f"{min(value, 99.99):.2f} %"


def moment_words(text: str) -> str:
    """`2026-11-22T19:57:03Z` as `22 November 2026, 19:57:03 UTC`; other text as it is."""
    return date_words(text, "%H:%M:%S")


def date_words(text: str, clock: str = "%H:%M") -> str:
    """`2026-11-22T19:57:03Z` as `22 November 2026, 19:57 UTC`, `2026-11-22` without a time; other text as it is."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    if len(text) == len("2026-11-22"):
        return f"{moment.day} {_MONTHS[moment.month - 1]} {moment.year}"
    if moment.tzinfo is None:
        return text
    moment = moment.astimezone(UTC)
    return f"{moment.day} {_MONTHS[moment.month - 1]} {moment.year}, {moment:{clock}} UTC"


def dtype_words(dtype: str) -> str:
    """`<u2` as `16 bit unsigned`; other text as it is."""
    kinds = {"u": "unsigned", "i": "signed", "f": "floating point"}
    body = dtype.lstrip("<>|=")
    if body[:1] in kinds and body[1:].isdecimal():
        return f"{8 * int(body[1:])} bit {kinds[body[:1]]}"
    return dtype


def name_words(name: str) -> str:
    """Organization, else common name, of a certificate's name as RFC 4514 writes it; other text as it is."""
    try:
        parsed = x509.Name.from_rfc4514_string(name)
    except ValueError:
        return name
    for wanted in (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME):
        for attribute in parsed.get_attributes_for_oid(wanted):
            return str(attribute.value)
    return name


def size_words(size: int) -> str:
    """Bytes, and the same in a unit that people read."""
    for factor, unit in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if size >= factor:
            return f"{size / factor:.1f} {unit} ({size:,} bytes)"
    return f"{size:,} bytes"


def value_words(value: Json) -> str:
    """A parameter or survey number as compact JSON; long arrays are cut short and say so."""
    return json.dumps(_shortened(value), ensure_ascii=False).replace('"…', "…").replace('…"', "…")


def _shortened(value: Json) -> Any:
    if isinstance(value, Mapping):
        return {key: _shortened(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        items = [_shortened(item) for item in value[:MAX_LISTED_VALUES]]
        return items if len(value) <= MAX_LISTED_VALUES else [*items, f"… {len(value)} values in all …"]
    if isinstance(value, float):
        return float(f"{value:.6g}")
    return value
