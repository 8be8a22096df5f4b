"""What a manifest store says, told as findings in plain words (C2PA 2.2 §15, validation status codes).

Every failure the library reports becomes a finding that names the library's own code; none is passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from archive_restore.adapters.c2pa_chain import chain
from archive_restore.adapters.c2pa_library import Store, failures
from archive_restore.core.credential_words import ABSENT, REMOTE, status_words
from archive_restore.core.labels import plain_text
from archive_restore.core.manifests import DERIVATION_ASSERTION, MAP_ASSERTION
from archive_restore.ports import CredentialReport
from archive_restore.records.findings import Finding, Severity

MAP_TITLE = "synthesis map"
"""Title of the ingredient that carries the map (core.claims.preservation_manifest)."""
_REMOTE = "must fetch remote manifests"
"""What the library says where a file names an address instead of holding a store."""
WARN_DAYS = 365
"""An expiry is told of a year ahead."""


def report(store: Store | None, subject: str, now: datetime) -> CredentialReport:
    """Render what was read; no store gives the state `none` and the finding C2PA_NONE."""
    if store is None:
        finding = Finding(code="C2PA_NONE", severity=Severity.INFO, subject=subject, message=ABSENT)
        return _empty("none", finding)
    signature = store.manifest.get("signature_info", {})
    name, organization = str(signature.get("common_name", "")), str(signature.get("issuer", ""))
    return CredentialReport(
        state=store.state.lower(),
        signer=", ".join(text for text in (name, organization) if text),
        algorithm=str(signature.get("alg", "")).lower(),
        when=_when(store),
        findings=(*_findings(store, subject), *_horizon_findings(store, subject, now)),
        map_png=store.resources.get(MAP_TITLE),
        derivation=assertion(store, DERIVATION_ASSERTION),
        chain=chain(store),
    )


def unreadable(subject: str, why: str) -> CredentialReport:
    """What is said of a store that cannot be parsed, or that lies elsewhere."""
    if _REMOTE in why:
        remote = Finding(
            code="C2PA_REMOTE", severity=Severity.WARNING, subject=subject, message=REMOTE, clause="C2PA 2.2 §11.4"
        )
        return _empty("none", remote)
    message = f"The content credentials cannot be read: {plain_text(why, 500)}"
    finding = Finding(
        code="C2PA_UNREADABLE", severity=Severity.ERROR, subject=subject, message=message, clause="C2PA 2.2 §15.5"
    )
    return _empty("invalid", finding)


def assertion(store: Store, label: str) -> Mapping[str, Any] | None:
    """Content of an assertion of the active manifest by its full label."""
    # The library drops `.v1`, the version that a label without one has (C2PA 2.2 §6.2).
    for name in (label, label.removesuffix(".v1")):
        found = store.assertions.get(name)
        if isinstance(found, Mapping):
            return found
    return None


def map_statement(store: Store) -> Mapping[str, Any] | None:
    """Content of the synthesis map's assertion."""
    return assertion(store, MAP_ASSERTION)


def certificate_horizon(stores: Iterable[Store]) -> str:
    """Earliest end of a signing certificate on which a manifest depends, RFC 3339; empty where there is none.

    Until then everything given stays as it is. Manifests with a time-stamp do not depend on it (C2PA 2.2 §15.8).
    """
    ends = [store.not_after for store in stores if store.not_after and not _time_stamp(store)]
    return min(ends, key=datetime.fromisoformat, default="")


def _empty(state: str, finding: Finding) -> CredentialReport:
    return CredentialReport(
        state=state, signer="", algorithm="", when="", findings=(finding,), map_png=None, derivation=None
    )


def _time_stamp(store: Store) -> str:
    return str(store.manifest.get("signature_info", {}).get("time") or "")


def _when(store: Store) -> str:
    """The time-stamp, else the latest time that an action claims."""
    actions = assertion(store, "c2pa.actions.v2") or {}
    claimed = [str(action["when"]) for action in actions.get("actions", ()) if action.get("when")]
    return _time_stamp(store) or max(claimed, default="")


def _findings(store: Store, subject: str) -> list[Finding]:
    found: dict[str, Finding] = {}
    for status in failures(store):
        word, explanation = str(status.get("code", "")), str(status.get("explanation", ""))
        words = status_words(word, explanation)
        clause = f"C2PA 2.2 §15.2.2 {word}"
        finding = Finding(
            code=words.finding,
            severity=words.severity,
            subject=subject,
            message=f"{words.means} {words.means_not}",
            clause=clause,
        )
        found.setdefault(clause, finding)
    if store.state == "Invalid" and not any(f.severity is Severity.ERROR for f in found.values()):
        message = "The C2PA library calls the manifest invalid without saying why."
        found["invalid"] = Finding(code="C2PA_INVALID", severity=Severity.ERROR, subject=subject, message=message)
    return list(found.values())


def _horizon_findings(store: Store, subject: str, now: datetime) -> list[Finding]:
    end = certificate_horizon([store])
    if not end or not now < datetime.fromisoformat(end) < now + timedelta(days=WARN_DAYS):
        return []
    message = (
        f"The signing certificate ends on {end[:10]} and the manifest has no time-stamp: from that day it reads as "
        "Invalid. Import a longer-lived certificate before then and make restorations anew."
    )
    return [
        Finding(
            code="C2PA_EXPIRES_SOON",
            severity=Severity.WARNING,
            subject=subject,
            message=message,
            clause="C2PA 2.2 §15.8",
        )
    ]
