"""How long it takes after each kill until everything does its work again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple
from uuid import UUID

import psycopg

from benchmarks.faults.calling import Api
from benchmarks.faults.findings import Finding, late
from benchmarks.faults.people import People
from benchmarks.faults.records import Book, Operation

PROMISE: Final = 30.0
"""Seconds."""
GIVEN_UP: Final = 90.0
"""Seconds after which nobody waits any more."""
_POLL_SECONDS: Final = 0.1
_AGAIN_SECONDS: Final = 2.0
"""So long after one job comes another: who took the first may be killed by the next kill."""
_DONE: Final = "SELECT count(*) > 0 FROM ledger WHERE request_id = ANY(%s) AND state = 'done'"


class Recovery(NamedTuple):
    """After one kill: seconds until each process of the API made a task, and a job of that was done."""

    what: str
    apis: float
    job: float

    def findings(self) -> list[Finding]:
        slow = self.job > PROMISE
        return [late(f"{self.what}: all worked again after {self.job:.1f} s")] if slow else []


@dataclass(slots=True)
class Watcher:
    """Makes tasks for somebody else, each of which makes a job, and watches these."""

    people: People
    apis: Sequence[Api]
    book: Book
    database: str

    async def __call__(self, what: str, since: float) -> Recovery:
        """Return how long after `since` (of the monotonic clock) everything worked again."""
        apis = job = float("inf")
        try:
            async with asyncio.timeout(GIVEN_UP):
                made = await self._make()
                apis = time.monotonic() - since
                while not await self._is_done_soon(made):
                    made += await self._make()
                job = time.monotonic() - since
        except TimeoutError:
            pass
        return Recovery(what, apis, job)

    async def _make(self) -> list[str]:
        return await asyncio.gather(*(self._until_made(api) for api in self.apis))

    async def _until_made(self, api: Api) -> str:
        """Return the request that made a task by this process."""
        owner: UUID = self.people.users[0].id
        manager = self.people.manager
        while True:
            changes: dict[str, str | None] = {"user_id": str(owner)}
            operation = self.book.add(Operation("probe", manager.id, "created", (), changes))
            body = {"title": "Probe", "userId": str(owner)}
            answer = await api.call(manager.token, "POST", "/tasks", body, into=operation.attempts)
            if answer.acknowledged:
                return answer.request_id
            await asyncio.sleep(_POLL_SECONDS)

    async def _is_done_soon(self, requests: list[str]) -> bool:
        """Return whether one of their jobs is done within a while."""
        until = time.monotonic() + _AGAIN_SECONDS
        while time.monotonic() < until:
            try:
                connecting = psycopg.AsyncConnection.connect(self.database, connect_timeout=3)
                async with await connecting as connection:
                    if (await (await connection.execute(_DONE, [requests])).fetchone()) == (True,):
                        return True
            except psycopg.OperationalError:
                pass
            await asyncio.sleep(_POLL_SECONDS)
        return False
