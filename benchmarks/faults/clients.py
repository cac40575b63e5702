"""Clients that change tasks of their own while everything around them is killed, and remember what they did.

No two clients change the same task, except for some that all of them race for. So each knows what its tasks
are like, until a request of it is left without an answer.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

from benchmarks.faults.calling import Api, content
from benchmarks.faults.known import NEXT, Known
from benchmarks.faults.people import People, Person
from benchmarks.faults.records import Attempt, Book, Operation
from benchmarks.faults.sending import Sender
from taskflow_core import Priority, Status
from taskflow_core.tasks import as_text

KEPT: Final = 80
"""Tasks that a client goes on changing; it leaves older ones as they are."""
SOON: Final = (1, 6)
"""Seconds until what is due soon is."""


@dataclass
class Client:
    """Does one thing after the other.

    Attributes:
        shared: Tasks that all clients change.
        pause: Seconds between two requests, at most.
    """

    number: int
    seed: int
    people: People
    apis: Sequence[Api]
    book: Book
    shared: Sequence[UUID]
    stop: asyncio.Event
    pause: float
    tasks: dict[UUID, Known] = field(default_factory=dict)
    made: int = 0

    def __post_init__(self) -> None:
        self.draw = random.Random(f"{self.seed} {self.number}")
        self.sender = Sender(self.apis, self.draw)
        self.me = self.people.users[self.number]
        weights: dict[Callable[[], Awaitable[None]], int] = {
            self.create: 24, self.rename: 14, self.move_due_date: 12, self.change_status: 12,
            self.batch: 12, self.move: 8, self.delete: 6, self.restore: 6, self.race: 4, self.race_batch: 2,
        }  # fmt: skip
        self._does, self._weights = list(weights), list(weights.values())

    async def run(self) -> None:
        while not self.stop.is_set():
            (do,) = self.draw.choices(self._does, self._weights)
            await do()
            await asyncio.sleep(self.draw.uniform(0, self.pause))

    # --- what it does -----------------------------------------------------------------------------------

    async def create(self) -> None:
        title, priority, due = self._title(), self.draw.choice(list(Priority)), self._due(often=0.5)
        owner = self._somebody() if self.draw.random() < 0.3 else self.me
        person = self.me if owner is self.me else self.people.manager
        body = {"title": title, "priority": priority, "dueDate": due, "userId": str(owner.id)}
        changes = {"title": title, "priority": str(priority), "due_date": due, "user_id": str(owner.id)}
        operation = self._begin("create", person, "created", {**changes, "status": "PENDING"})
        answer = await self.sender.post(operation, person, "/tasks", body, keyed=self.draw.random() < 0.4)
        if answer.acknowledged:
            id = UUID(content(answer)["id"])
            operation.versions[id] = 1
            self.tasks[id] = Known(id, owner.id, Status.PENDING)
            self.tasks.pop(next(iter(self.tasks))) if len(self.tasks) > KEPT else None

    async def rename(self) -> None:
        title = self._title()
        if task := self._some(lambda task: not task.deleted, sure=self.draw.random() < 0.9):
            await self._change("rename", task, {"title": title}, {"title": title})

    async def move_due_date(self) -> None:
        due = self._due(often=0.8)
        if task := self._some(lambda task: not task.deleted):
            # A new title too, since the date may be what it was.
            title = self._title()
            await self._change("due date", task, {"dueDate": due, "title": title}, {"title": title})

    async def change_status(self) -> None:
        if task := self._some(lambda task: not task.deleted):
            status = self.draw.choice(NEXT[task.status])
            if await self._change("status", task, {"status": status}, {"status": str(status)}):
                task.status = status

    async def move(self) -> None:
        if task := self._some(lambda task: not task.deleted):
            owner = self.draw.choice([each for each in self._everybody() if each.id != task.owner])
            change = {"userId": str(owner.id)}
            manager = self.people.manager
            if await self._change("move", task, change, {"user_id": str(owner.id)}, manager):
                task.owner = owner.id

    async def delete(self) -> None:
        if task := self._some(lambda task: not task.deleted):
            person = self._owner(task) or self.people.admin
            operation = self._begin("delete", person, "deleted", {}, task)
            if self._learn(
                await self.sender.send(operation, person, "DELETE", f"/tasks/{task.id}"), operation, task
            ):
                task.deleted = True

    async def restore(self) -> None:
        if task := self._some(lambda task: task.deleted):
            person = self._owner(task) or self.people.admin
            operation = self._begin("restore", person, "restored", {}, task)
            keyed = self.draw.random() < 0.5
            answer = await self.sender.post(operation, person, f"/tasks/{task.id}/restore", None, keyed=keyed)
            if self._learn(answer, operation, task):
                task.deleted = False

    async def batch(self) -> None:
        action = self.draw.choice(["update", "update", "complete", "delete"])
        open_only = action == "complete"
        fit = [task for task in self.tasks.values() if task.sure and not task.deleted]
        fit = [task for task in fit if task.status.is_open or not open_only]
        tasks = self.draw.sample(fit, min(len(fit), self.draw.randint(2, 20)))
        if len(tasks) >= 2:
            await self._batch(action, tasks)

    async def _batch(self, action: str, tasks: list[Known]) -> None:
        title, person = self._title(), self.people.admin if action == "delete" else self.people.manager
        told: dict[str, dict[str, str | None]] = {
            "update": {"title": title}, "complete": {"status": "COMPLETED"}, "delete": {}
        }  # fmt: skip
        step = "deleted" if action == "delete" else "updated"
        operation = self._begin("batch", person, step, told[action], *tasks)
        operation.doomed = self.draw.random() < 0.15
        items: list[object] = [str(task.id) for task in tasks]
        if operation.doomed:
            poison = self.draw.choice([str(uuid4()), {"id": items.pop(), "version": 1_000_000}])
            items.insert(self.draw.randrange(len(items) + 1), poison)
        body = {"action": action, "tasks": items} | ({"set": {"title": title}} if action == "update" else {})
        keyed = self.draw.random() < 0.4
        answer = await self.sender.post(operation, person, "/tasks/batch", body, keyed=keyed)
        if self._learn(answer, operation, *tasks):
            for task in tasks:
                task.deleted = action == "delete"
                task.status = Status.COMPLETED if action == "complete" else task.status

    async def race(self) -> None:
        task, title = self.draw.choice(self.shared), self._title()
        operation = Operation("race", self.people.shared.id, "updated", (task,), {"title": title})
        self.book.add(operation)
        await self.sender.send(operation, self.people.shared, "PATCH", f"/tasks/{task}", {"title": title})

    async def race_batch(self) -> None:
        tasks, title = self.draw.sample(self.shared, 5), self._title()
        operation = Operation("race batch", self.people.shared.id, "updated", tuple(tasks), {"title": title})
        self.book.add(operation)
        body = {"action": "update", "tasks": [str(task) for task in tasks], "set": {"title": title}}
        await self.sender.post(
            operation, self.people.shared, "/tasks/batch", body, keyed=self.draw.random() < 0.4
        )

    # --- how --------------------------------------------------------------------------------------------

    def _begin(
        self, kind: str, person: Person, action: str, changes: dict[str, str | None], *tasks: Known
    ) -> Operation:
        operation = Operation(kind, person.id, action, tuple(task.id for task in tasks), changes)
        operation.may_be_refused = not all(task.sure for task in tasks)
        return self.book.add(operation)

    async def _change(
        self,
        kind: str,
        task: Known,
        body: object,
        changes: dict[str, str | None],
        person: Person | None = None,
    ) -> bool:
        """Change one task; return whether that was acknowledged."""
        person = person or self._owner(task) or self.people.manager
        operation = self._begin(kind, person, "updated", changes, task)
        answer = await self.sender.send(operation, person, "PATCH", f"/tasks/{task.id}", body)
        done = self._learn(answer, operation, task)
        if done and self.draw.random() < 0.2:
            await self._look(task, person)
        return done

    def _learn(self, answer: Attempt, operation: Operation, *tasks: Known) -> bool:
        """Note what an answer says of its tasks; return whether they were changed."""
        for task in tasks:
            if answer.acknowledged:
                task.version += 1
                if task.sure:
                    operation.versions[task.id] = task.version
            elif answer.sent and not (answer.refused and operation.doomed):
                task.sure = False
        return answer.acknowledged

    async def _look(self, task: Known, person: Person) -> None:
        """Read, by another instance perhaps, what was just acknowledged."""
        answer = await self.draw.choice(self.apis).call(person.token, "GET", f"/tasks/{task.id}")
        if answer.acknowledged or answer.refused:
            version = content(answer).get("version", 0)
            if task.sure and version != task.version:
                told = f"task {task.id} was acknowledged at {task.version} and read at {version}"
                self.book.stale.append(f"{told}, with {answer.status}")

    # --- with what --------------------------------------------------------------------------------------

    def _some(self, fits: Callable[[Known], bool], *, sure: bool = True) -> Known | None:
        """Return a task of its own; one that is not sure is not used again after that."""
        found = [task for task in self.tasks.values() if task.sure == sure and (not sure or fits(task))]
        task = self.draw.choice(found) if found else None
        return task if task is None or sure else self.tasks.pop(task.id)

    def _owner(self, task: Known) -> Person | None:
        return self.me if task.sure and task.owner == self.me.id else None

    def _everybody(self) -> list[Person]:
        return [*self.people.users, self.people.quiet]

    def _somebody(self) -> Person:
        return self.draw.choice(self._everybody())

    def _title(self) -> str:
        self.made += 1
        return f"Task {self.made} of client {self.number}"

    def _due(self, *, often: float) -> str | None:
        """Return a time that is soon, or far, or none, as history has it."""
        chance = self.draw.random()
        if chance >= often:
            return None
        ahead = timedelta(days=1) if chance < often / 4 else timedelta(seconds=self.draw.randint(*SOON))
        return as_text(datetime.now(UTC).replace(microsecond=0) + ahead)
