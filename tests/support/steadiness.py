"""How steadily texture moves: what flickers beyond its own motion, and how its sharpness sways from frame to frame."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from archive_restore.imaging.camera import Window, travelled
from archive_restore.imaging.clip import Clip
from archive_restore.ports import MOTION_CELL, MotionFrame, MotionSource

Bytes = NDArray[np.uint8]
Gray = NDArray[np.float64]
EDGE = 24  # pixels at the border that are not looked at
STEP = (0.06, 0.042)
"""Pixels a frame across and down: slow, so that a pixel takes many frames to cross to the next."""
_START = 0.017


class Drift(MotionSource):
    """A whole picture that moves by STEP."""

    frames, kinds = 128, ("rest", "drift")

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._shape = -(-shape[0] // MOTION_CELL), -(-shape[1] // MOTION_CELL)

    def at(self, frame: int) -> MotionFrame:
        flow = np.full((*self._shape, 2), moved(frame), np.float32)
        return MotionFrame(flow=flow, alpha=np.ones(self._shape, np.float32), kind=np.ones(self._shape, np.uint8))


def moved(frame: int) -> tuple[float, float]:
    return STEP[0] * frame + _START, STEP[1] * frame + _START


def ways(picture: Bytes) -> dict[str, Callable[[int], Gray]]:
    """Frames of a drifting picture, uint8 (h, w, 3), rendered by us, by others, and as they should be; green only."""
    shape = picture.shape[:2]
    window = Window(left=0, top=0, width=shape[1], height=shape[0])
    clip = Clip(picture, np.zeros(shape, np.uint8), shape, Drift(shape), lambda _: window, count=Drift.frames, rate=24,
                loops=False)  # fmt: skip
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    spectrum = np.fft.fft2(picture[..., 1])
    down, across = np.fft.fftfreq(shape[0])[:, None], np.fft.fftfreq(shape[1])[None]

    def ideal(frame: int) -> Gray:
        dx, dy = moved(frame)
        turned = spectrum * np.exp(2j * np.pi * (across * dx + down * dy))
        return np.rint(np.clip(np.fft.ifft2(turned).real, 0, 255))

    def warped(how: int, whole: bool) -> Callable[[int], Gray]:
        def frame(index: int) -> Gray:
            dx, dy = (round(step) if whole else step for step in moved(index))
            return cv2.remap(picture, x + np.float32(dx), y + np.float32(dy), how)[..., 1].astype(np.float64)

        return frame

    return {
        "ours": lambda frame: clip.frame(frame).samples[..., 1].astype(np.float64),
        "bilinear": warped(cv2.INTER_LINEAR, whole=False),
        "whole pixels": warped(cv2.INTER_NEAREST, whole=True),
        "ideal": ideal,
    }


def shimmer(render: Callable[[int], Gray]) -> tuple[float, float]:
    """Energy above what the motion itself can bring, squared code values a pixel; and the sway of sharpness, 0..1.

    A pixel that texture of at most half a cycle a pixel drifts over changes with half of the speed in cycles a frame.
    """
    count = Drift.frames
    inside = slice(EDGE, -EDGE), slice(EDGE, -EDGE)
    frames = np.stack([render(index)[inside] for index in range(count)])
    window = np.hanning(count)[:, None, None]
    power = np.abs(np.fft.rfft((frames - frames.mean(axis=0)) * window, axis=0)) ** 2
    above = np.fft.rfftfreq(count) > sum(STEP) / 2 + 4 / count  # the window widens every line
    energy = 2 * power[above].sum() / (count * frames[0].size * float((window**2).sum()))
    sharp = np.array([(np.diff(frame, axis=1) ** 2).mean() + (np.diff(frame, axis=0) ** 2).mean() for frame in frames])
    return float(energy), float(sharp.std() / sharp.mean())


def zoom_error(picture: Bytes, size: tuple[int, int], first: float, last: float, count: int) -> tuple[float, float]:
    """PSNR of the worst frame of a zoom from `first` to `last` pixels of the still a pixel, against Pillow's Lanczos
    filter, dB; and what flickers beyond it: the mean square of the second difference in time, squared code values."""
    middle = picture.shape[1] / 2, picture.shape[0] / 2
    ends = [
        Window(left=middle[0] - scale * size[1] / 2, top=middle[1] - scale * size[0] / 2, width=scale * size[1],
               height=scale * size[0])
        for scale in (first, last)
    ]  # fmt: skip

    def path(index: int) -> Window:
        return travelled(ends[0], ends[1], index / (count - 1))

    clip = Clip(picture, np.zeros(picture.shape[:2], np.uint8), size, None, path, count=count, rate=24, loops=False)
    errors, still = [], Image.fromarray(picture)
    for index in range(count):
        window = path(index)
        box = (window.left, window.top, window.left + window.width, window.top + window.height)
        meant = np.asarray(still.resize(size[::-1], Image.Resampling.LANCZOS, box=box), np.float64)
        errors.append((clip.frame(index).samples - meant)[4:-4, 4:-4])
    worst = max(float((error**2).mean()) for error in errors)
    flicker = np.diff(np.stack(errors), n=2, axis=0)
    return float(10 * np.log10(255**2 / worst)), float((flicker**2).mean())
