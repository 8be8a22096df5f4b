"""The one place that talks to the c2pa library: signing, reading, and its errors told once as ours (C2PA 2.2).

Every Reader and Builder gets an offline context; the library never sees a key, never writes over a file that
is there, and never opens the file that a sidecar is signed for.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import io
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import c2pa

from archive_restore.adapters.certificates import SIGNING_PURPOSES
from archive_restore.adapters.durable import storage_errors
from archive_restore.errors import CredentialsFailed, SelfCheckFailed
from archive_restore.ports import Signer

EMBED_LIMIT = 256 * 1024 * 1024
"""Largest file that gets its manifest embedded, in bytes: signing a TIFF takes twice its size in memory (measured:
575 MB for 256 MiB), reading once. Above it a sidecar is signed, whose cost does not depend on the file's size."""

_ANY_BYTES = "application/octet-stream"
"""With a sidecar the asset's format does not matter; as plain bytes it is hashed in a stream (0.56 GB for any size)
where `image/tiff` would be read into memory whole."""
_BUFFER = 1 << 20  # the library reads a few KiB at a time
_STORE = "application/c2pa"
_DATA_HASH = "c2pa.hash.data"
_ALGORITHMS = {"es256": c2pa.C2paSigningAlg.ES256, "ed25519": c2pa.C2paSigningAlg.ED25519}


@dataclass(frozen=True, kw_only=True)
class ParentIngredient:
    """The file a derivative was made from, with its own manifest."""

    path: Path
    mime: str
    store: bytes
    """Its C2PA manifest store."""
    embedded: bool = False
    """Whether the store lies inside the file."""


@dataclass(frozen=True, kw_only=True)
class Store:
    """A manifest store as the library read and judged it."""

    state: str
    """`Invalid`, `Valid` or `Trusted`."""
    active: str
    """Label of the active manifest."""
    manifests: Mapping[str, Mapping[str, Any]]
    """Every manifest by label."""
    assertions: Mapping[str, Any]
    """Content of the active manifest's assertions by label, as it was signed."""
    results: Mapping[str, Any]
    """Validation results: `activeManifest` and `ingredientDeltas`, with the library's status codes."""
    not_after: str
    """When the signing certificate ends, RFC 3339; empty where the library could not say."""
    resources: Mapping[str, bytes]
    """Bytes of the active manifest's data ingredients, by title."""
    thumbnail: bytes = b""
    """Small picture of what was signed, of the active manifest (C2PA 2.2 §18.11); empty where there is none."""
    signatures: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What is known of each manifest's signature by label: `algorithm`, `certificateInfo`."""

    @property
    def manifest(self) -> Mapping[str, Any]:
        """The active manifest."""
        return self.manifests.get(self.active, {})


def sign_sidecar(
    manifest: Mapping[str, Any],
    signer: Signer,
    *,
    sha256: str,
    resources: Mapping[str, bytes | Path] | None = None,
    parent: ParentIngredient | None = None,
) -> bytes:
    """Sign a manifest store for the file whose sha256 (hex) is given; the file is not opened.

    The hard binding is a `c2pa.hash.data` over all bytes without exclusions (C2PA 2.2 §18.5), which is the file's
    plain sha256: known from the pass that copied it, so signing takes under a millisecond whatever the file's size.
    Raises CredentialsFailed, KeysUnusable.
    """
    binding = {
        "label": _DATA_HASH,
        "created": True,
        "data": {"exclusions": [], "name": "asset", "alg": "sha256", "hash": list(bytes.fromhex(sha256)), "pad": []},
    }
    definition = {**manifest, "assertions": [*manifest.get("assertions", ()), binding]}
    with _builder(definition, signer, resources or {}, parent) as builder, _native_signer(signer) as native:
        builder.set_no_embed()
        return bytes(builder.sign(native, _STORE, io.BytesIO(), io.BytesIO()))


def sign_embedded(
    source: Path,
    dest: Path,
    mime: str,
    manifest: Mapping[str, Any],
    signer: Signer,
    *,
    resources: Mapping[str, bytes | Path] | None = None,
    parent: ParentIngredient | None = None,
) -> Store:
    """Copy `source` to the new file `dest` with a manifest inside; read it back before it gets its name.

    Raises CredentialsFailed, KeysUnusable, StorageFailed, or SelfCheckFailed where the result does not read as
    Trusted under the signer's own anchors. No partial file is left behind.
    """
    if dest.exists():
        # Signing a file onto itself would truncate it before it is read.
        raise CredentialsFailed(f"{dest.name!r} is there already and is not overwritten")
    partial = dest.with_name(f"{dest.name}.unfinished")
    try:
        with (
            _builder(manifest, signer, resources or {}, parent) as builder,
            _native_signer(signer) as native,
            storage_errors("signing", dest),
            source.open("rb", _BUFFER) as reading,
            _Output(partial) as writing,
        ):
            with writing.failures():
                builder.sign(native, mime, reading, writing)
            writing.flush()
            os.fsync(writing.fileno())
        store = read_store(partial, mime, None, signer.anchors_pem)
        if store is None or store.state != "Trusted":
            state = store.state if store else "without a manifest"
            raise SelfCheckFailed(
                f"{dest.name!r} read back after signing is {state}: {', '.join(failure_codes(store))}",
                hint="Nothing was kept; check disk and memory, and the clock",
            )
        partial.rename(dest)
    finally:
        partial.unlink(missing_ok=True)
    return store


def read_store(path: Path, mime: str, sidecar: bytes | None, anchors_pem: str) -> Store | None:
    """Read and validate a file's manifest store, embedded or from a sidecar; None where there is none.

    Nothing is fetched. Trusted means: under `anchors_pem`. Raises CredentialsFailed where the store (or the file that
    should hold it) cannot be parsed, StorageFailed where the file cannot be read.
    """
    context = offline_context(anchors_pem)
    with (
        storage_errors("reading", path),
        path.open("rb", _BUFFER) as stream,
        _translated(f"the credentials of {path.name!r}"),
    ):
        if sidecar is None:
            reader = c2pa.Reader.try_create(mime, stream, context=context)
        else:
            reader = c2pa.Reader(_ANY_BYTES, stream, sidecar, context=context)
        if reader is None:
            return None
        with reader:
            return _store(reader)


def read_sidecar(sidecar: bytes, sha256: str, anchors_pem: str) -> Store | None:
    """The store of a file that was hashed just now, without reading the file a second time; None unless all is well.

    The library judges everything but the hard binding. That is a `c2pa.hash.data` over all bytes without exclusions
    (C2PA 2.2 §18.5), so the file's plain sha256, and compared here. Whatever is not flawless, not trusted or bound in
    another way is for `read_store`, with the file.
    """
    with (
        _translated("the credentials"),
        c2pa.Reader(_ANY_BYTES, io.BytesIO(), sidecar, context=offline_context(anchors_pem)) as reader,
    ):
        store = _store(reader)
    binding = store.assertions.get(_DATA_HASH, {})
    active = store.results.get("activeManifest", {})
    ours = ("assertion.dataHash.mismatch", f"self#jumbf=/c2pa/{store.active}/c2pa.assertions/{_DATA_HASH}")
    if (
        [label for label in store.assertions if label.startswith("c2pa.hash.")] != [_DATA_HASH]
        or (binding.get("alg"), binding.get("exclusions"), _hex(binding.get("hash"))) != ("sha256", [], sha256)
        or [(status["code"], status["url"]) for status in failures(store)] != [ours]
        or not any(status["code"] == "signingCredential.trusted" for status in active.get("success", ()))
    ):
        return None
    return replace(store, state="Trusted", results={**store.results, "activeManifest": {**active, "failure": []}})


def supports_embedding(mime: str) -> bool:
    """Say whether the library can put a manifest into a file of this type."""
    return mime in c2pa.Builder.get_supported_mime_types()


def supports_reading(mime: str) -> bool:
    """Say whether the library looks for a manifest inside files of this type."""
    return mime in c2pa.Reader.get_supported_mime_types()


def library_version() -> str:
    """Versions of the binding and of the library below it."""
    return str(c2pa.sdk_version())


def failure_codes(store: Store | None) -> tuple[str, ...]:
    """Validation status codes of everything that failed, ingredients included."""
    return tuple(str(status["code"]) for status in failures(store)) if store else ()


def failures(store: Store) -> Iterator[Mapping[str, Any]]:
    """Validation statuses (`code`, `url`, `explanation`) of everything that failed, ingredients included."""
    yield from store.results.get("activeManifest", {}).get("failure", ())
    for delta in store.results.get("ingredientDeltas", ()):
        yield from delta.get("validationDeltas", {}).get("failure", ())


def remarks(store: Store) -> Iterator[Mapping[str, Any]]:
    """Validation statuses that are neither success nor failure, but for what offline work always is."""
    results = [store.results.get("activeManifest", {})]
    results += [delta.get("validationDeltas", {}) for delta in store.results.get("ingredientDeltas", ())]
    for found in results:
        for status in found.get("informational", ()):
            if not str(status.get("code", "")).startswith("signingCredential.ocsp."):
                yield status


# --- the library -------------------------------------------------------------------------------------


def offline_context(anchors_pem: str) -> c2pa.Context:
    """Settings under which nothing is fetched and only these roots are trusted."""
    return _context(anchors_pem, os.getpid())  # native handles do not survive a fork


@functools.lru_cache(maxsize=8)
def _context(anchors_pem: str, process: int) -> c2pa.Context:
    # The library accepts unknown settings silently: these are the names that were seen to work.
    settings = {
        "trust": {
            # An empty list is refused as no certificate; left out, nobody is trusted.
            **({"user_anchors": anchors_pem} if anchors_pem else {}),
            # Without this, certificates for document or C2PA claim signing read as Invalid.
            "trust_config": "".join(f"{purpose.dotted_string}\n" for purpose in SIGNING_PURPOSES),
        },
        "verify": {
            "verify_trust": True,
            # What is signed is read back in full by sign_embedded; for sidecars the signature itself is verified by
            # the signer, and checking the chain again would cost four times the signing.
            "verify_after_sign": False,
            "remote_manifest_fetch": False,
            "ocsp_fetch": False,
        },
        "core": {"allowed_network_hosts": []},
        "builder": {"thumbnail": {"enabled": False}},
    }
    with _translated("the settings for reading credentials"):
        return c2pa.Context.from_dict(settings)


@contextlib.contextmanager
def _builder(
    manifest: Mapping[str, Any],
    signer: Signer,
    resources: Mapping[str, bytes | Path],
    parent: ParentIngredient | None,
) -> Iterator[c2pa.Builder]:
    carried: dict[str, bytes | Path] = dict(resources)
    if parent is not None:
        manifest = _carry(manifest, parent, signer.anchors_pem)
        carried[_PARENT_STORE] = parent.store
    with (
        _translated("the manifest"),
        c2pa.Builder(dict(manifest), context=offline_context(signer.anchors_pem)) as builder,
    ):
        for name, content in carried.items():
            with io.BytesIO(content) if isinstance(content, bytes) else content.open("rb", _BUFFER) as stream:
                builder.add_resource(name, stream)
        yield builder


_PARENT_STORE = "parent.c2pa"


def _carry(manifest: Mapping[str, Any], parent: ParentIngredient, anchors_pem: str) -> dict[str, Any]:
    """Give the parentOf ingredient its own manifest store, validated now (C2PA 2.2 §18.16, ingredient v3).

    The parent's file is hashed here for validation; the builder itself needs only its store and the results.
    """
    store = read_store(parent.path, parent.mime, None if parent.embedded else parent.store, anchors_pem)
    if store is None or store.state == "Invalid":
        raise CredentialsFailed(
            f"the manifest of {parent.path.name!r} does not fit it: {', '.join(failure_codes(store))}",
            hint="Run: archive-restore verify",
        )
    ingredients = [dict(ingredient) for ingredient in manifest.get("ingredients", ())]
    parents = [ingredient for ingredient in ingredients if ingredient.get("relationship") == "parentOf"]
    if len(parents) != 1:
        raise CredentialsFailed(f"the manifest names {len(parents)} parents instead of one")
    parents[0] |= {
        "instance_id": store.manifest.get("instance_id", ""),
        "manifest_data": {"format": _STORE, "identifier": _PARENT_STORE},
        "active_manifest": store.active,
        "validation_results": store.results,
    }
    return {**manifest, "ingredients": ingredients}


@contextlib.contextmanager
def _native_signer(signer: Signer) -> Iterator[c2pa.Signer]:
    """The library's signer around ours; an error of ours, which the library would only log, is raised."""
    failed: list[Exception] = []

    def callback(data: bytes) -> bytes:
        try:
            return signer.sign(data)
        except Exception as exc:
            failed.append(exc)
            return b""

    with _translated("the signing certificate"):
        native = c2pa.Signer.from_callback(callback, _ALGORITHMS[signer.algorithm], signer.chain_pem)
    with native:
        try:
            yield native
        except c2pa.C2paError as exc:
            raise (failed[0] if failed else exc) from exc


@contextlib.contextmanager
def _translated(subject: str) -> Iterator[None]:
    try:
        yield
    except c2pa.C2paError as exc:
        raise CredentialsFailed(f"{subject} failed in the C2PA library: {exc}") from exc


class _Output(io.BufferedRandom):
    """A new file that remembers why a write failed: the library reports only that it did."""

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path, "xb+"))
        self._failure: OSError | None = None

    def write(self, data: Any) -> int:
        """Write all of `data`."""
        try:
            return super().write(data)
        except OSError as exc:
            self._failure = exc
            raise

    @contextlib.contextmanager
    def failures(self) -> Iterator[None]:
        """Raise the remembered OSError in place of the library's own."""
        try:
            yield
        except c2pa.C2paError as exc:
            if self._failure is None:
                raise
            raise self._failure from exc


def _store(reader: c2pa.Reader) -> Store:
    content = json.loads(reader.json())
    active = str(content.get("active_manifest", ""))
    manifests = content.get("manifests", {})
    exact = _exact(reader)
    newest = exact.get(active, {})
    validity = newest.get("signature", {}).get("certificateInfo", {}).get("validity", {})
    return Store(
        state=str(reader.get_validation_state() or "Invalid"),
        active=active,
        manifests=manifests,
        assertions=newest.get("assertions", {}),
        results=reader.get_validation_results() or {},
        not_after=str(validity.get("notAfter", "")),
        resources=dict(_resources(reader, manifests.get(active, {}))),
        thumbnail=_thumbnail(reader, manifests.get(active, {})),
        signatures={label: manifest.get("signature", {}) for label, manifest in exact.items()},
    )


def _hex(value: object) -> str:
    """Hex of bytes as crJSON renders them, `b64'…'`; empty where they are none."""
    text = str(value)
    with contextlib.suppress(ValueError):
        return base64.b64decode(text.removeprefix("b64'").removesuffix("'"), validate=True).hex()
    return ""


def _exact(reader: c2pa.Reader) -> Mapping[str, Mapping[str, Any]]:
    """Every manifest by label as crJSON: the library's other forms turn every list of small numbers into base64."""
    return {str(manifest.get("label")): manifest for manifest in json.loads(reader.crjson()).get("manifests", ())}


def _resources(reader: c2pa.Reader, manifest: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    for ingredient in manifest.get("ingredients", ()):
        identifier = ingredient.get("data", {}).get("identifier")
        if identifier:
            content = io.BytesIO()
            reader.resource_to_stream(identifier, content)
            yield str(ingredient.get("title", "")), content.getvalue()


def _thumbnail(reader: c2pa.Reader, manifest: Mapping[str, Any]) -> bytes:
    identifier = (manifest.get("thumbnail") or {}).get("identifier")
    if not identifier:
        return b""
    content = io.BytesIO()
    try:
        reader.resource_to_stream(identifier, content)
    except c2pa.C2paError:  # named and not there: the results of the validation tell of it
        return b""
    return content.getvalue()
