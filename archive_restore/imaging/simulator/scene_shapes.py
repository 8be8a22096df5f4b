"""Small solid things of a scene: cigarettes and poles, cloth, chains, glints, buttons, lace."""

from __future__ import annotations

import cv2
import numpy as np

from archive_restore.imaging.simulator.noise import Path, Plane, field
from archive_restore.imaging.simulator.paths import wander
from archive_restore.imaging.simulator.scene_canvas import Scene


def _axes(window: tuple[slice, slice], centre: Path, angle: float) -> tuple[Plane, Plane]:
    """Coordinates along and across an axis, in px from `centre`."""
    rows, columns = (np.arange(s.start, s.stop, dtype=np.float32) + np.float32(0.5) for s in window)
    dx, dy = columns[None, :] - np.float32(centre[0]), rows[:, None] - np.float32(centre[1])
    c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return dx * c + dy * s, dy * c - dx * s


def _soft(inside: Plane, blur: float) -> Plane:
    """Coverage from a signed distance in px (positive inside) at the picture's blur."""
    return np.asarray(1 / (1 + np.exp(-np.clip(inside * np.float32(1.7 / blur), -30, 30))), np.float32)


def bar(scene: Scene) -> None:
    """A round bar lit from one side: a cigarette with its ash, a pencil, a pole, a rail, a stick."""
    rng = scene.rng
    centre, angle = scene.anchor(), float(rng.uniform(0, np.pi))
    pole = rng.random() < 0.4
    half = float(rng.uniform(40, 400) if pole else rng.uniform(7, 45))
    radius = float(rng.uniform(0.8, 7.0) if pole else np.clip(half * rng.uniform(0.05, 0.16), 0.8, 6.0))
    if pole and rng.random() < 0.7:
        angle = float(rng.choice([0.0, np.pi / 2]) + rng.normal(0, 0.05))
    window = scene.window(centre, half + 6)
    if window is None:
        return
    u, v = _axes(window, centre, angle)
    taper = float(rng.uniform(-0.3, 0.3))
    local = np.float32(radius) * (1 + np.float32(taper / half) * u)
    alpha = _soft(np.minimum(local - np.abs(v), np.float32(half) - np.abs(u)), max(scene.blur, 0.5))
    across = np.clip(v / np.maximum(local, 0.3), -1, 1)
    lit = np.float32(np.sin(scene.light - angle))
    round_ = 0.62 + 0.38 * np.sqrt(np.clip(1 - across**2, 0, 1)) + np.float32(0.28) * lit * across
    light = scene.is_light(centre)
    tone = scene.tone(light)
    body = tone * round_[:, :, None].astype(np.float32)
    if not pole and light and rng.random() < 0.6:  # ash and ember, or a filter
        end = np.float32(half * rng.uniform(0.5, 0.85))
        tip = _soft((u if rng.random() < 0.5 else -u) - end, scene.blur)[:, :, None]
        body = body * (1 - tip * np.float32(rng.uniform(0.2, 0.75)))
    if rng.random() < 0.5:
        shift = 2.0 + radius
        below = cv2.GaussianBlur(alpha, (0, 0), 1.0 + radius * 0.6)
        matrix = np.array([[1, 0, -np.cos(scene.light) * shift], [0, 1, -np.sin(scene.light) * shift]])
        scene.shadow(cv2.warpAffine(below, matrix, below.shape[::-1]), window, float(rng.uniform(0.1, 0.5)))
    if rng.random() < 0.3:
        alpha = alpha * scene.in_front(window, bool(rng.random() < 0.5))
    scene.cover(alpha, window, body)


def cloth(scene: Scene) -> None:
    """A bow, a collar, a cuff, a ribbon, a petal: light cloth with folds, an outline in shadow, shading across."""
    rng = scene.rng
    centre, size = scene.anchor(), float(rng.uniform(8, 60))
    window = scene.window(centre, size * 1.6 + 8)
    if window is None:
        return
    lobes = int(rng.choice([1, 2, 2, 3, 4, 5]))
    first = float(rng.uniform(0, 2 * np.pi))
    light = bool(rng.random() < 0.75)
    tone = scene.tone(light)
    rows, columns = window[0].stop - window[0].start, window[1].stop - window[1].start
    corner = np.array([window[1].start, window[0].start], np.float64)
    for k in range(lobes):
        angle = first + 2 * np.pi * k / lobes + float(rng.normal(0, 0.25))
        outline = _lobe(rng, size * float(rng.uniform(0.7, 1.3)), float(rng.uniform(0.3, 0.75)))
        c, s = np.cos(angle), np.sin(angle)
        points = centre - corner + outline @ np.array([[c, s], [-s, c]])
        mask = np.zeros((rows * 2, columns * 2), np.uint8)
        cv2.fillPoly(mask, [np.rint(points * 2).astype(np.int32)], 255)
        alpha = cv2.resize(mask, (columns, rows), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        alpha = cv2.GaussianBlur(alpha, (0, 0), scene.blur)
        u, v = _axes(window, centre, angle)
        folds = np.cos(
            v * np.float32(rng.uniform(0.15, 0.8))
            + u * np.float32(rng.normal(0, 0.08))
            + field(rng, (rows, columns), size / 2) * 1.5
        )
        toward = (
            u * np.float32(np.cos(scene.light - angle)) + v * np.float32(np.sin(scene.light - angle))
        ) / np.float32(size)
        shade = (
            0.86 + 0.08 * folds + 0.14 * np.clip(toward, -1, 1) - 0.3 * np.exp(-((u / np.float32(size * 0.18)) ** 2))
        )
        shadow = cv2.GaussianBlur(alpha, (0, 0), 1.5)
        matrix = np.array([[1, 0, -np.cos(scene.light) * 2.5], [0, 1, -np.sin(scene.light) * 2.5]])
        scene.shadow(cv2.warpAffine(shadow, matrix, (columns, rows)), window, float(rng.uniform(0.15, 0.5)))
        scene.cover(alpha, window, tone * shade[:, :, None].astype(np.float32))


def _lobe(rng: np.random.Generator, size: float, wide: float) -> Path:
    """Half of a bow, around the x axis: narrow at the knot, wide at its end, which is straight or hollow."""
    hollow = float(rng.uniform(-0.1, 0.25))
    upper = np.array([[0.0, 0.06], [0.3, 0.5 * wide], [0.7, 0.85 * wide], [1.0, wide]])
    end = np.array([[1.0 - hollow, 0.0]])
    lower = upper[::-1] * [1, -1] * [1, float(rng.uniform(0.5, 1.0))]
    return np.concatenate([upper, end, lower]) * size * (1 + rng.normal(0, 0.04, (9, 2)))


def chain(scene: Scene) -> None:
    """A necklace or watch chain: links of equal distance on a hanging curve, each with a light and a dark side."""
    rng, lights, darks = scene.rng, scene.sheet(), scene.sheet()
    start = scene.anchor()
    length, gap = float(rng.uniform(25, 160)), float(rng.uniform(2.2, 8.0))
    points = wander(rng, start, float(rng.uniform(0, 2 * np.pi)), length, float(rng.normal(0, 0.02)), 0.0005, gap)
    radius = gap * float(rng.uniform(0.25, 0.5))
    turn = np.linspace(0, 2 * np.pi, 8, endpoint=False)
    disc = np.stack([np.cos(turn), np.sin(turn)], 1)
    towards = np.array([np.cos(scene.light), np.sin(scene.light)])
    for point in points:
        darks.polygon(point + disc * radius * 1.15 - towards * radius * 0.3, 0.8)
        lights.polygon(point + disc * radius * 0.7 + towards * radius * 0.25, float(rng.uniform(0.5, 1.0)))
    scene.draw(darks, scene.tone(False))
    scene.draw(lights, scene.tone(True), even=True)


def glints(scene: Scene) -> None:
    """Reflections on what shines: small, with a soft glow, on bright sides of the scene's own edges."""
    rng = scene.rng
    centre, reach = scene.anchor(), float(rng.uniform(6, 50))
    for place in centre + rng.normal(0, reach, (int(rng.integers(2, 9)), 2)):
        window = scene.window(place, 14)
        if window is None:
            continue
        part = cv2.GaussianBlur(scene.luma[window], (0, 0), 1.5)
        if float(part.max() - part.min()) < 0.12:
            continue  # nothing here that could shine
        y, x = np.unravel_index(int(np.argmax(part)), part.shape)  # where it is brightest already
        at = np.array([window[1].start + x + 0.5, window[0].start + y + 0.5])
        u, v = _axes(window, at, float(rng.uniform(0, np.pi)))
        size, stretch = float(rng.uniform(0.5, 2.2)) + scene.blur * 0.7, float(rng.uniform(1, 3))
        core = np.exp(-((u / np.float32(size * stretch)) ** 2 + (v / np.float32(size)) ** 2))
        glow = np.float32(rng.uniform(0, 0.3)) * np.exp(-np.hypot(u, v) / np.float32(size * 2.5))
        alpha = np.clip(core * np.float32(rng.uniform(0.6, 1.1)) + glow, 0, 1).astype(np.float32)
        scene.cover(
            alpha, window, np.full(scene.picture.shape[2], min(scene.levels[4] + 0.08, 1.0), np.float32), even=True
        )


def button(scene: Scene) -> None:
    """Buttons, pearls, eyes of a lens: round, shaded like a ball or a dish, in a row or alone."""
    rng = scene.rng
    start, radius = scene.anchor(), float(rng.uniform(1.2, 8.0))
    step = np.array([np.cos(a := float(rng.uniform(0, np.pi))), np.sin(a)]) * radius * float(rng.uniform(3, 9))
    light = bool(rng.random() < 0.6)
    tone, dish = scene.tone(light), float(rng.choice([-1, 1]))
    for k in range(int(rng.choice([1, 2, 4, 6]))):
        at = start + step * k
        window = scene.window(at, radius * 2 + 5)
        if window is None:
            continue
        u, v = _axes(window, at, scene.light)
        far = np.hypot(u, v)
        scene.shadow(
            _soft(np.float32(radius * 1.1) - np.hypot(u + np.float32(radius * 0.4), v), scene.blur * 1.5), window, 0.4
        )
        ball = 0.8 + np.float32(0.3 * dish) * u / np.float32(radius) - 0.15 * (far / np.float32(radius)) ** 2
        alpha = _soft(np.float32(radius) - far, scene.blur)
        scene.cover(alpha, window, tone * np.clip(ball, 0.15, 1.25)[:, :, None].astype(np.float32), even=True)


def lace(scene: Scene) -> None:
    """A band of lace or crochet: rows of small rings with a scalloped edge."""
    rng, sheet = scene.rng, scene.sheet()
    cell = float(rng.uniform(3.5, 11))
    guide = wander(
        rng,
        scene.place(),
        float(rng.uniform(0, 2 * np.pi)),
        float(rng.uniform(30, 140)),
        float(rng.normal(0, 0.01)),
        0.0004,
        cell,
    )
    turn = np.linspace(0, 2 * np.pi, 8)
    ring = np.stack([np.cos(turn), np.sin(turn)], 1) * cell * 0.42
    heading = np.gradient(guide, axis=0)
    side = np.stack([-heading[:, 1], heading[:, 0]], 1) / cell
    thread = max(cell * float(rng.uniform(0.12, 0.25)), 0.6)
    for row in range(int(rng.integers(1, 5))):
        shift = 0.5 * (row % 2)
        places = guide + side * cell * row + heading * shift
        sheet.paths(
            places[:, None, :] + ring[None], np.full((len(places), 1), thread), rng.uniform(0.6, 1.0, (len(places), 1))
        )
    sheet.path(guide - side * cell * 0.5, thread * 1.5, 0.9)
    scene.draw(sheet, scene.tone(True))


def border(scene: Scene) -> None:
    """The white margin of a print, the black one of a film, a mount: straight, even, and not a loss."""
    rng = scene.rng
    side, wide = int(rng.integers(0, 4)), float(np.exp(rng.uniform(np.log(2), np.log(30))))
    window = (slice(0, scene.height), slice(0, scene.width))
    u, v = _axes(window, np.zeros(2), float(rng.normal(0, 0.006)))
    inside = (u, np.float32(scene.width) - u, v, np.float32(scene.height) - v)[side]
    alpha = _soft(np.float32(wide) - inside, max(scene.blur * 0.7, 0.5))
    white = bool(rng.random() < 0.65)
    level = float(rng.uniform(0.85, 1.0) if white else rng.uniform(0.0, 0.08))
    tone = np.full(scene.picture.shape[2], level, np.float32)
    if rng.random() < 0.3:  # a printed line between picture and margin
        line = np.exp(-(((inside - np.float32(wide + 2.5)) / np.float32(rng.uniform(0.7, 1.5))) ** 2)).astype(
            np.float32
        )
        scene.cover(line * np.float32(0.8), window, np.full_like(tone, 0.08 if white else 0.9), even=True)
    scene.cover(alpha, window, tone, even=True)
