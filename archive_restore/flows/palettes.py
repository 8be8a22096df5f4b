"""Palettes and hints: made from reference photographs, and asked for where they would tell most."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from archive_restore.core.hints_document import hints_of
from archive_restore.core.refs import AnyRef
from archive_restore.errors import PictureUnreadable, SourceUnreadable
from archive_restore.flows.story_render import load_source
from archive_restore.imaging import colorize, engine
from archive_restore.imaging.colour import Recolouring, lab_from_linear, srgb_from_lab
from archive_restore.imaging.hints import Suggestion
from archive_restore.imaging.palettes import palette_from
from archive_restore.imaging.planes import colour_indices
from archive_restore.ports import Archive, PictureSource
from archive_restore.records.imagery import Region, SampleRole

PICTURES = frozenset({".tif", ".tiff", ".jpg", ".jpeg", ".png", ".jp2"})
"""Suffixes of reference photographs."""
_LONGEST = 320  # pixels of the longest edge to which a reference photograph is reduced


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a new palette is called, and what it stands for."""

    identifier: str
    title: str
    years: tuple[int, int]
    regions: tuple[str, ...]
    """ISO 3166-1 alpha-2 codes, or `*`."""
    process: str
    citations: tuple[str, ...]
    """Where the reference photographs come from."""


def measure_palette(archive: Archive, folder: Path, wanted: Wanted) -> Mapping[str, Any]:
    """A palette measured on the colour photographs of a folder; raise SourceUnreadable, UsageError."""
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in PICTURES and path.is_file())
    taken = f"Colours of {len(files)} photographs in {folder.name}."
    return palette_from(
        _shown(archive, files),
        identifier=wanted.identifier,
        title=wanted.title,
        years=wanted.years,
        regions=wanted.regions,
        process=wanted.process,
        sources=[{"citation": citation, "taken": taken} for citation in wanted.citations],
    )


def _shown(archive: Archive, files: Sequence[Path]) -> Iterator[npt.NDArray[np.float32]]:
    """Reference photographs as sRGB (h, w, 3), reduced; those without colours are no reference."""
    for path in files:
        try:
            with archive.pictures.open(path) as source:
                channels = colour_indices(source.facts.roles)
                if len(channels) == 3:
                    yield _srgb(archive, path, source, channels)
        except PictureUnreadable as exc:
            raise SourceUnreadable(f"the reference photograph {path.name!r} cannot be read: {exc}") from exc


def _srgb(archive: Archive, path: Path, source: PictureSource, channels: Sequence[int]) -> npt.NDArray[np.float32]:
    seen = engine.overview(source)
    step = max(1, max(seen.reduced.shape[:2]) // _LONGEST)
    codes = np.clip(seen.reduced[::step, ::step][:, :, list(channels)] / seen.white, 0, 1)
    space = archive.pictures.colour_space(path, source.facts)
    linear = space.curve[np.rint(codes * (len(space.curve) - 1)).astype(np.intp)]
    return srgb_from_lab(lab_from_linear(linear, space.to_xyz))


def suggest_hints(archive: Archive, ref: AnyRef, hints: str = "", count: int = 5) -> tuple[Suggestion, ...]:
    """Places of a picture where one hint would tell the most, given those that are known (JSON); nothing is stored."""
    source = load_source(archive, ref)
    with archive.pictures.open(source.path, source.facts) as opened:
        facts, channels = opened.facts, colour_indices(opened.facts.roles)
        if len(channels) not in (1, 3):
            raise PictureUnreadable(f"{ref} is neither gray nor RGB and cannot be colorized")
        samples = opened.read(Region(top=0, left=0, bottom=facts.height, right=facts.width))
        dtype = opened.dtype
    white = float(np.iinfo(dtype).max) if dtype.kind == "u" else max(1.0, float(np.nanmax(samples)))
    recolouring = Recolouring(archive.pictures.colour_space(source.path, facts), dtype, white)
    light, scale = colorize.reduced_lightness(
        samples, recolouring, picture=channels, inverted=SampleRole.GRAY_INVERTED in facts.roles
    )
    plan = colorize.plan_colour(
        light,
        scale,
        (facts.height, facts.width),
        hints=hints_of(json.loads(hints)) if hints else (),
        suggestions=count,
    )
    return plan.suggestions
