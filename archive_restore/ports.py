"""Every seam of the program on one page: small abstract classes that flows use and adapters implement.

A public method guarantees types and errors; adapters raise only errors of archive_restore.errors. The
record and the story have separate, typed storage roots and separate step ports with no common base (P4).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from archive_restore.core.captions import Cue
from archive_restore.core.model_contracts import FloatPlanes, input_problem, kept_contract
from archive_restore.core.score import Note
from archive_restore.errors import ArchiveRestoreError, ModelUnusable, UsageError
from archive_restore.records.access import AccessCopy
from archive_restore.records.audits import Audit, Kinship, Subject
from archive_restore.records.bags import Bag
from archive_restore.records.credentials import CredentialChain
from archive_restore.records.findings import Finding
from archive_restore.records.imagery import Geometry, PictureFacts, PixelFlag, Region
from archive_restore.records.labels import CaptionStyle, Labels
from archive_restore.records.models import InstalledModel, ModelCard
from archive_restore.records.objects import Description, FileFacts, Master, MasterRef
from archive_restore.records.packages import Package
from archive_restore.records.preservation import PreservationDerivation, PreservationRef
from archive_restore.records.provenance import Determinism, Event, Json, Product, SoftwareAgent
from archive_restore.records.reviews import ReviewWord
from archive_restore.records.stories import HumanDecision, StoryDerivation, StoryKind, StoryRef

Samples = npt.NDArray[Any]
MOTION_CELL = 4
"""Rows and columns of pixels of a still that share one cell of a MotionFrame."""
RecordRef = MasterRef | PreservationRef
"""What the preservation root may hold."""
StorySource = MasterRef | PreservationRef | StoryRef
"""What a story may be made from."""
TaskT = TypeVar("TaskT")
ResultT = TypeVar("ResultT")
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


@dataclass(frozen=True, kw_only=True)
class Commit(Generic[RefT]):
    """One version to be made from staged files."""

    ref: RefT
    staged: Staging
    created: str
    """UTC, RFC 3339 with seconds and `Z`."""
    message: str
    """Why this version was made."""
    user: str
    """Who made it: a name, or `Name <address>`."""


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
    def commit_many(self, commits: Sequence[Commit[RefT]]) -> tuple[Path, ...]:
        """Commit a group of different objects, sharing the waits for the disk; same errors as `commit`.

        Every commit is checked before the first is made visible. Should the disk refuse in the middle, each object
        is either whole or absent, and `head` says which.
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
    def validate(
        self, object_ids: Iterable[str] | None = None, *, fixity: bool = True, threads: int = 1
    ) -> Iterator[Finding]:
        """Check structure (and digests) of the root and of these objects, or of all; `threads` large files at once."""


# --- catalog and log ---------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class LogEntry:
    """One line of the audit log."""

    index: int
    """From 0."""
    event: Event


@dataclass(frozen=True, kw_only=True)
class LogLine:
    """An entry together with what was hashed of it."""

    index: int
    """From 0."""
    event: Event
    data: bytes
    """The line (RFC 8785) without its end."""


@dataclass(frozen=True, kw_only=True)
class Consistency:
    """Whether one checkpoint of the log only adds to another."""

    earlier: int
    """Entries that the old checkpoint covers; 0 where it cannot be read."""
    later: int
    """Entries that the new one covers; 0 where it cannot be read."""
    proof: bytes
    """RFC 6962 §2.1.2 consistency proof as tlog-witness writes it, with the new checkpoint; empty where there is none.
    """
    findings: tuple[Finding, ...]
    """Why not; none where it does."""


@dataclass(frozen=True, kw_only=True)
class LogExport:
    """The log as static tiles (C2SP tlog-tiles)."""

    size: int
    """Entries that its checkpoint covers."""
    written: int
    """Files that were added; the others were there from an earlier export."""
    files: int
    """Files that make it up."""
    findings: tuple[Finding, ...]
    """What a reader must know."""


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

    @abstractmethod
    def checkpoint(self) -> bytes:
        """The signed checkpoint; raise LogDamaged where it is not this log's."""

    @abstractmethod
    def verifier_key(self) -> str:
        """The log's public key as C2SP signed-note writes it."""

    @abstractmethod
    def find(self, refs: Collection[str]) -> Iterator[LogLine]:
        """Entries about these REFs (with versions), oldest first, in one pass over the log.

        Those about many versions at once too (core.fixity), where these are among them.
        """

    @abstractmethod
    def prove(self, index: int) -> bytes:
        """Inclusion proof of an entry under the present checkpoint (C2SP tlog-proof), the line itself as `extra`.

        The lines are read once, whatever number of proofs is asked for; raise LogDamaged where they are not those that
        were signed, IndexError outside the log.
        """

    @abstractmethod
    def consistency(self, old: bytes, new: bytes | None = None) -> Consistency:
        """Whether the checkpoint `new`, or the present one, only adds to the checkpoint `old`, and the lines to both.

        Raises nothing for what is wrong with a checkpoint: that is a finding.
        """

    @abstractmethod
    def export(self, to: Path) -> LogExport:
        """Write the log as C2SP tlog-tiles into an empty folder, or add to what an earlier export left in it.

        What was written is read again and checked as a stranger would. Raise StorageConflict where the folder holds
        anything else, LogDamaged where the lines are not those that were signed, SelfCheckFailed, StorageFailed.
        """


@dataclass(frozen=True, kw_only=True)
class TimeStamp:
    """A request for a time-stamp of a checkpoint, and what came of it."""

    name: str
    """Of its folder below `audit/timestamps/`."""
    size: int
    """Entries that the checkpoint covers."""
    time: str
    """UTC, RFC 3339: when the authority saw it; empty where there is no reply that verifies."""
    authority: str
    """Who says so; empty likewise."""
    answered: bool
    """Whether a reply is kept."""
    digests: Mapping[str, str]
    """`sha256:…` of `checkpoint` and, once it is answered, of `reply.tsr` and `anchors.pem`."""


class TimeStamps(ABC):
    """Time-stamps of the log's checkpoints (RFC 3161), by exchange of files."""

    @abstractmethod
    def request(self, checkpoint: bytes) -> bytes:
        """Make and keep a request for a signed checkpoint; the DER bytes to bring to an authority."""

    @abstractmethod
    def accept(self, reply: bytes, anchors: bytes | None) -> tuple[TimeStamp | None, tuple[Finding, ...]]:
        """Check a reply and keep it with the request that it answers; None and why where it is not kept.

        `anchors` (PEM) vouch for the authority, by default those of the newest reply that was accepted; raise
        UsageError where there are none, KeysUnusable where they cannot be read.
        """

    @abstractmethod
    def stored(self) -> Iterator[TimeStamp]:
        """Every request, by size of its checkpoint."""

    @abstractmethod
    def verify(self, log: AuditLog) -> Iterator[Finding]:
        """Check every reply that is kept, against its anchors and against the log as it is now."""


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
    reviews: Mapping[str, ReviewWord] = field(default_factory=dict)
    """What the latest review says, by REF; a derivative that is not here is a draft."""


class Catalog(ABC):
    """An index over the roots and the log: everything in it can be rebuilt from them, but jobs."""

    @abstractmethod
    def add_master(self, master: Master, events: Sequence[Event]) -> None:
        """Insert or replace the rows of a master."""

    @abstractmethod
    def add_preservation(self, derivation: PreservationDerivation, events: Sequence[Event]) -> None:
        """Insert or replace the rows of a preservation derivative and its ingredients."""

    @abstractmethod
    def add_story(self, derivation: StoryDerivation, events: Sequence[Event]) -> None:
        """Insert or replace the rows of a story and its ingredients."""

    @abstractmethod
    def add_events(self, events: Sequence[Event]) -> None:
        """Append events about versions that are catalogued; those known of their REF are skipped."""

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
    def story(self, ref: StoryRef) -> StoryDerivation | None:
        """Record of a story."""

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


class Jobs(ABC):
    """The truth about batches: what of a command is still to be done. The one thing a rebuild cannot bring back."""

    @abstractmethod
    def open_batch(self, key: str, tasks: Sequence[str]) -> tuple[str, ...]:
        """Begin the batch `key`, or go on with it; return the tasks that are not done, failed ones included."""

    @abstractmethod
    def finish(self, key: str, task: str, error: str = "") -> None:
        """Write down durably that a task is done, or failed with this error."""

    @abstractmethod
    def failed(self, key: str) -> tuple[tuple[str, str], ...]:
        """(task, error) of those that failed, in the order of the batch."""

    @abstractmethod
    def close_batch(self, key: str) -> None:
        """Forget a batch that ran to its end, so that the same command later begins anew."""


# --- trained models ----------------------------------------------------------------------------------


class Network(ABC):
    """A trained model that is loaded and can run. Its card is a contract, and `predict` keeps it."""

    @property
    @abstractmethod
    def model(self) -> InstalledModel:
        """The model that was loaded; its weights had the digest of its card."""

    @property
    @abstractmethod
    def device(self) -> str:
        """Where it runs: `cpu`, `cuda` or `mps`."""

    @property
    @abstractmethod
    def determinism(self) -> Determinism:
        """What a second run gives."""

    @property
    @abstractmethod
    def agent(self) -> SoftwareAgent:
        """The library that runs it."""

    @property
    def card(self) -> ModelCard:
        """Purpose, contract, licence and all else that is said of it."""
        return self.model.card

    def predict(self, planes: FloatPlanes) -> FloatPlanes:
        """Run it: float32 (n, c, h, w) to float32 (n, c', h·scale, w·scale), planes and ranges as the card says.

        Several threads may call at once; the argument is left as it is. Raise ModelUnusable where the input does not
        fit the card, the library fails, or the output is not what the card promises; values beyond a range of the card
        are clipped to it.
        """
        problem = input_problem(self.card, planes)
        if problem:
            raise ModelUnusable(f"the model {self.card.name!r} cannot take its input: {problem}")
        try:
            return kept_contract(self.card, planes.shape, self._predict(planes))
        except (ArchiveRestoreError, MemoryError):
            raise
        except Exception as exc:
            raise ModelUnusable(
                f"the model {self.card.name!r} failed on {self.device}: {exc}",
                hint="See: archive-restore models verify",
            ) from exc

    @abstractmethod
    def _predict(self, planes: FloatPlanes) -> FloatPlanes:
        """Run it on an input that fits the card; may raise anything."""


class Models(ABC):
    """The trained models that lie here: those shipped with the program and those added to the archive."""

    @abstractmethod
    def cards(self) -> tuple[InstalledModel, ...]:
        """Every model whose card can be used, by name; what is wrong with the others is a finding of `verify`."""

    @abstractmethod
    def card(self, name: str) -> InstalledModel:
        """One model; raise ModelUnusable where there is none, or its card cannot be used."""

    @abstractmethod
    def load(self, name: str, device: str = "auto") -> Network:
        """The model, ready to run on `cpu`, `cuda`, `mps`, or with `auto` the best of them that is there.

        Its weights are hashed before they are used. Raise ModelUnusable where it is missing, damaged, does not fit its
        card, or a library or the device is not there; the message says what to install.
        """

    @abstractmethod
    def verify(self, names: Sequence[str] | None = None, *, deep: bool = True) -> Iterator[Finding]:
        """Check these models, or all: cards and files; with `deep` also digests, weights and self-tests.

        Raise ModelUnusable where a name is not that of a model.
        """

    @abstractmethod
    def add(self, card: Path, weights: Path) -> InstalledModel:
        """Check a model as `verify` does and add it to the archive, durably and atomically; the files stay.

        Raise ModelUnusable where it does not pass, StorageConflict where the name is taken, SourceUnreadable.
        """

    @abstractmethod
    def remove(self, name: str) -> None:
        """Take an added model, whole or damaged, out of the archive; raise ModelUnusable where none has the name."""


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
    """One tile on its way through the steps of a restoration; arrays cover `region`."""

    region: Region
    """Rectangle of the frame that the arrays cover."""
    needed: Region
    """The part of it that counts: the step's halo around it is there to be seen and may be left as it is."""
    facts: PictureFacts
    samples: Samples
    """(h, w, samples) in the master's dtype."""
    flags: npt.NDArray[np.uint8]
    """(h, w) synthesis map so far."""
    damage: npt.NDArray[np.uint8]
    """(h, w) DamageClass values so far."""
    probability: npt.NDArray[np.uint8]
    """(h, w) how probable damage is, 255 = 1; what a person drew is certain."""
    doubt: npt.NDArray[np.uint8]
    """(h, w) expected absolute error of what was filled, 255 = full scale; 0 where nothing was."""


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

    def models(self, parameters: Mapping[str, Json]) -> tuple[str, ...]:
        """Names of the trained models it runs with these parameters; none unless a step says otherwise."""
        return ()

    def equip(self, networks: Mapping[str, Network]) -> PreservationStep:
        """A copy that holds the networks of `models(parameters)`, by name; called before everything below.

        A step without models stays as it is. Never keep a network in the step itself: one step serves many pictures.
        """
        return self

    def source_type(self, parameters: Mapping[str, Json]) -> str:
        """IPTC digital source type of what it makes with these parameters; `digital_source_type` by default."""
        return self.digital_source_type

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
class ColourSpace:
    """How code values stand for light."""

    name: str
    """`sRGB`, or the description inside the ICC profile."""
    curve: npt.NDArray[np.float32]
    """(n,) linear light 0..1 at n evenly spaced code values from black to white; never falls."""
    to_xyz: tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]
    """Linear RGB to XYZ relative to D65, Y of white = 1; of a gray space that of sRGB."""
    luminance: tuple[float, float, float] | None = None
    """What each primary adds to luminance under the space's own white; None where that is D65, as of `to_xyz`."""

    @property
    def weights(self) -> tuple[float, float, float]:
        """What linear red, green and blue add to luminance."""
        return self.luminance or self.to_xyz[1]


@dataclass(frozen=True, kw_only=True)
class StoryPicture:
    """A whole picture on its way through a story's steps. Deliberately not a PreservationTile.

    Arrays may lie in files (numpy memmap): work in bands or tiles, and take room for results from `StoryContext.new`.
    Never write into an array that came in.
    """

    facts: PictureFacts
    """Of the samples as they are now: a step that makes RGB of gray, or another size, says so here."""
    samples: Samples
    """(h, w, samples) in the master's dtype."""
    white: float
    """Code value of 1.0: 255, 65535, or for floats the largest value of the source (at least 1)."""
    space: ColourSpace
    """What the code values mean. RGB made from gray keeps the curve and has the primaries of sRGB."""
    flags: npt.NDArray[np.uint8]
    """(h, w) synthesis map relative to the master; what a step does is OR-ed to it."""
    doubt: npt.NDArray[np.uint8]
    """(h, w) 0 = sure, 255 = nothing is known; 0 where nothing was made up."""
    geometry: Geometry
    """From pixel centres (x, y, 1) of this picture to those of the master."""
    alternatives: tuple[Samples, ...] = ()
    """Other outcomes, as plausible as `samples` and shaped alike; map and doubt hold for all of them."""
    losses: npt.NDArray[np.uint8] | None = None
    """(h, w) 1 where a restoration left a loss as found, 2 where a step of this story filled it or decided to leave it;
    None where nothing is known of losses."""
    spared: npt.NDArray[np.uint8] | None = None
    """(h, w) 255 where no later step may draw, falling to 0 around: faces that nobody asked for; None for none."""


@dataclass(frozen=True, kw_only=True)
class StoryContext:
    """What a story's step has beside the picture and its parameters."""

    seed: int
    networks: Mapping[str, Network]
    """Those of `StoryStep.models(parameters)`, by name."""
    documents: Mapping[str, Json]
    """What a person handed in, checked against its schema: `hints`, `regions`, `palette`; absent where not given."""
    samples: int
    """How many outcomes are wanted; the step may give fewer where only one is plausible."""
    threads: int
    new: Callable[[tuple[int, ...], npt.DTypeLike], Samples]
    """Room for a result, zeros: in memory where it is small, else in a file of `work/` that goes away by itself."""
    note: Callable[[Mapping[str, Json]], None]
    """Keep what the step found; goes into the derivation as its survey. Several notes are merged."""
    say: Callable[[str], None]
    """Keep one sentence for whoever shows the story: `Mostly abstention: hints at … would help.`"""
    decided: Callable[[HumanDecision], None]
    """Keep a decision of a person that the step followed."""
    kept: Callable[[str, Callable[[], Mapping[str, Samples]]], Mapping[str, Samples]]
    """`kept(key, make)`: arrays that `make` gives, from an earlier run where the same key was kept; `key` must name
    everything they depend on. Nothing may depend on whether it was kept."""
    earlier: Callable[[], Earlier] | None = None
    """Of clips: what the still was made from, in the end; raise UsageError where it is the master itself."""
    present: Callable[[], Present] | None = None
    """Of clips: a photograph of today of the same place; raise UsageError where none was handed in."""
    chapters: Callable[[], tuple[Chapter, ...]] | None = None
    """Of clips: the master and all that was made from it on the way to the still, which is the last."""


class Palettes(ABC):
    """Palettes of eras, places and processes (schemas/palette.schema.json)."""

    @abstractmethod
    def all(self) -> tuple[Mapping[str, Any], ...]:
        """Every palette by its id; raise ConfigurationInvalid where a file of the archive's own is none."""

    @abstractmethod
    def add(self, palette: Mapping[str, Any]) -> Path:
        """Keep one in the archive; raise SourceUnreadable where it is none, StorageConflict where its id is taken."""


class Kept(ABC):
    """Arrays from earlier runs."""

    @abstractmethod
    def get(self, key: str, make: Callable[[], Mapping[str, Samples]]) -> Mapping[str, Samples]:
        """What `make` gives, from an earlier run where it was kept; read only. `key` names all it depends on.

        Names of arrays are words of letters, digits and `_`.
        """


class StoryStep(ABC):
    """One step of a story. Entry-point group `archive_restore.story_steps`; no base shared with PreservationStep."""

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
    """IPTC digital source type (last part of the URI) of what it makes."""
    asks_again: ClassVar[bool] = False
    """Whether its models get the same input again when a person changes something: their answers are kept then."""

    def models(self, parameters: Mapping[str, Json]) -> tuple[str, ...]:
        """Names of the trained models it runs with these parameters; none unless a step says otherwise."""
        return ()

    def source_type(self, parameters: Mapping[str, Json]) -> str:
        """IPTC digital source type of what it makes with these parameters; `digital_source_type` by default."""
        return self.digital_source_type

    @abstractmethod
    def tell(self, picture: StoryPicture, parameters: Mapping[str, Json], context: StoryContext) -> StoryPicture:
        """Work on the whole picture; what is invented is flagged, what is not flagged keeps its samples bit for bit.

        Raise UsageError where the parameters and documents do not fit the picture, ModelUnusable from the networks.
        """


# --- clips -------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Still:
    """The one picture that a clip is made of, as it will be seen."""

    samples: npt.NDArray[np.uint8]
    """(h, w, 3), sRGB, upright."""
    flags: npt.NDArray[np.uint8]
    """(h, w) its synthesis map, relative to the master."""


@dataclass(frozen=True, kw_only=True)
class MotionFrame:
    """How a still moves in one frame, on a grid with a cell for every MOTION_CELL² pixels of the still.

    Planes may be shared between frames: nobody writes to them.
    """

    flow: npt.NDArray[np.float32]
    """(rows, columns, 2), pixels of the still, across and down: a pixel (x, y) shows the still at (x, y) + flow."""
    alpha: npt.NDArray[np.float32]
    """(rows, columns), 0..1, how much of the cell belongs to what moves; 0 where flow is 0 in every frame."""
    kind: npt.NDArray[np.uint8]
    """(rows, columns), index into `MotionSource.kinds`; 0 wherever alpha is 0."""


class MotionSource(ABC):
    """Says how pixels of one still move from frame to frame. Not for several threads at once."""

    @property
    @abstractmethod
    def frames(self) -> int:
        """Frames of the clip; a source that loops gives frame `frames` as it gives frame 0."""

    @property
    @abstractmethod
    def kinds(self) -> tuple[str, ...]:
        """What moves, one word each, such as `water`; the first, `rest`, does not."""

    @abstractmethod
    def at(self, frame: int) -> MotionFrame:
        """The motion of one frame: the same numbers for the same frame, in whatever order frames are asked for."""


@dataclass(frozen=True, kw_only=True)
class ClipFrame:
    """One frame before it is encoded."""

    samples: npt.NDArray[np.uint8]
    """(h, w, 3), sRGB."""
    flags: npt.NDArray[np.uint8]
    """(h, w) synthesis map, relative to the master."""


@dataclass(frozen=True, kw_only=True)
class Earlier:
    """The master of a still, for those who show both."""

    still: Still
    """The master's samples in the frame of the still."""
    words: Callable[[tuple[int, int]], tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]]
    """For frames of so many rows and columns: bands, uint8 (h, w, 3), that say what master and still are."""


@dataclass(frozen=True, kw_only=True)
class Present:
    """A photograph of today that was handed in, for those who show it beside the still."""

    samples: npt.NDArray[np.uint8]
    """(h, w, 3), sRGB, upright, of its own size."""
    path: Geometry | None
    """From pixel centres of the still to its own; None where too little was found that both show."""
    name: str
    facts: Mapping[str, Json]
    """What is known of it, for the step's survey: `name`, `rights`, `year` and how it was laid over the still."""
    words: Callable[[tuple[int, int]], tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]]
    """As in Earlier, of then and now."""


@dataclass(frozen=True, kw_only=True)
class Chapter:
    """One picture of an item's chain."""

    still: Still
    """In the frame of the clip's still."""
    says: str
    """What it is and its REF, for the disclosure sheet."""
    label: str
    """What stands in the frames while it is seen."""


@dataclass(frozen=True, kw_only=True)
class ClipPart:
    """What is seen from when to when."""

    start: int
    """Frame."""
    end: int
    """Frame, exclusive; the next part may begin before."""
    says: str
    label: str = ""
    """What stands in the corner from `start` on; empty for the clip's own."""


class ClipFrames(ABC):
    """The frames of a clip, made when they are asked for; the same frame is the same, whatever was asked before.

    Not for several threads at once.
    """

    size: tuple[int, int]
    """Rows and columns, both even."""
    count: int
    rate: int
    """Frames a second."""
    loops: bool
    """Whether frame `count` would be frame 0 again."""
    geometry: Geometry
    """From pixel centres (x, y, 1) of frame 0 to those of the still."""
    moves: bool = True
    """Whether anything is seen to move."""
    says: str = ""
    """What was done, one sentence; the step's own where it is empty."""
    parts: tuple[ClipPart, ...] = ()
    """By their starts, where not the same is seen all the time."""

    @abstractmethod
    def frame(self, index: int) -> ClipFrame:
        """Frame 0 to `count` - 1; its arrays may be shared, and nobody writes to them."""


class MotionStep(ABC):
    """Makes a clip of a still. Entry-point group `archive_restore.motion_steps`."""

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
    """IPTC digital source type (last part of the URI) of what it makes."""

    def models(self, parameters: Mapping[str, Json]) -> tuple[str, ...]:
        """Names of the trained models it runs with these parameters; none unless a step says otherwise."""
        return ()

    def source_type(self, parameters: Mapping[str, Json]) -> str:
        """IPTC digital source type of what it makes with these parameters; `digital_source_type` by default."""
        return self.digital_source_type

    @abstractmethod
    def clip(self, still: Still, parameters: Mapping[str, Json], context: StoryContext) -> ClipFrames:
        """Plan the clip; what moves is flagged, what is not flagged anew keeps the samples of the still.

        Raise UsageError where parameters and documents do not fit the picture.
        """


class FrameWriter(ABC):
    """Takes the frames of a video, in order."""

    @abstractmethod
    def write(self, frame: npt.NDArray[np.uint8]) -> None:
        """Add one: uint8 (h, w, 3) RGB, or (h, w) of a map."""

    @abstractmethod
    def close(self) -> None:
        """Finish the file."""


class Videos(ABC):
    """Video files: what is shown, lossy, and what must come back bit for bit."""

    @abstractmethod
    def create(
        self,
        path: Path,
        size: tuple[int, int],
        rate: int,
        *,
        quality: int,
        sound: npt.NDArray[np.int16] | None = None,
        captions: Sequence[Cue] = (),
    ) -> FrameWriter:
        """Begin an MP4 (H.264, yuv420p, BT.709); `size`: rows and columns, even; `quality`: 0 is best, 51 worst.

        `sound`: the whole of it, (n, 2) at core.synthesizer.RATE, becomes AAC; `captions`, in milliseconds of the clip,
        become a track of timed text (3GPP TS 26.245).
        """

    @abstractmethod
    def create_exact(
        self, path: Path, size: tuple[int, int], rate: int, *, colour: bool, sound: npt.NDArray[np.int16] | None = None
    ) -> FrameWriter:
        """Begin a Matroska file (FFV1) of maps, or with `colour` of RGB frames; `sound` becomes FLAC."""

    @abstractmethod
    def frames(self, path: Path, *, maps: bool = False) -> Iterator[npt.NDArray[np.uint8]]:
        """Decoded frames in order, uint8 (h, w, 3) RGB, or (h, w) of a map; raise PictureUnreadable."""

    @abstractmethod
    def sound(self, path: Path) -> npt.NDArray[np.float64] | None:
        """Decoded sound of a video, (n, 2) at core.synthesizer.RATE, -1..1; None without; raise PictureUnreadable."""

    @abstractmethod
    def agents(self) -> tuple[SoftwareAgent, ...]:
        """The libraries that encode."""


class Sounds(ABC):
    """Music and voices: files that people hand in, and the backing pieces of this program."""

    @abstractmethod
    def read(self, path: Path, seconds: float) -> npt.NDArray[np.float64]:
        """The beginning of a file, at most so long: (n, 2) at core.synthesizer.RATE, -1..1.

        Raise SourceUnreadable where it is no sound, is empty, or lasts so long that it is no music of a clip.
        """

    @abstractmethod
    def loudness(self, sound: npt.NDArray[np.float64]) -> float:
        """LUFS over the whole (ITU-R BS.1770-4), -inf where there is nothing to be heard."""

    @abstractmethod
    def play_font(self, font: Path, notes: Sequence[Note], seconds: float, count: int) -> npt.NDArray[np.float64]:
        """As core.synthesizer.play, with the first instrument of a sound font.

        Raise UsageError where what plays them is not installed, SourceUnreadable for what is no sound font.
        """

    @abstractmethod
    def pieces(self) -> tuple[Mapping[str, Any], ...]:
        """Scores of the backing pieces by their identifiers (schemas/music.schema.json)."""

    @abstractmethod
    def agents(self, *, font: bool) -> tuple[SoftwareAgent, ...]:
        """The libraries that decode and measure, and with `font` the one that plays sound fonts."""


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
    """Runs independent jobs, here or in other processes; the coordinator alone commits what they make."""

    @abstractmethod
    def run(
        self, archive: Archive, job: Callable[[Archive, TaskT], ResultT], tasks: Sequence[TaskT]
    ) -> Generator[tuple[TaskT, ResultT | ArchiveRestoreError], None, None]:
        """Yield (task, result or error) as jobs end, in any order; closing it stops what has not begun.

        `job` is a function of a module and tasks and results are plain data, so that both can travel.
        """


@dataclass(frozen=True, kw_only=True)
class Inspected:
    """What the format checks made of one file before it is stored."""

    file_format: FileFacts | None
    picture: PictureFacts | None
    findings: tuple[Finding, ...]


class Formats(ABC):
    """Identification and checks of files that come in."""

    @abstractmethod
    def inspect(self, path: Path, *, subject: str, name: str, digests: Digests) -> Inspected:
        """Identify and check one file; problems are findings, never exceptions."""

    @abstractmethod
    def name_findings(self, name: str) -> tuple[Finding, ...]:
        """Check a file name before anything is done with it."""


class Bags(ABC):
    """Bags that come in."""

    @abstractmethod
    def read(self, path: Path, subject: str) -> Bag:
        """Validate the bag in a directory (RFC 8493) and read what it says; problems are findings, never exceptions.

        Of a bag with errors nothing but its findings is given. `subject` names it in findings.
        """


class DerivativeWriter(ABC):
    """Writes one derivative picture with its map, in bands from the top."""

    @abstractmethod
    def write(self, samples: Samples, flags: npt.NDArray[np.uint8]) -> None:
        """Add rows: samples (rows, width, samples) in the master's dtype, flags (rows, width) uint8."""

    @abstractmethod
    def close(self) -> None:
        """Finish the file."""


class PlaneWriter(ABC):
    """Writes one 8-bit plane as PNG, in bands from the top."""

    @abstractmethod
    def write(self, rows: npt.NDArray[np.uint8]) -> None:
        """Add rows: (rows, width) uint8."""

    @abstractmethod
    def close(self) -> None:
        """Finish the file."""


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """What the metadata of a derivative says of its making (XMP Media Management, IPTC)."""

    ref: str
    parent_ref: str
    parent_sha256: str
    digital_source_type: str
    """Last part of the IPTC URI."""
    software: str
    when: str
    """UTC, RFC 3339."""
    history: tuple[tuple[str, str], ...]
    """(action, parameters as text) a step."""
    parent_name: str
    """File name of the master."""
    description: Description


class Pictures(ABC):
    """Pixels in and out."""

    @abstractmethod
    def open(self, path: Path, facts: PictureFacts | None = None) -> PictureSource:
        """Open the main picture of a file; raise PictureUnreadable."""

    @abstractmethod
    def open_map(self, path: Path) -> PictureSource:
        """Open the synthesis map inside a derivative; raise PictureUnreadable where there is none."""

    @abstractmethod
    def create(self, path: Path, *, master: Path, facts: PictureFacts, lineage: Lineage) -> DerivativeWriter:
        """Begin a derivative TIFF that carries the master's ICC profile, metadata and resolution."""

    @abstractmethod
    def colour_space(self, path: Path, facts: PictureFacts) -> ColourSpace:
        """What the code values of a picture mean; sRGB where it has no profile, or one that is not understood."""

    @abstractmethod
    def create_story(
        self,
        path: Path,
        *,
        source: Path,
        facts: PictureFacts,
        space: ColourSpace | None,
        scale: float,
        lineage: Lineage,
    ) -> DerivativeWriter:
        """Begin a story's TIFF that carries the metadata of `source`, with `scale` times its resolution.

        Its profile is that of `source`, or with `space` one that says what colours made from gray mean.
        """

    @abstractmethod
    def create_plane(self, path: Path, width: int, height: int) -> PlaneWriter:
        """Begin an 8-bit gray PNG."""

    @abstractmethod
    def agents(self, facts: PictureFacts) -> tuple[SoftwareAgent, ...]:
        """The libraries that decode such a picture."""


@dataclass(frozen=True, kw_only=True)
class AccessMetadata:
    """What an access copy says inside, besides its credentials (XMP, IPTC-IIM, EXIF)."""

    source: Path
    """The stored file, whose profile, resolution and public metadata are carried along."""
    facts: PictureFacts
    """Of the source."""
    srgb: bool
    """Whether the samples are sRGB, whatever the source's profile is."""
    lineage: Lineage
    """Of the copy: its parent is the source."""
    credit: str
    """Who wants to be named (`photoshop:Credit`)."""


class AccessCopies(ABC):
    """Pictures as they leave the archive."""

    @abstractmethod
    def band(self, width: int, height: int, text: str, style: CaptionStyle | None = None) -> npt.NDArray[np.uint8]:
        """The caption band of a picture of this size, as a person sees it: uint8 (band, width or more, 3).

        `style`: the archive's own unless given.
        Raise ConfigurationInvalid where no font at hand can draw the text.
        """

    @abstractmethod
    def write(self, path: Path, sheet: Samples, *, quality: int, metadata: AccessMetadata) -> None:
        """Encode uint8 (h, w, 1 or 3) as JPEG with every sample's own chroma; raise UsageError where it is too large.

        The profile of the source goes in, or that of sRGB; its orientation too.
        """

    @abstractmethod
    def write_clip(self, path: Path, metadata: AccessMetadata) -> None:
        """Write the source of `metadata`, an MP4, with XMP; nothing in it is encoded again.

        Raise PictureUnreadable where it is no whole MP4, StorageFailed.
        """


@dataclass(frozen=True, kw_only=True)
class SignedFile:
    """Where the credentials of a derivative went."""

    embedded: bool
    """False: they lie in a sidecar, since the file is over the size that fits the memory limit."""
    sidecar: Path | None


class Credentials(ABC):
    """C2PA manifests: made and read offline."""

    @abstractmethod
    def load_early(self) -> None:
        """Begin to load what signing a picture needs, beside whatever is done meanwhile; returns at once."""

    @abstractmethod
    def sign_master(self, master: Master, asset: Path, out: Path) -> None:
        """Write the sidecar manifest of a master; the asset is never touched. Raise CredentialsFailed."""

    @abstractmethod
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
        """Embed the manifest (or write a sidecar) and check the result. Raise CredentialsFailed, SelfCheckFailed."""

    @abstractmethod
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
        """As `sign_restoration`; the parent's manifest lies in `parent_sidecar`, or inside the parent where None.

        `outcome` says which of `StoryDerivation.outcomes` the file is.
        """

    @abstractmethod
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
        """Write the sidecar of another product of a story, whose file lies finished and has no room for a manifest.

        Raises as `sign_story`.
        """

    @abstractmethod
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
        """Embed the manifest of an access copy, its history with it. Raise CredentialsFailed, SelfCheckFailed."""

    @abstractmethod
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
        """Read and judge a file's credentials under these roots (PEM), or the archive's own; problems are findings.

        `sha256` is the digest of the file's bytes where they were hashed just now: with a sidecar that binds all of
        them they need not be read again.
        """

    @abstractmethod
    def agents(self) -> tuple[SoftwareAgent, ...]:
        """The libraries that sign."""


@dataclass(frozen=True, kw_only=True)
class CredentialReport:
    """What a file's credentials say."""

    state: str
    """`none`, `invalid`, `valid` (intact, signer unknown) or `trusted`."""
    signer: str
    """Common name and organization of the signing certificate."""
    algorithm: str
    when: str
    """Time of signing as claimed, or as time-stamped."""
    findings: tuple[Finding, ...]
    map_png: bytes | None
    """The synthesis map carried inside the manifest."""
    derivation: Mapping[str, Any] | None
    """The derivation assertion."""
    chain: CredentialChain | None = None
    """All manifests in plain words; None where none can be read."""


# --- kinship -----------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Fingerprint:
    """What finds a picture again; small, and plain data that travels between processes."""

    code: bytes
    """Raw digest of the ISCC image code (ISO 24138), 32 bytes."""
    words: npt.NDArray[np.uint16]
    """(n,) bucket of each local feature."""
    signatures: npt.NDArray[np.uint64]
    """(n,) what tells features of one bucket apart."""


@dataclass(frozen=True, kw_only=True)
class Kin:
    """A picture of the archive that a candidate may come from: never a verdict."""

    ref: str
    """REF with its version."""
    distance: int
    """Bits of 256 in which the ISCC image codes differ, at best over mirrored, turned and trimmed variants."""
    votes: float
    """Weight of the local features that both have; 0 where none were compared."""


class Fingerprints(ABC):
    """Fingerprints of the archive's pictures: what can be made again at any time from the pictures alone."""

    @abstractmethod
    def covered(self) -> int:
        """How many entries of the log are accounted for; 0 for an empty index."""

    @abstractmethod
    def known(self) -> frozenset[str]:
        """REFs that are in it."""

    @abstractmethod
    def make(self, picture: npt.NDArray[np.uint8]) -> Fingerprint:
        """Fingerprint of a picture as a person sees it: uint8 (h, w) or (h, w, 3), best 500 pixels or more."""

    @abstractmethod
    def add(self, prints: Mapping[str, Fingerprint], covered: int) -> None:
        """Add REFs and say how many entries of the log are accounted for now; kept where the disk allows it."""

    @abstractmethod
    def find(self, picture: npt.NDArray[np.uint8], limit: int = 20) -> tuple[Kin, ...]:
        """Pictures that may be its kin, likeliest first; `picture` as in `make`, mirrored, turned or cropped."""


# --- what comes from outside -------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Looked:
    """A picture from outside as a person sees it."""

    picture: npt.NDArray[np.uint8] | None
    """uint8 (h, w) or (h, w, 3), upright, longest edge at most 2048; None where it cannot be decoded."""
    findings: tuple[Finding, ...]
    width: int | None = None
    """Of the whole picture, upright, pixels; None where unknown."""
    height: int | None = None


class Foreign(ABC):
    """Files and folders that somebody hands in, whoever made them. Reads only."""

    @abstractmethod
    def subject(self, path: Path) -> Subject:
        """What a path is; raise SourceUnreadable where the system refuses to say."""

    @abstractmethod
    def look(self, path: Path, mime: str, subject: str) -> Looked:
        """Check the structure of a picture's file and look at the picture; problems are findings."""

    @abstractmethod
    def thumbnail(self, data: bytes) -> npt.NDArray[np.uint8] | None:
        """A small encoded picture as a person sees it: uint8 (h, w) or (h, w, 3); None where it cannot be decoded."""

    @abstractmethod
    def image_code(self, picture: npt.NDArray[np.uint8]) -> bytes:
        """Raw digest of the ISCC image code of a picture as `look` gives it, 32 bytes."""

    @abstractmethod
    def bag(self, path: Path) -> Iterator[Finding]:
        """Check a bag (RFC 8493)."""

    @abstractmethod
    def ocfl_object(self, path: Path) -> Iterator[Finding]:
        """Check an OCFL object, whoever wrote it."""

    @abstractmethod
    def ocfl_root(self, path: Path) -> Iterator[Finding]:
        """Check an OCFL storage root and its objects, whoever wrote them."""


@dataclass(frozen=True, kw_only=True)
class AuditView:
    """Everything the report of an audit is made from."""

    audit: Audit
    credentials: CredentialReport | None
    """None where credentials were not looked for."""
    anchors: str
    """Under which roots they were judged, in words."""
    kinship: Kinship | None
    candidate: npt.NDArray[np.uint8] | None
    """The file as a person sees it: uint8 (h, w) or (h, w, 3)."""
    reference: npt.NDArray[np.uint8] | None
    """The archive's picture it was matched to, shaped likewise."""
    matrix: Geometry
    """From pixel centres of `candidate` to those of `reference`."""
    scale: float
    """Pixels of the file a pixel of `candidate`."""
    strength: npt.NDArray[np.uint8] | None
    """(h, w) 0 where everything is explained, else how far beyond it; any reduction of the candidate."""
    flags: npt.NDArray[np.uint8] | None
    """(h, w) of `candidate`: synthesis map of what it shows; None where there is none."""
    caption: str
    """Text of the band of the matched picture; empty where it is no story."""
    made: str
    """UTC, RFC 3339."""
    inside: tuple[Audit, ...] = ()
    """Of a package: its pictures and videos that were audited."""
    signed: npt.NDArray[np.uint8] | None = None
    """Small picture of what was signed, where the credentials do not hold for this file; None where there is none."""


class AuditReports(ABC):
    """The report of an audit."""

    @abstractmethod
    def render(self, view: AuditView) -> bytes:
        """One self-contained HTML file."""


# --- documents ---------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Detail:
    """A place worth looking at closely; arrays are full-size crops."""

    region: Region
    before: Samples
    after: Samples
    flags: npt.NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class RestorationView:
    """Everything the report and the thumbnails are made from."""

    master: Master
    derivation: PreservationDerivation
    before: Overview
    after: Overview
    flags: npt.NDArray[np.uint8]
    """Reduced map: the OR of all flags in each cell."""
    damage_counts: Mapping[str, int]
    """Pixels a damage class."""
    details: tuple[Detail, ...]
    losses: tuple[Loss, ...]
    """Places too wide to be filled, largest first."""
    credentials: CredentialReport
    embedded: bool
    """Whether the manifest lies inside the picture."""
    master_path: Path
    files: Mapping[str, Digests]
    """Files stored with the derivative so far, by name; the picture's comes first."""


@dataclass(frozen=True, kw_only=True)
class StoryLook:
    """What the small pictures of a story are made from."""

    derivation: StoryDerivation
    kinds: tuple[StoryKind, ...]
    """Kinds of the stories it was made from."""
    parent_path: Path
    before: Overview
    """What it was made from."""
    picture_path: Path
    """The picture, still in staging."""
    after: Overview
    flags: npt.NDArray[np.uint8]
    """Reduced map: the OR of all flags in each cell."""


@dataclass(frozen=True, kw_only=True)
class StoryShown:
    """The small pictures of a story, encoded."""

    before: bytes
    """JPEG of what it was made from; with a caption band where that is a story itself."""
    before_size: tuple[int, int]
    """Width, height."""
    after: bytes
    """JPEG with a caption band; of a clip its first frame, which carries its label itself."""
    after_size: tuple[int, int]
    flags: bytes
    """PNG of the map in the colours of its legend."""
    master_thumbnail: bytes
    """JPEG of what it was made from, longest edge 512 pixels."""
    thumbnail: bytes
    """JPEG, longest edge 512 pixels and a caption band below that says what it is."""


@dataclass(frozen=True, kw_only=True)
class StoryView:
    """Everything the report of a story is made from."""

    master: Master
    look: StoryLook
    shown: StoryShown
    credentials: CredentialReport
    embedded: bool
    """Whether the manifest lies inside the picture."""
    files: Mapping[str, Digests]
    """Files stored with the story so far, by name; the picture's comes first."""


@dataclass(frozen=True, kw_only=True)
class Loss:
    """A damaged place too wide to be filled from its surroundings."""

    region: Region
    """Rectangle around it, rounded outwards."""
    pixels: int


@dataclass(frozen=True, kw_only=True)
class SheetPanel:
    """One picture on a contact sheet."""

    title: str
    picture: Overview
    path: Path | None
    """The file, for its profile; None where samples are sRGB, as those of a clip's frames."""
    caption: str
    """Text of its band; empty for what is no story."""


class Documents(ABC):
    """Renders records for people and for other systems."""

    @abstractmethod
    def master_premis(self, master: Master, events: Sequence[Event]) -> bytes:
        """PREMIS 3 XML."""

    @abstractmethod
    def restoration_premis(
        self, derivation: PreservationDerivation, events: Sequence[Event], files: Mapping[str, Digests]
    ) -> bytes:
        """PREMIS 3 XML."""

    @abstractmethod
    def restoration_report(self, view: RestorationView) -> bytes:
        """Stand-alone HTML."""

    @abstractmethod
    def picture(self, samples: npt.NDArray[np.uint8]) -> bytes:
        """PNG of sRGB, uint8 (h, w, 3)."""

    @abstractmethod
    def thumbnail(self, picture: Overview) -> bytes:
        """JPEG, longest edge 512 pixels."""

    @abstractmethod
    def story_premis(self, derivation: StoryDerivation, events: Sequence[Event], files: Mapping[str, Digests]) -> bytes:
        """PREMIS 3 XML."""

    @abstractmethod
    def story_pictures(self, look: StoryLook) -> StoryShown:
        """The small pictures of a story; may run while the story is being checked."""

    @abstractmethod
    def story_report(self, view: StoryView) -> bytes:
        """Stand-alone HTML."""

    @abstractmethod
    def contact_sheet(self, panels: Sequence[SheetPanel]) -> bytes:
        """JPEG: pictures side by side, each under its title."""


class Exporter(ABC):
    """One form in which an item leaves the archive whole: `bag`, `ocfl`, `mets`, `iiif`."""

    name: ClassVar[str]
    """The word after `--as`."""
    seal: str
    """Glob, below a package, of the files that name all others: the log keeps their digests."""
    takes_earlier_versions: ClassVar[bool] = False
    """Whether a version takes all earlier ones along."""

    def bound(self, profile: Path | None, info: Sequence[tuple[str, str]]) -> Exporter:
        """The same exporter, bound to a BagIt profile and to more that is said of every package (label, text).

        Raise UsageError where this form knows neither, or where the profile or a label cannot be used.
        """
        if profile is not None or info:
            raise UsageError(f"--profile and --bag-info do not go with --as {self.name}", hint="They go with --as bag")
        return self

    def served_from(self, base_uri: str) -> Exporter:
        """The same exporter, for packages that will lie on a web server below `base_uri`; raise UsageError."""
        raise UsageError(f"--base-uri does not go with --as {self.name}", hint="It goes with --as iiif")

    @abstractmethod
    def write(self, package: Package, to: Path) -> None:
        """Write the package into `to`, an empty directory; `Archive.make_durable` brings it to the disk afterwards.

        Every file of the package is read once while it is copied, and its digests must be those that the package
        says: raise SelfCheckFailed where they are not, StorageFailed where the disk refuses.
        """

    @abstractmethod
    def check(self, to: Path) -> Iterator[Finding]:
        """Read what `write` wrote as a stranger would and judge it: nothing is found in a good one."""


# --- the archive -------------------------------------------------------------------------------------


class Journal(ABC):
    """Remembers what is about to be committed, so that a crash can be finished."""

    @abstractmethod
    def open(self, entry: JournalEntry) -> str:
        """Write an entry durably; return its key."""

    @abstractmethod
    def close(self, key: str) -> None:
        """Forget an entry whose work is done."""

    @abstractmethod
    def pending(self) -> Iterator[tuple[str, JournalEntry]]:
        """Entries that a crash left behind."""


@dataclass(frozen=True, kw_only=True)
class JournalEntry:
    """Versions that are about to appear, and the events that tell of them."""

    refs: tuple[str, ...]
    """REFs with versions; a master's is its item_id. Empty where the events are about versions long stored."""
    events: tuple[Event, ...]
    batch: str = ""
    """Key of the batch whose tasks are done when the versions are stored (flows.commit.task_of)."""


class Quarantine(ABC):
    """Keeps files that were refused, each with its findings."""

    @abstractmethod
    def take(self, staged: Path, *, name: str, sha256: str, findings: Sequence[Finding]) -> None:
        """Move a staged file in; the same bytes twice take one place."""


Vouched = Mapping[int, Mapping[str, str]]
"""Digests (`sha512:…`) of files by name, by version from 1."""


class Replica(ABC):
    """Another directory with the storage roots, the log and the settings of this archive, never its private keys.

    What the archive's log vouches for, and nothing else, travels between the two, in either direction; `vouched` are
    the names and digests (`sha512:…`) of the files of every version of an object, by version from 1.
    """

    @abstractmethod
    def writing(self) -> AbstractContextManager[None]:
        """Hold the replica for writing; a directory that is empty or missing becomes one.

        Raise StorageConflict where it holds anything else, another archive's replica, or lies in this archive (or
        the archive in it), ArchiveBusy, StorageFailed.
        """

    @abstractmethod
    def require(self) -> None:
        """Raise StorageConflict where the directory is no copy of this archive."""

    @abstractmethod
    def compare_log(self) -> int:
        """Remember the archive's checkpoint of now; return the entries it covers.

        Raise LogDamaged where the archive's log does not hold, or does not begin with what the replica's checkpoint
        promises: a log that was rewritten, or two that grew apart.
        """

    @abstractmethod
    def take_log(self) -> tuple[Finding, ...]:
        """Extend the replica's log to the remembered checkpoint: lines, fsync, checkpoint."""

    @abstractmethod
    def take_settings(self) -> tuple[Finding, ...]:
        """Copy archive.toml, public keys and certificates, added models and palettes."""

    @abstractmethod
    def take(self, object_id: str, vouched: Vouched, *, verify: bool) -> Brought:
        """Bring an object of the archive into the replica, whole or not at all.

        A file that does not have its digest is not taken. What is in the replica already is believed where its
        inventory is the same, or read and compared with `verify`. Several threads may take different objects.
        """

    @abstractmethod
    def give(self, object_id: str, vouched: Vouched) -> Brought:
        """Mend an object of the archive, every byte of which is read: what is missing, rotten or too much.

        Good bytes are copied, hashed and compared before they take their place; what was there goes into quarantine.
        """

    @abstractmethod
    def give_roots(self) -> tuple[str, ...]:
        """Write what describes the archive's storage roots anew where it is damaged; paths that were written."""

    @abstractmethod
    def give_log(self) -> tuple[str, ...]:
        """Mend the archive's log where it is damaged; paths that were written.

        Raise LogDamaged where what the archive's checkpoint promises cannot be had again to the last entry.
        """

    @abstractmethod
    def object_ids(self) -> Iterator[str]:
        """Every object in the replica."""


@dataclass(frozen=True, kw_only=True)
class Brought:
    """What was done so that an object is what its inventory and the log say."""

    written: tuple[str, ...] = ()
    """Paths inside the object."""
    size: int = 0
    """Bytes of them."""
    displaced: tuple[str, ...] = ()
    """Paths inside the object whose bytes went into quarantine."""
    findings: tuple[Finding, ...] = ()
    """What could not be done, and what was found on the way."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What archive.toml says."""

    name: str
    organization: str
    threads: int
    """Workers for pixels and files: threads, and processes for many small files."""
    workers: int
    """Processes for batches of derivatives."""
    labels: Labels = field(default_factory=Labels)
    """How stories that leave the archive say what they are."""


@dataclass(frozen=True, kw_only=True)
class Archive:
    """One archive with its adapters: what every flow gets."""

    root: Path
    settings: Settings
    clock: Clock
    preservation: StorageRoot[RecordRef]
    stories: StorageRoot[StoryRef]
    log: AuditLog
    timestamps: TimeStamps
    catalog: Catalog
    scratch_catalog: Callable[[], Catalog]
    """Makes an empty catalog in memory, to compare with."""
    jobs: Jobs
    formats: Formats
    bags: Bags
    pictures: Pictures
    access: AccessCopies
    exporters: Callable[[], Mapping[str, Exporter]]
    """By the word after `--as`."""
    make_durable: Callable[[Sequence[Path]], None]
    """Brings everything below these folders to the disk; raises StorageFailed."""
    credentials: Credentials
    documents: Documents
    fingerprints: Fingerprints
    """What finds the kin of a picture from outside."""
    models: Models
    executor: Executor
    """For batches of derivatives."""
    intake: Executor
    """For files that come in: many small jobs."""
    journal: Journal
    quarantine: Quarantine
    preservation_steps: Callable[[], Mapping[str, PreservationStep]]
    story_steps: Callable[[], Mapping[str, StoryStep]]
    motion_steps: Callable[[], Mapping[str, MotionStep]]
    videos: Videos
    sounds: Sounds
    palettes: Palettes
    kept: Kept
    """What stories need again when they are told with one thing changed."""
    replica: Callable[[Path], Replica]
    """A copy of this archive in another directory."""
    check_parameters: Callable[[Mapping[str, Any], Mapping[str, Json]], str]
    """(JSON Schema properties, values) -> a sentence for the first that does not fit, or an empty string."""
    check_document: Callable[[str, Any], str]
    """(name of a schema in `schemas/`, data) -> a sentence, or an empty string."""
    work: Path
    """Staging on the same file system."""
    agent: str
    """Name and version of this program."""
    platform: str


@dataclass(frozen=True, kw_only=True)
class AuditDesk:
    """What an audit has at hand: with an archive, or without one."""

    archive: Archive | None
    why_no_archive: str
    """A sentence where there is none."""
    foreign: Foreign
    pictures: Pictures
    credentials: Credentials
    reports: AuditReports
    clock: Clock
    scratch: Path
    """A folder of its own that goes away."""
    open_archive: Callable[[Path], AbstractContextManager[Archive]]
    """Opens another archive to be audited, read only."""
