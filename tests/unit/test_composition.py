"""What is put together of settings: keys, passwords that nobody may choose, what works without a secret."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from support.samples import new_id, new_session
from taskflow_bootstrap.application import http_options
from taskflow_bootstrap.composition import make_common_passwords
from taskflow_bootstrap.container import Container, close
from taskflow_bootstrap.demo_accounts import DEMO_USERS
from taskflow_bootstrap.errors import SettingsError
from taskflow_bootstrap.keys import (
    NoSecret,
    attempts_key,
    cursor_keys,
    make_origins,
    make_refresh_tokens,
    make_tokens,
)
from taskflow_bootstrap.queues import LateQueue
from taskflow_bootstrap.settings import Settings
from taskflow_core import LedgerEntry, Unavailable
from taskflow_core.ports.security import RefreshClaim, TokenClaims

OLD, NEW = "the-old-secret-of-the-tests-0123456789", "the-new-secret-of-the-tests-0123456789"
NOW = datetime(2030, 1, 1, tzinfo=UTC)


def of(*secrets: str) -> Settings:
    return Settings(jwt_secret=secrets)


def test_demo_passwords_may_be_chosen_nowhere() -> None:
    common = make_common_passwords()
    for user in DEMO_USERS:
        assert user.password in common
        assert f"{user.password}!2" in common


def test_every_purpose_has_a_key_of_its_own() -> None:
    settings = of(OLD)
    keys = {*cursor_keys(settings), attempts_key(settings), OLD.encode()}
    assert len(keys) == 3


def test_what_is_checked_is_checked_by_every_secret_and_made_by_the_first() -> None:
    claims, session = TokenClaims(new_id(), new_id()), new_session(new_id())
    before, between, after = of(OLD), of(NEW, OLD), of(NEW)
    old = make_tokens(before).issue(claims, NOW).value
    assert make_tokens(between).check(old, NOW) == claims
    assert make_tokens(after).check(make_tokens(between).issue(claims, NOW).value, NOW) == claims
    refresh = make_refresh_tokens(before).of(session)
    claim = make_refresh_tokens(between).read(refresh)
    assert make_refresh_tokens(between).is_genuine(claim, session.seed)
    assert not make_refresh_tokens(after).is_genuine(claim, session.seed)
    assert make_refresh_tokens(between).of(session) == make_refresh_tokens(after).of(session)
    assert cursor_keys(between) == cursor_keys(after) + cursor_keys(before)


def test_what_is_compared_goes_by_the_first_alone() -> None:
    before, between, after = of(OLD), of(NEW, OLD), of(NEW)
    assert attempts_key(between) == attempts_key(after) != attempts_key(before)
    told = [make_origins(settings).of("192.0.2.1", None) for settings in (before, between, after)]
    assert told[0] != told[1] == told[2]


async def test_without_a_secret_nobody_signs_in_and_the_setting_is_named() -> None:
    none = NoSecret(Settings())
    claims, claim = TokenClaims(new_id(), new_id()), RefreshClaim(new_id(), 1, b"")
    refused: list[Callable[[], object]] = [
        lambda: none.issue(claims, NOW),
        lambda: none.check("token", NOW),
        none.new_seed,
        lambda: none.of(new_session(new_id())),
        lambda: none.read("token"),
        lambda: none.is_genuine(claim, b""),
    ]
    for call in refused:
        with pytest.raises(SettingsError, match="TASKFLOW_JWT_SECRET"):
            call()
    for waited in (none.begin("ada"), none.succeeded("ada")):
        with pytest.raises(SettingsError, match="TASKFLOW_JWT_SECRET"):
            await waited


def test_browsers_are_told_what_is_set() -> None:
    assert http_options(Settings()).hsts_seconds == 0
    options = http_options(
        Settings(hsts=True, cors_origins=("https://tasks.example.com",), request_timeout=7)
    )
    assert options.hsts_seconds == 365 * 24 * 3600
    assert options.cors_origins == ("https://tasks.example.com",)
    assert options.request_timeout == 7


async def test_without_redis_there_is_no_queue_and_nobody_is_harmed() -> None:
    queue = LateQueue("")
    queue.hint([new_id()])
    assert queue.open() is None
    with pytest.raises(Unavailable):
        await queue.waiting()
    await queue.aclose()


async def test_a_queue_is_opened_by_the_first_hint_and_closed_once() -> None:
    queue = LateQueue("redis://127.0.0.1:1/0")
    queue.hint([])
    queue.hint([new_id()])
    opened = queue.open()
    assert opened is not None
    assert queue.open() is opened
    await queue.aclose()
    await queue.aclose()
    # Nobody would close another.
    queue.hint([new_id()])
    assert queue.open() is None


async def test_a_queue_that_will_not_close_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = LateQueue("redis://127.0.0.1:1/0")
    opened = queue.open()
    assert opened is not None
    real_close, hangs = opened.aclose, asyncio.Event()
    monkeypatch.setattr("taskflow_bootstrap.queues.CLOSE_SECONDS", 0.05)
    monkeypatch.setattr(opened, "aclose", hangs.wait)
    began = time.monotonic()
    await queue.aclose()
    assert time.monotonic() - began < 30
    await real_close()


async def test_a_container_gives_a_queue_and_handlers_to_all_that_need_them() -> None:
    async def do_own(job: LedgerEntry) -> None:
        raise NotImplementedError(job)

    container = Container(
        settings=Settings(database_url="postgresql://localhost/x"), handlers={"host.own": do_own}
    )
    try:
        run_job, reconcile = container.plain_use_cases().run_job, container.plain_use_cases().reconcile
        assert run_job.handlers["host.own"] is do_own  # type: ignore[attr-defined]
        assert "task.overdue" in run_job.handlers  # type: ignore[attr-defined]
        assert reconcile.queue is container.queue()  # type: ignore[attr-defined]
        hidden = run_job.redact("postgresql://me:secret@here")  # type: ignore[attr-defined]
        assert hidden == "postgresql://[redacted]@here"
    finally:
        await close(container)
    assert "host.own" not in Container(settings=Settings()).handlers()


def test_who_only_reads_is_spared_the_queue_and_the_notifiers() -> None:
    code = (
        "import sys\n"
        "from taskflow_bootstrap.container import Container, taskflow_of\n"
        "from taskflow_bootstrap.settings import Settings\n"
        "url = 'postgresql://localhost/x'\n"
        "taskflow_of(Container(settings=Settings(database_url=url, redis_url='redis://localhost')))\n"
        "heavy = {'rq', 'redis', 'structlog', 'jinja2', 'aiosmtplib'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
