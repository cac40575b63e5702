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
_STATE: Final = "SELECT state FROM ledger WHERE request_id = %s"


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
                made = await asyncio.gather(*(self._until_made(api) for api in self.apis))
                apis = time.monotonic() - since
                await self._until_done(made)
                job = time.monotonic() - since
        except TimeoutError:
            pass
        return Recovery(what, apis, job)

    async def _until_made(self, api: Api) -> str:
        """Return the request that made a task by this process."""
        owner: UUID = self.people.users[0].id
        manager = self.people.manager
        while True:
            changes: dict[str, str | None] = {"user_id": str(owner)}
            operation = self.book.add(Operation("probe", manager.id, "created", (), changes))
            body = {"title": "Probe", "userId": str(owner)}
            answer = await api.call(manager.token, "POST", "/tasks", body)
            operation.attempts.append(answer)
            if answer.acknowledged:
                return answer.request_id
            await asyncio.sleep(_POLL_SECONDS)

    async def _until_done(self, requests: Sequence[str]) -> None:
        waiting = list(requests)
        while waiting:
            try:
                async with await psycopg.AsyncConnection.connect(
                    self.database, autocommit=True, connect_timeout=3
                ) as connection:
                    while waiting:
                        row = await (await connection.execute(_STATE, [waiting[0]])).fetchone()
                        if row == ("done",):
                            waiting.pop(0)
                        else:
                            await asyncio.sleep(_POLL_SECONDS)
            except psycopg.OperationalError:
                await asyncio.sleep(_POLL_SECONDS)
