"""Background work by HTTP."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import structlog

from support.http_world import NOBODY, World
from taskflow_core import Actor, DeadJobs, Forbidden, JobQuery, JobState, Role
from taskflow_core.use_cases.ledger import dead_letters


async def get(world: World, path: str) -> Any:
    answer = await world.send("admin", "GET", path)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_job_tells_all_of_itself(world: World) -> None:
    id = world.job("task.overdue", subject=NOBODY, dead=True, max_tries=7, request_id="r-1")
    world.store.ledger[id].run_at += timedelta(seconds=2)

    assert await get(world, f"/jobs/{id}") == {
        "id": str(id),
        "kind": "task.overdue",
        "subject": str(NOBODY),
        "state": "dead",
        "attempts": 1,
        "maxAttempts": 7,
        "runAt": "2030-01-01T00:00:02Z",
        "error": "The bank did not answer.",
        "createdAt": "2030-01-01T00:00:00Z",
        "finishedAt": "2030-01-01T00:00:00Z",
        "requestId": "r-1",
    }


async def test_a_job_of_nothing_yet(world: World) -> None:
    told = await get(world, f"/jobs/{world.job()}")

    empty = ("subject", "error", "finishedAt", "requestId")
    assert [told[name] for name in empty] == [None] * 4
    assert (told["state"], told["attempts"]) == ("pending", 0)


async def test_lists_are_newest_first_and_filtered(world: World) -> None:
    one, two, three = world.job("a"), world.job("b", dead=True), world.job("a", dead=True)

    async def ids(query: str) -> list[str]:
        return [job["id"] for job in (await get(world, query))["data"]]

    assert await ids("/jobs") == [str(three), str(two), str(one)]
    assert await ids("/jobs?kind=a") == [str(three), str(one)]
    assert await ids("/jobs?state=pending") == [str(one)]
    assert await ids("/jobs?state=dead&kind=b") == [str(two)]
    assert await ids("/jobs?state=running") == []
    assert await ids("/jobs/dead") == [str(three), str(two)]
    assert await ids("/jobs/dead?kind=b") == [str(two)]


@pytest.mark.parametrize("path", ["/jobs", "/jobs/dead", "/jobs?kind=a&state=dead", "/jobs/dead?kind=a"])
async def test_pages_are_linked(world: World, path: str) -> None:
    ids = [str(world.job("a", dead=True)) for _ in range(5)]
    base, _, query = path.partition("?")

    seen, reference = [], f"?{query}&limit=2" if query else "?limit=2"
    while reference:
        answer = await world.send("admin", "GET", base + reference)
        seen += [job["id"] for job in answer.json()["data"]]
        link = answer.headers.get("link")
        assert (link is None) == (answer.json()["nextCursor"] is None)
        reference = "" if link is None else link.removeprefix("<").removesuffix('>; rel="next"')

    assert seen == ids[::-1]


@pytest.mark.parametrize("other", ["/jobs?kind=a", "/jobs?state=pending", "/jobs/dead", "/users", "/tasks"])
async def test_a_cursor_of_another_list_is_refused(world: World, other: str) -> None:
    for _ in range(2):
        world.job()
    cursor = (await get(world, "/jobs?limit=1"))["nextCursor"]

    answer = await world.send("admin", "GET", other + ("&" if "?" in other else "?") + f"cursor={cursor}")

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")


@pytest.mark.parametrize(
    "query",
    ["state=DEAD", "state=", "kind=", "kind=%00", "kind=%ED%A0%80", "kind=" + "x" * 101, "limit=0",
     "limit=101", "cursor=", "cursor=x", "userId=any", "kind=a&kind=a"],
)  # fmt: skip
async def test_impossible_questions(world: World, query: str) -> None:
    answer = await world.send("admin", "GET", f"/jobs?{query}")

    assert (answer.status_code, answer.json()["code"]) in [(422, "invalid"), (400, "invalid_cursor")]
    name = query.partition("=")[0]
    assert answer.status_code == 400 or [e["parameter"] for e in answer.json()["errors"]] == [name]


async def test_the_state_of_the_dead_is_no_parameter(world: World) -> None:
    assert (await world.send("admin", "GET", "/jobs/dead?state=done")).status_code == 422


async def test_counts_by_kind(world: World) -> None:
    world.job("b")
    for _ in range(2):
        world.job("a")
    world.job("a", delay=timedelta(hours=1))
    world.job("a", dead=True)
    done = world.job("c")
    world.store.ledger[done].state = JobState.DONE
    world.store.ledger[world.job("b")].claim(world.clock())
    world.clock.advance(minutes=1)

    assert (await get(world, "/jobs/stats"))["kinds"] == [
            {
                "kind": "a", "due": 2, "scheduled": 1, "running": 0, "dead": 1,
                "oldestDueAt": "2030-01-01T00:00:00Z",
            },
            {
                "kind": "b", "due": 1, "scheduled": 0, "running": 1, "dead": 0,
                "oldestDueAt": "2030-01-01T00:00:00Z",
            },
        ]  # fmt: skip


async def test_counts_of_nothing(world: World) -> None:
    assert (await get(world, "/jobs/stats"))["kinds"] == []


async def test_when_scans_are_due(world: World) -> None:
    now = world.clock()
    world.store.scans = {"overdue": now, "clean_up": now + timedelta(seconds=1)}
    assert (await get(world, "/jobs/stats"))["scans"] == [
        {"name": "clean_up", "dueAt": "2030-01-01T00:00:01Z"},
        {"name": "overdue", "dueAt": "2030-01-01T00:00:00Z"},
    ]


async def test_a_dead_job_is_retried(world: World) -> None:
    id = world.job("a", dead=True)
    world.clock.advance(hours=1)

    answer = await world.send("admin", "POST", f"/jobs/{id}/retry")

    told = answer.json()
    assert answer.status_code == 200
    assert (told["id"], told["state"], told["attempts"], told["finishedAt"]) == (str(id), "pending", 0, None)
    assert told["runAt"] == "2030-01-01T01:00:00Z"
    assert told["error"] == "The bank did not answer."
    assert told == await get(world, f"/jobs/{id}")
    assert list(world.queue.hints) == [id]


@pytest.mark.parametrize(("method", "path"), [("POST", "/retry"), ("DELETE", "")])
async def test_what_is_not_dead_takes_care_of_itself(world: World, method: str, path: str) -> None:
    id = world.job()

    answer = await world.send("admin", method, f"/jobs/{id}{path}")

    assert (answer.status_code, answer.json()["code"]) == (409, "job_not_dead")
    assert world.store.ledger[id].state is JobState.PENDING


async def test_a_dead_job_is_discarded(world: World) -> None:
    id, other = world.job(dead=True), world.job(dead=True)

    answer = await world.send("admin", "DELETE", f"/jobs/{id}")

    assert (answer.status_code, answer.content) == (204, b"")
    assert list(world.store.ledger) == [other]


async def test_all_dead_jobs_of_a_kind_are_retried(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_letters, "RETRY_STEP", 2)
    chosen, other = [world.job("a", dead=True) for _ in range(3)], world.job("b", dead=True)

    body: dict[str, Any] | None = {"kind": "a"}
    answers = []
    while body:
        answers.append((await world.send("admin", "POST", "/jobs/dead/retry", json=body)).json())
        body = answers[-1]["next"]

    assert answers == [
        {"retried": 2, "next": {"kind": "a", "asOf": "2030-01-01T00:00:00Z"}},
        {"retried": 1, "next": None},
    ]
    states = {id: entry.state for id, entry in world.store.ledger.items()}
    assert states == dict.fromkeys(chosen, JobState.PENDING) | {other: JobState.DEAD}


async def test_what_dies_again_is_not_retried_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_letters, "RETRY_STEP", 1)
    ids = [world.job("a", dead=True) for _ in range(3)]
    body: dict[str, Any] | None = {"kind": "a"}
    retried = 0
    while body:
        answer = (await world.send("admin", "POST", "/jobs/dead/retry", json=body)).json()
        retried, body = retried + answer["retried"], answer["next"]
        world.clock.advance(seconds=1)
        for job in world.store.ledger.values():
            if job.state is JobState.PENDING:
                job.claim(world.clock())
                job.fail("It was told to fail.", world.clock(), 0.5, final=True)
    assert retried == 3
    assert [world.store.ledger[id].fence for id in ids] == [2, 2, 2]


@pytest.mark.parametrize("as_of", ["2030-01-01T00:00:00", "0001-01-01T00:00:00+14:00", "soon", 5, ["now"]])
async def test_no_time_at_all(world: World, as_of: Any) -> None:
    id = world.job("a", dead=True)

    answer = await world.send("admin", "POST", "/jobs/dead/retry", json={"kind": "a", "asOf": as_of})

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/asOf")
    assert world.store.ledger[id].state is JobState.DEAD


async def test_it_is_logged_who_decided_on_which_dead_job(world: World) -> None:
    kept, gone = world.job("a", subject=NOBODY, dead=True), world.job("b", subject=NOBODY, dead=True)
    other = world.job("c", dead=True)
    waiting = world.job("a")
    user = str(world.people["admin"].id)
    key = {"Idempotency-Key": "k"}

    with structlog.testing.capture_logs() as lines:
        for _ in range(2):
            await world.send("admin", "POST", f"/jobs/{kept}/retry", headers=key)
        await world.send("admin", "DELETE", f"/jobs/{gone}")
        await world.send("admin", "POST", "/jobs/dead/retry", json={"kind": "c"})
        # What came to nothing is no decision.
        await world.send("admin", "DELETE", f"/jobs/{waiting}")
        await world.send("admin", "POST", f"/jobs/{waiting}/retry")
        await world.send("user", "DELETE", f"/jobs/{other}")

    told = [line for line in lines if line["event"] != "request"]
    level = {"log_level": "info", "user": user}
    assert told == [
        {"event": "job retried", "job_id": str(kept), "kind": "a", "subject": str(NOBODY), **level},
        {"event": "job discarded", "job_id": str(gone), "kind": "b", "subject": str(NOBODY), **level},
        {"event": "jobs retried", "kind": "c", "number": 1, **level},
    ]


@pytest.mark.parametrize("kind", ["", "\0", "\ud800", "x" * 101, 5, None, ["a"]])
async def test_no_kind_at_all(world: World, kind: Any) -> None:
    body = f'{{"kind": {kind!r}}}'.replace("'", '"').replace("None", "null").replace("\\x00", "\\u0000")

    answer = await world.send(
        "admin", "POST", "/jobs/dead/retry", content=body, headers={"Content-Type": "application/json"}
    )

    assert answer.status_code in (400, 422), answer.text
    assert answer.status_code == 400 or answer.json()["errors"][0]["pointer"] == "/kind"


async def test_who_may_not_is_refused_before_anything_is_read(world: World) -> None:
    for who in ("user", "manager"):
        bad = await world.send(who, "POST", "/jobs/dead/retry", content=b"{")
        odd = await world.send(who, "GET", "/jobs?limit=none")
        assert (bad.status_code, odd.status_code) == (403, 403)


async def test_the_use_case_looks_too(world: World) -> None:
    """The route is not the only door, so it is not the only lock."""
    user = Actor.of(world.people["user"].id, Role.USER)
    for asked in (
        world.use_cases.list_jobs(JobQuery(), user), world.use_cases.count_jobs(user),
        world.use_cases.find_job(world.job(), user), world.use_cases.retry_jobs(DeadJobs("a"), user),
    ):  # fmt: skip
        with pytest.raises(Forbidden):
            await asked


async def test_a_demoted_admin_sees_nothing_any_more(world: World) -> None:
    await world.send("admin", "PATCH", f"/users/{world.people['manager'].id}", json={"role": "admin"})
    assert (await world.send("manager", "GET", "/jobs")).status_code == 200

    await world.send("admin", "PATCH", f"/users/{world.people['manager'].id}", json={"role": "manager"})

    assert (await world.send("manager", "GET", "/jobs")).status_code == 403


async def test_deleting_an_account_makes_a_job_that_names_its_request(world: World) -> None:
    path = f"/users/{world.people['other'].id}"

    refused = await world.send("manager", "DELETE", path)
    before = await get(world, "/jobs")
    answer = await world.send("admin", "DELETE", path, headers={"X-Request-ID": "the-deletion"})

    assert (refused.status_code, before["data"], answer.status_code) == (403, [], 204)
    (job,) = (await get(world, "/jobs"))["data"]
    assert (job["kind"], job["state"], job["requestId"]) == ("clean_up.users", "pending", "the-deletion")


async def test_jobs_of_security_events_name_their_request(world: World) -> None:
    login = {"email": "user@example.com", "password": "wrong, and long enough"}
    for _ in range(5):
        await world.send(None, "POST", "/auth/login", json=login, headers={"X-Request-ID": "the-fifth"})
        world.clock.advance(minutes=10)
    token = world.refresh_tokens.of(world.sessions["user"])
    for name in ("first", "second"):
        world.clock.advance(minutes=1)
        await world.send(
            None, "POST", "/auth/refresh", json={"refresh_token": token}, headers={"X-Request-ID": name}
        )

    jobs = (await get(world, "/jobs?kind=security.event"))["data"]

    assert [job["requestId"] for job in jobs] == ["second", "the-fifth"]
    assert {job["subject"] for job in jobs} == {str(world.people["user"].id)}
