"""Takes grain and noise away by a trained network, in the master's own depth, as far as a person asks.

The network (networks/denoise.py) says what is noise; a share of it is taken from the samples, so that what is not noise
keeps every bit of its depth. Must never change a pixel that `keep` spares.
"""

from __future__ import annotations

import numpy as np

from archive_restore.imaging import network_frames
from archive_restore.imaging.inpaint import Mask, Samples
from archive_restore.imaging.network_frames import Cells, Place, Predict

BLOCK = 512
"""Longest edge of what is cleaned in one call, pixels: bounds the memory of a call."""


def clean(
    samples: Samples,
    predict: Predict,
    cells: Cells,
    place: Place,
    needed: tuple[slice, slice],
    *,
    strength: float,
    keep: Mask | None = None,
    white: float | None = None,
    inverted: bool = False,
) -> Samples:
    """Give the samples with less noise where they are needed; elsewhere as they were.

    `samples`: (H, W, 1 or 3), uint8, uint16 or float32, which lie at `place`; `needed`: rows and columns that count;
    `strength`: 0 changes nothing, 1 takes all that the network calls noise; `keep`: bool (H, W), pixels that stay;
    `white`: value of full scale, by default 255, 65535 or 1.0; `inverted`: 0 is white.
    """
    out = samples.copy()
    full = np.float32(white or (np.iinfo(samples.dtype).max if samples.dtype.kind == "u" else 1.0))
    planes = np.nan_to_num(samples.astype(np.float32).transpose(2, 0, 1) / full, posinf=1.0, neginf=0.0)
    planes = np.clip(planes, 0, 1)
    if inverted:
        planes = 1 - planes
    asked = np.full((1, *planes.shape[1:]), np.float32(strength))
    given = np.concatenate([np.broadcast_to(planes, (3, *planes.shape[1:])), asked])
    made = network_frames.run(predict, given, place, needed, cells, block=BLOCK)
    if len(planes) == 1:
        made = made.mean(0, keepdims=True)
    change = (made - planes[(slice(None), *needed)]).transpose(1, 2, 0) * full
    before = samples[needed]
    after = before.astype(np.float32) + (-change if inverted else change)
    if samples.dtype.kind == "u":
        after = np.clip(np.rint(after), 0, full)
    stays = ~np.isfinite(before.astype(np.float32))
    if keep is not None:
        stays |= keep[needed][..., None]
    out[needed] = np.where(stays, before, after.astype(samples.dtype))
    return out
