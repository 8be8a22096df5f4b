"""Writes the pages of docs/ that are made from the code: commands, errors, recipes, model cards.

Run `python -m tests.support.reference` after changing a command, an error or a step; tests/test_docs.py compares.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from archive_restore import errors
from archive_restore.cli import COMMANDS, INTERNAL_ERROR, main_group
from archive_restore.core.planning import BUILT_IN, DEFAULT_RECIPE
from archive_restore.plugins import preservation_steps, story_steps
from archive_restore.ports import PreservationStep, StoryStep
from archive_restore.records.imagery import PixelFlag
from tests.support.card_reference import model_cards_page

DOCS = Path(__file__).resolve().parents[2] / "docs"
_NOTE = "<!-- Made from the code by `python -m tests.support.reference`; do not edit. -->\n"


def pages() -> Mapping[str, str]:
    """Every generated page: path below docs/ -> text."""
    return {
        "reference/commands.md": commands_page(),
        "errors.md": errors_page(),
        "reference/recipes.md": recipes_page(),
        "reference/model-cards.md": model_cards_page(_NOTE),
    }


# --- commands ----------------------------------------------------------------------------------------


def commands() -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command that does something, by its words."""
    context = click.Context(main_group, info_name="archive-restore")
    for name in COMMANDS:
        command = main_group.get_command(context, name)
        assert command is not None
        yield from _within((name,), command)


def _within(words: tuple[str, ...], command: click.Command) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if isinstance(command, click.Group):
        for inner in sorted(command.commands):
            yield from _within((*words, inner), command.commands[inner])
    else:
        yield words, command


def commands_page() -> str:
    """docs/reference/commands.md."""
    parts = [
        _NOTE,
        "# Commands\n",
        "Global options may stand anywhere. Exit codes are in [errors](../errors.md), the shapes of `--json` in "
        "[json](json.md).\n",
        "| option of every command | |\n| --- | --- |",
        *_options(main_group),
        "",
        "A REF names something stored: `ITEM` is the master of an item, `ITEM/restoration` its newest restoration, "
        "`ITEM/restoration@2` the second one.\n",
        "| command | |\n| --- | --- |",
        *(f"| [`{' '.join(words)}`](#{'-'.join(words)}) | {_first_line(command)} |" for words, command in commands()),
        "",
    ]
    for words, command in commands():
        usage = " ".join(["archive-restore", *words, *command.collect_usage_pieces(click.Context(command))])
        parts += [f"## {' '.join(words)}\n", f"```\n{usage}\n```\n", f"{_help(command)}\n"]
        options = list(_options(command))
        if options:
            parts += ["| option | |\n| --- | --- |", *options, ""]
    return "\n".join(parts)


def _help(command: click.Command) -> str:
    return inspect.cleandoc(command.help or "").replace("<", "&lt;")


def _first_line(command: click.Command) -> str:
    return _help(command).split("\n\n")[0].replace("\n", " ")


def _options(command: click.Command) -> Iterator[str]:
    # Put together here and not by click, whose wording changes with its versions.
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            names = ", ".join(parameter.opts) + (f" {word}" if (word := _metavar(parameter)) else "")
            said = [(parameter.help or "").replace("|", "\\|")]
            if parameter.required:
                said.append("Required.")
            if parameter.multiple:
                said.append("May be given more than once.")
            if parameter.show_default:
                said.append(f"Default: `{parameter.default}`.")
            yield f"| `{names}` | {' '.join(said)} |"


def _metavar(option: click.Option) -> str:
    if option.is_flag or option.is_eager:
        return ""
    if option.metavar:
        return option.metavar
    return {"integer range": "NUMBER", "float range": "NUMBER", "file": "FILE"}.get(option.type.name, "TEXT")


# --- errors ------------------------------------------------------------------------------------------


def errors_page() -> str:
    """docs/errors.md."""
    found = [
        error
        for error in vars(errors).values()
        if inspect.isclass(error)
        and issubclass(error, errors.ArchiveRestoreError)
        and error is not errors.ArchiveRestoreError
    ]
    rows = [
        f"| {error.exit_code} | `{error.__name__}` | {inspect.getdoc(error)} |"
        for error in sorted(found, key=lambda e: e.exit_code)
    ]
    return "\n".join(
        [
            _NOTE,
            "# Errors and exit codes\n",
            "An error is one line on stderr: what happened, to what, what to do next. With `--json` the same is on "
            'stdout as `{"error": {"class", "message", "exit_code"}}`. What is wrong with a file or with something '
            "stored is not an error but a [finding](reference/findings.md).\n",
            "| exit code | class | meaning |",
            "| --- | --- | --- |",
            "| 0 | | Done; nothing of severity error was found. |",
            "| 1 | | Done, and there are findings of severity error, or some items of a batch failed. |",
            *rows,
            f"| {INTERNAL_ERROR} | `InternalError` | A bug; the message names a file with the traceback to report. |",
            "| 130, 143 | `Interrupted` | Stopped by Ctrl-C or SIGTERM; run it again for the rest. |",
            "",
        ]
    )


# --- recipes -----------------------------------------------------------------------------------------


def recipes_page() -> str:
    """docs/reference/recipes.md."""
    parts = [
        _NOTE,
        "# Recipes and steps\n",
        "A recipe is an ordered list of steps. `archive-restore recipes list` shows what is below; `recipes show NAME` "
        "prints one as JSON, to be changed and given to `restore --recipe FILE` (schema: "
        "[recipe.schema.json](../../schemas/recipe.schema.json)). `--set STEP.PARAMETER=VALUE` changes one parameter. "
        "Every parameter, also those left at their default, is kept with the restoration.\n",
        "## Recipes\n",
        "| name | steps | |\n| --- | --- | --- |",
    ]
    for recipe in BUILT_IN.values():
        steps = " → ".join(
            f"`{s.step}`" + "".join(f" ({name}={value})" for name, value in s.parameters.items()) for s in recipe.steps
        )
        default = " The default." if recipe.name == DEFAULT_RECIPE else ""
        parts.append(f"| `{recipe.name}` | {steps} | {recipe.description}{default} |")
    parts += ["", "## Steps\n"]
    parts += ["Of restorations:\n", *_steps(preservation_steps())]
    parts += ["Of [stories](../explanation/stories.md):\n", *_steps(story_steps())]
    return "\n".join(parts)


def _steps(steps: Mapping[str, PreservationStep] | Mapping[str, StoryStep]) -> Iterator[str]:
    for name, step in steps.items():
        flags = [flag.name for flag in PixelFlag if flag & step.flags]
        yield from (
            f"### {name}\n",
            f"Version {step.version}. {step.summary}\n",
            f"Flags it may set: {', '.join(f'`{flag}`' for flag in flags) or 'none; it changes no pixel'}.\n",
            "| parameter | values | default | |\n| --- | --- | --- | --- |",
            *(
                f"| `{parameter}` | {_values(rule)} | `{json.dumps(rule['default'])}` | {rule['description']} |"
                for parameter, rule in step.parameters_schema.items()
            ),
            "",
        )


def _values(rule: Mapping[str, Any]) -> str:
    if "enum" in rule:
        return ", ".join(f"`{value}`" for value in rule["enum"])
    if rule.get("type") == "boolean":
        return "`true`, `false`"
    word = {"integer": "whole number", "number": "number"}.get(rule["type"], rule["type"])
    return f"{word} {rule['minimum']}–{rule['maximum']}" if "minimum" in rule else word


if __name__ == "__main__":
    for name, text in pages().items():
        path = DOCS / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
