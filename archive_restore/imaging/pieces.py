"""Copies pieces of a picture into its holes by shifts, bends their seams, and joins their tones.

Tones are joined by a screened Poisson equation (Pérez et al., SIGGRAPH 2003; Bhat et al., ECCV 2008): steps between
neighbours are kept, their level is not.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from archive_restore.imaging import exemplars
from archive_restore.imaging.exemplars import Floats, Indices, Mask

_ROUNDS = 100  # of conjugate gradients: tones are joined about as far, pixels of the smallest scale
_JUMP = 0.12  # steps at a seam beyond this are edges of things, and stay
_LEAST = 0.005  # weight of such a step
_NEAR = 32.0  # pixels over which a join fades at least


@dataclass(frozen=True, kw_only=True)
class Pieces:
    """Which pixel stands in for which, at one scale; places are indices of the flattened picture."""

    flat: Floats
    """(n, c)."""
    hole: Mask
    """(n,)."""
    usable: Mask
    """(n,)."""
    width: int
    steps: Indices
    """(n,): from a pixel of the hole to its stand-in; 0 elsewhere."""
    places: Indices
    """The pixels of the hole that have one: not those at the very edge of the padding."""

    @staticmethod
    def start(found: exemplars.Matches, picture: Floats, hole: Mask, usable: Mask) -> Pieces:
        """The scale at which patches were matched."""
        width = hole.shape[1]
        filled = np.where(hole[:, :, None], found.voted, picture)
        steps = (found.shifts[:, :, 0].astype(np.intp) * width + found.shifts[:, :, 1]).ravel()
        return Pieces(
            flat=filled.reshape(hole.size, -1),
            hole=steps != 0,
            usable=usable.ravel(),
            width=width,
            steps=steps,
            places=np.flatnonzero(steps),
        )

    def doubled(self, picture: Floats, hole: Mask, usable: Mask) -> Pieces:
        """The same at twice the size: pieces are moved by a pixel where they fit better, and their seams bent."""
        width = hole.shape[1]
        rows, columns = np.divmod(np.flatnonzero(hole), width)
        coarse = np.minimum(rows // 2, len(self.hole) // self.width - 1) * self.width
        coarse += np.minimum(columns // 2, self.width - 1)
        step = self.steps[coarse]
        down, across = np.divmod(coarse + step, self.width)
        down, across = down - coarse // self.width, across - coarse % self.width
        some = step != 0
        places = (rows * width + columns)[some]
        steps = np.zeros(hole.size, np.intp)
        steps[places] = 2 * (down[some] * width + across[some])
        made = Pieces(
            flat=np.ascontiguousarray(picture.reshape(hole.size, -1)),
            hole=steps != 0,
            usable=usable.ravel(),
            width=width,
            steps=steps,
            places=places,
        )
        for parity in (0, 1):
            made._shift_pieces(parity)
        made._bend_seams()
        return made

    def _shift_pieces(self, parity: int) -> None:
        """Move pieces of one shift by up to a pixel so that they meet what lies beside them."""
        values, piece = np.unique(self.steps[self.places], return_inverse=True)
        rows, columns = np.divmod(self.places, self.width)
        height = len(self.hole) // self.width
        pairs: list[tuple[Indices, Indices]] = []
        for far in (1, 2, 3):
            for down, across in ((far, 0), (-far, 0), (0, far), (0, -far)):
                inside = (rows + down >= 4) & (rows + down < height - 4)
                inside &= (columns + across >= 4) & (columns + across < self.width - 4)
                beside = np.where(inside, self.places + down * self.width + across, self.places)
                some = np.flatnonzero(self.steps[beside] != self.steps[self.places])
                pairs.append((piece[some], beside[some]))
        owner, beside = np.concatenate([a for a, _ in pairs]), np.concatenate([b for _, b in pairs])
        seen = self.flat[beside + self.steps[beside]]
        weight = np.where(self.hole[beside], np.float32(1), np.float32(2))
        moves = [down * self.width + across for down in (0, -1, 1) for across in (0, -1, 1)]
        best, least = np.zeros(len(values), np.intp), np.full(len(values), np.inf)
        for move in moves:
            apart = np.square(self.flat[beside + values[owner] + move] - seen).sum(axis=1) * weight
            cost = np.bincount(owner, apart, len(values))
            barred = np.bincount(piece, ~self.usable[self.places + self.steps[self.places] + move], len(values))
            cost[barred > 0] = np.inf
            better = cost < least * (0.999 if move else 1)
            best[better], least[better] = move, cost[better]
        best[np.arange(len(values)) % 2 != parity] = 0
        self.steps[self.places] += best[piece]

    def _bend_seams(self) -> None:
        """Move seams to where they are seen least, a few pixels at most."""
        grid = self.steps.reshape(-1, self.width)
        seam = np.zeros(grid.shape, np.uint8)
        seam[:, 1:] |= grid[:, 1:] != grid[:, :-1]
        seam[1:] |= grid[1:] != grid[:-1]
        near = cv2.dilate(seam, np.ones((7, 7), np.uint8)).ravel() > 0
        some = self.places[near[self.places]]

        def fit(places: Indices, steps: Indices) -> Floats:
            return np.where(self.usable[places + steps], np.float32(0), np.float32(np.inf))

        exemplars.settle(self.flat, self.hole, self.steps, some, self.width, fit=fit, sweeps=2)

    def joined(self, guess: Floats | None) -> tuple[Floats, Floats]:
        """The picture with the copied pieces, their tones joined, and the change that joined them: both (h, w, c).

        `guess`: the change at half the size, enlarged. What is far apart is joined at small sizes.
        """
        shape = (-1, self.width, self.flat.shape[1])
        copied = self.flat.copy()
        copied[self.places] = self.flat[self.places + self.steps[self.places]]
        rows, columns = np.divmod(self.places, self.width)
        top, left = int(rows.min()) - 1, int(columns.min()) - 1
        box = slice(top, int(rows.max()) + 2), slice(left, int(columns.max()) + 2)
        at = np.arange(len(self.hole)).reshape(-1, self.width)[box]
        values, hole = copied.reshape(shape)[box].copy(), self.hole.reshape(-1, self.width)[box]
        across = self._edges(at[:, :-1], at[:, 1:])
        down = self._edges(at[:-1], at[1:])
        start = guess[box] if guess is not None else np.zeros_like(values)
        made = copied.reshape(shape)
        made[box] = _solved(values, hole, across, down, start, _ROUNDS if guess is None else _ROUNDS // 2)
        change = np.zeros_like(made)
        change[box] = made[box] - values
        return made, change

    def _edges(self, first: Indices, second: Indices) -> tuple[Floats, Floats]:
        """The step wanted between neighbours, (h, w, c), and how much it is wanted, (h, w)."""
        wanted = np.zeros((*first.shape, self.flat.shape[1]), np.float32)
        count = np.zeros(first.shape, np.float32)
        for owner in (first, second):
            step = self.steps[owner]
            counts = self.hole[owner] & self._known(first + step) & self._known(second + step)
            wanted += (self.flat[second + step] - self.flat[first + step]) * counts[:, :, None]
            count += counts
        wanted /= np.maximum(count, 1)[:, :, None]
        jump = np.abs(self.flat[second + self.steps[first]] - self.flat[second + self.steps[second]]).max(axis=2)
        weight = np.maximum(np.exp(-np.square(jump / _JUMP)), _LEAST)
        weight *= self.hole[first] | self.hole[second]
        return wanted, np.asarray(weight, np.float32)

    def _known(self, places: Indices) -> Mask:
        return ~self.hole[places]


def joined_at_rim(picture: Floats, drawn: Floats, hole: Mask) -> Floats:
    """Put what was drawn into a hole so that its tones meet the picture's; (h, w, c), hole (h, w)."""
    values = np.where(hole[:, :, None], drawn, picture).astype(np.float32)
    edges = []
    for axis in (1, 0):
        pair = (slice(None, -1), slice(1, None))
        first, second = ((slice(None), part) if axis else (part, slice(None)) for part in pair)
        wanted = drawn[second] - drawn[first]
        weight = (hole[first] | hole[second]).astype(np.float32)
        edges.append((np.asarray(wanted, np.float32), weight))
    return _solved(values, hole, edges[0], edges[1], np.zeros_like(values), 5 * _ROUNDS)


def _solved(
    values: Floats,
    hole: Mask,
    across: tuple[Floats, Floats],
    down: tuple[Floats, Floats],
    start: Floats,
    rounds: int,
) -> Floats:
    """Screened Poisson equation: keep the wanted steps, and stay near the values given; conjugate gradients.

    `values`: (h, w, c), fixed outside the hole; `across`: steps and weights to the right, (h, w - 1, c) and (h, w - 1);
    `down`: likewise below; `start`: a guess of the change.
    """
    depth = cv2.distanceTransform(np.pad(hole, 1).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5).max()
    screen = np.float32(1 / max(_NEAR, float(depth)) ** 2)
    inner = hole.astype(np.float32)
    right, below = across[1], down[1]

    def spread(x: Floats) -> Floats:
        """Divergence of the weighted steps of x, and the screen, in the hole."""
        total = x * screen
        step = (x[:, 1:] - x[:, :-1]) * right
        total[:, 1:] += step
        total[:, :-1] -= step
        step = (x[1:] - x[:-1]) * below
        total[1:] += step
        total[:-1] -= step
        total *= inner
        return np.asarray(total)

    made = values.copy()
    for channel in range(values.shape[2]):
        plane = values[:, :, channel]
        change = start[:, :, channel] * inner
        rest = -spread(change)
        step = (plane[:, 1:] - plane[:, :-1] - across[0][:, :, channel]) * right
        rest[:, 1:] -= step
        rest[:, :-1] += step
        step = (plane[1:] - plane[:-1] - down[0][:, :, channel]) * below
        rest[1:] -= step
        rest[:-1] += step
        rest *= inner
        way = rest.copy()
        size = float(np.vdot(rest, rest))
        enough = 1e-6 * size + 1e-12
        for _ in range(rounds):
            if size <= enough:
                break
            image = spread(way)
            pace = np.float32(size / max(float(np.vdot(way, image)), 1e-20))
            change += way * pace
            rest -= image * pace
            before, size = size, float(np.vdot(rest, rest))
            way *= np.float32(size / max(before, 1e-20))
            way += rest
        made[:, :, channel] += change
    return made
