"""Thin things of a scene: wires, rigging, bars, strands, twigs, grass, rims, writing."""

from __future__ import annotations

import cv2
import numpy as np

from archive_restore.imaging.simulator.noise import Path, Plane, wave
from archive_restore.imaging.simulator.paths import normals, wander
from archive_restore.imaging.simulator.scene_canvas import Scene
from archive_restore.imaging.simulator.sheet import SUB, Sheet


def _unit(angle: float) -> Path:
    return np.array([np.cos(angle), np.sin(angle)])


def _xy(x: float, y: float) -> Path:
    return np.array([x, y])


def wires(scene: Scene) -> None:
    """A few sagging wires between two posts, nearly parallel and of one width."""
    rng, sheet = scene.rng, scene.sheet()
    across = float(rng.uniform(0.5, 1.5)) * scene.width
    left = scene.place() - _xy(across / 2, 0)
    right = left + _xy(across, float(rng.normal(0, 0.25)) * across)
    sag, width = float(rng.uniform(0, 0.12)) * across, scene.thickness(0.6, 2.5)
    gap = float(rng.uniform(3, 20))
    at = np.linspace(0, 1, 40)
    for k in range(int(rng.integers(1, 6))):
        points = left + (right - left) * at[:, None]
        points[:, 1] += 4 * sag * at * (1 - at) + gap * k * (1 + 0.3 * at)
        sheet.path(points, width, float(rng.uniform(0.7, 1.0)))
    scene.draw(sheet, scene.tone(scene.is_light(left + _xy(across / 2, sag))), hidden=bool(rng.random() < 0.6))


def rigging(scene: Scene) -> None:
    """Straight ropes that meet at a mast's head, thinner with distance."""
    rng, sheet = scene.rng, scene.sheet()
    head, width = scene.anchor(), scene.thickness(0.6, 2.5)
    down = float(rng.uniform(0.3, 1.2)) * scene.height
    for lean in np.sort(rng.uniform(-0.8, 0.8, int(rng.integers(2, 8)))):
        foot = head + _xy(down * np.tan(lean), down * float(rng.uniform(0.8, 1.1)))
        sheet.path(np.linspace(head, foot, 12), width * float(rng.uniform(0.7, 1.2)), float(rng.uniform(0.6, 1.0)))
        if rng.random() < 0.2:  # ratlines between two shrouds
            for share in np.linspace(0.3, 0.95, 8):
                one = head + (foot - head) * share
                sheet.path(np.stack([one, one + _xy(down * 0.08 * share, 0.0)]), width * 0.7, 0.8)
    if rng.random() < 0.6:
        sheet.path(
            np.stack([head - _xy(0.0, down * 0.1), head + _xy(0.0, down)]), width * float(rng.uniform(2, 4)), 1.0
        )
    scene.draw(sheet, scene.tone(scene.is_light(head)), hidden=bool(rng.random() < 0.5))


def grid(scene: Scene) -> None:
    """Fence, window bars or boards: parallel lines of equal distance, in perspective, with rails."""
    rng, sheet = scene.rng, scene.sheet()
    angle = float(rng.choice([0.0, np.pi / 2]) + rng.normal(0, 0.12))
    along, side = _unit(angle), _unit(angle + np.pi / 2)
    gap, width = float(np.exp(rng.uniform(np.log(4), np.log(40)))), scene.thickness(0.7, 6.0)
    width = min(width, gap * 0.6)
    centre, half = scene.place(), float(rng.uniform(0.08, 0.6)) * max(scene.height, scene.width)
    many = int(rng.integers(4, 24))
    narrowing = float(rng.uniform(0.9, 1.0))  # of gaps, heights and widths toward the vanishing point
    offset, size = 0.0, 1.0
    firsts, lasts = [], []
    for _ in range(many):
        a, b = centre + side * offset - along * half * size, centre + side * offset + along * half * size
        sheet.path(np.stack([a, b]), width * size, 0.95)
        firsts.append(a + along * half * size * 0.25)
        lasts.append(b - along * half * size * 0.25)
        offset += gap * size
        size *= narrowing
    if rng.random() < 0.7:
        sheet.path(np.stack(firsts), width * float(rng.uniform(0.7, 1.5)), 0.95)
        sheet.path(np.stack(lasts), width * float(rng.uniform(0.7, 1.5)), 0.95)
    light = scene.is_light(centre)
    _shaded(scene, sheet, light, width, hidden=bool(rng.random() < 0.4))


def _shaded(scene: Scene, sheet: Sheet, light: bool, width: float, *, hidden: bool = False) -> None:
    """A thing with its shadow side: wide enough ones are darker away from the light."""
    tone = scene.tone(light)
    if width > 1.5 and scene.rng.random() < 0.7:
        shift = -_unit(scene.light) * width * 0.45
        scene.draw(sheet.shifted(shift), tone * np.float32(scene.rng.uniform(0.25, 0.6)), hidden=hidden)
    scene.draw(sheet, tone, hidden=hidden)


def strands(scene: Scene) -> None:
    """Hair or whiskers: tapering curves from one region that keep each other company."""
    rng, sheet = scene.rng, scene.sheet()
    root, angle = scene.anchor(), float(rng.uniform(0, 2 * np.pi))
    whiskers = rng.random() < 0.3
    many = int(rng.integers(4, 10) if whiskers else rng.integers(8, 40))
    length = float(rng.uniform(20, 150))
    bend, width = float(rng.normal(0, 0.012)), scene.thickness(0.6, 1.8)
    spread = float(rng.uniform(2, 8) if whiskers else rng.uniform(5, 40))
    for _ in range(many):
        long = length * float(rng.uniform(0.5, 1.2))
        points = wander(
            rng,
            root + rng.normal(0, spread, 2),
            angle + float(rng.normal(0, 0.35 if whiskers else 0.12)),
            long,
            bend * float(rng.uniform(0.6, 1.4)),
            0.0008,
            max(long / 24, 2.0),
        )
        at = np.linspace(0, 1, len(points))
        sheet.path(points, width * (1.15 - at), float(rng.uniform(0.25, 0.9)) * (1 - 0.5 * at))
    scene.draw(sheet, scene.tone(scene.is_light(root)))


def twig(scene: Scene) -> None:
    """A branch that forks into thinner ones."""
    rng, sheet = scene.rng, scene.sheet()
    todo = [
        (scene.place(), float(rng.uniform(0, 2 * np.pi)), float(rng.uniform(40, 180)), scene.thickness(1.2, 7.0), 0)
    ]
    drawn = 0
    root = todo[0][0]
    while todo and drawn < 40:
        start, angle, length, width, depth = todo.pop()
        points = wander(rng, start, angle, length, float(rng.normal(0, 0.006)), 0.0015, max(length / 16, 2.0))
        at = np.linspace(0, 1, len(points))
        sheet.path(points, width * (1 - 0.55 * at), 1.0)
        drawn += 1
        if depth < 4 and width > 0.8:
            for share in rng.uniform(0.25, 1.0, int(rng.integers(2, 5))):
                index = int(share * (len(points) - 1))
                turn = float(rng.choice([-1, 1])) * float(rng.uniform(0.3, 0.9))
                todo.append(
                    (
                        points[index],
                        angle + turn,
                        length * float(rng.uniform(0.4, 0.75)),
                        width * float(rng.uniform(0.45, 0.7)),
                        depth + 1,
                    )
                )
    scene.draw(sheet, scene.tone(scene.is_light(root)), hidden=bool(rng.random() < 0.4))


def grass(scene: Scene) -> None:
    """Blades from a common ground, some lit and some dark."""
    rng = scene.rng
    base, length = scene.anchor(), float(rng.uniform(12, 70))
    reach = float(rng.uniform(20, 120))
    width = scene.thickness(0.8, 2.5)
    for light in (False, True):
        sheet = scene.sheet()
        for _ in range(int(rng.integers(6, 30))):
            start = base + _xy(float(rng.uniform(-reach, reach)), float(rng.normal(0, 4)))
            long = length * float(rng.uniform(0.5, 1.2))
            points = wander(
                rng,
                start,
                -np.pi / 2 + float(rng.normal(0, 0.3)),
                long,
                float(rng.normal(0, 0.015)),
                0.001,
                max(long / 10, 2.0),
            )
            sheet.path(points, width * np.linspace(1.2, 0.3, len(points)), float(rng.uniform(0.5, 1.0)))
        scene.draw(sheet, scene.tone(light))


def rims(scene: Scene) -> None:
    """Light or dark rims along edges that the picture has: they follow its objects and turn with the light."""
    rng = scene.rng
    samples = np.rint(np.clip(scene.luma, 0, 1) * 255).astype(np.uint8)
    window = scene.window(scene.anchor(), 128)
    if window is None:
        return
    edges = cv2.Canny(samples[window], 60, 150)
    found, _ = cv2.findContours(edges, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    sheet = scene.sheet()
    width, light = scene.thickness(0.7, 2.5), bool(rng.random() < 0.7)
    towards = _unit(scene.light)
    corner = np.array([window[1].start, window[0].start], np.float64)
    for contour in sorted(found, key=len, reverse=True)[:8]:
        if len(contour) < 30:
            break
        line: Plane = contour[:, 0, :].astype(np.float32)[:400]
        smooth = cv2.blur(line, (1, 7))[::4].astype(np.float64) + corner + 0.5
        if len(smooth) < 4:
            continue
        facing = np.abs(normals(smooth) @ towards)
        sheet.path(smooth, width * (0.4 + 0.6 * facing), np.clip(facing * 1.2 - 0.1, 0, 1))
    scene.draw(sheet, scene.tone(light))


def writing(scene: Scene) -> None:
    """A line of handwriting: loops along a straight base, of one pen."""
    rng, sheet = scene.rng, scene.sheet()
    start, angle, size = scene.place(), float(rng.normal(0, 0.15)), float(rng.uniform(5, 22))
    pen, words = scene.thickness(0.7, 2.2), int(rng.integers(1, 4))
    c, s = np.cos(angle), np.sin(angle)
    offset = 0.0
    for _ in range(words):
        letters = int(rng.integers(3, 9))
        t = np.arange(letters * 12) / 12 * 2 * np.pi
        tall = 0.35 + 0.65 * (wave(rng, len(t), 12) > 0.7)
        x = offset + t / (2 * np.pi) * size * 0.55 + size * 0.22 * np.sin(t + 0.4) + size * 0.1 * wave(rng, len(t), 9)
        y = -size * tall * (0.5 - 0.5 * np.cos(t)) + size * 0.12 * wave(rng, len(t), 7)
        x = x - 0.35 * y  # slant
        points = start + np.stack([x * c - y * s, x * s + y * c], 1)
        sheet.path(points, pen * (0.6 + 0.7 * wave(rng, len(t), 6)), 0.95)
        offset = float(x[-1]) + size * 0.7
    scene.draw(sheet, scene.tone(scene.is_light(start)), even=True)


_FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_SCRIPT_SIMPLEX,
)


def lettering(scene: Scene) -> None:
    """A printed or scratched-in caption, sign or number."""
    rng = scene.rng
    size = float(rng.uniform(0.25, 1.0)) * SUB
    text = "".join(rng.choice(list("ABCDEFGHIKLMNOPRSTUVW 0123456789.-&"), int(rng.integers(3, 16))))
    font, bold = _FONTS[int(rng.integers(0, len(_FONTS)))], int(rng.integers(1, 2 + int(size)))
    (long, tall), under = cv2.getTextSize(text, font, size, bold)
    canvas = np.zeros((tall + under + 8 * SUB, long + 8 * SUB), np.uint8)
    cv2.putText(canvas, text, (4 * SUB, tall + 4 * SUB), font, size, 255, bold, cv2.LINE_AA)
    at, turn = scene.place(), float(rng.normal(0, 0.06)) if rng.random() < 0.8 else float(rng.uniform(0, 2 * np.pi))
    reach = float(np.hypot(*canvas.shape)) / SUB / 2 + 4
    window = scene.window(at, reach)
    if window is None:
        return
    c, s = np.cos(turn) * SUB, np.sin(turn) * SUB
    x0, y0 = window[1].start - at[0], window[0].start - at[1]
    matrix = np.array([[c, s, c * x0 + s * y0 + canvas.shape[1] / 2], [-s, c, -s * x0 + c * y0 + canvas.shape[0] / 2]])
    canvas = cv2.blur(canvas, (SUB, SUB))
    shape = (window[1].stop - window[1].start, window[0].stop - window[0].start)
    alpha = (
        cv2.warpAffine(canvas, matrix, shape, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP).astype(np.float32) / 255
    )
    alpha = cv2.GaussianBlur(alpha, (0, 0), max(scene.blur * 0.7, 0.4))
    scene.cover(alpha * np.float32(rng.uniform(0.6, 1.0)), window, scene.tone(scene.is_light(at)), even=True)
