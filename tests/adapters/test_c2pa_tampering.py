"""Whatever is changed after signing, two independent readers see it."""

import pytest
import tifffile

from archive_restore.records.findings import has_errors
from tests.adapters import record_samples as samples
from tests.adapters.credential_bench import Bench, flipped, stranger


@pytest.fixture(scope="module", params=["es256", "ed25519"])
def both(request, tmp_path_factory):
    return Bench(tmp_path_factory.mktemp("bench"), request.param)


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


# --- tampering: both readers must see it


def judged(bench, data, sidecar=None):
    path = bench.folder / "tampered.tif"
    path.write_bytes(data)
    store = None
    if sidecar is not None:
        store = bench.folder / "tampered.c2pa"
        store.write_bytes(sidecar)
    found = bench.read(path, store)
    return found, stranger(data, bench.anchors, sidecar)["validation_state"]


@pytest.mark.parametrize("index", [4000, -5, 60])
def test_a_flipped_bit_in_a_master_is_found(both, index):
    found, other = judged(both, flipped(both.master_path.read_bytes(), index), both.sidecar.read_bytes())
    assert (found.state, other) == ("invalid", "Invalid")
    assert [f.code for f in found.findings] == ["C2PA_OTHER_BYTES"]


def test_a_manifest_moved_to_another_master_is_found(both):
    other = both.folder / "other.tif"
    tifffile.imwrite(other, samples.PIXELS[::-1])
    found, told = judged(both, other.read_bytes(), both.sidecar.read_bytes())
    assert (found.state, told) == ("invalid", "Invalid")
    assert "moved here from another file" in found.findings[0].message


def test_a_flipped_pixel_in_a_restoration_is_found(both):
    out, _ = both.restoration("pixel.tif")
    with tifffile.TiffFile(out) as tiff:
        offset = tiff.pages[0].dataoffsets[0]
    found, other = judged(both, flipped(out.read_bytes(), offset + 20))
    assert (found.state, other) == ("invalid", "Invalid")
    assert [f.code for f in found.findings] == ["C2PA_OTHER_BYTES"]


def test_a_flipped_byte_in_the_subifd_map_is_found(both):
    out, _ = both.restoration("subifd.tif")
    with tifffile.TiffFile(out) as tiff:
        offset = tiff.pages[0].pages[0].dataoffsets[0]
    found, other = judged(both, flipped(out.read_bytes(), offset + 4))
    assert (found.state, other) == ("invalid", "Invalid")
    assert [f.code for f in found.findings] == ["C2PA_OTHER_BYTES"]


def test_a_flipped_byte_in_the_embedded_map_is_found(both):
    out, _ = both.restoration("embedded-map.tif")
    data = out.read_bytes()
    where = data.find(both.map_png.read_bytes())
    assert where > 0
    found, other = judged(both, flipped(data, where + 60))
    assert (found.state, other) == ("invalid", "Invalid")
    assert "C2PA_CONTENT_CHANGED" in {f.code for f in found.findings}


def test_a_changed_word_in_the_derivation_is_found(both):
    out, _ = both.restoration("words.tif")
    data = out.read_bytes()
    assert data.count(b'"seed":7') == 1
    found, other = judged(both, data.replace(b'"seed":7', b'"seed":8'))
    assert (found.state, other) == ("invalid", "Invalid")
    assert "C2PA_CONTENT_CHANGED" in {f.code for f in found.findings}


def test_a_changed_claim_is_found(both):
    sidecar = both.sidecar.read_bytes()
    where = sidecar.rfind(b"archive-restore", 0, sidecar.rfind(b"c2pa.signature\0"))
    found, other = judged(both, both.master_path.read_bytes(), flipped(sidecar, where))
    assert (found.state, other) == ("invalid", "Invalid")
    assert "C2PA_CLAIM_CHANGED" in {f.code for f in found.findings}


def test_a_changed_manifest_of_the_parent_is_found(both):
    out, _ = both.restoration("parent.tif")
    data = out.read_bytes()
    title = data.find("Käthe".encode())
    assert title > 0
    found, other = judged(both, flipped(data, title + 3))
    assert (found.state, other) == ("invalid", "Invalid")
    assert has_errors(found.findings)


def test_a_manifest_transplanted_between_restorations_is_found(both):
    _, signed = both.restoration("left.tif", both.with_limit(10))
    other = both.folder / "unsigned-other.tif"
    tifffile.imwrite(other, samples.PIXELS // 2)
    found, told = judged(both, other.read_bytes(), signed.sidecar.read_bytes())
    assert (found.state, told) == ("invalid", "Invalid")


@pytest.mark.parametrize("keep", [0, 7, 200, 6000])
def test_a_truncated_sidecar_is_a_finding(bench, keep):
    bench.sidecar.chmod(0o644)
    bench.sidecar.write_bytes(bench.sidecar.read_bytes()[:keep])
    found = bench.read(bench.master_path, bench.sidecar)
    assert found.state in ("invalid", "none")
    assert has_errors(found.findings)


def test_a_truncated_restoration_is_a_finding(bench):
    out, _ = bench.restoration()
    data = out.read_bytes()
    for keep in (0, 3, 100, len(data) // 2, len(data) - 10):
        cut = bench.folder / "cut.tif"
        cut.write_bytes(data[:keep])
        found = bench.read(cut)
        assert found.state != "trusted"
        assert found.findings


def test_missing_files_and_manifests_are_findings(bench):
    assert [f.code for f in bench.read(bench.folder / "gone.tif").findings] == ["C2PA_UNREADABLE"]
    assert [f.code for f in bench.read(bench.master_path, bench.folder / "gone.c2pa").findings] == ["C2PA_UNREADABLE"]
    bare = bench.read(bench.unsigned)
    assert (bare.state, [f.code for f in bare.findings]) == ("none", ["C2PA_NONE"])
