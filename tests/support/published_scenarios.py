"""Over 60 ways in which a picture comes back: what was done, and whether something in it was changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from tests.support import published as p


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One way."""

    name: str
    changes: tuple[p.Change, ...]
    altered: bool = False
    """Whether content was changed, beyond what was done to the whole."""

    def apply(self, picture: p.Picture, seed: int) -> p.Published:
        """Do it; the same seed gives the same."""
        found, rng = p.begun(picture), np.random.default_rng(seed)
        for change in self.changes:
            found = change(found, rng)
        return found


def scenarios(donor: p.Picture) -> tuple[Scenario, ...]:
    """All of them; `donor` is a face for those that put one in."""
    return (*_whole(), *_combined(), *_altered(donor))


def _whole() -> Iterator[Scenario]:
    for quality in (95, 75, 50, 30, 15):
        yield Scenario(name=f"JPEG q{quality}", changes=(p.jpeg(quality),))
    yield Scenario(name="WebP q40", changes=(p.webp(40),))
    yield Scenario(name="JPEG twice, q80 then q60", changes=(p.jpeg(80), p.jpeg(60)))
    for factor in (0.75, 0.5, 0.3, 1.6):
        yield Scenario(name=f"resized to {factor:.0%}, q85", changes=(p.resize(factor), p.jpeg(85)))
    bilinear = p.resize(0.6, Image.Resampling.NEAREST)
    yield Scenario(name="resized to 60%, nearest neighbour", changes=(bilinear, p.jpeg(90)))
    yield Scenario(name="stretched 8% wider", changes=(p.resize(1.0, stretch=1.08), p.jpeg(85)))
    for share in (0.05, 0.1, 0.2, 0.3, 0.4):
        yield Scenario(name=f"cropped {share:.0%}, q85", changes=(p.crop(share), p.jpeg(85)))
    yield Scenario(name="mirrored, q85", changes=(p.mirror, p.jpeg(85)))
    for degrees in (1, -2, 3.5, 5):
        yield Scenario(name=f"turned {degrees}°, q85", changes=(p.rotate(degrees), p.jpeg(85)))
    for turns in (1, 2, 3):
        yield Scenario(name=f"turned {90 * turns}°, q85", changes=(p.quarter(turns), p.jpeg(85)))
    yield Scenario(name="letterboxed, black", changes=(p.letterbox(0.12), p.jpeg(85)))
    yield Scenario(name="pillarboxed, white", changes=(p.letterbox(0.2, 255, sides=True), p.jpeg(85)))
    yield Scenario(name="screenshot at 60%", changes=(p.screenshot(0.6, 1.12), p.jpeg(80)))
    yield Scenario(name="screenshot at 90%, PNG", changes=(p.screenshot(0.9, 0.9),))
    yield Scenario(name="screenshot at 125%", changes=(p.screenshot(1.25, 1.0), p.jpeg(75)))
    yield Scenario(name="grayscale", changes=(p.saturate(0), p.jpeg(85)))
    yield Scenario(name="sepia", changes=(p.sepia, p.jpeg(85)))
    yield Scenario(name="gamma 0.75", changes=(p.tone_gamma(0.75), p.jpeg(85)))
    yield Scenario(name="gamma 1.35", changes=(p.tone_gamma(1.35), p.jpeg(85)))
    yield Scenario(name="more contrast, clipping", changes=(p.contrast(1.35, 0.03), p.jpeg(85)))
    yield Scenario(name="less contrast", changes=(p.contrast(0.65), p.jpeg(85)))
    yield Scenario(name="S-curve", changes=(p.curve(0.6), p.jpeg(85)))
    yield Scenario(name="warmer", changes=(p.warm(0.12), p.jpeg(85)))
    yield Scenario(name="more colour", changes=(p.saturate(1.5), p.jpeg(85)))
    yield Scenario(name="softened", changes=(p.blur(1.3), p.jpeg(85)))
    yield Scenario(name="sharpened", changes=(p.sharpen(0.8), p.jpeg(85)))
    yield Scenario(name="grain added", changes=(p.grain(6), p.jpeg(85)))


def _combined() -> Iterator[Scenario]:
    yield Scenario(name="resized to 50%, cropped 20%, q50", changes=(p.resize(0.5), p.crop(0.2), p.jpeg(50)))
    yield Scenario(name="mirrored, cropped 15%, q60", changes=(p.mirror, p.crop(0.15), p.jpeg(60)))
    yield Scenario(name="turned 2°, cropped 10%, graded, q70",
                   changes=(p.rotate(2), p.crop(0.1), p.curve(0.4), p.warm(0.06), p.jpeg(70)))  # fmt: skip
    yield Scenario(name="cropped 40%, enlarged, q40", changes=(p.crop(0.4), p.resize(1.4), p.jpeg(40)))
    yield Scenario(name="letterboxed, resized to 40%, q60", changes=(p.letterbox(0.1), p.resize(0.4), p.jpeg(60)))
    yield Scenario(name="screenshot of a crop, q30", changes=(p.crop(0.25), p.screenshot(0.7, 1.1), p.jpeg(30)))
    yield Scenario(
        name="grayscale, mirrored, resized to 50%", changes=(p.saturate(0), p.mirror, p.resize(0.5), p.jpeg(75))
    )
    yield Scenario(name="sepia, turned 3°, q50", changes=(p.sepia, p.rotate(3), p.jpeg(50)))
    yield Scenario(name="sharpened, q30, resized to 80%, q70",
                   changes=(p.sharpen(0.5), p.jpeg(30), p.resize(0.8), p.jpeg(70)))  # fmt: skip


def _altered(donor: p.Picture) -> Iterator[Scenario]:
    def changed(name: str, *changes: p.Change) -> Scenario:
        return Scenario(name=name, changes=changes, altered=True)

    yield changed("logo, q85", p.logo(), p.jpeg(85))
    yield changed("logo, q15", p.logo(), p.jpeg(15))
    yield changed("logo, half transparent, q75", p.logo(0.02, 0.5), p.jpeg(75))
    yield changed("logo, resized to 50%, q70", p.logo(), p.resize(0.5), p.jpeg(70))
    yield changed("caption, q85", p.caption(), p.jpeg(85))
    yield changed("small caption, q60", p.caption(0.03), p.jpeg(60))
    yield changed("face put in, q90", p.swap(donor), p.jpeg(90))
    yield changed("face put in, q50", p.swap(donor), p.jpeg(50))
    yield changed("face put in, cropped 10%, resized to 70%, q75",
                  p.swap(donor, 0.03), p.crop(0.1), p.resize(0.7), p.jpeg(75))  # fmt: skip
    yield changed("face put in, graded, q80", p.swap(donor), p.curve(0.5), p.warm(0.1), p.jpeg(80))
    yield changed("small face put in, q85", p.swap(donor, 0.008), p.jpeg(85))
    yield changed("cloned over, q85", p.clone(), p.jpeg(85))
    yield changed("cloned over, mirrored, q70", p.clone(0.03), p.mirror, p.jpeg(70))
    yield changed("taken out, q85", p.erase(), p.jpeg(85))
    yield changed("taken out, q40", p.erase(0.03), p.jpeg(40))
    yield changed("taken out, turned 2°, q80", p.erase(0.03), p.rotate(2), p.jpeg(80))
    yield changed("taken out, screenshot at 70%", p.erase(0.03), p.screenshot(0.7, 1.1), p.jpeg(85))
    yield changed("recoloured region, q85", p.recolour(), p.jpeg(85))
    yield changed("recoloured region, resized to 60%, q60", p.recolour(0.04), p.resize(0.6), p.jpeg(60))
    yield changed("logo, grayscale, q60", p.logo(), p.saturate(0), p.jpeg(60))
