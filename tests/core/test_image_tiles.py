"""The files of a level-0 picture are those that a viewer's own arithmetic asks for, no more and no fewer."""

from hypothesis import given, settings
from hypothesis import strategies as st

from archive_restore.core.image_tiles import EDGE, TiledPicture
from tests.support.iiif_client import requests

SIZES = st.integers(1, 9_000)


@given(width=SIZES, height=SIZES)
@settings(max_examples=60, deadline=None)
def test_a_viewer_finds_every_file_it_asks_for(width, height):
    picture = TiledPicture(width=width, height=height)
    info = picture.info("http://localhost:8000/x")
    there = {path: size for path, *size in picture.paths()}
    asked = {path for *_, path in requests(info)}
    whole = {f"full/{size['width']},{size['height']}/0/default.jpg" for size in info["sizes"]}
    assert asked | whole | {"full/max/0/default.jpg"} == set(there)
    assert len(list(picture.paths())) == len(there)


@given(width=SIZES, height=SIZES)
@settings(max_examples=60, deadline=None)
def test_tiles_of_a_level_cover_it_once(width, height):
    picture = TiledPicture(width=width, height=height)
    for factor in picture.factors:
        tiles = list(picture.tiles(factor))
        across, down = picture.scaled(factor)
        assert sum(tile.width * tile.height for tile in tiles) == across * down
        assert max(max(tile.width, tile.height) for tile in tiles) <= EDGE
    assert max(picture.scaled(picture.factors[-1])) <= EDGE


def test_a_large_picture_says_how_large_its_one_file_is():
    info = TiledPicture(width=7360, height=4912).info("http://localhost:8000/x")
    assert (info["maxWidth"], info["maxHeight"]) == (1840, 1228)
    assert info["sizes"][-1] == {"width": 1840, "height": 1228}
    assert info["tiles"] == [{"width": 512, "height": 512, "scaleFactors": [1, 2, 4, 8, 16]}]
    assert "maxWidth" not in TiledPicture(width=2048, height=100).info("http://localhost:8000/x")


def test_paths_are_those_of_the_specification():
    small = TiledPicture(width=300, height=200)
    assert {path for path, *_ in small.paths()} == {"full/max/0/default.jpg", "full/300,200/0/default.jpg"}
    paths = {path: size for path, *size in TiledPicture(width=1000, height=600).paths()}
    assert paths["512,512,488,88/488,88/0/default.jpg"] == [488, 88]
    assert paths["full/500,300/0/default.jpg"] == [500, 300]
