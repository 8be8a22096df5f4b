"""The catalog says what it was told, can be compared field by field, and keeps record and story apart in SQL."""

import dataclasses
import json
import random
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archive_restore.adapters.catalog import SqlCatalog, open_catalog, tables
from archive_restore.core.canonical import canonical_bytes, from_plain
from archive_restore.errors import ArchiveBusy, ArchiveRestoreError, CatalogDamaged, SeparationViolated, StorageFailed
from archive_restore.records.imagery import MapSummary, PictureFacts, SampleRole
from archive_restore.records.objects import Description, FileFacts, Master, MasterRef, SourceType
from archive_restore.records.preservation import PreservationDerivation, PreservationKind, PreservationRef
from archive_restore.records.provenance import Determinism, Environment, Event, Material, Recipe, StepRun
from archive_restore.records.stories import StoryKind

STORY = "NIPOMO-01/colorization@1"


def master(item_id: str = "NIPOMO-01", **said: Any) -> Master:
    values: dict[str, Any] = {"title": "Migrant Mother", "creator": "Dorothea Lange", "date": "1936-03"}
    return Master(
        ref=MasterRef(item_id=item_id),
        description=Description(
            **{**values, "source_type": SourceType.NEGATIVE_FILM, "extra": {"shelf": "12b"}, **said}
        ),
        file=FileFacts(
            name=f"{item_id}.tif", size=5, sha512=item_id.encode().hex(), sha256="bb", puid="fmt/353", mime="image/tiff"
        ),
        picture=PictureFacts(
            width=20, height=30, samples=1, bits=16, sample_format="uint", roles=(SampleRole.GRAY,),
            photometric="minisblack", compression="none", layout="strips", pages=1, x_resolution=300.0,
        ),
        findings=(),
        original_path=f"/in/{item_id}.tif",
        ingested="2026-11-22T10:00:00Z",
    )  # fmt: skip


def derivation(version: int = 1, item_id: str = "NIPOMO-01", *ingredients: str) -> PreservationDerivation:
    return PreservationDerivation(
        derivation_id=f"urn:uuid:{item_id}-{version}",
        ref=PreservationRef(item_id=item_id, kind=PreservationKind.RESTORATION, version=version),
        parent=MasterRef(item_id=item_id),
        materials=tuple(
            Material(role="master", ref=ref, mime="image/tiff", size=5, sha512="a", sha256="b", pixels_sha256="c")
            for ref in (item_id, *ingredients)
        ),
        recipe=Recipe(name="default", description="", steps=()),
        steps=(
            StepRun(
                step="fill", version="1", parameters={"radius": 2.0, "gain": 0.1}, survey={"levels": (1, 2.5)},
                action="c2pa.edited", digital_source_type="", pixels=0, description="",
            ),
        ),
        seed=1,
        tile=512,
        products=(),
        map=MapSummary(
            width=1, height=1, counts={"ORIGINAL": 1}, histogram={"0": 1}, sha256="", master_sha256="",
            master_pixels_sha256="",
        ),
        environment=Environment(
            agents=(), models=(), platform="x", device="cpu", determinism=Determinism.BIT_EXACT
        ),
        started="2026-11-22T10:00:00Z",
        ended="2026-11-22T10:01:00Z",
        events=(),
    )  # fmt: skip


def event(number: int, ref: str = "NIPOMO-01") -> Event:
    return Event(
        event_id=f"urn:uuid:{number}",
        type="ingestion",
        date_time="2026-11-22T10:00:00Z",
        ref=ref,
        outcome="success",
        detail="Copied in",
        agent="archive-restore",
        digests={"scan.tif": "sha512:00"},
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "catalog.sqlite"


@pytest.fixture
def catalog(path: Path):
    made = open_catalog(path)
    yield made
    made.close()


def fill(catalog: SqlCatalog) -> None:
    with catalog.batch():
        catalog.add_master(master(), [event(1), event(2)])
        catalog.add_master(master("ÉTÉ 2", title='Été "à" Paris', creator="", coverage="Paris"), [event(3, "ÉTÉ 2")])
        catalog.add_preservation(derivation(1), [event(4, "NIPOMO-01/restoration@1")])
        catalog.add_preservation(derivation(2), [event(5, "NIPOMO-01/restoration@2")])


def raw(path: Path) -> sqlite3.Connection:
    """A stranger with the sqlite3 shell: foreign keys off, as is its default."""
    return sqlite3.connect(path, isolation_level=None)


def test_it_says_what_it_was_told(catalog, path):
    fill(catalog)
    for seen in (catalog, open_catalog(path)):
        assert seen.master("NIPOMO-01") == master()
        assert seen.master("NOTHING") is None
        assert seen.master_by_sha512("ÉTÉ 2".encode().hex()) == "ÉTÉ 2"
        assert seen.master_by_sha512("00") is None
        told = seen.derivation(derivation(2).ref)
        assert told is not None
        assert canonical_bytes(told) == canonical_bytes(derivation(2))
        assert seen.derivation(derivation(3).ref) is None
        assert seen.newest("NIPOMO-01", "restoration") == 2
        assert seen.newest("ÉTÉ 2", "restoration") == 0
        assert seen.events("NIPOMO-01") == (event(1), event(2))
        assert seen.events("NIPOMO-01/restoration@2") == (event(5, "NIPOMO-01/restoration@2"),)
        assert seen.events("NOTHING") == ()
        rows = list(seen.items())
        assert [row.item_id for row in rows] == ["NIPOMO-01", "ÉTÉ 2"]
        assert rows[0].derivatives == ("NIPOMO-01/restoration@1", "NIPOMO-01/restoration@2")
        assert (rows[0].width, rows[0].height, rows[0].mime, rows[0].title) == (20, 30, "image/tiff", "Migrant Mother")
        assert list(seen.check()) == []
    seen.close()


def test_many_items_come_in_order_and_whole(catalog):
    numbers = list(range(2300))
    random.Random(1).shuffle(numbers)
    with catalog.batch():
        for number in numbers:
            catalog.add_master(master(f"I-{number:05}"), [])
    rows = list(catalog.items())
    assert [row.item_id for row in rows] == [f"I-{number:05}" for number in range(2300)]
    assert len(list(catalog.items("I-00 lange"))) == 1000
    keys = [key for key, _ in catalog.contents()]
    assert len(keys) == len(set(keys)) == 2 * 2300


def test_ten_versions_are_in_the_order_of_their_numbers(catalog):
    catalog.add_master(master(), [])
    for version in (10, 9, 1, 2, 11):
        catalog.add_preservation(derivation(version), [])
    [row] = catalog.items()
    assert [ref.split("@")[1] for ref in row.derivatives] == ["1", "2", "9", "10", "11"]
    assert catalog.newest("NIPOMO-01", "restoration") == 11


def test_adding_again_replaces(catalog):
    fill(catalog)
    before = list(catalog.contents())
    fill(catalog)
    assert list(catalog.contents()) == before
    with catalog.batch():
        catalog.add_master(master(title="First"), [event(8), event(9)])
        catalog.add_master(master(title="Second"), [event(9)])
    assert catalog.events("NIPOMO-01") == (event(9),)
    assert [row.title for row in catalog.items("second")] == ["Second"]
    assert list(catalog.items("migrant first")) == []
    changed = dataclasses.replace(derivation(1), materials=derivation(1, "NIPOMO-01", "damage.png").materials)
    catalog.add_preservation(changed, [])
    catalog.add_preservation(derivation(1), [])
    assert len([key for key, _ in catalog.contents() if key.startswith("ingredients/NIPOMO-01/restoration@1/")]) == 1
    assert list(catalog.check()) == []


def test_a_derivative_without_its_master_is_not_lost(catalog):
    catalog.add_preservation(derivation(1), [])
    [row] = catalog.items()
    assert (row.item_id, row.mime, row.derivatives) == ("NIPOMO-01", "", ("NIPOMO-01/restoration@1",))
    catalog.add_master(master(), [])
    [row] = catalog.items("migrant")
    assert row.derivatives == ("NIPOMO-01/restoration@1",)


def test_a_batch_that_fails_leaves_nothing(catalog):
    with pytest.raises(RuntimeError), catalog.batch():
        catalog.add_master(master(), [event(1)])
        assert catalog.master("NIPOMO-01") is not None  # seen inside
        raise RuntimeError
    assert list(catalog.contents()) == []
    fill(catalog)
    assert catalog.newest("NIPOMO-01", "restoration") == 2


# --- comparing and rebuilding ---


def test_a_record_read_back_from_its_file_makes_the_same_contents(catalog):
    """Files hold RFC 8785, where 2.0 is 2: a rebuild must not look like a change."""
    fill(catalog)
    fresh = open_catalog(None)
    with fresh.batch():
        for item_id in ("NIPOMO-01", "ÉTÉ 2"):
            made = catalog.master(item_id)
            back = from_plain(Master, json.loads(canonical_bytes(made)))
            fresh.add_master(back, catalog.events(item_id))
        for version in (1, 2):
            plain = json.loads(canonical_bytes(derivation(version)))
            again = from_plain(PreservationDerivation, plain)
            fresh.add_preservation(again, catalog.events(str(again.ref)))
    assert list(fresh.contents()) == list(catalog.contents())
    fresh.close()


def test_any_changed_column_shows(catalog, path):
    fill(catalog)
    before = dict(catalog.contents())
    catalog.close()
    tried = 0
    for table in tables.REBUILT:
        for column in table.columns:
            if column.name == "number":
                continue
            stranger = raw(path)
            stranger.execute("PRAGMA ignore_check_constraints = ON")
            stranger.execute("BEGIN")
            wanted = "999" if str(column.type) in ("INTEGER", "BIGINT") else "'changed'"
            stranger.execute(
                f"UPDATE {table.name} SET {column.name} = {wanted} WHERE rowid = (SELECT max(rowid) FROM {table.name})"
            )
            stranger.execute("COMMIT")
            assert dict(catalog.contents()) != before, (table.name, column.name)
            tried += 1
            catalog.clear()
            fill(catalog)
            assert dict(catalog.contents()) == before
            catalog.close()
            stranger.close()
    assert tried > 40


def test_clearing_keeps_the_jobs(catalog):
    fill(catalog)
    catalog.open_batch("key", ["a"])
    catalog.clear()
    assert list(catalog.contents()) == []
    assert list(catalog.items("migrant")) == []
    catalog.finish("key", "a")
    assert catalog.open_batch("key", ["a"]) == ()


# --- searching ---


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("migrant", ["NIPOMO-01"]),
        ("MIGR lang", ["NIPOMO-01"]),
        ("migrant paris", []),
        ("ete", ["ÉTÉ 2"]),
        ("été paris", ["ÉTÉ 2"]),
        ("NIPOMO-01", ["NIPOMO-01"]),
        ("nipomo-01.tif", ["NIPOMO-01"]),
        ("12b", ["NIPOMO-01", "ÉTÉ 2"]),
        ("1936-03", ["NIPOMO-01", "ÉTÉ 2"]),
        ("title:migrant", []),
        ("migrant OR paris", []),
        ("  ", ["NIPOMO-01", "ÉTÉ 2"]),
        ("!?", []),
    ],
)
def test_words_find_items(catalog, query, found):
    fill(catalog)
    assert [row.item_id for row in catalog.items(query)] == found


SHARED = open_catalog(None)
fill(SHARED)


@settings(max_examples=300)
@given(
    st.one_of(
        st.text(max_size=30),
        st.text(alphabet="\"*()-+:^\\'{}[],;. aOR\0\udcff", max_size=30),
        st.lists(
            st.sampled_from(["AND", "OR", "NOT", "NEAR(", ")", '"', "*", "^", "title:", "a", "-", "--", "/*"])
        ).map(" ".join),
        st.integers(1, 400).map(lambda n: "word " * n),
    )
)
def test_no_query_is_an_error(query):
    list(SHARED.items(query))


# --- separation (P4) ---

RECORD = "NIPOMO-01/restoration@1"
ADD_STORY = (
    "INSERT INTO derivatives (ref, item_id, class, kind, version, record) "
    f"VALUES ('{STORY}', 'NIPOMO-01', 'story', 'colorization', 1, '{{}}')"
)
ADD_INGREDIENT = "INSERT INTO ingredients (derivative, position, ref, size) VALUES ('{}', 9, '{}', 1)"


@pytest.mark.parametrize(
    "statements",
    [
        [ADD_INGREDIENT.format(RECORD, STORY)],
        [ADD_INGREDIENT.format(RECORD, "NIPOMO-01/animation")],
        [ADD_STORY, ADD_INGREDIENT.format(RECORD, STORY)],
        [ADD_STORY, ADD_INGREDIENT.format(RECORD, STORY).replace("INSERT", "INSERT OR REPLACE")],
        [ADD_STORY, ADD_INGREDIENT.format(RECORD, STORY).replace("INSERT", "INSERT OR IGNORE")],
        [ADD_INGREDIENT.format(RECORD, "x"), f"UPDATE ingredients SET ref = '{STORY}' WHERE position = 9"],
        [f"UPDATE OR REPLACE ingredients SET ref = '{STORY}'"],
        [
            ADD_STORY,
            ADD_INGREDIENT.format(STORY, STORY),
            f"UPDATE ingredients SET derivative = '{RECORD}' WHERE position = 9",
        ],
        # a story becomes a preservation derivative
        [
            ADD_STORY,
            ADD_INGREDIENT.format(STORY, STORY),
            f"UPDATE derivatives SET class = 'preservation' WHERE ref = '{STORY}'",
        ],
        [
            ADD_STORY,
            ADD_INGREDIENT.format("NIPOMO-01/restoration@7", STORY),
            "UPDATE derivatives SET class = 'preservation', kind = 'restoration', version = 7, "
            f"ref = 'NIPOMO-01/restoration@7' WHERE ref = '{STORY}'",
        ],
        # the ingredient first, the preservation derivative after
        [
            ADD_INGREDIENT.format("NIPOMO-01/restoration@7", STORY),
            "INSERT INTO derivatives (ref, item_id, class, kind, version, record) "
            "VALUES ('NIPOMO-01/restoration@7', 'NIPOMO-01', 'preservation', 'restoration', 7, '{}')",
        ],
        # an ingredient becomes a story afterwards
        [
            ADD_INGREDIENT.format(RECORD, "NIPOMO-01/restoration@2"),
            "UPDATE derivatives SET class = 'story' WHERE version = 2",
        ],
        [
            "PRAGMA ignore_check_constraints = ON",
            ADD_INGREDIENT.format(RECORD, "NIPOMO-01/restoration@2"),
            "UPDATE derivatives SET class = 'story' WHERE version = 2",
        ],
        [
            "PRAGMA ignore_check_constraints = ON",
            ADD_INGREDIENT.format(RECORD, "disguised"),
            ADD_STORY.replace(STORY, "disguised"),
        ],
        # disguises that the constraints refuse
        [ADD_STORY.replace("'story'", "'preservation'")],
        [ADD_STORY.replace(STORY, "NIPOMO-01/restoration@3")],
        [ADD_STORY.replace("'story'", "'Story'")],
        [f"UPDATE derivatives SET class = 'story' WHERE ref = '{RECORD}'"],
        [f"UPDATE derivatives SET kind = 'colorization' WHERE ref = '{RECORD}'"],
    ],
)
def test_no_sql_makes_a_story_part_of_the_record(catalog, path, statements):
    fill(catalog)
    catalog.close()
    stranger = raw(path)
    for statement in statements[:-1]:
        stranger.execute(statement)
    with pytest.raises(sqlite3.IntegrityError):
        stranger.execute(statements[-1])
    stranger.close()
    assert "CATALOG_SEPARATION" not in {finding.code for finding in catalog.check()}


def test_a_story_may_have_the_record_as_ingredient(catalog, path):
    fill(catalog)
    stranger = raw(path)
    stranger.execute("PRAGMA foreign_keys = ON")
    stranger.execute(ADD_STORY)
    stranger.execute(ADD_INGREDIENT.format(STORY, RECORD))
    stranger.execute(ADD_INGREDIENT.format(STORY, STORY).replace("9", "10"))
    stranger.close()
    assert list(catalog.check()) == []
    [row] = catalog.items("migrant")
    assert row.derivatives == (STORY, RECORD, "NIPOMO-01/restoration@2")


@pytest.mark.parametrize("kind", list(StoryKind))
def test_the_program_itself_is_refused_too(catalog, kind):
    catalog.add_master(master(), [])
    with pytest.raises(SeparationViolated):
        catalog.add_preservation(derivation(1, "NIPOMO-01", f"NIPOMO-01/{kind.value}@1"), [])
    assert catalog.newest("NIPOMO-01", "restoration") == 0


def test_removed_triggers_and_what_they_let_in_are_found(catalog, path):
    fill(catalog)
    catalog.close()
    stranger = raw(path)
    stranger.execute("DROP TRIGGER separation_ingredient_insert")
    stranger.execute(ADD_INGREDIENT.format(RECORD, STORY))
    stranger.close()
    assert {finding.code for finding in catalog.check()} == {"CATALOG_SCHEMA_CHANGED", "CATALOG_SEPARATION"}


# --- damage ---


def test_damage_is_a_finding_or_one_error_never_a_traceback(path):
    catalog = open_catalog(path)
    with catalog.batch():
        for number in range(60):
            catalog.add_master(master(f"I-{number}"), [event(number, f"I-{number}")])
    catalog.close()
    good = path.read_bytes()
    chance = random.Random(5)

    def attempt(data: bytes, *, must_show: bool = False) -> None:
        path.write_bytes(data)
        seen = open_catalog(path)
        said: list[str] = []
        try:
            said = [finding.code for finding in seen.check()]
            if not list(seen.contents()):
                said.append("empty")  # what SQLite takes for a new file
            list(seen.items("migrant"))
            for number in range(0, 60, 10):
                seen.master(f"I-{number}")
                seen.events(f"I-{number}")
        except ArchiveRestoreError as exc:
            assert "\n" not in str(exc)
            said.append(type(exc).__name__)
        finally:
            seen.close()
        assert said or not must_show

    for size in (1, 99, 100, 512, 4096, len(good) // 2, len(good) - 4096):
        attempt(good[:size], must_show=True)
    attempt(b"not a database" * 1000, must_show=True)
    attempt(bytes(len(good)), must_show=True)
    for _ in range(60):
        data = bytearray(good)
        for _ in range(chance.choice([1, 1, 20, 500])):
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        attempt(bytes(data))


def test_every_flipped_bit_of_the_facts_shows(path):
    """A bit flipped anywhere in a row is seen by `check` or in `contents`."""
    catalog = open_catalog(path)
    fill(catalog)
    catalog.close()
    good = path.read_bytes()
    before = dict(open_catalog(path).contents())
    places = [good.index(text) for text in (b"Migrant Mother", b"Dorothea", b'"tile":512', b"Copied in", b"sha512:00")]
    for place in places:
        for bit in range(8):
            data = bytearray(good)
            data[place + 3] ^= 1 << bit
            path.write_bytes(data)
            seen = open_catalog(path)
            try:
                shown = bool(list(seen.check())) or dict(seen.contents()) != before
            except CatalogDamaged:
                shown = True
            seen.close()
            assert shown, (place, bit)


def test_a_damaged_catalog_can_be_cleared_and_filled_again(path):
    path.write_bytes(b"not a database" * 1000)
    catalog = open_catalog(path)
    assert [finding.code for finding in catalog.check()] == ["CATALOG_DAMAGED"]
    with pytest.raises(CatalogDamaged, match="catalog rebuild"):
        catalog.master("NIPOMO-01")
    catalog.clear()
    fill(catalog)
    assert list(catalog.check()) == []
    catalog.close()


def test_another_schema_version_says_what_to_do(catalog, path):
    fill(catalog)
    catalog.close()
    stranger = raw(path)
    stranger.execute("UPDATE schema_info SET version = 99")
    stranger.close()
    with pytest.raises(CatalogDamaged, match=r"version \[99\].*catalog rebuild"):
        catalog.master("NIPOMO-01")
    assert [finding.code for finding in catalog.check()] == ["CATALOG_DAMAGED"]
    catalog.clear()
    assert list(catalog.check()) == []


def test_two_writers_do_not_wait_for_ever(catalog, path, monkeypatch):
    monkeypatch.setattr("archive_restore.adapters.catalog.sql.BUSY_MS", 50)
    fill(catalog)
    other = raw(path)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(ArchiveBusy, match="another process"):
        catalog.add_master(master(), [])
    assert len(list(catalog.items())) == 2  # readers go on
    other.execute("ROLLBACK")
    other.close()
    catalog.add_master(master(), [])


def test_a_directory_that_is_not_there_is_one_error(tmp_path):
    with pytest.raises(StorageFailed):
        open_catalog(tmp_path / "nowhere" / "catalog.sqlite").master("x")


@pytest.mark.parametrize("bad", [{"title": "\udcff"}, {"extra": {"\udcff": ""}}])
def test_text_that_is_not_unicode_is_one_error(catalog, bad):
    with pytest.raises(CatalogDamaged, match="cannot be catalogued"):
        catalog.add_master(master(**bad), [])
    with pytest.raises(CatalogDamaged, match="cannot be catalogued"):
        catalog.add_master(master(), [dataclasses.replace(event(1), detail="\udcff")])
    huge = dataclasses.replace(master(), file=dataclasses.replace(master().file, size=2**70))
    with pytest.raises(CatalogDamaged, match="cannot be catalogued"):
        catalog.add_master(huge, [])
    assert list(catalog.contents()) == []
    catalog.add_master(master(), [event(1)])
    assert catalog.events("NIPOMO-01") == (event(1),)


# --- jobs ---


def test_an_interrupted_batch_goes_on_with_what_is_not_done(catalog, path):
    assert catalog.open_batch("key", ["a", "b", "c", "b"]) == ("a", "b", "c")
    catalog.finish("key", "a")
    catalog.finish("key", "b", "the disk was full")
    again = open_catalog(path)  # another process, after a kill
    assert again.failed("key") == (("b", "the disk was full"),)
    assert again.open_batch("key", ["a", "b", "c", "d"]) == ("b", "c", "d")
    assert again.open_batch("other", ["a"]) == ("a",)
    again.finish("key", "b")
    assert again.failed("key") == ()
    again.close_batch("key")
    assert again.open_batch("key", ["a"]) == ("a",)
    assert again.open_batch("other", ["a"]) == ("a",)
    again.close()


def test_events_that_come_later_follow_those_that_are_known(catalog: SqlCatalog):
    fill(catalog)
    later = [event(7, "ÉTÉ 2"), event(6), event(1), event(8), event(8)]
    catalog.add_events(later)
    catalog.add_events(later)
    assert [told.event_id[9:] for told in catalog.events("NIPOMO-01")] == ["1", "2", "6", "8"]
    assert [told.event_id[9:] for told in catalog.events("ÉTÉ 2")] == ["3", "7"]
    fresh = open_catalog(None)
    fill(fresh)
    with fresh.batch():
        fresh.add_master(master(), [event(1), event(2), event(6), event(8)])
        fresh.add_events([event(9), event(7, "ÉTÉ 2")])
    catalog.add_events([event(9)])
    assert dict(fresh.contents()) == dict(catalog.contents())
    fresh.close()
