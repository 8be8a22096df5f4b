"""The benchmarks run: a tiny turn of each, so that they never rot. No time is judged here."""

import re

import pytest

from tests.benchmarks import ingest, models, restoration


def test_ingest(capsys: pytest.CaptureFixture[str], tmp_path):
    ingest.main(["--files", "4", "--large-mib", "4", "--runs", "1", "--directory", str(tmp_path)])
    told = capsys.readouterr().out
    for words in ("ocfl-py: make objects", "identify (PRONOM)", "cp + sha512sum + sha256sum", "Deflate"):
        assert words in told


def test_restoration(capsys: pytest.CaptureFixture[str], tmp_path):
    restoration.main(["--mpx", "1", "--channels", "1", "--recipe", "by-hand", "--directory", str(tmp_path)])
    told = capsys.readouterr().out
    for words in ("| ingest |", "| restore |", "| verify |", "| reproduce |", "tifffile"):
        assert words in told


def test_models(capsys: pytest.CaptureFixture[str], tmp_path):
    models.main(["--parts", "quality", "seams", "cards", "--photographs", "allium-oreophilum"])
    told = capsys.readouterr().out
    for words in ("| network |", "| both |", "Navier-Stokes", "largest difference", "expected calibration error"):
        assert words in told
    largest = [float(found) for found in re.findall(r"^\| (?:damage|fill) \| \d+ \| ([\d.]+) \|$", told, re.MULTILINE)]
    assert len(largest) == 2
    assert max(largest) <= 1
