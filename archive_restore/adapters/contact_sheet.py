"""Contact sheets: pictures side by side, each under its name, stories with their caption band below.

For the eye only, like adapters.previews: no digest and no claim may ever rest on them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from archive_restore.adapters.caption import caption_band, draw_band
from archive_restore.adapters.previews import DisplayArray
from archive_restore.records.labels import CaptionStyle

CELL = 900
"""Width of a picture on the sheet, pixels."""
TALLEST = 1100
"""Greatest height of a picture on the sheet, pixels; taller ones are narrower than a cell."""
GAP = 36
_GROUND = 255


def contact_sheet(panels: Sequence[tuple[str, DisplayArray, str]], style: CaptionStyle, columns: int) -> DisplayArray:
    """Lay pictures on a sheet, row by row: uint8 (h, w, 3).

    `panels`: title, picture uint8 (h, w, 3) of at most CELL×TALLEST pixels, and the text of its caption band, empty for
    what is no story. Raise ConfigurationInvalid where a text cannot be drawn.
    """
    plain = CaptionStyle()
    cells = []
    for title, picture, caption in panels:
        shown = caption_band(picture, caption, style) if caption else picture
        cells.append(_stacked(draw_band(CELL, CELL // 2, title, plain), shown))
    rows = [cells[start : start + columns] for start in range(0, len(cells), columns)]
    width = min(columns, len(cells)) * (CELL + GAP) + GAP
    height = sum(max(len(cell) for cell in row) + GAP for row in rows) + GAP
    sheet = np.full((height, width, 3), _GROUND, np.uint8)
    top = GAP
    for row in rows:
        for number, cell in enumerate(row):
            left = GAP + number * (CELL + GAP)
            sheet[top : top + len(cell), left : left + CELL] = cell
        top += max(len(cell) for cell in row) + GAP
    return sheet


def _stacked(title: DisplayArray, shown: DisplayArray) -> DisplayArray:
    """A title over a picture, both at the left of a cell."""
    cell = np.full((len(title) + len(shown), CELL, 3), _GROUND, np.uint8)
    cell[: len(title), : title.shape[1]] = title
    cell[len(title) :, : shown.shape[1]] = shown
    return cell
