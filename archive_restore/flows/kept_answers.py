"""A trained model whose answers are kept between runs: asked again the same, it is not even loaded.

What an answer depends on is its key: the card, which holds the digest of the weights, the input itself, the device
that was asked for, and this program. Which device and library gave it is kept with it, so that the record says what
really ran.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict

import numpy as np

from archive_restore.core.canonical import from_plain
from archive_restore.core.model_contracts import FloatPlanes
from archive_restore.ports import Archive, Network, Samples
from archive_restore.records.models import InstalledModel
from archive_restore.records.provenance import Determinism, SoftwareAgent


class AnswersKept(Network):
    """See the module; loaded when the first question comes that was not answered before."""

    def __init__(self, archive: Archive, name: str, device: str) -> None:
        """Raise ModelUnusable where there is no such model, or its card cannot be used."""
        self._archive, self._name, self._wanted = archive, name, device
        self._model = archive.models.card(name)
        self._ran: Mapping[str, str] = {}

    @property
    def model(self) -> InstalledModel:
        """See ports.Network."""
        return self._model

    @property
    def device(self) -> str:
        """Where the last answer was given."""
        return self._ran["device"] if self._ran else self._loaded.device

    @property
    def determinism(self) -> Determinism:
        """Of the last answer."""
        return Determinism(self._ran["determinism"]) if self._ran else self._loaded.determinism

    @property
    def agent(self) -> SoftwareAgent:
        """Of the last answer."""
        return from_plain(SoftwareAgent, json.loads(self._ran["agent"])) if self._ran else self._loaded.agent

    @property
    def _loaded(self) -> Network:
        return self._archive.models.load(self._name, self._wanted)

    def _predict(self, planes: FloatPlanes) -> FloatPlanes:
        given = hashlib.sha256(np.ascontiguousarray(planes).data).hexdigest()
        key = json.dumps(["answer", self._archive.agent, self._model.card_sha256, self._wanted, planes.shape, given])
        kept = self._archive.kept.get(key, lambda: self._asked(planes))
        self._ran = json.loads(np.asarray(kept["ran"]).tobytes())
        return np.asarray(kept["planes"])

    def _asked(self, planes: FloatPlanes) -> Mapping[str, Samples]:
        network = self._loaded
        made = network.predict(planes)
        agent = json.dumps(asdict(network.agent))
        ran = {"device": network.device, "determinism": network.determinism.value, "agent": agent}
        return {"planes": made, "ran": np.frombuffer(json.dumps(ran).encode(), np.uint8)}
