import json
from pathlib import Path

import numpy as np
import pytest

from archive_restore.adapters.shipped import check_document, palettes
from archive_restore.errors import UsageError
from archive_restore.imaging.colour import srgb_from_lab
from archive_restore.imaging.palettes import STATEMENT, Palette, choose, palette_from

FOLDER = Path(__file__).parents[2] / "archive_restore" / "palettes"


def _made(**changes):
    return {
        "id": "test", "title": "Test", "years": [1950, 1960], "regions": ["*"], "process": "", "statement": STATEMENT,
        "method": "made up for a test", "chroma_limit": 40, "tint": {"black": [0, 0], "white": [0, 0]},
        "colours": [
            {"name": "grass", "weight": 0.5, "lab": [45, -20, 20], "deviation": [12, 3, 3]},
            {"name": "brick", "weight": 0.5, "lab": [45, 25, 20], "deviation": [12, 3, 3]},
        ],
        "sources": [{"citation": "no source at all", "taken": "nothing"}],
        **changes,
    }  # fmt: skip


def test_the_palettes_that_ship_fit_their_schema_and_say_what_they_are():
    shipped = palettes()
    assert len(shipped) == len(list(FOLDER.glob("*.json"))) >= 12
    for palette in shipped:
        assert check_document("palette", palette) == "", palette["id"]
        assert (FOLDER / f"{palette['id']}.json").exists()
        assert palette["statement"] == STATEMENT
        assert sum(colour["weight"] for colour in palette["colours"]) == pytest.approx(1)
        assert palette["years"][0] < palette["years"][1] and len(palette["sources"]) >= 1
        means = np.array([colour["lab"] for colour in palette["colours"]])
        assert np.hypot(means[:, 1], means[:, 2]).max() < palette["chroma_limit"], palette["id"]
    assert json.dumps(shipped)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"era": "1960s", "region": "CN"}, "cn-1960s-family"),
        ({"era": "1970s", "region": "us"}, "us-1970s-beach"),
        ({"process": "autochrome"}, "autochrome"),
        ({"era": "1940", "process": "Kodachrome"}, "kodachrome"),
        ({"process": "hand-colored", "region": "JP"}, "jp-hand-coloured"),
        ({"process": "hand-coloured", "region": "FR"}, "hand-coloured"),
        ({"era": "1910s", "region": "FR", "process": "autochrome"}, "autochrome"),
    ],
)
def test_era_region_and_process_choose(asked, found):
    assert choose(palettes(), **asked)["id"] == found


def test_what_does_not_fit_is_answered_with_what_there_is():
    with pytest.raises(UsageError, match=r"no palette fits 1890s, autochrome.*cn-1960s-family \(1958–1976, CN\)"):
        choose(palettes(), era="1890s", process="autochrome")
    for era in ("sixties", "1960-1950", "196", "1960s-1970"):
        with pytest.raises(UsageError):
            choose(palettes(), era=era)


def test_a_palette_shifts_towards_its_nearest_colour_and_limits_chroma():
    palette = Palette(_made())
    ab = np.array([[[-10, 12], [18, 14], [80, 60]]], np.float32)
    light = np.full((1, 3), 45, np.float32)
    made = palette.applied(ab, light)
    assert made[0, 0, 0] < -14 and made[0, 1, 0] > 21
    assert np.hypot(*made[0, 2]) <= 40
    assert (palette.applied(ab, light, 0) == ab).all()
    assert np.abs(palette.applied(ab, light, 0.5) - (ab + made) / 2).max() < 1e-3


def test_a_palette_adds_no_colour_where_none_was_proposed():
    palette = Palette(_made(tint={"black": [5, 5], "white": [0, 10]}))
    assert (palette.applied(np.zeros((4, 5, 2), np.float32), np.full((4, 5), 60, np.float32)) == 0).all()


def test_a_tint_colours_what_is_nearly_neutral():
    tinted, plain = (Palette(_made(tint={"black": [0, 0], "white": [0, t]})) for t in (12, 0))
    ab, light = np.full((1, 1, 2), 2, np.float32), np.full((1, 1), 95, np.float32)
    assert tinted.applied(ab, light)[0, 0, 1] > plain.applied(ab, light)[0, 0, 1] + 3


def test_colours_are_drawn_at_their_lightness_and_repeatably():
    palette = Palette(_made(colours=[
        {"name": "dark blue", "weight": 0.5, "lab": [20, 0, -25], "deviation": [5, 2, 2]},
        {"name": "pale rose", "weight": 0.5, "lab": [80, 20, 0], "deviation": [5, 2, 2]},
    ]))  # fmt: skip
    rng = np.random.default_rng(0)
    dark = np.array([palette.drawn(rng, 22) for _ in range(50)])
    light = np.array([palette.drawn(rng, 78) for _ in range(50)])
    assert dark[:, 1].max() < -12 and light[:, 0].min() > 10


def test_a_palette_made_from_pictures_finds_their_colours():
    rng = np.random.default_rng(1)
    pictures = []
    for _ in range(4):
        lab = np.zeros((60, 80, 3))
        lab[:40] = (70, -5, -25)
        lab[40:] = (40, 20, 30)
        pictures.append(srgb_from_lab(lab + rng.normal(0, 1, lab.shape)))
    document = palette_from(
        pictures, identifier="mine", title="Mine", years=(1950, 1959), regions=["DE"], process="", colours=4,
        sources=[{"citation": "Four pictures made by this test", "taken": "all numbers"}],
    )  # fmt: skip
    assert check_document("palette", document) == ""
    assert document == palette_from(
        pictures, identifier="mine", title="Mine", years=(1950, 1959), regions=["DE"], process="", colours=4,
        sources=[{"citation": "Four pictures made by this test", "taken": "all numbers"}],
    )  # fmt: skip
    sky = [c for c in document["colours"] if c["lab"][2] < 0]
    assert sum(c["weight"] for c in sky) == pytest.approx(2 / 3, abs=0.03)
    mean = np.average([c["lab"] for c in sky], axis=0, weights=[c["weight"] for c in sky])
    assert mean == pytest.approx((70, -5, -25), abs=1)
    assert 36 < document["chroma_limit"] < 50
    Palette(document)


def test_gray_pictures_or_none_make_no_palette():
    kinds = {"identifier": "x", "title": "x", "years": (1950, 1951), "regions": ["*"], "sources": []}
    for pictures in ([], [np.full((20, 20, 3), 0.5, np.float32)]):
        with pytest.raises(UsageError):
            palette_from(pictures, **kinds)
