"""Which backing piece suits a picture, by the year and the place its description names (the table of the how-to page).

1. The year is the first of 1500 to 2099 in `date`; places are words of `coverage`, or two-letter codes of countries.
2. Pieces of that country, else those that suit any.
3. The one whose years are nearest, then the one with the fewest years (the most where no year is known), then the
   first by name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

_PLACES = {
    "US": ("united states", "usa", "america", "new york", "california", "chicago", "texas", "boston", "washington"),
    "GB": ("united kingdom", "great britain", "britain", "england", "scotland", "wales", "london", "edinburgh"),
    "IE": ("ireland", "dublin"),
    "DE": ("germany", "deutschland", "prussia", "bavaria", "berlin", "hamburg", "munich", "münchen"),
    "AT": ("austria", "österreich", "vienna", "wien", "tyrol"),
    "CH": ("switzerland", "schweiz", "suisse", "zurich", "zürich", "geneva"),
    "FR": ("france", "paris", "lyon", "marseille"),
    "BE": ("belgium", "belgique", "brussels"),
    "HU": ("hungary", "budapest"),
    "CZ": ("bohemia", "czech", "prague", "praha"),
    "CN": (
        "china",
        "shanghai",
        "peking",
        "beijing",
        "canton",
        "nanjing",
        "中国",
        "中國",
        "上海",
        "北京",
        "南京",
        "广州",
    ),
    "HK": ("hong kong", "香港"),
    "TW": ("taiwan", "formosa", "台湾", "臺灣", "台灣"),
    "JP": ("japan", "nagasaki", "tokyo", "kyoto", "yokohama", "osaka", "日本", "長崎", "東京"),
    "CA": ("canada", "montreal", "toronto"),
    "AU": ("australia", "sydney", "melbourne"),
    "NZ": ("new zealand", "auckland"),
}
"""Words for a country in `coverage`; the longest one found counts."""
_YEAR = re.compile(r"(?<!\d)(1[5-9]\d\d|20\d\d)(?!\d)")


def suitable(pieces: Sequence[Mapping[str, Any]], date: str, coverage: str) -> tuple[str, str]:
    """Identifier of a piece, and why in one sentence. `pieces` are not empty."""
    year = int(found[1]) if (found := _YEAR.search(date)) else None
    country = country_of(coverage)
    local = [piece for piece in pieces if country in piece["suits"]["regions"]]
    candidates = local or [piece for piece in pieces if "*" in piece["suits"]["regions"]] or list(pieces)

    def rank(piece: Mapping[str, Any]) -> tuple[int, int, str]:
        first, last = piece["suits"]["years"]
        away = 0 if year is None else max(first - year, year - last, 0)
        # Without a year, the piece that suits the most years is the least wrong.
        return away, first - last if year is None else last - first, str(piece["id"])

    chosen = min(candidates, key=rank)
    when = f"the year {year}" if year is not None else "no year"
    where = f"the country {country}" if country else "no country"
    none = " (no piece is from there)" if country and not local else ""
    return str(chosen["id"]), f"The description names {when} and {where}{none}."


def country_of(coverage: str) -> str:
    """Two-letter code of a country that words name; an empty string where there is none."""
    words = coverage.casefold()
    found = [
        (len(name), code)
        for code, names in _PLACES.items()
        for name in names
        if (re.search(rf"\b{re.escape(name)}\b", words) if name.isascii() else name in words)
    ]
    if found:
        return max(found)[1]
    codes = [part for part in re.findall(r"\b[A-Z]{2}\b", coverage) if part in _PLACES]
    return codes[0] if codes else ""
