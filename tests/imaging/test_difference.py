"""Difference: what was changed is found where it is; what was done to the whole is told and not taken for a change."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from archive_restore.imaging.difference import Difference, difference
from archive_restore.imaging.registration import prepare, register_prepared
from tests.conftest import PHOTOGRAPHS
from tests.support import published as p

LONGEST = 400


def small(name: str) -> p.Picture:
    picture = Image.open(PHOTOGRAPHS / f"{name}.jpg").convert("RGB")
    picture.thumbnail((LONGEST, LONGEST))
    return np.asarray(picture)


def coloured(gray: p.Picture) -> p.Picture:
    """Blue above, brown below, as a person tints a print."""
    down = np.linspace(0, 1, gray.shape[0])[:, None, None]
    tint = (1 - down) * np.array([-12.0, 0, 30]) + down * np.array([14.0, 0, -24])
    return np.asarray(np.clip(gray + tint, 0, 255), np.uint8)


REFERENCE = coloured(small("dust-bowl-home"))
PREPARED = prepare(REFERENCE)


def compared(*changes: p.Change, seed: int = 0) -> tuple[p.Published, Difference]:
    of, rng = p.begun(REFERENCE), np.random.default_rng(seed)
    for change in changes:
        of = change(of, rng)
    registration = register_prepared(prepare(of.picture), PREPARED)
    assert registration is not None
    return of, difference(of.picture, REFERENCE, registration)


UNCHANGED = {
    "itself": (),
    "q15": (p.jpeg(15),),
    "q50, half size": (p.resize(0.5), p.jpeg(50)),
    "graded": (p.tone_gamma(0.7), p.warm(0.1), p.jpeg(80)),
    "screenshot": (p.screenshot(0.8, 1.1), p.jpeg(75)),
    "mirrored, turned": (p.mirror, p.rotate(2), p.jpeg(80)),
    "cropped": (p.crop(0.3), p.jpeg(70)),
    "gray": (p.saturate(0), p.jpeg(70)),
    "softened": (p.blur(1.2), p.jpeg(85)),
}


@pytest.mark.parametrize("name", UNCHANGED)
def test_what_was_done_to_the_whole_is_no_change_of_content(name: str) -> None:
    _, told = compared(*UNCHANGED[name])
    assert told.regions == ()
    assert told.compared.mean() > 0.5 or name == "screenshot"


CHANGED = {
    "logo": (p.logo(), p.jpeg(60)),
    "words": (p.caption(), p.jpeg(70)),
    "swapped": (p.swap(small("acanthus-mollis")[40:200, 60:220]), p.jpeg(75)),
    "cloned": (p.clone(0.03), p.jpeg(80)),
    "taken out": (p.erase(0.03), p.jpeg(80)),
    "logo on a turned crop": (p.logo(0.03), p.rotate(2), p.jpeg(80)),
}


@pytest.mark.parametrize("name", CHANGED)
def test_what_was_changed_is_found_where_it_is(name: str) -> None:
    of, told = compared(*CHANGED[name], seed=3)
    assert told.regions
    box = told.regions[0].region
    rows, columns = np.nonzero(of.changed)
    inside = of.changed[box.top : box.bottom, box.left : box.right].sum()
    assert inside > 0.5 * of.changed.sum()
    assert box.height < 2 * np.ptp(rows) + 24
    assert box.width < 2 * np.ptp(columns) + 24
    assert len(told.regions) <= 2
    assert told.strength[int(rows.mean() / told.scale), int(columns.mean() / told.scale)] or inside


def test_a_recoloured_region_is_told_as_one_of_colour() -> None:
    _, told = compared(p.recolour(0.04), p.jpeg(85), seed=2)
    assert [region.colour_only for region in told.regions] == [True]


def test_global_statements() -> None:
    _, plain = compared(p.jpeg(90))
    assert not (plain.mirrored or plain.bordered or plain.grayscale or plain.tinted or plain.graded)
    assert plain.noise < 4
    _, gray = compared(p.saturate(0))
    assert gray.grayscale
    _, warm = compared(p.contrast(1.3, 0.05), p.jpeg(90))
    assert warm.graded
    codes = dict(warm.tone)
    assert codes[192] > 192 + 10
    _, framed = compared(p.letterbox(0.1), p.mirror)
    assert framed.bordered
    assert framed.mirrored
    _, soft = compared(p.blur(1.5))
    assert soft.detail < 0.8


def test_colours_over_a_gray_reference_are_told_and_not_compared() -> None:
    gray = np.asarray(REFERENCE.mean(axis=2), np.uint8)
    registration = register_prepared(prepare(REFERENCE), prepare(gray))
    assert registration is not None
    told = difference(REFERENCE, gray, registration)
    assert told.tinted
    assert not told.grayscale


def test_a_flat_overlap_says_nothing() -> None:
    """Too little in common is no reason to fail."""
    registration = register_prepared(prepare(REFERENCE), PREPARED)
    assert registration is not None
    flat = np.full_like(REFERENCE, 128)
    told = difference(flat, flat, registration)
    assert told.regions == ()
