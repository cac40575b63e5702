"""Limiters that fail, hang or are off; and that two questions are asked at once."""

from __future__ import annotations

import asyncio
from typing import Any

from support.http_world import PASSWORD, World, client_of, let_pass, limits
from taskflow_core import Decision, Limit, Unavailable
from taskflow_http import HttpOptions, Limits

LOGIN = {"email": "user@example.com", "password": PASSWORD}
REGISTRATION = {"name": "New", "password": PASSWORD}


class Failing:
    """Cannot count."""

    async def take(self, limit: Limit, subject: str, cost: int = 1) -> Decision:  # noqa: ARG002
        raise Unavailable


async def test_no_door_opens_where_nobody_counts(world: World) -> None:
    rates = limits(Failing(), **dict.fromkeys(("login", "refresh", "register", "api"), "9/minute"))
    async with client_of(world.app(limits=rates)) as client:
        answers = [
            await client.post("/auth/login", json=LOGIN),
            await client.post("/auth/refresh", json={"refresh_token": "x"}),
            await client.post("/auth/register", json=REGISTRATION | {"email": "new@example.com"}),
            await client.get("/users/me", headers=world.headers("user")),
            await client.get("/users/me", headers={"Authorization": "Bearer nonsense"}),
            await client.post("/tasks", json={"title": "x"}, headers=world.headers("user")),
        ]

    assert [answer.status_code for answer in answers] == [503] * 6
    assert all(answer.headers["retry-after"] == "1" for answer in answers)
    assert not world.store.tasks


class Meeting:
    """Counts only once who asks is being found out, and the other way round."""

    def __init__(self) -> None:
        self.both = asyncio.Barrier(2)

    async def take(self, limit: Limit, subject: str, cost: int = 1) -> Decision:  # noqa: ARG002
        await self.both.wait()
        return Decision(True, limit, 1, 1.0, 0.0)


async def test_both_questions_leave_side_by_side(world: World) -> None:
    meeting = Meeting()
    authenticate = world.use_cases.authenticate

    async def waits(token: str, request_id: str | None) -> Any:
        await meeting.both.wait()
        return await authenticate(token, request_id)

    app = world.app(limits=limits(meeting, api="9/minute"), authenticate=waits)
    async with client_of(app) as client, asyncio.timeout(60):
        answer = await client.get("/users/me", headers=world.headers("user"))

    assert answer.status_code == 200


async def test_a_limiter_that_hangs_ends_with_the_request(world: World) -> None:
    ended: list[str] = []
    asked, told = asyncio.Event(), asyncio.Event()

    class Hanging:
        async def take(self, limit: Limit, subject: str, cost: int = 1) -> Decision:  # noqa: ARG002
            asked.set()
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                ended.append(subject)
                told.set()
                raise
            raise AssertionError

    async def hangs(*_: object) -> Any:
        await asked.wait()
        let_pass(60)
        await asyncio.sleep(60)

    app = world.app(
        limits=limits(Hanging(), api="9/minute"),
        options=HttpOptions(request_timeout=30),
        authenticate=hangs,
    )
    async with client_of(app) as client:
        answer = await client.get("/users/me", headers=world.headers("user"))
        await asyncio.wait_for(told.wait(), 60)

    assert answer.status_code == 503
    assert ended == [f"user:{world.people['user'].id}"]


async def test_a_limit_may_be_off(world: World) -> None:
    off: Limits = limits(Failing())
    async with client_of(world.app(limits=off)) as client:
        answer = await client.get("/users/me", headers=world.headers("user"))
        login = await client.post("/auth/login", json=LOGIN)

    assert (answer.status_code, login.status_code) == (200, 200)
    assert "ratelimit" not in answer.headers
