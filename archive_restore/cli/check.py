"""`verify` and `reproduce`."""

from __future__ import annotations

import re

import click

from archive_restore.cli.output import Session, device_option, printable


def _age(_: click.Context, __: click.Parameter, value: str | None) -> float | None:
    """Days of an age: `90d`, `12w` or `1y`."""
    if value is None:
        return None
    match = re.fullmatch(r"(\d{1,5})([dwy])", value, re.ASCII)
    if match is None:
        raise click.BadParameter(f"{value!r} is no age; write it like 90d, 12w or 1y")
    return int(match[1]) * {"d": 1, "w": 7, "y": 365}[match[2]]


@click.command("verify")
@click.argument("refs", nargs=-1, metavar="[REF]...")
@click.option("--all", "everything", is_flag=True, help="Everything in the archive; the default without REF.")
@click.option(
    "--sample", type=click.FloatRange(0, 100, min_open=True), metavar="PERCENT",
    help="A random share of all versions, another one each time.",
)  # fmt: skip
@click.option(
    "--older-than", "days", callback=_age, metavar="AGE",
    help="Versions whose last recorded check is older: 90d, 12w or 1y.",
)  # fmt: skip
@click.option(
    "--record/--no-record", default=None,
    help="Write what was found into the log; so unless told otherwise with --sample and --older-than.",
)  # fmt: skip
@click.pass_obj
def verify_command(
    session: Session,
    refs: tuple[str, ...],
    everything: bool,
    sample: float | None,
    days: float | None,
    record: bool | None,
) -> int:
    """Check every claim: fixity, structure, manifests, maps against masters, log and catalog.

    Checking only reads. What is to be recorded is recorded at the end, one event for many versions, where the archive
    can be written to. Exit code 1 when any finding is an error.
    """
    from archive_restore.errors import UsageError
    from archive_restore.flows import fixity
    from archive_restore.flows.browse import resolve
    from archive_restore.flows.verify import sampled, verify

    if sum((bool(refs), everything, sample is not None, days is not None)) > 1:
        raise UsageError("give REFs, --all, --sample or --older-than, not several of them")
    with session.open(write=False) as archive:
        targets = [resolve(archive, ref) for ref in refs] if refs else None
        if sample is not None:
            targets = sampled(archive, sample / 100)
        if days is not None:
            targets = fixity.due(archive, days)
        with session.progress(len(targets) if targets else 0, "verify") as bar:
            found = verify(archive, targets, progress=lambda subject: bar.step(subject))
    wanted = record if record is not None else sample is not None or days is not None
    recorded, notes = fixity.record(lambda: session.open(write=True), found) if wanted else (0, [])
    findings = (*found.findings, *notes)
    session.result(
        {
            "ok": found.ok,
            "subjects": found.subjects,
            "findings": findings,
            "pixels_compared": found.pixels_compared,
            "recorded": recorded,
        }
    )
    session.findings(findings)
    word = "all claims hold" if found.ok else "NOT everything holds"
    session.say(f"{found.subjects} versions checked, {found.pixels_compared} pixels compared: {word}")
    return 0 if found.ok else 1


@click.command("reproduce")
@click.argument("ref")
@device_option
@click.pass_obj
def reproduce_command(session: Session, ref: str, device: str) -> int:
    """Make REF again from its recipe and compare decoded pixels; nothing is stored. Exit code 1 when they differ."""
    from archive_restore.flows.browse import resolve
    from archive_restore.flows.reproduce import reproduce

    with session.open(write=False) as archive:
        result = reproduce(archive, resolve(archive, ref), device)
    session.result(result)
    if result.identical:
        session.say(f"{result.ref}: identical, pixel for pixel")
    else:
        maps = {"synthesis map": result.map_identical, "damage map": result.damage_identical}
        maps |= dict.fromkeys(result.planes_different, False)
        told = ", ".join(f"{name} {'identical' if same else 'different'}" for name, same in maps.items())
        session.say(
            f"{result.ref}: DIFFERENT: {result.pixels_different} pixels differ, "
            f"by at most {result.largest_difference:g} code values; {told} (promised: {result.determinism})"
        )
    for change in result.environment_changes:
        session.say(f"  {printable(change)}")
    return 0 if result.identical else 1
