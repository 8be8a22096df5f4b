"""Evidence of the audit log that goes along with packages, for those who do not believe us."""

from __future__ import annotations

import base64

from archive_restore.records.packages import Package


def evidence(package: Package) -> dict[str, bytes]:
    """Lines, proofs, the signed checkpoint and the public key, by their paths below the package's content."""
    logged = sorted(
        {told.index: told for version in package.versions for told in version.logged}.values(),
        key=lambda told: told.index,
    )
    files = {"log/entries.jsonl": b"".join(told.line + b"\n" for told in logged)}
    files |= {f"log/proofs/{told.index}.tlog-proof": told.proof for told in logged if told.proof}
    files |= {"log/checkpoint": package.checkpoint, "log/log-key.vkey": package.log_key}
    files |= {"log/log-key.pem": _pem(package.log_key)} if package.log_key else {}
    return {path: data for path, data in files.items() if data}


def _pem(verifier_key: bytes) -> bytes:
    """The log's key as OpenSSL reads it: SubjectPublicKeyInfo of Ed25519 (RFC 8410 §4)."""
    raw = base64.b64decode(verifier_key.decode().split("+", 2)[2])[1:]
    text = base64.b64encode(bytes.fromhex("302a300506032b6570032100") + raw).decode()
    return f"-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n".encode()
