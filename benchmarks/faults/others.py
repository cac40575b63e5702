"""What else goes on: sample jobs, some of which fail, and somebody who changes a password again and again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

from benchmarks.faults.calling import Api
from benchmarks.faults.of_jobs import EVENT, SAMPLE
from benchmarks.faults.people import PASSWORD, Person
from benchmarks.faults.records import Attempt, Book, Operation
from taskflow_core import Actor, Sample, TaskFlowError, UseCases

_PASSWORDS: Final = (PASSWORD, "the second password of a benchmark")


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
    """Changes a password to another and back; each time its owner is to be told.

    Attributes:
        present: Which of the two it is now; not sure once a request was left without an answer.
    """

    person: Person
    apis: Sequence[Api]
    book: Book
    draw: random.Random
    stop: asyncio.Event
    present: int = 0
    sure: bool = True

    async def run(self) -> None:
        while not self.stop.is_set():
            answer = await self._change()
            if answer.refused and not self.sure:
                self.present = 1 - self.present
            await asyncio.sleep(self.draw.uniform(0.5, 1.5))

    async def _change(self) -> Attempt:
        operation = self.book.add(Operation(EVENT, self.person.id, may_be_refused=not self.sure))
        old, new = _PASSWORDS[self.present], _PASSWORDS[1 - self.present]
        body = {"currentPassword": old, "newPassword": new}
        token, noted = self.person.token, operation.attempts
        answer = await self.draw.choice(self.apis).call(token, "POST", "/auth/password", body, into=noted)
        if answer.acknowledged:
            self.present, self.sure = 1 - self.present, True
        elif answer.unknown:
            self.sure = False
        return answer
