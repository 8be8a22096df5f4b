"""`audit`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from archive_restore.cli.output import Session, printable

if TYPE_CHECKING:
    from archive_restore.flows.audit import Audited

SHOWN = 20
"""Findings on the screen without -v."""
ANCHORS_LIMIT = 4 << 20
"""Bytes of a file with roots."""


@click.command("audit")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--report", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
    help="Also write an HTML report with the pictures inside; a new file outside of what is audited.",
)  # fmt: skip
@click.option(
    "--anchors", metavar="PEM", type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Root certificates whose signers count as known; the archive's own by default.",
)  # fmt: skip
@click.option("--deep", is_flag=True, help="Also audit each picture and video inside a bag or OCFL object or root.")
@click.pass_obj
def audit_command(session: Session, path: Path, report: Path | None, anchors: Path | None, deep: bool) -> int:
    """Say what a file or package is: credentials, kinship, what was changed.

    PATH is an image, a video, a bag, an OCFL object or storage root, or an archive, whoever made it. Nothing is written
    but the report, nothing is fetched. With an archive at hand a picture is held against everything in it; without one
    its credentials are judged alone. Exit code 1 when any finding is an error.
    """
    from archive_restore.app import auditing
    from archive_restore.flows.audit import AuditOrder, audit, check_report_place, write_report

    order = AuditOrder(
        anchors=_anchors(anchors) if anchors else None, anchors_name=anchors.name if anchors else "", deep=deep
    )
    with auditing(session.archive_dir) as desk:
        if report is not None:
            check_report_place(desk, report, path)
        with session.progress(0, "audit") as bar:
            found = audit(desk, path, order, bar.step)
        if report is not None:
            write_report(desk, found, report)
    session.result(as_json(found, report))
    _say(session, found)
    if report is not None:
        session.say(f"report: {printable(str(report))}")
    return 0 if found.audit.ok else 1


def _anchors(path: Path) -> str:
    """Text of a PEM file; raise UsageError where it holds no certificate."""
    from cryptography import x509

    from archive_restore.errors import UsageError

    try:
        with path.open("rb") as file:
            data = file.read(ANCHORS_LIMIT)
        if not x509.load_pem_x509_certificates(data):
            raise ValueError
        return data.decode("ascii")
    except (OSError, ValueError) as exc:
        raise UsageError(f"{str(path)!r} holds no certificates in PEM form", hint="Give the roots you trust") from exc


def _say(session: Session, found: Audited) -> None:
    """One screen: what it is, what follows, the credentials, the findings."""
    from archive_restore.core.audit_words import chain_lines
    from archive_restore.records.findings import Severity

    made, chain = found.audit, found.view.credentials.chain if found.view.credentials else None
    size = f", {made.width}×{made.height} pixels" if made.width else ""
    about = f" ({made.subject.mime}{size}, sha256 {made.sha256[:16]}…)" if made.sha256 else ""
    session.say(f"{printable(made.path)}: {made.subject.kind.value.replace('-', ' ')}{printable(about)}")
    session.say()
    for sentence in made.says:
        session.say(f"  {printable(sentence)}")
    if chain is not None and chain.manifests:
        session.say()
        session.say("who says what, the newest first:")
        lines = list(chain_lines(chain))
        for line in lines if session.verbose else lines[:24]:
            session.say(f"  {printable(line)}")
        if len(lines) > 24 and not session.verbose:
            session.say(f"  … {len(lines) - 24} more lines with -v, all in --json and --report")
    session.say()
    told = sorted(made.findings, key=lambda finding: list(Severity).index(finding.severity))
    shown = [f for f in told if f.severity is not Severity.INFO][:SHOWN]
    session.findings(told if session.verbose else shown)
    rest = len(told) - len(shown)
    if rest and not session.verbose:
        session.say(f"{rest} more with -v{'' if len(shown) == SHOWN else ', only worth knowing'}")


def as_json(found: Audited, report: Path | None) -> dict[str, Any]:
    """The stable JSON shape."""
    made, view = found.audit, found.view
    kinship, credentials = view.kinship, view.credentials
    return {
        "ok": made.ok,
        "subjects": made.subjects,
        "findings": made.findings,
        "path": made.path,
        "kind": made.subject.kind.value,
        "mime": made.subject.mime,
        "size": made.size,
        "sha256": made.sha256,
        "width": made.width,
        "height": made.height,
        "says": made.says,
        "credentials": None
        if credentials is None
        else {
            "state": credentials.state,
            "anchors": view.anchors,
            "signer": credentials.signer,
            "algorithm": credentials.algorithm,
            "when": credentials.when,
            "parents": credentials.chain.parents if credentials.chain else 0,
            "manifests": credentials.chain.manifests if credentials.chain else (),
            "objections": credentials.chain.objections if credentials.chain else (),
        },
        "kinship": None
        if kinship is None
        else {
            "judged": kinship.judged,
            "why_not": kinship.why_not,
            "ref": kinship.ref,
            "title": kinship.title,
            "story": kinship.story,
            "identical": kinship.identical,
            "confidence": round(kinship.confidence, 4),
            "matrix": view.matrix,
            "pixels": kinship.shares,
            "exported": kinship.exported,
            "others": kinship.others,
        },
        "difference": None
        if kinship is None or kinship.treatment is None
        else {**{name: _rounded(value) for name, value in vars(kinship.treatment).items()}, "changed": kinship.changed},
        "inside": [
            {"path": one.audit.path, "kind": one.audit.subject.kind.value, "ok": one.audit.ok, "says": one.audit.says}
            for one in found.inside
        ],
        "report": None if report is None else str(report),
    }


def _rounded(value: object) -> object:
    return round(value, 4) if isinstance(value, float) else value
