"""TaskFlow on PostgreSQL, by SQLAlchemy and psycopg."""

import importlib
from typing import TYPE_CHECKING

from taskflow_sqlalchemy.addresses import check_url
from taskflow_sqlalchemy.claims import SqlAlchemyClaims
from taskflow_sqlalchemy.connections import driver_url, open_engine
from taskflow_sqlalchemy.errors import lacks_right
from taskflow_sqlalchemy.identities import SqlAlchemyIdentities
from taskflow_sqlalchemy.inspection import DatabaseReport, inspect, ping
from taskflow_sqlalchemy.ledger_reads import SqlAlchemyLedgerReads
from taskflow_sqlalchemy.login_attempts import SqlAlchemyLoginAttempts
from taskflow_sqlalchemy.reads import SqlAlchemyReads
from taskflow_sqlalchemy.session_reads import SqlAlchemySessionReads
from taskflow_sqlalchemy.transactions import JoinedTransactions, SqlAlchemyTransaction, SqlAlchemyTransactions

if TYPE_CHECKING:
    from taskflow_sqlalchemy.migrating import MigrationError, MigrationReport, migrate, migration_sql

__all__ = [
    "DatabaseReport",
    "JoinedTransactions",
    "MigrationError",
    "MigrationReport",
    "SqlAlchemyClaims",
    "SqlAlchemyIdentities",
    "SqlAlchemyLedgerReads",
    "SqlAlchemyLoginAttempts",
    "SqlAlchemyReads",
    "SqlAlchemySessionReads",
    "SqlAlchemyTransaction",
    "SqlAlchemyTransactions",
    "check_url",
    "driver_url",
    "inspect",
    "lacks_right",
    "migrate",
    "migration_sql",
    "open_engine",
    "ping",
]

_MIGRATING = {"MigrationError", "MigrationReport", "migrate", "migration_sql"}


def __getattr__(name: str) -> object:
    """Load what migrates when it is first asked for: Alembic costs 0.35 s, and serving needs none of it."""
    if name not in _MIGRATING:
        raise AttributeError(name)
    return getattr(importlib.import_module("taskflow_sqlalchemy.migrating"), name)
