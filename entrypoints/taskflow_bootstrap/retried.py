"""Repeats a command that lost a race for locks. Nothing of it was kept, so it may be given again whole."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final, Generic, ParamSpec, TypeVar

from taskflow_core import Contention, UseCases

P = ParamSpec("P")
R = TypeVar("R")

ATTEMPTS: Final = 3
PAUSE_SECONDS: Final = 0.02
"""The longest first pause; each attempt doubles it. Drawn at random, so that two do not meet again."""

WRITES: Final = (
    "register",
    "log_in",
    "refresh",
    "end_session",
    "end_sessions",
    "change_password",
    "reset_password",
    "create_task",
    "change_task",
    "delete_task",
    "restore_task",
    "change_tasks",
    "create_user",
    "change_user",
    "delete_user",
    "purge_users",
    "retry_job",
    "retry_jobs",
    "discard_job",
    "add_sample",
)
"""The use cases that take locks or write, for somebody who waits. Scans and jobs come again by themselves."""


@dataclass(frozen=True, slots=True)
class Retried(Generic[P, R]):
    """A use case that is tried again where it lost a race.

    Not for use inside a host's transaction: whether that can go on is for the host to say.
    """

    use_case: Callable[P, Awaitable[R]]

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Return the use case's result.

        Raises:
            Contention: It lost `ATTEMPTS` times.
        """
        for attempt in range(ATTEMPTS - 1):
            try:
                return await self.use_case(*args, **kwargs)
            except Contention:
                await asyncio.sleep(random.uniform(0, PAUSE_SECONDS * 2**attempt))  # noqa: S311 - no secret
        return await self.use_case(*args, **kwargs)


def retried(use_cases: UseCases) -> UseCases:
    """Return the use cases with every one that writes tried again where it lost a race."""
    return replace(use_cases, **{name: Retried(getattr(use_cases, name)) for name in WRITES})
