"""What verify does with clips: frames are rendered again and held against what was said, the clip against them.

1. every frame's map, decoded, has the digest that was written down, and so have all together
2. the clip has as many frames
3. some frames are rendered again: samples and map have the digests that were written down
4. the map's claim is checked on them: what it does not flag equals the still that was animated, bit for bit
5. the decoded frame of the clip lies near what was encoded
6. the sound, made again, has the digest that was written down, and the clip's sound is near it and as long
7. frames that were kept as they were before they were encoded have the digests that were written down

Steps 3 to 6 only where this program would make the same frames: a newer one proves nothing against an older clip.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from archive_restore.core.planning import PlannedStep
from archive_restore.core.synthesis_map import PixelDigest, pixel_digest
from archive_restore.errors import ArchiveRestoreError, ModelUnusable
from archive_restore.flows.animate import (
    EXACT_VIDEO,
    FRAMES_RECORD,
    LEAST_PSNR,
    MAP_VIDEO,
    Take,
    frame_psnr,
    picked_frames,
)
from archive_restore.flows.soundtrack import HEARD, SOUND, departs, sound_digest
from archive_restore.flows.story_render import StorySourceFile
from archive_restore.flows.then_now import NOW
from archive_restore.ports import Archive, ClipFrame, StoredFile
from archive_restore.records.findings import Finding, Severity
from archive_restore.records.imagery import PixelFlag
from archive_restore.records.stories import StoryDerivation


def retaken(archive: Archive, source: StorySourceFile, derivation: StoryDerivation, files: Mapping[str, StoredFile],
            device: str = "auto") -> Take:  # fmt: skip
    """The clip of a derivation, ready to be rendered again; raise as Take does."""
    handed = [m for m in derivation.materials[1:] if m.ref in files]
    documents = {m.role: files[m.ref].path.read_text("utf-8") for m in handed if m.role not in (*HEARD, NOW)}
    attachments = {m.role: files[m.ref].path for m in handed if m.role in (*HEARD, NOW)}
    steps = [PlannedStep(step=run.step, parameters=run.parameters) for run in derivation.steps]
    return Take(archive, source, steps, seed=derivation.seed, documents=documents, attachments=attachments,
                device=device, known=derivation.steps[0].survey)  # fmt: skip


def check_clip(
    archive: Archive, source: StorySourceFile, derivation: StoryDerivation, files: Mapping[str, StoredFile]
) -> Iterator[Finding]:
    """Findings about the frames of a clip whose files, record and credentials were checked already."""
    subject = str(derivation.ref)

    def error(code: str, message: str, clause: str = "") -> Finding:
        return Finding(code=code, severity=Severity.ERROR, subject=subject, message=message, clause=clause)

    said = _frames(files)
    if said is None or MAP_VIDEO not in files:
        yield error("RECORD_MISSING", f"There is no {FRAMES_RECORD} that can be read, or no {MAP_VIDEO}.", "DESIGN §4")
        return
    take, otherwise = None, made_otherwise(archive, derivation)
    if otherwise:
        message = f"Its frames were not rendered again, only its files and maps were checked: {otherwise}."
        yield Finding(
            code="CLIP_MADE_OTHERWISE", severity=Severity.WARNING, subject=subject, message=message, clause="DESIGN §4"
        )
    else:
        try:
            take = retaken(archive, source, derivation, files)
        except ArchiveRestoreError as exc:
            yield error("COULD_NOT_BE_CHECKED", f"Frames cannot be rendered again: {exc}")
            return
    meant_count = len(said) if take is None else take.clip.count
    picked = set() if take is None else set(picked_frames(meant_count))
    meant, total, count = {p.name: p.pixels_sha256 for p in derivation.products}, PixelDigest(), 0
    shown = archive.videos.frames(files[derivation.products[0].name].path)
    for flags in archive.videos.frames(files[MAP_VIDEO].path, maps=True):
        decoded = next(shown, None)
        total.update(flags)
        if count >= len(said) or decoded is None:
            count += 1
            break
        if pixel_digest(flags) != said[count][1]:
            yield error("MAP_DISAGREES", f"The map of frame {count} is not the one {FRAMES_RECORD} names.", "DESIGN §4")
        if take is not None and count in picked:
            yield from (error(*found) for found in _frame(take, count, flags, decoded, said[count]))
        count += 1
    if not count == len(said) == meant_count or next(shown, None) is not None:
        yield error("FRAMES_DISAGREE", f"Clip, maps, {FRAMES_RECORD} and recipe have different numbers of frames.")
    elif total.hexdigest() != meant.get(MAP_VIDEO):
        yield error("MAP_DISAGREES", f"The decoded {MAP_VIDEO} is not the one the derivation names.", "DESIGN §4")
    if take is not None:
        yield from (error(*found) for found in _sound(archive, take, derivation, files))
    if EXACT_VIDEO in files:
        kept = [pixel_digest(frame) for frame in archive.videos.frames(files[EXACT_VIDEO].path)]
        if kept != [shown for shown, _ in said]:
            yield error("PIXELS_DISAGREE", f"The frames in {EXACT_VIDEO} are not those {FRAMES_RECORD} names.")


def made_otherwise(archive: Archive, derivation: StoryDerivation) -> str:
    """Why this program would not make the same frames today, in words; empty where it should.

    Another version of a step, or other weights of a model, make other frames and prove nothing against the clip.
    """
    steps = archive.motion_steps()
    changed = [
        f"step {run.step} was version {run.version} and is {steps[run.step].version}"
        for run in derivation.steps
        if run.step in steps and steps[run.step].version != run.version
    ]
    for then in derivation.environment.models:
        try:
            if archive.models.card(then.name).use.sha256 != then.sha256:
                changed.append(f"model {then.name} has other weights than it had")
        except ModelUnusable:
            continue  # told when it is needed
    return "; ".join(changed)


def _sound(
    archive: Archive, take: Take, derivation: StoryDerivation, files: Mapping[str, StoredFile]
) -> Iterator[tuple[str, str, str]]:
    said = derivation.steps[0].survey.get(SOUND)
    meant = take.heard.sound
    if (said["sha256"] if isinstance(said, Mapping) else "") != ("" if meant is None else sound_digest(meant)):
        yield "SOUND_DISAGREES", "The sound made again has other samples than the derivation names.", "DESIGN §4"
        return
    problem = departs(meant, archive.videos.sound(files[derivation.products[0].name].path), 1 / take.clip.rate)
    if problem:
        yield "SOUND_DEPARTS", f"{problem[0].upper()}{problem[1:]}.", "DESIGN §4"


def _frame(
    take: Take, index: int, flags: npt.NDArray[np.uint8], decoded: npt.NDArray[np.uint8], said: tuple[str, str]
) -> Iterator[tuple[str, str, str]]:
    made = take.frame(index)
    if pixel_digest(made.samples) != said[0]:
        yield (
            "PIXELS_DISAGREE",
            f"Frame {index} rendered again has other samples than {FRAMES_RECORD} names.",
            "DESIGN §4",
        )
    if not np.array_equal(made.flags, flags):
        yield "MAP_DISAGREES", f"Frame {index} rendered again has another map than is stored.", "DESIGN §4"
        return
    wrong = untrue(take, made)
    if wrong:
        yield (
            "MAP_LIES",
            f"The map of frame {index} calls {wrong} pixels untouched that differ from the still.",
            "DESIGN §4",
        )
    if decoded.shape != made.samples.shape:
        yield "FRAME_CHANGED", f"Frame {index} of the clip has another size than was rendered.", ""
        return
    psnr = frame_psnr(made.samples, decoded)
    if psnr < LEAST_PSNR:
        yield "CLIP_DEPARTS", f"Frame {index} of the clip lies {psnr:.1f} dB from what was encoded.", "DESIGN §4"


def untrue(take: Take, frame: ClipFrame) -> int:
    """Pixels whose flags are no more than those of the still, and whose samples are not the still's.

    Where a clip shows other pictures of the item too, they may be the flags and samples of one of these. A pixel that
    is HUMAN and not more than resampled claims nothing of the still: people put it there.
    """
    (scale, _, left), (_, _, top), _ = take.clip.geometry
    same_place = scale == 1 and float(left).is_integer() and float(top).is_integer()
    rows, columns = frame.flags.shape
    if not same_place:
        # Every pixel of such a frame is resampled, and has to say so.
        return int(np.count_nonzero((frame.flags & np.uint8(0x02 | 0x40)) == 0))
    part = slice(int(top), int(top) + rows), slice(int(left), int(left) + columns)
    still, base = take.still.samples[part], take.still.flags[part]
    claimed = frame.flags == base
    true = claimed & (frame.samples == still).all(axis=2)
    for other in take.others:
        theirs = frame.flags == other.flags[part]
        true |= theirs & (frame.samples == other.samples[part]).all(axis=2)
        claimed |= theirs
    placed = (frame.flags | np.uint8(PixelFlag.RESAMPLED)) == np.uint8(PixelFlag.HUMAN | PixelFlag.RESAMPLED)
    return int(np.count_nonzero(claimed & ~true & ~placed))


def _frames(files: Mapping[str, StoredFile]) -> list[tuple[str, str]] | None:
    stored = files.get(FRAMES_RECORD)
    if stored is None:
        return None
    try:
        rows = json.loads(Path(stored.path).read_bytes())["frames"]
        return [(str(row["picture"]), str(row["map"])) for row in rows]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
