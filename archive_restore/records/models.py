"""Trained models as data: what one is for, what goes in and comes out, and where it comes from.

A card (`card.json`, schemas/model-card.schema.json) states a contract that the code which runs the model keeps.
Weights are known by their digest, never by their name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from archive_restore.records.provenance import Json, ModelUse


class Task(StrEnum):
    """What a model does."""

    DAMAGE = "damage"
    """Says where a picture is damaged."""
    FILL = "fill"
    """Fills thin and medium damage from its surroundings."""
    DENOISE = "denoise"
    INPAINTING = "inpainting"
    """Invents what a mask covers."""
    COLORIZATION = "colorization"
    RESTORATION = "restoration"
    """Several things at once: blur, noise, compression."""
    SUPER_RESOLUTION = "super-resolution"
    FACE_DETECTION = "face-detection"
    FACE_LANDMARKS = "face-landmarks"
    IMAGE_TO_VIDEO = "image-to-video"
    """Draws the frames of a clip of one still."""
    MOTION = "motion"
    """Says how a still moves; who warps it is this program."""
    MOTION_SPECTRA = "motion-spectra"
    """Draws how a region of a still moves: the Fourier coefficients of its paths (imaging.motion_spectra)."""


class Library(StrEnum):
    """Who knows the architecture and runs it."""

    OWN = "archive-restore"
    """One of `archive_restore.imaging.networks`, run by torch."""
    ONNX = "onnxruntime"
    """The weights file holds the architecture too."""
    SPANDREL = "spandrel"
    """One of those that spandrel knows, run by torch."""


class WeightsFormat(StrEnum):
    """How weights lie on disk; none of these can hold a program that runs when they are read."""

    SAFETENSORS = "safetensors"
    ONNX = "onnx"
    PTH = "pth"
    """A torch checkpoint of plain tensors, read with weights_only."""
    NCNN = "ncnn"
    """The `.bin` of ncnn; its `.param` is the structure."""


class Extent(StrEnum):
    """What the rows and columns of a model's output are."""

    FRAME = "frame"
    """Those of the input, times the scale."""
    FREE = "free"
    """The model's own: points, boxes, scores."""


class ModelOrigin(StrEnum):
    """Where an installed model lies."""

    SHIPPED = "shipped"
    """In the `models/` of this program."""
    ADDED = "added"
    """In the `models/` of the archive."""


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """How the network is built."""

    library: Library
    name: str
    """Name by which the library knows it; for ONNX what people call it."""
    parameters: Mapping[str, Json] = field(default_factory=lambda: MappingProxyType({}))
    """What the builder is given. ONNX: `inputs` and `outputs`, names in the order of the card's planes."""


@dataclass(frozen=True, kw_only=True)
class Planes:
    """Neighbouring planes of an input or output that mean the same."""

    meaning: str
    """A word of docs/reference/model-cards.md where one fits: `rgb`, `gray`, `mask`, `lightness`, `ab`…"""
    count: int = 1
    minimum: float | None = None
    """What 0 (black, no, none) is in this plane; None where it has no bounds."""
    maximum: float | None = None
    """What 1 (white, yes, full) is in this plane; values between lie on a line."""


@dataclass(frozen=True, kw_only=True)
class InputContract:
    """What the model takes: float32 (n, c, h, w)."""

    planes: tuple[Planes, ...]
    """In the order of the channels; their counts add up to c."""
    size_multiple: int
    """h and w are multiples of it."""
    minimum_size: int
    """Least h and w, pixels."""
    maximum_size: int | None = None
    """Greatest h and w, pixels; equal to `minimum_size` where the size is fixed, None where there is no limit."""
    height: int | None = None
    """The one h that may be given, where h and w are fixed and not the same; goes with `width`."""
    width: int | None = None
    halo: int
    """Receptive field around a pixel: what lies further off does not change it, pixels of the input."""


@dataclass(frozen=True, kw_only=True)
class OutputContract:
    """What the model gives: float32 (n, c, h, w)."""

    planes: tuple[Planes, ...]
    scale: int = 1
    """Output pixels per input pixel along an edge."""
    extent: Extent = Extent.FRAME
    frames: int = 1
    """Outputs of one input, in the order of time: float32 (n · frames, c, h, w)."""
    rate: float | None = None
    """Frames a second; of `harmonic` planes the frequency of the first, and from each to the next, Hz."""


@dataclass(frozen=True, kw_only=True)
class Structure:
    """The file that says in which order and shapes the numbers of another one lie."""

    file: str
    """Name or path, as that of the weights."""
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Weights:
    """The file with the numbers."""

    file: str
    """Name beside the card, or with `distribution` the path below its installation."""
    format: WeightsFormat
    sha256: str
    dtype: str
    """`float32`, `float16`, `bfloat16`, `uint8` or `int8`: what most of the numbers are."""
    parameters: int | None = None
    """Trained numbers; None where nobody counted."""
    distribution: str = ""
    """Python distribution that carries the file; empty where it lies beside the card."""
    extra: str = ""
    """Extra of archive-restore that installs the distribution."""
    structure: Structure | None = None
    """For ncnn: the `.param`; None for formats that say it themselves."""


@dataclass(frozen=True, kw_only=True)
class TrainingSource:
    """Where some of the training data came from."""

    name: str
    licence: str
    """SPDX expression; `NOASSERTION` where nobody knows."""
    count: int | None
    """Pictures taken from it; None where nobody knows."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """What the model learnt from, and how."""

    sources: tuple[TrainingSource, ...]
    recipe: str
    """How to do it again: command, steps, seed; or why nobody can."""
    manifest: str = ""
    """File beside the card that lists every training file; empty where there is none."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """One measured number."""

    measure: str
    """What was measured, with its unit."""
    value: float
    baseline: float | None
    """The same measure of what the model is compared with; None where there is nothing to compare with."""
    data: str
    """On what it was measured, and what the baseline is."""


@dataclass(frozen=True, kw_only=True)
class ExpectedValue:
    """One sample of the output of a self-test."""

    plane: int
    row: int
    column: int
    value: float
    frame: int = 0


@dataclass(frozen=True, kw_only=True)
class SelfTest:
    """Numbers that come out for an input made from a seed (core.model_contracts.self_test_input)."""

    seed: int
    height: int
    width: int
    values: tuple[ExpectedValue, ...]
    tolerance: float
    """Greatest difference that processors and library versions may make."""


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """Everything that is said of a model: the content of `card.json`."""

    name: str
    version: str
    task: Task
    purpose: str
    """One sentence."""
    architecture: Architecture
    input: InputContract
    output: OutputContract
    licence: str
    """SPDX expression of the weights."""
    attribution: str = ""
    """Whom the licence wants to be named."""
    weights: Weights
    training: Training
    results: tuple[Result, ...]
    calibration: Mapping[str, Json] = field(default_factory=lambda: MappingProxyType({}))
    """How far its probabilities can be taken at their word; free of form."""
    known_failures: tuple[str, ...]
    must_not_be_used_for: tuple[str, ...]
    made: str
    """How the weights file came about: trained, converted, downloaded; with what."""
    selftest: SelfTest | None = None


@dataclass(frozen=True, kw_only=True)
class InstalledModel:
    """A model that lies here with a card that can be read; its weights may still be damaged."""

    card: ModelCard
    card_sha256: str
    """Digest of the bytes of `card.json`."""
    origin: ModelOrigin
    folder: str
    """Where card and weights lie."""

    @property
    def use(self) -> ModelUse:
        """What a derivation says of it."""
        card = self.card
        return ModelUse(
            name=card.name,
            version=card.version,
            sha256=card.weights.sha256,
            card_sha256=self.card_sha256,
            licence=card.licence,
        )
