"""The engine: the same pixels whatever the tiles and threads; a step is told what of its work counts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from archive_restore.core.planning import BUILT_IN, StepContract, plan
from archive_restore.errors import SelfCheckFailed
from archive_restore.imaging import engine, inpaint
from archive_restore.ports import PictureSource
from archive_restore.records.imagery import PictureFacts, Region, SampleRole
from archive_restore.steps.preservation import DetectDamage, Fill, Losses
from tests.benchmarks.fit_damage_scores import photograph
from tests.support.synthetic_damage import damage as make_damage


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


def bound(picture: InMemory, **settings: object) -> tuple[engine.BoundStep, ...]:
    library = {step.name: step() for step in (DetectDamage, Fill, Losses)}
    contracts = {n: StepContract(name=n, parameters_schema=s.parameters_schema) for n, s in library.items()}
    planned = plan(BUILT_IN["gentle"], contracts, lambda schema, values: "").steps
    chosen = [(library[p.step], {**p.parameters, **settings.get(p.step, {})}) for p in planned]
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
