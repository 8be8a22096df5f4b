"""`models`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from archive_restore.cli.output import Session, printable

if TYPE_CHECKING:
    from archive_restore.ports import Models
    from archive_restore.records.models import InstalledModel

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.group("models")
def models_command() -> None:
    """List, check, add and remove trained models."""


@models_command.command("list")
@click.pass_obj
def models_list(session: Session) -> int:
    """List the trained models that are here: those shipped with the program and those added to the archive.

    Without an archive, the shipped ones. Models that cannot be used are told of on stderr.
    """
    with _models(session) as models:
        found = models.cards()
        findings = tuple(models.verify(deep=False))
    session.result({"models": [as_json(model) for model in found], "findings": findings})
    for model in found:
        card = model.card
        session.say(
            printable(f"{card.name} {card.version}: {card.purpose} ({card.task}, {card.licence}, {model.origin})")
        )
    if not session.as_json and not session.quiet:
        for finding in findings:
            told = f"{finding.severity.value} {finding.code} {finding.subject}: {finding.message}"
            click.echo(printable(told), err=True)
    session.say(_number(len(found)))
    return 0


@models_command.command("show")
@click.argument("name")
@click.pass_obj
def models_show(session: Session, name: str) -> int:
    """Show the card of a model: purpose, contract, training data, results, and what it must not be used for."""
    with _models(session) as models:
        model = models.card(name)
    session.result({"model": {**as_json(model), "folder": model.folder, "card": model.card}})
    for line in _described(model):
        session.say(printable(line))
    return 0


@models_command.command("verify")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.pass_obj
def models_verify(session: Session, names: tuple[str, ...]) -> int:
    """Check models, all without NAME: card, digest of the weights, architecture, contract, self-test.

    Exit code 1 when any finding is an error.
    """
    from archive_restore.records.findings import has_errors

    with _models(session) as models:
        findings = tuple(models.verify(tuple(dict.fromkeys(names)) or None))
        known = names or (model.card.name for model in models.cards())
        subjects = len({*known, *(finding.subject for finding in findings)})
    ok = not has_errors(findings)
    session.result({"ok": ok, "subjects": subjects, "findings": findings})
    session.findings(findings)
    told = "what they are is what their cards say" if ok else "NOT all can be used"
    session.say(f"{_number(subjects)} checked: {told}")
    return 0 if ok else 1


@models_command.command("add")
@click.argument("card", type=_FILE, metavar="CARD.json")
@click.argument("weights", type=_FILE)
@click.pass_obj
def models_add(session: Session, card: Path, weights: Path) -> int:
    """Add a model to the archive: its card and its WEIGHTS (safetensors, ONNX, or a checkpoint of plain tensors).

    It is checked as by `models verify` first, and nothing is kept of one that does not pass. Pickles are refused.
    """
    with session.open(write=True) as archive:
        model = archive.models.add(card, weights)
    session.result({"model": {**as_json(model), "folder": model.folder}})
    session.say(printable(f"{model.card.name} {model.card.version} is added: {model.folder}"))
    return 0


@models_command.command("remove")
@click.argument("name")
@click.pass_obj
def models_remove(session: Session, name: str) -> int:
    """Remove an added model from the archive.

    Restorations made with it stay and verify; they can be made again only when the same weights are added again.
    """
    with session.open(write=True) as archive:
        archive.models.remove(name)
    session.result({"removed": name})
    session.say(f"{name} is removed")
    return 0


def _number(models: int) -> str:
    return f"{models} model{'' if models == 1 else 's'}"


def as_json(model: InstalledModel) -> dict[str, object]:
    """The stable JSON shape of one model in a list."""
    card = model.card
    return {
        "name": card.name,
        "version": card.version,
        "task": card.task,
        "purpose": card.purpose,
        "licence": card.licence,
        "origin": model.origin,
        "sha256": card.weights.sha256,
        "card_sha256": model.card_sha256,
    }


@contextmanager
def _models(session: Session) -> Iterator[Models]:
    """The models of the archive at hand; the shipped ones where there is none."""
    from archive_restore.app import shipped_models
    from archive_restore.errors import ArchiveMissing

    with ExitStack() as stack:
        try:
            models: Models = stack.enter_context(session.open(write=False)).models
        except ArchiveMissing:
            if session.archive_dir is not None:
                raise
            models = shipped_models()
        yield models


def _described(model: InstalledModel) -> Iterator[str]:
    card = model.card
    yield f"{card.name} {card.version} ({card.task})"
    yield f"  {card.purpose}"
    yield f"  licence       {card.licence}{f'; {card.attribution}' if card.attribution else ''}"
    yield f"  architecture  {card.architecture.name}, {card.architecture.library}"
    for word, planes in (("takes", card.input.planes), ("gives", card.output.planes)):
        yield f"  {word:13} {', '.join(f'{p.count} × {p.meaning}' for p in planes)}"
    yield f"  weights       {card.weights.file}, sha256 {card.weights.sha256}"
    yield f"  card          sha256 {model.card_sha256}"
    yield f"  made          {card.made}"
    for source in card.training.sources:
        count = "an unknown number" if source.count is None else str(source.count)
        yield f"  trained on    {source.name}: {count}, {source.licence}"
    for result in card.results:
        compared = "" if result.baseline is None else f", compared with {result.baseline:g}"
        yield f"  measured      {result.measure}: {result.value:g}{compared} ({result.data})"
    for failure in card.known_failures:
        yield f"  goes wrong    {failure}"
    for use in card.must_not_be_used_for:
        yield f"  never use for {use}"
