"""Tables of the catalog, in words every SQL database understands; what only SQLite understands is in sql.py.

Everything but `jobs` can be rebuilt from the storage roots and the log, so a new schema needs a rebuild, not a
migration of data that exists nowhere else.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

from archive_restore.records.preservation import PreservationKind
from archive_restore.records.stories import StoryKind

SCHEMA_VERSION = 1
"""Raised with every change here or in sql.py."""

metadata = MetaData()


def _words(*names: str) -> list[Column[str]]:
    return [Column(name, Text, nullable=False, server_default="") for name in names]


def _among(*words: str) -> str:
    return ", ".join(f"'{word}'" for word in words)


schema_info = Table("schema_info", metadata, Column("version", Integer, primary_key=True))

DESCRIBED = (
    "title",
    "creator",
    "subject",
    "description",
    "publisher",
    "contributor",
    "date",
    "type",
    "format",
    "identifier",
    "source",
    "language",
    "relation",
    "coverage",
    "rights",
)
"""The Dublin Core elements and rights, named as in records.objects.Description."""

SEARCHED = ("item_id", *DESCRIBED, "extra", "file_name")
"""Columns of `items` whose words `search` finds."""

items = Table(
    "items",
    metadata,
    Column("number", Integer, primary_key=True),  # row of the full-text index; means nothing else
    Column("item_id", Text, nullable=False, unique=True),
    *_words(*DESCRIBED, "source_type", "extra", "file_name"),
)

masters = Table(
    "masters",
    metadata,
    Column("item_id", Text, ForeignKey("items.item_id"), primary_key=True),
    *_words("name", "sha512", "sha256", "puid", "mime", "format_name", "original_path", "ingested"),
    Column("size", BigInteger, nullable=False),
    Column("width", BigInteger, nullable=False),
    Column("height", BigInteger, nullable=False),
    Column("record", Text, nullable=False),
    Index("masters_by_sha512", "sha512"),
)

derivatives = Table(
    "derivatives",
    metadata,
    Column("ref", Text, primary_key=True),
    Column("item_id", Text, ForeignKey("items.item_id"), nullable=False),
    Column("class", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("version", Integer, nullable=False),
    *_words("derivation_id", "started", "ended"),
    Column("record", Text, nullable=False),
    UniqueConstraint("item_id", "kind", "version"),
    # The class follows from the kind and the REF from both: no row can change sides by one column alone (P4).
    CheckConstraint(
        f"(class = 'preservation' AND kind IN ({_among(*PreservationKind)})) "
        f"OR (class = 'story' AND kind IN ({_among(*StoryKind)}))",
        name="class_of_kind",
    ),
    CheckConstraint("ref = item_id || '/' || kind || '@' || CAST(version AS TEXT)", name="ref_of_parts"),
)

ingredients = Table(
    "ingredients",
    metadata,
    Column("derivative", Text, ForeignKey("derivatives.ref", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    *_words("role", "ref", "mime", "sha512", "sha256", "pixels_sha256"),
    Column("size", BigInteger, nullable=False),
    Index("ingredients_by_ref", "ref"),
)

events = Table(
    "events",
    metadata,
    Column("ref", Text, primary_key=True),
    Column("position", Integer, primary_key=True),
    *_words("event_id", "type", "date_time", "outcome", "detail", "agent", "digests"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("batch", Text, primary_key=True),
    Column("task", Text, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("state", Text, nullable=False),
    *_words("error"),
    CheckConstraint("state IN ('pending', 'done', 'failed')", name="known_state"),
)

REBUILT = (items, masters, derivatives, ingredients, events)
"""Tables that a rebuild fills, parents first."""
