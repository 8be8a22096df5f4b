"""The record and the story never mix (promise P4): every wall is pushed at.

The storage roots, the database triggers and the import contract have their own tests beside their code.
"""

import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

from archive_restore import plugins
from archive_restore.errors import PluginRefused, SeparationViolated
from archive_restore.ports import PreservationStep, PreservationTile, StoryPicture, StoryStep
from archive_restore.records.imagery import PixelFlag
from archive_restore.records.preservation import PreservationDerivation, PreservationRef
from archive_restore.records.stories import StoryRef

BASES = {object}


class Colours(StoryStep):
    name = "colours"
    version = "1"
    summary = "s"
    flags = PixelFlag.COLORIZED

    parameters_schema = {}
    action = "c2pa.edited"
    digital_source_type = "algorithmicMedia"

    def tell(self, picture, parameters, context):
        return picture


def use(monkeypatch, group: str, name: str, value: str) -> None:
    real = plugins.entry_points

    def fake(*, group: str):
        mine = [EntryPoint(name=name, value=value, group=group)] if group == wanted else []
        return [*real(group=group), *mine]

    wanted = group
    monkeypatch.setattr(plugins, "entry_points", fake)


def test_types_share_no_base():
    for record, story in ((PreservationRef, StoryRef), (PreservationTile, StoryPicture)):
        assert set(record.__mro__) & set(story.__mro__) == BASES
    shared = set(PreservationStep.__mro__) & set(StoryStep.__mro__)
    assert {cls.__name__ for cls in shared} <= {"ABC", "object"}


def test_a_story_step_cannot_come_through_the_preservation_door(monkeypatch):
    use(monkeypatch, plugins.PRESERVATION_GROUP, "colours", "tests.test_separation:Colours")
    with pytest.raises(SeparationViolated, match="not a preservation step"):
        plugins.preservation_steps(["colours"])


def test_a_preservation_step_cannot_come_through_the_story_door(monkeypatch):
    use(monkeypatch, plugins.STORY_GROUP, "fill", "archive_restore.steps.preservation:Fill")
    with pytest.raises(SeparationViolated, match="not a story step"):
        plugins.story_steps()


def test_a_story_step_comes_through_its_own_door_when_admitted(monkeypatch):
    use(monkeypatch, plugins.STORY_GROUP, "colours", "tests.test_separation:Colours")
    own = set(plugins.story_steps())
    assert {"colorize", "complete", "enlarge"} <= own
    assert set(plugins.story_steps(["colours"])) == {*own, "colours"}
    assert not own & set(plugins.preservation_steps())


def test_a_foreign_step_is_passed_over_unless_admitted(monkeypatch):
    use(monkeypatch, plugins.PRESERVATION_GROUP, "colours", "tests.test_separation:Colours")
    assert "colours" not in plugins.preservation_steps()


def test_a_foreign_step_cannot_take_the_place_of_ours(monkeypatch):
    use(monkeypatch, plugins.PRESERVATION_GROUP, "fill", "tests.test_separation:Colours")
    with pytest.raises(PluginRefused, match="two plugins"):
        plugins.preservation_steps(["fill"])


def test_the_type_checker_refuses_a_story_where_the_record_is_wanted(tmp_path):
    program = tmp_path / "mix.py"
    program.write_text(
        "from archive_restore.ports import Archive, Staging\n"
        "from archive_restore.records.preservation import PreservationDerivation\n"
        "from archive_restore.records.stories import StoryKind, StoryRef\n"
        "def mix(archive: Archive, staged: Staging, derivation: PreservationDerivation) -> None:\n"
        "    story = StoryRef(item_id='a', kind=StoryKind.COLORIZATION, version=1)\n"
        "    archive.preservation.commit(story, staged, created='', message='', user='')\n"
        "    archive.preservation.files(story)\n"
        "    derivation.__class__(**{**derivation.__dict__, 'parent': story})\n"
        "    PreservationDerivation(parent=story)  # type: ignore[call-arg]\n"
    )
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", str(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wrong = [line for line in done.stdout.splitlines() if "StoryRef" in line]
    assert len(wrong) >= 3, done.stdout + done.stderr


def test_a_restoration_names_a_master_as_its_parent_and_nothing_else():
    assert PreservationDerivation.__dataclass_fields__["parent"].type == "MasterRef"
