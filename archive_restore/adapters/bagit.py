"""Writes one package as a bag: BagIt 1.0 (RFC 8493), and holds bags against a BagIt profile.

Every payload file is read once: copied, hashed with sha512 and sha256, and compared with what the archive says of it.
What anybody wrote into a description stays a value in one tag file; it never becomes a path or a line of its own.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from archive_restore.adapters import durable
from archive_restore.adapters.bag_packing import pack, unpack
from archive_restore.adapters.bagit_validate import Checked, check_bag
from archive_restore.adapters.log_evidence import evidence
from archive_restore.core.bag_profile import (
    ALGORITHMS,
    ALWAYS,
    Profile,
    Shape,
    fitted,
    packed_as,
    problems,
    read_profile,
)
from archive_restore.core.bag_text import DECLARATION, bag_info, label_problem, manifest, plain
from archive_restore.core.bagit import path_problem
from archive_restore.core.package_words import ABOUT, folder_of, sentences
from archive_restore.errors import SelfCheckFailed, SourceUnreadable, UsageError
from archive_restore.ports import Digests, Exporter
from archive_restore.records.findings import Finding, Severity
from archive_restore.records.packages import Package, PackedFile

MAX_DESCRIPTION = 2000
"""Longest External-Description, characters; the whole text is in the records of the payload."""


class BagExporter(Exporter):
    """`--as bag`; see ports.Exporter."""

    name = "bag"
    seal = "tagmanifest-*.txt"

    def __init__(
        self, *, threads: int = 1, profile: Profile | None = None, info: Sequence[tuple[str, str]] = ()
    ) -> None:
        """Files are copied by `threads`; see `bound` for the rest."""
        self._threads = threads
        self._profile = profile
        self._info = tuple(info)
        self._packed = packed_as(profile) if profile is not None else ""
        if self._packed:
            self.seal = f"*.{self._packed}"
        self._read_back: dict[Path, dict[str, tuple[Digests, _Mark]]] = {}
        """By bag and path: digests of payload files as they were read back, and what tells that they did not change."""

    def bound(self, profile: Path | None, info: Sequence[tuple[str, str]]) -> Exporter:
        """See ports.Exporter; `info` are elements of bag-info.txt, each stands above what would be there."""
        for label, _ in info:
            if problem := label_problem(label):
                raise UsageError(
                    f"{label!r} cannot be an element of bag-info.txt: it {problem}", hint="Write LABEL=TEXT"
                )
        return BagExporter(threads=self._threads, profile=_profile(profile) if profile else None, info=info)

    def write(self, package: Package, to: Path) -> None:
        """See ports.Exporter. Where a profile wants one file, it is the only one in `to` (RFC 8493 §4)."""
        if not self._packed:
            self._write(package, to)
            return
        bag = to / package.name
        with durable.storage_errors("creating", bag):
            bag.mkdir()
        self._write(package, bag)
        with durable.storage_errors("packing", bag):
            pack(bag, to / f"{package.name}.{self._packed}")
            shutil.rmtree(bag)
        self._read_back.clear()

    def _write(self, package: Package, to: Path) -> None:
        """Steps: 1 plan, 2 profile, 3 payload, 4 tag files."""
        # 1. What goes in, and what is said of it
        parts = _payload(package)
        made = _made_files(package)
        size = sum(part.file.size for part in parts) + sum(map(len, made.values()))
        payload = [part.path for part in parts] + list(made)
        shape = Shape(info=_stated(_info(package, size, len(payload)), self._info), tag_files=(ABOUT,), payload=payload)
        # 2. Profile: before a byte is copied
        if self._profile is not None:
            shape = fitted(shape, self._profile)
            if unmet := problems(shape, self._profile):
                raise UsageError(f"the profile {self._profile.identifier!r} cannot be met: {'; '.join(unmet)}")
        # 3. Payload
        for folder in sorted({(to / path).parent for path in payload}):
            with durable.storage_errors("creating", folder):
                folder.mkdir(parents=True, exist_ok=True)
        copied = durable.each(lambda part: _copied(part.file, to / part.path), parts, self._threads)
        digests = {part.path: found for part, found in zip(parts, copied, strict=True)}
        digests |= {path: durable.write_hashed(to / path, data, mode=durable.WRITABLE) for path, data in made.items()}
        # 4. Tag files (RFC 8493 §2.1, §2.2)
        tags = {"bagit.txt": DECLARATION, "bag-info.txt": bag_info(shape.info)}
        tags |= {ABOUT: _about(package, parts)} if ABOUT in shape.tag_files else {}
        tags |= {f"manifest-{name}.txt": manifest(_named(name, digests, to)) for name in shape.manifests}
        written = {name: durable.write_hashed(to / name, data, mode=durable.WRITABLE) for name, data in tags.items()}
        for name in shape.tag_manifests:
            durable.write_hashed(
                to / f"tagmanifest-{name}.txt", manifest(_named(name, written, to)), mode=durable.WRITABLE
            )
        self._read_back[to] = {path: (found, _mark(to / path)) for path, found in digests.items()}

    def check(self, to: Path) -> Iterator[Finding]:
        """See ports.Exporter and bagit_validate.

        What `write` copied was read back then, block by block. Where a file did not change since, the digests of that
        reading are held against the manifests, once; every other file is read here. One file is unpacked for it.
        """
        if not self._packed:
            yield from self._check(to)
            return
        with tempfile.TemporaryDirectory(prefix=".check-", dir=to) as place:
            found = next(to.glob(self.seal), None)
            problem = "it is missing" if found is None else unpack(found, Path(place))
            if problem:
                yield Finding(
                    code="BAG_PACKED_UNREADABLE",
                    severity=Severity.ERROR,
                    subject=to.name,
                    message=f"The packed bag cannot be read: {problem}.",
                    clause="RFC 8493 §4",
                )
                return
            for bag in Path(place).iterdir():
                yield from self._check(bag)

    def _check(self, to: Path) -> Iterator[Finding]:
        known = {
            path: {name: getattr(found, name) for name in ALGORITHMS}
            for path, (found, mark) in self._read_back.pop(to, {}).items()
            if _mark(to / path) == mark
        }
        checked = check_bag(to, to.name, known)
        yield from checked.findings
        for unmet in problems(_shape(checked), self._profile) if self._profile is not None else ():
            yield Finding(
                code="BAG_PROFILE_UNMET",
                severity=Severity.ERROR,
                subject=to.name,
                message=f"{unmet[0].upper()}{unmet[1:]}.",
                clause="BagIt Profiles 1.4",
            )


_Mark = tuple[int, int, int]
"""Inode, size and time of change of a file."""


def _mark(path: Path) -> _Mark:
    try:
        found = path.lstat()
    except OSError:
        return (0, 0, 0)
    return (found.st_ino, found.st_size, found.st_mtime_ns)


@dataclass(frozen=True, kw_only=True)
class _Part:
    path: str
    """In the bag."""
    file: PackedFile


def _profile(path: Path) -> Profile:
    try:
        plain_json = json.loads(path.read_bytes())
    except OSError as exc:
        raise SourceUnreadable(f"the profile {str(path)!r} cannot be read: {exc.strerror}") from exc
    except (ValueError, RecursionError) as exc:
        raise UsageError(f"the profile {str(path)!r} is not JSON: {exc}", hint="Give a BagIt Profile") from exc
    profile, problem = read_profile(plain_json)
    if profile is None:
        raise UsageError(f"the profile {str(path)!r} is no BagIt Profile: {problem}", hint="Mend it or ask for another")
    return profile


def _shape(checked: Checked) -> Shape:
    """A bag that was read, as a profile sees it."""
    names = [name.removesuffix(".txt") for name in checked.tags if "/" not in name and name.endswith(".txt")]
    return Shape(
        info=tuple(checked.info),
        manifests=tuple(name.removeprefix("manifest-") for name in names if name.startswith("manifest-")),
        tag_manifests=tuple(name.removeprefix("tagmanifest-") for name in names if name.startswith("tagmanifest-")),
        tag_files=tuple(name for name in checked.tags if not ALWAYS.fullmatch(name)),
        payload=checked.payload,
    )


# --- what goes in ------------------------------------------------------------------------------------


def _payload(package: Package) -> list[_Part]:
    parts: dict[str, _Part] = {}
    for version in package.versions:
        for file in version.files:
            path = f"data/{folder_of(version)}/{file.name}"
            if path_problem(path):  # a backslash: a separator to some programs (RFC 8493 §5.1)
                path = path.replace("\\", "_")
            while path in parts:
                path = f"{path}_"
            parts[path] = _Part(path=path, file=file)
    return list(parts.values())


def _made_files(package: Package) -> dict[str, bytes]:
    """Evidence of the log, as payload."""
    return {f"data/{path}": data for path, data in evidence(package).items()}


def _copied(file: PackedFile, target: Path) -> Digests:
    found = durable.copy_hashed(file.path, target, mode=durable.WRITABLE)
    if (found.sha512, found.sha256) != (file.sha512, file.sha256):
        raise SelfCheckFailed(
            f"{file.name!r} of {file.ref} has other bytes than the archive stored",
            hint=f"Run: archive-restore verify {file.ref}",
        )
    return found


def _named(algorithm: str, digests: Mapping[str, Digests], to: Path) -> dict[str, str]:
    """Digests by path; those that only a profile asks for are taken from the copies."""
    if algorithm in ALGORITHMS:
        return {path: getattr(found, algorithm) for path, found in digests.items()}
    made = {}
    for path in digests:
        with durable.storage_errors("reading", to / path), (to / path).open("rb") as file:
            made[path] = hashlib.file_digest(file, algorithm).hexdigest()
    return made


# --- what is said of it ------------------------------------------------------------------------------


def _info(package: Package, size: int, count: int) -> list[tuple[str, str]]:
    """Elements of bag-info.txt (RFC 8493 §2.2.2)."""
    said = package.master.description
    about = ". ".join(text for text in (said.title, said.description) if plain(text))
    return [
        ("Source-Organization", package.organization),
        ("External-Identifier", package.master.ref.item_id),
        ("External-Description", plain(about)[:MAX_DESCRIPTION]),
        ("Bagging-Date", package.made[:10]),
        ("Bagging-Software", package.agent),
        ("Bag-Size", _size_in_words(size)),
        ("Payload-Oxum", f"{size}.{count}"),
        *(("Internal-Sender-Identifier", version.ref) for version in package.versions),
        ("Internal-Sender-Description", " ".join(sentences(package))),
    ]


def _stated(made: Iterable[tuple[str, str]], given: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """What was given by a person stands above what we would say, but for what was measured."""
    measured = {"payload-oxum", "bagging-date", "bag-size"}
    mine = {label.lower() for label, _ in given} - measured
    kept = [(label, value) for label, value in made if plain(value) and label.lower() not in mine]
    return (*kept, *((label, plain(text)) for label, text in given if label.lower() not in measured and plain(text)))


def _size_in_words(size: int) -> str:
    value, unit = float(size), "B"
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{value:.4g} {unit}"


def _about(package: Package, parts: Sequence[_Part]) -> bytes:
    lines = [
        *sentences(package),
        "",
        *(f"data/{folder_of(version)}/ holds {version.ref}" for version in package.versions),
        *(f"{part.path} is {part.file.name!r} in the archive" for part in parts if "\\" in part.file.name),
        "",
        "manifest-*.txt hold the digest of every file (BagIt, RFC 8493).",
    ]
    if any(version.logged for version in package.versions):
        lines += [
            "data/log/ holds what the archive's log tells of these files, line by line (RFC 8785), a proof for each",
            "line (C2SP tlog-proof), the log's signed checkpoint and its public key. Get the key from the organization",
            "too: one that comes with what it is to prove proves nothing.",
        ]
    return "\n".join([*(plain(line) for line in lines), ""]).encode()
