"""Animate: a clip from a still of the archive, every frame with its map, checked before it is stored.

The clip is lossy; its map and the digests of its frames speak of what was encoded, so that anyone can render a frame
again, hold the map's claims against it, and the clip against the frame. A label stands in every frame.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from archive_restore.core.canonical import canonical_bytes, from_plain, to_plain
from archive_restore.core.clip_sheet import SHEET_CSV, SHEET_TEXT, sheet_csv, sheet_rows, sheet_text
from archive_restore.core.disclosure import caption_of
from archive_restore.core.disclosure_words import WORDS as DISCLOSURE_WORDS
from archive_restore.core.labels import built_in_language, label_kind, label_text
from archive_restore.core.model_contracts import MOVING
from archive_restore.core.planning import PlannedStep
from archive_restore.core.refs import AnyRef
from archive_restore.core.synthesis_map import PixelDigest, histogram, map_summary, pixel_digest
from archive_restore.errors import PictureUnreadable, SelfCheckFailed, UsageError
from archive_restore.flows.access_copy import chain_of
from archive_restore.flows.commit import PreparedStory, event
from archive_restore.flows.render import CELL, MAP_PNG, MODELS, environment, gather, regions_of
from archive_restore.flows.soundtrack import clip_sound, departs, keep_sound, sound_agents
from archive_restore.flows.story_render import WORDS, Room, StorySourceFile, load_source
from archive_restore.flows.tell import (
    FinishedStory,
    Finishing,
    StoryMade,
    StoryOrder,
    finish_story,
    prepared_by,
    take_documents,
)
from archive_restore.flows.then_now import NOW, THEN_VS_NOW, found_place, read_now, then_and_now
from archive_restore.imaging import faces, motion_regions
from archive_restore.imaging.access import ErrorMeter, eight_bits, shown_samples
from archive_restore.imaging.clip import warped_still
from archive_restore.imaging.engine import OVERVIEW_EDGE, bands, overview
from archive_restore.imaging.planes import upright
from archive_restore.imaging.reduce import PictureReducer, reduce_map
from archive_restore.ports import (
    Archive,
    Chapter,
    ClipFrame,
    ClipFrames,
    Digests,
    Earlier,
    FrameWriter,
    Network,
    Overview,
    Present,
    Staging,
    Still,
    StoryContext,
)
from archive_restore.records.access import EncodingError
from archive_restore.records.imagery import Geometry, PictureFacts, PixelFlag, Region, SampleRole
from archive_restore.records.labels import Corner, LabelKind, Labels
from archive_restore.records.objects import MasterRef
from archive_restore.records.provenance import Json, Material, Product, SoftwareAgent, StepRun
from archive_restore.records.stories import HumanDecision, StoryDerivation, StoryKind, StoryRef

MAP_VIDEO = "synthesis-map.mkv"
"""The map of every frame, FFV1 gray."""
FRAMES_RECORD = "frames.json"
"""Digest of every frame before it was encoded, and of its map."""
EXACT_VIDEO = "frames.mkv"
"""The frames as they were before they were encoded, where they were to be kept."""
QUALITIES = (16, 11, 6, 1)
"""Constant rate factors of the encoder: the first that brings every frame near enough."""
LEAST_PSNR = 38.0
"""How near a frame of the clip must lie to what was encoded, dB."""
WHOLLY_DRAWN = 0.95
"""Share of the picture outside of labels from which a clip that a model drew is that model's (IPTC source type)."""
RENDERED = 4
"""Frames that verify renders again: the first, the last, and others between them."""
LABELS = "labels"
"""What the settings said of labels, among the numbers that are kept with the step."""
_LABEL_WIDTH = 0.42  # of the frame's width
_LABEL_SIZE, _WORDS_SIZE = 0.6, 0.8  # of letters, relative to those of a band below the whole frame
MATROSKA = "video/x-matroska"
_ROWS = 256
_RGB = (SampleRole.RED, SampleRole.GREEN, SampleRole.BLUE)


@dataclass(frozen=True, kw_only=True)
class AnimationRendering:
    """A clip that was rendered, and all that was measured on the way."""

    size: tuple[int, int]
    count: int
    rate: int
    frames: tuple[tuple[str, str], ...]
    """sha256 of the samples and of the map of every frame."""
    pixels_sha256: str
    """Digest of all frames, one after another."""
    maps_sha256: str
    union: npt.NDArray[np.uint8]
    """Every flag that a pixel has in any frame, (h, w)."""
    encoding: EncodingError
    before: Overview
    after: Overview
    """The first frame."""
    source_pixels_sha256: str
    steps: tuple[StepRun, ...]
    networks: tuple[Network, ...]
    people: tuple[HumanDecision, ...]
    notes: tuple[str, ...]
    geometry: Geometry
    """From frame 0 to the master."""


class Take:
    """One planned clip with its label, ready to give any frame."""

    def __init__(
        self,
        archive: Archive,
        source: StorySourceFile,
        planned: Sequence[PlannedStep],
        *,
        seed: int,
        documents: Mapping[str, str],
        attachments: Mapping[str, Path] = MappingProxyType({}),
        device: str = "auto",
        known: Mapping[str, Json] = MappingProxyType({}),
    ) -> None:
        """`attachments`: files that are heard or seen, by role (flows.soundtrack, flows.then_now); `known`: the survey
        of an earlier run, for what is found once and then kept.

        Raise UsageError where parameters and documents do not fit, ModelUnusable, PictureUnreadable, SourceUnreadable.
        """
        library = archive.motion_steps()
        (plan,) = planned
        self.step = library[plan.step]
        self.networks = {name: _loaded(archive, name, device) for name in self.step.models(plan.parameters)}
        self.still, self.before, self.source_pixels_sha256 = _still(archive, source)
        self.others: list[Still] = []
        """What else of the item the clip shows, in the frame of the still."""
        self.notes: list[str] = []
        self.people: list[HumanDecision] = []
        self._named = False  # whether the upper corners say which picture is which
        # As they were when it was made: settings change, and what was rendered must come out again.
        self._words = from_plain(Labels, known[LABELS]) if LABELS in known else archive.settings.labels
        self._band = partial(archive.access.band, style=self._words.style)
        survey: dict[str, Json] = {LABELS: to_plain(self._words)}
        read = {name: json.loads(text) for name, text in documents.items()}
        context = StoryContext(
            seed=seed,
            networks=self.networks,
            documents=read,
            samples=1,
            threads=archive.settings.threads,
            new=Room(archive.work).new,
            note=survey.update,
            say=self.notes.append,
            decided=self.people.append,
            kept=lambda key, make: make(),
            earlier=lambda: self._before_and_words(archive, source),
            present=lambda: self._present(archive, source, read, attachments, known.get(NOW)),
            chapters=lambda: self._chapters(archive, source),
        )
        self.clip: ClipFrames = self.step.clip(self.still, plan.parameters, context)
        corner = self._words.style.corner
        self._right = corner in (Corner.LOWER_RIGHT, Corner.UPPER_RIGHT)
        self._upper = corner in (Corner.UPPER_LEFT, Corner.UPPER_RIGHT) and not self._named
        self.heard = clip_sound(
            archive, read, attachments, source.master.description, frames=self.clip.count, rate=self.clip.rate
        )
        survey |= self.heard.survey
        self.notes += self.heard.notes
        if self.networks:
            survey[MODELS] = tuple(self.networks)
        if self.clip.parts:
            survey["parts"] = tuple(to_plain(part) for part in self.clip.parts)
        self._run = StepRun(
            step=self.step.name,
            version=self.step.version,
            parameters=plan.parameters,
            survey=survey,
            action=self.step.action,
            digital_source_type=self.step.source_type(plan.parameters),
            pixels=0,
            description=self.clip.says or self.step.summary,
        )
        rows, columns = self.clip.size
        # What does not move is no animation: what stories it shows is what is to be said.
        kinds = {StoryKind.ANIMATION, *source.kinds} if self.clip.moves else set(source.kinds)
        what = label_kind(kinds) if kinds else LabelKind.MONTAGE
        self.label = label = label_text(what, self._words)
        texts = [(part.start, part.label) for part in self.clip.parts if part.label] or [(0, label)]
        self._labels = [(start, _corner(self._band, self.clip.size, text, _LABEL_SIZE)) for start, text in texts]
        tall, wide = (max(band.shape[side] for _, band in self._labels) for side in (0, 1))
        # Drawn now, so that a text no font can draw is refused before anything is rendered.
        self._captions = [
            (cue, _narrow(self._band(columns, rows, cue.text)[:, :columns], wide)) for cue in self.heard.cues
        ]
        if any(len(band) + tall > rows for _, band in self._captions):
            raise UsageError("there is no room for the captions in frames so small", hint="Choose another --size")

    def _before_and_words(self, archive: Archive, source: StorySourceFile) -> Earlier:
        if isinstance(source.ref, MasterRef):
            raise UsageError(
                f"nothing was made of {source.ref} that could be shown", hint="Give a restoration or story"
            )
        self._named = True
        earlier = _in_frame_of(archive, source, self.still, load_source(archive, MasterRef(item_id=source.ref.item_id)))
        self.others.append(earlier)
        labels = self._words
        said = DISCLOSURE_WORDS[built_in_language(labels.language)]
        after = label_text(label_kind(source.kinds), labels) if source.kinds else said["record_caption"]

        return Earlier(still=earlier, words=_in_corners(self._band, (said["master_caption"], after)))

    def _present(
        self,
        archive: Archive,
        source: StorySourceFile,
        read: Mapping[str, Any],
        attachments: Mapping[str, Path],
        known: Json,
    ) -> Present:
        if NOW not in attachments or THEN_VS_NOW not in read:
            raise UsageError("there is no photograph of today", hint="Give it with --now FILE")
        said, samples = read[THEN_VS_NOW], read_now(archive, attachments[NOW])
        path, place = found_place(samples, self.still, known if isinstance(known, Mapping) else {})
        assert isinstance(place, Mapping)
        texts = then_and_now(source.master.description, said["year"], self._words.language)
        words, self._named = _in_corners(self._band, texts), True
        if not said["rights"]:
            self.notes.append("Nobody said what rights the photograph of today has.")
        return Present(samples=samples, path=path, name=said["name"], facts={**said, **place}, words=words)

    def _chapters(self, archive: Archive, source: StorySourceFile) -> tuple[Chapter, ...]:
        chain = chain_of(archive, source.ref)
        chapters = []
        for length in range(len(chain) + 1):
            ref: AnyRef = chain[length - 1].ref if length else MasterRef(item_id=source.ref.item_id)
            last = length == len(chain)
            still = self.still if last else _in_frame_of(archive, source, self.still, load_source(archive, ref))
            if not last:
                self.others.append(still)
            label = caption_of(chain[:length], self._words)
            kind = "the photograph as digitized" if not length else f"its {ref.object_id.partition('/')[2]}"
            chapters.append(Chapter(still=still, says=f"{kind}, {ref}", label=label))
        return tuple(chapters)

    def run(self, pixels: int) -> StepRun:
        """The step as it ran; as it will be read back, since a step may have noted numbers of numpy's."""
        plain = to_plain(replace(self._run, pixels=pixels))
        return from_plain(StepRun, json.loads(json.dumps(plain, default=float)))

    def frame(self, index: int) -> ClipFrame:
        """A frame with its label in a corner and the caption beside it, over plain grounds: flagged HUMAN."""
        made = self.clip.frame(index)
        label = next(band for start, band in reversed(self._labels) if start <= index)
        samples, flags = made.samples.copy(), made.flags.copy()
        self._lay(samples, flags, label, 0)
        now = 1000 * index / self.clip.rate
        for cue, band in self._captions:
            if cue.start <= now < cue.end:
                self._lay(samples, flags, band, len(label))
        return ClipFrame(samples=samples, flags=flags)

    def _lay(
        self, samples: npt.NDArray[np.uint8], flags: npt.NDArray[np.uint8], band: npt.NDArray[np.uint8], away: int
    ) -> None:
        """Put a band into the corner, so many rows `away` from the edge of the frame."""
        tall, wide = band.shape[:2]
        top = away if self._upper else len(samples) - away - tall
        left = samples.shape[1] - wide if self._right else 0
        place = np.s_[top : top + tall, left : left + wide]
        samples[place] = band
        flags[place] = np.uint8(PixelFlag.HUMAN)


def _loaded(archive: Archive, name: str, device: str) -> Network:
    """A model that moves a still runs on the processor, where every frame can be made again to the last bit."""
    return archive.models.load(name, "cpu" if archive.models.card(name).card.task in MOVING else device)


def _corner(
    draw: Callable[[int, int, str], npt.NDArray[np.uint8]], size: tuple[int, int], text: str, letters: float
) -> npt.NDArray[np.uint8]:
    """A text for the corner of frames of this size, over its ground; `letters` relative to those of a whole band."""
    rows, columns = size
    wide = max(160, round(_LABEL_WIDTH * columns))
    # A band's letters grow with the geometric mean of its picture's edges.
    band = draw(wide, round(letters**2 * rows * columns / wide), text)
    return _narrow(band[:rows, :columns], 0)


def _in_corners(
    draw: Callable[[int, int, str], npt.NDArray[np.uint8]], texts: tuple[str, str]
) -> Callable[[tuple[int, int]], tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]]:
    def words(size: tuple[int, int]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
        one, other = (_corner(draw, size, text, _WORDS_SIZE) for text in texts)
        return one, other

    return words


def _narrow(band: npt.NDArray[np.uint8], least: int) -> npt.NDArray[np.uint8]:
    """A caption's band without the ground to the right of its text, as wide as the label at least."""
    inked = np.flatnonzero((band != band[0, 0]).any(axis=(0, 2)))
    if not inked.size:
        return band
    return band[:, : max(least, int(inked[-1]) + 1 + int(inked[0]))]


def prepare_animation(archive: Archive, order: StoryOrder) -> FinishedStory:
    """Render, sign and check a clip in `work/`; commit nothing. Raises as `flows.tell.prepare_story`."""
    return prepared_by(_make, archive, order)


def _make(
    archive: Archive, ref: StoryRef, source: StorySourceFile, order: StoryOrder, staged: Staging, started: str
) -> tuple[PreparedStory, StoryMade]:
    handed, documents = take_documents(staged, order.telling)
    files, kept, places = keep_sound(archive, staged, order.telling, source.master.description)
    handed, documents = (*handed, *files), documents | kept
    exact = bool(order.plan.steps[0].parameters.get("keep_lossless", False))
    take = Take(
        archive, source, order.plan.steps, seed=order.telling.seed, documents=order.telling.documents,
        attachments=places, device=order.device,
    )  # fmt: skip
    stem = f"{Path(source.master.file.name).stem}-{WORDS[ref.kind]}-story"
    unsigned, name = staged.directory / "unsigned.mp4", f"{stem}.mp4"
    rendering = _render(archive, take, source, staged.directory, exact=exact)
    rendering = _encode(archive, take, rendering, staged.directory, unsigned)
    agents = sound_agents(archive, take.heard)
    derivation = _derivation(archive, ref, source, order, handed, rendering, name, started, agents, exact=exact)
    documents |= _sheet(staged, derivation, take, source.master.description.title)
    rest = _rest(rendering, documents, beside=(EXACT_VIDEO,) if exact else ())
    return finish_story(archive, source, derivation, staged, unsigned, rest)


# --- the still ---------------------------------------------------------------------------------------


def _still(archive: Archive, source: StorySourceFile) -> tuple[Still, Overview, str]:
    """What is animated, as it is seen: 8 bits, sRGB, upright; with it the whole reduced, and the digest of its samples.

    A pixel whose samples are not those of the source any more (it had more bits, or another profile) is ADJUSTED.
    """
    facts, room = source.facts, Room(archive.work)
    if not shown_samples(facts.roles):
        raise PictureUnreadable(f"{source.ref} is neither gray nor RGB", hint="Animate gray and RGB pictures")
    shape, digest = (facts.height, facts.width), PixelDigest()
    samples, flags = room.new((*shape, 3), np.uint8), room.new(shape, np.uint8)
    space = archive.pictures.colour_space(source.path, facts) if facts.icc_sha256 else None
    with archive.pictures.open(source.path, facts) as opened:
        before = overview(opened)
        eight = opened.dtype == np.uint8 and SampleRole.GRAY_INVERTED not in facts.roles
        changed = room.new(shape, np.uint8)
        for top, bottom in bands(facts.height, _ROWS):
            rows = opened.read(Region(top=top, left=0, bottom=bottom, right=facts.width))
            digest.update(rows)
            made = eight_bits(rows, facts.roles, before.white, space)
            plain = rows[:, :, shown_samples(facts.roles)]
            changed[top:bottom] = (made != plain).any(axis=2) if eight else True
            samples[top:bottom] = made
    if not isinstance(source.ref, MasterRef):
        with archive.pictures.open_map(source.path) as synthesis_map:
            for top, bottom in bands(facts.height, _ROWS):
                region = Region(top=top, left=0, bottom=bottom, right=facts.width)
                flags[top:bottom] = synthesis_map.read(region)[:, :, 0]
    flags |= changed * np.uint8(PixelFlag.ADJUSTED)
    shown, map_shown = (np.ascontiguousarray(upright(plane, facts.orientation)) for plane in (samples, flags))
    return Still(samples=shown, flags=map_shown), before, digest.hexdigest()


def _in_frame_of(archive: Archive, source: StorySourceFile, still: Still, other: StorySourceFile) -> Still:
    """Another picture of the chain as it is seen in the frame of `source`, whose still is given.

    Interpolated where the frames are not the same.
    """
    first, _, _ = _still(archive, other)
    to_stored = stored_place(source.facts.orientation, source.facts.height, source.facts.width)
    from_stored = stored_place(other.facts.orientation, other.facts.height, other.facts.width)
    between = np.linalg.inv(np.array(other.geometry)) @ np.array(source.geometry)  # both lead to the master
    path = np.linalg.inv(np.array(from_stored)) @ between @ np.array(to_stored)
    if first.flags.shape == still.flags.shape and np.allclose(path, np.eye(3), rtol=0, atol=1e-9):
        return first
    return warped_still(first, path, still.flags.shape)


# --- rendering ---------------------------------------------------------------------------------------


def _render(
    archive: Archive, take: Take, source: StorySourceFile, directory: Path, *, exact: bool
) -> AnimationRendering:
    """Make every frame once: its map, its digests, and with `exact` its samples go to the disk."""
    clip, videos = take.clip, archive.videos
    outputs = [videos.create_exact(directory / MAP_VIDEO, clip.size, clip.rate, colour=False)]
    if exact:
        outputs.append(
            videos.create_exact(directory / EXACT_VIDEO, clip.size, clip.rate, colour=True, sound=take.heard.sound)
        )
    shown = _shown(archive, take, directory / "unsigned.mp4", QUALITIES[0])
    of_pixels, of_maps = PixelDigest(), PixelDigest()
    digests, union = [], np.zeros(clip.size, np.uint8)
    first = take.frame(0).samples
    for index in range(clip.count):
        frame = take.frame(index)
        shown.write(frame.samples)
        for output, plane in zip(outputs, (frame.flags, frame.samples), strict=False):
            output.write(plane)
        of_pixels.update(frame.samples)
        of_maps.update(frame.flags)
        digests.append((pixel_digest(frame.samples), pixel_digest(frame.flags)))
        union |= frame.flags
    for output in (*outputs, shown):
        output.close()
    every = archive.pictures.create_plane(directory / MAP_PNG, clip.size[1], clip.size[0])
    every.write(union)
    every.close()
    return AnimationRendering(
        size=clip.size,
        count=clip.count,
        rate=clip.rate,
        frames=tuple(digests),
        pixels_sha256=of_pixels.hexdigest(),
        maps_sha256=of_maps.hexdigest(),
        union=union,
        encoding=EncodingError(psnr=None, maximum=0, mean=0.0),
        before=take.before,
        after=as_overview(first),
        source_pixels_sha256=take.source_pixels_sha256,
        steps=(_typed(take.run(int(np.count_nonzero(union))), union),),
        networks=tuple(take.networks.values()),
        people=tuple(dict.fromkeys(take.people)),
        notes=tuple(dict.fromkeys(take.notes)),
        geometry=_to_master(take, source),
    )


def _typed(run: StepRun, union: npt.NDArray[np.uint8]) -> StepRun:
    """A clip of which a model drew nearly everything is that model's, and no composite."""
    composite = run.digital_source_type == "compositeWithTrainedAlgorithmicMedia"
    drawn = np.count_nonzero(union & np.uint8(PixelFlag.SYNTHESIZED))
    if not composite or drawn < WHOLLY_DRAWN * np.count_nonzero((union & np.uint8(PixelFlag.HUMAN)) == 0):
        return run
    return replace(run, digital_source_type="trainedAlgorithmicMedia")


def _shown(archive: Archive, take: Take, path: Path, quality: int) -> FrameWriter:
    """The clip as people will see and hear it."""
    clip, heard = take.clip, take.heard
    return archive.videos.create(
        path, clip.size, clip.rate, quality=quality, sound=heard.sound, captions=heard.cues
    )  # fmt: skip


def _encode(
    archive: Archive, take: Take, rendering: AnimationRendering, directory: Path, unsigned: Path
) -> AnimationRendering:
    """Read back what was written, and encode again and better while a frame lies too far from what was meant."""
    for better in (*QUALITIES[1:], None):
        error, worst = _read_back(archive, take, rendering, directory, unsigned)
        if worst >= LEAST_PSNR or better is None:
            break
        again = _shown(archive, take, unsigned, better)
        for index in range(rendering.count):
            again.write(take.frame(index).samples)
        again.close()
    if worst < LEAST_PSNR:
        raise SelfCheckFailed(
            f"a frame of the clip lies {worst:.1f} dB from what was encoded, less than {LEAST_PSNR:g}",
            hint="Please report this, with the picture",
        )
    said = replace(rendering.steps[0], survey={**rendering.steps[0].survey, "encoding": _plain(error)})
    return replace(rendering, encoding=error, steps=(said,))


def _read_back(
    archive: Archive, take: Take, rendering: AnimationRendering, directory: Path, unsigned: Path
) -> tuple[EncodingError, float]:
    """Every map must be what was meant; how far frames lie from what was encoded, over all and at worst.

    A frame a second is looked at, where the picture changes more of them, and all that verify will look at.
    """
    meter, worst, index = ErrorMeter(), 99.0, -1
    every = max(1, rendering.rate // 8) if take.clip.parts else rendering.rate
    looked = {*range(0, rendering.count, every), *picked_frames(rendering.count)}
    pairs = zip(
        archive.videos.frames(unsigned), archive.videos.frames(directory / MAP_VIDEO, maps=True), strict=True
    )  # fmt: skip
    try:
        for index, (shown, flags) in enumerate(pairs):
            if index >= rendering.count or pixel_digest(flags) != rendering.frames[index][1]:
                raise SelfCheckFailed(f"the map of frame {index} read back differs", hint="Check the disk")
            if index in looked:
                meant = take.frame(index).samples
                worst = min(worst, frame_psnr(meant, shown))
                meter.add(meant, shown)
    except ValueError as exc:
        raise SelfCheckFailed("clip and maps differ in their frames when read back", hint="Check the disk") from exc
    if index + 1 != rendering.count:
        raise SelfCheckFailed(f"the clip has {index + 1} frames of {rendering.count}", hint="Check the disk")
    problem = departs(take.heard.sound, archive.videos.sound(unsigned), 1 / rendering.rate)
    if problem:
        raise SelfCheckFailed(f"{problem}, read back", hint="Please report this, with what was to be heard")
    return meter.result(), worst


def picked_frames(count: int) -> tuple[int, ...]:
    """The frames that verify renders again."""
    return tuple(int(index) for index in np.linspace(0, count - 1, RENDERED))


def frame_psnr(meant: npt.NDArray[np.uint8], shown: npt.NDArray[np.uint8]) -> float:
    """Peak signal-to-noise ratio of a decoded frame, dB; 99 where nothing differs. Raise ValueError as ErrorMeter."""
    meter = ErrorMeter()
    meter.add(meant, shown)
    psnr = meter.result().psnr
    return 99.0 if psnr is None else psnr


def _plain(error: EncodingError) -> dict[str, Json]:
    return {"psnr": error.psnr, "maximum": error.maximum, "mean": error.mean}


def as_overview(samples: npt.NDArray[np.uint8]) -> Overview:
    """A frame reduced, for those who show it."""
    height, width = samples.shape[:2]
    facts = PictureFacts(
        width=width, height=height, samples=3, bits=8, sample_format="uint", roles=_RGB, photometric="rgb",
        compression="h264", layout="whole", pages=1,
    )  # fmt: skip
    reducer = PictureReducer(width, height, 3, OVERVIEW_EDGE)
    reducer.add(samples)
    return Overview(facts=facts, reduced=reducer.result(), scale=reducer.scale, white=255.0, samples=())


def _to_master(take: Take, source: StorySourceFile) -> Geometry:
    """From frame 0 to the master: through the still as it is seen, and as it is stored."""
    facts = source.facts
    turned = stored_place(facts.orientation, facts.height, facts.width)
    # Fewer digits than a float has: readers of the manifest do not keep the last one.
    whole = (np.array(source.geometry) @ np.array(turned) @ np.array(take.clip.geometry)).round(9)
    first, second, third = ((float(row[0]), float(row[1]), float(row[2])) for row in whole)
    return first, second, third


def stored_place(orientation: int, height: int, width: int) -> Geometry:
    """From pixel centres of a picture as it is seen to those of it as it is stored (TIFF 6.0 §8, Orientation).

    `height` and `width` are the stored picture's.
    """
    right, bottom = width - 1.0, height - 1.0
    rows = {
        1: ((1, 0, 0), (0, 1, 0)), 2: ((-1, 0, right), (0, 1, 0)), 3: ((-1, 0, right), (0, -1, bottom)),
        4: ((1, 0, 0), (0, -1, bottom)), 5: ((0, 1, 0), (1, 0, 0)), 6: ((0, 1, 0), (-1, 0, bottom)),
        7: ((0, -1, right), (-1, 0, bottom)), 8: ((0, -1, right), (1, 0, 0)),
    }[orientation]  # fmt: skip
    (a, b, c), (d, e, f) = rows
    return (float(a), float(b), float(c)), (float(d), float(e), float(f)), (0.0, 0.0, 1.0)


# --- records -----------------------------------------------------------------------------------------


def _derivation(
    archive: Archive,
    ref: StoryRef,
    source: StorySourceFile,
    order: StoryOrder,
    handed: tuple[Material, ...],
    rendering: AnimationRendering,
    name: str,
    started: str,
    agents: tuple[SoftwareAgent, ...],
    *,
    exact: bool,
) -> StoryDerivation:
    rows, columns = rendering.size
    picture = Product(
        role="picture", name=name, mime="video/mp4", width=columns, height=rows, dtype="|u1", samples=3,
        pixels_sha256=rendering.pixels_sha256,
    )  # fmt: skip
    plane = replace(
        picture, role="synthesis map", name=MAP_PNG, mime="image/png", samples=1,
        pixels_sha256=pixel_digest(rendering.union),
    )  # fmt: skip
    maps = replace(
        plane, role="synthesis maps of the frames", name=MAP_VIDEO, mime=MATROSKA, pixels_sha256=rendering.maps_sha256
    )
    kept = (replace(picture, role="frames", name=EXACT_VIDEO, mime=MATROSKA),) if exact else ()
    summary = map_summary(
        histogram(rendering.union),
        width=columns,
        height=rows,
        sha256=plane.pixels_sha256,
        master_sha256=source.master.file.sha256,
        master_pixels_sha256=source.master_pixels_sha256 or rendering.source_pixels_sha256,
        geometry=rendering.geometry,
    )
    detail = f"recipe {order.plan.recipe.name} on {source.ref}"
    made_with = environment(archive, rendering.networks, source.facts, ref.kind.value)
    return StoryDerivation(
        derivation_id=uuid.uuid4().urn,
        ref=ref,
        parent=source.ref,
        materials=(replace(source.material, pixels_sha256=rendering.source_pixels_sha256), *handed),
        recipe=order.plan.recipe,
        steps=rendering.steps,
        seed=order.telling.seed,
        samples=1,
        products=(picture, plane, maps, *kept),
        alternatives=(),
        map=summary,
        environment=replace(made_with, agents=(*made_with.agents, *archive.videos.agents(), *agents)),
        people=(*order.people, *rendering.people),
        notes=rendering.notes,
        started=started,
        ended=archive.clock.now(),
        events=(event(archive, "creation", str(ref), detail),),
    )


def _sheet(staged: Staging, derivation: StoryDerivation, take: Take, title: str) -> dict[str, Digests]:
    """What a broadcaster says with the clip, and when."""
    rate = take.clip.rate
    rows = sheet_rows(
        derivation, frames=take.clip.count, rate=rate, title=title, label=take.label, cues=take.heard.cues
    )  # fmt: skip
    return {
        SHEET_CSV: staged.write(SHEET_CSV, sheet_csv(rows, rate).encode()),
        SHEET_TEXT: staged.write(SHEET_TEXT, sheet_text(rows, rate).encode()),
    }


def _rest(rendering: AnimationRendering, documents: Mapping[str, Digests], *, beside: tuple[str, ...]) -> Finishing:
    """What is left to be said of a clip."""
    rows, columns = rendering.size
    cells = np.zeros((-(-rows // CELL), -(-columns // CELL)), np.int64)
    gather(cells, rendering.union != 0, 0)
    frames = [{"picture": shown, "map": flags} for shown, flags in rendering.frames]
    return Finishing(
        before=rendering.before,
        after=rendering.after,
        flags=reduce_map(rendering.union, OVERVIEW_EDGE),
        regions=[place.region for place in regions_of(cells, rendering.after.facts)],
        documents=documents,
        records={FRAMES_RECORD: canonical_bytes({"frames": frames, "rate": rendering.rate})},
        beside=beside,
    )


# --- proposals ---------------------------------------------------------------------------------------


def propose_regions(archive: Archive, ref: AnyRef, device: str = "auto") -> tuple[dict[str, Any], bytes]:
    """Regions of a picture that look as if they moved: a document of schema `motion`, and a PNG that shows them.

    The document says that nobody approved it, and `animate` refuses it until somebody did.
    """
    source = load_source(archive, ref)
    still, _, _ = _still(archive, source)
    luma = np.asarray(still.samples.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32) / 255, np.float32)
    networks = {part: archive.models.load(name, device) for part, name in faces.MODELS.items()}
    seen = faces.find_faces(luma, faces.FaceNetworks(**{part: network.predict for part, network in networks.items()}))
    proposed = motion_regions.propose(luma, [_around(face) for face in seen])
    regions = [
        {
            "kind": one.kind,
            "polygon": [[round(x, 1), round(y, 1)] for x, y in one.polygon],
            "certainty": one.certainty,
        }
        for one in proposed
    ]
    shown = motion_regions.outlined(still.samples, proposed)
    return {"proposed": True, "regions": regions}, archive.documents.picture(shown)


def _around(face: faces.Face) -> Region:
    left, top, right, bottom = (round(edge) for edge in face.box)
    return Region(top=top, left=left, bottom=bottom, right=right)
