"""Runs the migrations on the connection that `migrate` hands over, or prints them as SQL."""

from __future__ import annotations

from alembic import context

from taskflow_sqlalchemy.tables import metadata

connection = context.config.attributes.get("connection")

if connection is None:
    context.configure(
        dialect_name="postgresql",
        target_metadata=metadata,
        literal_binds=True,
        transaction_per_migration=True,
    )
else:
    # One transaction a migration: those that build indexes CONCURRENTLY step out of theirs.
    context.configure(connection=connection, target_metadata=metadata, transaction_per_migration=True)

with context.begin_transaction():
    context.run_migrations()
