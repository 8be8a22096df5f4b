"""The text of a log checkpoint: C2SP tlog-checkpoint inside a C2SP signed-note, Ed25519 (signature type 0x01).

Pure formatting and parsing: signing and verifying are callables. Parsing is strict, so that a note has one
byte form only and no changed bit goes unseen.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable
from dataclasses import dataclass

ED25519 = 0x01
"""Signature type byte of signed-note."""
SIGNATURE_SIZE = 64
_DASH = "— "


class CheckpointMalformed(ValueError):
    """The text is no checkpoint; the message names the line."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """What the log promises: so many entries, with this tree hash."""

    origin: str
    """Name of the log, and of the key that signs it; no spaces, no `+`."""
    size: int
    """Entries."""
    root: bytes
    """32 bytes: RFC 6962 tree hash."""

    def text(self) -> bytes:
        """The signed part: three lines, each ended."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n".encode()


@dataclass(frozen=True, kw_only=True)
class SignedCheckpoint:
    """A checkpoint and the signature of the log's own key."""

    checkpoint: Checkpoint
    key_id: bytes
    """4 bytes that hint at the key."""
    signature: bytes
    """64 bytes, over `checkpoint.text()`."""


def origin_problem(origin: str) -> str:
    """Say what is wrong with a log's name (signed-note: key names); an empty string if nothing is."""
    if not origin:
        return "is empty"
    if "+" in origin or any(ch.isspace() or not ch.isprintable() for ch in origin):
        return "holds a space, a `+` or a character that cannot be printed"
    return ""


def key_id(origin: str, public_key: bytes) -> bytes:
    """First 4 bytes of SHA-256(name ‖ 0x0A ‖ 0x01 ‖ key) (signed-note §Signatures)."""
    return hashlib.sha256(origin.encode() + b"\n" + bytes([ED25519]) + public_key).digest()[:4]


def verifier_key(origin: str, public_key: bytes) -> str:
    """The public key as signed-note writes it: `<name>+<key ID>+<type and key>`."""
    return f"{origin}+{key_id(origin, public_key).hex()}+{base64.b64encode(bytes([ED25519]) + public_key).decode()}"


def sign_checkpoint(checkpoint: Checkpoint, public_key: bytes, sign: Callable[[bytes], bytes]) -> bytes:
    """The signed note as it is stored; raise ValueError for a name or signature that cannot stand in one."""
    problem = origin_problem(checkpoint.origin)
    if problem:
        raise ValueError(f"the log's name {checkpoint.origin!r} {problem}")
    signature = sign(checkpoint.text())
    if len(signature) != SIGNATURE_SIZE:
        raise ValueError(f"an Ed25519 signature has {SIGNATURE_SIZE} bytes, not {len(signature)}")
    return render(
        SignedCheckpoint(checkpoint=checkpoint, key_id=key_id(checkpoint.origin, public_key), signature=signature)
    )


def render(note: SignedCheckpoint) -> bytes:
    """Bytes of a signed checkpoint."""
    mark = base64.b64encode(note.key_id + note.signature).decode()
    return note.checkpoint.text() + f"\n{_DASH}{note.checkpoint.origin} {mark}\n".encode()


def parse(data: bytes) -> SignedCheckpoint:
    """Read a signed checkpoint of the one form that `render` writes; raise CheckpointMalformed."""
    try:
        lines = data.decode().split("\n")
    except UnicodeDecodeError as exc:
        raise CheckpointMalformed("it is not UTF-8 text") from exc
    if len(lines) != 6 or lines[3] or lines[5]:
        raise CheckpointMalformed("it must have three lines, an empty line and a signature")
    origin, size_text, root_text, _, mark, _ = lines
    if not (size_text.isascii() and size_text.isdigit() and str(int(size_text)) == size_text):
        raise CheckpointMalformed("line 2 must be the number of entries")
    if not mark.startswith(f"{_DASH}{origin} "):
        raise CheckpointMalformed("line 5 must be the signature of the key named in line 1")
    signed = _decoded(mark[len(_DASH) + len(origin) + 1 :], 4 + SIGNATURE_SIZE, "line 5")
    note = SignedCheckpoint(
        checkpoint=Checkpoint(origin=origin, size=int(size_text), root=_decoded(root_text, 32, "line 3")),
        key_id=signed[:4],
        signature=signed[4:],
    )
    if render(note) != data:
        raise CheckpointMalformed("it is not in its one form (base64 padding, line ends)")
    return note


def _decoded(text: str, size: int, where: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise CheckpointMalformed(f"{where} is not base64") from exc
    if len(data) != size:
        raise CheckpointMalformed(f"{where} must hold {size} bytes")
    return data
