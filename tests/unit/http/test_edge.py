"""What every request goes through: its id, its headers, its deadline, its line in the log."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import structlog

from support.http_world import ADDRESSES, NO_LIMITS, PASSWORD, World, client_of, let_pass
from taskflow_http import HttpOptions
from taskflow_http.app import create_app
from taskflow_http.calls import Call

Lines = list[Any]


@pytest.fixture
def lines() -> Iterator[Lines]:
    with structlog.testing.capture_logs() as captured:
        yield captured


@pytest.mark.parametrize("given", ["a", "req-1", "A.b_c-9", "x" * 128])
async def test_a_sane_request_id_is_kept(world: World, given: str) -> None:
    answer = await world.send(None, "GET", "/tasks", headers={"X-Request-ID": given})

    assert answer.headers["x-request-id"] == given
    assert answer.json()["requestId"] == given


@pytest.mark.parametrize(
    "given",
    [
        "",
        " ",
        "x" * 129,
        "a b",
        "a\tb",
        'a"b',
        "{}",
        "é",
        "a,b",
        "<script>",
        "a;b",
        "%0d%0a",
        "a\r\nSet-Cookie: x=1",
    ],
)
async def test_any_other_is_replaced(world: World, given: str) -> None:
    headers = {"X-Request-ID": given.encode("latin-1")}

    answer = await world.client.get("/health/live", headers=headers)  # type: ignore[arg-type]

    assert len(answer.headers["x-request-id"]) == 32
    assert "set-cookie" not in answer.headers


async def test_two_request_ids_are_none(world: World) -> None:
    answer = await world.client.get("/health/live", headers=[("X-Request-ID", "a"), ("X-Request-ID", "b")])

    assert len(answer.headers["x-request-id"]) == 32


async def test_one_line_a_request(world: World, lines: Lines) -> None:
    id = await world.task("user")
    await world.send("user", "GET", f"/tasks/{id}?", headers={"X-Request-ID": "req-1"})

    (line,) = lines
    duration = line.pop("duration_ms")
    assert 0 <= duration < 60_000
    assert line == {
        "event": "request",
        "log_level": "info",
        "method": "GET",
        "route": "/tasks/{id}",
        "status": 200,
        "user": str(world.people["user"].id),
    }


async def test_no_line_tells_a_secret(world: World, lines: Lines) -> None:
    credentials = {"email": "user@example.com", "password": PASSWORD}
    token = (await world.send(None, "POST", "/auth/login", json=credentials)).json()["access_token"]
    await world.client.get("/tasks?search=sickness&x=secret", headers={"Authorization": f"Bearer {token}"})
    await world.client.get("/nope/sickness")
    await world.client.get("/tasks", headers={"Authorization": "Bearer sickness"})
    await world.send("user", "POST", "/tasks", json={"title": "sickness", "x": "secret"})

    text = str(lines)
    assert len(lines) == 5
    for secret in (PASSWORD, token, "sickness", "secret", "example.com"):
        assert secret not in text
    assert [line["route"] for line in lines] == ["/auth/login", "/tasks", None, "/tasks", "/tasks"]


async def test_a_fault_of_ours_is_logged_with_its_stack(world: World, lines: Lines) -> None:
    async def fails(*_: object) -> None:
        raise RuntimeError("what went wrong")

    async with client_of(world.app(find_user=fails)) as client:
        await client.get("/users/me", headers=world.headers("user"))

    error, request = lines
    assert (error["event"], error["log_level"], error["exc_info"]) == ("unhandled error", "error", True)
    assert request["status"] == 500


async def test_head_is_get_without_the_body(world: World) -> None:
    path = f"/tasks/{await world.task('user')}"

    got, head = [await world.send("user", method, path) for method in ("GET", "HEAD")]

    assert (head.status_code, head.content) == (200, b"")
    same = {name: value for name, value in got.headers.items() if name != "x-request-id"}
    assert {name: value for name, value in head.headers.items() if name != "x-request-id"} == same
    assert int(head.headers["content-length"]) == len(got.content)
    assert (await world.send(None, "HEAD", path)).status_code == 401
    # httpx drops a body that should not be there; this is what is sent.
    _, body = await raw(world, [], method="HEAD", path=path)
    assert body["body"] == b""


async def test_answers_may_not_be_kept_by_others(world: World) -> None:
    for path, cache in {
        "/tasks": "private, no-cache",
        "/users/me": "private, no-cache",
        "/nope": "no-store",
        "/health/live": "no-store",
    }.items():
        answer = await world.send("user", "GET", path)
        assert answer.headers["cache-control"] == cache
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "headers",
    [[(f"x-{i}", "1") for i in range(120)], [("x-large", "x" * 33_000)], [("x" * 33_000, "")]],
    ids=["many", "long value", "long name"],
)
async def test_headers_have_a_limit(world: World, headers: list[tuple[str, str]]) -> None:
    answer = await world.client.get("/health/live", headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (431, "headers_too_large")


async def sleep_long(*_: object) -> None:
    let_pass(60)
    await asyncio.sleep(60)


@pytest.mark.parametrize(("method", "in_doubt"), [("GET", False), ("DELETE", True), ("PATCH", True)])
async def test_the_deadline(world: World, method: str, *, in_doubt: bool) -> None:
    slow: dict[str, Any] = {"find_task": sleep_long, "delete_task": sleep_long, "change_task": sleep_long}
    app = world.app(**slow, options=HttpOptions(request_timeout=30))
    id = await world.task("user")
    body: dict[str, str] | None = {} if method == "PATCH" else None

    async with client_of(app) as client:
        answer = await client.request(method, f"/tasks/{id}", headers=world.headers("user"), json=body)

    assert (answer.status_code, answer.json()["code"]) == (503, "deadline_exceeded")
    assert answer.headers["retry-after"] == "1"
    assert ("not known" in answer.json()["detail"]) == in_doubt


async def test_a_body_that_does_not_arrive(world: World) -> None:
    async def never() -> Any:
        yield b"{"
        await sleep_long()

    headers = world.headers("user") | {"Content-Type": "application/json"}
    options = HttpOptions(request_timeout=30, body_timeout=600)
    async with client_of(world.app(options=options)) as client:
        answer = await client.post("/tasks", content=never(), headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (408, "request_timeout")


async def raw(world: World, messages: list[dict[str, Any]], **scope: Any) -> list[Any]:
    """Send a request as a server would; the messages are what comes of its body."""
    sent: list[Any] = []

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(name.lower().encode(), value.encode()) for name, value in world.headers("user").items()]
    base = {
        "type": "http", "http_version": "1.1", "method": "POST", "path": "/tasks", "query_string": b"",
        "root_path": "", "headers": [*headers, (b"host", b"x"), (b"content-type", b"application/json")],
    }  # fmt: skip
    await world.app()(base | scope, receive, send)
    return sent


async def test_a_client_that_goes_away_gets_nothing(world: World, lines: Lines) -> None:
    first = {"type": "http.request", "body": b'{"title": "x"}', "more_body": True}

    sent = await raw(world, [first, {"type": "http.disconnect"}])

    assert sent == []
    assert not world.store.tasks
    assert [line["status"] for line in lines] == [499]


async def test_a_body_may_come_in_pieces(world: World) -> None:
    pieces = [b'{"tit', b'le": ', b'"x"}']
    messages = [
        {"type": "http.request", "body": piece, "more_body": piece is not pieces[-1]} for piece in pieces
    ]

    start, _ = await raw(world, messages)

    assert start["status"] == 201


async def test_references_go_where_the_api_is_mounted(world: World) -> None:
    body = {"type": "http.request", "body": b'{"title": "x"}'}

    start, _ = await raw(world, [body], path="/v1/tasks", root_path="/v1")

    location = dict(start["headers"])[b"location"].decode()
    assert location.startswith("/v1/tasks/")


async def test_websockets_are_closed(world: World) -> None:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": "/tasks/x", "headers": [], "query_string": b"", "root_path": ""}
    await world.app()(scope, receive, send)

    assert sent[0]["type"] == "websocket.close"


async def lifespan(app: Any) -> list[Any]:
    """Start and stop an application; return what it said."""
    sent: list[Any] = []
    messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

    async def receive() -> Any:
        await asyncio.sleep(0.01)
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    await app({"type": "lifespan", "state": {}}, receive, send)
    return [message["type"] for message in sent]


async def test_start_and_stop(world: World) -> None:
    told: list[str] = []

    def hook(name: str) -> Any:
        async def run() -> None:
            told.append(name)

        return run

    app = create_app(
        use_cases=world.use_cases, tokens=world.tokens, clock=world.clock, cursor_key=b"k" * 32,
        limits=NO_LIMITS, addresses=ADDRESSES, on_startup=[hook("up 1"), hook("up 2")],
        on_shutdown=[hook("down 1"), hook("down 2")],
    )  # fmt: skip

    assert await lifespan(app) == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert told == ["up 1", "up 2", "down 1", "down 2"]


async def test_each_shutdown_hook_runs_whatever_becomes_of_the_others(world: World) -> None:
    told: list[str] = []

    async def fails() -> None:
        raise OSError("broken")

    async def runs() -> None:
        told.append("ran")

    app = create_app(
        use_cases=world.use_cases, tokens=world.tokens, clock=world.clock, cursor_key=b"k" * 32,
        limits=NO_LIMITS, addresses=ADDRESSES, on_shutdown=[fails, runs],
    )  # fmt: skip

    with pytest.raises(OSError, match="broken"):
        await lifespan(app)
    assert told == ["ran"]


async def test_requests_side_by_side_keep_their_ids(world: World) -> None:
    answers: list[httpx.Response] = await asyncio.gather(
        *(world.send("user", "GET", "/nope", headers={"X-Request-ID": f"r{i}"}) for i in range(50))
    )

    assert [answer.json()["requestId"] for answer in answers] == [f"r{i}" for i in range(50)]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [("Zürich/1".encode(), "Zürich/1"), ("Zürich/1".encode("latin-1"), "Zürich/1"), (b"plain", "plain")],
    ids=["UTF-8", "ISO 8859-1", "ASCII"],
)
async def test_a_user_agent_is_read_as_utf_8_where_it_is(world: World, sent: bytes, kept: str) -> None:
    body = {"email": "user@example.com", "password": PASSWORD}
    await world.client.post("/auth/login", json=body, headers=[(b"user-agent", sent)])

    sessions = (await world.send("user", "GET", "/auth/sessions")).json()["data"]

    assert kept in {session["userAgent"] for session in sessions}


@pytest.mark.parametrize("body", [b'{"title": "x"}', b'{"unknown": 1}', b"[", b"x" * (1024 * 1024 + 1)])
async def test_nothing_of_an_answered_request_stays_in_memory(world: World, body: bytes) -> None:
    headers = world.headers("user") | {"Content-Type": "application/json"}
    for path in ("/tasks", "/tasks/batch"):
        await world.client.post(path, content=body, headers=headers)
    gc.collect()
    before = {id(each) for each in gc.get_objects() if isinstance(each, Call)}
    gc.disable()
    try:
        for path in ("/tasks", "/tasks/batch"):
            await world.client.post(path, content=body, headers=headers)
        await asyncio.sleep(0)
        calls = [each for each in gc.get_objects() if isinstance(each, Call) and id(each) not in before]
    finally:
        gc.enable()
    assert calls == []
