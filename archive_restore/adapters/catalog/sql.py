"""Everything that only SQLite understands: connection, triggers of P4, full-text search, error codes.

Another database needs this module's counterpart and nothing else. The triggers hold whoever writes: there is
no setting, column or order of statements that makes a story an ingredient of a preservation derivative.
"""

# ruff: noqa: S608 - statements are put together from our own constants; what users say is always bound

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, Table, create_engine, event, text
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import StaticPool
from sqlalchemy.sql.dml import Insert

from archive_restore.adapters.catalog import tables
from archive_restore.errors import (
    ArchiveBusy,
    ArchiveRestoreError,
    CatalogDamaged,
    SeparationViolated,
    StorageFailed,
)
from archive_restore.records.stories import StoryKind

BUSY_MS = 10_000
"""Milliseconds to wait for another process before saying that the archive is busy."""
MAX_WORDS = 64
"""Words of a query that count; a longer one would exhaust the parser."""
_REBUILD = "Run: archive-restore catalog rebuild"
_SEPARATION = "a story cannot be an ingredient of a preservation derivative"


def open_engine(url: str) -> Engine:
    """Engine for `sqlite://` URLs, one connection: WAL, synchronous NORMAL, foreign keys on, explicit transactions."""
    engine = create_engine(url, poolclass=StaticPool, connect_args={"timeout": BUSY_MS / 1000, "isolation_level": None})

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _: object) -> None:
        for pragma in ("foreign_keys = ON", f"busy_timeout = {BUSY_MS}", "journal_mode = WAL", "synchronous = NORMAL"):
            connection.execute(f"PRAGMA {pragma}").close()

    return engine


def open_frozen(path: Path) -> Engine:
    """Engine that reads a database where nothing can be written, not even the file that WAL shares among processes.

    Only for a database that nobody has open for writing and whose WAL is empty: what lies in a WAL is not seen.
    """
    address = quote(str(path), safe="/")
    url = f"sqlite:///file:{address}?mode=ro&immutable=1&uri=true"
    return create_engine(url, poolclass=StaticPool, connect_args={"isolation_level": None})


def create_schema(connection: Connection) -> None:
    """All tables, triggers and the index of an empty database, in one transaction."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    try:
        tables.metadata.create_all(connection)
        for statement in (*_SEARCH_DDL, *_separation_ddl()):
            connection.exec_driver_sql(statement)
        connection.execute(tables.schema_info.insert().values(version=tables.SCHEMA_VERSION))
        connection.exec_driver_sql("COMMIT")
    except BaseException:
        _roll_back(connection)
        raise


def _roll_back(connection: Connection) -> None:
    # It fails only where the database has rolled back by itself, for instance on a full disk.
    with suppress(DBAPIError):
        connection.exec_driver_sql("ROLLBACK")


def schema_of(connection: Connection) -> dict[str, str]:
    """Name → DDL of everything in the database: equal for two databases of one version, triggers included."""
    rows = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    return {str(name): str(sql) for name, sql in rows}


def integrity_problems(connection: Connection) -> Iterator[str]:
    """What SQLite itself finds wrong: structure, foreign keys."""
    for (line,) in connection.exec_driver_sql("PRAGMA integrity_check(20)"):
        if line != "ok":
            yield str(line)
    for row in connection.exec_driver_sql("PRAGMA foreign_key_check"):
        yield f"a row of {row[0]} refers to a row of {row[2]} that does not exist"


def search_problems(connection: Connection) -> Iterator[str]:
    """Whether the full-text index fits the items; needs a database that can be written to, and changes nothing."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    try:
        # rank 1 compares the index with the rows themselves (SQLite FTS5 §6.5)
        connection.exec_driver_sql("INSERT INTO search(search, rank) VALUES ('integrity-check', 1)")
    except DBAPIError as exc:
        if not isinstance(exc.orig, sqlite3.DatabaseError) or "malformed" not in str(exc.orig):
            raise
        yield "the search index does not fit the items"
    finally:
        _roll_back(connection)


def separation_problems(connection: Connection) -> Iterator[str]:
    """REFs of preservation derivatives with a story among their ingredients, however it got there."""
    query = (
        "SELECT i.derivative, i.ref FROM ingredients AS i JOIN derivatives AS d ON d.ref = i.derivative "
        f"WHERE d.class = 'preservation' AND {_is_story('i.ref')}"
    )
    for derivative, story in connection.exec_driver_sql(query):
        yield f"{derivative} has the story {story!r} as an ingredient"


def upsert(table: Table, key: str) -> Insert:
    """INSERT that replaces the row with the same key, keeping what refers to it."""
    statement = insert(table)
    changed = {c.name: statement.excluded[c.name] for c in table.columns if c.name not in (key, "number")}
    return statement.on_conflict_do_update(index_elements=[key], set_=changed)


def insert_missing(table: Table) -> Insert:
    """INSERT that leaves rows with the same key alone."""
    return insert(table).on_conflict_do_nothing()


def search_condition(query: str) -> tuple[Any, bool]:
    """(condition on `items` for a user's words, whether there is any word): all words, each by its beginning."""
    words = [word for word in query.replace("\0", " ").split() if any(ch.isalnum() for ch in word)][:MAX_WORDS]
    quoted = " ".join('"' + word.replace('"', '""') + '"*' for word in words)
    quoted = quoted.encode("utf-8", "replace").decode()
    condition = text("items.number IN (SELECT rowid FROM search WHERE search MATCH :words)").bindparams(words=quoted)
    return condition, bool(words)


@contextmanager
def translated() -> Iterator[None]:
    """Turn what the database says into our errors."""
    try:
        yield
    except DBAPIError as exc:
        raise _translate(exc.orig or exc) from exc
    except SQLAlchemyError as exc:
        raise CatalogDamaged(f"the catalog cannot be read: {exc}", hint=_REBUILD) from exc
    except UnicodeError as exc:
        raise CatalogDamaged("the catalog cannot hold bytes that are no text", hint=_REBUILD) from exc


def _translate(problem: BaseException) -> ArchiveRestoreError:
    name = getattr(problem, "sqlite_errorname", None) or ""
    said = str(problem)
    if _SEPARATION in said:
        return SeparationViolated(said, hint="The record and the story are kept apart")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return ArchiveBusy("another process is writing to the catalog", hint="Wait for it to end, then try again")
    if name == "SQLITE_IOERR_SHORT_READ":
        return CatalogDamaged("the catalog is cut short", hint=_REBUILD)
    if name.startswith(("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return StorageFailed(f"the catalog cannot be written: {said}", hint="Check the disk and the permissions")
    return CatalogDamaged(f"the catalog is damaged: {said}", hint=_REBUILD)


# --- definitions -------------------------------------------------------------------------------------

_COLUMNS = ", ".join(tables.SEARCHED)
_NEW = ", ".join(f"NEW.{name}" for name in tables.SEARCHED)
_OLD = ", ".join(f"OLD.{name}" for name in tables.SEARCHED)

_SEARCH_DDL = (
    f"CREATE VIRTUAL TABLE search USING fts5({_COLUMNS}, content='items', content_rowid='number', "
    "tokenize='unicode61 remove_diacritics 2')",
    f"CREATE TRIGGER search_add AFTER INSERT ON items BEGIN "
    f"INSERT INTO search(rowid, {_COLUMNS}) VALUES (NEW.number, {_NEW}); END",
    f"CREATE TRIGGER search_remove AFTER DELETE ON items BEGIN "
    f"INSERT INTO search(search, rowid, {_COLUMNS}) VALUES ('delete', OLD.number, {_OLD}); END",
    f"CREATE TRIGGER search_change AFTER UPDATE ON items BEGIN "
    f"INSERT INTO search(search, rowid, {_COLUMNS}) VALUES ('delete', OLD.number, {_OLD}); "
    f"INSERT INTO search(rowid, {_COLUMNS}) VALUES (NEW.number, {_NEW}); END",
)


def _is_story(ref: str) -> str:
    """SQL: the REF names a story, by its own words or by the row it names."""
    words = " OR ".join(f"{ref} GLOB '?*/{kind.value}' OR {ref} GLOB '?*/{kind.value}@*'" for kind in StoryKind)
    return f"({words} OR EXISTS (SELECT 1 FROM derivatives AS s WHERE s.ref = {ref} AND s.class = 'story'))"


def _separation_ddl() -> Iterator[str]:
    """Triggers on every way to make a story an ingredient of a preservation derivative (promise P4)."""
    refuse = f"BEGIN SELECT RAISE(ABORT, '{_SEPARATION}'); END"
    into_record = "EXISTS (SELECT 1 FROM derivatives AS d WHERE d.ref = NEW.derivative AND d.class = 'preservation')"
    for verb in ("INSERT", "UPDATE"):
        yield (
            f"CREATE TRIGGER separation_ingredient_{verb.lower()} BEFORE {verb} ON ingredients "
            f"WHEN {_is_story('NEW.ref')} AND {into_record} {refuse}"
        )
        # The row that decides may also come, or change its class, after the ingredient.
        yield (
            f"CREATE TRIGGER separation_record_{verb.lower()} BEFORE {verb} ON derivatives "
            f"WHEN NEW.class = 'preservation' AND EXISTS (SELECT 1 FROM ingredients AS i "
            f"WHERE i.derivative = NEW.ref AND {_is_story('i.ref')}) {refuse}"
        )
        yield (
            f"CREATE TRIGGER separation_story_{verb.lower()} BEFORE {verb} ON derivatives "
            f"WHEN NEW.class = 'story' AND EXISTS (SELECT 1 FROM ingredients AS i JOIN derivatives AS d "
            f"ON d.ref = i.derivative WHERE i.ref = NEW.ref AND d.class = 'preservation') {refuse}"
        )
