"""Sends what a client wants, and writes down what came of it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

from benchmarks.faults.calling import Api
from benchmarks.faults.of_writes import code_of
from benchmarks.faults.people import Person
from benchmarks.faults.records import Attempt, Operation

AGAIN: Final = 0.3
"""How often what was answered is sent again by the same key."""
MISUSE: Final = 0.1
"""How often something else is sent by the same key."""


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends to any of the processes of the API, each as likely as the other."""

    apis: Sequence[Api]
    draw: random.Random

    async def send(
        self, operation: Operation, person: Person, method: str, path: str, body: object = None
    ) -> Attempt:
        """Send once."""
        api = self.draw.choice(self.apis)
        answer = await api.call(person.token, method, path, body, into=operation.attempts)
        if not answer.sent:
            await asyncio.sleep(0.1)
        return answer

    async def post(
        self, operation: Operation, person: Person, path: str, body: object, *, keyed: bool
    ) -> Attempt:
        """Send once; or, with a key, until it is answered, and now and then again after that."""
        if not keyed:
            return await self.send(operation, person, "POST", path, body)
        operation.key = str(uuid4())
        answer = await self._until_answered(operation, person, path, body)
        if answer.acknowledged and self.draw.random() < AGAIN:
            await self._until_answered(operation, person, path, body)
        if answer.acknowledged and body is not None and self.draw.random() < MISUSE:
            await self._misuse(operation, person, path)
        return answer

    async def _until_answered(self, operation: Operation, person: Person, path: str, body: object) -> Attempt:
        """Send to one after the other until one has done it, or will not."""
        at = self.draw.randrange(len(self.apis))
        while True:
            api = self.apis[at % len(self.apis)]
            key, noted = operation.key or "", operation.attempts
            answer = await api.call(person.token, "POST", path, body, key=key, into=noted)
            waits = answer.status == 409 and code_of(answer.body) == "request_in_progress"
            if answer.acknowledged or (answer.refused and not waits):
                return answer
            at += 1
            await asyncio.sleep(self.draw.uniform(0.05, 0.3))

    async def _misuse(self, operation: Operation, person: Person, path: str) -> None:
        batch = {"action": "complete", "tasks": [str(uuid4())]}
        body = batch if path.endswith("batch") else {"title": "Something else"}
        key, noted = operation.key or "", operation.attempts
        answer = await self.draw.choice(self.apis).call(person.token, "POST", path, body, key=key, into=noted)
        if answer.sent and not answer.unknown:
            operation.misuses.append(code_of(answer.body) or str(answer.status))
            operation.attempts.remove(answer)
