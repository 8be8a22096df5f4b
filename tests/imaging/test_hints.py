import numpy as np
import pytest

from archive_restore.core.hints_document import HintShape, hints_of
from archive_restore.errors import UsageError
from archive_restore.imaging.hints import Mark, Seen, marks_of, pixels_of, spread, suggest

HEIGHT, WIDTH = 120, 160


def _picture():
    """Two plain areas side by side and a fine pattern below."""
    light = np.full((HEIGHT, WIDTH), 30, np.float32)
    light[:, 80:] = 70
    light[80:] = 50 + 25 * (np.indices((40, WIDTH)).sum(axis=0) % 2)
    return light + np.random.default_rng(0).normal(0, 0.5, light.shape).astype(np.float32)


def _mark(y, x, ab, **kinds):
    return Mark(rows=np.array([y]), columns=np.array([x]), ab=ab, **kinds)


def test_a_hint_holds_at_its_pixel_spreads_over_its_area_and_ends_at_its_edge():
    made = spread(Seen(_picture()), [_mark(30, 30, (40.0, 20.0))])
    assert tuple(made.ab[30, 30]) == (40, 20) and made.trust[30, 30] == 1
    own, other, pattern = made.trust[10:70, 5:70], made.trust[10:70, 90:155], made.trust[90:, 10:150]
    assert own.mean() > 0.6 and own.min() > 0.3
    assert other.max() < 0.02 and pattern.mean() < 0.1
    assert (made.owner[own.shape[0] // 2, 5:70] == 0).all() and made.owner[30, 120] == -1


def test_two_hints_share_the_picture_at_the_edge():
    made = spread(Seen(_picture()), [_mark(40, 20, (50.0, 0.0)), _mark(40, 140, (-50.0, 0.0))])
    assert made.ab[10:70, 10:72, 0].min() > 30 and made.ab[10:70, 88:150, 0].max() < -30
    assert (made.owner[10:70, :72] == 0).all() and (made.owner[10:70, 88:] == 1).all()


def test_moving_one_hint_changes_nothing_beyond_its_neighbourhood():
    seen = Seen(_picture())
    first = spread(seen, [_mark(40, 20, (50.0, 0.0)), _mark(40, 140, (-50.0, 0.0))])
    second = spread(seen, [_mark(52, 34, (50.0, 0.0)), _mark(40, 140, (-50.0, 0.0))])
    assert (first.ab[5:70, 92:] == second.ab[5:70, 92:]).all()
    assert (first.trust[5:70, 92:] == second.trust[5:70, 92:]).all()
    assert (first.ab[:70, :70] != second.ab[:70, :70]).any()


def test_a_neutral_pin_keeps_colour_away():
    seen = Seen(np.full((HEIGHT, WIDTH), 50, np.float32))
    alone = spread(seen, [_mark(60, 30, (40.0, 0.0))])
    pinned = spread(seen, [_mark(60, 30, (40.0, 0.0)), _mark(60, 130, (0.0, 0.0))])
    assert pinned.ab[60, 130, 0] == 0 and pinned.ab[45:75, 120:145, 0].mean() < 2
    assert alone.ab[40:80, 60, 0].mean() > 30 and pinned.ab[60, 30, 0] == 40


def test_a_region_bounds_a_hint_and_reach_says_how_far_it_goes():
    seen = Seen(np.full((HEIGHT, WIDTH), 50, np.float32))
    within = np.zeros((HEIGHT, WIDTH), np.bool_)
    within[30:90, 20:100] = True
    made = spread(seen, [_mark(60, 60, (40.0, 0.0), within=within)])
    assert (made.trust[~within] == 0).all() and (made.ab[~within] == 0).all() and made.trust[within].min() > 0.2
    own = spread(seen, [_mark(60, 60, (40.0, 0.0), reach=0)])
    assert (own.trust > 0).sum() == 1
    near, far = (spread(seen, [_mark(60, 60, (40.0, 0.0), reach=reach)]).trust.sum() for reach in (0.4, 1.0))
    assert near < 0.7 * far


def test_chroma_follows_light_on_one_paint():
    light = np.tile(np.linspace(40, 60, WIDTH, dtype=np.float32), (HEIGHT, 1))
    made = spread(Seen(light), [_mark(60, 80, (30.0, 0.0))])
    assert made.ab[60, 60, 0] < 30 < made.ab[60, 100, 0]


def test_pixels_of_a_hint_are_the_same_in_bands_and_hold_the_places():
    rng = np.random.default_rng(3)
    for shape in HintShape:
        places = [tuple(xy) for xy in rng.uniform(-5, 70, (1 if shape is HintShape.POINT else 7, 2))]
        whole = np.zeros((60, 66), int)
        rows, columns = pixels_of(shape, places, 4.3, (0, 60), 66)
        whole[rows, columns] += 1
        parts = np.zeros_like(whole)
        for top in range(0, 60, 7):
            rows, columns = pixels_of(shape, places, 4.3, (top, min(top + 7, 60)), 66)
            assert ((rows >= top) & (rows < top + 7)).all()
            parts[rows, columns] += 1
        assert (whole == parts).all() and whole.max() == 1 and whole.sum() > 20


def test_a_polygon_is_its_inside():
    rows, columns = pixels_of(HintShape.POLYGON, [(1.5, 1.5), (6.5, 1.5), (6.5, 4.5), (1.5, 4.5)], 0, (0, 10), 10)
    assert set(zip(rows.tolist(), columns.tolist(), strict=True)) == {(y, x) for y in (2, 3, 4) for x in range(2, 7)}


def test_marks_lie_where_the_hints_do():
    document = {
        "hints": [
            {"point": [399, 0], "colour": "red"},
            {"polygon": [[100.1, 100.1], [100.4, 100.1], [102.2, 101.9]], "colour": "blue"},
            {"stroke": [[0, 299], [200, 299]], "radius": 8, "colour": "green"},
        ]
    }
    point, tiny, stroke = marks_of(hints_of(document), (300, 400), (75, 100), 4.0)
    assert (point.rows.tolist(), point.columns.tolist()) == ([0], [99])
    assert tiny.rows.size == 1 and 24 <= tiny.rows[0] <= 26
    assert set(stroke.rows) == {73, 74} and stroke.columns.max() in (50, 51, 52)
    for place in ([400, 10], [10, -1], [10, 300]):
        with pytest.raises(UsageError, match="outside the picture of 400×300"):
            marks_of(hints_of({"hints": [{"point": place, "colour": "red"}]}), (300, 400), (75, 100), 4.0)


def test_a_hint_outside_its_region_is_refused():
    document = {
        "regions": [{"name": "hat", "polygon": [[0, 0], [20, 0], [20, 20], [0, 20]]}],
        "hints": [{"point": [200, 200], "within": "hat", "colour": "red"}],
    }
    with pytest.raises(UsageError, match="region"):
        marks_of(hints_of(document), (300, 400), (75, 100), 4.0)


def test_suggestions_lie_in_large_unknown_areas_and_not_where_something_is_known():
    seen = Seen(_picture())
    known = np.zeros((HEIGHT, WIDTH), np.float32)
    places = suggest(seen, known, 4.0)
    assert len(places) >= 3 and places[0].share >= places[1].share
    assert {(p.x < 320, p.y < 320) for p in places[:3]} >= {(True, True), (False, True)}
    assert "%" in places[0].reason
    known[:, :80] = 1
    assert all(place.x > 300 for place in suggest(seen, known, 4.0))
    assert suggest(seen, np.ones_like(known), 4.0) == ()


def test_many_hints_do_not_need_more_memory_than_planes_of_their_number():
    rng = np.random.default_rng(5)
    marks = [_mark(int(rng.integers(HEIGHT)), int(rng.integers(WIDTH)), (10.0, 5.0)) for _ in range(150)]
    made = spread(Seen(_picture()), marks)
    assert made.trust.mean() > 0.9
    assert np.abs(made.ab[made.trust > 0.5] - [10, 5]).mean() < 3
