"""Content credentials, judged by two readers: the library that signs, and encypher-c2pa as the stranger."""

import json
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import tifffile
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ObjectIdentifier
from PIL import Image

from archive_restore.adapters import keys
from archive_restore.adapters.c2pa import C2paCredentials
from archive_restore.adapters.c2pa_library import ParentIngredient, read_store, sign_embedded, sign_sidecar
from archive_restore.adapters.c2pa_report import certificate_horizon, map_statement, report
from archive_restore.adapters.certificates import local_chain
from archive_restore.adapters.signers import LocalSigner
from archive_restore.core.canonical import canonical_bytes, from_plain
from archive_restore.core.claims import master_manifest
from archive_restore.core.manifests import map_statement as expected_map_statement
from archive_restore.errors import CredentialsFailed, KeysUnusable, SelfCheckFailed, StorageFailed
from archive_restore.ports import Signer
from archive_restore.records.findings import has_errors
from archive_restore.records.preservation import PreservationDerivation
from tests.adapters import record_samples as samples
from tests.adapters.credential_bench import TIFF, Bench, flipped, stranger
from tests.adapters.test_keys import Authority


@pytest.fixture(scope="module", params=["es256", "ed25519"])
def both(request, tmp_path_factory):
    return Bench(tmp_path_factory.mktemp("bench"), request.param)


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


# --- sidecars of masters


def test_both_readers_trust_a_masters_sidecar(both):
    found = both.read(both.master_path, both.sidecar)
    assert (found.state, found.findings) == ("trusted", ())
    assert found.signer == "archive-restore signing key, Museum of Nipomo"
    told = stranger(both.master_path, both.anchors, both.sidecar.read_bytes())
    assert (told["validation_state"], told["hard_binding"], told["signature"]) == ("Trusted", "match", "valid")
    assert not told["validation_results"].get("failure")


def test_a_stranger_without_our_root_sees_valid(bench, tmp_path):
    keys.create_keys(tmp_path / "other", "Elsewhere", None)
    other = C2paCredentials(signer=lambda: bench.signer, anchors_pem=lambda: keys.load_anchors(tmp_path / "other"))
    found = other.read(bench.master_path, TIFF, bench.sidecar, "x")
    assert found.state == "valid"
    assert [f.code for f in found.findings] == ["C2PA_UNTRUSTED"]
    assert not has_errors(found.findings)


def test_a_master_of_unknown_source_is_trusted_by_both(bench):
    master = samples.master(bench.master_path.read_bytes(), source_type=None)
    out = bench.folder / "unknown.c2pa"
    bench.credentials.sign_master(master, bench.master_path, out)
    assert bench.read(bench.master_path, out).state == "trusted"
    assert stranger(bench.master_path, bench.anchors, out.read_bytes())["validation_state"] == "Trusted"


def test_signing_a_master_does_not_open_it(bench):
    out = bench.folder / "again.c2pa"
    bench.credentials.sign_master(bench.master, bench.folder / "no such file.tif", out)
    assert bench.read(bench.master_path, out).state == "trusted"


def test_a_sidecar_is_never_overwritten(bench):
    before = bench.sidecar.read_bytes()
    with pytest.raises(StorageFailed):
        bench.credentials.sign_master(bench.master, bench.master_path, bench.sidecar)
    assert bench.sidecar.read_bytes() == before


@pytest.mark.parametrize("name", ["a.jpg", "b.png", "c.jp2", "d.weird"])
def test_the_format_of_the_master_does_not_matter(bench, name):
    path = bench.folder / name
    if name.endswith(("jpg", "png")):
        Image.fromarray(np.zeros((8, 8), np.uint8)).save(path)
    else:
        path.write_bytes(b"\0\1\2" * 1000)
    out = bench.folder / f"{name}.c2pa"
    bench.credentials.sign_master(samples.master(path.read_bytes()), path, out)
    assert bench.credentials.read(path, "application/octet-stream", out, "x").state == "trusted"


def test_masters_that_are_large_take_no_more_memory(tmp_path):
    """700 MB: the library would read a TIFF of this size into memory; a sidecar and its reading must not."""
    path = tmp_path / "large.tif"
    with path.open("wb") as file:
        file.write(b"II*\0")
        file.truncate(700_000_000)
    code = f"""
import hashlib, re, sys
from pathlib import Path
from tests.adapters import record_samples as samples
from archive_restore.adapters import keys
from archive_restore.adapters.c2pa_library import read_store, sign_sidecar
from archive_restore.core.claims import master_manifest
folder = Path({str(tmp_path)!r})
keys.create_keys(folder / "keys", "M", None)
signer = keys.load_signer(folder / "keys")
with open(folder / "large.tif", "rb") as file:
    sha256 = hashlib.file_digest(file, "sha256").hexdigest()
store = sign_sidecar(master_manifest(samples.master(b"")), signer, sha256=sha256)
assert read_store(folder / "large.tif", "image/tiff", store, signer.anchors_pem).state == "Trusted"
# VmHWM belongs to this program; ru_maxrss would still count the process it was forked from.
print(int(re.search("VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024)
"""
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 660, "MiB at the peak"


# --- restorations


def test_both_readers_trust_an_embedded_restoration(both):
    out, signed = both.restoration()
    assert signed.embedded
    found = both.read(out)
    assert (found.state, found.findings) == ("trusted", ())
    told = stranger(out, both.anchors)
    assert (told["validation_state"], told["hard_binding"]) == ("Trusted", "match")
    assert not told["validation_results"].get("failure")


def test_both_readers_trust_a_sidecar_where_the_file_is_large(both):
    out, signed = both.restoration("large.tif", both.with_limit(10))
    assert not signed.embedded
    assert out.read_bytes() == both.unsigned.read_bytes()
    found = both.read(out, signed.sidecar)
    assert (found.state, found.findings) == ("trusted", ())
    assert found.map_png == both.map_png.read_bytes()
    told = stranger(out, both.anchors, signed.sidecar.read_bytes())
    assert (told["validation_state"], told["hard_binding"]) == ("Trusted", "match")


def test_map_and_derivation_come_back_as_they_went_in(bench):
    out, _ = bench.restoration()
    found = bench.read(out)
    assert found.map_png == bench.map_png.read_bytes()
    assert canonical_bytes(found.derivation) == canonical_bytes(bench.derivation)
    assert from_plain(PreservationDerivation, json.loads(canonical_bytes(found.derivation))) == bench.derivation
    store = read_store(out, TIFF, None, bench.anchors)
    assert canonical_bytes(map_statement(store)) == canonical_bytes(expected_map_statement(bench.derivation.map))


def test_the_masters_manifest_is_carried_along(bench):
    out, _ = bench.restoration()
    store = read_store(out, TIFF, None, bench.anchors)
    assert len(store.manifests) == 2
    parents = [i for i in store.manifest["ingredients"] if i["relationship"] == "parentOf"]
    assert len(parents) == 1
    carried = store.manifests[parents[0]["active_manifest"]]
    assert carried["title"] == "scan.tif"
    validated = [
        status["code"] for delta in store.results["ingredientDeltas"] for status in delta["validationDeltas"]["success"]
    ]
    assert "ingredient.manifest.validated" in validated


def test_the_soft_binding_is_the_iscc_of_the_picture(bench):
    import base64

    from archive_restore.adapters.iscc import gray_of, image_code, normalize

    out, _ = bench.restoration()
    (block,) = read_store(out, TIFF, None, bench.anchors).assertions["c2pa.soft-binding"]["blocks"]
    digest = image_code(normalize(gray_of(samples.overview())))[1]
    assert base64.b64decode(block["value"]) == digest


def test_pixels_pages_and_map_are_untouched_by_signing(bench):
    out, _ = bench.restoration()
    assert np.array_equal(tifffile.imread(out), tifffile.imread(bench.unsigned))
    with tifffile.TiffFile(out) as tiff, Image.open(out) as picture:
        assert len(tiff.pages) == 1
        assert np.array_equal(tiff.pages[0].pages[0].asarray(), samples.MAP)
        assert picture.n_frames == 1
        assert np.array_equal(np.asarray(picture), tifffile.imread(bench.unsigned))


# --- what must not be signed, and what must not be left behind


def test_a_file_is_never_signed_onto_itself(bench):
    before = bench.unsigned.read_bytes()
    with pytest.raises(CredentialsFailed, match="not overwritten"):
        bench.restoration(out=bench.unsigned)
    assert bench.unsigned.read_bytes() == before


def test_a_master_that_does_not_fit_its_manifest_is_no_parent(bench):
    changed = bench.folder / "changed.tif"
    changed.write_bytes(flipped(bench.master_path.read_bytes(), 4000))
    with pytest.raises(CredentialsFailed, match=r"assertion\.dataHash\.mismatch"):
        bench.restoration(master=changed)
    assert not (bench.folder / "out.tif").exists()


class Failing(Signer):
    """A signer whose key is in order and whose token is not."""

    def __init__(self, real, fault):
        self._real, self._fault = real, fault

    algorithm = property(lambda self: self._real.algorithm)
    chain_pem = property(lambda self: self._real.chain_pem)
    anchors_pem = property(lambda self: self._real.anchors_pem)

    def sign(self, data):
        return self._fault(data)


def unplugged(_):
    raise KeysUnusable("the token was unplugged")


def left_behind(bench):
    return sorted(p.name for p in bench.folder.iterdir() if p.is_file())


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        (unplugged, KeysUnusable, "unplugged"),
        (lambda data: b"", CredentialsFailed, "C2PA library"),
        (lambda data: b"\1" * 64, SelfCheckFailed, r"claimSignature\.mismatch"),
    ],
)
def test_a_signer_that_fails_leaves_nothing_behind(bench, caplog, fault, error, words):
    before = left_behind(bench)
    bench.signer = Failing(bench.signer, fault)
    credentials = bench.with_limit(1 << 30)
    with pytest.raises(error, match=words):
        bench.restoration(credentials=credentials)
    assert left_behind(bench) == before
    assert not caplog.records


def test_a_bad_signature_is_not_kept_in_a_sidecar_either(bench):
    before = left_behind(bench)
    bench.signer = Failing(bench.signer, lambda data: b"\1" * 64)
    with pytest.raises(SelfCheckFailed, match="changed after signing, or signed with another key"):
        bench.restoration(credentials=bench.with_limit(10))
    assert left_behind(bench) == before


def test_a_bug_in_the_signer_is_not_swallowed(bench):
    def bug(_):
        raise ZeroDivisionError("a bug")

    bench.signer = Failing(bench.signer, bug)
    with pytest.raises(ZeroDivisionError):
        bench.restoration(credentials=bench.with_limit(1 << 30))


def test_a_key_of_another_certificate_never_signs(bench):
    signer = LocalSigner(
        key=ec.generate_private_key(ec.SECP256R1()), chain_pem=bench.signer.chain_pem, anchors_pem=bench.anchors
    )
    with pytest.raises(KeysUnusable, match="does not verify"):
        sign_sidecar(master_manifest(bench.master), signer, sha256=bench.master.file.sha256)


def test_a_full_disk_is_one_clear_error_and_leaves_nothing(bench):
    """A file size limit stands in for a full disk: both fail the write call."""
    code = f"""
import resource, signal, sys
from pathlib import Path
from archive_restore.adapters import keys
from archive_restore.adapters.c2pa_library import sign_embedded
from archive_restore.errors import StorageFailed
from archive_restore.core.claims import master_manifest
from tests.adapters import record_samples as samples
folder = Path({str(bench.folder)!r})
signer = keys.load_signer(folder / "keys")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))
try:
    sign_embedded(folder / "scan.tif", folder / "full.tif", "image/tiff", master_manifest(samples.master(b"")), signer)
except StorageFailed as exc:
    print(exc)
"""
    before = left_behind(bench)
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert "failed: File too large" in done.stdout, done.stderr
    assert left_behind(bench) == before


def test_an_unknown_parent_count_is_refused(bench):
    parent = ParentIngredient(path=bench.master_path, mime=TIFF, store=bench.sidecar.read_bytes())
    with pytest.raises(CredentialsFailed, match="0 parents"):
        sign_sidecar(master_manifest(bench.master), bench.signer, sha256="00" * 32, parent=parent)


# --- time


def aged_signer(start):
    key = ec.generate_private_key(ec.SECP256R1())
    chain = local_chain("Museum", key, start)
    return LocalSigner(key=key, chain_pem=chain.chain_pem, anchors_pem=chain.anchor.public_bytes(
        serialization.Encoding.PEM).decode())  # fmt: skip


def test_a_manifest_whose_certificate_ends_soon_is_told_of(bench):
    signer = aged_signer(datetime.now(UTC) - timedelta(days=365.25 * 30 - 200))
    store_bytes = sign_sidecar(master_manifest(bench.master), signer, sha256=bench.master.file.sha256)
    store = read_store(bench.master_path, TIFF, store_bytes, signer.anchors_pem)
    assert store.state == "Trusted"
    now = datetime.now(UTC)
    assert [f.code for f in report(store, "x", now).findings] == ["C2PA_EXPIRES_SOON"]
    assert report(store, "x", now - timedelta(days=400)).findings == ()


def test_a_manifest_dies_with_its_certificate_and_that_is_said(bench):
    """Why the local certificate lasts 30 years: the file is unchanged, and still both readers stop believing it."""
    ends = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=4)
    signer = aged_signer(ends - timedelta(days=round(30 * 365.25)))
    store = sign_sidecar(master_manifest(bench.master), signer, sha256=bench.master.file.sha256)
    assert read_store(bench.master_path, TIFF, store, signer.anchors_pem).state == "Trusted"
    time.sleep(max(0, (ends - datetime.now(UTC)).total_seconds()) + 1.1)
    expired = report(read_store(bench.master_path, TIFF, store, signer.anchors_pem), "x", datetime.now(UTC))
    assert expired.state == "invalid"
    assert "C2PA_EXPIRED" in {f.code for f in expired.findings}
    assert stranger(bench.master_path, signer.anchors_pem, store)["validation_state"] != "Trusted"


@pytest.mark.parametrize("purpose", ["1.3.6.1.5.5.7.3.4", "1.3.6.1.5.5.7.3.36", "1.3.6.1.4.1.62558.2.1"])
def test_an_organizations_own_certificate_is_trusted_by_both(bench, purpose):
    authority = Authority(bench.folder, purposes=(ObjectIdentifier(purpose),), now=datetime.now(UTC))
    keys.import_keys(bench.folder / "keys", authority.chain(), authority.key_pem())
    bench.signer = keys.load_signer(bench.folder / "keys")
    bench.anchors = bench.signer.anchors_pem
    out, _ = bench.restoration(credentials=bench.with_limit(1 << 30))
    assert bench.read(out).state == "trusted"
    assert stranger(out, bench.anchors)["validation_state"] == "Trusted"
    assert bench.read(bench.master_path, bench.sidecar).state == "trusted", "the older manifest, by the retired key"


def test_the_horizon_is_the_first_certificate_to_end(bench):
    young = read_store(bench.master_path, TIFF, bench.sidecar.read_bytes(), bench.anchors)
    signer = aged_signer(datetime.now(UTC) - timedelta(days=3650))
    old_bytes = sign_sidecar(master_manifest(bench.master), signer, sha256=bench.master.file.sha256)
    old = read_store(bench.master_path, TIFF, old_bytes, signer.anchors_pem)
    assert certificate_horizon([young, old]) == old.not_after < young.not_after
    assert certificate_horizon([]) == ""
    stamped = replace(old, manifests={old.active: {"signature_info": {"time": "2026-11-22T00:00:00Z"}}})
    assert certificate_horizon([stamped]) == ""


def test_older_manifests_stay_trusted_after_the_keys_were_replaced(bench):
    keys.create_keys(bench.folder / "next", "Museum of Nipomo", None)
    both_roots = bench.anchors + keys.load_anchors(bench.folder / "next")
    assert read_store(bench.master_path, TIFF, bench.sidecar.read_bytes(), both_roots).state == "Trusted"


def test_reading_asks_for_no_key(bench):
    def never():
        raise AssertionError("the key was asked for")

    reader = C2paCredentials(signer=never, anchors_pem=lambda: bench.anchors)
    assert reader.read(bench.master_path, TIFF, bench.sidecar, "x").state == "trusted"
    assert {agent.name for agent in reader.agents()} == {"c2pa-python", "c2pa-rs"}


def test_embedding_reads_back_before_it_keeps(bench):
    other = keys.load_signer(bench.folder / "keys")
    keys.create_keys(bench.folder / "unrelated", "Elsewhere", None)
    wrong = LocalSigner(
        key=other._key, chain_pem=other.chain_pem, anchors_pem=keys.load_anchors(bench.folder / "unrelated")
    )
    with pytest.raises(SelfCheckFailed, match="Valid"):
        sign_embedded(bench.unsigned, bench.folder / "out.tif", TIFF, master_manifest(bench.master), wrong)
    assert not list(bench.folder.glob("out.tif*"))
