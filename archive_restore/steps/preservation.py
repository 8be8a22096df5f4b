"""The built-in steps of a restoration.

Each says beforehand which flags it may set; a pixel it does not flag leaves with its samples bit for bit.
No step here resamples, colorizes or invents content in a large loss; trained models only where a step says so.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from archive_restore.errors import ModelUnusable, RecipeInvalid
from archive_restore.imaging import (
    damage,
    damage_network,
    denoise_network,
    face_features,
    faces,
    fill_network,
    infrared,
    inpaint,
    losses,
    network_frames,
    tone,
)
from archive_restore.imaging.planes import colour_indices, luma
from archive_restore.ports import Network, Overview, PreservationStep, PreservationTile
from archive_restore.records.imagery import DamageClass, PixelFlag, SampleRole
from archive_restore.records.provenance import Json

NETWORK = "network"
"""Value of `method`: a trained model, shipped in models/."""
SHAPES = "shapes"
"""Value of `detect_damage.method`: no model."""
BOTH = "both"
"""Value of `detect_damage.method`: a trained model and shape and contrast."""
DAMAGE_MODEL = "damage"
"""Name of the model that detect_damage runs."""
FILL_MODEL = "fill"
"""Name of the model that fill runs."""
DENOISE_MODEL = "denoise"
"""Name of the model that denoise runs."""
_WIDTH = 12  # widest damage that is filled from its surroundings unless a recipe says otherwise


class DetectDamage(PreservationStep):
    """Finds scratches, hairs, creases and dust of both polarities; changes no pixel."""

    name: ClassVar[str] = "detect_damage"
    version: ClassVar[str] = "5"
    summary: ClassVar[str] = "Finds scratches, hairs, creases and dust, in light and dark."
    flags: ClassVar[PixelFlag] = PixelFlag.ORIGINAL
    action: ClassVar[str] = "org.archive-restore.examined"
    digital_source_type: ClassVar[str] = ""
    parameters_schema: ClassVar[Mapping[str, Any]] = {
        "method": {
            "enum": [SHAPES, NETWORK, BOTH], "default": SHAPES,
            "description": "shapes weighs shape and contrast, without a model; network asks the model `damage`; "
            "both adds up what they say.",
        },
        "threshold": {
            "type": "number", "minimum": 0, "maximum": 0.95, "default": 0,
            "description": "Least probability of damage; lower finds more and errs more; 0 takes the method's own.",
        },
        "bright": {"type": "boolean", "default": True, "description": "Look for damage lighter than the picture."},
        "dark": {"type": "boolean", "default": True, "description": "Look for damage darker than the picture."},
        "lines": {"type": "boolean", "default": True, "description": "Keep scratches, hairs and creases."},
        "spots": {"type": "boolean", "default": True, "description": "Keep dust and other small spots."},
        "spare_faces": {
            "type": "boolean", "default": True,
            "description": "Where a model looks for damage, find faces with others, and ask for more before a mark on "
            "brows, eyes, nostrils or lips counts as damage.",
        },
        "long_dark": {
            "enum": ["leave", "mark"], "default": "leave",
            "description": "Where a model looks for damage, leave long dark lines to a person, since most are stays, "
            "wires and seams; or mark them like all others.",
        },
        "long_light": {
            "enum": ["weigh", "leave", "mark"], "default": "weigh",
            "description": "weigh, with method both: leave a long light line to a person where it goes on as plainly "
            "and unmarked, as a pole or a road does; leave: all of them, as long dark ones; or mark them.",
        },
        "infrared": {
            "enum": ["auto", "off"], "default": "auto",
            "description": "Use the scanner's infrared channel where the master has one that shows dust, not picture.",
        },
    }  # fmt: skip

    def __init__(self) -> None:
        self._network: Network | None = None
        self._faces: faces.FaceNetworks | None = None

    def models(self, parameters: Mapping[str, Json]) -> tuple[str, ...]:
        """The damage network where it is asked for, and with it those that find faces to be spared."""
        if parameters["method"] == SHAPES:
            return ()
        # A derivation of version 2 knew no such parameter, and spared nothing.
        return (DAMAGE_MODEL, *(faces.MODELS.values() if parameters.get("spare_faces", False) else ()))

    def equip(self, networks: Mapping[str, Network]) -> PreservationStep:
        """A copy that holds the networks."""
        equipped = copy.copy(self)
        equipped._network = networks.get(DAMAGE_MODEL)
        if all(name in networks for name in faces.MODELS.values()):
            equipped._faces = faces.FaceNetworks(
                **{part: networks[name].predict for part, name in faces.MODELS.items()}
            )
        return equipped

    def halo(self, parameters: Mapping[str, Json]) -> int:
        """Pixels the detector looks around itself."""
        spares = self._faces is not None
        if self._network is None:
            return max(damage.HALO, infrared.HALO)
        leaves, light = _leaves_long(parameters), _long_light(parameters)
        asked = damage_network.halo(_cells(self._network), spares=spares, leave_long=leaves, long_light=light)
        around = damage_network.margin(spares=spares, leave_long=leaves, long_light=light)
        weighed = 0 if parameters["method"] == NETWORK else damage.HALO + around
        return max(asked, weighed, infrared.HALO)

    def survey(self, overview: Overview, parameters: Mapping[str, Json]) -> Mapping[str, Json]:
        """Grain, black and white of the picture, features of its faces, whether its infrared channel can be used."""
        roles, white = overview.facts.roles, overview.white
        reduced = luma(overview.reduced, roles, white)
        found: dict[str, Json] = {
            "white_code": white,
            **asdict(damage.survey(reduced, [luma(crop, roles, white) for crop in overview.samples])),
        }
        wanted = _number(parameters["threshold"])
        if self._network is None:
            found["threshold"] = wanted or damage.DamageParameters().threshold
        else:
            both = parameters["method"] == BOTH
            found["threshold"] = wanted or _calibrated(self._network, "both" if both else "thin", "threshold")
            if both:
                found["fusion"] = {
                    name: _calibrated(self._network, "both", name) for name in ("network", "shapes", "offset")
                }
        if self._faces is not None:
            seen_faces = faces.find_faces(np.clip(reduced, 0, 1), self._faces)
            known = face_features.features_of(seen_faces, overview.scale)
            found["faces"] = tuple(asdict(feature) for feature in known)
        if parameters["infrared"] == "auto" and SampleRole.INFRARED in roles:
            channel = roles.index(SampleRole.INFRARED)
            seen = infrared.survey_infrared(
                *_infrared_and_red(overview.reduced, roles, channel, white),
                [_infrared_and_red(crop, roles, channel, white) for crop in overview.samples],
            )
            found["infrared"] = {"channel": channel, **asdict(seen)}
        return found

    def apply(
        self, tile: PreservationTile, parameters: Mapping[str, Json], survey: Mapping[str, Json], seed: int
    ) -> PreservationTile:
        """Write damage classes; samples and flags pass through untouched."""
        plane = luma(tile.samples, tile.facts.roles, _number(survey["white_code"]))
        chosen = damage.DamageParameters(
            threshold=_number(survey["threshold"]),
            bright=bool(parameters["bright"]),
            dark=bool(parameters["dark"]),
            lines=bool(parameters["lines"]),
            spots=bool(parameters["spots"]),
        )
        searched = self._search(
            plane, tile, chosen, survey, leave_long=_leaves_long(parameters), long_light=_long_light(parameters)
        )
        codes, probability = searched.codes, searched.probability
        record = survey.get("infrared")
        if isinstance(record, Mapping):
            found = infrared.InfraredSurvey(
                usable=bool(record["usable"]),
                reason=str(record["reason"]),
                **{name: _number(record[name]) for name in ("slope", "correlation", "offset", "noise")},
            )
            pair = _infrared_and_red(
                tile.samples, tile.facts.roles, int(_number(record["channel"])), _number(survey["white_code"])
            )
            shown = infrared.detect_infrared(*pair, infrared.InfraredParameters(), found)
            codes = np.where(shown, np.uint8(DamageClass.INFRARED), codes)
            probability = np.where(shown, np.uint8(255), probability)
        return replace(
            tile,
            damage=np.where(tile.damage != DamageClass.SOUND, tile.damage, codes),
            probability=np.maximum(tile.probability, probability),
        )

    def _search(
        self,
        plane: npt.NDArray[np.float32],
        tile: PreservationTile,
        chosen: damage.DamageParameters,
        survey: Mapping[str, Json],
        *,
        leave_long: bool,
        long_light: damage_network.LongLight,
    ) -> damage.Found:
        network, fusion = self._network, survey.get("fusion")
        needed, shapes, spared = tile.needed.within(tile.region), None, _spared(tile, survey)
        if network is None or isinstance(fusion, Mapping):
            seen = damage.DamageSurvey(
                white=_number(survey["white"]), black=_number(survey["black"]), noise=_number(survey["noise"])
            )
            if network is None:
                return damage.search(plane, chosen, seen)
            assert isinstance(fusion, Mapping)
            added = damage_network.Fusion(**{name: _number(value) for name, value in fusion.items()})
            # The halo has room for faces; without one the edge of it need not be weighed.
            around = damage.HALO + damage_network.margin(
                spares=spared is not None, leave_long=leave_long, long_light=long_light
            )
            part = network_frames.wider(needed, around, plane.shape)
            least = damage.DamageParameters(threshold=damage_network.SHAPES_FROM)
            weighed = np.zeros(plane.shape, np.uint8)
            weighed[part] = damage.search(plane[part], least, seen).probability
            shapes = (weighed, added)
        return damage_network.search(
            plane,
            network.predict,
            _damage_planes(network),
            chosen,
            _number(survey["threshold"]),
            _place(tile),
            needed,
            _cells(network),
            shapes,
            spared,
            leave_long=leave_long,
            long_light=long_light,
        )


class Fill(PreservationStep):
    """Fills thin damage; what is too wide becomes LOSS and stays as found."""

    name: ClassVar[str] = "fill"
    version: ClassVar[str] = "2"
    summary: ClassVar[str] = "Fills thin damage from what lies around it; wider damage is marked as loss and left."
    flags: ClassVar[PixelFlag] = PixelFlag.INTERPOLATED | PixelFlag.SYNTHESIZED | PixelFlag.HUMAN
    action: ClassVar[str] = "c2pa.edited"
    digital_source_type: ClassVar[str] = "algorithmicallyEnhanced"
    parameters_schema: ClassVar[Mapping[str, Any]] = {
        "method": {
            "enum": ["surroundings", NETWORK], "default": "surroundings",
            "description": "surroundings interpolates, without a trained model; network asks the model `fill`.",
        },
        "max_width": {
            "type": "integer", "minimum": 0, "maximum": fill_network.WIDEST, "default": 0,
            "description": "Widest damage to fill, pixels; what is wider stays as found. 0 takes the method's own: "
            f"{_WIDTH} from the surroundings, which reach to {inpaint.WIDEST}; {fill_network.WIDEST} with the network.",
        },
        "grain": {
            "type": "number", "minimum": 0, "maximum": 1, "default": 0.35,
            "description": "0 fills with the most probable value, 1 with the full grain of its surroundings.",
        },
        "rim": {
            "type": "integer", "minimum": 0, "maximum": 4, "default": inpaint.RIM,
            "description": "Pixels around detected damage that its blur has stained and that are filled with it.",
        },
    }  # fmt: skip

    def __init__(self) -> None:
        self._network: Network | None = None

    def models(self, parameters: Mapping[str, Json]) -> tuple[str, ...]:
        """The fill network where it is asked for."""
        return (FILL_MODEL,) if parameters["method"] == NETWORK else ()

    def equip(self, networks: Mapping[str, Network]) -> PreservationStep:
        """A copy that holds the fill network."""
        equipped = copy.copy(self)
        equipped._network = networks.get(FILL_MODEL)
        return equipped

    def source_type(self, parameters: Mapping[str, Json]) -> str:
        """What a trained model made is said to be made by one."""
        if parameters["method"] == NETWORK:
            return "compositeWithTrainedAlgorithmicMedia"
        return self.digital_source_type

    def halo(self, parameters: Mapping[str, Json]) -> int:
        """Reach of the fill, and of telling thin damage from wide."""
        reach = inpaint.HALO if self._network is None else network_frames.reach(_cells(self._network))
        return max(reach, inpaint.width_reach(self._width(parameters))) + int(_number(parameters["rim"]))

    def _width(self, parameters: Mapping[str, Json]) -> int:
        own = fill_network.WIDEST if self._network is not None else _WIDTH
        return int(_number(parameters["max_width"])) or own

    def survey(self, overview: Overview, parameters: Mapping[str, Json]) -> Mapping[str, Json]:
        """The code value of white; how coarse the grain is."""
        width = self._width(parameters)
        found: dict[str, Json] = {"white_code": overview.white, "max_width": width}
        if self._network is not None:
            roles, white = overview.facts.roles, overview.white
            crops = [luma(crop, roles, white) for crop in overview.samples]
            found["grain"] = asdict(fill_network.survey_grain(crops))
        elif width > inpaint.WIDEST:
            raise RecipeInvalid(
                f"step 'fill': from the surroundings alone no damage of {width} pixels can be filled",
                hint=f"Set fill.max_width to {inpaint.WIDEST} or less, or fill.method to network",
            )
        return found

    def apply(
        self, tile: PreservationTile, parameters: Mapping[str, Json], survey: Mapping[str, Json], seed: int
    ) -> PreservationTile:
        """Change only what is marked, and flag all that was changed."""
        marked = tile.damage != DamageClass.SOUND
        if not marked.any():
            return tile
        by_hand = tile.damage == DamageClass.HUMAN
        wanted = inpaint.with_rim(marked, int(_number(parameters["rim"])))
        thin, loss = inpaint.split_by_width(wanted, int(_number(survey["max_width"])))
        channels = list(colour_indices(tile.facts.roles))
        made = self._complete(
            tile, np.ascontiguousarray(tile.samples[:, :, channels]), thin, loss, parameters, survey, seed
        )
        done = made.done
        samples = tile.samples.copy()
        for position, channel in enumerate(channels):
            samples[:, :, channel][done] = made.samples[:, :, position][done]
        doubt = tile.doubt.copy()
        # At least one step, so that the plane shows where there is something to doubt.
        doubt[done] = np.clip(np.rint(made.error[done] * 255), 1, 255).astype(np.uint8)
        flags = tile.flags.copy()
        by = PixelFlag.INTERPOLATED if self._network is None else PixelFlag.SYNTHESIZED
        flags[done] |= np.uint8(by)
        flags[done & by_hand] |= np.uint8(PixelFlag.HUMAN)
        codes = np.where(loss & marked, np.uint8(DamageClass.LOSS), tile.damage)
        return replace(tile, samples=samples, flags=flags, damage=codes, doubt=doubt)

    def _complete(
        self,
        tile: PreservationTile,
        samples: npt.NDArray[Any],
        thin: npt.NDArray[np.bool_],
        loss: npt.NDArray[np.bool_],
        parameters: Mapping[str, Json],
        survey: Mapping[str, Json],
        seed: int,
    ) -> inpaint.Filled:
        needed, white = tile.needed.within(tile.region), _number(survey["white_code"])
        strength, network = _number(parameters["grain"]), self._network
        if network is None:
            return inpaint.complete(
                samples, thin, unsound=loss, needed=needed, grain=strength, seed=seed,
                origin=(tile.region.top, tile.region.left), white=white,
            )  # fmt: skip
        grain = survey["grain"]
        assert isinstance(grain, Mapping)
        return fill_network.complete(
            samples, thin, network.predict, _cells(network), _place(tile),
            grain=fill_network.Grain(blur=_number(grain["blur"])), unsound=loss, needed=needed, strength=strength,
            seed=seed, white=white, inverted=SampleRole.GRAY_INVERTED in tile.facts.roles,
        )  # fmt: skip


class Losses(PreservationStep):
    """Treats what is too wide to fill: left as found, or given an infill nobody takes for picture."""

    name: ClassVar[str] = "losses"
    version: ClassVar[str] = "1"
    summary: ClassVar[str] = "Leaves large losses as found, or gives them a plainly visible neutral tone or hatching."
    flags: ClassVar[PixelFlag] = PixelFlag.INTERPOLATED | PixelFlag.HUMAN
    action: ClassVar[str] = "c2pa.edited"
    digital_source_type: ClassVar[str] = "algorithmicallyEnhanced"
    parameters_schema: ClassVar[Mapping[str, Any]] = {
        "treatment": {
            "enum": ["as-found", "neutral", "tratteggio"], "default": "as-found",
            "description": "as-found changes nothing; neutral is a flat tone; tratteggio is a conservator's hatching.",
        },
    }  # fmt: skip

    def halo(self, parameters: Mapping[str, Json]) -> int:
        """Reach of the infill's tone."""
        return 0 if parameters["treatment"] == "as-found" else losses.HALO

    def survey(self, overview: Overview, parameters: Mapping[str, Json]) -> Mapping[str, Json]:
        """The picture's mean tone, for the middle of losses wider than the reach."""
        channels = list(colour_indices(overview.facts.roles))
        tone_of = losses.mean_tone((overview.reduced[:, :, channels] / overview.white).astype(np.float32))
        return {"white_code": overview.white, "tone": tone_of}

    def apply(
        self, tile: PreservationTile, parameters: Mapping[str, Json], survey: Mapping[str, Json], seed: int
    ) -> PreservationTile:
        """Change only what is marked LOSS."""
        lost = tile.damage == DamageClass.LOSS
        if parameters["treatment"] == "as-found" or not lost.any():
            return tile
        channels = list(colour_indices(tile.facts.roles))
        mean = survey["tone"]
        assert isinstance(mean, tuple | list)
        made = losses.infill(
            np.ascontiguousarray(tile.samples[:, :, channels]),
            lost,
            (tile.damage != DamageClass.SOUND) & (tile.flags == 0),
            losses.Infill(str(parameters["treatment"])),
            [_number(value) for value in mean],
            seed=seed,
            origin=(tile.region.top, tile.region.left),
            white=_number(survey["white_code"]),
        )
        samples, flags = tile.samples.copy(), tile.flags.copy()
        for position, channel in enumerate(channels):
            samples[:, :, channel][lost] = made[:, :, position][lost]
        flags[lost] |= np.uint8(PixelFlag.INTERPOLATED)
        # Nobody knows what was there.
        doubt = np.where(lost, np.uint8(255), tile.doubt)
        return replace(tile, samples=samples, flags=flags, doubt=doubt)


class Denoise(PreservationStep):
    """Takes a share of grain and noise away with a trained model; in no built-in recipe but `denoised`."""

    name: ClassVar[str] = "denoise"
    version: ClassVar[str] = "1"
    summary: ClassVar[str] = "Takes a share of grain and noise away with a trained model, and flags what it changes."
    flags: ClassVar[PixelFlag] = PixelFlag.SYNTHESIZED
    action: ClassVar[str] = "c2pa.filtered"
    digital_source_type: ClassVar[str] = "compositeWithTrainedAlgorithmicMedia"
    parameters_schema: ClassVar[Mapping[str, Any]] = {
        "strength": {
            "type": "number", "minimum": 0, "maximum": 1, "default": 0.5,
            "description": "Share of what the model calls noise that goes; 1 is smoothest and may take fine texture.",
        },
    }  # fmt: skip

    def __init__(self) -> None:
        self._network: Network | None = None

    def models(self, parameters: Mapping[str, Json]) -> tuple[str, ...]:
        """The model, unless nothing is to be done."""
        return (DENOISE_MODEL,) if _number(parameters["strength"]) > 0 else ()

    def equip(self, networks: Mapping[str, Network]) -> PreservationStep:
        """A copy that holds the network."""
        equipped = copy.copy(self)
        equipped._network = networks.get(DENOISE_MODEL)
        return equipped

    def halo(self, parameters: Mapping[str, Json]) -> int:
        """Pixels the network looks around itself."""
        return 0 if self._network is None else network_frames.reach(_cells(self._network))

    def survey(self, overview: Overview, parameters: Mapping[str, Json]) -> Mapping[str, Json]:
        """The code value of white."""
        return {"white_code": overview.white}

    def apply(
        self, tile: PreservationTile, parameters: Mapping[str, Json], survey: Mapping[str, Json], seed: int
    ) -> PreservationTile:
        """Change what the model calls noise, but no loss, which stays as found; flag every pixel that changed."""
        network = self._network
        if network is None:
            return tile
        channels = list(colour_indices(tile.facts.roles))
        made = denoise_network.clean(
            np.ascontiguousarray(tile.samples[:, :, channels]),
            network.predict,
            _cells(network),
            _place(tile),
            tile.needed.within(tile.region),
            strength=_number(parameters["strength"]),
            keep=tile.damage == DamageClass.LOSS,
            white=_number(survey["white_code"]),
            inverted=SampleRole.GRAY_INVERTED in tile.facts.roles,
        )
        samples, flags = tile.samples.copy(), tile.flags.copy()
        samples[:, :, channels] = made
        changed = samples != tile.samples
        if samples.dtype.kind == "f":
            changed &= ~(np.isnan(samples) & np.isnan(tile.samples))
        flags[changed.any(axis=2)] |= np.uint8(PixelFlag.SYNTHESIZED)
        return replace(tile, samples=samples, flags=flags)


class Tone(PreservationStep):
    """A recorded curve against fading and uneven illumination; every pixel it changes is ADJUSTED."""

    name: ClassVar[str] = "tone"
    version: ClassVar[str] = "1"
    summary: ClassVar[str] = "A recorded curve against fading and a recorded field against uneven illumination."
    flags: ClassVar[PixelFlag] = PixelFlag.ADJUSTED
    action: ClassVar[str] = "c2pa.adjustedColor"
    digital_source_type: ClassVar[str] = "algorithmicallyEnhanced"
    parameters_schema: ClassVar[Mapping[str, Any]] = {
        "fading": {
            "type": "number", "minimum": 0, "maximum": 1, "default": 1.0,
            "description": "Share of the found contrast stretch that is applied.",
        },
        "illumination": {
            "type": "number", "minimum": 0, "maximum": 1, "default": 0.0,
            "description": "Share of the found evening-out of light that is applied; a sky is easily mistaken for it.",
        },
    }  # fmt: skip

    def halo(self, parameters: Mapping[str, Json]) -> int:
        """A curve needs no neighbours."""
        return 0

    def survey(self, overview: Overview, parameters: Mapping[str, Json]) -> Mapping[str, Json]:
        """The curve and the field of gains."""
        chosen = tone.ToneParameters(
            fading=_number(parameters["fading"]), illumination=_number(parameters["illumination"])
        )
        seen = tone.survey_tone(luma(overview.reduced, overview.facts.roles, overview.white), chosen)
        return {"white_code": overview.white, "curve": seen.curve, "gains": seen.gains}

    def apply(
        self, tile: PreservationTile, parameters: Mapping[str, Json], survey: Mapping[str, Json], seed: int
    ) -> PreservationTile:
        """Lay curve and field over the picture's samples; flag every pixel that changed."""
        seen = tone.ToneSurvey(curve=_points(survey["curve"]), gains=_points(survey["gains"]))  # type: ignore[arg-type]
        if seen.identity:
            return tile
        facts, white = tile.facts, _number(survey["white_code"])
        channels = list(colour_indices(facts.roles))
        chosen = np.ascontiguousarray(tile.samples[:, :, channels])
        # The curve is one of lightness; where 0 is white, it is laid over the complement.
        inverted = SampleRole.GRAY_INVERTED in facts.roles
        if inverted:
            chosen = (white - chosen).astype(chosen.dtype)
        made = tone.apply_tone(
            chosen,
            seen,
            origin=(tile.region.top, tile.region.left),
            frame=(facts.height, facts.width),
            white=white,
        )
        if inverted:
            made = (white - made).astype(chosen.dtype)
        samples, flags = tile.samples.copy(), tile.flags.copy()
        samples[:, :, channels] = made
        flags[(samples != tile.samples).any(axis=2)] |= np.uint8(PixelFlag.ADJUSTED)
        return replace(tile, samples=samples, flags=flags)


def _leaves_long(parameters: Mapping[str, Json]) -> bool:
    """Whether long dark lines are left to a person; a derivation of version 3 knew no such parameter, and left none."""
    return parameters.get("long_dark", "mark") == "leave"


def _long_light(parameters: Mapping[str, Json]) -> damage_network.LongLight:
    """What becomes of long light lines; a derivation of version 4 knew no such parameter, and marked them.

    The network alone marks so many pieces of true scratches that to weigh them would lose more than it saves.
    """
    chosen = damage_network.LongLight(parameters.get("long_light", "mark"))
    if chosen is damage_network.LongLight.WEIGH and parameters["method"] == NETWORK:
        return damage_network.LongLight.MARK
    return chosen


def _spared(tile: PreservationTile, survey: Mapping[str, Json]) -> damage_network.Spared | None:
    """Where the tile shows features of faces that the survey found; None where there are none."""
    known, place = _features(survey.get("faces", ())), tile.region
    every = face_features.mask(known, place.top, place.left, place.height, place.width)
    if not every.any():
        return None
    eyes = [feature for feature in known if feature.name in face_features.EYES]
    return damage_network.Spared(
        features=every, eyes=face_features.mask(eyes, place.top, place.left, place.height, place.width)
    )


def _features(record: Json) -> list[face_features.Feature]:
    assert isinstance(record, tuple)
    return [
        face_features.Feature(
            name=str(entry["name"]),
            points=tuple((int(x), int(y)) for x, y in _points(entry["points"])),
            widened=int(_number(entry["widened"])),
        )
        for entry in record
        if isinstance(entry, Mapping)
    ]


def _cells(network: Network) -> network_frames.Cells:
    return network_frames.Cells(multiple=network.card.input.size_multiple, halo=network.card.input.halo)


def _place(tile: PreservationTile) -> network_frames.Place:
    return network_frames.Place(
        top=tile.region.top, left=tile.region.left, height=tile.facts.height, width=tile.facts.width
    )


def _damage_planes(network: Network) -> tuple[int, ...]:
    names = [group.meaning for group in network.card.output.planes]
    try:
        return damage_network.planes_of(names)
    except KeyError as exc:
        raise ModelUnusable(f"the model {network.card.name!r} has no plane {exc.args[0]!r}") from exc


def _calibrated(network: Network, name: str, number: str) -> float:
    """A number of a class, or of `both`, as the card's calibration states it."""
    classes = network.card.calibration.get("classes")
    entry = classes.get(name) if isinstance(classes, Mapping) else None
    found = entry.get(number) if isinstance(entry, Mapping) else None
    if not isinstance(found, int | float):
        raise ModelUnusable(f"the card of the model {network.card.name!r} states no {number} of {name!r}")
    return float(found)


def _number(value: Json) -> float:
    assert isinstance(value, int | float)
    return float(value)


def _points(value: Json) -> tuple[tuple[float, ...], ...]:
    assert isinstance(value, tuple | list)
    return tuple(tuple(_number(number) for number in row) for row in value if isinstance(row, tuple | list))


def _infrared_and_red(
    samples: npt.NDArray[Any], roles: Sequence[SampleRole], channel: int, white: float
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Both planes as float32 (h, w) in [0, 1]; luma stands for red in a gray picture."""
    infrared_plane = samples[:, :, channel].astype(np.float32) / np.float32(white)
    if SampleRole.RED not in roles:
        return infrared_plane, luma(samples, roles, white)
    return infrared_plane, samples[:, :, roles.index(SampleRole.RED)].astype(np.float32) / np.float32(white)
