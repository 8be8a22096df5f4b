"""Small true records for tests of credentials and PREMIS: one master, one restoration of it."""

import hashlib

import numpy as np
import tifffile
from PIL import Image

from archive_restore.core.synthesis_map import class_counts, histogram
from archive_restore.ports import Overview
from archive_restore.records.findings import Finding, Severity
from archive_restore.records.imagery import MapSummary, PictureFacts, SampleRole
from archive_restore.records.objects import Description, FileFacts, Master, MasterRef, SourceType
from archive_restore.records.preservation import PreservationDerivation, PreservationKind, PreservationRef
from archive_restore.records.provenance import (
    Determinism,
    Environment,
    Event,
    Material,
    ModelUse,
    Product,
    Recipe,
    RecipeStep,
    SoftwareAgent,
    StepRun,
)

MODEL = ModelUse(name="ridge-net", version="1.0", sha256="e" * 64, card_sha256="f" * 64, licence="Apache-2.0")
NOW = "2026-11-22T12:00:00Z"
WIDTH, HEIGHT = 96, 64
RNG = np.random.default_rng(7)
PIXELS = np.sort(RNG.integers(0, 65535, (HEIGHT, WIDTH), dtype=np.uint16), axis=1)
MAP = np.zeros((HEIGHT, WIDTH), np.uint8)
MAP[10:14, 20:40] = 8
MAP[40:50, 60:62] = 8


def write_master(path):
    tifffile.imwrite(path, PIXELS, photometric="minisblack")
    return path


def write_unsigned(path):
    """A restoration with its map as SubIFD, as the TIFF adapter writes it."""
    restored = PIXELS.copy()
    restored[MAP > 0] = 30000
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(restored, photometric="minisblack", tile=(32, 32), compression="deflate", subifds=1)
        tiff.write(MAP, photometric="minisblack", subfiletype=1, tile=(32, 32), compression="deflate")
    return path


def write_map(path):
    Image.fromarray(MAP).save(path)
    return path


def facts():
    return PictureFacts(
        width=WIDTH, height=HEIGHT, samples=1, bits=16, sample_format="uint", roles=(SampleRole.GRAY,),
        photometric="minisblack", compression="none", layout="strips", pages=1,
    )  # fmt: skip


def overview(reduced=None, roles=(SampleRole.GRAY,), white=65535.0, orientation=1):
    """A reduced picture, by default the sample one."""
    reduced = PIXELS[:, :, None].astype(np.float32) if reduced is None else reduced
    facts = PictureFacts(
        width=reduced.shape[1], height=reduced.shape[0], samples=len(roles), bits=16, sample_format="uint", roles=roles,
        photometric="minisblack", compression="none", layout="strips", pages=1, orientation=orientation,
    )  # fmt: skip
    return Overview(facts=facts, reduced=reduced, scale=1.0, white=white, samples=())


def digests(data):
    return hashlib.sha512(data).hexdigest(), hashlib.sha256(data).hexdigest()


def master(data, source_type=SourceType.NEGATIVE_FILM, **description):
    sha512, sha256 = digests(data)
    given = {"title": "Käthe <at> the well", "creator": "D. Lange", "date": "1936", "rights": "Public domain & free"}
    return Master(
        ref=MasterRef(item_id="NIPOMO-01"),
        description=Description(**{**given, **description}, source_type=source_type, extra={"shelf": "12"}),
        file=FileFacts(
            name="scan.tif", size=len(data), sha512=sha512, sha256=sha256, puid="fmt/353", mime="image/tiff",
            format_name="Tagged Image File Format",
        ),
        picture=facts(),
        findings=(Finding(code="X", severity=Severity.INFO, subject="scan.tif", message="m"),),
        original_path="in/scan.tif",
        ingested=NOW,
    )  # fmt: skip


def event(kind, ref, number, **more):
    return Event(
        event_id=f"urn:uuid:00000000-0000-4000-8000-{number:012d}", type=kind, date_time=NOW, ref=ref,
        outcome="success", detail=f"{kind} of {ref}", agent="archive-restore 0.1.0", **more,
    )  # fmt: skip


def master_events():
    return (
        event("ingestion", "NIPOMO-01", 1),
        event("message digest calculation", "NIPOMO-01", 2, digests={"scan.tif": "sha512:ab12"}),
        event("validation", "NIPOMO-01", 3),
    )


def step(name="fill", action="c2pa.edited", source_type="algorithmicallyEnhanced", **parameters):
    return StepRun(
        step=name, version="1", parameters=parameters or {"radius": 3, "weights": (1, 2, 3)}, survey={"level": 0.5},
        action=action, digital_source_type=source_type, pixels=9, description="Fill thin damage from its surroundings.",
    )  # fmt: skip


def derivation(master_record, **changes):
    file = master_record.file
    hist = histogram(MAP)
    pixels = {"pixels_sha256": hashlib.sha256(PIXELS.tobytes()).hexdigest()}
    values = {
        "derivation_id": "urn:uuid:00000000-0000-4000-8000-0000000000aa",
        "ref": PreservationRef(item_id="NIPOMO-01", kind=PreservationKind.RESTORATION, version=1),
        "parent": master_record.ref,
        "materials": (
            Material(
                role="master", ref="NIPOMO-01", mime=file.mime, size=file.size, sha512=file.sha512,
                sha256=file.sha256, **pixels,
            ),
            Material(
                role="damage map", ref="marks.png", mime="image/png", size=9, sha512="c" * 128, sha256="d" * 64,
                **pixels,
            ),
        ),
        "recipe": Recipe(name="gentle", description="Thin damage", steps=(RecipeStep(step="fill"),)),
        "steps": (step("detect", "c2pa.edited", "", model="ridge-net"), step()),
        "seed": 7,
        "tile": 1024,
        "products": (
            Product(
                role="picture", name="scan-restoration.tif", mime="image/tiff", width=WIDTH, height=HEIGHT,
                dtype="<u2", samples=1, **pixels,
            ),
            Product(
                role="synthesis map", name="synthesis-map.png", mime="image/png", width=WIDTH, height=HEIGHT,
                dtype="|u1", samples=1, **pixels,
            ),
        ),
        "map": MapSummary(
            width=WIDTH, height=HEIGHT, counts=class_counts(hist),
            histogram={str(v): int(n) for v, n in enumerate(hist) if n},
            sha256=hashlib.sha256(MAP.tobytes()).hexdigest(), master_sha256=file.sha256,
            master_pixels_sha256=pixels["pixels_sha256"],
        ),
        "environment": Environment(
            agents=(SoftwareAgent(name="numpy", version="2.3", role="pixels"),),
            models=(MODEL,),
            platform="Linux x86_64", device="cpu", determinism=Determinism.BIT_EXACT,
        ),
        "started": NOW,
        "ended": "2026-11-22T12:00:09Z",
        "events": (event("creation", "NIPOMO-01/restoration@1", 9),),
    }  # fmt: skip
    return PreservationDerivation(**{**values, **changes})
