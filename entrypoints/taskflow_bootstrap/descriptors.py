"""The process's limit of open files: how many connections it leaves room for, and when it is reached."""

from __future__ import annotations

import errno
import os
import resource
from typing import Final

import structlog

log: Final = structlog.get_logger("taskflow_bootstrap")

RESERVED: Final = 64
"""Files that are neither clients' connections nor PostgreSQL's: the listening socket, Redis, logs, mail."""
_LEAST: Final = 10


def connections_allowed(wanted: int, pool_size: int) -> int:
    """Return how many connections of clients the process may take.

    Args:
        wanted: At most so many.
        pool_size: Connections to PostgreSQL.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return wanted
    return max(_LEAST, min(wanted, limit - pool_size - RESERVED))


class Descriptors:
    """Says in the log when no file can be opened any more, and when that is over.

    The event loop says nothing: it accepts connections and closes them at once.
    """

    def __init__(self) -> None:
        self._exhausted = False

    def check(self) -> None:
        """Try to open a file."""
        try:
            os.close(os.open(os.devnull, os.O_RDONLY))
        except OSError as error:
            if error.errno not in {errno.EMFILE, errno.ENFILE}:
                raise
            exhausted = True
        else:
            exhausted = False
        if exhausted and not self._exhausted:
            log.error("too many open files: new connections are closed")
        if self._exhausted and not exhausted:
            log.warning("files can be opened again")
        self._exhausted = exhausted
