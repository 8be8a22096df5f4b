"""Camera paths over one still: where the frame lies at every moment (pan and zoom, after Ken Burns).

A path is a window in the still for each frame; it changes smoothly and never leaves the picture.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from archive_restore.records.imagery import Region


@dataclass(frozen=True, kw_only=True)
class Window:
    """A rectangle of the still, in pixels, with the aspect of the frame; edges lie between pixels."""

    left: float
    top: float
    width: float
    height: float


def eased(share: float) -> float:
    """0..1 to 0..1, at rest at both ends (Perlin's smootherstep: 6t⁵ − 15t⁴ + 10t³)."""
    t = min(max(share, 0.0), 1.0)
    return t * t * t * (t * (6 * t - 15) + 10)


def fitted(size: tuple[int, int], aspect: float, subject: Region | None = None) -> Window:
    """The largest window of `aspect` (width over height) in a picture of `size` (height, width).

    Its middle is that of `subject`, as far as the picture reaches; without one, that of the picture.
    """
    height, width = size
    across, down = (width, width / aspect) if width / height < aspect else (height * aspect, height)
    x, y = (width / 2, height / 2) if subject is None else _middle(subject)
    return _inside(Window(left=x - across / 2, top=y - down / 2, width=across, height=down), size)


def scaled(window: Window, factor: float, size: tuple[int, int], subject: Region | None = None) -> Window:
    """A window `factor` times as large, around `subject` or its own middle, inside the picture."""
    x, y = (window.left + window.width / 2, window.top + window.height / 2) if subject is None else _middle(subject)
    width, height = window.width * factor, window.height * factor
    return _inside(Window(left=x - width / 2, top=y - height / 2, width=width, height=height), size)


def shifted(window: Window, across: float, size: tuple[int, int]) -> Window:
    """A window moved to the right, pixels of the picture, as far as the picture reaches."""
    return _inside(replace(window, left=window.left + across), size)


def placed(window: Window, across: float, down: float, size: tuple[int, int]) -> Window:
    """A window moved to the right and down, pixels of the picture, as far as the picture reaches."""
    return _inside(replace(window, left=window.left + across, top=window.top + down), size)


def travelled(start: Window, end: Window, share: float) -> Window:
    """The window at a share 0..1 of the way.

    The width changes by equal factors in equal times, and the one point of the still that stays where it is in the
    frame stays there all the way, so that a zoom does not drift.
    """
    t = eased(share)
    width = start.width * (end.width / start.width) ** t
    # How much of the way in width is done: the same for the edges, or the window would bend aside.
    done = t if abs(end.width - start.width) < 1e-9 else (width - start.width) / (end.width - start.width)
    return Window(
        left=start.left + (end.left - start.left) * done,
        top=start.top + (end.top - start.top) * done,
        width=width,
        height=start.height + (end.height - start.height) * done,
    )


def _middle(region: Region) -> tuple[float, float]:
    return (region.left + region.right) / 2, (region.top + region.bottom) / 2


def _inside(window: Window, size: tuple[int, int]) -> Window:
    height, width = size
    left = min(max(window.left, 0.0), max(width - window.width, 0.0))
    top = min(max(window.top, 0.0), max(height - window.height, 0.0))
    return Window(left=left, top=top, width=window.width, height=window.height)
