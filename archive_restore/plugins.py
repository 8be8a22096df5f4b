"""Steps by entry point, loaded when wanted, through doors that never lead to the same room (promise P4).

The built-in steps use the same doors. Steps of other packages load only when archive.toml names them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points

from archive_restore.errors import PluginRefused, SeparationViolated
from archive_restore.ports import MotionStep, PreservationStep, StoryStep

PRESERVATION_GROUP = "archive_restore.preservation_steps"
STORY_GROUP = "archive_restore.story_steps"
MOTION_GROUP = "archive_restore.motion_steps"
OWN_PACKAGE = "archive_restore"


def preservation_steps(allowed: Sequence[str] = ()) -> Mapping[str, PreservationStep]:
    """Steps for restorations by name.

    `allowed` are names of foreign steps that archive.toml admits; others are passed over. Raise PluginRefused where
    an admitted one does not load, SeparationViolated where it is a story step.
    """
    steps: dict[str, PreservationStep] = {}
    for entry in _admitted(PRESERVATION_GROUP, allowed):
        made = _make(entry)
        if isinstance(made, StoryStep) or not isinstance(made, PreservationStep):
            raise SeparationViolated(f"the plugin {entry.name!r} ({entry.value}) is not a preservation step")
        if made.name != entry.name:
            raise PluginRefused(f"the plugin {entry.name!r} calls itself {made.name!r}")
        steps[entry.name] = made
    return steps


def story_steps(allowed: Sequence[str] = ()) -> Mapping[str, StoryStep]:
    """Steps for stories by name; as `preservation_steps`, through the other door."""
    steps: dict[str, StoryStep] = {}
    for entry in _admitted(STORY_GROUP, allowed):
        made = _make(entry)
        if isinstance(made, PreservationStep) or not isinstance(made, StoryStep):
            raise SeparationViolated(f"the plugin {entry.name!r} ({entry.value}) is not a story step")
        if made.name != entry.name:
            raise PluginRefused(f"the plugin {entry.name!r} calls itself {made.name!r}")
        steps[entry.name] = made
    return steps


def motion_steps(allowed: Sequence[str] = ()) -> Mapping[str, MotionStep]:
    """Steps that make clips of stills, by name; as `preservation_steps`, through a door of their own."""
    steps: dict[str, MotionStep] = {}
    for entry in _admitted(MOTION_GROUP, allowed):
        made = _make(entry)
        if not isinstance(made, MotionStep):
            raise SeparationViolated(f"the plugin {entry.name!r} ({entry.value}) is not a motion step")
        if made.name != entry.name:
            raise PluginRefused(f"the plugin {entry.name!r} calls itself {made.name!r}")
        steps[entry.name] = made
    return steps


def _admitted(group: str, allowed: Sequence[str]) -> list[EntryPoint]:
    found: dict[str, EntryPoint] = {}
    for entry in sorted(entry_points(group=group), key=lambda e: (e.name, e.value)):
        own = entry.module.split(".")[0] == OWN_PACKAGE
        if not own and entry.name not in allowed:
            continue
        known = found.get(entry.name)
        if known is not None and known.value != entry.value:
            raise PluginRefused(f"two plugins are called {entry.name!r}: {known.value} and {entry.value}")
        found[entry.name] = entry
    missing = sorted(set(allowed) - set(found))
    if missing:
        raise PluginRefused(
            f"archive.toml admits the step {missing[0]!r}, which is not installed", hint="Install it or strike its name"
        )
    return list(found.values())


def _make(entry: EntryPoint) -> object:
    try:
        made: object = entry.load()()
    except Exception as exc:
        raise PluginRefused(f"the plugin {entry.name!r} ({entry.value}) does not load: {exc}") from exc
    return made
