"""What a model that moves a still is given, and what is made of what it gives: frames over the still, or a flow.

A model sees the still at a size of its own, whole, its last rows and columns mirrored where the size does not fit. What
it draws is laid over the still only where it differs from what it was shown; a flow goes through our own warp.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from archive_restore.core.model_contracts import MOST_NUMBERS, plane_count
from archive_restore.imaging.eyelids import Patch
from archive_restore.imaging.motion import COARSE, REST, Moved, coarse_mask
from archive_restore.ports import MotionFrame, MotionSource, Still
from archive_restore.records.imagery import PixelFlag, Region
from archive_restore.records.models import InputContract, ModelCard, Planes

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]

EDGE = 1024
"""Longest edge of what a model without a limit of its own sees, pixels."""
SAME = 2.5 / 255
"""Change below which a frame shows what the model was shown: a rounding, not a motion."""
FACE_MARGIN = 0.5
"""How far around a face nothing may be moved by a model, share of the face's edges."""
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_SOFT = 4  # pixels of the model over which what it drew begins
_NOISE = 0x701E


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A still as a model sees it."""

    planes: Floats
    """(1, c, h, w), as the card says."""
    size: tuple[int, int]
    """Rows and columns of it that show the still; the rest is a mirror."""


@dataclass(frozen=True, kw_only=True)
class Turn:
    """Which moment of a model's output a frame of the clip shows: there and back, so that a loop closes."""

    count: int
    """Frames of the clip."""
    moments: int
    """Outputs that are used, from the first on; at least two."""
    turns: int
    """How often it goes there and back."""
    loops: bool
    """Whether frame `count` shows what frame 0 shows; else frame `count` - 1 does."""

    def at(self, frame: int) -> float:
        """0 to `moments` - 1; whole turns are counted in whole numbers."""
        half, last = self.moments - 1, self.count if self.loops else self.count - 1
        moment = frame * self.turns * 2 * half % (2 * half * last) / last
        return min(moment, 2 * half - moment)


def turn(card: ModelCard, *, count: int, rate: int, loops: bool) -> Turn:
    """As many outputs as the clip has time for there and back, at about the model's own pace."""
    seconds, pace = count / rate, float(card.output.rate or rate)
    half = max(1, min(card.output.frames - 1, round(seconds * pace / 2)))
    return Turn(count=count, moments=half + 1, turns=max(1, round(seconds * pace / (2 * half))), loops=loops)


def model_size(card: ModelCard, height: int, width: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Rows and columns that a model is given of a still, and those of them that show it."""
    contract = card.input
    if contract.height is not None and contract.width is not None:
        box = contract.height, contract.width
    elif contract.maximum_size is not None and contract.maximum_size == contract.minimum_size:
        box = contract.maximum_size, contract.maximum_size
    else:
        return _free_size(card, height, width)
    scale = min(box[0] / height, box[1] / width)
    return box, (min(box[0], max(1, round(height * scale))), min(box[1], max(1, round(width * scale))))


def _free_size(card: ModelCard, height: int, width: int) -> tuple[tuple[int, int], tuple[int, int]]:
    contract = card.input
    numbers = card.output.frames * plane_count(card.output.planes)
    most = min(contract.maximum_size or EDGE, EDGE, max(1, int((MOST_NUMBERS / numbers) ** 0.5)))
    scale = min(1.0, most / max(height, width))
    shown = max(1, round(height * scale)), max(1, round(width * scale))
    return (_whole(contract, shown[0]), _whole(contract, shown[1])), shown


def _whole(contract: InputContract, size: int) -> int:
    """The least size that may be given and holds `size` pixels."""
    unit = contract.size_multiple
    return max(-(-size // unit), -(-contract.minimum_size // unit)) * unit


def fitted(card: ModelCard, still: Bytes, seed: int) -> Fitted:
    """A still, uint8 (h, w, 3), as this model takes it; its noise is the seed's alone."""
    (rows, columns), (tall, wide) = model_size(card, *still.shape[:2])
    seen = _resized(_unit(still), tall, wide)
    # Mirrored more than once where little of the still fills much of the frame.
    seen = np.pad(seen, ((0, rows - tall), (0, columns - wide), (0, 0)), "symmetric")
    made = []
    for group in card.input.planes:
        if group.meaning == "noise":
            made.append(_noise(group, seed, rows, columns))
            continue
        part = seen.transpose(2, 0, 1) if group.meaning == "rgb" else (seen @ _LUMA)[None]
        made.append(_ranged(group, part))
    return Fitted(planes=np.ascontiguousarray(np.concatenate(made)[None], np.float32), size=(tall, wide))


def _noise(group: Planes, seed: int, rows: int, columns: int) -> Floats:
    bits = np.random.Philox(key=np.array([seed & (2**64 - 1), _NOISE], np.uint64))
    drawn, shape = np.random.Generator(bits), (group.count, rows, columns)
    if group.minimum is None:
        return drawn.standard_normal(shape, np.float32)
    return _ranged(group, drawn.random(shape, np.float32))


def _ranged(group: Planes, part: Floats) -> Floats:
    """0..1 laid over the range of the planes."""
    low, high = np.float32(group.minimum or 0), np.float32(1 if group.maximum is None else group.maximum)
    return np.asarray(part * (high - low) + low, np.float32)


def _unit(samples: Bytes) -> Floats:
    return np.asarray(samples.astype(np.float32) / np.float32(255), np.float32)


def _resized(picture: Floats, rows: int, columns: int) -> Floats:
    if picture.shape[:2] == (rows, columns):
        return picture
    smaller = rows < picture.shape[0]
    how = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    return np.asarray(np.clip(cv2.resize(picture, (columns, rows), interpolation=how), 0, 1), np.float32)


# --- frames ------------------------------------------------------------------------------------------


class Drawn:
    """Frames that a model drew, laid over the still where they differ from it."""

    def __init__(self, card: ModelCard, still: Still, made: Floats, seen: Fitted, when: Turn, mask: Bytes | None):
        """`made`: what the model gave for `seen`, (frames, c, h, w); `mask`: uint8 (H, W), where it may show; None for
        everywhere."""
        self._still, self._when = still, when
        tall, wide = seen.size
        self._base = _picture(card.input.planes, seen.planes[0], tall, wide)
        moments = np.stack([_picture(card.output.planes, one, tall, wide) for one in made[: when.moments]])
        self._colour = moments.shape[-1] == 3
        self._moments, self._shown = moments, _resized(_unit(still.samples), tall, wide)
        self._share = self._shares(mask)
        self._last: tuple[int, tuple[Patch, ...]] = (-1, ())

    @property
    def changed(self) -> float:
        """Share of the still over which the model's frames are laid."""
        return float(np.count_nonzero(self._share)) / self._share.size

    def where(self, kind: str) -> Moved:
        """Where that is, told as `kind`."""
        part = self._part()
        box = Region(top=part[0].start, left=part[1].start, bottom=part[0].stop, right=part[1].stop)
        return Moved(kind=kind, share=self.changed, box=box)

    def patches(self, frame: int) -> tuple[Patch, ...]:
        """What is laid over the still in this frame of the clip; only where anything is `changed`."""
        moment = int(self._when.at(frame) + 0.5)
        if self._last[0] != moment:
            self._last = (moment, self._patches(moment))
        return self._last[1]

    def _shares(self, mask: Bytes | None) -> Floats:
        """One mask for all frames, so that nothing comes and goes at its border."""
        most = np.abs(self._moments - self._base).max(axis=(0, 3))
        # A single pixel of noise is no motion; what moves has a surrounding that moves.
        moved = cv2.morphologyEx((most > SAME).astype(np.uint8), cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
        away = cv2.distanceTransform(1 - moved, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) if moved.any() else None
        small = np.zeros(most.shape, np.float32) if away is None else np.clip(1 - away / _SOFT, 0, 1)
        rows, columns = self._still.flags.shape
        share = cv2.resize(np.asarray(small, np.float32), (columns, rows), interpolation=cv2.INTER_LINEAR)
        if mask is not None:
            share = share * (mask.astype(np.float32) / 255)
        return np.asarray(share, np.float32)

    def _part(self) -> tuple[slice, slice]:
        down, across = (np.flatnonzero(self._share.any(axis=axis)) for axis in (1, 0))
        return slice(int(down[0]), int(down[-1]) + 1), slice(int(across[0]), int(across[-1]) + 1)

    def _patches(self, moment: int) -> tuple[Patch, ...]:
        part = self._part()
        made = self._moments[moment]
        if not self._colour:  # light changes, colour stays
            made = self._shown + (made - self._base)
        rows, columns = self._still.flags.shape
        large = _resized(np.asarray(np.clip(made, 0, 1), np.float32), rows, columns)[part]
        still, share = self._still.samples[part], self._share[part][..., None]
        mixed = still + share * (large * 255 - still)
        samples = np.where(share > 0, np.rint(np.clip(mixed, 0, 255)), still).astype(np.uint8)
        differs = (samples != still).any(axis=2)
        flags = self._still.flags[part] | differs * np.uint8(PixelFlag.MOVED | PixelFlag.SYNTHESIZED)
        return (Patch(top=part[0].start, left=part[1].start, samples=samples, flags=flags),)


def _picture(groups: Sequence[Planes], planes: Floats, tall: int, wide: int) -> Floats:
    """The first planes as a picture in 0..1: float32 (tall, wide, 3) of rgb, (tall, wide, 1) of gray."""
    group = groups[0]
    low, high = group.minimum or 0.0, 1.0 if group.maximum is None else group.maximum
    part = (planes[: group.count, :tall, :wide] - np.float32(low)) / np.float32(high - low)
    return np.ascontiguousarray(part.transpose(1, 2, 0), np.float32)


# --- flow --------------------------------------------------------------------------------------------


class ModelMotion(MotionSource):
    """Motion that a model proposed: warped by us, never more than was asked for."""

    def __init__(
        self,
        shape: tuple[int, int],
        planes: Floats,
        at: Callable[[int], Floats],
        seen: Fitted,
        mask: Bytes,
        most: float,
        *,
        frames: int,
        kind: str,
    ) -> None:
        """`shape`: rows and columns of the still; `planes`: (n, 2, h, w) displacements from which `at` gives n weights
        for each frame, pixels of what the model saw; `mask`: uint8 (H, W) of the still, 255 where it may move; `most`:
        greatest root-mean-square displacement, pixels of the still; `kind`: the one word for what moves."""
        self._frames, self._weights, self._kinds = frames, at, (REST, kind)
        tall, wide = seen.size
        grid = (-(-shape[0] // COARSE), -(-shape[1] // COARSE))
        share = coarse_mask(mask, grid)
        scale = np.array([shape[1] / wide, shape[0] / tall], np.float32)
        fields = []
        for one in planes[:, :, :tall, :wide]:
            flow = np.ascontiguousarray(one.transpose(1, 2, 0)) * scale
            fields.append(cv2.resize(flow, (grid[1], grid[0]), interpolation=cv2.INTER_LINEAR) * share[..., None])
        self._fields = np.stack(fields).astype(np.float32)
        weights = np.stack([at(frame) for frame in range(frames)])
        found = _moving(self._fields, weights)
        self.given = found
        """Root-mean-square displacement that the model gave where it moves anything, pixels of the still."""
        self._fields *= np.float32(min(1.0, most / max(found, 1e-9)))
        moves = (self._fields != 0).any(axis=(0, 3))
        self._alpha, self._kind = share * moves, (moves & (share > 0)).astype(np.uint8)

    @property
    def frames(self) -> int:
        """See MotionSource."""
        return self._frames

    @property
    def kinds(self) -> tuple[str, ...]:
        """See MotionSource."""
        return self._kinds

    def at(self, frame: int) -> MotionFrame:
        """See MotionSource."""
        weights = self._weights(frame % self._frames)
        found = np.zeros(self._fields.shape[1:], np.float32)
        for index in np.flatnonzero(weights):
            found += weights[index] * self._fields[index]
        return MotionFrame(flow=found, alpha=self._alpha, kind=self._kind)


def _moving(fields: Floats, weights: Floats) -> float:
    """Root-mean-square displacement over cells that move, and over all frames."""
    flat = fields.reshape(len(fields), -1)
    shares = (weights.T @ weights / len(weights)).astype(np.float64)
    energy = np.einsum("ip,ij,jp->p", flat, shares, flat, optimize=True).reshape(fields.shape[1:])
    each = np.maximum(energy.sum(axis=2), 0)
    moving = each > (each.max() * 1e-4 if each.size else 0)
    return float(np.sqrt(each[moving].mean())) if moving.any() else 0.0


def flow_weights(when: Turn) -> Callable[[int], Floats]:
    """Weights of neighbouring flows at each frame."""

    def at(frame: int) -> Floats:
        found, moment = np.zeros(when.moments, np.float32), when.at(frame)
        low = min(int(moment), when.moments - 2)
        found[low], found[low + 1] = 1 - (moment - low), moment - low
        return found

    return at


def harmonic_weights(count: int, step: float, *, frames: int, rate: int, ease: int) -> Callable[[int], Floats]:
    """Weights of cosine and sine of `count` harmonics, the first of `step` Hz: whole periods of the clip.

    `ease`: frames in which motion begins and ends; 0 for a loop.
    """
    periods = [max(1, round(step * (index + 1) * frames / rate)) for index in range(count)]

    def at(frame: int) -> Floats:
        # Whole turns are counted in whole numbers, so that a loop closes.
        angles = 2 * np.pi * np.array([frame * period % frames for period in periods]) / frames
        found = np.stack([np.cos(angles), np.sin(angles)], axis=1).reshape(-1)
        edge = np.clip(min(frame, frames - 1 - frame) / ease, 0, 1) if ease else 1.0
        return np.asarray(found * edge * edge * (3 - 2 * edge), np.float32)

    return at


def harmonic_fields(made: Floats) -> Floats:
    """(2 · count, 2, h, w), cosine and sine in turn, of one output (1, 4 · count, h, w)."""
    return np.ascontiguousarray(made.reshape(-1, 2, *made.shape[2:]), np.float32)


# --- faces -------------------------------------------------------------------------------------------


def around(face: tuple[float, float, float, float], height: int, width: int) -> Region:
    """A face's left, top, right and bottom with its margin, inside the picture."""
    left, top, right, bottom = face
    across, down = FACE_MARGIN * (right - left), FACE_MARGIN * (bottom - top)
    return Region(
        top=max(0, int(top - down)), left=max(0, int(left - across)),
        bottom=min(height, int(np.ceil(bottom + down))), right=min(width, int(np.ceil(right + across))),
    )  # fmt: skip
