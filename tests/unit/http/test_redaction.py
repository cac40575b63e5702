"""No secret is in the logs: neither by its name, nor by its looks, nor in a full run."""

from __future__ import annotations

import io
import json
import logging
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import structlog

from support.http_world import CURSOR_KEY, PASSWORD, World, client_of, open_world
from taskflow_http import configure_logging, edge, protocol
from taskflow_http.redaction import redacted
from taskflow_http.routes import health
from taskflow_security import HmacRefreshTokens, JwtTokens

SECRET = "a secret for tests only, long enough to be one"
JWT = (
    "eyJhbGciOiJIUzI1NiIsImtpZCI6IjEifQ.eyJzdWIiOiIwMTg5MGE1ZCJ9.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
)
REFRESH = "01890a5dac96774bbcceb302099a8057.12.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
LOGGERS = ("", "uvicorn", "uvicorn.error", "uvicorn.access")


def forget_loggers() -> None:
    """Have the application's loggers look up anew where to write; they remember it at their first line."""
    for module in (edge, health, protocol):
        vars(module.log).pop("bind", None)


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    """A stream; how logging was set up is put back at the end."""
    forget_loggers()
    before = structlog.get_config()
    loggers = [logging.getLogger(name) for name in LOGGERS]
    states = [(x.handlers[:], x.level, x.propagate, x.disabled) for x in loggers]
    yield io.StringIO()
    forget_loggers()
    structlog.configure(**before)
    for logger, (handlers, level, propagate, disabled) in zip(loggers, states, strict=True):
        logger.handlers[:], logger.propagate, logger.disabled = handlers, propagate, disabled
        logger.setLevel(level)


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        (f"token {JWT} refused", "token [redacted] refused"),
        (f"cut {JWT[:30]}", "cut [redacted]"),
        (f"given {REFRESH}!", "given [redacted]!"),
        (
            REFRESH.replace("01890a5dac96774bbcceb302099a8057", "01890a5d-ac96-774b-bcce-b302099a8057"),
            "[redacted]",
        ),
        ("Authorization: Bearer abc.def-xyz123", "Authorization: [redacted]"),
        ("authorization=Basic dXNlcjpwYXNz, x", "authorization=[redacted], x"),
        ("Bearer abcdef", "Bearer [redacted]"),
        ("{'password': 'a b\"c', 'x': 1}", "{'password': [redacted], 'x': 1}"),
        ('{"newPassword":"a \\"b","x":1}', '{"newPassword":[redacted],"x":1}'),
        ("host=h password=hunter2 user=u", "host=h password=[redacted] user=u"),
        ("Set-Cookie: a=b; Path=/", "Set-Cookie: [redacted]; Path=/"),
        ("postgresql://u:p@h/db", "postgresql://[redacted]@h/db"),
        ("redis://:p@h:1/0", "redis://[redacted]@h:1/0"),
        ("/x?access_token=abc&y=1", "/x?access_token=[redacted]&y=1"),
        ("$2b$12$abcdefghijklmnopqrstuv", "[redacted]"),
    ],
)
def test_what_looks_like_a_secret(text: str, hidden: str) -> None:
    assert redacted(text) == hidden


@pytest.mark.parametrize(
    "text",
    ["", "request", "/tasks/{id}", "01890a5d-ac96-774b-bcce-b302099a8057", "invalid_token", "1.2.3",
     "https://example.com/x@y", "password changed", "2030-01-01T00:00:00.123Z", "too many tokens"],
)  # fmt: skip
def test_what_does_not_is_left(text: str) -> None:
    assert redacted(text) == text


@pytest.mark.parametrize(
    "unit", ["token", "eyJ", "://", 'password="', "secret=", "a.1.", "\\", "'password':'"]
)
def test_no_text_takes_long(unit: str) -> None:
    begun = time.process_time()
    redacted(unit * 20_000)
    assert time.process_time() - begun < 2


def fail_with(text: str) -> None:
    raise RuntimeError(text)


class Odd:
    def __repr__(self) -> str:
        return f"Odd(token={JWT!r})"


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_line_is_cleaned(out: io.StringIO, form: Any) -> None:
    configure_logging(form, "debug", out)
    nested: Any = "deep-secret"
    for _ in range(20):
        nested = [nested]
    log = structlog.get_logger("test")

    log.info("signed in", password="hunter2", X_Api_Key=["hunter2"], headers={"Cookie": "hunter2", "a": 1})
    event = f"with {JWT}"
    log.info(event, odd=Odd(), url="https://u:hunter2@h/", many=(REFRESH, {REFRESH}), nested=nested)
    logging.getLogger("driver").warning("cannot reach %s", "postgresql://u:hunter2@h/db")
    try:
        fail_with(f"refused {JWT} for password=hunter2")
    except RuntimeError:
        log.exception("event", stack_info=True)
        logging.getLogger("driver").exception("event")

    text = out.getvalue()
    assert text.count("[redacted]") >= 10
    assert "signed in" in text
    assert text.count("RuntimeError") >= 2
    for secret in ("hunter2", JWT, REFRESH, "deep-secret", JWT.rpartition(".")[2]):
        assert secret not in text
    if form == "json":
        lines = [json.loads(line) for line in text.splitlines()]
        assert lines[0]["headers"] == {"Cookie": "[redacted]", "a": 1}


@pytest.mark.parametrize(
    "fields", [{"password": "hunter2"}, {"odd": Odd()}, {"many": [JWT]}, {"headers": {"Cookie": "hunter2"}}]
)
def test_one_hint_is_enough(out: io.StringIO, fields: dict[str, Any]) -> None:
    configure_logging("json", "info", out)

    structlog.get_logger("test").info("event", **fields)

    assert "[redacted]" in out.getvalue()
    assert not any(secret in out.getvalue() for secret in ("hunter2", JWT))


@pytest.mark.parametrize("form", ["json", "console"])
async def test_a_full_run_logs_no_secret(out: io.StringIO, form: Any) -> None:
    configure_logging(form, "debug", out)
    tokens = JwtTokens([SECRET], lifetime=timedelta(minutes=15))
    async with open_world(tokens=tokens, refresh_tokens=HmacRefreshTokens([SECRET])) as world:
        secrets = await full_run(world)
        secrets |= {user.password_hash for user in world.store.users.values()}
        secrets |= {session.seed.hex() for session in world.store.sessions.values()}
        secrets |= {str(session.seed) for session in world.store.sessions.values()}
    secrets |= {SECRET, CURSOR_KEY.decode()}

    text = out.getvalue()
    assert len([line for line in text.splitlines() if "duration_ms" in line]) > 20
    assert text.count("unhandled error") == 2
    assert len(secrets) > 20
    for secret in secrets:
        for form_of_it in (secret, secret[:30], secret[-20:]):
            assert form_of_it not in text, form_of_it


async def full_run(world: World) -> set[str]:
    """Use every route that a secret goes through, well and badly; return what must not be seen."""
    new = "a password that nobody has"
    secrets = {PASSWORD, new, "192.0.2.77", "cookie-from-elsewhere", "wrong guess at a password"}
    address = {
        "X-Test-Address": "192.0.2.77",
        "X-Forwarded-For": "192.0.2.77",
        "Cookie": "s=cookie-from-elsewhere",
    }

    async def call(method: str, path: str, token: str | None = None, **more: Any) -> Any:
        headers = address | ({"Authorization": f"Bearer {token}"} if token else {}) | more.pop("headers", {})
        answer = await world.client.request(method, path, headers=headers, **more)
        told = answer.json() if answer.content else {}
        found = {told[name] for name in ("access_token", "refresh_token") if name in told}
        secrets.update(found)
        return told

    registered = await call(
        "POST", "/auth/register", json={"email": "n@example.com", "name": "N", "password": new}
    )
    token = registered["access_token"]
    login = {"email": "user@example.com", "password": PASSWORD}
    pair = await call("POST", "/auth/login", json=login)
    for password in ("wrong guess at a password", 5, None, PASSWORD + "\0"):
        await call("POST", "/auth/login", json=login | {"password": password})
    await call("POST", "/auth/login", content=b'{"email": "x", "password": "' + PASSWORD.encode())
    refreshed = await call("POST", "/auth/refresh", json={"refresh_token": pair["refresh_token"]})
    for sent in (pair["access_token"], pair["refresh_token"] + "x", pair["refresh_token"]):
        await call("POST", "/auth/refresh", json={"refresh_token": sent})
    await call("GET", "/auth/sessions", token)
    await call("GET", f"/tasks?search={token}&cursor={token}", token)
    await call("GET", f"/tasks/{token}", token)
    await call("GET", "/tasks", registered["refresh_token"])
    await call("GET", "/tasks", token, headers={"X-Request-ID": token})
    await call("GET", "/tasks", token, headers={"X-Request-ID": registered["refresh_token"]})
    body = {"currentPassword": new, "newPassword": "a password that is new"}
    secrets.add(body["newPassword"])
    await call("POST", "/auth/password", token, json=body | {"currentPassword": "wrong guess at a password"})
    await call("POST", "/auth/password", token, json=body | {"token": token})
    await call("POST", "/auth/password", token, json=body)
    world.clock.advance(minutes=1)
    await call("POST", "/auth/refresh", json={"refresh_token": pair["refresh_token"]})
    await call("POST", "/auth/logout", token)
    await fail(world, refreshed["access_token"], refreshed["refresh_token"])
    return secrets


async def fail(world: World, access: str, refresh: str) -> None:
    """Break with secrets in the error's text, as a driver might."""

    async def breaks(*_: object) -> Any:
        raise RuntimeError(f"password={PASSWORD!r} in {access} and {refresh}")

    async with client_of(world.app(refresh=breaks, find_user=breaks)) as client:
        await client.post("/auth/refresh", json={"refresh_token": refresh})
        await client.get("/users/me", headers=world.headers("user"))
