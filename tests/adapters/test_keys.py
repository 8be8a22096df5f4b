"""Keys and certificates, judged by openssl; signing commands that work and that misbehave."""

import datetime
import stat
import subprocess
import sys

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from archive_restore.adapters import keys
from archive_restore.adapters.signers import ExternalSigner
from archive_restore.errors import KeysUnusable

NOW = "2026-11-22T12:00:00Z"
LATER = "2027-01-01T00:00:00Z"


def openssl(*words, data=b"", ok=True):
    done = subprocess.run(["openssl", *map(str, words)], input=data, capture_output=True, check=False)
    assert (done.returncode == 0) is ok, done.stderr.decode()
    return done.stdout.decode() + done.stderr.decode()


@pytest.fixture
def folder(tmp_path):
    keys.create_keys(tmp_path / "keys", "Museum Ünter den Linden", None, now=NOW)
    return tmp_path / "keys"


class Authority:
    """An organization's own certificates, as an outside authority would issue them."""

    def __init__(
        self,
        folder,
        *,
        leaf_key=None,
        days=3650,
        purposes=(ExtendedKeyUsageOID.EMAIL_PROTECTION,),
        now=None,
        issuer_ski=True,
        **leaf,
    ):
        self.folder, self.now = folder, now or datetime.datetime.fromisoformat(NOW)
        self.root_key, self.middle_key = (
            ec.generate_private_key(ec.SECP384R1()),
            ec.generate_private_key(ec.SECP256R1()),
        )
        self.key = leaf_key or ec.generate_private_key(ec.SECP256R1())
        self.root = self.certificate("Root", "Root", self.root_key, self.root_key, ca=True, ski=issuer_ski)
        self.middle = self.certificate("Middle", "Root", self.middle_key, self.root_key, ca=True, ski=issuer_ski)
        self.leaf = self.certificate(
            "Museum",
            "Middle",
            self.key,
            self.middle_key,
            ca=leaf.pop("ca", False),
            days=days,
            purposes=purposes,
            **leaf,
        )

    def certificate(
        self,
        name,
        issuer,
        key,
        issuer_key,
        *,
        ca,
        days=3650,
        purposes=(),
        digital_signature=True,
        aki=True,
        ski=True,
        start=-1,
    ):
        def named(text):
            return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

        usage = dict.fromkeys(
            ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only"), False
        )
        builder = (
            x509.CertificateBuilder()
            .subject_name(named(name))
            .issuer_name(named(issuer))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.now + datetime.timedelta(days=start))
            .not_valid_after(self.now + datetime.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(
                x509.KeyUsage(
                    digital_signature=digital_signature, key_cert_sign=ca, crl_sign=ca, decipher_only=False, **usage
                ),
                critical=True,
            )
        )
        if ski:
            identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
            builder = builder.add_extension(identifier, critical=False)
        if purposes:
            builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        if aki:
            identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
            builder = builder.add_extension(identifier, critical=False)
        return builder.sign(issuer_key, hashes.SHA256())

    def chain(self, *certificates):
        return "".join(
            c.public_bytes(serialization.Encoding.PEM).decode()
            for c in certificates or (self.leaf, self.middle, self.root)
        )

    def key_pem(self, passphrase=None):
        how = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
        return self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how)


# --- made here


def test_openssl_accepts_the_chain_for_30_years(folder):
    anchors, chain = folder / "anchors.pem", folder / "signer" / "chain.pem"
    for when in ("2026-11-22", "2056-11-01"):
        at = int(datetime.datetime.fromisoformat(when).replace(tzinfo=datetime.UTC).timestamp())
        told = openssl("verify", "-x509_strict", "-purpose", "smimesign", "-attime", at, "-CAfile", anchors, chain)
        assert "OK" in told
    at = int(datetime.datetime(2057, 1, 1, tzinfo=datetime.UTC).timestamp())
    openssl("verify", "-attime", at, "-CAfile", anchors, chain, ok=False)


def test_openssl_reads_the_profile_of_the_leaf(folder):
    text = openssl("x509", "-in", folder / "signer" / "chain.pem", "-noout", "-text", "-nameopt", "utf8")
    for expected in (
        "Version: 3",
        "CA:FALSE",
        "Digital Signature",
        "E-mail Protection",
        "Subject Key Identifier",
        "Authority Key Identifier",
        "prime256v1",
        "O=Museum Ünter den Linden, CN=archive-restore signing key",
    ):
        assert expected in text


def test_the_root_key_is_not_kept(folder):
    assert sorted(p.name for p in folder.rglob("*") if p.is_file()) == [
        "anchors.pem", "chain.pem", "key.pem", "log-key.pem", "log-key.pub.pem",
    ]  # fmt: skip
    leaf = (folder / "signer" / "chain.pem").read_text()
    assert leaf.count("BEGIN CERTIFICATE") == 1


def test_nobody_else_may_read_the_keys(folder):
    for path in (folder, *folder.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


@pytest.mark.parametrize("algorithm", ["es256", "ed25519"])
def test_openssl_verifies_a_signature(tmp_path, algorithm):
    keys.create_keys(tmp_path / "k", "Museum", None, algorithm=algorithm)
    signer = keys.load_signer(tmp_path / "k")
    assert signer.algorithm == algorithm
    (tmp_path / "data").write_bytes(b"claim")
    raw = signer.sign(b"claim")
    assert len(raw) == 64
    (tmp_path / "chain.pem").write_text(signer.chain_pem)
    (tmp_path / "pub").write_text(openssl("x509", "-in", tmp_path / "chain.pem", "-noout", "-pubkey"))
    if algorithm == "es256":
        der = encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
        (tmp_path / "sig").write_bytes(der)
        openssl("dgst", "-sha256", "-verify", tmp_path / "pub", "-signature", tmp_path / "sig", tmp_path / "data")
    else:
        (tmp_path / "sig").write_bytes(raw)
        openssl(
            "pkeyutl", "-verify", "-pubin", "-inkey", tmp_path / "pub", "-rawin", "-in", tmp_path / "data",
            "-sigfile", tmp_path / "sig",
        )  # fmt: skip


def test_the_log_key_signs_and_openssl_verifies(folder, tmp_path):
    sign, public = keys.load_log_signer(folder)
    assert len(public) == 32
    assert public == keys.load_log_public_key(folder)
    (tmp_path / "data").write_bytes(b"checkpoint\n")
    (tmp_path / "sig").write_bytes(sign(b"checkpoint\n"))
    openssl(
        "pkeyutl", "-verify", "-pubin", "-inkey", folder / "log-key.pub.pem", "-rawin", "-in", tmp_path / "data",
        "-sigfile", tmp_path / "sig",
    )  # fmt: skip


def test_a_passphrase_is_asked_for_and_openssl_opens_the_key_with_it(tmp_path):
    folder = tmp_path / "keys"
    keys.create_keys(folder, "Museum", "open sesame")
    assert keys.is_encrypted(folder)
    assert keys.load_signer(folder, passphrase="open sesame").sign(b"x")
    openssl("pkey", "-in", folder / "signer" / "key.pem", "-passin", "pass:open sesame", "-noout")
    openssl("pkey", "-in", folder / "signer" / "key.pem", "-passin", "pass:wrong", "-noout", ok=False)
    with pytest.raises(KeysUnusable, match="no passphrase was given"):
        keys.load_signer(folder)
    with pytest.raises(KeysUnusable, match="passphrase is wrong"):
        keys.load_signer(folder, passphrase="wrong")
    with pytest.raises(KeysUnusable, match="no passphrase was given"):
        keys.load_log_signer(folder)
    assert "encrypted with a passphrase" in keys.describe(folder).key


def test_existing_keys_are_not_replaced_by_new_ones(folder):
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    with pytest.raises(KeysUnusable, match="already"):
        keys.create_keys(folder, "Museum", None)
    assert before == {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("name", ["", "  ", "x" * 65, "two\nlines"])
def test_names_that_cannot_stand_in_a_certificate_are_refused(tmp_path, name):
    with pytest.raises(KeysUnusable, match="organization's name"):
        keys.create_keys(tmp_path / "k", name, None)
    assert not (tmp_path / "k").exists()


def test_what_is_shown_says_valid_is_not_trusted(folder):
    told = keys.describe(folder, now=NOW)
    assert told.local
    assert told.valid_until == "2056-11-22"
    assert "Valid elsewhere" in told.trust
    assert told.findings == ()
    printed = openssl("x509", "-in", folder / "signer" / "chain.pem", "-noout", "-fingerprint", "-sha256")
    assert told.fingerprint_sha256 in printed


@pytest.mark.parametrize(
    ("now", "code"),
    [("2056-01-01T00:00:00Z", "KEYS_EXPIRE_SOON"), ("2057-01-01T00:00:00Z", "KEYS_EXPIRED"), (NOW, None)],
)
def test_an_expiry_is_told_of_a_year_ahead(folder, now, code):
    assert [f.code for f in keys.describe(folder, now=now).findings] == ([code] if code else [])


def test_a_key_that_others_may_read_is_told_of(folder):
    (folder / "signer" / "key.pem").chmod(0o644)
    (finding,) = keys.describe(folder, now=NOW).findings
    assert finding.code == "KEYS_EXPOSED"
    assert "key.pem" in finding.message


@pytest.mark.parametrize("missing", ["signer/key.pem", "signer/chain.pem", "anchors.pem"])
def test_a_missing_file_is_one_clear_error(folder, missing):
    (folder / missing).unlink()
    with pytest.raises(KeysUnusable, match="cannot be read"):
        keys.load_signer(folder)


@pytest.mark.parametrize("name", ["signer/key.pem", "signer/chain.pem"])
def test_a_damaged_file_is_one_clear_error(folder, name):
    (folder / name).write_bytes(b"-----BEGIN NONSENSE-----\n")
    with pytest.raises(KeysUnusable):
        keys.load_signer(folder)


# --- imported


def test_an_imported_chain_signs_and_the_old_one_is_kept(folder, tmp_path):
    old = (folder / "signer" / "chain.pem").read_text()
    old_root = (folder / "anchors.pem").read_text()
    authority = Authority(tmp_path)
    told = keys.import_keys(folder, authority.chain(), authority.key_pem(), now=LATER)
    assert not told.local
    assert told.anchors == 2
    assert told.retired == ("20270101T000000Z",)
    assert (folder / "retired" / "20270101T000000Z" / "chain.pem").read_text() == old
    signer = keys.load_signer(folder)
    assert old_root in signer.anchors_pem
    assert signer.chain_pem == authority.chain(authority.leaf, authority.middle)
    assert signer.sign(b"x")
    assert all(stat.S_IMODE(p.stat().st_mode) in (0o600, 0o700) for p in folder.rglob("*"))
    again = keys.import_keys(folder, authority.chain(), authority.key_pem(), now=LATER)
    assert (again.anchors, len(again.retired)) == (2, 2)


def test_an_encrypted_key_is_imported_under_the_archives_passphrase(folder, tmp_path):
    authority = Authority(tmp_path)
    keys.import_keys(
        folder, authority.chain(), authority.key_pem(b"theirs"), key_passphrase="theirs", passphrase="ours", now=LATER
    )
    assert keys.load_signer(folder, passphrase="ours").sign(b"x")
    with pytest.raises(KeysUnusable):
        keys.load_signer(folder, passphrase="theirs")


def test_an_ed25519_certificate_is_imported(folder, tmp_path):
    authority = Authority(tmp_path, leaf_key=ed25519.Ed25519PrivateKey.generate())
    assert keys.import_keys(folder, authority.chain(), authority.key_pem(), now=LATER).algorithm == "ed25519"
    assert len(keys.load_signer(folder).sign(b"x")) == 64


def test_a_crash_between_the_two_renames_loses_nothing(folder, tmp_path, monkeypatch):
    authority = Authority(tmp_path)
    rename = type(folder).rename

    def crash(path, target):
        if path.name == "signer.new":
            raise KeyboardInterrupt
        return rename(path, target)

    monkeypatch.setattr(type(folder), "rename", crash)
    with pytest.raises(KeyboardInterrupt):
        keys.import_keys(folder, authority.chain(), authority.key_pem(), now=LATER)
    monkeypatch.undo()
    assert keys.load_signer(folder).chain_pem == authority.chain(authority.leaf, authority.middle)
    assert len(keys.describe(folder).retired) == 1


def test_a_short_lived_certificate_needs_an_explicit_yes(folder, tmp_path):
    authority = Authority(tmp_path, days=400)
    with pytest.raises(KeysUnusable, match="turn Invalid on that day"):
        keys.import_keys(folder, authority.chain(), authority.key_pem(), now=NOW)
    told = keys.import_keys(folder, authority.chain(), authority.key_pem(), consent=True, now=NOW)
    assert told.needs_consent
    assert [f.code for f in told.findings] == ["KEYS_SHORT_LIVED"]


def test_an_unusual_purpose_is_accepted_and_told_of(folder, tmp_path):
    claim_signing = x509.ObjectIdentifier("1.3.6.1.4.1.62558.2.1")
    authority = Authority(tmp_path, purposes=(claim_signing,))
    told = keys.import_keys(folder, authority.chain(), authority.key_pem(), now=NOW)
    assert [f.code for f in told.findings] == ["KEYS_PURPOSE_UNUSUAL"]


def swapped(authority):
    return authority.chain(authority.leaf, authority.root, authority.middle)


@pytest.mark.parametrize(
    ("make", "chain", "words"),
    [
        ({}, lambda a: "nonsense", "cannot be read"),
        ({}, lambda a: a.chain(a.leaf), "only one certificate"),
        ({}, swapped, "was not issued by"),
        ({}, lambda a: a.chain(a.middle, a.root), "authority's"),
        ({"ca": True}, Authority.chain, "authority's"),
        ({"digital_signature": False}, Authority.chain, "digitalSignature"),
        ({"purposes": ()}, Authority.chain, "no purpose"),
        ({"purposes": (ExtendedKeyUsageOID.SERVER_AUTH,)}, Authority.chain, "no purpose"),
        (
            {"purposes": (ExtendedKeyUsageOID.EMAIL_PROTECTION, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE)},
            Authority.chain,
            "any purpose",
        ),
        ({"aki": False}, Authority.chain, "authority key identifier"),
        ({"issuer_ski": False}, Authority.chain, "subject key identifier"),
        ({"start": -20, "days": -2}, Authority.chain, "not today"),
        ({"start": 5}, Authority.chain, "not today"),
        ({"leaf_key": rsa.generate_private_key(65537, 2048)}, Authority.chain, "RSA"),
        ({"leaf_key": ec.generate_private_key(ec.SECP384R1())}, Authority.chain, "secp384r1"),
    ],
)
def test_chains_that_do_not_fit_are_refused_and_change_nothing(folder, tmp_path, make, chain, words):
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    authority = Authority(tmp_path, **make)
    with pytest.raises(KeysUnusable, match=words) as caught:
        keys.import_keys(folder, chain(authority), authority.key_pem(), consent=True, now=NOW)
    assert "\n" not in str(caught.value)
    assert before == {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_key_of_another_certificate_is_refused(folder, tmp_path):
    authority, other = Authority(tmp_path), Authority(tmp_path)
    with pytest.raises(KeysUnusable, match="does not belong"):
        keys.import_keys(folder, authority.chain(), other.key_pem(), now=NOW)


def test_key_and_command_exclude_each_other(folder, tmp_path):
    authority = Authority(tmp_path)
    for key, command in ((None, None), (authority.key_pem(), ["true"])):
        with pytest.raises(KeysUnusable, match="either"):
            keys.import_keys(folder, authority.chain(), key, command=command, now=NOW)


# --- a command holds the key


def written_key(tmp_path, authority):
    path = tmp_path / "external.pem"
    path.write_bytes(authority.key_pem())
    return path


def test_openssl_as_the_signing_command_with_der_signatures(folder, tmp_path):
    authority = Authority(tmp_path)
    command = ["openssl", "dgst", "-sha256", "-sign", str(written_key(tmp_path, authority))]
    told = keys.import_keys(folder, authority.chain(), command=command, now=NOW)
    assert told.key == "held by an external signing command"
    assert not (folder / "signer" / "key.pem").exists()
    assert len(keys.load_signer(folder).sign(b"claim")) == 64


def test_a_command_may_give_raw_signatures(tmp_path):
    authority = Authority(tmp_path, leaf_key=ed25519.Ed25519PrivateKey.generate())
    command = ("openssl", "pkeyutl", "-sign", "-rawin", "-inkey", str(written_key(tmp_path, authority)))
    script = tmp_path / "sign.sh"
    # openssl wants a file to sign; the script hands stdin over as one, as a wrapper around a token's tool would
    script.write_text(f"cat > {tmp_path}/in; {' '.join(command)} -in {tmp_path}/in")
    signer = ExternalSigner(
        command=("sh", str(script)), chain_pem=authority.chain(authority.leaf), anchors_pem=authority.chain()
    )
    authority.key.public_key().verify(signer.sign(b"claim"), b"claim")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("/no/such/program",), "cannot be run"),
        (("sh", "-c", "echo no token >&2; exit 3"), "ended with 3: no token"),
        (("sh", "-c", "cat > /dev/null; exit 0"), "does not verify"),
        (("sh", "-c", "head -c 64 /dev/zero"), "does not verify"),
        (("sh", "-c", "head -c 5000000 /dev/zero"), "does not verify"),
        ((sys.executable, "-c", "import time; time.sleep(30)"), "no signature within"),
        ((), "is empty"),
    ],
)
def test_commands_that_misbehave_are_one_line(tmp_path, command, words):
    authority = Authority(tmp_path)
    with pytest.raises(KeysUnusable, match=words) as caught:
        ExternalSigner(command=command, chain_pem=authority.chain(authority.leaf), anchors_pem="", seconds=1.5).sign(
            b"claim"
        )
    assert "\n" not in str(caught.value)


def test_a_command_with_another_key_is_not_imported(folder, tmp_path):
    authority, other = Authority(tmp_path), Authority(tmp_path)
    command = ["openssl", "dgst", "-sha256", "-sign", str(written_key(tmp_path, other))]
    with pytest.raises(KeysUnusable, match="does not verify"):
        keys.import_keys(folder, authority.chain(), command=command, now=NOW)
    assert keys.describe(folder).local
