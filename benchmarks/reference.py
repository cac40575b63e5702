"""What a request costs at the least: the same SQL by plain psycopg, the same JSON by msgspec, and no more.

    python -m benchmarks.reference DATABASE_URL     on a free port; tells its URL
    python -m benchmarks.reference                  answers a constant to everything

It runs TaskFlow's own statements (imported, so that they stay the same), in the same round trips, on as
many connections, under the same server; decodes bodies, makes ids, writes the same history rows, and
encodes the same fields. It does not know routes, check tokens (who asks stands in the header as it is),
roles, rules or versions, tell faults, seal cursors, give ETags and request ids, log, or keep deadlines.
That is what TaskFlow may cost on top.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import msgspec
import psycopg
import uvicorn

from taskflow_core import Priority, Status, TaskQuery
from taskflow_core.quota import NO_QUOTA
from taskflow_sqlalchemy import queries, statements
from taskflow_system import SystemClock, Uuid7

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import Receive, Scope, Send

Driver = psycopg.AsyncConnection[tuple[Any, ...]]
Rows = list[tuple[Any, ...]]
Answer = tuple[int, bytes]

CONNECTIONS: Final = 10
"""As TaskFlow's own pool."""
_SETTINGS: Final = ("timezone=UTC", "statement_timeout=5000", "plan_cache_mode=force_generic_plan")
"""As TaskFlow's own connections."""


class Task(msgspec.Struct, rename="camel"):
    id: UUID
    title: str
    description: str | None
    status: str
    priority: str
    due_date: datetime | None
    user_id: UUID
    created_at: datetime
    updated_at: datetime
    completed_at: datetime | None
    version: int


class Page(msgspec.Struct, rename="camel"):
    data: list[Task]
    next_cursor: str | None


class NewTask(msgspec.Struct, rename="camel"):
    title: str
    description: str | None = None
    status: Status = Status.PENDING
    priority: Priority = Priority.MEDIUM
    due_date: datetime | None = None


class Change(msgspec.Struct, rename="camel"):
    title: str | None = None
    status: Status | None = None


class Batch(msgspec.Struct, rename="camel"):
    action: str
    tasks: list[UUID]
    set: Change


class Result(msgspec.Struct):
    id: UUID
    status: str


class BatchAnswer(msgspec.Struct):
    results: list[Result]
    succeeded: int
    failed: int


class Stats(msgspec.Struct, rename="camel"):
    total: int
    by_status: dict[str, int]
    by_priority: dict[str, int]
    overdue: int
    as_of: datetime


_encode: Final = msgspec.json.Encoder().encode
_decode_task: Final = msgspec.json.Decoder(NewTask).decode
_decode_change: Final = msgspec.json.Decoder(Change).decode
_decode_batch: Final = msgspec.json.Decoder(Batch).decode
_PRIORITIES: Final = tuple(map(str, Priority))
_RANKS: Final = {priority: priority.rank for priority in Priority}
_STATUSES: Final = tuple(map(str, Status))
_BEGIN: Final = ("BEGIN", None)
_COMMIT: Final = ("COMMIT", None)


class Pool:
    """Connections, taken and given back."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._free: asyncio.LifoQueue[Driver] = asyncio.LifoQueue()

    async def open(self) -> None:
        for _ in range(CONNECTIONS):
            self._free.put_nowait(
                await psycopg.AsyncConnection.connect(
                    self._url, autocommit=True, options=" ".join(f"-c {setting}" for setting in _SETTINGS)
                )
            )

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Driver]:
        driver = await self._free.get()
        try:
            yield driver
        finally:
            self._free.put_nowait(driver)

    async def fetch(self, sql: str, parameters: dict[str, Any]) -> Rows:
        driver = await self._free.get()
        try:
            return await (await driver.execute(sql, parameters, binary=True)).fetchall()
        finally:
            self._free.put_nowait(driver)


async def _together(driver: Driver, *run: tuple[str, dict[str, Any] | None]) -> Sequence[Any]:
    """Run statements in one round trip."""
    async with driver.pipeline():
        return [await driver.execute(sql, parameters, binary=True) for sql, parameters in run]


def _task(row: tuple[Any, ...]) -> Task:
    id, title, description, status, priority, due, user, created, updated, completed, version = row
    return Task(
        id, title, description, status, _PRIORITIES[priority], due, user, created, updated, completed, version
    )


class Reference:
    """The application."""

    def __init__(self, url: str) -> None:
        self._pool = Pool(url)
        self._now = SystemClock()
        self._ids = Uuid7()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send, self._pool.open)
            return
        status, body = await self._answer(scope, receive)
        await _send(send, status, body)

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        user, method, path = _user(scope), scope["method"], scope["path"]
        if method == "GET":
            if path == "/tasks":
                return await self._list(user, int(scope["query_string"].removeprefix(b"limit=")))
            if path == "/tasks/stats":
                return await self._stats(user)
            return await self._one(user, UUID(path[7:]))
        body = await _body(receive)
        if path == "/tasks":
            return await self._create(user, body)
        if path == "/tasks/batch":
            return await self._batch(user, body)
        return await self._change(user, UUID(path[7:]), body)

    async def _one(self, user: UUID, id: UUID) -> Answer:
        rows = await self._pool.fetch(queries.ONE_TASK[True], {"id": id, "owner": user})
        return (200, _encode(_task(rows[0]))) if rows else (404, b"")

    async def _list(self, user: UUID, limit: int) -> Answer:
        query = TaskQuery(owner=user, limit=limit)
        sql = queries.list_tasks(queries.TaskShape.of(query))
        rows = await self._pool.fetch(sql, queries.task_parameters(query, self._now()))
        more = str(rows[limit - 1][0]) if len(rows) > limit else None
        return 200, _encode(Page([_task(row) for row in rows[:limit]], more))

    async def _stats(self, user: UUID) -> Answer:
        now = self._now()
        ((total, *counts, overdue),) = await self._pool.fetch(
            queries.STATS[True], {"owner": user, "now": now}
        )
        by_status = dict(zip(_STATUSES, counts[: len(_STATUSES)], strict=True))
        by_priority = dict(zip(_PRIORITIES, counts[len(_STATUSES) :], strict=True))
        return 200, _encode(Stats(total, by_status, by_priority, overdue, now))

    async def _create(self, user: UUID, body: bytes) -> Answer:
        new, now = _decode_task(body), self._now()
        id = self._ids(now)
        row = {
            "id": id, "user_id": user, "title": new.title, "description": new.description,
            "status": new.status, "priority": _RANKS[new.priority], "due_date": new.due_date,
            "created_at": now, "updated_at": now, "completed_at": None, "deleted_at": None, "version": 1,
        }  # fmt: skip
        changes = {
            "title": (None, new.title), "description": (None, new.description), "status": (None, new.status),
            "priority": (None, new.priority), "due_date": (None, new.due_date), "user_id": (None, user),
        }  # fmt: skip
        told = {name: change for name, change in changes.items() if change[1] is not None}
        history = self._entry(row, now, user, told)
        parameters = _written([row], user, [history])
        if not await self._pool.fetch(statements.ADD_TASKS, parameters):
            return 401, b""
        made = Task(
            id, new.title, new.description, new.status, new.priority, new.due_date, user, now, now, None, 1
        )
        return 201, _encode(made)

    async def _change(self, user: UUID, id: UUID, body: bytes) -> Answer:
        change = _decode_change(body)
        async with self._pool.connection() as driver:
            tasks = await self._changed(driver, user, [id], change)
        return 200, _encode(tasks[0])

    async def _batch(self, user: UUID, body: bytes) -> Answer:
        batch = _decode_batch(body)
        async with self._pool.connection() as driver:
            await self._changed(driver, user, batch.tasks, batch.set)
        results = [Result(id, "ok") for id in batch.tasks]
        return 200, _encode(BatchAnswer(results, len(results), 0))

    async def _changed(self, driver: Driver, user: UUID, ids: list[UUID], change: Change) -> list[Task]:
        """Lock, change and write, in the two round trips that TaskFlow takes."""
        locks = {"ids": ids, "owners": [], "of_owner": user}
        _, _, locked = await _together(
            driver, _BEGIN, (statements.LOCK_OWNERS, locks), (statements.LOCK_TASKS, locks)
        )
        now = self._now()
        rows, history, tasks = [], [], []
        for old in await locked.fetchall():
            id, owner, title, description, status, priority, due, created, _, completed, deleted, version = (
                old
            )
            changes: dict[str, Any] = {}
            row = {
                "id": id, "user_id": owner, "status": change.status or status, "priority": priority,
                "due_date": due, "updated_at": now, "completed_at": completed, "deleted_at": deleted,
                "version": version + 1,
            }  # fmt: skip
            if change.title is not None and change.title != title:
                row["title"] = change.title
                changes["title"] = (title, change.title)
            if change.status is not None and change.status != status:
                row["completed_at"] = completed = now if change.status == "COMPLETED" else None
                changes["status"] = (status, change.status)
            rows.append(row)
            history.append(self._entry(row, now, user, changes))
            now_is = (
                id, row.get("title", title), description, row["status"], priority, due, owner, created, now,
                completed, version + 1,
            )  # fmt: skip
            tasks.append(_task(now_is))
        await _together(driver, (statements.SAVE_TASKS, _written(rows, user, history)), _COMMIT)
        return tasks

    def _entry(
        self, row: dict[str, Any], now: datetime, user: UUID, changes: dict[str, Any]
    ) -> dict[str, Any]:
        return {
            "task_id": row["id"], "version": row["version"], "id": self._ids(now), "at": now,
            "actor_id": user,
            "action": "created" if row["version"] == 1 else "updated", "request_id": None,
            "changes": changes,
        }  # fmt: skip


def _written(rows: list[dict[str, Any]], user: UUID, history: list[dict[str, Any]]) -> dict[str, Any]:
    written = {"tasks": _encode(rows).decode(), "owners": [user], "history": _encode(history).decode()}
    return written | {"quota_tasks": NO_QUOTA.tasks, "quota_bytes": NO_QUOTA.bytes}


def _user(scope: Scope) -> UUID:
    for name, value in scope["headers"]:
        if name == b"authorization":
            return UUID(value[7:].decode())
    raise LookupError("authorization")


async def _body(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += bytes(message["body"])
        if not message["more_body"]:
            return body


async def bare(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a constant of a task's size."""
    if scope["type"] == "lifespan":
        await _live(receive, send, _nothing)
        return
    await _send(send, 200, _CONSTANT)


_CONSTANT: Final = _encode(
    Task(
        UUID(int=1), "Call back", "About the offer of last week", "PENDING", "HIGH", None, UUID(int=2),
        datetime(2030, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC), None, 1,
    )
)  # fmt: skip


async def _nothing() -> None:
    pass


async def _live(receive: Receive, send: Send, open_: Callable[[], Awaitable[None]]) -> None:
    await receive()
    await open_()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def _send(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def main() -> None:
    """Serve, as TaskFlow serves."""
    app: Any = Reference(sys.argv[1]) if len(sys.argv) > 1 else bare
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        print(f"http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
        config = uvicorn.Config(
            app, loop="uvloop", http="httptools", ws="none", lifespan="on", access_log=False,
            log_config=None, log_level="warning", server_header=False,
        )  # fmt: skip
        uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
