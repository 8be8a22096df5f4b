"""Signers: a key in memory, or a command that holds the key (C2PA 2.2 §13.2 signature algorithms).

Every signature is verified against the leaf certificate before it is handed out, so that a wrong key or a
misbehaving token never gets into a manifest.
"""

from __future__ import annotations

import subprocess

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from archive_restore.adapters.certificates import PrivateKey, PublicKey, algorithm_of, leaf_of, public_key_of
from archive_restore.errors import KeysUnusable
from archive_restore.ports import Signer

COMMAND_SECONDS = 60.0
"""How long an external signing command may take: long enough to touch a token."""


class _ChainSigner(Signer):
    """What local and external signers share: the certificates, and the check of every signature."""

    def __init__(self, *, chain_pem: str, anchors_pem: str) -> None:
        leaf = leaf_of(chain_pem)
        self._public = public_key_of(leaf)
        self._algorithm = algorithm_of(leaf)
        self._chain_pem = chain_pem
        self._anchors_pem = anchors_pem

    @property
    def algorithm(self) -> str:
        """`es256` or `ed25519`."""
        return self._algorithm

    @property
    def chain_pem(self) -> str:
        """Leaf certificate first, then intermediates; PEM."""
        return self._chain_pem

    @property
    def anchors_pem(self) -> str:
        """Every root this archive ever used; PEM."""
        return self._anchors_pem

    def sign(self, data: bytes) -> bytes:
        """Raw signature, verified against the leaf certificate before it is handed out."""
        signature = self._sign(data)
        for candidate in (signature, _raw_from_der(signature)):
            if candidate and _verifies(self._public, candidate, data):
                return candidate
        raise KeysUnusable(
            f"a signature by {type(self).__name__} does not verify with the certificate",
            hint="Key and certificate do not belong together, or the signing command signs something else",
        )

    def _sign(self, data: bytes) -> bytes:
        raise KeysUnusable("this signer has no key")


class LocalSigner(_ChainSigner):
    """Signs with a private key held in memory."""

    def __init__(self, *, key: PrivateKey, chain_pem: str, anchors_pem: str) -> None:
        super().__init__(chain_pem=chain_pem, anchors_pem=anchors_pem)
        self._key = key

    def _sign(self, data: bytes) -> bytes:
        if isinstance(self._key, ed25519.Ed25519PrivateKey):
            return self._key.sign(data)
        return self._key.sign(data, ec.ECDSA(hashes.SHA256()))


class ExternalSigner(_ChainSigner):
    """Signs by running a command that holds the key: a smart card, an HSM tool, a signing service's client.

    The command gets the bytes to be signed on stdin (not their digest) and writes the signature to stdout: raw,
    or for ES256 also ASN.1 DER as `openssl dgst -sha256 -sign` does.
    """

    def __init__(
        self, *, command: tuple[str, ...], chain_pem: str, anchors_pem: str, seconds: float = COMMAND_SECONDS
    ) -> None:
        super().__init__(chain_pem=chain_pem, anchors_pem=anchors_pem)
        if not command or not all(isinstance(word, str) and word for word in command):
            raise KeysUnusable("the signing command is empty", hint="Give the program and its arguments")
        self._command = command
        self._seconds = seconds

    def _sign(self, data: bytes) -> bytes:
        program = self._command[0]
        try:
            done = subprocess.run(self._command, input=data, capture_output=True, timeout=self._seconds, check=False)
        except subprocess.TimeoutExpired as exc:
            raise KeysUnusable(
                f"the signing command {program!r} gave no signature within {self._seconds:g} seconds",
                hint="Is the token plugged in and unlocked?",
            ) from exc
        except OSError as exc:
            raise KeysUnusable(f"the signing command {program!r} cannot be run: {exc.strerror}") from exc
        if done.returncode != 0:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            raise KeysUnusable(
                f"the signing command {program!r} ended with {done.returncode}"
                + (f": {said[-1][:200]}" if said else "")
            )
        return done.stdout


def _verifies(public: PublicKey, signature: bytes, data: bytes) -> bool:
    if len(signature) != 64:
        return False
    try:
        if isinstance(public, ed25519.Ed25519PublicKey):
            public.verify(signature, data)
        else:
            r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
            public.verify(encode_dss_signature(r, s), data, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def _raw_from_der(signature: bytes) -> bytes:
    """r‖s of an ASN.1 DER ECDSA signature (RFC 3279 §2.2.3); empty where it is none."""
    try:
        r, s = decode_dss_signature(signature)
        return r.to_bytes(32) + s.to_bytes(32)
    except (ValueError, OverflowError):
        return b""
