"""A manifest store told as a chain, from the newest manifest back to the first, in plain words (C2PA 2.2).

Everything in a manifest was written by somebody: it is carried as text and bounded, never believed and never run.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from typing import Any

from archive_restore.adapters.c2pa_library import Store, failures, remarks
from archive_restore.core.access_claims import ACCESS_ASSERTION
from archive_restore.core.credential_words import (
    action_words,
    relationship_words,
    remark_words,
    source_words,
    status_words,
)
from archive_restore.core.manifests import DERIVATION_ASSERTION, MAP_ASSERTION, SOFT_BINDING_ALGORITHM
from archive_restore.core.story_claims import OUTCOME_ASSERTION
from archive_restore.records.credentials import (
    CredentialChain,
    Objection,
    StatedAction,
    StatedIngredient,
    StatedManifest,
)

OWN_ASSERTIONS = (ACCESS_ASSERTION, DERIVATION_ASSERTION, MAP_ASSERTION, OUTCOME_ASSERTION)
MAX_MANIFESTS = 100
MAX_LISTED = 200
"""Actions, ingredients and assertions told of one manifest."""
MAX_THUMBNAIL = 4 << 20
"""Bytes."""
MAX_TEXT = 2_000
"""Characters of one text."""

_IPTC = re.compile(r"https?://cv\.iptc\.org/newscodes/digitalsourcetype/(\w+)/?")
_MANIFEST = re.compile(r"self#jumbf=/c2pa/([^/]+)")


def chain(store: Store) -> CredentialChain:
    """All manifests of a store; never raises for what they hold."""
    objections = tuple(_objections(store))
    line = list(_line(store))
    others = [label for label in store.manifests if label not in line]
    labels = [*line, *others][:MAX_MANIFESTS]
    return CredentialChain(
        manifests=tuple(_manifest(store, label, objections) for label in labels),
        parents=min(len(line), len(labels)),
        objections=objections,
        statements=_statements(store),
        soft_binding=_soft_binding(store),
        thumbnail=store.thumbnail if len(store.thumbnail) <= MAX_THUMBNAIL else b"",
    )


def _line(store: Store) -> Iterator[str]:
    """Labels from the active manifest along `parentOf`; a forged store must not lead round in circles."""
    label, seen = store.active, set[str]()
    while label in store.manifests and label not in seen:
        seen.add(label)
        yield label
        ingredients = _mappings(store.manifests[label].get("ingredients"))
        parents = [ingredient for ingredient in ingredients if ingredient.get("relationship") == "parentOf"]
        label = _text(parents[0].get("active_manifest")) if parents else ""


def _manifest(store: Store, label: str, objections: tuple[Objection, ...]) -> StatedManifest:
    manifest = store.manifests[label]
    signature = _mapping(manifest.get("signature_info"))
    certificate = _mapping(_mapping(store.signatures.get(label)).get("certificateInfo"))
    assertions = [_text(assertion.get("label")) for assertion in _mappings(manifest.get("assertions"))]
    own = [name for name in assertions if name.startswith("org.archive-restore.")]
    actions = tuple(_action(action) for action in _actions(manifest))
    stamp = _text(signature.get("time"))
    return StatedManifest(
        label=label[:MAX_TEXT],
        title=_text(manifest.get("title")),
        generator=_generator(manifest),
        signer=_name(_text(signature.get("common_name")), _text(signature.get("issuer"))),
        issuer=_distinguished(_mapping(certificate.get("issuer"))),
        algorithm=_text(signature.get("alg")).lower(),
        when=stamp or max((action.when for action in actions), default=""),
        stamped=bool(stamp),
        actions=actions,
        ingredients=tuple(_ingredient(found) for found in _mappings(manifest.get("ingredients"))[:MAX_LISTED]),
        own=tuple(own[:MAX_LISTED]),
        others=tuple(name for name in assertions if name not in own)[:MAX_LISTED],
        trusted=_trusted(label, signature, objections),
    )


def _trusted(label: str, signature: Mapping[str, Any], objections: tuple[Objection, ...]) -> bool | None:
    codes = {objection.code for objection in objections if objection.manifest == label}
    if not signature or any(code.startswith(("claimSignature.", "claim.")) for code in codes):
        return None
    return not any(code.startswith("signingCredential.") for code in codes)


def _generator(manifest: Mapping[str, Any]) -> str:
    infos = _mappings(manifest.get("claim_generator_info"))
    named = [" ".join(filter(None, (_text(info.get("name")), _text(info.get("version"))))) for info in infos]
    return ", ".join(filter(None, named)) or _text(manifest.get("claim_generator"))


def _actions(manifest: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = [
        action
        for assertion in _mappings(manifest.get("assertions"))
        if re.fullmatch(r"c2pa\.actions(\.v\d+)?(__\d+)?", _text(assertion.get("label")))
        for action in _mappings(_mapping(assertion.get("data")).get("actions"))
    ]
    return found[:MAX_LISTED]


def _action(action: Mapping[str, Any]) -> StatedAction:
    label = _text(action.get("action"))
    software = action.get("softwareAgent")
    if isinstance(software, Mapping):
        software = " ".join(filter(None, (_text(software.get("name")), _text(software.get("version")))))
    kind = _text(action.get("digitalSourceType"))
    known = _IPTC.fullmatch(kind)
    kind = known[1] if known else kind
    changes = _mappings(action.get("changes"))
    return StatedAction(
        action=label,
        words=action_words(label),
        description=_text(action.get("description")),
        when=_text(action.get("when")),
        software=_text(software),
        source_type=kind,
        source_words=source_words(kind),
        regions=sum(len(_mappings(change.get("region"))) for change in changes),
    )


def _ingredient(found: Mapping[str, Any]) -> StatedIngredient:
    relationship = _text(found.get("relationship"))
    return StatedIngredient(
        title=_text(found.get("title")),
        format=_text(found.get("format")),
        relationship=relationship,
        words=relationship_words(relationship),
        manifest=_text(found.get("active_manifest")),
        description=_text(found.get("description")),
    )


def _objections(store: Store) -> Iterator[Objection]:
    seen = set()
    told = [(status, status_words) for status in failures(store)]
    told += [(status, remark_words) for status in remarks(store)]
    for status, words_of in told:
        code, explanation = _text(status.get("code")), _text(status.get("explanation"))
        about = _MANIFEST.match(_text(status.get("url")))
        label = about[1] if about else ""
        if (code, label) in seen:
            continue
        seen.add((code, label))
        words = words_of(code, explanation)
        yield Objection(
            code=code, finding=words.finding, severity=words.severity, manifest=label, means=words.means,
            means_not=words.means_not,
        )  # fmt: skip


def _statements(store: Store) -> dict[str, Any]:
    # The library drops `.v1`, the version that a label without one has (C2PA 2.2 §6.2).
    found = {}
    for label in OWN_ASSERTIONS:
        content = store.assertions.get(label) or store.assertions.get(label.removesuffix(".v1"))
        if isinstance(content, Mapping):
            found[label] = content
    return found


def _soft_binding(store: Store) -> bytes:
    content = _mapping(store.assertions.get("c2pa.soft-binding"))
    if content.get("alg") != SOFT_BINDING_ALGORITHM:
        return b""
    for block in _mappings(content.get("blocks")):
        try:
            value = base64.b64decode(_text(block.get("value")), validate=True)
        except (binascii.Error, ValueError):
            continue
        if len(value) == 32:
            return value
    return b""


def _name(common: str, organization: str) -> str:
    return ", ".join(text for text in (common, organization) if text)


def _distinguished(parts: Mapping[str, Any]) -> str:
    return _name(_text(parts.get("CN")), _text(parts.get("O")))


def _text(value: object) -> str:
    return value[:MAX_TEXT] if isinstance(value, str) else ""


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _mappings(value: object) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list | tuple) else []
