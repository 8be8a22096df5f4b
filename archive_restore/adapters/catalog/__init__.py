"""The catalog on SQLAlchemy Core: an index over the storage roots and the log, and the jobs of batches.

Never the only place of a fact, but for jobs: what it says can be rebuilt and compared (`contents`).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, and_, bindparam, func, select, tuple_

from archive_restore.adapters.catalog import sql, tables
from archive_restore.core.canonical import Malformed, from_plain
from archive_restore.core.reviews import REVIEW, word_of
from archive_restore.errors import ArchiveBusy, ArchiveRestoreError, CatalogDamaged, StorageFailed
from archive_restore.ports import Catalog, ItemRow, Jobs
from archive_restore.records.findings import Finding, Severity
from archive_restore.records.objects import Master
from archive_restore.records.preservation import PreservationDerivation, PreservationRef
from archive_restore.records.provenance import Event
from archive_restore.records.reviews import ReviewWord
from archive_restore.records.stories import StoryDerivation, StoryRef

PAGE = 1000
"""Rows a query: no cursor stays open while the caller works."""
FLUSH = 5000
"""Rows gathered inside a batch before they are written."""
_REBUILD = "Run: archive-restore catalog rebuild"
_Record = TypeVar("_Record", Master, PreservationDerivation, StoryDerivation)


def open_catalog(path: Path | None) -> SqlCatalog:
    """The catalog in a SQLite file, made when missing; None makes one in memory. Touches nothing until it is used."""
    return SqlCatalog("sqlite://" if path is None else f"sqlite:///{path}", path)


class SqlCatalog(Catalog, Jobs):
    """See ports.Catalog and ports.Jobs; one connection, opened at first use, that threads use one after another."""

    def __init__(self, url: str, path: Path | None = None) -> None:
        self._url = url
        self._path = path
        self._engine: Engine | None = None
        self._open: Connection | None = None
        self._frozen = False
        self._depth = 0
        # Held through a whole batch, so that a thread that reads never flushes or joins another one's half-told batch.
        self._lock = threading.RLock()
        self._pending: dict[str, list[dict[str, Any]]] = {}
        self._replaced: set[str] = set()

    # --- writing ---

    def add_master(self, master: Master, events: Sequence[Event]) -> None:
        """See ports.Catalog."""
        said, file = master.description, master.file
        picture = master.picture
        item_id = master.ref.item_id
        items = {
            "item_id": item_id,
            **{name: getattr(said, name) for name in tables.DESCRIBED},
            "source_type": said.source_type.value if said.source_type else "",
            "extra": _text(said.extra),
            "file_name": file.name,
        }
        masters = {
            "item_id": item_id,
            "name": file.name,
            "sha512": file.sha512,
            "sha256": file.sha256,
            "puid": file.puid,
            "mime": file.mime,
            "format_name": file.format_name,
            "original_path": master.original_path,
            "ingested": master.ingested,
            "size": file.size,
            "width": picture.width if picture else 0,
            "height": picture.height if picture else 0,
            "record": _text(master),
        }
        self._keep(str(master.ref), {"items": [items], "masters": [masters]}, events)

    def add_preservation(self, derivation: PreservationDerivation, events: Sequence[Event]) -> None:
        """See ports.Catalog; raise SeparationViolated where an ingredient is a story."""
        self._add_derivation(derivation, "preservation", events)

    def add_story(self, derivation: StoryDerivation, events: Sequence[Event]) -> None:
        """See ports.Catalog."""
        self._add_derivation(derivation, "story", events)

    def add_events(self, events: Sequence[Event]) -> None:
        """See ports.Catalog."""
        table = tables.events
        with self.batch(), sql.translated():
            self._flush()
            connection = self._connection()
            by_ref: dict[str, list[Event]] = {}
            for event in events:
                by_ref.setdefault(event.ref, []).append(event)
            refs = list(by_ref)
            for start in range(0, len(refs), PAGE):
                page = refs[start : start + PAGE]
                known: dict[str, set[str]] = {ref: set() for ref in page}
                for ref, event_id in self._rows(select(table.c.ref, table.c.event_id).where(table.c.ref.in_(page))):
                    known[ref].add(event_id)
                rows = []
                for ref in page:
                    fresh = {event.event_id: event for event in by_ref[ref] if event.event_id not in known[ref]}
                    rows += [self._event(one, len(known[ref]) + place) for place, one in enumerate(fresh.values())]
                if rows:
                    connection.execute(table.insert(), rows)

    @staticmethod
    def _event(event: Event, position: int) -> dict[str, Any]:
        told = _plain(event)
        digests = _text(told.pop("digests"))
        _text(told)  # for its refusals
        return {**told, "position": position, "digests": digests}

    def _add_derivation(
        self, derivation: PreservationDerivation | StoryDerivation, side: str, events: Sequence[Event]
    ) -> None:
        ref = str(derivation.ref)
        derivatives = {
            "ref": ref,
            "item_id": derivation.ref.item_id,
            "class": side,
            "kind": derivation.ref.kind.value,
            "version": derivation.ref.version,
            "derivation_id": derivation.derivation_id,
            "started": derivation.started,
            "ended": derivation.ended,
            "record": _text(derivation),
        }
        ingredients = [
            {
                "derivative": ref,
                "position": position,
                "role": material.role,
                "ref": material.ref,
                "mime": material.mime,
                "size": material.size,
                "sha512": material.sha512,
                "sha256": material.sha256,
                "pixels_sha256": material.pixels_sha256,
            }
            for position, material in enumerate(derivation.materials)
        ]
        # A derivative whose master cannot be read must still be found: its item gets a row of its own.
        stubs = [{"item_id": derivation.ref.item_id}]
        self._keep(ref, {"stubs": stubs, "derivatives": [derivatives], "ingredients": ingredients}, events)

    def clear(self) -> None:
        """See ports.Catalog; jobs stay. A file that is no catalog any more is replaced by a new one."""
        with self._lock:
            self._clear()

    def _clear(self) -> None:
        self._forget()
        try:
            with self.batch(), sql.translated():
                for table in reversed(tables.REBUILT):
                    self._connection().execute(table.delete())
        except (ArchiveBusy, StorageFailed):
            raise
        except CatalogDamaged:
            self.close()
            if self._path is None:
                raise
            for suffix in ("", "-wal", "-shm"):
                try:
                    self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
                except OSError as exc:
                    raise StorageFailed(f"the damaged catalog cannot be removed: {exc.strerror}") from exc
            self._connection()

    def batch(self) -> AbstractContextManager[None]:
        """See ports.Catalog; batches inside a batch belong to it. Nothing of a batch that fails is kept."""
        return self._batch()

    @contextmanager
    def _batch(self) -> Iterator[None]:
        with self._lock:
            yield from self._locked_batch()

    def _locked_batch(self) -> Iterator[None]:
        try:
            with sql.translated():
                connection = self._connection()
                if self._depth == 0:
                    connection.exec_driver_sql("BEGIN IMMEDIATE")
        except BaseException:
            self._forget()
            raise
        self._depth += 1
        try:
            yield
            if self._depth == 1:
                self._flush()
                with sql.translated():
                    connection.exec_driver_sql("COMMIT")
        except BaseException:
            if self._depth == 1:
                self._forget()
                # A rollback fails only where the database has rolled back by itself.
                with suppress(ArchiveRestoreError), sql.translated():
                    connection.exec_driver_sql("ROLLBACK")
            raise
        finally:
            self._depth -= 1

    # --- reading ---

    def master(self, item_id: str) -> Master | None:
        """See ports.Catalog."""
        found = self._one(_MASTER, wanted=item_id)
        return None if found is None else _record(Master, found, item_id)

    def master_by_sha512(self, sha512: str) -> str | None:
        """See ports.Catalog."""
        found = self._one(_MASTER_BY_SHA512, wanted=sha512)
        return None if found is None else str(found)

    def derivation(self, ref: PreservationRef) -> PreservationDerivation | None:
        """See ports.Catalog."""
        found = self._one(select(tables.derivatives.c.record).where(tables.derivatives.c.ref == str(ref)))
        return None if found is None else _record(PreservationDerivation, found, str(ref))

    def story(self, ref: StoryRef) -> StoryDerivation | None:
        """See ports.Catalog."""
        found = self._one(select(tables.derivatives.c.record).where(tables.derivatives.c.ref == str(ref)))
        return None if found is None else _record(StoryDerivation, found, str(ref))

    def newest(self, item_id: str, kind: str) -> int:
        """See ports.Catalog."""
        table = tables.derivatives
        found = self._one(
            select(func.max(table.c.version)).where(and_(table.c.item_id == item_id, table.c.kind == kind))
        )
        return int(found or 0)

    def items(self, query: str = "") -> Iterator[ItemRow]:
        """See ports.Catalog. Every word of the query must begin a word of the item; no query is a syntax error."""
        items, masters, made = tables.items, tables.masters, tables.derivatives
        statement = select(
            items.c.item_id,
            items.c.title,
            items.c.date,
            func.coalesce(masters.c.width, 0),
            func.coalesce(masters.c.height, 0),
            func.coalesce(masters.c.mime, ""),
            func.coalesce(masters.c.ingested, ""),
        ).select_from(items.outerjoin(masters, masters.c.item_id == items.c.item_id))
        if query.strip():
            condition, any_word = sql.search_condition(query)
            if not any_word:
                return
            statement = statement.where(condition)
        last = ""
        while True:
            rows = self._rows(statement.where(items.c.item_id > last).order_by(items.c.item_id).limit(PAGE))
            if not rows:
                return
            derived: dict[str, list[str]] = {}
            span = made.c.item_id.between(rows[0][0], rows[-1][0])
            ordered = (
                select(made.c.item_id, made.c.ref).where(span).order_by(made.c.item_id, made.c.kind, made.c.version)
            )
            for item_id, ref in self._rows(ordered):
                derived.setdefault(item_id, []).append(ref)
            told = tables.events
            reviews: dict[str, dict[str, ReviewWord]] = {}
            reviewed = (
                select(made.c.item_id, told.c.ref, told.c.outcome)
                .select_from(made.join(told, told.c.ref == made.c.ref))
                .where(and_(span, told.c.type == REVIEW))
                # In this order the derivatives come first, and not a scan of all events.
                .order_by(made.c.item_id, made.c.kind, made.c.version, told.c.position)
            )
            for item_id, ref, outcome in self._rows(reviewed):
                reviews.setdefault(item_id, {})[ref] = word_of(outcome)
            for item_id, title, date, width, height, mime, ingested in rows:
                yield ItemRow(
                    item_id=item_id,
                    title=title,
                    date=date,
                    width=width,
                    height=height,
                    mime=mime,
                    ingested=ingested,
                    derivatives=tuple(derived.get(item_id, ())),
                    reviews=reviews.get(item_id, {}),
                )
            last = rows[-1][0]

    def events(self, ref: str) -> tuple[Event, ...]:
        """See ports.Catalog."""
        rows = self._rows(select(tables.events).where(tables.events.c.ref == ref).order_by(tables.events.c.position))
        found = []
        for row in rows:
            values = dict(row._mapping)
            del values["position"]
            try:
                found.append(from_plain(Event, {**values, "digests": json.loads(values["digests"])}))
            except (Malformed, ValueError, TypeError, RecursionError) as exc:
                raise CatalogDamaged(f"the catalog's events of {ref} are damaged", hint=_REBUILD) from exc
        return tuple(found)

    def contents(self) -> Iterator[tuple[str, str]]:
        """See ports.Catalog: every column of every row that a rebuild fills, as `table/key`."""
        for table in tables.REBUILT:
            kept = [column for column in table.columns if column.name != "number"]
            keys = [table.c.item_id] if table is tables.items else list(table.primary_key.columns)
            statement = select(*kept).order_by(*keys).limit(PAGE)
            page = self._rows(statement)
            while page:
                for row in page:
                    values = dict(row._mapping)
                    key = "/".join([table.name, *(str(values[column.name]) for column in keys)])
                    yield key, json.dumps(values, ensure_ascii=False, sort_keys=True, default=repr)
                last = [page[-1]._mapping[column.name] for column in keys]
                page = self._rows(statement.where(tuple_(*keys) > tuple_(*last)))

    def check(self) -> Iterator[Finding]:
        """See ports.Catalog. Steps: 1 opens, 2 structure, 3 schema with its triggers, 4 separation, 5 search index."""
        problems: list[tuple[str, str, str]] = []
        try:
            connection = self._connection()
            with self._lock, sql.translated():
                self._flush()
                problems += [("CATALOG_DAMAGED", f"SQLite: {line}", "") for line in sql.integrity_problems(connection)]
                fresh = open_catalog(None)
                if sql.schema_of(connection) != sql.schema_of(fresh._connection()):
                    said = "The tables or triggers are not those of this version"
                    problems.append(("CATALOG_SCHEMA_CHANGED", said, "P4"))
                fresh.close()
                problems += [("CATALOG_SEPARATION", line, "P4") for line in sql.separation_problems(connection)]
                if self._frozen:
                    yield Finding(
                        code="CATALOG_SEARCH_UNCHECKED",
                        severity=Severity.WARNING,
                        subject="catalog",
                        message="The search index could not be compared: the disk is full or read-only.",
                    )
                else:
                    problems += [("CATALOG_DAMAGED", line, "") for line in sql.search_problems(connection)]
        except (CatalogDamaged, StorageFailed) as exc:
            problems.append(("CATALOG_DAMAGED", str(exc), ""))
        for code, message, clause in problems:
            text = f"{message.rstrip('.')}. {'' if _REBUILD in message else _REBUILD + '.'}".strip()
            yield Finding(code=code, severity=Severity.ERROR, subject="catalog", message=text, clause=clause)

    def close(self) -> None:
        """See ports.Catalog."""
        if self._open is not None:
            self._open.close()
            self._open = None
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None
            self._frozen = False

    # --- jobs ---

    def open_batch(self, key: str, tasks: Sequence[str]) -> tuple[str, ...]:
        """See ports.Jobs; tasks that the batch did not have are added, tasks not named any more stay as they are."""
        table = tables.jobs
        wanted = list(dict.fromkeys(tasks))
        with self.batch(), sql.translated():
            connection = self._connection()
            known = dict(self._rows(select(table.c.task, table.c.state).where(table.c.batch == key)))
            fresh = [
                {"batch": key, "task": task, "position": position, "state": "pending", "error": ""}
                for position, task in enumerate(wanted, start=len(known))
                if task not in known
            ]
            if fresh:
                connection.execute(table.insert(), fresh)
        return tuple(task for task in wanted if known.get(task) != "done")

    def finish(self, key: str, task: str, error: str = "") -> None:
        """See ports.Jobs."""
        table = tables.jobs
        with self.batch(), sql.translated():
            self._connection().execute(
                table.update()
                .where(and_(table.c.batch == key, table.c.task == task))
                .values(state="failed" if error else "done", error=error)
            )

    def failed(self, key: str) -> tuple[tuple[str, str], ...]:
        """See ports.Jobs."""
        table = tables.jobs
        mine = and_(table.c.batch == key, table.c.state == "failed")
        rows = self._rows(select(table.c.task, table.c.error).where(mine).order_by(table.c.position))
        return tuple((str(task), str(error)) for task, error in rows)

    def close_batch(self, key: str) -> None:
        """See ports.Jobs."""
        with self.batch(), sql.translated():
            self._connection().execute(tables.jobs.delete().where(tables.jobs.c.batch == key))

    # --- parts ---

    def _connection(self) -> Connection:
        """The one connection; raise CatalogDamaged where the file is no catalog of this version."""
        if self._open is not None:
            return self._open
        try:
            return self._connect()
        except StorageFailed:
            # A full or read-only disk: reading needs no more than the file, where everything is in it.
            if self._path is None or not self._path.is_file() or _size(self._path.with_name(f"{self._path.name}-wal")):
                raise
            self.close()
            self._engine = sql.open_frozen(self._path)
            self._frozen = True
            return self._connect()

    def _connect(self) -> Connection:
        with sql.translated():
            if self._engine is None:
                self._engine = sql.open_engine(self._url)
            # Transactions are written out: reading must never hold a lock, writing must take it at once.
            connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            try:
                known = sql.schema_of(connection)
                if not known:
                    sql.create_schema(connection)
                elif "schema_info" not in known:
                    raise CatalogDamaged("the catalog's tables are missing", hint=_REBUILD)
                versions = [row[0] for row in connection.execute(select(tables.schema_info.c.version))]
                if versions != [tables.SCHEMA_VERSION]:
                    raise CatalogDamaged(
                        f"the catalog has schema version {versions}, this program needs {tables.SCHEMA_VERSION}",
                        hint=_REBUILD,
                    )
            except BaseException:
                connection.close()
                raise
        self._open = connection
        return connection

    def _rows(self, statement: Any, **values: object) -> Sequence[Any]:
        with self._lock:
            if self._pending:
                self._flush()
            with sql.translated():
                return self._connection().execute(statement, values).fetchall()

    def _one(self, statement: Any, **values: object) -> Any:
        rows = self._rows(statement, **values)
        return rows[0][0] if rows else None

    def _keep(self, ref: str, rows: dict[str, list[dict[str, Any]]], events: Sequence[Event]) -> None:
        """Gather the rows of one record, all or none; write them now unless a batch is open."""
        with self._lock:
            self._gather(ref, rows, events)

    def _gather(self, ref: str, rows: dict[str, list[dict[str, Any]]], events: Sequence[Event]) -> None:
        rows["events"] = []
        for position, event in enumerate(events):
            rows["events"].append({**self._event(event, position), "ref": ref})
        if ref in self._replaced:
            self._flush()  # a record that comes twice in one batch is written twice, in order
        self._replaced.add(ref)
        for name, added in rows.items():
            self._pending.setdefault(name, []).extend(added)
        if self._depth == 0:
            with self.batch():
                pass
        elif sum(map(len, self._pending.values())) > FLUSH:
            self._flush()

    def _flush(self) -> None:
        """Write what a batch gathered, a few statements for all rows."""
        pending, replaced = self._pending, self._replaced
        self._forget()
        if not replaced:
            return
        with sql.translated():
            connection = self._connection()
            for column in (tables.ingredients.c.derivative, tables.events.c.ref):
                doomed = column.table.delete().where(column == bindparam("doomed"))
                connection.execute(doomed, [{"doomed": ref} for ref in sorted(replaced)])
            for name in ("items", "stubs", "masters", "derivatives", "ingredients", "events"):
                rows = pending.get(name)
                if not rows:
                    continue
                if name == "stubs":
                    connection.execute(sql.insert_missing(tables.items), rows)
                elif name in ("items", "masters", "derivatives"):
                    connection.execute(sql.upsert(tables.metadata.tables[name], _KEYS[name]), rows)
                else:
                    connection.execute(tables.metadata.tables[name].insert(), rows)

    def _forget(self) -> None:
        self._pending, self._replaced = {}, set()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


_KEYS = {"items": "item_id", "masters": "item_id", "derivatives": "ref"}

# Asked once a file that comes in; putting a statement together takes longer than running it.
_MASTER = select(tables.masters.c.record).where(tables.masters.c.item_id == bindparam("wanted"))
_MASTER_BY_SHA512 = (
    select(tables.masters.c.item_id)
    .where(tables.masters.c.sha512 == bindparam("wanted"))
    .order_by(tables.masters.c.item_id)
    .limit(1)
)


def _text(value: object) -> str:
    """One JSON text for equal records, whether just made or read back from a file (where 2.0 has become 2).

    Raise CatalogDamaged where the record holds what JSON and SQL cannot: a lone surrogate, an integer from 2**53.
    """
    try:
        text = json.dumps(_plain(value), ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
        text.encode()
    except ValueError as exc:
        raise CatalogDamaged(f"a record cannot be catalogued: {exc}", hint="Run `verify` on it") from exc
    return text


def _plain(value: Any) -> Any:
    """As core.canonical.to_plain, much faster for thousands of small records; whole floats become integers."""
    if value is None or type(value) in (str, bool):
        return value
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is int:
        if abs(value) >= 1 << 53:
            raise ValueError(f"{value} is too large")
        return value
    if type(value) in (tuple, list):
        return [_plain(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if is_dataclass(value):
        return {name: _plain(item) for name, item in vars(value).items()}
    return value


def _record(kind: type[_Record], found: Any, what: str) -> _Record:
    try:
        plain: Mapping[str, Any] = json.loads(found)
        return from_plain(kind, plain)
    except (Malformed, ValueError, TypeError, RecursionError) as exc:
        raise CatalogDamaged(f"the catalog's record of {what} is damaged", hint=_REBUILD) from exc
