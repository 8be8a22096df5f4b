"""The quality gates, run like any other test: style, types, layers, and what must stay light."""

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "command",
    [
        ("-m", "ruff", "check", "."),
        ("-m", "ruff", "format", "--check", "."),
        ("-m", "mypy"),
    ],
    ids=["ruff", "ruff-format", "mypy"],
)
def test_gate(command):
    done = run(*command)
    assert done.returncode == 0, done.stdout + done.stderr


def test_layers():
    done = run("-c", "from importlinter.cli import lint_imports_command; lint_imports_command()")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_a_preservation_module_that_imports_a_story_breaks_the_contract(tmp_path):
    """The separation contract can fail: a copy of the tree with one forbidden import is refused."""
    import shutil

    tree = tmp_path / "tree"
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
    shutil.copytree(ROOT / "archive_restore", tree / "archive_restore", ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tree)
    flow = tree / "archive_restore" / "flows" / "restore.py"
    flow.write_text(flow.read_text() + "\nfrom archive_restore.records.stories import StoryRef as _Story\n")
    lint = (
        "import sys; sys.path.insert(0, '.'); from importlinter.cli import lint_imports_command; lint_imports_command()"
    )
    done = subprocess.run([sys.executable, "-c", lint], cwd=tree, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "Preservation never reaches for stories BROKEN" in re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_imports_nothing_heavy(option):
    heavy = ("numpy", "cv2", "sqlalchemy", "c2pa", "lxml", "PIL", "tifffile", "torch", "rich", "jinja2", "cryptography")
    code = (
        "import sys\nfrom archive_restore.cli import main\n"
        f"try:\n    main([{option!r}])\nexcept SystemExit as end:\n    assert not end.code\n"
        f"print([m for m in {heavy!r} if m in sys.modules], file=sys.stderr)"
    )
    done = run("-c", code)
    assert done.returncode == 0, done.stderr
    assert done.stderr.strip() == "[]"


def test_help_answers_at_once():
    """Under 0.2 s on an idle machine; here the median of five is held against a bare interpreter plus click."""
    bare = sorted(_seconds("-c", "import click") for _ in range(5))[2]
    help_ = sorted(_seconds("-m", "archive_restore", "--help") for _ in range(5))[2]
    assert help_ < bare * 2 + 0.05, f"--help took {help_:.3f} s, python with click {bare:.3f} s"


def _seconds(*command: str) -> float:
    start = time.perf_counter()
    assert run(*command).returncode == 0
    return time.perf_counter() - start
