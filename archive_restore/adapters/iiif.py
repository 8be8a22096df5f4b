"""IIIF packages: a static Presentation 3 manifest and Image API 3 level-0 tiles, to be put on any web server.

Master and restorations are choices of one canvas, and so are the stories; the map of each is a choice of its own, with
a legend. Whether it is record or story stands in the required statement and in every label, and of stories in sight
outside each picture. Built with iiif-prezi3, which is imported late.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import numpy as np
import numpy.typing as npt

from archive_restore.adapters.caption import draw_band
from archive_restore.adapters.durable import WRITABLE, hash_file, write_hashed
from archive_restore.adapters.iiif_check import MANIFEST, SUMS, check_package
from archive_restore.adapters.iiif_tiles import Put, Sheet, cut_map, cut_picture, put_in, shown_facts
from archive_restore.adapters.mets import folder_of
from archive_restore.adapters.previews import png_bytes
from archive_restore.core.iiif_texts import (
    Texts,
    captions,
    description_pairs,
    foreign,
    headline,
    inert_json,
    joined,
    label,
    legend,
    legend_texts,
    named,
    rights_uri,
    spoken,
    statement,
    words,
)
from archive_restore.core.image_tiles import INFO
from archive_restore.core.labels import built_in_language, rgb
from archive_restore.errors import (
    ConfigurationInvalid,
    PictureUnreadable,
    SelfCheckFailed,
    SeparationViolated,
    UsageError,
)
from archive_restore.imaging.access import shown_size
from archive_restore.ports import Exporter, Pictures
from archive_restore.records.findings import Finding
from archive_restore.records.labels import CaptionStyle, Labels
from archive_restore.records.objects import Master
from archive_restore.records.packages import Package, PackedFile, PackedVersion, Side
from archive_restore.records.stories import StoryDerivation

BASE_URI = "http://localhost:8000"
"""Where packages are served from unless somebody says otherwise: `python3 -m http.server` in the export's folder."""
MAP_PNG = "synthesis-map.png"
MAP_NUMBERS = "synthesis-map.json"
THUMBNAIL = 512
"""Longest edge of the thumbnail, pixels, at most."""
_SAME_FRAME = 0.005  # how far two pictures of one canvas may differ in shape and place
_LEGEND = (900, 700)  # width of the legend in pixels; the size of its letters is that of a picture of this size


class IiifExporter(Exporter):
    """The `Exporter` port: `manifest.json`, one folder a picture, `SHA512SUMS` of all."""

    name = "iiif"
    seal = SUMS

    def __init__(self, pictures: Pictures, labels: Labels, base_uri: str = BASE_URI) -> None:
        """`base_uri` is that of the folder in which the packages will lie; raise UsageError where it is none."""
        self._pictures, self._labels = pictures, labels
        self._base = checked_base(base_uri)

    def served_from(self, base_uri: str) -> IiifExporter:
        """See ports.Exporter."""
        return IiifExporter(self._pictures, self._labels, base_uri)

    def write(self, package: Package, to: Path) -> None:
        """See ports.Exporter. The stored pictures are read, not copied: their digests are compared before."""
        if find_spec("iiif_prezi3") is None:
            raise ConfigurationInvalid("IIIF manifests need iiif-prezi3", hint="Install archive-restore[iiif]")
        if mixed := package.mixed():
            raise SeparationViolated(f"{mixed[0]} is not of the side {package.side.value}", hint="Please report this")
        sums: dict[str, str] = {}
        put = put_in(to, sums)
        views = [self._view(version) for version in package.versions]
        canvases = [_sheets(group, self._labels.style) for group in _groups(views)]
        base = f"{self._base}/{quote(place_of(package))}"
        for view in (view for group in canvases for view in group):
            self._cut(view, base, put)
        manifest = _manifest(package, canvases, base, self._labels)
        put(MANIFEST, inert_json(manifest))
        listed = "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items()))
        write_hashed(to / SUMS, listed.encode(), mode=WRITABLE)

    def check(self, to: Path) -> Iterator[Finding]:
        """See ports.Exporter."""
        yield from check_package(to)

    def _view(self, version: PackedVersion) -> _View:
        record = version.record
        name = record.file.name if isinstance(record, Master) else record.products[0].name
        picture = _file(version, name)
        if not picture.mime.startswith("image/") or (isinstance(record, Master) and record.picture is None):
            raise PictureUnreadable(f"{version.ref} is no picture that can be shown", hint="Export it as a bag")
        facts = shown_facts(self._pictures, picture.path)
        height, width = shown_size(facts.height, facts.width, facts.orientation)
        _unchanged(picture)
        flags = None if isinstance(record, Master) else _file(version, MAP_PNG)
        if flags is not None:
            _unchanged(flags)
        texts = captions(record, self._labels, version.kinds)
        return _View(
            version=version,
            picture=picture,
            flags=flags,
            orientation=facts.orientation,
            texts=texts,
            caption=spoken(record, self._labels, version.kinds) if isinstance(record, StoryDerivation) else "",
            sheet=Sheet(width=width, height=height, wide=width),
        )

    def _cut(self, view: _View, base: str, put: Put) -> None:
        """Tiles and info.json of a picture, and of its map with what goes with it."""
        folder, cut = view.folder, view.sheet.tiles
        cut_picture(self._pictures, view.picture.path, view.sheet, folder, put)
        put(f"{folder}/{INFO}", inert_json(cut.info(f"{base}/{folder}")))
        if view.flags is None or isinstance(view.version.record, Master):
            return
        folder = view.map_folder
        cut_map(self._pictures, view.flags.path, view.orientation, view.sheet, folder, put)
        put(f"{folder}/{INFO}", inert_json(cut.info(f"{base}/{folder}")))
        language = built_in_language(self._labels.language)
        rows = [(colour, texts[language]) for colour, texts in legend(view.version.record.map)]
        put(f"{folder}/{_LEGEND_PNG}", png_bytes(legend_picture(rows, self._labels.style)))
        numbers = _file(view.version, MAP_NUMBERS)
        _unchanged(numbers)
        put(f"{folder}/{MAP_NUMBERS}", numbers.path.read_bytes())


@dataclass(frozen=True, kw_only=True)
class _View:
    """One version as it is shown."""

    version: PackedVersion
    picture: PackedFile
    flags: PackedFile | None
    """The synthesis map; None for a master."""
    orientation: int
    texts: Texts
    """What it is, in every language."""
    caption: str
    """What stands in sight; empty for the record."""
    sheet: Sheet

    @property
    def folder(self) -> str:
        """Of its tiles."""
        return folder_of(self.version)

    @property
    def map_folder(self) -> str:
        """Of the tiles of its map."""
        return f"{self.folder}-map"


def checked_base(uri: str) -> str:
    """The URI of a folder on a web server, without the last slash; raise UsageError where it is none."""
    parts = urlsplit(uri)
    plain = uri.isascii() and uri.isprintable() and not set(uri) & set(' <>"\\^`{|}')
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or not plain:
        raise UsageError(
            f"--base-uri {uri!r} is not the address of a folder on a web server",
            hint="Write for instance https://iiif.example.org/photographs",
        )
    return uri.rstrip("/")


def place_of(package: Package) -> str:
    """Where a package lies below the folder of its export."""
    side = "record" if package.side is Side.RECORD else "stories"
    return f"{side}/{package.name}" if package.companion else package.name


def _file(version: PackedVersion, name: str) -> PackedFile:
    found = [file for file in version.files if file.name == name]
    if not found:
        raise SelfCheckFailed(f"{version.ref} has no {name}", hint=f"Run: archive-restore verify {version.ref}")
    return found[0]


def _unchanged(file: PackedFile) -> None:
    found = hash_file(file.path)
    if (found.size, found.sha512, found.sha256) != (file.size, file.sha512, file.sha256):
        raise SelfCheckFailed(
            f"{file.name!r} of {file.ref} is not what the archive says it is",
            hint=f"Run: archive-restore verify {file.ref}",
        )


# --- frames ------------------------------------------------------------------------------------------


def _groups(views: Sequence[_View]) -> list[list[_View]]:
    """Pictures that show the same frame lie on one canvas."""
    groups: list[list[_View]] = []
    for view in views:
        for group in groups:
            pairs = zip(_frame(group[0]), _frame(view), strict=True)
            if all(abs(one - other) <= _SAME_FRAME for one, other in pairs):
                group.append(view)
                break
        else:
            groups.append([view])
    return groups


def _frame(view: _View) -> tuple[float, ...]:
    """Shape of a picture, and which part of the master it shows: left, top, right, bottom in shares of its own size."""
    sheet, record = view.sheet, view.version.record
    shape = float(np.log(sheet.width / sheet.height))
    if isinstance(record, Master):
        return shape, 0.0, 0.0
    left, top = (row[2] for row in record.map.geometry[:2])
    # Pixel centres: a picture enlarged n times has its first centre at (1/n - 1)/2, and its frame is the same.
    across, down = record.map.geometry[0][0], record.map.geometry[1][1]
    width, height = across * record.map.width or 1.0, down * record.map.height or 1.0
    return shape, (left - (across - 1) / 2) / width, (top - (down - 1) / 2) / height


def _sheets(group: Sequence[_View], style: CaptionStyle) -> list[_View]:
    """Give each picture its band, all in the same proportion, so that they lie over one another on their canvas."""
    if not any(view.caption for view in group):
        return list(group)
    bands = [draw_band(view.sheet.width, view.sheet.height, view.caption, style) for view in group]
    pairs = list(zip(group, bands, strict=True))
    across = max(band.shape[1] / view.sheet.width for view, band in pairs)
    down = max(band.shape[0] / view.sheet.height for view, band in pairs)
    found = []
    for view, band in pairs:
        wide = max(band.shape[1], round(view.sheet.width * across))
        tall = max(band.shape[0], round(view.sheet.height * down))
        room = np.empty((tall, wide, 3), np.uint8)
        room[:] = rgb(style.ground)
        room[: band.shape[0], : band.shape[1]] = band
        found.append(replace(view, sheet=replace(view.sheet, wide=wide, caption=room, position=style.position)))
    return found


def legend_picture(rows: Sequence[tuple[str, str]], style: CaptionStyle) -> npt.NDArray[np.uint8]:
    """A legend to be looked at: one line a (colour, text), uint8 (h, w, 3)."""
    lines = []
    for colour, text in rows:
        line = draw_band(*_LEGEND, text, replace(style, size=1.0))
        swatch = np.empty((len(line), len(line), 3), np.uint8)
        swatch[:] = rgb(style.ground)
        edge = len(line) // 6
        swatch[edge:-edge, edge:-edge] = rgb("#808080")
        swatch[edge + 1 : -edge - 1, edge + 1 : -edge - 1] = rgb(colour)
        lines.append(np.concatenate([swatch, line], axis=1))
    return np.concatenate(lines)


# --- the manifest ------------------------------------------------------------------------------------

_LEGEND_PNG = "legend.png"


def _manifest(package: Package, canvases: Sequence[Sequence[_View]], base: str, labels: Labels) -> dict[str, Any]:
    """The manifest as plain data (Presentation API 3.0 §5.2)."""
    import iiif_prezi3 as prezi

    views = [view for group in canvases for view in group]
    description, item = package.master.description, package.master.ref.item_id
    title = description.title or item
    told = statement([(view.version.record, view.texts) for view in views], item, package.organization)
    pairs = description_pairs(description, item)
    summary = foreign(description.description)
    rights = rights_uri(description.rights)
    numbers = [
        prezi.LinkedResource(
            id=f"{base}/{view.map_folder}/{MAP_NUMBERS}",
            type="Dataset",
            format="application/json",
            label=words("map", ref=view.version.ref),
        )
        for view in views
        if view.flags is not None
    ]
    manifest = prezi.Manifest(
        id=f"{base}/{MANIFEST}",
        label=headline(title, [view.texts for view in views]) if package.side is Side.STORIES else label(title),
        metadata=[prezi.KeyValueString(label=name, value=value) for name, value in pairs] or None,
        summary=summary or None,
        requiredStatement=prezi.KeyValueString(label=words("statement"), value=told),
        rights=rights or None,
        seeAlso=numbers or None,
        thumbnail=[_thumbnail(prezi, views[0], base)],
        items=[_canvas(prezi, number, group, base) for number, group in enumerate(canvases, 1)],
    )
    data: dict[str, Any] = manifest.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {"@context": "http://iiif.io/api/presentation/3/context.json", **data}


def _canvas(prezi: Any, number: int, group: Sequence[_View], base: str) -> Any:
    """One frame: its pictures and their maps as choices (Presentation API 3.0 §5.3, cookbook 0033)."""
    largest = max(group, key=lambda view: view.sheet.wide).sheet
    uri = f"{base}/canvas/{number}"
    choices = [_image(prezi, f"{base}/{v.folder}", v.sheet, named(v.version.ref, v.texts)) for v in group]
    legends, pictures = [], []
    for view in group:
        if view.flags is None or isinstance(view.version.record, Master):
            continue
        ref = view.version.ref
        choices.append(_image(prezi, f"{base}/{view.map_folder}", view.sheet, words("map", ref=ref)))
        value = legend_texts(view.version.record.map)
        legends.append(prezi.KeyValueString(label=words("legend", ref=ref), value=value))
        pictures.append(
            prezi.LinkedResource(
                id=f"{base}/{view.map_folder}/{_LEGEND_PNG}",
                type="Image",
                format="image/png",
                label=words("legend", ref=ref),
            )
        )
    body = choices[0] if len(choices) == 1 else prezi.Choice(items=choices)
    painting = prezi.Annotation(id=f"{uri}/painting", motivation="painting", body=body, target=uri)
    return prezi.Canvas(
        id=uri,
        label=joined([named(view.version.ref, view.texts) for view in group]),
        width=largest.wide,
        height=largest.tall,
        metadata=legends or None,
        rendering=pictures or None,
        thumbnail=[_thumbnail(prezi, group[0], base)],
        items=[prezi.AnnotationPage(id=f"{uri}/page", items=[painting])],
    )


def _image(prezi: Any, uri: str, sheet: Sheet, name: Texts) -> Any:
    width, height = sheet.tiles.whole()[-1]
    return prezi.AnnotationBody(
        id=f"{uri}/full/max/0/default.jpg",
        type="Image",
        format="image/jpeg",
        width=width,
        height=height,
        label=name,
        service=[prezi.ServiceV3(id=uri, type="ImageService3", profile="level0")],
    )


def _thumbnail(prezi: Any, view: _View, base: str) -> Any:
    fitting = [size for size in view.sheet.tiles.whole() if max(size) <= THUMBNAIL]
    width, height = fitting[-1]
    uri = f"{base}/{view.folder}"
    return prezi.AnnotationBody(
        id=f"{uri}/full/{width},{height}/0/default.jpg",
        type="Image",
        format="image/jpeg",
        width=width,
        height=height,
        service=[prezi.ServiceV3(id=uri, type="ImageService3", profile="level0")],
    )
