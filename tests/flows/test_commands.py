"""What a command says when it cannot do its work: one line, the right exit code, one JSON document."""

from __future__ import annotations

import json
import shlex
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import encypher_c2pa
import pytest

from archive_restore.adapters.catalog import open_catalog
from tests.conftest import Ran, Shelf
from tests.support.archives import copy_of, one_scan
from tests.support.scans import write_scan

Command = Callable[..., Ran]


def refuses(command: Command, code: int, *words: str | Path, says: str = "") -> str:
    """Run it for people and for machines; both must be told in one line. Returns the message."""
    plain = command(*words)
    told = command("--json", *words)
    assert (plain.code, told.code) == (code, code), plain.err + told.err
    for ran in (plain, told):
        assert ran.err.startswith("archive-restore: "), ran.err
        assert ran.err.count("\n") == 1, ran.err
        assert "Traceback" not in ran.err
    assert plain.out == ""
    error = told.json["error"]
    assert set(error) == {"class", "message", "exit_code"}
    assert error["exit_code"] == code
    assert f"archive-restore: {error['message']}\n" == told.err
    assert says in error["message"], error["message"]
    return str(error["message"])


@pytest.fixture
def stocked(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, command: Command) -> Shelf:
    write_scan(tmp_path / "scan.tif")
    return Shelf(root=copy_of("one_scan", tmp_path / "archive", tmp_path_factory, one_scan), runner=command)


def contents(shelf: Shelf) -> dict[str, str]:
    catalog = open_catalog(shelf.root / "catalog.sqlite")
    try:
        return dict(catalog.contents())
    finally:
        catalog.close()


# --- no archive, no such thing -----------------------------------------------------------------------


def test_no_archive(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for words in (
        ("list",),
        ("verify",),
        ("log", "show"),
        ("keys", "show"),
        ("catalog", "rebuild"),
        ("restore", "--all"),
    ):
        refuses(command, 10, *words, says="archive-restore init")
        refuses(command, 10, "-A", tmp_path / "nowhere", *words)
    (tmp_path / "file").write_text("x")
    refuses(command, 2, "-A", tmp_path / "file", "list")
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_init_keeps_off_what_is_there(command: Command, shelf: Shelf, tmp_path: Path):
    refuses(command, 10, "init", shelf.root, says="already")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("years of work")
    refuses(command, 10, "init", tmp_path / "full")
    refuses(command, 10, "init", tmp_path / "full" / "thesis.txt")
    refuses(command, 15, "init", tmp_path / "full" / "thesis.txt" / "below")
    assert [p.name for p in (tmp_path / "full").iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    "ref",
    [
        "nothing",
        "scan/restoration",
        "scan/restoration@1",
        "scan/colorization",
        "scan/poster",
        "scan@1",
        "../../x",
        "scan/restoration@0",
        "scan/restoration@x",
        "scan/restoration@9999999999999999",
        "",
        "a\nb",
        "-",
        "☃" * 200,
    ],
)
def test_references_that_name_nothing(command: Command, stocked: Shelf, ref: str):
    for verb in ("show", "verify", "reproduce"):
        refuses(command, 12, "-A", stocked.root, verb, "--", ref)


def test_only_masters_are_restored(command: Command, stocked: Shelf):
    refuses(command, 12, "-A", stocked.root, "restore", "nothing")
    refuses(command, 2, "-A", stocked.root, "restore", "scan/restoration", says="made from the master")
    refuses(command, 2, "-A", stocked.root, "restore", says="--all")
    refuses(command, 2, "-A", stocked.root, "restore", "scan", "--all")
    refuses(command, 12, "-A", stocked.root, "reproduce", "scan", says="not a derivative")


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("frobnicate",),
        ("list", "--frobnicate"),
        ("show",),
        ("show", "a", "b"),
        ("verify", "--sample", "0"),
        ("verify", "--sample", "101"),
        ("verify", "scan", "--all"),
        ("log",),
        ("log", "show", "-n", "0"),
        ("restore", "scan", "--seed", "-1"),
    ],
)
def test_words_that_do_not_fit(command: Command, stocked: Shelf, words: tuple[str, ...]):
    refuses(command, 2, "-A", stocked.root, *words)


# --- recipes -----------------------------------------------------------------------------------------

RECIPES = {
    "not JSON": "{",
    "not UTF-8": b"\xff\xfe",
    "empty": "",
    "a list": "[]",
    "no steps": '{"name": "x", "description": "x"}',
    "nested": "[" * 100_000,
    "no such step": '{"name": "x", "description": "x", "steps": [{"step": "invent"}]}',
    "a story step": '{"name": "x", "description": "x", "steps": [{"step": "colorize"}]}',
    "no such parameter": '{"name": "x", "description": "x", "steps": [{"step": "fill", "parameters": {"x": 1}}]}',
    "wrong type": '{"name": "x", "description": "x", "steps": [{"step": "fill", "parameters": {"max_width": "a"}}]}',
    "tone first": '{"name": "x", "description": "x", "steps": [{"step": "tone"}, {"step": "fill"}]}',
    "unknown member": '{"name": "x", "description": "x", "steps": [{"step": "fill"}], "sudo": true}',
}


@pytest.mark.parametrize("case", RECIPES)
def test_bad_recipes(command: Command, stocked: Shelf, tmp_path: Path, case: str):
    text = RECIPES[case]
    recipe = tmp_path / "recipe.json"
    recipe.write_bytes(text if isinstance(text, bytes) else text.encode())
    refuses(command, 14, "-A", stocked.root, "restore", "scan", "--recipe", recipe)
    assert len(stocked.ok("list")["items"][0]["derivatives"]) == 0


def test_recipes_that_are_not_there(command: Command, stocked: Shelf, tmp_path: Path):
    refuses(command, 14, "-A", stocked.root, "restore", "scan", "--recipe", "gentel", says="gentle")
    refuses(command, 14, "-A", stocked.root, "restore", "scan", "--recipe", tmp_path)
    refuses(command, 14, "recipes", "show", "gentel")


@pytest.mark.parametrize(
    "setting",
    [
        "fill",
        "fill.max_width",
        "fill.max_width=",
        "fill.max_width=wide",
        "fill.max_width=-1",
        "fill.wide=1",
        "tone.fading=true",
        ".x=1",
        "fill.max_width=[1]",
        "fill.max_width=NaN",
        "fill.max_width=1e999",
        "fill.max_width=Infinity",
        "losses.treatment=invent",
        "fill.max_width=" + "9" * 400,
        "fill.max_width=" + "[" * 5000,
    ],
)
def test_bad_settings(command: Command, stocked: Shelf, setting: str):
    refuses(command, 14, "-A", stocked.root, "restore", "scan", "--set", setting)


def test_a_recipe_of_ones_own(stocked: Shelf, command: Command, tmp_path: Path):
    recipe = json.loads(command("recipes", "show", "gentle").out)
    recipe["name"] = "mine"
    recipe["steps"][1]["parameters"] = {"max_width": 3}
    (tmp_path / "mine.json").write_text(json.dumps(recipe))
    (made,) = stocked.ok("restore", "scan", "--recipe", tmp_path / "mine.json")["made"]
    assert stocked.ok("show", made["ref"])["record"]["recipe"]["name"] == "mine"
    assert stocked.ok("verify", "--all")["ok"]


# --- settings, keys ----------------------------------------------------------------------------------


def test_archive_toml_in_pieces(command: Command, stocked: Shelf):
    config = stocked.root / "archive.toml"
    good = config.read_text()
    for text in (
        "name = ",
        "\udcff",  # a byte that is no UTF-8
        good.replace("threads = 0", "threads = -1"),
        good.replace("threads = 0", "threads = 'x'"),
        good.replace("name = ", "name = 1 #"),
        "".join(line for line in good.splitlines(True) if not line.startswith("id")),
    ):
        config.write_bytes(text.encode("utf-8", "surrogateescape"))
        refuses(command, 25, "-A", stocked.root, "list")
        refuses(command, 25, "-A", stocked.root, "restore", "scan")
    config.write_text(good.replace("preservation_steps = []", 'preservation_steps = ["borrowed"]'))
    refuses(command, 23, "-A", stocked.root, "restore", "scan", says="borrowed")
    config.write_text(good.replace("processing", "plugins", 1))
    refuses(command, 25, "-A", stocked.root, "list")
    config.write_text(good.replace('id = "', 'id = "0'))
    refuses(command, 19, "-A", stocked.root, "restore", "scan")
    assert "LOG_ORIGIN_WRONG" in stocked.run("verify").codes
    config.write_text(good)
    assert stocked.ok("verify")["ok"]


def test_missing_keys(command: Command, stocked: Shelf, tmp_path: Path):
    keys = stocked.root / "keys"
    new = write_scan(tmp_path / "new.tif", seed=9)
    shutil.copytree(keys, tmp_path / "backup")
    (keys / "signer" / "key.pem").unlink()
    refuses(command, 17, "-A", stocked.root, "ingest", new, says="backup")
    assert stocked.run("restore", "scan").code in (1, 17)
    assert stocked.ok("verify", "--all")["ok"]
    (keys / "log-key.pem").unlink()
    refuses(command, 17, "-A", stocked.root, "ingest", new, says="backup")
    assert stocked.ok("verify", "--all")["ok"]
    shutil.rmtree(keys)
    for words in (("list",), ("ingest", new), ("verify",), ("keys", "show")):
        refuses(command, 17, "-A", stocked.root, *words, says="backup")
    shutil.copytree(tmp_path / "backup", keys)
    stocked.ok("ingest", new)
    assert stocked.ok("verify", "--all")["subjects"] == 2


def test_the_passphrase(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    root, variable = tmp_path / "archive", "ARCHIVE_RESTORE_PASSPHRASE"
    scan = write_scan(tmp_path / "scan.tif")
    monkeypatch.setenv(variable, "correct horse")
    assert command("init", root, "--passphrase").code == 0
    for key in (root / "keys" / "signer" / "key.pem", root / "keys" / "log-key.pem"):
        assert b"ENCRYPTED" in key.read_bytes()
        assert key.stat().st_mode & 0o077 == 0
    monkeypatch.delenv(variable)
    refuses(command, 25, "-A", root, "ingest", scan, says=variable)
    monkeypatch.setenv(variable, "")
    refuses(command, 25, "-A", root, "ingest", scan, says=variable)
    monkeypatch.setenv(variable, "wrong donkey")
    refuses(command, 17, "-A", root, "ingest", scan, says="passphrase is wrong")
    assert json.loads(command("--json", "-A", root, "list").out) == {"items": []}
    monkeypatch.setenv(variable, "correct horse")
    assert command("-A", root, "ingest", scan).code == 0
    assert command("-A", root, "restore", "scan").code == 0
    monkeypatch.delenv(variable)
    for words in (
        ("verify", "--all"),
        ("list",),
        ("reproduce", "scan/restoration"),
        ("log", "verify"),
        ("catalog", "rebuild"),
    ):
        assert command("-A", root, *words).code == 0, words


def issue(folder: Path, name: str) -> tuple[Path, Path, Path]:
    """An organization's own authority and signing certificate, made with openssl alone: (chain, key, root)."""
    folder.mkdir()
    extensions = folder / "leaf.cnf"
    extensions.write_text(
        "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=emailProtection\n"
        "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
    )

    def openssl(*words: str | Path) -> None:
        subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, cwd=folder)

    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl(
        "req",
        "-x509",
        *curve,
        "-keyout",
        "root.key",
        "-out",
        "root.pem",
        "-days",
        "9000",
        "-subj",
        f"/O={name}/CN={name} root",
        "-addext",
        "keyUsage=critical,keyCertSign,cRLSign",
    )
    openssl("req", *curve, "-keyout", "leaf.key", "-out", "leaf.csr", "-subj", f"/O={name}/CN={name} signing")
    openssl(
        "x509",
        "-req",
        "-in",
        "leaf.csr",
        "-CA",
        "root.pem",
        "-CAkey",
        "root.key",
        "-CAcreateserial",
        "-days",
        "8000",
        "-extfile",
        extensions,
        "-out",
        "leaf.pem",
    )
    (folder / "chain.pem").write_text((folder / "leaf.pem").read_text() + (folder / "root.pem").read_text())
    return folder / "chain.pem", folder / "leaf.key", folder / "root.pem"


@pytest.mark.parametrize("how", ["key", "command"])
def test_imported_keys_sign_and_old_manifests_stay_trusted(stocked: Shelf, tmp_path: Path, how: str):
    chain, key, root = issue(tmp_path / "authority", "Museum")
    stocked.ok("restore", "scan")
    if how == "key":
        shown = stocked.ok("keys", "import", "--chain", chain, "--key", key)
    else:
        program = tmp_path / "sign with a token.sh"
        program.write_text(f"#!/bin/sh\nexec openssl dgst -sha256 -sign {shlex.quote(str(key))}\n")
        program.chmod(0o755)
        shown = stocked.ok("keys", "import", "--chain", chain, "--command", shlex.quote(str(program)))
        assert not (stocked.root / "keys" / "signer" / "key.pem").exists()
    assert shown["subject"] == "CN=Museum signing,O=Museum"
    stocked.ok("ingest", write_scan(tmp_path / "new.tif", seed=4))
    stocked.ok("restore", "new")
    stocked.ok("restore", "scan")
    found = stocked.ok("verify", "--all")
    assert found["subjects"] == 5
    assert [f for f in found["findings"] if f["severity"] != "info"] == []
    own, museum = (stocked.root / "keys" / "anchors.pem").read_text(), root.read_text()
    for ref, name, trust in (
        ("new/restoration", "new-restoration.tif", museum),
        ("scan/restoration@1", "scan-restoration.tif", own),
        ("scan/restoration@2", "scan-restoration.tif", museum),
    ):
        verdict = encypher_c2pa.verify(
            str(stocked.files(ref)[name]),
            "image/tiff",
            trust_pem=trust,
            no_default_trust=True,
            telemetry=False,
            online=False,
        )
        assert str(verdict["validation_state"]).lower() == "trusted", (ref, verdict)


def test_keys_that_do_not_fit_change_nothing(command: Command, stocked: Shelf, tmp_path: Path):
    chain, key, _ = issue(tmp_path / "one", "One")
    _, other, _ = issue(tmp_path / "two", "Two")
    before = {p: p.read_bytes() for p in (stocked.root / "keys").rglob("*") if p.is_file()}
    base = ("-A", stocked.root, "keys", "import", "--chain")
    refuses(command, 17, *base, chain)
    refuses(command, 17, *base, chain, "--key", other, says="does not belong")
    refuses(command, 17, *base, key, "--key", key)
    (tmp_path / "chain.der").write_bytes(bytes(range(256)))
    refuses(command, 17, *base, tmp_path / "chain.der", "--key", key)
    refuses(command, 17, *base, chain, "--key", tmp_path / "chain.der")
    locked = ("ec", "-in", key, "-aes256", "-passout", "pass:x", "-out", tmp_path / "locked.pem")
    subprocess.run(["openssl", *map(str, locked)], check=True, capture_output=True)
    refuses(command, 17, *base, chain, "--key", tmp_path / "locked.pem", says="passphrase")
    refuses(command, 17, *base, chain, "--key", chain)
    refuses(command, 17, *base, chain, "--command", "/nowhere/sign")
    refuses(command, 17, *base, chain, "--command", "true")
    refuses(command, 17, *base, chain, "--command", "cat")
    refuses(command, 2, *base, chain, "--command", "'unbalanced")
    refuses(command, 2, *base, tmp_path / "nowhere.pem", "--key", key)
    assert {p: p.read_bytes() for p in (stocked.root / "keys").rglob("*") if p.is_file()} == before


# --- the catalog -------------------------------------------------------------------------------------


def _missing(path: Path) -> None:
    path.unlink()


def _garbage(path: Path) -> None:
    path.write_bytes(b"this is no database" * 500)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def _other(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE shopping (what TEXT)")
    connection.close()


def _newer(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE schema_info SET version = 999")
    connection.close()


def _page(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096:8192] = b"\xa5" * 4096
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [_missing, _garbage, _cut, _other, _newer, _page])
def test_a_damaged_catalog_is_told_of_and_rebuilt(
    command: Command, stocked: Shelf, tmp_path: Path, damage: Callable[[Path], None]
):
    stocked.ok("restore", "scan")
    meant = contents(stocked)
    listed, shown = stocked.ok("list"), stocked.ok("show", "scan")
    damage(stocked.root / "catalog.sqlite")
    new = write_scan(tmp_path / "new.tif", seed=3)
    refuses(command, 20, "-A", stocked.root, "list", says="catalog rebuild")
    refuses(command, 20, "-A", stocked.root, "ingest", new, says="catalog rebuild")
    ran = stocked.run("verify", "--all")
    assert ran.code in (1, 20)
    assert "catalog rebuild" in ran.out
    assert stocked.ok("catalog", "rebuild")["objects"] == 2
    assert contents(stocked) == meant
    assert (stocked.ok("list"), stocked.ok("show", "scan")) == (listed, shown)
    assert stocked.ok("verify", "--all")["ok"]
    assert len(stocked.ok("ingest", new)["accepted"]) == 1


def test_an_emptied_catalog_is_no_empty_archive(command: Command, stocked: Shelf):
    (stocked.root / "catalog.sqlite").write_bytes(b"")
    refuses(command, 20, "-A", stocked.root, "list", says="catalog rebuild")
    stocked.ok("catalog", "rebuild")
    assert len(stocked.ok("list")["items"]) == 1


def test_a_rebuild_that_breaks_off_leaves_the_old_catalog(stocked: Shelf, monkeypatch: pytest.MonkeyPatch):
    meant = contents(stocked)
    with monkeypatch.context() as broken:
        broken.setattr("archive_restore.flows.rebuild.load_record", lambda *_: 1 / 0)
        assert stocked.run("catalog", "rebuild").code == 70
    assert contents(stocked) == meant
    assert stocked.ok("verify", "--all")["ok"]


# --- output ------------------------------------------------------------------------------------------


def test_every_command_answers_in_one_json_document(stocked: Shelf, tmp_path: Path, command: Command):
    stocked.ok("restore", "scan")
    for words in (
        ("list",),
        ("show", "scan"),
        ("show", "scan/restoration"),
        ("search", "scan"),
        ("verify",),
        ("verify", "scan"),
        ("verify", "--sample", "50"),
        ("reproduce", "scan/restoration"),
        ("log", "show"),
        ("log", "verify"),
        ("recipes", "list"),
        ("recipes", "show", "gentle"),
        ("models", "list"),
        ("keys", "show"),
        ("catalog", "rebuild"),
        ("restore", "--all"),
        ("restore", "--all", "--dry-run"),
        ("ingest", tmp_path / "scan.tif"),
    ):
        ran = stocked.run(*words)
        assert ran.code == 0, (words, ran.err)
        assert isinstance(ran.json, dict)
        assert ran.err == ""
        assert command(*words, "--json", "-A", stocked.root).json.keys() == ran.json.keys()


def test_a_reader_that_goes_away_is_no_error(stocked: Shelf):
    program = [sys.executable, "-m", "archive_restore", "-A", str(stocked.root), "log", "show", "-n", "1000"]
    done = subprocess.run(f"{shlex.join(program)} | head -c 10", shell=True, capture_output=True, text=True, check=True)
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr
