"""The engine: the same pixels whatever the tiles and threads; a step is told what of its work counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from archive_restore.adapters.models import FolderModels
from archive_restore.adapters.shipped import shipped
from archive_restore.core.planning import BUILT_IN, StepContract, plan
from archive_restore.errors import RecipeInvalid, SelfCheckFailed
from archive_restore.imaging import engine, inpaint
from archive_restore.ports import PictureSource
from archive_restore.records.imagery import DamageClass, PictureFacts, PixelFlag, Region, SampleRole
from archive_restore.records.provenance import Json
from archive_restore.steps.preservation import Denoise, DetectDamage, Fill, Losses
from tests.benchmarks.fit_damage_scores import photograph
from tests.support.synthetic_damage import damage as make_damage

MODELS = FolderModels(shipped("models"))


@dataclass
class InMemory(PictureSource):
    """A gray picture in memory."""

    samples: NDArray[Any]

    @property
    def facts(self) -> PictureFacts:
        height, width = self.samples.shape[:2]
        return PictureFacts(
            width=width, height=height, samples=1, bits=16, sample_format="uint", roles=(SampleRole.GRAY,),
            photometric="minisblack", compression="none", layout="strips", pages=1,
        )  # fmt: skip

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.samples.dtype

    def read(self, region: Region) -> NDArray[Any]:
        return self.samples[region.top : region.bottom, region.left : region.right]

    def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def picture() -> InMemory:
    hurt = make_damage(photograph("nagasaki-boats")[200:701, 300:953], 3).picture
    gray = np.round(hurt.mean(axis=2) * 65535).astype(np.uint16)
    gray[200:260, 300:380] = 65535  # a loss
    return InMemory(gray[:, :, None])


def bound(picture: InMemory, recipe: str = "gentle", **settings: Mapping[str, Json]) -> tuple[engine.BoundStep, ...]:
    library = {step.name: step() for step in (DetectDamage, Fill, Losses, Denoise)}
    contracts = {n: StepContract(name=n, parameters_schema=s.parameters_schema) for n, s in library.items()}
    planned = plan(BUILT_IN[recipe], contracts, lambda schema, values: "").steps
    chosen = []
    for step in planned:
        parameters = {**step.parameters, **settings.get(step.step, {})}
        plain = library[step.step]
        networks = {name: MODELS.load(name, "cpu") for name in plain.models(parameters)}
        chosen.append((plain.equip(networks), parameters))
    return engine.survey(chosen, engine.overview(picture))


def whole(
    picture: InMemory, steps: tuple[engine.BoundStep, ...], hand: engine.HandMaps, *, tile: int, threads: int
) -> tuple[NDArray[Any], ...]:
    found = list(engine.run(picture, steps, hand, seed=4, tile=tile, threads=threads))
    planes = tuple(np.concatenate([getattr(band, name) for band in found]) for name in ("samples", "flags", "damage"))
    return (*planes, np.sum([band.changed for band in found], axis=0))


@pytest.mark.parametrize("treatment", ["as-found", "tratteggio"])
def test_tiles_and_threads_change_nothing(picture: InMemory, treatment: str) -> None:
    drawn, keep = np.zeros((2, *picture.samples.shape), np.uint8)
    drawn[100:103, 50:600] = 1
    drawn[198:262, 298:382] = 1
    keep[:, 400:460] = 1
    hand = engine.HandMaps(damage=InMemory(drawn), keep=InMemory(keep))
    steps = bound(picture, losses={"treatment": treatment})
    meant = whole(picture, steps, hand, tile=1024, threads=1)
    assert (meant[1] != 0).sum() > 3000
    made = whole(picture, steps, hand, tile=250, threads=3)
    assert all(np.array_equal(a, b) for a, b in zip(meant, made, strict=True))


def test_with_networks_tiles_leave_no_seam(picture: InMemory) -> None:
    picture = InMemory(picture.samples[:301, 240:631])
    steps = bound(picture, "networks")
    meant = whole(picture, steps, engine.HandMaps(), tile=1024, threads=1)
    made = whole(picture, steps, engine.HandMaps(), tile=150, threads=2)
    again = whole(picture, steps, engine.HandMaps(), tile=150, threads=1)
    assert all(np.array_equal(a, b) for a, b in zip(made, again, strict=True))
    found, differs = meant[2] != 0, (made[2] != 0) != (meant[2] != 0)
    assert found.sum() > 300
    assert differs.sum() <= 0.002 * found.sum()  # where a probability lies within rounding of the threshold
    # A pixel that only one of them marked also shows in what is filled around it.
    away = cv2.dilate(differs.astype(np.uint8), np.ones((129, 129), np.uint8)) == 0
    off = np.abs(made[0].astype(np.int64) - meant[0].astype(np.int64))[away]
    assert off.max() <= 65535 / 255


def test_who_made_a_pixel_is_told(picture: InMemory) -> None:
    (_, fill, _) = steps = bound(picture, "networks")
    assert fill.step.source_type(fill.parameters) == "compositeWithTrainedAlgorithmicMedia"
    _, flags, codes, changed = whole(picture, steps, engine.HandMaps(), tile=1024, threads=1)
    assert set(np.unique(flags)) == {0, int(PixelFlag.SYNTHESIZED)}
    assert changed[1] == (flags != 0).sum() > 300
    assert (codes[205:255, 305:375] == DamageClass.LOSS).mean() in (0.0, pytest.approx(1.0, abs=0.2))
    (_, plain, _) = without = bound(picture)
    assert plain.step.source_type(plain.parameters) == "algorithmicallyEnhanced"
    flags = whole(picture, without, engine.HandMaps(), tile=1024, threads=1)[1]
    assert set(np.unique(flags)) == {0, int(PixelFlag.INTERPOLATED)}


def test_noise_that_was_taken_away_is_synthesized_and_a_loss_stays_as_found(picture: InMemory) -> None:
    rng = np.random.Generator(np.random.Philox(key=9))
    grain = np.round(2500 * rng.standard_normal(picture.samples.shape)).astype(np.int64)
    noisy = InMemory(np.clip(picture.samples.astype(np.int64) + grain, 0, 65535).astype(np.uint16))
    keep = np.zeros(picture.samples.shape, np.uint8)
    keep[300:340, 100:200] = 1
    hand = engine.HandMaps(keep=InMemory(keep))
    steps = bound(noisy, "denoised", denoise={"strength": 1.0})
    made, flags, codes, changed = whole(noisy, steps, hand, tile=1024, threads=1)
    cleaned = (flags & PixelFlag.SYNTHESIZED) != 0
    assert cleaned.mean() > 0.9
    assert changed[-1] == cleaned.sum()
    assert not cleaned[300:340, 100:200].any()
    lost = codes == DamageClass.LOSS
    assert np.array_equal(made[lost], noisy.samples[lost])
    sound = picture.samples.astype(np.float64)
    left, before = (np.abs(a.astype(np.float64) - sound)[cleaned].mean() for a in (made, noisy.samples))
    assert left < 0.75 * before
    half = bound(noisy, "denoised")
    kept = np.abs(whole(noisy, half, hand, tile=1024, threads=1)[0].astype(np.float64) - sound)[cleaned].mean()
    assert left < kept < before
    again = whole(noisy, steps, hand, tile=250, threads=2)[0]
    off = np.abs(again.astype(np.int64) - made.astype(np.int64))[(flags & PixelFlag.INTERPOLATED) == 0]
    assert off.max() <= 65535 / 255


def test_from_the_surroundings_alone_nothing_wide_is_filled(picture: InMemory) -> None:
    with pytest.raises(RecipeInvalid, match="48 pixels"):
        bound(picture, fill={"max_width": 48})


def test_a_later_step_is_given_less_and_knows_what_counts(picture: InMemory) -> None:
    seen: dict[str, list[tuple[Region, Region]]] = {}

    def noted(step: engine.BoundStep) -> engine.BoundStep:
        class Noting(type(step.step)):  # type: ignore[misc]
            def apply(self, tile, parameters, survey, seed):
                seen.setdefault(self.name, []).append((tile.region, tile.needed))
                return super().apply(tile, parameters, survey, seed)

        return replace(step, step=Noting())

    steps = tuple(noted(step) for step in bound(picture))
    whole(picture, steps, engine.HandMaps(), tile=256, threads=1)
    for place in range(len(seen["fill"])):
        (looked, passed), (given, core), last = (seen[name][place] for name in ("detect_damage", "fill", "losses"))
        assert looked.height > given.height > core.height
        assert (passed, last) == (given, (core, core))
    assert sum(core.height * core.width for _, core in seen["fill"]) == picture.samples.size


def test_a_change_without_a_flag_stops_the_run(picture: InMemory) -> None:
    class Liar(Losses):
        def apply(self, tile, parameters, survey, seed):
            return replace(tile, samples=tile.samples + np.uint16(1))

    (*others, last) = bound(picture)
    with pytest.raises(SelfCheckFailed, match="without saying so"):
        whole(picture, (*others, replace(last, step=Liar())), engine.HandMaps(), tile=256, threads=2)


def test_a_fill_of_a_part_is_that_part_of_the_whole_fill(picture: InMemory) -> None:
    rng = np.random.default_rng(8)
    mask = inpaint.with_rim(rng.random(picture.samples.shape[:2]) < 0.02, 1)
    made, done = inpaint.fill(picture.samples, mask, seed=2)
    part = slice(130, 300), slice(90, 257)
    of_part, filled = inpaint.fill(picture.samples, mask, seed=2, needed=part)
    assert np.array_equal(of_part[part], made[part])
    assert np.array_equal(filled[part], done[part])
    filled[part] = False
    assert not filled.any()
