"""Counts which faces of hand-labelled photographs are found, missed, and what else is taken for one.

    python models/training/evaluate_faces.py [--photographs FOLDER --labels CSV]… [--overlays FOLDER] [--write]

By default the photographs of the tests with `tests/photographs/faces/faces.csv`. A CSV has the columns file, left, top,
right, bottom, note: one row a face, in pixels; every file of the folder that is not in it has no face. A face is found
where a detection's centre lies in its box and no other claims it. `--write` puts the numbers of the default run into
the cards. Times are those of one thread, after a first run.
"""

from __future__ import annotations

import argparse
import csv
import json
import resource
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from convert_faces import MODELS, card_text
from numpy.typing import NDArray
from reference_faces import ours

from archive_restore.imaging.faces import Candidate, Face, FaceNetworks, detect_faces, find_faces

PHOTOGRAPHS = MODELS.parent / "tests" / "photographs"


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Found, missed and false of one way to detect."""

    found: int = 0
    missed: int = 0
    false: int = 0

    def plus(self, other: Tally) -> Tally:
        """Both together."""
        return Tally(found=self.found + other.found, missed=self.missed + other.missed, false=self.false + other.false)


def judge(boxes: Sequence[tuple[float, ...]], labels: Sequence[tuple[float, ...]]) -> Tally:
    """Hold detections against labelled boxes, each of which is found once."""
    free = list(labels)
    false = 0
    for left, top, right, bottom in boxes:
        x, y = (left + right) / 2, (top + bottom) / 2
        hit = next((label for label in free if label[0] <= x <= label[2] and label[1] <= y <= label[3]), None)
        if hit is None:
            false += 1
        else:
            free.remove(hit)
    return Tally(found=len(labels) - len(free), missed=len(free), false=false)


def read_labels(path: Path) -> dict[str, list[tuple[float, ...]]]:
    """Read boxes by file name."""
    labels: dict[str, list[tuple[float, ...]]] = defaultdict(list)
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            labels[row["file"]].append(tuple(float(row[side]) for side in ("left", "top", "right", "bottom")))
    return labels


def draw(picture: NDArray[np.uint8], faces: Sequence[Face], path: Path) -> None:
    """Write a picture with boxes, meshes and lids, enlarged so that lids can be judged."""
    zoom = max(1, round(1600 / max(picture.shape[:2])))
    canvas = cv2.cvtColor(cv2.resize(picture, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC), cv2.COLOR_RGB2BGR)

    def at(point: tuple[float, ...]) -> tuple[int, int]:
        return round(point[0] * zoom), round(point[1] * zoom)

    for face in faces:
        cv2.rectangle(canvas, at(face.box[:2]), at(face.box[2:]), (0, 255, 0), 1)
        for point in face.mesh:
            cv2.circle(canvas, at(point), 0, (255, 255, 0), -1)
        for eye in (face.right_eye, face.left_eye):
            cv2.polylines(canvas, [np.array([at(point) for point in eye.contour])], True, (0, 0, 255), 1, cv2.LINE_AA)
            for point in eye.iris:
                cv2.circle(canvas, at(point), 1, (0, 255, 255), -1)
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), canvas)


def ways(networks: FaceNetworks) -> dict[str, Callable[[NDArray[np.uint8]], Sequence[Face | Candidate]]]:
    """Return what is compared."""
    return {
        "detector at 256": lambda picture: detect_faces(picture, networks.detector, sizes=(256,)),
        "detector at 512": lambda picture: detect_faces(picture, networks.detector, sizes=(512,)),
        "detector at 256 and 512": lambda picture: detect_faces(picture, networks.detector),
        "256, 512 and 1024, confirmed": lambda picture: find_faces(
            picture, networks, detect=lambda whole: detect_faces(whole, networks.detector, sizes=(256, 512, 1024))
        ),
        "256 and 512, confirmed": lambda picture: find_faces(picture, networks),
    }


def main() -> None:
    """Evaluate and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photographs", type=Path, action="append", default=[])
    parser.add_argument("--labels", type=Path, action="append", default=[])
    parser.add_argument("--overlays", type=Path)
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    networks = FaceNetworks(detector=ours("face-detector"), mesh=ours("face-mesh"), iris=ours("face-iris"))
    own = PHOTOGRAPHS / "faces" / "faces.csv"
    sets = [(PHOTOGRAPHS / "faces", own), (PHOTOGRAPHS / "open", own)]
    if asked.photographs:
        sets = list(zip(asked.photographs, asked.labels, strict=True))
    tallies: dict[str, Tally] = defaultdict(Tally)
    times: list[float] = []
    for folder, table in sets:
        labels = read_labels(table)
        for path in sorted([*folder.glob("*.jpg"), *folder.glob("*.png")]):
            picture = np.asarray(cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB), np.uint8)
            for way, detect in ways(networks).items():
                found = detect(picture)
                tally = judge([face.box for face in found], labels[path.name])
                tallies[way] = tallies[way].plus(tally)
            before = time.thread_time()
            faces = find_faces(picture, networks)
            times.append(time.thread_time() - before)
            print(f"{path.name}: {tally}, {times[-1] * 1000:.0f} ms")
            for face in faces:
                lids = (
                    f"open {face.right_eye.opening:.2f} {face.left_eye.opening:.2f}, {face.right_eye.width:.0f} pixels"
                )
                print(f"    flag {face.flag:.3f}, score {face.score:.2f}, turn {face.turn:.0f}, eyes {lids}")
            if asked.overlays:
                draw(picture, faces, asked.overlays / f"{path.stem}.png")
    for way, tally in tallies.items():
        print(f"{way}: {tally.found} found, {tally.missed} missed, {tally.false} false")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{np.mean(times) * 1000:.0f} ms a picture on one thread, peak {peak:.0f} MiB with torch")
    if asked.write and not asked.photographs:
        write(tallies["256 and 512, confirmed"], tallies["detector at 256 and 512"])


def write(confirmed: Tally, alone: Tally) -> None:
    """Put the numbers of the photographs that everybody has into the card of the mesh."""
    path = MODELS / "face-mesh" / "card.json"
    card: dict[str, Any] = json.loads(path.read_text("utf-8"))
    kept = [result for result in card["results"] if not result["data"].startswith("Photographs of the tests")]
    data = "Photographs of the tests (tests/photographs/faces and open); the baseline is the detector alone."
    numbers = {"Faces found": "found", "Faces missed": "missed", "Things taken for faces": "false"}
    card["results"] = [
        {"measure": measure, "value": getattr(confirmed, name), "baseline": getattr(alone, name), "data": data}
        for measure, name in numbers.items()
    ] + kept
    path.write_text(card_text(card, card["architecture"]["parameters"]["operations"]), "utf-8")


if __name__ == "__main__":
    main()
