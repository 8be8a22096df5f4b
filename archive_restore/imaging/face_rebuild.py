"""Rebuilds what damage hides of a face from the same face's other half; for stories, and only when asked.

The other half is mirrored through the points of the mesh, lit like what surrounds the hole, and joined to it; an eye
keeps its gaze. What comes out is plausible, never evidence: no face is symmetric. Must never change a pixel outside the
mask.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from archive_restore.imaging.complete import Patch, pasted
from archive_restore.imaging.face_features import LEAST_FACE, eye_distance
from archive_restore.imaging.face_frames import Floats, Mask, Samples, Tones, box_of, frame_of, moved
from archive_restore.imaging.face_symmetry import MIRROR, Part, Points, mirrored, parts, turned
from archive_restore.imaging.faces import Face, FaceNetworks, find_faces
from archive_restore.imaging.membrane import mean_of, spread, weighted_mean
from archive_restore.imaging.reduce import PictureReducer
from archive_restore.imaging.thin_plate import ThinPlate
from archive_restore.records.imagery import PixelFlag, Region

MOST_TURNED = 24.0
"""Degrees a head may be turned to a side: beyond that one half is too narrow to stand for the other."""
LEAST_OPEN = 0.15
"""Opening of an eye, share of its width, from which it is taken for open."""
MOST_HIDDEN = 0.6
"""Share of a face that may be hidden: of less, no mesh can be trusted."""
LEAST_ALIKE = 0.4
"""Correlation of the mirrored half with what surrounds a hole, below which it shows something else."""
MOST_STRETCHED = 1.6
"""How many times as wide the other half may become: further, its grain is drawn out to streaks."""
FLAGS = PixelFlag.SYNTHESIZED
"""What a rebuilt pixel is: the points come from a trained model, and what they place is made up."""
EDGE = 2048
"""Longest edge to which a picture is reduced before faces are looked for, pixels."""
_LOOKS = 5  # times that a mesh is drawn again at most, until it moves less than the next, in distances of the eyes
_SETTLED = 0.004
_ROUGHLY = 20  # steps by which what is only looked through is smoothed over
_LIPS = tuple(
    tuple(MIRROR[i] for i in half[:0:-1]) + half[::1]
    for half in (
        (0, 37, 39, 40, 185, 61), (13, 82, 81, 80, 191, 78), (14, 87, 178, 88, 95, 78), (17, 84, 181, 91, 146, 61)
    )
)  # fmt: skip
"""Lines of the lips from above: both rims of the upper lip, both of the lower."""
_PARTNER = np.array(MIRROR)
_CORNERS = {"right": (33, 133), "left": (362, 263)}  # the one further to the person's right first
_SMOOTHING = 2e-3  # of the warp, whose unit is the distance of the eyes: points of a mesh tremble
_FOLDED_AGAIN = 0.6  # share of its own width that is taken for it, from beside it
_FOLDED = 0.16  # half of the widest strip that is hidden on both sides of the middle, in distances of the eyes
_GAIN = 0.6  # most by which light may differ between the halves, log
_SKIN = 0.35  # how far tones of skin are from one another, log
_SHOULDER = 0.3  # what is left of contrast beyond the lights that are found around
_DARK = 0.06  # added before tones are divided, so that black does not count too much


@dataclass(frozen=True, kw_only=True)
class RebuiltPart:
    """A part of a face that was rebuilt, wholly or partly."""

    face: int
    """Which of the faces that were handed in."""
    name: str
    """For instance `left eye`; right and left are the person's."""
    region: Region
    """Rectangle around its new pixels."""
    pixels: int
    """How many there are."""


@dataclass(frozen=True, kw_only=True)
class RefusedPart:
    """A part of a face that stays as found."""

    face: int
    name: str
    region: Region
    """Rectangle around its hidden pixels."""
    mask: Mask
    """(h, w) of the region: its hidden pixels. Nothing that knows no faces should draw there."""
    reason: str
    """A sentence."""

    @property
    def pixels(self) -> int:
        """How many are hidden."""
        return int(np.count_nonzero(self.mask))


@dataclass(frozen=True, kw_only=True)
class Rebuilt:
    """New pixels of all faces, and what was refused."""

    patches: tuple[Patch, ...]
    """At most one a face, for `complete.pasted`."""
    parts: tuple[RebuiltPart, ...]
    refused: tuple[RefusedPart, ...]

    def done(self, height: int, width: int) -> Mask:
        """Which pixels of the picture are new, bool (height, width)."""
        made = np.zeros((height, width), np.bool_)
        for patch in self.patches:
            made[patch.region.top : patch.region.bottom, patch.region.left : patch.region.right] |= patch.mask
        return made


def find_hidden_faces(
    samples: Samples,
    mask: Mask,
    networks: FaceNetworks,
    *,
    picture: Sequence[int] | None = None,
    white: float | None = None,
    inverted: bool = False,
) -> tuple[Face, ...]:
    """Find the faces of a damaged picture: what is hidden is smoothed over first, then rebuilt and looked at again.

    `samples`: (h, w, c), uint8, uint16 or float; `mask`: bool (h, w), what is hidden; `picture`: the channels to look
    at, 1 or 3, by default all; `white`: code value of 1.0; `inverted`: 0 is white. Faces are in pixels of `samples`.
    Raise UsageError where the shapes do not fit.
    """
    tones = Tones.of(samples, mask, picture, white, inverted=inverted)
    small, hidden, scale = _reduced(samples, mask, tones)
    plain = Tones.of(small, hidden, None, 1.0, inverted=False)
    smooth = smoothed_over(small, hidden)
    found = find_faces(smooth, networks)
    for _ in range(_LOOKS if hidden.any() else 0):
        # A mesh on a face without an eye is drawn askew; with an eye in its place it finds its way.
        made = _rebuild(small, hidden, found, plain, tried=True)
        tried = find_faces(pasted(smooth, made.patches, np.zeros), networks)
        if not found or len(tried) < len(found):
            break
        step = max(min(_apart(face, other) for other in tried) for face in found)
        found = tried
        if step < _SETTLED:
            break
    return tuple(moved(face, scale=scale) for face in found)


def _reduced(samples: Samples, mask: Mask, tones: Tones) -> tuple[Floats, Mask, float]:
    """The light of what is seen, at most EDGE pixels long; what of it is hidden; pixels to one of it."""
    height, width = mask.shape
    reducer = PictureReducer(width, height, len(tones.channels) + 1, EDGE)
    for top in range(0, height, 256):
        rows = slice(top, top + 256)
        shown = (~mask[rows, :, None]).astype(np.float32)
        reducer.add(np.concatenate([np.clip(tones.light(samples[rows]), 0, 1) * shown, shown], axis=2))
    found = reducer.result()
    share = found[..., -1:]
    hidden = share[..., 0] < 0.5
    light = np.where(hidden[..., None], 0, found[..., :-1] / np.maximum(share, 0.5))
    return light.astype(np.float32), hidden, reducer.scale


def smoothed_over(light: Floats, hidden: Mask) -> Floats:
    """The picture (h, w, c) with what is hidden as smooth as can be."""
    return np.where(hidden[..., None], spread(light, ~hidden, hidden, steps=_ROUGHLY), light)


def rebuild(
    samples: Samples,
    mask: Mask,
    faces: Sequence[Face],
    *,
    picture: Sequence[int] | None = None,
    white: float | None = None,
    inverted: bool = False,
) -> Rebuilt:
    """Rebuild the masked parts of faces from their other halves.

    `samples`: (h, w, c), uint8, uint16 or float, an array or a memmap; `mask`: bool (h, w), what is hidden and too wide
    to be filled from its surroundings; `faces`: from `find_hidden_faces`; `picture`: the channels to rebuild, by
    default all; `white`: code value of 1.0, by default 255, 65535 or 1; `inverted`: 0 is white. Hidden pixels outside
    of the oval of a face are left to others. Raise UsageError where the shapes do not fit.
    """
    return _rebuild(samples, mask, faces, Tones.of(samples, mask, picture, white, inverted=inverted), tried=False)


def _rebuild(samples: Samples, mask: Mask, faces: Sequence[Face], tones: Tones, *, tried: bool) -> Rebuilt:
    """As `rebuild`; `tried`: only to be looked at, so that nothing is refused for what it looks like."""
    patches: list[Patch] = []
    rebuilt: list[RebuiltPart] = []
    refused: list[RefusedPart] = []
    taken = np.zeros(mask.shape, np.bool_)
    for number, face in enumerate(faces):
        frame = frame_of(np.array(face.mesh), *mask.shape)
        if frame is None:
            continue
        cut = (slice(frame.top, frame.bottom), slice(frame.left, frame.right))
        wanted = mask[cut] & ~taken[cut]
        work = _Work.of(face, frame, tones.light(samples[cut]), mask[cut], wanted) if wanted.any() else None
        if work is None:
            continue
        made, done, notes = work.rebuilt(tried=tried)
        for name, reason, pixels in notes:
            box = box_of(pixels, frame)
            if reason:
                cover = pixels[box.within(frame)]
                refused.append(RefusedPart(face=number, name=name, region=box, mask=cover, reason=reason))
            elif pixels.any():
                rebuilt.append(RebuiltPart(face=number, name=name, region=box, pixels=int(pixels.sum())))
        if done.any():
            patches.append(tones.patch(samples, made, done, frame))
            taken[cut] |= done
    return Rebuilt(patches=tuple(patches), parts=tuple(rebuilt), refused=tuple(refused))


@dataclass(frozen=True, kw_only=True)
class _Work:
    """One face and its surroundings; points are relative to the part that was cut out."""

    face: Face
    mesh: Points
    light: Floats
    """Smooth where it is hidden, so that nothing of the damage is ever copied."""
    hidden: Mask
    wanted: Mask
    scale: float
    """Distance of the eyes, pixels."""
    target: Points
    """(468, 2): where the points are, or should be where they are hidden."""
    parts: tuple[Part, ...]

    @classmethod
    def of(cls, face: Face, frame: Region, light: Floats, hidden: Mask, wanted: Mask) -> _Work | None:
        """None where nothing of the face is hidden."""
        face = moved(face, -frame.left, -frame.top)
        mesh = np.array(face.mesh)
        scale = eye_distance(mesh[:, :2])
        near = _grown(hidden, 0.04 * scale)
        columns, rows = np.floor(mesh[:, :2]).astype(int).T
        within = (rows >= 0) & (rows < hidden.shape[0]) & (columns >= 0) & (columns < hidden.shape[1])
        seen = within.copy()
        seen[within] = ~near[rows[within], columns[within]]
        target = np.where(seen[:, None], mesh, mirrored(mesh, seen))[:, :2]
        divided = parts(target, *hidden.shape)
        if not any((part.mask & wanted).any() for part in divided):
            return None
        return cls(
            face=face, mesh=mesh, light=smoothed_over(light, hidden), hidden=hidden, wanted=wanted, scale=scale,
            target=target, parts=divided,
        )  # fmt: skip

    def rebuilt(self, *, tried: bool) -> tuple[Floats, Mask, list[tuple[str, str, Mask]]]:
        """New samples; which are new; of each hidden part its name, why it is refused or "", its pixels."""
        hurt = [(part.name, part.mask & self.wanted) for part in self.parts if (part.mask & self.wanted).any()]
        whole = np.any([part.mask for part in self.parts], axis=0)
        general = "" if tried else self._refusal(float((self.hidden & whole).sum() / max(whole.sum(), 1)))
        nothing = np.zeros_like(self.hidden)
        if general:
            return self.light, nothing, [(name, general, pixels) for name, pixels in hurt]
        notes: list[tuple[str, str, Mask]] = []
        eyes = {}
        for side, other in (("right", "left"), ("left", "right")):
            eye = self._eye(other) if any(name == f"{side} eye" for name, _ in hurt) else None
            if eye is not None:
                eyes[side] = eye
        there, back = self._warp(eyes)
        usable = back & _grown(whole, 0.1 * self.scale)
        mouth = np.any([nothing, *(pixels for name, pixels in hurt if name.startswith("mouth"))], axis=0)
        narrow = nothing if tried else _stretched(there) > MOST_STRETCHED
        folded = self._fold(there, usable, mouth)
        usable |= folded
        copied = self._copied(there, eyes)
        accepted = nothing.copy()
        for name, pixels in hurt:
            # A mouth is rebuilt as one: half of another would be sewn to it.
            where = mouth if name.startswith("mouth") else pixels
            reason = "" if tried else self._part_refusal(name, where, usable, eyes)
            if reason:
                notes.append((name, reason, pixels))
            else:
                accepted |= pixels & usable
        unlike = nothing if tried else self._unlike(accepted, copied, usable, whole)
        for name, pixels in hurt:
            if any(name == noted for noted, _, _ in notes):
                continue
            mine = pixels & accepted
            if (mine & narrow).sum() > 0.5 * mine.sum():
                notes.append((name, "The other half is turned away and too narrow to show it.", pixels))
                accepted &= ~pixels
            elif (mine & unlike).sum() > 0.5 * mine.sum():
                notes.append((name, "The other half does not look like what is left around the hole.", pixels))
                accepted &= ~pixels
            else:
                notes.append((name, "", mine))
        made = self._joined(copied, accepted, usable, whole)
        return made, accepted, notes

    def _refusal(self, hidden: float) -> str:
        if np.ptp(self.mesh[:, 0]) < LEAST_FACE:
            return f"The face is {np.ptp(self.mesh[:, 0]):.0f} pixels wide; less than {LEAST_FACE} show too little."
        turn = abs(turned(self.mesh))
        if turn > MOST_TURNED:
            return f"The head is turned by {turn:.0f} degrees; beyond {MOST_TURNED:.0f} one half says too little."
        if hidden > MOST_HIDDEN:
            return f"{hidden:.0%} of the face is hidden, too much to know where its parts lie."
        return ""

    def _part_refusal(self, name: str, pixels: Mask, usable: Mask, eyes: dict[str, _EyeMove]) -> str:
        if (pixels & usable).sum() < (0.9 if name.startswith("mouth") else 0.6) * pixels.sum():
            return "Both halves of the face are hidden here."
        side = name.split()[0]
        if name.endswith("eye"):
            if side not in eyes:
                return "The other eye is hidden too, at least partly."
            if eyes[side].opening < LEAST_OPEN:
                return "The other eye is closed or lowered; whether this one was cannot be told."
        return ""

    def _eye(self, side: str) -> _EyeMove | None:
        """What the eye of `side` gives to the other; None where it is hidden itself."""
        eye = self.face.right_eye if side == "right" else self.face.left_eye
        points = np.array([*eye.contour, *eye.iris])[:, :2]
        at = np.floor(points).astype(int)
        high, wide = self.hidden.shape
        if (at < 0).any() or (at[:, 0] >= wide).any() or (at[:, 1] >= high).any():
            return None
        if self.hidden[at[:, 1], at[:, 0]].mean() > 0.1:
            return None
        other = "left" if side == "right" else "right"
        seen, rebuilt = (self.target[list(_CORNERS[which])] for which in (side, other))
        return _EyeMove.between(seen, rebuilt, np.array(eye.iris)[:, :2], eye.opening)

    def _warp(self, eyes: dict[str, _EyeMove]) -> tuple[Points, Mask]:
        """For each pixel the point of the other half that is copied to it, (h, w, 2), and whether it is to be seen."""
        to = [self.target]
        come = [self.target[_PARTNER]]
        for eye in eyes.values():
            if eye.opening >= LEAST_OPEN:
                to.append(eye.to)
                come.append(eye.come)
        middle, unit = self.target.mean(axis=0), self.scale
        plate = ThinPlate((np.concatenate(to) - middle) / unit, (np.concatenate(come) - middle) / unit, _SMOOTHING)
        high, wide = self.hidden.shape
        step = max(self.scale / 24, 1.0)
        columns, rows = np.arange(0, wide + 2 * step, step), np.arange(0, high + 2 * step, step)
        places = np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2)
        coarse = (plate((places - middle) / unit) * unit + middle).reshape(len(rows), len(columns), 2)
        x, y = np.meshgrid((np.arange(wide) + 0.5) / step, (np.arange(high) + 0.5) / step)
        there = cv2.remap(
            coarse.astype(np.float32), x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip
        blocked = _grown(self.hidden, 2).astype(np.float32)
        shown = cv2.remap(
            1 - blocked, there[..., 0] - 0.5, there[..., 1] - 0.5, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT
        )
        return there.astype(np.float64), shown > 0.98

    def _fold(self, there: Points, usable: Mask, wanted: Mask) -> Mask:
        """Find something for the strip in the middle that is hidden on both sides, in place; return where.

        The strip gets what lies beside it, stretched and folded over its edges, along the lines of the lips.
        """
        folded = np.zeros_like(usable)
        strip = wanted & ~usable
        if not strip.any():
            return folded
        axes = self._axes()
        high, wide = usable.shape
        y, x = np.mgrid[0:high, 0:wide] + 0.5
        middle = ((x - there[..., 0]) * axes[0, 0] + (y - there[..., 1]) * axes[0, 1]) / 2
        half = float(np.abs(middle[strip]).max()) + 2
        if half > _FOLDED * self.scale:
            return folded
        # Straight edges, and a rim to be joined to what lies outside.
        band = _grown(wanted, 4) & (np.abs(middle) <= half)
        rows, columns = np.nonzero(band)
        at, middle = np.column_stack([columns, rows]) + 0.5, middle[band]
        further = (half - np.abs(middle)) * (1 + _FOLDED_AGAIN)
        outward = np.where(middle >= 0, 1.0, -1.0)[:, None] * axes[0]
        beside = self._along_lips(at, at + further[:, None] * outward, axes)
        inside = _inside(beside, usable.shape)
        rows, columns, beside = rows[inside], columns[inside], beside[inside]
        cell = np.floor(beside).astype(int)
        shown = ~self.hidden[cell[:, 1], cell[:, 0]]
        mirrored_there = usable[cell[:, 1], cell[:, 0]]
        source = np.where(shown[:, None], beside, _at(there, beside))
        good = shown | mirrored_there
        there[rows[good], columns[good]] = source[good]
        folded[rows[good], columns[good]] = True
        return folded

    def _axes(self) -> Points:
        """Unit vectors across the face, from the right half to the left, and down it."""
        across = self.target[_CORNERS["left"][1]] - self.target[_CORNERS["right"][0]]
        across /= max(float(np.linalg.norm(across)), 1e-9)
        return np.array([across, [-across[1], across[0]]])

    def _along_lips(self, at: NDArray[Any], beside: NDArray[Any], axes: Points) -> Points:
        """Points moved up or down until they lie beside lips as the points they were taken for."""
        origin = self.target[_LIPS[1][5]]
        here, there = (at - origin) @ axes.T, (beside - origin) @ axes.T
        lips = [(self.target[list(line)] - origin) @ axes.T for line in _LIPS]
        lines = []
        for places in (here, there):
            heights = [np.interp(places[:, 0], *line[np.argsort(line[:, 0])].T) for line in lips]
            lines.append(np.maximum.accumulate(np.stack(heights, axis=1), axis=1))
        room = 0.25 * self.scale
        fixed = np.column_stack([lines[0][:, :1] - room, lines[0], lines[0][:, -1:] + room])
        moves = np.pad(lines[1] - lines[0], ((0, 0), (1, 1)))
        moved = there.copy()
        for low in range(fixed.shape[1] - 1):
            share = (here[:, 1] - fixed[:, low]) / np.maximum(fixed[:, low + 1] - fixed[:, low], 1e-6)
            between = (share >= 0) & (share <= 1)
            move = moves[:, low] * (1 - share) + moves[:, low + 1] * share
            moved[between, 1] = (here[:, 1] + move)[between]
        return np.asarray(moved @ axes + origin)

    def _copied(self, there: Points, eyes: dict[str, _EyeMove]) -> Floats:
        """The other half, (h, w, c); irises are not mirrored, since both eyes look to the same side."""
        copied = _sampled(self.light, there)
        high, wide = self.hidden.shape
        for eye in eyes.values():
            if eye.opening < LEAST_OPEN:
                continue
            y, x = np.mgrid[0:high, 0:wide] + 0.5
            away = np.stack([x, y], axis=-1) - eye.to[0]
            far = np.linalg.norm(away, axis=-1) / eye.radius
            inside = far < 1.2
            if not inside.any():
                continue
            plain = _sampled(self.light, eye.come[0] + away @ eye.turn)
            share = np.clip((0.95 - far) / 0.25, 0, 1)[..., None].astype(np.float32)
            copied = copied * (1 - share) + plain * share
        return copied

    def _unlike(self, accepted: Mask, copied: Floats, usable: Mask, whole: Mask) -> Mask:
        """Pixels in holes whose surroundings the other half does not resemble."""
        unlike = np.zeros_like(accepted)
        if not accepted.any():
            return unlike
        ours, theirs = self.light.mean(axis=2), copied.mean(axis=2)
        sound = usable & whole & ~self.hidden
        for hole in _groups(accepted):
            rim = _grown(hole, 0.15 * self.scale) & sound
            if rim.sum() < 30:
                continue
            if _alike(ours[rim], theirs[rim]) < LEAST_ALIKE:
                unlike |= hole
        return unlike

    def _joined(self, copied: Floats, accepted: Mask, usable: Mask, whole: Mask) -> Floats:
        """The copy, lit like its new surroundings and joined to them."""
        if not accepted.any():
            return self.light
        near = _grown(accepted, 0.5 * self.scale)
        rim = usable & whole & ~self.hidden & near
        ours, theirs = np.clip(self.light, 0, 1) + _DARK, np.clip(copied, 0, 1) + _DARK
        gain = np.zeros_like(copied)
        if rim.any():
            gain = np.clip(spread(self._gain(np.log(ours), np.log(theirs), rim), rim, near & ~rim), -_GAIN, _GAIN)
        lit = (theirs * np.exp(gain) - _DARK).astype(np.float32)
        if rim.any():
            # Light that is brought here makes nothing much lighter than what is found around.
            for channel in range(lit.shape[2]):
                plane, was = lit[..., channel], copied[..., channel]
                light = np.percentile(self.light[..., channel][rim], 95)
                held = np.where(plane > light, light + _SHOULDER * (plane - light), plane)
                lit[..., channel] = np.where(plane > was, np.maximum(held, np.minimum(was, plane)), plane)
        edge = (cv2.dilate(accepted.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0) & usable & ~self.hidden
        gap = mean_of(self.light - lit, ~self.hidden & usable, 0.012 * self.scale)
        apart = np.where(edge[..., None], gap, 0).astype(np.float32)
        lit += spread(apart, edge, accepted, reach=0.1 * self.scale)
        return np.where(accepted[..., None], lit, self.light).astype(np.float32)

    def _gain(self, ours: Floats, theirs: Floats, rim: Mask) -> Floats:
        """How much lighter this half is, log, smooth, from what both show as skin: features and hair count little."""
        sigma, ratio = 0.2 * self.scale, ours - theirs
        weight = rim.astype(np.float32)
        for tone in (ours.mean(axis=2), theirs.mean(axis=2)):
            weight *= np.exp(-(((tone - np.median(tone[rim])) / _SKIN) ** 2))
        first = weight[..., None]
        gain = weighted_mean(ratio, first, sigma)
        for _ in range(4):
            off = ((ratio - gain) ** 2).mean(axis=2, keepdims=True)
            gain = weighted_mean(ratio, first / (1 + off / 0.07**2), sigma)
        return gain


@dataclass(frozen=True, kw_only=True)
class _EyeMove:
    """How the iris of one eye becomes that of the other: moved, not mirrored."""

    to: Points
    """(5, 2): centre and rim in the eye that is rebuilt, mirrored in itself."""
    come: Points
    """(5, 2): the same in the eye that is seen."""
    turn: Points
    """(2, 2): by which a step from the centre there is multiplied (from the right) to give one here."""
    radius: float
    """Of the rebuilt iris, pixels."""
    opening: float

    @classmethod
    def between(cls, seen: Points, rebuilt: Points, iris: Points, opening: float) -> _EyeMove:
        """From the corners of both eyes, the one to the person's right first."""
        axes = []
        for first, second in (seen, rebuilt):
            along = second - first
            axes.append(np.array([along, [-along[1], along[0]]]))
        middles = seen.mean(axis=0), rebuilt.mean(axis=0)
        own = (iris - middles[0]) @ np.linalg.inv(axes[0])
        centre = own[0]
        flipped = np.column_stack([2 * centre[0] - own[:, 0], own[:, 1]])
        to = flipped @ axes[1] + middles[1]
        radius = float(np.linalg.norm(to[1:] - to[0], axis=1).mean())
        return cls(to=to, come=iris, turn=np.linalg.inv(axes[1]) @ axes[0], radius=max(radius, 1e-3), opening=opening)


def _groups(pixels: Mask) -> Iterator[Mask]:
    count, labels = cv2.connectedComponents(pixels.astype(np.uint8), connectivity=8)
    for number in range(1, count):
        yield labels == number


def _stretched(there: Points) -> Floats:
    """How many times as long what is copied becomes, in the direction where that is most; (h, w, 2) to (h, w)."""
    smooth = cv2.blur(there.astype(np.float32), (5, 5))
    down, across = np.gradient(smooth, axis=(0, 1))
    squares, cross = (across**2).sum(axis=2) + (down**2).sum(axis=2), (across * down).sum(axis=2)
    between = np.sqrt(((across**2).sum(axis=2) - (down**2).sum(axis=2)) ** 2 + 4 * cross**2)
    least = np.sqrt(np.maximum((squares - between) / 2, 1e-6))
    return np.asarray(1 / least, np.float32)


def _alike(one: Floats, other: Floats) -> float:
    """Correlation; 1 where one of them is even."""
    first, second = one - one.mean(), other - other.mean()
    spread_of = float(np.sqrt((first**2).mean() * (second**2).mean()))
    if min(float(first.std()), float(second.std())) < 0.02:
        return 1.0
    return float((first * second).mean()) / max(spread_of, 1e-9)


def _sampled(light: Floats, points: Points) -> Floats:
    """The picture (h, w, c) at points (h, w, 2)."""
    at = points.astype(np.float32) - np.float32(0.5)
    taken = cv2.remap(light, at[..., 0], at[..., 1], cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(taken, np.float32).reshape(*points.shape[:2], light.shape[2])


def _inside(points: Points, shape: tuple[int, ...]) -> Mask:
    return np.asarray((points >= 0).all(axis=1) & (points[:, 0] < shape[1]) & (points[:, 1] < shape[0]))


def _held(mask: Mask, points: Points) -> Mask:
    """Whether the mask holds the points (n, 2); what lies outside is not held."""
    inside = _inside(points, mask.shape)
    held = np.zeros(len(points), np.bool_)
    cell = np.floor(points[inside]).astype(int)
    held[inside] = mask[cell[:, 1], cell[:, 0]]
    return held


def _at(field: Points, points: Points) -> Points:
    """A field (h, w, 2) at points (n, 2)."""
    place = (points - 0.5).astype(np.float32)[None]
    taken = cv2.remap(
        field.astype(np.float32), place[..., 0], place[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(taken[0], np.float64)


def _grown(pixels: Mask, radius: float) -> Mask:
    """Pixels no further than this from one of them."""
    if not pixels.any():
        return pixels.copy()
    away = cv2.distanceTransform((~pixels).astype(np.uint8), cv2.DIST_L2, 5)
    return np.asarray(away <= max(radius, 1.0))


def _apart(one: Face, other: Face) -> float:
    """Mean distance of the points of two meshes, in distances of the eyes."""
    first, second = np.array(one.mesh)[:, :2], np.array(other.mesh)[:, :2]
    return float(np.linalg.norm(first - second, axis=1).mean()) / max(eye_distance(first), 1e-6)
