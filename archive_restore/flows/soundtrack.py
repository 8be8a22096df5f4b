"""Sound and captions of clips: taken from what was handed in, kept inside the object, and made again from there.

What is heard is part of the derivation: the digest of its samples stands in the step's survey under `sound`.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from archive_restore.core.backing import suitable
from archive_restore.core.canonical import canonical_bytes
from archive_restore.core.captions import Cue, read_captions
from archive_restore.core.score import perform
from archive_restore.core.soundtrack import LEAD, TAIL, TARGET, TOLERANCE, Silent, Soundtrack, mix, samples_of
from archive_restore.core.synthesizer import RATE, play
from archive_restore.errors import SelfCheckFailed, SourceUnreadable, UsageError
from archive_restore.flows.story_render import Attachment, Telling
from archive_restore.ports import Archive, Digests, Staging
from archive_restore.records.objects import Description
from archive_restore.records.provenance import Json, Material, Recipe, SoftwareAgent

SOUND, CAPTIONS = "sound", "captions"
"""Documents of a clip (schemas sound and captions), and members of its step's survey."""
MUSIC, VOICE, FONT = "music", "voice", "soundfont"
HEARD = (MUSIC, VOICE, FONT)
"""Roles of the files that are heard, and of what plays them."""
SCORE = "music.json"
"""A backing piece inside a clip's object."""
ERA = "era"
LONGEST = 60.0
"""Seconds of a clip."""
_SUFFIXES = {
    ".wav": "audio/wav", ".mp3": "audio/mpeg", ".flac": "audio/flac", ".ogg": "audio/ogg", ".opus": "audio/ogg",
    ".oga": "audio/ogg", ".m4a": "audio/mp4", ".mp4": "audio/mp4", ".aac": "audio/aac", ".mka": "audio/x-matroska",
    ".webm": "audio/webm", ".aif": "audio/aiff", ".aiff": "audio/aiff", ".caf": "audio/x-caf", ".wma": "audio/x-ms-wma",
}  # fmt: skip
_LEAST_LIKENESS = 0.98  # correlation of what is decoded with what was encoded


@dataclass(frozen=True, kw_only=True)
class SoundWish:
    """What a command got."""

    music: str = ""
    """`era`, a backing piece, or a file; empty for none."""
    music_rights: str = ""
    soundfont: Path | None = None
    """What plays a backing piece; None for the synthesizer of ours."""
    voice: Path | None = None
    voice_rights: str = ""
    captions: Path | None = None


@dataclass(frozen=True, kw_only=True)
class SoundTaken:
    """What is added to a story's order."""

    documents: Mapping[str, str] = field(default_factory=dict)
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ClipSound:
    """What is heard and read with a clip."""

    sound: npt.NDArray[np.int16] | None
    """(n, 2) at RATE."""
    cues: tuple[Cue, ...]
    """In milliseconds of the clip."""
    survey: Mapping[str, Json]
    notes: tuple[str, ...]


# --- taking ------------------------------------------------------------------------------------------


def take_wish(archive: Archive, wish: SoundWish, recipe: Recipe) -> tuple[Recipe, SoundTaken]:
    """Read what was handed in, once; the recipe with the length that a voice gives it.

    Raise SourceUnreadable where a file is no sound or holds no captions, UsageError where words do not fit together.
    """
    document: dict[str, Any] = {}
    documents: dict[str, str] = {}
    attachments: list[Attachment] = []
    if wish.music:
        document[MUSIC] = _music(archive, wish, attachments)
        if wish.soundfont is not None:
            if document[MUSIC]["by"] == "file":
                raise UsageError("a sound font plays backing pieces, not files", hint="Leave --soundfont out")
            archive.sounds.play_font(wish.soundfont, (), 1.0, 0)
            attachments.append(replace(_attachment(FONT, wish.soundfont), name=f"{FONT}.sf2", mime="audio/x-soundfont"))
            document[FONT] = {"name": wish.soundfont.name}
    elif wish.soundfont is not None:
        raise UsageError("--soundfont goes with --music")
    if wish.voice is not None:
        document[VOICE] = {"name": wish.voice.name, "rights": wish.voice_rights}
        recipe = _fitted(archive, wish.voice, recipe)
        attachments.append(_attachment(VOICE, wish.voice))
    elif wish.voice_rights:
        raise UsageError("--voice-rights goes with --voice FILE")
    if wish.music_rights and not wish.music:
        raise UsageError("--music-rights goes with --music FILE")
    if document:
        documents[SOUND] = canonical_bytes(document).decode()
    if wish.captions is not None:
        data = _bytes(wish.captions)
        cues = [
            {"start": cue.start, "end": cue.end, "text": cue.text} for cue in read_captions(data, wish.captions.name)
        ]
        named = {"name": wish.captions.name, "sha256": hashlib.sha256(data).hexdigest(), "cues": cues}
        documents[CAPTIONS] = canonical_bytes(named).decode()
    for name, text in documents.items():
        problem = archive.check_document(name, json.loads(text))
        if problem:
            raise SourceUnreadable(f"what was handed in does not fit schemas/{name}.schema.json: {problem}")
    return recipe, SoundTaken(documents=documents, attachments=tuple(attachments))


def _music(archive: Archive, wish: SoundWish, attachments: list[Attachment]) -> dict[str, Any]:
    known = {str(piece["id"]) for piece in archive.sounds.pieces()}
    if wish.music == ERA or wish.music in known:
        if wish.music_rights:
            raise UsageError("backing pieces say themselves why they are free", hint="Leave --music-rights out")
        if wish.music == ERA:
            return {"by": "era", "name": "", "rights": ""}
        return {"by": "piece", "name": wish.music, "rights": ""}
    path = Path(wish.music)
    if not path.is_file():
        raise UsageError(
            f"{wish.music!r} is neither a file nor a backing piece", hint=f"Pieces: era, {', '.join(sorted(known))}"
        )
    archive.sounds.read(path, 1.0)
    attachments.append(_attachment(MUSIC, path))
    return {"by": "file", "name": path.name, "rights": wish.music_rights}


def _fitted(archive: Archive, voice: Path, recipe: Recipe) -> Recipe:
    """The clip is as long as the voice with a pause on either side, unless somebody said how long it is."""
    (step,) = recipe.steps
    room = LONGEST - LEAD - TAIL
    length = len(archive.sounds.read(voice, room + 1)) / RATE
    if "seconds" in step.parameters:
        return recipe
    if length > room:
        raise UsageError(
            f"the voice in {voice.name!r} lasts more than {room:g} s, and a clip at most {LONGEST:g}",
            hint="Cut it, or give --seconds to hear its beginning",
        )
    seconds = max(1.0, math.ceil((LEAD + length + TAIL) * 10) / 10)
    return replace(recipe, steps=(replace(step, parameters={**step.parameters, "seconds": seconds}),))


def _attachment(role: str, path: Path) -> Attachment:
    suffix = path.suffix.lower() if path.suffix.lower() in _SUFFIXES else ".audio"
    return Attachment(
        role=role, path=str(path.resolve()), name=f"{role}{suffix}", sha256=hashed(path).sha256,
        mime=_SUFFIXES.get(suffix, "application/octet-stream"),
    )  # fmt: skip


def hashed(path: Path) -> Digests:
    """Size and digests of a file that was handed in; raise SourceUnreadable."""
    sha256, sha512, size = hashlib.sha256(), hashlib.sha512(), 0
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                sha256.update(block)
                sha512.update(block)
                size += len(block)
    except OSError as exc:
        raise SourceUnreadable(f"{path.name!r} cannot be read: {exc.strerror or exc}") from exc
    return Digests(size=size, sha512=sha512.hexdigest(), sha256=sha256.hexdigest())


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read((1 << 20) + 1)
    except OSError as exc:
        raise SourceUnreadable(f"{path.name!r} cannot be read: {exc.strerror or exc}") from exc


def keep_sound(
    archive: Archive, staged: Staging, telling: Telling, description: Description
) -> tuple[tuple[Material, ...], dict[str, Digests], dict[str, Path]]:
    """Put the files that are heard, or the score of a backing piece, into the object; and say where they lie."""
    stored: dict[str, Digests] = {}
    materials, places = [], {}
    for one in telling.attachments:
        digests = stored[one.name] = staged.copy_in(one.name, Path(one.path))
        if digests.sha256 != one.sha256:
            raise SourceUnreadable(f"{Path(one.path).name!r} changed while it was read", hint="Run it again")
        materials.append(_material(one.role, one.name, one.mime, digests))
        places[one.role] = staged.directory / one.name
    music = json.loads(telling.documents.get(SOUND, "{}")).get(MUSIC)
    if music is not None and music["by"] != "file":
        pieces = archive.sounds.pieces()
        identifier = music["name"]
        if music["by"] == ERA:
            identifier, _ = suitable(pieces, description.date, description.coverage)
        piece = next(piece for piece in pieces if piece["id"] == identifier)
        digests = stored[SCORE] = staged.write(SCORE, canonical_bytes(piece))
        materials.append(_material(MUSIC, SCORE, "application/json", digests))
        places[MUSIC] = staged.directory / SCORE
    return tuple(materials), stored, places


def _material(role: str, name: str, mime: str, digests: Digests) -> Material:
    return Material(
        role=role, ref=name, mime=mime, size=digests.size, sha512=digests.sha512, sha256=digests.sha256,
        pixels_sha256="",
    )  # fmt: skip


# --- making ------------------------------------------------------------------------------------------


def clip_sound(
    archive: Archive, documents: Mapping[str, Any], places: Mapping[str, Path], description: Description,
    *, frames: int, rate: int,
) -> ClipSound:  # fmt: skip
    """What is heard and read with a clip of so many frames: the same from the same files.

    Raise UsageError where there is nothing to be heard, SourceUnreadable where a file cannot be read any more.
    """
    survey: dict[str, Json] = {}
    notes: list[str] = []
    wanted = documents.get(SOUND)
    made = None
    if wanted is not None:
        made, survey[SOUND] = _sound(archive, wanted, places, description, samples_of(frames, rate), notes)
    cues: tuple[Cue, ...] = ()
    if CAPTIONS in documents:
        lead = round(1000 * LEAD) if wanted is not None and VOICE in wanted else 0
        cues = _cues(documents[CAPTIONS], lead, round(1000 * frames / rate), notes)
        survey[CAPTIONS] = {"cues": len(cues), "of": len(documents[CAPTIONS]["cues"]), "lead": lead}
    return ClipSound(sound=made.samples if made else None, cues=cues, survey=survey, notes=tuple(notes))


def _sound(
    archive: Archive, wanted: Mapping[str, Any], places: Mapping[str, Path], description: Description, count: int,
    notes: list[str],
) -> tuple[Soundtrack, Json]:  # fmt: skip
    said: dict[str, Json] = {}
    music = voice = None
    if VOICE in wanted:
        voice = archive.sounds.read(places[VOICE], count / RATE)
        if len(voice) > count - round(LEAD * RATE):
            notes.append("The voice goes on after the end of the clip and is cut.")
        said[VOICE] = {
            "name": wanted[VOICE]["name"], "rights": wanted[VOICE]["rights"], "seconds": round(len(voice) / RATE, 3),
        }  # fmt: skip
        if not wanted[VOICE]["rights"]:
            notes.append("Nobody said what rights the voice has.")
    if MUSIC in wanted:
        music, said[MUSIC] = _played(archive, wanted[MUSIC], places[MUSIC], description, count, notes, places.get(FONT))
        if FONT in wanted:
            said[FONT] = {"name": wanted[FONT]["name"]}
    try:
        made = mix(music, voice, count, archive.sounds.loudness)
    except Silent as exc:
        raise UsageError(str(exc), hint="Give a file in which something is heard") from exc
    if abs(made.loudness - TARGET) > TOLERANCE:
        raise SelfCheckFailed(
            f"the sound has {made.loudness:.1f} LUFS and not {TARGET:g}", hint="Its loud parts are too short; cut it"
        )
    said |= {
        "sha256": sound_digest(made.samples), "samples": count, "rate": RATE, "loudness": round(made.loudness, 2),
        "true_peak": round(made.true_peak, 2), "spoken": round(made.spoken, 3),
    }  # fmt: skip
    return made, said


def _played(
    archive: Archive, wanted: Mapping[str, Any], path: Path, description: Description, count: int, notes: list[str],
    font: Path | None,
) -> tuple[npt.NDArray[np.float64], Json]:  # fmt: skip
    if wanted["by"] == "file":
        sound = archive.sounds.read(path, count / RATE)
        if not wanted["rights"]:
            notes.append("Nobody said what rights the music has.")
        if len(sound) < count - RATE // 10:
            notes.append("The music ends before the clip does.")
        return sound, {"name": wanted["name"], "rights": wanted["rights"], "seconds": round(len(sound) / RATE, 3)}
    piece = json.loads(path.read_bytes())
    performance = perform(piece)
    said: dict[str, Json] = {
        "name": piece["title"], "piece": piece["id"], "composer": piece["composer"],
        "published": piece["first_published"]["year"], "rights": piece["free"],
        "seconds": round(count / RATE, 3),
    }  # fmt: skip
    if wanted["by"] == ERA:
        said["why"] = suitable([piece], description.date, description.coverage)[1]
    if font is not None:
        return archive.sounds.play_font(font, performance.notes, performance.seconds, count), said
    return play(performance.notes, performance.seconds, count), said


def sound_digest(samples: npt.NDArray[np.int16]) -> str:
    """sha256 of the samples, little-endian, left before right."""
    return hashlib.sha256(np.ascontiguousarray(samples, "<i2").tobytes()).hexdigest()


def _cues(document: Mapping[str, Any], lead: int, end: int, notes: list[str]) -> tuple[Cue, ...]:
    moved = [Cue(start=cue["start"] + lead, end=cue["end"] + lead, text=cue["text"]) for cue in document["cues"]]
    kept = tuple(replace(cue, end=min(cue.end, end)) for cue in moved if cue.start < end)
    if not kept:
        raise UsageError(f"all captions begin after the end of the clip, {end / 1000:g} s", hint="Give --seconds")
    if len(kept) < len(moved):
        notes.append(f"{len(moved) - len(kept)} captions lie after the end of the clip and are left out.")
    return kept


# --- checking ----------------------------------------------------------------------------------------


def departs(meant: npt.NDArray[np.int16] | None, heard: npt.NDArray[np.float64] | None, frame: float) -> str:
    """What of a decoded sound is not what was encoded, in words; an empty string where nothing. `frame` in seconds."""
    if meant is None or heard is None:
        return "" if meant is None and heard is None else "the clip has sound where none was meant, or none"
    if abs(len(heard) - len(meant)) > frame * RATE + 1024:  # the last block of AAC is filled up
        return f"the sound lasts {len(heard) / RATE:.3f} s and not {len(meant) / RATE:.3f}"
    count = min(len(heard), len(meant))
    one, other = meant[:count].astype(np.float64).ravel() / 32768, heard[:count].ravel()
    power = float(np.sqrt((one**2).sum() * (other**2).sum()))
    likeness = float((one * other).sum()) / power if power else 0.0
    level = math.sqrt(float((other**2).mean()) / float((one**2).mean())) if (one**2).any() else 0.0
    if likeness < _LEAST_LIKENESS or not 0.9 < level < 1.1:
        return f"the sound is not what was encoded: likeness {likeness:.3f}, level {level:.2f}"
    return ""


def sound_agents(archive: Archive, clip: ClipSound) -> tuple[SoftwareAgent, ...]:
    """The libraries that took part, none where there is no sound."""
    sound = clip.survey.get(SOUND)
    return archive.sounds.agents(font=FONT in sound) if isinstance(sound, Mapping) else ()
