"""What browsers are told: what they may do with an answer, and whose pages may ask."""

from __future__ import annotations

import re

import httpx
import pytest

from support.http_world import PASSWORD, World, client_of
from taskflow_http import HttpOptions
from taskflow_http.cors import Cors

APP = "https://app.example.com"
DATA = {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/users/me"), ("GET", "/nope"), ("PUT", "/tasks"), ("GET", "/health/live"),
        ("POST", "/tasks"), ("GET", "/openapi.json"), ("POST", "/auth/logout"),
        ("GET", "/api/static/start.js"),
    ],
)  # fmt: skip
async def test_every_answer_says_what_it_is(world: World, method: str, path: str) -> None:
    answer = await world.send("user", method, path)

    assert {name: answer.headers[name] for name in DATA} == DATA
    assert "camera=()" in answer.headers["permissions-policy"]
    assert "strict-transport-security" not in answer.headers
    assert "server" not in answer.headers


async def test_the_page_runs_its_own_files_alone(world: World) -> None:
    answer = await world.send(None, "GET", "/api")

    told = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert told["default-src"] == told["frame-ancestors"] == told["base-uri"] == "'none'"
    assert told["script-src"] == told["style-src"] == told["connect-src"] == "'self'"
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    # Nothing on it needs more than that.
    assert not re.search(r"<script(?! src=)|<style|\sstyle=|\son\w+=", answer.text)


async def test_tls_only_where_it_is_configured(world: World) -> None:
    async with client_of(world.app(options=HttpOptions(hsts_seconds=31_536_000))) as client:
        for path in ("/health/live", "/nope", "/api"):
            answer = await client.get(path)
            assert answer.headers["strict-transport-security"] == "max-age=31536000"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/auth/login", {"email": "user@example.com", "password": PASSWORD}),
        ("/auth/register", {"email": "new@example.com", "name": "New", "password": PASSWORD}),
    ],
)
async def test_what_holds_a_token_is_not_kept(world: World, path: str, body: dict[str, str]) -> None:
    answer = await world.send(None, "POST", path, json=body)
    refreshed = await world.send(
        None, "POST", "/auth/refresh", json={"refresh_token": answer.json()["refresh_token"]}
    )

    assert answer.headers["cache-control"] == refreshed.headers["cache-control"] == "no-store"


def cross(*origins: str) -> HttpOptions:
    return HttpOptions(cors_origins=origins)


def told(answer: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name.startswith("access-control-")}


PREFLIGHT = {
    "Origin": APP,
    "Access-Control-Request-Method": "PATCH",
    "Access-Control-Request-Headers": "If-Match",
}


@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
async def test_nobody_elsewhere_may_ask_unless_named(world: World, method: str) -> None:
    answer = await world.send("user", method, "/tasks", headers=PREFLIGHT)

    assert told(answer) == {}
    assert "vary" not in answer.headers
    assert answer.status_code == (200 if method == "GET" else 405)


async def test_named_origins_may_ask(world: World) -> None:
    async with client_of(world.app(options=cross(APP, "http://localhost:5173"))) as client:
        answers = [
            await client.get(path, headers=world.headers("user") | {"Origin": APP})
            for path in ("/users/me", "/tasks/x")
        ]
        preflight = await client.options("/tasks", headers=PREFLIGHT)

    for answer in answers:
        assert answer.headers["access-control-allow-origin"] == APP
        assert answer.headers["vary"] == "Origin"
        exposed = set(answer.headers["access-control-expose-headers"].split(", "))
        assert exposed >= {"ETag", "Link", "RateLimit", "RateLimit-Policy", "X-Request-ID", "Retry-After"}
    assert (preflight.status_code, preflight.content) == (204, b"")
    assert preflight.headers["access-control-allow-origin"] == APP
    assert "PATCH" in preflight.headers["access-control-allow-methods"].split(", ")
    taken = set(preflight.headers["access-control-allow-headers"].split(", "))
    assert taken >= {"Authorization", "Content-Type", "If-Match", "If-None-Match", "X-Request-ID"}
    assert preflight.headers["access-control-max-age"] == "600"
    assert "access-control-allow-credentials" not in preflight.headers


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example.com", "null", "*", "https://app.example.com.evil.com", "http://app.example.com",
     "https://app.example.com:8443", "HTTPS://APP.EXAMPLE.COM", "https://app.example.com, https://x", ""],
)  # fmt: skip
async def test_others_may_not(world: World, origin: str) -> None:
    async with client_of(world.app(options=cross(APP))) as client:
        answer = await client.get("/health/live", headers={"Origin": origin})
        preflight = await client.options("/tasks", headers=PREFLIGHT | {"Origin": origin})

    assert told(answer) == told(preflight) == {}
    assert answer.headers["vary"] == preflight.headers["vary"] == "Origin"
    assert preflight.status_code == 405


async def test_options_that_is_no_preflight(world: World) -> None:
    async with client_of(world.app(options=cross(APP))) as client:
        answer = await client.options("/tasks", headers={"Origin": APP})

    assert answer.status_code == 405


@pytest.mark.parametrize(
    "origin",
    ["*", "null", "app.example.com", "https://app.example.com/", "https://*.example.com", "https://a b", "",
     "HTTPS://app.example.com", "https://app.example.com\r\nx: y", "ftp://x"],
)  # fmt: skip
def test_what_is_no_origin_is_refused(origin: str) -> None:
    with pytest.raises(ValueError, match="origin"):
        Cors([origin])
