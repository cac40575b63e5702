"""What keeps TaskFlow from starting, for people to read.

::

    StartError              it cannot start; the message says why and what to do
    ├── SettingsError       settings are missing or wrong; names each variable
    ├── DatabaseError       the database is there but cannot be used as it is
    └── InUse               somebody else has it already: a port, a data directory
"""

from __future__ import annotations

from collections.abc import Iterable


class StartError(Exception):
    """TaskFlow cannot start; the message says why and what to do."""


class SettingsError(StartError):
    """Settings are missing or wrong.

    Attributes:
        faults: A sentence for each, which names the variable and never shows a secret's value.
    """

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(self.faults))


class DatabaseError(StartError):
    """The database answers but cannot be used as it is."""


class InUse(StartError):
    """Somebody else has the port or the data directory."""
