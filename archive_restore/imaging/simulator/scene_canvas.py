"""The scene that hard negatives are drawn into: tones of the picture, its light, its blur."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from archive_restore.imaging.simulator.noise import Path, Plane, field, smoothstep
from archive_restore.imaging.simulator.sheet import Sheet


@dataclass(kw_only=True)
class Scene:
    """A picture being composed."""

    picture: Plane
    """float32 (h, w, c), changed in place."""
    luma: Plane
    """Of the picture as it was, (h, w)."""
    blur: float
    """Gaussian sigma in px of the picture's edges."""
    levels: tuple[float, ...]
    """Luma at the 2nd, 10th, 50th, 90th and 98th percentile."""
    light: float
    """Where the light comes from, radians in the picture plane."""
    rng: np.random.Generator

    @property
    def height(self) -> int:
        """In px."""
        return int(self.picture.shape[0])

    @property
    def width(self) -> int:
        """In px."""
        return int(self.picture.shape[1])

    def sheet(self) -> Sheet:
        """An empty sheet of the picture's size."""
        return Sheet(self.height, self.width)

    def place(self) -> Path:
        """A random point (2,) px."""
        return self.rng.uniform([0, 0], [self.width, self.height])

    def anchor(self) -> Path:
        """A point (2,) px on an object: of several random ones, that with the strongest edge next to it."""
        rows = self.rng.integers(0, self.height, 24)
        columns = self.rng.integers(0, self.width, 24)
        left, right = np.maximum(columns - 3, 0), np.minimum(columns + 3, self.width - 1)
        up, down = np.maximum(rows - 3, 0), np.minimum(rows + 3, self.height - 1)
        edge = np.abs(self.luma[rows, right] - self.luma[rows, left])
        edge += np.abs(self.luma[down, columns] - self.luma[up, columns])
        best = int(np.argmax(edge))
        return np.array([columns[best] + 0.5, rows[best] + 0.5])

    def thickness(self, least: float = 0.7, most: float = 5.0) -> float:
        """A random thickness in px, thin ones likelier."""
        return float(np.exp(self.rng.uniform(np.log(least), np.log(most))))

    def is_light(self, at: Path | None = None) -> bool:
        """Whether a thing is lighter than what is behind it: mostly what stands out."""
        if at is None:
            return bool(self.rng.random() < 0.5)
        x, y = int(np.clip(at[0], 0, self.width - 1)), int(np.clip(at[1], 0, self.height - 1))
        behind = float(self.luma[y, x])
        return bool((behind < self.levels[2]) != (self.rng.random() < 0.15))

    def tone(self, light: bool) -> Plane:
        """A tone of the picture's own, (c,): its colour is that of some pixel near in luma."""
        low, high = (self.levels[3], self.levels[4] + 0.03) if light else (self.levels[0] - 0.02, self.levels[1])
        if self.rng.random() < 0.3:
            low, high = self.levels[1], self.levels[3]
        target = float(np.clip(self.rng.uniform(low, high), 0, 1))
        if self.picture.shape[2] == 1:
            return np.array([target], np.float32)
        rows, columns = self.rng.integers(0, self.height, 24), self.rng.integers(0, self.width, 24)
        best = int(np.argmin(np.abs(self.luma[rows, columns] - target)))
        gain = target / max(float(self.luma[rows[best], columns[best]]), 0.05)
        return np.asarray(np.clip(self.picture[rows[best], columns[best]] * np.float32(gain), 0, 1), np.float32)

    def draw(self, sheet: Sheet, tone: Plane, *, hidden: bool = False, even: bool = False) -> None:
        """Put a sheet of one tone into the scene: lit unevenly, behind things when `hidden`, blurred by the lens."""
        drawn = sheet.render()
        if drawn is None:
            return
        alpha, window = drawn
        alpha = cv2.GaussianBlur(alpha, (0, 0), self.blur)
        if hidden:
            alpha = alpha * self.in_front(window, bool(tone.mean() < 0.5 * (self.levels[2] + self.levels[3])))
        self.cover(alpha, window, tone, even=even)

    def in_front(self, window: tuple[slice, slice], bright_only: bool) -> Plane:
        """A soft mask of the parts that a thing is seen against: only bright ones (sky), or only dark ones."""
        smooth = cv2.blur(self.luma[window], (5, 5))
        middle = self.levels[2]
        return (
            smoothstep(middle - 0.06, middle + 0.02, smooth)
            if bright_only
            else smoothstep(middle + 0.06, middle - 0.02, smooth)
        )

    def cover(self, alpha: Plane, window: tuple[slice, slice], tone: Plane, *, even: bool = False) -> None:
        """Blend a tone, (c,) or (h, w, c) of the window, in the light of the scene and with its grain."""
        before = self.picture[window]
        shade = np.ones(alpha.shape, np.float32)
        if not even:
            shade += np.float32(0.12) * field(self.rng, alpha.shape, float(self.rng.uniform(12, 60)))
        grain = self.luma[window] - cv2.GaussianBlur(self.luma[window], (0, 0), 1.0)
        limit = np.float32(0.03)
        body = tone * shade[:, :, None] + np.clip(grain, -limit, limit)[:, :, None]
        self.picture[window] = before + (body - before) * alpha[:, :, None]

    def shadow(self, alpha: Plane, window: tuple[slice, slice], depth: float) -> None:
        """Darken by a soft mask."""
        self.picture[window] *= 1 - np.float32(depth) * alpha[:, :, None]

    def window(self, centre: Path, reach: float) -> tuple[slice, slice] | None:
        """Rows and columns within reach; None when nothing of it lies inside."""
        x0, x1 = max(int(centre[0] - reach), 0), min(int(centre[0] + reach) + 1, self.width)
        y0, y1 = max(int(centre[1] - reach), 0), min(int(centre[1] + reach) + 1, self.height)
        return None if x1 - x0 < 3 or y1 - y0 < 3 else (slice(y0, y1), slice(x0, x1))
