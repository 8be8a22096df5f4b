"""`animate` from the command line: clips that verify and can be made again, and lies about them that are found."""

from __future__ import annotations

import io
import json
import re
import shutil
from pathlib import Path

import c2pa
import numpy as np
import pytest

from archive_restore.adapters import keys
from archive_restore.adapters.c2pa_library import offline_context
from archive_restore.adapters.video import FileVideos
from archive_restore.imaging import clip
from archive_restore.records.imagery import PixelFlag
from archive_restore.steps.motion import Animate
from tests.adapters.credential_bench import stranger
from tests.conftest import Shelf
from tests.support.archives import copy_of, empty, run
from tests.support.scans import write_scan

REGION = {"kind": "foliage", "polygon": [[20, 20], [170, 20], [170, 120], [20, 120]], "name": "the oak"}
QUICK = ("--seconds", "1", "--size", "source", "--amplitude", "0.5")


def regions(path: Path, *entries: dict, **more: object) -> Path:
    path.write_text(json.dumps({"regions": list(entries or (REGION,)), **more}))
    return path


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Shelf, dict]:
    """An archive with the item `scan`, 192×192 in 16 bits, animated once with regions; do not change it."""
    folder = tmp_path_factory.mktemp("animated")
    shelf = Shelf(root=copy_of("empty", folder / "archive", tmp_path_factory, empty), runner=run)
    shelf.ok("ingest", write_scan(folder / "scan.tif", edge=192))
    drawn = regions(folder / "drawn.json")
    (made,) = shelf.ok(
        "animate", "scan", "--regions", drawn, *QUICK, "--by", "Ada", "--reason", "wind that day", "--keep-lossless"
    )["made"]
    return shelf, made


def content(made: dict) -> Path:
    return Path(made["path"]).parent


def test_a_clip_verifies_and_is_made_again_identically(told: tuple[Shelf, dict]):
    shelf, made = told
    assert (made["ref"], Path(made["path"]).name) == ("scan/animation@1", "scan-animated-story.mp4")
    assert shelf.ok("verify")["findings"] == []
    assert shelf.ok("reproduce", made["ref"])["identical"]
    record = shelf.ok("show", made["ref"])["record"]
    assert [product["role"] for product in record["products"]] == [
        "picture", "synthesis map", "synthesis maps of the frames", "frames",
    ]  # fmt: skip
    (step,) = record["steps"]
    assert (step["survey"]["frames"], step["survey"]["loops"]) == (24, True)
    assert step["survey"]["encoding"]["psnr"] >= 38
    assert step["survey"]["moves"] == {"foliage": {"share": 0.3494, "box": [24, 24, 164, 116]}}
    assert "foliage: moves in 34.9 % of the photograph" in (content(made) / "disclosure.txt").read_text()
    assert record["people"][0]["reason"] == "wind that day"
    assert {agent["name"] for agent in record["environment"]["agents"]} >= {"PyAV", "libavcodec"}


def test_labels_that_changed_since_change_nothing_in_a_clip(told: tuple[Shelf, dict], tmp_path: Path):
    """A clip is rendered again with the words and colours that it was made with."""
    shelf, made = told
    root = tmp_path / "archive"
    shutil.copytree(shelf.root, root)
    settings = root / "archive.toml"
    text = settings.read_text("utf-8")
    changed = text.replace('language = "en"', 'language = "de"\nground = "#203040"\nink = "#ffffff"')
    assert changed != text
    settings.write_text(changed, "utf-8")
    moved = Shelf(root=root, runner=run)
    assert moved.ok("verify", made["ref"])["findings"] == []
    assert moved.ok("reproduce", made["ref"])["identical"]


def test_a_clip_of_another_version_is_not_called_tampered_with(
    told: tuple[Shelf, dict], monkeypatch: pytest.MonkeyPatch
):
    """A newer program renders other frames: that proves nothing against a clip whose files are what they were."""
    shelf, made = told
    monkeypatch.setattr(Animate, "version", "1001")
    monkeypatch.setattr(clip, "LEAST", 1.0)
    (finding,) = shelf.ok("verify", made["ref"])["findings"]
    assert (finding["code"], finding["severity"]) == ("CLIP_MADE_OTHERWISE", "warning")
    assert "step animate was version 2 and is 1001" in finding["message"]
    monkeypatch.undo()
    assert shelf.ok("verify", made["ref"])["findings"] == []


def test_its_report_says_of_each_file_and_flag_what_it_is_in_a_clip(told: tuple[Shelf, dict]):
    page = (content(told[1]) / "report.html").read_text("utf-8")
    assert "It moves; the photograph does not." in page and "uncertainty.png" not in page
    assert "made by a trained model" not in page and "moved; the motion is invented" in page
    roles = re.findall(r"<dt><bdi>([^<]*)</bdi></dt><dd><bdi>[^<]*/([^</]+)</bdi>", page)
    assert {name for role, name in roles if role == "C2PA manifest"} == {"frames.mkv.c2pa"}
    assert {"further file"}.isdisjoint(role for role, _ in roles) and len(roles) > 9


def test_others_accept_its_credentials(told: tuple[Shelf, dict]):
    shelf, made = told
    anchors = keys.load_anchors(shelf.root / "keys")
    verdict = stranger(Path(made["path"]), anchors, mime="video/mp4")
    assert verdict["validation_state"] == "Trusted"


def test_frames_kept_in_matroska_have_a_sidecar_that_others_accept(told: tuple[Shelf, dict]):
    shelf, made = told
    frames = content(made) / "frames.mkv"
    sidecar = frames.with_name("frames.mkv.c2pa").read_bytes()
    anchors, data = keys.load_anchors(shelf.root / "keys"), frames.read_bytes()
    with c2pa.Reader("application/c2pa", io.BytesIO(data), sidecar, context=offline_context(anchors)) as reader:
        store = json.loads(reader.json())
    assert (store["validation_state"], reader_title(store)) == ("Trusted", "frames.mkv")
    assert stranger(data, anchors, sidecar, mime=MIME)["validation_state"] == "Trusted"
    spoiled = bytearray(data)
    spoiled[len(data) // 2] ^= 1
    assert stranger(bytes(spoiled), anchors, sidecar, mime=MIME)["validation_state"] == "Invalid"
    audited = shelf.run("audit", frames).json
    assert "C2PA_NONE" not in {finding["code"] for finding in audited["findings"]}


MIME = "image/tiff"
"""A sidecar binds plain bytes; that reader knows no Matroska, and takes them under any name it knows."""


def reader_title(store: dict) -> str:
    return str(store["manifests"][store["active_manifest"]]["title"])


def test_maps_of_frames_say_what_moves_and_where_the_label_stands(told: tuple[Shelf, dict]):
    _, made = told
    videos = FileVideos(1)
    maps = list(videos.frames(content(made) / "synthesis-map.mkv", maps=True))
    exact = list(videos.frames(content(made) / "frames.mkv"))
    assert (len(maps), maps[0].shape, exact[0].shape) == (24, (192, 192), (192, 192, 3))
    moved = np.stack([(flags & int(PixelFlag.MOVED)) > 0 for flags in maps])
    assert moved.any()
    assert not moved[:, :15].any()
    assert not moved[:, :, :15].any()
    still = ~moved.any(axis=0)
    assert not np.ptp(np.stack(exact)[:, still], axis=0).any()
    label = (maps[0] & int(PixelFlag.HUMAN)) > 0
    assert label[-1, 0]
    assert all(np.array_equal((flags & int(PixelFlag.HUMAN)) > 0, label) for flags in maps)
    # The master has 16 bits and a frame 8: all that it shows was adjusted, and says so.
    assert ((maps[0] & int(PixelFlag.ADJUSTED)) > 0)[~label].all()


def test_the_same_seed_gives_the_same_frames(told: tuple[Shelf, dict], tmp_path: Path):
    shelf, made = told
    copied = Shelf(root=tmp_path / "archive", runner=run)
    shutil.copytree(shelf.root, copied.root)
    drawn = regions(tmp_path / "drawn.json")
    words = ("animate", "scan", "--regions", drawn, *QUICK)
    (again,) = copied.ok(*words)["made"]
    (other,) = copied.ok(*words, "--seed", "1")["made"]
    first, second, third = (json.loads((content(m) / "frames.json").read_bytes()) for m in (made, again, other))
    assert first == second
    assert first != third
    assert copied.ok(*words, "--set", "animate.ending=ease")["made"][0]["ref"] == "scan/animation@4"


@pytest.mark.parametrize(
    ("camera", "size"), [("closer", "square"), ("left", "source"), ("back", "vertical")]
)  # fmt: skip
def test_a_camera_moves(told: tuple[Shelf, dict], tmp_path: Path, camera: str, size: str):
    shelf, _ = told
    copied = Shelf(root=tmp_path / "archive", runner=run)
    shutil.copytree(shelf.root, copied.root)
    words = ("--camera", camera, "--size", size, "--seconds", "1", "--focus", "60,60,130,130")
    (made,) = copied.ok("animate", "scan", *words)["made"]
    assert copied.ok("verify", made["ref"])["findings"] == []
    assert "MOVED" in made["pixels"]
    assert not copied.ok("show", made["ref"])["record"]["steps"][0]["survey"]["loops"]


def test_a_camera_passes_what_is_near(told: tuple[Shelf, dict], tmp_path: Path):
    shelf, _ = told
    copied = Shelf(root=tmp_path / "archive", runner=run)
    shutil.copytree(shelf.root, copied.root)
    near = {"kind": "near", "polygon": [[70, 60], [120, 60], [120, 150], [70, 150]], "author": "Ada", "soft": 3}
    drawn = regions(tmp_path / "near.json", near)
    words = ("--camera", "parallax", "--seconds", "1", "--size", "source", "--travel", "0.2")
    (made,) = copied.ok("animate", "scan", "--regions", drawn, *words)["made"]
    assert copied.ok("verify", made["ref"])["findings"] == []
    assert copied.ok("reproduce", made["ref"])["identical"]
    verdict = stranger(Path(made["path"]), keys.load_anchors(copied.root / "keys"), mime="video/mp4")
    assert verdict["validation_state"] == "Trusted"
    (step,) = (record := copied.ok("show", made["ref"])["record"])["steps"]
    assert step["survey"]["loops"]
    assert list(step["survey"]["moves"]) == ["near"]
    assert record["people"][0]["what"] == "near region"
    made_up = [
        (flags & int(PixelFlag.SYNTHESIZED)) > 0
        for flags in FileVideos(1).frames(content(made) / "synthesis-map.mkv", maps=True)
    ]
    assert 0 < np.mean(made_up) < 0.1
    # Uncovered to the right of what falls behind to the left, a quarter of the loop later; and the other way round.
    sides = [np.flatnonzero(made_up[n].any(axis=0)).mean() for n in (6, 18)]
    assert sides[0] != sides[1]
    (soft,) = copied.ok("animate", "scan", *words, "--focus", "70,60,120,150")["made"]
    assert copied.ok("verify", soft["ref"])["findings"] == []
    assert "SYNTHESIZED" not in soft["pixels"]
    assert "nothing is near" in copied.run("animate", "scan", *words).err
    assert "--camera parallax" in copied.run("animate", "scan", "--regions", drawn, *QUICK).err


def test_regions_are_proposed_and_refused_until_somebody_approved_them(told: tuple[Shelf, dict], tmp_path: Path):
    shelf, _ = told
    proposal = tmp_path / "proposal.json"
    shelf.ok("animate", "scan", "--regions", "auto", "--proposal", proposal)
    assert json.loads(proposal.read_text())["proposed"] is True
    assert proposal.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    refused = shelf.run("animate", "scan", "--regions", regions(tmp_path / "drawn.json", proposed=True), *QUICK)
    assert (refused.code, "nobody approved" in refused.err) == (2, True)
    again = shelf.run("animate", "scan", "--regions", "auto", "--proposal", proposal)
    assert (again.code, "nothing is overwritten" in again.err) == (2, True)


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"kind": "speech", "polygon": [[0, 0], [9, 0], [9, 9]]}, "speech"),
        ({"kind": "foliage", "stroke": [[0, 0], [9, 0]]}, "schema"),
        ({"kind": "water", "polygon": [[900, 900], [990, 900], [990, 990]]}, "inside the picture"),
    ],
)
def test_regions_that_are_none(told: tuple[Shelf, dict], tmp_path: Path, entry: dict, says: str):
    shelf, _ = told
    refused = shelf.run("animate", "scan", "--regions", regions(tmp_path / "no.json", entry), *QUICK)
    assert refused.code != 0
    assert says in refused.err + refused.out
    assert "Traceback" not in refused.err
    missing = shelf.run("animate", "scan", "--regions", tmp_path / "nosuch.json", *QUICK)
    assert "No such file" in missing.err and "Errno" not in missing.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "nothing would move"),
        (("--camera", "closer", "--focus", "500,500,600,600"), "focus lies outside"),
        (("--camera", "closer", "--set", "animate.seconds=900"), "900"),
        (("--proposal", "x.json"), "--regions auto"),
    ],
)
def test_words_that_do_not_fit(told: tuple[Shelf, dict], words: tuple[str, ...], says: str):
    refused = told[0].run("animate", "scan", *words)
    assert refused.code != 0
    assert says in refused.err + refused.out


@pytest.mark.parametrize(
    ("harm", "codes"),
    [
        ("clip", {"FRAMES_DISAGREE"}),
        ("maps", {"MAP_DISAGREES"}),
        ("frames", {"PIXELS_DISAGREE"}),
        ("exact", {"PIXELS_DISAGREE", "C2PA_OTHER_BYTES"}),
    ],
)
def test_a_clip_that_was_changed_is_found(told: tuple[Shelf, dict], tmp_path: Path, harm: str, codes: set[str]):
    shelf, made = told
    copied = Shelf(root=tmp_path / "archive", runner=run)
    shutil.copytree(shelf.root, copied.root)
    folder = copied.root / content(made).relative_to(shelf.root)
    videos = FileVideos(1)
    victim = {
        "clip": "scan-animated-story.mp4",
        "maps": "synthesis-map.mkv",
        "frames": "frames.json",
        "exact": "frames.mkv",
    }[harm]
    (folder / victim).chmod(0o644)
    if harm == "clip":
        frames = list(videos.frames(folder / victim))
        writer = videos.create(folder / victim, (192, 192), 24, quality=10)
        for frame in frames[:-2]:
            writer.write(frame)
        writer.close()
    elif harm == "exact":
        frames = list(videos.frames(folder / victim))
        writer = videos.create_exact(folder / victim, (192, 192), 24, colour=True)
        for frame in frames:
            writer.write(frame ^ np.uint8(1))
        writer.close()
    elif harm == "maps":
        maps = list(videos.frames(folder / victim, maps=True))
        writer = videos.create_exact(folder / victim, (192, 192), 24, colour=False)
        for frame in maps:
            writer.write(frame & np.uint8(0x7F))
        writer.close()
    else:
        said = json.loads((folder / victim).read_bytes())
        said["frames"][0]["picture"] = "0" * 64
        (folder / victim).write_text(json.dumps(said))
    found = copied.run("verify", made["ref"])
    assert found.code == 1
    assert codes <= set(found.codes)
