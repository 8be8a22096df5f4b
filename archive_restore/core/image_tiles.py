"""Which files a picture has as IIIF Image API 3 at level 0: everything a client may ask for, as arithmetic.

Level 0 means a plain web server: a request is the path of a file. A client asks for tiles of `edge` pixels at every
scale factor, and for the whole picture at the sizes that info.json lists; both are written out beforehand.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

CONTEXT = "http://iiif.io/api/image/3/context.json"
PROTOCOL = "http://iiif.io/api/image"
INFO = "info.json"
EDGE = 512
"""Edge of a tile, pixels."""
LARGEST = 2048
"""Longest edge of the whole picture in one file, pixels: it is held in memory while it is encoded."""


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One file: a region of the picture at one scale."""

    factor: int
    """Pixels of the picture an edge of one pixel of the tile."""
    row: int
    column: int
    width: int
    """Of the tile, pixels."""
    height: int
    path: str
    """Below the image's folder (Image API 3.0 §4.7, canonical form)."""


@dataclass(frozen=True, kw_only=True)
class TiledPicture:
    """A picture of `width`×`height` pixels cut for level 0."""

    width: int
    height: int
    edge: int = EDGE
    largest: int = LARGEST

    @property
    def factors(self) -> tuple[int, ...]:
        """Powers of two, from 1 until the whole picture is one tile."""
        found = [1]
        while max(self.scaled(found[-1])) > self.edge:
            found.append(2 * found[-1])
        return tuple(found)

    def scaled(self, factor: int) -> tuple[int, int]:
        """(width, height) at a scale factor, rounded up as clients do (Image API 3.0, implementation notes §1)."""
        return -(-self.width // factor), -(-self.height // factor)

    def tiles(self, factor: int) -> Iterator[Tile]:
        """All tiles at a scale factor, row by row."""
        width, height = self.scaled(factor)
        for row in range(-(-height // self.edge)):
            for column in range(-(-width // self.edge)):
                across = min(self.edge, width - column * self.edge)
                down = min(self.edge, height - row * self.edge)
                yield Tile(
                    factor=factor, row=row, column=column, width=across, height=down,
                    path=self._path(factor, row, column, across, down),
                )  # fmt: skip

    def whole(self) -> tuple[tuple[int, int], ...]:
        """(width, height) of the whole picture in one file, smallest first: what info.json lists as `sizes`."""
        scaled = [self.scaled(factor) for factor in self.factors]
        return tuple(sorted(size for size in scaled if max(size) <= self.largest))

    def whole_paths(self, size: tuple[int, int]) -> tuple[str, ...]:
        """Paths of the whole picture at one of the sizes of `whole`; the largest one is `max` too."""
        named = f"full/{size[0]},{size[1]}/0/default.jpg"
        return (named, "full/max/0/default.jpg") if size == self.whole()[-1] else (named,)

    def paths(self) -> Iterator[tuple[str, int, int]]:
        """(path, width, height) of every file of the picture but info.json, each once."""
        told: set[str] = set()
        for size in self.whole():
            for path in self.whole_paths(size):
                told.add(path)
                yield path, *size
        for factor in self.factors:
            for tile in self.tiles(factor):
                if tile.path not in told:
                    yield tile.path, tile.width, tile.height

    def info(self, identifier: str) -> dict[str, Any]:
        """info.json of the picture under its URI (Image API 3.0 §5)."""
        sizes = self.whole()
        told: dict[str, Any] = {
            "@context": CONTEXT,
            "id": identifier,
            "type": "ImageService3",
            "protocol": PROTOCOL,
            "profile": "level0",
            "width": self.width,
            "height": self.height,
        }
        if sizes[-1] != (self.width, self.height):
            told |= {"maxWidth": sizes[-1][0], "maxHeight": sizes[-1][1]}
        told["sizes"] = [{"width": width, "height": height} for width, height in sizes]
        told["tiles"] = [{"width": self.edge, "height": self.edge, "scaleFactors": list(self.factors)}]
        return told

    def _path(self, factor: int, row: int, column: int, width: int, height: int) -> str:
        left, top = column * self.edge * factor, row * self.edge * factor
        across, down = min(self.edge * factor, self.width - left), min(self.edge * factor, self.height - top)
        region = "full" if (across, down) == (self.width, self.height) else f"{left},{top},{across},{down}"
        size = "max" if (width, height) == (self.width, self.height) else f"{width},{height}"
        return f"{region}/{size}/0/default.jpg"
