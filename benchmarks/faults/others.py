"""What else goes on: sample jobs, some of which fail, and somebody who changes a password again and again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from uuid import uuid4

from benchmarks.faults.calling import Api
from benchmarks.faults.of_jobs import EVENT, SAMPLE
from benchmarks.faults.people import PASSWORD, Person
from benchmarks.faults.records import Attempt, Book, Operation
from taskflow_core import Actor, Sample, TaskFlowError, UseCases


@dataclass(slots=True)
class Sampler:
    """Makes sample jobs; each fourth fails for a while, each eighth until it is dead."""

    use_cases: UseCases
    book: Book
    draw: random.Random
    stop: asyncio.Event
    pause: float

    async def run(self) -> None:
        while not self.stop.is_set():
            await self.make(self.draw.choice([0, 0, 0, 0, 0, 1, 2, 9]))
            await asyncio.sleep(self.draw.uniform(0, 4 * self.pause))

    async def make(self, fail: int) -> Attempt:
        """Make one that fails so often."""
        attempt = Attempt(str(uuid4()), sent=True)
        self.book.add(Operation(SAMPLE, None, attempts=[attempt]))
        sample = Sample(fail=fail, max_tries=3 if fail > 2 else 10)
        with suppress(TaskFlowError):
            await self.use_cases.add_sample(sample, Actor.operator(attempt.request_id))
            attempt.status = 201
        return attempt


@dataclass(slots=True)
class Keeper:
    """Changes the password of an account; each time its owner is to be told."""

    person: Person
    apis: Sequence[Api]
    book: Book
    draw: random.Random
    stop: asyncio.Event
    possible: list[str]

    @classmethod
    def of(
        cls, person: Person, apis: Sequence[Api], book: Book, draw: random.Random, stop: asyncio.Event
    ) -> Keeper:
        return cls(person, apis, book, draw, stop, [PASSWORD])

    async def run(self) -> None:
        while not self.stop.is_set():
            await self._change()
            await asyncio.sleep(self.draw.uniform(1, 2))

    async def _change(self) -> None:
        """Try what the password may be, the likeliest first."""
        new = f"a new password {uuid4()}"
        for old in list(self.possible):
            operation = self.book.add(Operation(EVENT, self.person.id, may_be_refused=len(self.possible) > 1))
            body = {"currentPassword": old, "newPassword": new}
            token, noted = self.person.token, operation.attempts
            api = self.draw.choice(self.apis)
            answer = await api.call(token, "POST", "/auth/password", body, into=noted)
            if answer.acknowledged:
                self.possible = [new]
                return
            if answer.unknown:
                self.possible.insert(0, new)
                return
