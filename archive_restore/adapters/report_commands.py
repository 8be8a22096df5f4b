"""The commands a report offers to people who want to check it with tools that we did not write.

File names come from users: they are quoted so that a copied command does what it shows and nothing else, and invisible
characters are written as escapes. Commands are POSIX shell (`$'…'` where bash or zsh is needed); nothing is run here.
"""

from __future__ import annotations

import shlex
import unicodedata
from dataclasses import dataclass

from archive_restore.records.imagery import PRESERVATION_FLAGS, PixelFlag
from archive_restore.records.objects import Master
from archive_restore.records.preservation import PreservationDerivation

_INVISIBLE = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
_IMAGECODECS_MIMES = ("image/jpeg", "image/png", "image/jp2", "image/jpx")


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing a reader can do alone."""

    title: str
    tool: str
    """What has to be installed."""
    commands: str
    """Lines to copy into a shell."""
    expected: str
    """What has to come out; plain words."""
    digests: tuple[tuple[str, str], ...] = ()
    """What to compare by eye: pairs of role and digest; empty where the command compares."""


def shell_word(text: str) -> str:
    """Quote one word for a shell so that nothing in it is interpreted or invisible; never begins with a dash."""
    word = f"./{text}" if text.startswith("-") else text
    if not any(_is_invisible(ch) for ch in word):
        return shlex.quote(word)
    return "$'" + "".join(_shell_escape(ch) for ch in word) + "'"


def _shell_escape(ch: str) -> str:
    if ch in "'\\":
        return "\\" + ch
    if 0xDC80 <= ord(ch) <= 0xDCFF:  # a byte that was not UTF-8 (PEP 383)
        return f"\\x{ord(ch) - 0xDC00:02x}"
    if _is_invisible(ch):
        return "".join(f"\\x{byte:02x}" for byte in ch.encode("utf-8", "replace"))
    return ch


def _is_invisible(ch: str) -> bool:
    return unicodedata.category(ch) in _INVISIBLE


def python_word(text: str) -> str:
    """Write text as an ASCII Python literal."""
    return ascii(text)


def checks(
    master: Master, derivation: PreservationDerivation, *, master_path: str, restoration_path: str, sidecar_path: str,
    restoration_sha512: str,
) -> tuple[Check, ...]:  # fmt: skip
    """Say how to check a restoration with other people's tools, simplest first."""
    restoration = shell_word(restoration_path)
    manifest = shell_word(sidecar_path) if sidecar_path else ""
    found = [
        _digest_check(
            ((master_path, master.file.sha512, "Master"), (restoration_path, restoration_sha512, "Restoration"))
        ),
        Check(
            title="The credentials hold",
            tool="c2patool, or any other reader of C2PA Content Credentials",
            commands=f"c2patool {restoration}" + (f" --external-manifest {manifest}" if manifest else ""),
            expected="Validation state Valid or Trusted, one ingredient named parentOf (the master), and the actions "
            "listed above. Any change to the file, even of one pixel, turns the state to Invalid.",
        ),
        Check(
            title="The metadata say the same",
            tool="ExifTool",
            commands=f"exiftool -G1 -a -s -XMP:all {restoration}",
            expected="DigitalSourceType; DerivedFromDocumentID, which names the master by its digest; and one "
            "HistoryAction a step.",
        ),
    ]
    script = pixel_script(master, derivation, master_path=master_path, restoration_path=restoration_path)
    if script:
        found.append(
            Check(
                title="Original pixels are the master’s pixels",
                tool="Python with numpy and tifffile" + ("" if _is_tiff(master) else " and imagecodecs"),
                commands=f"python3 - <<'END'\n{script}END",
                expected="Four lines that end in True, and 0 changed pixels that the map calls original.",
            )
        )
    ref = shell_word(str(derivation.ref))
    found.append(
        Check(
            title="Everything at once, and the run repeated",
            tool="archive-restore, inside the archive",
            commands=f"archive-restore verify {ref}\narchive-restore reproduce {ref}\narchive-restore log verify",
            expected="No finding of severity error; the repeated run gives the same pixels; the log agrees with its "
            "signed checkpoint.",
        )
    )
    return tuple(found)


def _digest_check(files: tuple[tuple[str, str, str], ...]) -> Check:
    """Compare (path, sha512, role): by `sha512sum --check` where its line format can hold the names, else by eye."""
    title, tool = "The files are the files", "coreutils"
    if any(_is_invisible(ch) or ch == "\\" for path, _, _ in files for ch in path):
        words = " ".join(shell_word(path) for path, _, _ in files)
        return Check(
            title=title, tool=tool, commands=f"sha512sum {words}", expected="These digests.",
            digests=tuple((role, digest) for _, digest, role in files),
        )  # fmt: skip
    lines = "".join(f"{digest}  {path}\n" for path, digest, _ in files)
    return Check(
        title=title, tool=tool, commands=f"sha512sum --check <<'END'\n{lines}END", expected="OK after both names."
    )


def _is_tiff(master: Master) -> bool:
    return master.file.mime == "image/tiff"


def pixel_script(master: Master, derivation: PreservationDerivation, *, master_path: str, restoration_path: str) -> str:
    """Python that recomputes the pixel digests and compares ORIGINAL pixels with the master; empty where it cannot.

    It needs only numpy, tifffile and, for masters that are not TIFF, imagecodecs; it reads whole pictures.
    """
    picture = next((p for p in derivation.products if p.role == "picture"), None)
    if picture is None or picture.mime != "image/tiff":
        return ""
    if not (_is_tiff(master) or master.file.mime in _IMAGECODECS_MIMES):
        return ""
    if _is_tiff(master):
        imports, opening = "", f"M = tifffile.TiffFile({python_word(master_path)})\nmaster = samples(M.pages[0])"
    else:
        imports, opening = ", imagecodecs", f"master = imagecodecs.imread({python_word(master_path)})"
    illegal = int(PixelFlag(0xFF) & ~PRESERVATION_FLAGS)
    return f"""\
import hashlib, numpy, tifffile{imports}
def samples(page):  # interleaved, as the digests are defined
    a = page.asarray()
    return numpy.moveaxis(a, 0, -1) if page.planarconfig == 2 and a.ndim == 3 else a
def raw(a):  # little-endian bytes, row by row
    return numpy.ascontiguousarray(a, a.dtype.newbyteorder("<")).view(numpy.uint8)
def digest(a):
    return hashlib.sha256(raw(a)).hexdigest()
{opening}
R = tifffile.TiffFile({python_word(restoration_path)})
picture, flags = samples(R.pages[0]), R.pages[0].pages[0].asarray()
def rows(a):
    return raw(a).reshape(*flags.shape, -1)
changed = (rows(master) != rows(picture)).any(axis=2)
print("master pixels:", digest(master) == "{derivation.map.master_pixels_sha256}")
print("restored pixels:", digest(picture) == "{picture.pixels_sha256}")
print("synthesis map:", digest(flags) == "{derivation.map.sha256}")
print("only flags a restoration may carry:", not (flags & {illegal}).any())
print("pixels called original:", (flags == 0).sum(), "- of these changed:", (changed & (flags == 0)).sum())
"""
