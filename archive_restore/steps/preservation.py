"""The built-in steps of a restoration.

Each says beforehand which flags it may set; a pixel it does not flag leaves with its samples bit for bit.
No step here uses a trained model, resamples, colorizes or invents content in a large loss.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from archive_restore.imaging import damage, infrared, inpaint, losses, tone
from archive_restore.imaging.planes import colour_indices, luma
from archive_restore.ports import Overview, PreservationStep, PreservationTile
from archive_restore.records.imagery import DamageClass, PixelFlag, SampleRole
from archive_restore.records.provenance import Json


class DetectDamage(PreservationStep):
    """Finds scratches, hairs, creases and dust of both polarities; changes no pixel."""

    name: ClassVar[str] = "detect_damage"
    version: ClassVar[str] = "1"
    summary: ClassVar[str] = "Finds scratches, hairs, creases and dust, in light and dark, by shape and contrast."
    flags: ClassVar[PixelFlag] = PixelFlag.ORIGINAL
    action: ClassVar[str] = "org.archive-restore.examined"
    digital_source_type: ClassVar[str] = ""
    parameters_schema: ClassVar[Mapping[str, Any]] = {
        "threshold": {
            "type": "number", "minimum": 0.05, "maximum": 0.95, "default": damage.DamageParameters().threshold,
            "description": "Least probability of damage; lower finds more and errs more.",
        },
        "bright": {"type": "boolean", "default": True, "description": "Look for damage lighter than the picture."},
        "dark": {"type": "boolean", "default": True, "description": "Look for damage darker than the picture."},
        "lines": {"type": "boolean", "default": True, "description": "Keep scratches, hairs and creases."},
        "spots": {"type": "boolean", "default": True, "description": "Keep dust and other small spots."},
        "infrared": {
            "enum": ["auto", "off"], "default": "auto",
            "description": "Use the scanner's infrared channel where the master has one that shows dust, not picture.",
        },
    }  # fmt: skip

    def halo(self, parameters: Mapping[str, Json]) -> int:
        """Pixels the detector looks around itself."""
        return max(damage.HALO, infrared.HALO)

    def survey(self, overview: Overview, parameters: Mapping[str, Json]) -> Mapping[str, Json]:
        """Grain, black and white of the picture, and whether its infrared channel can be used."""
        roles, white = overview.facts.roles, overview.white
        reduced = luma(overview.reduced, roles, white)
        found: dict[str, Json] = {
            "white_code": white,
            **asdict(damage.survey(reduced, [luma(crop, roles, white) for crop in overview.samples])),
        }
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
            threshold=_number(parameters["threshold"]),
            bright=bool(parameters["bright"]),
            dark=bool(parameters["dark"]),
            lines=bool(parameters["lines"]),
            spots=bool(parameters["spots"]),
        )
        seen = damage.DamageSurvey(
            white=_number(survey["white"]), black=_number(survey["black"]), noise=_number(survey["noise"])
        )
        searched = damage.search(plane, chosen, seen)
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


class Fill(PreservationStep):
    """Fills thin damage from its surroundings; what is too wide becomes LOSS and stays as found."""

    name: ClassVar[str] = "fill"
    version: ClassVar[str] = "1"
    summary: ClassVar[str] = "Fills thin damage from the pixels around it; wider damage is marked as loss and left."
    flags: ClassVar[PixelFlag] = PixelFlag.INTERPOLATED | PixelFlag.HUMAN
    action: ClassVar[str] = "c2pa.edited"
    digital_source_type: ClassVar[str] = "algorithmicallyEnhanced"
    parameters_schema: ClassVar[Mapping[str, Any]] = {
        "max_width": {
            "type": "integer", "minimum": 1, "maximum": inpaint.WIDEST, "default": 12,
            "description": "Widest damage to fill, pixels; what is wider stays as found.",
        },
        "grain": {
            "type": "number", "minimum": 0, "maximum": 1, "default": 0.35,
            "description": "0 fills with the most probable value, 1 with the full grain of a similar place.",
        },
        "rim": {
            "type": "integer", "minimum": 0, "maximum": 4, "default": inpaint.RIM,
            "description": "Pixels around detected damage that its blur has stained and that are filled with it.",
        },
    }  # fmt: skip

    def halo(self, parameters: Mapping[str, Json]) -> int:
        """Reach of the fill."""
        return inpaint.HALO + int(_number(parameters["rim"]))

    def survey(self, overview: Overview, parameters: Mapping[str, Json]) -> Mapping[str, Json]:
        """Only the code value of white."""
        return {"white_code": overview.white}

    def apply(
        self, tile: PreservationTile, parameters: Mapping[str, Json], survey: Mapping[str, Json], seed: int
    ) -> PreservationTile:
        """Change only what is marked, and flag all that was changed."""
        marked = tile.damage != DamageClass.SOUND
        if not marked.any():
            return tile
        by_hand = tile.damage == DamageClass.HUMAN
        wanted = inpaint.with_rim(marked, int(_number(parameters["rim"])))
        thin, loss = inpaint.split_by_width(wanted, int(_number(parameters["max_width"])))
        channels = list(colour_indices(tile.facts.roles))
        made = inpaint.complete(
            np.ascontiguousarray(tile.samples[:, :, channels]),
            thin,
            unsound=loss,
            needed=tile.needed.within(tile.region),
            grain=_number(parameters["grain"]),
            seed=seed,
            origin=(tile.region.top, tile.region.left),
            white=_number(survey["white_code"]),
        )
        done = made.done
        samples = tile.samples.copy()
        for position, channel in enumerate(channels):
            samples[:, :, channel][done] = made.samples[:, :, position][done]
        doubt = tile.doubt.copy()
        # At least one step, so that the plane shows where there is something to doubt.
        doubt[done] = np.clip(np.rint(made.error[done] * 255), 1, 255).astype(np.uint8)
        flags = tile.flags.copy()
        flags[done] |= np.uint8(PixelFlag.INTERPOLATED)
        flags[done & by_hand] |= np.uint8(PixelFlag.HUMAN)
        codes = np.where(loss & marked, np.uint8(DamageClass.LOSS), tile.damage)
        return replace(tile, samples=samples, flags=flags, damage=codes, doubt=doubt)


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
