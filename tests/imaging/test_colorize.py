import numpy as np
import pytest

from archive_restore.adapters.icc import srgb
from archive_restore.adapters.shipped import palettes
from archive_restore.core.hints_document import hints_of
from archive_restore.imaging import belonging, colorize, hints
from archive_restore.imaging.colour import Recolouring, lab_from_srgb
from archive_restore.imaging.hints import Mark
from archive_restore.imaging.palettes import Palette

HEIGHT, WIDTH = 300, 420


def _scene(dtype=np.uint8, white=255):
    """A light wall, a dark coat with soft folds, a ground with texture."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    scene = np.full((HEIGHT, WIDTH), 0.8)
    coat = ((x - 200) / 90) ** 2 + ((y - 150) / 130) ** 2 < 1
    scene[coat] = 0.3 + 0.05 * np.sin(x[coat] / 9)
    scene[250:] = 0.5 + 0.1 * rng.standard_normal((50, WIDTH))
    scene += 0.01 * rng.standard_normal(scene.shape)
    return (np.clip(scene, 0, 1) * white).astype(dtype)[:, :, None], coat


def _colored(samples, document, white=255, count=1, **kinds):
    recolouring = Recolouring(srgb(), samples.dtype, white)
    picture = tuple(range(samples.shape[2]))
    light, scale = colorize.reduced_lightness(samples, recolouring, picture=picture)
    toning = kinds.pop("toning", 1.0)
    told = hints_of(document) if document else ()
    plan = colorize.plan_colour(light, scale, samples.shape[:2], hints=told, samples=count, **kinds)
    return plan, colorize.paint(plan, samples, recolouring, picture=picture, new=np.zeros, toning=toning, threads=2)


COAT = {"hints": [{"point": [200, 150], "colour": "lab(40 30 20)"}, {"point": [30, 30], "colour": "neutral"}]}


@pytest.mark.parametrize(("dtype", "white"), [(np.uint8, 255), (np.uint16, 65535)])
def test_a_hint_colours_what_belongs_to_it_and_the_rest_stays_bit_for_bit(dtype, white):
    samples, coat = _scene(dtype, white)
    plan, made = _colored(samples, COAT, white)
    lab = lab_from_srgb(made.samples / white)
    inside = coat.copy()
    inside[245:] = False
    inside[:, :125] = inside[:, 276:] = False
    assert np.abs(lab[inside][:, 1:] - [30, 20]).mean() < 6
    assert np.abs(lab[150, 200, 1:] - [30, 20]).max() < (1.5 if dtype == np.uint8 else 0.1)
    assert made.changed[inside].mean() > 0.99 and made.ruled[inside].mean() > 0.95
    wall = made.samples[:240, :90]
    assert (wall == samples[:240, :90]).mean() > 0.95
    assert (made.samples[~made.changed] == samples[~made.changed]).all()
    assert made.ruled[30, 30] and made.doubt[30, 30] == 0 and not made.changed[30, 30]
    assert made.doubt[280, 400] > 150
    assert 0 < plan.abstained < 1


def test_a_hint_is_exact_at_every_pixel_of_a_stroke_and_a_polygon():
    samples, _ = _scene(np.uint16, 65535)
    document = {
        "hints": [
            {"stroke": [[20, 40], [90, 60]], "radius": 4, "reach": 0, "colour": "lab(50 5 -15)"},
            {"polygon": [[350, 20], [410, 20], [410, 90], [350, 90]], "colour": "lab(50 -9 7)"},
        ]
    }
    _, made = _colored(samples, document, 65535)
    lab = lab_from_srgb(made.samples / 65535)
    assert np.abs(lab[36:44, 16:24, 1:][2:6, 2:6] - [5, -15]).max() < 0.1
    assert np.abs(lab[21:89, 351:409, 1:] - [-9, 7]).max() < 0.1
    assert (made.samples[20:90, 412:] == samples[20:90, 412:]).mean() > 0.5


def test_a_region_and_a_polygon_end_at_their_outlines_to_the_pixel():
    samples = np.full((1500, 2000, 1), 150, np.uint8)
    document = {
        "regions": [{"name": "sign", "polygon": [[403, 301], [997, 301], [997, 899], [403, 899]]}],
        "hints": [
            {"point": [700, 600], "within": "sign", "colour": "lab(60 40 20)", "reach": 4},
            {"polygon": [[1203, 301], [1797, 301], [1797, 899], [1203, 899]], "colour": "lab(60 -30 30)"},
        ],
    }
    _, made = _colored(samples, document)
    inside = np.zeros((1500, 2000), np.bool_)
    inside[301:899, 403:997] = inside[301:899, 1203:1797] = True
    edge = np.ones_like(inside)
    for y, x in ((301, 403), (301, 997), (899, 403), (899, 997), (301, 1203), (301, 1797), (899, 1203), (899, 1797)):
        edge[y - 1 : y + 1] = edge[:, x - 1 : x + 1] = False  # either side may have the outline itself
    assert (made.changed == inside)[edge].all()
    lab = lab_from_srgb(made.samples / 255)
    assert np.abs(lab[310:890, 1210:1790, 1:] - [-30, 30]).max() < 1
    assert np.abs(lab[590:610, 690:710, 1:] - [40, 20]).max() < 2


def test_nothing_is_changed_where_nothing_is_known():
    for channels in (1, 3):
        samples = np.repeat(_scene()[0], channels, axis=2)
        if channels == 3:
            samples = (samples * [1.0, 0.9, 0.75]).astype(np.uint8)  # a toned print
        plan, made = _colored(samples, None)
        assert plan.abstained == 1 and not made.changed.any() and (made.doubt == 255).all()
        assert (made.samples == samples).all()


def test_toning_goes_where_it_is_not_wanted():
    samples = (np.repeat(_scene()[0], 3, axis=2) * [1.0, 0.9, 0.75]).astype(np.uint8)
    _, made = _colored(samples, None, toning=0.0)
    assert (np.ptp(made.samples.astype(int), axis=2) <= 1).all()


def test_other_samples_follow_and_inverted_gray_is_turned():
    samples, _ = _scene()
    alpha = np.arange(HEIGHT * WIDTH, dtype=np.uint32).reshape(HEIGHT, WIDTH, 1).astype(np.uint8)
    turned = np.concatenate([alpha, 255 - samples], axis=2)
    recolouring = Recolouring(srgb(), np.uint8, 255)
    light, scale = colorize.reduced_lightness(turned, recolouring, picture=(1,), inverted=True)
    plain, _ = colorize.reduced_lightness(samples, recolouring, picture=(0,))
    assert np.allclose(light, plain, atol=1e-3)
    plan = colorize.plan_colour(light, scale, (HEIGHT, WIDTH), hints=hints_of(COAT))
    made = colorize.paint(plan, turned, recolouring, picture=(1,), new=np.zeros, inverted=True)
    expected = _colored(samples, COAT)[1]
    assert np.abs(made.samples[:, :, :3].astype(int) - expected.samples).max() <= 1
    assert (made.samples[:, :, 3:] == alpha).all()


def _proposed(seen, spread, judged):
    """A stub of a network: everything brownish, surer on the left."""
    height, width = seen.lightness.shape
    sure = np.tile(np.linspace(1, 0, width, dtype=np.float32), (height, 1))
    return judged(np.tile(np.array([8, 14], np.float32), (height, width, 1)), sure)


def test_a_proposal_is_taken_where_it_is_sure_and_put_right_by_hints():
    samples, _ = _scene()
    plan, made = _colored(samples, COAT, propose=_proposed, abstention=(0.3, 0.7))
    lab = lab_from_srgb(made.samples / 255)
    assert np.abs(lab[60:240, 5:20, 1:] - [8, 14]).mean() < 2.5 or plan.ruled[100, 10] > 0.5
    unsure = np.zeros_like(plan.known, np.bool_)
    unsure[:, unsure.shape[1] * 3 // 4 :] = True
    assert (plan.ab[unsure & (plan.ruled == 0)] == 0).all() and (unsure & (plan.ruled == 0)).sum() > 100
    assert np.abs(lab[150, 200, 1:] - [30, 20]).max() < 1.5
    assert lab[30, 30, 1:] == pytest.approx([0, 0], abs=0.5)


def test_a_palette_limits_the_proposal_but_not_the_hint():
    def vivid(seen, spread, judged):
        frame = seen.lightness.shape
        return judged(np.tile(np.array([90, 60], np.float32), (*frame, 1)), np.ones(frame, np.float32))

    samples, _ = _scene()
    document = {"hints": [{"point": [200, 150], "colour": "lab(40 60 10)", "reach": 0.2}]}
    palette = Palette(next(p for p in palettes() if p["id"] == "autochrome"))
    plan, _ = _colored(samples, document, propose=vivid, palette=palette)
    chroma = np.hypot(plan.ab[:, :, 0], plan.ab[:, :, 1])
    assert np.median(chroma) <= palette.limit
    assert plan.ab.max() == pytest.approx(60, abs=3)


def test_where_the_print_was_left_bare_the_plan_abstains():
    """Under a hand-coloured palette what is surely coloured is painted; what is nearly neutral counts as unknown."""

    def proposed(seen, spread, judged):
        made = np.zeros((*seen.lightness.shape, 2), np.float32)
        made[:, : made.shape[1] // 2] = (-1.5, 3)
        made[:, made.shape[1] // 2 :] = (32, 4)
        return judged(made, np.ones_like(seen.lightness))

    light = np.full((60, 100), 60, np.float32)
    palette = Palette(next(p for p in palettes() if p["id"] == "hand-coloured"))
    plan, alone = (
        colorize.plan_colour(light, 1.0, light.shape, propose=proposed, palette=one) for one in (palette, None)
    )
    assert alone.abstained == 0
    assert plan.abstained == pytest.approx(0.5, abs=0.05)
    assert np.abs(plan.ab[:, :45]).max() < 2 and plan.ab[:, 55:, 0].min() > 20


def test_a_network_that_is_told_hints_gets_and_gives_planes_of_its_contract():
    asked = []

    def predict(planes):
        asked.append(planes)
        return np.concatenate([planes[:, 1:3] + 0.1, np.full_like(planes[:, :1], 0.5)], axis=1)

    light = np.full((70, 100), 50, np.float32)
    marks = [Mark(rows=np.array([5]), columns=np.array([6]), ab=(55.0, -22.0), reach=0.0)]
    spread = hints.spread(hints.Seen(light), marks)
    propose = colorize.network_proposal(predict, multiple=16, least=64)
    made = propose(hints.Seen(light), spread, colorize.judgement(light, None))
    assert asked[0].shape == (1, 4, 80, 112) and asked[0].dtype == np.float32
    assert asked[0][0, :, 5, 6] == pytest.approx([0.5, 0.5, -0.2, 1])
    assert made.ab.shape == (70, 100, 2) and made.ab[5, 6] == pytest.approx([66, -11], abs=1e-3)
    assert made.sure.shape == (70, 100) and made.sure[5, 6] == 1 and (made.sure == 0.5).sum() == 70 * 100 - 1
    assert (made.covers == 1).all()


def _related(planes):
    """A stub of a network: brownish everywhere, not very sure, and what is equally light belongs together."""
    out = np.zeros((1, 3 + belonging.PLANES, *planes.shape[2:]), np.float32)
    out[:, 0], out[:, 1], out[:, 2] = 8 / 110, 14 / 110, 0.5
    out[:, 3], out[:, 4 : 4 + belonging.PARTS] = 0.02, 2
    out[:, 4 + belonging.PARTS :: belonging.CODES] = 30 * planes[:, 1:2]
    return out


def test_a_network_that_knows_what_belongs_together_is_put_right_before_anything_is_limited():
    samples, coat = _scene()
    palette = Palette(next(p for p in palettes() if p["id"] == "autochrome"))
    document = {"hints": [{"point": [150, 150], "colour": "lab(40 70 10)"}]}
    plan, made = _colored(samples, document, propose=colorize.belonging_proposal(_related), palette=palette)
    lab = lab_from_srgb(made.samples / 255)
    inside = coat.copy()
    inside[245:] = False
    away = inside.copy()
    away[:, :240] = False  # the hint's own neighbourhood lies farther left
    assert np.median(lab[away][:, 1]) > palette.limit, "no palette limits what a person said"
    assert np.hypot(*np.median(lab[:240, :90].reshape(-1, 3)[:, 1:], axis=0)) < palette.limit
    assert np.abs(plan.ab - [70, 10]).sum(axis=2).min() < 0.01
    assert plan.known.min() >= 0 and plan.known.max() <= 1


@pytest.mark.parametrize(
    ("automatic", "kind"), [(False, {}), (True, {}), (True, {"reach": 0.4}), (True, {"within": "coat"})]
)
def test_one_hint_more_or_elsewhere_changes_not_a_bit_of_what_it_does_not_belong_to(automatic, kind):
    samples, _ = _scene()
    propose = colorize.belonging_proposal(_related) if automatic else None
    rest = [{"point": [30, 30], "colour": "lab(80 -8 12)"}, {"point": [390, 280], "colour": "lab(50 9 20)"}]
    coat = {"colour": "lab(40 60 10)", **kind}
    told = [rest, [{"point": [200, 150], **coat}, *rest], [{"point": [170, 140], **coat}, *rest]]
    coat_region = {"name": "coat", "polygon": [[140, 90], [260, 90], [260, 210], [140, 210]]}
    documents = [{"regions": [coat_region], "hints": hints} for hints in told]
    plans, made = zip(*(_colored(samples, one, propose=propose, count=2) for one in documents), strict=True)
    far = np.s_[5:200, 5:90]  # the wall
    for plan, painted in zip(plans, made, strict=True):
        assert (painted.samples[far] == made[0].samples[far]).all()
        assert (painted.alternatives[0][far] == made[0].alternatives[0][far]).all()
        assert (painted.ruled[far] == made[0].ruled[far]).all() and (painted.doubt[far] == made[0].doubt[far]).all()
        assert (plan.ab[far] == plans[0].ab[far]).all() and (plan.known[far] == plans[0].known[far]).all()
    assert (made[1].samples[140:160, 180:220] != made[0].samples[140:160, 180:220]).mean() > 0.5


def test_outcomes_differ_where_nobody_said_anything_and_are_repeatable():
    samples, _ = _scene()
    kinds = {"propose": _proposed, "seed": 7, "palette": Palette(palettes()[0])}
    plan, made = _colored(samples, COAT, count=4, **kinds)
    again, _ = _colored(samples, COAT, count=4, **kinds)
    assert len(plan.outcomes) == 4 and len(made.alternatives) == 3
    for one, other in zip(plan.outcomes, again.outcomes, strict=True):
        assert (one.ab == other.ab).all()
    assert plan.disagreement.min() >= 0 and plan.disagreement.max() <= 1
    free, ruled = plan.ruled < 0.01, plan.ruled > 0.99
    assert plan.disagreement[free].mean() > 5 * plan.disagreement[ruled].mean()
    assert plan.disagreement[free].mean() > 0.05
    assert _colored(samples, COAT, propose=_proposed)[0].disagreement is None
    recolouring = Recolouring(srgb(), np.uint8, 255)
    before = recolouring.lightness(samples)
    for outcome in made.alternatives:
        assert np.abs(recolouring.lightness(outcome) - before).max() < 1


def test_bands_and_threads_change_nothing():
    samples, _ = _scene(np.uint16, 65535)
    plan, made = _colored(samples, COAT, 65535)
    recolouring = Recolouring(srgb(), np.uint16, 65535)
    one = colorize.paint(plan, samples, recolouring, picture=(0,), new=np.zeros, threads=1)
    assert (one.samples == made.samples).all() and (one.doubt == made.doubt).all()


def test_more_and_plainer_hints_say_where_the_next_would_help():
    samples, _ = _scene()
    plan, _ = _colored(samples, None)
    first = plan.suggestions[0]
    told = {"hints": [{"point": [first.x, first.y], "colour": "tan"}]}
    after, _ = _colored(samples, told)
    assert after.abstained < plan.abstained
    assert all(np.hypot(place.x - first.x, place.y - first.y) > 20 for place in after.suggestions)


@pytest.mark.parametrize("size", [(1, 1), (1, 400), (2, 3), (1500, 2)])
def test_pictures_of_any_shape_are_coloured(size):
    samples = np.random.default_rng(0).integers(0, 256, (*size, 1), np.uint8)
    plan, made = _colored(samples, {"hints": [{"point": [0, 0], "colour": "tan"}]}, count=2)
    assert made.samples.shape == (*size, 3) and len(made.alternatives) == 1
    assert made.ruled[0, 0] and made.doubt[0, 0] == 0
    assert plan.known.shape == plan.lightness.shape
