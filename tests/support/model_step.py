"""A preservation step that runs a trained model, as a package of somebody else would bring it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from archive_restore.imaging.planes import luma
from archive_restore.ports import Network, Overview, PreservationStep, PreservationTile
from archive_restore.records.imagery import DamageClass, PixelFlag


class Soften(PreservationStep):
    """Puts what the model makes of the picture's luma where somebody marked damage."""

    name = "soften"
    version = "1"
    summary = "Softens damage with a trained model."
    flags = PixelFlag.SYNTHESIZED
    action = "c2pa.edited"
    digital_source_type = "compositeWithTrainedAlgorithmicMedia"
    parameters_schema: Mapping[str, Any] = {
        "model": {"type": "string", "default": "tiny-blur", "description": "Name of the model."}
    }

    def __init__(self, network: Network | None = None) -> None:
        self._network = network

    def models(self, parameters: Mapping[str, Any]) -> tuple[str, ...]:
        return (parameters["model"],)

    def equip(self, networks: Mapping[str, Network]) -> PreservationStep:
        (network,) = networks.values()
        return Soften(network)

    def halo(self, parameters: Mapping[str, Any]) -> int:
        assert self._network is not None
        return self._network.card.input.halo

    def survey(self, overview: Overview, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"white": overview.white}

    def apply(
        self, tile: PreservationTile, parameters: Mapping[str, Any], survey: Mapping[str, Any], seed: int
    ) -> PreservationTile:
        assert self._network is not None
        marked = tile.damage != DamageClass.SOUND
        if not marked.any():
            return tile
        plane = luma(tile.samples, tile.facts.roles, survey["white"]).astype(np.float32)
        made = self._network.predict(np.clip(plane, 0, 1)[None, None])[0, 0]
        samples, flags = tile.samples.copy(), tile.flags.copy()
        samples[marked] = np.rint(made * survey["white"]).astype(samples.dtype)[marked][:, None]
        flags[marked] |= np.uint8(PixelFlag.SYNTHESIZED)
        return replace(tile, samples=samples, flags=flags)


def install(folder: Path) -> Path:
    """Make a folder that, on the search path, is an installed package with this step; return it."""
    info = folder / "soften-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: soften\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[archive_restore.preservation_steps]\nsoften = tests.support.model_step:Soften\n"
    )
    return folder


def admit(archive: Path) -> None:
    """Name the step in archive.toml."""
    config = archive / "archive.toml"
    config.write_text(config.read_text().replace("preservation_steps = []", 'preservation_steps = ["soften"]'))


RECIPE = {
    "name": "softened",
    "description": "Softens what is marked.",
    "steps": [{"step": "soften", "parameters": {}}],
}
