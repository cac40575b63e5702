"""Do background work: claim it, hand it to its handler, commit what came of it with its end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeAlias

from taskflow_core.errors import LeaseLost, TaskFlowError, Undeliverable
from taskflow_core.ledger import LEASE, TIME_LIMIT, JobState, LedgerEntry, require_kind
from taskflow_core.use_cases.ledger.bulkhead import Bulkhead
from taskflow_core.use_cases.ledger.watch import Watch

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from taskflow_core.ports.ledger import Claims
    from taskflow_core.ports.persistence import Transaction, Transactions
    from taskflow_core.ports.time import Chance

Effect: TypeAlias = Callable[["Transaction"], Awaitable[None]]
"""What a job does in the database: called inside the unit of work that also ends the job, and once
committed, never again. It commits nothing itself."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """The effect of a job of which there was nothing (more) to do.

    Attributes:
        why: In a few words, for the log.
        effect: What is left to do all the same.
    """

    why: str
    effect: Effect | None = None

    async def __call__(self, transaction: Transaction) -> None:
        """Do what is left."""
        if self.effect is not None:
            await self.effect(transaction)


class Handler(Protocol):
    """Does work of one kind.

    What it does by itself (a mail, a call to somewhere) may be done again after a crash, by the same
    `LedgerEntry.id`; only the effect that it returns is committed once. It holds no transaction open
    meanwhile. What it raises ends the try; `Undeliverable` ends all tries.
    """

    async def __call__(self, job: LedgerEntry) -> Effect | None:
        """Do the work; return what is left to do in the database, if anything is."""
        ...


class Outcome(StrEnum):
    """How a try ended, or that it does not."""

    DONE = "done"
    FAILED = "failed"
    DIED = "died"
    LOST = "lost"
    GIVEN_BACK = "given back"
    STUCK = "stuck"


@dataclass(frozen=True, slots=True)
class Ran:
    """A try.

    Attributes:
        job: As it was claimed.
        outcome: `LOST` where the claim did not hold to the end, or nobody knows; another try finds out.
            `STUCK` where it goes on although it was cancelled.
        error: Why it failed.
        after: The job as it was left, where it failed; None where that is not known.
        note: Why there was nothing to do, where it is done by that.
    """

    job: LedgerEntry
    outcome: Outcome
    error: str | None = None
    after: LedgerEntry | None = None
    note: str | None = None

    @classmethod
    def ended(cls, job: LedgerEntry, after: LedgerEntry) -> Ran:
        """Return the try that failed and left the job as it is `after`."""
        outcome = Outcome.DIED if after.state is JobState.DEAD else Outcome.FAILED
        return cls(job, outcome, after.error, after)


def _tell_nobody(_: Ran) -> None:
    """Drop it."""


@dataclass(frozen=True, slots=True)
class RunJob:
    """Do one job that is due, if there is one.

    Attributes:
        handlers: By kind; what has none is left to workers that have.
        time_limit: For one try; the handler and its effect are cancelled after it.
        lease: For a claim, which is renewed as long as the handler works.
        time_limits: Of kinds that have one of their own.
        bulkhead: Of the jobs that this one does.
        redact: Hides secrets in errors that are not TaskFlow's, before they are kept and shown.
    """

    claims: Claims
    transactions: Transactions
    handlers: Mapping[str, Handler]
    chance: Chance
    time_limit: timedelta = TIME_LIMIT
    lease: timedelta = LEASE
    time_limits: Mapping[str, timedelta] = field(default_factory=dict)
    bulkhead: Bulkhead = field(default_factory=Bulkhead)
    redact: Callable[[str], str] = str

    def __post_init__(self) -> None:
        """Raise ValueError where a kind is none."""
        for kind in self.handlers:
            require_kind(kind)

    async def __call__(
        self,
        hint: UUID | None = None,
        *,
        bulkhead_size: int | None = None,
        tell: Callable[[Ran], None] = _tell_nobody,
    ) -> Ran | None:
        """Return how it ended; None where nothing is due that may run now.

        Cancelled, it gives the job back, so that another worker has it at once, and the try does not count.

        Args:
            hint: At a job that may be due.
            bulkhead_size: How many jobs of the bulkhead's kinds may run at a time; None for any number.
            tell: Takes what cannot be returned: a try that was given back, and one that is stuck.

        Raises:
            Unavailable: The store cannot be asked for work. Once something is claimed nothing is raised.
        """
        held_until = asyncio.get_running_loop().time() + self.lease.total_seconds()
        claim = partial(self._claim, hint)
        async with self.bulkhead.claimed(claim, self.handlers.keys(), bulkhead_size) as job:
            return None if job is None else await self._try(job, held_until, tell)

    async def _claim(self, hint: UUID | None, kinds: Collection[str]) -> LedgerEntry | None:
        return await self.claims(hint, kinds=kinds, lease=self.lease)

    async def _try(self, job: LedgerEntry, held_until: float, tell: Callable[[Ran], None]) -> Ran:
        seconds = self.time_limits.get(job.kind, self.time_limit).total_seconds()
        watch = Watch(
            seconds, self.lease.total_seconds(), held_until, partial(self._renew, job),
            lambda: tell(Ran(job, Outcome.STUCK)),
        )  # fmt: skip
        try:
            async with watch:
                note = await self._do(job, watch)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or not task.cancelling():
                return await self._failed(job, "What it waited for was cancelled.", final=False)
            after = await self._end(job, lambda held, now: held.give_back(now))
            tell(Ran(job, Outcome.GIVEN_BACK if after else Outcome.LOST, None, after))
            raise
        except LeaseLost:
            return Ran(job, Outcome.LOST)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told and the job is tried again
            if watch.is_lost:
                return Ran(job, Outcome.LOST)
            told = f"It took longer than {seconds:g} s." if watch.is_late else self._told(error)
            return await self._failed(job, told, final=isinstance(error, Undeliverable))
        return Ran(job, Outcome.DONE, note=note)

    async def _renew(self, job: LedgerEntry) -> None:
        async with self.transactions() as transaction:
            transaction.ledger.renew(job, self.lease)
            await transaction.commit()

    async def _do(self, job: LedgerEntry, watch: Watch) -> str | None:
        """Do the job; return why there was nothing to do, if so."""
        effect = await self.handlers[job.kind](job)
        watch.leave_lease()
        async with self.transactions() as transaction:
            transaction.ledger.finish(job)
            if effect is not None:
                await effect(transaction)
            await transaction.commit()
        return effect.why if isinstance(effect, Skipped) else None

    async def _failed(self, job: LedgerEntry, told: str, *, final: bool) -> Ran:
        ended = await self._end(job, lambda held, now: held.fail(told, now, self.chance(), final=final))
        if ended is None:
            return Ran(job, Outcome.LOST, told)
        return Ran.ended(job, ended)

    async def _end(
        self, job: LedgerEntry, end: Callable[[LedgerEntry, datetime], None]
    ) -> LedgerEntry | None:
        """End the try; return the job as it is then, None where that is not known: its lease will end it."""
        try:
            async with self.transactions() as transaction:
                found = await transaction.ledger.load(job.id)
                if found is None:
                    return None
                held, now = found
                held.require_held(job.fence)
                end(held, now)
                transaction.ledger.save(held)
                await transaction.commit()
        except Exception:  # noqa: BLE001 - whatever it is, nobody knows how the job stands
            return None
        return held

    def _told(self, error: Exception) -> str:
        """Return what is kept of an error: no stack, and of ours no more than anybody may read."""
        if isinstance(error, TaskFlowError):
            return error.detail
        try:
            return self.redact(f"{type(error).__name__}: {error}")
        except Exception:  # noqa: BLE001 - an error that cannot even say what it is
            return type(error).__name__
