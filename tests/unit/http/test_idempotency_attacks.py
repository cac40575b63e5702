"""What a key gives nobody: others' answers, more than one may, or a way around a limit."""

from __future__ import annotations

from support.http_world import ADDRESSES, CURSOR_KEY, NO_LIMITS, PASSWORD, World, client_of, limits
from support.replays import KEY, is_replay, kept
from taskflow_http import create_app

TASK = {"title": "Once"}
NEW = {"email": "ada@example.com", "name": "Ada", "password": PASSWORD}


async def test_anothers_key_is_another_key(world: World) -> None:
    answers = [await world.send(who, "POST", "/tasks", json=TASK, headers=KEY) for who in ("user", "other")]

    assert [(answer.status_code, is_replay(answer)) for answer in answers] == [(201, False)] * 2
    assert {answer.json()["userId"] for answer in answers} == {
        str(world.people[who].id) for who in ("user", "other")
    }


async def test_nothing_shows_whether_somebody_else_has_a_key(world: World) -> None:
    await world.send("user", "POST", "/tasks", json=TASK, headers=KEY)

    taken = await world.send("other", "POST", "/tasks", json={"title": "Other"}, headers=KEY)
    free = await world.send(
        "other", "POST", "/tasks", json={"title": "Other"}, headers={"Idempotency-Key": "f"}
    )

    assert taken.status_code == free.status_code == 201
    assert set(taken.headers) == set(free.headers)


async def test_who_asks_is_asked_first(world: World) -> None:
    headers = world.headers("manager")
    target = {"title": "For another", "userId": str(world.people["user"].id)}
    first = await world.send("manager", "POST", "/tasks", json=target, headers=KEY)
    path = f"/users/{world.people['manager'].id}"

    await world.send("admin", "PATCH", path, json={"role": "user"})
    demoted = await world.send("manager", "POST", "/tasks", json=target, headers=KEY)
    await world.send("manager", "POST", "/auth/logout")
    signed_out = await world.client.post("/tasks", json=target, headers=headers | KEY)
    world.sessions["manager"] = world.open_session("manager")
    await world.send("admin", "PATCH", path, json={"role": "manager"})
    again = await world.send("manager", "POST", "/tasks", json=target, headers=KEY)
    stranger = await world.send(None, "POST", "/tasks", json=target, headers=KEY)

    codes = [answer.status_code for answer in (first, demoted, signed_out, again, stranger)]
    assert codes == [201, 403, 401, 201, 401]
    assert kept(again) == kept(first)


async def test_another_session_of_the_same_user_is_the_same_owner(world: World) -> None:
    first = await world.send("user", "POST", "/tasks", json=TASK, headers=KEY)
    world.sessions["user"] = world.open_session("user")

    assert kept(await world.send("user", "POST", "/tasks", json=TASK, headers=KEY)) == kept(first)


async def test_a_task_that_went_to_somebody_else_is_restored_by_nobody_by_replay(world: World) -> None:
    id = await world.task("user")
    await world.send("user", "DELETE", f"/tasks/{id}")
    await world.send("user", "POST", f"/tasks/{id}/restore", headers=KEY)
    await world.send("admin", "PATCH", f"/tasks/{id}", json={"userId": str(world.people["other"].id)})

    answer = await world.send("user", "POST", f"/tasks/{id}/restore", headers=KEY)

    assert answer.status_code == 404


async def test_a_created_task_that_went_to_somebody_else_is_answered_as_it_was(world: World) -> None:
    first = await world.send("user", "POST", "/tasks", json=TASK, headers=KEY)
    change = {"userId": str(world.people["other"].id), "title": "Not for you any more"}
    await world.send("admin", "PATCH", first.headers["location"], json=change)

    again = await world.send("user", "POST", "/tasks", json=TASK, headers=KEY)

    assert kept(again) == kept(first)
    assert "Not for you" not in again.text


async def test_a_replay_counts_against_the_rate(world: World) -> None:
    async with client_of(world.app(limits=limits(api="3/minute"))) as client:
        headers = world.headers("user") | KEY
        codes = [(await client.post("/tasks", json=TASK, headers=headers)).status_code for _ in range(4)]

    assert codes == [201, 201, 201, 429]


async def test_a_refused_key_counts_too_and_after_who_asks(world: World) -> None:
    bad = {"Idempotency-Key": "a b"}
    async with client_of(world.app(limits=limits(api="1/minute"))) as client:
        stranger = await client.post("/tasks", json=TASK, headers=bad)
        codes = [
            (await client.post("/tasks", json=TASK, headers=world.headers("user") | bad)).status_code
            for _ in range(2)
        ]

    assert stranger.status_code == 401
    assert codes == [400, 429]


async def test_a_body_that_is_too_large_is_never_looked_up(world: World) -> None:
    answer = await world.send("user", "POST", "/tasks", json={"title": "x" * 2_000_000}, headers=KEY)

    assert answer.status_code == 413
    assert not world.store.keys


async def test_another_secret_does_not_know_it_again(world: World) -> None:
    """As after the first secret was replaced: it is refused, and not done a second time."""
    first = await world.send("user", "POST", "/tasks", json=TASK, headers=KEY)
    app = create_app(
        use_cases=world.use_cases, tokens=world.tokens, clock=world.clock, limits=NO_LIMITS,
        addresses=ADDRESSES, cursor_key=b"the key after that, also 32 bytes",
        older_cursor_keys=[CURSOR_KEY],
    )  # fmt: skip

    async with client_of(app) as client:
        answer = await client.post("/tasks", json=TASK, headers=world.headers("user") | KEY)

    assert first.status_code == 201
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert len(world.store.tasks) == 1


async def test_what_is_kept_holds_no_password(world: World) -> None:
    await world.send("admin", "POST", "/users", json=NEW, headers=KEY)

    (stored,) = world.store.keys.values()
    assert NEW["name"].encode() in stored.answer
    assert PASSWORD.encode() not in stored.answer + stored.fingerprint
    assert b"hash" not in stored.answer
    assert len(stored.fingerprint) == 32
