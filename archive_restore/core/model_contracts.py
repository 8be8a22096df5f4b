"""What follows from a model card: whether it is consistent, what fits its contract, the input of its self-test.

Pure: cards and arrays in, sentences and arrays out. A sentence names the first problem; an empty one means none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from archive_restore.records.models import (
    ExpectedValue,
    Extent,
    InputContract,
    Library,
    ModelCard,
    Planes,
    Task,
    WeightsFormat,
)

FloatPlanes = npt.NDArray[np.float32]

FORMATS: Mapping[Library, tuple[WeightsFormat, ...]] = MappingProxyType(
    {
        Library.OWN: (WeightsFormat.SAFETENSORS, WeightsFormat.NCNN),
        Library.ONNX: (WeightsFormat.ONNX,),
        Library.SPANDREL: (WeightsFormat.SAFETENSORS, WeightsFormat.PTH),
    }
)
"""Which weights each library may be given."""

WORDS: Mapping[str, tuple[int, str]] = MappingProxyType(
    {
        "rgb": (3, "red, green and blue as they lie in the picture, its own curve left on"),
        "gray": (1, "luma of the same, 0 is black"),
        "mask": (1, "1 where the model shall make the picture anew, 0 where it is sound"),
        "lightness": (1, "CIE L*, usually 0 to 100"),
        "ab": (2, "CIE a* and b*; of an input: those of hints, spread"),
        "trust": (1, "how far hints have a say, 0 where none has"),
        "noise": (1, "numbers that a seed draws: even over the range, or normal with variance 1 where there is none"),
        "flow": (
            2,
            "across and down, pixels of the input: where in the still a pixel of the frame comes from, minus "
            "its own place",
        ),
        "harmonic": (4, "as flow, of one frequency: cosine across and down, sine across and down"),
        "traits": (3, "lightness smoothed, lightness around, and texture, as imaging.hints sees them"),
        "belonging": (43, "which pixels go together in colour, as imaging.belonging reads it"),
    }
)
"""Words for planes that mean the same in every card: number of planes, and what they are."""
SHAPES: Mapping[Task, tuple[str, ...]] = MappingProxyType(
    {
        Task.INPAINTING: ("rgb mask > rgb", "gray mask > gray"),
        Task.COLORIZATION: (
            "lightness > ab",
            "lightness ab trust > ab confidence",
            "lightness traits > ab confidence belonging",
            "gray > rgb",
            "rgb > rgb",
            "rgb > ab",
        ),
        Task.RESTORATION: ("rgb > rgb", "gray > gray"),
        Task.SUPER_RESOLUTION: ("rgb > rgb", "gray > gray"),
        Task.IMAGE_TO_VIDEO: ("rgb > rgb", "rgb noise > rgb", "gray > gray", "gray noise > gray"),
        Task.MOTION: tuple(
            f"{given} > {made}" for made in ("flow", "harmonic") for given in ("rgb", "rgb noise", "gray", "gray noise")
        ),
    }
)
"""What the tasks that come through the door take and give: meanings of the planes in their order; `harmonic` once for
each frequency."""
MOVING = (Task.IMAGE_TO_VIDEO, Task.MOTION)
"""Tasks of models that move a still."""
MOST_NUMBERS = 1 << 28
"""Numbers that may come out for one input of a model that moves a still: 1 GiB."""
_SLACK = 1e-4
"""Share of a plane's range by which rounding may carry an input beyond it."""


def plane_count(planes: Sequence[Planes]) -> int:
    """Channels of an input or output."""
    return sum(group.count for group in planes)


def card_problem(card: ModelCard) -> str:
    """Hold the parts of a card, which fit the schema one by one, against each other."""
    return next(_problems(card), "")


def _problems(card: ModelCard) -> Iterator[str]:
    library, weights, given = card.architecture.library, card.weights, card.input
    if weights.format not in FORMATS[library]:
        known = " or ".join(FORMATS[library])
        yield f"weights.format: {library} models are read from {known}, not from {weights.format}"
    if bool(weights.distribution) != bool(weights.extra):
        yield "weights: distribution and extra belong together"
    if (weights.structure is not None) != (weights.format is WeightsFormat.NCNN):
        yield "weights.structure: for weights of the format ncnn, and only for them"
    yield from (f"input.planes: {problem}" for problem in _plane_problems(given.planes))
    yield from (f"output.planes: {problem}" for problem in _plane_problems(card.output.planes))
    for name, size in (("minimum_size", given.minimum_size), ("maximum_size", given.maximum_size)):
        if size is not None and size % given.size_multiple:
            yield f"input.{name}: {size} is no multiple of size_multiple, {given.size_multiple}"
    if given.maximum_size is not None and given.maximum_size < given.minimum_size:
        yield f"input.maximum_size: {given.maximum_size} is below minimum_size, {given.minimum_size}"
    yield from _fixed_problems(given)
    if card.output.extent is Extent.FREE and card.output.scale != 1:
        yield "output.scale: an output of free extent has no scale"
    shape = " > ".join(_shape(part) for part in (given.planes, card.output.planes))
    if card.task in SHAPES and shape not in SHAPES[card.task]:
        yield f"the planes of a model for {card.task} must be {' or '.join(SHAPES[card.task])}, not {shape}"
    if card.task in SHAPES and card.output.extent is not Extent.FRAME:
        yield f"output.extent: a model for {card.task} gives a frame"
    if card.task in SHAPES and (card.output.scale > 1) != (card.task is Task.SUPER_RESOLUTION):
        yield f"output.scale: {card.output.scale} does not fit the task {card.task}"
    yield from _moving_problems(card)
    if card.selftest is not None:
        problem = size_problem(given, card.selftest.height, card.selftest.width)
        if problem:
            yield f"selftest: {problem}"


def _shape(planes: Sequence[Planes]) -> str:
    """Meanings of planes in their order, several harmonics as one."""
    words = [group.meaning for group in planes]
    return " ".join(word for i, word in enumerate(words) if word != "harmonic" or words[i - 1 : i] != ["harmonic"])


def _fixed_problems(given: InputContract) -> Iterator[str]:
    if (given.height is None) != (given.width is None):
        yield "input: height and width belong together"
    elif given.height is not None and given.width is not None:
        problem = size_problem(given, given.height, given.width)
        if problem:
            yield f"input: {problem}"


def _moving_problems(card: ModelCard) -> Iterator[str]:
    """Frames and their rate, which only models that move a still have."""
    output = card.output
    if card.task not in MOVING:
        if output.frames != 1 or output.rate is not None:
            yield f"output: a model for {card.task} has neither frames nor a rate"
        return
    if output.rate is None:
        yield f"output.rate: a model for {card.task} says how many frames a second it gives, or which frequencies"
    spectra = output.planes[0].meaning == "harmonic"
    if spectra and output.frames != 1:
        yield "output.frames: harmonics are those of all frames"
    if not spectra and output.frames < 2:
        yield f"output.frames: {output.frames} frame is no motion"
    if any(group.minimum is None for group in card.input.planes if group.meaning != "noise"):
        yield "input.planes: only noise may be without a range"
    if card.task is Task.IMAGE_TO_VIDEO and any(group.minimum is None for group in output.planes):
        yield "output.planes: frames have a range"
    height, width = smallest_frame(card.input)
    if output.frames * plane_count(output.planes) * height * width > MOST_NUMBERS:
        yield f"output: {output.frames} frames of {width}×{height} pixels are more than are held at once"


def _plane_problems(planes: Sequence[Planes]) -> Iterator[str]:
    for group in planes:
        count, _ = WORDS.get(group.meaning, (group.count, ""))
        if group.count != count:
            yield f"{group.meaning} is {count} planes, not {group.count}"
        if (group.minimum is None) != (group.maximum is None):
            yield f"{group.meaning} has one bound of two"
        if group.minimum is not None and group.minimum == group.maximum:
            yield f"{group.meaning} has no range"


def size_problem(contract: InputContract, height: int, width: int) -> str:
    """Whether a frame of this size may be given."""
    for name, size, only in (("height", height, contract.height), ("width", width, contract.width)):
        if only is not None and size != only:
            return f"the {name} {size} is not {only}"
    for name, size in (("height", height), ("width", width)):
        if size % contract.size_multiple:
            return f"the {name} {size} is no multiple of {contract.size_multiple}"
        if size < contract.minimum_size:
            return f"the {name} {size} is below {contract.minimum_size}"
        if contract.maximum_size is not None and size > contract.maximum_size:
            return f"the {name} {size} is above {contract.maximum_size}"
    return ""


def smallest_frame(contract: InputContract) -> tuple[int, int]:
    """Least rows and columns that may be given."""
    edge = max(1, -(-contract.minimum_size // contract.size_multiple)) * contract.size_multiple
    return contract.height or edge, contract.width or edge


def input_problem(card: ModelCard, planes: npt.NDArray[Any]) -> str:
    """Whether an array may be given to the model: dtype, shape, size and range."""
    if planes.dtype != np.float32 or planes.ndim != 4 or planes.shape[0] < 1:
        return f"it is {planes.dtype} {planes.shape} and must be float32 (n, c, h, w)"
    wanted = plane_count(card.input.planes)
    if planes.shape[1] != wanted:
        return f"it has {planes.shape[1]} planes and must have {wanted}"
    problem = size_problem(card.input, *planes.shape[2:])
    if problem:
        return problem
    for group, part in _parts(card.input.planes, planes):
        least, most = float(part.min()), float(part.max())
        if not np.isfinite(least + most):
            return f"{group.meaning} holds values that are not finite"
        if group.minimum is not None and group.maximum is not None:
            low, high = sorted((group.minimum, group.maximum))
            slack = _SLACK * (high - low)
            if least < low - slack or most > high + slack:
                return f"{group.meaning} holds {least:g} to {most:g} and may hold {low:g} to {high:g}"
    return ""


def kept_contract(card: ModelCard, given: tuple[int, ...], made: npt.NDArray[Any]) -> FloatPlanes:
    """The output as the card promises it, clipped to its ranges; raise ValueError where it breaks the promise.

    `given` is the shape of the input.
    """
    frames = card.output.frames
    if made.ndim == 4 and frames > 1 and made.shape[0] != given[0] * frames:
        raise ValueError(f"it gave {made.shape[0]} frames, its card says {given[0] * frames}")
    if made.ndim != 4 or made.shape[0] != given[0] * frames:
        raise ValueError(f"it gave {made.shape} for {given}")
    wanted = plane_count(card.output.planes)
    if made.shape[1] != wanted:
        raise ValueError(f"it gave {made.shape[1]} planes, its card says {wanted}")
    if card.output.extent is Extent.FRAME:
        frame = tuple(size * card.output.scale for size in given[2:])
        if made.shape[2:] != frame:
            raise ValueError(f"it gave a frame of {made.shape[2:]}, its card says {frame}")
    kept = np.require(made, np.float32, ["W"])
    for group, part in _parts(card.output.planes, kept):
        least, most = float(part.min()), float(part.max())
        if not np.isfinite(least + most):
            raise ValueError(f"{group.meaning} came out not finite")
        if group.minimum is not None and group.maximum is not None:
            low, high = sorted((group.minimum, group.maximum))
            if least < low or most > high:
                np.clip(part, low, high, out=part)
    return kept


def self_test_input(card: ModelCard, seed: int, height: int, width: int) -> FloatPlanes:
    """Noise (1, c, h, w) over the whole range of each plane, the same wherever it is made.

    The top 24 bits of Philox's 32-bit words, low half first, are numbers in [0, 1); planes without bounds take them as
    they are. numpy promises that the words of a bit generator never change (NEP 19), not what it makes of them.
    """
    shape = (1, plane_count(card.input.planes), height, width)
    count = int(np.prod(shape))
    words = np.random.Philox(key=seed).random_raw(-(-count // 2)).astype("<u8").view("<u4")[:count]
    made = ((words >> 8).astype(np.float32) * np.float32(2**-24)).reshape(shape)
    for group, part in _parts(card.input.planes, made):
        if group.minimum is not None and group.maximum is not None:
            part *= np.float32(group.maximum - group.minimum)
            part += np.float32(group.minimum)
    return made


def self_test_problem(card: ModelCard, made: FloatPlanes) -> str:
    """Hold the output for `self_test_input` against the values of the card."""
    if card.selftest is None:
        return ""
    for expected in card.selftest.values:
        place = (expected.frame, expected.plane, expected.row, expected.column)
        if any(index >= size for index, size in zip(place, made.shape, strict=True)):
            return f"the output has no {_place(expected)}"
        found = float(made[place])
        if abs(found - expected.value) > card.selftest.tolerance:
            return (
                f"{_place(expected)} is {found:.7g}, the card says {expected.value:.7g} ± {card.selftest.tolerance:g}"
            )
    return ""


def _place(expected: ExpectedValue) -> str:
    frame = f"frame {expected.frame}, " if expected.frame else ""
    return f"{frame}plane {expected.plane}, row {expected.row}, column {expected.column}"


def _parts(groups: Sequence[Planes], planes: npt.NDArray[Any]) -> Iterator[tuple[Planes, npt.NDArray[Any]]]:
    first = 0
    for group in groups:
        yield group, planes[:, first : first + group.count]
        first += group.count
