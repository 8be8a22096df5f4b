"""Wiring: archive.toml and a directory become an Archive with its adapters.

The only module that knows both flows' ports and the adapters behind them.
"""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path

from archive_restore import __version__, plugins
from archive_restore.adapters import keys, ocfl, shipped
from archive_restore.adapters.auditlog import FileAuditLog, create_log
from archive_restore.adapters.catalog import open_catalog
from archive_restore.adapters.durable import storage_errors, sync_directory, sync_trees
from archive_restore.adapters.ocfl_layout import object_path
from archive_restore.adapters.workspace import (
    CONFIG,
    Config,
    FileJournal,
    FolderQuarantine,
    WriterLock,
    clear_work,
    find_archive,
    reading,
    write_config,
)
from archive_restore.core.refs import AnyRef
from archive_restore.errors import (
    ArchiveMissing,
    ArchiveRestoreError,
    CatalogDamaged,
    ConfigurationInvalid,
    KeysUnusable,
    StorageFailed,
)
from archive_restore.flows.commit import recover
from archive_restore.ports import Archive, AuditDesk, Clock, Executor, Exporter, Models, Palettes, Settings, Signer
from archive_restore.records.stories import StoryRef

CATALOG = "catalog.sqlite"
PASSPHRASE_VARIABLE = "ARCHIVE_RESTORE_PASSPHRASE"  # noqa: S105 - the name of a variable, not a secret
AGENT = f"archive-restore {__version__}"


class SystemClock(Clock):
    """The machine's clock."""

    def now(self) -> str:
        """UTC, RFC 3339 with seconds and `Z`."""
        return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def create_archive(root: Path, *, name: str, organization: str, passphrase: str | None) -> None:
    """Make a new archive in a directory that does not exist or is empty; raise ArchiveMissing where it is not so."""
    if (root / CONFIG).exists():
        raise ArchiveMissing(f"{str(root)!r} is an archive already", hint="Choose another directory, or go on with it")
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise ArchiveMissing(f"{str(root)!r} is not an empty directory", hint="Choose another one")
    there = root.exists()
    try:
        with storage_errors("making", root):
            root.mkdir(parents=True, exist_ok=True)
            _fill(root, name, organization, passphrase)
    except BaseException:
        # The directory was empty or not there: half an archive in it would only be in the way.
        for path in root.iterdir() if root.is_dir() else ():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        if not there and root.is_dir():
            root.rmdir()
        raise


def _fill(root: Path, name: str, organization: str, passphrase: str | None) -> None:
    for folder in ("work", "quarantine"):
        (root / folder).mkdir()
    for folder in ("preservation", "stories"):
        ocfl.create_root(root / folder)
    keys.create_keys(root / "keys", organization, passphrase)
    sign, public_key = keys.load_log_signer(root / "keys", passphrase=passphrase)
    identifier = str(uuid.uuid4())
    create_log(root / "audit", log_origin(identifier), public_key, sign)
    catalog = open_catalog(root / CATALOG)
    with catalog.batch():  # a catalog exists once something was written
        pass
    catalog.close()
    # Last: its presence says that the rest is whole.
    write_config(root, name=name, identifier=identifier, organization=organization)


@contextmanager
def open_archive(
    start: Path | None,
    *,
    write: bool,
    passphrase_prompt: Callable[[], str] | None = None,
    threads: int | None = None,
) -> Iterator[Archive]:
    """Open the archive at `start`, or the nearest one above the current directory.

    With `write` the one writer's lock is held until the end; raise ArchiveBusy where somebody has it. What a crash
    left behind is finished first, by readers too where they can. `threads` overrides archive.toml.
    """
    place = _Place(start, passphrase_prompt, threads)
    _require_catalog(place.root / CATALOG)
    if not write:
        _mend(place)
        with reading(place.root / "work"), _wired(place, writing=False) as archive:
            yield archive
        return
    with _locked(place), _wired(place, writing=True) as archive:
        recover(archive)
        yield archive


@contextmanager
def auditing(start: Path | None) -> Iterator[AuditDesk]:
    """What an audit needs, with the archive at `start`, or that above the current directory, or without one.

    Nothing that a crash left behind is finished, and scratch files lie outside of the archive. Raise ArchiveMissing
    where `start` was given and is none.
    """
    from archive_restore.adapters.audit_report import HtmlAuditReports
    from archive_restore.adapters.c2pa import C2paCredentials
    from archive_restore.adapters.foreign import ForeignFiles
    from archive_restore.adapters.picture_files import FilePictures

    with tempfile.TemporaryDirectory(prefix="archive-restore-audit-") as folder, ExitStack() as stack:
        scratch = Path(folder)
        archive, why = None, ""
        try:
            archive = stack.enter_context(_read_only(start, scratch))
        except ArchiveMissing:
            if start is not None:
                raise
            why = "there is no archive at hand (-A DIR)."
        yield AuditDesk(
            archive=archive,
            why_no_archive=why,
            foreign=ForeignFiles(scratch),
            pictures=FilePictures(scratch),
            credentials=archive.credentials if archive else C2paCredentials(signer=_no_signer, anchors_pem=lambda: ""),
            reports=HtmlAuditReports(archive.settings.labels if archive else None),
            clock=SystemClock(),
            scratch=scratch,
            open_archive=lambda path: _read_only(path, scratch),
        )


@contextmanager
def _read_only(start: Path | None, scratch: Path) -> Iterator[Archive]:
    from archive_restore.adapters.picture_files import FilePictures

    place = _Place(start, None)
    _require_catalog(place.root / CATALOG)
    with _wired(place, writing=False) as archive:
        yield replace(archive, pictures=FilePictures(scratch), work=scratch)


def _no_signer() -> Signer:
    raise KeysUnusable("nothing is signed without an archive")


@contextmanager
def holding(start: Path | None) -> Iterator[Archive]:
    """Open an archive for reading and keep every writer out, so that its damaged log can be mended."""
    place = _Place(start, None)
    with _locked(place), _wired(place, writing=False) as archive:
        yield archive


@contextmanager
def rebuilding(start: Path | None, passphrase_prompt: Callable[[], str] | None = None) -> Iterator[Archive]:
    """Open an archive, however damaged its catalog, with a new and empty one that takes its place at the end.

    The old one stays where the block fails or the machine stops; its jobs are forgotten. Raise ArchiveBusy.
    """
    place = _Place(start, passphrase_prompt)
    with _locked(place):
        fresh = place.root / "work" / CATALOG
        with _wired(place, writing=False, catalog=fresh) as archive:
            yield archive
        try:
            for suffix in ("-wal", "-shm"):
                (place.root / f"{CATALOG}{suffix}").unlink(missing_ok=True)
            fresh.replace(place.root / CATALOG)
        except OSError as exc:
            raise StorageFailed(f"the catalog in {str(place.root)!r} cannot be replaced: {exc.strerror}") from exc
        sync_directory(place.root)
        if place.journal.any():
            with _wired(place, writing=True) as archive:
                recover(archive)


def shipped_models() -> Models:
    """The models of this program, for commands that need no archive."""
    from archive_restore.adapters.models import FolderModels

    return FolderModels(shipped.shipped("models"))


def shipped_palettes() -> Palettes:
    """The palettes of this program, for commands that need no archive."""
    from archive_restore.adapters.palettes import FolderPalettes

    return FolderPalettes()


def log_origin(identifier: str) -> str:
    """Name of an archive's log in its checkpoints (C2SP tlog-checkpoint: unique, without a scheme)."""
    return f"archive-restore/{identifier}"


def _require_catalog(path: Path) -> None:
    """A missing or emptied file would be taken for a new catalog, and a full archive for an empty one."""
    try:
        present = path.stat().st_size > 0
    except OSError:
        present = False
    if not present:
        raise CatalogDamaged(f"{str(path)!r} is missing or empty", hint="Run: archive-restore catalog rebuild")


class _Place:
    """An archive's directory and what is needed before it is opened."""

    def __init__(self, start: Path | None, prompt: Callable[[], str] | None, threads: int | None = None) -> None:
        self.root = (start if start is not None else find_archive(Path.cwd())).resolve()
        self.config = Config(self.root)
        self.secrets = _Passphrase(self.root / "keys", prompt)
        self.journal = FileJournal(self.root / "work")
        self.threads = threads


@contextmanager
def _locked(place: _Place) -> Iterator[None]:
    lock = WriterLock(place.root / "work")
    lock.acquire()
    try:
        clear_work(place.root / "work")
        yield
    finally:
        lock.release()


@contextmanager
def _wired(place: _Place, *, writing: bool, catalog: Path | None = None) -> Iterator[Archive]:
    archive = _wire(place, writing=writing, catalog=catalog or place.root / CATALOG)
    try:
        yield archive
    finally:
        archive.catalog.close()


def _mend(place: _Place) -> None:
    """Let a reader finish what a crash left behind, without asking anybody for a passphrase."""
    if not place.journal.any():
        return
    quiet = _Place(place.root, None)
    # Somebody writes just now, the disk is full, the keys are locked: reading shows what is whole all the same,
    # and the next writer finishes it or says why not.
    with suppress(ArchiveRestoreError), _locked(quiet), _wired(quiet, writing=True) as archive:
        recover(archive)


class _Passphrase:
    """Asks for the keys' passphrase once, only if they have one and only when a key is needed."""

    def __init__(self, folder: Path, prompt: Callable[[], str] | None) -> None:
        self._folder = folder
        self._prompt = prompt
        self.known: str | None = None

    def __call__(self) -> str | None:
        """The passphrase, or None where the keys have none."""
        if not keys.is_encrypted(self._folder):
            return None
        if self.known is None:
            self.known = os.environ.get(PASSPHRASE_VARIABLE) or (self._prompt() if self._prompt else None)
        if not self.known:
            raise ConfigurationInvalid("the archive's keys need a passphrase", hint=f"Set {PASSPHRASE_VARIABLE}")
        return self.known


def _open_for_worker(root: Path, passphrase: str | None, threads: int) -> AbstractContextManager[Archive]:
    """What a worker process opens: readable, with its share of the threads."""
    return open_archive(root, write=False, passphrase_prompt=lambda: passphrase or "", threads=threads)


def _wire(place: _Place, *, writing: bool, catalog: Path) -> Archive:
    from archive_restore.adapters.access import JpegCopies
    from archive_restore.adapters.bags import FolderBags
    from archive_restore.adapters.c2pa import C2paCredentials
    from archive_restore.adapters.documents import RecordDocuments
    from archive_restore.adapters.fingerprints import FolderFingerprints
    from archive_restore.adapters.kept import FolderKept
    from archive_restore.adapters.models import FolderModels
    from archive_restore.adapters.palettes import FolderPalettes
    from archive_restore.adapters.picture_files import FileFormats, FilePictures, icc_profile
    from archive_restore.adapters.replica import FolderReplica
    from archive_restore.adapters.sound import FileSounds
    from archive_restore.adapters.timestamps import FolderTimeStamps
    from archive_restore.adapters.video import FileVideos

    root, config, secrets = place.root, place.config, place.secrets
    folder, work = root / "keys", root / "work"
    settings = config.settings()
    if place.threads is not None:
        settings = replace(settings, threads=place.threads)
    public_key = keys.load_log_public_key(folder)
    sign = keys.load_log_signer(folder, passphrase=secrets())[0] if writing else None
    index = open_catalog(catalog)
    identifier, quarantine = config.identifier(), FolderQuarantine(root)
    return Archive(
        root=root,
        settings=settings,
        clock=SystemClock(),
        preservation=ocfl.open_preservation_root(root / "preservation", work),
        stories=ocfl.open_story_root(root / "stories", work),
        log=FileAuditLog(root / "audit", log_origin(identifier), public_key, sign),
        timestamps=FolderTimeStamps(root / "audit" / "timestamps"),
        catalog=index,
        scratch_catalog=lambda: open_catalog(None),
        jobs=index,
        formats=FileFormats(),
        bags=FolderBags(),
        pictures=FilePictures(work),
        access=JpegCopies(settings.labels.style),
        exporters=lambda: _exporters(settings, work),
        make_durable=sync_trees,
        credentials=C2paCredentials(
            signer=lambda: keys.load_signer(folder, passphrase=secrets()),
            anchors_pem=lambda: keys.load_anchors(folder),
        ),
        documents=RecordDocuments(
            organization=settings.organization,
            describe_keys=lambda: keys.describe(folder),
            locate=_locate,
            icc_of=icc_profile,
            labels=settings.labels,
        ),
        fingerprints=FolderFingerprints(root / "fingerprints"),
        models=FolderModels(shipped.shipped("models"), root),
        executor=_executor(root, settings, secrets),
        intake=_intake(root, settings, secrets),
        journal=place.journal,
        quarantine=quarantine,
        preservation_steps=cache(lambda: plugins.preservation_steps(config.allowed_plugins("preservation_steps"))),
        story_steps=cache(lambda: plugins.story_steps(config.allowed_plugins("story_steps"))),
        motion_steps=cache(lambda: plugins.motion_steps(config.allowed_plugins("motion_steps"))),
        videos=FileVideos(settings.threads),
        sounds=FileSounds(),
        palettes=FolderPalettes(root),
        kept=FolderKept(root / "cache"),
        replica=lambda place: FolderReplica(
            root,
            place,
            identifier=identifier,
            origin=log_origin(identifier),
            public_key=public_key,
            quarantine=quarantine,
        ),
        check_parameters=shipped.check_parameters,
        check_document=shipped.check_document,
        work=work,
        agent=AGENT,
        platform=f"{platform.system()} {platform.machine()}",
    )


def _exporters(settings: Settings, work: Path) -> Mapping[str, Exporter]:
    from archive_restore.adapters.bagit import BagExporter
    from archive_restore.adapters.iiif import IiifExporter
    from archive_restore.adapters.mets import MetsExporter
    from archive_restore.adapters.ocfl_package import OcflExporter
    from archive_restore.adapters.picture_files import FilePictures

    exporters: tuple[Exporter, ...] = (
        BagExporter(threads=settings.threads),
        OcflExporter(threads=settings.threads),
        MetsExporter(),
        IiifExporter(FilePictures(work), settings.labels),
    )
    return {exporter.name: exporter for exporter in exporters}


def _executor(root: Path, settings: Settings, secrets: _Passphrase) -> Executor:
    from archive_restore.adapters.executors import ProcessExecutor, SerialExecutor

    if settings.workers == 1:
        return SerialExecutor()
    share = max(1, settings.threads // settings.workers)
    return ProcessExecutor(settings.workers, partial(_open_for_worker, root, secrets.known, share))


def _intake(root: Path, settings: Settings, secrets: _Passphrase) -> Executor:
    from archive_restore.adapters.executors import MixedExecutor

    return MixedExecutor(settings.threads, partial(_open_for_worker, root, secrets.known, 1))


def _locate(ref: AnyRef, name: str) -> str:
    """Path of a stored file below the archive (OCFL 1.1 §3.5)."""
    root = "stories" if isinstance(ref, StoryRef) else "preservation"
    return str(Path(root, object_path(ref.object_id), f"v{ref.version}", "content", name))
