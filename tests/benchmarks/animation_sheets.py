"""Contact sheets of clips, to be looked at: six open photographs with regions drawn by hand, and one portrait.

Run it from the repository: `python -m tests.benchmarks.animation_sheets [--to docs/images] [NAME]...`. Each sheet shows
the frames at the beginning, after a quarter and half of the clip, of the portrait the face with lids up and down; the
greatest difference from the still in any frame, times eight; the map of all frames; and one line of pixels through all
frames, one below the other.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from archive_restore.adapters.models import FolderModels
from archive_restore.core.synthesis_map import display_table
from archive_restore.imaging import faces
from archive_restore.ports import ClipFrames, Still, StoryContext
from archive_restore.steps.motion import Animate

ROOT = Path(__file__).parents[2]
PHOTOGRAPHS = ROOT / "tests" / "photographs"
DRAWN: dict[str, Any] = json.loads((PHOTOGRAPHS / "moving.json").read_text(encoding="utf-8"))
PORTRAIT = "portrait"
ENLARGED = 3
"""The only portrait among the test photographs has 352 pixels."""
LINES = {
    "airplane-from-above": 480, "black-canyon": 520, "dust-bowl-home": 445, "french-alpine-landscape": 260,
    "march-pastoral": 150, "nagasaki-boats": 400, PORTRAIT: 305,
}  # fmt: skip
"""The row of pixels that is shown through all frames."""
FACE, EYES = (slice(230, 550), slice(290, 690)), (slice(265, 345), slice(360, 640))
"""Of the portrait, rows and columns."""
_WIDE, _TALL, _TITLE = 470, 360, 22
_AMPLIFIED = 8
_BREATH = 24  # change of a sample that no sway of a head makes

Picture = npt.NDArray[np.uint8]


def still_of(name: str) -> Picture:
    """What is animated, RGB."""
    if name != PORTRAIT:
        return np.asarray(cv2.imread(str(PHOTOGRAPHS / "open" / f"{name}.jpg"), cv2.IMREAD_COLOR_RGB), np.uint8)
    small = cv2.imread(str(PHOTOGRAPHS / "faces" / "astronaut.jpg"), cv2.IMREAD_COLOR_RGB)
    return np.asarray(cv2.resize(small, None, fx=ENLARGED, fy=ENLARGED, interpolation=cv2.INTER_CUBIC), np.uint8)


def clip_of(name: str, samples: Picture, said: list[str]) -> ClipFrames:
    """The clip that `animate` makes with its defaults, four seconds of it at the size of the still."""
    step = Animate()
    parameters = {word: rule["default"] for word, rule in step.parameters_schema.items()}
    parameters |= {"seconds": 4, "size": "source"}
    documents = {}
    if name == PORTRAIT:
        parameters |= {"blink": "both", "breathe": True}
    else:
        documents["motion"] = {"regions": DRAWN[f"{name}.jpg"]["regions"]}
    models = FolderModels(ROOT / "models")
    context = StoryContext(
        seed=1, networks={word: models.load(word, "cpu") for word in faces.MODELS.values()}, documents=documents,
        samples=1, threads=1, new=lambda shape, dtype: np.zeros(shape, dtype), note=lambda _: None, say=said.append,
        decided=lambda _: None, kept=lambda _, make: make(),
    )  # fmt: skip
    return step.clip(Still(samples=samples, flags=np.zeros(samples.shape[:2], np.uint8)), parameters, context)


def sheet(name: str) -> tuple[Picture, str]:
    """The sheet of one clip, RGB, and what was measured of it."""
    samples, said = still_of(name), list[str]()
    clip = clip_of(name, samples, said)
    rows, columns = clip.size
    most, union, line = np.zeros((rows, columns), np.uint8), np.zeros((rows, columns), np.uint8), []
    change: list[int] = []
    wanted = {0: None, clip.count // 4: None, clip.count // 2: None}
    frames: dict[int, Picture] = {}
    for index in range(clip.count):
        frame = clip.frame(index)
        np.maximum(most, np.abs(frame.samples.astype(int) - samples[:rows, :columns]).max(axis=2), out=most,
                   casting="unsafe")  # fmt: skip
        change.append(np.count_nonzero(np.abs(frame.samples[EYES].astype(int) - samples[EYES]) > _BREATH))
        union |= frame.flags
        line.append(frame.samples[LINES[name]])
        if index in wanted:
            frames[index] = frame.samples
    panels = [(f"frame {index} of {clip.count}", frame) for index, frame in frames.items()]
    if name == PORTRAIT:
        lowest = int(np.argmax(change))
        panels[1:] = [
            (f"face, frame {index} of {clip.count}", clip.frame(index).samples[FACE]) for index in (0, lowest)
        ]
    amplified = np.repeat(np.minimum(most.astype(int) * _AMPLIFIED, 255).astype(np.uint8)[..., None], 3, axis=2)
    panels += [
        (f"greatest difference from the still, times {_AMPLIFIED}", amplified),
        ("map of all frames", display_table()[union][..., :3]),
        (f"row {LINES[name]} through all frames", np.repeat(np.stack(line), 3, axis=0)),
    ]
    untouched = (union & 0x80) == 0
    told = (
        f"{name}: {100 * (1 - untouched.mean()):.1f} % ever moves, {100 * ((union & 0x10) > 0).mean():.2f} % is ever "
        f"made up; where nothing moves the greatest difference is {int(most[untouched].max(initial=0))}, where it "
        f"does {int(most.max())}. {' '.join(said)}"
    )
    tall = min(_TALL, round(_WIDE * rows / columns))
    drawn = [_panel(title, picture, tall) for title, picture in panels]
    return np.vstack([np.hstack(drawn[:3]), np.hstack(drawn[3:])]), told


def _panel(title: str, picture: Picture, tall: int) -> Picture:
    scale = min(_WIDE / picture.shape[1], tall / picture.shape[0])
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    seen = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=how)
    made = np.full((tall + _TITLE, _WIDE + 6, 3), 24, np.uint8)
    made[_TITLE : _TITLE + len(seen), : seen.shape[1]] = seen
    cv2.putText(made, title, (2, _TITLE - 7), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (235, 235, 235), 1)
    return made


def main(words: list[str] | None = None) -> None:
    """Write the sheets."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--to", type=Path, default=ROOT / "docs" / "images")
    options.add_argument("names", nargs="*", default=list(LINES), metavar="NAME")
    chosen = options.parse_args(words)
    for name in chosen.names:
        made, told = sheet(name)
        path = chosen.to / f"animation-{name}.jpg"
        cv2.imwrite(str(path), cv2.cvtColor(made, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 84])
        print(f"{told} ({path.stat().st_size // 1000} kB)", flush=True)


if __name__ == "__main__":
    main()
