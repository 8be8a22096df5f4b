"""The command line: parse, call one flow, show the result. No logic lives here.

Commands load only when they are called, so that `--help` answers at once.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import click

from archive_restore import __version__
from archive_restore.errors import ArchiveRestoreError, StorageFailed

COMMANDS = {
    "init": ("archive", "Make an archive: storage roots, log, keys and certificates."),
    "ingest": ("ingest", "Take files, folders or bags in as masters."),
    "list": ("look", "List items and their derivatives."),
    "show": ("look", "Show everything about an item or a derivative."),
    "search": ("look", "Find items by words of their description."),
    "restore": ("restore", "Make a preservation derivative: fill thin damage, leave the rest as found."),
    "enhance": ("tell", "Make a story that shows more than the photograph holds: enlarged, with detail drawn."),
    "colorize": ("tell", "Make a story in colour; light and dark stay the photograph's."),
    "animate": ("tell", "Make a clip in which a little moves, every frame with its map and its label."),
    "story": ("tell", "Restore, enhance, colorize and animate, with a contact sheet and the words to say with it."),
    "hints": ("palettes", "Find out where colour hints would help."),
    "palettes": ("palettes", "List, show, make and add palettes of eras, places and processes."),
    "music": (
        "music",
        "List and show backing pieces: whose they are, why they are free, and which pictures they suit.",
    ),
    "review": ("review", "Approve or reject a version of a derivative."),
    "export": ("export", "Copy pictures out of the archive, each with its credentials, its map and its words."),
    "verify": ("check", "Check every claim: fixity, structure, manifests, maps, log, catalog."),
    "audit": ("audit", "Say what a file or package is: credentials, kinship, what was changed."),
    "replicate": ("copies", "Keep a second archive of the same, what is new each time."),
    "repair": ("copies", "Bring back from a replica what rotted or went missing."),
    "reproduce": ("check", "Make a derivative again and say whether the same pixels come out."),
    "log": ("log", "Show, verify, prove and export the tamper-evident audit log."),
    "recipes": ("recipes", "List recipes and steps."),
    "models": ("models", "List, check, add and remove trained models."),
    "keys": ("archive", "Show or import signing keys and certificates."),
    "catalog": ("archive", "Rebuild the catalog from the storage roots and the log."),
    "demo": ("demo", "Run the whole main job on a real photograph."),
}
"""Command -> (module of this package, one line for --help); a test holds the lines against the commands."""

INTERNAL_ERROR = 70
"""Exit code of a bug (EX_SOFTWARE of sysexits.h)."""


class LazyGroup(click.Group):
    """Loads the module of a command when the command is wanted, not before."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"archive_restore.cli.{COMMANDS[cmd_name][0]}")
        command = getattr(module, f"{cmd_name}_command")
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table of commands without loading any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="archive-restore", message="%(prog)s %(version)s")
@click.option(
    "-A", "--archive", "archive_dir", metavar="DIR", envvar="ARCHIVE_RESTORE_ARCHIVE",
    type=click.Path(path_type=Path, file_okay=False),
    help="The archive; else $ARCHIVE_RESTORE_ARCHIVE, else the nearest parent with an archive.toml.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Machine output on stdout, and nothing else there.")
@click.option("-v", "--verbose", is_flag=True, help="Say more, with tracebacks for bugs.")
@click.option("-q", "--quiet", is_flag=True, help="Say only what went wrong.")
@click.pass_context
def main_group(ctx: click.Context, archive_dir: Path | None, as_json: bool, verbose: bool, quiet: bool) -> None:
    """Restore old photographs on your own machine, with proof of what is record and what is story."""
    from archive_restore.cli.output import Session

    ctx.obj = Session(archive_dir=archive_dir, as_json=as_json, verbose=verbose, quiet=quiet)


def main(args: list[str] | None = None) -> None:
    """Run a command and exit with its code: the one boundary where errors become words."""
    arguments = _global_first(sys.argv[1:] if args is None else args)
    as_json, verbose = "--json" in arguments, bool({"-v", "--verbose"} & set(arguments))
    # Threads of ours and libraries that call back take the interpreter for moments; who waits must not wait for 5 ms.
    sys.setswitchinterval(0.0005)
    try:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, _terminated)
        outcome: Any = main_group.main(args=arguments, prog_name="archive-restore", standalone_mode=False)
        code = outcome if isinstance(outcome, int) else 0
        sys.stdout.flush()
    except click.exceptions.Exit as exc:
        code = exc.exit_code
    except (click.Abort, KeyboardInterrupt) as exc:
        ended = 143 if isinstance(exc, _Terminated) or isinstance(exc.__cause__, _Terminated) else 130
        code = _tell(as_json, "Interrupted", "interrupted; run the same command again to finish the rest", ended)
    except click.ClickException as exc:
        code = _tell(as_json, "UsageError", " ".join(exc.format_message().split()), 2)
    except ArchiveRestoreError as exc:
        code = _tell(as_json, type(exc).__name__, str(exc), exc.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except OSError as exc:
        code = _tell(as_json, "StorageFailed", _system_error(exc), StorageFailed.exit_code)
    except MemoryError:
        code = _tell(as_json, "StorageFailed", "memory ran out; set processing.threads = 1 in archive.toml", 15)
    except Exception as exc:
        if verbose:
            raise
        code = _tell(as_json, "InternalError", _bug(exc), INTERNAL_ERROR)
    sys.exit(code)


class _Terminated(KeyboardInterrupt):
    """SIGTERM: what a service manager sends. It is answered as Ctrl-C is."""


def _terminated(*_: object) -> None:
    raise _Terminated


def _global_first(arguments: list[str]) -> list[str]:
    """Global options may stand anywhere before `--`: `ingest --json DIR` means `--json ingest DIR`."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    first: list[str] = []
    rest: list[str] = []
    words = iter(arguments[:end])
    for word in words:
        if word in ("--json", "-v", "--verbose", "-q", "--quiet") or word.startswith("--archive="):
            first.append(word)
        elif word in ("-A", "--archive"):
            first += [word, *(value for value in [next(words, None)] if value is not None)]
        else:
            rest.append(word)
    return [*first, *rest, *arguments[end:]]


def _tell(as_json: bool, name: str, message: str, code: int) -> int:
    from archive_restore.cli.output import too_late

    too_late()
    if as_json:
        click.echo(json.dumps({"error": {"class": name, "message": message, "exit_code": code}}, ensure_ascii=False))
    click.echo(f"archive-restore: {message}", err=True)
    return code


def _system_error(exc: OSError) -> str:
    where = f" ({exc.filename})" if exc.filename else ""
    return f"the system refused: {exc.strerror or exc}{where}. Check the disk and permissions, then run it again"


def _bug(exc: Exception) -> str:
    """Keep the traceback of a bug in a file and say where it lies."""
    import tempfile
    import traceback

    text = "".join(traceback.format_exception(exc))
    with tempfile.NamedTemporaryFile("w", prefix="archive-restore-", suffix=".txt", delete=False) as file:
        file.write(f"archive-restore {__version__}\n{text}")
    summary = " ".join(str(exc).split())[:200]
    return f"internal error ({type(exc).__name__}: {summary}). Please report it with {file.name}"
