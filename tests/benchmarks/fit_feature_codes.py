"""Fit the projection by which local features become short codes: `python -m tests.benchmarks.fit_feature_codes DIR`.

DIR holds photographs; what is written is archive_restore/imaging/feature_projection.py. Principal components of their
descriptors, turned so that every bit tells about as much (Gong and Lazebnik, 2011: iterative quantization).
"""

from __future__ import annotations

import base64
import sys
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from archive_restore.imaging.alignment import reduced
from archive_restore.imaging.feature_codes import BUCKET_BITS, SIGNATURE_BITS
from archive_restore.imaging.features import detect

TARGET = Path(__file__).parents[2] / "archive_restore/imaging/feature_projection.py"
EACH = 300
"""Descriptors a photograph."""


def main() -> None:
    found = []
    for path in sorted(Path(sys.argv[1]).iterdir()):
        gray = np.asarray(Image.open(path).convert("L"))
        found.append(detect(reduced(gray, 640).image, EACH).descriptors)
    descriptors = np.concatenate(found)
    print(len(descriptors), "descriptors of", len(found), "photographs")
    mean = descriptors.mean(axis=0)
    centered = descriptors - mean
    values, vectors = np.linalg.eigh(centered.T @ centered / len(centered))
    vectors = vectors[:, np.argsort(-values)]
    rng = np.random.default_rng(0)
    rows = []
    for bits in (BUCKET_BITS, SIGNATURE_BITS):
        reduced_to = centered @ vectors[:, :bits]
        turn = np.linalg.qr(rng.normal(size=(bits, bits)))[0]
        for _ in range(40):
            signs = np.sign(reduced_to @ turn)
            left, _, right = np.linalg.svd(signs.T @ reduced_to)
            turn = (left @ right).T
        rows.append((vectors[:, :bits] @ turn).T)
    projection = np.concatenate(rows)
    steps = np.abs(projection).max(axis=1, keepdims=True) / 127
    data = np.rint(projection / steps).astype(np.int8)
    # Half of the descriptors shall have each bit set.
    medians = np.median(descriptors @ data.T.astype(np.float32), axis=0)
    packed = base64.b85encode(zlib.compress(data.tobytes(), 9)).decode()
    lines = "\n".join(f'    "{packed[at : at + 100]}"' for at in range(0, len(packed), 100))
    numbers = [f"{value:.3f}," for value in medians]
    limits = "\n    ".join(" ".join(numbers[at : at + 12]) for at in range(0, len(numbers), 12))
    TARGET.write_text(HEAD + f"THRESHOLDS = (\n    {limits}\n)  # fmt: skip\n\nDIRECTIONS = (\n{lines}\n)\n")


HEAD = '''"""Directions and thresholds of feature codes: made by tests/benchmarks/fit_feature_codes.py, never edited.

Fitted on descriptors of free photographs (the same that trained the networks in `models/`); they hold no picture.
DIRECTIONS is zlib in base 85: int8 (bits, 128), rows of the bucket first.
"""

'''

if __name__ == "__main__":
    main()
