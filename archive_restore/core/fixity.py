"""Fixity checks as events: what was read again and had the digests that the log vouches for (PREMIS 3 §2.1).

A check of many versions is one event whose `digests` name them; each of them has its own view of that event.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace

from archive_restore.core.canonical import canonical_bytes
from archive_restore.records.provenance import Event

FIXITY_CHECK = "fixity check"
"""PREMIS event type."""
MANY = "*"
"""`ref` of an event about the versions that its digests name; no item can be called so."""


def state_digest(digests: Mapping[str, str]) -> str:
    """One digest for all files of a version: sha256 of their names and digests as RFC 8785 JSON."""
    return f"sha256:{hashlib.sha256(canonical_bytes(dict(digests))).hexdigest()}"


def each_subject(event: Event) -> Iterator[Event]:
    """The event as each version sees it: with its own REF and its own digest only."""
    if event.ref != MANY:
        yield event
        return
    for ref, digest in event.digests.items():
        yield replace(event, ref=ref, digests={"files": digest})
