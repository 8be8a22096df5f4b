"""Every seam of the program on one page: small abstract classes that flows use and adapters implement.

A public method guarantees types and errors; adapters raise only errors of archive_restore.errors. The
record and the story have separate, typed storage roots and separate step ports with no common base (P4).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from archive_restore.records.findings import Finding
from archive_restore.records.imagery import PictureFacts, PixelFlag, Region
from archive_restore.records.objects import FileFacts, Master, MasterRef
from archive_restore.records.preservation import PreservationDerivation, PreservationRef
from archive_restore.records.provenance import Event, Json
from archive_restore.records.stories import StoryRef

Samples = npt.NDArray[Any]
RecordRef = MasterRef | PreservationRef
"""What the preservation root may hold."""
RefT = TypeVar("RefT", MasterRef | PreservationRef, StoryRef)


class Clock(ABC):
    """Tells the time, so that logic never asks for it."""

    @abstractmethod
    def now(self) -> str:
        """UTC, RFC 3339 with seconds and `Z`."""


# --- storage -----------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Digests:
    """Size and digests of bytes that were written."""

    size: int
    sha512: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """One file of one version of an OCFL object."""

    name: str
    """Logical path inside the version."""
    path: Path
    """Where its bytes lie."""
    sha512: str
    sha256: str
    """From the fixity block."""


class Staging(ABC):
    """A directory in `work/` in which the files of one new version are gathered."""

    @property
    @abstractmethod
    def directory(self) -> Path:
        """Where other adapters may write files before they are adopted."""

    @abstractmethod
    def copy_in(self, name: str, source: Path, progress: Callable[[int], None] | None = None) -> Digests:
        """Copy, hash (sha512, sha256) in ONE read pass of `source`; then re-read what was written and compare.

        Raise SelfCheckFailed when the copy differs, StorageFailed when the disk refuses.
        """

    @abstractmethod
    def write(self, name: str, data: bytes) -> Digests:
        """Add a small file from memory."""

    @abstractmethod
    def adopt(self, name: str) -> Digests:
        """Take a finished file already lying in `directory` under `name`: hash it and make it durable."""

    @abstractmethod
    def discard(self) -> None:
        """Forget everything staged."""


class StorageRoot(ABC, Generic[RefT]):
    """One OCFL 1.1 storage root. `preservation/` is StorageRoot[RecordRef], `stories/` is StorageRoot[StoryRef]."""

    @abstractmethod
    def stage(self, object_id: str) -> Staging:
        """Open a staging directory on the same file system."""

    @abstractmethod
    def commit(self, ref: RefT, staged: Staging, *, created: str, message: str, user: str) -> Path:
        """Make the staged files version `ref.version` of the object, durably and atomically; return the object's path.

        Raise StorageConflict when that version exists or is not the next one, SeparationViolated when the ref does
        not belong in this root.
        """

    @abstractmethod
    def files(self, ref: RefT) -> Mapping[str, StoredFile]:
        """Files of one version by logical name; raise ReferenceUnknown."""

    @abstractmethod
    def head(self, object_id: str) -> int:
        """Newest version of an object; 0 where there is none."""

    @abstractmethod
    def object_ids(self) -> Iterator[str]:
        """Every object in the root, by walking the directories."""

    @abstractmethod
    def finish(self, object_id: str) -> None:
        """After a crash: complete or remove a half-made version of this object."""

    @abstractmethod
    def validate(self, object_ids: Iterable[str] | None = None, *, fixity: bool = True) -> Iterator[Finding]:
        """Check structure (and digests) of the root and of these objects, or of all."""


# --- catalog and log ---------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class LogEntry:
    """One line of the audit log."""

    index: int
    """From 0."""
    event: Event


class AuditLog(ABC):
    """Append-only Merkle log (RFC 6962 hashing over RFC 8785 lines) with a signed checkpoint (C2SP)."""

    @abstractmethod
    def append(self, events: Sequence[Event]) -> int:
        """Append durably and sign a new checkpoint; return the new size. Events already in the log are skipped."""

    @abstractmethod
    def entries(self, start: int = 0) -> Iterator[LogEntry]:
        """Entries from an index on; raise LogDamaged where a line is not one."""

    @abstractmethod
    def size(self) -> int:
        """Entries covered by the checkpoint."""

    @abstractmethod
    def verify(self) -> Iterator[Finding]:
        """Recompute the tree from the lines and check it against the signed checkpoint."""


@dataclass(frozen=True, kw_only=True)
class ItemRow:
    """What `list` and `search` show of an item."""

    item_id: str
    title: str
    date: str
    width: int
    height: int
    mime: str
    ingested: str
    derivatives: tuple[str, ...]
    """REFs of all versions of all derivatives."""


class Catalog(ABC):
    """An index over the roots and the log: everything in it can be rebuilt from them, but jobs."""

    @abstractmethod
    def add_master(self, master: Master, events: Sequence[Event]) -> None:
        """Insert or replace the rows of a master."""

    @abstractmethod
    def add_preservation(self, derivation: PreservationDerivation) -> None:
        """Insert or replace the rows of a preservation derivative and its ingredients."""

    @abstractmethod
    def master(self, item_id: str) -> Master | None:
        """Master of an item."""

    @abstractmethod
    def master_by_sha512(self, sha512: str) -> str | None:
        """The item_id of the master with these bytes."""

    @abstractmethod
    def derivation(self, ref: PreservationRef) -> PreservationDerivation | None:
        """Record of a preservation derivative."""

    @abstractmethod
    def newest(self, item_id: str, kind: str) -> int:
        """Newest version of a kind of derivative; 0 where there is none."""

    @abstractmethod
    def items(self, query: str = "") -> Iterator[ItemRow]:
        """Items in order of item_id; with a query, those whose words match (full text)."""

    @abstractmethod
    def events(self, ref: str) -> tuple[Event, ...]:
        """Events about a REF, oldest first."""

    @abstractmethod
    def contents(self) -> Iterator[tuple[str, str]]:
        """Every fact as (key, canonical JSON), in order: two catalogs that say the same give the same."""

    @abstractmethod
    def clear(self) -> None:
        """Empty it before a rebuild."""

    @abstractmethod
    def check(self) -> Iterator[Finding]:
        """Look for damage inside the catalog itself."""

    @abstractmethod
    def batch(self) -> AbstractContextManager[None]:
        """Group the writes inside the block into one transaction."""

    @abstractmethod
    def close(self) -> None:
        """Release the connection."""


# --- pixels ------------------------------------------------------------------------------------------


class PictureSource(ABC):
    """A picture that can be read region by region, so that memory does not grow with it."""

    @property
    @abstractmethod
    def facts(self) -> PictureFacts:
        """What the pixels are."""

    @property
    @abstractmethod
    def dtype(self) -> np.dtype[Any]:
        """Native-endian dtype of the samples: uint8, uint16, uint32, float16, float32, float64."""

    @abstractmethod
    def read(self, region: Region) -> Samples:
        """Samples of a region, shape (h, w, samples) always three-dimensional, native byte order.

        Raise PictureUnreadable where the file is damaged there.
        """

    @abstractmethod
    def close(self) -> None:
        """Release the file."""

    def __enter__(self) -> PictureSource:
        """Use as a context."""
        return self

    def __exit__(self, *_: object) -> None:
        """Release the file."""
        self.close()


@dataclass(frozen=True, kw_only=True)
class PreservationTile:
    """One tile on its way through the steps of a restoration; arrays cover `region` (core plus halo)."""

    region: Region
    """Rectangle of the frame that the arrays cover."""
    facts: PictureFacts
    samples: Samples
    """(h, w, samples) in the master's dtype."""
    flags: npt.NDArray[np.uint8]
    """(h, w) synthesis map so far."""
    damage: npt.NDArray[np.uint8]
    """(h, w) DamageClass values so far."""


@dataclass(frozen=True, kw_only=True)
class Overview:
    """The whole picture looked at once."""

    facts: PictureFacts
    reduced: Samples
    """Area-averaged picture, float32 (h, w, samples), longest edge at most 2048, in the master's code values."""
    scale: float
    """Full-size pixels per reduced pixel."""
    white: float
    """The code value that stands for 1.0: 255, 65535, or for floats the largest value seen (at least 1)."""
    samples: tuple[Samples, ...]
    """A few full-size crops (h, w, samples) in the master's dtype, spread over the frame."""


class PreservationStep(ABC):
    """One step of `restore`. Entry-point group `archive_restore.preservation_steps`; never a story step."""

    name: ClassVar[str]
    """Name in recipes; equals the entry point's."""
    version: ClassVar[str]
    """Changes whenever the output changes."""
    summary: ClassVar[str]
    """One sentence for `recipes list` and the report."""
    parameters_schema: ClassVar[Mapping[str, Any]]
    """JSON Schema (2020-12) `properties` of the parameters, each with `default` and `description`."""
    flags: ClassVar[PixelFlag]
    """Flags it may set."""
    action: ClassVar[str]
    """C2PA action."""
    digital_source_type: ClassVar[str]
    """IPTC digital source type (last part of the URI) of what it makes; empty where it changes no pixel."""

    @abstractmethod
    def halo(self, parameters: Mapping[str, Json]) -> int:
        """Pixels around a tile that it must see."""

    @abstractmethod
    def survey(self, overview: Overview, parameters: Mapping[str, Json]) -> Mapping[str, Json]:
        """Look at the whole picture once; return plain data that makes `apply` local and repeatable."""

    @abstractmethod
    def apply(
        self, tile: PreservationTile, parameters: Mapping[str, Json], survey: Mapping[str, Json], seed: int
    ) -> PreservationTile:
        """Work on one tile; pixels it does not flag keep their samples bit for bit."""


@dataclass(frozen=True, kw_only=True)
class StoryTile:
    """One tile on its way through a story's steps. Deliberately not a PreservationTile."""

    region: Region
    samples: Samples
    flags: npt.NDArray[np.uint8]


class StoryStep(ABC):
    """One step of a story. Entry-point group `archive_restore.story_steps`; no base shared with PreservationStep."""

    name: ClassVar[str]
    version: ClassVar[str]
    summary: ClassVar[str]
    flags: ClassVar[PixelFlag]

    @abstractmethod
    def tell(self, tile: StoryTile, parameters: Mapping[str, Json], seed: int) -> StoryTile:
        """Work on one tile; what is invented is flagged."""


# --- signing -----------------------------------------------------------------------------------------


class Signer(ABC):
    """Signs bytes for C2PA claims. The private key may live elsewhere."""

    @property
    @abstractmethod
    def algorithm(self) -> str:
        """`es256` or `ed25519`."""

    @property
    @abstractmethod
    def chain_pem(self) -> str:
        """Leaf certificate first, then intermediates; PEM."""

    @property
    @abstractmethod
    def anchors_pem(self) -> str:
        """Roots under which this archive's own signatures are Trusted; PEM."""

    @abstractmethod
    def sign(self, data: bytes) -> bytes:
        """Raw signature: 64 bytes r‖s for ES256, 64 bytes for Ed25519. Raise KeysUnusable."""


class Executor(ABC):
    """Runs independent jobs; the coordinator alone commits what they make."""

    @abstractmethod
    def run(self, job: Callable[[Any], Any], tasks: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
        """Yield (task, result or ArchiveRestoreError) as jobs end, in any order."""


@dataclass(frozen=True, kw_only=True)
class Inspected:
    """What the format checks made of one file before it is stored."""

    file_format: FileFacts | None
    picture: PictureFacts | None
    findings: tuple[Finding, ...]
