"""Architectures of the trained networks, by the names that model cards use; torch is imported when one is built."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from archive_restore.records.provenance import Json

if TYPE_CHECKING:
    from torch import nn

ARCHITECTURES: Mapping[str, str] = MappingProxyType(
    {
        "colour": "archive_restore.imaging.networks.colour:ColourNet",
        "compact": "archive_restore.imaging.networks.compact:SRVGGNetCompact",
        "damage": "archive_restore.imaging.networks.damage:DamageNet",
        "denoise": "archive_restore.imaging.networks.denoise:DenoiseNet",
        "fill": "archive_restore.imaging.networks.fill:FillNet",
        "graph": "archive_restore.imaging.networks.graph:Graph",
        "motion": "archive_restore.imaging.networks.motion:MotionNet",
        "rrdb": "archive_restore.imaging.networks.rrdb:RRDBNet",
    }
)
"""Name in cards -> `module:callable`, called with the card's parameters as keywords; it gives an nn.Module.

The module takes one float32 tensor (n, c, h, w) and gives one, as the card says, in evaluation mode on any device.
"""


def build(name: str, parameters: Mapping[str, Json]) -> nn.Module:
    """Make a network with its initial weights; raise KeyError where the architecture is unknown.

    Parameters it does not take raise what the architecture raises: TypeError or ValueError.
    """
    module, _, maker = ARCHITECTURES[name].partition(":")
    made: nn.Module = getattr(importlib.import_module(module), maker)(**parameters)
    return made
