"""Databases for tests: an empty one, or one brought to head, in a few milliseconds each."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit


class Databases:
    """Creates and drops databases on one server.

    The first migrated database of a run is migrated for real and kept as the template of all others.
    """

    def __init__(self, admin_url: str) -> None:
        import psycopg

        self.admin_url = admin_url
        self._admin: psycopg.Connection[Any] = psycopg.connect(admin_url, autocommit=True)
        self._admin.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        self._numbers = itertools.count(1)
        self._template: str | None = None

    def close(self) -> None:
        self._admin.close()

    def create_empty(self) -> str:
        """Return the URL of a new, empty database."""
        return self._create("template1")

    def create_migrated(self) -> str:
        """Return the URL of a new database at head."""
        if self._template is None:
            self._template = self._migrated_template()
        return self._create(self._template)

    def drop(self, url: str) -> None:
        """Drop a database that this object created, whoever is still connected to it."""
        self._admin.execute(f'DROP DATABASE IF EXISTS "{_name(url)}" WITH (FORCE)')

    def _create(self, template: str) -> str:
        name = f"test_{next(self._numbers)}"
        self._admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return _with_name(self.admin_url, name)

    def _migrated_template(self) -> str:
        import asyncio

        from taskflow_sqlalchemy import migrate

        url = self.create_empty()
        # In a thread, because an event loop may already be set up for the test that asks first.
        with ThreadPoolExecutor(1) as pool:
            pool.submit(lambda: asyncio.run(migrate(url))).result()
        return _name(url)


def _name(url: str) -> str:
    return urlsplit(url).path.removeprefix("/")


def _with_name(url: str, name: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/{name}" + (f"?{parts.query}" if parts.query else "")
