"""Global ageing: what time, the copy and the scan did to all of the picture alike.

Before the marks: toning, fading, yellowing, uneven light, softness, grain, a printer's screen. After them: the
scanner's noise and JPEG, the same for the clean and the damaged picture.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from archive_restore.imaging.simulator.noise import Plane, field, fine, white
from archive_restore.imaging.simulator.settings import Ageing

_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)


def luma_of(picture: Plane) -> Plane:
    """Rec. 709 luma (h, w) of (h, w, 1) or (h, w, 3)."""
    if picture.shape[2] == 1:
        return np.ascontiguousarray(picture[:, :, 0])
    return np.asarray(cv2.transform(picture, _LUMA[None]), np.float32).reshape(picture.shape[:2])


def _as3(picture: Plane) -> Plane:
    """cv2 drops an axis of length one: put it back."""
    return picture if picture.ndim == 3 else picture[:, :, None]


def age(picture: Plane, ageing: Ageing, dpi: float, rng: np.random.Generator) -> Plane:
    """The picture as it would be found undamaged: float32 (h, w, c) in [0, 1]."""
    out = picture
    if ageing.blur > 0:
        sigma = 2.0 * ageing.blur * float(rng.random()) ** 2
        if sigma > 0.25:
            out = _as3(cv2.GaussianBlur(out, (0, 0), sigma))
    toned = picture.shape[2] == 3 and rng.random() < ageing.toned
    if toned or ageing.fading > 0:
        curves = _tone(rng) if toned else np.repeat(_LEVELS[:, None], picture.shape[2], 1)
        if ageing.fading > 0:
            curves = _faded(curves, ageing.fading, rng)
        out = _through(luma_of(out)[:, :, None] if toned else out, curves)
    if ageing.yellowing > 0 and picture.shape[2] == 3:
        out = _yellowed(out, ageing.yellowing * float(rng.random()), rng)
    if ageing.illumination > 0:
        out = _lit(out, ageing.illumination * float(rng.random()), rng)
    if rng.random() < ageing.halftone:
        out = _screened(out, dpi, rng)
    if ageing.grain > 0:
        out = _grained(out, 0.075 * ageing.grain * float(rng.random()) ** 1.5, rng)
    return np.clip(out, 0, 1, out=out if out is not picture else None)


def scan(clean: Plane, damaged: Plane, ageing: Ageing, rng: np.random.Generator) -> tuple[Plane, Plane]:
    """The same noise and the same coding over both pictures."""
    if ageing.noise > 0:
        sigma = 0.02 * ageing.noise * float(rng.random())
        noise = white(rng, clean.shape[:2])[:, :, None] * np.float32(sigma)
        if clean.shape[2] == 3:
            noise = noise + white(rng, clean.shape) * np.float32(0.4 * sigma)
        clean, damaged = np.clip(clean + noise, 0, 1), np.clip(damaged + noise, 0, 1)
    if rng.random() < ageing.jpeg:
        quality = int(rng.integers(ageing.jpeg_quality[0], ageing.jpeg_quality[1] + 1))
        clean, damaged = _coded(clean, quality), _coded(damaged, quality)
    return clean, damaged


_LEVELS = np.linspace(0, 1, 4097)


def _tone(rng: np.random.Generator) -> NDArray[np.float64]:
    """Curves (levels, 3) of a toned print: each channel another power of the luma, so black and white stay."""
    warm = float(rng.normal(0.15, 0.11)) if rng.random() < 0.94 else float(rng.uniform(-0.5, -0.2))  # rarely blue
    powers = (1 - 0.7 * warm, 1.0 + float(rng.normal(0, 0.02)), 1 + 1.3 * warm)
    return np.stack([_LEVELS ** max(p, 0.3) for p in powers], 1)


def _faded(curves: NDArray[np.float64], strength: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Contrast lost at both ends; in colour each dye at its own pace."""
    channels = curves.shape[1]
    each = 0.35 if channels == 3 else 0.0
    low = strength * (0.28 * rng.random() ** 1.5 + each * 0.12 * rng.random(channels))
    high = 1 - strength * (0.3 * rng.random() ** 1.5 + each * 0.15 * rng.random(channels))
    gamma = np.exp(strength * (0.3 * rng.normal() + each * 0.2 * rng.normal(size=channels)))
    return np.asarray(curves**gamma * (high - low) + low)


def _through(picture: Plane, curves: NDArray[np.float64]) -> Plane:
    """Look up each channel (or the only one, for each curve) in its curve of 4097 levels."""
    index = np.rint(picture * np.float32(len(curves) - 1)).astype(np.int16)
    out = np.empty((*picture.shape[:2], curves.shape[1]), np.float32)
    for channel, curve in enumerate(curves.T.astype(np.float32)):
        np.take(curve, index[:, :, channel if picture.shape[2] > 1 else 0], out=out[:, :, channel], mode="clip")
    return out


def _yellowed(picture: Plane, amount: float, rng: np.random.Generator) -> Plane:
    tint = np.array([0.04, 0.13, 0.42], np.float32) * np.float32(amount)
    uneven = 1 + np.float32(0.35) * field(rng, picture.shape[:2], max(picture.shape[:2]) / 2.0)
    return np.asarray(picture * (1 - uneven[:, :, None] * tint))


def _lit(picture: Plane, amount: float, rng: np.random.Generator) -> Plane:
    height, width = picture.shape[:2]
    gain = 1 + np.float32(0.16 * amount) * field(
        rng, (height, width), max(height, width) / float(rng.uniform(0.7, 2.5))
    )
    x = np.linspace(-1, 1, width, dtype=np.float32) + np.float32(rng.normal(0, 0.5))
    y = np.linspace(-1, 1, height, dtype=np.float32) + np.float32(rng.normal(0, 0.5))
    gain -= np.float32(0.18 * amount * rng.random()) * (x[None, :] ** 2 + y[:, None] ** 2)
    return np.asarray(picture * np.clip(gain, 0.3, 1.3)[:, :, None])


def _grained(picture: Plane, sigma: float, rng: np.random.Generator) -> Plane:
    """Strongest in the middle tones (Selwyn: variance with the number of grains); one pattern for all channels."""
    if sigma < 0.002:
        return picture
    grain = fine(rng, picture.shape[:2], float(rng.uniform(0.0, 1.3)))
    luma = luma_of(picture)
    grain *= np.float32(sigma) * (np.float32(0.35) + np.float32(2.6) * luma * (1 - luma))
    return picture + grain[:, :, None]


def _screened(picture: Plane, dpi: float, rng: np.random.Generator) -> Plane:
    """A printer's screen, 65 to 150 lines an inch, as far as the scan resolves it."""
    period = dpi / float(rng.uniform(65, 150))
    if not 2.2 <= period <= 14:
        return picture
    height, width = picture.shape[:2]
    tilt = float(rng.choice([np.pi / 4, np.pi / 12, 0.0]))
    x, y = np.arange(width, dtype=np.float32)[None, :], np.arange(height, dtype=np.float32)[:, None]
    k = np.float32(2 * np.pi / period)
    u = k * (x * np.float32(np.cos(tilt)) + y * np.float32(np.sin(tilt)))
    v = k * (y * np.float32(np.cos(tilt)) - x * np.float32(np.sin(tilt)))
    screen = (0.5 + 0.25 * (np.cos(u) + np.cos(v))).astype(np.float32)
    dots = 1 / (1 + np.exp((screen[:, :, None] - picture) * np.float32(14)))
    dots = _as3(cv2.GaussianBlur(dots, (0, 0), max(0.16 * period, 0.5)))
    share = np.float32(rng.uniform(0.4, 1.0))
    return np.asarray(picture * (1 - share) + dots * share)


def _coded(picture: Plane, quality: int) -> Plane:
    """Through JPEG at a quality, 8-bit."""
    samples = np.rint(picture * 255).astype(np.uint8)
    if samples.shape[2] == 3:
        samples = cv2.cvtColor(samples, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", samples, [cv2.IMWRITE_JPEG_QUALITY, quality])
    read = np.asarray(cv2.imdecode(data, cv2.IMREAD_UNCHANGED))
    if read.ndim == 3:
        read = cv2.cvtColor(read, cv2.COLOR_BGR2RGB)
    return _as3(np.asarray(read, np.float32) * np.float32(1 / 255))
