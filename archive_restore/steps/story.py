"""The built-in steps of stories: completing, enlarging and colouring, told as what they are.

Each binds functions of `imaging` to the story port. What is made up is flagged, and nothing here can reach the record.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from archive_restore.errors import ModelUnusable, PictureUnreadable, UsageError
from archive_restore.imaging import complete, enlarge
from archive_restore.imaging.luminance import Luminance, spread_gray
from archive_restore.imaging.planes import colour_indices
from archive_restore.imaging.regions import polygon_mask
from archive_restore.ports import Network, Samples, StoryContext, StoryPicture, StoryStep
from archive_restore.records.imagery import Geometry, PixelFlag, SampleRole
from archive_restore.records.provenance import Json
from archive_restore.records.stories import HumanDecision

KERNEL = "kernel"
"""Value of `enlarge.method`: no model."""
_ROWS = 512
ENLARGERS = {"network": "realesrgan-animevideov3", "quality": "realesrgan-x4plus"}
"""Models of `enlarge.method`."""


class Complete(StoryStep):
    """Completes what is lost; what it makes up is one of many plausible pictures."""

    name: ClassVar[str] = "complete"
    version: ClassVar[str] = "1"
    summary: ClassVar[str] = "Completes large losses and drawn regions with pieces of the same picture, or by a model."
    flags: ClassVar[PixelFlag] = PixelFlag.INTERPOLATED | PixelFlag.SYNTHESIZED | PixelFlag.HUMAN
    action: ClassVar[str] = "c2pa.edited"
    digital_source_type: ClassVar[str] = "compositeSynthetic"
    parameters_schema: ClassVar[Mapping[str, Any]] = {
        "losses": {
            "type": "boolean", "default": True,
            "description": "Complete what a restoration left as loss; without it only what a person drew.",
        },
        "model": {
            "type": "string", "default": "",
            "description": "Name of an inpainting model that completes; empty takes pieces of the same picture.",
        },
    }  # fmt: skip

    def models(self, parameters: Mapping[str, Json]) -> tuple[str, ...]:
        """The inpainting model, where one is named."""
        return (str(parameters["model"]),) if parameters["model"] else ()

    def source_type(self, parameters: Mapping[str, Json]) -> str:
        """A trained model where one runs."""
        return "compositeWithTrainedAlgorithmicMedia" if self.models(parameters) else self.digital_source_type

    def tell(self, picture: StoryPicture, parameters: Mapping[str, Json], context: StoryContext) -> StoryPicture:
        """Complete the losses of a restoration and the drawn regions."""
        height, width = picture.flags.shape
        drawn = _drawn(context, height, width)
        mask = np.zeros((height, width), np.bool_) if drawn is None else drawn.copy()
        if parameters["losses"] and picture.losses is not None:
            mask |= picture.losses != 0
        if not mask.any():
            context.note({"pixels": 0})
            return picture
        names = self.models(parameters)
        channels = colour_indices(picture.facts.roles)
        if names:
            made = self._by_network(picture, mask, context.networks[names[0]], context, channels)
        else:
            unsound = None if picture.losses is None else np.asarray(picture.losses) != 0
            made = complete.complete(
                picture.samples,
                mask,
                new=context.new,
                count=context.samples,
                seed=context.seed,
                picture=channels,
                unsound=unsound,
                white=picture.white,
            )
        context.note({"pixels": int(np.count_nonzero(mask)), "outcomes": len(made.alternatives)})
        context.say("Large losses were completed: what is seen there is made up.")
        flags, doubt = context.new((height, width), np.uint8), context.new((height, width), np.uint8)
        for top in range(0, height, _ROWS):
            rows = slice(top, top + _ROWS)
            flags[rows] = picture.flags[rows] | mask[rows] * np.uint8(made.flags)
            if drawn is not None:
                flags[rows] |= drawn[rows] * np.uint8(PixelFlag.HUMAN)
            doubt[rows] = np.where(mask[rows], made.doubt[rows], picture.doubt[rows])
        outcomes = [complete.pasted(picture.samples, patches, context.new) for patches in made.alternatives]
        return replace(
            picture, samples=outcomes[0], alternatives=tuple(outcomes[1:]), flags=flags, doubt=doubt, losses=None
        )

    @staticmethod
    def _by_network(
        picture: StoryPicture,
        mask: npt.NDArray[np.bool_],
        network: Network,
        context: StoryContext,
        channels: tuple[int, ...],
    ) -> complete.Completion:
        given = network.card.input
        if sum(planes.count for planes in given.planes) not in (2, 4):
            raise ModelUnusable(f"the model {network.card.name!r} does not take a picture and a mask")
        return complete.complete_by_network(
            picture.samples,
            mask,
            network.predict,
            new=context.new,
            multiple=given.size_multiple,
            minimum=given.minimum_size,
            maximum=given.maximum_size,
            planes=sum(planes.count for planes in given.planes) - 1,
            picture=channels,
            white=picture.white,
            inverted=SampleRole.GRAY_INVERTED in picture.facts.roles,
        )


def _drawn(context: StoryContext, height: int, width: int) -> npt.NDArray[np.bool_] | None:
    """What a person drew, and their decisions; None where nothing was handed in."""
    document: Any = context.documents.get("regions")
    if not document:
        return None
    for region in document["regions"]:
        context.decided(
            HumanDecision(
                author=str(region.get("author", "")),
                reason=str(region.get("reason", "")),
                what=f"complete {region.get('name') or 'a region'} of {len(region['polygon'])} corners",
                when=str(region.get("when", "")),
            )
        )
    return polygon_mask([region["polygon"] for region in document["regions"]], height, width)


class Enlarge(StoryStep):
    """Enlarges the whole picture; the result, reduced again, is its source."""

    name: ClassVar[str] = "enlarge"
    version: ClassVar[str] = "1"
    summary: ClassVar[str] = "Enlarges the picture and draws detail; reduced again, it is its source."
    flags: ClassVar[PixelFlag] = PixelFlag.RESAMPLED | PixelFlag.SYNTHESIZED | PixelFlag.INTERPOLATED
    action: ClassVar[str] = "c2pa.resized"
    digital_source_type: ClassVar[str] = "algorithmicallyEnhanced"
    parameters_schema: ClassVar[Mapping[str, Any]] = {
        "scale": {
            "type": "number", "minimum": 0, "maximum": enlarge.MOST, "default": 0,
            "description": "How many times as long every edge becomes; 0 takes the target.",
        },
        "target": {
            "enum": list(enlarge.TARGETS), "default": "4k",
            "description": "The frame that the picture is fitted into where no scale is given.",
        },
        "method": {
            "enum": [*ENLARGERS, KERNEL], "default": "network",
            "description": "network is a fast model, quality a large one; kernel interpolates without a model.",
        },
        "fidelity": {
            "type": "boolean", "default": False,
            "description": "Lean on plain interpolation as well: less is invented, and less is sharp.",
        },
        "grain": {
            "type": "number", "minimum": 0, "maximum": 1, "default": 0,
            "description": "Share of the source's grain that is drawn finer than its pixels could.",
        },
    }  # fmt: skip

    def models(self, parameters: Mapping[str, Json]) -> tuple[str, ...]:
        """The super-resolution network of the method."""
        method = str(parameters["method"])
        return (ENLARGERS[method],) if method in ENLARGERS else ()

    def source_type(self, parameters: Mapping[str, Json]) -> str:
        """A trained model where one runs."""
        return "compositeWithTrainedAlgorithmicMedia" if self.models(parameters) else self.digital_source_type

    def tell(self, picture: StoryPicture, parameters: Mapping[str, Json], context: StoryContext) -> StoryPicture:
        """Enlarge samples, map and doubt."""
        height, width = picture.flags.shape
        scale = _number(parameters, "scale")
        size = enlarge.target_size(
            height, width, scale=scale or None, target=None if scale else str(parameters["target"])
        )
        names = self.models(parameters)
        made = enlarge.enlarge(
            picture.samples,
            size,
            _enlarger(context.networks[names[0]]) if names else None,
            new=context.new,
            picture=colour_indices(picture.facts.roles),
            white=picture.white,
            inverted=SampleRole.GRAY_INVERTED in picture.facts.roles,
            fidelity=bool(parameters["fidelity"]),
            grain=_number(parameters, "grain"),
            seed=context.seed,
            threads=context.threads,
        )
        context.note({"agreement_db": round(made.agreement, 2), "height": size[0], "width": size[1]})
        if made.agreement < enlarge.TOLERATED:
            context.say(f"Reduced again, the enlargement agrees with its source by only {made.agreement:.1f} dB.")
        return replace(
            picture,
            facts=replace(picture.facts, width=size[1], height=size[0]),
            samples=made.samples,
            flags=enlarge.carry(picture.flags, size, context.new, add=int(made.flags)),
            doubt=enlarge.carry(picture.doubt, size, context.new),
            geometry=_through(picture.geometry, enlarge.geometry(height, width, size)),
            losses=None,
        )


def _enlarger(network: Network) -> enlarge.Enlarger:
    card = network.card
    return enlarge.Enlarger.looking(
        network.predict,
        scale=card.output.scale,
        planes=sum(planes.count for planes in card.input.planes),
        halo=card.input.halo,
    )


def _through(outer: Geometry, inner: Geometry) -> Geometry:
    """The geometry that leads through `inner` first."""
    first, second, third = (np.array(outer) @ np.array(inner)).tolist()
    return (tuple(first), tuple(second), tuple(third))


def _number(parameters: Mapping[str, Json], name: str) -> float:
    value = parameters[name]
    if not isinstance(value, int | float):
        raise UsageError(f"{name} is {value!r} and must be a number")
    return float(value)


class Colorize(StoryStep):
    """Spreads the colours that people gave; light and dark stay those of the source."""

    name: ClassVar[str] = "colorize"
    version: ClassVar[str] = "0"
    summary: ClassVar[str] = "Spreads colours that people gave; light and dark stay the photograph's."
    flags: ClassVar[PixelFlag] = PixelFlag.COLORIZED | PixelFlag.HUMAN
    action: ClassVar[str] = "c2pa.adjustedColor"
    digital_source_type: ClassVar[str] = "humanEdits"
    parameters_schema: ClassVar[Mapping[str, Any]] = {
        "reach": {
            "type": "number", "minimum": 0.01, "maximum": 1, "default": 0.2,
            "description": "How far a hint spreads, share of the longest edge.",
        },
    }  # fmt: skip

    def tell(self, picture: StoryPicture, parameters: Mapping[str, Json], context: StoryContext) -> StoryPicture:
        """Colour gray along the directions that keep luminance."""
        facts = picture.facts
        if SampleRole.RED not in facts.roles and not {SampleRole.GRAY, SampleRole.GRAY_INVERTED} & set(facts.roles):
            raise PictureUnreadable("the picture is neither gray nor RGB and cannot be colorized")
        hints: Any = context.documents.get("hints")
        if not hints or not hints["hints"]:
            raise UsageError("there is no hint to spread", hint='Give --hint "X,Y=COLOUR"')
        height, width = picture.flags.shape
        row = np.array(picture.space.to_xyz[1], np.float32)
        places, chroma = [], []
        for hint in hints["hints"]:
            light = picture.space.curve[_codes(str(hint["colour"]), len(picture.space.curve) - 1)]
            x, y = (float(value) for value in hint["point"])
            places.append((y, x))
            if not (0 <= y < height and 0 <= x < width):
                raise UsageError(f"the hint at {x:g},{y:g} lies outside the picture of {width}×{height}")
            chroma.append(light / max(float(row @ light), 1e-4) - 1)
        reach = _number(parameters, "reach") * max(height, width)
        roles = spread_gray(np.zeros((1, 1, facts.samples), picture.samples.dtype), facts, picture.white)[1]
        samples = context.new((height, width, len(roles)), picture.samples.dtype)
        flags, doubt = context.new((height, width), np.uint8), context.new((height, width), np.uint8)
        codes = np.linspace(0, 1, len(picture.space.curve), dtype=np.float32)
        columns = np.arange(width, dtype=np.float32)[None, :]
        for top in range(0, height, 256):
            part = np.array(picture.samples[top : top + 256])
            luma = Luminance(facts, picture.white, picture.space).of(part)
            light = np.interp(luma, codes, picture.space.curve).astype(np.float32)
            rows = np.arange(top, top + len(part), dtype=np.float32)[:, None]
            weights = [np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * reach**2)) for y, x in places]
            total = np.sum(weights, axis=0)
            mixed = np.sum([w[:, :, None] * c for w, c in zip(weights, chroma, strict=True)], axis=0)
            mixed *= (np.clip(total, 0, 1) / np.maximum(total, 1e-6))[..., None]
            room = (1 / np.maximum(light, 1e-4) - 1) / np.maximum(mixed.max(axis=2), 1e-4)
            lit = light[..., None] * (1 + mixed * np.clip(room, 0, 1)[..., None])
            shown = np.interp(lit, picture.space.curve, codes) * picture.white
            coloured, _ = spread_gray(part, facts, picture.white)
            coloured = np.array(coloured)
            _put(coloured, roles, shown)
            changed = (coloured != spread_gray(part, facts, picture.white)[0]).any(axis=2)
            samples[top : top + len(part)] = coloured
            flags[top : top + len(part)] = picture.flags[top : top + len(part)] | (changed * int(PixelFlag.COLORIZED))
            doubt[top : top + len(part)] = np.rint(255 * (1 - np.clip(total, 0, 1)))
        for y, x in places:
            flags[int(y), int(x)] |= int(PixelFlag.COLORIZED | PixelFlag.HUMAN)
        return replace(
            picture,
            facts=replace(facts, samples=len(roles), roles=roles, photometric="rgb"),
            samples=samples,
            flags=flags,
            doubt=doubt,
        )


def _codes(colour: str, last: int) -> Any:
    values = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.rint(values * last).astype(np.intp)


def _put(coloured: Samples, roles: tuple[SampleRole, ...], shown: Any) -> None:
    at = [roles.index(role) for role in (SampleRole.RED, SampleRole.GREEN, SampleRole.BLUE)]
    coloured[:, :, at] = np.rint(shown) if coloured.dtype.kind == "u" else shown
