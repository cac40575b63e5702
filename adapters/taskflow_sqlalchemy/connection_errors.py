"""What a refused connection or migration means to the person who runs it."""

from __future__ import annotations

from typing import Final

import psycopg
from psycopg import errors as pg


def is_missing_database(error: psycopg.Error) -> bool:
    """Tell that the server is up and has no such database."""
    # While connecting libpq gives a message and no SQLSTATE.
    return isinstance(error, pg.InvalidCatalogName) or (
        "database" in str(error) and "does not exist" in str(error)
    )


def is_final(error: psycopg.Error) -> bool:
    """Tell an answer of a server that is up (wrong password, no such role) from one that is not there yet."""
    words = str(error)
    signs = (
        "authentication failed",
        'role "',
        "no pg_hba.conf entry",
        "permission denied",
        "no password supplied",
    )
    refused = (pg.InvalidPassword, pg.InvalidAuthorizationSpecification)
    return isinstance(error, refused) or is_missing_database(error) or any(sign in words for sign in signs)


_EXPLANATIONS: Final[tuple[tuple[type[psycopg.Error], str, str], ...]] = (
    (
        pg.InsufficientPrivilege,
        "",
        (
            "This role may not make tables here. As the database's owner: "
            "GRANT CREATE, USAGE ON SCHEMA public TO <this role>;"
        ),
    ),
    (
        pg.LockNotAvailable,
        "",
        "Others hold the tables for longer than 5 s; run `taskflow migrate` again when less is going on.",
    ),
    (psycopg.Error, "authentication failed", "The server refuses the user or password of the database URL."),
    (psycopg.Error, "no password supplied", "The server wants a password, and the database URL has none."),
    (
        psycopg.Error,
        'role "',
        "The user of the database URL does not exist on the server, or may not log in.",
    ),
    (
        psycopg.Error,
        "session is read-only",
        "The server is a standby or read-only: use the primary's address, or wait for the failover to end.",
    ),
    (psycopg.Error, "no pg_hba.conf entry", "The server does not let this user in from here (pg_hba.conf)."),
    (
        psycopg.OperationalError,
        "",
        "The database cannot be reached: is the server up, and is the database URL right?",
    ),
)
"""What an error means, by its class and words in its message: while connecting libpq gives no SQLSTATE."""


def explained(error: psycopg.Error) -> str:
    """Return what went wrong and what to do, without secrets."""
    words = str(error)
    for kind, sign, meaning in _EXPLANATIONS:
        if isinstance(error, kind) and sign in words:
            return meaning
    return f"The database refused a migration ({error.sqlstate or type(error).__name__})."
