import json
from pathlib import Path

import numpy as np
import pytest

from archive_restore.adapters.shipped import check_document
from archive_restore.core.colour_names import colour_names
from archive_restore.core.hints_document import HintShape, colour_of, hints_of
from archive_restore.errors import UsageError
from archive_restore.imaging.colour import lab_from_srgb

REGIONS = [{"name": "dress", "polygon": [[10, 10], [20, 10], [20, 30], [10, 30]]}]


def test_names_hex_and_lab_agree_with_the_colour_they_stand_for():
    known = {
        "light green": "96f97b", "LightGreen": "90ee90", "dark  grey": "363737", "#f80": "ff8800",
        "rebeccapurple": "663399", "#0B1a2C": "0b1a2c",
    }  # fmt: skip
    for text, code in known.items():
        rgb = [int(code[k : k + 2], 16) / 255 for k in (0, 2, 4)]
        assert colour_of(text) == pytest.approx(lab_from_srgb(rgb), abs=0.02), text
    assert colour_of("lab(50 -12.5, 3)") == (50, -12.5, 3)
    assert colour_of("neutral")[1:] == (0, 0)
    assert colour_of("gray")[1:] == pytest.approx((0, 0), abs=1e-4)


def test_every_name_of_both_lists_is_read():
    names = colour_names()
    assert len(names) > 1000
    assert {names["cerulean"], names["dusty rose"], names["papayawhip"]} == {"#0485d1", "#c0737a", "#ffefd5"}
    labs = np.array([colour_of(name) for name in names])
    assert labs[:, 0].min() >= -1e-6 and labs[:, 0].max() <= 100.001


@pytest.mark.parametrize(
    "text", ["light grene", "#12345", "lab(50 1)", "lab(- 1 2)", "lab(120 0 0)", "lab(50 900 0)", "12"]
)
def test_a_colour_that_nobody_knows_is_an_error_of_one_line(text):
    with pytest.raises(UsageError) as found:
        colour_of(text)
    assert "\n" not in str(found.value) and repr(text) in str(found.value)


def test_a_misspelt_name_is_answered_with_names_like_it():
    with pytest.raises(UsageError, match="light green"):
        colour_of("light grene")


def test_a_document_becomes_hints():
    document = {
        "regions": REGIONS,
        "hints": [
            {"point": [3, 4], "colour": "light green", "author": "Ana", "reason": "says her daughter", "when": "2024"},
            {"stroke": [[1, 1], [5, 9]], "radius": 3, "colour": "#aabbcc", "within": "dress"},
            {"polygon": [[0, 0], [4, 0], [4, 4]], "colour": "neutral"},
            {"region": "dress", "colour": "lab(60 10 10)", "reach": 0.5},
        ],
    }
    assert check_document("hints", document) == ""
    point, stroke, polygon, region = hints_of(document)
    assert point.shape is HintShape.POINT and point.places == ((3, 4),) and point.reach == 1
    assert stroke.radius == 3 and stroke.within == region.places
    assert polygon.reach == 0 and polygon.lab[1:] == (0, 0)
    assert region.name == "dress" and region.reach == 0.5
    decision = point.decision()
    assert decision.what == "light green at 3,4"
    assert (decision.author, decision.reason, decision.when) == ("Ana", "says her daughter", "2024")
    assert decision.author and region.decision().what == "lab(60 10 10) in a polygon of 4 places (dress)"


@pytest.mark.parametrize(
    "document",
    [
        {"hints": [{"region": "hat", "colour": "red"}]},
        {"hints": [{"point": [1, 1], "within": "hat", "colour": "red"}], "regions": REGIONS},
        {"hints": [{"point": [1, 1], "colour": "red"}], "regions": REGIONS * 2},
    ],
)
def test_regions_must_be_there_once(document):
    with pytest.raises(UsageError):
        hints_of(document)


@pytest.mark.parametrize(
    "entry",
    [
        {"colour": "red"},
        {"point": [1, 2], "polygon": [[0, 0], [1, 0], [1, 1]], "colour": "red"},
        {"point": [1], "colour": "red"},
        {"polygon": [[0, 0], [1, 0]], "colour": "red"},
        {"point": [1, 2], "colour": ""},
        {"point": [1, 2], "colour": "red", "reach": -1},
        {"point": [1, 2], "colour": "red", "x": 1},
    ],
)
def test_the_schema_refuses(entry):
    assert check_document("hints", {"hints": [entry]})


def test_the_schema_says_what_each_member_is():
    schema = json.loads((Path(__file__).parents[2] / "schemas" / "hints.schema.json").read_text())
    for name, member in schema["properties"]["hints"]["items"]["properties"].items():
        assert member["description"], name
