"""Refresh tokens on two instances: parallel, late, forged, and with instances that die."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest

from support.processes import Background, free_port
from support.real_api import PASSWORD, Instance, Person, open_instance, open_instances, settings_of
from taskflow_core import InvalidCredentials, TooManyAttempts

OLD, NEW = "the-old-secret-of-the-tests-0123456789", "the-new-secret-of-the-tests-0123456789"


@pytest.fixture
async def instances(database_url: str, redis_url: str) -> AsyncIterator[list[Instance]]:
    async with open_instances(database_url, redis_url, number=2) as instances:
        yield instances


def let_grace_pass(database: psycopg.Connection[Any]) -> None:
    """Have all that was replaced be so a minute longer ago; the grace is 30 s."""
    database.execute(
        "UPDATE sessions SET replaced = ARRAY(SELECT at - interval '1 min' FROM unnest(replaced) AS at)"
    )


async def refresh(api: Instance, token: str) -> httpx.Response:
    return await api.client.post("/auth/refresh", json={"refresh_token": token})


async def me(api: Instance, access_token: str) -> int:
    headers = {"Authorization": f"Bearer {access_token}"}
    return (await api.client.get("/users/me", headers=headers)).status_code


def row_of(database: psycopg.Connection[Any], person: Person) -> tuple[Any, ...]:
    rows: list[tuple[Any, ...]] = database.execute(
        "SELECT generation, ended_at IS NULL, end_reason FROM sessions WHERE user_id = %s", [person.view.id]
    ).fetchall()
    assert len(rows) == 1
    return rows[0]


def events_of(database: psycopg.Connection[Any], user: UUID, type_: str) -> int:
    asked = "SELECT count(*) FROM security_events WHERE user_id = %s AND type = %s"
    row = database.execute(asked, [user, type_]).fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize("parallel", [100])
async def test_parallel_refreshes_with_one_token_log_nobody_out(
    database_url: str, redis_url: str, database: psycopg.Connection[Any], parallel: int
) -> None:
    async with open_instances(database_url, redis_url, number=2) as instances:
        person = await instances[0].person()
        token = person.signed_in.refresh_token
        answers = await asyncio.gather(*(refresh(instances[n % 2], token) for n in range(parallel)))
        assert Counter(answer.status_code for answer in answers) == {200: parallel}
        (current,) = {answer.json()["refresh_token"] for answer in answers}
        assert row_of(database, person) == (2, True, None)
        # Whichever answer a tab has got, it goes on with it, and so does the one from before.
        codes = [await me(instances[n % 2], a.json()["access_token"]) for n, a in enumerate(answers)]
        assert set(codes) == {200}
        assert await me(instances[1], person.signed_in.access_token.value) == 200
        assert (await refresh(instances[1], current)).json()["refresh_token"].split(".")[1] == "3"
        assert events_of(database, person.view.id, "refresh.reused") == 0


async def test_a_token_replaced_longer_ago_than_the_grace_ends_the_session_everywhere(
    instances: list[Instance], database: psycopg.Connection[Any]
) -> None:
    a, b = instances
    person = await a.person()
    stolen = person.signed_in.refresh_token
    current = (await refresh(a, stolen)).json()
    assert (await refresh(b, stolen)).status_code == 200
    let_grace_pass(database)
    answers = await asyncio.gather(*(refresh(instances[n % 2], stolen) for n in range(20)))
    assert {answer.status_code for answer in answers} == {401}
    # One ended it; for the others it was over.
    assert Counter(answer.json()["code"] for answer in answers) == {
        "refresh_reused": 1,
        "unauthenticated": 19,
    }
    for api in instances:
        assert await me(api, current["access_token"]) == 401
        assert (await refresh(api, current["refresh_token"])).status_code == 401
    assert row_of(database, person) == (2, False, "refresh_reused")
    assert events_of(database, person.view.id, "refresh.reused") == 1
    # And its user can read of it, signed in anew.
    again = await b.sign_in(person.email)
    person.signed_in = again
    told = (await b.call(person, "GET", "/auth/events")).json()["data"]
    assert [event["type"] for event in told] == ["refresh.reused"]


async def test_a_wrong_mac_is_refused_and_ends_nothing(
    instances: list[Instance], database: psycopg.Connection[Any]
) -> None:
    person = await instances[0].person()
    token = person.signed_in.refresh_token
    await refresh(instances[0], token)
    let_grace_pass(database)
    sid, _, mac = token.split(".")
    flipped = ("A" if mac[0] != "A" else "B") + mac[1:]
    forged = [f"{sid}.{generation}.{flipped}" for generation in (1, 2, 3, 999_999)]
    # Genuine, but of another generation than it says.
    forged += [f"{sid}.2.{mac}", f"{sid}.3.{mac}"]
    for each in forged:
        answer = await refresh(instances[1], each)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert row_of(database, person) == (2, True, None)
    assert events_of(database, person.view.id, "refresh.reused") == 0


async def test_each_kind_of_token_is_nothing_where_the_other_belongs(instances: list[Instance]) -> None:
    person = await instances[0].person()
    tokens = person.signed_in
    assert (await refresh(instances[1], tokens.access_token.value)).status_code == 401
    assert await me(instances[1], tokens.refresh_token) == 401


async def test_a_secret_is_rotated_without_logging_anybody_out(
    database_url: str, redis_url: str, database: psycopg.Connection[Any]
) -> None:
    def settings(*secrets: str) -> Any:
        return settings_of(database_url, redis_url, jwt_secret=secrets)

    async with open_instance(settings(OLD)) as before:
        stays, sleeps = await before.person(), await before.person()
        for _ in range(3):
            await before.task(stays)
        first = (await before.call(stays, "GET", "/tasks?limit=2")).json()
    async with open_instance(settings(NEW, OLD)) as during:
        for person in (stays, sleeps):
            assert (await during.call(person, "GET", "/users/me")).status_code == 200
        # Pages that were being read go on.
        rest = await during.call(stays, "GET", f"/tasks?limit=2&cursor={first['nextCursor']}")
        assert len(rest.json()["data"]) == 1
        renewed = (await refresh(during, stays.signed_in.refresh_token)).json()
    async with open_instance(settings(NEW)) as after:
        # Who was there in between goes on.
        assert await me(after, renewed["access_token"]) == 200
        assert (await refresh(after, renewed["refresh_token"])).status_code == 200
        # What the removed secret made is worth nothing, and ends nothing.
        assert await me(after, stays.signed_in.access_token.value) == 401
        assert await me(after, sleeps.signed_in.access_token.value) == 401
        assert (await refresh(after, sleeps.signed_in.refresh_token)).status_code == 401
        assert row_of(database, sleeps) == (1, True, None)
        assert (await after.call(stays, "GET", "/users/me")).status_code == 401


# --- log-ins and new passwords at the same time -----------------------------------------------------------


async def try_to_sign_in(api: Instance, email: str, password: str) -> str | None:
    with suppress(InvalidCredentials, TooManyAttempts):
        return (await api.sign_in(email, password)).access_token.value
    return None


async def change_password(api: Instance, person: Person, new: str) -> httpx.Response:
    body = {"currentPassword": PASSWORD, "newPassword": new}
    return await api.call(person, "POST", "/auth/password", json=body)


async def waiting(database: psycopg.Connection[Any], number: int) -> None:
    asked = (
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    async with asyncio.timeout(60):
        while database.execute(asked).fetchone() != (number,):  # noqa: ASYNC110 - PostgreSQL sets no event
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("log_in_first", [True, False])
async def test_a_log_in_by_the_old_password_leaves_no_session_whoever_comes_first(
    instances: list[Instance], database: psycopg.Connection[Any], database_url: str, log_in_first: bool
) -> None:
    a, b = instances
    person = await a.person()
    with psycopg.connect(database_url) as holder:
        holder.execute("SELECT FROM users WHERE id = %s FOR UPDATE", [person.view.id])
        # Both have seen and verified the old password by the time that they wait for the account's row.
        begin = [
            lambda: try_to_sign_in(b, person.email, PASSWORD),
            lambda: change_password(a, person, "another long password"),
        ]
        tasks: list[asyncio.Task[Any]] = []
        for number, start in enumerate(begin if log_in_first else reversed(begin), start=1):
            tasks.append(asyncio.create_task(start()))
            await waiting(database, number)
        holder.rollback()
        results = await asyncio.gather(*tasks)
    opened, changed = results if log_in_first else reversed(results)
    assert changed.status_code == 204, changed.text
    assert (opened is not None) == log_in_first
    if opened is not None:
        assert await me(a, opened) == 401
        assert await me(b, opened) == 401
    # The session that changed it stays.
    assert (await b.call(person, "GET", "/users/me")).status_code == 200


async def test_many_log_ins_race_a_new_password(instances: list[Instance]) -> None:
    a, b = instances
    for round_ in range(15):
        person = await a.person()

        async def late(api: Instance, seconds: float, email: str) -> str | None:
            await asyncio.sleep(seconds)
            return await try_to_sign_in(api, email, PASSWORD)

        log_ins = asyncio.gather(*(late(instances[n % 2], n * 0.004, person.email) for n in range(5)))
        changed = await change_password(b, person, f"new password {round_}")
        assert changed.status_code == 204
        for token in filter(None, await log_ins):
            assert await me(a, token) == 401


# --- a process that is killed between the commit and the answer -----------------------------------------


class Serving:
    """`taskflow serve`, which can be killed and started again on the same port."""

    def __init__(self, cwd: Path, env: dict[str, str]) -> None:
        self.cwd, self.env, self.port = cwd, env, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        self.background = Background.start("serve", "--port", self.port, cwd=self.cwd, env=self.env)
        self.background.wait_for("TaskFlow answers at")


@pytest.fixture
def serving(tmp_path: Path, database_url: str, redis_url: str) -> Iterator[Serving]:
    env = {
        "TASKFLOW_DATABASE_URL": database_url,
        "TASKFLOW_REDIS_URL": redis_url,
        "TASKFLOW_JWT_SECRET": OLD,
        "TASKFLOW_PASSWORD_COST": "10",
        "TASKFLOW_STATEMENT_TIMEOUT": "60",
        "TASKFLOW_REQUEST_TIMEOUT": "90",
        "TASKFLOW_REFRESH_GRACE": "120",
    }
    serving = Serving(tmp_path, env)
    yield serving
    serving.background.kill()


async def test_a_refresh_whose_answer_was_lost_with_its_process_is_tried_again(
    serving: Serving, database: psycopg.Connection[Any], database_url: str
) -> None:
    account = {"email": "ada@example.com", "name": "Ada", "password": PASSWORD}
    async with httpx.AsyncClient(base_url=serving.url, timeout=90) as client:
        made = (await client.post("/auth/register", json=account)).json()
        body = {"refresh_token": made["refresh_token"]}
        with psycopg.connect(database_url) as holder:
            # The rotation touches sessions alone; its answer needs the user, whom nobody can read now.
            holder.execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
            lost = asyncio.create_task(client.post("/auth/refresh", json=body))
            await generation_is(database, 2)
            assert not lost.done()
            serving.background.kill()
            with pytest.raises(httpx.TransportError):
                await lost
        serving.start()
        assert database.execute("SELECT generation FROM sessions").fetchall() == [(2,)]
        again = await client.post("/auth/refresh", json=body)
        assert again.status_code == 200
        assert database.execute("SELECT generation FROM sessions").fetchall() == [(2,)]
        onward = await client.post("/auth/refresh", json={"refresh_token": again.json()["refresh_token"]})
        assert onward.status_code == 200
        assert events_of(database, UUID(made["user"]["id"]), "refresh.reused") == 0


async def generation_is(database: psycopg.Connection[Any], number: int) -> None:
    deadline = time.monotonic() + 60
    while database.execute("SELECT generation FROM sessions").fetchall() != [(number,)]:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
