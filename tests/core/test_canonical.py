"""Records survive the way to JSON and back; what does not fit is named."""

import json

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from archive_restore.core.canonical import Malformed, canonical_bytes, from_plain, to_plain
from archive_restore.records.findings import Finding, Severity
from archive_restore.records.imagery import IDENTITY, MapSummary, PictureFacts, SampleRole
from archive_restore.records.objects import Description, FileFacts, Master, MasterRef, SourceType
from archive_restore.records.provenance import StepRun

MASTER = Master(
    ref=MasterRef(item_id="NIPOMO-01"),
    description=Description(title="Migrant mother", source_type=SourceType.NEGATIVE_FILM, extra={"shelf": "12"}),
    file=FileFacts(name="a.tif", size=3, sha512="aa", sha256="bb", puid="fmt/353", mime="image/tiff"),
    picture=PictureFacts(
        width=2, height=3, samples=1, bits=16, sample_format="uint", roles=(SampleRole.GRAY,), photometric="minisblack",
        compression="none", layout="strips", pages=1, x_resolution=300.0,
    ),
    findings=(Finding(code="X", severity=Severity.INFO, subject="a.tif", message="m"),),
    original_path="in/a.tif",
    ingested="2026-11-22T00:00:00Z",
)  # fmt: skip


def test_a_master_survives_json():
    assert from_plain(Master, json.loads(canonical_bytes(MASTER))) == MASTER


def test_nested_plain_parameters_survive():
    run = StepRun(
        step="fill", version="1", parameters={"a": [1, 2.5, {"b": None}]}, survey={}, action="c2pa.edited",
        digital_source_type="", pixels=0, description="",
    )  # fmt: skip
    back = from_plain(StepRun, json.loads(canonical_bytes(run)))
    assert to_plain(back) == to_plain(run)


def test_geometry_survives():
    summary = MapSummary(
        width=1,
        height=1,
        counts={"ORIGINAL": 1},
        histogram={"0": 1},
        sha256="a",
        master_sha256="b",
        master_pixels_sha256="c",
    )
    assert from_plain(MapSummary, json.loads(canonical_bytes(summary))).geometry == IDENTITY


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda d: d.pop("ref"), "'ref'"),
        (lambda d: d.update(more=1), "'more'"),
        (lambda d: d["file"].update(size="3"), "$.file.size"),
        (lambda d: d["file"].update(size=True), "$.file.size"),
        (lambda d: d["description"].update(source_type="painting"), "source_type"),
        (lambda d: d.update(findings={}), "$.findings"),
    ],
)
def test_what_does_not_fit_is_named(change, place):
    data = to_plain(MASTER)
    change(data)
    with pytest.raises(Malformed) as caught:
        from_plain(Master, data)
    assert place in str(caught.value)


@pytest.mark.parametrize("data", [{}, [], None, 3, "x", {"ref": 1}, {1: 2}])
def test_what_is_no_record_at_all_is_named_too(data):
    with pytest.raises(Malformed, match=r"^\$"):
        from_plain(Master, data)


def test_canonical_form_is_rfc_8785():
    assert canonical_bytes({"b": 1.0, "a": "é"}) == '{"a":"é","b":1}'.encode()


_PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(_PLAIN)
def test_the_fast_way_writes_what_the_library_writes(data):
    """RFC 8785 by an independent implementation: names of every script, every size of number, every text."""
    assert canonical_bytes(data) == rfc8785.dumps(data)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**53, "\ud800", {"\ud800": 1}, {1, 2}])
def test_what_json_cannot_hold_is_refused(value):
    with pytest.raises((ValueError, TypeError)):
        canonical_bytes({"a": value})
