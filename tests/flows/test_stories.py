"""Stories: told from anything, checked like the record, and never part of it (promises P2, P3, P4, P8)."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from archive_restore.adapters.c2pa_library import read_store
from archive_restore.adapters.catalog import open_catalog
from archive_restore.adapters.icc import colour_space, srgb
from archive_restore.adapters.shipped import check_document
from archive_restore.app import open_archive
from archive_restore.core import story_claims
from archive_restore.core.story_claims import outcome_statement
from archive_restore.errors import ArchiveRestoreError, SelfCheckFailed, StorageFailed
from archive_restore.flows import story_render, tell
from archive_restore.flows.reproduce import reproduce
from archive_restore.flows.story_render import Room, Telling
from archive_restore.flows.tell import prepare_story
from archive_restore.ports import StoryContext, StoryPicture
from archive_restore.records.imagery import PixelFlag
from archive_restore.records.stories import StoryDerivation, StoryKind, StoryRef
from tests.adapters.credential_bench import stranger
from tests.conftest import Shelf
from tests.support.archives import copy_of, restored, run
from tests.support.scans import picture as scan
from tests.support.stories import Act, order, telling, tint, told, twice

ENHANCEMENT, COLORIZATION = StoryKind.ENHANCEMENT, StoryKind.COLORIZATION


@pytest.fixture
def shelf(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """An archive with the items `one` and `two`, each restored."""
    return Shelf(root=copy_of("restored", tmp_path / "archive", tmp_path_factory, restored), runner=run)


def contents(shelf: Shelf) -> dict[str, str]:
    with closing(open_catalog(shelf.root / "catalog.sqlite")) as catalog:
        return dict(catalog.contents())


def objects(shelf: Shelf, root: str) -> set[str]:
    inventories = [path for path in (shelf.root / root).rglob("inventory.json") if path.parent.name[0] != "v"]
    return {json.loads(path.read_bytes())["id"] for path in inventories}


def errors(shelf: Shelf, *words: str) -> set[tuple[str, str]]:
    ran = shelf.run("verify", *words)
    assert "Traceback" not in ran.out + ran.err
    return {(f["code"], f["subject"]) for f in ran.json["findings"] if f["severity"] == "error"}


# --- the chain ---------------------------------------------------------------------------------------


def test_a_chain_of_stories_holds_from_end_to_end(shelf: Shelf):
    told(shelf.root, COLORIZATION, "one/restoration@2", tint)
    told(shelf.root, ENHANCEMENT, "one/colorization@1", twice)
    last = told(
        shelf.root, COLORIZATION, "one/enhancement@1",
        lambda picture, _: replace(picture, flags=picture.flags | np.uint8(PixelFlag.HUMAN)),
    )  # fmt: skip
    assert last.ref == "one/colorization@2"
    found = shelf.ok("verify", "--all")
    assert found["findings"] == []
    assert shelf.ok("list")["items"][0]["derivatives"] == [
        "one/colorization@1", "one/colorization@2", "one/enhancement@1", "one/restoration@1", "one/restoration@2",
    ]  # fmt: skip
    assert objects(shelf, "stories") == {"one/colorization", "one/enhancement"}
    assert not any("colorization" in name or "enhancement" in name for name in objects(shelf, "preservation"))
    meant = contents(shelf)
    shelf.ok("catalog", "rebuild")
    assert contents(shelf) == meant
    assert shelf.ok("show", "one/colorization@2")["record"]["parent"]["kind"] == "enhancement"


def test_the_chain_of_manifests_is_accepted_by_a_stranger(shelf: Shelf):
    told(shelf.root, COLORIZATION, "one/restoration@2", tint)
    last = told(shelf.root, ENHANCEMENT, "one/colorization@1", twice)
    data = last.path.read_bytes()
    judged = stranger(data, (shelf.root / "keys" / "anchors.pem").read_text())
    assert (judged["validation_state"], judged["hard_binding"]) == ("Trusted", "match")
    assert not judged["validation_results"].get("failure")
    for manifest in ("one.tif", "one-restoration.tif", "one-colorized-story.tif", "one-enhanced-story.tif"):
        assert manifest.encode() in data
    assert b"compositeWith" not in data  # no trained model took part


def test_colour_made_of_gray_is_rgb_of_the_same_depth_with_a_profile(shelf: Shelf):
    made = told(shelf.root, COLORIZATION, "one", tint)
    with tifffile.TiffFile(made.path) as tiff:
        page = tiff.pages[0]
        samples, profile, flags = page.asarray(), page.tags[34675].value, page.pages[0].asarray()
        assert (page.photometric.name, samples.dtype, samples.shape) == ("RGB", np.uint16, (64, 64, 3))
        assert page.tags["XResolution"].value[0] / page.tags["XResolution"].value[1] == 600
    master = scan(seed=1)
    assert (samples[flags == 0] == master[flags == 0][:, None]).all()
    assert (flags != 0).sum() == 32 * 32
    space = colour_space(profile, "p", gray=False)
    assert space is not None
    assert np.abs(space.curve - srgb().curve).max() < 1e-4
    assert made.path.name == "one-colorized-story.tif"


def test_the_record_says_everything(shelf: Shelf):
    hints = json.dumps({"hints": []})
    made = told(shelf.root, COLORIZATION, "one", tint, Telling(documents={"hints": hints}))
    files = shelf.files(made.ref)
    assert set(files) >= {
        "one-colorized-story.tif", "synthesis-map.png", "synthesis-map.json", "uncertainty.png", "derivation.json",
        "premis.xml", "report.html", "thumbnail.jpg", "thumbnail-master.jpg", "hints.json",
    }  # fmt: skip
    assert files["hints.json"].read_text() == hints
    record = json.loads(files["derivation.json"].read_bytes())
    assert check_document("story-derivation", record) == ""
    assert [m["role"] for m in record["materials"]] == ["parent", "hints"]
    assert record["notes"] == ["Only the middle was coloured."]
    page = files["report.html"].read_text()
    assert "This is a story, not a record." in page
    assert "Only the middle was coloured." in page


def test_a_map_follows_its_picture_through_an_enlargement(shelf: Shelf):
    told(shelf.root, COLORIZATION, "one/restoration@2", tint)
    made = told(shelf.root, ENHANCEMENT, "one/colorization@1", twice)
    with tifffile.TiffFile(made.path) as tiff:
        flags = tiff.pages[0].pages[0].asarray()
        resolution = tiff.pages[0].tags["XResolution"].value
    assert resolution[0] / resolution[1] == 1200
    summary = json.loads(shelf.files(made.ref)["synthesis-map.json"].read_bytes())
    assert summary["geometry"] == [[0.5, 0, -0.25], [0, 0.5, -0.25], [0, 0, 1]]
    assert (flags & PixelFlag.RESAMPLED).all()
    assert ((flags & PixelFlag.COLORIZED) != 0).sum() == 4 * 32 * 32
    assert ((flags & PixelFlag.INTERPOLATED) != 0).any() or ((flags & PixelFlag.SYNTHESIZED) != 0).any()


def test_made_again_it_is_the_same_and_chance_is_found_out(shelf: Shelf):
    chance = iter(range(100))

    def noisy(picture: StoryPicture, context: StoryContext) -> StoryPicture:
        made = twice(picture, context)
        samples = np.array(made.samples)
        samples[3, 4] ^= next(chance)
        return replace(made, samples=samples)

    first = told(shelf.root, COLORIZATION, "one", tint)
    second = told(shelf.root, ENHANCEMENT, "one", noisy)
    with telling(shelf.root, tint) as archive:
        assert reproduce(archive, StoryRef(item_id="one", kind=COLORIZATION, version=1)).identical
    with telling(shelf.root, noisy) as archive:
        again = reproduce(archive, StoryRef(item_id="one", kind=ENHANCEMENT, version=1))
    assert (first.ref, second.ref) == ("one/colorization@1", "one/enhancement@1")
    assert not again.identical
    assert again.pixels_different == 1
    assert again.map_identical


def several(picture: StoryPicture, context: StoryContext) -> StoryPicture:
    made = tint(picture, context)
    others = []
    for number in range(1, context.samples):
        other = np.array(made.samples)
        other[20:24, 20:24, 0] -= np.uint16(257 * number)
        others.append(other)
    return replace(made, alternatives=tuple(others))


def test_other_outcomes_are_stored_with_their_disagreement(shelf: Shelf):
    made = told(shelf.root, COLORIZATION, "one", several, Telling(samples=3))
    assert [path.name for path in made.alternatives] == [
        "one-colorized-story-alternative-1.tif", "one-colorized-story-alternative-2.tif",
    ]  # fmt: skip
    apart = tifffile.imread(made.alternatives[1])[..., 0].astype(int) - tifffile.imread(made.path)[..., 0]
    assert (apart[20:24, 20:24] == -514).all()
    from PIL import Image

    plane = np.asarray(Image.open(shelf.files(made.ref)["disagreement.png"]))
    assert (plane[20:24, 20:24] == 2).all()
    assert np.count_nonzero(plane) == 16
    assert shelf.ok("verify", made.ref)["findings"] == []
    with telling(shelf.root, several) as archive:
        assert reproduce(archive, StoryRef(item_id="one", kind=COLORIZATION, version=1)).identical
    for number, path in enumerate((made.path, *made.alternatives), 1):
        said, parents = manifest_of(shelf, path)
        assert (said["outcome"], said["of"], said["seed"], said["file"]) == (number, 3, 0, path.name)
        assert f"outcome {number} of 3" in said["note"]
        assert parents == ["one"]
    report = shelf.files(made.ref)["report.html"].read_text("utf-8")
    assert "3 outcomes were drawn" in report
    assert report.lower().count("another outcome, signed like this one") == 2


def manifest_of(shelf: Shelf, path: Path) -> tuple[dict[str, Any], list[str]]:
    """What a signed outcome says of being one of several, and its parents, as two implementations read them."""
    roots = (shelf.root / "keys" / "anchors.pem").read_text()
    verdict = stranger(path, roots)
    assert (verdict["validation_state"], verdict["hard_binding"]) == ("Trusted", "match"), verdict
    store = read_store(path, "image/tiff", None, roots)
    assert store is not None and store.state == "Trusted"
    parents = [one["title"] for one in store.manifest["ingredients"] if one["relationship"] == "parentOf"]
    return dict(store.assertions["org.archive-restore.outcome"]), parents


def test_an_outcome_that_was_exchanged_or_changed_is_found(shelf: Shelf, monkeypatch: pytest.MonkeyPatch):
    def exchanged(copied: StoryDerivation, outcome: int) -> dict[str, Any]:
        return outcome_statement(copied, {1: 2, 2: 1}.get(outcome, outcome))

    with monkeypatch.context() as lying:
        lying.setattr(story_claims, "outcome_statement", exchanged)
        made = told(shelf.root, COLORIZATION, "one", several, Telling(samples=3))
    wrong = {(code, subject) for code, subject in errors(shelf, made.ref)}
    names = [path.name for path in made.alternatives]
    assert wrong == {("C2PA_DERIVATION_DISAGREES", f"{made.ref} {name}") for name in names}
    swapped = bytearray(made.alternatives[0].read_bytes())
    swapped[2000] ^= 1
    made.alternatives[0].chmod(0o644)
    made.alternatives[0].write_bytes(swapped)
    assert ("C2PA_OTHER_BYTES", f"{made.ref} {names[0]}") in errors(shelf, made.ref)


def test_outcomes_from_before_they_were_signed_are_told_and_no_error(shelf: Shelf, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(story_claims, "outcome_statement", lambda *_: {})
    made = told(shelf.root, COLORIZATION, "one", several, Telling(samples=2))
    (found,) = shelf.ok("verify", made.ref)["findings"]
    assert (found["code"], found["severity"]) == ("OUTCOME_UNSIGNED", "warning")


def test_an_audit_says_which_outcome_a_file_is(shelf: Shelf):
    made = told(shelf.root, COLORIZATION, "one", several, Telling(samples=2))
    found = {one["code"]: one for one in shelf.ok("audit", str(made.alternatives[0]))["findings"]}
    assert "outcome 2 of 2" in found["AUDIT_ONE_OF_SEVERAL"]["message"]
    assert "AUDIT_CLAIMS_CHECKED" in found


# --- lies --------------------------------------------------------------------------------------------


def changed(where: tuple[int, int], step: int = 4000, flag: int = 0) -> Act:
    """Another value at one pixel of an otherwise untouched picture."""

    def act(picture: StoryPicture, context: StoryContext) -> StoryPicture:
        samples, flags = np.array(picture.samples), np.array(picture.flags)
        samples[where] = samples[where] // 2 + step
        flags[where] |= flag
        return replace(picture, samples=samples, flags=flags)

    return act


def tinted(where: tuple[int, ...], value: int, flag: int | None = None) -> Act:
    """As `tint`, and one sample is something else."""

    def act(picture: StoryPicture, context: StoryContext) -> StoryPicture:
        made = tint(picture, context)
        made.samples[where] = value
        if flag is not None:
            made.flags[where[:2]] = flag
        return made

    return act


def forgetful(picture: StoryPicture, context: StoryContext) -> StoryPicture:
    return replace(picture, flags=np.zeros_like(picture.flags))


def bold(picture: StoryPicture, context: StoryContext) -> StoryPicture:
    return replace(twice(picture, context), flags=np.zeros((128, 128), np.uint8))


def shifted(picture: StoryPicture, context: StoryContext) -> StoryPicture:
    return replace(twice(picture, context), geometry=((0.5, 0, 0), (0, 0.5, 0), (0, 0, 1)))


LIES: dict[str, tuple[StoryKind, str, Act, str]] = {
    "a changed pixel called original": (ENHANCEMENT, "one", changed((5, 6)), "MAP_LIES"),
    "another value in one of three channels": (COLORIZATION, "one", tinted((2, 3, 1), 7), "MAP_LIES"),
    "colour that is lighter than the photograph": (COLORIZATION, "one", tinted((30, 30, 1), 60000), "MAP_LIES"),
    "colour that takes the flag away": (COLORIZATION, "one", tinted((30, 30, 0), 60000, 0), "MAP_LIES"),
    "an untouched pixel of a restoration changed": (
        COLORIZATION, "one/restoration@2", changed((30, 32), 100), "MAP_LIES",
    ),
    "a flag of the restoration dropped": (ENHANCEMENT, "one/restoration@2", forgetful, "MAP_FLAG_LOST"),
    "an enlarged pixel called original": (ENHANCEMENT, "one", bold, "MAP_LIES"),
    "a colorization that filters": (
        COLORIZATION, "one", changed((5, 6), flag=int(PixelFlag.FILTERED)), "MAP_FLAG_NOT_ALLOWED",
    ),
    "a still that moves": (ENHANCEMENT, "one", changed((5, 6), flag=int(PixelFlag.MOVED)), "MAP_FLAG_NOT_ALLOWED"),
    "a map that lies elsewhere": (ENHANCEMENT, "one", shifted, "FRAME_CHANGED"),
    "a colorization in another frame": (COLORIZATION, "one", twice, "MAP_LIES"),
}  # fmt: skip


@pytest.mark.parametrize("name", LIES)
def test_a_story_that_lies_is_not_stored(shelf: Shelf, name: str):
    kind, source, act, _ = LIES[name]
    with pytest.raises(SelfCheckFailed):
        told(shelf.root, kind, source, act)
    assert objects(shelf, "stories") == set()
    assert shelf.ok("verify", "--all")["findings"] == []


@pytest.mark.parametrize("name", LIES)
def test_a_story_that_lies_is_found_out_whoever_signed_it(shelf: Shelf, name: str, monkeypatch: pytest.MonkeyPatch):
    kind, source, act, code = LIES[name]
    monkeypatch.setattr(tell, "_check_stored", lambda *_: None)
    monkeypatch.setattr(story_render, "_check", lambda *_: None)
    made = told(shelf.root, kind, source, act)
    found = errors(shelf, "--all")
    assert (code, made.ref) in found
    assert {subject for _, subject in found} == {made.ref}
    assert errors(shelf, made.ref) == found


def test_a_record_that_names_another_parent_is_found_out(shelf: Shelf, monkeypatch: pytest.MonkeyPatch):
    honest = tell._derivation

    def lying(*words: object) -> object:
        derivation = honest(*words)  # type: ignore[arg-type]
        other = replace(derivation.materials[0], sha512="0" * 128, sha256="0" * 64)
        return replace(derivation, materials=(other, *derivation.materials[1:]))

    monkeypatch.setattr(tell, "_derivation", lying)
    made = told(shelf.root, COLORIZATION, "one", tint)
    assert ("STORY_OF_ANOTHER_SOURCE", made.ref) in errors(shelf)


# --- the record stays apart --------------------------------------------------------------------------


@pytest.mark.parametrize("ref", ["one/colorization", "one/colorization@1"])
def test_a_restoration_never_takes_a_story(shelf: Shelf, ref: str):
    told(shelf.root, COLORIZATION, "one", tint)
    ran = shelf.run("restore", ref)
    assert ran.code == 2
    assert "made from the master" in ran.json["error"]["message"]


def test_the_catalog_refuses_a_story_as_ingredient_of_the_record(shelf: Shelf):
    told(shelf.root, COLORIZATION, "one", tint)
    with open_archive(shelf.root, write=True) as archive:
        record = archive.catalog.derivation(story_free("one"))
        assert record is not None
        bad = replace(record, materials=(*record.materials, replace(record.materials[0], ref="one/colorization@1")))
        with pytest.raises(ArchiveRestoreError, match="story"):
            archive.catalog.add_preservation(bad, ())


def story_free(item_id: str):
    from archive_restore.records.preservation import PreservationKind, PreservationRef

    return PreservationRef(item_id=item_id, kind=PreservationKind.RESTORATION, version=1)


# --- accidents ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["log", "catalog"])
def test_a_story_whose_commit_was_cut_short_is_finished_by_the_next_command(shelf: Shelf, step: str):
    def broken(*_: object) -> None:
        raise KeyboardInterrupt

    with telling(shelf.root, tint) as archive, pytest.raises(KeyboardInterrupt), pytest.MonkeyPatch.context() as patch:
        place, name = {"log": (archive.log, "append"), "catalog": (archive.catalog, "add_story")}[step]
        patch.setattr(place, name, broken)
        tell.tell(archive, order(COLORIZATION, "one"))
    assert shelf.ok("verify", "--all")["findings"] == []
    assert "one/colorization@1" in shelf.ok("list")["items"][0]["derivatives"]


def test_a_story_that_fails_leaves_nothing_behind(shelf: Shelf):
    def failing(picture: StoryPicture, context: StoryContext) -> StoryPicture:
        raise OSError(28, "No space left on device")

    with telling(shelf.root, failing) as archive, pytest.raises(StorageFailed, match="No space left"):
        prepare_story(archive, order(ENHANCEMENT, "one"))
    assert {path.name for path in (shelf.root / "work").iterdir()} <= {"lock", "journal", "readers"}
    assert shelf.ok("verify", "--all")["findings"] == []


def test_room_for_large_arrays_lies_in_files_that_nobody_sees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    room = Room(tmp_path)
    small, large = room.new((4, 5), np.uint8), room.new((3000, 4000, 3), np.uint8)
    assert type(small) is np.ndarray
    assert isinstance(large, np.memmap)
    assert not large.any()
    large[2999, 3999] = 7
    assert list(tmp_path.iterdir()) == []

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(story_render.os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space"):
        room.new((3000, 4000, 3), np.uint8)
