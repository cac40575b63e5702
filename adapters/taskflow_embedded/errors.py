"""What can go wrong, for people to read.

ServerError
└── AlreadyRunning    the data directory is in use by another live process
"""

from __future__ import annotations


class ServerError(Exception):
    """A server could not be started or stopped; the message says why and what to do about it."""


class AlreadyRunning(ServerError):
    """The data directory is in use by another live process.

    `pid` is that process, or None where it has not written its number yet.
    """

    def __init__(self, message: str, pid: int | None) -> None:
        super().__init__(message)
        self.pid = pid
