"""Colours of things: what was measured belongs to what was drawn, and measuring finds what is there."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from archive_restore.imaging.colour import lab_from_srgb
from models.palettes import measure
from models.palettes.things import sources, things, weights
from models.training.photographs import FREE

HERE = Path(measure.__file__).parent


@pytest.fixture(scope="module")
def drawn() -> list[measure.Region]:
    return measure.regions()


def test_every_region_is_of_a_photograph_that_is_named_with_its_licence(drawn: list[measure.Region]) -> None:
    known = measure.manifest()
    for name in {region.photograph for region in drawn}:
        assert FREE.fullmatch(known[name]["licence"].strip()), name
        assert known[name]["author"], name
        assert known[name]["source"] or known[name]["package"], name


def test_regions_lie_in_their_photographs_and_have_an_area(drawn: list[measure.Region]) -> None:
    for region in drawn:
        corners = np.array(region.corners)
        assert len(corners) >= 3, region
        assert corners.min() >= 0, region
        assert corners.max() <= 1, region
        ahead = np.roll(corners, -1, axis=0)
        area = abs((corners[:, 0] * ahead[:, 1] - ahead[:, 0] * corners[:, 1]).sum()) / 2
        assert area > 1e-4, region


def test_things_are_counted_from_the_regions(drawn: list[measure.Region]) -> None:
    regions: dict[str, int] = defaultdict(int)
    photographs: dict[str, set[str]] = defaultdict(set)
    for region in drawn:
        regions[region.thing] += 1
        photographs[region.thing].add(region.photograph)
    found = things()
    kinds = [found.pop(name) for name in measure.CLOTH]
    assert sum(kind.regions for kind in kinds) == regions.pop("cloth")
    assert max(kind.photographs for kind in kinds) <= len(photographs.pop("cloth"))
    assert {name: thing.regions for name, thing in found.items()} == regions
    assert {name: thing.photographs for name, thing in found.items()} == {
        name: len(names) for name, names in photographs.items()
    }


def test_deviations_are_made_of_their_parts() -> None:
    for name, found in json.loads((HERE / "things.json").read_bytes())["things"].items():
        covariance = np.array(found["covariance"])
        assert np.allclose(covariance, covariance.T), name
        assert np.linalg.eigvalsh(covariance).min() > -0.05, name
        assert np.allclose(np.sqrt(np.diag(covariance)), found["deviation"], rtol=2e-3), name
        parts = np.hypot(found["within"], found["between"])
        assert np.allclose(parts, found["deviation"], rtol=2e-3), name
        levels = list(found["lightness"].values())
        assert levels == sorted(levels), name


@pytest.mark.parametrize("where", ["outdoor", "indoor"])
def test_shares_fit_into_a_picture(where: str) -> None:
    total = sum(getattr(thing, f"share_{where}") for thing in things().values())
    assert 0.5 < total <= 1
    named = weights(["skin", "foliage", "painted wall"], where)  # type: ignore[arg-type]
    assert sum(named.values()) == pytest.approx(1)


def test_groups_are_split_into_things_without_remainder() -> None:
    document = json.loads((HERE / "things.json").read_bytes())
    for name, group in document["groups"].items():
        assert sum(group["things"].values()) == pytest.approx(1, abs=2e-3), name
        assert set(group["things"]) <= set(document["things"]), name
    listed = json.loads((HERE / "shares.json").read_bytes())["classes"]
    assert len(listed) == 150
    assert sum(entry["ratio"] for entry in listed) == pytest.approx(0.91, abs=0.02)
    assert {"things", "ade20k", "ccp"} == set(sources())
    assert all(10 <= len(text) <= 500 for pair in sources().values() for text in pair), "palettes have room for them"


def test_shares_of_outdoors_and_indoors() -> None:
    """Half of the pixels outdoors: a class seen only there has twice its ratio, a shared one its ratio."""
    published = {
        "split": {},
        "classes": [
            {"class": "sky", "ratio": 0.3, "where": "outdoor", "group": "sky"},
            {"class": "wall", "ratio": 0.3, "where": "indoor", "group": "wall"},
            {"class": "dog", "ratio": 0.1, "where": "both", "group": "fur"},
        ],
    }
    _, split = measure.shares(published, [])
    assert split["sky"] == {"outdoor": pytest.approx(0.6), "indoor": 0}
    assert split["wall"] == {"outdoor": 0, "indoor": pytest.approx(0.6)}
    assert split["fur"] == {"outdoor": pytest.approx(0.1), "indoor": pytest.approx(0.1)}


def test_measuring_finds_the_colour_that_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two photographs of one thing, each half one colour and half another, and something else around it."""
    (tmp_path / "pictures").mkdir()
    colours = {"one": ((200, 120, 90), (100, 60, 50)), "two": ((60, 90, 160), (90, 120, 190))}
    manifest = {}
    for name, (upper, lower) in colours.items():
        picture = np.zeros((80, 100, 3), np.uint8)
        picture[20:40, 30:70], picture[40:60, 30:70] = upper, lower
        Image.fromarray(picture).save(tmp_path / "pictures" / f"{name}.png")
        manifest[name] = {"id": name, "width": 100, "height": 80}
    monkeypatch.setattr(measure, "manifest", lambda: manifest)
    box = [(0.3, 0.25), (0.7, 0.25), (0.7, 0.75), (0.3, 0.75)]
    # the second photograph shows the thing three times: it has no more votes for that
    drawn = [measure.Region(photograph=name, thing="thing", corners=box) for name in ("one", "two", "two", "two")]
    found = measure.measured(list(measure.seen(drawn, tmp_path, tmp_path)))
    lab = lab_from_srgb(np.array(list(colours.values())) / 255).astype(np.float64)
    means = lab.mean(axis=1)
    assert found["photographs"] == 2
    assert found["regions"] == 4
    assert np.allclose(found["lab"], means.mean(axis=0), atol=0.01)
    assert np.allclose(found["within"] ** 2, (lab.std(axis=1) ** 2).mean(axis=0), atol=0.05)
    assert np.allclose(found["between"], means.std(axis=0, ddof=1), atol=0.01)
    assert np.allclose(found["deviation"], np.hypot(found["within"], found["between"]))
    assert found["lightness"]["5"] == pytest.approx(lab[..., 0].min(), abs=0.01)


def test_large_photographs_are_reduced_and_what_is_clear_in_them_is_left_out() -> None:
    samples = np.full((600, 768, 4), 255, np.uint8)
    samples[:, :, :3] = np.where(np.arange(768)[None, :, None] % 2, 255, 0)
    samples[:300, :, 3] = 0
    lab, opaque = measure.lab_of(Image.fromarray(samples))
    assert lab.shape == (300, measure.LONGEST, 3)
    assert opaque.sum() == 150 * measure.LONGEST
    assert np.allclose(lab[200, :, 0], 76.07, atol=0.1), "light is averaged, not code values"


def test_polygons() -> None:
    triangle = measure.inside([(0, 0), (1, 0), (0, 1)], 10, 20)
    assert triangle.sum() == pytest.approx(100, abs=6)
    assert triangle[0, 0]
    assert not triangle[9, 19]


@pytest.mark.parametrize(
    ("lab", "kind"),
    [((15, 1, -4), "dark cloth"), ((50, 0, 2), "gray cloth"), ((88, 1, 3), "pale cloth"),
     ((40, 50, 25), "red cloth"), ((35, 5, -30), "blue cloth"), ((60, -30, 30), "other cloth")],
)  # fmt: skip
def test_cloth_is_named_by_its_colour(lab: tuple[float, ...], kind: str) -> None:
    assert measure.cloth(np.array(lab, float)) == kind


def test_a_region_too_small_to_measure_and_a_changed_picture_are_told(tmp_path: Path) -> None:
    cut_out = next(iter(json.loads((HERE / "photographs.json").read_bytes())))
    path = tmp_path / cut_out["file"]
    path.parent.mkdir(parents=True)
    Image.new("RGB", (cut_out["width"], cut_out["height"])).save(path)
    region = measure.Region(photograph=cut_out["id"], thing="skin", corners=[(0, 0), (1, 0), (0, 1)])
    with pytest.raises(SystemExit, match="is not the picture of"):
        list(measure.seen([region], tmp_path, tmp_path))
    (tmp_path / "pictures").mkdir()
    path.rename(tmp_path / "pictures" / f"{cut_out['id']}.png")
    with pytest.raises(SystemExit, match="only 0 pixels"):
        list(measure.seen([measure.Region(photograph=cut_out["id"], thing="skin", corners=[(0, 0)] * 3)],
                          tmp_path, tmp_path))  # fmt: skip
