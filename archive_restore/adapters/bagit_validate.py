"""Checks a BagIt bag (RFC 8493: 1.0, 0.97 and the drafts from 0.93 on) and names what is wrong with the clause.

Never changes anything, never follows a link, never fetches. Memory grows with the number of files, up to a limit that
is a finding; lines and findings are limited too, so that a hostile bag can neither hang nor flood.
"""

from __future__ import annotations

import codecs
import hashlib
import io
import os
import re
import stat
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from archive_restore.adapters import durable
from archive_restore.core import bagit
from archive_restore.core.bagit import Entry, Fault, Version, shown
from archive_restore.errors import ArchiveRestoreError
from archive_restore.records.findings import Finding, Severity

MAX_FILES = 2_000_000
"""Files and manifest lines beyond which a bag is not checked further."""
MAX_LINE = 65_536
"""Characters in a line of a tag file; paths that systems can store are far shorter."""
MAX_INFO = 1 << 20
"""Bytes of bag-info.txt that are read."""
GROUP = 1024
"""Files that are hashed before anything is said of them."""
MAX_EACH = 20
"""Findings of one code that are told one by one; the rest are counted."""
_DECLARATION = "bagit.txt"
_FETCH = "fetch.txt"
_MANIFEST = re.compile(r"(tag)?manifest-(.+)\.txt", re.IGNORECASE)
_BLOCK = 1 << 20
_ENCODINGS = re.compile(
    r"utf-(8|16|16-le|16-be|32|32-le|32-be)|ascii|iso8859-\d+|cp(125\d|437|850|866|932|936|949|950)|koi8-[ru]"
    r"|shift_jis|euc_(jp|kr)|iso2022_jp|gb2312|gbk|gb18030|big5|mac-roman"
)
"""Encodings of text, by Python's own names; Python knows others that compress or run code-like escapes."""


@dataclass(kw_only=True)
class Checked:
    """What was read of a bag while it was checked."""

    version: str = ""
    info: list[tuple[str, str]] = field(default_factory=list)
    payload: dict[str, int] = field(default_factory=dict)
    """Size of each payload file by path."""
    tags: dict[str, int] = field(default_factory=dict)
    """Size of each other file by path."""
    digests: dict[str, dict[str, str]] = field(default_factory=dict)
    """What manifests say of files that are there, by path and algorithm."""
    findings: list[Finding] = field(default_factory=list)


def validate_bag(path: Path, subject: str = "") -> list[Finding]:
    """Everything that is wrong with the bag in the directory `path`; nothing is found in a good one.

    `subject` names the bag in findings, the path where it is empty. Never raises for what the bag holds.
    """
    return check_bag(path, subject).findings


def check_bag(path: Path, subject: str = "", known: Mapping[str, Mapping[str, str]] | None = None) -> Checked:
    """Validate a bag and keep what was read of it (see `validate_bag`).

    `known` are digests, by path and algorithm, of files that were just read back: those are not read once more.
    """
    checked = Checked()
    found = _Findings(subject or os.fsencode(path).decode("utf-8", "backslashreplace"))
    try:
        _Check(path, checked, found, known or {}).run()
    except _Stop:
        pass
    except OSError as exc:
        found.add("BAG_UNREADABLE", "", f"The bag cannot be read: {exc.strerror or type(exc).__name__}.", "RFC 8493 §3")
    except MemoryError:
        found.add("BAG_TOO_LARGE", "", "Checking the bag needs more memory than there is.", "RFC 8493 §3")
    checked.findings = found.all()
    return checked


class _Stop(Exception):
    """Nothing more can be said about the bag."""


class _Findings:
    """Gathers findings, a few of each code."""

    def __init__(self, subject: str) -> None:
        self._subject = subject
        self._kept: dict[str, list[Finding]] = {}
        self._more: dict[str, int] = {}

    def add(self, code: str, file: str, message: str, clause: str, severity: Severity = Severity.ERROR) -> None:
        """Note something about a file of the bag, or about the bag where `file` is empty."""
        kept = self._kept.setdefault(code, [])
        if len(kept) >= MAX_EACH:
            self._more[code] = self._more.get(code, 0) + 1
            if severity is Severity.ERROR and kept[-1].severity is not Severity.ERROR:
                kept[-1] = Finding(
                    code=code, severity=severity, subject=kept[-1].subject, message=message, clause=clause
                )
            return
        place = os.fsencode(file).decode("utf-8", "backslashreplace")
        where = f"{self._subject}: {place if len(place) <= 300 else place[:300] + '…'}" if file else self._subject
        kept.append(Finding(code=code, severity=severity, subject=where, message=message, clause=clause))

    def fault(self, fault: Fault, file: str = "") -> None:
        """Note a fault that the grammar found."""
        self.add(fault.code, file, fault.message, fault.clause, fault.severity)

    def all(self) -> list[Finding]:
        """In the order in which codes were first met."""
        result: list[Finding] = []
        for code, kept in self._kept.items():
            result += kept
            if code in self._more:
                last = kept[-1]
                message = f"And {self._more[code]:,} more of this kind."
                result.append(
                    Finding(
                        code=code, severity=last.severity, subject=self._subject, message=message, clause=last.clause
                    )
                )
        return result


@dataclass(kw_only=True)
class _Manifest:
    name: str
    algorithm: str
    entries: dict[str, bytes] = field(default_factory=dict)
    """Digest by path as the manifest gives it."""


class _Check:
    """One bag. Steps: 1 directory, 2 declaration, 3 what lies in it, 4 bag-info, 5 manifests, 6 fetch, 7 completeness,
    8 Payload-Oxum, 9 digests."""

    def __init__(self, path: Path, checked: Checked, found: _Findings, known: Mapping[str, Mapping[str, str]]) -> None:
        self.base = os.fspath(path)
        self.known = known
        self.checked = checked
        self.found = found
        self.version: Version = bagit.CURRENT
        self.encoding = "utf-8"
        self.directories: set[str] = set()
        self.lines = 0
        """Manifest lines read so far."""

    def run(self) -> None:
        """Check everything; raise _Stop where the rest makes no sense."""
        # 1. A directory (§2)
        mode = os.lstat(self.base).st_mode
        if stat.S_ISLNK(mode) or not stat.S_ISDIR(mode):
            self.found.add("BAG_NOT_A_DIRECTORY", "", "A bag is a directory; links are not followed.", "RFC 8493 §2")
            raise _Stop
        # 2. Declaration (§2.1.1)
        self._declaration()
        # 3. Files (§2, §5.1, §6.1.1)
        self._walk()
        if "data" not in self.directories:
            self.found.add("BAG_PAYLOAD_MISSING", "data", "There is no directory `data`.", "RFC 8493 §2.1.2")
        self._collisions()
        # 4. Metadata (§2.2.2)
        self._info()
        # 5. Manifests (§2.1.3, §2.2.1)
        payload, tags = self._manifests()
        if not payload:
            message = "There is no payload manifest, manifest-sha512.txt for instance."
            self.found.add("BAG_MANIFEST_MISSING", "", message, "RFC 8493 §2.1.3")
        elif all(manifest.algorithm in bagit.WEAK for manifest in payload):
            message = "All checksums are md5 or sha1, which can be forged; ask for sha512."
            self.found.add("BAG_ALGORITHM_WEAK", "", message, "RFC 8493 §2.4", Severity.WARNING)
        # 6. What was to be fetched (§2.2.3)
        fetched = self._fetch(payload)
        # 7. Completeness (§3)
        self._complete(payload, tags, fetched)
        # 8. Payload-Oxum (§2.2.2)
        self._oxum()
        # 9. Digests (§3)
        self._digests(payload, tags)

    # --- steps ---------------------------------------------------------------------------------------

    def _declaration(self) -> None:
        data = self._small(_DECLARATION, 4096)
        if data is None:
            self.found.add("BAG_DECLARATION_MISSING", "", "There is no file bagit.txt.", "RFC 8493 §2.1.1")
            return
        declaration, faults = bagit.read_declaration(data)
        for fault in faults:
            self.found.fault(fault, _DECLARATION)
        if declaration is None:
            return
        self.version = declaration.version
        self.checked.version = bagit.version_text(declaration.version)
        faults = bagit.version_faults(declaration.version)
        for fault in faults:
            self.found.fault(fault, _DECLARATION)
        if any(fault.severity is Severity.ERROR for fault in faults):
            raise _Stop
        encoding = _text_encoding(declaration.encoding)
        if not encoding:
            message = f"The encoding {shown(declaration.encoding)} of tag files is not one we know."
            self.found.add("BAG_ENCODING_UNKNOWN", _DECLARATION, message, "RFC 8493 §2.1.1")
            raise _Stop
        if encoding != "utf-8":
            message = f"Tag files are in {shown(declaration.encoding)}; UTF-8 is recommended."
            self.found.add("BAG_ENCODING_NOT_UTF8", _DECLARATION, message, "RFC 8493 §2.3", Severity.WARNING)
        self.encoding = encoding

    def _walk(self) -> None:
        """Everything below the base directory; links and special files are told of and left alone."""
        waiting = [""]
        count = 0
        while waiting:
            folder = waiting.pop()
            try:
                with os.scandir(f"{self.base}/{folder}") as entries:
                    here = sorted(entries, key=lambda entry: entry.name)
            except OSError as exc:
                message = f"The directory cannot be read: {exc.strerror}."
                self.found.add("BAG_UNREADABLE", folder, message, "RFC 8493 §3")
                continue
            for entry in here:
                path = f"{folder}/{entry.name}" if folder else entry.name
                count += 1
                if count > MAX_FILES:
                    self._too_large()
                self._take(entry, path, waiting)

    def _take(self, entry: os.DirEntry[str], path: str, waiting: list[str]) -> None:
        if entry.is_symlink():
            message = "A link: it may lead out of the bag, and it is not followed. Put the file itself here."
            self.found.add("BAG_LINK", path, message, "RFC 8493 §5.1")
        elif entry.is_dir(follow_symlinks=False):
            self.directories.add(path)
            waiting.append(path)
        elif entry.is_file(follow_symlinks=False):
            size = entry.stat(follow_symlinks=False).st_size
            (self.checked.payload if path.startswith("data/") else self.checked.tags)[path] = size
        else:
            self.found.add("BAG_SPECIAL_FILE", path, "Neither a file nor a directory.", "RFC 8493 §2.1.2")

    def _collisions(self) -> None:
        """Names that become one on other systems (§6.1.1)."""
        composed: dict[str, str] = {}
        folded: dict[str, str] = {}
        for path in (*self.checked.payload, *self.checked.tags):
            form = unicodedata.normalize("NFC", path)
            other = composed.setdefault(form, path)
            if other != path:
                message = f"Only its Unicode normalization tells it from {_escaped(other)}; some systems keep just one."
                self.found.add("BAG_NORMALIZATION_COLLISION", path, message, "RFC 8493 §6.1.1.2")
                continue
            other = folded.setdefault(form.casefold(), path)
            if other != path:
                message = f"Only its case tells it from {shown(other)}; some systems keep just one of them."
                self.found.add("BAG_CASE_COLLISION", path, message, "RFC 8493 §6.1.1.1", Severity.WARNING)

    def _info(self) -> None:
        name = "bag-info.txt"
        if self.version < (0, 96) and "package-info.txt" in self.checked.tags:
            name = "package-info.txt"
        if name not in self.checked.tags:
            return
        if self.checked.tags[name] > MAX_INFO:
            message = f"More than {MAX_INFO:,} bytes; it was not read."
            self.found.add("BAG_TAG_FILE_TOO_LARGE", name, message, "RFC 8493 §2.2.2")
            return
        self.checked.info, faults = bagit.read_info(list(self._lines(name)), self.version, name)
        for fault in faults:
            self.found.fault(fault, name)

    def _manifests(self) -> tuple[list[_Manifest], list[_Manifest]]:
        payload: list[_Manifest] = []
        tags: list[_Manifest] = []
        for name in sorted(self.checked.tags):
            match = _MANIFEST.fullmatch(name)
            if match is None:
                continue
            fault = bagit.algorithm_fault(match[2], name)
            if fault is None and match[0] != name.lower():
                message = f"{shown(name)} must be written in lower case."
                fault = Fault(code="BAG_ALGORITHM_NAME", message=message, clause="RFC 8493 §2.4")
            if fault is not None:
                self.found.fault(fault, name)
                continue
            manifest = _Manifest(name=name, algorithm=match[2])
            (tags if match[1] else payload).append(manifest)
            self._read_manifest(manifest, is_tag=bool(match[1]))
        return payload, tags

    def _read_manifest(self, manifest: _Manifest, *, is_tag: bool) -> None:
        for line in self._lines(manifest.name):
            self.lines += 1
            if self.lines > MAX_FILES:
                self._too_large()
            if not line.strip():
                message = "An empty line."
                clause = "RFC 8493 §2.1.3"
                self.found.add("BAG_MANIFEST_BLANK", manifest.name, message, clause, Severity.WARNING)
                continue
            entry = bagit.manifest_entry(line, manifest.algorithm, self.version)
            if isinstance(entry, Fault):
                self.found.fault(entry, manifest.name)
                continue
            for fault in entry.faults:
                self.found.fault(fault, manifest.name)
            self._keep(manifest, entry, is_tag=is_tag)

    def _keep(self, manifest: _Manifest, entry: Entry, *, is_tag: bool) -> None:
        """Add an entry, if it is of the right kind of file (§2.1.3, §2.2.1) and not there yet."""
        clause = "RFC 8493 §2.2.1" if is_tag else "RFC 8493 §2.1.3"
        in_payload = entry.path.startswith("data/")
        if is_tag and in_payload:
            message = f"A tag manifest lists the payload file {shown(entry.path)}."
            self.found.add("BAG_TAG_MANIFEST_PAYLOAD", manifest.name, message, clause)
            return
        if is_tag and re.fullmatch(r"tagmanifest-[^/]*\.txt", entry.path):
            message = f"A tag manifest lists the tag manifest {shown(entry.path)}."
            self.found.add("BAG_TAG_MANIFEST_LISTS_ITSELF", manifest.name, message, clause)
            return
        if not is_tag and not in_payload:
            message = f"A payload manifest lists {shown(entry.path)}, which is not below data/."
            self.found.add("BAG_MANIFEST_OUTSIDE_PAYLOAD", manifest.name, message, clause)
            return
        if entry.path in self.directories:
            message = f"A manifest lists the directory {shown(entry.path)}."
            self.found.add("BAG_MANIFEST_DIRECTORY", manifest.name, message, clause)
            return
        digest = bytes.fromhex(entry.digest)
        known = manifest.entries.setdefault(entry.path, digest)
        if known is not digest:
            lenient = self.version < bagit.CURRENT and known == digest
            severity = Severity.WARNING if lenient else Severity.ERROR
            message = f"{shown(entry.path)} is listed more than once."
            self.found.add("BAG_MANIFEST_REPEATED", manifest.name, message, clause, severity)

    def _fetch(self, payload: Sequence[_Manifest]) -> set[str]:
        """Paths that fetch.txt promises; nothing is fetched, ever."""
        fetched: set[str] = set()
        if _FETCH not in self.checked.tags:
            return fetched
        clause = "RFC 8493 §2.2.3"
        for line in self._lines(_FETCH):
            self.lines += 1
            if self.lines > MAX_FILES:
                self._too_large()
            if not line.strip():
                self.found.add("BAG_FETCH_LINE", _FETCH, "An empty line.", clause, Severity.WARNING)
                continue
            entry = bagit.fetch_entry(line, self.version)
            if isinstance(entry, Fault):
                self.found.fault(entry, _FETCH)
                continue
            for fault in entry.faults:
                self.found.fault(fault, _FETCH)
            if not entry.path.startswith("data/"):
                message = f"{shown(entry.path)} is a tag file; only payload may be fetched."
                self.found.add("BAG_FETCH_TAG_FILE", _FETCH, message, clause)
                continue
            fetched.add(entry.path)
            if any(entry.path not in manifest.entries for manifest in payload):
                message = f"{shown(entry.path)} is not listed in every payload manifest."
                self.found.add("BAG_FETCH_UNLISTED", _FETCH, message, clause)
        return fetched

    def _complete(self, payload: Sequence[_Manifest], tags: Sequence[_Manifest], fetched: set[str]) -> None:
        """Everything listed is there, everything there is listed (§3)."""
        self._forgive_normalization([*payload, *tags])
        listed = dict.fromkeys(path for manifest in payload for path in manifest.entries)
        for path in listed:
            if path in self.checked.payload:
                continue
            if path in fetched:
                message = "It was to be fetched from the network, which is never done; ask for the complete bag."
                self.found.add("BAG_FETCH_MISSING", path, message, "RFC 8493 §2.2.3")
            else:
                self.found.add("BAG_FILE_MISSING", path, "A manifest lists it; it is not there.", "RFC 8493 §3")
        for path in self.checked.payload if payload else ():
            lacking = [manifest.name for manifest in payload if path not in manifest.entries]
            if len(lacking) == len(payload):
                self.found.add("BAG_FILE_UNLISTED", path, "It is in no payload manifest.", "RFC 8493 §3")
            elif lacking and self.version >= bagit.CURRENT:
                message = f"It is not in {lacking[0]}; every manifest must list every payload file."
                self.found.add("BAG_MANIFEST_INCOMPLETE", path, message, "RFC 8493 §3")
        for manifest in tags:
            for path in manifest.entries:
                if path not in self.checked.tags:
                    self.found.add(
                        "BAG_TAG_FILE_MISSING", path, f"{manifest.name} lists it; it is not there.", "RFC 8493 §3"
                    )
            for other in payload if self.version >= bagit.PLAIN else ():
                if other.name not in manifest.entries:
                    severity = Severity.ERROR if self.version >= bagit.CURRENT else Severity.WARNING
                    message = f"It does not list {other.name}."
                    self.found.add("BAG_TAG_MANIFEST_INCOMPLETE", manifest.name, message, "RFC 8493 §2.2.1", severity)

    def _forgive_normalization(self, manifests: Sequence[_Manifest]) -> None:
        """Names that differ from the files' only in normalization form are those files (§6.1.1.3)."""
        here: dict[str, str] | None = None
        for manifest in manifests:
            for path in [path for path in manifest.entries if not path.isascii()]:
                if path in self.checked.payload or path in self.checked.tags:
                    continue
                if here is None:
                    every = (*self.checked.payload, *self.checked.tags)
                    here = {unicodedata.normalize("NFC", name): name for name in every if not name.isascii()}
                real = here.get(unicodedata.normalize("NFC", path))
                if real is not None and real not in manifest.entries:
                    manifest.entries[real] = manifest.entries.pop(path)
                    message = f"{_escaped(path)} has another Unicode normalization than the file."
                    self.found.add(
                        "BAG_NAME_NORMALIZATION", manifest.name, message, "RFC 8493 §6.1.1.3", Severity.WARNING
                    )

    def _oxum(self) -> None:
        stated = bagit.payload_oxum(self.checked.info)
        present = (sum(self.checked.payload.values()), len(self.checked.payload))
        if stated is not None and stated != present:
            message = (
                f"Payload-Oxum says {stated[0]:,} bytes in {stated[1]:,} files; "
                f"there are {present[0]:,} bytes in {present[1]:,}."
            )
            self.found.add("BAG_OXUM_MISMATCH", "", message, "RFC 8493 §2.2.2")

    def _digests(self, payload: Sequence[_Manifest], tags: Sequence[_Manifest]) -> None:
        """Every checksum of every manifest, each file read once (§3)."""
        wanted: dict[str, dict[str, str]] = {}
        for manifest in (*payload, *tags):
            for path, digest in manifest.entries.items():
                if path in self.checked.payload or path in self.checked.tags:
                    wanted.setdefault(path, {})[manifest.algorithm] = digest.hex()
        self.checked.digests = wanted
        waiting = iter(wanted.items())
        while group := list(islice(waiting, GROUP)):
            results = durable.each(lambda item: self._hash(item[0], item[1]), group, min(4, os.cpu_count() or 1))
            for (path, expected), actual in zip(group, results, strict=True):
                self._compare(path, expected, actual)

    def _hash(self, path: str, algorithms: Iterable[str]) -> dict[str, str] | str:
        known = self.known.get(path, {})
        if all(name in known for name in algorithms):
            return dict(known)
        try:
            return hash_as(f"{self.base}/{path}", sorted(algorithms))
        except OSError as exc:
            return exc.strerror or type(exc).__name__
        except ArchiveRestoreError as exc:
            return str(exc).rstrip(".")

    def _compare(self, path: str, expected: Mapping[str, str], actual: Mapping[str, str] | str) -> None:
        if isinstance(actual, str):
            self.found.add("BAG_UNREADABLE", path, f"The file cannot be read: {actual}.", "RFC 8493 §3")
            return
        code = "BAG_DIGEST_MISMATCH" if path.startswith("data/") else "BAG_TAG_DIGEST_MISMATCH"
        for algorithm, digest in expected.items():
            if actual[algorithm] != digest:
                message = f"Its {algorithm} is not that of the manifest: the bytes changed on the way."
                self.found.add(code, path, message, "RFC 8493 §3")

    # --- parts ---------------------------------------------------------------------------------------

    def _too_large(self) -> None:
        message = f"More than {MAX_FILES:,} files or lines; the bag was not checked further. Ask for smaller ones."
        self.found.add("BAG_TOO_LARGE", "", message, "RFC 8493 §3")
        raise _Stop

    def _small(self, name: str, most: int) -> bytes | None:
        """The first bytes of a plain file in the base directory; None where there is none."""
        try:
            with _open_plain(f"{self.base}/{name}") as file:
                return file.read(most)
        except OSError:
            return None

    def _lines(self, name: str) -> Iterator[str]:
        """Lines of a tag file without their ends (§2.3); what cannot be read is a finding and ends it."""
        clause = "RFC 8493 §2.3"
        try:
            with (
                _open_plain(f"{self.base}/{name}") as raw,
                io.TextIOWrapper(io.BufferedReader(raw), encoding=self.encoding, newline="") as text,
            ):
                first = True
                while line := text.readline(MAX_LINE + 1):
                    if first and self.encoding == "utf-8" and line.startswith("\ufeff"):
                        message = "It begins with a byte-order mark."
                        self.found.add("BAG_TAG_FILE_BOM", name, message, clause)
                        line = line[1:]
                    first = False
                    if len(line) > MAX_LINE:
                        message = f"A line of more than {MAX_LINE:,} characters; the rest was not checked."
                        self.found.add("BAG_LINE_TOO_LONG", name, message, clause)
                        return
                    if line and line[-1] not in "\r\n":
                        self.found.fault(bagit.unterminated(name), name)
                    yield line.rstrip("\r\n")
        except UnicodeError:
            message = f"It is not {self.encoding} as bagit.txt says; what follows was not checked."
            self.found.add("BAG_TAG_FILE_ENCODING", name, message, clause)
        except OSError as exc:
            self.found.add("BAG_UNREADABLE", name, f"The file cannot be read: {exc.strerror}.", clause)


def hash_as(path: str, algorithms: Sequence[str]) -> dict[str, str]:
    """Digests of a plain file in one pass; raise OSError, SourceUnreadable or StorageFailed."""
    if list(algorithms) == ["sha256", "sha512"]:
        both = durable.hash_file(path)
        return {"sha256": both.sha256, "sha512": both.sha512}
    hashers = {name: _new(name) for name in algorithms}
    with _open_plain(path) as file:
        buffer = bytearray(_BLOCK)
        view = memoryview(buffer)
        while count := file.readinto(buffer):
            for hasher in hashers.values():
                hasher.update(view[:count])
    return {name: hasher.hexdigest() for name, hasher in hashers.items()}


def _new(algorithm: str) -> hashlib._Hash:
    name = f"sha3_{algorithm[4:]}" if algorithm.startswith("sha3") and len(algorithm) == 7 else algorithm
    return hashlib.new(name, usedforsecurity=False)


def _open_plain(path: str) -> io.FileIO:
    """Open a regular file; a link, pipe or device is an OSError and never waited for."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(0, "it is no plain file")
    return io.FileIO(descriptor)


def _text_encoding(name: str) -> str:
    """Python's name of an encoding of text; empty for what is none or unknown."""
    try:
        found = codecs.lookup(name).name if name.isascii() and len(name) < 40 else ""
    except (LookupError, ValueError):
        return ""
    return found if _ENCODINGS.fullmatch(found) else ""


def _escaped(text: str) -> str:
    """A name with its non-ASCII characters spelled out, where two look alike."""
    return shown(text.encode("ascii", "backslashreplace").decode())
