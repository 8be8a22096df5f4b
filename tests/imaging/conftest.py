"""What several tests of imaging look with."""

from __future__ import annotations

from pathlib import Path

import pytest

from archive_restore.adapters.models import FolderModels
from archive_restore.imaging.faces import MODELS, FaceNetworks


@pytest.fixture(scope="session")
def networks() -> FaceNetworks:
    """The face models that ship; a module that needs others has a fixture of its own."""
    pytest.importorskip("torch")
    models = FolderModels(Path(__file__).parents[2] / "models")
    return FaceNetworks(**{part: models.load(name, "cpu").predict for part, name in MODELS.items()})
