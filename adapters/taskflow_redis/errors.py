"""What redis-py raises, told as the core's errors. Addresses and credentials stay out of the message."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
)

from taskflow_core import Unavailable

_REFUSED = (AuthenticationError, AuthorizationError, NoPermissionError)


def translate(error: Exception) -> Unavailable:
    """Return the core's error for whatever a call to Redis ended with."""
    if isinstance(error, _REFUSED):
        return Unavailable("Redis refuses the user or the password, or this user may not write.")
    if isinstance(error, (ReadOnlyError, OutOfMemoryError)) or str(error).startswith(
        ("MISCONF", "NOREPLICAS")
    ):
        return Unavailable("Redis refuses writes.")
    if isinstance(error, TimeoutError):
        return Unavailable("Redis does not answer in time.")
    return Unavailable("Redis cannot be reached now.")


@contextmanager
def translated() -> Iterator[None]:
    """Raise the errors of Redis, of its connection and of its deadline as `Unavailable`."""
    try:
        yield
    except (RedisError, OSError, TimeoutError) as error:
        raise translate(error) from error
