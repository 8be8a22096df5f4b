"""Palettes on disk: those shipped with the program and those of the archive, in its `palettes/`.

Data only (schemas/palette.schema.json). What does not fit is refused when it is added, and told when it is read.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from archive_restore.adapters import shipped
from archive_restore.errors import ConfigurationInvalid, SourceUnreadable, StorageConflict, StorageFailed
from archive_restore.ports import Palettes

_MOST = 1 << 20
"""Bytes of a palette."""


class FolderPalettes(Palettes):
    """The `Palettes` port on JSON files."""

    def __init__(self, root: Path | None = None) -> None:
        """`root` is the archive; without one there are only the shipped palettes."""
        self._own = None if root is None else root / "palettes"

    def all(self) -> tuple[Mapping[str, Any], ...]:
        """See ports.Palettes."""
        found = {str(palette["id"]): palette for palette in shipped.palettes()}
        for path in self._files():
            try:
                palette = _read(path)
            except SourceUnreadable as exc:
                raise ConfigurationInvalid(str(exc), hint=f"Mend or remove {path}") from exc
            if palette["id"] in found:
                raise ConfigurationInvalid(f"two palettes are called {palette['id']!r}", hint=f"Rename that of {path}")
            found[palette["id"]] = palette
        return tuple(found[name] for name in sorted(found))

    def add(self, palette: Mapping[str, Any]) -> Path:
        """See ports.Palettes."""
        if self._own is None:
            raise StorageFailed("there is no archive to add a palette to", hint="Give -A DIR")
        _check(palette, "the palette")
        if any(palette["id"] == known["id"] for known in self.all()):
            raise StorageConflict(f"there is a palette {palette['id']!r} already", hint="Choose another --id")
        path = self._own / f"{palette['id']}.json"
        partial = path.with_suffix(".unfinished")
        try:
            self._own.mkdir(exist_ok=True)
            with partial.open("w", encoding="utf-8") as file:
                json.dump(palette, file, ensure_ascii=False, indent=2)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        except OSError as exc:
            partial.unlink(missing_ok=True)
            raise StorageFailed(f"{str(path)!r} cannot be written: {exc.strerror}") from exc
        return path

    def _files(self) -> Iterator[Path]:
        if self._own is not None and self._own.is_dir():
            yield from sorted(self._own.glob("*.json"))


def read_palette(path: Path) -> Mapping[str, Any]:
    """A palette from a file that was handed in; raise SourceUnreadable."""
    return _read(path)


def _read(path: Path) -> Mapping[str, Any]:
    try:
        if path.stat().st_size > _MOST:
            raise SourceUnreadable(f"{path.name!r} is too large for a palette")
        palette: Mapping[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as exc:
        raise SourceUnreadable(f"the palette {path.name!r} cannot be read: {exc}") from exc
    _check(palette, f"the palette {path.name!r}")
    return palette


def _check(palette: Mapping[str, Any], what: str) -> None:
    problem = shipped.check_document("palette", palette)
    if problem:
        raise SourceUnreadable(f"{what} does not fit schemas/palette.schema.json: {problem}")
    first, last = palette["years"]
    if last < first:
        raise SourceUnreadable(f"{what} ends in {last}, before it begins in {first}", hint="Put the earlier year first")
