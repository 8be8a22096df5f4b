"""Keys on disk: the signing key with its certificates, the log key, and every root ever used.

Layout of `keys/`: `signer/` (chain.pem and key.pem or command.json), `anchors.pem`, `log-key.pem`, `retired/`.
Files have mode 0600 in directories of mode 0700; a private key never leaves the object that signs with it.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from archive_restore.adapters.certificates import (
    CONSENT_YEARS,
    Chain,
    PrivateKey,
    PublicKey,
    algorithm_of,
    certificates_of,
    common_name,
    day,
    fingerprint,
    leaf_of,
    local_chain,
    moment,
    name_problem,
    needs_configuration,
    needs_consent,
    pem,
    public_key_of,
    read_chain,
)
from archive_restore.adapters.signers import ExternalSigner, LocalSigner
from archive_restore.errors import KeysUnusable, StorageFailed
from archive_restore.ports import Signer
from archive_restore.records.findings import Finding, Severity

SIGNER, INCOMING, RETIRED = "signer", "signer.new", "retired"
CHAIN, KEY, COMMAND = "chain.pem", "key.pem", "command.json"
ANCHORS, LOG_KEY, LOG_PUBLIC_KEY = "anchors.pem", "log-key.pem", "log-key.pub.pem"

PUBLIC = (ANCHORS, LOG_PUBLIC_KEY, f"{SIGNER}/{CHAIN}")
"""What anybody may have: enough to read and verify an archive, nothing to sign with."""

WARN_DAYS = 365
"""An expiry is told of a year ahead."""

_PROBE = b"archive-restore asks for a signature over these bytes to see that key and certificate belong together\n"


# --- making and replacing ----------------------------------------------------------------------------


def create_keys(
    directory: Path, organization: str, passphrase: str | None, *, algorithm: str = "es256", now: str | None = None
) -> None:
    """Make the local signing key, its certificates and the Ed25519 log key in the new directory `keys/`.

    The private key of the local root is discarded (see certificates.local_chain). `algorithm` is `es256` or
    `ed25519`. Raises KeysUnusable where keys are there already or the name does not fit, StorageFailed.
    """
    if name_problem(organization):
        raise KeysUnusable(
            f"the organization's name {name_problem(organization)}", hint="It goes into the certificate; mend it"
        )
    key: PrivateKey = (
        ed25519.Ed25519PrivateKey.generate() if algorithm == "ed25519" else ec.generate_private_key(ec.SECP256R1())
    )
    chain = local_chain(organization, key, moment(now))
    if (directory / ANCHORS).exists():
        raise KeysUnusable(f"there are keys in {str(directory)!r} already", hint="Use: archive-restore keys import")
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory.chmod(0o700)
        (directory / SIGNER).mkdir(mode=0o700)
        _write(directory / SIGNER / CHAIN, chain.chain_pem.encode())
        _write(directory / SIGNER / KEY, _private_pem(key, passphrase))
        log_key = ed25519.Ed25519PrivateKey.generate()
        _write(directory / LOG_KEY, _private_pem(log_key, passphrase))
        _write(directory / LOG_PUBLIC_KEY, _public_pem(log_key.public_key()))
        # Last: its presence says that the rest is whole.
        _write(directory / ANCHORS, pem([chain.anchor]).encode())
        _sync(directory / SIGNER)
        _sync(directory)
    except OSError as exc:
        raise StorageFailed(f"keys cannot be written to {str(directory)!r}: {exc.strerror}") from exc


def import_keys(
    directory: Path,
    chain_pem: str,
    key_pem: bytes | None = None,
    *,
    command: Sequence[str] | None = None,
    key_passphrase: str | None = None,
    passphrase: str | None = None,
    consent: bool = False,
    now: str | None = None,
) -> KeyDescription:
    """Sign with the organization's own certificate from now on; the old key and chain go to `retired/`.

    `chain_pem` runs from the signing certificate to its root; the root (or the last certificate given) becomes a
    further anchor, so that older and newer manifests are both Trusted here. Either `key_pem` (opened with
    `key_passphrase`, stored under `passphrase`) or `command` (argv; bytes on stdin, signature on stdout). With
    `consent` a person agreed to a certificate of short life. Raises KeysUnusable; nothing is changed then.
    """
    when = moment(now)
    chain = read_chain(chain_pem, when)
    if (key_pem is None) == (command is None):
        raise KeysUnusable("give either a private key or a signing command, not both and not neither")
    if needs_consent(chain.leaf, when) and not consent:
        raise KeysUnusable(
            f"the certificate {common_name(chain.leaf)!r} ends on {day(chain.leaf.not_valid_after_utc)}, and manifests "
            "signed with it turn Invalid on that day unless they carry a time-stamp",
            hint=f"Use one that lasts {CONSENT_YEARS} years or more, or agree to it explicitly",
        )
    if command is not None:
        ExternalSigner(command=tuple(command), chain_pem=chain.chain_pem, anchors_pem=pem([chain.anchor])).sign(_PROBE)
        secret_name, secret = COMMAND, json.dumps({"command": list(command)}).encode()
    else:
        key = _load_private(key_pem or b"", key_passphrase, "the private key to import")
        if _raw(key.public_key()) != _raw(public_key_of(chain.leaf)):
            raise KeysUnusable(
                f"the private key does not belong to the certificate {common_name(chain.leaf)!r}",
                hint="Give the key for which the first certificate of the chain was issued",
            )
        secret_name, secret = KEY, _private_pem(key, passphrase)
    _replace_signer(directory, chain, secret_name, secret, when)
    return describe(directory, now=now)


def _replace_signer(directory: Path, chain: Chain, secret_name: str, secret: bytes, when: datetime) -> None:
    try:
        _finish_import(directory)
        incoming = directory / INCOMING
        shutil.rmtree(incoming, ignore_errors=True)
        incoming.mkdir(mode=0o700)
        _write(incoming / secret_name, secret)
        _write(incoming / CHAIN, chain.chain_pem.encode())
        _sync(incoming)
        _add_anchor(directory, chain.anchor)
        old = directory / SIGNER
        if old.exists():
            shelf = directory / RETIRED
            shelf.mkdir(mode=0o700, exist_ok=True)
            old.rename(_free_name(shelf / when.strftime("%Y%m%dT%H%M%SZ")))
        incoming.rename(old)
        _sync(directory)
    except OSError as exc:
        raise StorageFailed(f"keys cannot be written to {str(directory)!r}: {exc.strerror}") from exc


def _finish_import(directory: Path) -> None:
    """Complete an import that was cut off between its two renames."""
    incoming = directory / INCOMING
    if not (directory / SIGNER).exists() and (incoming / CHAIN).exists():
        incoming.rename(directory / SIGNER)


def _add_anchor(directory: Path, anchor: x509.Certificate) -> None:
    path = directory / ANCHORS
    known = certificates_of(path.read_text()) if path.exists() else ()
    if anchor in known:
        return
    fresh = directory / f"{ANCHORS}.new"
    fresh.unlink(missing_ok=True)
    _write(fresh, pem((*known, anchor)).encode())
    fresh.replace(path)


# --- loading -----------------------------------------------------------------------------------------


def load_signer(directory: Path, *, passphrase: str | None = None) -> Signer:
    """The signer whose key or command lies in `keys/`; raise KeysUnusable where it cannot be used."""
    try:
        _finish_import(directory)
        chain_pem = (directory / SIGNER / CHAIN).read_text()
        anchors_pem = (directory / ANCHORS).read_text()
        if (directory / SIGNER / COMMAND).exists():
            command = json.loads((directory / SIGNER / COMMAND).read_bytes())["command"]
            return ExternalSigner(command=tuple(command), chain_pem=chain_pem, anchors_pem=anchors_pem)
        secret = (directory / SIGNER / KEY).read_bytes()
    except OSError as exc:
        raise KeysUnusable(
            f"the signing key in {str(directory)!r} cannot be read: {exc.strerror}",
            hint="Restore the keys folder from a backup, or use: archive-restore keys import",
        ) from exc
    except (ValueError, KeyError, TypeError) as exc:
        raise KeysUnusable(f"{COMMAND} in {str(directory)!r} is damaged", hint="Import the command again") from exc
    return LocalSigner(
        key=_load_private(secret, passphrase, "the signing key"), chain_pem=chain_pem, anchors_pem=anchors_pem
    )


def load_anchors(directory: Path) -> str:
    """Every root ever used, as PEM; needs no passphrase. Raise KeysUnusable."""
    try:
        return (directory / ANCHORS).read_text()
    except OSError as exc:
        raise KeysUnusable(
            f"{ANCHORS} in {str(directory)!r} cannot be read: {exc.strerror}",
            hint="Restore the keys folder from a backup",
        ) from exc


def load_log_signer(directory: Path, *, passphrase: str | None = None) -> tuple[Callable[[bytes], bytes], bytes]:
    """A function that signs checkpoints with Ed25519 (64 bytes) and the raw public key (32 bytes)."""
    try:
        secret = (directory / LOG_KEY).read_bytes()
    except OSError as exc:
        raise KeysUnusable(
            f"the log key in {str(directory)!r} cannot be read: {exc.strerror}",
            hint="Restore the keys folder from a backup",
        ) from exc
    key = _load_private(secret, passphrase, "the log key")
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise KeysUnusable("the log key is not an Ed25519 key", hint="Restore the keys folder from a backup")
    return key.sign, _raw(key.public_key())


def load_log_public_key(directory: Path) -> bytes:
    """The raw public key of the log, 32 bytes; needs no passphrase, so that reading never asks. Raise KeysUnusable."""
    try:
        key = serialization.load_pem_public_key((directory / LOG_PUBLIC_KEY).read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm) as exc:
        raise KeysUnusable(
            f"{LOG_PUBLIC_KEY} in {str(directory)!r} cannot be read", hint="Restore the keys folder from a backup"
        ) from exc
    if not isinstance(key, ed25519.Ed25519PublicKey):
        raise KeysUnusable("the log's public key is not an Ed25519 key", hint="Restore the keys folder from a backup")
    return _raw(key)


def is_encrypted(directory: Path) -> bool:
    """Whether the log key asks for a passphrase; the signing key of this directory then does too."""
    try:
        return b"ENCRYPTED" in (directory / LOG_KEY).read_bytes()
    except OSError:
        return False


# --- telling -----------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class KeyDescription:
    """What `keys show` says of the signing certificate."""

    subject: str
    issuer: str
    algorithm: str
    """`es256` or `ed25519`."""
    valid_from: str
    """Date."""
    valid_until: str
    """Date: manifests without a time-stamp turn Invalid the day after."""
    fingerprint_sha256: str
    """As `openssl x509 -fingerprint -sha256` prints it."""
    key: str
    """Where the private key is."""
    local: bool
    """Whether the archive made the certificate itself."""
    anchors: int
    """Roots under which older and newer manifests are Trusted here."""
    retired: tuple[str, ...]
    """Dates of earlier signers."""
    trust: str
    """Valid versus Trusted in plain words."""
    needs_consent: bool
    """Whether the certificate is so short-lived that a person had to agree to it."""
    findings: tuple[Finding, ...]


def describe(directory: Path, *, now: str | None = None) -> KeyDescription:
    """Tell of the signing certificate without opening the private key; raise KeysUnusable."""
    when = moment(now)
    try:
        _finish_import(directory)
        chain_pem = (directory / SIGNER / CHAIN).read_text()
    except OSError as exc:
        raise KeysUnusable(
            f"the certificate in {str(directory)!r} cannot be read: {exc.strerror}",
            hint="Restore the keys folder from a backup",
        ) from exc
    leaf = leaf_of(chain_pem)
    local = "archive-restore local root" in leaf.issuer.rfc4514_string()
    shelf = directory / RETIRED
    return KeyDescription(
        subject=leaf.subject.rfc4514_string(),
        issuer=leaf.issuer.rfc4514_string(),
        algorithm=algorithm_of(leaf),
        valid_from=day(leaf.not_valid_before_utc),
        valid_until=day(leaf.not_valid_after_utc),
        fingerprint_sha256=fingerprint(leaf),
        key=_key_words(directory),
        local=local,
        anchors=len(certificates_of(load_anchors(directory))),
        retired=tuple(sorted(p.name for p in shelf.iterdir())) if shelf.is_dir() else (),
        trust=_trust_words(local),
        needs_consent=needs_consent(leaf, when),
        findings=tuple(_key_findings(directory, leaf, when)),
    )


def _trust_words(local: bool) -> str:
    if local:
        return (
            "Manifests signed here read as Trusted in this archive and as Valid elsewhere: intact since signing, but "
            "by a signer the reader does not know. They become Trusted for others when they add the archive's root "
            f"({ANCHORS}) to their trust list, or when the organization signs with a certificate from a known "
            "authority (archive-restore keys import)."
        )
    return (
        "Manifests signed here read as Trusted in this archive, and elsewhere wherever the issuer's root is on the "
        "reader's trust list; on other machines they read as Valid: intact, by a signer the reader does not know."
    )


def _key_words(directory: Path) -> str:
    if (directory / SIGNER / COMMAND).exists():
        return "held by an external signing command"
    path = directory / SIGNER / KEY
    encrypted = path.exists() and b"ENCRYPTED PRIVATE KEY" in path.read_bytes()
    return f"{SIGNER}/{KEY}, " + ("encrypted with a passphrase" if encrypted else "not encrypted")


def _key_findings(directory: Path, leaf: x509.Certificate, when: datetime) -> list[Finding]:
    found = []
    until = day(leaf.not_valid_after_utc)

    def add(code: str, severity: Severity, message: str, clause: str = "") -> None:
        found.append(Finding(code=code, severity=severity, subject="keys", message=message, clause=clause))

    if leaf.not_valid_after_utc < when:
        message = f"The signing certificate ended on {until}; nothing can be signed. Import a new one."
        add("KEYS_EXPIRED", Severity.ERROR, message, "RFC 5280 §4.1.2.5")
    elif leaf.not_valid_after_utc < when + timedelta(days=WARN_DAYS):
        message = (
            f"The signing certificate ends on {until}. After that day its manifests without a time-stamp read as "
            "Invalid: import a longer-lived certificate before then, and make restorations anew under it."
        )
        add("KEYS_EXPIRE_SOON", Severity.WARNING, message, "C2PA 2.2 §15.8")
    elif needs_consent(leaf, when):
        message = f"The signing certificate lasts only until {until}; without a time-stamp its manifests end with it."
        add("KEYS_SHORT_LIVED", Severity.WARNING, message, "C2PA 2.2 §15.8")
    if needs_configuration(leaf):
        message = (
            "The certificate's purpose is not emailProtection: readers that are not configured for it call the "
            "manifests Invalid. This archive accepts it."
        )
        add("KEYS_PURPOSE_UNUSUAL", Severity.WARNING, message, "C2PA 2.2 §14.5.1")
    secrets = [p for p in (directory, *directory.rglob("*")) if p.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)]
    if secrets:
        mode = "0700" if secrets[0].is_dir() else "0600"
        message = f"Others on this machine may read {secrets[0].name!r}; set its mode to {mode}."
        add("KEYS_EXPOSED", Severity.WARNING, message)
    return found


# --- bytes -------------------------------------------------------------------------------------------


def _load_private(secret: bytes, passphrase: str | None, what: str) -> PrivateKey:
    try:
        key = serialization.load_pem_private_key(secret, passphrase.encode() if passphrase else None)
    except TypeError as exc:
        if passphrase:  # the library's way to say that the key is not encrypted
            return _load_private(secret, None, what)
        raise KeysUnusable(f"{what} is encrypted and no passphrase was given", hint="Give the passphrase") from exc
    except (ValueError, UnsupportedAlgorithm) as exc:
        reason = "the passphrase is wrong or the file is damaged" if passphrase else "it is not a private key in PEM"
        raise KeysUnusable(f"{what} cannot be opened: {reason}") from exc
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    raise KeysUnusable(f"{what} is of a kind that is not supported", hint="Use ECDSA on P-256 (ES256) or Ed25519")


def _private_pem(key: PrivateKey, passphrase: str | None) -> bytes:
    encryption: serialization.KeySerializationEncryption = (
        serialization.BestAvailableEncryption(passphrase.encode()) if passphrase else serialization.NoEncryption()
    )
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def _public_pem(key: PublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _raw(public: PublicKey) -> bytes:
    if isinstance(public, ed25519.Ed25519PublicKey):
        return public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return public.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)


def _write(path: Path, data: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _free_name(path: Path) -> Path:
    number = 2
    candidate = path
    while candidate.exists():
        candidate = path.with_name(f"{path.name}-{number}")
        number += 1
    return candidate
