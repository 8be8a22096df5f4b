"""Proofs that travel without the log: C2SP tlog-proof, and the consistency proof as C2SP tlog-witness sends it.

Pure formatting and parsing. A proof carries the entry itself as `extra`: whoever hashes it needs nothing else.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass

from archive_restore.core.checkpoint import CheckpointMalformed, parse
from archive_restore.core.merkle import HASH_SIZE, leaf_hash, verify_inclusion

FIRST_LINE = "c2sp.org/tlog-proof@v1"
SUFFIX = ".tlog-proof"
"""Of the files (tlog-proof §Conventions)."""
LONGEST_PATH = 63
"""Hashes of an audit path: no tree is higher."""


class ProofMalformed(ValueError):
    """The text is no proof; the message says why."""


@dataclass(frozen=True, kw_only=True)
class LogProof:
    """That an entry is in a log."""

    index: int
    """Of the entry, from 0."""
    path: tuple[bytes, ...]
    """Audit path, the leaf's sibling first (RFC 6962 §2.1.1)."""
    checkpoint: bytes
    """The signed checkpoint, verbatim."""
    entry: bytes
    """The line of the log without its end, as it was hashed; empty where the proof does not carry it."""


def render_proof(proof: LogProof) -> bytes:
    """Bytes of a tlog-proof."""
    lines = [FIRST_LINE]
    if proof.entry:
        lines.append(f"extra {_base64(proof.entry)}")
    lines += [f"index {proof.index}", *map(_base64, proof.path), "", ""]
    return "\n".join(lines).encode() + proof.checkpoint


def parse_proof(data: bytes) -> LogProof:
    """Read a tlog-proof of the one form that `render_proof` writes; raise ProofMalformed."""
    head, gap, checkpoint = data.partition(b"\n\n")
    try:
        lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError as exc:
        raise ProofMalformed("it is not text") from exc
    if not gap or lines.pop(0) != FIRST_LINE:
        raise ProofMalformed(f"its first line is not {FIRST_LINE!r}, or the checkpoint is missing")
    entry = _decoded(lines.pop(0)[6:]) if lines and lines[0].startswith("extra ") else b""
    word, _, number = lines.pop(0).partition(" ") if lines else ("", "", "")
    if word != "index" or not (number.isdigit() and len(number) < 17 and str(int(number)) == number):
        raise ProofMalformed("the index is missing or no number")
    path = tuple(_decoded(line) for line in lines)
    if len(path) > LONGEST_PATH or any(len(node) != HASH_SIZE for node in path):
        raise ProofMalformed("its audit path is no list of SHA-256 hashes")
    proof = LogProof(index=int(number), path=path, checkpoint=checkpoint, entry=entry)
    if render_proof(proof) != data:
        raise ProofMalformed("it is not in its one form (base64 padding, line ends)")
    return proof


def proof_problem(proof: LogProof, entry: bytes) -> str:
    """Say why a proof does not show that this entry is in its checkpoint; empty if it does. Signatures are not seen."""
    try:
        promised = parse(proof.checkpoint).checkpoint
    except CheckpointMalformed as exc:
        return f"its checkpoint is malformed: {exc}"
    if proof.index >= promised.size:
        return f"it is about entry {proof.index} and its checkpoint covers {promised.size}"
    if not verify_inclusion(leaf_hash(entry), proof.index, promised.size, proof.path, promised.root):
        return "its hashes do not lead from this entry to the checkpoint's tree hash"
    return ""


def render_consistency(earlier: int, path: Sequence[bytes], checkpoint: bytes) -> bytes:
    """That a checkpoint extends the tree of the first `earlier` entries: the body of tlog-witness `add-checkpoint`."""
    return "\n".join([f"old {earlier}", *map(_base64, path), "", ""]).encode() + checkpoint


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise ProofMalformed("a line is not base64") from exc
