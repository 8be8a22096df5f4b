"""A contact sheet shows every picture whole, its name above it and a story's label below it, never over it."""

import numpy as np

from archive_restore.adapters.contact_sheet import CELL, GAP, contact_sheet
from archive_restore.records.labels import CaptionStyle


def found(sheet: np.ndarray, colour: tuple[int, int, int]) -> tuple[slice, slice]:
    rows, columns = np.nonzero((sheet == colour).all(axis=2))
    return slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)


def test_every_picture_is_there_whole_and_labels_lie_outside():
    colours = [(200, 10, 10), (10, 200, 10), (10, 10, 200)]
    sizes = [(300, CELL), (500, 400), (250, CELL)]
    panels = [
        (f"picture {n}", np.full((*size, 3), colour, np.uint8), "Digitally colorized." if n else "")
        for n, (size, colour) in enumerate(zip(sizes, colours, strict=True))
    ]
    sheet = contact_sheet(panels, CaptionStyle(ground="#000000", ink="#ffffff"), 2)
    assert sheet.shape[1] == 2 * (CELL + GAP) + GAP
    for size, colour in zip(sizes, colours, strict=True):
        place = found(sheet, colour)
        assert (sheet[place] == colour).all()
        assert (place[0].stop - place[0].start, place[1].stop - place[1].start) == size
    first, second, third = (found(sheet, colour) for colour in colours)
    assert first[1].start == third[1].start == GAP
    assert second[1].start == 2 * GAP + CELL
    black = (sheet == 0).all(axis=2)
    assert not black[first[0].stop : third[0].start - 200, first[1]].any()
    assert black[second[0].stop + 2, second[1].start + 2]
    assert black[third[0].stop + 2, third[1].start + 2]
    titles = sheet[GAP : first[0].start, GAP : GAP + CELL]
    assert (titles < 80).any()
