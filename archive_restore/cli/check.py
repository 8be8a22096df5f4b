"""`verify` and `reproduce`."""

from __future__ import annotations

import click

from archive_restore.cli.output import Session, device_option, printable


@click.command("verify")
@click.argument("refs", nargs=-1, metavar="[REF]...")
@click.option("--all", "everything", is_flag=True, help="Everything in the archive; the default without REF.")
@click.option(
    "--sample", type=click.FloatRange(0, 100, min_open=True), metavar="PERCENT",
    help="A random share of all versions, another one each time.",
)  # fmt: skip
@click.pass_obj
def verify_command(session: Session, refs: tuple[str, ...], everything: bool, sample: float | None) -> int:
    """Check every claim: fixity, structure, manifests, maps against masters, log and catalog.

    Exit code 1 when any finding is an error.
    """
    from archive_restore.errors import UsageError
    from archive_restore.flows.browse import resolve
    from archive_restore.flows.verify import sampled, verify

    if sum((bool(refs), everything, sample is not None)) > 1:
        raise UsageError("give REFs, --all or --sample, not several of them")
    with session.open(write=False) as archive:
        targets = [resolve(archive, ref) for ref in refs] if refs else None
        if sample is not None:
            targets = sampled(archive, sample / 100)
        with session.progress(len(targets) if targets else 0, "verify") as bar:
            found = verify(archive, targets, progress=lambda subject: bar.step(subject))
    session.result(
        {
            "ok": found.ok,
            "subjects": found.subjects,
            "findings": found.findings,
            "pixels_compared": found.pixels_compared,
        }
    )
    session.findings(found.findings)
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
