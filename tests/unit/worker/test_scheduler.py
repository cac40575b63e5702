"""Scans that go on, whatever they raise."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest
import structlog

from support.work import until
from taskflow_core import DeadlineExceeded, LedgerEntry, Ran, Unavailable
from taskflow_core.use_cases.bundle import Scan
from taskflow_core.use_cases.ledger.reconcile import Reconciled
from taskflow_worker.scheduler import run_scheduler


@dataclass
class AScan:
    """Answers as told, then that there is nothing; notes when it was called. Without `go` none ends."""

    answers: list[bool | Reconciled | BaseException] = field(default_factory=list)
    go: asyncio.Event = field(default_factory=asyncio.Event)
    calls: list[float] = field(default_factory=list)
    ended: int = 0

    def __post_init__(self) -> None:
        self.go.set()

    async def __call__(self) -> bool | Reconciled:
        self.calls.append(time.monotonic())
        await asyncio.sleep(0)
        await self.go.wait()
        self.ended += 1
        answer = self.answers.pop(0) if self.answers else False
        if isinstance(answer, BaseException):
            raise answer
        return answer


@dataclass
class Running:
    scans: Mapping[str, Scan]
    every: float = 0.05
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    ready: int = 0
    beats: int = 0
    task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Running":
        self.task = asyncio.create_task(
            run_scheduler(self.scans, stop=self.stop, on_ready=self._ready, beat=self._beat, every=self.every)
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stop.set()
        assert self.task is not None
        await self.task

    def _ready(self) -> None:
        self.ready += 1

    def _beat(self) -> None:
        self.beats += 1


async def test_a_scan_that_found_something_is_repeated_at_once_else_after_a_while() -> None:
    busy, idle = AScan([True] * 50), AScan()
    async with Running({"busy": busy, "idle": idle}, every=0.2) as running:
        await until(lambda: len(busy.calls) > 50)
        await until(lambda: len(idle.calls) >= 2)
        # Fifty found something; after those both rest alike, the busy one a few rounds behind at most.
        assert len(busy.calls) <= 52 + len(idle.calls)
        assert running.ready == 1
        assert running.beats >= 1


async def test_a_slow_scan_holds_up_no_other() -> None:
    slow, quick = AScan(), AScan()
    slow.go.clear()
    async with Running({"slow": slow, "quick": quick}) as running:
        await until(lambda: len(quick.calls) >= 3)
        assert len(slow.calls) == 1
        assert running.task is not None
        running.task.cancel()
        await asyncio.wait([running.task])
        running.task = asyncio.create_task(asyncio.sleep(0))


async def test_without_a_store_it_rests_and_says_so_once() -> None:
    away = Unavailable("PostgreSQL cannot be reached now.")
    away.__cause__ = ConnectionError("refused\nand more")
    scan = AScan([away] * 4)
    with structlog.testing.capture_logs() as lines:
        async with Running({"reconcile": scan}):
            await until(lambda: len(scan.calls) >= 6)
    assert scan.calls[4] - scan.calls[0] > 0.5
    told = [line for line in lines if line.get("scan") == "reconcile"]
    assert [(line["event"], line["log_level"]) for line in told] == [
        ("no scans, the store is away", "warning"),
        ("scans go on", "info"),
    ]
    assert told[0]["reason"] == "ConnectionError: refused"


async def test_a_scan_that_takes_too_long_is_told_as_that_and_tried_again() -> None:
    scan = AScan([DeadlineExceeded()])
    with structlog.testing.capture_logs() as lines:
        async with Running({"overdue": scan}):
            await until(lambda: len(scan.calls) >= 2)
    told = [(line["event"], line["log_level"]) for line in lines if line.get("scan") == "overdue"]
    assert told[0] == ("a scan takes too long", "warning")


async def test_tries_that_workers_left_behind_are_logged_with_the_request_that_caused_them() -> None:
    now = datetime(2030, 1, 1, tzinfo=UTC)
    job = LedgerEntry.create(id=uuid4(), kind="a.kind", now=now, max_tries=1, request_id="the-request")
    job.claim(now)
    after = replace(job)
    after.expire(now, 0.5)
    scan = AScan([Reconciled((Ran.ended(job, after),))])
    with structlog.testing.capture_logs() as lines:
        async with Running({"reconcile": scan}):
            await until(lambda: len(scan.calls) >= 2)
    (died,) = [line for line in lines if line["event"] == "job died"]
    assert (died["job_id"], died["request_id"], died["tries"]) == (str(job.id), "the-request", 1)
    assert died["error"] == after.error


async def test_what_nobody_foresaw_is_logged_and_ends_nothing() -> None:
    scan = AScan([ZeroDivisionError("seen"), False])
    with structlog.testing.capture_logs() as lines:
        async with Running({"overdue": scan}):
            await until(lambda: len(scan.calls) >= 3)
    (failed,) = [line for line in lines if line["event"] == "a scan failed"]
    assert (failed["scan"], failed["exc_info"]) == ("overdue", True)


async def test_a_scan_that_somebody_else_cut_off_goes_on() -> None:
    scan = AScan([asyncio.CancelledError()])
    with structlog.testing.capture_logs() as lines:
        async with Running({"overdue": scan}):
            await until(lambda: len(scan.calls) >= 3)
    assert [line["scan"] for line in lines if "cut off" in line["event"]] == ["overdue"]


async def test_a_scan_that_has_ended_by_itself_ends_the_scheduler() -> None:
    class Fault(BaseException):
        pass

    broken, other = AScan([Fault()]), AScan()
    stop = asyncio.Event()
    with structlog.testing.capture_logs() as lines:
        async with asyncio.timeout(60):
            with pytest.raises(RuntimeError, match="A scan has ended"):
                await run_scheduler({"broken": broken, "other": other}, stop=stop, on_ready=lambda: None)
    assert [line["event"] for line in lines if line["log_level"] == "critical"] == ["a scan ended by itself"]
    assert lines[-1]["event"] == "scheduler ended"


async def test_it_stops_at_once_while_it_rests_and_lets_a_scan_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taskflow_worker.scheduler.END_SECONDS", 600.0)
    resting, scanning = AScan(), AScan()
    scanning.go.clear()
    async with Running({"resting": resting, "scanning": scanning}, every=600) as running:
        await until(lambda: (resting.ended, len(scanning.calls)) == (1, 1))
        running.stop.set()
        assert running.task is not None
        began = time.monotonic()
        await asyncio.sleep(0.05)
        assert not running.task.done()
        scanning.go.set()
        await running.task
        assert time.monotonic() - began < 60
    assert (len(resting.calls), len(scanning.calls), scanning.ended) == (1, 1, 1)


async def test_without_scans_it_only_waits() -> None:
    async with Running({}) as running:
        await until(lambda: running.ready == 1)
