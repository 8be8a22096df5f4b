"""Small true records of stories, for what only reads them."""

import hashlib
from dataclasses import replace

from archive_restore.records.imagery import MapSummary
from archive_restore.records.provenance import Product, Recipe, RecipeStep
from archive_restore.records.stories import HumanDecision, StoryDerivation, StoryKind, StoryRef
from tests.adapters import record_samples as samples

SAID = HumanDecision(
    author="Rosa Lane",
    reason="the dress was light green, says her daughter",
    what="light green at 120,340",
    when="2024",
)


def story(parent, kind=StoryKind.COLORIZATION, version=1, people=(SAID,), notes=("Mostly neutral.",), counts=None):
    """A story of 200×100 pixels made from the picture that the record `parent` is about."""
    ref = StoryRef(item_id=parent.ref.item_id, kind=kind, version=version)
    digest = hashlib.sha256(str(ref).encode()).hexdigest()
    material = replace(samples.derivation(samples.master(b"x")).materials[0], role="parent", ref=str(parent.ref))
    return StoryDerivation(
        derivation_id="urn:uuid:00000000-0000-4000-8000-0000000000bb",
        ref=ref,
        parent=parent.ref,
        materials=(material,),
        recipe=Recipe(name=kind.value, description="", steps=(RecipeStep(step="colorize"),)),
        steps=(replace(samples.step("colorize", source_type="compositeWithTrainedAlgorithmicMedia"), pixels=19_980),),
        seed=0,
        samples=1,
        products=(
            Product(
                role="picture", name=f"scan-{kind.value}-story.tif", mime="image/tiff", width=200, height=100,
                dtype="|u1", samples=3, pixels_sha256=digest,
            ),
        ),
        alternatives=(),
        map=MapSummary(
            width=200, height=100, counts=counts or {"ORIGINAL": 20, "COLORIZED": 19_980, "HUMAN": 4_000},
            histogram={"0": 20, "32": 15_980, "96": 4_000}, sha256=digest, master_sha256=material.sha256,
            master_pixels_sha256=material.pixels_sha256,
        ),
        environment=samples.derivation(samples.master(b"x")).environment,
        people=people,
        notes=notes,
        started="2026-11-27T10:00:00Z",
        ended="2026-11-27T10:00:09Z",
        events=(samples.event("creation", str(ref), 21),),
    )  # fmt: skip
