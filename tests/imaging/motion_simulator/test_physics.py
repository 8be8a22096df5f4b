"""The simulators obey the laws that they name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from archive_restore.imaging.motion_simulator import branches, cloth, grass, scenes, water
from archive_restore.imaging.motion_simulator.oscillators import respond
from archive_restore.imaging.motion_simulator.recording import RATE, Recording
from archive_restore.imaging.motion_simulator.wind import Wind, kaimal
from archive_restore.imaging.motion_spectra import EDGE, GRID, PERIODS, SECONDS, band_widths

CALM = Wind(mean=1e-3, intensity=0.1, length=5.0, heading=(1.0, 0.0))
WIND = Wind(mean=4.0, intensity=0.3, length=8.0, heading=(1.0, 0.0))


def rng(key: int = 5) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=key))


def crossings(values: np.ndarray, step: float) -> float:
    """Frequency in Hz of an oscillation, by its upward crossings of zero."""
    up = np.flatnonzero((values[:-1] < 0) & (values[1:] >= 0))
    exact = up + values[up] / (values[up] - values[up + 1])
    return float((len(exact) - 1) / (exact[-1] - exact[0]) / step)


def ring(angular: float, damping: float, step: float = 0.02, steps: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    """Displacement and velocity of one that was pulled aside and let go."""
    push = np.zeros((steps, 1))
    made = respond(push, np.array([angular]), np.array([damping]), step, start=(np.ones(1), np.zeros(1)))
    return made[0][:, 0], made[1][:, 0]


# --- oscillators --------------------------------------------------------------------------------------


def test_an_oscillator_without_damping_keeps_its_energy_and_its_frequency():
    place, speed = ring(7.0, 0.0)
    energy = 0.5 * speed**2 + 0.5 * 49 * place**2
    assert np.ptp(energy) < 1e-9 * energy[0]
    assert crossings(place, 0.02) == pytest.approx(7.0 / (2 * np.pi), rel=1e-3)


def test_damping_takes_the_share_of_every_swing_that_it_names():
    place, speed = ring(7.0, 0.05)
    energy = 0.5 * speed**2 + 0.5 * 49 * place**2
    assert (np.diff(energy) < 0).all()
    after = round(2 * np.pi / (7.0 * np.sqrt(1 - 0.05**2)) / 0.02 * 10)  # ten swings
    assert place[after] == pytest.approx(np.exp(-0.05 * 7.0 * after * 0.02), abs=0.01)


def test_a_slow_push_is_followed_and_a_beat_at_resonance_grows_to_its_limit():
    times = np.arange(6000) * 0.01
    angular, damping = np.array([6.0]), np.array([0.05])
    slow, _ = respond((36 * np.sin(0.1 * times))[:, None], angular, damping, 0.01)
    assert np.allclose(slow[2000:, 0], np.sin(0.1 * times[2000:]), atol=5e-3)
    beat, _ = respond((36 * np.sin(6.0 * times))[:, None], angular, damping, 0.01)
    assert np.abs(beat[4000:]).max() == pytest.approx(1 / (2 * 0.05), rel=0.02)


# --- wind ---------------------------------------------------------------------------------------------


def test_gusts_have_the_strength_that_was_asked_for_and_travel_with_the_wind():
    times = np.arange(3200) / 16
    places = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]], np.float32)
    speeds = np.stack([WIND.speeds(places, times, rng(k)) for k in range(8)])
    assert speeds.mean() == pytest.approx(4.0, rel=0.05)
    assert speeds.std(axis=1).mean() == pytest.approx(0.3 * 4.0, rel=0.2)
    first, ahead, beside = (speeds[..., k] - speeds[..., k].mean(axis=1, keepdims=True) for k in range(3))
    later = round(4.0 / 4.0 * 16)  # four metres at four metres a second
    carried = (first[:, :-later] * ahead[:, later:]).mean() / speeds.var(axis=1).mean()
    assert carried > 0.95
    assert (first * beside).mean() < 0.8 * carried * speeds.var(axis=1).mean()


def test_the_spectrum_of_gusts_adds_up_to_one():
    frequency = np.geomspace(1e-6, 1e4, 20_000)
    assert np.trapezoid(kaimal(frequency, 3.0), frequency) == pytest.approx(1.0, rel=0.01)


# --- grass --------------------------------------------------------------------------------------------

FIELD = grass.Grass(
    blades=60, length=0.6, radius=1.2e-3, stiffness=2e9, density=900.0, width=0.006, damping=0.1, wind=WIND, eye=1.0,
    near=2.0, far=6.0,
)  # fmt: skip


def test_a_blade_swings_at_the_frequency_of_its_discretized_beam():
    """Finite differences of EI·w'''' = μω²w, clamped at one end and free at the other, know nothing of β."""
    n = 200
    gap = FIELD.length / n
    size = n + 4
    matrix = np.zeros((n, size))
    for row in range(n):  # nodes 1..n; node 0 is clamped, node -1 mirrors node 1
        matrix[row, row : row + 5] = (1, -4, 6, -4, 1)
    full = np.zeros((n, n))
    for row in range(n):
        for place, weight in zip(range(row - 1, row + 4), matrix[row, row : row + 5], strict=True):
            node = abs(place)  # w(-1) = w(1)
            if node == 0:
                continue
            if node <= n:
                full[row, node - 1] += weight
            elif node == n + 1:  # no moment at the free end
                full[row, n - 1] += 2 * weight
                full[row, n - 2] -= weight
            else:  # no shear there: w(n+2) = 4w(n) - 4w(n-1) + w(n-2)
                full[row, n - 1] += 4 * weight
                full[row, n - 2] -= 4 * weight
                full[row, n - 3] += weight
    stiff = FIELD.stiffness * np.pi * FIELD.radius**4 / 4 / (FIELD.density * np.pi * FIELD.radius**2) / gap**4
    values = np.sort(np.sqrt(np.abs(np.linalg.eigvals(full)) * stiff)) / (2 * np.pi)
    assert FIELD.frequency(0) == pytest.approx(values[0], rel=0.02)
    assert FIELD.frequency(1) == pytest.approx(values[1], rel=0.02)


@pytest.mark.parametrize("mode", [0, 1])
def test_the_shape_of_a_bent_blade_is_clamped_at_its_root_and_whole_at_its_tip(mode: int):
    share = np.linspace(0, 1, 2001)
    form = grass.shape(mode, share)
    assert abs(form[0]) < 1e-9
    assert abs(form[1] - form[0]) * 2000 < 0.02
    assert form[-1] == pytest.approx(1.0)
    assert np.sum(np.diff(np.sign(form[2:])) != 0) == mode


def test_a_field_leans_more_at_its_tips_and_hardly_moves_in_a_calm():
    moved = grass.simulate(FIELD, SECONDS, rng())
    by_height = moved.moves.std(axis=0).reshape(FIELD.blades, -1, 2)[..., 0]
    assert (by_height[:, -1] > by_height[:, 0]).all()
    still = grass.simulate(replace(FIELD, wind=CALM), SECONDS, rng())
    assert np.abs(still.moves).max() < 1e-6


# --- branches -----------------------------------------------------------------------------------------


def rods(count: int) -> branches.Tree:
    """An upright pole of rods one above the other, without leaves."""
    start = np.stack([np.zeros(count), np.arange(count) / count], axis=1)
    none = np.zeros(count)
    return branches.Tree(
        start=start, end=start + np.array([0, 1 / count]), parent=np.arange(count) - 1, radius=np.full(count, 0.01),
        leaves=none, clump=none, stiffness=6e9, density=900.0, leaf_mass=0.25,
    )  # fmt: skip


def test_one_rod_on_a_spring_swings_as_a_compound_pendulum():
    tree = rods(1)
    angular, _ = tree.modes()
    mass = 900 * np.pi * 0.01**2
    assert angular[0] == pytest.approx(np.sqrt(tree.springs()[0] / (mass / 3)), rel=1e-6)


def test_many_rods_swing_as_the_beam_they_stand_for():
    """Hinges at the lower end of each rod bend it as if half a rod more were free: 40 rods are 4 % too slow."""
    angular, _ = rods(40).modes()
    beam = 1.8751041**2 * np.sqrt(6e9 * np.pi * 0.01**4 / 4 / (900 * np.pi * 0.01**2))
    assert angular[0] == pytest.approx(beam, rel=0.05)
    assert angular[1] / angular[0] == pytest.approx(6.267, rel=0.05)


def test_modes_neither_push_nor_pull_one_another_and_energy_only_falls():
    tree = branches.grow(rng(), length=1.0, radius=0.02, levels=2, upright=np.pi / 2, leaf=0.02, stiffness=6e9)
    angular, turns = tree.modes()
    inertia = turns.T @ tree.inertia() @ turns
    assert np.allclose(inertia, np.eye(len(inertia)), atol=1e-6)
    stiff = turns.T @ (tree.springs()[:, None] * turns)
    assert np.allclose(stiff / angular / angular[:, None], np.eye(len(stiff)), atol=1e-6)
    none = np.zeros((400, len(angular)))
    place, speed = respond(
        none, angular, np.full(len(angular), 0.05), 0.01, start=(np.ones(len(angular)), np.zeros(len(angular)))
    )
    energy = 0.5 * (speed**2).sum(axis=1) + 0.5 * ((angular * place) ** 2).sum(axis=1)
    assert (np.diff(energy) < 0).all()


def test_what_grows_carries_its_own_cross_section_and_hangs_together():
    tree = branches.grow(rng(2), length=2.0, radius=0.04, levels=3, upright=np.pi / 2, leaf=0.05, stiffness=6e9)
    hung = tree.parent >= 0
    assert (tree.parent[hung] < np.flatnonzero(hung)).all()
    assert np.allclose(tree.start[hung], tree.end[tree.parent[hung]])
    assert 0 < tree.modes()[0][0] / (2 * np.pi) < 5


# --- cloth --------------------------------------------------------------------------------------------


def piece(**more: object) -> cloth.Cloth:
    told: dict[str, object] = {"width": 1.2, "height": 1.2, "pinned": "top", "wind": CALM, "turn": 0.3}
    return cloth.Cloth(**(told | more))  # type: ignore[arg-type]


def test_cloth_that_swings_in_still_air_loses_energy_and_never_stretches_beyond_its_bound():
    pieces = cloth.Pieces([piece(), piece(pinned="corners"), piece(pinned="left")], cloth.Matter())
    pieces.speed[:] = np.array([0, 0, 2.0], np.float32) * pieces.loose
    none = np.zeros_like(pieces.place)
    energies, stretches = [pieces.energy()], []
    for number in range(1, 481):
        pieces.step(none)
        if number % 60 == 0:
            energies.append(pieces.energy())
            stretches.append(pieces.stretch())
    lost = np.diff(np.array(energies), axis=0)
    assert (lost < 0).all()
    # Two passes a step leave a little over; a flag that falls is the worst.
    assert np.max(stretches) < 1 + cloth.STRETCH + 0.05
    assert np.array_equal(pieces.place[:, 0, 0], cloth.Pieces(pieces.cloths, cloth.Matter()).place[:, 0, 0])


def test_light_and_small_cloth_does_not_shake_itself_apart():
    """Neighbours that swing against each other, the fastest that masses can do, come to rest."""
    pieces = cloth.Pieces([piece(width=0.8, height=0.48), piece(width=2.0)], cloth.Matter(weight=0.12))
    assert pieces.stiffness[0] < cloth.Matter().stiffness == pieces.stiffness[1]
    odd = (np.indices((cloth.NODES, cloth.NODES)).sum(axis=0) % 2 * 2 - 1).astype(np.float32)
    pieces.place[..., 0] += 2e-4 * odd * pieces.loose[..., 0]
    none = np.zeros_like(pieces.place)
    for _ in range(100):
        pieces.step(none)
    assert np.abs((pieces.speed[..., 0] * odd).mean(axis=(1, 2))).max() < 0.03  # 0.16 m/s at first


def test_nobody_hangs_cloth_by_a_nail():
    with pytest.raises(ValueError, match="nail"):
        cloth.pins("nail")


# --- water --------------------------------------------------------------------------------------------


def test_a_wave_runs_at_the_root_of_g_times_the_depth():
    for depth in (0.1, 0.4):
        surface = water.Surface(np.full((8, 400), depth, np.float32), 0.05)
        x = (np.arange(400) + 0.5) * 0.05
        surface.height[:] = 0.01 * np.exp(-(((x - 6) / 0.6) ** 2))
        steps = round(6.0 / np.sqrt(9.81 * depth) / surface.step)
        for _ in range(steps):
            surface.advance()
        crest = x[200:][surface.height[4, 200:].argmax()]
        assert (crest - 6) / (steps * surface.step) == pytest.approx(np.sqrt(9.81 * depth), rel=0.02)


def test_water_keeps_its_volume_and_friction_takes_its_energy():
    depth = np.full((40, 40), 0.3, np.float32)
    depth[:10] = 0
    for friction in (0.0, 0.5):
        surface = water.Surface(depth, 0.1, friction)
        surface.height[20:24, 20:24] = 0.01
        volume, energies = surface.height.sum(), [surface.energy()]
        for _ in range(300):
            surface.advance()
            energies.append(surface.energy())
        assert surface.height.sum() == pytest.approx(volume, rel=1e-3)
        assert np.abs(surface.height[:10]).max() == 0
        if friction:
            assert energies[-1] < 0.35 * energies[0]
        else:  # the scheme keeps a nearby energy: this one swings around it
            assert np.mean(energies[-50:]) == pytest.approx(energies[0], rel=0.1)


# --- recordings ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def some() -> dict[str, Recording]:
    return {kind: next(scenes.recordings(kind, 3, 1, 11, float(SECONDS))) for kind in ("foliage", "grass", "water")}


@pytest.mark.parametrize("kind", ["foliage", "grass", "water"])
def test_a_scene_shows_what_moves_and_is_the_same_again(kind: str, some: dict[str, Recording]):
    made = some[kind]
    assert made.kind == kind
    assert made.still.shape == made.mask.shape == (EDGE, EDGE)
    assert 0 <= made.still.min() < made.still.max() <= 1
    assert made.moves.shape == (RATE * SECONDS, len(made.places), 2)
    spectrum = made.spectrum()
    assert spectrum.shape == (len(PERIODS), GRID, GRID, 2)
    assert np.isfinite(spectrum).all()
    again = next(scenes.recordings(kind, 3, 1, 11, float(SECONDS)))
    assert np.array_equal(again.moves, made.moves)
    assert np.array_equal(again.still, made.still)
    other = next(scenes.recordings(kind, 4, 1, 11, float(SECONDS)))
    assert other.moves.shape != made.moves.shape or not np.array_equal(other.moves, made.moves)


def test_cloth_comes_out_of_a_batch_as_a_scene(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cloth, "WARM_UP", 0.0)
    (made,) = cloth.simulate([piece(wind=WIND, slack=0.1)], cloth.Matter(), 1.0, rng())
    assert made.kind == "fabric"
    assert made.moves.shape[0] == RATE
    assert 0.1 < made.mask.mean() < 1.0
    held = made.moves[:, : 2 * cloth.NODES - 1]
    assert np.abs(held).max() < 1e-6 < np.abs(made.moves).max()


def test_the_spectrum_of_a_known_motion_is_that_motion():
    """Points that all swing alike at one of the periods: its coefficient holds their amplitude and phase."""
    times = np.arange(RATE * SECONDS) / RATE
    which = 4
    swing = 0.02 * np.cos(2 * np.pi * PERIODS[which] / SECONDS * times + 0.7)
    places = np.stack(np.meshgrid(np.arange(0.01, 1, 0.02), np.arange(0.01, 1, 0.02)), -1).reshape(-1, 2)
    moves = np.zeros((len(times), len(places), 2), np.float32)
    moves[..., 0] = swing[:, None]
    whole = np.ones((EDGE, EDGE), np.float32)
    made = Recording(
        kind="grass", still=whole, mask=whole, places=places.astype(np.float32), moves=moves, spread=0.02,
        weights=np.ones(len(places), np.float32),
    )  # fmt: skip
    spectrum = made.spectrum()
    expected = 0.02 * np.exp(0.7j) * np.sqrt(band_widths()[which] / 1.5)
    assert np.allclose(spectrum[which, ..., 0], expected, atol=2e-4)
    assert np.abs(spectrum[..., 1]).max() < 1e-9
    far = [k for k in range(len(PERIODS)) if abs(PERIODS[k] - PERIODS[which]) > 2]
    assert np.abs(spectrum[far]).max() < 1e-4
    fields = made.fields(8)
    assert np.allclose(fields[..., 0], swing[:, None, None], atol=1e-5)


def test_a_spectrum_is_made_of_the_same_fields_that_are_shown():
    made = next(scenes.recordings("foliage", 1, 1, 11, float(SECONDS)))
    fields = made.fields()
    window = np.hanning(RATE * SECONDS + 1)[:-1]
    turns = np.exp(-2j * np.pi * np.outer(PERIODS, np.arange(RATE * SECONDS)) / (RATE * SECONDS))
    found = np.tensordot(turns * window * (2 / window.sum()), fields - fields.mean(axis=0), 1)
    found *= np.sqrt(band_widths() / 1.5)[:, None, None, None]
    assert np.allclose(found, made.spectrum(), atol=1e-3 * np.abs(found).max())
