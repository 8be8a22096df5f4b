"""BagIt Profiles 1.1 to 1.4: what a repository asks of the bags it takes in, and how a bag is made to fit.

Pure: a profile that was read, and what is about to be written, or was. No value is made up to please a profile: what
only a person can know has to be given.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

PROFILE_IDENTIFIER = "BagIt-Profile-Identifier"
ALGORITHMS = ("sha512", "sha256")
"""Digests that every bag of ours has, where a profile does not forbid one."""
OTHERS = ("sha1", "md5", "sha224", "sha384")
"""Digests that are made when a profile requires them."""
PACKED = {"application/tar": "tar", "application/x-tar": "tar", "application/zip": "zip"}
"""How a bag becomes one file, by media type; the first that is accepted."""
ALWAYS = re.compile(r"bagit\.txt|bag-info\.txt|(tag)?manifest-[a-z0-9]+\.txt")
"""Tag files that BagIt itself asks for: profiles do not list them."""

_LISTS = (
    "Manifests-Required", "Manifests-Allowed", "Tag-Manifests-Required", "Tag-Manifests-Allowed", "Tag-Files-Required",
    "Tag-Files-Allowed", "Payload-Files-Required", "Payload-Files-Allowed", "Accept-Serialization",
    "Accept-BagIt-Version",
)  # fmt: skip
_FLAGS = ("Allow-Fetch.txt", "Fetch.txt-Required", "Data-Empty")
_SERIALIZATION = ("forbidden", "required", "optional")


@dataclass(frozen=True, kw_only=True)
class Element:
    """What is asked of one element of bag-info.txt."""

    required: bool
    values: tuple[str, ...]
    """Admitted values; any where there are none."""
    repeatable: bool


@dataclass(frozen=True, kw_only=True)
class Profile:
    """A BagIt profile, as far as it can be held against a bag."""

    identifier: str
    elements: Mapping[str, Element]
    """By label."""
    lists: Mapping[str, tuple[str, ...] | None]
    """The members that are lists, by name; None where the profile lacks one."""
    serialization: str
    fetch_required: bool
    empty: bool
    """The payload must be empty."""

    def required(self, name: str) -> tuple[str, ...]:
        """What a list demands."""
        return self.lists[name] or ()

    def allows(self, name: str, word: str) -> bool:
        """Whether a list of what is allowed has it; everything is where there is no list."""
        allowed = self.lists[name]
        return allowed is None or word in allowed


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A bag as a profile sees it."""

    info: tuple[tuple[str, str], ...]
    """Label and value of each element of bag-info.txt, in order."""
    manifests: tuple[str, ...] = ALGORITHMS
    """Digest algorithms of the payload manifests."""
    tag_manifests: tuple[str, ...] = ALGORITHMS
    tag_files: tuple[str, ...] = ()
    """Other tag files."""
    payload: Collection[str] = field(default_factory=tuple)
    """Paths of the payload, `data/…`."""


def packed_as(profile: Profile) -> str:
    """`tar` or `zip` where a profile wants the bag as one file of that kind; empty where a folder does, or neither."""
    accepted = profile.required("Accept-Serialization") if profile.serialization == "required" else ()
    return next((word for media_type, word in PACKED.items() if media_type in accepted), "")


def read_profile(plain: object) -> tuple[Profile | None, str]:
    """The profile in parsed JSON, or None and a sentence that says why it is none."""
    if not isinstance(plain, dict):
        return None, "it is not a JSON object"
    about = plain.get("BagIt-Profile-Info")
    identifier = about.get(PROFILE_IDENTIFIER) if isinstance(about, dict) else None
    if not isinstance(identifier, str) or not identifier.strip():
        return None, f"BagIt-Profile-Info has no {PROFILE_IDENTIFIER}"
    for name in _LISTS:
        found = plain.get(name, [])
        if not isinstance(found, list) or not all(isinstance(word, str) for word in found):
            return None, f"{name} is not a list of texts"
    for name in _FLAGS:
        if not isinstance(plain.get(name, False), bool):
            return None, f"{name} is neither true nor false"
    serialization = plain.get("Serialization", "optional")
    if serialization not in _SERIALIZATION:
        return None, f"Serialization is none of {', '.join(_SERIALIZATION)}"
    elements, problem = _elements(plain.get("Bag-Info", {}))
    if problem:
        return None, problem
    return Profile(
        identifier=identifier.strip(),
        elements=elements,
        lists={name: tuple(plain[name]) if name in plain else None for name in _LISTS},
        serialization=serialization,
        fetch_required=plain.get("Fetch.txt-Required", False),
        empty=plain.get("Data-Empty", False),
    ), ""


def _elements(plain: object) -> tuple[dict[str, Element], str]:
    if not isinstance(plain, dict):
        return {}, "Bag-Info is not an object"
    made: dict[str, Element] = {}
    for label, asked in plain.items():
        if not isinstance(asked, dict):
            return {}, f"Bag-Info says nothing that can be understood of {label!r}"
        values = asked.get("values") or []
        if isinstance(values, str) or not isinstance(values, list) or not all(isinstance(v, str) for v in values):
            return {}, f"the values of {label!r} are not a list of texts"
        if not all(isinstance(asked.get(word, False), bool) for word in ("required", "repeatable")):
            return {}, f"required or repeatable of {label!r} is neither true nor false"
        made[label] = Element(
            required=asked.get("required", False), values=tuple(values), repeatable=asked.get("repeatable", True)
        )
    return made, ""


def fitted(shape: Shape, profile: Profile) -> Shape:
    """The bag as the profile wants it, as far as that needs nobody's decision; `problems` tells what is left.

    Digests and tag files that are not allowed are left out, required digests are added, values of an element that may
    not be repeated are joined. An element that is required and admits one value only gets it, where the bag has none.
    """
    info = [(label, value) for label, value in shape.info if label != PROFILE_IDENTIFIER]
    present = {label for label, _ in info}
    for label, element in profile.elements.items():
        if element.required and len(element.values) == 1 and label not in present:
            info.append((label, element.values[0]))
        if not element.repeatable:
            info = _once(info, label)
    return replace(
        shape,
        info=(*info, (PROFILE_IDENTIFIER, profile.identifier)),
        manifests=_digests(shape.manifests, profile, ""),
        tag_manifests=_digests(shape.tag_manifests, profile, "Tag-"),
        tag_files=tuple(name for name in shape.tag_files if _matches(name, profile.lists["Tag-Files-Allowed"])),
    )


def _once(info: Sequence[tuple[str, str]], label: str) -> list[tuple[str, str]]:
    """All values of an element that may not be repeated, in the place of its first."""
    values = [value for name, value in info if name == label]
    made: list[tuple[str, str]] = []
    for name, value in info:
        if name != label:
            made.append((name, value))
        elif values:
            made.append((label, "; ".join(values)))
            values = []
    return made


def _digests(made: Sequence[str], profile: Profile, kind: str) -> tuple[str, ...]:
    required = [_word(name) for name in profile.required(f"{kind}Manifests-Required")]
    allowed = profile.lists[f"{kind}Manifests-Allowed"]
    words = None if allowed is None else [_word(name) for name in allowed]
    kept = [name for name in made if words is None or name in words]
    return tuple(dict.fromkeys([*kept, *required]))


def _word(algorithm: str) -> str:
    """As manifests spell it: lower case, without hyphens (RFC 8493 §2.4)."""
    return algorithm.lower().replace("-", "")


def problems(shape: Shape, profile: Profile) -> list[str]:
    """What of the profile a bag does not meet, a sentence each; nothing for one that fits."""
    return [*_form(shape, profile), *_info(shape, profile), *_files(shape, profile)]


def _form(shape: Shape, profile: Profile) -> list[str]:
    told = []
    if not profile.allows("Accept-BagIt-Version", "1.0"):
        versions = ", ".join(profile.required("Accept-BagIt-Version"))
        told.append(f"it takes BagIt version {versions} and bags are written in version 1.0 (RFC 8493)")
    if profile.serialization == "required" and not packed_as(profile):
        accepted = ", ".join(profile.required("Accept-Serialization")) or "nothing"
        told.append(f"it wants the bag as one file and takes {accepted}; bags are packed as {', '.join(PACKED)}")
    if profile.fetch_required:
        told.append("it wants a fetch.txt, and bags hold all their files")
    if profile.empty and shape.payload:
        told.append("it wants an empty payload")
    for kind, made in (("", shape.manifests), ("Tag-", shape.tag_manifests)):
        required = {_word(name) for name in profile.required(f"{kind}Manifests-Required")}
        unknown = sorted(required - {*ALGORITHMS, *OTHERS})
        if unknown:
            told.append(f"it requires digests that are not made here: {', '.join(unknown)}")
        told += [f"it requires the digest {name}" for name in sorted(required - set(made) - set(unknown))]
        allowed = profile.lists[f"{kind}Manifests-Allowed"]
        foreign = set(made) - {_word(name) for name in allowed} if allowed is not None else set()
        if foreign:
            told.append(f"it does not allow the digests {', '.join(sorted(foreign))}")
        if not made:
            told.append(f"it allows none of the digests {', '.join(ALGORITHMS)}")
    return told


def _info(shape: Shape, profile: Profile) -> list[str]:
    told = []
    if (PROFILE_IDENTIFIER, profile.identifier) not in shape.info:
        told.append(f"bag-info.txt must name it as {PROFILE_IDENTIFIER}")
    for label, element in profile.elements.items():
        values = [value for name, value in shape.info if name == label and value]
        if element.required and not values:
            admitted = f" ({' or '.join(element.values)})" if element.values else ""
            told.append(f"it requires {label}{admitted}: say it with --bag-info '{label}=TEXT'")
        if not element.repeatable and len(values) > 1:
            told.append(f"it allows {label} only once")
        told += [
            f"it admits {' or '.join(element.values)} as {label}, not {value!r}"
            for value in values
            if element.values and value not in element.values
        ]
    return told


def _files(shape: Shape, profile: Profile) -> list[str]:
    told = [
        f"it requires the tag file {name}"
        for name in profile.required("Tag-Files-Required")
        if name not in shape.tag_files and not ALWAYS.fullmatch(name)
    ]
    told += [
        f"it does not allow the tag file {name}"
        for name in shape.tag_files
        if not _matches(name, profile.lists["Tag-Files-Allowed"])
    ]
    told += [
        f"it requires {name} in the payload"
        for name in profile.required("Payload-Files-Required")
        if not any(path == name or (name.endswith("/") and path.startswith(name)) for path in shape.payload)
    ]
    foreign = [path for path in shape.payload if not _matches(path, profile.lists["Payload-Files-Allowed"])]
    if foreign:
        more = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
        told.append(f"it does not allow {min(foreign)}{more} in the payload")
    return told


def _matches(path: str, patterns: Sequence[str] | None) -> bool:
    """Whether one of the patterns has the path; an asterisk stands for any characters (glob(7) without its classes)."""
    return patterns is None or any(
        re.fullmatch(".*".join(re.escape(part) for part in pattern.split("*")), path, re.DOTALL) for pattern in patterns
    )
