"""`init`, `keys` and `catalog`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from archive_restore.cli.output import Session

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command("init")
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--name", help="What the archive is called; the directory's name unless given.")
@click.option("--organization", default="Local archive", show_default=True, help="Goes into the certificate.")
@click.option(
    "--passphrase", "ask", is_flag=True, help="Encrypt the keys; asked for, or in ARCHIVE_RESTORE_PASSPHRASE."
)
@click.pass_obj
def init_command(session: Session, directory: Path, name: str | None, organization: str, ask: bool) -> int:
    """Make an archive in DIR: storage roots, audit log, catalog, signing key and certificates."""
    from archive_restore.adapters.keys import describe
    from archive_restore.app import PASSPHRASE_VARIABLE, create_archive

    passphrase = os.environ.get(PASSPHRASE_VARIABLE) or None
    if ask and passphrase is None:
        passphrase = click.prompt("Passphrase for the keys", hide_input=True, confirmation_prompt=True, err=True)
    create_archive(directory, name=name or directory.resolve().name, organization=organization, passphrase=passphrase)
    shown = describe(directory / "keys")
    session.result({"archive": str(directory.resolve()), "encrypted": passphrase is not None, "keys": shown})
    session.say(f"Made an archive in {directory}")
    session.say(f"Manifests are signed as {shown.subject}, valid until {shown.valid_until}.")
    session.say(shown.trust)
    session.say(
        f"Keys lie in {directory / 'keys'}: back them up apart from the archive, and let nobody else read them."
    )
    return 0


@click.group("keys")
def keys_command() -> None:
    """Show or import signing keys and certificates."""


@keys_command.command("show")
@click.pass_obj
def keys_show(session: Session) -> int:
    """Show who signs, until when, and what others will see. Exit code 1 when something is wrong."""
    from archive_restore.adapters.keys import describe
    from archive_restore.records.findings import has_errors

    with session.open(write=False) as archive:
        shown = describe(archive.root / "keys")
    session.result(shown)
    session.say(f"subject     {shown.subject}\nissuer      {shown.issuer}\nalgorithm   {shown.algorithm}")
    session.say(f"valid       {shown.valid_from} to {shown.valid_until}\nfingerprint {shown.fingerprint_sha256}")
    session.say(f"key         {shown.key}\n{shown.trust}")
    session.findings(shown.findings)
    return 1 if has_errors(shown.findings) else 0


@keys_command.command("import")
@click.option("--chain", required=True, type=_FILE, help="PEM: signing certificate first, then its issuers.")
@click.option("--key", type=_FILE, help="PEM: the private key of the first certificate.")
@click.option("--command", help="A program that gets the bytes to sign on stdin and writes the signature to stdout.")
@click.option("--yes", "consent", is_flag=True, help="Agree to a certificate of short life.")
@click.pass_obj
def keys_import(session: Session, chain: Path, key: Path | None, command: str | None, consent: bool) -> int:
    """Sign with the organization's own certificate from now on; the old one is kept and stays trusted here."""
    import shlex

    from archive_restore.adapters.keys import import_keys, is_encrypted, load_log_signer
    from archive_restore.app import PASSPHRASE_VARIABLE
    from archive_restore.errors import UsageError

    with session.open(write=True) as archive:
        folder = archive.root / "keys"
        passphrase = None
        if key is not None and is_encrypted(folder):
            passphrase = os.environ.get(PASSPHRASE_VARIABLE) or session.prompt()
            load_log_signer(folder, passphrase=passphrase)  # all keys of an archive have one passphrase
        key_passphrase = None
        if key is not None and b"ENCRYPTED" in key.read_bytes():
            key_passphrase = session.prompt("Passphrase of the key to import")
        try:
            words = shlex.split(command) if command else None
        except ValueError as exc:
            raise UsageError(f"the signing command cannot be read: {exc}", hint="Mend its quotes") from exc
        shown = import_keys(
            folder,
            chain.read_text(encoding="utf-8", errors="replace"),
            key.read_bytes() if key else None,
            command=words,
            key_passphrase=key_passphrase,
            passphrase=passphrase,
            consent=consent,
        )
    session.result(shown)
    session.say(f"Manifests are now signed as {shown.subject}, valid until {shown.valid_until}.\n{shown.trust}")
    session.findings(shown.findings)
    return 0


@click.group("catalog")
def catalog_command() -> None:
    """Rebuild the catalog from the storage roots and the log."""


@catalog_command.command("rebuild")
@click.pass_obj
def catalog_rebuild(session: Session) -> int:
    """Write the catalog anew from the roots and the log; only the memory of an interrupted batch is lost."""
    from archive_restore.app import rebuilding
    from archive_restore.flows.rebuild import rebuild

    with rebuilding(session.archive_dir, session.prompt) as archive:
        count, findings = rebuild(archive)
    session.result({"objects": count, "ok": not findings, "findings": findings})
    session.findings(findings)
    session.say(f"{count} objects in the catalog")
    return 1 if findings else 0
