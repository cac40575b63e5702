"""TaskFlow on PostgreSQL, by SQLAlchemy and psycopg."""

import importlib
from typing import TYPE_CHECKING

from taskflow_core.extras import require_server

if TYPE_CHECKING:
    from taskflow_sqlalchemy.addresses import check_url
    from taskflow_sqlalchemy.claims import SqlAlchemyClaims
    from taskflow_sqlalchemy.connections import driver_url, open_engine
    from taskflow_sqlalchemy.errors import lacks_right
    from taskflow_sqlalchemy.identities import SqlAlchemyIdentities
    from taskflow_sqlalchemy.inspection import DatabaseReport, inspect, ping
    from taskflow_sqlalchemy.ledger_reads import SqlAlchemyLedgerReads
    from taskflow_sqlalchemy.login_attempts import SqlAlchemyLoginAttempts
    from taskflow_sqlalchemy.migrating import MigrationError, MigrationReport, migrate, migration_sql
    from taskflow_sqlalchemy.reads import SqlAlchemyReads
    from taskflow_sqlalchemy.session_reads import SqlAlchemySessionReads
    from taskflow_sqlalchemy.transactions import (
        JoinedTransactions,
        SqlAlchemyTransaction,
        SqlAlchemyTransactions,
    )

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

require_server("sqlalchemy", "psycopg")

_MODULES = {
    "DatabaseReport": "inspection",
    "JoinedTransactions": "transactions",
    "MigrationError": "migrating",
    "MigrationReport": "migrating",
    "SqlAlchemyClaims": "claims",
    "SqlAlchemyIdentities": "identities",
    "SqlAlchemyLedgerReads": "ledger_reads",
    "SqlAlchemyLoginAttempts": "login_attempts",
    "SqlAlchemyReads": "reads",
    "SqlAlchemySessionReads": "session_reads",
    "SqlAlchemyTransaction": "transactions",
    "SqlAlchemyTransactions": "transactions",
    "check_url": "addresses",
    "driver_url": "connections",
    "inspect": "inspection",
    "lacks_right": "errors",
    "migrate": "migrating",
    "migration_sql": "migrating",
    "open_engine": "connections",
    "ping": "inspection",
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Load a module when one of its names is first asked for: Alembic alone costs 0.35 s."""
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = globals()[name] = getattr(
            importlib.import_module(f"taskflow_sqlalchemy.{_MODULES[name]}"), name
        )
        return found
