"""Backing pieces and their sound: scores that hold together, tones in their place, loudness, silent ends."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyloudnorm
import pytest
from jsonschema import Draft202012Validator

from archive_restore.adapters import shipped
from archive_restore.core.backing import country_of, suitable
from archive_restore.core.score import Note, ScoreInvalid, perform
from archive_restore.core.soundtrack import CEILING, LEAD, Silent, limited, mix, true_peak
from archive_restore.core.synthesizer import RATE, play
from tests.conftest import Ran

SCHEMA = json.loads((shipped.shipped("schemas") / "music.schema.json").read_bytes())
PIECES = {str(piece["id"]): piece for piece in shipped.pieces()}
METER = pyloudnorm.Meter(RATE)


def loudness(sound: np.ndarray) -> float:
    with np.errstate(divide="ignore"):
        return float(METER.integrated_loudness(np.ascontiguousarray(sound)))


def tone(seconds: float, pitch: float = 440.0, strength: float = 0.3) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    return np.stack([strength * np.sin(2 * np.pi * pitch * time)] * 2, axis=1)


def score(*tune: str, **more: object) -> dict:
    return {**PIECES["yankee-doodle"], "tune": list(tune), **more}


# --- scores ------------------------------------------------------------------------------------------


def test_there_are_pieces_of_each_kind_that_are_free_and_whole():
    assert len(PIECES) >= 12
    assert {piece["kind"] for piece in PIECES.values()} >= {
        "ragtime", "parlour song", "march", "waltz", "blues", "folk tune",
    }  # fmt: skip
    assert {"CN", "JP", "US", "GB", "DE", "FR"} <= {code for p in PIECES.values() for code in p["suits"]["regions"]}
    for name, piece in PIECES.items():
        assert [error.message for error in Draft202012Validator(SCHEMA).iter_errors(piece)] == [], name
        assert (shipped.shipped("schemas").parent / f"archive_restore/music/{name}.json").is_file()
        died = piece["lived"].partition("–")[2]
        assert not died or int(died) <= 1955, name  # 70 years
        performance = perform(piece)
        assert 15 < performance.seconds < 60, name
        assert max(note.start + note.length for note in performance.notes) < performance.seconds + 1, name
        assert {33 <= note.pitch <= 96 for note in performance.notes} == {True}, name


def test_notes_are_those_that_were_written():
    tune = """"C" C ^F F F- | F/2 z/ =F (3cde | "G" g' A,, c2 |"""
    made = perform(score(tune, key="G", accompaniment="drone", tempo=60))
    notes = [note for note in made.notes if note.strength > 0.6]
    assert [note.pitch for note in notes] == [60, 66, 66, 66, 65, 72, 74, 76, 91, 45, 72]
    assert notes[3].length == pytest.approx(1.5)  # tied over the bar
    assert [round(note.length, 4) for note in notes[5:8]] == [0.6667] * 3
    assert made.seconds == pytest.approx(12.0)


@pytest.mark.parametrize(
    ("tune", "says"),
    [
        ('"C" C C C | C4 |', "bar 2 holds 0 at the end"),
        ('"C" C4 | C C C C C | C4 |', "bar 1 holds 5/4"),
        ('"C" C4 | C H C C |', "'H C C |' is no note"),
        ('"Cis" C4 |', "'Cis' is no chord"),
        ("C4 |", "no chords"),
        ('"C" C4- | D4 |', "a tie leads to another note"),
        ('"C" C4- |', "tied to nothing"),
        ('"C" C | C4 | C4', "bar 2 holds 1 at the end"),
    ],
)
def test_a_slip_of_the_pen_is_found(tune: str, says: str):
    with pytest.raises(ScoreInvalid) as told:
        perform(score(tune))
    assert says in str(told.value)


def test_the_blues_has_twelve_bars():
    piece = PIECES["frankie-and-johnny"]
    assert perform(piece).seconds == pytest.approx(12 * 4 * 60 / piece["tempo"])


# --- choice ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("date", "coverage", "piece"),
    [
        ("1905", "St. Louis, United States", "the-entertainer"),
        ("1863-07-04", "Gettysburg, USA", "battle-hymn"),
        ("1926", "Memphis, United States", "frankie-and-johnny"),
        ("ca. 1895", "London, England", "daisy-bell"),
        ("1890", "Nagasaki, Japan", "sakura"),
        ("1880", "上海", "mo-li-hua"),
        ("1938", "Shanghai, China", "dreaming-of-home"),
        ("1870", "Vienna", "blue-danube"),
        ("1920", "DE", "wiegenlied"),
        ("1860", "Paris", "au-clair-de-la-lune"),
        ("", "", "home-sweet-home"),
        ("12345", "nowhere in particular", "home-sweet-home"),
    ],
)
def test_a_piece_is_chosen_by_year_and_country(date: str, coverage: str, piece: str):
    assert suitable(list(PIECES.values()), date, coverage)[0] == piece


def test_countries():
    assert country_of("Chinatown, New York") == "US"  # whole words only
    assert country_of("New South Wales, Australia") == "AU"
    assert country_of("IN A FIELD") == ""


# --- sound -------------------------------------------------------------------------------------------


def test_a_note_sounds_at_its_pitch_decays_and_comes_out_the_same_twice():
    notes = [Note(start=0.1, length=2.0, pitch=69, strength=0.8)]
    sound = play(notes, 9.0, 3 * RATE)
    assert np.array_equal(sound, play(notes, 9.0, 3 * RATE))
    assert np.abs(sound[: RATE // 11]).max() < 1e-12
    spectrum = np.abs(np.fft.rfft(sound[RATE // 5 : RATE // 5 + RATE, 0] * np.hanning(RATE)))
    power = spectrum**2
    partials = [power[440 * n - 4 : 440 * n + 6 + n**3 // 6].sum() for n in range(1, 12)]  # stiff
    assert sum(partials) > 0.99 * power.sum()
    assert partials[0] > 3 * max(partials[3:])
    assert (spectrum[10_000:] ** 2).sum() < 1e-6 * (spectrum**2).sum()
    power = (sound**2).reshape(30, -1).sum(axis=1)
    assert power[2] > 3 * power[12] > 30 * power[27]
    assert abs(np.abs(sound).max() - 0.5) < 1e-9


@pytest.mark.parametrize("piece", ["the-entertainer", "mo-li-hua"])
def test_a_piece_is_as_loud_as_broadcasters_ask_and_neither_clips_nor_clicks(piece: str):
    performance = perform(PIECES[piece])
    count = 4 * RATE
    made = mix(play(performance.notes, performance.seconds, count), None, count, loudness)
    heard = made.samples / 32768
    assert made.samples.shape == (count, 2)
    assert abs(loudness(heard) + 23) < 0.5
    assert true_peak(heard) < -1
    assert np.abs(made.samples[[0, 1, -2, -1]]).max() <= 1  # a loop does not click
    assert np.abs(np.diff(heard, axis=0)).max() < 0.15
    assert abs(heard.mean()) < 1e-3


def test_music_steps_back_while_somebody_speaks():
    music, voice = tone(6, 220.0), np.zeros((4 * RATE, 2))
    voice[: 2 * RATE] = tone(2, 1000.0)
    count = 6 * RATE
    made = mix(music, voice, count, loudness)
    heard = made.samples[:, 0] / 32768
    time = np.exp(-2j * np.pi * 220 * np.arange(count) / RATE)

    def level(start: float) -> float:
        part = slice(round(start * RATE), round((start + 0.5) * RATE))
        return 20 * math.log10(abs((heard[part] * time[part]).mean()))

    assert 11 < level(3.7) - level(LEAD + 0.8) < 13
    assert 0.3 < made.spoken < 0.6
    assert abs(loudness(made.samples / 32768) + 23) < 0.5


def test_peaks_between_samples_are_found_and_limited():
    time = np.arange(RATE) / RATE
    wave = np.stack([np.sin(2 * np.pi * RATE / 4 * time + np.pi / 4)] * 2, axis=1)  # samples at ±0.707 only
    assert abs(true_peak(wave)) < 0.2
    loud = tone(2, 997.0, 1.4)
    assert true_peak(limited(loud)) < CEILING + 0.05
    assert np.array_equal(limited(tone(1)), tone(1))


def test_one_crack_in_a_quiet_recording_is_held_down():
    quiet = tone(3, 300.0, 0.01)
    quiet[RATE : RATE + 200] = 0.95
    made = mix(quiet, None, 3 * RATE, loudness)
    assert true_peak(made.samples / 32768) < -1
    assert abs(made.loudness + 23) < 0.5


def test_silence_is_refused():
    with pytest.raises(Silent, match="the music is silent"):
        mix(np.zeros((RATE, 2)), None, RATE, loudness)
    with pytest.raises(Silent, match="the voice is silent"):
        mix(tone(2), np.zeros((RATE, 2)), 2 * RATE, loudness)


def test_music_that_is_too_short_ends_softly():
    made = mix(tone(1), None, 3 * RATE, loudness)
    assert not made.samples[RATE:].any()
    assert np.abs(made.samples[RATE - 2]).max() < 20


def test_pieces_lie_where_the_schema_says(tmp_path: Path):
    assert [p.stem for p in sorted((Path(shipped.__file__).parent.parent / "music").glob("*.json"))] == sorted(PIECES)


def test_they_are_listed_and_shown_without_an_archive(command: Callable[..., Ran]):
    listed = command("--json", "music", "list").json["pieces"]
    assert {piece["id"] for piece in listed} == set(PIECES)
    for piece in listed:
        assert {"title", "composer", "kind", "first_published", "free", "suits"} <= piece.keys()
    shown = command("--json", "music", "show", "the-entertainer").json
    assert shown == {**PIECES["the-entertainer"], "seconds": shown["seconds"]}
    said = command("music", "show", "frankie-and-johnny").out
    assert "Ayer in 1952" in said
    assert "1920–1932: US" in said
    refused = command("music", "show", "yesterday")
    assert (refused.code, "music list" in refused.err) == (2, True)
