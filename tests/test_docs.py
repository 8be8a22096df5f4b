"""Documentation that is not true fails here: commands run, pages from the code are current, links lead somewhere."""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from PIL import Image

from archive_restore.cli import COMMANDS, main_group
from archive_restore.flows.demo import Demonstration
from tests.conftest import PHOTOGRAPHS
from tests.support import reference
from tests.support.prefork import forge
from tests.support.stories import KERNEL
from tests.support.tiny_models import card, onnx_blur, write_model

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), ROOT / "README.md"])
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def ids(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


# --- pages made from the code ------------------------------------------------------------------------


@pytest.mark.parametrize("name", reference.pages())
def test_generated_pages_are_current(name):
    assert (DOCS / name).read_text(encoding="utf-8") == reference.pages()[name], (
        "run: python -m tests.support.reference"
    )


def test_every_command_and_option_is_documented():
    page = (DOCS / "reference" / "commands.md").read_text()
    for words, command in reference.commands():
        assert f"## {' '.join(words)}\n" in page
        assert command.help, words
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, (words, parameter.name)
                assert any(f"`{name}" in page or f", {name}" in page for name in parameter.opts), (words, parameter)


def test_the_table_of_commands_says_what_the_commands_say():
    """--help shows a table that is written twice, since the commands are not loaded for it."""
    context = click.Context(main_group)
    for name, (_, line) in COMMANDS.items():
        command = main_group.get_command(context, name)
        assert command is not None
        own = (command.help or "").strip().split("\n")[0]
        assert line.split()[0] == own.split()[0], (name, line, own)


# --- links -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_links_lead_somewhere(page):
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        assert path.exists(), f"{ids(page)} links to {target}"
        assert path.is_relative_to(ROOT), target
        if anchor:
            assert anchor in anchors(path), f"{ids(page)} links to {target}"


def anchors(page: Path) -> set[str]:
    """Anchors that the usual renderers make of headings."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_is_in_the_index():
    index = (DOCS / "README.md").read_text() + (DOCS / "decisions" / "README.md").read_text()
    for page in DOCS.rglob("*.md"):
        if page.name != "README.md":
            assert page.name in index, f"{ids(page)} is in no index"


# --- findings ----------------------------------------------------------------------------------------

CODE = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+")
NOT_CODES = re.compile(r"SQLITE_\w+|CUBLAS_\w+|ARCHIVE_RESTORE_\w+|NOT_ALLOWED|FIRST_COMPLETED")
"""Words that look like codes and are none: SQLite's own, environment variables, a rule of the map, a constant."""
PREFIXES = {
    "prefix": ("TIFF", "EXIF"),
    "_CODES[picture.family]": ("TIFF", "DNG", "JPEG", "PNG", "JP2"),
}
"""Codes that are put together: the expression before the underscore, and what it may be."""


def emitted_codes() -> Iterator[str]:
    for path in (ROOT / "archive_restore").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                if CODE.fullmatch(node.value) and not NOT_CODES.fullmatch(node.value):
                    yield node.value
            elif isinstance(node, ast.JoinedStr) and len(node.values) == 2:
                first, rest = node.values
                if isinstance(first, ast.FormattedValue) and isinstance(rest, ast.Constant):
                    words = PREFIXES[ast.unparse(first.value)] if re.fullmatch("_[A-Z_]+", str(rest.value)) else ()
                    yield from (f"{word}{rest.value}" for word in words)


def test_every_finding_is_documented_and_every_documented_one_exists():
    page = (DOCS / "reference" / "findings.md").read_text()
    listed = re.findall(r"^\| `([A-Z0-9_]+)` \| (?:error|warning|info|error or warning) \| .+ \|$", page, re.MULTILINE)
    assert len(listed) == len(set(listed)), "a code is listed twice"
    emitted = set(emitted_codes())
    assert emitted - set(listed) == set(), "emitted by the code and not in docs/reference/findings.md"
    assert set(listed) - emitted == set(), "in docs/reference/findings.md and not emitted any more"


def test_codes_named_elsewhere_exist():
    known = set(emitted_codes())
    for page in PAGES:
        text = FENCE.sub("", page.read_text(encoding="utf-8"))
        for word in re.findall(r"`([A-Z][A-Z0-9]+_[A-Z0-9_]+)`", text):
            if not NOT_CODES.fullmatch(word) and word not in ("BRIGHT_LINE", "DARK_LINE"):
                assert word in known, f"{ids(page)} names {word}"


# --- commands on pages run ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with `archive-restore` and `python3` as the pages mean them."""
    folder = tmp_path_factory.mktemp("bin")
    python = shlex.quote(sys.executable)
    for name, words in (("archive-restore", f"{python} -m archive_restore"), ("python3", python)):
        program = folder / name
        program.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
        program.chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def programs(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The same, but `archive-restore` begins at once: pages call it a hundred times."""
    folder = tmp_path_factory.mktemp("bin")
    shutil.copy(installed / "python3", folder)
    with tempfile.TemporaryDirectory() as place, forge(Path(place)) as made:
        made.program(folder / "archive-restore", "-m", "archive_restore")
        yield folder


def shell(script: str, folder: Path, programs: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8", **variables}
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip


def run_page(page: Path, folder: Path, programs: Path, **variables: str) -> None:
    """Run the `sh` blocks of a page in one shell and hold what they print against the `text` blocks behind them.

    `…` in an expected line stands for anything; a line of nothing but `…` for any number of lines.
    """
    blocks = FENCE.findall(page.read_text(encoding="utf-8"))
    marks = [f"--8<-- {number}" for number in range(len(blocks))]
    script = "".join(
        f"{{ echo; echo '{mark}'; }}\n{text}" for mark, (kind, text) in zip(marks, blocks, strict=True) if kind == "sh"
    )
    done = shell(script, folder, programs, **variables)
    assert done.returncode == 0, f"{ids(page)}\n{done.stdout}\n{done.stderr}"
    printed = dict(re.findall(r"^(--8<-- \d+)\n(.*?)(?=^--8<--|\Z)", done.stdout, re.MULTILINE | re.DOTALL))
    for number, (kind, text) in enumerate(blocks):
        if kind == "text":
            assert blocks[number - 1][0] == "sh", f"{ids(page)}: an expected output follows no command"
            got = printed[marks[number - 1]].rstrip("\n") + "\n"
            assert re.fullmatch(pattern(text), got), f"{ids(page)} says\n{text}\nand the program\n{got}"


def pattern(expected: str) -> str:
    lines = []
    for line in expected.splitlines():
        if line == "…":
            lines.append("(?:.*\n)*?")
        else:
            lines.append(re.escape(line).replace("…", ".*") + "\n")
    return "".join(lines)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, programs: Path) -> Path:
    """What the how-tos take for granted: an archive `my-archive` with LHS-0002 restored once, scans and a sheet."""
    folder = tmp_path_factory.mktemp("prepared")
    (folder / "scans").mkdir()
    small_photograph(folder / "scans" / "airplane-from-above.jpg")
    script = (
        'archive-restore init my-archive --organization "Lakeside Historical Society"\n'
        'printf "file,item_id,title,source_type\\nairplane-from-above.jpg,LHS-0002,Airplane,print\\n" > scans.csv\n'
        "archive-restore -A my-archive ingest scans --metadata scans.csv\n"
        "archive-restore -A my-archive restore LHS-0002\n"
    )
    done = shell(script, folder, programs)
    assert done.returncode == 0, done.stderr
    return folder


def small_photograph(path: Path) -> None:
    """A part of the airplane with real scratches, so that the pages need not wait for a whole photograph each time."""
    with Image.open(PHOTOGRAPHS / "airplane-from-above.jpg") as whole:
        whole.crop((520, 120, 840, 360)).save(path, quality=95)


@pytest.fixture
def desk(prepared: Path, tmp_path: Path) -> Path:
    return shutil.copytree(prepared, tmp_path / "desk")


@pytest.mark.slow
def test_the_tutorial_works(tmp_path: Path, programs: Path):
    run_page(DOCS / "tutorial" / "first-collection.md", tmp_path, programs, SOURCE=str(ROOT))


HOW_TO = sorted(path for path in (DOCS / "how-to").glob("*.md") if path.name != "verify-the-log.md")
"""verify-the-log.md has its own test in tests/adapters/test_auditlog.py."""


@pytest.mark.slow
@pytest.mark.parametrize("page", HOW_TO, ids=ids)
def test_how_tos_work(page: Path, desk: Path, programs: Path):
    needed = {
        "verify-without-us.md": ("exiftool", "sha512sum"),
        "use-your-own-certificate.md": ("openssl",),
        "verify-a-proof.md": ("openssl", "xxd"),
    }
    missing = [name for name in needed.get(page.name, ()) if shutil.which(name) is None]
    if missing:
        pytest.skip(f"{missing[0]} is not installed")
    run_page(page, desk, programs)


def test_the_log_page_names_the_files_that_are_there(desk: Path):
    text = (DOCS / "how-to" / "verify-the-log.md").read_text()
    for name in re.findall(r"\b((?:audit|keys)/[\w.-]+)", text):
        assert (desk / "my-archive" / name).exists(), name


@pytest.mark.slow
def test_the_step_of_the_how_to_works(desk: Path, installed: Path):
    """As installed with pip, which needs a network: entry points are read from a .dist-info folder."""
    page = DOCS / "how-to" / "write-a-step.md"
    blocks = FENCE.findall(page.read_text(encoding="utf-8"))
    run_page(page, desk, installed)
    project = (desk / "hotpixels" / "pyproject.toml").read_text()
    (entry,) = re.findall(r'^(\w+) = "(hotpixels:\w+)"$', project, re.MULTILINE)
    info = desk / "hotpixels" / "hotpixels-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: hotpixels\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[archive_restore.preservation_steps]\n{entry[0]} = {entry[1]}\n")
    search = os.pathsep.join([str(ROOT), str(desk / "hotpixels")])
    script = "".join(text for kind, text in blocks if kind == "console")
    before_admission = shell(script.split("\n", 1)[1], desk, installed, PYTHONPATH=search)
    assert before_admission.returncode == 14, before_admission.stderr
    done = shell(f"{script}\narchive-restore -A my-archive --json verify", desk, installed, PYTHONPATH=search)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "hot_pixels.share = 0.5" in done.stdout
    shown = shell("archive-restore -A my-archive show LHS-0002/restoration", desk, installed, PYTHONPATH=search)
    assert "hot_pixels 1" in shown.stdout


def test_the_commands_of_the_readme_parse():
    """The README's own tests and demo are run by the continuous integration; here its words must be commands."""
    blocks = [text for _, text in FENCE.findall((ROOT / "README.md").read_text())]
    found = re.findall(r"(?:^|bin/)archive-restore (.+)$", "\n".join(blocks), re.MULTILINE)
    assert len(found) >= 5
    for line in found:
        parses(shlex.split(line.replace("~", "/")))


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_commands_in_blocks_that_are_not_run_parse(page):
    for kind, text in FENCE.findall(page.read_text(encoding="utf-8")):
        if kind == "console":
            for line in re.findall(r"^archive-restore (.+)$", text, re.MULTILINE):
                parses(shlex.split(line))


def parses(words: list[str]) -> None:
    context = click.Context(main_group, resilient_parsing=False)
    parser = main_group.make_parser(context)
    _, rest, _ = parser.parse_args(words)
    command: click.Command | None = main_group
    while isinstance(command, click.Group):
        name, rest = rest[0], rest[1:]
        command = command.get_command(context, name)
        assert command is not None, f"{words}: no command {name}"
    command.make_parser(click.Context(command)).parse_args(rest)


# --- json --------------------------------------------------------------------------------------------

EXAMPLE = re.compile(r"^<!-- json: ([\w -]+) -->\n```json\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OPEN = {"record", "files", "digests", "pixels", "damage", "parameters", "card", "reviews", "seal"}
"""Members whose own members depend on what is in the archive."""


def shape_differs(example: Any, real: Any, where: str) -> str:
    """Where two values differ in members or types; an empty string where they do not."""
    if isinstance(example, dict):
        if not isinstance(real, dict):
            return f"{where} is {type(real).__name__}"
        if where.rsplit(".", 1)[-1] in OPEN:
            return ""
        if example.keys() != real.keys():
            return f"{where} has the members {sorted(real)}, the page {sorted(example)}"
        return next(
            (found for key in example if (found := shape_differs(example[key], real[key], f"{where}.{key}"))), ""
        )
    if isinstance(example, list):
        if not isinstance(real, list):
            return f"{where} is {type(real).__name__}"
        return shape_differs(example[0], real[0], f"{where}[0]") if example and real else ""
    if isinstance(example, bool) or isinstance(real, bool) or isinstance(example, str) or isinstance(real, str):
        return "" if type(example) is type(real) else f"{where} is {type(real).__name__}"
    return "" if isinstance(real, int | float) == isinstance(example, int | float) else f"{where} is {real!r}"


@pytest.mark.slow
def test_json_is_as_documented(shelf, command, tmp_path: Path):
    examples = {name: json.loads(text) for name, text in EXAMPLE.findall((DOCS / "reference" / "json.md").read_text())}
    scans = tmp_path / "scans"
    scans.mkdir()
    small_photograph(scans / "a.jpg")
    shutil.copy(scans / "a.jpg", scans / "b.jpg")
    (scans / "c.jpg").write_bytes((PHOTOGRAPHS / "march-pastoral.jpg").read_bytes()[:100_000])
    (scans / "d.jpg").write_bytes(b"\xff\xd8\xff none")
    real = {"ingest": shelf.run("ingest", scans / "a.jpg", scans / "b.jpg", scans / "c.jpg").json}
    real["finding"] = real["ingest"]["quarantined"][0]["findings"][-1]
    shelf.run("ingest", scans / "d.jpg", "--keep-unreadable")
    real["restore"] = shelf.run("restore", "a", "d").json
    real["enhance"] = shelf.run("enhance", "a", "--scale", "2", *KERNEL).json
    real["export"] = shelf.run("export", "a/enhancement", "--as", "access", "--to", tmp_path / "public").json
    copy = tmp_path / "public" / "a-enhanced-story-1.jpg"
    real["audit"] = shelf.ok("audit", copy, "--report", tmp_path / "report.html")
    packed = ("--as", "bag", "--approved-only", "--to", tmp_path / "packed")
    real["export packages"] = shelf.run("export", "a", "a/restoration", *packed).json
    words = (
        "--scale",
        "1.5",
        *KERNEL,
        "--hint",
        "20,20=#806040",
        "--to",
        tmp_path,
    )
    shutil.copy(shelf.root / "audit" / "checkpoint", tmp_path / "old")
    real["review"] = shelf.ok("review", "a/restoration", "--approve", "--by", "A. Miller")
    real["log prove"] = shelf.ok("log", "prove", "a", "--to", tmp_path / "a.tlog-proof")
    real["log export"] = shelf.ok("log", "export", "--to", tmp_path / "log")
    real["log consistency"] = shelf.ok("log", "consistency", tmp_path / "old")
    real["log timestamp request"] = shelf.ok("log", "timestamp", "request", "--to", tmp_path / "request.tsq")
    real["story"] = shelf.ok("story", "a", "--seconds", "1", *words)
    real["hints suggest"] = shelf.ok("hints", "suggest", "a")
    shown = shelf.run("palettes", "show", "autochrome").out.replace('"autochrome"', '"ours"', 1)
    (tmp_path / "ours.json").write_text(shown, encoding="utf-8")
    real["palettes add"] = shelf.ok("palettes", "add", tmp_path / "ours.json")
    real["error"] = shelf.run("show", "LHS-0009").json
    for words in (
        "list", "verify", "log verify", "log show", "keys show", "recipes list", "catalog rebuild",
    ):  # fmt: skip
        real[words] = shelf.run(*words.split()).json
    real["replicate"] = shelf.ok("replicate", "--to", tmp_path / "replica")
    shelf.files("a")["a.jpg"].unlink()
    real["repair"] = shelf.ok("repair", "a", "--from", tmp_path / "replica")
    model = write_model(tmp_path / "model", card(onnx_blur()), onnx_blur())
    real["models add"] = shelf.ok("models", "add", model, model.with_name("weights.onnx"))
    for words in ("models list", "models verify tiny-blur", "models show tiny-blur", "models remove tiny-blur"):
        real[words.removesuffix(" tiny-blur")] = shelf.ok(*words.split())
    real["show"] = shelf.ok("show", "a")
    real["restore --dry-run"] = shelf.ok("restore", "a", "--dry-run")
    real["reproduce"] = shelf.ok("reproduce", "a/restoration")
    real["init"] = command("--json", "init", tmp_path / "another").json
    # The demonstration itself runs in tests of its own; what it prints is this record.
    real["demo"] = examples["demo"] if set(examples["demo"]) == set(Demonstration.__dataclass_fields__) else {}
    assert examples.keys() == real.keys()
    assert real["restore"]["failed"] and real["ingest"]["duplicates"]
    assert [found for name in examples if (found := shape_differs(examples[name], real[name], name))] == []
