"""The record's tables and how they came about."""

from __future__ import annotations

from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from greenmine.record import schema
from greenmine.record.record import migrate, open_engine


def test_the_migrations_lead_to_the_tables_of_the_schema(tmp_path: Path) -> None:
    engine = open_engine(tmp_path / "record.sqlite")
    migrate(engine)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []


def test_migrating_again_changes_nothing(tmp_path: Path) -> None:
    engine = open_engine(tmp_path / "record.sqlite")
    migrate(engine)
    migrate(engine)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []
