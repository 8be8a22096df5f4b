"""The built-in steps of stories: rebuilding, completing, enlarging and colouring, told as what they are.

Each binds functions of `imaging` to the story port. What is made up is flagged, and nothing here can reach the record.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from archive_restore.core.hints_document import ColourHint, hints_of
from archive_restore.core.manifests import PLACES
from archive_restore.errors import ModelUnusable, PictureUnreadable, UsageError
from archive_restore.imaging import colorize, complete, enlarge, face_network, face_rebuild, face_symmetry, faces
from archive_restore.imaging.colour import Recolouring
from archive_restore.imaging.hints import Seen, suggest
from archive_restore.imaging.palettes import Palette, rests_on
from archive_restore.imaging.planes import colour_indices
from archive_restore.imaging.regions import polygon_mask
from archive_restore.ports import Network, Samples, StoryContext, StoryPicture, StoryStep
from archive_restore.records.imagery import Geometry, PixelFlag, SampleRole
from archive_restore.records.provenance import Json
from archive_restore.records.stories import HumanDecision

LOST, SETTLED = 1, 2
"""Values of `StoryPicture.losses`."""
COLOUR_MODEL = "colour"
"""Name of the model that proposes colours."""
MOSTLY = 0.5
"""Share of a picture without colour from which a colorization is said to be mostly abstention."""
UNSURE = 0.5
"""How far a colour must be known for a proposal to be more than a faint guess."""
KERNEL = "kernel"
"""Value of `enlarge.method`: no model."""
_ROWS = 512
ENLARGERS = {"network": "realesrgan-animevideov3", "quality": "realesrgan-x4plus"}
"""Models of `enlarge.method`."""


class RebuildFaces(StoryStep):
    """Rebuilds what is lost of a face; never unless it is asked for."""

    name: ClassVar[str] = "faces"
    version: ClassVar[str] = "1"
    summary: ClassVar[str] = "Rebuilds what losses hide of a face from its other half, or lets a model draw faces."
    flags: ClassVar[PixelFlag] = face_rebuild.FLAGS | PixelFlag.HUMAN
    action: ClassVar[str] = "c2pa.edited"
    digital_source_type: ClassVar[str] = "compositeWithTrainedAlgorithmicMedia"
    parameters_schema: ClassVar[Mapping[str, Any]] = {
        "model": {
            "type": "string", "default": "",
            "description": "Name of a face-restoration model that draws instead; empty takes the other half.",
        },
        "whole": {
            "type": "boolean", "default": False,
            "description": "Let the model draw whole faces anew, and not only what is lost of them.",
        },
    }  # fmt: skip

    def models(self, parameters: Mapping[str, Json]) -> tuple[str, ...]:
        """Those that find faces, their points and their eyes, and the one that draws."""
        return (*faces.MODELS.values(), *([str(parameters["model"])] if parameters["model"] else []))

    def tell(self, picture: StoryPicture, parameters: Mapping[str, Json], context: StoryContext) -> StoryPicture:
        """Rebuild the hidden parts; each has its own name and place in the survey and in the manifest."""
        drawn = _drawn(context, *picture.flags.shape)
        mask = _lost(picture, drawn)
        whole = bool(parameters["whole"]) and bool(parameters["model"])
        if not mask.any() and not whole:
            context.say("No face was rebuilt: nothing is marked as lost.")
            return picture
        networks, look = _face_networks(context), _look(picture)
        found = face_rebuild.find_hidden_faces(picture.samples, mask, networks, **look)
        if not parameters["model"]:
            made = face_rebuild.rebuild(picture.samples, mask, found, **look)
            context.note({"faces": len(found)})
            return _with_faces(picture, drawn, made.patches, made.parts, made.refused, context)
        predict = context.networks[str(parameters["model"])].predict
        given = None if whole else mask
        new = face_network.restore_faces(picture.samples, found, predict, networks, mask=given, **look)
        context.note({"faces": len(found), "drifts": tuple(_finite(drift) for drift in new.drifts)})
        for warning in new.warnings:
            context.say(warning)
        return _with_faces(picture, drawn, new.patches, new.parts, new.refused, context)


def _face_networks(context: StoryContext) -> faces.FaceNetworks:
    return faces.FaceNetworks(**{part: context.networks[name].predict for part, name in faces.MODELS.items()})


def _look(picture: StoryPicture) -> dict[str, Any]:
    """How functions of faces are to see the samples."""
    return {
        "picture": colour_indices(picture.facts.roles),
        "white": picture.white,
        "inverted": SampleRole.GRAY_INVERTED in picture.facts.roles,
    }


def _finite(drift: float) -> float | None:
    """JSON knows no infinity: None stands for a face that is gone."""
    return round(drift, 4) if math.isfinite(drift) else None


def _with_faces(
    picture: StoryPicture,
    drawn: npt.NDArray[np.bool_] | None,
    patches: Sequence[complete.Patch],
    parts: Sequence[face_rebuild.RebuiltPart],
    refused: Sequence[face_rebuild.RefusedPart],
    context: StoryContext,
) -> StoryPicture:
    """The picture with the patches in it, and all that is to be said of them."""
    height, width = picture.flags.shape
    context.note({PLACES: tuple(_place(part) for part in parts), "frame": (width, height)})
    context.note({"refused": tuple({**_place(part), "reason": part.reason} for part in refused)})
    for part in parts:
        context.say(f"A part of a face was made up: {part.name}. It is no likeness.")
    for left in refused:
        context.say(f"A part of a face was left as found: {left.name}. {left.reason}")
    flags, doubt, losses = (context.new((height, width), np.uint8) for _ in range(3))
    flags[:], doubt[:] = picture.flags, picture.doubt
    if picture.losses is not None:
        losses[:] = picture.losses
    for patch in patches:
        place = (slice(patch.region.top, patch.region.bottom), slice(patch.region.left, patch.region.right))
        flags[place][patch.mask] |= np.uint8(face_rebuild.FLAGS)
        if drawn is not None:
            flags[place][patch.mask & drawn[place]] |= np.uint8(PixelFlag.HUMAN)
        doubt[place][patch.mask] = 255
        losses[place][patch.mask] = SETTLED
    for left in refused:
        # What knows no faces must not draw where one is.
        place = (slice(left.region.top, left.region.bottom), slice(left.region.left, left.region.right))
        losses[place][left.mask] = SETTLED
    samples = complete.pasted(picture.samples, patches, context.new)
    return replace(picture, samples=samples, flags=flags, doubt=doubt, losses=losses)


def _place(part: face_rebuild.RebuiltPart | face_rebuild.RefusedPart) -> dict[str, Json]:
    return {
        "name": f"face {part.face + 1}, {part.name}",
        "left": part.region.left,
        "top": part.region.top,
        "width": part.region.width,
        "height": part.region.height,
        "pixels": part.pixels,
    }


def _lost(picture: StoryPicture, drawn: npt.NDArray[np.bool_] | None, losses: bool = True) -> npt.NDArray[np.bool_]:
    """What is to be made up: losses and what a person drew, but for what an earlier step settled."""
    mask = np.zeros(picture.flags.shape, np.bool_) if drawn is None else drawn.copy()
    if picture.losses is not None:
        known = np.asarray(picture.losses)
        if losses:
            mask |= known == LOST
        mask &= known != SETTLED
    return mask


class Complete(StoryStep):
    """Completes what is lost; what it makes up is one of many plausible pictures."""

    name: ClassVar[str] = "complete"
    version: ClassVar[str] = "2"
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
        "faces": {
            "type": "boolean", "default": False,
            "description": "Complete losses on faces, too, and let later steps draw there. Without it faces are looked "
            "for and spared; what a person drew is completed wherever it is.",
        },
    }  # fmt: skip

    def models(self, parameters: Mapping[str, Json]) -> tuple[str, ...]:
        """Those that find the faces to be spared, and the inpainting model, where one is named."""
        spared = () if _faces_too(parameters) else tuple(faces.MODELS.values())
        return (*spared, *([str(parameters["model"])] if parameters["model"] else []))

    def source_type(self, parameters: Mapping[str, Json]) -> str:
        """A trained model where one draws."""
        return "compositeWithTrainedAlgorithmicMedia" if parameters["model"] else self.digital_source_type

    def tell(self, picture: StoryPicture, parameters: Mapping[str, Json], context: StoryContext) -> StoryPicture:
        """Complete the losses of a restoration and the drawn regions, but for what faces lack."""
        height, width = picture.flags.shape
        drawn = _drawn(context, height, width)
        mask = _lost(picture, drawn, bool(parameters["losses"]))
        if not _faces_too(parameters):
            picture, mask = _without_faces(picture, mask, drawn, context)
        if not mask.any():
            context.note({"pixels": 0})
            return picture
        channels = colour_indices(picture.facts.roles)
        if parameters["model"]:
            made = self._by_network(picture, mask, context.networks[str(parameters["model"])], context, channels)
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
                flags[rows] |= (mask[rows] & drawn[rows]) * np.uint8(PixelFlag.HUMAN)
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


def _faces_too(parameters: Mapping[str, Json]) -> bool:
    """Records of the step's version 1 say nothing of faces: none was spared."""
    return bool(parameters.get("faces", True))


def _without_faces(
    picture: StoryPicture,
    mask: npt.NDArray[np.bool_],
    drawn: npt.NDArray[np.bool_] | None,
    context: StoryContext,
) -> tuple[StoryPicture, npt.NDArray[np.bool_]]:
    """The picture with its faces spared, and what is still to be completed: nobody asked for faces."""
    found = face_rebuild.find_hidden_faces(picture.samples, mask, _face_networks(context), **_look(picture))
    context.note({"spared": len(found)})
    if not found:
        return picture, mask
    spared = context.new(mask.shape, np.uint8)
    for face in found:
        face_symmetry.cover(spared, np.array(face.mesh)[:, :2])
    left = mask & (spared == 255)
    if drawn is not None:
        left &= ~drawn
    if left.any():
        context.say("What is lost of a face was left as found: nobody asked for --faces.")
        mask = mask & ~left
    return replace(picture, spared=spared), mask


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
    version: ClassVar[str] = "2"
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
        if not scale and enlarge.fills(height, width, str(parameters["target"])):
            context.note({"height": height, "width": width})
            context.say(f"The picture fills {parameters['target']} already; it was not enlarged.")
            return picture
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
            spared=picture.spared,
            seed=context.seed,
            threads=context.threads,
        )
        if names and picture.spared is not None:
            context.say("Faces were enlarged without drawn detail: nobody asked for --faces.")
        context.note({"agreement_db": round(made.agreement, 2), "height": size[0], "width": size[1]})
        if made.agreement < enlarge.TOLERATED:
            context.say(f"Reduced again, the enlargement agrees with its source by only {made.agreement:.1f} dB.")
        return replace(
            picture,
            facts=replace(picture.facts, width=size[1], height=size[0]),
            samples=made.samples,
            flags=self._flags(picture, size, made.flags, context),
            doubt=enlarge.carry(picture.doubt, size, context.new),
            geometry=_through(picture.geometry, enlarge.geometry(height, width, size)),
            losses=None,
            spared=None,
        )

    @staticmethod
    def _flags(
        picture: StoryPicture, size: tuple[int, int], added: PixelFlag, context: StoryContext
    ) -> npt.NDArray[np.uint8]:
        """The enlarged map: what was spared beyond doubt is not said to be drawn by a model."""
        if picture.spared is None:
            return enlarge.carry(picture.flags, size, context.new, add=int(added))
        before = context.new(picture.flags.shape, np.uint8)
        before[:] = picture.flags
        before[enlarge.sure(picture.spared) == 0] |= np.uint8(added & PixelFlag.SYNTHESIZED)
        return enlarge.carry(before, size, context.new, add=int(added & ~PixelFlag.SYNTHESIZED))


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
    """Gives colours that people said and a model proposes; light and dark stay those of the source."""

    name: ClassVar[str] = "colorize"
    version: ClassVar[str] = "3"
    summary: ClassVar[str] = "Gives the picture colours; light and dark stay the photograph's."
    flags: ClassVar[PixelFlag] = PixelFlag.COLORIZED | PixelFlag.HUMAN
    action: ClassVar[str] = "c2pa.adjustedColor"
    digital_source_type: ClassVar[str] = "humanEdits"
    asks_again: ClassVar[bool] = True
    parameters_schema: ClassVar[Mapping[str, Any]] = {
        "automatic": {
            "type": "boolean", "default": False,
            "description": "Let the model `colour` propose where nobody said anything; it abstains where it is unsure. "
            "Off unless asked: on photographs it had not seen its colours were hardly nearer to the truth than gray.",
        },
        "strength": {
            "type": "number", "minimum": 0, "maximum": 1, "default": 1,
            "description": "How far the palette of an era, a region or a process has its say in what is proposed.",
        },
        "toning": {
            "type": "number", "minimum": 0, "maximum": 1, "default": 1,
            "description": "Share of the colour of a toned print that stays where nothing is known.",
        },
    }  # fmt: skip

    def models(self, parameters: Mapping[str, Json]) -> tuple[str, ...]:
        """The colour network, where it may propose."""
        return (COLOUR_MODEL,) if parameters["automatic"] else ()

    def source_type(self, parameters: Mapping[str, Json]) -> str:
        """A trained model where one proposes; else what people decided."""
        return "compositeWithTrainedAlgorithmicMedia" if parameters["automatic"] else self.digital_source_type

    def tell(self, picture: StoryPicture, parameters: Mapping[str, Json], context: StoryContext) -> StoryPicture:
        """Plan the colours on a reduced picture and paint them at full size."""
        facts, channels = picture.facts, _colourable(picture)
        hints = _hints(context)
        network = context.networks.get(COLOUR_MODEL)
        if not hints and network is None:
            raise UsageError(
                "nobody said what colour anything had", hint='Give --hint "X,Y=COLOUR", or --automatic for proposals'
            )
        recolouring = Recolouring(picture.space, picture.samples.dtype, picture.white)
        inverted = SampleRole.GRAY_INVERTED in facts.roles
        seen = context.kept("lightness", lambda: _reduced(picture, recolouring, channels, inverted))
        plan = colorize.plan_colour(
            np.asarray(seen["lightness"]),
            float(seen["scale"][0]),
            picture.flags.shape,
            hints=hints,
            propose=None if network is None else _proposal(network),
            abstention=None if network is None else _abstention(network),
            near=None if network is None else _near(network),
            palette=_palette(context),
            strength=_number(parameters, "strength"),
            samples=context.samples,
            seed=context.seed,
            suggestions=0,
        )
        for hint in hints:
            context.decided(hint.decision())
        _tell_of_plan(plan, picture.flags.shape, context, bool(network))
        made = colorize.paint(
            plan,
            picture.samples,
            recolouring,
            picture=channels,
            new=context.new,
            inverted=inverted,
            toning=_number(parameters, "toning"),
            threads=context.threads,
        )
        height, width = picture.flags.shape
        flags, doubt = context.new((height, width), np.uint8), context.new((height, width), np.uint8)
        for top in range(0, height, _ROWS):
            rows = slice(top, top + _ROWS)
            flags[rows] = picture.flags[rows] | made.changed[rows] * np.uint8(PixelFlag.COLORIZED)
            flags[rows] |= made.ruled[rows] * np.uint8(PixelFlag.HUMAN)
            doubt[rows] = np.maximum(picture.doubt[rows], made.doubt[rows])
        rest = tuple(role for index, role in enumerate(facts.roles) if index not in channels)
        roles = (SampleRole.RED, SampleRole.GREEN, SampleRole.BLUE, *rest)
        return replace(
            picture,
            facts=replace(facts, samples=len(roles), roles=roles, photometric="rgb"),
            samples=made.samples,
            alternatives=made.alternatives,
            flags=flags,
            doubt=doubt,
        )


def _colourable(picture: StoryPicture) -> tuple[int, ...]:
    channels = colour_indices(picture.facts.roles)
    if len(channels) not in (1, 3):
        raise PictureUnreadable("the picture is neither gray nor RGB and cannot be colorized")
    return channels


def _hints(context: StoryContext) -> tuple[ColourHint, ...]:
    document: Any = context.documents.get("hints")
    return hints_of(document) if document else ()


def _palette(context: StoryContext) -> Palette | None:
    document: Any = context.documents.get("palette")
    if not document:
        return None
    context.note({"palette": str(document["id"])})
    context.say(
        f"The palette {document['title']!r} had a say in what was proposed: a prior, not evidence. "
        f"What it rests on: {rests_on(document)}."
    )
    return Palette(document)


def _reduced(
    picture: StoryPicture, recolouring: Recolouring, channels: tuple[int, ...], inverted: bool
) -> Mapping[str, Samples]:
    light, scale = colorize.reduced_lightness(picture.samples, recolouring, picture=channels, inverted=inverted)
    return {"lightness": light, "scale": np.array([scale])}


def _proposal(network: Network) -> colorize.Propose:
    given, told = network.card.input, [group.meaning for group in network.card.output.planes]
    way = colorize.belonging_proposal if "belonging" in told else colorize.network_proposal
    return way(network.predict, multiple=given.size_multiple, least=given.minimum_size)


def _abstention(network: Network) -> tuple[float, float] | None:
    """Confidence up to which a proposal is left out, and from which it is wholly taken, as the card says."""
    said = network.card.calibration.get("abstention")
    if not isinstance(said, Mapping):
        return None
    return float(str(said["none"])), float(str(said["full"]))


def _near(network: Network) -> float | None:
    """Distance from the truth of which the card says that confidence is the chance."""
    said = network.card.calibration.get("near")
    return float(said) if isinstance(said, int | float) else None


def _tell_of_plan(plan: colorize.ColourPlan, size: tuple[int, ...], context: StoryContext, automatic: bool) -> None:
    """What the plan found, and what whoever shows the picture should know of it."""
    context.note({"abstained": round(plan.abstained, 4), "hints": len(plan.hints)})
    unsure = float((plan.known < UNSURE).mean())
    if plan.abstained >= MOSTLY or (automatic and unsure >= MOSTLY):
        found = suggest(Seen(plan.lightness), plan.known, plan.scale, count=3)
        context.note({"suggestions": tuple({**asdict(one), "share": round(one.share, 4)} for one in found)})
        places = " or ".join(f"{one.x:.0f},{one.y:.0f}" for one in found)
        rows, columns = size[:2]
        better = f" A hint at {places} of these {columns}×{rows} pixels would tell most." if places else ""
        said = f"Nothing is known of the colours of {plan.abstained:.0%} of the picture; they were left."
        if plan.abstained < MOSTLY:
            said = f"The model is not sure of {unsure:.0%} of the picture; what it proposes there is a faint guess."
        context.say(said + better)
    if automatic:
        context.say(
            "Colours that nobody said were proposed by a model: they are no evidence of what anything looked like."
        )
