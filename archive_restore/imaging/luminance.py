"""Luminance as stories keep it: linear light weighed with the primaries, re-encoded with the picture's own curve."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from archive_restore.ports import ColourSpace, Samples
from archive_restore.records.imagery import PictureFacts, SampleRole

_COLOURS = (SampleRole.RED, SampleRole.GREEN, SampleRole.BLUE)
_FINE = 1 << 18  # entries of the table that encodes light; it is asked for the root of light


class Luminance:
    """Luminance of one picture's samples as code value, share of full scale, 0 is black; of gray the gray itself.

    Where a curve is flat several codes mean the same light, and all of them give the same one of them.
    """

    def __init__(self, facts: PictureFacts, white: float, space: ColourSpace) -> None:
        """`white` is the code value of 1.0. Raise ValueError where the picture is neither gray nor RGB."""
        roles = facts.roles
        self._white = white
        self._inverted = SampleRole.GRAY_INVERTED in roles
        grays = [index for index, role in enumerate(roles) if role in (SampleRole.GRAY, SampleRole.GRAY_INVERTED)]
        self._planes = grays[:1] or [roles.index(role) for role in _COLOURS if role in roles]
        if len(self._planes) not in (1, 3):
            raise ValueError("a picture that is neither gray nor RGB has no luminance")
        curve = np.asarray(space.curve, np.float32)
        weights = space.weights if len(self._planes) == 3 else (1.0,)
        self._weighted = [curve * np.float32(weight) for weight in weights]
        roots = np.linspace(0.0, 1.0, _FINE + 1)
        self._encoded = np.interp(roots**2, curve, np.linspace(0.0, 1.0, len(curve))).astype(np.float32)
        self._tables: dict[str, list[npt.NDArray[np.float32]]] = {}

    def of(self, samples: Samples) -> npt.NDArray[np.float32]:
        """Float32 (h, w) of samples (h, w, n)."""
        if samples.dtype.kind != "u" or samples.dtype.itemsize > 2:
            return self._shown(self._light(samples[:, :, at], k) for k, at in enumerate(self._planes))
        tables = self._tables_of(samples.dtype)
        if len(tables) == 1:
            return tables[0].take(samples[:, :, self._planes[0]])
        return self._shown(table.take(samples[:, :, at]) for at, table in zip(self._planes, tables, strict=True))

    def _tables_of(self, dtype: np.dtype[Any]) -> list[npt.NDArray[np.float32]]:
        """What every code means: the weighed light of each colour; of gray the result itself."""
        tables = self._tables.get(dtype.str)
        if tables is None:
            codes = np.arange(1 << 8 * dtype.itemsize).astype(dtype)[None]
            tables = [self._light(codes, k) for k in range(len(self._planes))]
            tables = [table[0] for table in (tables if len(tables) > 1 else [self._shown(tables)])]
            self._tables[dtype.str] = tables
        return tables

    def _light(self, plane: Samples, k: int) -> npt.NDArray[np.float32]:
        """Weighed light of one plane."""
        share = self._share(plane)
        last = np.float32(len(self._weighted[k]) - 1)
        return self._weighted[k].take(_nearest(np.float32(1) - share if self._inverted else share, last))

    def _shown(self, parts: Iterable[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
        """Code value of the sum of parts, each linear light; the first is written over."""
        light, *others = parts
        for part in others:
            light += part
        np.sqrt(np.minimum(light, 1, out=light), out=light)
        return self._encoded.take(_nearest(light, np.float32(_FINE)))

    def _share(self, plane: Samples) -> npt.NDArray[np.float32]:
        values = plane.astype(np.float32)
        values *= np.float32(1 / self._white)
        if plane.dtype.kind == "f":
            np.nan_to_num(values, copy=False, nan=0.0, posinf=1.0, neginf=0.0)
        return np.clip(values, 0, 1, out=values)


def _nearest(share: npt.NDArray[np.float32], last: np.float32) -> npt.NDArray[np.int32]:
    return (share * last + np.float32(0.5)).astype(np.int32)


def spread_gray(samples: Samples, facts: PictureFacts, white: float) -> tuple[Samples, tuple[SampleRole, ...]]:
    """Gray as RGB of three equal samples, and what each sample then is: (h, w, samples + 2) of the same dtype.

    Where 0 is white it is turned round; alpha, infrared and the like stay as they are, behind the colours. RGB comes
    back as it is.
    """
    roles = facts.roles
    if SampleRole.RED in roles:
        return samples, roles
    inverted = SampleRole.GRAY_INVERTED in roles
    at = roles.index(SampleRole.GRAY_INVERTED if inverted else SampleRole.GRAY)
    gray = samples[:, :, at : at + 1]
    if inverted:
        gray = (samples.dtype.type(white) - gray).astype(samples.dtype)
    rest = [index for index in range(len(roles)) if index != at]
    spread = np.concatenate([gray, gray, gray, samples[:, :, rest]], axis=2)
    return spread, (*_COLOURS, *(roles[index] for index in rest))
