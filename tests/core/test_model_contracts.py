"""What follows from a card: consistency, fit of inputs and outputs, the input of the self-test."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archive_restore.core.canonical import canonical_bytes, from_plain, to_plain
from archive_restore.core.model_contracts import (
    card_problem,
    input_problem,
    kept_contract,
    plane_count,
    self_test_input,
    self_test_problem,
    size_problem,
    smallest_frame,
)
from archive_restore.records.models import InputContract, ModelCard, Planes
from tests.support.tiny_models import card, graph_card


def made(**changes: Any) -> ModelCard:
    return from_plain(ModelCard, card(b"", **changes))


RGB = {"meaning": "rgb", "count": 3, "minimum": 0, "maximum": 1}
MASK = {"meaning": "mask", "minimum": 0, "maximum": 1}


def test_a_card_survives_its_own_form():
    told = made(
        selftest={"seed": 1, "height": 8, "width": 8, "values": [], "tolerance": 0.1}, calibration={"ece": 0.02}
    )
    assert from_plain(ModelCard, to_plain(told)) == told
    assert canonical_bytes(told) == canonical_bytes(from_plain(ModelCard, to_plain(told)))


@pytest.mark.parametrize("told", [card(b""), graph_card(b"")])
def test_the_cards_of_the_tests_are_consistent(told: dict[str, Any]):
    assert card_problem(from_plain(ModelCard, told)) == ""


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"weights__format": "pth"}, "onnxruntime models are read from onnx, not from pth"),
        ({"weights__extra": "zoo"}, "belong together"),
        ({"input__planes": [{"meaning": "rgb", "count": 4}]}, "rgb is 3 planes, not 4"),
        ({"output__planes": [{"meaning": "odds", "minimum": 0}]}, "one bound of two"),
        ({"output__planes": [{"meaning": "odds", "minimum": 1, "maximum": 1}]}, "no range"),
        ({"input__size_multiple": 8}, "minimum_size: 1 is no multiple"),
        ({"input__minimum_size": 8, "input__maximum_size": 4}, "below minimum_size"),
        ({"output__extent": "free", "output__scale": 2}, "free extent has no scale"),
        ({"task": "inpainting"}, "must be rgb mask > rgb or gray mask > gray, not gray > gray"),
        ({"task": "colorization"}, "lightness > ab"),
        ({"task": "super-resolution"}, "does not fit the task"),
        ({"task": "restoration", "output__scale": 2}, "does not fit the task"),
        ({"task": "restoration", "output__extent": "free"}, "gives a frame"),
        (
            {"selftest": {"seed": 0, "height": 0, "width": 8, "values": [], "tolerance": 0}},
            "selftest: the height 0 is below 1",
        ),
    ],
)
def test_a_card_that_contradicts_itself(changes: dict[str, Any], says: str):
    assert says in card_problem(made(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"task": "inpainting", "input__planes": [RGB, MASK], "output__planes": [RGB]},
        {"task": "colorization", "output__planes": [RGB]},
        {"task": "super-resolution", "output__scale": 4},
        {
            "task": "colorization",
            "input__planes": [{"meaning": "lightness", "minimum": 0, "maximum": 100}],
            "output__planes": [{"meaning": "ab", "count": 2, "minimum": -110, "maximum": 110}],
        },
    ],
)
def test_cards_of_the_tasks_that_come_through_the_door(changes: dict[str, Any]):
    assert card_problem(made(**changes)) == ""


@pytest.mark.parametrize(
    ("planes", "says"),
    [
        (np.zeros((1, 1, 8, 8), np.float64), "must be float32"),
        (np.zeros((1, 8, 8), np.float32), "must be float32"),
        (np.zeros((0, 1, 8, 8), np.float32), "must be float32"),
        (np.zeros((1, 3, 8, 8), np.float32), "3 planes and must have 1"),
        (np.zeros((1, 1, 8, 9), np.float32), "width 9 is no multiple of 4"),
        (np.zeros((1, 1, 4, 8), np.float32), "height 4 is below 8"),
        (np.zeros((1, 1, 8, 36), np.float32), "width 36 is above 32"),
        (np.full((1, 1, 8, 8), np.nan, np.float32), "not finite"),
        (np.full((1, 1, 8, 8), np.inf, np.float32), "not finite"),
        (np.full((1, 1, 8, 8), 1.01, np.float32), "may hold 0 to 1"),
        (np.full((1, 1, 8, 8), -1, np.float32), "may hold 0 to 1"),
    ],
)
def test_inputs_that_do_not_fit(planes: np.ndarray, says: str):
    told = made(input__size_multiple=4, input__minimum_size=8, input__maximum_size=32)
    assert says in input_problem(told, planes)


def test_rounding_may_carry_an_input_a_little_beyond_its_range():
    assert input_problem(made(), np.full((1, 1, 8, 8), 1.00001, np.float32)) == ""


def test_a_range_may_run_downwards():
    """A network for negatives: black is 1, white is 0."""
    told = made(input__planes=[{"meaning": "gray", "minimum": 1, "maximum": -1}])
    assert input_problem(told, np.full((1, 1, 8, 8), -1, np.float32)) == ""
    assert "may hold -1 to 1" in input_problem(told, np.full((1, 1, 8, 8), 2, np.float32))
    assert (np.abs(self_test_input(told, 0, 8, 8)) <= 1).all()


@pytest.mark.parametrize(
    ("output", "says"),
    [
        (np.zeros((2, 1, 16, 16), np.float32), "gave (2, 1, 16, 16) for (1, 1, 8, 8)"),
        (np.zeros((1, 16, 16), np.float32), "gave (1, 16, 16)"),
        (np.zeros((1, 2, 16, 16), np.float32), "2 planes, its card says 1"),
        (np.zeros((1, 1, 8, 8), np.float32), "frame of (8, 8), its card says (16, 16)"),
        (np.full((1, 1, 16, 16), np.nan, np.float32), "not finite"),
    ],
)
def test_outputs_that_break_the_promise(output: np.ndarray, says: str):
    with pytest.raises(ValueError) as broken:
        kept_contract(made(output__scale=2), (1, 1, 8, 8), output)
    assert says in str(broken.value)


def test_values_beyond_a_range_are_clipped_plane_by_plane():
    told = made(output__planes=[{"meaning": "odds", "minimum": 0, "maximum": 1}, {"meaning": "logit"}])
    output = np.stack([np.full((4, 4), 1.5), np.full((4, 4), 7.0)])[None].astype(np.float32)
    output.setflags(write=False)
    kept = kept_contract(told, (1, 1, 4, 4), output)
    assert (kept[0, 0] == 1).all()
    assert (kept[0, 1] == 7).all()
    assert (output[0, 0] == 1.5).all()


def test_a_free_output_has_its_own_extent():
    told = made(output__planes=[{"meaning": "points", "count": 6}], output__extent="free")
    assert kept_contract(told, (1, 1, 64, 64), np.zeros((1, 6, 1, 1), np.float32)).shape == (1, 6, 1, 1)


@given(st.integers(1, 64), st.integers(1, 512))
def test_the_smallest_frame_is_one_that_may_be_given_and_none_is_smaller(multiple: int, least: int):
    contract = InputContract(planes=(Planes(meaning="gray"),), size_multiple=multiple, minimum_size=least, halo=0)
    edge, width = smallest_frame(contract)
    assert edge == width
    assert size_problem(contract, edge, edge) == ""
    assert edge - multiple < max(least, 1)


def test_the_input_of_the_self_test_never_changes():
    """Written down once: cards rely on it for as long as they are read."""
    told = made(input__planes=[RGB, {"meaning": "mask", "minimum": -1, "maximum": 1}])
    noise = self_test_input(told, 7, 4, 5)
    assert noise.shape == (1, plane_count(told.input.planes), 4, 5)
    assert noise[0, 0, 0, :3].tolist() == [0.16372650861740112, 0.8720734119415283, 0.9722633361816406]
    assert noise[0, 3, 3, 4] == np.float32(0.7615037)
    assert noise[0, :3].min() >= 0
    assert noise[0, 3].min() < -0.9


@pytest.mark.parametrize("shape", [(4, 5), (3, 3)])
def test_it_is_the_noise_that_numpy_makes_today(shape: tuple[int, int]):
    meant = np.random.Generator(np.random.Philox(key=3)).random((1, 1, *shape), np.float32)
    assert (self_test_input(made(), 3, *shape) == meant).all()


def test_a_self_test_tells_the_first_difference():
    values = [{"plane": 0, "row": 1, "column": 2, "value": 0.5}]
    told = made(selftest={"seed": 0, "height": 8, "width": 8, "values": values, "tolerance": 0.01})
    output = np.full((1, 1, 8, 8), 0.505, np.float32)
    assert self_test_problem(told, output) == ""
    assert "is 0.6, the card says 0.5 ± 0.01" in self_test_problem(told, output + np.float32(0.095))
    assert "no plane" in self_test_problem(told, output[:, :, :1])
