"""Kinship and difference over published-file scenarios: `python -m tests.benchmarks.audit [--distractors DIR]`.

The archive's side are the open photographs; the limits were set while watching the first five of them (development),
the other four were left for the end (docs/benchmarks.md says what was changed after they were seen). Distractors are
foreign photographs, whole and in quarters.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from archive_restore.imaging.difference import STRENGTH_UNIT, Difference, difference
from archive_restore.imaging.registration import MATCH, Prepared, Registration, judged, prepare
from tests.support.published import Picture, Published
from tests.support.published_scenarios import Scenario, scenarios

PHOTOGRAPHS = Path(__file__).parents[1] / "photographs"
DEVELOPMENT = 5
"""Photographs, in order of name, at which limits were set."""
DISTRACTORS = 500


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What was made of one published picture."""

    photograph: str
    scenario: Scenario
    registration: Registration | None
    difference: Difference | None
    found: bool
    """A region touches what was changed."""
    false: int
    """Regions that touch nothing that was changed."""
    seconds: float

    @property
    def matched(self) -> bool:
        """Whether the picture was recognized."""
        return self.registration is not None and self.registration.confidence >= MATCH

    @property
    def right(self) -> bool:
        """Matched; what was changed is found, and nothing else."""
        return self.matched and self.found == self.scenario.altered and not self.false


def load(path: Path) -> Picture:
    """A photograph as uint8 RGB."""
    return np.asarray(Image.open(path).convert("RGB"))


def donor() -> Picture:
    """A face to be put in."""
    return load(PHOTOGRAPHS / "faces" / "astronaut.jpg")[20:200, 80:260]


def judge(name: str, scenario: Scenario, published: Published, reference: Prepared) -> Verdict:
    """Register a published picture with its reference and compare them."""
    begun = time.process_time()
    registration = judged(prepare(published.picture), reference)
    compared, found, false = None, False, 0
    if registration is not None and registration.confidence >= MATCH:
        compared = difference(published.picture, reference.picture, registration)
        near = cv2.dilate(published.changed.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
        for region in compared.regions:
            box = region.region
            if near[box.top : box.bottom, box.left : box.right].any():
                found = True
            else:
                false += 1
    return Verdict(
        photograph=name, scenario=scenario, registration=registration, difference=compared, found=found, false=false,
        seconds=time.process_time() - begun,
    )  # fmt: skip


def run(paths: Sequence[Path], every: int = 1, first: int = 0) -> Iterator[Verdict]:
    """All scenarios, or every so many, on photographs."""
    for path in paths:
        picture = load(path)
        reference = prepare(picture)
        for number, scenario in list(enumerate(scenarios(donor())))[first::every]:
            yield judge(path.stem, scenario, scenario.apply(picture, number), reference)


@dataclass(frozen=True, kw_only=True)
class Foreign:
    """A picture that has nothing to do with the archive's."""

    path: Path
    quarter: int | None = None
    """Which quarter of it; all of it where None."""

    @property
    def name(self) -> str:
        """For people."""
        return self.path.name if self.quarter is None else f"{self.path.name} quarter {self.quarter + 1}"

    def picture(self) -> Picture:
        """Read it."""
        picture = load(self.path)
        if self.quarter is None:
            return picture
        height, width = picture.shape[0] // 2, picture.shape[1] // 2
        top, left = (self.quarter // 2) * height, (self.quarter % 2) * width
        return picture[top : top + height, left : left + width]


def distractors(folder: Path, count: int) -> Iterator[Foreign]:
    """Foreign pictures: whole ones first, then quarters of them."""
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in (".png", ".jpg"))
    for path in paths[:count]:
        yield Foreign(path=path)
    for number in range(max(0, count - len(paths))):
        yield Foreign(path=paths[number % len(paths)], quarter=number // len(paths))


def table(verdicts: Sequence[Verdict], held_out: frozenset[str]) -> str:
    """Markdown: a row a scenario."""
    lines = ["| scenario | matched | difference | development, right | held out, right |", "|---|---|---|---|---|"]
    for scenario in dict.fromkeys(verdict.scenario for verdict in verdicts):
        of = [verdict for verdict in verdicts if verdict.scenario is scenario]
        groups = [[v for v in of if (v.photograph in held_out) is held] for held in (False, True)]
        right = " | ".join(f"{sum(v.right for v in group)} of {len(group)}" for group in groups)
        lines.append(
            f"| {scenario.name} | {sum(v.matched for v in of)} of {len(of)} "
            f"| {'to be found' if scenario.altered else 'none'} | {right} |"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--distractors", type=Path, help="folder of foreign photographs")
    parser.add_argument("--photographs", type=Path, nargs="*", help="photographs instead of the open ones")
    parser.add_argument("--only", type=int, nargs=2, metavar=("FIRST", "LAST"), help="photographs by number")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=DISTRACTORS)
    parser.add_argument("--against", type=int, default=9, help="photographs with which each is compared")
    parser.add_argument("--unrelated-only", action="store_true", help="distractors alone")
    parser.add_argument("--verbose", action="store_true")
    wanted = parser.parse_args(arguments)
    paths = sorted(wanted.photographs or (PHOTOGRAPHS / "open").glob("*.jpg"))
    held_out = frozenset(path.stem for path in (paths if wanted.photographs else paths[DEVELOPMENT:]))
    if wanted.only:
        paths = paths[slice(*wanted.only)]
    verdicts = []
    for verdict in run(paths, wanted.every, wanted.first) if not wanted.unrelated_only else ():
        verdicts.append(verdict)
        if wanted.verbose or not verdict.right:
            print("ok " if verdict.right else "BAD", _line(verdict), flush=True)
    if verdicts:
        print(table(verdicts, held_out))
        for name, group in (("development", False), ("held out", True)):
            _summary(name, [v for v in verdicts if (v.photograph in held_out) is group])
    if wanted.distractors:
        foreign = list(distractors(wanted.distractors, wanted.count))[wanted.first :: wanted.every]
        _unrelated(paths, foreign, wanted.against, sum(v.matched for v in verdicts))


def _summary(name: str, of: Sequence[Verdict]) -> None:
    if not of:
        return
    altered, whole = [v for v in of if v.scenario.altered], [v for v in of if not v.scenario.altered]
    alarms = sum(bool(v.false) or (v.found and not v.scenario.altered) for v in of)
    print(
        f"{name}: {len(of)} pictures; matched {sum(v.matched for v in of) / len(of):.3f}; "
        f"changes found {sum(v.found for v in altered)} of {len(altered)}; "
        f"rightly nothing found {sum(v.right for v in whole)} of {len(whole)}; pictures with a false region {alarms}; "
        f"processor seconds each {np.mean([v.seconds for v in of]):.2f}"
    )


def _line(verdict: Verdict) -> str:
    registration, compared = verdict.registration, verdict.difference
    text = f"{verdict.photograph[:10]:10} {verdict.scenario.name[:42]:42}"
    if registration is None:
        return f"{text} not registered"
    text += f" conf {registration.confidence:.3f} shown {registration.shown:.2f}"
    if compared is None:
        return text
    regions = [f"{r.share:.4f}×{r.strength:.1f}{'c' if r.colour_only else ''}" for r in compared.regions[:4]]
    strongest = int(compared.strength.max()) / STRENGTH_UNIT
    return f"{text} noise {compared.noise:.1f} detail {compared.detail:.2f} max {strongest:.2f} {' '.join(regions)}"


def _unrelated(paths: Sequence[Path], foreign: Sequence[Foreign], against: int, matched: int) -> None:
    """Precision: how many of those said to match do, when foreign pictures are compared with some photographs each."""
    references = [prepare(load(path)) for path in paths]
    wrong, pairs, pictures, highest = 0, 0, 0, 0.0
    for foreigner in foreign:
        name, candidate = foreigner.name, prepare(foreigner.picture())
        pictures += 1
        for turn in range(min(against, len(paths))):
            at = (pictures + turn * max(1, len(paths) // against)) % len(paths)
            path, reference = paths[at], references[at]
            found = judged(candidate, reference)
            pairs += 1
            if found is not None:
                highest = max(highest, found.confidence)
                print("near", name, path.stem, f"{found.confidence:.3f}", flush=True)
                if found.confidence >= MATCH:
                    wrong += 1
                    print("WRONG", name, path.stem, f"{found.confidence:.3f}", flush=True)
    precision = matched / max(1, matched + wrong)
    print(
        f"distractors: {pictures} pictures, {pairs} pairs, {wrong} matched wrongly, highest confidence {highest:.3f}; "
        f"precision {precision:.4f}"
    )


if __name__ == "__main__":
    main()
