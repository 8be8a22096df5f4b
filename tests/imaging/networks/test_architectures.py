"""The trained networks' architectures: shapes, what they promise of tiles and masks, and nothing left to chance."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from archive_restore.imaging import belonging, networks  # noqa: E402
from archive_restore.imaging.networks import colour, damage, denoise, fill, scene  # noqa: E402

NETWORKS = {"damage": (damage, 1, 6), "fill": (fill, 4, 4), "denoise": (denoise, 4, 3)}
SIZES = {"damage": (1_000_000, 1_700_000), "fill": (500_000, 3_000_000), "denoise": (150_000, 1_000_000)}
"""Trained numbers: small enough to ship."""


def network(name: str) -> torch.nn.Module:
    """One with weights that do something: fresh ones, its last layer too."""
    torch.manual_seed(5)
    made = networks.build(name, {}).eval()
    for parameter in made.parameters():
        if parameter.ndim > 1:
            torch.nn.init.kaiming_normal_(parameter, nonlinearity="relu")
    return made


def picture(channels: int, height: int, width: int) -> torch.Tensor:
    """Smooth structure and grain in [0, 1]; the last of four planes is a mask of a few lines."""
    rng = np.random.Generator(np.random.Philox(key=3))
    coarse = torch.from_numpy(rng.random((1, channels, height // 16 + 2, width // 16 + 2), np.float32))
    smooth = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bilinear")
    grainy = (smooth + torch.from_numpy(rng.normal(0, 0.02, smooth.shape).astype(np.float32))).clamp(0, 1)
    if channels == 4:
        grainy[:, 3] = 0
        grainy[:, 3, ::37] = 1
    return grainy


@pytest.mark.parametrize("name", NETWORKS)
def test_shapes_ranges_and_size(name: str) -> None:
    module, into, out = NETWORKS[name]
    made = network(name)
    least, most = SIZES[name]
    assert least < sum(p.numel() for p in made.parameters()) < most
    with torch.inference_mode():
        given = picture(into, 5 * module.MULTIPLE, 7 * module.MULTIPLE)
        result = made(given)
    assert result.shape == (1, out, 5 * module.MULTIPLE, 7 * module.MULTIPLE)
    assert result.min() >= 0
    assert result.max() <= 1


@pytest.mark.parametrize("name", NETWORKS)
def test_a_tile_with_its_halo_agrees_with_the_whole(name: str) -> None:
    module, into, _ = NETWORKS[name]
    made, step = network(name), module.MULTIPLE
    halo = -(-module.HALO // step) * step
    whole = picture(into, 2 * halo + 8 * step, 2 * halo + 8 * step)
    with torch.inference_mode():
        expected = made(whole)[:, :, halo + 2 * step : -halo - 2 * step, halo + 2 * step : -halo - 2 * step]
        tile = made(whole[:, :, 2 * step : -2 * step, 2 * step : -2 * step])
    assert (tile[:, :, halo:-halo, halo:-halo] - expected).abs().max() <= 1 / 255


@pytest.mark.parametrize("name", [*NETWORKS, "colour"])
def test_the_same_again(name: str) -> None:
    given = picture(NETWORKS[name][1] if name in NETWORKS else 4, 64, 96)
    with torch.inference_mode():
        assert torch.equal(network(name)(given), network(name)(given))


def test_fill_never_sees_the_damage_and_leaves_the_rest_alone() -> None:
    made, given = network("fill"), picture(4, 64, 96)
    mask = given[:, 3:] > 0.5
    spoiled = given.clone()
    spoiled[:, :3] = torch.where(mask, torch.rand_like(given[:, :3]), given[:, :3])
    with torch.inference_mode():
        one, other = made(given), made(spoiled)
    assert torch.equal(one, other)
    assert torch.equal(one[:, :3][~mask.expand(-1, 3, -1, -1)], given[:, :3][~mask.expand(-1, 3, -1, -1)])
    assert one[:, 3:][~mask].max() == 0
    assert one[:, 3:][mask].min() > 0


def test_strength_of_denoise() -> None:
    made, given = network("denoise"), picture(4, 64, 96)
    noise = []
    for strength in (0.0, 0.5, 1.0):
        given[:, 3] = strength
        with torch.inference_mode():
            noise.append(made.noise(given[:, :3]) * strength)
            result = made(given)
        assert torch.allclose(result, (given[:, :3] - noise[-1]).clamp(0, 1), atol=1e-6)
    assert torch.allclose(noise[1] * 2, noise[2])
    assert noise[0].abs().max() == 0


def test_folding_keeps_the_damage_network() -> None:
    torch.manual_seed(2)
    trained = networks.build("damage", {"normalized": True})
    for module in trained.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.bias, -0.2, 0.2)
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    plain = networks.build("damage", {})
    plain.load_state_dict(trained.folded())
    given = picture(1, 64, 64)
    with torch.inference_mode():
        assert (trained.eval()(given) - plain.eval()(given)).abs().max() < 1e-4


def test_colour_gives_a_frame_of_colours_and_chances() -> None:
    made = network("colour")
    assert 2_500_000 < sum(p.numel() for p in made.parameters()) < 4_000_000
    with torch.inference_mode():
        result = made(picture(4, 5 * colour.MULTIPLE, 7 * colour.MULTIPLE))
    assert result.shape == (1, 3 + belonging.PLANES, 5 * colour.MULTIPLE, 7 * colour.MULTIPLE)
    assert torch.isfinite(result).all()
    assert result[:, :2].abs().max() <= 1
    assert result[:, 2].min() >= 0
    assert result[:, 2].max() <= 1
    assert result[:, 3].min() > 0, "without any doubt, two hints on one pixel have no solution"
    assert result[:, 4 : 4 + belonging.PARTS].min() >= 0


def test_colour_tells_places_and_traits_apart() -> None:
    """Fresh, pixels belong together by where they are and what imaging.hints sees of them."""
    torch.manual_seed(5)
    made, given = networks.build("colour", {}).eval(), torch.full((1, 4, 64, 96), 0.5)
    given[:, :, :, 48:] = 0.7
    with torch.inference_mode():
        read = belonging.Belonging.of(made(given)[0, 3:].numpy())
    given_codes = read.codes[:, -5:, 32]  # those that are not learnt
    near, far, unlike = (np.square(given_codes[..., 8] - given_codes[..., x]).sum() for x in (10, 40, 60))
    assert near < far < unlike


def test_colour_looks_at_the_whole_frame() -> None:
    made, given = network("colour"), picture(4, 64, 256)
    other = given.clone()
    other[:, :, :, :16] = 1 - other[:, :, :, :16]
    with torch.inference_mode():
        change = (made(given) - made(other)).abs()[:, :2, :, -32:]
    assert change.mean() > 1e-5


def test_calibration_moves_the_confidence_alone() -> None:
    given, made = picture(4, 64, 96), []
    for parameters in ({}, {"scale": 2.0, "offset": -1.0}):
        torch.manual_seed(5)
        with torch.inference_mode():
            made.append(networks.build("colour", parameters).eval()(given))
    assert torch.equal(made[0][:, :2], made[1][:, :2])
    assert torch.allclose(torch.logit(made[1][:, 2]), 2 * torch.logit(made[0][:, 2]) - 1, atol=1e-4)


def test_colour_is_told_what_the_picture_shows() -> None:
    torch.manual_seed(5)
    made, given = networks.build("colour", {"scene": True, "plain": 1.0, "kept": 0.5}).eval(), picture(4, 64, 112)
    assert 5_500_000 < sum(p.numel() for p in made.parameters()) < 7_000_000
    assert not any(p.requires_grad for p in made.scene.parameters())
    at = torch.tensor([[0, 111, 5000, 112 * 64 - 1]])
    with torch.inference_mode():
        whole, told = made(given), made.described(given, at=at)
        assert torch.equal(whole[:, :2], torch.zeros_like(whole[:, :2])), "a regression that learnt nothing"
        made.regressed[3].weight.fill_(0.1)
        made.regressed_plain.bias.copy_(torch.tensor([0.2, -0.4]))
        other, unaware = made(given), made.described(given, told=False)[0]
        made.regressed[3].weight.zero_()
        assert torch.allclose(made(given)[0, :2, 3, 5], torch.tensor([0.1, -0.2]))
    assert not torch.allclose(other[:, :2], whole[:, :2], atol=1e-3)
    assert torch.equal(other[:, 3:], whole[:, 3:]), "what belongs together is none of its business"
    assert unaware.abs().max() < 0.5
    for at_some, everywhere in ((told[0], whole[:, :2]), (told[2], whole[:, 3:])):
        assert torch.allclose(at_some[0, :, :, 0], everywhere.flatten(2)[0][:, at[0]], atol=1e-5)


def test_a_scene_is_seen_in_four_sizes() -> None:
    torch.manual_seed(5)
    with torch.inference_mode():
        features = scene.SceneNet()(torch.rand(1, 1, 80, 112))
    assert [tuple(f.shape[1:]) for f in features] == [(24, 20, 28), (40, 10, 14), (112, 5, 7), (320, 3, 4)]


def test_an_unsure_colour_gives_up_its_chroma() -> None:
    confidence = np.linspace(0, 1, 101, dtype=np.float32)
    kept = colour.chroma_kept(confidence, 0.2, 0.5)
    assert (kept[confidence <= 0.2] == 0).all()
    assert (kept[confidence >= 0.501] == 1).all()
    assert (np.diff(kept) >= 0).all()
    assert kept[35] == pytest.approx(0.5, abs=1e-4)
    assert np.allclose(kept, colour.chroma_kept(torch.from_numpy(confidence), 0.2, 0.5).numpy())
