"""What attackers send: one table, over real tokens."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import jwt
import pytest

from support.http_world import PASSWORD, TestClock, World, open_world
from taskflow_core.ports.security import TokenClaims
from taskflow_security import HmacRefreshTokens, JwtTokens

SECRET = "a secret for tests only, long enough to be one"
OTHER = "another secret for tests, long enough to be one"
JWT = Callable[[dict[str, Any], dict[str, Any]], str]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    tokens = JwtTokens([SECRET], lifetime=timedelta(minutes=15))
    async with open_world(tokens=tokens, refresh_tokens=HmacRefreshTokens([SECRET])) as opened:
        yield opened


def signed(
    payload: dict[str, Any], header: dict[str, Any], key: str = SECRET, algorithm: str = "HS256"
) -> str:
    return jwt.encode(payload, key, algorithm, headers={"kid": header["kid"]})


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def unsigned(algorithm: str) -> JWT:
    return lambda payload, header: f"{part({'alg': algorithm, 'kid': header['kid']})}.{part(payload)}."


def claiming(**claims: Any) -> JWT:
    return lambda payload, header: signed(payload | claims, header)


def without(name: str) -> JWT:
    return lambda payload, header: signed({k: v for k, v in payload.items() if k != name}, header)


def altered(payload: dict[str, Any], header: dict[str, Any]) -> str:
    head, _, mac = signed(payload, header).split(".")
    return f"{head}.{part(payload | {'sub': str(uuid4())})}.{mac}"


NOW = TestClock().now.timestamp()
FORGED: dict[str, JWT] = {
    "alg none": unsigned("none"),
    "alg None": unsigned("None"),
    "no signature": unsigned("HS256"),
    "another secret": lambda p, h: signed(p, h, OTHER),
    "another algorithm": lambda p, h: signed(p, h, SECRET * 2, "HS512"),
    "foreign kid": lambda p, h: signed(p, h | {"kid": "0" * 16}),
    "kid is a path": lambda p, h: signed(p, h | {"kid": "../../dev/null"}),
    "altered": altered,
    "truncated": lambda p, h: signed(p, h)[:-1],
    "longer": lambda p, h: signed(p, h) + "A",
    "expired": claiming(exp=int(NOW)),
    "not yet valid": claiming(nbf=int(NOW) + 1),
    "another audience": claiming(aud="other"),
    "another issuer": claiming(iss="other"),
    "another type": claiming(typ="refresh"),
    "no type": without("typ"),
    "no session": without("sid"),
    "no end": without("exp"),
    "never ends": claiming(exp=None),
    "a session that is not there": claiming(sid=str(uuid4())),
    "a user that is not there": claiming(sub=str(uuid4())),
}


async def test_the_token_that_is_forged_is_good(world: World) -> None:
    token = world.token("user")
    payload = jwt.decode(token, options={"verify_signature": False})

    again = signed(payload, jwt.get_unverified_header(token))

    assert (await with_token(world, again)) == 200


@pytest.mark.parametrize("name", FORGED)
async def test_forged_tokens(world: World, name: str) -> None:
    token = world.token("admin")
    payload = jwt.decode(token, options={"verify_signature": False})

    forged = FORGED[name](payload, jwt.get_unverified_header(token))

    assert await with_token(world, forged) == 401
    assert await with_token(world, token) == 200


async def test_anothers_session_with_ones_own_name(world: World) -> None:
    claims = TokenClaims(world.people["user"].id, world.sessions["admin"].id)
    token = world.tokens.issue(claims, world.clock()).value

    assert await with_token(world, token) == 401


async def with_token(world: World, token: str) -> int:
    answer = await world.client.get("/users/me", headers={"Authorization": f"Bearer {token}"})
    return answer.status_code


async def log_in(world: World) -> dict[str, Any]:
    body = {"email": "user@example.com", "password": PASSWORD}
    told: dict[str, Any] = (await world.send(None, "POST", "/auth/login", json=body)).json()
    return told


async def refresh(world: World, token: str) -> tuple[int, str | None]:
    answer = await world.send(None, "POST", "/auth/refresh", json={"refresh_token": token})
    return answer.status_code, answer.json().get("code")


async def test_tokens_do_not_stand_in_for_each_other(world: World) -> None:
    pair = await log_in(world)

    assert await with_token(world, pair["refresh_token"]) == 401
    assert await refresh(world, pair["access_token"]) == (401, "unauthenticated")
    assert (await refresh(world, pair["refresh_token"]))[0] == 200


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t[:-2] + ("AA" if t[-2:] != "AA" else "AE"),
        lambda t: t.replace(".1.", ".2."),
        lambda t: t.replace(".1.", ".01."),
        lambda t: t.upper(),
        lambda t: t + "=",
        lambda t: " " + t,
        lambda t: t[:-1],
        lambda t: f"{uuid4().hex}.1.{t.rpartition('.')[2]}",
        lambda _: "",
        lambda t: t * 5000,
        lambda t: t.replace(".", "\0"),
        lambda t: HmacRefreshTokens([OTHER]).new_seed().hex() + t,
    ],
    ids=range(12),
)
async def test_a_forged_refresh_token_ends_nothing(world: World, change: Callable[[str], str]) -> None:
    pair = await log_in(world)
    world.clock.advance(minutes=1)

    assert await refresh(world, change(pair["refresh_token"])) == (401, "unauthenticated")
    assert await with_token(world, pair["access_token"]) == 200
    assert (await refresh(world, pair["refresh_token"]))[0] == 200


async def test_replayed_after_log_out(world: World) -> None:
    pair = await log_in(world)
    await world.client.post("/auth/logout", headers={"Authorization": f"Bearer {pair['access_token']}"})

    assert await with_token(world, pair["access_token"]) == 401
    assert await refresh(world, pair["refresh_token"]) == (401, "unauthenticated")


@pytest.mark.parametrize("ending", ["deleted", "deactivated"])
async def test_tokens_of_an_account_that_is_over(world: World, ending: str) -> None:
    pair = await log_in(world)
    path = f"/users/{world.people['user'].id}"
    if ending == "deleted":
        await world.send("admin", "DELETE", path)
    else:
        await world.send("admin", "PATCH", path, json={"active": False})

    assert await with_token(world, pair["access_token"]) == 401
    assert await refresh(world, pair["refresh_token"]) == (401, "unauthenticated")


async def test_a_role_that_was_taken_away_is_gone_at_once(world: World) -> None:
    before = await world.send("manager", "GET", "/users")
    await world.send("admin", "PATCH", f"/users/{world.people['manager'].id}", json={"role": "user"})

    assert (before.status_code, (await world.send("manager", "GET", "/users")).status_code) == (200, 403)


@pytest.mark.parametrize(
    ("path", "body", "more"),
    [
        ("/auth/refresh", {"refresh_token": "x"}, "userId"),
        ("/auth/refresh", {"refresh_token": "x"}, "refreshToken"),
        ("/auth/login", {"email": "user@example.com", "password": PASSWORD}, "role"),
        ("/auth/register", {"email": "x@example.com", "name": "X", "password": PASSWORD}, "role"),
        ("/auth/password", {"currentPassword": PASSWORD, "newPassword": "long enough 2"}, "userId"),
        ("/auth/password", {"currentPassword": PASSWORD, "newPassword": "long enough 2"}, "password"),
    ],
)
async def test_nothing_can_be_smuggled_into_a_body(
    world: World, path: str, body: dict[str, str], more: str
) -> None:
    answer = await world.send("user", "POST", path, json=body | {more: "admin"})

    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [f"/{more}"]


async def test_an_answer_has_no_header_of_the_clients(world: World) -> None:
    evil = "x\r\nSet-Cookie: a=b"
    answers = [
        await world.send(None, "GET", "/nope", headers={"X-Request-ID": evil, "Origin": evil}),
        await world.send("user", "POST", "/tasks", json={"title": evil}),
        await world.send("user", "GET", "/tasks", params={"search": evil, "limit": "1"}),
        await world.send(None, "POST", "/auth/login", json={"email": evil, "password": evil},
                         headers={"User-Agent": "A" + evil}),
    ]  # fmt: skip

    for answer in answers:
        assert "set-cookie" not in answer.headers
        assert not any("\r" in value or "\n" in value for value in answer.headers.values())
