import json
from pathlib import Path

import numpy as np
import pytest

from archive_restore.adapters.shipped import check_document, palettes
from archive_restore.errors import UsageError
from archive_restore.imaging.colour import srgb_from_lab
from archive_restore.imaging.palettes import STATEMENT, Palette, based, choose, doubt_of, palette_from, rests_on
from models.palettes import make

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
        ({"process": "technicolor"}, "technicolor"),
        ({"process": "instant"}, "instant-prints"),
        ({"era": "1940", "process": "Kodachrome"}, "kodachrome"),
        ({"process": "hand-colored", "region": "JP"}, "jp-hand-coloured"),
        ({"process": "hand-coloured", "region": "FR"}, "hand-coloured"),
        ({"process": "hand-coloured"}, "hand-coloured"),
        ({"era": "1910s", "region": "FR", "process": "autochrome"}, "autochrome"),
    ],
)
def test_era_region_and_process_choose(asked, found):
    assert choose(palettes(), **asked)["id"] == found


def test_what_does_not_fit_is_answered_with_what_there_is():
    with pytest.raises(UsageError, match=r"no palette fits 1890s, autochrome.*cn-1960s-family \(1958–1976, CN\)"):
        choose(palettes(), era="1890s", process="autochrome")
    with pytest.raises(UsageError, match="no palette fits XX"):
        choose(palettes(), region="XX")
    for era in ("sixties", "1960-1950", "196", "1960s-1970"):
        with pytest.raises(UsageError):
            choose(palettes(), era=era)


def test_a_palette_shifts_towards_its_nearest_colour_and_limits_chroma():
    palette = Palette(_made())
    ab = np.array([[[-10, 12], [18, 14], [80, 60]]], np.float32)
    light = np.full((1, 3), 45, np.float32)
    made, painted = palette.applied(ab, light)
    assert made[0, 0, 0] < -14 and made[0, 1, 0] > 21
    assert np.hypot(*made[0, 2]) <= 40
    assert (painted == 1).all(), "it has no bare print"
    assert (palette.applied(ab, light, 0)[0] == ab).all()
    assert np.abs(palette.applied(ab, light, 0.5)[0] - (ab + made) / 2).max() < 1e-3


def test_a_palette_adds_no_colour_where_none_was_proposed():
    palette = Palette(_made(tint={"black": [5, 5], "white": [0, 10]}))
    assert (palette.applied(np.zeros((4, 5, 2), np.float32), np.full((4, 5), 60, np.float32))[0] == 0).all()


def test_a_tint_colours_what_is_nearly_neutral():
    anything = {"name": "anything", "weight": 1, "lab": [90, 0, 0], "deviation": [20, 25, 25]}
    tinted, plain = (Palette(_made(colours=[anything], tint={"black": [0, 0], "white": [0, t]})) for t in (12, 0))
    ab, light = np.full((1, 1, 2), 2, np.float32), np.full((1, 1), 95, np.float32)
    assert tinted.applied(ab, light)[0][0, 0, 1] > plain.applied(ab, light)[0][0, 0, 1] + 3


def test_a_tint_is_not_counted_twice():
    """Usual colours are those of pictures, tint and all: paper of the tint's own colour must not get more of it."""
    paper = {"name": "paper", "weight": 1, "lab": [90, 2, 12], "deviation": [12, 3, 3]}
    palette = Palette(_made(tint={"black": [2, 12], "white": [2, 12]}, colours=[paper]))
    made, _ = palette.applied(np.full((1, 1, 2), 1.5, np.float32), np.full((1, 1), 92, np.float32))
    assert made[0, 0] == pytest.approx((2, 12), abs=2)


@pytest.mark.parametrize("palette", ["hand-coloured", "jp-hand-coloured", "in-hand-painted"])
def test_a_colourist_leaves_paper_and_skies_alone(palette):
    document = next(p for p in palettes() if p["id"] == palette)
    pale = np.array([[[-1.5, 2], [-2, -3], [0.7, 6], [1, 9]]], np.float32)  # what a network says of paper and skies
    made, painted = Palette(document).applied(pale, np.array([[90, 88, 80, 60]], np.float32))
    assert np.hypot(made[..., 0], made[..., 1]).max() < 4
    assert painted.max() < 0.35
    rose = np.array([[[32, 4]]], np.float32)
    made, painted = Palette(document).applied(rose, np.full((1, 1), 55, np.float32))
    assert painted[0, 0] > 0.9 and made[0, 0, 0] > 25, "what is surely coloured is painted"
    left, all_of_it = Palette(document).applied(pale, np.full((1, 4), 80, np.float32), 0)
    assert (left == pale).all() and (all_of_it == 1).all()


def test_every_number_that_ships_rests_on_a_cited_one():
    """Shares, colours and deviations: none is set by hand, and each source that a colour names is cited with what was
    taken from it."""
    for palette in palettes():
        cited = {source["id"]: source["taken"] for source in palette["sources"] if "id" in source}
        assert palette["basis"] == {
            "weights": "computed", "deviations": "computed", "chroma_limit": "computed", "tint": "defined",
        }, palette["id"]  # fmt: skip
        used = set()
        for colour in palette["colours"]:
            assert colour["basis"] == ("defined" if colour.get("bare") else "computed"), (palette["id"], colour["name"])
            assert (colour["basis"] == "computed") == bool(colour.get("from")), (palette["id"], colour["name"])
            used |= set(colour.get("from", ()))
        assert {"things", "ade20k", "ccp"} < used <= set(cited), palette["id"]
        assert all("No number" not in cited[key] for key in used), palette["id"]
        assert set(cited) - used == set(make.ALSO.get(palette["id"], ())), palette["id"]


@pytest.mark.parametrize("process", ["autochrome", "kodachrome", "agfacolor", "technicolor", "hand-coloured"])
def test_a_process_chooses_a_palette_with_a_source_of_that_process(process):
    chosen = choose(palettes(), process=process)
    sources = {source.get("id") for source in chosen["sources"]}
    assert sources & {"autochrome-grains", "kodachrome-64", "agfacolor-1943", "technicolor-iv", "nbs-440"}, process


def test_processes_differ_as_they_did():
    """Of the same red cloth: a screen plate is dullest, Agfacolor is browner than Kodachrome."""
    red = {
        palette["id"]: next(colour["lab"] for colour in palette["colours"] if colour["name"] == "red cloth")
        for palette in palettes()
        if palette["process"] in make.PROCESSES
    }
    chroma = {key: float(np.hypot(*lab[1:])) for key, lab in red.items()}
    assert min(chroma, key=chroma.__getitem__) == "autochrome" and chroma["kodachrome"] > 1.2 * chroma["agfacolor"]
    hue = {key: float(np.degrees(np.arctan2(lab[2], lab[1]))) for key, lab in red.items()}
    assert hue["agfacolor"] > hue["kodachrome"] + 5
    for palette in palettes():
        if palette["process"] in make.PROCESSES:
            gray = next(c["lab"] for c in palette["colours"] if c["name"] == "pale and gray cloth")
            assert np.hypot(*gray[1:]) < 6, palette["id"]


def test_shares_are_those_of_their_setting_and_people():
    for thing, setting, peopled in (("blue sky", "indoor", True), ("painted wall", "outdoor", False)):
        assert 0 <= make.share(thing, setting, peopled) < 0.06
    assert make.share("skin", "outdoor", True) > 5 * make.share("skin", "outdoor", False)
    whole = [sum(make.share(one, "outdoor", peopled) for one in make.THINGS) for peopled in (False, True)]
    assert max(whole) <= 1 and min(whole) > 0.7


def test_a_wash_is_as_dark_as_its_thing_and_half_of_it_is_paint():
    light = float(make.seen("blue sky", "cloud")[0][0])
    blue = make.wash(["Prussian blue"], "blue sky", "cloud")
    assert blue.lab[0] == pytest.approx(light, abs=0.05)
    assert -25 < blue.lab[2] < -5
    sepia = make.wash(["sepia"], "blue sky", "cloud").lab
    assert sepia[2] > 3, "the hue is that of the paint"


def test_the_palettes_are_what_their_numbers_make():
    for path in sorted(FOLDER.glob("*.json")):
        assert make.written(make.made(json.loads(path.read_text("utf-8")))) == path.read_text("utf-8"), path.name


def test_what_a_palette_rests_on_is_said_in_words():
    colours = [
        {**colour, "basis": basis} for colour, basis in zip(_made()["colours"], ("computed", "estimated"), strict=True)
    ]
    said = rests_on(_made(colours=colours, basis={"weights": "estimated", "tint": "defined"}))
    assert said == ("computed of published numbers: grass; estimated by hand: brick; shares estimated; tint defined")
    many = [{**colours[0], "name": f"grass {number}"} for number in range(9)]
    assert rests_on(_made(colours=many)) == "computed of published numbers: 9 colours"
    assert rests_on(_made()) == "of a basis that is not stated: grass, brick"
    assert based(_made(colours=colours)) == "1 of 2 colours computed of published numbers"
    assert based(_made()) == "basis not stated"
    assert based(_made(colours=[{**colours[1]}])) == "all estimated by hand"


def test_confidence_says_how_far_a_proposal_is_doubted():
    """Of errors drawn from the distribution that is meant, as many are near as confidence says."""
    rng = np.random.default_rng(3)
    for chance in (0.2, 0.5, 0.95):
        deviation = float(doubt_of(np.full((1, 1), chance, np.float32), 10)[0, 0])
        off = np.hypot(*rng.normal(0, deviation, (2, 20000)))
        assert (off < 10).mean() == pytest.approx(chance, abs=0.02)


def test_what_a_proposal_is_sure_of_hardly_moves():
    palette = Palette(_made())
    ab, light = np.full((1, 1, 2), (8, 10), np.float32), np.full((1, 1), 45, np.float32)
    moved = [
        float(np.hypot(*(palette.applied(ab, light, 1, np.full((1, 1), doubt, np.float32))[0] - ab)[0, 0]))
        for doubt in (1, 4, 12)
    ]
    assert moved[0] < 3 and moved == sorted(moved) and moved[2] > 5


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
    assert {colour["basis"] for colour in document["colours"]} | set(document["basis"].values()) == {"measured"}
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
