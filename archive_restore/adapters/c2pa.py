"""Content credentials of masters and derivatives, made and read offline (C2PA 2.2; DESIGN section 6).

A master gets a sidecar and is never opened for it; a derivative gets its manifest embedded, or a sidecar when it
is over the size that fits the memory limit. What does not read back as Trusted is not kept.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

import c2pa as library

from archive_restore.adapters import mp4_boxes
from archive_restore.adapters.c2pa_library import (
    EMBED_LIMIT,
    ParentIngredient,
    library_version,
    read_sidecar,
    read_store,
    sign_embedded,
    sign_sidecar,
    supports_embedding,
    supports_reading,
)
from archive_restore.adapters.c2pa_report import report, unreadable
from archive_restore.adapters.durable import hash_file, storage_errors
from archive_restore.adapters.iscc import gray_of, image_code, normalize
from archive_restore.adapters.tiff import embedded_manifest
from archive_restore.core.access_claims import access_manifest
from archive_restore.core.claims import master_manifest, preservation_manifest
from archive_restore.core.manifests import MAP_RESOURCE, Manifest, merge_regions
from archive_restore.core.story_claims import story_manifest
from archive_restore.errors import CredentialsFailed, SelfCheckFailed, StorageFailed
from archive_restore.ports import CredentialReport, Credentials, Overview, SignedFile, Signer
from archive_restore.records.access import AccessCopy
from archive_restore.records.findings import has_errors
from archive_restore.records.imagery import Region
from archive_restore.records.objects import Description, Master
from archive_restore.records.preservation import PreservationDerivation
from archive_restore.records.provenance import Product, SoftwareAgent
from archive_restore.records.stories import StoryDerivation


class C2paCredentials(Credentials):
    """The `Credentials` port on the c2pa library."""

    def __init__(
        self, *, signer: Callable[[], Signer], anchors_pem: Callable[[], str], embed_limit: int = EMBED_LIMIT
    ) -> None:
        """Take functions, so that reading asks for no passphrase and a light command opens no key.

        `embed_limit` is the largest file, in bytes, that gets its manifest inside.
        """
        self._load_signer = signer
        self._load_anchors = anchors_pem
        self._embed_limit = embed_limit
        self._signer_now: Signer | None = None
        self._lock = threading.Lock()

    def load_early(self) -> None:
        """See ports.Credentials: the libraries of C2PA and ISCC take a fifth of a second."""
        threading.Thread(target=lambda: [import_module(name) for name in ("c2pa", "iscc_core")], name="early").start()

    def _signer(self) -> Signer:
        with self._lock:
            if self._signer_now is None:
                self._signer_now = self._load_signer()
            return self._signer_now

    def sign_master(self, master: Master, asset: Path, out: Path) -> None:
        """Write the sidecar manifest of a master; the asset is not even opened: its sha256 is in `master`."""
        store = sign_sidecar(master_manifest(master), self._signer(), sha256=master.file.sha256)
        _write_new(out, store)

    def sign_restoration(
        self,
        derivation: PreservationDerivation,
        *,
        unsigned: Path,
        out: Path,
        sidecar: Path,
        master: Path,
        master_mime: str,
        master_sidecar: Path,
        map_png: Path,
        regions: Sequence[Region],
        seen: Overview,
    ) -> SignedFile:
        """Embed the manifest (or write a sidecar) and check the result; `unsigned` stays as it is.

        `seen` is the restoration reduced: its ISCC image code becomes the soft binding. Raises CredentialsFailed,
        SelfCheckFailed, KeysUnusable, StorageFailed.
        """
        picture = next(product for product in derivation.products if product.role == "picture")
        manifest = preservation_manifest(
            derivation,
            regions=merge_regions(regions, width=picture.width, height=picture.height),
            soft_binding=image_code(normalize(gray_of(seen)))[1],
        )
        with storage_errors("reading", master_sidecar):
            parent = ParentIngredient(path=master, mime=master_mime, store=master_sidecar.read_bytes())
        return self._sign(str(derivation.ref), picture.mime, manifest, parent, unsigned, out, sidecar, map_png)

    def sign_story(
        self,
        derivation: StoryDerivation,
        *,
        unsigned: Path,
        out: Path,
        sidecar: Path,
        parent: Path,
        parent_mime: str,
        parent_sidecar: Path | None,
        map_png: Path,
        regions: Sequence[Region],
        seen: Overview,
        outcome: int = 0,
    ) -> SignedFile:
        """See ports.Credentials."""
        picture = next(product for product in derivation.products if product.role == "picture")
        manifest = story_manifest(
            derivation,
            outcome=outcome,
            regions=merge_regions(regions, width=picture.width, height=picture.height),
            soft_binding=image_code(normalize(gray_of(seen)))[1],
        )
        ingredient = _stored(parent, parent_mime, parent_sidecar)
        return self._sign(str(derivation.ref), picture.mime, manifest, ingredient, unsigned, out, sidecar, map_png)

    def sign_beside(
        self,
        derivation: StoryDerivation,
        *,
        product: Product,
        file: Path,
        sidecar: Path,
        parent: Path,
        parent_mime: str,
        parent_sidecar: Path | None,
        map_png: Path,
    ) -> None:
        """See ports.Credentials: the manifest of the story with the product's name, bound to all of its bytes."""
        manifest = {**story_manifest(derivation), "title": product.name}
        ingredient = _stored(parent, parent_mime, parent_sidecar)
        self._beside(str(derivation.ref), product.mime, manifest, ingredient, file, sidecar, map_png)

    def sign_access(
        self,
        copy: AccessCopy,
        description: Description,
        *,
        credit: str,
        unsigned: Path,
        out: Path,
        parent: Path,
        parent_sidecar: Path | None,
        map_png: Path | None,
        seen: Overview,
    ) -> None:
        """Embed the manifest of an access copy, with the whole history of the stored file that was copied.

        `seen` is the copy reduced. Raises CredentialsFailed, SelfCheckFailed, KeysUnusable, StorageFailed.
        """
        code = image_code(normalize(gray_of(seen)))[1]
        manifest = access_manifest(copy, description, credit=credit, soft_binding=code)
        sign_embedded(
            unsigned,
            out,
            "image/jpeg" if copy.clip is None else "video/mp4",
            manifest,
            self._signer(),
            resources={} if map_png is None else {MAP_RESOURCE: map_png},
            parent=_stored(parent, copy.source.mime, parent_sidecar),
        )

    def _sign(
        self,
        ref: str,
        mime: str,
        manifest: Manifest,
        parent: ParentIngredient,
        unsigned: Path,
        out: Path,
        sidecar: Path,
        map_png: Path,
    ) -> SignedFile:
        signer, resources = self._signer(), {MAP_RESOURCE: map_png}
        with storage_errors("reading", unsigned):
            size = unsigned.stat().st_size
        if size <= self._embed_limit and supports_embedding(mime):
            sign_embedded(unsigned, out, mime, manifest, signer, resources=resources, parent=parent)
            return SignedFile(embedded=True, sidecar=None)
        _same_bytes(unsigned, out)
        try:
            self._beside(ref, mime, manifest, parent, out, sidecar, map_png)
        except BaseException:
            out.unlink(missing_ok=True)
            raise
        return SignedFile(embedded=False, sidecar=sidecar)

    def _beside(
        self,
        ref: str,
        mime: str,
        manifest: Manifest,
        parent: ParentIngredient,
        file: Path,
        sidecar: Path,
        map_png: Path,
    ) -> None:
        """Write the sidecar of a file and read it back; where it does not hold, none is left."""
        with storage_errors("reading", file):
            sha256 = hash_file(file).sha256
        store = sign_sidecar(manifest, self._signer(), sha256=sha256, resources={MAP_RESOURCE: map_png}, parent=parent)
        try:
            _write_new(sidecar, store)
            found = self.read(file, mime, sidecar, ref)
            if found.state != "trusted" or has_errors(found.findings):
                problem = found.findings[0].message if found.findings else f"the state is {found.state}"
                raise SelfCheckFailed(
                    f"the sidecar of {ref} read back after signing does not hold: {problem}",
                    hint="Nothing was kept; check disk and memory, and the clock",
                )
        except BaseException:
            sidecar.unlink(missing_ok=True)
            raise

    def read(
        self,
        path: Path,
        mime: str,
        sidecar: Path | None,
        subject: str,
        *,
        sha256: str | None = None,
        anchors: str | None = None,
    ) -> CredentialReport:
        """See ports.Credentials; problems are findings."""
        try:
            roots = self._load_anchors() if anchors is None else anchors
            with storage_errors("reading", sidecar or path):
                manifest = sidecar.read_bytes() if sidecar is not None else None
            if manifest is None and not supports_reading(mime):
                return report(None, subject, datetime.now(UTC))
            store = None
            if manifest is not None and sha256 is not None:
                store = read_sidecar(manifest, sha256, roots)
            if store is None:
                store = read_store(path, mime, manifest, roots)
        except (CredentialsFailed, StorageFailed) as exc:
            return unreadable(subject, str(exc))
        return report(store, subject, datetime.now(UTC))

    def agents(self) -> tuple[SoftwareAgent, ...]:
        """The library that signs, and the one below it."""
        return (
            SoftwareAgent(name="c2pa-python", version=str(library.__version__), role="C2PA"),
            SoftwareAgent(name="c2pa-rs", version=library_version(), role="C2PA"),
        )


def _stored(path: Path, mime: str, sidecar: Path | None) -> ParentIngredient:
    with storage_errors("reading", sidecar or path):
        if sidecar is not None:
            store = sidecar.read_bytes()
        else:
            store = mp4_boxes.embedded_manifest(path) if mime == "video/mp4" else embedded_manifest(path)
    return ParentIngredient(path=path, mime=mime, store=store, embedded=sidecar is None)


def _write_new(path: Path, data: bytes) -> None:
    with storage_errors("writing", path), path.open("xb") as file:
        file.write(data)


def _same_bytes(source: Path, dest: Path) -> None:
    """Let `dest` hold the bytes of `source` without writing gigabytes again where the file system can share them."""
    with storage_errors("writing", dest):
        try:
            os.link(source, dest)
        except OSError:
            shutil.copyfile(source, dest)
