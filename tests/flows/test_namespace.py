"""The main job without any network: in a namespace that has no interface, and under a watch on every attempt (P6)."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from tests.conftest import PHOTOGRAPHS, Shelf
from tests.support.launcher import launcher
from tests.support.scans import picture, write_scan, write_scratch_map

REPOSITORY = Path(__file__).parents[2]
ALONE = ("unshare", "-r", "-n")


def _no_namespace() -> str:
    if shutil.which("unshare") is None:
        return "there is no unshare here"
    done = subprocess.run([*ALONE, "true"], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"namespaces are not allowed here: {done.stderr.strip()}"


@pytest.fixture
def alone() -> tuple[str, ...]:
    problem = _no_namespace()
    if problem:
        pytest.skip(problem)
    return ALONE


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of a user's own scans, of every kind."""
    box = tmp_path / "box"
    write_scan(box / "gray16.tif", edge=96, seed=1)
    colour = np.stack([picture(96, seed) for seed in (2, 3, 4, 5)], axis=2)
    tifffile.imwrite(box / "infrared.tif", colour, photometric="rgb", extrasamples=["unspecified"])
    with Image.open(PHOTOGRAPHS / "airplane-from-above.jpg") as photograph:
        photograph.crop((200, 200, 360, 330)).save(box / "photograph.jpg", quality=92)
    Image.fromarray(picture(80, 6)).save(box / "sixteen.png")
    return box


@pytest.mark.namespace
def test_the_namespace_really_has_no_network(alone: tuple[str, ...]):
    reach = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=5)"
    done = subprocess.run([*alone, sys.executable, "-c", reach], capture_output=True, text=True, check=False)
    assert "Network is unreachable" in done.stderr
    known = subprocess.run([*alone, "cat", "/proc/net/dev"], capture_output=True, text=True, check=True)
    assert [line.split(":")[0].strip() for line in known.stdout.splitlines()[2:]] == ["lo"]


@pytest.mark.namespace
def test_the_main_job_needs_no_network(alone: tuple[str, ...], tmp_path: Path, folder: Path):
    root = tmp_path / "archive"
    (tmp_path / "processes").mkdir()
    with launcher(tmp_path / "processes", alone, ("torch",)) as processes:
        assert processes.run("init", root).code == 0
        shelf = Shelf(root=root, runner=processes.run)
        accepted = shelf.ok("ingest", folder)["accepted"]
        assert [a["item_id"] for a in accepted] == ["gray16", "infrared", "photograph", "sixteen"]
        roles = shelf.ok("show", "infrared")["record"]["picture"]["roles"]
        assert roles == ["red", "green", "blue", "infrared"]
        made = [one["ref"] for one in shelf.ok("restore", "--all")["made"]]
        assert len(made) == 4
        found = shelf.ok("verify", "--all")
        assert (found["subjects"], found["findings"]) == (8, [])
        for ref in made:
            assert shelf.ok("reproduce", ref)["identical"]
        drawn = write_scratch_map(tmp_path / "drawn.png", edge=96)
        shelf.ok("restore", "gray16", "--damage-map", drawn)
        words = ("--scale", "2", "--hint", "30,30=khaki", "--seconds", "1", "--size", "source", "--to", tmp_path)
        told = shelf.ok("story", "gray16/restoration", *words)
        for ref in told["told"][0]["refs"][1:]:
            assert shelf.ok("reproduce", ref)["identical"]
        demonstration = processes.run("--json", "demo", tmp_path / "demo")
        assert demonstration.code == 0, demonstration.err
        assert (demonstration.json["verified"], demonstration.json["identical"]) == (True, True)
        shelf.ok("catalog", "rebuild")
        assert shelf.ok("log", "verify")["ok"]
        assert shelf.ok("verify", "--all")["subjects"] == 12


def test_nothing_even_tries(tmp_path: Path, folder: Path):
    """Outside of any namespace, every system call of the whole job watched: no socket but local ones, no connection."""
    if shutil.which("strace") is None:
        pytest.skip("there is no strace here")
    trace, remote = tmp_path / "trace", tmp_path / "remote.jpg"
    # A file that asks for its credentials to be fetched from an address.
    packet = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:dcterms="http://purl.org/dc/terms/" '
        'dcterms:provenance="http://192.0.2.1/m.c2pa"/></rdf:RDF></x:xmpmeta>'
    )
    Image.new("RGB", (64, 64), (90, 80, 70)).save(remote, xmp=packet.encode())
    job = (
        "from tests.support.archives import must\n"
        f"root, box, out, remote = {[str(p) for p in (tmp_path / 'archive', folder, tmp_path / 'out', remote)]!r}\n"
        "must('init', root)\n"
        "for words in (('ingest', box), ('restore', '--all'), ('verify', '--all'),\n"
        "              ('reproduce', 'gray16/restoration'), ('enhance', 'gray16', '--scale', '2'),\n"
        "              ('colorize', 'gray16/enhancement', '--hint', '9,9=red'), ('catalog', 'rebuild'),\n"
        "              ('export', 'photograph', '--as', 'access', '--to', out),\n"
        "              ('audit', out + '/photograph.jpg', '--report', out + '/audit.html'), ('audit', remote)):\n"
        "    must('-A', root, *words)\n"
    )
    calls = "trace=socket,connect,sendto,sendmsg,bind"
    watch = ["strace", "-f", "-qq", "-e", calls, "-o", str(trace), sys.executable, "-c", job]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(watch, capture_output=True, text=True, env=environment, cwd=REPOSITORY, check=False)
    if "Operation not permitted" in done.stderr and not trace.exists():
        pytest.skip("strace is not allowed here")
    assert done.returncode == 0, done.stderr
    assert re.findall(r"^.*AF_(?:INET|INET6|PACKET|NETLINK).*$", trace.read_text(), re.MULTILINE) == []
