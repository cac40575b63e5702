"""TaskFlow on PostgreSQL, by SQLAlchemy and psycopg."""

from taskflow_sqlalchemy.connections import driver_url, open_engine
from taskflow_sqlalchemy.identities import SqlAlchemyIdentities
from taskflow_sqlalchemy.inspection import DatabaseReport, inspect, ping
from taskflow_sqlalchemy.login_attempts import SqlAlchemyLoginAttempts
from taskflow_sqlalchemy.migrate import MigrationError, MigrationReport, migrate, migration_sql
from taskflow_sqlalchemy.reads import SqlAlchemyReads
from taskflow_sqlalchemy.session_reads import SqlAlchemySessionReads
from taskflow_sqlalchemy.transactions import JoinedTransactions, SqlAlchemyTransaction, SqlAlchemyTransactions

__all__ = [
    "DatabaseReport",
    "JoinedTransactions",
    "MigrationError",
    "MigrationReport",
    "SqlAlchemyIdentities",
    "SqlAlchemyLoginAttempts",
    "SqlAlchemyReads",
    "SqlAlchemySessionReads",
    "SqlAlchemyTransaction",
    "SqlAlchemyTransactions",
    "driver_url",
    "inspect",
    "migrate",
    "migration_sql",
    "open_engine",
    "ping",
]
