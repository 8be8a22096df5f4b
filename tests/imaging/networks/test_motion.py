"""The network that draws motion: codes that are what they say, and a draw that is what it was trained for."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from archive_restore.imaging import networks  # noqa: E402
from archive_restore.imaging.learned_motion import chance, given  # noqa: E402
from archive_restore.imaging.networks.motion import PLACES, MotionNet, open_places  # noqa: E402

SMALL = {"depth": 2, "codes": 16, "latent": 8, "breadth": 16, "width": 24, "layers": 2, "heads": 2}


@pytest.fixture(scope="module")
def network() -> MotionNet:
    torch.manual_seed(5)
    made = networks.build("motion", SMALL).eval().requires_grad_(False)
    assert isinstance(made, MotionNet)
    for parameter in made.prior.parameters():  # so that the codes before count
        parameter.mul_(4 if parameter.ndim > 1 else 1)
    return made


def asked(seed: int = 1) -> torch.Tensor:
    rng = np.random.default_rng(2)
    region = np.zeros((64, 64), np.float32)
    region[:30, 10:] = 1
    return torch.from_numpy(given("water", rng.random((64, 64), np.float32), region, chance(seed, 0))[None])


def test_it_gives_a_spectrum_that_the_noise_decides(network: MotionNet):
    with torch.inference_mode():
        first, again, other = network(asked()), network(asked()), network(asked(2))
    assert first.shape == (1, 48, 32, 32)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_what_ships_is_small():
    parameters = sum(p.numel() for p in networks.build("motion", {}).parameters())
    assert 2_000_000 < parameters < 5_000_000


def test_one_place_after_another_is_foreseen_as_all_at_once(network: MotionNet):
    """The draw keeps keys and values; training sees the whole sequence: both must give every code the same odds."""
    planes = asked()
    noise = torch.from_numpy(np.random.default_rng(8).random((1, PLACES**2, 2), np.float32))
    with torch.inference_mode():
        codes = network.prior.draw(planes[:, :-1], noise, torch.ones(1))
        odds = torch.softmax(network.prior.logits(planes[:, :-1], codes), -1).cumsum(-1)
    low = torch.cat([torch.zeros_like(odds[..., :1]), odds], -1).gather(-1, codes.unsqueeze(-1))[..., 0]
    high = odds.gather(-1, codes.unsqueeze(-1))[..., 0]
    assert (low <= noise + 1e-4).all()
    assert (noise <= high + 1e-4).all()
    assert codes.unique().numel() > 8


def test_what_comes_later_says_nothing_of_what_came_before(network: MotionNet):
    planes = asked()[:, :-1]
    codes = torch.zeros((1, PLACES**2, 2), dtype=torch.int64)
    changed = codes.clone()
    changed[:, 100:] = 3
    with torch.inference_mode():
        one, other = network.prior.logits(planes, codes), network.prior.logits(planes, changed)
    assert torch.equal(one[:, :100], other[:, :100])
    assert not torch.equal(one[:, 101:], other[:, 101:])


def test_places_outside_of_the_region_say_nothing(network: MotionNet):
    places = open_places(asked()[:, 1:2])
    assert 0 < int(places.sum()) < PLACES**2
    codes = torch.zeros((1, PLACES**2, 2), dtype=torch.int64)
    changed = torch.where(places.unsqueeze(-1), codes, 7)
    with torch.inference_mode():
        assert torch.equal(network.coder.spectrum(codes, places), network.coder.spectrum(changed, places))
        assert torch.equal(network.prior.logits(asked()[:, :-1], codes)[:, :, 0],
                           network.prior.logits(asked()[:, :-1], changed)[:, :, 0])  # fmt: skip
    nowhere = open_places(torch.zeros(1, 1, 64, 64))
    assert nowhere.all()


def test_an_even_spectrum_comes_back_and_codes_are_nearest(network: MotionNet):
    coder = network.coder
    rng = torch.Generator().manual_seed(3)
    spectrum = torch.randn(2, 48, 32, 32, generator=rng) * 3
    assert torch.allclose(coder.uneven(coder.even(spectrum)), spectrum, atol=1e-4)
    latents = torch.randn(2, PLACES**2, 8, generator=rng)
    codes, told = coder.rounded(latents)
    assert torch.allclose(coder.looked_up(codes), told, atol=1e-6)
    first = torch.cdist(latents, coder.book[0]).argmin(-1)
    assert torch.equal(codes[..., 0], first)
    alone = torch.nn.functional.embedding(first, coder.book[0])
    assert (latents - told).square().sum() < (latents - alone).square().sum()
