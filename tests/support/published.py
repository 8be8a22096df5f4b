"""Pictures as they are met outside: re-encoded, cropped, turned, graded, photographed from a screen, and changed.

Every scenario takes a picture, uint8 (h, w, 3), and a seed, and gives one; what was changed on purpose is told.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Published:
    """A picture as it was found."""

    picture: Picture
    changed: npt.NDArray[np.bool_]
    """(h, w): pixels that were changed on purpose."""


Change = Callable[[Published, np.random.Generator], Published]


def begun(picture: Picture) -> Published:
    """The picture as it left the archive."""
    return Published(picture=picture, changed=np.zeros(picture.shape[:2], bool))


def _tone(work: Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]) -> Change:
    def change(of: Published, _: np.random.Generator) -> Published:
        values = work(of.picture.astype(np.float32) / 255)
        return Published(picture=np.clip(np.rint(values * 255), 0, 255).astype(np.uint8), changed=of.changed)

    return change


def _warp(of: Published, matrix: npt.NDArray[np.float64], width: int, height: int) -> Published:
    picture = cv2.warpAffine(of.picture, matrix, (width, height), flags=cv2.INTER_CUBIC)
    mask = cv2.warpAffine(of.changed.astype(np.uint8) * 255, matrix, (width, height), flags=cv2.INTER_LINEAR)
    return Published(picture=picture, changed=mask > 127)


def jpeg(quality: int, subsampling: int = 2) -> Change:
    """Re-encoded."""

    def change(of: Published, _: np.random.Generator) -> Published:
        out = io.BytesIO()
        Image.fromarray(of.picture).save(out, "JPEG", quality=quality, subsampling=subsampling)
        return Published(picture=np.asarray(Image.open(out).convert("RGB")), changed=of.changed)

    return change


def webp(quality: int) -> Change:
    """Re-encoded by another codec."""

    def change(of: Published, _: np.random.Generator) -> Published:
        out = io.BytesIO()
        Image.fromarray(of.picture).save(out, "WEBP", quality=quality)
        return Published(picture=np.asarray(Image.open(out).convert("RGB")), changed=of.changed)

    return change


def resize(factor: float, how: Image.Resampling = Image.Resampling.LANCZOS, stretch: float = 1.0) -> Change:
    """Scaled; with `stretch` wider by it."""

    def change(of: Published, _: np.random.Generator) -> Published:
        height, width = of.picture.shape[:2]
        size = (max(1, round(width * factor * stretch)), max(1, round(height * factor)))
        picture = np.asarray(Image.fromarray(of.picture).resize(size, how))
        mask = np.asarray(Image.fromarray(of.changed.astype(np.uint8) * 255).resize(size, Image.Resampling.BILINEAR))
        return Published(picture=picture, changed=mask > 127)

    return change


def crop(share: float) -> Change:
    """Cut: `share` of the area goes, from random sides."""

    def change(of: Published, rng: np.random.Generator) -> Published:
        height, width = of.picture.shape[:2]
        keep = float(np.sqrt(1 - share))
        new_h, new_w = round(height * keep), round(width * keep)
        top, left = int(rng.integers(0, height - new_h + 1)), int(rng.integers(0, width - new_w + 1))
        place = (slice(top, top + new_h), slice(left, left + new_w))
        return Published(picture=of.picture[place].copy(), changed=of.changed[place].copy())

    return change


def mirror(of: Published, _: np.random.Generator) -> Published:
    """Mirrored left to right."""
    return Published(picture=of.picture[:, ::-1].copy(), changed=of.changed[:, ::-1].copy())


def quarter(turns: int) -> Change:
    """Turned by right angles."""

    def change(of: Published, _: np.random.Generator) -> Published:
        return Published(picture=np.rot90(of.picture, turns).copy(), changed=np.rot90(of.changed, turns).copy())

    return change


def rotate(degrees: float) -> Change:
    """Turned a little and cut to the largest upright rectangle of the same shape that holds no corner."""

    def change(of: Published, _: np.random.Generator) -> Published:
        height, width = of.picture.shape[:2]
        angle = np.radians(abs(degrees))
        ratio = max(width / height, height / width)
        keep = 1 / (np.cos(angle) + ratio * np.sin(angle))
        new_w, new_h = int(width * keep), int(height * keep)
        matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1.0)
        matrix[:, 2] += ((new_w - width) / 2, (new_h - height) / 2)
        return _warp(of, matrix, new_w, new_h)

    return change


def letterbox(share: float, value: int = 0, sides: bool = False) -> Change:
    """Bars above and below, or at the sides, of `share` of the height or width."""

    def change(of: Published, _: np.random.Generator) -> Published:
        height, width = of.picture.shape[:2]
        bar = round((width if sides else height) * share)
        pads = ((0, 0), (bar, bar)) if sides else ((bar, bar), (0, 0))
        picture = np.pad(of.picture, (*pads, (0, 0)), constant_values=value)
        return Published(picture=picture, changed=np.pad(of.changed, pads))

    return change


def screenshot(factor: float, gamma: float) -> Change:
    """Scaled by a browser, in a window with bars of a page around it, on a screen with another gamma."""

    def change(of: Published, rng: np.random.Generator) -> Published:
        scaled = resize(factor, Image.Resampling.BILINEAR)(of, rng)
        graded = tone_gamma(gamma)(scaled, rng)
        height, width = graded.picture.shape[:2]
        top, left, bottom, right = (int(rng.integers(12, 90)) for _ in range(4))
        page = np.full((height + top + bottom, width + left + right, 3), (246, 246, 248), np.uint8)
        page[: top // 2] = (58, 60, 66)
        cv2.putText(page, "Old photographs - Browser", (left, top // 3 + 4), 0, 0.4, (240, 240, 240), 1, cv2.LINE_AA)
        cv2.putText(page, "12 comments", (left, height + top + bottom // 2), 0, 0.4, (40, 40, 40), 1, cv2.LINE_AA)
        page[top : top + height, left : left + width] = graded.picture
        changed = np.zeros(page.shape[:2], bool)
        changed[top : top + height, left : left + width] = graded.changed
        return Published(picture=page, changed=changed)

    return change


def tone_gamma(gamma: float) -> Change:
    """Another gamma."""
    return _tone(lambda values: np.asarray(values**gamma, np.float32))


def contrast(gain: float, lift: float = 0.0) -> Change:
    """More or less contrast; clips."""
    return _tone(lambda values: np.asarray((values - 0.5) * gain + 0.5 + lift, np.float32))


def curve(strength: float) -> Change:
    """An S-curve."""
    return _tone(lambda v: np.asarray(v + strength * np.sin(2 * np.pi * (v - 0.5)) / (2 * np.pi), np.float32))


def warm(amount: float) -> Change:
    """Warmer or colder."""
    return _tone(lambda v: np.asarray(v * np.array([1 + amount, 1, 1 - amount], np.float32), np.float32))


def saturate(amount: float) -> Change:
    """More or less colour."""
    luma = np.array([0.299, 0.587, 0.114], np.float32)
    return _tone(lambda v: np.asarray((v @ luma)[..., None] * (1 - amount) + v * amount, np.float32))


def sepia(of: Published, rng: np.random.Generator) -> Published:
    """Gray, then brown."""
    gray = saturate(0.0)(of, rng)
    return _tone(lambda v: np.asarray(v * np.array([1.07, 0.97, 0.8], np.float32), np.float32))(gray, rng)


def blur(sigma: float) -> Change:
    """Softer."""

    def change(of: Published, _: np.random.Generator) -> Published:
        return Published(picture=cv2.GaussianBlur(of.picture, (0, 0), sigma), changed=of.changed)

    return change


def sharpen(amount: float) -> Change:
    """Sharper, as a phone does it."""

    def change(of: Published, _: np.random.Generator) -> Published:
        soft = cv2.GaussianBlur(of.picture, (0, 0), 1.2)
        return Published(picture=cv2.addWeighted(of.picture, 1 + amount, soft, -amount, 0), changed=of.changed)

    return change


def grain(sigma: float) -> Change:
    """Noise."""

    def change(of: Published, rng: np.random.Generator) -> Published:
        noisy = of.picture + rng.normal(0, sigma, of.picture.shape)
        return Published(picture=np.clip(np.rint(noisy), 0, 255).astype(np.uint8), changed=of.changed)

    return change


# --- changes of content ------------------------------------------------------------------------------


def _changed(of: Published, picture: Picture) -> Published:
    departs = np.abs(picture.astype(np.int16) - of.picture).max(axis=2) > 6
    return Published(picture=picture, changed=of.changed | departs)


def logo(share: float = 0.02, opacity: float = 1.0) -> Change:
    """A broadcaster's mark in a corner; `share` of the area."""

    def change(of: Published, rng: np.random.Generator) -> Published:
        height, width = of.picture.shape[:2]
        edge = round(np.sqrt(height * width * share))
        top = int(rng.choice([height // 30, height - height // 30 - edge]))
        left = int(rng.choice([width // 30, width - width // 30 - edge]))
        over = of.picture.copy()
        center, radius = (left + edge // 2, top + edge // 2), edge // 2
        cv2.circle(over, center, radius, (200, 30, 40), -1, cv2.LINE_AA)
        cv2.circle(over, center, round(radius * 0.72), (250, 250, 250), max(1, radius // 8), cv2.LINE_AA)
        scale = radius / 24
        cv2.putText(over, "TV", (center[0] - round(17 * scale), center[1] + round(9 * scale)), 0, scale * 0.9,
                    (250, 250, 250), max(1, round(scale * 2)), cv2.LINE_AA)  # fmt: skip
        return _changed(of, cv2.addWeighted(over, opacity, of.picture, 1 - opacity, 0))

    return change


def caption(share: float = 0.05, text: str = "Somewhere, about 1936") -> Change:
    """Words over the lower part; `share` of the height, of either lightness."""

    def change(of: Published, rng: np.random.Generator) -> Published:
        height, width = of.picture.shape[:2]
        scale = max(0.35, height * share / 30)
        place = (round(width * 0.06), round(height * float(rng.uniform(0.2, 0.94))))
        over = of.picture.copy()
        cv2.putText(over, text, place, 0, scale, (0, 0, 0), max(2, round(scale * 3.5)), cv2.LINE_AA)
        cv2.putText(over, text, place, 0, scale, (255, 255, 255), max(1, round(scale * 1.5)), cv2.LINE_AA)
        return _changed(of, over)

    return change


def _busy_place(of: Published, rng: np.random.Generator, share: float) -> tuple[int, int, int]:
    """top, left and edge of a square with detail in it."""
    height, width = of.picture.shape[:2]
    edge = max(12, round(np.sqrt(height * width * share)))
    gray = of.picture.mean(axis=2).astype(np.float32)
    places = [(int(rng.integers(0, height - edge)), int(rng.integers(0, width - edge))) for _ in range(24)]
    places.sort(key=lambda place: -float(gray[place[0] : place[0] + edge, place[1] : place[1] + edge].std()))
    return (*places[int(rng.integers(0, 6))], edge)


def _feathered(edge: int) -> npt.NDArray[np.float32]:
    y, x = np.mgrid[0:edge, 0:edge].astype(np.float32)
    radius = np.hypot((x - edge / 2 + 0.5) / (edge / 2), (y - edge / 2 + 0.5) / (edge / 2))
    return np.clip((1 - radius) / 0.25, 0, 1)[:, :, None]


def _blended(of: Published, top: int, left: int, patch: npt.NDArray[np.float32]) -> Published:
    """A patch with soft edges, in the mean tone of what it covers."""
    edge = patch.shape[0]
    over = of.picture.copy()
    before = over[top : top + edge, left : left + edge].astype(np.float32)
    patch = patch - patch.mean(axis=(0, 1)) + before.mean(axis=(0, 1))
    soft = _feathered(edge)
    over[top : top + edge, left : left + edge] = np.clip(np.rint(before * (1 - soft) + patch * soft), 0, 255)
    return _changed(of, over)


def swap(donor: Picture, share: float = 0.02) -> Change:
    """A region, such as a face, in place of another, with soft edges and in its tone."""

    def change(of: Published, rng: np.random.Generator) -> Published:
        top, left, edge = _busy_place(of, rng, share)
        patch = cv2.resize(donor, (edge, edge), interpolation=cv2.INTER_AREA).astype(np.float32)
        if np.ptp(of.picture.reshape(-1, 3)[::97], axis=1).max() < 24:
            patch = np.repeat(patch.mean(axis=2, keepdims=True), 3, axis=2)
        return _blended(of, top, left, patch)

    return change


def clone(share: float = 0.02) -> Change:
    """A piece of the picture copied over another piece of it, with soft edges."""

    def change(of: Published, rng: np.random.Generator) -> Published:
        top, left, edge = _busy_place(of, rng, share)
        height, width = of.picture.shape[:2]
        from_top, from_left = int(rng.integers(0, height - edge)), int(rng.integers(0, width - edge))
        while abs(from_top - top) < edge and abs(from_left - left) < edge:
            from_top, from_left = int(rng.integers(0, height - edge)), int(rng.integers(0, width - edge))
        patch = of.picture[from_top : from_top + edge, from_left : from_left + edge].astype(np.float32)
        return _blended(of, top, left, patch)

    return change


def erase(share: float = 0.02) -> Change:
    """Something taken out and filled from its surroundings."""

    def change(of: Published, rng: np.random.Generator) -> Published:
        top, left, edge = _busy_place(of, rng, share)
        mask = np.zeros(of.picture.shape[:2], np.uint8)
        cv2.ellipse(mask, (left + edge // 2, top + edge // 2), (edge // 2, edge // 2), 0, 0, 360, 255, -1)
        filled = cv2.inpaint(np.ascontiguousarray(of.picture), mask, 5, cv2.INPAINT_TELEA)
        return _changed(of, filled)

    return change


def recolour(share: float = 0.03) -> Change:
    """A region with another colour and the same luminance, nearly."""

    def change(of: Published, rng: np.random.Generator) -> Published:
        top, left, edge = _busy_place(of, rng, share)
        over = of.picture.copy()
        before = over[top : top + edge, left : left + edge].astype(np.float32)
        shift = np.array([45.0, -14.0, -45.0], np.float32)
        soft = _feathered(edge)
        over[top : top + edge, left : left + edge] = np.clip(np.rint(before + shift * soft), 0, 255)
        return _changed(of, over)

    return change
