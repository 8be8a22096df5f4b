"""The grammar of BagIt (RFC 8493): declarations, manifest and fetch lines, paths, bag-info elements.

Text in, records or faults out; nothing here touches a disk. A fault of severity error breaks the bag; one of
severity warning breaks a MUST that leaves no doubt about any byte, or a SHOULD.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from archive_restore.records.findings import Severity

Version = tuple[int, int]

CURRENT: Version = (1, 0)
OLDEST: Version = (0, 93)
PLAIN: Version = (0, 97)
"""The oldest version that is read without a warning."""
DIGEST_LENGTHS = {
    "md5": 32, "sha1": 40, "sha224": 56, "sha256": 64, "sha384": 96, "sha512": 128,
    "sha3224": 56, "sha3256": 64, "sha3384": 96, "sha3512": 128,
}  # fmt: skip
"""Algorithms we can compute, as RFC 8493 §2.4 writes them in file names, and their hex digits."""
WEAK = frozenset({"md5", "sha1"})
ONCE = frozenset({"bagging-date", "bag-size", "bag-group-identifier", "bag-count"})
"""Elements of bag-info.txt that SHOULD NOT be repeated (§2.2.2); Payload-Oxum MUST NOT be."""

_DECLARATION = re.compile(r"BagIt-Version: (\d{1,4})\.(\d{1,4})")
_ENCODING = re.compile(r"Tag-File-Character-Encoding: (\S+)")
_DECLARATION_OLD = re.compile(r"BagIt-Version\s*:\s*(\d{1,4})\.(\d{1,4})\s*")
_ENCODING_OLD = re.compile(r"Tag-File-Character-Encoding\s*:\s*(\S+)\s*")
_MANIFEST_LINE = re.compile(r"([^ \t]+)[ \t]+(.+)", re.DOTALL)
_FETCH_LINE = re.compile(r"([^ \t]+)[ \t]+([^ \t]+)[ \t]+(.+)", re.DOTALL)
_ABSOLUTE_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:[A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=%]+")
_ESCAPE = re.compile(r"%(0[AaDd]|25)")
_OLD_ESCAPE = re.compile(r"%(0[AaDd])")
_PLAIN = re.compile(r"[^/.][^/]*(/[^/.][^/]*)*", re.DOTALL)
"""Paths without empty or dotted parts: nearly all."""
_HEX = re.compile(r"[0-9a-f]+")
_DRIVE = re.compile(r"[A-Za-z]:")
_DATE = re.compile(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])")
_OXUM = re.compile(r"(\d{1,18})\.(\d{1,18})")
_COUNT = re.compile(r"\d+ of (\d+|\?)", re.IGNORECASE)
_LONGEST_SHOWN = 120


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Something that breaks a clause."""

    code: str
    message: str
    clause: str
    severity: Severity = Severity.ERROR


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """What bagit.txt says."""

    version: Version
    encoding: str
    """As written."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line of a manifest, or of fetch.txt."""

    path: str
    """Decoded and plain: no `./`, no empty part."""
    digest: str = ""
    """Lower-case hex."""
    url: str = ""
    faults: tuple[Fault, ...] = ()
    """What is wrong with the line although it can be read."""


def shown(text: str) -> str:
    """Foreign text as it may stand in a message: quoted, escaped and not endless."""
    return repr(text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…")


def version_text(version: Version) -> str:
    """`1.0`."""
    return f"{version[0]}.{version[1]}"


def read_declaration(data: bytes) -> tuple[Declaration | None, list[Fault]]:
    """Read bagit.txt (§2.1.1); without a declaration the rest of the bag cannot be understood."""
    clause = "RFC 8493 §2.1.1"
    faults: list[Fault] = []
    if data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        message = "bagit.txt begins with a byte-order mark."
        faults.append(Fault(code="BAG_DECLARATION_BOM", message=message, clause=clause))
        data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        message = "bagit.txt is not UTF-8."
        return None, [*faults, Fault(code="BAG_DECLARATION_MALFORMED", message=message, clause=clause)]
    lines = re.split(r"\r\n|\r|\n", text)
    if lines[-1] == "":
        lines.pop()
    elif len(lines) == 2:
        faults.append(_unterminated("bagit.txt"))
    first, second = (*lines, "", "")[:2]
    version, encoding = _DECLARATION.fullmatch(first), _ENCODING.fullmatch(second)
    if version is None or encoding is None:
        version, encoding = _DECLARATION_OLD.fullmatch(first), _ENCODING_OLD.fullmatch(second)
        if version is None or encoding is None or (int(version[1]), int(version[2])) >= CURRENT:
            message = "bagit.txt must be the lines `BagIt-Version: M.N` and `Tag-File-Character-Encoding: NAME`."
            faults.append(Fault(code="BAG_DECLARATION_MALFORMED", message=message, clause=clause))
        if version is None or encoding is None:
            return None, faults
    if len(lines) > 2:
        blank = not any(line.strip() for line in lines[2:])
        faults.append(
            Fault(
                code="BAG_DECLARATION_MALFORMED",
                message="bagit.txt must have exactly two lines; it has more.",
                clause=clause,
                severity=Severity.WARNING if blank else Severity.ERROR,
            )
        )
    return Declaration(version=(int(version[1]), int(version[2])), encoding=encoding[1]), faults


def version_faults(version: Version) -> list[Fault]:
    """Whether we can judge a bag of this version."""
    clause, word = "RFC 8493 §2.1.1", version_text(version)
    if OLDEST <= version < PLAIN:
        message = f"BagIt {word} is a draft from before 2011; the bag is read by today's rules."
        return [Fault(code="BAG_VERSION_OLD", message=message, clause=clause, severity=Severity.WARNING)]
    if PLAIN <= version <= CURRENT:
        return []
    message = f"BagIt {word} is not a version we know (0.93 to 1.0); the bag cannot be checked."
    return [Fault(code="BAG_VERSION_UNSUPPORTED", message=message, clause=clause)]


def algorithm_fault(name: str, file: str) -> Fault | None:
    """What is wrong with the algorithm in the name of a manifest (§2.4)."""
    if not re.fullmatch(r"[a-z0-9]+", name):
        plain = re.sub(r"[^a-z0-9]", "", name.lower())
        message = f"{shown(file)} must name its algorithm in lower case without other characters, {shown(plain)}."
        return Fault(code="BAG_ALGORITHM_NAME", message=message, clause="RFC 8493 §2.4")
    if name not in DIGEST_LENGTHS:
        message = f"{shown(file)} uses {shown(name)}, which we cannot compute: it could not be checked."
        return Fault(code="BAG_ALGORITHM_UNKNOWN", message=message, clause="RFC 8493 §2.4")
    return None


def path_problem(path: str) -> str:
    """Say why a path must not be followed, on this system or on another (§5.1); empty where it may."""
    if "\0" in path:
        return "holds a zero byte"
    if path.startswith("/"):
        return "is absolute"
    if path.startswith("~"):
        return "begins with `~`, a home directory to some programs"
    if "\\" in path:
        return "holds a backslash, a separator to some programs"
    if _DRIVE.match(path):
        return "begins with a drive letter"
    if ".." in path.split("/"):
        return "leaves the bag with `..`"
    return ""


def manifest_entry(line: str, algorithm: str, version: Version) -> Entry | Fault:
    """Read one line of a payload or tag manifest (§2.1.3), without its line end."""
    match = _MANIFEST_LINE.fullmatch(line)
    if match is None:
        message = f"{shown(line)} is not of the form `checksum filepath`."
        return Fault(code="BAG_MANIFEST_LINE", message=message, clause="RFC 8493 §2.1.3")
    digest, written = match[1].lower(), match[2]
    if len(digest) != DIGEST_LENGTHS[algorithm] or not _HEX.fullmatch(digest):
        message = f"{shown(match[1])} is not a {algorithm} checksum in hexadecimal digits."
        return Fault(code="BAG_DIGEST_MALFORMED", message=message, clause="RFC 8493 §2.1.3")
    faults: list[Fault] = []
    if written.startswith("*"):
        message = f"{shown(written)} has the asterisk of a checksum tool before it; strict validators refuse the bag."
        faults.append(_warning("BAG_MANIFEST_ASTERISK", message, "RFC 8493 §6.1.3"))
        written = written[1:]
    return _located(written, version, faults, digest=digest)


def fetch_entry(line: str, version: Version) -> Entry | Fault:
    """Read one line of fetch.txt (§2.2.3); its URL is only looked at."""
    clause = "RFC 8493 §2.2.3"
    match = _FETCH_LINE.fullmatch(line)
    if match is None:
        return Fault(code="BAG_FETCH_LINE", message=f"{shown(line)} is not `url length filepath`.", clause=clause)
    url, length, written = match.groups()
    if not _ABSOLUTE_URI.fullmatch(url):
        return Fault(code="BAG_FETCH_URL", message=f"{shown(url)} is not an absolute URI.", clause=clause)
    if not re.fullmatch(r"[0-9]+|-", length):
        return Fault(code="BAG_FETCH_LINE", message=f"{shown(length)} is neither a length nor `-`.", clause=clause)
    return _located(written, version, [], url=url)


def _located(written: str, version: Version, faults: list[Fault], *, digest: str = "", url: str = "") -> Entry | Fault:
    """The path of a line: decoded (§2.1.3), safe (§5.1), plain."""
    decoded = written
    if "%" in written:
        if version >= CURRENT and "%" in _ESCAPE.sub("", written):
            message = f"{shown(written)}: a percent sign must be written %25; only CR, LF and % may be encoded."
            faults.append(_warning("BAG_PERCENT_ENCODING", message, "RFC 8493 §2.1.3"))
        escape = _ESCAPE if version >= CURRENT else _OLD_ESCAPE
        decoded = escape.sub(lambda found: chr(int(found[1], 16)), written)
    problem = path_problem(decoded)
    if problem:
        return Fault(code="BAG_PATH_UNSAFE", message=f"{shown(written)} {problem}.", clause="RFC 8493 §5.1")
    plain = decoded
    if not _PLAIN.fullmatch(decoded):
        plain = "/".join(part for part in decoded.split("/") if part not in ("", "."))
        if not plain or decoded.endswith(("/", "/.")):
            message = f"{shown(written)} names a directory."
            return Fault(code="BAG_MANIFEST_DIRECTORY", message=message, clause="RFC 8493 §2.1.3")
        if plain != decoded:
            message = f"{shown(written)} should be written {shown(plain)}."
            faults.append(_warning("BAG_PATH_NOT_PLAIN", message, "RFC 8493 §2.1.3"))
    return Entry(path=plain, digest=digest, url=url, faults=tuple(faults))


def read_info(lines: Iterable[str], version: Version, name: str) -> tuple[list[tuple[str, str]], list[Fault]]:
    """Elements of bag-info.txt (§2.2.2) in their order; folded values are joined with a space."""
    clause = "RFC 8493 §2.2.2"
    elements: list[tuple[str, list[str]]] = []
    faults: list[Fault] = []
    for line in lines:
        if line[:1] in (" ", "\t") and elements and line.strip():
            elements[-1][1].append(line.strip())
            continue
        label, colon, value = line.partition(":")
        if not line.strip():
            faults.append(_warning("BAG_INFO_SPACING", f"{name} has an empty line.", clause))
            continue
        if not colon or not label.strip():
            faults.append(
                Fault(code="BAG_INFO_LINE", message=f"{name}: {shown(line)} is not `Label: value`.", clause=clause)
            )
            continue
        spaced = label == label.strip() and value[:1] in (" ", "\t") and value[1:2] not in (" ", "\t")
        if version >= CURRENT and not spaced:
            message = f"{name}: {shown(line)} must have one space behind the colon and none before it."
            faults.append(_warning("BAG_INFO_SPACING", message, clause))
        elements.append((label.strip(), [value.strip()]))
    found = [(label, " ".join(part for part in parts if part)) for label, parts in elements]
    return found, faults + list(_element_faults(found, name, clause))


def _element_faults(elements: Sequence[tuple[str, str]], name: str, clause: str) -> Iterable[Fault]:
    seen: set[str] = set()
    for label, value in elements:
        word = label.lower()
        if word in seen and word == "payload-oxum":
            message = f"{name} gives Payload-Oxum more than once."
            yield Fault(code="BAG_INFO_REPEATED", message=message, clause=clause)
        elif word in seen and word in ONCE:
            yield _warning("BAG_INFO_REPEATED", f"{name} gives {label} more than once.", clause)
        seen.add(word)
        if word == "bagging-date" and not _DATE.fullmatch(value):
            yield _warning("BAG_INFO_VALUE", f"{name}: Bagging-Date {shown(value)} is not YYYY-MM-DD.", clause)
        elif word == "bag-count" and not _COUNT.fullmatch(value):
            yield _warning("BAG_INFO_VALUE", f"{name}: Bag-Count {shown(value)} is not `N of T`.", clause)
        elif word == "payload-oxum" and not _OXUM.fullmatch(value):
            message = f"{name}: Payload-Oxum {shown(value)} is not `OctetCount.StreamCount`."
            yield Fault(code="BAG_OXUM_MALFORMED", message=message, clause=clause)


def payload_oxum(elements: Sequence[tuple[str, str]]) -> tuple[int, int] | None:
    """(bytes, files) of the first well-formed Payload-Oxum."""
    for label, value in elements:
        match = _OXUM.fullmatch(value) if label.lower() == "payload-oxum" else None
        if match is not None:
            return int(match[1]), int(match[2])
    return None


def unterminated(file: str) -> Fault:
    """The last line of a tag file has no end (§2.3)."""
    return _unterminated(file)


def _unterminated(file: str) -> Fault:
    message = f"The last line of {file} has no line end; the file may have been cut off."
    return _warning("BAG_LINE_UNTERMINATED", message, "RFC 8493 §2.3")


def _warning(code: str, message: str, clause: str) -> Fault:
    return Fault(code=code, message=message, clause=clause, severity=Severity.WARNING)
