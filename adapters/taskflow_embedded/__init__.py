"""Real PostgreSQL and Valkey from wheels, for `taskflow dev` and for tests without Docker.

    with PostgresServer(Path(".taskflow/postgres")) as postgres, ValkeyServer(Path(".taskflow/valkey")) as
    valkey:
        ...  # postgres.url, valkey.url

A server lives at most as long as the process that started it, however that ends. It listens on a Unix
socket in a directory that only its user can enter; over TCP only when a port is asked for, and then with a
password. Knows nothing of TaskFlow and imports the standard library only.
"""

from taskflow_embedded.directory import DataDirectory
from taskflow_embedded.errors import AlreadyRunning, ServerError
from taskflow_embedded.postgres import PostgresServer
from taskflow_embedded.throwaway import Throwaway, throwaway, throwaway_postgres, throwaway_valkey
from taskflow_embedded.valkey import ValkeyServer

__all__ = [
    "AlreadyRunning",
    "DataDirectory",
    "PostgresServer",
    "ServerError",
    "Throwaway",
    "ValkeyServer",
    "throwaway",
    "throwaway_postgres",
    "throwaway_valkey",
]
