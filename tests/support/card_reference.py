"""Writes docs/reference/model-cards.md from the schema of model cards and the words of core.model_contracts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from archive_restore.adapters.shipped import schema
from archive_restore.core.model_contracts import FORMATS, SHAPES, WORDS


def model_cards_page(note: str) -> str:
    """The page; `note` says where it comes from."""
    rules = schema("model-card")
    formats = "; ".join(
        f"`{library}`: {', '.join(f'`{kind}`' for kind in kinds)}" for library, kinds in FORMATS.items()
    )
    return "\n".join(
        [
            note,
            "# Model cards\n",
            "A trained model is a folder: `card.json`, its weights, and the list of its training data. The card is "
            "checked against [its schema](../../schemas/model-card.schema.json) and against the weights, and the "
            "program keeps the contract it states: an input that does not fit is refused, an output that breaks the "
            "promise ends the run, values beyond a range are clipped to it. [Add a model](../how-to/add-a-model.md) "
            "shows a whole card.\n",
            "The sha256 of the card's bytes and that of the weights go into every derivation, manifest, PREMIS record "
            "and report of a picture that the model took part in.\n",
            "## Members\n",
            "| member | values | |\n| --- | --- | --- |",
            *_rows(rules, rules["properties"], rules["required"], ""),
            "",
            f"Weights are read from these formats: {formats}.\n",
            "## Planes\n",
            "`input.planes` and `output.planes` list the channels in their order. `minimum` is the value that stands "
            "for 0 (black, none), `maximum` the one for 1 (white, full); between them is a line. So a network that "
            "wants ImageNet's normalization is described by the range of each channel: `minimum` = (0 − 0.485) / "
            "0.229, `maximum` = (1 − 0.485) / 0.229, three groups of one plane. Both null: no bounds, as for logits.\n",
            "These words mean the same in every card; others are free:\n",
            "| meaning | planes | |\n| --- | --- | --- |",
            *(f"| `{word}` | {count} | {text} |" for word, (count, text) in WORDS.items()),
            "",
            "## Tasks that come through the door\n",
            "Their planes are fixed, so that a step can use any model of the task:\n",
            "| task | takes > gives |\n| --- | --- |",
            *(f"| `{task}` | {' or '.join(f'`{shape}`' for shape in shapes)} |" for task, shapes in SHAPES.items()),
            "",
            "`super-resolution` has a scale above 1, the others have 1. The other tasks are those of the program's own "
            "networks.\n",
            "## Self-test\n",
            "The input is noise in [0, 1): the 32-bit words of numpy's `Philox(key=seed)`, low half first, shifted "
            "right by 8 and divided by 2²⁴, as float32 (1, c, height, width); each plane then laid over its range. The "
            "named samples of the output must be the given values within `tolerance`. `models verify` runs it on the "
            "processor. A model without one is tried on noise of its smallest size, and only the shape of what it "
            "gives is checked, and that it is finite.",
            "",
        ]
    )


def _rows(rules: Mapping[str, Any], members: Mapping[str, Any], required: list[str], above: str) -> Iterator[str]:
    for name, rule in members.items():
        path = f"{above}{name}"
        optional = "" if name in required else " Optional."
        meaning = (rule.get("description", "") + optional).strip().replace("|", "\\|")
        whole = _resolved(rules, rule)
        yield f"| `{path}` | {_values(whole)} | {meaning} |"
        inner = _resolved(rules, whole.get("items", {})) if "array" in whole.get("type", ()) else whole
        mark = "[]." if inner is not whole else "."
        if "properties" in inner:
            yield from _rows(rules, inner["properties"], inner.get("required", []), path + mark)


def _resolved(rules: Mapping[str, Any], rule: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" not in rule:
        return rule
    return {**rules["$defs"][rule["$ref"].rpartition("/")[2]], **rule}


def _values(rule: Mapping[str, Any]) -> str:
    if "enum" in rule:
        return ", ".join(f"`{value}`" for value in rule["enum"])
    kinds = rule["type"] if isinstance(rule["type"], list) else [rule["type"]]
    words = {"string": "text", "integer": "whole number", "number": "number", "array": "list"}
    return " or ".join(words.get(kind, kind) for kind in kinds)
