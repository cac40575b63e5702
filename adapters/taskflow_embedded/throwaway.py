"""Servers for tests: a temporary directory, no safety against crashes, nothing left behind."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from taskflow_embedded.postgres import PostgresServer
from taskflow_embedded.valkey import ValkeyServer


class Throwaway(NamedTuple):
    """Both servers, started."""

    postgres: PostgresServer
    valkey: ValkeyServer


@contextmanager
def throwaway(*, postgres_settings: Mapping[str, str] | None = None) -> Iterator[Throwaway]:
    """An empty PostgreSQL and an empty Valkey, gone when the block ends. Raises `ServerError`."""
    with throwaway_postgres(settings=postgres_settings) as postgres, throwaway_valkey() as valkey:
        yield Throwaway(postgres, valkey)


@contextmanager
def throwaway_postgres(*, settings: Mapping[str, str] | None = None) -> Iterator[PostgresServer]:
    """An empty PostgreSQL, gone when the block ends. Raises `ServerError`."""
    with _directory() as path, PostgresServer(path / "postgres", settings=settings, durable=False) as server:
        yield server


@contextmanager
def throwaway_valkey(*, settings: Mapping[str, str] | None = None) -> Iterator[ValkeyServer]:
    """An empty Valkey, gone when the block ends. Raises `ServerError`."""
    with _directory() as path, ValkeyServer(path / "valkey", settings=settings, durable=False) as server:
        yield server


@contextmanager
def _directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="taskflow-") as name:
        yield Path(name)
