"""Re-creates the bags under tests/bad_bags and tests/good_bags: `python -m tests.support.bad_bags` writes them.

One folder a bag. A bad one is named for the finding it must give, `<FINDING>_<what>`; a good one for what it shows.
What git or another system cannot keep (links, names that differ in case only) is built by the tests alone.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.tiff_builder import gray, pixels, tiff

BAD = Path(__file__).parents[1] / "bad_bags"
GOOD = Path(__file__).parents[1] / "good_bags"

SCAN = tiff(gray(), pixels(128))
NOTES = b"Box 14, folder 3.\n"
PAYLOAD = {"data/notes.txt": NOTES, "data/scan.tif": SCAN}
INFO = (
    "Source-Organization: Lakeside Historical Society\n"
    "External-Identifier: LHS-0014\n"
    "External-Description: The mill in winter,\n  seen from the bridge\n"
    "Bagging-Date: 2026-03-01\n"
)
Files = dict[str, bytes]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One bag."""

    folder: str
    files: Files
    severity: str = "error"
    """Of the finding it must give."""
    portable: bool = True
    """Whether git and every file system can keep it; else only tests build it."""
    after: Callable[[Path], object] | None = None
    """Done to the written bag, for what bytes cannot say."""

    @property
    def code(self) -> str:
        """The finding it must give: the folder's name up to the first lower-case word."""
        words = self.folder.split("_")
        return "_".join(words[: next(i for i, word in enumerate(words) if word[0].islower())])


def declaration(version: str = "1.0", encoding: str = "UTF-8") -> bytes:
    """bagit.txt."""
    return f"BagIt-Version: {version}\nTag-File-Character-Encoding: {encoding}\n".encode()


def lines(algorithm: str, files: Mapping[str, bytes]) -> bytes:
    """A manifest of files, their names as given."""
    return b"".join(
        f"{hashlib.new(algorithm, data).hexdigest()}  {name}\n".encode() for name, data in sorted(files.items())
    )


def bag(
    payload: Mapping[str, bytes] = PAYLOAD,
    *,
    version: str = "1.0",
    algorithms: tuple[str, ...] = ("sha256", "sha512"),
    tagged: bool = True,
    info: str = INFO,
    change: Mapping[str, bytes | None] | None = None,
) -> Files:
    """A whole bag; `change` replaces, adds or (None) removes files before the tag manifest is made of what is there."""
    size = sum(map(len, payload.values()))
    files: dict[str, bytes | None] = {
        "bagit.txt": declaration(version),
        "bag-info.txt": f"{info}Payload-Oxum: {size}.{len(payload)}\n".encode(),
        **{f"manifest-{name}.txt": lines(name, payload) for name in algorithms},
        **payload,
        **(change or {}),
    }
    kept = {name: data for name, data in files.items() if data is not None}
    if tagged:
        tags = {name: data for name, data in kept.items() if not name.startswith(("data/", "tagmanifest"))}
        kept = {"tagmanifest-sha512.txt": lines("sha512", tags), **kept}
    return kept


def manifest(*more: str, payload: Mapping[str, bytes] = PAYLOAD, algorithm: str = "sha512") -> Mapping[str, bytes]:
    """A payload manifest with lines added, as a change of a bag."""
    return {f"manifest-{algorithm}.txt": lines(algorithm, payload) + "".join(f"{line}\n" for line in more).encode()}


def one(**words: object) -> Files:
    """A bag with sha512 alone and no tag manifest, so that a case stands for one fault."""
    return bag(**{"algorithms": ("sha512",), "tagged": False, **words})  # type: ignore[arg-type]


EMPTY = hashlib.sha512(b"").hexdigest()
SUM = hashlib.sha512(SCAN).hexdigest()


def bad() -> Iterator[Case]:
    """Every bad bag, in the order of RFC 8493."""
    yield from _declarations()
    yield from _payload_manifests()
    yield from _tag_manifests()
    yield from _infos()
    yield from _fetches()
    yield from _tag_files()
    yield from _completeness()
    yield from _paths()
    yield from _built()


def _case(folder: str, files: Files, severity: str = "error") -> Case:
    return Case(folder=folder, files=files, severity=severity)


def _declarations() -> Iterator[Case]:
    """§2.1.1, §2.1.2."""

    def declared(data: bytes | None) -> Files:
        return one(change={"bagit.txt": data})

    good = declaration()
    yield _case("BAG_DECLARATION_MISSING_none", declared(None))
    yield _case("BAG_DECLARATION_BOM_utf8", declared(b"\xef\xbb\xbf" + good))
    yield _case("BAG_DECLARATION_BOM_utf16", declared(good.decode().encode("utf-16")))
    first, second = good.splitlines(keepends=True)
    malformed = {
        "empty": b"",
        "one_line": first,
        "swapped": second + first,
        "third_line": good + b"Contact-Name: A\n",
        "no_space": good.replace(b": ", b":"),
        "other_case": good.replace(b"BagIt-Version", b"BagIt-version"),
        "no_minor": good.replace(b"1.0", b"1"),
        "latin_1": good.replace(b"UTF-8", b"\xe9"),
    }
    for what, data in malformed.items():
        yield _case(f"BAG_DECLARATION_MALFORMED_{what}", declared(data))
    yield _case("BAG_DECLARATION_MALFORMED_blank_line", declared(good + b"\n"), "warning")
    yield _case("BAG_VERSION_UNSUPPORTED_two", one(version="2.0"))
    yield _case("BAG_VERSION_UNSUPPORTED_oldest", one(version="0.92"))
    yield _case("BAG_VERSION_OLD_draft_096", one(version="0.96"), "warning")
    old = one(version="0.93", change={"bag-info.txt": None, "package-info.txt": INFO.encode()})
    yield _case("BAG_VERSION_OLD_draft_093", old, "warning")
    yield _case("BAG_ENCODING_UNKNOWN_word", declared(declaration(encoding="UTF-88")))
    yield _case("BAG_ENCODING_UNKNOWN_code_not_text", declared(declaration(encoding="unicode_escape")))
    yield _case("BAG_ENCODING_NOT_UTF8_latin_1", declared(declaration(encoding="ISO-8859-1")), "warning")
    yield _case("BAG_PAYLOAD_MISSING_none", one(payload={}))
    yield _case("BAG_PAYLOAD_MISSING_file", one(payload={}, change={"data": b"a file"}))


def _payload_manifests() -> Iterator[Case]:
    """§2.1.3, §2.4."""

    def listed(*more: str) -> Files:
        return one(change=manifest(*more))

    yield _case("BAG_MANIFEST_MISSING_none", one(algorithms=()))
    yield _case("BAG_MANIFEST_MISSING_in_a_folder", one(algorithms=(), change={"tags/manifest-sha512.txt": b""}))
    yield _case("BAG_MANIFEST_LINE_no_path", listed(EMPTY))
    yield _case("BAG_MANIFEST_LINE_comment", listed("#"))
    yield _case("BAG_MANIFEST_BLANK_line", listed(""), "warning")
    yield _case("BAG_DIGEST_MALFORMED_short", one(change={"manifest-sha512.txt": lines("sha256", PAYLOAD)}))
    yield _case("BAG_DIGEST_MALFORMED_no_hex", one(change=_swap(SUM, "z" * 128)))
    yield _case("BAG_DIGEST_MALFORMED_escaped_by_md5sum", one(change=_swap(SUM, "\\" + SUM)))
    yield _case("BAG_MANIFEST_ASTERISK_binary_mode", one(change=_swap("  data", " *data")), "warning")
    yield _case("BAG_MANIFEST_OUTSIDE_PAYLOAD_bag_info", listed(f"{EMPTY}  notes.txt"))
    yield _case("BAG_MANIFEST_OUTSIDE_PAYLOAD_beside", listed(f"{EMPTY}  database/scan.tif"))
    yield _case("BAG_MANIFEST_DIRECTORY_slash", listed(f"{EMPTY}  data/folder/"))
    inner = {"data/box/scan.tif": SCAN}
    yield _case(
        "BAG_MANIFEST_DIRECTORY_real",
        one(payload=inner, change=manifest(f"{EMPTY}  data/box", payload=inner)),
    )
    yield _case("BAG_MANIFEST_REPEATED_same", listed(f"{SUM}  data/scan.tif"))
    yield _case("BAG_MANIFEST_REPEATED_other_digest", listed(f"{EMPTY}  data/scan.tif"))
    yield _case("BAG_MANIFEST_REPEATED_with_dot", listed(f"{SUM}  ./data/scan.tif"))
    same = one(version="0.97", change=manifest(f"{SUM}  data/scan.tif"))
    yield _case("BAG_MANIFEST_REPEATED_same_in_097", same, "warning")
    yield _case("BAG_PATH_NOT_PLAIN_dot", one(change=_swap("data/scan", "./data/scan")), "warning")
    yield _case("BAG_PATH_NOT_PLAIN_two_slashes", one(change=_swap("data/scan", "data//scan")), "warning")
    percent = {"data/100%.tif": SCAN}
    yield _case("BAG_PERCENT_ENCODING_bare", one(payload=percent), "warning")
    encoded = lines("sha512", PAYLOAD).replace(b"scan", b"sc%61n")
    yield _case("BAG_FILE_MISSING_percent_for_a_letter", one(change={"manifest-sha512.txt": encoded}))
    yield _case("BAG_FILE_MISSING_percent_not_encoded", one(payload={"data/a%25b.tif": SCAN}))
    sums = lines("sha512", PAYLOAD)
    for what, name in {"upper_case": "manifest-SHA512.txt", "hyphen": "manifest-sha-512.txt"}.items():
        yield _case(f"BAG_ALGORITHM_NAME_{what}", one(algorithms=(), change={name: sums}))
    yield _case("BAG_ALGORITHM_NAME_upper_case_word", one(algorithms=(), change={"Manifest-sha512.txt": sums}))
    yield _case("BAG_ALGORITHM_UNKNOWN_crc32", one(change={"manifest-crc32.txt": b"00000000  data/scan.tif\n"}))
    yield _case("BAG_ALGORITHM_WEAK_md5", one(algorithms=("md5",)), "warning")


def _swap(old: str, new: str, count: int = -1) -> Mapping[str, bytes]:
    return {"manifest-sha512.txt": lines("sha512", PAYLOAD).decode().replace(old, new, count).encode()}


def _tag_manifests() -> Iterator[Case]:
    """§2.2.1."""
    good = bag(algorithms=("sha512",))
    sums = good["tagmanifest-sha512.txt"]

    def tagged(data: bytes) -> Files:
        return good | {"tagmanifest-sha512.txt": data}

    yield _case("BAG_TAG_MANIFEST_PAYLOAD_scan", tagged(sums + f"{SUM}  data/scan.tif\n".encode()))
    other = good | {"tagmanifest-sha256.txt": lines("sha256", {"manifest-sha512.txt": good["manifest-sha512.txt"]})}
    twice = sums + lines("sha512", {"tagmanifest-sha256.txt": other["tagmanifest-sha256.txt"]})
    yield _case("BAG_TAG_MANIFEST_LISTS_ITSELF_the_other", other | {"tagmanifest-sha512.txt": twice})
    without = b"".join(line for line in sums.splitlines(keepends=True) if b" manifest-" not in line)
    yield _case("BAG_TAG_MANIFEST_INCOMPLETE_payload_manifest", tagged(without))
    yield _case("BAG_TAG_FILE_MISSING_listed", tagged(sums + f"{EMPTY}  metadata/dc.xml\n".encode()))
    yield _case(
        "BAG_TAG_DIGEST_MISMATCH_bag_info", good | {"bag-info.txt": good["bag-info.txt"] + b"Contact-Name: A\n"}
    )
    extra = good | {"tagmanifest-sha512.txt": sums + f"{EMPTY}  ../secret\n".encode()}
    yield _case("BAG_PATH_UNSAFE_in_tag_manifest", extra)


def _infos() -> Iterator[Case]:
    """§2.2.2."""

    def told(text: str, severity: str = "error", what: str = "") -> Case:
        return _case(what, one(change={"bag-info.txt": text.encode()}), severity)

    size = f"{len(SCAN) + len(NOTES)}.2"
    yield told(INFO + "no colon here\n", what="BAG_INFO_LINE_no_colon")
    yield told(INFO + ": value\n", what="BAG_INFO_LINE_no_label")
    yield told("  folded before any label\n" + INFO, what="BAG_INFO_LINE_fold_first")
    yield told(INFO + "Contact-Name:A\n", "warning", "BAG_INFO_SPACING_none")
    yield told(INFO + "Contact-Name : A\n", "warning", "BAG_INFO_SPACING_before_colon")
    yield told(INFO + "\n", "warning", "BAG_INFO_SPACING_empty_line")
    yield told(f"Payload-Oxum: {size}\npayload-oxum: {size}\n", what="BAG_INFO_REPEATED_oxum")
    yield told(INFO + "Bagging-Date: 2026-03-02\n", "warning", "BAG_INFO_REPEATED_date")
    yield told("Bagging-Date: 1 March 2026\n", "warning", "BAG_INFO_VALUE_date")
    yield told("Bag-Count: one\n", "warning", "BAG_INFO_VALUE_count")
    yield told("Payload-Oxum: much\n", what="BAG_OXUM_MALFORMED_word")
    yield told("Payload-Oxum: 5\n", what="BAG_OXUM_MALFORMED_bytes_only")
    yield told("Payload-Oxum: 1.2\n", what="BAG_OXUM_MISMATCH_bytes")
    yield told(f"Payload-Oxum: {len(SCAN) + len(NOTES)}.3\n", what="BAG_OXUM_MISMATCH_files")


def _fetches() -> Iterator[Case]:
    """§2.2.3."""
    here = "https://www.example.org/scan.tif"

    def promised(text: str) -> Files:
        return one(change={"fetch.txt": text.encode()})

    hole = {name: data for name, data in one(tagged=False).items() if name != "data/scan.tif"}
    yield _case("BAG_FETCH_MISSING_scan", hole | {"fetch.txt": f"{here} - data/scan.tif\n".encode()})
    yield _case("BAG_FETCH_LINE_two_fields", promised(f"{here} data/scan.tif\n"))
    yield _case("BAG_FETCH_LINE_length_is_word", promised(f"{here} many data/scan.tif\n"))
    yield _case("BAG_FETCH_LINE_empty", promised(f"{here} - data/scan.tif\n\n"), "warning")
    yield _case("BAG_FETCH_URL_relative", promised("scan.tif - data/scan.tif\n"))
    yield _case("BAG_FETCH_URL_space", promised("https://www.example.org/a\u00a0b - data/scan.tif\n"))
    yield _case("BAG_FETCH_TAG_FILE_bag_info", promised(f"{here} - bag-info.txt\n"))
    yield _case("BAG_FETCH_UNLISTED_file", promised(f"{here} - data/other.tif\n"))
    other = bag(tagged=False, change={"fetch.txt": f"{here} - data/scan.tif\n".encode()})
    only = lines("sha256", {"data/notes.txt": NOTES})
    yield _case("BAG_FETCH_UNLISTED_in_one_manifest", other | {"manifest-sha256.txt": only})
    yield _case("BAG_PATH_UNSAFE_in_fetch", promised(f"{here} - ../scan.tif\n"))
    yield _case("BAG_PATH_UNSAFE_fetch_absolute", promised(f"{here} - /etc/cron.d/job\n"))


def _tag_files() -> Iterator[Case]:
    """§2.3."""
    sums = lines("sha512", PAYLOAD)
    yield _case("BAG_TAG_FILE_BOM_manifest", one(change={"manifest-sha512.txt": b"\xef\xbb\xbf" + sums}))
    yield _case("BAG_TAG_FILE_BOM_info", one(change={"bag-info.txt": b"\xef\xbb\xbf" + INFO.encode()}))
    yield _case("BAG_TAG_FILE_ENCODING_info", one(change={"bag-info.txt": b"Contact-Name: Ren\xe9\n"}))
    yield _case("BAG_TAG_FILE_ENCODING_manifest", one(change={"manifest-sha512.txt": sums + b"\xff\xfe\n"}))
    yield _case("BAG_LINE_UNTERMINATED_manifest", one(change={"manifest-sha512.txt": sums[:-1]}), "warning")
    yield _case("BAG_LINE_UNTERMINATED_info", one(change={"bag-info.txt": INFO.encode()[:-1]}), "warning")


def _completeness() -> Iterator[Case]:
    """§3."""
    whole = one()
    yield _case("BAG_FILE_MISSING_scan", {name: data for name, data in whole.items() if name != "data/scan.tif"})
    yield _case("BAG_FILE_UNLISTED_another", one(info="", change={"data/b.tif": SCAN, "bag-info.txt": None}))
    yield _case("BAG_FILE_UNLISTED_hidden", one(change={"data/.hidden": b"x", "bag-info.txt": None}))
    less = bag(tagged=False, change={"manifest-sha256.txt": lines("sha256", {"data/notes.txt": NOTES})})
    yield _case("BAG_MANIFEST_INCOMPLETE_second", less)
    flipped = bytes([*SCAN[:-1], SCAN[-1] ^ 1])
    yield _case("BAG_DIGEST_MISMATCH_last_bit", whole | {"data/scan.tif": flipped})
    yield _case("BAG_DIGEST_MISMATCH_second_manifest", bag(tagged=False) | _swapped_sha256())


def _swapped_sha256() -> Files:
    return {"manifest-sha256.txt": lines("sha256", {"data/notes.txt": SCAN, "data/scan.tif": NOTES})}


def _paths() -> Iterator[Case]:
    """§5.1."""
    names = {
        "parent": "data/../../secret.tif",
        "parent_inside": "data/box/../scan.tif",
        "absolute": "/etc/passwd",
        "home": "~/.ssh/id_ed25519",
        "user": "~root/.bashrc",
        "drive": "C:/Windows/scan.tif",
        "namespace": "\\\\?\\C:\\scan.tif",
        "backslash": "data\\scan.tif",
        "zero_byte": "data/a\x00b.tif",
    }
    for what, name in names.items():
        yield _case(f"BAG_PATH_UNSAFE_{what}", one(change=manifest(f"{EMPTY}  {name}")))


def _built() -> Iterator[Case]:
    """What git or some file system cannot keep."""

    def built(
        folder: str,
        files: Files | None = None,
        after: Callable[[Path], object] | None = None,
        severity: str = "error",
    ) -> Case:
        return Case(folder=folder, files=files or one(), severity=severity, portable=False, after=after)

    def relink(folder: Path) -> None:
        (folder / "data/scan.tif").rename(folder / "elsewhere.tif")
        (folder / "data/scan.tif").symlink_to("../elsewhere.tif")

    def move(folder: Path) -> None:
        shutil.move(folder / "data", folder / "payload")
        (folder / "data").symlink_to("payload")

    yield built("BAG_LINK_payload_file", after=relink)
    yield built("BAG_LINK_dangling", after=lambda folder: (folder / "data/b.tif").symlink_to("nowhere"))
    yield built("BAG_LINK_folder_up", after=lambda folder: (folder / "data/up").symlink_to(".."))
    yield built("BAG_LINK_payload_directory", after=move)
    yield built("BAG_SPECIAL_FILE_pipe", after=lambda folder: os.mkfifo(folder / "data/pipe"))
    composed, apart = "data/caf\u00e9.tif", "data/cafe\u0301.tif"
    yield built("BAG_NORMALIZATION_COLLISION_e_acute", one(payload={composed: SCAN, apart: SCAN}))
    yield built("BAG_CASE_COLLISION_scan", one(payload={"data/scan.tif": SCAN, "data/Scan.tif": SCAN}), None, "warning")
    renamed = one(payload={composed: SCAN}, change={"manifest-sha512.txt": lines("sha512", {apart: SCAN})})
    yield built("BAG_NAME_NORMALIZATION_e_acute", renamed, None, "warning")
    payload = {"data/a\nb.tif": SCAN}
    yield built("BAG_FILE_UNLISTED_line_break_not_encoded", one(payload=payload, change={"bag-info.txt": None}))


def good() -> Iterator[Case]:
    """Every good bag."""
    yield _case("two_manifests_and_tags", bag())
    yield _case("one_manifest", one())
    yield _case("bagit_097", one(version="0.97"))
    yield _case("no_payload_files", one(payload={"data/.keep": b""}))
    yield _case("uppercase_digests", one(change=_swap(SUM, SUM.upper())))
    yield _case("tabs_for_spaces", one(change=_swap("  data", "\t data")))
    ended = {name: data.replace(b"\n", b"\r\n") for name, data in one().items() if not name.startswith("data/")}
    yield _case("line_ends_of_windows", one(change=ended))
    macs = {name: data.replace(b"\n", b"\r") for name, data in one().items() if not name.startswith("data/")}
    yield _case("line_ends_of_old_macs", one(change=macs))
    yield _case("percent_encoded", one(payload={"data/100%.tif": SCAN}, change=_percent()))
    yield _case("spaces_and_letters", one(payload={"data/box 14/Mühle bei Nacht.tif": SCAN, "data/写真.tif": SCAN}))
    text = INFO + "Bag-Count: 1 of ?\nContact-Name: A\nContact-Name: B\nShelf: 14: left\n"
    yield _case("repeated_and_folded_info", one(info=text))
    fetched = {"fetch.txt": b"https://www.example.org/scan.tif 300 data/scan.tif\n"}
    yield _case("fetch_file_already_there", one(change=fetched))
    yield _case("tag_folder", bag(change={"metadata/dc.xml": b"<dc/>", "metadata/deep/er.txt": b"x"}))
    parts = bag(version="0.97", tagged=False) | {
        "manifest-sha256.txt": lines("sha256", {"data/notes.txt": NOTES}),
        "manifest-sha512.txt": lines("sha512", {"data/scan.tif": SCAN}),
    }
    yield _case("bagit_097_each_file_in_one_manifest", parts)
    yield _case("more_algorithms", one(algorithms=("md5", "sha1", "sha224", "sha384", "sha512")))


def _percent() -> Mapping[str, bytes]:
    return {"manifest-sha512.txt": f"{SUM}  data/100%25.tif\n".encode()}


def write(case: Case, folder: Path) -> Path:
    """Write a bag to a folder that does not exist yet."""
    for name, data in case.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    if case.after is not None:
        case.after(folder)
    return folder


def write_all() -> None:
    """Write every portable bag to its folder, and nothing else there."""
    for place, cases in ((BAD, bad()), (GOOD, good())):
        shutil.rmtree(place, ignore_errors=True)
        for case in cases:
            if case.portable:
                write(case, place / case.folder)


if __name__ == "__main__":
    write_all()
