"""Brings the database of the settings to head."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import stamina

import taskflow_sqlalchemy
from taskflow_bootstrap.errors import DatabaseError, SettingsError
from taskflow_bootstrap.settings import Settings, variable


@dataclass(frozen=True, slots=True)
class Migrated:
    """What was done.

    Attributes:
        created: Whether the database itself was made.
        before: Its revision until then; None where it had none.
        after: Its revision now.
    """

    created: bool
    before: str | None
    after: str


async def migrate(
    settings: Settings, *, wait: float, tell: Callable[[str], None], grant_to: str | None = None
) -> Migrated:
    """Bring the database to head, making it where it may.

    Args:
        settings: With its address.
        wait: Seconds to wait for a server that still starts, and for another migrator.
        tell: Is told what happens, a line each.
        grant_to: A role that gets the rights that serving needs.

    Raises:
        SettingsError: There is no address, or it is none.
        DatabaseError: It cannot be done; the message says what to do.
    """
    settings.require("database_url")
    # Its default hook would log each attempt with the driver's message, which names the host.
    stamina.instrumentation.set_on_retry_hooks(())
    try:
        report = await taskflow_sqlalchemy.migrate(
            settings.database_url, wait=wait, grant_to=grant_to, on_event=tell
        )
    except taskflow_sqlalchemy.MigrationError as error:
        raise DatabaseError(str(error)) from error
    except ValueError as error:
        raise SettingsError([f"{variable('database_url')} {error}."]) from error
    return Migrated(report.created, report.before, report.after)


def migration_sql() -> str:
    """Return all migrations as one SQL script, for who does not let programs change tables."""
    return taskflow_sqlalchemy.migration_sql()
